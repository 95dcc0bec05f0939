/* draco_grpc_peers.h - version 0.1.0 - part of draco_grpc.h: the server's connections

   Included by draco_grpc.h.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#include "draco_grpc.h"

#if defined(DRACO_GRPC_IMPLEMENTATION) && !defined(DRACO_GRPC_PEERS_PART)
#define DRACO_GRPC_PEERS_PART

#include "draco_grpc_wire.h"
#include "draco_handshake.h"
#include "draco_relay.h"

/* ---- Server: what goes out ---- */

/* Chunks come back from gRPC on any thread, inside any gRPC call: the way home is a push with atomics only.
 */
typedef struct drg_pool drg_pool;
typedef struct drg_chunk {
    struct drg_chunk *next;
    drg_pool *pool;
    unsigned char bytes[];
} drg_chunk;

struct drg_pool {
    _Atomic(drg_chunk *) returned;
    drg_chunk *idle;   /* the server's own thread */
    atomic_long users; /* chunks under way, and the server */
    size_t chunk_bytes;
};

static void drg_pool_leave(drg_pool *pool) {
    if (atomic_fetch_sub(&pool->users, 1) != 1) return;
    drg_chunk *lists[2] = {pool->idle, atomic_exchange(&pool->returned, NULL)};
    for (int i = 0; i < 2; i++)
        for (drg_chunk *c = lists[i], *next; c; c = next) {
            next = c->next;
            free(c);
        }
    free(pool);
}

static void drg_chunk_home(void *memory) {
    drg_chunk *chunk = (drg_chunk *)memory;
    drg_pool *pool = chunk->pool;
    chunk->next = atomic_load(&pool->returned);
    while (!atomic_compare_exchange_weak(&pool->returned, &chunk->next, chunk)) {
    }
    drg_pool_leave(pool);
}

static drg_chunk *drg_chunk_take(drg_pool *pool) {
    if (!pool->idle) pool->idle = atomic_exchange(&pool->returned, NULL);
    drg_chunk *chunk = pool->idle;
    if (chunk)
        pool->idle = chunk->next;
    else
        chunk = (drg_chunk *)malloc(sizeof *chunk + pool->chunk_bytes);
    if (!chunk) return NULL;
    chunk->pool = pool;
    atomic_fetch_add(&pool->users, 1);
    return chunk;
}

/* A request cut into frames, shared by all workers it goes to. */
typedef struct drg_outgoing {
    int refs; /* under the server's mutex */
    int has_params;
    uint64_t round, reply;
    size_t frames;
    grpc_slice *slices; /* frames x (header, payload) */
} drg_outgoing;

static void drg_outgoing_free(drg_outgoing *outgoing) {
    for (size_t i = 0; i < 2 * outgoing->frames; i++) grpc_slice_unref(outgoing->slices[i]);
    free(outgoing->slices);
    free(outgoing);
}

static void drg_outgoing_drop(drg_outgoing **outgoing) {
    if (*outgoing && --(*outgoing)->refs == 0) drg_outgoing_free(*outgoing);
    *outgoing = NULL;
}

static void drg_outgoing_set(drg_outgoing **place, drg_outgoing *outgoing) {
    if (outgoing) outgoing->refs++;
    drg_outgoing_drop(place);
    *place = outgoing;
}

/* Bytes [offset, offset + n) of a followed by b. */
static void drg_gather(unsigned char *out, size_t offset, size_t n, const void *a, size_t a_bytes,
                       const void *b) {
    const size_t first = offset < a_bytes ? (a_bytes - offset < n ? a_bytes - offset : n) : 0;
    if (first) memcpy(out, (const unsigned char *)a + offset, first);
    if (n > first) memcpy(out + first, (const unsigned char *)b + (offset + first - a_bytes), n - first);
}

/* frame: all but offset, total and payload. */
static drg_outgoing *drg_outgoing_new(drg_pool *pool, draco_grpc_frame frame, const void *a, size_t a_bytes,
                                      const void *b, size_t b_bytes) {
    const size_t total = a_bytes + b_bytes, chunk_bytes = pool->chunk_bytes;
    const size_t frames = total ? (total + chunk_bytes - 1) / chunk_bytes : 1;
    drg_outgoing *outgoing = (drg_outgoing *)calloc(1, sizeof *outgoing);
    if (outgoing) outgoing->slices = (grpc_slice *)calloc(2 * frames, sizeof *outgoing->slices);
    if (!outgoing || !outgoing->slices) {
        free(outgoing);
        return NULL;
    }
    outgoing->refs = 1;
    outgoing->has_params = frame.params > 0;
    outgoing->round = frame.round;
    outgoing->reply = frame.reply;
    frame.total = total;
    for (size_t i = 0; i < frames; i++) {
        drg_chunk *chunk = drg_chunk_take(pool);
        if (!chunk) {
            drg_outgoing_free(outgoing);
            return NULL;
        }
        frame.offset = i * chunk_bytes;
        frame.payload_bytes =
            total - frame.offset < chunk_bytes ? (size_t)(total - frame.offset) : chunk_bytes;
        drg_gather(chunk->bytes, (size_t)frame.offset, frame.payload_bytes, a, a_bytes, b);
        if (frame.offset / sizeof(float) < frame.params && !frame.order) {
            const size_t left = (size_t)(frame.params - frame.offset / sizeof(float));
            const size_t floats = frame.payload_bytes / sizeof(float);
            draco_little_endian(chunk->bytes, floats < left ? floats : left);
        }
        uint8_t head[DRACO_GRPC_HEADER];
        const size_t n = draco_grpc_frame_encode(&frame, head);
        outgoing->slices[2 * i] = grpc_slice_from_copied_buffer((const char *)head, n);
        outgoing->slices[2 * i + 1] =
            grpc_slice_new_with_user_data(chunk->bytes, frame.payload_bytes, drg_chunk_home, chunk);
        outgoing->frames++;
    }
    return outgoing;
}

/* ---- Server: connections ---- */

#define DRG_LINES 20.0 /* lines about strangers in a row; then one a second */

#define DRG_ADDRESS 64 /* bytes of a worker's address for the others, with the end */

typedef struct drg_server drg_server;
typedef struct drg_planner drg_planner;
typedef struct drg_conn drg_conn;
typedef enum drg_event { DRG_CLOSED, DRG_META, DRG_RECV, DRG_SEND, DRG_STATUS } drg_event;
typedef struct drg_tag {
    void *owner;
    drg_event event;
} drg_tag;

