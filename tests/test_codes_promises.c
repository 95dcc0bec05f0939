/* What docs/codes.md promises of the codes, where it is hardest to keep: gradients that cancel, liars side by side
 * with a common lie, outages of an arc, small coordinates beside large ones, few coordinates, many workers. Each
 * test has fixed gradients; keys are fresh, and the first line prints their seed. */
#include "support/codes_adversary.h"

static draco_code complex_code(int n, int s, int t) {
    return code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, n, s, t);
}

static draco_code prime_code(int n, int s, int t) {
    return code_of(DRACO_CYCLIC, DRACO_FIELD_PRIME, DRACO_SUPPORT_SPREAD, n, s, t);
}

/* A number of rounds: few, or many with DRACO_STRESS=full. */
static int rounds(int few, int many) {
    return full() ? many : few;
}

static int worst_blamed, worst_above;

static void expect_promises(const draco_code *code, const char *what, const tally *t, int most_refused) {
    if (full() || t->blamed || t->above || t->refused > most_refused) print_tally(code, what, t);
    worst_blamed += t->blamed;
    worst_above += t->above;
    worst_blamed += t->refused > most_refused;
}

static void promised(void) {
    int bad = worst_blamed + worst_above;
    worst_blamed = worst_above = 0;
    assert_int_equal(bad, 0);
}

static void honest_rounds(step *now, int count, uint64_t *keys, tally *t) {
    bench b = bench_open(now->code, now->d);
    bench_fill(&b, now, NULL, 0, 0);
    for (int i = 0; i < count; i++) judge(&b, now, bench_decode(&b, now, keys), 0, 0, t, "honest");
    bench_close(&b);
}

/* ---- Gradients that nearly cancel ---- */

static void three_workers_that_cancel(void **state) {
    static const double rests[] = {0.3, 0.03, 0.003, 0};
    draco_code code = complex_code(3, 1, 0);
    uint64_t keys = the_seed;
    (void)state;
    for (size_t k = 0; k < 4; k++) {
        step now = step_room(code, 8);
        tally t = {0};
        for (int j = 0; j < 8; j++) {
            float *g = step_gradient(&now, 0) + j;
            g[0] = (float)(0.1 * (j + 1));
            g[8] = (float)(0.3 * (8 - j));
            g[16] = (float)(-((double)g[0] + (double)g[8]) + rests[k]);
        }
        step_encode(&now);
        honest_rounds(&now, rounds(50, 1000), &keys, &t);
        expect_promises(&code, "cancelling", &t, 0);
        step_free(&now);
    }
    promised();
}

/* rho: the norm of the sum over the root of the sum of squares. */
static void cancel(step *now, double rho, uint64_t *rng) {
    int parts = now->code.parts;
    for (size_t c = 0; c < now->d; c++) {
        double mean = 0;
        for (int part = 0; part < parts; part++)
            mean += (double)(step_gradient(now, part)[c] = rng_normal(rng));
        for (int part = 0; part < parts; part++)
            step_gradient(now, part)[c] -= (float)((1 - rho) * mean / parts);
    }
    step_encode(now);
}

static void everybody_holds_everything(void **state) {
    static const int codes[][3] = {{3, 1, 0}, {5, 2, 0}, {7, 3, 0}, {15, 7, 0},
                                   {4, 1, 1}, {9, 2, 0}, {45, 5, 0}};
    static const double rhos[] = {1, 0.2, 0.03, 0.001};
    uint64_t rng = 1, keys = the_seed;
    (void)state;
    for (size_t k = 0; k < 7; k++) {
        draco_code code = complex_code(codes[k][0], codes[k][1], codes[k][2]);
        tally t = {0};
        for (int i = 0; i < rounds(40, 2000); i++) {
            step now = step_room(code, i % 8 ? 100 : 1000);
            cancel(&now, rhos[i % 4], &rng);
            honest_rounds(&now, 1, &keys, &t);
            step_free(&now);
        }
        expect_promises(&code, "cancelling", &t, 0);
    }
    promised();
}

