/* draco_mpi.h - version 0.1.0 - a transport: server ranks and worker ranks on Open MPI
 *
 * A transport for draco.h (see draco_transport there). K ranks of a communicator are servers, all the others
 * are workers, numbered in the order of their ranks. Who a message is from is what MPI says, never what the
 * message says.
 *
 * Do this in one .c file, and link with Open MPI 4.1:
 *     #define DRACO_MPI_IMPLEMENTATION
 *     #include "transports/draco_mpi.h"
 * DRACO_MPI_STATIC, defined as well, makes a private copy. The declarations are C11 and C++17; the
 * implementation is C11 on POSIX, with -std=gnu11 or _GNU_SOURCE.
 *
 * A complete program, for mpirun -n 4:
 * program:
 *     #define DRACO_IMPLEMENTATION
 *     #define DRACO_MPI_IMPLEMENTATION
 *     #include "draco.h"
 *     #include "transports/draco_mpi.h"
 *     #include <stdio.h>
 *     #include <string.h>
 *     #include <unistd.h>
 *
 *     static draco_status gradient(void *ctx, void *work, const float *w, const draco_batch *b, float *g) {
 *         (void)ctx, (void)work;  // one weight: the samples pull it towards 3
 *         g[0] = (float)b->count * (w[0] - 3.0f);
 *         return DRACO_OK;
 *     }
 *     int main(int argc, char **argv) {
 *         draco_model model = {.size = sizeof model, .dim = 1, .parameters = 1, .gradient = gradient};
 *         draco_code code = {.scheme = DRACO_REPETITION, .n = 3, .s = 1};
 *         draco_mpi_config config = {.dim = 1, .text = "batch=30\n"};  // what must be the same on every rank
 *         draco_transport t;
 *         float w = 0, sum = 0;
 *         MPI_Init(&argc, &argv);
 *         if (draco_code_init(&code) < 0) return 1;
 *         config.comm = MPI_COMM_WORLD;  // the transport's alone while it is open
 *         config.workers = code.n;
 *         config.code_id = draco_code_id(&code);
 *         int ok = draco_mpi_open(&t, &config) >= 0;
 *         if (!ok) puts(t.explain(t.ctx));
 *         if (ok && draco_mpi_worker(&t) >= 0) {
 *             draco_worker_config c = {.code = code, .model = &model, .batch = 30};
 *             draco_worker *worker;
 *             ok = draco_worker_open(&worker, &c) >= 0 &&
 *                  draco_worker_run(worker, draco_mpi_worker(&t), &t) >= 0;
 *             draco_worker_close(worker);
 *         } else if (ok) {
 *             draco_server_config c = {.code = code, .transport = &t, .dim = 1, .deadline = 10};
 *             draco_server *server;
 *             ok = draco_server_open(&server, &c) >= 0;
 *             for (uint64_t step = 0; ok && step < 50; step++) {
 *                 ok = draco_server_round(server, step, &w, &sum, NULL) >= 0;
 *                 w -= 0.2f * sum / 30;
 *             }
 *             draco_server_close(server);
 *             printf("w = %.3f\n", (double)w);
 *         }
 *         if (t.close(t.ctx) != DRACO_OK) fflush(NULL), _exit(!ok);  // a rank is missing: do not wait for it
 *         MPI_Finalize();
 *         return !ok;
 *     }
 * end of program
 *
 * Flow. A worker that is free sends READY. A server that has a request for it sends REQUEST, which is a
 * head, then the parameters, then the small extra. The worker sends REPLY, which is a head, then slices,
 * then READY again.
 *
 *     worker   READY                ->   server
 *     worker   <-   REQUEST head, parameters, extra
 *     worker   REPLY head, slice, slice, ..., READY   ->   server
 *
 * Nothing is sent to a worker that has not said READY, so a slow worker never has old requests waiting for
 * it: the next one it gets is the newest. READY also ends a reply: a worker that sends it before the reply
 * is complete has sent too little, one that sends it without a reply will not give one, and is not waited
 * for.
 *
 * Requests go straight from a server to each worker. MPI_Ibcast relays them through other workers: a dead one
 * takes those below it along (measured: docs/mpi.md), and a lying one could change what it passes on.
 *
 * With `relay` workers pass pieces of the parameters on, verified (draco_relay.h): ORDER comes in place of the
 * parameters, then PIECES head and bytes of what this worker is to relay, and of what it asks for.
 *
 *     worker   <-   REQUEST head, ORDER, extra, PIECES head, bytes
 *     worker   frames of its piece   ->   other workers
 *     worker   ASK                   ->   server
 *
 * Slices are received into a few small buffers of each worker and copied into the server's row while they are
 * in the cache. MPI itself never writes into a row, so that a message which is late, or whose sender was
 * stopped in the middle and goes on an hour later, cannot touch memory that serves another by then.
 * A message longer than a buffer is never received: Open MPI 4.1 writes past the end of the receive buffer
 * when a long message is truncated. Its sender is MALFORMED and cut off for the rest of the run.
 *
 * Liveness. MPI does not report that a rank is dead, so each worker holds an idle TCP connection to each
 * server (draco_liveness.h), which the kernel closes when either process ends. A dead worker is ABSENT at
 * once, and a dead server ends its workers at once. Where no connection can be made the run goes on without:
 * a worker that let DRACO_MPI_MISSES deadlines pass in a row is not waited for until a message of it arrives.
 *
 * Several servers: the vector is cut by draco_shard. A worker's receive() returns a request when it has it
 * from every server (but a fetch is one server's request alone), and submit() sends each its slice.
 *
 * Contract. One thread calls all slots of a transport. comm is the caller's; nothing else may be sent on it
 * between open and close. Nothing collective is called, so that a rank that died does not hang the others.
 * The transport sets MPI_ERRORS_RETURN on comm and puts the former handler back. request.params and .extra
 * are copied by broadcast and fetch. A request that a silent worker may still read is not freed at close.
 * How the run ended (conclude) goes to the workers with STOP. When close returns DRACO_MORE a rank is missing,
 * or may be: do not call MPI_Finalize, which would wait for it; the ranks agree on that.
 * Errors: DRACO_E_CONFIG from open when a rank's text, code or dim differs (explain says which, and both
 * values), DRACO_E_TRANSPORT when a server is gone.
 *
 * Limits. Open MPI guards no rank against another that breaks the MPI library itself or, on the same host,
 * its shared memory: liars here are programs that send wrong messages through MPI. Everything on the wire is
 * little-endian: a big-endian worker can take part, while several servers must have one byte order. Replies
 * and vectors may exceed 2^31 bytes; extra is limited to the shard's bytes + 64 KiB.
 *
 * Macros: DRACO_MPI_STATIC with DRACO_STATIC: a private copy; DRACO_MPI_SLICE, DRACO_MPI_MISSES,
 * DRACO_MPI_SILENCE: see below, to be set before including.
 *
 * Sources: MPI 3.1 (matched probe, section 3.8.2); Open MPI 4.1.4.
 *
 * Copyright (c) 2026 The Draco authors
 * SPDX-License-Identifier: MIT */
#ifndef DRACO_MPI_H
#define DRACO_MPI_H

#ifdef DRACO_MPI_STATIC
#define DRACO_LIVENESS_STATIC
#endif
#include "../draco.h"
#include "draco_liveness.h"
#include <mpi.h>

#define DRACO_MPI_VERSION 0x000100 /* 0.1.0 */
#ifndef DRACO_MPI_API
#ifdef DRACO_MPI_STATIC
#define DRACO_MPI_API __attribute__((unused)) static
#else
#define DRACO_MPI_API extern
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

#ifndef DRACO_MPI_MISSES
#define DRACO_MPI_MISSES 3 /* deadlines in a row after which a silent worker is not waited for */
#endif
#ifndef DRACO_MPI_SILENCE
#define DRACO_MPI_SILENCE 600 /* seconds after which a worker without liveness gives a silent server up */
#endif
#ifndef DRACO_MPI_SLICE
#define DRACO_MPI_SLICE ((size_t)256 << 10) /* bytes of a slice of a reply */
#endif

typedef struct draco_mpi_config {
    MPI_Comm comm;
    int servers;             /* K, default 1 */
    const int *server_ranks; /* K different ranks, default 0..K-1 */
    int workers;             /* n, default as many as there are */
    size_t dim;              /* floats of the whole parameter vector; every server must have some of them */
    uint64_t code_id;        /* draco_code_id */
    const char *text;        /* fields "key=value" that must be equal everywhere; may be NULL. Under 32 KiB */
    double start_seconds;    /* how long open waits for all ranks, default 60 */
    double stop_seconds;     /* how long close waits for the workers to end, default 5 */
    int no_liveness;         /* non-zero: make no TCP connections */
    int relay;               /* non-zero, on every rank: the workers relay the parameters */
    int liars;               /* relay: workers that may lie, default the most that any code can do with */
    /* What happens to a worker, as one line that names it: lost, silent, back, breaking the protocol (how). May
     * be NULL. */
    void (*on_event)(void *ctx, const char *line);
    void *event_ctx;
} draco_mpi_config;

/* What this rank is: server number or -1, worker number or -1, and how many workers there are. */
DRACO_MPI_API draco_status draco_mpi_role(const draco_mpi_config *config, int *server, int *worker,
                                          int *workers);
/* Fill transport. On an error transport.explain says why; close it all the same. */
DRACO_MPI_API draco_status draco_mpi_open(draco_transport *transport, const draco_mpi_config *config);
DRACO_MPI_API int draco_mpi_worker(const draco_transport *transport); /* this rank's worker number, or -1 */
/* At a server: the host that a worker says it runs on; empty while it has not come. Lives as long as the transport. */
DRACO_MPI_API const char *draco_mpi_host(const draco_transport *transport, int worker);

typedef struct draco_mpi_counters {
    uint64_t bytes_in, bytes_out; /* payload taken in and sent */
    uint64_t late;                /* replies to a request that was over */
    uint64_t offences;            /* messages that no honest worker sends */
    int gone;                     /* workers known to be dead or cut off */
} draco_mpi_counters;
DRACO_MPI_API void draco_mpi_count(const draco_transport *transport, draco_mpi_counters *counters);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_MPI_H */

#ifdef DRACO_MPI_IMPLEMENTATION
#ifndef DRACO_MPI_IMPLEMENTED
#define DRACO_MPI_IMPLEMENTED

#if defined(__cplusplus)
#error "draco_mpi.h: the implementation is C11: compile it in a .c file"
#elif defined(__STRICT_ANSI__) && !defined(_GNU_SOURCE)
#error "draco_mpi.h: the implementation needs POSIX: compile with -std=gnu11, or define _GNU_SOURCE first"
#endif

#define DRACO_LIVENESS_IMPLEMENTATION
#include "draco_handshake.h"
#include "draco_liveness.h"
#include "draco_relay.h"
#include "draco_share.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    DRM_HELLO = 1,
    DRM_WELCOME,
    DRM_REQUEST,
    DRM_PARAMS,
    DRM_EXTRA,
    DRM_REPLY,
    DRM_SLICE,
    DRM_READY,
    DRM_EXCHANGE,
    DRM_PARTING,
    DRM_ORDER,
    DRM_PIECES, /* the head of a piece, whose bytes follow as PARAMS */
    DRM_ASK
};

/* What a worker relays of a server's broadcast has a tag of its own, so that MPI keeps what comes before the order. */
#define DRM_RELAY 64
#define DRM_RELAYS 1024

/* Numbers on the wire are little-endian: 1 turns those of heads, at both ends alike. */
#ifndef DRM_TURNS
#define DRM_TURNS (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
#endif

