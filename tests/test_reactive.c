/* Rounds of a reactive code in one process: whatever the liars do, the bits are those of a run without them, nobody
   honest is blamed, and the gradients that the model was asked for are those that the plan promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DRACO_IMPLEMENTATION
#include "draco.h"
#define DRACO_OPENMP_IMPLEMENTATION
#include "transports/draco_openmp.h"
#define DRACO_ATTACKS_IMPLEMENTATION
#include "baselines/draco_attacks.h"

#include <stdlib.h>
#include <string.h>

enum { N = 15, S = 2, PARTS = 5, D = 5003, BATCH = 45, STEPS = 12 };

typedef struct run {
    draco_attack_config attack;
    int evict_after, shrink, replan, parts; /* replan: the step at which there are `parts` */
    int share, full;
    int check_every; /* spot checks, with N parts unless `parts` says otherwise */
    double check_probability;
    uint64_t check_seed;
    draco_wait wait;
    uint64_t from, steps;  /* the first of them; 0: STEPS */
    const uint8_t *memory; /* what the server begins with */
    int lost;              /* workers that the transport calls lost */
    /* Out. */
    uint64_t digest[STEPS];  /* of the sums */
    uint8_t kept[2 * N + 2]; /* the server's memory */
    uint64_t told[STEPS];    /* a digest of all requests before the first for a fingerprint */
    long calls[STEPS], gradients[STEPS];
    int checked[STEPS], blamed_in[STEPS];
    int blamed[N], wrongly, disputed, evicted;
    draco_status status;
    char text[256];
} run;

static long calls; /* of the model's gradient */

/* A gradient that depends on every sample, so that it tells parts apart. */
static draco_status toy_gradient(void *ctx, void *workspace, const float *params, const draco_batch *batch,
                                 float *grad) {
    float sign = ctx ? *(const float *)ctx : 1;
    (void)workspace;
    if (!ctx) __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
    memset(grad, 0, D * sizeof *grad);
    for (size_t k = 0; k < batch->count; k++) {
        float x = sign * (float)draco_sample(batch->seed, batch->step, batch->first + k, 1000) * 1e-3f;
        for (size_t j = 0; j < D; j++) grad[j] += x * (params[j] + 1.0f / (float)(j % 17 + 3));
    }
    return DRACO_OK;
}

static draco_code reactive(int full) {
    draco_code code = {.n = N, .s = S, .reactive = !full};
    assert_int_equal(draco_code_init(&code), DRACO_OK);
    return code;
}

static uint64_t digest_of(const float *x) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < D * sizeof *x; i++) hash = (hash ^ ((const unsigned char *)x)[i]) * 1099511628211u;
    return hash;
}

/* What the workers are asked for, until the first is asked for a fingerprint. */
static draco_transport unheard;
static uint64_t heard;
static int fingerprinted;

static void hear(const draco_request *request, const unsigned char *whom) {
    const unsigned char *extra = request->extra;
    fingerprinted |= request->kind == DRACO_REQUEST_FINGERPRINT;
    if (fingerprinted) return;
    heard = (heard ^ (uint64_t)request->kind) * 1099511628211u;
    for (size_t i = 0; i < request->extra_bytes; i++) heard = (heard ^ extra[i]) * 1099511628211u;
    for (int i = 0; i < N && whom; i++) heard = (heard ^ whom[i]) * 1099511628211u;
}

static draco_status heard_broadcast(void *ctx, const draco_request *request) {
    hear(request, NULL);
    return unheard.broadcast(ctx, request);
}

static draco_status heard_fetch(void *ctx, const draco_request *request, const unsigned char *whom,
                                double seconds, const draco_inbox *inbox) {
    hear(request, whom);
    return unheard.fetch(ctx, request, whom, seconds, inbox);
}

static int lost_workers;
static int lost(void *ctx) {
    (void)ctx;
    return lost_workers;
}