/* Parts that are alike: three classes dealt in turn, or every other part the negative of the last. */
static void parts_alike(void **state) {
    static const int codes[][3] = {{4, 1, 0}, {10, 3, 0}, {10, 1, 0}, {15, 3, 0}, {15, 2, 0}, {45, 5, 0}};
    uint64_t rng = 2, keys = the_seed;
    (void)state;
    for (size_t k = 0; k < 6; k++) {
        draco_code code = complex_code(codes[k][0], codes[k][1], codes[k][2]);
        tally classes = {0}, alternating = {0};
        for (int i = 0; i < rounds(10, 1000); i++) {
            step now = step_room(code, i % 8 ? 100 : 4096);
            make_gradients(&now, CLASSES, &rng);
            honest_rounds(&now, 1, &keys, &classes);
            for (int part = 1; part < code.parts; part++)
                for (size_t c = 0; c < now.d; c++)
                    step_gradient(&now, part)[c] = (part % 2 ? -1 : 1) * step_gradient(&now, 0)[c];
            step_encode(&now);
            honest_rounds(&now, 1, &keys, &alternating);
            step_free(&now);
        }
        expect_promises(&code, "three classes", &classes, 0);
        expect_promises(&code, "alternating", &alternating,
                        alternating.trials); /* messages of rounding alone */
    }
    promised();
}

/* ---- Few coordinates, or one that outweighs all others ---- */

static void few_coordinates(void **state) {
    static const int codes[][3] = {{3, 1, 0}, {5, 1, 0}, {7, 2, 0}, {15, 3, 0}, {45, 5, 0}};
    uint64_t rng = 3, keys = the_seed;
    (void)state;
    for (size_t k = 0; k < 5; k++) {
        draco_code code = complex_code(codes[k][0], codes[k][1], codes[k][2]);
        tally few = {0}, dominant = {0};
        for (int i = 0; i < rounds(320, 20000); i++) {
            step now = step_room(code, (size_t)(1 + i % 64));
            make_gradients(&now, GAUSSIAN, &rng);
            honest_rounds(&now, 1, &keys, &few);
            step_free(&now);
            now = step_room(code, i % 100 ? 35 : 20000);
            make_gradients(&now, DOMINANT, &rng);
            honest_rounds(&now, 1, &keys, &dominant);
            step_free(&now);
        }
        expect_promises(&code, "d = 1 .. 64", &few, 0);
        expect_promises(&code, "one dominant", &dominant, 0);
    }
    promised();
}

/* ---- Common lies of liars side by side ---- */

typedef enum { LEAST, NOISE, SOLVED } lie_kind;

/* `count` rounds with liars at step, 2 step, … from a moving first one. */
static void common_lies(draco_code code, int liars, int step_width, lie_kind kind, double size, size_t d,
                        int count, uint64_t *rng, tally *t) {
    bench b = bench_open(code, d);
    attack a;
    step now = step_room(code, d);
    attack_open(&a, d);
    for (int i = 0; i < count; i++) {
        int chosen[DRACO_MAX_WORKERS];
        if (i % 10 == 0) make_gradients(&now, GAUSSIAN, rng);
        for (int k = 0; k < liars; k++) chosen[k] = (i + k * step_width) % code.n;
        attack_aim(&a, &now, chosen, liars, rng);
        make_direction(&a, 0, rng);
        bench_fill(&b, &now, chosen, liars, 0);
        if (kind == LEAST) plan_least(&a, size);
        if (kind == SOLVED) plan_solved(&a, size, i % 2 ? 0 : 1e-6);
        for (int k = 0; k < liars; k++) {
            float *m = (float *)(void *)bench_lie(&b, &now, chosen[k]);
            if (kind != NOISE) {
                add_planned(&a, k, m, 1);
                continue;
            }
            for (size_t c = 0; c < words(&a); c++)
                m[c] += (float)(size * a.norm / sqrt((double)words(&a)) * (double)rng_normal(rng));
        }
        judge(&b, &now, bench_decode(&b, &now, rng), liars, 0, t, "common lie");
    }
    attack_close(&a);
    step_free(&now);
    bench_close(&b);
}

/* The combination of the liars' places that shows least, of any size, and lies of neighbours that have nothing in
 * common. */
