/* Encoders and a decoder: every code at odd sizes, liars, missing workers, verdicts, memory, arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DRACO_STATIC
#define DRACO_IMPLEMENTATION
#include "draco.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 15 };

static const draco_code codes[] = {
    {.n = 15, .s = 2},
    {.n = 9, .s = 1, .t = 1},
    {.n = 7, .s = 2, .scheme = DRACO_CYCLIC, .field = DRACO_FIELD_COMPLEX},
    {.n = 7, .s = 1, .t = 2, .scheme = DRACO_CYCLIC, .field = DRACO_FIELD_COMPLEX},
    {.n = 7, .s = 2, .scheme = DRACO_CYCLIC, .field = DRACO_FIELD_PRIME},
    {.n = 8, .s = 1, .t = 2, .scheme = DRACO_CYCLIC, .field = DRACO_FIELD_PRIME},
};
static const size_t sizes[] = {1, 7, 4097, 8191};

static int is_prime(const draco_code *code) {
    return code->scheme == DRACO_CYCLIC && code->field == DRACO_FIELD_PRIME;
}

static size_t dim; /* of the gradient now asked for */
static int calls;

/* A SUM over samples, all of it with few bits: exact in every order. */
static draco_status gradient(void *ctx, int part, size_t first, size_t count, float *g) {
    (void)part;
    calls++;
    for (size_t j = 0; j < dim; j++) {
        g[j] = 0;
        for (size_t i = first; i < first + count; i++)
            g[j] += (float)((j * 31 + i * 17) % 101) - 50 + *(const float *)ctx;
    }
    return DRACO_OK;
}

/* n encoders, a decoder, and where their bytes are: one program that plays both ends. */
typedef struct cluster {
    draco_coding coding;
    draco_encoder *worker[MOST];
    draco_decoder *server;
    void *message[MOST];
    const void *agreed;
    float offset, *sum;
    draco_round round;
    int asked; /* times in this round */
} cluster;

static void cluster_open(cluster *c, const draco_code *code, size_t d) {
    memset(c, 0, sizeof *c);
    dim = d;
    c->coding.d = d;
    c->coding.code = *code;
    c->coding.batch = 40;
    c->coding.gradient = gradient;
    c->coding.ctx = &c->offset;
    c->sum = calloc(d, sizeof(float));
    assert_int_equal(draco_coding_init(&c->coding), DRACO_OK);
    assert_int_equal(draco_decoder_open(&c->server, &c->coding), DRACO_OK);
    for (int i = 0; i < code->n; i++)
        assert_int_equal(draco_encoder_open(&c->worker[i], &c->coding, i), DRACO_OK);
}

static void cluster_close(cluster *c) {
    for (int i = 0; i < c->coding.code.n; i++) draco_encoder_close(c->worker[i]);
    draco_decoder_close(c->server);
    free(c->sum);
}

static void cluster_encode(cluster *c) {
    c->agreed = draco_decoder_agreed(c->server);
    for (int i = 0; i < c->coding.code.n; i++)
        assert_int_equal(draco_encoder_message(c->worker[i], c->agreed, &c->message[i]), DRACO_OK);
    c->asked++;
}

/* A round to the messages that are decoded; what follows is the test's. */
static draco_status cluster_try(cluster *c) {
    float *unused = malloc(c->coding.d * sizeof(float));
    draco_status status;
    c->asked = 0;
    do {
        cluster_encode(c);
        status = draco_decoder_decode(c->server, c->message, unused, &c->round);
    } while (status == DRACO_E_AGAIN);
    free(unused);
    return status;
}

static void cluster_ready(cluster *c) {
    assert_int_equal(cluster_try(c), DRACO_OK);
}

static void assert_sum(const cluster *c, double scale) {
    for (size_t j = 0; j < c->coding.d; j++) {
        double want = 0, slack = c->coding.code.scheme == DRACO_CYCLIC ? 1e-2 : 0;
        if (c->coding.code.field == DRACO_FIELD_PRIME) slack = 1e-4;
        for (size_t i = 0; i < 40; i++) want += (double)((j * 31 + i * 17) % 101) - 50 + (double)c->offset;
        assert_true(fabs((double)c->sum[j] - scale * want) <= scale * slack);
    }
}

