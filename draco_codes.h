/* draco_codes.h - version 0.1.0 - gradient codes: sums that stay right while workers lie or are missing
 *
 * Do this in one .c file:
 *
 *     #define DRACO_CODES_IMPLEMENTATION
 *     #include "draco_codes.h"
 *
 * and include the header alone everywhere else. DRACO_CODES_STATIC, defined as well, makes a private copy.
 * The switches bring draco_vote.h along. Link with -lm.
 *
 * program: five workers, each gradient computed by three of them; one worker lies
 *
 *     #define DRACO_CODES_IMPLEMENTATION
 *     #include "draco_codes.h"
 *     #include <stdio.h>
 *     #include <stdlib.h>
 *
 *     int main(void) {
 *         draco_code code = {5, 1, 0, DRACO_CYCLIC, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, 0, 0, 0};
 *         float messages[5][4], gradient[4], sum[4] = {0, 0, 0, 0};
 *         const void *rows[5];
 *         draco_verdict verdicts[5] = {DRACO_UNDECIDED};
 *         draco_report report;
 *         draco_seed seed;
 *         draco_status status;
 *         void *work;
 *         int i, l, c;
 *         if (draco_code_init(&code) != DRACO_OK || draco_seed_random(&seed) != DRACO_OK) return 1;
 *         for (i = 0; i < 5; i++) {
 *             draco_encode_begin(&code, 4, messages[i]);
 *             for (l = 0; l < draco_code_load(&code, i); l++) {
 *                 int part = draco_code_part(&code, i, l);
 *                 for (c = 0; c < 4; c++) gradient[c] = (float)(part + c);
 *                 draco_encode_add(&code, i, part, gradient, 4, NULL, messages[i]);
 *             }
 *             rows[i] = messages[i];
 *         }
 *         messages[3][1] = -100;
 *         work = malloc(draco_decode_work_bytes(&code));
 *         if (!work) return 1;
 *         status = draco_decode(&code, &seed, rows, 4, NULL, work, sum, verdicts, &report);
 *         free(work);
 *         if (status < 0) return 1;
 *         printf("%g %g %g %g, worker 3 %s\n", sum[0], sum[1], sum[2], sum[3], draco_verdict_text(verdicts[3]));
 *         return verdicts[3] != DRACO_BLAMED;
 *     }
 * end of program
 *
 * THE FLOW
 *
 * A batch is cut into parts; a gradient is the sum over the samples of a part. n workers, of which s may lie
 * and t may be missing, hold every part r = 2s + t + 1 times, and no code can do with less (Chen, Wang,
 * Charles, Papailiopoulos, "DRACO", ICML 2018). The server wants the sum of the gradients of all parts.
 *
 *     worker:  begin;  for each of its parts: gradient, encode_add;  send the message
 *     server:  for each message: sketch_begin, sketch_add as the bytes come;  locate;  combine
 *
 * sketch   folds a message of any length into some kilobytes, under a key that no worker knows
 * locate   works on the n sketches alone, whatever d: who lied, and one weight for each message
 * combine  adds the messages by their weights, any range of coordinates at a time, on any thread
 * decode   is the three in one call
 *
 * THE CODES
 *
 * Repetition: workers form floor(n / r) groups, worker i in group i mod groups; a group computes the same
 * part, a message is the gradient, and s + 1 equal messages decide it. The groups' values are added in the
 * order of the groups in double and rounded once. It works for up to s liars in every group.
 *
 * Cyclic: part k is held by the workers k + D mod n; worker i stands at a point x_i;
 *
 *     f_k(x) = prod over m off the support of (1 - x / x_m)       1 at x = 0, 0 at the workers without part k
 *     worker i sends F(x_i) = sum_k f_k(x_i) g_k             F has degree n - 1 - 2s - t, F(0) = sum_k g_k
 *
 * so the messages are a Reed-Solomon codeword: it decodes whenever 2 liars + missing <= 2s + t.
 *   complex field: x_i = exp(2 pi i i / n); the gradient is read as pairs (re, im), and a message has its d
 *     floats (rounded up to even). The decoded sum is off by about `gain` units of rounding. Lies below the
 *     rounding noise are not named, and move the sum by no more than it.
 *   prime field: modulo 2^31 - 1, x_i = i + 1; gradients are rounded to multiples of a power of two, shared
 *     by 4096 coordinates: the nearest, halves away from zero. Everything after is exact: the sum has the
 *     same bits whoever lies. The powers are agreed on first: every worker reports draco_exponents_of each
 *     of its parts in the order of draco_code_part, draco_exponents_decide takes a vote on each part and the
 *     largest over all parts, and everybody encodes with that. A part's own exponent is no larger, so
 *     nothing saturates; were it larger, draco_encode_add says DRACO_E_RANGE.
 * Supports: D = {round(l n / r)} is "spread", D = {0..r-1} the paper's "contiguous". The field decides
 * nothing about them; but in floats the coefficients |f_k(x_i)| decide what is left of a gradient after
 * rounding, and the positions of liars and missing decide the gain:
 *
 *       n   s  t | spread: |f|  | contiguous: |f|   | worst gain found (either)
 *       5   1  0 |  1.4 ..  2.2 |     2.2 .. 3.6    |  1.2
 *       9   2  0 |  1.4 ..  3.0 |     3.0 .. 12     |  1.5
 *      15   3  0 |  1.6 ..  2.8 |     7.7 .. 95     |  1.9
 *      20   3  2 |  1.9 ..  3.1 |      12 .. 470    |  3.9
 *      45   5  0 |  3.1 ..  4.8 |    6000 .. 1.2e6  |  3.3
 *      45  10  0 |  1.6 ..  2.8 |      27 .. 8.1e5  |  8.3
 *      45   2  6 |  3.1 ..  4.8 |    6000 .. 1.2e6  |  27
 *      64   8  0 |  3.1 ..  4.5 |   7.6e4 .. 6.2e8  |  6.8
 *     101  10  0 |  4.1 ..  5.7 |   8.8e7 .. 1.2e13 |  12
 *
 * (examples/04_code_table.c prints it for any code.) The last contiguous codes keep two
 * digits or none even without a liar; where rounding would leave less than two, locate says DRACO_E_RANGE.
 *
 * WHAT COMES OUT
 *
 * Verdicts: AGREES; BLAMED: the message is not what an honest worker would have sent; ABSENT: NULL;
 * MALFORMED: of another length, NaN or Inf in the complex field, 2^31 - 1 or more in the prime field. ABSENT
 * and MALFORMED count as missing. Status of locate and decode:
 *     DRACO_OK                  decoded and checked
 *     DRACO_UNVERIFIED          cyclic: decoded, but all 2s + t spare messages are missing: nothing is checked
 *     DRACO_E_TOO_MANY_MISSING  cyclic: more than 2s + t are missing
 *     DRACO_E_NO_MAJORITY       repetition: a group without s + 1 equal messages
 *     DRACO_E_AMBIGUOUS         more liars than the code carries (or, in the complex field and rarely, as many as
 *                               it carries, in collusion, so placed that rounding hides which). Ask again,
 *                               wait for those missing, or set the round aside
 *     DRACO_E_RANGE             rounding would spoil the sum (DRACO_WORST_ERROR)
 * On an error the sum and the weights are untouched; verdicts and the report are written all the same, to
 * tell what happened (but for errors of the call itself: draco_status_is_misuse). A majority that agrees on another valid message cannot be
 * told from honest workers by any decoder.
 *
 * HOW SURE
 *
 * Keys are drawn anew each round after the messages were made, and never leave the server. Repetition: the
 * bound of the fingerprint. Prime: a message is read in rows of 512 numbers; row b is multiplied by low[b
 * mod 2048] high[b / 2048], rows are added, and the 512 sums are added by secret weights: a polynomial of
 * degree 3 in secret numbers. A lie vanishes in it with a chance of at most 3 / p (Schwartz, Zippel), and in
 * both of two independent ones of at most 2^-58. Complex: the same with four independent folds by real
 * factors of random sign and modulus in [1, 2), whose density is at most 1/2. A weighted sum of such has a
 * density of at most sqrt 2 / 2 over the norm of the weights (Rudelson, Vershynin, IMRN 2015), so a lie x
 * times as large as what locate can see hides, within one million coordinates, with a chance of at most
 * (sqrt 2 / x)^4, and about (log x) times that per fold over several; a lie of 1e-3 of the gradient is some
 * 3000 times as large. Eight projections of the lanes are then looked at together: the locator of the lies
 * is the least singular vector of the Hankel matrix of their syndromes, and a set of liars is believed when
 * it explains all but rounding of them.
 *
 * CONTRACT
 *
 * Memory is the caller's and sized by the ..._bytes functions: aligned to 8 bytes (64 is faster), messages
 * to 4, the bytes given to sketch_add to nothing. Nothing is allocated, logged or kept. All functions are
 * pure: any thread, as long as nobody else writes what they read; one sketch is fed by one thread at a time,
 * its bytes in order. Ranges of a message that begin at multiples of 4 * DRACO_BLOCK bytes can be sketched
 * apart and merged: the last of them alone may have any length. Results depend on the set of messages, not
 * on chunks, ranges, threads or the instruction set. Merging adds in double, which may move the residual of
 * the complex field in its last bits, and no verdict that is not at the edge. Limits: n <= 4096; messages up
 * to 8 GiB. locate costs O(n s^2) for an honest round, O(n s^3) and more to find liars (0.5 ms at n = 45, s
 * = 5; 20 ms at n = 101, s = 10); a search that finds none is cut short.
 *
 * MACROS
 *
 * DRACO_CODES_IMPLEMENTATION, DRACO_CODES_STATIC: above. DRACO_CODES_NO_SIMD: the plain loops alone; the
 * bits are the same.
 *
 * SOURCES
 *
 * L. Chen, H. Wang, Z. Charles, D. Papailiopoulos: DRACO, ICML 2018, arXiv 1803.09877: the codes. I. S.
 * Reed, G. Solomon, 1960; E. Berlekamp, J. Massey, 1969; G. D. Forney, 1965: decoding errors and erasures.
 * M. Rudelson, R. Vershynin: Small ball probabilities for linear images, IMRN 2015: the bound on the folds.
 * G. H. Golub, C. F. Van Loan: Matrix Computations: Householder QR, one-sided Jacobi.
 *
 * MIT licence, at the end of this file.
 */
#if defined(DRACO_CODES_IMPLEMENTATION) && !defined(DRACO_VOTE_IMPLEMENTATION)
#define DRACO_VOTE_IMPLEMENTATION
#endif
#if defined(DRACO_CODES_STATIC) && !defined(DRACO_VOTE_STATIC)
#define DRACO_VOTE_STATIC
#endif
#include "draco_vote.h"

#ifndef DRACO_CODES_H
#define DRACO_CODES_H

#define DRACO_CODES_VERSION 0x000100 /* 0.1.0 */

#ifdef DRACO_CODES_API
/* The program's own, to export the functions from a shared library. */
#elif !defined(DRACO_CODES_STATIC)
#define DRACO_CODES_API extern
#elif defined(__GNUC__)
#define DRACO_CODES_API static __attribute__((unused))
#else
#define DRACO_CODES_API static
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The code ---- */

typedef enum draco_scheme { DRACO_REPETITION = 0, DRACO_CYCLIC = 1 } draco_scheme;
typedef enum draco_field { DRACO_FIELD_COMPLEX = 0, DRACO_FIELD_PRIME = 1 } draco_field; /* cyclic only */
typedef enum draco_support {
    DRACO_SUPPORT_SPREAD = 0,
    DRACO_SUPPORT_CONTIGUOUS = 1
} draco_support; /* cyclic only */

#define DRACO_BLOCK 4096u /* coordinates that share an exponent; shards begin at multiples of it */
#define DRACO_MAX_WORKERS 4096
#define DRACO_WORST_ERROR 1e-2 /* a sum that rounding would spoil by more than this is refused */

/* Set n, s, t, scheme, field, support; draco_code_init derives the rest, or says what is wrong with them:
 * DRACO_E_LIMITS for n, s, t, DRACO_E_ARGUMENT for the others. */
typedef struct draco_code {
    int n, s, t; /* workers; liars and missing workers that the code carries */
    draco_scheme scheme;
    draco_field field;
    draco_support support;
    int r;      /* 2s + t + 1: parts of a worker (cyclic), least size of a group (repetition) */
    int groups; /* repetition: floor(n / r); cyclic: 1 */
    int parts;  /* parts of a batch: repetition: groups; cyclic: n */
} draco_code;

DRACO_CODES_API draco_status draco_code_init(draco_code *code);
/* Equal for equal codes: for handshakes. */
DRACO_CODES_API uint64_t draco_code_id(const draco_code *code);
/* How many parts a worker computes, and the l-th of them, l = 0 .. load - 1 (-1: none). */
DRACO_CODES_API int draco_code_load(const draco_code *code, int worker);
DRACO_CODES_API int draco_code_part(const draco_code *code, int worker, int l);
DRACO_CODES_API int draco_code_holds(const draco_code *code, int worker, int part);
DRACO_CODES_API int draco_code_group(const draco_code *code, int worker);
/* The samples first .. first + count - 1 of a batch make up a part; parts differ by one sample at most. */
DRACO_CODES_API void draco_code_samples(const draco_code *code, size_t batch, int part, size_t *first,
                                        size_t *count);
/* f_part(x_worker): complex: real and imaginary part; prime: value[0] is the residue; repetition: 1 or 0. */
DRACO_CODES_API draco_status draco_code_coefficient(const draco_code *code, int part, int worker,
                                                    double value[2]);
/* One line of words; as snprintf. */
DRACO_CODES_API size_t draco_code_describe(const draco_code *code, char *text, size_t capacity);

/* ---- Worker: messages ---- */

/* Bytes of the message for d >= 1 coordinates; 0: too many, or no code. */
DRACO_CODES_API size_t draco_message_bytes(const draco_code *code, size_t d);
DRACO_CODES_API draco_status draco_encode_begin(const draco_code *code, size_t d, void *message);
/* Adds one part of the worker, gradient: d floats. exponents: what was agreed on (prime field), else NULL. The
 * bits depend on the order of the parts in the complex field: keep that of draco_code_part. */
DRACO_CODES_API draco_status draco_encode_add(const draco_code *code, int worker, int part,
                                              const float *gradient, size_t d, const uint8_t *exponents,
                                              void *message);

/* ---- Exponents (prime field): one byte for each block of DRACO_BLOCK coordinates ---- */

DRACO_CODES_API size_t draco_exponent_bytes(size_t d);
/* DRACO_E_RANGE: the gradient has a NaN or Inf. */
DRACO_CODES_API draco_status draco_exponents_of(const draco_code *code, const float *gradient, size_t d,
                                                uint8_t *exponents);

/* ---- Report ---- */

typedef struct draco_report {
    int present;                                      /* messages that came whole */
    int agreed, blamed, absent, malformed, undecided; /* counts of the verdicts */
    int spare;       /* 2s + t - 2 blamed - missing, the least over groups: redundancy left unused */
    int group;       /* repetition: the first group that could not be decided, else -1 */
    double residual; /* complex: norm of what the located liars do not explain, relative to the threshold */
    double gain;     /* complex: ||v|| sqrt(n), 1 when all workers are honest */
    double error; /* complex: rounding error of the sum to expect, relative to it, when the gradients of the
                        parts are unlike and of one size */
} draco_report;

/* ---- Server ---- */

