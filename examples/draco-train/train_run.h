/* train_run.h - the state of a run at a server, and its checkpoints. */
#ifndef TRAIN_RUN_H
#define TRAIN_RUN_H

#include "train_flip.h"
#include "train_screen.h"
#include "train_transport.h"
#include "train_watch.h"

#include "baselines/draco_attacks.h"
#include "baselines/draco_rules.h"
#include "models/draco_checkpoint.h"

typedef struct train_run {
    const train_options *o;
    train_setup setup;
    train_transport transport;
    draco_transport attacked;
    draco_attack_config attack;
    train_flip flip;
    int has_attack, has_rule;
    draco_rule rule;
    draco_server *server;
    draco_trainer trainer;
    float *params, *state, *sum;
    void *workspace;  /* of the evaluation */
    draco_score test; /* the last one */
    train_screen screen;
    train_glance glance;
    train_watch watch;
    FILE *metrics;
    char metrics_path[64]; /* a temporary file, when there is a plot and no --metrics */
    unsigned char *liars;
    double begin, paused; /* evaluation does not count as training */
    double server_seconds;
    uint64_t bytes_in, rounds;
    uint64_t first_step;
} train_run;

static double train_seconds(const train_run *run) {
    return train_now() - run->begin - run->paused;
}

/* Is this the process that prints? */
static int train_speaks(const train_run *run) {
    return run->transport.server == 0;
}

/* ---- Checkpoints ---- */

/* Several servers: each keeps the optimizer's state of its own shard, so each has a file. */
static void train_checkpoint_path(const train_run *run, const char *path, char *own, size_t capacity) {
    if (run->transport.servers > 1)
        snprintf(own, capacity, "%s.%d", path, run->transport.server);
    else
        snprintf(own, capacity, "%s", path);
}

static draco_checkpoint train_checkpoint(const train_run *run) {
    const train_setup *s = &run->setup;
    draco_checkpoint c;
    memset(&c, 0, sizeof c);
    c.seed = (uint64_t)run->o->seed;
    c.code_id = draco_code_id(&s->code);
    c.dim = s->model.dim;
    c.parameters = s->model.parameters;
    c.state_per_parameter = s->optimizer.state_per_parameter;
    c.server = (uint64_t)run->transport.server;
    c.servers = (uint64_t)run->transport.servers;
    snprintf(c.model, sizeof c.model, "%.31s", run->o->model);
    snprintf(c.optimizer, sizeof c.optimizer, "%.31s", run->o->optimizer);
    snprintf(c.data, sizeof c.data, "%.31s", s->data_name);
    c.params = run->params;
    c.state = c.state_per_parameter ? run->state : NULL;
    return c;
}

static draco_status train_save(train_run *run, uint64_t next_step) {
    draco_checkpoint c = train_checkpoint(run);
    char path[4096], why[512];
    draco_status status = draco_server_gather(run->server, run->params);
    if (status < 0) return status;
    c.step = next_step;
    c.updates = run->trainer.first_update + run->trainer.updates;
    train_checkpoint_path(run, run->o->checkpoint, path, sizeof path);
    status = draco_checkpoint_write(path, &c, why, sizeof why);
    if (status < 0) {
        train_screen_clear(&run->screen);
        fprintf(stderr, "draco-train: %s\n", why);
    }
    return status;
}

static int train_resume(train_run *run) {
    draco_checkpoint c = train_checkpoint(run), wanted = c;
    char path[4096], why[512];
    train_checkpoint_path(run, run->o->resume, path, sizeof path);
    if (draco_checkpoint_read(path, &c, why, sizeof why) < 0) {
        fprintf(stderr, "draco-train: %s\n", why);
        return 2;
    }
    if (c.seed != wanted.seed || c.code_id != wanted.code_id) {
        fprintf(stderr, "draco-train: %s: the checkpoint was written with a different %s\n", path,
                c.seed != wanted.seed ? "seed" : "code");
        return 2;
    }
    run->first_step = c.step;
    run->trainer.first_update = c.updates;
    return 0;
}

#endif /* TRAIN_RUN_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
