/* The robust averages against plain versions written from the papers' formulas, small cases worked by hand,
   and the properties that the papers promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define DRACO_IMPLEMENTATION
#define DRACO_RULES_IMPLEMENTATION
#include "baselines/draco_rules.h"

#include <omp.h>

#define MOST 24

/* ---- Rows to try the rules with ---- */

typedef struct rows {
    int n, f;
    size_t d;
    float *memory, *sum;
    const float *row[MOST];
    draco_code code;
    draco_verdict verdicts[MOST];
    draco_report report;
} rows;

static double uniform(uint64_t seed, uint64_t i, uint64_t j) {
    uint32_t word[4];
    draco_random(seed, i, j, word);
    return (double)word[0] * 0x1p-32 - 0.5;
}

/* Rows about (1, 1, …), spread 1/2; the first f far off in different directions. */
static rows rows_new(int n, int f, size_t d, uint64_t seed, double far) {
    rows r = {.n = n, .f = f, .d = d, .code = {.n = n}};
    r.memory = malloc((size_t)n * d * sizeof(float));
    r.sum = calloc(d, sizeof(float));
    assert_true(r.memory && r.sum && draco_code_init(&r.code) == DRACO_OK);
    for (int i = 0; i < n; i++) {
        float *row = r.memory + (size_t)i * d;
        r.row[i] = row;
        for (size_t j = 0; j < d; j++)
            row[j] = (float)(i < f ? far * (1 + 2 * uniform(seed, (uint64_t)i, j))
                                   : 1 + uniform(seed, (uint64_t)i, j));
    }
    return r;
}

static void rows_free(rows *r) {
    free(r->memory);
    free(r->sum);
}

static float *row_of(rows *r, int i) {
    return r->memory + (size_t)i * r->d;
}

static draco_status run(draco_rule *rule, rows *r) {
    draco_inputs in = {r->n, r->d, r->row, &r->code, 5, NULL, r->f};
    return rule->aggregate(rule->ctx, &in, r->sum, r->verdicts, &r->report);
}

/* sum / n of a rule that is made for this call. */
static draco_status aggregate(const char *name, const draco_rule_options *options, rows *r) {
    draco_rule rule;
    assert_int_equal(draco_rule_make(&rule, name, options), DRACO_OK);
    draco_status status = run(&rule, r);
    for (size_t j = 0; j < r->d && status == DRACO_OK; j++) r->sum[j] /= (float)r->n;
    draco_rule_free(&rule);
    return status;
}

static void assert_near(const float *got, const double *want, size_t d, double tolerance) {
    for (size_t j = 0; j < d; j++)
        if (!(fabs((double)got[j] - want[j]) <= tolerance * (1 + fabs(want[j]))))
            fail_msg("coordinate %zu: %.9g, expected %.9g", j, (double)got[j], want[j]);
}

/* ---- The formulas, plainly ---- */

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int column(const rows *r, size_t j, double *values) {
    for (int i = 0; i < r->n; i++) values[i] = (double)r->row[i][j];
    qsort(values, (size_t)r->n, sizeof *values, ascending);
    return r->n;
}

