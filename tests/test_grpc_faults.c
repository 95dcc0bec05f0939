/* What the gRPC transport stands: workers and servers killed or stopped, strangers, floods. In every test the
   run goes on, the culprit is named, and nothing waits for ever. */
#define DRACO_IMPLEMENTATION
#define DRACO_GRPC_IMPLEMENTATION
#include "support/grpc_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <netinet/tcp.h>

static char directory[] = "/tmp/draco-grpc-XXXXXX";
static char peer[512], program[512];

/* A server with toy rounds. */
typedef struct run {
    draco_transport t;
    toy_inbox in;
    float *params;
    size_t d;
    uint64_t round;
    char address[64];
    toy_log log;
} run;

static void run_open(run *r, draco_grpc_server_config *config, int workers, size_t d) {
    char why[256] = "";
    memset(r, 0, sizeof *r);
    pthread_mutex_init(&r->log.mutex, NULL);
    config->workers = workers;
    config->on_event = toy_note;
    config->event_ctx = &r->log;
    if (!config->address) config->address = "127.0.0.1:0";
    if (explained(&r->t, draco_grpc_server_open(&r->t, config), why, sizeof why)) fail_msg("%s", why);
    snprintf(r->address, sizeof r->address, "127.0.0.1:%d", draco_grpc_port(&r->t));
    toy_inbox_open(&r->in, workers, d * sizeof(float));
    r->params = (float *)malloc(d * sizeof(float));
    r->d = d;
}

static draco_request run_ask(run *r) {
    draco_request q;
    memset(&q, 0, sizeof q);
    r->round++;
    for (size_t i = 0; i < r->d; i++) r->params[i] = (float)((i + r->round * 17) % 509);
    q.kind = DRACO_REQUEST_MESSAGE;
    q.round = r->round;
    q.step = r->round;
    q.params = r->params;
    q.params_count = r->d;
    q.reply_bytes = r->d * sizeof(float);
    toy_inbox_reset(&r->in);
    assert_int_equal(r->t.broadcast(r->t.ctx, &q), DRACO_OK);
    return q;
}

/* One round; right[i] != 0: worker i's row must be right. */
static draco_status run_round(run *r, double seconds, const char *right) {
    const draco_request q = run_ask(r);
    const draco_status status = r->t.collect(r->t.ctx, &q, seconds, &r->in.inbox);
    assert_int_equal(r->in.broken, 0);
    for (int i = 0; i < r->in.workers; i++)
        if (right[i] == '1') assert_true(toy_right(&r->in, i, &q));
    return status;
}

static void run_close(run *r) {
    const double begin = toy_now();
    assert_int_equal(r->t.close(r->t.ctx), DRACO_OK);
    assert_true(toy_now() - begin < 5);
    toy_inbox_close(&r->in);
    free(r->params);
}

static void a_worker_killed_in_the_middle_of_a_message(void **state) {
    (void)state;
    static run r;
    draco_grpc_server_config config;
    memset(&config, 0, sizeof config);
    config.limits.rejoin_seconds = 0.3;
    run_open(&r, &config, 3, 2000000);
    const pid_t victim = toy_spawn("%s %s 0 die=3", peer, r.address);
    const pid_t one = toy_spawn("%s %s 1", peer, r.address), two = toy_spawn("%s %s 2", peer, r.address);
    assert_int_equal(run_round(&r, 20, "111"), DRACO_OK);
    assert_int_equal(run_round(&r, 20, "111"), DRACO_OK);
    assert_int_equal(run_round(&r, 20, "011"), DRACO_OK); /* no deadline needed: it is known to be gone */
    assert_int_equal(r.in.arrivals[0], DRACO_ARRIVAL_ABSENT);
    assert_in_range(r.in.filled[0], 1, r.in.bytes - 1);
    assert_int_equal(toy_wait(victim, 5), 1000 + SIGKILL);
    assert_true(toy_told(&r.log, "lost worker 0"));
    assert_true(toy_told(&r.log, "its connection broke"));
    assert_int_equal(run_round(&r, 20, "011"), DRACO_OK);      /* and not waited for any more */
    const pid_t again = toy_spawn("%s %s 0", peer, r.address); /* welcomed back with the current model */
    for (int i = 0; i < 100 && draco_grpc_joined(&r.t) < 3; i++) toy_sleep(0.05);
    assert_int_equal(run_round(&r, 20, "111"), DRACO_OK);
    run_close(&r);
    assert_int_equal(toy_wait(again, 5), 0);
    assert_int_equal(toy_wait(one, 5), 0);
    assert_int_equal(toy_wait(two, 5), 0);
}

