/* draco_layers.h - the layers under the models: fully connected, ReLU, softmax cross-entropy,
   convolution, pooling, batch norm, embedding, dropout. Private to models/; needs C11 and GNU extensions.

   Shapes. Everything is row-major. A matrix of fully connected weights is [in][out], a convolution's weights
   are [kh][kw][ci][co], images are NHWC, so that one image row of a convolution is one row of a matrix
   product and a fully connected layer is a 1 x 1 convolution of a 1 x 1 image.

   Sums. A backward function adds to, or starts, the gradient of its weights: `beta` is 0 for the first
   micro-batch of a part and 1 after it. Gradients of activations are overwritten.

   Bits. Every function returns the same bits for the same input on the same library, instruction set and
   shape: loops run in one order, products run on one thread (draco_compute.h).

   License: MIT, see the end of the file. */
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
    int threads = draco_one_thread_begin();
    for (size_t first = 0; first < data->samples; first += micro) {
        size_t rows = data->samples - first < micro ? data->samples - first : micro;
        const float *z = logits(model, workspace, params, data, first, rows);
        draco_softmax_loss(rows, (size_t)data->classes, z, data->labels + first, &loss, &correct, NULL);
    }
    draco_one_thread_end(threads);
    score->samples = data->samples;
    score->loss = loss / (double)data->samples;
    score->accuracy = (double)correct / (double)data->samples;
    return DRACO_OK;
}

#endif /* DRACO_LAYERS_H */

/* Copyright (c) 2026 The Draco authors

   Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
   associated documentation files (the "Software"), to deal in the Software without restriction, including
   without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
   copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
   following conditions: the above copyright notice and this permission notice shall be included in all copies
   or substantial portions of the Software.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
   LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO
   EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER
   IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE
   USE OR OTHER DEALINGS IN THE SOFTWARE. */
