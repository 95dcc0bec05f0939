/* The attacks: who lies, what the lies look like, and that honest messages pass untouched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define DRACO_IMPLEMENTATION
#define DRACO_OPENMP_IMPLEMENTATION
#define DRACO_ATTACKS_IMPLEMENTATION
#include "baselines/draco_attacks.h"
#include "transports/draco_openmp.h"

#define N 15
#define D 9000 /* three blocks, the last one partial */

/* ---- A transport whose worker i sends message[i], and an inbox that keeps what arrives ---- */

typedef struct wire {
    int n;
    size_t bytes;
    unsigned char *message; /* n x bytes: what the workers would send */
    unsigned char *row;     /* n x bytes: the server's memory */
    size_t arrived[N];
    int ended[N], order[N], orders; /* ended: a draco_arrival */
    int asked[N], closed, enough_after;
    /* worker's side */
    unsigned char *sent;
    size_t sent_bytes;
    int submits;
    draco_request next;
} wire;

static draco_status wire_broadcast(void *ctx, const draco_request *request) {
    (void)ctx;
    return request->reply_bytes > 0 ? DRACO_OK : DRACO_E_ARGUMENT;
}

static draco_status wire_fetch(void *ctx, const draco_request *request, const unsigned char *whom,
                               double seconds, const draco_inbox *inbox) {
    wire *w = ctx;
    (void)seconds;
    for (int i = 0; i < w->n; i++) {
        if (whom && !whom[i]) continue;
        unsigned char *row = inbox->reserve(inbox->ctx, i);
        w->asked[i]++;
        for (size_t at = 0; row && at < request->reply_bytes; at += 4096) {
            size_t n = request->reply_bytes - at < 4096 ? request->reply_bytes - at : 4096;
            memcpy(row + at, w->message + (size_t)i * w->bytes + at, n);
            inbox->chunk(inbox->ctx, i, at, n);
        }
        if (inbox->end(inbox->ctx, i, row ? DRACO_ARRIVAL_WHOLE : DRACO_ARRIVAL_ABSENT) == DRACO_OK)
            return DRACO_OK;
    }
    return DRACO_MORE;
}

static draco_status wire_collect(void *ctx, const draco_request *request, double seconds,
                                 const draco_inbox *inbox) {
    return wire_fetch(ctx, request, NULL, seconds, inbox);
}

static draco_status wire_close(void *ctx) {
    ((wire *)ctx)->closed = 1;
    return DRACO_OK;
}

static draco_status wire_receive(void *ctx, draco_request *request) {
    *request = ((wire *)ctx)->next;
    return DRACO_OK;
}

static draco_status wire_submit(void *ctx, const draco_request *request, const void *reply, size_t bytes) {
    wire *w = ctx;
    (void)request;
    memcpy(w->sent, reply, bytes);
    w->sent_bytes = bytes;
    w->submits++;
    return DRACO_OK;
}

static void *inbox_reserve(void *ctx, int worker) {
    wire *w = ctx;
    return w->row + (size_t)worker * w->bytes;
}

static void inbox_chunk(void *ctx, int worker, size_t offset, size_t n) {
    wire *w = ctx;
    assert_int_equal(w->ended[worker], 0);
    assert_int_equal(offset, w->arrived[worker]); /* without gap or overlap */
    w->arrived[worker] += n;
}

static draco_status inbox_end(void *ctx, int worker, draco_arrival arrival) {
    wire *w = ctx;
    assert_int_equal(w->ended[worker], 0);
    w->ended[worker] = (int)arrival;
    w->order[w->orders++] = worker;
    return w->orders == w->enough_after ? DRACO_OK : DRACO_MORE;
}

static void wire_new(wire *w, draco_transport *transport, const draco_code *code) {
    memset(w, 0, sizeof *w);
    w->n = code->n;
    w->bytes = draco_message_bytes(code, D);
    w->message = malloc((size_t)w->n * w->bytes);
    w->row = malloc((size_t)w->n * w->bytes);
    w->sent = malloc(w->bytes);
    assert_true(w->message && w->row && w->sent);
    *transport = (draco_transport){.size = sizeof *transport,
                                   .name = "wire",
                                   .ctx = w,
                                   .workers = w->n,
                                   .broadcast = wire_broadcast,
                                   .collect = wire_collect,
                                   .fetch = wire_fetch,
                                   .receive = wire_receive,
                                   .submit = wire_submit,
                                   .close = wire_close};
}

static void wire_free(wire *w) {
    free(w->message);
    free(w->row);
    free(w->sent);
}

