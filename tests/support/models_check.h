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

/* The derivative of a scalar by some values, against central differences at every coordinate, or at some
   `points` of them. tolerance: share of the largest derivative. */
CHECK void check_slopes(const char *what, double (*scalar)(void *), void *ctx, double *values,
                        const double *derivative, size_t n, size_t points, double tolerance) {
    double most = 1e-3;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs(derivative[i]));
    for (size_t i = 0; i < n; i += n / points + 1) {
        const double h = 1e-5, before = values[i];
        values[i] = before + h;
        double up = scalar(ctx);
        values[i] = before - h;
        double down = scalar(ctx);
        values[i] = before;
        double slope = (up - down) / (2 * h);
        if (fabs(slope - derivative[i]) > tolerance * most)
            fail_msg("%s[%zu]: derivative %.9g, central difference %.9g", what, i, derivative[i], slope);
    }
}

/* ---- Whole models ---- */

#ifdef DRACO_H
#include <fenv.h>
#include <omp.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

CHECK int32_t check_below(uint32_t stream, size_t i, int limit) {
    return (int32_t)(((double)check_number(stream, i) + 0.5) * limit);
}

/* The data sets of tests/golden/models.py. */
CHECK void check_labels(draco_dataset *data, size_t samples, int classes) {
    data->samples = samples;
    data->classes = classes;
    data->labels = calloc(samples, sizeof *data->labels);
    for (size_t i = 0; i < samples; i++) data->labels[i] = check_below(21, i, classes);
}

CHECK draco_dataset check_pictures(size_t samples, int side, int channels, int classes) {
    draco_dataset data = {.height = side, .width = side, .channels = channels};
    data.features = (size_t)side * (size_t)side * (size_t)channels;
    data.pixels = calloc(samples, data.features);
    for (size_t i = 0; i < samples * data.features; i++) data.pixels[i] = (uint8_t)check_below(20, i, 256);
    for (int c = 0; c < channels; c++) {
        data.scale[c] = 0.01f;
        data.shift[c] = -1.25f;
    }
    check_labels(&data, samples, classes);
    return data;
}

CHECK draco_dataset check_values(size_t samples, size_t features, int classes) {
    draco_dataset data = {.features = features};
    data.values = check_fill(20, 2, samples * features);
    check_labels(&data, samples, classes);
    return data;
}

CHECK draco_dataset check_sentences(size_t samples, int vocabulary, int longest) {
    draco_dataset data = {.features = (size_t)longest};
    data.vocabulary.size = (size_t)vocabulary;
    data.starts = calloc(samples + 1, sizeof *data.starts);
    for (size_t i = 0; i < samples; i++)
        data.starts[i + 1] = data.starts[i] + 1 + (size_t)check_below(22, i, longest);
    data.words = calloc(data.starts[samples], sizeof *data.words);
    for (size_t i = 0; i < data.starts[samples]; i++) data.words[i] = 1 + check_below(23, i, vocabulary - 1);
    check_labels(&data, samples, 2);
    return data;
}

CHECK void check_free(draco_dataset *data) {
    free(data->labels);
    free(data->pixels);
    free(data->values);
    free(data->words);
    free(data->starts);
}

CHECK void check_gradient(const draco_model *m, void *workspace, const float *params, size_t count,
                          float *grad) {
    const draco_batch batch = {.seed = 5, .step = 2, .first = 3, .count = count, .total = count + 20};
    memset(grad, 0xff, m->dim * sizeof *grad); /* NaN: everything must be overwritten */
    assert_int_equal(m->gradient(m->ctx, workspace, params, &batch, grad), DRACO_OK);
}

