/* draco_textcnn.h - version 0.1.0 - Kim's convolutional network for sentences

   EMNLP 2014: word vectors, convolutions over 3, 4 and 5 words with 100 filters each, ReLU, maximum over the
   places of a sentence, dropout, one fully connected layer, softmax cross-entropy; an l2 norm constraint on
   the last weights.

   #define DRACO_TEXTCNN_IMPLEMENTATION in one .c file before including it; DRACO_TEXTCNN_STATIC, defined as
   well, makes a private copy. The switches bring draco.h and the data headers along. The implementation is
   C11 with GNU extensions and POSIX; link -lz -lm.

       draco_textcnn_config config = {.train = &train, .test = &test};
       draco_model model;
       if (draco_textcnn_open(&model, &config) < 0) ...
       ... draco_worker_config.model = &model; draco_trainer.model = &model; ...
       draco_textcnn_close(&model);

   Flat vector, with V words in the vocabulary, D = 300 and F = 100:

       word vectors        [V][D]       word number w at w * D; 0 is the padding word, always zero
       filters of 3 words  [3][D][F], bias [F]
       filters of 4 words  [4][D][F], bias [F]
       filters of 5 words  [5][D][F], bias [F]
       fully connected     [3 F][classes], bias [classes]

   then zeros to the next multiple of DRACO_BLOCK, then two statistics: sum of losses, count of correct
   predictions.
   Word vectors stand first so that draco_data_word2vec(path, &train.vocabulary, 300, params, ...) after init
   replaces the random vectors of the words that a word2vec file has.

   Gradient of the word vectors. Inside it is sparse: only the words of the part are touched. On the wire it
   is dense: all codes add and compare messages coordinate by coordinate, so messages of all workers must have
   the same coordinates, while a list of words depends on the part; and its length would have to be believed
   before the vote.

   Max over time leaves one place per sentence and filter, so the backward pass of the convolutions is sparse,
   too: it adds one window of word vectors per sentence and filter.

   Padding: four padding words before and after every sentence, so that each word stands at every place of
   every filter, as in Kim's program. Windows of padding alone do not count.

   Dropout: in training each of the 3 F features is kept with probability 1 - dropout, drawn from (seed, step,
   place in the batch), the same for every holder of a part; in evaluate the features are multiplied by 1 -
   dropout.

   Norm constraint: slot `project`, called with the whole parameter vector after every step of the optimizer:
   the weights of each class, a vector of 3 F, are scaled down to norm 3 when they are longer.

   Start: word vectors uniform in [-0.25, 0.25); filters and fully connected weights uniform with bound
   sqrt(6 / (inputs + outputs)) (Glorot); biases 0.

   Contract. open keeps the two data sets by reference; test may be NULL. Both have the vocabulary of train; a
   word number out of range is refused. The context is read only; every thread takes a workspace of its own
   (draco_textcnn_memory). A part is computed in micro-batches of at most DRACO_TEXTCNN_MICRO sentences: the
   bits depend on parameters, seed, step, first and count alone. Errors: DRACO_E_ARGUMENT, DRACO_E_MEMORY.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#if defined(DRACO_TEXTCNN_IMPLEMENTATION) && !defined(DRACO_DATA_IMPLEMENTATION)
#define DRACO_DATA_IMPLEMENTATION
#endif
#if defined(DRACO_TEXTCNN_STATIC) && !defined(DRACO_DATA_STATIC)
#define DRACO_DATA_STATIC
#endif
#include "draco_data.h"

#ifndef DRACO_TEXTCNN_H
#define DRACO_TEXTCNN_H

#include "draco_model.h"

#define DRACO_TEXTCNN_VERSION 0x000100
#ifndef DRACO_TEXTCNN_API
#ifdef DRACO_TEXTCNN_STATIC
#define DRACO_TEXTCNN_API DRACO_MODEL_INLINE
#else
#define DRACO_TEXTCNN_API extern
#endif
#endif

#ifndef DRACO_TEXTCNN_MICRO
#define DRACO_TEXTCNN_MICRO 32
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct draco_textcnn_config {
    const draco_dataset *train, *test;
    size_t dimension, filters; /* 0: 300 and 100 */
    float dropout;             /* 0: 0.5; negative: none */
    float norm;                /* greatest norm of the weights of a class; 0: 3; negative: unbounded */
} draco_textcnn_config;

