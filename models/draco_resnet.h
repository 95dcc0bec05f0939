/* draco_resnet.h - version 0.1.0 - ResNet-18 for small images

   He et al., 2016, in the form used for CIFAR-10: a 3 x 3 convolution, four stages of two basic blocks with
   64, 128, 256 and 512 channels, global average pooling, one fully connected layer, softmax cross-entropy.

   #define DRACO_RESNET_IMPLEMENTATION in one .c file before including it; DRACO_RESNET_STATIC, defined as
   well, makes a private copy. The switches bring draco.h and the data headers along. The implementation is
   C11 with GNU extensions and POSIX; link -lz -lm.

       draco_resnet_config config = {&train, &test};
       draco_model model;
       if (draco_resnet_open(&model, &config) < 0) ...
       ... draco_worker_config.model = &model; draco_trainer.model = &model; ...
       draco_resnet_close(&model);

   Flat vector. A unit is a convolution without bias and the batch norm after it:

       weights [kh][kw][ci][co], scale [co], shift [co]

   The units follow each other: the stem; then for every block of every stage its first unit, its second, and,
   where the number of channels or the size changes, the unit of its shortcut (1 x 1, stride 2). After the
   units the fully connected layer: weights [channels][classes], bias [classes]. 32 x 32 x 3 images and 10
   classes: 11,173,962 parameters. Then zeros to the next multiple of DRACO_BLOCK, then the statistics: sum of
   losses, count of correct predictions, and for every unit mean [co] and variance [co].

   Batch norm. A part is computed in micro-batches of at most DRACO_RESNET_MICRO images, as even as can be,
   and each micro-batch is normalised by its own mean and variance. A gradient's statistics hold the sum over
   micro-batches of images x mean and images x variance; absorb divides by the images of the step and moves
   the running values in params: running = 0.9 running + 0.1 mean of the step. evaluate normalises with the
   running values. So the state of batch norm travels in the message, and is coded and voted on like the
   gradient.

   Augmentation (unless plain): the image is padded by 4 pixels of value 0, a window of its size is cut out,
   and is mirrored in half of the cases: drawn from (seed, step, place in the batch), the same for every
   holder of a part.

   Threads and memory. draco_resnet_memory says what a process and a thread need for parts of a given size; a
   thread's memory does not grow with the part beyond DRACO_RESNET_MICRO images.

   Contract. open keeps the data sets by reference; test may be NULL. Images are square, their side divisible
   by 2^(stages-1); width is a multiple of 16. Errors: DRACO_E_ARGUMENT, DRACO_E_MEMORY. The bits of a
   gradient depend on parameters, seed, step, first and count alone.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#if defined(DRACO_RESNET_IMPLEMENTATION) && !defined(DRACO_DATA_IMPLEMENTATION)
#define DRACO_DATA_IMPLEMENTATION
#endif
#if defined(DRACO_RESNET_STATIC) && !defined(DRACO_DATA_STATIC)
#define DRACO_DATA_STATIC
#endif
#include "draco_data.h"

#ifndef DRACO_RESNET_H
#define DRACO_RESNET_H

#include "draco_model.h"

#define DRACO_RESNET_VERSION 0x000100
#ifndef DRACO_RESNET_API
#ifdef DRACO_RESNET_STATIC
#define DRACO_RESNET_API DRACO_MODEL_INLINE
#else
#define DRACO_RESNET_API extern
#endif
#endif

#ifndef DRACO_RESNET_MICRO
#define DRACO_RESNET_MICRO 32
#endif
#define DRACO_RESNET_MAX_BLOCKS 32

#ifdef __cplusplus
extern "C" {
#endif

typedef struct draco_resnet_config {
    const draco_dataset *train, *test;
    int plain; /* no augmentation */
    /* For smaller and larger networks; 0: those of ResNet-18. */
    size_t width; /* channels of the first stage: 64 */
    int stages;   /* 4; each doubles the channels and halves the side of the one before */
    int blocks;   /* in a stage: 2 */
} draco_resnet_config;

DRACO_RESNET_API draco_status draco_resnet_open(draco_model *model, const draco_resnet_config *config);
DRACO_RESNET_API void draco_resnet_close(draco_model *model);
/* samples: of the largest part of a batch. */
DRACO_RESNET_API draco_model_memory draco_resnet_memory(const draco_model *model, size_t samples);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_RESNET_H */

