/* What the codes do at and past their limits: exponents and rounding of the prime field, more liars than a code
 * carries, all redundancy gone, gradients of zeros, denormals and outliers. */
#include "support/codes_helpers.h"

static void exponents_of_blocks(void **state) {
    (void)state;
    draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_PRIME, DRACO_SUPPORT_SPREAD, 5, 1, 0);
    static float g[3 * DRACO_EXPONENT_BLOCK + 1];
    uint8_t e[4] = {9, 9, 9, 9};
    g[5] = -1.0f;
    g[DRACO_EXPONENT_BLOCK + 7] = 1e-42f; /* denormal */
    g[3 * DRACO_EXPONENT_BLOCK] = 3.4e38f;
    assert_true(draco_exponent_bytes(3 * DRACO_EXPONENT_BLOCK + 1) == 4);
    assert_int_equal(draco_exponents_of(&code, g, 3 * DRACO_EXPONENT_BLOCK + 1, e), DRACO_OK);
    assert_int_equal(e[0], 127);
    assert_int_equal(e[1], 1);
    assert_int_equal(e[2], 0);
    assert_int_equal(e[3], 254);
    uint8_t before[4];
    memcpy(before, e, 4);
    const float unusable[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (int k = 0; k < 4; k++) {
        g[DRACO_EXPONENT_BLOCK] = unusable[k];
        assert_int_equal(draco_exponents_of(&code, g, 3 * DRACO_EXPONENT_BLOCK + 1, e), DRACO_E_RANGE);
        assert_memory_equal(e, before, 4);
    }
    assert_true(draco_exponent_bytes(0) == 0 && draco_exponent_bytes(DRACO_EXPONENT_BLOCK) == 1);
}

/* Halves away from zero; a value at the edge of its block stays inside; outside it is refused, untouched. */
static void quantisation(void **state) {
    (void)state;
    draco_code code =
        code_of(DRACO_CYCLIC, DRACO_FIELD_PRIME, DRACO_SUPPORT_SPREAD, 1, 0, 0); /* coefficient 1 */
    const uint32_t p = 0x7fffffff;
    const float unit = 0x1p-29f, g[8] = {0.5f * unit,  -0.5f * unit, 1.5f * unit,  -2.5f * unit,
                                         0.49f * unit, 0.99999994f,  -0.99999994f, 0};
    uint32_t m[8];
    uint8_t e[1] = {126};
    draco_encoding *encoding = malloc(draco_encoding_bytes(&code, 8));
    assert_int_equal(draco_encode_init(&code, 8, encoding), DRACO_OK);
    assert_int_equal(draco_encode_begin(&code, 8, encoding), DRACO_OK);
    assert_int_equal(draco_encode_add(&code, 0, 0, g, 8, e, encoding), DRACO_OK);
    assert_int_equal(draco_encode_end(&code, 8, encoding, m), DRACO_OK);
    const uint32_t want[8] = {1, p - 1, 2, p - 3, 0, (1u << 29) - 32, p - (1u << 29) + 32, 0};
    assert_memory_equal(m, want, sizeof want);
    const float outside[2] = {0.25f, 1.0f}, broken[2] = {0.25f, NAN};
    assert_int_equal(draco_encode_add(&code, 0, 0, outside, 2, e, encoding), DRACO_E_RANGE);
    assert_int_equal(draco_encode_add(&code, 0, 0, broken, 2, e, encoding), DRACO_E_RANGE);
    e[0] = 255;
    assert_int_equal(draco_encode_add(&code, 0, 0, outside, 2, e, encoding), DRACO_E_RANGE);
    assert_int_equal(draco_encode_end(&code, 8, encoding, m), DRACO_OK);
    free(encoding);
    assert_memory_equal(m, want, sizeof want);
}

/* All parts in one pass, or in two, make the bytes that one after the other does; a block that does not fit is left
   out of its part alone. */
