/* draco_mlp.h - version 0.1.0 - multi-layer perceptron

   Fully connected layers with ReLU between them, softmax cross-entropy at the end.

   #define DRACO_MLP_IMPLEMENTATION in one .c file before including it; DRACO_MLP_STATIC, defined as well,
   makes a private copy. The switches bring draco.h and the data headers along. The implementation is C11
   with GNU extensions and POSIX; link -lz -lm.

       draco_mlp_config config = {&train, &test, 2, {800, 500}};   784-800-500-10 on MNIST
       draco_model model;
       if (draco_mlp_open(&model, &config) < 0) ...
       ... draco_worker_config.model = &model; draco_trainer.model = &model; ...
       draco_mlp_close(&model);

   Flat vector, for layer l = 0 .. hidden (w[0] = features of a sample, the last width = classes):

       weights l   [w[l]][w[l+1]]   row-major: weight from input i to output o at i * w[l+1] + o
       bias l      [w[l+1]]

   then zeros to the next multiple of DRACO_BLOCK, then two statistics: sum of losses, count of correct
   predictions.
   784-800-500-10 has 1,033,510 parameters.

   Start: He's uniform distribution (bound sqrt(6 / inputs)) for layers that ReLU follows, bound sqrt(1 /
   inputs) for the last, biases 0.

   Contract. open keeps the two data sets by reference: they outlive the model. test may be NULL: then there
   is no evaluate. The context is read only; every thread takes a workspace of its own (draco_mlp_memory says
   how large). A part is computed in micro-batches of at most DRACO_MLP_MICRO samples: the bits depend on
   parameters, seed, step, first and count alone. Errors: DRACO_E_ARGUMENT for a data set without labels,
   classes or numbers and for widths of 0; DRACO_E_MEMORY.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#if defined(DRACO_MLP_IMPLEMENTATION) && !defined(DRACO_DATA_IMPLEMENTATION)
#define DRACO_DATA_IMPLEMENTATION
#endif
#if defined(DRACO_MLP_STATIC) && !defined(DRACO_DATA_STATIC)
#define DRACO_DATA_STATIC
#endif
#include "draco_data.h"

#ifndef DRACO_MLP_H
#define DRACO_MLP_H

#include "draco_model.h"

#define DRACO_MLP_VERSION 0x000100
#ifndef DRACO_MLP_API
#ifdef DRACO_MLP_STATIC
#define DRACO_MLP_API DRACO_MODEL_INLINE
#else
#define DRACO_MLP_API extern
#endif
#endif

#define DRACO_MLP_MAX_HIDDEN 8
#ifndef DRACO_MLP_MICRO
#define DRACO_MLP_MICRO 64
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct draco_mlp_config {
    const draco_dataset *train, *test;
    int hidden; /* hidden layers, 0: softmax regression */
    size_t widths[DRACO_MLP_MAX_HIDDEN];
} draco_mlp_config;

DRACO_MLP_API draco_status draco_mlp_open(draco_model *model, const draco_mlp_config *config);
DRACO_MLP_API void draco_mlp_close(draco_model *model);
/* samples: of the largest part of a batch. */
DRACO_MLP_API draco_model_memory draco_mlp_memory(const draco_model *model, size_t samples);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_MLP_H */

#if defined(DRACO_MLP_IMPLEMENTATION) && !defined(DRACO_MLP_IMPLEMENTED)
#define DRACO_MLP_IMPLEMENTED

#include "draco_layers.h"

typedef struct draco_mlp_priv {
    const draco_dataset *train, *test;
    int layers;
    size_t width[DRACO_MLP_MAX_HIDDEN + 2]; /* layers + 1 */
    size_t at[DRACO_MLP_MAX_HIDDEN + 2];    /* where weights l stand in the vector */
    size_t parameters, dim;
    size_t total, widest; /* floats of all activations of a sample, and of its widest layer */
} draco_mlp_priv;

typedef struct dr_mlp_workspace {
    float *act[DRACO_MLP_MAX_HIDDEN + 2]; /* act[l]: MICRO x width[l]; act[0]: the samples */
    float *delta[2];                      /* MICRO x widest each */
    int32_t labels[DRACO_MLP_MICRO];
} dr_mlp_workspace;

