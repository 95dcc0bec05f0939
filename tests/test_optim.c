/* Optimizers and schedules: golden values, shards and threads with the same bits, values out of range. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#define DRACO_OPTIM_IMPLEMENTATION
#include "models/draco_optim.h"
#include "golden/optim.h"

static const double *const golden[] = {golden_sgd, golden_momentum, golden_nesterov, golden_adam,
                                       golden_adamw};

static draco_optim_config golden_config(int kind) {
    draco_optim_config c = {.kind = (draco_optim_kind)kind,
                            .rate = 0.05f,
                            .momentum = 0.8f,
                            .beta1 = 0.85f,
                            .beta2 = 0.95f,
                            .epsilon = 1e-6f,
                            .weight_decay = 0.02f,
                            .clip = 4.0f};
    return c;
}

static double norm_of(const double *g, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += g[i] * g[i];
    return sqrt(sum);
}

static void golden_values(void **unused) {
    (void)unused;
    for (int kind = 0; kind < 5; kind++) {
        draco_optim memory;
        draco_optimizer o;
        draco_optim_config c = golden_config(kind);
        float p[GOLDEN_N], g[GOLDEN_N], state[2 * GOLDEN_N] = {0};
        assert_int_equal(draco_optim_open(&o, &memory, &c), DRACO_OK);
        assert_true(o.wants_norm);
        for (int i = 0; i < GOLDEN_N; i++) p[i] = (float)golden_start[i];
        for (int k = 0; k < GOLDEN_STEPS; k++) {
            const double *gradient = golden_gradients + k * GOLDEN_N;
            draco_step_info info = {(uint64_t)k, norm_of(gradient, GOLDEN_N)};
            for (int i = 0; i < GOLDEN_N; i++) g[i] = (float)gradient[i];
            assert_int_equal(o.step(o.ctx, &info, p, g, state, GOLDEN_N), DRACO_OK);
            for (int i = 0; i < GOLDEN_N; i++)
                assert_float_equal(p[i], (float)golden[kind][k * GOLDEN_N + i], 2e-6f);
        }
    }
}

static void golden_rates(void **unused) {
    (void)unused;
    static const double *const rates[] = {golden_rates_constant, golden_rates_step, golden_rates_cosine};
    for (int schedule = 0; schedule < 3; schedule++) {
        draco_optim memory;
        draco_optimizer o;
        draco_optim_config c = {
            .rate = 1.0f, .warmup = 4, .period = 3, .factor = 0.5f, .steps = 12, .floor = 0.125f};
        c.schedule = (draco_schedule)schedule;
        assert_int_equal(draco_optim_open(&o, &memory, &c), DRACO_OK);
        for (uint64_t k = 0; k < 16; k++)
            assert_true(fabs(draco_optim_rate(&memory, k) - rates[schedule][k]) < 1e-12);
    }
}

/* One vector of random numbers for the tests of bits. */
static void fill(float *values, size_t count, uint32_t seed) {
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)(int32_t)seed * 0x1p-31f;
    }
}

/* The parameters after `steps` steps, taken in pieces of `shard` coordinates, each with its own state. */
static void walk(int kind, size_t count, size_t shard, int threads, float *p) {
    draco_optim memory;
    draco_optimizer o;
    draco_optim_config c = golden_config(kind);
    float *g = malloc(count * sizeof *g), *state = calloc(2 * count, sizeof *state);
    assert_int_equal(draco_optim_open(&o, &memory, &c), DRACO_OK);
    omp_set_num_threads(threads);
    fill(p, count, 1);
    for (uint64_t k = 0; k < 4; k++) {
        draco_step_info info = {k, 7.0};
        fill(g, count, (uint32_t)k + 2);
        for (size_t first = 0; first < count; first += shard) {
            size_t n = count - first < shard ? count - first : shard;
            assert_int_equal(o.step(o.ctx, &info, p + first, g + first, state + 2 * first, n), DRACO_OK);
        }
    }
    free(g);
    free(state);
}

static void shards_and_threads_give_the_same_bits(void **unused) {
    (void)unused;
    const size_t count = 300001;
    float *whole = malloc(count * sizeof *whole), *other = malloc(count * sizeof *other);
    for (int kind = 0; kind < 5; kind++) {
        walk(kind, count, count, 1, whole);
        walk(kind, count, count, 2, other);
        assert_memory_equal(whole, other, count * sizeof *whole);
        walk(kind, count, 4096, 2, other);
        assert_memory_equal(whole, other, count * sizeof *whole);
        walk(kind, count, 777, 1, other);
        assert_memory_equal(whole, other, count * sizeof *whole);
    }
    free(whole);
    free(other);
}

