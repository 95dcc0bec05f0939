/* draco_grpc_worker.h - version 0.1.0 - part of draco_grpc.h: the worker's end

   Included by draco_grpc.h.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#include "draco_grpc.h"

#if defined(DRACO_GRPC_IMPLEMENTATION) && !defined(DRACO_GRPC_WORKER_PART)
#define DRACO_GRPC_WORKER_PART

#include "draco_grpc_peers.h" /* the log */
#include "draco_share.h"

/* ---- Worker ---- */

#define DRG_QUEUE 8
#define DRG_TICK 0.004 /* seconds between two looks at what is being relayed */

typedef struct drg_worker drg_worker;
typedef struct drg_relay drg_relay;

/* The line to one server. Its I/O runs on the worker's I/O thread; all under the worker's mutex but the
   buffer that a request is being built in, which is the I/O thread's. */
typedef struct drg_link {
    drg_worker *worker;
    char *target, *next; /* next: another address to call, once no call is active */
    grpc_channel *channel;
    grpc_call *call;
    int pending;
    drg_tag tags[5], half; /* by event: status, start, recv, send, meta */
    grpc_metadata_array initial, trailing;
    grpc_status_code code;
    grpc_slice details;
    grpc_byte_buffer *incoming;
    int joined, known, stopped, told, ending; /* known: it has joined once */
    uint64_t ended;                           /* with stopped: the step of its STOP, how the run ended */
    double retry_at, delay, away_since;
    char reason[320];
    uint64_t code_id, epoch; /* epoch: counts connections */
    size_t chunk;
    /* Requests that came whole, oldest first; parameters stand in buffers[!held] until their request is
     * taken. */
    draco_request queue[DRG_QUEUE];
    uint64_t wave[DRG_QUEUE], build_wave; /* 0: a request to this worker alone */
    int queued;
    drg_relay *relay; /* of this server's parameters; NULL: this worker takes no part */
    int relaying;     /* the parameters of queue[0] are still coming from other workers */
    int ahead;        /* between workers: incoming is of a broadcast whose order has not come */
    float *buffers[2];
    size_t capacity[2];
    int held;
    uint64_t newest; /* round of the newest parameters that began to arrive */
    draco_request build;
    size_t total, got, order; /* order: bytes that come in place of the parameters */
    int building;
    /* The request that the caller works on. */
    draco_request taken;
    uint64_t taken_epoch;
    int sending, replying; /* replying: 1 a reply is there, 2 it has begun to go out */
    const unsigned char *reply;
    size_t share, sent; /* bytes of the reply that are this server's; bytes sent */
} drg_link;

struct drg_worker {
    draco_grpc_limits limits;
    drg_journal journal;
    draco_grpc_tls tls;
    int index, links, closing, thread_runs;
    uint64_t code_id;
    char *configuration;
    const volatile int *stop;
    drg_relay *lines_of; /* its links are the lines to other workers, by their numbers; NULL: to servers */
    grpc_completion_queue *queue;
    pthread_t io;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    draco_status fatal;
    drg_link *link;
    int asker;                         /* whose request the caller works on: a link's, -1 that of all */
    draco_share_memory params, extras; /* several servers: what they sent, one after the other */
    /* Slices of the caller's reply that gRPC still holds. Its own mutex: gRPC lets go from inside any call.
     */
    pthread_mutex_t slice_mutex;
    pthread_cond_t slice_changed;
    int slices;
};

static void drg_request_free(draco_request *r) {
    free((void *)(uintptr_t)r->extra);
    r->extra = NULL;
}

static void drg_relay_stop(drg_link *l); /* under the mutex */
static unsigned char *drg_relay_room(drg_link *l, uint64_t order, uint64_t params);
static int drg_relay_begin(drg_link *l);
static int drg_relay_piece(drg_link *l, const draco_grpc_frame *f, grpc_byte_buffer *buffer);
static int drg_relay_tick(drg_link *l);
static const char *drg_relay_says(const drg_link *l);
static void drg_relay_close(drg_link *l);
static int drg_line_received(drg_link *l, const draco_grpc_frame *f, grpc_byte_buffer *buffer);
static double drg_lines_tick(drg_worker *lines);
static int drg_line_open(drg_link *l);

static void drg_flush(drg_link *l) { /* under the mutex */
    drg_relay_stop(l);
    for (int i = 0; i < l->queued; i++) drg_request_free(&l->queue[i]);
    l->queued = 0;
}

static void drg_shift(drg_link *l) { /* under the mutex: forget queue[0] */
    l->queued--;
    memmove(l->queue, l->queue + 1, (size_t)l->queued * sizeof *l->queue);
    memmove(l->wave, l->wave + 1, (size_t)l->queued * sizeof *l->wave);
}

