/* The inside of draco_codes.h: the linear algebra, the kernels of every instruction set, and sketches, whose
 * bits must not depend on how the bytes were cut. */
#include "support/codes_helpers.h"

#define HEAD sizeof(drc_head)

typedef drc_c cplx;

static cplx random_c(uint64_t *rng) {
    return drc_c_of((double)rng_normal(rng), (double)rng_normal(rng));
}

/* R^H R = A^H A; what is reflected along keeps its inner products with A, and is itself again when reflected back. */
static void householder(void **state) {
    (void)state;
    uint64_t rng = 1;
    for (int rows = 1; rows <= 24; rows++)
        for (int cols = 1; cols <= rows; cols += 3) {
            cplx a[24 * 24], was[24 * 24], b[24 * 2], before[24 * 2], back[24];
            for (int k = 0; k < rows * cols; k++) a[k] = was[k] = random_c(&rng);
            for (int k = 0; k < rows * 2; k++) b[k] = before[k] = random_c(&rng);
            if (cols > 2)
                memcpy(a + rows, a, (size_t)rows * sizeof *a),
                    memcpy(was + rows, a, (size_t)rows * sizeof *a);
            drc_qr(a, rows, cols, b, 2, rows);
            memcpy(back, b, sizeof back);
            drc_reflect(a, rows, cols, back, rows);
            for (int i = 0; i < rows; i++)
                assert_true(sqrt(drc_c_norm2(drc_c_sub(back[i], before[i]))) < 1e-13);
            for (int j = 0; j < cols; j++)
                for (int i = j + 1; i < rows; i++) a[j * rows + i] = drc_c_of(0, 0);
            for (int j = 0; j < cols; j++) {
                for (int k = 0; k < cols; k++) {
                    cplx x = drc_dot(a + j * rows, a + k * rows, rows);
                    cplx y = drc_dot(was + j * rows, was + k * rows, rows);
                    assert_true(fabs(x.re - y.re) + fabs(x.im - y.im) < 1e-12);
                }
                for (int k = 0; k < 2; k++) {
                    cplx x = drc_dot(a + j * rows, b + k * rows, rows);
                    cplx y = drc_dot(was + j * rows, before + k * rows, rows);
                    assert_true(fabs(x.re - y.re) + fabs(x.im - y.im) < 1e-12);
                }
            }
        }
}

/* A matrix made with a null vector: it is found, also when the rows differ in size by 10^12. */
static void least_singular_vector(void **state) {
    (void)state;
    uint64_t rng = 2;
    for (int n = 2; n <= 20; n++)
        for (int graded = 0; graded < 2; graded++) {
            cplx a[20 * 20], keep[20 * 20], v[20], null[20];
            for (int j = 0; j < n; j++) null[j] = random_c(&rng);
            for (int i = 0; i < n; i++) {
                cplx last = drc_c_of(0, 0);
                double scale = graded ? pow(10, -12.0 * i / n) : 1;
                for (int j = 0; j + 1 < n; j++) {
                    cplx x = drc_c_scale(random_c(&rng), scale);
                    a[j * n + i] = x;
                    last = drc_c_sub(last, drc_c_mul(x, null[j]));
                }
                double size = drc_c_norm2(null[n - 1]);
                cplx conjugate = drc_c_of(null[n - 1].re / size, -null[n - 1].im / size);
                a[(n - 1) * n + i] = drc_c_mul(last, conjugate);
            }
            memcpy(keep, a, sizeof keep);
            const cplx *found = v;
            drc_qr(a, n, n, NULL, 0, n);
            drc_least(a, v, n);
            double whole = sqrt(drc_norm2(keep, n * n)), left = 0;
            assert_true(fabs(drc_norm2(found, n) - 1) < 1e-12);
            for (int i = 0; i < n; i++) {
                cplx sum = drc_c_of(0, 0);
                for (int j = 0; j < n; j++) {
                    cplx minus = drc_c_mul(keep[j * n + i], found[j]);
                    sum = drc_c_sub(sum, minus);
                }
                left += drc_c_norm2(sum);
            }
            assert_true(sqrt(left) < 1e-13 * whole);
        }
}