static void liars_and_missing(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++)
        for (size_t z = 0; z < sizeof sizes / sizeof sizes[0]; z++) {
            cluster c;
            cluster_open(&c, &codes[k], sizes[z]);
            float *honest = calloc(c.coding.d, sizeof(float));
            for (int round = 0; round < 3; round++) {
                c.offset = (float)round;
                cluster_ready(&c);
                assert_int_equal(c.asked, is_prime(&codes[k]) && round == 0 ? 2 : 1);
                assert_int_equal(draco_decoder_decode(c.server, c.message, honest, &c.round), DRACO_OK);
                assert_int_equal(c.round.report.agreed, codes[k].n);
                for (int i = 0; i < codes[k].s; i++) /* the last bit of the last byte but one of the float */
                    ((unsigned char *)c.message[i])[draco_message_bytes(&c.coding.code, sizes[z]) - 2] ^=
                        0x10;
                for (int i = 0; i < codes[k].t; i++) c.message[codes[k].n - 1 - i] = NULL;
                draco_status status = draco_decoder_decode(c.server, c.message, c.sum, &c.round);
                assert_int_equal(status, DRACO_OK);
                assert_int_equal(c.round.status, DRACO_OK);
                assert_string_equal(c.round.text, "");
                int odd_pad = codes[k].field == DRACO_FIELD_COMPLEX && codes[k].scheme == DRACO_CYCLIC;
                if (!odd_pad) assert_memory_equal(c.sum, honest, c.coding.d * sizeof(float));
                assert_sum(&c, 1);
                if (codes[k].scheme == DRACO_CYCLIC)
                    for (int i = 0; i < codes[k].n; i++)
                        assert_int_equal(c.round.verdicts[i], i < codes[k].s                 ? DRACO_BLAMED
                                                              : i >= codes[k].n - codes[k].t ? DRACO_ABSENT
                                                                                             : DRACO_AGREES);
            }
            free(honest);
            cluster_close(&c);
        }
}

static uint8_t *report_of(const cluster *c, int worker) {
    return (uint8_t *)c->message[worker] + draco_message_bytes(&c->coding.code, c->coding.d);
}

static size_t report_bytes(const cluster *c) {
    return c->coding.message_bytes - draco_message_bytes(&c->coding.code, c->coding.d);
}

/* Whoever lies about an exponent is blamed in all of the round, and the report counts it once. */
static void lies_about_exponents(void **state) {
    (void)state;
    cluster c;
    cluster_open(&c, &codes[4], 4097);
    cluster_encode(&c);
    report_of(&c, 3)[1] ^= 1;
    c.message[5] = NULL;
    memset(report_of(&c, 6), 255, report_bytes(&c));
    c.sum[0] = 77;
    assert_int_equal(draco_decoder_decode(c.server, c.message, c.sum, &c.round), DRACO_E_AGAIN);
    assert_true(c.sum[0] == 77);
    assert_string_equal(c.round.text,
                        "the gradients have outgrown what was agreed on: ask for the messages again; "
                        "blamed 3; absent 5; malformed 6");
    cluster_encode(&c);
    assert_int_equal(draco_decoder_decode(c.server, c.message, c.sum, &c.round), DRACO_OK);
    assert_int_equal(c.round.verdicts[3], DRACO_BLAMED);
    assert_int_equal(c.round.report.blamed, 1);
    assert_int_equal(c.round.report.agreed, 6);
    assert_sum(&c, 1);

    /* As many liars as the code carries do not make the server ask again; gradients that grow do, once. */
    cluster_encode(&c);
    for (int i = 0; i < 2; i++) memset(report_of(&c, i), 250, report_bytes(&c));
    assert_int_equal(draco_decoder_decode(c.server, c.message, c.sum, &c.round), DRACO_OK);
    assert_int_equal(c.round.report.blamed, 2);
    assert_sum(&c, 1);
    c.offset = 16384;
    cluster_ready(&c);
    assert_int_equal(c.asked, 2);
    assert_int_equal(c.round.report.agreed, 7);
    c.offset = 8192;
    cluster_ready(&c);
    assert_int_equal(c.asked, 1);

    /* Too many lies: no exponents, and the reason in words. */
    cluster_encode(&c);
    for (int i = 0; i < 4; i++) memset(report_of(&c, i), 7 + i, report_bytes(&c));
    c.sum[0] = 77;
    assert_true(draco_decoder_decode(c.server, c.message, c.sum, &c.round) < 0);
    assert_true(c.sum[0] == 77 && c.round.text[0] != 0);
    c.offset = 0;
    cluster_ready(&c);
    cluster_close(&c);
}