static void parts_in_one_pass(void **state) {
    (void)state;
    enum { D = 5 * DRACO_EXPONENT_BLOCK + 77, BLOCKS = 6, MOST = 11 };
    const int codes[][2] = {{3, 1}, {15, 2}, {15, 4}, {23, 5}};
    uint64_t rng = 21;
    for (size_t k = 0; k < sizeof codes / sizeof *codes; k++) {
        draco_code code =
            code_of(DRACO_CYCLIC, DRACO_FIELD_PRIME, DRACO_SUPPORT_SPREAD, codes[k][0], codes[k][1], 0);
        step now = step_new(code, D, &rng);
        const float *parts[MOST];
        uint32_t message[D];
        uint8_t own[MOST * BLOCKS], alone[BLOCKS];
        draco_encoding *encoding = malloc(draco_encoding_bytes(&code, 1));
        assert_true(code.r <= MOST);
        for (int part = 0; part < code.n; part++) {
            float *g = step_gradient(&now, part);
            for (size_t c = 0; c < D; c++)
                g[c] = c / DRACO_EXPONENT_BLOCK == (size_t)part % 3
                           ? 0
                           : (float)ldexp((double)g[c], 30 * (int)(c % 3));
        }
        step_encode(&now);
        assert_int_equal(draco_encode_init(&code, 1, encoding), DRACO_OK);
        for (int i = 0; i < code.n; i++) {
            for (int l = 0; l < code.r; l++) parts[l] = step_gradient(&now, draco_code_part(&code, i, l));
            for (int first = 0; first <= code.r; first++) {
                memset(message, 0xaa, sizeof message);
                assert_int_equal(
                    draco_encode_parts(&code, i, 0, first, parts, D, now.exponents, encoding, message, own),
                    DRACO_OK);
                if (first > 0 && first < code.r)
                    assert_int_equal(draco_encode_parts(&code, i, first, code.r - first, parts + first, D,
                                                        now.exponents, encoding, message,
                                                        own + first * BLOCKS),
                                     DRACO_OK);
                if (first > 0) assert_memory_equal(message, step_message(&now, i), sizeof message);
            }
            for (int l = 0; l < code.r; l++) {
                assert_int_equal(draco_exponents_of(&code, parts[l], D, alone), DRACO_OK);
                assert_memory_equal(own + l * BLOCKS, alone, BLOCKS);
            }
        }
        float *g = step_gradient(&now, draco_code_part(&code, 0, 1)), spoilt[D];
        memcpy(spoilt, g, sizeof spoilt);
        for (size_t c = 0; c < DRACO_EXPONENT_BLOCK; c++) {
            spoilt[3 * DRACO_EXPONENT_BLOCK + c] = 3e38f;
            g[3 * DRACO_EXPONENT_BLOCK + c] = 0;
        }
        for (int l = 0; l < code.r; l++) parts[l] = step_gradient(&now, draco_code_part(&code, 0, l));
        uint32_t without[D];
        assert_int_equal(
            draco_encode_parts(&code, 0, 0, code.r, parts, D, now.exponents, encoding, without, own),
            DRACO_OK);
        parts[1] = spoilt;
        assert_int_equal(
            draco_encode_parts(&code, 0, 0, code.r, parts, D, now.exponents, encoding, message, own),
            DRACO_OK);
        assert_memory_equal(message, without, sizeof message);
        assert_int_equal(own[BLOCKS + 3], 254);
        spoilt[0] = NAN;
        assert_int_equal(
            draco_encode_parts(&code, 0, 0, code.r, parts, D, now.exponents, encoding, message, own),
            DRACO_E_RANGE);
        assert_int_equal(
            draco_encode_parts(&code, 0, 1, code.r, parts, D, now.exponents, encoding, message, own),
            DRACO_E_INDEX);
        assert_int_equal(
            draco_encode_parts(&code, code.n, 0, 1, parts, D, now.exponents, encoding, message, own),
            DRACO_E_INDEX);
        assert_int_equal(draco_encode_parts(&code, 0, 0, 1, parts, D, NULL, encoding, message, own),
                         DRACO_E_NULL);
        free(encoding);
        step_free(&now);
    }
    draco_code other = code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, 5, 1, 0);
    assert_int_equal(draco_encode_parts(&other, 0, 0, 1, NULL, 1, NULL, NULL, NULL, NULL), DRACO_E_ARGUMENT);
}

