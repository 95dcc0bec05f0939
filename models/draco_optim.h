/* draco_optim.h - version 0.1.0 - optimizers, schedules of the rate, clipping, weight decay

   #define DRACO_OPTIM_IMPLEMENTATION in one .c file before including it; DRACO_OPTIM_STATIC, defined as well,
   makes a private copy. The switches bring draco.h along. The implementation is C11; link -lm.

       draco_optim_config config = {0};             (zero: the default of every field)
       draco_optim memory;
       draco_optimizer optimizer;
       config.kind = DRACO_OPTIM_MOMENTUM;
       config.rate = 0.05f;
       if (draco_optim_open(&optimizer, &memory, &config) < 0) return 2;
       optimizer.step(optimizer.ctx, &info, params, gradient, state, count);

   g is the mean gradient, clipped: g x min(1, clip / ||g||). p are the parameters, w the weight decay, r
   the rate of this step.

     sgd       g += w p;  p -= r g
     momentum  g += w p;  v = mu v + g;  p -= r v
     nesterov  g += w p;  v = mu v + g;  p -= r (g + mu v)
     adam      g += w p;  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
               p -= r (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps),  t = step + 1
     adamw     p -= r w p;  then adam with the plain g

   Sources: momentum: Polyak 1964 (heavy ball); nesterov: Sutskever et al., ICML 2013, section 2, with the
   rate outside of v; adam: Kingma and Ba, ICLR 2015, algorithm 1; adamw: Loshchilov and Hutter, ICLR 2019,
   algorithm 2; clipping: Pascanu et al., ICML 2013.

   Rate at step k = 0, 1, ...: rate x warm-up(k) x schedule(k):

     warm-up    (k + 1) / warmup while k < warmup, else 1
     constant   1
     step       factor ^ floor(k / period)
     cosine     1 while k < warmup, then floor + (1 - floor) (1 + cos(pi x)) / 2,
                x = (k - warmup) / (steps - warmup), at most 1     (Loshchilov and Hutter, ICLR 2017)

   Contract. step works on each coordinate alone, with one rounding per operation in a fixed order: shards
   of the vector, any split of it, any number of threads and any processor give the same bits. state: state_per_parameter
   x count floats, zero at the start, first v (or m), then Adam's v; the caller's, and part of a checkpoint.
   The step number is the only other state. The context is read only after open, so one optimizer may serve
   several shards at once. A norm that is not finite is DRACO_E_RANGE and moves nothing; open refuses values
   out of range with DRACO_E_ARGUMENT and fills the optimizer only on success. No memory is allocated.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#if defined(DRACO_OPTIM_IMPLEMENTATION) && !defined(DRACO_IMPLEMENTATION)
#define DRACO_IMPLEMENTATION
#endif
#if defined(DRACO_OPTIM_STATIC) && !defined(DRACO_STATIC)
#define DRACO_STATIC
#endif
#include "../draco.h"

#ifndef DRACO_OPTIM_H
#define DRACO_OPTIM_H

#define DRACO_OPTIM_VERSION 0x000100 /* 0.1.0 */

#if defined(__GNUC__)
#define DRACO_OPTIM_PRIVATE static __attribute__((unused))
#else
#define DRACO_OPTIM_PRIVATE static
#endif
#ifndef DRACO_OPTIM_API
#ifdef DRACO_OPTIM_STATIC
#define DRACO_OPTIM_API DRACO_OPTIM_PRIVATE
#else
#define DRACO_OPTIM_API extern
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum draco_optim_kind {
    DRACO_OPTIM_SGD = 0,
    DRACO_OPTIM_MOMENTUM,
    DRACO_OPTIM_NESTEROV,
    DRACO_OPTIM_ADAM,
    DRACO_OPTIM_ADAMW
} draco_optim_kind;

typedef enum draco_schedule {
    DRACO_SCHEDULE_CONSTANT = 0,
    DRACO_SCHEDULE_STEP,
    DRACO_SCHEDULE_COSINE
} draco_schedule;

typedef struct draco_optim_config {
    draco_optim_kind kind;
    float rate;         /* 0: 0.1 sgd, 0.01 momentum and nesterov, 0.001 adam and adamw */
    float momentum;     /* mu, 0: 0.9 */
    float beta1, beta2; /* 0: 0.9, 0.999 */
    float epsilon;      /* 0: 1e-8 */
    float weight_decay; /* 0: none */
    float clip;         /* greatest norm of a gradient; 0: none */
    draco_schedule schedule;
    uint64_t warmup; /* steps; 0: none */
    uint64_t period; /* step: steps between two drops; needed */
    float factor;    /* step: 0: 0.1 */
    uint64_t steps;  /* cosine: the step at which the floor is reached; needed */
    float floor;     /* cosine: share of the rate that is left at the end */
} draco_optim_config;

