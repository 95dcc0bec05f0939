/* draco_layers.h - version 0.1.0 - the layers under the models

   Fully connected, ReLU, softmax cross-entropy, convolution, pooling, batch norm, embedding, dropout. Part of
   the implementation of the models: needs what draco_compute.h needs, static functions.

   Shapes. Everything is row-major. A matrix of fully connected weights is [in][out], a convolution's weights
   are [kh][kw][ci][co], images are NHWC, so that one image row of a convolution is one row of a matrix
   product and a fully connected layer is a 1 x 1 convolution of a 1 x 1 image.

   Sums. A backward function adds to, or starts, the gradient of its weights: `beta` is 0 for the first
   micro-batch of a part and 1 after it. Gradients of activations are overwritten.

   Bits. Every function returns the same bits for the same input on the same library, instruction set and
   shape: loops run in one order, products run on one thread (draco_compute.h).

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#ifndef DRACO_LAYERS_H
#define DRACO_LAYERS_H

#include "draco_compute.h"
#include "draco_dataset.h"
#include "draco_model.h"

/* ---- Fully connected: y[rows][out] = x[rows][in] w[in][out] + bias[out] ---- */

DRACO_LAYER void draco_fc_forward(size_t rows, size_t in, size_t out, const float *x, const float *w,
                                  const float *bias, float *y) {
    for (size_t i = 0; i < rows; i++) memcpy(y + i * out, bias, out * sizeof *y);
    draco_sgemm('N', 'N', rows, out, in, 1.0f, x, in, w, out, 1.0f, y, out);
}

/* sum[n] = beta sum + the rows of m[rows][n], in order. */
DRACO_LAYER void draco_sum_rows(size_t rows, size_t n, const float *m, float beta, float *sum) {
    if (beta == 0) memset(sum, 0, n * sizeof *sum);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++) sum[j] += m[i * n + j];
}

/* dx may be NULL: the first layer needs none. */
DRACO_LAYER void draco_fc_backward(size_t rows, size_t in, size_t out, const float *x, const float *w,
                                   const float *dy, float beta, float *dw, float *dbias, float *dx) {
    draco_sgemm('T', 'N', in, out, rows, 1.0f, x, in, dy, out, beta, dw, out);
    draco_sum_rows(rows, out, dy, beta, dbias);
    if (dx) draco_sgemm('N', 'T', rows, in, out, 1.0f, dy, out, w, out, 0.0f, dx, in);
}

/* ---- ReLU, in place; the derivative at 0 is 0 ---- */

DRACO_LAYER void draco_relu_forward(size_t n, float *y) {
    for (size_t i = 0; i < n; i++) y[i] = y[i] > 0 ? y[i] : 0;
}

/* y: what forward left. */
DRACO_LAYER void draco_relu_backward(size_t n, const float *y, float *dy) {
    for (size_t i = 0; i < n; i++) dy[i] = y[i] > 0 ? dy[i] : 0;
}

/* ---- Convolution in NHWC: rows of patches, then one matrix product ---- */

/* Images that are computed at once: their patches stay in the second-level cache. */
#define DRACO_CONV2D_FLOATS ((size_t)1 << 17)

DRACO_LAYER size_t draco_conv2d_depth(const draco_conv_shape *s) {
    return s->kernel * s->kernel * s->ci;
}

DRACO_LAYER size_t draco_conv2d_places(const draco_conv_shape *s) {
    return draco_conv_out(s->height, s) * draco_conv_out(s->width, s);
}

DRACO_LAYER size_t draco_conv2d_group(const draco_conv_shape *s) {
    size_t group = DRACO_CONV2D_FLOATS / (draco_conv2d_places(s) * draco_conv2d_depth(s));
    return group ? group : 1;
}

/* Floats of scratch for the functions below. */
DRACO_LAYER size_t draco_conv2d_scratch(const draco_conv_shape *s) {
    return draco_conv2d_group(s) * draco_conv2d_places(s) * draco_conv2d_depth(s);
}

/* The part of a kernel row at `left` (which may be negative, wrapped round) that lies inside of the image:
 *columns from .. *to - 1 of the kernel. */