static double plain_median(const double *sorted, int n) {
    return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

static double plain_trimmed(const double *sorted, int n, int f) {
    double sum = 0;
    for (int i = f; i < n - f; i++) sum += sorted[i];
    return sum / (n - 2 * f);
}

/* Mean of the `keep` values nearest to a centre, one after the other. */
static double plain_nearest(const double *values, int n, int keep, double center) {
    double sum = 0;
    int used[MOST] = {0};
    for (int k = 0; k < keep; k++) {
        int best = -1;
        for (int i = 0; i < n; i++)
            if (!used[i] && (best < 0 || fabs(values[i] - center) < fabs(values[best] - center))) best = i;
        used[best] = 1;
        sum += values[best];
    }
    return sum / keep;
}

static double plain_distance(const rows *r, int a, int b) {
    double sum = 0;
    for (size_t j = 0; j < r->d; j++) {
        double e = (double)r->row[a][j] - (b < 0 ? 0 : (double)r->row[b][j]);
        sum += e * e;
    }
    return sum;
}

/* Krum's best among the rows that are in. */
static int plain_krum(const rows *r, const int *in, int near, double *score) {
    int best = -1;
    for (int i = 0; i < r->n; i++) {
        double others[MOST];
        int count = 0;
        score[i] = HUGE_VAL;
        if (!in[i]) continue;
        for (int k = 0; k < r->n; k++)
            if (k != i && in[k]) others[count++] = plain_distance(r, i, k);
        qsort(others, (size_t)count, sizeof *others, ascending);
        score[i] = 0;
        for (int k = 0; k < near && k < count; k++) score[i] += others[k];
        if (best < 0 || score[i] < score[best]) best = i;
    }
    return best;
}

/* The `count` least scores; of equal ones (two rows that are each other's nearest) the first. */
static void plain_least(const double *score, int n, int count, int *in) {
    memset(in, 0, (size_t)n * sizeof *in);
    for (int k = 0; k < count; k++) {
        int best = -1;
        for (int i = 0; i < n; i++)
            if (!in[i] && (best < 0 || score[i] < score[best])) best = i;
        in[best] = 1;
    }
}

static void plain_mean(const rows *r, const int *in, double *out) {
    for (size_t j = 0; j < r->d; j++) {
        int count = 0;
        out[j] = 0;
        for (int i = 0; i < r->n; i++)
            if (in[i]) out[j] += (double)r->row[i][j], count++;
        out[j] /= count;
    }
}

static void all_in(const rows *r, int *in) {
    for (int i = 0; i < r->n; i++) in[i] = 1;
}

/* What the rule of this name should give. */
static void plain_rule(const char *name, const rows *r, double *out) {
    int in[MOST], n = r->n, f = r->f;
    double values[MOST], score[MOST];
    all_in(r, in);
    if (strcmp(name, "krum") == 0) {
        int best = plain_krum(r, in, n - f - 2, score);
        for (size_t j = 0; j < r->d; j++) out[j] = (double)r->row[best][j];
        return;
    }
    if (strcmp(name, "multi-krum") == 0) {
        plain_krum(r, in, n - f - 2, score);
        plain_least(score, n, n - f - 2, in);
        plain_mean(r, in, out);
        return;
    }
    if (strcmp(name, "cge") == 0) {
        for (int i = 0; i < n; i++) score[i] = plain_distance(r, i, -1);
        plain_least(score, n, n - f, in);
        plain_mean(r, in, out);
        return;
    }
    if (strcmp(name, "bulyan") == 0) {
        int theta = n - 2 * f;
        for (int k = 0; k < theta; k++)
            in[plain_krum(r, in, n - k - f - 2 > 1 ? n - k - f - 2 : 1, score)] = 0;
        for (size_t j = 0; j < r->d; j++) {
            int count = 0;
            for (int i = 0; i < n; i++)
                if (!in[i]) values[count++] = (double)r->row[i][j];
            qsort(values, (size_t)count, sizeof *values, ascending);
            out[j] = plain_nearest(values, count, theta - 2 * f, plain_median(values, count));
        }
        return;
    }
    if (strcmp(name, "mean") == 0) {
        plain_mean(r, in, out);
        return;
    }
    for (size_t j = 0; j < r->d; j++) {
        column(r, j, values);
        double median = plain_median(values, n), trimmed = plain_trimmed(values, n, f);
        if (strcmp(name, "median") == 0) out[j] = median;
        if (strcmp(name, "trimmed-mean") == 0) out[j] = trimmed;
        if (strcmp(name, "meamed") == 0) out[j] = plain_nearest(values, n, n - f, median);
        if (strcmp(name, "phocas") == 0) out[j] = plain_nearest(values, n, n - f, trimmed);
    }
}

static void follow_the_formulas(void **state) {
    (void)state;
    static const char *const names[] = {"mean", "median",     "trimmed-mean", "meamed", "phocas",
                                        "krum", "multi-krum", "bulyan",       "cge"};
    static const struct {
        int n, f;
        size_t d;
    } shape[] = {{1, 0, 1},  {3, 0, 7},     {4, 0, 65},   {5, 1, 17},
                 {7, 1, 64}, {11, 2, 1500}, {15, 3, 300}, {23, 5, 131}};
    for (size_t s = 0; s < sizeof shape / sizeof *shape; s++)
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            for (int far = 0; far < 2; far++) {
                rows r = rows_new(shape[s].n, shape[s].f, shape[s].d, 100 * s + k, far ? -100 : 1);
                double *want = calloc(r.d, sizeof *want);
                draco_rule rule;
                assert_int_equal(draco_rule_make(&rule, names[k], NULL), DRACO_OK);
                if (draco_rule_check(&rule, r.n, r.f, &r.code, NULL, 0) == DRACO_OK) {
                    plain_rule(names[k], &r, want);
                    if (aggregate(names[k], NULL, &r) != DRACO_OK) fail_msg("%s failed", names[k]);
                    assert_near(r.sum, want, r.d, 2e-6 * (far ? 100 : 1));
                } else {
                    assert_int_equal(run(&rule, &r), DRACO_E_ARGUMENT);
                }
                draco_rule_free(&rule);
                free(want);
                rows_free(&r);
            }
}

/* ---- Minimum diameter by trying every subset ---- */

static double diameter_of(const rows *r, unsigned mask) {
    double most = 0;
    for (int i = 0; i < r->n; i++)
        for (int k = 0; k < i; k++)
            if ((mask >> i & 1) && (mask >> k & 1)) most = fmax(most, plain_distance(r, i, k));
    return most;
}

static void mda_finds_the_least_diameter(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        int n = 5 + (int)(seed % 8), f = (n - 1) / 2 - (int)(seed % 2);
        rows r = rows_new(n, f, 9, seed, seed % 3 ? 1.0 : 4.0);
        double least = HUGE_VAL;
        for (unsigned mask = 0; mask < 1u << n; mask++)
            if (__builtin_popcount(mask) == n - f) least = fmin(least, diameter_of(&r, mask));
        assert_int_equal(aggregate("mda", NULL, &r), DRACO_OK);
        unsigned chosen = 0;
        int in[MOST];
        for (int i = 0; i < n; i++) {
            in[i] = r.verdicts[i] == DRACO_AGREES;
            chosen |= (unsigned)in[i] << i;
        }
        assert_int_equal(__builtin_popcount(chosen), n - f);
        assert_true(diameter_of(&r, chosen) <= least * (1 + 1e-5));
        double want[9];
        plain_mean(&r, in, want);
        assert_near(r.sum, want, r.d, 1e-5);
        rows_free(&r);
    }
}

