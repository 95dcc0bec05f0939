/* draco_grpc_relay.h - version 0.1.0 - part of draco_grpc.h: parameters that the workers relay (draco_relay.h)

   At the server a planner: orders in place of the parameters, pieces out of the snapshot that all sends share. At a
   worker, for each server, a listener and lines. The listener is a server (draco_grpc_server.h) whose workers are the
   run's: it sends them this worker's piece, newest first, and reads nothing but HELLOs. The lines are the links of a
   worker (draco_grpc_worker.h) to the listeners of the others.

   Included by draco_grpc.h.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#include "draco_grpc.h"

#if defined(DRACO_GRPC_IMPLEMENTATION) && !defined(DRACO_GRPC_RELAY_PART)
#define DRACO_GRPC_RELAY_PART

#include "draco_grpc_server.h"

#define DRG_RELAY_WORD "relay=" /* of a HELLO: the address where others reach this worker */

/* ---- Addresses ---- */

/* Is it host:port, and nothing that gRPC could take for something else? */
static int drg_is_relay_address(const char *text, size_t bytes) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_[]:";
    char address[DRG_ADDRESS];
    if (bytes == 0 || bytes >= sizeof address) return 0;
    memcpy(address, text, bytes);
    address[bytes] = 0;
    if (strspn(address, plain) != bytes || !strncmp(address, "unix", 4) || !strncmp(address, "dns:", 4) ||
        !strncmp(address, "ipv", 3))
        return 0;
    const char *port = drg_port_of(address);
    return port && drg_is_port(port) && atoi(port) > 0;
}

/* What a HELLO tells of it; empty: nothing. */
static void drg_relay_told(const char *text, size_t bytes, char address[DRG_ADDRESS]) {
    const char *at = text, *word;
    const size_t key = strlen(DRG_RELAY_WORD);
    address[0] = 0;
    for (size_t n; (n = drh_next(&at, text + bytes, &word));) {
        if (n <= key || memcmp(word, DRG_RELAY_WORD, key) || !drg_is_relay_address(word + key, n - key))
            continue;
        memcpy(address, word + key, n - key);
        address[n - key] = 0;
    }
}

/* The addresses behind an order: for each worker a byte of length and so many bytes. */
static draco_status drg_relay_addresses(const unsigned char *bytes, size_t size, int workers,
                                        char (*address)[DRG_ADDRESS]) {
    size_t at = 0;
    for (int i = 0; i < workers; i++) {
        if (at == size) return DRACO_E_MALFORMED;
        const size_t n = bytes[at++];
        if (n > size - at || (n && !drg_is_relay_address((const char *)bytes + at, n)))
            return DRACO_E_MALFORMED;
        memcpy(address[i], bytes + at, n);
        address[i][n] = 0;
        at += n;
    }
    return at == size ? DRACO_OK : DRACO_E_MALFORMED;
}

/* ---- Server ---- */

/* All but what is marked is for the thread of the server's slots alone. */
struct drg_planner {
    draco_relay_server plan;
    unsigned char *vector; /* little-endian */
    size_t capacity;
    unsigned char *takes, *orders, *front; /* n; n orders; one with the addresses */
    drg_outgoing *direct;                  /* under the mutex: all of the vector that is being relayed */
    drg_outgoing **order, **piece;         /* under the mutex: n and n */
    uint32_t *asked;                       /* n */
};

static draco_status drg_planner_open(drg_server *s, int liars) {
    const size_t n = (size_t)s->workers;
    drg_planner *p = (drg_planner *)calloc(1, sizeof *p);
    if (!p) return DRACO_E_MEMORY;
    s->planner = p;
    p->takes = (unsigned char *)calloc(n, 1);
    p->orders = (unsigned char *)malloc(n * draco_relay_order_bytes(s->workers));
    p->front = (unsigned char *)malloc(draco_relay_order_bytes(s->workers) + n * DRG_ADDRESS);
    p->order = (drg_outgoing **)calloc(n, sizeof(drg_outgoing *));
    p->piece = (drg_outgoing **)calloc(n, sizeof(drg_outgoing *));
    p->asked = (uint32_t *)calloc(n, sizeof *p->asked);
    int whole = p->takes && p->orders && p->front && p->order && p->piece && p->asked;
    for (size_t i = 0; i < n; i++) {
        s->slots[i].give = (drg_outgoing **)calloc(n, sizeof(drg_outgoing *));
        whole &= s->slots[i].give != NULL;
    }
    const draco_status status = draco_relay_server_open(&p->plan, s->workers, liars > 0 ? liars : -1);
    p->plan.serial = (uint64_t)time(NULL) << 20; /* later than what workers saw of a server before this one */
    return whole ? status : DRACO_E_MEMORY;
}