DRACO_LAYER void draco_conv2d_inside(const draco_conv_shape *s, size_t left, size_t *from, size_t *to) {
    *from = left < s->width ? 0 : (size_t)0 - left;
    if (*from > s->kernel) *from = s->kernel;
    size_t room = s->width - (left + *from);
    *to = *from < s->kernel && room < s->kernel - *from ? *from + room : s->kernel;
}

/* rows[place][kh][kw][ci] of one image. */
DRACO_LAYER void draco_conv2d_gather(const draco_conv_shape *s, const float *x, float *rows) {
    size_t oh = draco_conv_out(s->height, s), ow = draco_conv_out(s->width, s), line = s->kernel * s->ci;
    for (size_t i = 0; i < oh * ow; i++) {
        size_t left = i % ow * s->stride - s->pad, from, to;
        draco_conv2d_inside(s, left, &from, &to);
        for (size_t k = 0; k < s->kernel; k++, rows += line) {
            size_t y = i / ow * s->stride + k - s->pad;
            if (y >= s->height || from > 0 || to < s->kernel) memset(rows, 0, line * sizeof *rows);
            if (y < s->height && from < to)
                memcpy(rows + from * s->ci, x + (y * s->width + left + from) * s->ci,
                       (to - from) * s->ci * sizeof *rows);
        }
    }
}

/* The way back: dx += the rows, in order. */
DRACO_LAYER void draco_conv2d_scatter(const draco_conv_shape *s, const float *rows, float *dx) {
    size_t oh = draco_conv_out(s->height, s), ow = draco_conv_out(s->width, s), line = s->kernel * s->ci;
    for (size_t i = 0; i < oh * ow; i++) {
        size_t left = i % ow * s->stride - s->pad, from, to;
        draco_conv2d_inside(s, left, &from, &to);
        for (size_t k = 0; k < s->kernel; k++, rows += line) {
            size_t y = i / ow * s->stride + k - s->pad;
            if (y >= s->height || from >= to) continue;
            float *out = dx + (y * s->width + left + from) * s->ci;
            for (size_t j = 0; j < (to - from) * s->ci; j++) out[j] += rows[from * s->ci + j];
        }
    }
}

/* bias may be NULL. scratch: draco_conv2d_scratch floats. */
DRACO_LAYER void draco_conv2d_forward(const draco_conv_shape *s, size_t images, const float *x,
                                      const float *w, const float *bias, float *y, float *scratch) {
    size_t depth = draco_conv2d_depth(s), places = draco_conv2d_places(s), group = draco_conv2d_group(s);
    for (size_t first = 0; first < images; first += group) {
        size_t count = images - first < group ? images - first : group;
        float *out = y + first * places * s->co;
        for (size_t i = 0; i < count; i++)
            draco_conv2d_gather(s, x + (first + i) * s->height * s->width * s->ci,
                                scratch + i * places * depth);
        for (size_t i = 0; bias && i < count * places; i++)
            memcpy(out + i * s->co, bias, s->co * sizeof *out);
        draco_sgemm('N', 'N', count * places, s->co, depth, 1.0f, scratch, depth, w, s->co,
                    bias ? 1.0f : 0.0f, out, s->co);
    }
}

/* dbias may be NULL. */
DRACO_LAYER void draco_conv2d_backward_weights(const draco_conv_shape *s, size_t images, const float *x,
                                               const float *dy, float beta, float *dw, float *dbias,
                                               float *scratch) {
    size_t depth = draco_conv2d_depth(s), places = draco_conv2d_places(s), group = draco_conv2d_group(s);
    for (size_t first = 0; first < images; first += group) {
        size_t count = images - first < group ? images - first : group;
        for (size_t i = 0; i < count; i++)
            draco_conv2d_gather(s, x + (first + i) * s->height * s->width * s->ci,
                                scratch + i * places * depth);
        draco_sgemm('T', 'N', depth, s->co, count * places, 1.0f, scratch, depth, dy + first * places * s->co,
                    s->co, first == 0 ? beta : 1.0f, dw, s->co);
    }
    if (dbias) draco_sum_rows(images * places, s->co, dy, beta, dbias);
}

