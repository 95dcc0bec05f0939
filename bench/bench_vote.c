/* The votes next to reading the same bytes once, and next to what they replace.
 *
 *     bench_vote [--workers 45] [--groups 4] [--liars 5] [--floats 11200000] [--rounds 5]
 *
 * Every row stands in memory of its own. Within a group all honest rows are equal; between the groups they
 * differ as gradients of different samples do. The liars send -100 times the truth. All measurements of a
 * round follow each other on the same data, and the medians over the rounds are printed. */
#include <getopt.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRACO_VOTE_IMPLEMENTATION
#include "draco_vote.h"

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDE
#endif

typedef struct setup {
    size_t n, groups, liars, d;
    int rounds, threads;
    size_t *first;  /* groups + 1: group g is rows first[g] .. first[g + 1] - 1 */
    float **rows;   /* n x d */
    float *scratch; /* 2 x d, for the geometric median */
    volatile uint64_t sink;
} setup;

/* ---- Reading once ---- */

WIDE static uint64_t sum_words(const uint64_t *words, size_t count) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += words[i];
    return sum;
}

/* Rows are split among the threads in whole blocks, so that each thread takes a range of every row. */
static void range_of(const setup *s, int thread, size_t *from, size_t *to) {
    size_t blocks = s->d * sizeof(float) / DRACO_FINGERPRINT_BLOCK, threads = (size_t)s->threads;
    *from = blocks * (size_t)thread / threads * DRACO_FINGERPRINT_BLOCK;
    *to = thread + 1 == s->threads ? s->d * sizeof(float)
                                   : blocks * ((size_t)thread + 1) / threads * DRACO_FINGERPRINT_BLOCK;
}

static void read_all(setup *s) {
#pragma omp parallel num_threads(s->threads)
    {
        uint64_t sum = 0;
        size_t from, to;
        range_of(s, omp_get_thread_num(), &from, &to);
        for (size_t i = 0; i < s->n; i++)
            sum +=
                sum_words((const uint64_t *)(const void *)((const char *)s->rows[i] + from), (to - from) / 8);
#pragma omp atomic
        s->sink += sum;
    }
}

/* ---- Votes ---- */

static void complain(const setup *s, const char *what, const draco_verdict *verdicts) {
    size_t blamed = 0;
    for (size_t i = 0; i < s->n; i++) blamed += verdicts[i] == DRACO_BLAMED;
    if (blamed == s->liars) return;
    fprintf(stderr, "%s blamed %zu workers, not %zu\n", what, blamed, s->liars);
    exit(1);
}

static void fingerprint_rows(setup *s, uint8_t (*values)[DRACO_FINGERPRINT_BYTES]) {
    static draco_fingerprint_key key;
    draco_seed seed;
    draco_fingerprint *parts = malloc(s->n * (size_t)s->threads * sizeof *parts);
    if (!parts || draco_seed_random(&seed)) exit(1);
    draco_fingerprint_key_init(&key, &seed);
#pragma omp parallel num_threads(s->threads)
    {
        size_t from, to, thread = (size_t)omp_get_thread_num();
        range_of(s, (int)thread, &from, &to);
        for (size_t i = 0; i < s->n; i++) {
            draco_fingerprint *f = &parts[i * (size_t)s->threads + thread];
            draco_fingerprint_begin(f, from);
            draco_fingerprint_add(f, &key, (const char *)s->rows[i] + from, to - from);
        }
    }
    for (size_t i = 0; i < s->n; i++) {
        draco_fingerprint *f = &parts[i * (size_t)s->threads];
        for (int t = 1; t < s->threads; t++) draco_fingerprint_merge(f, &key, f + t);
        draco_fingerprint_finish(f, &key, values[i]);
    }
    free(parts);
}

