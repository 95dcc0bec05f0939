/* draco_linear.h - version 0.1.0 - softmax, logistic and linear regression, support vector machine

   #define DRACO_LINEAR_IMPLEMENTATION in one .c file before including it; DRACO_LINEAR_STATIC, defined as
   well, makes a private copy. The switches bring draco.h and the data headers along. The implementation is
   C11 with GNU extensions and POSIX; link -lz -lm.

       draco_linear_config config = {&train, &test, DRACO_LINEAR_SOFTMAX, 0, 0.0f};
       draco_model model;
       if (draco_linear_open(&model, &config) < 0) ...
       ... draco_worker_config.model = &model; draco_trainer.model = &model; ...
       draco_linear_close(&model);

   Flat vector, with C outputs (classes of softmax regression, else 1):

       weights  [features][C]   row-major: weight from feature i to output c at i * C + c
       bias     [C]

   then zeros to the next multiple of DRACO_BLOCK, then two statistics: sum of losses, count of correct
   predictions. Of one sample x, with z = x W + b:

     softmax        loss = log(sum_c exp(z_c)) - z_label      dz = softmax(z) - onehot(label)
     logistic       loss = log(1 + exp(-y z))                 dz = -y / (1 + exp(y z))
     svm            loss = max(0, 1 - y z)                    dz = -y where y z < 1, else 0
     least squares  loss = (z - target)^2 / 2                 dz = z - target

   At the corner y z = 1 of the hinge every slope between -y and 0 is a subgradient; 0 is taken. y is +1 for
   the class `positive` and -1 for every other. Each loss has l2 / 2 ||W||^2 added per sample, and its
   gradient l2 W; the bias is free of it. Correct predictions: the greatest z, the sign of z,
   |z - target| < 1/2.
   Sources: Bishop, Pattern Recognition and Machine Learning, sections 3.1, 4.3 and 7.1; the subgradient of
   the hinge: Shalev-Shwartz et al., Pegasos, ICML 2007.

   Start: all zero, from which each of these convex losses can be minimised.

   Contract. open keeps the two data sets by reference: they outlive the model. test may be NULL: then there
   is no evaluate. The context is read only; every thread takes a workspace of its own. A part is computed
   in micro-batches of at most DRACO_LINEAR_MICRO samples, in order: the bits depend on parameters, seed,
   step, first and count alone. Errors: DRACO_E_ARGUMENT for a data set without numbers or labels, for
   a label or a class that is out of range and for an l2 that is negative; DRACO_E_MEMORY.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#if defined(DRACO_LINEAR_IMPLEMENTATION) && !defined(DRACO_DATA_IMPLEMENTATION)
#define DRACO_DATA_IMPLEMENTATION
#endif
#if defined(DRACO_LINEAR_STATIC) && !defined(DRACO_DATA_STATIC)
#define DRACO_DATA_STATIC
#endif
#include "draco_data.h"

#ifndef DRACO_LINEAR_H
#define DRACO_LINEAR_H

#include "draco_model.h"

#define DRACO_LINEAR_VERSION 0x000100 /* 0.1.0 */

#ifndef DRACO_LINEAR_API
#ifdef DRACO_LINEAR_STATIC
#define DRACO_LINEAR_API DRACO_MODEL_INLINE
#else
#define DRACO_LINEAR_API extern
#endif
#endif

#ifndef DRACO_LINEAR_MICRO
#define DRACO_LINEAR_MICRO 64 /* samples of a micro-batch */
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum draco_linear_kind {
    DRACO_LINEAR_SOFTMAX = 0,
    DRACO_LINEAR_LOGISTIC,
    DRACO_LINEAR_SVM,
    DRACO_LINEAR_LEAST_SQUARES
} draco_linear_kind;

typedef struct draco_linear_config {
    const draco_dataset *train, *test;
    draco_linear_kind kind;
    int positive; /* logistic and svm: the class that is told from all others */
    float l2;
} draco_linear_config;

DRACO_LINEAR_API draco_status draco_linear_open(draco_model *model, const draco_linear_config *config);
DRACO_LINEAR_API void draco_linear_close(draco_model *model);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_LINEAR_H */

#if defined(DRACO_LINEAR_IMPLEMENTATION) && !defined(DRACO_LINEAR_IMPLEMENTED)
#define DRACO_LINEAR_IMPLEMENTED

#include "draco_layers.h"

typedef struct draco_linear_priv {
    draco_linear_config config;
    size_t features, outputs, parameters, dim;
} draco_linear_priv;

typedef struct dr_linear_workspace {
    float *x;        /* MICRO x features */
    float *z;        /* MICRO x outputs */
    float *dz;       /* MICRO x outputs */
    int32_t *labels; /* MICRO */
    float *targets;  /* MICRO */
} dr_linear_workspace;

DRACO_MODEL_INLINE void dr_linear_workspace_free(void *ctx, void *workspace) {
    dr_linear_workspace *w = workspace;
    (void)ctx;
    if (w != NULL) free(w->x);
    free(w);
}

