/* train_finite.h - has the model diverged? Then that is the reason, whatever the code makes of it.

   After a step this server's parameters are looked at, and the statistics (the loss), which become infinite first. When
   a round fails, its gradient is computed here as well: one that is not finite cannot be encoded by anybody, and would
   be told as messages that are missing. */
#ifndef TRAIN_FINITE_H
#define TRAIN_FINITE_H

#include "train_run.h"

static int train_all_finite(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i])) return 0;
    return 1;
}

/* Of this server's shard, which alone is moved here; and the statistics, which every server has. */
static int train_parameters_finite(const train_run *run) {
    const draco_model *m = &run->setup.model;
    size_t first, count;
    draco_shard(m->dim, run->transport.servers, run->transport.server, &first, &count);
    if (!train_all_finite(run->sum + m->parameters, m->dim - m->parameters)) return 0;
    if (first >= m->parameters) return 1;
    return train_all_finite(run->params + first,
                            first + count < m->parameters ? count : m->parameters - first);
}

/* Is the sum of the gradients of this step finite? Of no other worker's word: it is computed here. Without the memory
   for it nothing is claimed. */
static int train_gradient_finite(train_run *run, uint64_t step) {
    const draco_model *m = &run->setup.model;
    const draco_code *code = &run->setup.code;
    float *sum = run->sum; /* a round that failed has left no sum */
    if (!run->gradient) run->gradient = malloc(m->dim * sizeof(float));
    if (!run->gradient) return 1;
    memset(sum, 0, m->dim * sizeof(float));
    for (int part = 0; part < code->parts; part++) {
        draco_batch batch = {.seed = (uint64_t)run->o->seed,
                             .step = step,
                             .total = (size_t)run->o->batch,
                             .part = part,
                             .worker = -1};
        draco_code_samples(code, batch.total, part, &batch.first, &batch.count);
        if (m->gradient(m->ctx, run->workspace, run->params, &batch, run->gradient) == DRACO_E_RANGE)
            return 0;
        for (size_t i = 0; i < m->dim; i++) sum[i] += run->gradient[i];
        if (!train_all_finite(sum, m->dim)) return 0;
    }
    return 1;
}

/* All servers call it together: a round that fails does so on all of them. */
static int train_has_diverged(train_run *run, uint64_t step, const draco_round *round) {
    if (round->status >= 0) return !train_parameters_finite(run);
    if (run->checked_step == step || train_exit_of(round->status) == TRAIN_LOST ||
        draco_server_gather(run->server, run->params) < 0)
        return 0;
    run->checked_step = step;
    return !train_gradient_finite(run, step);
}

static draco_status train_diverged(train_run *run, uint64_t step) {
    snprintf(run->reason, sizeof run->reason, "the parameters are no longer finite since step %llu",
             (unsigned long long)step + 1);
    return DRACO_E_RANGE;
}

#endif /* TRAIN_FINITE_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
