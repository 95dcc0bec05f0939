/* draco_relay.h - version 0.1.0 - a broadcast that the receivers relay, and that no relay can forge
 *
 * Included by the transports, inside their implementations. Private to each file that includes it: nothing
 * to define. It knows no socket: a transport carries what it writes and hands it what came.
 *
 * Scatter and all-gather: the server cuts a vector into pieces, one for each relay, and sends each relay its
 * piece and each worker its order, directly. The order says who relays which piece, and has for each piece a
 * fingerprint under a key that is drawn anew each time and that only this worker gets. A relay sends its piece on to
 * all others. It does not know their keys, so it cannot make a wrong piece that passes, but by chance
 * (draco_vote.h has the bound). What is wrong, or has not come in time, a worker asks the server for. So the
 * result is the server's bytes whoever lied, stalled or died, and a relay can only cost time:
 *
 *     server   order, own piece          ->  worker
 *     worker   frames of its own piece   ->  all other workers
 *     worker   ask: the pieces missing   ->  server
 *     server   these pieces              ->  worker
 *
 * In time: when half of the pieces have come after T seconds, the others have until 2 T + DRACO_RELAY_GRACE. The half that
 * is too slow cannot be all liars, so liars do not move T beyond what honest relays take. Before that, twice what all pieces
 * take when the worker's own is anything to go by.
 *
 * A relay that more workers complain of than may lie (`liars`) is bad whatever they are, and out of the plan for
 * some broadcasts, twice as many each time: it gets, but does not give. No more than `liars` are out at once: where other
 * relays fail in each step, nearly all would be out, and the server would send nearly all itself. A worker gets each piece from the server
 * once at most: to ask for all costs the server no more than to send it the vector.
 *
 * Memory: at a worker what n workers need, whatever an order says, and no copy of the vector. A worker writes pieces into
 * the vector as they come: it is whole when draco_relay_whole says so, not before. One thread for each object.
 *
 * Source of scatter and all-gather: Barnett, Gupta, Payne, Shuler, van de Geijn, Watts, "Interprocessor
 * collective communication library", SHPCC 1994.
 *
 * SPDX-License-Identifier: MIT */
#ifndef DRACO_RELAY_H
#define DRACO_RELAY_H

#include "../draco.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef DRACO_RELAY_LEAST
#define DRACO_RELAY_LEAST ((size_t)64 << 10) /* bytes of a vector that is worth relaying */
#endif
#ifndef DRACO_RELAY_GRACE
#define DRACO_RELAY_GRACE 0.1 /* seconds */
#endif
#define DRACO_RELAY_HEAD 24u          /* bytes of a frame's head: serial, offset, piece, bytes */
#define DRACO_RELAY_FRAME (60u << 10) /* bytes of a frame, at most; below the 64 KiB that MPI sends at once */
#define DRACO_RELAY_NONE UINT32_MAX   /* no piece */
#define DRACO_RELAY_FIRST 8           /* broadcasts that a bad relay is out of the plan for, the first time */
#define DRACO_RELAY_LONGEST 1024      /* and the most */

enum { DRY_ORDER = 64, DRY_LINE = 4 + DRACO_FINGERPRINT_BYTES, DRY_CACHE = 32 << 10, DRY_ASK = 12 };

static void dry_put32(unsigned char *to, uint32_t v) {
    for (int i = 0; i < 4; i++) to[i] = (unsigned char)(v >> 8 * i);
}

static void dry_put64(unsigned char *to, uint64_t v) {
    for (int i = 0; i < 8; i++) to[i] = (unsigned char)(v >> 8 * i);
}

static uint32_t dry_get32(const unsigned char *from) {
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) v |= (uint32_t)from[i] << 8 * i;
    return v;
}

static uint64_t dry_get64(const unsigned char *from) {
    return dry_get32(from) | (uint64_t)dry_get32(from + 4) << 32;
}

/* Of a frame, or of a whole piece: `count` bytes from `at` of the vector, in piece p. */
static void dry_put_head(unsigned char *to, uint64_t serial, size_t at, uint32_t p, size_t count) {
    dry_put64(to, serial);
    dry_put64(to + 8, at);
    dry_put32(to + 16, p);
    dry_put32(to + 20, (uint32_t)count);
}

