/* The gRPC transport: its frames, its rounds, its ways of saying no, several servers. */
#define DRACO_IMPLEMENTATION
#define DRACO_GRPC_IMPLEMENTATION
#include "support/grpc_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static char directory[] = "/tmp/draco-grpc-XXXXXX";
static char peer[512];

/* ---- Frames ---- */

static void frame_bytes_are_protobufs(void **state) {
    (void)state;
    /* What protoc's Python makes of Frame(kind=REPLY, worker=300, round=1, offset=2, total=3, version=1,
       code=5, step=7, ask=MESSAGE, payload=b"abc"). */
    static const uint8_t expected[] = {8, 4, 16, 172, 2,  25, 1, 0, 0, 0, 0, 0, 0, 0,  33, 2,  0,   0, 0,
                                       0, 0, 0,  0,   41, 3,  0, 0, 0, 0, 0, 0, 0, 48, 1,  57, 5,   0, 0,
                                       0, 0, 0,  0,   0,  65, 7, 0, 0, 0, 0, 0, 0, 0,  72, 1,  122, 3};
    draco_grpc_frame f, back;
    uint8_t out[DRACO_GRPC_HEADER + 3];
    memset(&f, 0, sizeof f);
    f.kind = DRACO_GRPC_REPLY;
    f.worker = 300;
    f.round = 1;
    f.offset = 2;
    f.total = 3;
    f.version = 1;
    f.code = 5;
    f.step = 7;
    f.request = DRACO_REQUEST_MESSAGE;
    f.payload_bytes = 3;
    const size_t n = draco_grpc_frame_encode(&f, out);
    assert_int_equal(n, sizeof expected);
    assert_memory_equal(out, expected, n);
    memcpy(out + n, "abc", 3);
    assert_int_equal(draco_grpc_frame_decode(&back, out, n + 3), DRACO_OK);
    assert_int_equal(back.payload_at, n);
    f.payload_at = n;
    assert_memory_equal(&back, &f, sizeof f);
    assert_int_equal(draco_grpc_frame_decode(&back, out, n + 2), DRACO_E_MALFORMED); /* a byte short */
    for (size_t cut = 1; cut + 2 < n;
         cut++) { /* cut anywhere: an error or a frame without payload, never more */
        if (draco_grpc_frame_decode(&back, out, cut) == DRACO_OK) assert_int_equal(back.payload_bytes, 0);
    }
}