/* Messages of one round: about 1 in every coordinate; residues for the prime field. */
static void wire_fill(wire *w, const draco_code *code, uint64_t step) {
    int residues = code->scheme == DRACO_CYCLIC && code->field == DRACO_FIELD_PRIME;
    for (int i = 0; i < w->n; i++)
        for (size_t j = 0; j < w->bytes / 4; j++) {
            uint32_t word[4];
            float x;
            draco_random(step, (uint64_t)i, j, word);
            x = 1 + (float)word[0] * 0x1p-32f - 0.5f;
            word[0] %= 2147483647u;
            memcpy(w->message + (size_t)i * w->bytes + 4 * j, residues ? (void *)word : (void *)&x, 4);
        }
}

static void wire_round(wire *w, const draco_transport *t, draco_request_kind ask, uint64_t step) {
    draco_inbox inbox = {sizeof inbox, w, inbox_reserve, inbox_chunk, inbox_end};
    draco_request request = {.kind = ask, .step = step, .reply_bytes = w->bytes};
    memset(w->arrived, 0, sizeof w->arrived);
    memset(w->ended, 0, sizeof w->ended);
    memset(w->row, 0xee, (size_t)w->n * w->bytes);
    w->orders = 0;
    assert_int_equal(t->broadcast(t->ctx, &request), DRACO_OK);
    assert_true(t->collect(t->ctx, &request, 1, &inbox) >= 0);
}

static draco_code code_of(draco_scheme scheme, draco_field field, int n, int s, int t) {
    draco_code code = {.scheme = scheme, .field = field, .n = n, .s = s, .t = t};
    assert_int_equal(draco_code_init(&code), DRACO_OK);
    return code;
}

static draco_code plain_code(void) {
    return code_of(DRACO_REPETITION, DRACO_FIELD_COMPLEX, N, 2, 0);
}

static const float *sent_by(const wire *w, int worker) {
    return (const float *)(const void *)(w->row + (size_t)worker * w->bytes);
}

static const float *true_of(const wire *w, int worker) {
    return (const float *)(const void *)(w->message + (size_t)worker * w->bytes);
}

static int same(const wire *w, int worker) {
    return memcmp(sent_by(w, worker), true_of(w, worker), w->bytes) == 0;
}

/* ---- Who ---- */

static int count_of(const unsigned char *flags, int n) {
    int count = 0;
    for (int i = 0; i < n; i++) count += flags[i];
    return count;
}

static void who_lies(void **state) {
    (void)state;
    draco_attack_config config = {
        .name = "reverse", .code = plain_code(), .liars = 3, .missing = 2, .seed = 9};
    unsigned char first[N], liars[N], again[N], missing[N];
    int lied[N] = {0}, fixed_missing = 1;
    assert_int_equal(draco_attack_liars(&config, 0, 0, first), DRACO_OK);
    assert_int_equal(count_of(first, N), 3);
    for (uint64_t step = 0; step < 50; step++) {
        draco_attack_liars(&config, step, 0, liars);
        assert_memory_equal(first, liars, N);
    }
    config.who = DRACO_ATTACK_RANDOM;
    for (uint64_t step = 0; step < 3000; step++) {
        unsigned char before[N] = {0};
        if (step) memcpy(before, missing, N);
        draco_attack_liars(&config, step, 0, liars);
        draco_attack_liars(&config, step, 0, again);
        assert_memory_equal(liars, again, N);
        draco_attack_missing(&config, step, 0, missing);
        assert_int_equal(count_of(liars, N), 3);
        assert_int_equal(count_of(missing, N), 2);
        for (int i = 0; i < N; i++) {
            assert_false(liars[i] && missing[i]);
            lied[i] += liars[i];
        }
        if (step && memcmp(before, missing, N) != 0) fixed_missing = 0;
    }
    assert_false(fixed_missing);
    /* Each worker lies 600 times of 3000 on average; the standard deviation is 22. */
    for (int i = 0; i < N; i++) assert_in_range(lied[i], 600 - 130, 600 + 130);
    int changes = 0;
    for (uint64_t step = 0; step < 20; step++) { /* a retry draws anew */
        draco_attack_liars(&config, step, 0, liars);
        draco_attack_liars(&config, step, 1, again);
        changes += memcmp(liars, again, N) != 0;
    }
    assert_true(changes > 15);
    config.who = DRACO_ATTACK_WORST;
    for (uint64_t step = 0; step < 50; step++) {
        int group = -1;
        draco_attack_liars(&config, step, 0, liars);
        assert_int_equal(count_of(liars, N), 3);
        for (int i = 0; i < N; i++) {
            if (!liars[i]) continue;
            if (group < 0) group = draco_code_group(&config.code, i);
            assert_int_equal(draco_code_group(&config.code, i), group);
        }
    }
    config.code = code_of(DRACO_CYCLIC, DRACO_FIELD_COMPLEX, N, 3, 0);
    for (uint64_t step = 0; step < 50; step++) {
        int edges = 0, lies[N] = {0};
        draco_code now = config.code;
        draco_attack_liars(&config, step, 0, liars);
        draco_code_at(&now, step);
        assert_int_equal(count_of(liars, N), 3);
        for (int i = 0; i < N; i++) lies[draco_code_seat(&now, i)] = liars[i];
        for (int i = 0; i < N; i++) edges += lies[i] && !lies[(i + 1) % N];
        assert_int_equal(edges, 1); /* one run of neighbours */
    }
    const int ids[3] = {4, 0, 14};
    config.who = DRACO_ATTACK_FIXED;
    config.ids = ids;
    draco_attack_liars(&config, 3, 0, liars);
    assert_true(liars[0] && liars[4] && liars[14] && count_of(liars, N) == 3);
}

