/* Layers: the naive ones against central differences in double, the fast ones against the naive ones. */
#include "support/models_check.h"

#define DRACO_DATA_IMPLEMENTATION
#include "models/draco_layers.h"
#include "models/draco_naive.h"

#include <fenv.h>

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
    /* height, width, ci, co, kernel, stride, pad: small ones, those of LeNet, those of ResNet-18. */
    const draco_conv_shape shapes[] = {
        {5, 6, 2, 3, 3, 1, 0},       {6, 5, 3, 4, 3, 2, 1},      {7, 7, 1, 2, 5, 1, 2},
        {3, 3, 4, 4, 5, 1, 2},       {8, 8, 4, 6, 1, 2, 0},      {2, 2, 3, 3, 3, 1, 1},
        {8, 8, 1, 16, 3, 1, 1},      {2, 2, 32, 64, 3, 2, 1},    {1, 1, 16, 16, 3, 1, 1},
        {28, 28, 1, 20, 5, 1, 0},    {12, 12, 20, 50, 5, 1, 0},  {32, 32, 3, 64, 3, 1, 1},
        {32, 32, 64, 64, 3, 1, 1},   {32, 32, 64, 128, 3, 2, 1}, {32, 32, 64, 128, 1, 2, 0},
        {16, 16, 128, 128, 3, 1, 1}, {8, 8, 256, 512, 3, 2, 1},  {4, 4, 512, 512, 3, 1, 1},
        {18, 14, 16, 48, 3, 1, 1}};
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
        const draco_conv_shape *s = &shapes[k];
        const draco_naive_conv c = {s->height, s->width, s->ci, s->co, s->kernel, s->stride, s->pad};
        const size_t images = s->ci * s->co < 1024 ? 13 : 3, in = images * s->height * s->width * s->ci,
                     weights = draco_conv_weights(s);
        const size_t out = images * draco_conv_places(s) * s->co;
        float *x = check_fill(1, 1, in), *w = check_fill(2, 1, weights), *b = check_fill(3, 1, s->co);
        float *dy = check_fill(4, 1, out), *y = check_floats(out), *dx = check_floats(in);
        float *dw = check_fill(5, 1, weights), *db = check_fill(6, 1, s->co);
        float *scratch = check_floats(draco_conv2d_scratch(s, images));
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

/* With 70 channels and 2 x 41 places neither of the two fills its blocks. */
static void norm_matches(int relu) {
    enum { CHANNELS = 70, PLACES = 82, N = PLACES * CHANNELS };
    float *x = check_fill(1, 3, N), *dy = check_fill(2, 1, N), *scale = check_fill(3, 1, CHANNELS);
    float *shift = check_fill(4, 1, CHANNELS), *y = check_floats(N), *dx = check_floats(N);
    float mean[CHANNELS], variance[CHANNELS], dscale[CHANNELS], dshift[CHANNELS];
    double *nx = check_widen(x, N), *ndy = check_widen(dy, N), *nscale = check_widen(scale, CHANNELS);
    double *nshift = check_widen(shift, CHANNELS), *ny = check_doubles(N), *ndx = check_doubles(N);
    double nmean[CHANNELS], nvariance[CHANNELS], ndscale[CHANNELS] = {0}, ndshift[CHANNELS] = {0};
    draco_norm_statistics(PLACES, CHANNELS, x, mean, variance);
    draco_norm_forward(PLACES, CHANNELS, relu, x, scale, shift, mean, variance, y);
    draco_norm_backward(PLACES, CHANNELS, relu, x, y, scale, mean, variance, dy, dx, dscale, dshift);
    draco_naive_norm_statistics(PLACES, CHANNELS, nx, nmean, nvariance);
    draco_naive_norm_forward(PLACES, CHANNELS, nx, nmean, nvariance, nscale, nshift, ny);
    if (relu) {
        draco_naive_relu_forward(N, ny);
        draco_naive_relu_backward(N, ny, ndy);
    }
    draco_naive_norm_backward(PLACES, CHANNELS, nx, nmean, nvariance, nscale, ndy, ndscale, ndshift, ndx);
    check_close("mean", mean, nmean, CHANNELS, 1e-6);
    check_close("variance", variance, nvariance, CHANNELS, 1e-6);
    check_close("y", y, ny, N, 1e-5);
    check_close("dx", dx, ndx, N, 1e-5);
    check_close("dscale", dscale, ndscale, CHANNELS, 1e-5);
    check_close("dshift", dshift, ndshift, CHANNELS, 1e-5);
    void *all[] = {x, dy, scale, shift, y, dx, nx, ndy, nscale, nshift, ny, ndx};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
}

