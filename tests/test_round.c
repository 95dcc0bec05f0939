/* One round at a time, over a transport that misbehaves as told: order of arrival, chunks, sizes, bodies, exponents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DRACO_IMPLEMENTATION
#include "draco.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 9, D = 5000, BATCH = 36 };

typedef enum mischief {
    HONEST,
    LIES,      /* another body */
    WAVERS,    /* another body each time */
    GAP,       /* chunks that leave bytes out */
    OVERLAP,   /* chunks that come twice */
    TOO_LONG,  /* more than was asked for */
    TOO_SHORT, /* says it is whole, and is not */
    SILENT,
    LOST,             /* begins, and never ends */
    TWICE,            /* a second answer, with other bytes */
    LIES_OF_EXPONENTS /* in the first half of a prime round alone */
} mischief;

typedef struct toy {
    draco_transport transport;
    draco_worker *worker;
    draco_request asked;
    const float *params;
    mischief what[N];
    draco_request_kind when; /* 0: in every question */
    int order[N];
    size_t chunk; /* bytes; 0: whole */
    float noise;  /* replicas differ by this much */
    int fetches, asks;
    draco_status fails; /* of collect */
    int ended;
} toy;

/* A gradient with some shape: it depends on parameters, samples and coordinate. */
static draco_status toy_gradient(void *ctx, void *workspace, const float *params, const draco_batch *batch,
                                 float *grad) {
    (void)ctx;
    (void)workspace;
    for (size_t j = 0; j < D; j++) grad[j] = 0;
    for (size_t i = 0; i < batch->count; i++) {
        float x = (float)draco_sample(batch->seed, batch->step, batch->first + i, 1000) * 1e-3f;
        for (size_t j = 0; j < D; j++) grad[j] += x * (params[j] - (float)(j % 17));
    }
    return DRACO_OK;
}

static const draco_model toy_model = {
    .size = sizeof(draco_model), .name = "toy", .dim = D, .parameters = D, .gradient = toy_gradient};

static void deliver(const toy *t, const draco_inbox *in, int worker, mischief what) {
    size_t bytes = t->asked.reply_bytes, step = t->chunk ? t->chunk : bytes;
    if (what == GAP) {
        in->chunk(in->ctx, worker, 0, bytes / 2);
        in->chunk(in->ctx, worker, bytes / 2 + 4, bytes - bytes / 2 - 4);
        return;
    }
    if (what == TOO_LONG) {
        in->chunk(in->ctx, worker, 0, bytes + 1);
        in->chunk(in->ctx, worker, 0, SIZE_MAX);
        return;
    }
    if (what == TOO_SHORT) bytes -= 4;
    for (size_t at = 0; at < bytes; at += step)
        in->chunk(in->ctx, worker, at, step < bytes - at ? step : bytes - at);
    if (what == OVERLAP) in->chunk(in->ctx, worker, 0, 4);
}

/* The reply's part for this server, which is the first. */
static void reply_of(const toy *t, int worker, unsigned char *row) {
    static unsigned char whole[8 * D];
    draco_request request = t->asked;
    request.reply_bytes = draco_worker_reply_bytes(t->worker, worker, &request);
    assert_in_range(request.reply_bytes, t->asked.reply_bytes, sizeof whole);
    assert_int_equal(draco_worker_reply(t->worker, worker, &request, whole), DRACO_OK);
    memcpy(row, whole, t->asked.reply_bytes);
}

static draco_status answer(toy *t, const draco_inbox *in, int worker) {
    mischief what = t->when == 0 || t->when == t->asked.kind ? t->what[worker] : HONEST;
    unsigned char *row;
    draco_status status;
    if (what == SILENT) return DRACO_MORE;
    row = in->reserve(in->ctx, worker);
    if (!row) return DRACO_MORE;
    reply_of(t, worker, row);
    if (what == LIES || (what == LIES_OF_EXPONENTS && t->asked.kind == DRACO_REQUEST_EXPONENTS))
        row[t->asked.reply_bytes > 32 ? 30 : 1] ^= 0x15; /* 30: a high byte of coordinate 7 */
    if (what == WAVERS) row[1] ^= (unsigned char)t->asks;
    if (t->noise > 0 && t->asked.kind == DRACO_REQUEST_MESSAGE)
        for (size_t j = 0; j < D; j++) {
            float value;
            memcpy(&value, row + 4 * j, 4);
            value += t->noise * (float)(worker + 1) / N;
            memcpy(row + 4 * j, &value, 4);
        }
    if (what == LIES_OF_EXPONENTS && t->asked.kind == DRACO_REQUEST_PREDICTED)
        memset(row + 4 * D, worker % 2 ? 250 : 1, t->asked.reply_bytes - 4 * D);
    deliver(t, in, worker, what);
    if (what == LOST) return DRACO_MORE;
    t->ended++;
    status = in->end(in->ctx, worker, DRACO_ARRIVAL_WHOLE);
    if (what == TWICE) {
        assert_null(in->reserve(in->ctx, worker));
        in->chunk(in->ctx, worker, 0, 4);
        in->end(in->ctx, worker, DRACO_ARRIVAL_MALFORMED);
    }
    return status;
}