DRACO_LAYER void draco_conv2d_backward_data(const draco_conv_shape *s, size_t images, const float *w,
                                            const float *dy, float *dx, float *scratch) {
    size_t depth = draco_conv2d_depth(s), places = draco_conv2d_places(s), group = draco_conv2d_group(s);
    size_t floats = s->height * s->width * s->ci;
    memset(dx, 0, images * floats * sizeof *dx);
    for (size_t first = 0; first < images; first += group) {
        size_t count = images - first < group ? images - first : group;
        draco_sgemm('N', 'T', count * places, depth, s->co, 1.0f, dy + first * places * s->co, s->co, w,
                    s->co, 0.0f, scratch, depth);
        for (size_t i = 0; i < count; i++)
            draco_conv2d_scatter(s, scratch + i * places * depth, dx + (first + i) * floats);
    }
}

/* ---- Max pooling over 2 x 2, in NHWC; height and width are even; of equal values the first counts ---- */

DRACO_LAYER void draco_maxpool_forward(size_t images, size_t height, size_t width, size_t channels,
                                       const float *x, float *y) {
    size_t line = width * channels;
    for (size_t row = 0; row < images * height / 2; row++, x += 2 * line)
        for (size_t col = 0; col < width / 2; col++, y += channels) {
            const float *a = x + 2 * col * channels, *b = a + channels, *c = a + line, *d = b + line;
            for (size_t k = 0; k < channels; k++) {
                float up = a[k] >= b[k] ? a[k] : b[k], down = c[k] >= d[k] ? c[k] : d[k];
                y[k] = up >= down ? up : down;
            }
        }
}

/* x, y: what forward read and wrote. */
DRACO_LAYER void draco_maxpool_backward(size_t images, size_t height, size_t width, size_t channels,
                                        const float *x, const float *y, const float *dy, float *dx) {
    size_t line = width * channels;
    for (size_t row = 0; row < images * height / 2; row++, x += 2 * line, dx += 2 * line)
        for (size_t col = 0; col < width / 2; col++, y += channels, dy += channels) {
            size_t at[4] = {2 * col * channels, (2 * col + 1) * channels, 2 * col * channels + line,
                            (2 * col + 1) * channels + line};
            for (size_t k = 0; k < channels; k++) {
                float left = dy[k];
                for (int i = 0; i < 4; i++) {
                    float share = x[at[i] + k] == y[k] ? left : 0;
                    dx[at[i] + k] = share;
                    left = x[at[i] + k] == y[k] ? 0 : left;
                }
            }
        }
}

/* ---- Softmax cross-entropy: loss = sum over rows of log(sum_j exp(z_j)) - z_label ---- */

/* dlogits (may be NULL; may be logits) = softmax(logits) - onehot(label). *loss and *correct are added to. */
DRACO_LAYER void draco_softmax_loss(size_t rows, size_t classes, const float *logits, const int32_t *labels,
                                    double *loss, size_t *correct, float *dlogits) {
    for (size_t i = 0; i < rows; i++) {
        const float *z = logits + i * classes;
        size_t label = (size_t)labels[i], best = 0;
        for (size_t j = 1; j < classes; j++)
            if (z[j] > z[best]) best = j;
        double top = (double)z[best], sum = 0;
        for (size_t j = 0; j < classes; j++) sum += exp((double)z[j] - top);
        *loss += log(sum) + top - (double)z[label];
        *correct += best == label;
        if (!dlogits) continue;
        float *d = dlogits + i * classes;
        for (size_t j = 0; j < classes; j++) d[j] = (float)(exp((double)z[j] - top) / sum);
        d[label] -= 1.0f;
    }
}

/* ---- Without oneDNN: the convolutions and norms of draco_compute.h in NHWC ---- */

#if !DRACO_ONEDNN
typedef struct draco_engine {
    int unused;
} draco_engine;

typedef struct draco_run {
    void *scratch;
    float *weights; /* unused */
    float *rows;    /* patches of draco_conv2d_* */
} draco_run;

DRACO_LAYER draco_status draco_engine_open(draco_engine *e) {
    e->unused = 0;
    return DRACO_OK;
}

DRACO_LAYER void draco_engine_close(draco_engine *e) {
    (void)e;
}

/* All channels of a pixel stand together. */
DRACO_LAYER size_t draco_engine_block(const draco_engine *e, size_t channels) {
    (void)e;
    return channels;
}

DRACO_LAYER void draco_engine_image(size_t pixels, size_t channels, const float *nhwc, float *out) {
    memcpy(out, nhwc, pixels * channels * sizeof *out);
}