/* A worker that hears of a round only when it is asked again computes the gradients then, not those of an older one. */
static void a_request_that_was_lost(void **state) {
    (void)state;
    cluster c;
    cluster_open(&c, &codes[4], 7);
    cluster_ready(&c);
    c.offset = 100000;
    c.agreed = draco_decoder_agreed(c.server);
    for (int i = 0; i < 6; i++)
        assert_int_equal(draco_encoder_message(c.worker[i], c.agreed, &c.message[i]), DRACO_OK);
    c.message[6] = NULL;
    assert_int_equal(draco_decoder_decode(c.server, c.message, c.sum, &c.round), DRACO_E_AGAIN);
    calls = 0;
    cluster_encode(&c);
    assert_int_equal(calls, c.coding.code.r);
    assert_int_equal(draco_decoder_decode(c.server, c.message, c.sum, &c.round), DRACO_OK);
    assert_int_equal(c.round.report.agreed, 7);
    cluster_close(&c);
}

/* A sum that cannot be decoded leaves the outputs alone and says why; more messages may save it. */
static void too_few_then_more(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++) {
        cluster c;
        cluster_open(&c, &codes[k], 7);
        cluster_ready(&c);
        void *some[MOST] = {0};
        for (size_t j = 0; j < 7; j++) c.sum[j] = 77;
        assert_true(draco_decoder_decode(c.server, some, c.sum, &c.round) < 0);
        assert_true(c.round.status < 0 && c.round.text[0]);
        assert_int_equal(c.round.report.absent, codes[k].n);
        for (size_t j = 0; j < 7; j++) assert_true(c.sum[j] == 77);
        assert_int_equal(draco_decoder_decode(c.server, c.message, c.sum, &c.round), DRACO_OK);
        assert_sum(&c, 1);
        cluster_close(&c);
    }
}

/* Arrays of pointers of any type go in as they are: this compiles without a cast or a warning. */
static void arrays_of_pointers(void **state) {
    (void)state;
    cluster c;
    cluster_open(&c, &codes[1], 7);
    cluster_ready(&c);
    float *floats[MOST], **heap = malloc(MOST * sizeof *heap), sums[4][7];
    const void *constant[MOST];
    for (int i = 0; i < codes[1].n; i++) constant[i] = floats[i] = heap[i] = c.message[i];
    float *const *view = floats;
    assert_int_equal(draco_decoder_decode(c.server, heap, sums[0], NULL), DRACO_OK);
    assert_int_equal(draco_decoder_decode(c.server, view, sums[1], NULL), DRACO_OK);
    assert_int_equal(draco_decoder_decode(c.server, constant, sums[2], NULL), DRACO_OK);
    assert_int_equal(draco_decoder_decode(c.server, c.message, sums[3], NULL), DRACO_OK);
    for (int k = 1; k < 4; k++) assert_memory_equal(sums[0], sums[k], sizeof sums[0]);
    free(heap);
    cluster_close(&c);
}

static void sums_and_means(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++) {
        cluster c;
        cluster_open(&c, &codes[k], 7);
        cluster_ready(&c);
        float mean[7];
        assert_int_equal(draco_decoder_decode(c.server, c.message, c.sum, NULL), DRACO_OK);
        draco_decoder_close(c.server);
        c.coding.scale = 1.0 / 40;
        assert_int_equal(draco_decoder_open(&c.server, &c.coding), DRACO_OK);
        cluster_ready(&c);
        assert_int_equal(draco_decoder_decode(c.server, c.message, mean, NULL), DRACO_OK);
        for (int j = 0; j < 7; j++) assert_true(mean[j] == (float)(1.0 / 40 * (double)c.sum[j]));
        cluster_close(&c);
    }
}