static void neighbours_that_lie(void **state) {
    static const struct {
        int n, s, width, liars;
        lie_kind kind;
        double size;
        int refused; /* of 100, at most */
    } cases[] = {
        {45, 5, 1, 5, LEAST, 0.1, 0},     {45, 5, 1, 5, LEAST, 1e-3, 0},   {15, 3, 1, 3, LEAST, 1e-5, 0},
        {45, 10, 2, 10, LEAST, 320, 100}, {101, 10, 1, 10, NOISE, 1, 100}, {101, 10, 1, 10, NOISE, 1e-3, 10},
    };
    uint64_t rng = the_seed;
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        draco_code code = complex_code(cases[k].n, cases[k].s, 0);
        int count = rounds(10, 200);
        tally t = {0};
        common_lies(code, cases[k].liars, cases[k].width, cases[k].kind, cases[k].size, 200, count, &rng, &t);
        expect_promises(&code, cases[k].kind == LEAST ? "common lie" : "neighbours", &t,
                        cases[k].refused * count / 100);
    }
    promised();
}

/* Half of a lie of 2s workers whose syndromes are noise and whose sum is not. */
static void half_of_a_lie(void **state) {
    static const int codes[][2] = {{9, 2}, {15, 3}, {31, 7}, {45, 5}, {45, 8}, {45, 10}, {45, 14}};
    uint64_t rng = the_seed;
    (void)state;
    for (size_t k = 0; k < 7; k++) {
        draco_code code = complex_code(codes[k][0], codes[k][1], 0);
        tally t = {0};
        for (int width = 1; width <= 2; width++)
            for (double size = 0.02; size < 4; size *= full() ? 1.1 : 2)
                for (int d = 2; d <= 200; d *= 100)
                    common_lies(code, code.s, width, SOLVED, size, (size_t)d, rounds(2, 20), &rng, &t);
        expect_promises(&code, "half of a lie", &t, t.trials); /* to refuse is right here */
    }
    promised();
}

/* ---- Many workers ---- */

static void many_workers(void **state) {
    static const struct {
        int n, s, liars, kind, refused; /* of 10, at most */
    } cases[] = {
        {2201, 1, 0, NOISE, 0},  {2201, 1, 1, NOISE, 0},   {4096, 1, 1, NOISE, 0},   {128, 20, 20, LEAST, 10},
        {500, 10, 10, LEAST, 0}, {500, 10, 10, NOISE, 10}, {500, 50, 50, LEAST, 10}, {500, 50, 50, NOISE, 10},
    };
    uint64_t rng = the_seed;
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        draco_code code = complex_code(cases[k].n, cases[k].s, 0);
        int count = rounds(2, 30);
        tally t = {0};
        common_lies(code, cases[k].liars, 3, (lie_kind)cases[k].kind, 0.1, 20, count, &rng, &t);
        expect_promises(&code, "many workers", &t, cases[k].refused * count / 10);
    }
    promised();
}

/* The search ends when its budget is spent: it says no more then, and nothing false; and with the same budget it says the
 * same again. */
static void search_within_budget(void **state) {
    static const int codes[][2] = {{15, 3}, {45, 5}, {64, 16}, {128, 20}, {500, 10}};
    uint64_t rng = the_seed;
    (void)state;
    for (size_t k = 0; k < 5; k++) {
        draco_code code = complex_code(codes[k][0], codes[k][1], 0);
        int decoded[2] = {0, 0};
        for (int budget = 0; budget < 2; budget++) {
            tally t = {0};
            code.budget = budget ? 1000000 : 1;
            assert_int_equal(draco_code_init(&code), DRACO_OK);
            common_lies(code, 0, 1, NOISE, 1, 20, 4, &rng, &t);
            assert_int_equal(t.refused, 0);
            for (int liars = 1; liars <= code.s; liars += code.s / 3)
                common_lies(code, liars, 2, NOISE, 0.1, 20, 4, &rng, &t);
            expect_promises(&code, "budget", &t, t.trials);
            decoded[budget] = t.trials - t.refused;
        }
        assert_true(decoded[0] < decoded[1]);
    }
    draco_code negative = {
        .n = 5, .s = 1, .scheme = DRACO_CYCLIC, .field = DRACO_FIELD_COMPLEX, .budget = -1};
    assert_int_equal(draco_code_init(&negative), DRACO_E_LIMITS);
    promised();
}

