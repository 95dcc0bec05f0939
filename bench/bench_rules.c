/* Seconds at the server per step of every rule, as a multiple of reading the messages once in the same run.

   bench_rules            (n, d) = (15, 1.03 M) and (45, 1.03 M)
   bench_rules --large    (45, 11.2 M) too: 5 GB of memory and some minutes
   bench_rules --quick    small shapes: does it run at all? */
#define DRACO_IMPLEMENTATION
#define DRACO_RULES_IMPLEMENTATION
#include "baselines/draco_rules.h"

#include <omp.h>
#include <time.h>

#ifdef DRACO_WITH_ONEDNN
#include <dnnl.h>
#define WITH_SGEMM 1
#endif

#define MOST 45

typedef struct shape {
    int n, f, runs;
    size_t d;
    float *memory, *sum;
    const float *row[MOST];
    double read; /* seconds to read all rows once */
} shape;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef int action(void *ctx);

/* Median seconds of some runs after one that warms up; < 0: the action failed. */
static double seconds_of(action *act, void *ctx, int runs) {
    double took[16];
    if (act(ctx) < 0) return -1;
    for (int i = 0; i < runs; i++) {
        double begin = now();
        if (act(ctx) < 0) return -1;
        took[i] = now() - begin;
    }
    qsort(took, (size_t)runs, sizeof *took, ascending);
    return took[runs / 2];
}

static void line(const shape *s, const char *what, double seconds, const char *note) {
    if (seconds < 0)
        printf("  %-34s     failed\n", what);
    else
        printf("  %-34s %9.2f ms %7.2f x  %s\n", what, 1e3 * seconds, seconds / s->read, note);
    fflush(stdout);
}

/* ---- Rows ---- */

/* Distinct rows about a common vector, the first f reversed and 100 times as large. */
static void fill(shape *s) {
#pragma omp parallel for
    for (int i = 0; i < s->n; i++)
        for (size_t j = 0; j < s->d; j++) {
            uint32_t word[4];
            float *row = s->memory + (size_t)i * s->d;
            if (j % 4 == 0) {
                draco_random(7, (uint64_t)i, j / 4, word);
                for (size_t k = 0; k < 4 && j + k < s->d; k++)
                    row[j + k] = (i < s->f ? -100.0f : 1.0f) * (0.5f + (float)(word[k] >> 8) * 0x1p-24f);
            }
        }
}

static int read_rows(void *ctx) {
    shape *s = ctx;
    uint64_t total = 0;
    const uint64_t *words = (const uint64_t *)(const void *)s->memory;
    size_t count = (size_t)s->n * s->d / 2;
#pragma omp parallel for reduction(+ : total)
    for (size_t j = 0; j < count; j++) total += words[j];
    return total == 42 ? 1 : 0; /* used, so that the loop stays */
}

/* ---- Rules ---- */

typedef struct rule_run {
    shape *s;
    draco_rule rule;
    const draco_code *code;
    const float *params;
} rule_run;

static int run_rule(void *ctx) {
    rule_run *r = ctx;
    draco_verdict verdicts[MOST] = {DRACO_UNDECIDED};
    draco_report report;
    draco_inputs in = {r->s->n, r->s->d, r->s->row, r->code, 1, r->params, r->s->f};
    return r->rule.aggregate(r->rule.ctx, &in, r->s->sum, verdicts, &report);
}

static void bench_rule(shape *s, const char *what, const char *name, const draco_rule_options *options,
                       const draco_code *code, const float *params) {
    rule_run r = {.s = s, .code = code, .params = params};
    char note[80] = "";
    int over_rows;
    if (draco_rule_make(&r.rule, name, options) < 0) return;
    if (draco_rule_check(&r.rule, s->n, s->f, code, note, sizeof note) < 0) {
        printf("  %-34s %s\n", what, note);
    } else {
        double seconds = seconds_of(run_rule, &r, s->runs);
        if (strstr(name, "geometric-median")) {
            int iterations = draco_rule_iterations(&r.rule, &over_rows);
            snprintf(note, sizeof note, "%d iterations, %d of them over the rows", iterations, over_rows);
        }
        line(s, what, seconds, note);
    }
    draco_rule_free(&r.rule);
}

