/* Exact vote, ballot tally, tolerant vote, secrets: the rules in draco_vote.h one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DRACO_VOTE_IMPLEMENTATION
#include "draco_vote.h"

#define UNTOUCHED 77u

/* Letters for verdicts, so that a test reads in one line: A agrees, B blamed, - absent, M malformed,
 * U undecided. */
static const char *letters(const draco_verdict *verdicts, size_t n) {
    static char text[64];
    for (size_t i = 0; i < n; i++) text[i] = "UAB-M"[verdicts[i]];
    text[n] = 0;
    return text;
}

/* ---- Words ---- */

static void every_status_has_words(void **unused) {
    (void)unused;
    for (int a = DRACO_E_AGAIN; a <= DRACO_UNVERIFIED; a++) {
        assert_string_not_equal(draco_status_text((draco_status)a), "unknown status");
        for (int b = DRACO_E_AGAIN; b < a; b++)
            assert_string_not_equal(draco_status_text((draco_status)a), draco_status_text((draco_status)b));
    }
    assert_string_equal(draco_status_text(DRACO_OK), "good");
    assert_string_equal(draco_status_text(DRACO_E_MEMORY), "out of memory");
    assert_string_equal(draco_status_text(DRACO_E_TIMEOUT), "time is up");
    assert_string_equal(draco_status_text((draco_status)3), "unknown status");
    assert_string_equal(draco_status_text((draco_status)(DRACO_E_AGAIN - 1)), "unknown status");
    for (int a = DRACO_E_AGAIN; a <= DRACO_UNVERIFIED; a++)
        assert_int_equal(draco_status_is_misuse((draco_status)a),
                         (a <= DRACO_E_NULL && a > DRACO_E_AGAIN) || a == DRACO_E_ARGUMENT);
    assert_non_null(strstr(draco_status_text(DRACO_E_LIMITS), "2s + t + 1 <= n <= 4096"));
    assert_non_null(strstr(draco_status_text(DRACO_E_DIM), "dimension"));
    assert_non_null(strstr(draco_status_text(DRACO_E_SCHEME), "scheme, field or support"));
    assert_non_null(strstr(draco_status_text(DRACO_E_ORDER), "agreed before decode"));
    assert_string_equal(draco_verdict_text(DRACO_MALFORMED), "malformed");
    assert_string_equal(draco_verdict_text(DRACO_SUSPECTED), "suspected");
    assert_string_equal(draco_verdict_text((draco_verdict)6), "unknown verdict");
}

/* ---- Secrets ---- */

static void chacha20_of_rfc_8439(void **unused) {
    (void)unused;
    /* section 2.3.2 */
    static const uint8_t expected[64] = {
        0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3, 0x20, 0x71, 0xc4,
        0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22, 0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e,
        0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa, 0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2,
        0xb5, 0x12, 0x9c, 0xd1, 0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e};
    const uint32_t nonce[3] = {0x09000000u, 0x4a000000u, 0};
    uint8_t key[32], out[64];
    for (int i = 0; i < 32; i++) key[i] = (uint8_t)i;
    drv_chacha20(key, 1, nonce, out);
    assert_memory_equal(out, expected, 64);
}

static void expansion_is_the_key_stream(void **unused) {
    (void)unused;
    /* RFC 8439, A.1: vectors 1, 2 (the next block) and 5 (the last byte of the nonce 2) */
    static const uint8_t one[8] = {0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90};
    static const uint8_t two[8] = {0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a};
    static const uint8_t five[8] = {0xc2, 0xc6, 0x4d, 0x37, 0x8c, 0xd5, 0x36, 0x37};
    draco_seed seed;
    uint8_t out[200], part[200];
    memset(&seed, 0, sizeof seed);
    draco_seed_expand(&seed, 0, out, sizeof out);
    assert_memory_equal(out, one, 8);
    assert_memory_equal(out + 64, two, 8);
    for (size_t n = 0; n <= sizeof out; n++) {
        memset(part, 0xee, sizeof part);
        draco_seed_expand(&seed, 0, part, n);
        assert_memory_equal(part, out, n);
        for (size_t i = n; i < sizeof part; i++) assert_int_equal(part[i], 0xee);
    }
    draco_seed_expand(&seed, (uint64_t)0x02000000 << 32, part, 64);
    assert_memory_equal(part, five, 8);
}

