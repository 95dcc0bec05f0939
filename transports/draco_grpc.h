/* draco_grpc.h - version 0.1.0 - transport over gRPC: workers that come and go over networks nobody trusts
 *
 * Do this in one .c file, and link with -lgrpc -lgpr -lpthread -lm (gRPC C core 1.51); the program needs draco.h's implementation, too:
 *     #define DRACO_GRPC_IMPLEMENTATION
 *     #include "transports/draco_grpc.h"
 * DRACO_GRPC_STATIC, defined as well, makes a private copy. The declarations are C11 and C++17; the
 * implementation is C11 on Linux, with -std=gnu11 or _GNU_SOURCE. It stands in draco_grpc_wire.h (frames),
 * _peers.h (connections), _relay.h (parameters that workers relay), _server.h and _worker.h; nothing else calls gRPC.
 *
 * program:
 *     #define DRACO_IMPLEMENTATION
 *     #define DRACO_GRPC_IMPLEMENTATION
 *     #include "transports/draco_grpc.h"
 *     static void *reserve(void *ctx, int worker) { (void)worker; return ctx; }
 *     static void chunk(void *ctx, int worker, size_t offset, size_t n) {
 *         (void)ctx, (void)worker, (void)offset, (void)n;
 *     }
 *     static draco_status end(void *ctx, int worker, draco_arrival arrival) {
 *         (void)ctx, (void)worker;
 *         return arrival == DRACO_ARRIVAL_WHOLE ? DRACO_OK : DRACO_MORE;
 *     }
 *     int main(void) {
 *         draco_grpc_server_config listen = {.address = "127.0.0.1:0", .workers = 1};
 *         draco_transport server, worker;
 *         char address[32], reply[6] = "";
 *         if (draco_grpc_server_open(&server, &listen)) return 1;
 *         snprintf(address, sizeof address, "127.0.0.1:%d", draco_grpc_port(&server));
 *         draco_grpc_worker_config call = {.address = address, .index = 0};
 *         if (draco_grpc_worker_open(&worker, &call)) return 1;
 *         draco_request asked, ask = {.kind = DRACO_REQUEST_MESSAGE, .round = 1, .extra = "hello"};
 *         ask.extra_bytes = ask.reply_bytes = 6;
 *         draco_inbox inbox = {sizeof inbox, reply, reserve, chunk, end};
 *         if (server.broadcast(server.ctx, &ask) || worker.receive(worker.ctx, &asked)) return 1;
 *         if (worker.submit(worker.ctx, &asked, asked.extra, 6)) return 1;
 *         if (server.collect(server.ctx, &ask, 5, &inbox)) return 1;
 *         server.close(server.ctx);
 *         worker.close(worker.ctx);
 *         return strcmp(reply, "hello");
 *     }
 * end of program
 *
 * FLOW
 *   server   draco_grpc_server_open -> a draco_transport for draco_server_open -> close
 *   worker   draco_grpc_worker_open -> a draco_transport for draco_worker_run  -> close
 *   wire     draco.proto, one bidirectional stream per worker, hand-encoded: the bytes are protobuf's
 *
 * CONTRACT
 *   Identity   With TLS the certificate's one common name, worker-<k>, is the worker: it takes slot k and no
 *              other. A newer connection of the same name replaces the older one. In plain text the number in
 *              the HELLO is believed, first come first served; so plain text is refused off loopback and
 *              Unix-domain sockets unless `insecure` is set.
 *   Threads    The slots of a server are for one thread, those of a worker for one thread. Threads that the
 *              transport starts inherit the signal mask. While the server collects, the caller's thread reads
 *              gRPC's queue itself, at other times a thread of the transport does. Servers of one process
 *              share gRPC's poller, so each may do the other's work: one process per server is faster.
 *   Rows       The inbox is called from inside collect and fetch, on the caller's thread; no row is touched
 *              at any other time. A worker that reconnects during a round sends its reply from the start;
 *              what had come before stays and the rest is appended.
 *   Snapshots  broadcast copies the request once, into chunks that all workers' sends share. A chunk is free
 *              again when the last send lets go of it, so a worker that hangs holds back one chunk, not a
 *              model.
 *   Absent     A worker without a connection is awaited limits.start_seconds after the server opened, and
 *              limits.rejoin_seconds after it was lost; after that it is absent at once.
 *   Late       Replies carry their round; an old round's are read and dropped. A worker that sends more than
 *              it was asked for (an eighth and 64 KiB let pass) is cut off.
 *   Memory     Per worker one chunk in hand, one on the way, and the HTTP/2 windows (about 1 MiB). Flow
 *              control holds back the rest. A guard watches the bytes that each TCP connection brings in
 *              (Linux) and shuts the one that sends more than its windows allow, or that does not join in
 *              time.
 *   Errors     A refused or lost peer is no error of the run: it is told to on_event, with its address. open
 *              returns DRACO_E_ARGUMENT, DRACO_E_IO or DRACO_E_MEMORY, and explain says why; broadcast and
 *              collect return DRACO_E_STOPPED when *stop became non-zero; receive returns DRACO_E_TRANSPORT
 *              when the server stays away for give_up_seconds and DRACO_E_CONFIG when it refuses the worker;
 *              explain says why.
 *   Admission  TCP connections are accepted by the server's own thread, which knows every descriptor: at most
 *              limits.connections, and workers + 16 of one address that have not joined. A new one takes the place of
 *              the oldest that has not joined in a tenth of a second, or is closed. gRPC does no work for it.
 *              A worker that joins more than a handful of times in a row waits before the next time: half a second,
 *              doubled by each, up to half a minute.
 *   Relay      With `relay` workers that listen (`relay_listen`) pass pieces of the parameters on, verified
 *              (draco_relay.h): an order comes in place of the parameters, PIECE of what this worker is to relay and of what
 *              it asks for. A worker's listener is a server like the one above, for the workers of the run alone, and
 *              sends; it takes nothing but HELLOs. Everybody else, and who joins in the middle of it, gets the parameters directly.
 *   Log        The server takes over gRPC's log function, one per process: that is how it learns of failed
 *              handshakes. GRPC_VERBOSITY in the environment prevents it. Lines about strangers: 20, then one a second, and one
 *              a second about all others together; of those at a worker's listener that one alone.
 *   fork       Fork before the first open, or fork and exec.
 *
 * LIMITS n <= DRACO_MAX_WORKERS; chunks of 1 KiB to 3 MiB (other languages' gRPC takes messages up to 4
 *         MiB by default); Unix socket paths of 107 bytes, for trusted peers: the guard cannot see behind
 *         them. Everything on the wire is little-endian: a big-endian worker can take part.
 * SOURCES gRPC over HTTP/2 (github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md), Protocol Buffers encoding
 *         (protobuf.dev/programming-guides/encoding), tcp(7) for TCP_INFO.
 *
 * Copyright (c) 2026 The Draco authors
 * SPDX-License-Identifier: MIT */