static void a_replacement_completes_the_same_round(void **state) {
    (void)state;
    static run r;
    draco_grpc_server_config config;
    memset(&config, 0, sizeof config);
    config.limits.rejoin_seconds = 20;
    run_open(&r, &config, 2, 2000000);
    const pid_t victim = toy_spawn("%s %s 0 die=2", peer, r.address);
    assert_true(toy_told_soon(&r.log, "worker 0 joined", 10));
    const pid_t heir = toy_spawn("%s %s 0", peer, r.address); /* knocks until the slot is free */
    const pid_t one = toy_spawn("%s %s 1", peer, r.address);
    assert_int_equal(run_round(&r, 20, "11"), DRACO_OK);
    assert_int_equal(run_round(&r, 30, "11"), DRACO_OK);
    assert_true(toy_told(&r.log, "lost worker 0"));
    assert_int_equal(toy_wait(victim, 5), 1000 + SIGKILL);
    run_close(&r);
    assert_int_equal(toy_wait(heir, 5), 0);
    assert_int_equal(toy_wait(one, 5), 0);
}

static void a_worker_stopped_beyond_the_deadline(void **state) {
    (void)state;
    static run r;
    draco_grpc_server_config config;
    memset(&config, 0, sizeof config);
    run_open(&r, &config, 2, 500000);
    const pid_t zero = toy_spawn("%s %s 0", peer, r.address), one = toy_spawn("%s %s 1", peer, r.address);
    assert_int_equal(run_round(&r, 20, "11"), DRACO_OK);
    kill(one, SIGSTOP);
    for (int i = 0; i < 3; i++) {
        const double begin = toy_now();
        assert_int_equal(run_round(&r, 0.4, "10"), DRACO_MORE);
        assert_true(toy_now() - begin < 2);
    }
    kill(one, SIGCONT); /* its late answers belong to no round */
    assert_int_equal(run_round(&r, 20, "11"), DRACO_OK);
    assert_int_equal(run_round(&r, 20, "11"), DRACO_OK);
    run_close(&r);
    assert_int_equal(toy_wait(zero, 5), 0);
    assert_int_equal(toy_wait(one, 5), 0);
}

static void keep_alive_finds_a_dead_peer(void **state) {
    (void)state;
    static run r;
    draco_grpc_server_config config;
    memset(&config, 0, sizeof config);
    config.limits.keepalive_seconds = 2;
    config.limits.rejoin_seconds = 0.1;
    run_open(&r, &config, 2, 1000);
    const pid_t zero = toy_spawn("%s %s 0", peer, r.address), one = toy_spawn("%s %s 1", peer, r.address);
    assert_int_equal(run_round(&r, 20, "11"), DRACO_OK);
    kill(one, SIGSTOP);
    const double begin = toy_now();
    assert_int_equal(run_round(&r, -1, "10"), DRACO_OK); /* no deadline at all */
    assert_int_equal(r.in.arrivals[1], DRACO_ARRIVAL_ABSENT);
    assert_true(toy_now() - begin < 10);
    assert_true(toy_told(&r.log, "it stopped answering"));
    kill(one, SIGCONT); /* it notices, and comes back */
    for (int i = 0; i < 200 && draco_grpc_joined(&r.t) < 2; i++) toy_sleep(0.05);
    assert_int_equal(run_round(&r, 20, "11"), DRACO_OK);
    run_close(&r);
    assert_int_equal(toy_wait(zero, 5), 0);
    assert_int_equal(toy_wait(one, 5), 0);
}

