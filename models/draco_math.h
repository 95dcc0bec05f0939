/* draco_math.h - version 0.1.0 - arithmetic with the same bits on every processor

   Sums, products, exp, log and cos for gradients that are to be voted on: docs/reproducible.md. There is no
   switch and nothing to link but libm: every function is static inline and pure, in C11 and C++17.

       #include "models/draco_math.h"        (before your own functions)
       draco_math_mode mode = draco_math_begin();
       double mean = draco_sum(x, n) / (double)n, loss = draco_log(1 + draco_exp(-draco_dot(w, x, n)));
       draco_math_end(mode);

   Including it turns contraction off up to the end of the file: no compiler makes one fused operation of a
   product and a sum that were written as two. A fused one is written draco_fma.

   Errors, in units of the last place: draco_fma 0.5 (exact, rounded once); draco_exp and draco_log rounded to
   float 0.5001, in double below 1; draco_cos_pi 7e-16 absolute.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#ifndef DRACO_MATH_H
#define DRACO_MATH_H

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) ||               \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || defined(_M_FP_FAST)
#error "draco_math.h: -Ofast, -ffast-math and its parts change the bits; compile this file without"
#endif

#include <float.h>
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16 /* 16: all as it is written, _Float16 too */
#error "draco_math.h: floats are computed in a wider type: -msse2 -mfpmath=sse on i386, -std=gnu11 on s390x"
#endif

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#else
#error "draco_math.h: how this compiler is kept from fusing a product and a sum is not known"
#endif

#if defined(__GNUC__)
#define DRACO_MATH static inline __attribute__((unused))
#define DRACO_MATH_APART static __attribute__((noinline, unused)) /* nothing moves past it */
#else
#define DRACO_MATH static inline
#define DRACO_MATH_APART static
#endif
#if !((defined(__GNUC__) && defined(__SSE__)) || (defined(__GNUC__) && defined(__aarch64__)))
#include <fenv.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Rounding: to nearest, and subnormal numbers are kept, whatever the calling thread has set ---- */

typedef struct draco_math_mode {
    uint64_t word;
} draco_math_mode;

DRACO_MATH_APART draco_math_mode draco_math_begin(void) {
    draco_math_mode before = {0};
#if defined(__GNUC__) && defined(__SSE__)
    uint32_t now, plain = 0x1f80; /* nearest, no flushing, no traps */
    __asm__ volatile("stmxcsr %0" : "=m"(now));
    __asm__ volatile("ldmxcsr %0" : : "m"(plain) : "memory");
    before.word = now;
#elif defined(__GNUC__) && defined(__aarch64__)
    __asm__ volatile("mrs %0, fpcr" : "=r"(before.word));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0) : "memory");
#else
    before.word = (uint64_t)fegetround();
    fesetround(FE_TONEAREST);
#endif
    return before;
}

DRACO_MATH_APART void draco_math_end(draco_math_mode before) {
#if defined(__GNUC__) && defined(__SSE__)
    uint32_t word = (uint32_t)before.word;
    __asm__ volatile("ldmxcsr %0" : : "m"(word) : "memory");
#elif defined(__GNUC__) && defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(before.word) : "memory");
#else
    fesetround((int)before.word);
#endif
}

/* ---- a b + c with one rounding ---- */

