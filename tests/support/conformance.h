/* conformance.h - what every transport must make of the same run: the same bits.

   One table of cases (codes, rules, modes), a small model whose gradient is told in closed form, lies and
   silences that are drawn from the step's number, and a reference on the OpenMP transport. A transport's test
   runs conformance_serve on each server and conformance_work on each worker, and compares the parameters with
   conformance_reference. The including program has the implementations of draco.h, draco_openmp.h,
   draco_optim.h and draco_rules.h in it. */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include "baselines/draco_rules.h"
#include "models/draco_optim.h"
#include "transports/draco_openmp.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef CONFORMANCE_DIM
#define CONFORMANCE_DIM 10007u /* odd, three blocks of DRACO_BLOCK: one for each of three servers */
#endif
#define CONFORMANCE_BATCH 36u

/* What a test may set before it runs: steps, the server's deadline, and somebody who watches the rounds. */
static uint64_t conformance_steps = 4;
static double conformance_deadline = 30;
static void (*conformance_watcher)(uint64_t step, const draco_round *round);

typedef struct conformance_case {
    const char *name;
    draco_code code;
    const char *rule; /* NULL: decode */
    int challenge;
    float tolerance;
    int servers; /* most servers this can be spread over */
} conformance_case;

static const conformance_case conformance_cases[] = {
    {.name = "repetition n=7 s=1", .code = {.scheme = DRACO_REPETITION, .n = 7, .s = 1}, .servers = 3},
    {.name = "repetition n=8 s=1 t=1",
     .code = {.scheme = DRACO_REPETITION, .n = 8, .s = 1, .t = 1},
     .servers = 3},
    {.name = "repetition n=7 s=1, challenge",
     .code = {.scheme = DRACO_REPETITION, .n = 7, .s = 1},
     .challenge = 1,
     .servers = 3},
    {.name = "repetition n=6 s=1 t=1, reactive",
     .code = {.scheme = DRACO_REPETITION, .n = 6, .s = 1, .t = 1, .reactive = 1},
     .challenge = 1,
     .servers = 3},
    {.name = "repetition n=6 s=2, reactive",
     .code = {.scheme = DRACO_REPETITION, .n = 6, .s = 2, .reactive = 1},
     .challenge = 1,
     .servers = 3},
    {.name = "repetition n=6 s=1, tolerance",
     .code = {.scheme = DRACO_REPETITION, .n = 6, .s = 1},
     .tolerance = 1e-6f,
     .servers = 1},
    {.name = "cyclic complex n=7 s=1 t=1",
     .code = {.scheme = DRACO_CYCLIC, .field = DRACO_FIELD_COMPLEX, .n = 7, .s = 1, .t = 1},
     .servers = 3},
    {.name = "cyclic complex contiguous n=7 s=2",
     .code = {.scheme = DRACO_CYCLIC,
              .field = DRACO_FIELD_COMPLEX,
              .support = DRACO_SUPPORT_CONTIGUOUS,
              .n = 7,
              .s = 2},
     .servers = 3},
    {.name = "cyclic prime n=7 s=1 t=1",
     .code = {.scheme = DRACO_CYCLIC, .field = DRACO_FIELD_PRIME, .n = 7, .s = 1, .t = 1},
     .servers = 3},
    {.name = "cyclic prime n=8 s=2",
     .code = {.scheme = DRACO_CYCLIC, .field = DRACO_FIELD_PRIME, .n = 8, .s = 2},
     .servers = 3},
    {.name = "mean", .code = {.n = 6}, .rule = "mean", .servers = 1},
    {.name = "geometric median", .code = {.n = 6}, .rule = "geometric-median", .servers = 1},
    {.name = "median", .code = {.n = 7}, .rule = "median", .servers = 1},
    {.name = "trimmed mean", .code = {.n = 7}, .rule = "trimmed-mean", .servers = 1},
    {.name = "krum", .code = {.n = 7}, .rule = "krum", .servers = 1},
    {.name = "multi-krum", .code = {.n = 7}, .rule = "multi-krum", .servers = 1},
    {.name = "centred clipping", .code = {.n = 7}, .rule = "centred-clipping", .servers = 1},
};
#define CONFORMANCE_CASES (sizeof conformance_cases / sizeof conformance_cases[0])

