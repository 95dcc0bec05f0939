/* A worker process for the tests of the gRPC transport: peer_grpc ADDRESS INDEX [key=value …]
     tls=DIR:NAME    certificates DIR/ca.pem, DIR/NAME.pem, DIR/NAME.key
     ca=FILE         another authority to believe in
     code=ID config=WORDS   what the HELLO says
     give-up=SECONDS
     die=ROUND       kill -9 itself when half of the reply of that round is sent
     mode=honest|mute (cannot reply)|short|long|step|name (another worker's)|garbage|twice|endless|huge|slow
   Exit code: 0 told to stop, 3 the server is gone, 4 refused, 5 anything else. */
#include <stdlib.h>
#define DRACO_IMPLEMENTATION
#define DRACO_GRPC_IMPLEMENTATION
#define DRACO_GRPC_STATIC
#include "support/grpc_testing.h"

static draco_transport transport;
static unsigned long long die_at;

static drg_worker *self(void) {
    return (drg_worker *)transport.ctx;
}

/* kill -9 in the middle of a message, wherever that is. */
static void *executioner(void *arg) {
    const size_t half = *(const size_t *)arg;
    for (;;) {
        pthread_mutex_lock(&self()->mutex);
        drg_link *l = &self()->link[0];
        const int now = l->replying && l->taken.round == die_at && l->sent >= half;
        if (now) l->replying = 0; /* not a byte more */
        pthread_mutex_unlock(&self()->mutex);
        if (now) kill(getpid(), SIGKILL);
        sched_yield();
    }
    return NULL;
}

/* One frame as it stands, whatever it says. */
static void send_raw(const void *bytes, size_t n) {
    drg_link *l = &self()->link[0];
    grpc_slice slice = grpc_slice_from_copied_buffer((const char *)bytes, n);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_op op;
    memset(&op, 0, sizeof op);
    op.op = GRPC_OP_SEND_MESSAGE;
    op.data.send_message.send_message = buffer;
    pthread_mutex_lock(&self()->mutex);
    while (l->sending && l->joined) pthread_cond_wait(&self()->changed, &self()->mutex);
    const int go = l->joined && !l->ending;
    l->sending = go;
    l->pending += go;
    pthread_mutex_unlock(&self()->mutex);
    if (go) grpc_call_start_batch(l->call, &op, 1, &l->tags[DRG_SEND], NULL);
    grpc_byte_buffer_destroy(buffer);
    grpc_slice_unref(slice);
}

static void misbehave(const char *mode, const draco_request *r, int index, const unsigned char *reply) {
    draco_grpc_frame f;
    memset(&f, 0, sizeof f);
    f.kind = DRACO_GRPC_REPLY;
    f.worker = (uint32_t)(index + !strcmp(mode, "name"));
    f.version = DRACO_GRPC_WIRE;
    f.code = self()->link[0].code_id;
    f.round = r->round;
    f.step = r->step + !strcmp(mode, "step");
    f.total = r->reply_bytes;
    f.payload_bytes = r->reply_bytes < 4096 ? r->reply_bytes : 4096;
    unsigned char *frame = (unsigned char *)malloc(DRACO_GRPC_HEADER + f.payload_bytes);
    const size_t head = draco_grpc_frame_encode(&f, frame);
    memcpy(frame + head, reply, f.payload_bytes);
    if (!strcmp(mode, "garbage"))
        for (size_t i = 0; i < head; i++) frame[i] = (unsigned char)(frame[i] * 31 + 7);
    /* endless: the same beginning again and again, more bytes than anybody asked for */
    const int times = strcmp(mode, "endless") ? 1 : 1 << 30;
    for (int i = 0; i < times && self()->link[0].joined; i++) send_raw(frame, head + f.payload_bytes);
    free(frame);
}