static void batch_norm_matches(void **state) {
    (void)state;
    norm_matches(0);
    norm_matches(1);
}

/* ---- Products: the same bits from every kernel ---- */

/* c(i, j), one element after the other. */
static void product_of_chains(char ta, char tb, size_t m, size_t n, size_t k, const float *a, size_t lda,
                              const float *b, size_t ldb, float beta, float *c, size_t ldc) {
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            float sum = beta == 0 ? 0 : c[i * ldc + j];
            for (size_t l = 0; l < k; l++)
                sum = draco_fma(ta == 'T' ? a[l * lda + i] : a[i * lda + l],
                                tb == 'T' ? b[j * ldb + l] : b[l * ldb + j], sum);
            c[i * ldc + j] = sum;
        }
}

static void each_kernel(void (*check)(const draco_kernel *kernel)) {
    char why[128];
    for (size_t i = 0; i < DRACO_KERNELS; i++) {
        if (!draco_kernel_runs(&draco_kernels[i])) continue;
        assert_int_equal(draco_isa_set(draco_kernels[i].name, why, sizeof why), DRACO_OK);
        check(draco_kernel_get());
    }
    assert_int_equal(draco_isa_set("all", why, sizeof why), DRACO_OK);
}

/* Every remainder of rows and columns, sizes beyond the blocks of k and rows, and long rows. */
static void products(const draco_kernel *kernel) {
    static const size_t sizes[][3] = {{1, 1, 1},    {2, 3, 0},     {3, 5, 7},     {5, 31, 40},  {7, 33, 2},
                                      {11, 16, 9},  {13, 48, 193}, {23, 65, 35},  {24, 64, 64}, {25, 97, 385},
                                      {300, 17, 5}, {64, 40, 520}, {65, 103, 301}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int way = 0; way < 8; way++) {
            const size_t m = sizes[s][0], n = sizes[s][1], k = sizes[s][2], gap = 3, ldc = n + gap;
            const char ta = way & 1 ? 'T' : 'N', tb = way & 2 ? 'T' : 'N';
            const size_t lda = (ta == 'T' ? m : k) + gap, ldb = (tb == 'T' ? k : n) + gap;
            float *a = check_fill(1, 1, (m + k + gap) * lda), *b = check_fill(2, 1, (n + k + gap) * ldb);
            float *c = check_fill(3, 1, m * ldc), *expected = check_fill(3, 1, m * ldc);
            const float beta = (float)(way / 4);
            draco_sgemm(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc);
            product_of_chains(ta, tb, m, n, k, a, lda, b, ldb, beta, expected, ldc);
            if (memcmp(c, expected, m * ldc * sizeof *c) != 0)
                fail_msg("%s: %c%c %zu x %zu x %zu, beta %g", kernel->name, ta, tb, m, n, k, (double)beta);
            void *all[] = {a, b, c, expected};
            for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
        }
}

static void products_are_chains(void **state) {
    (void)state;
    each_kernel(products);
}

/* Patches gathered a block at a time are the matrix of patches. */
static void convolutions(const draco_kernel *kernel) {
    const draco_conv_shape shapes[] = {
        {28, 28, 1, 20, 5, 1, 0}, {9, 7, 70, 33, 3, 1, 1}, {8, 8, 40, 48, 3, 2, 1}};
    for (size_t q = 0; q < sizeof shapes / sizeof shapes[0]; q++) {
        const draco_conv_shape *s = &shapes[q];
        const size_t images = 2, places = images * draco_conv_places(s), depth = draco_conv_depth(s);
        float *x = check_fill(1, 1, images * s->height * s->width * s->ci),
              *w = check_fill(2, 1, depth * s->co);
        float *dy = check_fill(3, 1, places * s->co), *rows = check_floats(places * depth);
        float *y = check_floats(places * s->co), *dw = check_fill(4, 1, depth * s->co);
        float *expected = check_fill(4, 1, draco_max_size(places, depth) * s->co);
        draco_patches(s, x, 0, places, 0, depth, rows, depth);
        draco_conv2d_backward_weights(s, images, x, dy, 1, dw, NULL, NULL);
        product_of_chains('T', 'N', depth, s->co, places, rows, depth, dy, s->co, 1, expected, s->co);
        if (memcmp(dw, expected, depth * s->co * sizeof *dw) != 0) fail_msg("%s: dw %zu", kernel->name, q);
        draco_conv2d_forward(s, images, x, w, NULL, y, NULL);
        product_of_chains('N', 'N', places, s->co, depth, rows, depth, w, s->co, 0, expected, s->co);
        if (memcmp(y, expected, places * s->co * sizeof *y) != 0) fail_msg("%s: y %zu", kernel->name, q);
        void *all[] = {x, w, dy, rows, y, dw, expected};
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
    }
}