typedef enum conformance_mode {
    CONFORMANCE_HONEST = 0,
    CONFORMANCE_LIARS = 1,
    CONFORMANCE_LIARS_AND_SILENT = 2,
    CONFORMANCE_MODES = 3
} conformance_mode;

__attribute__((unused)) static const char *conformance_mode_name(int mode) {
    return mode == CONFORMANCE_HONEST ? "honest" : mode == CONFORMANCE_LIARS ? "liars" : "liars and silent";
}

typedef enum conformance_part { CONFORMANCE_PLAIN, CONFORMANCE_LIAR, CONFORMANCE_SILENT } conformance_part;

/* What this worker does in this step: the liars and, after them, the silent ones stand in a row. */
static conformance_part conformance_role(const conformance_case *c, int mode, uint64_t step, int worker) {
    uint32_t word[4];
    int n = c->code.n, liars = c->rule ? 1 : c->code.s, place;
    draco_random(99, step, 0, word);
    place = (worker + n - (int)(word[0] % (uint32_t)n)) % n;
    if (mode == CONFORMANCE_HONEST) return CONFORMANCE_PLAIN;
    if (place < liars) return CONFORMANCE_LIAR;
    if (mode == CONFORMANCE_LIARS_AND_SILENT && place < liars + c->code.t) return CONFORMANCE_SILENT;
    return CONFORMANCE_PLAIN;
}

/* ---- Lies: loud in even steps (everything is wrong), quiet in odd ones (one number is) ---- */

static uint32_t conformance_wrong_word(const conformance_case *c, uint64_t step, uint32_t word) {
    const uint32_t p = 2147483647u;
    float value;
    if (c->code.scheme == DRACO_CYCLIC && c->code.field == DRACO_FIELD_PRIME)
        return (word % p + (step % 2 ? 1u : 12345u)) % p;
    memcpy(&value, &word, sizeof value);
    value = step % 2 ? value + 1000.0f : -100.0f;
    memcpy(&word, &value, sizeof word);
    return word;
}

/* bytes: [offset, offset + n) of the worker's whole answer, offset a multiple of 4. */
static void conformance_lie(const conformance_case *c, draco_request_kind ask, uint64_t step,
                            unsigned char *bytes, size_t offset, size_t n) {
    int quiet = step % 2 != 0;
    if (ask == DRACO_REQUEST_EXPONENTS || ask == DRACO_REQUEST_FINGERPRINT) {
        for (size_t i = 0; i < n && !quiet; i++) bytes[i] = (unsigned char)(bytes[i] + 3);
        return;
    }
    if (ask != DRACO_REQUEST_MESSAGE && ask != DRACO_REQUEST_ENCODED && ask != DRACO_REQUEST_PREDICTED &&
        ask != DRACO_REQUEST_BODY)
        return;
    for (size_t i = 0; i + 4 <= n && (!quiet || offset + i == 0); i += 4) {
        uint32_t word;
        memcpy(&word, bytes + i, 4);
        word = conformance_wrong_word(c, step, word);
        memcpy(bytes + i, &word, 4);
    }
}

/* ---- The model: coordinate j of sample i pulls towards a number drawn for (i, j) ---- */

static draco_status conformance_init(void *ctx, uint64_t seed, float *params) {
    (void)ctx;
    for (size_t j = 0; j < CONFORMANCE_DIM; j++) params[j] = (float)((j * 7 + seed) % 13) * 0.125f - 0.75f;
    return DRACO_OK;
}

static draco_status conformance_gradient(void *ctx, void *workspace, const float *params,
                                         const draco_batch *batch, float *grad) {
    (void)ctx;
    (void)workspace;
    memset(grad, 0, CONFORMANCE_DIM * sizeof *grad);
    for (size_t k = 0; k < batch->count; k++) {
        uint64_t sample = draco_sample(batch->seed, batch->step, batch->first + k, 1000);
        for (size_t j = 0; j < CONFORMANCE_DIM; j++) {
            uint64_t h = (sample * 1000003u + j) * UINT64_C(0x9E3779B97F4A7C15);
            float target = (float)((h >> 40) & 0xffffu) / 65536.0f - 0.5f;
            grad[j] += params[j] - target;
        }
    }
    return DRACO_OK;
}

