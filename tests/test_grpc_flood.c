/* A flood of connections that say nothing, begin a handshake and stop, or send garbage, in plain text and with mutual TLS: rounds go on,
   nobody is lost, descriptors stay under the ceiling, and a worker that was killed comes back although strangers hold all
   the places. DRACO_FLOOD: how many connections (500). */
#define DRACO_IMPLEMENTATION
#define DRACO_GRPC_IMPLEMENTATION
#include "support/flood.h"
#include "support/grpc_testing.h"

enum { WORKERS = 5, DIM = 4000 };

typedef struct server {
    draco_transport t;
    toy_inbox in;
    float *params;
    uint64_t round;
    int wrong, most; /* descriptors */
} server;

/* Rounds a second; right: how many of the workers must answer. */
static double rate(server *s, double seconds, int right) {
    const double begin = toy_now();
    const uint64_t first = s->round;
    while (toy_now() < begin + seconds) {
        draco_request r;
        int got = 0;
        memset(&r, 0, sizeof r);
        r.kind = DRACO_REQUEST_MESSAGE;
        r.round = r.step = ++s->round;
        r.params = s->params;
        r.params_count = DIM;
        r.reply_bytes = DIM * sizeof(float);
        toy_inbox_reset(&s->in);
        s->wrong +=
            s->t.broadcast(s->t.ctx, &r) != DRACO_OK || s->t.collect(s->t.ctx, &r, 20, &s->in.inbox) < 0;
        for (int i = 0; i < WORKERS; i++) got += toy_right(&s->in, i, &r) != 0;
        s->wrong += got < right;
        if (s->round % 16 == 0) {
            const int now = descriptors(getpid());
            if (now > s->most) s->most = now;
        }
    }
    return (double)(s->round - first) / (toy_now() - begin);
}

static int result(int number, int good, const char *text) {
    printf("%s %d - %s\n", good ? "ok" : "not ok", number, text);
    return !good;
}

/* certificates NULL: plain text. Prints four results from `number` on; how many are bad. */
static int flooded(const char *certificates, int number) {
    const int count = getenv("DRACO_FLOOD") ? atoi(getenv("DRACO_FLOOD")) : 500;
    const char *build = getenv("BUILD") ? getenv("BUILD") : "build";
    static toy_log log = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    server s = {0};
    char peer[512], why[256] = "";
    pid_t pids[WORKERS];
    draco_grpc_server_config config;
    memset(&config, 0, sizeof config);
    config.address = certificates ? "localhost:0" : "127.0.0.1:0";
    config.workers = WORKERS;
    config.on_event = toy_note;
    config.event_ctx = &log;
    config.limits.start_seconds = 60;
    char file[3][160], with[200] = "";
    for (int k = 0; certificates && k < 3; k++) {
        static const char *const names[] = {"ca.pem", "server-0.pem", "server-0.key"};
        snprintf(file[k], sizeof file[k], "%s/%s", certificates, names[k]);
    }
    if (certificates) config.tls = (draco_grpc_tls){file[0], file[1], file[2]};
    if (explained(&s.t, draco_grpc_server_open(&s.t, &config), why, sizeof why)) {
        return result(number, 0, why);
    }
    snprintf(peer, sizeof peer, "%s/tests/peer_grpc", build);
    for (int i = 0; i < WORKERS; i++) {
        if (certificates) snprintf(with, sizeof with, "tls=%s:worker-%d", certificates, i);
        pids[i] = toy_spawn("%s 127.0.0.1:%d %d %s", peer, draco_grpc_port(&s.t), i, with);
    }
    toy_inbox_open(&s.in, WORKERS, DIM * sizeof(float));
    s.params = (float *)calloc(DIM, sizeof *s.params);
    rate(&s, 0.5, 0);
    s.wrong = 0;
    const double before = rate(&s, 2, WORKERS);
    const int quiet = s.most;
    const pid_t attacker = flood(draco_grpc_port(&s.t), count);
    const double during = rate(&s, 4, WORKERS);
    const int lost = WORKERS - draco_grpc_joined(&s.t), wrong = s.wrong;
    kill(pids[2], SIGKILL);
    toy_wait(pids[2], 5);
    if (certificates) snprintf(with, sizeof with, "tls=%s:worker-2", certificates);
    pids[2] = toy_spawn("%s 127.0.0.1:%d 2 %s", peer, draco_grpc_port(&s.t), with);
    double back = toy_now();
    while (draco_grpc_joined(&s.t) < WORKERS - 1 ||
           (draco_grpc_joined(&s.t) < WORKERS && toy_now() < back + 20))
        rate(&s, 0.1, 0);
    for (double until = toy_now() + 20; draco_grpc_joined(&s.t) < WORKERS && toy_now() < until;)
        rate(&s, 0.1, 0);
    back = toy_now() - back;
    const int returned = draco_grpc_joined(&s.t) == WORKERS;
    kill(attacker, SIGKILL);
    toy_wait(attacker, 5);
    s.wrong = 0;
    const double after = rate(&s, 1, WORKERS);
    printf(
        "# %s, %d connections: %.0f rounds a second before, %.0f during (%.2f), %.0f after; descriptors %d "
        "before, at most "
        "%d; a killed worker is back after %.1f s\n",
        certificates ? "TLS" : "plain text", count, before, during, during / before, after, quiet, s.most,
        back);
    int failed =
        result(number, !wrong && !lost, "in a flood of connections nobody is lost and every row is right");
    failed += result(number + 1, s.most <= quiet + 64 + WORKERS + 8, "descriptors stay under the ceiling");
    failed += result(number + 2, returned, "a worker that was killed comes back meanwhile");
    failed += result(number + 3, !s.wrong, "and afterwards all is as before");
    s.t.close(s.t.ctx);
    for (int i = 0; i < WORKERS; i++) failed += toy_wait(pids[i], 10) != 0;
    toy_inbox_close(&s.in);
    free(s.params);
    return failed;
}

int main(void) {
    char directory[] = "/tmp/draco-flood-XXXXXX", command[160];
    if (!mkdtemp(directory)) return 1;
    snprintf(command, sizeof command, "sh scripts/make_test_ca.sh %s %d 1 >/dev/null 2>&1", directory,
             WORKERS);
    int failed = flooded(NULL, 1);
    failed += result(5, system(command) == 0, "certificates");
    failed += flooded(directory, 6);
    printf("1..9\n");
    snprintf(command, sizeof command, "rm -r %s", directory);
    return failed + (system(command) != 0);
}
