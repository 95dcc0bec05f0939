/* train_run.h - the state of a run at a server, and its checkpoints. */
#ifndef TRAIN_RUN_H
#define TRAIN_RUN_H

#include "train_contract.h"
#include "train_blake2b.h"
#include "train_deadline.h"
#include "train_flip.h"
#include "train_ledger_show.h"
#include "train_live.h"
#include "train_metrics.h"
#include "train_screen.h"
#include "train_transport.h"

#include "baselines/draco_attacks.h"
#include "baselines/draco_rules.h"
#include "models/draco_checkpoint.h"

typedef struct train_run {
    const train_options *o;
    train_setup setup;
    train_transport transport;
    draco_transport attacked, observed; /* the transport as the attack, and as the ledger leave it */
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
    train_arrivals arrivals;
    train_deadline deadline;
    int audit; /* the file of the audit trail; 0: none */
    char audit_path[DRACO_CHECKPOINT_PATH], audit_head[TRAIN_DIGEST_HEX]; /* head: digest of its last line */
    train_ledger ledger;
    train_metrics metrics;
    train_live live;
    char label[64];
    double noted, asked_at; /* when the last interval of `live` ended, and a worker's last request came */
    unsigned char *liars;
    unsigned char *out;   /* who was evicted, as far as it was told */
    double begin, paused; /* evaluation does not count as training */
    double server_seconds;
    uint64_t bytes_in, rounds;
    uint64_t first_step, next_step; /* the first step of this process; the first that is not done */
    uint64_t tested_step;           /* of `test` */
    draco_checkpoint_store store;
    int has_store;
    char contract[DRACO_CHECKPOINT_CONTRACT];
    uint64_t saved_step; /* of the last checkpoint */
    double saved_at;
    long saved, unsaved;       /* checkpoints that were written, and that could not be */
    const volatile int *asked; /* a signal asks for a checkpoint */
    char reason[512];          /* why the last round failed, empty when it did not */
    uint64_t checked_step;     /* whose gradient was computed here, to find out why a round failed */
    float *gradient;           /* for that; NULL until it is needed */
    double probed_at;          /* when the workers' arithmetic was compared last */
    uint64_t counted;          /* the step whose liars were counted last */
    int repeated;              /* so many rounds of it before */
    double quorum_said;        /* seconds of waiting for workers after which the next line is due */
} train_run;

#define TRAIN_NEVER UINT64_MAX

static double train_seconds(const train_run *run) {
    return run->metrics.seconds + train_now() - run->begin - run->paused;
}

/* Only then is it known who lied, and who was blamed without having lied. */
static int train_simulates_lies(const train_run *run) {
    return run->has_attack && run->attack.liars > 0;
}

/* Is this the process that prints? */
static int train_speaks(const train_run *run) {
    return run->transport.server == 0;
}

/* ---- Checkpoints ---- */

/* What any server wants all do, so that they call together what needs all of them. */
static draco_status train_any(const train_run *run, unsigned *wanted) {
    const draco_transport *t = &run->transport.transport;
    unsigned char mine[8] = {(unsigned char)*wanted}, all[64][8];
    draco_status status;
    if (run->transport.servers == 1) return DRACO_OK;
    status = t->exchange(t->ctx, mine, sizeof mine, all);
    for (int k = 0; k < run->transport.servers && status >= 0; k++) *wanted |= all[k][0];
    return status;
}

/* Several servers: each keeps the optimizer's state of its own shard, so each has a file. Two are kept at least,
   for a death after some of them have committed. Returns 0, or 2 after a line on stderr. */
static int train_open_store(train_run *run) {
    const train_options *o = run->o;
    const int several = run->transport.servers > 1;
    char path[DRACO_CHECKPOINT_PATH], why[512];
    if (!o->checkpoint) return 0;
    snprintf(path, sizeof path, several ? "%s.%d" : "%s", o->checkpoint, run->transport.server);
    run->has_store = 1;
    if (draco_checkpoint_open(&run->store, path,
                              (int)(several && o->checkpoint_keep < 2 ? 2 : o->checkpoint_keep), why,
                              sizeof why) >= 0)
        return 0;
    train_log(TRAIN_ERROR, "--checkpoint: %s", why);
    return 2;
}

static draco_checkpoint train_checkpoint(const train_run *run) {
    const train_setup *s = &run->setup;
    draco_checkpoint c;
    memset(&c, 0, sizeof c);
    c.dim = s->model.dim;
    c.parameters = s->model.parameters;
    c.state_per_parameter = s->optimizer.state_per_parameter;
    c.server = (uint64_t)run->transport.server;
    c.servers = (uint64_t)run->transport.servers;
    memcpy(c.contract, run->contract, sizeof c.contract);
    c.overrides = run->o->overrides;
    c.params = run->params;
    c.state = c.state_per_parameter ? run->state : NULL;
    c.exponent_bytes = (uint32_t)draco_server_memory(run->server, &c.exponents);
    c.notes = run->ledger.packed;
    c.note_bytes = train_ledger_bytes(&run->ledger);
    return c;
}

static int train_save_due(const train_run *run) {
    const train_options *o = run->o;
    if (!run->has_store || run->saved_step == run->next_step) return 0;
    return *run->asked || (o->checkpoint_every > 0 && run->next_step % (uint64_t)o->checkpoint_every == 0) ||
           (o->checkpoint_seconds > 0 && train_now() - run->saved_at >= o->checkpoint_seconds);
}

/* A line on the screen, unless nothing is to be shown. */
static void train_show_line(train_run *run, const char *line) {
    if (strcmp(run->o->progress, "none") == 0) return;
    train_screen_clear(&run->screen);
    train_say(line);
}

