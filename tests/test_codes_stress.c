/* Hostile rounds of the cyclic code, with a seed of their own in every run (the first line prints it; DRACO_STRESS_SEED
 * repeats it): every code of a list, every kind of gradient and of lie, liars at random, side by side and in
 * alternating places, both fields; and a liar that searches. DRACO_STRESS=full: 3,800 rounds a code, and a table. */
#include "support/codes_adversary.h"

/* ---- Lies: one kind is a row, with what it does to a message in each field ---- */

#define P 0x7fffffffu

typedef struct lie {
    const char *name;
    void (*plan)(attack *a, uint64_t *rng); /* once a round, before the first liar; may be NULL */
    void (*real)(attack *a, int liar, float *m, uint64_t *rng);
    void (*modular)(attack *a, int liar, uint32_t *m, uint64_t *rng);
} lie;

/* The root mean square of an honest word. */
static double typical(const attack *a) {
    return a->norm / sqrt((double)words(a));
}

static void add_noise(attack *a, float *m, double size, uint64_t *rng) {
    for (size_t c = 0; c < words(a); c++)
        m[c] = (float)((double)m[c] + size * typical(a) * (double)rng_normal(rng));
}

/* Up to `bound` to every word. */
static void add_residues(attack *a, uint32_t *m, int bound, uint64_t *rng) {
    for (size_t c = 0; c < words(a); c++) m[c] = (uint32_t)((m[c] + (uint64_t)rng_below(rng, bound) + 1) % P);
}

static void reverse(attack *a, int liar, float *m, uint64_t *rng) {
    (void)liar, (void)rng;
    for (size_t c = 0; c < words(a); c++) m[c] *= -100;
}
static void reverse_residues(attack *a, int liar, uint32_t *m, uint64_t *rng) {
    (void)liar, (void)rng;
    for (size_t c = 0; c < words(a); c++) m[c] = (uint32_t)((uint64_t)m[c] * (P - 100) % P);
}

static void constant(attack *a, int liar, float *m, uint64_t *rng) {
    (void)liar, (void)rng;
    for (size_t c = 0; c < words(a); c++) m[c] = -100;
}
static void constant_residues(attack *a, int liar, uint32_t *m, uint64_t *rng) {
    (void)liar, (void)rng;
    for (size_t c = 0; c < words(a); c++) m[c] = P - 100;
}

static void zeros(attack *a, int liar, float *m, uint64_t *rng) {
    (void)liar, (void)rng;
    memset(m, 0, a->now->bytes);
}
static void zero_residues(attack *a, int liar, uint32_t *m, uint64_t *rng) {
    (void)liar, (void)rng;
    memset(m, 0, a->now->bytes);
}

static void unit(attack *a, int liar, float *m, uint64_t *rng) {
    (void)liar;
    add_noise(a, m, 1, rng);
}
static void any_residues(attack *a, int liar, uint32_t *m, uint64_t *rng) {
    (void)liar;
    for (size_t c = 0; c < words(a); c++) m[c] = (uint32_t)(rng_next(rng) % P);
}

static void small(attack *a, int liar, float *m, uint64_t *rng) {
    (void)liar;
    add_noise(a, m, 1e-3, rng);
}
static void small_residues(attack *a, int liar, uint32_t *m, uint64_t *rng) {
    (void)liar;
    add_residues(a, m, 1000, rng);
}

static void tiny(attack *a, int liar, float *m, uint64_t *rng) {
    (void)liar;
    add_noise(a, m, 1e-5, rng);
}
static void tiny_residues(attack *a, int liar, uint32_t *m, uint64_t *rng) {
    (void)liar;
    add_residues(a, m, 1, rng);
}

/* About as large as rounding. */
static void near(attack *a, int liar, float *m, uint64_t *rng) {
    (void)liar;
    add_noise(a, m, log_uniform(rng, 1e-9, 1e-5), rng);
}

static void mixed(attack *a, int liar, float *m, uint64_t *rng) {
    (void)liar;
    add_noise(a, m, log_uniform(rng, 1e-3, 1e6), rng);
}
static void mixed_residues(attack *a, int liar, uint32_t *m, uint64_t *rng) {
    (void)liar;
    add_residues(a, m, 1 << rng_below(rng, 30), rng);
}

