/* draco_lenet.h - version 0.1.0 - LeNet

   Convolution 5 x 5 to 20 channels, max pooling, convolution 5 x 5 to 50 channels, max pooling, fully
   connected 500, fully connected to the classes, softmax cross-entropy; ReLU after each pooling and after
   the first fully connected layer.

   #define DRACO_LENET_IMPLEMENTATION in one .c file before including it; DRACO_LENET_STATIC, defined as
   well, makes a private copy. The switches bring draco.h and the data headers along. The implementation is
   C11 with GNU extensions and POSIX; link -lz -lm.

       draco_lenet_config config = {&train, &test};
       draco_model model;
       if (draco_lenet_open(&model, &config) < 0) ...
       ... draco_worker_config.model = &model; draco_trainer.model = &model; ...
       draco_lenet_close(&model);

   Flat vector:

       convolution 1      weights [5][5][channels][20], bias [20]
       convolution 2      weights [5][5][20][50], bias [50]
       fully connected 1  weights [h][w][50] x [500], bias [500]     28 x 28 images: h = w = 4, 800 inputs
       fully connected 2  weights [500][classes], bias [classes]

   then zeros to the next multiple of DRACO_BLOCK, then two statistics: sum of losses, count of correct
   predictions.
   28 x 28 x 1 images and 10 classes: 431,080 parameters. Convolution weights are [kh][kw][ci][co].

   Start: He's uniform distribution (bound sqrt(6 / inputs)) where ReLU follows, bound sqrt(1 / inputs) for
   the last layer, biases 0.

   Contract. open keeps the two data sets by reference; test may be NULL: then there is no evaluate. Height
   and width are 28, 32, 36, ...: both convolutions must give even sizes. The context is read only; every
   thread takes a workspace of its own (draco_lenet_memory). A part is computed in micro-batches of at most
   DRACO_LENET_MICRO images: the bits depend on parameters, seed, step, first and count alone. Errors:
   DRACO_E_ARGUMENT, DRACO_E_MEMORY.

   Source: LeCun et al., Gradient-based learning applied to document recognition, 1998; sizes as in Caffe's
   LeNet.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#if defined(DRACO_LENET_IMPLEMENTATION) && !defined(DRACO_DATA_IMPLEMENTATION)
#define DRACO_DATA_IMPLEMENTATION
#endif
#if defined(DRACO_LENET_STATIC) && !defined(DRACO_DATA_STATIC)
#define DRACO_DATA_STATIC
#endif
#include "draco_data.h"

#ifndef DRACO_LENET_H
#define DRACO_LENET_H

#include "draco_model.h"

#define DRACO_LENET_VERSION 0x000100
#ifndef DRACO_LENET_API
#ifdef DRACO_LENET_STATIC
#define DRACO_LENET_API DRACO_MODEL_INLINE
#else
#define DRACO_LENET_API extern
#endif
#endif

#ifndef DRACO_LENET_MICRO
#define DRACO_LENET_MICRO 32
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct draco_lenet_config {
    const draco_dataset *train, *test;
} draco_lenet_config;

DRACO_LENET_API draco_status draco_lenet_open(draco_model *model, const draco_lenet_config *config);
DRACO_LENET_API void draco_lenet_close(draco_model *model);
/* samples: of the largest part of a batch. */
DRACO_LENET_API draco_model_memory draco_lenet_memory(const draco_model *model, size_t samples);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_LENET_H */

#if defined(DRACO_LENET_IMPLEMENTATION) && !defined(DRACO_LENET_IMPLEMENTED)
#define DRACO_LENET_IMPLEMENTED

#include "draco_layers.h"

#define DR_LENET_HIDDEN 500

/* Places in the vector: weights, then bias, of each layer. */
typedef struct dr_lenet_layer {
    size_t weights, bias, inputs, outputs; /* inputs: terms of a sum */
} dr_lenet_layer;

