/* draco_model.h - version 0.1.0 - what all models share: the layout of the message, the start, memory

   The message of a model, `dim` floats, is
       [0, parameters)          parameters, or their gradient summed over the samples
       [parameters, stats)      zeros, stats = parameters rounded up to a multiple of DRACO_BLOCK
       [stats, stats + count)   statistics summed over the samples: DRACO_MODEL_LOSS, DRACO_MODEL_CORRECT, ...
   The first two statistics are the same in every model, so that the loss and the accuracy of a batch are
   protected by the code like the gradient itself. In a parameter vector the statistics may hold state that
   `absorb` writes (running means); they are zero otherwise.

   There is no switch: every function is static inline and pure, in C11 and C++17.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#ifndef DRACO_MODEL_H
#define DRACO_MODEL_H

#include "../draco.h"

#include "draco_math.h"

#include <stdlib.h>
#include <string.h>

#define DRACO_MODEL_LOSS 0    /* sum of the losses of the samples */
#define DRACO_MODEL_CORRECT 1 /* number of samples whose predicted class is their label */
#define DRACO_MODEL_STATS 2   /* statistics that every model has */

#if defined(__GNUC__)
#define DRACO_MODEL_INLINE static inline __attribute__((unused))
#else
#define DRACO_MODEL_INLINE static inline
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Where the statistics begin. */
DRACO_MODEL_INLINE size_t draco_model_stats_offset(size_t parameters) {
    return (parameters + DRACO_BLOCK - 1) / DRACO_BLOCK * DRACO_BLOCK;
}

/* Floats of a message with `stats` statistics, DRACO_MODEL_STATS of them common to all models. */
DRACO_MODEL_INLINE size_t draco_model_dim(size_t parameters, size_t stats) {
    return draco_model_stats_offset(parameters) + stats;
}

/* Loss and accuracy of the batch from the sum of the parts' messages. */
DRACO_MODEL_INLINE void draco_model_progress(const float *sum, size_t parameters, size_t samples,
                                             draco_score *score) {
    const float *stats = sum + draco_model_stats_offset(parameters);
    double n = samples > 0 ? (double)samples : 1.0;
    const draco_math_mode mode = draco_math_begin();
    score->loss = (double)stats[DRACO_MODEL_LOSS] / n;
    score->accuracy = (double)stats[DRACO_MODEL_CORRECT] / n;
    score->samples = samples;
    draco_math_end(mode);
}

/* values[0..count) uniform in [-bound, bound), a function of (seed, stream) and the place alone. */
DRACO_MODEL_INLINE void draco_model_uniform(uint64_t seed, uint64_t stream, float bound, float *values,
                                            size_t count) {
    uint32_t word[4] = {0, 0, 0, 0};
    for (size_t i = 0; i < count; i++) {
        if (i % 4 == 0) draco_random(seed, stream, i / 4, word);
        values[i] = bound * ((float)(word[i % 4] >> 8) * 0x1p-23f - 1.0f);
    }
}

/* Normal with the given standard deviation, a function of (seed, stream) and the place alone. */
DRACO_MODEL_INLINE void draco_model_normal(uint64_t seed, uint64_t stream, float deviation, float *values,
                                           size_t count) {
    uint32_t word[4];
    double pair[2];
    for (size_t i = 0; i < count; i++) {
        if (i % 2 == 0) {
            draco_random(seed, stream, i / 2, word);
            draco_normal_pair(word[0], word[1], pair);
        }
        values[i] = (float)(pair[i % 2] * (double)deviation);
    }
}

/* Write padding, loss and count of a gradient. */
DRACO_MODEL_INLINE void draco_model_write_score(float *gradient, size_t parameters, double loss,
                                                size_t correct) {
    float *stats = gradient + draco_model_stats_offset(parameters);
    for (float *p = gradient + parameters; p < stats; p++) *p = 0.0f;
    stats[DRACO_MODEL_LOSS] = (float)loss;
    stats[DRACO_MODEL_CORRECT] = (float)correct;
}

/* A part is computed in micro-batches of at most `limit` samples, as even as can be, summed in order: the
   bits of a gradient depend on the part alone. Micro-batch i holds places *first .. *first + *count - 1 of
   the part. */
DRACO_MODEL_INLINE size_t draco_micro_count(size_t samples, size_t limit) {
    return (samples + limit - 1) / limit;
}

DRACO_MODEL_INLINE void draco_micro_range(size_t samples, size_t limit, size_t i, size_t *first,
                                          size_t *count) {
    size_t pieces = draco_micro_count(samples, limit), share = samples / pieces, rest = samples % pieces;
    *first = i * share + (i < rest ? i : rest);
    *count = share + (i < rest);
}

/* What a model needs beyond parameters and messages, in bytes: so that a set-up that does not fit into memory
   can be refused before it starts. */
typedef struct draco_model_memory {
    size_t shared;    /* once per process, beside the data set */
    size_t workspace; /* once per thread that computes gradients */
} draco_model_memory;

/* Zeroed memory on a cache line of its own; NULL when there is none or the size overflows. */
DRACO_MODEL_INLINE void *draco_model_alloc(size_t count, size_t size) {
    if (size != 0 && count > (SIZE_MAX - 64) / size) return NULL;
    size_t bytes = (count * size + 64) / 64 * 64;
    void *memory = aligned_alloc(64, bytes);
    if (memory) memset(memory, 0, bytes);
    return memory;
}

#ifdef __cplusplus
}
#endif
#endif /* DRACO_MODEL_H */
