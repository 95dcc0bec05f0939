/* k-means: golden values, gradient against central differences, equal bits, clusters that are found again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#define DRACO_KMEANS_IMPLEMENTATION
#include "models/draco_kmeans.h"
#include "golden/linear_kmeans.h"
#include "support/models_check.h"

static float golden_values[GOLDEN_SAMPLES * GOLDEN_FEATURES];
static int32_t golden_classes[GOLDEN_SAMPLES];

static draco_dataset golden_set(void) {
    draco_dataset data;
    memset(&data, 0, sizeof data);
    for (int i = 0; i < GOLDEN_SAMPLES * GOLDEN_FEATURES; i++) golden_values[i] = (float)golden_x[i];
    for (int i = 0; i < GOLDEN_SAMPLES; i++) golden_classes[i] = golden_labels[i];
    data.samples = GOLDEN_SAMPLES;
    data.features = GOLDEN_FEATURES;
    data.classes = GOLDEN_CLASSES;
    data.values = golden_values;
    data.labels = golden_classes;
    return data;
}

static float *gradient_of(const draco_model *m, const float *params, const draco_batch *batch) {
    void *workspace = NULL;
    float *grad = malloc(m->dim * sizeof *grad);
    memset(grad, 0x55, m->dim * sizeof *grad);
    assert_int_equal(m->workspace_new(m->ctx, &workspace), DRACO_OK);
    assert_int_equal(m->gradient(m->ctx, workspace, params, batch, grad), DRACO_OK);
    m->workspace_free(m->ctx, workspace);
    return grad;
}

static draco_model golden_model(const draco_dataset *data, float **params) {
    draco_kmeans_config config = {data, NULL, GOLDEN_CENTRES};
    draco_model m;
    assert_int_equal(draco_kmeans_open(&m, &config), DRACO_OK);
    *params = calloc(m.dim, sizeof **params);
    for (size_t i = 0; i < m.parameters; i++) (*params)[i] = (float)golden_centres[i];
    return m;
}

static void golden_gradient(void **unused) {
    (void)unused;
    draco_dataset data = golden_set();
    const draco_batch batch = {2, 9, 10, 140, 200, 1, 0};
    float *params, counts[GOLDEN_CENTRES * GOLDEN_CLASSES] = {0};
    draco_model m = golden_model(&data, &params);
    float *grad = gradient_of(&m, params, &batch);
    double expected[GOLDEN_CENTRES * GOLDEN_FEATURES] = {0}, loss = 0, pure = 0;
    for (size_t k = 0; k < batch.count; k++) {
        const size_t s = draco_dataset_draw(&data, &batch, k);
        for (size_t j = 0; j < m.parameters; j++) expected[j] += golden_kmeans_gradient[s * m.parameters + j];
        loss += golden_kmeans_loss[s];
        counts[golden_kmeans_nearest[s] * GOLDEN_CLASSES + golden_labels[s]] += 1.0f;
    }
    for (size_t j = 0; j < m.parameters; j++)
        assert_true(fabs((double)grad[j] - expected[j]) < 1e-4 * (1 + fabs(expected[j])));
    const float *stats = grad + draco_model_stats_offset(m.parameters);
    for (const float *p = grad + m.parameters; p < stats; p++) assert_true(*p == 0.0f);
    assert_true(fabs((double)stats[DRACO_MODEL_LOSS] - loss) < 1e-5 * loss);
    assert_memory_equal(stats + DRACO_MODEL_STATS, counts, sizeof counts);
    for (int k = 0; k < GOLDEN_CENTRES; k++) {
        float most = 0;
        for (int c = 0; c < GOLDEN_CLASSES; c++) most = fmaxf(most, counts[k * GOLDEN_CLASSES + c]);
        pure += (double)most;
    }
    draco_score score;
    m.progress(m.ctx, grad, batch.count, &score);
    assert_true(fabs(score.accuracy - pure / 140.0) < 1e-7);
    free(grad);
    free(params);
    draco_kmeans_close(&m);
}

static double plain_loss(const draco_dataset *data, const draco_batch *batch, const double *centres) {
    double sum = 0;
    for (size_t k = 0; k < batch->count; k++) {
        const float *x = data->values + draco_dataset_draw(data, batch, k) * GOLDEN_FEATURES;
        double least = INFINITY;
        for (size_t c = 0; c < GOLDEN_CENTRES; c++) {
            double distance = 0;
            for (size_t i = 0; i < GOLDEN_FEATURES; i++)
                distance += pow((double)x[i] - centres[c * GOLDEN_FEATURES + i], 2);
            least = fmin(least, distance);
        }
        sum += 0.5 * least;
    }
    return sum;
}

static void central_differences(void **unused) {
    (void)unused;
    draco_dataset data = golden_set();
    const draco_batch batch = {4, 0, 0, 80, 80, 0, 0};
    float *params;
    draco_model m = golden_model(&data, &params);
    float *grad = gradient_of(&m, params, &batch);
    double p[GOLDEN_CENTRES * GOLDEN_FEATURES];
    for (size_t j = 0; j < m.parameters; j++) p[j] = (double)params[j];
    for (size_t j = 0; j < m.parameters; j++) {
        const double h = 1e-6, keep = p[j];
        p[j] = keep + h;
        const double above = plain_loss(&data, &batch, p);
        p[j] = keep - h;
        const double slope = (above - plain_loss(&data, &batch, p)) / (2 * h);
        p[j] = keep;
        assert_true(fabs((double)grad[j] - slope) < 2e-4 * (1 + fabs(slope)));
    }
    free(grad);
    free(params);
    draco_kmeans_close(&m);
}

static void equal_bits_for_any_thread_count(void **unused) {
    (void)unused;
    draco_dataset data;
    assert_int_equal(draco_data_generate(DRACO_DATA_DIGITS, 3, 0, 300, &data, NULL), DRACO_OK);
    draco_kmeans_config config = {&data, &data, 12};
    draco_model m;
    assert_int_equal(draco_kmeans_open(&m, &config), DRACO_OK);
    check_modes(&m, 100);
    float *params = calloc(m.dim, sizeof *params), *again = calloc(m.dim, sizeof *again);
    assert_int_equal(m.init(m.ctx, 5, params), DRACO_OK);
    assert_int_equal(m.init(m.ctx, 5, again), DRACO_OK);
    assert_memory_equal(params, again, m.dim * sizeof *params);
    const draco_batch batch = {9, 4, 30, 77, 200, 1, 0};
    omp_set_num_threads(1);
    float *one = gradient_of(&m, params, &batch);
    omp_set_num_threads(2);
    float *two = gradient_of(&m, params, &batch);
    assert_memory_equal(one, two, m.dim * sizeof *one);
    free(one);
    free(two);
    free(params);
    free(again);
    draco_kmeans_close(&m);
    draco_dataset_free(&data);
}

/* Four clouds in the plane: every centre ends in one of them. */
static void clouds_are_found(void **unused) {
    (void)unused;
    enum { N = 400 };
    static float values[2 * N];
    static int32_t labels[N];
    draco_dataset data;
    memset(&data, 0, sizeof data);
    draco_model_uniform(1, 1, 1.0f, values, 2 * N);
    for (int i = 0; i < N; i++) {
        labels[i] = i % 4;
        values[2 * i] += labels[i] % 2 ? 5.0f : -5.0f;
        values[2 * i + 1] += labels[i] / 2 ? 5.0f : -5.0f;
    }
    data.samples = N;
    data.features = 2;
    data.classes = 4;
    data.values = values;
    data.labels = labels;
    draco_kmeans_config config = {&data, &data, 4};
    draco_model m;
    draco_score score;
    void *workspace = NULL;
    assert_int_equal(draco_kmeans_open(&m, &config), DRACO_OK);
    assert_int_equal(m.workspace_new(m.ctx, &workspace), DRACO_OK);
    for (uint64_t seed = 0; seed < 5; seed++) {
        float *params = calloc(m.dim, sizeof *params);
        assert_int_equal(m.init(m.ctx, seed, params), DRACO_OK);
        for (uint64_t step = 0; step < 60; step++) {
            const draco_batch batch = {seed, step, 0, 80, 80, 0, 0};
            float *grad = gradient_of(&m, params, &batch);
            for (size_t i = 0; i < m.parameters; i++) params[i] -= 1.0f * grad[i] / 80.0f;
            free(grad);
        }
        assert_int_equal(m.evaluate(m.ctx, workspace, params, &score), DRACO_OK);
        assert_true(score.accuracy == 1.0);
        assert_true(score.loss < 0.5);
        assert_int_equal(score.samples, N);
        free(params);
    }
    m.workspace_free(m.ctx, workspace);
    draco_kmeans_close(&m);
}