typedef struct draco_optim {
    draco_optim_config config; /* defaults filled in */
} draco_optim;

/* memory stays with the optimizer and is read only from now on. */
DRACO_OPTIM_API draco_status draco_optim_open(draco_optimizer *optimizer, draco_optim *memory,
                                              const draco_optim_config *config);
/* The rate of a step. */
DRACO_OPTIM_API double draco_optim_rate(const draco_optim *memory, uint64_t step);

/* For command lines: 1 and the value that a name stands for, or 0 when there is none. */
DRACO_OPTIM_API int draco_optim_kind_of(const char *name, draco_optim_kind *kind);
DRACO_OPTIM_API int draco_schedule_of(const char *name, draco_schedule *schedule);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_OPTIM_H */

#if defined(DRACO_OPTIM_IMPLEMENTATION) && !defined(DRACO_OPTIM_IMPLEMENTED)
#define DRACO_OPTIM_IMPLEMENTED

#ifdef __cplusplus
#error "draco_optim.h: the implementation is C11: compile it in a .c file"
#endif

#include "draco_math.h"

#include <string.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

static const char *const dr_optim_kinds[] = {"sgd", "momentum", "nesterov", "adam", "adamw"};
static const char *const dr_optim_schedules[] = {"constant", "step", "cosine"};

DRACO_OPTIM_PRIVATE int dr_optim_look_up(const char *name, const char *const *names, int count) {
    for (int i = 0; i < count; i++)
        if (name != NULL && strcmp(name, names[i]) == 0) return i;
    return -1;
}

DRACO_OPTIM_API int draco_optim_kind_of(const char *name, draco_optim_kind *kind) {
    const int found = dr_optim_look_up(name, dr_optim_kinds, 5);
    if (found >= 0) *kind = (draco_optim_kind)found;
    return found >= 0;
}

DRACO_OPTIM_API int draco_schedule_of(const char *name, draco_schedule *schedule) {
    const int found = dr_optim_look_up(name, dr_optim_schedules, 3);
    if (found >= 0) *schedule = (draco_schedule)found;
    return found >= 0;
}

/* ---- Rate: plain arithmetic in double, so that every machine gets the same bits ---- */

/* base^exponent by squaring. */
DRACO_OPTIM_PRIVATE double dr_optim_power(double base, uint64_t exponent) {
    double result = 1.0;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1) result *= base;
        base *= base;
    }
    return result;
}

DRACO_OPTIM_API double draco_optim_rate(const draco_optim *memory, uint64_t step) {
    const draco_optim_config *c = &memory->config;
    double rate = (double)c->rate;
    if (step < c->warmup) rate *= (double)(step + 1) / (double)c->warmup;
    if (c->schedule == DRACO_SCHEDULE_STEP) rate *= dr_optim_power((double)c->factor, step / c->period);
    if (c->schedule == DRACO_SCHEDULE_COSINE && step >= c->warmup) {
        const double length = (double)(c->steps - c->warmup);
        const double x = step >= c->steps ? 1.0 : (double)(step - c->warmup) / length;
        const double floor = (double)c->floor;
        rate *= floor + (1.0 - floor) * 0.5 * (1.0 + draco_cos_pi(x));
    }
    return rate;
}

/* ---- Steps ---- */

/* What all coordinates of a step share. */
typedef struct dr_optim_step {
    draco_optim_kind kind;
    float rate, scale, decay, momentum;
    float beta1, beta2, rest1, rest2; /* rest = 1 - beta */
    float first, second;              /* Adam: 1 / (1 - beta^t) */
    float epsilon;
    float keep; /* AdamW: 1 - rate x decay */
} dr_optim_step;

DRACO_OPTIM_PRIVATE void dr_optim_sgd(const dr_optim_step *s, float *restrict p, const float *restrict g,
                                      size_t count) {
    const float rate = s->rate, scale = s->scale, decay = s->decay;
    for (size_t i = 0; i < count; i++) p[i] -= rate * (scale * g[i] + decay * p[i]);
}

DRACO_OPTIM_PRIVATE void dr_optim_momentum(const dr_optim_step *s, float *restrict p, const float *restrict g,
                                           float *restrict v, size_t count) {
    const float rate = s->rate, scale = s->scale, decay = s->decay, mu = s->momentum;
    for (size_t i = 0; i < count; i++) {
        v[i] = mu * v[i] + (scale * g[i] + decay * p[i]);
        p[i] -= rate * v[i];
    }
}

