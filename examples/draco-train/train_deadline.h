/* train_deadline.h - a deadline that follows the workers: so many times the time within which a share of the replies of
   recent rounds came (--deadline=3xp90).

   A worker that missed the deadline counts with the deadline, so that one that has become too short grows again; who is
   gone, or was not waited for, does not count. */
#ifndef TRAIN_DEADLINE_H
#define TRAIN_DEADLINE_H

#include "train_arrivals.h"

#define TRAIN_DEADLINE_ROUNDS 100 /* that are looked back upon */
#define TRAIN_DEADLINE_FIRST 10   /* rounds before which the fixed deadline holds */
#define TRAIN_DEADLINE_LEAST 0.1  /* seconds; less is the noise of a busy machine */

typedef struct train_deadline {
    double factor, percent, seconds; /* seconds: the deadline now */
    size_t n, next, rounds;          /* next: place in the ring of rounds */
    double *times, *sorted;          /* rounds x n, < 0: none; as many */
} train_deadline;

/* first: until enough rounds have been seen. Returns 1 without memory. */
static int train_deadline_open(train_deadline *d, int n, double factor, double percent, double first) {
    *d = (train_deadline){.factor = factor, .percent = percent, .seconds = first, .n = (size_t)n};
    d->times = calloc(TRAIN_DEADLINE_ROUNDS * d->n, sizeof *d->times);
    d->sorted = calloc(TRAIN_DEADLINE_ROUNDS * d->n, sizeof *d->sorted);
    return !d->times || !d->sorted;
}

static void train_deadline_close(train_deadline *d) {
    free(d->times);
    free(d->sorted);
}

static int train_deadline_order(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* After a round, with the arrivals in it: the deadline of the next. */
static double train_deadline_next(train_deadline *d, const train_arrivals *a) {
    double *row = d->times + d->next * d->n;
    size_t count = 0, place;
    for (size_t i = 0; i < d->n; i++) row[i] = a->missed[i] > 0 ? a->missed[i] : a->seconds[i];
    d->next = (d->next + 1) % TRAIN_DEADLINE_ROUNDS;
    if (d->rounds < TRAIN_DEADLINE_ROUNDS) d->rounds++;
    for (size_t i = 0; i < d->rounds * d->n; i++)
        if (d->times[i] >= 0) d->sorted[count++] = d->times[i];
    if (count == 0 || d->rounds < TRAIN_DEADLINE_FIRST) return d->seconds;
    qsort(d->sorted, count, sizeof *d->sorted, train_deadline_order);
    place = (size_t)((double)(count - 1) * d->percent / 100);
    d->seconds = d->factor * d->sorted[place];
    if (d->seconds < TRAIN_DEADLINE_LEAST) d->seconds = TRAIN_DEADLINE_LEAST;
    return d->seconds;
}

#endif /* TRAIN_DEADLINE_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