/* Nothing of the last broadcast is sent any more to the workers with whom[i] != 0 (NULL: to anybody). Under the mutex. */
static void drg_relay_forget(drg_server *s, const unsigned char *whom) {
    drg_planner *p = s->planner;
    if (!p) return;
    for (int i = 0; i < s->workers; i++) {
        if (!whom || whom[i])
            while (s->slots[i].gives) drg_gives_shift(&s->slots[i]);
        if (whom) continue;
        drg_outgoing_drop(&p->order[i]);
        drg_outgoing_drop(&p->piece[i]);
    }
    if (!whom) drg_outgoing_drop(&p->direct);
}

static void drg_planner_close(drg_server *s) {
    drg_planner *p = s->planner;
    if (!p) return;
    pthread_mutex_lock(&s->mutex);
    if (p->order && p->piece) drg_relay_forget(s, NULL);
    pthread_mutex_unlock(&s->mutex);
    draco_relay_server_close(&p->plan);
    for (int i = 0; i < s->workers; i++) free(s->slots[i].give);
    free(p->vector);
    free(p->takes);
    free(p->orders);
    free(p->front);
    free(p->order);
    free(p->piece);
    free(p->asked);
    free(p);
}

/* A worker has joined: what it had of a broadcast is gone, so it gets the parameters directly. Under the mutex. */
static void drg_relay_joined(drg_server *s, int worker, const char *address) {
    drg_planner *p = s->planner;
    drg_slot *slot = &s->slots[worker];
    if (!p) return;
    snprintf(slot->relay, sizeof slot->relay, "%s", address);
    while (slot->gives) drg_gives_shift(slot);
    if (!p->order[worker]) return;
    if (slot->params == p->order[worker]) drg_outgoing_set(&slot->params, p->direct);
    if (slot->want == p->order[worker]) drg_outgoing_set(&slot->want, p->direct);
}

/* Bytes [at, at + count) of the parameters, in the chunks that `direct` holds. */
static drg_outgoing *drg_piece_new(const drg_outgoing *direct, draco_grpc_frame f, size_t at, size_t count,
                                   size_t chunk_bytes) {
    const size_t first = at / chunk_bytes, frames = (at + count - 1) / chunk_bytes - first + 1;
    drg_outgoing *piece = (drg_outgoing *)calloc(1, sizeof *piece);
    if (piece) piece->slices = (grpc_slice *)calloc(2 * frames, sizeof *piece->slices);
    if (!piece || !piece->slices) {
        free(piece);
        return NULL;
    }
    piece->refs = 1;
    piece->round = f.round;
    piece->frames = frames;
    f.kind = DRACO_GRPC_PIECE;
    for (size_t i = 0; i < frames; i++) {
        const size_t chunk = (first + i) * chunk_bytes, from = chunk < at ? at : chunk,
                     to = chunk + chunk_bytes < at + count ? chunk + chunk_bytes : at + count;
        uint8_t head[DRACO_GRPC_HEADER];
        f.offset = from;
        f.payload_bytes = to - from;
        piece->slices[2 * i] =
            grpc_slice_from_copied_buffer((const char *)head, draco_grpc_frame_encode(&f, head));
        piece->slices[2 * i + 1] =
            grpc_slice_sub(direct->slices[2 * (first + i) + 1], from - chunk, to - chunk);
    }
    return piece;
}