/* A model whose loss costs one pass over the parameters: what Zeno costs without its model. */
static draco_status bowl(void *ctx, void *workspace, const float *params, draco_score *score) {
    const shape *s = ctx;
    (void)workspace;
    score->loss = 0;
    for (size_t j = 0; j < s->d; j++) score->loss += (double)params[j] * (double)params[j];
    return DRACO_OK;
}

static void bench_rules(shape *s) {
    draco_code code = {.n = s->n};
    draco_model model = {.size = sizeof model, .ctx = s, .dim = s->d, .parameters = s->d, .evaluate = bowl};
    draco_rule_options zeno = {.model = &model};
    float *params = calloc(s->d, sizeof *params);
    if (!params || draco_code_init(&code) < 0) return;
    for (int i = 0; draco_rule_list(i); i++) {
        const draco_rule_info *info = draco_rule_list(i);
        if (strcmp(info->name, "geometric-median") == 0) continue; /* four ways below */
        bench_rule(s, info->needs_model ? "zeno (model: one pass)" : info->name, info->name, &zeno, &code,
                   params);
    }
    draco_rule_options tight = {.tolerance = 1e-6, .iterations = 1000}, loose = {.tolerance = 1e-2};
    bench_rule(s, "geometric median, tol 1e-6", "geometric-median", &tight, &code, NULL);
    bench_rule(s, "geometric median, tol 1e-2", "geometric-median", &loose, &code, NULL);
    tight.streaming = loose.streaming = 1;
    bench_rule(s, "  classical, tol 1e-6", "geometric-median", &tight, &code, NULL);
    bench_rule(s, "  classical, tol 1e-2", "geometric-median", &loose, &code, NULL);
    bench_rule(s, "nnm+trimmed-mean", "nnm+trimmed-mean", NULL, &code, NULL);
    bench_rule(s, "bucketing+median", "bucketing+median", NULL, &code, NULL);
    free(params);
}

/* ---- Distances: differences of the rows against inner products by the BLAS ---- */

static int run_distances(void *ctx) {
    shape *s = ctx;
    double distances[MOST * MOST];
    return draco_rule_distances(s->row, s->n, s->d, distances);
}

#ifdef WITH_SGEMM
static int run_gram(void *ctx) {
    shape *s = ctx;
    float gram[MOST * MOST];
    dnnl_dim_t n = s->n, d = (dnnl_dim_t)s->d;
    return dnnl_sgemm('N', 'T', n, n, d, 1.0f, s->memory, d, s->memory, d, 0.0f, gram, n) == dnnl_success
               ? 0
               : -1;
}
#endif

static void bench_distances(shape *s) {
    line(s, "all distances, by differences", seconds_of(run_distances, s, s->runs), "");
#ifdef WITH_SGEMM
    line(s, "all inner products, by sgemm", seconds_of(run_gram, s, s->runs), "loses small differences");
#endif
}

/* ---- DRACO: sketch, locate, combine ---- */

typedef struct decode_run {
    shape *s;
    const draco_code *code;
    const void *messages[MOST];
    const draco_sketch *sketch[MOST];
    unsigned char *sketches;
    draco_key *key;
    draco_work *work;
    draco_weights *weights;
    uint8_t *exponents;
    size_t sketch_bytes;
} decode_run;