/* One call. It lives until its last batch is back and nobody holds it (pending counts both). */
struct drg_conn {
    drg_server *server;
    grpc_call *call;
    int pending;
    drg_tag closed, meta, recv, send, status;
    char peer[96];
    double accepted;
    int certified;           /* the worker its certificate names, or -1 in plain text */
    int slot;                /* -1 before a good HELLO */
    int gone, leaving, told; /* call over; status under way; its end is explained already */
    int silent;              /* it has not answered a ping */
    char name[68], *pem;     /* of its certificate; pem only where there is a list of refused ones */
    double left_at;
    int cancelling;
    int cancelled; /* written by gRPC */
    grpc_byte_buffer *incoming;
    drg_conn *next, *next_ready;
    /* Sending: frame out_frame of out is next or under way. */
    int sending, welcomed;
    drg_outgoing *out;
    size_t out_frame;
    uint64_t params_sent, sent; /* 1 + the newest round sent whole, 0 none */
    /* What it may still send, and what it did. */
    uint64_t credit, allowance, bytes_in, bytes_out;
    uint64_t cursor_round, cursor; /* bytes of this round's reply that came on this connection */
};

typedef struct drg_slot {
    drg_conn *conn;          /* who holds it now, or NULL */
    double lost_at;          /* -HUGE_VAL: never joined */
    char relay[DRG_ADDRESS]; /* where other workers reach it; empty: they do not */
    drg_outgoing **give;     /* n: pieces of the parameters that it is to be sent, the next one first */
    int gives;
    char host[96];               /* in plain text: whose visits are counted */
    double visits, visited_at;   /* how often it joined of late, and the last time */
    drg_outgoing *params, *want; /* the newest request with parameters, and the newest of all */
    /* The round being collected; touched by the collecting thread only. */
    unsigned char *row;
    size_t received;
    int ended;
} drg_slot;

typedef struct drg_socket { /* the guard's note of one TCP connection */
    int fd;
    ino_t inode;
    char peer[96];
    double since;   /* it has not been a worker's since */
    int was_joined; /* 1 a worker's, 2 was one: leaves in peace */
    int shut, told; /* told: its refusal is explained */
    drg_conn *conn;
    uint64_t base; /* bytes that came before conn */
} drg_socket;

struct drg_server {
    draco_grpc_limits limits;
    drg_journal journal;
    int workers, tls, port, started;
    uint64_t code_id;
    char *configuration;
    const volatile int *stop;
    draco_status ended; /* for the workers */
    int servers, first; /* first: the number in the name of slot 0 */
    const char *role;   /* "worker", or "server" on the line between servers */
    double opened;
    char *refused_path, *refused,
        *refused_seen;          /* certificates that are refused: as believed, as last read */
    int listener[8], listeners; /* the gate's sockets; none for a Unix-domain address */
    struct drg_taker *taker;    /* of gRPC: takes a connection that was accepted here */
    pthread_t gate;
    int gate_runs;
    grpc_server *server;
    grpc_completion_queue *queue, *accept_queue;
    pthread_t io, guard, acceptor;
    int threads; /* how many of these three run */
    int bound;
    grpc_channel *lame; /* leads nowhere: its one call serves to wake the I/O thread */
    grpc_call *nudge;
    drg_tag down_tag, nudge_tag;
    pthread_mutex_t mutex; /* everything below; never held across a call of gRPC */
    pthread_cond_t changed, returned;
    int closing, down;
    int borrowed, parked; /* the caller reads the queue; the I/O thread waits until it is done */
    drg_pool *pool;
    drg_slot *slots;
    drg_conn *conns;
    drg_conn *ready, **ready_end; /* connections with a message for collect */
    drg_outgoing *welcome;
    drg_socket *sockets; /* every TCP connection that was let in, by the gate */
    int socket_count;
    int turned_away, unsaid; /* connections, and lines about strangers, since the last line about them */
    char turned_peer[96], unsaid_line[240]; /* the last of them */
    double said_at, lines, burst; /* tokens for lines about strangers: so many, and then one a second */
    draco_transport hub;          /* between servers */
    drg_server *next;             /* in the process's list */
    uint64_t exchanges, waves;    /* requests between servers; requests to all workers */
    draco_status parted;          /* why an exchange between servers failed */
    drg_planner *planner;         /* of relayed broadcasts; NULL: there are none */
};

static void drg_conn_free(drg_conn *c) {
    if (c->incoming) grpc_byte_buffer_destroy(c->incoming);
    if (c->call) grpc_call_unref(c->call);
    free(c->pem);
    free(c);
}

/* Let go of a hold; the last one ends the connection's life. */
static void drg_release(drg_conn *c) {
    drg_server *s = c->server;
    pthread_mutex_lock(&s->mutex);
    const int last = --c->pending == 0;
    if (last) {
        drg_conn **at = &s->conns;
        while (*at != c) at = &(*at)->next;
        *at = c->next;
        drg_outgoing_drop(&c->out);
        for (int i = 0; i < s->socket_count; i++)
            if (s->sockets[i].conn == c) s->sockets[i].conn = NULL;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->mutex);
    if (last) drg_conn_free(c);
}

static int drg_hold(drg_conn *c) { /* under the mutex */
    if (c) c->pending++;
    return c != NULL;
}

/* Start one batch for which the caller took a hold; its completion lets go. */
static int drg_batch(drg_conn *c, const grpc_op *ops, size_t count, drg_tag *tag) {
    if (grpc_call_start_batch(c->call, ops, count, tag, NULL) == GRPC_CALL_OK) return 1;
    drg_release(c);
    return 0;
}

static void drg_listen(drg_conn *c) {
    pthread_mutex_lock(&c->server->mutex);
    const int go = !c->gone && !c->leaving && drg_hold(c);
    pthread_mutex_unlock(&c->server->mutex);
    if (!go) return;
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &c->incoming;
    drg_batch(c, &op, 1, &c->recv);
}

