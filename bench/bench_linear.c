/* One gradient of the linear models and of k-means as a share of this machine's sgemm peak, and one step of
   each optimizer as a multiple of copying a vector of the same size; all in one run, one thread.

   bench_linear            best of many repetitions, some seconds
   bench_linear --quick    does it run at all? */
#define DRACO_LINEAR_IMPLEMENTATION
#define DRACO_KMEANS_IMPLEMENTATION
#define DRACO_OPTIM_IMPLEMENTATION
#include "models/draco_linear.h"
#include "models/draco_kmeans.h"
#include "models/draco_optim.h"

#include <omp.h>
#include <time.h>

static int repetitions = 100;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Floating-point operations a second of a product of 768 x 768 matrices. */
static double peak(void) {
    enum { N = 768 };
    float *m = draco_model_alloc(3 * N * N, sizeof *m);
    double best = 1e9;
    if (m == NULL) exit(1);
    for (int r = 0; r < repetitions / 5 + 2; r++) {
        const double begin = now();
        draco_sgemm('N', 'N', N, N, N, m, N, m + N * N, N, 0.0f, m + 2 * N * N, N);
        const double seconds = now() - begin;
        if (seconds < best) best = seconds;
    }
    free(m);
    return 2.0 * N * N * N / best;
}

/* flops: of a sample, forward and backward. */
static void measure(const draco_model *m, double flops, double top) {
    void *workspace = NULL;
    float *params = draco_model_alloc(m->dim, sizeof *params),
          *grad = draco_model_alloc(m->dim, sizeof *grad);
    if (params == NULL || grad == NULL || m->workspace_new(m->ctx, &workspace) != DRACO_OK ||
        m->init(m->ctx, 1, params) != DRACO_OK)
        exit(1);
    for (size_t count = 4; count <= 128; count *= 2) {
        double best = 1e9;
        for (int r = 0; r < repetitions; r++) {
            const draco_batch batch = {1, (uint64_t)r, 0, count, count, 0, 0};
            const double begin = now();
            if (m->gradient(m->ctx, workspace, params, &batch, grad) != DRACO_OK) exit(1);
            const double seconds = now() - begin;
            if (seconds < best) best = seconds;
        }
        const double rate = flops * (double)count / best;
        printf("%-14s B = %3zu  %8.1f us  %6.1f GF/s  %5.1f %% of the sgemm peak\n", m->name, count,
               1e6 * best, 1e-9 * rate, 100.0 * rate / top);
    }
    m->workspace_free(m->ctx, workspace);
    free(params);
    free(grad);
}

static void gradients(void) {
    draco_dataset data;
    draco_model m;
    const double top = peak();
    printf("sgemm peak: %.1f GF/s\n", 1e-9 * top);
    if (draco_data_generate(DRACO_DATA_DIGITS, 1, 0, 2000, &data, NULL) != DRACO_OK) exit(1);
    for (int kind = 0; kind < 4; kind++) {
        draco_linear_config config = {&data, NULL, (draco_linear_kind)kind, 0, 0.0f};
        if (draco_linear_open(&m, &config) != DRACO_OK) exit(1);
        measure(&m, 4.0 * (double)m.parameters, top);
        draco_linear_close(&m);
    }
    draco_kmeans_config config = {&data, NULL, 20};
    if (draco_kmeans_open(&m, &config) != DRACO_OK) exit(1);
    measure(&m, 2.0 * (double)m.parameters, top);
    draco_kmeans_close(&m);
    draco_dataset_free(&data);
}

static void optimizers(size_t count) {
    float *params = draco_model_alloc(count, sizeof *params), *grad = draco_model_alloc(count, sizeof *grad);
    float *state = draco_model_alloc(2 * count, sizeof *state);
    double copy = 1e9;
    if (params == NULL || grad == NULL || state == NULL) exit(1);
    for (int r = 0; r < repetitions / 10 + 2; r++) {
        const double begin = now();
        memcpy(params, grad, count * sizeof *params);
        const double seconds = now() - begin;
        if (seconds < copy) copy = seconds;
    }
    printf("copy of %zu floats: %.2f ms\n", count, 1e3 * copy);
    for (int kind = 0; kind < 5; kind++) {
        const draco_optim_config config = {.kind = (draco_optim_kind)kind};
        draco_optim memory;
        draco_optimizer o;
        double best = 1e9;
        if (draco_optim_open(&o, &memory, &config) != DRACO_OK) exit(1);
        for (int r = 0; r < repetitions / 10 + 2; r++) {
            const draco_step_info info = {(uint64_t)r, 0.0};
            const double begin = now();
            if (o.step(o.ctx, &info, params, grad, state, count) != DRACO_OK) exit(1);
            const double seconds = now() - begin;
            if (seconds < best) best = seconds;
        }
        printf("%-14s %8.2f ms  %5.2f x the copy, %.1f x its bytes\n", o.name, 1e3 * best, best / copy,
               (3.0 + 2.0 * (double)o.state_per_parameter) / 2.0);
    }
    free(params);
    free(grad);
    free(state);
}

int main(int argc, char **argv) {
    const int quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    if (quick) repetitions = 1;
    omp_set_num_threads(1);
    gradients();
    optimizers(quick ? 100000 : 11173962);
    return 0;
}