/* Who takes part, and where they are; returns the bytes of an order with the addresses behind it. */
static size_t drg_relay_call(drg_server *s) {
    drg_planner *p = s->planner;
    size_t at = draco_relay_order_bytes(s->workers);
    pthread_mutex_lock(&s->mutex);
    for (int i = 0; i < s->workers; i++) {
        const drg_slot *slot = &s->slots[i];
        const size_t n = slot->conn ? strlen(slot->relay) : 0;
        p->takes[i] = n > 0;
        p->front[at++] = (unsigned char)n;
        memcpy(p->front + at, slot->relay, n);
        at += n;
    }
    pthread_mutex_unlock(&s->mutex);
    return at;
}

/* Plan to relay the parameters of a request, whose frames are f and which is `direct` for who takes no part. 0: it is not
   worth while. */
static int drg_relay_plan(drg_server *s, const draco_request *request, draco_grpc_frame f,
                          const drg_outgoing *direct) {
    drg_planner *p = s->planner;
    const size_t bytes = request->params_count * sizeof(float), stride = draco_relay_order_bytes(s->workers);
    int whole = 1;
    if (p->capacity < bytes) {
        free(p->vector);
        p->vector = (unsigned char *)malloc(bytes);
        p->capacity = p->vector ? bytes : 0;
        if (!p->vector) return 0;
    }
    memcpy(p->vector, request->params, bytes);
    draco_little_endian(p->vector, request->params_count);
    f.order = drg_relay_call(s);
    if (draco_relay_plan(&p->plan, p->vector, bytes, p->takes, p->takes, p->orders) != DRACO_OK) return 0;
    pthread_mutex_lock(&s->mutex);
    for (uint32_t k = 0; k < p->plan.pieces; k++) {
        size_t count;
        const size_t at = draco_relay_piece(bytes, p->plan.pieces, k, &count);
        p->piece[k] = drg_piece_new(direct, f, at, count, s->pool->chunk_bytes);
        whole &= p->piece[k] != NULL;
    }
    for (int i = 0; i < s->workers; i++) {
        if (!p->takes[i]) continue;
        memcpy(p->front, p->orders + (size_t)i * stride, stride);
        p->order[i] = drg_outgoing_new(s->pool, f, p->front, (size_t)f.order, request->extra,
                                       request->extra ? request->extra_bytes : 0);
        whole &= p->order[i] != NULL;
    }
    if (whole)
        drg_outgoing_set(&p->direct, (drg_outgoing *)(uintptr_t)direct);
    else
        drg_relay_forget(s, NULL);
    pthread_mutex_unlock(&s->mutex);
    return whole;
}

/* What a worker gets in place of the parameters, and from now on its own piece, which must not be sent before: a worker
   drops pieces of a step whose order it has not. Under the mutex. */
static drg_outgoing *drg_relay_order(drg_server *s, int worker) {
    drg_planner *p = s->planner;
    drg_slot *slot = &s->slots[worker];
    const uint32_t own = draco_relay_own(&p->plan, worker);
    if (own != DRACO_RELAY_NONE) drg_outgoing_set(&slot->give[slot->gives++], p->piece[own]);
    return p->order[worker];
}

/* A worker asks for pieces. NULL, or what is wrong with that. */
static const char *drg_relay_asked(drg_conn *c, const draco_grpc_frame *f, grpc_byte_buffer *buffer) {
    drg_server *s = c->server;
    drg_planner *p = s->planner;
    unsigned char ask[DRY_ASK + 4 * DRACO_MAX_WORKERS];
    int bad;
    if (f->payload_bytes < 8 || f->payload_bytes > sizeof ask) return "a question for pieces that is none";
    drg_copy(buffer, f->payload_at, ask, f->payload_bytes);
    if (!p->direct || dry_get64(ask) < p->plan.serial) return NULL; /* late */
    const int count = draco_relay_asked(&p->plan, c->slot, ask, f->payload_bytes, p->asked, &bad);
    if (count < 0) return "a question for pieces that there are not";
    if (bad >= 0)
        drg_say(&s->journal,
                "worker %d relays nothing for %d broadcasts: more workers than may lie missed what it had to",
                bad, p->plan.out[bad]);
    pthread_mutex_lock(&s->mutex);
    drg_slot *slot = &s->slots[c->slot];
    for (int k = 0; k < count && slot->conn == c && slot->gives < s->workers; k++)
        drg_outgoing_set(&slot->give[slot->gives++], p->piece[p->asked[k]]);
    pthread_mutex_unlock(&s->mutex);
    drg_pump(c);
    return NULL;
}