static void set_ups_that_make_no_sense_are_refused(void **unused) {
    (void)unused;
    draco_dataset good = golden_set(), other = good, bare = good;
    other.features = 4;
    bare.labels = NULL;
    draco_model m;
    const draco_kmeans_config bad[] = {{NULL, NULL, 2},
                                       {&good, &other, 2},
                                       {&good, &bare, 2},
                                       {&good, NULL, 0},
                                       {&good, NULL, GOLDEN_SAMPLES + 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(draco_kmeans_open(&m, &bad[i]), DRACO_E_ARGUMENT);
    const draco_kmeans_config unlabelled = {&bare, &bare, GOLDEN_SAMPLES};
    assert_int_equal(draco_kmeans_open(&m, &unlabelled), DRACO_OK);
    float *params = calloc(m.dim, sizeof *params);
    assert_int_equal(m.init(m.ctx, 1, params), DRACO_OK);
    draco_kmeans_close(&m);
    free(params);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_gradient), cmocka_unit_test(central_differences),
        cmocka_unit_test(clouds_are_found), cmocka_unit_test(equal_bits_for_any_thread_count),
        cmocka_unit_test(set_ups_that_make_no_sense_are_refused)};
    return cmocka_run_group_tests_name("kmeans", tests, NULL, NULL);
}