/* ---- The geometric median ---- */

static double sum_of_distances(const rows *r, const float *z) {
    double total = 0;
    for (int i = 0; i < r->n; i++) {
        double square = 0;
        for (size_t j = 0; j < r->d; j++) square += pow((double)r->row[i][j] - (double)z[j], 2);
        total += sqrt(square);
    }
    return total;
}

/* No small step in any of many directions is better, and both ways of computing it agree. */
static void geometric_median_is_the_least(void **state) {
    (void)state;
    static const double far[] = {1, -100, 1e4, 1e15};
    for (uint64_t seed = 0; seed < 12; seed++) {
        rows r = rows_new(9 + (int)(seed % 5), 4, 40 + 700 * (seed % 3), seed, far[seed % 4]);
        draco_rule_options slow = {.streaming = 1, .tolerance = 1e-7, .iterations = 20000},
                           quick = {.tolerance = 1e-7};
        assert_int_equal(aggregate("geometric-median", &slow, &r), DRACO_OK);
        double *want = calloc(r.d, sizeof *want);
        for (size_t j = 0; j < r.d; j++) want[j] = (double)r.sum[j];
        assert_int_equal(aggregate("geometric-median", &quick, &r), DRACO_OK);
        assert_near(r.sum, want, r.d, 1e-3);
        double least = sum_of_distances(&r, r.sum);
        float *moved = malloc(r.d * sizeof *moved);
        for (uint64_t trial = 0; trial < 20; trial++) {
            for (size_t j = 0; j < r.d; j++) moved[j] = r.sum[j] + (float)(0.02 * uniform(77 + trial, 3, j));
            assert_true(sum_of_distances(&r, moved) >= least * (1 - 1e-9));
        }
        free(moved);
        free(want);
        rows_free(&r);
    }
}

