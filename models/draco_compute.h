/* draco_compute.h - version 0.1.0 - products of matrices and images with the same bits on every processor

   Part of the implementation of the models: C11 with GNU extensions, static functions; nothing to link.

   Bits. Every element of a product is one chain of fused multiply-adds over k in ascending order. Vectors run
   over rows and columns of the result, never over k; tiles over k load what is there and continue the chain.
   So the result depends on the inputs alone: not on the processor, kernel, compiler, tiles, alignment or
   threads. The plain kernel is the definition, the others are faster.

   Kernels. AVX-512, AVX2 and NEON, chosen when the first product is computed: the best that the processor
   has, or the one named to draco_isa_set.

   Compute calls stand between draco_compute_begin and draco_compute_end: rounding to nearest, no flushing of
   subnormal numbers to zero, whatever the calling thread has set. A product runs on the thread that calls it.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#ifndef DRACO_COMPUTE_H
#define DRACO_COMPUTE_H

#include "draco_model.h"

#if defined(__cplusplus) || !defined(__GNUC__)
#error "draco_compute.h: part of the models' implementation, C with GNU extensions: -std=gnu11"
#endif

#include <stdio.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "draco_math.h"

#define DRACO_LAYER DRACO_MODEL_INLINE

typedef draco_math_mode draco_compute_guard;

DRACO_LAYER draco_compute_guard draco_compute_begin(void) {
    return draco_math_begin();
}

DRACO_LAYER void draco_compute_end(draco_compute_guard before) {
    draco_math_end(before);
}

/* ---- Kernels: a tile of the result stays in registers while k is walked ---- */

#define DRACO_TILE_ROWS 12
#define DRACO_TILE_COLUMNS 32

/* c[i][j] = (start ? start[i start_ld + j] : 0) + sum over l < k of a[i row + l col] b[l ldb + j], where b has whole vectors
   of columns and the last one of c and start `tail` floats; `count` times, each time by the steps further. Lines of a tile's
   width are fetched: those at soon + i ldc at once where nothing is read at `start`, for soon not NULL, and at ahead + l ahead_ld
   one with every number. A line is named by its last float, since rows need not begin with one. */
typedef struct draco_tile {
    size_t k, row, col;
    const float *a, *b;
    size_t ldb;
    float *c;
    size_t ldc, tail;
    const float *start;
    size_t start_ld;
    size_t count, step_a, step_b, step_c, step_start;
    const float *soon, *ahead;
    size_t ahead_ld;
} draco_tile;

/* `rows`: at most the kernel's; `vectors` of columns, at most the kernel's. */
typedef void (*draco_tile_fn)(size_t rows, size_t vectors, const draco_tile *tile);

/* panel[l][whole vectors of columns] = b[l ldb + j] for k rows, zeros beside the `tail` floats of the last vector. */
typedef void (*draco_pack_fn)(size_t vectors, size_t tail, size_t k, const float *b, size_t ldb,
                              float *panel);

typedef struct draco_kernel {
    const char *name;
    draco_tile_fn tile;
    draco_pack_fn pack;
    size_t rows, tall, width, vectors; /* of the largest tile and of one vector; floats of a vector */
} draco_kernel;

#if defined(__clang__)
#define DRACO_UNROLL _Pragma("unroll")
#else
#define DRACO_UNROLL _Pragma("GCC unroll 12")
#endif