static size_t dry_blocks(size_t bytes) {
    return bytes / DRACO_FINGERPRINT_BLOCK + (bytes % DRACO_FINGERPRINT_BLOCK != 0);
}

/* Where piece p of `pieces` begins, and its bytes: whole blocks, but for the end of the last. */
static size_t draco_relay_piece(size_t bytes, uint32_t pieces, uint32_t p, size_t *count) {
    size_t blocks = dry_blocks(bytes), each = blocks / pieces, more = blocks % pieces;
    size_t first = p * each + (p < more ? p : more), last = first + each + (p < more);
    size_t end = last * DRACO_FINGERPRINT_BLOCK < bytes ? last * DRACO_FINGERPRINT_BLOCK : bytes;
    *count = end - first * DRACO_FINGERPRINT_BLOCK;
    return first * DRACO_FINGERPRINT_BLOCK;
}

/* ---- Server ---- */

typedef struct draco_relay_server {
    int n, liars;
    uint64_t serial; /* broadcasts planned so far */
    size_t bytes;
    uint32_t pieces;
    int *owner;          /* n: who relays piece p */
    unsigned char *sent; /* n x n: worker i was sent piece p by the server */
    int *doubts;         /* n: workers that complain of this relay */
    int *out, *penalty;  /* n: broadcasts that it stays out of the plan, and the next time */
    draco_fingerprint_key *keys;
    draco_fingerprint *prints;
} draco_relay_server;

__attribute__((unused)) static void draco_relay_server_close(draco_relay_server *s) {
    free(s->owner);
    free(s->sent);
    free(s->doubts);
    free(s->out);
    free(s->penalty);
    free(s->keys);
    free(s->prints);
    memset(s, 0, sizeof *s);
}

/* liars: how many workers may lie; below 0: the most that any code can do with. Close it also after an error. */
__attribute__((unused)) static draco_status draco_relay_server_open(draco_relay_server *s, int n, int liars) {
    size_t count = (size_t)n;
    memset(s, 0, sizeof *s);
    s->n = n;
    s->liars = liars < 0 ? (n - 1) / 2 : liars;
    s->owner = calloc(count, sizeof *s->owner);
    s->sent = calloc(count, count);
    s->doubts = calloc(count, sizeof *s->doubts);
    s->out = calloc(count, sizeof *s->out);
    s->penalty = calloc(count, sizeof *s->penalty);
    s->keys = calloc(count, sizeof *s->keys);
    s->prints = calloc(count, sizeof *s->prints);
    if (!s->owner || !s->sent || !s->doubts || !s->out || !s->penalty || !s->keys || !s->prints)
        return DRACO_E_MEMORY;
    return DRACO_OK;
}

__attribute__((unused)) static size_t draco_relay_ask_bytes(int n) {
    return DRY_ASK + 4 * (size_t)n;
}

/* Bytes of the order of one worker, with at most n pieces. */
static size_t draco_relay_order_bytes(int n) {
    return DRY_ORDER + (size_t)n * DRY_LINE + ((size_t)n + 7) / 8;
}

/* The fingerprints of piece p for all who take: the vector is read once, and each cache's worth of it under all
   keys. */
static void dry_prints(draco_relay_server *s, const unsigned char *takes, const unsigned char *vector,
                       uint32_t p, unsigned char *orders, size_t stride) {
    size_t count, at = draco_relay_piece(s->bytes, s->pieces, p, &count);
    for (int i = 0; i < s->n; i++) draco_fingerprint_begin(&s->prints[i], 0);
    for (size_t done = 0; done < count; done += DRY_CACHE) {
        size_t now = count - done < DRY_CACHE ? count - done : DRY_CACHE;
        for (int i = 0; i < s->n; i++)
            if (takes[i]) draco_fingerprint_add(&s->prints[i], &s->keys[i], vector + at + done, now);
    }
    for (int i = 0; i < s->n; i++) {
        unsigned char *line = orders + (size_t)i * stride + DRY_ORDER + (size_t)p * DRY_LINE;
        if (!takes[i]) continue;
        dry_put32(line, (uint32_t)s->owner[p]);
        draco_fingerprint_finish(&s->prints[i], &s->keys[i], line + 4);
    }
}

