/* train_metrics.h - a run as lines of JSON, one object a line: start, step, test, end. */
#ifndef TRAIN_METRICS_H
#define TRAIN_METRICS_H

#include "draco.h"

#include <math.h>
#include <stdio.h>

/* A number, or null where JSON has none for it. */
static void train_json_number(FILE *to, const char *key, double value) {
    if (isfinite(value))
        fprintf(to, ",\"%s\":%.9g", key, value);
    else
        fprintf(to, ",\"%s\":null", key);
}

static void train_json_text(FILE *to, const char *key, const char *text) {
    fprintf(to, ",\"%s\":\"", key);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', to);
        if ((unsigned char)*text < 32)
            fprintf(to, "\\u%04x", (unsigned)*text);
        else
            fputc(*text, to);
    }
    fputc('"', to);
}

/* The numbers of the workers with this verdict. */
static void train_json_workers(FILE *to, const char *key, const draco_verdict *verdicts, int n,
                               draco_verdict which) {
    const char *comma = "";
    fprintf(to, ",\"%s\":[", key);
    for (int i = 0; i < n; i++) {
        if (verdicts[i] != which) continue;
        fprintf(to, "%s%d", comma, i);
        comma = ",";
    }
    fputc(']', to);
}

static void train_json_flags(FILE *to, const char *key, const unsigned char *flags, int n) {
    const char *comma = "";
    fprintf(to, ",\"%s\":[", key);
    for (int i = 0; i < n; i++) {
        if (!flags[i]) continue;
        fprintf(to, "%s%d", comma, i);
        comma = ",";
    }
    fputc(']', to);
}

/* liars: the truth where it is known, else NULL. */
static void train_metrics_step(FILE *to, uint64_t step, int attempt, double seconds, const draco_round *round,
                               const draco_score *score, int n, const unsigned char *liars) {
    if (!to) return;
    fprintf(to, "{\"event\":\"step\",\"step\":%llu,\"attempt\":%d", (unsigned long long)step, attempt);
    train_json_text(to, "status", draco_status_text(round->status));
    if (round->text[0]) train_json_text(to, "why", round->text);
    if (score) {
        train_json_number(to, "loss", score->loss);
        train_json_number(to, "accuracy", score->accuracy);
    }
    train_json_number(to, "train_seconds", seconds);
    train_json_number(to, "round_seconds", round->seconds);
    train_json_number(to, "server_seconds", round->server_seconds);
    fprintf(to, ",\"bytes_in\":%llu,\"rows_peak\":%zu,\"present\":%d,\"spare\":%d",
            (unsigned long long)round->bytes_in, round->rows_peak, round->report.present,
            round->report.spare);
    train_json_number(to, "residual", round->report.residual);
    train_json_number(to, "gain", round->report.gain);
    train_json_workers(to, "blamed", round->verdicts, n, DRACO_BLAMED);
    train_json_workers(to, "suspected", round->verdicts, n, DRACO_SUSPECTED);
    train_json_workers(to, "absent", round->verdicts, n, DRACO_ABSENT);
    train_json_workers(to, "malformed", round->verdicts, n, DRACO_MALFORMED);
    if (liars) train_json_flags(to, "liars", liars, n);
    fputs("}\n", to);
}

static void train_metrics_test(FILE *to, uint64_t step, double seconds, const draco_score *score) {
    if (!to) return;
    fprintf(to, "{\"event\":\"test\",\"step\":%llu", (unsigned long long)step);
    train_json_number(to, "train_seconds", seconds);
    train_json_number(to, "loss", score->loss);
    train_json_number(to, "accuracy", score->accuracy);
    fprintf(to, ",\"samples\":%zu}\n", score->samples);
    fflush(to);
}

#endif /* TRAIN_METRICS_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
