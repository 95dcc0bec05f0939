/* draco_vote.h - version 0.1.0 - votes over the messages of workers of which some lie
 * SPDX-License-Identifier: MIT (full text at the end)
 *
 * Do this in one .c file:
 *
 *     #define DRACO_VOTE_IMPLEMENTATION
 *     #include "draco_vote.h"
 *
 * and include the header without the macro everywhere else. Define DRACO_VOTE_STATIC as well for a private
 * copy. On Windows link with -lbcrypt.
 *
 * program: three workers computed the same five numbers, and one of them lies
 *
 *     #define DRACO_VOTE_IMPLEMENTATION
 *     #include "draco_vote.h"
 *     #include <stdio.h>
 *
 *     int main(void) {
 *         float a[5] = {1, 2, 3, 4, 5}, b[5] = {1, 2, -300, 4, 5}, c[5] = {1, 2, 3, 4, 5};
 *         const void *messages[3];
 *         draco_verdict verdicts[3] = {DRACO_UNDECIDED, DRACO_UNDECIDED, DRACO_UNDECIDED};
 *         size_t winner = 0, i;
 *         draco_status status;
 *         messages[0] = a;
 *         messages[1] = b;
 *         messages[2] = c;
 *         status = draco_vote_exact(messages, 3, sizeof a, 2, &winner, verdicts);
 *         if (status != DRACO_OK) {
 *             fprintf(stderr, "%s\n", draco_status_text(status));
 *             return 1;
 *         }
 *         printf("take the message of worker %u\n", (unsigned)winner);
 *         for (i = 0; i < 3; i++) printf("worker %u: %s\n", (unsigned)i, draco_verdict_text(verdicts[i]));
 *         return verdicts[1] != DRACO_BLAMED;
 *     }
 * end of program
 *
 * CONTENTS OF THIS FILE
 *
 *     manual         FLOW, EXACT VOTE, FINGERPRINT, TALLY, TOLERANT VOTE, CONTRACT, LIMITS, MACROS, SOURCES
 *     declarations   status and verdicts, secrets, votes over whole buffers, fingerprint, tally
 *     implementation in the same order, the arithmetic modulo 2^61 - 1 before the fingerprint
 *
 * FLOW
 *
 * Of n workers that should send the same message at most s lie. A value that s + 1 of them sent was sent by
 * at least one honest worker, so it is correct: `quorum` is always s + 1. With n >= 2s + 1 messages the
 * honest workers are certain to reach it. There are three ways to vote:
 *
 *     all messages in memory     draco_vote_exact      reads every byte once
 *     messages as they arrive    draco_fingerprint_*   reads every byte once, in any chunks, on any thread,
 *                                then draco_tally_*    votes on 16-byte fingerprints
 *     replicas that differ by    draco_vote_tolerant   reads most bytes once
 *     rounding
 *
 *     seed -> key;  begin, add, add, ... (merge), finish -> fingerprint;  cast, cast, ... -> decided;  close
 *
 * EXACT VOTE
 *
 * Messages are compared as bytes: NaN equals NaN of the same bits, -0 differs from 0. The winner is given by
 * its index, the lowest that has the winning value; nothing is copied. Every message gets a verdict: AGREES,
 * BLAMED, or ABSENT where messages[i] is NULL. A value without a quorum is never chosen:
 *     DRACO_E_NO_MAJORITY  no value has a quorum: too many workers lie or are missing
 *     DRACO_E_AMBIGUOUS    two values have one: more than s workers lie, and no vote can tell which
 *
 * FINGERPRINT
 *
 * A message is cut into blocks of 1 KiB. A block of little-endian 32-bit words m_0, m_1, ... has the NH value
 *
 *     h = sum over i of ((m_2i + k_2i) mod 2^32) * ((m_2i+1 + k_2i+1) mod 2^32)   mod 2^64
 *
 * whose halves are joined to v = low + y * high, and the blocks v_1 ... v_B of a message of L bytes to
 *
 *     L + v_1 x + v_2 x^2 + ... + v_B x^B   mod 2^61 - 1;
 *
 * the keys k, y, x are secret. This is done twice, with independent keys. An incomplete pair of words at the
 * end is filled up with zeros. A sum has no order: ranges that begin at multiples of DRACO_FINGERPRINT_BLOCK
 * can be fingerprinted separately, on any thread, and merged in any order to the value of the whole.
 *
 * Bound. Let two different messages of at most B blocks be chosen without knowledge of the key. If their
 * lengths differ, the difference of the polynomials has a constant term, so it is not zero and has at most
 * B roots. If not, some block differs. NH maps both versions of it to the same h with probability at most
 * 2^-32 (theorem of Black et al. for equal lengths); if it does not, at most one y makes the two v equal; if
 * that fails too, again at most B points x are roots. A residue is hit with probability at most 2^-61, zero
 * with twice that. Together: at most 2^-32 + (B + 3) 2^-61 for one key, and for both
 *
 *     (2^-32 + (B + 3) 2^-61)^2   < 2^-63 up to 64 GiB, < 2^-62 up to 256 GiB per message,
 *
 * and n (n - 1) / 2 times that for any two of n messages. The bound holds only for messages chosen without
 * knowledge of the key: take a new seed from draco_seed_random every round, keep the seed, the key and the
 * fingerprints on the server until the messages can no longer change, and reveal to nobody which collide.
 *
 * CHALLENGE
 *
 * A vote for which one message travels, and no cryptographic hash is needed. One member of a group sends its
 * message; the server fingerprints it with a new key, and when it is whole sends the seed to the other members, each of
 * which answers with the fingerprint of its own message. A false message was fixed before the key was drawn,
 * so an honest member agrees with it with the probability of the bound above: of s + 1 that agree (the
 * sender is one of them) one is honest, and the message is right. Otherwise another member sends its message, and a
 * NEW key is drawn: collisions are easy to make for one who knows the key. Whoever agreed with a false
 * message, or disagrees with the right one, lied. draco.h runs this as a kind of round.
 *
 * TALLY
 *
 * The running vote of a group: one value of value_bytes per voter (a fingerprint), compared as
 * bytes, cast in any order. cast returns DRACO_OK as soon as a value has a quorum, DRACO_MORE before, and
 * DRACO_E_AMBIGUOUS once a second value has one as well. Votes cast after the decision still get a verdict.
 * Nobody votes twice: a second cast is DRACO_E_ARGUMENT, an unknown voter DRACO_E_INDEX; both change nothing.
 * tally.decided is the lowest voter so far with the winning value, else n. The result of close does not
 * depend on the order; a voter that neither cast nor was spoilt is ABSENT.
 *
 * TOLERANT VOTE
 *
 * Message j agrees with candidate i when in every coordinate |a - b| <= abs_tol + rel_tol * |a|, with a of
 * the candidate and b of the message, computed in double: measured at the candidate, symmetric only for
 * rel_tol = 0. NaN and infinities agree with nothing, not even with themselves; -0 agrees with 0. The
 * winner is the lowest candidate with which a quorum of messages agrees, itself included: each with the
 * winner, not in a chain of neighbours. The verdicts are relative to the winner:
 *
 *     AGREES               within the tolerance of the winner
 *     BLAMED               not, and no quorum agrees with this message either
 *     UNDECIDED            not, but a quorum agrees with it: one of the two lies, and nothing tells which
 *     DRACO_E_NO_MAJORITY  no candidate has a quorum
 *     DRACO_E_AMBIGUOUS    two candidates have quorums without a common member, and no candidate agrees with
 *                          all but s of the messages: more than s workers lie
 *
 * Guarantee: if at most s workers lie, and the honest messages agree with each other and are s + 1 or more,
 * the vote is decided, no honest worker is BLAMED, and at least one honest message b is within
 * abs_tol + rel_tol * |a| of the winner a in every coordinate. An adversary can still be the winner, and so
 * move every coordinate by up to that amount from an honest value, in the direction of its choice, in every
 * round. Therefore set the tolerance to the rounding that occurs, not to the error that would be acceptable.
 *
 * CONTRACT
 *
 * Memory is the caller's: nothing is allocated, and pointers are kept only by draco_tally (its memory,
 * aligned for draco_verdict, until close). A vote takes up to 16 KiB of stack. Sizes are in bytes, d in
 * floats. Functions have no state: any thread may call them on different objects, and all may read one key.
 * Results depend on the messages alone, not on threads, chunks or order of arrival; the AVX-512, AVX2 and
 * plain kernels give the same bits, and so do machines of both byte orders for the same bytes and seed. After
 * an error the outputs are unchanged; winner and verdicts may be NULL. Floats are classified by their bits
 * before any arithmetic: NaN and Inf in a message raise no floating-point exception.
 *
 * LIMITS
 *
 * At most DRACO_VOTE_MAX (default 4096) messages in draco_vote_exact and draco_vote_tolerant; a tally has no
 * limit. rel_tol < 1: at 1 every message would agree with a candidate far away. The tolerant vote reads the
 * messages once if the first candidate wins, and once more for each candidate that is refuted late: up to n
 * times.
 *
 * MACROS
 *
 * DRACO_VOTE_IMPLEMENTATION, DRACO_VOTE_STATIC: above. DRACO_VOTE_API: what stands before each declaration
 * (default extern), for instance an attribute that exports it from a shared library. DRACO_VOTE_NO_SIMD: only
 * the plain kernels; the bits are the same. DRACO_VOTE_MAX: the largest number of messages.
 * DRACO_VOTE_VERSION: 0x00MMmmpp. -ffast-math and the options in it are refused where the implementation is
 * compiled (clang 14 does not reveal -funsafe-math-optimizations alone: do not use it); the declarations
 * may be included by any program.
 *
 * SOURCES
 *
 * Majority of replicas for distributed training: Chen, Wang, Charles, Papailiopoulos, "DRACO:
 * Byzantine-resilient distributed training via redundant gradients", ICML 2018. NH: Black, Halevi, Krawczyk,
 * Krovetz, Rogaway, "UMAC: fast and secure message authentication", CRYPTO 1999; Krovetz, RFC 4418.
 * Polynomial hashing: Carter and Wegman, "Universal classes of hash functions", 1979. ChaCha20: RFC 8439.
 */