static draco_status toy_broadcast(void *ctx, const draco_request *request) {
    toy *t = ctx;
    t->asks++;
    t->asked = *request;
    if (request->params) t->params = request->params;
    t->asked.params = t->params;
    t->asked.params_count = D;
    return DRACO_OK;
}

static draco_status toy_collect(void *ctx, const draco_request *request, double seconds,
                                const draco_inbox *in) {
    toy *t = ctx;
    (void)request;
    (void)seconds;
    assert_null(in->reserve(in->ctx, -1));
    assert_null(in->reserve(in->ctx, N));
    in->chunk(in->ctx, N, 0, 4);
    assert_int_equal(in->end(in->ctx, N, DRACO_ARRIVAL_WHOLE), DRACO_MORE);
    t->ended = 0;
    for (int i = 0; i < N; i++)
        if (answer(t, in, t->order[i]) == DRACO_OK) break;
    return t->fails;
}

static draco_status toy_fetch(void *ctx, const draco_request *request, const unsigned char *whom,
                              double seconds, const draco_inbox *in) {
    toy *t = ctx;
    (void)seconds;
    toy_broadcast(ctx, request);
    for (int i = 0; i < N; i++) {
        if (!whom[i]) continue;
        t->fetches++;
        answer(t, in, i);
    }
    return DRACO_OK;
}

static const draco_seed secret = {{1, 2, 3}};

/* Everything for one round; the caller changes what it wants between the two calls. */
typedef struct bench {
    toy t;
    draco_server_config config;
    draco_server *server;
    float params[D], sum[D];
    draco_round round;
} bench;

static bench *bench_new(draco_code code) {
    bench *b = calloc(1, sizeof *b);
    draco_worker_config worker = {.model = &toy_model, .batch = BATCH, .seed = 4};
    code.n = N;
    worker.code = code;
    assert_int_equal(draco_worker_open(&b->t.worker, &worker), DRACO_OK);
    b->t.transport = (draco_transport){.size = sizeof(draco_transport),
                                       .name = "toy",
                                       .ctx = &b->t,
                                       .workers = N,
                                       .broadcast = toy_broadcast,
                                       .collect = toy_collect,
                                       .fetch = toy_fetch};
    for (int i = 0; i < N; i++) b->t.order[i] = i;
    for (int j = 0; j < D; j++) b->params[j] = (float)(j % 5), b->sum[j] = -7;
    b->config =
        (draco_server_config){.code = code, .transport = &b->t.transport, .dim = D, .secret = &secret};
    return b;
}

static draco_status bench_round(bench *b) {
    if (!b->server) assert_int_equal(draco_server_open(&b->server, &b->config), DRACO_OK);
    return draco_server_round(b->server, 6, b->params, b->sum, &b->round);
}

static void bench_free(bench *b) {
    draco_server_close(b->server);
    draco_worker_close(b->t.worker);
    free(b);
}

/* Three kinds of code, all with s = 1; n = 9. */
static const draco_code codes[] = {{.scheme = DRACO_REPETITION, .s = 1},
                                   {.scheme = DRACO_CYCLIC, .field = DRACO_FIELD_PRIME, .s = 1},
                                   {.scheme = DRACO_CYCLIC, .field = DRACO_FIELD_COMPLEX, .s = 1}};

static void honest_sum(draco_code code, float *sum) {
    bench *b = bench_new(code);
    assert_int_equal(bench_round(b), DRACO_OK);
    assert_int_equal(b->round.report.agreed, N);
    memcpy(sum, b->sum, sizeof b->sum);
    bench_free(b);
}

static void the_sum_is_the_gradient_of_the_batch(void **state) {
    float *expected = calloc(D, sizeof *expected), *sum = calloc(D, sizeof *sum),
          *params = calloc(D, sizeof *params);
    draco_batch batch = {.seed = 4, .step = 6, .count = BATCH, .total = BATCH};
    (void)state;
    for (int j = 0; j < D; j++) params[j] = (float)(j % 5);
    toy_gradient(NULL, NULL, params, &batch, expected);
    for (size_t c = 0; c < 3; c++) {
        honest_sum(codes[c], sum);
        for (int j = 0; j < D; j++)
            assert_true(fabsf(sum[j] - expected[j]) <= 1e-4f * (1 + fabsf(expected[j])));
    }
    free(expected);
    free(sum);
    free(params);
}

