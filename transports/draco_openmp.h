/* draco_openmp.h - version 0.1.0 - a transport: n workers in one process, on an OpenMP loop

   A transport for draco.h (see draco_transport there) whose workers are iterations of a loop: any number of
   them on any number of cores. Workers write their messages straight into the server's memory, so nothing is
   copied, and each of the team's threads has one workspace of the model, so memory grows with the threads and
   not with the workers (unless config.worker.keep asks for each to keep its gradients).

   Do this in one C file:
       #define DRACO_OPENMP_IMPLEMENTATION
       #include "transports/draco_openmp.h"
   DRACO_OPENMP_STATIC, defined as well, makes a private copy; DRACO_OPENMP_API, defined, stands before every
   function. The declarations are C11 and C++17; the implementation is C11, by a compiler with or without
   OpenMP (without: one thread).

   How it goes:
       draco_openmp_config config = {0};
       config.worker = ...;              what every worker computes: code, model, batch, seed
       draco_transport transport;
       draco_openmp_open(&transport, &config);
       ... hand &transport to draco_server_open, train ...
       transport.close(transport.ctx);

   Threads: collect and fetch start a team of config.threads threads (default 0: as many as OpenMP gives,
   but one when all workers together take fewer than DRACO_OPENMP_SMALL coordinates times samples: waking a
   team costs more than such a round) and leave the inbox's reserve and end to one thread at a time. Inside
   the team every thread has OpenMP to itself, so that a compute library does not start a team in each. The
   result is the same bits for any number of threads.

   Deadlines: a worker here is never late, so collect pays no heed to its deadline; lateness is tried out by
   wrapping the transport (baselines/draco_attacks.h).

   Sharing: with config.share_parts each part's gradient is computed once in a step and handed to all its
   holders, r times less work. It is for experiments about the server; the holders no longer compute apart, so
   a fault of this machine's arithmetic would reach all of them. Costs parts x dim floats of memory.

   Errors: when open fails, transport.explain says why, and transport.close frees that text. A worker whose
   model fails sends nothing; the server sees it as DRACO_MALFORMED.

   Writing another transport (ZeroMQ, say): fill a draco_transport as draco_openmp_open does at the end of
   this file. It carries bytes and knows no code, no field and no vote:
     server  broadcast(request): send kind, round, step, params, extra to all n workers;
             collect(request, seconds, inbox): for every reply ask inbox.reserve for its memory (reply_bytes;
             NULL: drop it), copy the bytes there, report them by inbox.chunk, finish by inbox.end(WHOLE,
             ABSENT or MALFORMED), until all ended, end said DRACO_OK, or time is up;
             fetch(request, whom, ...): the same for some workers; exchange: several servers only.
     worker  receive(request), submit(request, reply, bytes; NULL: cannot).
     both    close; explain: the reason of the last error, naming the peer.
   Who a reply comes from is what the connection says, never what the bytes say; a reply of another round is
   dropped; nothing a peer sends sizes an allocation. draco_handshake.h compares what the
   two ends were configured with and words a failed open; draco_share.h joins the requests of several servers
   and cuts the reply for them; draco_liveness.h tells who is gone where a library does not.
   tests/support/conformance.h tries any transport.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#ifndef DRACO_OPENMP_H
#define DRACO_OPENMP_H

#include "../draco.h"

#define DRACO_OPENMP_VERSION 0x000100 /* 0.1.0 */
#ifndef DRACO_OPENMP_API
#ifdef DRACO_OPENMP_STATIC
#define DRACO_OPENMP_API static __attribute__((unused))
#else
#define DRACO_OPENMP_API extern
#endif
#endif
#ifndef DRACO_OPENMP_SMALL
#define DRACO_OPENMP_SMALL ((size_t)1 << 20)
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct draco_openmp_config {
    draco_worker_config worker; /* for all workers; keep: each of them keeps what it keeps, n times over */
    int threads;                /* default 0: omp_get_max_threads(), or 1 for small rounds */
    int share_parts;            /* compute each part once for all its holders */
} draco_openmp_config;

DRACO_OPENMP_API draco_status draco_openmp_open(draco_transport *transport,
                                                const draco_openmp_config *config);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_OPENMP_H */

#ifdef DRACO_OPENMP_IMPLEMENTATION
#ifndef DRACO_OPENMP_IMPLEMENTED
#define DRACO_OPENMP_IMPLEMENTED

#ifdef __cplusplus
#error "draco_openmp.h: the implementation is C11: compile it in a .c file"
#endif

#ifdef _OPENMP
#include <omp.h>
#define DRO_MAX_THREADS() omp_get_max_threads()
#define DRO_THREAD() omp_get_thread_num()
#define DRO_ALONE() omp_set_num_threads(1) /* what this thread calls starts no team of its own */
#define DRO_PRAGMA(words) _Pragma(#words)
#else
#define DRO_MAX_THREADS() 1
#define DRO_THREAD() 0
#define DRO_ALONE() ((void)0)
#define DRO_PRAGMA(words)
#endif
#include "draco_handshake.h"