static void immense(attack *a, int liar, float *m, uint64_t *rng) {
    (void)liar;
    for (size_t c = 0; c < words(a); c++) m[c] = 1e30f * rng_normal(rng);
}

static void not_finite(attack *a, int liar, float *m, uint64_t *rng) {
    m[rng_below(rng, (int)words(a))] = liar % 2 ? (float)NAN : (float)INFINITY;
}
static void no_residue(attack *a, int liar, uint32_t *m, uint64_t *rng) {
    m[rng_below(rng, (int)words(a))] = liar % 2 ? P : 0xffffffffu;
}

/* In the prime field a flipped bit may give a word that is no residue: malformed, as above. */
static void one_bit(attack *a, int liar, float *m, uint64_t *rng) {
    uint32_t bits;
    (void)liar;
    m += rng_below(rng, (int)words(a));
    memcpy(&bits, m, 4);
    bits ^= 1u << rng_below(rng, 32);
    memcpy(m, &bits, 4);
}
static void one_unit(attack *a, int liar, uint32_t *m, uint64_t *rng) {
    (void)liar;
    m += rng_below(rng, (int)words(a));
    *m = (*m + 1 + (uint32_t)rng_below(rng, 2) * (P - 2)) % P;
}

static void one_word(attack *a, int liar, float *m, uint64_t *rng) {
    (void)liar;
    m[rng_below(rng, (int)words(a))] += (float)(100 * typical(a));
}
static void one_residue(attack *a, int liar, uint32_t *m, uint64_t *rng) {
    (void)liar;
    m[rng_below(rng, (int)words(a))] = (uint32_t)(rng_next(rng) % P);
}

/* The last tenth of the coordinates. */
static void few_words(attack *a, int liar, float *m, uint64_t *rng) {
    (void)liar, (void)rng;
    for (size_t c = words(a) - 1 - words(a) / 10; c < words(a); c++) m[c] *= -100;
}
static void few_residues(attack *a, int liar, uint32_t *m, uint64_t *rng) {
    (void)liar;
    for (size_t c = words(a) - 1 - words(a) / 10; c < words(a); c++) m[c] = (uint32_t)(rng_next(rng) % P);
}

static void neighbour(attack *a, int liar, float *m, uint64_t *rng) {
    (void)rng;
    memcpy(m, step_message(a->now, (liar + 1) % a->now->code.n), a->now->bytes);
}
static void neighbour_residues(attack *a, int liar, uint32_t *m, uint64_t *rng) {
    (void)rng;
    memcpy(m, step_message(a->now, (liar + 1) % a->now->code.n), a->now->bytes);
}

static void last_round(attack *a, int liar, float *m, uint64_t *rng) {
    (void)rng;
    memcpy(m, step_message(a->before, liar), a->now->bytes);
}
static void last_residues(attack *a, int liar, uint32_t *m, uint64_t *rng) {
    (void)rng;
    memcpy(m, step_message(a->before, liar), a->now->bytes);
}

/* ---- Lies in collusion: one vector, times a number for each liar ---- */

static int place_of(const attack *a, int liar) {
    int k = 0;
    while (a->places[k] != liar) k++;
    return k;
}

static void planned(attack *a, int liar, float *m, uint64_t *rng) {
    (void)rng;
    add_planned(a, place_of(a, liar), m, 1);
}

/* A codeword that differs from 0 at the liars and as many more workers as it takes: the liars' part of it. */
static void codeword_residues(attack *a, int liar, uint32_t *m, uint64_t *rng) {
    uint64_t value = adversary_residue(&a->now->code, a->places, place_of(a, liar)) * 987654321 % P;
    (void)rng;
    for (size_t c = 0; c < words(a); c++)
        m[c] = (uint32_t)((m[c] + value * (1 + (uint64_t)fabs((double)a->guess[c]))) % P);
}

static void plan_same(attack *a, uint64_t *rng) {
    double size = log_uniform(rng, 1e-6, 1e3);
    for (int k = 0; k < a->liars; k++) a->e[k] = size;
}

static void plan_independent(attack *a, uint64_t *rng) {
    for (int k = 0; k < a->liars; k++)
        a->e[k] = log_uniform(rng, 1e-6, 1e3) * cexp(6.2831853 * I * rng_unit(rng));
}