static void the_bits_do_not_depend_on_order_or_chunks(void **state) {
    static const size_t chunks[] = {0, 1, 3, 4096, 7777};
    float *sum = calloc(D, sizeof *sum);
    (void)state;
    for (size_t c = 0; c < 3; c++) {
        honest_sum(codes[c], sum);
        for (size_t k = 0; k < 5; k++) {
            bench *b = bench_new(codes[c]);
            b->t.chunk = chunks[k];
            for (int i = 0; i < N; i++) b->t.order[i] = (i * 4 + (int)k) % N;
            assert_int_equal(bench_round(b), DRACO_OK);
            assert_memory_equal(b->sum, sum, sizeof b->sum);
            bench_free(b);
        }
    }
    free(sum);
}

/* Whatever one worker does, the sum is right, and the one who did it is named as what it is. */
static void one_worker_cannot_harm(void **state) {
    static const struct {
        mischief what;
        draco_verdict verdict;
    } cases[] = {{LIES, DRACO_BLAMED},         {GAP, DRACO_MALFORMED}, {TOO_LONG, DRACO_MALFORMED},
                 {TOO_SHORT, DRACO_MALFORMED}, {SILENT, DRACO_ABSENT}, {LOST, DRACO_ABSENT},
                 {OVERLAP, DRACO_AGREES},      {TWICE, DRACO_AGREES}};
    float *sum = calloc(D, sizeof *sum);
    (void)state;
    for (size_t c = 0; c < 3; c++) {
        honest_sum(codes[c], sum);
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
            for (int who = 0; who < N; who += 4) {
                bench *b = bench_new(codes[c]);
                b->t.what[who] = cases[k].what;
                assert_int_equal(bench_round(b), DRACO_OK);
                for (int i = 0; i < N; i++)
                    assert_int_equal(b->round.verdicts[i], i == who ? cases[k].verdict : DRACO_AGREES);
                for (int j = 0; j < D; j++)
                    assert_true(fabsf(b->sum[j] - sum[j]) <= 1e-4f * (1 + fabsf(sum[j])));
                if (c < 2) assert_memory_equal(b->sum, sum, sizeof b->sum);
                bench_free(b);
            }
    }
    free(sum);
}

static void too_many_fail_and_change_nothing(void **state) {
    (void)state;
    for (size_t c = 0; c < 3; c++)
        for (int silent = 0; silent < 2; silent++) {
            bench *b = bench_new(codes[c]);
            for (int i = 0; i < N; i += 3) b->t.what[i] = silent ? SILENT : GAP; /* a whole group of three */
            assert_true(bench_round(b) < 0);
            assert_true(b->round.text[0] != 0);
            for (int j = 0; j < D; j++) assert_true(b->sum[j] == -7);
            bench_free(b);
        }
}

static void a_failing_transport_fails_the_round(void **state) {
    bench *b = bench_new(codes[0]);
    (void)state;
    b->t.fails = DRACO_E_TRANSPORT;
    assert_int_equal(bench_round(b), DRACO_E_TRANSPORT);
    assert_true(b->sum[0] == -7);
    b->t.fails = DRACO_OK; /* and the next one may be good again */
    assert_int_equal(bench_round(b), DRACO_OK);
    bench_free(b);
}

static void enough_is_enough(void **state) {
    float *sum = calloc(D, sizeof *sum);
    bench *b = bench_new(codes[0]);
    (void)state;
    honest_sum(codes[0], sum);
    b->config.wait = DRACO_WAIT_ENOUGH;
    assert_int_equal(bench_round(b), DRACO_OK);
    assert_int_equal(b->t.ended, 6); /* two equal copies in each of three groups */
    assert_memory_equal(b->sum, sum, sizeof b->sum);
    bench_free(b);
    free(sum);
}

/* A speaker that lies or fails costs one more body and one more challenge, and is named. */
static void a_lying_speaker_costs_one_body(void **state) {
    static const struct {
        mischief what;
        draco_verdict verdict;
    } cases[] = {{LIES, DRACO_BLAMED},
                 {TOO_SHORT, DRACO_MALFORMED},
                 {GAP, DRACO_MALFORMED},
                 {SILENT, DRACO_ABSENT},
                 {LOST, DRACO_ABSENT}};
    float *sum = calloc(D, sizeof *sum);
    (void)state;
    honest_sum(codes[0], sum);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bench *b = bench_new(codes[0]);
        b->config.challenge = 1;
        b->t.when = DRACO_REQUEST_BODY;
        b->t.what[0] = cases[k].what; /* worker 0 is asked first in its group */
        assert_int_equal(bench_round(b), DRACO_OK);
        /* A body that came costs a challenge of the two others in vain. */
        assert_int_equal(b->t.fetches, 3 + 4 + (cases[k].what == LIES ? 2 : 0) + 1 + 2);
        for (int i = 0; i < N; i++)
            assert_int_equal(b->round.verdicts[i], i ? DRACO_AGREES : cases[k].verdict);
        assert_memory_equal(b->sum, sum, sizeof b->sum);
        bench_free(b);
    }
    free(sum);
}

