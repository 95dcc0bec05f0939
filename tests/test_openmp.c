/* The OpenMP transport: the same bits for any number of threads, and small rounds without a team of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DRACO_IMPLEMENTATION
#include "draco.h"
#define DRACO_OPENMP_IMPLEMENTATION
#include "transports/draco_openmp.h"

typedef struct rows {
    float *memory;
    size_t d;
    int whole;
} rows;

static void *reserve(void *ctx, int worker) {
    rows *r = ctx;
    return r->memory + (size_t)worker * r->d;
}

static void chunk(void *ctx, int worker, size_t offset, size_t n) {
    (void)ctx, (void)worker, (void)offset, (void)n;
}

static draco_status end(void *ctx, int worker, draco_arrival arrival) {
    rows *r = ctx;
    (void)worker;
    r->whole += arrival == DRACO_ARRIVAL_WHOLE;
    return DRACO_MORE;
}

static int team; /* threads of the last round that called for a gradient */

static draco_status gradient(void *ctx, void *work, const float *params, const draco_batch *b, float *g) {
    const draco_model *model = ctx;
    (void)work;
    if (omp_get_num_threads() > 1) {
#pragma omp atomic write
        team = omp_get_num_threads();
    }
    for (size_t j = 0; j < model->dim; j++) g[j] = (float)b->count * params[j] / (float)(j + b->first + 1);
    return DRACO_OK;
}

/* One round of the repetition code's messages. Returns the threads it took. */
static int messages(size_t d, int threads, rows *r) {
    draco_model model = {.size = sizeof model, .dim = d, .parameters = d, .gradient = gradient};
    draco_openmp_config config = {.threads = threads};
    draco_request request = {.kind = DRACO_REQUEST_MESSAGE, .round = 1, .params_count = d};
    draco_inbox inbox = {sizeof inbox, r, reserve, chunk, end};
    draco_transport t;
    float *params = malloc(d * sizeof *params);
    for (size_t j = 0; j < d; j++) params[j] = (float)(j % 17) - 8.3f;
    model.ctx = &model;
    config.worker.model = &model;
    config.worker.batch = 30;
    config.worker.code.n = 9;
    config.worker.code.s = 1;
    request.params = params;
    request.reply_bytes = d * sizeof(float);
    r->d = d;
    r->memory = calloc(9 * d, sizeof *r->memory);
    r->whole = 0;
    team = 1;
    assert_int_equal(draco_openmp_open(&t, &config), DRACO_OK);
    assert_int_equal(t.broadcast(t.ctx, &request), DRACO_OK);
    assert_int_equal(t.collect(t.ctx, &request, 10, &inbox), DRACO_OK);
    t.close(t.ctx);
    free(params);
    assert_int_equal(r->whole, 9);
    return team;
}

static void threads_change_no_bit(void **state) {
    static const size_t sizes[] = {1, 100, 11000, 12000, 100003};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        rows one, three;
        assert_int_equal(messages(sizes[i], 1, &one), 1);
        omp_set_num_threads(3); /* by default as many, but one when 3 copies of 30 samples are little work */
        assert_int_equal(messages(sizes[i], 0, &three), 90 * sizes[i] < DRACO_OPENMP_SMALL ? 1 : 3);
        assert_memory_equal(one.memory, three.memory, 9 * sizes[i] * sizeof(float));
        free(one.memory);
        free(three.memory);
    }
}

static void a_failed_open_is_explained(void **state) {
    draco_openmp_config config = {.threads = 1};
    draco_transport t;
    (void)state;
    assert_true(draco_openmp_open(&t, &config) < 0);
    assert_non_null(strstr(t.explain(t.ctx), "model"));
    t.close(t.ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(a_failed_open_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