static void frame_fields_come_in_any_order(void **state) {
    (void)state;
    static const uint8_t shuffled[] = {72,   6, 0xA2, 1, 2,   9, 9, /* field 20, bytes: unknown */
                                       0xAD, 1, 1,    2, 3,   4,    /* field 21, fixed32: unknown */
                                       8,    3, 16,   2, 122, 1, 42};
    static const uint8_t wrong_form[] = {9, 1, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t endless[] = {16, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1};
    static const uint8_t field_zero[] = {0, 1};
    static const uint8_t too_big[] = {16, 255, 255, 255, 255, 255, 1};
    draco_grpc_frame f;
    assert_int_equal(draco_grpc_frame_decode(&f, shuffled, sizeof shuffled), DRACO_OK);
    assert_int_equal(f.request, 6);
    assert_int_equal(f.kind, 3);
    assert_int_equal(f.worker, 2);
    assert_int_equal(f.payload_at, sizeof shuffled - 1);
    assert_int_equal(draco_grpc_frame_decode(&f, NULL, 0), DRACO_OK); /* all zero: the empty message */
    assert_int_equal(draco_grpc_frame_decode(&f, wrong_form, sizeof wrong_form), DRACO_E_MALFORMED);
    assert_int_equal(draco_grpc_frame_decode(&f, endless, sizeof endless), DRACO_E_MALFORMED);
    assert_int_equal(draco_grpc_frame_decode(&f, field_zero, sizeof field_zero), DRACO_E_MALFORMED);
    assert_int_equal(draco_grpc_frame_decode(&f, too_big, sizeof too_big), DRACO_E_MALFORMED);
}

/* ---- Rounds ---- */

typedef struct crew { /* workers as threads of this process */
    int n;
    pthread_t threads[16];
    draco_grpc_worker_config configs[16];
    draco_status ends[16];
    char text[16][256];
} crew;

static void *crew_main(void *arg) {
    crew *c = ((crew **)arg)[0];
    const int i = (int)(intptr_t)((void **)arg)[1];
    free(arg);
    draco_transport t;
    c->ends[i] = explained(&t, draco_grpc_worker_open(&t, &c->configs[i]), c->text[i], sizeof c->text[i]);
    if (c->ends[i]) return NULL;
    c->ends[i] = toy_work(&t, c->configs[i].index);
    snprintf(c->text[i], sizeof c->text[i], "%s", t.explain(t.ctx));
    t.close(t.ctx);
    return NULL;
}

static void crew_add(crew *c, const draco_grpc_worker_config *config) {
    void **arg = (void **)malloc(2 * sizeof *arg);
    arg[0] = c;
    arg[1] = (void *)(intptr_t)c->n;
    c->configs[c->n] = *config;
    pthread_create(&c->threads[c->n], NULL, crew_main, arg);
    c->n++;
}

static void crew_join(crew *c) {
    for (int i = 0; i < c->n; i++) pthread_join(c->threads[i], NULL);
}

static draco_grpc_server_config loopback(int workers, toy_log *log) {
    draco_grpc_server_config config;
    memset(&config, 0, sizeof config);
    config.address = "127.0.0.1:0";
    config.workers = workers;
    config.code_id = 77;
    config.configuration = "model=toy batch=60";
    config.on_event = log ? toy_note : NULL;
    config.event_ctx = log;
    return config;
}

static draco_grpc_worker_config worker_of(const char *address, int index) {
    draco_grpc_worker_config config;
    memset(&config, 0, sizeof config);
    config.address = address;
    config.index = index;
    config.code_id = 77;
    return config;
}

static void open_server(draco_transport *t, const draco_grpc_server_config *config, char address[64]) {
    char why[256] = "";
    if (explained(t, draco_grpc_server_open(t, config), why, sizeof why)) fail_msg("%s", why);
    snprintf(address, 64, "127.0.0.1:%d", draco_grpc_port(t));
}

static draco_request make_request(draco_request_kind ask, uint64_t round, const float *params, size_t count,
                                  size_t reply) {
    draco_request r;
    memset(&r, 0, sizeof r);
    r.kind = ask;
    r.round = round;
    r.step = round + 1000;
    r.params = params;
    r.params_count = params ? count : 0;
    r.reply_bytes = reply;
    return r;
}

static void rounds_carry_every_byte(const draco_grpc_server_config *config,
                                    const draco_grpc_worker_config *workers, int n, size_t d, int rounds) {
    draco_transport t;
    char address[64], why[256] = "";
    crew c;
    memset(&c, 0, sizeof c);
    if (explained(&t, draco_grpc_server_open(&t, config), why, sizeof why)) fail_msg("%s", why);
    snprintf(address, sizeof address, "127.0.0.1:%d", draco_grpc_port(&t));
    for (int i = 0; i < n; i++) {
        draco_grpc_worker_config w = workers[i];
        if (!w.address) w.address = address;
        crew_add(&c, &w);
    }
    float *params = (float *)malloc(d * sizeof *params);
    toy_inbox in;
    toy_inbox_open(&in, n, d * sizeof(float));
    for (int round = 1; round <= rounds; round++) {
        for (size_t i = 0; i < d; i++) params[i] = (float)((i * 7 + (size_t)round) % 1013);
        const draco_request r =
            make_request(DRACO_REQUEST_MESSAGE, (uint64_t)round, params, d, d * sizeof(float));
        toy_inbox_reset(&in);
        assert_int_equal(t.broadcast(t.ctx, &r), DRACO_OK);
        assert_int_equal(t.collect(t.ctx, &r, 30, &in.inbox), DRACO_OK);
        assert_int_equal(in.broken, 0);
        for (int i = 0; i < n; i++) assert_true(toy_right(&in, i, &r));
    }
    const double begin = toy_now();
    assert_int_equal(t.close(t.ctx), DRACO_OK);
    assert_true(toy_now() - begin < 3);
    crew_join(&c);
    for (int i = 0; i < n; i++) assert_int_equal(c.ends[i], DRACO_OK);
    toy_inbox_close(&in);
    free(params);
}

static void plain_rounds(void **state) {
    (void)state;
    draco_grpc_server_config config = loopback(3, NULL);
    draco_grpc_worker_config workers[3];
    for (int i = 0; i < 3; i++) workers[i] = worker_of(NULL, i);
    rounds_carry_every_byte(&config, workers, 3, 1000003, 5);
    rounds_carry_every_byte(&config, workers, 3, 1, 50);
    config.limits.chunk_bytes = 1024; /* many frames */
    rounds_carry_every_byte(&config, workers, 3, 50001, 3);
}

static void unix_socket_rounds(void **state) {
    (void)state;
    char address[128];
    snprintf(address, sizeof address, "unix:%s/socket", directory);
    draco_grpc_server_config config = loopback(2, NULL);
    config.address = address;
    draco_grpc_worker_config workers[2] = {worker_of(address, 0), worker_of(address, 1)};
    rounds_carry_every_byte(&config, workers, 2, 300000, 3);
}

static void tls_of(draco_grpc_tls *tls, const char *name, char store[3][128]) {
    snprintf(store[0], 128, "%s/ca.pem", directory);
    snprintf(store[1], 128, "%s/%s.pem", directory, name);
    snprintf(store[2], 128, "%s/%s.key", directory, name);
    tls->ca = store[0];
    tls->certificate = store[1];
    tls->key = store[2];
}

static void mutual_tls_rounds(void **state) {
    (void)state;
    static char store[4][3][128];
    draco_grpc_server_config config = loopback(3, NULL);
    tls_of(&config.tls, "server-0", store[3]);
    draco_grpc_worker_config workers[3];
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "worker-%d", i);
        workers[i] = worker_of(NULL, i);
        tls_of(&workers[i].tls, name, store[i]);
    }
    rounds_carry_every_byte(&config, workers, 3, 400000, 3);
}

