/* The fingerprint: golden values, every chunking and split the same value, every kernel the same bits, and
 * the assumptions of its collision bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRACO_VOTE_IMPLEMENTATION
#include "draco_vote.h"
#include "golden/fingerprint.h"

#define BLOCK DRACO_FINGERPRINT_BLOCK

typedef struct value {
    uint8_t bytes[DRACO_FINGERPRINT_BYTES];
} value;

static uint64_t state = 1;

static uint64_t draw(void) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void fill(uint8_t *m, size_t n) {
    for (size_t i = 0; i < n; i++) m[i] = (uint8_t)draw();
}

static draco_seed seed_of(int seed) {
    draco_seed s;
    for (int i = 0; i < 32; i++) s.bytes[i] = (uint8_t)(seed + i);
    return s;
}

static draco_fingerprint_key key_of(int seed) {
    draco_fingerprint_key key;
    const draco_seed s = seed_of(seed);
    draco_fingerprint_key_init(&key, &s);
    return key;
}

static value whole(const draco_fingerprint_key *key, const uint8_t *m, size_t n) {
    draco_fingerprint f;
    value v;
    draco_fingerprint_begin(&f, 0);
    draco_fingerprint_add(&f, key, m, n);
    draco_fingerprint_finish(&f, key, v.bytes);
    return v;
}

static int equal(value a, value b) {
    return !memcmp(&a, &b, sizeof a);
}

/* Neither half alone may collide: each has a key of its own. */
static int halves_differ(value a, value b) {
    return memcmp(a.bytes, b.bytes, 8) != 0 && memcmp(a.bytes + 8, b.bytes + 8, 8) != 0;
}

static void golden_values(void **unused) {
    (void)unused;
    for (size_t g = 0; g < sizeof golden_fingerprints / sizeof *golden_fingerprints; g++) {
        size_t n = (size_t)golden_fingerprints[g].length;
        draco_fingerprint_key key = key_of(golden_fingerprints[g].seed);
        uint8_t *m = test_calloc(n + 1, 1);
        char text[2 * DRACO_FINGERPRINT_BYTES + 1];
        for (size_t i = 0; i < n && golden_fingerprints[g].kind != 'z'; i++)
            m[i] = (uint8_t)(7 * i + i / 256 + 1);
        if (golden_fingerprints[g].kind == 'f') m[n / 2] ^= 1;
        value v = whole(&key, m, n), at_once;
        const draco_seed seed = seed_of(golden_fingerprints[g].seed);
        draco_fingerprint_of(&seed, m, n, at_once.bytes);
        assert_true(equal(v, at_once));
        for (size_t i = 0; i < sizeof v.bytes; i++) snprintf(text + 2 * i, 3, "%02x", v.bytes[i]);
        assert_string_equal(text, golden_fingerprints[g].value);
        test_free(m);
    }
}

static void any_chunking(void **unused) {
    (void)unused;
    enum { N = 5 * BLOCK + 3 };
    static uint8_t m[N];
    draco_fingerprint_key key = key_of(5);
    fill(m, N);
    for (size_t n = 0; n <= N; n += 1 + draw() % 7) {
        value expected = whole(&key, m, n);
        size_t limit = n % 3 == 0 ? 9 : n % 3 == 1 ? 100 : 3 * BLOCK;
        draco_fingerprint f;
        value v;
        draco_fingerprint_begin(&f, 0);
        for (size_t at = 0; at < n;) {
            size_t take = (size_t)draw() % limit;
            if (take > n - at) take = n - at;
            draco_fingerprint_add(&f, &key, m + at, take);
            at += take;
        }
        draco_fingerprint_finish(&f, &key, v.bytes);
        assert_true(equal(v, expected));
        draco_fingerprint_finish(&f, &key, v.bytes);
        assert_true(equal(v, expected));
    }
}

