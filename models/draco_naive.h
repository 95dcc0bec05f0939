/* draco_naive.h - version 0.1.0 - every layer as plain loops over its definition: the oracle of the tests

   Also the yardstick of bench/bench_models. One translation unit chooses the type of the numbers by
   DRACO_NAIVE_REAL before including it: double (the default) or float. Shapes as in draco_layers.h:
   row-major, images NHWC, weights [kh][kw][ci][co]. Backward functions add to gradients of weights and
   overwrite gradients of activations. There is no switch: all functions are static inline.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#ifndef DRACO_NAIVE_H
#define DRACO_NAIVE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#ifndef DRACO_NAIVE_REAL
#define DRACO_NAIVE_REAL double
#endif
typedef DRACO_NAIVE_REAL draco_real;

#define DRACO_NAIVE static inline __attribute__((unused))

/* ---- Fully connected: y[rows][out] = x[rows][in] w[in][out] + bias ---- */

DRACO_NAIVE void draco_naive_fc_forward(size_t rows, size_t in, size_t out, const draco_real *x,
                                        const draco_real *w, const draco_real *bias, draco_real *y) {
    for (size_t r = 0; r < rows; r++)
        for (size_t o = 0; o < out; o++) {
            draco_real sum = bias[o];
            for (size_t i = 0; i < in; i++) sum += x[r * in + i] * w[i * out + o];
            y[r * out + o] = sum;
        }
}

/* dx may be NULL. */
DRACO_NAIVE void draco_naive_fc_backward(size_t rows, size_t in, size_t out, const draco_real *x,
                                         const draco_real *w, const draco_real *dy, draco_real *dw,
                                         draco_real *dbias, draco_real *dx) {
    for (size_t r = 0; r < rows; r++) {
        for (size_t o = 0; o < out; o++) dbias[o] += dy[r * out + o];
        for (size_t i = 0; i < in; i++) {
            draco_real sum = 0;
            for (size_t o = 0; o < out; o++) {
                dw[i * out + o] += x[r * in + i] * dy[r * out + o];
                sum += dy[r * out + o] * w[i * out + o];
            }
            if (dx) dx[r * in + i] = sum;
        }
    }
}

/* ---- ReLU ---- */

DRACO_NAIVE void draco_naive_relu_forward(size_t n, draco_real *y) {
    for (size_t i = 0; i < n; i++)
        if (!(y[i] > 0)) y[i] = 0;
}

DRACO_NAIVE void draco_naive_relu_backward(size_t n, const draco_real *y, draco_real *dy) {
    for (size_t i = 0; i < n; i++)
        if (!(y[i] > 0)) dy[i] = 0;
}

/* ---- Convolution ---- */

typedef struct draco_naive_conv {
    size_t height, width, ci, co, kernel, stride, pad;
} draco_naive_conv;

DRACO_NAIVE size_t draco_naive_out(size_t in, const draco_naive_conv *c) {
    return (in + 2 * c->pad - c->kernel) / c->stride + 1;
}

/* Calls of the three functions below visit every (image, output pixel, kernel place) that meets the image. */
typedef void (*draco_naive_visit)(const draco_naive_conv *c, size_t in, size_t weight, size_t out,
                                  const draco_real *a, const draco_real *b, draco_real *to);

DRACO_NAIVE void draco_naive_conv_walk(const draco_naive_conv *c, size_t images, draco_naive_visit visit,
                                       const draco_real *a, const draco_real *b, draco_real *to) {
    size_t oh = draco_naive_out(c->height, c), ow = draco_naive_out(c->width, c);
    for (size_t n = 0; n < images; n++)
        for (size_t y = 0; y < oh; y++)
            for (size_t x = 0; x < ow; x++)
                for (size_t ky = 0; ky < c->kernel; ky++)
                    for (size_t kx = 0; kx < c->kernel; kx++) {
                        size_t iy = y * c->stride + ky, ix = x * c->stride + kx;
                        if (iy < c->pad || ix < c->pad) continue;
                        if (iy - c->pad >= c->height || ix - c->pad >= c->width) continue;
                        visit(c, ((n * c->height + iy - c->pad) * c->width + ix - c->pad) * c->ci,
                              (ky * c->kernel + kx) * c->ci * c->co, ((n * oh + y) * ow + x) * c->co, a, b,
                              to);
                    }
}

