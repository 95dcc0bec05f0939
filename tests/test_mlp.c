/* The perceptron: golden values, central differences, equal bits. */
#define DRACO_MLP_IMPLEMENTATION
#include "models/draco_mlp.h"
#include "models/draco_naive.h"
#include "support/models_check.h"

static void golden_values(void **state) {
    (void)state;
    draco_dataset data = check_values(50, 12, 4);
    const draco_mlp_config config = {&data, NULL, 2, {7, 5}};
    draco_model m;
    assert_int_equal(draco_mlp_open(&m, &config), DRACO_OK);
    assert_null(m.evaluate);
    check_golden(&m, "mlp.txt", 70, 1e-5); /* two micro-batches */
    const size_t layers[] = {0, 13 * 7, 13 * 7 + 8 * 5};
    assert_int_equal(m.layer_count, 3);
    assert_memory_equal(m.layers, layers, sizeof layers);
    check_empty_part(&m);
    draco_mlp_close(&m);
    check_free(&data);
}

typedef struct naive_net {
    const draco_dataset *data;
    double *params;
    size_t samples[40], count;
} naive_net;

/* 12-7-5-4 */
static double naive_loss(void *ctx) {
    const naive_net *net = ctx;
    const size_t width[] = {12, 7, 5, 4};
    double loss = 0, x[12], y[12];
    for (size_t k = 0; k < net->count; k++) {
        const double *w = net->params;
        for (size_t i = 0; i < 12; i++) x[i] = (double)net->data->values[net->samples[k] * 12 + i];
        for (int l = 0; l < 3; l++) {
            draco_naive_fc_forward(1, width[l], width[l + 1], x, w, w + width[l] * width[l + 1], y);
            if (l < 2) draco_naive_relu_forward(width[l + 1], y);
            w += (width[l] + 1) * width[l + 1];
            memcpy(x, y, sizeof x);
        }
        loss += draco_naive_softmax_loss(1, 4, y, &net->data->labels[net->samples[k]], NULL);
    }
    return loss;
}

static void central_differences(void **state) {
    (void)state;
    draco_dataset data = check_values(50, 12, 4);
    const draco_mlp_config config = {&data, &data, 2, {7, 5}};
    draco_model m;
    assert_int_equal(draco_mlp_open(&m, &config), DRACO_OK);
    float *params = check_fill(30, 1, m.dim);
    double *wide = check_doubles(m.dim);
    naive_net net = {&data, wide, {0}, 33};
    for (size_t k = 0; k < net.count; k++) net.samples[k] = draco_sample(5, 2, 3 + k, data.samples);
    check_model_slopes(&m, params, wide, 33, 1000, naive_loss, &net);

    draco_score score;
    void *workspace;
    assert_int_equal(m.workspace_new(m.ctx, &workspace), DRACO_OK);
    assert_int_equal(m.evaluate(m.ctx, workspace, params, &score), DRACO_OK);
    double loss = 0;
    net.count = 1;
    for (size_t i = 0; i < data.samples; i++) {
        net.samples[0] = i;
        loss += naive_loss(&net);
    }
    assert_int_equal(score.samples, data.samples);
    assert_true(fabs(score.loss - loss / (double)data.samples) < 1e-5);
    m.workspace_free(m.ctx, workspace);
    free(params);
    free(wide);
    draco_mlp_close(&m);
    check_free(&data);
}

static void same_bits_and_descent(void **state) {
    (void)state;
    draco_dataset data = check_pictures(60, 28, 1, 10);
    const draco_mlp_config config = {&data, &data, 2, {800, 500}};
    draco_model m;
    assert_int_equal(draco_mlp_open(&m, &config), DRACO_OK);
    assert_int_equal(m.parameters, 1033510);
    float *params = check_floats(m.dim);
    m.init(m.ctx, 3, params);
    check_bits(&m, params, 50);
    check_bits(&m, params, 131); /* three micro-batches */
    check_descends(&m, 0.05f, 12);
    assert_in_range(draco_mlp_memory(&m, 20).workspace, 100000, 5000000);
    free(params);
    draco_mlp_close(&m);
    check_free(&data);
}

static void refuses_what_it_cannot_learn(void **state) {
    (void)state;
    draco_dataset data = check_values(5, 3, 2), text = check_sentences(5, 10, 4),
                  other = check_values(5, 4, 2);
    draco_model m;
    draco_mlp_config config = {NULL, NULL, 1, {4}};
    assert_int_equal(draco_mlp_open(&m, &config), DRACO_E_ARGUMENT);
    config.train = &text;
    assert_int_equal(draco_mlp_open(&m, &config), DRACO_E_ARGUMENT);
    config.train = &data;
    config.test = &other;
    assert_int_equal(draco_mlp_open(&m, &config), DRACO_E_ARGUMENT);
    config.test = NULL;
    config.widths[0] = 0;
    assert_int_equal(draco_mlp_open(&m, &config), DRACO_E_ARGUMENT);
    config.hidden = DRACO_MLP_MAX_HIDDEN + 1;
    assert_int_equal(draco_mlp_open(&m, &config), DRACO_E_ARGUMENT);
    check_free(&data);
    check_free(&text);
    check_free(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_values),
        cmocka_unit_test(central_differences),
        cmocka_unit_test(same_bits_and_descent),
        cmocka_unit_test(refuses_what_it_cannot_learn),
    };
    return cmocka_run_group_tests_name("mlp", tests, NULL, NULL);
}