static draco_status answer(const char *mode, const draco_request *r, int index, unsigned char *reply) {
    if (!strcmp(mode, "honest")) return transport.submit(transport.ctx, r, reply, r->reply_bytes);
    if (!strcmp(mode, "mute")) return transport.submit(transport.ctx, r, NULL, 0);
    if (!strcmp(mode, "short")) return transport.submit(transport.ctx, r, reply, r->reply_bytes / 2);
    if (!strcmp(mode, "long")) return transport.submit(transport.ctx, r, reply, r->reply_bytes + 4);
    if (!strcmp(mode, "slow")) {
        toy_sleep(0.3);
        return transport.submit(transport.ctx, r, reply, r->reply_bytes);
    }
    if (!strcmp(mode, "huge")) { /* one message of 64 MiB */
        const size_t n = (size_t)64 << 20;
        unsigned char *message = (unsigned char *)calloc(1, n);
        send_raw(message, n);
        free(message);
        return DRACO_OK;
    }
    if (!strcmp(mode, "twice")) transport.submit(transport.ctx, r, reply, r->reply_bytes);
    if (!strcmp(mode, "twice")) return transport.submit(transport.ctx, r, reply, r->reply_bytes);
    misbehave(mode, r, index, reply);
    return DRACO_OK;
}

static draco_status work(int index, const char *mode) {
    const float *params = NULL;
    unsigned char *reply = NULL;
    static size_t half;
    for (;;) {
        draco_request r;
        pthread_t thread;
        memset(&r, 0, sizeof r);
        draco_status status = transport.receive(transport.ctx, &r);
        if (status != DRACO_OK || r.kind == DRACO_REQUEST_STOP) {
            free(reply);
            return status;
        }
        if (r.params_count) params = r.params;
        reply = (unsigned char *)realloc(reply, r.reply_bytes + 8);
        toy_answer(index, &r, params, reply);
        if (die_at && r.round == die_at) {
            half = r.reply_bytes / 2;
            pthread_create(&thread, NULL, executioner, &half);
        }
        answer(mode, &r, index, reply);
    }
}

static void tell(void *ctx, const char *line) {
    if (getenv("GRPC_TESTING_VERBOSE")) fprintf(stderr, "# peer %d: %s\n", *(const int *)ctx, line);
}

int main(int argc, char **argv) {
    static char ca[256], certificate[256], key[256];
    if (argc < 3) return 2;
    int index = atoi(argv[2]);
    const char *mode = "honest";
    draco_grpc_worker_config config;
    memset(&config, 0, sizeof config);
    config.address = argv[1];
    config.index = index;
    config.on_event = tell;
    config.event_ctx = &index;
    for (int i = 3; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value) return 2;
        *value++ = 0;
        if (!strcmp(argv[i], "tls")) {
            char *name = strrchr(value, ':');
            if (!name) return 2;
            *name++ = 0;
            snprintf(ca, sizeof ca, "%s/ca.pem", value);
            snprintf(certificate, sizeof certificate, "%s/%s.pem", value, name);
            snprintf(key, sizeof key, "%s/%s.key", value, name);
            config.tls.ca = ca;
            config.tls.certificate = certificate;
            config.tls.key = key;
        } else if (!strcmp(argv[i], "ca"))
            config.tls.ca = value;
        else if (!strcmp(argv[i], "code"))
            config.code_id = strtoull(value, NULL, 10);
        else if (!strcmp(argv[i], "config"))
            config.configuration = value;
        else if (!strcmp(argv[i], "give-up"))
            config.limits.give_up_seconds = atof(value);
        else if (!strcmp(argv[i], "die"))
            die_at = strtoull(value, NULL, 10);
        else if (!strcmp(argv[i], "mode"))
            mode = value;
        else
            return 2;
    }
    char why[256];
    if (explained(&transport, draco_grpc_worker_open(&transport, &config), why, sizeof why)) {
        fprintf(stderr, "# %s\n", why);
        return 2;
    }
    const draco_status status = work(index, mode);
    if (status && getenv("GRPC_TESTING_VERBOSE"))
        fprintf(stderr, "# peer %d ends: %s\n", index, transport.explain(transport.ctx));
    transport.close(transport.ctx);
    return status == DRACO_OK ? 0 : status == DRACO_E_TRANSPORT ? 3 : status == DRACO_E_CONFIG ? 4 : 5;
}