DRACO_NAIVE void draco_naive_conv_y(const draco_naive_conv *c, size_t in, size_t weight, size_t out,
                                    const draco_real *x, const draco_real *w, draco_real *y) {
    for (size_t i = 0; i < c->ci; i++)
        for (size_t o = 0; o < c->co; o++) y[out + o] += x[in + i] * w[weight + i * c->co + o];
}

DRACO_NAIVE void draco_naive_conv_dw(const draco_naive_conv *c, size_t in, size_t weight, size_t out,
                                     const draco_real *x, const draco_real *dy, draco_real *dw) {
    for (size_t i = 0; i < c->ci; i++)
        for (size_t o = 0; o < c->co; o++) dw[weight + i * c->co + o] += x[in + i] * dy[out + o];
}

DRACO_NAIVE void draco_naive_conv_dx(const draco_naive_conv *c, size_t in, size_t weight, size_t out,
                                     const draco_real *w, const draco_real *dy, draco_real *dx) {
    for (size_t i = 0; i < c->ci; i++)
        for (size_t o = 0; o < c->co; o++) dx[in + i] += w[weight + i * c->co + o] * dy[out + o];
}

/* bias may be NULL. */
DRACO_NAIVE void draco_naive_conv_forward(const draco_naive_conv *c, size_t images, const draco_real *x,
                                          const draco_real *w, const draco_real *bias, draco_real *y) {
    size_t places = images * draco_naive_out(c->height, c) * draco_naive_out(c->width, c);
    for (size_t i = 0; i < places * c->co; i++) y[i] = bias ? bias[i % c->co] : 0;
    draco_naive_conv_walk(c, images, draco_naive_conv_y, x, w, y);
}

/* dbias and dx may be NULL. */
DRACO_NAIVE void draco_naive_conv_backward(const draco_naive_conv *c, size_t images, const draco_real *x,
                                           const draco_real *w, const draco_real *dy, draco_real *dw,
                                           draco_real *dbias, draco_real *dx) {
    size_t places = images * draco_naive_out(c->height, c) * draco_naive_out(c->width, c);
    draco_naive_conv_walk(c, images, draco_naive_conv_dw, x, dy, dw);
    for (size_t i = 0; dbias && i < places * c->co; i++) dbias[i % c->co] += dy[i];
    if (!dx) return;
    for (size_t i = 0; i < images * c->height * c->width * c->ci; i++) dx[i] = 0;
    draco_naive_conv_walk(c, images, draco_naive_conv_dx, w, dy, dx);
}

/* ---- Max pooling 2 x 2; of equal values the first counts ---- */

/* Where the largest of the four stands. */
DRACO_NAIVE size_t draco_naive_pool_at(size_t height, size_t width, size_t channels, size_t n, size_t y,
                                       size_t x, size_t c, const draco_real *in) {
    size_t best = 0;
    for (size_t k = 0; k < 4; k++) {
        size_t at = ((n * height + 2 * y + k / 2) * width + 2 * x + k % 2) * channels + c;
        if (k == 0 || in[at] > in[best]) best = at;
    }
    return best;
}

DRACO_NAIVE void draco_naive_pool_forward(size_t images, size_t height, size_t width, size_t channels,
                                          const draco_real *x, draco_real *y) {
    size_t i = 0;
    for (size_t n = 0; n < images; n++)
        for (size_t r = 0; r < height / 2; r++)
            for (size_t s = 0; s < width / 2; s++)
                for (size_t c = 0; c < channels; c++)
                    y[i++] = x[draco_naive_pool_at(height, width, channels, n, r, s, c, x)];
}

