/* train_plot.h - test error against steps and against time, from files of metrics, as an SVG picture.

   Reads the lines that draco-train writes with --metrics and draws one curve per file, in two panels: error on
   a logarithmic axis, so that curves part where they get good. Curves that coincide in a panel are drawn in
   alternating dashes of their colours. No other program is needed.
 */
#ifndef TRAIN_PLOT_H
#define TRAIN_PLOT_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRAIN_PLOT_SERIES 16

typedef struct train_point {
    double x[2];  /* step, seconds of training */
    double error; /* percent of the test set */
} train_point;

typedef struct train_series {
    char label[64];
    train_point *points;
    size_t count;
} train_series;

/* The number after "key": in a line of our own JSON; absent or null: `otherwise`. */
static double train_plot_number(const char *line, const char *key, double otherwise) {
    char pattern[40];
    const char *at;
    char *end;
    double value;
    snprintf(pattern, sizeof pattern, "\"%s\":", key);
    at = strstr(line, pattern);
    if (!at) return otherwise;
    at += strlen(pattern);
    value = strtod(at, &end);
    return end == at ? otherwise : value;
}

static void train_plot_label(const char *line, char *label, size_t capacity) {
    const char *at = strstr(line, "\"label\":\"");
    size_t n = 0;
    if (!at) return;
    for (at += 9; *at && *at != '"' && n + 1 < capacity; at++) label[n++] = *at;
    label[n] = 0;
}

/* 0, or -1 when the file cannot be read or has no test in it. */
static int train_plot_read(const char *path, train_series *series) {
    FILE *file = fopen(path, "r");
    char line[65536];
    size_t room = 0;
    memset(series, 0, sizeof *series);
    if (!file) return -1;
    while (fgets(line, sizeof line, file)) {
        if (strstr(line, "\"event\":\"start\"")) train_plot_label(line, series->label, sizeof series->label);
        if (!strstr(line, "\"event\":\"test\"")) continue;
        if (series->count == room) {
            train_point *more = realloc(series->points, (room = room ? 2 * room : 64) * sizeof *more);
            if (!more) break;
            series->points = more;
        }
        series->points[series->count++] =
            (train_point){{train_plot_number(line, "step", 0), train_plot_number(line, "train_seconds", 0)},
                          100 - 100 * train_plot_number(line, "accuracy", 0)};
    }
    fclose(file);
    return series->count ? 0 : -1;
}

#define TRAIN_PLOT_TOP 50.0
#define TRAIN_PLOT_WIDTH 400.0
#define TRAIN_PLOT_HEIGHT 300.0
#define TRAIN_PLOT_DASH 9.0
#define TRAIN_PLOT_NEAR 2.5   /* pixels: curves no further apart hide each other */
#define TRAIN_PLOT_COLUMNS 3u /* of the legend */

static const char *const train_plot_axis[2] = {"step", "seconds of training"};

static const char *train_plot_colour(size_t series) {
    static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                          "#e69f00", "#56b4e9", "#000000", "#9a8c00"};
    return colours[series % (sizeof colours / sizeof *colours)];
}

typedef struct train_panel {
    int axis;     /* of train_point.x */
    double left;  /* pixels */
    double most;  /* the axis ends here */
    double least; /* error at the lower end; the upper one is 100 */
} train_panel;

static double train_plot_x(const train_panel *p, const train_point *point) {
    return p->left + TRAIN_PLOT_WIDTH * point->x[p->axis] / p->most;
}

static double train_plot_height(const train_panel *p, double error) {
    double e = error < p->least ? p->least : error;
    return TRAIN_PLOT_TOP + TRAIN_PLOT_HEIGHT * log(100 / e) / log(100 / p->least);
}

static double train_plot_y(const train_panel *p, const train_point *point) {
    return train_plot_height(p, point->error);
}

/* Text of a file or of the command line, as XML. */
static void train_plot_text(FILE *to, const char *text) {
    for (; *text; text++) {
        if (strchr("<>&'", *text))
            fprintf(to, "&#%d;", *text);
        else if ((unsigned char)*text >= ' ')
            fputc(*text, to);
    }
}

/* The largest of the marks times a power of ten that is at most x > 0. */
static double train_plot_round(double x, const double *marks, size_t count) {
    double power = pow(10, floor(log10(x)));
    while (count > 1 && marks[count - 1] * power > x) count--;
    return marks[count - 1] * power;
}

