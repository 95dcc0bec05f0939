/* train_numbers.h - does this thread compute as all others do? The modes that a library or a parent may have changed are
   set, and arithmetic whose bits are the same on every machine is compared with what it has to give. */
#ifndef TRAIN_NUMBERS_H
#define TRAIN_NUMBERS_H

#include "models/draco_math.h"

#include <fenv.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Rounding to nearest, denormal numbers kept. What was otherwise, in words; NULL: nothing. Threads that are made later
   inherit it. */
static const char *train_numbers_set(void) {
    const uint64_t word = draco_math_begin().word;
#if defined(__SSE__)
    const int rounds = (word & 0x6000) != 0, flushes = (word & 0x8040) != 0;
#elif defined(__aarch64__)
    const int rounds = (word >> 22 & 3) != 0, flushes = (word >> 24 & 1) != 0;
#else
    const int rounds = (int)word != FE_TONEAREST, flushes = 0;
#endif
    if (rounds) fesetround(FE_TONEAREST); /* of other units than the one that the line above sets, too */
    if (rounds && flushes)
        return "rounding was not to nearest, and denormal numbers were flushed to zero: both are set right";
    if (rounds) return "rounding was not to nearest: it is set right";
    return flushes ? "denormal numbers were flushed to zero: they are kept now" : NULL;
}

/* A case: its i-th result. The arguments are volatile, so that the compiler computes none of them. */
static double train_number_rounding(int i) {
    const volatile float one = i % 2 ? 1.0f : -1.0f, small = (float)(i + 1) * 0x1p-27f;
    const volatile float sum = one + small;
    const volatile double wide = (double)one + (double)(i + 1) * 0x1p-56;
    return (double)sum + wide;
}

static double train_number_denormal(int i) {
    const volatile float small = 0x1p-126f, share = (float)(i + 3);
    const volatile float part = small / share, back = part * 0x1p100f;
    const volatile double least = 0x1p-1022 / (double)share, wide = least * 0x1p1000;
    return (double)back + wide;
}

static double train_number_fused(int i) {
    const volatile float a = 1.0f + (float)(i + 1) * 0x1p-23f, b = 1.0f - (float)(2 * i + 1) * 0x1p-24f;
    return (double)draco_fma(a, b, -1.0f);
}

static double train_number_divided(int i) {
    const volatile double a = 1.0 + i, b = 7.0 + 3 * i;
    const volatile float c = (float)a / (float)b;
    return sqrt(a / b) + (double)sqrtf(c);
}

static double train_number_exp(int i) {
    const volatile double x = (i - 32) * 0.37;
    return draco_exp(x);
}

static double train_number_log(int i) {
    const volatile double x = 0.013 + i * 1.9;
    return draco_log(x);
}

static double train_number_cosine(int i) {
    const volatile double x = i * 0.0151;
    return draco_cos_pi(x);
}

static const struct train_number_case {
    const char *name;
    double (*result)(int i);
    uint64_t expected; /* of the bits of 64 results, mixed */
} train_number_cases[] = {
    {"rounding", train_number_rounding, 0x09f7d4ca0bff2045u},
    {"denormal numbers", train_number_denormal, 0xf3ce209edc68db74u},
    {"fused products", train_number_fused, 0xd474a00000000000u},
    {"quotients and square roots", train_number_divided, 0x6fdb683ec937de75u},
    {"exp", train_number_exp, 0xf266d79308047bf6u},
    {"log", train_number_log, 0xc0fb528a2ac95fe9u},
    {"cosine", train_number_cosine, 0x31e67b34575114ceu},
};
#define TRAIN_NUMBER_CASES (sizeof train_number_cases / sizeof *train_number_cases)

static uint64_t train_number_mix(const struct train_number_case *c) {
    uint64_t mix = 0;
    for (int i = 0; i < 64; i++) mix = (mix ^ draco_math_bits(c->result(i))) * 0x9e3779b97f4a7c15u;
    return mix;
}

/* The names of the cases that come out otherwise, with commas; empty: none. */
static void train_numbers_check(char *text, size_t capacity) {
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < TRAIN_NUMBER_CASES; i++)
        if (train_number_mix(&train_number_cases[i]) != train_number_cases[i].expected && used < capacity)
            used += (size_t)snprintf(text + used, capacity - used, "%s%s", used ? ", " : "",
                                     train_number_cases[i].name);
}

#endif /* TRAIN_NUMBERS_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
