/* Parameters that gRPC workers relay, each worker a process: the same bytes whoever relays, lies, stalls, dies or joins
   again in the middle of it, also in every round; one copy out of the server; workers that take no part; mutual TLS; two
   servers; a flood of 2,000 connections at a worker's port.

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
#include "support/flood.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

enum { N = 6, SERVERS = 2, FLOATS = 300000, VECTOR = 4 * FLOATS, FLOOD = 2000, FLOODED = 1 };
typedef struct answer {
    uint64_t step, sum, lines; /* lines: about strangers, in the worker's log */
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
    if (!strcmp(kind, "dies-in-turn") && w->serial % N == (uint64_t)w->worker) {
        dry_put64(to + DRACO_RELAY_FRAME, UINT64_MAX); /* the first frame goes out, and no more */
        ualarm(3000, 0);
    }
}

static atomic_ulong lines;

static void heard(void *ctx, const char *line) {
    (void)ctx;
    if (!strncmp(line, "relay: refused", 14)) atomic_fetch_add(&lines, 1);
}

static int be_worker(char **arg, const char *certificates) {
    char ca[300], pem[300], key[300];
    draco_transport t;
    draco_request r;
    kind = arg[2];
    snprintf(ca, sizeof ca, "%s/ca.pem", certificates ? certificates : "");
    snprintf(pem, sizeof pem, "%s/worker-%s.pem", certificates ? certificates : "", arg[1]);
    snprintf(key, sizeof key, "%s/worker-%s.key", certificates ? certificates : "", arg[1]);
    draco_grpc_worker_config config = {
        .address = arg[0], .index = atoi(arg[1]), .workers = N, .on_event = heard};
    if (*arg[3]) config.relay_listen = arg[3];
    if (!strcmp(kind, "nowhere")) config.relay_address = "127.0.0.1:1";
    if (certificates) config.tls = (draco_grpc_tls){ca, pem, key};
    if (draco_grpc_worker_open(&t, &config) < 0) {
        fprintf(stderr, "worker %s: %s\n", arg[1], t.explain(t.ctx));
        return 1;
    }
    while (t.receive(t.ctx, &r) >= 0 && r.kind != DRACO_REQUEST_STOP) {
        answer a[SERVERS];
        const size_t servers = r.params_count / FLOATS;
        for (size_t k = 0; k < servers; k++)
            a[k] = (answer){r.step, sum_of(r.params + k * FLOATS), atomic_load(&lines)};
        if (t.submit(t.ctx, &r, a, servers * sizeof *a) < 0) break;
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

static pid_t spawn(const char *address, int index, const char *what, const char *certificates) {
    char number[16];
    pid_t pid = 0;
    snprintf(number, sizeof number, "%d", index);
    char *const argv[] = {self,
                          (char *)(uintptr_t)address,
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

/* The port where a worker listens for the others. */
static int port_of(const draco_transport *t, int worker) {
    drg_server *s = (drg_server *)t->ctx;
    pthread_mutex_lock(&s->mutex);
    const int port = atoi(drg_port_of(s->slots[worker].relay));
    pthread_mutex_unlock(&s->mutex);
    return port;
}

typedef struct run {
    char address[80];
    const char *again; /* who has died is started again as this; NULL: it is not */
    int deaths;
    pid_t pids[N];
} run;

static void event(void *ctx, const char *line) {
    run *r = (run *)ctx; /* NULL: of the second server, which tells the same */
    int lost;
    accused += strstr(line, "relays nothing") != NULL;
    if (!r || sscanf(line, "lost worker %d", &lost) != 1 || lost < 0 || lost >= N) return;
    if (r->pids[lost]) waitpid(r->pids[lost], NULL, 0);
    r->pids[lost] = r->again ? spawn(r->address, lost, r->again, NULL) : 0;
    r->deaths++;
}

typedef struct relay_case {
    const char *name, *kind[N]; /* NULL: honest */
    int direct, tls;
    const char *again;  /* who has died is started again as this */
    double least, most; /* copies of the parameters out of the server in the last of the rounds */
    int accused;        /* -1: either */
    int servers, flood;
} relay_case;

#define TURNS "dies-in-turn"
#define FLOOD_SECONDS 1.3

static const relay_case cases[] = {
    {"everybody relays", {0}, 0, 0, NULL, 1, 1.2, 0, 1, 0},
    {"a direct server, and workers that would relay", {0}, 1, 0, NULL, N, N + 0.2, 0, 1, 0},
    {"two workers listen to nobody", {"deaf", 0, 0, "deaf"}, 0, 0, NULL, 3, 3.2, 0, 1, 0},
    {"wrong bytes", {0, "wrong-bytes"}, 0, 0, NULL, 1, 2, 1, 1, 0},
    {"a wrong length", {0, 0, "wrong-length"}, 0, 0, NULL, 1, 2, 1, 1, 0},
    {"somebody else's piece", {0, 0, "others-piece"}, 0, 0, NULL, 1, 2, 1, 1, 0},
    {"an earlier step", {0, 0, 0, "earlier-step"}, 0, 0, NULL, 1, 2, 1, 1, 0},
    {"one stalls", {0, 0, 0, 0, "stalls"}, 0, 0, NULL, 1, 2, 1, 1, 0},
    {"one listens where nobody reaches it", {0, "nowhere"}, 0, 0, NULL, 1, 2, 1, 1, 0},
    {"one dies in the middle of it", {0, 0, 0, "dies"}, 0, 0, NULL, 1, 2, 1, 1, 0},
    {"one dies in the middle of it and joins again", {0, 0, 0, "dies"}, 0, 0, "honest", 1, 2, 1, 1, 0},
    {"in every round another dies in the middle of it and joins again",
     {TURNS, TURNS, TURNS, TURNS, TURNS, TURNS},
     0,
     0,
     TURNS,
     0,
     4,
     1,
     1,
     0},
    {"everybody relays, with certificates", {0}, 0, 1, NULL, 1, 1.2, 0, 1, 0},
    {"wrong bytes, with certificates", {0, "wrong-bytes"}, 0, 1, NULL, 1, 2, 1, 1, 0},
    {"wrong bytes, two servers", {0, "wrong-bytes"}, 0, 0, NULL, 1, 2, 1, 2, 0},
    {"one stalls, two servers", {0, 0, 0, 0, "stalls"}, 0, 0, NULL, 1, 2, 1, 2, 0},
    {"a flood at a worker's port", {0}, 0, 0, NULL, 1, 3, -1, 1, 1},
    {"a flood at a worker's port, with certificates", {0}, 0, 1, NULL, 1, 3, -1, 1, 1},
};

static int open_servers(const relay_case *c, const char *directory, draco_transport *t, run *r) {
    char ca[300], pem[300], key[300], hub[320];
    snprintf(ca, sizeof ca, "%s/ca.pem", directory);
    snprintf(pem, sizeof pem, "%s/server-0.pem", directory);
    snprintf(key, sizeof key, "%s/server-0.key", directory);
    snprintf(hub, sizeof hub, "unix:%s/hub", directory);
    for (int k = 0; k < c->servers; k++) {
        draco_grpc_server_config config = {.address = c->tls ? "localhost:0" : "127.0.0.1:0",
                                           .workers = N,
                                           .on_event = event,
                                           .event_ctx = k ? NULL : r,
                                           .relay = !c->direct,
                                           .liars = 1};
        if (c->servers > 1) {
            config.server = k;
            config.servers = c->servers;
            config.hub = hub;
        }
        config.limits.rejoin_seconds = c->again ? 10 : 0.3;
        if (c->tls) config.tls = (draco_grpc_tls){ca, pem, key};
        if (draco_grpc_server_open(&t[k], &config) < 0) {
            printf("# %s\n", t[k].explain(t[k].ctx));
            return 0;
        }
        const size_t n = strlen(r->address);
        snprintf(r->address + n, sizeof r->address - n, "%s%s:%d", k ? "," : "",
                 c->tls ? "localhost" : "127.0.0.1", draco_grpc_port(&t[k]));
    }
    return 1;
}

/* One server's round, on a thread of its own: it hears what workers ask while it collects. */
typedef struct turn {
    draco_transport *t;
    draco_request ask;
    rows got;
    draco_status status;
} turn;

static void *play_turn(void *arg) {
    turn *m = (turn *)arg;
    const draco_inbox inbox = {sizeof inbox, &m->got, reserve, chunk, end};
    m->status = m->t->broadcast(m->t->ctx, &m->ask);
    if (m->status >= 0) m->status = m->t->collect(m->t->ctx, &m->ask, 30, &inbox);
    return NULL;
}

/* What a flood did to the worker: between its first answer in it and the last. */
typedef struct flooded {
    pid_t attacker;
    double since, until;
    int before, most; /* descriptors */
    uint64_t lines;   /* in the worker's log; without one the flood goes on */
} flooded;

static int play(const relay_case *c, const char *directory) {
    static float params[SERVERS][FLOATS];
    enum { ROUNDS = 6, CALM = 2 };
    run r = {.again = c->again};
    flooded f = {0};
    int good = 1, wrong = 0, missing = 0;
    double out = 0, slowest = 0;
    draco_transport t[SERVERS] = {{0}};
    accused = 0;
    if (!open_servers(c, directory, t, &r)) return 0;
    for (int i = 0; i < N; i++)
        r.pids[i] = spawn(r.address, i, c->kind[i] ? c->kind[i] : "honest", c->tls ? directory : NULL);
    for (uint64_t round = 1;
         good && (round <= ROUNDS || (f.attacker && drg_now() < f.until + (f.lines ? 0 : 20))); round++) {
        turn turns[SERVERS] = {{0}};
        pthread_t threads[SERVERS];
        uint64_t sum[SERVERS], before = 0;
        if (c->flood && round == CALM) {
            f.before = f.most = descriptors(r.pids[FLOODED]);
            f.since = drg_now();
            f.until = f.since + FLOOD_SECONDS;
            f.attacker = flood(port_of(&t[0], FLOODED), FLOOD);
        }
        for (int k = 0; k < c->servers; k++) {
            for (size_t i = 0; i < FLOATS; i++) params[k][i] = (float)(i % 1000 + (size_t)k) * (float)round;
            turns[k] =
                (turn){.t = &t[k], .ask = {.kind = DRACO_REQUEST_MESSAGE, .round = round, .step = round}};
            turns[k].ask.params = params[k];
            turns[k].ask.params_count = FLOATS;
            turns[k].ask.reply_bytes = sizeof(answer);
            sum[k] = sum_of(params[k]);
            before += bytes_out(&t[k]);
        }
        const double begun = drg_now();
        for (int k = 0; k < c->servers; k++) pthread_create(&threads[k], NULL, play_turn, &turns[k]);
        for (int k = 0; k < c->servers; k++) {
            pthread_join(threads[k], NULL);
            good &= turns[k].status == DRACO_OK;
        }
        out = 0;
        for (int k = 0; k < c->servers; k++) {
            for (int i = 0; i < N; i++) {
                if (turns[k].got.row[i].step == 0)
                    missing += r.pids[i] != 0;
                else
                    wrong += turns[k].got.row[i].step != round || turns[k].got.row[i].sum != sum[k];
            }
            out += (double)bytes_out(&t[k]);
        }
        out = (out - (double)before) / VECTOR / c->servers;
        if (round > 1 && drg_now() - begun > slowest) slowest = drg_now() - begun;
        if (!f.attacker) continue;
        const int open = descriptors(r.pids[FLOODED]);
        if (open > f.most) f.most = open;
        usleep(20000);
        f.lines = turns[0].got.row[FLOODED].lines;
    }
    if (f.attacker) {
        kill(f.attacker, SIGKILL);
        waitpid(f.attacker, NULL, 0);
        printf("# %d connections: descriptors %d before, at most %d; %llu lines in %.1f s\n", FLOOD, f.before,
               f.most, (unsigned long long)f.lines, drg_now() - f.since);
        good &= f.most <= f.before + N + 64 && f.lines > 0 && (double)f.lines <= drg_now() - f.since + 1;
    }
    good &= !wrong && !missing && out >= c->least && out <= c->most;
    good &= c->accused < 0 || (accused > 0) == c->accused;
    good &= !c->again || strcmp(c->again, TURNS) || r.deaths >= ROUNDS - 1;
    printf("# %s: %d wrong, %d missing, %.2f copies out, %d accused, %d deaths, slowest round %.2f s\n",
           c->name, wrong, missing, out, accused, r.deaths, slowest);
    for (int k = 0; k < c->servers && !good; k++) printf("# server %d: %s\n", k, t[k].explain(t[k].ctx));
    for (int k = c->servers - 1; k >= 0; k--) t[k].close(t[k].ctx);
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
