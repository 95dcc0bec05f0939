/* train_ledger_show.h - the ledger for people and programs: a line when the set of workers changes, a table at the
   end, JSON. */
#ifndef TRAIN_LEDGER_SHOW_H
#define TRAIN_LEDGER_SHOW_H

#include "train_ledger.h"
#include "train_metrics.h"

#define TRAIN_LISTED 8      /* workers that a line names of each kind; the others are counted */
#define TRAIN_TABLE 16      /* rows of the table at the end; the others are counted */
#define TRAIN_LINE_GAP 60.0 /* seconds, the longest between two lines about a set that keeps changing */
#define TRAIN_LINE_CAPACITY 2048

/* ---- A line ---- */

/* Lines about a set that changes all the time come at intervals of 1, 2, 4, ... 60 seconds. */
static int train_ledger_due(train_ledger *l) {
    double now = train_now(), passed = l->last > 0 ? now - l->last : 1e9;
    if (passed < l->gap) return 0;
    l->gap = passed > 4 * l->gap ? 1 : 2 * l->gap;
    if (l->gap > TRAIN_LINE_GAP) l->gap = TRAIN_LINE_GAP;
    l->last = now;
    for (int i = 0; i < l->n; i++) l->row[i].shown = l->row[i].now;
    return 1;
}

/* The last round: "blamed: worker 3 (rank 4), worker 5 (rank 6) and 2 more; gone: worker 9 (rank 10)". An empty text
   when there is nothing to say; cut where the capacity ends. */
static void train_ledger_line(train_ledger *l, char *text, size_t capacity) {
    size_t used = 0;
    text[0] = 0;
    for (int k = 0; k < TRAIN_ROUND_KINDS; k++) {
        int count = 0;
        for (int i = 0; i < l->n; i++) {
            char name[160];
            if (l->row[i].now != k + 1 || count++ >= TRAIN_LISTED) continue;
            if (count == 1)
                train_append(text, capacity, &used, "%s%s: ", used ? "; " : "", train_ledger_words[k].said);
            train_ledger_name(l, i, name, sizeof name);
            train_append(text, capacity, &used, name[0] ? "%sworker %d (%s)" : "%sworker %d",
                         count > 1 ? ", " : "", i, name);
        }
        if (count > TRAIN_LISTED) train_append(text, capacity, &used, " and %d more", count - TRAIN_LISTED);
    }
}

/* ---- The table ---- */

/* How much there is to say of a worker: blame first. 0: nothing. That others were faster is nothing, unless they
   always were. */
static double train_ledger_weight(const train_ledger *l, const train_ledger_row *row) {
    static const double weight[TRAIN_COUNTS] = {
        [TRAIN_BLAMES] = 1e9, [TRAIN_MALFORMS] = 1e6, [TRAIN_SUSPECTS] = 1e3, [TRAIN_GOES] = 1,
        [TRAIN_SLOWS] = 1,    [TRAIN_LOSSES] = 1,     [TRAIN_REFUSALS] = 1};
    double sum = 0;
    for (int k = 0; k < TRAIN_COUNTS; k++) sum += weight[k] * (double)row->count[k];
    return sum > 0 ? sum : row->count[TRAIN_LATES] > l->rounds / 2 ? 0.5 : 0;
}

static void train_ledger_seconds(double seconds, char text[16]) {
    snprintf(text, 16, seconds >= 0 ? "%.4f" : "-", seconds);
}

static void train_ledger_table_row(train_ledger *l, int worker) {
    const train_ledger_row *row = &l->row[worker];
    char mean[16], most[16], name[160], label[192];
    train_ledger_name(l, worker, name, sizeof name);
    snprintf(label, sizeof label, name[0] ? "%d (%s)" : "%d", worker, name);
    train_ledger_seconds(row->timed ? row->seconds / (double)row->timed : -1, mean);
    train_ledger_seconds(train_ledger_quantile(row, 0.99), most);
    printf("%-16s", label);
    for (int k = 0; k < TRAIN_COUNTS; k++) {
        const int order[TRAIN_COUNTS] = {TRAIN_PRESENT, TRAIN_BLAMES,  TRAIN_SUSPECTS, TRAIN_MALFORMS,
                                         TRAIN_GOES,    TRAIN_SLOWS,   TRAIN_LATES,    TRAIN_JOINS,
                                         TRAIN_LOSSES,  TRAIN_REFUSALS};
        printf(" %7llu", (unsigned long long)row->count[order[k]]);
    }
    printf(" %8s %8s\n", mean, most);
    if (row->count[TRAIN_BLAMES])
        printf("    blamed from step %llu to step %llu\n", (unsigned long long)row->first_blamed + 1,
               (unsigned long long)row->last_blamed + 1);
    if (row->now && row->running) printf("    absent since step %llu\n", (unsigned long long)row->since + 1);
    for (int k = 0; k < TRAIN_EVENTS; k++) {
        const uint64_t kind = row->event[k].kind;
        if (kind == TRAIN_LOSSES || kind == TRAIN_REFUSALS)
            printf("    %s: %s\n", kind == TRAIN_LOSSES ? "lost" : "refused", row->event[k].text);
    }
}

