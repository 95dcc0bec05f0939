/* draco_grpc_wire.h - version 0.1.0 - part of draco_grpc.h: the frames of draco.proto

   Included by draco_grpc.h.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#include "draco_grpc.h"

#if defined(DRACO_GRPC_IMPLEMENTATION) && !defined(DRACO_GRPC_WIRE_PART)
#define DRACO_GRPC_WIRE_PART

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DRG_METHOD "/draco.v1.ParameterServer/Train"

/* ---- The wire ---- */

static size_t drg_put_varint(uint8_t *out, uint64_t v) {
    size_t n = 0;
    for (; v >= 128; v >>= 7) out[n++] = (uint8_t)(v | 128);
    out[n++] = (uint8_t)v;
    return n;
}

static size_t drg_put_uint(uint8_t *out, unsigned field, uint64_t v) {
    if (!v) return 0; /* proto3 leaves zeros out */
    out[0] = (uint8_t)(field << 3);
    return 1 + drg_put_varint(out + 1, v);
}

static size_t drg_put_fixed(uint8_t *out, unsigned field, uint64_t v) {
    if (!v) return 0;
    out[0] = (uint8_t)(field << 3 | 1);
    for (int i = 0; i < 8; i++) out[1 + i] = (uint8_t)(v >> (8 * i));
    return 9;
}

DRACO_GRPC_API size_t draco_grpc_frame_encode(const draco_grpc_frame *f, uint8_t out[DRACO_GRPC_HEADER]) {
    size_t n = 0;
    n += drg_put_uint(out + n, 1, f->kind);
    n += drg_put_uint(out + n, 2, f->worker);
    n += drg_put_fixed(out + n, 3, f->round);
    n += drg_put_fixed(out + n, 4, f->offset);
    n += drg_put_fixed(out + n, 5, f->total);
    n += drg_put_uint(out + n, 6, f->version);
    n += drg_put_fixed(out + n, 7, f->code);
    n += drg_put_fixed(out + n, 8, f->step);
    n += drg_put_uint(out + n, 9, f->request);
    n += drg_put_fixed(out + n, 10, f->params);
    n += drg_put_fixed(out + n, 11, f->reply);
    n += drg_put_uint(out + n, 12, f->chunk);
    n += drg_put_fixed(out + n, 13, f->wave);
    n += drg_put_fixed(out + n, 14, f->order);
    if (f->payload_bytes) {
        out[n++] = 15 << 3 | 2;
        n += drg_put_varint(out + n, f->payload_bytes);
    }
    return n;
}

/* Reading stays inside [at, end); a field that does not fit is malformed. */
typedef struct drg_reader {
    const uint8_t *bytes;
    size_t at, end;
} drg_reader;

static int drg_get_varint(drg_reader *r, uint64_t *v) {
    *v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (r->at >= r->end) return 0;
        const uint8_t byte = r->bytes[r->at++];
        if (shift == 63 && byte > 1) return 0;
        *v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return 1;
    }
    return 0;
}

static int drg_get_fixed(drg_reader *r, size_t bytes, uint64_t *v) {
    if (r->end - r->at < bytes) return 0;
    *v = 0;
    for (size_t i = 0; i < bytes; i++) *v |= (uint64_t)r->bytes[r->at + i] << (8 * i);
    r->at += bytes;
    return 1;
}

static void drg_set(draco_grpc_frame *f, uint64_t field, uint64_t v) {
    switch (field) {
    case 1:
        f->kind = (uint32_t)v;
        break;
    case 2:
        f->worker = (uint32_t)v;
        break;
    case 3:
        f->round = v;
        break;
    case 4:
        f->offset = v;
        break;
    case 5:
        f->total = v;
        break;
    case 6:
        f->version = (uint32_t)v;
        break;
    case 7:
        f->code = v;
        break;
    case 8:
        f->step = v;
        break;
    case 9:
        f->request = (uint32_t)v;
        break;
    case 10:
        f->params = v;
        break;
    case 11:
        f->reply = v;
        break;
    case 12:
        f->chunk = (uint32_t)v;
        break;
    case 13:
        f->wave = v;
        break;
    case 14:
        f->order = v;
        break;
    default:
        break; /* a later version's field */
    }
}

