/* draco_rules.h - version 0.1.0 - aggregation rules for n gradients, what DRACO is measured against

   #define DRACO_RULES_IMPLEMENTATION in one .c file before including it; DRACO_RULES_STATIC, defined as
   well, makes a private copy. The switches bring draco.h along. The implementation is C11 with GNU
   extensions; compile with -fopenmp to use more than one core, link -lm.

       draco_rule rule;
       draco_rule_options options = {0};                zero: the defaults told below
       if (draco_rule_make(&rule, "multi-krum", &options) < 0) ...
       ... draco_server_config.rule = &rule; draco_server_config.rule_f = 3; ...
       draco_rule_free(&rule);

   Names. One of the rules of draco_rule_list(), after any of the pre-aggregations "nnm+", "bucketing+" and
   "detox+": "krum", "nnm+trimmed-mean", "detox+bucketing+median". "detox" alone is "detox+geometric-median".

   Flow. rows -> (detox: majority vote of each group) -> rows with NaN or Inf are left out -> (nnm, bucketing)
   -> rule -> sum.

   Contract.
   - The rows are uncoded gradients (repetition code with s = t = 0: one part per worker), or for detox those
   of a repetition code. sum = parts x aggregate, so that it stands for the sum over all parts, also when rows
     are missing. A cyclic code's messages are mixtures that no average can use: DRACO_E_ARGUMENT.
   - in->f is the number of rows that may lie, counted among the rows that are there. Every rule checks it
     against the rows that are there: DRACO_E_ARGUMENT when n is too small for f at all,
     DRACO_E_TOO_MANY_MISSING when only too many rows are missing. draco_rule_explain() then says it in words
     and numbers. On an error sum is untouched.
   - A row with a NaN or Inf in it is taken for missing, and its worker is MALFORMED: an honest gradient that
     is not finite would make every sum useless. The mean alone looks at nothing and passes everything on.
     Finite rows may be as large as they like: squares that overflow a float are computed again in double.
   - Verdicts: a row that is NULL is ABSENT, or stays MALFORMED if it comes in as that. A row that was not
   chosen is no proof of a lie, so rules that choose give AGREES to the rows they took and UNDECIDED to the
   others, rules that average over coordinates or with weights give UNDECIDED to all. Only detox blames, where
   the s + 1 equal copies of a group outvote a member as they do in DRACO itself; that holds as long as no
   group has more than s liars.
   - Same rows, same bits, for every number of threads: blocks of coordinates have a fixed size, and sums over
     blocks are added in a fixed order. Processors with other vector widths may round differently.
   - A rule owns its work memory (malloc, grown on first use, kept until free) and serves one thread at a
   time. Centred clipping remembers its last aggregate; the others remember nothing.

   Accuracy. Distances are sums of squared differences of the rows themselves, not of inner products, so rows
   that are 100 times larger than the others do not drown the small differences: each distance has a relative
   error of about 1e-6.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#if defined(DRACO_RULES_IMPLEMENTATION) && !defined(DRACO_IMPLEMENTATION)
#define DRACO_IMPLEMENTATION
#endif
#if defined(DRACO_RULES_STATIC) && !defined(DRACO_STATIC)
#define DRACO_STATIC
#endif
#include "../draco.h"

#ifndef DRACO_RULES_H
#define DRACO_RULES_H

#define DRACO_RULES_VERSION 0x000100
#ifndef DRACO_RULES_API
#ifdef DRACO_RULES_STATIC
#define DRACO_RULES_API static __attribute__((unused))
#else
#define DRACO_RULES_API extern
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct draco_rule_options {
    size_t measured;  /* leading coordinates that norms, distances and votes of confidence look at; 0: all */
    double tolerance; /* geometric median: relative step at which it stops; 0: 1e-5 */
    int iterations;   /* geometric median: limit, 0: 500; centred clipping: how many, 0: 3 */
    int streaming; /* geometric median: 1 reads the rows in every iteration, as the classical method does */
    int select;    /* Multi-Krum: rows to average; 0: n - f - 2 */
    double radius; /* centred clipping: tau; 0: the median distance of the rows from the centre */
    int bucket;    /* rows (or votes) per bucket; 0: 2 for bucketing, 1 (no buckets) for detox */
    uint64_t seed; /* bucketing: of the permutation, drawn anew every step */
    /* Zeno. */
    const draco_model *model; /* needs `progress` or `evaluate` for its loss */
    size_t batch;             /* n_r, samples of the server's batch; 0: 128 */
    size_t samples;           /* samples of one part: a row divided by it is a mean gradient; 0: 1 */
    double gamma, rho; /* learning rate, 0: 0.1; weight of ||u||^2, the sum of squares, 0: gamma / 200 */
} draco_rule_options;

typedef struct draco_rule_info {
    const char *name;
    const char *limit;   /* what n and f must fulfil, in words */
    const char *help;    /* one line */
    int (*least)(int f); /* least number of rows for f liars */
    int needs_model;
} draco_rule_info;

/* Make a rule from its name. options may be NULL. DRACO_E_ARGUMENT: unknown name or an option out of range.
 */
DRACO_RULES_API draco_status draco_rule_make(draco_rule *rule, const char *name,
                                             const draco_rule_options *options);
DRACO_RULES_API void draco_rule_free(draco_rule *rule);

/* May n workers of which f lie use this rule? code: needed for detox, else it may be NULL. text gets one line
   that says why not (as snprintf), and may be NULL. */
DRACO_RULES_API draco_status draco_rule_check(const draco_rule *rule, int n, int f, const draco_code *code,
                                              char *text, size_t capacity);
/* What went wrong last, in words; "" when nothing did. */
DRACO_RULES_API const char *draco_rule_explain(const draco_rule *rule);
/* Iterations of the last call (geometric median), and how many of them read the rows. */
DRACO_RULES_API int draco_rule_iterations(const draco_rule *rule, int *over_rows);

/* The i-th rule or pre-aggregation, i = 0, 1, …; NULL past the last. */
DRACO_RULES_API const draco_rule_info *draco_rule_list(int i);
DRACO_RULES_API const draco_rule_info *draco_pre_list(int i);

/* distances[n * n]: squared distances of n rows over their first d coordinates. For tests and benchmarks. */
DRACO_RULES_API draco_status draco_rule_distances(const float *const *rows, int n, size_t d,
                                                  double *distances);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_RULES_H */

#if defined(DRACO_RULES_IMPLEMENTATION) && !defined(DRACO_RULES_IMPLEMENTED)
#define DRACO_RULES_IMPLEMENTED

#if defined(__cplusplus) || !defined(__GNUC__)
#error "draco_rules.h: the implementation is C11 with GNU extensions: compile it in a .c file by gcc or clang"
#endif
#include "draco_rows.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define DR_RULES_STAGES 4
#define DR_RULES_MDA_F 32 /* the search below takes up to 1.4^f steps */

/* The rows that a rule works on, and what it says of them. */
typedef struct dr_rules_view {
    int n;
    const float *const *rows;
    size_t d, measured;
    int f;
    uint64_t step;
    const float *params;
    unsigned char *chosen; /* out: rows that were taken */
    int names;             /* out: chosen means something */
} dr_rules_view;