DRACO_MODEL_INLINE size_t dr_linear_floats(const draco_linear_priv *linear) {
    return DRACO_LINEAR_MICRO * (linear->features + 2 * linear->outputs + 2);
}

DRACO_MODEL_INLINE draco_status dr_linear_workspace_new(void *ctx, void **workspace) {
    const draco_linear_priv *linear = ctx;
    dr_linear_workspace *w = draco_model_alloc(1, sizeof *w);
    float *memory = draco_model_alloc(dr_linear_floats(linear), sizeof *memory);
    if (w == NULL || memory == NULL) {
        free(w);
        free(memory);
        return DRACO_E_MEMORY;
    }
    w->x = memory;
    w->z = w->x + DRACO_LINEAR_MICRO * linear->features;
    w->dz = w->z + DRACO_LINEAR_MICRO * linear->outputs;
    w->targets = w->dz + DRACO_LINEAR_MICRO * linear->outputs;
    w->labels = (int32_t *)(w->targets + DRACO_LINEAR_MICRO);
    *workspace = w;
    return DRACO_OK;
}

DRACO_MODEL_INLINE draco_status dr_linear_init(void *ctx, uint64_t seed, float *params) {
    const draco_linear_priv *linear = ctx;
    (void)seed;
    memset(params, 0, linear->dim * sizeof *params);
    return DRACO_OK;
}

/* Row k of the micro-batch is this sample. */
DRACO_MODEL_INLINE void dr_linear_read(const draco_dataset *data, size_t sample, size_t k,
                                       dr_linear_workspace *w) {
    draco_dataset_row(data, sample, w->x + k * data->features);
    if (data->labels != NULL) w->labels[k] = data->labels[sample];
    w->targets[k] = data->targets != NULL ? data->targets[sample] : (float)w->labels[k];
}

DRACO_MODEL_INLINE double dr_linear_logistic(double margin) {
    /* log(1 + exp(-m)) without overflow on either side */
    return margin > 0 ? draco_log1p(draco_exp(-margin)) : draco_log1p(draco_exp(margin)) - margin;
}

/* Loss of one output z with the sign y of its class; *dz is its derivative. */
DRACO_MODEL_INLINE double dr_linear_margin_loss(draco_linear_kind kind, double z, double y, float *dz) {
    const double margin = y * z;
    if (kind == DRACO_LINEAR_SVM) {
        *dz = margin < 1.0 ? (float)-y : 0.0f;
        return margin < 1.0 ? 1.0 - margin : 0.0;
    }
    *dz = (float)(-y / (1.0 + draco_exp(margin)));
    return dr_linear_logistic(margin);
}

/* Adds losses and correct predictions of the rows of z; dz is their derivative. */
DRACO_MODEL_INLINE void dr_linear_losses(const draco_linear_priv *linear, size_t rows, dr_linear_workspace *w,
                                         double *loss, size_t *correct) {
    const draco_linear_config *c = &linear->config;
    if (c->kind == DRACO_LINEAR_SOFTMAX) {
        draco_softmax_loss(rows, linear->outputs, w->z, w->labels, loss, correct, w->dz);
        return;
    }
    for (size_t k = 0; k < rows; k++) {
        const double z = (double)w->z[k];
        if (c->kind == DRACO_LINEAR_LEAST_SQUARES) {
            const double error = z - (double)w->targets[k];
            w->dz[k] = (float)error;
            *loss += 0.5 * error * error;
            *correct += error > -0.5 && error < 0.5;
        } else {
            const double y = w->labels[k] == c->positive ? 1.0 : -1.0;
            *loss += dr_linear_margin_loss(c->kind, z, y, &w->dz[k]);
            *correct += y * z > 0.0;
        }
    }
}

/* z of the rows that stand in w->x. */
DRACO_MODEL_INLINE void dr_linear_forward(const draco_linear_priv *linear, size_t rows, const float *params,
                                          dr_linear_workspace *w) {
    const float *bias = params + linear->features * linear->outputs;
    draco_fc_forward(rows, linear->features, linear->outputs, w->x, params, bias, w->z);
}

/* l2 / 2 ||W||^2, the penalty of one sample. */
DRACO_MODEL_INLINE double dr_linear_penalty(const draco_linear_priv *linear, const float *params) {
    if (!(linear->config.l2 > 0.0f)) return 0.0;
    return 0.5 * (double)linear->config.l2 * draco_dot(params, params, linear->features * linear->outputs);
}

