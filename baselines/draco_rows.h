/* draco_rows.h - version 0.1.0 - passes over n long rows of floats, of which draco_rules.h is made

   Finite or not, weighted sums, squared distances, sorted columns. Part of the implementation of
   draco_rules.h: C11 with GNU extensions, static functions.

   Every pass reads its rows about once, in blocks of coordinates that stay in the cache, on all cores that
   OpenMP gives. The blocks have a fixed size and sums over them are added in a fixed order: same rows, same
   bits, for every number of threads. Work memory is malloc'ed, grows, and is the caller's to release.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#ifndef DRACO_ROWS_H
#define DRACO_ROWS_H

#include "../draco.h"

#if defined(__cplusplus) || !defined(__GNUC__)
#error "draco_rows.h: the implementation is C11 with GNU extensions: compile it in a .c file by gcc or clang"
#endif

#include "../models/draco_math.h" /* or a clone with fused instructions gives other bits */

#include <stdlib.h>
#include <string.h>

#define DRACO_ROWS_FN static __attribute__((unused))

#ifdef _OPENMP
#include <omp.h>
#define DRACO_ROWS_FOR _Pragma("omp parallel for schedule(static)")
#else
#define DRACO_ROWS_FOR
#endif

/* One binary with AVX-512, AVX2 and plain versions of the inner loops. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) &&     \
    !defined(__SANITIZE_THREAD__)
#define DRACO_ROWS_KERNEL                                                                                    \
    __attribute__((noinline, target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), unused)) static
#else
#define DRACO_ROWS_KERNEL __attribute__((noinline, unused)) static
#endif

#define DRACO_ROWS_LANES 16
#define DRACO_ROWS_BLOCK 1024u /* coordinates worked on at once: the rows' blocks stay in the cache */
#define DRACO_ROWS_TILE 64u    /* coordinates sorted at once */

typedef float draco_rows_vec __attribute__((vector_size(64), aligned(4), may_alias));

typedef struct draco_rows_buffer {
    void *memory;
    size_t bytes;
} draco_rows_buffer;

/* Work memory of the passes; zero at the start, kept between calls. */
typedef struct draco_rows_work {
    draco_rows_buffer partial, tile, network;
} draco_rows_work;

/* ---- Memory ---- */

/* At least this much memory, kept for the next call; what it held is lost when it grows. */
DRACO_ROWS_FN void *draco_rows_reserve(draco_rows_buffer *buffer, size_t count, size_t size) {
    if (count > (SIZE_MAX - 64) / size) return NULL;
    size_t bytes = (count * size + 64) / 64 * 64;
    if (buffer->bytes < bytes) {
        free(buffer->memory);
        buffer->memory = aligned_alloc(64, bytes);
        buffer->bytes = buffer->memory ? bytes : 0;
    }
    return buffer->memory;
}

DRACO_ROWS_FN void draco_rows_drop(draco_rows_buffer *buffer) {
    free(buffer->memory);
    buffer->memory = NULL;
    buffer->bytes = 0;
}

DRACO_ROWS_FN size_t draco_rows_min(size_t a, size_t b) {
    return a < b ? a : b;
}