struct dr_rules_rule;
typedef draco_status dr_rules_core(struct dr_rules_rule *rule, dr_rules_view *view, float *out);

typedef struct dr_rules_entry {
    draco_rule_info info;
    dr_rules_core *core;
} dr_rules_entry;

typedef enum dr_rules_stage { DR_RULES_VOTE, DR_RULES_NNM, DR_RULES_BUCKETS } dr_rules_stage;

typedef struct dr_rules_rule {
    char name[96], text[256];
    draco_rule_options options;
    const dr_rules_entry *entry;
    dr_rules_stage stage[DR_RULES_STAGES];
    int stages, iterations, over_rows;
    draco_rows_work work;
    draco_rows_buffer distances, small, center, workspace, call;
    draco_rows_buffer mixed[DR_RULES_STAGES], table[DR_RULES_STAGES];
    void *model_workspace;
    size_t center_floats; /* of centred clipping's memory; 0: none yet */
} dr_rules_rule;

static void dr_rules_average(const dr_rules_view *view, const double *weight, double total, float *out) {
    draco_rows_combine(view->rows, view->n, weight, view->d, 1.0 / total, out);
}

/* The view's distance matrix, in the rule's memory. */
static double *dr_rules_matrix(dr_rules_rule *rule, const dr_rules_view *view) {
    size_t n = (size_t)view->n;
    double *distances = draco_rows_reserve(&rule->distances, n * n, sizeof *distances);
    if (!distances) return NULL;
    return draco_rows_distances(&rule->work, view->rows, view->n, view->measured, distances) < 0 ? NULL
                                                                                                 : distances;
}

/* Sorts values; the upper median. */
static double dr_rules_median_of(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, draco_rows_ascending);
    return values[n / 2];
}

/* Mark the `count` rows of least score; equal scores: the lower index first. */
static void dr_rules_take(const double *score, int n, int count, unsigned char *chosen) {
    memset(chosen, 0, (size_t)n);
    for (int taken = 0; taken < count; taken++) {
        int best = -1;
        for (int i = 0; i < n; i++)
            if (!chosen[i] && (best < 0 || score[i] < score[best])) best = i;
        chosen[best] = 1;
    }
}

static draco_status dr_rules_average_chosen(dr_rules_rule *rule, dr_rules_view *view, float *out) {
    double *weight = draco_rows_reserve(&rule->workspace, (size_t)view->n, sizeof *weight);
    if (!weight) return DRACO_E_MEMORY;
    int total = 0;
    for (int i = 0; i < view->n; i++) {
        weight[i] = view->chosen[i] ? 1.0 : 0.0;
        total += view->chosen[i];
    }
    view->names = 1;
    dr_rules_average(view, weight, (double)total, out);
    return DRACO_OK;
}

/* ---- The mean ----
   sum of the rows / n; O(nd); no liar is tolerated: one row alone can put it anywhere (Blanchard et al., NIPS
   2017, lemma 1). NaN and Inf pass through as they are. */
static draco_status dr_rules_mean(dr_rules_rule *rule, dr_rules_view *view, float *out) {
    (void)rule;
    dr_rules_average(view, NULL, (double)view->n, out);
    return DRACO_OK;
}

/* ---- The geometric median ----
   z = argmin sum ||x_i - z|| (Weiszfeld, Tohoku Math. J. 43, 1937; as a defence: Chen, Su, Xu, POMACS 1(2),
   2017, arXiv 1705.05491; smoothed: Pillutla, Kakade, Harchaoui, IEEE Trans. Signal Processing 70, 2022,
   arXiv 1912.13445).

       z' = sum x_i / r_i / sum 1 / r_i,   r_i = sqrt(||x_i - z||^2 + nu^2),   nu = 1e-6 x median ||x_i - z||

   Stopping rule: ||z' - z|| <= tolerance x R, where R = n / sum 1 / r_i is the harmonic mean of the
   distances, which a far liar hardly moves; or the limit of iterations, and the last z is taken. It starts
   from the mean.

   Every z is a weighted mean of the rows, z = sum w_i x_i, so the distances from it follow from the distances
   between the rows, ||x_i - z||^2 = (D w)_i - w'Dw / 2. After one pass over the pairs an iteration costs
   O(n^2), not O(nd), and a tight tolerance costs no more than a loose one. At the end one iteration over the
   rows themselves checks the result, and goes on if it does not hold. Where rounding would spoil the shortcut
   (rows more than 1000 times as far away as the median) or the pairs cost more (n > 64), all iterations read
   the rows. O(n^2 d + nd); f < n/2. */

typedef struct dr_rules_weiszfeld {
    int n;
    double *weight, *next, *square, *sorted; /* n each */
} dr_rules_weiszfeld;

/* next = the weights that the distances ask for; returns R, or 0 when half of the rows are where z is. */
static double dr_rules_reweigh(dr_rules_weiszfeld *w) {
    memcpy(w->sorted, w->square, (size_t)w->n * sizeof *w->sorted);
    double nu2 = 1e-12 * dr_rules_median_of(w->sorted, w->n), sum = 0;
    if (!(nu2 > 0)) return 0;
    for (int i = 0; i < w->n; i++) sum += w->next[i] = 1 / sqrt(w->square[i] + nu2);
    for (int i = 0; i < w->n; i++) w->next[i] /= sum;
    return (double)w->n / sum;
}

/* Half of |a|'D|a| with its sign turned: the squared length of sum a_i x_i when the a_i add up to 0. */
static double dr_rules_length2(const double *distances, int n, const double *next, const double *weight) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            sum -=
                (next[i] - weight[i]) * (next[j] - weight[j]) * distances[(size_t)i * (size_t)n + (size_t)j];
    return sum > 0 ? sum / 2 : 0;
}

/* Iterate on the distance matrix alone. */
static void dr_rules_weiszfeld_matrix(dr_rules_rule *rule, dr_rules_weiszfeld *w, const double *distances,
                                      int limit) {
    while (rule->iterations < limit) {
        double half = 0;
        for (int i = 0; i < w->n; i++) {
            const double *row = distances + (size_t)i * (size_t)w->n;
            double sum = 0;
            for (int j = 0; j < w->n; j++) sum += row[j] * w->weight[j];
            w->square[i] = sum;
            half += sum * w->weight[i] / 2;
        }
        for (int i = 0; i < w->n; i++) w->square[i] = w->square[i] > half ? w->square[i] - half : 0;
        rule->iterations++;
        double scale = dr_rules_reweigh(w);
        if (!(scale > 0)) return;
        double length2 = dr_rules_length2(distances, w->n, w->next, w->weight);
        memcpy(w->weight, w->next, (size_t)w->n * sizeof *w->weight);
        double stop = rule->options.tolerance * scale;
        if (length2 <= stop * stop) return;
    }
}