/* The workers of which there is something to say, the worst first. Nothing when there are none. */
static void train_ledger_table(train_ledger *l) {
    int shown = 0, more = 0;
    double below = INFINITY;
    for (int i = 0; i < l->n; i++) more += train_ledger_weight(l, &l->row[i]) > 0;
    if (more == 0) return;
    printf("%llu rounds, and the workers of which there is something to say:\n"
           "%-16s %7s %7s %7s %7s %7s %7s %7s %7s %7s %7s %8s %8s\n",
           (unsigned long long)l->rounds, "worker", "present", "blamed", "suspect", "malform", "gone", "slow",
           "late", "joined", "lost", "refused", "mean s", "99% s");
    while (shown < TRAIN_TABLE && more > 0) {
        double next = 0;
        for (int i = 0; i < l->n; i++) {
            const double w = train_ledger_weight(l, &l->row[i]);
            if (w < below && w > next) next = w;
        }
        for (int i = 0; i < l->n && shown < TRAIN_TABLE; i++) {
            const double w = train_ledger_weight(l, &l->row[i]);
            if (w < next || w > next) continue;
            train_ledger_table_row(l, i);
            shown++;
            more--;
        }
        below = next;
    }
    if (more > 0) printf("and %d workers more, all in the file of --ledger\n", more);
}

/* ---- JSON ---- */

static void train_ledger_time(FILE *to, const char *key, double time) {
    char text[40];
    const time_t whole = (time_t)time;
    struct tm utc;
    if (time <= 0 || !gmtime_r(&whole, &utc) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        fprintf(to, ",\"%s\":null", key);
    else
        train_json_text(to, key, text);
}

static void train_ledger_json_row(FILE *to, train_ledger *l, int worker) {
    const train_ledger_row *row = &l->row[worker];
    const char *comma = "";
    char name[160] = "";
    if (l->name) l->name(l->name_ctx, worker, name, sizeof name);
    fprintf(to, "{\"worker\":%d", worker);
    train_json_text(to, "name", name);
    pthread_mutex_lock(&l->mutex);
    train_json_text(to, "address", row->address);
    for (int k = 0; k < TRAIN_COUNTS; k++)
        fprintf(to, ",\"%s\":%llu", train_ledger_words[k].key, (unsigned long long)row->count[k]);
    if (row->count[TRAIN_BLAMES])
        fprintf(to, ",\"first_blamed\":%llu,\"last_blamed\":%llu", (unsigned long long)row->first_blamed,
                (unsigned long long)row->last_blamed);
    train_json_number(to, "mean_seconds", row->timed ? row->seconds / (double)row->timed : NAN);
    train_json_number(to, "p99_seconds", row->timed ? train_ledger_quantile(row, 0.99) : NAN);
    train_ledger_time(to, "first_reply", row->first);
    train_ledger_time(to, "last_reply", row->last);
    fputs(",\"events\":[", to);
    for (int k = TRAIN_EVENTS - 1; k >= 0; k--) {
        if (row->event[k].kind == TRAIN_COUNTS) continue;
        fprintf(to, "%s{\"event\":\"%s\"", comma, train_ledger_words[row->event[k].kind].key);
        train_ledger_time(to, "time", row->event[k].time);
        train_json_text(to, "text", row->event[k].text);
        fputc('}', to);
        comma = ",";
    }
    pthread_mutex_unlock(&l->mutex);
    fputs("]}", to);
}

/* "rounds":...,"workers":[...], with a comma before when it is not the first of an object. */
static void train_ledger_json(FILE *to, train_ledger *l, const char *separator) {
    fprintf(to, ",\"rounds\":%llu,\"workers\":[%s", (unsigned long long)l->rounds, separator);
    for (int i = 0; i < l->n; i++) {
        if (i > 0) fprintf(to, ",%s", separator);
        train_ledger_json_row(to, l, i);
    }
    fputs("]", to);
}

/* A line of the metrics: the ledger as it is after `step` steps. */
static void train_metrics_ledger(train_metrics *m, uint64_t step, train_ledger *l) {
    if (!m->line) return;
    fprintf(m->line, "{\"event\":\"ledger\",\"step\":%llu", (unsigned long long)step);
    train_ledger_json(m->line, l, "");
    train_metrics_write(m);
}

/* Returns 1 after a line on stderr. */
static int train_ledger_write(const char *path, train_ledger *l) {
    FILE *to = fopen(path, "w");
    int ok = to != NULL;
    if (ok) {
        fputs("{\"format\":1", to);
        train_ledger_json(to, l, "\n");
        fputs("}\n", to);
        ok = !ferror(to);
        ok &= fclose(to) == 0;
    }
    if (!ok) train_log(TRAIN_ERROR, "%s: %s", path, strerror(errno));
    return !ok;
}

#endif /* TRAIN_LEDGER_SHOW_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