/* More may lie unseen than any sum can be promised with: refused, and not searched. */
static void hopeless_codes(void **state) {
    static const int codes[][2] = {{500, 50}, {1000, 100}, {4096, 100}};
    uint64_t rng = the_seed;
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        draco_code code = complex_code(codes[k][0], codes[k][1], 0);
        bench b = bench_open(code, 2);
        step now = step_room(code, 2);
        make_gradients(&now, GAUSSIAN, &rng);
        bench_fill(&b, &now, NULL, 0, 0);
        assert_int_equal(bench_decode(&b, &now, &rng), DRACO_E_RANGE);
        assert_int_equal(b.report.blamed + b.report.suspected, 0);
        step_free(&now);
        bench_close(&b);
    }
}

/* ---- Coefficients of many workers ---- */

/* prod of 1 - exp(2 pi i j / n) = 2 sin(pi j / n) exp(i pi (j / n - 1 / 2)) over the workers without the part. */
static void coefficient(const draco_code *code, int part, int worker, long double value[2]) {
    long double size = 1, pi = 3.14159265358979323846264338327950288L;
    int64_t turns = 0, factors = 0;
    int exponent = 0;
    for (int m = 0; m < code->n; m++) {
        int j = (worker - m + code->n) % code->n, e;
        if (draco_code_holds(code, m, part)) continue;
        size = frexpl(size * 2 * sinl(pi * j / code->n), &e);
        exponent += e;
        turns += j;
        factors++;
    }
    turns = (2 * turns - (int64_t)code->n * factors) % (4 * (int64_t)code->n); /* quarters of 1 / n */
    size = ldexpl(size, exponent);
    value[0] = size * cosl(pi * (long double)turns / 2 / code->n);
    value[1] = size * sinl(pi * (long double)turns / 2 / code->n);
}

static void coefficients_of_many(void **state) {
    static const int codes[][3] = {{45, 5, 0},    {997, 10, 0}, {2201, 1, 0}, {2201, 7, 3},
                                   {3000, 50, 0}, {4095, 3, 0}, {4096, 1, 0}, {4096, 300, 1}};
    uint64_t rng = the_seed;
    (void)state;
    for (size_t k = 0; k < 8; k++) {
        draco_code code = complex_code(codes[k][0], codes[k][1], codes[k][2]);
        for (int i = 0; i < rounds(200, 5000); i++) {
            int worker = i == 0 ? code.n * 1822 / 2201 : rng_below(&rng, code.n);
            int part = draco_code_part(&code, worker, rng_below(&rng, code.r));
            double got[2];
            long double want[2];
            if (i == 0) part = worker;
            assert_int_equal(draco_code_coefficient(&code, part, worker, got), DRACO_OK);
            coefficient(&code, part, worker, want);
            long double size = hypotl(want[0], want[1]);
            long double error = hypotl((long double)got[0] - want[0], (long double)got[1] - want[1]);
            if (!(error <= 1e-8L * size))
                print_message("n %d s %d part %d worker %d: %g %g, not %Lg %Lg\n", code.n, code.s, part,
                              worker, got[0], got[1], want[0], want[1]);
            assert_true(error <= 1e-8L * size);
        }
    }
}

/* ---- How many colluders it takes ---- */

static void add_codeword(const step *now, const int *places, int at, double size, unsigned char *message) {
    const draco_code *code = &now->code;
    if (code->field == DRACO_FIELD_PRIME) {
        const uint64_t p = 0x7fffffff, value = adversary_residue(code, places, at) * 123456789 % p;
        uint32_t *m = (uint32_t *)(void *)message;
        for (size_t c = 0; c < now->d; c++) m[c] = (uint32_t)((m[c] + value) % p);
    } else {
        adversary_vector e;
        float *m = (float *)(void *)message;
        adversary_codeword(code, places, e);
        for (size_t c = 0; c < now->bytes / 8; c++) {
            m[2 * c] += (float)(size * creal(e[at]));
            m[2 * c + 1] += (float)(size * cimag(e[at]));
        }
    }
}

/* The colluders send what they would in another codeword, which differs from the true one at r workers. */
static draco_status collude(draco_code code, int colluders, double *error, uint64_t *rng) {
    int places[DRACO_MAX_WORKERS];
    bench b = bench_open(code, 20);
    step now = step_room(code, 20);
    make_gradients(&now, GAUSSIAN, rng);
    for (int k = 0; k < code.r; k++) places[k] = (3 + k * code.n / code.r) % code.n;
    bench_fill(&b, &now, places, colluders, 0);
    for (int k = 0; k < colluders; k++) add_codeword(&now, places, k, 3, bench_lie(&b, &now, places[k]));
    draco_status status = bench_decode(&b, &now, rng);
    *error = status >= 0 ? error_of(b.sum, &now) : 0;
    step_free(&now);
    bench_close(&b);
    return status;
}

