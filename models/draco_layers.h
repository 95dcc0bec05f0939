/* draco_layers.h - version 0.1.0 - the layers under the models

   Fully connected, ReLU, softmax cross-entropy, convolution, pooling, batch norm, embedding, dropout. Part of
   the implementation of the models: needs what draco_compute.h needs, static functions.

   Shapes. Everything is row-major. A matrix of fully connected weights is [in][out], a convolution's weights
   are [kh][kw][ci][co], images are NHWC, so that one image row of a convolution is one row of a matrix
   product and a fully connected layer is a 1 x 1 convolution of a 1 x 1 image.

   Sums. A backward function adds to, or starts, the gradient of its weights: `beta` is 0 for the first
   micro-batch of a part and 1 after it. Gradients of activations are overwritten.

   Bits. Every function returns the same bits for the same input on every processor: products are those of
   draco_compute.h, sums have a fixed shape, nothing is fused that was not written so, and exp and log are
   those of draco_math.h. docs/reproducible.md says what a layer of your own has to keep to.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#ifndef DRACO_LAYERS_H
#define DRACO_LAYERS_H

#include "draco_dataset.h"
#include "draco_model.h"
#include "draco_winograd.h"

/* ---- Fully connected: y[rows][out] = x[rows][in] w[in][out] + bias[out] ---- */

DRACO_LAYER void draco_fc_forward(size_t rows, size_t in, size_t out, const float *x, const float *w,
                                  const float *bias, float *y) {
    const draco_operand left = {x, in, 1, NULL, 0}, right = {w, out, 1, NULL, 0};
    const draco_result result = {y, out, 1};
    draco_multiply(rows, out, in, &left, &right, 0, bias, &result);
}

/* sum[n] = beta sum + the rows of m[rows][n], in order. */
DRACO_INLINE_LOOP void draco_sum_rows_loop(size_t rows, size_t n, const float *m, float beta, float *sum) {
    if (beta == 0) memset(sum, 0, n * sizeof *sum);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++) sum[j] += m[i * n + j];
}
DRACO_LOOP(draco_sum_rows, (size_t rows, size_t n, const float *m, float beta, float *sum),
           (rows, n, m, beta, sum))

/* y += a x */
DRACO_INLINE_LOOP void draco_add_loop(size_t n, float a, const float *restrict x, float *restrict y) {
    for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}
DRACO_LOOP(draco_add, (size_t n, float a, const float *restrict x, float *restrict y), (n, a, x, y))

/* dx may be NULL: the first layer needs none. It comes first, while w may still be in a cache. */
DRACO_LAYER void draco_fc_backward(size_t rows, size_t in, size_t out, const float *x, const float *w,
                                   const float *dy, float beta, float *dw, float *dbias, float *dx) {
    if (dx) draco_sgemm('N', 'T', rows, in, out, dy, out, w, out, 0.0f, dx, in);
    draco_sgemm('T', 'N', in, out, rows, x, in, dy, out, beta, dw, out);
    draco_sum_rows(rows, out, dy, beta, dbias);
}

/* ---- ReLU, in place; the derivative at 0 is 0 ---- */

DRACO_INLINE_LOOP void draco_relu_forward_loop(size_t n, float *y) {
    for (size_t i = 0; i < n; i++) y[i] = y[i] > 0 ? y[i] : 0;
}
DRACO_LOOP(draco_relu_forward, (size_t n, float *y), (n, y))

/* y: what forward left. */
DRACO_INLINE_LOOP void draco_relu_backward_loop(size_t n, const float *y, float *dy) {
    for (size_t i = 0; i < n; i++) dy[i] = y[i] > 0 ? dy[i] : 0;
}
DRACO_LOOP(draco_relu_backward, (size_t n, const float *y, float *dy), (n, y, dy))

/* ---- Convolution in NHWC: products whose rows are patches of the images, gathered a block at a time ---- */

/* Same size in and out: the gradient of the input is a convolution, too, with weights turned round. */
DRACO_LAYER int draco_conv2d_same(const draco_conv_shape *s) {
    return s->stride == 1 && s->kernel == 2 * s->pad + 1;
}

/* Images whose patches are added at once where it is not: they stay in the second-level cache. */
#define DRACO_CONV2D_FLOATS ((size_t)1 << 17)

DRACO_LAYER size_t draco_conv2d_group(const draco_conv_shape *s) {
    size_t group = DRACO_CONV2D_FLOATS / (draco_conv_places(s) * draco_conv_depth(s));
    return group ? group : 1;
}

/* Floats of scratch of the functions below. */
DRACO_LAYER size_t draco_conv2d_scratch(const draco_conv_shape *s, size_t images) {
    if (!draco_conv2d_same(s)) return draco_conv2d_group(s) * draco_conv_places(s) * draco_conv_depth(s);
    return draco_conv_weights(s) + (draco_winograd_pays(s, images) ? draco_winograd_scratch(s) : 0);
}