/* Gradients with heavy tails (Cauchy): every coordinate of the sum is right to `bound` of the largest of its block,
   and the report says how large the error is. */
static void heavy_tails_keep_their_precision(void **state) {
    (void)state;
    const struct {
        int n;
        double bound;
    } cases[] = {{5, 1e-7}, {45, 1e-6}, {200, 1e-5}};
    uint64_t rng = 11;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_PRIME, DRACO_SUPPORT_SPREAD, cases[k].n, 1, 0);
        step now = step_new(code, 20 * DRACO_EXPONENT_BLOCK, &rng);
        for (size_t c = 0; c < (size_t)code.n * now.d; c++)
            now.gradients[c] = (float)tan(3.14159265 * (rng_unit(&rng) - 0.5));
        step_encode(&now);
        double largest = 0, error = 0, squares = 0;
        for (size_t c = 0; c < now.d; c++) {
            double sum = 0;
            if (c % DRACO_EXPONENT_BLOCK == 0) largest = 0;
            for (int part = 0; part < code.n; part++) sum += (double)step_gradient(&now, part)[c];
            for (size_t i = c; i < now.d && i / DRACO_EXPONENT_BLOCK == c / DRACO_EXPONENT_BLOCK; i++)
                largest = fmax(largest, fabs((double)now.sum[i]));
            assert_true(fabs((double)now.sum[c] - sum) <= cases[k].bound * largest);
            error += ((double)now.sum[c] - sum) * ((double)now.sum[c] - sum);
            squares += sum * sum;
        }
        double told = draco_rounding_error(&code, now.exponents, now.sum, 0, now.d);
        error = sqrt(error / squares);
        assert_true(error < 2 * told + 1e-7);
        step_free(&now);
    }
}

/* n parts at the very top of their exponent add up without wrapping, for every n. */
static void sums_never_wrap(void **state) {
    (void)state;
    for (int n = 1; n <= 200; n += n < 20 ? 1 : 37) {
        draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_PRIME, DRACO_SUPPORT_SPREAD, n, 0, 0);
        double most = 0x1.fffffep127;
        double unit = drc_unit(&code, 254), q = 0x1p128 / unit;
        assert_true(q * n <= (double)((0x7fffffff - 1) / 2));
        assert_true(most / unit <= q);
        assert_true(2 * q > (double)((0x7fffffff - 1) / 2 / n)); /* and no bit is wasted */
    }
}

static uint8_t *reports_of(const step *s, const uint8_t **reports) {
    size_t each = draco_exponent_bytes(s->d), all = each * (size_t)s->code.r;
    uint8_t *bytes = malloc(all * (size_t)s->code.n);
    for (int i = 0; i < s->code.n; i++) {
        reports[i] = bytes + (size_t)i * all;
        for (int l = 0; l < s->code.r; l++)
            draco_exponents_of(&s->code, step_gradient(s, draco_code_part(&s->code, i, l)), s->d,
                               bytes + (size_t)i * all + (size_t)l * each);
    }
    return bytes;
}

