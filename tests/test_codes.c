/* Descriptors, dealing, the repetition code end to end, golden vectors, arguments, and words. */
#include "support/codes_helpers.h"
#include "golden/codes.h"

#include <float.h>

static void descriptor_limits(void **state) {
    (void)state;
    draco_code good = {.n = 15, .s = 2}, code;
    assert_int_equal(draco_code_init(NULL), DRACO_E_NULL);
    const int bad[][3] = {{0, 0, 0}, {-1, 0, 0},   {4, 2, 0},       {5, -1, 0},      {5, 0, -1},
                          {5, 0, 5}, {4097, 0, 0}, {5, 1 << 30, 0}, {5, 0, 1 << 30}, {6, 2, 2}};
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        code = (draco_code){.n = bad[k][0], .s = bad[k][1], .t = bad[k][2]};
        assert_int_equal(draco_code_init(&code), DRACO_E_LIMITS);
        assert_int_equal(code.r, 0);
    }
    code = good;
    code.scheme = (draco_scheme)7;
    assert_int_equal(draco_code_init(&code), DRACO_E_SCHEME);
    code = good;
    code.field = (draco_field)2;
    assert_int_equal(draco_code_init(&code), DRACO_E_SCHEME);
    code = good;
    code.support = (draco_support)2;
    assert_int_equal(draco_code_init(&code), DRACO_E_SCHEME);
    assert_int_equal(draco_code_init(&good), DRACO_OK);
    assert_int_equal(good.r, 5);
    assert_int_equal(good.groups, 3);
    assert_int_equal(good.parts, 3);
}

/* Every part has its r holders or more, loads and parts agree with `holds`, groups differ by one at most. */
static void dealing(void **state) {
    (void)state;
    for (int scheme = 0; scheme < 2; scheme++)
        for (int support = 0; support < 2; support++)
            for (int n = 1; n <= 40; n++)
                for (int s = 0; 2 * s < n; s++)
                    for (int t = 0; 2 * s + t < n; t += 1 + n / 6) {
                        draco_code code = code_of((draco_scheme)scheme, DRACO_FIELD_COMPLEX,
                                                  (draco_support)support, n, s, t);
                        int least = n, most = 0, total = 0;
                        for (int part = 0; part < code.parts; part++) {
                            int holders = 0;
                            for (int i = 0; i < n; i++) holders += draco_code_holds(&code, i, part);
                            least = holders < least ? holders : least;
                            most = holders > most ? holders : most;
                        }
                        assert_true(least >= code.r);
                        assert_true(most <= (scheme ? code.r : least + 1));
                        for (int i = 0; i < n; i++) {
                            for (int l = 0; l < draco_code_load(&code, i); l++, total++)
                                assert_true(draco_code_holds(&code, i, draco_code_part(&code, i, l)));
                            assert_int_equal(draco_code_part(&code, i, draco_code_load(&code, i)), -1);
                        }
                        assert_int_equal(total, scheme ? n * code.r : n);
                    }
}

static void samples_are_dealt_evenly(void **state) {
    (void)state;
    const size_t batches[] = {0, 1, 7, 100, 720, (size_t)-1};
    for (int n = 3; n <= 23; n += 4)
        for (size_t b = 0; b < 6; b++) {
            draco_code code = code_of(DRACO_REPETITION, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, n, 1, 0);
            size_t next = 0, least = (size_t)-1, most = 0;
            for (int part = 0; part < code.parts; part++) {
                size_t first, count;
                draco_code_samples(&code, batches[b], part, &first, &count);
                assert_true(first == next);
                next = first + count;
                least = count < least ? count : least;
                most = count > most ? count : most;
            }
            assert_true(next == batches[b]);
            assert_true(most - least <= 1);
        }
}

static void ids_tell_codes_apart(void **state) {
    (void)state;
    uint64_t ids[64];
    int count = 0;
    for (int scheme = 0; scheme < 2; scheme++)
        for (int field = 0; field <= scheme; field++)
            for (int support = 0; support <= scheme; support++)
                for (int n = 9; n <= 10; n++)
                    for (int s = 0; s < 2; s++)
                        for (int t = 0; t < 2; t++) {
                            draco_code code = code_of((draco_scheme)scheme, (draco_field)field,
                                                      (draco_support)support, n, s, t);
                            ids[count] = draco_code_id(&code);
                            for (int k = 0; k < count; k++) assert_true(ids[k] != ids[count]);
                            count++;
                        }
    assert_int_equal(count, 40);
}

