/* Started under mpirun by test_mpi_faults.sh: peer_mpi_faults SCENARIO [SERVERS]. One worker does what the
   scenario says, all others are honest; the servers check every verdict and that the parameters are the bits
   of the run in which nothing happened. Server 0 prints the TAP lines. */
#define CONFORMANCE_DIM 50021u /* messages of 25 slices */
#define DRACO_MPI_SLICE ((size_t)8 << 10)
#include "support/conformance.h"
#include "transports/draco_mpi.h"

#define DRACO_IMPLEMENTATION
#include "draco.h"
#define DRACO_OPENMP_IMPLEMENTATION
#include "transports/draco_openmp.h"
static int relay_isend(const void *bytes, int n, MPI_Datatype type, int rank, int tag, MPI_Comm comm,
                       MPI_Request *request);
#define MPI_Isend relay_isend
#define DRACO_MPI_IMPLEMENTATION
#include "transports/draco_mpi.h"
#undef MPI_Isend
#define DRACO_OPTIM_IMPLEMENTATION
#include "models/draco_optim.h"
#define DRACO_RULES_IMPLEMENTATION
#include "baselines/draco_rules.h"

#include <signal.h>

enum { BAD = 3 }; /* the worker it is about */

static const conformance_case the_case = {
    .name = "faults", .code = {.scheme = DRACO_REPETITION, .n = 8, .s = 1, .t = 1}, .servers = 3};

typedef enum action {
    FINE,
    DIE,
    DIE_MIDDLE,
    STOP,
    STOP_MIDDLE,
    SHORT,
    LONG,
    HUGE_ONE,
    LONG_HEAD,
    SHORT_HEAD,
    NOTHING,
    MUTE,
    CANNOT,
    WRONG_STEP,
    REPLAY,
    TWICE,
    GARBAGE,
    FLOOD,
    WHISPER,
    RELAY_FINE,
    RELAY_LIE,
    RELAY_STALL,
    RELAY_STOP,
    RELAY_SHORT,
    RELAY_LONG,
    RELAY_HUGE,
    RELAY_FLOOD,
    RELAY_ASK,
    RELAY_DIE
} action;

/* What worker BAD does from step `first` on, and what the server is to say of it. */
typedef struct scenario {
    const char *name;
    action act;
    uint64_t first, steps;
    double deadline;
    draco_verdict verdict;
    int once;  /* only in step `first` */
    int later; /* the verdict may come a step later */
} scenario;

static const scenario scenarios[] = {
    {"honest", FINE, 99, 4, 30, DRACO_AGREES, 0, 0},
    {"killed-at-start", DIE, 0, 5, 30, DRACO_ABSENT, 0, 0},
    {"killed-after-hello", DIE, 0, 5, 30, DRACO_ABSENT, 0, 0},
    {"killed-between-rounds", DIE, 2, 6, 30, DRACO_ABSENT, 0, 0},
    {"killed-in-a-message", DIE_MIDDLE, 2, 6, 30, DRACO_ABSENT, 0, 0},
    {"stopped", STOP, 1, 12, 2.5, DRACO_ABSENT, 1, 0},
    {"stopped-in-a-message", STOP_MIDDLE, 1, 12, 2.5, DRACO_ABSENT, 1, 0},
    {"too-few-bytes", SHORT, 1, 4, 30, DRACO_MALFORMED, 0, 0},
    {"too-many-bytes", LONG, 1, 4, 30, DRACO_MALFORMED, 0, 0},
    {"a-huge-message", HUGE_ONE, 1, 4, 30, DRACO_MALFORMED, 0, 0},
    {"a-head-with-more", LONG_HEAD, 1, 4, 30, DRACO_MALFORMED, 0, 0},
    {"a-head-with-less", SHORT_HEAD, 1, 4, 30, DRACO_MALFORMED, 0, 0},
    {"no-bytes", NOTHING, 1, 4, 30, DRACO_ABSENT, 0, 0},
    {"mute", MUTE, 1, 7, 1.5, DRACO_ABSENT, 0, 0},
    {"cannot-answer", CANNOT, 1, 4, 30, DRACO_MALFORMED, 0, 0},
    {"wrong-step", WRONG_STEP, 1, 4, 30, DRACO_MALFORMED, 0, 0},
    {"last-step-again", REPLAY, 1, 4, 30, DRACO_MALFORMED, 0, 0},
    {"answers-twice", TWICE, 1, 5, 30, DRACO_MALFORMED, 0, 1},
    {"garbage", GARBAGE, 1, 4, 30, DRACO_MALFORMED, 0, 0},
    {"a-flood", FLOOD, 1, 4, 30, DRACO_MALFORMED, 0, 0},
    {"whispers-to-workers", WHISPER, 1, 4, 30, DRACO_AGREES, 0, 0},
    {"relay-honest", RELAY_FINE, 0, 4, 30, DRACO_AGREES, 0, 0},
    {"relay-wrong-bytes", RELAY_LIE, 0, 4, 30, DRACO_AGREES, 0, 0},
    {"relay-silent", RELAY_STALL, 0, 4, 30, DRACO_AGREES, 0, 0},
    {"relay-stops", RELAY_STOP, 0, 4, 30, DRACO_AGREES, 0, 0},
    {"relay-too-few-bytes", RELAY_SHORT, 0, 4, 30, DRACO_AGREES, 0, 0},
    {"relay-too-many-bytes", RELAY_LONG, 0, 4, 30, DRACO_AGREES, 0, 0},
    {"relay-a-huge-frame", RELAY_HUGE, 0, 4, 30, DRACO_AGREES, 0, 0},
    {"relay-a-flood", RELAY_FLOOD, 0, 4, 30, DRACO_AGREES, 0, 0},
    {"relay-asks-for-nonsense", RELAY_ASK, 1, 4, 30, DRACO_MALFORMED, 0, 0},
    {"relay-killed", RELAY_DIE, 2, 6, 30, DRACO_ABSENT, 0, 0},
};

