/* draco_winograd.h - version 0.1.0 - convolutions 3 x 3 by Winograd's F(4 x 4, 3 x 3)

   A tile of 4 x 4 places takes 36 products instead of 144 (Lavin and Gray, CVPR 2016). The transforms are sums of
   fixed shape over the pixels of a tile, vectors run over channels, and the products between them are those of
   draco_compute.h: the bits depend on the inputs alone. The shape alone decides where it is used.

   Part of draco_layers.h.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#ifndef DRACO_WINOGRAD_H
#define DRACO_WINOGRAD_H

#include "draco_compute.h"

#define DRACO_WINOGRAD_TILES 48 /* transformed at once; fewer do not pay for the transform of the weights */
#define DRACO_WINOGRAD_POINTS 36

DRACO_LAYER size_t draco_winograd_tiles(const draco_conv_shape *s, size_t images) {
    return images * ((s->height + 3) / 4) * ((s->width + 3) / 4);
}

DRACO_LAYER int draco_winograd_pays(const draco_conv_shape *s, size_t images) {
    return s->kernel == 3 && s->stride == 1 && s->pad == 1 && s->ci % 16 == 0 && s->co % 16 == 0 &&
           draco_winograd_tiles(s, images) >= DRACO_WINOGRAD_TILES;
}

/* Floats of scratch: transformed weights, tiles of both sides, zeros, and what is not kept. */
DRACO_LAYER size_t draco_winograd_scratch(const draco_conv_shape *s) {
    const size_t tiles = DRACO_WINOGRAD_POINTS * DRACO_WINOGRAD_TILES;
    return DRACO_WINOGRAD_POINTS * s->ci * s->co + tiles * (s->ci + s->co) + 10 * (s->ci + s->co);
}

/* ---- Transforms of 16 channels, in one dimension: `from` and `to` numbers that lie `in` and `out` apart ---- */

typedef float draco_lanes __attribute__((vector_size(64)));

DRACO_INLINE_LOOP void draco_winograd_image(const draco_lanes *d, size_t in, draco_lanes *o, size_t out) {
    const draco_lanes a = d[4 * in] - 4 * d[2 * in], b = d[3 * in] - 4 * d[in];
    const draco_lanes e = d[4 * in] - d[2 * in], f = 2 * (d[3 * in] - d[in]);
    o[0] = (4 * d[0] - 5 * d[2 * in]) + d[4 * in];
    o[out] = a + b;
    o[2 * out] = a - b;
    o[3 * out] = e + f;
    o[4 * out] = e - f;
    o[5 * out] = (4 * d[in] - 5 * d[3 * in]) + d[5 * in];
}

DRACO_INLINE_LOOP void draco_winograd_weights(const draco_lanes *g, size_t in, draco_lanes *o, size_t out) {
    const float sixth = 1.0f / 6, twelfth = 1.0f / 12, other = 1.0f / 24;
    const draco_lanes even = sixth * (g[0] + g[2 * in]), odd = sixth * g[in];
    const draco_lanes far = other * g[0] + sixth * g[2 * in], skew = twelfth * g[in];
    o[0] = 0.25f * g[0];
    o[out] = -even - odd;
    o[2 * out] = odd - even;
    o[3 * out] = far + skew;
    o[4 * out] = far - skew;
    o[5 * out] = g[2 * in];
}

DRACO_INLINE_LOOP void draco_winograd_result(const draco_lanes *m, size_t in, draco_lanes *o, size_t out) {
    const draco_lanes p = m[in] + m[2 * in], q = m[in] - m[2 * in];
    const draco_lanes r = m[3 * in] + m[4 * in], s = m[3 * in] - m[4 * in];
    o[0] = m[0] + p + r;
    o[out] = q + 2 * s;
    o[2 * out] = p + 4 * r;
    o[3 * out] = q + 8 * s + m[5 * in];
}

/* The transposes of the last two, for the gradient of the weights. */
DRACO_INLINE_LOOP void draco_winograd_slope(const draco_lanes *y, size_t in, draco_lanes *o, size_t out) {
    const draco_lanes a = y[0] + y[2 * in], b = y[in] + y[3 * in];
    const draco_lanes c = y[0] + 4 * y[2 * in], d = 2 * y[in] + 8 * y[3 * in];
    o[0] = y[0];
    o[out] = a + b;
    o[2 * out] = a - b;
    o[3 * out] = c + d;
    o[4 * out] = c - d;
    o[5 * out] = y[3 * in];
}

