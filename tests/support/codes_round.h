/* A round of the cyclic code through the calls of a server, and what came of many of them. */
#ifndef CODES_ROUND_H
#define CODES_ROUND_H

#include "support/codes_helpers.h"

#include <stdio.h>
#include <time.h>

static uint64_t the_seed UNUSED;

static inline int full(void) {
    const char *how = getenv("DRACO_STRESS");
    return how && !strcmp(how, "full");
}

/* Prints the seed of this run: fresh, or fixed, so that a failure is one of the code; with DRACO_STRESS=full fresh; or
   DRACO_STRESS_SEED. */
static inline int seed_the_run(int fresh) {
    const char *given = getenv("DRACO_STRESS_SEED");
    draco_seed seed;
    if (draco_seed_random(&seed) != DRACO_OK) return 0;
    the_seed = 1;
    if (fresh || getenv("DRACO_STRESS")) memcpy(&the_seed, seed.bytes, sizeof the_seed);
    if (given) the_seed = strtoull(given, NULL, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("# DRACO_STRESS_SEED=%llu\n", (unsigned long long)the_seed);
    return 1;
}

static inline double log_uniform(uint64_t *rng, double low, double high) {
    return low * pow(high / low, rng_unit(rng));
}

static inline double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- Gradients ---- */

enum { GAUSSIAN, SCALED, CANCELLING, CLASSES, DOMINANT, HEAVY, IDLE_PARTS, EQUAL, GRADIENTS };

static inline void make_gradients(step *s, int kind, uint64_t *rng) {
    int parts = s->code.parts, dominant = rng_below(rng, (int)s->d);
    double rho = log_uniform(rng, 1e-3, 1);
    for (size_t c = 0; c < s->d; c++) {
        double scale = kind == SCALED ? log_uniform(rng, 1e-3, 1) : 1, mean = 0;
        if (kind == DOMINANT && c == (size_t)dominant) scale = 1000;
        for (int part = 0; part < parts; part++) {
            double g = (double)rng_normal(rng);
            if (kind == HEAVY) g = tan(3.1415 * (rng_unit(rng) - 0.5));
            if (kind == IDLE_PARTS && part % 3) g = 0;
            if (kind == EQUAL && part) g = (double)step_gradient(s, 0)[c] / scale;
            if (kind == CLASSES && part >= 3) g = 0.01 * g + (double)step_gradient(s, part % 3)[c] / scale;
            if (kind == CLASSES && part == 2)
                g = -((double)step_gradient(s, 0)[c] + (double)step_gradient(s, 1)[c]) / scale;
            step_gradient(s, part)[c] = (float)(scale * g);
            mean += scale * g / parts;
        }
        for (int part = 0; part < parts && kind == CANCELLING; part++)
            step_gradient(s, part)[c] = (float)((double)step_gradient(s, part)[c] - (1 - rho) * mean);
    }
    step_encode(s);
}

/* ---- One round, through the same calls as a server ---- */

typedef struct bench {
    draco_code code;
    draco_key *key;
    unsigned char *sketches;
    const draco_sketch **given;
    draco_work *work;
    draco_weights *weights;
    draco_verdict *verdicts;
    const void **messages;
    unsigned char *lies; /* n messages */
    float *sum;
    draco_report report;
    size_t split;         /* a range of coordinates begins here; 0: none does */
    const size_t *layers; /* and in each of these */
    size_t layer_count;
    size_t shard; /* coordinates of the first of two servers; 0: there is one */
    double time;
} bench;

static inline bench bench_open(draco_code code, size_t d) {
    size_t n = (size_t)code.n;
    bench b = {.code = code};
    b.key = malloc(draco_sketch_key_bytes(&code));
    b.sketches = malloc((n + 1) * draco_sketch_bytes(&code));
    b.given = malloc(n * sizeof *b.given);
    b.work = malloc(draco_locate_work_bytes(&code));
    b.weights = malloc(draco_weights_bytes(&code));
    b.verdicts = malloc(n * sizeof *b.verdicts);
    b.messages = malloc(n * sizeof *b.messages);
    b.lies = malloc(n * draco_message_bytes(&code, d));
    b.sum = malloc(d * sizeof *b.sum);
    return b;
}

static inline void bench_close(bench *b) {
    free(b->key);
    free(b->sketches);
    free(b->given);
    free(b->work);
    free(b->weights);
    free(b->verdicts);
    free(b->messages);
    free(b->lies);
    free(b->sum);
}

static inline unsigned char *bench_lie(const bench *b, const step *now, int worker) {
    return b->lies + (size_t)worker * now->bytes;
}

static inline void bench_fill(bench *b, const step *now, const int *chosen, int liars, int missing) {
    for (int i = 0; i < b->code.n; i++) b->messages[i] = step_message(now, i);
    for (int k = 0; k < liars; k++) {
        memcpy(bench_lie(b, now, chosen[k]), step_message(now, chosen[k]), now->bytes);
        b->messages[chosen[k]] = bench_lie(b, now, chosen[k]);
    }
    for (int k = liars; k < liars + missing; k++) b->messages[chosen[k]] = NULL;
}

static inline void bench_sketch(const bench *b, const void *message, size_t bytes, draco_sketch *sketch) {
    draco_sketch *other = (void *)(b->sketches + (size_t)b->code.n * draco_sketch_bytes(&b->code));
    const size_t first = b->shard ? 4 * b->shard : bytes;
    assert_int_equal(draco_sketch_begin(&b->code, 0, sketch), DRACO_OK);
    assert_int_equal(draco_sketch_add(&b->code, b->key, sketch, message, first), DRACO_OK);
    if (first == bytes) return;
    assert_int_equal(draco_sketch_begin(&b->code, first, other), DRACO_OK);
    assert_int_equal(draco_sketch_add(&b->code, b->key, other, (const char *)message + first, bytes - first),
                     DRACO_OK);
    assert_int_equal(draco_sketch_merge(&b->code, b->key, sketch, other), DRACO_OK);
}

static inline draco_status bench_decode(bench *b, const step *now, uint64_t *rng) {
    const draco_code *code = &b->code;
    draco_seed seed = rng_seed(rng);
    draco_status status;
    double begin;
    assert_int_equal(draco_sketch_key_init(code, &seed, b->key), DRACO_OK);
    assert_int_equal(draco_sketch_key_split(code, b->split, b->key), DRACO_OK);
    assert_int_equal(draco_sketch_key_layers(code, b->layers, b->layer_count, b->key), DRACO_OK);
    for (int i = 0; i < code->n; i++) {
        draco_sketch *sketch = (void *)(b->sketches + (size_t)i * draco_sketch_bytes(code));
        b->given[i] = b->messages[i] ? sketch : NULL;
        if (b->messages[i]) bench_sketch(b, b->messages[i], now->bytes, sketch);
    }
    memset(&b->report, 0, sizeof b->report);
    begin = seconds();
    status = draco_locate(code, b->key, now->d, b->given, b->work, b->weights, b->verdicts, &b->report);
    b->time = seconds() - begin;
    if (status < 0) return status;
    draco_status combined =
        draco_combine(code, b->weights, b->messages, now->d, 0, now->d, step_exponents(now), b->sum);
    if (step_exponents(now))
        b->report.error = draco_rounding_error(code, step_exponents(now), b->sum, 0, now->d);
    return combined == DRACO_OK ? status : combined;
}

/* ---- What came of it ---- */

typedef struct tally {
    int trials, honest, blamed, above, refused, honest_refused, unnamed, over;
    double error, ratio, time, slowest;
} tally;

/* Of the coordinates first .. last - 1, relative to the root of the sum of the gradients' squares there. */
static inline double error_in(const float *sum, const step *now, size_t first, size_t last) {
    double error = 0, norm = 0;
    for (size_t c = first; c < last; c++) {
        double truth = 0;
        for (int part = 0; part < now->code.parts; part++) {
            double g = (double)step_gradient(now, part)[c];
            truth += g;
            norm += g * g;
        }
        error += pow((double)sum[c] - truth, 2);
    }
    return error > 0 ? sqrt(error / norm) : error;
}

static inline double error_of(const float *sum, const step *now) {
    return error_in(sum, now, 0, now->d);
}

/* What the report's bound is relative to, over the root of the sum of the gradients' squares: the messages tell the
 * size of the gradients, and those of parts that are alike are larger. At least 1. */
static inline double alikeness(const step *now) {
    double gradients = 0, messages = 0, coefficients = 0;
    for (size_t c = 0; c < now->d * (size_t)now->code.parts; c++)
        gradients += pow((double)now->gradients[c], 2);
    for (int i = 0; i < now->code.n; i++) {
        const float *m = (const float *)(const void *)step_message(now, i);
        for (size_t c = 0; c < now->bytes / 4; c++) messages += pow(ldexp((double)m[c], now->code.scale), 2);
    }
    for (int l = 0; l < now->code.r; l++) {
        double f[2] = {0, 0};
        draco_code_coefficient(&now->code, draco_code_part(&now->code, 0, l), 0, f);
        coefficients += f[0] * f[0] + f[1] * f[1];
    }
    messages /= coefficients * gradients;
    return messages > 1 ? sqrt(messages) : 1;
}

static inline int is_lie(const bench *b, const step *now, int worker) {
    return b->messages[worker] && memcmp(b->messages[worker], step_message(now, worker), now->bytes) != 0;
}

static inline void judge(const bench *b, const step *now, draco_status status, int liars, int missing,
                         tally *t, const char *what) {
    int honest_named = 0;
    t->trials++;
    t->honest += liars + missing == 0;
    t->time += b->time;
    if (b->time > t->slowest) t->slowest = b->time;
    for (int i = 0; i < b->code.n; i++) {
        draco_verdict v = b->verdicts[i];
        int lie = is_lie(b, now, i);
        if (b->messages[i] && !lie) honest_named += v == DRACO_BLAMED || v == DRACO_MALFORMED;
        if (lie) t->unnamed += v == DRACO_AGREES;
    }
    t->blamed += honest_named > 0;
    if (honest_named && full())
        print_message("  honest blamed: %s, d %zu, %d liars, %d missing\n", what, now->d, liars, missing);
    if (status < 0) {
        t->refused++;
        t->honest_refused += liars + missing == 0;
        return;
    }
    double error = error_of(b->sum, now);
    if (!(error <= t->error)) t->error = error;
    t->over += !(error <= 1e-5);
    if (!step_exponents(now)) error /= alikeness(now);
    if (error > 0 && !(error / b->report.error <= t->ratio)) t->ratio = error / b->report.error;
    if (error <= b->report.error || step_exponents(now))
        return; /* prime: an expectation, and bits are compared */
    t->above++;
    if (full())
        print_message("  error %.1e, reported %.1e: %s, d %zu, %d liars, %d missing\n", error,
                      b->report.error, what, now->d, liars, missing);
}

static inline void add_tally(tally *all, const tally *t) {
    all->trials += t->trials;
    all->honest += t->honest;
    all->blamed += t->blamed;
    all->above += t->above;
    all->refused += t->refused;
    all->honest_refused += t->honest_refused;
    all->unnamed += t->unnamed;
    all->over += t->over;
    all->time += t->time;
    if (!(t->error <= all->error)) all->error = t->error;
    if (!(t->ratio <= all->ratio)) all->ratio = t->ratio;
    if (t->slowest > all->slowest) all->slowest = t->slowest;
}

static inline void print_tally(const draco_code *code, const char *what, const tally *t) {
    print_message(
        "%4d %3d %2d %-18s trials %5d honest blamed %4d above report %4d above 1e-5 %4d refused %4d "
        "honest refused %d/%d unnamed %5d worst %.0e ratio %.0e locate %.2f ms, at most %.1f\n",
        code->n, code->s, code->t, what, t->trials, t->blamed, t->above, t->over, t->refused,
        t->honest_refused, t->honest, t->unnamed, t->error, t->ratio, 1e3 * t->time / t->trials,
        1e3 * t->slowest);
}

#endif