/* Three rows at a pointer: what one register can be scaled to. `flat`: rows of a stand side by side, row is 1. */
#define DRACO_TILE_BODY(NAME, TARGET, V, WIDTH, VECTORS, ZERO, LOAD, STORE, SPREAD, FMA)                     \
    TARGET __attribute__((always_inline)) static inline void NAME##_body(                                    \
        const size_t rows, const size_t vectors, const int flat, const draco_tile *tile) {                   \
        const size_t row = flat ? 1 : tile->row, col = tile->col, ldb = tile->ldb, ldc = tile->ldc,          \
                     tail = tile->tail, ahead_ld = tile->ahead_ld, start_ld = tile->start_ld;                \
        V t[DRACO_TILE_ROWS][VECTORS], x[VECTORS];                                                           \
        const float *first = tile->a, *line = tile->b, *fetch = tile->ahead, *start = tile->start;           \
        const float *soon = tile->soon;                                                                      \
        float *c = tile->c;                                                                                  \
        for (size_t n = tile->count; n > 0; n--) {                                                           \
            const float *b = line, *ahead = fetch;                                                           \
            const float *p[4] = {first, first + 3 * row, first + 6 * row, first + 9 * row};                  \
            DRACO_UNROLL for (size_t i = 0; i < rows; i++) {                                                 \
                if (start) {                                                                                 \
                    DRACO_UNROLL for (size_t j = 0; j + 1 < vectors; j++) {                                  \
                        t[i][j] = LOAD(start + i * start_ld + j * WIDTH);                                    \
                    }                                                                                        \
                    t[i][vectors - 1] = NAME##_load(start + i * start_ld + (vectors - 1) * WIDTH, tail);     \
                } else {                                                                                     \
                    if (soon) {                                                                              \
                        __builtin_prefetch(soon + i * ldc + 15, 1);                                          \
                        if (vectors * WIDTH > 16) __builtin_prefetch(soon + i * ldc + 31, 1);                \
                    }                                                                                        \
                    DRACO_UNROLL for (size_t j = 0; j < vectors; j++) {                                      \
                        t[i][j] = ZERO;                                                                      \
                    }                                                                                        \
                }                                                                                            \
            }                                                                                                \
            for (size_t k = tile->k; k > 0; k--) {                                                           \
                DRACO_UNROLL for (size_t j = 0; j < vectors; j++) {                                          \
                    x[j] = LOAD(b + j * WIDTH);                                                              \
                }                                                                                            \
                __builtin_prefetch(ahead + 15);                                                              \
                if (vectors * WIDTH > 16) __builtin_prefetch(ahead + 31);                                    \
                DRACO_UNROLL for (size_t i = 0; i < rows; i++) {                                             \
                    const V s = SPREAD(flat ? p[0][i] : p[i / 3][i % 3 * row]);                              \
                    DRACO_UNROLL for (size_t j = 0; j < vectors; j++) {                                      \
                        t[i][j] = FMA(s, x[j], t[i][j]);                                                     \
                    }                                                                                        \
                }                                                                                            \
                DRACO_UNROLL for (size_t i = 0; i < 4; i++) {                                                \
                    p[i] += col;                                                                             \
                }                                                                                            \
                b += ldb;                                                                                    \
                ahead += ahead_ld;                                                                           \
            }                                                                                                \
            DRACO_UNROLL for (size_t i = 0; i < rows; i++) {                                                 \
                DRACO_UNROLL for (size_t j = 0; j + 1 < vectors; j++) {                                      \
                    STORE(c + i * ldc + j * WIDTH, t[i][j]);                                                 \
                }                                                                                            \
                NAME##_store(c + i * ldc + (vectors - 1) * WIDTH, tail, t[i][vectors - 1]);                  \
            }                                                                                                \
            first += tile->step_a;                                                                           \
            line += tile->step_b;                                                                            \
            fetch += tile->step_b;                                                                           \
            c += tile->step_c;                                                                               \
            if (start) start += tile->step_start;                                                            \
            if (soon) soon += tile->step_c;                                                                  \
        }                                                                                                    \
    }

#define DRACO_TILE_PACK(NAME, TARGET, WIDTH, LOAD, STORE)                                                    \
    TARGET __attribute__((unused)) static void NAME##_pack(size_t vectors, size_t tail, size_t k,            \
                                                           const float *b, size_t ldb, float *panel) {       \
        for (; k > 0; k--, b += ldb) {                                                                       \
            size_t j = 0;                                                                                    \
            for (; j + 1 < vectors; j++, panel += WIDTH) STORE(panel, LOAD(b + j * WIDTH));                  \
            STORE(panel, NAME##_load(b + j * WIDTH, tail));                                                  \
            panel += WIDTH;                                                                                  \
        }                                                                                                    \
    }

/* Tiles of one vector are for edges: a body of their own for `flat` would be compiled for little. */
#define DRACO_TILE_CASE(NAME, ROWS, VECTORS)                                                                 \
    case (ROWS)*4 + (VECTORS):                                                                               \
        if ((VECTORS) > 1 && tile->row == 1)                                                                 \
            NAME##_body(ROWS, VECTORS, 1, tile);                                                             \
        else                                                                                                 \
            NAME##_body(ROWS, VECTORS, 0, tile);                                                             \
        break;

#define DRACO_TILE_CASES_6(NAME, VECTORS)                                                                    \
    DRACO_TILE_CASE(NAME, 6, VECTORS)                                                                        \
    DRACO_TILE_CASE(NAME, 5, VECTORS)                                                                        \
    DRACO_TILE_CASE(NAME, 4, VECTORS)                                                                        \
    DRACO_TILE_CASE(NAME, 3, VECTORS)                                                                        \
    DRACO_TILE_CASE(NAME, 2, VECTORS)                                                                        \
    DRACO_TILE_CASE(NAME, 1, VECTORS)

#define DRACO_TILE_CASES_8(NAME, VECTORS)                                                                    \
    DRACO_TILE_CASE(NAME, 8, VECTORS)                                                                        \
    DRACO_TILE_CASE(NAME, 7, VECTORS)                                                                        \
    DRACO_TILE_CASES_6(NAME, VECTORS)

#define DRACO_TILE_CASES_12(NAME, VECTORS)                                                                   \
    DRACO_TILE_CASE(NAME, 12, VECTORS)                                                                       \
    DRACO_TILE_CASE(NAME, 11, VECTORS)                                                                       \
    DRACO_TILE_CASE(NAME, 10, VECTORS)                                                                       \
    DRACO_TILE_CASE(NAME, 9, VECTORS)                                                                        \
    DRACO_TILE_CASES_8(NAME, VECTORS)

#define DRACO_TILE(NAME, TARGET, CASES)                                                                      \
    TARGET __attribute__((unused)) static void NAME(size_t rows, size_t vectors, const draco_tile *tile) {   \
        switch (rows * 4 + vectors) { CASES }                                                                \
    }

#if defined(__x86_64__)
#define DRACO_TARGET_512 __attribute__((target("avx512f")))
#define DRACO_TARGET_256 __attribute__((target("avx2,fma")))
DRACO_TARGET_512 __attribute__((always_inline)) static inline __m512 draco_tile_512_load(const float *from,
                                                                                         size_t tail) {
    return _mm512_maskz_loadu_ps((__mmask16)((1u << tail) - 1), from);
}

DRACO_TARGET_512 __attribute__((always_inline)) static inline void
draco_tile_512_store(float *to, size_t tail, __m512 x) {
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << tail) - 1), x);
}