/* One iteration in one reading: out = sum weight_i x_i, how far that moved, and the distances from it. */
static draco_status dr_rules_weiszfeld_rows(dr_rules_rule *rule, const dr_rules_view *view,
                                            dr_rules_weiszfeld *w, int moved, float *out, double *length2) {
    size_t chunks = draco_rows_chunks(view->d, view->n), n = (size_t)view->n;
    double *part = draco_rows_reserve(&rule->work.partial, chunks * (n + 1), sizeof *part);
    if (!part) return DRACO_E_MEMORY;
    memset(part, 0, chunks * (n + 1) * sizeof *part);
    DRACO_ROWS_FOR
    for (size_t c = 0; c < chunks; c++) {
        size_t first, last;
        double *mine = part + c * (n + 1);
        draco_rows_chunk(view->d, chunks, c, &first, &last);
        for (size_t at = first; at < last; at += DRACO_ROWS_BLOCK) {
            float acc[DRACO_ROWS_BLOCK] = {0};
            size_t count = draco_rows_min(last - at, DRACO_ROWS_BLOCK);
            size_t seen = at < view->measured ? draco_rows_min(count, view->measured - at) : 0;
            for (size_t i = 0; i < n; i++)
                draco_rows_block_add(acc, view->rows[i] + at, (float)w->weight[i], count);
            for (size_t i = 0; i < n && seen > 0; i++)
                mine[i] += draco_rows_block_distance(view->rows[i] + at, acc, seen);
            if (moved && seen > 0) mine[n] += draco_rows_block_distance(out + at, acc, seen);
            memcpy(out + at, acc, count * sizeof *acc);
        }
    }
    memset(w->square, 0, n * sizeof *w->square);
    *length2 = 0;
    for (size_t c = 0; c < chunks; c++) {
        for (size_t i = 0; i < n; i++) w->square[i] += part[c * (n + 1) + i];
        *length2 += part[c * (n + 1) + n];
    }
    return DRACO_OK;
}

/* No row is more than 1000 times as far from its median neighbour as the median row is. */
static int dr_rules_tame(const double *distances, dr_rules_weiszfeld *w) {
    double largest = 0;
    for (int i = 0; i < w->n; i++) {
        memcpy(w->sorted, distances + (size_t)i * (size_t)w->n, (size_t)w->n * sizeof *w->sorted);
        w->square[i] = dr_rules_median_of(w->sorted, w->n);
        largest = largest > w->square[i] ? largest : w->square[i];
    }
    memcpy(w->sorted, w->square, (size_t)w->n * sizeof *w->sorted);
    return largest <= 1e6 * dr_rules_median_of(w->sorted, w->n);
}

static draco_status dr_rules_geometric_median(dr_rules_rule *rule, dr_rules_view *view, float *out) {
    int n = view->n, limit = rule->options.iterations > 0 ? rule->options.iterations : 500, matrix = 0;
    double *small = draco_rows_reserve(&rule->small, 4 * (size_t)n, sizeof *small), *distances = NULL;
    if (!small) return DRACO_E_MEMORY;
    dr_rules_weiszfeld w = {n, small, small + n, small + 2 * n, small + 3 * n};
    if (!rule->options.streaming && n <= 64) {
        distances = dr_rules_matrix(rule, view);
        if (!distances) return DRACO_E_MEMORY;
        matrix = dr_rules_tame(distances, &w);
    }
    for (int i = 0; i < n; i++) w.weight[i] = 1.0 / n;
    rule->iterations = rule->over_rows = 0;
    if (matrix) dr_rules_weiszfeld_matrix(rule, &w, distances, limit);
    for (int pass = 0; pass == 0 || rule->iterations < limit; pass++) {
        double length2;
        draco_status status = dr_rules_weiszfeld_rows(rule, view, &w, pass > 0, out, &length2);
        if (status < 0) return status;
        rule->iterations++;
        rule->over_rows++;
        double scale = dr_rules_reweigh(&w), stop = rule->options.tolerance * scale;
        if (!(scale > 0)) return DRACO_OK;
        if (pass == 0 && matrix) length2 = dr_rules_length2(distances, n, w.next, w.weight);
        if ((pass > 0 || matrix) && length2 <= stop * stop) return DRACO_OK;
        memcpy(w.weight, w.next, (size_t)n * sizeof *w.weight);
    }
    return DRACO_OK;
}

/* ---- Rules that work on each coordinate alone ---- */

/* ---- The coordinate-wise median (MarMed) ----
   Yin, Chen, Ramchandran, Bartlett, ICML 2018, arXiv 1803.01498; Xie, Koyejo, Gupta, arXiv 1802.10116. O(nd
   log^2 n) by network; f < n/2. */
static draco_status dr_rules_median(dr_rules_rule *rule, dr_rules_view *view, float *out) {
    return draco_rows_by_coordinate(&rule->work, view->rows, view->n, view->d, draco_rows_middle(view->n, 0),
                                    out);
}

/* ---- The trimmed mean ----
   Per coordinate the mean without the f smallest and the f largest values (Yin et al., ICML 2018, arXiv
   1803.01498). f < n/2. */
static draco_status dr_rules_trimmed_mean(dr_rules_rule *rule, dr_rules_view *view, float *out) {
    draco_rows_pick pick = {view->f, view->n - view->f, 0};
    return draco_rows_by_coordinate(&rule->work, view->rows, view->n, view->d, pick, out);
}

/* ---- MeaMed ----
   Per coordinate the mean of the n - f values that are nearest to the median (Xie, Koyejo, Gupta, arXiv
   1802.10116). In sorted order these are neighbours, so a window is moved, not sorted again.
   f < n/2. */
static draco_status dr_rules_meamed(dr_rules_rule *rule, dr_rules_view *view, float *out) {
    return draco_rows_by_coordinate(&rule->work, view->rows, view->n, view->d,
                                    draco_rows_middle(view->n, view->n - view->f), out);
}

/* ---- Phocas ----
   Per coordinate the mean of the n - f values that are nearest to the trimmed mean (Xie, Koyejo, Gupta, arXiv
   1805.09682). f < n/2. */
static draco_status dr_rules_phocas(dr_rules_rule *rule, dr_rules_view *view, float *out) {
    draco_rows_pick pick = {view->f, view->n - view->f, view->n - view->f};
    return draco_rows_by_coordinate(&rule->work, view->rows, view->n, view->d, pick, out);
}

/* ---- Rules that choose rows by their distances ---- */

/* score[i] = sum of the `near` least squared distances of row i from the other rows that are in. */
static void dr_rules_krum_scores(const double *distances, int n, const unsigned char *in, int near,
                                 double *sorted, double *score) {
    for (int i = 0; i < n; i++) {
        int others = 0;
        score[i] = DBL_MAX;
        if (!in[i]) continue;
        for (int j = 0; j < n; j++)
            if (in[j] && j != i) sorted[others++] = distances[(size_t)i * (size_t)n + (size_t)j];
        qsort(sorted, (size_t)others, sizeof *sorted, draco_rows_ascending);
        score[i] = 0;
        for (int k = 0; k < near && k < others; k++) score[i] += sorted[k];
    }
}