/* End a call with a status. */
static void drg_dismiss(drg_conn *c, grpc_status_code code, const char *text) {
    pthread_mutex_lock(&c->server->mutex);
    const int go = !c->gone && !c->leaving && drg_hold(c);
    if (go) {
        c->leaving = 1;
        c->left_at = drg_now();
    }
    if (c->slot >= 0 && c->server->slots[c->slot].conn == c) {
        c->server->slots[c->slot].conn = NULL;
        c->server->slots[c->slot].lost_at = drg_now();
        pthread_cond_broadcast(&c->server->changed);
    }
    pthread_mutex_unlock(&c->server->mutex);
    if (!go) return;
    grpc_slice details = grpc_slice_from_copied_string(text);
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    op.data.send_status_from_server.status = code;
    op.data.send_status_from_server.status_details = &details;
    drg_batch(c, &op, 1, &c->status);
    grpc_slice_unref(details);
}

static drg_socket *drg_socket_of(drg_server *s, const char *peer) { /* under the mutex */
    for (int i = 0; i < s->socket_count; i++)
        if (!strcmp(s->sockets[i].peer, peer)) return &s->sockets[i];
    return NULL;
}

/* A line about somebody who is no worker. Strangers cannot fill the log: what is too much is counted. */
static void drg_say_stranger(drg_server *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void drg_say_stranger(drg_server *s, const char *format, ...) {
    char line[640];
    va_list args;
    const double now = drg_now();
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    pthread_mutex_lock(&s->mutex);
    s->lines = fmin(s->burst, s->lines + (now - s->said_at));
    s->said_at = now;
    const int say = s->lines >= 1;
    if (say)
        s->lines -= 1;
    else {
        s->unsaid++;
        snprintf(s->unsaid_line, sizeof s->unsaid_line, "%.*s", (int)sizeof s->unsaid_line - 1, line);
    }
    pthread_mutex_unlock(&s->mutex);
    if (say) drg_say(&s->journal, "%s", line);
}

/* Name the peer, say why, and end its call. */
static void drg_refuse(drg_conn *c, grpc_status_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void drg_refuse(drg_conn *c, grpc_status_code code, const char *format, ...) {
    char why[320];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    c->told = 1;
    pthread_mutex_lock(&c->server->mutex);
    drg_socket *socket = drg_socket_of(c->server, c->peer);
    if (socket) socket->told = 1;
    pthread_mutex_unlock(&c->server->mutex);
    if (c->slot >= 0)
        drg_say(&c->server->journal, "refused %s %d (%s): %s", c->server->role, c->slot + c->server->first,
                c->peer, why);
    else
        drg_say_stranger(c->server, "refused %s: %s", c->peer, why);
    drg_dismiss(c, code, why);
}

/* What is sent next, under the mutex: the welcome, then the newest parameters, then the newest request. */
static drg_outgoing *drg_next_outgoing(drg_conn *c) {
    const drg_slot *slot = &c->server->slots[c->slot];
    if (!c->welcomed) return c->server->welcome;
    if (slot->params && slot->params->round >= c->params_sent) return slot->params;
    if (slot->want && slot->want->round >= c->sent) return slot->want;
    return slot->gives ? slot->give[0] : NULL;
}

static void drg_gives_shift(drg_slot *slot) { /* under the mutex */
    drg_outgoing_drop(&slot->give[0]);
    slot->gives--;
    memmove(slot->give, slot->give + 1, (size_t)slot->gives * sizeof *slot->give);
}

static void drg_frame_sent(drg_conn *c) { /* under the mutex */
    drg_outgoing *out = c->out;
    if (!out || ++c->out_frame < out->frames) return;
    drg_slot *slot = &c->server->slots[c->slot];
    if (slot->conn == c && slot->gives && slot->give[0] == out) drg_gives_shift(slot);
    if (out == c->server->welcome)
        c->welcomed = 1;
    else {
        if (out->has_params) c->params_sent = out->round + 1;
        if (out->round + 1 > c->sent) c->sent = out->round + 1;
        pthread_cond_broadcast(&c->server->changed);
    }
    drg_outgoing_drop(&c->out);
}

/* Send the next frame, if there is one and none is under way. */
static void drg_pump(drg_conn *c) {
    drg_server *s = c->server;
    pthread_mutex_lock(&s->mutex);
    drg_outgoing *next = NULL;
    if (!c->sending && !c->gone && !c->leaving && c->slot >= 0 && s->slots[c->slot].conn == c)
        next = drg_next_outgoing(c);
    if (!next) {
        pthread_mutex_unlock(&s->mutex);
        return;
    }
    if (next != c->out) { /* something newer: what was left of the old is not worth sending */
        drg_outgoing_set(&c->out, next);
        c->out_frame = 0;
        /* Four replies' worth may pile up, frames and their headers counted. */
        const uint64_t allowance = next->reply + next->reply / 8 + 65536;
        if (allowance > c->allowance) c->allowance = allowance;
        c->credit += allowance;
        if (c->credit > 4 * c->allowance) c->credit = 4 * c->allowance;
    }
    grpc_slice slices[2];
    for (int i = 0; i < 2; i++) slices[i] = grpc_slice_ref(next->slices[2 * c->out_frame + (size_t)i]);
    c->bytes_out += GRPC_SLICE_LENGTH(slices[1]);
    c->sending = 1;
    drg_hold(c);
    pthread_mutex_unlock(&s->mutex);

    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(slices, 2);
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_SEND_MESSAGE;
    op.data.send_message.send_message = buffer;
    drg_batch(c, &op, 1, &c->send);
    grpc_byte_buffer_destroy(buffer);
    for (int i = 0; i < 2; i++) grpc_slice_unref(slices[i]);
}

/* ---- Server: who may join ---- */

/* Does a worker's configuration contradict ours? Says how. */
static int drg_mismatch(const char *ours, const char *theirs, size_t bytes, char *why, size_t capacity) {
    draco_handshake_field here, there;
    if (!draco_handshake_compare(ours, theirs, bytes, 0, &here, &there)) return 0;
    snprintf(why, capacity, "the configurations differ: %.*s there, %.*s here", there.bytes, there.text,
             here.bytes, here.text);
    return 1;
}

/* The number in the certificate's one common name <role>-<k>; -1: plain text; -2: not one of ours. */
static int drg_identity(const drg_server *s, grpc_call *call, char *name, size_t capacity) {
    name[0] = 0;
    if (!s->tls) return -1;
    int number = -2, names = 0, secure = 0;
    const size_t prefix = strlen(s->role);
    grpc_auth_context *auth = grpc_call_auth_context(call);
    grpc_auth_property_iterator it = grpc_auth_context_property_iterator(auth);
    for (const grpc_auth_property *p; (p = grpc_auth_property_iterator_next(&it));) {
        if (!strcmp(p->name, GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME))
            secure = p->value_length == 3 && !memcmp(p->value, GRPC_SSL_TRANSPORT_SECURITY_TYPE, 3);
        if (strcmp(p->name, GRPC_X509_CN_PROPERTY_NAME)) continue;
        names++;
        snprintf(name, capacity, "%.*s", (int)(p->value_length < 64 ? p->value_length : 64), p->value);
        char expected[64];
        const long named =
            strlen(name) > prefix + 1 && strlen(name) < prefix + 8 ? strtol(name + prefix + 1, NULL, 10) : -1;
        const long k = named - s->first;
        snprintf(expected, sizeof expected, "%s-%ld", s->role,
                 named); /* one spelling, no NUL, no signs, no zeros ahead */
        if (k >= 0 && k < s->workers && strlen(expected) == p->value_length &&
            !memcmp(expected, p->value, p->value_length))
            number = (int)k;
    }
    grpc_auth_context_release(auth);
    return secure && names == 1 ? number : -2;
}

/* A list of refused certificates as it is compared: lines that end with a line feed alone, no byte zero. */
static void drg_refused_tidy(char *text, size_t bytes) {
    size_t kept = 0;
    for (size_t i = 0; i < bytes; i++)
        if (text[i] != '\r') text[kept++] = text[i] ? text[i] : '\n';
    text[kept] = 0;
}

/* Is the name a line of the list, or the certificate (NULL: none) in it? */
static int drg_is_listed(const char *text, const char *name, const char *pem) {
    const size_t n = strlen(name);
    if (pem && *pem && strstr(text, pem)) return 1;
    for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n')
        if (n && strcspn(at, " \t\n") == n && !memcmp(at, name, n)) return 1;
    return 0;
}

/* The list as it is now; NULL: it cannot be read, or is longer than 1 MiB. The caller frees it. */
static char *drg_refused_text(const char *path) {
    const size_t most = 1 << 20;
    FILE *file = fopen(path, "rb");
    char *text = file ? (char *)malloc(most + 1) : NULL;
    const size_t bytes = text ? fread(text, 1, most + 1, file) : 0;
    const int whole = text && bytes <= most && !ferror(file);
    if (file) fclose(file);
    if (whole) {
        drg_refused_tidy(text, bytes);
        return text;
    }
    free(text);
    return NULL;
}

/* Look at the list. What is new in it counts at once, up to its last whole line; what is gone from it, and a last line
   that does not end, when the guard sees the same bytes twice (again != 0): nobody comes in, and nobody is cut off,
   because the file is just being written. Under the mutex. */
static void drg_refused_look(drg_server *s, int again) {
    char *text = s->refused_path ? drg_refused_text(s->refused_path) : NULL;
    if (!text) return;
    if (again && s->refused_seen && !strcmp(text, s->refused_seen)) {
        free(s->refused);
        s->refused = text;
        return;
    }
    free(s->refused_seen);
    s->refused_seen = text;
}

/* Is this connection's certificate, or the name in it, on the list? Under the mutex. */
static int drg_is_refused(const drg_server *s, const drg_conn *c) {
    if (!s->refused || c->certified < 0) return 0;
    if (drg_is_listed(s->refused, c->name, c->pem)) return 1;
    char *end = s->refused_seen ? strrchr(s->refused_seen, '\n') : NULL;
    if (!end) return 0;
    const char after = end[1];
    end[1] = 0;
    const int listed = drg_is_listed(s->refused_seen, c->name, c->pem);
    end[1] = after;
    return listed;
}

/* The certificate itself, between its first and last line. */
static void drg_keep_pem(drg_conn *c) {
    grpc_auth_context *auth = grpc_call_auth_context(c->call);
    grpc_auth_property_iterator it =
        grpc_auth_context_find_properties_by_name(auth, GRPC_X509_PEM_CERT_PROPERTY_NAME);
    const grpc_auth_property *p = grpc_auth_property_iterator_next(&it);
    if (p) c->pem = strndup(p->value, p->value_length);
    grpc_auth_context_release(auth);
    for (size_t n = c->pem ? strlen(c->pem) : 0; n > 0 && c->pem[n - 1] == '\n';) c->pem[--n] = 0;
}

/* One that is connected although it is refused by now; held. */
static drg_conn *drg_now_refused(drg_server *s) {
    drg_conn *c = NULL;
    pthread_mutex_lock(&s->mutex);
    drg_refused_look(s, 1);
    if (s->refused)
        for (c = s->conns; c && (c->gone || c->leaving || c->slot < 0 || !drg_is_refused(s, c));) c = c->next;
    drg_hold(c);
    pthread_mutex_unlock(&s->mutex);
    return c;
}

static size_t drg_host_bytes(const char *peer) {
    const char *colon = strrchr(peer, ':');
    return colon ? (size_t)(colon - peer) : strlen(peer);
}

#define DRG_VISITS 4.0  /* so often a worker may join of late and come back at once */
#define DRG_FORGET 30.0 /* seconds in which one of them is forgotten */
#define DRG_BANNED 30.0 /* seconds that nobody waits longer */

/* Seconds since its last visit after which it may join again: half a second, doubled by each visit too many. */
static double drg_pause(const drg_slot *slot) {
    return slot->visits > DRG_VISITS ? fmin(DRG_BANNED, 0.5 * exp2(slot->visits - DRG_VISITS)) : 0;
}

/* Whose visits: a certificate's, or in plain text those of one address. Under the mutex. */
static int drg_is_visitor(const drg_slot *slot, const drg_conn *c) {
    const size_t n = drg_host_bytes(c->peer);
    return c->certified >= 0 || (strlen(slot->host) == n && !memcmp(slot->host, c->peer, n));
}

/* Seconds that this worker has to stay outside, because it has come and gone too often. Under the mutex. */
static double drg_must_wait(const drg_slot *slot, const drg_conn *c, double now) {
    return drg_is_visitor(slot, c) ? slot->visited_at + drg_pause(slot) - now : 0;
}

static void drg_count_visit(drg_slot *slot, const drg_conn *c, double now) { /* under the mutex */
    const double forgotten = (now - slot->visited_at) / DRG_FORGET;
    if (!drg_is_visitor(slot, c)) slot->visits = 0;
    slot->visits = fmax(0, slot->visits - forgotten) + 1;
    slot->visited_at = now;
    snprintf(slot->host, sizeof slot->host, "%.*s", (int)drg_host_bytes(c->peer), c->peer);
}

static void drg_relay_joined(drg_server *s, int worker, const char *address); /* under the mutex */
static void drg_relay_told(const char *text, size_t bytes, char address[DRG_ADDRESS]);

/* The first message of a call, on the I/O thread. */
static void drg_hello(drg_conn *c, grpc_byte_buffer *buffer) {
    drg_server *s = c->server;
    draco_grpc_frame f;
    if (drg_open(buffer, &f) || f.kind != DRACO_GRPC_HELLO) {
        drg_refuse(c, GRPC_STATUS_INVALID_ARGUMENT, "the first message is no HELLO of draco.v1");
        return;
    }
    char why[300] = "", relay[DRG_ADDRESS] = "";
    pthread_mutex_lock(&s->mutex);
    drg_refused_look(s, 0);
    const int banned = drg_is_refused(s, c);
    pthread_mutex_unlock(&s->mutex);
    if (banned) {
        drg_refuse(c, GRPC_STATUS_PERMISSION_DENIED, "the certificate of %s is on the list of refused ones",
                   c->name);
        return;
    }
    char *text = (char *)malloc(f.payload_bytes + 1);
    if (text) drg_copy(buffer, f.payload_at, text, f.payload_bytes);
    grpc_status_code code = GRPC_STATUS_OK;
    if (!text) {
        code = GRPC_STATUS_RESOURCE_EXHAUSTED;
        snprintf(why, sizeof why, "no memory");
    } else if (f.version != DRACO_GRPC_WIRE) {
        code = GRPC_STATUS_INVALID_ARGUMENT;
        snprintf(why, sizeof why, "it uses version %u of the contract, this server version %u", f.version,
                 DRACO_GRPC_WIRE);
    } else if (f.worker >= (uint32_t)s->workers) {
        code = GRPC_STATUS_INVALID_ARGUMENT;
        snprintf(why, sizeof why, "it claims to be %s %u; there are 0 to %d", s->role, f.worker,
                 s->workers - 1);
    } else if (c->certified >= 0 && f.worker != (uint32_t)c->certified) {
        code = GRPC_STATUS_PERMISSION_DENIED;
        snprintf(why, sizeof why, "its certificate is %s-%d's but it claims to be %s %u", s->role,
                 c->certified + s->first, s->role, f.worker + (uint32_t)s->first);
    } else if (f.code && f.code != s->code_id) {
        code = GRPC_STATUS_INVALID_ARGUMENT;
        snprintf(why, sizeof why, "%s %u uses code %016llx, this server %016llx", s->role, f.worker,
                 (unsigned long long)f.code, (unsigned long long)s->code_id);
        drg_mismatch(s->configuration, text, f.payload_bytes, why, sizeof why);
    } else {
        const int used = snprintf(why, sizeof why, "%s %u: ", s->role, f.worker + (uint32_t)s->first);
        if (drg_mismatch(s->configuration, text, f.payload_bytes, why + used, sizeof why - (size_t)used))
            code = GRPC_STATUS_INVALID_ARGUMENT;
    }
    if (text && s->planner) drg_relay_told(text, f.payload_bytes, relay);
    free(text);
    if (code != GRPC_STATUS_OK) {
        drg_refuse(c, code, "%s", why);
        return;
    }

    pthread_mutex_lock(&s->mutex);
    drg_slot *slot = &s->slots[f.worker];
    drg_conn *old = slot->conn;
    const double now = drg_now(), wait = drg_must_wait(slot, c, now);
    const int taken = old && c->certified < 0, closing = s->closing, visits = (int)ceil(slot->visits);
    if (!taken && !closing && wait <= 0) {
        drg_count_visit(slot, c, now);
        drg_hold(old);
        c->slot = (int)f.worker;
        slot->conn = c;
        drg_relay_joined(s, c->slot, relay);
        drg_socket *socket = drg_socket_of(s, c->peer);
        if (socket) socket->was_joined = 1;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->mutex);
    if (closing)
        drg_dismiss(c, GRPC_STATUS_UNAVAILABLE, "the server is closing");
    else if (taken)
        drg_refuse(c, GRPC_STATUS_ALREADY_EXISTS, "%s %u is already there", s->role, f.worker);
    else if (wait > 0)
        drg_refuse(c, GRPC_STATUS_RESOURCE_EXHAUSTED,
                   "%s %u comes and goes: it joined %d times of late, and may again in %.1f s", s->role,
                   f.worker + (uint32_t)s->first, visits, wait);
    else {
        drg_say(&s->journal, "%s %u joined from %s", s->role, f.worker + (uint32_t)s->first, c->peer);
        if (old) {
            old->told = 1;
            drg_dismiss(old, GRPC_STATUS_ABORTED, "replaced by a newer connection of the same name");
            drg_release(old);
        }
        drg_pump(c);
        drg_listen(c);
    }
}

#define DRG_PATIENCE 0.1 /* seconds before a stranger has to make room */

/* ---- Server: the guard ----
   gRPC tests the length of a message after it took it in, so the sockets are watched. */

#define DRG_SLACK (10u << 20)     /* windows and buffers: bytes beyond what was read */
#define DRG_STRANGER (256u << 10) /* before a HELLO: handshake, certificates, settings */

/* The peer as gRPC writes it; 0: not a TCP connection of this port. */
static int drg_peer_of(int fd, int port, char *peer, size_t capacity) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } a;
    socklen_t n = sizeof a;
    if (getsockname(fd, &a.any, &n)) return 0;
    const int local = a.any.sa_family == AF_INET    ? ntohs(a.v4.sin_port)
                      : a.any.sa_family == AF_INET6 ? ntohs(a.v6.sin6_port)
                                                    : -1;
    n = sizeof a;
    if (local != port || getpeername(fd, &a.any, &n)) return 0;
    char text[64];
    if (a.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a.v4.sin_addr, text, sizeof text);
        snprintf(peer, capacity, "ipv4:%s:%d", text, ntohs(a.v4.sin_port));
    } else if (IN6_IS_ADDR_V4MAPPED(&a.v6.sin6_addr)) {
        inet_ntop(AF_INET, a.v6.sin6_addr.s6_addr + 12, text, sizeof text);
        snprintf(peer, capacity, "ipv4:%s:%d", text, ntohs(a.v6.sin6_port));
    } else {
        inet_ntop(AF_INET6, &a.v6.sin6_addr, text, sizeof text);
        snprintf(peer, capacity, "ipv6:%%5B%s%%5D:%d", text, ntohs(a.v6.sin6_port));
    }
    return 1;
}