static void small_cases_by_hand(void **state) {
    (void)state;
    /* Five points on a line: the geometric median of 0, 1, 2, 10, 100 is 2, as is the median. */
    static const float line[5] = {0, 1, 2, 10, 100};
    rows r = {.n = 5, .f = 1, .d = 1, .code = {.n = 5}};
    float sum[2];
    r.sum = sum;
    draco_code_init(&r.code);
    for (int i = 0; i < 5; i++) r.row[i] = line + i;
    static const struct {
        const char *name;
        double want;
    } on_line[] = {{"mean", 22.6}, /* 113 / 5 */
                   {"median", 2},
                   {"trimmed-mean", 13.0 / 3}, /* 1, 2, 10 */
                   {"meamed", 13.0 / 4},       /* 0, 1, 2, 10 are the four nearest to 2 */
                   {"phocas", 13.0 / 4},       /* and to 13/3 */
                   {"geometric-median", 2},
                   {"krum", 1},         /* sums of the two least squares: 1 + 4, 1 + 1, 1 + 4, 64 + 81, … */
                   {"multi-krum", 0.5}, /* 1 and, of the two with score 5, the first: 0 */
                   {"mda", 13.0 / 4},   /* without 100 the diameter is 10 */
                   {"cge", 13.0 / 4}};
    for (size_t k = 0; k < sizeof on_line / sizeof *on_line; k++) {
        assert_int_equal(aggregate(on_line[k].name, NULL, &r), DRACO_OK);
        if (fabs((double)sum[0] - on_line[k].want) > 1e-3)
            fail_msg("%s: %g, expected %g", on_line[k].name, (double)sum[0], on_line[k].want);
    }
    /* The corners of a triangle with a 120 degree angle at the origin: the geometric median is that corner.
     */
    static const float triangle[3][2] = {{0, 0}, {1, 0}, {-1, 1}};
    r.n = 3;
    r.d = 2;
    r.code.n = 3;
    draco_code_init(&r.code);
    for (int i = 0; i < 3; i++) r.row[i] = triangle[i];
    draco_rule_options tight = {.tolerance = 1e-9, .iterations = 5000};
    assert_int_equal(aggregate("geometric-median", &tight, &r), DRACO_OK);
    assert_true(fabs((double)sum[0]) < 1e-3 && fabs((double)sum[1]) < 1e-3);
    /* Four corners of a square: its middle. */
    static const float square[4][2] = {{0, 0}, {2, 0}, {0, 2}, {2, 2}};
    r.n = 4;
    r.code.n = 4;
    draco_code_init(&r.code);
    for (int i = 0; i < 4; i++) r.row[i] = square[i];
    assert_int_equal(aggregate("geometric-median", &tight, &r), DRACO_OK);
    assert_true(fabs((double)sum[0] - 1) < 1e-6 && fabs((double)sum[1] - 1) < 1e-6);
    /* Clipping at 1 from the median (1, 1): every corner is sqrt 2 away, the clipped steps cancel. */
    draco_rule_options clip = {.radius = 1, .iterations = 1};
    assert_int_equal(aggregate("centred-clipping", &clip, &r), DRACO_OK);
    assert_true(fabs((double)sum[0] - 1) < 1e-6);
    /* From 2, with radius 1: steps -1, -1, 0, 1, 1 move nothing; with 10 they are -2, -1, 0, 8, 10. */
    r.n = 5;
    r.d = 1;
    r.code.n = 5;
    draco_code_init(&r.code);
    for (int i = 0; i < 5; i++) r.row[i] = line + i;
    assert_int_equal(aggregate("centred-clipping", &clip, &r), DRACO_OK);
    assert_true(fabs((double)sum[0] - 2) < 1e-6);
    clip.radius = 10;
    assert_int_equal(aggregate("centred-clipping", &clip, &r), DRACO_OK);
    assert_true(fabs((double)sum[0] - 5) < 1e-6);
}

/* ---- Properties ---- */

/* Every rule without a model, alone and after each pre-aggregation. */
static const char *rule_name(int i, char name[64]) {
    static const char *const pre[] = {"", "nnm+", "bucketing+"};
    int rules = 0;
    while (draco_rule_list(rules)) rules++;
    if (i >= 3 * rules) return NULL;
    snprintf(name, 64, "%s%s", pre[i / rules], draco_rule_list(i % rules)->name);
    return name;
}

static int usable(const char *name, int n, int f) {
    draco_rule rule;
    if (draco_rule_make(&rule, name, NULL) < 0) return 0; /* needs a model */
    draco_status status = draco_rule_check(&rule, n, f, NULL, NULL, 0);
    draco_rule_free(&rule);
    return status == DRACO_OK;
}

/* The order of the workers does not matter (up to the rounding of a sum in another order). */
static void order_does_not_matter(void **state) {
    (void)state;
    char name[64];
    for (int i = 0; rule_name(i, name); i++) {
        if (!usable(name, 15, 3) || strncmp(name, "bucketing", 9) == 0) continue;
        rows r = rows_new(15, 3, 200, 4, -5);
        assert_int_equal(aggregate(name, NULL, &r), DRACO_OK);
        double want[200];
        for (size_t j = 0; j < r.d; j++) want[j] = (double)r.sum[j];
        for (int k = 0; k < 15; k++) r.row[k] = row_of(&r, (k * 7 + 3) % 15);
        assert_int_equal(aggregate(name, NULL, &r), DRACO_OK);
        assert_near(r.sum, want, r.d, 1e-5);
        rows_free(&r);
    }
}