static void go(run *r) {
    static float turned = -1, params[D], sum[D];
    draco_model model = {
        .size = sizeof model, .name = "toy", .dim = D, .parameters = D, .gradient = toy_gradient};
    draco_model liar = model;
    draco_openmp_config workers = {
        .worker = {.code = reactive(r->full), .model = &model, .batch = BATCH, .seed = 3, .keep = 1},
        .share_parts = r->share};
    draco_worker_config flipped = workers.worker;
    draco_transport inner, outer;
    draco_server *server;
    uint8_t *memory;
    size_t bytes;
    liar.ctx = &turned;
    flipped.model = &liar;
    flipped.keep = 0;
    r->attack.code = workers.worker.code;
    r->attack.seed = 6;
    assert_int_equal(draco_worker_open(&r->attack.flipped, &flipped), DRACO_OK);
    assert_int_equal(draco_openmp_open(&inner, &workers), DRACO_OK);
    assert_int_equal(draco_attack_wrap(&outer, &inner, &r->attack), DRACO_OK);
    lost_workers = r->lost;
    outer.lost = lost;
    unheard = outer;
    outer.broadcast = heard_broadcast;
    outer.fetch = heard_fetch;
    draco_server_config config = {.code = workers.worker.code,
                                  .transport = &outer,
                                  .dim = D,
                                  .wait = r->wait,
                                  .challenge = 1,
                                  .evict_after = r->evict_after,
                                  .shrink = r->shrink,
                                  .check_every = r->check_every,
                                  .check_probability = r->check_probability,
                                  .check_seed = r->check_seed};
    assert_int_equal(draco_server_open(&server, &config), DRACO_OK);
    bytes = draco_server_memory(server, &memory);
    assert_int_equal(bytes, r->full && !r->evict_after ? 0 : 2 * N + 2);
    if (r->check_every || r->check_probability > 0) assert_int_equal(draco_server_replan(server, 0), N);
    if (r->memory) memcpy(memory, r->memory, bytes);
    for (int j = 0; j < D; j++) params[j] = (float)(j % 5);
    for (uint64_t step = r->from; step < r->from + (r->steps ? r->steps : STEPS); step++) {
        draco_round round;
        unsigned char liars[N];
        if (r->parts && (int)step == r->replan)
            assert_true(draco_server_replan(server, r->parts < 0 ? 0 : r->parts) > 0);
        calls = fingerprinted = 0;
        heard = 0;
        r->status = draco_server_round(server, step, params, sum, &round);
        if (r->status == DRACO_E_RANGE &&
            !round.checked) /* a lie that cannot be added: the next try is checked */
            r->status = draco_server_round(server, step, params, sum, &round);
        memcpy(r->text, round.text, sizeof r->text);
        if (r->status < 0) break;
        r->calls[step] = calls;
        r->told[step] = heard;
        r->checked[step] = round.checked;
        r->gradients[step] = round.gradients;
        r->digest[step] = digest_of(sum);
        r->evicted = round.evicted;
        r->disputed += round.gradients > PARTS * (S + 1 - round.evicted);
        draco_attack_liars(&r->attack, step, 0, liars);
        for (int i = 0; i < N; i++) {
            r->blamed[i] += round.verdicts[i] == DRACO_BLAMED;
            r->blamed_in[step] += round.verdicts[i] == DRACO_BLAMED;
            r->wrongly += round.verdicts[i] == DRACO_BLAMED && !liars[i];
        }
    }
    if (bytes) memcpy(r->kept, memory, bytes);
    draco_server_close(server);
    outer.close(outer.ctx);
    draco_attack_unwrap(&outer);
    draco_worker_close(r->attack.flipped);
}

static run with(const char *attack, draco_attack_who who) {
    return (run){.attack = {.name = attack, .liars = attack ? S : 0, .who = who}};
}

static void same_as(const run *a, const run *b) {
    if (a->status < 0) fail_msg("%s: %s", a->attack.name, a->text);
    if (memcmp(a->digest, b->digest, sizeof a->digest) != 0) fail_msg("%s moved the sum", a->attack.name);
    if (a->wrongly) fail_msg("%s: %d honest workers blamed", a->attack.name, a->wrongly);
}

/* ---- Bits ---- */

static void every_attack_is_without_effect(void **state) {
    run clean = with(NULL, DRACO_ATTACK_FIXED);
    int found = 0;
    (void)state;
    go(&clean);
    assert_int_equal(clean.status, DRACO_OK);
    for (int k = 0; draco_attack_list(k); k++)
        for (int how = 0; how < 12; how++) {
            run r = with(draco_attack_list(k)->name, (draco_attack_who)(how % 3));
            /* Drawn anew, they would be more than s in the end. */
            r.evict_after = how % 3 == DRACO_ATTACK_FIXED ? how / 3 % 2 * 2 : 0;
            r.wait = how >= 6 ? DRACO_WAIT_ENOUGH : DRACO_WAIT_ALL;
            go(&r);
            same_as(&r, &clean);
            for (int i = 0; i < N; i++) found += r.blamed[i];
            assert_true(r.evicted <= S);
        }
    assert_true(found > 1000);
}