/* The weights vanish on the bad, and read the constant term off every polynomial of degree below n - q. */
static void weights_read_the_constant_term(void **state) {
    (void)state;
    uint64_t rng = 3;
    const int cases[][3] = {{5, 1, 0}, {9, 2, 1}, {15, 7, 0}, {45, 5, 0}, {46, 4, 2}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, cases[k][0],
                                  cases[k][1], cases[k][2]);
        int n = code.n, q = code.r - 1;
        void *work = malloc(draco_locate_work_bytes(&code));
        double *weights = malloc(draco_weights_bytes(&code));
        drc_complex_work w;
        drc_lay_complex(&code, work, &w);
        for (int i = 0; i < n; i++) {
            w.roots[i] = drc_root(n, i);
            w.worker[i] = i;
        }
        for (int count = 0; count <= q; count++) {
            int bad[64];
            choose(bad, count, n, 0, &rng);
            double gain = drc_solve(&w, q, bad, count), norm = 0;
            drc_complex_weigh(&w, bad, count, weights);
            for (int i = 0; i < 2 * n; i++) norm += weights[i] * weights[i];
            assert_true(fabs(ldexp(sqrt(n * norm), -code.scale) / gain - 1) < 1e-6);
            for (int i = 0; i < count; i++)
                assert_true(weights[2 * bad[i]] == 0 && weights[2 * bad[i] + 1] == 0);
            for (int degree = 0; degree < n - q; degree++) {
                cplx sum = drc_c_of(degree == 0 ? -1 : 0, 0);
                for (int i = 0; i < n; i++) {
                    cplx v =
                        drc_c_of(ldexp(weights[2 * i], -code.scale), ldexp(weights[2 * i + 1], -code.scale));
                    cplx term = drc_c_mul(v, drc_power(&w, i, degree));
                    sum.re += term.re;
                    sum.im += term.im;
                }
                assert_true(sqrt(drc_c_norm2(sum)) < 1e-7 * gain);
            }
        }
        free(work);
        free(weights);
    }
}

/* Every set of workers that can be out, for small codes: none has a larger gain than those side by side, nor than the bound
 * for some that are known and any others. */
static void gains_are_bounds(void **state) {
    (void)state;
    uint64_t rng = 4;
    const int cases[][3] = {{5, 1, 0}, {8, 2, 1}, {9, 3, 0}, {11, 2, 2}, {13, 3, 0}, {14, 2, 1}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, cases[k][0],
                                  cases[k][1], cases[k][2]);
        int n = code.n, q = code.r - 1, known[16];
        void *work = malloc(draco_locate_work_bytes(&code));
        drc_complex_work w;
        drc_lay_complex(&code, work, &w);
        for (int i = 0; i < n; i++) w.roots[i] = drc_root(n, i);
        for (int count = 0; count <= q; count++) {
            double worst[17] = {0};
            int must = 0, inside = 0;
            choose(known, count, n, (int)k % 2, &rng);
            for (int i = 0; i < count; i++) must |= 1 << known[i];
            for (int set = 0; set < 1 << n; set++) {
                int bad[16], out = 0;
                for (int i = 0; i < n; i++)
                    if (set >> i & 1) bad[out++] = i;
                if ((set & must) != must || out > q) continue;
                double gain = drc_solve(&w, q, bad, out);
                if (gain > worst[out]) worst[out] = gain;
                inside++;
            }
            assert_true(inside > 0);
            drc_fill_gains(&w, q, w.gains);
            for (int out = count; out <= q; out++) {
                w.budget = 1000000;
                assert_true(worst[out] <= w.gains[out] * (1 + 1e-9));
                assert_true(worst[out] <= drc_gain_with(&w, known, count, out - count) * (1 + 1e-9));
            }
        }
        free(work);
    }
}