#ifndef DRACO_VOTE_H
#define DRACO_VOTE_H

#include <stddef.h>
#include <stdint.h>

#define DRACO_VOTE_VERSION 0x000100 /* 0.1.0 */

#if !defined(DRACO_VOTE_STATIC) && (defined(DRACO_CODES_STATIC) || defined(DRACO_STATIC))
#define DRACO_VOTE_STATIC /* a private copy of what stands above makes this one private too */
#endif
#ifdef DRACO_VOTE_API
/* The program's own, to export the functions from a shared library. */
#elif !defined(DRACO_VOTE_STATIC)
#define DRACO_VOTE_API extern
#elif defined(__GNUC__)
#define DRACO_VOTE_API static __attribute__((unused))
#else
#define DRACO_VOTE_API static
#endif

/* The largest number of messages of one vote: its scratch is on the stack, up to 4 bytes per message. */
#ifndef DRACO_VOTE_MAX
#define DRACO_VOTE_MAX 4096
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status and verdicts ---- */

/* What calls return. 0: done; > 0: no error, and not (or not yet) a verified result; < 0: an error, with the
 * outputs unchanged. */
typedef enum draco_status {
    DRACO_OK = 0,
    DRACO_MORE = 1,           /* nothing decided yet */
    DRACO_UNVERIFIED = 2,     /* decoded, but no redundancy was left to check the result */
    DRACO_E_ARGUMENT = -1,    /* an argument that none of the errors from DRACO_E_NULL on describes */
    DRACO_E_NO_MAJORITY = -2, /* a group without s+1 equal copies */
    DRACO_E_TOO_MANY_MISSING = -3,
    DRACO_E_AMBIGUOUS = -4, /* no set of liars within the code's reach explains the messages */
    DRACO_E_MALFORMED = -5, /* bytes that are not what they should be */
    DRACO_E_MEMORY = -6,
    DRACO_E_RANDOM = -7, /* the system gave no random bytes */
    DRACO_E_RANGE = -8,  /* a value that cannot be represented: NaN, Inf, saturation */
    DRACO_E_TRANSPORT = -9,
    DRACO_E_CONFIG = -10, /* the two ends were set up differently */
    DRACO_E_TIMEOUT = -11,
    DRACO_E_STOPPED = -12, /* asked to stop */
    DRACO_E_MODEL = -13,
    DRACO_E_IO = -14,
    DRACO_E_NULL = -15,          /* a pointer that must not be NULL */
    DRACO_E_SIZE = -16,          /* a struct of functions whose `size` does not cover them */
    DRACO_E_LIMITS = -17,        /* n, s, t or a quorum outside its limits, such as 2s + t + 1 > n */
    DRACO_E_UNINITIALISED = -18, /* the code did not pass draco_code_init */
    DRACO_E_BATCH = -19,         /* a batch of no samples */
    DRACO_E_INDEX = -20,         /* a worker, voter or part that does not exist, or is not this worker's */
    DRACO_E_DIM = -21,           /* d is 0, or a message would be longer than 8 GiB */
    DRACO_E_SCHEME = -22,        /* scheme, field or support is none of the enumeration */
    DRACO_E_ORDER = -23,         /* a call is missing before this one */
    DRACO_E_AGAIN = -24          /* gradients outgrew what was agreed on: ask for the messages again */
} draco_status;