/* dx += rows[place][kh][kw][ci] of one image, in order. */
DRACO_INLINE_LOOP void draco_conv2d_scatter_loop(const draco_conv_shape *s, const float *rows, float *dx) {
    size_t oh = draco_conv_out(s->height, s), ow = draco_conv_out(s->width, s), line = s->kernel * s->ci;
    for (size_t i = 0; i < oh * ow; i++) {
        size_t left = i % ow * s->stride - s->pad, from, to;
        draco_patch_inside(s, left, &from, &to);
        for (size_t k = 0; k < s->kernel; k++, rows += line) {
            size_t y = i / ow * s->stride + k - s->pad;
            if (y >= s->height) continue;
            float *out = dx + (y * s->width + left) * s->ci;
            for (size_t j = from * s->ci; j < to * s->ci; j++) out[j] += rows[j];
        }
    }
}
DRACO_LOOP(draco_conv2d_scatter, (const draco_conv_shape *s, const float *rows, float *dx), (s, rows, dx))

/* bias may be NULL. */
DRACO_LAYER void draco_conv2d_forward(const draco_conv_shape *s, size_t images, const float *x,
                                      const float *w, const float *bias, float *y, float *scratch) {
    const size_t places = images * draco_conv_places(s);
    const draco_operand patches = {x, 0, 0, s, 0}, weights = {w, s->co, 1, NULL, 0};
    const draco_result out = {y, s->co, 1};
    if (!bias && draco_winograd_pays(s, images)) {
        draco_winograd_forward(s, images, x, w, y, scratch);
        return;
    }
    draco_multiply(places, s->co, draco_conv_depth(s), &patches, &weights, 0, bias, &out);
}

/* dbias may be NULL. */
DRACO_LAYER void draco_conv2d_backward_weights(const draco_conv_shape *s, size_t images, const float *x,
                                               const float *dy, float beta, float *dw, float *dbias,
                                               float *scratch) {
    const size_t places = images * draco_conv_places(s);
    const draco_operand patches = {x, 0, 0, s, 1}, right = {dy, s->co, 1, NULL, 0};
    const draco_result out = {dw, s->co, 1};
    if (draco_winograd_pays(s, images))
        draco_winograd_backward_weights(s, images, x, dy, beta, dw, scratch);
    else
        draco_multiply(draco_conv_depth(s), s->co, places, &patches, &right, beta != 0, NULL, &out);
    if (dbias) draco_sum_rows(places, s->co, dy, beta, dbias);
}

/* to[kh][kw][co][ci] = w, with kh and kw backwards. */
DRACO_LAYER void draco_conv2d_turn(const draco_conv_shape *s, const float *w, float *to) {
    const size_t taps = s->kernel * s->kernel, size = s->ci * s->co;
    for (size_t tap = 0; tap < taps; tap++)
        draco_transpose(s->ci, s->co, w + tap * size, s->co, to + (taps - 1 - tap) * size, s->ci);
}

DRACO_LAYER void draco_conv2d_backward_data(const draco_conv_shape *s, size_t images, const float *w,
                                            const float *dy, float *dx, float *scratch) {
    const size_t depth = draco_conv_depth(s), places = draco_conv_places(s), group = draco_conv2d_group(s);
    const size_t floats = s->height * s->width * s->ci;
    if (draco_conv2d_same(s)) {
        const draco_conv_shape back = {s->height, s->width, s->co, s->ci, s->kernel, 1, s->pad};
        draco_conv2d_turn(s, w, scratch);
        draco_conv2d_forward(&back, images, dy, scratch, NULL, dx, scratch + draco_conv_weights(s));
        return;
    }
    memset(dx, 0, images * floats * sizeof *dx);
    for (size_t first = 0; first < images; first += group) {
        size_t count = images - first < group ? images - first : group;
        draco_sgemm('N', 'T', count * places, depth, s->co, dy + first * places * s->co, s->co, w, s->co,
                    0.0f, scratch, depth);
        for (size_t i = 0; i < count; i++)
            draco_conv2d_scatter(s, scratch + i * places * depth, dx + (first + i) * floats);
    }
}

/* ---- Max pooling over 2 x 2, in NHWC; height and width are even; of equal values the first counts ---- */