/* ---- Worker ---- */

struct drg_relay {
    drg_link *link;
    drg_server *listener;
    drg_worker *lines;
    drg_pem pem;
    int insecure;
    char says[DRG_ADDRESS + 16];
    /* The worker's I/O thread's. */
    char (*address)[DRG_ADDRESS]; /* n */
    unsigned char *order, *ask, *whom, *frames;
    size_t frames_room;
    unsigned char *frame;  /* the lines' thread's */
    pthread_mutex_t mutex; /* everything below; inside the worker's mutex where both are held */
    draco_relay_worker state;
    size_t *given; /* n: bytes of a piece that the server sent */
    int active, gave;
    uint64_t round;
};

static const char *drg_relay_says(const drg_link *l) {
    return l->relay ? l->relay->says : "";
}

static void drg_relay_stop(drg_link *l) { /* under the mutex */
    if (!l->relay) return;
    pthread_mutex_lock(&l->relay->mutex);
    l->relay->active = 0;
    pthread_mutex_unlock(&l->relay->mutex);
    l->relaying = 0;
}

/* Where an order of so many bytes goes; NULL: it is none of this run. */
static unsigned char *drg_relay_room(drg_link *l, uint64_t order, uint64_t params) {
    if (!l->relay || params == 0) return NULL;
    const int n = l->relay->lines->links;
    const size_t least = draco_relay_order_bytes(n);
    return order > least && order <= least + (size_t)n * DRG_ADDRESS ? l->relay->order : NULL;
}

/* Call another worker there from now on. */
static void drg_line_to(drg_link *l, const char *address) {
    drg_worker *lines = l->worker;
    pthread_mutex_lock(&lines->mutex);
    const int there = !l->next && l->target && !strcmp(l->target, address);
    if (!there && !(l->next && !strcmp(l->next, address))) {
        free(l->next);
        l->next = strdup(address);
        l->retry_at = l->delay = 0;
    }
    const int active = !there && l->call && !l->ending;
    if (active) l->pending++;
    pthread_mutex_unlock(&lines->mutex);
    if (!active) return;
    grpc_call_cancel(l->call, NULL);
    drg_link_release(l);
}

/* No call is active: take the new address, if there is one. 0: there is no channel. */
static int drg_line_open(drg_link *l) {
    char name[32];
    snprintf(name, sizeof name, "worker-%d", (int)(l - l->worker->link));
    const draco_grpc_worker_config config = {.insecure = l->worker->lines_of->insecure, .server_name = name};
    pthread_mutex_lock(&l->worker->mutex);
    const int changed = l->next != NULL;
    if (changed) {
        free(l->target);
        l->target = l->next;
        l->next = NULL;
    }
    pthread_mutex_unlock(&l->worker->mutex);
    if (changed) {
        if (l->channel) grpc_channel_destroy(l->channel);
        l->channel = NULL;
        drg_link_open(l, &config, &l->worker->lines_of->pem, NULL, 0);
    }
    return l->channel != NULL;
}

/* The order stands in its place: 0, it is not one. */
static int drg_relay_begin(drg_link *l) {
    drg_relay *r = l->relay;
    const int n = r->lines->links;
    const size_t bytes = draco_relay_order_bytes(n);
    if (drg_relay_addresses(r->order + bytes, l->order - bytes, n, r->address) < 0) return 0;
    pthread_mutex_lock(&r->mutex);
    memset(r->given, 0, (size_t)n * sizeof *r->given);
    r->active = draco_relay_begin(&r->state, r->order, bytes, (void *)(uintptr_t)l->build.params,
                                  l->build.params_count * sizeof(float), drg_now()) == DRACO_OK;
    r->gave = 0;
    r->round = l->build.round;
    const int good = r->active;
    pthread_mutex_unlock(&r->mutex);
    for (int i = 0; i < n && good; i++)
        if (i != l->worker->index && *r->address[i]) drg_line_to(&r->lines->link[i], r->address[i]);
    return good;
}

