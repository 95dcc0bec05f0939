/* train_watch.h - which workers were blamed, suspected, malformed or absent: a line when that changes, totals at the end.

   Verdicts of three kinds are counted per worker. A change is reported at once. While the set keeps changing, as
   with liars drawn anew in every step, lines come at intervals of 1, 2, 4, ... 60 seconds. The totals count every
   round. */
#ifndef TRAIN_WATCH_H
#define TRAIN_WATCH_H

#include "train_screen.h"

#include "draco.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRAIN_WATCH_KINDS 4
#define TRAIN_WATCH_LISTED 8     /* workers that a line names; the others are counted */
#define TRAIN_WATCH_PATIENCE 20  /* rounds that a worker may miss when rounds end without waiting for all */
#define TRAIN_WATCH_SECONDS 60.0 /* the longest time between two lines about a set that keeps changing */
#define TRAIN_WATCH_CAPACITY 2048

typedef struct train_watched { /* of one worker */
    long rounds[TRAIN_WATCH_KINDS];
    uint64_t since;      /* step of the first round of `running` */
    long running;        /* rounds in a row that it has been absent */
    unsigned char now;   /* 1 + kind in the last round, 0: none of them */
    unsigned char shown; /* what the last line said */
} train_watched;

typedef struct train_watch {
    int n;
    long patience; /* rounds in a row that a worker is absent before a line says so */
    long rounds;
    train_watched *workers;
    int returned;     /* a worker that was away has replied; the owner sets it to 0 */
    double last, gap; /* when the last line was printed; seconds until the next may be */
    /* Optional: what the transport calls a worker, besides its number. */
    void (*name)(const void *ctx, int worker, char *text, size_t capacity);
    const void *name_ctx;
} train_watch;

static const struct {
    draco_verdict verdict;
    const char *name;
} train_watch_kinds[TRAIN_WATCH_KINDS] = {{DRACO_BLAMED, "blamed"},
                                          {DRACO_SUSPECTED, "suspected"},
                                          {DRACO_MALFORMED, "malformed"},
                                          {DRACO_ABSENT, "absent"}};

static int train_watch_open(train_watch *w, int n, int waits_for_all) {
    memset(w, 0, sizeof *w);
    w->n = n;
    w->patience = waits_for_all ? 1 : TRAIN_WATCH_PATIENCE;
    w->workers = calloc((size_t)n, sizeof *w->workers);
    return w->workers ? 0 : 1;
}

static void train_watch_close(train_watch *w) {
    free(w->workers);
    w->workers = NULL;
}

static void train_watch_count(train_watch *w, train_watched *p, uint64_t step, draco_verdict verdict) {
    p->now = 0;
    if (verdict != DRACO_ABSENT) {
        w->returned |= p->running >= w->patience;
        p->running = 0;
    }
    for (int k = 0; k < TRAIN_WATCH_KINDS; k++) {
        if (verdict != train_watch_kinds[k].verdict) continue;
        p->rounds[k]++;
        if (verdict == DRACO_ABSENT && p->running++ == 0) p->since = step;
        if (verdict != DRACO_ABSENT || p->running >= w->patience) p->now = (unsigned char)(k + 1);
    }
}

static int train_watch_due(train_watch *w) {
    double now = train_now(), passed = w->last > 0 ? now - w->last : 1e9;
    if (passed < w->gap) return 0;
    w->gap = passed > 4 * w->gap ? 1 : 2 * w->gap;
    if (w->gap > TRAIN_WATCH_SECONDS) w->gap = TRAIN_WATCH_SECONDS;
    w->last = now;
    return 1;
}

/* Returns 1 when a line is due: the set differs from what the last line said. */
static int train_watch_round(train_watch *w, uint64_t step, const draco_verdict *verdicts) {
    int changed = 0;
    w->rounds++;
    for (int i = 0; i < w->n; i++) {
        train_watch_count(w, &w->workers[i], step, verdicts[i]);
        changed |= w->workers[i].now != w->workers[i].shown;
    }
    if (!changed || !train_watch_due(w)) return 0;
    for (int i = 0; i < w->n; i++) w->workers[i].shown = w->workers[i].now;
    return 1;
}

/* The workers of kind k to list, most rounds first when `total`, else by number; count: how many there are. */
static int train_watch_pick(const train_watch *w, int total, int k, int listed[TRAIN_WATCH_LISTED],
                            int *count) {
    int taken = 0;
    *count = 0;
    for (int i = 0; i < w->n; i++) {
        const train_watched *p = w->workers;
        int at;
        if (total ? p[i].rounds[k] == 0 : p[i].now != k + 1) continue;
        ++*count;
        for (at = taken; at > 0 && total && p[i].rounds[k] > p[listed[at - 1]].rounds[k]; at--)
            if (at < TRAIN_WATCH_LISTED) listed[at] = listed[at - 1];
        if (at < TRAIN_WATCH_LISTED) listed[at] = i;
        if (taken < TRAIN_WATCH_LISTED) taken++;
    }
    return taken;
}

static void train_watch_total(const train_watch *w, int worker, int k, int first, char *text,
                              size_t capacity) {
    const train_watched *p = &w->workers[worker];
    int stays = p->running >= w->patience && p->running > p->rounds[k] / 2;
    if (train_watch_kinds[k].verdict == DRACO_ABSENT && stays)
        snprintf(text, capacity, "since step %llu", (unsigned long long)p->since + 1);
    else if (first)
        snprintf(text, capacity, "%ld of %ld rounds", p->rounds[k], w->rounds);
    else
        snprintf(text, capacity, "%ld", p->rounds[k]);
}

/* Rounds that end without waiting for all cannot tell a worker that is gone from one that was not waited for. */
static const char *train_watch_name(const train_watch *w, int k) {
    int late = train_watch_kinds[k].verdict == DRACO_ABSENT && w->patience > 1;
    return late ? "absent or late" : train_watch_kinds[k].name;
}

/* total: "blamed: worker 3 (200 of 200 rounds), worker 7 (12); absent: worker 9 (since step 40)", of the whole
   run. Otherwise the last round: "blamed: worker 3 (rank 4); absent: worker 9 (rank 10)", what stands in brackets
   being the transport's name. An empty text when there is nothing to say; cut where the capacity ends. */
static void train_watch_list(const train_watch *w, int total, char *text, size_t capacity) {
    size_t used = 0;
    text[0] = 0;
    for (int k = 0; k < TRAIN_WATCH_KINDS; k++) {
        int listed[TRAIN_WATCH_LISTED], count, taken = train_watch_pick(w, total, k, listed, &count);
        if (count > 0)
            train_append(text, capacity, &used, "%s%s: ", used ? "; " : "", train_watch_name(w, k));
        for (int i = 0; i < taken; i++) {
            char about[112] = "";
            if (total)
                train_watch_total(w, listed[i], k, i == 0, about, sizeof about);
            else if (w->name)
                w->name(w->name_ctx, listed[i], about, sizeof about);
            train_append(text, capacity, &used, "%sworker %d", i > 0 ? ", " : "", listed[i]);
            if (about[0]) train_append(text, capacity, &used, " (%s)", about);
        }
        if (count > taken) train_append(text, capacity, &used, " and %d more", count - taken);
    }
}

#endif /* TRAIN_WATCH_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