static const scenario *now_playing;
static int unlike;  /* verdicts that are not as the scenario says */
static int named;   /* rounds in which BAD got the scenario's verdict */
static int at_last; /* BAD's last verdict */
static char first_unlike[200];

static void watch(uint64_t step, const draco_round *round) {
    const scenario *s = now_playing;
    at_last = (int)round->verdicts[BAD];
    for (int i = 0; i < the_case.code.n; i++) {
        draco_verdict v = round->verdicts[i], expected = DRACO_AGREES;
        int wrong = v != expected;
        if (i == BAD && step >= s->first) {
            wrong = v != s->verdict && !(s->later && step == s->first) && !(s->once && v == DRACO_AGREES);
            named += v == s->verdict;
        }
        if (wrong && !unlike++)
            snprintf(first_unlike, sizeof first_unlike, "step %llu: worker %d is %s",
                     (unsigned long long)step, i, draco_verdict_text(v));
    }
}

/* ---- What a bad worker does with MPI ---- */

static drm_head last_head;
static int is_bad; /* this rank's worker is BAD */

/* What goes from a worker to another, as BAD would have it. */
static int relay_isend(const void *bytes, int n, MPI_Datatype type, int rank, int tag, MPI_Comm comm,
                       MPI_Request *request) {
    static unsigned char *changed;
    static int frames;
    MPI_Request flood;
    if (!is_bad || tag < DRM_RELAY) return MPI_Isend(bytes, n, type, rank, tag, comm, request);
    switch (now_playing->act) {
    case RELAY_LIE:
        changed = malloc((size_t)n); /* MPI reads it later */
        memcpy(changed, bytes, (size_t)n);
        changed[n - 1] ^= 1;
        return MPI_Isend(changed, n, type, rank, tag, comm, request);
    case RELAY_STALL:
        return MPI_Isend(bytes, n, type, MPI_PROC_NULL, tag, comm, request);
    case RELAY_STOP: /* half of the piece, and no more */
        changed = malloc((size_t)n);
        memcpy(changed, bytes, (size_t)n);
        n = (int)DRACO_RELAY_HEAD + (n - (int)DRACO_RELAY_HEAD) / 2;
        dry_put32(changed + 20, (uint32_t)n - DRACO_RELAY_HEAD);
        return MPI_Isend(changed, n, type, rank, tag, comm, request);
    case RELAY_SHORT:
        return MPI_Isend(bytes, n - 1, type, rank, tag, comm, request);
    case RELAY_LONG:
        changed = calloc(1, (size_t)n + 100);
        memcpy(changed, bytes, (size_t)n);
        return MPI_Isend(changed, n + 100, type, rank, tag, comm, request);
    case RELAY_HUGE:
        if (!changed) changed = calloc(1, (size_t)10 << 20);
        MPI_Isend(changed, 10 << 20, type, rank, tag, comm, &flood);
        MPI_Request_free(&flood);
        return MPI_Isend(bytes, n, type, rank, tag, comm, request);
    case RELAY_FLOOD: /* of this step, the next and another server's */
        for (int i = 0; i < 60; i++) {
            MPI_Isend(bytes, i % 2 ? n : 24, type, rank, i % 3 ? tag + i % 2 : tag + DRM_RELAYS, comm,
                      &flood);
            MPI_Request_free(&flood);
        }
        return MPI_Isend(bytes, n, type, rank, tag, comm, request);
    case RELAY_DIE:
        if (last_head.step + 1 == now_playing->first && ++frames == 3)
            raise(SIGKILL); /* in the middle of a relay */
        return MPI_Isend(bytes, n, type, rank, tag, comm, request);
    default:
        return MPI_Isend(bytes, n, type, rank, tag, comm, request);
    }
}
static uint64_t noise_counter;