/* Plan a broadcast of `bytes` bytes: takes[i]: worker i is to have it; gives[i]: it may relay. Writes the orders of all
   who take to `orders`, n of draco_relay_order_bytes. DRACO_MORE: it is not worth while, send it directly. */
__attribute__((unused)) static draco_status
draco_relay_plan(draco_relay_server *s, const unsigned char *vector, size_t bytes, const unsigned char *takes,
                 const unsigned char *gives, unsigned char *orders) {
    size_t stride = draco_relay_order_bytes(s->n);
    uint32_t pieces = 0;
    for (int i = 0; i < s->n; i++) {
        int able = takes[i] && gives[i] && s->out[i] == 0;
        if (s->out[i] > 0) s->out[i]--;
        if (able && pieces < dry_blocks(bytes)) s->owner[pieces++] = i;
    }
    if (pieces < 2 || bytes < DRACO_RELAY_LEAST) return DRACO_MORE;
    s->serial++;
    s->bytes = bytes;
    s->pieces = pieces;
    memset(s->sent, 0, (size_t)s->n * (size_t)s->n);
    memset(s->doubts, 0, (size_t)s->n * sizeof *s->doubts);
    for (int i = 0; i < s->n; i++) {
        unsigned char *order = orders + (size_t)i * stride;
        draco_seed seed;
        if (!takes[i]) continue;
        if (draco_seed_random(&seed) < 0) return DRACO_E_RANDOM;
        draco_fingerprint_key_init(&s->keys[i], &seed);
        memset(order, 0, stride);
        dry_put64(order, s->serial);
        dry_put64(order + 8, bytes);
        dry_put32(order + 16, pieces);
        dry_put32(order + 20, (uint32_t)s->n);
        dry_put32(order + 24, DRACO_RELAY_NONE);
        memcpy(order + 32, &seed, sizeof seed);
        for (int j = 0; j < s->n; j++)
            if (takes[j]) order[DRY_ORDER + s->n * DRY_LINE + j / 8] |= (unsigned char)(1 << j % 8);
    }
    for (uint32_t p = 0; p < pieces; p++) {
        dry_prints(s, takes, vector, p, orders, stride);
        dry_put32(orders + (size_t)s->owner[p] * stride + 24, p);
    }
    return DRACO_OK;
}

/* The piece that a worker is to relay, or DRACO_RELAY_NONE. It counts as sent. */
__attribute__((unused)) static uint32_t draco_relay_own(draco_relay_server *s, int worker) {
    for (uint32_t p = 0; p < s->pieces; p++) {
        if (s->owner[p] != worker) continue;
        s->sent[(size_t)worker * (size_t)s->n + p] = 1;
        return p;
    }
    return DRACO_RELAY_NONE;
}

/* The head of each piece that the server sends, n of DRACO_RELAY_HEAD bytes: as a frame's, for all of the piece. */
__attribute__((unused)) static void draco_relay_heads(const draco_relay_server *s, unsigned char *heads) {
    for (uint32_t p = 0; p < s->pieces; p++, heads += DRACO_RELAY_HEAD) {
        size_t count, at = draco_relay_piece(s->bytes, s->pieces, p, &count);
        dry_put_head(heads, s->serial, at, p, count);
    }
}

/* Leave a relay out of the plan; who has the shortest time to go comes back when that makes more than may lie. */
static void dry_leave_out(draco_relay_server *s, int relay) {
    int others = 0, back = -1;
    s->penalty[relay] = s->penalty[relay] ? 2 * s->penalty[relay] : DRACO_RELAY_FIRST;
    if (s->penalty[relay] > DRACO_RELAY_LONGEST) s->penalty[relay] = DRACO_RELAY_LONGEST;
    s->out[relay] = s->penalty[relay];
    for (int i = 0; i < s->n; i++) {
        if (i == relay || s->out[i] == 0) continue;
        others++;
        if (back < 0 || s->out[i] < s->out[back]) back = i;
    }
    if (others > 0 && others >= s->liars) s->out[back] = 0;
}

