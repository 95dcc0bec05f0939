/* Layers: the naive ones against central differences in double, the fast ones against the naive ones. */
#include "support/models_check.h"

#define DRACO_DATA_IMPLEMENTATION
#include "models/draco_layers.h"
#include "models/draco_naive.h"

#include <omp.h>

/* ---- Naive layers: sum of r * y, by everything that goes in ---- */

enum { FC, RELU, CONV, POOL, NORM, MEAN, EMBED, WINDOWS, MAX, DROPOUT, SOFTMAX, KINDS };

static const char *const names[KINDS] = {"fc",    "relu",    "conv", "pool",    "norm",   "mean",
                                         "embed", "windows", "max",  "dropout", "softmax"};

typedef struct naive_case {
    int kind;
    draco_naive_conv conv;
    size_t nx, nw, nb, ny; /* numbers of inputs, weights, biases, outputs */
    double *x, *w, *b, *r, *y;
} naive_case;

static const int32_t sentence[] = {3, 1, 4, 1, 5};
static const int32_t classes_of[] = {1, 0, 3};

static double naive_value(void *ctx) {
    naive_case *c = ctx;
    double sum = 0, mean[3], variance[3];
    switch (c->kind) {
    case FC:
        draco_naive_fc_forward(3, 5, 4, c->x, c->w, c->b, c->y);
        break;
    case RELU:
        memcpy(c->y, c->x, c->nx * sizeof *c->x);
        draco_naive_relu_forward(c->nx, c->y);
        break;
    case CONV:
        draco_naive_conv_forward(&c->conv, 2, c->x, c->w, c->b, c->y);
        break;
    case POOL:
        draco_naive_pool_forward(2, 4, 6, 3, c->x, c->y);
        break;
    case NORM:
        draco_naive_norm_statistics(10, 3, c->x, mean, variance);
        draco_naive_norm_forward(10, 3, c->x, mean, variance, c->w, c->b, c->y);
        break;
    case MEAN:
        draco_naive_mean_forward(2, 6, 3, c->x, c->y);
        break;
    case EMBED:
        draco_naive_embed_forward(sentence, 5, 2, 3, c->w, c->y);
        break;
    case WINDOWS:
        draco_naive_windows_forward(4, 3, 2, 5, c->x, c->w, c->b, c->y);
        break;
    case MAX:
        draco_naive_max_forward(6, 4, c->x, c->y);
        break;
    case DROPOUT:
        memcpy(c->y, c->x, c->nx * sizeof *c->x);
        draco_naive_dropout(c->nx, c->r, c->y);
        break;
    default:
        return draco_naive_softmax_loss(3, 4, c->x, classes_of, NULL);
    }
    for (size_t i = 0; i < c->ny; i++) sum += c->r[i] * c->y[i];
    return sum;
}

static void naive_slopes(naive_case *c, double *dx, double *dw, double *db) {
    double mean[3], variance[3];
    switch (c->kind) {
    case FC:
        draco_naive_fc_backward(3, 5, 4, c->x, c->w, c->r, dw, db, dx);
        break;
    case RELU:
        memcpy(dx, c->r, c->nx * sizeof *dx);
        draco_naive_relu_backward(c->nx, c->y, dx);
        break;
    case CONV:
        draco_naive_conv_backward(&c->conv, 2, c->x, c->w, c->r, dw, db, dx);
        break;
    case POOL:
        draco_naive_pool_backward(2, 4, 6, 3, c->x, c->r, dx);
        break;
    case NORM:
        draco_naive_norm_statistics(10, 3, c->x, mean, variance);
        draco_naive_norm_backward(10, 3, c->x, mean, variance, c->w, c->r, dw, db, dx);
        break;
    case MEAN:
        draco_naive_mean_backward(2, 6, 3, c->r, dx);
        break;
    case EMBED:
        draco_naive_embed_backward(sentence, 5, 2, 3, c->r, dw);
        break;
    case WINDOWS:
        draco_naive_windows_backward(4, 3, 2, 5, c->x, c->w, c->r, dw, db, dx);
        break;
    case MAX:
        draco_naive_max_backward(6, 4, c->x, c->r, dx);
        break;
    case DROPOUT:
        memcpy(dx, c->r, c->nx * sizeof *dx);
        draco_naive_dropout(c->nx, c->r, dx);
        break;
    default:
        draco_naive_softmax_loss(3, 4, c->x, classes_of, dx);
    }
}