static void byte_by_byte(void **unused) {
    (void)unused;
    enum { N = 3 * BLOCK + 5 };
    static uint8_t m[N];
    draco_fingerprint_key key = key_of(6);
    draco_fingerprint f;
    fill(m, N);
    draco_fingerprint_begin(&f, 0);
    for (size_t n = 0; n <= N; n++) {
        value v;
        draco_fingerprint_finish(&f, &key, v.bytes);
        assert_true(equal(v, whole(&key, m, n)));
        if (n < N) draco_fingerprint_add(&f, &key, m + n, 1);
    }
}

/* Unaligned addresses give the same value as aligned ones. */
static void any_alignment(void **unused) {
    (void)unused;
    static uint8_t m[4 * BLOCK + 64], copy[4 * BLOCK + 64];
    draco_fingerprint_key key = key_of(7);
    fill(m, sizeof m);
    for (size_t shift = 0; shift < 64; shift++) {
        memcpy(copy + shift, m, 4 * BLOCK);
        assert_true(equal(whole(&key, copy + shift, 4 * BLOCK), whole(&key, m, 4 * BLOCK)));
    }
}

static void any_split_merged_in_any_order(void **unused) {
    (void)unused;
    enum { BLOCKS = 40, N = BLOCKS * BLOCK + 77 };
    static uint8_t m[N];
    draco_fingerprint_key key = key_of(8);
    fill(m, N);
    value expected = whole(&key, m, N);
    for (int round = 0; round < 200; round++) {
        draco_fingerprint parts[BLOCKS + 1];
        size_t count = 0;
        for (size_t at = 0; at < N; count++) {
            size_t end = at + BLOCK * (1 + draw() % 12);
            if (end > N) end = N;
            draco_fingerprint_begin(&parts[count], at);
            size_t middle = at + draw() % (end - at + 1);
            draco_fingerprint_add(&parts[count], &key, m + at, middle - at);
            draco_fingerprint_add(&parts[count], &key, m + middle, end - middle);
            at = end;
        }
        for (size_t i = count; i > 1; i--) {
            size_t j = draw() % i;
            draco_fingerprint swap = parts[i - 1];
            parts[i - 1] = parts[j];
            parts[j] = swap;
        }
        value v;
        for (size_t i = 1; i < count; i++) draco_fingerprint_merge(&parts[0], &key, &parts[i]);
        draco_fingerprint_finish(&parts[0], &key, v.bytes);
        assert_true(equal(v, expected));
    }
}

/* A range may take in more bytes after another was merged into it. */
static void merge_while_open(void **unused) {
    (void)unused;
    static uint8_t m[4 * BLOCK];
    draco_fingerprint_key key = key_of(9);
    draco_fingerprint first, rest;
    value v;
    fill(m, sizeof m);
    draco_fingerprint_begin(&first, 0);
    draco_fingerprint_add(&first, &key, m, 100);
    draco_fingerprint_begin(&rest, 2 * BLOCK);
    draco_fingerprint_add(&rest, &key, m + 2 * BLOCK, 2 * BLOCK - 5);
    draco_fingerprint_merge(&first, &key, &rest);
    draco_fingerprint_add(&first, &key, m + 100, 2 * BLOCK - 100);
    draco_fingerprint_finish(&first, &key, v.bytes);
    assert_true(equal(v, whole(&key, m, 4 * BLOCK - 5)));
}

static void any_number_of_threads(void **unused) {
    (void)unused;
    enum { N = 1 << 20, PARTS = 16 };
    static uint8_t m[N];
    draco_fingerprint_key key = key_of(10);
    fill(m, N);
    value expected = whole(&key, m, N);
    for (int threads = 1; threads <= 4; threads++) {
        draco_fingerprint parts[PARTS];
        value v;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
        for (size_t p = 0; p < PARTS; p++) {
            draco_fingerprint_begin(&parts[p], p * (N / PARTS));
            draco_fingerprint_add(&parts[p], &key, m + p * (N / PARTS), N / PARTS);
        }
        for (int p = 1; p < PARTS; p++) draco_fingerprint_merge(&parts[0], &key, &parts[p]);
        draco_fingerprint_finish(&parts[0], &key, v.bytes);
        assert_true(equal(v, expected));
    }
}