#define DRM_MAGIC UINT64_C(0x4452414355533031)
#define DRM_TEXT 32768u
#define DRM_HOST 64
#define DRM_REFUSED UINT64_MAX      /* reply_bytes of a worker that cannot reply; in every byte order */
#define DRM_PIECE ((size_t)1 << 29) /* bytes of one MPI message of a request */
#define DRM_WINDOW 64               /* slices of one reply under way at a time */
#define DRM_SLOTS 2                 /* messages of one worker being received at a time */
#define DRM_OUTGOING 4
#define DRM_FRAMES 4 /* frames of one relayed piece under way to one worker */

/* Head of a request and of a reply; a reply repeats the request's. */
typedef struct drm_head {
    uint64_t magic, code_id, round, step;
    uint64_t sequence;        /* broadcasts so far: the same on all servers */
    uint64_t params_sequence; /* the broadcast whose parameters are meant */
    uint64_t params_bytes, extra_bytes, reply_bytes;
    uint64_t order_bytes; /* the parameters are relayed: their order comes instead of them */
    uint32_t version, kind;
} drm_head;

typedef struct drm_hello {
    uint64_t magic, code_id, dim;
    uint32_t version, servers, workers, text_bytes;
    char host[DRM_HOST]; /* for people: nothing proves it */
} drm_hello;             /* followed by the text */

typedef struct drm_welcome {
    uint64_t magic;
    int32_t status;
    char why[256];
    draco_liveness_card card;
} drm_welcome;

/* From the machine's byte order into that of the wire, or back. */
static uint64_t drm_turn64(uint64_t v) {
    return DRM_TURNS ? __builtin_bswap64(v) : v;
}

static uint32_t drm_turn32(uint32_t v) {
    return DRM_TURNS ? __builtin_bswap32(v) : v;
}

static void drm_turn_head(drm_head *h) {
    h->magic = drm_turn64(h->magic);
    h->code_id = drm_turn64(h->code_id);
    h->round = drm_turn64(h->round);
    h->step = drm_turn64(h->step);
    h->sequence = drm_turn64(h->sequence);
    h->params_sequence = drm_turn64(h->params_sequence);
    h->params_bytes = drm_turn64(h->params_bytes);
    h->extra_bytes = drm_turn64(h->extra_bytes);
    h->reply_bytes = drm_turn64(h->reply_bytes);
    h->order_bytes = drm_turn64(h->order_bytes);
    h->version = drm_turn32(h->version);
    h->kind = drm_turn32(h->kind);
}

static void drm_turn_hello(drm_hello *h) {
    h->magic = drm_turn64(h->magic);
    h->code_id = drm_turn64(h->code_id);
    h->dim = drm_turn64(h->dim);
    h->version = drm_turn32(h->version);
    h->servers = drm_turn32(h->servers);
    h->workers = drm_turn32(h->workers);
    h->text_bytes = drm_turn32(h->text_bytes);
}

/* The card's port is in network order already. */
static void drm_turn_welcome(drm_welcome *w) {
    w->magic = drm_turn64(w->magic);
    w->status = (int32_t)drm_turn32((uint32_t)w->status);
    w->card.number = drm_turn32(w->card.number);
    if (DRM_TURNS) w->card.addresses = __builtin_bswap16(w->card.addresses);
}

/* One message being received. */
typedef struct drm_slot {
    unsigned char *memory;
    int tag, pending, failed;
    size_t bytes;
} drm_slot;

typedef struct drm_outgoing {
    drm_head head;
    unsigned char *memory; /* parameters, extra; relayed: the orders, and the heads of the pieces */
    size_t capacity;
    int users; /* workers it is being sent to */
    uint64_t serial;
    int everybody;
    unsigned char *whom;
} drm_outgoing;

enum { DRM_SILENT = 0, DRM_ROW = 1, DRM_DROP = 2 };

/* How far the request of a server has come. */
enum { DRM_NOTHING = 0, DRM_HEAD, DRM_PAYLOAD, DRM_RELAYING, DRM_WHOLE };

/* A server's link to a worker. */
typedef struct drm_worker_link {
    int ready;   /* it may be sent a request */
    int missed;  /* deadlines in a row */
    int offence; /* it sent something while no request was out: counted against it in the next */
    int cut;     /* gone because of what it sent */
    unsigned long offences;
    /* A request on its way to it. */
    drm_outgoing *outgoing;
    int sending, stopping;
    drm_head told, stop; /* the last request it was sent, and STOP, as on the wire */
    uint64_t told_serial, params_sequence;
    int expecting; /* it may reply to that request */
    /* Its reply. */
    int mode, ended;
    unsigned char *row;
    size_t got, left;
} drm_worker_link;

/* A worker's piece on its way to another worker, and the memory of what is on its way. */
typedef struct drm_lane {
    int sending, failed;
    struct drm_gift *gift; /* NULL: nothing */
    size_t at;             /* bytes of it sent */
} drm_lane;

typedef struct drm_gift {
    unsigned char *memory;
    size_t capacity, bytes;
} drm_gift;

/* A relayed broadcast at a worker. */
typedef struct drm_relayed {
    draco_relay_worker state;
    unsigned char *order, *ask;
    int asking, gave, expected; /* pieces that the server is still to send */
    int tag;
    uint32_t piece; /* that is coming from the server */
    drm_lane *lane; /* n */
    drm_gift *gift; /* n + 1: one for each lane that is stuck, and one more */
} drm_relayed;

/* A worker's link to a server. */
typedef struct drm_server_link {
    size_t shard_first, shard_count;
    double heard;
    /* A request from it. */
    int stage, announced, receiving;
    drm_head head;
    draco_request request; /* the same, once it is whole */
    uint64_t params_sequence;
    unsigned char *extra;
    size_t extra_capacity;
    /* A reply to it. */
    drm_head reply;
    const unsigned char *body;
    size_t body_bytes, posted;
    int replying;
    drm_relayed relayed;
} drm_server_link;

/* Another rank: what is known of it at either end, and the link for the role that it has. */
typedef struct drm_peer {
    int rank, number, is_server; /* number: among the workers or among the servers */
    int greeted, welcomed, refused;
    char host[DRM_HOST];
    int gone, failed;      /* dead, or not listened to any more; sending to it or receiving from it failed */
    unsigned char parting; /* another server: is somebody missing there? */
    drm_welcome welcome;
    drm_slot slot[DRM_SLOTS];
    int first, used; /* ring of slots, in order of arrival */
    drm_worker_link worker;
    drm_server_link server;
} drm_peer;

typedef struct drm_call {
    int *pending, *failed;
} drm_call;

typedef struct draco_mpi {
    draco_mpi_config config;
    char *text;
    int rank, server, worker, n, servers;
    MPI_Errhandler former;
    drm_peer *peers; /* n workers (servers only), then the servers */
    int count;       /* of peers */
    /* Requests under way. */
    MPI_Request *requests;
    drm_call *calls;
    int *indices;
    MPI_Status *statuses;
    int used, room;
    int idle;
    /* Server. */
    drm_outgoing outgoing[DRM_OUTGOING], *current;
    uint64_t serial, sequence, params_sequence;
    const draco_inbox *inbox; /* NULL: nobody is asking */
    int asking;               /* the current request is still worth sending */
    int enough, left;         /* of this request: the inbox has enough; workers that have not ended */
    size_t shard_first, shard_count;
    draco_relay_server relay;
    drm_outgoing *newest; /* with the newest parameters: of which a worker may ask for pieces, or lack all */
    unsigned char *takes, *gives;
    uint32_t *pieces;
    /* Worker. */
    int *rank_of;      /* n: of each worker */
    drm_slot *sources; /* n: a frame of each; tag 0: none, below 0: too long a one is in its way */
    float *params;
    draco_share_memory joined, extras; /* the first stays empty: shards are received side by side */
    int asked_by;                      /* the server of the last request, or -1 for all */
    draco_liveness_links lines;
    double told_strangers;
    int *lost; /* count */
    int opened, closing, missing;
    unsigned char parting; /* `missing`, on its way to the other servers */
    int partings, parting_failed;
    draco_status ended; /* how the run ended, for the workers */
    drm_hello *hello;
    drm_slot drain;
    unsigned char *exchange_memory;
    size_t exchange_room;
    int exchanging, exchange_failed;
    int none, none_failed; /* for messages whose fate is of no interest */
    draco_mpi_counters counters;
    char why[512];
} draco_mpi;

static double drm_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

__attribute__((format(printf, 2, 3))) static void drm_say(draco_mpi *t, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(t->why, sizeof t->why, format, list);
    va_end(list);
}

/* A line about a peer for whoever runs this: "worker 3 (rank 4) ...". */
__attribute__((format(printf, 3, 4))) static void drm_tell(draco_mpi *t, const drm_peer *p,
                                                           const char *format, ...) {
    char line[320];
    va_list list;
    int used;
    if (!t->config.on_event || t->server < 0 || t->closing) return;
    used = snprintf(line, sizeof line, "%s %d (rank %d) ", p->is_server ? "server" : "worker", p->number,
                    p->rank);
    va_start(list, format);
    vsnprintf(line + used, sizeof line - (size_t)used, format, list);
    va_end(list);
    t->config.on_event(t->config.event_ctx, line);
}

/* Longest nap between two looks, in nanoseconds: while bytes flow that MPI moves only when it is called, and
   while a worker waits for a request, of which there may be dozens on a core. */
#define DRM_FLOWING 100000L
#define DRM_WAITING 500000L

/* Nothing to do: let the others have the processor, ever longer. */
static void drm_idle(draco_mpi *t, long longest) {
    if (t->idle++ < 16) {
        sched_yield();
    } else {
        long pause = 20000L * (t->idle - 15);
        struct timespec nap = {.tv_nsec = pause < longest ? pause : longest};
        nanosleep(&nap, NULL);
    }
}

static drm_peer *drm_workers(draco_mpi *t) {
    return t->peers;
}

static drm_peer *drm_servers(draco_mpi *t) {
    return t->peers + (t->count - t->servers);
}

/* ---- MPI requests under way: each counts `pending` down when it is done ---- */

static int drm_room(draco_mpi *t) {
    int room = t->room ? 2 * t->room : 64;
    MPI_Request *requests;
    drm_call *calls;
    int *indices;
    MPI_Status *statuses;
    if (t->used < t->room) return 1;
    requests = realloc(t->requests, (size_t)room * sizeof *requests);
    if (requests) t->requests = requests;
    calls = realloc(t->calls, (size_t)room * sizeof *calls);
    if (calls) t->calls = calls;
    indices = realloc(t->indices, (size_t)room * sizeof *indices);
    if (indices) t->indices = indices;
    statuses = realloc(t->statuses, (size_t)room * sizeof *statuses);
    if (statuses) t->statuses = statuses;
    if (!requests || !calls || !indices || !statuses) return 0;
    t->room = room;
    return 1;
}

/* Returns whether the request is under way. */
static int drm_track(draco_mpi *t, int error, MPI_Request request, int *pending, int *failed) {
    if (error != MPI_SUCCESS) {
        *failed = 1;
        return 0;
    }
    t->requests[t->used] = request;
    t->calls[t->used] = (drm_call){pending, failed};
    t->used++;
    (*pending)++;
    return 1;
}

static int drm_send(draco_mpi *t, int rank, int tag, const void *bytes, size_t n, int *pending, int *failed) {
    MPI_Request request;
    int error;
    if (n > DRM_PIECE || !drm_room(t)) {
        *failed = 1;
        return 0;
    }
    error = MPI_Isend(bytes, (int)n, MPI_BYTE, rank, tag, t->config.comm, &request);
    if (error == MPI_SUCCESS) t->counters.bytes_out += n;
    return drm_track(t, error, request, pending, failed);
}

