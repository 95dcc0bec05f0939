/* train_report.h - what a run tells: lines on the screen, and the file of metrics. */
#ifndef TRAIN_REPORT_H
#define TRAIN_REPORT_H

#include "train_metrics.h"
#include "train_plot.h"
#include "train_run.h"

/* ---- At the start ---- */

/* Can this file be written? One that is not there is not left behind. 0, or 2 with one line on stderr. */
static int train_check_output(const char *path) {
    struct stat found;
    int fd, error = 0;
    if (stat(path, &found) == 0)
        error = S_ISDIR(found.st_mode) ? EISDIR : access(path, W_OK) != 0 ? errno : 0;
    else if ((fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0666)) >= 0)
        error = close(fd) != 0 || unlink(path) != 0 ? errno : 0;
    else if (errno != EEXIST) /* a link to a file that is not there yet */
        error = errno;
    if (error) train_log(TRAIN_ERROR, "%s: %s", path, strerror(error));
    return error ? 2 : 0;
}

static int train_check_outputs(train_run *run) {
    const train_options *o = run->o;
    if (train_open_store(run) != 0) return 2;
    if (!train_speaks(run)) return 0;
    if (o->plot && !train_plot_named(o->plot)) {
        train_log(TRAIN_ERROR, "--plot=%s: the name of a picture ends in .svg", o->plot);
        return 2;
    }
    if (o->params && train_check_output(o->params) != 0) return 2;
    if (o->metrics && train_check_output(o->metrics) != 0) return 2;
    if (o->ledger && train_check_output(o->ledger) != 0) return 2;
    return o->plot ? train_check_output(o->plot) : 0;
}

static int train_open_metrics(train_run *run) {
    const train_options *o = run->o;
    if (!train_speaks(run) || (!o->metrics && !o->plot)) return 0;
    return train_metrics_open(&run->metrics, o->metrics, o->resume != NULL, run->first_step);
}

static void train_label(const train_options *o, char *text, size_t capacity) {
    if (o->rule)
        snprintf(text, capacity, "%s", o->rule);
    else if (strcmp(o->code, "cyclic") == 0)
        snprintf(text, capacity, "DRACO cyclic, %s", o->field);
    else
        snprintf(text, capacity, "DRACO repetition%s",
                 strcmp(o->redundancy, "reactive") == 0 ? ", reactive"
                 : o->challenge                         ? ", challenge"
                                                        : "");
}

/* The first line of a run whose workers are made to misbehave. */
static void train_announce_simulation(const train_run *run) {
    const train_options *o = run->o;
    char liars[128] = "no liars";
    if (o->liars + o->missing == 0 || !train_speaks(run) || strcmp(o->progress, "none") == 0) return;
    if (o->liars)
        snprintf(liars, sizeof liars, "%ld liar%s (--attack=%.64s)", o->liars, o->liars == 1 ? "" : "s",
                 o->attack);
    printf("simulation: in each step %s and %ld worker%s without a reply\n", liars, o->missing,
           o->missing == 1 ? "" : "s");
}