#include <stdlib.h>
#include <string.h>

typedef struct draco_openmp {
    draco_openmp_config config;
    int n, threads;
    int dedicated;          /* a state for each worker; else one for whoever computes on a thread */
    draco_worker **workers; /* n when dedicated, else threads */
    draco_request request;
    const float *params; /* of the last request that carried any */
    draco_model model;   /* the caller's, with one workspace a thread and parts that may be shared */
    void **workspaces;   /* threads */
    float *parts;        /* code.parts x dim, reactive code: n x dim; or NULL */
    uint64_t parts_step;
    int parts_valid;
    draco_status parts_status;
} draco_openmp;

/* The calling thread's workspace, made when it is first needed. */
static draco_status dro_workspace(draco_openmp *t, void **workspace) {
    const draco_model *model = t->config.worker.model;
    int me = DRO_THREAD();
    if (!t->workspaces[me] && model->workspace_new) {
        draco_status status = model->workspace_new(model->ctx, &t->workspaces[me]);
        if (status < 0) return status;
    }
    *workspace = t->workspaces[me];
    return DRACO_OK;
}

static draco_status dro_gradient(void *ctx, void *none, const float *params, const draco_batch *batch,
                                 float *grad) {
    draco_openmp *t = ctx;
    const draco_model *model = t->config.worker.model;
    void *workspace;
    draco_status status;
    (void)none;
    if (batch->part >= 0 && t->parts_valid && t->parts_step == batch->step) {
        memcpy(grad, t->parts + (size_t)batch->part * model->dim, model->dim * sizeof(float));
        return t->parts_status;
    }
    status = dro_workspace(t, &workspace);
    return status < 0 ? status : model->gradient(model->ctx, workspace, params, batch, grad);
}

/* One gradient for each part of the batch of this step. */
static void dro_compute_parts(draco_openmp *t) {
    const draco_worker_config *w = &t->config.worker;
    draco_code code;
    int failed = 0, part;
    if (!t->parts || !t->request.params) return;
    t->parts_valid = 0;
    (void)draco_request_part(&w->code, &t->request, 0, &code);
    DRO_PRAGMA(omp parallel for num_threads(t->threads) schedule(dynamic, 1) reduction(| : failed))
    for (part = 0; part < code.parts; part++) {
        draco_batch batch = {
            .seed = w->seed, .step = t->request.step, .total = w->batch, .part = part, .worker = -1};
        draco_code_samples(&code, w->batch, part, &batch.first, &batch.count);
        DRO_ALONE();
        failed |= dro_gradient(t, NULL, t->params, &batch, t->parts + (size_t)part * w->model->dim) < 0;
    }
    t->parts_status = failed ? DRACO_E_MODEL : DRACO_OK;
    t->parts_step = t->request.step;
    t->parts_valid = 1;
}

static draco_worker *dro_worker(draco_openmp *t, int i) {
    draco_worker **worker = &t->workers[t->dedicated ? i : DRO_THREAD()];
    if (!*worker) {
        draco_worker_config config = t->config.worker;
        config.keep = t->dedicated;
        config.model = &t->model;
        if (draco_worker_open(worker, &config) < 0) *worker = NULL;
    }
    return *worker;
}

/* Worker i's whole part in a phase. The inbox's reserve and end belong to one thread at a time. */
static draco_status dro_answer(draco_openmp *t, int i, const draco_inbox *inbox) {
    draco_worker *worker = dro_worker(t, i);
    draco_request request = t->request;
    draco_arrival arrival = DRACO_ARRIVAL_MALFORMED;
    draco_status status;
    void *row;
    request.params = t->params;
    request.params_count = t->config.worker.model->dim;
    DRO_PRAGMA(omp critical(draco_openmp_inbox))
    row = inbox->reserve(inbox->ctx, i);
    if (row && worker && draco_worker_reply(worker, i, &request, row) >= 0) {
        inbox->chunk(inbox->ctx, i, 0, request.reply_bytes);
        arrival = DRACO_ARRIVAL_WHOLE;
    }
    DRO_PRAGMA(omp critical(draco_openmp_inbox))
    status = inbox->end(inbox->ctx, i, row ? arrival : DRACO_ARRIVAL_ABSENT);
    return status;
}

static draco_status dro_run(draco_openmp *t, const unsigned char *whom, const draco_inbox *inbox) {
    int enough = 0, i;
    DRO_PRAGMA(omp parallel for num_threads(t->threads) schedule(dynamic, 1))
    for (i = 0; i < t->n; i++) {
        int done;
        DRO_PRAGMA(omp atomic read)
        done = enough;
        if (done || (whom && !whom[i])) continue;
        DRO_ALONE();
        if (dro_answer(t, i, inbox) == DRACO_OK) {
            DRO_PRAGMA(omp atomic write)
            enough = 1;
        }
    }
    return DRACO_OK;
}

