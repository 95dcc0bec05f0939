/* train_exit.h - how a run ends: one exit status for all its servers and workers.

   docs/exit-status.md has the same table. */
#ifndef TRAIN_EXIT_H
#define TRAIN_EXIT_H

#include "draco.h"

typedef enum train_exit {
    TRAIN_DONE = 0,
    TRAIN_FAILED = 1,
    TRAIN_USAGE = 2,
    TRAIN_UNDECODED = 3,
    TRAIN_LOST = 4,
    TRAIN_DIVERGED = 5,
    TRAIN_BLAMED = 6,
    TRAIN_STOPPED = 130
} train_exit;

/* status: what the workers are told, which becomes the same exit status there. */
static const struct train_exit_row {
    train_exit code;
    draco_status status;
    const char *text;
} train_exits[] = {
    {TRAIN_DONE, DRACO_OK, "trained to the end"},
    {TRAIN_FAILED, DRACO_E_IO, "this machine failed: memory, or a file that could not be written"},
    {TRAIN_USAGE, DRACO_E_CONFIG, "wrong option, unreadable input, or the processes are set up differently"},
    {TRAIN_UNDECODED, DRACO_E_NO_MAJORITY,
     "a step could not be decoded: too many workers lie or are missing"},
    {TRAIN_LOST, DRACO_E_TRANSPORT, "servers or workers were lost, or did not come in time"},
    {TRAIN_DIVERGED, DRACO_E_RANGE, "the parameters or the gradient are no longer finite"},
    {TRAIN_BLAMED, DRACO_OK, "trained to the end, but a worker was blamed (--fail-on-blame)"},
    {TRAIN_STOPPED, DRACO_E_STOPPED, "stopped early by a signal; --resume goes on"},
};
#define TRAIN_EXITS (sizeof train_exits / sizeof *train_exits)

static const struct train_exit_row *train_exit_row_of(int code) {
    size_t i = 0;
    while (i < TRAIN_EXITS - 1 && (int)train_exits[i].code != code) i++;
    return &train_exits[(int)train_exits[i].code == code ? i : 1];
}

static int train_exit_of(draco_status status) {
    switch (status) {
    case DRACO_E_NO_MAJORITY:
    case DRACO_E_TOO_MANY_MISSING:
    case DRACO_E_AMBIGUOUS:
    case DRACO_E_MALFORMED:
        return TRAIN_UNDECODED;
    case DRACO_E_TRANSPORT:
    case DRACO_E_TIMEOUT:
        return TRAIN_LOST;
    case DRACO_E_RANGE:
        return TRAIN_DIVERGED;
    case DRACO_E_STOPPED:
        return TRAIN_STOPPED;
    case DRACO_E_CONFIG:
        return TRAIN_USAGE;
    default:
        return status >= 0 ? TRAIN_DONE : draco_status_is_misuse(status) ? TRAIN_USAGE : TRAIN_FAILED;
    }
}

#endif /* TRAIN_EXIT_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
