/* Time of one gradient of each model on one thread at batches of 4, 16 and 32 samples, as GF/s and as a share
   of the peak of this machine's matrix product, measured in turn with it; the perceptron and LeNet next to
   the naive layers.

   build/bench/bench_models [ROUNDS]

   Work is counted as that of direct convolution: two operations for every product of a weight and an
   activation, forward, for the gradient of the weights, and, but for the first layer, for the gradient of the
   input. The text CNN counts what it does: a dense forward pass over its windows, a sparse way back.
   Parameters change before every gradient, so packing the weights anew is part of the time. The best of
   ROUNDS is taken, of both. */
#define DRACO_DATA_IMPLEMENTATION
#define DRACO_MLP_IMPLEMENTATION
#define DRACO_LENET_IMPLEMENTATION
#define DRACO_RESNET_IMPLEMENTATION
#define DRACO_TEXTCNN_IMPLEMENTATION
#define DRACO_NAIVE_REAL float
#include "models/draco_data.h"
#include "models/draco_lenet.h"
#include "models/draco_mlp.h"
#include "models/draco_naive.h"
#include "models/draco_resnet.h"
#include "models/draco_textcnn.h"

#include <time.h>

/* Time of this thread, so that other programs on the machine do not count. */
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *need(size_t count, size_t size) {
    void *memory = draco_model_alloc(count, size);
    if (!memory) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return memory;
}

/* Seconds of one product of two 1024 x 1024 matrices. */
enum { PEAK = 1024 };
static double product_seconds(void) {
    static float *a, *b, *c;
    if (!a) {
        a = need(PEAK * PEAK, sizeof *a);
        b = need(PEAK * PEAK, sizeof *b);
        c = need(PEAK * PEAK, sizeof *c);
        draco_model_uniform(1, 1, 1, a, PEAK * PEAK);
        draco_model_uniform(1, 2, 1, b, PEAK * PEAK);
    }
    draco_compute_guard guard = draco_compute_begin();
    double begin = now();
    draco_sgemm('N', 'N', PEAK, PEAK, PEAK, a, PEAK, b, PEAK, 0, c, PEAK);
    double seconds = now() - begin;
    draco_compute_end(guard);
    return seconds;
}

typedef double (*work_fn)(const draco_dataset *data, size_t batch);
typedef void (*naive_fn)(const draco_dataset *data, size_t batch, const float *params, float *grad);

static double seconds_of(const draco_model *m, void *workspace, float *params, size_t batch, float *grad) {
    const draco_batch part = {.seed = 1, .step = 1, .first = 0, .count = batch, .total = batch};
    params[0] += 1e-6f;
    double begin = now();
    if (m->gradient(m->ctx, workspace, params, &part, grad) < 0) {
        fprintf(stderr, "%s: no gradient\n", m->name);
        exit(1);
    }
    return now() - begin;
}

static void measure(const draco_model *m, const draco_dataset *data, work_fn work, naive_fn naive,
                    int rounds) {
    const size_t batches[] = {4, 16, 32};
    float *params = need(m->dim, sizeof *params), *grad = need(m->dim, sizeof *grad);
    void *workspace;
    m->init(m->ctx, 1, params);
    if (m->workspace_new(m->ctx, &workspace) < 0) exit(1);
    for (int k = 0; k < 3; k++) {
        size_t batch = batches[k];
        double best = 1e30, peak = 1e30, slow = 1e30;
        seconds_of(m, workspace, params, batch, grad); /* makes what is made once */
        for (int r = 0; r < rounds; r++) {
            double p = product_seconds(), s = seconds_of(m, workspace, params, batch, grad);
            peak = p < peak ? p : peak;
            best = s < best ? s : best;
        }
        double rate = work(data, batch) / best * 1e-9, top = 2.0 * PEAK * PEAK * PEAK / peak * 1e-9;
        printf("%-9s %3zu %10.2f %8.1f %8.1f %7.0f %%", m->name, batch, best * 1e3, rate, top,
               100 * rate / top);
        for (int r = 0; naive && r < 3; r++) {
            double begin = now();
            naive(data, batch, params, grad);
            double s = now() - begin;
            slow = s < slow ? s : slow;
        }
        if (naive) printf(" %10.1f %8.1f", slow * 1e3, slow / best);
        printf("\n");
        fflush(stdout);
    }
    m->workspace_free(m->ctx, workspace);
    free(params);
    free(grad);
}

/* ---- What is useful work ---- */

static double mlp_work(const draco_dataset *data, size_t batch) {
    (void)data;
    const double first = 784 * 800, rest = 800 * 500 + 500 * 10;
    return (double)batch * 2 * (2 * first + 3 * rest);
}

