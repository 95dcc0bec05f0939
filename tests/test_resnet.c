/* ResNet: golden values, central differences, equal bits, running statistics, shared weights. */
#define DRACO_RESNET_IMPLEMENTATION
#include "models/draco_resnet.h"
#include "models/draco_naive.h"
#include "support/models_check.h"

static draco_model open_net(const draco_dataset *train, const draco_dataset *test, int plain, size_t width,
                            int stages, int blocks) {
    const draco_resnet_config config = {train, test, plain, width, stages, blocks};
    draco_model m;
    assert_int_equal(draco_resnet_open(&m, &config), DRACO_OK);
    return m;
}

static void golden_values(void **state) {
    (void)state;
    draco_dataset data = check_pictures(20, 8, 3, 10);
    draco_model m = open_net(&data, NULL, 0, 16, 2, 1);
    check_golden(&m, "resnet.txt", 7, 1e-4);
    check_empty_part(&m);
    draco_resnet_close(&m);
    check_free(&data);
}

static void golden_values_of_resnet_18(void **state) {
    (void)state;
    draco_dataset data = check_pictures(20, 32, 3, 10);
    draco_model m = open_net(&data, NULL, 0, 0, 0, 0);
    assert_int_equal(m.parameters, 11173962);
    assert_int_equal(m.dim, draco_model_stats_offset(m.parameters) + 2 + 2 * 4800);
    assert_int_equal(m.layer_count, 21); /* 20 convolutions, each with its batch norm */
    assert_int_equal(m.layers[0], 0);
    assert_int_equal(m.layers[1], 27 * 64 + 2 * 64);
    assert_int_equal(m.layers[20], m.parameters - 513 * 10);
    /* The signs of some ReLUs differ between float and double. */
    check_golden(&m, "resnet18.txt", 4, 1e-2);
    draco_resnet_close(&m);
    check_free(&data);
}

/* Width 16, two stages of one block, 8 x 8 images, in double. running: batch norm by params, not by the
 * images. */
enum { SIDE = 8, WIDTH = 16, CLASSES = 10, MOST = 7 };

typedef struct naive_net {
    double *params, *x;
    int32_t labels[MOST];
    size_t count;
    int running;
    double statistics[2 * (16 + 16 + 16 + 32 + 32 + 32)];
} naive_net;

typedef struct naive_cursor {
    naive_net *net;
    const double *w, *statistics;
    double *out;
} naive_cursor;

static void naive_unit(naive_cursor *at, const draco_naive_conv *c, const double *x, double *y) {
    static double z[MOST * SIDE * SIDE * 2 * WIDTH];
    size_t places = at->net->count * draco_naive_out(c->height, c) * draco_naive_out(c->width, c);
    const double *scale = at->w + c->kernel * c->kernel * c->ci * c->co, *shift = scale + c->co;
    const double *mean = at->out, *variance = at->out + c->co;
    draco_naive_conv_forward(c, at->net->count, x, at->w, NULL, z);
    if (at->net->running) {
        mean = at->statistics;
        variance = mean + c->co;
    } else {
        draco_naive_norm_statistics(places, c->co, z, at->out, at->out + c->co);
    }
    draco_naive_norm_forward(places, c->co, z, mean, variance, scale, shift, y);
    at->w = shift + c->co;
    at->statistics += 2 * c->co;
    at->out += 2 * c->co;
}

static double naive_loss(void *ctx) {
    naive_net *net = ctx;
    enum { N1 = MOST * SIDE * SIDE * WIDTH, N2 = MOST * 4 * 4 * 32 };
    static double y0[N1], y1[N1], y2[N1], u1[N2], u2[N2], u3[N2], pooled[MOST * 32], logits[MOST * CLASSES];
    const size_t n1 = net->count * SIDE * SIDE * WIDTH, n2 = net->count * 4 * 4 * 32;
    naive_cursor at = {net, net->params, NULL, net->statistics};
    const draco_naive_conv stem = {SIDE, SIDE, 3, 16, 3, 1, 1}, same = {SIDE, SIDE, 16, 16, 3, 1, 1};
    const draco_naive_conv half = {SIDE, SIDE, 16, 32, 3, 2, 1}, small = {4, 4, 32, 32, 3, 1, 1};
    const draco_naive_conv aside = {SIDE, SIDE, 16, 32, 1, 2, 0};
    size_t weights = 9 * (3 * 16 + 2 * 16 * 16 + 16 * 32 + 32 * 32) + 16 * 32 + 2 * 144 + 33 * CLASSES;
    at.statistics = net->params + draco_model_stats_offset(weights) + 2;
    naive_unit(&at, &stem, net->x, y0);
    draco_naive_relu_forward(n1, y0);
    naive_unit(&at, &same, y0, y1);
    draco_naive_relu_forward(n1, y1);
    naive_unit(&at, &same, y1, y2);
    for (size_t i = 0; i < n1; i++) y2[i] += y0[i];
    draco_naive_relu_forward(n1, y2);
    naive_unit(&at, &half, y2, u1);
    draco_naive_relu_forward(n2, u1);
    naive_unit(&at, &small, u1, u2);
    naive_unit(&at, &aside, y2, u3);
    for (size_t i = 0; i < n2; i++) u2[i] += u3[i];
    draco_naive_relu_forward(n2, u2);
    draco_naive_mean_forward(net->count, 16, 32, u2, pooled);
    draco_naive_fc_forward(net->count, 32, CLASSES, pooled, at.w, at.w + 32 * CLASSES, logits);
    return draco_naive_softmax_loss(net->count, CLASSES, logits, net->labels, NULL);
}