typedef struct draco_lenet_priv {
    const draco_dataset *train, *test;
    draco_conv_shape conv[2];
    dr_lenet_layer layer[4];
    size_t starts[4];          /* of the layers */
    size_t features, classes;  /* of an image */
    size_t wide[2], pooled[2]; /* floats of an image after each convolution, and after its pooling */
    size_t scratch, parameters, dim;
} draco_lenet_priv;

/* Micro-batches of: images; for each convolution its output, pooled (and cut off at 0) output, and the
   gradients of both; hidden layer; logits. */
typedef struct dr_lenet_workspace {
    float *x, *wide[2], *pooled[2], *hidden, *logits;
    float *dwide, *dpooled[2], *dhidden, *dlogits, *scratch;
    int32_t labels[DRACO_LENET_MICRO];
} dr_lenet_workspace;

/* Lay the workspace out from base; returns its floats. base NULL: only count. */
static size_t dr_lenet_layout(const draco_lenet_priv *net, dr_lenet_workspace *w, float *base) {
    struct {
        float **pointer;
        size_t floats;
    } field[] = {{&w->x, net->features},           {&w->wide[0], net->wide[0]},
                 {&w->wide[1], net->wide[1]},      {&w->pooled[0], net->pooled[0]},
                 {&w->pooled[1], net->pooled[1]},  {&w->hidden, DR_LENET_HIDDEN},
                 {&w->logits, net->classes},       {&w->dwide, draco_max_size(net->wide[0], net->wide[1])},
                 {&w->dpooled[0], net->pooled[0]}, {&w->dpooled[1], net->pooled[1]},
                 {&w->dhidden, DR_LENET_HIDDEN},   {&w->dlogits, net->classes}};
    size_t at = 0;
    for (size_t i = 0; i < sizeof field / sizeof field[0]; i++) {
        if (base) *field[i].pointer = base + at;
        at += field[i].floats * DRACO_LENET_MICRO;
    }
    if (base) w->scratch = base + at;
    return at + net->scratch;
}

static void dr_lenet_workspace_free(void *ctx, void *workspace) {
    (void)ctx;
    dr_lenet_workspace *w = workspace;
    if (w) free(w->x);
    free(w);
}

static draco_status dr_lenet_workspace_new(void *ctx, void **workspace) {
    const draco_lenet_priv *net = ctx;
    dr_lenet_workspace *w = draco_model_alloc(1, sizeof *w);
    float *base = w ? draco_model_alloc(dr_lenet_layout(net, w, NULL), sizeof *base) : NULL;
    if (!base) {
        free(w);
        return DRACO_E_MEMORY;
    }
    dr_lenet_layout(net, w, base);
    *workspace = w;
    return DRACO_OK;
}

static draco_status dr_lenet_init(void *ctx, uint64_t seed, float *params) {
    const draco_lenet_priv *net = ctx;
    draco_compute_guard threads = draco_compute_begin();
    memset(params, 0, net->dim * sizeof *params);
    for (int i = 0; i < 4; i++) {
        const dr_lenet_layer *l = &net->layer[i];
        float bound = sqrtf((i < 3 ? 6.0f : 1.0f) / (float)l->inputs);
        draco_model_uniform(seed, (uint64_t)i, bound, params + l->weights, l->inputs * l->outputs);
    }
    draco_compute_end(threads);
    return DRACO_OK;
}

static void dr_lenet_forward(const draco_lenet_priv *net, dr_lenet_workspace *w, size_t rows,
                             const float *params) {
    const dr_lenet_layer *l = net->layer;
    const float *x = w->x;
    for (int i = 0; i < 2; i++) {
        const draco_conv_shape *s = &net->conv[i];
        draco_conv2d_forward(s, rows, x, params + l[i].weights, params + l[i].bias, w->wide[i], w->scratch);
        draco_maxpool_forward(rows, draco_conv_out(s->height, s), draco_conv_out(s->width, s), s->co,
                              w->wide[i], w->pooled[i]);
        draco_relu_forward(rows * net->pooled[i], w->pooled[i]);
        x = w->pooled[i];
    }
    draco_fc_forward(rows, l[2].inputs, l[2].outputs, x, params + l[2].weights, params + l[2].bias,
                     w->hidden);
    draco_relu_forward(rows * l[2].outputs, w->hidden);
    draco_fc_forward(rows, l[3].inputs, l[3].outputs, w->hidden, params + l[3].weights, params + l[3].bias,
                     w->logits);
}