static void colluders_needed(void **state) {
    static const int codes[][3] = {{5, 1, 0}, {9, 2, 0}, {20, 3, 2}, {15, 2, 4}, {23, 4, 3}, {45, 5, 0}};
    uint64_t rng = the_seed;
    (void)state;
    for (size_t k = 0; k < 12; k++) {
        const int *c = codes[k / 2];
        draco_code code = k % 2 ? prime_code(c[0], c[1], c[2]) : complex_code(c[0], c[1], c[2]);
        int enough = code.s + (code.t + 1) / 2 + 1;
        double error;
        draco_status status = collude(code, enough, &error, &rng);
        if (full() || status < 0 || error <= 1e-4)
            print_message("%d %d %d %s: %d colluders: %s, error %.1e\n", code.n, code.s, code.t,
                          k % 2 ? "prime" : "complex", enough, draco_status_text(status), error);
        assert_true(status >= 0);
        assert_true(error > 1e-4);
        collude(code, enough - 1, &error, &rng);
        assert_true(error < 1e-5);
    }
}

/* ---- Honest outages of an arc ---- */

static void arcs_missing(void **state) {
    static const int codes[][3] = {{5, 1, 0},  {9, 2, 0},   {15, 3, 0},  {45, 5, 0},
                                   {45, 2, 6}, {45, 10, 0}, {101, 10, 0}};
    uint64_t rng = the_seed;
    (void)state;
    for (size_t k = 0; k < 7; k++) {
        draco_code code = complex_code(codes[k][0], codes[k][1], codes[k][2]);
        bench b = bench_open(code, 100);
        for (int missing = 1; missing < code.r; missing++) {
            tally t = {0};
            step now = step_room(code, 100);
            int chosen[DRACO_MAX_WORKERS];
            for (int i = 0; i < missing; i++) chosen[i] = (3 + i) % code.n;
            make_gradients(&now, GAUSSIAN, &rng);
            bench_fill(&b, &now, chosen, 0, missing);
            for (int i = 0; i < rounds(2, 50); i++)
                judge(&b, &now, bench_decode(&b, &now, &rng), 0, missing, &t, "arc");
            if (full()) print_message("%d missing: ", missing);
            t.above += t.over; /* further off than any sum may be */
            expect_promises(&code, "arc missing", &t, t.trials);
            step_free(&now);
        }
        bench_close(&b);
    }
    promised();
}

/* ---- Small coordinates beside large ones ---- */

/* One liar multiplies the coordinates from `first` on, which are `scale` times the others, by -100. Where a range is said to
 * begin there it is blamed, and the error is bounded in that range; else in the whole, and for each coordinate by that. */
static void small_coordinates(void **state) {
    static const double scales[] = {1e-3, 1e-6, 1e-8, 1e6};
    uint64_t rng = 4, keys = the_seed;
    const size_t first = 4000, d = 4096;
    (void)state;
    for (int k = 0; k < 16; k++) {
        const int said = k < 8;
        draco_code code = k % 2 ? complex_code(45, 5, 0) : complex_code(9, 2, 0);
        step now = step_room(code, d);
        bench b = bench_open(code, d);
        int liar[] = {3};
        tally t = {0};
        b.split = said ? first : 0;
        make_gradients(&now, GAUSSIAN, &rng);
        for (int part = 0; part < code.parts; part++)
            for (size_t c = first; c < d; c++) step_gradient(&now, part)[c] *= (float)scales[k / 2 % 4];
        step_encode(&now);
        bench_fill(&b, &now, liar, 1, 0);
        for (size_t c = first; c < d; c++) ((float *)(void *)bench_lie(&b, &now, 3))[c] *= -100;
        for (int i = 0; i < rounds(5, 200); i++) {
            judge(&b, &now, bench_decode(&b, &now, &keys), 1, 0, &t, "small");
            t.blamed += said && b.verdicts[3] != DRACO_BLAMED;
            t.above += said && !(error_in(b.sum, &now, first, d) <= b.report.error);
        }
        expect_promises(&code, "small coordinates", &t, 0);
        bench_close(&b);
        step_free(&now);
    }
    promised();
}