static uint32_t noise(uint32_t below) {
    uint32_t word[4];
    draco_random(7, 1, noise_counter++, word);
    return word[0] % below;
}

static void raw(draco_mpi *t, const drm_peer *p, int tag, const void *bytes, size_t n) {
    MPI_Request request;
    MPI_Isend(bytes, (int)n, MPI_BYTE, p->rank, tag, t->config.comm, &request);
    MPI_Request_free(&request);
}

/* So long, that somebody can stop or miss this worker: MPI goes on meanwhile. */
static void linger(draco_mpi *t, double seconds) {
    double until = drm_now() + seconds;
    while (drm_now() < until) {
        int flag;
        MPI_Iprobe(0, DRM_WELCOME, t->config.comm, &flag, MPI_STATUS_IGNORE);
        drm_progress(t);
        usleep(500);
    }
}

/* Stop this process, and have a child wake it up after a while. */
static void sleep_deeply(double seconds) {
    pid_t me = getpid();
    if (fork() == 0) {
        usleep((useconds_t)(1e6 * seconds));
        kill(me, SIGCONT);
        _exit(0);
    }
    raise(SIGSTOP);
}

static void send_part(draco_mpi *t, drm_peer *p, const unsigned char *reply, size_t slices) {
    static drm_head head;
    head = p->server.head;
    raw(t, p, DRM_REPLY, &head, sizeof head);
    for (size_t i = 0; i < slices; i++) raw(t, p, DRM_SLICE, reply + i * DRACO_MPI_SLICE, DRACO_MPI_SLICE);
}

static void send_garbage(draco_mpi *t, const drm_peer *p, int count) {
    static unsigned char junk[5000];
    for (int i = 0; i < count; i++) {
        size_t n = 1 + noise(i % 7 ? 200 : (uint32_t)sizeof junk);
        for (size_t k = 0; k < n; k++) junk[k] = (unsigned char)noise(256);
        MPI_Send(junk, (int)n, MPI_BYTE, p->rank, 1 + (int)noise(12), t->config.comm);
    }
}