/* dpooled[i] -> the gradients of convolution i and, for the second, dpooled[0]. */
static void dr_lenet_conv_backward(const draco_lenet_priv *net, dr_lenet_workspace *w, size_t rows, int i,
                                   const float *params, float beta, float *grad) {
    const draco_conv_shape *s = &net->conv[i];
    const dr_lenet_layer *l = &net->layer[i];
    size_t height = draco_conv_out(s->height, s), width = draco_conv_out(s->width, s);
    draco_relu_backward(rows * net->pooled[i], w->pooled[i], w->dpooled[i]);
    draco_maxpool_backward(rows, height, width, s->co, w->wide[i], w->pooled[i], w->dpooled[i], w->dwide);
    draco_conv2d_backward_weights(s, rows, i > 0 ? w->pooled[0] : w->x, w->dwide, beta, grad + l->weights,
                                  grad + l->bias, w->scratch);
    if (i > 0) draco_conv2d_backward_data(s, rows, params + l->weights, w->dwide, w->dpooled[0], w->scratch);
}

static void dr_lenet_backward(const draco_lenet_priv *net, dr_lenet_workspace *w, size_t rows,
                              const float *params, float beta, float *grad) {
    const dr_lenet_layer *l = net->layer;
    draco_fc_backward(rows, l[3].inputs, l[3].outputs, w->hidden, params + l[3].weights, w->dlogits, beta,
                      grad + l[3].weights, grad + l[3].bias, w->dhidden);
    draco_relu_backward(rows * l[2].outputs, w->hidden, w->dhidden);
    draco_fc_backward(rows, l[2].inputs, l[2].outputs, w->pooled[1], params + l[2].weights, w->dhidden, beta,
                      grad + l[2].weights, grad + l[2].bias, w->dpooled[1]);
    dr_lenet_conv_backward(net, w, rows, 1, params, beta, grad);
    dr_lenet_conv_backward(net, w, rows, 0, params, beta, grad);
}

static draco_status dr_lenet_gradient(void *ctx, void *workspace, const float *params,
                                      const draco_batch *batch, float *grad) {
    const draco_lenet_priv *net = ctx;
    dr_lenet_workspace *w = workspace;
    size_t pieces = draco_micro_count(batch->count, DRACO_LENET_MICRO), correct = 0;
    double loss = 0;
    draco_compute_guard threads = draco_compute_begin();
    if (pieces == 0) memset(grad, 0, net->parameters * sizeof *grad);
    for (size_t i = 0; i < pieces; i++) {
        size_t first, rows;
        draco_micro_range(batch->count, DRACO_LENET_MICRO, i, &first, &rows);
        draco_read_part(net->train, batch, first, rows, w->x, w->labels);
        dr_lenet_forward(net, w, rows, params);
        draco_softmax_loss(rows, net->classes, w->logits, w->labels, &loss, &correct, w->dlogits);
        dr_lenet_backward(net, w, rows, params, i > 0, grad);
    }
    draco_model_write_score(grad, net->parameters, loss, correct);
    draco_compute_end(threads);
    return DRACO_OK;
}

static void dr_lenet_progress(void *ctx, const float *sum, size_t samples, draco_score *score) {
    const draco_lenet_priv *net = ctx;
    draco_model_progress(sum, net->parameters, samples, score);
}

static const float *dr_lenet_logits(const void *model, void *workspace, const float *params,
                                    const draco_dataset *data, size_t first, size_t rows) {
    const draco_lenet_priv *net = model;
    dr_lenet_workspace *w = workspace;
    for (size_t k = 0; k < rows; k++) draco_dataset_row(data, first + k, w->x + k * net->features);
    dr_lenet_forward(net, w, rows, params);
    return w->logits;
}