/* Is the descriptor still the connection that was noted? */
static int drg_same_socket(const drg_socket *k) {
    struct stat st;
    return fstat(k->fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == k->inode;
}

static void drg_shut_peer(drg_server *s, const char *peer) {
    pthread_mutex_lock(&s->mutex);
    drg_socket *k = drg_socket_of(s, peer);
    if (k && drg_same_socket(k)) shutdown(k->fd, SHUT_RDWR);
    pthread_mutex_unlock(&s->mutex);
}

/* Bytes that the peer has brought in so far. The C library's struct tcp_info ends before tcpi_bytes_received,
   whose place is part of the kernel's interface. */
static int drg_bytes_received(int fd, uint64_t *bytes) {
    unsigned char info[256];
    socklen_t n = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &n) || n < 136) return 0;
    memcpy(bytes, info + 128, sizeof *bytes);
    return 1;
}

/* What is wrong with this connection, or NULL. Under the mutex. */
static const char *drg_judge(drg_server *s, drg_socket *k, double now) {
    uint64_t bytes;
    if (!drg_bytes_received(k->fd, &bytes)) return NULL;
    if (k->conn && (k->conn->gone || k->conn->leaving)) k->conn = NULL;
    for (drg_conn *c = s->conns; c && !k->conn; c = c->next)
        if (c->slot >= 0 && !c->gone && !c->leaving && !strcmp(c->peer, k->peer)) {
            k->conn = c;
            k->base = bytes < DRG_STRANGER ? 0 : bytes;
        }
    if (!k->conn) {
        if (k->was_joined == 1) { /* just left: it may come back on the same connection */
            k->was_joined = 2;
            k->since = now;
            k->base = bytes;
        }
        if (now - k->since > s->limits.join_seconds) return k->was_joined ? "" : "it did not join in time";
        return bytes - k->base > DRG_STRANGER ? (k->was_joined ? "" : "too many bytes before a HELLO") : NULL;
    }
    k->was_joined = 1;
    const drg_conn *c = k->conn;
    /* TLS records and HTTP/2 frames add under 1%, acknowledgements of what we send less, pings 20 bytes a
     * second. */
    const uint64_t allowed = DRG_SLACK + c->bytes_in + c->bytes_in / 32 + c->bytes_out / 64 +
                             (uint64_t)(1024 * (now - c->accepted));
    return bytes - k->base > allowed ? "it sends more than its windows allow" : NULL;
}