DRACO_TILE_BODY(draco_tile_512, DRACO_TARGET_512, __m512, 16, 2, _mm512_setzero_ps(), _mm512_loadu_ps,
                _mm512_storeu_ps, _mm512_set1_ps, _mm512_fmadd_ps)
DRACO_TILE_PACK(draco_tile_512, DRACO_TARGET_512, 16, _mm512_loadu_ps, _mm512_storeu_ps)
DRACO_TILE(draco_tile_512, DRACO_TARGET_512,
           DRACO_TILE_CASES_12(draco_tile_512, 2) DRACO_TILE_CASES_12(draco_tile_512, 1))
DRACO_TARGET_256 __attribute__((always_inline)) static inline __m256i draco_tile_256_some(size_t tail) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)tail), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

DRACO_TARGET_256 __attribute__((always_inline)) static inline __m256 draco_tile_256_load(const float *from,
                                                                                         size_t tail) {
    return _mm256_maskload_ps(from, draco_tile_256_some(tail));
}

DRACO_TARGET_256 __attribute__((always_inline)) static inline void
draco_tile_256_store(float *to, size_t tail, __m256 x) {
    if (tail == 8)
        _mm256_storeu_ps(to, x);
    else
        _mm256_maskstore_ps(to, draco_tile_256_some(tail), x);
}

DRACO_TILE_BODY(draco_tile_256, DRACO_TARGET_256, __m256, 8, 2, _mm256_setzero_ps(), _mm256_loadu_ps,
                _mm256_storeu_ps, _mm256_set1_ps, _mm256_fmadd_ps)
DRACO_TILE_PACK(draco_tile_256, DRACO_TARGET_256, 8, _mm256_loadu_ps, _mm256_storeu_ps)
DRACO_TILE(draco_tile_256, DRACO_TARGET_256,
           DRACO_TILE_CASES_6(draco_tile_256, 2) DRACO_TILE_CASES_12(draco_tile_256, 1))
#elif defined(__aarch64__)
#define DRACO_FMA_128(a, b, c) vfmaq_f32(c, a, b)
static inline float32x4_t draco_tile_128_load(const float *from, size_t tail) {
    float part[4] = {0};
    if (tail == 4) return vld1q_f32(from);
    for (size_t j = 0; j < tail; j++) part[j] = from[j];
    return vld1q_f32(part);
}

static inline void draco_tile_128_store(float *to, size_t tail, float32x4_t x) {
    float part[4];
    vst1q_f32(tail == 4 ? to : part, x);
    for (size_t j = 0; tail < 4 && j < tail; j++) to[j] = part[j];
}

DRACO_TILE_BODY(draco_tile_128, , float32x4_t, 4, 3, vdupq_n_f32(0), vld1q_f32, vst1q_f32, vdupq_n_f32,
                DRACO_FMA_128)