/* reports[i]: worker i's exponents of all its parts, load x exponent_bytes, in the order of draco_code_part;
 * NULL: absent. At most (2s + t - missing) / 2 of those present lie; more equal reports of a part than that decide
 * it. */
DRACO_CODES_API size_t draco_exponents_work_bytes(const draco_code *code, size_t d);
DRACO_CODES_API draco_status draco_exponents_decide(const draco_code *code, const uint8_t *const *reports,
                                                    size_t d, void *work, uint8_t *agreed,
                                                    draco_verdict *verdicts, draco_report *report);

DRACO_CODES_API size_t draco_sketch_key_bytes(const draco_code *code);
DRACO_CODES_API draco_status draco_sketch_key_init(const draco_code *code, const draco_seed *seed, void *key);
DRACO_CODES_API size_t draco_sketch_bytes(const draco_code *code);
/* offset: bytes of the message before this range, a multiple of 4 * DRACO_BLOCK (0 unless sharded). */
DRACO_CODES_API draco_status draco_sketch_begin(const draco_code *code, uint64_t offset, void *sketch);
DRACO_CODES_API draco_status draco_sketch_add(const draco_code *code, const void *key, void *sketch,
                                              const void *bytes, size_t n);
DRACO_CODES_API draco_status draco_sketch_merge(const draco_code *code, const void *key, void *into,
                                                const void *from);
/* Repetition: 16 bytes that stand for a message in the vote of its group, so that a draco_tally can decide a group
 * as soon as enough messages came. */
#define DRACO_TOKEN_BYTES DRACO_FINGERPRINT_BYTES
DRACO_CODES_API draco_status draco_sketch_token(const draco_code *code, const void *key, const void *sketch,
                                                uint8_t token[DRACO_TOKEN_BYTES]);

/* n sketches (NULL: absent) of messages of d coordinates -> verdicts, report, and the weights of the messages.
 * It may be called again as more messages come. */
DRACO_CODES_API size_t draco_locate_work_bytes(const draco_code *code);
DRACO_CODES_API size_t draco_weights_bytes(const draco_code *code);
DRACO_CODES_API draco_status draco_locate(const draco_code *code, const void *key, size_t d,
                                          const void *const *sketches, void *work, void *weights,
                                          draco_verdict *verdicts, draco_report *report);
/* Does combine read this worker's message? */
DRACO_CODES_API int draco_weight_used(const draco_code *code, const void *weights, int worker);
/* Repetition: weights that add the messages of these workers, one for each group: for votes cast elsewhere. */
DRACO_CODES_API draco_status draco_weights_winners(const draco_code *code, const int *winners, void *weights);
/* sum[0 .. count) = coordinates first .. first + count - 1 of the sum. messages: whole rows of
 * draco_message_bytes; those that are not used may be NULL. */
DRACO_CODES_API draco_status draco_combine(const draco_code *code, const void *weights,
                                           const void *const *messages, size_t d, size_t first, size_t count,
                                           const uint8_t *exponents, float *sum);

/* Sketch, locate and combine. messages: n rows, NULL: absent. sum: d floats. */
DRACO_CODES_API size_t draco_decode_work_bytes(const draco_code *code);
DRACO_CODES_API draco_status draco_decode(const draco_code *code, const draco_seed *seed,
                                          const void *const *messages, size_t d, const uint8_t *exponents,
                                          void *work, float *sum, draco_verdict *verdicts,
                                          draco_report *report);
/* One line of words on what was found; as snprintf. */
DRACO_CODES_API size_t draco_report_describe(const draco_code *code, draco_status status,
                                             const draco_verdict *verdicts, const draco_report *report,
                                             char *text, size_t capacity);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_CODES_H */

#if defined(DRACO_CODES_IMPLEMENTATION) && !defined(DRACO_CODES_IMPLEMENTED)
#define DRACO_CODES_IMPLEMENTED

#include <math.h>
#include <stdio.h>
#include <string.h>

#if defined(__GNUC__)
#define DRC_INLINE static inline __attribute__((always_inline))
#define DRC_FETCH(address) __builtin_prefetch(address)
#else
#define DRC_INLINE static inline
#define DRC_FETCH(address) (void)0
#endif

/* A kernel is a plain loop, name_plain. It is compiled for AVX-512 and AVX2 too, and the machine picks one at
 * run time. All give the same bits: integers are exact, and in floating point every product is of few enough
 * bits to be exact in double, so that a fused multiply-add rounds as a multiplication and an addition do. */
#if !defined(DRACO_CODES_NO_SIMD) && defined(__GNUC__) && defined(__x86_64__)
#define DRC_X86
#include <immintrin.h>
#define DRC_AVX512 __attribute__((target("avx512f")))
#define DRC_AVX2 __attribute__((target("avx2,fma")))
#define DRC_CHOOSE(name, parameters, arguments)                                                              \
    static void name parameters {                                                                            \
        if (__builtin_cpu_supports("avx512f"))                                                               \
            name##_avx512 arguments;                                                                         \
        else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))                            \
            name##_avx2 arguments;                                                                           \
        else                                                                                                 \
            name##_plain arguments;                                                                          \
    }
#define DRC_KERNEL(name, parameters, arguments)                                                              \
    DRC_AVX512 static void name##_avx512 parameters {                                                        \
        name##_plain arguments;                                                                              \
    }                                                                                                        \
    DRC_AVX2 static void name##_avx2 parameters {                                                            \
        name##_plain arguments;                                                                              \
    }                                                                                                        \
    DRC_CHOOSE(name, parameters, arguments)
#else
#define DRC_KERNEL(name, parameters, arguments)                                                              \
    static void name parameters {                                                                            \
        name##_plain arguments;                                                                              \
    }
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The descriptor ---- */

static int drc_valid(const draco_code *code) {
    return code && code->n >= 1 && code->n <= DRACO_MAX_WORKERS && code->s >= 0 && code->t >= 0 &&
           code->s <= code->n && code->t <= code->n && code->r == 2 * code->s + code->t + 1 &&
           code->r <= code->n && code->groups >= 1 && code->groups <= code->n && code->parts >= 1 &&
           code->parts <= code->n;
}

/* Is this a code that a call can work with? */
static draco_status drc_ready(const draco_code *code) {
    return !code ? DRACO_E_NULL : !drc_valid(code) ? DRACO_E_UNINITIALISED : DRACO_OK;
}

static int drc_cyclic(const draco_code *code) {
    return code->scheme == DRACO_CYCLIC;
}

static int drc_prime(const draco_code *code) {
    return code->scheme == DRACO_CYCLIC && code->field == DRACO_FIELD_PRIME;
}

static int drc_complex(const draco_code *code) {
    return code->scheme == DRACO_CYCLIC && code->field == DRACO_FIELD_COMPLEX;
}

DRACO_CODES_API draco_status draco_code_init(draco_code *code) {
    draco_code c;
    if (!code) return DRACO_E_NULL;
    c = *code;
    if (c.scheme != DRACO_REPETITION && c.scheme != DRACO_CYCLIC) return DRACO_E_ARGUMENT;
    if (c.field != DRACO_FIELD_COMPLEX && c.field != DRACO_FIELD_PRIME) return DRACO_E_ARGUMENT;
    if (c.support != DRACO_SUPPORT_SPREAD && c.support != DRACO_SUPPORT_CONTIGUOUS) return DRACO_E_ARGUMENT;
    if (c.n < 1 || c.n > DRACO_MAX_WORKERS || c.s < 0 || c.s > c.n || c.t < 0 || c.t > c.n)
        return DRACO_E_LIMITS;
    c.r = 2 * c.s + c.t + 1;
    if (c.r > c.n) return DRACO_E_LIMITS;
    if (c.scheme == DRACO_REPETITION) {
        c.field = DRACO_FIELD_COMPLEX;
        c.support = DRACO_SUPPORT_SPREAD;
    }
    c.groups = c.scheme == DRACO_REPETITION ? c.n / c.r : 1;
    c.parts = c.scheme == DRACO_REPETITION ? c.groups : c.n;
    *code = c;
    return DRACO_OK;
}

/* FNV-1a over what makes two codes differ. */
DRACO_CODES_API uint64_t draco_code_id(const draco_code *code) {
    uint64_t hash = 14695981039346656037u;
    int values[6], i, shift;
    if (!drc_valid(code)) return 0;
    values[0] = (int)code->scheme;
    values[1] = (int)code->field;
    values[2] = (int)code->support;
    values[3] = code->n;
    values[4] = code->s;
    values[5] = code->t;
    for (i = 0; i < 6; i++) {
        for (shift = 0; shift < 16; shift += 8) {
            hash = (hash ^ ((uint64_t)values[i] >> shift & 0xff)) * 1099511628211u;
        }
    }
    return hash;
}

/* Offset of the l-th member of a support: worker (k + offset) mod n holds part k. */
static int drc_offset(const draco_code *code, int l) {
    if (code->support == DRACO_SUPPORT_CONTIGUOUS) return l;
    return (2 * l * code->n + code->r) / (2 * code->r);
}

DRACO_CODES_API int draco_code_load(const draco_code *code, int worker) {
    if (!drc_valid(code) || worker < 0 || worker >= code->n) return 0;
    return drc_cyclic(code) ? code->r : 1;
}

DRACO_CODES_API int draco_code_part(const draco_code *code, int worker, int l) {
    if (l < 0 || l >= draco_code_load(code, worker)) return -1;
    if (!drc_cyclic(code)) return worker % code->groups;
    return (worker - drc_offset(code, l) + code->n) % code->n;
}

/* Is a worker this far after the first of a support in it? Offset l is l n / r rounded. */
static int drc_supported(const draco_code *code, int difference) {
    int l = code->support == DRACO_SUPPORT_CONTIGUOUS ? difference : difference * code->r / code->n;
    return (l < code->r && drc_offset(code, l) == difference) ||
           (l + 1 < code->r && drc_offset(code, l + 1) == difference);
}

DRACO_CODES_API int draco_code_holds(const draco_code *code, int worker, int part) {
    if (draco_code_load(code, worker) == 0 || part < 0 || part >= code->parts) return 0;
    if (!drc_cyclic(code)) return worker % code->groups == part;
    return drc_supported(code, (worker - part + code->n) % code->n);
}

DRACO_CODES_API int draco_code_group(const draco_code *code, int worker) {
    if (!drc_valid(code) || worker < 0 || worker >= code->n) return -1;
    return worker % code->groups;
}

DRACO_CODES_API void draco_code_samples(const draco_code *code, size_t batch, int part, size_t *first,
                                        size_t *count) {
    size_t parts, share, extra, p = (size_t)part;
    *first = *count = 0;
    if (!drc_valid(code) || part < 0 || part >= code->parts) return;
    parts = (size_t)code->parts;
    share = batch / parts;
    extra = batch % parts;
    *first = p * share + (p < extra ? p : extra);
    *count = share + (p < extra);
}

DRACO_CODES_API size_t draco_code_describe(const draco_code *code, char *text, size_t capacity) {
    int length;
    if (!drc_valid(code)) {
        length = snprintf(text, capacity, "not a code");
    } else if (drc_cyclic(code)) {
        length =
            snprintf(text, capacity,
                     "cyclic code, %s field, %s supports: %d workers, %d liars, %d missing; %d parts, each "
                     "held by %d workers, %d a worker",
                     code->field == DRACO_FIELD_PRIME ? "prime" : "complex",
                     code->support == DRACO_SUPPORT_SPREAD ? "spread" : "contiguous", code->n, code->s,
                     code->t, code->parts, code->r, code->r);
    } else {
        int least = code->n / code->groups, most = (code->n + code->groups - 1) / code->groups;
        length =
            snprintf(text, capacity,
                     "repetition code: %d workers, %d liars, %d missing; %d part%s, each held by a group of "
                     "%d%s%.0d workers",
                     code->n, code->s, code->t, code->parts, code->parts == 1 ? "" : "s", least,
                     most > least ? " or " : "", most > least ? most : 0);
    }
    return length < 0 ? 0 : (size_t)length;
}

/* ---- Arithmetic modulo p = 2^31 - 1 ---- */

#define DRC_P 0x7fffffffu

/* v < 2^64 - 2^33 to a number under 2^34 with the same residue. */
DRC_INLINE uint64_t drc_lazy(uint64_t v) {
    return (v & DRC_P) + (v >> 31);
}

DRC_INLINE uint32_t drc_mod(uint64_t v) {
    uint64_t w = drc_lazy(drc_lazy(v));
    return (uint32_t)(w >= DRC_P ? w - DRC_P : w);
}

static uint32_t drc_mul(uint32_t a, uint32_t b) {
    return drc_mod((uint64_t)a * b);
}

static uint32_t drc_sub(uint32_t a, uint32_t b) {
    return a >= b ? a - b : a + (DRC_P - b);
}

/* a^(p - 2) */
static uint32_t drc_inverse(uint32_t a) {
    uint32_t result = 1, e;
    for (e = DRC_P - 2; e > 0; e >>= 1) {
        if (e & 1) result = drc_mul(result, a);
        a = drc_mul(a, a);
    }
    return result;
}

/* ---- Complex numbers ---- */

#define DRC_PI 3.14159265358979323846

typedef struct drc_c {
    double re, im;
} drc_c;

DRC_INLINE drc_c drc_c_of(double re, double im) {
    drc_c z;
    z.re = re;
    z.im = im;
    return z;
}

DRC_INLINE drc_c drc_c_sub(drc_c a, drc_c b) {
    return drc_c_of(a.re - b.re, a.im - b.im);
}

DRC_INLINE drc_c drc_c_mul(drc_c a, drc_c b) {
    return drc_c_of(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re);
}

DRC_INLINE drc_c drc_c_scale(drc_c a, double by) {
    return drc_c_of(a.re * by, a.im * by);
}

DRC_INLINE double drc_c_norm2(drc_c a) {
    return a.re * a.re + a.im * a.im;
}

/* a^H b */
static drc_c drc_dot(const drc_c *a, const drc_c *b, int n) {
    drc_c sum = drc_c_of(0, 0);
    int i;
    for (i = 0; i < n; i++) {
        sum.re += a[i].re * b[i].re + a[i].im * b[i].im;
        sum.im += a[i].re * b[i].im - a[i].im * b[i].re;
    }
    return sum;
}

/* b -= z a */
static void drc_subtract(drc_c *b, drc_c z, const drc_c *a, int n) {
    int i;
    for (i = 0; i < n; i++) b[i] = drc_c_sub(b[i], drc_c_mul(z, a[i]));
}

static double drc_norm2(const drc_c *a, int n) {
    double sum = 0;
    int i;
    for (i = 0; i < n; i++) sum += drc_c_norm2(a[i]);
    return sum;
}

/* ---- Linear algebra for some tens of rows; columns are contiguous, `ld` numbers apart ---- */

/* Householder: a (rows x cols) becomes R, its lower part zero; b (rows x more) becomes Q^H b. */
static void drc_qr(drc_c *a, int rows, int cols, drc_c *b, int more, int ld) {
    int k, j;
    for (k = 0; k < cols && k < rows; k++) {
        drc_c *x = a + k * ld + k, diagonal, phase;
        int left = rows - k;
        double norm = sqrt(drc_norm2(x, left)), lead = sqrt(drc_c_norm2(x[0]));
        if (norm == 0) continue;
        phase = lead > 0 ? drc_c_scale(x[0], 1 / lead) : drc_c_of(1, 0);
        diagonal = drc_c_scale(phase, -norm);
        x[0] = drc_c_sub(x[0], diagonal); /* x is now the normal of the mirror */
        for (j = k + 1; j < cols + more; j++) {
            drc_c *y = j < cols ? a + j * ld + k : b + (j - cols) * ld + k;
            drc_c z = drc_dot(x, y, left);
            drc_subtract(y, drc_c_scale(z, 1 / (norm * (norm + lead))), x, left);
        }
        x[0] = diagonal;
        for (j = 1; j < left; j++) x[j] = drc_c_of(0, 0);
    }
}