static void vote_fingerprints(setup *s) {
    uint8_t(*values)[DRACO_FINGERPRINT_BYTES] = malloc(s->n * sizeof *values);
    draco_verdict *verdicts = malloc(s->n * sizeof *verdicts);
    void *memory = malloc(draco_tally_bytes(s->n, sizeof *values));
    if (!values || !verdicts || !memory) exit(1);
    fingerprint_rows(s, values);
    for (size_t g = 0; g < s->groups; g++) {
        draco_tally tally;
        size_t first = s->first[g], members = s->first[g + 1] - first;
        draco_tally_open(&tally, members, sizeof *values, s->liars + 1, memory);
        for (size_t i = 0; i < members; i++) draco_tally_cast(&tally, i, values[first + i]);
        if (draco_tally_close(&tally, NULL, verdicts + first)) exit(1);
    }
    complain(s, "fingerprints", verdicts);
    free(memory);
    free(verdicts);
    free(values);
}

static void vote_exact(setup *s) {
    draco_verdict *verdicts = malloc(s->n * sizeof *verdicts);
    if (!verdicts) exit(1);
#pragma omp parallel for num_threads(s->threads) schedule(dynamic)
    for (size_t g = 0; g < s->groups; g++) {
        size_t first = s->first[g], members = s->first[g + 1] - first;
        if (draco_vote_exact((const void *const *)(s->rows + first), members, s->d * sizeof(float),
                             s->liars + 1, NULL, verdicts + first))
            exit(1);
    }
    complain(s, "exact vote", verdicts);
    free(verdicts);
}

static void vote_tolerant(setup *s) {
    draco_verdict *verdicts = malloc(s->n * sizeof *verdicts);
    if (!verdicts) exit(1);
#pragma omp parallel for num_threads(s->threads) schedule(dynamic)
    for (size_t g = 0; g < s->groups; g++) {
        size_t first = s->first[g], members = s->first[g + 1] - first;
        if (draco_vote_tolerant((const float *const *)(s->rows + first), members, s->d, 1e-6f, 1e-5f,
                                s->liars + 1, NULL, verdicts + first))
            exit(1);
    }
    complain(s, "tolerant vote", verdicts);
    free(verdicts);
}

/* Boyer and Moore: a pass that pairs off differing rows leaves one candidate, a second pass counts it. */
static void vote_boyer_moore(setup *s) {
    size_t bytes = s->d * sizeof(float), blamed = 0;
#pragma omp parallel for num_threads(s->threads) schedule(dynamic) reduction(+ : blamed)
    for (size_t g = 0; g < s->groups; g++) {
        size_t candidate = s->first[g], lead = 0, equal = 0;
        for (size_t i = s->first[g]; i < s->first[g + 1]; i++) {
            if (lead == 0) candidate = i;
            lead += !memcmp(s->rows[candidate], s->rows[i], bytes) ? 1u : (size_t)-1;
        }
        for (size_t i = s->first[g]; i < s->first[g + 1]; i++)
            equal += !memcmp(s->rows[candidate], s->rows[i], bytes);
        blamed += s->first[g + 1] - s->first[g] - equal;
    }
    if (blamed != s->liars) exit(1);
}

/* ---- Geometric median: Weiszfeld's iteration, plainly ---- */

/* next = sum of weight_i row_i */
static void weighted_mean(setup *s, const double *weight, float *next) {
#pragma omp parallel for num_threads(s->threads)
    for (size_t block = 0; block < s->d; block += 4096) {
        size_t count = s->d - block < 4096 ? s->d - block : 4096;
        float sum[4096] = {0};
        for (size_t i = 0; i < s->n; i++) {
            const float *row = s->rows[i] + block;
            float w = (float)weight[i];
            for (size_t j = 0; j < count; j++) sum[j] += w * row[j];
        }
        memcpy(next + block, sum, count * sizeof *sum);
    }
}

static double distance(setup *s, const float *a, const float *b) {
    double sum = 0;
#pragma omp parallel for num_threads(s->threads) reduction(+ : sum)
    for (size_t block = 0; block < s->d; block += 1024) {
        size_t count = s->d - block < 1024 ? s->d - block : 1024;
        float lane[16] = {0};
        for (size_t j = 0; j + 16 <= count; j += 16) {
            for (size_t k = 0; k < 16; k++) {
                float gap = a[block + j + k] - b[block + j + k];
                lane[k] += gap * gap;
            }
        }
        for (size_t k = 0; k < 16; k++) sum += (double)lane[k];
    }
    return sqrt(sum);
}