DRACO_TILE_PACK(draco_tile_128, , 4, vld1q_f32, vst1q_f32)
DRACO_TILE(draco_tile_128, ,
           DRACO_TILE_CASES_8(draco_tile_128, 3) DRACO_TILE_CASES_8(draco_tile_128, 2)
               DRACO_TILE_CASES_8(draco_tile_128, 1))
#endif

DRACO_LAYER void draco_tile_plain(size_t rows, size_t vectors, const draco_tile *tile) {
    (void)vectors;
    for (size_t i = 0; i < rows * tile->count; i++) {
        const size_t n = i / rows;
        const float *a = tile->a + n * tile->step_a + i % rows * tile->row, *b = tile->b + n * tile->step_b;
        float *c = tile->c + n * tile->step_c + i % rows * tile->ldc, t[8] = {0};
        if (tile->start)
            memcpy(t, tile->start + n * tile->step_start + i % rows * tile->start_ld, tile->tail * sizeof *t);
        for (size_t l = 0; l < tile->k; l++, a += tile->col, b += tile->ldb) {
            for (size_t j = 0; j < 8; j++) t[j] = draco_fma(*a, b[j], t[j]);
        }
        memcpy(c, t, tile->tail * sizeof *t);
    }
}

DRACO_LAYER void draco_tile_plain_pack(size_t vectors, size_t tail, size_t k, const float *b, size_t ldb,
                                       float *panel) {
    (void)vectors;
    memset(panel, 0, 8 * k * sizeof *panel);
    for (; k > 0; k--, b += ldb, panel += 8) memcpy(panel, b, tail * sizeof *panel);
}

static const draco_kernel draco_kernels[] = {
#if defined(__x86_64__)
    {"avx512", draco_tile_512, draco_tile_512_pack, 12, 12, 16, 2},
    {"avx2", draco_tile_256, draco_tile_256_pack, 6, 12, 8, 2},
#elif defined(__aarch64__)
    {"neon", draco_tile_128, draco_tile_128_pack, 8, 8, 4, 3},
#endif
    {"plain", draco_tile_plain, draco_tile_plain_pack, 12, 12, 8, 1},
};
#define DRACO_KERNELS (sizeof draco_kernels / sizeof draco_kernels[0])

DRACO_LAYER int draco_kernel_runs(const draco_kernel *kernel) {
#if defined(__x86_64__)
    if (kernel->tile == draco_tile_512) return __builtin_cpu_supports("avx512f") != 0;
    if (kernel->tile == draco_tile_256)
        return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
#endif
    (void)kernel;
    return 1;
}

/* One for the whole program: the definitions in several files are merged. */
__attribute__((weak)) const draco_kernel *draco_kernel_chosen;

DRACO_LAYER const draco_kernel *draco_kernel_get(void) {
    const draco_kernel *kernel = __atomic_load_n(&draco_kernel_chosen, __ATOMIC_ACQUIRE);
    if (kernel) return kernel;
    for (kernel = draco_kernels; !draco_kernel_runs(kernel);) kernel++;
    __atomic_store_n(&draco_kernel_chosen, kernel, __ATOMIC_RELEASE);
    return kernel;
}

/* A loop over floats, for the compiler to make vectors of: PARAMS and ARGS are the parameters of the inline function NAME_loop
   and their names; NAME is compiled for every instruction set and runs with that of the kernel. */
#define DRACO_INLINE_LOOP __attribute__((always_inline, unused)) static inline
#if defined(__x86_64__)
#define DRACO_LOOP(NAME, PARAMS, ARGS)                                                                       \
    DRACO_TARGET_512 __attribute__((noinline, unused)) static void NAME##_512 PARAMS {                       \
        NAME##_loop ARGS;                                                                                    \
    }                                                                                                        \
    DRACO_TARGET_256 __attribute__((noinline, unused)) static void NAME##_256 PARAMS {                       \
        NAME##_loop ARGS;                                                                                    \
    }                                                                                                        \
    __attribute__((noinline, unused)) static void NAME PARAMS {                                              \
        const draco_tile_fn tile = draco_kernel_get()->tile;                                                 \
        if (tile == draco_tile_512)                                                                          \
            NAME##_512 ARGS;                                                                                 \
        else if (tile == draco_tile_256)                                                                     \
            NAME##_256 ARGS;                                                                                 \
        else                                                                                                 \
            NAME##_loop ARGS;                                                                                \
    }
#else
#define DRACO_LOOP(NAME, PARAMS, ARGS)                                                                       \
    __attribute__((unused)) static void NAME PARAMS {                                                        \
        NAME##_loop ARGS;                                                                                    \
    }
#endif