/* One rotation that makes columns p and q of a orthogonal, applied to v too. Tells whether one was needed. */
static int drc_rotate(drc_c *a, drc_c *v, int n, int p, int q) {
    drc_c *columns[2][2], gamma, phase;
    double alpha, beta, size, zeta, tangent, cosine, sine;
    int m, i;
    columns[0][0] = a + p * n;
    columns[0][1] = a + q * n;
    columns[1][0] = v + p * n;
    columns[1][1] = v + q * n;
    alpha = drc_norm2(columns[0][0], n);
    beta = drc_norm2(columns[0][1], n);
    gamma = drc_dot(columns[0][0], columns[0][1], n);
    size = sqrt(drc_c_norm2(gamma));
    if (size <= 1e-15 * sqrt(alpha) * sqrt(beta) || size == 0) return 0;
    phase = drc_c_of(gamma.re / size, -gamma.im / size);
    zeta = (beta - alpha) / (2 * size);
    tangent = (zeta >= 0 ? 1 : -1) / (fabs(zeta) + sqrt(1 + zeta * zeta));
    cosine = 1 / sqrt(1 + tangent * tangent);
    sine = cosine * tangent;
    for (m = 0; m < 2; m++) {
        for (i = 0; i < n; i++) {
            drc_c x = columns[m][0][i], y = drc_c_mul(columns[m][1][i], phase);
            columns[m][0][i] = drc_c_of(cosine * x.re - sine * y.re, cosine * x.im - sine * y.im);
            columns[m][1][i] = drc_c_of(sine * x.re + cosine * y.re, sine * x.im + cosine * y.im);
        }
    }
    return 1;
}

/* One-sided Jacobi: the right singular vector of the least singular value of a (n x n, destroyed).
 * v: n x n numbers of scratch; the vector is returned as a column of it. */
static const drc_c *drc_least(drc_c *a, drc_c *v, int n) {
    int sweep, p, q, turned = 1, least = 0;
    double best = 0;
    for (p = 0; p < n * n; p++) v[p] = drc_c_of(p / n == p % n, 0);
    for (sweep = 0; sweep < 40 && turned; sweep++) {
        turned = 0;
        for (p = 0; p < n - 1; p++) {
            for (q = p + 1; q < n; q++) turned += drc_rotate(a, v, n, p, q);
        }
    }
    for (p = 0; p < n; p++) {
        double size = drc_norm2(a + p * n, n);
        if (p > 0 && size >= best) continue;
        best = size;
        least = p;
    }
    return v + (size_t)least * (size_t)n;
}

/* ---- Coefficients ---- */

/* exp(2 pi i k / n) */
static drc_c drc_root(int n, int k) {
    double angle = 2 * DRC_PI * k / n;
    return drc_c_of(cos(angle), sin(angle));
}

/* Rounded to 29 bits: times the 24 bits of a float that is exact in double. */
static double drc_short(double x) {
    int exponent;
    double fraction = frexp(x, &exponent);
    return ldexp(floor(ldexp(fraction, 29) + 0.5), exponent - 29);
}

/* f_part(x_worker) = prod over m off the support of (1 - x_worker / x_m). On the unit circle
 * 1 - exp(2 i a) = 2 sin(a) exp(i (a - pi/2)), so that moduli multiply and angles add up. */
static void drc_coefficient(const draco_code *code, int part, int worker, double value[2]) {
    int n = code->n, m, factors = 0;
    long halves = 0; /* of the angle 2 pi / n */
    double modulus = 1, angle;
    for (m = 0; m < n; m++) {
        int turn = (worker - m + n) % n;
        if (drc_supported(code, (m - part + n) % n)) continue;
        modulus *= 2 * sin(DRC_PI * turn / n);
        halves += turn;
        factors++;
    }
    angle = DRC_PI * (double)(halves % (2 * n)) / n - DRC_PI / 2 * (factors % 4);
    value[0] = drc_short(modulus * cos(angle));
    value[1] = drc_short(modulus * sin(angle));
}

/* Worker i's point of the prime field. */
static uint32_t drc_point(int worker) {
    return (uint32_t)worker + 1;
}

static uint32_t drc_residue(const draco_code *code, int part, int worker) {
    uint32_t above = 1, below = 1, x = drc_point(worker);
    int m;
    for (m = 0; m < code->n; m++) {
        uint32_t y = drc_point(m);
        if (drc_supported(code, (m - part + code->n) % code->n)) continue;
        above = drc_mul(above, drc_sub(y, x));
        below = drc_mul(below, y);
    }
    return drc_mul(above, drc_inverse(below));
}

DRACO_CODES_API draco_status draco_code_coefficient(const draco_code *code, int part, int worker,
                                                    double value[2]) {
    draco_status ready = drc_ready(code);
    if (ready != DRACO_OK) return ready;
    if (part < 0 || part >= code->parts || worker < 0 || worker >= code->n) return DRACO_E_INDEX;
    if (!value) return DRACO_E_NULL;
    value[0] = value[1] = 0;
    if (!draco_code_holds(code, worker, part)) return DRACO_OK;
    if (drc_complex(code))
        drc_coefficient(code, part, worker, value);
    else
        value[0] = drc_prime(code) ? drc_residue(code, part, worker) : 1;
    return DRACO_OK;
}

/* ---- Messages ---- */

#define DRC_MAX_D (((size_t)-1) / 8)

DRACO_CODES_API size_t draco_message_bytes(const draco_code *code, size_t d) {
    if (!drc_valid(code) || d > DRC_MAX_D) return 0;
    return 4 * (drc_complex(code) ? d + d % 2 : d);
}

/* A code and a number of coordinates that a call can work with. */
static draco_status drc_ready_for(const draco_code *code, size_t d) {
    draco_status status = drc_ready(code);
    return status == DRACO_OK && draco_message_bytes(code, d) == 0 ? DRACO_E_ARGUMENT : status;
}

DRACO_CODES_API draco_status draco_encode_begin(const draco_code *code, size_t d, void *message) {
    draco_status ready = drc_ready_for(code, d);
    if (ready != DRACO_OK) return ready;
    if (!message) return DRACO_E_NULL;
    if (drc_cyclic(code)) memset(message, 0, draco_message_bytes(code, d));
    return DRACO_OK;
}

/* message += (re + i im) * gradient, pair by pair, rounded to float once a pair. */
DRC_INLINE void drc_encode_plain(float *message, const float *gradient, size_t pairs, double re, double im) {
    size_t j;
    for (j = 0; j < pairs; j++) {
        double x = (double)gradient[2 * j], y = (double)gradient[2 * j + 1];
        message[2 * j] = (float)((double)message[2 * j] + re * x - im * y);
        message[2 * j + 1] = (float)((double)message[2 * j + 1] + re * y + im * x);
    }
}
DRC_KERNEL(drc_encode, (float *message, const float *gradient, size_t pairs, double re, double im),
           (message, gradient, pairs, re, im))

static void drc_encode_complex(float *message, const float *gradient, size_t d, const double value[2]) {
    float last[2];
    drc_encode(message, gradient, d / 2, value[0], value[1]);
    if (d % 2 == 0) return;
    last[0] = gradient[d - 1];
    last[1] = 0;
    drc_encode(message + d - 1, last, 1, value[0], value[1]);
}

/* ---- Quantisation (prime field) ---- */

/* The largest bit pattern of |gradient|: floats of one sign are ordered as their bits are. */
DRC_INLINE void drc_largest_plain(const float *gradient, size_t count, uint32_t *largest) {
    uint32_t most = 0;
    size_t c;
    for (c = 0; c < count; c++) {
        uint32_t bits;
        memcpy(&bits, gradient + c, sizeof bits);
        bits &= 0x7fffffffu;
        most = bits > most ? bits : most;
    }
    *largest = most;
}
DRC_KERNEL(drc_largest, (const float *gradient, size_t count, uint32_t *largest), (gradient, count, largest))

/* Exponent byte of a block: 0: all zero; b in 1..254: every |g| < 2^(b - 126); 255: NaN or Inf. */
static uint8_t drc_exponent(const float *gradient, size_t count) {
    uint32_t largest;
    drc_largest(gradient, count, &largest);
    return (uint8_t)((largest >> 23) + (largest > 0 && largest >> 23 == 0));
}

/* |q| <= 2^bits <= (p - 1) / (2 n): n of them add up without wrapping. */
static int drc_bits(const draco_code *code) {
    uint32_t most = (DRC_P - 1) / 2 / (uint32_t)code->n;
    int bits = 0;
    while (most >> (bits + 1)) bits++;
    return bits;
}

/* What one unit of q is worth in a block of this exponent. */
static double drc_unit(const draco_code *code, uint8_t exponent) {
    return ldexp(1.0, (int)exponent - 126 - drc_bits(code));
}

static size_t drc_in_block(size_t d, size_t first) {
    return d - first < DRACO_BLOCK ? d - first : DRACO_BLOCK;
}

DRACO_CODES_API size_t draco_exponent_bytes(size_t d) {
    return d / DRACO_BLOCK + (d % DRACO_BLOCK != 0);
}

DRACO_CODES_API draco_status draco_exponents_of(const draco_code *code, const float *gradient, size_t d,
                                                uint8_t *exponents) {
    draco_status ready = drc_ready_for(code, d);
    size_t at;
    uint32_t largest;
    if (ready != DRACO_OK) return ready;
    if (!gradient || !exponents) return DRACO_E_NULL;
    drc_largest(gradient, d, &largest);
    if (largest >= 0x7f800000u) return DRACO_E_RANGE;
    for (at = 0; at < d; at += DRACO_BLOCK) {
        exponents[at / DRACO_BLOCK] = drc_exponent(gradient + at, drc_in_block(d, at));
    }
    return DRACO_OK;
}

/* message += coefficient * q mod p, where q = gradient / unit rounded to the nearest integer, halves away
 * from zero. |gradient / unit| <= 2^30, and adding a half to 24 bits is exact: the cast truncates. */
DRC_INLINE void drc_quantise_plain(uint32_t *message, const float *gradient, size_t count, double per_unit,
                                   uint32_t coefficient) {
    size_t c;
    for (c = 0; c < count; c++) {
        double x = (double)gradient[c] * per_unit;
        int32_t q = (int32_t)(x + (x < 0 ? -0.5 : 0.5));
        uint32_t residue = (uint32_t)q + (q < 0 ? DRC_P : 0);
        message[c] = drc_mod(message[c] + (uint64_t)residue * coefficient);
    }
}
DRC_KERNEL(drc_quantise,
           (uint32_t * message, const float *gradient, size_t count, double per_unit, uint32_t coefficient),
           (message, gradient, count, per_unit, coefficient))

static draco_status drc_encode_prime(const draco_code *code, uint32_t *message, const float *gradient,
                                     size_t d, const uint8_t *exponents, uint32_t coefficient) {
    size_t at;
    for (at = 0; at < d; at += DRACO_BLOCK) {
        uint8_t own = drc_exponent(gradient + at, drc_in_block(d, at));
        if (exponents[at / DRACO_BLOCK] == 255 || own > exponents[at / DRACO_BLOCK]) return DRACO_E_RANGE;
    }
    for (at = 0; at < d; at += DRACO_BLOCK) {
        uint8_t exponent = exponents[at / DRACO_BLOCK];
        if (exponent == 0) continue;
        drc_quantise(message + at, gradient + at, drc_in_block(d, at), 1 / drc_unit(code, exponent),
                     coefficient);
    }
    return DRACO_OK;
}

DRACO_CODES_API draco_status draco_encode_add(const draco_code *code, int worker, int part,
                                              const float *gradient, size_t d, const uint8_t *exponents,
                                              void *message) {
    draco_status ready = drc_ready_for(code, d);
    double value[2];
    if (ready != DRACO_OK) return ready;
    if (!gradient || !message) return DRACO_E_NULL;
    if (!draco_code_holds(code, worker, part)) return DRACO_E_INDEX;
    draco_code_coefficient(code, part, worker, value);
    if (drc_prime(code)) {
        if (!exponents) return DRACO_E_NULL;
        return drc_encode_prime(code, (uint32_t *)message, gradient, d, exponents, (uint32_t)value[0]);
    }
    if (drc_complex(code))
        drc_encode_complex((float *)message, gradient, d, value);
    else
        memcpy(message, gradient, 4 * d);
    return DRACO_OK;
}

/* ---- The exponents of a round (prime field) ---- */

