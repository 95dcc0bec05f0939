/* The stress table: every code of a list, liars side by side and at random, every kind of lie, both fields.
 * DRACO_STRESS=full runs ten times as many trials and prints the table. */
#include "support/codes_helpers.h"

#define D 3001

enum {
    HONEST,
    REVERSE,
    CONSTANT,
    UNIT,
    SAME,
    SMALL,
    TINY,
    MIXED,
    NOT_A_NUMBER,
    ONE,
    ORTHOGONAL,
    NEIGHBOUR,
    LAST_STEP,
    KINDS
};
static const char *const kind_names[] = {"honest",     "reverse",   "constant", "unit", "same",
                                         "small",      "tiny",      "mixed",    "nan",  "one",
                                         "orthogonal", "neighbour", "last step"};

typedef struct attack {
    int kind;
    double typical;      /* mean modulus of an honest coordinate */
    const float *shared; /* what colluding liars add */
    const float *guess;  /* a guessed projection vector */
    const step *now, *before;
} attack;

static void lie_complex(const attack *a, int liar, float *m, uint64_t *rng) {
    size_t h = a->now->bytes / 4;
    double scale = a->typical, along = 0, size = 0;
    if (a->kind == SMALL) scale *= 1e-3;
    if (a->kind == TINY) scale *= 1e-5;
    if (a->kind == MIXED) scale *= pow(10, -3 + 9 * rng_unit(rng));
    if (a->kind == NOT_A_NUMBER) m[11] = liar % 2 ? (float)NAN : (float)INFINITY;
    if (a->kind == ONE) m[rng_below(rng, (int)h)] += (float)(100 * scale);
    if (a->kind == NEIGHBOUR) memcpy(m, step_message(a->now, (liar + 1) % a->now->code.n), a->now->bytes);
    if (a->kind == LAST_STEP) memcpy(m, step_message(a->before, liar), a->now->bytes);
    if (a->kind == NOT_A_NUMBER || a->kind == ONE || a->kind == NEIGHBOUR || a->kind == LAST_STEP) return;
    for (size_t c = 0; c < h; c++) {
        if (a->kind == REVERSE)
            m[c] *= -100;
        else if (a->kind == CONSTANT)
            m[c] = -100;
        else if (a->kind == SAME)
            m[c] += (float)scale * a->shared[c];
        else if (a->kind != ORTHOGONAL)
            m[c] += (float)scale * rng_normal(rng);
    }
    if (a->kind != ORTHOGONAL) return;
    for (size_t c = 0; c < h; c++) {
        along += (double)a->shared[c] * (double)a->guess[c];
        size += (double)a->guess[c] * (double)a->guess[c];
    }
    for (size_t c = 0; c < h; c++)
        m[c] += (float)(scale * ((double)a->shared[c] - along / size * (double)a->guess[c]));
}

static void lie_prime(const attack *a, int liar, uint32_t *m, uint64_t *rng) {
    const uint32_t p = 0x7fffffff;
    size_t d = a->now->d;
    int size = a->kind == SMALL ? 1000 : a->kind == TINY ? 2 : 1 << rng_below(rng, 30);
    if (a->kind == NOT_A_NUMBER) m[11] = liar % 2 ? p : 0xffffffffu;
    if (a->kind == ONE) m[rng_below(rng, (int)d)] ^= 1;
    if (a->kind == NEIGHBOUR) memcpy(m, step_message(a->now, (liar + 1) % a->now->code.n), a->now->bytes);
    if (a->kind == LAST_STEP) memcpy(m, step_message(a->before, liar), a->now->bytes);
    if (a->kind == ONE) {
        for (size_t c = 0; c < d; c++)
            if (m[c] >= p) m[c] = 0;
    }
    if (a->kind == NOT_A_NUMBER || a->kind == ONE || a->kind == NEIGHBOUR || a->kind == LAST_STEP) return;
    for (size_t c = 0; c < d; c++) {
        uint64_t v = m[c];
        if (a->kind == REVERSE)
            v = v * (p - 100);
        else if (a->kind == CONSTANT)
            v = p - 100;
        else if (a->kind == SAME || a->kind == ORTHOGONAL)
            v += (uint64_t)(int64_t)((double)a->shared[c] * 1e4 + 1e6);
        else if (a->kind == UNIT)
            v = rng_next(rng) % p;
        else
            v += (uint64_t)rng_below(rng, size + 1);
        m[c] = (uint32_t)(v % p);
    }
}

typedef struct tally {
    int trials, named, misnamed, failed, wrong;
    int wronged, beyond; /* honest workers blamed; sums that err by more than the report says */
    double error, gain, residual;
} tally;