DRACO_LAYER draco_status draco_run_open(draco_run *run, const draco_engine *e) {
    (void)e;
    memset(run, 0, sizeof *run);
    return DRACO_OK;
}

DRACO_LAYER void draco_run_close(draco_run *run) {
    free(run->scratch);
    free(run->weights);
    free(run->rows);
    memset(run, 0, sizeof *run);
}

DRACO_LAYER draco_status draco_run_status(const draco_run *run) {
    (void)run;
    return DRACO_OK;
}

typedef struct draco_conv {
    draco_conv_shape shape;
    size_t images, packed;
} draco_conv;

DRACO_LAYER draco_status draco_conv_open(draco_conv *c, const draco_engine *e, const draco_conv_shape *shape,
                                         size_t images, int plain) {
    (void)e;
    (void)plain;
    c->shape = *shape;
    c->images = images;
    c->packed = draco_conv_weights(shape);
    return DRACO_OK;
}

DRACO_LAYER void draco_conv_close(draco_conv *c) {
    (void)c;
}

DRACO_LAYER void draco_conv_needs(const draco_conv *c, size_t *scratch, size_t *weights, size_t *rows) {
    *scratch = draco_max_size(*scratch, 64);
    *weights = draco_max_size(*weights, 1);
    *rows = draco_max_size(*rows, draco_conv2d_scratch(&c->shape));
}

DRACO_LAYER void draco_conv_pack(const draco_conv *c, draco_run *run, const float *w, float *packed) {
    (void)run;
    memcpy(packed, w, c->packed * sizeof *packed);
}

DRACO_LAYER void draco_conv_forward(const draco_conv *c, draco_run *run, const float *x, const float *packed,
                                    float *y) {
    draco_conv2d_forward(&c->shape, c->images, x, packed, NULL, y, run->rows);
}

DRACO_LAYER void draco_conv_backward_data(const draco_conv *c, draco_run *run, const float *packed,
                                          const float *dy, float *dx) {
    draco_conv2d_backward_data(&c->shape, c->images, packed, dy, dx, run->rows);
}

DRACO_LAYER void draco_conv_backward_weights(const draco_conv *c, draco_run *run, const float *x,
                                             const float *dy, float beta, float *dw) {
    draco_conv2d_backward_weights(&c->shape, c->images, x, dy, beta, dw, NULL, run->rows);
}

#define DRACO_NORM_EPSILON 1e-5f

typedef struct draco_norm {
    size_t channels, places;
    int relu;
    size_t mask_bytes; /* one for each number that ReLU let through */
} draco_norm;

DRACO_LAYER draco_status draco_norm_open(draco_norm *n, const draco_engine *e, size_t images, size_t channels,
                                         size_t height, size_t width, int relu) {
    (void)e;
    n->channels = channels;
    n->places = images * height * width;
    n->relu = relu;
    n->mask_bytes = relu ? n->places * channels : 0;
    return DRACO_OK;
}

DRACO_LAYER void draco_norm_close(draco_norm *n) {
    (void)n;
}

DRACO_LAYER void draco_norm_needs(const draco_norm *n, size_t *scratch) {
    *scratch = draco_max_size(*scratch, 4 * n->channels * sizeof(double));
}

/* sums[channels] += the rows, and squares += their squared distance from mean, in order, in double. */
DRACO_LAYER void draco_norm_statistics(const draco_norm *n, const float *x, float *mean, float *variance,
                                       double *sums) {
    double *squares = sums + n->channels;
    memset(sums, 0, 2 * n->channels * sizeof *sums);
    for (size_t i = 0; i < n->places; i++)
        for (size_t c = 0; c < n->channels; c++) sums[c] += (double)x[i * n->channels + c];
    for (size_t c = 0; c < n->channels; c++) mean[c] = (float)(sums[c] / (double)n->places);
    for (size_t i = 0; i < n->places; i++)
        for (size_t c = 0; c < n->channels; c++) {
            double off = (double)x[i * n->channels + c] - (double)mean[c];
            squares[c] += off * off;
        }
    for (size_t c = 0; c < n->channels; c++) variance[c] = (float)(squares[c] / (double)n->places);
}

