/* Hostile bytes as messages of a worker: whatever comes, in whatever order, a row is written within its
   bounds and without gaps, and a request is ended once per worker. Then as the head of a request: nothing
   is received outside the parameters and the extra. MPI itself is left out: its calls are replaced by ones
   that say yes. */
#include <mpi.h>

static int fuzz_isend(int bytes);
static int fuzz_irecv(void *memory, int bytes);
#define MPI_Isend(memory, bytes, type, rank, tag, comm, request)                                             \
    (*(request) = MPI_REQUEST_NULL, (void)(memory), (void)(rank), (void)(tag), fuzz_isend(bytes))
#define MPI_Irecv(memory, bytes, type, rank, tag, comm, request)                                             \
    (*(request) = MPI_REQUEST_NULL, (void)(rank), (void)(tag), fuzz_irecv(memory, bytes))

#define DRACO_IMPLEMENTATION
#include "draco.h"
#define DRACO_MPI_IMPLEMENTATION
#include "transports/draco_mpi.h"

enum { WORKERS = 3, DIM = 300, REPLY = 4 * DIM };

static draco_mpi fuzz_t;
static drm_peer fuzz_peers[WORKERS + 1];
static unsigned char fuzz_whom[3][WORKERS];
static int fuzz_lost[WORKERS + 1];
static unsigned char *fuzz_reserves[WORKERS];
static size_t fuzz_came[WORKERS];
static int fuzz_ended[WORKERS];

static int fuzz_isend(int bytes) {
    if (bytes < 0) abort();
    return MPI_SUCCESS;
}

static int fuzz_irecv(void *memory, int bytes) {
    memset(memory, 1, (size_t)bytes); /* the sanitizer sees what is outside */
    return MPI_SUCCESS;
}

static void *fuzz_reserve(void *ctx, int worker) {
    (void)ctx;
    if (fuzz_ended[worker]) abort();
    free(fuzz_reserves[worker]);
    fuzz_came[worker] = 0;
    return fuzz_reserves[worker] = malloc(REPLY);
}

static void fuzz_chunk(void *ctx, int worker, size_t offset, size_t n) {
    (void)ctx;
    if (fuzz_ended[worker] || offset != fuzz_came[worker] || n > REPLY - offset) abort();
    fuzz_came[worker] += n;
}

static draco_status fuzz_end(void *ctx, int worker, draco_arrival arrival) {
    (void)ctx;
    if (fuzz_ended[worker]++) abort();
    if (arrival == DRACO_ARRIVAL_WHOLE && fuzz_came[worker] != REPLY) abort();
    free(fuzz_reserves[worker]);
    fuzz_reserves[worker] = NULL;
    return DRACO_MORE;
}

static const draco_inbox fuzz_inbox = {sizeof fuzz_inbox, NULL, fuzz_reserve, fuzz_chunk, fuzz_end};

static void fuzz_open(void) {
    memset(&fuzz_t, 0, sizeof fuzz_t);
    memset(fuzz_peers, 0, sizeof fuzz_peers);
    fuzz_t.peers = fuzz_peers;
    fuzz_t.n = WORKERS;
    fuzz_t.servers = 1;
    fuzz_t.count = WORKERS + 1;
    fuzz_t.worker = -1;
    fuzz_t.lost = fuzz_lost;
    if (draco_liveness_links_open(&fuzz_t.lines, WORKERS + 1, 0) != DRACO_OK) abort();
    fuzz_t.opened = 1;
    fuzz_t.shard_count = DIM;
    fuzz_t.config.dim = DIM;
    fuzz_t.text = (char *)(uintptr_t) "seed=1\n";
    for (int i = 0; i <= WORKERS; i++) {
        fuzz_peers[i].rank = fuzz_peers[i].number = i;
    }
    fuzz_peers[WORKERS].number = 0;
    fuzz_peers[WORKERS].is_server = 1;
    for (int i = 0; i < 3; i++) fuzz_t.outgoing[i].whom = fuzz_whom[i];
}

/* A new request, as broadcast and the beginning of collect ask it. */
static void fuzz_ask(uint64_t round) {
    static const float params[DIM];
    draco_request q = {.kind = DRACO_REQUEST_MESSAGE,
                       .round = round,
                       .step = round / 2,
                       .params = params,
                       .params_count = DIM,
                       .reply_bytes = REPLY};
    if (drm_write(&fuzz_t, &q, NULL) != DRACO_OK) abort();
    memset(fuzz_ended, 0, sizeof fuzz_ended);
    fuzz_t.inbox = &fuzz_inbox;
    drm_roll_call(&fuzz_t);
}

static void fuzz_close_round(void) {
    for (int i = 0; i < WORKERS; i++) {
        if (fuzz_peers[i].worker.mode == DRM_ROW) fuzz_peers[i].worker.mode = DRM_DROP;
        free(fuzz_reserves[i]);
        fuzz_reserves[i] = NULL;
    }
    fuzz_t.inbox = NULL;
    fuzz_t.asking = 0;
}