/* A worker asks about the last broadcast. Writes the pieces that it is to be sent to `pieces` (n), and returns how many:
   none that it was sent before. -1: no honest worker sends this. *bad: a relay that this leaves out of the plan, or -1. */
__attribute__((unused)) static int draco_relay_asked(draco_relay_server *s, int worker,
                                                     const unsigned char *ask, size_t size, uint32_t *pieces,
                                                     int *bad) {
    uint32_t count;
    int send = 0;
    *bad = -1;
    if (size < DRY_ASK) return -1;
    count = dry_get32(ask + 8);
    if (count == 0 || count > (uint32_t)s->n || size != DRY_ASK + 4 * (size_t)count) return -1;
    if (dry_get64(ask) != s->serial) return -1;
    for (uint32_t k = 0; k < count; k++) {
        uint32_t p = dry_get32(ask + DRY_ASK + 4 * k);
        unsigned char *sent;
        int owner;
        if (p >= s->pieces) return -1;
        sent = &s->sent[(size_t)worker * (size_t)s->n + p];
        if (*sent) continue;
        *sent = 1;
        pieces[send++] = p;
        owner = s->owner[p];
        if (owner == worker || ++s->doubts[owner] != s->liars + 1) continue;
        dry_leave_out(s, owner);
        *bad = owner;
    }
    return send;
}

/* ---- Worker ---- */

enum { DRY_OPEN, DRY_BAD, DRY_ASKED, DRY_DONE };

typedef struct draco_relay_worker {
    int n, worker;
    uint64_t serial;
    unsigned char *vector;
    size_t bytes;
    uint32_t pieces, own, done;
    int lost; /* the server's own bytes are not those of the order: the request is over */
    double begun, half;
    double reference; /* seconds that its own piece took, the last time that it had one */
    draco_fingerprint_key *key;
    uint32_t *owner;      /* n */
    uint32_t *piece_of;   /* n: the piece that worker i relays */
    uint8_t *values;      /* n fingerprints */
    unsigned char *state; /* n: of each piece */
    size_t *got;          /* n: bytes that its relay has sent */
    unsigned char *takes; /* n: who is to have this worker's piece */
} draco_relay_worker;

__attribute__((unused)) static void draco_relay_worker_close(draco_relay_worker *w) {
    free(w->key);
    free(w->owner);
    free(w->piece_of);
    free(w->values);
    free(w->state);
    free(w->got);
    free(w->takes);
    memset(w, 0, sizeof *w);
}

__attribute__((unused)) static draco_status draco_relay_worker_open(draco_relay_worker *w, int n,
                                                                    int worker) {
    size_t count = (size_t)n;
    memset(w, 0, sizeof *w);
    w->n = n;
    w->worker = worker;
    w->reference = 1;
    w->key = calloc(1, sizeof *w->key);
    w->owner = calloc(count, sizeof *w->owner);
    w->piece_of = calloc(count, sizeof *w->piece_of);
    w->values = calloc(count, DRACO_FINGERPRINT_BYTES);
    w->state = calloc(count, 1);
    w->got = calloc(count, sizeof *w->got);
    w->takes = calloc(count, 1);
    if (!w->key || !w->owner || !w->piece_of || !w->values || !w->state || !w->got || !w->takes)
        return DRACO_E_MEMORY;
    return DRACO_OK;
}

