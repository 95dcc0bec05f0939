/* The linear models: golden values, gradients against central differences, equal bits, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#define DRACO_LINEAR_IMPLEMENTATION
#define DRACO_OPTIM_IMPLEMENTATION
#include "models/draco_linear.h"
#include "models/draco_optim.h"
#include "golden/linear_kmeans.h"
#include "support/models_check.h"

static float golden_values[GOLDEN_SAMPLES * GOLDEN_FEATURES], golden_numbers[GOLDEN_SAMPLES];
static int32_t golden_classes[GOLDEN_SAMPLES];

static draco_dataset golden_set(void) {
    draco_dataset data;
    memset(&data, 0, sizeof data);
    for (int i = 0; i < GOLDEN_SAMPLES * GOLDEN_FEATURES; i++) golden_values[i] = (float)golden_x[i];
    for (int i = 0; i < GOLDEN_SAMPLES; i++) {
        golden_numbers[i] = (float)golden_targets[i];
        golden_classes[i] = golden_labels[i];
    }
    data.samples = GOLDEN_SAMPLES;
    data.features = GOLDEN_FEATURES;
    data.classes = GOLDEN_CLASSES;
    data.values = golden_values;
    data.labels = golden_classes;
    data.targets = golden_numbers;
    return data;
}

typedef struct case_of {
    draco_linear_kind kind;
    float l2;
    const double *params, *gradient, *loss;
    const int *correct;
} case_of;

static const case_of cases[] = {{DRACO_LINEAR_SOFTMAX, 0.0f, golden_softmax_params, golden_softmax_gradient,
                                 golden_softmax_loss, golden_softmax_correct},
                                {DRACO_LINEAR_LOGISTIC, GOLDEN_L2, golden_single_params,
                                 golden_logistic_gradient, golden_logistic_loss, golden_logistic_correct},
                                {DRACO_LINEAR_SVM, GOLDEN_L2, golden_single_params, golden_svm_gradient,
                                 golden_svm_loss, golden_svm_correct},
                                {DRACO_LINEAR_LEAST_SQUARES, GOLDEN_L2, golden_single_params,
                                 golden_least_squares_gradient, golden_least_squares_loss,
                                 golden_least_squares_correct}};
#define CASES (sizeof cases / sizeof cases[0])

/* The gradient of one part in memory of its own. */
static float *gradient_of(const draco_model *m, const float *params, const draco_batch *batch) {
    void *workspace = NULL;
    float *grad = malloc(m->dim * sizeof *grad);
    memset(grad, 0x55, m->dim * sizeof *grad);
    assert_int_equal(m->workspace_new(m->ctx, &workspace), DRACO_OK);
    assert_int_equal(m->gradient(m->ctx, workspace, params, batch, grad), DRACO_OK);
    m->workspace_free(m->ctx, workspace);
    return grad;
}

static void golden_gradients(void **unused) {
    (void)unused;
    draco_dataset data = golden_set();
    const draco_batch batch = {11, 3, 4, 150, 200, 1, 0};
    for (size_t i = 0; i < CASES; i++) {
        const case_of *c = &cases[i];
        draco_linear_config config = {&data, NULL, c->kind, GOLDEN_POSITIVE, c->l2};
        draco_model m;
        assert_int_equal(draco_linear_open(&m, &config), DRACO_OK);
        assert_null(m.evaluate);
        float *params = calloc(m.dim, sizeof *params);
        for (size_t j = 0; j < m.parameters; j++) params[j] = (float)c->params[j];
        float *grad = gradient_of(&m, params, &batch);
        double *expected = calloc(m.parameters, sizeof *expected), loss = 0;
        int correct = 0;
        for (size_t k = 0; k < batch.count; k++) {
            const size_t s = draco_dataset_draw(&data, &batch, k);
            for (size_t j = 0; j < m.parameters; j++) expected[j] += c->gradient[s * m.parameters + j];
            loss += c->loss[s];
            correct += c->correct[s];
        }
        for (size_t j = 0; j < m.parameters; j++)
            assert_true(fabs((double)grad[j] - expected[j]) < 1e-4 * (1 + fabs(expected[j])));
        const size_t stats = draco_model_stats_offset(m.parameters);
        for (size_t j = m.parameters; j < stats; j++) assert_true(grad[j] == 0.0f);
        assert_true(fabs((double)grad[stats + DRACO_MODEL_LOSS] - loss) < 1e-5 * loss);
        assert_true(grad[stats + DRACO_MODEL_CORRECT] == (float)correct);
        draco_score score;
        m.progress(m.ctx, grad, batch.count, &score);
        assert_true(fabs(score.accuracy - correct / 150.0) < 1e-7);
        free(expected);
        free(grad);
        free(params);
        draco_linear_close(&m);
    }
}

