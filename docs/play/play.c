/* play.c - what the teaching page needs of the headers, for WebAssembly and, to compare with, as a program.
 *
 * The page sets up a code, says who lies and how, and asks for a round; everything it shows of the round is read from
 * here: messages, verdicts, fingerprints, syndromes, weights, the sum. Memory is static or of malloc; one thread.
 *
 *     clang --target=wasm32-wasi -mexec-model=reactor ... -DPLAY_EXPORTS    the page's module (make play)
 *     cc -DPLAY_PROGRAM ...                                                 the program that the tests compare it with
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRACO_IMPLEMENTATION
#define DRACO_RULES_IMPLEMENTATION
#define DRACO_ATTACKS_IMPLEMENTATION
#include "draco.h"
#include "baselines/draco_rules.h"
#include "baselines/draco_attacks.h"

#ifdef __wasm__
#define PLAY(name) __attribute__((export_name(#name))) name
#else
#define PLAY(name) name
#endif

enum { MOST = 128, WIDEST = 64, PRIME = 0x7fffffff };

/* How a worker behaves in a round. */
enum play_kind { HONEST, REVERSE, CONSTANT, ONE_COORDINATE, RANDOM, COLLUDE, MISSING, NOT_A_NUMBER, KINDS };

/* ---- Random numbers: splitmix64 ---- */

static uint64_t random_state;