typedef struct decoded {
    draco_status status;
    draco_verdict verdicts[64];
    draco_report report;
    float sum[64];
} decoded;

static decoded decode(const step *s, const void *const *rows) {
    decoded out = {.sum = {-7}};
    draco_seed seed = {{42}};
    void *work = malloc(draco_decode_work_bytes(&s->code));
    out.status =
        draco_decode(&s->code, &seed, rows, s->d, s->exponents, work, out.sum, out.verdicts, &out.report);
    free(work);
    return out;
}

static void rows_of(const step *s, const void **rows) {
    for (int i = 0; i < s->code.n; i++) rows[i] = step_message(s, i);
}

/* All n, s, t that fit: s liars and t missing in the worst group change nothing and are named. */
static void repetition_outvotes(void **state) {
    (void)state;
    uint64_t rng = 1;
    for (int n = 1; n <= 30; n++)
        for (int s = 0; 2 * s < n && s <= 4; s++)
            for (int t = 0; 2 * s + t < n && t <= 2; t++) {
                draco_code code =
                    code_of(DRACO_REPETITION, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, n, s, t);
                step now = step_new(code, 33, &rng);
                const void *rows[64];
                rows_of(&now, rows);
                int group = rng_below(&rng, code.groups);
                for (int k = 0; k < s; k++)
                    ((float *)(void *)step_message(&now, group + k * code.groups))[k] += 1;
                for (int k = s; k < s + t; k++) rows[group + k * code.groups] = NULL;
                decoded got = decode(&now, rows);
                assert_int_equal(got.status, DRACO_OK);
                assert_memory_equal(got.sum, now.sum, 33 * sizeof(float));
                for (int i = 0; i < n; i++) {
                    int place = i / code.groups, here = i % code.groups == group;
                    assert_int_equal(got.verdicts[i], here && place < s       ? DRACO_BLAMED
                                                      : here && place < s + t ? DRACO_ABSENT
                                                                              : DRACO_AGREES);
                }
                assert_int_equal(got.report.blamed, s);
                assert_int_equal(got.report.spare, 0);
                assert_int_equal(got.report.group, -1);
                step_free(&now);
            }
}

/* s + 1 liars of one group that disagree, or that collude in a group large enough for two camps: an error that
 * names the group, the sum untouched. */
static void repetition_never_guesses(void **state) {
    (void)state;
    uint64_t rng = 2;
    draco_code code = code_of(DRACO_REPETITION, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, 15, 2, 0);
    step now = step_new(code, 20, &rng);
    const void *rows[64];
    char text[200];
    rows_of(&now, rows);
    for (int k = 0; k < 3; k++) ((float *)(void *)step_message(&now, 1 + 3 * k))[5] += (float)(1 + k);
    decoded got = decode(&now, rows);
    assert_int_equal(got.status, DRACO_E_NO_MAJORITY);
    assert_int_equal(got.report.group, 1);
    assert_int_equal(got.report.undecided, 5);
    assert_true(got.sum[0] == -7);
    assert_true(draco_report_describe(&code, got.status, got.verdicts, &got.report, text, sizeof text) < 200);
    assert_string_equal(text,
                        "group 1: no value has enough equal copies to outvote the liars (3 equal copies "
                        "needed); undecided 1, 4, 7, 10, 13");
    step_free(&now);
    code = code_of(DRACO_REPETITION, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, 8, 1, 1);
    now = step_new(code, 20, &rng);
    rows_of(&now, rows);
    for (int k = 0; k < 2; k++) ((float *)(void *)step_message(&now, 2 * k))[5] = 9;
    got = decode(&now, rows);
    assert_int_equal(got.status, DRACO_E_AMBIGUOUS);
    assert_int_equal(got.report.group, 0);
    assert_true(got.sum[0] == -7);
    step_free(&now);
}