DRACO_TEXTCNN_API draco_status draco_textcnn_open(draco_model *model, const draco_textcnn_config *config);
DRACO_TEXTCNN_API void draco_textcnn_close(draco_model *model);
/* samples: of the largest part of a batch. */
DRACO_TEXTCNN_API draco_model_memory draco_textcnn_memory(const draco_model *model, size_t samples);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_TEXTCNN_H */

#if defined(DRACO_TEXTCNN_IMPLEMENTATION) && !defined(DRACO_TEXTCNN_IMPLEMENTED)
#define DRACO_TEXTCNN_IMPLEMENTED

#include "draco_layers.h"

#define DR_TEXTCNN_BANKS 3 /* of filters: for 3, 4 and 5 words */
#define DR_TEXTCNN_PADDING 4

typedef struct draco_textcnn_priv {
    const draco_dataset *train, *test;
    size_t dimension, filters, features, classes; /* features: of all banks */
    size_t words[DR_TEXTCNN_BANKS];
    size_t weights[DR_TEXTCNN_BANKS], bias[DR_TEXTCNN_BANKS], fc, fc_bias;
    size_t starts[DR_TEXTCNN_BANKS + 2]; /* of the word vectors, the banks, the fully connected layer */
    size_t turned[DR_TEXTCNN_BANKS], bank_floats; /* places in a copy of all filters */
    size_t rows;                                  /* of word vectors in the largest micro-batch */
    size_t parameters, dim;
    uint32_t drop_below; /* a random word below this drops its feature */
    float keep, norm;
} draco_textcnn_priv;

/* x: the sentences of a micro-batch, one word vector per row, with padding between them. */
typedef struct dr_textcnn_workspace {
    float *x, *dx;   /* rows x dimension */
    float *y;        /* rows x filters: one bank at a time */
    float *w, *dw;   /* all filters as [filter][words][dimension], and their gradient */
    float *f, *df;   /* micro x features: after max, ReLU and dropout; gradient */
    float *kept;     /* micro x features: what dropout multiplies by */
    float *logits;   /* micro x classes */
    uint32_t *place; /* micro x features: the row where the best window begins */
    int32_t labels[DRACO_TEXTCNN_MICRO];
    size_t sample[DRACO_TEXTCNN_MICRO], begin[DRACO_TEXTCNN_MICRO], length[DRACO_TEXTCNN_MICRO];
    size_t rows; /* of this micro-batch */
} dr_textcnn_workspace;

static size_t dr_textcnn_layout(const draco_textcnn_priv *net, dr_textcnn_workspace *w, float *base) {
    const size_t micro = DRACO_TEXTCNN_MICRO;
    struct {
        float **pointer;
        size_t floats;
    } field[] = {{&w->x, net->rows * net->dimension}, {&w->dx, net->rows * net->dimension},
                 {&w->y, net->rows * net->filters},   {&w->w, net->bank_floats},
                 {&w->dw, net->bank_floats},          {&w->f, micro * net->features},
                 {&w->df, micro * net->features},     {&w->kept, micro * net->features},
                 {&w->logits, micro * net->classes}};
    size_t at = 0;
    for (size_t i = 0; i < sizeof field / sizeof field[0]; i++) {
        if (base) *field[i].pointer = base + at;
        at += (field[i].floats + 15) / 16 * 16;
    }
    return at;
}

static void dr_textcnn_workspace_free(void *ctx, void *workspace) {
    (void)ctx;
    dr_textcnn_workspace *w = workspace;
    if (w) {
        free(w->x);
        free(w->place);
    }
    free(w);
}

