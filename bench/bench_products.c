/* Products at the shapes of the networks: draco_sgemm against dnnl_sgemm and the BLAS that is installed (OpenBLAS),
   in turn, on one thread; the best of some rounds of each. The ratio is to the faster of the others.

   OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 build/bench/bench_products [KERNEL [ROUNDS]]

   With the kernel avx2 oneDNN is held to AVX2; OpenBLAS takes OPENBLAS_CORETYPE=Haswell from the environment. */
#define DRACO_DATA_IMPLEMENTATION
#include "models/draco_compute.h"
#include "models/draco_data.h"

#ifdef DRACO_WITH_ONEDNN
#include <dnnl.h>
#endif
#ifdef DRACO_WITH_BLAS
#include <cblas.h>
#endif
#include <time.h>

typedef struct shape {
    char ta, tb;
    size_t m, n, k;
} shape;

static const shape shapes[] = {
    {'N', 'N', 4, 800, 784},    {'N', 'N', 16, 800, 784},    {'N', 'N', 32, 800, 784}, /* FC */
    {'T', 'N', 784, 800, 4},    {'T', 'N', 784, 800, 16},    {'T', 'N', 784, 800, 32},
    {'N', 'T', 4, 800, 500},    {'N', 'T', 16, 800, 500},    {'N', 'T', 32, 800, 500},
    {'N', 'N', 2304, 20, 25},   {'T', 'N', 25, 20, 9216}, /* LeNet */
    {'N', 'N', 1024, 50, 500},  {'T', 'N', 500, 50, 1024},   {'N', 'T', 1024, 500, 50},
    {'N', 'N', 640, 100, 900},  {'N', 'N', 640, 100, 1500},  /* text CNN */
    {'N', 'N', 4096, 64, 576},  {'N', 'N', 1024, 128, 1152}, /* ResNet-18 */
    {'N', 'N', 256, 256, 2304}, {'N', 'N', 64, 512, 4608},   {'T', 'N', 576, 64, 4096},
    {'T', 'N', 2304, 256, 256}, {'T', 'N', 4608, 512, 64},   {'N', 'N', 48, 64, 64},
    {'N', 'N', 48, 256, 256},   {'T', 'N', 64, 64, 48},      {'N', 'N', 960, 960, 960},
};

enum { OURS, ONEDNN, OPENBLAS, WAYS };

/* Of this thread, so that other programs on the machine do not count. */
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int product(int way, const shape *s, const float *a, const float *b, float *c) {
    const size_t lda = s->ta == 'T' ? s->m : s->k, ldb = s->tb == 'T' ? s->k : s->n;
    switch (way) {
    case OURS:
        draco_sgemm(s->ta, s->tb, s->m, s->n, s->k, a, lda, b, ldb, 0, c, s->n);
        return 1;
#ifdef DRACO_WITH_ONEDNN
    case ONEDNN:
        return dnnl_sgemm(s->ta, s->tb, (dnnl_dim_t)s->m, (dnnl_dim_t)s->n, (dnnl_dim_t)s->k, 1, a,
                          (dnnl_dim_t)lda, b, (dnnl_dim_t)ldb, 0, c, (dnnl_dim_t)s->n) == dnnl_success;
#endif
#ifdef DRACO_WITH_BLAS
    case OPENBLAS:
        cblas_sgemm(CblasRowMajor, s->ta == 'T' ? CblasTrans : CblasNoTrans,
                    s->tb == 'T' ? CblasTrans : CblasNoTrans, (int)s->m, (int)s->n, (int)s->k, 1, a, (int)lda,
                    b, (int)ldb, 0, c, (int)s->n);
        return 1;
#endif
    default:
        return 0;
    }
}

int main(int argc, char **argv) {
    const int rounds = argc > 2 ? atoi(argv[2]) : 50;
    const size_t count = sizeof shapes / sizeof shapes[0];
    double logs = 0;
    char why[128];
    if (argc > 1 && draco_isa_set(argv[1], why, sizeof why) < 0) {
        fprintf(stderr, "bench_products: %s\n", why);
        return 2;
    }
#ifdef DRACO_WITH_ONEDNN
    if (argc > 1 && strcmp(argv[1], "avx2") == 0) dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
#endif
    printf("kernels %s\n", draco_kernel_get()->name);
    printf("%-4s %5s %5s %5s %9s %9s %9s   GF/s\n", "", "m", "n", "k", "draco", "oneDNN", "OpenBLAS");
    for (size_t i = 0; i < count; i++) {
        const shape *s = &shapes[i];
        const double work = 2e-9 * (double)(s->m * s->n * s->k);
        float *a = draco_model_alloc(s->m * s->k, sizeof *a), *b = draco_model_alloc(s->k * s->n, sizeof *b);
        float *c = draco_model_alloc(s->m * s->n, sizeof *c);
        double rate[WAYS] = {0}, other;
        if (!a || !b || !c) return 1;
        draco_model_uniform(1, 1, 1, a, s->m * s->k);
        draco_model_uniform(1, 2, 1, b, s->k * s->n);
        for (int r = 0; r < rounds; r++)
            for (int way = 0; way < WAYS; way++) {
                const double begin = now();
                const int done = product(way, s, a, b, c);
                const double seconds = now() - begin;
                if (done && work / seconds > rate[way]) rate[way] = work / seconds;
            }
        other = rate[ONEDNN] > rate[OPENBLAS] ? rate[ONEDNN] : rate[OPENBLAS];
        logs += other > 0 ? log(rate[OURS] / other) : 0;
        printf("%c%-3c %5zu %5zu %5zu %9.1f %9.1f %9.1f   %.2f\n", s->ta, s->tb, s->m, s->n, s->k, rate[OURS],
               rate[ONEDNN], rate[OPENBLAS], other > 0 ? rate[OURS] / other : 0);
        fflush(stdout);
        free(a), free(b), free(c);
    }
    printf("geometric mean of the ratios to the faster one: %.2f\n", exp(logs / (double)count));
    return 0;
}