static size_t drc_align(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

static void drc_count(const draco_code *code, const draco_verdict *verdicts, draco_report *report) {
    int i;
    memset(report, 0, sizeof *report);
    report->group = -1;
    report->gain = 1;
    for (i = 0; i < code->n; i++) {
        report->agreed += verdicts[i] == DRACO_AGREES;
        report->blamed += verdicts[i] == DRACO_BLAMED;
        report->absent += verdicts[i] == DRACO_ABSENT;
        report->malformed += verdicts[i] == DRACO_MALFORMED;
        report->undecided += verdicts[i] == DRACO_UNDECIDED;
    }
    report->present = code->n - report->absent - report->malformed;
    report->spare = 2 * code->s + code->t - 2 * report->blamed - report->absent - report->malformed;
}

typedef struct drc_ballots {
    const uint8_t **winners; /* parts */
    const void **ballots;    /* r holders of one part */
    draco_verdict *holders;  /* r */
    draco_verdict *workers;  /* n */
} drc_ballots;

DRACO_CODES_API size_t draco_exponents_work_bytes(const draco_code *code, size_t d) {
    size_t n, r;
    if (draco_message_bytes(code, d) == 0) return 0;
    n = (size_t)code->n;
    r = (size_t)code->r;
    return drc_align(n * sizeof(void *)) + drc_align(r * sizeof(void *)) +
           drc_align(r * sizeof(draco_verdict)) + drc_align(n * sizeof(draco_verdict));
}

static drc_ballots drc_lay_ballots(const draco_code *code, void *work) {
    drc_ballots b;
    unsigned char *at = (unsigned char *)work;
    b.winners = (const uint8_t **)work;
    b.ballots = (const void **)(void *)(at += drc_align((size_t)code->n * sizeof(void *)));
    b.holders = (draco_verdict *)(void *)(at += drc_align((size_t)code->r * sizeof(void *)));
    b.workers = (draco_verdict *)(void *)(at += drc_align((size_t)code->r * sizeof(draco_verdict)));
    return b;
}

/* The l-th holder of a part is the worker whose l-th part it is. */
static draco_status drc_vote_part(const draco_code *code, const uint8_t *const *reports, size_t bytes,
                                  size_t quorum, int part, drc_ballots *b) {
    size_t winner;
    int l;
    draco_status status;
    for (l = 0; l < code->r; l++) {
        int worker = (part + drc_offset(code, l)) % code->n;
        b->ballots[l] = b->workers[worker] >= DRACO_ABSENT ? NULL : reports[worker] + (size_t)l * bytes;
    }
    status = draco_vote_exact(b->ballots, (size_t)code->r, bytes, quorum, &winner, b->holders);
    if (status != DRACO_OK) return status;
    b->winners[part] = (const uint8_t *)b->ballots[winner];
    for (l = 0; l < code->r; l++) {
        int worker = (part + drc_offset(code, l)) % code->n;
        if (b->holders[l] == DRACO_BLAMED) b->workers[worker] = DRACO_BLAMED;
    }
    return DRACO_OK;
}

/* The largest exponent over the parts, block by block. Exponents of parts that were decided are below 255. */
static void drc_agree(const draco_code *code, const uint8_t *const *winners, size_t bytes, uint8_t *agreed) {
    size_t b;
    int part;
    memset(agreed, 0, bytes);
    for (part = 0; part < code->parts; part++) {
        for (b = 0; b < bytes; b++) {
            if (winners[part][b] > agreed[b]) agreed[b] = winners[part][b];
        }
    }
}

/* At most (2s + t - missing) / 2 of those present lie, and every part keeps more honest holders than that. */
static draco_status drc_vote_parts(const draco_code *code, const uint8_t *const *reports, size_t bytes,
                                   drc_ballots *b) {
    int spare = 2 * code->s + code->t, part, i, blamed = 0;
    draco_status status = DRACO_OK, first = DRACO_OK;
    for (i = 0; i < code->n; i++) spare -= b->workers[i] >= DRACO_ABSENT;
    if (spare < 0) return DRACO_E_TOO_MANY_MISSING;
    for (part = 0; part < code->parts; part++) {
        status = drc_vote_part(code, reports, bytes, (size_t)(spare / 2 + 1), part, b);
        if (first == DRACO_OK) first = status;
    }
    for (i = 0; i < code->n; i++) blamed += b->workers[i] == DRACO_BLAMED;
    if (first == DRACO_OK && blamed > spare / 2) first = DRACO_E_AMBIGUOUS;
    if (first != DRACO_OK) return first;
    for (i = 0; i < code->n; i++) {
        if (b->workers[i] == DRACO_UNDECIDED) b->workers[i] = DRACO_AGREES;
    }
    return spare == 0 ? DRACO_UNVERIFIED : DRACO_OK;
}

DRACO_CODES_API draco_status draco_exponents_decide(const draco_code *code, const uint8_t *const *reports,
                                                    size_t d, void *work, uint8_t *agreed,
                                                    draco_verdict *verdicts, draco_report *report) {
    size_t bytes = draco_exponent_bytes(d);
    drc_ballots b;
    draco_status status = drc_ready_for(code, d);
    int i;
    if (status != DRACO_OK) return status;
    if (!drc_prime(code)) return DRACO_E_ARGUMENT;
    if (!reports || !work || !agreed || !verdicts || !report) return DRACO_E_NULL;
    b = drc_lay_ballots(code, work);
    for (i = 0; i < code->n; i++) {
        b.workers[i] = !reports[i]                                        ? DRACO_ABSENT
                       : memchr(reports[i], 255, (size_t)code->r * bytes) ? DRACO_MALFORMED
                                                                          : DRACO_UNDECIDED;
    }
    status = drc_vote_parts(code, reports, bytes, &b);
    memcpy(verdicts, b.workers, (size_t)code->n * sizeof *verdicts);
    drc_count(code, verdicts, report);
    if (status >= 0) drc_agree(code, b.winners, bytes, agreed);
    return status;
}

/* ---- Sketch ---- */

/* Every sketch begins with what was folded. */
typedef struct drc_sketch {
    uint64_t offset, bytes; /* where the range begins in the message; bytes taken in so far */
    uint8_t carry[4];       /* the bytes % 4 of a coordinate that has begun */
    uint32_t outside;       /* prime: a residue was p or more */
} drc_sketch;

/* Repetition: a fingerprint. */
typedef struct drc_print {
    drc_sketch head;
    draco_fingerprint print;
} drc_print;

/* Cyclic: coordinate c is added to lane c mod 512, times the factor of its row c / 512, in each of several
 * independent folds. */
#define DRC_LANES 512
#define DRC_ROWS 8 /* DRACO_BLOCK / LANES: folded at a time */
#define DRC_TABLE 2048
#define DRC_FOLDS 4       /* complex */
#define DRC_PROJECTIONS 8 /* complex: numbers a message that locate works on */
#define DRC_MAX_BYTES ((uint64_t)4 * DRC_LANES * DRC_TABLE * DRC_TABLE)

/* Row b's factor is low[b mod 2048] * high[b / 2048]. */
typedef struct drc_complex_key {
    float low[DRC_FOLDS][DRC_TABLE];
    float high[DRC_FOLDS][DRC_TABLE];
    float lane[DRC_FOLDS][DRC_LANES / 2][DRC_PROJECTIONS];
} drc_complex_key;

typedef struct drc_prime_key {
    uint32_t low[2][DRC_TABLE];
    uint32_t high[2][DRC_TABLE];
    uint32_t lane[2][DRC_LANES];
} drc_prime_key;

typedef struct drc_complex_sketch {
    drc_sketch head;
    double lanes[DRC_FOLDS + 1][DRC_LANES]; /* the last: sums of squares */
} drc_complex_sketch;

typedef struct drc_prime_sketch {
    drc_sketch head;
    uint64_t lanes[2][DRC_LANES]; /* residues */
} drc_prime_sketch;

DRACO_CODES_API size_t draco_sketch_key_bytes(const draco_code *code) {
    if (!drc_valid(code)) return 0;
    if (drc_complex(code)) return sizeof(drc_complex_key);
    if (drc_prime(code)) return sizeof(drc_prime_key);
    return sizeof(draco_fingerprint_key);
}

DRACO_CODES_API size_t draco_sketch_bytes(const draco_code *code) {
    if (!drc_valid(code)) return 0;
    if (drc_complex(code)) return sizeof(drc_complex_sketch);
    if (drc_prime(code)) return sizeof(drc_prime_sketch);
    return sizeof(drc_print);
}

/* Random bits to a number of random sign in [1, 2): 24 bits that no sum can bring near 0 by chance alone. */
static void drc_signed_units(float *values, size_t count) {
    size_t i;
    for (i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        bits = (bits & 0x807fffffu) | 0x3f800000u;
        memcpy(values + i, &bits, sizeof bits);
    }
}

static void drc_residues(uint32_t *values, size_t count) {
    size_t i;
    for (i = 0; i < count; i++) values[i] = drc_mod(values[i]);
}

DRACO_CODES_API draco_status draco_sketch_key_init(const draco_code *code, const draco_seed *seed,
                                                   void *key) {
    draco_status ready = drc_ready(code);
    if (ready != DRACO_OK) return ready;
    if (!seed || !key) return DRACO_E_NULL;
    if (!drc_cyclic(code)) {
        draco_fingerprint_key_init((draco_fingerprint_key *)key, seed);
        return DRACO_OK;
    }
    draco_seed_expand(seed, 1, key, draco_sketch_key_bytes(code));
    if (drc_complex(code))
        drc_signed_units((float *)key, sizeof(drc_complex_key) / sizeof(float));
    else
        drc_residues((uint32_t *)key, sizeof(drc_prime_key) / sizeof(uint32_t));
    return DRACO_OK;
}

DRACO_CODES_API draco_status draco_sketch_begin(const draco_code *code, uint64_t offset, void *sketch) {
    drc_sketch *head = (drc_sketch *)sketch;
    draco_status ready = drc_ready(code);
    if (ready != DRACO_OK) return ready;
    if (!sketch) return DRACO_E_NULL;
    if (offset % (4 * DRACO_BLOCK) != 0) return DRACO_E_ARGUMENT;
    memset(sketch, 0, draco_sketch_bytes(code));
    head->offset = offset;
    if (!drc_cyclic(code)) draco_fingerprint_begin(&((drc_print *)sketch)->print, offset);
    return DRACO_OK;
}

/* Row by row, so that a lane's sum runs in the order of the coordinates; next: what is wanted soon. */
DRC_INLINE void drc_fold_complex_plain(double *lanes, const float *x, const double *factors,
                                       const float *next) {
    const int n = DRC_LANES, rows = DRC_ROWS;
    int at, k, b;
    for (at = 0; at < n; at += 16) {
        for (b = 0; b < rows; b++) DRC_FETCH(next + b * n + at);
        for (k = at; k < at + 16; k++) {
            double s0 = lanes[k], s1 = lanes[n + k], s2 = lanes[2 * n + k], s3 = lanes[3 * n + k];
            double squares = lanes[4 * n + k];
            for (b = 0; b < rows; b++) {
                double v = (double)x[b * n + k];
                s0 += factors[b] * v;
                s1 += factors[rows + b] * v;
                s2 += factors[2 * rows + b] * v;
                s3 += factors[3 * rows + b] * v;
                squares += v * v;
            }
            lanes[k] = s0;
            lanes[n + k] = s1;
            lanes[2 * n + k] = s2;
            lanes[3 * n + k] = s3;
            lanes[4 * n + k] = squares;
        }
    }
}
DRC_KERNEL(drc_fold_complex, (double *lanes, const float *x, const double *factors, const float *next),
           (lanes, x, factors, next))

/* Products are under 2^62: three can be added before the next lazy reduction. */
DRC_INLINE void drc_fold_prime_plain(uint64_t *lanes, const uint32_t *x, const uint32_t *factors,
                                     const uint32_t *next, uint32_t *largest) {
    const int n = DRC_LANES, rows = DRC_ROWS;
    uint32_t most = 0;
    int k, b;
    (void)next;
    for (k = 0; k < n; k++) {
        uint64_t s0 = lanes[k], s1 = lanes[n + k];
        for (b = 0; b < rows; b++) {
            uint32_t v = x[b * n + k];
            most = v > most ? v : most;
            s0 += (uint64_t)v * factors[b];
            s1 += (uint64_t)v * factors[rows + b];
            if (b % 3 != 2) continue;
            s0 = drc_lazy(s0);
            s1 = drc_lazy(s1);
        }
        lanes[k] = drc_mod(s0);
        lanes[n + k] = drc_mod(s1);
    }
    *largest = most;
}

#ifdef DRC_X86
DRC_AVX512 DRC_INLINE __m512i drc_lazy_avx512(__m512i v) {
    return _mm512_add_epi64(_mm512_and_si512(v, _mm512_set1_epi64(DRC_P)),
                            _mm512_maskz_srli_epi64(0xff, v, 31));
}

DRC_AVX512 DRC_INLINE __m512i drc_mod_avx512(__m512i v) {
    v = drc_lazy_avx512(drc_lazy_avx512(v));
    return _mm512_maskz_min_epu64(0xff, v, _mm512_sub_epi64(v, _mm512_set1_epi64(DRC_P)));
}

DRC_AVX2 DRC_INLINE __m256i drc_lazy_avx2(__m256i v) {
    return _mm256_add_epi64(_mm256_and_si256(v, _mm256_set1_epi64x(DRC_P)), _mm256_srli_epi64(v, 31));
}

/* Where v - p is negative its sign picks v. */
DRC_AVX2 DRC_INLINE __m256i drc_mod_avx2(__m256i v) {
    __m256i less;
    v = drc_lazy_avx2(drc_lazy_avx2(v));
    less = _mm256_sub_epi64(v, _mm256_set1_epi64x(DRC_P));
    return _mm256_castpd_si256(
        _mm256_blendv_pd(_mm256_castsi256_pd(less), _mm256_castsi256_pd(v), _mm256_castsi256_pd(less)));
}

DRC_AVX512 static void drc_fold_prime_avx512(uint64_t *lanes, const uint32_t *x, const uint32_t *factors,
                                             const uint32_t *next, uint32_t *largest) {
    const int n = DRC_LANES, rows = DRC_ROWS;
    __m512i most = _mm512_setzero_si512();
    uint32_t parts[16];
    int k, b;
    for (k = 0; k < n; k += 8) {
        __m512i s0 = _mm512_loadu_si512(lanes + k), s1 = _mm512_loadu_si512(lanes + n + k);
        for (b = 0; b < rows; b++) {
            __m512i v = _mm512_maskz_cvtepu32_epi64(
                0xff, _mm256_loadu_si256((const __m256i *)(const void *)(x + b * n + k)));
            if (k % 16 == 0) DRC_FETCH(next + b * n + k);
            most = _mm512_maskz_max_epu32(0xffff, most, v);
            s0 = _mm512_add_epi64(s0, _mm512_maskz_mul_epu32(0xff, v, _mm512_set1_epi64(factors[b])));
            s1 = _mm512_add_epi64(s1, _mm512_maskz_mul_epu32(0xff, v, _mm512_set1_epi64(factors[rows + b])));
            if (b % 3 != 2) continue;
            s0 = drc_lazy_avx512(s0);
            s1 = drc_lazy_avx512(s1);
        }
        _mm512_storeu_si512(lanes + k, drc_mod_avx512(s0));
        _mm512_storeu_si512(lanes + n + k, drc_mod_avx512(s1));
    }
    _mm512_storeu_si512(parts, most);
    for (k = 2, *largest = parts[0]; k < 16; k += 2) *largest = parts[k] > *largest ? parts[k] : *largest;
}

DRC_AVX2 static void drc_fold_prime_avx2(uint64_t *lanes, const uint32_t *x, const uint32_t *factors,
                                         const uint32_t *next, uint32_t *largest) {
    const int n = DRC_LANES, rows = DRC_ROWS;
    __m256i most = _mm256_setzero_si256();
    uint32_t parts[8];
    int k, b;
    for (k = 0; k < n; k += 4) {
        __m256i *to0 = (__m256i *)(void *)(lanes + k), *to1 = (__m256i *)(void *)(lanes + n + k);
        __m256i s0 = _mm256_loadu_si256(to0), s1 = _mm256_loadu_si256(to1);
        for (b = 0; b < rows; b++) {
            __m256i v =
                _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(const void *)(x + b * n + k)));
            if (k % 16 == 0) DRC_FETCH(next + b * n + k);
            most = _mm256_max_epu32(most, v);
            s0 = _mm256_add_epi64(s0, _mm256_mul_epu32(v, _mm256_set1_epi64x(factors[b])));
            s1 = _mm256_add_epi64(s1, _mm256_mul_epu32(v, _mm256_set1_epi64x(factors[rows + b])));
            if (b % 3 != 2) continue;
            s0 = drc_lazy_avx2(s0);
            s1 = drc_lazy_avx2(s1);
        }
        _mm256_storeu_si256(to0, drc_mod_avx2(s0));
        _mm256_storeu_si256(to1, drc_mod_avx2(s1));
    }
    _mm256_storeu_si256((__m256i *)(void *)parts, most);
    for (k = 2, *largest = parts[0]; k < 8; k += 2) *largest = parts[k] > *largest ? parts[k] : *largest;
}

DRC_CHOOSE(drc_fold_prime,
           (uint64_t * lanes, const uint32_t *x, const uint32_t *factors, const uint32_t *next,
            uint32_t *largest),
           (lanes, x, factors, next, largest))
#else
DRC_KERNEL(drc_fold_prime,
           (uint64_t * lanes, const uint32_t *x, const uint32_t *factors, const uint32_t *next,
            uint32_t *largest),
           (lanes, x, factors, next, largest))
#endif

/* The factors of rows row..row+7, fold after fold; row is a multiple of 8. In float a product keeps 24 bits.
 */
static void drc_complex_factors(const drc_complex_key *key, uint64_t row, double *factors) {
    size_t low = (size_t)(row % DRC_TABLE), high = (size_t)(row / DRC_TABLE), b, f;
    for (f = 0; f < DRC_FOLDS; f++) {
        for (b = 0; b < DRC_ROWS; b++) {
            float product = key->low[f][low + b] * key->high[f][high];
            factors[f * DRC_ROWS + b] = (double)product;
        }
    }
}