static draco_status dr_rules_krum_best(dr_rules_rule *rule, dr_rules_view *view, int count, float *out) {
    int n = view->n;
    double *distances = dr_rules_matrix(rule, view);
    double *score = draco_rows_reserve(&rule->small, 2 * (size_t)n, sizeof *score);
    if (!distances || !score) return DRACO_E_MEMORY;
    memset(view->chosen, 1, (size_t)n);
    dr_rules_krum_scores(distances, n, view->chosen, n - view->f - 2, score + n, score);
    dr_rules_take(score, n, count, view->chosen);
    return dr_rules_average_chosen(rule, view, out);
}

/* ---- Krum ----
   The one row with the least sum of squared distances from its n - f - 2 nearest others (Blanchard, El
   Mhamdi, Guerraoui, Stainer, NIPS 2017, arXiv 1703.02757); of equal ones the first. O(n^2 d); n >= 2f + 3.
   */
static draco_status dr_rules_krum(dr_rules_rule *rule, dr_rules_view *view, float *out) {
    return dr_rules_krum_best(rule, view, 1, out);
}

/* ---- Multi-Krum ----
   The mean of the m rows with the best scores (the same paper); m = n - f - 2 unless
   options.select says otherwise. O(n^2 d); n >= 2f + 3, m <= n - f. */
static draco_status dr_rules_multi_krum(dr_rules_rule *rule, dr_rules_view *view, float *out) {
    int most = view->n - view->f, m = rule->options.select > 0 ? rule->options.select : most - 2;
    return dr_rules_krum_best(rule, view, m < most ? m : most, out);
}

/* ---- Bulyan ----
   Krum picks one row after the other, each from those that are left, until theta = n - 2f are picked; then
   per coordinate the mean of the theta - 2f values nearest to the median of the picked (El Mhamdi, Guerraoui,
   Rouault, ICML 2018, arXiv 1802.07927). With k rows left Krum counts their k - f - 2 nearest, at least one;
   the distances are computed once. O(n^2 d); n >= 4f + 3. */
static draco_status dr_rules_bulyan(dr_rules_rule *rule, dr_rules_view *view, float *out) {
    int n = view->n, f = view->f, theta = n - 2 * f;
    double *distances = dr_rules_matrix(rule, view);
    double *score = draco_rows_reserve(&rule->small, 3 * (size_t)n, sizeof *score);
    const float **picked = draco_rows_reserve(&rule->workspace, (size_t)n, sizeof *picked);
    if (!distances || !score || !picked) return DRACO_E_MEMORY;
    unsigned char *left = (unsigned char *)(void *)(score + 2 * n);
    memset(left, 1, (size_t)n);
    for (int taken = 0; taken < theta; taken++) {
        int near = n - taken - f - 2, best = -1;
        dr_rules_krum_scores(distances, n, left, near > 1 ? near : 1, score + n, score);
        for (int i = 0; i < n; i++)
            if (left[i] && (best < 0 || score[i] < score[best])) best = i;
        left[best] = 0;
    }
    int count = 0;
    for (int i = 0; i < n; i++) {
        view->chosen[i] = !left[i];
        if (!left[i]) picked[count++] = view->rows[i];
    }
    view->names = 1;
    return draco_rows_by_coordinate(&rule->work, picked, theta, view->d,
                                    draco_rows_middle(theta, theta - 2 * f), out);
}

/* ---- MDA, minimum-diameter averaging ----
   The mean of the n - f rows whose largest distance from each other is least (Rousseeuw's minimum volume
   idea; El-Mhamdi, Guerraoui, Guirguis, Hoang, Rouault, PODC 2020, arXiv 1905.03853; "Brute" in the Bulyan
   paper). Not by trying all C(n, f) subsets: rows further apart than a diameter are joined by an edge, and n
   - f rows of that diameter are what a vertex cover of f rows leaves over. The least diameter is found by
   bisection over the distances, each cover by a bounded search tree (the row of most edges is out, or all its
   neighbours are), at most about 1.4^f steps. Where several subsets have the least diameter, rows beyond the
   cover are dropped from the ones with the largest sum of distances on. O(n^2 d + 1.4^f n^2 log n); n >= 2f +
   1, f <= 32. */
typedef struct dr_rules_cover {
    const double *distances;
    int n;
    double diameter;
    unsigned char *out;   /* rows in the cover */
    unsigned char *spare; /* n bytes for every level of the search */
} dr_rules_cover;

static int dr_rules_edge(const dr_rules_cover *g, int i, int j) {
    return !g->out[i] && !g->out[j] && g->distances[(size_t)i * (size_t)g->n + (size_t)j] > g->diameter;
}

/* Can `left` more rows cover every edge? Then they are marked in g->out. */
static int dr_rules_cover_with(dr_rules_cover *g, int left) {
    int most = 0, at = -1, edges = 0;
    for (int i = 0; i < g->n; i++) {
        int degree = 0;
        for (int j = 0; j < g->n; j++) degree += j != i && dr_rules_edge(g, i, j);
        edges += degree;
        if (degree > most) most = degree, at = i;
    }
    if (most == 0) return 1;
    if (edges / 2 > most * left) return 0;
    unsigned char *before = g->spare + (size_t)left * (size_t)g->n;
    memcpy(before, g->out, (size_t)g->n);
    g->out[at] = 1;
    int found = dr_rules_cover_with(g, left - 1);
    if (!found && most > 1 && most <= left) {
        memcpy(g->out, before, (size_t)g->n);
        for (int j = 0; j < g->n; j++)
            if (j != at && g->distances[(size_t)at * (size_t)g->n + (size_t)j] > g->diameter) g->out[j] = 1;
        found = dr_rules_cover_with(g, left - most);
    }
    if (!found) memcpy(g->out, before, (size_t)g->n);
    return found;
}

static int dr_rules_cover_at(dr_rules_cover *g, double diameter, int f) {
    g->diameter = diameter;
    memset(g->out, 0, (size_t)g->n);
    return dr_rules_cover_with(g, f);
}

/* Drop rows until f are out, the one with the largest sum of distances from the others first. */
static void dr_rules_drop_far(dr_rules_cover *g, int f) {
    int out = 0;
    for (int i = 0; i < g->n; i++) out += g->out[i];
    for (; out < f; out++) {
        double most = -1;
        int at = 0;
        for (int i = 0; i < g->n; i++) {
            double sum = 0;
            if (g->out[i]) continue;
            for (int j = 0; j < g->n; j++)
                if (!g->out[j]) sum += sqrt(g->distances[(size_t)i * (size_t)g->n + (size_t)j]);
            if (sum > most) most = sum, at = i;
        }
        g->out[at] = 1;
    }
}

static draco_status dr_rules_mda(dr_rules_rule *rule, dr_rules_view *view, float *out) {
    size_t n = (size_t)view->n;
    double *distances = dr_rules_matrix(rule, view);
    double *sorted = draco_rows_reserve(&rule->small, n * n, sizeof *sorted);
    unsigned char *spare = draco_rows_reserve(&rule->workspace, n * (size_t)(view->f + 1), 1);
    if (!distances || !sorted || !spare) return DRACO_E_MEMORY;
    memcpy(sorted, distances, n * n * sizeof *sorted);
    qsort(sorted, n * n, sizeof *sorted, draco_rows_ascending);
    dr_rules_cover g = {distances, view->n, 0, view->chosen, spare};
    size_t low = 0, high = n * n - 1; /* the largest distance needs no cover at all */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (dr_rules_cover_at(&g, sorted[middle], view->f))
            high = middle;
        else
            low = middle + 1;
    }
    dr_rules_cover_at(&g, sorted[low], view->f);
    dr_rules_drop_far(&g, view->f);
    for (size_t i = 0; i < n; i++) view->chosen[i] = !view->chosen[i];
    return dr_rules_average_chosen(rule, view, out);
}