static void dr_mlp_workspace_free(void *ctx, void *workspace) {
    (void)ctx;
    dr_mlp_workspace *w = workspace;
    if (w) free(w->act[0]);
    free(w);
}

/* All activations and the two deltas in one block. */
static size_t dr_mlp_floats(const draco_mlp_priv *mlp) {
    return DRACO_MLP_MICRO * (mlp->total + 2 * mlp->widest);
}

static draco_status dr_mlp_workspace_new(void *ctx, void **workspace) {
    const draco_mlp_priv *mlp = ctx;
    dr_mlp_workspace *w = draco_model_alloc(1, sizeof *w);
    float *p = draco_model_alloc(dr_mlp_floats(mlp), sizeof *p);
    if (!w || !p) {
        free(w);
        free(p);
        return DRACO_E_MEMORY;
    }
    for (int l = 0; l <= mlp->layers; l++) {
        w->act[l] = p;
        p += DRACO_MLP_MICRO * mlp->width[l];
    }
    w->delta[0] = p;
    w->delta[1] = p + DRACO_MLP_MICRO * mlp->widest;
    *workspace = w;
    return DRACO_OK;
}

static draco_status dr_mlp_init(void *ctx, uint64_t seed, float *params) {
    const draco_mlp_priv *mlp = ctx;
    draco_compute_guard threads = draco_compute_begin();
    memset(params, 0, mlp->dim * sizeof *params);
    for (int l = 0; l < mlp->layers; l++) {
        float gain = l + 1 < mlp->layers ? 6.0f : 1.0f;
        draco_model_uniform(seed, (uint64_t)l, sqrtf(gain / (float)mlp->width[l]), params + mlp->at[l],
                            mlp->width[l] * mlp->width[l + 1]);
    }
    draco_compute_end(threads);
    return DRACO_OK;
}

/* act[0] -> act[layers]: the logits. */
static void dr_mlp_forward(const draco_mlp_priv *mlp, dr_mlp_workspace *w, size_t rows, const float *params) {
    for (int l = 0; l < mlp->layers; l++) {
        size_t in = mlp->width[l], out = mlp->width[l + 1];
        const float *weights = params + mlp->at[l];
        draco_fc_forward(rows, in, out, w->act[l], weights, weights + in * out, w->act[l + 1]);
        if (l + 1 < mlp->layers) draco_relu_forward(rows * out, w->act[l + 1]);
    }
}

/* delta[0] holds the derivative of the loss by the logits. */
static void dr_mlp_backward(const draco_mlp_priv *mlp, dr_mlp_workspace *w, size_t rows, const float *params,
                            float beta, float *grad) {
    float *dy = w->delta[0], *dx = w->delta[1];
    for (int l = mlp->layers - 1; l >= 0; l--) {
        size_t in = mlp->width[l], out = mlp->width[l + 1], at = mlp->at[l];
        draco_fc_backward(rows, in, out, w->act[l], params + at, dy, beta, grad + at, grad + at + in * out,
                          l > 0 ? dx : NULL);
        if (l > 0) draco_relu_backward(rows * in, w->act[l], dx);
        float *swap = dy;
        dy = dx;
        dx = swap;
    }
}

static draco_status dr_mlp_gradient(void *ctx, void *workspace, const float *params, const draco_batch *batch,
                                    float *grad) {
    const draco_mlp_priv *mlp = ctx;
    dr_mlp_workspace *w = workspace;
    size_t pieces = draco_micro_count(batch->count, DRACO_MLP_MICRO), correct = 0;
    double loss = 0;
    draco_compute_guard threads = draco_compute_begin();
    if (pieces == 0) memset(grad, 0, mlp->parameters * sizeof *grad);
    for (size_t i = 0; i < pieces; i++) {
        size_t first, rows;
        draco_micro_range(batch->count, DRACO_MLP_MICRO, i, &first, &rows);
        draco_read_part(mlp->train, batch, first, rows, w->act[0], w->labels);
        dr_mlp_forward(mlp, w, rows, params);
        draco_softmax_loss(rows, mlp->width[mlp->layers], w->act[mlp->layers], w->labels, &loss, &correct,
                           w->delta[0]);
        dr_mlp_backward(mlp, w, rows, params, i > 0, grad);
    }
    draco_model_write_score(grad, mlp->parameters, loss, correct);
    draco_compute_end(threads);
    return DRACO_OK;
}

