/* train_transport.h - which transport, and what this process is in it: a server or a worker. */
#ifndef TRAIN_TRANSPORT_H
#define TRAIN_TRANSPORT_H

#include "train_options.h"
#include "train_contract.h"
#include "train_setup.h"

#include <pthread.h>

#include "transports/draco_openmp.h"
#ifdef DRACO_WITH_MPI
#include "transports/draco_mpi.h"
#endif
#ifdef DRACO_WITH_GRPC
#include "transports/draco_grpc.h"
#endif

typedef struct train_transport {
    draco_transport transport;
    const struct train_transport_row *row;
    int open;
    int server, servers; /* number of this server, -1 on a worker */
    int worker;          /* number of this worker, -1 on a server */
    int threads;         /* that are still to be started */
    char text[2048];     /* what must be equal in every process */
    /* Optional: is told the lines about workers that came and went; on any thread. */
    void (*told)(void *ctx, const char *line);
    void *told_ctx;
    int named; /* gRPC: workers have certificates, worker-0, worker-1, ... */
} train_transport;

/* What the command line says of one run, and where its interrupts arrive. */
typedef struct train_context {
    const train_options *o;
    const train_setup *s;
    int threads;
    const volatile int *stop;
} train_context;

/* A transport is one row. begin, optional: what this process is, before anything is loaded. open: 0 or the exit
   code. end, optional: after the close, whose status it gets. name, optional: of a worker, besides its number. */
typedef struct train_transport_row {
    const char *name;
    int local;   /* the workers run in this process */
    int threads; /* the most that its library starts */
    int (*begin)(const train_options *o, train_transport *t);
    int (*open)(const train_context *c, train_transport *t);
    void (*end)(draco_status closed, int code);
    void (*worker_name)(const train_transport *t, int worker, char *text, size_t capacity);
} train_transport_row;

/* What every worker computes, and how. */
static draco_worker_config train_worker_config(const train_options *o, const train_setup *s) {
    draco_worker_config c;
    memset(&c, 0, sizeof c);
    c.code = s->code;
    c.model = &s->model;
    c.batch = (size_t)o->batch;
    c.seed = (uint64_t)o->seed;
    c.keep = 1;
    c.servers = (int)o->servers;
    return c;
}

/* What decides a gradient's bits, or who computes what: all processes of a run must share it. The processor and the
   build do not: the models compute the same bits on every one. */
static void train_shared_text(const train_options *o, const train_setup *s, char *text, size_t capacity) {
    uint8_t digest[DRACO_FINGERPRINT_BYTES];
    char data[33];
    train_data_digest(&s->train, digest);
    train_hex_of(digest, data);
    snprintf(text, capacity,
             "version=%d\nmodel=%s\ndata=%s\nsamples=%zu\ndim=%zu\nbatch=%ld\nseed=%ld\nl2=%.9g\ncode=%"
             "s\nredundancy=%s\n"
             "workers=%d\ns=%d\nt=%d\nservers=%ld\ndata-digest=%s\n%s",
             DRACO_VERSION, o->model, s->data_name, s->train.samples, s->model.dim, o->batch, o->seed, o->l2,
             o->code, o->redundancy, s->code.n, s->code.s, s->code.t, o->servers, data,
             strcmp(o->broadcast, "relay") == 0 ? "broadcast=relay\n" : "");
}

/* Peers that come are nothing; all else that a transport tells of may matter. */
__attribute__((unused)) static train_level train_event_level(const char *line) {
    return strstr(line, "joined") || strstr(line, "listening on") ? TRAIN_INFO : TRAIN_WARNING;
}

/* ---- OpenMP: the workers are iterations of a loop in this process ---- */

static int train_openmp_open(const train_context *c, train_transport *t) {
    const train_setup *s = c->s;
    draco_openmp_config config = {
        .worker = train_worker_config(c->o, s), .threads = c->threads, .share_parts = c->o->share_parts};
    /* Keeping r gradients per worker between the halves of a prime round saves computing them twice, if they
       fit. */
    double kept = 4.0 * (double)s->model.dim * s->code.n * s->code.r;
    int prime = s->code.scheme == DRACO_CYCLIC && s->code.field == DRACO_FIELD_PRIME;
    draco_status status;
    config.worker.keep = prime && kept < 0.25 * train_free_memory();
    status = draco_openmp_open(&t->transport, &config);
    if (status >= 0) {
        t->open = 1;
        return 0;
    }
    train_log(TRAIN_ERROR, "%s", draco_status_text(status));
    return status == DRACO_E_MEMORY ? 1 : 2;
}

/* ---- MPI: ranks 0..K-1 are servers ---- */