/* ---- CGE, comparative gradient elimination ----
   The mean of the n - f rows of least norm (Gupta, Liu, Vaidya, arXiv 2008.04699, where it is the sum).
   O(nd); f < n/2. */
static draco_status dr_rules_cge(dr_rules_rule *rule, dr_rules_view *view, float *out) {
    double *squares = draco_rows_reserve(&rule->small, (size_t)view->n, sizeof *squares);
    if (!squares) return DRACO_E_MEMORY;
    draco_status status =
        draco_rows_distances_from(&rule->work, view->rows, view->n, view->measured, NULL, squares);
    if (status < 0) return status;
    dr_rules_take(squares, view->n, view->n - view->f, view->chosen);
    return dr_rules_average_chosen(rule, view, out);
}

/* ---- Centred clipping ----
   v <- v + (1/n) sum (x_i - v) min(1, tau / ||x_i - v||), a few times, beginning at the aggregate of the step
   before (Karimireddy, He, Jaggi, ICML 2021, arXiv 2012.10333); at first v is the coordinate-wise
   median. tau is options.radius, or without it the median of the ||x_i - v||, so that no scale must be known.
   O(nd) per iteration; f < n/2. */
static draco_status dr_rules_centred_clipping(dr_rules_rule *rule, dr_rules_view *view, float *out) {
    size_t n = (size_t)view->n, d = view->d;
    int rounds = rule->options.iterations > 0 ? rule->options.iterations : 3;
    double *squares = draco_rows_reserve(&rule->small, 3 * n + 1, sizeof *squares);
    const float **rows = draco_rows_reserve(&rule->workspace, n + 1, sizeof *rows);
    if (rule->center_floats != d) rule->center_floats = 0;
    float *center = draco_rows_reserve(&rule->center, d, sizeof *center);
    if (!squares || !rows || !center) return DRACO_E_MEMORY;
    double *sorted = squares + n, *weight = squares + 2 * n;
    draco_status status = DRACO_OK;
    if (rule->center_floats == 0) status = dr_rules_median(rule, view, center);
    memcpy(rows, view->rows, n * sizeof *rows);
    rows[n] = center;
    for (int round = 0; round < rounds && status >= 0; round++) {
        status = draco_rows_distances_from(&rule->work, view->rows, view->n, view->measured, center, squares);
        if (status < 0) break;
        memcpy(sorted, squares, n * sizeof *sorted);
        double median = sqrt(dr_rules_median_of(sorted, view->n));
        double tau = rule->options.radius > 0 ? rule->options.radius : median, rest = 1;
        for (size_t i = 0; i < n; i++) {
            double far = sqrt(squares[i]);
            weight[i] = (far > tau ? tau / far : 1.0) / (double)n;
            rest -= weight[i];
        }
        weight[n] = rest;
        draco_rows_combine(rows, view->n + 1, weight, d, 1.0, out);
        memcpy(center, out, d * sizeof *center);
        rule->center_floats = d;
    }
    return status;
}

/* ---- Zeno ----
   score(u) = f_r(x) - f_r(x - gamma u) - rho ||u||^2 on a batch of n_r samples that the server draws itself,
   here from its own stream of samples; the mean of the n - f rows of the highest scores (Xie, Koyejo, Gupta,
   ICML 2019, arXiv 1805.10032, whose b is f). u is a row divided by options.samples, x is in->params. The
   score is the paper's, with the sum of the squares; its authors' code takes their mean, so that a rho of that
   code is to be divided by d here. O(nd) and n + 1 losses of the model; f < n, as far as the server's batch
   can be trusted to tell good from bad. */
static draco_status dr_rules_loss(dr_rules_rule *rule, const float *params, uint64_t step, float *gradient,
                                  double *loss) {
    const draco_model *model = rule->options.model;
    size_t samples = rule->options.batch > 0 ? rule->options.batch : 128;
    draco_score score = {0, 0, 0};
    draco_status status;
    if (model->progress) {
        draco_batch batch = {rule->options.seed ^ 0x5a656e6fu, step, 0, samples, samples, 0, -1};
        status = model->gradient(model->ctx, rule->model_workspace, params, &batch, gradient);
        if (status >= 0) model->progress(model->ctx, gradient, samples, &score);
    } else {
        status = model->evaluate(model->ctx, rule->model_workspace, params, &score);
    }
    *loss = score.loss;
    return status < 0 ? DRACO_E_MODEL : DRACO_OK;
}

static draco_status dr_rules_zeno(dr_rules_rule *rule, dr_rules_view *view, float *out) {
    const draco_model *model = rule->options.model;
    size_t n = (size_t)view->n, d = view->d;
    double gamma = rule->options.gamma > 0 ? rule->options.gamma : 0.1;
    double rho = rule->options.rho > 0 ? rule->options.rho : gamma / 200;
    double scale = 1.0 / (double)(rule->options.samples > 0 ? rule->options.samples : 1), before;
    if (!view->params || d != model->dim) return DRACO_E_ARGUMENT;
    double *score = draco_rows_reserve(&rule->small, 2 * n, sizeof *score);
    float *moved = draco_rows_reserve(&rule->center, 2 * d, sizeof *moved), *gradient = moved + d;
    if (!score || !moved) return DRACO_E_MEMORY;
    dr_rules_view weights = *view;
    weights.measured = draco_rows_min(view->measured, model->parameters);
    draco_status status =
        draco_rows_distances_from(&rule->work, weights.rows, weights.n, weights.measured, NULL, score + n);
    if (status >= 0) status = dr_rules_loss(rule, view->params, view->step, gradient, &before);
    if (status < 0) return status;
    memcpy(moved, view->params, d * sizeof *moved);
    for (size_t i = 0; i < n; i++) {
        double after;
        for (size_t j = 0; j < model->parameters; j++)
            moved[j] = view->params[j] - (float)(gamma * scale) * view->rows[i][j];
        /* Least is best; a row so wild that the model gives up is worst. */
        status = dr_rules_loss(rule, moved, view->step, gradient, &after);
        score[i] = after - before + rho * scale * scale * score[n + i];
        if (status < 0 || !(score[i] < DBL_MAX)) score[i] = DBL_MAX;
    }
    dr_rules_take(score, view->n, view->n - view->f, view->chosen);
    return dr_rules_average_chosen(rule, view, out);
}

/* ---- The table ---- */

static int dr_rules_least_any(int f) {
    return f >= 0 ? 1 : 0;
}

static int dr_rules_least_1(int f) {
    return f + 1;
}

static int dr_rules_least_2(int f) {
    return 2 * f + 1;
}

static int dr_rules_least_krum(int f) {
    return 2 * f + 3;
}