static draco_status dr_lenet_evaluate(void *ctx, void *workspace, const float *params, draco_score *score) {
    const draco_lenet_priv *net = ctx;
    return draco_evaluate(net, workspace, params, net->test, DRACO_LENET_MICRO, dr_lenet_logits, score);
}

static void dr_lenet_add(draco_lenet_priv *net, int i, size_t inputs, size_t outputs) {
    net->layer[i] = (dr_lenet_layer){net->parameters, net->parameters + inputs * outputs, inputs, outputs};
    net->starts[i] = net->parameters;
    net->parameters += (inputs + 1) * outputs;
}

static void dr_lenet_build(draco_lenet_priv *net) {
    size_t height = (size_t)net->train->height, width = (size_t)net->train->width;
    size_t channels = (size_t)net->train->channels, out[2] = {20, 50};
    for (int i = 0; i < 2; i++) {
        draco_conv_shape *s = &net->conv[i];
        *s = (draco_conv_shape){height, width, channels, out[i], 5, 1, 0};
        net->wide[i] = draco_conv_places(s) * s->co;
        net->pooled[i] = net->wide[i] / 4;
        net->scratch = draco_max_size(net->scratch, draco_conv2d_scratch(s, DRACO_LENET_MICRO));
        dr_lenet_add(net, i, draco_conv_depth(s), s->co);
        height = draco_conv_out(height, s) / 2;
        width = draco_conv_out(width, s) / 2;
        channels = s->co;
    }
    dr_lenet_add(net, 2, net->pooled[1], DR_LENET_HIDDEN);
    dr_lenet_add(net, 3, DR_LENET_HIDDEN, net->classes);
    net->dim = draco_model_dim(net->parameters, DRACO_MODEL_STATS);
}

/* Sizes for which both pooling layers see even numbers: 16, 20, 24, ... */
static int dr_lenet_fits(const draco_dataset *data) {
    return data->channels >= 1 && data->height >= 16 && data->height <= 1024 && data->height % 4 == 0 &&
           data->width >= 16 && data->width <= 1024 && data->width % 4 == 0;
}

DRACO_LENET_API draco_status draco_lenet_open(draco_model *model, const draco_lenet_config *config) {
    const draco_dataset *train = config->train;
    if (!train || !draco_classifies(train, train) || !dr_lenet_fits(train)) return DRACO_E_ARGUMENT;
    if (config->test && !draco_classifies(config->test, train)) return DRACO_E_ARGUMENT;
    draco_lenet_priv *net = draco_model_alloc(1, sizeof *net);
    if (!net) return DRACO_E_MEMORY;
    net->train = train;
    net->test = config->test;
    net->features = train->features;
    net->classes = (size_t)train->classes;
    dr_lenet_build(net);
    memset(model, 0, sizeof *model);
    model->size = sizeof *model;
    model->name = "lenet";
    model->ctx = net;
    model->dim = net->dim;
    model->parameters = net->parameters;
    model->layers = net->starts;
    model->layer_count = 4;
    model->init = dr_lenet_init;
    model->workspace_new = dr_lenet_workspace_new;
    model->workspace_free = dr_lenet_workspace_free;
    model->gradient = dr_lenet_gradient;
    model->progress = dr_lenet_progress;
    model->evaluate = config->test ? dr_lenet_evaluate : NULL;
    return DRACO_OK;
}

DRACO_LENET_API void draco_lenet_close(draco_model *model) {
    free(model->ctx);
    memset(model, 0, sizeof *model);
}

DRACO_LENET_API draco_model_memory draco_lenet_memory(const draco_model *model, size_t samples) {
    const draco_lenet_priv *net = model->ctx;
    dr_lenet_workspace unused;
    (void)samples; /* the workspace holds a whole micro-batch at once */
    draco_model_memory memory = {sizeof *net, sizeof unused};
    memory.workspace += dr_lenet_layout(net, &unused, NULL) * sizeof(float);
    return memory;
}

#endif /* DRACO_LENET_IMPLEMENTATION */
