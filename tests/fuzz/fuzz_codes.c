/* Hostile bytes into sketch, locate and decode: any lengths, NaN, Inf, denormals, residues out of range, exponents.
 * The first bytes choose a code; the rest are messages, cut as they come. What is decoded must stay in its buffers
 * (the sanitizers watch), verdicts and status must fit together, and a second run must give the same. */
#define DRACO_CODES_STATIC
#define DRACO_CODES_IMPLEMENTATION
#include "draco_codes.h"

#include <stdlib.h>

#define MOST_D 600u

typedef struct input {
    const uint8_t *data;
    size_t size;
} input;

static uint8_t next_byte(input *in) {
    if (in->size == 0) return 0;
    in->size--;
    return *in->data++;
}

static void check(int ok) {
    if (!ok) abort();
}

/* What must hold between a status, the verdicts and the report. */
static void check_outcome(const draco_code *code, draco_status status, const draco_verdict *verdicts,
                          const draco_report *report) {
    int counts[DRACO_SUSPECTED + 1] = {0};
    char text[64];
    for (int i = 0; i < code->n; i++) {
        check(verdicts[i] >= DRACO_UNDECIDED && verdicts[i] <= DRACO_SUSPECTED);
        counts[verdicts[i]]++;
    }
    check(counts[DRACO_AGREES] == report->agreed && counts[DRACO_BLAMED] == report->blamed);
    check(counts[DRACO_ABSENT] == report->absent && counts[DRACO_MALFORMED] == report->malformed);
    check(counts[DRACO_SUSPECTED] == report->suspected);
    if (status >= 0) check(report->undecided == 0);
    if (status >= 0 && code->scheme == DRACO_CYCLIC) check(report->spare >= 0);
    draco_report_describe(code, status, verdicts, report, text, sizeof text);
}

static void decode_whole(const draco_code *code, size_t d, input in, uint8_t flags) {
    size_t bytes = draco_message_bytes(code, d);
    const void *rows[32];
    uint8_t *messages = calloc((size_t)code->n, bytes), *exponents = malloc(draco_exponent_bytes(d));
    float *sums[2] = {calloc(d, sizeof(float)), calloc(d, sizeof(float))};
    draco_seed seed = {{flags}};
    draco_status status[2];
    memset(exponents, next_byte(&in), draco_exponent_bytes(d));
    for (int i = 0; i < code->n; i++) {
        size_t take = in.size < bytes ? in.size : bytes;
        if (take > 0) memcpy(messages + (size_t)i * bytes, in.data, take);
        if (flags & 1) take = take / 2; /* let some messages repeat bytes of their neighbours */
        in.data += take;
        in.size -= take;
        rows[i] = flags & 2 && i % 5 == 4 ? NULL : messages + (size_t)i * bytes;
    }
    for (int k = 0; k < 2; k++) {
        draco_verdict verdicts[32] = {DRACO_UNDECIDED};
        draco_report report;
        void *work = malloc(draco_decode_work_bytes(code));
        memset(&report, 0, sizeof report);
        status[k] = draco_decode(code, &seed, rows, d, exponents, work, sums[k], verdicts, &report);
        check_outcome(code, status[k], verdicts, &report);
        free(work);
    }
    check(status[0] == status[1] && !memcmp(sums[0], sums[1], d * sizeof(float)));
    for (size_t c = 0; c < d && status[0] < 0; c++) check(sums[0][c] == 0);
    free(messages);
    free(exponents);
    free(sums[0]);
    free(sums[1]);
}

/* Sketches fed with hostile lengths: pieces too short, too long, at odd offsets. */
static void locate_pieces(const draco_code *code, size_t d, input in) {
    size_t each = draco_sketch_bytes(code);
    void *key = malloc(draco_sketch_key_bytes(code)), *work = malloc(draco_locate_work_bytes(code));
    void *weights = malloc(draco_weights_bytes(code));
    unsigned char *sketches = malloc((size_t)code->n * each);
    const draco_sketch *folded[32];
    draco_verdict verdicts[32] = {DRACO_UNDECIDED};
    draco_report report = {0};
    draco_seed seed = {{7}};
    draco_status status;
    draco_sketch_key_init(code, &seed, key);
    for (int i = 0; i < code->n; i++) {
        void *sketch = sketches + (size_t)i * each;
        uint64_t offset = (uint64_t)next_byte(&in) % 3 * 16384;
        check(draco_sketch_begin(code, offset, sketch) == DRACO_OK);
        for (int k = next_byte(&in) % 4; k > 0; k--) {
            size_t take = next_byte(&in) * 13u;
            if (take > in.size) take = in.size;
            check(draco_sketch_add(code, key, sketch, in.data, take) == DRACO_OK);
            in.data += take;
            in.size -= take;
        }
        if (i > 0 && next_byte(&in) % 8 == 0)
            draco_sketch_merge(code, key, sketch, folded[i - 1] ? folded[i - 1] : sketch);
        folded[i] = next_byte(&in) % 9 == 0 ? NULL : sketch;
    }
    status = draco_locate(code, key, d, folded, work, weights, verdicts, &report);
    check_outcome(code, status, verdicts, &report);
    free(key);
    free(work);
    free(weights);
    free(sketches);
}