/* Bytes in messages of PIECE each, all posted at once. */
static void drm_send_all(draco_mpi *t, int rank, int tag, const unsigned char *bytes, size_t n, int *pending,
                         int *failed) {
    while (n > 0 && !*failed) {
        size_t piece = n < DRM_PIECE ? n : DRM_PIECE;
        drm_send(t, rank, tag, bytes, piece, pending, failed);
        bytes += piece;
        n -= piece;
    }
}

/* From a server, which is trusted to send what its head says. */
static void drm_receive_all(draco_mpi *t, int rank, int tag, unsigned char *bytes, size_t n, int *pending,
                            int *failed) {
    while (n > 0 && !*failed) {
        size_t piece = n < DRM_PIECE ? n : DRM_PIECE;
        MPI_Request request = MPI_REQUEST_NULL;
        int error = MPI_ERR_NO_MEM;
        if (drm_room(t)) error = MPI_Irecv(bytes, (int)piece, MPI_BYTE, rank, tag, t->config.comm, &request);
        drm_track(t, error, request, pending, failed);
        bytes += piece;
        n -= piece;
    }
}

/* Let MPI work, and count down what is done. */
static void drm_progress(draco_mpi *t) {
    int done = 0, kept = 0, error;
    if (t->used == 0) return;
    error = MPI_Testsome(t->used, t->requests, &done, t->indices, t->statuses);
    if (done == MPI_UNDEFINED || done <= 0) return;
    t->idle = 0;
    for (int i = 0; i < done; i++) {
        drm_call *call = &t->calls[t->indices[i]];
        (*call->pending)--;
        if (error == MPI_ERR_IN_STATUS && t->statuses[i].MPI_ERROR != MPI_SUCCESS) *call->failed = 1;
    }
    for (int i = 0; i < t->used; i++) {
        if (t->requests[i] == MPI_REQUEST_NULL) continue;
        t->requests[kept] = t->requests[i];
        t->calls[kept++] = t->calls[i];
    }
    t->used = kept;
}

/* ---- Who is gone ---- */

static void drm_lose(draco_mpi *t, drm_peer *p) {
    draco_liveness_cut(&t->lines, (int)(p - t->peers));
    if (p->gone) return;
    p->gone = 1;
    t->counters.gone++;
    if (p->worker.outgoing) p->worker.outgoing->users--; /* a dead rank reads no more */
    p->worker.outgoing = NULL;
    p->worker.mode = DRM_SILENT;
}

/* Connections to the liveness port that were not a rank's, once a second. */
static void drm_tell_strangers(draco_mpi *t) {
    char line[160], address[48];
    long refused;
    if (t->lines.refused == 0 || drm_now() - t->told_strangers < 1) return;
    t->told_strangers = drm_now();
    refused = draco_liveness_refused(&t->lines, address);
    snprintf(line, sizeof line, "refused %ld connections that are no rank's, the last from %s", refused,
             address);
    if (t->config.on_event && !t->closing) t->config.on_event(t->config.event_ctx, line);
}

static void drm_look(draco_mpi *t) {
    int count = draco_liveness_links_look(&t->lines, t->lost);
    drm_tell_strangers(t);
    for (int i = 0; i < count; i++) {
        drm_tell(t, &t->peers[t->lost[i]], "is gone: its process has ended, or its host is out of reach");
        drm_lose(t, &t->peers[t->lost[i]]);
    }
}

static int drm_tied(const draco_mpi *t, const drm_peer *p) {
    return draco_liveness_tied(&t->lines, (int)(p - t->peers));
}

/* ---- Messages from a peer, in the order it sent them ---- */

/* Take the peer's next message if a slot is free. A message longer than a slot is never received. */
static int drm_take(draco_mpi *t, drm_peer *p) {
    drm_slot *slot = &p->slot[(p->first + p->used) % DRM_SLOTS];
    MPI_Message message;
    MPI_Request request;
    MPI_Status status;
    int flag = 0, bytes = 0, error;
    if (p->gone || p->used == DRM_SLOTS) return 0;
    if (MPI_Iprobe(p->rank, MPI_ANY_TAG, t->config.comm, &flag, &status) != MPI_SUCCESS || !flag) return 0;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    if (bytes < 0 || (size_t)bytes > DRACO_MPI_SLICE) {
        p->worker.cut = 1;
        t->counters.offences++;
        drm_tell(t, p, "is cut off: it violated the protocol with a message of %d bytes, longer than %zu",
                 bytes, DRACO_MPI_SLICE);
        drm_lose(t, p);
        return 1;
    }
    if (!slot->memory) slot->memory = malloc(DRACO_MPI_SLICE);
    if (!slot->memory || !drm_room(t)) return 0;
    error = MPI_Improbe(p->rank, MPI_ANY_TAG, t->config.comm, &flag, &message, &status);
    if (error != MPI_SUCCESS || !flag) return 0;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    slot->bytes = (size_t)bytes;
    slot->tag = status.MPI_TAG;
    slot->failed = 0;
    error = MPI_Imrecv(slot->memory, bytes, MPI_BYTE, &message, &request);
    drm_track(t, error, request, &slot->pending, &slot->failed);
    p->used++;
    if (p->worker.missed >= DRACO_MPI_MISSES && p->welcomed) drm_tell(t, p, "answers again");
    p->worker.missed = 0;
    return 1;
}

static void drm_finish(draco_mpi *t, drm_peer *p, draco_arrival arrival) {
    if (p->worker.ended || !t->inbox || p->is_server) return;
    p->worker.ended = 1;
    t->left--;
    if (t->inbox->end(t->inbox->ctx, p->number, arrival) == DRACO_OK) t->enough = 1;
}

/* A message that no honest worker sends. A line at the 1st, 2nd, 4th, 8th, ... */
static void drm_offend(draco_mpi *t, drm_peer *p, const char *how) {
    unsigned long many = ++p->worker.offences;
    t->counters.offences++;
    if ((many & (many - 1)) == 0)
        drm_tell(t, p, "violated the protocol, %lu time%s so far: it sent %s", many, many == 1 ? "" : "s",
                 how);
    p->worker.mode = DRM_SILENT;
    p->worker.expecting = 0;
    if (t->inbox && !p->worker.ended)
        drm_finish(t, p, DRACO_ARRIVAL_MALFORMED);
    else
        p->worker.offence = 1;
}

/* Is this the last request's head, as a reply repeats it? */
static int drm_repeats(const drm_head *told, const drm_head *head) {
    return head->magic == told->magic && head->version == told->version && head->code_id == told->code_id &&
           head->round == told->round && head->step == told->step && head->kind == told->kind &&
           head->sequence == told->sequence;
}

static void drm_on_reply(draco_mpi *t, drm_peer *p, const drm_slot *slot) {
    drm_head head;
    if (!p->worker.expecting || slot->bytes != sizeof head) {
        drm_offend(t, p,
                   p->worker.expecting ? "the head of a reply that is too short or too long"
                                       : "a reply that nobody asked for");
        return;
    }
    memcpy(&head, slot->memory, sizeof head);
    if (!drm_repeats(&p->worker.told, &head) ||
        (head.reply_bytes != p->worker.told.reply_bytes && head.reply_bytes != DRM_REFUSED)) {
        drm_offend(t, p,
                   drm_repeats(&p->worker.told, &head) ? "a reply of another size than was asked for"
                                                       : "a reply to another request or step");
        return;
    }
    p->worker.expecting = 0;
    p->worker.got = 0;
    drm_turn_head(&head);
    p->worker.left = head.reply_bytes == DRM_REFUSED ? 0 : (size_t)head.reply_bytes;
    p->worker.mode = DRM_DROP;
    if (!t->inbox || !t->current || p->worker.told_serial != t->current->serial) {
        t->counters.late++;
    } else if (head.reply_bytes == DRM_REFUSED) {
        drm_finish(t, p, DRACO_ARRIVAL_MALFORMED);
    } else if (!p->worker.ended) {
        p->worker.row = t->inbox->reserve(t->inbox->ctx, p->number);
        if (p->worker.row)
            p->worker.mode = DRM_ROW;
        else
            drm_finish(t, p, DRACO_ARRIVAL_ABSENT);
    }
}

static void drm_on_slice(draco_mpi *t, drm_peer *p, const drm_slot *slot) {
    if (p->worker.mode == DRM_SILENT || slot->bytes > p->worker.left || slot->bytes == 0) {
        drm_offend(t, p,
                   p->worker.mode == DRM_SILENT ? "part of a reply without its head"
                                                : "more bytes than its reply has");
        return;
    }
    p->worker.left -= slot->bytes;
    if (p->worker.mode == DRM_ROW) {
        memcpy(p->worker.row + p->worker.got, slot->memory, slot->bytes);
        t->inbox->chunk(t->inbox->ctx, p->number, p->worker.got, slot->bytes);
        t->counters.bytes_in += slot->bytes;
    }
    p->worker.got += slot->bytes;
}

/* It is free again: whatever it had to say has been said. */
static void drm_on_ready(draco_mpi *t, drm_peer *p, const drm_slot *slot) {
    int now = t->inbox && t->current && p->worker.told_serial == t->current->serial;
    if (slot->bytes != 0 || p->worker.ready) {
        drm_offend(t, p, "READY where none belongs");
        return;
    }
    if (p->worker.mode == DRM_ROW && p->worker.left > 0)
        drm_tell(t, p, "violated the protocol: %zu bytes of its reply are missing", p->worker.left);
    if (now && p->worker.mode == DRM_ROW)
        drm_finish(t, p, p->worker.left == 0 ? DRACO_ARRIVAL_WHOLE : DRACO_ARRIVAL_MALFORMED);
    else if (now && p->worker.expecting)
        drm_finish(t, p, DRACO_ARRIVAL_ABSENT);
    p->worker.mode = DRM_SILENT;
    p->worker.expecting = 0;
    p->worker.ready = 1;
}

static void drm_on_hello(draco_mpi *t, drm_peer *p, const drm_slot *slot);
static void drm_on_ask(draco_mpi *t, drm_peer *p, const drm_slot *slot);

/* Who may say what: callers say HELLO, the called WELCOME, workers the rest. */
static void drm_dispatch(draco_mpi *t, drm_peer *p, const drm_slot *slot) {
    int called = p->is_server && (t->server < 0 || p->number < t->server);
    if (!slot->failed && slot->tag == DRM_HELLO && !called && !p->greeted) {
        drm_on_hello(t, p, slot);
    } else if (!slot->failed && slot->tag == DRM_WELCOME && called && !p->welcomed) {
        if (slot->bytes == sizeof p->welcome) memcpy(&p->welcome, slot->memory, sizeof p->welcome);
        drm_turn_welcome(&p->welcome);
        p->welcomed = 1;
    } else if (!slot->failed && !p->is_server && slot->tag == DRM_REPLY) {
        drm_on_reply(t, p, slot);
    } else if (!slot->failed && !p->is_server && slot->tag == DRM_SLICE) {
        drm_on_slice(t, p, slot);
    } else if (!slot->failed && !p->is_server && slot->tag == DRM_READY) {
        drm_on_ready(t, p, slot);
    } else if (!slot->failed && !p->is_server && slot->tag == DRM_ASK) {
        drm_on_ask(t, p, slot);
    } else {
        drm_offend(t, p,
                   slot->failed ? "a message that could not be received" : "a message of an unknown kind");
    }
}

/* Serve what has come from this peer. Returns whether anything happened. */
static int drm_serve(draco_mpi *t, drm_peer *p) {
    int busy = 0;
    while (p->used > 0 && p->slot[p->first].pending == 0) {
        drm_slot *slot = &p->slot[p->first];
        p->first = (p->first + 1) % DRM_SLOTS;
        p->used--;
        if (!p->gone) drm_dispatch(t, p, slot);
        busy = 1;
    }
    return busy;
}