static double *numbers(uint32_t stream, size_t n) {
    double *p = check_doubles(n);
    /* Away from 0, where ReLU has its kink. */
    for (size_t i = 0; i < n; i++) {
        p[i] = 2 * (double)check_number(stream, i);
        p[i] += p[i] > 0 ? 0.01 : -0.01;
    }
    return p;
}

static void check_naive(naive_case c) {
    c.x = numbers(1, c.nx);
    c.w = numbers(2, c.nw);
    c.b = numbers(3, c.nb);
    c.r = numbers(4, c.ny);
    c.y = check_doubles(c.ny);
    double *dx = check_doubles(c.nx), *dw = check_doubles(c.nw), *db = check_doubles(c.nb);
    naive_value(&c);
    naive_slopes(&c, dx, dw, db);
    check_slopes(names[c.kind], naive_value, &c, c.x, dx, c.nx, 64, 1e-6);
    check_slopes(names[c.kind], naive_value, &c, c.w, dw, c.nw, 64, 1e-6);
    check_slopes(names[c.kind], naive_value, &c, c.b, db, c.nb, 64, 1e-6);
    double *all[] = {c.x, c.w, c.b, c.r, c.y, dx, dw, db};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
}

static void naive_layers_match_central_differences(void **state) {
    (void)state;
    check_naive((naive_case){.kind = FC, .nx = 15, .nw = 20, .nb = 4, .ny = 12});
    check_naive((naive_case){.kind = RELU, .nx = 40, .ny = 40});
    check_naive((naive_case){
        .kind = CONV, .conv = {5, 6, 2, 3, 3, 1, 0}, .nx = 120, .nw = 54, .nb = 3, .ny = 2 * 3 * 4 * 3});
    check_naive((naive_case){
        .kind = CONV, .conv = {6, 5, 2, 3, 3, 2, 1}, .nx = 120, .nw = 54, .nb = 3, .ny = 2 * 3 * 3 * 3});
    check_naive((naive_case){
        .kind = CONV, .conv = {4, 4, 3, 2, 1, 2, 0}, .nx = 96, .nw = 6, .nb = 2, .ny = 2 * 2 * 2 * 2});
    check_naive((naive_case){.kind = POOL, .nx = 2 * 4 * 6 * 3, .ny = 2 * 2 * 3 * 3});
    check_naive((naive_case){.kind = NORM, .nx = 30, .nw = 3, .nb = 3, .ny = 30});
    check_naive((naive_case){.kind = MEAN, .nx = 36, .ny = 6});
    check_naive((naive_case){.kind = EMBED, .nw = 18, .ny = 27});
    check_naive((naive_case){.kind = WINDOWS, .nx = 12, .nw = 30, .nb = 5, .ny = 20});
    check_naive((naive_case){.kind = MAX, .nx = 24, .ny = 4});
    check_naive((naive_case){.kind = DROPOUT, .nx = 16, .ny = 16});
    check_naive((naive_case){.kind = SOFTMAX, .nx = 12, .ny = 12});
}

/* ---- Fast layers ---- */