static draco_status dr_textcnn_workspace_new(void *ctx, void **workspace) {
    const draco_textcnn_priv *net = ctx;
    dr_textcnn_workspace *w = draco_model_alloc(1, sizeof *w);
    if (!w) return DRACO_E_MEMORY;
    float *base = draco_model_alloc(dr_textcnn_layout(net, w, NULL), sizeof *base);
    w->place = draco_model_alloc(DRACO_TEXTCNN_MICRO * net->features, sizeof *w->place);
    if (!base || !w->place) {
        free(base);
        free(w->place);
        free(w);
        return DRACO_E_MEMORY;
    }
    dr_textcnn_layout(net, w, base);
    *workspace = w;
    return DRACO_OK;
}

static draco_status dr_textcnn_init(void *ctx, uint64_t seed, float *params) {
    const draco_textcnn_priv *net = ctx;
    draco_compute_guard threads = draco_compute_begin();
    memset(params, 0, net->dim * sizeof *params);
    draco_model_uniform(seed, 0, 0.25f, params + net->dimension, net->weights[0] - net->dimension);
    for (size_t b = 0; b < DR_TEXTCNN_BANKS; b++) {
        size_t inputs = net->words[b] * net->dimension;
        float bound = sqrtf(6.0f / (float)(inputs + net->filters));
        draco_model_uniform(seed, 1 + b, bound, params + net->weights[b], inputs * net->filters);
    }
    draco_model_uniform(seed, 1 + DR_TEXTCNN_BANKS, sqrtf(6.0f / (float)(net->features + net->classes)),
                        params + net->fc, net->features * net->classes);
    draco_compute_end(threads);
    return DRACO_OK;
}

/* ---- Forward ---- */

/* The word vectors of the sentences sample[0 .. count), with padding before, between and after them. */
static void dr_textcnn_embed(const draco_textcnn_priv *net, dr_textcnn_workspace *w,
                             const draco_dataset *data, size_t count, const float *params) {
    const size_t padding = DR_TEXTCNN_PADDING, d = net->dimension;
    size_t row = padding;
    memset(w->x, 0, padding * d * sizeof *w->x);
    for (size_t i = 0; i < count; i++) {
        const int32_t *word = draco_dataset_words(data, w->sample[i], &w->length[i]);
        w->begin[i] = row;
        for (size_t k = 0; k < w->length[i]; k++, row++)
            memcpy(w->x + row * d, params + (size_t)word[k] * d, d * sizeof *w->x);
        memset(w->x + row * d, 0, padding * d * sizeof *w->x);
        row += padding;
    }
    w->rows = row;
}

/* The largest value of each filter over the windows of a sentence; of equal ones the first. */
static void dr_textcnn_best(const draco_textcnn_priv *net, dr_textcnn_workspace *w, size_t bank, size_t i,
                            float *best, uint32_t *place) {
    size_t first = w->begin[i] - (net->words[bank] - 1), last = w->begin[i] + w->length[i] - 1;
    memcpy(best, w->y + first * net->filters, net->filters * sizeof *best);
    for (size_t f = 0; f < net->filters; f++) place[f] = (uint32_t)first;
    for (size_t t = first + 1; t <= last; t++) {
        const float *y = w->y + t * net->filters;
        for (size_t f = 0; f < net->filters; f++) {
            place[f] = y[f] > best[f] ? (uint32_t)t : place[f];
            best[f] = y[f] > best[f] ? y[f] : best[f];
        }
    }
}

/* One bank: windows are rows that overlap, then the maximum, bias and ReLU. */
static void dr_textcnn_bank(const draco_textcnn_priv *net, dr_textcnn_workspace *w, size_t bank, size_t count,
                            const float *params) {
    size_t d = net->dimension, windows = w->rows - (net->words[bank] - 1);
    const float *weights = params + net->weights[bank], *bias = params + net->bias[bank];
    draco_sgemm('N', 'N', windows, net->filters, net->words[bank] * d, w->x, d, weights, net->filters, 0.0f,
                w->y, net->filters);
    for (size_t i = 0; i < count; i++) {
        size_t at = i * net->features + bank * net->filters;
        dr_textcnn_best(net, w, bank, i, w->f + at, w->place + at);
        for (size_t f = 0; f < net->filters; f++) {
            float value = w->f[at + f] + bias[f];
            w->f[at + f] = value > 0 ? value : 0;
        }
    }
}