/* ---- The start: every caller says what it was set up with, the called compare ---- */

static void drm_compare(draco_mpi *t, drm_peer *p, const drm_hello *hello, const char *text) {
    draco_handshake_field here, there;
    if (hello->magic != DRM_MAGIC || hello->version != DRACO_VERSION)
        drm_say(t, "rank %d uses another version of the protocol", p->rank);
    else if (hello->servers != (uint32_t)t->servers || hello->workers != (uint32_t)t->n)
        drm_say(t, "rank %d counts %u servers and %u workers, rank %d counts %d and %d", p->rank,
                hello->servers, hello->workers, t->rank, t->servers, t->n);
    else if (hello->dim != t->config.dim)
        drm_say(t, "rank %d has %llu parameters, rank %d has %zu", p->rank, (unsigned long long)hello->dim,
                t->rank, t->config.dim);
    else if (draco_handshake_compare(t->text, text, strlen(text), 1, &here, &there))
        drm_say(t, "rank %d has '%.*s' where rank %d has '%.*s'", p->rank, there.bytes, there.text, t->rank,
                here.bytes, here.text);
    else if (hello->code_id != t->config.code_id)
        drm_say(t, "rank %d has another code than rank %d", p->rank, t->rank);
    else
        return;
    p->refused = 1;
}

static void drm_welcome_peer(draco_mpi *t, drm_peer *p, draco_status status) {
    drm_welcome *w = &p->welcome;
    memset(w, 0, sizeof *w);
    w->magic = DRM_MAGIC;
    w->status = status;
    if (status < 0) snprintf(w->why, sizeof w->why, "%.*s", (int)sizeof w->why - 1, t->why);
    draco_liveness_invite(&t->lines, (int)(p - t->peers), &w->card);
    p->welcomed = 1;
    drm_turn_welcome(w);
    drm_send(t, p->rank, DRM_WELCOME, w, sizeof *w, &t->none, &t->none_failed);
}

/* A name that may be printed, whatever came. */
static void drm_keep_host(drm_peer *p, const char host[DRM_HOST]) {
    memcpy(p->host, host, DRM_HOST);
    p->host[DRM_HOST - 1] = 0;
    for (char *c = p->host; *c; c++)
        if (*c <= ' ' || *c > '~') *c = '?';
}

/* During open, welcomes wait until all have been heard; a rank that comes later is welcomed at once. */
static void drm_on_hello(draco_mpi *t, drm_peer *p, const drm_slot *slot) {
    drm_hello hello;
    char *text;
    if (slot->bytes < sizeof hello || slot->bytes > sizeof hello + DRM_TEXT) {
        drm_offend(t, p, "a hello that is too short or too long");
        return;
    }
    text = calloc(1, slot->bytes - sizeof hello + 1);
    if (!text) return;
    memcpy(&hello, slot->memory, sizeof hello);
    drm_turn_hello(&hello);
    memcpy(text, slot->memory + sizeof hello, slot->bytes - sizeof hello);
    p->greeted = 1;
    drm_keep_host(p, hello.host);
    drm_compare(t, p, &hello, text);
    free(text);
    if (!t->opened) return;
    drm_tell(t, p, p->refused ? "came late and is refused: %s" : "came late: joined from %s",
             p->refused ? t->why : p->host);
    drm_welcome_peer(t, p, p->refused ? DRACO_E_CONFIG : DRACO_OK);
}

static draco_status drm_greet(draco_mpi *t, drm_peer *p) {
    char host[MPI_MAX_PROCESSOR_NAME] = "";
    size_t text = strlen(t->text);
    int length = 0;
    if (!t->hello) { /* the same for all */
        t->hello = calloc(1, sizeof *t->hello + text + 1);
        if (!t->hello) return DRACO_E_MEMORY;
        *t->hello = (drm_hello){.magic = DRM_MAGIC,
                                .version = DRACO_VERSION,
                                .code_id = t->config.code_id,
                                .dim = t->config.dim,
                                .servers = (uint32_t)t->servers,
                                .workers = (uint32_t)t->n,
                                .text_bytes = (uint32_t)text};
        MPI_Get_processor_name(host, &length);
        snprintf(t->hello->host, DRM_HOST, "%.*s", DRM_HOST - 1, host);
        drm_turn_hello(t->hello);
        memcpy(t->hello + 1, t->text, text);
    }
    drm_send(t, p->rank, DRM_HELLO, t->hello, sizeof *t->hello + text, &t->none, &t->none_failed);
    return DRACO_OK;
}

/* Is this a rank that is to call us (1), that we call (-1), or ourselves (0)? */
static int drm_calls(const draco_mpi *t, const drm_peer *p) {
    if (!p->is_server) return 1;
    if (t->server < 0 || p->number < t->server) return -1;
    return p->number > t->server;
}

/* Is this rank still to say its hello, or its welcome if it is one that we call? */
static int drm_awaits(const draco_mpi *t, const drm_peer *p) {
    int calls = drm_calls(t, p);
    return !p->gone && ((calls > 0 && !p->greeted) || (calls < 0 && !p->welcomed));
}

static int drm_awaited(const draco_mpi *t, int servers_only) {
    int waiting = 0;
    for (int i = 0; i < t->count; i++)
        waiting += (!servers_only || t->peers[i].is_server) && drm_awaits(t, &t->peers[i]);
    return waiting;
}

static void drm_wait_for_all(draco_mpi *t, double until) {
    while (drm_awaited(t, 0) > 0 && drm_now() < until) {
        int busy = 0;
        drm_progress(t);
        for (int i = 0; i < t->count; i++) {
            busy |= drm_serve(t, &t->peers[i]);
            /* What a server says after its welcome is no longer for this loop. */
            if (drm_awaits(t, &t->peers[i]) && t->peers[i].used == 0) busy |= drm_take(t, &t->peers[i]);
        }
        if (busy)
            t->idle = 0;
        else
            drm_idle(t, DRM_FLOWING);
    }
}

static void drm_flush(draco_mpi *t, double seconds) {
    double until = drm_now() + seconds;
    while (t->used > 0 && drm_now() < until) {
        drm_progress(t);
        drm_idle(t, DRM_FLOWING);
    }
}

/* What the servers that we called say. */
static draco_status drm_hear_servers(draco_mpi *t) {
    for (int i = 0; i < t->count; i++) {
        drm_peer *p = &t->peers[i];
        if (drm_calls(t, p) >= 0) continue;
        if (!p->welcomed || p->welcome.magic != DRM_MAGIC) {
            drm_say(t, "server %d (rank %d) did not answer", p->number, p->rank);
            t->missing = 1;
            return DRACO_E_TRANSPORT;
        }
        if (p->welcome.status < 0) {
            p->welcome.why[sizeof p->welcome.why - 1] = 0;
            drm_say(t, "%s", p->welcome.why);
            return DRACO_E_CONFIG;
        }
        draco_liveness_call(&t->lines, i, &p->welcome.card);
        p->server.heard = drm_now();
    }
    return DRACO_OK;
}

static draco_status drm_start(draco_mpi *t) {
    double until = drm_now() + (t->config.start_seconds > 0 ? t->config.start_seconds : 60);
    draco_status status = DRACO_OK;
    if (t->server < 0) until += 5; /* the servers are the ones to say who is missing */
    for (int i = 0; i < t->count && status >= 0; i++)
        if (drm_calls(t, &t->peers[i]) < 0) status = drm_greet(t, &t->peers[i]);
    if (status < 0) return status;
    drm_wait_for_all(t, until);
    for (int i = 0; i < t->count; i++)
        if (t->peers[i].refused) status = DRACO_E_CONFIG;
    for (int i = 0; i < t->count; i++) {
        drm_peer *p = &t->peers[i];
        if (p->greeted) drm_welcome_peer(t, p, status);
        if (p->greeted || drm_calls(t, p) <= 0) continue;
        p->worker.missed = DRACO_MPI_MISSES; /* not waited for until it comes */
        drm_tell(t, p, "did not come");
    }
    t->opened = 1;
    if (status < 0) {
        drm_flush(t, 2);
        return status;
    }
    if (t->server >= 0 && drm_awaited(t, 1) > 0) {
        drm_say(t, "a server rank did not come");
        t->missing = 1;
        return DRACO_E_TRANSPORT;
    }
    return drm_hear_servers(t);
}

/* ---- Server ---- */

/* Memory of a request that nobody is reading; if silent workers hold all, the oldest: what they read of it
   is torn, and their reply is too late to count. */
static drm_outgoing *drm_blank(draco_mpi *t, size_t bytes) {
    drm_outgoing *oldest = NULL;
    for (int i = 0; i < DRM_OUTGOING; i++) {
        drm_outgoing *l = &t->outgoing[i];
        if (l->users > 0) {
            if (l->capacity >= bytes && l != t->newest && (!oldest || l->serial < oldest->serial)) oldest = l;
            continue;
        }
        if (l->capacity < bytes) {
            free(l->memory);
            l->memory = malloc(bytes);
            l->capacity = l->memory ? bytes : 0;
        }
        if (l->memory) return l;
    }
    return oldest;
}

/* Relayed: n orders, and behind them the heads of the pieces. */
static unsigned char *drm_orders(const drm_outgoing *l) {
    return l->memory + l->head.params_bytes + l->head.extra_bytes;
}

/* Whom a relayed broadcast goes to, and who is free to relay; its orders, and the heads of its pieces. */
static void drm_plan(draco_mpi *t, drm_outgoing *l) {
    size_t stride = draco_relay_order_bytes(t->n);
    unsigned char *orders = drm_orders(l);
    for (int i = 0; i < t->n; i++) {
        const drm_peer *p = &drm_workers(t)[i];
        t->takes[i] = p->welcomed && !p->refused && !p->gone && p->worker.missed < DRACO_MPI_MISSES;
        t->gives[i] = p->worker.ready && (!p->worker.outgoing || p->worker.sending == 0);
    }
    if (draco_relay_plan(&t->relay, l->memory, (size_t)l->head.params_bytes, t->takes, t->gives, orders) !=
        DRACO_OK)
        return;
    draco_relay_heads(&t->relay, orders + (size_t)t->n * stride);
    l->head.order_bytes = stride;
}

static draco_status drm_write(draco_mpi *t, const draco_request *request, const unsigned char *whom) {
    size_t params = request->params ? request->params_count * sizeof(float) : 0;
    size_t plan = t->config.relay ? (size_t)t->n * (draco_relay_order_bytes(t->n) + DRACO_RELAY_HEAD) : 0;
    drm_outgoing *l;
    if (params && request->params_count != t->shard_count) return DRACO_E_CONFIG;
    if (request->extra_bytes > t->shard_count * sizeof(float) + 65536) return DRACO_E_ARGUMENT;
    if (params && t->newest) {
        t->newest->users--;
        t->newest = NULL;
    }
    l = drm_blank(t, params + request->extra_bytes + plan + 1);
    if (!l) return DRACO_E_MEMORY;
    l->serial = ++t->serial;
    if (!whom) t->sequence++;
    if (params) t->params_sequence = t->serial;
    l->head = (drm_head){.magic = DRM_MAGIC,
                         .version = DRACO_VERSION,
                         .code_id = t->config.code_id,
                         .kind = (uint32_t)request->kind,
                         .round = request->round,
                         .step = request->step,
                         .sequence = t->sequence,
                         .params_sequence = t->params_sequence,
                         .params_bytes = params,
                         .extra_bytes = request->extra_bytes,
                         .reply_bytes = request->reply_bytes};
    if (params) memcpy(l->memory, request->params, params);
    draco_little_endian(l->memory, params / sizeof(float));
    if (request->extra_bytes) memcpy(l->memory + params, request->extra, request->extra_bytes);
    if (params && !whom && t->config.relay) drm_plan(t, l);
    if (params) {
        l->users++;
        t->newest = l;
    }
    l->everybody = !whom;
    if (whom) memcpy(l->whom, whom, (size_t)t->n);
    t->current = l;
    t->asking = 1;
    return DRACO_OK;
}