static void dr_mlp_progress(void *ctx, const float *sum, size_t samples, draco_score *score) {
    const draco_mlp_priv *mlp = ctx;
    draco_model_progress(sum, mlp->parameters, samples, score);
}

static const float *dr_mlp_logits(const void *model, void *workspace, const float *params,
                                  const draco_dataset *data, size_t first, size_t rows) {
    const draco_mlp_priv *mlp = model;
    dr_mlp_workspace *w = workspace;
    for (size_t k = 0; k < rows; k++) draco_dataset_row(data, first + k, w->act[0] + k * mlp->width[0]);
    dr_mlp_forward(mlp, w, rows, params);
    return w->act[mlp->layers];
}

static draco_status dr_mlp_evaluate(void *ctx, void *workspace, const float *params, draco_score *score) {
    const draco_mlp_priv *mlp = ctx;
    return draco_evaluate(mlp, workspace, params, mlp->test, DRACO_MLP_MICRO, dr_mlp_logits, score);
}

/* Widths and places of the layers; 0 when the numbers are no network or overflow. */
static int dr_mlp_plan(draco_mlp_priv *mlp, const draco_mlp_config *config) {
    if (config->hidden < 0 || config->hidden > DRACO_MLP_MAX_HIDDEN) return 0;
    mlp->layers = config->hidden + 1;
    mlp->width[0] = mlp->train->features;
    for (int l = 0; l < config->hidden; l++) mlp->width[l + 1] = config->widths[l];
    mlp->width[mlp->layers] = (size_t)mlp->train->classes;
    for (int l = 0; l <= mlp->layers; l++) {
        if (mlp->width[l] == 0 || mlp->width[l] > (size_t)1 << 24) return 0;
        mlp->total += mlp->width[l];
        if (mlp->width[l] > mlp->widest) mlp->widest = mlp->width[l];
    }
    for (int l = 0; l < mlp->layers; l++) {
        mlp->at[l] = mlp->parameters;
        mlp->parameters += (mlp->width[l] + 1) * mlp->width[l + 1];
    }
    mlp->dim = draco_model_dim(mlp->parameters, DRACO_MODEL_STATS);
    return 1;
}

DRACO_MLP_API draco_status draco_mlp_open(draco_model *model, const draco_mlp_config *config) {
    if (!draco_classifies(config->train, config->train)) return DRACO_E_ARGUMENT;
    if (config->test && !draco_classifies(config->test, config->train)) return DRACO_E_ARGUMENT;
    draco_mlp_priv *mlp = draco_model_alloc(1, sizeof *mlp);
    if (!mlp) return DRACO_E_MEMORY;
    mlp->train = config->train;
    mlp->test = config->test;
    if (!dr_mlp_plan(mlp, config)) {
        free(mlp);
        return DRACO_E_ARGUMENT;
    }
    memset(model, 0, sizeof *model);
    model->size = sizeof *model;
    model->name = "mlp";
    model->ctx = mlp;
    model->dim = mlp->dim;
    model->parameters = mlp->parameters;
    model->layers = mlp->at;
    model->layer_count = (size_t)mlp->layers;
    model->init = dr_mlp_init;
    model->workspace_new = dr_mlp_workspace_new;
    model->workspace_free = dr_mlp_workspace_free;
    model->gradient = dr_mlp_gradient;
    model->progress = dr_mlp_progress;
    model->evaluate = config->test ? dr_mlp_evaluate : NULL;
    return DRACO_OK;
}

DRACO_MLP_API void draco_mlp_close(draco_model *model) {
    free(model->ctx);
    memset(model, 0, sizeof *model);
}

DRACO_MLP_API draco_model_memory draco_mlp_memory(const draco_model *model, size_t samples) {
    const draco_mlp_priv *mlp = model->ctx;
    (void)samples; /* the workspace holds a whole micro-batch at once */
    draco_model_memory memory = {sizeof *mlp, sizeof(dr_mlp_workspace)};
    memory.workspace += dr_mlp_floats(mlp) * sizeof(float);
    return memory;
}

#endif /* DRACO_MLP_IMPLEMENTATION */