static void seeds_are_fresh(void **unused) {
    (void)unused;
    draco_seed a, b;
    assert_int_equal(draco_seed_random(&a), DRACO_OK);
    assert_int_equal(draco_seed_random(&b), DRACO_OK);
    assert_memory_not_equal(&a, &b, sizeof a);
}

/* ---- Exact vote ---- */

/* Ballots of one letter each; '-' is absent. */
static draco_status exact(const char *ballots, size_t quorum, size_t *winner, draco_verdict *verdicts) {
    const void *pointers[64];
    size_t n = strlen(ballots);
    *winner = UNTOUCHED;
    for (size_t i = 0; i < n; i++) {
        pointers[i] = ballots[i] == '-' ? NULL : &ballots[i];
        verdicts[i] = DRACO_MALFORMED;
    }
    return draco_vote_exact(pointers, n, 1, quorum, winner, verdicts);
}

static void expect_exact(const char *ballots, size_t quorum, size_t winner, const char *verdicts) {
    draco_verdict got[64];
    size_t found;
    assert_int_equal(exact(ballots, quorum, &found, got), DRACO_OK);
    assert_int_equal(found, winner);
    assert_string_equal(letters(got, strlen(ballots)), verdicts);
}

static void expect_no_exact(const char *ballots, size_t quorum, draco_status status) {
    draco_verdict got[64];
    size_t found;
    assert_int_equal(exact(ballots, quorum, &found, got), status);
    assert_int_equal(found, UNTOUCHED);
    for (size_t i = 0; i < strlen(ballots); i++) assert_int_equal(got[i], DRACO_MALFORMED);
}

static void exact_majorities(void **unused) {
    (void)unused;
    expect_exact("x", 1, 0, "A");
    expect_exact("xxx", 2, 0, "AAA");
    expect_exact("yxx", 2, 1, "BAA");
    expect_exact("xyx", 2, 0, "ABA");
    expect_exact("-xx", 2, 1, "-AA");
    expect_exact("x-yx-", 2, 0, "A-BA-");
    expect_exact("abxxxcd", 3, 2, "BBAAABB");
    expect_exact("ababb", 3, 1, "BABAA");
    expect_exact("-----xx", 2, 5, "-----AA");
}

static void exact_is_never_a_guess(void **unused) {
    (void)unused;
    expect_no_exact("xyz", 2, DRACO_E_NO_MAJORITY);
    expect_no_exact("---", 1, DRACO_E_NO_MAJORITY);
    expect_no_exact("x--", 2, DRACO_E_NO_MAJORITY);
    expect_no_exact("xxyyz", 3, DRACO_E_NO_MAJORITY);
    expect_no_exact("xxyy", 2, DRACO_E_AMBIGUOUS);
    expect_no_exact("xyxyx", 2, DRACO_E_AMBIGUOUS);
    expect_no_exact("xy", 1, DRACO_E_AMBIGUOUS);
}

static void exact_checks_its_arguments(void **unused) {
    (void)unused;
    static const void *many[DRACO_VOTE_MAX + 1];
    const void *ballots[2] = {"x", "x"};
    size_t winner = UNTOUCHED;
    assert_int_equal(draco_vote_exact(NULL, 2, 1, 1, &winner, NULL), DRACO_E_NULL);
    assert_int_equal(draco_vote_exact(ballots, 0, 1, 1, &winner, NULL), DRACO_E_LIMITS);
    assert_int_equal(draco_vote_exact(ballots, 2, 1, 0, &winner, NULL), DRACO_E_LIMITS);
    assert_int_equal(draco_vote_exact(ballots, 2, 1, 3, &winner, NULL), DRACO_E_LIMITS);
    assert_int_equal(draco_vote_exact(many, DRACO_VOTE_MAX + 1, 1, 1, &winner, NULL), DRACO_E_LIMITS);
    assert_int_equal(winner, UNTOUCHED);
    assert_int_equal(draco_vote_exact(ballots, 2, 1, 2, NULL, NULL), DRACO_OK);
}