/* From the mean, until a step is shorter than 1e-3 of the harmonic mean of the distances: a loose rule that
 * favours the median. Returns the iterations. */
static int geometric_median(setup *s) {
    double *weight = malloc(s->n * sizeof *weight);
    float *z = s->scratch, *next = s->scratch + s->d;
    int iterations = 0;
    if (!weight) exit(1);
    for (size_t i = 0; i < s->n; i++) weight[i] = 1.0 / (double)s->n;
    weighted_mean(s, weight, z);
    for (; iterations < 100;) {
        double sum = 0, step;
        for (size_t i = 0; i < s->n; i++) sum += weight[i] = 1 / fmax(distance(s, s->rows[i], z), 1e-9);
        for (size_t i = 0; i < s->n; i++) weight[i] /= sum;
        weighted_mean(s, weight, next);
        iterations++;
        step = distance(s, z, next);
        float *swap = z;
        z = next;
        next = swap;
        if (step <= 1e-3 * (double)s->n / sum) break;
    }
    free(weight);
    return iterations;
}

/* ---- Set-up and tables ---- */

/* Noise of mean 0 from splitmix64, the sum of four 16-bit numbers. */
static float noise(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return (float)((x & 0xffff) + (x >> 16 & 0xffff) + (x >> 32 & 0xffff) + (x >> 48)) / 65536.0f - 2.0f;
}

static int lies(const setup *s, size_t worker) {
    size_t every = s->n / (s->liars ? s->liars : 1);
    return s->liars > 0 && worker % every == 0 && worker / every < s->liars;
}

static void fill(setup *s) {
    s->first = malloc((s->groups + 1) * sizeof *s->first);
    s->rows = malloc(s->n * sizeof *s->rows);
    s->scratch = malloc(2 * s->d * sizeof(float));
    if (!s->first || !s->rows || !s->scratch) exit(1);
    for (size_t g = 0; g <= s->groups; g++) s->first[g] = g * s->n / s->groups;
    for (size_t i = 0; i < s->n; i++) {
        if (!(s->rows[i] = aligned_alloc(64, (s->d * sizeof(float) + 63) / 64 * 64))) exit(1);
    }
    for (size_t g = 0; g < s->groups; g++) {
#pragma omp parallel for
        for (size_t j = 0; j < s->d; j++) {
            float truth = 0.01f * noise(j) + 0.01f * noise((g + 1) << 40 | j);
            for (size_t i = s->first[g]; i < s->first[g + 1]; i++)
                s->rows[i][j] = lies(s, i) ? -100.0f * truth : truth;
        }
    }
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, by_size);
    return values[count / 2];
}

typedef void measured(setup *s);

static double seconds_of(setup *s, measured *run) {
    double begin = omp_get_wtime();
    run(s);
    return omp_get_wtime() - begin;
}

/* The row of one vote: its median time, and the median over the rounds of its ratio to the read. */
static void compare(setup *s, int threads) {
    static const struct {
        const char *name;
        measured *run;
    } votes[] = {{"fingerprint and tally", vote_fingerprints},
                 {"exact vote", vote_exact},
                 {"tolerant vote", vote_tolerant},
                 {"Boyer-Moore with memcmp, 2 passes", vote_boyer_moore}};
    enum { KINDS = sizeof votes / sizeof *votes };
    double *time[KINDS], *ratio[KINDS], *read = malloc((size_t)s->rounds * sizeof *read);
    double bytes = (double)s->n * (double)s->d * sizeof(float), once;
    s->threads = threads;
    for (int k = 0; k < KINDS; k++) {
        time[k] = malloc((size_t)s->rounds * sizeof **time);
        ratio[k] = malloc((size_t)s->rounds * sizeof **ratio);
    }
    for (int r = 0; r < s->rounds; r++) {
        read[r] = seconds_of(s, read_all);
        for (int k = 0; k < KINDS; k++) {
            time[k][r] = seconds_of(s, votes[k].run);
            ratio[k][r] = time[k][r] / read[r];
        }
    }
    once = median(read, s->rounds);
    printf("\n%d thread%s\n%-36s %8.3f s %7.2f GB/s\n", threads, threads > 1 ? "s" : "", "plain read, once",
           once, bytes / once / 1e9);
    for (int k = 0; k < KINDS; k++) {
        double t = median(time[k], s->rounds);
        printf("%-36s %8.3f s %7.2f GB/s %7.2f x the read\n", votes[k].name, t, bytes / t / 1e9,
               median(ratio[k], s->rounds));
        free(time[k]);
        free(ratio[k]);
    }
    double begin = omp_get_wtime();
    int iterations = geometric_median(s);
    double t = omp_get_wtime() - begin;
    printf("%-36s %8.3f s %7.2f GB/s %7.2f x the read (%d iterations)\n", "geometric median, once", t,
           bytes * (2 * iterations + 1) / t / 1e9, t / once, iterations);
    free(read);
}