static grpc_byte_buffer *drg_hello_frame(const drg_link *l) {
    const drg_worker *w = l->worker;
    const char *relay = drg_relay_says(l);
    draco_grpc_frame f;
    uint8_t head[DRACO_GRPC_HEADER];
    memset(&f, 0, sizeof f);
    f.kind = DRACO_GRPC_HELLO;
    f.worker = (uint32_t)w->index;
    f.version = DRACO_GRPC_WIRE;
    f.code = w->code_id;
    f.payload_bytes = f.total = strlen(w->configuration) + strlen(relay);
    const size_t n = draco_grpc_frame_encode(&f, head);
    grpc_slice slices[3] = {grpc_slice_from_copied_buffer((const char *)head, n),
                            grpc_slice_from_copied_string(w->configuration),
                            grpc_slice_from_copied_string(relay)};
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(slices, 3);
    for (int i = 0; i < 3; i++) grpc_slice_unref(slices[i]);
    return buffer;
}

/* The caller holds the call, so this never ends it. */
static void drg_link_batch(drg_link *l, const grpc_op *ops, size_t count, drg_tag *tag) {
    pthread_mutex_lock(&l->worker->mutex);
    l->pending++;
    pthread_mutex_unlock(&l->worker->mutex);
    if (grpc_call_start_batch(l->call, ops, count, tag, NULL) == GRPC_CALL_OK) return;
    pthread_mutex_lock(&l->worker->mutex);
    l->pending--;
    pthread_mutex_unlock(&l->worker->mutex);
}

static void drg_link_listen(drg_link *l) {
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &l->incoming;
    drg_link_batch(l, &op, 1, &l->tags[DRG_RECV]);
}