static void dr_textcnn_features(const draco_textcnn_priv *net, dr_textcnn_workspace *w,
                                const draco_dataset *data, size_t count, const float *params) {
    dr_textcnn_embed(net, w, data, count, params);
    for (size_t bank = 0; bank < DR_TEXTCNN_BANKS; bank++) dr_textcnn_bank(net, w, bank, count, params);
}

/* Which features of the sample at this place of the batch are kept. */
static void dr_textcnn_drop(const draco_textcnn_priv *net, const draco_batch *batch, size_t place,
                            float *kept) {
    const uint64_t key = batch->seed ^ 0x64726F70u; /* apart from the draws of the samples */
    size_t blocks = (net->features + 3) / 4;
    uint32_t word[4];
    for (size_t f = 0; f < net->features; f++) {
        if (f % 4 == 0) draco_random(key, batch->step, place * blocks + f / 4, word);
        kept[f] = word[f % 4] >= net->drop_below ? 1.0f : 0.0f;
    }
}

/* ---- Backward ---- */

/* df -> gradients of filters (as [filter][words][dimension]), biases and word vectors: through the best
 * windows. */
static void dr_textcnn_bank_backward(const draco_textcnn_priv *net, dr_textcnn_workspace *w, size_t bank,
                                     size_t count, float *grad) {
    size_t window = net->words[bank] * net->dimension;
    for (size_t f = 0; f < net->filters; f++) {
        const float *weights = w->w + net->turned[bank] + f * window;
        float *dw = w->dw + net->turned[bank] + f * window;
        for (size_t i = 0; i < count; i++) {
            size_t at = i * net->features + bank * net->filters + f, place = w->place[at] * net->dimension;
            if (w->df[at] == 0) continue;
            draco_add(window, w->df[at], w->x + place, dw);
            draco_add(window, w->df[at], weights, w->dx + place);
            grad[net->bias[bank] + f] += w->df[at];
        }
    }
}

static void dr_textcnn_words_backward(const draco_textcnn_priv *net, dr_textcnn_workspace *w, size_t count,
                                      float *grad) {
    for (size_t i = 0; i < count; i++) {
        size_t length;
        const int32_t *word = draco_dataset_words(net->train, w->sample[i], &length);
        for (size_t k = 0; k < length; k++) {
            const float *dx = w->dx + (w->begin[i] + k) * net->dimension;
            draco_add(net->dimension, 1, dx, grad + (size_t)word[k] * net->dimension);
        }
    }
}

/* logits: their gradient. */
static void dr_textcnn_backward(const draco_textcnn_priv *net, dr_textcnn_workspace *w, size_t count,
                                const float *params, float *grad) {
    draco_fc_backward(count, net->features, net->classes, w->f, params + net->fc, w->logits, 1.0f,
                      grad + net->fc, grad + net->fc_bias, w->df);
    /* A feature that was dropped, or cut off by the ReLU, is 0 and passes nothing on. */
    draco_relu_backward(count * net->features, w->f, w->df);
    memset(w->dx, 0, w->rows * net->dimension * sizeof *w->dx);
    for (size_t bank = 0; bank < DR_TEXTCNN_BANKS; bank++)
        dr_textcnn_bank_backward(net, w, bank, count, grad);
    dr_textcnn_words_backward(net, w, count, grad);
}

static void dr_textcnn_micro(const draco_textcnn_priv *net, dr_textcnn_workspace *w, const draco_batch *batch,
                             size_t first, size_t count, const float *params, float *grad, double *loss,
                             size_t *correct) {
    for (size_t k = 0; k < count; k++) {
        w->sample[k] = draco_dataset_draw(net->train, batch, first + k);
        w->labels[k] = net->train->labels[w->sample[k]];
        dr_textcnn_drop(net, batch, batch->first + first + k, w->kept + k * net->features);
    }
    dr_textcnn_features(net, w, net->train, count, params);
    for (size_t i = 0; i < count * net->features; i++) w->f[i] *= w->kept[i];
    draco_fc_forward(count, net->features, net->classes, w->f, params + net->fc, params + net->fc_bias,
                     w->logits);
    draco_softmax_loss(count, net->classes, w->logits, w->labels, loss, correct, w->logits);
    dr_textcnn_backward(net, w, count, params, grad);
}

