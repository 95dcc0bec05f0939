/* Any message, cut and split in any way, has one fingerprint, and a message that differs has another. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DRACO_VOTE_IMPLEMENTATION
#include "draco_vote.h"

#define VALUE DRACO_FINGERPRINT_BYTES

static const draco_fingerprint_key *one_key(void) {
    static draco_fingerprint_key key;
    static int ready;
    if (!ready) {
        draco_seed seed;
        memset(&seed, 42, sizeof seed);
        draco_fingerprint_key_init(&key, &seed);
        ready = 1;
    }
    return &key;
}

static void whole(const uint8_t *m, size_t n, uint8_t value[VALUE]) {
    draco_fingerprint f;
    draco_fingerprint_begin(&f, 0);
    draco_fingerprint_add(&f, one_key(), m, n);
    draco_fingerprint_finish(&f, one_key(), value);
}

static void chunked(const uint8_t *m, size_t n, const uint8_t *cuts, uint8_t value[VALUE]) {
    draco_fingerprint f;
    size_t at = 0, i = 0;
    draco_fingerprint_begin(&f, 0);
    while (at < n) {
        size_t take = (size_t)cuts[i++ % 4] * 9 % 1500;
        if (take > n - at || i > 64) take = n - at;
        draco_fingerprint_add(&f, one_key(), m + at, take);
        at += take;
    }
    draco_fingerprint_finish(&f, one_key(), value);
}

static void merged(const uint8_t *m, size_t n, size_t block, uint8_t value[VALUE]) {
    draco_fingerprint front, back;
    size_t at = block * DRACO_FINGERPRINT_BLOCK < n ? block * DRACO_FINGERPRINT_BLOCK : 0;
    draco_fingerprint_begin(&front, 0);
    draco_fingerprint_add(&front, one_key(), m, at);
    draco_fingerprint_begin(&back, at);
    draco_fingerprint_add(&back, one_key(), m + at, n - at);
    draco_fingerprint_merge(&back, one_key(), &front);
    draco_fingerprint_finish(&back, one_key(), value);
}

/* Four bytes say how to cut, one where to split, one what to change; the rest is the message. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t first[VALUE], second[VALUE];
    if (size < 6) return 0;
    const uint8_t *m = data + 6;
    size_t n = size - 6;
    whole(m, n, first);
    chunked(m, n, data, second);
    if (memcmp(first, second, VALUE) != 0) abort();
    merged(m, n, data[4] % 4, second);
    if (memcmp(first, second, VALUE) != 0) abort();
    if (n > 0) {
        uint8_t *other = (uint8_t *)malloc(n);
        if (!other) return 0;
        memcpy(other, m, n);
        other[data[5] * (n - 1) / 255] ^= (uint8_t)(1u << data[5] % 8);
        whole(other, n, second);
        free(other);
        if (memcmp(first, second, VALUE) == 0) abort();
        whole(m, n - 1, second);
        if (memcmp(first, second, VALUE) == 0) abort();
    }
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
#include "fuzz_main.h"
#endif