/* Loss of one sample in double, written out anew. */
static double plain_loss(const case_of *c, const draco_dataset *data, size_t s, const double *p) {
    const size_t outputs = c->kind == DRACO_LINEAR_SOFTMAX ? GOLDEN_CLASSES : 1;
    double z[GOLDEN_CLASSES], squares = 0;
    for (size_t o = 0; o < outputs; o++) {
        z[o] = p[GOLDEN_FEATURES * outputs + o];
        for (size_t f = 0; f < GOLDEN_FEATURES; f++)
            z[o] += (double)data->values[s * GOLDEN_FEATURES + f] * p[f * outputs + o];
    }
    for (size_t i = 0; i < GOLDEN_FEATURES * outputs; i++) squares += p[i] * p[i];
    const double y = data->labels[s] == GOLDEN_POSITIVE ? 1 : -1, penalty = 0.5 * (double)c->l2 * squares;
    if (c->kind == DRACO_LINEAR_LOGISTIC) return log(1 + exp(-y * z[0])) + penalty;
    if (c->kind == DRACO_LINEAR_SVM) return fmax(0, 1 - y * z[0]) + penalty;
    if (c->kind == DRACO_LINEAR_LEAST_SQUARES) return 0.5 * pow(z[0] - (double)data->targets[s], 2) + penalty;
    double sum = 0;
    for (size_t o = 0; o < outputs; o++) sum += exp(z[o]);
    return log(sum) - z[data->labels[s]] + penalty;
}

static double batch_loss(const case_of *c, const draco_dataset *data, const draco_batch *batch,
                         const double *p) {
    double sum = 0;
    for (size_t k = 0; k < batch->count; k++)
        sum += plain_loss(c, data, draco_dataset_draw(data, batch, k), p);
    return sum;
}

static void central_differences(void **unused) {
    (void)unused;
    draco_dataset data = golden_set();
    const draco_batch batch = {5, 1, 0, 90, 90, 0, 0};
    for (size_t i = 0; i < CASES; i++) {
        const case_of *c = &cases[i];
        draco_linear_config config = {&data, NULL, c->kind, GOLDEN_POSITIVE, c->l2};
        draco_model m;
        assert_int_equal(draco_linear_open(&m, &config), DRACO_OK);
        float *params = calloc(m.dim, sizeof *params);
        double *p = calloc(m.parameters, sizeof *p);
        for (size_t j = 0; j < m.parameters; j++) {
            params[j] = (float)c->params[j];
            p[j] = (double)params[j];
        }
        float *grad = gradient_of(&m, params, &batch);
        for (size_t j = 0; j < m.parameters; j++) {
            const double h = 1e-6, keep = p[j];
            p[j] = keep + h;
            const double above = batch_loss(c, &data, &batch, p);
            p[j] = keep - h;
            const double slope = (above - batch_loss(c, &data, &batch, p)) / (2 * h);
            p[j] = keep;
            assert_true(fabs((double)grad[j] - slope) < 2e-4 * (1 + fabs(slope)));
        }
        free(grad);
        free(params);
        free(p);
        draco_linear_close(&m);
    }
}

/* y z = 1 exactly: the subgradient that the header states. */
static void the_corner_of_the_hinge(void **unused) {
    (void)unused;
    float value = 1.0f;
    int32_t label = 0;
    draco_dataset data;
    memset(&data, 0, sizeof data);
    data.samples = data.features = 1;
    data.classes = 1;
    data.values = &value;
    data.labels = &label;
    draco_linear_config config = {&data, NULL, DRACO_LINEAR_SVM, 0, 0.0f};
    draco_model m;
    assert_int_equal(draco_linear_open(&m, &config), DRACO_OK);
    float *params = calloc(m.dim, sizeof *params);
    params[0] = 1.0f;
    const draco_batch batch = {1, 0, 0, 3, 3, 0, 0};
    float *grad = gradient_of(&m, params, &batch);
    assert_true(grad[0] == 0.0f && grad[1] == 0.0f);
    free(grad);
    params[0] = 0.5f;
    grad = gradient_of(&m, params, &batch);
    assert_true(grad[0] == -3.0f && grad[1] == -3.0f);
    free(grad);
    free(params);
    draco_linear_close(&m);
}