static void fuzz_message(drm_peer *p, int tag, const uint8_t *bytes, size_t n) {
    drm_slot slot = {.tag = tag, .bytes = n};
    slot.memory = malloc(n ? n : 1); /* exactly, so that the sanitizer sees a byte too far */
    if (n) memcpy(slot.memory, bytes, n);
    if (!p->gone) drm_dispatch(&fuzz_t, p, &slot);
    free(slot.memory);
    for (int i = 0; i < WORKERS; i++) {
        fuzz_peers[i].worker.sending = 0; /* what was sent has arrived */
        drm_offer(&fuzz_t, &fuzz_peers[i]);
    }
    fuzz_t.used = 0;
}

static void fuzz_request(const uint8_t *data, size_t size) {
    drm_peer *p = &fuzz_peers[WORKERS];
    if (size < sizeof p->server.head) return;
    memcpy(&p->server.head, data, sizeof p->server.head);
    p->server.shard_count = DIM;
    fuzz_t.params = malloc(DIM * sizeof(float));
    drm_open_request(&fuzz_t, p);
    free(fuzz_t.params);
    free(p->server.extra);
    fuzz_t.used = 0;
}

/* Bytes: what (an action and whom it concerns), length, and so on. A head with a length of 255 repeats the
   request that the worker was sent, but for the bytes that follow. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t round = 1;
    fuzz_open();
    for (size_t at = 0; at + 2 <= size;) {
        int what = data[at] % 16, tag = what < 10 ? what : DRM_SLICE;
        drm_peer *p = &fuzz_peers[data[at] / 16 % (WORKERS + 1)];
        size_t n = data[at + 1], rest;
        uint8_t message[2048] = {0};
        at += 2;
        rest = size - at;
        if (what == 0) {
            fuzz_close_round();
            fuzz_ask(round++);
            continue;
        }
        if (what == 10) {
            fuzz_close_round();
            continue;
        }
        if (n == 255 && tag == DRM_REPLY) { /* as an honest worker would */
            n = sizeof p->worker.told;
            memcpy(message, &p->worker.told, n);
            if (rest > 0 && data[at] % 4 == 0) message[data[at] % n] ^= (uint8_t)(1u << (data[at] / 4 % 8));
            at += rest > 0;
        } else if (n == 255 && tag == DRM_HELLO) {
            drm_hello hello = {.magic = DRM_MAGIC,
                               .dim = DIM,
                               .version = DRACO_VERSION,
                               .servers = 1,
                               .workers = WORKERS,
                               .text_bytes = 7};
            memcpy(message, &hello, sizeof hello);
            memcpy(message + sizeof hello, "seed=1\n", 7);
            n = sizeof hello + 7;
        } else if (tag == DRM_SLICE && n >= 128) {
            n = 4 * (n - 100);
        } else {
            if (n > rest) n = rest;
            memcpy(message, data + at, n);
            at += n;
        }
        fuzz_message(p, tag, message, n);
    }
    fuzz_close_round();
    draco_liveness_links_close(&fuzz_t.lines);
    for (int i = 0; i < DRM_OUTGOING; i++) free(fuzz_t.outgoing[i].memory);
    free(fuzz_t.requests);
    free(fuzz_t.calls);
    free(fuzz_t.indices);
    free(fuzz_t.statuses);
    fuzz_t.requests = NULL;
    fuzz_t.calls = NULL;
    fuzz_t.indices = NULL;
    fuzz_t.statuses = NULL;
    fuzz_t.room = 0;
    fuzz_request(data, size);
    free(fuzz_t.requests);
    free(fuzz_t.calls);
    free(fuzz_t.indices);
    free(fuzz_t.statuses);
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
/* Honest runs to begin with: hello, ready, request, reply, slices, ready. */
static size_t wire_seed(uint64_t i, uint8_t *data, size_t room) {
    size_t n = 0;
    for (int w = 0; w < WORKERS; w++) {
        const uint8_t hello[] = {(uint8_t)(16 * w + 1), 255, (uint8_t)(16 * w + 8), 0};
        memcpy(data + n, hello, sizeof hello);
        n += sizeof hello;
    }
    for (int round = 0; round < 4 && n + 64 < room; round++) {
        data[n++] = 0;
        data[n++] = 0;
        for (int w = 0; w < WORKERS; w++) {
            const uint8_t who = (uint8_t)(16 * ((w + (int)(i % 3)) % WORKERS));
            /* 300 floats in slices of 155 - 100 = 55, 100, 145 words */
            const uint8_t answer[] = {(uint8_t)(who + 6),
                                      255,
                                      1,
                                      (uint8_t)(who + 7),
                                      155,
                                      (uint8_t)(who + 7),
                                      200,
                                      (uint8_t)(who + 7),
                                      245,
                                      (uint8_t)(who + 8),
                                      0};
            memcpy(data + n, answer, sizeof answer);
            n += sizeof answer;
        }
    }
    return n;
}
#define DRACO_FUZZ_SEED wire_seed
#include "fuzz_main.h"
#endif