/* The fingerprint alone next to the read, in short turns, so that a busy machine slows both alike. */
static void race(setup *s, int threads) {
    enum { TURNS = 41 };
    double read[TURNS], print[TURNS], ratio[TURNS];
    setup few = *s;
    uint8_t(*values)[DRACO_FINGERPRINT_BYTES] = malloc(s->n * sizeof *values);
    double bytes;
    few.n = s->n < 4 ? s->n : 4;
    few.threads = threads;
    bytes = (double)few.n * (double)s->d * sizeof(float);
    for (int r = 0; values && r < TURNS; r++) {
        double begin = omp_get_wtime();
        read_all(&few);
        read[r] = omp_get_wtime() - begin;
        begin = omp_get_wtime();
        fingerprint_rows(&few, values);
        print[r] = omp_get_wtime() - begin;
        ratio[r] = read[r] / print[r];
    }
    printf("%d thread%s: fingerprint %6.2f GB/s, plain read %6.2f GB/s, ratio %.2f\n", threads,
           threads > 1 ? "s" : " ", bytes / median(print, TURNS) / 1e9, bytes / median(read, TURNS) / 1e9,
           median(ratio, TURNS));
    free(values);
}

static size_t number(const char *text, size_t least, size_t most) {
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*end || end == text || value < least || value > most) {
        fprintf(stderr, "bench_vote: '%s' is not a number from %zu to %zu\n", text, least, most);
        exit(2);
    }
    return (size_t)value;
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"workers", required_argument, NULL, 'n'}, {"groups", required_argument, NULL, 'g'},
        {"liars", required_argument, NULL, 's'},   {"floats", required_argument, NULL, 'd'},
        {"rounds", required_argument, NULL, 'r'},  {NULL, 0, NULL, 0}};
    setup s = {.n = 45, .groups = 4, .liars = 5, .d = 11200000, .rounds = 5};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'n':
            s.n = number(optarg, 1, 4096);
            break;
        case 'g':
            s.groups = number(optarg, 1, 4096);
            break;
        case 's':
            s.liars = number(optarg, 0, 2000);
            break;
        case 'd':
            s.d = number(optarg, 4096, (size_t)1 << 32);
            break;
        case 'r':
            s.rounds = (int)number(optarg, 1, 1000);
            break;
        default:
            return 2;
        }
    }
    if (s.n / s.groups < 2 * s.liars + 1) {
        fprintf(stderr, "bench_vote: groups of at least %zu cannot outvote %zu liars\n", s.n / s.groups,
                s.liars);
        return 2;
    }
    fill(&s);
    printf("%zu workers in %zu groups, %zu liars, %zu floats each: %.2f GB\n\n", s.n, s.groups, s.liars, s.d,
           (double)s.n * (double)s.d * 4e-9);
    for (int threads = 1; threads <= 2; threads++) race(&s, threads);
    for (int threads = 1; threads <= 2; threads++) compare(&s, threads);
    for (size_t i = 0; i < s.n; i++) free(s.rows[i]);
    free(s.rows);
    free(s.first);
    free(s.scratch);
    return 0;
}