/* An order has come for a vector of `bytes` bytes, to be assembled in `vector`. DRACO_E_MALFORMED: it is not one. */
__attribute__((unused)) static draco_status draco_relay_begin(draco_relay_worker *w,
                                                              const unsigned char *order, size_t size,
                                                              void *vector, size_t bytes, double now) {
    draco_seed seed;
    uint32_t pieces, own;
    if (size != draco_relay_order_bytes(w->n) || dry_get64(order + 8) != bytes ||
        dry_get32(order + 20) != (uint32_t)w->n)
        return DRACO_E_MALFORMED;
    pieces = dry_get32(order + 16);
    own = dry_get32(order + 24);
    if (pieces < 2 || pieces > (uint32_t)w->n || pieces > dry_blocks(bytes)) return DRACO_E_MALFORMED;
    for (int i = 0; i < w->n; i++) {
        w->piece_of[i] = DRACO_RELAY_NONE;
        w->takes[i] = order[DRY_ORDER + w->n * DRY_LINE + i / 8] >> i % 8 & 1 && i != w->worker;
    }
    for (uint32_t p = 0; p < pieces; p++) {
        const unsigned char *line = order + DRY_ORDER + (size_t)p * DRY_LINE;
        uint32_t owner = dry_get32(line);
        if (owner >= (uint32_t)w->n || w->piece_of[owner] != DRACO_RELAY_NONE) return DRACO_E_MALFORMED;
        w->owner[p] = owner;
        w->piece_of[owner] = p;
        memcpy(w->values + p * DRACO_FINGERPRINT_BYTES, line + 4, DRACO_FINGERPRINT_BYTES);
        w->state[p] = DRY_OPEN;
        w->got[p] = 0;
    }
    if (own != w->piece_of[w->worker]) return DRACO_E_MALFORMED;
    memcpy(&seed, order + 32, sizeof seed);
    draco_fingerprint_key_init(w->key, &seed);
    w->serial = dry_get64(order);
    w->vector = vector;
    w->bytes = bytes;
    w->pieces = pieces;
    w->own = own;
    w->done = 0;
    w->lost = 0;
    w->begun = now;
    w->half = 0;
    return DRACO_OK;
}

__attribute__((unused)) static int draco_relay_whole(const draco_relay_worker *w) {
    return w->done == w->pieces;
}

/* All of piece p stands in the vector: is it right? */
static draco_status dry_check(draco_relay_worker *w, uint32_t p, double now) {
    uint8_t value[DRACO_FINGERPRINT_BYTES];
    draco_fingerprint f;
    size_t count, at = draco_relay_piece(w->bytes, w->pieces, p, &count);
    draco_fingerprint_begin(&f, 0);
    draco_fingerprint_add(&f, w->key, w->vector + at, count);
    draco_fingerprint_finish(&f, w->key, value);
    if (memcmp(value, w->values + p * DRACO_FINGERPRINT_BYTES, sizeof value) != 0) return DRACO_E_MALFORMED;
    w->state[p] = DRY_DONE;
    w->done++;
    if (p == w->own) w->reference = now - w->begun;
    if (2 * w->done >= w->pieces && w->half == 0) w->half = now - w->begun;
    return DRACO_OK;
}

/* The head of a piece that the server is to send next: which. DRACO_E_MALFORMED: it is of another broadcast. */
__attribute__((unused)) static draco_status draco_relay_headed(const draco_relay_worker *w,
                                                               const unsigned char *head, uint32_t *p) {
    uint32_t piece = dry_get32(head + 16);
    if (dry_get64(head) != w->serial || piece >= w->pieces) return DRACO_E_MALFORMED;
    *p = piece;
    return DRACO_OK;
}

/* The server's piece p stands in the vector. When it is wrong the server has moved on: `lost`. */
__attribute__((unused)) static draco_status draco_relay_given(draco_relay_worker *w, uint32_t p, double now) {
    if (p >= w->pieces || w->state[p] == DRY_DONE) return DRACO_MORE;
    if (dry_check(w, p, now) < 0) w->lost = 1;
    return w->lost ? DRACO_E_MALFORMED : DRACO_OK;
}

/* A frame of worker `from`. DRACO_OK: its piece is whole and right. DRACO_MORE: more is to come, or this is no longer
   wanted. DRACO_E_MALFORMED: no honest worker sends it; what it relays will be asked of the server. */