DRACO_INLINE_LOOP void draco_winograd_back(const draco_lanes *u, size_t in, draco_lanes *o, size_t out) {
    const float sixth = 1.0f / 6, twelfth = 1.0f / 12, other = 1.0f / 24;
    const draco_lanes p = sixth * (u[in] + u[2 * in]), r = u[3 * in] + u[4 * in];
    o[0] = (0.25f * u[0] - p) + other * r;
    o[out] = sixth * (u[2 * in] - u[in]) + twelfth * (u[3 * in] - u[4 * in]);
    o[2 * out] = (sixth * r - p) + u[5 * in];
}

/* In two dimensions, for all channels: from[] points to `from` x `from` rows of channels, to[] to `to` x `to`. */
#define DRACO_WINOGRAD_SQUARE(LINE, FROM, TO)                                                                \
    for (size_t c = 0; c < channels; c += 16) {                                                              \
        draco_lanes a[(FROM) * (FROM)], t[(TO) * (FROM)], o[(TO) * (TO)];                                    \
        for (size_t i = 0; i < (FROM) * (FROM); i++) memcpy(&a[i], from[i] + c, sizeof a[i]);                \
        for (size_t j = 0; j < (FROM); j++) LINE(a + j, FROM, t + j, FROM);                                  \
        for (size_t i = 0; i < (TO); i++) LINE(t + i * (FROM), 1, o + i * (TO), 1);                          \
        for (size_t i = 0; i < (TO) * (TO); i++) memcpy(to[i] + c, &o[i], sizeof o[i]);                      \
    }

typedef enum draco_winograd_kind {
    DRACO_WINOGRAD_IMAGE,   /* 6 x 6 pixels to 36 */
    DRACO_WINOGRAD_WEIGHTS, /* 3 x 3 to 36 */
    DRACO_WINOGRAD_RESULT,  /* 36 to 4 x 4 */
    DRACO_WINOGRAD_SLOPE,   /* 4 x 4 to 36 */
    DRACO_WINOGRAD_BACK     /* 36 to 3 x 3 */
} draco_winograd_kind;

DRACO_INLINE_LOOP void draco_winograd_transform_loop(draco_winograd_kind kind, size_t channels,
                                                     const float *const *from, float *const *to) {
    switch (kind) {
    case DRACO_WINOGRAD_IMAGE:
        DRACO_WINOGRAD_SQUARE(draco_winograd_image, 6, 6) break;
    case DRACO_WINOGRAD_WEIGHTS:
        DRACO_WINOGRAD_SQUARE(draco_winograd_weights, 3, 6) break;
    case DRACO_WINOGRAD_RESULT:
        DRACO_WINOGRAD_SQUARE(draco_winograd_result, 6, 4) break;
    case DRACO_WINOGRAD_SLOPE:
        DRACO_WINOGRAD_SQUARE(draco_winograd_slope, 4, 6) break;
    default:
        DRACO_WINOGRAD_SQUARE(draco_winograd_back, 6, 3) break;
    }
}
DRACO_LOOP(draco_winograd_transform,
           (draco_winograd_kind kind, size_t channels, const float *const *from, float *const *to),
           (kind, channels, from, to))

/* ---- Tiles of images ---- */

/* Rows of channels of side x side pixels around a tile, which begins `before` pixels above and to the left of
   its places; `outside` where the image ends. */
DRACO_LAYER void draco_winograd_pixels(const draco_conv_shape *s, size_t tile, size_t side, size_t before,
                                       size_t channels, const float *images, const float *outside,
                                       const float **pixel) {
    const size_t across = (s->width + 3) / 4, down = (s->height + 3) / 4;
    const size_t top = tile / across % down * 4 - before, left = tile % across * 4 - before;
    const float *image = images + tile / (across * down) * s->height * s->width * channels;
    for (size_t i = 0; i < side * side; i++) {
        const size_t y = top + i / side, x = left + i % side; /* below 0 wraps round to very large */
        pixel[i] = y < s->height && x < s->width ? image + (y * s->width + x) * channels : outside;
    }
}

DRACO_LAYER void draco_winograd_apart(float *p, size_t apart, size_t count, float **rows) {
    for (size_t i = 0; i < count; i++) rows[i] = p + i * apart;
}

/* to[point][tile][channels] of `count` tiles. */
DRACO_LAYER void draco_winograd_tiles_in(draco_winograd_kind kind, const draco_conv_shape *s, size_t first,
                                         size_t count, size_t channels, const float *images,
                                         const float *zeros, float *to) {
    const int image = kind == DRACO_WINOGRAD_IMAGE;
    const float *from[DRACO_WINOGRAD_POINTS];
    float *rows[DRACO_WINOGRAD_POINTS];
    for (size_t t = 0; t < count; t++) {
        draco_winograd_pixels(s, first + t, image ? 6 : 4, image ? 1 : 0, channels, images, zeros, from);
        draco_winograd_apart(to + t * channels, DRACO_WINOGRAD_TILES * channels, DRACO_WINOGRAD_POINTS, rows);
        draco_winograd_transform(kind, channels, from, rows);
    }
}