typedef struct scene {
    draco_code code;
    const void **rows;
    unsigned char *lies; /* n x bytes */
    void *work;
    float *sum;
    draco_verdict *verdicts;
} scene;

/* Where everybody holds every part all messages are equal (complex: up to rounding): a neighbour's is no lie.
 */
static int is_lie(const scene *s, const attack *a, int worker) {
    const unsigned char *lie = s->lies + (size_t)worker * a->now->bytes,
                        *message = step_message(a->now, worker);
    if (a->kind == NEIGHBOUR && s->code.r == s->code.n) return 0;
    return memcmp(lie, message, a->now->bytes) != 0;
}

/* Do the verdicts name exactly these liars (or, NaN, find exactly them malformed) and these missing? */
static int names_exactly(const scene *s, const attack *a, const int *chosen, int liars, int missing) {
    for (int i = 0; i < s->code.n; i++) {
        draco_verdict want = DRACO_AGREES;
        for (int k = 0; k < liars; k++)
            if (chosen[k] == i && is_lie(s, a, i))
                want = a->kind == NOT_A_NUMBER ? DRACO_MALFORMED : DRACO_BLAMED;
        for (int k = liars; k < liars + missing; k++)
            if (chosen[k] == i) want = DRACO_ABSENT;
        if (s->verdicts[i] != want) return 0;
    }
    return 1;
}

static void trial(scene *s, const attack *a, const int *chosen, int liars, int missing, uint64_t *rng,
                  tally *t) {
    const step *now = a->now;
    draco_seed seed = rng_seed(rng);
    draco_report report = {0};
    draco_status status;
    int prime = s->code.field == DRACO_FIELD_PRIME;
    for (int i = 0; i < s->code.n; i++) s->rows[i] = step_message(now, i);
    for (int k = 0; k < liars; k++) {
        unsigned char *m = s->lies + (size_t)chosen[k] * now->bytes;
        memcpy(m, step_message(now, chosen[k]), now->bytes);
        if (prime)
            lie_prime(a, chosen[k], (uint32_t *)(void *)m, rng);
        else
            lie_complex(a, chosen[k], (float *)(void *)m, rng);
        s->rows[chosen[k]] = m;
    }
    for (int k = liars; k < liars + missing; k++) s->rows[chosen[k]] = NULL;
    status = draco_decode(&s->code, &seed, s->rows, now->d, prime ? now->exponents : NULL, s->work, s->sum,
                          s->verdicts, &report);
    t->trials++;
    for (int i = 0; i < s->code.n; i++)
        t->wronged += s->verdicts[i] == DRACO_BLAMED && s->rows[i] == step_message(now, i);
    if (report.residual > t->residual) t->residual = report.residual;
    if (status < 0) {
        t->failed++;
        return;
    }
    if (names_exactly(s, a, chosen, liars, missing))
        t->named++;
    else
        t->misnamed++;
    double error = relative_error(s->sum, now->sum, now->d);
    if (prime && memcmp(s->sum, now->sum, now->d * sizeof(float))) t->wrong++;
    if (error > t->error || isnan(error)) t->error = error;
    t->beyond += !prime && !(error <= report.error);
    if (report.gain > t->gain) t->gain = report.gain;
}

static const int table[][3] = {{5, 1, 0},  {7, 3, 0},  {9, 2, 0},  {15, 3, 0},  {15, 7, 0},   {20, 3, 2},
                               {45, 1, 0}, {45, 3, 0}, {45, 5, 0}, {45, 10, 0}, {45, 4, 2},   {45, 2, 6},
                               {46, 5, 0}, {64, 8, 0}, {64, 4, 3}, {101, 5, 2}, {101, 10, 0}, {101, 7, 6}};
#define CODES (sizeof table / sizeof table[0])

static int full(void) {
    const char *how = getenv("DRACO_STRESS");
    return how && !strcmp(how, "full");
}

/* All kinds of lies for one code, field and placing. side: liars stand side by side. mixed: any numbers of
 * liars and missing that the code carries. */