static void exact_of_nothing_agrees(void **unused) {
    (void)unused;
    const void *ballots[3] = {NULL, "a", "b"};
    draco_verdict verdicts[3];
    size_t winner = UNTOUCHED;
    assert_int_equal(draco_vote_exact(ballots, 3, 0, 2, &winner, verdicts), DRACO_OK);
    assert_int_equal(winner, 1);
    assert_string_equal(letters(verdicts, 3), "-AA");
}

static void exact_compares_bytes(void **unused) {
    (void)unused;
    float a[2] = {0.0f, NAN}, b[2] = {-0.0f, NAN}, c[2] = {0.0f, NAN}, d[2];
    const void *ballots[4] = {b, a, c, d};
    draco_verdict verdicts[4];
    size_t winner;
    uint32_t bits;
    memcpy(d, a, sizeof d);
    memcpy(&bits, &d[1], 4);
    bits ^= 1; /* another NaN */
    memcpy(&d[1], &bits, 4);
    assert_int_equal(draco_vote_exact(ballots, 4, sizeof a, 2, &winner, verdicts), DRACO_OK);
    assert_int_equal(winner, 1);
    assert_string_equal(letters(verdicts, 4), "BAAB");
}

/* Liars that part from the truth, and from each other, only in some late byte. */
static void exact_sees_every_byte(void **unused) {
    (void)unused;
    enum { N = 7, BYTES = 100003 };
    static uint8_t rows[N][BYTES];
    static const size_t places[] = {0, 1, 4095, 16383, 16384, 16385, 50000, BYTES - 2, BYTES - 1};
    const void *ballots[N];
    draco_verdict verdicts[N];
    for (size_t j = 0; j < BYTES; j++) rows[0][j] = (uint8_t)(j * 31 + j / 977);
    for (size_t i = 0; i < N; i++) ballots[i] = rows[i];
    for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
        size_t winner = UNTOUCHED, place = places[p];
        for (size_t i = 1; i < N; i++) memcpy(rows[i], rows[0], BYTES);
        rows[1][place] ^= 0x10;
        rows[4][place] ^= 0x10; /* in collusion with 1 */
        rows[5][place] ^= 0x11;
        assert_int_equal(draco_vote_exact(ballots, N, BYTES, 4, &winner, verdicts), DRACO_OK);
        assert_int_equal(winner, 0);
        assert_string_equal(letters(verdicts, N), "ABAABBA");
        winner = UNTOUCHED;
        assert_int_equal(draco_vote_exact(ballots, N, BYTES, 2, &winner, verdicts), DRACO_E_AMBIGUOUS);
        assert_int_equal(draco_vote_exact(ballots, N, BYTES, 5, &winner, verdicts), DRACO_E_NO_MAJORITY);
        assert_int_equal(winner, UNTOUCHED);
    }
}

static void exact_of_the_most_ballots(void **unused) {
    (void)unused;
    static const void *ballots[DRACO_VOTE_MAX];
    static draco_verdict verdicts[DRACO_VOTE_MAX];
    static const char letter[2] = {'x', 'y'};
    size_t winner;
    for (size_t i = 0; i < DRACO_VOTE_MAX; i++) ballots[i] = &letter[i % 3 != 0];
    assert_int_equal(draco_vote_exact(ballots, DRACO_VOTE_MAX, 1, DRACO_VOTE_MAX / 2 + 1, &winner, verdicts),
                     DRACO_OK);
    assert_int_equal(winner, 1);
    for (size_t i = 0; i < DRACO_VOTE_MAX; i++)
        assert_int_equal(verdicts[i], i % 3 ? DRACO_AGREES : DRACO_BLAMED);
}

