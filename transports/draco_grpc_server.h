/* draco_grpc_server.h - version 0.1.0 - part of draco_grpc.h: the server's threads, rounds, open and close

   Included by draco_grpc.h.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#include "draco_grpc.h"

#if defined(DRACO_GRPC_IMPLEMENTATION) && !defined(DRACO_GRPC_SERVER_PART)
#define DRACO_GRPC_SERVER_PART

#include "draco_grpc_peers.h"
#include "draco_grpc_worker.h" /* servers among themselves: the others are workers of server 0 */

/* ---- Server: threads ---- */

static void drg_received(drg_conn *c, int good) {
    drg_server *s = c->server;
    grpc_byte_buffer *buffer = c->incoming;
    if (!good || !buffer) { /* nothing more comes: the peer has left */
        drg_dismiss(c, GRPC_STATUS_OK, "");
        drg_release(c);
        return;
    }
    pthread_mutex_lock(&s->mutex);
    c->bytes_in += grpc_byte_buffer_length(buffer);
    const int known = c->slot >= 0 && !s->closing;
    if (known) { /* collect reads it and lets go */
        c->next_ready = NULL;
        *s->ready_end = c;
        s->ready_end = &c->next_ready;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->mutex);
    if (known) return;
    c->incoming = NULL;
    if (c->slot < 0) drg_hello(c, buffer);
    grpc_byte_buffer_destroy(buffer);
    drg_release(c);
}

static void drg_closed(drg_conn *c) {
    drg_server *s = c->server;
    pthread_mutex_lock(&s->mutex);
    c->gone = 1;
    const int was_worker = c->slot >= 0 && !c->told && !s->closing;
    if (c->slot >= 0 && s->slots[c->slot].conn == c) {
        s->slots[c->slot].conn = NULL;
        s->slots[c->slot].lost_at = drg_now();
    }
    pthread_cond_broadcast(&s->changed);
    const char *why = drg_why_lost(s, c);
    pthread_mutex_unlock(&s->mutex);
    if (was_worker && c->cancelled)
        drg_say(&s->journal, "lost %s %d (%s): %s", s->role, c->slot + s->first, c->peer, why);
    else if (was_worker)
        drg_say(&s->journal, "%s %d (%s) left", s->role, c->slot + s->first, c->peer);
}

/* One event of gRPC's, on the thread that reads the queue. */
static void drg_handle(drg_server *s, const grpc_event *e) {
    drg_tag *tag = (drg_tag *)e->tag;
    if (tag->owner == s) { /* the server is down */
        pthread_mutex_lock(&s->mutex);
        s->down = 1;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->mutex);
        return;
    }
    drg_conn *c = (drg_conn *)tag->owner;
    switch (tag->event) {
    case DRG_RECV:
        drg_received(c, e->success);
        return;
    case DRG_CLOSED:
        drg_closed(c);
        break;
    case DRG_SEND:
        pthread_mutex_lock(&s->mutex);
        c->sending = 0;
        if (e->success) drg_frame_sent(c);
        pthread_mutex_unlock(&s->mutex);
        if (e->success) drg_pump(c);
        break;
    case DRG_META:
    case DRG_STATUS:
        break;
    }
    drg_release(c);
}

/* The queue has one reader at a time: the I/O thread, or the caller while it collects, so that the bytes of a
   message are copied by the core that received them and no message waits for another thread to wake up. */