static void run(draco_code code, int side, int mixed, int trials, tally tallies[KINDS], uint64_t *rng) {
    scene s = {.code = code};
    step before = step_new(code, D, rng);
    float *vectors = malloc(2 * (before.bytes + 8));
    s.rows = malloc((size_t)code.n * sizeof *s.rows);
    s.lies = malloc((size_t)code.n * before.bytes);
    s.work = malloc(draco_decode_work_bytes(&code));
    s.sum = malloc(D * sizeof(float));
    s.verdicts = malloc((size_t)code.n * sizeof *s.verdicts);
    memset(tallies, 0, KINDS * sizeof *tallies);
    for (int i = 0; i < trials; i++) {
        step now = step_new(code, D, rng);
        attack a = {.now = &now, .before = &before, .shared = vectors, .guess = vectors + D + 1};
        int chosen[DRACO_MAX_WORKERS], q = 2 * code.s + code.t, liars = code.s, missing = code.t;
        for (size_t c = 0; c < 2 * (D + 1); c++) vectors[c] = rng_normal(rng);
        for (size_t c = 0; c < now.d && code.field == DRACO_FIELD_COMPLEX; c++)
            a.typical += fabs((double)((float *)(void *)now.messages)[c]) / (double)now.d;
        if (mixed) {
            liars = rng_below(rng, q / 2 + 1);
            missing = rng_below(rng, q - 2 * liars + 1);
        }
        choose(chosen, liars + missing, code.n, side, rng);
        for (a.kind = HONEST; a.kind < KINDS; a.kind++) {
            int e = a.kind == HONEST ? 0 : liars;
            trial(&s, &a, chosen + liars - e, e, missing, rng, &tallies[a.kind]);
        }
        step_free(&before);
        before = now;
    }
    step_free(&before);
    free(vectors);
    free(s.rows);
    free(s.lies);
    free(s.work);
    free(s.sum);
    free(s.verdicts);
}

static void print_table(const draco_code *code, const char *placing, const tally tallies[KINDS]) {
    print_message("%d %d %d %s:", code->n, code->s, code->t, placing);
    for (int k = 0; k < KINDS; k++)
        print_message(" %s %d/%d/%d e%.0e g%.1f r%.2f", kind_names[k], tallies[k].named, tallies[k].misnamed,
                      tallies[k].failed, tallies[k].error, tallies[k].gain, tallies[k].residual);
    print_message("\n");
}

/* No honest worker is blamed and no sum errs by more than its report says, whatever is sent. Large codes refuse
   some rounds in which all s lie: up to a quarter where they stand side by side, a sixth elsewhere. */
static void complex_field(int side, const char *placing) {
    int trials = 0, failed = 0;
    uint64_t rng = 1 + (uint64_t)side;
    for (size_t k = 0; k < CODES; k++) {
        tally t[KINDS];
        draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, table[k][0],
                                  table[k][1], table[k][2]);
        run(code, side, 0, full() ? 30 : 3, t, &rng);
        if (full()) print_table(&code, placing, t);
        for (int kind = 0; kind < KINDS; kind++) {
            assert_int_equal(t[kind].wronged, 0);
            assert_int_equal(t[kind].beyond, 0);
            if (kind == HONEST) assert_int_equal(t[kind].failed, 0);
            if (code.n <= 20) assert_int_equal(t[kind].failed, 0);
            trials += t[kind].trials;
            failed += t[kind].failed;
        }
    }
    if (full()) print_message("%s: %d of %d refused\n", placing, failed, trials);
    assert_true(failed * (side ? 4 : 6) <= trials);
}

static void complex_random(void **state) {
    (void)state;
    complex_field(0, "random");
}

static void complex_side_by_side(void **state) {
    (void)state;
    complex_field(1, "side by side");
}

static void prime_field(int side, int mixed) {
    uint64_t rng = 3 + (uint64_t)side;
    for (size_t k = 0; k < CODES; k++) {
        tally t[KINDS];
        draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_PRIME, DRACO_SUPPORT_SPREAD, table[k][0],
                                  table[k][1], table[k][2]);
        run(code, side, mixed, full() ? 30 : 3, t, &rng);
        if (full()) print_table(&code, side ? "prime, side by side" : "prime, random", t);
        for (int kind = 0; kind < KINDS; kind++) {
            assert_int_equal(t[kind].wrong, 0);
            assert_int_equal(t[kind].failed, 0);
            assert_int_equal(t[kind].misnamed, 0);
        }
    }
}

static void prime_random(void **state) {
    (void)state;
    prime_field(0, 0);
}

static void prime_side_by_side(void **state) {
    (void)state;
    prime_field(1, 0);
}

static void prime_any_mixture(void **state) {
    (void)state;
    prime_field(0, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complex_random),    cmocka_unit_test(complex_side_by_side),
        cmocka_unit_test(prime_random),      cmocka_unit_test(prime_side_by_side),
        cmocka_unit_test(prime_any_mixture),
    };
    return cmocka_run_group_tests_name("stress table of the cyclic code", tests, NULL, NULL);
}