typedef enum draco_verdict {
    DRACO_UNDECIDED = 0,
    DRACO_AGREES,
    DRACO_BLAMED,
    DRACO_ABSENT,
    DRACO_MALFORMED,
    DRACO_SUSPECTED /* complex field: it, or others that are suspected, lied: no proof */
} draco_verdict;

DRACO_VOTE_API const char *draco_status_text(draco_status status);
/* 1 for DRACO_E_ARGUMENT and DRACO_E_NULL to DRACO_E_ORDER: the call itself is wrong, and fails again. */
DRACO_VOTE_API int draco_status_is_misuse(draco_status status);
DRACO_VOTE_API const char *draco_verdict_text(draco_verdict verdict);

/* ---- Secrets ---- */

/* 32 secret bytes from which every key of a round is expanded (ChaCha20, RFC 8439). */
typedef struct draco_seed {
    uint8_t bytes[32];
} draco_seed;

/* From the system: BCryptGenRandom on Windows (link with -lbcrypt), arc4random_buf on macOS and BSD, else
 * getrandom or /dev/urandom. DRACO_E_RANDOM: the system gave none. */
DRACO_VOTE_API draco_status draco_seed_random(draco_seed *seed);

/* Key stream number `stream` of the seed; at most 2^38 bytes of each. */
DRACO_VOTE_API void draco_seed_expand(const draco_seed *seed, uint64_t stream, void *out, size_t bytes);

/* ---- Votes over whole buffers ---- */

/* Exact vote over n buffers of `bytes` bytes; messages[i] == NULL: absent. On DRACO_OK *winner is an index
 * and verdicts has n entries; either may be NULL. Errors: DRACO_E_NULL, DRACO_E_LIMITS (n or quorum), and
 * those above. */
DRACO_VOTE_API draco_status draco_vote_exact(const void *const *messages, size_t n, size_t bytes,
                                             size_t quorum, size_t *winner, draco_verdict *verdicts);

/* Tolerant vote over n buffers of d floats, by the rule above; else as draco_vote_exact. DRACO_E_ARGUMENT: a
 * tolerance is negative, NaN or infinite, or rel_tol >= 1. */
DRACO_VOTE_API draco_status draco_vote_tolerant(const float *const *messages, size_t n, size_t d,
                                                float abs_tol, float rel_tol, size_t quorum, size_t *winner,
                                                draco_verdict *verdicts);

/* ---- Fingerprint of a message that arrives in chunks ---- */

#define DRACO_FINGERPRINT_BLOCK 1024u /* bytes; a range fingerprinted apart begins at a multiple of it */
#define DRACO_FINGERPRINT_BYTES 16u

typedef struct draco_fingerprint_key { /* private */
    uint32_t nh[2][DRACO_FINGERPRINT_BLOCK / 4];
    uint64_t fold[2];  /* joins the two halves of an NH value */
    uint64_t point[2]; /* where the polynomial of the blocks is read */
} draco_fingerprint_key;

typedef struct draco_fingerprint { /* private */
    uint64_t block, length;        /* number of the block being filled; bytes taken in */
    uint64_t sum[2], power[2];     /* the polynomial so far; point^(block + 1), 0: not known yet */
    uint64_t nh[2];                /* NH of the block being filled, up to its last whole pair */
    uint32_t fill;                 /* bytes of that block so far */
    uint8_t pair[8];               /* those of them that do not make a pair yet */
} draco_fingerprint;

/* key_init expands the seed. begin: offset is where the range begins in the message, a multiple of
 * DRACO_FINGERPRINT_BLOCK. add takes any number of bytes, in order. merge adds another range of the same
 * message. finish writes the value and changes nothing: more bytes may follow. draco_fingerprint_of: all of it for
 * n bytes in one piece, under the key of this seed. */
DRACO_VOTE_API void draco_fingerprint_key_init(draco_fingerprint_key *key, const draco_seed *seed);
DRACO_VOTE_API void draco_fingerprint_begin(draco_fingerprint *f, uint64_t offset);
DRACO_VOTE_API void draco_fingerprint_add(draco_fingerprint *f, const draco_fingerprint_key *key,
                                          const void *bytes, size_t n);
DRACO_VOTE_API void draco_fingerprint_merge(draco_fingerprint *into, const draco_fingerprint_key *key,
                                            const draco_fingerprint *from);
DRACO_VOTE_API void draco_fingerprint_finish(const draco_fingerprint *f, const draco_fingerprint_key *key,
                                             uint8_t value[DRACO_FINGERPRINT_BYTES]);
DRACO_VOTE_API void draco_fingerprint_of(const draco_seed *seed, const void *bytes, size_t n,
                                         uint8_t value[DRACO_FINGERPRINT_BYTES]);

/* ---- Tally: a vote over short values (fingerprints) as they arrive ---- */

typedef struct draco_tally {
    size_t n, quorum, value_bytes;
    size_t decided;        /* lowest voter so far with the winning value, or n */
    size_t rival;          /* a voter with another value that also reached the quorum, or n */
    unsigned char *values; /* n x value_bytes, in the caller's memory */
    draco_verdict *state;  /* n, in the caller's memory: UNDECIDED until cast (AGREES) or spoilt */
} draco_tally;

DRACO_VOTE_API size_t draco_tally_bytes(size_t n, size_t value_bytes); /* 0: too many to count */
DRACO_VOTE_API draco_status draco_tally_open(draco_tally *tally, size_t n, size_t value_bytes, size_t quorum,
                                             void *memory);
/* DRACO_OK: decided; DRACO_MORE: not yet; DRACO_E_AMBIGUOUS: two values have a quorum. */
DRACO_VOTE_API draco_status draco_tally_cast(draco_tally *tally, size_t voter, const void *value);
/* A voter that casts no value: why is DRACO_ABSENT or DRACO_MALFORMED. */
DRACO_VOTE_API draco_status draco_tally_spoil(draco_tally *tally, size_t voter, draco_verdict why);
DRACO_VOTE_API draco_status draco_tally_close(const draco_tally *tally, size_t *winner,
                                              draco_verdict *verdicts);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_VOTE_H */