DRACO_MODEL_INLINE draco_status dr_linear_gradient(void *ctx, void *workspace, const float *params,
                                                   const draco_batch *batch, float *grad) {
    const draco_linear_priv *linear = ctx;
    dr_linear_workspace *w = workspace;
    const size_t pieces = draco_micro_count(batch->count, DRACO_LINEAR_MICRO);
    const size_t weights = linear->features * linear->outputs;
    size_t correct = 0;
    draco_compute_guard threads = draco_compute_begin();
    double loss = (double)batch->count * dr_linear_penalty(linear, params);
    if (pieces == 0) memset(grad, 0, linear->parameters * sizeof *grad);
    for (size_t i = 0; i < pieces; i++) {
        size_t first, rows;
        draco_micro_range(batch->count, DRACO_LINEAR_MICRO, i, &first, &rows);
        for (size_t k = 0; k < rows; k++)
            dr_linear_read(linear->config.train, draco_dataset_draw(linear->config.train, batch, first + k),
                           k, w);
        dr_linear_forward(linear, rows, params, w);
        dr_linear_losses(linear, rows, w, &loss, &correct);
        draco_fc_backward(rows, linear->features, linear->outputs, w->x, params, w->dz, i > 0 ? 1.0f : 0.0f,
                          grad, grad + weights, NULL);
    }
    if (linear->config.l2 > 0.0f) {
        const float share = linear->config.l2 * (float)batch->count;
        for (size_t i = 0; i < weights; i++) grad[i] += share * params[i];
    }
    draco_model_write_score(grad, linear->parameters, loss, correct);
    draco_compute_end(threads);
    return DRACO_OK;
}

DRACO_MODEL_INLINE void dr_linear_progress(void *ctx, const float *sum, size_t samples, draco_score *score) {
    const draco_linear_priv *linear = ctx;
    draco_model_progress(sum, linear->parameters, samples, score);
}

DRACO_MODEL_INLINE draco_status dr_linear_evaluate(void *ctx, void *workspace, const float *params,
                                                   draco_score *score) {
    const draco_linear_priv *linear = ctx;
    const draco_dataset *test = linear->config.test;
    dr_linear_workspace *w = workspace;
    double loss = 0.0;
    size_t correct = 0;
    draco_compute_guard threads = draco_compute_begin();
    for (size_t first = 0; first < test->samples; first += DRACO_LINEAR_MICRO) {
        const size_t left = test->samples - first,
                     rows = left < DRACO_LINEAR_MICRO ? left : DRACO_LINEAR_MICRO;
        for (size_t k = 0; k < rows; k++) dr_linear_read(test, first + k, k, w);
        dr_linear_forward(linear, rows, params, w);
        dr_linear_losses(linear, rows, w, &loss, &correct);
    }
    score->samples = test->samples;
    score->loss = loss / (double)test->samples + dr_linear_penalty(linear, params);
    score->accuracy = (double)correct / (double)test->samples;
    draco_compute_end(threads);
    return DRACO_OK;
}

/* Numbers, and what the loss compares them with. */
DRACO_MODEL_INLINE int dr_linear_fits(const draco_dataset *data, const draco_linear_config *config) {
    const int regression = config->kind == DRACO_LINEAR_LEAST_SQUARES;
    if (data->samples == 0 || data->features == 0 || data->features != config->train->features) return 0;
    if (data->pixels == NULL && data->values == NULL) return 0;
    if (data->labels == NULL && (!regression || data->targets == NULL)) return 0;
    if (regression) return 1;
    return draco_dataset_labelled(data) && data->classes == config->train->classes && config->positive >= 0 &&
           config->positive < data->classes;
}

DRACO_LINEAR_API draco_status draco_linear_open(draco_model *model, const draco_linear_config *config) {
    if (model == NULL || config == NULL || config->train == NULL || !(config->l2 >= 0.0f) ||
        config->kind < DRACO_LINEAR_SOFTMAX || config->kind > DRACO_LINEAR_LEAST_SQUARES ||
        !dr_linear_fits(config->train, config) ||
        (config->test != NULL && !dr_linear_fits(config->test, config)))
        return DRACO_E_ARGUMENT;
    static const char *const names[] = {"softmax", "logistic", "svm", "least-squares"};
    draco_linear_priv *linear = draco_model_alloc(1, sizeof *linear);
    if (linear == NULL) return DRACO_E_MEMORY;
    linear->config = *config;
    linear->features = config->train->features;
    linear->outputs = config->kind == DRACO_LINEAR_SOFTMAX ? (size_t)config->train->classes : 1;
    linear->parameters = (linear->features + 1) * linear->outputs;
    linear->dim = draco_model_dim(linear->parameters, DRACO_MODEL_STATS);
    memset(model, 0, sizeof *model);
    model->size = sizeof *model;
    model->name = names[config->kind];
    model->ctx = linear;
    model->dim = linear->dim;
    model->parameters = linear->parameters;
    model->init = dr_linear_init;
    model->workspace_new = dr_linear_workspace_new;
    model->workspace_free = dr_linear_workspace_free;
    model->gradient = dr_linear_gradient;
    model->progress = dr_linear_progress;
    model->evaluate = config->test != NULL ? dr_linear_evaluate : NULL;
    return DRACO_OK;
}

DRACO_LINEAR_API void draco_linear_close(draco_model *model) {
    free(model->ctx);
    memset(model, 0, sizeof *model);
}

#endif /* DRACO_LINEAR_IMPLEMENTATION */