/* ---- Honest messages pass, liars' do not ---- */

static const char *const silent[] = {"omission", "truncation", "challenge-no-body", "challenge-half-body"};

static int is_silent(const char *name) {
    for (size_t k = 0; k < sizeof silent / sizeof *silent; k++)
        if (strcmp(silent[k], name) == 0) return 1;
    return 0;
}

static void only_liars_are_changed(void **state) {
    (void)state;
    for (int field = 0; field < 3; field++)
        for (int k = 0; draco_attack_list(k); k++) {
            const draco_attack_info *info = draco_attack_list(k);
            if (strcmp(info->name, "label-flip") == 0) continue; /* needs a worker; has a test of its own */
            draco_attack_config config = {.name = info->name,
                                          .liars = 3,
                                          .missing = 2,
                                          .seed = 4,
                                          .who = DRACO_ATTACK_RANDOM,
                                          .abs_tol = 1e-2f};
            config.code = field == 0 ? plain_code()
                                     : code_of(DRACO_CYCLIC,
                                               field == 1 ? DRACO_FIELD_COMPLEX : DRACO_FIELD_PRIME, N, 3, 0);
            wire w;
            draco_transport inner, outer;
            wire_new(&w, &inner, &config.code);
            assert_int_equal(draco_attack_wrap(&outer, &inner, &config), DRACO_OK);
            for (uint64_t step = 0; step < 3; step++) {
                unsigned char liars[N], missing[N];
                int changed = 0;
                wire_fill(&w, &config.code, step);
                if (field == 2) { /* the liars of a second half are those of the first */
                    draco_request first = {.kind = DRACO_REQUEST_EXPONENTS, .step = step, .reply_bytes = 4};
                    assert_int_equal(outer.broadcast(outer.ctx, &first), DRACO_OK);
                }
                wire_round(&w, &outer, field == 2 ? DRACO_REQUEST_ENCODED : DRACO_REQUEST_MESSAGE, step);
                draco_attack_liars(&config, step, 0, liars);
                draco_attack_missing(&config, step, 0, missing);
                for (int i = 0; i < N; i++) {
                    if (missing[i]) {
                        assert_int_equal(w.arrived[i] + (size_t)w.ended[i], 0);
                        continue;
                    }
                    if (!liars[i] || strcmp(info->name, "none") == 0) {
                        assert_int_equal(w.ended[i], DRACO_ARRIVAL_WHOLE);
                        assert_int_equal(w.arrived[i], w.bytes);
                        if (!same(&w, i)) fail_msg("%s changed honest worker %d", info->name, i);
                        continue;
                    }
                    if (is_silent(info->name)) {
                        int half =
                            strcmp(info->name, "truncation") == 0 || strstr(info->name, "half") != NULL;
                        assert_int_equal(w.ended[i], half ? DRACO_ARRIVAL_MALFORMED : 0);
                        assert_int_equal(w.arrived[i], half ? w.bytes / 2 : 0);
                        continue;
                    }
                    assert_int_equal(w.ended[i], DRACO_ARRIVAL_WHOLE);
                    assert_int_equal(w.arrived[i], w.bytes);
                    changed += !same(&w, i);
                }
                /* A colluder that does not hold the part that is shifted has nothing to change. */
                int least = is_silent(info->name) || strcmp(info->name, "none") == 0 ? 0 : 3;
                if (strcmp(info->name, "codeword") == 0 || strcmp(info->name, "sleeper") == 0) least = 1;
                if (strcmp(info->name, "rare") == 0 || strcmp(info->name, "challenge-claim") == 0) least = 0;
                if (changed < least) fail_msg("%s: %d of 3 liars changed", info->name, changed);
            }
            outer.close(outer.ctx);
            assert_int_equal(w.closed, 1);
            draco_attack_unwrap(&outer);
            wire_free(&w);
        }
}

/* ---- What the lies look like ---- */

static void lie(const char *name, double factor, wire *w, unsigned char *liars) {
    draco_attack_config config = {.name = name,
                                  .code = plain_code(),
                                  .liars = 3,
                                  .seed = 4,
                                  .factor = factor,
                                  .abs_tol = 0.5f,
                                  .rel_tol = 0.25f};
    draco_transport inner, outer;
    wire_new(w, &inner, &config.code);
    assert_int_equal(draco_attack_wrap(&outer, &inner, &config), DRACO_OK);
    for (uint64_t step = 0; step < 2; step++) {
        wire_fill(w, &config.code, step);
        wire_round(w, &outer, DRACO_REQUEST_MESSAGE, step);
    }
    draco_attack_liars(&config, 1, 0, liars);
    draco_attack_unwrap(&outer);
}

