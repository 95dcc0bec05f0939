/* train_arrivals.h - when and how each worker's replies end: a transport around a transport that writes it down.

   Everything passes through untouched. `how` is that of the last request that a worker got. A worker that did not
   end is late when the round had enough without it, and slow when the deadline passed. */
#ifndef TRAIN_ARRIVALS_H
#define TRAIN_ARRIVALS_H

#include "train_screen.h"

#include "draco.h"

#include <stdlib.h>
#include <string.h>

typedef enum train_how { TRAIN_WAITED, TRAIN_CAME, TRAIN_GONE, TRAIN_SLOW, TRAIN_LATE } train_how;

typedef struct train_arrivals {
    const draco_transport *inner;
    const draco_inbox *inbox; /* the server's, while it collects */
    int n;
    int timed, enough; /* the request that is out began a round; it has enough replies */
    double begin; /* when a round's first request was out: the first of a run waits for workers to join */
    unsigned char *how;
    double *seconds; /* from then to the end of the reply to it; < 0: there was none */
    double *missed;  /* how long its reply was waited for in vain; 0: it was not */
} train_arrivals;

static void *train_arrivals_reserve(void *ctx, int worker) {
    const train_arrivals *a = ctx;
    return a->inbox->reserve(a->inbox->ctx, worker);
}

static void train_arrivals_chunk(void *ctx, int worker, size_t offset, size_t n) {
    const train_arrivals *a = ctx;
    a->inbox->chunk(a->inbox->ctx, worker, offset, n);
}

static draco_status train_arrivals_end(void *ctx, int worker, draco_arrival arrival) {
    train_arrivals *a = ctx;
    const draco_status status = a->inbox->end(a->inbox->ctx, worker, arrival);
    a->enough |= status == DRACO_OK;
    if (worker < 0 || worker >= a->n) return status;
    a->how[worker] = arrival == DRACO_ARRIVAL_ABSENT ? TRAIN_GONE : TRAIN_CAME;
    if (a->timed && arrival == DRACO_ARRIVAL_WHOLE) a->seconds[worker] = train_now() - a->begin;
    return status;
}

static draco_status train_arrivals_broadcast(void *ctx, const draco_request *request) {
    train_arrivals *a = ctx;
    const draco_status status = a->inner->broadcast(a->inner->ctx, request);
    a->timed = request->params != NULL && request->kind != DRACO_REQUEST_PROBE;
    if (a->timed) a->begin = train_now();
    return status;
}

static draco_inbox train_arrivals_begin(train_arrivals *a, const unsigned char *whom,
                                        const draco_inbox *inbox) {
    draco_inbox mine = {.size = sizeof mine,
                        .ctx = a,
                        .reserve = train_arrivals_reserve,
                        .chunk = train_arrivals_chunk,
                        .end = train_arrivals_end};
    a->inbox = inbox;
    a->enough = 0;
    for (int i = 0; i < a->n; i++)
        if (!whom || whom[i]) a->how[i] = TRAIN_WAITED;
    return mine;
}

static draco_status train_arrivals_finish(train_arrivals *a, draco_status status) {
    for (int i = 0; i < a->n; i++) {
        if (a->how[i] != TRAIN_WAITED) continue;
        a->how[i] = a->enough ? TRAIN_LATE : TRAIN_SLOW;
        if (a->timed && !a->enough) a->missed[i] = train_now() - a->begin;
    }
    a->timed = 0;
    return status;
}

static draco_status train_arrivals_collect(void *ctx, const draco_request *request, double seconds,
                                           const draco_inbox *inbox) {
    train_arrivals *a = ctx;
    const draco_inbox mine = train_arrivals_begin(a, NULL, inbox);
    return train_arrivals_finish(a, a->inner->collect(a->inner->ctx, request, seconds, &mine));
}

static draco_status train_arrivals_fetch(void *ctx, const draco_request *request, const unsigned char *whom,
                                         double seconds, const draco_inbox *inbox) {
    train_arrivals *a = ctx;
    const draco_inbox mine = train_arrivals_begin(a, whom, inbox);
    return train_arrivals_finish(a, a->inner->fetch(a->inner->ctx, request, whom, seconds, &mine));
}

static draco_status train_arrivals_exchange(void *ctx, const void *mine, size_t bytes, void *all) {
    const train_arrivals *a = ctx;
    return a->inner->exchange(a->inner->ctx, mine, bytes, all);
}

/* Before the next round. */
static void train_arrivals_reset(train_arrivals *a) {
    for (int i = 0; i < a->n; i++) {
        a->how[i] = TRAIN_WAITED;
        a->seconds[i] = -1;
        a->missed[i] = 0;
    }
}

static int train_arrivals_lost(void *ctx) {
    const train_arrivals *a = ctx;
    return a->inner->lost(a->inner->ctx);
}

/* outer: the transport for the server; both have to stay where they are. Returns 1 without memory. */
static int train_arrivals_open(train_arrivals *a, draco_transport *outer, const draco_transport *inner) {
    memset(a, 0, sizeof *a);
    a->inner = inner;
    a->n = inner->workers;
    a->how = calloc((size_t)a->n, 1);
    a->seconds = calloc((size_t)a->n, sizeof *a->seconds);
    a->missed = calloc((size_t)a->n, sizeof *a->missed);
    *outer = (draco_transport){.size = sizeof *outer,
                               .name = inner->name,
                               .ctx = a,
                               .workers = inner->workers,
                               .server = inner->server,
                               .servers = inner->servers,
                               .broadcast = train_arrivals_broadcast,
                               .collect = train_arrivals_collect,
                               .fetch = inner->fetch ? train_arrivals_fetch : NULL,
                               .exchange = inner->exchange ? train_arrivals_exchange : NULL,
                               .lost = inner->lost ? train_arrivals_lost : NULL};
    return !a->how || !a->seconds || !a->missed;
}

static void train_arrivals_close(train_arrivals *a) {
    free(a->how);
    free(a->seconds);
    free(a->missed);
}

#endif /* TRAIN_ARRIVALS_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
