/* draco_codes.h - version 0.1.0 - gradient codes: exact sums although workers lie or are missing
 * SPDX-License-Identifier: MIT (full text at the end)
 *
 * Do this in one .c file:
 *
 *     #define DRACO_CODES_IMPLEMENTATION
 *     #include "draco_codes.h"
 *
 * and include the header without the macro everywhere else. Define DRACO_CODES_STATIC as well for a private
 * copy. The macros bring draco_vote.h along. Link with -lm; on Windows also with -lbcrypt.
 *
 * The result is a sum, never a mean: the sum over all parts of the batch. Divide it by the number of samples
 * or of parts for a mean. draco.h has a shorter interface for the common case (draco_encoder, draco_decoder).
 *
 * program: five workers, each gradient computed by three of them; one worker lies
 *
 *     #define DRACO_CODES_IMPLEMENTATION
 *     #include "draco_codes.h"
 *     #include <stdio.h>
 *     #include <stdlib.h>
 *
 *     int main(void) {
 *         enum { N = 5, D = 7 };
 *         float gradient[D], sum[D], lie = -100;
 *         const void *messages[N];
 *         draco_verdict verdicts[N] = {DRACO_UNDECIDED};
 *         draco_code code = {0};
 *         draco_report report;
 *         draco_seed seed;
 *         draco_status status;
 *         draco_work *work;
 *         draco_encoding *encoding;
 *         char *memory;
 *         size_t bytes;
 *         int i, l, c;
 *         code.n = N;
 *         code.s = 1;
 *         code.scheme = DRACO_CYCLIC;
 *         code.field = DRACO_FIELD_COMPLEX; // the prime field agrees on exponents first
 *         if (draco_code_init(&code) != DRACO_OK || draco_seed_random(&seed) != DRACO_OK) return 1;
 *         bytes = draco_message_bytes(&code, D); // not always D floats
 *         memory = (char *)malloc(N * bytes);
 *         work = (draco_work *)malloc(draco_decode_work_bytes(&code));
 *         encoding = (draco_encoding *)malloc(draco_encoding_bytes(&code, D));
 *         if (!memory || !work || !encoding) return 1;
 *         draco_encode_init(&code, D, encoding);
 *         for (i = 0; i < N; i++) { // what worker i does
 *             char *message = memory + (size_t)i * bytes;
 *             draco_encode_begin(&code, D, encoding);
 *             for (l = 0; l < draco_code_load(&code, i); l++) {
 *                 int part = draco_code_part(&code, i, l);
 *                 for (c = 0; c < D; c++) gradient[c] = (float)(part + c);
 *                 draco_encode_add(&code, i, part, gradient, D, NULL, encoding);
 *             }
 *             draco_encode_end(&code, D, encoding, message);
 *             messages[i] = message;
 *         }
 *         memcpy(memory + 3 * bytes, &lie, sizeof lie);
 *         status = draco_decode(&code, &seed, messages, D, NULL, work, sum, verdicts, &report); // the server
 *         free(encoding);
 *         free(work);
 *         free(memory);
 *         if (status < 0) return 1;
 *         printf("sum %g %g %g ..., worker 3 %s\n", sum[0], sum[1], sum[2], draco_verdict_text(verdicts[3]));
 *         return verdicts[3] != DRACO_BLAMED;
 *     }
 * end of program
 *
 * CONTENTS OF THIS FILE
 *
 *     manual         FLOW, CODES, RESULTS, PROBABILITY OF ERROR, CONTRACT, MACROS, SOURCES
 *     declarations   code, messages, exponents, report, sketch, locate, combine, decode
 *     implementation Common arithmetic         memory, sketch head, supports, folding
 *                    Repetition                each code: who holds what, encode, sketch, locate, combine
 *                    Prime field
 *                    Complex field             with its linear algebra
 *                    The codes                 the table drc_codes: the rows of the codes
 *                    The public calls          check their arguments and call the row's functions
 *
 * To add a code: a value of draco_scheme or draco_field, its functions with their row (a drc_code), and the
 * row's place in drc_codes.
 *
 * FLOW
 *
 * A batch is divided into parts; a gradient is the sum over the samples of a part. There are n workers, of
 * which up to s lie and up to t are missing. Every part is computed by r = 2s + t + 1 workers, and no code
 * can do with fewer (Chen, Wang, Charles, Papailiopoulos, "DRACO", ICML 2018). The server wants the sum of
 * the gradients of all parts.
 *
 *     worker:  encode_begin;  for each of its parts: gradient, encode_add;  encode_end;  send the message
 *     server:  for each message: sketch_begin, sketch_add as the bytes arrive;  locate;  combine
 *
 * sketch   reduces a message of any length to some kilobytes, under a key that no worker knows
 * locate   finds the liars from the n sketches alone, at a cost that does not depend on d, and gives one
 *          weight per message
 * combine  adds the messages by their weights, any range of coordinates at a time, on any thread
 * decode   does all three in one call
 *
 * CODES
 *
 * Repetition: workers form floor(n / r) groups, worker i in group i mod groups. The workers of a group
 * compute the same part, a message is the gradient, and s + 1 equal messages decide it. The groups' values
 * are added in the order of the groups in double and rounded once. It tolerates s liars in every group.
 *
 * Reactive (code.reactive): a repetition code whose groups have s + 1 + t members only, floor(n / (s + 1 + t)) of
 * them. One of s + 1 is honest, so that they agree on the truth or not at all; a part on which no s + 1 agree is
 * computed by more workers, 2s + 1 + t in all, of whom s + 1 honest ones do. Here s is the number of liars
 * among all workers. Messages are compared by a challenge: draco_dispute_open and the functions below it.
 *
 * Cyclic: part k is held by the workers (k + D) mod n for the offsets D below; worker i has the point x_i;
 *
 *     f_k(x) = prod over the workers m without part k of (1 - x / x_m)     f_k(0) = 1, and 0 at those workers
 *     worker i sends F(x_i) = sum_k f_k(x_i) g_k             F has degree n - 1 - 2s - t, F(0) = sum_k g_k
 *
 * so the messages are a Reed-Solomon codeword. It decodes whenever 2 liars + missing <= 2s + t.
 *   complex field: x_i = exp(2 pi i i / n). The gradient is read as pairs (re, im), and a message has d
 *     floats, rounded up to an even number: F(x_i) / 2^scale, summed in double and rounded once. So the server
 *     knows the noise of a message from its norm. A lie below the noise is not detected. Sets of liars that
 *     explain the messages as well differ in the sum by the noise times the gain of all of them together:
 *     report.error bounds that, and a sum that it does not bound by DRACO_WORST_ERROR is refused. Lies of
 *     neighbours on the circle are hidden best: draco_code_at gives everybody another seat in each step.
 *   prime field (the default): modulo 2^31 - 1, x_i = i + 1. Gradients are rounded to multiples of a power of
 *     two that 256 coordinates share: to the nearest, halves away from zero. All that follows is exact, so
 *     that the sum has the same bits whoever lies. The powers are agreed on first: every worker reports
 *     draco_exponents_of each of its parts in the order of draco_code_part; draco_exponents_decide takes a
 *     vote on each part and the least power with which the sum of all parts cannot wrap; every worker encodes
 *     with the result, or with any larger one, which loses a bit of precision for each power. A part too
 *     large for the sum to fit is DRACO_E_RANGE in draco_encode_add.
 * Supports: the offsets D = {round(l n / r)} are "spread" (the default), D = {0..r-1} are the paper's
 * "contiguous". In the prime field they are equivalent. In the complex field the coefficients |f_k(x_i)|
 * decide how much precision of a gradient survives rounding, and the positions of liars and missing workers
 * decide the gain:
 *
 *       n   s  t | spread: |f|  | contiguous: |f|   | worst gain: s + t, 2s + t out
 *       5   1  0 |  1.4 ..  2.2 |     2.2 .. 3.6    |  1.2,    2.2
 *       9   2  0 |  1.4 ..  3.0 |     3.0 .. 12     |  1.5,    5.8
 *      15   3  0 |  1.6 ..  2.8 |     7.7 .. 95     |  1.9,     20
 *      20   3  2 |  1.9 ..  3.1 |      12 .. 470    |  3.9,     64
 *      45   5  0 |  3.1 ..  4.8 |    6000 .. 1.2e6  |  3.3,    347
 *      45  10  0 |  1.6 ..  2.8 |      27 .. 8.1e5  |  8.3,  64200
 *      45   2  6 |  3.1 ..  4.8 |    6000 .. 1.2e6  |  27,    347
 *      64   8  0 |  3.1 ..  4.5 |   7.6e4 .. 6.2e8  |  6.8,  16000
 *     101  10  0 |  4.1 ..  5.7 |   8.8e7 .. 1.2e13 |  12,  94000
 *
 * examples/04_code_table.c prints this line for any code. The last contiguous codes keep two digits or none
 * even without a liar; where fewer than two would be left, locate returns DRACO_E_RANGE.
 *
 * RESULTS
 *
 * Verdicts: AGREES; BLAMED: the message is not what an honest worker would have sent; SUSPECTED (complex
 * field): it lied, or others did that are suspected too, which rounding hides: no proof; ABSENT: NULL;
 * MALFORMED: of another length, with NaN or Inf in the complex field (encoding may have overflowed), or with
 * a word of 2^31 - 1 or more in the prime field. ABSENT and MALFORMED count as missing (erasures). Status of
 * locate and decode:
 *     DRACO_OK                  decoded and verified
 *     DRACO_UNVERIFIED          cyclic: decoded, but all 2s + t redundant messages are missing: not verified
 *     DRACO_E_TOO_MANY_MISSING  cyclic: more than 2s + t are missing
 *     DRACO_E_NO_MAJORITY       repetition: a group without s + 1 equal messages
 *     DRACO_E_AMBIGUOUS         more liars than the code tolerates (or, in the complex field, as many as it
 *                               tolerates, placed so that rounding hides which and the sum depends on it).
 *                               Request the messages again, wait for missing ones, or discard the round
 *     DRACO_E_RANGE             rounding would spoil the sum (DRACO_WORST_ERROR), so many are missing side by
 *                               side, or so many could lie unseen (complex field: 2s + t > 64, and nearly always
 *                               then); or a coordinate of the sum is no finite float (decode and combine)
 * On an error the sum and the weights are unchanged (combine: below). Verdicts and report are written all
 * the same, to show what was found, except when the call itself is wrong (draco_status_is_misuse).
 * Colluders that send what they would in another codeword cannot be distinguished from honest workers by any
 * decoder: s + 1 in a group (repetition), (2s + t - missing) / 2, rounded up, and one more (cyclic).
 *
 * PROBABILITY OF ERROR
 *
 * Keys are drawn anew each round, after the messages were made, and never leave the server. Repetition: the
 * bound of the fingerprint (draco_vote.h). Prime: a message is read in rows of 512 numbers; row b is
 * multiplied by low[b mod 2048] high[b / 2048], rows are added, and the 512 sums are added by secret weights:
 * a polynomial of degree 3 in secret numbers. A lie vanishes in it with probability at most 3 / p (Schwartz,
 * Zippel), and in both of two independent ones with at most 2^-58. Complex: the same with four independent
 * folds by real factors of random sign and modulus in [1, 2), whose density is at most 1/2. A weighted sum of
 * such factors has a density of at most sqrt 2 / 2 over the norm of the weights (Rudelson, Vershynin, IMRN
 * 2015), so that a lie x times as large as the noise stays hidden, within one million
 * coordinates, with probability at most (sqrt 2 / x)^4, and about (log x) times that per fold beyond; a lie
 * of 1e-3 of the gradient has x of about 3000. Sixteen projections of the lanes are then examined together: the
 * locator of the lies is the least singular vector of the Hankel matrix of their syndromes, and a set of
 * liars is accepted when it explains all of the syndromes except rounding.
 *
 * CONTRACT
 *
 * Memory is the caller's, of the size that a ..._bytes function gives: aligned to 8 bytes (64 is faster),
 * messages to 4, the bytes given to sketch_add to nothing. Nothing is allocated, logged or kept. Work memory
 * holds nothing between calls. All functions are pure: any thread may call them as long as no other writes
 * what they read. One sketch is fed by one thread at a time, its bytes in order. Ranges of a message that
 * begin at multiples of 4 * DRACO_BLOCK bytes can be sketched separately and merged; only the last may have
 * another length. Results depend on the set of messages, not on chunks, ranges, threads or the instruction
 * set. Merging adds in double, which may change the last bits of the complex field's residual, and no verdict
 * that is not at the limit. Messages are little-endian words on every machine, and exponents are bytes, so
 * that machines of both byte orders work together; sketches stay between servers of one kind. A message is
 * classified by its bits before any arithmetic: NaN and Inf raise no floating-point exception.
 * Limits: n <= 4096; messages up to 8 GiB. In the complex field locate costs O(n s) in an honest round and
 * O(n s^2) and more to find liars (0.3 ms at n = 45, s = 5; 1 ms at n = 101, s = 10). Its search ends after
 * code.budget multiplications, a count and not a time, so that the same messages give the same verdicts on every
 * machine; what comes before it (25 ms at n = 4096) is not counted. Gradients in double: round them to float before
 * encoding.
 *
 * MACROS
 *
 * DRACO_CODES_IMPLEMENTATION, DRACO_CODES_STATIC: above. DRACO_CODES_API: what stands before each declaration
 * (default extern), for instance an attribute that exports it from a shared library. DRACO_CODES_NO_SIMD:
 * only the plain loops; the bits are the same. DRACO_CODES_VERSION: 0x00MMmmpp. -ffast-math and the options
 * in it are refused where the implementation is compiled; the declarations may be included by any program.
 *
 * SOURCES
 *
 * L. Chen, H. Wang, Z. Charles, D. Papailiopoulos: DRACO, ICML 2018, arXiv 1803.09877: the codes. I. S.
 * Reed, G. Solomon, 1960; E. Berlekamp, J. Massey, 1969; G. D. Forney, 1965: decoding errors and erasures.
 * M. Rudelson, R. Vershynin: Small ball probabilities for linear images, IMRN 2015: the bound on the folds.
 * G. H. Golub, C. F. Van Loan: Matrix Computations: Householder QR, inverse iteration.
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

/* Memory of the caller, of the size that a ..._bytes function gives; what is in it is private. The types keep
 * them apart; in C, malloc's result needs no cast. */
typedef struct draco_key draco_key;           /* the secret of a round */
typedef struct draco_sketch draco_sketch;     /* of one message */
typedef struct draco_weights draco_weights;   /* of all messages: what locate hands to combine */
typedef struct draco_work draco_work;         /* scratch of one call */
typedef struct draco_encoding draco_encoding; /* a message in the making, and coefficients of its worker */

/* ---- The code ---- */

typedef enum draco_scheme { DRACO_REPETITION = 0, DRACO_CYCLIC = 1 } draco_scheme;
typedef enum draco_field { DRACO_FIELD_PRIME = 0, DRACO_FIELD_COMPLEX = 1 } draco_field; /* cyclic only */
typedef enum draco_support {
    DRACO_SUPPORT_SPREAD = 0,
    DRACO_SUPPORT_CONTIGUOUS = 1
} draco_support; /* cyclic only */

#define DRACO_BLOCK 4096u         /* shards begin at multiples of it */
#define DRACO_EXPONENT_BLOCK 256u /* coordinates that share an exponent; divides DRACO_BLOCK */
#define DRACO_MAX_WORKERS 4096
#define DRACO_WORST_ERROR 1e-3 /* complex field: a sum whose error is not bounded by it is refused */
#define DRACO_BUDGET 25000000  /* code.budget by default: 30 to 60 milliseconds */

/* Set n, s, t, scheme, field and support (default 0: repetition, prime, spread), then call draco_code_init,
 * which computes the rest. DRACO_E_LIMITS: n, s, t do not fit; DRACO_E_SCHEME: an unknown scheme, field or
 * support, or a reactive code that is no repetition code. Copy the struct freely: it holds no pointer. */
typedef struct draco_code {
    int n, s, t; /* workers; liars and missing workers that the code carries */
    draco_scheme scheme;
    draco_field field;
    draco_support support;
    int r; /* 2s + t + 1 (reactive: s + t + 1): parts of a worker (cyclic), least size of a group (repetition) */
    int groups; /* repetition: floor(n / r); cyclic: 1 */
    int parts;  /* parts of a batch: repetition: groups; cyclic: n */
    int scale; /* complex field: messages are divided by 2^scale, so that none of finite gradients overflows */
    int reactive; /* set before draco_code_init: repetition only: r = s + 1 + t; n >= 2s + 1 + t all the same */
    /* Complex field only, else set to 0: */
    uint64_t seed;    /* set before draco_code_init: of the seats, see draco_code_at */
    uint64_t seating; /* of this step: 0: worker i has seat i */
    int64_t
        budget;   /* set before draco_code_init: of draco_locate's search for liars, in multiplications of two
                       complex numbers; 0: DRACO_BUDGET */
    double share; /* norm of a message over that of all gradients together, when these are unlike */
} draco_code;

DRACO_CODES_API draco_status draco_code_init(draco_code *code);
/* Complex field (others: no effect): seats the workers for a step. Worker i does as the code says of worker
 * draco_code_seat(code, i): holds its parts and has its point. The seats are a permutation that (code.seed, step) alone
 * decide, so that liars do not stay neighbours. A round of draco.h calls it; else worker i has seat i. */
DRACO_CODES_API draco_status draco_code_at(draco_code *code, uint64_t step);
/* 0 .. n - 1; -1: no such worker. */
DRACO_CODES_API int draco_code_seat(const draco_code *code, int worker);
/* Equal for equal codes, for handshakes; 0 for a code that is not initialised. */
DRACO_CODES_API uint64_t draco_code_id(const draco_code *code);
/* The number of parts that a worker computes (0: no such worker), the l-th of them, l = 0 .. load - 1 (-1: no
 * such part), whether it holds a part, and its group, 0 .. groups - 1 (-1: no such worker). */
DRACO_CODES_API int draco_code_load(const draco_code *code, int worker);
DRACO_CODES_API int draco_code_part(const draco_code *code, int worker, int l);
DRACO_CODES_API int draco_code_holds(const draco_code *code, int worker, int part);
DRACO_CODES_API int draco_code_group(const draco_code *code, int worker);
/* Part `part` is the samples first .. first + count - 1 of a batch; sizes of parts differ by one at most. */
DRACO_CODES_API void draco_code_samples(const draco_code *code, size_t batch, int part, size_t *first,
                                        size_t *count);
/* f_part(x_worker): complex: real and imaginary part; prime: value[0] is the residue; repetition: 1 or 0. */
DRACO_CODES_API draco_status draco_code_coefficient(const draco_code *code, int part, int worker,
                                                    double value[2]);
/* Writes one line about the code; returns its length like snprintf. */
DRACO_CODES_API size_t draco_code_describe(const draco_code *code, char *text, size_t capacity);

/* ---- Worker: messages ---- */

/* Bytes of a message for gradients of d >= 1 coordinates (the complex field rounds d up to even); 0: too
 * many, or a code that is not initialised. */
DRACO_CODES_API size_t draco_message_bytes(const draco_code *code, size_t d);
/* A message is summed up in an encoding and rounded once, when it ends: parts in the order of
 * draco_code_part, from which the complex field's bits follow. init: once, for a code and d; it may compute
 * coefficients then and when the worker changes. begin: once per message. */
DRACO_CODES_API size_t draco_encoding_bytes(const draco_code *code, size_t d);
DRACO_CODES_API draco_status draco_encode_init(const draco_code *code, size_t d, draco_encoding *encoding);
DRACO_CODES_API draco_status draco_encode_begin(const draco_code *code, size_t d, draco_encoding *encoding);
/* Adds one part to the worker's message. gradient: d floats. exponents: draco_exponent_bytes(d) bytes, those
 * agreed on (prime field), else NULL. Call it once per part, in the order of draco_code_part. DRACO_E_INDEX:
 * the worker does not hold the part. DRACO_E_RANGE (prime field): a block exceeds its exponent, or has NaN or
 * Inf; nothing is added. */
DRACO_CODES_API draco_status draco_encode_add(const draco_code *code, int worker, int part,
                                              const float *gradient, size_t d, const uint8_t *exponents,
                                              draco_encoding *encoding);
/* Writes the message: draco_message_bytes(code, d) bytes. */
DRACO_CODES_API draco_status draco_encode_end(const draco_code *code, size_t d,
                                              const draco_encoding *encoding, void *message);
/* The same for the coordinates first .. first + count - 1 alone; first: a multiple of DRACO_BLOCK. */
DRACO_CODES_API draco_status draco_encode_share(const draco_code *code, size_t d,
                                                const draco_encoding *encoding, size_t first, size_t count,
                                                void *message);

/* Prime field: parts first .. first + count - 1 of the worker's (gradients: count of them, d floats each, in the
 * order of draco_code_part) are added to the message itself, which `first` == 0 begins, and own gets their exponents,
 * count times draco_exponent_bytes(d) of them. The same bytes as draco_encode_add and draco_exponents_of give, with one
 * pass over the gradients; a block that exceeds its exponent is left out. message: 4 d bytes. encoding: of any
 * d; its coefficients are used. DRACO_E_RANGE: NaN or Inf. */
DRACO_CODES_API draco_status draco_encode_parts(const draco_code *code, int worker, int first, int count,
                                                const float *const *gradients, size_t d,
                                                const uint8_t *exponents, draco_encoding *encoding,
                                                void *message, uint8_t *own);

#if defined(__BYTE_ORDER__) && defined(__ORDER_BIG_ENDIAN__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define DRC_BIG_ENDIAN 1
#else
#define DRC_BIG_ENDIAN 0
#endif
/* Turns 32-bit words (a message, floats) from the machine's byte order into little-endian, or back; does
 * nothing on a little-endian machine. The message of a repetition worker is its gradient turned so. It is
 * inline, so that a transport needs no implementation of the codes. */
static inline void draco_little_endian(void *words, size_t count) {
    unsigned char *b = (unsigned char *)words;
    for (; DRC_BIG_ENDIAN && count > 0; count--, b += 4) {
        unsigned char first = b[0], second = b[1];
        b[0] = b[3];
        b[1] = b[2];
        b[2] = second;
        b[3] = first;
    }
}

/* ---- Exponents (prime field): one byte for each block of DRACO_EXPONENT_BLOCK coordinates ---- */

DRACO_CODES_API size_t draco_exponent_bytes(size_t d);
/* Writes the exponents of one gradient of d floats. DRACO_E_RANGE: it has a NaN or Inf. */
DRACO_CODES_API draco_status draco_exponents_of(const draco_code *code, const float *gradient, size_t d,
                                                uint8_t *exponents);

/* ---- Report ---- */

