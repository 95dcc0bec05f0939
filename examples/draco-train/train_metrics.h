/* train_metrics.h - a run as lines of JSON, one object a line: start, resume, step, test,
   ledger, evict, replan, end.

   A line is written whole, by one call. When that fails, what was written of it is taken back, the lines that are
   lost are counted, and the run goes on. A run that is started again cuts off what it will write anew and appends. */
#ifndef TRAIN_METRICS_H
#define TRAIN_METRICS_H

#include "train_screen.h"

#include "draco.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef struct train_metrics {
    FILE *line; /* the line that is being put together, in memory; NULL: no metrics */
    char *text;
    size_t bytes;
    const char *path;
    char temporary[64]; /* the path of a file that is removed in the end */
    int file, regular;
    int begun; /* it has lines of an earlier process */
    long lost;
    double seconds; /* of training before this process, as the file says */
} train_metrics;

/* A number, or null where JSON has none for it. */
static void train_json_number(FILE *to, const char *key, double value) {
    if (isfinite(value))
        fprintf(to, ",\"%s\":%.9g", key, value);
    else
        fprintf(to, ",\"%s\":null", key);
}

/* Bytes of the character that a text begins with; 0: they are not UTF-8. */
static size_t train_utf8(const char *text) {
    const unsigned char *c = (const unsigned char *)text;
    const size_t bytes = c[0] < 0x80   ? 1
                         : c[0] < 0xc2 ? 0
                         : c[0] < 0xe0 ? 2
                         : c[0] < 0xf0 ? 3
                         : c[0] < 0xf5 ? 4
                                       : 0;
    for (size_t i = 1; i < bytes; i++)
        if ((c[i] & 0xc0) != 0x80) return 0;
    if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] >= 0xa0)) return 0;
    return (c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] >= 0x90) ? 0 : bytes;
}