DRACO_OPTIM_PRIVATE void dr_optim_nesterov(const dr_optim_step *s, float *restrict p, const float *restrict g,
                                           float *restrict v, size_t count) {
    const float rate = s->rate, scale = s->scale, decay = s->decay, mu = s->momentum;
    for (size_t i = 0; i < count; i++) {
        const float gradient = scale * g[i] + decay * p[i];
        v[i] = mu * v[i] + gradient;
        p[i] -= rate * (gradient + mu * v[i]);
    }
}

/* x[i] = sqrt(x[i]). The compiler would not take the roots four at a time, as sqrtf may set errno; a root
   that is correctly rounded has the same bits either way. */
DRACO_OPTIM_PRIVATE void dr_optim_roots(float *x, size_t count) {
    size_t i = 0;
#ifdef __SSE__
    for (; i + 4 <= count; i += 4) _mm_storeu_ps(x + i, _mm_sqrt_ps(_mm_loadu_ps(x + i)));
#endif
    for (; i < count; i++) x[i] = sqrtf(x[i]);
}

#define DR_OPTIM_ROOTS 512 /* roots that are taken at a time */

/* At most DR_OPTIM_ROOTS coordinates. */
DRACO_OPTIM_PRIVATE void dr_optim_adam_few(const dr_optim_step *s, float *restrict p, const float *restrict g,
                                           float *restrict m, float *restrict v, size_t count) {
    const float rate = s->rate, scale = s->scale, keep = s->keep, epsilon = s->epsilon;
    const float decay = s->kind == DRACO_OPTIM_ADAM ? s->decay : 0.0f;
    const float beta1 = s->beta1, beta2 = s->beta2, rest1 = s->rest1, rest2 = s->rest2;
    const float first = s->first, second = s->second;
    float root[DR_OPTIM_ROOTS];
    for (size_t i = 0; i < count; i++) {
        const float gradient = scale * g[i] + decay * p[i];
        m[i] = beta1 * m[i] + rest1 * gradient;
        v[i] = beta2 * v[i] + rest2 * (gradient * gradient);
        root[i] = second * v[i];
    }
    dr_optim_roots(root, count);
    for (size_t i = 0; i < count; i++) p[i] = keep * p[i] - rate * (first * m[i]) / (root[i] + epsilon);
}

DRACO_OPTIM_PRIVATE void dr_optim_adam(const dr_optim_step *s, float *p, const float *g, float *m, float *v,
                                       size_t count) {
    for (size_t first = 0; first < count; first += DR_OPTIM_ROOTS) {
        const size_t left = count - first;
        dr_optim_adam_few(s, p + first, g + first, m + first, v + first,
                          left < DR_OPTIM_ROOTS ? left : DR_OPTIM_ROOTS);
    }
}

DRACO_OPTIM_PRIVATE draco_status dr_optim_prepare(const draco_optim *memory, const draco_step_info *info,
                                                  dr_optim_step *s) {
    const draco_optim_config *c = &memory->config;
    const double rate = draco_optim_rate(memory, info->step), clip = (double)c->clip;
    memset(s, 0, sizeof *s);
    s->kind = c->kind;
    s->rate = (float)rate;
    s->scale = 1.0f;
    if (clip > 0.0) {
        if (!(info->norm >= 0.0 && info->norm <= 1e300)) return DRACO_E_RANGE;
        if (info->norm > clip) s->scale = (float)(clip / info->norm);
    }
    s->decay = c->weight_decay;
    s->momentum = c->momentum;
    s->beta1 = c->beta1;
    s->beta2 = c->beta2;
    s->rest1 = (float)(1.0 - (double)c->beta1);
    s->rest2 = (float)(1.0 - (double)c->beta2);
    s->first = (float)(1.0 / (1.0 - dr_optim_power((double)c->beta1, info->step + 1)));
    s->second = (float)(1.0 / (1.0 - dr_optim_power((double)c->beta2, info->step + 1)));
    s->epsilon = c->epsilon;
    s->keep = c->kind == DRACO_OPTIM_ADAMW ? (float)(1.0 - rate * (double)c->weight_decay) : 1.0f;
    return DRACO_OK;
}

/* Coordinates first..first+n-1 of `count`. */
DRACO_OPTIM_PRIVATE void dr_optim_range(const dr_optim_step *s, float *params, const float *gradient,
                                        float *state, size_t count, size_t first, size_t n) {
    float *p = params + first;
    const float *g = gradient + first;
    const draco_math_mode mode = draco_math_begin(); /* of this thread */
    switch (s->kind) {
    case DRACO_OPTIM_SGD:
        dr_optim_sgd(s, p, g, n);
        break;
    case DRACO_OPTIM_MOMENTUM:
        dr_optim_momentum(s, p, g, state + first, n);
        break;
    case DRACO_OPTIM_NESTEROV:
        dr_optim_nesterov(s, p, g, state + first, n);
        break;
    case DRACO_OPTIM_ADAM:
    case DRACO_OPTIM_ADAMW:
        dr_optim_adam(s, p, g, state + first, state + count + first, n);
        break;
    }
    draco_math_end(mode);
}