typedef struct draco_winograd_room {
    float *weights, *left, *right, *zeros, *spare;
} draco_winograd_room;

DRACO_LAYER draco_winograd_room draco_winograd_layout(const draco_conv_shape *s, float *scratch) {
    const size_t tiles = DRACO_WINOGRAD_POINTS * DRACO_WINOGRAD_TILES, most = s->ci + s->co;
    draco_winograd_room room = {scratch, NULL, NULL, NULL, NULL};
    room.left = room.weights + DRACO_WINOGRAD_POINTS * s->ci * s->co;
    room.right = room.left + tiles * s->ci;
    room.zeros = room.right + tiles * s->co;
    room.spare = room.zeros + most;
    memset(room.zeros, 0, most * sizeof *room.zeros);
    return room;
}

DRACO_LAYER void draco_winograd_forward(const draco_conv_shape *s, size_t images, const float *x,
                                        const float *w, float *y, float *scratch) {
    const draco_winograd_room room = draco_winograd_layout(s, scratch);
    const size_t all = draco_winograd_tiles(s, images), ci = s->ci, co = s->co, most = DRACO_WINOGRAD_TILES;
    const float *from[DRACO_WINOGRAD_POINTS];
    float *to[DRACO_WINOGRAD_POINTS], *rows[DRACO_WINOGRAD_POINTS];
    for (size_t c = 0; c < ci; c++) {
        for (size_t i = 0; i < 9; i++) from[i] = w + (i * ci + c) * co;
        draco_winograd_apart(room.weights + c * co, ci * co, DRACO_WINOGRAD_POINTS, to);
        draco_winograd_transform(DRACO_WINOGRAD_WEIGHTS, co, from, to);
    }
    for (size_t first = 0; first < all; first += most) {
        const size_t count = draco_min_size(all - first, most);
        draco_winograd_tiles_in(DRACO_WINOGRAD_IMAGE, s, first, count, ci, x, room.zeros, room.left);
        for (size_t i = 0; i < DRACO_WINOGRAD_POINTS; i++)
            draco_sgemm('N', 'N', count, co, ci, room.left + i * most * ci, ci, room.weights + i * ci * co,
                        co, 0.0f, room.right + i * most * co, co);
        for (size_t t = 0; t < count; t++) {
            draco_winograd_apart(room.right + t * co, most * co, DRACO_WINOGRAD_POINTS, rows);
            for (size_t i = 0; i < DRACO_WINOGRAD_POINTS; i++) from[i] = rows[i];
            draco_winograd_pixels(s, first + t, 4, 0, co, y, room.spare, (const float **)to);
            draco_winograd_transform(DRACO_WINOGRAD_RESULT, co, from, to);
        }
    }
}

/* dw = beta dw + the gradient; beta is 0 or 1. */
DRACO_LAYER void draco_winograd_backward_weights(const draco_conv_shape *s, size_t images, const float *x,
                                                 const float *dy, float beta, float *dw, float *scratch) {
    const draco_winograd_room room = draco_winograd_layout(s, scratch);
    const size_t all = draco_winograd_tiles(s, images), ci = s->ci, co = s->co, most = DRACO_WINOGRAD_TILES;
    const float *from[DRACO_WINOGRAD_POINTS];
    float *to[9];
    for (size_t first = 0; first < all; first += most) {
        const size_t count = draco_min_size(all - first, most);
        draco_winograd_tiles_in(DRACO_WINOGRAD_IMAGE, s, first, count, ci, x, room.zeros, room.left);
        draco_winograd_tiles_in(DRACO_WINOGRAD_SLOPE, s, first, count, co, dy, room.zeros, room.right);
        for (size_t i = 0; i < DRACO_WINOGRAD_POINTS; i++)
            draco_sgemm('T', 'N', ci, co, count, room.left + i * most * ci, ci, room.right + i * most * co,
                        co, first > 0 ? 1.0f : 0.0f, room.weights + i * ci * co, co);
    }
    draco_winograd_apart(room.spare, co, 9, to);
    for (size_t c = 0; c < ci; c++) {
        for (size_t i = 0; i < DRACO_WINOGRAD_POINTS; i++) from[i] = room.weights + (i * ci + c) * co;
        draco_winograd_transform(DRACO_WINOGRAD_BACK, co, from, to);
        for (size_t i = 0; i < 9; i++) {
            float *out = dw + (i * ci + c) * co;
            for (size_t o = 0; o < co; o++) out[o] = beta == 0 ? to[i][o] : out[o] + to[i][o];
        }
    }
}

#endif /* DRACO_WINOGRAD_H */