/* Bytes of a piece from the server. A piece may begin anew, when something newer came between. 0: they do not belong here. */
static int drg_relay_piece(drg_link *l, const draco_grpc_frame *f, grpc_byte_buffer *buffer) {
    drg_relay *r = l->relay;
    int good = 1;
    if (!r || f->version != DRACO_GRPC_WIRE || f->code != l->code_id || !l->joined) return 0;
    pthread_mutex_lock(&r->mutex);
    if (r->active && f->round == r->round) {
        size_t count = 0, at = 0;
        uint32_t p = 0;
        for (; p < r->state.pieces; p++) {
            at = draco_relay_piece(r->state.bytes, r->state.pieces, p, &count);
            if (f->offset >= at && f->offset - at < count) break;
        }
        good = p < r->state.pieces && f->payload_bytes <= count - (f->offset - at) &&
               (p == r->state.own || r->state.state[p] == DRY_ASKED || r->state.state[p] == DRY_DONE);
        if (good && r->state.state[p] != DRY_DONE) {
            if (f->offset == at) r->given[p] = 0;
            good = f->offset == at + r->given[p];
            if (good) {
                drg_copy(buffer, f->payload_at, r->state.vector + f->offset, f->payload_bytes);
                r->given[p] += f->payload_bytes;
                if (r->given[p] == count)
                    good = draco_relay_given(&r->state, p, drg_now()) != DRACO_E_MALFORMED;
            }
        }
    }
    pthread_mutex_unlock(&r->mutex);
    return good;
}

/* A frame of another worker, or one that waited. 0: no listener of a worker sends this. */
static int drg_line_received(drg_link *l, const draco_grpc_frame *f, grpc_byte_buffer *buffer) {
    drg_relay *r = l->worker->lines_of;
    l->ahead = 0;
    if (f->kind != DRACO_GRPC_REQUEST || f->payload_bytes > DRACO_RELAY_FRAME) return 0;
    if (f->payload_bytes < 8) return f->payload_bytes == 0; /* it stops */
    drg_copy(buffer, f->payload_at, r->frame, f->payload_bytes);
    pthread_mutex_lock(&r->mutex);
    l->ahead = dry_get64(r->frame) > r->state.serial;
    if (!l->ahead && r->active)
        draco_relay_take(&r->state, (int)(l - l->worker->link), r->frame, f->payload_bytes, drg_now());
    pthread_mutex_unlock(&r->mutex);
    return 1;
}

/* Look at what waits for its order. Returns seconds until the next look. */
static double drg_lines_tick(drg_worker *lines) {
    int waiting = 0;
    for (int i = 0; i < lines->links; i++) {
        drg_link *l = &lines->link[i];
        draco_grpc_frame f;
        pthread_mutex_lock(&lines->mutex);
        const int held = l->call && !l->ending && l->ahead;
        if (held) l->pending++; /* drg_line_to ends calls on another thread */
        pthread_mutex_unlock(&lines->mutex);
        if (!held) continue;
        if (drg_open(l->incoming, &f) == DRACO_OK) drg_line_received(l, &f, l->incoming);
        waiting |= l->ahead;
        if (!l->ahead) {
            grpc_byte_buffer_destroy(l->incoming);
            l->incoming = NULL;
            drg_link_listen(l);
        }
        drg_link_release(l);
    }
    return waiting ? DRG_TICK : 10 * DRG_TICK;
}

/* This worker's piece to all who take. */
static void drg_relay_give(drg_relay *r) {
    draco_request request;
    memset(&request, 0, sizeof request);
    pthread_mutex_lock(&r->mutex);
    const size_t bytes = draco_relay_frames_bytes(&r->state);
    if (r->frames_room < bytes) {
        free(r->frames);
        r->frames = (unsigned char *)malloc(bytes);
        r->frames_room = r->frames ? bytes : 0;
    }
    if (r->frames) draco_relay_frames(&r->state, r->frames);
    memcpy(r->whom, r->state.takes, (size_t)r->state.n);
    request.kind = DRACO_REQUEST_MESSAGE;
    request.round = r->state.serial;
    request.extra = r->frames;
    request.extra_bytes = bytes;
    pthread_mutex_unlock(&r->mutex);
    if (r->frames) drg_send(r->listener, &request, r->whom);
}