static void drc_prime_factors(const drc_prime_key *key, uint64_t row, uint32_t *factors) {
    size_t low = (size_t)(row % DRC_TABLE), high = (size_t)(row / DRC_TABLE), b, f;
    for (f = 0; f < 2; f++) {
        for (b = 0; b < DRC_ROWS; b++) {
            factors[f * DRC_ROWS + b] = drc_mul(key->low[f][low + b], key->high[f][high]);
        }
    }
}

/* A whole block, at an aligned address; next: the block after it, or itself. */
static void drc_fold_block(const draco_code *code, const void *key, void *sketch, uint64_t row, const void *x,
                           const void *next) {
    if (drc_complex(code)) {
        double factors[DRC_FOLDS * DRC_ROWS];
        drc_complex_factors((const drc_complex_key *)key, row, factors);
        drc_fold_complex(((drc_complex_sketch *)sketch)->lanes[0], (const float *)x, factors,
                         (const float *)next);
    } else {
        uint32_t factors[2 * DRC_ROWS], largest;
        drc_prime_factors((const drc_prime_key *)key, row, factors);
        drc_fold_prime(((drc_prime_sketch *)sketch)->lanes[0], (const uint32_t *)x, factors,
                       (const uint32_t *)next, &largest);
        if (largest >= DRC_P) ((drc_sketch *)sketch)->outside = 1;
    }
}

/* A piece of a block, coordinate by coordinate, with the bits that a whole block gives. */
static void drc_fold_piece_complex(const drc_complex_key *key, drc_complex_sketch *sketch,
                                   uint64_t coordinate, const unsigned char *bytes, size_t count) {
    double factors[DRC_FOLDS * DRC_ROWS];
    size_t inside = (size_t)(coordinate % DRACO_BLOCK), c, f;
    drc_complex_factors(key, (coordinate - inside) / DRC_LANES, factors);
    for (c = 0; c < count; c++) {
        size_t row = (inside + c) / DRC_LANES, k = (inside + c) % DRC_LANES;
        float v;
        memcpy(&v, bytes + 4 * c, sizeof v);
        for (f = 0; f < DRC_FOLDS; f++) {
            sketch->lanes[f][k] += factors[f * DRC_ROWS + row] * (double)v;
        }
        sketch->lanes[f][k] += (double)v * (double)v;
    }
}

static void drc_fold_piece_prime(const drc_prime_key *key, drc_prime_sketch *sketch, uint64_t coordinate,
                                 const unsigned char *bytes, size_t count) {
    uint32_t factors[2 * DRC_ROWS];
    size_t inside = (size_t)(coordinate % DRACO_BLOCK), c, f;
    drc_prime_factors(key, (coordinate - inside) / DRC_LANES, factors);
    for (c = 0; c < count; c++) {
        size_t row = (inside + c) / DRC_LANES, k = (inside + c) % DRC_LANES;
        uint32_t v;
        memcpy(&v, bytes + 4 * c, sizeof v);
        if (v >= DRC_P) sketch->head.outside = 1;
        for (f = 0; f < 2; f++) {
            sketch->lanes[f][k] = drc_mod(sketch->lanes[f][k] + (uint64_t)v * factors[f * DRC_ROWS + row]);
        }
    }
}

/* Folds a piece of at most one block, none of another block. */
static void drc_fold(const draco_code *code, const void *key, void *sketch, uint64_t coordinate,
                     const unsigned char *bytes, size_t count, size_t after) {
    uint32_t aligned[DRACO_BLOCK];
    const unsigned char *next = after >= DRACO_BLOCK ? bytes + 4 * DRACO_BLOCK : bytes;
    if (count == DRACO_BLOCK) {
        if ((uintptr_t)bytes % 4 != 0) {
            memcpy(aligned, bytes, sizeof aligned);
            bytes = next = (const unsigned char *)aligned;
        }
        drc_fold_block(code, key, sketch, coordinate / DRC_LANES, bytes, next);
    } else if (drc_complex(code)) {
        drc_fold_piece_complex((const drc_complex_key *)key, (drc_complex_sketch *)sketch, coordinate, bytes,
                               count);
    } else {
        drc_fold_piece_prime((const drc_prime_key *)key, (drc_prime_sketch *)sketch, coordinate, bytes,
                             count);
    }
}

/* Coordinates from the bytes as they come; one that is cut in two by a chunk waits in `carry`. */
static void drc_fold_bytes(const draco_code *code, const void *key, void *sketch, const unsigned char *bytes,
                           size_t n) {
    drc_sketch *head = (drc_sketch *)sketch;
    while (n > 0) {
        size_t begun = (size_t)(head->bytes % 4), take, inside;
        uint64_t coordinate = (head->offset + head->bytes) / 4;
        if (begun > 0 || n < 4) {
            take = n < 4 - begun ? n : 4 - begun;
            memcpy(head->carry + begun, bytes, take);
            if (begun + take == 4) drc_fold(code, key, sketch, coordinate, head->carry, 1, 0);
        } else {
            inside = (size_t)(coordinate % DRACO_BLOCK);
            take = n / 4 < DRACO_BLOCK - inside ? n / 4 : DRACO_BLOCK - inside;
            drc_fold(code, key, sketch, coordinate, bytes, take, n / 4 - take);
            take *= 4;
        }
        head->bytes += take;
        bytes += take;
        n -= take;
    }
}

DRACO_CODES_API draco_status draco_sketch_add(const draco_code *code, const void *key, void *sketch,
                                              const void *bytes, size_t n) {
    drc_sketch *head = (drc_sketch *)sketch;
    draco_status ready = drc_ready(code);
    if (ready != DRACO_OK) return ready;
    if (!key || !sketch || (!bytes && n > 0)) return DRACO_E_NULL;
    if (head->offset + head->bytes > DRC_MAX_BYTES || DRC_MAX_BYTES - head->offset - head->bytes < n)
        return DRACO_E_ARGUMENT;
    if (drc_cyclic(code)) {
        drc_fold_bytes(code, key, sketch, (const unsigned char *)bytes, n);
    } else {
        draco_fingerprint_add(&((drc_print *)sketch)->print, (const draco_fingerprint_key *)key, bytes, n);
        head->bytes += n;
    }
    return DRACO_OK;
}

DRACO_CODES_API draco_status draco_sketch_merge(const draco_code *code, const void *key, void *into,
                                                const void *from) {
    drc_sketch *a = (drc_sketch *)into;
    const drc_sketch *b = (const drc_sketch *)from;
    draco_status ready = drc_ready(code);
    size_t i;
    if (ready != DRACO_OK) return ready;
    if (!key || !into || !from) return DRACO_E_NULL;
    a->bytes += b->bytes;
    a->outside |= b->outside;
    if (drc_complex(code)) {
        double *to = ((drc_complex_sketch *)into)->lanes[0];
        const double *add = ((const drc_complex_sketch *)from)->lanes[0];
        for (i = 0; i < (DRC_FOLDS + 1) * DRC_LANES; i++) to[i] += add[i];
    } else if (drc_prime(code)) {
        uint64_t *to = ((drc_prime_sketch *)into)->lanes[0];
        const uint64_t *add = ((const drc_prime_sketch *)from)->lanes[0];
        for (i = 0; i < 2 * DRC_LANES; i++) to[i] = drc_mod(to[i] + add[i]);
    } else {
        draco_fingerprint_merge(&((drc_print *)into)->print, (const draco_fingerprint_key *)key,
                                &((const drc_print *)from)->print);
    }
    return DRACO_OK;
}

DRACO_CODES_API draco_status draco_sketch_token(const draco_code *code, const void *key, const void *sketch,
                                                uint8_t token[DRACO_TOKEN_BYTES]) {
    const drc_print *p = (const drc_print *)sketch;
    draco_status ready = drc_ready(code);
    if (ready != DRACO_OK) return ready;
    if (drc_cyclic(code)) return DRACO_E_ARGUMENT;
    if (!key || !sketch || !token) return DRACO_E_NULL;
    draco_fingerprint_finish(&p->print, (const draco_fingerprint_key *)key, token);
    return DRACO_OK;
}

/* ---- Locate, repetition ---- */

/* What can be said of a message before it is compared with others. */
static draco_verdict drc_first_look(const draco_code *code, size_t d, const void *sketch) {
    const drc_sketch *head = (const drc_sketch *)sketch;
    if (!sketch) return DRACO_ABSENT;
    return head->bytes == draco_message_bytes(code, d) ? DRACO_UNDECIDED : DRACO_MALFORMED;
}

typedef struct drc_vote {
    draco_verdict *verdicts; /* of the members of one group */
    unsigned char *chosen;   /* per worker: its message stands for its group */
    void *box;
} drc_vote;

static size_t drc_group_size(const draco_code *code, int group) {
    return (size_t)((code->n - group + code->groups - 1) / code->groups);
}

static size_t drc_vote_bytes(const draco_code *code) {
    size_t n = (size_t)code->n, members = drc_group_size(code, 0);
    return drc_align(members * sizeof(draco_verdict)) + drc_align(n) +
           drc_align(draco_tally_bytes(members, DRACO_TOKEN_BYTES));
}

/* Member m of a group is worker group + m * groups. */
static draco_status drc_vote_group(const draco_code *code, const void *key, size_t d,
                                   const void *const *sketches, int group, drc_vote *vote,
                                   draco_verdict *verdicts) {
    size_t members = drc_group_size(code, group), m, winner = 0;
    draco_tally box;
    draco_status status = draco_tally_open(&box, members, DRACO_TOKEN_BYTES, (size_t)code->s + 1, vote->box);
    for (m = 0; m < members && status >= 0; m++) {
        size_t worker = (size_t)group + m * (size_t)code->groups;
        uint8_t token[DRACO_TOKEN_BYTES];
        verdicts[worker] = drc_first_look(code, d, sketches[worker]);
        if (verdicts[worker] == DRACO_UNDECIDED) {
            draco_sketch_token(code, key, sketches[worker], token);
            draco_tally_cast(&box, m, token);
        } else {
            status = draco_tally_spoil(&box, m, verdicts[worker]);
        }
    }
    if (status == DRACO_OK) status = draco_tally_close(&box, &winner, vote->verdicts);
    if (status != DRACO_OK) return status;
    for (m = 0; m < members; m++) {
        verdicts[(size_t)group + m * (size_t)code->groups] = vote->verdicts[m];
    }
    vote->chosen[(size_t)group + winner * (size_t)code->groups] = 1;
    return DRACO_OK;
}

static draco_status drc_locate_vote(const draco_code *code, const void *key, size_t d,
                                    const void *const *sketches, void *work, double *weights,
                                    draco_verdict *verdicts, draco_report *report) {
    size_t n = (size_t)code->n, members = drc_group_size(code, 0), i;
    drc_vote vote;
    draco_status status = DRACO_OK;
    int g, undecided = -1, spare = 2 * code->s + code->t;
    vote.verdicts = (draco_verdict *)work;
    vote.chosen = (unsigned char *)work + drc_align(members * sizeof(draco_verdict));
    vote.box = vote.chosen + drc_align(n);
    memset(vote.chosen, 0, n);
    for (g = 0; g < code->groups; g++) {
        draco_status s = drc_vote_group(code, key, d, sketches, g, &vote, verdicts);
        int left = 2 * code->s + code->t;
        for (i = (size_t)g; i < n; i += (size_t)code->groups) {
            left -= verdicts[i] == DRACO_BLAMED ? 2 : verdicts[i] >= DRACO_ABSENT;
        }
        if (left < spare) spare = left;
        if (s == DRACO_OK || undecided >= 0) continue;
        undecided = g;
        status = s;
    }
    drc_count(code, verdicts, report);
    report->spare = spare;
    report->group = undecided;
    if (status != DRACO_OK) return status;
    for (i = 0; i < n; i++) {
        weights[2 * i] = vote.chosen[i];
        weights[2 * i + 1] = 0;
    }
    return DRACO_OK;
}

/* ---- Locate, complex field ---- */

#define DRC_M DRC_PROJECTIONS
#define DRC_GIANT 67108864.0          /* 2^26: rounds by 2^-27 of an honest message in double */
#define DRC_ULP 5.9604644775390625e-8 /* 2^-24: half a unit in the last place of a float near 1 */
#define DRC_ATTEMPTS 16
#define DRC_BUDGET 50000000            /* complex multiplications: a tenth of a second or so */
#define DRC_TINY 1.401298464324817e-45 /* 2^-149: the least float */

/* q = 2s + t parity rows. Columns of v and s lie q apart, the n of v before the m of s. */
typedef struct drc_bench {
    int n, q, out, left;        /* out: missing; left = q - out rows know nothing of the missing */
    double rounding;            /* of a message, in units of 2^-24 of its norm */
    double threshold, expected; /* residuals above are lies; below are noise */
    double *norms;              /* n: of each message */
    drc_c *roots;               /* n: the points */
    drc_c *y;                   /* n x m: projections */
    drc_c *v;                   /* q x n: parity columns of unit length; their last `left` rows are used */
    drc_c *s;                   /* q x m: syndromes; as v */
    drc_c *plain;               /* q x m: syndromes as they were, then annihilated */
    drc_c *a;                   /* q x (q / 2 + 2) and q x q: factorised */
    drc_c *b;                   /* q x (n + m): what is reflected along */
    drc_c *turns;               /* (q / 2 + 1)^2 */
    int *missing, *alive;       /* n each: numbers of workers */
    int *liars, *others;        /* n each: sets of suspects */
    int *former, *grown, *passed;
    double *rank;   /* n */
    int64_t budget; /* column updates that the swaps may still cost */
} drc_bench;

static size_t drc_take(unsigned char **at, size_t bytes) {
    if (*at) *at += drc_align(bytes);
    return drc_align(bytes);
}

/* Lays the bench out in the caller's memory, or with work == NULL only counts the bytes. */
static size_t drc_lay_bench(const draco_code *code, void *work, drc_bench *w) {
    size_t n = (size_t)code->n, q = (size_t)(2 * code->s + code->t), m = DRC_M, half = q / 2 + 2;
    size_t sizes[16], bytes = 0, i, c = sizeof(drc_c);
    void *places[16];
    unsigned char *at = (unsigned char *)work;
    sizes[0] = n * sizeof(double);
    sizes[1] = n * c;
    sizes[2] = n * m * c;
    sizes[3] = q * (n + m) * c;
    sizes[4] = q * m * c;
    sizes[5] = ((q + 2) * half + q * q) * c;
    sizes[6] = (q + 2) * (n + m) * c;
    sizes[7] = half * half * c;
    for (i = 8; i < 15; i++) sizes[i] = n * sizeof(int);
    sizes[15] = n * sizeof(double);
    for (i = 0; i < 16; i++) {
        places[i] = at;
        bytes += drc_take(&at, sizes[i]);
    }
    if (!work) return bytes;
    w->n = code->n;
    w->q = (int)q;
    w->norms = (double *)places[0];
    w->roots = (drc_c *)places[1];
    w->y = (drc_c *)places[2];
    w->v = (drc_c *)places[3];
    w->s = w->v + q * n;
    w->plain = (drc_c *)places[4];
    w->a = (drc_c *)places[5];
    w->b = (drc_c *)places[6];
    w->turns = (drc_c *)places[7];
    w->missing = (int *)places[8];
    w->alive = (int *)places[9];
    w->liars = (int *)places[10];
    w->others = (int *)places[11];
    w->grown = (int *)places[12];
    w->passed = (int *)places[13];
    w->former = (int *)places[14];
    w->rank = (double *)places[15];
    return bytes;
}