DRACO_NAIVE void draco_naive_pool_backward(size_t images, size_t height, size_t width, size_t channels,
                                           const draco_real *x, const draco_real *dy, draco_real *dx) {
    size_t i = 0;
    for (size_t k = 0; k < images * height * width * channels; k++) dx[k] = 0;
    for (size_t n = 0; n < images; n++)
        for (size_t r = 0; r < height / 2; r++)
            for (size_t s = 0; s < width / 2; s++)
                for (size_t c = 0; c < channels; c++)
                    dx[draco_naive_pool_at(height, width, channels, n, r, s, c, x)] = dy[i++];
}

/* ---- Batch norm of rows[places][channels], and the mean over the pixels of an image ---- */

#define DRACO_NAIVE_EPSILON ((draco_real)1e-5)

DRACO_NAIVE void draco_naive_norm_statistics(size_t places, size_t channels, const draco_real *x,
                                             draco_real *mean, draco_real *variance) {
    for (size_t c = 0; c < channels; c++) {
        mean[c] = variance[c] = 0;
        for (size_t i = 0; i < places; i++) mean[c] += x[i * channels + c] / (draco_real)places;
        for (size_t i = 0; i < places; i++) {
            draco_real off = x[i * channels + c] - mean[c];
            variance[c] += off * off / (draco_real)places;
        }
    }
}

DRACO_NAIVE void draco_naive_norm_forward(size_t places, size_t channels, const draco_real *x,
                                          const draco_real *mean, const draco_real *variance,
                                          const draco_real *scale, const draco_real *shift, draco_real *y) {
    for (size_t i = 0; i < places * channels; i++) {
        size_t c = i % channels;
        y[i] = (x[i] - mean[c]) / (draco_real)sqrt((double)(variance[c] + DRACO_NAIVE_EPSILON)) * scale[c] +
               shift[c];
    }
}

/* mean and variance are those of x, so they pass gradients on. */
DRACO_NAIVE void draco_naive_norm_backward(size_t places, size_t channels, const draco_real *x,
                                           const draco_real *mean, const draco_real *variance,
                                           const draco_real *scale, const draco_real *dy, draco_real *dscale,
                                           draco_real *dshift, draco_real *dx) {
    for (size_t c = 0; c < channels; c++) {
        draco_real deviation = (draco_real)sqrt((double)(variance[c] + DRACO_NAIVE_EPSILON)), sum = 0,
                   product = 0;
        for (size_t i = c; i < places * channels; i += channels) {
            sum += dy[i];
            product += dy[i] * (x[i] - mean[c]) / deviation;
        }
        dshift[c] += sum;
        dscale[c] += product;
        for (size_t i = c; i < places * channels; i += channels) {
            draco_real z = (x[i] - mean[c]) / deviation;
            dx[i] = scale[c] / deviation * (dy[i] - (sum + z * product) / (draco_real)places);
        }
    }
}

/* y[images][channels] */
DRACO_NAIVE void draco_naive_mean_forward(size_t images, size_t pixels, size_t channels, const draco_real *x,
                                          draco_real *y) {
    for (size_t i = 0; i < images * channels; i++) y[i] = 0;
    for (size_t i = 0; i < images * pixels * channels; i++)
        y[i / (pixels * channels) * channels + i % channels] += x[i] / (draco_real)pixels;
}

DRACO_NAIVE void draco_naive_mean_backward(size_t images, size_t pixels, size_t channels,
                                           const draco_real *dy, draco_real *dx) {
    for (size_t i = 0; i < images * pixels * channels; i++)
        dx[i] = dy[i / (pixels * channels) * channels + i % channels] / (draco_real)pixels;
}

/* ---- Words: vectors of a sentence, windows of words, maximum over the places, dropout ---- */

/* x[padding + length + padding][dimension], the padding zero */
DRACO_NAIVE void draco_naive_embed_forward(const int32_t *word, size_t length, size_t padding,
                                           size_t dimension, const draco_real *vectors, draco_real *x) {
    for (size_t i = 0; i < (length + 2 * padding) * dimension; i++) x[i] = 0;
    for (size_t i = 0; i < length * dimension; i++)
        x[padding * dimension + i] = vectors[(size_t)word[i / dimension] * dimension + i % dimension];
}