static const double train_plot_fine[] = {1, 1.5, 2, 3, 5, 7}, train_plot_coarse[] = {1, 2, 5};

static int train_plot_coincide(const train_panel *p, const train_series *a, const train_series *b) {
    size_t i;
    if (a->count != b->count) return 0;
    for (i = 0; i < a->count; i++)
        if (fabs(train_plot_x(p, &a->points[i]) - train_plot_x(p, &b->points[i])) > TRAIN_PLOT_NEAR ||
            fabs(train_plot_y(p, &a->points[i]) - train_plot_y(p, &b->points[i])) > TRAIN_PLOT_NEAR)
            return 0;
    return 1;
}

/* The first series whose curve is as good as that of series i; i itself when none before it is. */
static size_t train_plot_leader(const train_panel *p, const train_series *series, size_t i) {
    size_t j;
    for (j = 0; j < i; j++)
        if (train_plot_coincide(p, &series[i], &series[j]) && train_plot_leader(p, series, j) == j) return j;
    return i;
}

/* How many series share series i's curve, and the place of i among them. Returns the first of them. */
static size_t train_plot_twins(const train_panel *p, const train_series *series, size_t count, size_t i,
                               size_t *twins, size_t *place) {
    size_t j, leader = train_plot_leader(p, series, i);
    *twins = *place = 0;
    for (j = leader; j < count; j++)
        if (train_plot_leader(p, series, j) == leader) {
            *twins += 1;
            *place += j < i;
        }
    return leader;
}

static void train_plot_grid(FILE *to, const train_panel *p) {
    int fine = p->least >= 5;
    const double *marks = fine ? train_plot_fine : train_plot_coarse;
    double bottom = TRAIN_PLOT_TOP + TRAIN_PLOT_HEIGHT, tick, power;
    double step = train_plot_round(p->most / 4, train_plot_coarse, 3);
    size_t i;
    for (power = 0.001; power <= 100; power *= 10)
        for (i = 0; i < (fine ? 6u : 3u); i++) {
            double error = power * marks[i], y = train_plot_height(p, error);
            if (error < 0.999 * p->least || error > 100.1) continue;
            fprintf(
                to,
                "<path d='M%g %.1fh%g' stroke='#ddd'/><text x='%g' y='%.1f' text-anchor='end'>%g</text>\n",
                p->left, y, TRAIN_PLOT_WIDTH, p->left - 6, y + 4, error);
        }
    for (tick = 0; tick <= p->most * 1.0001; tick += step)
        fprintf(to,
                "<path d='M%.1f %gv-5' stroke='#888'/><text x='%.1f' y='%g' text-anchor='middle'>%g</text>\n",
                p->left + TRAIN_PLOT_WIDTH * tick / p->most, bottom,
                p->left + TRAIN_PLOT_WIDTH * tick / p->most, bottom + 18, tick);
    fprintf(to, "<rect x='%g' y='%g' width='%g' height='%g' fill='none' stroke='#888'/>\n", p->left,
            TRAIN_PLOT_TOP, TRAIN_PLOT_WIDTH, TRAIN_PLOT_HEIGHT);
    fprintf(to, "<text x='%g' y='%g' text-anchor='middle'>%s</text>\n", p->left + TRAIN_PLOT_WIDTH / 2,
            bottom + 38, train_plot_axis[p->axis]);
}

/* The k-th of m curves that coincide gets every m-th dash, and the k-th ring about the last point. */
static void train_plot_curve(FILE *to, const train_panel *p, const train_series *series, size_t count,
                             size_t i) {
    size_t twins, place, j, first = train_plot_twins(p, series, count, i, &twins, &place);
    const train_series *path = &series[first];
    const train_point *last = &path->points[path->count - 1];
    fprintf(to, "<polyline fill='none' stroke-width='2' stroke='%s'", train_plot_colour(i));
    if (twins > 1)
        fprintf(to, " stroke-dasharray='%g %g' stroke-dashoffset='%g'", TRAIN_PLOT_DASH,
                TRAIN_PLOT_DASH * (double)(twins - 1), -TRAIN_PLOT_DASH * (double)place);
    fprintf(to, " points='");
    for (j = 0; j < path->count; j++)
        fprintf(to, "%.1f,%.1f ", train_plot_x(p, &path->points[j]), train_plot_y(p, &path->points[j]));
    fprintf(to, "'/><circle cx='%.1f' cy='%.1f' r='%g' fill='%s'/>\n", train_plot_x(p, last),
            train_plot_y(p, last), 2.5 + 1.5 * (double)(twins - 1 - place), train_plot_colour(i));
}