/* Why a worker's call ended that did not end it. gRPC does not say; its log tells of pings, the socket of the rest. Under
   the mutex. */
static const char *drg_why_lost(drg_server *s, const drg_conn *c) {
    const drg_socket *k = drg_socket_of(s, c->peer);
    unsigned char state = 0; /* tcpi_state comes first */
    socklen_t n = 1;
    if (c->silent) return "it stopped answering: a ping was not answered in time";
    if (k && !k->shut && drg_same_socket(k) && !getsockopt(k->fd, IPPROTO_TCP, TCP_INFO, &state, &n) &&
        state == TCP_ESTABLISHED)
        return "it violated the protocol (a frame longer than the limit), or gave up its call";
    return "its connection broke: it crashed, was killed, or the network cut it";
}

/* A ping was not answered: gRPC's line begins with the peer. */
static void drg_note_silence(drg_server *s, const char *line) {
    pthread_mutex_lock(&s->mutex);
    for (drg_conn *c = s->conns; c; c = c->next) {
        const size_t n = strlen(c->peer);
        if (!strncmp(line, c->peer, n) && line[n] == ':') c->silent = 1;
    }
    pthread_mutex_unlock(&s->mutex);
}

/* Calls that do not get on: no HELLO in time, or a status that the peer does not take. */
static drg_conn *drg_overdue(drg_server *s, double now) {
    for (drg_conn *c = s->conns; c; c = c->next)
        if (!c->gone && !c->cancelling && (c->slot < 0 || c->leaving) &&
            now - (c->leaving ? c->left_at : c->accepted) > s->limits.join_seconds) {
            c->cancelling = 1;
            drg_hold(c);
            return c;
        }
    return NULL;
}