/* A network of 60, 50, 20 and 10, and its statistics. */
static const size_t net_layers[] = {0, 3050, 4070};
enum { NET_LAYERS = 3, NET_PARAMETERS = 4280, NET_STATISTICS = 8192, NET_DIM = 8194 };

static bench net_open(draco_code code, int said) {
    bench b = bench_open(code, NET_DIM);
    b.split = NET_STATISTICS;
    b.layers = net_layers;
    b.layer_count = said ? NET_LAYERS : 0;
    return b;
}

/* Gradients with the size of each layer, and of the statistics; behind the parameters zeros. */
static step net_step(draco_code code, const double *sizes, uint64_t *rng) {
    step now = step_room(code, NET_DIM);
    for (int part = 0; part < code.parts; part++) {
        float *g = step_gradient(&now, part);
        for (size_t c = 0, layer = 0; c < NET_DIM; c++) {
            if (layer + 1 < NET_LAYERS && c >= net_layers[layer + 1]) layer++;
            if (c >= NET_STATISTICS) layer = NET_LAYERS;
            g[c] = c < NET_PARAMETERS || c >= NET_STATISTICS ? (float)(sizes[layer] * (double)rng_normal(rng))
                                                             : 0;
        }
    }
    step_encode(&now);
    return now;
}

/* One liar changes the second of three layers alone, which is far smaller than the first, whose block it begins in. When the
 * layers are said it is blamed, or suspected alone, and the sum is right to report.error of that layer; else nobody sees it, and the layer
 * is off by more. */
static void small_layers(void **state) {
    static const struct {
        double size, factor;
    } lies[] = {{1e-6, 1.01}, {1e-6, 0.99}, {1e-8, -1}, {1e-9, -100}};
    static const int codes[][2] = {{9, 2}, {15, 3}, {45, 5}};
    uint64_t rng = 6, keys = the_seed;
    (void)state;
    for (int k = 0; k < 24; k++) {
        const int said = k % 2;
        const double size = lies[k / 2 % 4].size, sizes[] = {1, size, 1, 100};
        const size_t first = net_layers[1], last = net_layers[2];
        draco_code code = complex_code(codes[k / 8][0], codes[k / 8][1], 0);
        step now = net_step(code, sizes, &rng);
        bench b = net_open(code, said);
        int liar[] = {3};
        tally t = {0};
        bench_fill(&b, &now, liar, 1, 0);
        for (size_t c = first; c < last; c++)
            ((float *)(void *)bench_lie(&b, &now, 3))[c] *= (float)lies[k / 2 % 4].factor;
        for (int i = 0; i < rounds(4, 200); i++) {
            b.shard = i % 2 ? DRACO_BLOCK : 0; /* a second server begins within the third layer */
            draco_status status = bench_decode(&b, &now, &keys);
            judge(&b, &now, status, 1, 0, &t, "small layer");
            int right = error_in(b.sum, &now, first, last) <= b.report.error;
            t.above += said ? !right : right;
            t.blamed += said ? b.report.blamed + b.report.suspected != 1 : b.report.agreed != code.n;
            t.blamed += said && b.verdicts[3] == DRACO_AGREES;
        }
        expect_promises(&code, said ? "small layer, said" : "small layer, not said", &t, 0);
        bench_close(&b);
        step_free(&now);
    }
    promised();
}

static void honest_layers(void **state) {
    static const int codes[][2] = {{15, 3}, {45, 5}};
    uint64_t rng = 7, keys = the_seed;
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        draco_code code = complex_code(codes[k][0], codes[k][1], 0);
        bench b = net_open(code, 1);
        tally t = {0};
        for (int i = 0; i < rounds(6, 2000); i++) {
            double sizes[NET_LAYERS + 1];
            for (int l = 0; l <= NET_LAYERS; l++) sizes[l] = log_uniform(&rng, 1e-12, 1e6);
            step now = net_step(code, sizes, &rng);
            b.shard = i % 2 ? DRACO_BLOCK : 0;
            bench_fill(&b, &now, NULL, 0, 0);
            judge(&b, &now, bench_decode(&b, &now, &keys), 0, 0, &t, "layers");
            t.blamed += b.report.suspected > 0;
            step_free(&now);
        }
        expect_promises(&code, "honest layers", &t, 0);
        bench_close(&b);
    }
    promised();
}