#if defined(DRACO_RESNET_IMPLEMENTATION) && !defined(DRACO_RESNET_IMPLEMENTED)
#define DRACO_RESNET_IMPLEMENTED

#include "draco_layers.h"

#define DR_RESNET_UNITS (3 * DRACO_RESNET_MAX_BLOCKS + 1)
#define DR_RESNET_MOMENTUM 0.1
#define DR_RESNET_PADDING 4

/* A convolution and its batch norm. */
typedef struct dr_resnet_unit {
    draco_conv_shape shape;
    int relu;                     /* ReLU follows at once; else after the addition at the end of the block */
    size_t weights, scale, shift; /* places in the vector */
    size_t mean, variance;
    size_t pixels; /* of the output */
} dr_resnet_unit;

typedef struct dr_resnet_block {
    int first, second, shortcut; /* units; shortcut < 0: the input itself */
} dr_resnet_block;

typedef struct draco_resnet_priv {
    const draco_dataset *train, *test;
    int plain;
    size_t side, channels, classes; /* of an image; its channels; classes */
    int units, blocks;
    dr_resnet_unit unit[DR_RESNET_UNITS];
    size_t starts[DR_RESNET_UNITS + 1]; /* of the units and the fully connected layer */
    dr_resnet_block block[DRACO_RESNET_MAX_BLOCKS];
    size_t features, last_pixels;       /* of the last stage */
    size_t fc, parameters, dim;         /* place of the fully connected weights */
    size_t kept, widest, most_channels; /* floats of an image: activations kept; the largest of them */
} draco_resnet_priv;

typedef struct dr_resnet_workspace {
    size_t images, room; /* what it is laid out for; floats */
    float *floats;
    float *x;                  /* the images */
    float *z[DR_RESNET_UNITS]; /* what the convolution gave */
    float *y[DR_RESNET_UNITS]; /* what the unit, or the block that ends with it, gave */
    float *mean[DR_RESNET_UNITS], *variance[DR_RESNET_UNITS];
    float *buffer[3]; /* images x widest each */
    float *pooled, *logits, *dlogits, *dpooled, *dscale, *dshift, *image, *scratch;
    int32_t labels[DRACO_RESNET_MICRO];
} dr_resnet_workspace;

/* ---- Workspace ---- */

static size_t dr_resnet_align(size_t floats) {
    return (floats + 15) / 16 * 16;
}

/* Lay out the memory from `base` for this many images; returns its size in floats. base may be NULL: only
 * count. */
static size_t dr_resnet_layout(const draco_resnet_priv *net, dr_resnet_workspace *w, size_t images,
                               float *base) {
    size_t at = 0, scratch = 0;
    for (int u = 0; u < net->units; u++)
        scratch = draco_max_size(scratch, draco_conv2d_scratch(&net->unit[u].shape, images));
    struct {
        float **pointer;
        size_t floats;
    } fixed[] = {{&w->x, images * net->side * net->side * net->channels},
                 {&w->buffer[0], images * net->widest},
                 {&w->buffer[1], images * net->widest},
                 {&w->buffer[2], images * net->widest},
                 {&w->pooled, images * net->features},
                 {&w->dpooled, images * net->features},
                 {&w->logits, images * net->classes},
                 {&w->dlogits, images * net->classes},
                 {&w->dscale, net->most_channels},
                 {&w->dshift, net->most_channels},
                 {&w->image, net->side * net->side * net->channels},
                 {&w->scratch, scratch}};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (base) *fixed[i].pointer = base + at;
        at += dr_resnet_align(fixed[i].floats);
    }
    for (int u = 0; u < net->units; u++) {
        size_t out = images * net->unit[u].pixels * net->unit[u].shape.co;
        size_t channels = dr_resnet_align(net->unit[u].shape.co);
        if (base) {
            w->z[u] = base + at;
            w->y[u] = base + at + out;
            w->mean[u] = base + at + 2 * out;
            w->variance[u] = w->mean[u] + channels;
        }
        at += dr_resnet_align(2 * out + 2 * channels);
    }
    return at;
}

