/* A million random small votes of each kind against a naive oracle that follows the definitions word by word.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <string.h>

#define DRACO_VOTE_IMPLEMENTATION
#include "draco_vote.h"

#define VOTES 1000000
#define MOST 9   /* ballots */
#define LENGTH 3 /* bytes or floats of each */

static uint64_t state;

static uint64_t draw(uint64_t below) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % below;
}

typedef struct outcome {
    draco_status status;
    size_t winner;
    draco_verdict verdicts[MOST];
} outcome;

typedef struct outcomes {
    int decided, ambiguous, none, undecided;
} outcomes;

static void count(outcomes *t, const outcome *o, size_t n) {
    t->decided += o->status == DRACO_OK;
    t->ambiguous += o->status == DRACO_E_AMBIGUOUS;
    t->none += o->status == DRACO_E_NO_MAJORITY;
    for (size_t i = 0; o->status == DRACO_OK && i < n; i++) t->undecided += o->verdicts[i] == DRACO_UNDECIDED;
}

static outcome untouched(void) {
    outcome o;
    memset(&o, 0, sizeof o);
    o.winner = 99;
    for (int i = 0; i < MOST; i++) o.verdicts[i] = DRACO_MALFORMED;
    return o;
}

static void same(const outcome *a, const outcome *b, size_t n) {
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->winner, b->winner);
    for (size_t i = 0; i < n; i++) assert_int_equal(a->verdicts[i], b->verdicts[i]);
}

/* agree[i][j]: ballot j agrees with candidate i. From this all votes follow. */
typedef struct relation {
    size_t n, quorum;
    int present[MOST], agree[MOST][MOST];
} relation;

static size_t size_of_camp(const relation *r, size_t i) {
    size_t size = 0;
    for (size_t j = 0; j < r->n; j++) size += (size_t)(r->present[i] && r->present[j] && r->agree[i][j]);
    return r->agree[i][i] ? size : 0;
}

static int share_a_member(const relation *r, size_t a, size_t b) {
    int shared = 0;
    for (size_t j = 0; j < r->n; j++) shared |= r->present[j] && r->agree[a][j] && r->agree[b][j];
    return shared;
}

static outcome expected(const relation *r) {
    outcome o = untouched();
    size_t winner = 0, present = 0;
    int apart = 0, all_but_s = 0;
    while (winner < r->n && size_of_camp(r, winner) < r->quorum) winner++;
    o.status = DRACO_E_NO_MAJORITY;
    if (winner == r->n) return o;
    for (size_t i = 0; i < r->n; i++) present += (size_t)r->present[i];
    for (size_t i = 0; i < r->n; i++) {
        if (size_of_camp(r, i) >= r->quorum && !r->agree[winner][i]) apart |= !share_a_member(r, winner, i);
        all_but_s |= size_of_camp(r, i) + r->quorum - 1 >= present;
    }
    o.status = DRACO_E_AMBIGUOUS;
    if (apart && !all_but_s) return o;
    o.status = DRACO_OK;
    o.winner = winner;
    for (size_t i = 0; i < r->n; i++) {
        if (!r->present[i])
            o.verdicts[i] = DRACO_ABSENT;
        else if (r->agree[winner][i])
            o.verdicts[i] = DRACO_AGREES;
        else
            o.verdicts[i] = size_of_camp(r, i) >= r->quorum ? DRACO_UNDECIDED : DRACO_BLAMED;
    }
    return o;
}

/* The exact rule is stricter than the tolerant one: two values with a quorum are always an error. */
static outcome expected_exact(const relation *r) {
    outcome o = expected(r);
    for (size_t i = 0; o.status == DRACO_OK && i < r->n; i++) {
        if (r->present[i] && !r->agree[o.winner][i] && size_of_camp(r, i) >= r->quorum) {
            o = untouched();
            o.status = DRACO_E_AMBIGUOUS;
        }
    }
    return o;
}

/* ---- Exact vote and tally ---- */

typedef struct letters {
    relation r;
    char bytes[MOST][LENGTH];
    const void *ballots[MOST];
} letters;