typedef struct draco_report {
    int present;                                                 /* messages that arrived whole */
    int agreed, blamed, absent, malformed, undecided, suspected; /* counts of the verdicts */
    int spare; /* redundancy not used up, the least over groups: 2s + t, less 1 for each missing message
                        and each outlier set aside (complex field), less 2 for each other blamed one */
    int group; /* repetition: the first group that could not be decided, else -1 */
    double
        residual; /* complex: norm of what the suspects do not explain, relative to what rounding can leave */
    double gain;  /* complex: ||v|| sqrt(n), 1 when all workers are honest */
    double
        error; /* complex: bounds the error of the sum, relative to sqrt(sum of |gradient|^2) of the parts when
                     these are unlike, else to their sum, in each range of coordinates (draco_sketch_key_split);
                     over all sets of liars that explain the messages. Prime: draco_rounding_error, set with
                     the sum */
} draco_report;
/* Counts n verdicts: agreed, blamed, absent, malformed, undecided. The other members stay as they are. */
DRACO_CODES_API void draco_report_count(const draco_verdict *verdicts, int n, draco_report *report);

/* ---- Server ---- */

/* reports[i]: worker i's exponents of all its parts, load x exponent_bytes bytes in the order of
 * draco_code_part, or NULL: absent. Of those present at most (2s + t - missing) / 2 lie, so that more equal
 * reports of a part decide it. Writes agreed (exponent_bytes), n verdicts and the report. Prime field only
 * (DRACO_E_ARGUMENT). */
DRACO_CODES_API size_t draco_exponents_work_bytes(const draco_code *code, size_t d);
DRACO_CODES_API draco_status draco_exponents_decide(const draco_code *code, const uint8_t *const *reports,
                                                    size_t d, draco_work *work, uint8_t *agreed,
                                                    draco_verdict *verdicts, draco_report *report);

DRACO_CODES_API size_t draco_sketch_key_bytes(const draco_code *code);
DRACO_CODES_API draco_status draco_sketch_key_init(const draco_code *code, const draco_seed *seed,
                                                   draco_key *key);
/* Complex field (others: no effect): lies are measured range by range of coordinates, each against its own size. Ranges
 * begin at blocks 0, 1, 2, 3, 4, 6, 8, 12, …; this adds one, such as that of statistics, before the key is used.
 * DRACO_E_LIMITS: there are 64, and 26 of them are free. */
DRACO_CODES_API draco_status draco_sketch_key_split(const draco_code *code, size_t coordinate,
                                                    draco_key *key);
/* The same for the layers of a model, which begin at starts[0 .. count - 1]. With room for m ranges and more layers
 * than that, layers k count / m, rounded down, k = 0 .. m - 1, begin one, and those between are in the range of the layer
 * before them. */
DRACO_CODES_API draco_status draco_sketch_key_layers(const draco_code *code, const size_t *starts,
                                                     size_t count, draco_key *key);
DRACO_CODES_API size_t draco_sketch_bytes(const draco_code *code);
/* offset: where this range begins in the message, in bytes: a multiple of 4 * DRACO_BLOCK, 0 unless the
 * message is sharded. A sketch of it takes bytes in any chunks and merges with those of other ranges. */
DRACO_CODES_API draco_status draco_sketch_begin(const draco_code *code, uint64_t offset,
                                                draco_sketch *sketch);
DRACO_CODES_API draco_status draco_sketch_add(const draco_code *code, const draco_key *key,
                                              draco_sketch *sketch, const void *bytes, size_t n);
DRACO_CODES_API draco_status draco_sketch_merge(const draco_code *code, const draco_key *key,
                                                draco_sketch *into, const draco_sketch *from);
/* Repetition only (else DRACO_E_ARGUMENT): the fingerprint of a message, so that a draco_tally can decide a
 * group as soon as enough messages have arrived. */
DRACO_CODES_API draco_status draco_sketch_fingerprint(const draco_code *code, const draco_key *key,
                                                      const draco_sketch *sketch,
                                                      uint8_t fingerprint[DRACO_FINGERPRINT_BYTES]);

/* n sketches (NULL: absent) of messages of d coordinates -> n verdicts, the report, and the weights. It may
 * be called again when more messages have arrived. */
DRACO_CODES_API size_t draco_locate_work_bytes(const draco_code *code);
DRACO_CODES_API size_t draco_weights_bytes(const draco_code *code);
DRACO_CODES_API draco_status draco_locate(const draco_code *code, const draco_key *key, size_t d,
                                          const draco_sketch *const *sketches, draco_work *work,
                                          draco_weights *weights, draco_verdict *verdicts,
                                          draco_report *report);
/* 1 when combine reads this worker's message. */
DRACO_CODES_API int draco_weight_used(const draco_code *code, const draco_weights *weights, int worker);
/* Repetition only: weights that add the messages of winners[0 .. groups - 1], one worker per group, as
 * decided by a vote elsewhere. */
DRACO_CODES_API draco_status draco_weights_winners(const draco_code *code, const int *winners,
                                                   draco_weights *weights);
/* sum[0 .. count - 1] = coordinates first .. first + count - 1 of the sum. messages: n pointers to whole
 * messages; those with no weight may be NULL. exponents: as in draco_encode_add. DRACO_E_RANGE: a coordinate
 * of the sum is no finite float; what sum has then is not to be used. */
DRACO_CODES_API draco_status draco_combine(const draco_code *code, const draco_weights *weights,
                                           const void *const *messages, size_t d, size_t first, size_t count,
                                           const uint8_t *exponents, float *sum);

/* Prime field: what rounding the gradients did to `sum`, coordinates first .. first + count - 1 of the sum: the
 * Euclidean norm of the error to expect, relative to that of the sum; at most 1, when the sum is lost in it,
 * and 0 for other codes. */
DRACO_CODES_API double draco_rounding_error(const draco_code *code, const uint8_t *exponents,
                                            const float *sum, size_t first, size_t count);

/* Sketch, locate and combine. seed: fresh for every round. messages: n pointers, NULL: absent. sum: d floats.
 * exponents: as in draco_encode_add. */
DRACO_CODES_API size_t draco_decode_work_bytes(const draco_code *code);
DRACO_CODES_API draco_status draco_decode(const draco_code *code, const draco_seed *seed,
                                          const void *const *messages, size_t d, const uint8_t *exponents,
                                          draco_work *work, float *sum, draco_verdict *verdicts,
                                          draco_report *report);
/* Writes one line about what was found; returns its length like snprintf. */
DRACO_CODES_API size_t draco_report_describe(const draco_code *code, draco_status status,
                                             const draco_verdict *verdicts, const draco_report *report,
                                             char *text, size_t capacity);

/* ---- Reactive redundancy: who computes a part, who speaks for it, and what the answers prove ----
 *
 * One part at a time: its members are asked to compute it; one of them, the speaker, sends its message, and the others
 * say whether theirs is the same (which a fingerprint under a key that is drawn afterwards tells). Nothing here
 * knows messages: a caller gives each one that lost a number, the same to equal ones.
 *
 *     open; ask, until s + 1 + t are asked
 *     again: speaker (nobody left: ask one more and try again; nobody to ask: the part cannot be decided)
 *            answer, for each other member; while agreed < s + 1: ask one more, and its answer
 *            agreed >= s + 1: verdicts, the part is decided; else lose, and again
 *
 * No honest worker agrees with a message that is not its own, hence of s + 1 that agree one is honest, and whoever
 * contradicts them, or agreed with another message, lied: BLAMED is a proof as long as at most s workers lie. */
typedef enum draco_standing { /* of a worker, from the rounds before; n bytes */
                              DRACO_STANDING_GOOD = 0,
                              DRACO_STANDING_LATE = 1, /* asked when there is nobody better */
                              DRACO_STANDING_OUT = 2   /* a proved liar: never asked */
} draco_standing;

typedef enum draco_answer {
    DRACO_ANSWER_NONE = 0, /* silent so far */
    DRACO_ANSWER_AGREES = 1,
    DRACO_ANSWER_DIFFERS = 2
} draco_answer;

typedef struct draco_member { /* a worker that computes the part; what it has said */
    int worker;
    int side;  /* 1 + the number of a message that lost and that it agreed with; -1: of two different ones */
    int spoke; /* 1: its message was asked for; a caller may set it back to 0, to ask again */
    int asked; /* the caller's; 0 whenever another member begins to speak */
    draco_answer answer; /* about the message at hand */
} draco_member;

typedef struct draco_dispute {
    int part, s, least, most; /* s + 1 agree; s + 1 + t members are asked at first, 2s + 1 + t at most */
    int count;                /* members */
    int speaker;              /* the member whose message is at hand; -1: none */
    draco_member *members;    /* the caller's: `most` of them */
} draco_dispute;

/* Liars that may be left: s, less those that are out; negative: more are out than the code carries. */
DRACO_CODES_API int draco_dispute_liars(const draco_code *code, const unsigned char *standing);
/* liars: as above; at most code->s. members: room for 2 liars + 1 + t. */
DRACO_CODES_API draco_status draco_dispute_open(draco_dispute *dispute, const draco_code *code, int part,
                                                int liars, draco_member *members);
/* One more member, from the least loaded: of the part's own group, then in good standing, then drawn from seed, step
 * and part. load: n, gradients of this round by worker; the member's grows by one. A pure function of what it is
 * given. Returns the worker, or -1: 2s + 1 + t are members already, or nobody is left. */
DRACO_CODES_API int draco_dispute_ask(draco_dispute *dispute, const draco_code *code, uint64_t seed,
                                      uint64_t step, const unsigned char *standing, int *load);
/* The same for a given worker, which is no member yet. 1, or 0: 2s + 1 + t are members. */
DRACO_CODES_API int draco_dispute_add(draco_dispute *dispute, int worker);
/* The next member to speak: of those that have not, the least of rank[worker]; NULL: the first that was asked. It
 * answers for itself, the others' answers are void. Returns the worker, or -1. */
DRACO_CODES_API int draco_dispute_speaker(draco_dispute *dispute, const uint32_t *rank);
DRACO_CODES_API draco_member *draco_dispute_member(const draco_dispute *dispute, int worker); /* NULL: none */
DRACO_CODES_API int draco_dispute_agreed(const draco_dispute *dispute);
/* The message at hand lost; its number, >= 0. */
DRACO_CODES_API void draco_dispute_lose(draco_dispute *dispute, int number);
/* The message at hand won; number: of an equal one that lost before, or -1. verdicts[worker] of those that lied becomes
 * BLAMED, of others that agree AGREES unless it says something else already; n verdicts of the whole round. */
DRACO_CODES_API void draco_dispute_verdicts(const draco_dispute *dispute, int number,
                                            draco_verdict *verdicts);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_CODES_H */

#if defined(DRACO_CODES_IMPLEMENTATION) && !defined(DRACO_CODES_IMPLEMENTED)
#define DRACO_CODES_IMPLEMENTED

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) ||               \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || defined(_M_FP_FAST)
#error                                                                                                       \
    "draco_codes.h: -Ofast, -ffast-math and its parts change the bits and hide NaN; compile this file without"
#endif

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
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

/* ======== Common arithmetic ======== */