#define DR_OPTIM_PIECE ((size_t)1 << 15) /* coordinates that a thread takes at a time */

DRACO_OPTIM_PRIVATE draco_status dr_optim_step_all(void *ctx, const draco_step_info *info, float *params,
                                                   const float *gradient, float *state, size_t count) {
    dr_optim_step s;
    if (ctx == NULL || info == NULL || params == NULL || gradient == NULL) return DRACO_E_ARGUMENT;
    draco_status status = dr_optim_prepare((const draco_optim *)ctx, info, &s);
    if (status != DRACO_OK) return status;
    if (state == NULL && s.kind != DRACO_OPTIM_SGD) return DRACO_E_ARGUMENT;
    const size_t pieces = (count + DR_OPTIM_PIECE - 1) / DR_OPTIM_PIECE;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) if (pieces > 4)
#endif
    for (size_t i = 0; i < pieces; i++) {
        const size_t first = i * DR_OPTIM_PIECE, left = count - first;
        dr_optim_range(&s, params, gradient, state, count, first,
                       left < DR_OPTIM_PIECE ? left : DR_OPTIM_PIECE);
    }
    return DRACO_OK;
}

/* ---- Set-up ---- */

DRACO_OPTIM_PRIVATE void dr_optim_default(float *value, float otherwise) {
    if (!(*value < 0.0f || *value > 0.0f)) *value = *value != *value ? *value : otherwise;
}

DRACO_OPTIM_PRIVATE int dr_optim_within(float value, float low, float high) {
    return value >= low && value <= high; /* NaN is not */
}

DRACO_OPTIM_PRIVATE int dr_optim_valid(const draco_optim_config *c) {
    const float below_one = 0.99999994f, huge = 1e30f;
    if (c->kind < DRACO_OPTIM_SGD || c->kind > DRACO_OPTIM_ADAMW) return 0;
    if (c->schedule < DRACO_SCHEDULE_CONSTANT || c->schedule > DRACO_SCHEDULE_COSINE) return 0;
    if (c->schedule == DRACO_SCHEDULE_STEP && c->period == 0) return 0;
    if (c->schedule == DRACO_SCHEDULE_COSINE && c->steps <= c->warmup) return 0;
    return dr_optim_within(c->rate, 1e-30f, huge) && dr_optim_within(c->momentum, 0.0f, below_one) &&
           dr_optim_within(c->beta1, 0.0f, below_one) && dr_optim_within(c->beta2, 0.0f, below_one) &&
           dr_optim_within(c->epsilon, 1e-30f, huge) && dr_optim_within(c->weight_decay, 0.0f, huge) &&
           dr_optim_within(c->clip, 0.0f, huge) && dr_optim_within(c->factor, 0.0f, 1.0f) &&
           dr_optim_within(c->floor, 0.0f, 1.0f);
}

DRACO_OPTIM_API draco_status draco_optim_open(draco_optimizer *optimizer, draco_optim *memory,
                                              const draco_optim_config *config) {
    static const float rates[] = {0.1f, 0.01f, 0.01f, 0.001f, 0.001f};
    static const size_t states[] = {0, 1, 1, 2, 2};
    if (optimizer == NULL || memory == NULL || config == NULL) return DRACO_E_ARGUMENT;
    draco_optim_config c = *config;
    if (c.kind < DRACO_OPTIM_SGD || c.kind > DRACO_OPTIM_ADAMW) return DRACO_E_ARGUMENT;
    dr_optim_default(&c.rate, rates[c.kind]);
    dr_optim_default(&c.momentum, 0.9f);
    dr_optim_default(&c.beta1, 0.9f);
    dr_optim_default(&c.beta2, 0.999f);
    dr_optim_default(&c.epsilon, 1e-8f);
    dr_optim_default(&c.factor, 0.1f);
    if (!dr_optim_valid(&c)) return DRACO_E_ARGUMENT;
    memory->config = c;
    memset(optimizer, 0, sizeof *optimizer);
    optimizer->size = sizeof *optimizer;
    optimizer->name = dr_optim_kinds[c.kind];
    optimizer->ctx = memory;
    optimizer->wants_norm = c.clip > 0.0f;
    optimizer->state_per_parameter = states[c.kind];
    optimizer->step = dr_optim_step_all;
    return DRACO_OK;
}

#endif /* DRACO_OPTIM_IMPLEMENTATION */