/* Returns whether the proper answer is to be sent as well. */
static int misbehave(draco_mpi *t, action act, unsigned char *reply, size_t bytes) {
    static unsigned char *huge;
    static drm_head head;
    for (int k = 0; k < t->servers; k++) {
        drm_peer *p = &t->peers[k];
        head = p->server.head;
        switch (act) {
        case FINE:
        case CANNOT:
        case NOTHING:
            break;
        case DIE:
        case RELAY_DIE: /* it had nothing to relay */
            if (k == t->servers - 1) raise(SIGKILL);
            break;
        case DIE_MIDDLE:
            send_part(t, p, reply, 2);
            linger(t, 0.05);
            if (k == t->servers - 1) raise(SIGKILL);
            break;
        case STOP:
            if (k == 0) sleep_deeply(6);
            break;
        case STOP_MIDDLE:
            send_part(t, p, reply, 2);
            if (k == t->servers - 1) {
                linger(t, 0.05);
                sleep_deeply(6);
                for (int j = 0; j < t->servers; j++) raw(t, &t->peers[j], DRM_SLICE, reply, DRACO_MPI_SLICE);
                linger(t, 0.2);
            }
            break;
        case SHORT:
            send_part(t, p, reply, 2);
            linger(t, 0.05);
            break;
        case LONG:
            send_part(t, p, reply, (size_t)p->server.head.reply_bytes / DRACO_MPI_SLICE);
            for (int i = 0; i < 3; i++) raw(t, p, DRM_SLICE, reply, DRACO_MPI_SLICE);
            linger(t, 0.3);
            break;
        case HUGE_ONE:
            if (!huge) huge = calloc(1, (size_t)100 << 20);
            raw(t, p, DRM_SLICE, huge, (size_t)100 << 20);
            linger(t, 0.05);
            break;
        case LONG_HEAD:
        case SHORT_HEAD:
            head.reply_bytes = act == LONG_HEAD ? head.reply_bytes + 4 : 0;
            raw(t, p, DRM_REPLY, &head, sizeof head);
            linger(t, 0.02);
            break;
        case MUTE:
            if (k == 0) linger(t, 30);
            break;
        case WRONG_STEP:
            head.step++;
            raw(t, p, DRM_REPLY, &head, sizeof head);
            linger(t, 0.02);
            break;
        case REPLAY:
            raw(t, p, DRM_REPLY, &last_head, sizeof last_head);
            linger(t, 0.02);
            break;
        case RELAY_ASK: { /* for a piece that there is not */
            static unsigned char ask[16];
            dry_put64(ask, p->server.relayed.state.serial);
            dry_put32(ask + 8, 1);
            dry_put32(ask + 12, 8);
            raw(t, p, DRM_ASK, ask, sizeof ask);
            linger(t, 0.02);
            break;
        }
        case RELAY_FINE:
        case RELAY_LIE:
        case RELAY_STALL:
        case RELAY_STOP:
        case RELAY_SHORT:
        case RELAY_LONG:
        case RELAY_HUGE:
        case RELAY_FLOOD:
            break;
        case TWICE: /* the second answer follows the proper one, see below */
            break;
        case GARBAGE:
            send_garbage(t, p, 20);
            break;
        case FLOOD:
            send_garbage(t, p, 1000);
            break;
        case WHISPER: { /* to the other workers' ranks */
            int size;
            MPI_Comm_size(t->config.comm, &size);
            for (int r = t->servers; r < size; r++)
                if (r != t->rank) {
                    drm_peer other = {.rank = r};
                    send_garbage(t, &other, 20);
                }
            break;
        }
        }
    }
    (void)bytes;
    return act == FINE || act == WHISPER || act == STOP || act == TWICE ||
           (act >= RELAY_FINE && act != RELAY_ASK);
}

static draco_status work(int index, int servers, const draco_transport *transport) {
    draco_mpi *t = transport->ctx;
    draco_model model = conformance_model();
    draco_worker_config config = conformance_worker_config(&the_case, &model, servers);
    size_t room = 4 * (size_t)CONFORMANCE_DIM + 4 * DRACO_MPI_SLICE;
    unsigned char *reply = calloc(1, room);
    draco_worker *worker = NULL;
    draco_status status = draco_worker_open(&worker, &config);
    int done = 0;
    while (status >= 0) {
        draco_request request = {.server = -1};
        status = transport->receive(t, &request);
        if (status == DRACO_E_STOPPED || (status >= 0 && request.kind == DRACO_REQUEST_STOP)) break;
        if (status < 0) break;
        size_t bytes = draco_worker_reply_bytes(worker, index, &request);
        draco_worker_reply(worker, index, &request, reply);
        int bad = index == BAD && request.step >= now_playing->first && !(now_playing->once && done);
        int honest = 1;
        if (bad) {
            done = 1;
            honest = misbehave(t, now_playing->act, reply, bytes);
        }
        last_head = t->peers[0].server.head;
        if (honest)
            status = transport->submit(t, &request, reply, bytes);
        else if (now_playing->act == CANNOT)
            status = transport->submit(t, &request, NULL, 0);
        if (bad && now_playing->act == TWICE) raw(t, &t->peers[0], DRM_REPLY, &last_head, sizeof last_head);
    }
    draco_worker_close(worker);
    free(reply);
    return status == DRACO_E_STOPPED || status >= 0 ? DRACO_OK : status;
}

/* ---- A server ---- */

static void check(int *number, int good, const char *text) {
    printf("%s %d - %s: %s\n", good ? "ok" : "not ok", ++*number, now_playing->name, text);
}