/* All servers call it together, also those without --checkpoint: all commit or none. That one cannot be written
   is said and counted, and the run goes on. */
static draco_status train_save(train_run *run, volatile int *asked) {
    draco_checkpoint c = train_checkpoint(run);
    char why[512] = "another server could not write its checkpoint";
    unsigned failed = 0;
    draco_status status = draco_server_gather(run->server, run->params);
    if (status < 0) return status;
    *asked = 0;
    train_ledger_tape(&run->ledger, 0);
    c.step = run->next_step;
    c.updates = run->trainer.first_update + run->trainer.updates;
    if (run->has_store) {
        /* A checkpoint is never ahead of the metrics. */
        if (run->metrics.line) (void)!fdatasync(run->metrics.file);
        failed = draco_checkpoint_write(&run->store, &c, why, sizeof why) < 0;
    }
    status = train_any(run, &failed);
    if (!run->has_store) return status;
    if (status < 0 || failed)
        draco_checkpoint_abandon(&run->store);
    else
        failed = draco_checkpoint_commit(&run->store, why, sizeof why) < 0;
    run->saved_at = train_now();
    if (failed) {
        train_screen_clear(&run->screen);
        train_log(TRAIN_ERROR, "no checkpoint after step %llu: %s", (unsigned long long)run->next_step, why);
        run->unsaved++;
    } else if (status >= 0) {
        run->saved_step = run->next_step;
        run->saved++;
    }
    return status;
}

/* ---- Going on ---- */

typedef struct train_found { /* the checkpoints of one server; exchanged as it is */
    uint64_t refused;        /* it cannot go on, and has said why */
    uint64_t damaged, whole;
    uint64_t steps[DRACO_CHECKPOINT_MOST]; /* of those that are whole, the newest first */
} train_found;

/* Reads checkpoints, the newest first, until one has this step; TRAIN_NEVER: any step will do. Returns 1 when
   one was read. found, if not NULL, learns of all that were looked at. */
static int train_read(train_run *run, uint64_t step, draco_checkpoint *c, train_found *found) {
    for (int age = 0; age < DRACO_CHECKPOINT_MOST; age++) {
        char path[DRACO_CHECKPOINT_PATH], why[1024];
        draco_status status;
        draco_checkpoint_name(&run->store, age, path);
        if (access(path, F_OK) != 0 && errno == ENOENT) continue;
        *c = train_checkpoint(run);
        status = draco_checkpoint_read(path, c, why, sizeof why);
        if (status >= 0 && found) found->steps[found->whole++] = c->step;
        if (status >= 0 && (step == TRAIN_NEVER || c->step == step)) return 1;
        if (status >= 0 || !found) continue;
        train_log(TRAIN_ERROR, "%s%s", why,
                  status == DRACO_E_CONFIG ? " (--override=NAME,... goes on with what it is in this run)"
                                           : "");
        found->damaged++;
        found->refused |= status == DRACO_E_CONFIG;
        if (found->refused) break;
    }
    return 0;
}

/* The last step of which every server has a whole checkpoint; TRAIN_NEVER: there is none. */
static uint64_t train_common_step(const train_found *all, int servers) {
    for (uint64_t i = 0; i < all[0].whole; i++) {
        int holders = 0;
        for (int k = 0; k < servers; k++)
            for (uint64_t j = 0; j < all[k].whole; j++)
                if (all[k].steps[j] == all[0].steps[i]) {
                    holders++;
                    break;
                }
        if (holders == servers) return all[0].steps[i];
    }
    return TRAIN_NEVER;
}

/* What all servers found decides for all of them. Returns 0, the run's first step being set, or the exit code after a
   line on stderr. */
static int train_resume(train_run *run) {
    const train_options *o = run->o;
    const draco_transport *t = &run->transport.transport;
    const int servers = run->transport.servers;
    static train_found all[64], mine;
    uint64_t step, some = 0;
    draco_checkpoint c;
    if (run->has_store) {
        (void)train_read(run, servers == 1 ? TRAIN_NEVER : TRAIN_NEVER - 1, &c, &mine);
        if (mine.whole + mine.damaged > 0 && !o->resume) {
            train_log(TRAIN_ERROR, "%s: there is a checkpoint already: go on with --resume, or remove it",
                      run->store.path);
            mine.refused = 1;
        }
    }
    all[0] = mine;
    if (servers > 1 && t->exchange(t->ctx, &mine, sizeof mine, all) < 0) return TRAIN_LOST;
    for (int k = 0; k < servers; k++) {
        if (all[k].refused && !mine.refused) train_log(TRAIN_ERROR, "server %d cannot go on", k);
        if (all[k].refused) return TRAIN_USAGE;
        some += all[k].whole + all[k].damaged;
    }
    step = train_common_step(all, servers);
    if (step == TRAIN_NEVER) {
        if (!some && !(o->resume && strcmp(o->resume, "must") == 0)) return 0;
        train_log(TRAIN_ERROR, "--resume: %s: %s", run->has_store ? run->store.path : "no --checkpoint",
                  some ? "no whole checkpoint that all servers have" : "there is no checkpoint");
        return 2;
    }
    if (step > (uint64_t)o->steps) {
        train_log(TRAIN_ERROR, "%s: %llu steps are done, and --steps=%ld is the total", run->store.path,
                  (unsigned long long)step, o->steps);
        return 2;
    }
    if (servers > 1 && !train_read(run, step, &c, NULL)) return 2;
    run->first_step = run->next_step = run->saved_step = c.step;
    run->trainer.first_update = c.updates;
    if (c.note_bytes == train_ledger_bytes(&run->ledger)) train_ledger_tape(&run->ledger, 1);
    return 0;
}

#endif /* TRAIN_RUN_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