/* Room and pointers for this many images. */
static draco_status dr_resnet_prepare(const draco_resnet_priv *net, dr_resnet_workspace *w, size_t images) {
    if (w->images == images) return DRACO_OK;
    size_t want = dr_resnet_layout(net, w, images, NULL);
    w->images = 0;
    if (w->room < want) {
        free(w->floats);
        w->floats = draco_model_alloc(want, sizeof(float));
        w->room = w->floats ? want : 0;
        if (!w->floats) return DRACO_E_MEMORY;
    }
    dr_resnet_layout(net, w, images, w->floats);
    w->images = images;
    return DRACO_OK;
}

static void dr_resnet_workspace_free(void *ctx, void *workspace) {
    (void)ctx;
    dr_resnet_workspace *w = workspace;
    if (w) free(w->floats);
    free(w);
}

static draco_status dr_resnet_workspace_new(void *ctx, void **workspace) {
    (void)ctx;
    *workspace = draco_model_alloc(1, sizeof(dr_resnet_workspace));
    return *workspace ? DRACO_OK : DRACO_E_MEMORY;
}

/* ---- Images ---- */

/* Cut a window out of the padded image, mirrored or not. dy and dx: 0 .. 2 x padding. */
static void dr_resnet_crop(const float *image, size_t side, size_t channels, size_t dy, size_t dx, int mirror,
                           float *out) {
    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++, out += channels) {
            size_t from_y = y + dy - DR_RESNET_PADDING;
            size_t from_x = (mirror ? side - 1 - x : x) + dx - DR_RESNET_PADDING;
            /* What lies above or to the left has wrapped round to a very large number. */
            if (from_y < side && from_x < side)
                memcpy(out, image + (from_y * side + from_x) * channels, channels * sizeof *out);
            else
                memset(out, 0, channels * sizeof *out);
        }
}

static void dr_resnet_augment(const draco_resnet_priv *net, const draco_batch *batch, size_t place,
                              const float *image, float *out) {
    const uint64_t key = batch->seed ^ 0x63726F70u; /* apart from the draws of the samples */
    const size_t shifts = 2 * DR_RESNET_PADDING + 1;
    uint32_t word[4];
    draco_random(key, batch->step, batch->first + place, word);
    dr_resnet_crop(image, net->side, net->channels, word[0] % shifts, word[1] % shifts, (int)(word[2] & 1),
                   out);
}

static void dr_resnet_read(const draco_resnet_priv *net, dr_resnet_workspace *w, const draco_batch *batch,
                           size_t first, size_t rows) {
    for (size_t k = 0; k < rows; k++) {
        size_t sample = draco_dataset_draw(net->train, batch, first + k);
        float *x = w->x + k * net->side * net->side * net->channels;
        draco_dataset_row(net->train, sample, net->plain ? x : w->image);
        w->labels[k] = net->train->labels[sample];
        if (!net->plain) dr_resnet_augment(net, batch, first + k, w->image, x);
    }
}

/* ---- Forward ---- */

typedef struct dr_resnet_pass {
    const draco_resnet_priv *net;
    dr_resnet_workspace *w;
    const float *params;
    int train; /* batch norm by the statistics of these images, else by the running ones */
} dr_resnet_pass;

static void dr_resnet_unit_forward(const dr_resnet_pass *p, int u, const float *x, float *y) {
    const dr_resnet_unit *unit = &p->net->unit[u];
    dr_resnet_workspace *w = p->w;
    const float *scale = p->params + unit->scale, *shift = p->params + unit->shift;
    const size_t places = w->images * unit->pixels, channels = unit->shape.co;
    const float *mean = p->params + unit->mean, *variance = p->params + unit->variance;
    draco_conv2d_forward(&unit->shape, w->images, x, p->params + unit->weights, NULL, w->z[u], w->scratch);
    if (p->train) {
        draco_norm_statistics(places, channels, w->z[u], w->mean[u], w->variance[u]);
        mean = w->mean[u];
        variance = w->variance[u];
    }
    draco_norm_forward(places, channels, unit->relu, w->z[u], scale, shift, mean, variance, y);
}