/* ---- Memory ---- */

typedef struct counter {
    int allocated, released, fail_at; /* fail_at: the number of the call that fails, 0: none */
    size_t bytes;
    void *most; /* the largest block, and its size */
    size_t most_bytes;
} counter;

static void *counted_alloc(void *ctx, size_t bytes) {
    counter *c = ctx;
    if (++c->allocated == c->fail_at || bytes > (size_t)1 << 30) return NULL;
    c->bytes += bytes;
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (bytes > c->most_bytes) c->most = memory;
    if (bytes > c->most_bytes) c->most_bytes = bytes;
    return memory;
}

static void counted_release(void *ctx, void *memory) {
    ((counter *)ctx)->released++;
    free(memory);
}

static void nothing_is_allocated_in_a_round(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++) {
        counter count = {0};
        cluster c;
        cluster_open(&c, &codes[k], 4097);
        c.coding.allocator = (draco_allocator){&count, counted_alloc, counted_release};
        draco_decoder_close(c.server);
        assert_int_equal(draco_decoder_open(&c.server, &c.coding), DRACO_OK);
        for (int i = 0; i < codes[k].n; i++) {
            draco_encoder_close(c.worker[i]);
            count.bytes = 0;
            assert_int_equal(draco_encoder_open(&c.worker[i], &c.coding, i), DRACO_OK);
            if (codes[k].scheme == DRACO_REPETITION) /* the gradient is computed in the message */
                assert_true(count.bytes < c.coding.message_bytes + 1000);
        }
        int before = count.allocated;
        assert_true(before > 0);
        for (int round = 0; round < 3; round++) {
            cluster_ready(&c);
            memset(c.message[0], 1, c.coding.message_bytes);
            assert_int_equal(draco_decoder_decode(c.server, c.message, c.sum, &c.round), DRACO_OK);
        }
        assert_int_equal(count.allocated, before);
        assert_int_equal(count.released, 0);
        cluster_close(&c);
        assert_int_equal(count.released, count.allocated);
    }
}

/* The decoder's work memory holds the keys of the round: after two decodes of the same messages it differs.
   */
static void secrets_are_fresh(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++) {
        counter count = {0};
        cluster c;
        cluster_open(&c, &codes[k], 7);
        draco_decoder_close(c.server);
        c.coding.allocator = (draco_allocator){&count, counted_alloc, counted_release};
        assert_int_equal(draco_decoder_open(&c.server, &c.coding), DRACO_OK);
        cluster_ready(&c);
        assert_int_equal(draco_decoder_decode(c.server, c.message, c.sum, NULL), DRACO_OK);
        void *before = malloc(count.most_bytes);
        memcpy(before, count.most, count.most_bytes);
        assert_int_equal(draco_decoder_decode(c.server, c.message, c.sum, NULL), DRACO_OK);
        assert_true(memcmp(before, count.most, count.most_bytes) != 0);
        free(before);
        cluster_close(&c);
    }
}

/* Each allocation fails once: an error, nothing leaks, and the handle is NULL. */
static void memory_runs_out(void **state) {
    (void)state;
    for (size_t k = 0; k < 2 * sizeof codes / sizeof codes[0]; k++) {
        draco_coding coding = {.d = 7, .code = codes[k / 2], .gradient = gradient};
        draco_status status = DRACO_E_MEMORY;
        for (int at = 1; status != DRACO_OK; at++) {
            counter count = {.fail_at = at};
            draco_encoder *worker = NULL;
            draco_decoder *server = NULL;
            coding.allocator = (draco_allocator){&count, counted_alloc, counted_release};
            if (k % 2)
                status = draco_encoder_open(&worker, &coding, 0);
            else
                status = draco_decoder_open(&server, &coding);
            if (status != DRACO_OK) {
                assert_int_equal(status, DRACO_E_MEMORY);
                assert_true(!worker && !server);
                assert_int_equal(count.allocated, count.released + 1);
            }
            draco_encoder_close(worker);
            draco_decoder_close(server);
        }
    }
}