static void nobody_left_to_fetch_from(void **state) {
    bench *b = bench_new(codes[0]);
    (void)state;
    b->config.challenge = 1;
    b->t.when = DRACO_REQUEST_BODY;
    for (int i = 0; i < N; i++)
        if (i % 3 == 1) b->t.what[i] = LIES;
    assert_int_equal(bench_round(b), DRACO_E_NO_MAJORITY);
    assert_int_equal(b->round.report.group, 1);
    assert_non_null(strstr(b->round.text, "group 1"));
    assert_true(b->sum[0] == -7);
    bench_free(b);
}

static void a_lie_about_exponents_is_named(void **state) {
    float *sum = calloc(D, sizeof *sum);
    bench *b = bench_new(codes[1]);
    (void)state;
    honest_sum(codes[1], sum);
    b->t.what[5] = LIES_OF_EXPONENTS;
    assert_int_equal(bench_round(b), DRACO_OK);
    for (int i = 0; i < N; i++) assert_int_equal(b->round.verdicts[i], i == 5 ? DRACO_BLAMED : DRACO_AGREES);
    assert_memory_equal(b->sum, sum, sizeof b->sum);
    bench_free(b);
    free(sum);
}

/* Parameters of this size: gradients of theirs. */
static draco_status sized_round(bench *b, float size) {
    for (int j = 0; j < D; j++) b->params[j] = size * (float)(1000 + j % 5);
    return bench_round(b);
}

/* One request a round once there is something to predict from, whatever one liar says of its exponents; two when
   the gradients grow beyond what was predicted. The bits are those without a liar. */
static void exponents_are_predicted(void **state) {
    static const struct {
        float size;
        int asks;
    } rounds[] = {{1, 2}, {1, 1}, {1.5f, 1}, {0.01f, 1}, {100, 2}, {100, 1}, {1e-9f, 1}};
    bench *honest = bench_new(codes[1]), *b = bench_new(codes[1]);
    (void)state;
    for (size_t k = 0; k < sizeof rounds / sizeof *rounds; k++) {
        for (int i = 0; i < N; i++) b->t.what[i] = i == (int)k ? LIES_OF_EXPONENTS : HONEST;
        honest->t.asks = b->t.asks = 0;
        assert_int_equal(sized_round(honest, rounds[k].size), DRACO_OK);
        assert_int_equal(sized_round(b, rounds[k].size), DRACO_OK);
        assert_int_equal(honest->t.asks, rounds[k].asks);
        assert_int_equal(b->t.asks, rounds[k].asks);
        assert_int_equal(b->round.again, k > 0 && rounds[k].asks == 2);
        for (int i = 0; i < N; i++)
            assert_int_equal(b->round.verdicts[i], i == (int)k ? DRACO_BLAMED : DRACO_AGREES);
        assert_memory_equal(b->sum, honest->sum, sizeof b->sum);
    }
    bench_free(honest);
    bench_free(b);
}

/* After gradients have become a million times smaller, or for one round a million times larger, the sum is soon
   as precise as it was. */
static void predictions_follow_downwards(void **state) {
    bench *b = bench_new(codes[1]);
    (void)state;
    assert_int_equal(sized_round(b, 1), DRACO_OK);
    assert_int_equal(sized_round(b, 1), DRACO_OK);
    double before = b->round.report.error;
    assert_true(before > 0 && before < 1e-7);
    assert_int_equal(sized_round(b, 1e6f), DRACO_OK);
    assert_int_equal(sized_round(b, 1), DRACO_OK);
    assert_true(b->round.report.error > 1e3 * before);
    for (int k = 0; k < 40; k++) assert_int_equal(sized_round(b, 1), DRACO_OK);
    assert_true(b->round.report.error < 300 * before);
    bench_free(b);
}

/* A server that is given another's exponents goes on with its bits. */
static void exponents_can_be_carried_over(void **state) {
    bench *b = bench_new(codes[1]), *next = bench_new(codes[1]);
    uint8_t *from, *to;
    (void)state;
    assert_int_equal(sized_round(b, 1), DRACO_OK);
    assert_int_equal(draco_server_open(&next->server, &next->config), DRACO_OK);
    size_t bytes = draco_server_memory(b->server, &from);
    assert_int_equal(bytes, draco_exponent_bytes(D));
    assert_int_equal(draco_server_memory(next->server, &to), bytes);
    for (size_t k = 0; k < bytes; k++) assert_int_equal(to[k], 255);
    memcpy(to, from, bytes);
    assert_int_equal(sized_round(b, 0.3f), DRACO_OK);
    assert_int_equal(sized_round(next, 0.3f), DRACO_OK);
    assert_int_equal(next->t.asks, 1);
    assert_memory_equal(b->sum, next->sum, sizeof b->sum);
    bench_free(b);
    bench_free(next);
}