DRACO_NAIVE void draco_naive_embed_backward(const int32_t *word, size_t length, size_t padding,
                                            size_t dimension, const draco_real *dx, draco_real *dvectors) {
    for (size_t i = 0; i < length * dimension; i++)
        dvectors[(size_t)word[i / dimension] * dimension + i % dimension] += dx[padding * dimension + i];
}

/* y[windows][filters]: window t covers rows t .. t+words-1 of x. */
DRACO_NAIVE void draco_naive_windows_forward(size_t windows, size_t words, size_t dimension, size_t filters,
                                             const draco_real *x, const draco_real *w, const draco_real *bias,
                                             draco_real *y) {
    for (size_t t = 0; t < windows; t++)
        draco_naive_fc_forward(1, words * dimension, filters, x + t * dimension, w, bias, y + t * filters);
}

DRACO_NAIVE void draco_naive_windows_backward(size_t windows, size_t words, size_t dimension, size_t filters,
                                              const draco_real *x, const draco_real *w, const draco_real *dy,
                                              draco_real *dw, draco_real *dbias, draco_real *dx) {
    for (size_t i = 0; i < (windows + words - 1) * dimension; i++) dx[i] = 0;
    for (size_t t = 0; t < windows; t++)
        for (size_t f = 0; f < filters; f++) {
            dbias[f] += dy[t * filters + f];
            for (size_t k = 0; k < words * dimension; k++) {
                dw[k * filters + f] += dy[t * filters + f] * x[t * dimension + k];
                dx[t * dimension + k] += dy[t * filters + f] * w[k * filters + f];
            }
        }
}

DRACO_NAIVE size_t draco_naive_best(size_t places, size_t filters, size_t f, const draco_real *y) {
    size_t best = 0;
    for (size_t t = 1; t < places; t++)
        if (y[t * filters + f] > y[best * filters + f]) best = t;
    return best;
}

DRACO_NAIVE void draco_naive_max_forward(size_t places, size_t filters, const draco_real *y,
                                         draco_real *best) {
    for (size_t f = 0; f < filters; f++) best[f] = y[draco_naive_best(places, filters, f, y) * filters + f];
}

DRACO_NAIVE void draco_naive_max_backward(size_t places, size_t filters, const draco_real *y,
                                          const draco_real *dbest, draco_real *dy) {
    for (size_t i = 0; i < places * filters; i++) dy[i] = 0;
    for (size_t f = 0; f < filters; f++) dy[draco_naive_best(places, filters, f, y) * filters + f] = dbest[f];
}

/* Forward and backward are the same. */
DRACO_NAIVE void draco_naive_dropout(size_t n, const draco_real *kept, draco_real *y) {
    for (size_t i = 0; i < n; i++) y[i] *= kept[i];
}

/* ---- Softmax cross-entropy, summed over the rows ---- */

/* dlogits may be NULL. */
DRACO_NAIVE draco_real draco_naive_softmax_loss(size_t rows, size_t classes, const draco_real *logits,
                                                const int32_t *labels, draco_real *dlogits) {
    draco_real loss = 0;
    for (size_t r = 0; r < rows; r++) {
        const draco_real *z = logits + r * classes;
        double top = (double)z[0], sum = 0;
        for (size_t j = 1; j < classes; j++) top = (double)z[j] > top ? (double)z[j] : top;
        for (size_t j = 0; j < classes; j++) sum += exp((double)z[j] - top);
        loss += (draco_real)(log(sum) + top) - z[labels[r]];
        for (size_t j = 0; dlogits && j < classes; j++)
            dlogits[r * classes + j] =
                (draco_real)(exp((double)z[j] - top) / sum) - (j == (size_t)labels[r] ? (draco_real)1 : 0);
    }
    return loss;
}

#endif /* DRACO_NAIVE_H */
