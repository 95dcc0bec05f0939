/* Whatever workers send, a rule ends with a status; an error leaves the sum alone, a missing row is ABSENT. */
#include <stddef.h>
#include <stdint.h>

#define DRACO_IMPLEMENTATION
#define DRACO_RULES_IMPLEMENTATION
#include "baselines/draco_rules.h"

#define MOST 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The name of rule number i after pre-aggregation number k, k = 0: none. */
static const char *name_of(int i, int k, char name[64]) {
    static const char *const pre[] = {"", "detox+", "nnm+", "bucketing+", "detox+nnm+"};
    int rules = 0;
    while (draco_rule_list(rules)) rules++;
    snprintf(name, 64, "%s%s", pre[k % 5], draco_rule_list(i % rules)->name);
    return name;
}

/* Header: rule, pre-aggregation, n, f, s, missing; then the rows' floats, as often as they reach. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static float rows[MOST * 80], sum[80];
    const float *row[MOST];
    draco_verdict verdicts[MOST] = {DRACO_UNDECIDED};
    draco_report report;
    draco_rule rule;
    char name[64];
    if (size < 8) return 0;
    int n = 1 + data[2] % MOST, f = data[3] % 12;
    draco_code code = {.n = n, .s = data[4] % 3};
    size_t d = 1 + data[5] % 80, have = (size - 7) / 4;
    if (draco_code_init(&code) < 0 || have == 0) return 0;
    draco_rule_options options = {
        .bucket = data[6] % 4, .iterations = 1 + data[6] % 50, .streaming = data[6] & 1};
    if (draco_rule_make(&rule, name_of(data[0], data[1], name), &options) < 0) return 0;
    for (size_t k = 0; k < (size_t)n * d; k++) memcpy(rows + k, data + 7 + 4 * (k % have), 4);
    for (int i = 0; i < n; i++) row[i] = data[6] >> 4 == i ? NULL : rows + (size_t)i * d;
    memset(sum, 0, sizeof sum);
    draco_inputs in = {n, d, row, &code, 1, NULL, f};
    draco_status status = rule.aggregate(rule.ctx, &in, sum, verdicts, &report);
    for (int i = 0; status >= 0 && i < n; i++)
        if (!row[i] && verdicts[i] != DRACO_ABSENT) abort();
    for (size_t j = 0; j < d && status < 0; j++)
        if (sum[j] < 0 || sum[j] > 0) abort(); /* an error leaves the sum alone */
    draco_rule_free(&rule);
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
static size_t well_formed(uint64_t i, uint8_t *data, size_t room) {
    size_t floats = (room - 7) / 4 < 600 ? (room - 7) / 4 : 600;
    for (int k = 0; k < 7; k++) data[k] = (uint8_t)(i >> k);
    data[0] = (uint8_t)i;
    data[3] = (uint8_t)(i % 4);
    for (size_t k = 0; k < floats; k++) {
        float x = (float)((i * 31 + k * 17) % 101) / 50 - 1;
        memcpy(data + 7 + 4 * k, &x, 4);
    }
    return 7 + 4 * floats;
}
#define DRACO_FUZZ_SEED well_formed
#include "fuzz_main.h"
#endif