/* Workers that lie in every round, and three that share gradients or were the groups of the full code. */
static void sharing_and_full_redundancy_are_alike(void **state) {
    run clean = with(NULL, DRACO_ATTACK_FIXED), shared = with("reverse", DRACO_ATTACK_WORST),
        full = with(NULL, DRACO_ATTACK_FIXED), evicting = with("reverse", DRACO_ATTACK_FIXED);
    (void)state;
    go(&clean);
    shared.share = 1;
    go(&shared);
    same_as(&shared, &clean);
    full.full = evicting.full = 1;
    evicting.evict_after = 3;
    go(&full);
    go(&evicting);
    same_as(&evicting, &full);
    assert_int_equal(evicting.evicted, S);
    for (int i = 0; i < N; i++) assert_true(evicting.blamed[i] == 0 || evicting.blamed[i] == 3);
}

/* ---- Gradients ---- */

static void a_lie_costs_its_part_and_an_eviction_saves_one_in_all(void **state) {
    run honest = with(NULL, DRACO_ATTACK_FIXED), lying = with("reverse", DRACO_ATTACK_FIXED),
        evicting = with("reverse", DRACO_ATTACK_FIXED);
    (void)state;
    go(&honest);
    go(&lying);
    evicting.evict_after = 1;
    go(&evicting);
    for (int i = 0; i < STEPS; i++) {
        assert_int_equal(honest.calls[i], PARTS * (S + 1));
        assert_in_range(lying.calls[i], PARTS * (S + 1) + S, PARTS * (S + 1) + 2 * S);
        assert_int_equal(evicting.calls[i], evicting.gradients[i]);
        assert_int_equal(lying.calls[i], lying.gradients[i]);
        if (i > 0) assert_int_equal(evicting.calls[i], PARTS);
    }
    assert_true(evicting.calls[0] > PARTS * (S + 1));
}

/* The last liar sleeps until it is alone. */
static void who_sleeps_is_found_when_it_wakes(void **state) {
    run clean = with(NULL, DRACO_ATTACK_FIXED), r = with("sleeper", DRACO_ATTACK_FIXED);
    (void)state;
    go(&clean);
    r.evict_after = 2;
    go(&r);
    same_as(&r, &clean);
    assert_int_equal(r.evicted, S);
    assert_int_equal(r.gradients[STEPS - 1], PARTS);
}

/* ---- Memory ---- */

static void a_run_goes_on_from_its_memory(void **state) {
    run whole = with("reverse", DRACO_ATTACK_FIXED), first = whole, second = whole;
    (void)state;
    whole.evict_after = first.evict_after = second.evict_after = 2;
    whole.replan = first.replan = second.replan = 8;
    whole.parts = first.parts = second.parts = -1;
    go(&whole);
    first.steps = 9;
    go(&first);
    second.from = 9, second.steps = STEPS - 9, second.memory = first.kept;
    go(&second);
    memcpy(second.digest, first.digest, 9 * sizeof *first.digest);
    same_as(&second, &whole);
    assert_memory_equal(second.kept, whole.kept, sizeof whole.kept);
    assert_int_equal(whole.kept[0], 13); /* 15 - 2 workers, one copy each */
    memset(first.kept, 0, 2);            /* a damaged memory */
    second.memory = first.kept;
    go(&second);
    assert_int_equal(second.status, DRACO_E_CONFIG);
}

static void a_new_plan_has_the_bits_of_that_plan(void **state) {
    run r = with("reverse", DRACO_ATTACK_FIXED), clean = with(NULL, DRACO_ATTACK_FIXED),
        before = with(NULL, DRACO_ATTACK_FIXED);
    (void)state;
    r.evict_after = 1, r.replan = 5, r.parts = -1;
    go(&r);
    clean.replan = 5, clean.parts = 13;
    go(&clean);
    same_as(&r, &clean);
    go(&before);
    assert_memory_equal(before.digest, clean.digest, 5 * sizeof *clean.digest);
    assert_true(before.digest[5] != clean.digest[5]);
    assert_int_equal(r.calls[6], 13);
    assert_int_equal(clean.calls[6], 13 * (S + 1)); /* some compute three parts */
    clean.share = 1;
    r = clean;
    go(&r);
    same_as(&r, &clean);
}