/* NaN and Inf stay in the lane they fell into; nothing finite can overflow a double there. */
static int drc_finite(const drc_complex_sketch *sketch) {
    int f, k;
    for (f = 0; f <= DRC_FOLDS; f++) {
        for (k = 0; k < DRC_LANES; k++) {
            if (!(sketch->lanes[f][k] - sketch->lanes[f][k] == 0)) return 0;
        }
    }
    return 1;
}

/* The mean square of the factors that rows of a message of d coordinates met, summed over the folds: what the
 * folds multiply the square norm of noise by. A lane's projection multiplies it by 7/3 more, the mean square
 * of [1, 2). */
static double drc_amplification(const drc_complex_key *key, size_t d) {
    size_t rows = d / DRC_LANES + 1, f, b;
    size_t lows = rows < DRC_TABLE ? rows : DRC_TABLE;
    size_t highs = (rows + DRC_TABLE - 1) / DRC_TABLE;
    double sum = 0;
    if (highs > DRC_TABLE) highs = DRC_TABLE;
    for (f = 0; f < DRC_FOLDS; f++) {
        double low = 0, high = 0;
        for (b = 0; b < lows; b++) low += (double)key->low[f][b] * (double)key->low[f][b];
        for (b = 0; b < highs; b++) high += (double)key->high[f][b] * (double)key->high[f][b];
        sum += low / (double)lows * (high / (double)highs);
    }
    return sum * 7 / 3;
}

/* The lanes, projected: y[j] = sum of key * lane, scaled so that noise keeps its norm. */
static void drc_project(const drc_complex_key *key, const drc_complex_sketch *sketch, double scale,
                        drc_c *y) {
    int f, k, j;
    for (j = 0; j < DRC_M; j++) y[j] = drc_c_of(0, 0);
    for (f = 0; f < DRC_FOLDS; f++) {
        for (k = 0; k < DRC_LANES / 2; k++) {
            double re = sketch->lanes[f][2 * k], im = sketch->lanes[f][2 * k + 1];
            for (j = 0; j < DRC_M; j++) {
                y[j].re += (double)key->lane[f][k][j] * re;
                y[j].im += (double)key->lane[f][k][j] * im;
            }
        }
    }
    for (j = 0; j < DRC_M; j++) y[j] = drc_c_scale(y[j], scale);
}

static double drc_length(const drc_complex_sketch *sketch) {
    double sum = 0;
    int k;
    for (k = 0; k < DRC_LANES; k++) sum += sketch->lanes[DRC_FOLDS][k];
    return sqrt(sum);
}

/* Who is there, and what each one's message looks like from afar. */
static void drc_look(const draco_code *code, const void *key, size_t d, const void *const *sketches,
                     drc_bench *w, draco_verdict *verdicts) {
    const drc_complex_key *k = (const drc_complex_key *)key;
    double scale = 1 / sqrt(drc_amplification(k, d));
    int i, alive = 0;
    w->out = 0;
    for (i = 0; i < w->n; i++) {
        const drc_complex_sketch *sketch = (const drc_complex_sketch *)sketches[i];
        w->roots[i] = drc_root(w->n, i);
        verdicts[i] = drc_first_look(code, d, sketch);
        if (verdicts[i] == DRACO_UNDECIDED && !drc_finite(sketch)) verdicts[i] = DRACO_MALFORMED;
        if (verdicts[i] != DRACO_UNDECIDED) {
            w->missing[w->out++] = i;
            continue;
        }
        w->alive[alive++] = i;
        drc_project(k, sketch, scale, w->y + i * DRC_M);
        w->norms[i] = drc_length(sketch);
    }
    w->left = w->q - w->out;
}

/* What the r additions of encode leave in a message, in units of 2^-24 of its norm. One addition errs by
 * about 0.42 of the sum so far. Unlike gradients: the sums so far grow as sqrt(l), together 0.3 sqrt(r + 1).
 * Equal gradients g: the sums so far are those of the coefficients, and the message is n g. */
static double drc_rounding(const draco_code *code, double *error) {
    double unlike = 0.3 * sqrt(code->r + 1.0), equal = 0, re = 0, im = 0, square = 0, value[2];
    int l;
    for (l = 0; l < code->r; l++) {
        drc_coefficient(code, draco_code_part(code, 0, l), 0, value);
        re += value[0];
        im += value[1];
        equal += re * re + im * im;
        square += value[0] * value[0] + value[1] * value[1];
    }
    *error = DRC_ULP * unlike * sqrt(square) / code->n;
    equal = 0.42 * sqrt(equal) / code->n;
    return equal > unlike ? equal : unlike;
}

/* At most left/2 of those present lie, so that the norm which that many exceed is no larger than the largest
 * honest one. */
static double drc_cap(const drc_bench *w) {
    int i, j, alive = w->n - w->out;
    for (i = 0; i < alive; i++) {
        int larger = 0;
        for (j = 0; j < alive; j++) {
            double mine = w->norms[w->alive[i]], other = w->norms[w->alive[j]];
            larger += other > mine || (other == mine && j < i);
        }
        if (larger == w->left / 2) return w->norms[w->alive[i]];
    }
    return 0;
}

/* Each part is in r > left/2 messages, so no honest message stands out from that many others by such a factor.
 * One that does is a lie for certain, and so large that its rounding in double would drown the syndromes of
 * all others: it is set aside before they are formed, and costs the code no more than a missing one. */
static void drc_set_giants_aside(drc_bench *w, draco_verdict *verdicts) {
    double limit = DRC_GIANT * drc_cap(w);
    int i, kept = 0, alive = w->n - w->out;
    for (i = 0; i < alive; i++) {
        int worker = w->alive[i];
        if (w->norms[worker] > limit) {
            verdicts[worker] = DRACO_BLAMED;
            w->missing[w->out++] = worker;
        } else {
            w->alive[kept++] = worker;
        }
    }
    w->left = w->q - w->out;
}

/* The rounding noise that a message may have. A norm larger than the cap counts as that, and a liar cannot buy
 * a threshold. Allowed is three times the noise expected, more when few syndromes average it. */
static double drc_noise(const draco_code *code, size_t d, const drc_bench *w) {
    double kappa = (2.5 + 2.1 / sqrt((double)w->left)) * w->rounding, sum = 0, cap = drc_cap(w);
    int i, alive = w->n - w->out;
    for (i = 0; i < alive; i++) {
        double norm = w->norms[w->alive[i]] < cap ? w->norms[w->alive[i]] : cap;
        sum += norm * norm;
    }
    return kappa * (DRC_ULP * sqrt(sum / alive) + DRC_TINY * sqrt((double)d * code->r));
}

/* x_i^l */
static drc_c drc_power(const drc_bench *w, int i, int l) {
    return w->roots[(int)((int64_t)i * l % w->n)];
}

/* Parity columns v_i[l] = x_i^(l+1) / sqrt(n), syndromes s = sum of v_i y_i, and both with the missing
 * projected out: a QR of the missing columns leaves in the last rows what is orthogonal to them. */
static void drc_syndromes(drc_bench *w) {
    int i, j, l, q = w->q, m = DRC_M, alive = w->n - w->out;
    double scale = 1 / sqrt((double)w->n);
    for (i = 0; i < w->n; i++) {
        for (l = 0; l < q; l++) {
            w->v[i * q + l] = drc_c_scale(drc_power(w, i, l + 1), scale);
        }
    }
    memset(w->s, 0, (size_t)(q * m) * sizeof *w->s);
    for (i = 0; i < alive; i++) {
        int worker = w->alive[i];
        for (j = 0; j < m; j++) {
            drc_c minus = drc_c_scale(w->y[worker * m + j], -1);
            drc_subtract(w->s + j * q, minus, w->v + worker * q, q);
        }
    }
    memcpy(w->plain, w->s, (size_t)(q * m) * sizeof *w->s);
    for (i = 0; i < w->out; i++) {
        memcpy(w->a + i * q, w->v + w->missing[i] * q, (size_t)q * sizeof *w->a);
    }
    drc_qr(w->a, q, w->out, w->v, w->n + m, q);
}

/* The locator of nu liars: the numbers lambda_0 … lambda_nu with sum_j T[i + j] lambda_j = 0 for the windows
 * of every projection's annihilated syndromes T; its roots are the liars' points. The windows of one
 * projection after the other are merged into a triangle. */
static const drc_c *drc_locator(drc_bench *w, int nu) {
    int cols = nu + 1, windows = w->left - nu, ld = w->left + 1, j, i, l;
    drc_c *square = w->b;
    for (j = 0; j < cols * ld; j++) w->a[j] = drc_c_of(0, 0);
    for (j = 0; j < DRC_M; j++) {
        for (l = 0; l < cols; l++) {
            for (i = 0; i < windows; i++) w->a[l * ld + cols + i] = w->plain[j * w->q + i + l];
        }
        drc_qr(w->a, ld, cols, NULL, 0, ld);
    }
    for (l = 0; l < cols; l++) {
        for (i = 0; i < cols; i++) square[l * cols + i] = w->a[l * ld + i];
    }
    return drc_least(square, w->turns, cols);
}

/* T[l] = S[l + 1] - x S[l] takes the missing worker at x out of the syndromes, and one of them with it. */
static void drc_annihilate(drc_bench *w) {
    int i, j, l;
    for (i = 0; i < w->out; i++) {
        for (j = 0; j < DRC_M; j++) {
            drc_c *t = w->plain + j * w->q, x = w->roots[w->missing[i]];
            for (l = 0; l + 1 < w->q - i; l++) {
                t[l] = drc_c_sub(t[l + 1], drc_c_mul(x, t[l]));
            }
        }
    }
}

/* The nu workers at whose points the locator is smallest, each divided out of it once found: a worker beside
 * a liar is not suspect for that. blur > 0: up to a factor of 10^blur, from the sequence that state runs
 * through. */
static void drc_suspect(drc_bench *w, int nu, int blur, uint32_t *state) {
    const drc_c *locator = drc_locator(w, nu);
    int alive = w->n - w->out, i, l, k, chosen = 0;
    for (i = 0; i < alive; i++) {
        drc_c sum = locator[nu], x = w->roots[w->alive[i]];
        for (l = nu - 1; l >= 0; l--) {
            sum = drc_c_mul(sum, x);
            sum.re += locator[l].re;
            sum.im += locator[l].im;
        }
        w->rank[i] = drc_c_norm2(sum);
        if (blur == 0) continue;
        *state = drc_mul(*state, 48271);
        w->rank[i] *= pow(10.0, 2.0 * blur * *state / DRC_P);
    }
    for (; chosen < nu; chosen++) {
        for (i = 0, k = 0; i < alive; i++) {
            if (w->rank[i] < w->rank[k]) k = i;
        }
        w->liars[chosen] = w->alive[k];
        for (i = 0; i < alive; i++) {
            drc_c away = drc_c_sub(w->roots[w->alive[i]], w->roots[w->alive[k]]);
            w->rank[i] = i == k ? HUGE_VAL : w->rank[i] / drc_c_norm2(away);
        }
    }
}

/* Copies the parity columns of some workers, then the syndromes, then (for trial) those of all present. */
static void drc_gather(drc_bench *w, const int *workers, int count, int trial) {
    int i, left = w->left, alive = trial ? w->n - w->out : 0;
    size_t bytes = (size_t)left * sizeof *w->a;
    for (i = 0; i < count; i++) memcpy(w->a + i * left, w->v + workers[i] * w->q + w->out, bytes);
    for (i = 0; i < DRC_M; i++) memcpy(w->b + i * left, w->s + i * w->q + w->out, bytes);
    for (i = 0; i < alive; i++) {
        memcpy(w->b + (DRC_M + i) * left, w->v + w->alive[i] * w->q + w->out, bytes);
    }
    drc_qr(w->a, left, count, w->b, DRC_M + alive, left);
}

/* Norm of what lies of these workers cannot explain of the syndromes. */
static double drc_residual(drc_bench *w, const int *workers, int count) {
    double sum = 0;
    int j;
    drc_gather(w, workers, count, 0);
    for (j = 0; j < DRC_M; j++) {
        sum += drc_norm2(w->b + j * w->left + count, w->left - count);
    }
    return sqrt(sum);
}

/* After a gather for trial of `count` workers: what would be left if the given column were explained too. */
static double drc_trial(const drc_bench *w, int count, int candidate) {
    const drc_c *column = w->b + (DRC_M + candidate) * w->left + count;
    int rows = w->left - count, j, i;
    double size = drc_norm2(column, rows), sum = 0;
    if (size < 1e-26) return HUGE_VAL; /* it is among the suspects, or cannot be told from them */
    for (j = 0; j < DRC_M; j++) {
        const drc_c *s = w->b + j * w->left + count;
        drc_c z = drc_c_scale(drc_dot(column, s, rows), 1 / size);
        for (i = 0; i < rows; i++) {
            sum += drc_c_norm2(drc_c_sub(s[i], drc_c_mul(z, column[i])));
        }
    }
    return sqrt(sum);
}

/* The worker who would leave the least residual in the place of one suspect. */
static double drc_replace(drc_bench *w, int nu, int place, int *worker) {
    int alive = w->n - w->out, i, kept = 0;
    double least = HUGE_VAL;
    for (i = 0; i < nu; i++) {
        if (i != place) w->others[kept++] = w->liars[i];
    }
    drc_gather(w, w->others, kept, 1);
    for (i = 0; i < alive; i++) {
        double residual = drc_trial(w, kept, i);
        if (residual >= least) continue;
        least = residual;
        *worker = w->alive[i];
    }
    w->budget -= (int64_t)(nu + DRC_M) * (alive + DRC_M) * w->left;
    return least;
}

/* Makes the best of all swaps of a suspect for another worker, as long as that helps. */
static double drc_refine(drc_bench *w, int nu, double residual) {
    double least = residual;
    int place, worker = 0, best_place = 0, best_worker = 0;
    while (residual > w->expected && w->budget > 0) {
        for (place = 0; place < nu; place++) {
            double left = drc_replace(w, nu, place, &worker);
            if (left >= least) continue;
            least = left;
            best_place = place;
            best_worker = worker;
        }
        if (least >= 0.99 * residual) break;
        w->liars[best_place] = best_worker;
        residual = least;
    }
    return residual;
}

/* The best nu suspects from two beginnings: those of the locator and, when these do not do and the best nu -
 * 1 are known, those and one more. */
static double drc_suspects(drc_bench *w, int nu, int known) {
    size_t bytes = (size_t)nu * sizeof *w->liars;
    double grown, located;
    memcpy(w->former, w->liars, bytes);
    drc_suspect(w, nu, 0, NULL);
    located = drc_refine(w, nu, drc_residual(w, w->liars, nu));
    if (located <= w->expected || !known) return located;
    memcpy(w->grown, w->liars, bytes);
    memcpy(w->liars, w->former, bytes);
    grown = drc_replace(w, nu, nu - 1, &w->liars[nu - 1]);
    grown = drc_refine(w, nu, grown);
    if (grown >= located) memcpy(w->liars, w->grown, bytes);
    return grown < located ? grown : located;
}

/* Noise can misplace roots of the locator when liars collude, for then all projections tell the same. So
 * begin the search for the most liars again where the locator is blurred by a factor of up to 10 or 100 (a
 * fixed sequence: the same messages give the same verdicts). Returns the number of liars, or -1. */