/* ---- Ballot tally ---- */

typedef struct room {
    draco_tally tally;
    draco_verdict memory[64];
} room;

static void open_room(room *r, size_t n, size_t quorum) {
    assert_true(draco_tally_bytes(n, 1) <= sizeof r->memory);
    assert_int_equal(draco_tally_open(&r->tally, n, 1, quorum, r->memory), DRACO_OK);
}

static void tally_decides_as_soon_as_it_can(void **unused) {
    (void)unused;
    room r;
    draco_verdict verdicts[5];
    size_t winner = UNTOUCHED;
    open_room(&r, 5, 3);
    assert_int_equal(draco_tally_cast(&r.tally, 3, "x"), DRACO_MORE);
    assert_int_equal(draco_tally_cast(&r.tally, 0, "y"), DRACO_MORE);
    assert_int_equal(draco_tally_cast(&r.tally, 4, "x"), DRACO_MORE);
    assert_int_equal(r.tally.decided, 5);
    assert_int_equal(draco_tally_close(&r.tally, &winner, verdicts), DRACO_E_NO_MAJORITY);
    assert_int_equal(winner, UNTOUCHED);
    assert_int_equal(draco_tally_cast(&r.tally, 2, "x"), DRACO_OK);
    assert_int_equal(r.tally.decided, 2);
    assert_int_equal(draco_tally_close(&r.tally, &winner, verdicts), DRACO_OK);
    assert_int_equal(winner, 2);
    assert_string_equal(letters(verdicts, 5), "B-AAA");
    assert_int_equal(draco_tally_cast(&r.tally, 1, "x"), DRACO_OK); /* late, and still judged */
    assert_int_equal(r.tally.decided, 1);
    assert_int_equal(draco_tally_close(&r.tally, &winner, verdicts), DRACO_OK);
    assert_int_equal(winner, 1);
    assert_string_equal(letters(verdicts, 5), "BAAAA");
}

static void tally_counts_nobody_twice(void **unused) {
    (void)unused;
    room r;
    draco_verdict verdicts[3];
    open_room(&r, 3, 2);
    assert_int_equal(draco_tally_cast(&r.tally, 0, "x"), DRACO_MORE);
    assert_int_equal(draco_tally_cast(&r.tally, 0, "x"), DRACO_E_ARGUMENT);
    assert_int_equal(draco_tally_cast(&r.tally, 0, "y"), DRACO_E_ARGUMENT);
    assert_int_equal(draco_tally_spoil(&r.tally, 0, DRACO_MALFORMED), DRACO_E_ARGUMENT);
    assert_int_equal(draco_tally_cast(&r.tally, 3, "x"), DRACO_E_INDEX);
    assert_int_equal(draco_tally_cast(&r.tally, (size_t)-1, "x"), DRACO_E_INDEX);
    assert_int_equal(draco_tally_cast(&r.tally, 1, NULL), DRACO_E_NULL);
    assert_int_equal(draco_tally_spoil(&r.tally, 3, DRACO_ABSENT), DRACO_E_INDEX);
    assert_int_equal(draco_tally_spoil(&r.tally, 1, DRACO_BLAMED), DRACO_E_ARGUMENT);
    assert_int_equal(draco_tally_close(&r.tally, NULL, verdicts), DRACO_E_NO_MAJORITY);
    assert_int_equal(draco_tally_spoil(&r.tally, 1, DRACO_MALFORMED), DRACO_OK);
    assert_int_equal(draco_tally_cast(&r.tally, 1, "x"), DRACO_E_ARGUMENT);
    assert_int_equal(draco_tally_cast(&r.tally, 2, "x"), DRACO_OK);
    assert_int_equal(draco_tally_close(&r.tally, NULL, verdicts), DRACO_OK);
    assert_string_equal(letters(verdicts, 3), "AMA");
    assert_int_equal(draco_tally_close(&r.tally, NULL, NULL), DRACO_OK);
}