static void fingerprints_and_winners(void **state) {
    (void)state;
    uint64_t rng = 3;
    draco_code code = code_of(DRACO_REPETITION, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, 7, 1, 0);
    step now = step_new(code, 50, &rng);
    draco_seed seed = rng_seed(&rng);
    draco_key *key = malloc(draco_sketch_key_bytes(&code));
    uint8_t fingerprints[7][DRACO_FINGERPRINT_BYTES];
    const void *rows[64];
    rows_of(&now, rows);
    draco_sketch_key_init(&code, &seed, key);
    draco_sketch *sketch = malloc(draco_sketch_bytes(&code));
    for (int i = 0; i < 7; i++) {
        draco_sketch_begin(&code, 0, sketch);
        draco_sketch_add(&code, key, sketch, rows[i], now.bytes);
        assert_int_equal(draco_sketch_fingerprint(&code, key, sketch, fingerprints[i]), DRACO_OK);
        assert_memory_equal(fingerprints[i], fingerprints[i % 2], DRACO_FINGERPRINT_BYTES);
    }
    assert_memory_not_equal(fingerprints[0], fingerprints[1], DRACO_FINGERPRINT_BYTES);
    free(sketch);
    free(key);
    draco_weights *weights = malloc(draco_weights_bytes(&code));
    float sum[50];
    assert_int_equal(draco_weights_winners(&code, (const int[]){4, 3}, weights), DRACO_OK);
    assert_true(draco_weight_used(&code, weights, 4) && !draco_weight_used(&code, weights, 0));
    assert_int_equal(draco_combine(&code, weights, rows, 50, 0, 50, NULL, sum), DRACO_OK);
    assert_memory_equal(sum, now.sum, sizeof sum);
    assert_int_equal(draco_weights_winners(&code, (const int[]){3, 4}, weights), DRACO_E_INDEX);
    free(weights);
    step_free(&now);
}

/* A range of the sum has the bits that the whole has, wherever it begins; too short or long messages are
 * malformed. */
static void ranges_and_lengths(void **state) {
    (void)state;
    uint64_t rng = 4;
    const size_t d = 9001;
    for (int kind = 0; kind < 3; kind++) {
        draco_code code =
            code_of(kind ? DRACO_CYCLIC : DRACO_REPETITION,
                    kind == 2 ? DRACO_FIELD_PRIME : DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, 9, 2, 0);
        step now = step_new(code, d, &rng);
        draco_seed seed = rng_seed(&rng);
        size_t each = draco_sketch_bytes(&code);
        void *key = malloc(draco_sketch_key_bytes(&code)), *work = malloc(draco_locate_work_bytes(&code));
        void *weights = malloc(draco_weights_bytes(&code));
        unsigned char *sketches = malloc(9 * each);
        float *whole = malloc(d * sizeof(float)), *piece = malloc(d * sizeof(float));
        const void *rows[9];
        const draco_sketch *folded[9];
        draco_verdict verdicts[9] = {DRACO_UNDECIDED};
        draco_report report = {0};
        draco_sketch_key_init(&code, &seed, key);
        for (int i = 0; i < 9; i++) {
            rows[i] = step_message(&now, i);
            draco_sketch *sketch = (draco_sketch *)(sketches + (size_t)i * each);
            folded[i] = sketch;
            draco_sketch_begin(&code, 0, sketch);
            draco_sketch_add(&code, key, sketch, rows[i], now.bytes - (i == 8 ? 4 : 0));
            if (i == 7) draco_sketch_add(&code, key, sketch, rows[7], 3);
        }
        assert_int_equal(draco_locate(&code, key, d, folded, work, weights, verdicts, &report), DRACO_OK);
        assert_int_equal(report.malformed, 2);
        assert_int_equal(verdicts[7], DRACO_MALFORMED);
        assert_int_equal(verdicts[8], DRACO_MALFORMED);
        assert_false(draco_weight_used(&code, weights, 7));
        draco_combine(&code, weights, rows, d, 0, d, now.exponents, whole);
        assert_true(relative_error(whole, now.sum, d) < 1e-6);
        for (int k = 0; k < 200; k++) {
            size_t first = rng_next(&rng) % d, count = rng_next(&rng) % (d - first + 1);
            if (k % 2) count = count % 5;
            assert_int_equal(draco_combine(&code, weights, rows, d, first, count, now.exponents, piece),
                             DRACO_OK);
            assert_memory_equal(piece, whole + first, count * sizeof(float));
        }
        /* Messages of the largest floats, of whatever signs: a finite sum or none. */
        for (int k = 0, found = 0; kind == 1 && k < 300; k++) {
            float pairs[9][2];
            const void *loud[9];
            for (int i = 0; i < code.n; i++) {
                pairs[i][0] = rng_next(&rng) % 2 ? FLT_MAX : -FLT_MAX;
                pairs[i][1] = rng_next(&rng) % 2 ? FLT_MAX : -FLT_MAX;
                loud[i] = pairs[i];
            }
            draco_status status = draco_combine(&code, weights, loud, d, 0, 1, NULL, piece);
            assert_true(status == DRACO_E_RANGE || (status == DRACO_OK && isfinite(piece[0])));
            found += status == DRACO_E_RANGE;
            assert_true(k < 299 || found > 0);
        }
        assert_int_equal(draco_combine(&code, weights, rows, d, d, 1, now.exponents, piece),
                         DRACO_E_ARGUMENT);
        assert_int_equal(draco_combine(&code, weights, rows, d, 1, (size_t)-1, now.exponents, piece),
                         DRACO_E_ARGUMENT);
        rows[0] = rows[1] = rows[2] = rows[3] = rows[4] = NULL;
        assert_int_equal(draco_combine(&code, weights, rows, d, 0, 1, now.exponents, piece),
                         DRACO_E_ARGUMENT);
        free(key);
        free(work);
        free(weights);
        free(sketches);
        free(whole);
        free(piece);
        step_free(&now);
    }
}