static draco_status dr_textcnn_gradient(void *ctx, void *workspace, const float *params,
                                        const draco_batch *batch, float *grad) {
    const draco_textcnn_priv *net = ctx;
    dr_textcnn_workspace *w = workspace;
    size_t pieces = draco_micro_count(batch->count, DRACO_TEXTCNN_MICRO), correct = 0;
    double loss = 0;
    draco_compute_guard threads = draco_compute_begin();
    memset(grad, 0, net->parameters * sizeof *grad);
    memset(w->dw, 0, net->bank_floats * sizeof *w->dw);
    for (size_t b = 0; b < DR_TEXTCNN_BANKS; b++)
        draco_transpose(net->words[b] * net->dimension, net->filters, params + net->weights[b], net->filters,
                        w->w + net->turned[b], net->words[b] * net->dimension);
    for (size_t i = 0; i < pieces; i++) {
        size_t first, count;
        draco_micro_range(batch->count, DRACO_TEXTCNN_MICRO, i, &first, &count);
        dr_textcnn_micro(net, w, batch, first, count, params, grad, &loss, &correct);
    }
    for (size_t b = 0; b < DR_TEXTCNN_BANKS; b++)
        draco_transpose(net->filters, net->words[b] * net->dimension, w->dw + net->turned[b],
                        net->words[b] * net->dimension, grad + net->weights[b], net->filters);
    draco_model_write_score(grad, net->parameters, loss, correct);
    draco_compute_end(threads);
    return DRACO_OK;
}

/* ---- The other slots ---- */

static void dr_textcnn_project(void *ctx, float *params) {
    const draco_textcnn_priv *net = ctx;
    if (net->norm < 0) return;
    draco_compute_guard threads = draco_compute_begin();
    for (size_t c = 0; c < net->classes; c++) {
        float *w = params + net->fc + c;
        double square = 0;
        for (size_t i = 0; i < net->features; i++)
            square += (double)w[i * net->classes] * (double)w[i * net->classes];
        if (sqrt(square) <= (double)net->norm) continue;
        float scale = (float)((double)net->norm / sqrt(square));
        for (size_t i = 0; i < net->features; i++) w[i * net->classes] *= scale;
    }
    draco_compute_end(threads);
}

static void dr_textcnn_progress(void *ctx, const float *sum, size_t samples, draco_score *score) {
    const draco_textcnn_priv *net = ctx;
    draco_model_progress(sum, net->parameters, samples, score);
}

static const float *dr_textcnn_logits(const void *model, void *workspace, const float *params,
                                      const draco_dataset *data, size_t first, size_t rows) {
    const draco_textcnn_priv *net = model;
    dr_textcnn_workspace *w = workspace;
    for (size_t k = 0; k < rows; k++) w->sample[k] = first + k;
    dr_textcnn_features(net, w, data, rows, params);
    for (size_t i = 0; i < rows * net->features; i++) w->f[i] *= net->keep;
    draco_fc_forward(rows, net->features, net->classes, w->f, params + net->fc, params + net->fc_bias,
                     w->logits);
    return w->logits;
}

static draco_status dr_textcnn_evaluate(void *ctx, void *workspace, const float *params, draco_score *score) {
    const draco_textcnn_priv *net = ctx;
    return draco_evaluate(net, workspace, params, net->test, DRACO_TEXTCNN_MICRO, dr_textcnn_logits, score);
}

/* ---- Opening ---- */

/* Labelled sentences with words of a vocabulary of this size; *longest: words of the longest. */
static int dr_textcnn_fits(const draco_dataset *data, const draco_dataset *like, size_t *longest) {
    if (!data || data->samples == 0 || !data->words || !data->starts || !data->labels) return 0;
    if (data->classes < 2 || data->classes != like->classes) return 0;
    for (size_t i = 0; i < data->samples; i++) {
        size_t length;
        const int32_t *word = draco_dataset_words(data, i, &length);
        if (length == 0 || length > DRACO_DATA_MAX_SENTENCE) return 0;
        for (size_t k = 0; k < length; k++)
            if (word[k] < 0 || (size_t)word[k] >= like->vocabulary.size) return 0;
        *longest = draco_max_size(*longest, length);
    }
    return 1;
}

