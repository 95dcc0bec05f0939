/* Parameters that gRPC workers relay, each worker a process: the same bytes whoever relays, lies, stalls, dies or joins
   again in the middle of it; one copy out of the server; workers that take no part; mutual TLS.

       test_grpc_relay                                                       runs the cases
       test_grpc_relay ADDRESS INDEX KIND LISTEN [DIRECTORY-OF-CERTIFICATES]  is a worker of them */
#define DRACO_STATIC
#define DRACO_VOTE_STATIC
#define DRACO_IMPLEMENTATION
#include "transports/draco_relay.h"

static void bad_frames(const draco_relay_worker *w, unsigned char *to);
#define draco_relay_frames bad_frames /* what drg_relay_give sends */
#define DRACO_GRPC_STATIC
#define DRACO_GRPC_IMPLEMENTATION
#include "transports/draco_grpc.h"
#undef draco_relay_frames

#include "support/explained.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

enum { N = 6, FLOATS = 300000, VECTOR = 4 * FLOATS };
typedef struct answer {
    uint64_t step, sum;
} answer;

static const char *kind = "honest"; /* of this worker */

static uint64_t sum_of(const float *v) {
    uint64_t sum = 1469598103934665603u;
    const unsigned char *bytes = (const unsigned char *)v;
    for (size_t i = 0; i < VECTOR; i++) sum = (sum ^ bytes[i]) * 1099511628211u;
    return sum;
}

/* ---- A worker ---- */

static void bad_frames(const draco_relay_worker *w, unsigned char *to) {
    const size_t bytes = draco_relay_frames_bytes(w);
    static int relayed;
    draco_relay_frames(w, to);
    if (!strcmp(kind, "wrong-bytes")) to[bytes - 1] ^= 1;
    if (!strcmp(kind, "wrong-length")) dry_put32(to + 20, 7);
    if (!strcmp(kind, "others-piece")) dry_put32(to + 16, (w->own + 1) % w->pieces);
    if (!strcmp(kind, "earlier-step")) dry_put64(to, w->serial - 1);
    if (!strcmp(kind, "stalls")) dry_put64(to, UINT64_MAX); /* waits for an order that does not come */
    if (!strcmp(kind, "dies") && ++relayed == 2) raise(SIGKILL);
}

static int be_worker(char **arg, const char *certificates) {
    char ca[300], pem[300], key[300];
    draco_transport t;
    draco_request r;
    kind = arg[2];
    snprintf(ca, sizeof ca, "%s/ca.pem", certificates ? certificates : "");
    snprintf(pem, sizeof pem, "%s/worker-%s.pem", certificates ? certificates : "", arg[1]);
    snprintf(key, sizeof key, "%s/worker-%s.key", certificates ? certificates : "", arg[1]);
    draco_grpc_worker_config config = {.address = arg[0], .index = atoi(arg[1]), .workers = N};
    if (*arg[3]) config.relay_listen = arg[3];
    if (!strcmp(kind, "nowhere")) config.relay_address = "127.0.0.1:1";
    if (certificates) config.tls = (draco_grpc_tls){ca, pem, key};
    if (draco_grpc_worker_open(&t, &config) < 0) {
        fprintf(stderr, "worker %s: %s\n", arg[1], t.explain(t.ctx));
        return 1;
    }
    while (t.receive(t.ctx, &r) >= 0 && r.kind != DRACO_REQUEST_STOP) {
        const answer a = {r.step, sum_of(r.params)};
        if (t.submit(t.ctx, &r, &a, sizeof a) < 0) break;
    }
    t.close(t.ctx);
    return 0;
}

/* ---- The server, and the cases ---- */

typedef struct rows {
    answer row[N];
    int whole;
} rows;

static void *reserve(void *ctx, int worker) {
    return &((rows *)ctx)->row[worker];
}
static void chunk(void *ctx, int worker, size_t offset, size_t n) {
    (void)ctx, (void)worker, (void)offset, (void)n;
}
static draco_status end(void *ctx, int worker, draco_arrival arrival) {
    (void)worker;
    ((rows *)ctx)->whole += arrival == DRACO_ARRIVAL_WHOLE;
    return DRACO_MORE;
}

static char *self;
static int accused; /* lines that name a bad relay */

static pid_t spawn(int port, int index, const char *what, const char *certificates) {
    char address[64], number[16];
    pid_t pid = 0;
    snprintf(address, sizeof address, "%s:%d", certificates ? "localhost" : "127.0.0.1", port);
    snprintf(number, sizeof number, "%d", index);
    char *const argv[] = {self,
                          address,
                          number,
                          (char *)(uintptr_t)what,
                          (char *)(uintptr_t)(strcmp(what, "deaf") ? "127.0.0.1" : ""),
                          (char *)(uintptr_t)certificates,
                          NULL};
    return posix_spawn(&pid, self, NULL, NULL, argv, environ) ? 0 : pid;
}

static uint64_t bytes_out(const draco_transport *t) {
    drg_server *s = (drg_server *)t->ctx;
    uint64_t sum = 0;
    pthread_mutex_lock(&s->mutex);
    for (const drg_conn *c = s->conns; c; c = c->next) sum += c->bytes_out;
    pthread_mutex_unlock(&s->mutex);
    return sum;
}

typedef struct run {
    int port, again; /* again: who has died is started again, honest */
    pid_t pids[N];
} run;

static void event(void *ctx, const char *line) {
    run *r = (run *)ctx;
    int lost;
    accused += strstr(line, "relays nothing") != NULL;
    if (sscanf(line, "lost worker %d", &lost) != 1 || lost < 0 || lost >= N) return;
    if (r->pids[lost]) waitpid(r->pids[lost], NULL, 0);
    r->pids[lost] = r->again ? spawn(r->port, lost, "honest", NULL) : 0;
}