#if defined(DRACO_VOTE_IMPLEMENTATION) && !defined(DRACO_VOTE_IMPLEMENTED)
#define DRACO_VOTE_IMPLEMENTED

/* clang 14 defines no macro for -funsafe-math-optimizations; gcc does. */
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) ||               \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || defined(_M_FP_FAST)
#error                                                                                                       \
    "draco_vote.h: -Ofast, -ffast-math and its parts change the bits and hide NaN; compile this file without"
#endif

#include <assert.h>
#include <float.h>
#include <string.h>

/* Random bytes of the system: one way for each kind of system. */
#if defined(_WIN32)
#ifdef _MSC_VER
#pragma comment(lib, "bcrypt")
#endif
#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__) ||           \
    defined(__DragonFly__)
#define DRV_ARC4RANDOM
#include <stdlib.h>
#else
#include <stdio.h>
#if defined(__GLIBC__) && (__GLIBC__ > 2 || (__GLIBC__ == 2 && __GLIBC_MINOR__ >= 25))
#define DRV_GETRANDOM
#include <sys/random.h>
#endif
#endif

/* Kernels for AVX-512 and AVX2 stand beside the plain one and are chosen at run time. */
#if !defined(DRACO_VOTE_NO_SIMD) && defined(__GNUC__) && defined(__x86_64__)
#define DRV_X86
#include <immintrin.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

DRACO_VOTE_API const char *draco_status_text(draco_status status) {
    static const char *const good[] = {"good", "waiting for more messages",
                                       "decoded, with no redundancy left to check the result"};
    static const char *const bad[] = {
        "an argument is out of its range, or a pair of them is incomplete",
        "no value has enough equal copies to outvote the liars",
        "more messages are missing than the code carries",
        "more liars than the code carries: their messages cannot be told apart",
        "bytes that are not what they should be",
        "out of memory",
        "the system gave no random bytes",
        "a value that cannot be represented (NaN, infinite or too large)",
        "the transport failed",
        "the two ends are set up differently",
        "time is up",
        "stopped on request",
        "the model failed",
        "reading or writing failed",
        "a pointer is NULL",
        "a struct of functions does not say its size, or lacks a function",
        "n, s, t or the quorum is outside its limits (s, t >= 0, 2s + t + 1 <= n <= 4096, 1 <= quorum <= n)",
        "the code is not initialised (draco_code_init)",
        "the batch is empty",
        "no such worker, voter or part, or the part is another worker's",
        "the dimension is 0, or a message would be longer than 8 GiB",
        "scheme, field or support is none of the enumeration",
        "a call is missing before this one (agreed before decode)",
        "the gradients have outgrown what was agreed on: ask for the messages again"};
    if (status >= DRACO_OK && status <= DRACO_UNVERIFIED) return good[status];
    if (status <= DRACO_E_ARGUMENT && status >= DRACO_E_AGAIN) return bad[-1 - (int)status];
    return "unknown status";
}

DRACO_VOTE_API int draco_status_is_misuse(draco_status status) {
    return status == DRACO_E_ARGUMENT || (status <= DRACO_E_NULL && status >= DRACO_E_ORDER);
}

DRACO_VOTE_API const char *draco_verdict_text(draco_verdict verdict) {
    static const char *const text[] = {"undecided", "agrees", "blamed", "absent", "malformed", "suspected"};
    return (unsigned)verdict <= DRACO_SUSPECTED ? text[verdict] : "unknown verdict";
}

/* ---- Seeds ---- */

#if defined(_WIN32)
__declspec(dllimport) long __stdcall BCryptGenRandom(void *, unsigned char *, unsigned long, unsigned long);

static int drv_random(draco_seed *seed) {
    return BCryptGenRandom(NULL, seed->bytes, sizeof seed->bytes, 2 /* the system's preferred generator */) ==
           0;
}
#elif defined(DRV_ARC4RANDOM)
static int drv_random(draco_seed *seed) {
    arc4random_buf(seed->bytes, sizeof seed->bytes);
    return 1;
}
#else
static int drv_random(draco_seed *seed) {
    FILE *device;
    size_t got;
#ifdef DRV_GETRANDOM
    if (getrandom(seed->bytes, sizeof seed->bytes, 0) == (ssize_t)sizeof seed->bytes) return 1;
#endif
    device = fopen("/dev/urandom", "rb");
    if (!device) return 0;
    setbuf(device, NULL);
    got = fread(seed->bytes, 1, sizeof seed->bytes, device);
    fclose(device);
    return got == sizeof seed->bytes;
}
#endif

DRACO_VOTE_API draco_status draco_seed_random(draco_seed *seed) {
    draco_seed fresh;
    if (!seed) return DRACO_E_NULL;
    if (!drv_random(&fresh)) return DRACO_E_RANDOM;
    *seed = fresh;
    return DRACO_OK;
}