/* y = ReLU(y + x) */
DRACO_INLINE_LOOP void dr_resnet_join_loop(size_t n, const float *x, float *y) {
    for (size_t i = 0; i < n; i++) {
        float sum = y[i] + x[i];
        y[i] = sum > 0 ? sum : 0;
    }
}
DRACO_LOOP(dr_resnet_join, (size_t n, const float *x, float *y), (n, x, y))

static size_t dr_resnet_floats(const dr_resnet_pass *p, int u) {
    return p->w->images * p->net->unit[u].pixels * p->net->unit[u].shape.co;
}

/* What the block before ends with: the input of block b. */
static const float *dr_resnet_input(const dr_resnet_pass *p, int b) {
    return p->w->y[b > 0 ? p->net->block[b - 1].second : 0];
}

static void dr_resnet_block_forward(const dr_resnet_pass *p, int b) {
    const dr_resnet_block *block = &p->net->block[b];
    dr_resnet_workspace *w = p->w;
    const float *x = dr_resnet_input(p, b), *aside = x;
    dr_resnet_unit_forward(p, block->first, x, w->y[block->first]);
    dr_resnet_unit_forward(p, block->second, w->y[block->first], w->y[block->second]);
    if (block->shortcut >= 0) {
        dr_resnet_unit_forward(p, block->shortcut, x, w->y[block->shortcut]);
        aside = w->y[block->shortcut];
    }
    dr_resnet_join(dr_resnet_floats(p, block->second), aside, w->y[block->second]);
}

/* The mean over the pixels of each channel, and its way back. */
static void dr_resnet_pool(const dr_resnet_pass *p, const float *x) {
    const size_t n = p->net->features, pixels = p->net->last_pixels;
    const float share = 1.0f / (float)pixels;
    float *out = p->w->pooled;
    for (size_t i = 0; i < p->w->images; i++, out += n) {
        memset(out, 0, n * sizeof *out);
        for (size_t k = 0; k < pixels; k++, x += n)
            for (size_t c = 0; c < n; c++) out[c] += x[c];
        for (size_t c = 0; c < n; c++) out[c] *= share;
    }
}

static void dr_resnet_unpool(const dr_resnet_pass *p, float *dx) {
    const size_t n = p->net->features, pixels = p->net->last_pixels;
    const float share = 1.0f / (float)pixels, *in = p->w->dpooled;
    for (size_t i = 0; i < p->w->images; i++, in += n)
        for (size_t k = 0; k < pixels; k++, dx += n)
            for (size_t c = 0; c < n; c++) dx[c] = in[c] * share;
}

static void dr_resnet_forward(const dr_resnet_pass *p) {
    const draco_resnet_priv *net = p->net;
    const float *fc = p->params + net->fc;
    dr_resnet_unit_forward(p, 0, p->w->x, p->w->y[0]);
    for (int b = 0; b < net->blocks; b++) dr_resnet_block_forward(p, b);
    dr_resnet_pool(p, dr_resnet_input(p, net->blocks));
    draco_fc_forward(p->w->images, net->features, net->classes, p->w->pooled, fc,
                     fc + net->features * net->classes, p->w->logits);
}

/* ---- Backward ---- */

/* What is summed over the micro-batches channel by channel. */
static void dr_resnet_clear(const dr_resnet_unit *unit, float *grad) {
    size_t bytes = unit->shape.co * sizeof *grad;
    memset(grad + unit->scale, 0, bytes);
    memset(grad + unit->shift, 0, bytes);
    memset(grad + unit->mean, 0, bytes);
    memset(grad + unit->variance, 0, bytes);
}

/* dy -> dz, the gradients of unit u, and dx where it is wanted. */
static void dr_resnet_unit_backward(const dr_resnet_pass *p, int u, const float *x, const float *dy,
                                    float *dz, float *dx, float beta, float *grad) {
    const dr_resnet_unit *unit = &p->net->unit[u];
    dr_resnet_workspace *w = p->w;
    draco_norm_backward(w->images * unit->pixels, unit->shape.co, unit->relu, w->z[u], w->y[u],
                        p->params + unit->scale, w->mean[u], w->variance[u], dy, dz, w->dscale, w->dshift);
    if (beta == 0) dr_resnet_clear(unit, grad);
    float images = (float)w->images;
    for (size_t c = 0; c < unit->shape.co; c++) {
        grad[unit->scale + c] += w->dscale[c];
        grad[unit->shift + c] += w->dshift[c];
        grad[unit->mean + c] += images * w->mean[u][c];
        grad[unit->variance + c] += images * w->variance[u][c];
    }
    draco_conv2d_backward_weights(&unit->shape, w->images, x, dz, beta, grad + unit->weights, NULL,
                                  w->scratch);
    if (dx)
        draco_conv2d_backward_data(&unit->shape, w->images, p->params + unit->weights, dz, dx, w->scratch);
}