/* The prime field's second half and the challenge: requests without parameters, and to some only. */
static void extra_and_fetch(void **state) {
    (void)state;
    draco_grpc_server_config config = loopback(3, NULL);
    draco_transport t;
    char address[64];
    open_server(&t, &config, address);
    crew c;
    memset(&c, 0, sizeof c);
    for (int i = 0; i < 3; i++) {
        const draco_grpc_worker_config w = worker_of(address, i);
        crew_add(&c, &w);
    }
    const size_t d = 700001;
    float *params = (float *)malloc(d * sizeof *params);
    for (size_t i = 0; i < d; i++) params[i] = (float)(i % 97);
    unsigned char extra[3000];
    for (size_t i = 0; i < sizeof extra; i++) extra[i] = (unsigned char)(i * 5);
    uint64_t round = 0;
    for (int turn = 0; turn < 5; turn++) {
        toy_inbox small, in;
        draco_request r = make_request(DRACO_REQUEST_EXPONENTS, ++round, params, d, 33);
        r.extra = extra; /* both at once */
        r.extra_bytes = 100;
        toy_inbox_open(&small, 3, 33);
        assert_int_equal(t.broadcast(t.ctx, &r), DRACO_OK);
        assert_int_equal(t.collect(t.ctx, &r, 30, &small.inbox), DRACO_OK);
        for (int i = 0; i < 3; i++) assert_true(toy_right(&small, i, &r));
        toy_inbox_close(&small);

        r = make_request(DRACO_REQUEST_ENCODED, ++round, NULL, 0, 100000);
        r.extra = extra;
        r.extra_bytes = sizeof extra;
        toy_inbox_open(&in, 3, 100000);
        assert_int_equal(t.broadcast(t.ctx, &r), DRACO_OK);
        assert_int_equal(t.collect(t.ctx, &r, 30, &in.inbox), DRACO_OK);
        for (int i = 0; i < 3; i++) assert_true(toy_right(&in, i, &r));
        toy_inbox_close(&in);

        r = make_request(DRACO_REQUEST_BODY, ++round, NULL, 0, 5000000);
        const unsigned char whom[3] = {0, (unsigned char)(turn % 2), (unsigned char)(1 - turn % 2)};
        toy_inbox_open(&in, 3, 5000000);
        assert_int_equal(t.fetch(t.ctx, &r, whom, 30, &in.inbox), DRACO_OK);
        assert_int_equal(in.ended, 1);
        assert_true(toy_right(&in, turn % 2 ? 1 : 2, &r));
        assert_int_equal(in.broken, 0);
        toy_inbox_close(&in);
    }
    t.close(t.ctx);
    crew_join(&c);
    for (int i = 0; i < 3; i++) assert_int_equal(c.ends[i], DRACO_OK);
    free(params);
}

/* ---- Refusals ---- */

/* A path that a server answers on stays that server's; one that a dead server left behind is taken over. */
static void unix_paths_are_taken_over_only_when_stale(void **state) {
    (void)state;
    char address[128], why[256] = "";
    snprintf(address, sizeof address, "unix:%s/taken", directory);
    draco_grpc_server_config config = loopback(2, NULL);
    draco_transport first, second;
    config.address = address;
    assert_int_equal(explained(&first, draco_grpc_server_open(&first, &config), why, sizeof why), DRACO_OK);
    assert_int_equal(explained(&second, draco_grpc_server_open(&second, &config), why, sizeof why),
                     DRACO_E_IO);
    assert_non_null(strstr(why, "another server listens there"));
    draco_grpc_worker_config worker = worker_of(address, 0);
    crew c = {0};
    crew_add(&c, &worker); /* the first server is not disturbed */
    const double until = toy_now() + 20;
    while (draco_grpc_joined(&first) < 1 && toy_now() < until) toy_sleep(0.01);
    assert_int_equal(draco_grpc_joined(&first), 1);
    first.close(first.ctx);
    crew_join(&c);

    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s/taken", directory);
    unlink(name.sun_path);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(explained(&second, draco_grpc_server_open(&second, &config), why, sizeof why),
                     DRACO_E_IO);
    close(fd); /* as if its process had died: the path stays */
    assert_int_equal(access(name.sun_path, F_OK), 0);
    rounds_carry_every_byte(&config, (draco_grpc_worker_config[2]){worker, worker_of(address, 1)}, 2, 1000,
                            2);
}