/* So many connections of one address that have not joined: all workers, when they begin together, and some more. */
static int drg_crowd(const drg_server *s) {
    return s->workers + 16;
}

/* What was not told of strangers, in one line. Under the mutex. */
static void drg_sums(drg_server *s, char *line, size_t capacity) {
    int n = 0;
    if (s->turned_away)
        n = snprintf(
            line, capacity,
            "refused %d connections, the last from %s: %d connections are the limit, %d of one address "
            "that have not joined",
            s->turned_away, s->turned_peer, s->limits.connections, drg_crowd(s));
    if (s->unsaid)
        snprintf(line + n, capacity - (size_t)n, "%srefused %d strangers more, the last: %s", n ? "; " : "",
                 s->unsaid, s->unsaid_line);
    s->turned_away = s->unsaid = 0;
}

/* Find one culprit, shut it and say so; 0 when all is well. sum: say how many were turned away, too. */
static int drg_watch(drg_server *s, int sum) {
    char line[240] = "", sums[640] = "";
    int found = 0, worker = 0;
    const double now = drg_now();
    pthread_mutex_lock(&s->mutex);
    if (sum) drg_sums(s, sums, sizeof sums);
    for (int i = 0; i < s->socket_count && !found; i++) {
        drg_socket *k = &s->sockets[i];
        if (!drg_same_socket(k)) {
            found = !k->was_joined && !k->shut && !k->told;
            if (found)
                snprintf(line, sizeof line, "refused %s: it left without a HELLO of draco.v1", k->peer);
            *k = s->sockets[--s->socket_count];
            i--;
            continue;
        }
        const char *wrong = k->shut ? NULL : drg_judge(s, k, now);
        if (!wrong) continue;
        found = k->shut = 1;
        if (*wrong && k->conn)
            worker = snprintf(line, sizeof line, "cut %s %d (%s): %s", s->role, k->conn->slot + s->first,
                              k->peer, wrong);
        else if (*wrong)
            snprintf(line, sizeof line, "refused %s: %s", k->peer, wrong);
        shutdown(k->fd, SHUT_RDWR);
    }
    drg_conn *late = found ? NULL : drg_overdue(s, now);
    pthread_mutex_unlock(&s->mutex);
    if (*line && worker) drg_say(&s->journal, "%s", line);
    if (*line && !worker) drg_say_stranger(s, "%s", line);
    if (*sums) drg_say(&s->journal, "%s", sums);
    if (late) {
        if (late->slot < 0 && !late->leaving) drg_say_stranger(s, "refused %s: no HELLO in time", late->peer);
        grpc_call_cancel(late->call, NULL);
        drg_release(late);
    }
    return found || late;
}