/* Mean and standard deviation of number j over the honest workers. */
static void moments(const wire *w, const unsigned char *liars, size_t j, double *mean, double *deviation) {
    double sum = 0, squares = 0;
    int count = 0;
    for (int i = 0; i < N; i++)
        if (!liars[i]) sum += (double)true_of(w, i)[j], count++;
    *mean = sum / count;
    for (int i = 0; i < N; i++)
        if (!liars[i]) squares += pow((double)true_of(w, i)[j] - *mean, 2);
    *deviation = sqrt(squares / count);
}

static void shapes_of_lies(void **state) {
    (void)state;
    static const char *const names[] = {"reverse", "sign-flip", "constant", "alie", "ipm", "under-tolerance"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        wire w;
        unsigned char liars[N];
        lie(names[k], 0, &w, liars);
        for (int i = 0; i < N; i++)
            for (size_t j = 0; j < D && liars[i]; j += 37) {
                double x = (double)true_of(&w, i)[j], got = (double)sent_by(&w, i)[j], mean, deviation,
                       want = 0;
                moments(&w, liars, j, &mean, &deviation);
                switch (k) {
                case 0:
                    want = -100 * x;
                    break;
                case 1:
                    want = -x;
                    break;
                case 2:
                    want = -100;
                    break;
                case 3:
                    want = mean - 0.2104284 * deviation;
                    break; /* Phi(0.2104) = 7/12: n = 15, f = 3 */
                case 4:
                    want = -0.5 * mean;
                    break;
                default:
                    want = x + 0.999 * (0.5 + 0.25 * fabs(x));
                    break;
                }
                if (fabs(got - want) > 1e-5 * (1 + fabs(want)))
                    fail_msg("%s: %g, not %g", names[k], got, want);
            }
        wire_free(&w);
    }
}

static void statistics_of_noise(void **state) {
    (void)state;
    wire w;
    unsigned char liars[N];
    lie("gaussian", 200, &w, liars);
    double sum = 0, squares = 0, count = 0;
    for (int i = 0; i < N; i++)
        for (size_t j = 0; j < D && liars[i]; j++) {
            double x = (double)sent_by(&w, i)[j];
            sum += x;
            squares += x * x;
            count++;
        }
    assert_true(fabs(sum / count) < 5 * 200 / sqrt(count));
    assert_true(fabs(sqrt(squares / count) / 200 - 1) < 5 / sqrt(2 * count));
    wire_free(&w);
    lie("bit-flip", 100, &w, liars);
    for (int i = 0; i < N; i++) {
        int bits = 0;
        for (size_t b = 0; b < w.bytes && liars[i]; b++)
            bits += __builtin_popcount(
                (unsigned)(w.row[(size_t)i * w.bytes + b] ^ w.message[(size_t)i * w.bytes + b]));
        if (liars[i]) assert_in_range(bits, 90, 100); /* a bit turned twice is back */
    }
    wire_free(&w);
    lie("needle", 3, &w, liars);
    for (int i = 0; i < N; i++) {
        int changed = 0;
        for (size_t j = 0; j < D; j++)
            changed += fabs((double)sent_by(&w, i)[j] - (double)true_of(&w, i)[j]) > 2.9;
        assert_int_equal(changed, liars[i]);
    }
    wire_free(&w);
}

static void poison_replay_mimic_patchwork(void **state) {
    (void)state;
    wire w;
    unsigned char liars[N];
    lie("nan", 0, &w, liars);
    for (int i = 0; i < N; i++)
        for (size_t j = 0; j < D; j++) assert_int_equal(isnan(sent_by(&w, i)[j]) != 0, liars[i]);
    wire_free(&w);
    lie("inf", 0, &w, liars);
    for (int i = 0; i < N; i++)
        for (size_t j = 0; j < D; j++) assert_int_equal(isinf(sent_by(&w, i)[j]) != 0, liars[i]);
    wire_free(&w);
    lie("replay", 0, &w, liars);
    wire before;
    draco_transport unused;
    draco_code code = plain_code();
    wire_new(&before, &unused, &code);
    wire_fill(&before, &code, 0);
    for (int i = 0; i < N; i++)
        if (liars[i]) assert_memory_equal(sent_by(&w, i), true_of(&before, i), w.bytes);
    wire_free(&before);
    wire_free(&w);
    lie("mimic", 0, &w, liars);
    int copied = 0;
    while (liars[copied]) copied++;
    for (int i = 0; i < N; i++)
        if (liars[i]) assert_memory_equal(sent_by(&w, i), true_of(&w, copied), w.bytes);
    wire_free(&w);
    lie("patchwork", 0, &w, liars);
    for (int i = 0; i < N; i++) {
        int kinds[4] = {0};
        for (size_t b = 0; b * DRACO_BLOCK < D && liars[i]; b++) {
            float got = sent_by(&w, i)[b * DRACO_BLOCK], x = true_of(&w, i)[b * DRACO_BLOCK];
            int kind = got >= x && got <= x           ? 3
                       : got >= -100 && got <= -100   ? 1
                       : fabsf(got + 100 * x) < 1e-3f ? 0
                                                      : 2;
            assert_int_equal(kind, (b + (size_t)i) % 4);
            kinds[kind]++;
        }
        if (liars[i]) assert_int_equal(kinds[0] + kinds[1] + kinds[2] + kinds[3], 3);
    }
    wire_free(&w);
}