static void addresses_and_files_are_checked(void **state) {
    (void)state;
    draco_transport t;
    char why[256];
    draco_grpc_server_config s = loopback(3, NULL);
    draco_grpc_worker_config w = worker_of("192.0.2.1:7400", 0);
    s.address = "0.0.0.0:0";
    assert_int_equal(explained(&t, draco_grpc_server_open(&t, &s), why, sizeof why), DRACO_E_ARGUMENT);
    assert_non_null(strstr(why, "plain text"));
    assert_int_equal(explained(&t, draco_grpc_worker_open(&t, &w), why, sizeof why), DRACO_E_ARGUMENT);
    assert_non_null(strstr(why, "plain text"));
    w.address = "dns:///localhost.example.org:1";
    assert_int_equal(explained(&t, draco_grpc_worker_open(&t, &w), why, sizeof why), DRACO_E_ARGUMENT);
    w.address = "127.evil.example.org:1";
    assert_int_equal(explained(&t, draco_grpc_worker_open(&t, &w), why, sizeof why), DRACO_E_ARGUMENT);
    w.address = s.address = "http://127.0.0.1:7400";
    assert_int_equal(explained(&t, draco_grpc_worker_open(&t, &w), why, sizeof why), DRACO_E_ARGUMENT);
    assert_non_null(strstr(why, "is not an address"));
    assert_int_equal(explained(&t, draco_grpc_server_open(&t, &s), why, sizeof why), DRACO_E_ARGUMENT);
    assert_non_null(strstr(why, "is not an address"));
    const char *no_port[] = {
        "127.0.0.1:99999", "127.0.0.1:65536", "127.0.0.1:-1",           "127.0.0.1:",
        "127.0.0.1:7400x", "[::1]:70000",     "dns:///localhost:99999", "ipv4:127.0.0.1:99999"};
    for (size_t i = 0; i < sizeof no_port / sizeof *no_port; i++) {
        w.address = s.address = no_port[i];
        assert_int_equal(explained(&t, draco_grpc_worker_open(&t, &w), why, sizeof why), DRACO_E_ARGUMENT);
        assert_non_null(strstr(why, "is not a port"));
        assert_int_equal(explained(&t, draco_grpc_server_open(&t, &s), why, sizeof why), DRACO_E_ARGUMENT);
        assert_non_null(strstr(why, "is not a port"));
    }
    s.address = "0.0.0.0:0";
    s.insecure = 1; /* asked for */
    assert_int_equal(explained(&t, draco_grpc_server_open(&t, &s), why, sizeof why), DRACO_OK);
    t.close(t.ctx);
    s = loopback(3, NULL);
    s.tls.ca = "/nowhere/ca.pem";
    assert_int_equal(explained(&t, draco_grpc_server_open(&t, &s), why, sizeof why), DRACO_E_ARGUMENT);
    s.tls.certificate = s.tls.key = "/nowhere/x";
    assert_int_equal(explained(&t, draco_grpc_server_open(&t, &s), why, sizeof why), DRACO_E_IO);
    assert_non_null(strstr(why, "/nowhere/ca.pem"));
    char store[3][128];
    tls_of(&s.tls, "server-0", store);
    s.tls.key = store[1]; /* a certificate is no key */
    assert_int_equal(explained(&t, draco_grpc_server_open(&t, &s), why, sizeof why), DRACO_E_IO);
    assert_non_null(strstr(why, "Invalid private key"));
    s = loopback(0, NULL);
    assert_int_equal(explained(&t, draco_grpc_server_open(&t, &s), why, sizeof why), DRACO_E_ARGUMENT);
    s = loopback(3, NULL);
    s.limits.chunk_bytes = 5;
    assert_int_equal(explained(&t, draco_grpc_server_open(&t, &s), why, sizeof why), DRACO_E_ARGUMENT);
    /* An address in use */
    draco_transport other;
    char address[64];
    s = loopback(3, NULL);
    open_server(&other, &s, address);
    s.address = address;
    assert_int_equal(explained(&t, draco_grpc_server_open(&t, &s), why, sizeof why), DRACO_E_IO);
    assert_non_null(strstr(why, address));
    assert_non_null(strstr(why, "Address already in use"));
    other.close(other.ctx);
    /* Nobody there */
    w = worker_of(address, 0);
    w.limits.give_up_seconds = 0.5;
    assert_int_equal(explained(&t, draco_grpc_worker_open(&t, &w), why, sizeof why), DRACO_OK);
    assert_int_equal(toy_work(&t, 0), DRACO_E_TRANSPORT);
    assert_non_null(strstr(t.explain(t.ctx), address));
    t.close(t.ctx);
}