static void *drg_io_main(void *arg) {
    drg_server *s = (drg_server *)arg;
    for (;;) {
        const grpc_event e = grpc_completion_queue_next(s->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (e.type == GRPC_QUEUE_SHUTDOWN) return NULL;
        if (e.tag != &s->nudge_tag) {
            drg_handle(s, &e);
            continue;
        }
        pthread_mutex_lock(&s->mutex);
        s->parked = 1;
        pthread_cond_broadcast(&s->changed);
        while (s->borrowed) pthread_cond_wait(&s->returned, &s->mutex);
        s->parked = 0;
        pthread_mutex_unlock(&s->mutex);
    }
}

/* Take the queue from the I/O thread: an empty batch completes at once and wakes it. */
static void drg_borrow_queue(drg_server *s) {
    pthread_mutex_lock(&s->mutex);
    s->borrowed = 1;
    const int parked = s->parked; /* it has not woken up since it was last sent to sleep */
    pthread_mutex_unlock(&s->mutex);
    if (!parked) grpc_call_start_batch(s->nudge, NULL, 0, &s->nudge_tag, NULL);
    pthread_mutex_lock(&s->mutex);
    while (!s->parked) pthread_cond_wait(&s->changed, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
}

/* Read one event, or wait for one; awake five times a second to look at the stop flag. */
static void drg_poll(drg_server *s, double until) {
    const double wait = fmax(0, fmin(0.2, until - drg_now()));
    const gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_micros((int64_t)(1e6 * wait), GPR_TIMESPAN));
    const grpc_event e = grpc_completion_queue_next(s->queue, deadline, NULL);
    if (e.type == GRPC_OP_COMPLETE) drg_handle(s, &e);
}

static void drg_return_queue(drg_server *s) {
    pthread_mutex_lock(&s->mutex);
    s->borrowed = 0;
    pthread_cond_signal(&s->returned);
    pthread_mutex_unlock(&s->mutex);
}

/* A new call: its identity is settled before any message of it is read. */
static void drg_accept(drg_server *s, grpc_call *call, const grpc_call_details *details) {
    drg_conn *c = (drg_conn *)calloc(1, sizeof *c);
    if (!c) {
        grpc_call_cancel(call, NULL);
        grpc_call_unref(call);
        return;
    }
    drg_tag *tags[5] = {&c->closed, &c->meta, &c->recv, &c->send, &c->status};
    for (int i = 0; i < 5; i++) {
        tags[i]->owner = c;
        tags[i]->event = (drg_event)i;
    }
    c->server = s;
    c->call = call;
    c->slot = -1;
    c->accepted = drg_now();
    char *peer = grpc_call_get_peer(call);
    snprintf(c->peer, sizeof c->peer, "%s", peer);
    gpr_free(peer);
    c->certified = drg_identity(s, call, c->name, sizeof c->name);
    if (s->refused_path && c->certified >= 0) drg_keep_pem(c);

    pthread_mutex_lock(&s->mutex);
    int calls = 0, same_peer = 0;
    for (const drg_conn *o = s->conns; o; o = o->next) {
        calls++;
        same_peer += strncmp(c->peer, "unix:", 5) && !strcmp(o->peer, c->peer);
    }
    c->next = s->conns;
    s->conns = c;
    c->pending = 3; /* this function's hold, closed, meta */
    pthread_mutex_unlock(&s->mutex);

    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    op.data.recv_close_on_server.cancelled = &c->cancelled;
    drg_batch(c, &op, 1, &c->closed);
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_SEND_INITIAL_METADATA;
    drg_batch(c, &op, 1, &c->meta);

    if (grpc_slice_str_cmp(details->method, DRG_METHOD))
        drg_refuse(c, GRPC_STATUS_UNIMPLEMENTED, "it asked for another method than %s", DRG_METHOD);
    else if (c->certified == -2)
        drg_refuse(c, GRPC_STATUS_PERMISSION_DENIED,
                   "its certificate's name \"%s\" is not one of %s-%d to %s-%d", c->name, s->role, s->first,
                   s->role, s->first + s->workers - 1);
    else if (calls >= s->limits.connections)
        drg_refuse(c, GRPC_STATUS_RESOURCE_EXHAUSTED, "there are %d connections already", calls);
    else if (same_peer > 4) {
        drg_refuse(c, GRPC_STATUS_RESOURCE_EXHAUSTED, "it opens call upon call");
        drg_shut_peer(s, c->peer);
    } else
        drg_listen(c);
    drg_release(c);
}

static void *drg_acceptor_main(void *arg) {
    drg_server *s = (drg_server *)arg;
    for (;;) {
        grpc_call *call = NULL;
        grpc_call_details details;
        grpc_metadata_array metadata;
        grpc_call_details_init(&details);
        grpc_metadata_array_init(&metadata);
        int good = grpc_server_request_call(s->server, &call, &details, &metadata, s->queue, s->accept_queue,
                                            s) == GRPC_CALL_OK;
        if (good)
            good =
                grpc_completion_queue_next(s->accept_queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).success;
        if (good) drg_accept(s, call, &details);
        grpc_metadata_array_destroy(&metadata);
        grpc_call_details_destroy(&details);
        if (!good) return NULL;
    }
}

/* ---- Server: the transport's slots ---- */

/* Wait for news, awake five times a second to look at the stop flag. */
static int drg_news(drg_server *s, double until) {
    const double tick = drg_now() + 0.2;
    drg_wait(&s->changed, &s->mutex, s->stop && tick < until ? tick : until);
    return s->stop && *s->stop;
}

static void drg_pump_all(drg_server *s) {
    for (int i = 0; i < s->workers; i++) {
        pthread_mutex_lock(&s->mutex);
        drg_conn *c = s->slots[i].conn;
        const int held = drg_hold(c);
        pthread_mutex_unlock(&s->mutex);
        if (!held) continue;
        drg_pump(c);
        drg_release(c);
    }
}

/* Before the first round: until all are there, or time is up. */
static draco_status drg_await_start(drg_server *s) {
    const double until = s->opened + s->limits.start_seconds;
    pthread_mutex_lock(&s->mutex);
    int stopped = 0;
    for (int missing = 1; missing && !stopped && drg_now() < until;) {
        missing = 0;
        for (int i = 0; i < s->workers; i++) missing += !s->slots[i].conn;
        if (missing) stopped = drg_news(s, until);
    }
    pthread_mutex_unlock(&s->mutex);
    s->started = !stopped;
    return stopped ? DRACO_E_STOPPED : DRACO_OK;
}

static int drg_relay_plan(drg_server *s, const draco_request *request, draco_grpc_frame f,
                          const drg_outgoing *direct);
static drg_outgoing *drg_relay_order(drg_server *s, int worker);
static void drg_relay_forget(drg_server *s, const unsigned char *whom);
static const char *drg_relay_asked(drg_conn *c, const draco_grpc_frame *f, grpc_byte_buffer *buffer);

/* Hand a request to the workers with whom[i] != 0 (NULL: all). */
static draco_status drg_send(drg_server *s, const draco_request *request, const unsigned char *whom) {
    const size_t params_bytes = request->params ? sizeof(float) * request->params_count : 0;
    if (request->params_count > s->limits.message_bytes / sizeof(float) ||
        request->extra_bytes > s->limits.message_bytes - params_bytes ||
        request->reply_bytes > s->limits.message_bytes) {
        drg_say(&s->journal, "a message is longer than the limit of %zu bytes", s->limits.message_bytes);
        return DRACO_E_ARGUMENT;
    }
    draco_grpc_frame f;
    memset(&f, 0, sizeof f);
    f.kind = DRACO_GRPC_REQUEST;
    f.version = DRACO_GRPC_WIRE;
    f.code = s->code_id;
    f.request = (uint32_t)request->kind;
    f.round = request->round;
    f.step = request->step;
    f.params = params_bytes / sizeof(float);
    f.reply = request->reply_bytes;
    f.wave = whom ? 0 : ++s->waves;
    if (params_bytes) { /* the old vector's chunks, where nobody is sending them, become the new one's */
        pthread_mutex_lock(&s->mutex);
        for (int i = 0; i < s->workers; i++) {
            if (whom && !whom[i]) continue;
            drg_outgoing_drop(&s->slots[i].want);
            drg_outgoing_drop(&s->slots[i].params);
        }
        drg_relay_forget(s, whom);
        pthread_mutex_unlock(&s->mutex);
    }
    drg_outgoing *outgoing = drg_outgoing_new(s->pool, f, request->params, params_bytes, request->extra,
                                              request->extra ? request->extra_bytes : 0);
    if (!outgoing) return DRACO_E_MEMORY;
    const int relayed = s->planner && params_bytes && !whom && drg_relay_plan(s, request, f, outgoing);
    pthread_mutex_lock(&s->mutex);
    for (int i = 0; i < s->workers; i++) {
        drg_outgoing *order = relayed ? drg_relay_order(s, i) : NULL;
        if (whom && !whom[i]) continue;
        drg_outgoing_set(&s->slots[i].want, order ? order : outgoing);
        if (params_bytes) drg_outgoing_set(&s->slots[i].params, order ? order : outgoing);
    }
    drg_outgoing_drop(&outgoing);
    pthread_mutex_unlock(&s->mutex);
    drg_pump_all(s);
    return DRACO_OK;
}

static draco_status drg_broadcast(void *ctx, const draco_request *request) {
    drg_server *s = (drg_server *)ctx;
    const draco_status status = s->started ? DRACO_OK : drg_await_start(s);
    return status ? status : drg_send(s, request, NULL);
}

#define DRG_LAST_ROUND 2.0 /* seconds that a round may go on after the stop flag went up */

/* One collection: who is still expected, and whether it is enough. */
typedef struct drg_round {
    drg_server *s;
    const draco_request *request;
    const draco_inbox *inbox;
    int left, enough;
} drg_round;

static void drg_end(drg_round *r, int worker, draco_arrival arrival) {
    r->s->slots[worker].ended = 1;
    r->s->slots[worker].row = NULL;
    r->left--;
    if (r->inbox->end(r->inbox->ctx, worker, arrival) == DRACO_OK) r->enough = 1;
}

/* What is wrong with a frame, whatever the round; NULL: nothing. */
static const char *drg_misbehaves(drg_conn *c, const draco_grpc_frame *f, draco_status form) {
    if (form != DRACO_OK ||
        (f->kind != DRACO_GRPC_REPLY && !(f->kind == DRACO_GRPC_ASK && c->server->planner)))
        return "a message that is no REPLY of draco.v1";
    if (f->version != DRACO_GRPC_WIRE) return "another version of the contract";
    if (f->worker != (uint32_t)c->slot) return "it answers in another worker's name";
    if (f->code != c->server->code_id) return "another code";
    if (f->offset > f->total || f->payload_bytes > f->total - f->offset)
        return "a payload past the end of the answer";
    const uint64_t cost = f->payload_bytes + 64;
    if (c->credit < cost) return "more bytes than it was asked for";
    c->credit -= cost;
    return NULL;
}

/* Take in the payload of a frame of this round. 0: it does not fit in where it should. */
static int drg_take(drg_round *r, drg_conn *c, const draco_grpc_frame *f, grpc_byte_buffer *buffer) {
    drg_slot *slot = &r->s->slots[c->slot];
    if (c->cursor_round != f->round || f->offset == 0) {
        c->cursor_round = f->round;
        c->cursor = 0;
    }
    if (f->step != r->request->step || f->total != r->request->reply_bytes || f->offset != c->cursor)
        return 0;
    c->cursor += f->payload_bytes;
    if (!slot->row && r->request->reply_bytes) {
        slot->row = (unsigned char *)r->inbox->reserve(r->inbox->ctx, c->slot);
        if (!slot->row) { /* not wanted */
            slot->ended = 1;
            r->left--;
            return 1;
        }
    }
    /* After a reconnection the reply comes from its start again; what is there stays. */
    if (c->cursor > slot->received) {
        const size_t skip = (size_t)(slot->received - f->offset), n = (size_t)c->cursor - slot->received;
        drg_copy(buffer, f->payload_at + skip, slot->row + slot->received, n);
        r->inbox->chunk(r->inbox->ctx, c->slot, slot->received, n);
        slot->received += n;
    }
    if (slot->received == r->request->reply_bytes) drg_end(r, c->slot, DRACO_ARRIVAL_WHOLE);
    return 1;
}

/* One message of a worker, on the collecting thread. */
static void drg_read(drg_round *r, drg_conn *c, grpc_byte_buffer *buffer) {
    drg_slot *slot = &r->s->slots[c->slot];
    draco_grpc_frame f;
    memset(&f, 0, sizeof f);
    const draco_status form = drg_open(buffer, &f);
    const char *wrong = drg_misbehaves(c, &f, form);
    if (!wrong && f.round > r->request->round) wrong = "an answer to a request that was never made";
    const int ask = !wrong && f.kind == DRACO_GRPC_ASK;
    if (ask) wrong = drg_relay_asked(c, &f, buffer);
    if (wrong) {
        if (!slot->ended) drg_end(r, c->slot, DRACO_ARRIVAL_MALFORMED);
        drg_refuse(c, GRPC_STATUS_INVALID_ARGUMENT, "%s", wrong);
        return;
    }
    if (ask || slot->ended || f.round < r->request->round) return; /* late, or more than one reply */
    if (!drg_take(r, c, &f, buffer)) {
        drg_say(&r->s->journal,
                "%s %d (%s) answers round %llu with %llu bytes of step %llu: %zu of step %llu were asked for",
                r->s->role, c->slot + r->s->first, c->peer, (unsigned long long)f.round,
                (unsigned long long)f.total, (unsigned long long)f.step, r->request->reply_bytes,
                (unsigned long long)r->request->step);
        drg_end(r, c->slot, DRACO_ARRIVAL_MALFORMED);
    }
}

/* Who has no connection and is not awaited any more is absent. Returns when to look again. Under the mutex,
   which is given up while the inbox is told. */
static double drg_absent(drg_round *r) {
    drg_server *s = r->s;
    double again = HUGE_VAL;
    for (int i = 0; i < s->workers; i++) {
        const drg_slot *slot = &s->slots[i];
        if (slot->ended || slot->conn) continue;
        const double until = slot->lost_at + s->limits.rejoin_seconds;
        if (until <= drg_now() || slot->visited_at + drg_pause(slot) > until) { /* it may not come in time */
            pthread_mutex_unlock(&s->mutex);
            drg_end(r, i, DRACO_ARRIVAL_ABSENT);
            pthread_mutex_lock(&s->mutex);
        } else if (until < again)
            again = until;
    }
    return again;
}

static drg_conn *drg_pop(drg_server *s) { /* under the mutex */
    drg_conn *c = s->ready;
    if (!c) return NULL;
    s->ready = c->next_ready;
    if (!s->ready) s->ready_end = &s->ready;
    return c;
}

static draco_status drg_collect_from(drg_server *s, const draco_request *request, const unsigned char *whom,
                                     double seconds, const draco_inbox *inbox) {
    drg_round round = {s, request, inbox, 0, 0};
    double until = seconds < 0 ? HUGE_VAL : drg_now() + seconds;
    int late = 0, stopping = 0;
    for (int i = 0; i < s->workers; i++) {
        s->slots[i].ended = whom && !whom[i];
        s->slots[i].row = NULL;
        s->slots[i].received = 0;
        round.left += !s->slots[i].ended;
    }
    drg_borrow_queue(s);
    pthread_mutex_lock(&s->mutex);
    while (round.left && !round.enough && !late) {
        drg_conn *c = drg_pop(s);
        const int current = c && (!s->slots[c->slot].conn || s->slots[c->slot].conn == c);
        late = drg_now() >= until;
        if (!c) {
            const double again = drg_absent(&round);
            if (!round.left || round.enough || late) continue;
            pthread_mutex_unlock(&s->mutex);
            drg_poll(s, again < until ? again : until);
            pthread_mutex_lock(&s->mutex);
            if (s->stop && *s->stop && !stopping) {
                stopping = 1; /* a round that is under way may still end well */
                until = fmin(until, drg_now() + DRG_LAST_ROUND);
            }
            continue;
        }
        pthread_mutex_unlock(&s->mutex);
        grpc_byte_buffer *buffer = c->incoming;
        c->incoming = NULL;
        if (current) drg_read(&round, c, buffer);
        grpc_byte_buffer_destroy(buffer);
        drg_listen(c);
        drg_release(c);
        pthread_mutex_lock(&s->mutex);
    }
    pthread_mutex_unlock(&s->mutex);
    drg_return_queue(s);
    return !round.left || round.enough ? DRACO_OK : stopping ? DRACO_E_STOPPED : DRACO_MORE;
}

static draco_status drg_collect(void *ctx, const draco_request *request, double seconds,
                                const draco_inbox *inbox) {
    return drg_collect_from((drg_server *)ctx, request, NULL, seconds, inbox);
}

static draco_status drg_fetch(void *ctx, const draco_request *request, const unsigned char *whom,
                              double seconds, const draco_inbox *inbox) {
    drg_server *s = (drg_server *)ctx;
    const draco_status status = drg_send(s, request, whom);
    return status ? status : drg_collect_from(s, request, whom, seconds, inbox);
}

static const char *drg_server_explain(void *ctx) {
    return drg_last(&((drg_server *)ctx)->journal);
}

static void drg_conclude(void *ctx, draco_status how) {
    ((drg_server *)ctx)->ended = how < 0 ? how : DRACO_OK;
}

/* Tell everyone that the run is over, and give the word a moment to get out. */
static void drg_farewell(drg_server *s) {
    draco_grpc_frame f;
    memset(&f, 0, sizeof f);
    f.kind = DRACO_GRPC_REQUEST;
    f.version = DRACO_GRPC_WIRE;
    f.code = s->code_id;
    f.request = DRACO_REQUEST_STOP;
    f.round = UINT64_MAX - 1;
    f.step = (uint64_t) - (int)s->ended;
    drg_outgoing *stop = drg_outgoing_new(s->pool, f, NULL, 0, NULL, 0);
    if (!stop) return;
    pthread_mutex_lock(&s->mutex);
    s->closing = 1;
    drg_relay_forget(s, NULL);
    for (int i = 0; i < s->workers; i++) {
        drg_outgoing_drop(&s->slots[i].params);
        drg_outgoing_set(&s->slots[i].want, stop);
    }
    drg_outgoing_drop(&stop);
    pthread_mutex_unlock(&s->mutex);
    drg_pump_all(s);
    const double until = drg_now() + 1;
    pthread_mutex_lock(&s->mutex);
    for (int waiting = 1; waiting && drg_now() < until;) {
        waiting = 0;
        for (int i = 0; i < s->workers; i++)
            waiting += s->slots[i].conn && s->slots[i].conn->sent != f.round + 1;
        if (waiting) drg_wait(&s->changed, &s->mutex, until);
    }
    for (drg_conn *c; (c = drg_pop(s));) { /* replies that nobody waits for */
        pthread_mutex_unlock(&s->mutex);
        drg_release(c);
        pthread_mutex_lock(&s->mutex);
    }
    pthread_mutex_unlock(&s->mutex);
}

static void drg_dismiss_all(drg_server *s) {
    for (;;) {
        pthread_mutex_lock(&s->mutex);
        drg_conn *c = s->conns;
        while (c && (c->leaving || c->gone)) c = c->next;
        const int held = drg_hold(c);
        pthread_mutex_unlock(&s->mutex);
        if (!held) return;
        drg_dismiss(c, GRPC_STATUS_OK, "");
        drg_release(c);
    }
}

/* End gRPC's server: 2 seconds of grace, then every call is cancelled. */
static void drg_server_down(drg_server *s) {
    grpc_server_shutdown_and_notify(s->server, s->queue, &s->down_tag);
    if (!s->threads) { /* opening failed: nobody else reads the queue */
        grpc_completion_queue_next(s->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        return;
    }
    const double until = drg_now() + 2;
    pthread_mutex_lock(&s->mutex);
    while (!s->down && drg_now() < until) drg_wait(&s->changed, &s->mutex, until);
    if (!s->down) {
        pthread_mutex_unlock(&s->mutex);
        grpc_server_cancel_all_calls(s->server);
        pthread_mutex_lock(&s->mutex);
    }
    while (!s->down || s->conns) drg_wait(&s->changed, &s->mutex, HUGE_VAL);
    pthread_mutex_unlock(&s->mutex);
}

static void drg_planner_close(drg_server *s);

/* Free what there is, however far opening went. */
static void drg_server_free(drg_server *s) {
    pthread_mutex_lock(&s->mutex);
    s->closing = 1;
    pthread_mutex_unlock(&s->mutex);
    if (s->gate_runs) pthread_join(s->gate, NULL); /* before the taker is gone */
    for (int i = 0; i < s->listeners; i++) close(s->listener[i]);
    if (s->bound) drg_server_down(s);
    drg_delist(s);
    if (s->threads > 1) pthread_join(s->guard, NULL);
    if (s->threads > 2) pthread_join(s->acceptor, NULL); /* before the server that it asks for calls */
    if (s->server) grpc_server_destroy(s->server);
    if (s->nudge) grpc_call_unref(s->nudge);
    if (s->lame) grpc_channel_destroy(s->lame);
    drg_queue_end(s->accept_queue, NULL);
    drg_queue_end(s->queue, s->threads ? &s->io : NULL);
    for (int i = 0; s->slots && i < s->workers; i++) {
        drg_outgoing_drop(&s->slots[i].params);
        drg_outgoing_drop(&s->slots[i].want);
    }
    drg_outgoing_drop(&s->welcome);
    drg_planner_close(s);
    if (s->pool) drg_pool_leave(s->pool);
    pthread_cond_destroy(&s->changed);
    pthread_cond_destroy(&s->returned);
    pthread_mutex_destroy(&s->mutex);
    pthread_mutex_destroy(&s->journal.mutex);
    free(s->slots);
    free(s->sockets);
    free(s->configuration);
    free(s->refused_path);
    free(s->refused);
    free(s->refused_seen);
    free(s);
}

static draco_status drg_server_close(void *ctx) {
    drg_server *s = (drg_server *)ctx;
    if (s->hub.close) s->hub.close(s->hub.ctx);
    drg_farewell(s);
    drg_dismiss_all(s);
    drg_server_free(s);
    return DRACO_OK;
}

static grpc_server_credentials *drg_server_credentials(const drg_pem *pem) {
    if (!pem->ca) return grpc_insecure_server_credentials_create();
    grpc_ssl_pem_key_cert_pair pair = {pem->key, pem->certificate};
    grpc_ssl_server_certificate_config *certificates =
        grpc_ssl_server_certificate_config_create(pem->ca, &pair, 1);
    return grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config(
            GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY, certificates));
}

/* Create gRPC's server and bind it. */
static draco_status drg_bind(drg_server *s, const char *address, const drg_pem *pem, char *why,
                             size_t capacity) {
    drg_args a;
    drg_common_args(&a, &s->limits, s->limits.chunk_bytes);
    drg_arg(&a, GRPC_ARG_MAX_CONCURRENT_STREAMS, 1);
    drg_arg(&a, GRPC_ARG_ALLOW_REUSEPORT, 0);
    drg_arg(&a, GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, (int)fmin(1e9, 1e3 * (1 + s->limits.join_seconds)));
    drg_arg(&a, GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1000);
    drg_arg(&a, GRPC_ARG_HTTP2_MAX_PING_STRIKES, 8);
    grpc_resource_quota *quota = grpc_resource_quota_create("draco");
    grpc_resource_quota_resize(quota, ((size_t)64 << 20) + 16 * s->limits.chunk_bytes * (size_t)s->workers);
    grpc_arg *arg = &a.arg[a.args.num_args++];
    arg->type = GRPC_ARG_POINTER;
    arg->key = (char *)(uintptr_t)GRPC_ARG_RESOURCE_QUOTA;
    arg->value.pointer.p = quota;
    arg->value.pointer.vtable = grpc_resource_quota_arg_vtable();
    static const grpc_arg_pointer_vtable taker = {drg_pointer_copy, drg_pointer_free, drg_pointer_compare};
    const int tcp = strncmp(address, "unix:", 5) != 0;
    arg = &a.arg[a.args.num_args++];
    arg->type = GRPC_ARG_POINTER;
    arg->key = (char *)(uintptr_t)DRG_GATE;
    arg->value.pointer.p = &s->taker;
    arg->value.pointer.vtable = &taker;
    s->server = grpc_server_create(&a.args, NULL);
    grpc_resource_quota_unref(quota);

    s->queue = grpc_completion_queue_create_for_next(NULL);
    grpc_completion_queue_attributes attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.version = 1;
    attributes.cq_completion_type = GRPC_CQ_NEXT;
    attributes.cq_polling_type = GRPC_CQ_NON_POLLING;
    s->accept_queue =
        grpc_completion_queue_create(grpc_completion_queue_factory_lookup(&attributes), &attributes, NULL);
    grpc_server_register_completion_queue(s->server, s->queue, NULL);
    s->lame = grpc_lame_client_channel_create(address, GRPC_STATUS_UNAVAILABLE, "no channel");
    s->nudge = grpc_channel_create_call(s->lame, NULL, GRPC_PROPAGATE_DEFAULTS, s->queue,
                                        grpc_slice_from_static_string(DRG_METHOD), NULL,
                                        gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    grpc_server_register_completion_queue(s->server, s->accept_queue, NULL);
    grpc_server_credentials *credentials = drg_server_credentials(pem);
    char reason[256] = "";
    drg_caught = reason;
    const char *gate = tcp ? drg_gate_listen(s, address) : NULL;
    const int port = credentials && !gate
                         ? grpc_server_add_http2_port(s->server, tcp ? DRG_GATE : address, credentials)
                         : 0;
    drg_caught = NULL;
    if (credentials) grpc_server_credentials_release(credentials);
    s->bound = tcp ? s->taker != NULL : port != 0; /* the gate has no port of gRPC's */
    if (s->bound) return DRACO_OK;
    return drg_fail(why, capacity, DRACO_E_IO, "cannot listen on %s: %s", address,
                    gate      ? gate
                    : *reason ? reason
                    : tcp     ? "this version of gRPC takes no connections that were accepted elsewhere"
                              : "no reason given");
}

static draco_status drg_planner_open(drg_server *s, int liars);

static draco_status drg_server_new(drg_server **server, const draco_grpc_server_config *config,
                                   const char *role, char *why, size_t capacity) {
    if (!config->address || config->workers < 1 || config->workers > DRACO_MAX_WORKERS)
        return drg_fail(why, capacity, DRACO_E_ARGUMENT, "a server needs an address and 1 to %d workers",
                        DRACO_MAX_WORKERS);
    draco_grpc_limits limits = config->limits;
    drg_pem pem;
    draco_status status = drg_limits(&limits, config->workers, why, capacity);
    if (status) return status;
    if ((status = drg_pem_read(&pem, &config->tls, why, capacity))) return status;
    status = drg_address_allowed(config->address, &pem, config->insecure, why, capacity);
    if (!status) status = drg_unix_is_free(config->address, why, capacity);
    if (status) {
        drg_pem_free(&pem);
        return status;
    }

    drg_server *s = (drg_server *)calloc(1, sizeof *s);
    if (!s) {
        drg_pem_free(&pem);
        return DRACO_E_MEMORY;
    }
    drg_begin();
    pthread_mutex_init(&s->mutex, NULL);
    pthread_mutex_init(&s->journal.mutex, NULL);
    drg_cond_init(&s->changed);
    drg_cond_init(&s->returned);
    s->journal.on_event = config->on_event;
    s->journal.ctx = config->event_ctx;
    s->limits = limits;
    s->workers = config->workers;
    s->tls = pem.ca != NULL;
    s->code_id = config->code_id;
    s->role = role;
    s->first = !strcmp(role, "server");
    s->stop = config->stop;
    s->down_tag.owner = s;
    s->opened = drg_now();
    s->ready_end = &s->ready;
    s->refused_path = config->refused ? strdup(config->refused) : NULL;
    s->configuration = strdup(config->configuration ? config->configuration : "");
    s->slots = (drg_slot *)calloc((size_t)s->workers, sizeof *s->slots);
    s->lines = s->burst = DRG_LINES;
    s->said_at = s->opened;
    s->sockets = (drg_socket *)calloc((size_t)limits.connections, sizeof *s->sockets);
    s->pool = (drg_pool *)calloc(1, sizeof *s->pool);
    draco_grpc_frame f;
    memset(&f, 0, sizeof f);
    f.kind = DRACO_GRPC_WELCOME;
    f.version = DRACO_GRPC_WIRE;
    f.code = s->code_id;
    f.chunk = (uint32_t)limits.chunk_bytes;
    if (s->pool) {
        atomic_init(&s->pool->users, 1);
        s->pool->chunk_bytes =
            limits.chunk_bytes / sizeof(float) * sizeof(float); /* no float is cut in two */
        if (s->configuration && strlen(s->configuration) <= s->pool->chunk_bytes)
            s->welcome = drg_outgoing_new(s->pool, f, s->configuration, strlen(s->configuration), NULL, 0);
    }
    if (s->refused_path) s->refused = drg_refused_text(s->refused_path);
    if (s->refused_path && !s->refused)
        status = drg_fail(why, capacity, DRACO_E_IO, "%s: the list of refused certificates cannot be read",
                          s->refused_path);
    else if (!s->slots || !s->sockets || !s->welcome)
        status = drg_fail(why, capacity, DRACO_E_MEMORY, "no memory for %d workers", s->workers);
    for (int i = 0; s->slots && i < s->workers; i++) s->slots[i].lost_at = -HUGE_VAL;
    if (!status && config->relay) status = drg_planner_open(s, config->liars);
    if (!status) status = drg_bind(s, config->address, &pem, why, capacity);
    drg_pem_free(&pem);
    if (status) {
        drg_server_free(s);
        return status;
    }
    drg_enlist(s);
    drg_make_room(s);
    if (s->port)
        drg_say(&s->journal, "listening on %s, port %d%s", config->address, s->port,
                drg_is_local(config->address) ? ", for this machine only" : "");
    else
        drg_say(&s->journal, "listening on %s", config->address);
    grpc_server_start(s->server);
    s->threads += !pthread_create(&s->io, NULL, drg_io_main, s);
    s->threads += s->threads == 1 && !pthread_create(&s->guard, NULL, drg_guard_main, s);
    s->threads += s->threads == 2 && !pthread_create(&s->acceptor, NULL, drg_acceptor_main, s);
    if (s->listeners) s->gate_runs = s->threads == 3 && !pthread_create(&s->gate, NULL, drg_gate_main, s);
    if (s->threads < 3 || (s->listeners && !s->gate_runs)) {
        drg_server_free(s);
        return drg_fail(why, capacity, DRACO_E_MEMORY, "no threads to be had");
    }
    *server = s;
    return DRACO_OK;
}

/* ---- Several servers: server 0 is the hub, to which the others are what workers are to a server ---- */

typedef struct drg_hub_rows {
    unsigned char *all;
    size_t bytes;
    int whole; /* replies that came whole */
} drg_hub_rows;

static void *drg_hub_reserve(void *ctx, int worker) {
    drg_hub_rows *rows = (drg_hub_rows *)ctx;
    return rows->all + (size_t)worker * rows->bytes;
}

static void drg_hub_chunk(void *ctx, int worker, size_t offset, size_t n) {
    (void)ctx;
    (void)worker;
    (void)offset;
    (void)n;
}

static draco_status drg_hub_end(void *ctx, int worker, draco_arrival arrival) {
    drg_hub_rows *rows = (drg_hub_rows *)ctx;
    (void)worker;
    rows->whole += arrival == DRACO_ARRIVAL_WHOLE;
    return DRACO_MORE;
}

/* The hub asks for everybody's bytes, puts its own in front, and tells everybody all of them. */
static draco_status drg_exchange_as_hub(drg_server *s, const void *mine, size_t bytes, void *all) {
    draco_transport *hub = &s->hub;
    drg_hub_rows rows = {(unsigned char *)all + bytes, bytes, 0};
    const draco_inbox inbox = {sizeof inbox, &rows, drg_hub_reserve, drg_hub_chunk, drg_hub_end};
    draco_request r;
    memset(&r, 0, sizeof r);
    r.kind = DRACO_REQUEST_MESSAGE;
    r.round = ++s->exchanges;
    r.reply_bytes = bytes;
    memcpy(all, mine, bytes);
    draco_status status = hub->broadcast(hub->ctx, &r);
    if (!status) status = hub->collect(hub->ctx, &r, s->limits.give_up_seconds, &inbox);
    if (!status && rows.whole < hub->workers) status = DRACO_E_TRANSPORT;
    if (status) return status == DRACO_MORE ? DRACO_E_TIMEOUT : status;
    r.kind = DRACO_REQUEST_BODY;
    r.round = ++s->exchanges;
    r.reply_bytes = 0;
    r.extra = all;
    r.extra_bytes = bytes * (size_t)(hub->workers + 1);
    rows.whole = 0;
    status = hub->broadcast(hub->ctx, &r); /* the empty replies say that it came */
    if (!status) status = hub->collect(hub->ctx, &r, s->limits.give_up_seconds, &inbox);
    if (!status && rows.whole < hub->workers) status = DRACO_E_TRANSPORT;
    return status == DRACO_MORE ? DRACO_E_TIMEOUT : status;
}

static draco_status drg_exchange_with_hub(draco_transport *hub, const void *mine, size_t bytes, void *all,
                                          int servers) {
    draco_request r;
    draco_status status = hub->receive(hub->ctx, &r);
    if (!status && (r.kind != DRACO_REQUEST_MESSAGE || r.reply_bytes != bytes))
        status = r.kind == DRACO_REQUEST_STOP ? DRACO_E_TRANSPORT : DRACO_E_CONFIG;
    if (!status) status = hub->submit(hub->ctx, &r, mine, bytes);
    if (!status) status = hub->receive(hub->ctx, &r);
    if (!status && (r.kind != DRACO_REQUEST_BODY || r.extra_bytes != bytes * (size_t)servers))
        status = r.kind == DRACO_REQUEST_STOP ? DRACO_E_TRANSPORT : DRACO_E_CONFIG;
    if (status) return status;
    memcpy(all, r.extra, r.extra_bytes);
    return hub->submit(hub->ctx, &r, all, 0);
}

static draco_status drg_exchange(void *ctx, const void *mine, size_t bytes, void *all) {
    drg_server *s = (drg_server *)ctx;
    if (s->parted) return s->parted;
    const draco_status status = s->hub.receive ? drg_exchange_with_hub(&s->hub, mine, bytes, all, s->servers)
                                               : drg_exchange_as_hub(s, mine, bytes, all);
    s->parted = status; /* servers that have missed one do not know the same any more */
    /* A server that is told to stop says so in the exchange, so that all end with the same round; before the first
       one it waits for the others, and may leave. From then on a lost server is the end of the run. */
    if (!status && s->hub.receive) {
        ((drg_worker *)s->hub.ctx)->stop = NULL;
        ((drg_worker *)s->hub.ctx)->limits.give_up_seconds = 0;
    }
    if (!status && !s->hub.receive) ((drg_server *)s->hub.ctx)->stop = NULL;
    if (status) drg_say(&s->journal, "between servers: %s", s->hub.explain(s->hub.ctx));
    return status;
}

static void drg_server_slots(draco_transport *transport, drg_server *s) {
    memset(transport, 0, sizeof *transport);
    transport->size = sizeof *transport;
    transport->name = "grpc";
    transport->ctx = s;
    transport->workers = s->workers;
    transport->broadcast = drg_broadcast;
    transport->collect = drg_collect;
    transport->fetch = drg_fetch;
    transport->close = drg_server_close;
    transport->explain = drg_server_explain;
    transport->conclude = drg_conclude;
}

/* Server 0 listens for the others, the others call it. */
static draco_status drg_hub_open(drg_server *s, const draco_grpc_server_config *config, char *why,
                                 size_t capacity) {
    if (!config->hub)
        return drg_fail(why, capacity, DRACO_E_ARGUMENT, "several servers need the address of their hub");
    if (config->server > 0) {
        draco_grpc_worker_config peer;
        memset(&peer, 0, sizeof peer);
        peer.address = config->hub;
        peer.index = config->server - 1;
        peer.code_id = config->code_id;
        peer.configuration = config->configuration;
        peer.tls = config->tls;
        peer.insecure = config->insecure;
        peer.limits = config->limits;
        peer.on_event = config->on_event;
        peer.event_ctx = config->event_ctx;
        peer.stop = config->stop;
        return drg_worker_open(&s->hub, &peer, why, capacity);
    }
    draco_grpc_server_config mine = *config;
    drg_server *hub = NULL;
    mine.address = config->hub;
    mine.workers = config->servers - 1;
    mine.limits.connections = 0;
    mine.relay = 0;
    const draco_status status = drg_server_new(&hub, &mine, "server", why, capacity);
    if (status) return status;
    drg_server_slots(&s->hub, hub);
    return DRACO_OK;
}

static draco_status drg_server_open(draco_transport *transport, const draco_grpc_server_config *config,
                                    char *why, size_t capacity) {
    drg_server *s = NULL;
    if (config->servers < 0 || config->server < 0 ||
        (config->servers > 1 && config->server >= config->servers))
        return drg_fail(why, capacity, DRACO_E_ARGUMENT, "there is no server %d of %d", config->server,
                        config->servers);
    draco_status status = drg_server_new(&s, config, "worker", why, capacity);
    if (status) return status;
    s->servers = config->servers;
    if (config->servers > 1 && (status = drg_hub_open(s, config, why, capacity))) {
        drg_server_close(s);
        return status;
    }
    drg_server_slots(transport, s);
    transport->server = config->server;
    transport->servers = config->servers;
    if (config->servers > 1) transport->exchange = drg_exchange;
    return DRACO_OK;
}

DRACO_GRPC_API draco_status draco_grpc_server_open(draco_transport *transport,
                                                   const draco_grpc_server_config *config) {
    char why[512] = "";
    draco_status status;
    if (!transport || !config) return DRACO_E_NULL;
    status = drg_server_open(transport, config, why, sizeof why);
    return status < 0 ? draco_handshake_fail(transport, status, "%s", *why ? why : "out of memory") : status;
}

DRACO_GRPC_API int draco_grpc_port(const draco_transport *server) {
    return ((const drg_server *)server->ctx)->port;
}

DRACO_GRPC_API int draco_grpc_joined(const draco_transport *server) {
    drg_server *s = (drg_server *)server->ctx;
    int joined = 0;
    pthread_mutex_lock(&s->mutex);
    for (int i = 0; i < s->workers; i++) joined += s->slots[i].conn != NULL;
    pthread_mutex_unlock(&s->mutex);
    return joined;
}

#endif /* DRACO_GRPC_SERVER_PART */