DRACO_ROWS_FN int draco_rows_threads(void) {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

DRACO_ROWS_FN int draco_rows_thread(void) {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

DRACO_ROWS_FN void draco_rows_release(draco_rows_work *work) {
    draco_rows_drop(&work->partial);
    draco_rows_drop(&work->tile);
    draco_rows_drop(&work->network);
}

/* ---- Inner loops over one block of coordinates ---- */

DRACO_ROWS_KERNEL int draco_rows_block_finite(const float *x, size_t count) {
    uint32_t top = 0;
    for (size_t j = 0; j < count; j++) {
        uint32_t bits;
        memcpy(&bits, x + j, 4);
        bits &= 0x7fffffffu;
        top = top > bits ? top : bits;
    }
    return top < 0x7f800000u;
}

DRACO_ROWS_KERNEL void draco_rows_block_add(float *restrict acc, const float *restrict x, float w,
                                            size_t count) {
    for (size_t j = 0; j < count; j++) acc[j] += w * x[j];
}

DRACO_ROWS_KERNEL void draco_rows_block_scale(float *restrict out, const float *restrict x, float w,
                                              size_t count) {
    for (size_t j = 0; j < count; j++) out[j] = w * x[j];
}

/* Lanes added pairwise, in a fixed order. */
DRACO_ROWS_FN double draco_rows_lanes(const float *lane) {
    double s[DRACO_ROWS_LANES];
    for (int l = 0; l < DRACO_ROWS_LANES; l++) s[l] = (double)lane[l];
    for (int width = DRACO_ROWS_LANES / 2; width > 0; width /= 2)
        for (int l = 0; l < width; l++) s[l] += s[l + width];
    return s[0];
}

DRACO_ROWS_FN double draco_rows_distance_slow(const float *a, const float *b, size_t count) {
    double sum = 0;
    for (size_t j = 0; j < count; j++) {
        double e = (double)a[j] - (b ? (double)b[j] : 0.0);
        sum += e * e;
    }
    return sum;
}

/* out[4][4]: squared distances of four rows from four others, a block at a time, in float lanes. */
DRACO_ROWS_KERNEL void draco_rows_block_pairs(const float *const a[4], const float *const b[4], size_t count,
                                              double out[16]) {
    draco_rows_vec acc[16] = {{0}};
    size_t whole = count / DRACO_ROWS_LANES * DRACO_ROWS_LANES;
    for (size_t j = 0; j < whole; j += DRACO_ROWS_LANES) {
        const draco_rows_vec b0 = *(const draco_rows_vec *)(const void *)(b[0] + j);
        const draco_rows_vec b1 = *(const draco_rows_vec *)(const void *)(b[1] + j);
        const draco_rows_vec b2 = *(const draco_rows_vec *)(const void *)(b[2] + j);
        const draco_rows_vec b3 = *(const draco_rows_vec *)(const void *)(b[3] + j);
        for (int k = 0; k < 4; k++) {
            const draco_rows_vec ak = *(const draco_rows_vec *)(const void *)(a[k] + j);
            const draco_rows_vec e0 = ak - b0, e1 = ak - b1, e2 = ak - b2, e3 = ak - b3;
            acc[4 * k] += e0 * e0;
            acc[4 * k + 1] += e1 * e1;
            acc[4 * k + 2] += e2 * e2;
            acc[4 * k + 3] += e3 * e3;
        }
    }
    for (int p = 0; p < 16; p++) {
        float lane[DRACO_ROWS_LANES];
        memcpy(lane, &acc[p], sizeof lane);
        out[p] = draco_rows_lanes(lane) +
                 draco_rows_distance_slow(a[p / 4] + whole, b[p % 4] + whole, count - whole);
        if (!(out[p] <= (double)FLT_MAX)) out[p] = draco_rows_distance_slow(a[p / 4], b[p % 4], count);
    }
}

/* Squared distance of two rows; b == NULL: squared norm of a. */
DRACO_ROWS_KERNEL double draco_rows_block_distance(const float *a, const float *b, size_t count) {
    draco_rows_vec acc0 = {0}, acc1 = {0};
    size_t step = 2 * DRACO_ROWS_LANES, whole = count / step * step;
    for (size_t j = 0; j < whole; j += step) {
        draco_rows_vec e0 = *(const draco_rows_vec *)(const void *)(a + j);
        draco_rows_vec e1 = *(const draco_rows_vec *)(const void *)(a + j + DRACO_ROWS_LANES);
        if (b) {
            e0 -= *(const draco_rows_vec *)(const void *)(b + j);
            e1 -= *(const draco_rows_vec *)(const void *)(b + j + DRACO_ROWS_LANES);
        }
        acc0 += e0 * e0;
        acc1 += e1 * e1;
    }
    acc0 += acc1;
    float lane[DRACO_ROWS_LANES];
    memcpy(lane, &acc0, sizeof lane);
    double sum =
        draco_rows_lanes(lane) + draco_rows_distance_slow(a + whole, b ? b + whole : NULL, count - whole);
    return sum <= (double)FLT_MAX ? sum : draco_rows_distance_slow(a, b, count);
}

/* Order two rows of a tile in every coordinate: the smaller value into lo. By way of local arrays, which keep
   the compiler from turning the choice into branches. */
DRACO_ROWS_KERNEL void draco_rows_tile_sort(float *tile, const int *pairs, size_t count) {
    for (size_t c = 0; c < count; c++) {
        float *lo = tile + (size_t)pairs[2 * c] * DRACO_ROWS_TILE;
        float *hi = tile + (size_t)pairs[2 * c + 1] * DRACO_ROWS_TILE;
        for (size_t j = 0; j < DRACO_ROWS_TILE; j += DRACO_ROWS_LANES) {
            float a[DRACO_ROWS_LANES], b[DRACO_ROWS_LANES], small[DRACO_ROWS_LANES], large[DRACO_ROWS_LANES];
            memcpy(a, lo + j, sizeof a);
            memcpy(b, hi + j, sizeof b);
            for (int l = 0; l < DRACO_ROWS_LANES; l++) small[l] = a[l] < b[l] ? a[l] : b[l];
            for (int l = 0; l < DRACO_ROWS_LANES; l++) large[l] = a[l] < b[l] ? b[l] : a[l];
            memcpy(lo + j, small, sizeof small);
            memcpy(hi + j, large, sizeof large);
        }
    }
}

/* mean[j] = scale x (sum of the sorted rows from..to-1). */
DRACO_ROWS_KERNEL void draco_rows_tile_mean(const float *tile, int from, int to, float scale,
                                            float *restrict mean) {
    for (size_t j = 0; j < DRACO_ROWS_TILE; j++) mean[j] = 0.0f;
    for (int i = from; i < to; i++)
        for (size_t j = 0; j < DRACO_ROWS_TILE; j++) mean[j] += scale * tile[(size_t)i * DRACO_ROWS_TILE + j];
}

/* center[j] = mean of the `keep` of n sorted values that are nearest to center[j]: a window of them. */
DRACO_ROWS_KERNEL void draco_rows_tile_window(const float *tile, int n, int keep, float *restrict center) {
    int start[DRACO_ROWS_TILE];
    float sum[DRACO_ROWS_TILE];
    for (size_t j = 0; j < DRACO_ROWS_TILE; j++) start[j] = 0, sum[j] = 0.0f;
    for (int i = 0; i + keep < n; i++) {
        const float *low = tile + (size_t)i * DRACO_ROWS_TILE;
        const float *high = low + (size_t)keep * DRACO_ROWS_TILE;
        for (size_t j = 0; j < DRACO_ROWS_TILE; j++)
            start[j] += center[j] - low[j] > high[j] - center[j] ? 1 : 0;
    }
    float scale = 1.0f / (float)keep;
    for (int i = 0; i < n; i++) {
        const float *row = tile + (size_t)i * DRACO_ROWS_TILE;
        for (size_t j = 0; j < DRACO_ROWS_TILE; j++)
            sum[j] += i >= start[j] && i < start[j] + keep ? scale * row[j] : 0.0f;
    }
    for (size_t j = 0; j < DRACO_ROWS_TILE; j++) center[j] = sum[j];
}

/* ---- Passes over all rows ---- */

/* Coordinates are cut into a number of chunks that depends on the shape alone; threads take chunks, and what
   is summed over chunks is added in their order. */
DRACO_ROWS_FN size_t draco_rows_chunks(size_t d, int n) {
    size_t blocks = (d + DRACO_ROWS_BLOCK - 1) / DRACO_ROWS_BLOCK;
    return draco_rows_min(blocks, n <= 256 ? 64 : 4);
}

DRACO_ROWS_FN void draco_rows_chunk(size_t d, size_t chunks, size_t c, size_t *first, size_t *last) {
    size_t blocks = (d + DRACO_ROWS_BLOCK - 1) / DRACO_ROWS_BLOCK;
    *first = blocks * c / chunks * DRACO_ROWS_BLOCK;
    *last = draco_rows_min(d, blocks * (c + 1) / chunks * DRACO_ROWS_BLOCK);
}

/* finite[i]: row i has no NaN and no Inf. */
DRACO_ROWS_FN draco_status draco_rows_finite(draco_rows_work *work, const float *const *rows, int n, size_t d,
                                             unsigned char *finite) {
    size_t chunks = draco_rows_chunks(d, n), un = (size_t)n;
    unsigned char *part = draco_rows_reserve(&work->partial, chunks * un, 1);
    if (!part) return DRACO_E_MEMORY;
    DRACO_ROWS_FOR
    for (size_t c = 0; c < chunks; c++) {
        size_t first, last;
        draco_rows_chunk(d, chunks, c, &first, &last);
        for (size_t i = 0; i < un; i++)
            part[c * un + i] = (unsigned char)draco_rows_block_finite(rows[i] + first, last - first);
    }
    memset(finite, 1, un);
    for (size_t k = 0; k < chunks * un; k++) finite[k % un] &= part[k];
    return DRACO_OK;
}

/* out = scale x sum of weight[i] x rows[i], rows of weight 0 unread; weight == NULL: all 1. */
DRACO_ROWS_FN void draco_rows_combine(const float *const *rows, int n, const double *weight, size_t d,
                                      double scale, float *out) {
    size_t blocks = (d + DRACO_ROWS_BLOCK - 1) / DRACO_ROWS_BLOCK;
    DRACO_ROWS_FOR
    for (size_t b = 0; b < blocks; b++) {
        float acc[DRACO_ROWS_BLOCK] = {0};
        size_t first = b * DRACO_ROWS_BLOCK, count = draco_rows_min(d - first, DRACO_ROWS_BLOCK);
        for (int i = 0; i < n; i++) {
            float w = weight ? (float)weight[i] : 1.0f;
            if (w < 0.0f || w > 0.0f) draco_rows_block_add(acc, rows[i] + first, w, count);
        }
        draco_rows_block_scale(out + first, acc, (float)scale, count);
    }
}

/* Squared distances of all pairs: blocks of coordinates stay in the cache while every pair passes over them.
 */
DRACO_ROWS_FN void draco_rows_pairs_block(const float *const *rows, int n, size_t first, size_t count,
                                          double *into) {
    for (int i = 0; i < n; i += 4) {
        const float *a[4];
        for (int k = 0; k < 4; k++) a[k] = rows[i + k < n ? i + k : n - 1] + first;
        for (int j = i; j < n; j += 4) {
            const float *b[4];
            double tile[16];
            for (int k = 0; k < 4; k++) b[k] = rows[j + k < n ? j + k : n - 1] + first;
            draco_rows_block_pairs(a, b, count, tile);
            for (int p = 0; p < 16; p++) {
                int row = i + p / 4, column = j + p % 4;
                if (row < column && column < n) into[(size_t)row * (size_t)n + (size_t)column] += tile[p];
            }
        }
    }
}

/* Coordinates of a block so long that adding up its lanes costs little and n of them stay in the second
 * cache. */
DRACO_ROWS_FN size_t draco_rows_pairs_length(int n) {
    size_t blocks = 180 / (size_t)n;
    return DRACO_ROWS_BLOCK * (blocks < 1 ? 1 : blocks > 4 ? 4 : blocks);
}

DRACO_ROWS_FN draco_status draco_rows_distances(draco_rows_work *work, const float *const *rows, int n,
                                                size_t d, double *distances) {
    size_t chunks = draco_rows_chunks(d, n), un = (size_t)n, square = un * un,
           length = draco_rows_pairs_length(n);
    double *part = draco_rows_reserve(&work->partial, chunks * square, sizeof *part);
    if (!part) return DRACO_E_MEMORY;
    memset(part, 0, chunks * square * sizeof *part);
    DRACO_ROWS_FOR
    for (size_t c = 0; c < chunks; c++) {
        size_t first, last;
        draco_rows_chunk(d, chunks, c, &first, &last);
        for (size_t at = first; at < last; at += length)
            draco_rows_pairs_block(rows, n, at, draco_rows_min(last - at, length), part + c * square);
    }
    memset(distances, 0, square * sizeof *distances);
    for (size_t i = 0; i < un; i++)
        for (size_t j = i + 1; j < un; j++) {
            double sum = 0;
            for (size_t c = 0; c < chunks; c++) sum += part[c * square + i * un + j];
            distances[i * un + j] = distances[j * un + i] = sum;
        }
    return DRACO_OK;
}

/* Squared distances of every row from `center` (NULL: squared norms). */
DRACO_ROWS_FN draco_status draco_rows_distances_from(draco_rows_work *work, const float *const *rows, int n,
                                                     size_t d, const float *center, double *squares) {
    size_t chunks = draco_rows_chunks(d, n), un = (size_t)n;
    double *part = draco_rows_reserve(&work->partial, chunks * un, sizeof *part);
    if (!part) return DRACO_E_MEMORY;
    DRACO_ROWS_FOR
    for (size_t c = 0; c < chunks; c++) {
        size_t first, last;
        draco_rows_chunk(d, chunks, c, &first, &last);
        for (size_t i = 0; i < un; i++) {
            double sum = 0;
            for (size_t at = first; at < last; at += DRACO_ROWS_BLOCK)
                sum += draco_rows_block_distance(rows[i] + at, center ? center + at : NULL,
                                                 draco_rows_min(last - at, DRACO_ROWS_BLOCK));
            part[c * un + i] = sum;
        }
    }
    memset(squares, 0, un * sizeof *squares);
    for (size_t c = 0; c < chunks; c++)
        for (size_t i = 0; i < un; i++) squares[i] += part[c * un + i];
    return DRACO_OK;
}

DRACO_ROWS_FN int draco_rows_ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- Each coordinate alone ---- */

/* Batcher's odd-even merge sort of n values (AFIPS SJCC 1968) as pairs (lower, upper), written for any n by
   leaving out what lies past it. Returns the number of pairs; pairs == NULL: only counts. */
DRACO_ROWS_FN size_t draco_rows_batcher(int n, int *pairs) {
    size_t count = 0;
    for (int p = 1; p < n; p *= 2)
        for (int k = p; k >= 1; k /= 2)
            for (int j = k % p; j + k < n; j += 2 * k)
                for (int i = 0; i < k && i + j + k < n; i++) {
                    if ((i + j) / (2 * p) != (i + j + k) / (2 * p)) continue;
                    if (pairs) {
                        pairs[2 * count] = i + j;
                        pairs[2 * count + 1] = i + j + k;
                    }
                    count++;
                }
    return count;
}

/* Selection: drop the pairs that no wanted place (from..to-1 of the sorted values) depends on. */
DRACO_ROWS_FN size_t draco_rows_prune(int *pairs, size_t count, int n, int from, int to,
                                      unsigned char *wanted) {
    for (int i = 0; i < n; i++) wanted[i] = i >= from && i < to;
    size_t keep = count;
    for (size_t c = count; c-- > 0;) {
        int low = pairs[2 * c], high = pairs[2 * c + 1];
        if (!wanted[low] && !wanted[high]) continue;
        wanted[low] = wanted[high] = 1;
        keep--;
        pairs[2 * keep] = low;
        pairs[2 * keep + 1] = high;
    }
    memmove(pairs, pairs + 2 * keep, 2 * (count - keep) * sizeof *pairs);
    return count - keep;
}

/* What to take of n sorted values: the mean of places from..to-1, or when keep > 0 the mean of the `keep`
   values that are nearest to it. */
typedef struct draco_rows_pick {
    int from, to, keep;
} draco_rows_pick;

/* A sorting network over the rows, a tile of coordinates at a time: minima and maxima of whole vectors, no
   branches, O(d n log^2 n). */
DRACO_ROWS_FN draco_status draco_rows_by_coordinate(draco_rows_work *work, const float *const *rows, int n,
                                                    size_t d, draco_rows_pick pick, float *out) {
    size_t count = draco_rows_batcher(n, NULL), un = (size_t)n;
    size_t tile_floats = un * DRACO_ROWS_TILE, threads = (size_t)draco_rows_threads();
    int *pairs = draco_rows_reserve(&work->network, 2 * count + un, sizeof *pairs);
    float *tiles = draco_rows_reserve(&work->tile, threads * tile_floats, sizeof *tiles);
    if (!pairs || !tiles) return DRACO_E_MEMORY;
    draco_rows_batcher(n, pairs);
    if (pick.keep == 0)
        count = draco_rows_prune(pairs, count, n, pick.from, pick.to,
                                 (unsigned char *)(void *)(pairs + 2 * count));
    float scale = 1.0f / (float)(pick.to - pick.from);
    size_t blocks = (d + DRACO_ROWS_TILE - 1) / DRACO_ROWS_TILE;
    DRACO_ROWS_FOR
    for (size_t b = 0; b < blocks; b++) {
        float *tile = tiles + (size_t)draco_rows_thread() * tile_floats, mean[DRACO_ROWS_TILE];
        size_t first = b * DRACO_ROWS_TILE, width = draco_rows_min(d - first, DRACO_ROWS_TILE);
        for (size_t i = 0; i < un; i++) {
            float *row = tile + i * DRACO_ROWS_TILE;
            memcpy(row, rows[i] + first, width * sizeof *row);
            memset(row + width, 0, (DRACO_ROWS_TILE - width) * sizeof *row);
        }
        draco_rows_tile_sort(tile, pairs, count);
        draco_rows_tile_mean(tile, pick.from, pick.to, scale, mean);
        if (pick.keep > 0) draco_rows_tile_window(tile, n, pick.keep, mean);
        memcpy(out + first, mean, width * sizeof *mean);
    }
    return DRACO_OK;
}

/* The places of the median: the middle one, or the two about the middle. */
DRACO_ROWS_FN draco_rows_pick draco_rows_middle(int n, int keep) {
    draco_rows_pick pick = {(n - 1) / 2, n / 2 + 1, keep};
    return pick;
}

/* ---- Means of some of the rows ---- */

/* out[0..TILE) = scale x sum of the `count` rows of the list, beginning at one place. */
DRACO_ROWS_KERNEL void draco_rows_tile_mix(const float *const *rows, const int *list, int count, size_t first,
                                           float scale, float *out) {
    draco_rows_vec acc[4] = {{0}};
    for (int k = 0; k < count; k++) {
        const float *x = rows[list[k]] + first;
        for (int v = 0; v < 4; v++)
            acc[v] += *(const draco_rows_vec *)(const void *)(x + v * DRACO_ROWS_LANES);
    }
    for (int v = 0; v < 4; v++) {
        acc[v] *= scale;
        memcpy(out + v * DRACO_ROWS_LANES, &acc[v], sizeof acc[v]);
    }
}

/* to[i] = the mean of `size` listed rows, list i at lists + i x size; a negative number ends a list early. */
DRACO_ROWS_FN void draco_rows_mix(const float *const *rows, const int *lists, int count, int size, size_t d,
                                  float *const *to) {
    size_t blocks = (d + DRACO_ROWS_TILE - 1) / DRACO_ROWS_TILE;
    DRACO_ROWS_FOR
    for (size_t b = 0; b < blocks; b++) {
        size_t first = b * DRACO_ROWS_TILE, width = draco_rows_min(d - first, DRACO_ROWS_TILE);
        for (int i = 0; i < count; i++) {
            const int *list = lists + (size_t)i * (size_t)size;
            int members = 0;
            while (members < size && list[members] >= 0) members++;
            float scale = 1.0f / (float)members;
            if (width == DRACO_ROWS_TILE) {
                draco_rows_tile_mix(rows, list, members, first, scale, to[i] + first);
                continue;
            }
            for (size_t j = first; j < d; j++) {
                float sum = 0;
                for (int k = 0; k < members; k++) sum += rows[list[k]][j];
                to[i][j] = sum * scale;
            }
        }
    }
}

#endif /* DRACO_ROWS_H */
