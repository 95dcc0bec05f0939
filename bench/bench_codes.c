/* Encode, sketch, locate and combine, in GB/s of message bytes, next to a plain read of the same bytes by the
 * same threads in the same run. BENCH_D="1030000 11200000" and BENCH_N="15 45" choose the sizes, BENCH_REPEAT
 * how often each is timed (the best counts). */
#define DRACO_CODES_STATIC
#define DRACO_CODES_IMPLEMENTATION
#include "draco_codes.h"

#include <omp.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
    return omp_get_wtime();
}

/* Of this thread alone: locate runs on one, whatever else the machine does. */
static double own_time(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *need(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!memory) {
        fprintf(stderr, "bench_codes: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return memory;
}

typedef struct bench {
    draco_code code;
    size_t d, bytes;
    const void **rows;
    unsigned char *messages, *sketches;
    draco_key *key;
    draco_encoding **encodings; /* one for each thread */
    draco_work *work;
    draco_weights *weights;
    uint8_t *exponents;
    float *gradient, *sum;
    draco_verdict *verdicts;
    draco_report report;
    draco_status status;
    uint64_t sink;
} bench;

static void read_rows(bench *b) {
    uint64_t total = 0;
    size_t words = b->bytes / 8;
#pragma omp parallel for reduction(+ : total)
    for (int i = 0; i < b->code.n; i++) {
        const uint64_t *row = b->rows[i];
        uint64_t sums[8] = {0};
        for (size_t c = 0; c + 8 <= words; c += 8)
            for (size_t k = 0; k < 8; k++) sums[k] += row[c + k];
        for (size_t k = 0; k < 8; k++) total += sums[k];
    }
    b->sink += total;
}

static void sketch_rows(bench *b) {
    size_t each = draco_sketch_bytes(&b->code);
#pragma omp parallel for
    for (int i = 0; i < b->code.n; i++) {
        void *sketch = b->sketches + (size_t)i * each;
        draco_sketch_begin(&b->code, 0, sketch);
        draco_sketch_add(&b->code, b->key, sketch, b->rows[i], b->bytes);
    }
}

static void locate(bench *b) {
    const draco_sketch *sketches[DRACO_MAX_WORKERS];
    for (int i = 0; i < b->code.n; i++)
        sketches[i] = (const draco_sketch *)(b->sketches + (size_t)i * draco_sketch_bytes(&b->code));
    b->status = draco_locate(&b->code, b->key, b->d, sketches, b->work, b->weights, b->verdicts, &b->report);
}

static void combine(bench *b) {
    size_t range = 16 * DRACO_BLOCK, ranges = (b->d + range - 1) / range;
#pragma omp parallel for
    for (size_t k = 0; k < ranges; k++) {
        size_t count = b->d - k * range < range ? b->d - k * range : range;
        draco_combine(&b->code, b->weights, b->rows, b->d, k * range, count, b->exponents,
                      b->sum + k * range);
    }
}

/* One addition of a part to a message per worker, each thread to a message of its own. */
static void encode(bench *b) {
#pragma omp parallel for
    for (int i = 0; i < b->code.n; i++) {
        int part = draco_code_part(&b->code, i, 0);
        draco_encode_add(&b->code, i, part, b->gradient, b->d, b->exponents,
                         b->encodings[omp_get_thread_num()]);
    }
}

static double best(bench *b, void (*run)(bench *), double (*clock_of)(void), int repeats) {
    double least = 1e30;
    for (int k = 0; k < repeats; k++) {
        double begin = clock_of();
        run(b);
        double took = clock_of() - begin;
        if (took < least) least = took;
    }
    return least;
}

/* Honest messages, by workers that hold the same gradient for every part; s of them then change one number.
 */
static void fill(bench *b) {
    b->encodings = need((size_t)omp_get_max_threads() * sizeof *b->encodings);
    for (int i = 0; i < omp_get_max_threads(); i++) {
        b->encodings[i] = need(draco_encoding_bytes(&b->code, b->d));
        draco_encode_init(&b->code, b->d, b->encodings[i]);
    }
    for (size_t c = 0; c < b->d; c++)
        b->gradient[c] = (float)((double)(c * 2654435761u % 1000003) / 1000003 - 0.5);
    if (b->exponents) draco_exponents_of(&b->code, b->gradient, b->d, b->exponents);
#pragma omp parallel for
    for (int i = 0; i < b->code.n; i++) {
        unsigned char *message = b->messages + (size_t)i * b->bytes;
        draco_encode_begin(&b->code, b->d, b->encodings[omp_get_thread_num()]);
        for (int l = 0; l < draco_code_load(&b->code, i); l++)
            draco_encode_add(&b->code, i, draco_code_part(&b->code, i, l), b->gradient, b->d, b->exponents,
                             b->encodings[omp_get_thread_num()]);
        draco_encode_end(&b->code, b->d, b->encodings[omp_get_thread_num()], message);
        b->rows[i] = message;
    }
}

static void run(const char *name, draco_code code, size_t d, int repeats) {
    bench b = {.code = code, .d = d, .bytes = draco_message_bytes(&code, d)};
    size_t n = (size_t)code.n;
    draco_seed seed = {{1}};
    int prime = code.scheme == DRACO_CYCLIC && code.field == DRACO_FIELD_PRIME;
    b.messages = need(n * b.bytes);
    b.rows = need(n * sizeof *b.rows);
    b.sketches = need(n * draco_sketch_bytes(&code));
    b.key = need(draco_sketch_key_bytes(&code));
    b.work = need(draco_locate_work_bytes(&code));
    b.weights = need(draco_weights_bytes(&code));
    b.exponents = prime ? need(draco_exponent_bytes(d)) : NULL;
    b.gradient = need(d * sizeof(float));
    b.sum = need(d * sizeof(float));
    b.verdicts = need(n * sizeof *b.verdicts);
    fill(&b);
    for (int i = 0; i < code.s; i++) b.messages[(size_t)(3 * i + 1) * b.bytes + 6] ^= 0x55;
    draco_sketch_key_init(&code, &seed, b.key);
    double read = best(&b, read_rows, now, repeats), sketch = best(&b, sketch_rows, now, repeats);
    double found = best(&b, locate, own_time, repeats), combined = best(&b, combine, now, repeats);
    double encoded = best(&b, encode, now, repeats), gb = 1e-9 * (double)(n * b.bytes);
    printf("%-10s n %3d s %2d d %9zu  read %5.1f  encode %5.1f  sketch %5.1f (%.2f x read)  combine %5.1f "
           "(%.2f x read) "
           "GB/s  locate %6.2f ms  blamed %d\n",
           name, code.n, code.s, d, gb / read, gb / encoded, gb / sketch, sketch / read, gb / combined,
           combined / read, 1e3 * found, b.report.blamed);
    for (int i = 0; i < omp_get_max_threads(); i++) free(b.encodings[i]);
    free(b.encodings);
    free(b.messages);
    free(b.rows);
    free(b.sketches);
    free(b.key);
    free(b.work);
    free(b.weights);
    free(b.exponents);
    free(b.gradient);
    free(b.sum);
    free(b.verdicts);
}

/* How long locate takes does not depend on d: liars that send noise, as many as the code carries, or one
 * more. */
static void locate_alone(draco_field field, int n, int s, int liars) {
    draco_code code = {.scheme = DRACO_CYCLIC, .field = field, .n = n, .s = s};
    bench b = {.d = 4096};
    draco_seed seed = {{1}};
    if (draco_code_init(&code) != DRACO_OK) return;
    b.code = code;
    b.bytes = draco_message_bytes(&code, b.d);
    b.messages = need((size_t)n * b.bytes);
    b.rows = need((size_t)n * sizeof *b.rows);
    b.sketches = need((size_t)n * draco_sketch_bytes(&code));
    b.key = need(draco_sketch_key_bytes(&code));
    b.work = need(draco_locate_work_bytes(&code));
    b.weights = need(draco_weights_bytes(&code));
    b.exponents = need(1);
    b.gradient = need(b.d * sizeof(float));
    b.verdicts = need((size_t)n * sizeof *b.verdicts);
    fill(&b);
    srand(1);
    for (int k = 0; k < liars; k++) {
        unsigned char *m = b.messages + (size_t)(k * (n / liars)) * b.bytes;
        for (size_t c = 0; c < b.bytes; c += 4) {
            m[c] = (unsigned char)rand();
            m[c + 1] = (unsigned char)rand();
            m[c + 2] = (unsigned char)(rand() & 0x7f);
            m[c + 3] = 0x3f;
        }
    }
    draco_sketch_key_init(&code, &seed, b.key);
    sketch_rows(&b);
    double took = best(&b, locate, own_time, 5);
    printf("locate     %-7s n %3d s %2d, %2d liars: %7.2f ms, blamed %d, %s\n",
           field == DRACO_FIELD_PRIME ? "prime" : "complex", n, s, liars, 1e3 * took, b.report.blamed,
           draco_status_text(b.status));
    for (int i = 0; i < omp_get_max_threads(); i++) free(b.encodings[i]);
    free(b.encodings);
    free(b.messages);
    free(b.rows);
    free(b.sketches);
    free(b.key);
    free(b.work);
    free(b.weights);
    free(b.exponents);
    free(b.gradient);
    free(b.verdicts);
}

int main(void) {
    const char *ds = getenv("BENCH_D"), *ns = getenv("BENCH_N"), *repeat = getenv("BENCH_REPEAT");
    int repeats = repeat ? atoi(repeat) : 3;
    char *next_d, *next_n;
    printf("%d threads\n", omp_get_max_threads());
    for (int f = 0; f < 2; f++) {
        draco_field field = f ? DRACO_FIELD_PRIME : DRACO_FIELD_COMPLEX;
        locate_alone(field, 45, 5, 5);
        locate_alone(field, 45, 5, 6);
        locate_alone(field, 101, 10, 10);
        locate_alone(field, 101, 10, 11);
    }
    for (const char *n = ns ? ns : "15 45"; *n; n = next_n) {
        int workers = (int)strtol(n, &next_n, 10), s = workers >= 45 ? 5 : 3;
        if (next_n == n) break;
        for (const char *at = ds ? ds : "1030000 11200000"; *at; at = next_d) {
            size_t d = strtoul(at, &next_d, 10);
            if (next_d == at) break;
            draco_code code = {.scheme = DRACO_CYCLIC, .field = DRACO_FIELD_COMPLEX, .n = workers, .s = s};
            if (draco_code_init(&code) == DRACO_OK) run("complex", code, d, repeats);
            code.field = DRACO_FIELD_PRIME;
            if (draco_code_init(&code) == DRACO_OK) run("prime", code, d, repeats);
            code.scheme = DRACO_REPETITION;
            if (draco_code_init(&code) == DRACO_OK) run("repetition", code, d, repeats);
        }
    }
    return 0;
}