/* dx = dx + more where the ReLU that gave x let it through, else 0 */
DRACO_INLINE_LOOP void dr_resnet_unjoin_loop(size_t n, const float *x, const float *more, float *dx) {
    for (size_t i = 0; i < n; i++) dx[i] = x[i] > 0 ? dx[i] + more[i] : 0;
}
DRACO_LOOP(dr_resnet_unjoin, (size_t n, const float *x, const float *more, float *dx), (n, x, more, dx))

/* buffer[0]: the gradient of the block's sum, before and after: of the sum that ends the block before. */
static void dr_resnet_block_backward(const dr_resnet_pass *p, int b, float beta, float *grad) {
    const dr_resnet_block *block = &p->net->block[b];
    dr_resnet_workspace *w = p->w;
    const float *x = dr_resnet_input(p, b);
    float *sum = w->buffer[0], *dz = w->buffer[1], *dx = w->buffer[2];
    dr_resnet_unit_backward(p, block->second, w->y[block->first], sum, dz, dx, beta, grad);
    dr_resnet_unit_backward(p, block->first, x, dx, dz, dx, beta, grad);
    if (block->shortcut >= 0) dr_resnet_unit_backward(p, block->shortcut, x, sum, dz, sum, beta, grad);
    dr_resnet_unjoin(dr_resnet_floats(p, b > 0 ? p->net->block[b - 1].second : 0), x, dx, sum);
}

static void dr_resnet_backward(const dr_resnet_pass *p, float beta, float *grad) {
    const draco_resnet_priv *net = p->net;
    dr_resnet_workspace *w = p->w;
    size_t weights = net->features * net->classes;
    draco_fc_backward(p->w->images, net->features, net->classes, w->pooled, p->params + net->fc, w->dlogits,
                      beta, grad + net->fc, grad + net->fc + weights, w->dpooled);
    dr_resnet_unpool(p, w->buffer[0]);
    const float *last = dr_resnet_input(p, net->blocks);
    draco_relu_backward(p->w->images * net->last_pixels * net->features, last, w->buffer[0]);
    for (int b = net->blocks - 1; b >= 0; b--) dr_resnet_block_backward(p, b, beta, grad);
    dr_resnet_unit_backward(p, 0, w->x, w->buffer[0], w->buffer[1], NULL, beta, grad);
}

/* ---- The slots of the model ---- */

static draco_status dr_resnet_micro(const draco_resnet_priv *net, dr_resnet_workspace *w, const float *params,
                                    const draco_batch *batch, size_t first, size_t rows, float beta,
                                    float *grad, double *loss, size_t *correct) {
    const dr_resnet_pass pass = {net, w, params, 1};
    draco_status status = dr_resnet_prepare(net, w, rows);
    if (status < 0) return status;
    dr_resnet_read(net, w, batch, first, rows);
    dr_resnet_forward(&pass);
    draco_softmax_loss(rows, net->classes, w->logits, w->labels, loss, correct, w->dlogits);
    dr_resnet_backward(&pass, beta, grad);
    return DRACO_OK;
}

static draco_status dr_resnet_gradient(void *ctx, void *workspace, const float *params,
                                       const draco_batch *batch, float *grad) {
    const draco_resnet_priv *net = ctx;
    size_t pieces = draco_micro_count(batch->count, DRACO_RESNET_MICRO), correct = 0;
    double loss = 0;
    draco_status status = DRACO_OK;
    if (pieces == 0) memset(grad, 0, net->dim * sizeof *grad);
    draco_compute_guard threads = draco_compute_begin();
    for (size_t i = 0; i < pieces && status >= 0; i++) {
        size_t first, rows;
        draco_micro_range(batch->count, DRACO_RESNET_MICRO, i, &first, &rows);
        status = dr_resnet_micro(net, workspace, params, batch, first, rows, i > 0, grad, &loss, &correct);
    }
    if (status >= 0) draco_model_write_score(grad, net->parameters, loss, correct);
    draco_compute_end(threads);
    return status;
}

