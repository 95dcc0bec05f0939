/* What the tests of draco_codes.h share: random numbers, a set of gradients, their messages, a decode. */
#ifndef CODES_HELPERS_H
#define CODES_HELPERS_H

#define DRACO_CODES_STATIC
#define DRACO_CODES_IMPLEMENTATION
#include "draco_codes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define UNUSED __attribute__((unused))

/* splitmix64 */
static inline uint64_t rng_next(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline double rng_unit(uint64_t *state) {
    return (double)(rng_next(state) >> 11) * 0x1p-53;
}

/* A sum of uniform numbers is normal enough for a gradient and a lie. */
static inline float rng_normal(uint64_t *state) {
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += rng_unit(state);
    return (float)sum;
}

static inline int rng_below(uint64_t *state, int bound) {
    return (int)(rng_next(state) % (uint64_t)bound);
}

static inline draco_seed rng_seed(uint64_t *state) {
    draco_seed seed;
    for (size_t i = 0; i < sizeof seed.bytes; i++) seed.bytes[i] = (uint8_t)rng_next(state);
    return seed;
}

static inline draco_code code_of(draco_scheme scheme, draco_field field, draco_support support, int n, int s,
                                 int t) {
    draco_code code = {.scheme = scheme, .field = field, .support = support, .n = n, .s = s, .t = t};
    assert_int_equal(draco_code_init(&code), DRACO_OK);
    return code;
}

/* One step: gradients of all parts, everybody's honest message, and the true sum. */
typedef struct step {
    draco_code code;
    size_t d, bytes;
    float *gradients;   /* parts x d */
    uint8_t *exponents; /* prime: what was agreed */
    unsigned char *messages;
    float *sum;
} step;

static inline float *step_gradient(const step *s, int part) {
    return s->gradients + (size_t)part * s->d;
}

static inline unsigned char *step_message(const step *s, int worker) {
    return s->messages + (size_t)worker * s->bytes;
}

static inline void step_free(step *s) {
    free(s->gradients);
    free(s->exponents);
    free(s->messages);
    free(s->sum);
}

/* The bits that n equal numbers add. */
static inline int step_spread(int n) {
    int bits = 0;
    while (n >> bits) bits++;
    return bits;
}

/* The least exponents with which all parts add up without wrapping; exact for parts of up to 2^50 times another. */
static inline void step_agree(step *s) {
    size_t bytes = draco_exponent_bytes(s->d);
    uint8_t *own = malloc(bytes);
    double *total = calloc(bytes, sizeof *total);
    for (int part = 0; part < s->code.parts; part++) {
        assert_int_equal(draco_exponents_of(&s->code, step_gradient(s, part), s->d, own), DRACO_OK);
        for (size_t b = 0; b < bytes; b++) total[b] += own[b] > 0 ? ldexp(1, own[b]) : 0;
    }
    for (size_t b = 0; b < bytes; b++) {
        int exponent = 1;
        while (ldexp(1, exponent + step_spread(s->code.n)) <= total[b]) exponent++;
        s->exponents[b] = (uint8_t)(total[b] > 0 ? exponent : 0);
    }
    free(total);
    free(own);
}

/* The sum that a decode should give: in double; of rounded multiples of the unit in the prime field. */
static inline void step_truth(step *s) {
    for (size_t c = 0; c < s->d; c++) {
        double sum = 0, unit = 1;
        int prime = s->code.scheme == DRACO_CYCLIC && s->code.field == DRACO_FIELD_PRIME;
        if (prime)
            unit = ldexp(1, s->exponents[c / DRACO_EXPONENT_BLOCK] + step_spread(s->code.n) - 30 - 126);
        for (int part = 0; part < s->code.parts; part++) {
            double g = (double)step_gradient(s, part)[c];
            sum += prime ? round(g / unit) * unit : g;
        }
        s->sum[c] = (float)sum;
    }
}

static inline void step_encode(step *s) {
    int prime = s->code.scheme == DRACO_CYCLIC && s->code.field == DRACO_FIELD_PRIME;
    if (prime) step_agree(s);
    draco_encoding *encoding = malloc(draco_encoding_bytes(&s->code, s->d));
    assert_int_equal(draco_encode_init(&s->code, s->d, encoding), DRACO_OK);
    for (int i = 0; i < s->code.n; i++) {
        draco_encode_begin(&s->code, s->d, encoding);
        for (int l = 0; l < draco_code_load(&s->code, i); l++) {
            int part = draco_code_part(&s->code, i, l);
            assert_int_equal(draco_encode_add(&s->code, i, part, step_gradient(s, part), s->d,
                                              prime ? s->exponents : NULL, encoding),
                             DRACO_OK);
        }
        draco_encode_end(&s->code, s->d, encoding, step_message(s, i));
    }
    free(encoding);
    step_truth(s);
}

/* Its memory alone: fill in the gradients and call step_encode. */
static inline step step_room(draco_code code, size_t d) {
    step s = {.code = code, .d = d, .bytes = draco_message_bytes(&code, d)};
    s.gradients = malloc((size_t)code.parts * d * sizeof(float));
    s.exponents = malloc(draco_exponent_bytes(d) + 1);
    s.messages = malloc((size_t)code.n * s.bytes);
    s.sum = malloc(d * sizeof(float));
    return s;
}

/* What encode and combine take. */
static inline const uint8_t *step_exponents(const step *s) {
    return s->code.scheme == DRACO_CYCLIC && s->code.field == DRACO_FIELD_PRIME ? s->exponents : NULL;
}

/* Gradients whose coordinates differ in scale by up to 1000, as those of layers do. */
static inline step step_new(draco_code code, size_t d, uint64_t *rng) {
    step s = step_room(code, d);
    for (size_t c = 0; c < d; c++) {
        float scale = (float)pow(10, -3 * rng_unit(rng));
        for (int part = 0; part < code.parts; part++) step_gradient(&s, part)[c] = scale * rng_normal(rng);
    }
    step_encode(&s);
    return s;
}

static inline double relative_error(const float *got, const float *want, size_t d) {
    double error = 0, norm = 0;
    for (size_t c = 0; c < d; c++) {
        double e = (double)got[c] - (double)want[c];
        error += e * e;
        norm += (double)want[c] * (double)want[c];
    }
    return sqrt(error / norm);
}

/* `count` different workers of n, in a random order or side by side from a random one on. */
static inline void choose(int *chosen, int count, int n, int side_by_side, uint64_t *rng) {
    int all[DRACO_MAX_WORKERS], first = rng_below(rng, n);
    for (int i = 0; i < n; i++) all[i] = i;
    for (int i = 0; i < count; i++) {
        int j = i + rng_below(rng, n - i), held = all[i];
        all[i] = all[j];
        all[j] = held;
        chosen[i] = side_by_side ? (first + i) % n : all[i];
    }
}

#endif