/* Readmitted, a worker is one that may lie again. */
static void who_is_readmitted_takes_part(void **state) {
    run r = with("reverse", DRACO_ATTACK_FIXED), second = r;
    (void)state;
    r.evict_after = second.evict_after = 1;
    r.steps = 3;
    go(&r);
    assert_int_equal(r.evicted, S);
    memset(r.kept + 2, 0, N);
    second.memory = r.kept;
    second.from = 3, second.steps = 1;
    go(&second);
    assert_int_equal(second.evicted, 0);
    assert_in_range(second.gradients[3], PARTS * (S + 1) + 1, 25);
}

/* ---- Spot checks ---- */

enum { K = 4 };

static void spot_checks_have_the_bits_of_checks_in_all_rounds(void **state) {
    run clean = with(NULL, DRACO_ATTACK_FIXED), all = clean, some = clean, shared = clean;
    (void)state;
    clean.replan = 0, clean.parts = N;
    go(&clean);
    all.check_every = 1;
    go(&all);
    same_as(&all, &clean);
    some.check_every = shared.check_every = K;
    shared.share = 1;
    go(&some);
    go(&shared);
    same_as(&some, &clean);
    same_as(&shared, &clean);
    for (int i = 0; i < STEPS; i++) {
        assert_int_equal(some.checked[i], i % K == 0);
        assert_int_equal(some.gradients[i], i % K == 0 ? N * (S + 1) : N);
        assert_int_equal(some.calls[i], some.gradients[i]);
        assert_int_equal(all.gradients[i], N * (S + 1));
        /* Nobody is told before the messages are here. */
        assert_true(all.told[i] == some.told[i]);
    }
}

static void a_lie_is_named_in_the_next_check_and_not_before(void **state) {
    run clean = with(NULL, DRACO_ATTACK_FIXED);
    (void)state;
    clean.check_every = 1;
    go(&clean);
    for (int k = 0; draco_attack_list(k); k++) {
        run r = with(draco_attack_list(k)->name, DRACO_ATTACK_FIXED), sure = r;
        int moved = 0;
        r.check_every = K;
        sure.check_every = 1;
        go(&r);
        go(&sure);
        same_as(&sure, &clean);
        if (r.status < 0) fail_msg("%s: %s (%s)", r.attack.name, draco_status_text(r.status), r.text);
        assert_int_equal(r.wrongly, 0);
        for (int i = 0; i < STEPS; i++) {
            if (i % K == 0) assert_int_equal(r.checked[i], 1);
            if (r.checked[i])
                assert_true(r.digest[i] == clean.digest[i]);
            else
                assert_int_equal(r.blamed_in[i], 0);
            moved += r.digest[i] != clean.digest[i];
        }
        if (strcmp(r.attack.name, "reverse") != 0) continue;
        for (int i = 0; i < STEPS; i += K) assert_int_equal(r.blamed_in[i], S);
        assert_int_equal(moved, STEPS - STEPS / K); /* what a check does not see is believed */
    }
}

/* One of them in a round of s + 1 copies may be silent; alone with its part, another computes that. */
static void who_is_silent_in_a_round_without_a_check_is_replaced(void **state) {
    run clean = with(NULL, DRACO_ATTACK_FIXED), r = clean, drawn = clean;
    (void)state;
    clean.check_every = 1;
    go(&clean);
    r.check_every = drawn.check_every = K;
    r.attack.missing = drawn.attack.missing = S;
    r.attack.missing_fixed = 1;
    for (int wait = 0; wait < 2; wait++) {
        r.wait = drawn.wait = wait ? DRACO_WAIT_ENOUGH : DRACO_WAIT_ALL;
        go(&r);
        go(&drawn);
        same_as(&r, &clean);
        same_as(&drawn, &clean);
        for (int i = 0; i < STEPS; i++)
            if (i % K != 0) {
                assert_int_equal(r.gradients[i], N); /* nothing is asked of who was silent */
                assert_in_range(drawn.gradients[i], N, N + 2 * S);
            }
    }
}