/* The names that draco_isa_set takes, for messages. */
DRACO_LAYER const char *draco_isa_list(void) {
#if defined(__x86_64__)
    return "all, avx512, avx2, plain";
#elif defined(__aarch64__)
    return "all, neon, plain";
#else
    return "all, plain";
#endif
}

/* Compute with this kernel, or the best for "all", in the whole process: the bits stay the same, the speed
   does not. On error, DRACO_E_ARGUMENT, `why` says it in words. */
DRACO_LAYER draco_status draco_isa_set(const char *name, char *why, size_t capacity) {
    const draco_kernel *found = NULL;
    if (strcmp(name, "all") == 0) {
        __atomic_store_n(&draco_kernel_chosen, found, __ATOMIC_RELEASE);
        return DRACO_OK;
    }
    for (size_t i = 0; i < DRACO_KERNELS; i++)
        if (strcmp(name, draco_kernels[i].name) == 0) found = &draco_kernels[i];
    if (found && draco_kernel_runs(found)) {
        __atomic_store_n(&draco_kernel_chosen, found, __ATOMIC_RELEASE);
        return DRACO_OK;
    }
    if (found)
        snprintf(why, capacity, "this processor has no %s", name);
    else
        snprintf(why, capacity, "unknown instruction set '%s': use one of %s", name, draco_isa_list());
    return DRACO_E_ARGUMENT;
}

/* What computes, as snprintf. */
DRACO_LAYER int draco_compute_describe(char *text, size_t capacity) {
    return snprintf(text, capacity, "draco_compute.h, kernels %s", draco_kernel_get()->name);
}

/* ---- Operands: matrices with two strides, or the patches of a convolution ---- */

typedef struct draco_conv_shape {
    size_t height, width, ci, co, kernel, stride, pad; /* of the input; kernel x kernel */
} draco_conv_shape;

DRACO_LAYER size_t draco_conv_out(size_t in, const draco_conv_shape *s) {
    return (in + 2 * s->pad - s->kernel) / s->stride + 1;
}

DRACO_LAYER size_t draco_conv_weights(const draco_conv_shape *s) {
    return s->kernel * s->kernel * s->ci * s->co;
}

DRACO_LAYER size_t draco_conv_depth(const draco_conv_shape *s) {
    return s->kernel * s->kernel * s->ci;
}

DRACO_LAYER size_t draco_conv_places(const draco_conv_shape *s) {
    return draco_conv_out(s->height, s) * draco_conv_out(s->width, s);
}

DRACO_LAYER size_t draco_max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

DRACO_LAYER size_t draco_min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

/* The largest of the fewest almost equal pieces of n with at most `most`; 1 of nothing. */
DRACO_LAYER size_t draco_even_size(size_t n, size_t most) {
    const size_t pieces = (n + most - 1) / most;
    return pieces > 0 ? (n + pieces - 1) / pieces : 1;
}

/* Element (i, l) stands at p[i row + l col]. With `image`, p are images in NHWC, i is a place and l a number
   of its patch [kh][kw][ci]; with `turned` the other way round. */
typedef struct draco_operand {
    const float *p;
    size_t row, col;
    const draco_conv_shape *image;
    int turned;
} draco_operand;

/* The columns *from .. *to - 1 of a kernel at `left` (wrapped round where negative) that lie in the image. */
DRACO_LAYER void draco_patch_inside(const draco_conv_shape *s, size_t left, size_t *from, size_t *to) {
    *from = left < s->width ? 0 : draco_min_size((size_t)0 - left, s->kernel);
    *to = *from;
    if (*from < s->kernel && left + *from < s->width)
        *to += draco_min_size(s->kernel - *from, s->width - (left + *from));
}

/* memcpy for few floats. */
DRACO_LAYER void draco_copy(float *to, const float *from, size_t n) {
    if (n < 4 || n > 64) {
        memcpy(to, from, n * sizeof *to);
        return;
    }
    for (size_t i = 0; i < n - 4; i += 4) memcpy(to + i, from + i, 4 * sizeof *to);
    memcpy(to + n - 4, from + n - 4, 4 * sizeof *to);
}

/* Numbers from .. to - 1 of the patch at (top, left) of an image; 0 outside of it. Places above and to the left of the image
   wrap round to very large numbers. */