/* A sum beyond the largest float is an error of the round, in every code that is exact. */
static void a_sum_that_overflows_is_an_error(void **state) {
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        bench *b = bench_new(codes[c]);
        assert_int_equal(sized_round(b, 1e34f), DRACO_OK);
        assert_int_equal(sized_round(b, 3e34f), DRACO_E_RANGE);
        bench_free(b);
    }
}

/* Replicas that differ by rounding cannot vote exactly; within a tolerance they can, and the winner is one of them. */
static void rounding_needs_a_tolerance(void **state) {
    bench *b = bench_new(codes[0]);
    (void)state;
    b->t.noise = 1e-3f;
    assert_int_equal(bench_round(b), DRACO_E_NO_MAJORITY);
    draco_server_close(b->server);
    b->server = NULL;
    b->config.abs_tol = 1e-2f;
    b->t.what[4] = LIES;
    b->t.chunk = 0;
    assert_int_equal(bench_round(b), DRACO_OK);
    assert_true(b->sum[0] != -7);
    bench_free(b);
}

static void a_probe_tells_who_computes_alike(void **state) {
    bench *b = bench_new(codes[0]);
    int classes[N], count = 0;
    (void)state;
    b->t.what[2] = b->t.what[6] = LIES;
    b->t.what[3] = SILENT;
    b->t.what[5] = WAVERS;
    assert_int_equal(draco_server_open(&b->server, &b->config), DRACO_OK);
    assert_int_equal(draco_server_probe(b->server, 0, b->params, classes, &count), DRACO_OK);
    assert_int_equal(count, 3);
    assert_int_equal(classes[5], -2);
    assert_int_equal(classes[3], -1);
    assert_int_equal(classes[2], classes[6]);
    assert_int_not_equal(classes[2], classes[0]);
    assert_int_equal(classes[1], classes[0]);
    bench_free(b);
}

static void free_nothing(void *ctx, void *memory) {
    (void)ctx, (void)memory;
}

/* One change to a good description, and what opening says to it. */
typedef struct refusal {
    draco_status expected;
    draco_server_config config;
} refusal;

static void bad_configurations_are_refused(void **state) {
    bench *b = bench_new(codes[0]);
    draco_transport none = b->t.transport, old = none, empty = none, alone = none, wide = none;
    draco_rule unsized = {.name = "no size"}, idle = {.size = sizeof idle};
    draco_server *server = NULL;
    (void)state;
    none.size = 0;
    old.size = offsetof(draco_transport, collect); /* of an older header, without collect */
    empty.collect = NULL;
    alone.fetch = NULL;
    wide.servers = 2; /* and no exchange */
    {
        const draco_server_config c = b->config;
        refusal r[] = {{DRACO_E_NULL, c},     {DRACO_E_SIZE, c},     {DRACO_E_SIZE, c},
                       {DRACO_E_NULL, c},     {DRACO_E_NULL, c},     {DRACO_E_NULL, c},
                       {DRACO_E_CONFIG, c},   {DRACO_E_LIMITS, c},   {DRACO_E_DIM, c},
                       {DRACO_E_ARGUMENT, c}, {DRACO_E_ARGUMENT, c}, {DRACO_E_ARGUMENT, c},
                       {DRACO_E_ARGUMENT, c}, {DRACO_E_SIZE, c},     {DRACO_E_NULL, c},
                       {DRACO_E_ARGUMENT, c}, {DRACO_E_DIM, c}};
        r[0].config.transport = NULL;
        r[1].config.transport = &none;
        r[2].config.transport = &old;
        r[3].config.transport = &empty;
        r[4].config.transport = &alone;
        r[4].config.challenge = 1;
        r[5].config.transport = &wide;
        r[6].config.code.n = N + 1; /* not the transport's */
        r[7].config.code.s = 5;     /* r = 11 > n */
        r[8].config.dim = 0;
        r[9].config.challenge = 1;
        r[9].config.code.scheme = DRACO_CYCLIC;
        r[10].config.abs_tol = NAN;
        r[11].config.abs_tol = 1;
        r[11].config.code.scheme = DRACO_CYCLIC;
        r[12].config.abs_tol = 1;
        r[12].config.challenge = 1;
        r[13].config.rule = &unsized;
        r[14].config.rule = &idle;
        r[15].config.allocator.release = free_nothing;
        r[16].config.dim = SIZE_MAX;
        for (size_t k = 0; k < sizeof r / sizeof *r; k++) {
            draco_status status = draco_server_open(&server, &r[k].config);
            if (status != r[k].expected) print_error("refusal %zu: %s\n", k, draco_status_text(status));
            assert_int_equal(status, r[k].expected);
            assert_null(server);
        }
        assert_int_equal(draco_server_open(&server, NULL), DRACO_E_NULL);
        assert_int_equal(draco_server_open(NULL, &c), DRACO_E_NULL);
    }
    bench_free(b);
}

