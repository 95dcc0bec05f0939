/* How many steps until a spot check names a worker that computes wrongly, and what the checks cost.

   A three-layer network on generated digits, n = 15, s = 2, checks in one step of K = 10. Worker 3 has one of the faults
   below; the run ends when it is blamed. Each fault starts at another step of the period in every run, and the table has the mean and
   the most of the runs. The cost is the time within the model's gradient, of the worker that computed longest in each step.

       build/bench/bench_spot [runs, 20] */
#define DRACO_IMPLEMENTATION
#define DRACO_DATA_IMPLEMENTATION
#define DRACO_MLP_IMPLEMENTATION
#define DRACO_OPENMP_IMPLEMENTATION
#include "draco.h"
#include "models/draco_data.h"
#include "models/draco_mlp.h"
#include "transports/draco_openmp.h"

#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

enum { N = 15, S = 2, K = 10, BATCH = 150, MOST = 5000, COST = 40, LIAR = 3 };

typedef enum fault { NONE, UPWARD, FLUSH, FLIP, REVERSE, CONSTANT, FAULTS } fault;
static const char *const names[] = {"none",
                                    "rounds upward",
                                    "flushes denormal numbers",
                                    "one bit flipped in one step of fifty",
                                    "reverses its gradient",
                                    "sends a constant"};

static draco_model inner; /* the network */
static fault now;
static uint64_t since; /* the first step with the fault */
static double spent[N];
static long gradients;

static void numbers(fault f) {
#if defined(__SSE__)
    const unsigned mode = _mm_getcsr() & ~0xe040u;
    _mm_setcsr(f == UPWARD ? mode | 0x4000u : f == FLUSH ? mode | 0x8040u : mode);
#else
    fesetround(f == UPWARD ? FE_UPWARD : FE_TONEAREST);
#endif
}

static draco_status gradient(void *ctx, void *workspace, const float *params, const draco_batch *batch,
                             float *grad) {
    const int bad = batch->worker == LIAR && now != NONE && batch->step >= since;
    double begin = drs_now();
    draco_status status;
    (void)ctx;
    gradients++;
    if (bad) numbers(now);
    status = inner.gradient(inner.ctx, workspace, params, batch, grad);
    if (bad) numbers(NONE);
    if (bad && now == FLIP && draco_sample(11, batch->step, 0, 50) == 0)
        ((unsigned char *)grad)[4 * draco_sample(12, batch->step, 0, inner.parameters)] ^= 1;
    for (size_t j = 0; bad && now >= REVERSE && j < inner.parameters; j++)
        grad[j] = now == REVERSE ? -grad[j] : 1;
    if (batch->worker >= 0) spent[batch->worker] += drs_now() - begin;
    return status;
}

static draco_status descend(void *ctx, const draco_step_info *info, float *params, const float *mean,
                            float *state, size_t count) {
    (void)ctx, (void)info, (void)state;
    for (size_t i = 0; i < count; i++) params[i] -= 0.05f * mean[i];
    return DRACO_OK;
}

static double longest, whole;
static long steps;

/* Ends the run when the worker is named. */
static draco_status on_round(void *ctx, uint64_t step, int attempt, const draco_round *round,
                             const draco_score *score) {
    double most = 0;
    (void)attempt, (void)score;
    for (int i = 0; i < N; i++) {
        if (spent[i] > most) most = spent[i];
        spent[i] = 0;
    }
    longest += most;
    whole += round->seconds;
    steps++;
    *(uint64_t *)ctx = step + 1;
    return round->verdicts[LIAR] == DRACO_BLAMED ? DRACO_E_STOPPED : DRACO_OK;
}

/* Steps from the fault's first to the one that names it; 0: not within `most`. */
static uint64_t run(fault f, int every, uint64_t begins, uint64_t most, uint64_t seed) {
    draco_model model = inner;
    draco_openmp_config workers = {
        .worker = {
            .code = {.n = N, .s = S, .reactive = every > 0}, .model = &model, .batch = BATCH, .seed = seed}};
    draco_optimizer optimizer = {.size = sizeof optimizer, .step = descend};
    draco_transport t;
    draco_trainer trainer = {
        .model = &model, .optimizer = &optimizer, .batch = BATCH, .steps = most, .on_round = on_round};
    uint64_t done = 0;
    model.gradient = gradient;
    now = f, since = begins;
    longest = whole = 0, steps = gradients = 0;
    trainer.params = calloc(model.dim, sizeof(float));
    trainer.sum = calloc(model.dim, sizeof(float));
    if (every == 0) workers.worker.code.s = 0;
    if (!trainer.params || !trainer.sum || draco_openmp_open(&t, &workers) < 0) exit(1);
    draco_server_config config = {
        .code = workers.worker.code, .transport = &t, .dim = model.dim, .challenge = 1, .check_every = every};
    if (draco_server_open(&trainer.server, &config) < 0) exit(1);
    if (every > 0) (void)draco_server_replan(trainer.server, N);
    model.init(model.ctx, seed, trainer.params);
    trainer.on_round_ctx = &done;
    draco_status status = draco_train(&trainer);
    draco_server_close(trainer.server);
    t.close(t.ctx);
    free(trainer.params);
    free(trainer.sum);
    return status == DRACO_E_STOPPED ? done - begins : 0;
}

int main(int argc, char **argv) {
    const int runs = argc > 1 ? atoi(argv[1]) : 20;
    draco_data_config data = {.name = "digits", .train = 2000, .test = 10};
    draco_dataset train, test;
    draco_data_error error;
    if (draco_data_load(&data, &train, &test, &error) < 0) return 1;
    draco_mlp_config config = {&train, &test, 2, {100, 50}};
    if (draco_mlp_open(&inner, &config) < 0) return 1;
    static const struct {
        const char *name;
        int every;
    } rows[] = {{"no redundancy (s = 0)", 0}, {"spot checks, K = 10", K}, {"a check in every step", 1}};
    double base = 1, base_run = 1;
    printf("| | gradients per step | worker, times none | run, times none |\n|---|---:|---:|---:|\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        (void)run(NONE, rows[i].every, 0, COST, 1);
        if (i == 0) base = longest / (double)steps, base_run = whole / (double)steps;
        printf("| %s | %.1f | %.2f | %.2f |\n", rows[i].name, (double)gradients / (double)steps,
               longest / (double)steps / base, whole / (double)steps / base_run);
        fflush(stdout);
    }
    printf(
        "\n| fault of worker %d | named after, mean | most | not within %d steps |\n|---|---:|---:|---:|\n",
        LIAR, MOST);
    for (fault f = UPWARD; f < FAULTS; f++) {
        double sum = 0;
        uint64_t most = 0;
        int found = 0;
        for (int i = 0; i < runs; i++) {
            uint64_t took = run(f, K, 1 + (uint64_t)i % K, MOST, 1 + (uint64_t)i);
            found += took > 0;
            sum += (double)took;
            if (took > most) most = took;
        }
        printf("| %s | %.1f | %llu | %d of %d |\n", names[f], found ? sum / found : 0,
               (unsigned long long)most, runs - found, runs);
        fflush(stdout);
    }
    draco_mlp_close(&inner);
    draco_dataset_free(&train);
    draco_dataset_free(&test);
    return 0;
}