static void vote_exponents(const draco_code *code, size_t d, input in) {
    size_t bytes = draco_exponent_bytes(d) * (size_t)code->r;
    uint8_t *reports = calloc((size_t)code->n, bytes), *agreed = malloc(draco_exponent_bytes(d));
    const uint8_t *rows[32];
    draco_verdict verdicts[32] = {DRACO_UNDECIDED};
    draco_report report = {0};
    void *work = malloc(draco_exponents_work_bytes(code, d));
    draco_status status;
    for (int i = 0; i < code->n; i++) {
        rows[i] = next_byte(&in) % 7 == 0 ? NULL : reports + (size_t)i * bytes;
        for (size_t k = 0; k < bytes; k++)
            reports[(size_t)i * bytes + k] = next_byte(&in) % 3 ? 120 : next_byte(&in);
    }
    status = draco_exponents_decide(code, rows, d, work, agreed, verdicts, &report);
    check_outcome(code, status, verdicts, &report);
    for (size_t k = 0; k < draco_exponent_bytes(d) && status >= 0; k++) check(agreed[k] < 255);
    free(reports);
    free(agreed);
    free(work);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, size};
    uint8_t flags = next_byte(&in);
    draco_code code = {.scheme = (draco_scheme)(flags & 1),
                       .field = (draco_field)(flags >> 1 & 1),
                       .support = (draco_support)(flags >> 2 & 1),
                       .n = next_byte(&in) % 33,
                       .s = (int8_t)next_byte(&in) % 9,
                       .t = (int8_t)next_byte(&in) % 9,
                       .budget = flags & 0x80 ? 10000 : 0};
    size_t d = 1 + (next_byte(&in) * 256u + next_byte(&in)) % MOST_D;
    if (draco_code_init(&code) != DRACO_OK) return 0;
    if (code.n > 32) return 0;
    if (flags & 0x40) draco_code_at(&code, flags);
    decode_whole(&code, d, in, flags >> 3);
    locate_pieces(&code, d, in);
    if (code.scheme == DRACO_CYCLIC && code.field == DRACO_FIELD_PRIME) vote_exponents(&code, d, in);
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
/* Honest messages of a small code, so that mutations of them reach the search for liars. */
static size_t honest_input(uint64_t i, uint8_t *data, size_t room) {
    const int n = 5 + (int)(i % 11), s = (int)(i / 11 % 3), t = (int)(i / 33 % 2);
    draco_code code = {.scheme = DRACO_CYCLIC, .field = (draco_field)(i / 2 % 2), .n = n, .s = s, .t = t};
    size_t d = 1 + (size_t)(i % 40), at = 7, bytes;
    float gradient[64];
    uint8_t exponents[1] = {130};
    if (draco_code_init(&code) != DRACO_OK) return 0;
    bytes = draco_message_bytes(&code, d);
    if (at + (size_t)n * bytes > room) return 0;
    data[0] = (uint8_t)(1 | (unsigned)code.field << 1);
    data[1] = (uint8_t)n;
    data[2] = (uint8_t)s;
    data[3] = (uint8_t)t;
    data[4] = 0;
    data[5] = (uint8_t)(d - 1);
    data[6] = 130;
    for (int k = 0; k < n; k++, at += bytes) {
        float message[64];
        draco_encoding *encoding = malloc(draco_encoding_bytes(&code, d));
        draco_encode_init(&code, d, encoding);
        draco_encode_begin(&code, d, encoding);
        for (int l = 0; l < code.r; l++) {
            int part = draco_code_part(&code, k, l);
            for (size_t c = 0; c < d; c++) gradient[c] = (float)((part * 7 + (int)c * 3) % 11) - 5;
            draco_encode_add(&code, k, part, gradient, d, exponents, encoding);
        }
        draco_encode_end(&code, d, encoding, message);
        free(encoding);
        memcpy(data + at, message, bytes);
    }
    return at;
}
#define DRACO_FUZZ_SEED honest_input
#include "fuzz_main.h"
#endif
