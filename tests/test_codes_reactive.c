/* Reactive redundancy: the table of tests/golden/reactive.py from the same draws, and random rounds against an oracle
   that keeps a list of everything that was said. DRACO_STRESS=full: 100000 rounds. */
#include "support/codes_helpers.h"

#include <stdio.h>
#include <string.h>

#include "golden/reactive.h"

enum { MOST = 64, TRUTH = 0, PLOT = 7, NOTHING = -1 };
enum { RANDOM, COLLUDE, CLAIM_BODY, CLAIM_ONLY, SILENT, SILENT_BODY, SPLIT, QUIET, KINDS, HONEST, GONE };
static const char *const kinds[KINDS] = {"random", "collude",     "claim-body", "claim-only",
                                         "silent", "silent-body", "split",      "quiet"};

/* ---- The Mersenne Twister (Matsumoto, Nishimura, 1998) and what Python makes of it ---- */

typedef struct twister {
    uint32_t state[624];
    int at;
} twister;

static void twister_seed(twister *t, uint32_t seed) {
    uint32_t *m = t->state;
    int i, j = 1;
    m[0] = 19650218u;
    for (i = 1; i < 624; i++) m[i] = 1812433253u * (m[i - 1] ^ m[i - 1] >> 30) + (uint32_t)i;
    for (i = 1, j = 0; j < 624; j++) {
        m[i] = (m[i] ^ (m[i - 1] ^ m[i - 1] >> 30) * 1664525u) + seed;
        if (++i == 624) m[0] = m[623], i = 1;
    }
    for (j = 0; j < 623; j++) {
        m[i] = (m[i] ^ (m[i - 1] ^ m[i - 1] >> 30) * 1566083941u) - (uint32_t)i;
        if (++i == 624) m[0] = m[623], i = 1;
    }
    m[0] = 0x80000000u;
    t->at = 624;
}