DRACO_LAYER void draco_patch(const draco_conv_shape *s, const float *x, size_t top, size_t left, size_t from,
                             size_t to, float *out) {
    const size_t line = s->kernel * s->ci;
    size_t first, last;
    draco_patch_inside(s, left, &first, &last);
    first *= s->ci;
    last *= s->ci;
    for (size_t kh = from / line; from < to; kh++) {
        const size_t begin = from - kh * line, end = draco_min_size(to - kh * line, line), y = top + kh;
        const size_t in = draco_max_size(first, begin), past = draco_min_size(last, end);
        if (y >= s->height || in >= past) {
            memset(out, 0, (end - begin) * sizeof *out);
        } else {
            if (in > begin) memset(out, 0, (in - begin) * sizeof *out);
            draco_copy(out + (in - begin), x + (y * s->width + left) * s->ci + in, past - in);
            if (end > past) memset(out + (past - begin), 0, (end - past) * sizeof *out);
        }
        out += end - begin;
        from += end - begin;
    }
}

/* Those of `count` places from `place` on, `apart` floats from one to the next. */
DRACO_LAYER void draco_patches(const draco_conv_shape *s, const float *images, size_t place, size_t count,
                               size_t from, size_t to, float *out, size_t apart) {
    const size_t oh = draco_conv_out(s->height, s), ow = draco_conv_out(s->width, s);
    const float *x = images + place / (oh * ow) * (s->height * s->width * s->ci);
    size_t row = place / ow % oh, column = place % ow;
    for (; count > 0; count--, out += apart) {
        draco_patch(s, x, row * s->stride - s->pad, column * s->stride - s->pad, from, to, out);
        if (++column < ow) continue;
        column = 0;
        if (++row < oh) continue;
        row = 0;
        x += s->height * s->width * s->ci;
    }
}

/* ---- The product ---- */

#define DRACO_BLOCK_K 192
#define DRACO_BLOCK_M 144
#define DRACO_BLOCK_FLOATS ((DRACO_BLOCK_M + 16) * (DRACO_BLOCK_K + 16))
#define DRACO_PANEL_FLOATS (DRACO_BLOCK_K * DRACO_TILE_COLUMNS) /* of b, packed: what the first cache holds */
#define DRACO_LINES 96                                          /* of b in place, each on a page of its own */
#define DRACO_FEW_M 48                                          /* rows of a for which b is read in place */
#define DRACO_NEAR_FLOATS 32768                                 /* of b, what the second cache holds */
#define DRACO_FEW_K 64   /* numbers for which panels of b side by side are read in place */
#define DRACO_LONG_K 512 /* of a result that is written turned */

/* Rows i0 .. i0 + m - 1 and numbers k0 .. k0 + k - 1 of `a` as a matrix with two strides, in `room` where
   they must be gathered. Lines of the room are 16 floats longer, so that they do not share one cache set. */
DRACO_LAYER draco_operand draco_block_a(const draco_operand *a, size_t i0, size_t m, size_t k0, size_t k,
                                        int gather, float *room) {
    draco_operand block = {a->p + i0 * a->row + k0 * a->col, a->row, a->col, NULL, 0};
    if (!gather) return block;
    if (!a->image) {
        block = (draco_operand){room, 1, m + 16, NULL, 0};
        for (size_t l = 0; l < k; l++)
            memcpy(room + l * block.col, a->p + i0 + (k0 + l) * a->col, m * sizeof *room);
        return block;
    }
    if (a->turned) {
        block = (draco_operand){room, 1, DRACO_BLOCK_M + 16, NULL, 0};
        draco_patches(a->image, a->p, k0, k, i0, i0 + m, room, block.col);
    } else {
        block = (draco_operand){room, DRACO_BLOCK_K + 16, 1, NULL, 0};
        draco_patches(a->image, a->p, i0, m, k0, k0 + k, room, block.row);
    }
    return block;
}

/* to[j][i] = from[i][j] for m x n floats, a cache line of `to` at a time; ld_*: floats from row to row. */
DRACO_LAYER void draco_transpose(size_t m, size_t n, const float *from, size_t ld_from, float *to,
                                 size_t ld_to) {
    for (size_t first = 0; first < m; first += 16) {
        const size_t past = draco_min_size(m, first + 16);
        size_t j = 0;
#if defined(__x86_64__)
        for (; j + 4 <= n; j += 4) {
            size_t i = first;
            for (; i + 4 <= past; i += 4) {
                __m128 x[4];
                for (size_t k = 0; k < 4; k++) x[k] = _mm_loadu_ps(from + (i + k) * ld_from + j);
                _MM_TRANSPOSE4_PS(x[0], x[1], x[2], x[3]);
                for (size_t k = 0; k < 4; k++) _mm_storeu_ps(to + (j + k) * ld_to + i, x[k]);
            }
            for (; i < past; i++)
                for (size_t k = 0; k < 4; k++) to[(j + k) * ld_to + i] = from[i * ld_from + j + k];
        }
#endif
        for (; j < n; j++)
            for (size_t i = first; i < past; i++) to[j * ld_to + i] = from[i * ld_from + j];
    }
}