/* Coefficients are right to the last bits of double however many workers there are: against a product in long
 * double, for codes of all sizes, and the first worker whose product left the range of double. */
static void coefficients_are_right(void **state) {
    (void)state;
    const int cases[][4] = {{2, 0, 0, 0},      {3, 1, 0, 0},    {7, 2, 1, 0},      {45, 5, 0, 0},
                            {45, 5, 0, 1},     {101, 10, 3, 1}, {1000, 100, 0, 0}, {2201, 1, 0, 0},
                            {4096, 1, 0, 0},   {4096, 0, 0, 0}, {4096, 200, 3, 0}, {4096, 2000, 1, 0},
                            {4096, 2047, 0, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const int *c = cases[k], n = c[0];
        draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, (draco_support)c[3], c[0], c[1], c[2]);
        for (int i = 0, worker = 1822 % n; i < 40; i++, worker = (worker + n / 3 + 1) % n) {
            int part = draco_code_part(&code, worker, i * code.r / 40);
            if (n == 2201) part = i == 0 ? 1822 : part;
            if (!draco_code_holds(&code, worker, part)) continue;
            long double modulus = 1, angle = 0, pi = 3.14159265358979323846264338327950288L;
            double value[4], size;
            for (int m = 0; m < n; m++) {
                if (draco_code_holds(&code, m, part)) continue;
                int turn = (worker - m + n) % n;
                modulus *= 2 * sinl(pi * turn / n);
                angle = fmodl(angle + pi * turn / n - pi / 2, 2 * pi);
            }
            drc_complex_coefficient(&code, part, worker, value);
            double re = (double)(modulus * cosl(angle)), im = (double)(modulus * sinl(angle));
            size = hypot(re, im);
            assert_true(isfinite(size) && size > 0);
            assert_true(fabs(value[0] + value[2] - re) <= 2e-16 * (20 + code.r) * size);
            assert_true(fabs(value[1] + value[3] - im) <= 2e-16 * (20 + code.r) * size);
        }
    }
}

static void residues(void **state) {
    (void)state;
    uint64_t rng = 4;
    const uint32_t p = 0x7fffffff;
    const uint64_t edges[] = {0, 1, p - 1, p, p + 1ull, 2ull * p, 1ull << 62, (uint64_t)-1};
    for (int k = 0; k < 20000; k++) {
        uint64_t v = k < 8 ? edges[k] : rng_next(&rng) >> rng_below(&rng, 40);
        assert_int_equal(drc_mod(v), v % p);
        uint32_t a = (uint32_t)(v % p);
        if (a) assert_int_equal(drc_mul(a, drc_inverse(a)), 1);
    }
}

#ifdef DRC_X86
static int has_avx512(void) {
    return __builtin_cpu_supports("avx512f") != 0;
}
static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#define COUNT 4096

static float *random_floats(uint64_t *rng, size_t count) {
    float *x = malloc(count * sizeof *x);
    for (size_t c = 0; c < count; c++)
        x[c] = (float)((double)rng_normal(rng) * pow(10, 20 * rng_unit(rng) - 10));
    return x;
}

static uint32_t *random_residues(uint64_t *rng, size_t count) {
    uint32_t *x = malloc(count * sizeof *x);
    for (size_t c = 0; c < count; c++) x[c] = c % 7 ? (uint32_t)(rng_next(rng) % 0x7fffffff) : 0x7ffffffe;
    return x;
}