/* Against tests/golden/NAME; see the script there. */
CHECK void check_golden(const draco_model *m, const char *name, size_t count, double tolerance) {
    char path[256], tensor[64];
    size_t size, at = 0, correct;
    double loss, norm, dot;
    float scale, offset, *params = check_floats(m->dim), *grad = check_floats(m->dim);
    void *workspace;
    snprintf(path, sizeof path, "tests/golden/%s", name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (int pass = 0; pass < 2; pass++) {
        rewind(file);
        at = 0;
        assert_int_equal(fscanf(file, "score %lf %zu", &loss, &correct), 2);
        while (fscanf(file, "%63s %zu %f %f %lf %lf", tensor, &size, &scale, &offset, &norm, &dot) == 6) {
            double square = 0, product = 0;
            assert_true(at + size <= m->dim);
            for (size_t i = at; i < at + size; i++) {
                if (pass == 0) params[i] = offset + scale * check_number(10, i);
                square += (double)grad[i] * (double)grad[i];
                product += (double)grad[i] * (double)check_number(77, i);
            }
            if (pass == 1 && !(fabs(sqrt(square) - norm) <= tolerance * (norm + 1e-6) &&
                               fabs(product - dot) <= tolerance * (norm + 1e-6)))
                fail_msg("%s %s: norm %.9g, golden %.9g; product %.9g, golden %.9g", name, tensor,
                         sqrt(square), norm, product, dot);
            at += size;
        }
        if (pass > 0) continue;
        assert_int_equal(m->workspace_new(m->ctx, &workspace), DRACO_OK);
        check_gradient(m, workspace, params, count, grad);
        m->workspace_free(m->ctx, workspace);
        draco_score score;
        m->progress(m->ctx, grad, count, &score);
        assert_true(fabs(score.loss * (double)count - loss) <= tolerance * loss);
        assert_true(fabs(score.accuracy * (double)count - (double)correct) < 1e-3);
    }
    assert_int_equal(at, m->dim);
    fclose(file);
    free(params);
    free(grad);
}

/* All that a model computes: the start, a gradient, its score, another score. */
CHECK void check_all_of(const draco_model *m, size_t count, float *params, float *grad,
                        draco_score score[2]) {
    void *workspace;
    memset(score, 0, 2 * sizeof *score);
    assert_int_equal(m->init(m->ctx, 3, params), DRACO_OK);
    const draco_math_mode mode = draco_math_begin();
    for (size_t i = 0; i < m->parameters; i++) params[i] += 0.1f * check_number(31, i);
    draco_math_end(mode);
    if (m->project) m->project(m->ctx, params);
    assert_int_equal(m->workspace_new(m->ctx, &workspace), DRACO_OK);
    check_gradient(m, workspace, params, count, grad);
    m->progress(m->ctx, grad, count, &score[0]);
    if (m->absorb) m->absorb(m->ctx, params, grad, count);
    if (m->evaluate) assert_int_equal(m->evaluate(m->ctx, workspace, params, &score[1]), DRACO_OK);
    m->workspace_free(m->ctx, workspace);
}

/* A thread that rounds upward and flushes denormal numbers to zero gets the bits of all others. */
CHECK void check_modes(const draco_model *m, size_t count) {
    float *params[2], *grad[2];
    draco_score score[2][2];
    for (int k = 0; k < 2; k++) {
        params[k] = check_floats(m->dim);
        grad[k] = check_floats(m->dim);
        const int round = fegetround();
#if defined(__x86_64__)
        const unsigned modes = _mm_getcsr();
        if (k == 1) _mm_setcsr(modes | 0x8040);
#endif
        if (k == 1) fesetround(FE_UPWARD);
        check_all_of(m, count, params[k], grad[k], score[k]);
        fesetround(round);
#if defined(__x86_64__)
        _mm_setcsr(modes);
#endif
    }
    assert_memory_equal(params[0], params[1], m->dim * sizeof *params[0]);
    assert_memory_equal(grad[0], grad[1], m->dim * sizeof *grad[0]);
    assert_memory_equal(score[0], score[1], sizeof score[0]);
    for (int k = 0; k < 2; k++) {
        free(params[k]);
        free(grad[k]);
    }
}

/* The same part gives the same bits in any workspace, again and again, for 1 and 2 OpenMP threads, from two
   threads at once, and for parameters that stand elsewhere in memory. */
CHECK void check_bits(const draco_model *m, const float *params, size_t count) {
    float *want = check_floats(m->dim), *grad = check_floats(m->dim);
    int threads = omp_get_max_threads(), equal = 1;
    void *first, *second;
    check_modes(m, count);
    assert_int_equal(m->workspace_new(m->ctx, &first), DRACO_OK);
    assert_int_equal(m->workspace_new(m->ctx, &second), DRACO_OK);
    check_gradient(m, first, params, count, want);
    for (int k = 1; k <= 2; k++) {
        omp_set_num_threads(k);
        check_gradient(m, second, params, count / 2, grad); /* leaves other numbers behind */
        check_gradient(m, second, params, count, grad);
        assert_memory_equal(want, grad, m->dim * sizeof *grad);
        check_gradient(m, first, params, count, grad);
        assert_memory_equal(want, grad, m->dim * sizeof *grad);
    }
    omp_set_num_threads(threads);
#pragma omp parallel for num_threads(2) reduction(&& : equal)
    for (int t = 0; t < 4; t++) {
        float *mine = malloc((m->dim + 1) * sizeof *mine), *moved = malloc((m->dim + 1) * sizeof *moved);
        void *workspace;
        const draco_batch batch = {.seed = 5, .step = 2, .first = 3, .count = count, .total = count + 20};
        memcpy(moved + t % 2, params, m->dim * sizeof *moved);
        int good = m->workspace_new(m->ctx, &workspace) == DRACO_OK;
        good = good && m->gradient(m->ctx, workspace, moved + t % 2, &batch, mine + 1) == DRACO_OK;
        if (good) m->workspace_free(m->ctx, workspace);
        equal = equal && good && memcmp(want, mine + 1, m->dim * sizeof *mine) == 0;
        free(mine);
        free(moved);
    }
    assert_true(equal);
    m->workspace_free(m->ctx, first);
    m->workspace_free(m->ctx, second);
    free(want);
    free(grad);
}

/* The gradient against central differences of a loss in double, at some `points` coordinates. loss: of the
   part that check_gradient asks for, at `wide`, which holds the parameters. */
CHECK void check_model_slopes(const draco_model *m, const float *params, double *wide, size_t count,
                              size_t points, double (*loss)(void *), void *ctx) {
    float *grad = check_floats(m->dim);
    void *workspace;
    for (size_t i = 0; i < m->dim; i++) wide[i] = (double)params[i];
    assert_int_equal(m->workspace_new(m->ctx, &workspace), DRACO_OK);
    check_gradient(m, workspace, params, count, grad);
    double *narrow = check_widen(grad, m->parameters), value = loss(ctx);
    assert_true(fabs((double)grad[draco_model_stats_offset(m->parameters)] - value) < 1e-4 * value);
    check_slopes(m->name, loss, ctx, wide, narrow, m->parameters, points, 1e-4);
    m->workspace_free(m->ctx, workspace);
    free(grad);
    free(narrow);
}

/* Plain descent on one batch lowers its loss. */
CHECK void check_descends(const draco_model *m, float rate, int steps) {
    float *params = check_floats(m->dim), *grad = check_floats(m->dim);
    double begin = 0, end = 0;
    void *workspace;
    assert_int_equal(m->init(m->ctx, 1, params), DRACO_OK);
    assert_int_equal(m->workspace_new(m->ctx, &workspace), DRACO_OK);
    for (int k = 0; k < steps; k++) {
        check_gradient(m, workspace, params, 24, grad);
        end = (double)grad[draco_model_stats_offset(m->parameters)];
        if (k == 0) begin = end;
        for (size_t i = 0; i < m->parameters; i++) params[i] -= rate / 24 * grad[i];
        if (m->project) m->project(m->ctx, params);
    }
    if (!(end < 0.7 * begin)) fail_msg("%s: loss %g before, %g after", m->name, begin, end);
    m->workspace_free(m->ctx, workspace);
    free(params);
    free(grad);
}

/* An empty part is a gradient of zeros. */
CHECK void check_empty_part(const draco_model *m) {
    float *params = check_floats(m->dim), *grad = check_floats(m->dim);
    void *workspace;
    m->init(m->ctx, 1, params);
    assert_int_equal(m->workspace_new(m->ctx, &workspace), DRACO_OK);
    check_gradient(m, workspace, params, 0, grad);
    for (size_t i = 0; i < m->dim; i++) assert_true(grad[i] == 0);
    m->workspace_free(m->ctx, workspace);
    free(params);
    free(grad);
}
#endif

#endif
