/* train_live_text.h - a run as it is now, as text: Prometheus' format and JSON, from a snapshot.

   The numbers are of one process: a server, or a worker with its own seconds and counts. Its workers, which only a
   server has, are a copy of the ledger. All text is escaped and valid UTF-8, whatever peers called themselves. */
#ifndef TRAIN_LIVE_TEXT_H
#define TRAIN_LIVE_TEXT_H

#include "train_ledger_show.h"
#include "train_live_now.h"

#include "draco.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TRAIN_STALL 60.0 /* seconds without a round from which on a process is not ready, at least */
#define TRAIN_STALLS 10  /* ... and times the longest interval so far */

static const char *const train_phase_words[2][TRAIN_PHASES] = {{"workers", "server", "rest"},
                                                               {"waiting", "computing", "sending"}};

static const char *const train_request_words[TRAIN_REQUESTS] = {
    NULL, "message", "exponents", "encoded", "ready", "body", "probe", NULL, "fingerprint", "predicted"};

/* Why a process is not ready, or an empty text. */
static void train_ready(const train_numbers_now *m, char *why, size_t capacity) {
    const double patience = TRAIN_STALLS * m->longest > TRAIN_STALL ? TRAIN_STALLS * m->longest : TRAIN_STALL;
    snprintf(why, capacity, "%s", m->reason);
    if (!why[0] && train_now() - m->last > patience)
        snprintf(why, capacity, "nothing was done for %.0f s", train_now() - m->last);
}

/* ---- May a browser be here? ---- */

/* A page of elsewhere whose name was made to lead here (DNS rebinding) shows itself by that name: addresses and
   localhost, each with or without a port, are no such names. */
static int train_host_is_here(const char *host) {
    char name[64];
    unsigned char address[16];
    const char *colon = strrchr(host, ':');
    size_t length = strlen(host);
    if (colon && strspn(colon + 1, "0123456789") == strlen(colon + 1)) length = (size_t)(colon - host);
    if (length >= sizeof name) return 0;
    memcpy(name, host, length);
    name[length] = 0;
    if (name[0] == '[' && length > 2 && name[length - 1] == ']') {
        name[length - 1] = 0;
        return inet_pton(AF_INET6, name + 1, address) == 1;
    }
    return strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, address) == 1;
}

/* ---- Prometheus ---- */