#ifndef DRACO_GRPC_H
#define DRACO_GRPC_H

#include "../draco.h"

#define DRACO_GRPC_VERSION 0x000100
#ifndef DRACO_GRPC_API
#ifdef DRACO_GRPC_STATIC
#define DRACO_GRPC_API static __attribute__((unused))
#else
#define DRACO_GRPC_API extern
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Names of PEM files; all NULL: plain text. */
typedef struct draco_grpc_tls {
    const char *ca, *certificate, *key;
} draco_grpc_tls;

/* Zero: the default. Seconds below zero: without end. */
typedef struct draco_grpc_limits {
    size_t message_bytes;     /* longest request or reply, default 4 GiB */
    size_t chunk_bytes;       /* longest payload of one frame, default 1 MiB */
    int connections;          /* server: sockets at once, workers included, default workers + 64 */
    double join_seconds;      /* server: from connecting to a valid HELLO, default 2 */
    double start_seconds;     /* server: to wait for all workers before the first round, default 30 */
    double rejoin_seconds;    /* server: to wait in a round for a worker that was lost, default 2 */
    double give_up_seconds;   /* worker: to look for a server that is away, default 120 */
    double keepalive_seconds; /* both: between pings; half of it again and the peer is dead, default 10 */
} draco_grpc_limits;

/* One line of what happened: who joined, was lost, was refused and why. Called from any thread, not at once.
 */
typedef void (*draco_grpc_event_fn)(void *ctx, const char *line);