/* panel[l][width] = columns j0 .. j0 + n - 1 of numbers k0 .. k0 + k - 1 of b, zeros beside them. b is
   (l, j); its rows or its columns stand side by side. */
DRACO_LAYER void draco_block_b(const draco_kernel *kernel, const draco_operand *b, size_t k0, size_t k,
                               size_t j0, size_t n, size_t width, float *panel) {
    const float *p = b->p + k0 * b->row + j0 * b->col;
    if (b->col == 1) {
        kernel->pack(width / kernel->width, n + kernel->width - width, k, p, b->row, panel);
        return;
    }
    draco_transpose(n, k, p, b->col, panel, width);
    for (size_t l = 0; l < k; l++)
        for (size_t j = n; j < width; j++) panel[l * width + j] = 0;
}

typedef struct draco_result {
    float *p;
    size_t row, col; /* one of them is 1 */
} draco_result;

/* A panel of columns, or job->count of them side by side: rows 0 .. m - 1 of a in tiles of almost equal size. `job` knows b, k,
   what the sums start with and what is fetched in the first tile, NULL for the next result; `later` is fetched in the second
   one, NULL for nothing. A result that is turned goes through a tile of its own. */
DRACO_LAYER void draco_panel(const draco_kernel *kernel, size_t m, size_t n, const draco_operand *a,
                             const draco_tile *job, const float *later, const draco_result *c) {
    const size_t vectors = (n + kernel->width - 1) / kernel->width, width = vectors * kernel->width;
    const size_t high = vectors == 1 ? kernel->tall : kernel->rows;
    const size_t tiles = (m + high - 1) / high, tail = n + kernel->width - width;
    float room[DRACO_TILE_ROWS * DRACO_TILE_COLUMNS];
    draco_tile tile = *job;
    tile.row = a->row;
    tile.col = a->col;
    tile.step_b = tile.step_c = tile.step_start = width;
    for (size_t i = 0, t = tiles, down; t > 0; t -= down) {
        const size_t rows = (m - i + t - 1) / t;
        float *to = c->p + i * c->row;
        tile.a = a->p + i * a->row;
        if (job->start) tile.start = job->start + i * job->start_ld;
        down = 1;
        if (c->col == 1) {
            tile.c = to;
            tile.ldc = c->row;
            tile.tail = tail;
            if (i > 0 && job->count == 1) {
                down = tile.count = (m - i) % t ? (m - i) % t : t; /* tiles of that many rows */
                tile.step_a = rows * a->row;
                tile.step_b = 0;
                tile.step_c = rows * c->row;
                tile.step_start = rows * job->start_ld;
            }
            /* Its own lines, or the next result's where too few numbers follow to fetch one with each. */
            tile.soon = job->k < rows ? to + tile.step_c : job->ahead ? to : NULL;
            if (!job->ahead) {
                tile.ahead = to + width;
                tile.ahead_ld = c->row;
            }
            kernel->tile(rows, vectors, &tile);
        } else {
            tile.c = room;
            tile.ldc = width;
            tile.tail = kernel->width;
            if (a->row == job->k && a->col == 1) {
                tile.ahead = tile.a + rows * a->row;
                tile.ahead_ld = rows;
            }
            if (job->start) {
                const draco_operand start = {tile.start, job->start_ld, c->col, NULL, 0};
                draco_block_b(kernel, &start, 0, rows, 0, n, width, room);
                tile.start = room;
                tile.start_ld = width;
            }
            kernel->tile(rows, vectors, &tile);
            draco_transpose(rows, n, room, width, to, c->col);
        }
        if (i == 0 && later) {
            tile.ahead = later;
        } else {
            tile.ahead = tile.b;
            tile.ahead_ld = 0;
        }
        i += rows * down;
    }
}