/* ---- Arguments ---- */

static draco_status no_gradient(void *ctx, int part, size_t first, size_t count, float *g) {
    (void)ctx, (void)part, (void)first, (void)count, (void)g;
    return DRACO_E_MODEL;
}

static draco_status not_finite(void *ctx, int part, size_t first, size_t count, float *g) {
    (void)ctx, (void)part, (void)first, (void)count;
    g[0] = NAN;
    return DRACO_OK;
}

static void descriptions_at_fault(void **state) {
    (void)state;
    draco_coding good = {.d = 7, .code = {.n = 5, .s = 1}, .gradient = gradient}, bad;
    draco_encoder *worker = NULL;
    draco_decoder *server = NULL;
    const struct {
        size_t d;
        int n, s, t;
        draco_status status;
    } faults[] = {
        {0, 5, 1, 0, DRACO_E_DIM},    {SIZE_MAX, 5, 1, 0, DRACO_E_DIM}, {SIZE_MAX / 4, 5, 1, 0, DRACO_E_DIM},
        {7, 2, 1, 0, DRACO_E_LIMITS}, {7, 0, 0, 0, DRACO_E_LIMITS},     {7, 5, -1, 0, DRACO_E_LIMITS},
        {7, 5, 1, 3, DRACO_E_LIMITS}, {7, 5000, 1, 0, DRACO_E_LIMITS}};
    for (size_t k = 0; k < sizeof faults / sizeof faults[0]; k++) {
        bad = good;
        bad.d = faults[k].d;
        bad.code = (draco_code){.n = faults[k].n, .s = faults[k].s, .t = faults[k].t};
        assert_int_equal(draco_coding_init(&bad), faults[k].status);
        assert_int_equal(bad.message_bytes, 0);
        assert_int_equal(draco_encoder_open(&worker, &bad, 0), faults[k].status);
        assert_int_equal(draco_decoder_open(&server, &bad), faults[k].status);
        assert_null(worker);
        assert_null(server);
    }
    bad = good;
    bad.d = (size_t)1 << (SIZE_MAX > 0xffffffffu ? 31 : 28); /* memory that is not there */
    bad.code.scheme = DRACO_CYCLIC;
    bad.allocator = (draco_allocator){&(counter){0}, counted_alloc, counted_release};
    assert_int_equal(draco_encoder_open(&worker, &bad, 0), DRACO_E_MEMORY);
    bad.code.field = DRACO_FIELD_PRIME;
    assert_int_equal(draco_encoder_open(&worker, &bad, 0), DRACO_E_MEMORY);
    bad = good;
    bad.allocator.alloc = counted_alloc;
    assert_int_equal(draco_decoder_open(&server, &bad), DRACO_E_ARGUMENT);
    assert_int_equal(draco_encoder_open(&worker, &bad, 0), DRACO_E_ARGUMENT);
    const double scales[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (size_t k = 0; k < sizeof scales / sizeof scales[0]; k++) {
        bad = good;
        bad.scale = scales[k];
        assert_int_equal(draco_decoder_open(&server, &bad), DRACO_E_ARGUMENT);
    }
    bad = good;
    bad.code.scheme = (draco_scheme)2;
    assert_int_equal(draco_decoder_open(&server, &bad), DRACO_E_SCHEME);
    bad = (draco_coding){0};
    assert_int_equal(draco_encoder_open(&worker, &bad, 0), DRACO_E_LIMITS);
    assert_int_equal(draco_decoder_open(&server, &bad), DRACO_E_LIMITS);
    bad = good;
    bad.gradient = NULL;
    assert_int_equal(draco_encoder_open(&worker, &bad, 0), DRACO_E_NULL);
    const int no_worker[] = {-1, 5, 5000, INT32_MAX, INT32_MIN};
    for (size_t k = 0; k < sizeof no_worker / sizeof no_worker[0]; k++)
        assert_int_equal(draco_encoder_open(&worker, &good, no_worker[k]), DRACO_E_INDEX);
    assert_int_equal(draco_encoder_open(NULL, &good, 0), DRACO_E_NULL);
    assert_int_equal(draco_encoder_open(&worker, NULL, 0), DRACO_E_NULL);
    assert_int_equal(draco_decoder_open(NULL, &good), DRACO_E_NULL);
    assert_int_equal(draco_decoder_open(&server, NULL), DRACO_E_NULL);
    assert_int_equal(draco_coding_init(NULL), DRACO_E_NULL);
    draco_encoder_close(NULL);
    draco_decoder_close(NULL);
}

/* A round that was refused says so: nothing of an older round is left in it. */
static const draco_verdict *refused(cluster *c, draco_status want, draco_status status) {
    const draco_verdict *verdicts = c->round.verdicts;
    assert_int_equal(status, want);
    assert_int_equal(c->round.status, want);
    assert_string_equal(c->round.text, draco_status_text(want));
    memset(&c->round, 0x55, sizeof c->round);
    return verdicts;
}

static void calls_at_fault(void **state) {
    (void)state;
    cluster c;
    void *out = &c;
    float sum[7] = {0};
    cluster_open(&c, &codes[4], 7);
    assert_int_equal(draco_encoder_message(NULL, sum, &out), DRACO_E_NULL);
    assert_null(out);
    assert_int_equal(draco_encoder_message(c.worker[0], sum, NULL), DRACO_E_NULL);
    assert_int_equal(draco_encoder_message(c.worker[0], NULL, &out), DRACO_E_NULL);
    assert_null(draco_decoder_agreed(NULL));
    assert_int_equal(draco_decoder_decode(NULL, c.message, sum, NULL), DRACO_E_NULL);
    assert_int_equal(draco_decoder_decode(c.server, NULL, sum, NULL), DRACO_E_NULL);
    assert_int_equal(draco_decoder_decode(c.server, c.message, NULL, NULL), DRACO_E_NULL);
    assert_int_equal(draco_decoder_decode(c.server, c.message, sum, NULL), DRACO_E_ORDER); /* before agreed */
    refused(&c, DRACO_E_ORDER, draco_decoder_decode(c.server, c.message, sum, &c.round));
    const draco_verdict *none =
        refused(&c, DRACO_E_NULL, draco_decoder_decode(c.server, NULL, sum, &c.round));
    for (int i = 0; i < codes[4].n; i++) assert_int_equal(none[i], DRACO_UNDECIDED);
    refused(&c, DRACO_E_NULL, draco_decoder_decode(c.server, c.message, NULL, &c.round));
    assert_null(refused(&c, DRACO_E_NULL, draco_decoder_decode(NULL, c.message, sum, &c.round)));
    cluster_close(&c);
}

/* A worker whose gradient fails has no message, and to the decoder it is a missing worker. */
static void gradients_at_fault(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++) {
        draco_coding coding = {.d = 1, .code = codes[k], .gradient = no_gradient};
        draco_encoder *worker;
        uint8_t agreed[16] = {0};
        void *out = &coding;
        assert_int_equal(draco_encoder_open(&worker, &coding, 0), DRACO_OK);
        assert_int_equal(draco_encoder_message(worker, agreed, &out), DRACO_E_MODEL);
        assert_null(out);
        draco_encoder_close(worker);
        coding.gradient = not_finite;
        assert_int_equal(draco_encoder_open(&worker, &coding, 0), DRACO_OK);
        if (is_prime(&codes[k])) assert_int_equal(draco_encoder_message(worker, agreed, &out), DRACO_E_RANGE);
        draco_encoder_close(worker);
    }
}