/* gRPC has one log function for the whole process, and any thread that waits for gRPC may do the work of all
   servers there; so they are listed. */
static pthread_mutex_t drg_list_mutex = PTHREAD_MUTEX_INITIALIZER;
static drg_server *drg_list;

static void drg_enlist(drg_server *s) {
    pthread_mutex_lock(&drg_list_mutex);
    s->next = drg_list;
    drg_list = s;
    pthread_mutex_unlock(&drg_list_mutex);
}

static void drg_delist(drg_server *s) {
    pthread_mutex_lock(&drg_list_mutex);
    drg_server **at = &drg_list;
    while (*at && *at != s) at = &(*at)->next;
    if (*at) *at = s->next;
    pthread_mutex_unlock(&drg_list_mutex);
}

/* A handshake failed, and gRPC does not say whose: most often one connection has not joined yet. */
static void drg_name_stranger(drg_server *s, const char *why) {
    char peers[320] = "";
    pthread_mutex_lock(&s->mutex);
    for (int i = 0; i < s->socket_count; i++) {
        drg_socket *k = &s->sockets[i];
        if (k->was_joined || k->shut || k->told || strlen(peers) + 100 > sizeof peers) continue;
        snprintf(peers + strlen(peers), 100, "%s%s", *peers ? " or " : "", k->peer);
        k->told = 1;
    }
    pthread_mutex_unlock(&s->mutex);
    if (*peers) drg_say_stranger(s, "refused %s: TLS: %s", peers, why);
}

static __thread char *drg_caught; /* 256 bytes for the reason why this thread's opening fails */

static void drg_catch(const char *message) {
    const char *reason = strstr(message, "os_error:\"");
    if (reason)
        snprintf(drg_caught, 256, "%.*s", (int)strcspn(reason + 10, "\""), reason + 10);
    else if (!*drg_caught)
        snprintf(drg_caught, 256, "%.200s", message);
}

static void drg_log(gpr_log_func_args *line) {
    const int error = line->severity == GPR_LOG_SEVERITY_ERROR;
    const int failed = error && strstr(line->message, "Handshake failed") != NULL;
    const int silent = !error && strstr(line->message, "eepalive watchdog fired") != NULL;
    if (error && drg_caught)
        drg_catch(line->message);
    else if (error && !failed)
        fprintf(stderr, "gRPC: %s:%d: %s\n", line->file, line->line, line->message);
    if (!failed && !silent) return;
    pthread_mutex_lock(&drg_list_mutex);
    for (drg_server *s = drg_list; s; s = s->next) {
        if (failed && s->port) drg_name_stranger(s, line->message);
        if (silent) drg_note_silence(s, line->message);
    }
    pthread_mutex_unlock(&drg_list_mutex);
}

/* Begin with gRPC, once for every server and worker. It stays until the process ends: its shutdown joins a
   thread of its own that, where a write once had to wait, may sleep in epoll for another ten seconds. Its log
   says that a handshake failed or a ping was not answered, and is listened to; GRPC_VERBOSITY in the
   environment leaves it alone. */
static void drg_begin(void) {
    drg_warm_heap();
    grpc_init();
    if (getenv("GRPC_VERBOSITY")) return;
    gpr_set_log_function(drg_log);
    gpr_set_log_verbosity(GPR_LOG_SEVERITY_INFO);
}

/* ---- Server: the gate ----
   Connections are accepted here, and gRPC gets those that are let in: what it would do for each of a flood stops the
   workers' rounds. gRPC takes a descriptor for a listener with the name "external:...", through an object of C++
   whose table of functions, by the Itanium ABI, is two destructors and the one that takes. */

typedef struct drg_taker {
    const struct drg_taker_calls {
        void (*destroy)(struct drg_taker *), (*free)(struct drg_taker *); /* gRPC's business */
        void (*take)(struct drg_taker *, int listener, int fd, grpc_byte_buffer *pending);
    } * calls;
} drg_taker;

#define DRG_GATE "external:draco"

static void *drg_pointer_copy(void *p) {
    return p;
}

static void drg_pointer_free(void *p) {
    (void)p;
}

static int drg_pointer_compare(void *a, void *b) {
    return a < b ? -1 : a > b;
}

/* The parts of a TCP address: host and port. */
static void drg_host_port(const char *address, char *host, size_t capacity, const char **port) {
    const char *slash = strrchr(address, '/'), *scheme[] = {"dns:", "ipv4:", "ipv6:"};
    if (slash) address = slash + 1;
    for (size_t i = 0; i < sizeof scheme / sizeof *scheme; i++)
        if (!strncmp(address, scheme[i], strlen(scheme[i]))) {
            address += strlen(scheme[i]);
            break;
        }
    *port = drg_port_of(address);
    size_t n = *port ? (size_t)(*port - address) - 1 : strlen(address);
    if (n > 1 && address[0] == '[' && address[n - 1] == ']') {
        address++;
        n -= 2;
    }
    snprintf(host, capacity, "%.*s", (int)n, address);
}