static void fc_matches(void **state) {
    (void)state;
    const size_t shapes[][3] = {{1, 1, 1}, {3, 7, 5}, {32, 784, 800}, {17, 100, 10}};
    for (size_t s = 0; s < 4; s++) {
        size_t rows = shapes[s][0], in = shapes[s][1], out = shapes[s][2];
        float *x = check_fill(1, 1, rows * in), *w = check_fill(2, 1, in * out), *b = check_fill(3, 1, out);
        float *dy = check_fill(4, 1, rows * out), *y = check_floats(rows * out),
              *dx = check_floats(rows * in);
        float *dw = check_fill(5, 1, in * out), *db = check_fill(6, 1, out);
        double *nx = check_widen(x, rows * in), *nw = check_widen(w, in * out), *nb = check_widen(b, out);
        double *ndy = check_widen(dy, rows * out), *ny = check_doubles(rows * out),
               *ndx = check_doubles(rows * in);
        double *ndw = check_widen(dw, in * out), *ndb = check_widen(db, out);
        draco_fc_forward(rows, in, out, x, w, b, y);
        draco_naive_fc_forward(rows, in, out, nx, nw, nb, ny);
        check_close("y", y, ny, rows * out, 1e-5);
        draco_fc_backward(rows, in, out, x, w, dy, 1, dw, db, dx); /* adds to what dw and db hold */
        draco_naive_fc_backward(rows, in, out, nx, nw, ndy, ndw, ndb, ndx);
        check_close("dx", dx, ndx, rows * in, 1e-5);
        check_close("dw", dw, ndw, in * out, 1e-5);
        check_close("db", db, ndb, out, 1e-5);
        memset(ndw, 0, in * out * sizeof *ndw);
        draco_naive_fc_backward(rows, in, out, nx, nw, ndy, ndw, ndb, ndx);
        draco_fc_backward(rows, in, out, x, w, dy, 0, dw, db, NULL); /* starts them */
        check_close("dw from 0", dw, ndw, in * out, 1e-5);
        void *all[] = {x, w, b, dy, y, dx, dw, db, nx, nw, nb, ndy, ny, ndx, ndw, ndb};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
    }
}

static void relu_pool_and_softmax_match(void **state) {
    (void)state;
    const size_t n = 3 * 6 * 8 * 5;
    float *x = check_fill(1, 1, n), *y = check_floats(n / 4), *dy = check_fill(2, 1, n / 4),
          *dx = check_floats(n);
    for (size_t i = 0; i < n; i += 3) x[i] = 0.25f; /* ties */
    double *nx = check_widen(x, n), *ny = check_doubles(n / 4), *ndy = check_widen(dy, n / 4);
    double *ndx = check_doubles(n);
    draco_maxpool_forward(3, 6, 8, 5, x, y);
    draco_naive_pool_forward(3, 6, 8, 5, nx, ny);
    check_close("pool", y, ny, n / 4, 0);
    draco_maxpool_backward(3, 6, 8, 5, x, y, dy, dx);
    draco_naive_pool_backward(3, 6, 8, 5, nx, ndy, ndx);
    check_close("pool backward", dx, ndx, n, 0);
    draco_relu_forward(n / 4, y);
    draco_naive_relu_forward(n / 4, ny);
    check_close("relu", y, ny, n / 4, 0);
    draco_relu_backward(n / 4, y, dy);
    draco_naive_relu_backward(n / 4, ny, ndy);
    check_close("relu backward", dy, ndy, n / 4, 0);

    const int32_t labels[] = {0, 9, 4};
    float *z = check_fill(3, 200, 30), *dz = check_floats(30); /* logits up to 100: exp must not overflow */
    double *nz = check_widen(z, 30), *ndz = check_doubles(30), loss = 0;
    size_t correct = 0;
    draco_softmax_loss(3, 10, z, labels, &loss, &correct, dz);
    assert_true(fabs(loss - draco_naive_softmax_loss(3, 10, nz, labels, ndz)) < 1e-4 * (1 + loss));
    check_close("softmax", dz, ndz, 30, 1e-6);
    for (int j = 0; j < 10; j++) z[j] = z[10 + j] = z[20 + j] = (float)(j == 4);
    correct = 0;
    draco_softmax_loss(3, 10, z, labels, &loss, &correct, NULL);
    assert_int_equal(correct, 1);
    void *all[] = {x, y, dy, dx, nx, ny, ndy, ndx, z, dz, nz, ndz};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
}