static draco_status fails_when_told(void *ctx, int part, size_t first, size_t count, float *g) {
    (void)part, (void)first, (void)count;
    g[0] = 1;
    return *(const draco_status *)ctx;
}

/* A round that failed leaves no gradients of an older round to be encoded; one that is asked for again needs none. */
static void a_round_after_a_failure(void **state) {
    (void)state;
    draco_status told = DRACO_OK;
    draco_coding coding = {.d = 1, .code = codes[4], .gradient = fails_when_told, .ctx = &told};
    draco_encoder *worker;
    void *message;
    uint8_t first[9] = {1, 0, 0, 0, 0, 0, 0, 0, 200}, second[9] = {2, 0, 0, 0, 0, 0, 0, 0, 200};
    assert_int_equal(draco_encoder_open(&worker, &coding, 0), DRACO_OK);
    assert_int_equal(draco_encoder_message(worker, first, &message), DRACO_OK);
    told = DRACO_E_STOPPED;
    assert_int_equal(draco_encoder_message(worker, first, &message), DRACO_OK);
    assert_int_equal(draco_encoder_message(worker, second, &message), DRACO_E_STOPPED);
    assert_null(message);
    assert_int_equal(draco_encoder_message(worker, first, &message), DRACO_E_STOPPED);
    assert_int_equal(draco_encoder_message(worker, second, &message), DRACO_E_STOPPED);
    told = DRACO_OK;
    assert_int_equal(draco_encoder_message(worker, second, &message), DRACO_OK);
    draco_encoder_close(worker);
}