#ifdef DRACO_WITH_MPI
static int train_mpi_begin(const train_options *o, train_transport *t) {
    draco_mpi_config config = {.servers = (int)o->servers, .workers = (int)o->workers};
    int size = 0, rank = 0, workers = 0;
    MPI_Init(NULL, NULL);
    t->threads -= t->row->threads;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (size != o->servers + o->workers) {
        if (rank == 0)
            train_log(TRAIN_ERROR, "the job has %d ranks; %ld server%s and %ld workers need mpirun -n %ld",
                      size, o->servers, o->servers == 1 ? "" : "s", o->workers, o->servers + o->workers);
        return 2;
    }
    if (rank == 0 && getenv("OMPI_MCA_orte_enable_recovery"))
        train_log(
            TRAIN_WARNING,
            "mpirun --enable-recovery always exits with 0; to keep the exit status, start without it: "
            "mpirun --mca orte_allowed_exit_without_sync 1 ... scripts/mpi_rank.sh build/draco-train ...");
    config.comm = MPI_COMM_WORLD;
    return draco_mpi_role(&config, &t->server, &t->worker, &workers) < 0 ? 2 : 0;
}

static void train_mpi_event(void *ctx, const char *line) {
    const train_transport *t = ctx;
    if (t->told) t->told(t->told_ctx, line);
    if (t->servers > 1)
        train_log(train_event_level(line), "server %d: %s", t->server, line);
    else
        train_log(train_event_level(line), "%s", line);
}

/* For the ledger: these have been there from the start. Later ones have lines of their own. */
static void train_mpi_tell_hosts(const train_transport *t) {
    for (int i = 0; t->told && i < t->transport.workers; i++) {
        char line[128];
        const char *host = draco_mpi_host(&t->transport, i);
        if (host[0] == 0) continue;
        snprintf(line, sizeof line, "worker %d joined from %s", i, host);
        t->told(t->told_ctx, line);
    }
}

static int train_mpi_open(const train_context *c, train_transport *t) {
    const train_options *o = c->o;
    const train_setup *s = c->s;
    draco_mpi_config config = {.servers = (int)o->servers,
                               .workers = (int)o->workers,
                               .dim = s->model.dim,
                               .code_id = draco_code_id(&s->code),
                               .text = t->text,
                               .start_seconds = o->join_seconds,
                               .relay = strcmp(o->broadcast, "relay") == 0,
                               .liars = (int)o->adversaries,
                               .on_event = train_mpi_event,
                               .event_ctx = t};
    draco_status status;
    config.comm = MPI_COMM_WORLD;
    status = draco_mpi_open(&t->transport, &config);
    t->open = t->transport.close != NULL;
    if (status >= 0) train_mpi_tell_hosts(t);
    if (status >= 0) return 0;
    train_log(TRAIN_ERROR, "mpi: %s: %s", draco_status_text(status),
              t->transport.explain ? t->transport.explain(t->transport.ctx) : "");
    return train_exit_of(status);
}

#define TRAIN_FINALIZE_SECONDS 10

static void *train_mpi_leave(void *code) {
    sleep(TRAIN_FINALIZE_SECONDS);
    _exit(*(int *)code);
}

/* With a rank missing MPI_Finalize would wait for it for ever: then the process ends here. A rank that goes
   missing later than the others could notice is waited for a while. */
static void train_mpi_end(draco_status closed, int code) {
    static int kept;
    int begun = 0;
    pthread_t thread;
    MPI_Initialized(&begun);
    if (!begun) return;
    kept = code;
    fflush(NULL);
    if (closed == DRACO_MORE || pthread_create(&thread, NULL, train_mpi_leave, &kept) != 0) _exit(code);
    pthread_detach(thread);
    MPI_Finalize();
}

static void train_mpi_worker_name(const train_transport *t, int worker, char *text, size_t capacity) {
    snprintf(text, capacity, "rank %d", t->servers + worker);
}
#endif

/* ---- gRPC: one process, one role ---- */

#ifdef DRACO_WITH_GRPC
static void train_grpc_event(void *ctx, const char *line) {
    const train_transport *t = ctx;
    if (t->told) t->told(t->told_ctx, line);
    train_log(train_event_level(line), "%s", line);
}

static int train_grpc_begin(const train_options *o, train_transport *t) {
    if (strcmp(o->role, "server") == 0) {
        t->server = o->server >= 0 ? (int)o->server : 0;
        if (t->server < o->servers && (o->servers == 1 || o->hub)) return 0;
        train_log(TRAIN_ERROR, "--servers=%ld requires --hub=ADDR and --server=K with K < %ld", o->servers,
                  o->servers);
        return 2;
    }
    t->server = -1;
    t->worker = (int)o->worker;
    if (t->worker >= 0 && t->worker < o->workers) return 0;
    train_log(TRAIN_ERROR, "--role=worker requires --worker=I with I from 0 to %ld", o->workers - 1);
    return 2;
}