static draco_model conformance_model(void) {
    draco_model m;
    memset(&m, 0, sizeof m);
    m.size = sizeof m;
    m.name = "conformance";
    m.dim = m.parameters = CONFORMANCE_DIM;
    m.init = conformance_init;
    m.gradient = conformance_gradient;
    return m;
}

static draco_worker_config conformance_worker_config(const conformance_case *c, const draco_model *model,
                                                     int servers) {
    draco_worker_config w;
    memset(&w, 0, sizeof w);
    w.code = c->code;
    (void)draco_code_init(&w.code);
    w.model = model;
    w.batch = CONFORMANCE_BATCH;
    w.seed = 5;
    w.keep = 1;
    w.servers = servers;
    return w;
}

/* ---- A worker that lies and falls silent as its role says ---- */

__attribute__((unused)) static draco_status conformance_work(const conformance_case *c, int mode, int index,
                                                             int servers, const draco_transport *t) {
    draco_model model = conformance_model();
    draco_worker_config config = conformance_worker_config(c, &model, servers);
    unsigned char *reply = malloc(8 * CONFORMANCE_DIM);
    draco_worker *worker = NULL;
    draco_status status = reply ? draco_worker_open(&worker, &config) : DRACO_E_MEMORY;
    while (status >= 0) {
        draco_request request = {.server = -1};
        conformance_part part;
        size_t bytes, first = 0, count;
        status = t->receive(t->ctx, &request);
        if (status == DRACO_E_STOPPED || request.kind == DRACO_REQUEST_STOP) status = DRACO_E_STOPPED;
        if (status < 0) break;
        part = conformance_role(c, mode, request.step, index);
        bytes = draco_worker_reply_bytes(worker, index, &request);
        status = draco_worker_reply(worker, index, &request, reply);
        if (status < 0) break;
        if (request.server >= 0) draco_shard(CONFORMANCE_DIM, servers, request.server, &first, &count);
        if (part == CONFORMANCE_LIAR) conformance_lie(c, request.kind, request.step, reply, 4 * first, bytes);
        if (part != CONFORMANCE_SILENT) status = t->submit(t->ctx, &request, reply, bytes);
    }
    draco_worker_close(worker);
    free(reply);
    return status == DRACO_E_STOPPED ? DRACO_OK : status;
}

/* ---- A server ---- */

typedef struct conformance_watch {
    const conformance_case *c;
    int mode, wrong; /* wrong: verdicts that should have been others */
} conformance_watch;

static draco_status conformance_on_round(void *ctx, uint64_t step, int attempt, const draco_round *round,
                                         const draco_score *score) {
    conformance_watch *w = ctx;
    (void)attempt;
    if (conformance_watcher) conformance_watcher(step, round);
    for (int i = 0; i < w->c->code.n && score && !w->c->rule; i++) {
        draco_verdict v = round->verdicts[i];
        conformance_part part = conformance_role(w->c, w->mode, step, i);
        /* Who answers the challenge rightly is only found out when it is asked for the body. */
        int hidden = w->c->challenge && step % 2 != 0;
        if (part == CONFORMANCE_PLAIN) w->wrong += v == DRACO_BLAMED || v == DRACO_MALFORMED;
        if (part == CONFORMANCE_LIAR && !hidden) w->wrong += v != DRACO_BLAMED;
        if (part == CONFORMANCE_SILENT) w->wrong += v != DRACO_ABSENT;
    }
    return DRACO_OK;
}

/* params: CONFORMANCE_DIM floats, out: whole on every server. wrong: verdicts that are not as they must be.
 */