static int run_decode(void *ctx) {
    decode_run *r = ctx;
    shape *s = r->s;
    draco_verdict verdicts[MOST] = {DRACO_UNDECIDED};
    draco_report report;
    size_t bytes = draco_message_bytes(r->code, s->d), range = 16 * DRACO_BLOCK,
           ranges = (s->d + range - 1) / range;
    int failed = 0;
#pragma omp parallel for schedule(dynamic, 1) reduction(| : failed)
    for (int i = 0; i < s->n; i++) {
        draco_sketch *sketch = (draco_sketch *)(r->sketches + (size_t)i * r->sketch_bytes);
        failed |= draco_sketch_begin(r->code, 0, sketch) < 0;
        failed |= draco_sketch_add(r->code, r->key, sketch, r->messages[i], bytes) < 0;
    }
    draco_status status =
        draco_locate(r->code, r->key, s->d, r->sketch, r->work, r->weights, verdicts, &report);
    if (failed || status < 0 || report.blamed != s->f) return -1;
#pragma omp parallel for reduction(| : failed)
    for (size_t k = 0; k < ranges; k++) {
        size_t first = k * range, count = s->d - first < range ? s->d - first : range;
        failed |= draco_combine(r->code, r->weights, r->messages, s->d, first, count, r->exponents,
                                s->sum + first) < 0;
    }
    return failed ? -1 : 0;
}

/* The messages of a code in the memory of the rows; liars send theirs reversed. part: d floats of scratch. */
static int encode_all(shape *s, const draco_code *code, const uint8_t *exponents) {
    int failed = 0;
#pragma omp parallel for schedule(dynamic, 1) reduction(| : failed)
    for (int i = 0; i < s->n; i++) {
        float *message = s->memory + (size_t)i * (s->d + s->d % 2), *part = malloc(s->d * sizeof *part);
        draco_encoding *encoding = malloc(draco_encoding_bytes(code, s->d));
        failed |= !encoding || draco_encode_init(code, s->d, encoding) < 0 ||
                  draco_encode_begin(code, s->d, encoding) < 0;
        for (int l = 0; part && encoding && l < draco_code_load(code, i); l++) {
            int k = draco_code_part(code, i, l);
            uint32_t word[4] = {0};
            for (size_t j = 0; j < s->d; j++) {
                if (j % 4 == 0) draco_random(8, (uint64_t)k, j / 4, word);
                part[j] = (float)(word[j % 4] >> 8) * 0x1p-24f;
            }
            failed |= draco_encode_add(code, i, k, part, s->d, exponents, encoding) < 0;
        }
        failed |= !encoding || draco_encode_end(code, s->d, encoding, message) < 0;
        free(encoding);
        for (size_t j = 0; j < s->d && i < s->f; j++) {
            uint32_t residue;
            memcpy(&residue, message + j, 4);
            residue = (2147483647u - residue) % 2147483647u;
            if (exponents)
                memcpy(message + j, &residue, 4);
            else
                message[j] *= -100.0f;
        }
        failed |= part == NULL;
        free(part);
    }
    return failed ? -1 : 0;
}

static void bench_decode(shape *s, const char *what, draco_scheme scheme, draco_field field) {
    draco_code code = {.scheme = scheme, .field = field, .n = s->n, .s = s->f};
    draco_seed seed = {{3}};
    if (draco_code_init(&code) < 0) return;
    decode_run r = {.s = s, .code = &code, .sketch_bytes = (draco_sketch_bytes(&code) + 63) / 64 * 64};
    r.key = aligned_alloc(64, (draco_sketch_key_bytes(&code) + 63) / 64 * 64);
    r.sketches = aligned_alloc(64, (size_t)s->n * r.sketch_bytes);
    r.work = aligned_alloc(64, (draco_locate_work_bytes(&code) + 63) / 64 * 64);
    r.weights = aligned_alloc(64, (draco_weights_bytes(&code) + 63) / 64 * 64);
    uint8_t *exponents = malloc(draco_exponent_bytes(s->d));
    float *ones = malloc(s->d * sizeof *ones);
    for (size_t j = 0; ones && j < s->d; j++) ones[j] = 1;
    int prime = scheme == DRACO_CYCLIC && field == DRACO_FIELD_PRIME;
    if (r.key && r.sketches && r.work && r.weights && exponents && ones &&
        (!prime || draco_exponents_of(&code, ones, s->d, exponents) >= 0) &&
        draco_sketch_key_init(&code, &seed, r.key) >= 0 &&
        encode_all(s, &code, prime ? exponents : NULL) >= 0) {
        r.exponents = prime ? exponents : NULL;
        for (int i = 0; i < s->n; i++) {
            r.messages[i] = s->memory + (size_t)i * (s->d + s->d % 2);
            r.sketch[i] = (const draco_sketch *)(r.sketches + (size_t)i * r.sketch_bytes);
        }
        line(s, what, seconds_of(run_decode, &r, s->runs), "names all liars");
    } else {
        line(s, what, -1, "");
    }
    free(r.key);
    free(r.sketches);
    free(r.work);
    free(r.weights);
    free(exponents);
    free(ones);
}