/* Ask the server for what is missing, when nothing else is being sent to it. */
static void drg_relay_ask(drg_link *l) {
    drg_relay *r = l->relay;
    drg_worker *w = l->worker;
    draco_grpc_frame f;
    uint8_t head[DRACO_GRPC_HEADER];
    int pieces;
    pthread_mutex_lock(&w->mutex);
    const int free_to = !l->sending && l->joined && !l->ending && l->call;
    if (free_to) {
        l->sending = 1;
        l->pending++;
    }
    pthread_mutex_unlock(&w->mutex);
    if (!free_to) return;
    memset(&f, 0, sizeof f);
    f.kind = DRACO_GRPC_ASK;
    f.worker = (uint32_t)w->index;
    f.version = DRACO_GRPC_WIRE;
    f.code = l->code_id;
    pthread_mutex_lock(&r->mutex);
    f.round = r->round;
    f.total = f.payload_bytes = r->active ? draco_relay_want(&r->state, drg_now(), r->ask, &pieces) : 0;
    pthread_mutex_unlock(&r->mutex);
    int sent = 0;
    if (f.payload_bytes) {
        grpc_slice slices[2] = {
            grpc_slice_from_copied_buffer((const char *)head, draco_grpc_frame_encode(&f, head)),
            grpc_slice_from_copied_buffer((const char *)r->ask, f.payload_bytes)};
        grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(slices, 2);
        grpc_op op;
        memset(&op, 0, sizeof op);
        op.op = GRPC_OP_SEND_MESSAGE;
        op.data.send_message.send_message = buffer;
        sent = grpc_call_start_batch(l->call, &op, 1, &l->tags[DRG_SEND], NULL) == GRPC_CALL_OK;
        grpc_byte_buffer_destroy(buffer);
        for (int i = 0; i < 2; i++) grpc_slice_unref(slices[i]);
    }
    if (sent) return;
    pthread_mutex_lock(&w->mutex);
    l->sending = 0;
    pthread_mutex_unlock(&w->mutex);
    drg_pump_reply(l); /* a reply may have found the way taken */
    drg_link_release(l);
}

/* Give, ask, or hand the request up: what is due. 0: nothing is being relayed. */
static int drg_relay_tick(drg_link *l) {
    drg_relay *r = l->relay;
    drg_worker *w = l->worker;
    if (!r) return 0;
    pthread_mutex_lock(&r->mutex);
    const int active = r->active, give = active && !r->gave && draco_relay_can_give(&r->state);
    const int whole = active && draco_relay_whole(&r->state);
    r->gave |= give;
    pthread_mutex_unlock(&r->mutex);
    if (give) drg_relay_give(r);
    if (active && !whole) drg_relay_ask(l);
    if (!whole) return active;
    pthread_mutex_lock(&w->mutex);
    pthread_mutex_lock(&r->mutex);
    if (r->active) {
        draco_little_endian(r->state.vector, r->state.bytes / sizeof(float));
        r->active = l->relaying = 0;
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&r->mutex);
    pthread_mutex_unlock(&w->mutex);
    return 0;
}

static void drg_relay_close(drg_link *l) {
    drg_relay *r = l->relay;
    if (!r) return;
    if (r->lines) drg_worker_close(r->lines);
    if (r->listener) drg_server_close(r->listener);
    drg_pem_free(&r->pem);
    draco_relay_worker_close(&r->state);
    pthread_mutex_destroy(&r->mutex);
    free(r->address);
    free(r->order);
    free(r->ask);
    free(r->whom);
    free(r->frames);
    free(r->frame);
    free(r->given);
    free(r);
}

/* address as host:port, with the port `shift` further; port 0 or none: `port`. */
static void drg_relay_place(const char *address, int shift, int port, char *out, size_t capacity) {
    char host[256];
    const char *text;
    drg_host_port(address, host, sizeof host, &text);
    const int own = text ? atoi(text) : 0;
    snprintf(out, capacity, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, own ? own + shift : port);
}

