/* train_transport.h - which transport, and what this process is in it: a server or a worker. */
#ifndef TRAIN_TRANSPORT_H
#define TRAIN_TRANSPORT_H

#include "train_options.h"
#include "train_setup.h"

#include "transports/draco_openmp.h"
#ifdef DRACO_WITH_MPI
#include "transports/draco_mpi.h"
#endif
#ifdef DRACO_WITH_GRPC
#include "transports/draco_grpc.h"
#endif

typedef struct train_transport {
    draco_transport transport;
    int open;
    int server, servers; /* number of this server, -1 on a worker */
    int worker;          /* number of this worker, -1 on a server */
    int mpi;             /* MPI was started */
    char text[2048];     /* what must be equal in every process */
} train_transport;

/* What every worker computes, and how. */
static draco_worker_config train_worker_config(const train_options *o, const train_setup *s) {
    draco_worker_config c;
    memset(&c, 0, sizeof c);
    c.code = s->code;
    c.model = &s->model;
    c.batch = (size_t)o->batch;
    c.seed = (uint64_t)o->seed;
    c.keep = 1;
    c.digest = train_digest;
    c.servers = (int)o->servers;
    return c;
}

/* The options that all processes of a run must share, as words. */
static void train_shared_text(const train_options *o, const train_setup *s, char separator, char *text,
                              size_t capacity) {
    snprintf(text, capacity,
             "version=%d%cmodel=%s%cdata=%s%csamples=%zu%cdim=%zu%cbatch=%ld%cseed=%ld%ccode=%s%cworkers=%d%"
             "cs=%d%ct=%d"
             "%cservers=%ld%c",
             DRACO_VERSION, separator, o->model, separator, s->data_name, separator, s->train.samples,
             separator, s->model.dim, separator, o->batch, separator, o->seed, separator, o->code, separator,
             s->code.n, separator, s->code.s, separator, s->code.t, separator, o->servers, separator);
}

static int train_transport_openmp(const train_options *o, const train_setup *s, int threads,
                                  train_transport *t) {
    draco_openmp_config config = {
        .worker = train_worker_config(o, s), .threads = threads, .share_parts = o->share_parts};
    /* Keeping r gradients a worker between the halves of a prime round saves computing them twice, if they
     * fit. */
    double kept = 4.0 * (double)s->model.dim * s->code.n * s->code.r;
    int prime = s->code.scheme == DRACO_CYCLIC && s->code.field == DRACO_FIELD_PRIME;
    draco_status status;
    config.worker.keep = prime && kept < 0.25 * train_free_memory();
    status = draco_openmp_open(&t->transport, &config);
    if (status >= 0) {
        t->open = 1;
        return 0;
    }
    fprintf(stderr, "draco-train: %s\n", draco_status_text(status));
    return status == DRACO_E_MEMORY ? 1 : 2;
}

/* ---- MPI: ranks 0..K-1 are servers ---- */

#ifdef DRACO_WITH_MPI
static int train_mpi_begin(const train_options *o, train_transport *t) {
    draco_mpi_config config = {.servers = (int)o->servers, .workers = (int)o->workers};
    int size = 0, rank = 0, workers = 0;
    MPI_Init(NULL, NULL);
    t->mpi = 1;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (size != o->servers + o->workers) {
        if (rank == 0)
            fprintf(stderr,
                    "draco-train: %d ranks, but %ld servers and %ld workers need %ld: mpirun -n %ld\n", size,
                    o->servers, o->workers, o->servers + o->workers, o->servers + o->workers);
        return 2;
    }
    config.comm = MPI_COMM_WORLD;
    return draco_mpi_role(&config, &t->server, &t->worker, &workers) < 0 ? 2 : 0;
}

static int train_mpi_open(const train_options *o, const train_setup *s, train_transport *t) {
    draco_mpi_config config = {.servers = (int)o->servers,
                               .workers = (int)o->workers,
                               .dim = s->model.dim,
                               .code_id = draco_code_id(&s->code),
                               .text = t->text,
                               .start_seconds = o->join_seconds};
    draco_status status;
    config.comm = MPI_COMM_WORLD;
    train_shared_text(o, s, '\n', t->text, sizeof t->text);
    status = draco_mpi_open(&t->transport, &config);
    t->open = t->transport.close != NULL;
    if (status >= 0) return 0;
    fprintf(stderr, "draco-train: mpi: %s: %s\n", draco_status_text(status),
            t->transport.explain ? t->transport.explain(t->transport.ctx) : "");
    return status == DRACO_E_CONFIG ? 2 : 1;
}
#endif

/* ---- gRPC: one process, one role ---- */