/* Seats: a permutation in every step, another one in the next, in which neighbours do not stay together; and everybody
 * does as the code says of the worker whose seat it is. */
static void seats(void **state) {
    static const int sizes[] = {1, 2, 3, 5, 16, 45, 64, 100, 4096};
    (void)state;
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, sizes[k], 0, 0),
                   last = code;
        int n = code.n, moved = 0, together = 0, known[DRACO_MAX_WORKERS];
        for (uint64_t turn = 0; turn < 40; turn++) {
            draco_code now = code;
            now.seed = turn % 2;
            assert_int_equal(draco_code_at(&now, turn / 2), DRACO_OK);
            memset(known, 0, sizeof known);
            for (int i = 0; i < n; i++) {
                int seat = draco_code_seat(&now, i), next = draco_code_seat(&now, (i + 1) % n);
                assert_in_range(seat, 0, n - 1);
                assert_int_equal(known[seat]++, 0);
                assert_int_equal(draco_code_part(&now, i, 0), draco_code_part(&code, seat, 0));
                moved += seat != draco_code_seat(&last, i);
                together += (seat + 1) % n == next || (next + 1) % n == seat;
            }
            last = now;
        }
        assert_int_equal(draco_code_seat(&code, n), -1);
        if (n < 16) continue;
        assert_true(moved > 40 * n * 0.8);
        assert_true(together < 40 * n * 0.25); /* 2 / (n - 1) by chance */
    }
    draco_code prime = code_of(DRACO_CYCLIC, DRACO_FIELD_PRIME, DRACO_SUPPORT_SPREAD, 9, 1, 0), moved = prime;
    assert_int_equal(draco_code_at(&moved, 3), DRACO_OK);
    assert_int_equal(draco_code_seat(&moved, 4), 4);
}

/* Whoever has which seat, the sum is that of the gradients, and who lied is named by its number. */
static void seated_rounds(void **state) {
    uint64_t rng = 31;
    (void)state;
    for (uint64_t at = 0; at < 60; at++) {
        draco_code code =
            code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, at % 2 ? 9 : 15, 2, 0);
        int liar = rng_below(&rng, code.n), missing = (liar + 1 + rng_below(&rng, code.n - 1)) % code.n;
        const void *rows[64];
        draco_code_at(&code, at);
        step s = step_new(code, 50, &rng);
        rows_of(&s, rows);
        rows[missing] = NULL;
        for (int c = 0; c < 50; c++) ((float *)(void *)step_message(&s, liar))[c] += 1;
        decoded out = decode(&s, rows);
        assert_int_equal(out.status, DRACO_OK);
        for (int i = 0; i < code.n; i++)
            assert_int_equal(out.verdicts[i], i == liar      ? DRACO_BLAMED
                                              : i == missing ? DRACO_ABSENT
                                                             : DRACO_AGREES);
        assert_true(relative_error(out.sum, s.sum, 50) < 1e-5);
        step_free(&s);
    }
}