static uint32_t drv_load32(const uint8_t *b) {
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint64_t drv_load64(const uint8_t *b) {
    return drv_load32(b) | (uint64_t)drv_load32(b + 4) << 32;
}

static void drv_store32(uint8_t *b, uint32_t v) {
    b[0] = (uint8_t)v;
    b[1] = (uint8_t)(v >> 8);
    b[2] = (uint8_t)(v >> 16);
    b[3] = (uint8_t)(v >> 24);
}

static uint32_t drv_rotate(uint32_t v, int by) {
    return v << by | v >> (32 - by);
}

static void drv_quarter(uint32_t *x, int a, int b, int c, int d) {
    x[a] += x[b];
    x[d] = drv_rotate(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = drv_rotate(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = drv_rotate(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = drv_rotate(x[b] ^ x[c], 7);
}

/* RFC 8439, section 2.3: one block of key stream. */
static void drv_chacha20(const uint8_t key[32], uint32_t counter, const uint32_t nonce[3], uint8_t out[64]) {
    uint32_t start[16] = {0x61707865u, 0x3320646eu, 0x79622d32u, 0x6b206574u};
    uint32_t x[16];
    int i;
    for (i = 0; i < 8; i++) start[4 + i] = drv_load32(key + 4 * i);
    start[12] = counter;
    for (i = 0; i < 3; i++) start[13 + i] = nonce[i];
    memcpy(x, start, sizeof x);
    for (i = 0; i < 10; i++) {
        drv_quarter(x, 0, 4, 8, 12);
        drv_quarter(x, 1, 5, 9, 13);
        drv_quarter(x, 2, 6, 10, 14);
        drv_quarter(x, 3, 7, 11, 15);
        drv_quarter(x, 0, 5, 10, 15);
        drv_quarter(x, 1, 6, 11, 12);
        drv_quarter(x, 2, 7, 8, 13);
        drv_quarter(x, 3, 4, 9, 14);
    }
    for (i = 0; i < 16; i++) drv_store32(out + 4 * i, x[i] + start[i]);
}

DRACO_VOTE_API void draco_seed_expand(const draco_seed *seed, uint64_t stream, void *out, size_t bytes) {
    uint8_t *to = (uint8_t *)out;
    uint32_t nonce[3], counter;
    nonce[0] = 0;
    nonce[1] = (uint32_t)stream;
    nonce[2] = (uint32_t)(stream >> 32);
    for (counter = 0; bytes > 0; counter++) {
        uint8_t block[64];
        size_t take = bytes < sizeof block ? bytes : sizeof block;
        drv_chacha20(seed->bytes, counter, nonce, block);
        memcpy(to, block, take);
        to += take;
        bytes -= take;
    }
}

/* ---- Exact vote ---- */

#define DRV_CHUNK 16384u      /* bytes compared at a time: the leader's stay in cache */
#define DRV_NOBODY UINT16_MAX /* the leader of a message that is out of the race */

/* leader[i] is the lowest message that equals message i up to here. Those that differ from their leader in
 * this chunk gather behind the first of them, whose turn comes later in the same loop. Tells whether any
 * did. */
static int drv_split(const void *const *messages, size_t n, size_t at, size_t bytes, uint16_t *leader) {
    size_t l, i;
    int any = 0;
    for (l = 0; l < n; l++) {
        uint16_t rest = DRV_NOBODY;
        if (leader[l] != l) continue;
        for (i = l + 1; i < n; i++) {
            if (leader[i] != l) continue;
            if (!memcmp((const char *)messages[l] + at, (const char *)messages[i] + at, bytes)) continue;
            if (rest == DRV_NOBODY) rest = (uint16_t)i;
            leader[i] = rest;
            any = 1;
        }
    }
    return any;
}

/* Takes out of the race who cannot reach the quorum any more. Returns how many values are left in it, and
 * the leader of the first. */
static size_t drv_winnow(size_t n, size_t quorum, uint16_t *leader, size_t *first) {
    size_t l, i, values = 0;
    for (l = 0; l < n; l++) {
        size_t copies = 0;
        if (leader[l] != l) continue;
        for (i = l; i < n; i++) copies += leader[i] == l;
        if (copies >= quorum) {
            if (values++ == 0) *first = l;
            continue;
        }
        for (i = n; i-- > l;) {
            if (leader[i] == l) leader[i] = DRV_NOBODY;
        }
    }
    return values;
}

DRACO_VOTE_API draco_status draco_vote_exact(const void *const *messages, size_t n, size_t bytes,
                                             size_t quorum, size_t *winner, draco_verdict *verdicts) {
    uint16_t leader[DRACO_VOTE_MAX];
    size_t i, at, values, first = 0;
    uint16_t all = DRV_NOBODY;
    if (!messages) return DRACO_E_NULL;
    if (n == 0 || n > DRACO_VOTE_MAX || quorum == 0 || quorum > n) return DRACO_E_LIMITS;
    for (i = 0; i < n; i++) {
        if (messages[i] && all == DRV_NOBODY) all = (uint16_t)i;
        leader[i] = messages[i] ? all : DRV_NOBODY;
    }
    values = drv_winnow(n, quorum, leader, &first);
    for (at = 0; values > 0 && at < bytes; at += DRV_CHUNK) {
        size_t rest = bytes - at;
        size_t take = rest < DRV_CHUNK ? rest : DRV_CHUNK;
        if (drv_split(messages, n, at, take, leader)) values = drv_winnow(n, quorum, leader, &first);
    }
    if (values == 0) return DRACO_E_NO_MAJORITY;
    if (values > 1) return DRACO_E_AMBIGUOUS;
    if (winner) *winner = first;
    for (i = 0; verdicts && i < n; i++) {
        verdicts[i] = !messages[i] ? DRACO_ABSENT : leader[i] == first ? DRACO_AGREES : DRACO_BLAMED;
    }
    return DRACO_OK;
}

/* ---- Tolerant vote ---- */

#define DRV_COORDINATES 4096u /* compared at a time: the candidate's stay in cache */

typedef struct drv_race {
    const float *const *messages;
    size_t n, d;
    double abs_tol, rel_tol;
} drv_race;

/* Are all numbers finite? Told by their bits, since arithmetic on them may trap. */
static int drv_finite(const float *a, size_t count) {
    size_t i;
    int outside = 0;
    for (i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, a + i, sizeof bits);
        outside |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !outside;
}

/* Finite numbers. In double the product is exact, so that a fused multiply-add changes nothing. */
static int drv_near_plain(const drv_race *race, const float *a, const float *b, size_t count) {
    size_t i;
    int far = 0;
    for (i = 0; i < count; i++) {
        double x = (double)a[i];
        double gap = x - (double)b[i];
        double limit = race->abs_tol + race->rel_tol * (x < 0 ? -x : x);
        gap = gap < 0 ? -gap : gap;
        far |= !(gap <= limit);
    }
    return !far;
}

#ifdef DRV_X86
__attribute__((target("avx2"))) static int drv_near_avx2(const drv_race *race, const float *a, const float *b,
                                                         size_t count) {
    const __m256d sign = _mm256_set1_pd(-0.0);
    const __m256d abs_tol = _mm256_set1_pd(race->abs_tol), rel_tol = _mm256_set1_pd(race->rel_tol);
    __m256d far = _mm256_setzero_pd();
    size_t i, whole = count - count % 4;
    for (i = 0; i < whole; i += 4) {
        __m256d x = _mm256_cvtps_pd(_mm_loadu_ps(a + i));
        __m256d gap = _mm256_sub_pd(x, _mm256_cvtps_pd(_mm_loadu_ps(b + i)));
        __m256d limit = _mm256_add_pd(abs_tol, _mm256_mul_pd(rel_tol, _mm256_andnot_pd(sign, x)));
        gap = _mm256_andnot_pd(sign, gap);
        far = _mm256_or_pd(far, _mm256_cmp_pd(gap, limit, _CMP_NLE_UQ));
    }
    return _mm256_movemask_pd(far) == 0 && drv_near_plain(race, a + whole, b + whole, count - whole);
}
#endif

static int drv_near_piece(const drv_race *race, const float *a, const float *b, size_t count) {
#ifdef DRV_X86
    if (__builtin_cpu_supports("avx2")) return drv_near_avx2(race, a, b, count);
#endif
    return drv_near_plain(race, a, b, count);
}

/* Is b finite and near a, which is finite? In pieces, so that b is read from memory while the last piece is
 * compared. */
static int drv_near(const drv_race *race, const float *a, const float *b, size_t count) {
    size_t at, take;
    for (at = 0; at < count; at += take) {
        take = count - at < 256 ? count - at : 256;
        if (!drv_finite(b + at, take) || !drv_near_piece(race, a + at, b + at, take)) return 0;
    }
    return 1;
}

/* camp[i] = 1 for the messages in agreement with message c. Returns how many, or 0 as soon as they are fewer
 * than `enough` or c is not finite. */
static size_t drv_camp(const drv_race *race, size_t c, size_t enough, unsigned char *camp) {
    size_t i, at, size = 0;
    for (i = 0; i < race->n; i++) {
        camp[i] = race->messages[i] != NULL;
        size += camp[i];
    }
    for (at = 0; at < race->d && size >= enough; at += DRV_COORDINATES) {
        size_t rest = race->d - at;
        size_t take = rest < DRV_COORDINATES ? rest : DRV_COORDINATES;
        const float *a = race->messages[c] + at;
        if (!drv_finite(a, take)) return 0;
        for (i = 0; i < race->n; i++) {
            const float *b = camp[i] ? race->messages[i] + at : a;
            if (i == c || !camp[i] || drv_near(race, a, b, take)) continue;
            camp[i] = 0;
            size--;
        }
    }
    return size >= enough ? size : 0;
}

/* Is there a message in agreement with at least `enough`? */
static int drv_bridged(const drv_race *race, size_t enough) {
    unsigned char camp[DRACO_VOTE_MAX];
    size_t i;
    for (i = 0; i < race->n; i++) {
        if (race->messages[i] && drv_camp(race, i, enough, camp)) return 1;
    }
    return 0;
}

static int drv_meet(const unsigned char *a, const unsigned char *b, size_t n) {
    size_t i;
    for (i = 0; i < n; i++) {
        if (a[i] && b[i]) return 1;
    }
    return 0;
}

DRACO_VOTE_API draco_status draco_vote_tolerant(const float *const *messages, size_t n, size_t d,
                                                float abs_tol, float rel_tol, size_t quorum, size_t *winner,
                                                draco_verdict *verdicts) {
    unsigned char camp[DRACO_VOTE_MAX], rivals[DRACO_VOTE_MAX], own[DRACO_VOTE_MAX];
    drv_race race;
    size_t i, first, present = 0;
    int apart = 0;
    if (!messages) return DRACO_E_NULL;
    if (n == 0 || n > DRACO_VOTE_MAX || quorum == 0 || quorum > n) return DRACO_E_LIMITS;
    if (!(abs_tol >= 0 && abs_tol <= FLT_MAX && rel_tol >= 0 && rel_tol < 1)) return DRACO_E_ARGUMENT;
    race.messages = messages;
    race.n = n;
    race.d = d;
    race.abs_tol = (double)abs_tol;
    race.rel_tol = (double)rel_tol;
    for (i = 0; i < n; i++) present += messages[i] != NULL;
    for (first = 0; first < n; first++) {
        if (messages[first] && drv_camp(&race, first, quorum, camp)) break;
    }
    if (first == n) return DRACO_E_NO_MAJORITY;
    for (i = 0; i < n; i++) {
        own[i] = 0;
        if (i < first || !messages[i] || camp[i]) continue;
        own[i] = drv_camp(&race, i, quorum, rivals) > 0;
        if (own[i] && !drv_meet(camp, rivals, n)) apart = 1;
    }
    if (apart && !drv_bridged(&race, present - quorum + 1)) return DRACO_E_AMBIGUOUS;
    if (winner) *winner = first;
    for (i = 0; verdicts && i < n; i++) {
        verdicts[i] = !messages[i] ? DRACO_ABSENT
                      : camp[i]    ? DRACO_AGREES
                      : own[i]     ? DRACO_UNDECIDED
                                   : DRACO_BLAMED;
    }
    return DRACO_OK;
}

/* ---- Arithmetic modulo 2^61 - 1 ---- */

#define DRV_P ((((uint64_t)1) << 61) - 1)

/* v < 2^62 */
static uint64_t drv_reduce(uint64_t v) {
    return v >= DRV_P ? v - DRV_P : v;
}

/* The product of two residues is high * 2^64 + low = (8 high + floor(low / 2^61)) * 2^61 + low mod 2^61. */
static uint64_t drv_mul(uint64_t a, uint64_t b) {
    uint64_t high, low;
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    high = (uint64_t)(product >> 64);
    low = (uint64_t)product;
#else
    uint64_t a0 = a & 0xffffffffu, a1 = a >> 32, b0 = b & 0xffffffffu, b1 = b >> 32;
    uint64_t middle = a0 * b1 + (a0 * b0 >> 32); /* a1 and b1 have 29 bits: nothing overflows */
    high = a1 * b1 + ((middle + a1 * b0) >> 32);
    low = a * b;
#endif
    return drv_reduce((high << 3 | low >> 61) + (low & DRV_P));
}

static uint64_t drv_power(uint64_t base, uint64_t exponent) {
    uint64_t result = 1;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1) result = drv_mul(result, base);
        base = drv_mul(base, base);
    }
    return result;
}

/* ---- Fingerprint ---- */

static uint64_t drv_pair(const uint8_t *m, const uint32_t *k) {
    return (uint64_t)(uint32_t)(drv_load32(m) + k[0]) * (uint32_t)(drv_load32(m + 4) + k[1]);
}

/* NH of one block under both keys: the plain kernel, the oracle of the others. */
static void drv_nh_plain(const draco_fingerprint_key *key, const uint8_t *m, uint64_t nh[2]) {
    size_t i;
    nh[0] = nh[1] = 0;
    for (i = 0; i < DRACO_FINGERPRINT_BLOCK; i += 8) {
        nh[0] += drv_pair(m + i, key->nh[0] + i / 4);
        nh[1] += drv_pair(m + i, key->nh[1] + i / 4);
    }
}

#ifdef DRV_X86
/* The processor's own prefetching stops at the end of a page: ask for what comes a page later. */
static void drv_prefetch(const uint8_t *m) {
    __builtin_prefetch((const void *)((uintptr_t)m + 4096));
}

static uint64_t drv_lanes(const void *vector, size_t bytes) {
    uint64_t lane[8], sum = 0;
    size_t i;
    memcpy(lane, vector, bytes);
    for (i = 0; i < bytes / 8; i++) sum += lane[i];
    return sum;
}

__attribute__((target("avx2"))) static __m256i drv_step_avx2(__m256i sum, __m256i m, const uint32_t *k) {
    __m256i w = _mm256_add_epi32(m, _mm256_loadu_si256((const __m256i *)(const void *)k));
    return _mm256_add_epi64(sum, _mm256_mul_epu32(w, _mm256_srli_epi64(w, 32)));
}

__attribute__((target("avx2"))) static void drv_nh_avx2(const draco_fingerprint_key *key, const uint8_t *m,
                                                        uint64_t nh[2]) {
    __m256i one = _mm256_setzero_si256(), two = one;
    size_t i;
    for (i = 0; i < DRACO_FINGERPRINT_BLOCK; i += 32) {
        __m256i w = _mm256_loadu_si256((const __m256i *)(const void *)(m + i));
        if (i % 64 == 0) drv_prefetch(m + i);
        one = drv_step_avx2(one, w, key->nh[0] + i / 4);
        two = drv_step_avx2(two, w, key->nh[1] + i / 4);
    }
    nh[0] = drv_lanes(&one, sizeof one);
    nh[1] = drv_lanes(&two, sizeof two);
}

__attribute__((target("avx512f"))) static __m512i drv_step_avx512(__m512i sum, __m512i m, const uint32_t *k) {
    __m512i w = _mm512_add_epi32(m, _mm512_loadu_si512(k));
    return _mm512_add_epi64(sum, _mm512_maskz_mul_epu32(0xff, w, _mm512_maskz_srli_epi64(0xff, w, 32)));
}

__attribute__((target("avx512f"))) static void drv_nh_avx512(const draco_fingerprint_key *key,
                                                             const uint8_t *m, uint64_t nh[2]) {
    __m512i one = _mm512_setzero_si512(), two = one;
    size_t i;
#pragma GCC unroll 1 /* unrolled in full it runs a tenth slower */
    for (i = 0; i < DRACO_FINGERPRINT_BLOCK; i += 64) {
        __m512i w = _mm512_loadu_si512(m + i);
        drv_prefetch(m + i);
        one = drv_step_avx512(one, w, key->nh[0] + i / 4);
        two = drv_step_avx512(two, w, key->nh[1] + i / 4);
    }
    nh[0] = drv_lanes(&one, sizeof one);
    nh[1] = drv_lanes(&two, sizeof two);
}
#endif

static void drv_nh(const draco_fingerprint_key *key, const uint8_t *m, uint64_t nh[2]) {
#ifdef DRV_X86
    if (__builtin_cpu_supports("avx512f"))
        drv_nh_avx512(key, m, nh);
    else if (__builtin_cpu_supports("avx2"))
        drv_nh_avx2(key, m, nh);
    else
#endif
        drv_nh_plain(key, m, nh);
}

/* A block is done: sum += (low + fold * high) * point^(block + 1), the halves those of its NH value. */
static void drv_chain(draco_fingerprint *f, const draco_fingerprint_key *key, const uint64_t nh[2]) {
    int j;
    for (j = 0; j < 2; j++) {
        uint64_t value = drv_mul(nh[j] >> 32, key->fold[j]) + (nh[j] & 0xffffffffu);
        value = drv_mul(drv_reduce(value), f->power[j]);
        f->sum[j] = drv_reduce(f->sum[j] + value);
        f->power[j] = drv_mul(f->power[j], key->point[j]);
    }
    f->block++;
}

/* Block by block, so that the arithmetic of the chain runs while the next block is on its way. */
static void drv_blocks(draco_fingerprint *f, const draco_fingerprint_key *key, const uint8_t *m,
                       size_t blocks) {
    for (; blocks > 0; blocks--, m += DRACO_FINGERPRINT_BLOCK) {
        uint64_t nh[2];
        drv_nh(key, m, nh);
        drv_chain(f, key, nh);
    }
}

DRACO_VOTE_API void draco_fingerprint_key_init(draco_fingerprint_key *key, const draco_seed *seed) {
    uint8_t bytes[sizeof key->nh + 32];
    const uint8_t *points = bytes + sizeof key->nh;
    size_t i, j, words = DRACO_FINGERPRINT_BLOCK / 4;
    draco_seed_expand(seed, 0, bytes, sizeof bytes);
    for (j = 0; j < 2; j++) {
        for (i = 0; i < words; i++) key->nh[j][i] = drv_load32(bytes + 4 * (j * words + i));
        key->fold[j] = drv_reduce(drv_load64(points + 8 * j) >> 3);
        key->point[j] = drv_reduce(drv_load64(points + 16 + 8 * j) >> 3);
    }
}

DRACO_VOTE_API void draco_fingerprint_begin(draco_fingerprint *f, uint64_t offset) {
    assert(offset % DRACO_FINGERPRINT_BLOCK == 0);
    memset(f, 0, sizeof *f);
    f->block = offset / DRACO_FINGERPRINT_BLOCK;
}

/* begin knows no key, so that the first add finds the power. */
static void drv_place(draco_fingerprint *f, const draco_fingerprint_key *key) {
    int j;
    if (f->power[0] != 0) return;
    for (j = 0; j < 2; j++) f->power[j] = drv_power(key->point[j], f->block + 1);
}

/* The pair that has been gathered enters the NH of its block, and a full block enters the sum. */
static void drv_pair_done(draco_fingerprint *f, const draco_fingerprint_key *key) {
    uint32_t i = (f->fill - 1) / 8 * 2;
    f->nh[0] += drv_pair(f->pair, key->nh[0] + i);
    f->nh[1] += drv_pair(f->pair, key->nh[1] + i);
    memset(f->pair, 0, sizeof f->pair);
    if (f->fill < DRACO_FINGERPRINT_BLOCK) return;
    drv_chain(f, key, f->nh);
    f->nh[0] = f->nh[1] = 0;
    f->fill = 0;
}

/* Up to the end of the block that is begun, pair by pair. Returns the bytes taken. */
static size_t drv_fill(draco_fingerprint *f, const draco_fingerprint_key *key, const uint8_t *m, size_t n) {
    size_t taken = 0;
    do {
        size_t gap = 8 - f->fill % 8, take = n - taken < gap ? n - taken : gap;
        memcpy(f->pair + f->fill % 8, m + taken, take);
        f->fill += (uint32_t)take;
        taken += take;
        if (f->fill % 8 == 0) drv_pair_done(f, key);
    } while (taken < n && f->fill > 0);
    return taken;
}

DRACO_VOTE_API void draco_fingerprint_add(draco_fingerprint *f, const draco_fingerprint_key *key,
                                          const void *bytes, size_t n) {
    const uint8_t *m = (const uint8_t *)bytes;
    drv_place(f, key);
    f->length += n;
    while (n > 0) {
        size_t take = n - n % DRACO_FINGERPRINT_BLOCK;
        if (f->fill == 0 && take > 0)
            drv_blocks(f, key, m, take / DRACO_FINGERPRINT_BLOCK);
        else
            take = drv_fill(f, key, m, n);
        m += take;
        n -= take;
    }
}

/* The sum as if the message ended here: an odd piece is filled up with zeros to a pair, and the pairs of a
 * short block count as a block. */
static void drv_total(const draco_fingerprint *f, const draco_fingerprint_key *key, uint64_t sum[2]) {
    draco_fingerprint last = *f;
    if (last.fill > 0) {
        if (last.fill % 8 != 0) drv_pair_done(&last, key);
        if (last.fill > 0) drv_chain(&last, key, last.nh);
    }
    sum[0] = last.sum[0];
    sum[1] = last.sum[1];
}

DRACO_VOTE_API void draco_fingerprint_merge(draco_fingerprint *into, const draco_fingerprint_key *key,
                                            const draco_fingerprint *from) {
    uint64_t sum[2];
    int j;
    drv_total(from, key, sum);
    for (j = 0; j < 2; j++) into->sum[j] = drv_reduce(into->sum[j] + sum[j]);
    into->length += from->length;
}

DRACO_VOTE_API void draco_fingerprint_finish(const draco_fingerprint *f, const draco_fingerprint_key *key,
                                             uint8_t value[DRACO_FINGERPRINT_BYTES]) {
    uint64_t sum[2];
    int j;
    drv_total(f, key, sum);
    for (j = 0; j < 2; j++) {
        uint64_t v = drv_reduce(sum[j] + (f->length & DRV_P));
        drv_store32(value + 8 * j, (uint32_t)v);
        drv_store32(value + 8 * j + 4, (uint32_t)(v >> 32));
    }
}

DRACO_VOTE_API void draco_fingerprint_of(const draco_seed *seed, const void *bytes, size_t n,
                                         uint8_t value[DRACO_FINGERPRINT_BYTES]) {
    draco_fingerprint_key key;
    draco_fingerprint print;
    draco_fingerprint_key_init(&key, seed);
    draco_fingerprint_begin(&print, 0);
    draco_fingerprint_add(&print, &key, bytes, n);
    draco_fingerprint_finish(&print, &key, value);
}

/* ---- Tally ---- */

DRACO_VOTE_API size_t draco_tally_bytes(size_t n, size_t value_bytes) {
    size_t room = (size_t)-1 - sizeof(draco_verdict);
    if (n == 0 || value_bytes > room || n > (size_t)-1 / (sizeof(draco_verdict) + value_bytes)) return 0;
    return n * (sizeof(draco_verdict) + value_bytes);
}

DRACO_VOTE_API draco_status draco_tally_open(draco_tally *tally, size_t n, size_t value_bytes, size_t quorum,
                                             void *memory) {
    size_t i;
    if (!tally || !memory) return DRACO_E_NULL;
    if (quorum == 0 || quorum > n) return DRACO_E_LIMITS;
    if (value_bytes == 0 || draco_tally_bytes(n, value_bytes) == 0) return DRACO_E_ARGUMENT;
    tally->n = tally->decided = tally->rival = n;
    tally->quorum = quorum;
    tally->value_bytes = value_bytes;
    tally->state = (draco_verdict *)memory;
    tally->values = (unsigned char *)memory + n * sizeof(draco_verdict);
    for (i = 0; i < n; i++) tally->state[i] = DRACO_UNDECIDED;
    return DRACO_OK;
}

static int drv_same(const draco_tally *tally, size_t a, size_t b) {
    return tally->state[a] == DRACO_AGREES && tally->state[b] == DRACO_AGREES &&
           !memcmp(tally->values + a * tally->value_bytes, tally->values + b * tally->value_bytes,
                   tally->value_bytes);
}

DRACO_VOTE_API draco_status draco_tally_cast(draco_tally *tally, size_t voter, const void *value) {
    size_t i, copies = 0, first = voter;
    if (!value) return DRACO_E_NULL;
    if (voter >= tally->n) return DRACO_E_INDEX;
    if (tally->state[voter] != DRACO_UNDECIDED) return DRACO_E_ARGUMENT;
    memcpy(tally->values + voter * tally->value_bytes, value, tally->value_bytes);
    tally->state[voter] = DRACO_AGREES;
    for (i = tally->n; i-- > 0;) {
        if (!drv_same(tally, i, voter)) continue;
        copies++;
        first = i;
    }
    if (copies >= tally->quorum) {
        if (tally->decided == tally->n || drv_same(tally, tally->decided, voter))
            tally->decided = first;
        else
            tally->rival = first;
    }
    if (tally->rival != tally->n) return DRACO_E_AMBIGUOUS;
    return tally->decided != tally->n ? DRACO_OK : DRACO_MORE;
}

DRACO_VOTE_API draco_status draco_tally_spoil(draco_tally *tally, size_t voter, draco_verdict why) {
    if (voter >= tally->n) return DRACO_E_INDEX;
    if (tally->state[voter] != DRACO_UNDECIDED) return DRACO_E_ARGUMENT;
    if (why != DRACO_ABSENT && why != DRACO_MALFORMED) return DRACO_E_ARGUMENT;
    tally->state[voter] = why;
    return DRACO_OK;
}

DRACO_VOTE_API draco_status draco_tally_close(const draco_tally *tally, size_t *winner,
                                              draco_verdict *verdicts) {
    size_t i;
    if (tally->decided == tally->n) return DRACO_E_NO_MAJORITY;
    if (tally->rival != tally->n) return DRACO_E_AMBIGUOUS;
    if (winner) *winner = tally->decided;
    for (i = 0; verdicts && i < tally->n; i++) {
        if (tally->state[i] == DRACO_MALFORMED)
            verdicts[i] = DRACO_MALFORMED;
        else if (tally->state[i] != DRACO_AGREES)
            verdicts[i] = DRACO_ABSENT;
        else
            verdicts[i] = drv_same(tally, i, tally->decided) ? DRACO_AGREES : DRACO_BLAMED;
    }
    return DRACO_OK;
}

#ifdef __cplusplus
}
#endif
#endif /* DRACO_VOTE_IMPLEMENTATION */

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