static void random_letters(letters *v) {
    uint64_t alphabet = 1 + draw(3), gone = draw(6);
    memset(v, 0, sizeof *v);
    v->r.n = 1 + (size_t)draw(MOST);
    v->r.quorum = 1 + (size_t)draw(v->r.n);
    for (size_t i = 0; i < v->r.n; i++) {
        for (int j = 0; j < LENGTH; j++) v->bytes[i][j] = (char)('a' + (draw(3) ? 0 : draw(alphabet)));
        v->r.present[i] = draw(6) >= gone;
        v->ballots[i] = v->r.present[i] ? v->bytes[i] : NULL;
    }
    for (size_t i = 0; i < v->r.n; i++) {
        for (size_t j = 0; j < v->r.n; j++) v->r.agree[i][j] = !memcmp(v->bytes[i], v->bytes[j], LENGTH);
    }
}

static void exact_votes(void **unused) {
    (void)unused;
    outcomes t = {0, 0, 0, 0};
    state = 1;
    for (int k = 0; k < VOTES; k++) {
        letters v;
        random_letters(&v);
        outcome want = expected_exact(&v.r), got = untouched();
        got.status = draco_vote_exact(v.ballots, v.r.n, LENGTH, v.r.quorum, &got.winner, got.verdicts);
        same(&got, &want, v.r.n);
        count(&t, &want, v.r.n);
    }
    assert_true(t.decided > VOTES / 10 && t.ambiguous > VOTES / 100 && t.none > VOTES / 10);
}