/* Piece p of the relayed broadcast to a worker. */
static void drm_give(draco_mpi *t, drm_peer *p, uint32_t piece) {
    drm_outgoing *l = t->newest;
    const unsigned char *heads = drm_orders(l) + (size_t)t->n * l->head.order_bytes;
    size_t count, at = draco_relay_piece(t->relay.bytes, t->relay.pieces, piece, &count);
    if (!p->worker.outgoing) {
        p->worker.outgoing = l;
        l->users++;
    }
    drm_send(t, p->rank, DRM_PIECES, heads + piece * DRACO_RELAY_HEAD, DRACO_RELAY_HEAD, &p->worker.sending,
             &p->failed);
    drm_send_all(t, p->rank, DRM_PARAMS, l->memory + at, count, &p->worker.sending, &p->failed);
    if (p->failed) drm_lose(t, p);
}

/* A worker misses pieces of what it was told last. When that is over it is told so, once, and is free again. */
static void drm_on_ask(draco_mpi *t, drm_peer *p, const drm_slot *slot) {
    static const unsigned char over[DRACO_RELAY_HEAD];
    int bad, count;
    if (p->worker.ready) {
        drm_offend(t, p, "a question for pieces where none belongs");
        return;
    }
    if (p->worker.told.order_bytes == 0) return;
    if (!t->newest || p->worker.told_serial != t->newest->serial || t->closing) {
        p->worker.told.order_bytes = 0;
        drm_send(t, p->rank, DRM_PIECES, over, sizeof over, &t->none, &t->none_failed);
        return;
    }
    count = draco_relay_asked(&t->relay, p->number, slot->memory, slot->bytes, t->pieces, &bad);
    if (count < 0) drm_offend(t, p, "a question for pieces that there are not");
    if (bad >= 0)
        drm_tell(t, &drm_workers(t)[bad],
                 "relays nothing for %d broadcasts: more workers than may lie missed what it had to",
                 t->relay.out[bad]);
    for (int k = 0; k < count && !p->gone; k++) drm_give(t, p, t->pieces[k]);
}

/* Send the current request to a worker that is free for it; to one that was not when the parameters went out that it is
   about, the request with those first, whose reply comes too late to count. */
static int drm_offer(draco_mpi *t, drm_peer *p) {
    drm_outgoing *l = t->current;
    int ordered;
    if (p->worker.outgoing && p->worker.sending == 0) {
        p->worker.outgoing->users--;
        p->worker.outgoing = NULL;
    }
    if (!l || !t->asking || !p->worker.ready || !p->welcomed || p->refused || p->gone || p->worker.outgoing ||
        p->worker.told_serial == l->serial)
        return 0;
    if (!l->everybody && !l->whom[p->number]) return 0;
    if (l->head.params_bytes == 0 && p->worker.params_sequence != l->head.params_sequence) l = t->newest;
    if (!l) return 0;
    ordered = l->head.order_bytes > 0 && t->takes[p->number];
    p->worker.told = l->head;
    if (!ordered) p->worker.told.order_bytes = 0;
    drm_turn_head(&p->worker.told);
    p->worker.told_serial = l->serial;
    p->worker.outgoing = l;
    l->users++;
    p->worker.ready = 0;
    p->worker.expecting = 1;
    p->worker.mode = DRM_SILENT;
    if (l->head.params_bytes) p->worker.params_sequence = l->head.params_sequence;
    drm_send(t, p->rank, DRM_REQUEST, &p->worker.told, sizeof p->worker.told, &p->worker.sending, &p->failed);
    if (ordered)
        drm_send(t, p->rank, DRM_ORDER, drm_orders(l) + (size_t)p->number * l->head.order_bytes,
                 (size_t)l->head.order_bytes, &p->worker.sending, &p->failed);
    else
        drm_send_all(t, p->rank, DRM_PARAMS, l->memory, (size_t)l->head.params_bytes, &p->worker.sending,
                     &p->failed);
    drm_send_all(t, p->rank, DRM_EXTRA, l->memory + l->head.params_bytes, (size_t)l->head.extra_bytes,
                 &p->worker.sending, &p->failed);
    if (p->failed) drm_lose(t, p);
    return 1;
}

/* One look at everything that goes on between this server and its workers. */
static void drm_work(draco_mpi *t) {
    int busy = 0, flag = 0;
    MPI_Status status;
    drm_look(t);
    drm_progress(t);
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, t->config.comm, &flag, &status);
    for (int i = 0; i < t->n; i++) {
        drm_peer *p = &drm_workers(t)[i];
        busy |= drm_offer(t, p);
        busy |= drm_serve(t, p);
        if (flag && drm_take(t, p)) busy |= 1 | drm_serve(t, p);
        if (p->gone) drm_finish(t, p, p->worker.cut ? DRACO_ARRIVAL_MALFORMED : DRACO_ARRIVAL_ABSENT);
    }
    if (busy)
        t->idle = 0;
    else
        drm_idle(t, DRM_FLOWING);
}

/* Whoever has said READY by now can relay. */
static void drm_settle(draco_mpi *t) {
    int busy = 1;
    while (busy) {
        busy = 0;
        drm_look(t);
        drm_progress(t);
        for (int i = 0; i < t->n; i++) {
            drm_peer *p = &drm_workers(t)[i];
            busy |= drm_serve(t, p);
            if (drm_take(t, p)) busy |= 1 | drm_serve(t, p);
        }
    }
}

static draco_status drm_broadcast(void *ctx, const draco_request *request) {
    draco_mpi *t = ctx;
    draco_status status;
    if (t->config.relay && request->params) drm_settle(t);
    status = drm_write(t, request, NULL);
    if (status < 0) return status;
    for (int i = 0; i < t->n; i++) drm_offer(t, &drm_workers(t)[i]);
    for (int i = 0; i < t->n && t->current->head.order_bytes > 0; i++) { /* behind all orders */
        uint32_t own = draco_relay_own(&t->relay, i);
        if (own != DRACO_RELAY_NONE && !drm_workers(t)[i].gone) drm_give(t, &drm_workers(t)[i], own);
    }
    return status;
}

/* Who is not waited for: the dead, those long silent, and those who spoke out of turn. */
static void drm_roll_call(draco_mpi *t) {
    t->left = 0;
    for (int i = 0; i < t->n; i++) {
        drm_peer *p = &drm_workers(t)[i];
        p->worker.ended = !t->current->everybody && !t->current->whom[i];
        t->left += !p->worker.ended;
    }
    for (int i = 0; i < t->n; i++) {
        drm_peer *p = &drm_workers(t)[i];
        if (p->worker.ended) continue;
        if (p->gone)
            drm_finish(t, p, p->worker.cut ? DRACO_ARRIVAL_MALFORMED : DRACO_ARRIVAL_ABSENT);
        else if (p->worker.offence)
            drm_finish(t, p, DRACO_ARRIVAL_MALFORMED);
        else if (p->refused || p->worker.missed >= DRACO_MPI_MISSES)
            drm_finish(t, p, DRACO_ARRIVAL_ABSENT);
        if (p->worker.ended) p->worker.offence = 0;
    }
}

static draco_status drm_gather(draco_mpi *t, double seconds, const draco_inbox *inbox) {
    double until = drm_now() + seconds;
    int over = 0;
    t->inbox = inbox;
    t->enough = 0;
    drm_roll_call(t);
    while (t->left > 0 && !t->enough && !over) {
        drm_work(t);
        over = seconds >= 0 && drm_now() >= until;
    }
    for (int i = 0; i < t->n; i++) {
        drm_peer *p = &drm_workers(t)[i];
        if (p->worker.mode == DRM_ROW) p->worker.mode = DRM_DROP;
        p->worker.row = NULL;
        if (over && !p->worker.ended && !t->enough && ++p->worker.missed == DRACO_MPI_MISSES)
            drm_tell(t, p, "has let %d deadlines pass: it is not waited for until it answers",
                     DRACO_MPI_MISSES);
    }
    t->inbox = NULL;
    t->asking = 0;
    return t->left == 0 || t->enough ? DRACO_OK : DRACO_MORE;
}

static draco_status drm_collect(void *ctx, const draco_request *request, double seconds,
                                const draco_inbox *inbox) {
    draco_mpi *t = ctx;
    if (!t->current || request->round != t->current->head.round) return DRACO_E_ARGUMENT;
    return drm_gather(t, seconds, inbox);
}

static draco_status drm_fetch(void *ctx, const draco_request *request, const unsigned char *whom,
                              double seconds, const draco_inbox *inbox) {
    draco_mpi *t = ctx;
    draco_status status = drm_write(t, request, whom);
    return status < 0 ? status : drm_gather(t, seconds, inbox);
}

/* Into memory of our own, so that nothing arrives in the caller's after an error. A server that is gone may
   have said its part before it went: it has a second to be heard. */
static draco_status drm_exchange(void *ctx, const void *mine, size_t bytes, void *all) {
    draco_mpi *t = ctx;
    double until = 0;
    int gone = -1;
    if (bytes == 0) return DRACO_OK;
    if (bytes > SIZE_MAX / 2 / (size_t)t->servers || t->exchange_failed) return DRACO_E_TRANSPORT;
    if (t->exchange_room < 2 * bytes * (size_t)t->servers) {
        free(t->exchange_memory);
        t->exchange_room = 2 * bytes * (size_t)t->servers;
        t->exchange_memory = malloc(t->exchange_room);
        if (!t->exchange_memory) t->exchange_room = 0;
    }
    if (!t->exchange_memory) return DRACO_E_MEMORY;
    unsigned char *copy = t->exchange_memory + bytes * (size_t)t->servers;
    memcpy(copy, mine, bytes);
    for (int k = 0; k < t->servers; k++) {
        drm_peer *p = &drm_servers(t)[k];
        unsigned char *to = t->exchange_memory + (size_t)k * bytes;
        if (k == t->server) {
            memcpy(to, copy, bytes);
            continue;
        }
        drm_receive_all(t, p->rank, DRM_EXCHANGE, to, bytes, &t->exchanging, &t->exchange_failed);
        drm_send_all(t, p->rank, DRM_EXCHANGE, copy, bytes, &t->exchanging, &t->exchange_failed);
    }
    while (t->exchanging > 0 && !t->exchange_failed) {
        drm_work(t); /* a worker must not be kept waiting for a server that waits for another */
        for (int k = 0; k < t->servers; k++)
            if (drm_servers(t)[k].gone && gone < 0) gone = k, until = drm_now() + 1;
        if (gone >= 0 && drm_now() > until) {
            drm_say(t, "server %d (rank %d) is gone", gone, drm_servers(t)[gone].rank);
            t->exchange_failed = 1;
        }
    }
    if (t->exchange_failed) return DRACO_E_TRANSPORT;
    memcpy(all, t->exchange_memory, bytes * (size_t)t->servers);
    return DRACO_OK;
}

/* ---- Worker ---- */

/* Tell a server that this worker is free. */
static void drm_announce(draco_mpi *t, drm_peer *p) {
    if (p->server.announced || p->server.stage != DRM_NOTHING) return;
    p->server.announced = 1;
    drm_send(t, p->rank, DRM_READY, NULL, 0, &t->none, &p->failed);
}

