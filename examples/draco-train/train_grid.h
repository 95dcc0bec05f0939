/* train_grid.h - the verdicts of a run, workers by rounds, from a file of metrics, as an SVG picture.

   A cell has a colour and a shape of its own for each verdict. Long runs have several rounds in a column, which shows
   the worst of them. */
#ifndef TRAIN_GRID_H
#define TRAIN_GRID_H

#include "train_plot.h"

#define TRAIN_GRID_COLUMNS 160
#define TRAIN_GRID_WORKERS 4096
#define TRAIN_GRID_LEFT 60.0
#define TRAIN_GRID_TOP 80.0
#define TRAIN_GRID_WIDTH 920.0

typedef struct train_grid {
    int n;             /* workers */
    long rounds;       /* in the file */
    long each;         /* rounds in a column */
    int columns;       /* that have begun */
    double *step;      /* the first of each column */
    unsigned char *at; /* columns x n: 0 present, otherwise 1 + row of train_grid_kinds, the worst */
} train_grid;

/* The worst last. Paths in the unit square. */
static const struct {
    const char *key, *colour, *path;
} train_grid_kinds[] = {
    {"absent", "#20262d", "M0 .35h1v.3h-1z"},
    {"suspected", "#c66a00", "M0 1h1l-.5-1z"},
    {"malformed", "#7a2fa0", "M.5 0l.5.5-.5.5-.5-.5z"},
    {"blamed", "#c3001f", "M0 0h1v1h-1z"},
};
#define TRAIN_GRID_KINDS (sizeof train_grid_kinds / sizeof *train_grid_kinds)

static void train_grid_merge(train_grid *g) {
    const size_t n = (size_t)g->n;
    for (int c = 0; c < TRAIN_GRID_COLUMNS / 2; c++) {
        unsigned char *to = g->at + (size_t)c * n;
        const unsigned char *from = g->at + (size_t)(2 * c) * n;
        for (size_t i = 0; i < n; i++) to[i] = from[i] > from[n + i] ? from[i] : from[n + i];
        g->step[c] = g->step[2 * c];
    }
    g->columns = TRAIN_GRID_COLUMNS / 2;
    g->each *= 2;
}

static void train_grid_add(train_grid *g, const char *line) {
    unsigned char *column;
    if (g->rounds % g->each == 0) {
        if (g->columns == TRAIN_GRID_COLUMNS) train_grid_merge(g);
        g->step[g->columns] = train_plot_number(line, "step", 0) + 1;
        memset(g->at + (size_t)g->columns * (size_t)g->n, 0, (size_t)g->n);
        g->columns++;
    }
    g->rounds++;
    column = g->at + (size_t)(g->columns - 1) * (size_t)g->n;
    for (size_t k = 0; k < TRAIN_GRID_KINDS; k++) {
        char key[24];
        const char *at;
        snprintf(key, sizeof key, "\"%s\":[", train_grid_kinds[k].key);
        at = strstr(line, key);
        if (!at) continue;
        for (at += strlen(key); *at >= '0' && *at <= '9';) {
            char *end;
            const long worker = strtol(at, &end, 10);
            if (worker < g->n && column[worker] < k + 1) column[worker] = (unsigned char)(k + 1);
            at = end + (*end == ',');
        }
    }
}

static void train_grid_free(train_grid *g) {
    free(g->step);
    free(g->at);
}

/* 0, or -1: it cannot be read, or has no rounds in it. */
static int train_grid_read(FILE *file, train_grid *g) {
    char *line = NULL;
    size_t room = 0;
    memset(g, 0, sizeof *g);
    g->each = 1;
    while (getline(&line, &room, file) > 0) {
        if (!g->at && strstr(line, "\"event\":\"start\"")) {
            const double n = train_plot_number(line, "workers", 0);
            if (!(n >= 1 && n <= TRAIN_GRID_WORKERS)) break;
            g->n = (int)n;
            g->step = calloc(TRAIN_GRID_COLUMNS, sizeof *g->step);
            g->at = calloc(TRAIN_GRID_COLUMNS, (size_t)g->n);
            if (!g->step || !g->at) break;
        }
        if (g->at && strstr(line, "\"event\":\"step\"")) train_grid_add(g, line);
    }
    free(line);
    return g->rounds > 0 ? 0 : -1;
}

