/* The same round on every machine: encode, lie, decode, vote, all from integers. Every line that is printed is
 * the same for every processor, byte order, compiler and language; tests/test_portability.sh compares them. */
#define DRACO_IMPLEMENTATION
#include "draco.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N 15
#define D 8195 /* odd, and more than two blocks */

static float gradient[N][D], sum[D], expected[D];

/* FNV-1a over numbers, not over their bytes in memory. */
static uint64_t digest_start(void) {
    return 0xcbf29ce484222325u;
}
static uint64_t digest_add(uint64_t digest, uint64_t number) {
    int i;
    for (i = 0; i < 8; i++) digest = (digest ^ (number >> 8 * i & 0xff)) * 0x100000001b3u;
    return digest;
}
static uint64_t digest_floats(uint64_t digest, const float *values, size_t count) {
    size_t i;
    uint32_t bits;
    for (i = 0; i < count; i++) {
        memcpy(&bits, values + i, sizeof bits);
        digest = digest_add(digest, bits);
    }
    return digest;
}
static void print_digest(const char *what, uint64_t digest) {
    printf("%s %08lx%08lx\n", what, (unsigned long)(digest >> 32), (unsigned long)(digest & 0xffffffffu));
}

static void *reserve(size_t bytes) {
    void *memory = calloc(1, bytes + 64);
    if (!memory) exit(1);
    return memory;
}

/* Multiples of 2^-10 below 8: their sums are exact, in whatever precision a processor adds. */
static void draw(void) {
    int i;
    size_t j;
    uint32_t word[4] = {0, 0, 0, 0};
    for (i = 0; i < N; i++)
        for (j = 0; j < D; j++) {
            if (j % 4 == 0) draco_random(2018, (uint64_t)i, j / 4, word);
            gradient[i][j] = (float)((int)(word[j % 4] % 16384u) - 8192) / 1024.0f;
        }
}

static void expect(const draco_code *code) {
    int k;
    size_t j;
    memset(expected, 0, sizeof expected);
    for (k = 0; k < code->parts; k++)
        for (j = 0; j < D; j++) expected[j] += gradient[k][j];
}

/* The exponents of the prime field: every worker reports, worker 3 lies, and the server decides. */
static void agree(const draco_code *code, uint8_t *agreed) {
    size_t bytes = draco_exponent_bytes(D);
    uint8_t *reports[N];
    const uint8_t *seen[N];
    draco_verdict verdicts[N];
    draco_report report;
    draco_work *work = (draco_work *)reserve(draco_exponents_work_bytes(code, D));
    int i, l;
    for (i = 0; i < N; i++) {
        reports[i] = (uint8_t *)reserve((size_t)draco_code_load(code, i) * bytes);
        for (l = 0; l < draco_code_load(code, i); l++)
            draco_exponents_of(code, gradient[draco_code_part(code, i, l)], D,
                               reports[i] + (size_t)l * bytes);
        if (i == 3) memset(reports[i], 200, bytes);
        seen[i] = reports[i];
    }
    if (draco_exponents_decide(code, seen, D, work, agreed, verdicts, &report) < 0) exit(1);
    for (i = 0; i < N; i++) free(reports[i]);
    free(work);
}

static uint64_t encode(const draco_code *code, const uint8_t *agreed, void **messages) {
    size_t bytes = draco_message_bytes(code, D), j;
    uint64_t digest = digest_start();
    int i, l;
    draco_encoding *encoding = (draco_encoding *)reserve(draco_encoding_bytes(code, D));
    if (draco_encode_init(code, D, encoding) < 0) exit(1);
    for (i = 0; i < N; i++) {
        messages[i] = reserve(bytes);
        if (draco_encode_begin(code, D, encoding) < 0) exit(1);
        for (l = 0; l < draco_code_load(code, i); l++) {
            int k = draco_code_part(code, i, l);
            if (draco_encode_add(code, i, k, gradient[k], D, agreed, encoding) < 0) exit(1);
        }
        if (draco_encode_end(code, D, encoding, messages[i]) < 0) exit(1);
        for (j = 0; j < bytes / 4; j++) {
            const uint8_t *b = (const uint8_t *)messages[i] + 4 * j; /* little-endian by definition */
            digest =
                digest_add(digest, b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24);
        }
    }
    free(encoding);
    return digest;
}