__attribute__((unused)) static draco_status
draco_relay_take(draco_relay_worker *w, int from, const unsigned char *frame, size_t size, double now) {
    uint32_t p;
    size_t count, at, bytes;
    if (from < 0 || from >= w->n || from == w->worker) return DRACO_E_MALFORMED;
    p = w->piece_of[from];
    if (size >= DRACO_RELAY_HEAD && dry_get64(frame) < w->serial) return DRACO_MORE; /* a late one */
    if (p == DRACO_RELAY_NONE) return DRACO_E_MALFORMED;
    if (w->state[p] != DRY_OPEN) return w->state[p] == DRY_BAD ? DRACO_E_MALFORMED : DRACO_MORE;
    at = draco_relay_piece(w->bytes, w->pieces, p, &count);
    bytes = size >= DRACO_RELAY_HEAD ? size - DRACO_RELAY_HEAD : 0;
    if (bytes == 0 || dry_get64(frame) != w->serial || dry_get64(frame + 8) != at + w->got[p] ||
        dry_get32(frame + 16) != p || dry_get32(frame + 20) != bytes || bytes > count - w->got[p]) {
        w->state[p] = DRY_BAD;
        return DRACO_E_MALFORMED;
    }
    memcpy(w->vector + at + w->got[p], frame + DRACO_RELAY_HEAD, bytes);
    w->got[p] += bytes;
    if (w->got[p] < count) return DRACO_MORE;
    if (dry_check(w, p, now) == DRACO_OK) return DRACO_OK;
    w->state[p] = DRY_BAD;
    return DRACO_E_MALFORMED;
}

/* This worker's own piece is right: it may be relayed. */
__attribute__((unused)) static int draco_relay_can_give(const draco_relay_worker *w) {
    return w->own != DRACO_RELAY_NONE && w->state[w->own] == DRY_DONE;
}

/* Seconds after the order for which relays, and those who are to take, are waited for. */
static double draco_relay_patience(const draco_relay_worker *w) {
    if (w->half > 0) return 2 * w->half + DRACO_RELAY_GRACE;
    return 2 * w->pieces * w->reference + 4 * DRACO_RELAY_GRACE;
}

/* What is to be asked of the server now: bytes written to `ask` (draco_relay_ask_bytes), 0: nothing, and how many pieces. A
   wrong piece at once, what is missing after the patience; each piece once. Its own piece a relay has of the server in
   any case. */
__attribute__((unused)) static size_t draco_relay_want(draco_relay_worker *w, double now, unsigned char *ask,
                                                       int *pieces) {
    int late = now - w->begun > draco_relay_patience(w);
    uint32_t count = 0;
    *pieces = 0;
    if (w->own != DRACO_RELAY_NONE && w->state[w->own] != DRY_DONE) return 0;
    for (uint32_t p = 0; p < w->pieces; p++) {
        if (w->state[p] != DRY_BAD && !(w->state[p] == DRY_OPEN && late)) continue;
        w->state[p] = DRY_ASKED;
        dry_put32(ask + DRY_ASK + 4 * count++, p);
    }
    dry_put64(ask, w->serial);
    dry_put32(ask + 8, count);
    *pieces = (int)count;
    return count ? DRY_ASK + 4 * (size_t)count : 0;
}

/* Bytes of all frames of this worker's own piece. */
__attribute__((unused)) static size_t draco_relay_frames_bytes(const draco_relay_worker *w) {
    size_t count, payload = DRACO_RELAY_FRAME - DRACO_RELAY_HEAD;
    draco_relay_piece(w->bytes, w->pieces, w->own, &count);
    return count + (count + payload - 1) / payload * DRACO_RELAY_HEAD;
}

/* Writes them to `to`, one after the other, each but the last of DRACO_RELAY_FRAME bytes. */
__attribute__((unused)) static void draco_relay_frames(const draco_relay_worker *w, unsigned char *to) {
    size_t count, at = draco_relay_piece(w->bytes, w->pieces, w->own, &count),
                  payload = DRACO_RELAY_FRAME - DRACO_RELAY_HEAD;
    for (size_t done = 0; done < count; done += payload) {
        size_t now = count - done < payload ? count - done : payload;
        dry_put_head(to, w->serial, at + done, w->own, now);
        memcpy(to + DRACO_RELAY_HEAD, w->vector + at + done, now);
        to += DRACO_RELAY_HEAD + now;
    }
}

#endif /* DRACO_RELAY_H */