static draco_status conformance_serve(const conformance_case *c, int mode, const draco_transport *transport,
                                      float *params, int *wrong) {
    draco_model model = conformance_model();
    draco_server_config config = {.code = c->code,
                                  .transport = transport,
                                  .dim = CONFORMANCE_DIM,
                                  .deadline = conformance_deadline,
                                  .challenge = c->challenge,
                                  .abs_tol = c->tolerance,
                                  .rule_f = 1};
    draco_optim_config optim = {.kind = DRACO_OPTIM_MOMENTUM, .rate = 0.05f, .clip = 100.0f};
    draco_optim memory;
    draco_optimizer optimizer;
    draco_rule rule;
    draco_rule_options options = {0};
    draco_server *server = NULL;
    conformance_watch watch = {c, mode, 0};
    float *state = calloc(CONFORMANCE_DIM, sizeof *state), *sum = calloc(CONFORMANCE_DIM, sizeof *sum);
    draco_status status = draco_optim_open(&optimizer, &memory, &optim);
    if (status >= 0) status = draco_code_init(&config.code);
    if (status >= 0 && c->rule) status = draco_rule_make(&rule, c->rule, &options);
    if (status >= 0 && c->rule) config.rule = &rule;
    if (status >= 0) status = draco_server_open(&server, &config);
    if (status >= 0) {
        draco_trainer trainer = {.server = server,
                                 .model = &model,
                                 .optimizer = &optimizer,
                                 .params = params,
                                 .state = state,
                                 .sum = sum,
                                 .batch = CONFORMANCE_BATCH,
                                 .steps = conformance_steps,
                                 .policy = DRACO_POLICY_STOP,
                                 .on_round = conformance_on_round,
                                 .on_round_ctx = &watch};
        model.init(model.ctx, 3, params);
        status = draco_train(&trainer);
        if (status >= 0) status = draco_server_gather(server, params);
        draco_server_close(server);
    }
    if (config.rule) draco_rule_free(&rule);
    free(state);
    free(sum);
    *wrong = watch.wrong;
    return status;
}

/* ---- The reference: OpenMP, with the lies told on the way into the inbox ---- */

typedef struct conformance_liars {
    const conformance_case *c;
    int mode;
    draco_transport inner;
    const draco_request *request;
    const draco_inbox *outer;
    unsigned char *row[64];
} conformance_liars;

static void *conformance_reserve(void *ctx, int worker) {
    conformance_liars *l = ctx;
    return l->row[worker] = l->outer->reserve(l->outer->ctx, worker);
}

static void conformance_chunk(void *ctx, int worker, size_t offset, size_t n) {
    conformance_liars *l = ctx;
    if (conformance_role(l->c, l->mode, l->request->step, worker) == CONFORMANCE_LIAR)
        conformance_lie(l->c, l->request->kind, l->request->step, l->row[worker] + offset, offset, n);
    l->outer->chunk(l->outer->ctx, worker, offset, n);
}

static draco_status conformance_end(void *ctx, int worker, draco_arrival arrival) {
    conformance_liars *l = ctx;
    if (conformance_role(l->c, l->mode, l->request->step, worker) == CONFORMANCE_SILENT)
        arrival = DRACO_ARRIVAL_ABSENT;
    return l->outer->end(l->outer->ctx, worker, arrival);
}

static draco_status conformance_collect(void *ctx, const draco_request *request, double seconds,
                                        const draco_inbox *outer) {
    conformance_liars *l = ctx;
    draco_inbox inbox = {sizeof inbox, l, conformance_reserve, conformance_chunk, conformance_end};
    l->request = request;
    l->outer = outer;
    return l->inner.collect(l->inner.ctx, request, seconds, &inbox);
}

static draco_status conformance_fetch(void *ctx, const draco_request *request, const unsigned char *whom,
                                      double seconds, const draco_inbox *outer) {
    conformance_liars *l = ctx;
    draco_inbox inbox = {sizeof inbox, l, conformance_reserve, conformance_chunk, conformance_end};
    l->request = request;
    l->outer = outer;
    return l->inner.fetch(l->inner.ctx, request, whom, seconds, &inbox);
}

static draco_status conformance_broadcast(void *ctx, const draco_request *request) {
    conformance_liars *l = ctx;
    return l->inner.broadcast(l->inner.ctx, request);
}

__attribute__((unused)) static draco_status conformance_reference(const conformance_case *c, int mode,
                                                                  float *params, int *wrong) {
    draco_model model = conformance_model();
    draco_openmp_config config = {.worker = conformance_worker_config(c, &model, 1), .threads = 1};
    conformance_liars liars = {.c = c, .mode = mode};
    draco_transport outer;
    draco_status status = draco_openmp_open(&liars.inner, &config);
    if (status < 0) return status;
    outer = liars.inner;
    outer.ctx = &liars;
    outer.broadcast = conformance_broadcast;
    outer.collect = conformance_collect;
    outer.fetch = conformance_fetch;
    status = conformance_serve(c, mode, &outer, params, wrong);
    liars.inner.close(liars.inner.ctx);
    return status;
}

#endif /* CONFORMANCE_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
