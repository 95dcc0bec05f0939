/* train_plot.h - accuracy against steps and against time, from files of metrics.

   Reads the lines that draco-train writes with --metrics and draws one curve a file, in two panels. gnuplot
   draws where it is installed; otherwise a plain SVG is written here, so that there is a picture either way.
 */
#ifndef TRAIN_PLOT_H
#define TRAIN_PLOT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRAIN_PLOT_SERIES 16

typedef struct train_point {
    double step, seconds, accuracy;
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

/* Labels are drawn by other programs: only plain characters pass. */
static void train_plot_label(const char *line, char *label, size_t capacity) {
    const char *at = strstr(line, "\"label\":\"");
    size_t n = 0;
    if (!at) return;
    for (at += 9; *at && *at != '"' && n + 1 < capacity; at++) {
        int plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');
        label[n++] = plain || strchr(" ,.()+-/", *at) ? *at : ' ';
    }
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
            (train_point){train_plot_number(line, "step", 0), train_plot_number(line, "train_seconds", 0),
                          100 * train_plot_number(line, "accuracy", 0)};
    }
    fclose(file);
    return series->count ? 0 : -1;
}

static double train_plot_x(const train_point *p, int panel) {
    return panel == 0 ? p->step : p->seconds;
}

static const char *const train_plot_axis[2] = {"step", "seconds of training"};

static const char *const train_plot_colours[] = {"#0072b2", "#d55e00", "#009e73",
                                                 "#cc79a7", "#e69f00", "#56b4e9"};

/* Through gnuplot's standard input. 0, or -1 when there is no gnuplot or it failed. */
static int train_plot_gnuplot(const char *path, const char *title, const train_series *series, size_t count) {
    size_t length = strlen(path), i, j;
    int png = length > 4 && strcmp(path + length - 4, ".png") == 0, panel;
    FILE *to;
    if (system("command -v gnuplot >/dev/null 2>&1") != 0) return -1;
    to = popen("gnuplot >/dev/null 2>&1", "w");
    if (!to) return -1;
    for (i = 0; i < count; i++) {
        fprintf(to, "$d%zu << EOD\n", i);
        for (j = 0; j < series[i].count; j++)
            fprintf(to, "%.9g %.9g %.9g\n", series[i].points[j].step, series[i].points[j].seconds,
                    series[i].points[j].accuracy);
        fprintf(to, "EOD\n");
    }
    fprintf(to, "set terminal %s size 1000,480 font 'Helvetica,11' background '#ffffff'\nset output '",
            png ? "pngcairo" : "svg");
    for (i = 0; i < length; i++) fprintf(to, path[i] == '\'' ? "''" : "%c", path[i]);
    fprintf(to,
            "'\nset multiplot layout 1,2 title '%s'\nset grid lc '#dddddd'\nset yrange [0:100]\n"
            "set ylabel 'test accuracy (%%)'\nset xrange [0:*]\nset key outside below\n",
            title);
    for (panel = 0; panel < 2; panel++) {
        fprintf(to, "set xlabel '%s' offset 0,0.8\nplot ", train_plot_axis[panel]);
        for (i = 0; i < count; i++)
            fprintf(to, "%s$d%zu using %d:3 with linespoints lw 2 pt 7 ps 0.4 lc '%s' title '%s'",
                    i ? ", " : "", i, panel + 1, train_plot_colours[i % 6], series[i].label);
        fprintf(to, "\n");
    }
    fprintf(to, "unset multiplot\n");
    return pclose(to) == 0 ? 0 : -1;
}

static void train_plot_svg_panel(FILE *to, int panel, const train_series *series, size_t count) {
    double most = 1e-9, left = 70 + 490 * panel, width = 400, top = 50, height = 300;
    size_t i, j;
    for (i = 0; i < count; i++)
        for (j = 0; j < series[i].count; j++)
            if (train_plot_x(&series[i].points[j], panel) > most)
                most = train_plot_x(&series[i].points[j], panel);
    for (i = 0; i <= 5; i++) {
        double y = top + height - height * (double)i / 5, x = left + width * (double)i / 5;
        fprintf(to, "<path d='M%g %gh%g' stroke='#ddd'/><text x='%g' y='%g' text-anchor='end'>%zu</text>\n",
                left, y, width, left - 6, y + 4, i * 20);
        fprintf(to, "<text x='%g' y='%g' text-anchor='middle'>%.3g</text>\n", x, top + height + 18,
                most * (double)i / 5);
    }
    fprintf(to, "<text x='%g' y='%g' text-anchor='middle'>%s</text>\n", left + width / 2, top + height + 38,
            train_plot_axis[panel]);
    for (i = 0; i < count; i++) {
        const char *colour = train_plot_colours[i % 6];
        fprintf(to, "<polyline fill='none' stroke-width='2' stroke='%s' points='", colour);
        for (j = 0; j < series[i].count; j++)
            fprintf(to, "%.2f,%.2f ", left + width * train_plot_x(&series[i].points[j], panel) / most,
                    top + height - height * series[i].points[j].accuracy / 100);
        fprintf(to, "'/><text x='%g' y='%g' text-anchor='end' fill='%s'>%s</text>\n", left + width - 8,
                top + height - 120 - 16 * (double)i, colour, series[i].label);
    }
}

static int train_plot_svg(const char *path, const char *title, const train_series *series, size_t count) {
    size_t length = strlen(path);
    FILE *to;
    if (length < 4 || strcmp(path + length - 4, ".svg") != 0) return -1;
    to = fopen(path, "w");
    if (!to) return -1;
    fprintf(to,
            "<svg xmlns='http://www.w3.org/2000/svg' width='1000' height='420' font-family='sans-serif' "
            "font-size='12'>\n<rect width='1000' height='420' fill='#fff'/>\n"
            "<text x='500' y='24' text-anchor='middle' font-size='15'>%s</text>\n"
            "<text x='20' y='200' transform='rotate(-90 20 200)' text-anchor='middle'>test accuracy "
            "(%%)</text>\n",
            title);
    train_plot_svg_panel(to, 0, series, count);
    train_plot_svg_panel(to, 1, series, count);
    fprintf(to, "</svg>\n");
    return fclose(to) == 0 ? 0 : -1;
}

/* Draw the tests of `count` files of metrics into path (.svg, or .png with gnuplot). 0, or -1 with a line on
 * stderr. */
static int train_plot(const char *path, const char *title, const char *const *metrics, size_t count) {
    train_series series[TRAIN_PLOT_SERIES];
    size_t i, used = 0;
    int failed;
    for (i = 0; i < count && used < TRAIN_PLOT_SERIES; i++) {
        if (train_plot_read(metrics[i], &series[used]) == 0)
            used++;
        else
            fprintf(stderr, "plot: %s: no test results in it\n", metrics[i]);
    }
    if (!used) return -1;
    failed =
        train_plot_gnuplot(path, title, series, used) != 0 && train_plot_svg(path, title, series, used) != 0;
    for (i = 0; i < used; i++) free(series[i].points);
    if (failed) fprintf(stderr, "plot: cannot draw %s (.png needs gnuplot; .svg always works)\n", path);
    return failed ? -1 : 0;
}

#endif /* TRAIN_PLOT_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