static void train_prom_head(FILE *to, const char *name, const char *type, const char *help) {
    fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void train_prom_number(FILE *to, double value) {
    if (isfinite(value))
        fprintf(to, " %.17g\n", value);
    else
        fprintf(to, " %s\n", isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
}

static void train_prom_value(FILE *to, const char *name, const char *type, const char *help, double value) {
    train_prom_head(to, name, type, help);
    fputs(name, to);
    train_prom_number(to, value);
}

static void train_prom_label(FILE *to, const char *before, const char *key, const char *text) {
    fprintf(to, "%s%s=\"", before, key);
    while (*text) {
        const size_t bytes = train_utf8(text);
        if (*text == '"' || *text == '\\') fputc('\\', to);
        if (*text == '\n')
            fputs("\\n", to);
        else if (bytes == 0 || (unsigned char)*text < 32)
            fputc('?', to);
        else
            fwrite(text, 1, bytes, to);
        text += bytes ? bytes : 1;
    }
    fputc('"', to);
}

static void train_prom_workers(FILE *to, train_ledger *l) {
    static const train_kind_of_round rounds[] = {TRAIN_PRESENT, TRAIN_BLAMES, TRAIN_SUSPECTS, TRAIN_MALFORMS,
                                                 TRAIN_GOES,    TRAIN_SLOWS,  TRAIN_LATES};
    train_prom_value(to, "draco_ledger_rounds_total", "counter",
                     "Rounds of the whole run, also of earlier processes.", (double)l->rounds);
    train_prom_head(to, "draco_worker_info", "gauge", "What a worker is called, and where it joined from.");
    for (int i = 0; i < l->n; i++) {
        char name[160] = "";
        if (l->name) l->name(l->name_ctx, i, name, sizeof name);
        fprintf(to, "draco_worker_info{worker=\"%d\"", i);
        train_prom_label(to, ",", "name", name);
        train_prom_label(to, ",", "address", l->row[i].address);
        fputs("} 1\n", to);
    }
    train_prom_head(
        to, "draco_worker_rounds_total", "counter",
        "Rounds of the whole run by what the worker did; present has blamed, suspected and malformed "
        "in it.");
    for (int i = 0; i < l->n; i++)
        for (size_t k = 0; k < sizeof rounds / sizeof *rounds; k++)
            fprintf(to, "draco_worker_rounds_total{worker=\"%d\",kind=\"%s\"} %llu\n", i,
                    train_ledger_words[rounds[k]].key, (unsigned long long)l->row[i].count[rounds[k]]);
    train_prom_head(to, "draco_worker_events_total", "counter",
                    "How often the worker came, went, was refused.");
    for (int i = 0; i < l->n; i++)
        for (int k = TRAIN_JOINS; k < TRAIN_COUNTS; k++)
            fprintf(to, "draco_worker_events_total{worker=\"%d\",event=\"%s\"} %llu\n", i,
                    train_ledger_words[k].key, (unsigned long long)l->row[i].count[k]);
    train_prom_head(to, "draco_worker_reply_seconds", "summary",
                    "From the request to the end of the reply; the quantile is at most 9 % too much.");
    for (int i = 0; i < l->n; i++) {
        const train_ledger_row *row = &l->row[i];
        fprintf(to, "draco_worker_reply_seconds{worker=\"%d\",quantile=\"0.99\"}", i);
        train_prom_number(to, row->timed ? train_ledger_quantile(row, 0.99) : NAN);
        fprintf(to, "draco_worker_reply_seconds_sum{worker=\"%d\"}", i);
        train_prom_number(to, row->seconds);
        fprintf(to, "draco_worker_reply_seconds_count{worker=\"%d\"} %llu\n", i,
                (unsigned long long)row->timed);
    }
    train_prom_head(to, "draco_worker_last_reply_timestamp_seconds", "gauge",
                    "When the worker replied last, since 1970; 0: never.");
    for (int i = 0; i < l->n; i++) {
        fprintf(to, "draco_worker_last_reply_timestamp_seconds{worker=\"%d\"}", i);
        train_prom_number(to, l->row[i].last);
    }
}

static void train_prom_curve(FILE *to, const char *loss, const char *accuracy, const char *of,
                             const train_curve *c, double last_loss, double last_accuracy) {
    char help[96];
    if (c->seen == 0) return;
    snprintf(help, sizeof help, "Mean loss of %s.", of);
    train_prom_value(to, loss, "gauge", help, last_loss);
    snprintf(help, sizeof help, "Share of %s that is classified rightly.", of);
    train_prom_value(to, accuracy, "gauge", help, last_accuracy);
}

/* l: a copy of the ledger; NULL on a worker. */
static void train_prom(FILE *to, const train_about *about, const train_numbers_now *m, train_ledger *l) {
    char why[512];
    const struct {
        const char *name, *type, *help;
        double value;
        int who; /* 1: server, 2: worker, 3: both */
    } values[] = {
        {"draco_start_time_seconds", "gauge", "When this process began, since 1970.", m->begin, 3},
        {"draco_ready", "gauge", "1 when there is a quorum and rounds go on.",
         (train_ready(m, why, sizeof why), why[0] ? 0 : 1), 3},
        {"draco_step", "gauge", "Steps that are done; on a worker the step it was asked for last.",
         (double)m->step, 3},
        {"draco_steps", "gauge", "Steps in all.", (double)about->steps, 3},
        {"draco_workers", "gauge", "Workers n.", (double)about->workers, 3},
        {"draco_adversaries", "gauge", "Liars s that the code tolerates.", (double)about->s, 3},
        {"draco_rounds_total", "counter", "Rounds of this process.", (double)m->rounds, 1},
        {"draco_failed_rounds_total", "counter", "Rounds of this process without a sum.", (double)m->failed,
         1},
        {"draco_gradients_total", "counter", "Gradients that workers were asked to compute.",
         (double)m->gradients, 1},
        {"draco_checkpoints_total", "counter", "Checkpoints that were written.", (double)m->saved, 1},
        {"draco_checkpoint_failures_total", "counter", "Checkpoints that could not be written.",
         (double)m->unsaved, 1},
        {"draco_replies_total", "counter", "Replies of this worker.", (double)m->rounds, 2},
        {"draco_failed_replies_total", "counter", "Requests that this worker could not answer.",
         (double)m->failed, 2},
        {"draco_received_bytes_total", "counter",
         "Bytes taken in: of replies on a server, of parameters on a worker.", (double)m->received, 3},
        {"draco_sent_bytes_total", "counter", "Bytes of the replies.", (double)m->sent, 2},
    };
    train_prom_head(to, "draco_run_info", "gauge", "What is trained, and what this process is.");
    fprintf(to, "draco_run_info{role=\"%s\",number=\"%d\",version=\"%d.%d.%d\"", l ? "server" : "worker",
            l ? about->server : about->worker, DRACO_VERSION >> 16, DRACO_VERSION >> 8 & 255,
            DRACO_VERSION & 255);
    train_prom_label(to, ",", "code", about->label);
    train_prom_label(to, ",", "model", about->model);
    train_prom_label(to, ",", "data", about->data);
    train_prom_label(to, ",", "transport", about->transport);
    fputs("} 1\n", to);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (values[i].who & (l ? 1 : 2))
            train_prom_value(to, values[i].name, values[i].type, values[i].help, values[i].value);
    train_prom_head(to, "draco_phase_seconds_total", "counter", "Where the time went.");
    for (int i = 0; i < TRAIN_PHASES; i++) {
        fprintf(to, "draco_phase_seconds_total{phase=\"%s\"}", train_phase_words[!l][i]);
        train_prom_number(to, m->seconds[i]);
    }
    if (!l) {
        train_prom_head(to, "draco_requests_total", "counter", "Requests to this worker, by kind.");
        for (int k = 0; k < TRAIN_REQUESTS; k++)
            if (train_request_words[k])
                fprintf(to, "draco_requests_total{kind=\"%s\"} %llu\n", train_request_words[k],
                        (unsigned long long)m->requests[k]);
        return;
    }
    train_prom_curve(to, "draco_loss", "draco_accuracy_ratio", "the last batch", &m->training, m->loss,
                     m->accuracy);
    train_prom_curve(to, "draco_test_loss", "draco_test_accuracy_ratio", "the test samples", &m->tests,
                     m->test_loss, m->test_accuracy);
    train_prom_workers(to, l);
}

/* ---- JSON ---- */

static void train_state_numbers(FILE *to, const double *values, int n) {
    for (int i = 0; i < n; i++) {
        if (i) fputc(',', to);
        if (isfinite(values[i]))
            fprintf(to, "%.6g", values[i]);
        else
            fputs("null", to);
    }
}

static void train_state_curve(FILE *to, const char *key, const train_curve *c) {
    fprintf(to, ",\"%s\":[", key);
    for (int i = 0; i < c->count; i++) {
        const double values[2] = {(double)c->point[i].loss, (double)c->point[i].accuracy};
        fprintf(to, "%s[%llu,", i ? "," : "", (unsigned long long)c->point[i].step);
        train_state_numbers(to, values, 2);
        fputc(']', to);
    }
    fputc(']', to);
}

/* The last rounds, the oldest first: step and a letter for each worker. */
static void train_state_grid(FILE *to, const train_ledger *l) {
    static const char letters[TRAIN_COUNTS + 1] = {
        [TRAIN_BLAMES] = 'B', [TRAIN_SUSPECTS] = 'S', [TRAIN_MALFORMS] = 'M', [TRAIN_GOES] = 'G',
        [TRAIN_SLOWS] = 'T',  [TRAIN_LATES] = 'L',    [TRAIN_PRESENT] = '.',  [TRAIN_COUNTS] = '-'};
    const uint64_t first = l->noted > (uint64_t)l->keep ? l->noted - (uint64_t)l->keep : 0;
    fputs(",\"grid\":[", to);
    for (uint64_t r = first; r < l->noted; r++) {
        const size_t at = (size_t)(r % (uint64_t)l->keep);
        fprintf(to, "%s[%llu,\"", r > first ? "," : "", (unsigned long long)l->recent_step[at] + 1);
        for (int i = 0; i < l->n; i++) fputc(letters[l->recent[at * (size_t)l->n + (size_t)i]], to);
        fputs("\"]", to);
    }
    fputc(']', to);
}

static void train_state(FILE *to, const train_about *about, const train_numbers_now *m, train_ledger *l) {
    const uint64_t first = m->intervals > TRAIN_RECENT ? m->intervals - TRAIN_RECENT : 0;
    char why[512];
    fprintf(to, "{\"format\":1,\"role\":\"%s\",\"number\":%d,\"workers_n\":%ld,\"s\":%ld,\"t\":%ld",
            l ? "server" : "worker", l ? about->server : about->worker, about->workers, about->s, about->t);
    train_json_text(to, "label", about->label);
    train_json_text(to, "model", about->model);
    train_json_text(to, "data", about->data);
    train_json_text(to, "transport", about->transport);
    train_ready(m, why, sizeof why);
    train_json_text(to, "not_ready", why);
    fprintf(to, ",\"step\":%llu,\"steps\":%ld,\"done\":%llu,\"failed\":%llu,\"received\":%llu,\"sent\":%llu",
            (unsigned long long)m->step, about->steps, (unsigned long long)m->rounds,
            (unsigned long long)m->failed, (unsigned long long)m->received, (unsigned long long)m->sent);
    fputs(",\"phases\":[", to);
    for (int i = 0; i < TRAIN_PHASES; i++) fprintf(to, "%s\"%s\"", i ? "," : "", train_phase_words[!l][i]);
    fputs("],\"phase_seconds\":[", to);
    train_state_numbers(to, m->seconds, TRAIN_PHASES);
    fputs("],\"recent\":[", to);
    for (uint64_t i = first; i < m->intervals; i++) {
        const train_interval *one = &m->recent[i % TRAIN_RECENT];
        const double values[TRAIN_PHASES] = {(double)one->seconds[0], (double)one->seconds[1],
                                             (double)one->seconds[2]};
        fprintf(to, "%s[%llu,%llu,", i > first ? "," : "", (unsigned long long)one->step + 1,
                (unsigned long long)one->bytes);
        train_state_numbers(to, values, TRAIN_PHASES);
        fputc(']', to);
    }
    fputs("]", to);
    train_state_curve(to, "training", &m->training);
    train_state_curve(to, "tests", &m->tests);
    if (!l) {
        fputs(",\"requests\":{", to);
        for (int k = 0, n = 0; k < TRAIN_REQUESTS; k++)
            if (train_request_words[k])
                fprintf(to, "%s\"%s\":%llu", n++ ? "," : "", train_request_words[k],
                        (unsigned long long)m->requests[k]);
        fputs("}", to);
    } else {
        train_state_grid(to, l);
        train_ledger_json(to, l, "");
    }
    fputs("}\n", to);
}

#endif /* TRAIN_LIVE_TEXT_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