/* Anything but DRACO_OK from the callback is a failure; a positive status never looks like a success. */
static void a_positive_status_is_no_gradient(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++) {
        draco_status told = DRACO_MORE;
        draco_coding coding = {.d = 1, .code = codes[k], .gradient = fails_when_told, .ctx = &told};
        draco_encoder *worker;
        uint8_t agreed[16] = {0};
        void *out = &coding;
        assert_int_equal(draco_encoder_open(&worker, &coding, 0), DRACO_OK);
        assert_int_equal(draco_encoder_message(worker, agreed, &out), DRACO_E_MODEL);
        assert_null(out);
        draco_encoder_close(worker);
    }
}

static draco_status huge_gradient(void *ctx, int part, size_t first, size_t count, float *g) {
    (void)part, (void)first, (void)count;
    g[0] = *(const float *)ctx;
    return DRACO_OK;
}

/* Five parts of 1e38 have no sum in float: an error, and the sum untouched. Of 3e37 they have one, which a scale of 10
   takes away. */
static void a_sum_that_overflows(void **state) {
    (void)state;
    for (size_t k = 0; k < 12; k++) {
        draco_code code = {.n = 5, .s = 1, .scheme = k % 3 ? DRACO_CYCLIC : DRACO_REPETITION};
        if (code.scheme == DRACO_REPETITION) code.n = 15;
        if (k % 3 == 1) code.field = DRACO_FIELD_COMPLEX;
        float each = k / 3 == 0 ? 1e38f : 3e37f, sum[1] = {77};
        const double scales[] = {1, 0.2, 10, -10};
        draco_coding coding = {.d = 1, .code = code, .gradient = huge_gradient, .ctx = &each};
        coding.scale = scales[k / 3];
        cluster c = {.coding = coding};
        assert_int_equal(draco_coding_init(&c.coding), DRACO_OK);
        assert_int_equal(draco_decoder_open(&c.server, &c.coding), DRACO_OK);
        for (int i = 0; i < code.n; i++)
            assert_int_equal(draco_encoder_open(&c.worker[i], &c.coding, i), DRACO_OK);
        draco_status want = k / 3 == 1 ? DRACO_OK : DRACO_E_RANGE;
        dim = 1;
        assert_int_equal(cluster_try(&c), want);
        assert_int_equal(draco_decoder_decode(c.server, c.message, sum, &c.round), want);
        assert_int_equal(c.round.status, want);
        if (k / 3 == 0) assert_true(sum[0] == 77);
        if (k / 3 == 1) assert_true(fabs((double)sum[0] / 3e37 - 1) < 1e-5);
        if (k / 3 >= 2) assert_true(fabs((double)sum[0] / 1.5e38 - 1) < 1e-5);
        cluster_close(&c);
    }
}