static uint64_t next_random(void) {
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int below(int limit) {
    return (int)(next_random() % (uint64_t)limit);
}

/* ---- One round of one code ---- */

static draco_code code;
static int d;               /* coordinates of a gradient */
static uint8_t kinds[MOST]; /* enum play_kind of each worker */
static float gradients[MOST][WIDEST];
static uint32_t messages[MOST][WIDEST + 2]; /* floats or residues, as sent */
static const void *sent[MOST];              /* NULL: missing */
static size_t words;                        /* of a message */
static uint8_t exponents[8];
static draco_seed secret;
static draco_work *work;
static draco_encoding *encoding;
static draco_key *key;
static draco_sketch *sketches[MOST];
static draco_weights *weights;
static draco_verdict verdicts[MOST];
static uint8_t verdict_bytes[MOST];
static draco_report report;
static draco_status status;
static float sum[WIDEST], honest_sum[WIDEST];
static double numbers[4 * MOST];

static int is_prime(void) {
    return code.scheme == DRACO_CYCLIC && code.field == DRACO_FIELD_PRIME;
}

static int is_complex(void) {
    return code.scheme == DRACO_CYCLIC && code.field == DRACO_FIELD_COMPLEX;
}

static void release(void) {
    free(work), free(key), free(weights), free(encoding);
    work = NULL, key = NULL, weights = NULL, encoding = NULL;
    for (int i = 0; i < MOST; i++) free(sketches[i]), sketches[i] = NULL;
}

/* scheme: 0 repetition, 1 cyclic; field: 0 prime, 1 complex; support: 0 spread, 1 contiguous. Returns a draco_status. */
int PLAY(play_code)(int n, int s, int t, int scheme, int field, int support) {
    draco_code c;
    memset(&c, 0, sizeof c);
    c.n = n, c.s = s, c.t = t;
    c.scheme = (draco_scheme)scheme, c.field = (draco_field)field, c.support = (draco_support)support;
    if (n > MOST) return DRACO_E_ARGUMENT;
    status = draco_code_init(&c);
    if (status < 0) return status;
    release();
    code = c;
    work = malloc(draco_decode_work_bytes(&code) + draco_locate_work_bytes(&code));
    key = malloc(draco_sketch_key_bytes(&code));
    encoding = malloc(draco_encoding_bytes(&code, WIDEST));
    if (encoding) draco_encode_init(&code, WIDEST, encoding);
    weights = malloc(draco_weights_bytes(&code));
    for (int i = 0; i < n; i++) sketches[i] = malloc(draco_sketch_bytes(&code));
    memset(kinds, 0, sizeof kinds);
    return work && key && weights && encoding && sketches[n - 1] ? DRACO_OK : DRACO_E_MEMORY;
}

int PLAY(play_redundancy)(void) {
    return code.r;
}
int PLAY(play_parts)(void) {
    return code.parts;
}
int PLAY(play_groups)(void) {
    return code.groups;
}
int PLAY(play_group)(int worker) {
    return draco_code_group(&code, worker);
}
int PLAY(play_load)(int worker) {
    return draco_code_load(&code, worker);
}
int PLAY(play_part)(int worker, int l) {
    return draco_code_part(&code, worker, l);
}
int PLAY(play_holds)(int worker, int part) {
    return draco_code_holds(&code, worker, part);
}
uint8_t *PLAY(play_kinds)(void) {
    return kinds;
}

/* f_part(x_worker): two numbers. */
const double *PLAY(play_coefficient)(int part, int worker) {
    numbers[0] = numbers[1] = 0;
    draco_code_coefficient(&code, part, worker, numbers);
    return numbers;
}

static void draw_gradients(void) {
    for (int k = 0; k < code.parts; k++) {
        for (int c = 0; c < d; c++) gradients[k][c] = (float)(below(2001) - 1000) / 64;
    }
}

/* The largest exponents over all parts: what an honest vote agrees on. */
static void agree_on_exponents(void) {
    uint8_t own[8];
    memset(exponents, 0, sizeof exponents);
    if (!is_prime()) return;
    for (int k = 0; k < code.parts; k++) {
        draco_exponents_of(&code, gradients[k], (size_t)d, own);
        if (own[0] > exponents[0]) exponents[0] = own[0];
    }
}

static void encode_all(void) {
    words = draco_message_bytes(&code, (size_t)d) / 4;
    for (int i = 0; i < code.n; i++) {
        draco_encode_begin(&code, (size_t)d, encoding);
        for (int l = 0; l < draco_code_load(&code, i); l++) {
            int part = draco_code_part(&code, i, l);
            draco_encode_add(&code, i, part, gradients[part], (size_t)d, exponents, encoding);
        }
        draco_encode_end(&code, (size_t)d, encoding, messages[i]);
        sent[i] = messages[i];
    }
}

static void put(int worker, size_t j, double value) {
    if (is_prime()) {
        int64_t residue = (int64_t)value % PRIME;
        messages[worker][j] = (uint32_t)(residue < 0 ? residue + PRIME : residue);
    } else {
        float f = (float)value;
        memcpy(&messages[worker][j], &f, 4);
    }
}

static double get(int worker, size_t j) {
    float f;
    if (is_prime()) return messages[worker][j];
    memcpy(&f, &messages[worker][j], 4);
    return f;
}

/* What the worker does to its message. Random lies depend on (seed, worker) alone; colluders send one common lie. */
static void lie(int worker, uint32_t seed) {
    random_state = (uint64_t)seed << 16 ^ (uint64_t)(kinds[worker] == COLLUDE ? MOST : worker) ^ 0x5eed;
    for (size_t j = 0; j < words; j++) {
        switch (kinds[worker]) {
        case REVERSE:
            put(worker, j, -get(worker, j));
            break;
        case CONSTANT:
            put(worker, j, -100);
            break;
        case ONE_COORDINATE:
            if (j == 0) put(worker, j, get(worker, j) + 1);
            break;
        case RANDOM:
        case COLLUDE:
            put(worker, j, (below(2001) - 1000) / (is_prime() ? 1.0 : 64.0));
            break;
        case NOT_A_NUMBER:
            if (j == 0) messages[worker][j] = is_prime() ? 0xffffffffu : 0x7fc00000u;
            break;
        default:
            break;
        }
    }
    if (kinds[worker] == MISSING) sent[worker] = NULL;
}

static draco_status locate(void) {
    const draco_sketch *in[MOST];
    draco_status good = draco_sketch_key_init(&code, &secret, key);
    for (int i = 0; i < code.n && good >= 0; i++) {
        in[i] = sent[i] ? sketches[i] : NULL;
        if (!sent[i]) continue;
        draco_sketch_begin(&code, 0, sketches[i]);
        good = draco_sketch_add(&code, key, sketches[i], messages[i], words * 4);
    }
    if (good < 0) return good;
    return draco_locate(&code, key, (size_t)d, in, work, weights, verdicts, &report);
}

/* One round: gradients drawn from `seed`, every worker behaves as kinds[] says, the server decodes. */
int PLAY(play_round)(uint32_t seed, int coordinates) {
    if (coordinates < 1 || coordinates > WIDEST || !work) return DRACO_E_ARGUMENT;
    d = coordinates;
    random_state = seed;
    for (size_t i = 0; i < sizeof secret.bytes; i++) secret.bytes[i] = (uint8_t)next_random();
    draw_gradients();
    agree_on_exponents();
    encode_all();
    memset(honest_sum, 0, sizeof honest_sum);
    memset(sum, 0, sizeof sum);
    draco_decode(&code, &secret, sent, (size_t)d, exponents, work, honest_sum, verdicts, &report);
    for (int i = 0; i < code.n; i++) lie(i, seed);
    status = draco_decode(&code, &secret, sent, (size_t)d, exponents, work, sum, verdicts, &report);
    locate(); /* again, to have the weights */
    for (int i = 0; i < code.n; i++) verdict_bytes[i] = (uint8_t)verdicts[i];
    return status;
}

/* Error of the sum without liars, relative to its norm, against the gradients added in double. */
double PLAY(play_error)(void) {
    double wrong = 0, size = 0;
    for (int c = 0; c < d; c++) {
        double plain = 0;
        for (int k = 0; k < code.parts; k++) plain += gradients[k][c];
        wrong += (honest_sum[c] - plain) * (honest_sum[c] - plain), size += plain * plain;
    }
    return size > 0 ? sqrt(wrong / size) : 0;
}

const uint8_t *PLAY(play_verdicts)(void) {
    return verdict_bytes;
}
const float *PLAY(play_sum)(void) {
    return sum;
}
const float *PLAY(play_honest_sum)(void) {
    return honest_sum;
}
const float *PLAY(play_gradient)(int part) {
    return gradients[part];
}
int PLAY(play_words)(void) {
    return (int)words;
}
const char *PLAY(play_status_text)(int s) {
    return draco_status_text((draco_status)s);
}

/* The message as numbers. */
const double *PLAY(play_message)(int worker) {
    for (size_t j = 0; j < words; j++) numbers[j] = get(worker, j);
    return numbers;
}

const double *PLAY(play_report)(void) {
    numbers[0] = report.residual, numbers[1] = report.gain, numbers[2] = report.error;
    numbers[3] = report.spare, numbers[4] = report.group, numbers[5] = report.present;
    return numbers;
}

/* The whole report in one line of text. */
const char *PLAY(play_describe)(void) {
    static char text[512];
    draco_report_describe(&code, status, verdicts, &report, text, sizeof text);
    return text;
}

/* The fingerprint of a worker's message under this round's key; zero for one that is missing. */
const uint8_t *PLAY(play_fingerprint)(int worker) {
    static uint8_t value[DRACO_FINGERPRINT_BYTES];
    static draco_fingerprint_key fingerprint_key;
    draco_fingerprint f;
    memset(value, 0, sizeof value);
    if (!sent[worker]) return value;
    draco_fingerprint_key_init(&fingerprint_key, &secret);
    draco_fingerprint_begin(&f, 0);
    draco_fingerprint_add(&f, &fingerprint_key, sent[worker], words * 4);
    draco_fingerprint_finish(&f, &fingerprint_key, value);
    return value;
}

/* ---- The algebra of the cyclic code, of the first coordinate (complex: the first pair) ---- */

typedef struct number {
    double re, im; /* prime: re is the residue */
} number;

static int64_t residue(int64_t v) {
    v %= PRIME;
    return v < 0 ? v + PRIME : v;
}

static int64_t power(int64_t base, int64_t e) {
    int64_t result = 1;
    for (; e > 0; e >>= 1, base = base * base % PRIME) {
        if (e & 1) result = result * base % PRIME;
    }
    return result;
}

static number times(number a, number b) {
    number z = {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
    if (!is_prime()) return z;
    z.re = (double)((int64_t)a.re * (int64_t)b.re % PRIME), z.im = 0;
    return z;
}

static number minus(number a, number b) {
    number z = {a.re - b.re, a.im - b.im};
    if (is_prime()) z.re = (double)residue((int64_t)z.re), z.im = 0;
    return z;
}

static number point(int worker) {
    number z = {worker + 1, 0};
    if (is_prime()) return z;
    z.re = cos(2 * 3.14159265358979323846 * worker / code.n);
    z.im = sin(2 * 3.14159265358979323846 * worker / code.n);
    return z;
}

/* The dual weight of a worker: sum_i dual_i x_i^l F(x_i) = 0 for l = 0 .. 2s + t - 1. */
static number dual(int worker) {
    number z = {1, 0};
    int64_t product = 1;
    if (!is_prime()) return point(worker);
    for (int m = 0; m < code.n; m++) {
        if (m != worker) product = product * residue(worker - m) % PRIME;
    }
    z.re = (double)power(product, PRIME - 2);
    return z;
}

/* What combine multiplies this worker's message with: read off by adding unit messages. Prime: the Lagrange weight at 0
 * of the messages that are used. */
static number weight(int worker) {
    static uint32_t zero[4];
    const void *rows[MOST];
    uint32_t unit[4] = {0};
    float one = 1, out[2] = {0, 0};
    number z = {0, 0};
    if (status < 0 || !draco_weight_used(&code, weights, worker)) return z;
    if (is_prime()) {
        int64_t above = 1, under = 1;
        for (int m = 0; m < code.n; m++) {
            if (m == worker || !draco_weight_used(&code, weights, m)) continue;
            above = above * (m + 1) % PRIME;
            under = under * residue(m - worker) % PRIME;
        }
        z.re = (double)(above * power(under, PRIME - 2) % PRIME);
        return z;
    }
    for (int i = 0; i < code.n; i++) rows[i] = zero;
    memcpy(unit, &one, 4);
    rows[worker] = unit;
    draco_combine(&code, weights, rows, 2, 0, 2, NULL, out);
    z.re = out[0], z.im = out[1];
    return z;
}

/* q = 2s + t syndromes S_l of the messages as they came (missing: 0), two numbers each. Returns them in numbers. */
static int syndromes(number *s) {
    int q = 2 * code.s + code.t;
    for (int l = 0; l < q; l++) s[l].re = s[l].im = 0;
    for (int i = 0; i < code.n; i++) {
        number y = {0, 0}, x = point(i);
        if (!sent[i] || verdicts[i] == DRACO_MALFORMED) continue;
        y.re = get(i, 0);
        if (is_complex()) y.im = get(i, 1);
        y = times(y, dual(i));
        for (int l = 0; l < q; l++, y = times(y, x)) {
            s[l].re += y.re, s[l].im += y.im;
            if (is_prime()) s[l].re = (double)residue((int64_t)s[l].re);
        }
    }
    return q;
}

const double *PLAY(play_syndromes)(void) {
    syndromes((number *)numbers);
    return numbers;
}

/* Is this worker one whose lies explain the syndromes? Others may be suspected too, and their messages count. */
static int is_liar(int worker) {
    return verdicts[worker] == DRACO_BLAMED ||
           (verdicts[worker] == DRACO_SUSPECTED && !draco_weight_used(&code, weights, worker));
}

/* The syndromes after everybody who is blamed, missing or malformed was divided out: T_l = S_l+1 - x S_l for each. Zero
 * (rounding, in the complex field) when these explain all that is wrong. Returns how many there are. */
int PLAY(play_annihilated)(void) {
    number *s = (number *)numbers;
    int q = syndromes(s);
    for (int i = 0; i < code.n; i++) {
        if (verdicts[i] == DRACO_AGREES || verdicts[i] == DRACO_UNDECIDED) continue;
        if (verdicts[i] == DRACO_SUSPECTED && !is_liar(i)) continue;
        for (int l = 0; l + 1 < q; l++) s[l] = minus(s[l + 1], times(s[l], point(i)));
        if (q > 0) q--;
    }
    return q;
}
const double *PLAY(play_numbers)(void) {
    return numbers;
}

/* The locator, product over the blamed of (x - x_m), at every worker's point. */
const double *PLAY(play_locator)(void) {
    number *out = (number *)numbers;
    for (int i = 0; i < code.n; i++) {
        number z = {1, 0};
        for (int m = 0; m < code.n; m++) {
            if (is_liar(m)) z = times(z, minus(point(i), point(m)));
        }
        out[i] = z;
    }
    return numbers;
}

const double *PLAY(play_weights)(void) {
    number out[MOST];
    for (int i = 0; i < code.n; i++) out[i] = weight(i);
    memcpy(numbers, out, sizeof out);
    return numbers;
}

/* ---- Random cases, to compare the page with the program ---- */

static uint64_t fnv(uint64_t hash, const void *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) hash = (hash ^ ((const uint8_t *)bytes)[i]) * 1099511628211u;
    return hash;
}

/* Case number k: a code (repetition, or cyclic over the prime field), who lies and how, all drawn from k. Returns
 * "n s t scheme status verdicts digest-of-the-sum". */
const char *PLAY(play_case)(uint32_t k) {
    static char text[MOST + 100];
    char letters[MOST + 1];
    int n, s, t, prime, liars;
    random_state = (uint64_t)k * 0x10001 + 7;
    n = 3 + below(43);
    s = below((n - 1) / 2 + 1);
    t = below(n - 2 * s);
    prime = below(2);
    play_code(n, s, t, prime, 0, below(2));
    liars = below(s + 2);
    for (int i = 0; i < liars; i++) kinds[below(n)] = (uint8_t)(1 + below(KINDS - 1));
    if (t > 0 && below(2)) kinds[below(n)] = MISSING;
    play_round(k, 1 + below(40));
    for (int i = 0; i < n; i++) letters[i] = "uabdm"[verdicts[i]];
    letters[n] = 0;
    snprintf(text, sizeof text, "%d %d %d %s %d %s %016llx", n, s, t, prime ? "prime" : "repetition", status,
             letters, (unsigned long long)fnv(14695981039346656037u, sum, sizeof(float) * (size_t)d));
    return text;
}

/* ---- Training: two clouds of points, logistic regression ---- */

enum { CLOUD = 240, BATCH = 60, LANES = 6, DIM = 3 };

static float cloud[CLOUD][2];
static int side[CLOUD];

typedef struct lane {
    draco_transport loop, bad;
    draco_rule rule;
    draco_worker *worker;
    draco_server *server;
    float params[DIM], mean[DIM];
    draco_request request;
    draco_round round;
    int wrapped, workers;
} lane;
static lane lanes[LANES];
static uint64_t train_step;

static double chance(const float *params, const float *x) {
    return 1 / (1 + exp(-(double)(params[0] * x[0] + params[1] * x[1] + params[2])));
}

static draco_status gradient(void *ctx, void *workspace, const float *params, const draco_batch *batch,
                             float *grad) {
    (void)ctx, (void)workspace;
    grad[0] = grad[1] = grad[2] = 0;
    for (size_t i = 0; i < batch->count; i++) {
        size_t k = draco_sample(batch->seed, batch->step, batch->first + i, CLOUD);
        float wrong = (float)(chance(params, cloud[k]) - side[k]);
        grad[0] += wrong * cloud[k][0];
        grad[1] += wrong * cloud[k][1];
        grad[2] += wrong;
    }
    return DRACO_OK;
}

static const draco_model model = {
    .size = sizeof(draco_model), .name = "two clouds", .dim = DIM, .parameters = DIM, .gradient = gradient};

/* The transport: all workers in a loop. */
static draco_status loop_broadcast(void *ctx, const draco_request *request) {
    ((lane *)ctx)->request = *request;
    return DRACO_OK;
}

static draco_status loop_collect(void *ctx, const draco_request *request, double seconds,
                                 const draco_inbox *in) {
    lane *l = ctx;
    (void)seconds;
    for (int i = 0; i < l->workers; i++) {
        void *reply = in->reserve(in->ctx, i);
        if (reply) {
            draco_worker_reply(l->worker, i, &l->request, reply);
            in->chunk(in->ctx, i, 0, request->reply_bytes);
        }
        in->end(in->ctx, i, reply ? DRACO_ARRIVAL_WHOLE : DRACO_ARRIVAL_ABSENT);
    }
    return DRACO_OK;
}

static void close_lanes(void) {
    for (int i = 0; i < LANES; i++) {
        lane *l = &lanes[i];
        if (l->server) draco_server_close(l->server);
        if (l->wrapped) draco_attack_unwrap(&l->bad);
        if (l->worker) draco_worker_close(l->worker);
        if (l->rule.ctx) draco_rule_free(&l->rule);
        memset(l, 0, sizeof *l);
    }
}

static draco_status open_lane(lane *l, const draco_code *c, const char *rule, const char *attack, int liars,
                              uint32_t seed) {
    draco_worker_config worker = {.code = *c, .model = &model, .batch = BATCH, .seed = seed};
    draco_server_config server = {
        .code = *c, .dim = DIM, .secret = &secret, .rule_f = liars, .transport = &l->bad};
    draco_attack_config config = {.name = attack, .code = *c, .liars = liars, .seed = seed};
    draco_status good;
    l->workers = c->n;
    l->loop.size = sizeof l->loop, l->loop.name = "loop", l->loop.ctx = l, l->loop.workers = c->n;
    l->loop.broadcast = loop_broadcast, l->loop.collect = loop_collect;
    good = draco_attack_wrap(&l->bad, &l->loop, &config);
    l->wrapped = good >= 0;
    if (good >= 0 && rule) good = draco_rule_make(&l->rule, rule, NULL);
    if (rule) server.rule = &l->rule;
    if (good >= 0) good = draco_worker_open(&l->worker, &worker);
    if (good >= 0) good = draco_server_open(&l->server, &server);
    return good;
}

/* Where the page writes a text before it calls play_train. */
char *PLAY(play_input)(void) {
    static char text[64];
    return text;
}

/* Six lanes on the same data: mean, geometric median and DRACO (the code set by play_code) with the same liars, then the
 * same three without. The rules see one gradient per worker, which is a repetition code of n groups. */
int PLAY(play_train)(const char *attack, uint32_t seed) {
    static const char *const rules[] = {"mean", "geometric-median", NULL};
    draco_code plain;
    draco_status good = DRACO_OK;
    memset(&plain, 0, sizeof plain);
    plain.n = code.n;
    close_lanes();
    random_state = seed;
    for (size_t i = 0; i < sizeof secret.bytes; i++) secret.bytes[i] = (uint8_t)next_random();
    for (int k = 0; k < CLOUD; k++) {
        side[k] = k & 1;
        for (int c = 0; c < 2; c++) {
            float noise = 0;
            for (int m = 0; m < 6; m++) noise += (float)below(1001) / 1000 - 0.5f;
            cloud[k][c] = noise + (side[k] ? 1.0f : -1.0f) * (c ? 0.6f : 0.9f);
        }
    }
    good = draco_code_init(&plain);
    for (int i = 0; i < LANES && good >= 0; i++) {
        const char *rule = rules[i % 3];
        int lies = i < 3 && strcmp(attack, "none") != 0;
        good = open_lane(&lanes[i], rule ? &plain : &code, rule, lies ? attack : "none", lies ? code.s : 0,
                         seed);
    }
    train_step = 0;
    return good;
}

/* One step of every lane, at rate `rate`. A lane whose round fails stays where it is. */
int PLAY(play_step)(double rate) {
    for (int i = 0; i < LANES; i++) {
        lane *l = &lanes[i];
        if (draco_server_round(l->server, train_step, l->params, l->mean, &l->round) < 0) continue;
        for (int c = 0; c < DIM; c++) l->params[c] -= (float)(rate / BATCH) * l->mean[c];
    }
    train_step++;
    return LANES;
}

/* Of one lane: loss, accuracy, blamed workers of the last round, w0, w1, bias. */
const double *PLAY(play_lane)(int i) {
    const lane *l = &lanes[i];
    numbers[0] = numbers[1] = 0;
    for (int k = 0; k < CLOUD; k++) {
        double p = chance(l->params, cloud[k]);
        numbers[0] -= log((side[k] ? p : 1 - p) + 1e-12) / CLOUD;
        numbers[1] += (p > 0.5) == side[k] ? 1.0 / CLOUD : 0;
    }
    numbers[2] = l->round.report.blamed;
    for (int c = 0; c < DIM; c++) numbers[3 + c] = l->params[c];
    return numbers;
}

/* A digest of the lane's parameters, 16 hexadecimal digits. */
const char *PLAY(play_digest)(int i) {
    static char text[17];
    snprintf(text, sizeof text, "%016llx",
             (unsigned long long)fnv(14695981039346656037u, lanes[i].params, sizeof lanes[i].params));
    return text;
}

/* The points: x, y, class. */
const double *PLAY(play_cloud)(int k) {
    numbers[0] = cloud[k][0], numbers[1] = cloud[k][1], numbers[2] = side[k];
    return numbers;
}

#ifdef PLAY_PROGRAM
/* play cases FIRST COUNT; play round N S T SCHEME FIELD SUPPORT SEED D KINDS (one digit per worker): status, verdicts, sum */
int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "cases") == 0) {
        long first = atol(argv[2]), count = atol(argv[3]);
        for (long k = first; k < first + count; k++) puts(play_case((uint32_t)k));
        return 0;
    }
    if (argc == 11 && strcmp(argv[1], "round") == 0) {
        int n = atoi(argv[2]);
        if (play_code(n, atoi(argv[3]), atoi(argv[4]), atoi(argv[5]), atoi(argv[6]), atoi(argv[7])) < 0)
            return 2;
        for (int i = 0; i < n && argv[10][i]; i++) kinds[i] = (uint8_t)(argv[10][i] - '0');
        printf("%d ", play_round((uint32_t)strtoul(argv[8], NULL, 10), atoi(argv[9])));
        for (int i = 0; i < n; i++) putchar("uabdm"[verdicts[i]]);
        for (int c = 0; c < d; c++) printf(" %.9g", (double)sum[c]);
        putchar('\n');
        return 0;
    }
    fprintf(stderr, "usage: play cases FIRST COUNT | play round N S T SCHEME FIELD SUPPORT SEED D KINDS\n");
    return 2;
}
#endif
