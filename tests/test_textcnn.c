/* The text CNN: golden values, central differences, equal bits, norm constraint. */
#define DRACO_TEXTCNN_IMPLEMENTATION
#include "models/draco_textcnn.h"
#include "models/draco_naive.h"
#include "support/models_check.h"

enum { WORDS = 30, DIMENSION = 6, FILTERS = 4, LONGEST = 9, SAMPLES = 25 };

static draco_model open_net(const draco_dataset *train, float dropout) {
    const draco_textcnn_config config = {train, train, DIMENSION, FILTERS, dropout, 0};
    draco_model m;
    assert_int_equal(draco_textcnn_open(&m, &config), DRACO_OK);
    return m;
}

static void golden_values(void **state) {
    (void)state;
    draco_dataset data = check_sentences(SAMPLES, WORDS, LONGEST);
    draco_model m = open_net(&data, 0);
    check_golden(&m, "textcnn.txt", 40, 1e-5); /* two micro-batches, dropout */
    check_empty_part(&m);
    draco_textcnn_close(&m);
    check_free(&data);
}

typedef struct naive_net {
    const draco_dataset *data;
    double *params, keep;
    size_t samples[20], count;
} naive_net;

static double naive_loss(void *ctx) {
    const naive_net *net = ctx;
    double loss = 0, x[(LONGEST + 8) * DIMENSION], y[(LONGEST + 4) * FILTERS], features[3 * FILTERS], z[2];
    for (size_t s = 0; s < net->count; s++) {
        size_t length;
        const int32_t *word = draco_dataset_words(net->data, net->samples[s], &length);
        const double *w = net->params + WORDS * DIMENSION;
        for (size_t bank = 0; bank < 3; bank++) {
            size_t words = 3 + bank, windows = length + words - 1, weights = words * DIMENSION * FILTERS;
            draco_naive_embed_forward(word, length, words - 1, DIMENSION, net->params, x);
            draco_naive_windows_forward(windows, words, DIMENSION, FILTERS, x, w, w + weights, y);
            draco_naive_max_forward(windows, FILTERS, y, features + bank * FILTERS);
            w += weights + FILTERS;
        }
        draco_naive_relu_forward(3 * FILTERS, features);
        for (size_t i = 0; i < 3 * FILTERS; i++) features[i] *= net->keep;
        draco_naive_fc_forward(1, 3 * FILTERS, 2, features, w, w + 3 * FILTERS * 2, z);
        loss += draco_naive_softmax_loss(1, 2, z, &net->data->labels[net->samples[s]], NULL);
    }
    return loss;
}

static void central_differences(void **state) {
    (void)state;
    draco_dataset data = check_sentences(SAMPLES, WORDS, LONGEST);
    draco_model m = open_net(&data, -1);
    float *params = check_fill(30, 1.5f, m.dim);
    double *wide = check_doubles(m.dim);
    naive_net net = {&data, wide, 1, {0}, 18};
    for (size_t k = 0; k < net.count; k++) net.samples[k] = draco_sample(5, 2, 3 + k, data.samples);
    check_model_slopes(&m, params, wide, 18, 1000, naive_loss, &net);
    draco_textcnn_close(&m);

    /* evaluate multiplies the features by what dropout would keep. */
    draco_score score;
    void *workspace;
    double loss = 0;
    m = open_net(&data, 0.25f);
    assert_int_equal(m.workspace_new(m.ctx, &workspace), DRACO_OK);
    assert_int_equal(m.evaluate(m.ctx, workspace, params, &score), DRACO_OK);
    net.count = 1;
    net.keep = 0.75;
    for (size_t i = 0; i < SAMPLES; i++) {
        net.samples[0] = i;
        loss += naive_loss(&net);
    }
    assert_true(fabs(score.loss - loss / SAMPLES) < 1e-4);
    m.workspace_free(m.ctx, workspace);
    free(params);
    free(wide);
    draco_textcnn_close(&m);
    check_free(&data);
}

static void same_bits_and_descent(void **state) {
    (void)state;
    draco_dataset data = check_sentences(60, 500, 40);
    const draco_textcnn_config config = {.train = &data, .test = &data, .dropout = 0.5f};
    draco_model m;
    assert_int_equal(draco_textcnn_open(&m, &config), DRACO_OK);
    assert_int_equal(m.parameters, 500 * 300 + 12 * 300 * 100 + 300 + 602);
    assert_int_equal(m.layer_count, 5); /* word vectors, three banks of filters, fully connected */
    const size_t layers[] = {0, 150000, 150000 + 90100, 150000 + 90100 + 120100, m.parameters - 602};
    assert_memory_equal(m.layers, layers, sizeof layers);
    float *params = check_floats(m.dim);
    m.init(m.ctx, 3, params);
    for (int i = 0; i < 300; i++) assert_true(params[i] == 0); /* the padding word */
    check_bits(&m, params, 9);
    check_bits(&m, params, 40);
    check_descends(&m, 0.5f, 20);
    free(params);
    draco_textcnn_close(&m);
    check_free(&data);
}