/* This program as a server: rounds first … first + count - 1; count 0: for ever. */
static int serve(const char *address, uint64_t first, uint64_t count) {
    static run r;
    draco_grpc_server_config config;
    memset(&config, 0, sizeof config);
    config.address = address;
    run_open(&r, &config, 2, 300000);
    r.round = first;
    for (uint64_t i = 0; !count || i < count; i++)
        if (run_round(&r, 20, "11") != DRACO_OK) return 1;
    run_close(&r);
    return 0;
}

static void a_server_killed_and_resumed(void **state) {
    (void)state;
    static run r;
    draco_grpc_server_config config;
    memset(&config, 0, sizeof config);
    run_open(&r, &config, 2, 1); /* a free port */
    run_close(&r);
    const pid_t zero = toy_spawn("%s %s 0", peer, r.address), one = toy_spawn("%s %s 1", peer, r.address);
    const pid_t server = toy_spawn("%s serve %s 0 0", program, r.address);
    toy_sleep(2.5); /* in the middle of its rounds */
    kill(server, SIGKILL);
    assert_int_equal(toy_wait(server, 5), 1000 + SIGKILL);
    const pid_t resumed = toy_spawn("%s serve %s 5 20", program, r.address);
    assert_int_equal(toy_wait(resumed, 40), 0);
    assert_int_equal(toy_wait(zero, 5), 0);
    assert_int_equal(toy_wait(one, 5), 0);
}

/* Each misbehaviour: its arrival, the word that names it, and whether the worker is sent away. */
static void answers_that_are_wrong(void **state) {
    (void)state;
    static const struct {
        const char *mode, *word;
        draco_arrival arrival;
        int code;
    } cases[] = {
        {"short", "worker 1", DRACO_ARRIVAL_MALFORMED, 0},
        {"long", "worker 1", DRACO_ARRIVAL_MALFORMED, 0},
        {"step", "worker 1", DRACO_ARRIVAL_MALFORMED, 0},
        {"mute", "worker 1", DRACO_ARRIVAL_MALFORMED, 0},
        {"name", "in another worker's name", DRACO_ARRIVAL_MALFORMED, 4},
        {"garbage", "no REPLY of draco.v1", DRACO_ARRIVAL_MALFORMED, 4},
        {"endless", "more bytes than it was asked for", DRACO_ARRIVAL_MALFORMED, 4},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        static run r;
        draco_grpc_server_config config;
        memset(&config, 0, sizeof config);
        config.limits.rejoin_seconds = 0.1;
        run_open(&r, &config, 2, 100000);
        const pid_t zero = toy_spawn("%s %s 0", peer, r.address);
        const pid_t one = toy_spawn("%s %s 1 mode=%s", peer, r.address, cases[k].mode);
        assert_int_equal(run_round(&r, 20, "10"), DRACO_OK);
        assert_int_equal(r.in.arrivals[1], cases[k].arrival);
        for (int i = 0; i < 3; i++) assert_int_equal(run_round(&r, 20, "10"), DRACO_OK);
        assert_true(toy_told_soon(&r.log, cases[k].word, 5));
        run_close(&r);
        assert_int_equal(toy_wait(zero, 5), 0);
        assert_int_equal(toy_wait(one, 10), cases[k].code);
    }
}

static void answers_twice_count_once(void **state) {
    (void)state;
    static run r;
    draco_grpc_server_config config;
    memset(&config, 0, sizeof config);
    run_open(&r, &config, 2, 1000);
    const pid_t zero = toy_spawn("%s %s 0", peer, r.address),
                one = toy_spawn("%s %s 1 mode=twice", peer, r.address);
    for (int i = 0; i < 3; i++) assert_int_equal(run_round(&r, 20, "11"), DRACO_OK);
    run_close(&r);
    assert_int_equal(toy_wait(zero, 5), 0);
    toy_wait(one, 5);
}