/* All rows moved by the same vector move the result by it; CGE looks at norms and is the exception. */
static void follows_a_translation(void **state) {
    (void)state;
    char name[64];
    for (int i = 0; rule_name(i, name); i++) {
        if (!usable(name, 15, 3) || strstr(name, "cge")) continue;
        rows r = rows_new(15, 3, 200, 9, -5);
        assert_int_equal(aggregate(name, NULL, &r), DRACO_OK);
        double want[200];
        for (size_t j = 0; j < r.d; j++) want[j] = (double)r.sum[j] + (double)(j % 8);
        for (int k = 0; k < 15; k++)
            for (size_t j = 0; j < r.d; j++) row_of(&r, k)[j] += (float)(j % 8);
        assert_int_equal(aggregate(name, NULL, &r), DRACO_OK);
        assert_near(r.sum, want, r.d, 1e-4);
        rows_free(&r);
    }
}

/* f liars as far out as floats go: every coordinate stays by the honest ones. The mean does not. */
static void withstands_f_liars(void **state) {
    (void)state;
    char name[64];
    static const double far[] = {-100, 1e6, 1e15, 1e37};
    for (int i = 0; rule_name(i, name); i++) {
        if (!usable(name, 15, 3) || strstr(name, "mean") == name || strstr(name, "+mean")) continue;
        for (size_t k = 0; k < sizeof far / sizeof *far; k++) {
            rows r = rows_new(15, 3, 1100, 12, far[k]);
            assert_int_equal(aggregate(name, NULL, &r), DRACO_OK);
            double worst = 0;
            for (size_t j = 0; j < r.d; j++) worst = fmax(worst, fabs((double)r.sum[j] - 1));
            if (!(worst < 2)) fail_msg("%s with liars at %g: off by %g", name, far[k], worst);
            rows_free(&r);
        }
    }
    rows r = rows_new(15, 3, 10, 12, 1e6);
    assert_int_equal(aggregate("mean", NULL, &r), DRACO_OK);
    assert_true(fabs((double)r.sum[0]) > 1e3);
    rows_free(&r);
}

