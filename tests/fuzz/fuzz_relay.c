/* Hostile orders, frames and asks for the relayed broadcast: nothing is written outside the vector, and what a worker
   takes for whole is the server's bytes. */
#define DRACO_STATIC
#define DRACO_VOTE_STATIC
#define DRACO_IMPLEMENTATION
#include "transports/draco_relay.h"

enum { N = 5, BYTES = 66000 };

static draco_relay_server fuzz_server;
static unsigned char fuzz_vector[BYTES], *fuzz_orders;

static void fuzz_open(void) {
    static const unsigned char all[N] = {1, 1, 1, 1, 1};
    if (fuzz_orders) return;
    fuzz_orders = malloc(N * draco_relay_order_bytes(N));
    for (size_t i = 0; i < BYTES; i++) fuzz_vector[i] = (unsigned char)(i * 13 + i / 256);
    if (!fuzz_orders || draco_relay_server_open(&fuzz_server, N, 1) != DRACO_OK ||
        draco_relay_plan(&fuzz_server, fuzz_vector, BYTES, all, all, fuzz_orders) != DRACO_OK)
        abort();
}

/* Messages: a byte who sends, a byte how many of the next bytes; begin with an order that is true or is that of the
   input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    unsigned char *copy = malloc(BYTES), *frame = malloc(DRACO_RELAY_FRAME), ask[12 + 4 * N];
    draco_relay_worker w;
    uint32_t pieces[N];
    size_t at = 1;
    int bad, true_order = size > 0 && data[0] % 2;
    fuzz_open();
    if (!copy || !frame || draco_relay_worker_open(&w, N, 0) != DRACO_OK) abort();
    memset(copy, 0, BYTES);
    if (size > 0 &&
        (true_order ? draco_relay_begin(&w, fuzz_orders, draco_relay_order_bytes(N), copy, BYTES, 0)
                    : draco_relay_begin(&w, data + 1, size - 1, copy, BYTES, 0)) == DRACO_OK) {
        while (at + 2 <= size) {
            int from = data[at] % 8 - 1;
            size_t take = data[at + 1], room = size - at - 2;
            if (take > room) take = room;
            if (from >= 0 && from < N && data[at] >= 128 && w.piece_of[from] < w.pieces) {
                /* the true head and the true bytes, changed by the input */
                size_t count, place = draco_relay_piece(BYTES, w.pieces, w.piece_of[from], &count);
                size_t part = count - w.got[w.piece_of[from]];
                if (part > DRACO_RELAY_FRAME - DRACO_RELAY_HEAD) part = DRACO_RELAY_FRAME - DRACO_RELAY_HEAD;
                place += w.got[w.piece_of[from]];
                dry_put64(frame, w.serial);
                dry_put64(frame + 8, place);
                dry_put32(frame + 16, w.piece_of[from]);
                dry_put32(frame + 20, (uint32_t)part);
                memcpy(frame + DRACO_RELAY_HEAD, fuzz_vector + place, part);
                for (size_t k = 0; k < take; k++) frame[k] ^= data[at + 2 + k];
                draco_relay_take(&w, from, frame, DRACO_RELAY_HEAD + part, 0.01);
            } else {
                draco_relay_take(&w, from, data + at + 2, take, 0.01);
            }
            draco_relay_asked(&fuzz_server, 1 + from % (N - 1), data + at + 2, take, pieces, &bad);
            at += 2 + take;
        }
        if (draco_relay_want(&w, 1e9, ask, &bad) > sizeof ask) abort();
        if (true_order && w.done > 0)
            for (uint32_t p = 0; p < w.pieces; p++) {
                size_t count, place = draco_relay_piece(BYTES, w.pieces, p, &count);
                if (w.state[p] == DRY_DONE && memcmp(copy + place, fuzz_vector + place, count) != 0) abort();
            }
    }
    draco_relay_worker_close(&w);
    free(frame);
    free(copy);
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
/* All relays' true frames; and an order. */
static size_t fuzz_seed(uint64_t i, uint8_t *data, size_t room) {
    fuzz_open();
    if (i % 2) {
        size_t bytes = draco_relay_order_bytes(N);
        if (bytes + 1 > room) return 0;
        data[0] = 0;
        memcpy(data + 1, fuzz_orders, bytes);
        return bytes + 1;
    }
    data[0] = 1;
    for (int k = 0; k < N; k++) {
        data[1 + 2 * k] = (uint8_t)(128 + k + 1);
        data[2 + 2 * k] = 0;
    }
    return 1 + 2 * N;
}
#define DRACO_FUZZ_SEED fuzz_seed
#include "fuzz_main.h"
#endif