/* A line of the listener's. Whom it refuses the worker's log tells, and its explanation of an end does not. */
static void drg_relay_heard(void *ctx, const char *line) {
    drg_journal *journal = &((drg_link *)ctx)->worker->journal;
    char text[sizeof journal->last];
    if (strncmp(line, "refused ", 8) && strncmp(line, "cut ", 4)) return;
    snprintf(text, sizeof text, "relay: %.*s", (int)sizeof text - 8, line);
    pthread_mutex_lock(&journal->mutex);
    if (journal->on_event) journal->on_event(journal->ctx, text);
    pthread_mutex_unlock(&journal->mutex);
}

/* Listen for the others on behalf of server `number`. */
static draco_status drg_relay_open(drg_link *l, const draco_grpc_worker_config *config, int number, char *why,
                                   size_t capacity) {
    const size_t n = (size_t)config->workers;
    char listen[320], told[320];
    draco_grpc_limits limits = l->worker->limits;
    if (config->workers < 2 || config->workers > DRACO_MAX_WORKERS || config->index >= config->workers)
        return drg_fail(why, capacity, DRACO_E_ARGUMENT, "to relay, worker %d needs the number of workers",
                        config->index);
    drg_relay *r = (drg_relay *)calloc(1, sizeof *r);
    if (!r) return DRACO_E_MEMORY;
    l->relay = r;
    r->link = l;
    r->insecure = config->insecure;
    pthread_mutex_init(&r->mutex, NULL);
    r->address = (char(*)[DRG_ADDRESS])calloc(n, sizeof *r->address);
    r->order = (unsigned char *)malloc(draco_relay_order_bytes(config->workers) + n * DRG_ADDRESS);
    r->ask = (unsigned char *)malloc(draco_relay_ask_bytes(config->workers));
    r->whom = (unsigned char *)malloc(n);
    r->frame = (unsigned char *)malloc(DRACO_RELAY_FRAME);
    r->given = (size_t *)calloc(n, sizeof *r->given);
    if (!r->address || !r->order || !r->ask || !r->whom || !r->frame || !r->given ||
        draco_relay_worker_open(&r->state, config->workers, config->index) < 0)
        return DRACO_E_MEMORY;
    draco_status status = drg_pem_read(&r->pem, &config->tls, why, capacity);
    if (status) return status;
    limits.chunk_bytes = DRACO_RELAY_FRAME;
    limits.connections = 0;
    drg_relay_place(config->relay_listen, number, 0, listen, sizeof listen);
    const draco_grpc_server_config place = {.address = listen,
                                            .workers = config->workers,
                                            .tls = config->tls,
                                            .insecure = config->insecure,
                                            .limits = limits,
                                            .on_event = drg_relay_heard,
                                            .event_ctx = l};
    status = drg_server_new(&r->listener, &place, "worker", why, capacity);
    if (status) return status;
    pthread_mutex_lock(&r->listener->mutex); /* strangers get one line a second, in sum */
    r->listener->lines = r->listener->burst = 0;
    pthread_mutex_unlock(&r->listener->mutex);
    drg_relay_place(config->relay_address ? config->relay_address : config->relay_listen, number,
                    r->listener->port, told, sizeof told);
    if (!drg_is_relay_address(told, strlen(told)) || !strncmp(told, "0.0.0.0:", 8) ||
        !strncmp(told, "[::]:", 5) || told[0] == ':')
        return drg_fail(why, capacity, DRACO_E_ARGUMENT,
                        "other workers cannot reach this one at %s: it needs another address for them", told);
    snprintf(r->says, sizeof r->says, " " DRG_RELAY_WORD "%.*s", DRG_ADDRESS - 1, told);
    const draco_grpc_worker_config same = {.index = config->index, .tls = config->tls};
    r->lines = drg_worker_new(&same, &limits, config->workers);
    if (!r->lines) return DRACO_E_MEMORY;
    r->lines->lines_of = r;
    r->lines->thread_runs = !pthread_create(&r->lines->io, NULL, drg_worker_main, r->lines);
    return r->lines->thread_runs ? DRACO_OK : DRACO_E_MEMORY;
}

#endif /* DRACO_GRPC_RELAY_PART */