static int serve(const draco_transport *transport, int server) {
    float *params = calloc(CONFORMANCE_DIM, sizeof *params), *plain = calloc(CONFORMANCE_DIM, sizeof *plain);
    int wrong = 0, number = 0, ok, same;
    double begin = drm_now(), seconds;
    conformance_watcher = watch;
    draco_status status = conformance_serve(&the_case, CONFORMANCE_HONEST, transport, params, &wrong);
    seconds = drm_now() - begin;
    if (status < 0)
        fprintf(stderr, "# server %d: %s: %s\n", server, draco_status_text(status),
                transport->explain(transport->ctx));
    if (server > 0 && status >= 0) return 0;
    if (status < 0) return 1;
    conformance_watcher = NULL;
    conformance_deadline = 30;
    if (conformance_reference(&the_case, CONFORMANCE_HONEST, plain, &wrong) < 0) return 1;
    same = memcmp(params, plain, CONFORMANCE_DIM * sizeof *params) == 0;
    ok = status >= 0 && !unlike && named > 0;
    printf("# %s: %.1f s, named in %d rounds, at last %s; %s\n", now_playing->name, seconds, named,
           draco_verdict_text((draco_verdict)at_last), first_unlike);
    if (now_playing->act == FINE) ok = status >= 0 && !unlike;
    if (now_playing->once) ok = ok && at_last == DRACO_AGREES;
    check(&number, ok, "every verdict is right");
    check(&number, status >= 0 && same, "nothing is lost: the bits of the run without faults");
    fflush(stdout);
    free(params);
    free(plain);
    return !ok || !same || status < 0;
}

static const scenario *find(const char *name) {
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (strcmp(scenarios[i].name, name) == 0) return &scenarios[i];
    return NULL;
}

static void tell(void *ctx, const char *line) {
    (void)ctx;
    printf("# %s\n", line);
    fflush(stdout);
}

int main(int argc, char **argv) {
    int rank, code = 0, server = -1, worker = -1, workers = 0;
    draco_transport transport;
    char text[100] = "batch=36\nseed=5\n";
    const char *name = argc > 1 ? argv[1] : "honest";
    draco_code c = the_case.code;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (draco_code_init(&c) < 0) return 2;
    draco_mpi_config config = {.comm = MPI_COMM_WORLD,
                               .on_event = tell,
                               .servers = argc > 2 ? atoi(argv[2]) : 1,
                               .dim = CONFORMANCE_DIM,
                               .code_id = draco_code_id(&c),
                               .relay = strncmp(name, "relay-", 6) == 0,
                               .liars = c.s,
                               .start_seconds = 3,
                               .stop_seconds = 5,
                               .text = text};
    if (draco_mpi_role(&config, &server, &worker, &workers) < 0) return 2;
    int mismatch = strcmp(name, "mismatch") == 0, orphans = strcmp(name, "orphans") == 0;
    now_playing = mismatch || orphans ? &scenarios[0] : find(name);
    if (!now_playing || workers != c.n) return 2;
    is_bad = worker == BAD;
    conformance_steps = orphans ? 1000 : now_playing->steps;
    conformance_deadline = now_playing->deadline;
    if (mismatch && worker == BAD) snprintf(text, sizeof text, "batch=36\nseed=6\n");
    if (strcmp(name, "killed-at-start") == 0 && worker == BAD) raise(SIGKILL);
    draco_status status = draco_mpi_open(&transport, &config);
    if (strcmp(name, "killed-after-hello") == 0 && worker == BAD) raise(SIGKILL);
    if (status < 0) {
        printf("# rank %d: %s: %s\n", rank, draco_status_text(status), transport.explain(transport.ctx));
        code = 2;
    } else if (server >= 0) {
        if (orphans && server == config.servers - 1 &&
            fork() == 0) { /* the last server dies after a second */
            sleep(1);
            kill(getppid(), SIGKILL);
            _exit(0);
        }
        code = serve(&transport, server);
    } else {
        status = work(worker, config.servers, &transport);
        if (status < 0)
            printf("# rank %d: %s: %s\n", rank, draco_status_text(status), transport.explain(transport.ctx));
        code = status < 0 ? 3 : 0;
    }
    fflush(stdout);
    if (transport.close(transport.ctx) != DRACO_OK) _exit(code);
    MPI_Finalize();
    return code;
}