/* DETOX with r = 3: the rows of a group are equal, but for the liars'. */
static void bench_detox(shape *s) {
    draco_code code = {.n = s->n, .s = 1};
    if (draco_code_init(&code) < 0) return;
    fill(s);
    for (int i = s->n - 1; i >= s->f; i--)
        for (int k = s->f; k < i; k++)
            if (draco_code_group(&code, k) == draco_code_group(&code, i)) {
                memcpy(s->memory + (size_t)i * s->d, s->memory + (size_t)k * s->d, s->d * sizeof(float));
                break;
            }
    bench_rule(s, "detox+geometric-median, r = 3", "detox+geometric-median", NULL, &code, NULL);
    bench_rule(s, "detox+median, r = 3", "detox+median", NULL, &code, NULL);
}

static void bench_shape(int n, int f, size_t d, int runs) {
    shape s = {.n = n, .f = f, .d = d, .runs = runs};
    s.memory = aligned_alloc(64, ((size_t)n * (d + d % 2) * sizeof(float) + 63) / 64 * 64);
    s.sum = malloc(d * sizeof *s.sum);
    if (!s.memory || !s.sum) {
        printf("no memory for %d x %zu\n", n, d);
        free(s.memory);
        free(s.sum);
        return;
    }
    for (int i = 0; i < n; i++) s.row[i] = s.memory + (size_t)i * d;
    fill(&s);
    s.read = seconds_of(read_rows, &s, runs);
    double bytes = 4.0 * n * (double)d;
    printf("\nn = %d, d = %zu, f = %d, %d threads: %.0f MB, read once in %.2f ms (%.1f GB/s)\n", n, d, f,
           omp_get_max_threads(), bytes / 1e6, 1e3 * s.read, bytes / 1e9 / s.read);
    bench_rules(&s);
    bench_distances(&s);
    bench_detox(&s);
    bench_decode(&s, "DRACO repetition", DRACO_REPETITION, DRACO_FIELD_COMPLEX);
    bench_decode(&s, "DRACO cyclic, complex", DRACO_CYCLIC, DRACO_FIELD_COMPLEX);
    bench_decode(&s, "DRACO cyclic, prime", DRACO_CYCLIC, DRACO_FIELD_PRIME);
    free(s.memory);
    free(s.sum);
}

int main(int argc, char **argv) {
    int large = argc > 1 && strcmp(argv[1], "--large") == 0,
        quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    if (argc > 2 || (argc == 2 && !large && !quick)) {
        fprintf(stderr, "usage: bench_rules [--large|--quick]\n");
        return 2;
    }
    if (quick) {
        bench_shape(15, 3, 20000, 3);
        return 0;
    }
    bench_shape(15, 3, 1033510, 7);
    bench_shape(45, 5, 1033510, 5);
    if (large) bench_shape(45, 5, 11173962, 3);
    return 0;
}