static void golden_one(const golden_case *g, draco_field field) {
    draco_code code = code_of(DRACO_CYCLIC, field,
                              g->spread ? DRACO_SUPPORT_SPREAD : DRACO_SUPPORT_CONTIGUOUS, g->n, g->s, g->t);
    int prime = field == DRACO_FIELD_PRIME;
    uint8_t exponents = (uint8_t)g->exponent;
    step s = {.code = code, .d = g->d, .bytes = draco_message_bytes(&code, g->d), .exponents = &exponents};
    const void *rows[64];
    draco_encoding *encoding = malloc(draco_encoding_bytes(&code, g->d));
    s.messages = malloc((size_t)g->n * s.bytes);
    draco_encode_init(&code, g->d, encoding);
    for (int k = 0; k < g->n; k++)
        for (int i = 0; i < g->n; i++) {
            double value[2] = {0, 0}, size = 0;
            assert_int_equal(draco_code_coefficient(&code, k, i, value), DRACO_OK);
            const double *want = g->coefficients + 2 * (k * g->n + i);
            size = fabs(want[0]) + fabs(want[1]);
            if (prime)
                assert_true(value[0] == (double)g->residue_coefficients[k * g->n + i]);
            else
                assert_true(fabs(value[0] - want[0]) + fabs(value[1] - want[1]) <= 4e-9 * size);
        }
    for (int i = 0; i < g->n; i++) {
        draco_encode_begin(&code, g->d, encoding);
        for (int l = 0; l < code.r; l++) {
            int part = draco_code_part(&code, i, l);
            draco_encode_add(&code, i, part, g->gradients + (size_t)part * g->d, g->d, &exponents, encoding);
        }
        draco_encode_end(&code, g->d, encoding, step_message(&s, i));
        if (prime)
            assert_memory_equal(step_message(&s, i), g->residues + (size_t)i * g->d, s.bytes);
        else
            for (size_t c = 0; c < s.bytes / 4; c++) {
                double want = ldexp(g->messages[(size_t)i * s.bytes / 4 + c], -code.scale);
                assert_true(fabs((double)((float *)(void *)step_message(&s, i))[c] - want) < 2e-5);
            }
        rows[i] = step_message(&s, i);
    }
    for (int k = 0; k < g->s; k++) memset(step_message(&s, 2 * k + 1), 0x3a, s.bytes);
    for (int k = 0; k < g->t; k++) rows[2 * k] = NULL;
    decoded got = decode(&s, rows);
    assert_int_equal(got.status, DRACO_OK);
    assert_int_equal(got.report.blamed, g->s);
    if (prime)
        assert_memory_equal(got.sum, g->sums, g->d * sizeof(float));
    else
        assert_true(relative_error(got.sum, g->sums, g->d) < 1e-5);
    free(encoding);
    free(s.messages);
}

static void golden(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof golden_cases / sizeof golden_cases[0]; k++) {
        golden_one(&golden_cases[k], DRACO_FIELD_PRIME);
        golden_one(&golden_cases[k], DRACO_FIELD_COMPLEX);
    }
}

/* Finite gradients whose sum is beyond the largest float: refused, with the sum untouched, whichever
   coordinate it is; half of them still add up. In the repetition code a majority for Inf or NaN is refused
   too. */
