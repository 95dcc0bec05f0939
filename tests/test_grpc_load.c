/* 45 workers, 500 rounds: the server's memory stays flat. Some workers are killed and come back on the way.
   DRACO_LOAD_ROUNDS and DRACO_LOAD_DIM ask for another size (11200000 needs 3 GB and some minutes). */
#define DRACO_IMPLEMENTATION
#define DRACO_GRPC_IMPLEMENTATION
#include "support/grpc_testing.h"

enum { WORKERS = 45 };

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text ? atol(text) : otherwise;
}

int main(void) {
    const long rounds = number("DRACO_LOAD_ROUNDS", 500);
    const size_t d = (size_t)number("DRACO_LOAD_DIM", 4000);
    const char *build = getenv("BUILD");
    char peer[512], why[256] = "";
    pid_t pids[WORKERS];
    static toy_log log = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    draco_transport t;
    draco_grpc_server_config config;
    memset(&config, 0, sizeof config);
    config.address = "127.0.0.1:0";
    config.workers = WORKERS;
    config.on_event = toy_note;
    config.event_ctx = &log;
    config.limits.start_seconds = 120;
    config.limits.rejoin_seconds = 30;
    snprintf(peer, sizeof peer, "%s/tests/peer_grpc", build ? build : "build");
    if (explained(&t, draco_grpc_server_open(&t, &config), why, sizeof why)) {
        printf("not ok 1 - %s\n1..1\n", why);
        return 1;
    }
    for (int i = 0; i < WORKERS; i++) pids[i] = toy_spawn("%s 127.0.0.1:%d %d", peer, draco_grpc_port(&t), i);
    toy_inbox in;
    toy_inbox_open(&in, WORKERS, d * sizeof(float));
    float *params = (float *)calloc(d, sizeof *params);
    size_t early = 0, late = 0;
    int wrong = 0;
    const double begin = toy_now();
    for (long round = 1; round <= rounds; round++) {
        draco_request r;
        memset(&r, 0, sizeof r);
        r.kind = DRACO_REQUEST_MESSAGE;
        r.round = r.step = (uint64_t)round;
        r.params = params;
        r.params_count = d;
        r.reply_bytes = d * sizeof(float);
        params[(size_t)round % d] += 1;
        if (round % (rounds / 5 + 1) == 0) { /* five times on the way */
            const int victim = (int)(round * 7 % WORKERS);
            kill(pids[victim], SIGKILL);
            toy_wait(pids[victim], 5);
            pids[victim] = toy_spawn("%s 127.0.0.1:%d %d", peer, draco_grpc_port(&t), victim);
        }
        toy_inbox_reset(&in);
        wrong += t.broadcast(t.ctx, &r) != DRACO_OK || t.collect(t.ctx, &r, 120, &in.inbox) != DRACO_OK ||
                 in.broken;
        for (int i = 0; i < WORKERS; i++) wrong += !toy_right(&in, i, &r);
        if (round == rounds / 5) early = toy_resident();
    }
    late = toy_resident();
    printf("# %d workers, %ld rounds of %zu floats in %.1f s; server %.1f MB after a fifth, %.1f MB at the "
           "end\n",
           WORKERS, rounds, d, toy_now() - begin, 1e-6 * (double)early, 1e-6 * (double)late);
    const double closing = toy_now();
    t.close(t.ctx);
    const double seconds = toy_now() - closing;
    int left = 0;
    for (int i = 0; i < WORKERS; i++) left += toy_wait(pids[i], 20) != 0;
    printf("%s 1 - every row of every round is right\n", wrong ? "not ok" : "ok");
    printf("%s 2 - the server's memory is flat\n", late > early + early / 20 + (8u << 20) ? "not ok" : "ok");
    printf("%s 3 - the server closes in %.2f s and all workers leave in peace\n",
           seconds > 3 || left ? "not ok" : "ok", seconds);
    printf("1..3\n");
    toy_inbox_close(&in);
    free(params);
    return wrong || left || late > early + early / 20 + (8u << 20) || seconds > 3;
}