static void wrong_workers_are_refused_and_named(void **state) {
    (void)state;
    static toy_log log = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    draco_grpc_server_config config = loopback(3, &log);
    draco_transport t;
    char address[64];
    open_server(&t, &config, address);
    crew c;
    memset(&c, 0, sizeof c);
    draco_grpc_worker_config w = worker_of(address, 0);
    w.configuration = "batch=120 model=toy";
    crew_add(&c, &w);
    w = worker_of(address, 1);
    w.code_id = 78;
    crew_add(&c, &w);
    w = worker_of(address, 9);
    crew_add(&c, &w);
    crew_join(&c);
    for (int i = 0; i < 3; i++) assert_int_equal(c.ends[i], DRACO_E_CONFIG);
    assert_non_null(strstr(c.text[0], "batch=120 there, batch=60 here"));
    assert_non_null(strstr(c.text[1], "code"));
    assert_non_null(strstr(c.text[2], "claims to be worker 9"));
    assert_true(toy_told(&log, "batch=120 there, batch=60 here"));
    assert_true(toy_told(&log, "worker 1 uses code"));
    assert_true(toy_told(&log, "claims to be worker 9"));
    assert_int_equal(draco_grpc_joined(&t), 0);
    /* First come, first served in plain text: the second worker 2 waits outside until the first has left. */
    w = worker_of(address, 2);
    draco_transport first, second;
    draco_request r;
    assert_int_equal(draco_grpc_worker_open(&first, &w), DRACO_OK);
    assert_true(toy_told_soon(&log, "worker 2 joined", 20));
    w.limits.give_up_seconds = 3;
    assert_int_equal(draco_grpc_worker_open(&second, &w), DRACO_OK);
    assert_int_equal(second.receive(second.ctx, &r), DRACO_E_TRANSPORT);
    assert_non_null(strstr(second.explain(second.ctx), "already there"));
    second.close(second.ctx);
    first.close(first.ctx);
    assert_true(toy_told_soon(&log, "left", 10));
    t.close(t.ctx);
}

/* Certificates: each bad one is refused, and a good one for the same slot gets in. */
static void bad_certificates_are_refused(void **state) {
    (void)state;
    static toy_log log = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    char store[3][128], address[64];
    draco_grpc_server_config config = loopback(2, &log);
    tls_of(&config.tls, "server-0", store);
    draco_transport t;
    open_server(&t, &config, address);
    pid_t p = toy_spawn("%s %s 0 give-up=1", peer, address); /* no TLS at all */
    assert_int_equal(toy_wait(p, 20), 3);
    p = toy_spawn("%s %s 0 give-up=1 tls=%s:other", peer, address, directory); /* another authority */
    assert_int_equal(toy_wait(p, 20), 3);
    p = toy_spawn("%s %s 0 give-up=1 tls=%s:expired", peer, address, directory);
    assert_int_equal(toy_wait(p, 20), 3);
    p = toy_spawn("%s %s 0 tls=%s:worker-0 ca=%s/other-ca.pem", peer, address, directory, directory);
    assert_int_equal(toy_wait(p, 20), 4); /* it does not believe the server, and does not call again */
    assert_int_equal(draco_grpc_joined(&t), 0);
    p = toy_spawn("%s %s 0 tls=%s:stranger", peer, address, directory);
    assert_int_equal(toy_wait(p, 20), 4);
    assert_true(toy_told(&log, "\"stranger\" is not one of worker-0 to worker-1"));
    p = toy_spawn("%s %s 0 tls=%s:worker-1", peer, address, directory);
    assert_int_equal(toy_wait(p, 20), 4);
    assert_true(toy_told(&log, "certificate is worker-1's but it claims to be worker 0"));
    p = toy_spawn("%s %s 0 tls=%s:server-0", peer, address, directory); /* a server is no worker */
    assert_int_equal(toy_wait(p, 20), 4);
    assert_true(toy_told(&log, "TLS"));
    assert_true(toy_told(&log, "wrong version number")); /* plain text where TLS is spoken */
    assert_true(toy_told(&log, "certificate verify failed"));
    /* The run goes on; a newer connection of the same name takes the slot. */
    const pid_t good = toy_spawn("%s %s 0 tls=%s:worker-0", peer, address, directory);
    assert_true(toy_told_soon(&log, "worker 0 joined", 20));
    const pid_t newer = toy_spawn("%s %s 0 tls=%s:worker-0", peer, address, directory);
    assert_int_equal(toy_wait(good, 10), 4);
    assert_int_equal(draco_grpc_joined(&t), 1);
    t.close(t.ctx);
    assert_int_equal(toy_wait(newer, 10), 0);
}

/* Somebody with another certificate takes the server's port for a while: a worker that had joined waits until the server
   is back, one that had not ends. */