/* ---- Precision of the prime field, overflow of all ---- */

static double norm_of_gradients(const step *now) {
    return adversary_norm(now->gradients, (size_t)now->code.parts * now->d);
}

static void prime_precision(void **state) {
    static const int codes[][2] = {{5, 1}, {45, 5}, {200, 3}, {1000, 2}};
    uint64_t rng = 5;
    int bad = 0;
    (void)state;
    for (size_t k = 0; k < 8; k++) {
        draco_code code = prime_code(codes[k / 2][0], codes[k / 2][1], 0);
        step now = step_room(code, 3000);
        bench b = bench_open(code, 3000);
        make_gradients(&now, k % 2 ? HEAVY : GAUSSIAN, &rng);
        bench_fill(&b, &now, NULL, 0, 0);
        assert_int_equal(bench_decode(&b, &now, &rng), DRACO_OK);
        double error = error_of(b.sum, &now);
        double expected = draco_rounding_error(&code, now.exponents, b.sum, 0, now.d);
        error *= norm_of_gradients(&now) / adversary_norm(now.sum, now.d);
        int right = error <= 4 * (expected + 1e-7) && expected < (code.n <= 45 ? 1e-5 : 1e-3);
        if (full() || !right)
            print_message("prime n %d, %s: error %.1e, reported %.1e\n", code.n, k % 2 ? "Cauchy" : "normal",
                          error, expected);
        bad += !right;
        bench_close(&b);
        step_free(&now);
    }
    assert_int_equal(bad, 0);
}

static draco_status decode_filled(draco_code code, float value, float other, float *first, int *malformed) {
    uint64_t rng = the_seed;
    step now = step_room(code, 6);
    bench b = bench_open(code, 6);
    for (int part = 0; part < code.parts; part++)
        for (int c = 0; c < 6; c++) step_gradient(&now, part)[c] = part % 2 ? other : value;
    step_encode(&now);
    bench_fill(&b, &now, NULL, 0, 0);
    draco_status status = bench_decode(&b, &now, &rng);
    *first = b.sum[0];
    *malformed = b.report.malformed + b.report.blamed;
    bench_close(&b);
    step_free(&now);
    return status;
}

static void sums_beyond_a_float(void **state) {
    float first = 0;
    int named;
    (void)state;
    assert_int_equal(decode_filled(prime_code(5, 1, 0), 1e38f, 1e38f, &first, &named), DRACO_E_RANGE);
    assert_int_equal(named, 0);
    draco_code repetition = code_of(DRACO_REPETITION, DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, 6, 1, 0);
    assert_int_equal(decode_filled(repetition, 3e38f, 3e38f, &first, &named), DRACO_E_RANGE);
    assert_int_equal(named, 0);
    /* The sum of these fits, whatever the messages do on the way. */
    assert_int_equal(decode_filled(prime_code(5, 1, 0), 3e38f, -3e38f, &first, &named), DRACO_OK);
    assert_true(fabs((double)first / 3e38 - 1) < 1e-6);
    draco_status status = decode_filled(complex_code(5, 1, 0), 3e38f, -3e38f, &first, &named);
    assert_int_equal(named, 0);
    assert_true(status == DRACO_E_RANGE || (status == DRACO_OK && fabs((double)first / 3e38 - 1) < 1e-5));
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_workers_that_cancel),
        cmocka_unit_test(everybody_holds_everything),
        cmocka_unit_test(parts_alike),
        cmocka_unit_test(few_coordinates),
        cmocka_unit_test(neighbours_that_lie),
        cmocka_unit_test(half_of_a_lie),
        cmocka_unit_test(many_workers),
        cmocka_unit_test(search_within_budget),
        cmocka_unit_test(hopeless_codes),
        cmocka_unit_test(coefficients_of_many),
        cmocka_unit_test(colluders_needed),
        cmocka_unit_test(arcs_missing),
        cmocka_unit_test(small_coordinates),
        cmocka_unit_test(small_layers),
        cmocka_unit_test(honest_layers),
        cmocka_unit_test(prime_precision),
        cmocka_unit_test(sums_beyond_a_float),
    };
    if (!seed_the_run(0)) return 1;
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("promises of the codes", tests, NULL, NULL);
}