/* Winograd's way gives the bits of the kernel before. */
static void winograds(const draco_kernel *kernel) {
    static float *first;
    const draco_conv_shape s = {18, 14, 16, 48, 3, 1, 1};
    const size_t images = 3, in = images * s.height * s.width * s.ci, out = in / s.ci * s.co;
    const size_t weights = draco_conv_weights(&s), all = out + in + weights;
    float *x = check_fill(1, 1, in), *w = check_fill(2, 1, weights), *dy = check_fill(3, 1, out);
    float *scratch = check_floats(draco_conv2d_scratch(&s, images)), *got = check_floats(all);
    assert_true(draco_winograd_pays(&s, images) && !draco_winograd_pays(&s, 2));
    draco_conv2d_forward(&s, images, x, w, NULL, got, scratch);
    draco_conv2d_backward_data(&s, images, w, dy, got + out, scratch);
    draco_conv2d_backward_weights(&s, images, x, dy, 0, got + out + in, NULL, scratch);
    if (first && memcmp(first, got, all * sizeof *got) != 0) fail_msg("%s: Winograd", kernel->name);
    void *rest[] = {x, w, dy, scratch, first};
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) free(rest[i]);
    first = got;
    if (kernel == &draco_kernels[DRACO_KERNELS - 1]) {
        free(first);
        first = NULL;
    }
}

static void winograd_has_the_same_bits(void **state) {
    (void)state;
    each_kernel(winograds);
}

static void convolutions_are_chains(void **state) {
    (void)state;
    each_kernel(convolutions);
}

/* Neither alignment, company, nor what the thread has set changes the bits; what it has set comes back. */
static void product_depends_on_its_inputs_alone(void **state) {
    (void)state;
    const size_t m = 65, n = 103, k = 301;
    float *a = check_fill(1, 1, m * k + 1), *b = check_fill(2, 1, k * n + 1), *c = check_floats(m * n);
    for (size_t i = 0; i < m * k; i++) a[i] *= 1e-37f; /* subnormal sums */
    draco_compute_guard guard = draco_compute_begin();
    draco_sgemm('N', 'N', m, n, k, a, k, b, n, 0, c, n);
    draco_compute_end(guard);
    memmove(a + 1, a, m * k * sizeof *a);
    memmove(b + 1, b, k * n * sizeof *b);
    int equal = 1;
#pragma omp parallel num_threads(3) reduction(&& : equal)
    {
        float *mine = check_floats(m * n + 1);
        const int rounding = fegetround();
        fesetround(FE_UPWARD);
#if defined(__SSE__)
        const unsigned flushing = _mm_getcsr();
        _mm_setcsr(flushing | 0x8040); /* results and inputs that are subnormal become 0 */
#endif
        draco_compute_guard before = draco_compute_begin();
        draco_sgemm('N', 'N', m, n, k, a + 1, k, b + 1, n, 0, mine + 1, n);
        draco_compute_end(before);
        equal = memcmp(c, mine + 1, m * n * sizeof *c) == 0 && fegetround() == FE_UPWARD;
#if defined(__SSE__)
        equal = equal && (_mm_getcsr() & 0x8040) == 0x8040;
        _mm_setcsr(flushing);
#endif
        fesetround(rounding);
        free(mine);
    }
    assert_true(equal);
    void *all[] = {a, b, c};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
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
        cmocka_unit_test(batch_norm_matches),
        cmocka_unit_test(products_are_chains),
        cmocka_unit_test(convolutions_are_chains),
        cmocka_unit_test(winograd_has_the_same_bits),
        cmocka_unit_test(product_depends_on_its_inputs_alone),
        cmocka_unit_test(micro_batches_cover_the_part),
    };
    return cmocka_run_group_tests_name("layers", tests, NULL, NULL);
}