static void train_announce(train_run *run) {
    const train_options *o = run->o;
    const train_setup *s = &run->setup;
    train_metrics *m = &run->metrics;
    const char *label = run->label;
    char code[256];
    if (!train_speaks(run)) return;
    if (m->line && m->begun) {
        fprintf(m->line, "{\"event\":\"resume\",\"step\":%llu", (unsigned long long)run->first_step);
        train_metrics_write(m);
    } else if (m->line) {
        fprintf(m->line, "{\"event\":\"start\"");
        train_json_text(m->line, "label", label);
        train_json_text(m->line, "model", o->model);
        train_json_text(m->line, "data", s->data_name);
        train_json_text(m->line, "transport", o->transport);
        train_json_text(m->line, "attack", o->liars ? o->attack : "none");
        fprintf(m->line, ",\"parameters\":%zu,\"dim\":%zu,\"workers\":%d,\"s\":%d,\"t\":%d,\"load\":%d",
                s->model.parameters, s->model.dim, s->code.n, s->code.s, s->code.t, s->code.r);
        fprintf(m->line, ",\"liars\":%ld,\"missing\":%ld,\"steps\":%ld,\"batch\":%ld,\"seed\":%ld", o->liars,
                o->missing, o->steps, o->batch, o->seed);
        train_metrics_write(m);
    }
    if (strcmp(o->progress, "none") == 0) return;
    printf("%s on %s: %zu parameters, %zu training and %zu test samples\n", o->model, s->data_name,
           s->model.parameters, s->train.samples, s->test.samples);
    if (o->rule)
        snprintf(code, sizeof code, "%d workers, aggregation rule %s", s->code.n, label);
    else
        draco_code_describe(&s->code, code, sizeof code);
    train_say(code);
    if (o->check_every > 0)
        printf("spot checks: this redundancy in one step of %ld, one copy in the others, in which a lie gets "
               "into the model\n",
               o->check_every);
    if (o->check_probability > 0)
        printf(
            "spot checks: this redundancy in a step with probability %g, one copy in the others, in which a "
            "lie gets into the model\n",
            o->check_probability);
    if (!o->rule && s->code.parts == 1)
        printf("every worker computes the whole batch; %d workers or more would share it\n", 2 * s->code.r);
    if (run->has_attack && o->evict_after > 0 && run->attack.who != DRACO_ATTACK_FIXED)
        printf("liars that are drawn anew are more than s = %d in the end: expect refused or wrong rounds, "
               "or use "
               "--who=fixed\n",
               s->code.s);
    if (run->has_attack && !o->rule && run->attack.liars > s->code.s)
        printf("%d liars are more than the s = %d that the code tolerates: expect refused or wrong rounds\n",
               run->attack.liars, s->code.s);
    if (run->first_step > 0)
        printf("goes on from %s: %llu of %ld steps are done\n", run->store.path,
               (unsigned long long)run->first_step, o->steps);
    fflush(stdout);
}

/* ---- After a round ---- */

/* One line when other workers than before are blamed, suspected, malformed or absent. */
static void train_report_change(train_run *run, uint64_t step, const draco_round *round) {
    char text[TRAIN_LINE_CAPACITY], line[TRAIN_LINE_CAPACITY + 64];
    if (!train_ledger_round(&run->ledger, step, round->verdicts, &run->arrivals, run->out) ||
        !train_speaks(run) || !train_ledger_due(&run->ledger))
        return;
    train_ledger_line(&run->ledger, text, sizeof text);
    snprintf(line, sizeof line, "step %llu: %s", (unsigned long long)step + 1,
             text[0] ? text : "no worker is blamed or absent");
    train_log_write(TRAIN_WARNING, line);
    train_show_line(run, line);
}

static void train_report_failure(train_run *run, uint64_t step, int attempt, const draco_round *round) {
    run->glance.failed_rounds++;
    if (!train_speaks(run)) return;
    train_screen_clear(&run->screen);
    train_log(TRAIN_ERROR, "step %llu, try %d: %s: %s", (unsigned long long)step + 1, attempt + 1,
              draco_status_text(round->status), run->reason);
}

/* Why a round failed, in words. */
static void train_note_reason(train_run *run, const draco_round *round) {
    const char *why = run->has_rule ? draco_rule_explain(&run->rule) : round->text;
    run->reason[0] = 0;
    if (round->status >= 0) return;
    if (run->trainer.waited >= 0)
        snprintf(run->reason, sizeof run->reason, "%d of %d workers replied, for %.1f s",
                 round->report.present, run->setup.code.n, run->trainer.waited);
    else if (why[0])
        snprintf(run->reason, sizeof run->reason, "%s", why);
    else
        draco_report_describe(&run->setup.code, round->status, round->verdicts, &round->report, run->reason,
                              sizeof run->reason);
}