static void tally_with_two_winners_has_none(void **unused) {
    (void)unused;
    room r;
    draco_verdict verdicts[5];
    size_t winner = UNTOUCHED;
    open_room(&r, 5, 2);
    assert_int_equal(draco_tally_cast(&r.tally, 4, "x"), DRACO_MORE);
    assert_int_equal(draco_tally_cast(&r.tally, 3, "x"), DRACO_OK);
    assert_int_equal(draco_tally_cast(&r.tally, 0, "y"), DRACO_OK);
    assert_int_equal(draco_tally_cast(&r.tally, 1, "y"), DRACO_E_AMBIGUOUS);
    assert_int_equal(draco_tally_cast(&r.tally, 2, "x"), DRACO_E_AMBIGUOUS);
    assert_int_equal(draco_tally_close(&r.tally, &winner, verdicts), DRACO_E_AMBIGUOUS);
    assert_int_equal(winner, UNTOUCHED);
}

static void tally_checks_its_arguments(void **unused) {
    (void)unused;
    draco_tally tally;
    draco_verdict memory[16];
    assert_int_equal(draco_tally_open(NULL, 3, 4, 2, memory), DRACO_E_NULL);
    assert_int_equal(draco_tally_open(&tally, 3, 4, 2, NULL), DRACO_E_NULL);
    assert_int_equal(draco_tally_open(&tally, 0, 4, 1, memory), DRACO_E_LIMITS);
    assert_int_equal(draco_tally_open(&tally, 3, 0, 2, memory), DRACO_E_ARGUMENT);
    assert_int_equal(draco_tally_open(&tally, 3, 4, 0, memory), DRACO_E_LIMITS);
    assert_int_equal(draco_tally_open(&tally, 3, 4, 4, memory), DRACO_E_LIMITS);
    assert_int_equal(draco_tally_bytes(3, 4), 3 * (sizeof(draco_verdict) + 4));
    assert_int_equal(draco_tally_bytes(SIZE_MAX / 8, 16), 0);
    assert_int_equal(draco_tally_bytes(2, SIZE_MAX / 2), 0);
    assert_int_equal(draco_tally_bytes(2, SIZE_MAX), 0);
    assert_int_equal(draco_tally_open(&tally, SIZE_MAX / 8, 16, 2, memory), DRACO_E_ARGUMENT);
}

/* ---- Tolerant vote ---- */

typedef struct poll {
    size_t n, quorum;
    float abs_tol, rel_tol;
} poll;

/* Ballots of one number each; 1e30f stands for an absent ballot. */
#define GONE 1e30f

static draco_status tolerant(const poll *p, const float *values, size_t *winner, draco_verdict *verdicts) {
    const float *ballots[64];
    *winner = UNTOUCHED;
    for (size_t i = 0; i < p->n; i++) {
        ballots[i] = values[i] == GONE ? NULL : &values[i];
        verdicts[i] = DRACO_MALFORMED;
    }
    return draco_vote_tolerant(ballots, p->n, 1, p->abs_tol, p->rel_tol, p->quorum, winner, verdicts);
}

static void expect_tolerant(poll p, const float *values, size_t winner, const char *verdicts) {
    draco_verdict got[64];
    size_t found;
    assert_int_equal(tolerant(&p, values, &found, got), DRACO_OK);
    assert_int_equal(found, winner);
    assert_string_equal(letters(got, p.n), verdicts);
}

static void expect_no_tolerant(poll p, const float *values, draco_status status) {
    draco_verdict got[64];
    size_t found;
    assert_int_equal(tolerant(&p, values, &found, got), status);
    assert_int_equal(found, UNTOUCHED);
    for (size_t i = 0; i < p.n; i++) assert_int_equal(got[i], DRACO_MALFORMED);
}

