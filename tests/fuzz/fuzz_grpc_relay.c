/* Hostile bytes where a gRPC worker relays: what a HELLO tells of an address, the addresses behind an order, pieces of the
   server and frames of other workers. Nothing is read or written outside, and what is taken for whole is the server's. */
#define DRACO_STATIC
#define DRACO_VOTE_STATIC
#define DRACO_IMPLEMENTATION
#define DRACO_GRPC_IMPLEMENTATION
#define DRACO_GRPC_STATIC
#include "transports/draco_grpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N = 5, BYTES = 66000 };

static draco_relay_server fuzz_server;
static unsigned char fuzz_vector[BYTES], *fuzz_orders;

static void fuzz_open(void) {
    static const unsigned char all[N] = {1, 1, 1, 1, 1};
    if (fuzz_orders) return;
    fuzz_orders = (unsigned char *)malloc(N * draco_relay_order_bytes(N));
    for (size_t i = 0; i < BYTES; i++) fuzz_vector[i] = (unsigned char)(i * 13 + i / 256);
    if (!fuzz_orders || draco_relay_server_open(&fuzz_server, N, 1) != DRACO_OK ||
        draco_relay_plan(&fuzz_server, fuzz_vector, BYTES, all, all, fuzz_orders) != DRACO_OK)
        abort();
}

static void fuzz_addresses(const uint8_t *data, size_t size) {
    char address[N][DRG_ADDRESS], told[DRG_ADDRESS];
    uint8_t *copy = (uint8_t *)malloc(size ? size : 1); /* of just that size */
    if (size) memcpy(copy, data, size);
    drg_relay_told((const char *)copy, size, told);
    if (*told && !drg_is_relay_address(told, strlen(told))) abort();
    if (drg_relay_addresses(copy, size, N, address) == DRACO_OK)
        for (int i = 0; i < N; i++)
            if (*address[i] && !drg_is_relay_address(address[i], strlen(address[i]))) abort();
    free(copy);
}

/* Messages: a byte of kind and sender, two of place, one of length, and what changes the true bytes there. */
static void fuzz_pieces(const uint8_t *data, size_t size) {
    unsigned char *vector = (unsigned char *)calloc(1, BYTES),
                  *frame = (unsigned char *)malloc(DRACO_RELAY_FRAME + DRACO_RELAY_HEAD);
    unsigned char ask[DRY_ASK + 4 * N];
    size_t given[N] = {0};
    drg_link links[N], link;
    drg_worker lines, worker;
    drg_relay r;
    int pieces;
    memset(links, 0, sizeof links);
    memset(&link, 0, sizeof link);
    memset(&lines, 0, sizeof lines);
    memset(&worker, 0, sizeof worker);
    memset(&r, 0, sizeof r);
    pthread_mutex_init(&r.mutex, NULL);
    r.lines = &lines;
    r.given = given;
    r.frame = (unsigned char *)malloc(DRACO_RELAY_FRAME);
    lines.link = links;
    lines.links = N;
    lines.lines_of = &r;
    for (int i = 0; i < N; i++) links[i].worker = &lines;
    link.worker = &worker;
    link.relay = &r;
    link.joined = 1;
    if (!vector || !frame || !r.frame || draco_relay_worker_open(&r.state, N, 0) < 0 ||
        draco_relay_begin(&r.state, fuzz_orders, draco_relay_order_bytes(N), vector, BYTES, 0) < 0)
        abort();
    r.active = 1;
    for (size_t at = 0; at + 4 <= size;) {
        const int from = data[at] % N, piece = data[at] >= 128;
        const size_t place = (size_t)data[at + 1] * 256 + data[at + 2];
        size_t changed = data[at + 3], count = data[at] & 64 ? 4 : 8192;
        at += 4;
        if (changed > size - at) changed = size - at;
        if (count > BYTES - place) count = BYTES - place;
        const size_t head = piece ? 0 : DRACO_RELAY_HEAD;
        if (!piece) dry_put_head(frame, r.state.serial, place, (uint32_t)from, count);
        memcpy(frame + head, fuzz_vector + place, count);
        for (size_t k = 0; k < changed && k < head + count; k++) frame[k] ^= data[at + k];
        at += changed;
        grpc_slice slice = grpc_slice_from_copied_buffer((const char *)frame, head + count);
        grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
        draco_grpc_frame f;
        memset(&f, 0, sizeof f);
        f.version = DRACO_GRPC_WIRE;
        f.offset = place;
        f.payload_bytes = head + count;
        f.kind = piece ? DRACO_GRPC_PIECE : DRACO_GRPC_REQUEST;
        if (piece)
            drg_relay_piece(&link, &f, buffer);
        else
            drg_line_received(&links[from], &f, buffer);
        grpc_byte_buffer_destroy(buffer);
        grpc_slice_unref(slice);
        if (draco_relay_want(&r.state, 1e-3, ask, &pieces) > sizeof ask) abort();
    }
    for (uint32_t p = 0; p < r.state.pieces; p++) {
        size_t count, place = draco_relay_piece(BYTES, r.state.pieces, p, &count);
        if (r.state.state[p] == DRY_DONE && memcmp(vector + place, fuzz_vector + place, count) != 0) abort();
    }
    draco_relay_worker_close(&r.state);
    pthread_mutex_destroy(&r.mutex);
    free(r.frame);
    free(frame);
    free(vector);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_open();
    if (size == 0) return 0;
    if (data[0] % 2)
        fuzz_addresses(data + 1, size - 1);
    else
        fuzz_pieces(data + 1, size - 1);
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
/* What a HELLO tells; addresses; the true pieces of all, by turns. */
static size_t relay_seed(uint64_t i, uint8_t *data, size_t room) {
    static const char told[] = "seed=1 relay=127.0.0.1:7400\n", where[] = "host:1";
    size_t at = 1;
    if (room < 512) return 0;
    data[0] = i % 3 < 2;
    if (i % 3 == 0) {
        memcpy(data + at, told, sizeof told - 1);
        return at + sizeof told - 1;
    }
    if (i % 3 == 1) {
        for (int k = 0; k < N; k++) {
            data[at++] = sizeof where - 1;
            memcpy(data + at, where, sizeof where - 1);
            at += sizeof where - 1;
        }
        return at;
    }
    fuzz_open();
    for (uint32_t p = 0; p < fuzz_server.pieces; p++) {
        size_t count, place = draco_relay_piece(BYTES, fuzz_server.pieces, p, &count);
        for (size_t done = 0; done < count; done += 8192) {
            data[at++] = (uint8_t)(p == 0 ? 130 : p);
            data[at++] = (uint8_t)((place + done) / 256);
            data[at++] = (uint8_t)((place + done) % 256);
            data[at++] = 0;
        }
    }
    return at;
}
#define DRACO_FUZZ_SEED relay_seed
#include "fuzz_main.h"
#endif
