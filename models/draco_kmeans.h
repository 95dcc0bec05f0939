/* draco_kmeans.h - version 0.1.0 - mini-batch k-means as a gradient on the centres

   #define DRACO_KMEANS_IMPLEMENTATION in one .c file before including it; DRACO_KMEANS_STATIC, defined as
   well, makes a private copy. The switches bring draco.h and the data headers along. The implementation is
   C11 with GNU extensions and POSIX; link -lz -lm.

       draco_kmeans_config config = {&train, &test, 10};
       draco_model model;
       if (draco_kmeans_open(&model, &config) < 0) ...
       ... draco_worker_config.model = &model; draco_trainer.model = &model; ...
       draco_kmeans_close(&model);

   Flat vector:

       centres  [K][features]

   then zeros to the next multiple of DRACO_BLOCK, then the statistics: sum of losses, 0, and a table
   [K][classes]: how many samples of each class chose each centre (classes = 1 for a set without labels).

   Loss of a sample x with the nearest centre m (the first of several): ||x - m||^2 / 2; its gradient by m is
   m - x, and 0 by every other centre. With plain SGD this is online k-means (Bottou and Bengio, NIPS 1994):
   a rate r moves a centre that n of B samples chose by the share r n / B of the way to their mean, so rates
   up to about K are sensible, falling towards the end (Sculley, WWW 2010).

   `accuracy` is the purity: the share of the samples whose class is the most frequent one of their centre;
   0 when there are no labels.

   Start: K samples drawn by k-means++ (Arthur and Vassilvitskii, SODA 2007) from at most
   DRACO_KMEANS_START of the training samples.

   Contract. open keeps the two data sets by reference: they outlive the model. test may be NULL: then there
   is no evaluate. The context is read only; every thread takes a workspace of its own. A part is computed
   in micro-batches of at most DRACO_KMEANS_MICRO samples, in order: the bits depend on parameters, seed,
   step, first and count alone. Errors: DRACO_E_ARGUMENT for a data set without numbers and for K outside of
   1..samples; DRACO_E_MEMORY.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#if defined(DRACO_KMEANS_IMPLEMENTATION) && !defined(DRACO_DATA_IMPLEMENTATION)
#define DRACO_DATA_IMPLEMENTATION
#endif
#if defined(DRACO_KMEANS_STATIC) && !defined(DRACO_DATA_STATIC)
#define DRACO_DATA_STATIC
#endif
#include "draco_data.h"

#ifndef DRACO_KMEANS_H
#define DRACO_KMEANS_H

#include "draco_model.h"

#define DRACO_KMEANS_VERSION 0x000100 /* 0.1.0 */

#ifndef DRACO_KMEANS_API
#ifdef DRACO_KMEANS_STATIC
#define DRACO_KMEANS_API DRACO_MODEL_INLINE
#else
#define DRACO_KMEANS_API extern
#endif
#endif

#ifndef DRACO_KMEANS_MICRO
#define DRACO_KMEANS_MICRO 64 /* samples of a micro-batch */
#endif
#define DRACO_KMEANS_START 4096 /* samples among which the first centres are drawn */