/* A range far into a long message: the power of its first block against plain repeated multiplication. */
static void far_offsets(void **unused) {
    (void)unused;
    draco_fingerprint_key key = key_of(11);
    uint8_t m[BLOCK];
    uint64_t power = 1;
    fill(m, BLOCK);
    for (uint64_t block = 0; block < 3000; block++) {
        draco_fingerprint f;
        power = drv_mul(power, key.point[0]);
        if (block % 271) continue;
        draco_fingerprint_begin(&f, block * BLOCK);
        draco_fingerprint_add(&f, &key, m, 1);
        assert_true(f.power[0] == power);
    }
}

#ifdef DRV_X86
static void every_kernel_the_same_bits(void **unused) {
    (void)unused;
    int avx2 = __builtin_cpu_supports("avx2"), avx512 = __builtin_cpu_supports("avx512f");
    uint8_t m[BLOCK + 1];
    for (int round = 0; round < 20000; round++) {
        draco_fingerprint_key key = key_of(round);
        uint64_t plain[2], wide[2];
        const uint8_t *at = m + round % 2;
        fill(m, sizeof m);
        if (round % 5 == 0) memset(m, 0xff, sizeof m);
        if (round % 7 == 0) memset(key.nh, 0xff, sizeof key.nh);
        drv_nh_plain(&key, at, plain);
        if (avx2) {
            drv_nh_avx2(&key, at, wide);
            assert_memory_equal(plain, wide, sizeof plain);
        }
        if (avx512) {
            drv_nh_avx512(&key, at, wide);
            assert_memory_equal(plain, wide, sizeof plain);
        }
    }
}
#endif

/* ---- The assumptions of the bound ---- */