static void conv2d_matches(void **state) {
    (void)state;
    /* height, width, ci, co, kernel, stride, pad; the last two need several groups of images. */
    const draco_conv_shape shapes[] = {
        {5, 6, 2, 3, 3, 1, 0}, {6, 5, 3, 4, 3, 2, 1}, {7, 7, 1, 2, 5, 1, 2},    {3, 3, 4, 4, 5, 1, 2},
        {8, 8, 4, 6, 1, 2, 0}, {2, 2, 3, 3, 3, 1, 1}, {28, 28, 1, 20, 5, 1, 0}, {12, 12, 20, 50, 5, 1, 0}};
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
        const draco_conv_shape *s = &shapes[k];
        const draco_naive_conv c = {s->height, s->width, s->ci, s->co, s->kernel, s->stride, s->pad};
        const size_t images = 13, in = images * s->height * s->width * s->ci, weights = draco_conv_weights(s);
        const size_t out = images * draco_conv2d_places(s) * s->co;
        float *x = check_fill(1, 1, in), *w = check_fill(2, 1, weights), *b = check_fill(3, 1, s->co);
        float *dy = check_fill(4, 1, out), *y = check_floats(out), *dx = check_floats(in);
        float *dw = check_fill(5, 1, weights), *db = check_fill(6, 1, s->co);
        float *scratch = check_floats(draco_conv2d_scratch(s));
        double *nx = check_widen(x, in), *nw = check_widen(w, weights), *nb = check_widen(b, s->co);
        double *ndy = check_widen(dy, out), *ny = check_doubles(out), *ndx = check_doubles(in);
        double *ndw = check_widen(dw, weights), *ndb = check_widen(db, s->co);
        draco_conv2d_forward(s, images, x, w, b, y, scratch);
        draco_naive_conv_forward(&c, images, nx, nw, nb, ny);
        check_close("y", y, ny, out, 1e-5);
        draco_conv2d_backward_weights(s, images, x, dy, 1, dw, db, scratch);
        draco_conv2d_backward_data(s, images, w, dy, dx, scratch);
        draco_naive_conv_backward(&c, images, nx, nw, ndy, ndw, ndb, ndx);
        check_close("dw", dw, ndw, weights, 1e-5);
        check_close("db", db, ndb, s->co, 1e-5);
        check_close("dx", dx, ndx, in, 1e-5);
        void *all[] = {x, w, b, dy, y, dx, dw, db, scratch, nx, nw, nb, ndy, ny, ndx, ndw, ndb};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
    }
}

/* ---- The primitives under ResNet, in blocks of channels ---- */

/* NHWC from or to [image][channel / block][pixel][block]. */
static void reblock(size_t block, size_t images, size_t pixels, size_t channels, const float *from, float *to,
                    int back) {
    for (size_t n = 0; n < images; n++)
        for (size_t p = 0; p < pixels; p++)
            for (size_t c = 0; c < channels; c++) {
                size_t flat = (n * pixels + p) * channels + c;
                size_t blocked = ((n * (channels / block) + c / block) * pixels + p) * block + c % block;
                to[back ? flat : blocked] = from[back ? blocked : flat];
            }
}

static float *reblocked(const draco_engine *e, size_t images, size_t pixels, size_t channels,
                        const float *from, int back) {
    float *to = check_floats(images * pixels * channels);
    reblock(draco_engine_block(e, channels), images, pixels, channels, from, to, back);
    return to;
}

static void room(draco_run *run, const draco_conv *c) {
    size_t scratch = 0, weights = 0, rows = 0;
    draco_conv_needs(c, &scratch, &weights, &rows);
    run->scratch = draco_model_alloc(scratch, 1);
    run->weights = draco_model_alloc(2 * weights, sizeof(float));
    run->rows = draco_model_alloc(rows, sizeof(float));
}

