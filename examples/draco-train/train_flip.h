/* train_flip.h - the liars of --attack=label-flip: honest workers on the same samples with turned labels. */
#ifndef TRAIN_FLIP_H
#define TRAIN_FLIP_H

#include "train_setup.h"
#include "train_transport.h"

#include "baselines/draco_attacks.h"

typedef struct train_flip {
    train_setup setup; /* shares everything with the run's but the labels and the model */
    int32_t *labels;
    draco_worker *worker;
} train_flip;

static void train_flip_close(train_flip *flip) {
    if (flip->worker) draco_worker_close(flip->worker);
    if (flip->setup.has_model) flip->setup.close_model(&flip->setup.model);
    free(flip->labels);
    memset(flip, 0, sizeof *flip);
}

/* Returns 0, or the exit code after one line on stderr. */
static int train_flip_open(train_flip *flip, const train_options *o, const train_setup *setup) {
    const draco_dataset *data = &setup->train;
    draco_worker_config config;
    int code;
    flip->setup = *setup;
    flip->setup.has_data = flip->setup.has_model = 0;
    if (!data->labels || data->classes < 2) {
        train_log(TRAIN_ERROR, "--attack=label-flip: this data set has no classes");
        return 2;
    }
    flip->labels = malloc(data->samples * sizeof *flip->labels);
    if (flip->labels) {
        memcpy(flip->labels, data->labels, data->samples * sizeof *flip->labels);
        draco_attack_flip_labels(flip->labels, data->samples, data->classes);
        flip->setup.train.labels = flip->labels;
    }
    code = flip->labels ? train_open_model(o, &flip->setup) : 1;
    if (code != 0) return code;
    config = train_worker_config(o, &flip->setup);
    if (draco_worker_open(&flip->worker, &config) >= 0) return 0;
    train_log(TRAIN_ERROR, "--attack=label-flip: %s", draco_status_text(DRACO_E_MEMORY));
    return 1;
}

#endif /* TRAIN_FLIP_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