/* What a server may ask for: nothing that a healthy one does not. */
static int drm_sane(const draco_mpi *t, const drm_peer *p) {
    const drm_head *h = &p->server.head;
    uint64_t shard = p->server.shard_count * sizeof(float);
    return h->magic == DRM_MAGIC && h->version == DRACO_VERSION && h->code_id == t->config.code_id &&
           (h->params_bytes == 0 || h->params_bytes == shard) &&
           (h->order_bytes == 0 ||
            (t->sources && h->params_bytes && h->order_bytes == draco_relay_order_bytes(t->n))) &&
           h->extra_bytes <= shard + 65536 && h->reply_bytes <= 2 * shard + ((uint64_t)1 << 24);
}

/* All of a request is here: put it in draco.h's terms. */
static void drm_requested(draco_mpi *t, drm_peer *p) {
    const drm_head *h = &p->server.head;
    memset(&p->server.request, 0, sizeof p->server.request);
    p->server.stage = DRM_WHOLE;
    p->server.request.kind = (draco_request_kind)h->kind;
    p->server.request.round = h->round;
    p->server.request.step = h->step;
    p->server.request.params = h->params_bytes ? t->params + p->server.shard_first : NULL;
    p->server.request.params_count = (size_t)h->params_bytes / sizeof(float);
    p->server.request.extra = h->extra_bytes ? p->server.extra : NULL;
    p->server.request.extra_bytes = (size_t)h->extra_bytes;
    p->server.request.reply_bytes = (size_t)h->reply_bytes;
    draco_little_endian(t->params + p->server.shard_first, p->server.request.params_count);
    if (h->params_bytes) p->server.params_sequence = h->params_sequence;
}

/* A head is here: receive what it announces, the parameters where they belong. */
static void drm_open_request(draco_mpi *t, drm_peer *p) {
    const drm_head *h = &p->server.head;
    if (h->magic == DRM_MAGIC && h->kind == DRACO_REQUEST_STOP) {
        p->server.head.params_bytes = p->server.head.extra_bytes = 0;
        drm_requested(t, p);
        return;
    }
    if (p->failed || !drm_sane(t, p)) {
        p->failed = 1;
        return;
    }
    if (h->extra_bytes > p->server.extra_capacity) {
        free(p->server.extra);
        p->server.extra = malloc((size_t)h->extra_bytes);
        p->server.extra_capacity = p->server.extra ? (size_t)h->extra_bytes : 0;
        if (!p->server.extra) {
            p->failed = 1;
            return;
        }
    }
    if (h->order_bytes)
        drm_receive_all(t, p->rank, DRM_ORDER, p->server.relayed.order, (size_t)h->order_bytes,
                        &p->server.receiving, &p->failed);
    else
        drm_receive_all(t, p->rank, DRM_PARAMS, (unsigned char *)(t->params + p->server.shard_first),
                        (size_t)h->params_bytes, &p->server.receiving, &p->failed);
    drm_receive_all(t, p->rank, DRM_EXTRA, p->server.extra, (size_t)h->extra_bytes, &p->server.receiving,
                    &p->failed);
    p->server.stage = DRM_PAYLOAD;
}

/* ---- Worker: the parameters as others relay them ---- */

/* The server has moved on, or wrote over what this worker was to read: this request will not be replied to. */
static void drm_forgo(drm_peer *p) {
    p->server.stage = DRM_NOTHING;
}

static void drm_begin_relay(draco_mpi *t, drm_peer *p) {
    drm_relayed *r = &p->server.relayed;
    p->server.params_sequence = 0; /* the former parameters are being written over */
    if (draco_relay_begin(&r->state, r->order, (size_t)p->server.head.order_bytes,
                          t->params + p->server.shard_first, (size_t)p->server.head.params_bytes,
                          drm_now()) < 0) {
        drm_forgo(p);
        return;
    }
    r->tag = DRM_RELAY + p->number * DRM_RELAYS + (int)(r->state.serial % DRM_RELAYS);
    r->gave = 0;
    r->expected = r->state.own != DRACO_RELAY_NONE;
    r->piece = DRACO_RELAY_NONE;
    for (int i = 0; i < t->n; i++)
        if (r->lane[i].sending == 0) r->lane[i].gift = NULL;
    p->server.stage = DRM_RELAYING;
}

/* Pieces from the server itself, one after the other. */
static void drm_hear_pieces(draco_mpi *t, drm_peer *p) {
    drm_relayed *r = &p->server.relayed;
    unsigned char head[DRACO_RELAY_HEAD];
    MPI_Message message;
    MPI_Status status;
    size_t count, at;
    int flag = 0, bytes = 0;
    if (p->server.receiving > 0) return;
    if (r->piece != DRACO_RELAY_NONE) {
        draco_relay_given(&r->state, r->piece, drm_now());
        r->piece = DRACO_RELAY_NONE;
        r->expected--;
    }
    if (MPI_Improbe(p->rank, DRM_PIECES, t->config.comm, &flag, &message, &status) != MPI_SUCCESS || !flag)
        return;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    if (bytes != (int)sizeof head || MPI_Mrecv(head, bytes, MPI_BYTE, &message, &status) != MPI_SUCCESS) {
        p->failed = 1;
        return;
    }
    t->idle = 0;
    if (draco_relay_headed(&r->state, head, &r->piece) < 0) {
        r->state.lost = 1;
        r->expected = 0;
        return;
    }
    at = draco_relay_piece(r->state.bytes, r->state.pieces, r->piece, &count);
    drm_receive_all(t, p->rank, DRM_PARAMS, r->state.vector + at, count, &p->server.receiving, &p->failed);
}

/* Frames of the other workers, one of each at a time. A frame that is too long is never received. */
static void drm_hear_relays(draco_mpi *t, drm_peer *p) {
    drm_relayed *r = &p->server.relayed;
    MPI_Message message;
    MPI_Request request;
    MPI_Status status;
    int flag = 0, bytes = 0, error;
    MPI_Iprobe(MPI_ANY_SOURCE, r->tag, t->config.comm, &flag, &status);
    for (int i = 0, some = flag; i < t->n; i++) {
        drm_slot *s = &t->sources[i];
        if (s->tag > 0 && s->pending == 0) {
            if (s->tag == r->tag && !s->failed)
                draco_relay_take(&r->state, i, s->memory, s->bytes, drm_now());
            if (s->tag == r->tag || s->failed) s->tag = 0;
        }
        if (!some || s->tag != 0 || i == t->worker) continue;
        flag = 0;
        MPI_Iprobe(t->rank_of[i], r->tag, t->config.comm, &flag, &status);
        if (!flag) continue;
        MPI_Get_count(&status, MPI_BYTE, &bytes);
        if (bytes < 0 || (size_t)bytes > DRACO_RELAY_FRAME) {
            s->tag = -1;
            continue;
        }
        if (!s->memory) s->memory = malloc(DRACO_RELAY_FRAME);
        if (!s->memory || !drm_room(t)) return;
        MPI_Improbe(t->rank_of[i], r->tag, t->config.comm, &flag, &message, &status);
        if (!flag) continue;
        s->bytes = (size_t)bytes;
        s->tag = r->tag;
        s->failed = 0;
        error = MPI_Imrecv(s->memory, bytes, MPI_BYTE, &message, &request);
        if (!drm_track(t, error, request, &s->pending, &s->failed)) s->tag = 0;
        t->idle = 0;
    }
}

static int drm_gift_is_free(const draco_mpi *t, const drm_relayed *r, const drm_gift *gift) {
    for (int i = 0; i < t->n; i++)
        if (r->lane[i].gift == gift) return 0;
    return 1;
}

/* This worker's piece to all who take and are not stuck in an earlier one; those behind it first, so that not all begin
   with the same. */
static void drm_begin_giving(draco_mpi *t, drm_relayed *r) {
    drm_gift *gift = r->gift;
    size_t bytes = draco_relay_frames_bytes(&r->state);
    r->gave = 1;
    while (!drm_gift_is_free(t, r, gift)) gift++;
    if (gift->capacity < bytes) {
        free(gift->memory);
        gift->memory = malloc(bytes);
        gift->capacity = gift->memory ? bytes : 0;
        if (!gift->memory) return;
    }
    gift->bytes = bytes;
    draco_relay_frames(&r->state, gift->memory);
    for (int i = 0; i < t->n; i++) {
        drm_lane *lane = &r->lane[i];
        if (!r->state.takes[i] || lane->gift || lane->failed) continue;
        lane->gift = gift;
        lane->at = 0;
    }
}

/* Keep some frames under way in each lane. Returns the lanes that are not through. */
static int drm_push(draco_mpi *t, drm_relayed *r) {
    int left = 0;
    for (int step = 1; step < t->n; step++) {
        int i = (t->worker + step) % t->n;
        drm_lane *lane = &r->lane[i];
        while (lane->gift && lane->at < lane->gift->bytes && lane->sending < DRM_FRAMES && !lane->failed) {
            size_t n = lane->gift->bytes - lane->at;
            if (n > DRACO_RELAY_FRAME) n = DRACO_RELAY_FRAME;
            drm_send(t, t->rank_of[i], r->tag, lane->gift->memory + lane->at, n, &lane->sending,
                     &lane->failed);
            lane->at += n;
        }
        if (lane->gift && lane->sending == 0 && (lane->failed || lane->at == lane->gift->bytes))
            lane->gift = NULL;
        left += lane->gift != NULL;
    }
    return left;
}

/* What a lane has not sent in time it never will: its worker asks the server. */
static void drm_stop_giving(draco_mpi *t, drm_relayed *r) {
    for (int i = 0; i < t->n; i++) {
        drm_lane *lane = &r->lane[i];
        if (lane->gift) lane->at = lane->gift->bytes;
        if (lane->sending == 0) lane->gift = NULL;
    }
}

static void drm_relay(draco_mpi *t, drm_peer *p) {
    drm_relayed *r = &p->server.relayed;
    int left;
    drm_hear_pieces(t, p);
    drm_hear_relays(t, p);
    if (!r->gave && draco_relay_can_give(&r->state)) drm_begin_giving(t, r);
    left = drm_push(t, r);
    if (r->asking == 0 && !r->state.lost) {
        int pieces;
        size_t bytes = draco_relay_want(&r->state, drm_now(), r->ask, &pieces);
        r->expected += pieces;
        if (bytes) drm_send(t, p->rank, DRM_ASK, r->ask, bytes, &r->asking, &p->failed);
    }
    if (r->state.lost && r->expected == 0) {
        drm_stop_giving(t, r);
        drm_forgo(p);
    } else if (draco_relay_whole(&r->state) &&
               (left == 0 || drm_now() - r->state.begun > draco_relay_patience(&r->state))) {
        drm_stop_giving(t, r);
        drm_requested(t, p);
    }
}

/* Is this a frame of a broadcast whose order has not come yet? */
static int drm_is_ahead(const draco_mpi *t, int tag) {
    int k = (tag - DRM_RELAY) / DRM_RELAYS, serial = (tag - DRM_RELAY) % DRM_RELAYS, ahead;
    if (!t->sources || tag < DRM_RELAY || k >= t->servers) return 0;
    ahead = (serial - (int)(t->peers[k].server.relayed.state.serial % DRM_RELAYS) + DRM_RELAYS) % DRM_RELAYS;
    return (ahead > 0 && ahead < DRM_RELAYS / 2) || (ahead == 0 && t->peers[k].server.stage == DRM_RELAYING);
}