static void defaults_and_names(void **unused) {
    (void)unused;
    static const char *const kinds[] = {"sgd", "momentum", "nesterov", "adam", "adamw"};
    static const size_t states[] = {0, 1, 1, 2, 2};
    static const float rates[] = {0.1f, 0.01f, 0.01f, 0.001f, 0.001f};
    for (int i = 0; i < 5; i++) {
        draco_optim_kind kind = DRACO_OPTIM_SGD;
        draco_optim memory;
        draco_optimizer o;
        draco_optim_config c = {0};
        assert_true(draco_optim_kind_of(kinds[i], &kind));
        assert_int_equal(kind, i);
        c.kind = kind;
        assert_int_equal(draco_optim_open(&o, &memory, &c), DRACO_OK);
        assert_string_equal(o.name, kinds[i]);
        assert_int_equal(o.state_per_parameter, states[i]);
        assert_false(o.wants_norm);
        assert_float_equal(memory.config.rate, rates[i], 0.0f);
        assert_float_equal(memory.config.momentum, 0.9f, 0.0f);
    }
    draco_optim_kind kind = DRACO_OPTIM_SGD;
    draco_schedule schedule = DRACO_SCHEDULE_CONSTANT;
    assert_false(draco_optim_kind_of("sgdm", &kind));
    assert_false(draco_optim_kind_of(NULL, &kind));
    assert_true(draco_schedule_of("cosine", &schedule));
    assert_int_equal(schedule, DRACO_SCHEDULE_COSINE);
    assert_false(draco_schedule_of("", &schedule));
}

static void values_out_of_range_are_refused(void **unused) {
    (void)unused;
    const draco_optim_config bad[] = {{.kind = (draco_optim_kind)9},
                                      {.rate = -1.0f},
                                      {.rate = NAN},
                                      {.rate = INFINITY},
                                      {.momentum = 1.0f},
                                      {.beta1 = -0.1f},
                                      {.beta2 = 1.5f},
                                      {.epsilon = -1.0f},
                                      {.weight_decay = -1.0f},
                                      {.clip = NAN},
                                      {.schedule = (draco_schedule)5},
                                      {.schedule = DRACO_SCHEDULE_STEP},
                                      {.schedule = DRACO_SCHEDULE_STEP, .period = 1, .factor = 2.0f},
                                      {.schedule = DRACO_SCHEDULE_COSINE},
                                      {.schedule = DRACO_SCHEDULE_COSINE, .steps = 5, .warmup = 5},
                                      {.schedule = DRACO_SCHEDULE_COSINE, .steps = 5, .floor = -1.0f}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        draco_optim memory;
        draco_optimizer o, before;
        memset(&o, 0x5a, sizeof o);
        memcpy(&before, &o, sizeof o);
        assert_int_equal(draco_optim_open(&o, &memory, &bad[i]), DRACO_E_ARGUMENT);
        assert_memory_equal(&o, &before, sizeof o);
    }
}

static void a_norm_that_is_not_finite_moves_nothing(void **unused) {
    (void)unused;
    draco_optim memory;
    draco_optimizer o;
    draco_optim_config c = {.clip = 1.0f};
    const double norms[] = {NAN, INFINITY, -1.0};
    assert_int_equal(draco_optim_open(&o, &memory, &c), DRACO_OK);
    for (int i = 0; i < 3; i++) {
        float p[2] = {1.0f, 2.0f}, g[2] = {3.0f, 4.0f};
        draco_step_info info = {0, norms[i]};
        assert_int_equal(o.step(o.ctx, &info, p, g, NULL, 2), DRACO_E_RANGE);
        assert_float_equal(p[0], 1.0f, 0.0f);
        assert_float_equal(p[1], 2.0f, 0.0f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden_values),
                                       cmocka_unit_test(golden_rates),
                                       cmocka_unit_test(shards_and_threads_give_the_same_bits),
                                       cmocka_unit_test(defaults_and_names),
                                       cmocka_unit_test(values_out_of_range_are_refused),
                                       cmocka_unit_test(a_norm_that_is_not_finite_moves_nothing)};
    return cmocka_run_group_tests_name("optim", tests, NULL, NULL);
}