static void one_bit(void **unused) {
    (void)unused;
    enum { N = 2 * BLOCK + 40 };
    static uint8_t m[N];
    draco_fingerprint_key key = key_of(20);
    fill(m, N);
    value v = whole(&key, m, N);
    for (size_t bit = 0; bit < 8 * N; bit++) {
        m[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_true(halves_differ(v, whole(&key, m, N)));
        m[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static int by_bytes(const void *a, const void *b) {
    return memcmp(a, b, 8);
}

/* All zero, and nothing but the length tells the messages apart. */
static void length_of_zeros(void **unused) {
    (void)unused;
    enum { N = 4 * BLOCK };
    static uint8_t m[N];
    static uint8_t half[2][N + 1][8];
    draco_fingerprint_key key = key_of(21);
    for (size_t n = 0; n <= N; n++) {
        value v = whole(&key, m, n);
        memcpy(half[0][n], v.bytes, 8);
        memcpy(half[1][n], v.bytes + 8, 8);
    }
    for (int j = 0; j < 2; j++) {
        qsort(half[j], N + 1, 8, by_bytes);
        for (size_t n = 1; n <= N; n++) assert_memory_not_equal(half[j][n - 1], half[j][n], 8);
    }
}

static void trailing_zeros_count(void **unused) {
    (void)unused;
    static uint8_t m[2 * BLOCK];
    draco_fingerprint_key key = key_of(22);
    fill(m, 100);
    value v = whole(&key, m, 100);
    for (size_t n = 101; n <= sizeof m; n++) assert_true(halves_differ(v, whole(&key, m, n)));
}

static void swap_bytes(uint8_t *a, uint8_t *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint8_t t = a[i];
        a[i] = b[i];
        b[i] = t;
    }
}

/* Blocks, pairs of words, words within a pair: none may change places unseen. */
static void swapped_pieces(void **unused) {
    (void)unused;
    enum { N = 8 * BLOCK };
    static const size_t sizes[] = {BLOCK, 512, 64, 8, 4};
    static uint8_t m[N];
    draco_fingerprint_key key = key_of(23);
    fill(m, N);
    value v = whole(&key, m, N);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        for (size_t a = 0; a + sizes[k] < N; a += sizes[k] * 3) {
            size_t b = (a + sizes[k] * (1 + draw() % 5)) % N;
            if (a == b) continue;
            swap_bytes(m + a, m + b, sizes[k]);
            assert_true(halves_differ(v, whole(&key, m, N)));
            swap_bytes(m + a, m + b, sizes[k]);
        }
        assert_true(equal(v, whole(&key, m, N)));
    }
}

/* Differences that NH without its key would not see: opposite signs, the top bit, words that cancel. */
static void differences_that_might_cancel(void **unused) {
    (void)unused;
    enum { N = 2 * BLOCK };
    static uint32_t a[N / 4], b[N / 4];
    for (int round = 0; round < 3000; round++) {
        draco_fingerprint_key key = key_of(round + 300);
        size_t i = 2 * (draw() % (N / 8 - 1));
        uint32_t delta = (uint32_t)draw();
        memset(a, 0, sizeof a);
        memset(b, 0, sizeof b);
        switch (round % 5) {
        case 0:
            b[i] = 0x80000000u;
            break;
        case 1:
            b[i] = 0x80000000u, b[i + 2] = 0x80000000u;
            break;
        case 2:
            b[i] = delta, b[i + 2] = 0u - delta;
            break;
        case 3:
            b[i] = delta, b[i + 1] = 0u - delta;
            break;
        default:
            a[i] = delta, b[i + 1] = delta;
            break;
        }
        assert_true(halves_differ(whole(&key, (const uint8_t *)a, N), whole(&key, (const uint8_t *)b, N)));
    }
}

static void another_key_another_value(void **unused) {
    (void)unused;
    static uint8_t m[2 * BLOCK];
    draco_seed seeds[2];
    draco_fingerprint_key keys[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(draco_seed_random(&seeds[i]), DRACO_OK);
        draco_fingerprint_key_init(&keys[i], &seeds[i]);
    }
    assert_memory_not_equal(&seeds[0], &seeds[1], sizeof seeds[0]);
    assert_true(halves_differ(whole(&keys[0], m, sizeof m), whole(&keys[1], m, sizeof m)));
}

static uint64_t slow_product(uint64_t a, uint64_t b) {
    uint64_t sum = 0, p = (((uint64_t)1) << 61) - 1;
    for (; b; b >>= 1) {
        if (b & 1) sum = (sum + a) % p;
        a = 2 * a % p;
    }
    return sum;
}

static void products_modulo_the_prime(void **unused) {
    (void)unused;
    uint64_t p = DRV_P;
    uint64_t telling[] = {0, 1, 2, p - 1, p - 2, (uint64_t)1 << 60, (uint64_t)1 << 32, 0xffffffffu, p / 2};
    size_t count = sizeof telling / sizeof *telling;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++)
            assert_true(drv_mul(telling[i], telling[j]) == slow_product(telling[i], telling[j]));
    }
    for (int i = 0; i < 20000; i++) {
        uint64_t a = draw() % p, b = draw() % p;
        assert_true(drv_mul(a, b) == slow_product(a, b));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_values),
        cmocka_unit_test(any_chunking),
        cmocka_unit_test(byte_by_byte),
        cmocka_unit_test(any_alignment),
        cmocka_unit_test(any_split_merged_in_any_order),
        cmocka_unit_test(merge_while_open),
        cmocka_unit_test(any_number_of_threads),
        cmocka_unit_test(far_offsets),
#ifdef DRV_X86
        cmocka_unit_test(every_kernel_the_same_bits),
#endif
        cmocka_unit_test(one_bit),
        cmocka_unit_test(length_of_zeros),
        cmocka_unit_test(trailing_zeros_count),
        cmocka_unit_test(swapped_pieces),
        cmocka_unit_test(differences_that_might_cancel),
        cmocka_unit_test(another_key_another_value),
        cmocka_unit_test(products_modulo_the_prime),
    };
    return cmocka_run_group_tests_name("fingerprint", tests, NULL, NULL);
}