static void conv_primitive(const draco_engine *e, const draco_conv_shape *s, size_t images, int first) {
    const draco_naive_conv c = {s->height, s->width, s->ci, s->co, s->kernel, s->stride, s->pad};
    const size_t pixels = s->height * s->width,
                 places = draco_conv_out(s->height, s) * draco_conv_out(s->width, s);
    const size_t in = images * pixels * s->ci, out = images * places * s->co, weights = draco_conv_weights(s);
    draco_conv conv;
    draco_run run;
    assert_int_equal(draco_conv_open(&conv, e, s, images, first), DRACO_OK);
    assert_int_equal(draco_run_open(&run, e), DRACO_OK);
    room(&run, &conv);
    float *x = check_fill(1, 1, in), *w = check_fill(2, 1, weights), *dy = check_fill(4, 1, out);
    float *dw = check_fill(5, 1, weights), *packed = check_floats(conv.packed);
    float *bx = check_floats(in), *by = check_floats(out), *bdx = check_floats(in);
    float *bdy = reblocked(e, images, places, s->co, dy, 0);
    for (size_t i = 0; i < images && first; i++)
        draco_engine_image(pixels, s->ci, x + i * pixels * s->ci, bx + i * pixels * s->ci);
    if (!first) reblock(draco_engine_block(e, s->ci), images, pixels, s->ci, x, bx, 0);
    double *nx = check_widen(x, in), *nw = check_widen(w, weights), *ndy = check_widen(dy, out);
    double *ny = check_doubles(out), *ndx = check_doubles(in), *ndw = check_widen(dw, weights);
    draco_conv_pack(&conv, &run, w, packed);
    draco_conv_forward(&conv, &run, bx, packed, by);
    draco_conv_backward_weights(&conv, &run, bx, bdy, 1, dw);
    if (!first) draco_conv_backward_data(&conv, &run, packed, bdy, bdx);
    draco_naive_conv_forward(&c, images, nx, nw, NULL, ny);
    draco_naive_conv_backward(&c, images, nx, nw, ndy, ndw, NULL, first ? NULL : ndx);
    float *y = reblocked(e, images, places, s->co, by, 1);
    /* Winograd's transforms cost two decimals. */
    check_close("y", y, ny, out, 1e-4);
    check_close("dw", dw, ndw, weights, 1e-4);
    if (!first) {
        float *dx = reblocked(e, images, pixels, s->ci, bdx, 1);
        check_close("dx", dx, ndx, in, 1e-4);
        free(dx);
    }
    memset(ndw, 0, weights * sizeof *ndw);
    draco_naive_conv_backward(&c, images, nx, nw, ndy, ndw, NULL, NULL);
    draco_conv_backward_weights(&conv, &run, bx, bdy, 0, dw);
    check_close("dw from 0", dw, ndw, weights, 1e-4);
    assert_int_equal(draco_run_status(&run), DRACO_OK);
    draco_run_close(&run);
    draco_conv_close(&conv);
    void *all[] = {x, w, dy, dw, packed, bx, by, bdx, bdy, y, nx, nw, ndy, ny, ndx, ndw};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
}

static void conv_primitives_match(void **state) {
    (void)state;
    /* The shapes of ResNet-18, with as many images as choose Winograd where it is used; then small ones. */
    const draco_conv_shape shapes[] = {
        {32, 32, 3, 64, 3, 1, 1},   {32, 32, 64, 64, 3, 1, 1},   {32, 32, 64, 128, 3, 2, 1},
        {32, 32, 64, 128, 1, 2, 0}, {16, 16, 128, 128, 3, 1, 1}, {8, 8, 256, 256, 3, 1, 1},
        {8, 8, 256, 512, 3, 2, 1},  {8, 8, 256, 512, 1, 2, 0},   {4, 4, 512, 512, 3, 1, 1},
        {8, 8, 1, 16, 3, 1, 1},     {2, 2, 32, 64, 3, 2, 1},     {1, 1, 16, 16, 3, 1, 1}};
    const size_t images[] = {2, 1, 1, 2, 3, 12, 1, 2, 2, 3, 5, 4};
    draco_engine e;
    draco_compute_guard threads = draco_compute_begin();
    assert_int_equal(draco_engine_open(&e), DRACO_OK);
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++)
        conv_primitive(&e, &shapes[k], images[k], shapes[k].ci < 16);
    draco_engine_close(&e);
    draco_compute_end(threads);
}