static void train_plot_legend(FILE *to, const train_series *series, size_t count, double y) {
    size_t i;
    for (i = 0; i < count; i++) {
        double x = 70 + 310 * (double)(i % TRAIN_PLOT_COLUMNS),
               at = y + 20 * (double)(i / TRAIN_PLOT_COLUMNS);
        fprintf(to, "<path d='M%g %gh28' stroke-width='3' stroke='%s'/><text x='%g' y='%g'>", x, at,
                train_plot_colour(i), x + 36, at + 4);
        train_plot_text(to, series[i].label);
        fprintf(to, "</text>\n");
    }
}

static void train_plot_write(FILE *to, const char *title, const train_series *series, size_t count) {
    train_panel panels[2] = {{0, 70, 1e-9, 50}, {1, 560, 1e-9, 50}};
    size_t i, j, twins, place, rows = (count + TRAIN_PLOT_COLUMNS - 1) / TRAIN_PLOT_COLUMNS;
    double height = TRAIN_PLOT_TOP + TRAIN_PLOT_HEIGHT + 90 + 20 * (double)rows, least = 50;
    int p, coincide = 0;
    for (i = 0; i < count; i++)
        for (j = 0; j < series[i].count; j++) {
            const train_point *point = &series[i].points[j];
            for (p = 0; p < 2; p++)
                if (point->x[p] > panels[p].most) panels[p].most = point->x[p];
            if (point->error < least) least = point->error > 0.01 ? point->error : 0.01;
        }
    fprintf(to,
            "<svg xmlns='http://www.w3.org/2000/svg' width='1000' height='%g' viewBox='0 0 1000 %g' "
            "font-family='sans-serif' font-size='12'>\n<rect width='1000' height='%g' fill='#fff'/>\n"
            "<text x='500' y='26' text-anchor='middle' font-size='15'>",
            height, height, height);
    train_plot_text(to, title);
    fprintf(to,
            "</text>\n<text x='20' y='200' transform='rotate(-90 20 200)' text-anchor='middle'>test error "
            "(%%), logarithmic</text>\n");
    for (p = 0; p < 2; p++) {
        panels[p].least = train_plot_round(0.95 * least, train_plot_fine, 6);
        train_plot_grid(to, &panels[p]);
        for (i = 0; i < count; i++) {
            train_plot_curve(to, &panels[p], series, count, i);
            train_plot_twins(&panels[p], series, count, i, &twins, &place);
            coincide |= twins > 1;
        }
    }
    train_plot_legend(to, series, count, TRAIN_PLOT_TOP + TRAIN_PLOT_HEIGHT + 62);
    if (coincide)
        fprintf(
            to,
            "<text x='70' y='%g' fill='#555'>Curves that coincide are drawn in alternating dashes.</text>\n",
            height - 14);
    fprintf(to, "</svg>\n");
}

static int train_plot_named(const char *path) {
    size_t length = strlen(path);
    return length >= 4 && strcmp(path + length - 4, ".svg") == 0;
}

/* Draw the tests of `count` files of metrics into path, an SVG file. 0, or -1 with a line on stderr. */
static int train_plot(const char *program, const char *path, const char *title, const char *const *metrics,
                      size_t count) {
    train_series series[TRAIN_PLOT_SERIES];
    size_t i, used = 0;
    FILE *to = NULL;
    int failed = 1;
    for (i = 0; i < count && used < TRAIN_PLOT_SERIES; i++) {
        if (train_plot_read(metrics[i], &series[used]) == 0)
            used++;
        else
            fprintf(stderr, "%s: %s: no test results in it\n", program, metrics[i]);
    }
    if (!train_plot_named(path))
        fprintf(stderr, "%s: %s: the name of a picture ends in .svg\n", program, path);
    else if (used && !(to = fopen(path, "w")))
        fprintf(stderr, "%s: cannot write %s\n", program, path);
    if (to) {
        train_plot_write(to, title, series, used);
        failed = fclose(to) != 0;
    }
    for (i = 0; i < used; i++) free(series[i].points);
    return failed ? -1 : 0;
}

#endif /* TRAIN_PLOT_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