/* Past half of the rows no rule can help: the breakdown point is where it is said to be. */
static void breaks_past_half(void **state) {
    (void)state;
    static const char *const names[] = {"median", "trimmed-mean",     "meamed",
                                        "phocas", "geometric-median", "mda"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        for (int liars = 5; liars <= 6; liars++) {
            rows r = rows_new(11, 0, 100, 3, 0);
            for (int i = 0; i < liars; i++)
                for (size_t j = 0; j < r.d; j++) row_of(&r, i)[j] = 1e6f + (float)i;
            r.f = 5;
            assert_int_equal(aggregate(names[k], NULL, &r), DRACO_OK);
            if ((fabs((double)r.sum[0]) > 1e3) != (liars == 6))
                fail_msg("%s with %d of 11: %g", names[k], liars, (double)r.sum[0]);
            rows_free(&r);
        }
}

static void same_bits_for_any_number_of_threads(void **state) {
    (void)state;
    char name[64];
    int before = omp_get_max_threads();
    for (int i = 0; rule_name(i, name); i++) {
        if (!usable(name, 15, 3)) continue;
        rows r = rows_new(15, 3, 70001, 21, -100);
        float *one = malloc(r.d * sizeof *one);
        omp_set_num_threads(1);
        assert_int_equal(aggregate(name, NULL, &r), DRACO_OK);
        memcpy(one, r.sum, r.d * sizeof *one);
        for (int threads = 2; threads <= 3; threads++) {
            omp_set_num_threads(threads);
            assert_int_equal(aggregate(name, NULL, &r), DRACO_OK);
            if (memcmp(one, r.sum, r.d * sizeof *one) != 0)
                fail_msg("%s differs with %d threads", name, threads);
        }
        free(one);
        rows_free(&r);
    }
    omp_set_num_threads(before);
}

/* ---- Rows that are not there, or not finite ---- */

static void hostile_numbers(void **state) {
    (void)state;
    static const float poison[] = {NAN, INFINITY, -INFINITY};
    char name[64];
    for (int i = 0; rule_name(i, name); i++) {
        if (!usable(name, 15, 2) || strcmp(name, "mean") == 0 || strstr(name, "+mean")) continue;
        if (!usable(name, 12, 2)) continue;
        rows r = rows_new(15, 2, 3000, 31, FLT_MAX / 4);
        r.row[7] = NULL;
        for (int k = 0; k < 2; k++) row_of(&r, 4 + k)[2999 * (size_t)k] = poison[(i + k) % 3];
        draco_status status = aggregate(name, NULL, &r);
        if (status != DRACO_OK) fail_msg("%s: %d", name, status);
        for (size_t j = 0; j < r.d; j++)
            if (!(fabs((double)r.sum[j] - 1) < 2)) fail_msg("%s: %g", name, (double)r.sum[j]);
        assert_int_equal(r.verdicts[4], DRACO_MALFORMED);
        assert_int_equal(r.verdicts[5], DRACO_MALFORMED);
        assert_int_equal(r.verdicts[7], DRACO_ABSENT);
        assert_int_equal(r.report.present, 12);
        assert_int_equal(r.report.blamed, 0);
        rows_free(&r);
    }
}

/* The mean of the rows that are there, times the number of parts. */
static void missing_rows_are_scaled_for(void **state) {
    (void)state;
    rows r = rows_new(5, 0, 10, 2, 1);
    r.row[1] = NULL;
    r.verdicts[1] = DRACO_MALFORMED;
    draco_rule rule;
    assert_int_equal(draco_rule_make(&rule, "mean", NULL), DRACO_OK);
    assert_int_equal(run(&rule, &r), DRACO_OK);
    assert_int_equal(r.verdicts[1], DRACO_MALFORMED);
    double want = 0;
    for (int i = 0; i < 5; i++) want += i == 1 ? 0 : (double)row_of(&r, i)[3];
    assert_true(fabs((double)r.sum[3] - want * 5 / 4) < 1e-5);
    for (int i = 0; i < 5; i++) r.row[i] = NULL;
    float before = r.sum[0];
    assert_int_equal(run(&rule, &r), DRACO_E_TOO_MANY_MISSING);
    assert_true(fabs((double)r.sum[0] - (double)before) <= 0);
    draco_rule_free(&rule);
    rows_free(&r);
}

static void limits_are_said_in_numbers(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int n, f;
    } enough[] = {{"median", 7, 3},     {"geometric-median", 7, 3}, {"krum", 9, 3},
                  {"multi-krum", 9, 3}, {"bulyan", 15, 3},          {"mda", 7, 3},
                  {"cge", 7, 3},        {"nnm+median", 7, 3},       {"bucketing+median", 13, 3}};
    for (size_t k = 0; k < sizeof enough / sizeof *enough; k++) {
        draco_rule rule;
        char text[200];
        assert_int_equal(draco_rule_make(&rule, enough[k].name, NULL), DRACO_OK);
        assert_int_equal(draco_rule_check(&rule, enough[k].n, enough[k].f, NULL, text, sizeof text),
                         DRACO_OK);
        assert_int_equal(draco_rule_check(&rule, enough[k].n - 1, enough[k].f, NULL, text, sizeof text),
                         DRACO_E_ARGUMENT);
        assert_non_null(strstr(text, "f = 3"));
        rows r = rows_new(enough[k].n, 3, 20, 1, 1);
        r.row[0] = NULL;
        r.sum[0] = 42;
        assert_int_equal(run(&rule, &r), DRACO_E_TOO_MANY_MISSING);
        assert_true(r.sum[0] >= 42 && r.sum[0] <= 42);
        assert_true(strlen(draco_rule_explain(&rule)) > 0);
        draco_rule_free(&rule);
        rows_free(&r);
    }
    draco_rule rule;
    assert_int_equal(draco_rule_make(&rule, "no-such-rule", NULL), DRACO_E_ARGUMENT);
    assert_int_equal(draco_rule_make(&rule, "nnm+", NULL), DRACO_E_ARGUMENT);
    assert_int_equal(draco_rule_make(&rule, "nnm+detox+mean", NULL), DRACO_E_ARGUMENT);
    assert_int_equal(draco_rule_make(&rule, "nnm+nnm+nnm+nnm+nnm+mean", NULL), DRACO_E_ARGUMENT);
    assert_int_equal(draco_rule_make(&rule, "zeno", NULL), DRACO_E_ARGUMENT);
    draco_rule_options bad = {.tolerance = -1};
    assert_int_equal(draco_rule_make(&rule, "median", &bad), DRACO_E_ARGUMENT);
    draco_rule_free(&rule);
}

/* ---- Pre-aggregations ---- */

static void neighbours_are_mixed(void **state) {
    (void)state;
    rows r = rows_new(7, 2, 150, 8, -20);
    double want[150];
    memset(want, 0, sizeof want);
    for (int i = 0; i < r.n; i++) { /* the mean of the mixed rows */
        double apart[MOST], sorted[MOST];
        for (int k = 0; k < r.n; k++) apart[k] = sorted[k] = plain_distance(&r, i, k);
        qsort(sorted, (size_t)r.n, sizeof *sorted, ascending);
        for (int k = 0; k < r.n; k++)
            for (size_t j = 0; j < r.d && apart[k] <= sorted[4]; j++) want[j] += (double)r.row[k][j] / 5 / 7;
    }
    assert_int_equal(aggregate("nnm+mean", NULL, &r), DRACO_OK);
    assert_near(r.sum, want, r.d, 1e-5);
    rows_free(&r);
}