static void checks_are_drawn_from_seed_and_step(void **state) {
    run a = with("reverse", DRACO_ATTACK_FIXED), b = a, second = a, always = a;
    int checks = 0, other = 0;
    (void)state;
    a.check_probability = b.check_probability = second.check_probability = 0.5;
    a.evict_after = b.evict_after = second.evict_after = 3;
    always.check_probability = 1;
    a.check_seed = second.check_seed = 1;
    go(&a);
    go(&always);
    for (int i = 0; i < STEPS; i++) {
        assert_int_equal(always.checked[i], 1);
        checks += a.checked[i];
    }
    assert_in_range(checks, 1, STEPS - 1);
    b.check_seed = 2;
    go(&b);
    for (int i = 0; i < STEPS; i++) other += a.checked[i] != b.checked[i];
    assert_in_range(other, 1, STEPS - 1);
    /* A run that goes on checks the same. */
    run first = second;
    first.steps = 7;
    go(&first);
    second.from = 7, second.steps = STEPS - 7, second.memory = first.kept;
    go(&second);
    assert_memory_equal(second.digest + 7, a.digest + 7, (STEPS - 7) * sizeof *a.digest);
    assert_memory_equal(second.checked + 7, a.checked + 7, (STEPS - 7) * sizeof *a.checked);
    assert_memory_equal(second.kept, a.kept, sizeof a.kept);
}

/* ---- Too few, too many ---- */

static void too_few_are_told_or_made_do_with(void **state) {
    run r = with("reverse", DRACO_ATTACK_FIXED);
    (void)state;
    r.lost = 11; /* 4 are left, of 5 that two liars take */
    go(&r);
    assert_int_equal(r.status, DRACO_E_TOO_MANY_MISSING);
    assert_non_null(strstr(r.text, "4 of 15 workers are left, too few: 11 lost, 0 proved liars"));
    r.shrink = 1;
    r.attack.liars = 1;
    go(&r);
    assert_int_equal(r.status, DRACO_OK);
    assert_in_range(r.gradients[0], PARTS * 2, PARTS * 2 + 1);
    r.lost = N;
    go(&r);
    assert_int_equal(r.status, DRACO_E_TOO_MANY_MISSING);
}

static void more_liars_than_s_are_no_proof(void **state) {
    (void)state;
    for (int who = 0; who < 3; who++) {
        run r = with("reverse", (draco_attack_who)who);
        r.attack.liars = S + 2;
        r.evict_after = 1;
        go(&r);
        assert_true(r.status == DRACO_E_AMBIGUOUS || r.status == DRACO_E_NO_MAJORITY);
        assert_int_equal(r.wrongly, 0);
        assert_true(r.text[0] != 0);
    }
}

static void missing_workers_are_asked_for_in_others(void **state) {
    run clean = with(NULL, DRACO_ATTACK_FIXED), r = with("reverse", DRACO_ATTACK_FIXED);
    (void)state;
    go(&clean);
    r.attack.liars = 1;
    r.attack.missing = 1; /* in the place of a liar */
    r.attack.missing_fixed = 1;
    r.evict_after = 1;
    go(&r);
    same_as(&r, &clean);
    assert_int_equal(r.evicted, 1);
}

/* ---- Requests ---- */

static void a_plan_is_checked(void **state) {
    draco_code code = reactive(0), now;
    unsigned char extra[32 + 2 * N + 2];
    draco_request request = {
        .kind = DRACO_REQUEST_READY, .extra = extra, .extra_bytes = 2 * N + 2, .server = -1};
    (void)state;
    memset(extra, 0, sizeof extra);
    extra[0] = 7, extra[2 + 2 * 3] = 6, extra[2 + 2 * 4] = extra[3 + 2 * 4] = 255;
    assert_int_equal(draco_request_part(&code, &request, 3, &now), 6);
    assert_int_equal(now.parts, 7);
    assert_int_equal(draco_request_part(&code, &request, 4, NULL), -1);
    assert_int_equal(draco_request_part(&code, &request, N, NULL), -1);
    extra[2 + 2 * 3] = 7;
    assert_int_equal(draco_request_part(&code, &request, 3, NULL), -2);
    extra[0] = N + 1;
    assert_int_equal(draco_request_part(&code, &request, 0, NULL), -2);
    extra[0] = 0;
    assert_int_equal(draco_request_part(&code, &request, 0, NULL), -2);
    request.extra_bytes--;
    assert_int_equal(draco_request_part(&code, &request, 0, NULL), -2);
    request.extra = NULL;
    assert_int_equal(draco_request_part(&code, &request, 0, NULL), -2);
    request.kind = DRACO_REQUEST_MESSAGE;
    assert_int_equal(draco_request_part(&code, &request, 7, NULL), 2);
    code = reactive(1);
    request.kind = DRACO_REQUEST_READY;
    assert_int_equal(draco_request_part(&code, &request, 7, &now), 1);
}