static int near_expected(void) {
    size_t j;
    for (j = 0; j < D; j++)
        if (!(sum[j] - expected[j] < 1e-3f && expected[j] - sum[j] < 1e-3f)) return 0;
    return 1;
}

/* Workers 3 and 9 lie. The sums of the complex field are rounded: near is what they promise. */
static void run(const char *name, draco_scheme scheme, draco_field field, int exact) {
    draco_code code;
    draco_seed seed;
    draco_verdict verdicts[N];
    draco_report report;
    void *messages[N];
    const void *seen[N];
    uint8_t agreed[64];
    uint64_t digest;
    draco_work *work;
    int i;
    memset(&code, 0, sizeof code), memset(&seed, 7, sizeof seed), memset(agreed, 0, sizeof agreed);
    code.n = N, code.s = 2, code.scheme = scheme, code.field = field;
    if (draco_code_init(&code) < 0 || draco_exponent_bytes(D) > sizeof agreed) exit(1);
    expect(&code);
    if (scheme == DRACO_CYCLIC && field == DRACO_FIELD_PRIME) agree(&code, agreed);
    digest = encode(&code, agreed, messages);
    memset(messages[3], 0x41, draco_message_bytes(&code, D));
    memcpy((char *)messages[9] + 400, "a lie", 4);
    for (i = 0; i < N; i++) seen[i] = messages[i];
    work = (draco_work *)reserve(draco_decode_work_bytes(&code));
    if (draco_decode(&code, &seed, seen, D, agreed, work, sum, verdicts, &report) < 0) exit(1);
    if (exact && memcmp(sum, expected, sizeof sum) != 0) exit(1);
    if (!near_expected()) exit(1);
    digest = exact ? digest_floats(digest, sum, D) : digest_start();
    for (i = 0; i < N; i++) digest = digest_add(digest, (uint64_t)verdicts[i]);
    digest = digest_add(digest_add(digest, (uint64_t)report.blamed), (uint64_t)report.spare);
    print_digest(name, digest);
    for (i = 0; i < N; i++) free(messages[i]);
    free(work);
}

static void vote(void) {
    const void *rows[5];
    const float *floats[5];
    draco_verdict verdicts[5];
    size_t winner = 0, i;
    uint64_t digest = digest_start();
    for (i = 0; i < 5; i++) rows[i] = floats[i] = gradient[i == 1 ? 1 : 0];
    if (draco_vote_exact(rows, 5, sizeof gradient[0], 3, &winner, verdicts) < 0) exit(1);
    digest = digest_floats(digest_add(digest, winner), floats[winner], D);
    for (i = 0; i < 5; i++) digest = digest_add(digest, (uint64_t)verdicts[i]);
    if (draco_vote_tolerant(floats, 5, D, 0.0f, 1e-6f, 3, &winner, verdicts) < 0) exit(1);
    digest = digest_add(digest, winner);
    for (i = 0; i < 5; i++) digest = digest_add(digest, (uint64_t)verdicts[i]);
    print_digest("vote", digest);
}

static void fingerprints(void) {
    draco_seed seed;
    draco_fingerprint_key key;
    draco_fingerprint print;
    uint8_t value[DRACO_FINGERPRINT_BYTES];
    unsigned char text[1000];
    uint64_t digest = digest_start();
    size_t i;
    for (i = 0; i < sizeof text; i++) text[i] = (unsigned char)(i * 31);
    memset(&seed, 7, sizeof seed);
    draco_fingerprint_key_init(&key, &seed);
    draco_fingerprint_begin(&print, 0);
    draco_fingerprint_add(&print, &key, text, 333);
    draco_fingerprint_add(&print, &key, text + 333, sizeof text - 333);
    draco_fingerprint_finish(&print, &key, value);
    for (i = 0; i < sizeof value; i++) digest = digest_add(digest, value[i]);
    print_digest("fingerprint", digest);
}