DRACO_INLINE_LOOP void draco_maxpool_forward_loop(size_t images, size_t height, size_t width, size_t channels,
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
DRACO_LOOP(draco_maxpool_forward,
           (size_t images, size_t height, size_t width, size_t channels, const float *x, float *y),
           (images, height, width, channels, x, y))

/* Up to four channels of one place: dy goes to the first of the four pixels that is y. No branches: they would be mispredicted. */
DRACO_INLINE_LOOP void draco_maxpool_share(size_t n, const size_t *apart, const float *x, const float *y,
                                           const float *dy, float *dx) {
    typedef int32_t four __attribute__((vector_size(16)));
    typedef float floats __attribute__((vector_size(16)));
    floats top = {0}, pixel = {0};
    four left = {0};
    memcpy(&top, y, n * sizeof *y);
    memcpy(&left, dy, n * sizeof *dy);
    for (size_t i = 0; i < 4; i++) {
        memcpy(&pixel, x + apart[i], n * sizeof *x);
        const four is = pixel == top, share = left & is;
        left &= ~is;
        memcpy(dx + apart[i], &share, n * sizeof *dx);
    }
}

/* x, y: what forward read and wrote. */
DRACO_INLINE_LOOP void draco_maxpool_backward_loop(size_t images, size_t height, size_t width,
                                                   size_t channels, const float *x, const float *y,
                                                   const float *dy, float *dx) {
    size_t line = width * channels;
    for (size_t row = 0; row < images * height / 2; row++, x += 2 * line, dx += 2 * line)
        for (size_t col = 0; col < width / 2; col++, y += channels, dy += channels) {
            const size_t at = 2 * col * channels,
                         apart[4] = {at, at + channels, at + line, at + line + channels};
            size_t k = 0;
            for (; k + 4 <= channels; k += 4) draco_maxpool_share(4, apart, x + k, y + k, dy + k, dx + k);
            for (; k < channels; k++) draco_maxpool_share(1, apart, x + k, y + k, dy + k, dx + k);
        }
}
DRACO_LOOP(draco_maxpool_backward,
           (size_t images, size_t height, size_t width, size_t channels, const float *x, const float *y,
            const float *dy, float *dx),
           (images, height, width, channels, x, y, dy, dx))

/* ---- Softmax cross-entropy: loss = sum over rows of log(sum_j exp(z_j)) - z_label ---- */

#define DRACO_SOFTMAX_KEPT 64

/* dlogits (may be NULL; may be logits) = softmax(logits) - onehot(label). *loss and *correct are added to. */
DRACO_LAYER void draco_softmax_loss(size_t rows, size_t classes, const float *logits, const int32_t *labels,
                                    double *loss, size_t *correct, float *dlogits) {
    for (size_t i = 0; i < rows; i++) {
        const float *z = logits + i * classes;
        size_t label = (size_t)labels[i], best = 0;
        for (size_t j = 1; j < classes; j++)
            if (z[j] > z[best]) best = j;
        double top = (double)z[best], sum = 0;
        double e[DRACO_SOFTMAX_KEPT]; /* a second exp for those beyond it */
        for (size_t j = 0; j < classes; j++) {
            const double x = draco_exp((double)z[j] - top);
            if (j < DRACO_SOFTMAX_KEPT) e[j] = x;
            sum += x;
        }
        *loss += draco_log(sum) + top - (double)z[label];
        *correct += best == label;
        if (!dlogits) continue;
        float *d = dlogits + i * classes;
        for (size_t j = 0; j < classes; j++)
            d[j] = (float)((j < DRACO_SOFTMAX_KEPT ? e[j] : draco_exp((double)z[j] - top)) / sum);
        d[label] -= 1.0f;
    }
}

/* ---- Batch norm over the rows of x[places][channels]; with `relu` ReLU follows it ---- */

#define DRACO_NORM_EPSILON 1e-5f
#define DRACO_NORM_CHANNELS 64 /* computed at once */
#define DRACO_NORM_RUN 32      /* places that are summed in float; the sums of runs are summed in double */

/* sum[c] of x[c] - mean[c] to the power of 1 or 2 over all places; `stride` floats from place to place. */
DRACO_INLINE_LOOP void draco_norm_sum(size_t places, size_t stride, size_t n, int power, const float *x,
                                      const float *mean, double *sum) {
    for (size_t c = 0; c < n; c++) sum[c] = 0;
    for (size_t from = 0; from < places; from += DRACO_NORM_RUN) {
        const size_t past = draco_min_size(places, from + DRACO_NORM_RUN);
        float part[DRACO_NORM_CHANNELS] = {0};
        for (size_t i = from; i < past; i++)
            for (size_t c = 0; c < n; c++) {
                const float off = x[i * stride + c] - mean[c];
                part[c] += power == 2 ? off * off : off;
            }
        for (size_t c = 0; c < n; c++) sum[c] += (double)part[c];
    }
}

/* Of these places, divided by their number. */
DRACO_INLINE_LOOP void draco_norm_statistics_loop(size_t places, size_t channels, const float *x, float *mean,
                                                  float *variance) {
    for (size_t at = 0; at < channels; at += DRACO_NORM_CHANNELS) {
        const size_t n = draco_min_size(channels - at, DRACO_NORM_CHANNELS);
        double sum[DRACO_NORM_CHANNELS];
        memset(mean + at, 0, n * sizeof *mean);
        draco_norm_sum(places, channels, n, 1, x + at, mean + at, sum);
        for (size_t c = 0; c < n; c++) mean[at + c] = (float)(sum[c] / (double)places);
        draco_norm_sum(places, channels, n, 2, x + at, mean + at, sum);
        for (size_t c = 0; c < n; c++) variance[at + c] = (float)(sum[c] / (double)places);
    }
}
DRACO_LOOP(draco_norm_statistics,
           (size_t places, size_t channels, const float *x, float *mean, float *variance),
           (places, channels, x, mean, variance))

DRACO_INLINE_LOOP void draco_norm_forward_loop(size_t places, size_t channels, int relu, const float *x,
                                               const float *scale, const float *shift, const float *mean,
                                               const float *variance, float *y) {
    const float least = relu ? 0 : -HUGE_VALF;
    for (size_t at = 0; at < channels; at += DRACO_NORM_CHANNELS) {
        const size_t n = draco_min_size(channels - at, DRACO_NORM_CHANNELS);
        float slope[DRACO_NORM_CHANNELS];
        for (size_t c = 0; c < n; c++)
            slope[c] = scale[at + c] / sqrtf(variance[at + c] + DRACO_NORM_EPSILON);
        for (size_t i = at; i < places * channels; i += channels)
            for (size_t c = 0; c < n; c++) {
                const float value = (x[i + c] - mean[at + c]) * slope[c] + shift[at + c];
                y[i + c] = value < least ? least : value;
            }
    }
}
DRACO_LOOP(draco_norm_forward,
           (size_t places, size_t channels, int relu, const float *x, const float *scale, const float *shift,
            const float *mean, const float *variance, float *y),
           (places, channels, relu, x, scale, shift, mean, variance, y))

/* y: what forward wrote, for its ReLU. dx may be dy. */
DRACO_INLINE_LOOP void draco_norm_backward_loop(size_t places, size_t channels, int relu, const float *x,
                                                const float *y, const float *scale, const float *mean,
                                                const float *variance, const float *dy, float *dx,
                                                float *dscale, float *dshift) {
    const float least = relu ? 0 : -HUGE_VALF;
    for (size_t at = 0; at < channels; at += DRACO_NORM_CHANNELS) {
        const size_t n = draco_min_size(channels - at, DRACO_NORM_CHANNELS), all = places * channels;
        double sum[DRACO_NORM_CHANNELS] = {0}, product[DRACO_NORM_CHANNELS] = {0};
        float slope[DRACO_NORM_CHANNELS], back[DRACO_NORM_CHANNELS], level[DRACO_NORM_CHANNELS];
        const float *middle = mean + at;
        for (size_t from = at; from < all; from += DRACO_NORM_RUN * channels) {
            const size_t past = draco_min_size(all, from + DRACO_NORM_RUN * channels);
            float some[DRACO_NORM_CHANNELS] = {0}, part[DRACO_NORM_CHANNELS] = {0};
            for (size_t i = from; i < past; i += channels)
                for (size_t c = 0; c < n; c++) {
                    const float d = y[i + c] > least ? dy[i + c] : 0;
                    some[c] += d;
                    part[c] += d * (x[i + c] - middle[c]);
                }
            for (size_t c = 0; c < n; c++) {
                sum[c] += (double)some[c];
                product[c] += (double)part[c];
            }
        }
        for (size_t c = 0; c < n; c++) {
            const double inverse = 1 / sqrt((double)variance[at + c] + (double)DRACO_NORM_EPSILON);
            const double gain = (double)scale[at + c] * inverse;
            dshift[at + c] = (float)sum[c];
            dscale[at + c] = (float)(product[c] * inverse);
            slope[c] = (float)gain;
            back[c] = (float)(gain * inverse * inverse * product[c] / (double)places);
            level[c] = (float)(gain * sum[c] / (double)places);
        }
        for (size_t i = at; i < all; i += channels)
            for (size_t c = 0; c < n; c++) {
                const float d = y[i + c] > least ? dy[i + c] : 0;
                dx[i + c] = d * slope[c] - (x[i + c] - middle[c]) * back[c] - level[c];
            }
    }
}
DRACO_LOOP(draco_norm_backward,
           (size_t places, size_t channels, int relu, const float *x, const float *y, const float *scale,
            const float *mean, const float *variance, const float *dy, float *dx, float *dscale,
            float *dshift),
           (places, channels, relu, x, y, scale, mean, variance, dy, dx, dscale, dshift))

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
    score->samples = data->samples;
    score->loss = loss / (double)data->samples;
    score->accuracy = (double)correct / (double)data->samples;
    draco_compute_end(threads);
    return DRACO_OK;
}

#endif /* DRACO_LAYERS_H */