static void dr_textcnn_build(draco_textcnn_priv *net, size_t longest) {
    size_t at = net->train->vocabulary.size * net->dimension;
    for (size_t b = 0; b < DR_TEXTCNN_BANKS; b++) {
        net->words[b] = 3 + b;
        size_t floats = net->words[b] * net->dimension * net->filters;
        net->turned[b] = net->bank_floats;
        net->bank_floats += floats;
        net->weights[b] = net->starts[b + 1] = at;
        net->bias[b] = at + floats;
        at += floats + net->filters;
    }
    net->features = DR_TEXTCNN_BANKS * net->filters;
    net->fc = net->starts[DR_TEXTCNN_BANKS + 1] = at;
    net->fc_bias = net->fc + net->features * net->classes;
    net->parameters = net->fc_bias + net->classes;
    net->dim = draco_model_dim(net->parameters, DRACO_MODEL_STATS);
    net->rows = DR_TEXTCNN_PADDING + DRACO_TEXTCNN_MICRO * (longest + DR_TEXTCNN_PADDING);
}

DRACO_TEXTCNN_API draco_status draco_textcnn_open(draco_model *model, const draco_textcnn_config *config) {
    size_t longest = 1;
    if (!dr_textcnn_fits(config->train, config->train, &longest)) return DRACO_E_ARGUMENT;
    if (config->test && !dr_textcnn_fits(config->test, config->train, &longest)) return DRACO_E_ARGUMENT;
    if (config->dimension > 4096 || config->filters > 4096 || config->dropout >= 1) return DRACO_E_ARGUMENT;
    draco_textcnn_priv *net = draco_model_alloc(1, sizeof *net);
    if (!net) return DRACO_E_MEMORY;
    net->train = config->train;
    net->test = config->test;
    net->classes = (size_t)config->train->classes;
    net->dimension = config->dimension ? config->dimension : 300;
    net->filters = config->filters ? config->filters : 100;
    net->norm = config->norm == 0 ? 3.0f : config->norm;
    float dropout = config->dropout == 0 ? 0.5f : config->dropout < 0 ? 0 : config->dropout;
    net->drop_below = (uint32_t)((double)dropout * 0x1p32);
    net->keep = 1.0f - dropout;
    dr_textcnn_build(net, longest);
    memset(model, 0, sizeof *model);
    model->size = sizeof *model;
    model->name = "textcnn";
    model->ctx = net;
    model->dim = net->dim;
    model->parameters = net->parameters;
    model->layers = net->starts;
    model->layer_count = DR_TEXTCNN_BANKS + 2;
    model->init = dr_textcnn_init;
    model->workspace_new = dr_textcnn_workspace_new;
    model->workspace_free = dr_textcnn_workspace_free;
    model->gradient = dr_textcnn_gradient;
    model->project = dr_textcnn_project;
    model->progress = dr_textcnn_progress;
    model->evaluate = config->test ? dr_textcnn_evaluate : NULL;
    return DRACO_OK;
}

DRACO_TEXTCNN_API void draco_textcnn_close(draco_model *model) {
    free(model->ctx);
    memset(model, 0, sizeof *model);
}

DRACO_TEXTCNN_API draco_model_memory draco_textcnn_memory(const draco_model *model, size_t samples) {
    const draco_textcnn_priv *net = model->ctx;
    dr_textcnn_workspace unused;
    (void)samples; /* the workspace holds a whole micro-batch at once */
    draco_model_memory memory = {sizeof *net, sizeof unused};
    memory.workspace += dr_textcnn_layout(net, &unused, NULL) * sizeof(float);
    memory.workspace += DRACO_TEXTCNN_MICRO * net->features * sizeof(uint32_t);
    return memory;
}

#endif /* DRACO_TEXTCNN_IMPLEMENTATION */