/* Zero in a description: one sample a part, sums, malloc. Gradients are computed once in a round. */
static void defaults(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++) {
        draco_coding zero = {0};
        zero.d = 7;
        zero.code = codes[k];
        assert_int_equal(draco_coding_init(&zero), DRACO_OK);
        assert_int_equal(zero.batch, zero.code.parts);
        assert_true(zero.scale == 1);
        size_t report = is_prime(&codes[k]) ? ((size_t)zero.code.r + 3) / 4 * 4 : 0;
        assert_int_equal(zero.message_bytes, draco_message_bytes(&zero.code, 7) + report);
        assert_int_equal(zero.agreed_bytes, is_prime(&codes[k]) ? 9 : 0);
        cluster c;
        cluster_open(&c, &codes[k], 7);
        calls = 0;
        cluster_ready(&c);
        int load = 0;
        for (int i = 0; i < codes[k].n; i++) load += draco_code_load(&c.coding.code, i);
        assert_int_equal(calls, load);
        if (!is_prime(&codes[k])) assert_null(c.agreed);
        cluster_close(&c);
    }
}

/* ---- Gradients in double ---- */

static void doubles_are_rounded_to_nearest(void **state) {
    (void)state;
    const double values[] = {0.1,      -1.0 / 3, 1 + 0x1p-24, 1 + 0x3p-24, 0x1p-149, 0x1p-150, FLT_MAX,
                             -FLT_MAX, 0};
    const float want[] = {0.1f, -1.0f / 3, 1, 1 + 0x1p-22f, 0x1p-149f, 0, FLT_MAX, -FLT_MAX, 0};
    enum { COUNT = sizeof values / sizeof values[0] };
    float rounded[COUNT];
    assert_int_equal(draco_floats_of(values, COUNT, rounded), DRACO_OK);
    for (int i = 0; i < COUNT; i++) assert_true(rounded[i] == want[i]);
    const double beyond[] = {INFINITY, -INFINITY, NAN, -NAN, DBL_MAX, (double)FLT_MAX * (1 + DBL_EPSILON)};
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        double two[2] = {1, beyond[i]};
        rounded[0] = 5;
        assert_int_equal(draco_floats_of(two, 2, rounded), DRACO_E_RANGE);
        assert_true(rounded[0] == 5);
    }
    assert_int_equal(draco_floats_of(NULL, 1, rounded), DRACO_E_NULL);
    assert_int_equal(draco_floats_of(values, 1, NULL), DRACO_E_NULL);
    assert_int_equal(draco_floats_of(values, 0, rounded), DRACO_OK);
}

static draco_status gradient_in_double(void *ctx, int part, size_t first, size_t count, float *g) {
    double own[7];
    (void)ctx, (void)first, (void)count;
    for (int j = 0; j < 7; j++) own[j] = (j + 1) / (3.0 + part);
    return draco_floats_of(own, 7, g);
}

static void doubles_end_to_end(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++) {
        cluster c;
        cluster_open(&c, &codes[k], 7);
        for (int i = 0; i < codes[k].n; i++) {
            draco_encoder_close(c.worker[i]);
            c.coding.gradient = gradient_in_double;
            assert_int_equal(draco_encoder_open(&c.worker[i], &c.coding, i), DRACO_OK);
        }
        cluster_ready(&c);
        assert_int_equal(draco_decoder_decode(c.server, c.message, c.sum, NULL), DRACO_OK);
        for (int j = 0; j < 7; j++) {
            double want = 0;
            for (int part = 0; part < c.coding.code.parts; part++) want += (j + 1) / (3.0 + part);
            assert_true(fabs((double)c.sum[j] - want) < 2e-6 * (want + 1));
        }
        cluster_close(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(liars_and_missing),
        cmocka_unit_test(lies_about_exponents),
        cmocka_unit_test(a_request_that_was_lost),
        cmocka_unit_test(too_few_then_more),
        cmocka_unit_test(arrays_of_pointers),
        cmocka_unit_test(sums_and_means),
        cmocka_unit_test(nothing_is_allocated_in_a_round),
        cmocka_unit_test(secrets_are_fresh),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(descriptions_at_fault),
        cmocka_unit_test(calls_at_fault),
        cmocka_unit_test(gradients_at_fault),
        cmocka_unit_test(a_round_after_a_failure),
        cmocka_unit_test(a_positive_status_is_no_gradient),
        cmocka_unit_test(a_sum_that_overflows),
        cmocka_unit_test(defaults),
        cmocka_unit_test(doubles_are_rounded_to_nearest),
        cmocka_unit_test(doubles_end_to_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
