/* train_blake2b.h - BLAKE2b with 32 bytes of digest (RFC 7693): for digests that nobody can make collide. */
#ifndef TRAIN_BLAKE2B_H
#define TRAIN_BLAKE2B_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define TRAIN_DIGEST 32
#define TRAIN_DIGEST_HEX (2 * TRAIN_DIGEST + 1)

static const uint64_t train_blake2b_iv[8] = {0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu,
                                             0xa54ff53a5f1d36f1u, 0x510e527fade682d1u, 0x9b05688c2b3e6c1fu,
                                             0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u};

static uint64_t train_blake2b_turn(uint64_t x, int by) {
    return x >> by | x << (64 - by);
}

static void train_blake2b_block(uint64_t h[8], const uint8_t block[128], uint64_t bytes, int last) {
    static const uint8_t order[10][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                          {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
                                          {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
                                          {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
                                          {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
                                          {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
                                          {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
                                          {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
                                          {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
                                          {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};
    static const uint8_t mixed[8][4] = {{0, 4, 8, 12},  {1, 5, 9, 13},  {2, 6, 10, 14}, {3, 7, 11, 15},
                                        {0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13},  {3, 4, 9, 14}};
    uint64_t m[16], v[16];
    for (int i = 0; i < 16; i++) {
        m[i] = 0;
        for (int k = 0; k < 8; k++) m[i] |= (uint64_t)block[8 * i + k] << 8 * k;
    }
    for (int i = 0; i < 8; i++) v[i] = h[i], v[i + 8] = train_blake2b_iv[i];
    v[12] ^= bytes;
    if (last) v[14] = ~v[14];
    for (int round = 0; round < 12; round++)
        for (int i = 0; i < 8; i++) {
            uint64_t *a = &v[mixed[i][0]], *b = &v[mixed[i][1]], *c = &v[mixed[i][2]], *d = &v[mixed[i][3]];
            *a += *b + m[order[round % 10][2 * i]];
            *d = train_blake2b_turn(*d ^ *a, 32);
            *c += *d;
            *b = train_blake2b_turn(*b ^ *c, 24);
            *a += *b + m[order[round % 10][2 * i + 1]];
            *d = train_blake2b_turn(*d ^ *a, 16);
            *c += *d;
            *b = train_blake2b_turn(*b ^ *c, 63);
        }
    for (int i = 0; i < 8; i++) h[i] ^= v[i] ^ v[i + 8];
}

static void train_blake2b(const void *bytes, size_t n, uint8_t digest[TRAIN_DIGEST]) {
    const uint8_t *at = bytes;
    uint64_t h[8];
    uint8_t last[128] = {0};
    size_t done = 0;
    memcpy(h, train_blake2b_iv, sizeof h);
    h[0] ^= 0x01010000u ^ TRAIN_DIGEST;
    for (; n - done > 128; done += 128) train_blake2b_block(h, at + done, done + 128, 0);
    if (n > done) memcpy(last, at + done, n - done);
    train_blake2b_block(h, last, n, 1);
    for (int i = 0; i < TRAIN_DIGEST; i++) digest[i] = (uint8_t)(h[i / 8] >> 8 * (i % 8));
}

static void train_blake2b_hex(const void *bytes, size_t n, char hex[TRAIN_DIGEST_HEX]) {
    uint8_t digest[TRAIN_DIGEST];
    train_blake2b(bytes, n, digest);
    for (int i = 0; i < TRAIN_DIGEST; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

#endif /* TRAIN_BLAKE2B_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