/* Nothing of it shows in a guessed projection. */
static void plan_orthogonal(attack *a, uint64_t *rng) {
    double complex along = 0;
    double square = 0;
    for (size_t c = 0; c < words(a) / 2; c++) {
        double complex g = (double)a->guess[2 * c] + I * (double)a->guess[2 * c + 1];
        along += conj(g) * a->direction[c];
        square += creal(conj(g) * g);
    }
    for (size_t c = 0; c < words(a) / 2; c++)
        a->direction[c] -= along / square * ((double)a->guess[2 * c] + I * (double)a->guess[2 * c + 1]);
    plan_same(a, rng);
}

static void plan_least_of_any_size(attack *a, uint64_t *rng) {
    plan_least(a, log_uniform(rng, 1e-7, 1e3));
}

static void plan_half(attack *a, uint64_t *rng) {
    plan_solved(a, log_uniform(rng, 0.01, 10), rng_below(rng, 2) ? 0 : 1e-6);
}

static void plan_codeword(attack *a, uint64_t *rng) {
    double size = log_uniform(rng, 1e-6, 1e3);
    adversary_neighbours(&a->now->code, a->places, a->liars, a->now->code.r - a->liars);
    adversary_codeword(&a->now->code, a->places, a->e);
    for (int k = 0; k < a->liars; k++) a->e[k] *= size;
}

/* The prime field knows no size: there lies in collusion that are to look like rounding are those of a codeword. */
static const lie lies[] = {
    {"reverse", NULL, reverse, reverse_residues},
    {"constant", NULL, constant, constant_residues},
    {"zeros", NULL, zeros, zero_residues},
    {"unit", NULL, unit, any_residues},
    {"small", NULL, small, small_residues},
    {"tiny", NULL, tiny, tiny_residues},
    {"near", NULL, near, one_unit},
    {"mixed", NULL, mixed, mixed_residues},
    {"immense", NULL, immense, any_residues},
    {"not a number", NULL, not_finite, no_residue},
    {"one bit", NULL, one_bit, one_unit},
    {"one word", NULL, one_word, one_residue},
    {"few words", NULL, few_words, few_residues},
    {"neighbour", NULL, neighbour, neighbour_residues},
    {"last round", NULL, last_round, last_residues},
    {"same", plan_same, planned, codeword_residues},
    {"independent", plan_independent, planned, codeword_residues},
    {"orthogonal", plan_orthogonal, planned, codeword_residues},
    {"least", plan_least_of_any_size, planned, codeword_residues},
    {"half", plan_half, planned, codeword_residues},
    {"codeword", plan_codeword, planned, codeword_residues},
};
enum { LIES = sizeof lies / sizeof lies[0] };

/* ---- Rounds ---- */

static const int table[][3] = {{5, 1, 0},   {9, 2, 0},   {15, 3, 0},   {15, 2, 4}, {20, 3, 2},
                               {23, 4, 3},  {31, 10, 0}, {45, 5, 0},   {45, 2, 6}, {45, 0, 8},
                               {45, 10, 0}, {64, 8, 0},  {101, 10, 0}, {127, 6, 4}};
enum { CODES = sizeof table / sizeof table[0] };

enum { ANYWHERE, SIDE_BY_SIDE, ALTERNATING, PLACINGS };

static void choose_placed(int *chosen, int count, int n, int placing, uint64_t *rng) {
    int first = rng_below(rng, n);
    if (placing != ALTERNATING) {
        choose(chosen, count, n, placing == SIDE_BY_SIDE, rng);
        return;
    }
    for (int i = 0; i < count; i++) chosen[i] = (first + 2 * i) % n;
}

/* As many liars and missing as the code is made for, or any mixture that it carries. */
static void choose_numbers(const draco_code *code, int *liars, int *missing, uint64_t *rng) {
    int q = code->r - 1;
    *liars = code->s;
    *missing = code->t;
    if (rng_below(rng, 2)) return;
    *liars = rng_below(rng, q / 2 + 1);
    *missing = rng_below(rng, q - 2 * *liars + 1);
}

static size_t any_size(uint64_t *rng) {
    int kind = rng_below(rng, 10);
    return kind < 4 ? (size_t)(1 + rng_below(rng, 64)) : kind < 9 ? 200 : 5000;
}