#ifdef __cplusplus
extern "C" {
#endif

typedef struct draco_kmeans_config {
    const draco_dataset *train, *test;
    size_t centres; /* K */
} draco_kmeans_config;

DRACO_KMEANS_API draco_status draco_kmeans_open(draco_model *model, const draco_kmeans_config *config);
DRACO_KMEANS_API void draco_kmeans_close(draco_model *model);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_KMEANS_H */

#if defined(DRACO_KMEANS_IMPLEMENTATION) && !defined(DRACO_KMEANS_IMPLEMENTED)
#define DRACO_KMEANS_IMPLEMENTED

#include "draco_layers.h"

typedef struct draco_kmeans_priv {
    const draco_dataset *train, *test;
    size_t centres, features, classes, parameters, dim;
} draco_kmeans_priv;

typedef struct dr_kmeans_workspace {
    float *x;      /* MICRO x features */
    float *dot;    /* MICRO x centres: x . m */
    float *square; /* centres: ||m||^2 */
    float *counts; /* centres x classes, of evaluate */
} dr_kmeans_workspace;

DRACO_MODEL_INLINE void dr_kmeans_workspace_free(void *ctx, void *workspace) {
    dr_kmeans_workspace *w = workspace;
    (void)ctx;
    if (w != NULL) free(w->x);
    free(w);
}

DRACO_MODEL_INLINE size_t dr_kmeans_floats(const draco_kmeans_priv *km) {
    return DRACO_KMEANS_MICRO * (km->features + km->centres) + km->centres * (1 + km->classes);
}

DRACO_MODEL_INLINE draco_status dr_kmeans_workspace_new(void *ctx, void **workspace) {
    const draco_kmeans_priv *km = ctx;
    dr_kmeans_workspace *w = draco_model_alloc(1, sizeof *w);
    float *memory = draco_model_alloc(dr_kmeans_floats(km), sizeof *memory);
    if (w == NULL || memory == NULL) {
        free(w);
        free(memory);
        return DRACO_E_MEMORY;
    }
    w->x = memory;
    w->dot = w->x + DRACO_KMEANS_MICRO * km->features;
    w->square = w->dot + DRACO_KMEANS_MICRO * km->centres;
    w->counts = w->square + km->centres;
    *workspace = w;
    return DRACO_OK;
}

/* ---- Start: k-means++ ---- */

DRACO_MODEL_INLINE double dr_kmeans_unit(uint64_t seed, uint64_t counter) {
    uint32_t word[4];
    draco_random(seed, 0x6b6d65616e73ull /* "kmeans" */, counter, word);
    return (double)word[0] * 0x1p-32 + (double)word[1] * 0x1p-64;
}

/* The place where the running sum of the weights passes `share` of the total; equal weights when all are 0.
 */
DRACO_MODEL_INLINE size_t dr_kmeans_pick(const double *weights, size_t count, double share) {
    double total = 0.0, sum = 0.0;
    for (size_t i = 0; i < count; i++) total += weights[i];
    if (!(total > 0.0)) return (size_t)(share * (double)count);
    for (size_t i = 0; i < count; i++) {
        sum += weights[i];
        if (sum > share * total) return i;
    }
    return count - 1;
}

DRACO_MODEL_INLINE void dr_kmeans_first_centres(const draco_kmeans_priv *km, uint64_t seed, size_t pool,
                                                const float *x, double *nearest, float *params) {
    const size_t f = km->features;
    for (size_t i = 0; i < pool; i++) nearest[i] = 1.0;
    for (size_t k = 0; k < km->centres; k++) {
        const size_t chosen = dr_kmeans_pick(nearest, pool, dr_kmeans_unit(seed, k));
        const float *centre = x + chosen * f;
        memcpy(params + k * f, centre, f * sizeof *params);
        for (size_t i = 0; i < pool; i++) {
            const double distance = draco_distance(x + i * f, centre, f);
            if (k == 0 || distance < nearest[i]) nearest[i] = distance;
        }
    }
}

DRACO_MODEL_INLINE draco_status dr_kmeans_init(void *ctx, uint64_t seed, float *params) {
    const draco_kmeans_priv *km = ctx;
    const size_t samples = km->train->samples;
    size_t pool = samples < DRACO_KMEANS_START ? samples : DRACO_KMEANS_START;
    if (pool < km->centres) pool = km->centres;
    float *x = draco_model_alloc(pool * km->features, sizeof *x);
    double *nearest = draco_model_alloc(pool, sizeof *nearest);
    if (x == NULL || nearest == NULL) {
        free(x);
        free(nearest);
        return DRACO_E_MEMORY;
    }
    draco_compute_guard threads = draco_compute_begin();
    /* Evenly spaced, so that a set sorted by class gives samples of every class. */
    for (size_t i = 0; i < pool; i++) draco_dataset_row(km->train, i * samples / pool, x + i * km->features);
    memset(params, 0, km->dim * sizeof *params);
    dr_kmeans_first_centres(km, seed, pool, x, nearest, params);
    draco_compute_end(threads);
    free(x);
    free(nearest);
    return DRACO_OK;
}

/* ---- Assignment and gradient ---- */

DRACO_MODEL_INLINE void dr_kmeans_squares(const draco_kmeans_priv *km, const float *params,
                                          dr_kmeans_workspace *w) {
    for (size_t k = 0; k < km->centres; k++)
        w->square[k] = (float)draco_dot(params + k * km->features, params + k * km->features, km->features);
}

/* x . m of all rows and centres. */
DRACO_MODEL_INLINE void dr_kmeans_products(const draco_kmeans_priv *km, size_t rows, const float *params,
                                           dr_kmeans_workspace *w) {
    draco_sgemm('N', 'T', rows, km->centres, km->features, w->x, km->features, params, km->features, 0.0f,
                w->dot, km->centres);
}

/* ||x - m||^2 - ||x||^2 = ||m||^2 - 2 x . m is least at the same centre. */
DRACO_MODEL_INLINE size_t dr_kmeans_nearest(const draco_kmeans_priv *km, const dr_kmeans_workspace *w,
                                            size_t row) {
    const float *dot = w->dot + row * km->centres;
    size_t best = 0;
    float least = w->square[0] - 2.0f * dot[0];
    for (size_t k = 1; k < km->centres; k++) {
        const float distance = w->square[k] - 2.0f * dot[k];
        if (distance < least) {
            least = distance;
            best = k;
        }
    }
    return best;
}

/* Loss of x at its centre m; gradient (may be NULL) += m - x. */
DRACO_MODEL_INLINE double dr_kmeans_pull(const float *x, const float *m, size_t n, float *gradient) {
    const double loss = 0.5 * draco_distance(x, m, n);
    if (gradient != NULL)
        for (size_t i = 0; i < n; i++) gradient[i] += m[i] - x[i];
    return loss;
}

DRACO_MODEL_INLINE size_t dr_kmeans_class(const draco_dataset *data, size_t sample) {
    return data->labels != NULL ? (size_t)data->labels[sample] : 0;
}

/* Sum over centres of the most frequent class. */
DRACO_MODEL_INLINE double dr_kmeans_pure(const draco_kmeans_priv *km, const float *counts) {
    double sum = 0.0;
    if (km->train->labels == NULL) return 0.0;
    for (size_t k = 0; k < km->centres; k++) {
        float most = 0.0f;
        for (size_t c = 0; c < km->classes; c++)
            if (counts[k * km->classes + c] > most) most = counts[k * km->classes + c];
        sum += (double)most;
    }
    return sum;
}

DRACO_MODEL_INLINE draco_status dr_kmeans_gradient(void *ctx, void *workspace, const float *params,
                                                   const draco_batch *batch, float *grad) {
    const draco_kmeans_priv *km = ctx;
    dr_kmeans_workspace *w = workspace;
    const size_t f = km->features, pieces = draco_micro_count(batch->count, DRACO_KMEANS_MICRO);
    float *stats = grad + draco_model_stats_offset(km->parameters);
    float *counts = stats + DRACO_MODEL_STATS;
    size_t sample[DRACO_KMEANS_MICRO];
    double loss = 0.0;
    draco_compute_guard threads = draco_compute_begin();
    memset(grad, 0, km->dim * sizeof *grad);
    dr_kmeans_squares(km, params, w);
    for (size_t i = 0; i < pieces; i++) {
        size_t first, rows;
        draco_micro_range(batch->count, DRACO_KMEANS_MICRO, i, &first, &rows);
        for (size_t j = 0; j < rows; j++) {
            sample[j] = draco_dataset_draw(km->train, batch, first + j);
            draco_dataset_row(km->train, sample[j], w->x + j * f);
        }
        dr_kmeans_products(km, rows, params, w);
        for (size_t j = 0; j < rows; j++) {
            const size_t k = dr_kmeans_nearest(km, w, j);
            loss += dr_kmeans_pull(w->x + j * f, params + k * f, f, grad + k * f);
            counts[k * km->classes + dr_kmeans_class(km->train, sample[j])] += 1.0f;
        }
    }
    stats[DRACO_MODEL_LOSS] = (float)loss;
    draco_compute_end(threads);
    return DRACO_OK;
}

DRACO_MODEL_INLINE void dr_kmeans_progress(void *ctx, const float *sum, size_t samples, draco_score *score) {
    const draco_kmeans_priv *km = ctx;
    const float *counts = sum + draco_model_stats_offset(km->parameters) + DRACO_MODEL_STATS;
    draco_compute_guard threads = draco_compute_begin();
    draco_model_progress(sum, km->parameters, samples, score);
    score->accuracy = dr_kmeans_pure(km, counts) / (samples > 0 ? (double)samples : 1.0);
    draco_compute_end(threads);
}

DRACO_MODEL_INLINE draco_status dr_kmeans_evaluate(void *ctx, void *workspace, const float *params,
                                                   draco_score *score) {
    const draco_kmeans_priv *km = ctx;
    const draco_dataset *test = km->test;
    dr_kmeans_workspace *w = workspace;
    const size_t f = km->features;
    double loss = 0.0;
    draco_compute_guard threads = draco_compute_begin();
    memset(w->counts, 0, km->centres * km->classes * sizeof *w->counts);
    dr_kmeans_squares(km, params, w);
    for (size_t first = 0; first < test->samples; first += DRACO_KMEANS_MICRO) {
        const size_t left = test->samples - first,
                     rows = left < DRACO_KMEANS_MICRO ? left : DRACO_KMEANS_MICRO;
        for (size_t j = 0; j < rows; j++) draco_dataset_row(test, first + j, w->x + j * f);
        dr_kmeans_products(km, rows, params, w);
        for (size_t j = 0; j < rows; j++) {
            const size_t k = dr_kmeans_nearest(km, w, j);
            loss += dr_kmeans_pull(w->x + j * f, params + k * f, f, NULL);
            w->counts[k * km->classes + dr_kmeans_class(test, first + j)] += 1.0f;
        }
    }
    score->samples = test->samples;
    score->loss = loss / (double)test->samples;
    score->accuracy = dr_kmeans_pure(km, w->counts) / (double)test->samples;
    draco_compute_end(threads);
    return DRACO_OK;
}

DRACO_MODEL_INLINE int dr_kmeans_fits(const draco_dataset *data, const draco_dataset *like) {
    return data->samples > 0 && data->features > 0 && (data->pixels != NULL || data->values != NULL) &&
           data->features == like->features && (data->labels != NULL) == (like->labels != NULL) &&
           (data->labels == NULL || (draco_dataset_labelled(data) && data->classes == like->classes));
}

DRACO_KMEANS_API draco_status draco_kmeans_open(draco_model *model, const draco_kmeans_config *config) {
    if (model == NULL || config == NULL || config->train == NULL ||
        !dr_kmeans_fits(config->train, config->train) ||
        (config->test != NULL && !dr_kmeans_fits(config->test, config->train)) || config->centres < 1 ||
        config->centres > config->train->samples)
        return DRACO_E_ARGUMENT;
    draco_kmeans_priv *km = draco_model_alloc(1, sizeof *km);
    if (km == NULL) return DRACO_E_MEMORY;
    km->train = config->train;
    km->test = config->test;
    km->centres = config->centres;
    km->features = config->train->features;
    km->classes = config->train->labels != NULL ? (size_t)config->train->classes : 1;
    km->parameters = km->centres * km->features;
    km->dim = draco_model_dim(km->parameters, DRACO_MODEL_STATS + km->centres * km->classes);
    memset(model, 0, sizeof *model);
    model->size = sizeof *model;
    model->name = "kmeans";
    model->ctx = km;
    model->dim = km->dim;
    model->parameters = km->parameters;
    model->init = dr_kmeans_init;
    model->workspace_new = dr_kmeans_workspace_new;
    model->workspace_free = dr_kmeans_workspace_free;
    model->gradient = dr_kmeans_gradient;
    model->progress = dr_kmeans_progress;
    model->evaluate = config->test != NULL ? dr_kmeans_evaluate : NULL;
    return DRACO_OK;
}

DRACO_KMEANS_API void draco_kmeans_close(draco_model *model) {
    free(model->ctx);
    memset(model, 0, sizeof *model);
}

#endif /* DRACO_KMEANS_IMPLEMENTATION */