static void configurations_are_checked(void **state) {
    draco_model model = {.size = sizeof model, .dim = D, .parameters = D, .gradient = toy_gradient};
    draco_openmp_config workers = {.worker = {.code = reactive(0), .model = &model, .batch = BATCH}};
    draco_transport t;
    draco_server *server;
    (void)state;
    assert_int_equal(draco_openmp_open(&t, &workers), DRACO_OK);
    draco_server_config good = {.code = reactive(0), .transport = &t, .dim = D}, c = good;
    c.evict_after = 256;
    assert_int_equal(draco_server_open(&server, &c), DRACO_E_ARGUMENT);
    c = good, c.abs_tol = 1;
    assert_int_equal(draco_server_open(&server, &c), DRACO_E_ARGUMENT);
    c = good, c.check_every = 2, c.check_probability = 0.5;
    assert_int_equal(draco_server_open(&server, &c), DRACO_E_ARGUMENT);
    c = good, c.check_probability = 1.5;
    assert_int_equal(draco_server_open(&server, &c), DRACO_E_ARGUMENT);
    c = good, c.check_every = -1;
    assert_int_equal(draco_server_open(&server, &c), DRACO_E_ARGUMENT);
    c = good, c.code = reactive(1), c.check_every = 2;
    assert_int_equal(draco_server_open(&server, &c), DRACO_E_ARGUMENT);
    c = good, c.code.s = 0, c.check_every = 2;
    assert_int_equal(draco_server_open(&server, &c), DRACO_E_ARGUMENT);
    c = good, c.code = reactive(1), c.evict_after = 1, c.abs_tol = 1;
    assert_int_equal(draco_server_open(&server, &c), DRACO_E_ARGUMENT);
    assert_int_equal(draco_server_open(&server, &good), DRACO_OK);
    assert_int_equal(draco_server_replan(server, N + 1), DRACO_E_LIMITS);
    assert_int_equal(draco_server_replan(server, 0), PARTS);
    assert_non_null(draco_server_proofs(server));
    draco_server_close(server);
    good.code = reactive(1);
    assert_int_equal(draco_server_open(&server, &good), DRACO_OK);
    assert_null(draco_server_proofs(server));
    assert_int_equal(draco_server_replan(server, 3), DRACO_E_ARGUMENT);
    draco_server_close(server);
    t.close(t.ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_attack_is_without_effect),
        cmocka_unit_test(sharing_and_full_redundancy_are_alike),
        cmocka_unit_test(a_lie_costs_its_part_and_an_eviction_saves_one_in_all),
        cmocka_unit_test(who_sleeps_is_found_when_it_wakes),
        cmocka_unit_test(a_run_goes_on_from_its_memory),
        cmocka_unit_test(a_new_plan_has_the_bits_of_that_plan),
        cmocka_unit_test(who_is_readmitted_takes_part),
        cmocka_unit_test(spot_checks_have_the_bits_of_checks_in_all_rounds),
        cmocka_unit_test(a_lie_is_named_in_the_next_check_and_not_before),
        cmocka_unit_test(who_is_silent_in_a_round_without_a_check_is_replaced),
        cmocka_unit_test(checks_are_drawn_from_seed_and_step),
        cmocka_unit_test(too_few_are_told_or_made_do_with),
        cmocka_unit_test(more_liars_than_s_are_no_proof),
        cmocka_unit_test(missing_workers_are_asked_for_in_others),
        cmocka_unit_test(a_plan_is_checked),
        cmocka_unit_test(configurations_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