static void train_json_text(FILE *to, const char *key, const char *text) {
    fprintf(to, ",\"%s\":\"", key);
    while (*text) {
        const size_t bytes = train_utf8(text);
        if (*text == '"' || *text == '\\') fputc('\\', to);
        if (bytes == 0)
            fputc('?', to);
        else if ((unsigned char)*text < 32)
            fprintf(to, "\\u%04x", (unsigned)*text);
        else
            fwrite(text, 1, bytes, to);
        text += bytes ? bytes : 1;
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

/* Ends the line and writes it. */
static void train_metrics_write(train_metrics *m) {
    struct stat before;
    ssize_t written = -1;
    fputs("}\n", m->line);
    if (fflush(m->line) == 0 && (!m->regular || fstat(m->file, &before) == 0))
        written = write(m->file, m->text, m->bytes);
    if (written != (ssize_t)m->bytes) {
        if (m->lost++ == 0)
            train_log(TRAIN_ERROR, "%s: %s: lines are missing from here on", m->path,
                      written >= 0 ? "no space left" : strerror(errno));
        if (written > 0 && m->regular) (void)!ftruncate(m->file, before.st_size);
    }
    rewind(m->line);
}

/* The number behind a key of a line that this program wrote. */
static int train_metrics_number(const char *line, const char *key, double *value) {
    const char *at = strstr(line, key);
    return at && sscanf(at + strlen(key), "%lf", value) == 1;
}

/* Where a run that is at `step` goes on: behind the last line that it will not write again. The file may end in
   the middle of a line. < 0: it holds something else. *next: the first step that is not in it. */
static off_t train_metrics_end(FILE *file, uint64_t step, double *seconds, double *next) {
    char *line = NULL;
    size_t room = 0;
    off_t end = 0;
    ssize_t length;
    for (int first = 1; (length = getline(&line, &room, file)) > 0; first = 0) {
        double at = 0;
        if (line[length - 1] != '\n') break;
        if (strncmp(line, first ? "{\"event\":\"start\"" : "{\"event\":\"", first ? 16 : 10) != 0) {
            end = -1;
            break;
        }
        if (strncmp(line, "{\"event\":\"end\"", 14) == 0) break;
        if (train_metrics_number(line, ",\"step\":", &at) && !(at < (double)step)) break;
        if (strncmp(line, "{\"event\":\"step\"", 15) == 0) *next = at + 1;
        (void)train_metrics_number(line, ",\"train_seconds\":", seconds);
        end += length;
    }
    free(line);
    return end;
}

/* The file of an earlier process of this run, as far as it goes; step 0: none of it. 0, or 2 with a line on stderr. */
static int train_metrics_repair(train_metrics *m, uint64_t step) {
    FILE *file = fopen(m->path, "r");
    double next = 0;
    const off_t end = file ? train_metrics_end(file, step, &m->seconds, &next) : -2;
    if (file) fclose(file);
    if (end == -1) {
        train_log(TRAIN_ERROR, "%s: not the metrics of a run", m->path);
        return 2;
    }
    if (step > 0 && next < (double)step)
        train_log(TRAIN_ERROR, "%s: the steps from %.0f to %llu are missing", m->path, next + 1,
                  (unsigned long long)step);
    m->begun = step > 0 && end > 0;
    if (end < 0 || ftruncate(m->file, step > 0 ? end : 0) != 0) {
        train_log(TRAIN_ERROR, "%s: %s", m->path, strerror(errno));
        return 2;
    }
    return 0;
}

/* path NULL: into a temporary file. resumed: keep what it says of the steps before `step`. 0, or the exit code
   after a line on stderr. */
static int train_metrics_open(train_metrics *m, const char *path, int resumed, uint64_t step) {
    struct stat about;
    m->path = path ? path : m->temporary;
    if (path) {
        m->file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (resumed ? 0 : O_TRUNC), 0666);
    } else {
        snprintf(m->temporary, sizeof m->temporary, "/tmp/draco-train-XXXXXX");
        m->file = mkstemp(m->temporary);
    }
    if (m->file < 0 || fstat(m->file, &about) != 0) {
        train_log(TRAIN_ERROR, "%s: %s", m->path, strerror(errno));
        return 2;
    }
    m->regular = S_ISREG(about.st_mode);
    m->line = open_memstream(&m->text, &m->bytes);
    if (!m->line) return 1;
    return resumed && m->regular ? train_metrics_repair(m, step) : 0;
}

/* Returns 1 when lines are missing, after a line on stderr. */
static int train_metrics_close(train_metrics *m) {
    int failed;
    if (!m->line) return 0;
    failed = close(m->file) != 0 || m->lost > 0;
    if (failed) train_log(TRAIN_ERROR, "%s: %ld lines could not be written", m->path, m->lost);
    fclose(m->line);
    free(m->text);
    m->line = NULL;
    return failed;
}

/* liars: the truth where it is known, else NULL. */
static void train_metrics_step(train_metrics *m, uint64_t step, int attempt, double seconds,
                               const draco_round *round, const draco_score *score, int n,
                               const unsigned char *liars) {
    FILE *to = m->line;
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
    fprintf(to, ",\"gradients\":%d,\"parts\":%d,\"evicted\":%d,\"checked\":%d", round->gradients,
            round->parts, round->evicted, round->checked);
    train_json_number(to, "residual", round->report.residual);
    train_json_number(to, "gain", round->report.gain);
    train_json_workers(to, "blamed", round->verdicts, n, DRACO_BLAMED);
    train_json_workers(to, "suspected", round->verdicts, n, DRACO_SUSPECTED);
    train_json_workers(to, "absent", round->verdicts, n, DRACO_ABSENT);
    train_json_workers(to, "malformed", round->verdicts, n, DRACO_MALFORMED);
    if (liars) train_json_flags(to, "liars", liars, n);
    train_metrics_write(m);
}

static void train_metrics_test(train_metrics *m, uint64_t step, double seconds, const draco_score *score) {
    if (!m->line) return;
    fprintf(m->line, "{\"event\":\"test\",\"step\":%llu", (unsigned long long)step);
    train_json_number(m->line, "train_seconds", seconds);
    train_json_number(m->line, "loss", score->loss);
    train_json_number(m->line, "accuracy", score->accuracy);
    fprintf(m->line, ",\"samples\":%zu", score->samples);
    train_metrics_write(m);
}

#endif /* TRAIN_METRICS_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