typedef struct draco_grpc_server_config {
    const char *address; /* host:port (port 0: any free), [::]:port, unix:path */
    int workers;         /* n */
    uint64_t code_id;    /* draco_code_id */
    const char
        *configuration; /* words "key=value" that a worker's must not contradict; told to each; may be NULL */
    draco_grpc_tls tls;
    int insecure; /* plain text off loopback: only where nobody else can listen or send */
    draco_grpc_limits limits;
    draco_grpc_event_fn on_event;
    void *event_ctx;
    const volatile int *stop; /* non-zero: give up waiting; may be NULL */
    int server, servers;      /* several servers: this one's number and how many; 0 and 0 when alone */
    const char *hub;          /* several servers: where server 0 listens for the others (names server-<k>) */
    const char
        *refused; /* file of certificates (PEM) and names, one a line, that are refused although the authority
                                 signed them; read again within a second of a change; may be NULL */
    int relay;    /* non-zero: workers that listen for each other relay the parameters */
    int liars;    /* relay: workers that may lie, default the most that any code can do with */
} draco_grpc_server_config;

typedef struct draco_grpc_worker_config {
    const char
        *address; /* host:port, unix:path, dns:///host:port; several servers: in their order, by comma */
    int index;
    uint64_t code_id;          /* 0: whatever the server uses */
    const char *configuration; /* words "key=value"; may be NULL */
    draco_grpc_tls tls;
    const char *server_name; /* name in the server's certificate when it is not the host's; may be NULL */
    int insecure;
    draco_grpc_limits limits;
    draco_grpc_event_fn on_event;
    void *event_ctx;
    const volatile int *stop; /* non-zero: give up waiting; may be NULL */
    const char *
        relay_listen; /* host or host:port where other workers reach this one; several servers: port, port + 1, ...; NULL: it
                                 relays nothing */
    const char *relay_address; /* host or host:port told to them, when it is not that; may be NULL */
    int workers;               /* with relay_listen: n */
} draco_grpc_worker_config;

/* Fill in the transport. When that fails, transport->explain says why, and transport->close frees that
   text. */
DRACO_GRPC_API draco_status draco_grpc_server_open(draco_transport *transport,
                                                   const draco_grpc_server_config *config);
DRACO_GRPC_API draco_status draco_grpc_worker_open(draco_transport *transport,
                                                   const draco_grpc_worker_config *config);
DRACO_GRPC_API int
draco_grpc_port(const draco_transport *server); /* the port it listens on; 0: a Unix socket */
DRACO_GRPC_API int draco_grpc_joined(const draco_transport *server); /* workers connected now */

/* ---- The wire: one frame of draco.proto ---- */
#define DRACO_GRPC_WIRE 4u     /* version of the contract */
#define DRACO_GRPC_HEADER 128u /* no frame's fields but the payload take more */
enum {
    DRACO_GRPC_HELLO = 1,
    DRACO_GRPC_WELCOME = 2,
    DRACO_GRPC_REQUEST = 3,
    DRACO_GRPC_REPLY = 4,
    DRACO_GRPC_PIECE = 5,
    DRACO_GRPC_ASK = 6
};
typedef struct draco_grpc_frame {
    uint32_t kind, worker, version, request, chunk;
    uint64_t round, offset, total, code, step, params, reply, wave, order;
    size_t payload_at, payload_bytes; /* payload: bytes [at, at + bytes) of the encoded frame */
} draco_grpc_frame;
/* Everything up to the payload, which follows it directly. Returns its bytes. */
DRACO_GRPC_API size_t draco_grpc_frame_encode(const draco_grpc_frame *frame, uint8_t out[DRACO_GRPC_HEADER]);
/* head: the first min(bytes, DRACO_GRPC_HEADER) bytes of a frame of `bytes` bytes. Fields in any order, the
   payload last, unknown fields skipped. */
DRACO_GRPC_API draco_status draco_grpc_frame_decode(draco_grpc_frame *frame, const uint8_t *head,
                                                    size_t bytes);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_GRPC_H */

#if defined(DRACO_GRPC_IMPLEMENTATION) && !defined(DRACO_GRPC_IMPLEMENTED)
#define DRACO_GRPC_IMPLEMENTED
#if defined(__cplusplus)
#error "draco_grpc.h: the implementation is C11: compile it in a .c file"
#elif !defined(__linux__)
#error "draco_grpc.h: the implementation needs Linux"
#elif defined(__STRICT_ANSI__) && !defined(_GNU_SOURCE)
#error "draco_grpc.h: the implementation needs POSIX: compile with -std=gnu11, or define _GNU_SOURCE first"
#endif
#include "draco_grpc_wire.h"
#include "draco_grpc_server.h"
#include "draco_grpc_worker.h"
#include "draco_grpc_relay.h"
#endif