static void naive_read(naive_net *net, const draco_dataset *data, size_t k, size_t sample) {
    float image[SIDE * SIDE * 3];
    draco_dataset_row(data, sample, image);
    for (size_t i = 0; i < SIDE * SIDE * 3; i++) net->x[k * SIDE * SIDE * 3 + i] = (double)image[i];
    net->labels[k] = data->labels[sample];
}

/* Start values with some life in them. */
static float *lively(const draco_model *m) {
    float *params = check_floats(m->dim);
    m->init(m->ctx, 4, params);
    for (size_t i = 0; i < m->parameters; i++) params[i] += 0.2f * check_number(31, i);
    return params;
}

static void central_differences(void **state) {
    (void)state;
    draco_dataset data = check_pictures(20, SIDE, 3, CLASSES);
    draco_model m = open_net(&data, &data, 1, WIDTH, 2, 1);
    float *params = lively(&m);
    double *wide = check_doubles(m.dim);
    naive_net net = {.params = wide, .x = check_doubles(MOST * SIDE * SIDE * 3), .count = MOST};
    for (size_t k = 0; k < MOST; k++) naive_read(&net, &data, k, draco_sample(5, 2, 3 + k, data.samples));
    check_model_slopes(&m, params, wide, MOST, 200, naive_loss, &net);

    /* Statistics: images x mean and images x variance of each unit, folded in by absorb, used by evaluate. */
    float *grad = check_floats(m.dim);
    void *workspace;
    assert_int_equal(m.workspace_new(m.ctx, &workspace), DRACO_OK);
    check_gradient(&m, workspace, params, MOST, grad);
    size_t begin = draco_model_stats_offset(m.parameters) + 2;
    for (size_t i = begin; i < m.dim; i++) {
        double want = net.statistics[i - begin];
        assert_true(fabs((double)grad[i] / MOST - want) < 1e-4 * (1 + fabs(want)));
    }
    m.absorb(m.ctx, params, grad, MOST);
    m.absorb(m.ctx, params, grad, MOST);
    for (size_t i = begin; i < m.dim; i++) {
        int variance = 0;
        for (size_t at = begin, u = 0; u < 6; at += u < 3 ? 32 : 64, u++)
            variance |= i >= at + (u < 3 ? 16u : 32u) && i < at + (u < 3 ? 32u : 64u);
        double want = 0.81 * variance + 0.19 * (double)grad[i] / MOST;
        assert_true(fabs((double)params[i] - want) < 1e-5 * (1 + fabs(want)));
        wide[i] = (double)params[i];
    }
    draco_score score;
    double loss = 0;
    assert_int_equal(m.evaluate(m.ctx, workspace, params, &score), DRACO_OK);
    net.running = 1;
    net.count = 1;
    for (size_t i = 0; i < data.samples; i++) {
        naive_read(&net, &data, 0, i);
        loss += naive_loss(&net);
    }
    assert_int_equal(score.samples, data.samples);
    assert_true(fabs(score.loss - loss / (double)data.samples) < 1e-3);
    m.workspace_free(m.ctx, workspace);
    free(net.x);
    free(wide);
    free(grad);
    free(params);
    draco_resnet_close(&m);
    check_free(&data);
}

static void same_bits(void **state) {
    (void)state;
    draco_dataset data = check_pictures(60, 32, 3, 10);
    draco_model m = open_net(&data, NULL, 0, 32, 3, 1);
    float *params = lively(&m);
    check_bits(&m, params, 7);
    check_bits(&m, params, 35); /* two micro-batches */
    check_descends(&m, 0.2f, 40);
    free(params);
    draco_resnet_close(&m);
    check_free(&data);
}