static int drc_search_again(drc_bench *w, double *residual) {
    int nu = w->left / 2, attempt;
    uint32_t state = 1;
    for (attempt = 0; attempt < DRC_ATTEMPTS && nu > 0 && w->budget > 0; attempt++) {
        double left;
        drc_suspect(w, nu, 1 + attempt % 2, &state);
        left = drc_refine(w, nu, drc_residual(w, w->liars, nu));
        if (left < *residual) *residual = left;
        if (left <= w->threshold) return nu;
    }
    return -1;
}

/* As many liars there are at least as the syndromes of the projections have independent directions: what is
 * left of them after the largest, the largest of the rest, … must be well above the noise to count. */
static int drc_at_least(drc_bench *w) {
    int rank, j, left = w->left, m = DRC_M;
    drc_residual(w, NULL, 0); /* copies the syndromes to b */
    for (rank = 0; rank < m; rank++) {
        const drc_c *largest = w->b;
        double sum = 0, most = 0;
        for (j = 0; j < m; j++) {
            double size = drc_norm2(w->b + j * left, left);
            sum += size;
            if (size <= most) continue;
            most = size;
            largest = w->b + j * left;
        }
        if (sum <= 100 * w->threshold * w->threshold) break;
        memcpy(w->a, largest, (size_t)left * sizeof *w->a);
        for (j = 0; j < m; j++) {
            drc_c z = drc_dot(w->a, w->b + j * left, left);
            drc_subtract(w->b + j * left, drc_c_scale(z, 1 / most), w->a, left);
        }
    }
    return rank;
}

/* The fewest liars whose lies explain the syndromes up to the noise expected. A residual between that and the
 * threshold is noise too, unless one more liar explains most of it. Returns their number, or -1. */
static int drc_search(drc_bench *w, double *residual) {
    double left = drc_residual(w, NULL, 0), passing = left;
    int nu = 0, passed = left <= w->threshold ? 0 : -1, first;
    if (left > w->expected) drc_annihilate(w);
    first = drc_at_least(w);
    *residual = left;
    if (first > w->left / 2) return -1;
    if (first > 1) nu = first - 1;
    while (left > w->expected && nu < w->left / 2) {
        left = drc_suspects(w, nu + 1, nu == 0 || nu >= first);
        nu++;
        if (passed >= 0 || left > w->threshold) {
            if (passed < 0 && left < passing) passing = left;
            continue;
        }
        passed = nu;
        passing = left;
        memcpy(w->passed, w->liars, (size_t)nu * sizeof *w->liars);
    }
    *residual = passing;
    if (passed < 0 && left > w->expected) return 2 * first < nu ? drc_search_again(w, residual) : -1;
    if (passed < 0 || left <= 0.6 * passing) {
        *residual = left;
        return nu;
    }
    if (passed > 0) memcpy(w->liars, w->passed, (size_t)passed * sizeof *w->liars);
    return passed;
}

/* Least-norm weights that vanish on `bad` and read F(0) off every codeword:
 * v_i = (1 + sum_l c_l x_i^l) / n, l = 1..q, with the least c that makes them vanish. The conjugate transpose
 * of the system is a QR: N^H = Q R, so c = Q z with R^H z = -1. Leaves c in `plain`. Returns the gain: the points
 * are roots of unity, hence n ||v||^2 = 1 + ||c||^2. */
static double drc_solve(drc_bench *w, const int *bad, int count) {
    int q = w->q, i, j, l;
    drc_c *z = w->turns; /* count <= q numbers; q <= (q / 2 + 2)^2 */
    for (i = 0; i < count; i++) {
        for (l = 0; l < q; l++) {
            drc_c x = drc_power(w, bad[i], l + 1);
            w->a[i * q + l] = drc_c_of(x.re, -x.im);
        }
    }
    for (j = 0; j < q; j++) {
        for (l = 0; l < q; l++) w->b[j * q + l] = drc_c_of(l == j, 0);
    }
    drc_qr(w->a, q, count, w->b, q, q);
    for (i = 0; i < count; i++) {
        drc_c r = w->a[i * q + i], left = drc_dot(w->a + i * q, z, i);
        double size = drc_c_norm2(r);
        if (size == 0) return HUGE_VAL;
        left = drc_c_sub(drc_c_of(-1, 0), left);
        z[i] = drc_c_scale(drc_c_mul(left, r), 1 / size);
    }
    for (l = 0; l < q; l++) w->plain[l] = drc_dot(w->b + l * q, z, count);
    return sqrt(1 + drc_norm2(z, count));
}

static void drc_weigh(const drc_bench *w, const int *bad, int count, double *weights) {
    int i, l;
    for (i = 0; i < w->n; i++) {
        drc_c v = drc_c_of(1, 0);
        for (l = 0; l < w->q; l++) {
            drc_c term = drc_c_mul(w->plain[l], drc_power(w, i, l + 1));
            v.re += term.re;
            v.im += term.im;
        }
        weights[2 * i] = drc_short(v.re / w->n);
        weights[2 * i + 1] = drc_short(v.im / w->n);
    }
    for (i = 0; i < count; i++) weights[2 * bad[i]] = weights[2 * bad[i] + 1] = 0;
}

/* The bad are the liars and the missing; those who stay have the verdict AGREES. */
static draco_status drc_locate_complex(const draco_code *code, const void *key, size_t d,
                                       const void *const *sketches, void *work, double *weights,
                                       draco_verdict *verdicts, draco_report *report) {
    drc_bench w;
    double residual = 0, gain, error;
    int liars = 0, i;
    drc_lay_bench(code, work, &w);
    drc_look(code, key, d, sketches, &w, verdicts);
    if (w.left > 0) drc_set_giants_aside(&w, verdicts);
    drc_count(code, verdicts, report);
    if (w.left < 0) return DRACO_E_TOO_MANY_MISSING;
    w.rounding = drc_rounding(code, &error);
    if (w.left > 0) {
        w.threshold = drc_noise(code, d, &w) * sqrt((double)DRC_M * w.left);
        w.expected = w.threshold / 2;
        w.budget = DRC_BUDGET;
        drc_syndromes(&w);
        liars = drc_search(&w, &residual);
        report->residual = residual / w.threshold;
        if (liars < 0) return DRACO_E_AMBIGUOUS;
    }
    for (i = 0; i < liars; i++) verdicts[w.liars[i]] = DRACO_BLAMED;
    for (i = 0; i < w.n; i++) {
        if (verdicts[i] == DRACO_UNDECIDED) verdicts[i] = DRACO_AGREES;
    }
    for (i = 0; i < w.out; i++) w.liars[liars + i] = w.missing[i];
    gain = drc_solve(&w, w.liars, liars + w.out);
    drc_count(code, verdicts, report);
    report->spare = w.left - 2 * liars; /* a giant cost one, as if it were missing */
    report->residual = w.left > 0 ? residual / w.threshold : 0;
    report->gain = gain;
    report->error = error * gain;
    if (!(report->error <= DRACO_WORST_ERROR)) return DRACO_E_RANGE;
    drc_weigh(&w, w.liars, liars + w.out, weights);
    return w.left > 0 ? DRACO_OK : DRACO_UNVERIFIED;
}

/* ---- Locate, prime field ---- */

typedef struct drc_ledger {
    int n, q, out, left;
    uint32_t *y;       /* 2 x n: each message's two numbers */
    uint32_t *dual;    /* n: lambda_i = 1 / prod_{m != i} (x_i - x_m) */
    uint32_t *s;       /* q: syndromes, then without the missing */
    uint32_t *locator; /* q + 2 each */
    uint32_t *former, *spare;
    unsigned char *bad; /* n */
} drc_ledger;

static size_t drc_lay_ledger(const draco_code *code, void *work, drc_ledger *w) {
    size_t n = (size_t)code->n, q = (size_t)(2 * code->s + code->t), row = (q + 2) * sizeof(uint32_t), bytes;
    unsigned char *at = (unsigned char *)work;
    drc_ledger none;
    if (!w) w = &none;
    w->n = code->n;
    w->q = (int)q;
    w->y = (uint32_t *)(void *)at;
    bytes = drc_take(&at, 2 * n * sizeof(uint32_t));
    w->dual = (uint32_t *)(void *)at;
    bytes += drc_take(&at, n * sizeof(uint32_t));
    w->s = (uint32_t *)(void *)at;
    bytes += drc_take(&at, row);
    w->locator = (uint32_t *)(void *)at;
    bytes += drc_take(&at, row);
    w->former = (uint32_t *)(void *)at;
    bytes += drc_take(&at, row);
    w->spare = (uint32_t *)(void *)at;
    bytes += drc_take(&at, row);
    w->bad = at;
    return bytes + drc_take(&at, n);
}

static uint32_t drc_add(uint32_t a, uint32_t b) {
    return drc_mod((uint64_t)a + b);
}

static void drc_look_prime(const draco_code *code, const void *key, size_t d, const void *const *sketches,
                           drc_ledger *w, draco_verdict *verdicts) {
    const drc_prime_key *k = (const drc_prime_key *)key;
    int i, f, c;
    w->out = 0;
    memset(w->y, 0, 2 * (size_t)w->n * sizeof *w->y);
    for (i = 0; i < w->n; i++) {
        const drc_prime_sketch *sketch = (const drc_prime_sketch *)sketches[i];
        verdicts[i] = drc_first_look(code, d, sketch);
        if (verdicts[i] == DRACO_UNDECIDED && sketch->head.outside) verdicts[i] = DRACO_MALFORMED;
        w->bad[i] = verdicts[i] != DRACO_UNDECIDED;
        w->out += w->bad[i];
        if (w->bad[i]) continue;
        for (f = 0; f < 2; f++) {
            uint32_t sum = 0;
            for (c = 0; c < DRC_LANES; c++) {
                sum = drc_mod(sum + sketch->lanes[f][c] * k->lane[f][c]);
            }
            w->y[f * w->n + i] = sum;
        }
    }
    w->left = w->q - w->out;
}

static void drc_duals(drc_ledger *w) {
    int i, m;
    for (i = 0; i < w->n; i++) {
        uint32_t product = 1, x = drc_point(i);
        for (m = 0; m < w->n; m++) {
            if (m != i) product = drc_mul(product, drc_sub(x, drc_point(m)));
        }
        w->dual[i] = drc_inverse(product);
    }
}

/* S_l = sum_i lambda_i x_i^l y_i, l = 0..q-1, is zero on codewords. S_{l+1} - x S_l takes the missing worker
 * at x out of them, and one of them with it. */
static void drc_syndromes_prime(drc_ledger *w, const uint32_t *y, const draco_verdict *verdicts) {
    int i, l, length = w->q;
    memset(w->s, 0, (size_t)w->q * sizeof *w->s);
    for (i = 0; i < w->n; i++) {
        uint32_t term = drc_mul(w->dual[i], y[i]);
        for (l = 0; l < w->q; l++) {
            w->s[l] = drc_add(w->s[l], term);
            term = drc_mul(term, drc_point(i));
        }
    }
    for (i = 0; i < w->n; i++) {
        if (verdicts[i] == DRACO_UNDECIDED) continue;
        length--;
        for (l = 0; l < length; l++) {
            w->s[l] = drc_sub(w->s[l + 1], drc_mul(drc_point(i), w->s[l]));
        }
    }
}

/* Berlekamp-Massey: the shortest recurrence C_0 S_i + … + C_L S_{i-L} = 0, C_0 = 1. Returns L. */
static int drc_massey(drc_ledger *w) {
    size_t room = (size_t)w->q + 2;
    uint32_t last = 1;
    int i, j, length = 0, gap = 1;
    memset(w->locator, 0, room * sizeof *w->locator);
    memset(w->former, 0, room * sizeof *w->former);
    w->locator[0] = w->former[0] = 1;
    for (i = 0; i < w->left; i++, gap++) {
        uint32_t miss = 0, factor;
        for (j = 0; j <= length; j++) {
            miss = drc_add(miss, drc_mul(w->locator[j], w->s[i - j]));
        }
        if (miss == 0) continue;
        factor = drc_mul(miss, drc_inverse(last));
        memcpy(w->spare, w->locator, room * sizeof *w->spare);
        for (j = 0; j + gap < (int)room; j++) {
            uint32_t term = drc_mul(factor, w->former[j]);
            w->locator[j + gap] = drc_sub(w->locator[j + gap], term);
        }
        if (2 * length > i) continue;
        length = i + 1 - length;
        memcpy(w->former, w->spare, room * sizeof *w->former);
        last = miss;
        gap = 0;
    }
    return length;
}

/* Marks the workers at the inverses of the locator's roots. Returns how many. */
static int drc_roots(drc_ledger *w, int length, const draco_verdict *verdicts) {
    int i, l, found = 0;
    for (i = 0; i < w->n; i++) {
        uint32_t inverse = drc_inverse(drc_point(i)), sum = 0;
        if (verdicts[i] != DRACO_UNDECIDED) continue;
        for (l = length; l >= 0; l--) {
            sum = drc_add(drc_mul(sum, inverse), w->locator[l]);
        }
        if (sum != 0) continue;
        w->bad[i] = 1;
        found++;
    }
    return found;
}

/* F(0) from the first n - q good workers: v_i = prod_{m != i} x_m / (x_m - x_i). */
static void drc_weigh_prime(const drc_ledger *w, double *weights) {
    int i, m, used = 0;
    for (i = 0; i < w->n; i++) {
        uint32_t above = 1, below = 1, x = drc_point(i);
        int others = 0;
        weights[2 * i] = weights[2 * i + 1] = 0;
        if (w->bad[i] || used == w->n - w->q) continue;
        used++;
        for (m = 0; m < w->n && others < w->n - w->q; m++) {
            if (w->bad[m]) continue;
            others++;
            if (m == i) continue;
            above = drc_mul(above, drc_point(m));
            below = drc_mul(below, drc_sub(drc_point(m), x));
        }
        weights[2 * i] = drc_mul(above, drc_inverse(below));
    }
}

/* A lie may vanish in one of the two numbers by chance, hence the liars are those that either shows. */
static draco_status drc_locate_prime(const draco_code *code, const void *key, size_t d,
                                     const void *const *sketches, void *work, double *weights,
                                     draco_verdict *verdicts, draco_report *report) {
    drc_ledger w;
    int f, i, length, liars = 0;
    drc_lay_ledger(code, work, &w);
    drc_look_prime(code, key, d, sketches, &w, verdicts);
    drc_count(code, verdicts, report);
    if (w.left < 0) return DRACO_E_TOO_MANY_MISSING;
    drc_duals(&w);
    for (f = 0; f < 2 && w.left > 0; f++) {
        drc_syndromes_prime(&w, w.y + f * w.n, verdicts);
        length = drc_massey(&w);
        if (2 * length > w.left || drc_roots(&w, length, verdicts) != length) return DRACO_E_AMBIGUOUS;
    }
    for (i = 0; i < w.n; i++) liars += w.bad[i] && verdicts[i] == DRACO_UNDECIDED;
    if (2 * liars > w.left) return DRACO_E_AMBIGUOUS;
    for (i = 0; i < w.n; i++) {
        if (verdicts[i] == DRACO_UNDECIDED) verdicts[i] = w.bad[i] ? DRACO_BLAMED : DRACO_AGREES;
    }
    drc_weigh_prime(&w, weights);
    drc_count(code, verdicts, report);
    return w.left > 0 ? DRACO_OK : DRACO_UNVERIFIED;
}

/* ---- Locate ---- */

DRACO_CODES_API size_t draco_locate_work_bytes(const draco_code *code) {
    if (!drc_valid(code)) return 0;
    if (drc_complex(code)) return drc_lay_bench(code, NULL, NULL);
    if (drc_prime(code)) return drc_lay_ledger(code, NULL, NULL);
    return drc_vote_bytes(code);
}