static double apart(const float *x, const float *y) {
    double sum = 0;
    for (size_t j = 0; j < D; j++) sum += pow((double)x[j] - (double)y[j], 2);
    return sum;
}

/* The lie is as far out as an honest row may be, and no further. */
static void min_max_and_min_sum_reach_the_bound(void **state) {
    (void)state;
    for (int by_sum = 0; by_sum < 2; by_sum++) {
        wire w;
        unsigned char liars[N];
        lie(by_sum ? "min-sum" : "min-max", 0, &w, liars);
        int liar = 0;
        while (!liars[liar]) liar++;
        double bound = 0, got = 0;
        for (int i = 0; i < N; i++) {
            double total = 0, mine = liars[i] ? 0 : apart(sent_by(&w, liar), true_of(&w, i));
            got = by_sum ? got + mine : fmax(got, mine);
            for (int k = 0; k < N && !liars[i]; k++) {
                double a = liars[k] ? 0 : apart(true_of(&w, i), true_of(&w, k));
                total = by_sum ? total + a : fmax(total, a);
            }
            bound = fmax(bound, total);
        }
        assert_true(fabs(got / bound - 1) < 1e-4);
        for (int i = 0; i < N; i++)
            if (liars[i]) assert_memory_equal(sent_by(&w, i), sent_by(&w, liar), w.bytes);
        wire_free(&w);
    }
}

/* Residues: -100 m mod p, p - 100, and out of range for NaN. */
static void lies_mod_p(void **state) {
    (void)state;
    static const char *const names[] = {"reverse", "constant", "sign-flip", "nan"};
    const uint64_t p = 2147483647u;
    for (size_t k = 0; k < 4; k++) {
        draco_attack_config config = {.name = names[k],
                                      .code = code_of(DRACO_CYCLIC, DRACO_FIELD_PRIME, N, 2, 0),
                                      .liars = 2,
                                      .honest_exponents = 1};
        wire w;
        unsigned char liars[N];
        draco_transport inner, outer;
        wire_new(&w, &inner, &config.code);
        wire_fill(&w, &config.code, 1);
        assert_int_equal(draco_attack_wrap(&outer, &inner, &config), DRACO_OK);
        wire_round(&w, &outer, DRACO_REQUEST_EXPONENTS, 1);
        for (int i = 0; i < N; i++) assert_true(same(&w, i)); /* truth in the first half was asked for */
        wire_round(&w, &outer, DRACO_REQUEST_ENCODED, 1);
        draco_attack_liars(&config, 1, 0, liars);
        for (int i = 0; i < N; i++)
            for (size_t j = 0; j < D && liars[i]; j++) {
                uint64_t m = ((const uint32_t *)(const void *)true_of(&w, i))[j];
                uint64_t got = ((const uint32_t *)(const void *)sent_by(&w, i))[j];
                uint64_t want[] = {(p - 100 * m % p) % p, p - 100, (p - m) % p, 0xffffffffu};
                assert_int_equal(got, want[k]);
            }
        draco_attack_unwrap(&outer);
        wire_free(&w);
    }
}

/* ---- Order, enough, fingerprints ---- */

static void omniscient_liars_go_first(void **state) {
    (void)state;
    draco_attack_config config = {.name = "ipm", .code = plain_code(), .liars = 3, .seed = 2, .who = 1};
    wire w;
    unsigned char liars[N];
    draco_transport inner, outer;
    wire_new(&w, &inner, &config.code);
    wire_fill(&w, &config.code, 7);
    assert_int_equal(draco_attack_wrap(&outer, &inner, &config), DRACO_OK);
    w.enough_after = 5; /* the server has enough: everybody is delivered all the same */
    wire_round(&w, &outer, DRACO_REQUEST_MESSAGE, 7);
    draco_attack_liars(&config, 7, 0, liars);
    assert_int_equal(w.orders, N);
    for (int k = 0; k < N; k++) assert_int_equal(liars[w.order[k]], k < 3);
    draco_attack_unwrap(&outer);
    wire_free(&w);
}