static const float *dr_resnet_logits(const void *model, void *workspace, const float *params,
                                     const draco_dataset *data, size_t first, size_t rows) {
    const draco_resnet_priv *net = model;
    dr_resnet_workspace *w = workspace;
    const dr_resnet_pass pass = {net, w, params, 0};
    w->images = rows;
    for (size_t k = 0; k < rows; k++)
        draco_dataset_row(data, first + k, w->x + k * net->side * net->side * net->channels);
    dr_resnet_forward(&pass);
    return w->logits;
}

static draco_status dr_resnet_evaluate(void *ctx, void *workspace, const float *params, draco_score *score) {
    const draco_resnet_priv *net = ctx;
    dr_resnet_workspace *w = workspace;
    draco_status status = dr_resnet_prepare(net, w, DRACO_RESNET_MICRO);
    if (status < 0) return status;
    status = draco_evaluate(net, w, params, net->test, DRACO_RESNET_MICRO, dr_resnet_logits, score);
    w->images = 0; /* the last images may have been fewer than it is laid out for */
    return status;
}

static draco_status dr_resnet_init(void *ctx, uint64_t seed, float *params) {
    const draco_resnet_priv *net = ctx;
    draco_compute_guard threads = draco_compute_begin();
    memset(params, 0, net->dim * sizeof *params);
    for (int u = 0; u < net->units; u++) {
        const dr_resnet_unit *unit = &net->unit[u];
        const draco_conv_shape *s = &unit->shape;
        float deviation = sqrtf(2.0f / (float)(s->kernel * s->kernel * s->ci));
        draco_model_normal(seed, (uint64_t)u, deviation, params + unit->weights, draco_conv_weights(s));
        for (size_t c = 0; c < s->co; c++) params[unit->scale + c] = params[unit->variance + c] = 1.0f;
    }
    draco_model_uniform(seed, (uint64_t)net->units, sqrtf(1.0f / (float)net->features), params + net->fc,
                        net->features * net->classes);
    draco_compute_end(threads);
    return DRACO_OK;
}

static void dr_resnet_absorb(void *ctx, float *params, const float *sum, size_t samples) {
    const draco_resnet_priv *net = ctx;
    size_t begin = draco_model_stats_offset(net->parameters) + DRACO_MODEL_STATS;
    draco_compute_guard threads = draco_compute_begin();
    for (size_t i = begin; i < net->dim && samples > 0; i++)
        params[i] = (float)((1.0 - DR_RESNET_MOMENTUM) * (double)params[i] +
                            DR_RESNET_MOMENTUM * (double)sum[i] / (double)samples);
    draco_compute_end(threads);
}

static void dr_resnet_progress(void *ctx, const float *sum, size_t samples, draco_score *score) {
    const draco_resnet_priv *net = ctx;
    draco_model_progress(sum, net->parameters, samples, score);
}

/* ---- Opening ---- */

/* Append a unit that reads side x side x ci; returns the side of what it gives. */
static size_t dr_resnet_add(draco_resnet_priv *net, size_t side, size_t ci, size_t co, size_t kernel,
                            size_t stride, int relu) {
    net->starts[net->units] = net->parameters;
    dr_resnet_unit *unit = &net->unit[net->units++];
    unit->shape = (draco_conv_shape){side, side, ci, co, kernel, stride, kernel / 2};
    unit->relu = relu;
    size_t out = draco_conv_out(side, &unit->shape);
    unit->pixels = out * out;
    unit->weights = net->parameters;
    unit->scale = unit->weights + draco_conv_weights(&unit->shape);
    unit->shift = unit->scale + co;
    net->parameters = unit->shift + co;
    net->widest = draco_max_size(net->widest, unit->pixels * co);
    net->most_channels = draco_max_size(net->most_channels, co);
    return out;
}