static void train_grid_key(FILE *to) {
    double x = TRAIN_GRID_LEFT;
    fprintf(to,
            "<rect x='%g' y='46' width='14' height='14' fill='#dfe7ee'/><text x='%g' y='57'>present</text>\n",
            x, x + 20);
    for (size_t k = 0; k < TRAIN_GRID_KINDS; k++) {
        x += 110;
        fprintf(
            to,
            "<rect x='%g' y='46' width='14' height='14' fill='#dfe7ee'/>"
            "<path d='%s' fill='%s' transform='translate(%g 46) scale(14)'/><text x='%g' y='57'>%s</text>\n",
            x, train_grid_kinds[k].path, train_grid_kinds[k].colour, x, x + 20, train_grid_kinds[k].key);
    }
}

static void train_grid_write(FILE *to, const char *title, const train_grid *g) {
    const double height = g->n <= 30 ? 16 : g->n <= 100 ? 9 : g->n <= 400 ? 5 : 2;
    const double most = TRAIN_GRID_WIDTH / g->columns, width = most < 16 ? most : 16;
    const double gap = height > 4 ? 1 : 0, bottom = TRAIN_GRID_TOP + height * g->n;
    const int apart = width < 16 ? (int)(70 / width) + 1 : 5;
    fprintf(to,
            "<svg xmlns='http://www.w3.org/2000/svg' width='1000' height='%g' viewBox='0 0 1000 %g' "
            "font-family='sans-serif' font-size='12'>\n<rect width='1000' height='%g' fill='#fff'/>\n"
            "<text x='500' y='26' text-anchor='middle' font-size='15'>",
            bottom + 60, bottom + 60, bottom + 60);
    train_plot_text(to, title);
    fputs("</text>\n", to);
    train_grid_key(to);
    for (int i = 0; i < g->n; i++) {
        fprintf(to, "<rect x='%g' y='%g' width='%.2f' height='%g' fill='#dfe7ee'/>\n", TRAIN_GRID_LEFT,
                TRAIN_GRID_TOP + i * height, g->columns * width - gap, height - gap);
        if (height > 10 || i % 10 == 0)
            fprintf(to, "<text x='%g' y='%g' text-anchor='end'>%d</text>\n", TRAIN_GRID_LEFT - 6,
                    TRAIN_GRID_TOP + (i + 0.5) * height + 4, i);
    }
    for (int c = 0; c < g->columns; c++)
        for (int i = 0; i < g->n; i++) {
            const unsigned char kind = g->at[(size_t)c * (size_t)g->n + (size_t)i];
            if (kind)
                fprintf(to,
                        "<path class='%s' d='%s' fill='%s' transform='translate(%.2f %g) scale(%.2f %g)'/>\n",
                        train_grid_kinds[kind - 1].key, train_grid_kinds[kind - 1].path,
                        train_grid_kinds[kind - 1].colour, TRAIN_GRID_LEFT + c * width,
                        TRAIN_GRID_TOP + i * height, width - gap, height - gap);
        }
    for (int c = 0; c < g->columns; c += apart)
        fprintf(to, "<text x='%.2f' y='%g'>%.0f</text>\n", TRAIN_GRID_LEFT + c * width, bottom + 16,
                g->step[c]);
    fprintf(to, "<text x='%g' y='%g'>worker</text><text x='%g' y='%g'>step", TRAIN_GRID_LEFT - 50,
            TRAIN_GRID_TOP - 6, TRAIN_GRID_LEFT, bottom + 36);
    if (g->each > 1) fprintf(to, "; a column is %ld rounds, and shows the worst of them", g->each);
    fputs("</text>\n</svg>\n", to);
}

/* 0, or -1 with a line on stderr. */
static int train_grid_plot(const char *program, const char *path, const char *title, const char *metrics) {
    FILE *from = fopen(metrics, "r"), *to;
    train_grid grid = {0};
    int failed = !from || train_grid_read(from, &grid) != 0;
    if (from) fclose(from);
    if (failed) {
        fprintf(stderr, "%s: %s: no rounds in it\n", program, metrics);
    } else if (!train_plot_named(path)) {
        fprintf(stderr, "%s: %s: the name of a picture ends in .svg\n", program, path);
        failed = 1;
    } else if (!(to = fopen(path, "w"))) {
        fprintf(stderr, "%s: cannot write %s\n", program, path);
        failed = 1;
    } else {
        train_grid_write(to, title, &grid);
        failed = fclose(to) != 0;
    }
    train_grid_free(&grid);
    return failed ? -1 : 0;
}

#endif /* TRAIN_GRID_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