/* Buckets of equal size leave the mean as it is; another step draws other buckets. */
static void buckets_are_means(void **state) {
    (void)state;
    rows r = rows_new(12, 0, 130, 8, 1);
    draco_rule_options options = {.bucket = 3, .seed = 5};
    double want[130];
    int in[MOST];
    all_in(&r, in);
    plain_mean(&r, in, want);
    assert_int_equal(aggregate("bucketing+mean", &options, &r), DRACO_OK);
    assert_near(r.sum, want, r.d, 1e-5);
    draco_rule rule;
    float first[130];
    assert_int_equal(draco_rule_make(&rule, "bucketing+median", &options), DRACO_OK);
    draco_inputs in5 = {r.n, r.d, r.row, &r.code, 5, NULL, 0}, in6 = in5;
    in6.step = 6;
    assert_int_equal(rule.aggregate(rule.ctx, &in5, first, r.verdicts, &r.report), DRACO_OK);
    assert_int_equal(rule.aggregate(rule.ctx, &in6, r.sum, r.verdicts, &r.report), DRACO_OK);
    assert_memory_not_equal(first, r.sum, sizeof first);
    assert_int_equal(rule.aggregate(rule.ctx, &in5, r.sum, r.verdicts, &r.report), DRACO_OK);
    assert_memory_equal(first, r.sum, sizeof first);
    draco_rule_free(&rule);
    rows_free(&r);
}

/* Groups of equal rows; liars lose the vote of their group, and two of them win one. */
static void detox_votes_first(void **state) {
    (void)state;
    rows r = rows_new(15, 0, 40, 8, 1);
    r.code = (draco_code){.n = 15, .s = 1};
    assert_int_equal(draco_code_init(&r.code), DRACO_OK);
    assert_int_equal(r.code.groups, 5);
    for (int i = 0; i < r.n; i++)
        for (size_t j = 0; j < r.d; j++) row_of(&r, i)[j] = 1 + 0.1f * (float)draco_code_group(&r.code, i);
    int liar[2] = {-1, -1}, found = 0;
    for (int i = 0; i < r.n && found < 2; i++)
        if (draco_code_group(&r.code, i) == 2) liar[found++] = i;
    r.f = 2;
    row_of(&r, liar[0])[3] = 1e9f;
    draco_rule rule;
    assert_int_equal(draco_rule_make(&rule, "detox+median", NULL), DRACO_OK);
    assert_int_equal(run(&rule, &r), DRACO_OK);
    for (size_t j = 0; j < r.d; j++) assert_true(fabs((double)r.sum[j] - 5 * 1.2) < 1e-5); /* groups, not n */
    for (int i = 0; i < r.n; i++) assert_int_equal(r.verdicts[i], i == liar[0] ? DRACO_BLAMED : DRACO_AGREES);
    for (size_t j = 0; j < r.d; j++) row_of(&r, liar[0])[j] = row_of(&r, liar[1])[j] = 1e9f;
    assert_int_equal(run(&rule, &r), DRACO_OK);
    for (size_t j = 0; j < r.d; j++) assert_true(fabs((double)r.sum[j] - 5 * 1.3) < 1e-5);
    r.f = 6; /* three false votes of five */
    assert_int_equal(run(&rule, &r), DRACO_E_ARGUMENT);
    draco_rule_free(&rule);
    r.f = 2;
    assert_int_equal(aggregate("detox", NULL, &r), DRACO_OK);
    r.code = (draco_code){.scheme = DRACO_CYCLIC, .n = 15, .s = 1};
    assert_int_equal(draco_code_init(&r.code), DRACO_OK);
    assert_int_equal(aggregate("median", NULL, &r), DRACO_E_ARGUMENT);
    rows_free(&r);
}

/* ---- Zeno, on f(x) = |x|^2 / 2, whose gradient is x ---- */

static draco_status bowl(void *ctx, void *workspace, const float *params, draco_score *score) {
    (void)workspace;
    score->loss = score->accuracy = 0;
    for (size_t j = 0; j < *(const size_t *)ctx; j++)
        score->loss += (double)params[j] * (double)params[j] / 2;
    return DRACO_OK;
}