static void an_impostor_between_is_waited_out(void **state) {
    (void)state;
    static toy_log log = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    char store[3][128], address[64], other[3][128];
    draco_grpc_server_config config = loopback(1, &log);
    tls_of(&config.tls, "server-0", store);
    draco_transport t;
    open_server(&t, &config, address);
    const pid_t p = toy_spawn("%s %s 0 tls=%s:worker-0", peer, address, directory);
    assert_true(toy_told_soon(&log, "worker 0 joined", 20));
    toy_sleep(1);     /* by then the worker knows it, too */
    kill(p, SIGSTOP); /* and cut off, so that it is not told that the run is over */
    drg_server *s = (drg_server *)t.ctx;
    drg_shut_peer(s, s->sockets[0].peer);
    while (draco_grpc_joined(&t)) toy_sleep(0.01);
    t.close(t.ctx);
    tls_of(&config.tls, "other", other);
    snprintf(other[0], sizeof other[0], "%s/other-ca.pem", directory);
    config.tls.ca = other[0];
    config.address = address;
    open_server(&t, &config, address);
    kill(p, SIGCONT);
    assert_true(toy_told_soon(&log, "it left without a HELLO", 20));
    assert_int_equal(toy_wait(toy_spawn("%s %s 0 tls=%s:worker-0", peer, address, directory), 20), 4);
    assert_int_equal(kill(p, 0), 0);
    t.close(t.ctx);
    tls_of(&config.tls, "server-0", store);
    log.text[log.n = 0] = 0;
    open_server(&t, &config, address);
    assert_true(toy_told_soon(&log, "worker 0 joined", 20));
    t.close(t.ctx);
    assert_int_equal(toy_wait(p, 10), 0);
}