/* Two doubles a worker: complex: real and imaginary part; prime: a residue; repetition: 1 or 0. */
DRACO_CODES_API size_t draco_weights_bytes(const draco_code *code) {
    if (!drc_valid(code)) return 0;
    return drc_align((size_t)code->n * 2 * sizeof(double));
}

DRACO_CODES_API draco_status draco_locate(const draco_code *code, const void *key, size_t d,
                                          const void *const *sketches, void *work, void *weights,
                                          draco_verdict *verdicts, draco_report *report) {
    double *w = (double *)weights;
    draco_status ready = drc_ready_for(code, d);
    if (ready != DRACO_OK) return ready;
    if (!key || !sketches || !work || !weights || !verdicts || !report) return DRACO_E_NULL;
    if (drc_complex(code)) return drc_locate_complex(code, key, d, sketches, work, w, verdicts, report);
    if (drc_prime(code)) return drc_locate_prime(code, key, d, sketches, work, w, verdicts, report);
    return drc_locate_vote(code, key, d, sketches, work, w, verdicts, report);
}

DRACO_CODES_API int draco_weight_used(const draco_code *code, const void *weights, int worker) {
    const double *w = (const double *)weights;
    if (!drc_valid(code) || !weights || worker < 0 || worker >= code->n) return 0;
    return w[2 * worker] != 0 || w[2 * worker + 1] != 0;
}

DRACO_CODES_API draco_status draco_weights_winners(const draco_code *code, const int *winners,
                                                   void *weights) {
    double *w = (double *)weights;
    draco_status ready = drc_ready(code);
    int g;
    if (ready != DRACO_OK) return ready;
    if (drc_cyclic(code)) return DRACO_E_ARGUMENT;
    if (!winners || !weights) return DRACO_E_NULL;
    for (g = 0; g < code->groups; g++) {
        if (draco_code_group(code, winners[g]) != g) return DRACO_E_INDEX;
    }
    memset(weights, 0, draco_weights_bytes(code));
    for (g = 0; g < code->groups; g++) w[2 * winners[g]] = 1;
    return DRACO_OK;
}

/* ---- Combine ---- */

#define DRC_TILE 1024u /* coordinates summed at a time */

/* Repetition: the groups' winners, added in the order of the groups in double, rounded once. */
DRC_INLINE void drc_add_row_plain(double *sum, const float *row, size_t count) {
    size_t c;
    for (c = 0; c < count; c++) sum[c] += (double)row[c];
}
DRC_KERNEL(drc_add_row, (double *sum, const float *row, size_t count), (sum, row, count))

/* Complex: four rows in order; `real` gathers re(v) * row and `imaginary` im(v) * row. Weights have 29 bits.
 */
DRC_INLINE void drc_add_rows_plain(double *real, double *imaginary, const float *const *rows, const double *v,
                                   size_t count) {
    const float *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3];
    size_t c;
    for (c = 0; c < count; c++) {
        double x0 = (double)r0[c], x1 = (double)r1[c], x2 = (double)r2[c], x3 = (double)r3[c];
        double re = real[c], im = imaginary[c];
        re += v[0] * x0;
        im += v[1] * x0;
        re += v[2] * x1;
        im += v[3] * x1;
        re += v[4] * x2;
        im += v[5] * x2;
        re += v[6] * x3;
        im += v[7] * x3;
        real[c] = re;
        imaginary[c] = im;
    }
}
DRC_KERNEL(drc_add_rows,
           (double *real, double *imaginary, const float *const *rows, const double *v, size_t count),
           (real, imaginary, rows, v, count))

/* Prime: three rows, then a lazy reduction: products are under 2^62 and sums enter under 2^34. */
DRC_INLINE void drc_add_residues_plain(uint64_t *sum, const uint32_t *const *rows, const uint32_t *v,
                                       size_t count) {
    const uint32_t *r0 = rows[0], *r1 = rows[1], *r2 = rows[2];
    size_t c;
    for (c = 0; c < count; c++) {
        sum[c] = drc_lazy(sum[c] + (uint64_t)r0[c] * v[0] + (uint64_t)r1[c] * v[1] + (uint64_t)r2[c] * v[2]);
    }
}
#ifdef DRC_X86
DRC_AVX512 static void drc_add_residues_avx512(uint64_t *sum, const uint32_t *const *rows, const uint32_t *v,
                                               size_t count) {
    const uint32_t *tail[3];
    size_t c, k;
    for (c = 0; c + 8 <= count; c += 8) {
        __m512i s = _mm512_loadu_si512(sum + c);
        for (k = 0; k < 3; k++) {
            __m512i x = _mm512_maskz_cvtepu32_epi64(
                0xff, _mm256_loadu_si256((const __m256i *)(const void *)(rows[k] + c)));
            s = _mm512_add_epi64(s, _mm512_maskz_mul_epu32(0xff, x, _mm512_set1_epi64(v[k])));
        }
        _mm512_storeu_si512(sum + c, drc_lazy_avx512(s));
    }
    for (k = 0; k < 3; k++) tail[k] = rows[k] + c;
    drc_add_residues_plain(sum + c, tail, v, count - c);
}

DRC_AVX2 static void drc_add_residues_avx2(uint64_t *sum, const uint32_t *const *rows, const uint32_t *v,
                                           size_t count) {
    const uint32_t *tail[3];
    size_t c, k;
    for (c = 0; c + 4 <= count; c += 4) {
        __m256i *to = (__m256i *)(void *)(sum + c), s = _mm256_loadu_si256(to);
        for (k = 0; k < 3; k++) {
            __m256i x = _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)(const void *)(rows[k] + c)));
            s = _mm256_add_epi64(s, _mm256_mul_epu32(x, _mm256_set1_epi64x(v[k])));
        }
        _mm256_storeu_si256(to, drc_lazy_avx2(s));
    }
    for (k = 0; k < 3; k++) tail[k] = rows[k] + c;
    drc_add_residues_plain(sum + c, tail, v, count - c);
}

DRC_CHOOSE(drc_add_residues, (uint64_t * sum, const uint32_t *const *rows, const uint32_t *v, size_t count),
           (sum, rows, v, count))
#else
DRC_KERNEL(drc_add_residues, (uint64_t * sum, const uint32_t *const *rows, const uint32_t *v, size_t count),
           (sum, rows, v, count))
#endif

/* One tile: coordinates first .. first + count - 1, none of two tiles. */
static void drc_tile_groups(const draco_code *code, const double *weights, const void *const *messages,
                            size_t first, size_t count, float *sum) {
    double total[DRC_TILE];
    size_t c;
    int g, i;
    for (g = 0; g < code->groups; g++) {
        const float *row;
        for (i = g; weights[2 * i] == 0;) i += code->groups;
        row = (const float *)messages[i] + first;
        if (g == 0)
            for (c = 0; c < count; c++) total[c] = (double)row[c];
        else
            drc_add_row(total, row, count);
    }
    for (c = 0; c < count; c++) sum[c] = (float)total[c];
}

/* Four by four in the order of the workers; rows that fill up the last four have weight 0. The tile begins at
 * an even coordinate of the message, and `skip` is 1 when the sum begins one later. */
static void drc_tile_complex(const draco_code *code, const double *weights, const void *const *messages,
                             size_t first, size_t skip, size_t count, float *sum) {
    double real[DRC_TILE], imaginary[DRC_TILE], v[8];
    size_t even = (skip + count + 1) / 2 * 2, c;
    const float *rows[4];
    int i, k = 0;
    memset(real, 0, even * sizeof *real);
    memset(imaginary, 0, even * sizeof *imaginary);
    for (i = 0; i < code->n; i++) {
        if (draco_weight_used(code, weights, i)) {
            rows[k] = (const float *)messages[i] + first;
            v[2 * k] = weights[2 * i];
            v[2 * k + 1] = weights[2 * i + 1];
            k++;
        }
        if (k == 0 || (k < 4 && i < code->n - 1)) continue;
        for (; k < 4; k++) {
            rows[k] = rows[0];
            v[2 * k] = v[2 * k + 1] = 0;
        }
        drc_add_rows(real, imaginary, rows, v, even);
        k = 0;
    }
    for (c = skip; c < skip + count; c++) {
        sum[c - skip] = (float)(c % 2 == 0 ? real[c] - imaginary[c + 1] : real[c] + imaginary[c - 1]);
    }
}

/* Residues above p / 2 are negative. */
static void drc_tile_prime(const draco_code *code, const double *weights, const void *const *messages,
                           size_t first, size_t count, uint8_t exponent, float *sum) {
    uint64_t total[DRC_TILE];
    double unit = exponent > 0 ? drc_unit(code, exponent) : 0;
    const uint32_t *rows[3];
    uint32_t v[3];
    size_t c;
    int i, k = 0;
    memset(total, 0, count * sizeof *total);
    for (i = 0; i < code->n; i++) {
        if (draco_weight_used(code, weights, i)) {
            rows[k] = (const uint32_t *)messages[i] + first;
            v[k++] = (uint32_t)weights[2 * i];
        }
        if (k == 0 || (k < 3 && i < code->n - 1)) continue;
        for (; k < 3; k++) {
            rows[k] = rows[0];
            v[k] = 0;
        }
        drc_add_residues(total, rows, v, count);
        k = 0;
    }
    for (c = 0; c < count; c++) {
        int32_t q = (int32_t)drc_mod(total[c]);
        if (q > (int32_t)(DRC_P / 2)) q -= (int32_t)DRC_P;
        sum[c] = (float)(q * unit);
    }
}

/* Are the messages there that the weights ask for? */
static int drc_complete(const draco_code *code, const void *weights, const void *const *messages) {
    int i, used = 0;
    for (i = 0; i < code->n; i++) {
        if (!draco_weight_used(code, weights, i)) continue;
        if (!messages[i]) return 0;
        used++;
    }
    return drc_cyclic(code) ? used > 0 : used == code->groups;
}

DRACO_CODES_API draco_status draco_combine(const draco_code *code, const void *weights,
                                           const void *const *messages, size_t d, size_t first, size_t count,
                                           const uint8_t *exponents, float *sum) {
    const double *w = (const double *)weights;
    draco_status ready = drc_ready_for(code, d);
    size_t at, take;
    if (ready != DRACO_OK) return ready;
    if (!weights || !messages || !sum || (drc_prime(code) && !exponents)) return DRACO_E_NULL;
    if (first > d || count > d - first || !drc_complete(code, weights, messages)) return DRACO_E_ARGUMENT;
    for (at = first; at < first + count; at += take) {
        size_t inside = at % DRC_TILE, left = first + count - at;
        take = left < DRC_TILE - inside ? left : DRC_TILE - inside;
        if (drc_prime(code))
            drc_tile_prime(code, w, messages, at, take, exponents[at / DRACO_BLOCK], sum + (at - first));
        else if (drc_complex(code))
            drc_tile_complex(code, w, messages, at - at % 2, at % 2, take, sum + (at - first));
        else
            drc_tile_groups(code, w, messages, at, take, sum + (at - first));
    }
    return DRACO_OK;
}

/* ---- Decode ---- */

DRACO_CODES_API size_t draco_decode_work_bytes(const draco_code *code) {
    size_t n;
    if (!drc_valid(code)) return 0;
    n = (size_t)code->n;
    return drc_align(n * sizeof(void *)) + drc_align(draco_sketch_key_bytes(code)) +
           drc_align(n * drc_align(draco_sketch_bytes(code))) + drc_align(draco_weights_bytes(code)) +
           draco_locate_work_bytes(code);
}

DRACO_CODES_API draco_status draco_decode(const draco_code *code, const draco_seed *seed,
                                          const void *const *messages, size_t d, const uint8_t *exponents,
                                          void *work, float *sum, draco_verdict *verdicts,
                                          draco_report *report) {
    unsigned char *at = (unsigned char *)work, *sketch;
    const void **sketches = (const void **)work;
    void *key, *weights;
    size_t n, i, each, bytes = draco_message_bytes(code, d);
    draco_status status = drc_ready_for(code, d), combined;
    if (status != DRACO_OK) return status;
    if (!seed || !messages || !work || !sum || !verdicts || !report) return DRACO_E_NULL;
    n = (size_t)code->n;
    each = drc_align(draco_sketch_bytes(code));
    key = at += drc_align(n * sizeof(void *));
    weights = at += drc_align(draco_sketch_key_bytes(code));
    sketch = at += drc_align(draco_weights_bytes(code));
    at += n * each;
    status = draco_sketch_key_init(code, seed, key);
    for (i = 0; i < n && status == DRACO_OK; i++, sketch += each) {
        sketches[i] = messages[i] ? sketch : NULL;
        if (!messages[i]) continue;
        draco_sketch_begin(code, 0, sketch);
        status = draco_sketch_add(code, key, sketch, messages[i], bytes);
    }
    if (status == DRACO_OK) status = draco_locate(code, key, d, sketches, at, weights, verdicts, report);
    if (status < 0) return status;
    combined = draco_combine(code, weights, messages, d, 0, d, exponents, sum);
    return combined == DRACO_OK ? status : combined;
}

static size_t drc_append(char *text, size_t capacity, size_t at, int length) {
    (void)text;
    (void)capacity;
    return length < 0 ? at : at + (size_t)length;
}

/* The numbers of the workers of one group (any when group < 0) with this verdict. */
static size_t drc_list(const draco_code *code, const draco_verdict *verdicts, int group, draco_verdict which,
                       const char *before, char *text, size_t capacity, size_t at) {
    int i, listed = 0;
    for (i = 0; i < code->n; i++) {
        char *to = at < capacity ? text + at : NULL;
        size_t room = at < capacity ? capacity - at : 0;
        if (verdicts[i] != which || (group >= 0 && draco_code_group(code, i) != group)) continue;
        at = drc_append(text, capacity, at,
                        listed++ ? snprintf(to, room, ", %d", i) : snprintf(to, room, "%s %d", before, i));
    }
    return at;
}

DRACO_CODES_API size_t draco_report_describe(const draco_code *code, draco_status status,
                                             const draco_verdict *verdicts, const draco_report *report,
                                             char *text, size_t capacity) {
    size_t at = 0;
    int group = -1;
    if (!drc_valid(code) || !verdicts || !report) return 0;
    if (status < 0 && report->group >= 0) {
        group = report->group;
        at = drc_append(text, capacity, at,
                        snprintf(text, capacity, "group %d: %s (%d equal copies needed)", group,
                                 draco_status_text(status), code->s + 1));
    } else {
        at = drc_append(text, capacity, at, snprintf(text, capacity, "%s", draco_status_text(status)));
    }
    at = drc_list(code, verdicts, group, DRACO_BLAMED, "; blamed", text, capacity, at);
    at = drc_list(code, verdicts, group, DRACO_ABSENT, "; absent", text, capacity, at);
    at = drc_list(code, verdicts, group, DRACO_MALFORMED, "; malformed", text, capacity, at);
    at = drc_list(code, verdicts, group, DRACO_UNDECIDED, "; undecided", text, capacity, at);
    return at;
}

#ifdef __cplusplus
}
#endif
#endif /* DRACO_CODES_IMPLEMENTATION */

/* MIT License. Copyright (c) 2026 The Draco authors. Permission is granted, free of charge, to use, copy,
 * modify, merge, publish, distribute, sublicense and sell this software, provided that this notice stays in
 * all copies. It comes "as is", without warranty of any kind; the authors are not liable for any claim or
 * damage. The full text stands in the file LICENSE. */