static void a_bad_worker_is_refused(void **state) {
    draco_model unsized = toy_model, empty = toy_model, no_dim = toy_model, huge = toy_model;
    draco_worker_config good = {.code = {.n = N, .s = 1}, .model = &toy_model, .batch = BATCH}, c;
    draco_worker *worker = NULL;
    (void)state;
    unsized.size = 0;
    empty.gradient = NULL;
    no_dim.dim = no_dim.parameters = 0;
    huge.dim = SIZE_MAX;
    c = good, c.model = NULL;
    assert_int_equal(draco_worker_open(&worker, &c), DRACO_E_NULL);
    c.model = &unsized;
    assert_int_equal(draco_worker_open(&worker, &c), DRACO_E_SIZE);
    c.model = &empty;
    assert_int_equal(draco_worker_open(&worker, &c), DRACO_E_NULL);
    c.model = &no_dim;
    assert_int_equal(draco_worker_open(&worker, &c), DRACO_E_DIM);
    c.model = &huge;
    assert_int_equal(draco_worker_open(&worker, &c), DRACO_E_DIM);
    c = good, c.batch = 0;
    assert_int_equal(draco_worker_open(&worker, &c), DRACO_E_BATCH);
    c = good, c.code.s = N;
    assert_int_equal(draco_worker_open(&worker, &c), DRACO_E_LIMITS);
    c = good, c.allocator.release = free_nothing;
    assert_int_equal(draco_worker_open(&worker, &c), DRACO_E_ARGUMENT);
    assert_int_equal(draco_worker_open(NULL, &good), DRACO_E_NULL);
    assert_null(worker);
}

static void a_worker_refuses_what_it_was_not_set_up_for(void **state) {
    bench *b = bench_new(codes[0]);
    static float reply[D];
    draco_request request = {
        .kind = DRACO_REQUEST_MESSAGE, .params = b->params, .params_count = D, .server = -1};
    (void)state;
    request.reply_bytes = 4 * D - 4;
    assert_int_equal(draco_worker_reply(b->t.worker, 0, &request, reply), DRACO_E_CONFIG);
    request.reply_bytes = 4 * D;
    request.params_count = D - 1;
    assert_int_equal(draco_worker_reply(b->t.worker, 0, &request, reply), DRACO_E_CONFIG);
    request.params_count = D;
    assert_int_equal(draco_worker_reply(b->t.worker, N, &request, reply), DRACO_E_INDEX);
    assert_int_equal(draco_worker_reply(b->t.worker, -1, &request, reply), DRACO_E_INDEX);
    request.server = 1; /* there is one, number 0 */
    assert_int_equal(draco_worker_reply(b->t.worker, 0, &request, reply), DRACO_E_CONFIG);
    request.server = -1;
    request.kind = DRACO_REQUEST_EXPONENTS;
    request.reply_bytes = draco_worker_reply_bytes(b->t.worker, 0, &request);
    assert_int_equal(draco_worker_reply(b->t.worker, 0, &request, reply), DRACO_E_CONFIG);
    request.kind = (draco_request_kind)77;
    request.reply_bytes = draco_worker_reply_bytes(b->t.worker, 0, &request);
    assert_true(draco_worker_reply(b->t.worker, 0, &request, reply) < 0);
    bench_free(b);
}

/* ---- Memory: open allocates, a step does not ---- */

typedef struct counter {
    long calls, live;
} counter;

static void *counted_alloc(void *ctx, size_t bytes) {
    counter *c = ctx;
    c->calls++, c->live++;
    return aligned_alloc(64, (bytes + 63) & ~(size_t)63);
}

static void counted_release(void *ctx, void *memory) {
    ((counter *)ctx)->live--;
    free(memory);
}

static draco_status descend(void *ctx, const draco_step_info *info, float *params, const float *gradient,
                            float *state, size_t count) {
    (void)ctx, (void)state;
    assert_true(info->norm > 0);
    for (size_t j = 0; j < count; j++) params[j] -= 1e-3f * gradient[j];
    return DRACO_OK;
}

static void keep_within(void *ctx, float *params) {
    (void)ctx;
    for (size_t j = 0; j < D; j++) params[j] = params[j] > 100 ? 100 : params[j];
}

/* The other servers say what this one says. */
static draco_status echo(void *ctx, const void *mine, size_t bytes, void *all) {
    const toy *t = ctx;
    for (int k = 0; k < t->transport.servers; k++) memcpy((char *)all + bytes * (size_t)k, mine, bytes);
    return DRACO_OK;
}