/* Knock at the server: one call, its HELLO, and everything that is to be received. */
static void drg_link_call(drg_link *l) {
    grpc_slice method = grpc_slice_from_static_string(DRG_METHOD);
    grpc_call *call = grpc_channel_create_call(l->channel, NULL, GRPC_PROPAGATE_DEFAULTS, l->worker->queue,
                                               method, NULL, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    pthread_mutex_lock(&l->worker->mutex);
    l->call = call;
    pthread_mutex_unlock(&l->worker->mutex);
    grpc_metadata_array_init(&l->initial);
    grpc_metadata_array_init(&l->trailing);
    l->details = grpc_empty_slice();
    grpc_op ops[2];
    memset(ops, 0, sizeof ops);
    ops[0].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[0].data.recv_status_on_client.trailing_metadata = &l->trailing;
    ops[0].data.recv_status_on_client.status = &l->code;
    ops[0].data.recv_status_on_client.status_details = &l->details;
    drg_link_batch(l, ops, 1, &l->tags[DRG_CLOSED]);
    grpc_byte_buffer *hello = drg_hello_frame(l);
    memset(ops, 0, sizeof ops);
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = hello;
    drg_link_batch(l, ops, 2, &l->tags[DRG_STATUS]);
    grpc_byte_buffer_destroy(hello);
    memset(ops, 0, sizeof ops);
    ops[0].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[0].data.recv_initial_metadata.recv_initial_metadata = &l->initial;
    drg_link_batch(l, ops, 1, &l->tags[DRG_META]);
    drg_link_listen(l);
}

static void drg_give_up(drg_worker *w, draco_status status) {
    pthread_mutex_lock(&w->mutex);
    if (!w->fatal) w->fatal = status;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

static int drg_on_welcome(drg_link *l, const draco_grpc_frame *f) {
    drg_worker *w = l->worker;
    if (f->version != DRACO_GRPC_WIRE || (w->code_id && f->code != w->code_id) || f->chunk < 1) return 0;
    pthread_mutex_lock(&w->mutex);
    l->joined = l->known = 1;
    l->told = 0;
    l->code_id = f->code;
    l->chunk = f->chunk < w->limits.chunk_bytes ? f->chunk : w->limits.chunk_bytes;
    l->delay = 0;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    drg_say(&w->journal, "joined %s as number %d", l->target, w->index);
    return 1;
}

/* The first frame of a request: make room. 0: it cannot be. */
static int drg_build(drg_link *l, const draco_grpc_frame *f) {
    drg_worker *w = l->worker;
    const uint64_t limit = w->limits.message_bytes;
    l->building = 0;
    drg_request_free(&l->build);
    const uint64_t front = f->order ? f->order : sizeof(float) * f->params;
    if (f->total > limit || f->params > limit / sizeof(float) || front > f->total || f->reply > limit ||
        (f->order && !drg_relay_room(l, f->order, f->params)))
        return 0;
    draco_request r;
    memset(&r, 0, sizeof r);
    r.kind = (draco_request_kind)f->request;
    r.round = f->round;
    r.step = f->step;
    r.params_count = (size_t)f->params;
    r.reply_bytes = (size_t)f->reply;
    r.extra_bytes = (size_t)(f->total - front);
    if (r.params_count) { /* what waits in the buffer is stale now */
        pthread_mutex_lock(&w->mutex);
        drg_flush(l);
        l->newest = r.round;
        pthread_cond_broadcast(&w->changed); /* a reply that is going out to an older one ends here */
        const int spare = !l->held;
        pthread_mutex_unlock(&w->mutex);
        if (l->capacity[spare] < r.params_count) {
            free(l->buffers[spare]);
            l->buffers[spare] = (float *)aligned_alloc(64, (r.params_count * sizeof(float) + 63) / 64 * 64);
            l->capacity[spare] = l->buffers[spare] ? r.params_count : 0;
        }
        r.params = l->buffers[spare];
    }
    if (r.extra_bytes) r.extra = malloc(r.extra_bytes);
    if ((r.params_count && !r.params) || (r.extra_bytes && !r.extra)) {
        free((void *)(uintptr_t)r.extra);
        drg_give_up(w, DRACO_E_MEMORY);
        return 0;
    }
    l->build = r;
    l->build_wave = f->wave;
    l->total = (size_t)f->total;
    l->order = (size_t)f->order;
    l->got = 0;
    l->building = 1;
    return 1;
}

static int drg_on_request(drg_link *l, const draco_grpc_frame *f, grpc_byte_buffer *buffer) {
    drg_worker *w = l->worker;
    if (f->version != DRACO_GRPC_WIRE || f->code != l->code_id || !l->joined) return 0;
    if (f->request == DRACO_REQUEST_STOP) {
        pthread_mutex_lock(&w->mutex);
        l->stopped = 1;
        l->ended = f->step;
        pthread_cond_broadcast(&w->changed);
        pthread_mutex_unlock(&w->mutex);
        return 1;
    }
    if (f->offset == 0 && !drg_build(l, f)) return 0;
    if (!l->building || f->round != l->build.round || f->total != l->total || f->offset != l->got ||
        f->payload_bytes > l->total - l->got)
        return 0;
    const size_t params_bytes = l->order ? l->order : l->build.params_count * sizeof(float);
    const size_t end = l->got + f->payload_bytes;
    const size_t first = l->got < params_bytes ? (end < params_bytes ? end : params_bytes) - l->got : 0;
    unsigned char *front = l->order ? drg_relay_room(l, l->order, l->build.params_count)
                                    : (unsigned char *)(uintptr_t)l->build.params;
    drg_copy(buffer, f->payload_at, front + l->got, first);
    if (f->payload_bytes > first)
        drg_copy(buffer, f->payload_at + first,
                 (unsigned char *)(uintptr_t)l->build.extra + (l->got + first - params_bytes),
                 f->payload_bytes - first);
    l->got = end;
    if (end < l->total) return 1;
    const int relaying = l->order > 0;
    if (relaying ? !drg_relay_begin(l) : l->relaying && l->queued == DRG_QUEUE) return 0;
    if (!relaying) draco_little_endian((void *)(uintptr_t)l->build.params, l->build.params_count);
    pthread_mutex_lock(&w->mutex);
    if (l->queued == DRG_QUEUE) {
        drg_request_free(&l->queue[0]);
        drg_shift(l);
    }
    l->relaying |= relaying;
    l->wave[l->queued] = l->build_wave;
    l->queue[l->queued++] = l->build;
    l->build.extra = NULL;
    l->building = 0;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    return 1;
}

static void drg_link_received(drg_link *l, int good) {
    grpc_byte_buffer *buffer = l->incoming;
    l->incoming = NULL;
    if (good && buffer) {
        draco_grpc_frame f;
        memset(&f, 0, sizeof f);
        int fine = drg_open(buffer, &f) == DRACO_OK;
        if (fine && f.kind == DRACO_GRPC_WELCOME)
            fine = drg_on_welcome(l, &f);
        else if (fine && l->worker->lines_of) {
            fine = drg_line_received(l, &f, buffer);
            if (l->ahead) { /* nothing more is read of it until the order has come */
                l->incoming = buffer;
                return;
            }
        } else if (fine && f.kind == DRACO_GRPC_PIECE)
            fine = drg_relay_piece(l, &f, buffer);
        else if (fine)
            fine = f.kind == DRACO_GRPC_REQUEST && drg_on_request(l, &f, buffer);
        if (!fine)
            grpc_call_cancel_with_status(l->call, GRPC_STATUS_INTERNAL,
                                         "the server's bytes are not what draco.v1 says, or too many", NULL);
        drg_link_listen(l);
    }
    if (buffer) grpc_byte_buffer_destroy(buffer);
}

/* Does this status say that knocking again is of no use? */
static int drg_is_final(grpc_status_code code) {
    return code == GRPC_STATUS_PERMISSION_DENIED || code == GRPC_STATUS_INVALID_ARGUMENT ||
           code == GRPC_STATUS_UNAUTHENTICATED || code == GRPC_STATUS_UNIMPLEMENTED ||
           code == GRPC_STATUS_ABORTED;
}

/* The call has ended and nothing of it is under way: learn why, and when to try again. */
static void drg_link_ended(drg_link *l) {
    drg_worker *w = l->worker;
    char *text = grpc_slice_to_c_string(l->details);
    const double now = drg_now();
    if (l->incoming) grpc_byte_buffer_destroy(l->incoming);
    l->incoming = NULL;
    l->ahead = 0;
    pthread_mutex_lock(&w->mutex);
    const int was_joined = l->joined;
    if (was_joined) l->away_since = now;
    l->joined = l->building = l->sending = 0;
    l->epoch++;
    drg_flush(l);
    drg_request_free(&l->build);
    const int refused =
        w->tls.ca && !was_joined && l->code == GRPC_STATUS_UNAVAILABLE && strstr(text, "ocket closed");
    snprintf(l->reason, sizeof l->reason, "%.200s%s", *text ? text : "the connection was lost",
             refused ? " (it may have refused this worker's certificate: its own log says)" : "");
    if (l->code == GRPC_STATUS_OK && was_joined && !l->stopped && !w->lines_of) { /* it left without a word */
        l->stopped = 1;
        l->ended = (uint64_t)-DRACO_E_TRANSPORT;
    }
    /* A server whose certificate is not what it should be stays so; after it was another, somebody stands between. */
    const int impostor = !l->known && (strstr(l->reason, "ertificate verify failed") ||
                                       strstr(l->reason, "CERTIFICATE_VERIFY_FAILED") ||
                                       strstr(l->reason, "Hostname Verification"));
    const int final = (drg_is_final(l->code) || impostor) && !w->lines_of,
              tell = !l->stopped && !w->closing && (final || !l->told);
    l->told = 1;
    l->delay = l->delay < 0.2 ? 0.2 : fmin(2, 1.6 * l->delay);
    l->retry_at = now + l->delay * (0.8 + 0.05 * (w->index % 8)); /* not all at the same moment */
    pthread_mutex_unlock(&w->mutex);
    gpr_free(text);
    grpc_slice_unref(l->details);
    grpc_metadata_array_destroy(&l->initial);
    grpc_metadata_array_destroy(&l->trailing);
    grpc_call_unref(l->call);
    if (tell) drg_say(&w->journal, "%s: %s%s", l->target, l->reason, final ? "" : "; trying again");
    pthread_mutex_lock(&w->mutex);
    if (final && !w->fatal) w->fatal = DRACO_E_CONFIG; /* told first: whoever sees it asks why */
    l->call = NULL;                                    /* from here on a new call may begin */
    l->ending = 0;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

/* Let go of a hold on the call; the last one ends it. */
static void drg_link_release(drg_link *l) {
    pthread_mutex_lock(&l->worker->mutex);
    const int ended = --l->pending == 0;
    l->ending |= ended; /* nobody may take hold of it any more */
    if (l->worker->closing) pthread_cond_broadcast(&l->worker->changed);
    pthread_mutex_unlock(&l->worker->mutex);
    if (ended) drg_link_ended(l);
}

static int drg_link_wants_call(const drg_link *l) { /* under the mutex */
    return !l->call && (l->channel || l->next) && !l->stopped && !l->worker->closing && !l->worker->fatal;
}

/* Call where it is time to; returns when to come again. */
static double drg_call_due(drg_worker *w) {
    double next = drg_now() + 1;
    for (int i = 0; i < w->links; i++) {
        drg_link *l = &w->link[i];
        pthread_mutex_lock(&w->mutex);
        const int wants = drg_link_wants_call(l);
        const int due = wants && l->retry_at <= drg_now();
        if (wants && !due && l->retry_at < next) next = l->retry_at;
        if (due) l->pending++; /* a call that is being started has not ended */
        pthread_mutex_unlock(&w->mutex);
        if (!due) continue;
        if (w->lines_of && !drg_line_open(l)) {
            pthread_mutex_lock(&w->mutex);
            l->pending--;
            pthread_mutex_unlock(&w->mutex);
            continue;
        }
        drg_link_call(l);
        drg_link_release(l);
    }
    return next;
}

static void drg_slice_done(void *arg) {
    drg_worker *w = (drg_worker *)arg;
    pthread_mutex_lock(&w->slice_mutex);
    if (--w->slices == 0) pthread_cond_signal(&w->slice_changed);
    pthread_mutex_unlock(&w->slice_mutex);
}

/* Does this link still want bytes of the reply? A reply to a server that is gone, or that has begun to send
   newer parameters, is dropped. Under the mutex. */
static int drg_link_wants_reply(const drg_link *l) {
    return l->replying && l->joined && !l->ending && l->epoch == l->taken_epoch && !l->stopped &&
           l->newest <= l->taken.round && (l->replying == 1 || l->sent < l->share);
}

/* Send the next frame of this link's share, if it wants one and none is under way. Frame after frame: submit
   sends the first, the I/O thread each next one when gRPC has taken the one before. */
static void drg_pump_reply(drg_link *l) {
    drg_worker *w = l->worker;
    draco_grpc_frame f;
    uint8_t head[DRACO_GRPC_HEADER];
    memset(&f, 0, sizeof f);
    pthread_mutex_lock(&w->mutex);
    if (l->sending || !drg_link_wants_reply(l)) {
        pthread_mutex_unlock(&w->mutex);
        return;
    }
    f.kind = DRACO_GRPC_REPLY;
    f.worker = (uint32_t)w->index;
    f.version = DRACO_GRPC_WIRE;
    f.code = l->code_id;
    f.request = (uint32_t)l->taken.kind;
    f.round = l->taken.round;
    f.step = l->taken.step;
    f.total = l->share;
    f.offset = l->sent;
    f.payload_bytes = l->share - l->sent < l->chunk ? l->share - l->sent : l->chunk;
    l->sent += f.payload_bytes;
    l->replying = 2; /* begun */
    l->sending = 1;
    l->pending++;
    pthread_mutex_unlock(&w->mutex);

    pthread_mutex_lock(&w->slice_mutex);
    w->slices++;
    pthread_mutex_unlock(&w->slice_mutex);
    /* The caller's bytes go out as they are; submit waits until gRPC has let go of them. */
    const size_t n = draco_grpc_frame_encode(&f, head);
    grpc_slice slices[2] = {grpc_slice_from_copied_buffer((const char *)head, n),
                            grpc_slice_new_with_user_data((void *)(uintptr_t)(l->reply + f.offset),
                                                          f.payload_bytes, drg_slice_done, w)};
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(slices, 2);
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_SEND_MESSAGE;
    op.data.send_message.send_message = buffer;
    if (grpc_call_start_batch(l->call, &op, 1, &l->tags[DRG_SEND], NULL) != GRPC_CALL_OK) {
        pthread_mutex_lock(&w->mutex);
        l->sending = l->replying = 0;
        pthread_mutex_unlock(&w->mutex);
        drg_link_release(l);
    }
    grpc_byte_buffer_destroy(buffer);
    for (int i = 0; i < 2; i++) grpc_slice_unref(slices[i]);
}

static int drg_replying(const drg_worker *w) { /* under the mutex */
    for (int i = 0; i < w->links; i++)
        if (w->link[i].sending || drg_link_wants_reply(&w->link[i])) return 1;
    return 0;
}

static void *drg_worker_main(void *arg) {
    drg_worker *w = (drg_worker *)arg;
    for (;;) {
        double wait = drg_call_due(w) - drg_now();
        if (w->lines_of)
            wait = drg_lines_tick(w);
        else
            for (int i = 0; i < w->links; i++)
                if (drg_relay_tick(&w->link[i])) wait = fmin(wait, DRG_TICK);
        const gpr_timespec until = gpr_time_add(
            gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_micros((int64_t)(1e6 * fmax(0, wait)), GPR_TIMESPAN));
        grpc_event e = grpc_completion_queue_next(w->queue, until, NULL);
        if (e.type == GRPC_QUEUE_SHUTDOWN) return NULL;
        if (e.type == GRPC_QUEUE_TIMEOUT) continue;
        drg_tag *tag = (drg_tag *)e.tag;
        drg_link *l = (drg_link *)tag->owner;
        if (tag->event == DRG_RECV) drg_link_received(l, e.success);
        if (tag->event == DRG_SEND) {
            pthread_mutex_lock(&w->mutex);
            l->sending = 0;
            if (!drg_replying(w)) pthread_cond_broadcast(&w->changed);
            pthread_mutex_unlock(&w->mutex);
            if (e.success) drg_pump_reply(l);
        }
        drg_link_release(l);
    }
}

/* Which links' first requests are to be handed up: the number of one that asks alone, -1 for all of them
   together, -2 for none yet. What the other servers are past is forgotten. Under the mutex. */
static int drg_aligned(drg_worker *w) {
    uint64_t newest = 0;
    int aligned = 1;
    for (int i = 0; i < w->links; i++) {
        const drg_link *l = &w->link[i];
        if (l->queued && l->wave[0] == 0 && !l->relaying) return i;
        if (l->queued && l->wave[0] > newest) newest = l->wave[0];
    }
    for (int i = 0; i < w->links; i++) {
        drg_link *l = &w->link[i];
        while (l->queued && l->wave[0] && l->wave[0] < newest) {
            drg_relay_stop(l);
            if (l->queue[0].params) l->held = !l->held;
            drg_request_free(&l->queue[0]);
            drg_shift(l);
        }
        aligned &= l->queued && l->wave[0] == newest && !l->relaying;
    }
    return aligned ? -1 : -2;
}

static void drg_take_request(drg_link *l) { /* under the mutex */
    l->taken = l->queue[0];
    l->taken_epoch = l->epoch;
    drg_shift(l);
    if (l->taken.params) l->held = !l->held;
}

static draco_status drg_merge(drg_worker *w, draco_request *request) {
    const draco_status status =
        draco_share_join(&w->link[0].taken, sizeof *w->link, w->links, &w->params, &w->extras, request);
    if (status == DRACO_E_CONFIG)
        drg_say(&w->journal, "the servers %s to %s ask for different things: they are not of one run",
                w->link[0].target, w->link[w->links - 1].target);
    return status;
}

static const drg_link *drg_any_stopped(const drg_worker *w) {
    for (int i = 0; i < w->links; i++)
        if (w->link[i].stopped) return &w->link[i];
    return NULL;
}

/* Has a server been away for too long? Says so. Under the mutex. */
static int drg_forsaken(drg_worker *w) {
    for (int i = 0; i < w->links; i++) {
        drg_link *l = &w->link[i];
        if (l->joined || drg_now() - l->away_since <= w->limits.give_up_seconds) continue;
        const char *reason = *l->reason ? l->reason : "no answer";
        if (w->limits.give_up_seconds > 0)
            drg_say(&w->journal, "%s has been away for %.0f s: %s", l->target, w->limits.give_up_seconds,
                    reason);
        else
            drg_say(&w->journal, "lost %s: %s", l->target, reason);
        return 1;
    }
    return 0;
}

static draco_status drg_receive(void *ctx, draco_request *request) {
    drg_worker *w = (drg_worker *)ctx;
    draco_status status = DRACO_OK;
    for (int i = 0; i < w->links; i++) drg_request_free(&w->link[i].taken);
    pthread_mutex_lock(&w->mutex);
    for (;;) {
        if (drg_any_stopped(w)) {
            memset(request, 0, sizeof *request);
            request->kind = DRACO_REQUEST_STOP;
            request->step = drg_any_stopped(w)->ended;
            break;
        }
        w->asker = drg_aligned(w);
        if (w->asker != -2) {
            for (int i = 0; i < w->links; i++)
                if (draco_share_asked(w->asker, i)) drg_take_request(&w->link[i]);
            pthread_mutex_unlock(&w->mutex);
            if (w->asker < 0) return drg_merge(w, request);
            *request = w->link[w->asker].taken;
            request->server = w->links > 1 ? w->asker : -1;
            return DRACO_OK;
        }
        if (!w->fatal && drg_forsaken(w)) w->fatal = DRACO_E_TRANSPORT;
        status = w->stop && *w->stop ? DRACO_E_STOPPED : w->fatal;
        if (status) break;
        drg_wait(&w->changed, &w->mutex, drg_now() + 0.2);
    }
    pthread_mutex_unlock(&w->mutex);
    return status;
}

/* reply NULL: the worker cannot reply; an empty reply where bytes were requested. */
static draco_status drg_submit(void *ctx, const draco_request *request, const void *reply, size_t bytes) {
    drg_worker *w = (drg_worker *)ctx;
    size_t at = 0;
    (void)request;
    if (!reply) bytes = 0;
    for (int i = 0; i < w->links; i++) {
        drg_link *l = &w->link[i];
        if (!draco_share_asked(w->asker, i)) continue;
        const int alone = w->asker >= 0 || w->links == 1;
        pthread_mutex_lock(&w->mutex);
        l->reply = bytes ? (const unsigned char *)reply + at : (const unsigned char *)"";
        l->share = draco_share_cut(&at, bytes, alone ? bytes : l->taken.reply_bytes);
        l->sent = 0;
        l->replying = 1;
        pthread_mutex_unlock(&w->mutex);
        drg_pump_reply(l);
    }
    pthread_mutex_lock(&w->mutex);
    while (drg_replying(w)) drg_wait(&w->changed, &w->mutex, drg_now() + 0.2);
    for (int i = 0; i < w->links; i++) w->link[i].replying = 0;
    pthread_mutex_unlock(&w->mutex);
    pthread_mutex_lock(&w->slice_mutex);
    while (w->slices) pthread_cond_wait(&w->slice_changed, &w->slice_mutex);
    pthread_mutex_unlock(&w->slice_mutex);
    return DRACO_OK;
}

static const char *drg_worker_explain(void *ctx) {
    return drg_last(&((drg_worker *)ctx)->journal);
}

/* Take leave: the server answers with OK; who does not answer within a second is left. */
static void drg_link_close(drg_link *l) {
    drg_worker *w = l->worker;
    const double until = drg_now() + (w->lines_of ? 0 : 1);
    pthread_mutex_lock(&w->mutex);
    while (l->ending) drg_wait(&w->changed, &w->mutex, HUGE_VAL);
    const int active = l->call != NULL;
    if (active) l->pending++; /* the call stays while we use it */
    pthread_mutex_unlock(&w->mutex);
    if (!active) return;
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    drg_link_batch(l, &op, 1, &l->half);
    pthread_mutex_lock(&w->mutex);
    while (l->pending > 1 && drg_now() < until) drg_wait(&w->changed, &w->mutex, until);
    pthread_mutex_unlock(&w->mutex);
    grpc_call_cancel(l->call, NULL);
    pthread_mutex_lock(&w->mutex);
    while (l->pending > 1) drg_wait(&w->changed, &w->mutex, HUGE_VAL);
    pthread_mutex_unlock(&w->mutex);
    drg_link_release(l);
}

static draco_status drg_worker_close(void *ctx) {
    drg_worker *w = (drg_worker *)ctx;
    pthread_mutex_lock(&w->mutex);
    w->closing = 1;
    pthread_mutex_unlock(&w->mutex);
    for (int i = 0; i < w->links; i++) {
        drg_link *l = &w->link[i];
        if (w->thread_runs) drg_link_close(l);
        if (l->channel) grpc_channel_destroy(l->channel);
        drg_flush(l);
        drg_request_free(&l->taken);
        free(l->buffers[0]);
        free(l->buffers[1]);
        free(l->target);
        free(l->next);
    }
    drg_queue_end(w->queue, w->thread_runs ? &w->io : NULL);
    for (int i = 0; i < w->links; i++) drg_relay_close(&w->link[i]);
    pthread_cond_destroy(&w->changed);
    pthread_cond_destroy(&w->slice_changed);
    pthread_mutex_destroy(&w->mutex);
    pthread_mutex_destroy(&w->slice_mutex);
    pthread_mutex_destroy(&w->journal.mutex);
    free(w->configuration);
    free(w->params.bytes);
    free(w->extras.bytes);
    free(w->link);
    free(w);
    return DRACO_OK;
}

static draco_status drg_link_open(drg_link *l, const draco_grpc_worker_config *config, const drg_pem *pem,
                                  char *why, size_t capacity) {
    const draco_status status = drg_address_allowed(l->target, pem, config->insecure, why, capacity);
    if (status) return status;
    drg_args a;
    drg_common_args(&a, &l->worker->limits,
                    l->worker->lines_of ? DRACO_RELAY_FRAME
                                        : (size_t)3 << 20); /* the longest chunk a server may choose */
    drg_arg(&a, GRPC_ARG_ENABLE_RETRIES, 0);
    drg_arg(&a, GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    drg_arg(&a, GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
    drg_arg(&a, GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
    drg_arg(&a, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
    drg_arg(&a, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    if (config->server_name && pem->ca) {
        grpc_arg *arg = &a.arg[a.args.num_args++];
        arg->type = GRPC_ARG_STRING;
        arg->key = (char *)(uintptr_t)GRPC_SSL_TARGET_NAME_OVERRIDE_ARG;
        arg->value.string = (char *)(uintptr_t)config->server_name;
    }
    grpc_ssl_pem_key_cert_pair pair = {pem->key, pem->certificate};
    grpc_channel_credentials *credentials = pem->ca ? grpc_ssl_credentials_create(pem->ca, &pair, NULL, NULL)
                                                    : grpc_insecure_credentials_create();
    l->channel = credentials ? grpc_channel_create(l->target, credentials, &a.args) : NULL;
    if (credentials) grpc_channel_credentials_release(credentials);
    return l->channel ? DRACO_OK
                      : drg_fail(why, capacity, DRACO_E_ARGUMENT, "%s: the address or the TLS files are bad",
                                 l->target);
}

static int drg_split(drg_worker *w, const char *addresses) {
    for (int i = 0; i < w->links; i++) {
        const size_t n = strcspn(addresses, ",");
        w->link[i].target = strndup(addresses, n);
        if (!w->link[i].target) return 0;
        addresses += n + (addresses[n] == ',');
    }
    return 1;
}

static int drg_links_new(drg_worker *w, int count) {
    w->link = (drg_link *)calloc((size_t)count, sizeof *w->link);
    if (!w->link) return 0;
    w->links = count;
    for (int i = 0; i < count; i++) {
        drg_link *l = &w->link[i];
        l->worker = w;
        l->away_since = drg_now();
        for (int e = 0; e < 5; e++) {
            l->tags[e].owner = l;
            l->tags[e].event = (drg_event)e;
        }
        l->half.owner = l;
        l->half.event = DRG_META;
    }
    return 1;
}

/* A worker without any thread, its `links` links without channels. */
static drg_worker *drg_worker_new(const draco_grpc_worker_config *config, const draco_grpc_limits *limits,
                                  int links) {
    drg_worker *w = (drg_worker *)calloc(1, sizeof *w);
    if (!w) return NULL;
    drg_begin();
    pthread_mutex_init(&w->mutex, NULL);
    pthread_mutex_init(&w->slice_mutex, NULL);
    pthread_mutex_init(&w->journal.mutex, NULL);
    drg_cond_init(&w->changed);
    drg_cond_init(&w->slice_changed);
    w->limits = *limits;
    w->journal.on_event = config->on_event;
    w->journal.ctx = config->event_ctx;
    w->tls = config->tls;
    w->index = config->index;
    w->code_id = config->code_id;
    w->stop = config->stop;
    w->configuration = strdup(config->configuration ? config->configuration : "");
    w->queue = grpc_completion_queue_create_for_next(NULL);
    if (w->configuration && drg_links_new(w, links)) return w;
    drg_worker_close(w);
    return NULL;
}

static draco_status drg_relay_open(drg_link *l, const draco_grpc_worker_config *config, int number, char *why,
                                   size_t capacity);

static draco_status drg_worker_open(draco_transport *transport, const draco_grpc_worker_config *config,
                                    char *why, size_t capacity) {
    int servers = 1;
    if (!config->address || !*config->address || config->index < 0 || config->index >= DRACO_MAX_WORKERS)
        return drg_fail(why, capacity, DRACO_E_ARGUMENT, "a worker needs an address and a number 0 to %d",
                        DRACO_MAX_WORKERS - 1);
    draco_grpc_limits limits = config->limits;
    drg_pem pem;
    draco_status status = drg_limits(&limits, 0, why, capacity);
    if (status) return status;
    if ((status = drg_pem_read(&pem, &config->tls, why, capacity))) return status;
    for (const char *c = config->address; *c; c++) servers += *c == ',';
    drg_worker *w = drg_worker_new(config, &limits, servers);
    if (!w) {
        drg_pem_free(&pem);
        return DRACO_E_MEMORY;
    }
    if (!drg_split(w, config->address)) status = DRACO_E_MEMORY;
    for (int i = 0; !status && i < w->links; i++)
        status = drg_link_open(&w->link[i], config, &pem, why, capacity);
    for (int i = 0; !status && config->relay_listen && i < w->links; i++)
        status = drg_relay_open(&w->link[i], config, i, why, capacity);
    drg_pem_free(&pem);
    if (!status) {
        w->thread_runs = !pthread_create(&w->io, NULL, drg_worker_main, w);
        if (!w->thread_runs) status = drg_fail(why, capacity, DRACO_E_MEMORY, "no thread to be had");
    }
    if (status) {
        drg_worker_close(w);
        return status;
    }
    memset(transport, 0, sizeof *transport);
    transport->size = sizeof *transport;
    transport->name = "grpc";
    transport->ctx = w;
    transport->receive = drg_receive;
    transport->submit = drg_submit;
    transport->close = drg_worker_close;
    transport->explain = drg_worker_explain;
    return DRACO_OK;
}

DRACO_GRPC_API draco_status draco_grpc_worker_open(draco_transport *transport,
                                                   const draco_grpc_worker_config *config) {
    char why[512] = "";
    draco_status status;
    if (!transport || !config) return DRACO_E_NULL;
    status = drg_worker_open(transport, config, why, sizeof why);
    return status < 0 ? draco_handshake_fail(transport, status, "%s", *why ? why : "out of memory") : status;
}

#endif /* DRACO_GRPC_WORKER_PART */