/* c(i, j) = (bias ? bias[j] : add ? c(i, j) : 0) + sum over l of a(i, l) b(l, j), l ascending. With a bias c is not turned. */
DRACO_LAYER void draco_multiply(size_t m, size_t n, size_t k, const draco_operand *a, const draco_operand *b,
                                int add, const float *bias, const draco_result *c) {
    const draco_kernel *kernel = draco_kernel_get();
    const size_t most = kernel->width * kernel->vectors;
    float room[DRACO_BLOCK_FLOATS] __attribute__((aligned(64)));
    float panel[DRACO_PANEL_FLOATS] __attribute__((aligned(64)));
    const int turned = c->col != 1, few = k <= DRACO_FEW_K && n >= 8 * most && !a->image;
    const int gather = a->image || (a->row == 1 && a->col > 64 && n >= 2 * most);
    /* Few numbers or few rows: rows of b are read in place; with few numbers, or one tile for all rows, panels side by side in
       one walk. */
    const int in_place = b->col == 1 && (few || m <= DRACO_FEW_M);
    const int along = in_place && !turned && (few || m <= kernel->rows);
    /* Blocks of a that are read in place need no room: it takes longer panels of b. */
    const size_t block_m = gather ? DRACO_BLOCK_M : along || b->col != 1 ? m : 2 * DRACO_BLOCK_M;
    const size_t long_k = turned ? DRACO_LONG_K : DRACO_PANEL_FLOATS / most;
    const size_t line_k = in_place ? DRACO_LINES : long_k;
    const size_t block_k = draco_even_size(k, gather ? draco_min_size(line_k, DRACO_BLOCK_K) : line_k);
    float *packed = gather ? panel : room;
    if (k == 0 && (bias || !add))
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) c->p[i * c->row + j * c->col] = bias ? bias[j] : 0;
    for (size_t k0 = 0; k0 < k; k0 += block_k) {
        const size_t kc = draco_min_size(k - k0, block_k);
        for (size_t i0 = 0; i0 < m; i0 += block_m) {
            const size_t mc = draco_min_size(m - i0, block_m);
            const draco_operand block = draco_block_a(a, i0, mc, k0, kc, gather, room);
            for (size_t j0 = 0, nc; j0 < n; j0 += nc) {
                const draco_result to = {c->p + i0 * c->row + j0 * c->col, c->row, c->col};
                nc = draco_min_size(n - j0, most);
                const size_t width = (nc + kernel->width - 1) / kernel->width * kernel->width;
                draco_tile job = {.k = kc, .b = packed, .ldb = width, .count = 1};
                if (k0 == 0 && bias) {
                    job.start = bias + j0; /* the same for every row: start_ld is 0 */
                } else if (k0 > 0 || add) {
                    job.start = to.p;
                    job.start_ld = to.row;
                }
                if (in_place && nc == width) {
                    job.b = b->p + k0 * b->row + j0;
                    job.ldb = b->row;
                    if (along && nc == most)
                        job.count = draco_max_size(1, draco_min_size(n - j0, DRACO_NEAR_FLOATS / kc) / most);
                } else {
                    draco_block_b(kernel, b, k0, kc, j0, nc, width, packed);
                }
                const float *later = NULL;
                if (job.count > 1 && few) {
                    job.ahead = NULL;
                } else if (b->col == 1) {
                    /* The panel of b that is read next, where it stands; in place the one after it, too, since the third cache
                       takes longer to answer than a tile to be computed. */
                    const size_t past = (n + most - 1) / most * most, one = j0 + most, two = one + most;
                    const float *here = b->p + k0 * b->row, *next = here + (i0 + mc < m ? 0 : kc * b->row);
                    job.ahead = one < past ? here + one : next + (one - past);
                    if (in_place) later = two < past ? here + two : next + (two - past);
                    job.ahead_ld = b->row;
                } else {
                    job.ahead = job.b;
                }
                draco_panel(kernel, mc, nc, &block, &job, later, &to);
                nc *= job.count;
            }
        }
    }
}

/* C[m][n] = op(A)[m][k] op(B)[k][n] + beta C, row-major, 'N' or 'T'; beta is 0 or 1; ld*: floats from row to
   row. */
DRACO_LAYER void draco_sgemm(char transa, char transb, size_t m, size_t n, size_t k, const float *a,
                             size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc) {
    const int ta = transa == 'T', tb = transb == 'T';
    const draco_operand A = {a, ta ? 1 : lda, ta ? lda : 1, NULL, 0};
    const draco_operand B = {b, tb ? 1 : ldb, tb ? ldb : 1, NULL, 0};
    const draco_result C = {c, ldc, 1}, turned = {c, 1, ldc};
    if (!tb) {
        draco_multiply(m, n, k, &A, &B, beta != 0, NULL, &C);
        return;
    }
    /* The transpose of C: the rows of b are read as they stand, and the smaller a is packed. */
    const draco_operand left = {b, ldb, 1, NULL, 0}, right = {a, A.col, A.row, NULL, 0};
    if (m <= k)
        draco_multiply(n, m, k, &left, &right, beta != 0, NULL, &turned);
    else
        draco_multiply(m, n, k, &A, &B, beta != 0, NULL, &C);
}

#endif /* DRACO_COMPUTE_H */