static void zeno_keeps_what_lowers_the_loss(void **state) {
    (void)state;
    size_t d = 20;
    draco_model model = {.size = sizeof model, .ctx = &d, .dim = d, .parameters = d, .evaluate = bowl};
    draco_rule_options options = {.model = &model, .samples = 4, .gamma = 0.1};
    rows r = rows_new(7, 4, d, 6, -8); /* more liars than honest ones */
    float params[20];
    for (size_t j = 0; j < d; j++) params[j] = 1;
    for (int i = 4; i < 7; i++)
        for (size_t j = 0; j < d; j++) row_of(&r, i)[j] *= 4; /* sums over 4 samples */
    row_of(&r, 2)[0] = FLT_MAX;
    draco_rule rule;
    assert_int_equal(draco_rule_make(&rule, "zeno", &options), DRACO_OK);
    draco_inputs in = {r.n, r.d, r.row, &r.code, 5, params, r.f};
    assert_int_equal(rule.aggregate(rule.ctx, &in, r.sum, r.verdicts, &r.report), DRACO_OK);
    for (int i = 0; i < 7; i++) assert_int_equal(r.verdicts[i], i < 4 ? DRACO_UNDECIDED : DRACO_AGREES);
    draco_rule_free(&rule);
    rows_free(&r);
}

/* The weight rho stands before the sum of the squares, not before their mean: 20 times as much here. A step of 1 per
   coordinate lowers the loss more than one of 1/2, and its norm is 4 times as large. */
static void zeno_scores_by_the_squared_norm(void **state) {
    (void)state;
    size_t d = 20;
    const double rho[] = {0.01,
                          0.5}; /* as a weight of the mean, the second would still take the large step */
    draco_model model = {.size = sizeof model, .ctx = &d, .dim = d, .parameters = d, .evaluate = bowl};
    float params[20];
    for (size_t j = 0; j < d; j++) params[j] = 1;
    for (int k = 0; k < 2; k++) {
        draco_rule_options options = {.model = &model, .gamma = 0.1, .rho = rho[k]};
        rows r = rows_new(2, 1, d, 0, 0);
        for (size_t j = 0; j < d; j++) row_of(&r, 0)[j] = 1, row_of(&r, 1)[j] = 0.5f;
        draco_rule rule;
        assert_int_equal(draco_rule_make(&rule, "zeno", &options), DRACO_OK);
        draco_inputs in = {r.n, r.d, r.row, &r.code, 5, params, 1};
        assert_int_equal(rule.aggregate(rule.ctx, &in, r.sum, r.verdicts, &r.report), DRACO_OK);
        assert_int_equal(r.verdicts[k], DRACO_AGREES);
        assert_int_equal(r.verdicts[1 - k], DRACO_UNDECIDED);
        draco_rule_free(&rule);
        rows_free(&r);
    }
}

/* ---- Distances keep small differences beside large rows ---- */
static void distances_do_not_cancel(void **state) {
    (void)state;
    rows r = rows_new(6, 2, 5000, 3, -1e4);
    for (size_t j = 0; j < r.d; j++) row_of(&r, 1)[j] = row_of(&r, 0)[j] + 1; /* two large rows, 1 apart */
    double distances[36];
    assert_int_equal(draco_rule_distances(r.row, 6, r.d, distances), DRACO_OK);
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < 6; k++) {
            double want = plain_distance(&r, i, k);
            assert_true(fabs(distances[6 * i + k] - want) <= 2e-6 * want);
        }
    rows_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follow_the_formulas),
        cmocka_unit_test(mda_finds_the_least_diameter),
        cmocka_unit_test(geometric_median_is_the_least),
        cmocka_unit_test(small_cases_by_hand),
        cmocka_unit_test(order_does_not_matter),
        cmocka_unit_test(follows_a_translation),
        cmocka_unit_test(withstands_f_liars),
        cmocka_unit_test(breaks_past_half),
        cmocka_unit_test(same_bits_for_any_number_of_threads),
        cmocka_unit_test(hostile_numbers),
        cmocka_unit_test(missing_rows_are_scaled_for),
        cmocka_unit_test(limits_are_said_in_numbers),
        cmocka_unit_test(neighbours_are_mixed),
        cmocka_unit_test(buckets_are_means),
        cmocka_unit_test(detox_votes_first),
        cmocka_unit_test(zeno_keeps_what_lowers_the_loss),
        cmocka_unit_test(zeno_scores_by_the_squared_norm),
        cmocka_unit_test(distances_do_not_cancel),
    };
    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