/* Prime field: the exact bits, and every verdict. */
static int is_exact(const bench *b, const step *now, draco_status status) {
    int right = status == DRACO_OK || (status == DRACO_UNVERIFIED && b->report.spare == 0);
    for (int i = 0; i < b->code.n; i++) {
        draco_verdict v = b->verdicts[i];
        right &= !b->messages[i]     ? v == DRACO_ABSENT
                 : is_lie(b, now, i) ? v == DRACO_BLAMED || v == DRACO_MALFORMED
                                     : v == DRACO_AGREES;
    }
    return right && memcmp(b->sum, now->sum, now->d * sizeof(float)) == 0;
}

/* `count` rounds, ten with each gradient: all kinds of lies in turn, and one round in which nobody lies. */
static void hostile_rounds(draco_code code, int count, uint64_t *rng, tally kinds[LIES + 1], int *inexact) {
    step steps[2];
    bench b;
    attack a;
    for (int i = 0; i < count; i++) {
        int chosen[DRACO_MAX_WORKERS], liars = 0, missing = 0, kind = i % (LIES + 1) - 1;
        if (i % 10 == 0) {
            size_t d = any_size(rng);
            int gradients = rng_below(rng, GRADIENTS);
            b = bench_open(code, d);
            attack_open(&a, d);
            for (int k = 0; k < 2; k++) {
                steps[k] = step_room(code, d);
                make_gradients(&steps[k], gradients, rng);
            }
        }
        a.before = &steps[1];
        if (kind >= 0) choose_numbers(&code, &liars, &missing, rng);
        choose_placed(chosen, liars + missing, code.n, rng_below(rng, PLACINGS), rng);
        attack_aim(&a, &steps[0], chosen, liars, rng);
        bench_fill(&b, &steps[0], chosen, liars, missing);
        if (liars > 0 && lies[kind].plan) lies[kind].plan(&a, rng);
        for (int k = 0; k < liars; k++) {
            void *m = bench_lie(&b, &steps[0], chosen[k]);
            if (code.field == DRACO_FIELD_PRIME)
                lies[kind].modular(&a, chosen[k], m, rng);
            else
                lies[kind].real(&a, chosen[k], m, rng);
        }
        draco_status status = bench_decode(&b, &steps[0], rng);
        judge(&b, &steps[0], status, liars, missing, &kinds[kind + 1], kind < 0 ? "honest" : lies[kind].name);
        *inexact += code.field == DRACO_FIELD_PRIME && !is_exact(&b, &steps[0], status);
        if (i % 10 < 9 && i + 1 < count) continue;
        for (int k = 0; k < 2; k++) step_free(&steps[k]);
        attack_close(&a);
        bench_close(&b);
    }
}

/* All kinds in one, printed, and added to `all`; with DRACO_STRESS=full also what was refused, kind by kind. */
static void sum_up(const draco_code *code, const char *what, const tally kinds[LIES + 1], tally *all) {
    tally t = {0};
    for (int k = 0; k <= LIES; k++) add_tally(&t, &kinds[k]);
    print_tally(code, what, &t);
    for (int k = 1; k <= LIES && full(); k++)
        if (kinds[k].refused)
            print_message("  %s: %d of %d refused\n", lies[k - 1].name, kinds[k].refused, kinds[k].trials);
    add_tally(all, &t);
}

/* A round that the code carries may be refused in the complex field, where another set of liars could have made the
 * messages and the sum would be another: at most one in REFUSED of all rounds, none of few workers, and none in which
 * nobody lies. */
#define REFUSED 10
#define FEW 20

static void complex_field(void **state) {
    uint64_t rng = the_seed;
    tally all = {0}, few = {0};
    (void)state;
    for (size_t k = 0; k < CODES; k++) {
        draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, table[k][0],
                                  table[k][1], table[k][2]);
        tally kinds[LIES + 1] = {0};
        int unused = 0;
        hostile_rounds(code, full() ? 3800 : 44, &rng, kinds, &unused);
        sum_up(&code, "complex", kinds, code.n <= FEW ? &few : &all);
    }
    assert_int_equal(few.refused, 0);
    add_tally(&all, &few);
    assert_int_equal(all.blamed, 0);
    assert_int_equal(all.above, 0);
    assert_int_equal(all.honest_refused, 0);
    assert_true(all.refused * REFUSED <= all.trials);
}