/* A worker's replies to every kind of request, byte by byte: what a server of another byte order reads. */
static draco_status table_gradient(void *ctx, void *workspace, const float *params, const draco_batch *batch,
                                   float *g) {
    size_t j, row = batch->part < 0 ? N - 1 : (size_t)batch->part;
    (void)ctx, (void)workspace;
    for (j = 0; j < D; j++) g[j] = gradient[row][j] + params[j];
    return DRACO_OK;
}

static void replies(const char *name, draco_scheme scheme, draco_field field, const draco_request_kind *kinds,
                    int keep) {
    static float params[D];
    static uint8_t agreed[64];
    static const uint8_t challenge[32] = {1, 2, 3};
    draco_model model;
    draco_worker_config config;
    draco_worker *worker;
    uint64_t digest = digest_start();
    size_t i;
    memset(&model, 0, sizeof model), memset(&config, 0, sizeof config);
    for (i = 0; i < D; i++) params[i] = 16; /* nothing that follows is larger than 24 */
    model.size = sizeof model, model.dim = model.parameters = D, model.gradient = table_gradient;
    config.code.n = N, config.code.s = 2, config.code.scheme = scheme, config.code.field = field;
    config.model = &model, config.batch = 2 * N, config.keep = keep;
    if (draco_worker_open(&worker, &config) < 0 || draco_code_init(&config.code) < 0) exit(1);
    if (field == DRACO_FIELD_PRIME) {
        for (i = 0; i < D; i++) sum[i] = 24;
        if (draco_exponents_of(&config.code, sum, D, agreed) < 0) exit(1);
    }
    for (; *kinds; kinds++) {
        draco_request request;
        uint8_t *reply;
        memset(&request, 0, sizeof request);
        request.kind = *kinds, request.step = 1, request.params = params, request.params_count = D;
        request.server = -1;
        if (*kinds == DRACO_REQUEST_PROBE || *kinds == DRACO_REQUEST_FINGERPRINT) {
            request.extra = challenge;
            request.extra_bytes = sizeof challenge;
        }
        if (*kinds == DRACO_REQUEST_ENCODED) {
            request.extra = agreed;
            request.extra_bytes = draco_exponent_bytes(D);
        }
        request.reply_bytes = draco_worker_reply_bytes(worker, 4, &request);
        reply = (uint8_t *)reserve(request.reply_bytes);
        if (request.reply_bytes == 0 || draco_worker_reply(worker, 4, &request, reply) < 0) exit(1);
        for (i = 0; i < request.reply_bytes; i++) digest = digest_add(digest, reply[i]);
        free(reply);
    }
    print_digest(name, digest);
    draco_worker_close(worker);
}

static const draco_request_kind plain_kinds[] = {DRACO_REQUEST_MESSAGE, DRACO_REQUEST_PROBE,
                                                 (draco_request_kind)0};
static const draco_request_kind challenge_kinds[] = {DRACO_REQUEST_READY, DRACO_REQUEST_BODY,
                                                     DRACO_REQUEST_FINGERPRINT, (draco_request_kind)0};
static const draco_request_kind prime_kinds[] = {DRACO_REQUEST_EXPONENTS, DRACO_REQUEST_ENCODED,
                                                 DRACO_REQUEST_PROBE, (draco_request_kind)0};

/* One round of a server whose workers all reply and worker 3 lies; the transport is a loop. */
static draco_worker *loop_worker;
static draco_request loop_request;

static draco_status loop_broadcast(void *ctx, const draco_request *request) {
    (void)ctx;
    loop_request = *request;
    return DRACO_OK;
}