#ifdef DRACO_WITH_GRPC
static void train_grpc_event(void *ctx, const char *line) {
    (void)ctx;
    fprintf(stderr, "draco-train: %s\n", line);
}

static int train_grpc_begin(const train_options *o, train_transport *t) {
    if (strcmp(o->role, "server") == 0) {
        t->server = o->server >= 0 ? (int)o->server : 0;
        if (t->server < o->servers && (o->servers == 1 || o->hub)) return 0;
        fprintf(stderr, "draco-train: %ld servers need --hub=ADDR and --server=K below %ld\n", o->servers,
                o->servers);
        return 2;
    }
    t->server = -1;
    t->worker = (int)o->worker;
    if (t->worker >= 0 && t->worker < o->workers) return 0;
    fprintf(stderr, "draco-train: --role=worker needs --worker=I, 0 to %ld\n", o->workers - 1);
    return 2;
}

static int train_grpc_open(const train_options *o, const train_setup *s, const volatile int *stop,
                           train_transport *t) {
    draco_grpc_tls tls = {.ca = o->ca, .certificate = o->certificate, .key = o->key};
    char why[512] = "";
    draco_status status;
    train_shared_text(o, s, ' ', t->text, sizeof t->text);
    if (t->server >= 0) {
        draco_grpc_server_config config = {.address = o->address,
                                           .workers = (int)o->workers,
                                           .code_id = draco_code_id(&s->code),
                                           .configuration = t->text,
                                           .tls = tls,
                                           .insecure = o->insecure,
                                           .on_event = train_grpc_event,
                                           .stop = stop,
                                           .server = t->server,
                                           .servers = (int)o->servers,
                                           .hub = o->hub};
        config.limits.start_seconds = o->join_seconds;
        config.limits.connections = (int)o->max_connections;
        status = draco_grpc_server_open(&t->transport, &config, why, sizeof why);
    } else {
        draco_grpc_worker_config config = {.address = o->address,
                                           .index = t->worker,
                                           .code_id = draco_code_id(&s->code),
                                           .configuration = t->text,
                                           .tls = tls,
                                           .server_name = o->server_name,
                                           .insecure = o->insecure,
                                           .on_event = train_grpc_event,
                                           .stop = stop};
        status = draco_grpc_worker_open(&t->transport, &config, why, sizeof why);
    }
    t->open = status >= 0;
    if (status >= 0) return 0;
    fprintf(stderr, "draco-train: grpc: %s\n", why[0] ? why : draco_status_text(status));
    return draco_status_is_misuse(status) || status == DRACO_E_CONFIG ? 2 : 1;
}
#endif

static int train_not_built_in(const train_options *o) {
    fprintf(stderr, "draco-train: this program was built without the %s transport\n", o->transport);
    return 2;
}

/* Before anything is loaded: what this process is. */
static int train_transport_begin(const train_options *o, train_transport *t) {
    t->servers = (int)o->servers;
    t->worker = -1;
    t->server = 0;
    if (strcmp(o->transport, "openmp") == 0) return 0;
#ifdef DRACO_WITH_MPI
    if (strcmp(o->transport, "mpi") == 0) return train_mpi_begin(o, t);
#endif
#ifdef DRACO_WITH_GRPC
    if (strcmp(o->transport, "grpc") == 0) return train_grpc_begin(o, t);
#endif
    return train_not_built_in(o);
}

static int train_transport_open(const train_options *o, const train_setup *s, int threads,
                                const volatile int *stop, train_transport *t) {
    (void)stop;
    if (strcmp(o->transport, "openmp") == 0) return train_transport_openmp(o, s, threads, t);
#ifdef DRACO_WITH_MPI
    if (strcmp(o->transport, "mpi") == 0) return train_mpi_open(o, s, t);
#endif
#ifdef DRACO_WITH_GRPC
    if (strcmp(o->transport, "grpc") == 0) return train_grpc_open(o, s, stop, t);
#endif
    return train_not_built_in(o);
}

/* Close, and leave MPI. With a rank missing MPI_Finalize would wait for it for ever: then the process ends here. */
static void train_transport_end(train_transport *t, int code) {
    draco_status status = t->open ? t->transport.close(t->transport.ctx) : DRACO_OK;
    t->open = 0;
    (void)code;
    (void)status;
#ifdef DRACO_WITH_MPI
    if (t->mpi && status == DRACO_MORE) {
        fflush(NULL);
        _exit(code);
    }
    if (t->mpi) MPI_Finalize();
    t->mpi = 0;
#endif
}

#endif /* TRAIN_TRANSPORT_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
