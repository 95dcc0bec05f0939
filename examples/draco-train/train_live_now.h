/* train_live_now.h - what a process tells of itself while it runs: numbers, curves over the whole run, the last rounds.

   One thread writes and others copy, both under a lock of the owner's. */
#ifndef TRAIN_LIVE_NOW_H
#define TRAIN_LIVE_NOW_H

#include "train_ledger.h"

#include <stdint.h>

#define TRAIN_CURVE 512   /* points of the whole run; thinned out when it is full */
#define TRAIN_PHASES 3    /* that an interval between two rounds is divided into */
#define TRAIN_REQUESTS 10 /* kinds, by draco_request_kind */

/* Loss and accuracy (0..1) over steps; NAN where there is none. */
typedef struct train_curve {
    uint64_t seen, stride; /* every stride-th is kept; 0 is 1 */
    int count;
    struct {
        uint64_t step;
        float loss, accuracy;
    } point[TRAIN_CURVE];
} train_curve;

typedef struct train_interval { /* what came of one round; of one reply on a worker */
    uint64_t step, bytes;
    float seconds[TRAIN_PHASES];
} train_interval;

/* What a process tells of itself; the owner copies it under a lock. */
typedef struct train_numbers_now {
    uint64_t step, rounds, failed, received, sent, gradients, saved, unsaved;
    uint64_t requests[TRAIN_REQUESTS]; /* a worker's, by kind */
    double seconds[TRAIN_PHASES];
    double loss, accuracy, test_loss, test_accuracy; /* the last ones */
    double begin;                                    /* since 1970 */
    double last, longest; /* when the last interval ended, on train_now's clock; seconds of the longest */
    char reason[512];     /* why it is not ready; empty when it is */
    train_curve training, tests;
    uint64_t intervals; /* all; the last TRAIN_RECENT are kept, that of number i at i % TRAIN_RECENT */
    train_interval recent[TRAIN_RECENT];
} train_numbers_now;

/* What does not change. */
typedef struct train_about {
    const char *label, *model, *data, *transport;
    int worker; /* number of this worker, -1 on a server */
    int server;
    long steps, workers, s, t;
} train_about;

static void train_curve_add(train_curve *c, uint64_t step, double loss, double accuracy) {
    if (c->stride == 0) c->stride = 1;
    if (c->seen++ % c->stride != 0) return;
    c->point[c->count].step = step;
    c->point[c->count].loss = (float)loss;
    c->point[c->count++].accuracy = (float)accuracy;
    if (c->count < TRAIN_CURVE) return;
    c->count = TRAIN_CURVE / 2;
    c->stride *= 2;
    for (int i = 1; i < c->count; i++) c->point[i] = c->point[2 * i];
}

static void train_interval_add(train_numbers_now *m, uint64_t step, uint64_t bytes, double first,
                               double second, double third) {
    const double seconds[TRAIN_PHASES] = {first, second, third}, now = train_now();
    train_interval *to = &m->recent[m->intervals++ % TRAIN_RECENT];
    to->step = step;
    to->bytes = bytes;
    for (int i = 0; i < TRAIN_PHASES; i++) {
        to->seconds[i] = (float)seconds[i];
        m->seconds[i] += seconds[i];
    }
    if (m->last > 0 && now - m->last > m->longest) m->longest = now - m->last;
    m->last = now;
}

#endif /* TRAIN_LIVE_NOW_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