static void tolerance_is_kept_to_the_bit(void **unused) {
    (void)unused;
    poll p = {2, 2, 0.25f, 0};
    float within[2] = {1.0f, 1.25f}, over[2] = {1.0f, nextafterf(1.25f, 2)};
    expect_tolerant(p, within, 0, "AA");
    expect_no_tolerant(p, over, DRACO_E_NO_MAJORITY);
    poll r = {2, 2, 0, 0.5f};
    float at[2] = {2.0f, 3.0f}, past[2] = {2.0f, nextafterf(3.0f, 4)};
    expect_tolerant(r, at, 0, "AA");
    expect_tolerant(r, past, 1, "AA"); /* not measured at 2, but measured at 3 */
    poll zero = {3, 2, 0, 0};
    float signs[3] = {-0.0f, 0.0f, 1.0f};
    expect_tolerant(zero, signs, 0, "AAB");
}

static void tolerance_is_measured_at_the_candidate(void **unused) {
    (void)unused;
    poll p = {2, 2, 0, 0.5f};
    float low_first[2] = {1.0f, 2.0f}, high_first[2] = {2.0f, 1.0f};
    expect_tolerant(p, low_first, 1, "AA");
    expect_tolerant(p, high_first, 0, "AA");
}

static void neighbours_are_not_chained(void **unused) {
    (void)unused;
    poll p = {5, 3, 1.0f, 0};
    float chain[5] = {0, 0.9f, 1.8f, 2.7f, 3.6f};
    expect_tolerant(p, chain, 1, "AAAUB"); /* 3 has a quorum of its own: 2, 3, 4 */
    poll q = {4, 3, 1.0f, 0};
    float pairs[4] = {0, 0.9f, 5.0f, 5.9f};
    expect_no_tolerant(q, pairs, DRACO_E_NO_MAJORITY);
}

static void what_is_not_finite_agrees_with_nothing(void **unused) {
    (void)unused;
    poll p = {3, 2, 1.0f, 0.5f};
    float nan[3] = {NAN, NAN, 1.0f}, inf[3] = {INFINITY, INFINITY, 1.0f};
    float one[3] = {NAN, 1.0f, 1.0f}, opposite[3] = {INFINITY, 1.0f, 1.0f};
    expect_no_tolerant(p, nan, DRACO_E_NO_MAJORITY);
    expect_no_tolerant(p, inf, DRACO_E_NO_MAJORITY);
    expect_tolerant(p, one, 1, "BAA");
    expect_tolerant(p, opposite, 1, "BAA");
    poll alone = {1, 1, 1.0f, 0};
    expect_no_tolerant(alone, nan, DRACO_E_NO_MAJORITY);
    poll wide = {3, 2, FLT_MAX, 0.5f};
    float huge[3] = {FLT_MAX, -INFINITY, FLT_MAX / 2};
    expect_tolerant(wide, huge, 0, "ABA");
}

static void two_camps_are_an_error(void **unused) {
    (void)unused;
    poll p = {4, 2, 0.1f, 0};
    float camps[4] = {1.0f, 5.0f, 1.05f, 5.05f};
    expect_no_tolerant(p, camps, DRACO_E_AMBIGUOUS);
    poll q = {5, 2, 0.1f, 0};
    float split[5] = {1.0f, 5.0f, 1.05f, GONE, 5.05f};
    expect_no_tolerant(q, split, DRACO_E_AMBIGUOUS);
}

/* Two liars either side of the honest ones draw apart from each other, but an honest ballot agrees with all
 * but s: the number of liars is within the promise, and so is the result. */
static void straddling_liars_do_not_stop_the_vote(void **unused) {
    (void)unused;
    poll p = {6, 3, 1.0f, 0};
    float ballots[6] = {-0.9f, 1.8f, 0.0f, 0.1f, 0.8f, 0.9f};
    expect_tolerant(p, ballots, 0, "AUAAUU");
    poll apart = {6, 2, 1.0f, 0};
    float farther[6] = {-1.0f, 2.0f, 0.0f, 0.0f, 1.0f, 1.0f};
    expect_tolerant(apart, farther, 0, "AUAAUU");
}