static double class_norm(const float *w, size_t features, size_t c) {
    double square = 0;
    for (size_t i = 0; i < features; i++) square += (double)w[2 * i + c] * (double)w[2 * i + c];
    return sqrt(square);
}

static void norms_are_bounded(void **state) {
    (void)state;
    draco_dataset data = check_sentences(SAMPLES, WORDS, LONGEST);
    draco_model m = open_net(&data, 0);
    float *params = check_fill(30, 1, m.dim), *before = check_fill(30, 1, m.dim);
    const size_t fc = m.parameters - 2 - 2 * 3 * FILTERS;
    for (size_t i = 0; i < 3 * FILTERS; i++) before[fc + 2 * i] = params[fc + 2 * i] *= 20;
    assert_true(class_norm(params + fc, 3 * FILTERS, 0) > 3);
    assert_true(class_norm(params + fc, 3 * FILTERS, 1) < 3);
    m.project(m.ctx, params);
    assert_true(fabs(class_norm(params + fc, 3 * FILTERS, 0) - 3) < 1e-5);
    for (size_t i = 0; i < m.dim; i++) {
        int scaled = i >= fc && i < fc + 2 * 3 * FILTERS && (i - fc) % 2 == 0;
        if (!scaled) assert_true(params[i] == before[i]);
    }
    /* Within the bound nothing moves. */
    memcpy(before, params, m.dim * sizeof *params);
    for (size_t i = 0; i < 3 * FILTERS; i++) before[fc + 2 * i] = params[fc + 2 * i] *= 0.99f;
    m.project(m.ctx, params);
    assert_memory_equal(params, before, m.dim * sizeof *params);
    free(params);
    free(before);
    draco_textcnn_close(&m);
    check_free(&data);
}

/* Only words of the part have a gradient. */
static void words_elsewhere_stay(void **state) {
    (void)state;
    draco_dataset data = check_sentences(SAMPLES, WORDS, LONGEST);
    draco_model m = open_net(&data, 0);
    float *params = check_fill(30, 1, m.dim), *grad = check_floats(m.dim);
    void *workspace;
    char seen[WORDS] = {0};
    assert_int_equal(m.workspace_new(m.ctx, &workspace), DRACO_OK);
    check_gradient(&m, workspace, params, 2, grad);
    for (size_t k = 0; k < 2; k++) {
        size_t length;
        const int32_t *word = draco_dataset_words(&data, draco_sample(5, 2, 3 + k, data.samples), &length);
        for (size_t i = 0; i < length; i++) seen[word[i]] = 1;
    }
    for (size_t i = 0; i < WORDS * DIMENSION; i++)
        if (!seen[i / DIMENSION]) assert_true(grad[i] == 0);
    m.workspace_free(m.ctx, workspace);
    free(params);
    free(grad);
    draco_textcnn_close(&m);
    check_free(&data);
}

static void refuses_what_it_cannot_learn(void **state) {
    (void)state;
    draco_dataset data = check_sentences(SAMPLES, WORDS, LONGEST), pictures = check_pictures(5, 8, 1, 2);
    draco_textcnn_config config = {.train = &pictures};
    draco_model m;
    assert_int_equal(draco_textcnn_open(&m, &config), DRACO_E_ARGUMENT);
    config.train = &data;
    config.dropout = 1;
    assert_int_equal(draco_textcnn_open(&m, &config), DRACO_E_ARGUMENT);
    config.dropout = 0;
    data.words[3] = WORDS; /* out of the vocabulary */
    assert_int_equal(draco_textcnn_open(&m, &config), DRACO_E_ARGUMENT);
    data.words[3] = -1;
    assert_int_equal(draco_textcnn_open(&m, &config), DRACO_E_ARGUMENT);
    data.words[3] = 1;
    data.starts[1] = 0; /* an empty sentence */
    assert_int_equal(draco_textcnn_open(&m, &config), DRACO_E_ARGUMENT);
    check_free(&data);
    check_free(&pictures);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_values),         cmocka_unit_test(central_differences),
        cmocka_unit_test(same_bits_and_descent), cmocka_unit_test(norms_are_bounded),
        cmocka_unit_test(words_elsewhere_stay),  cmocka_unit_test(refuses_what_it_cannot_learn),
    };
    return cmocka_run_group_tests_name("textcnn", tests, NULL, NULL);
}