DRACO_LAYER void draco_norm_apply(const draco_norm *n, const float *x, const float *scale, const float *shift,
                                  const float *mean, const float *variance, float *y) {
    for (size_t c = 0; c < n->channels; c++) {
        float slope = scale[c] / sqrtf(variance[c] + DRACO_NORM_EPSILON);
        for (size_t i = c; i < n->places * n->channels; i += n->channels) {
            float value = (x[i] - mean[c]) * slope + shift[c];
            y[i] = n->relu && !(value > 0) ? 0 : value;
        }
    }
}

DRACO_LAYER void draco_norm_train(const draco_norm *n, draco_run *run, const float *x, const float *scale,
                                  const float *shift, float *mean, float *variance, float *y, void *mask) {
    unsigned char *through = mask;
    draco_norm_statistics(n, x, mean, variance, run->scratch);
    draco_norm_apply(n, x, scale, shift, mean, variance, y);
    for (size_t i = 0; n->relu && i < n->mask_bytes; i++) through[i] = y[i] > 0;
}

DRACO_LAYER void draco_norm_infer(const draco_norm *n, draco_run *run, const float *x, const float *scale,
                                  const float *shift, const float *mean, const float *variance, float *y) {
    (void)run;
    draco_norm_apply(n, x, scale, shift, mean, variance, y);
}

DRACO_LAYER void draco_norm_backward(const draco_norm *n, draco_run *run, const float *x, const float *scale,
                                     const float *shift, const float *mean, const float *variance,
                                     const void *mask, const float *dy, float *dx, float *dscale,
                                     float *dshift) {
    const unsigned char *through = mask;
    double places = (double)n->places;
    (void)run;
    (void)shift;
    for (size_t c = 0; c < n->channels; c++) {
        double inverse = 1 / sqrt((double)variance[c] + (double)DRACO_NORM_EPSILON), sum = 0, product = 0;
        for (size_t i = c; i < n->places * n->channels; i += n->channels) {
            double d = n->relu && !through[i] ? 0 : (double)dy[i];
            sum += d;
            product += d * ((double)x[i] - (double)mean[c]) * inverse;
        }
        for (size_t i = c; i < n->places * n->channels; i += n->channels) {
            double d = n->relu && !through[i] ? 0 : (double)dy[i];
            double z = ((double)x[i] - (double)mean[c]) * inverse;
            dx[i] = (float)((double)scale[c] * inverse * (d - (sum + z * product) / places));
        }
        dscale[c] = (float)product;
        dshift[c] = (float)sum;
    }
}
#endif /* !DRACO_ONEDNN */

/* ---- Batches and scores of a classifier ---- */

/* Labels and numbers of the same shape as those of `like`. */
DRACO_LAYER int draco_classifies(const draco_dataset *data, const draco_dataset *like) {
    return data && data->samples > 0 && data->labels && (data->pixels || data->values) && data->classes > 0 &&
           data->features == like->features && data->classes == like->classes;
}

/* Places first .. first+rows-1 of the part: x[rows][features], labels[rows]. */
DRACO_LAYER void draco_read_part(const draco_dataset *data, const draco_batch *batch, size_t first,
                                 size_t rows, float *x, int32_t *labels) {
    for (size_t k = 0; k < rows; k++) {
        size_t sample = draco_dataset_draw(data, batch, first + k);
        draco_dataset_row(data, sample, x + k * data->features);
        labels[k] = data->labels[sample];
    }
}

/* logits[rows][classes] of samples first .. first+rows-1 of a data set, in the workspace. */
typedef const float *(*draco_logits_fn)(const void *model, void *workspace, const float *params,
                                        const draco_dataset *data, size_t first, size_t rows);

DRACO_LAYER draco_status draco_evaluate(const void *model, void *workspace, const float *params,
                                        const draco_dataset *data, size_t micro, draco_logits_fn logits,
                                        draco_score *score) {
    double loss = 0;
    size_t correct = 0;
    draco_compute_guard threads = draco_compute_begin();
    for (size_t first = 0; first < data->samples; first += micro) {
        size_t rows = data->samples - first < micro ? data->samples - first : micro;
        const float *z = logits(model, workspace, params, data, first, rows);
        draco_softmax_loss(rows, (size_t)data->classes, z, data->labels + first, &loss, &correct, NULL);
    }
    draco_compute_end(threads);
    score->samples = data->samples;
    score->loss = loss / (double)data->samples;
    score->accuracy = (double)correct / (double)data->samples;
    return DRACO_OK;
}

#endif /* DRACO_LAYERS_H */