typedef struct relay_case {
    const char *name, *kind[N]; /* NULL: honest */
    int direct, tls, again;     /* again: who has died is started again */
    double least, most;         /* copies of the parameters out of the server in the last of the rounds */
    int accused;
} relay_case;

static const relay_case cases[] = {
    {"everybody relays", {0}, 0, 0, 0, 1, 1.2, 0},
    {"a direct server, and workers that would relay", {0}, 1, 0, 0, N, N + 0.2, 0},
    {"two workers listen to nobody", {"deaf", 0, 0, "deaf"}, 0, 0, 0, 3, 3.2, 0},
    {"wrong bytes", {0, "wrong-bytes"}, 0, 0, 0, 1, 2, 1},
    {"a wrong length", {0, 0, "wrong-length"}, 0, 0, 0, 1, 2, 1},
    {"somebody else's piece", {0, 0, "others-piece"}, 0, 0, 0, 1, 2, 1},
    {"an earlier step", {0, 0, 0, "earlier-step"}, 0, 0, 0, 1, 2, 1},
    {"one stalls", {0, 0, 0, 0, "stalls"}, 0, 0, 0, 1, 2, 1},
    {"one listens where nobody reaches it", {0, "nowhere"}, 0, 0, 0, 1, 2, 1},
    {"one dies in the middle of it", {0, 0, 0, "dies"}, 0, 0, 0, 1, 2, 1},
    {"one dies in the middle of it and joins again", {0, 0, 0, "dies"}, 0, 0, 1, 1, 2, 1},
    {"everybody relays, with certificates", {0}, 0, 1, 0, 1, 1.2, 0},
    {"wrong bytes, with certificates", {0, "wrong-bytes"}, 0, 1, 0, 1, 2, 1},
};

static int play(const relay_case *c, const char *directory) {
    static float params[FLOATS];
    enum { ROUNDS = 6 };
    char ca[300], pem[300], key[300];
    run r = {.again = c->again};
    int good = 1, wrong = 0, missing = 0;
    double out = 0, slowest = 0;
    draco_transport t = {0};
    snprintf(ca, sizeof ca, "%s/ca.pem", directory);
    snprintf(pem, sizeof pem, "%s/server-0.pem", directory);
    snprintf(key, sizeof key, "%s/server-0.key", directory);
    accused = 0;
    draco_grpc_server_config config = {.address = c->tls ? "localhost:0" : "127.0.0.1:0",
                                       .workers = N,
                                       .on_event = event,
                                       .event_ctx = &r,
                                       .relay = !c->direct,
                                       .liars = 1};
    config.limits.rejoin_seconds = c->again ? 10 : 0.3;
    if (c->tls) config.tls = (draco_grpc_tls){ca, pem, key};
    if (draco_grpc_server_open(&t, &config) < 0) {
        printf("# %s\n", t.explain(t.ctx));
        return 0;
    }
    r.port = draco_grpc_port(&t);
    for (int i = 0; i < N; i++)
        r.pids[i] = spawn(r.port, i, c->kind[i] ? c->kind[i] : "honest", c->tls ? directory : NULL);
    for (uint64_t round = 1; round <= ROUNDS && good; round++) {
        rows got;
        const draco_inbox inbox = {sizeof inbox, &got, reserve, chunk, end};
        draco_request ask = {.kind = DRACO_REQUEST_MESSAGE, .round = round, .step = round};
        memset(&got, 0, sizeof got);
        for (size_t i = 0; i < FLOATS; i++) params[i] = (float)(i % 1000) * (float)round;
        ask.params = params;
        ask.params_count = FLOATS;
        ask.reply_bytes = sizeof(answer);
        const uint64_t sum = sum_of(params), before = bytes_out(&t);
        const double begun = drg_now();
        good = t.broadcast(t.ctx, &ask) >= 0;
        if (good) good = t.collect(t.ctx, &ask, 30, &inbox) == DRACO_OK;
        for (int i = 0; i < N; i++) {
            if (got.row[i].step == 0)
                missing += r.pids[i] != 0;
            else
                wrong += got.row[i].step != round || got.row[i].sum != sum;
        }
        if (round > 1 && drg_now() - begun > slowest) slowest = drg_now() - begun;
        out = (double)(bytes_out(&t) - before) / VECTOR;
    }
    good &= !wrong && !missing && out >= c->least && out <= c->most && (accused > 0) == c->accused;
    printf("# %s: %d wrong, %d missing, %.2f copies out, %d accused, slowest round %.2f s\n", c->name, wrong,
           missing, out, accused, slowest);
    t.close(t.ctx);
    for (int i = 0; i < N; i++)
        if (r.pids[i]) waitpid(r.pids[i], NULL, 0);
    return good;
}

int main(int argc, char **argv) {
    char directory[] = "/tmp/draco-relay-XXXXXX", command[400];
    int failed = 0, count = 0;
    self = argv[0];
    if (argc > 4) return be_worker(argv + 1, argc > 5 ? argv[5] : NULL);
    if (!mkdtemp(directory)) return 1;
    snprintf(command, sizeof command, "sh scripts/make_test_ca.sh %s %d 1 >/dev/null", directory, N);
    const int certified = system(command) == 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (argc > 1 && !strstr(cases[i].name, argv[1])) continue;
        if (cases[i].tls && !certified) {
            printf("ok %d - %s # SKIP no certificates could be made\n", ++count, cases[i].name);
            continue;
        }
        const int good = play(&cases[i], directory);
        printf("%s %d - %s\n", good ? "ok" : "not ok", ++count, cases[i].name);
        fflush(stdout);
        failed |= !good;
    }
    printf("1..%d\n", count);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return (system(command) != 0) | failed;
}