static draco_status first_of_all(void *ctx, const draco_inputs *in, float *sum, draco_verdict *verdicts,
                                 draco_report *report) {
    (void)ctx, (void)verdicts, (void)report;
    for (size_t j = 0; j < in->d; j++) sum[j] = (float)in->n * in->rows[0][j];
    return DRACO_OK;
}

/* Every kind of round, and several servers. */
static void steps_allocate_nothing(void **state) {
    static const draco_rule rule = {.size = sizeof rule, .name = "first", .aggregate = first_of_all};
    (void)state;
    for (int kind = 0; kind < 7; kind++) {
        draco_code code = codes[kind < 3 ? kind : 0];
        bench *b = bench_new(code);
        counter count = {0, 0};
        draco_allocator allocator = {&count, counted_alloc, counted_release};
        draco_model model = toy_model;
        draco_optimizer optimizer = {.size = sizeof optimizer, .wants_norm = 1, .step = descend};
        draco_trainer trainer = {.model = &model, .optimizer = &optimizer, .params = b->params};
        draco_worker_config worker = {.code = b->config.code, .model = &model, .batch = BATCH};
        long opened;
        worker.keep = 1;
        worker.allocator = b->config.allocator = allocator;
        model.project = keep_within;
        b->config.challenge = kind == 3 || kind == 6;
        b->config.abs_tol = kind == 4 ? 1e-3f : 0;
        b->config.rule = kind == 5 ? &rule : NULL;
        if (kind == 6) {
            worker.servers = b->t.transport.servers = 2;
            b->t.transport.exchange = echo;
        }
        draco_worker_close(b->t.worker);
        assert_int_equal(draco_worker_open(&b->t.worker, &worker), DRACO_OK);
        assert_int_equal(draco_server_open(&b->server, &b->config), DRACO_OK);
        b->t.what[4] = LIES;
        trainer.server = b->server;
        trainer.sum = b->sum;
        trainer.batch = BATCH;
        trainer.steps = 1;
        assert_int_equal(draco_train(&trainer), DRACO_OK);
        opened = count.calls;
        assert_true(opened > 0);
        trainer.first_step = 1;
        trainer.steps = 20;
        assert_int_equal(draco_train(&trainer), DRACO_OK);
        assert_int_equal(trainer.updates, 20);
        assert_int_equal(count.calls, opened);
        bench_free(b);
        assert_int_equal(count.live, 0);
    }
}

/* The worker's loop: its reply is allocated once. */
typedef struct script {
    counter count;
    long calls_at_second;
    int requests;
    uint64_t ended; /* what STOP says */
    const float *params;
} script;

static draco_status script_receive(void *ctx, draco_request *request) {
    script *s = ctx;
    if (++s->requests == 2) s->calls_at_second = s->count.calls;
    request->kind = s->requests > 10 ? DRACO_REQUEST_STOP : DRACO_REQUEST_MESSAGE;
    request->step = s->requests > 10 ? s->ended : (uint64_t)s->requests;
    request->params = s->params;
    request->params_count = D;
    request->reply_bytes = 4 * D;
    return DRACO_OK;
}

static draco_status script_submit(void *ctx, const draco_request *request, const void *reply, size_t bytes) {
    (void)ctx, (void)request;
    assert_non_null(reply);
    assert_int_equal(bytes, 4 * D);
    return DRACO_OK;
}

static void a_worker_allocates_its_reply_once(void **state) {
    static const float params[D];
    script s = {.params = params};
    draco_transport t = {
        .size = sizeof t, .ctx = &s, .workers = N, .receive = script_receive, .submit = script_submit};
    draco_worker_config config = {.code = {.n = N, .s = 1}, .model = &toy_model, .batch = BATCH};
    draco_worker *worker = NULL;
    (void)state;
    config.allocator = (draco_allocator){&s.count, counted_alloc, counted_release};
    assert_int_equal(draco_worker_open(&worker, &config), DRACO_OK);
    assert_int_equal(draco_worker_run(worker, 2, &t), DRACO_OK);
    assert_int_equal(s.requests, 11);
    assert_int_equal(s.count.calls, s.calls_at_second);
    assert_int_equal(draco_worker_run(worker, N, &t), DRACO_E_INDEX);
    s.ended = (uint64_t)-DRACO_E_STOPPED; /* ... and it learns that the run did not come to its end */
    assert_int_equal(draco_worker_run(worker, 2, &t), DRACO_E_STOPPED);
    s.ended = UINT64_MAX;
    assert_int_equal(draco_worker_run(worker, 2, &t), DRACO_E_TRANSPORT);
    draco_worker_close(worker);
    assert_int_equal(s.count.live, 0);
}