static void tolerant_checks_its_arguments(void **unused) {
    (void)unused;
    static const float *many[DRACO_VOTE_MAX + 1];
    float value = 1;
    const float *ballots[2] = {&value, &value};
    size_t w = UNTOUCHED;
    assert_int_equal(draco_vote_tolerant(NULL, 2, 1, 0, 0, 1, &w, NULL), DRACO_E_NULL);
    assert_int_equal(draco_vote_tolerant(ballots, 0, 1, 0, 0, 1, &w, NULL), DRACO_E_LIMITS);
    assert_int_equal(draco_vote_tolerant(ballots, 2, 1, 0, 0, 0, &w, NULL), DRACO_E_LIMITS);
    assert_int_equal(draco_vote_tolerant(ballots, 2, 1, 0, 0, 3, &w, NULL), DRACO_E_LIMITS);
    assert_int_equal(draco_vote_tolerant(ballots, 2, 1, -1, 0, 1, &w, NULL), DRACO_E_ARGUMENT);
    assert_int_equal(draco_vote_tolerant(ballots, 2, 1, 0, -1, 1, &w, NULL), DRACO_E_ARGUMENT);
    assert_int_equal(draco_vote_tolerant(ballots, 2, 1, 0, 1, 1, &w, NULL), DRACO_E_ARGUMENT);
    assert_int_equal(draco_vote_tolerant(ballots, 2, 1, NAN, 0, 1, &w, NULL), DRACO_E_ARGUMENT);
    assert_int_equal(draco_vote_tolerant(ballots, 2, 1, 0, NAN, 1, &w, NULL), DRACO_E_ARGUMENT);
    assert_int_equal(draco_vote_tolerant(ballots, 2, 1, INFINITY, 0, 1, &w, NULL), DRACO_E_ARGUMENT);
    assert_int_equal(draco_vote_tolerant(many, DRACO_VOTE_MAX + 1, 1, 0, 0, 1, &w, NULL), DRACO_E_LIMITS);
    assert_int_equal(w, UNTOUCHED);
    assert_int_equal(draco_vote_tolerant(ballots, 2, 1, 0, 0, 2, NULL, NULL), DRACO_OK);
}

static void tolerant_sees_every_coordinate(void **unused) {
    (void)unused;
    enum { N = 5, D = 20011 };
    static float rows[N][D];
    static const size_t places[] = {0, 3, 4095, 4096, 4097, 12345, D - 2, D - 1};
    const float *ballots[N];
    draco_verdict verdicts[N];
    for (size_t i = 0; i < N; i++) {
        ballots[i] = rows[i];
        for (size_t j = 0; j < D; j++) rows[i][j] = (float)j * 1e-3f + (float)i * 1e-6f;
    }
    for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
        size_t winner = UNTOUCHED;
        float truth = rows[0][places[p]], other = rows[3][places[p]];
        rows[0][places[p]] = truth + 1;
        rows[3][places[p]] = NAN;
        assert_int_equal(draco_vote_tolerant(ballots, N, D, 1e-5f, 1e-6f, 3, &winner, verdicts), DRACO_OK);
        assert_int_equal(winner, 1);
        assert_string_equal(letters(verdicts, N), "BAABA");
        rows[0][places[p]] = truth;
        rows[3][places[p]] = other;
    }
}

/* What an adversary can still move: the winner may be a lie, but only within the tolerance of an honest
 * ballot, in every coordinate, and no honest worker is ever blamed. s colluding liars try every distance. */
