/* A model of your own for 06_train_openmp.c and 07_train_grpc.c: linear regression by plain SGD. Put your gradient here;
   docs/reproducible.md tells how it gets the same bits everywhere. 9 workers train it, one lies in every step. */
#include "draco.h"
#include "models/draco_math.h" /* before your own functions: it keeps the compiler from fusing operations */

#include <stdio.h>

enum { DIM = 4, SAMPLES = 5000, BATCH = 90, STEPS = 100, WORKERS = 9, SEED = 1 };

static const float own_truth[DIM] = {1, -2, 0.5f, 3}; /* the weights to be learnt */

/* The sum of the gradients of (w x - y)^2 / 2 over the samples of one part of the batch. */
static draco_status own_gradient(void *ctx, void *own, const float *w, const draco_batch *batch,
                                 float *grad) {
    draco_math_mode mode = draco_math_begin();
    float off[DIM], x[DIM];
    for (int j = 0; j < DIM; j++) grad[j] = 0, off[j] = w[j] - own_truth[j];
    for (size_t i = batch->first; i < batch->first + batch->count; i++) {
        uint32_t random[4];
        draco_random(SEED, draco_sample(batch->seed, batch->step, i, SAMPLES), 0, random);
        for (int j = 0; j < DIM; j++) x[j] = (float)(random[j] % 2001) / 1000 - 1;
        float error = (float)draco_dot(off, x, DIM);                             /* a sum of fixed shape */
        for (int j = 0; j < DIM; j++) grad[j] = draco_fma(error, x[j], grad[j]); /* rounded once */
    }
    (void)ctx, (void)own;
    draco_math_end(mode);
    return DRACO_OK;
}

static draco_status own_sgd(void *c, const draco_step_info *k, float *w, const float *g, float *s, size_t n) {
    (void)c, (void)k, (void)s;
    for (size_t j = 0; j < n; j++) w[j] -= 0.3f * g[j];
    return DRACO_OK;
}

static const draco_model own_model = {
    .size = sizeof own_model, .dim = DIM, .parameters = DIM, .gradient = own_gradient};
static const draco_optimizer own_optimizer = {.size = sizeof own_optimizer, .step = own_sgd};

/* Code, model and samples: the same in every process. */
static draco_worker_config own_worker(void) {
    draco_worker_config c = {
        .code = {.n = WORKERS, .s = 1}, .model = &own_model, .batch = BATCH, .seed = SEED};
    draco_code_init(&c.code);
    return c;
}

static draco_status own_count(void *ctx, uint64_t k, int t, const draco_round *round, const draco_score *s) {
    (void)k, (void)t, (void)s;
    *(int *)ctx += round->report.blamed;
    return DRACO_OK;
}

/* The server's half: trains over any transport; 0 when the weights were learnt. */
static int own_train(const draco_transport *transport, double deadline) {
    draco_worker_config c = own_worker();
    draco_server_config config = {.code = c.code, .transport = transport, .dim = DIM, .deadline = deadline};
    float w[DIM] = {0}, sum[DIM], worst = 0;
    int blamed = 0;
    draco_trainer t = {.model = &own_model, .optimizer = &own_optimizer, .params = w, .sum = sum};
    draco_status status = draco_server_open(&t.server, &config);
    t.batch = BATCH, t.steps = STEPS, t.on_round = own_count, t.on_round_ctx = &blamed;
    if (status >= 0) status = draco_train(&t);
    if (t.server) draco_server_close(t.server);
    for (int j = 0; j < DIM; j++) worst = fmaxf(worst, fabsf(w[j] - own_truth[j]));
    printf("%s: w[0] = %.9g, largest error %.2g; a worker was blamed in %d of %d steps\n",
           draco_status_text(status), (double)w[0], (double)worst, blamed, STEPS);
    return status < 0 || worst > 0.01f;
}
