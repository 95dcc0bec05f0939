/* train_evict.h - who is out: proved liars that are left out (--evict-after), those who may come back (--readmit), and the
   new plan that fewer copies allow (--replan). The counts are the server's own memory, which checkpoints keep. */
#ifndef TRAIN_EVICT_H
#define TRAIN_EVICT_H

#include "train_run.h"

#include <ctype.h>

static int train_is_out(train_run *run, int worker) {
    const uint8_t *proofs = draco_server_proofs(run->server);
    return proofs && run->o->evict_after > 0 && proofs[worker] >= run->o->evict_after;
}

/* Whoever the words of --readmit name, "7" or "worker-7", starts anew. 0, or 2 with one line on stderr. */
static int train_readmit(train_run *run) {
    uint8_t *proofs = draco_server_proofs(run->server);
    const char *at = run->o->readmit;
    while (at && *at) {
        const size_t length = strcspn(at, ",");
        const char *number = strncmp(at, "worker-", 7) == 0 ? at + 7 : at;
        char *end = NULL;
        const long worker = strtol(number, &end, 10);
        if (!isdigit((unsigned char)*number) || end != at + length || worker >= run->setup.code.n) {
            train_log(TRAIN_ERROR, "--readmit: there is no worker '%.*s'", (int)length, at);
            return 2;
        }
        proofs[worker] = 0;
        at += length + (at[length] == ',');
    }
    for (int i = 0; i < run->setup.code.n; i++) {
        run->out[i] = (unsigned char)train_is_out(run, i);
        if (run->out[i] && train_speaks(run) && strcmp(run->o->progress, "none") != 0)
            printf("worker %d was proved a liar and takes no part\n", i);
    }
    return 0;
}

static void train_evict_name(train_run *run, int worker, char *text, size_t capacity) {
    char other[64] = "";
    train_transport_worker_name(&run->transport, worker, other, sizeof other);
    snprintf(text, capacity, "worker %d%s%s%s", worker, other[0] ? " (" : "", other, other[0] ? ")" : "");
}

/* Who has gone since the last call: a line on the screen and one in the metrics for each. step: the last one done. */
static void train_report_evictions(train_run *run, uint64_t step) {
    for (int i = 0; i < run->setup.code.n; i++) {
        char name[96], line[192];
        if (run->out[i] || !train_is_out(run, i)) continue;
        run->out[i] = 1;
        if (!train_speaks(run)) continue;
        train_evict_name(run, i, name, sizeof name);
        if (run->metrics.line) {
            fprintf(run->metrics.line, "{\"event\":\"evict\",\"step\":%llu,\"worker\":%d,\"proofs\":%d",
                    (unsigned long long)step, i, draco_server_proofs(run->server)[i]);
            train_metrics_write(&run->metrics);
        }
        snprintf(
            line, sizeof line, "step %llu: %s was proved a liar in %ld round%s and takes no further part",
            (unsigned long long)step + 1, name, run->o->evict_after, run->o->evict_after == 1 ? "" : "s");
        train_log_write(TRAIN_WARNING, line);
        train_show_line(run, line);
    }
}

/* All servers call it after the step before --replan. */
static draco_status train_make_plan(train_run *run, uint64_t step) {
    long at = 0, wanted = 0;
    int parts;
    char line[96];
    if (!run->o->replan || !train_replan_of(run->o, &at, &wanted) || (uint64_t)at != step + 1)
        return DRACO_OK;
    parts = draco_server_replan(run->server, (int)wanted);
    if (parts > run->o->batch) parts = draco_server_replan(run->server, (int)run->o->batch);
    if (parts < 0 || !train_speaks(run)) return parts < 0 ? (draco_status)parts : DRACO_OK;
    if (run->metrics.line) {
        fprintf(run->metrics.line, "{\"event\":\"replan\",\"step\":%llu,\"parts\":%d",
                (unsigned long long)step, parts);
        train_metrics_write(&run->metrics);
    }
    snprintf(line, sizeof line, "step %llu: from here on the batch has %d parts",
             (unsigned long long)step + 2, parts);
    train_show_line(run, line);
    return DRACO_OK;
}

#endif /* TRAIN_EVICT_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