static draco_status loop_collect(void *ctx, const draco_request *request, double seconds,
                                 const draco_inbox *in) {
    int i;
    (void)ctx, (void)seconds;
    for (i = 0; i < N; i++) {
        uint8_t *row = (uint8_t *)in->reserve(in->ctx, i);
        if (!row || draco_worker_reply(loop_worker, i, &loop_request, row) < 0) exit(1);
        if (i == 3) row[2] = (uint8_t)(row[2] ^ 0x55);
        in->chunk(in->ctx, i, 0, request->reply_bytes);
        in->end(in->ctx, i, DRACO_ARRIVAL_WHOLE);
    }
    return DRACO_OK;
}

static draco_status first_row(void *ctx, const draco_inputs *in, float *result, draco_verdict *verdicts,
                              draco_report *report) {
    (void)ctx, (void)verdicts, (void)report;
    memcpy(result, in->rows[0], in->d * sizeof(float));
    return DRACO_OK;
}

static void serve(const char *name, draco_scheme scheme, draco_field field, float tolerance,
                  const draco_rule *rule) {
    static float params[D];
    draco_model model;
    draco_transport transport;
    draco_worker_config worker;
    draco_server_config config;
    draco_server *server;
    draco_round round;
    uint64_t digest;
    int i;
    memset(&model, 0, sizeof model), memset(&transport, 0, sizeof transport);
    memset(&worker, 0, sizeof worker), memset(&config, 0, sizeof config);
    model.size = sizeof model, model.dim = model.parameters = D, model.gradient = table_gradient;
    transport.size = sizeof transport, transport.workers = N;
    transport.broadcast = loop_broadcast, transport.collect = loop_collect;
    worker.code.n = N, worker.code.s = 2, worker.code.scheme = scheme, worker.code.field = field;
    worker.model = &model, worker.batch = 2 * N;
    config.code = worker.code, config.transport = &transport, config.dim = D;
    config.abs_tol = tolerance, config.rule = rule;
    if (draco_worker_open(&loop_worker, &worker) < 0 || draco_server_open(&server, &config) < 0) exit(1);
    if (draco_server_round(server, 0, params, sum, &round) < 0) exit(1);
    digest = digest_floats(digest_start(), sum, D);
    for (i = 0; i < N; i++) digest = digest_add(digest, (uint64_t)round.verdicts[i]);
    print_digest(name, digest);
    draco_server_close(server);
    draco_worker_close(loop_worker);
}

int main(void) {
    draco_rule rule;
    memset(&rule, 0, sizeof rule);
    rule.size = sizeof rule, rule.aggregate = first_row;
    draw();
    run("repetition", DRACO_REPETITION, DRACO_FIELD_COMPLEX, 1);
    run("prime", DRACO_CYCLIC, DRACO_FIELD_PRIME, 1);
    run("complex-verdicts", DRACO_CYCLIC, DRACO_FIELD_COMPLEX, 0);
    vote();
    fingerprints();
    replies("repetition-replies", DRACO_REPETITION, DRACO_FIELD_COMPLEX, plain_kinds, 0);
    replies("challenge-replies", DRACO_REPETITION, DRACO_FIELD_COMPLEX, challenge_kinds, 0);
    replies("kept-challenge-replies", DRACO_REPETITION, DRACO_FIELD_COMPLEX, challenge_kinds, 1);
    replies("prime-replies", DRACO_CYCLIC, DRACO_FIELD_PRIME, prime_kinds, 1);
    serve("repetition-round", DRACO_REPETITION, DRACO_FIELD_COMPLEX, 0, NULL);
    serve("tolerant-round", DRACO_REPETITION, DRACO_FIELD_COMPLEX, 1e-6f, NULL);
    serve("prime-round", DRACO_CYCLIC, DRACO_FIELD_PRIME, 0, NULL);
    serve("rule-round", DRACO_REPETITION, DRACO_FIELD_COMPLEX, 0, &rule);
    return 0;
}
