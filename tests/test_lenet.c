/* LeNet: golden values, central differences, equal bits. */
#define DRACO_LENET_IMPLEMENTATION
#include "models/draco_lenet.h"
#include "models/draco_naive.h"
#include "support/models_check.h"

static void golden_values(void **state) {
    (void)state;
    draco_dataset data = check_pictures(40, 28, 1, 10);
    const draco_lenet_config config = {&data, NULL};
    draco_model m;
    assert_int_equal(draco_lenet_open(&m, &config), DRACO_OK);
    assert_int_equal(m.parameters, 431080);
    check_golden(&m, "lenet.txt", 37, 1e-4); /* two micro-batches */
    const size_t layers[] = {0, 520, 520 + 25050, 520 + 25050 + 400500};
    assert_int_equal(m.layer_count, 4);
    assert_memory_equal(m.layers, layers, sizeof layers);
    check_empty_part(&m);
    draco_lenet_close(&m);
    check_free(&data);
}

enum { COUNT = 4, SIDE = 16, CHANNELS = 2, CLASSES = 3 };

typedef struct naive_net {
    draco_dataset *data;
    double *params, *x;
    int32_t labels[COUNT];
} naive_net;

static double naive_loss(void *ctx) {
    const naive_net *net = ctx;
    const draco_naive_conv first = {SIDE, SIDE, CHANNELS, 20, 5, 1, 0}, second = {6, 6, 20, 50, 5, 1, 0};
    static double y1[COUNT * 12 * 12 * 20], p1[COUNT * 6 * 6 * 20], y2[COUNT * 2 * 2 * 50], p2[COUNT * 50];
    static double hidden[COUNT * 500], logits[COUNT * CLASSES];
    const double *w1 = net->params, *b1 = w1 + 25 * CHANNELS * 20, *w2 = b1 + 20, *b2 = w2 + 25 * 20 * 50;
    const double *w3 = b2 + 50, *b3 = w3 + 50 * 500, *w4 = b3 + 500, *b4 = w4 + 500 * CLASSES;
    draco_naive_conv_forward(&first, COUNT, net->x, w1, b1, y1);
    draco_naive_pool_forward(COUNT, 12, 12, 20, y1, p1);
    draco_naive_relu_forward(COUNT * 6 * 6 * 20, p1);
    draco_naive_conv_forward(&second, COUNT, p1, w2, b2, y2);
    draco_naive_pool_forward(COUNT, 2, 2, 50, y2, p2);
    draco_naive_relu_forward(COUNT * 50, p2);
    draco_naive_fc_forward(COUNT, 50, 500, p2, w3, b3, hidden);
    draco_naive_relu_forward(COUNT * 500, hidden);
    draco_naive_fc_forward(COUNT, 500, CLASSES, hidden, w4, b4, logits);
    return draco_naive_softmax_loss(COUNT, CLASSES, logits, net->labels, NULL);
}

static void central_differences(void **state) {
    (void)state;
    draco_dataset data = check_pictures(9, SIDE, CHANNELS, CLASSES);
    const draco_lenet_config config = {&data, &data};
    draco_model m;
    assert_int_equal(draco_lenet_open(&m, &config), DRACO_OK);
    float *params = check_fill(30, 0.3f, m.dim), *x = check_floats(COUNT * data.features);
    double *wide = check_doubles(m.dim);
    naive_net net = {&data, wide, NULL, {0}};
    for (size_t k = 0; k < COUNT; k++) {
        size_t sample = draco_sample(5, 2, 3 + k, data.samples);
        draco_dataset_row(&data, sample, x + k * data.features);
        net.labels[k] = data.labels[sample];
    }
    net.x = check_widen(x, COUNT * data.features);
    check_model_slopes(&m, params, wide, COUNT, 150, naive_loss, &net);
    free(params);
    free(x);
    free(wide);
    free(net.x);
    draco_lenet_close(&m);
    check_free(&data);
}

static void same_bits_and_descent(void **state) {
    (void)state;
    draco_dataset data = check_pictures(60, 28, 1, 10);
    const draco_lenet_config config = {&data, &data};
    draco_model m;
    draco_score score;
    void *workspace;
    assert_int_equal(draco_lenet_open(&m, &config), DRACO_OK);
    float *params = check_floats(m.dim);
    m.init(m.ctx, 3, params);
    check_bits(&m, params, 20);
    check_bits(&m, params, 67);
    check_descends(&m, 0.05f, 40);
    assert_int_equal(m.workspace_new(m.ctx, &workspace), DRACO_OK);
    assert_int_equal(m.evaluate(m.ctx, workspace, params, &score), DRACO_OK);
    assert_int_equal(score.samples, 60);
    assert_true(score.loss > 1 && score.loss < 10 && score.accuracy < 0.5);
    m.workspace_free(m.ctx, workspace);
    assert_in_range(draco_lenet_memory(&m, 20).workspace, 1000000, 20000000);
    free(params);
    draco_lenet_close(&m);
    check_free(&data);
}

static void refuses_what_it_cannot_learn(void **state) {
    (void)state;
    draco_dataset odd = check_pictures(5, 18, 1, 3), small = check_pictures(5, 12, 1, 3);
    draco_dataset text = check_sentences(5, 10, 4);
    draco_dataset *wrong[] = {NULL, &odd, &small, &text};
    draco_model m;
    for (int i = 0; i < 4; i++) {
        const draco_lenet_config config = {wrong[i], NULL};
        assert_int_equal(draco_lenet_open(&m, &config), DRACO_E_ARGUMENT);
    }
    check_free(&odd);
    check_free(&small);
    check_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_values),
        cmocka_unit_test(central_differences),
        cmocka_unit_test(same_bits_and_descent),
        cmocka_unit_test(refuses_what_it_cannot_learn),
    };
    return cmocka_run_group_tests_name("lenet", tests, NULL, NULL);
}