static void norm_primitive(const draco_engine *e, int relu) {
    const size_t images = 3, side = 5, channels = 32, pixels = side * side, places = images * pixels;
    const size_t n = places * channels;
    draco_norm norm;
    draco_run run;
    size_t scratch = 0;
    assert_int_equal(draco_norm_open(&norm, e, images, channels, side, side, relu), DRACO_OK);
    assert_int_equal(draco_run_open(&run, e), DRACO_OK);
    draco_norm_needs(&norm, &scratch);
    run.scratch = draco_model_alloc(scratch, 1);
    void *mask = draco_model_alloc(norm.mask_bytes, 1);
    float *x = check_fill(1, 3, n), *dy = check_fill(2, 1, n), *scale = check_fill(3, 1, channels);
    float *shift = check_fill(4, 1, channels), mean[32], variance[32], dscale[32], dshift[32];
    float *bx = reblocked(e, images, pixels, channels, x, 0),
          *bdy = reblocked(e, images, pixels, channels, dy, 0);
    float *by = check_floats(n), *bdx = check_floats(n);
    double *nx = check_widen(x, n), *ndy = check_widen(dy, n), *nscale = check_widen(scale, channels);
    double *nshift = check_widen(shift, channels), *ny = check_doubles(n), *ndx = check_doubles(n);
    double nmean[32], nvariance[32], ndscale[32] = {0}, ndshift[32] = {0};
    draco_norm_train(&norm, &run, bx, scale, shift, mean, variance, by, mask);
    draco_norm_backward(&norm, &run, bx, scale, shift, mean, variance, mask, bdy, bdx, dscale, dshift);
    draco_naive_norm_statistics(places, channels, nx, nmean, nvariance);
    draco_naive_norm_forward(places, channels, nx, nmean, nvariance, nscale, nshift, ny);
    if (relu) {
        draco_naive_relu_forward(n, ny);
        draco_naive_relu_backward(n, ny, ndy);
    }
    draco_naive_norm_backward(places, channels, nx, nmean, nvariance, nscale, ndy, ndscale, ndshift, ndx);
    float *y = reblocked(e, images, pixels, channels, by, 1),
          *dx = reblocked(e, images, pixels, channels, bdx, 1);
    check_close("mean", mean, nmean, channels, 1e-5);
    check_close("variance", variance, nvariance, channels, 1e-5);
    check_close("y", y, ny, n, 1e-5);
    check_close("dx", dx, ndx, n, 1e-5);
    check_close("dscale", dscale, ndscale, channels, 1e-5);
    check_close("dshift", dshift, ndshift, channels, 1e-5);
    for (size_t c = 0; c < channels; c++) nvariance[c] = (double)(variance[c] = 0.5f + 0.1f * (float)c);
    draco_norm_infer(&norm, &run, bx, scale, shift, mean, variance, by);
    draco_naive_norm_forward(places, channels, nx, nmean, nvariance, nscale, nshift, ny);
    if (relu) draco_naive_relu_forward(n, ny);
    reblock(draco_engine_block(e, channels), images, pixels, channels, by, y, 1);
    check_close("y by running values", y, ny, n, 1e-5);
    assert_int_equal(draco_run_status(&run), DRACO_OK);
    draco_run_close(&run);
    draco_norm_close(&norm);
    void *all[] = {mask, x, dy, scale, shift, bx, bdy, by, bdx, nx, ndy, nscale, nshift, ny, ndx, y, dx};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
}

static void norm_primitives_match(void **state) {
    (void)state;
    draco_engine e;
    draco_compute_guard threads = draco_compute_begin();
    assert_int_equal(draco_engine_open(&e), DRACO_OK);
    norm_primitive(&e, 0);
    norm_primitive(&e, 1);
    draco_engine_close(&e);
    draco_compute_end(threads);
}

/* ---- The library below ---- */