static void huge_scores_stay_finite(void **unused) {
    (void)unused;
    draco_dataset data = golden_set();
    const draco_batch batch = {5, 1, 0, 20, 20, 0, 0};
    for (size_t i = 0; i < CASES; i++) {
        draco_linear_config config = {&data, NULL, cases[i].kind, GOLDEN_POSITIVE, 0.0f};
        draco_model m;
        assert_int_equal(draco_linear_open(&m, &config), DRACO_OK);
        float *params = calloc(m.dim, sizeof *params);
        for (size_t j = 0; j < m.parameters; j++) params[j] = j % 2 ? 1e4f : -1e4f;
        float *grad = gradient_of(&m, params, &batch);
        for (size_t j = 0; j < m.dim; j++) assert_true(isfinite(grad[j]));
        free(grad);
        free(params);
        draco_linear_close(&m);
    }
}

static void equal_bits_in_any_mode(void **unused) {
    (void)unused;
    draco_dataset data;
    assert_int_equal(draco_data_generate(DRACO_DATA_DIGITS, 3, 0, 300, &data, NULL), DRACO_OK);
    for (int kind = DRACO_LINEAR_SOFTMAX; kind <= DRACO_LINEAR_LEAST_SQUARES; kind++) {
        draco_linear_config config = {&data, &data, (draco_linear_kind)kind, 3, 1e-3f};
        draco_model m;
        assert_int_equal(draco_linear_open(&m, &config), DRACO_OK);
        check_modes(&m, 100);
        draco_linear_close(&m);
    }
    draco_dataset_free(&data);
}

static void equal_bits_for_any_thread_count(void **unused) {
    (void)unused;
    draco_dataset data;
    assert_int_equal(draco_data_generate(DRACO_DATA_DIGITS, 3, 0, 300, &data, NULL), DRACO_OK);
    draco_linear_config config = {&data, NULL, DRACO_LINEAR_SOFTMAX, 0, 1e-3f};
    draco_model m;
    assert_int_equal(draco_linear_open(&m, &config), DRACO_OK);
    float *params = calloc(m.dim, sizeof *params);
    draco_model_uniform(1, 2, 0.1f, params, m.parameters);
    const draco_batch batch = {9, 4, 30, 77, 200, 1, 0};
    omp_set_num_threads(1);
    float *one = gradient_of(&m, params, &batch);
    omp_set_num_threads(2);
    float *two = gradient_of(&m, params, &batch);
    assert_memory_equal(one, two, m.dim * sizeof *one);
    assert_int_equal(omp_get_max_threads(), 2);
    float *held[4];
#pragma omp parallel for num_threads(4)
    for (int i = 0; i < 4; i++) held[i] = gradient_of(&m, params, &batch);
    for (int i = 0; i < 4; i++) {
        assert_memory_equal(one, held[i], m.dim * sizeof *one);
        free(held[i]);
    }
    free(one);
    free(two);
    free(params);
    draco_linear_close(&m);
    draco_dataset_free(&data);
}

static void an_empty_part_is_zero(void **unused) {
    (void)unused;
    draco_dataset data = golden_set();
    const draco_batch batch = {5, 1, 7, 0, 20, 0, 0};
    draco_linear_config config = {&data, NULL, DRACO_LINEAR_SOFTMAX, 0, 1.0f};
    draco_model m;
    assert_int_equal(draco_linear_open(&m, &config), DRACO_OK);
    float *params = calloc(m.dim, sizeof *params);
    params[0] = 1.0f;
    float *grad = gradient_of(&m, params, &batch);
    for (size_t j = 0; j < m.dim; j++) assert_true(grad[j] == 0.0f);
    free(grad);
    free(params);
    draco_linear_close(&m);
}

/* The score on the test set after `steps` steps of 60 samples. */
static draco_score train(const draco_model *m, const draco_optim_config *config, uint64_t steps) {
    draco_optim memory;
    draco_optimizer o;
    void *workspace = NULL;
    draco_score score;
    float *params = malloc(m->dim * sizeof *params), *grad = malloc(m->dim * sizeof *grad);
    float *state = calloc(2 * m->parameters, sizeof *state);
    assert_int_equal(draco_optim_open(&o, &memory, config), DRACO_OK);
    assert_int_equal(m->workspace_new(m->ctx, &workspace), DRACO_OK);
    assert_int_equal(m->init(m->ctx, 1, params), DRACO_OK);
    for (uint64_t k = 0; k < steps; k++) {
        const draco_batch batch = {7, k, 0, 60, 60, 0, 0};
        const draco_step_info info = {k, 0.0};
        m->gradient(m->ctx, workspace, params, &batch, grad);
        for (size_t i = 0; i < m->parameters; i++) grad[i] /= 60.0f;
        o.step(o.ctx, &info, params, grad, state, m->parameters);
    }
    assert_int_equal(m->evaluate(m->ctx, workspace, params, &score), DRACO_OK);
    m->workspace_free(m->ctx, workspace);
    free(params);
    free(grad);
    free(state);
    return score;
}