static int train_grpc_open(const train_context *c, train_transport *t) {
    const train_options *o = c->o;
    const train_setup *s = c->s;
    draco_grpc_tls tls = {.ca = o->ca, .certificate = o->certificate, .key = o->key};
    draco_status status;
    t->named = o->ca != NULL;
    if (t->server >= 0) {
        draco_grpc_server_config config = {.address = o->address,
                                           .workers = (int)o->workers,
                                           .code_id = draco_code_id(&s->code),
                                           .configuration = t->text,
                                           .tls = tls,
                                           .insecure = o->insecure,
                                           .on_event = train_grpc_event,
                                           .event_ctx = t,
                                           .stop = c->stop,
                                           .server = t->server,
                                           .servers = (int)o->servers,
                                           .hub = o->hub,
                                           .refused = o->refused,
                                           .relay = strcmp(o->broadcast, "relay") == 0,
                                           .liars = (int)o->adversaries};
        config.limits.start_seconds = o->join_seconds;
        config.limits.connections = (int)o->max_connections;
        status = draco_grpc_server_open(&t->transport, &config);
    } else {
        draco_grpc_worker_config config = {.address = o->address,
                                           .index = t->worker,
                                           .code_id = draco_code_id(&s->code),
                                           .configuration = t->text,
                                           .tls = tls,
                                           .server_name = o->server_name,
                                           .insecure = o->insecure,
                                           .on_event = train_grpc_event,
                                           .event_ctx = t,
                                           .stop = c->stop,
                                           .relay_listen = o->relay_listen,
                                           .relay_address = o->relay_address,
                                           .workers = (int)o->workers};
        status = draco_grpc_worker_open(&t->transport, &config);
    }
    t->open = status >= 0;
    if (status >= 0) return 0;
    train_log(TRAIN_ERROR, "grpc: %s", t->transport.explain(t->transport.ctx));
    t->transport.close(t->transport.ctx);
    return train_exit_of(status);
}

static void train_grpc_worker_name(const train_transport *t, int worker, char *text, size_t capacity) {
    if (t->named) snprintf(text, capacity, "worker-%d", worker);
}
#endif

/* ---- The table, and what calls it ---- */

static const train_transport_row train_transports[] = {
    {"openmp", 1, 0, NULL, train_openmp_open, NULL, NULL},
#ifdef DRACO_WITH_MPI
    {"mpi", 0, 8, train_mpi_begin, train_mpi_open, train_mpi_end, train_mpi_worker_name},
#endif
#ifdef DRACO_WITH_GRPC
    {"grpc", 0, 24, train_grpc_begin, train_grpc_open, NULL, train_grpc_worker_name},
#endif
};

/* Before anything is loaded: what this process is. threads: those that compute. */
static int train_transport_begin(const train_options *o, int threads, train_transport *t) {
    t->servers = (int)o->servers;
    t->worker = -1;
    t->server = 0;
    for (size_t i = 0; i < sizeof train_transports / sizeof *train_transports; i++)
        if (strcmp(o->transport, train_transports[i].name) == 0) t->row = &train_transports[i];
    if (t->row) t->threads = t->row->threads + threads;
    if (t->row && train_check_room(t->threads, 0) != 0) return 1;
    if (t->row) return t->row->begin ? t->row->begin(o, t) : 0;
    train_log(TRAIN_ERROR, "--transport=%s: this program was built without it", o->transport);
    return 2;
}

static int train_transport_open(const train_context *c, train_transport *t) {
    train_shared_text(c->o, c->s, t->text, sizeof t->text);
    return t->row->open(c, t);
}

/* All servers end alike: the first one's exit code that is not 0 is that of all. Every server has to call it. */
static int train_transport_agree(const train_transport *t, int code) {
    unsigned char mine = (unsigned char)code, all[64];
    if (t->servers == 1) return code;
    if (t->transport.exchange(t->transport.ctx, &mine, 1, all) < 0) return code ? code : TRAIN_LOST;
    for (int k = t->servers - 1; k >= 0; k--)
        if (all[k]) code = all[k];
    return code;
}

/* For train_ledger: ctx is the train_transport. */
static void train_transport_worker_name(const void *ctx, int worker, char *text, size_t capacity) {
    const train_transport *t = ctx;
    if (t->row->worker_name) t->row->worker_name(t, worker, text, capacity);
}

static void train_transport_end(train_transport *t, int code) {
    draco_status status;
    if (t->open && t->transport.conclude)
        t->transport.conclude(t->transport.ctx, train_exit_row_of(code)->status);
    status = t->open ? t->transport.close(t->transport.ctx) : DRACO_OK;
    t->open = 0;
    if (t->row && t->row->end) t->row->end(status, code);
}

#endif /* TRAIN_TRANSPORT_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