static size_t drc_align(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

static size_t drc_take(unsigned char **at, size_t bytes) {
    if (*at) *at += drc_align(bytes);
    return drc_align(bytes);
}

#define DRC_TILE 1024u /* coordinates summed at a time */

/* The words first .. first + count - 1 of a message, in place or in `copy`. */
static const void *drc_words(const void *message, size_t first, size_t count, uint32_t *copy) {
    const void *words = (const uint32_t *)message + first;
    if (!DRC_BIG_ENDIAN) return words;
    memcpy(copy, words, 4 * count);
    draco_little_endian(copy, count);
    return copy;
}

#define DRC_INFINITE 0x7f800000u /* the bits of Inf: those of NaN are larger */

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

/* Is a worker's message in the sum? */
static int drc_used(const double *weights, int worker) {
    return weights[2 * worker] != 0 || weights[2 * worker + 1] != 0;
}

DRACO_CODES_API void draco_report_count(const draco_verdict *verdicts, int n, draco_report *report) {
    int i;
    report->agreed = report->blamed = report->absent = report->malformed = report->undecided = 0;
    report->suspected = 0;
    for (i = 0; i < n; i++) {
        report->agreed += verdicts[i] == DRACO_AGREES;
        report->blamed += verdicts[i] == DRACO_BLAMED;
        report->absent += verdicts[i] == DRACO_ABSENT;
        report->malformed += verdicts[i] == DRACO_MALFORMED;
        report->undecided += verdicts[i] == DRACO_UNDECIDED;
        report->suspected += verdicts[i] == DRACO_SUSPECTED;
    }
}

static void drc_count(const draco_code *code, const draco_verdict *verdicts, draco_report *report) {
    memset(report, 0, sizeof *report);
    report->group = -1;
    report->gain = 1;
    draco_report_count(verdicts, code->n, report);
    report->present = code->n - report->absent - report->malformed;
    report->spare = 2 * code->s + code->t - 2 * report->blamed - report->absent - report->malformed;
}

/* ---- A code is a row of functions ---- */

/* Another code is its functions, a row like these, and its place in drc_codes. Weights are two doubles per
 * worker. A message has d words, rounded up to a multiple of `multiple`. Keys and sketches are raw memory
 * of the sizes given; every sketch begins with a drc_head. */
typedef struct drc_code {
    draco_scheme scheme;
    draco_field field;
    const char *name;
    int alike;     /* every worker has the same coefficients, in the order of `index` */
    int exponents; /* encode and combine need the exponents that were agreed on */
    size_t multiple, sum_bytes, key_bytes, sketch_bytes; /* sum_bytes: of a word while it is summed up */
    void (*init)(draco_code *code);                      /* n, s, t, r -> groups, parts */
    int (*load)(const draco_code *code);
    int (*part)(const draco_code *code, int worker, int l);
    int (*index)(const draco_code *code, int worker, int part); /* of its coefficient; -1: not held */
    int (*describe)(const draco_code *code, const char *name, char *text, size_t capacity);
    void (*coefficient)(const draco_code *code, int part, int worker, double value[4]); /* two numbers, and
                           what two doubles of 29 bits leave of them */
    draco_status (*encode)(const draco_code *code, const double value[4], const float *gradient, size_t d,
                           const uint8_t *exponents, void *sum);
    void (*round)(const draco_code *code, const void *sum, size_t words, void *message);
    void (*key_init)(const draco_seed *seed, void *key);
    void (*begin)(void *sketch, uint64_t offset); /* NULL: a sketch begins as zeros */
    void (*fold)(const void *key, void *sketch, const unsigned char *bytes, size_t n);
    void (*merge)(const void *key, void *into, const void *from);
    void (*fingerprint)(const void *key, const void *sketch, uint8_t value[DRACO_FINGERPRINT_BYTES]); /* NULL:
                           messages are not voted on */
    size_t (*work_bytes)(const draco_code *code);
    draco_status (*locate)(const draco_code *code, const draco_key *key, size_t d,
                           const draco_sketch *const *sketches, void *work, double *weights,
                           draco_verdict *verdicts, draco_report *report);
    void (*combine)(const draco_code *code, const double *weights, const void *const *messages, size_t first,
                    size_t count, const uint8_t *exponents, float *sum); /* none of two tiles */
} drc_code;

/* ---- Sketches: what all begin with ---- */

/* Every sketch begins with what was folded. */
typedef struct drc_head {
    uint64_t offset, bytes; /* where the range begins in the message; bytes taken in so far */
    uint8_t carry[4];       /* the bytes % 4 of a coordinate that has begun */
    uint32_t outside;       /* a word is no message's: NaN or Inf (complex), p or more (prime) */
    uint32_t largest;       /* complex: the bits of the largest |word| */
} drc_head;

/* What can be said of a message before it is compared with others. */
static draco_verdict drc_first_look(const draco_code *code, size_t d, const draco_sketch *sketch) {
    const drc_head *head = (const drc_head *)(const void *)sketch;
    if (!sketch) return DRACO_ABSENT;
    return head->bytes == draco_message_bytes(code, d) && !head->outside ? DRACO_UNDECIDED : DRACO_MALFORMED;
}

/* A mixing function (Steele, Lea, Flood, OOPSLA 2014: SplitMix64). */
static uint64_t drc_mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* ---- Cyclic codes: who holds what ---- */

/* Bijections of the numbers of as many bits as n - 1 has, again while the result is none below n. */
static int drc_seat(const draco_code *code, int worker) {
    uint64_t x = (uint64_t)worker, n = (uint64_t)code->n, mask = 1;
    int bits = 1, round;
    if (!code->seating) return worker;
    for (; mask + 1 < n; bits++) mask = 2 * mask + 1;
    do {
        for (round = 0; round < 4; round++) {
            uint64_t draw = drc_mix(code->seating + (uint64_t)round);
            x = (x * (draw | 1) + (draw >> 32)) & mask;
            x ^= x >> (bits + 1) / 2;
        }
    } while (x >= n);
    return (int)x;
}

/* Offset of the l-th member of a support: worker (k + offset) mod n holds part k. */
static int drc_offset(const draco_code *code, int l) {
    if (code->support == DRACO_SUPPORT_CONTIGUOUS) return l;
    return (2 * l * code->n + code->r) / (2 * code->r);
}

/* How many offsets are no larger than this difference. Offset l is l n / r rounded. */
static int drc_offsets_to(const draco_code *code, int difference) {
    int l = code->support == DRACO_SUPPORT_CONTIGUOUS ? difference : difference * code->r / code->n;
    if (l >= code->r) l = code->r - 1;
    if (drc_offset(code, l) > difference) return l;
    return l + 1 + (l + 1 < code->r && drc_offset(code, l + 1) <= difference);
}

/* Is a worker this far after the first of a support in it? */
static int drc_supported(const draco_code *code, int difference) {
    return drc_offset(code, drc_offsets_to(code, difference) - 1) == difference;
}

static void drc_cyclic_init(draco_code *code) {
    code->groups = 1;
    code->parts = code->n;
}

static int drc_cyclic_load(const draco_code *code) {
    return code->r;
}

static int drc_cyclic_part(const draco_code *code, int worker, int l) {
    return (worker - drc_offset(code, l) + code->n) % code->n;
}

static int drc_cyclic_index(const draco_code *code, int worker, int part) {
    int difference = (worker - part + code->n) % code->n;
    return drc_supported(code, difference) ? drc_offsets_to(code, difference) - 1 : -1;
}

static void drc_round_words(const draco_code *code, const void *sum, size_t words, void *message) {
    (void)code;
    memcpy(message, sum, 4 * words);
}

static int drc_cyclic_describe(const draco_code *code, const char *name, char *text, size_t capacity) {
    return snprintf(
        text, capacity,
        "%s, %s supports: %d workers, up to %d liars and %d missing; %d parts, each held by %d workers, "
        "%d per worker",
        name, code->support == DRACO_SUPPORT_SPREAD ? "spread" : "contiguous", code->n, code->s, code->t,
        code->parts, code->r, code->r);
}

/* ---- Cyclic codes: the bytes of a message as they come, folded block by block ---- */

/* Coordinate c is added to lane c mod 512, times the factor of its row c / 512, in each of several
 * independent folds. Row b's factor is low[b mod 2048] * high[b / 2048]. */
#define DRC_LANES 512
#define DRC_ROWS 8 /* DRACO_BLOCK / LANES: folded at a time */
#define DRC_TABLE 2048
#define DRC_MAX_BYTES ((uint64_t)4 * DRC_LANES * DRC_TABLE * DRC_TABLE)

/* How a field folds: a whole block at an aligned address (next: the block after it, or itself), and a piece
 * of a block, coordinate by coordinate, with the bits that a whole block gives. */
typedef struct drc_folding {
    void (*block)(const void *key, void *sketch, uint64_t row, const void *x, const void *next);
    void (*piece)(const void *key, void *sketch, uint64_t coordinate, const unsigned char *bytes,
                  size_t count);
} drc_folding;

/* At most one block, none of another block. */
static void drc_fold(const drc_folding *folding, const void *key, void *sketch, uint64_t coordinate,
                     const unsigned char *bytes, size_t count, size_t after) {
    uint32_t aligned[DRACO_BLOCK];
    const unsigned char *next = after >= DRACO_BLOCK ? bytes + 4 * DRACO_BLOCK : bytes;
    if (count < DRACO_BLOCK) {
        folding->piece(key, sketch, coordinate, bytes, count);
        return;
    }
    if (DRC_BIG_ENDIAN || (uintptr_t)bytes % 4 != 0) {
        memcpy(aligned, bytes, sizeof aligned);
        draco_little_endian(aligned, DRACO_BLOCK);
        bytes = next = (const unsigned char *)aligned;
    }
    folding->block(key, sketch, coordinate / DRC_LANES, bytes, next);
}

/* Coordinates from the bytes as they come; one that is cut in two by a chunk waits in `carry`. */
static void drc_fold_bytes(const drc_folding *folding, const void *key, void *sketch,
                           const unsigned char *bytes, size_t n) {
    drc_head *head = (drc_head *)sketch;
    while (n > 0) {
        size_t begun = (size_t)(head->bytes % 4), take, inside;
        uint64_t coordinate = (head->offset + head->bytes) / 4;
        if (begun > 0 || n < 4) {
            take = n < 4 - begun ? n : 4 - begun;
            memcpy(head->carry + begun, bytes, take);
            if (begun + take == 4) drc_fold(folding, key, sketch, coordinate, head->carry, 1, 0);
        } else {
            inside = (size_t)(coordinate % DRACO_BLOCK);
            take = n / 4 < DRACO_BLOCK - inside ? n / 4 : DRACO_BLOCK - inside;
            drc_fold(folding, key, sketch, coordinate, bytes, take, n / 4 - take);
            take *= 4;
        }
        head->bytes += take;
        bytes += take;
        n -= take;
    }
}

/* ======== Repetition: groups of workers send the same message ======== */

static void drc_repetition_init(draco_code *code) {
    code->support = DRACO_SUPPORT_SPREAD;
    code->groups = code->n / code->r;
    code->parts = code->groups;
}

static int drc_repetition_load(const draco_code *code) {
    (void)code;
    return 1;
}

static int drc_repetition_part(const draco_code *code, int worker, int l) {
    (void)l;
    return worker % code->groups;
}

static int drc_repetition_index(const draco_code *code, int worker, int part) {
    return worker % code->groups == part ? 0 : -1;
}

static int drc_repetition_describe(const draco_code *code, const char *name, char *text, size_t capacity) {
    int least = code->n / code->groups, most = (code->n + code->groups - 1) / code->groups;
    return snprintf(text, capacity,
                    "%s: %d workers, up to %d liars and %d missing; %d part%s, each held by a group of "
                    "%d%s%.0d workers%s",
                    name, code->n, code->s, code->t, code->parts, code->parts == 1 ? "" : "s", least,
                    most > least ? " or " : "", most > least ? most : 0,
                    code->reactive ? ", of more when disputed" : "");
}

static void drc_repetition_coefficient(const draco_code *code, int part, int worker, double value[4]) {
    (void)code;
    (void)part;
    (void)worker;
    value[0] = 1;
}

static draco_status drc_repetition_encode(const draco_code *code, const double value[4],
                                          const float *gradient, size_t d, const uint8_t *exponents,
                                          void *sum) {
    (void)code;
    (void)value;
    (void)exponents;
    memcpy(sum, gradient, 4 * d);
    return DRACO_OK;
}

/* ---- The sketch is a fingerprint ---- */

typedef struct drc_repetition_sketch {
    drc_head head;
    draco_fingerprint print;
} drc_repetition_sketch;

static void drc_repetition_key(const draco_seed *seed, void *key) {
    draco_fingerprint_key_init((draco_fingerprint_key *)key, seed);
}

static void drc_repetition_begin(void *sketch, uint64_t offset) {
    draco_fingerprint_begin(&((drc_repetition_sketch *)sketch)->print, offset);
}

static void drc_repetition_fold(const void *key, void *sketch, const unsigned char *bytes, size_t n) {
    drc_repetition_sketch *to = (drc_repetition_sketch *)sketch;
    draco_fingerprint_add(&to->print, (const draco_fingerprint_key *)key, bytes, n);
    to->head.bytes += n;
}

static void drc_repetition_merge(const void *key, void *into, const void *from) {
    draco_fingerprint_merge(&((drc_repetition_sketch *)into)->print, (const draco_fingerprint_key *)key,
                            &((const drc_repetition_sketch *)from)->print);
}

static void drc_repetition_fingerprint(const void *key, const void *sketch,
                                       uint8_t fingerprint[DRACO_FINGERPRINT_BYTES]) {
    draco_fingerprint_finish(&((const drc_repetition_sketch *)sketch)->print,
                             (const draco_fingerprint_key *)key, fingerprint);
}

/* ---- Locate: a vote in each group ---- */

typedef struct drc_vote {
    draco_verdict *verdicts; /* of the members of one group */
    unsigned char *chosen;   /* per worker: its message stands for its group */
    void *tally;
} drc_vote;

static size_t drc_group_size(const draco_code *code, int group) {
    return (size_t)((code->n - group + code->groups - 1) / code->groups);
}

static size_t drc_repetition_work(const draco_code *code) {
    size_t n = (size_t)code->n, members = drc_group_size(code, 0);
    return drc_align(members * sizeof(draco_verdict)) + drc_align(n) +
           drc_align(draco_tally_bytes(members, DRACO_FINGERPRINT_BYTES));
}

/* Member m of a group is worker group + m * groups. */
static draco_status drc_vote_group(const draco_code *code, const draco_key *key, size_t d,
                                   const draco_sketch *const *sketches, int group, drc_vote *vote,
                                   draco_verdict *verdicts) {
    size_t members = drc_group_size(code, group), m, winner = 0;
    draco_tally tally;
    draco_status status =
        draco_tally_open(&tally, members, DRACO_FINGERPRINT_BYTES, (size_t)code->s + 1, vote->tally);
    for (m = 0; m < members && status >= 0; m++) {
        size_t worker = (size_t)group + m * (size_t)code->groups;
        uint8_t fingerprint[DRACO_FINGERPRINT_BYTES];
        verdicts[worker] = drc_first_look(code, d, sketches[worker]);
        if (verdicts[worker] == DRACO_UNDECIDED) {
            drc_repetition_fingerprint(key, sketches[worker], fingerprint);
            draco_tally_cast(&tally, m, fingerprint);
        } else {
            status = draco_tally_spoil(&tally, m, verdicts[worker]);
        }
    }
    if (status == DRACO_OK) status = draco_tally_close(&tally, &winner, vote->verdicts);
    if (status != DRACO_OK) return status;
    for (m = 0; m < members; m++) {
        verdicts[(size_t)group + m * (size_t)code->groups] = vote->verdicts[m];
    }
    vote->chosen[(size_t)group + winner * (size_t)code->groups] = 1;
    return DRACO_OK;
}

static draco_status drc_repetition_locate(const draco_code *code, const draco_key *key, size_t d,
                                          const draco_sketch *const *sketches, void *work, double *weights,
                                          draco_verdict *verdicts, draco_report *report) {
    size_t n = (size_t)code->n, members = drc_group_size(code, 0), i;
    drc_vote vote;
    draco_status status = DRACO_OK;
    int g, undecided = -1, spare = 2 * code->s + code->t;
    vote.verdicts = (draco_verdict *)work;
    vote.chosen = (unsigned char *)work + drc_align(members * sizeof(draco_verdict));
    vote.tally = vote.chosen + drc_align(n);
    memset(vote.chosen, 0, n);
    for (g = 0; g < code->groups; g++) {
        draco_status s = drc_vote_group(code, key, d, sketches, g, &vote, verdicts);
        int of_group = 2 * code->s + code->t;
        for (i = (size_t)g; i < n; i += (size_t)code->groups) {
            of_group -= verdicts[i] == DRACO_BLAMED ? 2 : verdicts[i] >= DRACO_ABSENT;
        }
        if (of_group < spare) spare = of_group;
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

/* ---- Combine ---- */

/* The groups' winners, added in the order of the groups in double, rounded once. */
DRC_INLINE void drc_add_row_plain(double *sum, const float *row, size_t count) {
    size_t c;
    for (c = 0; c < count; c++) sum[c] += (double)row[c];
}
DRC_KERNEL(drc_add_row, (double *sum, const float *row, size_t count), (sum, row, count))

static void drc_repetition_combine(const draco_code *code, const double *weights, const void *const *messages,
                                   size_t first, size_t count, const uint8_t *exponents, float *sum) {
    double total[DRC_TILE];
    uint32_t copy[DRC_TILE];
    size_t c;
    int g, i;
    (void)exponents;
    for (g = 0; g < code->groups; g++) {
        const float *row;
        for (i = g; !drc_used(weights, i);) i += code->groups;
        row = (const float *)drc_words(messages[i], first, count, copy);
        if (g == 0)
            for (c = 0; c < count; c++) total[c] = (double)row[c];
        else
            drc_add_row(total, row, count);
    }
    for (c = 0; c < count; c++) sum[c] = (float)total[c];
}

static const drc_code drc_repetition = {DRACO_REPETITION,
                                        DRACO_FIELD_PRIME,
                                        "repetition code",
                                        1, /* alike */
                                        0, /* exponents */
                                        1, /* multiple */
                                        4, /* sum_bytes */
                                        sizeof(draco_fingerprint_key),
                                        sizeof(drc_repetition_sketch),
                                        drc_repetition_init,
                                        drc_repetition_load,
                                        drc_repetition_part,
                                        drc_repetition_index,
                                        drc_repetition_describe,
                                        drc_repetition_coefficient,
                                        drc_repetition_encode,
                                        drc_round_words,
                                        drc_repetition_key,
                                        drc_repetition_begin,
                                        drc_repetition_fold,
                                        drc_repetition_merge,
                                        drc_repetition_fingerprint,
                                        drc_repetition_work,
                                        drc_repetition_locate,
                                        drc_repetition_combine};

/* ======== Prime field: Reed-Solomon modulo p = 2^31 - 1 ======== */

/* ---- Arithmetic modulo p ---- */

#define DRC_P 0x7fffffffu

/* v < 2^64 - 2^33 to a number under 2^34 with the same residue. */
DRC_INLINE uint64_t drc_lazy(uint64_t v) {
    return (v & DRC_P) + (v >> 31);
}

DRC_INLINE uint32_t drc_mod(uint64_t v) {
    uint64_t w = drc_lazy(drc_lazy(v));
    return (uint32_t)(w >= DRC_P ? w - DRC_P : w);
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
#endif

static uint32_t drc_mul(uint32_t a, uint32_t b) {
    return drc_mod((uint64_t)a * b);
}

static uint32_t drc_sub(uint32_t a, uint32_t b) {
    return a >= b ? a - b : a + (DRC_P - b);
}

static uint32_t drc_add(uint32_t a, uint32_t b) {
    return drc_mod((uint64_t)a + b);
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

/* Worker i's point of the prime field. */
static uint32_t drc_point(int worker) {
    return (uint32_t)worker + 1;
}

/* f_part(x_worker) */
static void drc_prime_coefficient(const draco_code *code, int part, int worker, double value[4]) {
    uint32_t above = 1, below = 1, x = drc_point(worker);
    int m;
    for (m = 0; m < code->n; m++) {
        uint32_t y = drc_point(m);
        if (drc_supported(code, (m - part + code->n) % code->n)) continue;
        above = drc_mul(above, drc_sub(y, x));
        below = drc_mul(below, y);
    }
    value[0] = drc_mul(above, drc_inverse(below));
}

/* ---- Quantisation ---- */

/* Exponent byte of a block: 0: all zero; b in 1..254: every |g| < 2^(b - 126); 255: NaN or Inf. */
static uint8_t drc_exponent(const float *gradient, size_t count) {
    uint32_t largest;
    drc_largest(gradient, count, &largest);
    return (uint8_t)((largest >> 23) + (largest > 0 && largest >> 23 == 0));
}

/* The parts of a block add up to less than 2^(E - 126), with E an agreed exponent plus `spread`, the bits that
   n equal parts need: 2^30 units, so that the sum does not wrap. */
static int drc_spread(const draco_code *code) {
    int bits = 0;
    while (code->n >> bits) bits++;
    return bits;
}

/* A unit of q is 2^-power in a block of this exponent. */
static int drc_power_of(uint8_t exponent, int spread) {
    return 30 + 126 - (int)exponent - spread;
}

static double drc_unit(const draco_code *code, uint8_t exponent) {
    return ldexp(1.0, -drc_power_of(exponent, drc_spread(code)));
}

/* Does a part with this exponent fit into a block that is encoded with `agreed`? It is less than 2^29 units then. */
static int drc_fits(uint8_t own, uint8_t agreed, int spread) {
    return own < 255 && agreed < 255 && (own == 0 || (agreed > 0 && own < agreed + spread));
}

/* The agreed exponent of a block: the least with which the sum of its parts, of exponents own[part][block],
   fits. A part far below the largest counts as more than it is. */
static uint8_t drc_agreed(const draco_code *code, const uint8_t *const *own, size_t block) {
    uint64_t sum = 0;
    int part, most = 0, bits = 0;
    for (part = 0; part < code->parts; part++) most = own[part][block] > most ? own[part][block] : most;
    for (part = 0; part < code->parts; part++) {
        int below = most - own[part][block];
        if (own[part][block] > 0) sum += (uint64_t)1 << (below < 40 ? 40 - below : 0);
    }
    while (sum >> bits) bits++;
    bits += most - 40 - drc_spread(code);
    return (uint8_t)(most == 0 ? 0 : bits < 1 ? 1 : bits);
}

static size_t drc_in_block(size_t d, size_t first) {
    return d - first < DRACO_EXPONENT_BLOCK ? d - first : DRACO_EXPONENT_BLOCK;
}

/* q = gradient * 2^power rounded to the nearest integer, halves away from zero; |q| <= 2^29, and adding a half
 * to 24 bits is exact: the cast truncates. message += coefficient * q mod p for each of at most DRC_AT_ONCE parts. */
DRC_INLINE void drc_quantise_plain(uint32_t *message, const float *const *parts, const uint32_t *coefficients,
                                   int count, size_t words, int power) {
    const double per_unit = ldexp(1.0, power);
    size_t c;
    int l;
    for (l = 0; l < count; l++) {
        for (c = 0; c < words; c++) {
            double x = (double)parts[l][c] * per_unit;
            int32_t q = (int32_t)(x + (x < 0 ? -0.5 : 0.5));
            uint32_t residue = (uint32_t)q + (q < 0 ? DRC_P : 0);
            message[c] = drc_mod(message[c] + (uint64_t)residue * coefficients[l]);
        }
    }
}

#define DRC_AT_ONCE 8

#ifdef DRC_X86
/* With coefficients between -p / 2 and p / 2 the products are at most 2^59, and p 2^32 more than the sum of eight is
 * positive. The rows of several gradients, a block at a time, are too short a stream for the machine to foresee: each
 * is fetched DRC_AHEAD floats ahead, a line at a time between the arithmetic. */
#define DRC_ABOVE_SUM ((int64_t)((uint64_t)DRC_P << 32))
#define DRC_AHEAD (3 * DRACO_EXPONENT_BLOCK)
#define DRC_FETCH_AHEAD(row, c)                                                                              \
    DRC_FETCH((const void *)((uintptr_t)((row) + (c)) + DRC_AHEAD * sizeof *(row)))

static int32_t drc_centred(uint32_t residue) {
    return (int32_t)(residue > DRC_P / 2 ? residue - DRC_P : residue);
}

static void drc_quantise_rest(uint32_t *message, const float *const *parts, const uint32_t *coefficients,
                              int count, size_t done, size_t words, int power) {
    const float *rest[DRC_AT_ONCE];
    int l;
    if (done == words) return;
    for (l = 0; l < count; l++) rest[l] = parts[l] + done;
    drc_quantise_plain(message + done, rest, coefficients, count, words - done, power);
}

/* The rounding is done on t, twice the value truncated, which float holds exactly: q = floor((t + 1) / 2), one less
 * before the division where t is negative. */
DRC_AVX512 static void drc_quantise_avx512(uint32_t *message, const float *const *parts,
                                           const uint32_t *coefficients, int count, size_t words, int power) {
    const __m512i above = _mm512_set1_epi64(DRC_ABOVE_SUM), low = _mm512_set1_epi64(0xffffffff),
                  one = _mm512_set1_epi32(1), negative = _mm512_set1_epi32(-1);
    const __m512 by = _mm512_set1_ps((float)(power + 1));
    __m512i v[DRC_AT_ONCE];
    size_t c;
    int l;
    for (l = 0; l < count; l++) v[l] = _mm512_set1_epi64(drc_centred(coefficients[l]));
    for (c = 0; c + 16 <= words; c += 16) {
        __m512i m = _mm512_loadu_si512(message + c);
        __m512i even = _mm512_add_epi64(above, _mm512_and_si512(m, low));
        __m512i odd = _mm512_add_epi64(above, _mm512_maskz_srli_epi64(0xff, m, 32));
        DRC_FETCH_AHEAD(message, c);
        for (l = 0; l < count; l++) {
            __m512 x = _mm512_maskz_scalef_ps(0xffff, _mm512_loadu_ps(parts[l] + c), by);
            __m512i q = _mm512_maskz_cvttps_epi32(0xffff, x);
            DRC_FETCH_AHEAD(parts[l], c);
            q = _mm512_mask_add_epi32(q, _mm512_cmpgt_epi32_mask(q, negative), q, one);
            q = _mm512_maskz_srai_epi32(0xffff, q, 1);
            even = _mm512_add_epi64(even, _mm512_maskz_mul_epi32(0xff, q, v[l]));
            q = _mm512_maskz_shuffle_epi32(0xffff, q, _MM_PERM_DDBB);
            odd = _mm512_add_epi64(odd, _mm512_maskz_mul_epi32(0xff, q, v[l]));
        }
        odd = _mm512_maskz_slli_epi64(0xff, drc_mod_avx512(odd), 32);
        _mm512_storeu_si512(message + c, _mm512_or_si512(drc_mod_avx512(even), odd));
    }
    drc_quantise_rest(message, parts, coefficients, count, c, words, power);
}

DRC_AVX2 static void drc_quantise_avx2(uint32_t *message, const float *const *parts,
                                       const uint32_t *coefficients, int count, size_t words, int power) {
    const __m256i above = _mm256_set1_epi64x(DRC_ABOVE_SUM), low = _mm256_set1_epi64x(0xffffffff),
                  negative = _mm256_set1_epi32(-1);
    /* The exponent byte of 2^(power + 1). Beyond float's normal numbers it is for gradients below 2^-98 alone. */
    const int exponent = 127 + power + 1;
    const size_t most = exponent > 0 && exponent < 255 ? words : 0;
    const __m256 by = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_set1_epi32(exponent), 23));
    __m256i v[DRC_AT_ONCE];
    size_t c;
    int l;
    for (l = 0; l < count; l++) v[l] = _mm256_set1_epi64x(drc_centred(coefficients[l]));
    for (c = 0; c + 8 <= most; c += 8) {
        __m256i *to = (__m256i *)(void *)(message + c), m = _mm256_loadu_si256(to);
        __m256i even = _mm256_add_epi64(above, _mm256_and_si256(m, low));
        __m256i odd = _mm256_add_epi64(above, _mm256_srli_epi64(m, 32));
        DRC_FETCH_AHEAD(message, c);
        for (l = 0; l < count; l++) {
            __m256i q = _mm256_cvttps_epi32(_mm256_mul_ps(_mm256_loadu_ps(parts[l] + c), by));
            DRC_FETCH_AHEAD(parts[l], c);
            q = _mm256_srai_epi32(_mm256_sub_epi32(q, _mm256_cmpgt_epi32(q, negative)), 1);
            even = _mm256_add_epi64(even, _mm256_mul_epi32(q, v[l]));
            odd = _mm256_add_epi64(odd, _mm256_mul_epi32(_mm256_shuffle_epi32(q, 0xf5), v[l]));
        }
        odd = _mm256_slli_epi64(drc_mod_avx2(odd), 32);
        _mm256_storeu_si256(to, _mm256_or_si256(drc_mod_avx2(even), odd));
    }
    drc_quantise_rest(message, parts, coefficients, count, c, words, power);
}

DRC_CHOOSE(drc_quantise,
           (uint32_t * message, const float *const *parts, const uint32_t *coefficients, int count,
            size_t words, int power),
           (message, parts, coefficients, count, words, power))
#else
DRC_KERNEL(drc_quantise,
           (uint32_t * message, const float *const *parts, const uint32_t *coefficients, int count,
            size_t words, int power),
           (message, parts, coefficients, count, words, power))
#endif

/* Adds parts[0 .. count - 1], of coefficients coefficients[4 l], to the words of a message, block by block: each
 * block is read from memory once. own, if not NULL, gets the parts' exponents. A block that does not fit is left out. */
static draco_status drc_prime_add(const draco_code *code, const double *coefficients,
                                  const float *const *parts, int count, size_t d, const uint8_t *exponents,
                                  int begin, uint32_t *message, uint8_t *own) {
    const size_t blocks = draco_exponent_bytes(d);
    const int spread = drc_spread(code);
    draco_status status = DRACO_OK;
    size_t b;
    for (b = 0; b < blocks; b++) {
        const float *fit[DRC_AT_ONCE];
        uint32_t v[DRC_AT_ONCE];
        size_t at = b * DRACO_EXPONENT_BLOCK, words = drc_in_block(d, at);
        int l, some = 0;
        if (begin) memset(message + at, 0, 4 * words);
        for (l = 0; l < count; l++) {
            uint8_t exponent = drc_exponent(parts[l] + at, words);
            if (own) own[(size_t)l * blocks + b] = exponent;
            if (exponent == 255) status = DRACO_E_RANGE;
            if (exponent > 0 && drc_fits(exponent, exponents[b], spread)) {
                fit[some] = parts[l] + at;
                v[some++] = (uint32_t)coefficients[4 * l];
            }
            if (some < DRC_AT_ONCE && (some == 0 || l < count - 1)) continue;
            drc_quantise(message + at, fit, v, some, words, drc_power_of(exponents[b], spread));
            some = 0;
        }
    }
    return status;
}

static draco_status drc_prime_encode(const draco_code *code, const double value[4], const float *gradient,
                                     size_t d, const uint8_t *exponents, void *sum) {
    const int spread = drc_spread(code);
    const uint32_t coefficient = (uint32_t)value[0];
    size_t at;
    for (at = 0; at < d; at += DRACO_EXPONENT_BLOCK) {
        uint8_t own = drc_exponent(gradient + at, drc_in_block(d, at));
        if (!drc_fits(own, exponents[at / DRACO_EXPONENT_BLOCK], spread)) return DRACO_E_RANGE;
    }
    for (at = 0; at < d; at += DRACO_EXPONENT_BLOCK) {
        const float *part = gradient + at;
        uint8_t exponent = exponents[at / DRACO_EXPONENT_BLOCK];
        if (exponent == 0) continue;
        drc_quantise((uint32_t *)sum + at, &part, &coefficient, 1, drc_in_block(d, at),
                     drc_power_of(exponent, spread));
    }
    return DRACO_OK;
}

/* ---- The exponents of a round: a vote on each part ---- */

typedef struct drc_exponent_vote {
    const uint8_t **winners; /* parts */
    const void **reports;    /* r holders of one part */
    draco_verdict *holders;  /* r */
    draco_verdict *workers;  /* n */
} drc_exponent_vote;

static drc_exponent_vote drc_lay_exponent_vote(const draco_code *code, draco_work *work) {
    drc_exponent_vote b;
    unsigned char *at = (unsigned char *)(void *)work;
    b.winners = (const uint8_t **)(void *)work;
    b.reports = (const void **)(void *)(at += drc_align((size_t)code->n * sizeof(void *)));
    b.holders = (draco_verdict *)(void *)(at += drc_align((size_t)code->r * sizeof(void *)));
    b.workers = (draco_verdict *)(void *)(at += drc_align((size_t)code->r * sizeof(draco_verdict)));
    return b;
}

/* The l-th holder of a part is the worker whose l-th part it is. */
static draco_status drc_vote_part(const draco_code *code, const uint8_t *const *reports, size_t bytes,
                                  size_t quorum, int part, drc_exponent_vote *b) {
    size_t winner;
    int l;
    draco_status status;
    for (l = 0; l < code->r; l++) {
        int worker = (part + drc_offset(code, l)) % code->n;
        b->reports[l] = b->workers[worker] >= DRACO_ABSENT ? NULL : reports[worker] + (size_t)l * bytes;
    }
    status = draco_vote_exact(b->reports, (size_t)code->r, bytes, quorum, &winner, b->holders);
    if (status != DRACO_OK) return status;
    b->winners[part] = (const uint8_t *)b->reports[winner];
    for (l = 0; l < code->r; l++) {
        int worker = (part + drc_offset(code, l)) % code->n;
        if (b->holders[l] == DRACO_BLAMED) b->workers[worker] = DRACO_BLAMED;
    }
    return DRACO_OK;
}

/* At most (2s + t - missing) / 2 of those present lie, and every part keeps more honest holders than that. */
static draco_status drc_vote_parts(const draco_code *code, const uint8_t *const *reports, size_t bytes,
                                   drc_exponent_vote *b) {
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

/* ---- Sketch ---- */

typedef struct drc_prime_key {
    uint32_t low[2][DRC_TABLE];
    uint32_t high[2][DRC_TABLE];
    uint32_t lane[2][DRC_LANES];
} drc_prime_key;

typedef struct drc_prime_sketch {
    drc_head head;
    uint64_t lanes[2][DRC_LANES]; /* residues */
} drc_prime_sketch;

static void drc_prime_key_init(const draco_seed *seed, void *key) {
    uint32_t *values = (uint32_t *)key;
    size_t count = sizeof(drc_prime_key) / sizeof *values, i;
    draco_seed_expand(seed, 1, key, sizeof(drc_prime_key));
    draco_little_endian(key, count);
    for (i = 0; i < count; i++) values[i] = drc_mod(values[i]);
}

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

/* The factors of rows row..row+7, fold after fold; row is a multiple of 8. */
static void drc_prime_factors(const drc_prime_key *key, uint64_t row, uint32_t *factors) {
    size_t low = (size_t)(row % DRC_TABLE), high = (size_t)(row / DRC_TABLE), b, f;
    for (f = 0; f < 2; f++) {
        for (b = 0; b < DRC_ROWS; b++) {
            factors[f * DRC_ROWS + b] = drc_mul(key->low[f][low + b], key->high[f][high]);
        }
    }
}

static void drc_prime_block(const void *key, void *sketch, uint64_t row, const void *x, const void *next) {
    drc_prime_sketch *to = (drc_prime_sketch *)sketch;
    uint32_t factors[2 * DRC_ROWS], largest;
    drc_prime_factors((const drc_prime_key *)key, row, factors);
    drc_fold_prime(to->lanes[0], (const uint32_t *)x, factors, (const uint32_t *)next, &largest);
    if (largest >= DRC_P) to->head.outside = 1;
}

static void drc_prime_piece(const void *key, void *sketch, uint64_t coordinate, const unsigned char *bytes,
                            size_t count) {
    drc_prime_sketch *to = (drc_prime_sketch *)sketch;
    uint32_t factors[2 * DRC_ROWS];
    size_t inside = (size_t)(coordinate % DRACO_BLOCK), c, f;
    drc_prime_factors((const drc_prime_key *)key, (coordinate - inside) / DRC_LANES, factors);
    for (c = 0; c < count; c++) {
        size_t row = (inside + c) / DRC_LANES, k = (inside + c) % DRC_LANES;
        uint32_t v;
        memcpy(&v, bytes + 4 * c, sizeof v);
        draco_little_endian(&v, 1);
        if (v >= DRC_P) to->head.outside = 1;
        for (f = 0; f < 2; f++) {
            to->lanes[f][k] = drc_mod(to->lanes[f][k] + (uint64_t)v * factors[f * DRC_ROWS + row]);
        }
    }
}

static const drc_folding drc_prime_folding = {drc_prime_block, drc_prime_piece};

static void drc_prime_fold(const void *key, void *sketch, const unsigned char *bytes, size_t n) {
    drc_fold_bytes(&drc_prime_folding, key, sketch, bytes, n);
}

static void drc_prime_merge(const void *key, void *into, const void *from) {
    uint64_t *to = ((drc_prime_sketch *)into)->lanes[0];
    const uint64_t *add = ((const drc_prime_sketch *)from)->lanes[0];
    size_t i;
    (void)key;
    for (i = 0; i < 2 * DRC_LANES; i++) to[i] = drc_mod(to[i] + add[i]);
}

/* ---- Locate: syndromes, Berlekamp and Massey, roots ---- */

typedef struct drc_prime_work {
    int n, q, erased, spare; /* q = 2s + t syndromes; erased: missing messages; spare = q - erased */
    uint32_t *y;             /* 2 x n: each message's two numbers */
    uint32_t *dual;          /* n: lambda_i = 1 / prod_{m != i} (x_i - x_m) */
    uint32_t *s;             /* q: syndromes, then without the missing */
    uint32_t *locator;       /* q + 2 each */
    uint32_t *former, *kept;
    unsigned char *bad; /* n */
} drc_prime_work;

static size_t drc_lay_prime(const draco_code *code, void *work, drc_prime_work *w) {
    size_t n = (size_t)code->n, q = (size_t)(2 * code->s + code->t), row = (q + 2) * sizeof(uint32_t), bytes;
    unsigned char *at = (unsigned char *)work;
    drc_prime_work none;
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
    w->kept = (uint32_t *)(void *)at;
    bytes += drc_take(&at, row);
    w->bad = at;
    return bytes + drc_take(&at, n);
}

static void drc_prime_look(const draco_code *code, const draco_key *key, size_t d,
                           const draco_sketch *const *sketches, drc_prime_work *w, draco_verdict *verdicts) {
    const drc_prime_key *k = (const drc_prime_key *)(const void *)key;
    int i, f, c;
    w->erased = 0;
    memset(w->y, 0, 2 * (size_t)w->n * sizeof *w->y);
    for (i = 0; i < w->n; i++) {
        const drc_prime_sketch *sketch = (const drc_prime_sketch *)(const void *)sketches[i];
        verdicts[i] = drc_first_look(code, d, sketches[i]);
        w->bad[i] = verdicts[i] != DRACO_UNDECIDED;
        w->erased += w->bad[i];
        if (w->bad[i]) continue;
        for (f = 0; f < 2; f++) {
            uint32_t sum = 0;
            for (c = 0; c < DRC_LANES; c++) {
                sum = drc_mod(sum + sketch->lanes[f][c] * k->lane[f][c]);
            }
            w->y[f * w->n + i] = sum;
        }
    }
    w->spare = w->q - w->erased;
}

static void drc_duals(drc_prime_work *w) {
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
static void drc_prime_syndromes(drc_prime_work *w, const uint32_t *y, const draco_verdict *verdicts) {
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
static int drc_massey(drc_prime_work *w) {
    size_t room = (size_t)w->q + 2;
    uint32_t last = 1;
    int i, j, length = 0, gap = 1;
    memset(w->locator, 0, room * sizeof *w->locator);
    memset(w->former, 0, room * sizeof *w->former);
    w->locator[0] = w->former[0] = 1;
    for (i = 0; i < w->spare; i++, gap++) {
        uint32_t miss = 0, factor;
        for (j = 0; j <= length; j++) {
            miss = drc_add(miss, drc_mul(w->locator[j], w->s[i - j]));
        }
        if (miss == 0) continue;
        factor = drc_mul(miss, drc_inverse(last));
        memcpy(w->kept, w->locator, room * sizeof *w->kept);
        for (j = 0; j + gap < (int)room; j++) {
            uint32_t term = drc_mul(factor, w->former[j]);
            w->locator[j + gap] = drc_sub(w->locator[j + gap], term);
        }
        if (2 * length > i) continue;
        length = i + 1 - length;
        memcpy(w->former, w->kept, room * sizeof *w->former);
        last = miss;
        gap = 0;
    }
    return length;
}

/* Marks the workers at the inverses of the locator's roots. Returns how many. */
static int drc_roots(drc_prime_work *w, int length, const draco_verdict *verdicts) {
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
static void drc_prime_weigh(const drc_prime_work *w, double *weights) {
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
static draco_status drc_prime_locate(const draco_code *code, const draco_key *key, size_t d,
                                     const draco_sketch *const *sketches, void *work, double *weights,
                                     draco_verdict *verdicts, draco_report *report) {
    drc_prime_work w;
    int f, i, length, liars = 0;
    drc_lay_prime(code, work, &w);
    drc_prime_look(code, key, d, sketches, &w, verdicts);
    drc_count(code, verdicts, report);
    if (w.spare < 0) return DRACO_E_TOO_MANY_MISSING;
    drc_duals(&w);
    for (f = 0; f < 2 && w.spare > 0; f++) {
        drc_prime_syndromes(&w, w.y + f * w.n, verdicts);
        length = drc_massey(&w);
        if (2 * length > w.spare || drc_roots(&w, length, verdicts) != length) return DRACO_E_AMBIGUOUS;
    }
    for (i = 0; i < w.n; i++) liars += w.bad[i] && verdicts[i] == DRACO_UNDECIDED;
    if (2 * liars > w.spare) return DRACO_E_AMBIGUOUS;
    for (i = 0; i < w.n; i++) {
        if (verdicts[i] == DRACO_UNDECIDED) verdicts[i] = w.bad[i] ? DRACO_BLAMED : DRACO_AGREES;
    }
    drc_prime_weigh(&w, weights);
    drc_count(code, verdicts, report);
    return w.spare > 0 ? DRACO_OK : DRACO_UNVERIFIED;
}

static size_t drc_prime_work_bytes(const draco_code *code) {
    return drc_lay_prime(code, NULL, NULL);
}

/* ---- Combine ---- */

/* Three rows, then a lazy reduction: products are under 2^62 and sums enter under 2^34. */
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

/* Residues above p / 2 are negative. */
DRC_INLINE void drc_dequantise_plain(float *sum, const uint64_t *total, size_t count, double unit) {
    size_t c;
    for (c = 0; c < count; c++) {
        int32_t q = (int32_t)drc_mod(total[c]);
        q -= q > (int32_t)(DRC_P / 2) ? (int32_t)DRC_P : 0;
        sum[c] = (float)(q * unit);
    }
}
DRC_KERNEL(drc_dequantise, (float *sum, const uint64_t *total, size_t count, double unit),
           (sum, total, count, unit))

static void drc_prime_combine(const draco_code *code, const double *weights, const void *const *messages,
                              size_t first, size_t count, const uint8_t *exponents, float *sum) {
    uint64_t total[DRC_TILE];
    const uint32_t *rows[3];
    uint32_t copies[3][DRC_TILE];
    uint32_t v[3];
    size_t c, take;
    int i, k = 0;
    memset(total, 0, count * sizeof *total);
    for (i = 0; i < code->n; i++) {
        if (drc_used(weights, i)) {
            rows[k] = (const uint32_t *)drc_words(messages[i], first, count, copies[k]);
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
    for (c = 0; c < count; c += take) {
        size_t block = (first + c) / DRACO_EXPONENT_BLOCK,
               room = (block + 1) * DRACO_EXPONENT_BLOCK - (first + c);
        take = count - c < room ? count - c : room;
        drc_dequantise(sum + c, total + c, take, drc_unit(code, exponents[block]));
    }
}

static const drc_code drc_prime = {DRACO_CYCLIC,
                                   DRACO_FIELD_PRIME,
                                   "cyclic code, prime field",
                                   0, /* alike */
                                   1, /* exponents */
                                   1, /* multiple */
                                   4, /* sum_bytes */
                                   sizeof(drc_prime_key),
                                   sizeof(drc_prime_sketch),
                                   drc_cyclic_init,
                                   drc_cyclic_load,
                                   drc_cyclic_part,
                                   drc_cyclic_index,
                                   drc_cyclic_describe,
                                   drc_prime_coefficient,
                                   drc_prime_encode,
                                   drc_round_words,
                                   drc_prime_key_init,
                                   NULL,
                                   drc_prime_fold,
                                   drc_prime_merge,
                                   NULL,
                                   drc_prime_work_bytes,
                                   drc_prime_locate,
                                   drc_prime_combine};

/* ======== Complex field: Reed-Solomon over the roots of unity, with rounding ======== */

/* No product and sum become one instruction here: that rounds once less, and machines differ in it. gcc's vectoriser does
 * it to products of complex numbers whatever fp-contract says; the kernels have none and may use it. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off", "no-tree-vectorize")
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif

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

/* ---- Linear algebra; columns are contiguous, `ld` numbers apart ---- */

#define DRC_TURNS 8 /* of the inverse iteration */

/* Householder: a (rows x cols) becomes R and, below it, the normals of the mirrors, their first number 1 left out; b (rows
 * x more) becomes Q^H b. */
static void drc_qr(drc_c *a, int rows, int cols, drc_c *b, int more, int ld) {
    int k, j;
    for (k = 0; k < cols && k < rows; k++) {
        drc_c *x = a + k * ld + k, diagonal, phase;
        int below = rows - k;
        double norm = sqrt(drc_norm2(x, below)), lead = sqrt(drc_c_norm2(x[0]));
        if (norm == 0) continue;
        phase = lead > 0 ? drc_c_scale(x[0], 1 / lead) : drc_c_of(1, 0);
        diagonal = drc_c_scale(phase, -norm);
        x[0] = drc_c_sub(x[0], diagonal); /* x is now the normal of the mirror */
        for (j = k + 1; j < cols + more; j++) {
            drc_c *y = j < cols ? a + j * ld + k : b + (j - cols) * ld + k;
            drc_c z = drc_dot(x, y, below);
            drc_subtract(y, drc_c_scale(z, 1 / (norm * (norm + lead))), x, below);
        }
        phase = drc_c_scale(drc_c_of(phase.re, -phase.im), 1 / (norm + lead));
        for (j = 1; j < below; j++) x[j] = drc_c_mul(x[j], phase);
        x[0] = diagonal;
    }
}

/* After drc_qr: b (rows) becomes Q b. */
static void drc_reflect(const drc_c *a, int rows, int cols, drc_c *b, int ld) {
    int k;
    for (k = (cols < rows ? cols : rows) - 1; k >= 0; k--) {
        const drc_c *x = a + k * ld + k;
        int below = rows - k - 1;
        drc_c z = drc_dot(x + 1, b + k + 1, below);
        if (drc_c_norm2(x[0]) == 0) continue;
        z = drc_c_scale(drc_c_of(z.re + b[k].re, z.im + b[k].im), 2 / (1 + drc_norm2(x + 1, below)));
        b[k] = drc_c_sub(b[k], z);
        drc_subtract(b + k + 1, z, x + 1, below);
    }
}

/* Inverse iteration: the right singular vector of the least singular value of a triangle r (n x n), into v. */
static void drc_least(const drc_c *r, drc_c *v, int n) {
    double most = 0, least;
    int i, j, turn;
    for (i = 0; i < n * n; i++) {
        if (i % n <= i / n && drc_c_norm2(r[i]) > most) most = drc_c_norm2(r[i]);
    }
    least = most > 0 ? most * 1e-34 : 1;
    for (i = 0; i < n; i++) v[i] = drc_c_of(i % 3 - 1.5, i % 2);
    for (turn = 0; turn < 2 * DRC_TURNS; turn++) {
        double size;
        for (j = 0; j < n; j++) {
            int k = turn % 2 ? n - 1 - j : j;
            drc_c pivot = r[k * n + k];
            size = drc_c_norm2(pivot);
            if (size < least) {
                pivot = drc_c_of(sqrt(least), 0);
                size = least;
            }
            if (turn % 2) { /* r v = v from before */
                v[k] = drc_c_scale(drc_c_mul(v[k], drc_c_of(pivot.re, -pivot.im)), 1 / size);
                drc_subtract(v, v[k], r + k * n, k);
            } else { /* its conjugate transpose */
                v[k] = drc_c_scale(drc_c_mul(drc_c_sub(v[k], drc_dot(r + k * n, v, k)), pivot), 1 / size);
            }
        }
        size = 1 / sqrt(drc_norm2(v, n));
        for (i = 0; i < n; i++) v[i] = drc_c_scale(v[i], size);
    }
}

/* ---- Coefficients ---- */

/* sin(pi a / b), 0 <= a / b < 4. The same bits on every machine, unlike that of the C library. */
static double drc_sine(int64_t a, int64_t b) {
    int sign = a / b % 2 ? -1 : 1, terms;
    double sum = 1, x, square;
    a %= b;
    if (2 * a > b) a = b - a;
    if (4 * a <= b) {
        x = DRC_PI * (double)a / (double)b;
        square = x * x;
        for (terms = 9; terms > 0; terms--) sum = 1 - sum * square / (2 * terms * (2 * terms + 1));
        return sign * (sum * x);
    }
    x = DRC_PI * (double)(b - 2 * a) / (double)(2 * b);
    square = x * x;
    for (terms = 10; terms > 0; terms--) sum = 1 - sum * square / (2 * terms * (2 * terms - 1));
    return sign * sum;
}

/* exp(2 pi i k / n), 0 <= k < n */
static drc_c drc_root(int n, int k) {
    return drc_c_of(drc_sine(n + 4 * (int64_t)k, 2 * (int64_t)n), drc_sine(2 * (int64_t)k, n));
}

/* Rounded to 29 bits: times the 24 bits of a float that is exact in double. */
static double drc_short(double x) {
    int exponent;
    double fraction = frexp(x, &exponent);
    return ldexp(floor(ldexp(fraction, 29) + 0.5), exponent - 29);
}

/* f_part(x_worker) = prod over m off the support of (1 - x_worker / x_m), and since the product over all m but
 * the worker is n, also n over the product of those on the support. On the unit circle 1 - exp(2 i a) =
 * 2 sin(a) exp(i (a - pi/2)), so that moduli multiply and angles add up. */
static void drc_complex_coefficient(const draco_code *code, int part, int worker, double value[4]) {
    int n = code->n, place = (worker - part + n) % n, on = code->r - 1 < n - code->r, m, exponent, power = 0,
        k;
    int64_t angle = 0; /* in units of pi / 2n */
    double modulus = 1;
    for (m = 0; m < n; m++) {
        int turn = (place - m + n) % n;
        if (m == place || drc_supported(code, m) != on) continue;
        modulus = frexp(modulus * 2 * drc_sine(turn, n), &exponent);
        power += exponent;
        angle += 2 * turn - n;
    }
    angle = (on ? -angle : angle) % (4 * n);
    if (angle < 0) angle += 4 * n;
    modulus = on ? ldexp(n / modulus, -power) : ldexp(modulus, power);
    for (k = 0; k < 2; k++) {
        double whole = modulus * drc_sine(k ? angle : angle + n, 2 * n);
        value[k] = drc_short(whole);
        value[2 + k] = whole - value[k];
    }
}

/* As with every code, and what its coefficients say: the power of two above what the largest gradients could sum up to,
 * and the size of a message. */
static void drc_complex_init(draco_code *code) {
    double value[4], sum = 0, square = 0;
    int l;
    drc_cyclic_init(code);
    for (l = 0; l < code->r; l++) {
        drc_complex_coefficient(code, 0, drc_offset(code, l), value);
        sum += fabs(value[0]) + fabs(value[1]);
        square += value[0] * value[0] + value[1] * value[1];
    }
    frexp(sum, &code->scale);
    code->share = sqrt(square / code->n);
}

/* The parts in ascending order, so that all their holders add them in one order. */
static int drc_complex_part(const draco_code *code, int worker, int l) {
    int below = drc_offsets_to(code, worker) - 1 - l;
    return (worker - drc_offset(code, below < 0 ? below + code->r : below) + code->n) % code->n;
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("tree-vectorize")
#endif

/* sum += coefficient * gradient, pair by pair. */
DRC_INLINE void drc_encode_plain(double *sum, const float *gradient, size_t pairs, const double *value) {
    size_t j;
    for (j = 0; j < pairs; j++) {
        double x = (double)gradient[2 * j], y = (double)gradient[2 * j + 1];
        double re = sum[2 * j], im = sum[2 * j + 1];
        re += value[0] * x;
        im += value[0] * y;
        re -= value[1] * y;
        im += value[1] * x;
        re += value[2] * x;
        im += value[2] * y;
        re -= value[3] * y;
        im += value[3] * x;
        sum[2 * j] = re;
        sum[2 * j + 1] = im;
    }
}
DRC_KERNEL(drc_encode, (double *sum, const float *gradient, size_t pairs, const double *value),
           (sum, gradient, pairs, value))

static draco_status drc_complex_encode(const draco_code *code, const double value[4], const float *gradient,
                                       size_t d, const uint8_t *exponents, void *sum) {
    float last[2];
    (void)code;
    (void)exponents;
    drc_encode((double *)sum, gradient, d / 2, value);
    if (d % 2 == 0) return DRACO_OK;
    last[0] = gradient[d - 1];
    last[1] = 0;
    drc_encode((double *)sum + d - 1, last, 1, value);
    return DRACO_OK;
}

static void drc_complex_round(const draco_code *code, const void *sum, size_t words, void *message) {
    const double *from = (const double *)sum;
    float *to = (float *)message;
    double scale = ldexp(1.0, -code->scale);
    size_t j;
    for (j = 0; j < words; j++) to[j] = (float)(from[j] * scale);
}

/* ---- Sketch ---- */

#define DRC_FOLDS 4
#define DRC_PROJECTIONS 16 /* numbers of a message that locate works on */
#define DRC_RANGE_WORDS (2 * DRC_PROJECTIONS + 1)

#define DRC_RANGES 64

typedef struct drc_complex_key {
    uint64_t starts[DRC_RANGES]; /* of the ranges, coordinates in ascending order; the rest are 2^64 - 1 */
    float low[DRC_FOLDS][DRC_TABLE];
    float high[DRC_FOLDS][DRC_TABLE];
    float lane[DRC_FOLDS][DRC_LANES / 2][DRC_PROJECTIONS];
} drc_complex_key;

typedef struct drc_complex_sketch {
    drc_head head;
    uint64_t range;                             /* of the lanes */
    double lanes[DRC_FOLDS + 1][DRC_LANES];     /* the last: sums of squares */
    double ranges[DRC_RANGES][DRC_RANGE_WORDS]; /* of those that ended: projections, and the sum of squares */
} drc_complex_sketch;

/* Puts a start in its place among the ranges; 0 when there is no room. Pairs of coordinates stay together. */
static int drc_split(uint64_t *starts, uint64_t at) {
    int i = DRC_RANGES - 1, j;
    at += at % 2;
    while (i > 0 && starts[i - 1] >= at) i--;
    if (starts[i] == at) return 1;
    if (starts[DRC_RANGES - 1] != (uint64_t)-1) return 0;
    for (j = DRC_RANGES - 1; j > i; j--) starts[j] = starts[j - 1];
    starts[i] = at;
    return 1;
}

static uint64_t drc_power_below(uint64_t x) {
    uint64_t power = 1;
    while (power <= x / 2) power *= 2;
    return power;
}

/* Ranges begin at blocks 0, 1, 2, 3, 4, 6, 8, 12, 16, … Random bits to numbers of random sign in [1, 2): 24 bits that no sum can bring near 0 by chance alone. */
static void drc_complex_key_init(const draco_seed *seed, void *key) {
    drc_complex_key *to = (drc_complex_key *)key;
    float *values = to->low[0];
    uint32_t *bits = (uint32_t *)(void *)values;
    size_t bytes = sizeof *to - sizeof to->starts, count = bytes / sizeof *values, i;
    uint64_t block;
    memset(to->starts, 0xff, sizeof to->starts);
    for (block = 0; block * DRACO_BLOCK < DRC_MAX_BYTES / 4;
         block += block < 4 ? 1 : drc_power_below(block) / 2) {
        drc_split(to->starts, block * DRACO_BLOCK);
    }
    draco_seed_expand(seed, 1, values, bytes);
    draco_little_endian(values, count);
    for (i = 0; i < count; i++) {
        uint32_t unit;
        memcpy(&unit, bits + i, sizeof unit);
        unit = (unit & 0x807fffffu) | 0x3f800000u;
        memcpy(values + i, &unit, sizeof unit);
    }
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

/* A number that is not finite is told by its bits and enters no sum: arithmetic on it may trap. */
static void drc_complex_block(const void *key, void *sketch, uint64_t row, const void *x, const void *next) {
    drc_complex_sketch *to = (drc_complex_sketch *)sketch;
    double factors[DRC_FOLDS * DRC_ROWS];
    uint32_t largest;
    drc_largest((const float *)x, DRACO_BLOCK, &largest);
    if (largest > to->head.largest) to->head.largest = largest;
    if (largest >= DRC_INFINITE) {
        to->head.outside = 1;
        return;
    }
    drc_complex_factors((const drc_complex_key *)key, row, factors);
    drc_fold_complex(to->lanes[0], (const float *)x, factors, (const float *)next);
}

static void drc_complex_piece(const void *key, void *sketch, uint64_t coordinate, const unsigned char *bytes,
                              size_t count) {
    drc_complex_sketch *to = (drc_complex_sketch *)sketch;
    double factors[DRC_FOLDS * DRC_ROWS];
    size_t inside = (size_t)(coordinate % DRACO_BLOCK), c, f;
    drc_complex_factors((const drc_complex_key *)key, (coordinate - inside) / DRC_LANES, factors);
    for (c = 0; c < count; c++) {
        size_t row = (inside + c) / DRC_LANES, k = (inside + c) % DRC_LANES;
        uint32_t bits;
        float v;
        memcpy(&bits, bytes + 4 * c, sizeof bits);
        draco_little_endian(&bits, 1);
        if ((bits & 0x7fffffffu) > to->head.largest) to->head.largest = bits & 0x7fffffffu;
        if ((bits & 0x7fffffffu) >= DRC_INFINITE) {
            to->head.outside = 1;
            continue;
        }
        memcpy(&v, &bits, sizeof v);
        for (f = 0; f < DRC_FOLDS; f++) {
            to->lanes[f][k] += factors[f * DRC_ROWS + row] * (double)v;
        }
        to->lanes[f][k] += (double)v * (double)v;
    }
}

static const drc_folding drc_complex_folding = {drc_complex_block, drc_complex_piece};

/* to += the lanes, projected, and the sum of their squares. */
DRC_INLINE void drc_project_plain(const drc_complex_key *key, const drc_complex_sketch *sketch, double *to) {
    double y[DRC_RANGE_WORDS];
    int f, k, j;
    memcpy(y, to, sizeof y);
    for (f = 0; f < DRC_FOLDS; f++) {
        for (k = 0; k < DRC_LANES / 2; k++) {
            double re = sketch->lanes[f][2 * k], im = sketch->lanes[f][2 * k + 1];
            for (j = 0; j < DRC_PROJECTIONS; j++) {
                double factor = (double)key->lane[f][k][j];
                y[j] += factor * re;
                y[DRC_PROJECTIONS + j] += factor * im;
            }
        }
    }
    for (k = 0; k < DRC_LANES; k++) y[2 * DRC_PROJECTIONS] += sketch->lanes[DRC_FOLDS][k];
    memcpy(to, y, sizeof y);
}
DRC_KERNEL(drc_project, (const drc_complex_key *key, const drc_complex_sketch *sketch, double *to),
           (key, sketch, to))

/* Range by range: where one ends, its lanes are projected. */
static void drc_complex_fold(const void *key, void *sketch, const unsigned char *bytes, size_t n) {
    const drc_complex_key *k = (const drc_complex_key *)key;
    drc_complex_sketch *to = (drc_complex_sketch *)sketch;
    while (n > 0) {
        uint64_t at = to->head.offset + to->head.bytes, range = to->range, end;
        while (range + 1 < DRC_RANGES && k->starts[range + 1] <= at / 4) range++;
        if (range != to->range && to->head.bytes > 0) {
            drc_project(k, to, to->ranges[to->range]);
            memset(to->lanes, 0, sizeof to->lanes);
        }
        to->range = range;
        end = range + 1 < DRC_RANGES ? k->starts[range + 1] : (uint64_t)-1;
        end = end > DRC_MAX_BYTES / 4 || 4 * end - at > n ? n : 4 * end - at;
        drc_fold_bytes(&drc_complex_folding, key, sketch, bytes, (size_t)end);
        bytes += end;
        n -= (size_t)end;
    }
}

/* sums + v y^T: to q rows of 2m numbers, the real and the imaginary ones of a row apart. */
DRC_INLINE void drc_add_turned_plain(double *sums, const double *y, const drc_c *v, int q) {
    const int m = DRC_PROJECTIONS;
    int l, j;
    for (l = 0; l < q; l++, sums += 2 * m) {
        double re = v[l].re, im = v[l].im;
        for (j = 0; j < m; j++) {
            double real = sums[j], imaginary = sums[m + j];
            real += re * y[j];
            imaginary += re * y[m + j];
            real -= im * y[m + j];
            imaginary += im * y[j];
            sums[j] = real;
            sums[m + j] = imaginary;
        }
    }
}
DRC_KERNEL(drc_add_turned, (double *sums, const double *y, const drc_c *v, int q), (sums, y, v, q))

static void drc_complex_merge(const void *key, void *into, const void *from) {
    const drc_complex_key *k = (const drc_complex_key *)key;
    drc_complex_sketch *to = (drc_complex_sketch *)into;
    const drc_complex_sketch *add = (const drc_complex_sketch *)from;
    double *sums = to->ranges[0];
    const double *more = add->ranges[0];
    size_t i;
    for (i = 0; i < DRC_RANGES * DRC_RANGE_WORDS; i++) sums[i] += more[i];
    drc_project(k, add, to->ranges[add->range]);
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-vectorize")
#endif

/* ---- Locate ---- */

#define DRC_M DRC_PROJECTIONS
#define DRC_OUTLIER 67108864.0        /* 2^26: rounds by 2^-27 of an honest message in double */
#define DRC_ULP 5.9604644775390625e-8 /* 2^-24: half a unit in the last place of a float near 1 */
#define DRC_ATTEMPTS 16
#define DRC_MOST_SPARE                                                                                       \
    64 /* 2s + t up to which gains are computed and lies are proved: beyond, both are hopeless */
#define DRC_TINY 1.401298464324817e-45 /* 2^-149: the least float */

/* q = 2s + t parity rows. Columns of v, z and s lie q apart, the q of z before the m of s. What a QR of the columns of the
 * missing turns is in the last `spare` rows of z and s. */
typedef struct drc_complex_work {
    int n, q, erased, spare; /* erased: messages; spare = q - erased syndromes know nothing of those */
    int scale;               /* code.scale */
    int ranges;              /* of the messages */
    int unknown;             /* how many columns are not `known` */
    double *norms;           /* n: of each message */
    drc_c *roots;            /* n: the points */
    double *y;               /* n x 2m: projections, m real parts and m imaginary ones */
    drc_c *v;     /* q x n: parity columns, the missing projected out: `spare` numbers, once `known` */
    drc_c *z;     /* q x q: what the identity is turned into with the columns of the missing */
    drc_c *s;     /* q x m: syndromes */
    drc_c *plain; /* q x m: syndromes as they were, then annihilated */
    drc_c *a;     /* q x (q / 2 + 2) and q x q: factorised */
    drc_c *b;     /* q x (n + m): what is reflected along */
    drc_c *turns; /* q / 2 + 1: the locator */
    int *worker;  /* n: who has a seat; all that follows counts seats */
    int *known;   /* n */
    int *erasures, *alive; /* n each */
    int *liars, *others;   /* n each: sets of suspects */
    int *former, *grown;
    int *best; /* best: the best set of suspects so far */
    int best_count;
    double best_residual;
    draco_verdict *verdicts; /* n */
    double *rank, *squares;  /* n */
    double *gains;           /* q + 1 */
    double noise,
        limit; /* what the messages' rounding makes of a sum of gain 1, times sqrt(n); and leaves of the syndromes */
    int64_t budget; /* multiplications of complex numbers that are left */
} drc_complex_work;

/* Lays the bench out in the caller's memory, or with work == NULL only counts the bytes. */
static size_t drc_lay_complex(const draco_code *code, void *work, drc_complex_work *w) {
    size_t n = (size_t)code->n, q = (size_t)(2 * code->s + code->t), m = DRC_M, half = q / 2 + 2;
    size_t sizes[22], bytes = 0, i, c = sizeof(drc_c);
    void *places[22];
    unsigned char *at = (unsigned char *)work;
    sizes[0] = n * sizeof(double);
    sizes[1] = n * c;
    sizes[2] = n * 2 * m * sizeof(double);
    sizes[3] = n * q * c;
    sizes[4] = (q + m) * q * c;
    sizes[5] = q * m * c;
    sizes[6] = ((q + 2) * half + (q + 1) * q) * c;
    sizes[7] = (q + 2) * (n + m) * c;
    sizes[8] = half * c;
    for (i = 9; i < 18; i++) sizes[i] = (n + 1) * sizeof(int);
    sizes[18] = n * sizeof(double);
    sizes[19] = n * sizeof(double);
    sizes[20] = (q + 1) * sizeof(double);
    sizes[21] = n * sizeof(draco_verdict);
    for (i = 0; i < 22; i++) {
        places[i] = at;
        bytes += drc_take(&at, sizes[i]);
    }
    if (!work) return bytes;
    w->n = code->n;
    w->scale = code->scale;
    w->q = (int)q;
    w->norms = (double *)places[0];
    w->roots = (drc_c *)places[1];
    w->y = (double *)places[2];
    w->v = (drc_c *)places[3];
    w->z = (drc_c *)places[4];
    w->s = w->z + q * q;
    w->plain = (drc_c *)places[5];
    w->a = (drc_c *)places[6];
    w->b = (drc_c *)places[7];
    w->turns = (drc_c *)places[8];
    w->erasures = (int *)places[9];
    w->alive = (int *)places[10];
    w->liars = (int *)places[11];
    w->others = (int *)places[12];
    w->grown = (int *)places[13];
    w->best = (int *)places[14];
    w->former = (int *)places[15];
    w->worker = (int *)places[16];
    w->known = (int *)places[17];
    w->rank = (double *)places[18];
    w->squares = (double *)places[19];
    w->gains = (double *)places[20];
    w->verdicts = (draco_verdict *)places[21];
    return bytes;
}

/* The mean square of the factors that the rows first .. last met, summed over the folds: what the folds multiply
 * the square norm of noise by. A lane's projection multiplies it by 7/3 more, the mean square of [1, 2). */
static double drc_amplification(const drc_complex_key *key, uint64_t first, uint64_t last) {
    uint64_t row, step = (last - first) / DRC_TABLE + 1, rows = 0;
    double sum = 0;
    size_t f;
    for (row = first; row <= last; row += step, rows++) {
        for (f = 0; f < DRC_FOLDS; f++) {
            double factor =
                (double)key->low[f][row % DRC_TABLE] * (double)key->high[f][row / DRC_TABLE % DRC_TABLE];
            sum += factor * factor;
        }
    }
    return sum / (double)rows * 7 / 3;
}

/* The `rank`-th largest of count numbers, whose order changes. */
static double drc_nth(double *x, int count, int rank) {
    int low = 0, high = count - 1;
    while (low < high) {
        double pivot = x[low + (high - low) / 2], held;
        int i = low, j = high;
        while (i <= j) {
            while (x[i] > pivot) i++;
            while (x[j] < pivot) j--;
            if (i > j) break;
            held = x[i];
            x[i++] = x[j];
            x[j--] = held;
        }
        if (rank <= j)
            high = j;
        else if (rank >= i)
            low = i;
        else
            break;
    }
    return x[rank];
}

/* The square norm of a message in a range, with a floor, for denormal floats round to multiples. */
static double drc_square(const drc_complex_sketch *sketch, int range, double coordinates) {
    double sum = sketch->ranges[range][2 * DRC_PROJECTIONS];
    int k;
    for (k = 0; k < DRC_LANES && sketch->range == (uint64_t)range; k++) sum += sketch->lanes[DRC_FOLDS][k];
    return sum + coordinates * (DRC_TINY / DRC_ULP) * (DRC_TINY / DRC_ULP);
}

/* Who is there, and what each one's message looks like from afar: each range of it divided by the largest norm
 * there but those of spare / 2, which is no larger than an honest one, so that a small range is judged like a
 * large one. */
static void drc_complex_look(const draco_code *code, const draco_key *key, size_t d,
                             const draco_sketch *const *sketches, drc_complex_work *w) {
    const drc_complex_key *k = (const drc_complex_key *)(const void *)key;
    double words[DRC_RANGE_WORDS];
    int i, j, alive = 0, range;
    w->erased = 0;
    for (i = 0; i < w->n; i++) w->worker[drc_seat(code, i)] = i;
    for (i = 0; i < w->n; i++) {
        w->roots[i] = drc_root(w->n, i);
        w->norms[i] = 0;
        w->verdicts[i] = drc_first_look(code, d, sketches[w->worker[i]]);
        if (w->verdicts[i] != DRACO_UNDECIDED)
            w->erasures[w->erased++] = i;
        else
            w->alive[alive++] = i;
    }
    w->spare = w->q - w->erased;
    memset(w->y, 0, (size_t)(w->n * 2 * DRC_M) * sizeof *w->y);
    for (range = 0; range < DRC_RANGES && k->starts[range] < d && alive > 0; range++) {
        uint64_t begin = k->starts[range],
                 end = range + 1 < DRC_RANGES && k->starts[range + 1] < d ? k->starts[range + 1] : d;
        double unit, scale;
        for (i = 0; i < alive; i++) {
            const draco_sketch *sketch = sketches[w->worker[w->alive[i]]];
            w->rank[i] =
                drc_square((const drc_complex_sketch *)(const void *)sketch, range, (double)(end - begin));
            w->squares[i] = w->rank[i];
        }
        unit = drc_nth(w->rank, alive, w->spare > 0 ? w->spare / 2 : 0);
        scale = 1 / sqrt(unit * drc_amplification(k, begin / DRC_LANES, (end - 1) / DRC_LANES));
        for (i = 0; i < alive; i++) {
            const drc_complex_sketch *sketch =
                (const drc_complex_sketch *)(const void *)sketches[w->worker[w->alive[i]]];
            double *y = w->y + w->alive[i] * 2 * DRC_M;
            memcpy(words, sketch->ranges[range], sizeof words);
            if (sketch->range == (uint64_t)range) drc_project(k, sketch, words);
            for (j = 0; j < 2 * DRC_M; j++) y[j] += scale * words[j];
            w->norms[w->alive[i]] += w->squares[i] / unit;
        }
    }
    for (i = 0; i < w->n; i++) w->norms[i] = sqrt(w->norms[i]);
    w->ranges = range;
}

/* At most spare / 2 of those present lie, so that the norm which that many exceed is no larger than the
 * largest honest one. */
static double drc_cap(const drc_complex_work *w) {
    int i, alive = w->n - w->erased;
    for (i = 0; i < alive; i++) w->rank[i] = w->norms[w->alive[i]];
    return drc_nth(w->rank, alive, w->spare / 2);
}

/* Each part is in r > spare / 2 messages, so no honest message stands out from that many others by such a
 * factor. One that does is a lie for certain, and so large that its rounding in double would drown the
 * syndromes of all others: it is set aside before they are formed, and costs the code no more than a
 * missing one. */
static void drc_set_outliers_aside(drc_complex_work *w) {
    double limit = DRC_OUTLIER * drc_cap(w);
    int i, kept = 0, alive = w->n - w->erased;
    for (i = 0; i < alive; i++) {
        int worker = w->alive[i];
        if (w->norms[worker] > limit) {
            w->verdicts[worker] = DRACO_BLAMED;
            w->erasures[w->erased++] = worker;
        } else {
            w->alive[kept++] = worker;
        }
    }
    w->spare = w->q - w->erased;
}

static int drc_among(const int *workers, int count, int worker) {
    int i;
    for (i = 0; i < count && workers[i] != worker;) i++;
    return i < count;
}

/* A message was rounded once, so the server knows its noise: 2^-24 of the norm at most. The parity rows are orthonormal
 * and add nothing to that. The projections multiply it by 2.5 at most but for one round in a billion, even if one
 * coordinate carries all: what rounding can leave of the syndromes. Of a sum with weights of norm 1 it makes more than
 * 2.4 times the root of its mean square, which is 1 / sqrt 3 of the most, in one coordinate of ten thousand. */
static void drc_size_noise(drc_complex_work *w) {
    double sum = 0, cap = drc_cap(w);
    int i, alive = w->n - w->erased;
    for (i = 0; i < alive; i++) {
        double norm = w->norms[w->alive[i]] < cap ? w->norms[w->alive[i]] : cap;
        sum += norm * norm;
    }
    w->limit = 2.5 * sqrt(DRC_M * sum) * DRC_ULP;
    w->noise = sqrt(sum / w->n) * DRC_ULP * 2.4;
    if (w->n < 6) w->noise = sqrt(sum) * DRC_ULP;
}

/* Takes the cost of a step, in complex multiplications, from the budget, or says that it is not left. */
static int drc_afford(drc_complex_work *w, int64_t cost) {
    if (w->budget < cost) return 0;
    w->budget -= cost;
    return 1;
}

/* x_i^l */
static drc_c drc_power(const drc_complex_work *w, int i, int l) {
    return w->roots[(int)((int64_t)i * l % w->n)];
}

/* v_i[l] = x_i^(l+1) / sqrt(n): the parity columns */
static drc_c drc_parity(const drc_complex_work *w, int i, int l) {
    return drc_c_scale(drc_power(w, i, l + 1), 1 / sqrt((double)w->n));
}

/* What drc_column costs, and it for all that are not known yet. */
static int64_t drc_column_cost(const drc_complex_work *w) {
    return w->erased > 0 ? (int64_t)w->q * w->spare : w->q;
}

/* The parity column of a worker, the missing projected out; made when it is needed first. */
static const drc_c *drc_column(drc_complex_work *w, int i) {
    drc_c *v = w->v + (size_t)i * (size_t)w->q;
    int l;
    if (w->known[i]) return v;
    w->known[i] = 1;
    w->unknown--;
    w->budget -= drc_column_cost(w);
    memset(v, 0, (size_t)w->q * sizeof *v);
    for (l = 0; l < w->q; l++) {
        drc_c x = drc_parity(w, i, l);
        if (w->erased == 0) v[l] = x;
        if (w->erased > 0) drc_subtract(v, drc_c_scale(x, -1), w->z + l * w->q + w->erased, w->spare);
    }
    return v;
}

/* Syndromes s = sum of v_i y_i, and those with the missing projected out: a QR of the missing columns leaves in the last
 * rows what is orthogonal to them. */
static void drc_syndromes(drc_complex_work *w) {
    int i, j, l, q = w->q, m = DRC_M, alive = w->n - w->erased;
    double *sums = (double *)(void *)w->b;
    w->unknown = w->n;
    memset(w->known, 0, (size_t)w->n * sizeof *w->known);
    memset(sums, 0, (size_t)(q * 2 * m) * sizeof *sums);
    for (i = 0; i < alive; i++) {
        for (l = 0; l < q; l++) w->a[l] = drc_parity(w, w->alive[i], l);
        drc_add_turned(sums, w->y + w->alive[i] * 2 * m, w->a, q);
    }
    for (j = 0; j < m; j++) {
        for (l = 0; l < q; l++) w->plain[j * q + l] = drc_c_of(sums[l * 2 * m + j], sums[l * 2 * m + m + j]);
    }
    memcpy(w->s, w->plain, (size_t)(q * m) * sizeof *w->s);
    if (w->erased == 0) return;
    for (i = 0; i < w->erased; i++) {
        for (l = 0; l < q; l++) w->a[i * q + l] = drc_parity(w, w->erasures[i], l);
    }
    for (j = 0; j < q * q; j++) w->z[j] = drc_c_of(j % (q + 1) == 0, 0);
    drc_qr(w->a, q, w->erased, w->z, q + m, q); /* the syndromes stand behind */
}

/* The locator of nu liars: the numbers lambda_0 … lambda_nu with sum_j T[i + j] lambda_j = 0 for the windows
 * of every projection's annihilated syndromes T; its roots are the liars' points. The windows of one
 * projection after the other are merged into a triangle. */
static const drc_c *drc_locator(drc_complex_work *w, int nu) {
    int cols = nu + 1, windows = w->spare - nu, ld = w->spare + 1, j, i, l;
    drc_c *square = w->b;
    for (j = 0; j < cols * ld; j++) w->a[j] = drc_c_of(0, 0);
    for (j = 0; j < DRC_M; j++) {
        for (l = 0; l < cols; l++) {
            for (i = l + 1; i < cols; i++) w->a[l * ld + i] = drc_c_of(0, 0);
            for (i = 0; i < windows; i++) w->a[l * ld + cols + i] = w->plain[j * w->q + i + l];
        }
        drc_qr(w->a, ld, cols, NULL, 0, ld);
    }
    for (l = 0; l < cols; l++) {
        for (i = 0; i < cols; i++) square[l * cols + i] = w->a[l * ld + i];
    }
    drc_least(square, w->turns, cols);
    return w->turns;
}

/* T[l] = S[l + 1] - x S[l] takes the missing worker at x out of the syndromes, and one of them with it. */
static void drc_annihilate(drc_complex_work *w) {
    int i, j, l;
    for (i = 0; i < w->erased; i++) {
        for (j = 0; j < DRC_M; j++) {
            drc_c *t = w->plain + j * w->q, x = w->roots[w->erasures[i]];
            for (l = 0; l + 1 < w->q - i; l++) {
                t[l] = drc_c_sub(t[l + 1], drc_c_mul(x, t[l]));
            }
        }
    }
}

/* The nu workers at whose points the locator is smallest, each divided out of it once found: a worker beside
 * a liar is not suspect for that. blur > 0: up to a factor of 10^blur, from the sequence that state runs
 * through. 0: the budget does not allow it. */
static int drc_suspect(drc_complex_work *w, int nu, int blur, uint32_t *state) {
    const drc_c *locator;
    int alive = w->n - w->erased, i, l, k, chosen = 0;
    if (!drc_afford(w, ((int64_t)DRC_M * w->spare + 2 * DRC_TURNS) * (nu + 1) * (nu + 1) +
                           4 * (int64_t)alive * nu))
        return 0;
    locator = drc_locator(w, nu);
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
    return 1;
}

/* Copies the parity columns of some workers, then the syndromes, then (for trial) those of all present. */
static void drc_gather(drc_complex_work *w, const int *workers, int count, int trial) {
    int i, rows = w->spare, alive = trial ? w->n - w->erased : 0;
    size_t bytes = (size_t)rows * sizeof *w->a;
    for (i = 0; i < count; i++) memcpy(w->a + i * rows, drc_column(w, workers[i]), bytes);
    for (i = 0; i < DRC_M; i++) memcpy(w->b + i * rows, w->s + i * w->q + w->erased, bytes);
    for (i = 0; i < alive; i++) memcpy(w->b + (DRC_M + i) * rows, drc_column(w, w->alive[i]), bytes);
    drc_qr(w->a, rows, count, w->b, DRC_M + alive, rows);
}

/* Takes the cost of a gather for trial and of its trials from the budget. */
static int drc_afford_trials(drc_complex_work *w, int count) {
    int64_t cost = 2 * (int64_t)(count + DRC_M) * (w->n - w->erased + DRC_M) * w->spare;
    return w->budget >= cost + w->unknown * drc_column_cost(w) && drc_afford(w, cost);
}

static int64_t drc_residual_cost(const drc_complex_work *w, int count) {
    return (int64_t)(count + 2 * DRC_M) * w->spare * count;
}

/* Norm of what lies of these workers cannot explain of the syndromes. */
static double drc_residual(drc_complex_work *w, const int *workers, int count) {
    double sum = 0;
    int j;
    w->budget -= drc_residual_cost(w, count);
    drc_gather(w, workers, count, 0);
    for (j = 0; j < DRC_M; j++) {
        sum += drc_norm2(w->b + j * w->spare + count, w->spare - count);
    }
    return sqrt(sum);
}

/* After a gather for trial of `count` workers: what would be left if the given column were explained too. */
static double drc_trial(const drc_complex_work *w, int count, int candidate) {
    const drc_c *column = w->b + (DRC_M + candidate) * w->spare + count;
    int rows = w->spare - count, j, i;
    double size = drc_norm2(column, rows), sum = 0;
    if (size < 1e-26) return HUGE_VAL; /* it is among the suspects, or cannot be told from them */
    for (j = 0; j < DRC_M; j++) {
        const drc_c *s = w->b + j * w->spare + count;
        drc_c z = drc_c_scale(drc_dot(column, s, rows), 1 / size);
        for (i = 0; i < rows; i++) {
            sum += drc_c_norm2(drc_c_sub(s[i], drc_c_mul(z, column[i])));
        }
    }
    return sqrt(sum);
}

/* The residual of the nu suspects, of which the best set is remembered; HUGE_VAL: the budget does not allow it. */
static double drc_judge(drc_complex_work *w, int nu) {
    double residual = HUGE_VAL;
    if (nu == 0 || w->budget > drc_residual_cost(w, nu) + nu * drc_column_cost(w))
        residual = drc_residual(w, w->liars, nu);
    if (residual >= w->best_residual) return residual;
    memcpy(w->best, w->liars, (size_t)nu * sizeof *w->best);
    w->best_count = nu;
    w->best_residual = residual;
    return residual;
}

/* The worker who would leave the least residual in the place of one suspect; HUGE_VAL: the budget does not allow it. */
static double drc_replace(drc_complex_work *w, int nu, int place, int *worker) {
    int alive = w->n - w->erased, i, kept = 0;
    double least = HUGE_VAL;
    if (!drc_afford_trials(w, nu)) return HUGE_VAL;
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
    return least;
}

/* Makes the best of all swaps of a suspect for another worker, as long as that helps. */
static double drc_refine(drc_complex_work *w, int nu, double residual) {
    double least = residual;
    int place, worker = 0, best_place = 0, best_worker = 0;
    while (residual > w->limit && w->budget > 0) {
        for (place = 0; place < nu; place++) {
            double now = drc_replace(w, nu, place, &worker);
            if (now >= least) continue;
            least = now;
            best_place = place;
            best_worker = worker;
        }
        if (least >= 0.99 * residual) break;
        w->liars[best_place] = best_worker;
        residual = least;
    }
    return drc_judge(w, nu);
}

/* The best nu suspects from two beginnings: those of the locator and, when these do not do and the best nu -
 * 1 are known, those and one more. */
static double drc_suspects(drc_complex_work *w, int nu, int known) {
    size_t bytes = (size_t)nu * sizeof *w->liars;
    double grown, located = HUGE_VAL;
    memcpy(w->former, w->liars, bytes);
    if (drc_suspect(w, nu, 0, NULL)) located = drc_refine(w, nu, drc_judge(w, nu));
    if (located <= w->limit || !known) return located;
    memcpy(w->grown, w->liars, bytes);
    memcpy(w->liars, w->former, bytes);
    grown = drc_replace(w, nu, nu - 1, &w->liars[nu - 1]);
    if (grown < HUGE_VAL) grown = drc_refine(w, nu, grown);
    if (grown >= located) memcpy(w->liars, w->grown, bytes);
    return grown < located ? grown : located;
}

/* Without those whose lies noise can stand for. */
static int drc_prune(drc_complex_work *w, int nu) {
    int place, best = 0, i;
    while (nu > 0 && w->budget > nu * drc_residual_cost(w, nu)) {
        double least = HUGE_VAL;
        for (place = 0; place < nu; place++) {
            int last = w->liars[nu - 1];
            double over;
            w->liars[nu - 1] = w->liars[place];
            w->liars[place] = last;
            over = drc_residual(w, w->liars, nu - 1) / w->limit;
            if (over < least) best = place;
            if (over < least) least = over;
            w->liars[place] = w->liars[nu - 1];
            w->liars[nu - 1] = last;
        }
        if (least > 1) break;
        for (i = best, nu--; i < nu; i++) w->liars[i] = w->liars[i + 1];
    }
    return nu;
}

/* Noise can misplace roots of the locator when liars collude, for then all projections tell the same. So try
 * all that many workers side by side, the worst case, and begin the search for the most liars again where the
 * locator is blurred by a factor of up to 10 or 100 (a fixed sequence: the same messages give the same
 * verdicts). Returns the number of liars, or -1. */
static int drc_search_again(drc_complex_work *w) {
    int nu = w->spare / 2, alive = w->n - w->erased, attempt, i;
    uint32_t state = 1;
    for (attempt = 0; attempt < alive + DRC_ATTEMPTS && nu > 0 && w->budget > 0; attempt++) {
        double now;
        if (attempt < alive) {
            for (i = 0; i < nu; i++) w->liars[i] = w->alive[(attempt + i) % alive];
            now = drc_judge(w, nu);
        } else {
            if (!drc_suspect(w, nu, 1 + attempt % 2, &state)) break;
            now = drc_refine(w, nu, drc_judge(w, nu));
        }
        if (now <= w->limit) return drc_prune(w, nu);
    }
    return -1;
}

/* As many liars there are at least as the syndromes of the projections have independent directions: what is
 * left of them after the largest, the largest of the rest, … must be well above the noise to count. */
static int drc_at_least(drc_complex_work *w) {
    int rank, j, rows = w->spare, m = DRC_M;
    double limit = w->limit;
    drc_residual(w, NULL, 0); /* copies the syndromes to b */
    for (rank = 0; rank < m; rank++) {
        const drc_c *largest = w->b;
        double sum = 0, most = 0;
        for (j = 0; j < m; j++) {
            double size = drc_norm2(w->b + j * rows, rows);
            sum += size;
            if (size <= most) continue;
            most = size;
            largest = w->b + j * rows;
        }
        if (sum <= 100 * limit * limit) break;
        memcpy(w->a, largest, (size_t)rows * sizeof *w->a);
        for (j = 0; j < m; j++) {
            drc_c z = drc_dot(w->a, w->b + j * rows, rows);
            drc_subtract(w->b + j * rows, drc_c_scale(z, 1 / most), w->a, rows);
        }
    }
    return rank;
}

/* Those whose messages are larger than any that honest ones are likely to be, into `liars`. */
static int drc_loud(drc_complex_work *w) {
    int alive = w->n - w->erased, i, nu = 0;
    double limit = 4 * drc_cap(w);
    for (i = 0; i < alive; i++) {
        if (w->norms[w->alive[i]] > limit) w->liars[nu++] = w->alive[i];
    }
    return nu;
}

/* The fewest liars whose lies explain the syndromes up to noise, or those who come nearest to that. Returns their
 * number, or -1: more lie than can be. A part of the budget is kept for the search for the most of them. */
static int drc_search(drc_complex_work *w, double *residual) {
    int64_t half = w->budget / 2;
    int nu = 0, first, most = w->spare / 2, known = 1, found = -1;
    w->best_residual = HUGE_VAL;
    *residual = drc_judge(w, 0);
    if (*residual <= w->limit) return 0;
    drc_annihilate(w);
    first = drc_at_least(w);
    if (first > most) return -1;
    nu = drc_loud(w);
    if (nu > 0 && nu <= most && drc_judge(w, nu) <= w->limit) found = nu;
    if (first - 1 > nu) {
        nu = first - 1;
        known = 0;
    }
    while (found < 0 && nu < most) {
        if (w->budget < half) {
            nu = most - 1;
            known = 0;
        }
        nu++;
        if (drc_suspects(w, nu, known) <= w->limit) found = nu;
        known = 1;
    }
    if (found < 0) found = drc_search_again(w);
    if (found < 0) {
        found = w->best_count;
        memcpy(w->liars, w->best, (size_t)found * sizeof *w->liars);
    }
    *residual = drc_residual(w, w->liars, found);
    return found;
}

/* ---- Proof: could another set of workers have lied instead? ---- */

#define DRC_GONE 1e-18 /* square norm of a column that is a combination of others but for rounding */

/* The distances of a worker's column from the span of those of `others` and of the 0, 1, ... `more` workers nearest to
 * it that are none of the nu suspects: they come nearest to it, for the nearer two points are, the more alike are their
 * columns. A distance that may be rounding alone counts as 0. */
static void drc_distances(drc_complex_work *w, int nu, int worker, const int *others, int count, int more,
                          double *distances) {
    int rows = w->spare, columns = count, end = count + more < rows ? count + more : rows, step, side, i;
    size_t bytes = (size_t)rows * sizeof *w->a;
    for (i = 0; i < count; i++) memcpy(w->a + i * rows, drc_column(w, others[i]), bytes);
    for (step = 1; 2 * step <= w->n && columns < end; step++) {
        for (side = 0; side < (2 * step == w->n ? 1 : 2) && columns < end; side++) {
            int near = (worker + (side ? w->n - step : step)) % w->n;
            if (drc_among(w->erasures, w->erased, near) || drc_among(w->liars, nu, near)) continue;
            memcpy(w->a + columns++ * rows, drc_column(w, near), bytes);
        }
    }
    memcpy(w->b, drc_column(w, worker), bytes);
    drc_qr(w->a, rows, columns, w->b, 1, rows);
    for (i = 0; i <= more; i++) {
        int known = count + i;
        distances[i] = known < rows ? sqrt(drc_norm2(w->b + known, rows - known)) : 0;
        if (i > 0 && known <= columns &&
            (distances[i - 1] == 0 || drc_c_norm2(w->a[(known - 1) * (rows + 1)]) < DRC_GONE))
            distances[i] = 0;
    }
}

/* The lies of the suspects, nu rows of m, as least squares see them: into `plain`. */
static void drc_lies(drc_complex_work *w, int nu) {
    int i, j, k;
    drc_gather(w, w->liars, nu, 0);
    for (j = 0; j < DRC_M; j++) {
        for (i = nu - 1; i >= 0; i--) {
            drc_c sum = w->b[j * w->spare + i], r = w->a[i * w->spare + i];
            double size = drc_c_norm2(r);
            for (k = i + 1; k < nu; k++) {
                sum = drc_c_sub(sum, drc_c_mul(w->a[k * w->spare + i], w->plain[k * DRC_M + j]));
            }
            sum = drc_c_mul(sum, drc_c_of(r.re, -r.im));
            w->plain[i * DRC_M + j] = size > 0 ? drc_c_scale(sum, 1 / size) : drc_c_of(0, 0);
        }
    }
}

/* The norm of what one suspect's lie has that combinations of the others' have not. */
static double drc_alone(const drc_complex_work *w, int nu, int which) {
    drc_c rows[(DRC_M + 1) * DRC_M], *own = rows;
    int kept = 1, i, j, k;
    memcpy(own, w->plain + which * DRC_M, DRC_M * sizeof *own);
    for (i = 0; i < nu; i++) {
        drc_c *row = rows + kept * DRC_M;
        double whole = drc_norm2(w->plain + i * DRC_M, DRC_M);
        if (i == which) continue;
        if (kept > DRC_M) return 0;
        memcpy(row, w->plain + i * DRC_M, DRC_M * sizeof *row);
        for (k = 0; k < 2; k++) {
            for (j = 1; j < kept; j++) {
                drc_subtract(row, drc_dot(rows + j * DRC_M, row, DRC_M), rows + j * DRC_M, DRC_M);
            }
        }
        if (drc_norm2(row, DRC_M) < 1e-12 * whole || whole == 0) continue;
        whole = 1 / sqrt(drc_norm2(row, DRC_M));
        for (j = 0; j < DRC_M; j++) row[j] = drc_c_scale(row[j], whole);
        drc_subtract(own, drc_dot(row, own, DRC_M), row, DRC_M);
        kept++;
    }
    return sqrt(drc_norm2(own, DRC_M));
}

/* The other suspects into `others`, those nearest to one first. */
static void drc_by_distance(drc_complex_work *w, int nu, int place) {
    int kept = 0, i, k;
    for (i = 0; i < nu; i++) {
        int away = abs(w->liars[i] - w->liars[place]);
        if (i == place) continue;
        away = away < w->n - away ? away : w->n - away;
        for (k = kept++; k > 0 && w->former[k - 1] > away; k--) {
            w->former[k] = w->former[k - 1];
            w->others[k] = w->others[k - 1];
        }
        w->former[k] = away;
        w->others[k] = w->liars[i];
    }
}

/* Were a of the suspects, H, honest, a + `more` others would be liars in their place, and would with the rest of H, as
 * R, leave V_H E - V_R F as small as noise on either side, where E are the lies of H. So for each of the a its column is
 * near those of the other suspects and of the nearest a + `more` others; and, in a combination of the
 * projections in which only its lie shows, near those of R alone. Bit a of honest[h] tells whether suspect h can be one
 * of a. A suspect that can be none is a proved liar. The proved come first in `liars`. Returns their number, and in
 * *others that of the liars who may be no suspects. */
static int drc_prove(drc_complex_work *w, int nu, double residual, int *others) {
    int most = w->spare / 2, more = most - nu, proved = 0, place, a;
    int64_t cost = 2 * (int64_t)most * most * w->spare, honest[DRC_MOST_SPARE / 2], seen = 0;
    double limit = 4 * (w->limit + residual), *distances = w->rank;
    *others = most;
    if (w->q > DRC_MOST_SPARE || !drc_afford(w, (int64_t)nu * nu * (nu + DRC_M) * DRC_M)) return 0;
    drc_lies(w, nu);
    for (place = 0; place < nu; place++) {
        int worker = w->liars[place];
        double size = sqrt(drc_norm2(w->plain + place * DRC_M, DRC_M)), alone = drc_alone(w, nu, place);
        honest[place] = -1;
        if (!drc_afford(w, 4 * cost)) continue;
        drc_by_distance(w, nu, place);
        drc_distances(w, nu, worker, w->others, nu - 1, most, distances);
        honest[place] = 0;
        for (a = 1; a <= nu; a++) {
            if (size * distances[a + more] <= limit) honest[place] |= (int64_t)1 << a;
        }
        for (a = 1; a <= nu; a++) {
            if (!(honest[place] >> a & 1) || alone == 0 || !drc_afford(w, cost)) continue;
            drc_distances(w, nu, worker, w->others, nu - a, a + more, distances);
            if (alone * distances[a + more] > limit) honest[place] ^= (int64_t)1 << a;
        }
    }
    for (a = nu; a > 0; a--) {
        int count = 0;
        for (place = 0; place < nu; place++) count += (int)(honest[place] >> a & 1);
        if (count >= a) break;
    }
    *others = more + a;
    for (; a > 0; a--) seen |= (int64_t)1 << a;
    for (place = 0; place < nu; place++) {
        int worker = w->liars[place];
        if (honest[place] & seen) continue;
        w->liars[place] = w->liars[proved];
        honest[place] = honest[proved];
        w->liars[proved++] = worker;
    }
    return proved;
}

/* Who could stand in the place of a suspect that is not proved: suspected as well. */
static void drc_doubt(drc_complex_work *w, int nu, int proved, int explained) {
    int alive = w->n - w->erased, place, i, k, kept;
    for (place = proved; place < nu; place++) {
        w->verdicts[w->liars[place]] = DRACO_SUSPECTED;
        if (!explained || !drc_afford_trials(w, nu)) continue;
        for (k = 0, kept = 0; k < nu; k++) {
            if (k != place) w->others[kept++] = w->liars[k];
        }
        drc_gather(w, w->others, kept, 1);
        for (i = 0; i < alive; i++) {
            if (drc_trial(w, kept, i) <= w->limit) w->verdicts[w->alive[i]] = DRACO_SUSPECTED;
        }
    }
}

/* gains[k], of a code with q = 2s + t: the gain when any k workers are out is no larger: that when they stand side by side. Its reciprocal is the
 * distance of (1, 0, ...) from the span of (x^0, x^-1, ... x^-q) for their points x. Where rounding spoils that, an upper
 * bound: were all their points one, the square would be (q - k)! (q + k)! / q!^2. */
static void drc_fill_gains(drc_complex_work *w, int q, double *gains) {
    int rows = q + 1, k, l, exact = q <= DRC_MOST_SPARE;
    double square = 1;
    gains[0] = 1;
    for (k = 0; k < q && exact; k++) {
        for (l = 0; l <= q; l++) {
            drc_c x = drc_power(w, k, l);
            w->a[k * rows + l] = drc_c_of(x.re, -x.im);
        }
    }
    for (l = 0; l <= q; l++) w->b[l] = drc_c_of(l == 0, 0);
    if (exact) drc_qr(w->a, rows, q, w->b, 1, rows);
    for (k = 1; k <= q; k++) {
        square *= (double)(q + k) / (q - k + 1);
        gains[k] = sqrt(square);
        exact = exact && drc_c_norm2(w->a[(k - 1) * (rows + 1)]) > DRC_GONE;
        if (exact && drc_norm2(w->b + k, rows - k) * square > 1)
            gains[k] = 1 / sqrt(drc_norm2(w->b + k, rows - k));
    }
}

/* Least-norm weights that vanish on `bad` and read F(0) off every codeword:
 * v_i = (1 + sum_l c_l x_i^l) / n, l = 1..q, with the least c that makes them vanish. The conjugate transpose
 * of the system is a QR: N^H = Q R, so c = Q z with R^H z = -1. Leaves c in `plain`. Returns the gain:
 * the points are roots of unity, hence n ||v||^2 = 1 + ||c||^2. */
static double drc_solve(drc_complex_work *w, int q, const int *bad, int count) {
    int i, l;
    drc_c *z = w->plain;
    double gain;
    for (i = 0; i < count; i++) {
        for (l = 0; l < q; l++) {
            drc_c x = drc_power(w, bad[i], l + 1);
            w->a[i * q + l] = drc_c_of(x.re, -x.im);
        }
    }
    drc_qr(w->a, q, count, NULL, 0, q);
    for (i = 0; i < q; i++) z[i] = drc_c_of(0, 0);
    for (i = 0; i < count; i++) {
        drc_c r = w->a[i * q + i], known = drc_dot(w->a + i * q, z, i);
        double size = drc_c_norm2(r);
        if (size == 0) return HUGE_VAL;
        known = drc_c_sub(drc_c_of(-1, 0), known);
        z[i] = drc_c_scale(drc_c_mul(known, r), 1 / size);
    }
    gain = sqrt(1 + drc_norm2(z, count));
    drc_reflect(w->a, q, count, z, q);
    return gain;
}

/* The same for the nu suspects and the missing, who follow them in `liars`. */
static double drc_solve_without(drc_complex_work *w, int nu) {
    memcpy(w->liars + nu, w->erasures, (size_t)w->erased * sizeof *w->liars);
    return drc_solve(w, w->q, w->liars, nu + w->erased);
}

static void drc_complex_weigh(const drc_complex_work *w, const int *bad, int count, double *weights) {
    int i, l;
    for (i = 0; i < w->n; i++) {
        drc_c v = drc_c_of(1, 0);
        for (l = 0; l < w->q; l++) {
            drc_c term = drc_c_mul(w->plain[l], drc_power(w, i, l + 1));
            v.re += term.re;
            v.im += term.im;
        }
        weights[2 * w->worker[i]] = drc_short(ldexp(v.re / w->n, w->scale));
        weights[2 * w->worker[i] + 1] = drc_short(ldexp(v.im / w->n, w->scale));
    }
    for (i = 0; i < count; i++) weights[2 * w->worker[bad[i]]] = weights[2 * w->worker[bad[i]] + 1] = 0;
}

/* The root of the mean square norm of a range of the messages that stay, none counted as larger than honest ones
 * can be. */
static double drc_typical(const drc_complex_work *w, int nu) {
    double sum = 0, cap = drc_cap(w);
    int i, alive = w->n - w->erased;
    for (i = 0; i < alive; i++) {
        double norm = w->norms[w->alive[i]] < cap ? w->norms[w->alive[i]] : cap;
        if (!drc_among(w->liars, nu, w->alive[i])) sum += norm * norm;
    }
    return sqrt(sum / (alive - nu) / w->ranges);
}

/* Sorts the suspects behind the proved ones by their lies, the largest first. */
static void drc_sort(drc_complex_work *w, int nu, int proved) {
    int i, k;
    drc_lies(w, nu);
    for (i = 0; i < nu; i++) w->rank[i] = drc_norm2(w->plain + i * DRC_M, DRC_M);
    for (i = proved + 1; i < nu; i++) {
        int worker = w->liars[i];
        double size = w->rank[i];
        for (k = i; k > proved && w->rank[k - 1] < size; k--) {
            w->rank[k] = w->rank[k - 1];
            w->liars[k] = w->liars[k - 1];
        }
        w->rank[k] = size;
        w->liars[k] = worker;
    }
}

/* A bound of the gain when `count` workers are out and any `more` besides. The gain is the norm of the least polynomial of
 * degree q that is 1 at 0 and vanishes where they stand. The product of one of degree p for those that are known and of
 * one of degree q - p for any others is one, of no larger norm than the largest value of the first times the norm of the
 * second. (Bernstein: between 32 p points that value is no larger than 1 / (1 - pi / 32) of that at one of them.) */
static double drc_gain_with(drc_complex_work *w, const int *known, int count, int more) {
    double best = w->gains[count + more];
    int p, i, l;
    if (more == 0) return drc_solve(w, w->q, known, count);
    for (p = count; p > 0 && p + more <= w->q; p++) {
        double most = 0, gain;
        if (!drc_afford(w, (int64_t)p * count * count + 32 * (int64_t)p * p + (int64_t)w->q * w->q * w->q))
            break;
        drc_solve(w, p, known, count);
        for (i = 0; i < 32 * p; i++) {
            drc_c x = drc_root(32 * p, i), sum = drc_c_of(0, 0);
            for (l = p - 1; l >= 0; l--) {
                sum.re += w->plain[l].re;
                sum.im += w->plain[l].im;
                sum = drc_c_mul(sum, x);
            }
            sum.re += 1;
            if (drc_c_norm2(sum) > most) most = drc_c_norm2(sum);
        }
        drc_fill_gains(w, w->q - p, w->squares);
        gain = 1.11 * sqrt(most) * w->squares[more];
        if (gain < best) best = gain;
    }
    return best;
}

/* How many of the nu suspects to leave out of the sum, the first of `liars`, and in *error the bound of its error with
 * them, in messages. Whatever the liars are, at most spare / 2 with the proved among them or, if `explained`, the suspects
 * but for `others` at most: without all of them and of those left out the sum is right but for noise times the gain,
 * and the sum differs from that by no more than what those left out do not explain, times that gain. Three times as
 * much as the projections show of it: they show less in one round in a hundred thousand. The gain is first taken for all
 * of them side by side; if the bound is not `enough` then, for those that are known where they are. */
static int drc_choose(drc_complex_work *w, int nu, int proved, int others, int explained, double enough,
                      double *error) {
    int most = w->spare / 2, rows = w->spare, best = nu, look, k, j;
    *error = HUGE_VAL;
    if (nu > 0) drc_sort(w, nu, proved);
    drc_gather(w, w->liars, nu, 0);
    for (k = 0; k <= nu; k++) {
        double left = 0;
        for (j = 0; j < DRC_M; j++) left += drc_norm2(w->b + j * rows + k, rows - k);
        w->rank[k] = 3 * sqrt(left / DRC_M) + w->noise;
    }
    memcpy(w->others, w->erasures, (size_t)w->erased * sizeof *w->others);
    memcpy(w->others + w->erased, w->liars, (size_t)nu * sizeof *w->others);
    for (look = 0; look < 2 && !(*error <= enough); look++) {
        for (k = proved; k <= nu; k++) {
            int out = k + most - proved;
            double bound;
            if (explained && nu + others < out) out = nu + others;
            bound = w->rank[k] *
                    (look ? drc_gain_with(w, w->others, w->erased + k, out - k) : w->gains[w->erased + out]);
            if (bound < *error) best = k;
            if (bound < *error) *error = bound;
        }
    }
    return best;
}

/* From the messages that were looked at: the bad are the liars and the missing; those who stay have the verdict AGREES. A
 * quarter of the budget is for proofs. */
static draco_status drc_decide(const draco_code *code, drc_complex_work *w, double *weights,
                               draco_report *report) {
    int64_t budget = code->budget > 0 ? code->budget : DRACO_BUDGET;
    double residual = 0, error, gain, least, scale;
    int liars = 0, proved = 0, others = 0, explained = 1, out = 0, i;
    if (w->spare > 0) drc_set_outliers_aside(w);
    report->spare = w->spare; /* an outlier costs one, as if it were missing */
    if (w->spare < 0) return DRACO_E_TOO_MANY_MISSING;
    w->budget = budget - budget / 4;
    drc_size_noise(w);
    drc_fill_gains(w, w->q, w->gains);
    error = w->noise;
    scale = code->share / drc_typical(w, 0) / sqrt((double)w->n);
    /* No set of liars leaves a smaller bound than this. Liars' messages at most halve the mean square norm. */
    least = scale * w->noise * w->gains[w->erased + w->spare / 2] / sqrt(2.0);
    if (w->q > DRC_MOST_SPARE && w->spare > 1 && !(least <= DRACO_WORST_ERROR)) return DRACO_E_RANGE;
    if ((int64_t)w->q * w->erased * w->erased > budget) return DRACO_E_RANGE; /* see drc_solve */
    if (w->spare > 0) {
        drc_syndromes(w);
        liars = drc_search(w, &residual);
        explained = residual <= w->limit;
        report->residual = residual / w->limit;
        if (liars < 0) return DRACO_E_AMBIGUOUS;
        w->budget += budget / 4;
        others = w->spare / 2;
        if (explained && liars > 0) proved = drc_prove(w, liars, residual, &others);
        scale = code->share / drc_typical(w, liars) / sqrt((double)w->n);
        out = drc_choose(w, liars, proved, others, explained, DRACO_WORST_ERROR / scale, &error);
    }
    if (!explained && !(scale * error <= DRACO_WORST_ERROR)) return DRACO_E_AMBIGUOUS;
    if (w->spare > 0) drc_doubt(w, liars, proved, explained);
    for (i = 0; i < proved; i++) w->verdicts[w->liars[i]] = DRACO_BLAMED;
    for (i = 0; i < w->n; i++) {
        if (w->verdicts[i] == DRACO_UNDECIDED) w->verdicts[i] = DRACO_AGREES;
    }
    gain = drc_solve_without(w, out);
    report->spare = w->spare - 2 * liars;
    report->gain = gain;
    if (explained && others == 0) error = gain * (3 * residual / sqrt((double)DRC_M) + w->noise);
    report->error =
        scale * error + (1 + gain / 32) * DRC_ULP * code->share; /* weights and the sum round too */
    if (!(2 * scale * w->limit / sqrt((double)DRC_M) * gain <= DRACO_WORST_ERROR)) return DRACO_E_RANGE;
    if (!(report->error <= DRACO_WORST_ERROR)) return DRACO_E_AMBIGUOUS;
    drc_complex_weigh(w, w->liars, out + w->erased, weights);
    return w->spare > 0 ? DRACO_OK : DRACO_UNVERIFIED;
}

static draco_status drc_complex_locate(const draco_code *code, const draco_key *key, size_t d,
                                       const draco_sketch *const *sketches, void *work, double *weights,
                                       draco_verdict *verdicts, draco_report *report) {
    drc_complex_work w;
    draco_report found;
    draco_status status;
    int i;
    memset(&found, 0, sizeof found);
    found.gain = 1;
    drc_lay_complex(code, work, &w);
    drc_complex_look(code, key, d, sketches, &w);
    status = drc_decide(code, &w, weights, &found);
    for (i = 0; i < w.n; i++) verdicts[w.worker[i]] = w.verdicts[i];
    drc_count(code, verdicts, report);
    report->spare = found.spare;
    report->residual = found.residual;
    report->gain = found.gain;
    report->error = found.error;
    return status;
}

static size_t drc_complex_work_bytes(const draco_code *code) {
    return drc_lay_complex(code, NULL, NULL);
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("tree-vectorize")
#endif

/* ---- Combine ---- */

/* Four rows in order; `real` gathers re(v) * row and `imaginary` im(v) * row. Weights have 29 bits.
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

/* Four by four in the order of the workers; rows that fill up the last four have weight 0. Pairs are read
 * from an even coordinate on: when the sum begins at an odd one, the first is skipped. */
static void drc_complex_combine(const draco_code *code, const double *weights, const void *const *messages,
                                size_t first, size_t count, const uint8_t *exponents, float *sum) {
    uint32_t copies[4][DRC_TILE];
    double real[DRC_TILE], imaginary[DRC_TILE], v[8];
    size_t skip = first % 2, even = (skip + count + 1) / 2 * 2, c;
    const float *rows[4];
    int i, k = 0;
    (void)exponents;
    memset(real, 0, even * sizeof *real);
    memset(imaginary, 0, even * sizeof *imaginary);
    for (i = 0; i < code->n; i++) {
        if (drc_used(weights, i)) {
            rows[k] = (const float *)drc_words(messages[i], first - skip, even, copies[k]);
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

static const drc_code drc_complex = {DRACO_CYCLIC,
                                     DRACO_FIELD_COMPLEX,
                                     "cyclic code, complex field",
                                     1, /* alike */
                                     0, /* exponents */
                                     2, /* multiple */
                                     8, /* sum_bytes */
                                     sizeof(drc_complex_key),
                                     sizeof(drc_complex_sketch),
                                     drc_complex_init,
                                     drc_cyclic_load,
                                     drc_complex_part,
                                     drc_cyclic_index,
                                     drc_cyclic_describe,
                                     drc_complex_coefficient,
                                     drc_complex_encode,
                                     drc_complex_round,
                                     drc_complex_key_init,
                                     NULL,
                                     drc_complex_fold,
                                     drc_complex_merge,
                                     NULL,
                                     drc_complex_work_bytes,
                                     drc_complex_locate,
                                     drc_complex_combine};

#if defined(__clang__)
#pragma STDC FP_CONTRACT DEFAULT
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

/* ======== The codes ======== */

static const drc_code *const drc_codes[] = {&drc_repetition, &drc_complex, &drc_prime};

static const drc_code *drc_find(draco_scheme scheme, draco_field field) {
    size_t i;
    for (i = 0; i < sizeof drc_codes / sizeof *drc_codes; i++) {
        if (drc_codes[i]->scheme == scheme && drc_codes[i]->field == field) return drc_codes[i];
    }
    return NULL;
}

#define DRC_MOST_SCALE 1023 /* the largest power of two that a double holds */

/* r */
static int drc_load(const draco_code *code) {
    return (code->reactive ? code->s : 2 * code->s) + code->t + 1;
}

/* The row of a code that draco_code_init made, else NULL. */
static const drc_code *drc_row(const draco_code *code) {
    int good = code && code->n >= 1 && code->n <= DRACO_MAX_WORKERS && code->s >= 0 && code->t >= 0 &&
               code->s <= code->n && code->t <= code->n && code->r == drc_load(code) && code->r <= code->n &&
               code->groups >= 1 && code->groups <= code->n && code->parts >= 1 && code->parts <= code->n &&
               code->scale >= 0 && code->scale <= DRC_MOST_SCALE;
    return good ? drc_find(code->scheme, code->field) : NULL;
}

/* Is this a code that a call can work with? */
static draco_status drc_ready(const draco_code *code) {
    return !code ? DRACO_E_NULL : !drc_row(code) ? DRACO_E_UNINITIALISED : DRACO_OK;
}

/* A code and a number of coordinates that a call can work with. */
static draco_status drc_ready_for(const draco_code *code, size_t d) {
    draco_status status = drc_ready(code);
    return status == DRACO_OK && draco_message_bytes(code, d) == 0 ? DRACO_E_DIM : status;
}

/* ======== The public calls ======== */

/* ---- The descriptor ---- */

DRACO_CODES_API draco_status draco_code_init(draco_code *code) {
    draco_code c;
    const drc_code *row;
    if (!code) return DRACO_E_NULL;
    c = *code;
    if (c.field != DRACO_FIELD_COMPLEX && c.field != DRACO_FIELD_PRIME) return DRACO_E_SCHEME;
    if (c.support != DRACO_SUPPORT_SPREAD && c.support != DRACO_SUPPORT_CONTIGUOUS) return DRACO_E_SCHEME;
    if (c.scheme == DRACO_REPETITION) c.field = DRACO_FIELD_PRIME; /* it knows no field */
    row = drc_find(c.scheme, c.field);
    if (!row) return DRACO_E_SCHEME;
    if (c.n < 1 || c.n > DRACO_MAX_WORKERS || c.s < 0 || c.s > c.n || c.t < 0 || c.t > c.n)
        return DRACO_E_LIMITS;
    if (c.reactive && c.scheme != DRACO_REPETITION) return DRACO_E_SCHEME;
    c.reactive = c.reactive != 0;
    if (2 * c.s + c.t + 1 > c.n) return DRACO_E_LIMITS;
    c.r = drc_load(&c);
    c.scale = 0;
    c.seating = 0;
    c.share = 0;
    if (row != &drc_complex) {
        c.seed = 0;
        c.budget = 0;
    }
    if (c.budget < 0) return DRACO_E_LIMITS;
    row->init(&c);
    if (c.scale > DRC_MOST_SCALE) return DRACO_E_LIMITS;
    *code = c;
    return DRACO_OK;
}

DRACO_CODES_API draco_status draco_code_at(draco_code *code, uint64_t step) {
    draco_status ready = drc_ready(code);
    if (ready != DRACO_OK) return ready;
    if (drc_row(code) == &drc_complex) code->seating = drc_mix(code->seed ^ drc_mix(step)) | 1;
    return DRACO_OK;
}

DRACO_CODES_API int draco_code_seat(const draco_code *code, int worker) {
    return draco_code_load(code, worker) > 0 ? drc_seat(code, worker) : -1;
}

/* FNV-1a over what makes two codes differ. */
DRACO_CODES_API uint64_t draco_code_id(const draco_code *code) {
    uint64_t hash = 14695981039346656037u;
    int values[7], i, shift;
    if (!drc_row(code)) return 0;
    if (code->seed) hash ^= drc_mix(code->seed);
    values[0] = (int)code->scheme;
    values[1] = (int)code->field;
    values[2] = (int)code->support;
    values[3] = code->n;
    values[4] = code->s;
    values[5] = code->t;
    values[6] = code->reactive;
    for (i = 0; i < 6 + code->reactive; i++) {
        for (shift = 0; shift < 16; shift += 8) {
            hash = (hash ^ ((uint64_t)values[i] >> shift & 0xff)) * 1099511628211u;
        }
    }
    return hash;
}

DRACO_CODES_API int draco_code_load(const draco_code *code, int worker) {
    const drc_code *row = drc_row(code);
    return row && worker >= 0 && worker < code->n ? row->load(code) : 0;
}

DRACO_CODES_API int draco_code_part(const draco_code *code, int worker, int l) {
    if (l < 0 || l >= draco_code_load(code, worker)) return -1;
    return drc_row(code)->part(code, drc_seat(code, worker), l);
}

DRACO_CODES_API int draco_code_holds(const draco_code *code, int worker, int part) {
    if (draco_code_load(code, worker) == 0 || part < 0 || part >= code->parts) return 0;
    return drc_row(code)->index(code, drc_seat(code, worker), part) >= 0;
}

DRACO_CODES_API int draco_code_group(const draco_code *code, int worker) {
    if (!drc_row(code) || worker < 0 || worker >= code->n) return -1;
    return worker % code->groups;
}

DRACO_CODES_API void draco_code_samples(const draco_code *code, size_t batch, int part, size_t *first,
                                        size_t *count) {
    size_t parts, share, extra, p = (size_t)part;
    *first = *count = 0;
    if (!drc_row(code) || part < 0 || part >= code->parts) return;
    parts = (size_t)code->parts;
    share = batch / parts;
    extra = batch % parts;
    *first = p * share + (p < extra ? p : extra);
    *count = share + (p < extra);
}

DRACO_CODES_API size_t draco_code_describe(const draco_code *code, char *text, size_t capacity) {
    static const char none[] = "not a code";
    const drc_code *row = drc_row(code);
    size_t take = capacity > sizeof none ? sizeof none : capacity;
    int length = (int)sizeof none - 1;
    if (row) {
        length = row->describe(code, row->name, text, capacity);
    } else if (take > 0) {
        memcpy(text, none, take);
        text[take - 1] = 0;
    }
    return length < 0 ? 0 : (size_t)length;
}

DRACO_CODES_API draco_status draco_code_coefficient(const draco_code *code, int part, int worker,
                                                    double value[2]) {
    double whole[4] = {0, 0, 0, 0};
    draco_status ready = drc_ready(code);
    if (ready != DRACO_OK) return ready;
    if (part < 0 || part >= code->parts || worker < 0 || worker >= code->n) return DRACO_E_INDEX;
    if (!value) return DRACO_E_NULL;
    if (draco_code_holds(code, worker, part))
        drc_row(code)->coefficient(code, part, drc_seat(code, worker), whole);
    value[0] = whole[0] + whole[2];
    value[1] = whole[1] + whole[3];
    return DRACO_OK;
}

/* ---- Messages ---- */

#define DRC_MAX_D (((size_t)-1) / 8)

DRACO_CODES_API size_t draco_message_bytes(const draco_code *code, size_t d) {
    const drc_code *row = drc_row(code);
    size_t words;
    if (!row || d > DRC_MAX_D) return 0;
    words = (d + row->multiple - 1) / row->multiple * row->multiple;
    return words > DRC_MAX_BYTES / 4 ? 0 : 4 * words;
}

/* An encoding: this head, four doubles of coefficients for each part, and the sum. */
typedef struct drc_encoding {
    int worker; /* whose coefficients they are; -1: nobody's */
    int unused[15];
} drc_encoding;

static double *drc_table(draco_encoding *encoding) {
    return (double *)(void *)((drc_encoding *)(void *)encoding + 1);
}

/* Those of the worker's parts, computed when the worker changes. */
static const double *drc_coefficients(const draco_code *code, int worker, draco_encoding *encoding) {
    const drc_code *row = drc_row(code);
    drc_encoding *head = (drc_encoding *)(void *)encoding;
    double *table = drc_table(encoding);
    int l;
    if (head->worker < 0 || (head->worker != worker && !row->alike)) {
        for (l = 0; l < row->load(code); l++) {
            int p = row->part(code, worker, l);
            row->coefficient(code, p, worker, table + 4 * row->index(code, worker, p));
        }
        head->worker = worker;
    }
    return table;
}

/* Offset of the sum in an encoding. */
static size_t drc_sum_at(const draco_code *code) {
    return sizeof(drc_encoding) + drc_align((size_t)code->r * 4 * sizeof(double));
}

DRACO_CODES_API size_t draco_encoding_bytes(const draco_code *code, size_t d) {
    size_t bytes = draco_message_bytes(code, d), each = bytes ? drc_row(code)->sum_bytes : 0;
    if (bytes == 0 || bytes / 4 > ((size_t)-1 - drc_sum_at(code)) / each) return 0;
    return drc_sum_at(code) + bytes / 4 * each;
}

DRACO_CODES_API draco_status draco_encode_init(const draco_code *code, size_t d, draco_encoding *encoding) {
    draco_status ready = drc_ready_for(code, d);
    if (ready != DRACO_OK) return ready;
    if (!encoding) return DRACO_E_NULL;
    ((drc_encoding *)(void *)encoding)->worker = -1;
    return DRACO_OK;
}

DRACO_CODES_API draco_status draco_encode_begin(const draco_code *code, size_t d, draco_encoding *encoding) {
    draco_status ready = drc_ready_for(code, d);
    size_t at;
    if (ready != DRACO_OK) return ready;
    if (!encoding) return DRACO_E_NULL;
    at = drc_sum_at(code);
    memset((char *)encoding + at, 0, draco_encoding_bytes(code, d) - at);
    return DRACO_OK;
}

DRACO_CODES_API draco_status draco_encode_add(const draco_code *code, int worker, int part,
                                              const float *gradient, size_t d, const uint8_t *exponents,
                                              draco_encoding *encoding) {
    draco_status status = drc_ready_for(code, d);
    const drc_code *row = drc_row(code);
    if (status != DRACO_OK) return status;
    if (!gradient || !encoding || (row->exponents && !exponents)) return DRACO_E_NULL;
    if (!draco_code_holds(code, worker, part)) return DRACO_E_INDEX;
    worker = drc_seat(code, worker);
    return row->encode(code, drc_coefficients(code, worker, encoding) + 4 * row->index(code, worker, part),
                       gradient, d, exponents, (char *)encoding + drc_sum_at(code));
}

DRACO_CODES_API draco_status draco_encode_parts(const draco_code *code, int worker, int first, int count,
                                                const float *const *gradients, size_t d,
                                                const uint8_t *exponents, draco_encoding *encoding,
                                                void *message, uint8_t *own) {
    draco_status status = drc_ready_for(code, d);
    if (status != DRACO_OK) return status;
    if (drc_row(code) != &drc_prime) return DRACO_E_ARGUMENT;
    if (!gradients || !exponents || !encoding || !message) return DRACO_E_NULL;
    if (worker < 0 || worker >= code->n || first < 0 || count < 0 || count > code->r - first)
        return DRACO_E_INDEX;
    worker = drc_seat(code, worker);
    draco_little_endian(message, d);
    status = drc_prime_add(code, drc_coefficients(code, worker, encoding) + 4 * first, gradients, count, d,
                           exponents, first == 0, (uint32_t *)message, own);
    draco_little_endian(message, d);
    return status;
}

DRACO_CODES_API draco_status draco_encode_end(const draco_code *code, size_t d,
                                              const draco_encoding *encoding, void *message) {
    return draco_encode_share(code, d, encoding, 0, d, message);
}

DRACO_CODES_API draco_status draco_encode_share(const draco_code *code, size_t d,
                                                const draco_encoding *encoding, size_t first, size_t count,
                                                void *message) {
    draco_status ready = drc_ready_for(code, d);
    size_t words = draco_message_bytes(code, count) / 4;
    if (ready != DRACO_OK) return ready;
    if (!encoding || !message) return DRACO_E_NULL;
    if (first % DRACO_BLOCK != 0 || first > d || count > d - first) return DRACO_E_ARGUMENT;
    drc_row(code)->round(code, (const char *)encoding + drc_sum_at(code) + first * drc_row(code)->sum_bytes,
                         words, message);
    draco_little_endian(message, words);
    return DRACO_OK;
}

/* ---- Exponents ---- */

DRACO_CODES_API size_t draco_exponent_bytes(size_t d) {
    return d / DRACO_EXPONENT_BLOCK + (d % DRACO_EXPONENT_BLOCK != 0);
}

DRACO_CODES_API draco_status draco_exponents_of(const draco_code *code, const float *gradient, size_t d,
                                                uint8_t *exponents) {
    draco_status ready = drc_ready_for(code, d);
    size_t at;
    uint32_t largest;
    if (ready != DRACO_OK) return ready;
    if (!gradient || !exponents) return DRACO_E_NULL;
    drc_largest(gradient, d, &largest);
    if (largest >= DRC_INFINITE) return DRACO_E_RANGE;
    for (at = 0; at < d; at += DRACO_EXPONENT_BLOCK) {
        exponents[at / DRACO_EXPONENT_BLOCK] = drc_exponent(gradient + at, drc_in_block(d, at));
    }
    return DRACO_OK;
}

DRACO_CODES_API size_t draco_exponents_work_bytes(const draco_code *code, size_t d) {
    size_t n, r;
    if (draco_message_bytes(code, d) == 0) return 0;
    n = (size_t)code->n;
    r = (size_t)code->r;
    return drc_align(n * sizeof(void *)) + drc_align(r * sizeof(void *)) +
           drc_align(r * sizeof(draco_verdict)) + drc_align(n * sizeof(draco_verdict));
}

DRACO_CODES_API draco_status draco_exponents_decide(const draco_code *code, const uint8_t *const *reports,
                                                    size_t d, draco_work *work, uint8_t *agreed,
                                                    draco_verdict *verdicts, draco_report *report) {
    size_t bytes = draco_exponent_bytes(d), block;
    drc_exponent_vote b;
    draco_status status = drc_ready_for(code, d);
    int i;
    if (status != DRACO_OK) return status;
    if (!drc_row(code)->exponents) return DRACO_E_ARGUMENT;
    if (!reports || !work || !agreed || !verdicts || !report) return DRACO_E_NULL;
    b = drc_lay_exponent_vote(code, work);
    for (i = 0; i < code->n; i++) {
        b.workers[i] = !reports[i]                                        ? DRACO_ABSENT
                       : memchr(reports[i], 255, (size_t)code->r * bytes) ? DRACO_MALFORMED
                                                                          : DRACO_UNDECIDED;
    }
    status = drc_vote_parts(code, reports, bytes, &b);
    memcpy(verdicts, b.workers, (size_t)code->n * sizeof *verdicts);
    drc_count(code, verdicts, report);
    for (block = 0; block < bytes && status >= 0; block++) agreed[block] = drc_agreed(code, b.winners, block);
    return status;
}

/* ---- Sketch ---- */

DRACO_CODES_API size_t draco_sketch_key_bytes(const draco_code *code) {
    const drc_code *row = drc_row(code);
    return row ? row->key_bytes : 0;
}

DRACO_CODES_API size_t draco_sketch_bytes(const draco_code *code) {
    const drc_code *row = drc_row(code);
    return row ? row->sketch_bytes : 0;
}

DRACO_CODES_API draco_status draco_sketch_key_init(const draco_code *code, const draco_seed *seed,
                                                   draco_key *key) {
    draco_status ready = drc_ready(code);
    if (ready != DRACO_OK) return ready;
    if (!seed || !key) return DRACO_E_NULL;
    drc_row(code)->key_init(seed, key);
    return DRACO_OK;
}

DRACO_CODES_API draco_status draco_sketch_key_split(const draco_code *code, size_t coordinate,
                                                    draco_key *key) {
    draco_status ready = drc_ready(code);
    if (ready != DRACO_OK) return ready;
    if (!key) return DRACO_E_NULL;
    if (drc_row(code) != &drc_complex) return DRACO_OK;
    return drc_split(((drc_complex_key *)(void *)key)->starts, coordinate) ? DRACO_OK : DRACO_E_LIMITS;
}

DRACO_CODES_API draco_status draco_sketch_key_layers(const draco_code *code, const size_t *starts,
                                                     size_t count, draco_key *key) {
    draco_status ready = drc_ready(code);
    uint64_t *ranges;
    size_t room = 0, k;
    if (ready != DRACO_OK) return ready;
    if (!key || (!starts && count > 0)) return DRACO_E_NULL;
    if (drc_row(code) != &drc_complex) return DRACO_OK;
    ranges = ((drc_complex_key *)(void *)key)->starts;
    while (room < DRC_RANGES && ranges[DRC_RANGES - 1 - room] == (uint64_t)-1) room++;
    if (room > count) room = count;
    for (k = 0; k < room; k++) drc_split(ranges, starts[k * count / room]);
    return DRACO_OK;
}

DRACO_CODES_API draco_status draco_sketch_begin(const draco_code *code, uint64_t offset,
                                                draco_sketch *sketch) {
    drc_head *head = (drc_head *)(void *)sketch;
    const drc_code *row = drc_row(code);
    draco_status ready = drc_ready(code);
    if (ready != DRACO_OK) return ready;
    if (!sketch) return DRACO_E_NULL;
    if (offset % (4 * DRACO_BLOCK) != 0) return DRACO_E_ARGUMENT;
    memset(head, 0, row->sketch_bytes);
    head->offset = offset;
    if (row->begin) row->begin(sketch, offset);
    return DRACO_OK;
}

DRACO_CODES_API draco_status draco_sketch_add(const draco_code *code, const draco_key *key,
                                              draco_sketch *sketch, const void *bytes, size_t n) {
    const drc_head *head = (const drc_head *)(const void *)sketch;
    draco_status ready = drc_ready(code);
    if (ready != DRACO_OK) return ready;
    if (!key || !sketch || (!bytes && n > 0)) return DRACO_E_NULL;
    if (head->offset + head->bytes > DRC_MAX_BYTES || DRC_MAX_BYTES - head->offset - head->bytes < n)
        return DRACO_E_ARGUMENT;
    drc_row(code)->fold(key, sketch, (const unsigned char *)bytes, n);
    return DRACO_OK;
}

DRACO_CODES_API draco_status draco_sketch_merge(const draco_code *code, const draco_key *key,
                                                draco_sketch *into, const draco_sketch *from) {
    drc_head *a = (drc_head *)(void *)into;
    const drc_head *b = (const drc_head *)(const void *)from;
    draco_status ready = drc_ready(code);
    if (ready != DRACO_OK) return ready;
    if (!key || !into || !from) return DRACO_E_NULL;
    a->bytes += b->bytes;
    a->outside |= b->outside;
    if (b->largest > a->largest) a->largest = b->largest;
    drc_row(code)->merge(key, into, from);
    return DRACO_OK;
}

DRACO_CODES_API draco_status draco_sketch_fingerprint(const draco_code *code, const draco_key *key,
                                                      const draco_sketch *sketch,
                                                      uint8_t fingerprint[DRACO_FINGERPRINT_BYTES]) {
    draco_status ready = drc_ready(code);
    if (ready != DRACO_OK) return ready;
    if (!drc_row(code)->fingerprint) return DRACO_E_ARGUMENT;
    if (!key || !sketch || !fingerprint) return DRACO_E_NULL;
    drc_row(code)->fingerprint(key, sketch, fingerprint);
    return DRACO_OK;
}

/* ---- Locate ---- */

DRACO_CODES_API size_t draco_locate_work_bytes(const draco_code *code) {
    const drc_code *row = drc_row(code);
    return row ? row->work_bytes(code) : 0;
}

/* Two doubles a worker: complex: real and imaginary part; prime: a residue; repetition: 1 or 0. */
DRACO_CODES_API size_t draco_weights_bytes(const draco_code *code) {
    if (!drc_row(code)) return 0;
    return drc_align((size_t)code->n * 2 * sizeof(double));
}

DRACO_CODES_API draco_status draco_locate(const draco_code *code, const draco_key *key, size_t d,
                                          const draco_sketch *const *sketches, draco_work *work,
                                          draco_weights *weights, draco_verdict *verdicts,
                                          draco_report *report) {
    draco_status ready = drc_ready_for(code, d);
    if (ready != DRACO_OK) return ready;
    if (!key || !sketches || !work || !weights || !verdicts || !report) return DRACO_E_NULL;
    return drc_row(code)->locate(code, key, d, sketches, work, (double *)(void *)weights, verdicts, report);
}

DRACO_CODES_API int draco_weight_used(const draco_code *code, const draco_weights *weights, int worker) {
    if (!drc_row(code) || !weights || worker < 0 || worker >= code->n) return 0;
    return drc_used((const double *)(const void *)weights, worker);
}

DRACO_CODES_API draco_status draco_weights_winners(const draco_code *code, const int *winners,
                                                   draco_weights *weights) {
    double *w = (double *)(void *)weights;
    draco_status ready = drc_ready(code);
    int g;
    if (ready != DRACO_OK) return ready;
    if (!drc_row(code)->fingerprint) return DRACO_E_ARGUMENT;
    if (!winners || !weights) return DRACO_E_NULL;
    for (g = 0; g < code->groups; g++) {
        if (draco_code_group(code, winners[g]) != g) return DRACO_E_INDEX;
    }
    memset(w, 0, draco_weights_bytes(code));
    for (g = 0; g < code->groups; g++) w[2 * winners[g]] = 1;
    return DRACO_OK;
}

/* ---- Combine ---- */

/* Has every group a message in the sum, and are all of those there? */
static int drc_complete(const draco_code *code, const double *weights, const void *const *messages) {
    int g, i, used;
    for (g = 0; g < code->groups; g++) {
        for (i = g, used = 0; i < code->n; i += code->groups) {
            if (!drc_used(weights, i)) continue;
            if (!messages[i]) return 0;
            used = 1;
        }
        if (!used) return 0;
    }
    return 1;
}

/* Combines tile by tile into `sum`, or, when that is NULL, only to see whether the sum is finite. */
static draco_status drc_combine(const draco_code *code, const double *weights, const void *const *messages,
                                size_t first, size_t count, const uint8_t *exponents, float *sum) {
    float tile[DRC_TILE];
    uint32_t largest;
    size_t at, take;
    for (at = first; at < first + count; at += take) {
        size_t room = DRC_TILE - at % DRC_TILE, rest = first + count - at;
        float *to = sum ? sum + (at - first) : tile;
        take = rest < room ? rest : room;
        drc_row(code)->combine(code, weights, messages, at, take, exponents, to);
        drc_largest(to, take, &largest);
        if (largest >= DRC_INFINITE) return DRACO_E_RANGE;
    }
    return DRACO_OK;
}

/* Are the messages so small that no coordinate of the sum can overflow? Cheaper than a trial of the sum,
   which decides where the answer is no. Only messages that are voted on are read for it. */
static int drc_is_small(const draco_code *code, const double *weights, const draco_sketch *const *sketches,
                        const void *const *messages, size_t d, const uint8_t *exponents) {
    size_t blocks = draco_exponent_bytes(d), at;
    double bound = 0;
    uint32_t most = 0;
    int i;
    if (drc_row(code)->exponents) {
        for (at = 0; at < blocks; at++) most = exponents[at] > most ? exponents[at] : most;
        return most < 222; /* |sum| < 2^31 units, and a unit is at most 2^(most - 126) */
    }
    for (i = 0; i < code->n; i++) {
        uint32_t copy[DRC_TILE], largest;
        if (!drc_used(weights, i)) continue;
        bound += fabs(weights[2 * i]) + fabs(weights[2 * i + 1]);
        largest = ((const drc_head *)(const void *)sketches[i])->largest;
        most = largest > most ? largest : most;
        for (at = 0; drc_row(code)->fingerprint && at < d; at += DRC_TILE) { /* which says nothing of sizes */
            size_t take = d - at < DRC_TILE ? d - at : DRC_TILE;
            drc_largest((const float *)drc_words(messages[i], at, take, copy), take, &largest);
            most = largest > most ? largest : most;
        }
    }
    /* Every |word| < 2^(e - 126), with e the exponent bits of the largest. */
    return ldexp(bound, (int)(most >> 23) - 126) < 1e38;
}

DRACO_CODES_API draco_status draco_combine(const draco_code *code, const draco_weights *weights,
                                           const void *const *messages, size_t d, size_t first, size_t count,
                                           const uint8_t *exponents, float *sum) {
    const double *w = (const double *)(const void *)weights;
    const drc_code *row = drc_row(code);
    draco_status ready = drc_ready_for(code, d);
    if (ready != DRACO_OK) return ready;
    if (!weights || !messages || !sum || (row->exponents && !exponents)) return DRACO_E_NULL;
    if (first > d || count > d - first || !drc_complete(code, w, messages)) return DRACO_E_ARGUMENT;
    return drc_combine(code, w, messages, first, count, exponents, sum);
}

/* Adds up squares in eight sums, whose order no machine changes. */
DRC_INLINE void drc_squares_plain(double *squares, const float *x, size_t count) {
    size_t c, k;
    for (c = 0; c + 8 <= count; c += 8)
        for (k = 0; k < 8; k++) squares[k] += (double)x[c + k] * (double)x[c + k];
    for (k = 0; c + k < count; k++) squares[k] += (double)x[c + k] * (double)x[c + k];
}
DRC_KERNEL(drc_squares, (double *squares, const float *x, size_t count), (squares, x, count))

/* Each of n parts is off by a number that is uniform within half a unit, of variance unit^2 / 12. */
DRACO_CODES_API double draco_rounding_error(const draco_code *code, const uint8_t *exponents,
                                            const float *sum, size_t first, size_t count) {
    double error = 0, squares = 0, each[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    size_t c, take;
    int k;
    if (!drc_row(code) || !drc_row(code)->exponents || !exponents || !sum) return 0;
    for (c = first; c < first + count; c += take) {
        size_t block = c / DRACO_EXPONENT_BLOCK, room = (block + 1) * DRACO_EXPONENT_BLOCK - c;
        double unit = exponents[block] > 0 ? drc_unit(code, exponents[block]) : 0;
        take = first + count - c < room ? first + count - c : room;
        error += (double)take * unit * unit;
        drc_squares(each, sum + (c - first), take);
    }
    for (k = 0; k < 8; k++) squares += each[k];
    error *= code->n / 12.0;
    return error >= squares ? error > 0 : sqrt(error / squares);
}

/* ---- Reactive redundancy ---- */

DRACO_CODES_API int draco_dispute_liars(const draco_code *code, const unsigned char *standing) {
    int liars = code->s, i;
    for (i = 0; i < code->n; i++) liars -= standing[i] == DRACO_STANDING_OUT;
    return liars;
}

DRACO_CODES_API draco_status draco_dispute_open(draco_dispute *d, const draco_code *code, int part, int liars,
                                                draco_member *members) {
    if (!d || !members) return DRACO_E_NULL;
    if (!drc_row(code)) return DRACO_E_UNINITIALISED;
    if (part < 0 || part >= code->parts) return DRACO_E_INDEX;
    if (liars < 0 || liars > code->s) return DRACO_E_ARGUMENT;
    d->part = part;
    d->s = liars;
    d->least = liars + 1 + code->t;
    d->most = d->least + liars;
    d->count = 0;
    d->speaker = -1;
    d->members = members;
    return DRACO_OK;
}

DRACO_CODES_API int draco_dispute_add(draco_dispute *d, int worker) {
    draco_member *m = d->members + d->count;
    if (d->count >= d->most) return 0;
    m->worker = worker;
    m->side = m->spoke = m->asked = 0;
    m->answer = DRACO_ANSWER_NONE;
    d->count++;
    return 1;
}

#define DRC_MEMBER (1 << 30) /* added to the load of members while others are compared */

DRACO_CODES_API int draco_dispute_ask(draco_dispute *d, const draco_code *code, uint64_t seed, uint64_t step,
                                      const unsigned char *standing, int *load) {
    uint64_t draw = drc_mix(drc_mix(seed ^ drc_mix(step)) ^ (uint64_t)d->part), best_drawn = 0;
    int best = -1, best_place = 0, i, k;
    if (d->count >= d->most) return -1;
    for (k = 0; k < d->count; k++) load[d->members[k].worker] += DRC_MEMBER;
    for (i = 0; i < code->n; i++) {
        int place = 2 * (i % code->groups != d->part % code->groups) + (standing[i] != DRACO_STANDING_GOOD);
        uint64_t drawn = drc_mix(draw + (uint64_t)i);
        if (standing[i] == DRACO_STANDING_OUT || load[i] >= DRC_MEMBER) continue;
        if (best >= 0 && load[i] > load[best]) continue;
        if (best >= 0 && load[i] == load[best] &&
            (place > best_place || (place == best_place && drawn >= best_drawn)))
            continue;
        best = i;
        best_place = place;
        best_drawn = drawn;
    }
    for (k = 0; k < d->count; k++) load[d->members[k].worker] -= DRC_MEMBER;
    if (best < 0) return -1;
    load[best]++;
    (void)draco_dispute_add(d, best);
    return best;
}

DRACO_CODES_API int draco_dispute_speaker(draco_dispute *d, const uint32_t *rank) {
    int best = -1, k;
    for (k = 0; k < d->count; k++) {
        draco_member *m = d->members + k;
        m->answer = DRACO_ANSWER_NONE;
        m->asked = 0;
        if (m->spoke) continue;
        if (best < 0 || (rank && rank[m->worker] < rank[d->members[best].worker])) best = k;
    }
    d->speaker = best;
    if (best < 0) return -1;
    d->members[best].spoke = 1;
    d->members[best].answer = DRACO_ANSWER_AGREES;
    return d->members[best].worker;
}

DRACO_CODES_API draco_member *draco_dispute_member(const draco_dispute *d, int worker) {
    int k;
    for (k = 0; k < d->count; k++)
        if (d->members[k].worker == worker) return d->members + k;
    return NULL;
}

DRACO_CODES_API int draco_dispute_agreed(const draco_dispute *d) {
    int agreed = 0, k;
    for (k = 0; k < d->count; k++) agreed += d->members[k].answer == DRACO_ANSWER_AGREES;
    return agreed;
}

DRACO_CODES_API void draco_dispute_lose(draco_dispute *d, int number) {
    int k;
    for (k = 0; k < d->count; k++) {
        draco_member *m = d->members + k;
        if (m->answer == DRACO_ANSWER_AGREES)
            m->side = m->side == 0 || m->side == number + 1 ? number + 1 : -1;
        m->answer = DRACO_ANSWER_NONE;
    }
    d->speaker = -1;
}

DRACO_CODES_API void draco_dispute_verdicts(const draco_dispute *d, int number, draco_verdict *verdicts) {
    int k;
    for (k = 0; k < d->count; k++) {
        const draco_member *m = d->members + k;
        draco_verdict *verdict = verdicts + m->worker;
        if (m->answer == DRACO_ANSWER_DIFFERS || (m->side != 0 && m->side != number + 1))
            *verdict = DRACO_BLAMED;
        else if (m->answer == DRACO_ANSWER_AGREES && *verdict == DRACO_UNDECIDED)
            *verdict = DRACO_AGREES;
    }
}

/* ---- Decode ---- */

DRACO_CODES_API size_t draco_decode_work_bytes(const draco_code *code) {
    size_t n;
    if (!drc_row(code)) return 0;
    n = (size_t)code->n;
    return drc_align(n * sizeof(void *)) + drc_align(draco_sketch_key_bytes(code)) +
           drc_align(n * drc_align(draco_sketch_bytes(code))) + drc_align(draco_weights_bytes(code)) +
           draco_locate_work_bytes(code);
}

DRACO_CODES_API draco_status draco_decode(const draco_code *code, const draco_seed *seed,
                                          const void *const *messages, size_t d, const uint8_t *exponents,
                                          draco_work *work, float *sum, draco_verdict *verdicts,
                                          draco_report *report) {
    unsigned char *at = (unsigned char *)(void *)work;
    draco_sketch *sketch;
    const draco_sketch **sketches = (const draco_sketch **)(void *)work;
    draco_key *key;
    draco_weights *weights;
    size_t n, i, each, bytes = draco_message_bytes(code, d);
    draco_status status = drc_ready_for(code, d), finite = DRACO_OK;
    const double *w;
    if (status != DRACO_OK) return status;
    if (!seed || !messages || !work || !sum || !verdicts || !report) return DRACO_E_NULL;
    if (drc_row(code)->exponents && !exponents) return DRACO_E_NULL;
    n = (size_t)code->n;
    each = drc_align(draco_sketch_bytes(code));
    key = (draco_key *)(void *)(at += drc_align(n * sizeof(void *)));
    weights = (draco_weights *)(void *)(at += drc_align(draco_sketch_key_bytes(code)));
    at += drc_align(draco_weights_bytes(code));
    status = draco_sketch_key_init(code, seed, key);
    for (i = 0; i < n && status == DRACO_OK; i++, at += each) {
        sketch = (draco_sketch *)(void *)at;
        sketches[i] = messages[i] ? sketch : NULL;
        if (!messages[i]) continue;
        draco_sketch_begin(code, 0, sketch);
        status = draco_sketch_add(code, key, sketch, messages[i], bytes);
    }
    if (status == DRACO_OK)
        status = draco_locate(code, key, d, sketches, (draco_work *)(void *)at, weights, verdicts, report);
    if (status < 0) return status;
    w = (const double *)(const void *)weights;
    if (!drc_is_small(code, w, sketches, messages, d, exponents))
        finite = drc_combine(code, w, messages, 0, d, exponents, NULL);
    if (finite == DRACO_OK) finite = drc_combine(code, w, messages, 0, d, exponents, sum);
    if (finite == DRACO_OK && drc_row(code)->exponents)
        report->error = draco_rounding_error(code, exponents, sum, 0, d);
    return finite == DRACO_OK ? status : finite;
}

static size_t drc_append(size_t at, int length) {
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
        at =
            drc_append(at, listed++ ? snprintf(to, room, ", %d", i) : snprintf(to, room, "%s %d", before, i));
    }
    return at;
}

DRACO_CODES_API size_t draco_report_describe(const draco_code *code, draco_status status,
                                             const draco_verdict *verdicts, const draco_report *report,
                                             char *text, size_t capacity) {
    size_t at = 0;
    int group = -1;
    if (!drc_row(code) || !verdicts || !report) return 0;
    if (status < 0 && report->group >= 0) {
        group = report->group;
        at = drc_append(at, snprintf(text, capacity, "group %d: %s (%d equal copies needed)", group,
                                     draco_status_text(status), code->s + 1));
    } else {
        at = drc_append(at, snprintf(text, capacity, "%s", draco_status_text(status)));
    }
    at = drc_list(code, verdicts, group, DRACO_BLAMED, "; blamed", text, capacity, at);
    at = drc_list(code, verdicts, group, DRACO_SUSPECTED, "; suspected", text, capacity, at);
    at = drc_list(code, verdicts, group, DRACO_ABSENT, "; absent", text, capacity, at);
    at = drc_list(code, verdicts, group, DRACO_MALFORMED, "; malformed", text, capacity, at);
    at = drc_list(code, verdicts, group, DRACO_UNDECIDED, "; undecided", text, capacity, at);
    return at;
}

#ifdef __cplusplus
}
#endif
#endif /* DRACO_CODES_IMPLEMENTATION */

/* SPDX-License-Identifier: MIT
 *
 * MIT License
 *
 * Copyright (c) 2026 The Draco authors
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy
 * of this software and associated documentation files (the "Software"), to deal
 * in the Software without restriction, including without limitation the rights
 * to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
 * copies of the Software, and to permit persons to whom the Software is
 * furnished to do so, subject to the following conditions:
 *
 * The above copyright notice and this permission notice shall be included in all
 * copies or substantial portions of the Software.
 *
 * THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
 * IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
 * FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
 * AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
 * LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
 * OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
 * SOFTWARE.
 */