/* Casts in a random order; at each step the answer is that of the vote over what has come so far. */
static void cast_all(letters *v, outcome *got) {
    draco_verdict memory[2 * MOST];
    draco_tally tally;
    size_t order[MOST] = {0};
    relation so_far = v->r;
    memset(so_far.present, 0, sizeof so_far.present);
    assert_int_equal(draco_tally_open(&tally, v->r.n, LENGTH, v->r.quorum, memory), DRACO_OK);
    for (size_t i = 0; i < v->r.n; i++) {
        size_t j = (size_t)draw(i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (size_t i = 0; i < v->r.n; i++) {
        size_t voter = order[i];
        if (!v->r.present[voter]) {
            if (draw(2)) assert_int_equal(draco_tally_spoil(&tally, voter, DRACO_ABSENT), DRACO_OK);
            continue;
        }
        so_far.present[voter] = 1;
        outcome now = expected_exact(&so_far);
        draco_status status = draco_tally_cast(&tally, voter, v->bytes[voter]);
        assert_int_equal(status, now.status == DRACO_E_NO_MAJORITY ? DRACO_MORE : now.status);
        if (status == DRACO_OK) assert_int_equal(tally.decided, now.winner);
        if (draw(4) == 0) assert_int_equal(draco_tally_cast(&tally, voter, "zzz"), DRACO_E_ARGUMENT);
    }
    got->status = draco_tally_close(&tally, &got->winner, got->verdicts);
}

static void ballot_boxes(void **unused) {
    (void)unused;
    outcomes t = {0, 0, 0, 0};
    state = 2;
    for (int k = 0; k < VOTES; k++) {
        letters v;
        random_letters(&v);
        outcome want = expected_exact(&v.r), got = untouched();
        cast_all(&v, &got);
        same(&got, &want, v.r.n);
        count(&t, &want, v.r.n);
    }
    assert_true(t.decided > VOTES / 10 && t.ambiguous > VOTES / 100 && t.none > VOTES / 10);
}

/* ---- Tolerant vote ---- */

typedef struct numbers {
    relation r;
    float abs_tol, rel_tol;
    float values[MOST][LENGTH];
    const float *ballots[MOST];
} numbers;

/* Mostly small multiples of 1/4, so that differences fall on the tolerance as often as beside it. */
static float random_number(int spread) {
    static const float odd[] = {-0.0f, NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, 1e-45f, 0.2500001f};
    if (draw(60) == 0) return odd[draw(sizeof odd / sizeof *odd)];
    return 0.25f * (float)draw((uint64_t)spread);
}

static int near(const numbers *v, size_t i, size_t j) {
    for (int k = 0; k < LENGTH; k++) {
        double a = (double)v->values[i][k], b = (double)v->values[j][k];
        if (!isfinite(a) || !isfinite(b)) return 0;
        if (fabs(a - b) > (double)v->abs_tol + (double)v->rel_tol * fabs(a)) return 0;
    }
    return 1;
}

static void random_numbers(numbers *v) {
    static const float tolerances[] = {0, 0, 0.25f, 0.5f, 0.75f};
    uint64_t gone = draw(6);
    int spread = 1 + (int)draw(8);
    memset(v, 0, sizeof *v);
    v->abs_tol = tolerances[draw(5)];
    v->rel_tol = tolerances[draw(4)];
    v->r.n = 1 + (size_t)draw(MOST);
    v->r.quorum = 1 + (size_t)draw(v->r.n);
    for (size_t i = 0; i < v->r.n; i++) {
        float first = random_number(spread);
        for (int k = 0; k < LENGTH; k++) v->values[i][k] = draw(4) ? first : random_number(spread);
        v->r.present[i] = draw(8) >= gone;
        v->ballots[i] = v->r.present[i] ? v->values[i] : NULL;
    }
    for (size_t i = 0; i < v->r.n; i++) {
        for (size_t j = 0; j < v->r.n; j++) v->r.agree[i][j] = near(v, i, j);
    }
}

static void tolerant_votes(void **unused) {
    (void)unused;
    outcomes t = {0, 0, 0, 0};
    state = 3;
    for (int k = 0; k < VOTES; k++) {
        numbers v;
        random_numbers(&v);
        outcome want = expected(&v.r), got = untouched();
        got.status = draco_vote_tolerant(v.ballots, v.r.n, LENGTH, v.abs_tol, v.rel_tol, v.r.quorum,
                                         &got.winner, got.verdicts);
        same(&got, &want, v.r.n);
        count(&t, &want, v.r.n);
    }
    assert_true(t.decided > VOTES / 10 && t.none > VOTES / 10);
    assert_true(t.ambiguous > VOTES / 200 && t.undecided > VOTES / 200);
}

/* The promise, with s liars among honest ballots that agree with each other: decided, nobody honest blamed,
 * and the winner within the tolerance of an honest ballot in every coordinate. */
static void tolerant_promise(void **unused) {
    (void)unused;
    state = 4;
    for (int k = 0; k < VOTES; k++) {
        numbers v;
        random_numbers(&v);
        size_t honest = 0, winner = 0, liars = v.r.quorum - 1;
        int clique = 1, lies[MOST] = {0}, close = 0;
        draco_verdict verdicts[MOST];
        for (size_t i = 0; i < v.r.n; i++) {
            lies[i] = v.r.present[i] && liars > 0 && draw(2) != 0;
            liars -= (size_t)lies[i];
            honest += (size_t)(v.r.present[i] && !lies[i]);
        }
        for (size_t i = 0; i < v.r.n; i++) {
            for (size_t j = 0; j < v.r.n; j++)
                clique &= !v.r.present[i] || !v.r.present[j] || lies[i] || lies[j] || v.r.agree[i][j];
        }
        if (!clique || honest < v.r.quorum) continue;
        assert_int_equal(draco_vote_tolerant(v.ballots, v.r.n, LENGTH, v.abs_tol, v.rel_tol, v.r.quorum,
                                             &winner, verdicts),
                         DRACO_OK);
        for (size_t i = 0; i < v.r.n; i++) {
            if (!v.r.present[i] || lies[i]) continue;
            assert_int_not_equal(verdicts[i], DRACO_BLAMED);
            close |= v.r.agree[winner][i];
        }
        assert_true(close);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_votes),
        cmocka_unit_test(ballot_boxes),
        cmocka_unit_test(tolerant_votes),
        cmocka_unit_test(tolerant_promise),
    };
    return cmocka_run_group_tests_name("vote properties", tests, NULL, NULL);
}