static void sums_that_overflow(void **state) {
    (void)state;
    const draco_code all[] = {{.n = 15, .s = 1},
                              {.n = 5, .s = 1, .scheme = DRACO_CYCLIC, .field = DRACO_FIELD_COMPLEX},
                              {.n = 5, .s = 1, .scheme = DRACO_CYCLIC, .field = DRACO_FIELD_PRIME}};
    enum { D = 2 * DRACO_EXPONENT_BLOCK + 5 };
    const size_t places[] = {0, 1, DRACO_EXPONENT_BLOCK, D - 1};
    for (size_t k = 0; k < 4 * sizeof all / sizeof all[0]; k++) {
        draco_code code = all[k / 4];
        assert_int_equal(draco_code_init(&code), DRACO_OK);
        size_t bytes = draco_message_bytes(&code, D), place = places[k % 4];
        int odd = code.scheme == DRACO_REPETITION ? 4 : 3;
        for (int kind = 0; kind < odd; kind++) {
            const float value[] = {3e37f, 9e37f, -9e37f, INFINITY};
            float *gradient = calloc(D, sizeof *gradient), *sum = malloc(D * sizeof *sum);
            unsigned char *messages = malloc((size_t)code.n * bytes);
            draco_work *work = malloc(draco_decode_work_bytes(&code));
            draco_verdict verdicts[15];
            draco_report report;
            draco_seed seed = {{1}};
            const void *rows[15];
            uint8_t exponents[3];
            gradient[place] = value[kind];
            for (size_t b = 0; b < 3; b++) exponents[b] = 1;
            draco_encoding *encoding = malloc(draco_encoding_bytes(&code, D));
            draco_encode_init(&code, D, encoding);
            if (code.scheme == DRACO_CYCLIC && code.field == DRACO_FIELD_PRIME)
                assert_int_equal(draco_exponents_of(&code, gradient, D, exponents), DRACO_OK);
            for (int i = 0; i < code.n; i++) {
                rows[i] = messages + (size_t)i * bytes;
                draco_encode_begin(&code, D, encoding);
                for (int l = 0; l < draco_code_load(&code, i); l++)
                    assert_int_equal(draco_encode_add(&code, i, draco_code_part(&code, i, l), gradient, D,
                                                      exponents, encoding),
                                     DRACO_OK);
                draco_encode_end(&code, D, encoding, messages + (size_t)i * bytes);
            }
            for (size_t c = 0; c < D; c++) sum[c] = 77;
            draco_status status =
                draco_decode(&code, &seed, rows, D, exponents, work, sum, verdicts, &report);
            assert_int_equal(status, kind == 0 ? DRACO_OK : DRACO_E_RANGE);
            for (size_t c = 0; c < D && kind > 0; c++) assert_true(sum[c] == 77);
            if (kind == 0) assert_true(fabs((double)sum[place] / (5 * 3e37) - 1) < 1e-5);
            free(gradient);
            free(sum);
            free(messages);
            free(work);
            free(encoding);
        }
    }
}

/* Parts are added in one order and rounded once: where all hold all parts, in the complex field too, their
   messages are the same bits, however much of the gradients cancels. */
static void equal_work_gives_equal_bits(void **state) {
    (void)state;
    uint64_t rng = 5;
    const int codes[][3] = {{3, 1, 0}, {5, 2, 0}, {7, 3, 0}, {15, 7, 0}, {4, 1, 1}};
    for (int k = 0; k < 50; k++) {
        const int *c = codes[k % 5];
        draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, c[0], c[1], c[2]);
        step now = step_new(code, 40, &rng);
        for (size_t j = 0; j < 40; j++) {
            float sum = 0;
            for (int part = 1; part < code.n; part++) sum += step_gradient(&now, part)[j];
            step_gradient(&now, 0)[j] = -sum * (float)(1 + 1e-5 * k);
        }
        step_encode(&now);
        for (int i = 1; i < code.n; i++)
            assert_memory_equal(step_message(&now, i), step_message(&now, 0), now.bytes);
        step_free(&now);
    }
}

/* Gradients near the largest float, of alternating sign: their messages are finite, and the sum fits. */
static void large_gradients_that_cancel(void **state) {
    (void)state;
    uint64_t rng = 6;
    for (int support = 0; support < 2; support++)
        for (int n = 5; n <= 45; n += 8) {
            draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, (draco_support)support, n, 1, 0);
            step now = step_new(code, 8, &rng);
            const void *rows[64];
            for (int part = 0; part < n; part++)
                for (size_t j = 0; j < 8; j++) step_gradient(&now, part)[j] = part % 2 ? 3e38f : -3e38f;
            step_encode(&now);
            rows_of(&now, rows);
            decoded got = decode(&now, rows);
            assert_int_equal(got.status, DRACO_OK);
            assert_int_equal(got.report.agreed, n);
            for (size_t j = 0; j < 8; j++)
                assert_true(fabs((double)got.sum[j] / (double)now.sum[j] - 1) < 1e-4);
            step_free(&now);
        }
}