static void product_has_the_same_bits(void **state) {
    (void)state;
    const size_t m = 65, n = 103, k = 301;
    float *a = check_fill(1, 1, m * k + 1), *b = check_fill(2, 1, k * n + 1), *c = check_floats(m * n);
    float *again = check_floats(m * n + 1);
    int threads = omp_get_max_threads();
    draco_compute_guard guard = draco_compute_begin();
    draco_sgemm('N', 'N', m, n, k, 1, a, k, b, n, 0, c, n);
    draco_compute_end(guard);
    for (int want = 1; want <= 2; want++) {
        omp_set_num_threads(want);
        draco_compute_guard before = draco_compute_begin();
        draco_sgemm('N', 'N', m, n, k, 1, a, k, b, n, 0, again, n);
        draco_compute_end(before);
        assert_int_equal(omp_get_max_threads(), want);
        assert_memory_equal(c, again, m * n * sizeof *c);
    }
    /* Neither alignment nor company changes them. */
    memmove(a + 1, a, m * k * sizeof *a);
    memmove(b + 1, b, k * n * sizeof *b);
    int equal = 1;
#pragma omp parallel num_threads(2) reduction(&& : equal)
    {
        float *mine = check_floats(m * n + 1);
        draco_compute_guard before = draco_compute_begin();
        draco_sgemm('N', 'N', m, n, k, 1, a + 1, k, b + 1, n, 0, mine + 1, n);
        draco_compute_end(before);
        equal = memcmp(c, mine + 1, m * n * sizeof *c) == 0;
        free(mine);
    }
    assert_true(equal);
    omp_set_num_threads(threads);
    free(a);
    free(b);
    free(c);
    free(again);
}

static int calls;
static void counting_sgemm(char ta, char tb, size_t m, size_t n, size_t k, float alpha, const float *a,
                           size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc) {
    calls++;
    draco_sgemm_default(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

static void product_can_be_replaced(void **state) {
    (void)state;
    float x[2] = {1, 2}, w[2] = {3, 4}, bias = 5, y = 0;
    draco_sgemm_fn before = draco_sgemm;
    draco_sgemm = counting_sgemm;
    draco_fc_forward(1, 2, 1, x, w, &bias, &y);
    draco_sgemm = before;
    assert_int_equal(calls, 1);
    assert_true(y == 16);
}

static void instruction_sets_have_names(void **state) {
    (void)state;
    char text[256] = "";
    assert_int_equal(draco_isa_set("avx9000", text, sizeof text), DRACO_E_ARGUMENT);
    assert_non_null(strstr(text, "avx9000"));
    assert_true(draco_compute_describe(text, sizeof text) > 0);
    assert_true(strlen(text) > 8);
#if DRACO_ONEDNN
    /* Products have been computed by now, or the description has fixed the choice. */
    assert_int_equal(draco_isa_set("avx2", text, sizeof text), DRACO_E_MODEL);
    assert_non_null(strstr(text, "before"));
#endif
}

/* A part is cut evenly, whatever its size. */
static void micro_batches_cover_the_part(void **state) {
    (void)state;
    for (size_t samples = 1; samples <= 100; samples++) {
        size_t pieces = draco_micro_count(samples, 16), at = 0;
        for (size_t i = 0; i < pieces; i++) {
            size_t first, count;
            draco_micro_range(samples, 16, i, &first, &count);
            assert_int_equal(first, at);
            assert_in_range(count, samples / pieces, 16);
            at += count;
        }
        assert_int_equal(at, samples);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(naive_layers_match_central_differences),
        cmocka_unit_test(fc_matches),
        cmocka_unit_test(relu_pool_and_softmax_match),
        cmocka_unit_test(conv2d_matches),
        cmocka_unit_test(conv_primitives_match),
        cmocka_unit_test(norm_primitives_match),
        cmocka_unit_test(product_has_the_same_bits),
        cmocka_unit_test(product_can_be_replaced),
        cmocka_unit_test(instruction_sets_have_names),
        cmocka_unit_test(micro_batches_cover_the_part),
    };
    return cmocka_run_group_tests_name("layers", tests, NULL, NULL);
}