DRACO_MATH uint64_t draco_math_bits(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

DRACO_MATH double draco_math_double(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The same from double: the product is exact there, and a sum whose last bit is odd where it is not exact
   rounds to float as the exact sum does (Boldo and Melquiond, IEEE Trans. Computers 2008). */
DRACO_MATH float draco_fma_plain(float a, float b, float c) {
    const double product = (double)a * (double)b, sum = product + (double)c, back = sum - product;
    const double rest = (product - (sum - back)) + ((double)c - back);
    uint64_t bits = draco_math_bits(sum);
    const uint64_t inexact = (uint64_t)(rest < 0 || rest > 0), even = ~bits & 1,
                   toward = (rest < 0) == (sum < 0);
    bits = toward ? bits + (inexact & even) : bits - (inexact & even);
    return (float)draco_math_double(bits);
}

/* Where the processor has no such instruction libm's is a call, slow, and in some of them not exact. */
DRACO_MATH float draco_fma(float a, float b, float c) {
#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__aarch64__) || defined(__s390x__) ||             \
    defined(__PPC__)
    return fmaf(a, b, c);
#else
    return draco_fma_plain(a, b, c);
#endif
}

/* ---- Sums: 16 interleaved ones, then a tree. A product of two floats is exact in double. ---- */

#define DRACO_MATH_LANES 16

DRACO_MATH double draco_math_tree(double *lane) {
    for (int half = DRACO_MATH_LANES / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++) lane[k] += lane[k + half];
    return lane[0];
}

/* x[0] + ... + x[n - 1] */
DRACO_MATH double draco_sum(const float *x, size_t n) {
    double lane[DRACO_MATH_LANES] = {0};
    size_t i = 0, k;
    for (; i + DRACO_MATH_LANES <= n; i += DRACO_MATH_LANES)
        for (k = 0; k < DRACO_MATH_LANES; k++) lane[k] += (double)x[i + k];
    for (k = 0; i + k < n; k++) lane[k] += (double)x[i + k];
    return draco_math_tree(lane);
}

/* a[0] b[0] + ... + a[n - 1] b[n - 1] */
DRACO_MATH double draco_dot(const float *a, const float *b, size_t n) {
    double lane[DRACO_MATH_LANES] = {0};
    size_t i = 0, k;
    for (; i + DRACO_MATH_LANES <= n; i += DRACO_MATH_LANES)
        for (k = 0; k < DRACO_MATH_LANES; k++) lane[k] += (double)a[i + k] * (double)b[i + k];
    for (k = 0; i + k < n; k++) lane[k] += (double)a[i + k] * (double)b[i + k];
    return draco_math_tree(lane);
}

/* (a[0] - b[0])^2 + ... + (a[n - 1] - b[n - 1])^2, each difference rounded to float */
DRACO_MATH double draco_distance(const float *a, const float *b, size_t n) {
    double lane[DRACO_MATH_LANES] = {0};
    size_t i = 0, k;
    for (; i + DRACO_MATH_LANES <= n; i += DRACO_MATH_LANES)
        for (k = 0; k < DRACO_MATH_LANES; k++) {
            const float d = a[i + k] - b[i + k];
            lane[k] += (double)d * (double)d;
        }
    for (k = 0; i + k < n; k++) {
        const float d = a[i + k] - b[i + k];
        lane[k] += (double)d * (double)d;
    }
    return draco_math_tree(lane);
}

/* c[m][n] = a[m][k] b[k][n], row-major: each element is one chain of draco_fma over k, from 0. The bits of
   draco_sgemm of draco_compute.h, which is the faster one. */
DRACO_MATH void draco_product(size_t m, size_t n, size_t k, const float *a, const float *b, float *c) {
    size_t i, j, l;
    for (i = 0; i < m * n; i++) c[i] = 0;
    for (i = 0; i < m; i++)
        for (l = 0; l < k; l++)
            for (j = 0; j < n; j++) c[i * n + j] = draco_fma(a[i * k + l], b[l * n + j], c[i * n + j]);
}

/* ---- exp, log, cos ---- */

#define DRACO_MATH_LN2_HIGH 0x1.62e42feep-1 /* its products with integers below 2^20 are exact */
#define DRACO_MATH_LN2_LOW 0x1.a39ef35793c76p-33

/* x = n log(2) + r, |r| < 0.35; the series of exp(r). */
DRACO_MATH double draco_exp(double x) {
    static const double term[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800,
                                  1.0 / 362880,     1.0 / 40320,     1.0 / 5040,     1.0 / 720,
                                  1.0 / 120,        1.0 / 24,        1.0 / 6,        1.0 / 2};
    const double round = 0x1.8p52; /* what is added to it is rounded to an integer */
    double n, r, sum = 0;
    int i, whole, half;
    if (x != x) return x;
    x = x > 710 ? 710 : x < -746 ? -746 : x; /* infinity and 0 come from the scaling below */
    n = x * 0x1.71547652b82fep+0 + round;
    n -= round;
    r = (x - n * DRACO_MATH_LN2_HIGH) - n * DRACO_MATH_LN2_LOW;
    for (i = 0; i < 12; i++) sum = sum * r + term[i];
    sum = 1 + (r + r * r * sum);
    whole = (int)n;
    half = whole / 2; /* in two steps: 2^n alone may be out of range where the result is not */
    sum *= draco_math_double((uint64_t)(half + 1023) << 52);
    return sum * draco_math_double((uint64_t)(whole - half + 1023) << 52);
}

/* x = 2^n (1 + f), |f| < 0.42; log(1 + f) = 2 atanh(f / (2 + f)), with the leading f - f^2 / 2 apart. */
DRACO_MATH double draco_log(double x) {
    const uint64_t root = (uint64_t)0x3fe6a09e << 32; /* sqrt(1/2), rounded down */
    double f, s, square, half, sum = 0, n = 0;
    uint64_t bits;
    int i;
    if (!(x > 0)) return x < 0 || x != x ? (double)NAN : -HUGE_VAL;
    if (x > DBL_MAX) return x;
    if (x < DBL_MIN) {
        x *= 0x1p54;
        n = -54;
    }
    bits = draco_math_bits(x) - root;
    n += (double)((int)(bits >> 52) - (bits >> 63 ? 4096 : 0));
    bits = (bits & (((uint64_t)1 << 52) - 1)) + root;
    f = draco_math_double(bits) - 1;
    s = f / (2 + f);
    square = s * s;
    for (i = 23; i >= 3; i -= 2) sum = (sum + 2.0 / i) * square;
    half = 0.5 * f * f;
    return n * DRACO_MATH_LN2_HIGH - ((half - (s * (half + sum) + n * DRACO_MATH_LN2_LOW)) - f);
}

/* log(1 + x) for x > -1, exact to the last places where x is small, too. */
DRACO_MATH double draco_log1p(double x) {
    const double sum = 1 + x;
    return sum > DBL_MAX ? sum : draco_log(sum) - ((sum - 1) - x) / sum;
}

/* cos(pi x) for x in [0, 1], Taylor's series around the nearer end of the half interval. */
DRACO_MATH double draco_cos_pi(double x) {
    const double angle = 3.141592653589793 * (x > 0.5 ? 1.0 - x : x), square = angle * angle;
    double term = 1.0, sum = 1.0;
    int k;
    for (k = 2; k <= 24; k += 2) {
        term *= -square / (double)(k * (k - 1));
        sum += term;
    }
    return x > 0.5 ? -sum : sum;
}

/* Two independent standard normal numbers of two uniform words (Box and Muller 1958). */
DRACO_MATH void draco_normal_pair(uint32_t first, uint32_t second, double pair[2]) {
    const double radius = sqrt(-2.0 * draco_log(((double)first + 1.0) * 0x1p-32));
    const double half_turns =
        (double)second * 0x1p-31; /* in [0, 2); the sine is the cosine a quarter before */
    const double before = half_turns < 0.5 ? 0.5 - half_turns : half_turns - 0.5;
    pair[0] = radius * draco_cos_pi(half_turns > 1 ? 2 - half_turns : half_turns);
    pair[1] = radius * draco_cos_pi(before > 1 ? 2 - before : before);
}

#ifdef __cplusplus
}
#endif
#endif /* DRACO_MATH_H */