/* Runs a kernel's versions on copies of the same buffer and compares the bits. */
#define SAME(kernel, bytes, buffer, ...)                                                                     \
    do {                                                                                                     \
        unsigned char *start = malloc(bytes), *plain = malloc(bytes);                                        \
        memcpy(start, buffer, bytes);                                                                        \
        kernel##_plain(__VA_ARGS__);                                                                         \
        memcpy(plain, buffer, bytes);                                                                        \
        for (int version = 0; version < 2; version++) {                                                      \
            if (version ? !has_avx512() : !has_avx2()) continue;                                             \
            memcpy(buffer, start, bytes);                                                                    \
            if (version)                                                                                     \
                kernel##_avx512(__VA_ARGS__);                                                                \
            else                                                                                             \
                kernel##_avx2(__VA_ARGS__);                                                                  \
            assert_memory_equal(buffer, plain, bytes);                                                       \
        }                                                                                                    \
        free(start);                                                                                         \
        free(plain);                                                                                         \
    } while (0)

static void every_version_gives_the_same_bits(void **state) {
    (void)state;
    uint64_t rng = 5;
    float *x = random_floats(&rng, 4 * COUNT);
    uint32_t *u = random_residues(&rng, 4 * COUNT), *mu = random_residues(&rng, COUNT), largest;
    double factors[32], v[8], sums[2][1024];
    uint64_t totals[1024], lanes[2 * 512];
    double folded[5 * 512];
    const float *rows[4] = {x, x + COUNT + 1, x + 2 * COUNT, x + 3 * COUNT - 3};
    const uint32_t *wholes[3] = {u, u + COUNT + 1, u + 2 * COUNT};
    for (int k = 0; k < 32; k++) factors[k] = (double)(float)(1 + rng_unit(&rng));
    for (int k = 0; k < 8; k++) v[k] = drc_short((double)rng_normal(&rng));
    for (int k = 0; k < 1024; k++) sums[0][k] = sums[1][k] = k, totals[k] = rng_next(&rng) >> 31;
    for (int k = 0; k < 1024; k++) lanes[k] = rng_next(&rng) % 0x7fffffff;
    for (int k = 0; k < 5 * 512; k++) folded[k] = k;
    SAME(drc_fold_complex, sizeof folded, folded, folded, x, factors, x);
    SAME(drc_add_turned, sizeof folded, folded, folded, sums[1], (const cplx *)(void *)factors, 16);
    SAME(drc_fold_prime, sizeof lanes, lanes, lanes, u, u + 77, u, &largest);
    SAME(drc_encode, sizeof sums, sums, sums[0], x + 1, 1021, v);
    SAME(drc_largest, sizeof largest, &largest, x, COUNT - 5, &largest);
    for (int power = -98; power <= 153; power += power == -98 ? 90 : 23) { /* -98, -8, 15 ... 153 */
        const float *parts[8];
        for (int k = 0; k < 4 * COUNT; k++) { /* halves, whole numbers, and all below 2^29 */
            double unit =
                k % 3 ? ldexp(rng_unit(&rng) - 0.5, (int)rng_below(&rng, 60) - 30) : (k % 999 - 500) / 2.0;
            x[k] = (float)ldexp(unit, -power);
        }
        for (int l = 0; l < 8; l++) parts[l] = x + 1000 * l + l;
        for (int count = 1; count <= 8; count++)
            SAME(drc_quantise, COUNT * sizeof *mu, mu, mu, parts, u, count, COUNT - 3, power);
    }
    for (size_t count = 1000; count < 1024; count += 3) {
        SAME(drc_add_row, sizeof sums[0], sums[0], sums[0], x, count);
        SAME(drc_add_rows, sizeof sums, sums, sums[0], sums[1], rows, v, count);
        SAME(drc_add_residues, sizeof totals, totals, totals, wholes, u + 5, count);
        SAME(drc_dequantise, sizeof sums[0], sums[0], (float *)sums[0], totals, count, 0x1p-33);
        SAME(drc_squares, sizeof v, v, v, x, count);
    }
    free(x);
    free(u);
    free(mu);
}
#endif