static int dr_rules_least_bulyan(int f) {
    return 4 * f + 3;
}

static const dr_rules_entry *dr_rules_table(int i) {
    static const dr_rules_entry table[] = {
        {{"mean", "any n; withstands no liar", "plain average: what the attacks break", dr_rules_least_any,
          0},
         dr_rules_mean},
        {{"median", "n >= 2f + 1", "coordinate-wise median", dr_rules_least_2, 0}, dr_rules_median},
        {{"trimmed-mean", "n >= 2f + 1", "coordinate-wise mean without the f least and f largest values",
          dr_rules_least_2, 0},
         dr_rules_trimmed_mean},
        {{"meamed", "n >= 2f + 1", "coordinate-wise mean of the n - f values nearest to the median",
          dr_rules_least_2, 0},
         dr_rules_meamed},
        {{"phocas", "n >= 2f + 1", "coordinate-wise mean of the n - f values nearest to the trimmed mean",
          dr_rules_least_2, 0},
         dr_rules_phocas},
        {{"geometric-median", "n >= 2f + 1", "point of least sum of distances, by Weiszfeld's iteration",
          dr_rules_least_2, 0},
         dr_rules_geometric_median},
        {{"krum", "n >= 2f + 3", "the row nearest to its n - f - 2 neighbours", dr_rules_least_krum, 0},
         dr_rules_krum},
        {{"multi-krum", "n >= 2f + 3", "mean of the n - f - 2 rows with the best Krum scores",
          dr_rules_least_krum, 0},
         dr_rules_multi_krum},
        {{"bulyan", "n >= 4f + 3", "n - 2f rows by Krum, then a mean about their median",
          dr_rules_least_bulyan, 0},
         dr_rules_bulyan},
        {{"mda", "n >= 2f + 1, f <= 32", "mean of the n - f rows of least diameter", dr_rules_least_2, 0},
         dr_rules_mda},
        {{"centred-clipping", "n >= 2f + 1", "mean of the steps from the last aggregate, clipped",
          dr_rules_least_2, 0},
         dr_rules_centred_clipping},
        {{"cge", "n >= 2f + 1", "mean of the n - f rows of least norm", dr_rules_least_2, 0}, dr_rules_cge},
        {{"zeno", "n >= f + 1", "mean of the n - f rows that lower the server's own loss most",
          dr_rules_least_1, 1},
         dr_rules_zeno}};
    return i >= 0 && i < (int)(sizeof table / sizeof *table) ? table + i : NULL;
}

DRACO_RULES_API const draco_rule_info *draco_rule_list(int i) {
    const dr_rules_entry *entry = dr_rules_table(i);
    return entry ? &entry->info : NULL;
}

DRACO_RULES_API const draco_rule_info *draco_pre_list(int i) {
    static const draco_rule_info table[] = {
        {"detox", "groups / bucket as the rule asks, for f / (r/2 + 1) liars",
         "majority vote in each group of a repetition code, then the rule", NULL, 0},
        {"nnm", "as the rule asks",
         "nearest-neighbour mixing: each row becomes the mean of its n - f nearest", NULL, 0},
        {"bucketing", "n / bucket as the rule asks", "means of small random buckets take the rows' place",
         NULL, 0}};
    return i >= 0 && i < (int)(sizeof table / sizeof *table) ? table + i : NULL;
}

/* ---- Pre-aggregations: rows in, other rows out ---- */

/* Memory for `count` rows of d floats that a stage writes. */
static float **dr_rules_rows(dr_rules_rule *rule, int stage, int count, size_t d) {
    size_t stride = (d + 15) / 16 * 16;
    if (stride > SIZE_MAX / 8 / (size_t)count) return NULL;
    float **rows = draco_rows_reserve(&rule->table[stage], (size_t)count, sizeof *rows);
    float *memory = draco_rows_reserve(&rule->mixed[stage], (size_t)count * stride, sizeof *memory);
    if (!rows || !memory) return NULL;
    for (int i = 0; i < count; i++) rows[i] = memory + (size_t)i * stride;
    return rows;
}

/* Nearest-neighbour mixing: every row becomes the mean of its n - f nearest, itself among them (Allouah,
   Farhadkhani, Guerraoui, Gupta, Pinot, Stephan, AISTATS 2023, arXiv 2302.01772). O(n^2 d); f < n/2, and what
   the rule asks. */
static draco_status dr_rules_nnm(dr_rules_rule *rule, int stage, dr_rules_view *view) {
    int n = view->n, near = n - view->f;
    double *distances = dr_rules_matrix(rule, view);
    float **to = dr_rules_rows(rule, stage, n, view->d);
    int *lists = draco_rows_reserve(&rule->workspace, (size_t)n * (size_t)near, sizeof *lists);
    if (!distances || !to || !lists) return DRACO_E_MEMORY;
    for (int i = 0; i < n; i++) {
        int *list = lists + (size_t)i * (size_t)near;
        double *row = distances + (size_t)i * (size_t)n;
        row[i] = -1; /* itself first, also when others are equal */
        dr_rules_take(row, n, near, view->chosen);
        for (int j = 0; j < n; j++)
            if (view->chosen[j]) *list++ = j;
    }
    draco_rows_mix(view->rows, lists, n, near, view->d, to);
    view->rows = (const float *const *)to;
    return DRACO_OK;
}

/* Bucketing: the rows are shuffled and the mean of each `size` in turn takes their place (Karimireddy, He,
   Jaggi, ICLR 2022, arXiv 2006.09365). The shuffle depends on seed and step. O(nd); the rule must withstand f
   of the ceil(n / size) buckets. */