static void every_kind_learns(void **unused) {
    (void)unused;
    draco_dataset train_set, test_set;
    const draco_data_config data = {.name = "digits", .seed = 1, .train = 4000, .test = 1000};
    assert_int_equal(draco_data_load(&data, &train_set, &test_set, NULL), DRACO_OK);
    /* Losses of always answering the same: log 10, log 2, 1, and half the mean square of the labels. */
    const double blind[] = {2.30, 0.69, 1.0, 14.2}, least[] = {0.68, 0.91, 0.91, 0.0};
    for (int kind = 0; kind < 4; kind++) {
        draco_linear_config config = {&train_set, &test_set, (draco_linear_kind)kind, 3, 1e-4f};
        draco_optim_config optim = {.kind = DRACO_OPTIM_SGD, .rate = kind == 3 ? 0.0003f : 0.005f};
        if (kind == 1 || kind == 2) config.positive = 1;
        draco_model m;
        assert_int_equal(draco_linear_open(&m, &config), DRACO_OK);
        const draco_score score = train(&m, &optim, 300);
        print_message("# %s: loss %.3f, accuracy %.3f\n", m.name, score.loss, score.accuracy);
        assert_true(score.loss < 0.5 * blind[kind]);
        assert_true(score.accuracy > least[kind]);
        draco_linear_close(&m);
    }
    draco_dataset_free(&train_set);
    draco_dataset_free(&test_set);
}

static void set_ups_that_make_no_sense_are_refused(void **unused) {
    (void)unused;
    draco_dataset good = golden_set(), other = good, bare = good, empty = good, words = good, wild = good;
    static int32_t out_of_range[GOLDEN_SAMPLES] = {0, 1, GOLDEN_CLASSES};
    wild.labels = out_of_range;
    other.features = 4;
    bare.labels = NULL;
    bare.targets = NULL;
    empty.samples = 0;
    words.values = NULL;
    const draco_linear_config bad[] = {
        {NULL, NULL, DRACO_LINEAR_SOFTMAX, 0, 0.0f},   {&good, &other, DRACO_LINEAR_SOFTMAX, 0, 0.0f},
        {&bare, NULL, DRACO_LINEAR_SOFTMAX, 0, 0.0f},  {&bare, NULL, DRACO_LINEAR_LEAST_SQUARES, 0, 0.0f},
        {&empty, NULL, DRACO_LINEAR_SOFTMAX, 0, 0.0f}, {&words, NULL, DRACO_LINEAR_SOFTMAX, 0, 0.0f},
        {&wild, NULL, DRACO_LINEAR_SOFTMAX, 0, 0.0f},  {&good, NULL, DRACO_LINEAR_SVM, 3, 0.0f},
        {&good, NULL, DRACO_LINEAR_SVM, -1, 0.0f},     {&good, NULL, DRACO_LINEAR_SVM, 0, -1.0f},
        {&good, NULL, (draco_linear_kind)7, 0, 0.0f}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        draco_model m, before;
        memset(&m, 0x5a, sizeof m);
        memcpy(&before, &m, sizeof m);
        assert_int_equal(draco_linear_open(&m, &bad[i]), DRACO_E_ARGUMENT);
        assert_memory_equal(&m, &before, sizeof m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden_gradients),
                                       cmocka_unit_test(central_differences),
                                       cmocka_unit_test(the_corner_of_the_hinge),
                                       cmocka_unit_test(huge_scores_stay_finite),
                                       cmocka_unit_test(equal_bits_in_any_mode),
                                       cmocka_unit_test(equal_bits_for_any_thread_count),
                                       cmocka_unit_test(an_empty_part_is_zero),
                                       cmocka_unit_test(every_kind_learns),
                                       cmocka_unit_test(set_ups_that_make_no_sense_are_refused)};
    return cmocka_run_group_tests_name("linear", tests, NULL, NULL);
}