/* Liars and missing in every mixture that the code carries: the exponents are those of the honest. */
static void exponents_are_voted(void **state) {
    (void)state;
    uint64_t rng = 1;
    const int codes[][3] = {{5, 1, 0}, {9, 2, 1}, {15, 3, 2}, {20, 2, 6}, {12, 0, 3}};
    for (int k = 0; k < 300; k++) {
        const int *c = codes[k % 5];
        draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_PRIME, (draco_support)(k % 2), c[0], c[1], c[2]);
        step now = step_new(code, 2 * DRACO_EXPONENT_BLOCK + 9, &rng);
        const uint8_t *reports[64];
        uint8_t *bytes = reports_of(&now, reports), agreed[3] = {0};
        int q = code.r - 1, liars = rng_below(&rng, q / 2 + 1), missing = rng_below(&rng, q - 2 * liars + 1);
        int chosen[64];
        void *work = malloc(draco_exponents_work_bytes(&code, now.d));
        draco_verdict verdicts[64] = {DRACO_UNDECIDED};
        draco_report report = {0};
        choose(chosen, liars + missing, code.n, k % 3 == 0, &rng);
        for (int i = 0; i < liars; i++)
            memset(bytes + (size_t)chosen[i] * 3 * (size_t)code.r, k % 4 ? 250 : 1, 3 * (size_t)code.r);
        for (int i = liars; i < liars + missing; i++) reports[chosen[i]] = NULL;
        if (missing > 0 && k % 3 == 1) {
            reports[chosen[liars]] = bytes + (size_t)chosen[liars] * 3 * (size_t)code.r;
            bytes[((size_t)chosen[liars] + 1) * 3 * (size_t)code.r - 1] = 255;
        }
        assert_int_equal(draco_exponents_decide(&code, reports, now.d, work, agreed, verdicts, &report),
                         missing == q ? DRACO_UNVERIFIED : DRACO_OK);
        assert_memory_equal(agreed, now.exponents, 3);
        assert_int_equal(report.blamed, liars);
        assert_int_equal(report.absent + report.malformed, missing);
        for (int i = 0; i < liars; i++) assert_int_equal(verdicts[chosen[i]], DRACO_BLAMED);
        free(work);
        free(bytes);
        step_free(&now);
    }
}

static void exponents_past_the_limit(void **state) {
    (void)state;
    uint64_t rng = 2;
    draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_PRIME, DRACO_SUPPORT_SPREAD, 9, 2, 0);
    step now = step_new(code, 100, &rng);
    const uint8_t *reports[64];
    uint8_t *bytes = reports_of(&now, reports), agreed[1] = {77};
    void *work = malloc(draco_exponents_work_bytes(&code, now.d));
    draco_verdict verdicts[9];
    draco_report report;
    for (int i = 0; i < 9; i++) memset(bytes + 5 * i, 10 + i, 5);
    assert_int_equal(draco_exponents_decide(&code, reports, now.d, work, agreed, verdicts, &report),
                     DRACO_E_NO_MAJORITY);
    for (int i = 0; i < 5; i++) reports[i] = NULL;
    assert_int_equal(draco_exponents_decide(&code, reports, now.d, work, agreed, verdicts, &report),
                     DRACO_E_TOO_MANY_MISSING);
    assert_int_equal(agreed[0], 77);
    free(work);
    free(bytes);
    step_free(&now);
}

typedef struct outcome {
    draco_status status;
    draco_verdict verdicts[128];
    draco_report report;
    float *sum;
} outcome;

static outcome decode(const step *s, const void *const *rows, uint64_t *rng) {
    outcome out = {.sum = calloc(s->d, sizeof(float))};
    draco_seed seed = rng_seed(rng);
    void *work = malloc(draco_decode_work_bytes(&s->code));
    out.status =
        draco_decode(&s->code, &seed, rows, s->d, s->exponents, work, out.sum, out.verdicts, &out.report);
    free(work);
    return out;
}

/* s + 1 and s + 2 independent liars: an error every time, and nothing written. */
static void overload(draco_field field, int trials) {
    uint64_t rng = 3;
    const int codes[][3] = {{6, 1, 0}, {9, 2, 0}, {15, 3, 0}, {20, 3, 2}, {45, 5, 0}, {45, 2, 6}, {64, 8, 0}};
    for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++)
        for (int more = 1; more <= 2; more++)
            for (int i = 0; i < trials; i++) {
                draco_code code =
                    code_of(DRACO_CYCLIC, field, DRACO_SUPPORT_SPREAD, codes[k][0], codes[k][1], codes[k][2]);
                step now = step_new(code, 301, &rng);
                const void *rows[128];
                int chosen[128], liars = code.s + more;
                for (int j = 0; j < code.n; j++) rows[j] = step_message(&now, j);
                choose(chosen, liars + code.t, code.n, i % 4 == 3, &rng);
                for (int j = 0; j < liars; j++) {
                    unsigned char *m = step_message(&now, chosen[j]);
                    for (size_t c = 0; c < now.bytes / 4; c++) {
                        float f = ((float *)(void *)m)[c] + 3 * rng_normal(&rng);
                        uint32_t u = (uint32_t)(rng_next(&rng) % 0x7fffffff);
                        memcpy(m + 4 * c, field == DRACO_FIELD_PRIME ? (void *)&u : (void *)&f, 4);
                    }
                }
                for (int j = liars; j < liars + code.t; j++) rows[chosen[j]] = NULL;
                outcome got = decode(&now, rows, &rng);
                assert_int_equal(got.status, DRACO_E_AMBIGUOUS);
                assert_int_equal(got.report.undecided, code.n - code.t);
                for (size_t c = 0; c < now.d; c++) assert_true(got.sum[c] == 0);
                free(got.sum);
                step_free(&now);
            }
}