static void fold_in_chunks(const draco_code *code, const draco_key *key, const unsigned char *bytes, size_t n,
                           int how, draco_sketch *sketch, uint64_t *rng) {
    unsigned char *copy = malloc(n + 8);
    size_t at = 0;
    draco_sketch_begin(code, 3 * 4 * DRACO_BLOCK, sketch);
    while (at < n) {
        size_t most = how == 0 ? n : how == 1 ? 1 : how == 2 ? 7000 : 40000;
        size_t take = how < 2 ? most : 1 + rng_next(rng) % most, shift = how == 3 ? rng_next(rng) % 8 : 0;
        if (take > n - at) take = n - at;
        memcpy(copy + shift, bytes + at, take);
        assert_int_equal(draco_sketch_add(code, key, sketch, copy + shift, take), DRACO_OK);
        at += take;
    }
    free(copy);
}

static void any_chunking_gives_the_same_bits(void **state) {
    (void)state;
    uint64_t rng = 6;
    for (int kind = 0; kind < 3; kind++) {
        draco_code code =
            code_of(kind ? DRACO_CYCLIC : DRACO_REPETITION,
                    kind == 2 ? DRACO_FIELD_PRIME : DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, 5, 1, 0);
        size_t n = 4 * (5 * DRACO_BLOCK + 700), bytes = draco_sketch_bytes(&code);
        unsigned char *message = malloc(n);
        draco_sketch *whole = malloc(bytes), *cut = malloc(bytes);
        void *key = malloc(draco_sketch_key_bytes(&code));
        draco_seed seed = rng_seed(&rng);
        draco_sketch_key_init(&code, &seed, key);
        for (size_t c = 0; c < n / 4; c++) {
            float f = rng_normal(&rng);
            uint32_t u = (uint32_t)(rng_next(&rng) % 0x7fffffff);
            memcpy(message + 4 * c, kind == 2 ? (void *)&u : (void *)&f, 4);
        }
        fold_in_chunks(&code, key, message, n, 0, whole, &rng);
        for (int k = 0; k < 12; k++) {
            fold_in_chunks(&code, key, message, n, k == 0 ? 1 : 2 + k % 2, cut, &rng);
            if (kind)
                assert_memory_equal((char *)cut + HEAD, (char *)whole + HEAD,
                                    bytes - HEAD); /* but for the carry of the head */
            else {
                uint8_t a[DRACO_FINGERPRINT_BYTES], b[DRACO_FINGERPRINT_BYTES];
                draco_sketch_fingerprint(&code, key, whole, a);
                draco_sketch_fingerprint(&code, key, cut, b);
                assert_memory_equal(a, b, sizeof a);
            }
        }
        free(message);
        free(whole);
        free(cut);
        free(key);
    }
}