/* A test's model can lie as one worker, with no transport or inbox wrapped. */
static draco_status lies_as_three(void *ctx, void *workspace, const float *params, const draco_batch *batch,
                                  float *grad) {
    toy_gradient(ctx, workspace, params, batch, grad);
    if (batch->worker == 3) grad[7] += 1;
    return DRACO_OK;
}

static void a_model_can_lie_as_one_worker(void **state) {
    draco_model model = toy_model;
    float *sum = calloc(D, sizeof *sum);
    (void)state;
    model.gradient = lies_as_three;
    for (size_t c = 0; c < 3; c++) {
        bench *b = bench_new(codes[c]);
        draco_worker_config worker = {.code = b->config.code, .model = &model, .batch = BATCH, .seed = 4};
        honest_sum(codes[c], sum);
        draco_worker_close(b->t.worker);
        assert_int_equal(draco_worker_open(&b->t.worker, &worker), DRACO_OK);
        assert_int_equal(bench_round(b), DRACO_OK);
        for (int i = 0; i < N; i++)
            assert_int_equal(b->round.verdicts[i], i == 3 ? DRACO_BLAMED : DRACO_AGREES);
        if (c < 2) assert_memory_equal(b->sum, sum, sizeof b->sum);
        bench_free(b);
    }
    free(sum);
}

static void shards_cover_the_vector(void **state) {
    static const size_t dims[] = {1, 4095, 4096, 4097, 100000, 1033510};
    (void)state;
    for (size_t k = 0; k < 6; k++)
        for (int servers = 0; servers < 9; servers++) {
            size_t next = 0, first, count;
            for (int i = 0; i < (servers ? servers : 1); i++) {
                draco_shard(dims[k], servers, i, &first, &count);
                assert_int_equal(first, next);
                assert_true(first % DRACO_BLOCK == 0 || count == 0);
                next = first + count;
            }
            assert_int_equal(next, dims[k]);
        }
}

/* Random123's known answers for philox4x32-10, counter and key all ones and zeros. */
static void random_numbers_are_philox(void **state) {
    uint32_t out[4];
    (void)state;
    draco_random(0, 0, 0, out);
    assert_int_equal(out[0], 0x6627e8d5);
    assert_int_equal(out[1], 0xe169c58d);
    assert_int_equal(out[2], 0xbc57ac4c);
    assert_int_equal(out[3], 0x9b00dbd8);
    draco_random(UINT64_MAX, UINT64_MAX, UINT64_MAX, out);
    assert_int_equal(out[0], 0x408f276d);
    assert_int_equal(out[1], 0x41c83b0e);
    assert_int_equal(out[2], 0xa20bc7c6);
    assert_int_equal(out[3], 0x6d5451fd);
}

static void samples_are_uniform(void **state) {
    long counts[10] = {0};
    double chi = 0;
    (void)state;
    for (size_t i = 0; i < 100000; i++) counts[draco_sample(5, i / 100, i % 100, 10)]++;
    for (int k = 0; k < 10; k++) chi += (double)((counts[k] - 10000) * (counts[k] - 10000)) / 10000;
    assert_true(chi < 30); /* 9 degrees of freedom: 1 in 2000 */
    for (size_t i = 0; i < 1000; i++)
        assert_true(draco_sample(1, 2, i, ((size_t)1 << 40) + 3) <= ((size_t)1 << 40) + 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_is_the_gradient_of_the_batch),
        cmocka_unit_test(the_bits_do_not_depend_on_order_or_chunks),
        cmocka_unit_test(one_worker_cannot_harm),
        cmocka_unit_test(too_many_fail_and_change_nothing),
        cmocka_unit_test(a_failing_transport_fails_the_round),
        cmocka_unit_test(enough_is_enough),
        cmocka_unit_test(a_lying_speaker_costs_one_body),
        cmocka_unit_test(nobody_left_to_fetch_from),
        cmocka_unit_test(a_lie_about_exponents_is_named),
        cmocka_unit_test(exponents_are_predicted),
        cmocka_unit_test(predictions_follow_downwards),
        cmocka_unit_test(exponents_can_be_carried_over),
        cmocka_unit_test(a_sum_that_overflows_is_an_error),
        cmocka_unit_test(rounding_needs_a_tolerance),
        cmocka_unit_test(a_probe_tells_who_computes_alike),
        cmocka_unit_test(bad_configurations_are_refused),
        cmocka_unit_test(a_bad_worker_is_refused),
        cmocka_unit_test(a_worker_refuses_what_it_was_not_set_up_for),
        cmocka_unit_test(steps_allocate_nothing),
        cmocka_unit_test(a_worker_allocates_its_reply_once),
        cmocka_unit_test(a_model_can_lie_as_one_worker),
        cmocka_unit_test(shards_cover_the_vector),
        cmocka_unit_test(random_numbers_are_philox),
        cmocka_unit_test(samples_are_uniform),
    };
    return cmocka_run_group_tests_name("round", tests, NULL, NULL);
}