/* Packed weights are found by what the parameters are, not by where they stand. */
static void new_weights_are_seen(void **state) {
    (void)state;
    draco_dataset data = check_pictures(20, SIDE, 3, CLASSES);
    draco_model m = open_net(&data, NULL, 0, WIDTH, 2, 1), fresh = open_net(&data, NULL, 0, WIDTH, 2, 1);
    float *params = lively(&m), *got = check_floats(m.dim), *want = check_floats(m.dim);
    void *workspace, *other;
    assert_int_equal(m.workspace_new(m.ctx, &workspace), DRACO_OK);
    assert_int_equal(fresh.workspace_new(fresh.ctx, &other), DRACO_OK);
    check_gradient(&m, workspace, params, 5, got);
    params[100] += 1;
    check_gradient(&m, workspace, params, 5, got);
    check_gradient(&fresh, other, params, 5, want);
    assert_memory_equal(got, want, m.dim * sizeof *got);
    m.workspace_free(m.ctx, workspace);
    fresh.workspace_free(fresh.ctx, other);
    free(params);
    free(got);
    free(want);
    draco_resnet_close(&m);
    draco_resnet_close(&fresh);
    check_free(&data);
}

/* Threads with different parameters at the same time: each sees its own. */
static void threads_do_not_mix_weights(void **state) {
    (void)state;
    draco_dataset data = check_pictures(20, SIDE, 3, CLASSES);
    draco_model m = open_net(&data, NULL, 0, WIDTH, 2, 1);
    const draco_batch batch = {.seed = 5, .step = 2, .first = 3, .count = 6, .total = 6};
    float *params[2] = {lively(&m), lively(&m)}, *want[2] = {check_floats(m.dim), check_floats(m.dim)};
    void *workspace;
    int equal = 1;
    params[1][7] += 1;
    assert_int_equal(m.workspace_new(m.ctx, &workspace), DRACO_OK);
    for (int k = 0; k < 2; k++)
        assert_int_equal(m.gradient(m.ctx, workspace, params[k], &batch, want[k]), DRACO_OK);
    m.workspace_free(m.ctx, workspace);
    assert_memory_not_equal(want[0], want[1], m.dim * sizeof(float));
#pragma omp parallel for num_threads(4) schedule(static, 1) reduction(&& : equal)
    for (int t = 0; t < 40; t++) {
        float *mine = malloc(m.dim * sizeof *mine);
        void *own = NULL;
        int good = m.workspace_new(m.ctx, &own) == DRACO_OK &&
                   m.gradient(m.ctx, own, params[t % 2], &batch, mine) == DRACO_OK;
        equal = equal && good && memcmp(mine, want[t % 2], m.dim * sizeof *mine) == 0;
        if (own) m.workspace_free(m.ctx, own);
        free(mine);
    }
    assert_true(equal);
    for (int k = 0; k < 2; k++) {
        free(params[k]);
        free(want[k]);
    }
    draco_resnet_close(&m);
    check_free(&data);
}

static void memory_is_bounded(void **state) {
    (void)state;
    draco_dataset data = check_pictures(20, 32, 3, 10);
    draco_model m = open_net(&data, NULL, 0, 0, 0, 0);
    draco_model_memory few = draco_resnet_memory(&m, 4), many = draco_resnet_memory(&m, 32);
    draco_model_memory very_many = draco_resnet_memory(&m, 3200);
    assert_true(few.workspace < many.workspace && many.shared < 100000);
    assert_int_equal(many.workspace, very_many.workspace);
    assert_in_range(many.workspace, 150000000, 500000000);
    draco_resnet_close(&m);
    check_free(&data);
}

static void refuses_what_it_cannot_learn(void **state) {
    (void)state;
    draco_dataset odd = check_pictures(5, 12, 3, 3), text = check_sentences(5, 10, 4);
    const draco_resnet_config wrong[] = {{.train = NULL},
                                         {.train = &odd}, /* 12 is not divisible by 8 */
                                         {.train = &text},
                                         {.train = &odd, .stages = 2, .width = 8},
                                         {.train = &odd, .stages = 2, .blocks = 99},
                                         {.train = &odd, .stages = -1}};
    draco_model m;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(draco_resnet_open(&m, &wrong[i]), DRACO_E_ARGUMENT);
    check_free(&odd);
    check_free(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_values),        cmocka_unit_test(golden_values_of_resnet_18),
        cmocka_unit_test(central_differences),  cmocka_unit_test(same_bits),
        cmocka_unit_test(new_weights_are_seen), cmocka_unit_test(threads_do_not_mix_weights),
        cmocka_unit_test(memory_is_bounded),    cmocka_unit_test(refuses_what_it_cannot_learn),
    };
    return cmocka_run_group_tests_name("resnet", tests, NULL, NULL);
}