/* Shards sketched apart and merged, in any order: the same verdicts, and the same bits of the sum. */
static void shards_merge(void **state) {
    (void)state;
    uint64_t rng = 7;
    const size_t d = 4 * DRACO_BLOCK + 123;
    for (int kind = 0; kind < 3; kind++) {
        draco_code code =
            code_of(kind ? DRACO_CYCLIC : DRACO_REPETITION,
                    kind == 2 ? DRACO_FIELD_PRIME : DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, 9, 2, 0);
        step now = step_new(code, d, &rng);
        size_t each = draco_sketch_bytes(&code), cuts[] = {0, 16384, 49152, now.bytes};
        draco_seed seed = rng_seed(&rng);
        void *key = malloc(draco_sketch_key_bytes(&code)), *work = malloc(draco_locate_work_bytes(&code));
        void *weights = malloc(draco_weights_bytes(&code));
        unsigned char *sketches = malloc(9 * 3 * each);
        const draco_sketch *folded[9];
        const void *rows[9];
        draco_verdict verdicts[9];
        draco_report report;
        float *sum = malloc(d * sizeof *sum);
        draco_sketch_key_init(&code, &seed, key);
        memset(step_message(&now, 4), 1, 16);
        memset(step_message(&now, 7) + now.bytes - 64, 2, 64);
        for (int i = 0; i < 9; i++) {
            rows[i] = step_message(&now, i);
            for (size_t k = 0; k < 3; k++) {
                draco_sketch *sketch = (draco_sketch *)(sketches + ((size_t)i * 3 + k) * each);
                draco_sketch_begin(&code, cuts[k], sketch);
                draco_sketch_add(&code, key, sketch, step_message(&now, i) + cuts[k], cuts[k + 1] - cuts[k]);
            }
            draco_sketch *into = (draco_sketch *)(sketches + ((size_t)i * 3 + (size_t)i % 3) * each);
            for (size_t k = 1; k < 3; k++)
                draco_sketch_merge(&code, key, into,
                                   (draco_sketch *)(sketches + ((size_t)i * 3 + ((size_t)i + k) % 3) * each));
            folded[i] = into;
        }
        memset(verdicts, 0, sizeof verdicts);
        assert_int_equal(draco_locate(&code, key, d, folded, work, weights, verdicts, &report), DRACO_OK);
        for (int i = 0; i < 9; i++)
            assert_int_equal(verdicts[i], i == 4 || i == 7 ? DRACO_BLAMED : DRACO_AGREES);
        assert_int_equal(draco_combine(&code, weights, rows, d, 0, d, now.exponents, sum), DRACO_OK);
        if (kind == 1)
            assert_true(relative_error(sum, now.sum, d) < 1e-6);
        else
            assert_memory_equal(sum, now.sum, d * sizeof *sum);
        free(key);
        free(work);
        free(weights);
        free(sketches);
        free(sum);
        step_free(&now);
    }
}

/* Every single coordinate counts: a lie in any one place, however far out, changes the sketch of both fields. */
static void no_coordinate_is_overlooked(void **state) {
    (void)state;
    uint64_t rng = 8;
    for (int kind = 1; kind < 3; kind++) {
        draco_code code = code_of(DRACO_CYCLIC, kind == 2 ? DRACO_FIELD_PRIME : DRACO_FIELD_COMPLEX,
                                  DRACO_SUPPORT_SPREAD, 5, 1, 0);
        size_t bytes = draco_sketch_bytes(&code);
        draco_sketch *none = malloc(bytes), *one = malloc(bytes);
        void *key = malloc(draco_sketch_key_bytes(&code));
        draco_seed seed = rng_seed(&rng);
        draco_sketch_key_init(&code, &seed, key);
        for (int k = 0; k < 2000; k++) {
            uint64_t offset = (rng_next(&rng) >> 32) / 16384 * 16384;
            size_t before = 4 * (rng_next(&rng) % DRACO_BLOCK);
            static const unsigned char zeros[4 * DRACO_BLOCK];
            draco_sketch_begin(&code, offset, none);
            draco_sketch_add(&code, key, none, zeros, before + 4);
            draco_sketch_begin(&code, offset, one);
            draco_sketch_add(&code, key, one, zeros, before);
            draco_sketch_add(&code, key, one, "\1\0\0\77", 4);
            assert_memory_not_equal((char *)one + HEAD, (char *)none + HEAD, bytes - HEAD);
        }
        free(none);
        free(one);
        free(key);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(householder),
        cmocka_unit_test(least_singular_vector),
        cmocka_unit_test(weights_read_the_constant_term),
        cmocka_unit_test(gains_are_bounds),
        cmocka_unit_test(residues),
        cmocka_unit_test(coefficients_are_right),
#ifdef DRC_X86
        cmocka_unit_test(every_version_gives_the_same_bits),
#endif
        cmocka_unit_test(any_chunking_gives_the_same_bits),
        cmocka_unit_test(shards_merge),
        cmocka_unit_test(no_coordinate_is_overlooked),
    };
    return cmocka_run_group_tests_name("kernels of the codes", tests, NULL, NULL);
}
