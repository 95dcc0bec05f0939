/* peer_train.c - draco-train whose worker has a fault, for tests of what the server says of it.

   Its gradients pass through code of its own, as a library is that knows nothing of the models' modes: it changes no bit
   where numbers are rounded to nearest and denormal numbers are kept.

   $PEER_FAULT, at the gradient of the worker: upward and flush (that code runs in another mode), l2 (adds a term that the
   others do not have), flip (one bit in one step of fifty), slow ($PEER_SECONDS late in two steps of fifty), lag (0.05 s
   late in every step), die (is killed in step 21), memory (has none), drift (leaves its thread rounding upward in one step
   of fifty), soak (soak.h). */
#define main train_main
#include "examples/draco-train/draco_train.c"
#undef main

#include <fenv.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "support/soak.h"

static train_run run;
static draco_status (*honest)(void *, void *, const float *, const draco_batch *, float *);
static const char *fault = "";

/* The same numbers, by way of others: a sum that is rounded away, and, where nothing is lost, denormal ones. */
static void pass_through(float *grad, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const volatile double wide = (double)grad[i], more = wide + fabs(wide) * 0x1p-40;
        const volatile double small = more * 0x1p-1000, less = small * 0x1p-24, back = less * 0x1p1000;
        grad[i] = (float)(fabs(wide) > 0x1p-15 ? back * 0x1p24 : more);
    }
}

static draco_status soaked(void *ctx, void *workspace, const float *params, const draco_batch *batch,
                           float *grad) {
    static int back = 1; /* it was started, or is back: it has no fault in this request */
    const int worker = run.transport.worker, n = run.setup.code.n, first = back;
    draco_status status;
    back = soak_before(worker, n, batch->step, first);
    status = honest(ctx, workspace, params, batch, grad);
    if (status < 0) return status;
    return soak_after(worker, n, batch->step, first, grad, run.setup.model.parameters) ? DRACO_OK
                                                                                       : DRACO_E_MEMORY;
}

static draco_status faulty(void *ctx, void *workspace, const float *params, const draco_batch *batch,
                           float *grad) {
    const int round = fegetround();
    draco_status status;
    const uint64_t place = batch->step % 50;
    if (batch->part < 0) return honest(ctx, workspace, params, batch, grad); /* a probe */
    if (strcmp(fault, "memory") == 0) return DRACO_E_MEMORY;
    if (strcmp(fault, "soak") == 0) return soaked(ctx, workspace, params, batch, grad);
    if (strcmp(fault, "die") == 0 && batch->step == 20) raise(SIGKILL);
    if (strcmp(fault, "lag") == 0) usleep(50000);
    if (strcmp(fault, "slow") == 0 && (place == 10 || place == 30))
        usleep((useconds_t)(1e6 * atof(getenv("PEER_SECONDS"))));
    if (strcmp(fault, "drift") == 0 && place == 7) fesetround(FE_UPWARD);
    status = honest(ctx, workspace, params, batch, grad);
    if (strcmp(fault, "upward") == 0) fesetround(FE_UPWARD);
#if defined(__x86_64__)
    const unsigned modes = _mm_getcsr();
    if (strcmp(fault, "flush") == 0) _mm_setcsr(modes | 0x8040);
#endif
    pass_through(grad, run.setup.model.parameters);
#if defined(__x86_64__)
    _mm_setcsr(modes);
#endif
    if (strcmp(fault, "drift") != 0) fesetround(round);
    if (strcmp(fault, "l2") == 0)
        for (int i = 0; i < 100; i++) grad[i] += 0.01f * params[i] + 1e-6f;
    if (strcmp(fault, "flip") == 0 && place == 25) ((unsigned char *)grad)[40] ^= 1;
    return status;
}

int main(int argc, char **argv) {
    static train_options options;
    int code = train_parse(argc, argv, &options);
    (void)train_main;
    if (argc == 2 && strcmp(argv[1], "--numbers") == 0) { /* which cases tell the modes apart? */
        char wrong[160];
        train_numbers_check(wrong, sizeof wrong);
        printf("plain: %s\n", wrong);
        fesetround(FE_UPWARD);
        train_numbers_check(wrong, sizeof wrong);
        printf("upward: %s\n", wrong);
        printf("said: %s\n", train_numbers_set());
#if defined(__x86_64__)
        _mm_setcsr(_mm_getcsr() | 0x8040);
        train_numbers_check(wrong, sizeof wrong);
        printf("flush: %s\n", wrong);
        printf("said: %s\n", train_numbers_set());
#endif
        train_numbers_check(wrong, sizeof wrong);
        printf("after: %s\n", wrong);
        return 0;
    }
    if (code >= 0) return code;
    if (train_catch_signals() != 0) return 1;
    run.o = &options;
    if (getenv("PEER_FAULT")) fault = getenv("PEER_FAULT");
    code = train_prepare(&run);
    honest = run.setup.model.gradient;
    run.setup.model.gradient = faulty;
    if (code == 0) code = run.transport.server >= 0 ? TRAIN_USAGE : train_work(&run);
    train_close(&run, code);
    return code;
}