static uint32_t twister_next(twister *t) {
    uint32_t *m = t->state, y;
    if (t->at == 624) {
        for (int i = 0; i < 624; i++) {
            y = (m[i] & 0x80000000u) | (m[(i + 1) % 624] & 0x7fffffffu);
            m[i] = m[(i + 397) % 624] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
        }
        t->at = 0;
    }
    y = m[t->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

static int below(twister *t, int n) {
    int bits = 32 - __builtin_clz((unsigned)n), r;
    do r = (int)(twister_next(t) >> (32 - bits));
    while (r >= n);
    return r;
}

static double unit(twister *t) {
    uint32_t a = twister_next(t) >> 5, b = twister_next(t) >> 6;
    return ((double)a * 67108864.0 + (double)b) / 9007199254740992.0;
}

static void shuffle(twister *t, int *x, int n) {
    for (int i = n - 1; i > 0; i--) {
        int j = below(t, i + 1), keep = x[i];
        x[i] = x[j];
        x[j] = keep;
    }
}

/* random.sample(range(n), s) for s <= 5, as flags. */
static void sample(twister *t, int n, int s, unsigned char *flags) {
    int pool[MOST], i, j;
    for (i = 0; i < n; i++) pool[i] = i;
    memset(flags, 0, (size_t)n);
    for (i = 0; i < s; i++) {
        if (n <= 21) {
            j = below(t, n - i);
            flags[pool[j]] = 1;
            pool[j] = pool[n - i - 1];
        } else {
            do j = below(t, n);
            while (flags[j]);
            flags[j] = 1;
        }
    }
}

/* ---- What workers say ---- */

typedef struct liars {
    twister *rng;
    int kind[MOST]; /* HONEST, GONE, or how it lies */
} liars;

static int sends(const liars *l, int w) {
    int kind = l->kind[w];
    if (kind == QUIET || kind == CLAIM_ONLY || kind == HONEST) return TRUTH;
    if (kind == SILENT_BODY || kind == GONE) return NOTHING;
    return kind == COLLUDE ? PLOT : 1 + below(l->rng, 999);
}

static int claims(const liars *l, int w, int body) {
    int kind = l->kind[w];
    if (kind == SPLIT) {
        int other = 1 + below(l->rng, 999), which = below(l->rng, 3);
        return which == 0 ? TRUTH : which == 1 ? PLOT : other;
    }
    if (kind == QUIET || kind == HONEST) return TRUTH;
    if (kind == SILENT || kind == GONE) return NOTHING;
    return kind == COLLUDE ? PLOT : kind == CLAIM_BODY ? body : 1 + below(l->rng, 999);
}

/* ---- One part, by the library ---- */

typedef struct said { /* about one body */
    int body, claim[MOST];
} said;

typedef struct part {
    draco_dispute d;
    draco_member members[MOST];
    said log[MOST];    /* of all bodies */
    int bodies, again; /* again: all members answer anew when more are asked, as in the golden table */
} part;

/* Everybody whom nobody has asked about this body yet, or all. */
static void ask_about(part *p, const liars *l, int all) {
    said *now = &p->log[p->bodies - 1];
    for (int k = 0; k < p->d.count; k++) {
        draco_member *m = &p->members[k];
        if (k == p->d.speaker || (!all && now->claim[m->worker] != NOTHING - 1)) continue;
        now->claim[m->worker] = claims(l, m->worker, now->body);
        m->answer = now->claim[m->worker] == NOTHING     ? DRACO_ANSWER_NONE
                    : now->claim[m->worker] == now->body ? DRACO_ANSWER_AGREES
                                                         : DRACO_ANSWER_DIFFERS;
    }
}

/* Returns the value that was decided, or NOTHING. more: one member more; 0: there is none. */
static int decide(part *p, const liars *l, int (*more)(part *p, void *ctx), void *ctx,
                  draco_verdict *verdicts) {
    for (;;) {
        int speaker = draco_dispute_speaker(&p->d, NULL), body, asked = 0;
        if (speaker < 0) {
            while (more(p, ctx)) asked = 1;
            if (!asked) return NOTHING;
            continue;
        }
        body = sends(l, speaker);
        if (body == NOTHING) continue;
        p->log[p->bodies].body = body;
        for (int w = 0; w < MOST; w++) p->log[p->bodies].claim[w] = NOTHING - 1;
        p->log[p->bodies++].claim[speaker] = body;
        ask_about(p, l, 0);
        if (draco_dispute_agreed(&p->d) <= p->d.s) {
            while (more(p, ctx)) asked = 1;
            if (asked) ask_about(p, l, p->again);
        }
        if (draco_dispute_agreed(&p->d) > p->d.s) {
            int known = -1;
            for (int b = 0; b < p->bodies - 1; b++)
                if (p->log[b].body == body) known = body;
            draco_dispute_verdicts(&p->d, known, verdicts);
            return body;
        }
        draco_dispute_lose(&p->d, body);
    }
}

/* ---- The golden table: teams as they were drawn there ---- */

typedef struct list {
    int worker[MOST], count;
} list;

static int more_of_list(part *p, void *ctx) {
    list *spares = ctx;
    return spares->count > 0 && draco_dispute_add(&p->d, spares->worker[spares->count - 1]) &&
           spares->count--;
}

static draco_code reactive_code(int n, int s, int t) {
    draco_code code = {.n = n, .s = s, .t = t, .reactive = 1};
    assert_int_equal(draco_code_init(&code), DRACO_OK);
    return code;
}

/* Members and others of group g among those who are not out, each in a drawn order. */
static void deal(twister *rng, int n, int groups, int g, const unsigned char *out, list *team, list *others) {
    team->count = others->count = 0;
    for (int w = 0; w < n; w++)
        if (!out[w] && w % groups == g) team->worker[team->count++] = w;
    shuffle(rng, team->worker, team->count);
    for (int w = 0; w < n; w++)
        if (!out[w] && w % groups != g) others->worker[others->count++] = w;
    shuffle(rng, others->worker, others->count);
}

static void the_golden_table(void **state) {
    (void)state;
    for (size_t row = 0; row < sizeof golden_table / sizeof *golden_table; row++) {
        const int n = golden_table[row].n, s = golden_table[row].s, t = golden_table[row].t;
        draco_code code = reactive_code(n, s, t);
        long bodies = 0, computed = 0, caught = 0;
        int kind = 0, order[MOST];
        unsigned char out[MOST] = {0};
        twister rng;
        while (kind < KINDS && strcmp(kinds[kind], golden_table[row].liars) != 0) kind++;
        twister_seed(&rng, 1);
        for (int round = 0; round < 400; round++) {
            draco_verdict verdicts[MOST] = {DRACO_UNDECIDED};
            liars l = {.rng = &rng};
            for (int w = 0; w < n; w++) order[w] = w;
            shuffle(&rng, order, n);
            for (int w = 0; w < n; w++) l.kind[w] = HONEST;
            for (int i = 0; i < s + t; i++) l.kind[order[i]] = i < s ? kind : GONE;
            for (int w = 0; w < n && kind == KINDS; w++)
                if (l.kind[w] == KINDS) l.kind[w] = below(&rng, KINDS);
            for (int g = 0; g < code.groups; g++) {
                part p = {.again = 1};
                list team, others;
                deal(&rng, n, code.groups, g, out, &team, &others);
                assert_int_equal(draco_dispute_open(&p.d, &code, g, s, p.members), DRACO_OK);
                for (int k = 0; k < team.count; k++) draco_dispute_add(&p.d, team.worker[k]);
                assert_int_equal(decide(&p, &l, more_of_list, &others, verdicts), TRUTH);
                bodies += p.bodies;
                computed += p.d.count;
            }
            for (int w = 0; w < n; w++) {
                assert_true(verdicts[w] != DRACO_BLAMED || l.kind[w] < KINDS);
                caught += verdicts[w] == DRACO_BLAMED;
            }
        }
        if (bodies != golden_table[row].bodies || computed != golden_table[row].computed ||
            caught != golden_table[row].caught)
            fail_msg("%d %d %d %s: %ld %ld %ld", n, s, t, golden_table[row].liars, bodies, computed, caught);
    }
}

static void the_golden_table_of_evictions(void **state) {
    (void)state;
    for (size_t row = 0; row < sizeof golden_evicting / sizeof *golden_evicting; row++) {
        const int n = golden_evicting[row].n, s = golden_evicting[row].s;
        draco_code code = reactive_code(n, s, 0);
        unsigned char traitor[MOST], standing[MOST] = {0};
        twister rng;
        long cost = 0;
        int kind = 0;
        while (strcmp(kinds[kind], golden_evicting[row].liars) != 0) kind++;
        twister_seed(&rng, 2);
        sample(&rng, n, s, traitor);
        for (int round = 0; round < 200; round++) {
            liars l = {.rng = &rng};
            for (int w = 0; w < n; w++)
                l.kind[w] =
                    traitor[w] && !standing[w] && unit(&rng) < golden_evicting[row].chance ? kind : HONEST;
            for (int g = 0; g < code.groups; g++) {
                draco_verdict verdicts[MOST] = {DRACO_UNDECIDED};
                part p = {.again = 1};
                list team, others;
                deal(&rng, n, code.groups, g, standing, &team, &others);
                assert_int_equal(
                    draco_dispute_open(&p.d, &code, g, draco_dispute_liars(&code, standing), p.members),
                    DRACO_OK);
                for (; team.count < p.d.least; others.count--)
                    team.worker[team.count++] = others.worker[others.count - 1];
                for (int k = 0; k < p.d.least; k++) draco_dispute_add(&p.d, team.worker[k]);
                for (int k = p.d.least; k < team.count; k++) others.worker[others.count++] = team.worker[k];
                assert_int_equal(decide(&p, &l, more_of_list, &others, verdicts), TRUTH);
                cost += p.d.count;
                for (int w = 0; w < n; w++)
                    if (verdicts[w] == DRACO_BLAMED) {
                        assert_true(traitor[w]);
                        standing[w] = DRACO_STANDING_OUT;
                    }
            }
            if (round % 20 == 19) {
                assert_int_equal(cost, golden_evicting[row].computed[round / 20]);
                cost = 0;
            }
        }
    }
}

/* ---- Random rounds against an oracle ---- */

typedef struct asking {
    const draco_code *code;
    uint64_t seed, step;
    const unsigned char *standing;
    int *load;
} asking;

static int more_of_plan(part *p, void *ctx) {
    const asking *a = ctx;
    return draco_dispute_ask(&p->d, a->code, a->seed, a->step, a->standing, a->load) >= 0;
}

/* Who is proved by what stands in the log, the value that was decided being known? */
static void oracle(const part *p, int value, unsigned char *proved) {
    for (int b = 0; b < p->bodies; b++)
        for (int w = 0; w < MOST; w++) {
            int claim = p->log[b].claim[w];
            if (p->log[b].body == value && b == p->bodies - 1) proved[w] |= claim >= 0 && claim != value;
            if (p->log[b].body != value) proved[w] |= claim == p->log[b].body;
        }
}

static void random_rounds(void **state) {
    const long rounds = getenv("DRACO_STRESS") ? 100000 : 5000;
    twister rng;
    long disputed = 0, proofs = 0;
    (void)state;
    twister_seed(&rng, 5);
    for (long round = 0; round < rounds; round++) {
        int s = below(&rng, 6), t = below(&rng, 4), n = 2 * s + t + 1 + below(&rng, 30), left = s, gone = t;
        draco_code code = reactive_code(n, s, t);
        unsigned char standing[MOST] = {0}, proved[MOST] = {0};
        draco_verdict verdicts[MOST] = {DRACO_UNDECIDED};
        int load[MOST] = {0}, order[MOST], sum = 0;
        liars l = {.rng = &rng};
        asking a = {&code, (uint64_t)round, (uint64_t)round * 3, standing, load};
        for (int w = 0; w < n; w++) order[w] = w, l.kind[w] = HONEST;
        shuffle(&rng, order, n);
        for (int i = 0; i < s;
             i++) { /* some liars are out already; the others may do anything, also nothing */
            l.kind[order[i]] = below(&rng, KINDS);
            if (below(&rng, 4) == 0) standing[order[i]] = DRACO_STANDING_OUT, left--;
        }
        for (int i = s; i < s + gone; i++) {
            l.kind[order[i]] = GONE;
            if (below(&rng, 2)) standing[order[i]] = DRACO_STANDING_LATE;
        }
        assert_int_equal(draco_dispute_liars(&code, standing), left);
        for (int g = 0; g < code.groups; g++) {
            part p = {.again = 0};
            assert_int_equal(draco_dispute_open(&p.d, &code, g, left, p.members), DRACO_OK);
            for (int k = 0; k < left + 1 + t; k++) assert_true(more_of_plan(&p, &a));
            if (decide(&p, &l, more_of_plan, &a, verdicts) != TRUTH)
                fail_msg("round %ld: part %d is wrong or refused", round, g);
            assert_true(p.d.count == left + 1 + t || p.d.count == 2 * left + 1 + t);
            disputed += p.d.count > left + 1 + t;
            sum += p.d.count;
            oracle(&p, TRUTH, proved);
            for (int k = 0; k < p.d.count; k++) {
                assert_int_not_equal(standing[p.members[k].worker], DRACO_STANDING_OUT);
                for (int j = 0; j < k; j++) assert_int_not_equal(p.members[k].worker, p.members[j].worker);
            }
        }
        for (int w = 0; w < n; w++) {
            assert_int_equal(verdicts[w] == DRACO_BLAMED, proved[w]);
            assert_true(!proved[w] || l.kind[w] < KINDS);
            sum -= load[w];
            proofs += proved[w];
        }
        assert_int_equal(sum, 0);
    }
    assert_true(disputed > rounds / 10 && proofs > rounds / 10);
}

/* ---- The plan ---- */

/* Without disputes nobody computes twice; late workers are spared where others are idle; the plan is a function
   of its arguments. */
static void the_plan_is_even_and_pure(void **state) {
    draco_code code = reactive_code(15, 2, 0);
    unsigned char standing[15] = {0};
    int drawn[15] = {0};
    (void)state;
    standing[4] = standing[9] = DRACO_STANDING_OUT;
    standing[0] = DRACO_STANDING_LATE;
    for (uint64_t when = 0; when < 60; when++) {
        int load[15] = {0}, again[15] = {0};
        for (int g = 0; g < code.groups; g++) {
            draco_member members[5], others[5];
            draco_dispute d, e;
            draco_dispute_open(&d, &code, g, 0, members);
            draco_dispute_open(&e, &code, g, 0, others);
            drawn[draco_dispute_ask(&d, &code, 7, when, standing, load)]++;
            draco_dispute_ask(&e, &code, 7, when, standing, again);
            assert_int_equal(members[0].worker, others[0].worker);
            assert_int_equal(members[0].worker % code.groups, g);
        }
        for (int w = 0; w < 15; w++) assert_in_range(load[w], 0, 1);
    }
    assert_int_equal(drawn[0] + drawn[4] + drawn[9], 0);
    for (int w = 0; w < 15; w++)
        if (w % 5 != 4 && w != 0) assert_in_range(drawn[w], 5, 55);
    assert_int_equal(drawn[14], 60);
}

static void what_does_not_fit_is_refused(void **state) {
    draco_code code = {.n = 15, .s = 2, .scheme = DRACO_CYCLIC, .reactive = 1};
    draco_member members[8];
    draco_dispute d;
    unsigned char standing[15] = {0};
    int load[15] = {0};
    (void)state;
    assert_int_equal(draco_code_init(&code), DRACO_E_SCHEME);
    code.scheme = DRACO_REPETITION;
    code.s = 8; /* 15 could detect them, and not tell who they are */
    assert_int_equal(draco_code_init(&code), DRACO_E_LIMITS);
    assert_int_equal(draco_dispute_open(&d, &code, 0, 1, members), DRACO_E_UNINITIALISED);
    code = reactive_code(15, 2, 0);
    assert_int_equal(code.r, 3);
    assert_int_equal(code.parts, 5);
    assert_int_equal(draco_dispute_open(NULL, &code, 0, 1, members), DRACO_E_NULL);
    assert_int_equal(draco_dispute_open(&d, &code, 5, 1, members), DRACO_E_INDEX);
    assert_int_equal(draco_dispute_open(&d, &code, 0, 3, members), DRACO_E_ARGUMENT);
    assert_int_equal(draco_dispute_open(&d, &code, 0, 2, members), DRACO_OK);
    for (int k = 0; k < 5; k++) assert_true(draco_dispute_ask(&d, &code, 1, 1, standing, load) >= 0);
    assert_int_equal(draco_dispute_ask(&d, &code, 1, 1, standing, load), -1);
    assert_int_equal(draco_dispute_add(&d, 14), 0);
    memset(standing, DRACO_STANDING_OUT, 15);
    draco_dispute_open(&d, &code, 0, 2, members);
    assert_int_equal(draco_dispute_ask(&d, &code, 1, 1, standing, load), -1);
    assert_int_equal(draco_dispute_liars(&code, standing), -13);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_table),
        cmocka_unit_test(the_golden_table_of_evictions),
        cmocka_unit_test(random_rounds),
        cmocka_unit_test(the_plan_is_even_and_pure),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