static draco_status dro_broadcast(void *ctx, const draco_request *request) {
    draco_openmp *t = ctx;
    if (request->params && request->params_count != t->config.worker.model->dim) return DRACO_E_CONFIG;
    t->request = *request;
    if (request->params) t->params = request->params;
    return t->params ? DRACO_OK : DRACO_E_ARGUMENT;
}

static draco_status dro_collect(void *ctx, const draco_request *request, double seconds,
                                const draco_inbox *inbox) {
    draco_openmp *t = ctx;
    (void)seconds;
    if (request->round != t->request.round) return DRACO_E_ARGUMENT;
    dro_compute_parts(t);
    return dro_run(t, NULL, inbox);
}

static draco_status dro_fetch(void *ctx, const draco_request *request, const unsigned char *whom,
                              double seconds, const draco_inbox *inbox) {
    draco_openmp *t = ctx;
    draco_status status = dro_broadcast(ctx, request);
    (void)seconds;
    return status < 0 ? status : dro_run(t, whom, inbox);
}

static draco_status dro_close(void *ctx) {
    draco_openmp *t = ctx;
    const draco_model *model = t->config.worker.model;
    for (int i = 0; t->workers && i < (t->dedicated ? t->n : t->threads); i++)
        draco_worker_close(t->workers[i]);
    for (int i = 0; t->workspaces && i < t->threads; i++)
        if (t->workspaces[i] && model->workspace_free) model->workspace_free(model->ctx, t->workspaces[i]);
    free(t->workers);
    free(t->workspaces);
    free(t->parts);
    free(t);
    return DRACO_OK;
}

static void dro_wrap_model(draco_openmp *t) {
    const draco_model *model = t->config.worker.model;
    t->model.size = sizeof t->model;
    t->model.name = model->name;
    t->model.ctx = t;
    t->model.dim = model->dim;
    t->model.parameters = model->parameters;
    t->model.gradient = dro_gradient;
}

/* Coordinates times samples of a round, all workers together: roughly its work. */
static int dro_is_small(const draco_openmp_config *config) {
    const draco_code *code = &config->worker.code;
    double copies = code->n * (double)draco_code_load(code, 0) / code->parts;
    return (double)config->worker.model->dim * (double)config->worker.batch * copies <
           (double)DRACO_OPENMP_SMALL;
}

DRACO_OPENMP_API draco_status draco_openmp_open(draco_transport *transport,
                                                const draco_openmp_config *config) {
    draco_openmp *t;
    draco_status status;
    if (!transport || !config) return DRACO_E_NULL;
    if (!config->worker.model) return draco_handshake_fail(transport, DRACO_E_NULL, "there is no model");
    if (config->worker.model->size < sizeof(draco_model))
        return draco_handshake_fail(transport, DRACO_E_SIZE, "the model's size is not that of a draco_model");
    t = calloc(1, sizeof *t);
    if (!t) return draco_handshake_fail(transport, DRACO_E_MEMORY, "no memory");
    t->config = *config;
    status = draco_code_init(&t->config.worker.code);
    if (status < 0) {
        free(t);
        return draco_handshake_fail(transport, status, "the code: %s", draco_status_text(status));
    }
    t->n = t->config.worker.code.n;
    t->threads = config->threads > 0 ? config->threads : dro_is_small(&t->config) ? 1 : DRO_MAX_THREADS();
    if (t->threads > t->n) t->threads = t->n;
    t->dedicated = config->worker.keep && !config->share_parts;
    t->workers = calloc((size_t)(t->dedicated ? t->n : t->threads), sizeof *t->workers);
    t->workspaces = calloc((size_t)t->threads, sizeof *t->workspaces);
    if (config->share_parts)
        t->parts = calloc((size_t)(t->config.worker.code.reactive ? t->n : t->config.worker.code.parts) *
                              config->worker.model->dim,
                          sizeof(float));
    if (!t->workers || !t->workspaces || (config->share_parts && !t->parts)) {
        dro_close(t);
        return draco_handshake_fail(transport, DRACO_E_MEMORY, "no memory for %d workers",
                                    config->worker.code.n);
    }
    dro_wrap_model(t);
    memset(transport, 0, sizeof *transport);
    transport->size = sizeof *transport;
    transport->name = "openmp";
    transport->ctx = t;
    transport->workers = t->n;
    transport->broadcast = dro_broadcast;
    transport->collect = dro_collect;
    transport->fetch = dro_fetch;
    transport->close = dro_close;
    return DRACO_OK;
}

#endif /* DRACO_OPENMP_IMPLEMENTED */
#endif /* DRACO_OPENMP_IMPLEMENTATION */