static void an_adversary_moves_no_more_than_the_tolerance(void **unused) {
    (void)unused;
    enum { S = 2, N = 2 * S + 1, D = 3 };
    const float tol = 0.5f, noise = 0.25f;
    float moved = 0;
    uint64_t state = 1;
    for (int k = 0; k <= 400; k++) {
        float rows[N][D], lie = (float)k * 0.005f;
        const float *ballots[N];
        draco_verdict verdicts[N];
        size_t winner;
        for (size_t i = 0; i < N; i++) {
            ballots[i] = rows[i];
            for (size_t j = 0; j < D; j++) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                rows[i][j] = i < S ? 10 + lie : 10 + noise * (float)(state >> 40) * 0x1p-24f;
            }
        }
        assert_int_equal(draco_vote_tolerant(ballots, N, D, tol, 0, S + 1, &winner, verdicts), DRACO_OK);
        for (size_t i = S; i < N; i++) assert_int_not_equal(verdicts[i], DRACO_BLAMED);
        for (size_t j = 0; j < D; j++) {
            float nearest = INFINITY;
            for (size_t i = S; i < N; i++) nearest = fminf(nearest, fabsf(rows[winner][j] - rows[i][j]));
            assert_true(nearest <= tol);
            moved = fmaxf(moved, nearest);
        }
        if (winner >= S) {
            for (size_t i = 0; i < S; i++) assert_int_equal(verdicts[i], DRACO_BLAMED);
        }
    }
    assert_true(moved > 0.2f); /* the bound is no more pessimistic than that */
}

static void every_comparison_the_same(void **unused) {
    (void)unused;
#ifdef DRV_X86
    static const float telling[] = {0,        -0.0f,   1,        -1,        1.25f, 1.5f,   2,      3,
                                    INFINITY, FLT_MAX, -FLT_MAX, -INFINITY, NAN,   1e-40f, 1e-45f, 0.75f};
    drv_race race = {NULL, 0, 0, 0, 0};
    uint64_t state = 3;
    int near = 0;
    if (!__builtin_cpu_supports("avx2")) return;
    for (int round = 0; round < 400000; round++) {
        float a[9], b[9];
        size_t count = (size_t)round % 10;
        race.abs_tol = round % 3 == 0 ? 0 : round % 3 == 1 ? 0.25 : (double)FLT_MAX;
        race.rel_tol = round % 2 ? 0.5 : 0;
        for (size_t i = 0; i < count; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            a[i] = telling[state >> 60];
            b[i] = state >> 58 & 3 ? a[i] : telling[state >> 50 & 15];
        }
        int plain = drv_near_plain(&race, a, b, count);
        assert_int_equal(plain, drv_near_avx2(&race, a, b, count));
        near += plain;
    }
    assert_in_range(near, 40000, 360000);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_words),
        cmocka_unit_test(chacha20_of_rfc_8439),
        cmocka_unit_test(expansion_is_the_key_stream),
        cmocka_unit_test(seeds_are_fresh),
        cmocka_unit_test(exact_majorities),
        cmocka_unit_test(exact_is_never_a_guess),
        cmocka_unit_test(exact_checks_its_arguments),
        cmocka_unit_test(exact_of_nothing_agrees),
        cmocka_unit_test(exact_compares_bytes),
        cmocka_unit_test(exact_sees_every_byte),
        cmocka_unit_test(exact_of_the_most_ballots),
        cmocka_unit_test(tally_decides_as_soon_as_it_can),
        cmocka_unit_test(tally_counts_nobody_twice),
        cmocka_unit_test(tally_with_two_winners_has_none),
        cmocka_unit_test(tally_checks_its_arguments),
        cmocka_unit_test(tolerance_is_kept_to_the_bit),
        cmocka_unit_test(tolerance_is_measured_at_the_candidate),
        cmocka_unit_test(neighbours_are_not_chained),
        cmocka_unit_test(what_is_not_finite_agrees_with_nothing),
        cmocka_unit_test(two_camps_are_an_error),
        cmocka_unit_test(straddling_liars_do_not_stop_the_vote),
        cmocka_unit_test(tolerant_checks_its_arguments),
        cmocka_unit_test(tolerant_sees_every_coordinate),
        cmocka_unit_test(an_adversary_moves_no_more_than_the_tolerance),
        cmocka_unit_test(every_comparison_the_same),
    };
    return cmocka_run_group_tests_name("vote", tests, NULL, NULL);
}