static double lenet_work(const draco_dataset *data, size_t batch) {
    (void)data;
    const double first = 24 * 24 * 25 * 20, rest = 8 * 8 * 500 * 50 + 800 * 500 + 500 * 10;
    return (double)batch * 2 * (2 * first + 3 * rest);
}

static double resnet_work(const draco_dataset *data, size_t batch) {
    (void)data;
    const double first = 32 * 32 * 27 * 64;
    double rest = 512 * 10, channels = 64, pixels = 32 * 32;
    for (int stage = 0; stage < 4; stage++) {
        double out = 64 << stage;
        if (stage > 0) pixels /= 4;
        rest += pixels * 9 * out * (channels + 3 * out);
        if (stage > 0) rest += pixels * channels * out;
        channels = out;
    }
    return (double)batch * 2 * (2 * first + 3 * rest);
}

static double textcnn_work(const draco_dataset *data, size_t batch) {
    double dense = 0, sparse = 0;
    for (size_t k = 0; k < batch; k++) {
        size_t length, sample = draco_sample(1, 1, k, data->samples);
        draco_dataset_words(data, sample, &length);
        for (size_t words = 3; words <= 5; words++) {
            dense += (double)(length + words - 1) * (double)words * 300 * 100;
            sparse += 2 * (double)words * 300 * 100;
        }
    }
    return 2 * (dense + sparse);
}

/* ---- Naive layers ---- */

static void naive_read(const draco_dataset *data, size_t batch, float *x, int32_t *labels) {
    for (size_t k = 0; k < batch; k++) {
        size_t sample = draco_sample(1, 1, k, data->samples);
        draco_dataset_row(data, sample, x + k * data->features);
        labels[k] = data->labels[sample];
    }
}

static void naive_mlp(const draco_dataset *data, size_t batch, const float *params, float *grad) {
    static float act[4][32 * 800], delta[2][32 * 800];
    const size_t width[] = {784, 800, 500, 10};
    size_t at[4] = {0};
    int32_t labels[32];
    naive_read(data, batch, act[0], labels);
    for (int l = 0; l < 3; l++) {
        draco_naive_fc_forward(batch, width[l], width[l + 1], act[l], params + at[l],
                               params + at[l] + width[l] * width[l + 1], act[l + 1]);
        if (l < 2) draco_naive_relu_forward(batch * width[l + 1], act[l + 1]);
        at[l + 1] = at[l] + (width[l] + 1) * width[l + 1];
    }
    memset(grad, 0, at[3] * sizeof *grad);
    draco_naive_softmax_loss(batch, 10, act[3], labels, delta[1]);
    for (int l = 2; l >= 0; l--) {
        float *dy = delta[l % 2 ? 0 : 1], *dx = delta[l % 2];
        draco_naive_fc_backward(batch, width[l], width[l + 1], act[l], params + at[l], dy, grad + at[l],
                                grad + at[l] + width[l] * width[l + 1], l > 0 ? dx : NULL);
        if (l > 0) draco_naive_relu_backward(batch * width[l], act[l], dx);
    }
}

static void naive_lenet(const draco_dataset *data, size_t batch, const float *params, float *grad) {
    static float x[32 * 784], y1[32 * 24 * 24 * 20], p1[32 * 12 * 12 * 20], y2[32 * 64 * 50], p2[32 * 800];
    static float h[32 * 500], z[32 * 10], d1[32 * 24 * 24 * 20], q1[32 * 12 * 12 * 20], d2[32 * 64 * 50];
    static float q2[32 * 800], dh[32 * 500], dz[32 * 10];
    const draco_naive_conv first = {28, 28, 1, 20, 5, 1, 0}, second = {12, 12, 20, 50, 5, 1, 0};
    const size_t w1 = 0, b1 = 500, w2 = 520, b2 = 25520, w3 = 25570, b3 = 425570, w4 = 426070, b4 = 431070;
    int32_t labels[32];
    naive_read(data, batch, x, labels);
    draco_naive_conv_forward(&first, batch, x, params + w1, params + b1, y1);
    draco_naive_pool_forward(batch, 24, 24, 20, y1, p1);
    draco_naive_relu_forward(batch * 12 * 12 * 20, p1);
    draco_naive_conv_forward(&second, batch, p1, params + w2, params + b2, y2);
    draco_naive_pool_forward(batch, 8, 8, 50, y2, p2);
    draco_naive_relu_forward(batch * 800, p2);
    draco_naive_fc_forward(batch, 800, 500, p2, params + w3, params + b3, h);
    draco_naive_relu_forward(batch * 500, h);
    draco_naive_fc_forward(batch, 500, 10, h, params + w4, params + b4, z);
    memset(grad, 0, 431080 * sizeof *grad);
    draco_naive_softmax_loss(batch, 10, z, labels, dz);
    draco_naive_fc_backward(batch, 500, 10, h, params + w4, dz, grad + w4, grad + b4, dh);
    draco_naive_relu_backward(batch * 500, h, dh);
    draco_naive_fc_backward(batch, 800, 500, p2, params + w3, dh, grad + w3, grad + b3, q2);
    draco_naive_relu_backward(batch * 800, p2, q2);
    draco_naive_pool_backward(batch, 8, 8, 50, y2, q2, d2);
    draco_naive_conv_backward(&second, batch, p1, params + w2, d2, grad + w2, grad + b2, q1);
    draco_naive_relu_backward(batch * 12 * 12 * 20, p1, q1);
    draco_naive_pool_backward(batch, 24, 24, 20, y1, q1, d1);
    draco_naive_conv_backward(&first, batch, x, params + w1, d1, grad + w1, grad + b1, NULL);
}