/* The wire type of each field of the contract. */
static int drg_form_is_right(uint64_t field, unsigned form) {
    switch (field) {
    case 1:
    case 2:
    case 6:
    case 9:
    case 12:
        return form == 0;
    case 3:
    case 4:
    case 5:
    case 7:
    case 8:
    case 10:
    case 11:
    case 13:
    case 14:
        return form == 1;
    case 15:
        return form == 2;
    default:
        return form == 0 || form == 1 || form == 2 || form == 5;
    }
}

DRACO_GRPC_API draco_status draco_grpc_frame_decode(draco_grpc_frame *frame, const uint8_t *head,
                                                    size_t bytes) {
    drg_reader r = {head, 0, bytes < DRACO_GRPC_HEADER ? bytes : DRACO_GRPC_HEADER};
    draco_grpc_frame f;
    memset(&f, 0, sizeof f);
    f.payload_at = bytes;
    while (r.at < bytes) {
        uint64_t tag, v;
        if (!drg_get_varint(&r, &tag)) return DRACO_E_MALFORMED;
        const uint64_t field = tag >> 3;
        const unsigned form = (unsigned)(tag & 7);
        if (field == 0 || !drg_form_is_right(field, form)) return DRACO_E_MALFORMED;
        if (form == 0   ? !drg_get_varint(&r, &v)
            : form == 1 ? !drg_get_fixed(&r, 8, &v)
            : form == 5 ? !drg_get_fixed(&r, 4, &v)
                        : !drg_get_varint(&r, &v))
            return DRACO_E_MALFORMED;
        if (field == 15) {
            if (v != bytes - r.at) return DRACO_E_MALFORMED; /* the payload ends with the frame */
            f.payload_at = r.at;
            f.payload_bytes = (size_t)v;
            break;
        }
        if (form == 2) {
            if (v > r.end - r.at) return DRACO_E_MALFORMED;
            r.at += (size_t)v;
        } else {
            if (form == 0 && field <= 12 && v > UINT32_MAX) return DRACO_E_MALFORMED;
            drg_set(&f, field, v);
        }
    }
    *frame = f;
    return DRACO_OK;
}

/* The frame that a byte buffer holds; compressed messages are none of ours. */
static draco_status drg_open(grpc_byte_buffer *buffer, draco_grpc_frame *frame) {
    if (buffer->type != GRPC_BB_RAW || buffer->data.raw.compression != GRPC_COMPRESS_NONE)
        return DRACO_E_MALFORMED;
    uint8_t head[DRACO_GRPC_HEADER];
    size_t have = 0;
    grpc_byte_buffer_reader reader;
    grpc_slice *slice;
    if (!grpc_byte_buffer_reader_init(&reader, buffer)) return DRACO_E_MALFORMED;
    while (have < sizeof head && grpc_byte_buffer_reader_peek(&reader, &slice)) {
        size_t n = GRPC_SLICE_LENGTH(*slice);
        if (n > sizeof head - have) n = sizeof head - have;
        memcpy(head + have, GRPC_SLICE_START_PTR(*slice), n);
        have += n;
    }
    grpc_byte_buffer_reader_destroy(&reader);
    return draco_grpc_frame_decode(frame, head, grpc_byte_buffer_length(buffer));
}

/* out[0..n) = bytes skip.. of the buffer, which holds at least skip + n. */
static void drg_copy(grpc_byte_buffer *buffer, size_t skip, void *out, size_t n) {
    grpc_byte_buffer_reader reader;
    grpc_slice *slice;
    unsigned char *to = (unsigned char *)out;
    if (!n || !grpc_byte_buffer_reader_init(&reader, buffer)) return;
    while (n && grpc_byte_buffer_reader_peek(&reader, &slice)) {
        const size_t length = GRPC_SLICE_LENGTH(*slice);
        if (skip >= length) {
            skip -= length;
            continue;
        }
        const size_t take = length - skip < n ? length - skip : n;
        memcpy(to, GRPC_SLICE_START_PTR(*slice) + skip, take);
        to += take;
        n -= take;
        skip = 0;
    }
    grpc_byte_buffer_reader_destroy(&reader);
}

