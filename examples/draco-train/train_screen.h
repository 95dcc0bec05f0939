/* train_screen.h - what a person sees of a run: a bar on a terminal, plain lines elsewhere. */
#ifndef TRAIN_SCREEN_H
#define TRAIN_SCREEN_H

#include "train_log.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* Adds to a text that holds *used characters; what does not fit is cut. */
__attribute__((format(printf, 4, 5))) static void train_append(char *text, size_t capacity, size_t *used,
                                                               const char *format, ...) {
    va_list values;
    int length;
    va_start(values, format);
    length = vsnprintf(text + *used, capacity - *used, format, values);
    va_end(values);
    if (length > 0) *used += (size_t)length;
    if (*used >= capacity) *used = capacity - 1;
}

typedef struct train_screen {
    int bar;   /* redraw one line */
    int plain; /* print a line now and then */
    int drawn; /* a bar stands on the screen */
    double begin, last;
} train_screen;

static double train_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void train_screen_open(train_screen *s, const char *how) {
    int terminal = isatty(STDOUT_FILENO);
    memset(s, 0, sizeof *s);
    s->bar = strcmp(how, "bar") == 0 || (strcmp(how, "auto") == 0 && terminal);
    s->plain = strcmp(how, "plain") == 0 || (strcmp(how, "auto") == 0 && !terminal);
    s->begin = s->last = train_now();
}

static int train_screen_width(void) {
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20) return size.ws_col;
    return 80;
}

/* Prints words in lines of at most `width` columns. The first line begins at `column`, the others are indented so. */
static void train_wrap(const char *text, int column, int width) {
    int at = column;
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (at > column && at + 1 + length > width) {
            printf("\n%*s", column, "");
            at = column;
        }
        at += printf("%s%.*s", at > column ? " " : "", length, text);
        text += length + (text[length] == ' ');
    }
    printf("\n");
}

/* Prints a line, broken between words on a terminal and whole elsewhere. */
static void train_say(const char *text) {
    train_wrap(text, 0, isatty(STDOUT_FILENO) ? train_screen_width() : INT_MAX);
}

/* Take the bar away so that a line can be printed. */
static void train_screen_clear(train_screen *s) {
    if (!s->drawn) return;
    printf("\r\033[K");
    fflush(stdout);
    s->drawn = 0;
}

typedef struct train_glance {
    long first, done, steps; /* first: done by earlier processes */
    double loss, accuracy;   /* of the last batch; < 0: unknown */
    double test;             /* last test accuracy; < 0: none yet */
    /* With a simulated attack: lies told so far, how many of them were found, honest messages blamed. */
    long lies, caught, blamed_wrongly;
    long failed_rounds;
} train_glance;

/* How long is left, from what the steps so far took. */
static void train_screen_left(const train_screen *s, const train_glance *g, char *text, size_t capacity) {
    const long here = g->done - g->first;
    double left = here > 0 ? (train_now() - s->begin) / (double)here * (double)(g->steps - g->done) : 0;
    if (here == 0)
        snprintf(text, capacity, "--:--");
    else if (left < 3600)
        snprintf(text, capacity, "%d:%02d", (int)left / 60, (int)left % 60);
    else
        snprintf(text, capacity, "%dh%02d", (int)(left / 3600), (int)left / 60 % 60);
}

static void train_screen_text(const train_glance *g, char *text, size_t capacity) {
    size_t used = 0;
    train_append(text, capacity, &used, g->loss >= 0 ? "loss %.4f" : "loss -", g->loss);
    train_append(text, capacity, &used, g->accuracy >= 0 ? "  acc %4.1f%%" : "  acc -", 100 * g->accuracy);
    if (g->test >= 0) train_append(text, capacity, &used, "  test %4.1f%%", 100 * g->test);
    if (g->lies) train_append(text, capacity, &used, "  caught %ld of %ld", g->caught, g->lies);
    if (g->blamed_wrongly) train_append(text, capacity, &used, "  wrongly %ld", g->blamed_wrongly);
    if (g->failed_rounds) train_append(text, capacity, &used, "  failed rounds %ld", g->failed_rounds);
}

static void train_screen_bar(train_screen *s, const train_glance *g) {
    char text[200], left[32], head[64];
    int columns = train_screen_width() - 1, cells, full, i;
    train_screen_text(g, text, sizeof text);
    train_screen_left(s, g, left, sizeof left);
    snprintf(head, sizeof head, "%ld/%ld ", g->done, g->steps);
    cells = columns - (int)(strlen(head) + strlen(text) + strlen(left)) - 9;
    if (cells > 30) cells = 30;
    printf("\r%s", head);
    if (cells >= 5) {
        full = (int)((long)cells * g->done / (g->steps ? g->steps : 1));
        putchar('[');
        for (i = 0; i < cells; i++) putchar(i < full ? '#' : '.');
        printf("] ");
    }
    printf("%.*s", columns - (int)strlen(head) - (cells >= 5 ? cells + 3 : 0), text);
    if (cells >= 5) printf("  %s left", left);
    printf("\033[K");
    fflush(stdout);
    s->drawn = 1;
}

/* After every round; `now`: whatever the clock says, draw. */
static void train_screen_show(train_screen *s, const train_glance *g, int now) {
    double time = train_now();
    char text[200], left[32];
    if (s->bar && (now || time - s->last > 0.1)) {
        train_screen_bar(s, g);
        s->last = time;
    }
    if (s->plain && now) {
        train_screen_text(g, text, sizeof text);
        train_screen_left(s, g, left, sizeof left);
        printf("step %ld/%ld  %s  %s left\n", g->done, g->steps, text, left);
        fflush(stdout);
    }
    if (now) {
        train_screen_text(g, text, sizeof text);
        train_log_write(TRAIN_INFO, text);
    }
}

#endif /* TRAIN_SCREEN_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
