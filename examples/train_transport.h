/* train_transport.h - which transport, and what this process is in it: a server or a worker. */
#ifndef TRAIN_TRANSPORT_H
#define TRAIN_TRANSPORT_H

#include "train_options.h"
#include "train_setup.h"

#include "transports/draco_openmp.h"

typedef struct train_transport {
    draco_transport transport;
    int open;
    int server, servers; /* number of this server, -1 on a worker */
    int worker;          /* number of this worker, -1 on a server */
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

/* Before anything is loaded: a transport that starts the process's role (MPI) does it here. */
static int train_transport_begin(const train_options *o, train_transport *t) {
    t->servers = (int)o->servers;
    t->worker = -1;
    t->server = 0;
    return 0;
}

static int train_transport_openmp(const train_options *o, const train_setup *s, int threads,
                                  train_transport *t) {
    draco_openmp_config config = {
        .worker = train_worker_config(o, s), .threads = threads, .share_parts = o->share_parts};
    draco_status status = draco_openmp_open(&t->transport, &config);
    if (status >= 0) {
        t->open = 1;
        return 0;
    }
    fprintf(stderr, "draco-train: %s\n", draco_status_text(status));
    return status == DRACO_E_MEMORY ? 1 : 2;
}

static int train_transport_open(const train_options *o, const train_setup *s, int threads,
                                train_transport *t) {
    if (strcmp(o->transport, "openmp") == 0) return train_transport_openmp(o, s, threads, t);
    fprintf(stderr, "draco-train: this program was built without the %s transport\n", o->transport);
    return 2;
}

static void train_transport_end(train_transport *t) {
    t->open = 0;
}

#endif /* TRAIN_TRANSPORT_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