static void fingerprints_and_exponents_are_garbled(void **state) {
    (void)state;
    static const struct {
        const char *name;
        draco_request_kind kind;
        int garbled;
    } cases[] = {{"reverse", DRACO_REQUEST_FINGERPRINT, 1},
                 {"alie", DRACO_REQUEST_FINGERPRINT, 1},
                 {"reverse", DRACO_REQUEST_READY, 0},
                 {"challenge-claim", DRACO_REQUEST_FINGERPRINT, 1},
                 {"challenge-claim", DRACO_REQUEST_BODY, 0},
                 {"challenge-false-body", DRACO_REQUEST_FINGERPRINT, 0},
                 {"challenge-no-body", DRACO_REQUEST_FINGERPRINT, 0},
                 {"reverse", DRACO_REQUEST_EXPONENTS, 1},
                 {"challenge-false-body", DRACO_REQUEST_BODY, 1},
                 {"challenge-silent", DRACO_REQUEST_BODY, 1},
                 {"challenge-silent", DRACO_REQUEST_READY, 0},
                 {"reverse", DRACO_REQUEST_PROBE, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        draco_attack_config config = {.name = cases[k].name, .code = plain_code(), .liars = 2};
        wire w;
        unsigned char liars[N];
        draco_transport inner, outer;
        wire_new(&w, &inner, &config.code);
        wire_fill(&w, &config.code, 0);
        assert_int_equal(draco_attack_wrap(&outer, &inner, &config), DRACO_OK);
        wire_round(&w, &outer, DRACO_REQUEST_MESSAGE, 0);
        wire_round(&w, &outer, cases[k].kind, 0);
        draco_attack_liars(&config, 0, 0, liars);
        for (int i = 0; i < N; i++) {
            assert_int_equal(w.ended[i], DRACO_ARRIVAL_WHOLE);
            assert_int_equal(!same(&w, i), liars[i] && cases[k].garbled);
        }
        draco_attack_unwrap(&outer);
        wire_free(&w);
    }
}

/* ---- The worker's side ---- */

static void a_worker_lies_by_itself(void **state) {
    (void)state;
    draco_attack_config config = {.name = "reverse",
                                  .code = plain_code(),
                                  .liars = 4,
                                  .missing = 3,
                                  .seed = 11,
                                  .who = DRACO_ATTACK_RANDOM};
    for (int self = 0; self < N; self++) {
        wire w;
        draco_transport inner, outer;
        wire_new(&w, &inner, &config.code);
        assert_int_equal(draco_attack_wrap_worker(&outer, &inner, &config, self), DRACO_OK);
        for (uint64_t step = 0; step < 8; step++) {
            unsigned char liars[N], missing[N];
            draco_request request;
            int before = w.submits;
            wire_fill(&w, &config.code, step);
            w.next = (draco_request){.kind = DRACO_REQUEST_MESSAGE, .step = step, .reply_bytes = w.bytes};
            assert_int_equal(outer.receive(outer.ctx, &request), DRACO_OK);
            assert_int_equal(outer.submit(outer.ctx, &request, true_of(&w, self), w.bytes), DRACO_OK);
            draco_attack_liars(&config, step, 0, liars);
            draco_attack_missing(&config, step, 0, missing);
            assert_int_equal(w.submits - before, !missing[self]);
            if (missing[self]) continue;
            const float *sent = (const float *)(const void *)w.sent, *truth = true_of(&w, self);
            for (size_t j = 0; j < D; j += 91)
                assert_true(fabs((double)sent[j] - (liars[self] ? -100.0 : 1.0) * (double)truth[j]) < 1e-4);
        }
        draco_attack_unwrap(&outer);
        wire_free(&w);
    }
    config.name = "alie";
    draco_transport outer, inner = {.size = sizeof inner};
    assert_int_equal(draco_attack_wrap_worker(&outer, &inner, &config, 0), DRACO_E_ARGUMENT);
}

/* ---- In a real round ---- */

/* The gradient of part k is a vector that depends on the labels' sign, the step and k. */
static draco_status toy_gradient(void *ctx, void *workspace, const float *params, const draco_batch *batch,
                                 float *grad) {
    (void)workspace;
    (void)params;
    for (size_t j = 0; j < D; j++)
        grad[j] = *(const float *)ctx * (float)batch->count *
                  (1 + 0.125f * (float)((j * 7 + batch->step * 3 + (size_t)(batch->part + 1)) % 13));
    return DRACO_OK;
}

static draco_model toy_model(float *sign) {
    draco_model model = {.size = sizeof model,
                         .name = "toy",
                         .ctx = sign,
                         .dim = D,
                         .parameters = D,
                         .gradient = toy_gradient};
    return model;
}

/* Decodes three steps under an attack; sums: 3 x D. Returns the number of verdicts that are not the truth. */
static int train_under(const draco_attack_config *config, int challenge, float *sums, draco_status expected) {
    float sign = 1, params[D] = {0};
    draco_model model = toy_model(&sign);
    draco_openmp_config workers = {.worker = {.code = config->code, .model = &model, .batch = 60}};
    draco_transport inner, outer;
    int wrong = 0;
    assert_int_equal(draco_openmp_open(&inner, &workers), DRACO_OK);
    assert_int_equal(draco_attack_wrap(&outer, &inner, config), DRACO_OK);
    draco_server_config server_config = {
        .code = config->code, .transport = &outer, .dim = D, .challenge = challenge};
    draco_server *server;
    assert_int_equal(draco_server_open(&server, &server_config), DRACO_OK);
    for (uint64_t step = 0; step < 3; step++) {
        draco_round round;
        unsigned char liars[N];
        draco_status status = draco_server_round(server, step, params, sums + step * D, &round);
        if (status != expected) fail_msg("%s: status %d (%s)", config->name, status, round.text);
        draco_attack_liars(config, step, 0, liars);
        for (int i = 0; i < N; i++) {
            wrong += (round.verdicts[i] != DRACO_AGREES) != liars[i];
            if (!liars[i] && round.verdicts[i] != DRACO_AGREES && config->liars <= config->code.s)
                fail_msg("%s: honest worker %d is %s", config->name, i,
                         draco_verdict_text(round.verdicts[i]));
        }
    }
    draco_server_close(server);
    outer.close(outer.ctx);
    draco_attack_unwrap(&outer);
    return wrong;
}

/* What an attack does may be no lie: mimic sends a truth of its own group now and then, colluders of another group
   tell the truth, and the wrong answers to a challenge are given in a challenge only. */
static int may_be_no_lie(const char *name, int challenge) {
    return strcmp(name, "mimic") == 0 || strcmp(name, "codeword") == 0 || strcmp(name, "rare") == 0 ||
           strcmp(name, "sleeper") == 0 ||
           (challenge ? strncmp(name, "challenge-", 10) == 0 : strcmp(name, "challenge-claim") == 0);
}

static void the_vote_sees_through_every_attack(void **state) {
    const int challenge = *state != NULL;
    static float clean[3 * D], got[3 * D];
    draco_attack_config config = {.code = plain_code()};
    assert_int_equal(train_under(&config, challenge, clean, DRACO_OK), 0);
    float turned = -1;
    draco_model model = toy_model(&turned);
    draco_worker_config flipped = {.code = config.code, .model = &model, .batch = 60};
    for (int k = 0; draco_attack_list(k); k++)
        for (int who = 0; who < 3; who++) {
            config = (draco_attack_config){.name = draco_attack_list(k)->name,
                                           .code = plain_code(),
                                           .liars = 2,
                                           .who = (draco_attack_who)who,
                                           .seed = 6,
                                           .abs_tol = 0.1f};
            assert_int_equal(draco_worker_open(&config.flipped, &flipped), DRACO_OK);
            memset(got, 0, sizeof got);
            int wrong = train_under(&config, challenge, got, DRACO_OK);
            if (memcmp(clean, got, sizeof got) != 0) fail_msg("%s moved the model", config.name);
            if (wrong && !may_be_no_lie(config.name, challenge))
                fail_msg("%s: %d verdicts are wrong", config.name, wrong);
            draco_worker_close(config.flipped);
        }
}

/* s + 1 liars of one group who agree with each other's bodies: nothing tells them from s + 1 honest members. */
static void more_colluders_than_the_challenge_carries(void **state) {
    (void)state;
    static float got[3 * D];
    draco_attack_config config = {.name = "challenge-collude",
                                  .code = code_of(DRACO_REPETITION, DRACO_FIELD_PRIME, N, 1, 1),
                                  .liars = 2,
                                  .who = DRACO_ATTACK_WORST,
                                  .seed = 6};
    train_under(&config, 1, got, DRACO_E_AMBIGUOUS);
}

static double norm_of(const float *x, const float *y, size_t count) {
    double sum = 0;
    for (size_t j = 0; j < count; j++) sum += pow((double)x[j] - (y ? (double)y[j] : 0), 2);
    return sqrt(sum);
}

/* The cyclic codes: the same bytes in the prime field, to 1e-5 in the complex one. */
static void the_cyclic_codes_see_through_every_attack(void **state) {
    (void)state;
    static float clean[3 * D], got[3 * D];
    for (int field = 0; field < 2; field++) {
        draco_code code = code_of(DRACO_CYCLIC, field ? DRACO_FIELD_PRIME : DRACO_FIELD_COMPLEX, N, 2, 0);
        draco_attack_config config = {.code = code};
        assert_int_equal(train_under(&config, 0, clean, DRACO_OK), 0);
        float turned = -1;
        draco_model model = toy_model(&turned);
        draco_worker_config flipped = {.code = code, .model = &model, .batch = 60};
        for (int k = 0; draco_attack_list(k); k++)
            for (int way = 0; way < 2; way++) {
                config = (draco_attack_config){.name = draco_attack_list(k)->name,
                                               .code = code,
                                               .liars = 2,
                                               .who = way ? DRACO_ATTACK_WORST : DRACO_ATTACK_RANDOM,
                                               .seed = 8,
                                               .abs_tol = 0.1f,
                                               .honest_exponents = way};
                assert_int_equal(draco_worker_open(&config.flipped, &flipped), DRACO_OK);
                memset(got, 0, sizeof got);
                int wrong = train_under(&config, 0, got, DRACO_OK);
                double off = norm_of(got, clean, 3 * D) / norm_of(clean, NULL, 3 * D);
                if (field ? memcmp(clean, got, sizeof got) != 0 : !(off < 1e-5))
                    fail_msg("%s moved the sum by %g", config.name, off);
                /* Who shifts a part that it does not hold tells the truth, and where r divides n members of a
                   group send the same message. */
                if (wrong && !may_be_no_lie(config.name, 0))
                    fail_msg("%s, field %d, way %d: %d verdicts are wrong", config.name, field, way, wrong);
                draco_worker_close(config.flipped);
            }
    }
}

/* More colluders in one group than the code carries: s + 1 = 3 agree on a false codeword, as 2 honest do not
   suffice against them; with s of them the truth stands. */
static void colluding_codewords(void **state) {
    (void)state;
    static float clean[3 * D], got[3 * D];
    draco_attack_config config = {.code = plain_code()};
    train_under(&config, 0, clean, DRACO_OK);
    config = (draco_attack_config){
        .name = "codeword", .code = plain_code(), .liars = 2, .who = DRACO_ATTACK_WORST};
    assert_int_equal(train_under(&config, 0, got, DRACO_OK), 0);
    assert_memory_equal(clean, got, sizeof got);
    config.liars = 3; /* outside of what is promised: a false majority wins, as the manual says */
    train_under(&config, 0, got, DRACO_OK);
    assert_memory_not_equal(clean, got, sizeof got);
    config.name = "gaussian"; /* independent lies of s + 1 members leave no majority */
    train_under(&config, 0, got, DRACO_E_NO_MAJORITY);
}

static void bad_configs_are_refused(void **state) {
    (void)state;
    const int ids[1] = {N};
    draco_attack_config good = {.name = "reverse", .code = plain_code(), .liars = 3};
    draco_attack_config bad[6];
    char text[200];
    for (int k = 0; k < 6; k++) bad[k] = good;
    bad[0].name = "no-such-attack";
    bad[1].liars = -1;
    bad[2].liars = N + 1;
    bad[3].missing = N - 2;
    bad[4].factor = NAN;
    bad[5].liars = 1, bad[5].ids = ids;
    draco_transport inner = {.size = sizeof inner}, outer;
    for (int k = 0; k < 6; k++) {
        assert_int_equal(draco_attack_check(&bad[k], text, sizeof text), DRACO_E_ARGUMENT);
        assert_true(strlen(text) > 10);
        assert_int_equal(draco_attack_wrap(&outer, &inner, &bad[k]), DRACO_E_ARGUMENT);
    }
    good.name = "label-flip";
    assert_int_equal(draco_attack_check(&good, NULL, 0), DRACO_E_ARGUMENT);
    int32_t labels[3] = {0, 3, 9};
    draco_attack_flip_labels(labels, 3, 10);
    assert_true(labels[0] == 9 && labels[1] == 6 && labels[2] == 0);
}

static int in_a_challenge = 1;

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_lies),
        cmocka_unit_test(only_liars_are_changed),
        cmocka_unit_test(shapes_of_lies),
        cmocka_unit_test(statistics_of_noise),
        cmocka_unit_test(poison_replay_mimic_patchwork),
        cmocka_unit_test(min_max_and_min_sum_reach_the_bound),
        cmocka_unit_test(lies_mod_p),
        cmocka_unit_test(omniscient_liars_go_first),
        cmocka_unit_test(fingerprints_and_exponents_are_garbled),
        cmocka_unit_test(a_worker_lies_by_itself),
        cmocka_unit_test(the_vote_sees_through_every_attack),
        cmocka_unit_test(more_colluders_than_the_challenge_carries),
        {"the_challenge_sees_through_every_attack", the_vote_sees_through_every_attack, NULL, NULL,
         &in_a_challenge},
        cmocka_unit_test(the_cyclic_codes_see_through_every_attack),
        cmocka_unit_test(colluding_codewords),
        cmocka_unit_test(bad_configs_are_refused),
    };
    return cmocka_run_group_tests_name("attacks", tests, NULL, NULL);
}