/* Bind and listen on every address of the name, all with one port. 0, or why not. */
static const char *drg_gate_listen(drg_server *s, const char *address) {
    char host[256];
    const char *port, *why = "no address";
    struct addrinfo hints, *found = NULL;
    drg_host_port(address, host, sizeof host, &port);
    if (!port) return "no port";
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    const int wrong = getaddrinfo(*host ? host : NULL, port, &hints, &found);
    if (wrong) return gai_strerror(wrong);
    for (struct addrinfo *a = found; a && s->listeners < (int)(sizeof s->listener / sizeof *s->listener);
         a = a->ai_next) {
        const int on = 1, off = 0, fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        union {
            struct sockaddr any;
            struct sockaddr_in v4;
            struct sockaddr_in6 v6;
            struct sockaddr_storage room;
        } name;
        socklen_t size = sizeof name;
        if (a->ai_addrlen > sizeof name || fd < 0) continue;
        memcpy(&name, a->ai_addr, a->ai_addrlen);
        if (s->port)
            (a->ai_family == AF_INET ? &name.v4.sin_port : &name.v6.sin6_port)[0] = htons((uint16_t)s->port);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (a->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        if (bind(fd, &name.any, a->ai_addrlen) || listen(fd, 128) || getsockname(fd, &name.any, &size)) {
            why = strerror(errno);
            close(fd);
            continue;
        }
        s->listener[s->listeners++] = fd;
        s->port = ntohs(name.any.sa_family == AF_INET ? name.v4.sin_port : name.v6.sin6_port);
    }
    freeaddrinfo(found);
    return s->listeners ? NULL : why;
}

/* Make room for one more of this address: the place of one that has gone, or of the oldest stranger that had time to
   say who it is. Returns the place, -1: there is none. Under the mutex. */
static int drg_place(drg_server *s, const char *peer, double now) {
    const size_t host = drg_host_bytes(peer);
    int of_address = 0, oldest = -1, oldest_here = -1;
    for (int i = 0; i < s->socket_count; i++) {
        const drg_socket *k = &s->sockets[i];
        const int here = drg_host_bytes(k->peer) == host && !memcmp(k->peer, peer, host);
        if (k->was_joined == 1) continue;
        if (k->shut && !drg_same_socket(k)) return i;
        of_address += here;
        if (k->shut || now - k->since < DRG_PATIENCE) continue;
        if (oldest < 0 || k->since < s->sockets[oldest].since) oldest = i;
        if (here && (oldest_here < 0 || k->since < s->sockets[oldest_here].since)) oldest_here = i;
    }
    const int full = s->socket_count >= s->limits.connections, crowd = of_address >= drg_crowd(s);
    if (!full && !crowd) return s->socket_count++;
    const int place = crowd ? oldest_here : oldest;
    if (place < 0) return -1;
    if (drg_same_socket(&s->sockets[place])) shutdown(s->sockets[place].fd, SHUT_RDWR);
    s->turned_away++;
    memcpy(s->turned_peer, s->sockets[place].peer, sizeof s->turned_peer);
    return place;
}

static void drg_admit(drg_server *s, int fd) {
    const int on = 1, patience = (int)(1500 * s->limits.keepalive_seconds);
    drg_socket k;
    struct stat st;
    memset(&k, 0, sizeof k);
    k.fd = fd;
    k.since = drg_now();
    int place = -1;
    if (!fstat(fd, &st) && drg_peer_of(fd, s->port, k.peer, sizeof k.peer)) {
        k.inode = st.st_ino;
        pthread_mutex_lock(&s->mutex);
        place = s->closing ? -1 : drg_place(s, k.peer, k.since);
        if (place >= 0)
            s->sockets[place] = k;
        else {
            s->turned_away++;
            memcpy(s->turned_peer, k.peer, sizeof k.peer);
        }
        pthread_mutex_unlock(&s->mutex);
    }
    if (place < 0) { /* with a reset: nothing of it stays behind here */
        const struct linger none = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (patience > 0) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
    s->taker->calls->take(s->taker, -1, fd, NULL);
}

/* Descriptors for all connections of all servers here, a line to each worker, and some more; the limit of this process is
   raised if it may be. */
static void drg_make_room(drg_server *s) {
    struct rlimit room;
    rlim_t wanted = 64;
    pthread_mutex_lock(&drg_list_mutex);
    for (const drg_server *o = drg_list; o; o = o->next)
        wanted += (rlim_t)o->limits.connections + (rlim_t)o->workers;
    pthread_mutex_unlock(&drg_list_mutex);
    if (getrlimit(RLIMIT_NOFILE, &room) || room.rlim_cur >= wanted) return;
    room.rlim_cur = room.rlim_max < wanted ? room.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &room) || room.rlim_cur < wanted)
        drg_say(&s->journal,
                "this process may open %lu files (ulimit -n), %d connections and what else it opens need %lu",
                (unsigned long)room.rlim_cur, s->limits.connections, (unsigned long)wanted);
}

static void *drg_gate_main(void *arg) {
    drg_server *s = (drg_server *)arg;
    struct pollfd fds[sizeof s->listener / sizeof *s->listener];
    for (int i = 0; i < s->listeners; i++) {
        fds[i].fd = s->listener[i];
        fds[i].events = POLLIN;
    }
    for (;;) {
        poll(fds, (nfds_t)s->listeners, 50);
        pthread_mutex_lock(&s->mutex);
        const int stop = s->closing || s->down;
        pthread_mutex_unlock(&s->mutex);
        if (stop) return NULL;
        for (int i = 0; i < s->listeners; i++) {
            const int fd = accept(s->listener[i], NULL, NULL);
            if (fd >= 0 && !fcntl(fd, F_SETFL, O_NONBLOCK) && !fcntl(fd, F_SETFD, FD_CLOEXEC))
                drg_admit(s, fd);
            else if (fd >= 0)
                close(fd);
            else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                usleep(10000); /* no descriptors left: not to spin until there are */
        }
    }
}

static void *drg_guard_main(void *arg) {
    drg_server *s = (drg_server *)arg;
    const struct timespec pause = {0, 5000000};
    for (double next = 0;;) {
        const int second = drg_now() >= next;
        if (second) next = drg_now() + 1;
        pthread_mutex_lock(&s->mutex);
        const int stop = s->down;
        pthread_mutex_unlock(&s->mutex);
        if (stop) return NULL;
        drg_conn *refused = second && s->refused_path ? drg_now_refused(s) : NULL;
        if (refused) {
            drg_refuse(refused, GRPC_STATUS_PERMISSION_DENIED,
                       "the certificate of %s is on the list of refused ones", refused->name);
            drg_release(refused);
        }
        if (drg_watch(s, second)) continue;
        nanosleep(&pause, NULL);
    }
}

#endif /* DRACO_GRPC_PEERS_PART */