static void arguments(void **state) {
    (void)state;
    draco_code none = {0}, code = code_of(DRACO_CYCLIC, DRACO_FIELD_PRIME, DRACO_SUPPORT_SPREAD, 5, 1, 0);
    float g[4] = {1, 2, 3, 4}, m[4];
    double value[2] = {0, 0};
    uint8_t e[1] = {130};
    char text[300];
    draco_encoding *encoding = malloc(draco_encoding_bytes(&code, 4));
    assert_true(draco_message_bytes(&none, 4) == 0 && draco_sketch_bytes(&none) == 0);
    assert_true(draco_locate_work_bytes(NULL) == 0 && draco_weights_bytes(NULL) == 0);
    assert_true(draco_message_bytes(&code, (size_t)-1) == 0);
    assert_int_equal(draco_code_load(&code, 5), 0);
    assert_int_equal(draco_code_part(&code, -1, 0), -1);
    assert_int_equal(draco_code_group(&code, 5), -1);
    assert_int_equal(draco_code_coefficient(&code, 5, 0, value), DRACO_E_INDEX);
    assert_int_equal(draco_code_coefficient(&code, 0, -1, value), DRACO_E_INDEX);
    assert_int_equal(draco_code_coefficient(&none, 0, 0, value), DRACO_E_UNINITIALISED);
    assert_int_equal(draco_code_coefficient(NULL, 0, 0, value), DRACO_E_NULL);
    assert_int_equal(draco_encode_begin(&none, 4, encoding), DRACO_E_UNINITIALISED);
    assert_int_equal(draco_encode_begin(&code, 0, encoding), DRACO_E_DIM);
#if SIZE_MAX > 0xffffffffu
    assert_true(draco_message_bytes(&code, (size_t)1 << 31) == (size_t)1 << 33);
    assert_true(draco_message_bytes(&code, ((size_t)1 << 31) + 1) == 0);
    assert_int_equal(draco_encode_begin(&code, ((size_t)1 << 31) + 1, encoding), DRACO_E_DIM);
#endif
    assert_int_equal(draco_encode_add(&code, 0, 1, g, 4, e, NULL), DRACO_E_NULL);
    assert_int_equal(draco_encode_init(&code, 4, NULL), DRACO_E_NULL);
    assert_int_equal(draco_encode_init(&code, 4, encoding), DRACO_OK);
    assert_int_equal(draco_encode_begin(&code, 4, encoding), DRACO_OK);
    assert_int_equal(draco_encode_end(&code, 4, encoding, NULL), DRACO_E_NULL);
    int foreign = 0;
    while (draco_code_holds(&code, 0, foreign)) foreign++;
    assert_int_equal(draco_encode_add(&code, 0, foreign, g, 4, e, encoding), DRACO_E_INDEX);
    assert_int_equal(draco_encode_add(&code, 0, draco_code_part(&code, 0, 0), g, 4, NULL, encoding),
                     DRACO_E_NULL);
    free(encoding);
    assert_int_equal(draco_sketch_begin(&code, 4, (draco_sketch *)(void *)m), DRACO_E_ARGUMENT);
    assert_true(draco_code_describe(&none, text, sizeof text) > 0);
    assert_string_equal(text, "not a code");
    assert_int_equal(draco_code_describe(NULL, text, 4), 10);
    assert_string_equal(text, "not");
    assert_true(draco_code_describe(&code, text, 10) > 10);
    assert_int_equal(strlen(text), 9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptor_limits),
        cmocka_unit_test(dealing),
        cmocka_unit_test(samples_are_dealt_evenly),
        cmocka_unit_test(ids_tell_codes_apart),
        cmocka_unit_test(repetition_outvotes),
        cmocka_unit_test(repetition_never_guesses),
        cmocka_unit_test(fingerprints_and_winners),
        cmocka_unit_test(ranges_and_lengths),
        cmocka_unit_test(seats),
        cmocka_unit_test(seated_rounds),
        cmocka_unit_test(golden),
        cmocka_unit_test(sums_that_overflow),
        cmocka_unit_test(equal_work_gives_equal_bits),
        cmocka_unit_test(large_gradients_that_cancel),
        cmocka_unit_test(arguments),
    };
    return cmocka_run_group_tests_name("codes", tests, NULL, NULL);
}