/* A message far over the limit is cut long before it is in memory. */
static void over_limit_messages(void **state) {
    (void)state;
    static run r;
    draco_grpc_server_config config;
    memset(&config, 0, sizeof config);
    config.limits.rejoin_seconds = 0.1;
    run_open(&r, &config, 2, 100000);
    const pid_t zero = toy_spawn("%s %s 0", peer, r.address),
                one = toy_spawn("%s %s 1 mode=huge", peer, r.address);
    assert_int_equal(run_round(&r, 20, "10"), DRACO_OK);
    const size_t before = toy_resident();
    for (int i = 0; i < 10; i++) {
        run_round(&r, 1, "10");
        toy_sleep(0.1);
    }
    const size_t after = toy_resident();
    assert_true(toy_told(&r.log, "lost worker 1") || toy_told(&r.log, "more than its windows allow"));
    assert_true(after < before + (32u << 20));
    /* Without a HELLO even less is taken. */
    run_close(&r);
    kill(one, SIGTERM);
    assert_int_equal(toy_wait(zero, 5), 0);
    toy_wait(one, 5);
}

static int dial(const run *r) {
    struct sockaddr_in a;
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_port = htons((uint16_t)draco_grpc_port(&r->t));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct timeval patience = {10, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void name_of(int fd, char name[64]) {
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    getsockname(fd, (struct sockaddr *)&a, &n);
    snprintf(name, 64, "ipv4:127.0.0.1:%d", ntohs(a.sin_port));
}

/* Read until the other end closes; 0 when it did not within the socket's patience. */
static int hung_up(int fd) {
    char junk[4096];
    for (;;) {
        const ssize_t n = recv(fd, junk, sizeof junk, 0);
        if (n == 0 || (n < 0 && errno == ECONNRESET)) return 1;
        if (n < 0) return 0;
    }
}

static void half_open_connections(void **state) {
    (void)state;
    static run r;
    draco_grpc_server_config config;
    memset(&config, 0, sizeof config);
    config.limits.join_seconds = 1.5;
    config.limits.connections = 2 + 64;
    run_open(&r, &config, 2, 100000);
    const pid_t zero = toy_spawn("%s %s 0", peer, r.address), one = toy_spawn("%s %s 1", peer, r.address);
    assert_int_equal(run_round(&r, 20, "11"), DRACO_OK);
    int fds[70];
    for (int i = 0; i < 64; i++) fds[i] = dial(&r);
    for (int i = 0; i < 5; i++) assert_int_equal(run_round(&r, 20, "11"), DRACO_OK);
    for (int i = 64; i < 70; i++) fds[i] = dial(&r); /* more than the limit */
    assert_true(toy_told_soon(&r.log, "connections are the limit", 5));
    for (int i = 0; i < 70; i++) assert_true(hung_up(fds[i]));
    assert_true(toy_told(&r.log, "ipv4:127.0.0.1:"));
    assert_true(toy_told(&r.log, "did not join in time"));
    for (int i = 0; i < 70; i++) close(fds[i]);
    assert_int_equal(run_round(&r, 20, "11"), DRACO_OK);
    assert_int_equal(draco_grpc_joined(&r.t), 2);
    run_close(&r);
    assert_int_equal(toy_wait(zero, 5), 0);
    assert_int_equal(toy_wait(one, 5), 0);
}

static void garbage_on(run *r, unsigned seed) {
    char name[64];
    unsigned char bytes[65536];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(seed = seed * 1103515245u + 12345u, seed >> 16);
    const int fd = dial(r);
    name_of(fd, name);
    for (int i = 0; i < 32; i++)
        if (send(fd, bytes, sizeof bytes, MSG_NOSIGNAL) < 0) break;
    assert_true(hung_up(fd));
    close(fd);
    assert_true(toy_told_soon(&r->log, name, 5));
}

static void garbage_on_the_port(void **state) {
    (void)state;
    static char store[3][128];
    for (int tls = 0; tls < 2; tls++) {
        static run r;
        draco_grpc_server_config config;
        memset(&config, 0, sizeof config);
        snprintf(store[0], 128, "%s/ca.pem", directory);
        snprintf(store[1], 128, "%s/server-0.pem", directory);
        snprintf(store[2], 128, "%s/server-0.key", directory);
        if (tls) config.tls = (draco_grpc_tls){store[0], store[1], store[2]};
        run_open(&r, &config, 1, 1000);
        const pid_t zero = tls ? toy_spawn("%s %s 0 tls=%s:worker-0", peer, r.address, directory)
                               : toy_spawn("%s %s 0", peer, r.address);
        assert_int_equal(run_round(&r, 20, "1"), DRACO_OK);
        for (unsigned i = 0; i < 5; i++) {
            garbage_on(&r, i);
            assert_int_equal(run_round(&r, 20, "1"), DRACO_OK);
        }
        run_close(&r);
        assert_int_equal(toy_wait(zero, 5), 0);
    }
}

/* Calls opened and reset at once, in raw HTTP/2. */
static void rapid_reset(void **state) {
    (void)state;
    static run r;
    draco_grpc_server_config config;
    memset(&config, 0, sizeof config);
    run_open(&r, &config, 1, 1000);
    const pid_t zero = toy_spawn("%s %s 0", peer, r.address);
    assert_int_equal(run_round(&r, 20, "1"), DRACO_OK);
    const size_t before = toy_resident();
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    const char path[] = "/draco.v1.ParameterServer/Train", type[] = "application/grpc", te[] = "trailers";
    unsigned char block[256];
    size_t n = 0;
    block[n++] = 0x83; /* :method POST, :scheme http, then literals: :path, content-type, te */
    block[n++] = 0x86;
    block[n++] = 0x04;
    block[n++] = sizeof path - 1;
    memcpy(block + n, path, sizeof path - 1);
    n += sizeof path - 1;
    block[n++] = 0x0f;
    block[n++] = 31 - 15;
    block[n++] = sizeof type - 1;
    memcpy(block + n, type, sizeof type - 1);
    n += sizeof type - 1;
    block[n++] = 0x00;
    block[n++] = 2;
    memcpy(block + n, "te", 2);
    n += 2;
    block[n++] = sizeof te - 1;
    memcpy(block + n, te, sizeof te - 1);
    n += sizeof te - 1;
    const int fd = dial(&r);
    char name[64];
    name_of(fd, name);
    assert_int_equal(send(fd, preface, sizeof preface, MSG_NOSIGNAL), sizeof preface);
    static unsigned char batch[1 << 16];
    uint32_t id = 1;
    int alive = 1;
    for (int round = 0; round < 300 && alive; round++) {
        size_t at = 0;
        while (at + n + 32 < sizeof batch) {
            const unsigned char headers[9] = {0,
                                              0,
                                              (unsigned char)n,
                                              1,
                                              4,
                                              (unsigned char)(id >> 24),
                                              (unsigned char)(id >> 16),
                                              (unsigned char)(id >> 8),
                                              (unsigned char)id};
            const unsigned char reset[13] = {0,
                                             0,
                                             4,
                                             3,
                                             0,
                                             (unsigned char)(id >> 24),
                                             (unsigned char)(id >> 16),
                                             (unsigned char)(id >> 8),
                                             (unsigned char)id,
                                             0,
                                             0,
                                             0,
                                             8};
            memcpy(batch + at, headers, 9);
            memcpy(batch + at + 9, block, n);
            memcpy(batch + at + 9 + n, reset, 13);
            at += 22 + n;
            id += 2;
        }
        for (size_t sent = 0; sent < at && alive;) {
            const ssize_t k = send(fd, batch + sent, at - sent, MSG_NOSIGNAL);
            alive = k > 0;
            if (alive) sent += (size_t)k;
        }
    }
    assert_true(!alive || hung_up(fd));
    close(fd);
    assert_true(toy_told_soon(&r.log, name, 5));
    assert_true(toy_resident() < before + (64u << 20));
    assert_int_equal(run_round(&r, 20, "1"), DRACO_OK);
    run_close(&r);
    assert_int_equal(toy_wait(zero, 5), 0);
}

/* While nobody collects, flow control holds the bytes back. */
static void a_server_that_does_not_read_stays_small(void **state) {
    (void)state;
    static run r;
    draco_grpc_server_config config;
    memset(&config, 0, sizeof config);
    run_open(&r, &config, 4, 8000000); /* 32 MB a worker */
    pid_t p[4];
    for (int i = 0; i < 4; i++) p[i] = toy_spawn("%s %s %d", peer, r.address, i);
    assert_int_equal(run_round(&r, 30, "1111"), DRACO_OK);
    const size_t before = toy_resident();
    const draco_request q = run_ask(&r);
    toy_sleep(1.5);
    assert_true(toy_resident() < before + (24u << 20)); /* 6 MB a worker, not 32 */
    assert_int_equal(r.t.collect(r.t.ctx, &q, 30, &r.in.inbox), DRACO_OK);
    for (int i = 0; i < 4; i++) assert_true(toy_right(&r.in, i, &q));
    run_close(&r);
    for (int i = 0; i < 4; i++) assert_int_equal(toy_wait(p[i], 5), 0);
}

/* A TLS client without a certificate, and one that speaks an old version. */
static void tls_strangers(void **state) {
    (void)state;
    static run r;
    static char store[3][128];
    char command[512];
    draco_grpc_server_config config;
    memset(&config, 0, sizeof config);
    snprintf(store[0], 128, "%s/ca.pem", directory);
    snprintf(store[1], 128, "%s/server-0.pem", directory);
    snprintf(store[2], 128, "%s/server-0.key", directory);
    config.tls = (draco_grpc_tls){store[0], store[1], store[2]};
    run_open(&r, &config, 1, 1000);
    const pid_t zero = toy_spawn("%s %s 0 tls=%s:worker-0", peer, r.address, directory);
    assert_int_equal(run_round(&r, 20, "1"), DRACO_OK);
    snprintf(command, sizeof command,
             "echo | timeout 5 openssl s_client -alpn h2 -connect %s >/dev/null 2>&1", r.address);
    assert_int_not_equal(system(command), -1);
    assert_true(toy_told_soon(&r.log, "peer did not return a certificate", 5));
    snprintf(command, sizeof command,
             "echo | timeout 5 openssl s_client -tls1_1 -cipher DEFAULT@SECLEVEL=0 -alpn h2 -connect %s "
             ">/dev/null 2>&1",
             r.address);
    assert_int_not_equal(system(command), 0);
    assert_true(toy_told_soon(&r.log, "unsupported protocol", 5));
    assert_int_equal(run_round(&r, 20, "1"), DRACO_OK);
    run_close(&r);
    assert_int_equal(toy_wait(zero, 5), 0);
}

static int told_times(toy_log *log, const char *words) {
    int times = 0;
    pthread_mutex_lock(&log->mutex);
    for (const char *at = log->text; (at = strstr(at, words)); at++) times++;
    pthread_mutex_unlock(&log->mutex);
    return times;
}

/* It is started, killed as soon as it has joined or was told to wait, and started again, 16 times in a row. The other
   one is killed twice, and has its place at once. */
static void a_worker_that_comes_and_goes(void **state) {
    (void)state;
    static char store[3][128];
    for (int tls = 0; tls < 2; tls++) {
        static run r;
        char with[2][160] = {"", ""};
        draco_grpc_server_config config;
        memset(&config, 0, sizeof config);
        config.limits.start_seconds = config.limits.rejoin_seconds = 0.1;
        snprintf(store[0], 128, "%s/ca.pem", directory);
        snprintf(store[1], 128, "%s/server-0.pem", directory);
        snprintf(store[2], 128, "%s/server-0.key", directory);
        for (int i = 0; tls && i < 2; i++) snprintf(with[i], 160, "tls=%s:worker-%d", directory, i);
        if (tls) config.tls = (draco_grpc_tls){store[0], store[1], store[2]};
        run_open(&r, &config, 2, 1000);
        pid_t honest = toy_spawn("%s %s 1 %s", peer, r.address, with[1]);
        for (int i = 0; i < 16; i++) {
            const int before = told_times(&r.log, "comes and goes");
            const pid_t restless = toy_spawn("%s %s 0 %s", peer, r.address, with[0]);
            for (double until = toy_now() + 10; told_times(&r.log, "worker 0 joined") < i + 1 &&
                                                told_times(&r.log, "comes and goes") == before &&
                                                toy_now() < until;)
                toy_sleep(0.005);
            kill(restless, SIGKILL);
            toy_wait(restless, 5);
            for (double until = toy_now() + 5; draco_grpc_joined(&r.t) > 1 && toy_now() < until;)
                toy_sleep(0.005);
            if (i % 8 == 4) {
                const int times = told_times(&r.log, "worker 1 joined");
                kill(honest, SIGKILL);
                toy_wait(honest, 5);
                honest = toy_spawn("%s %s 1 %s", peer, r.address, with[1]);
                while (told_times(&r.log, "worker 1 joined") == times) {
                    assert_int_equal(told_times(&r.log, "worker 1 comes"), 0);
                    toy_sleep(0.005);
                }
            }
        }
        assert_in_range(told_times(&r.log, "worker 0 joined"), 4, 12);
        assert_int_equal(told_times(&r.log, "worker 1 joined"), 3);
        assert_true(toy_told(&r.log, "worker 0 comes and goes: it joined 5 times of late"));
        assert_int_equal(run_round(&r, 20, "01"), DRACO_OK);
        run_close(&r);
        assert_int_equal(toy_wait(honest, 5), 0);
    }
}

static int set_up(void **state) {
    (void)state;
    char command[256];
    if (!mkdtemp(directory)) return -1;
    snprintf(command, sizeof command, "sh scripts/make_test_ca.sh %s 2 1", directory);
    return system(command);
}

static int tear_down(void **state) {
    (void)state;
    char command[256];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_killed_in_the_middle_of_a_message),
        cmocka_unit_test(a_replacement_completes_the_same_round),
        cmocka_unit_test(a_worker_stopped_beyond_the_deadline),
        cmocka_unit_test(keep_alive_finds_a_dead_peer),
        cmocka_unit_test(a_server_killed_and_resumed),
        cmocka_unit_test(answers_that_are_wrong),
        cmocka_unit_test(answers_twice_count_once),
        cmocka_unit_test(over_limit_messages),
        cmocka_unit_test(half_open_connections),
        cmocka_unit_test(garbage_on_the_port),
        cmocka_unit_test(rapid_reset),
        cmocka_unit_test(a_server_that_does_not_read_stays_small),
        cmocka_unit_test(tls_strangers),
        cmocka_unit_test(a_worker_that_comes_and_goes),
    };
    const char *build = getenv("BUILD");
    snprintf(peer, sizeof peer, "%s/tests/peer_grpc", build ? build : "build");
    snprintf(program, sizeof program, "%s", argv[0]);
    if (argc == 5 && !strcmp(argv[1], "serve"))
        return serve(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
    return cmocka_run_group_tests_name("grpc faults", tests, set_up, tear_down);
}