static void prime_field(void **state) {
    uint64_t rng = the_seed + 1;
    tally all = {0};
    int inexact = 0;
    (void)state;
    for (size_t k = 0; k < CODES; k++) {
        draco_code code = code_of(DRACO_CYCLIC, DRACO_FIELD_PRIME, DRACO_SUPPORT_SPREAD, table[k][0],
                                  table[k][1], table[k][2]);
        tally kinds[LIES + 1] = {0};
        hostile_rounds(code, full() ? 3800 : 44, &rng, kinds, &inexact);
        sum_up(&code, "prime", kinds, &all);
    }
    assert_int_equal(inexact, 0);
    assert_int_equal(all.refused, 0);
}

/* ---- Liars that search: for what brings an accepted sum nearest to the error that it is reported to have ---- */

typedef struct attempt {
    int width;  /* places are this far apart */
    int half;   /* a lie of twice as many workers, of which the liars tell half */
    int vector; /* singular vector of the places, the least first; half: of all, the one of the largest sum */
    double size; /* of its syndromes, over those of rounding */
    double floor;
} attempt;

static attempt try_anything(const draco_code *code, uint64_t *rng) {
    attempt t = {.width = 1 + rng_below(rng, 2), .half = rng_below(rng, 2)};
    t.vector = rng_below(rng, code->s);
    t.size = log_uniform(rng, 0.01, 100);
    t.floor = rng_below(rng, 2) ? 0 : log_uniform(rng, 1e-9, 1e-3);
    return t;
}

static attempt try_near(attempt t, uint64_t *rng) {
    t.size *= log_uniform(rng, 0.8, 1.25);
    t.floor *= log_uniform(rng, 0.5, 2);
    return t;
}

static void plan_attempt(attack *a, const attempt *t) {
    static adversary_basis basis;
    double noise = t->size * noise_of(&a->now->code);
    int count = t->half ? 2 * a->liars : a->liars;
    if (t->half) adversary_neighbours(&a->now->code, a->places, a->liars, a->liars);
    adversary_decompose(&a->now->code, a->places, count, &basis);
    if (t->half) adversary_solve(&basis, t->floor, a->e);
    for (int k = 0; k < count; k++)
        a->e[k] = noise * (t->half ? a->e[k] : basis.vector[t->vector][k] / (basis.size[t->vector] + 1e-14));
}

static void searching_liars(void **state) {
    static const int codes[][2] = {{9, 2}, {15, 3}, {31, 7}, {45, 5}, {45, 10}, {64, 8}};
    uint64_t rng = the_seed + 2;
    int bad = 0;
    (void)state;
    for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++) {
        draco_code code =
            code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, codes[k][0], codes[k][1], 0);
        size_t d = rng_below(&rng, 2) ? 2 : 64;
        bench b = bench_open(code, d);
        step now = step_room(code, d);
        attack a;
        attempt best = {0};
        double most = 0;
        tally t = {0};
        attack_open(&a, d);
        make_gradients(&now, GAUSSIAN, &rng);
        for (int i = 0; i < (full() ? 5000 : 60); i++) {
            attempt next = most > 0 && rng_below(&rng, 3) ? try_near(best, &rng) : try_anything(&code, &rng);
            int chosen[DRACO_MAX_WORKERS];
            for (int j = 0; j < code.s; j++) chosen[j] = next.width * j;
            attack_aim(&a, &now, chosen, code.s, &rng);
            plan_attempt(&a, &next);
            bench_fill(&b, &now, chosen, code.s, 0);
            for (int j = 0; j < code.s; j++)
                add_planned(&a, j, (float *)(void *)bench_lie(&b, &now, chosen[j]), 1);
            draco_status status = bench_decode(&b, &now, &rng);
            judge(&b, &now, status, code.s, 0, &t, "searched");
            double score = status < 0 ? 0 : error_of(b.sum, &now) / b.report.error;
            if (score > most) best = next;
            if (score > most) most = score;
        }
        print_tally(&code, "searched", &t);
        bad += t.blamed + t.above;
        attack_close(&a);
        step_free(&now);
        bench_close(&b);
    }
    assert_int_equal(bad, 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complex_field),
        cmocka_unit_test(prime_field),
        cmocka_unit_test(searching_liars),
    };
    if (!seed_the_run(1)) return 1;
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("hostile rounds of the cyclic code", tests, NULL, NULL);
}