/* ---- Data of the right shape ---- */

static draco_dataset pictures(int side, int channels) {
    draco_dataset data = {.samples = 64, .height = side, .width = side, .channels = channels, .classes = 10};
    data.features = (size_t)side * (size_t)side * (size_t)channels;
    data.pixels = need(data.samples, data.features);
    data.labels = need(data.samples, sizeof *data.labels);
    for (size_t i = 0; i < data.samples * data.features; i++)
        data.pixels[i] = (uint8_t)(i * 2654435761u >> 24);
    for (size_t i = 0; i < data.samples; i++) data.labels[i] = (int32_t)(i % 10);
    for (int c = 0; c < channels; c++) {
        data.scale[c] = 0.0136f;
        data.shift[c] = -1.73f;
    }
    return data;
}

/* Sentences of 20 words on average, as the movie reviews have, and a vocabulary of their size. */
static draco_dataset sentences(void) {
    draco_dataset data = {.samples = 64, .classes = 2, .vocabulary = {.size = 18403}};
    data.starts = need(data.samples + 1, sizeof *data.starts);
    data.labels = need(data.samples, sizeof *data.labels);
    for (size_t i = 0; i < data.samples; i++) {
        data.starts[i + 1] = data.starts[i] + 5 + i * 37 % 31;
        data.labels[i] = (int32_t)(i % 2);
    }
    data.words = need(data.starts[data.samples], sizeof *data.words);
    for (size_t i = 0; i < data.starts[data.samples]; i++) data.words[i] = 1 + (int32_t)(i * 7919 % 18000);
    return data;
}

static void release(draco_dataset *data) {
    free(data->pixels);
    free(data->labels);
    free(data->words);
    free(data->starts);
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 7;
    char text[256];
    draco_model m;
    draco_compute_describe(text, sizeof text);
    printf("%s, one thread\n", text);
    printf("%-9s %3s %10s %8s %8s %9s %10s %8s\n", "model", "B", "ms", "GF/s", "peak", "share", "naive ms",
           "times");

    draco_dataset digits = pictures(28, 1), photos = pictures(32, 3), reviews = sentences();
    const draco_mlp_config mlp = {&digits, NULL, 2, {800, 500}};
    if (draco_mlp_open(&m, &mlp) < 0) return 1;
    measure(&m, &digits, mlp_work, naive_mlp, rounds);
    draco_mlp_close(&m);
    const draco_lenet_config lenet = {&digits, NULL};
    if (draco_lenet_open(&m, &lenet) < 0) return 1;
    measure(&m, &digits, lenet_work, naive_lenet, rounds);
    draco_lenet_close(&m);
    const draco_textcnn_config textcnn = {.train = &reviews};
    if (draco_textcnn_open(&m, &textcnn) < 0) return 1;
    measure(&m, &reviews, textcnn_work, NULL, rounds);
    draco_textcnn_close(&m);
    const draco_resnet_config resnet = {.train = &photos};
    if (draco_resnet_open(&m, &resnet) < 0) return 1;
    measure(&m, &photos, resnet_work, NULL, rounds);
    for (size_t batch = 4; batch <= 32; batch *= 2) {
        draco_model_memory memory = draco_resnet_memory(&m, batch);
        printf("%s, parts of %zu: %.0f MB shared by the process, %.0f MB a thread\n", m.name, batch,
               (double)memory.shared * 1e-6, (double)memory.workspace * 1e-6);
    }
    draco_resnet_close(&m);
    release(&digits);
    release(&photos);
    release(&reviews);
    return 0;
}