/* A step that waits for workers says so at once, then after 1, 2, 4, ... seconds, and when it is over. */
static void train_report_quorum(train_run *run, uint64_t step, const draco_round *round) {
    const double waited = run->trainer.waited;
    const int said = run->quorum_said > 0;
    if (waited < 0) {
        if (said && train_speaks(run) && round->status >= 0)
            train_log(TRAIN_ERROR, "step %llu: %d workers replied; the run goes on",
                      (unsigned long long)step + 1, round->report.present);
        run->quorum_said = 0;
        return;
    }
    run->glance.failed_rounds++;
    if (said && waited < run->quorum_said) return;
    run->quorum_said = said ? 2 * run->quorum_said : 1;
    if (!train_speaks(run)) return;
    train_screen_clear(&run->screen);
    train_log(TRAIN_ERROR,
              "step %llu: %d of %d workers replied: waiting for the others, for %.0f of %.0f s so "
              "far",
              (unsigned long long)step + 1, round->report.present, run->setup.code.n, waited,
              run->trainer.quorum_seconds);
}

/* ---- At the end ---- */

static void train_hex(const train_run *run, char text[33]) {
    uint8_t digest[DRACO_FINGERPRINT_BYTES];
    train_digest(run->params, run->setup.model.dim * sizeof(float), digest);
    train_hex_of(digest, text);
}

static void train_totals(train_run *run, double seconds, double server_seconds) {
    char loss[32] = "not finite";
    if (isfinite(run->test.loss)) snprintf(loss, sizeof loss, "%.4f", run->test.loss);
    if (run->test.samples)
        printf("test accuracy %.2f%%, loss %s after %llu steps\n", 100 * run->test.accuracy, loss,
               (unsigned long long)run->next_step);
    printf("trained for %.2f s; per step %.2f ms at the server, %.2f MB received\n", seconds,
           1e3 * server_seconds, run->rounds ? 1e-6 * (double)run->bytes_in / (double)run->rounds : 0);
    train_ledger_table(&run->ledger);
    if (run->saved + run->unsaved > 0)
        printf("checkpoints written %ld, failed %ld\n", run->saved, run->unsaved);
    if (train_simulates_lies(run))
        printf("lies %ld, caught %ld, honest workers blamed %ld\n", run->glance.lies, run->glance.caught,
               run->glance.blamed_wrongly);
}

static void train_summary(train_run *run, draco_status status, int complete, const char *model) {
    double each = run->rounds ? run->server_seconds / (double)run->rounds : 0;
    double seconds = train_seconds(run);
    FILE *to = run->metrics.line;
    char line[64];
    if (to) {
        fprintf(to, "{\"event\":\"end\"");
        train_json_text(to, "status", draco_status_text(status));
        if (status < 0 && run->reason[0]) train_json_text(to, "reason", run->reason);
        train_json_text(to, "model_digest", model);
        train_json_number(to, "train_seconds", seconds);
        train_json_number(to, "server_seconds_per_step", each);
        train_json_number(to, "accuracy", run->test.accuracy);
        train_json_number(to, "loss", run->test.loss);
        fprintf(to, ",\"updates\":%llu,\"bytes_in\":%llu",
                (unsigned long long)(run->trainer.first_update + run->trainer.updates),
                (unsigned long long)run->bytes_in);
        if (train_simulates_lies(run))
            fprintf(to, ",\"lies\":%ld,\"caught\":%ld,\"blamed_wrongly\":%ld", run->glance.lies,
                    run->glance.caught, run->glance.blamed_wrongly);
        train_ledger_json(to, &run->ledger, "");
        train_metrics_write(&run->metrics);
    }
    if (strcmp(run->o->progress, "none") != 0) train_totals(run, seconds, each);
    snprintf(line, sizeof line, "model%s %s", complete ? "" : " so far", model);
    train_log_write(TRAIN_INFO, line);
    printf("%s\n", line);
}

#endif /* TRAIN_REPORT_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