/* Receive as much of a server's request as there is. */
static void drm_listen_to(draco_mpi *t, drm_peer *p) {
    MPI_Message message;
    MPI_Request request;
    MPI_Status status;
    int flag = 0, bytes = 0;
    if (p->server.stage == DRM_NOTHING && drm_room(t) &&
        MPI_Improbe(p->rank, DRM_REQUEST, t->config.comm, &flag, &message, &status) == MPI_SUCCESS && flag) {
        int error;
        MPI_Get_count(&status, MPI_BYTE, &bytes);
        if (bytes != (int)sizeof p->server.head) {
            p->failed = 1;
            return;
        }
        error = MPI_Imrecv(&p->server.head, bytes, MPI_BYTE, &message, &request);
        drm_track(t, error, request, &p->server.receiving, &p->failed);
        drm_progress(t);
        p->server.stage = DRM_HEAD;
        p->server.announced = 0;
        p->server.heard = drm_now();
        t->idle = 0;
    }
    if (p->server.stage == DRM_HEAD && p->server.receiving == 0) {
        drm_turn_head(&p->server.head);
        drm_open_request(t, p);
    }
    if (p->server.stage == DRM_PAYLOAD && p->server.receiving == 0) {
        if (p->server.head.order_bytes)
            drm_begin_relay(t, p);
        else
            drm_requested(t, p);
    }
    if (p->server.stage == DRM_RELAYING) drm_relay(t, p);
}

#define DRM_LONGEST (DRACO_MPI_SLICE > DRACO_RELAY_FRAME ? DRACO_MPI_SLICE : DRACO_RELAY_FRAME)

/* Workers have nothing to say to each other but what they relay: take it and forget it. What is too long is left where it
   is, and so are frames whose order is still to come. */
static void drm_drain(draco_mpi *t) {
    MPI_Message message;
    MPI_Request request;
    MPI_Status status;
    int flag = 0, bytes = 0;
    if (t->drain.pending > 0) return;
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, t->config.comm, &flag, &status);
    if (!flag) return;
    for (int k = 0; k < t->servers; k++)
        if (t->peers[k].rank == status.MPI_SOURCE) return;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    if (bytes < 0 || (size_t)bytes > DRM_LONGEST || drm_is_ahead(t, status.MPI_TAG) || !drm_room(t)) return;
    if (!t->drain.memory) t->drain.memory = malloc(DRM_LONGEST);
    if (!t->drain.memory) return;
    MPI_Improbe(status.MPI_SOURCE, status.MPI_TAG, t->config.comm, &flag, &message, &status);
    if (!flag) return;
    int error = MPI_Imrecv(t->drain.memory, bytes, MPI_BYTE, &message, &request);
    drm_track(t, error, request, &t->drain.pending, &t->drain.failed);
}

/* A server that is gone may have said STOP before it went: then the others will as well. */
static draco_status drm_farewell(draco_mpi *t, drm_peer *p) {
    double until = drm_now() + 0.2;
    do {
        drm_progress(t);
        if (p->server.stage < DRM_PAYLOAD) drm_listen_to(t, p);
        if (p->server.stage == DRM_WHOLE && p->server.head.kind == DRACO_REQUEST_STOP) return DRACO_OK;
        drm_idle(t, DRM_FLOWING);
    } while (drm_now() < until);
    drm_say(t, "server %d (rank %d) is gone", p->number, p->rank);
    t->missing = 1;
    return DRACO_E_TRANSPORT;
}

/* DRACO_OK while every server is there. */
static draco_status drm_servers_there(draco_mpi *t) {
    double now = drm_now();
    drm_look(t);
    for (int k = 0; k < t->servers; k++) {
        drm_peer *p = &t->peers[k];
        if (p->failed) {
            drm_say(t, "server %d (rank %d) sent what no server sends", k, p->rank);
            return DRACO_E_MALFORMED;
        }
        if (p->gone && drm_farewell(t, p) < 0) return DRACO_E_TRANSPORT;
        if (!p->gone && !drm_tied(t, p) && now - p->server.heard > DRACO_MPI_SILENCE) {
            drm_say(t, "server %d (rank %d) has been silent for %d s", k, p->rank, DRACO_MPI_SILENCE);
            return DRACO_E_TRANSPORT;
        }
    }
    return DRACO_OK;
}

/* All servers said STOP: which one's is handed up? The first that tells of a failure. Has one of them missed
   anybody? */
static int drm_stopped(draco_mpi *t) {
    int first = 0;
    for (int k = t->servers - 1; k >= 0; k--) {
        t->missing |= t->peers[k].server.head.reply_bytes != 0;
        if (t->peers[k].server.head.step) first = k;
    }
    return first;
}

/* Which servers' requests are to be handed up: one server's fetch alone, else those of all, of one broadcast
   or STOP. Returns the server, -1 for all, -2 for not yet. A server that is behind is told READY for its
   next request, and when one has said STOP so are the others, which will. */
static int drm_match(draco_mpi *t) {
    uint64_t newest = 0;
    int whole = 0, stopped = 0;
    for (int k = 0; k < t->servers; k++) {
        drm_peer *p = &t->peers[k];
        if (p->server.stage != DRM_WHOLE) continue;
        if (p->server.head.kind == DRACO_REQUEST_STOP) {
            stopped++;
            continue;
        }
        if (p->server.head.params_sequence != p->server.params_sequence) {
            p->server.stage = DRM_NOTHING; /* it is about parameters that this worker does not have */
            continue;
        }
        if (draco_request_is_single((draco_request_kind)p->server.head.kind) && t->servers > 1) return k;
        if (p->server.head.sequence > newest) newest = p->server.head.sequence;
    }
    if (stopped == t->servers) return drm_stopped(t);
    for (int k = 0; k < t->servers; k++) {
        drm_peer *p = &t->peers[k];
        if (p->server.stage != DRM_WHOLE || p->server.head.kind == DRACO_REQUEST_STOP) continue;
        if (p->server.head.sequence == newest && stopped == 0)
            whole++;
        else
            p->server.stage = DRM_NOTHING;
    }
    return whole == t->servers ? -1 : -2;
}

static draco_status drm_hand_up(draco_mpi *t, int from, draco_request *request) {
    draco_status status;
    t->asked_by = from;
    if (from >= 0) {
        *request = t->peers[from].server.request;
        request->server = t->servers > 1 ? from : -1;
        return DRACO_OK;
    }
    status = draco_share_join(&t->peers[0].server.request, sizeof *t->peers, t->servers, &t->joined,
                              &t->extras, request);
    if (status == DRACO_E_CONFIG) drm_say(t, "the servers ask for different things: they are not of one run");
    return status;
}

/* The last request is over, replied to or not. */
static void drm_let_go(draco_mpi *t) {
    for (int k = 0; k < t->servers; k++)
        if (draco_share_asked(t->asked_by, k)) t->peers[k].server.stage = DRM_NOTHING;
    t->asked_by = -2;
}

/* Is a request on its way to this worker? */
static int drm_flows(const draco_mpi *t) {
    int flows = 0;
    for (int k = 0; k < t->servers; k++)
        flows |= t->peers[k].server.receiving > 0 || t->peers[k].server.stage == DRM_RELAYING;
    return flows;
}

static draco_status drm_receive(void *ctx, draco_request *request) {
    draco_mpi *t = ctx;
    int from = -2;
    drm_let_go(t);
    for (;;) {
        draco_status status;
        drm_progress(t);
        for (int k = 0; k < t->servers; k++) {
            drm_announce(t, &t->peers[k]);
            drm_listen_to(t, &t->peers[k]);
        }
        from = drm_match(t);
        if (from != -2) break;
        drm_drain(t);
        status = drm_servers_there(t);
        if (status < 0) return status;
        drm_idle(t, drm_flows(t) ? DRM_FLOWING : DRM_WAITING);
    }
    t->idle = 0;
    return drm_hand_up(t, from, request);
}

/* Cut the reply for the servers whose request it is, and send each the head of its share. */
static draco_status drm_cut(draco_mpi *t, const unsigned char *reply, size_t bytes) {
    size_t offset = 0;
    for (int k = 0; k < t->servers; k++)
        if (draco_share_asked(t->asked_by, k)) offset += t->peers[k].server.request.reply_bytes;
    if (t->asked_by == -2 || (reply && offset != bytes)) return DRACO_E_ARGUMENT;
    offset = 0;
    for (int k = 0; k < t->servers; k++) {
        drm_peer *p = &t->peers[k];
        if (!draco_share_asked(t->asked_by, k)) continue;
        p->server.reply = p->server.head;
        p->server.body = reply ? reply + offset : NULL;
        p->server.body_bytes = reply ? draco_share_cut(&offset, bytes, p->server.request.reply_bytes) : 0;
        p->server.posted = 0;
        if (!reply) p->server.reply.reply_bytes = DRM_REFUSED;
        drm_turn_head(&p->server.reply);
        drm_send(t, p->rank, DRM_REPLY, &p->server.reply, sizeof p->server.reply, &p->server.replying,
                 &p->failed);
    }
    drm_let_go(t);
    return DRACO_OK;
}

/* Keep a window of slices under way; READY after the last. Returns whether all of it has left. */
static int drm_feed(draco_mpi *t, drm_peer *p) {
    while (p->server.posted < p->server.body_bytes && p->server.replying < DRM_WINDOW && !p->failed) {
        size_t n = p->server.body_bytes - p->server.posted;
        if (n > DRACO_MPI_SLICE) n = DRACO_MPI_SLICE;
        drm_send(t, p->rank, DRM_SLICE, p->server.body + p->server.posted, n, &p->server.replying,
                 &p->failed);
        p->server.posted += n;
    }
    if (p->server.posted == p->server.body_bytes) drm_announce(t, p);
    return p->server.posted == p->server.body_bytes && p->server.replying == 0;
}

static draco_status drm_submit(void *ctx, const draco_request *request, const void *reply, size_t bytes) {
    draco_mpi *t = ctx;
    int by = t->asked_by;
    draco_status status = drm_cut(t, reply, bytes);
    (void)request;
    t->idle = 0;
    while (status >= 0) {
        int left = 0;
        for (int k = 0; k < t->servers; k++)
            if (draco_share_asked(by, k) && !t->peers[k].gone) left += !drm_feed(t, &t->peers[k]);
        if (left == 0) break;
        drm_progress(t);
        status = drm_servers_there(t);
        drm_idle(t, DRM_FLOWING);
    }
    return status;
}

/* ---- Opening and closing ---- */

static int drm_server_rank(const draco_mpi_config *c, int k) {
    return c->server_ranks ? c->server_ranks[k] : k;
}

DRACO_MPI_API draco_status draco_mpi_role(const draco_mpi_config *c, int *server, int *worker, int *workers) {
    int rank, size, servers, below = 0;
    if (!c || c->comm == MPI_COMM_NULL || MPI_Comm_rank(c->comm, &rank) != MPI_SUCCESS ||
        MPI_Comm_size(c->comm, &size) != MPI_SUCCESS)
        return DRACO_E_ARGUMENT;
    servers = c->servers > 0 ? c->servers : 1;
    *server = -1;
    for (int k = 0; k < servers; k++) {
        int one = drm_server_rank(c, k);
        if (one < 0 || one >= size) return DRACO_E_CONFIG;
        for (int j = 0; j < k; j++)
            if (drm_server_rank(c, j) == one) return DRACO_E_CONFIG;
        if (one == rank) *server = k;
        below += one < rank;
    }
    *worker = *server < 0 ? rank - below : -1;
    *workers = size - servers;
    return *workers < 1 || (c->workers > 0 && c->workers != *workers) ? DRACO_E_CONFIG : DRACO_OK;
}