/* ---- What both ends need ---- */

static double drg_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Wait for a signal, but not past `until` (HUGE_VAL: as long as it takes). */
static void drg_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, double until) {
    if (until > 1e15) {
        pthread_cond_wait(cond, mutex);
        return;
    }
    struct timespec t;
    t.tv_sec = (time_t)until;
    t.tv_nsec = (long)(1e9 * (until - (double)t.tv_sec));
    pthread_cond_timedwait(cond, mutex, &t);
}

static void drg_cond_init(pthread_cond_t *cond) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

static draco_status drg_fail(char *why, size_t capacity, draco_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static draco_status drg_fail(char *why, size_t capacity, draco_status status, const char *format, ...) {
    if (why && capacity) {
        va_list args;
        va_start(args, format);
        vsnprintf(why, capacity, format, args);
        va_end(args);
    }
    return status;
}

/* What happened last, for explain, and the user's callback. */
typedef struct drg_journal {
    pthread_mutex_t mutex;
    char last[512], shown[512];
    draco_grpc_event_fn on_event;
    void *ctx;
} drg_journal;

static void drg_say(drg_journal *journal, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void drg_say(drg_journal *journal, const char *format, ...) {
    char line[sizeof journal->last];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127) *c = ' '; /* a peer's words must not steer a terminal */
    pthread_mutex_lock(&journal->mutex);
    memcpy(journal->last, line, sizeof line);
    if (journal->on_event) journal->on_event(journal->ctx, line);
    pthread_mutex_unlock(&journal->mutex);
}

static const char *drg_last(drg_journal *journal) {
    pthread_mutex_lock(&journal->mutex);
    memcpy(journal->shown, journal->last, sizeof journal->shown);
    pthread_mutex_unlock(&journal->mutex);
    return journal->shown;
}

static double drg_seconds(double seconds, double otherwise) {
    return seconds < 0 ? HUGE_VAL : seconds > 0 ? seconds : otherwise;
}

static draco_status drg_limits(draco_grpc_limits *l, int workers, char *why, size_t capacity) {
    if (!l->message_bytes) l->message_bytes = (size_t)4 << 30;
    if (!l->chunk_bytes) l->chunk_bytes = 1 << 20;
    if (!l->connections) l->connections = workers + 64;
    l->join_seconds = drg_seconds(l->join_seconds, 2);
    l->start_seconds = drg_seconds(l->start_seconds, 30);
    l->rejoin_seconds = drg_seconds(l->rejoin_seconds, 2);
    l->give_up_seconds = drg_seconds(l->give_up_seconds, 120);
    if (l->keepalive_seconds <= 0) l->keepalive_seconds = 10;
    if (l->keepalive_seconds > 1e6) l->keepalive_seconds = 1e6;
    if (l->chunk_bytes < 1024 || l->chunk_bytes > 3 << 20)
        return drg_fail(why, capacity, DRACO_E_ARGUMENT, "chunks must have 1 KiB to 3 MiB, not %zu bytes",
                        l->chunk_bytes);
    if (l->connections < workers)
        return drg_fail(why, capacity, DRACO_E_ARGUMENT, "%d connections are too few for %d workers",
                        l->connections, workers);
    return DRACO_OK;
}

/* A whole small file as text, from malloc. */
static char *drg_file(const char *name, char *why, size_t capacity) {
    FILE *file = fopen(name, "rb");
    char *text = file ? (char *)calloc(1, (1 << 20) + 1) : NULL;
    const size_t n = text ? fread(text, 1, (1 << 20) + 1, file) : 0;
    if (!file)
        drg_fail(why, capacity, DRACO_E_IO, "%s: %s", name, strerror(errno));
    else if (!text)
        drg_fail(why, capacity, DRACO_E_MEMORY, "%s: no memory", name);
    else if (n == 0 || n > 1 << 20 || ferror(file) || !strstr(text, "-----BEGIN ")) {
        drg_fail(why, capacity, DRACO_E_IO, "%s: not a PEM file", name);
        free(text);
        text = NULL;
    }
    if (file) fclose(file);
    return text;
}

typedef struct drg_pem {
    char *ca, *certificate, *key;
} drg_pem;

static void drg_pem_free(drg_pem *pem) {
    free(pem->ca);
    free(pem->certificate);
    free(pem->key);
}

static draco_status drg_pem_read(drg_pem *pem, const draco_grpc_tls *tls, char *why, size_t capacity) {
    memset(pem, 0, sizeof *pem);
    if (!tls->ca && !tls->certificate && !tls->key) return DRACO_OK;
    if (!tls->ca || !tls->certificate || !tls->key)
        return drg_fail(why, capacity, DRACO_E_ARGUMENT,
                        "TLS needs all three: the CA's certificate, a certificate and its key");
    pem->ca = drg_file(tls->ca, why, capacity);
    pem->certificate = pem->ca ? drg_file(tls->certificate, why, capacity) : NULL;
    pem->key = pem->certificate ? drg_file(tls->key, why, capacity) : NULL;
    if (pem->key) return DRACO_OK;
    drg_pem_free(pem);
    return DRACO_E_IO;
}

/* May this address be spoken to in plain text? */
static int drg_is_local(const char *address) {
    if (!strncmp(address, "unix:", 5)) return 1;
    const char *scheme[] = {"dns:///", "dns:", "ipv4:", "ipv6:"};
    for (size_t i = 0; i < sizeof scheme / sizeof *scheme; i++)
        if (!strncmp(address, scheme[i], strlen(scheme[i]))) {
            address += strlen(scheme[i]);
            break;
        }
    if (!strncmp(address, "localhost:", 10) || !strncmp(address, "[::1]:", 6)) return 1;
    char host[32];
    const size_t n = strcspn(address, ":");
    struct in_addr ip;
    if (n >= sizeof host) return 0;
    memcpy(host, address, n);
    host[n] = 0;
    return inet_pton(AF_INET, host, &ip) == 1 && ntohl(ip.s_addr) >> 24 == 127;
}

/* The port that a TCP address ends in, NULL: it has none. A host of several colons outside brackets is IPv6. */
static const char *drg_port_of(const char *address) {
    const char *slash = strrchr(address, '/'), *end;
    if (!strncmp(address, "unix", 4)) return NULL;
    if (slash) address = slash + 1;
    const char *scheme[] = {"dns:", "ipv4:", "ipv6:"};
    for (size_t i = 0; i < sizeof scheme / sizeof *scheme; i++)
        if (!strncmp(address, scheme[i], strlen(scheme[i]))) {
            address += strlen(scheme[i]);
            break;
        }
    if ((end = strrchr(address, ']'))) return end[1] == ':' ? end + 2 : NULL;
    end = strrchr(address, ':');
    return end && end == strchr(address, ':') ? end + 1 : NULL;
}

/* gRPC takes a port modulo 65536. */
static int drg_is_port(const char *text) {
    const size_t n = strspn(text, "0123456789");
    return n > 0 && n <= 5 && !text[n] && strtol(text, NULL, 10) <= 65535;
}

/* Is this an address of gRPC's kinds, and may it be spoken to as configured? A name in front of "://" that
   gRPC does not know would be taken for a host. */
static draco_status drg_address_allowed(const char *address, const drg_pem *pem, int insecure, char *why,
                                        size_t capacity) {
    const char *scheme[] = {"dns://", "ipv4://", "ipv6://", "unix://"};
    int known = !strstr(address, "://");
    for (size_t i = 0; i < sizeof scheme / sizeof *scheme; i++)
        known |= !strncmp(address, scheme[i], strlen(scheme[i]));
    if (!known)
        return drg_fail(why, capacity, DRACO_E_ARGUMENT,
                        "%s is not an address: write host:port without \"%.*s://\", or unix:path", address,
                        (int)(strstr(address, "://") - address), address);
    const char *port = drg_port_of(address);
    if (port && !drg_is_port(port))
        return drg_fail(why, capacity, DRACO_E_ARGUMENT, "%s: '%s' is not a port (0 to 65535)", address,
                        port);
    if (pem->ca || insecure || drg_is_local(address)) return DRACO_OK;
    return drg_fail(why, capacity, DRACO_E_ARGUMENT,
                    "%s is not on this machine: give a CA, a certificate and a key (plain text is for "
                    "loopback and Unix-domain sockets)",
                    address);
}

/* gRPC unlinks a Unix-domain socket before it binds to its path, whoever listens there. Refuse a path that
   answers; one that a dead server left behind refuses the connection and is taken over. */
static draco_status drg_unix_is_free(const char *address, char *why, size_t capacity) {
    struct sockaddr_un name;
    if (strncmp(address, "unix:", 5)) return DRACO_OK;
    const char *path = address + (strncmp(address, "unix:///", 8) ? 5 : 7);
    memset(&name, 0, sizeof name);
    name.sun_family = AF_UNIX;
    if (strlen(path) >= sizeof name.sun_path)
        return drg_fail(why, capacity, DRACO_E_ARGUMENT, "cannot listen on %s: a path has at most %zu bytes",
                        address, sizeof name.sun_path - 1);
    memcpy(name.sun_path, path, strlen(path));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return drg_fail(why, capacity, DRACO_E_IO, "cannot listen on %s: %s", address, strerror(errno));
    /* EAGAIN: it listens, and its queue of connections is full */
    const int answers = !connect(fd, (struct sockaddr *)&name, sizeof name) || errno == EAGAIN;
    close(fd);
    if (!answers) return DRACO_OK;
    return drg_fail(why, capacity, DRACO_E_IO, "cannot listen on %s: another server listens there", address);
}

/* gRPC allocates and frees what passes through it in pieces, and glibc gives the top of its heap back to the
   system above 128 KiB, to fault it in again for the next message: a third of a round's time at a million
   floats. Freeing one mapped block moves that limit to twice its size (mallopt(3), M_MMAP_THRESHOLD),
   unless the program has set it. */
static void drg_warm_heap(void) {
    void *volatile block = malloc((size_t)4 << 20);
    free(block);
}

/* Channel arguments are collected in a fixed table. */
typedef struct drg_args {
    grpc_arg arg[32];
    grpc_channel_args args;
} drg_args;

static void drg_arg(drg_args *a, const char *key, int value) {
    grpc_arg *arg = &a->arg[a->args.num_args++];
    arg->type = GRPC_ARG_INTEGER;
    arg->key = (char *)(uintptr_t)key;
    arg->value.integer = value;
}

static void drg_common_args(drg_args *a, const draco_grpc_limits *l, size_t chunk_bytes) {
    memset(a, 0, sizeof *a);
    a->args.args = a->arg;
    drg_arg(a, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)(chunk_bytes + DRACO_GRPC_HEADER));
    drg_arg(a, GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1);
    drg_arg(a, GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
    drg_arg(a, GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
    drg_arg(a, GRPC_ARG_ENABLE_CHANNELZ, 0);
    drg_arg(a, GRPC_ARG_HTTP2_BDP_PROBE, 0);
    drg_arg(a, GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1 << 20);
    drg_arg(a, GRPC_ARG_KEEPALIVE_TIME_MS, (int)(1e3 * l->keepalive_seconds));
    drg_arg(a, GRPC_ARG_KEEPALIVE_TIMEOUT_MS, (int)(5e2 * l->keepalive_seconds));
    drg_arg(a, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    drg_arg(a, GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
}

/* End a completion queue, after its reader (NULL: none). */
static void drg_queue_end(grpc_completion_queue *queue, pthread_t *reader) {
    if (!queue) return;
    grpc_completion_queue_shutdown(queue);
    if (reader) pthread_join(*reader, NULL);
    while (!reader && grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
                          GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(queue);
}

#endif /* DRACO_GRPC_WIRE_PART */