static draco_status dr_rules_bucketing(dr_rules_rule *rule, int stage, int size, dr_rules_view *view) {
    int n = view->n, buckets = (n + size - 1) / size;
    float **to = dr_rules_rows(rule, stage, buckets, view->d);
    int *order = draco_rows_reserve(&rule->workspace, (size_t)buckets * (size_t)size, sizeof *order);
    if (!to || !order) return DRACO_E_MEMORY;
    for (int i = 0; i < buckets * size; i++) order[i] = i < n ? i : -1;
    for (int i = n - 1; i > 0; i--) {
        uint32_t word[4];
        draco_random(rule->options.seed, view->step, (uint64_t)i, word);
        int j = (int)(word[0] % (uint32_t)(i + 1)), other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
    draco_rows_mix(view->rows, order, buckets, size, view->d, to);
    view->rows = (const float *const *)to;
    view->n = buckets;
    return DRACO_OK;
}

/* DETOX: the majority of each group of a repetition code stands for the group; then means of buckets of votes
   and a robust rule over these (Rajput, Wang, Charles, Papailiopoulos, NeurIPS 2019, arXiv 1907.12205). A
   group without a majority is left out. A false vote takes floor(r / 2) + 1 liars in one group, so the rule
   meets f / (floor(r / 2) + 1) of them at most. Reads the rows about once more. */
static draco_status dr_rules_vote(const draco_inputs *in, const float **votes, const void **ballots,
                                  draco_verdict *said, int *count, draco_verdict *verdicts) {
    *count = 0;
    for (int g = 0; g < in->code->groups; g++) {
        size_t members = 0, winner = 0;
        for (int i = 0; i < in->n; i++)
            if (draco_code_group(in->code, i) == g) ballots[members++] = in->rows[i];
        draco_status status =
            draco_vote_exact(ballots, members, in->d * sizeof(float), members / 2 + 1, &winner, said);
        if (status == DRACO_E_ARGUMENT) return status;
        if (status != DRACO_OK) continue;
        votes[(*count)++] = ballots[winner];
        members = 0;
        for (int i = 0; i < in->n; i++) {
            if (draco_code_group(in->code, i) != g) continue;
            if (in->rows[i]) verdicts[i] = said[members];
            members++;
        }
    }
    return DRACO_OK;
}

/* ---- One call ---- */

/* Are n rows (votes, when a vote comes first) enough for f liars? */
static draco_status dr_rules_limit(const dr_rules_rule *rule, int n, int f, char *text, size_t capacity) {
    int rows = n;
    for (int k = 0; k < rule->stages; k++) {
        int size = rule->options.bucket > 0 ? rule->options.bucket : rule->stage[k] == DR_RULES_VOTE ? 1 : 2;
        if (rule->stage[k] != DR_RULES_NNM) rows = (rows + size - 1) / size;
        if (rule->stage[k] == DR_RULES_NNM && rows < 2 * f + 1) {
            snprintf(text, capacity, "%s: %d rows to mix and f = %d; nnm needs 2f + 1 = %d", rule->name, rows,
                     f, 2 * f + 1);
            return DRACO_E_ARGUMENT;
        }
    }
    int least = rule->entry->info.least(f);
    if (rows < least) {
        snprintf(text, capacity, "%s: %d rows reach the rule and f = %d; it needs %s, that is %d rows",
                 rule->name, rows, f, rule->entry->info.limit, least);
        return DRACO_E_ARGUMENT;
    }
    if (rule->entry->core == dr_rules_mda && f > DR_RULES_MDA_F) {
        snprintf(text, capacity, "%s: f = %d; the search takes at most %d", rule->name, f, DR_RULES_MDA_F);
        return DRACO_E_ARGUMENT;
    }
    return DRACO_OK;
}

static int dr_rules_votes(const dr_rules_rule *rule) {
    return rule->stages > 0 && rule->stage[0] == DR_RULES_VOTE;
}

/* Liars that are left after the vote. */
static int dr_rules_liars(const dr_rules_rule *rule, const draco_code *code, int f) {
    return dr_rules_votes(rule) ? f / (code->r / 2 + 1) : f;
}

static draco_status dr_rules_check(const dr_rules_rule *rule, int n, int f, const draco_code *code,
                                   char *text, size_t capacity) {
    if (n < 1 || n > DRACO_MAX_WORKERS || f < 0) {
        snprintf(text, capacity, "%s: n = %d workers and f = %d liars make no sense", rule->name, n, f);
        return DRACO_E_ARGUMENT;
    }
    if (code && (code->scheme != DRACO_REPETITION || code->n != n)) {
        snprintf(text, capacity,
                 "%s: works on plain gradients of %d workers, not on messages of a cyclic code", rule->name,
                 n);
        return DRACO_E_ARGUMENT;
    }
    if (dr_rules_votes(rule) && !code) {
        snprintf(text, capacity, "%s: votes need the groups of a repetition code", rule->name);
        return DRACO_E_ARGUMENT;
    }
    int rows = dr_rules_votes(rule) ? code->groups : n;
    return dr_rules_limit(rule, rows, dr_rules_liars(rule, code, f), text, capacity);
}

static void dr_rules_count(const draco_verdict *verdicts, int n, draco_report *report) {
    memset(report, 0, sizeof *report);
    report->group = -1;
    draco_report_count(verdicts, n, report);
    report->present = n - report->absent - report->malformed;
}

/* Memory of one call that depends on n alone. */
typedef struct dr_rules_call {
    const float **rows;
    const void **ballots;
    draco_verdict *verdicts, *said;
    int *worker; /* of each row that is left; detox: meaningless */
    unsigned char *chosen;
} dr_rules_call;

static int dr_rules_call_open(dr_rules_rule *rule, int n, dr_rules_call *call) {
    size_t un = (size_t)n;
    unsigned char *memory =
        draco_rows_reserve(&rule->call, un, 2 * sizeof(void *) + 2 * sizeof(draco_verdict) + sizeof(int) + 1);
    if (!memory) return 0;
    call->rows = (const float **)(void *)memory;
    call->ballots = (const void **)(void *)(memory + un * sizeof(void *));
    call->verdicts = (draco_verdict *)(void *)(memory + 2 * un * sizeof(void *));
    call->said = call->verdicts + n;
    call->worker = (int *)(void *)(call->said + n);
    call->chosen = (unsigned char *)(void *)(call->worker + n);
    return 1;
}

/* The rows that are there: votes, or what came in, without those that are not finite. */
static draco_status dr_rules_gather(dr_rules_rule *rule, const draco_inputs *in, const draco_verdict *known,
                                    dr_rules_call *call, int *count) {
    *count = 0;
    for (int i = 0; i < in->n; i++) {
        draco_verdict missing = known && known[i] == DRACO_MALFORMED ? DRACO_MALFORMED : DRACO_ABSENT;
        call->verdicts[i] = in->rows[i] ? DRACO_UNDECIDED : missing;
        if (!in->rows[i]) continue;
        call->worker[*count] = i;
        call->rows[(*count)++] = in->rows[i];
    }
    int votes = dr_rules_votes(rule);
    draco_status status = DRACO_OK;
    if (votes) status = dr_rules_vote(in, call->rows, call->ballots, call->said, count, call->verdicts);
    if (status < 0 || *count == 0) return status;
    if (rule->entry->core == dr_rules_mean && rule->stages == 0) return DRACO_OK;
    status = draco_rows_finite(&rule->work, call->rows, *count, in->d, call->chosen);
    int left = 0;
    for (int k = 0; k < *count && status >= 0; k++) {
        if (!votes && !call->chosen[k]) call->verdicts[call->worker[k]] = DRACO_MALFORMED;
        if (!call->chosen[k]) continue;
        call->worker[left] = call->worker[k];
        call->rows[left++] = call->rows[k];
    }
    *count = left;
    return status;
}

static draco_status dr_rules_stages(dr_rules_rule *rule, dr_rules_view *view) {
    for (int k = 0; k < rule->stages; k++) {
        draco_status status = DRACO_OK;
        int bucket = rule->options.bucket;
        if (rule->stage[k] == DR_RULES_NNM)
            status = dr_rules_nnm(rule, k, view);
        else if (rule->stage[k] == DR_RULES_BUCKETS)
            status = dr_rules_bucketing(rule, k, bucket > 0 ? bucket : 2, view);
        else if (bucket > 1)
            status = dr_rules_bucketing(rule, k, bucket, view);
        if (status < 0) return status;
    }
    return DRACO_OK;
}

static draco_status dr_rules_aggregate(void *ctx, const draco_inputs *in, float *sum, draco_verdict *verdicts,
                                       draco_report *report) {
    dr_rules_rule *rule = ctx;
    dr_rules_call call;
    int count = 0;
    rule->text[0] = 0;
    draco_status status = dr_rules_check(rule, in->n, in->f, in->code, rule->text, sizeof rule->text);
    if (status < 0) return status;
    if (!dr_rules_call_open(rule, in->n, &call)) return DRACO_E_MEMORY;
    status = dr_rules_gather(rule, in, verdicts, &call, &count);
    if (status < 0) return status;
    int f = dr_rules_liars(rule, in->code, in->f);
    if (count == 0 || dr_rules_limit(rule, count, f, rule->text, sizeof rule->text) < 0) {
        if (count == 0) snprintf(rule->text, sizeof rule->text, "%s: no usable row is there", rule->name);
        return DRACO_E_TOO_MANY_MISSING;
    }
    size_t measured = rule->options.measured > 0 ? draco_rows_min(rule->options.measured, in->d) : in->d;
    dr_rules_view view = {count, call.rows, in->d, measured, f, in->step, in->params, call.chosen, 0};
    status = dr_rules_stages(rule, &view);
    if (status >= 0) status = rule->entry->core(rule, &view, sum);
    if (status < 0) return status;
    float parts = (float)(in->code ? in->code->parts : in->n);
    for (size_t j = 0; j < in->d; j++) sum[j] *= parts;
    for (int k = 0; k < count && view.names && rule->stages == 0; k++)
        if (call.chosen[k]) call.verdicts[call.worker[k]] = DRACO_AGREES;
    if (verdicts) memcpy(verdicts, call.verdicts, (size_t)in->n * sizeof *verdicts);
    if (report) dr_rules_count(call.verdicts, in->n, report);
    return DRACO_OK;
}

/* ---- Making one ---- */

/* Take a leading "nnm+", "bucketing+" or "detox+" off the name. */
static const char *dr_rules_prefix(dr_rules_rule *rule, const char *name) {
    static const dr_rules_stage stage[] = {DR_RULES_VOTE, DR_RULES_NNM, DR_RULES_BUCKETS};
    for (int i = 0; draco_pre_list(i); i++) {
        size_t length = strlen(draco_pre_list(i)->name);
        if (strncmp(name, draco_pre_list(i)->name, length) != 0) continue;
        if (name[length] != '+' && !(i == 0 && name[length] == 0)) continue;
        if (rule->stages == DR_RULES_STAGES || (i == 0 && rule->stages > 0)) return NULL;
        rule->stage[rule->stages++] = stage[i];
        return name[length] ? name + length + 1 : "geometric-median";
    }
    return name;
}

static draco_status dr_rules_parse(dr_rules_rule *rule, const char *name) {
    const char *rest = name, *before = NULL;
    while (rest && rest != before) {
        before = rest;
        rest = dr_rules_prefix(rule, rest);
    }
    if (!rest) return DRACO_E_ARGUMENT;
    for (int i = 0; dr_rules_table(i); i++)
        if (strcmp(rest, dr_rules_table(i)->info.name) == 0) rule->entry = dr_rules_table(i);
    return rule->entry ? DRACO_OK : DRACO_E_ARGUMENT;
}

static draco_status dr_rules_options_check(const dr_rules_rule *rule) {
    const draco_rule_options *o = &rule->options;
    if (!(o->tolerance >= 0) || o->iterations < 0 || o->select < 0 || !(o->radius >= 0) || o->bucket < 0 ||
        o->bucket > DRACO_MAX_WORKERS || !(o->gamma >= 0) || !(o->rho >= 0))
        return DRACO_E_ARGUMENT;
    if (rule->entry->info.needs_model &&
        (!o->model || (!o->model->evaluate && !(o->model->progress && o->model->gradient))))
        return DRACO_E_ARGUMENT;
    return DRACO_OK;
}

DRACO_RULES_API draco_status draco_rule_make(draco_rule *rule, const char *name,
                                             const draco_rule_options *options) {
    static const draco_rule nothing;
    *rule = nothing;
    if (!name || strlen(name) >= sizeof((dr_rules_rule *)0)->name) return DRACO_E_ARGUMENT;
    dr_rules_rule *ctx = calloc(1, sizeof *ctx);
    if (!ctx) return DRACO_E_MEMORY;
    memcpy(ctx->name, name, strlen(name) + 1);
    if (options) ctx->options = *options;
    draco_status status = dr_rules_parse(ctx, name);
    if (status >= 0) status = dr_rules_options_check(ctx);
    const draco_model *model = ctx->options.model;
    if (status >= 0 && ctx->entry->info.needs_model && model->workspace_new)
        status = model->workspace_new(model->ctx, &ctx->model_workspace);
    if (status < 0) {
        free(ctx);
        return status;
    }
    if (!(ctx->options.tolerance > 0)) ctx->options.tolerance = 1e-5;
    rule->size = sizeof *rule;
    rule->name = ctx->name;
    rule->ctx = ctx;
    rule->aggregate = dr_rules_aggregate;
    return DRACO_OK;
}

DRACO_RULES_API void draco_rule_free(draco_rule *rule) {
    static const draco_rule nothing;
    dr_rules_rule *ctx = rule->ctx;
    *rule = nothing;
    if (!ctx) return;
    const draco_model *model = ctx->options.model;
    if (ctx->model_workspace && model->workspace_free)
        model->workspace_free(model->ctx, ctx->model_workspace);
    draco_rows_buffer *buffers[] = {&ctx->distances, &ctx->small, &ctx->center, &ctx->workspace, &ctx->call};
    draco_rows_release(&ctx->work);
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) draco_rows_drop(buffers[i]);
    for (int k = 0; k < DR_RULES_STAGES; k++) {
        draco_rows_drop(&ctx->mixed[k]);
        draco_rows_drop(&ctx->table[k]);
    }
    free(ctx);
}