/* The peers of this rank: all workers if it is a server, then all servers. */
static draco_status drm_meet(draco_mpi *t) {
    int rank = 0, servers = 0;
    draco_status status;
    t->count = (t->server >= 0 ? t->n : 0) + t->servers;
    t->peers = calloc((size_t)t->count, sizeof *t->peers);
    if (!t->peers) return DRACO_E_MEMORY;
    t->lost = calloc((size_t)t->count, sizeof *t->lost);
    if (!t->lost) return DRACO_E_MEMORY;
    status = draco_liveness_links_open(&t->lines, t->count, t->server >= 0 && !t->config.no_liveness);
    if (status < 0) return status;
    t->rank_of = calloc((size_t)t->n, sizeof *t->rank_of);
    if (!t->rank_of) return DRACO_E_MEMORY;
    for (int i = 0; i < t->n; rank++) {
        int is_server = 0;
        for (int k = 0; k < t->servers; k++) is_server |= drm_server_rank(&t->config, k) == rank;
        if (!is_server) t->rank_of[i++] = rank;
    }
    for (int i = 0; t->server >= 0 && i < t->n; i++) {
        t->peers[i].number = i;
        t->peers[i].rank = t->rank_of[i];
    }
    for (drm_peer *p = drm_servers(t); servers < t->servers; servers++, p++) {
        p->is_server = 1;
        p->number = servers;
        p->rank = drm_server_rank(&t->config, servers);
        draco_shard(t->config.dim, t->servers, servers, &p->server.shard_first, &p->server.shard_count);
        if (p->server.shard_count == 0) {
            drm_say(t, "%zu parameters are too few for %d servers", t->config.dim, t->servers);
            return DRACO_E_CONFIG;
        }
    }
    return DRACO_OK;
}

/* What relaying takes, at either end. */
static draco_status drm_relay_memory(draco_mpi *t) {
    size_t n = (size_t)t->n;
    draco_status status = DRACO_OK;
    if (t->server >= 0) {
        t->takes = calloc(n, 1);
        t->gives = calloc(n, 1);
        t->pieces = calloc(n, sizeof *t->pieces);
        if (!t->takes || !t->gives || !t->pieces) return DRACO_E_MEMORY;
        return draco_relay_server_open(&t->relay, t->n, t->config.liars > 0 ? t->config.liars : -1);
    }
    t->sources = calloc(n, sizeof *t->sources);
    if (!t->sources) return DRACO_E_MEMORY;
    for (int k = 0; k < t->servers && status >= 0; k++) {
        drm_relayed *r = &t->peers[k].server.relayed;
        r->order = malloc(draco_relay_order_bytes(t->n));
        r->ask = malloc(draco_relay_ask_bytes(t->n));
        r->lane = calloc(n, sizeof *r->lane);
        r->gift = calloc(n + 1, sizeof *r->gift);
        if (!r->order || !r->ask || !r->lane || !r->gift) return DRACO_E_MEMORY;
        status = draco_relay_worker_open(&r->state, t->n, t->worker);
    }
    return status;
}

static draco_status drm_memory(draco_mpi *t) {
    if (t->server >= 0) {
        t->shard_count = drm_servers(t)[t->server].server.shard_count;
        for (int i = 0; i < DRM_OUTGOING; i++) {
            t->outgoing[i].whom = calloc(1, (size_t)t->n);
            if (!t->outgoing[i].whom) return DRACO_E_MEMORY;
        }
        return DRACO_OK;
    }
    t->params = aligned_alloc(64, (t->config.dim * sizeof(float) + 63) / 64 * 64);
    return t->params ? DRACO_OK : DRACO_E_MEMORY;
}

/* Is a rank dead, or has never come? */
static int drm_someone_missing(draco_mpi *t) {
    int missing = t->exchange_failed;
    for (int i = 0; i < t->n; i++) missing |= drm_workers(t)[i].gone || !drm_workers(t)[i].greeted;
    return missing;
}

/* STOP goes out unasked for: a worker finds it whenever it listens next. reply_bytes says whether all ranks
   are there to the end. */
static void drm_say_stop(draco_mpi *t) {
    for (int i = 0; i < t->n; i++) {
        drm_peer *p = &drm_workers(t)[i];
        if (!p->welcomed || p->gone) continue;
        p->worker.stop = (drm_head){.magic = DRM_MAGIC,
                                    .version = DRACO_VERSION,
                                    .kind = DRACO_REQUEST_STOP,
                                    .step = (uint64_t) - (int)t->ended,
                                    .reply_bytes = (uint64_t)t->missing};
        drm_turn_head(&p->worker.stop);
        drm_send(t, p->rank, DRM_REQUEST, &p->worker.stop, sizeof p->worker.stop, &p->worker.stopping,
                 &p->failed);
    }
}

/* Workers that are to take their leave yet. */
static int drm_lingering(draco_mpi *t) {
    int left = 0;
    for (int i = 0; i < t->n; i++) {
        drm_peer *p = &drm_workers(t)[i];
        if (p->welcomed && !p->refused && !p->gone) left += drm_tied(t, p) || p->worker.stopping > 0;
    }
    return left;
}

/* Servers that differ about who is missing would leave ranks in MPI_Finalize: who misses anybody, or is not heard
   in time, makes somebody missing for all. */
static void drm_part(draco_mpi *t, double until) {
    t->parting = (unsigned char)t->missing;
    t->partings = t->parting_failed = 0;
    for (int k = 0; k < t->servers; k++) {
        drm_peer *p = &drm_servers(t)[k];
        p->parting = k != t->server;
        if (k == t->server || p->gone) continue;
        drm_receive_all(t, p->rank, DRM_PARTING, &p->parting, 1, &t->partings, &t->parting_failed);
        drm_send(t, p->rank, DRM_PARTING, &t->parting, 1, &t->partings, &t->parting_failed);
    }
    while (t->partings > 0 && !t->parting_failed && drm_now() < until) drm_work(t);
    for (int k = 0; k < t->servers; k++) t->missing |= drm_servers(t)[k].parting;
}

static void drm_dismiss(draco_mpi *t) {
    double patience = t->config.stop_seconds > 0 ? t->config.stop_seconds : 5, until = drm_now() + patience;
    t->inbox = NULL;
    t->current = NULL;
    t->missing |= drm_someone_missing(t);
    drm_part(t, until);
    t->closing = 1; /* whoever goes from here on was told to */
    drm_say_stop(t);
    until = drm_now() + patience;
    while (drm_lingering(t) > 0 && drm_now() < until) drm_work(t);
    if (drm_lingering(t) > 0) t->missing = 1;
    if (t->partings == 0) drm_part(t, until + 1);
}

/* What MPI may still read or write is left to the end of the process. */
static void drm_free(draco_mpi *t) {
    if (t->used > 0) return;
    for (int i = 0; i < t->count && t->peers; i++) {
        for (int k = 0; k < DRM_SLOTS; k++) free(t->peers[i].slot[k].memory);
        free(t->peers[i].server.extra);
        draco_relay_worker_close(&t->peers[i].server.relayed.state);
        for (int g = 0; g <= t->n && t->peers[i].server.relayed.gift; g++)
            free(t->peers[i].server.relayed.gift[g].memory);
        free(t->peers[i].server.relayed.order);
        free(t->peers[i].server.relayed.ask);
        free(t->peers[i].server.relayed.lane);
        free(t->peers[i].server.relayed.gift);
    }
    for (int i = 0; i < t->n && t->sources; i++) free(t->sources[i].memory);
    free(t->sources);
    free(t->rank_of);
    free(t->takes);
    free(t->gives);
    free(t->pieces);
    draco_relay_server_close(&t->relay);
    for (int i = 0; i < DRM_OUTGOING; i++) {
        free(t->outgoing[i].memory);
        free(t->outgoing[i].whom);
    }
    free(t->drain.memory);
    free(t->exchange_memory);
    free(t->hello);
    free(t->params);
    free(t->joined.bytes);
    free(t->extras.bytes);
    free(t->peers);
    free(t->requests);
    free(t->calls);
    free(t->indices);
    free(t->statuses);
    free(t->lost);
    free(t->text);
    free(t);
}

static draco_status drm_close(void *ctx) {
    draco_mpi *t = ctx;
    draco_status status;
    if (t->server >= 0 && t->opened) drm_dismiss(t);
    status = t->missing ? DRACO_MORE : DRACO_OK;
    drm_flush(t, 0.1);
    draco_liveness_links_close(&t->lines);
    if (t->former != MPI_ERRHANDLER_NULL) {
        MPI_Comm_set_errhandler(t->config.comm, t->former);
        MPI_Errhandler_free(&t->former);
    }
    drm_free(t);
    return status;
}

static const char *drm_explain(void *ctx) {
    return ((draco_mpi *)ctx)->why;
}

/* A rank that has died does not come back, nor does one that was cut off or refused. */
static int drm_lost(void *ctx) {
    draco_mpi *t = ctx;
    int lost = 0;
    for (int i = 0; i < t->n; i++) lost += drm_workers(t)[i].gone || drm_workers(t)[i].refused;
    return lost;
}

static void drm_conclude(void *ctx, draco_status how) {
    ((draco_mpi *)ctx)->ended = how < 0 ? how : DRACO_OK;
}

static void drm_fill(draco_transport *transport, draco_mpi *t) {
    transport->size = sizeof *transport;
    transport->name = "mpi";
    transport->ctx = t;
    transport->workers = t->n;
    transport->close = drm_close;
    transport->explain = drm_explain;
    if (t->server >= 0) {
        transport->broadcast = drm_broadcast;
        transport->collect = drm_collect;
        transport->fetch = drm_fetch;
        transport->exchange = t->servers > 1 ? drm_exchange : NULL;
        transport->conclude = drm_conclude;
        transport->lost = drm_lost;
        transport->server = t->server;
    } else {
        transport->receive = drm_receive;
        transport->submit = drm_submit;
    }
    transport->servers = t->servers;
}

static draco_status drm_set_up(draco_mpi *t, const draco_mpi_config *config) {
    draco_status status;
    t->config = *config;
    t->former = MPI_ERRHANDLER_NULL;
    t->asked_by = -2;
    t->server = t->worker = -1;
    t->text = strdup(config->text ? config->text : "");
    if (!t->text) return DRACO_E_MEMORY;
    if (strlen(t->text) >= DRM_TEXT || config->dim == 0) return DRACO_E_ARGUMENT;
    t->servers = config->servers > 0 ? config->servers : 1;
    status = draco_mpi_role(config, &t->server, &t->worker, &t->n);
    if (status < 0) {
        drm_say(t, "the communicator does not have %d workers beside %d different servers", config->workers,
                t->servers);
        return status;
    }
    MPI_Comm_rank(config->comm, &t->rank);
    MPI_Comm_get_errhandler(config->comm, &t->former);
    MPI_Comm_set_errhandler(config->comm, MPI_ERRORS_RETURN);
    status = drm_meet(t);
    if (status >= 0) status = drm_memory(t);
    if (status >= 0 && config->relay) status = drm_relay_memory(t);
    return status;
}

DRACO_MPI_API draco_status draco_mpi_open(draco_transport *transport, const draco_mpi_config *config) {
    draco_mpi *t;
    draco_status status;
    if (!transport || !config) return DRACO_E_ARGUMENT;
    memset(transport, 0, sizeof *transport);
    t = calloc(1, sizeof *t);
    if (!t) return DRACO_E_MEMORY;
    status = drm_set_up(t, config);
    if (status >= 0) status = drm_start(t);
    if (status < 0 && !t->why[0]) drm_say(t, "%s", draco_status_text(status));
    drm_fill(transport, t);
    return status;
}

DRACO_MPI_API int draco_mpi_worker(const draco_transport *transport) {
    return ((const draco_mpi *)transport->ctx)->worker;
}

DRACO_MPI_API const char *draco_mpi_host(const draco_transport *transport, int worker) {
    draco_mpi *t = transport->ctx;
    return t->server >= 0 && worker >= 0 && worker < t->n ? drm_workers(t)[worker].host : "";
}

DRACO_MPI_API void draco_mpi_count(const draco_transport *transport, draco_mpi_counters *counters) {
    *counters = ((const draco_mpi *)transport->ctx)->counters;
}

#endif /* DRACO_MPI_IMPLEMENTED */
#endif /* DRACO_MPI_IMPLEMENTATION */