static void overload_complex(void **state) {
    (void)state;
    overload(DRACO_FIELD_COMPLEX, 40);
}

static void overload_prime(void **state) {
    (void)state;
    overload(DRACO_FIELD_PRIME, 40);
}

/* All 2s + t missing: decoded, unverified. One more: an error. */
static void nothing_left_to_check(void **state) {
    (void)state;
    uint64_t rng = 4;
    for (int field = 0; field < 2; field++)
        for (int k = 0; k < 20; k++) {
            draco_code code = code_of(DRACO_CYCLIC, (draco_field)field, DRACO_SUPPORT_SPREAD, 12, 2, k % 3);
            step now = step_new(code, 200, &rng);
            const void *rows[128];
            int chosen[128], q = code.r - 1;
            choose(chosen, q + 1, code.n, 0, &rng);
            for (int j = 0; j < code.n; j++) rows[j] = step_message(&now, j);
            for (int j = 0; j < q; j++) rows[chosen[j]] = NULL;
            outcome got = decode(&now, rows, &rng);
            assert_int_equal(got.status, DRACO_UNVERIFIED);
            assert_int_equal(got.report.spare, 0);
            assert_true(relative_error(got.sum, now.sum, now.d) <
                        (field == DRACO_FIELD_PRIME ? 1e-30 : 1e-6 * got.report.gain));
            free(got.sum);
            rows[chosen[q]] = NULL;
            got = decode(&now, rows, &rng);
            assert_int_equal(got.status, DRACO_E_TOO_MANY_MISSING);
            assert_int_equal(got.report.absent, q + 1);
            free(got.sum);
            step_free(&now);
        }
}

/* A lie so large that it is set aside before the search (complex field) costs 1 of the redundancy, another lie 2; the
 * report says what is not used up, also when the rest cannot be decoded. */
static void outliers_cost_one(void **state) {
    (void)state;
    uint64_t rng = 9;
    for (int outliers = 0; outliers <= 4; outliers++)
        for (int liars = 0; liars <= 3; liars++) {
            draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, 15, 3, 0);
            step now = step_new(code, 200, &rng);
            const void *rows[15];
            int chosen[15], spare = 6 - outliers - 2 * liars;
            choose(chosen, outliers + liars, code.n, 0, &rng);
            for (int j = 0; j < code.n; j++) rows[j] = step_message(&now, j);
            for (int j = 0; j < outliers + liars; j++) {
                float *lie = (float *)(void *)step_message(&now, chosen[j]);
                for (size_t c = 0; c < now.d; c++)
                    lie[c] = j < outliers ? 1e30f * rng_normal(&rng) : rng_normal(&rng);
            }
            outcome got = decode(&now, rows, &rng);
            if (outliers <= 3 && spare >= 0) {
                assert_true(got.status == DRACO_OK || got.status == DRACO_UNVERIFIED);
                assert_int_equal(got.report.blamed, outliers + liars);
                assert_int_equal(got.report.spare, spare);
                assert_true(relative_error(got.sum, now.sum, now.d) < 1e-5);
            } else if (outliers <= 3) {
                assert_int_equal(got.status, DRACO_E_AMBIGUOUS);
                assert_int_equal(got.report.spare, 6 - outliers);
            }
            free(got.sum);
            step_free(&now);
        }
}

