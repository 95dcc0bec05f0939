/* Helpers of the tests of models/: numbers that need no files, comparisons, central differences, equal bits.
 */
#ifndef MODELS_CHECK_H
#define MODELS_CHECK_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK __attribute__((unused)) static

/* A number in [-0.5, 0.5) with 24 bits, the same in tests/golden/models.py. */
CHECK float check_number(uint32_t stream, size_t i) {
    uint32_t x = (uint32_t)i * 2654435761u + stream * 40503u + 12345u;
    x ^= x >> 15;
    x *= 2246822519u;
    x ^= x >> 13;
    return (float)(x >> 8) * 0x1p-24f - 0.5f;
}

CHECK float *check_floats(size_t n) {
    float *p = aligned_alloc(64, (n * sizeof *p + 64) / 64 * 64);
    assert_non_null(p);
    memset(p, 0, n * sizeof *p);
    return p;
}

CHECK float *check_fill(uint32_t stream, float scale, size_t n) {
    float *p = check_floats(n);
    for (size_t i = 0; i < n; i++) p[i] = scale * check_number(stream, i);
    return p;
}

CHECK double *check_doubles(size_t n) {
    double *p = calloc(n ? n : 1, sizeof *p);
    assert_non_null(p);
    return p;
}

CHECK double *check_widen(const float *from, size_t n) {
    double *p = check_doubles(n);
    for (size_t i = 0; i < n; i++) p[i] = (double)from[i];
    return p;
}

/* Largest difference, as a share of the largest value. */
CHECK double check_distance(const float *got, const double *want, size_t n) {
    double most = 1e-30, off = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs(want[i]));
        off = fmax(off, fabs((double)got[i] - want[i]));
        if (!isfinite(got[i])) return INFINITY;
    }
    return off / most;
}

CHECK void check_close(const char *what, const float *got, const double *want, size_t n, double tolerance) {
    double distance = check_distance(got, want, n);
    if (distance > tolerance)
        fail_msg("%s: off by %.3g of the largest value, %.3g allowed", what, distance, tolerance);
}

/* The derivative of a scalar by some values, against central differences at every coordinate, or some 64 of
 * them. */
CHECK void check_slope(const char *what, double (*scalar)(void *), void *ctx, double *values,
                       const double *derivative, size_t n) {
    double most = 1e-3;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs(derivative[i]));
    for (size_t i = 0; i < n; i += n / 64 + 1) {
        const double h = 1e-5, before = values[i];
        values[i] = before + h;
        double up = scalar(ctx);
        values[i] = before - h;
        double down = scalar(ctx);
        values[i] = before;
        double slope = (up - down) / (2 * h);
        if (fabs(slope - derivative[i]) > 1e-6 * most)
            fail_msg("%s[%zu]: derivative %.9g, central difference %.9g", what, i, derivative[i], slope);
    }
}

#endif