static void list_is(const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/refused", directory);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* The list of refused certificates while it is written: of the same size and within the same second, cut short in the
   middle of a name, empty, with the line ends of other systems. */
static void a_list_of_refused_certificates_is_read_again(void **state) {
    (void)state;
    static drg_server s;
    static drg_conn one, two;
    char path[128], pem[] = "-----BEGIN-----\nMIIB\n-----END-----";
    snprintf(path, sizeof path, "%s/refused", directory);
    s.refused_path = path;
    strcpy(one.name, "worker-1");
    strcpy(two.name, "worker-2");
    two.pem = pem;
    list_is("worker-1\n");
    s.refused = drg_refused_text(path);
    assert_true(drg_is_refused(&s, &one) && !drg_is_refused(&s, &two));
    list_is(
        "worker-2\n"); /* who is new is refused at once, who is gone from it when it has been seen twice */
    drg_refused_look(&s, 1);
    assert_true(drg_is_refused(&s, &one) && drg_is_refused(&s, &two));
    drg_refused_look(&s, 0); /* a worker's HELLO does not count */
    assert_true(drg_is_refused(&s, &one));
    drg_refused_look(&s, 1);
    assert_true(!drg_is_refused(&s, &one) && drg_is_refused(&s, &two));
    list_is("worker-3\nworker-1"); /* of worker-17 */
    drg_refused_look(&s, 1);
    assert_true(!drg_is_refused(&s, &one) && drg_is_refused(&s, &two));
    list_is("worker-3\nworker-17");
    drg_refused_look(&s, 1);
    drg_refused_look(&s, 1);
    assert_true(!drg_is_refused(&s, &one) && !drg_is_refused(&s, &two));
    list_is("worker-1\r\n-----BEGIN-----\r\nMIIB\r\n-----END-----\r\n");
    drg_refused_look(&s, 1);
    assert_true(drg_is_refused(&s, &one) && drg_is_refused(&s, &two));
    drg_refused_look(&s, 1);
    list_is("");
    drg_refused_look(&s, 1);
    assert_true(drg_is_refused(&s, &one) && drg_is_refused(&s, &two));
    unlink(path); /* gone: the list stays */
    drg_refused_look(&s, 1);
    drg_refused_look(&s, 1);
    assert_true(drg_is_refused(&s, &one) && drg_is_refused(&s, &two));
    free(s.refused);
    free(s.refused_seen);
}

/* ---- The life of a cluster ---- */

static void workers_wait_for_the_server_and_find_it_again(void **state) {
    (void)state;
    toy_inbox in;
    float params[3] = {1, 2, 3};
    draco_transport t;
    char address[64];
    draco_grpc_server_config config = loopback(2, NULL);
    open_server(&t, &config, address); /* learn a free port */
    t.close(t.ctx);
    crew c;
    memset(&c, 0, sizeof c);
    for (int i = 0; i < 2; i++) {
        const draco_grpc_worker_config w = worker_of(address, i);
        crew_add(&c, &w);
    }
    toy_sleep(0.5);
    config.address = address;
    open_server(&t, &config, address);
    toy_inbox_open(&in, 2, 12);
    draco_request r = make_request(DRACO_REQUEST_MESSAGE, 9, params, 3, 12);
    assert_int_equal(t.broadcast(t.ctx, &r), DRACO_OK);
    assert_int_equal(t.collect(t.ctx, &r, 20, &in.inbox), DRACO_OK);
    assert_int_equal(in.whole, 2);
    t.close(t.ctx);
    crew_join(&c);
    for (int i = 0; i < 2; i++) assert_int_equal(c.ends[i], DRACO_OK);
    toy_inbox_close(&in);
}

static void who_never_joined_is_absent_and_who_cannot_answer_is_malformed(void **state) {
    (void)state;
    toy_inbox in;
    float params[3] = {1, 2, 3};
    draco_transport t;
    char address[64];
    draco_grpc_server_config config = loopback(3, NULL);
    config.limits.start_seconds = 6;
    open_server(&t, &config, address);
    const pid_t honest = toy_spawn("%s %s 0", peer, address),
                mute = toy_spawn("%s %s 1 mode=mute", peer, address);
    toy_inbox_open(&in, 3, 12);
    for (uint64_t round = 1; round < 4; round++) {
        const draco_request r = make_request(DRACO_REQUEST_MESSAGE, round, params, 3, 12);
        toy_inbox_reset(&in);
        const double begin = toy_now();
        assert_int_equal(t.broadcast(t.ctx, &r), DRACO_OK);
        assert_int_equal(t.collect(t.ctx, &r, 20, &in.inbox), DRACO_OK);
        if (round > 1) assert_true(toy_now() - begin < 0.4);
        assert_true(toy_right(&in, 0, &r));
        assert_int_equal(in.arrivals[1], DRACO_ARRIVAL_MALFORMED);
        assert_int_equal(in.arrivals[2], DRACO_ARRIVAL_ABSENT);
    }
    t.close(t.ctx);
    assert_int_equal(toy_wait(honest, 5), 0);
    assert_int_equal(toy_wait(mute, 5), 0);
    toy_inbox_close(&in);
}

static void a_stop_flag_ends_all_waiting(void **state) {
    (void)state;
    static volatile int stop;
    toy_inbox in;
    float params[3] = {1, 2, 3};
    draco_transport t;
    char address[64];
    draco_grpc_server_config config = loopback(2, NULL);
    config.stop = &stop;
    config.limits.start_seconds = -1;
    open_server(&t, &config, address);
    const draco_request r = make_request(DRACO_REQUEST_MESSAGE, 1, params, 3, 12);
    stop = 1;
    double begin = toy_now();
    assert_int_equal(t.broadcast(t.ctx, &r), DRACO_E_STOPPED);
    assert_true(toy_now() - begin < 1);
    stop = 0;
    const pid_t p = toy_spawn("%s %s 0", peer, address), q = toy_spawn("%s %s 1", peer, address);
    toy_inbox_open(&in, 2, 12);
    assert_int_equal(t.broadcast(t.ctx, &r), DRACO_OK);
    assert_int_equal(t.collect(t.ctx, &r, -1, &in.inbox), DRACO_OK);
    kill(p, SIGSTOP);
    const draco_request next = make_request(DRACO_REQUEST_MESSAGE, 2, params, 3, 12);
    toy_inbox_reset(&in);
    assert_int_equal(t.broadcast(t.ctx, &next), DRACO_OK);
    stop = 1;
    begin = toy_now();
    assert_int_equal(t.collect(t.ctx, &next, -1, &in.inbox), DRACO_E_STOPPED);
    assert_true(toy_now() - begin < 4);
    begin = toy_now();
    t.close(t.ctx);
    assert_true(toy_now() - begin < 5);
    kill(p, SIGKILL);
    toy_wait(p, 5);
    assert_int_equal(toy_wait(q, 5), 0);
    toy_inbox_close(&in);
}

/* ---- Several servers ---- */

enum { SERVERS = 3, SHARD = 5000 };

typedef struct shard_server {
    draco_transport t;
    draco_grpc_server_config config;
    int number, good;
} shard_server;

static void *shard_main(void *arg) {
    shard_server *s = (shard_server *)arg;
    float params[SHARD];
    uint64_t round = 0;
    toy_inbox in;
    toy_inbox_open(&in, 2, sizeof params);
    for (int turn = 0; turn < 10; turn++) {
        for (int i = 0; i < SHARD; i++) params[i] = (float)(s->number * SHARD + i + turn);
        draco_request r = make_request(DRACO_REQUEST_MESSAGE, ++round, params, SHARD, sizeof params);
        r.step = (uint64_t)turn;
        toy_inbox_reset(&in);
        s->good +=
            s->t.broadcast(s->t.ctx, &r) == DRACO_OK && s->t.collect(s->t.ctx, &r, 20, &in.inbox) == DRACO_OK;
        for (int i = 0; i < 2; i++) s->good += toy_right(&in, i, &r);
        if (s->number == turn % SERVERS) { /* one server alone fetches from one worker */
            const unsigned char whom[2] = {1, 0};
            r = make_request(DRACO_REQUEST_BODY, ++round, NULL, 0, 64);
            in.bytes = 64;
            toy_inbox_reset(&in);
            s->good += s->t.fetch(s->t.ctx, &r, whom, 20, &in.inbox) == DRACO_OK && in.whole == 1;
            in.bytes = sizeof params;
        }
        uint64_t mine[3] = {(uint64_t)s->number, (uint64_t)turn, 42}, all[SERVERS][3];
        s->good += s->t.exchange(s->t.ctx, mine, sizeof mine, all) == DRACO_OK;
        for (int k = 0; k < SERVERS; k++)
            s->good += all[k][0] == (uint64_t)k && all[k][1] == (uint64_t)turn && all[k][2] == 42;
    }
    toy_inbox_close(&in);
    return NULL;
}

static void several_servers(void **state, int tls) {
    (void)state;
    static char store[5][3][128];
    shard_server servers[SERVERS];
    pthread_t threads[SERVERS];
    char hub[64], addresses[256] = "", port[64];
    draco_transport probe;
    draco_grpc_server_config config = loopback(2, NULL);
    open_server(&probe, &config, hub); /* a free port for the hub */
    probe.close(probe.ctx);
    for (int k = 0; k < SERVERS; k++) {
        char name[16];
        snprintf(name, sizeof name, "server-%d", k);
        config = loopback(2, NULL);
        config.server = k;
        config.servers = SERVERS;
        config.hub = hub;
        if (tls) tls_of(&config.tls, name, store[k]);
        servers[k].config = config;
        servers[k].number = k;
        servers[k].good = 0;
        open_server(&servers[k].t, &config, port);
        assert_int_equal(servers[k].t.servers, SERVERS);
        snprintf(addresses + strlen(addresses), sizeof addresses - strlen(addresses), "%s%s", k ? "," : "",
                 port);
    }
    crew c;
    memset(&c, 0, sizeof c);
    for (int i = 0; i < 2; i++) {
        char name[16];
        snprintf(name, sizeof name, "worker-%d", i);
        draco_grpc_worker_config w = worker_of(addresses, i);
        if (tls) tls_of(&w.tls, name, store[3 + i]);
        crew_add(&c, &w);
    }
    for (int k = 0; k < SERVERS; k++) pthread_create(&threads[k], NULL, shard_main, &servers[k]);
    for (int k = 0; k < SERVERS; k++) pthread_join(threads[k], NULL);
    for (int k = 0; k < SERVERS; k++)
        assert_int_equal(servers[k].good, 10 * (1 + 2 + 1 + SERVERS) + (10 + SERVERS - 1 - k) / SERVERS);
    for (int k = SERVERS - 1; k >= 0; k--) servers[k].t.close(servers[k].t.ctx);
    crew_join(&c);
    for (int i = 0; i < 2; i++) assert_int_equal(c.ends[i], DRACO_OK);
}

static void several_servers_plain(void **state) {
    several_servers(state, 0);
}

static void several_servers_tls(void **state) {
    several_servers(state, 1);
}

static int set_up(void **state) {
    (void)state;
    char command[256];
    const char *build = getenv("BUILD");
    snprintf(peer, sizeof peer, "%s/tests/peer_grpc", build ? build : "build");
    if (!mkdtemp(directory)) return -1;
    snprintf(command, sizeof command, "BAD=1 sh scripts/make_test_ca.sh %s 3 3", directory);
    return system(command);
}

static int tear_down(void **state) {
    (void)state;
    char command[256];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_bytes_are_protobufs),
        cmocka_unit_test(frame_fields_come_in_any_order),
        cmocka_unit_test(plain_rounds),
        cmocka_unit_test(unix_socket_rounds),
        cmocka_unit_test(unix_paths_are_taken_over_only_when_stale),
        cmocka_unit_test(mutual_tls_rounds),
        cmocka_unit_test(extra_and_fetch),
        cmocka_unit_test(addresses_and_files_are_checked),
        cmocka_unit_test(wrong_workers_are_refused_and_named),
        cmocka_unit_test(bad_certificates_are_refused),
        cmocka_unit_test(an_impostor_between_is_waited_out),
        cmocka_unit_test(a_list_of_refused_certificates_is_read_again),
        cmocka_unit_test(workers_wait_for_the_server_and_find_it_again),
        cmocka_unit_test(who_never_joined_is_absent_and_who_cannot_answer_is_malformed),
        cmocka_unit_test(a_stop_flag_ends_all_waiting),
        cmocka_unit_test(several_servers_plain),
        cmocka_unit_test(several_servers_tls),
    };
    return cmocka_run_group_tests_name("grpc", tests, set_up, tear_down);
}