static void dr_resnet_build(draco_resnet_priv *net, size_t width, int stages, int blocks) {
    size_t side = dr_resnet_add(net, net->side, net->channels, width, 3, 1, 1), channels = width;
    for (int stage = 0; stage < stages; stage++)
        for (int i = 0; i < blocks; i++) {
            dr_resnet_block *block = &net->block[net->blocks++];
            int shrink = stage > 0 && i == 0;
            size_t out = width << stage, in_side = side;
            block->first = net->units;
            side = dr_resnet_add(net, side, channels, out, 3, shrink ? 2 : 1, 1);
            block->second = net->units;
            dr_resnet_add(net, side, out, out, 3, 1, 0);
            block->shortcut = shrink ? net->units : -1;
            if (shrink) dr_resnet_add(net, in_side, channels, out, 1, 2, 0);
            channels = out;
        }
    net->features = channels;
    net->last_pixels = side * side;
    net->fc = net->starts[net->units] = net->parameters;
    net->parameters += (net->features + 1) * net->classes;
    size_t at = draco_model_stats_offset(net->parameters) + DRACO_MODEL_STATS;
    for (int u = 0; u < net->units; u++) {
        net->unit[u].mean = at;
        net->unit[u].variance = at + net->unit[u].shape.co;
        at += 2 * net->unit[u].shape.co;
    }
    net->dim = at;
}

static int dr_resnet_fits(const draco_resnet_config *c, size_t width, int stages, int blocks) {
    const draco_dataset *data = c->train;
    if (!draco_classifies(data, data) || (c->test && !draco_classifies(c->test, data))) return 0;
    if (stages < 1 || stages > 6 || blocks < 1 || stages * blocks > DRACO_RESNET_MAX_BLOCKS) return 0;
    if (width % 16 != 0 || width > 1024 || data->height != data->width || data->channels < 1) return 0;
    return data->height > 0 && data->height <= 1024 && data->height % (1 << (stages - 1)) == 0;
}

DRACO_RESNET_API draco_status draco_resnet_open(draco_model *model, const draco_resnet_config *config) {
    size_t width = config->width ? config->width : 64;
    int stages = config->stages ? config->stages : 4, blocks = config->blocks ? config->blocks : 2;
    if (!config->train || !dr_resnet_fits(config, width, stages, blocks)) return DRACO_E_ARGUMENT;
    draco_resnet_priv *net = draco_model_alloc(1, sizeof *net);
    if (!net) return DRACO_E_MEMORY;
    net->train = config->train;
    net->test = config->test;
    net->plain = config->plain;
    net->side = (size_t)config->train->height;
    net->channels = (size_t)config->train->channels;
    net->classes = (size_t)config->train->classes;
    dr_resnet_build(net, width, stages, blocks);
    memset(model, 0, sizeof *model);
    model->size = sizeof *model;
    model->name = "resnet18";
    model->ctx = net;
    model->dim = net->dim;
    model->parameters = net->parameters;
    model->layers = net->starts;
    model->layer_count = (size_t)net->units + 1;
    model->init = dr_resnet_init;
    model->workspace_new = dr_resnet_workspace_new;
    model->workspace_free = dr_resnet_workspace_free;
    model->gradient = dr_resnet_gradient;
    model->absorb = dr_resnet_absorb;
    model->progress = dr_resnet_progress;
    model->evaluate = config->test ? dr_resnet_evaluate : NULL;
    return DRACO_OK;
}

DRACO_RESNET_API void draco_resnet_close(draco_model *model) {
    free(model->ctx);
    memset(model, 0, sizeof *model);
}

DRACO_RESNET_API draco_model_memory draco_resnet_memory(const draco_model *model, size_t samples) {
    const draco_resnet_priv *net = model->ctx;
    size_t pieces = draco_micro_count(samples, DRACO_RESNET_MICRO);
    size_t images = net->test ? DRACO_RESNET_MICRO : pieces ? (samples + pieces - 1) / pieces : 0;
    dr_resnet_workspace unused;
    draco_model_memory memory = {sizeof *net, sizeof unused};
    memory.workspace += dr_resnet_layout(net, &unused, images, NULL) * sizeof(float);
    return memory;
}

#endif /* DRACO_RESNET_IMPLEMENTATION */