/* Gradients that put a noise model to the test: all honest workers must be found honest, and a liar a liar. */
static void odd_gradients(void **state) {
    (void)state;
    uint64_t rng = 5;
    enum { ZEROS, DENORMALS, OUTLIER, EQUAL, SPARSE, HUGE_ONES, SHORT, CASES };
    const int codes[][3] = {{5, 1, 0}, {9, 2, 1}, {45, 5, 0}, {46, 4, 2}};
    for (int k = 0; k < 4 * CASES * 8; k++) {
        const int *c = codes[k % 4];
        int kind = k / 4 % CASES, liar = k / 4 / CASES % 2;
        for (int field = 1; field >= 0; field--) {
            draco_code code =
                code_of(DRACO_CYCLIC, (draco_field)field, DRACO_SUPPORT_SPREAD, c[0], c[1], c[2]);
            step now = step_new(code, kind == SHORT ? 1 + (size_t)(k % 4) : 4001, &rng);
            const void *rows[128];
            for (int part = 0; part < code.n; part++)
                for (size_t i = 0; i < now.d; i++) {
                    float *g = step_gradient(&now, part) + i;
                    if (kind == ZEROS) *g = 0;
                    if (kind == DENORMALS) *g *= 1e-41f;
                    if (kind == OUTLIER && part == 2) *g *= 1e4f;
                    if (kind == EQUAL) *g = step_gradient(&now, 0)[i];
                    if (kind == SPARSE && i != 17) *g = 0;
                    if (kind == HUGE_ONES) *g *= 1e36f;
                }
            step_encode(&now);
            for (int j = 0; j < code.n; j++) rows[j] = step_message(&now, j);
            if (liar) step_message(&now, 3)[now.bytes - 2] ^= 0x30; /* of the last number, well above noise */
            if (liar && kind == SPARSE) step_message(&now, 3)[17 * 4 + 2] ^= 0x30;
            outcome got = decode(&now, rows, &rng);
            assert_int_equal(got.status, DRACO_OK);
            for (int j = 0; j < code.n; j++)
                if (j != 3) assert_int_equal(got.verdicts[j], DRACO_AGREES);
            if (kind == SPARSE || field == DRACO_FIELD_PRIME)
                assert_int_equal(got.verdicts[3], liar ? DRACO_BLAMED : DRACO_AGREES);
            if (field == DRACO_FIELD_PRIME) assert_memory_equal(got.sum, now.sum, now.d * sizeof(float));
            if (field == DRACO_FIELD_COMPLEX && kind != ZEROS && kind != DENORMALS &&
                got.verdicts[3] != DRACO_BLAMED)
                assert_true(relative_error(got.sum, now.sum, now.d) < 1e-5);
            free(got.sum);
            step_free(&now);
        }
    }
}

/* Nobody lies, gradients nearly cancel, or have few coordinates, or one that is a thousand times the others: nobody
 * is blamed or suspected, and the sum is given. */
static void honest_rounds_are_honest(void **state) {
    (void)state;
    uint64_t rng = 11;
    const int codes[][3] = {{3, 1, 0}, {5, 1, 0},  {4, 1, 0},  {5, 2, 0},
                            {7, 2, 0}, {15, 3, 0}, {15, 7, 0}, {45, 5, 0}};
    for (int k = 0; k < 1200; k++) {
        const int *c = codes[k % 8];
        draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, c[0], c[1], c[2]);
        size_t d = 1 + (size_t)rng_below(&rng, 64);
        step now = step_new(code, d, &rng);
        const void *rows[128];
        for (size_t i = 0; i < d; i++) {
            float *last = step_gradient(&now, code.n - 1) + i, sum = 0;
            for (int part = 0; part + 1 < code.n; part++) {
                float *g = step_gradient(&now, part) + i;
                if (k / 8 % 3 == 1 && i == 0) *g *= 1000;
                sum += *g;
            }
            if (k / 8 % 3 == 2) *last = -sum * (1 + 0.01f * rng_normal(&rng));
        }
        step_encode(&now);
        for (int j = 0; j < code.n; j++) rows[j] = step_message(&now, j);
        outcome got = decode(&now, rows, &rng);
        assert_int_equal(got.status, DRACO_OK);
        assert_int_equal(got.report.agreed, code.n);
        free(got.sum);
        step_free(&now);
    }
}