DRACO_RULES_API draco_status draco_rule_check(const draco_rule *rule, int n, int f, const draco_code *code,
                                              char *text, size_t capacity) {
    char line[256] = "";
    draco_status status = dr_rules_check(rule->ctx, n, f, code, line, sizeof line);
    size_t length = draco_rows_min(strlen(line), capacity ? capacity - 1 : 0);
    if (text && capacity > 0) {
        memcpy(text, line, length);
        text[length] = 0;
    }
    return status;
}

DRACO_RULES_API const char *draco_rule_explain(const draco_rule *rule) {
    const dr_rules_rule *ctx = rule->ctx;
    return ctx ? ctx->text : "";
}

DRACO_RULES_API int draco_rule_iterations(const draco_rule *rule, int *over_rows) {
    const dr_rules_rule *ctx = rule->ctx;
    if (over_rows) *over_rows = ctx->over_rows;
    return ctx->iterations;
}

DRACO_RULES_API draco_status draco_rule_distances(const float *const *rows, int n, size_t d,
                                                  double *distances) {
    draco_rows_work work = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    if (n < 1 || d < 1) return DRACO_E_ARGUMENT;
    draco_status status = draco_rows_distances(&work, rows, n, d, distances);
    draco_rows_release(&work);
    return status;
}

#endif /* DRACO_RULES_IMPLEMENTATION */