/* Statistics a million times the gradient: a lie of a tenth of the gradient is seen beside them. */
static void ranges_are_judged_apart(void **state) {
    (void)state;
    uint64_t rng = 12;
    for (int k = 0; k < 20; k++) {
        draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, k % 2 ? 45 : 9,
                                  k % 2 ? 5 : 2, 0);
        size_t d = DRACO_BLOCK + 2;
        step now = step_new(code, d, &rng);
        const void *rows[128];
        for (int part = 0; part < code.n; part++)
            for (size_t i = DRACO_BLOCK; i < d; i++) step_gradient(&now, part)[i] *= 1e9f;
        step_encode(&now);
        for (int j = 0; j < code.n; j++) rows[j] = step_message(&now, j);
        for (size_t i = 0; i < DRACO_BLOCK; i++)
            ((float *)(void *)step_message(&now, 3))[i] *= 1 + 0.1f * rng_normal(&rng);
        outcome got = decode(&now, rows, &rng);
        assert_int_equal(got.status, DRACO_OK);
        assert_int_equal(got.verdicts[3], DRACO_BLAMED);
        assert_int_equal(got.report.agreed, code.n - 1);
        assert_true(relative_error(got.sum, now.sum, DRACO_BLOCK) < 1e-5);
        free(got.sum);
        step_free(&now);
    }
}

/* Of more layers than there is room for, evenly chosen ones begin a range; of fewer, all do. */
static void layers_beyond_the_room(void **state) {
    (void)state;
    draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, 9, 2, 0);
    draco_seed seed = {{1}};
    drc_complex_key *plain = malloc(sizeof *plain), *key = malloc(sizeof *key);
    draco_key *with = (draco_key *)(void *)key;
    size_t starts[1000];
    for (size_t i = 0; i < 1000; i++) starts[i] = 9 * i;
    assert_int_equal(draco_sketch_key_init(&code, &seed, (draco_key *)(void *)plain), DRACO_OK);
    for (size_t count = 0; count <= 1000; count = count ? 5 * count : 1) {
        size_t kept = count < 25 ? count : 25, found = 0;
        *key = *plain;
        assert_int_equal(draco_sketch_key_split(&code, 3 * DRACO_BLOCK + 8, with), DRACO_OK);
        assert_int_equal(draco_sketch_key_layers(&code, starts, count, with), DRACO_OK);
        for (size_t k = 0; k < kept; k++) {
            uint64_t begin = (starts[k * count / kept] + 1) / 2 * 2; /* pairs of coordinates stay together */
            for (int r = 0; r < DRC_RANGES; r++) found += key->starts[r] == begin;
        }
        assert_int_equal(found, kept);
        for (int r = 1; r < DRC_RANGES; r++) /* in order, each once */
            assert_true(key->starts[r] > key->starts[r - 1] || key->starts[r] == UINT64_MAX);
    }
    assert_int_equal(draco_sketch_key_layers(&code, NULL, 0, with), DRACO_OK);
    assert_int_equal(draco_sketch_key_layers(&code, NULL, 1, with), DRACO_E_NULL);
    assert_int_equal(draco_sketch_key_layers(&code, starts, 1, NULL), DRACO_E_NULL);
    free(plain);
    free(key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exponents_of_blocks),     cmocka_unit_test(quantisation),
        cmocka_unit_test(sums_never_wrap),         cmocka_unit_test(heavy_tails_keep_their_precision),
        cmocka_unit_test(exponents_are_voted),     cmocka_unit_test(exponents_past_the_limit),
        cmocka_unit_test(overload_complex),        cmocka_unit_test(overload_prime),
        cmocka_unit_test(nothing_left_to_check),   cmocka_unit_test(outliers_cost_one),
        cmocka_unit_test(odd_gradients),           cmocka_unit_test(honest_rounds_are_honest),
        cmocka_unit_test(ranges_are_judged_apart), cmocka_unit_test(parts_in_one_pass),
        cmocka_unit_test(layers_beyond_the_room),
    };
    return cmocka_run_group_tests_name("limits of the codes", tests, NULL, NULL);
}
