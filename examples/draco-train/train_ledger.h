/* train_ledger.h - what each worker did over the whole run, counted: which machine is it?

   A worker is in every round one of: present, and then perhaps blamed (proved), suspected or malformed as well; or
   absent, and then gone (the transport knows that it is dead, or waits for it no longer), slow (the deadline passed)
   or late (the round had enough without it, which is no fault). Beside that: when it joined, was lost or refused,
   with the last reasons, from the lines that the transport tells; and the seconds of its replies.

   The ledger goes into the checkpoint, so that a run that goes on counts on. Threads: transports tell their lines
   on threads of their own; everything else is called by one. */
#ifndef TRAIN_LEDGER_H
#define TRAIN_LEDGER_H

#include "train_arrivals.h"

#include "draco.h"

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The kinds that are counted. The first six are what a line on the screen may say of a worker in one round. */
typedef enum train_kind_of_round {
    TRAIN_BLAMES,
    TRAIN_SUSPECTS,
    TRAIN_MALFORMS,
    TRAIN_GOES,
    TRAIN_SLOWS,
    TRAIN_LATES,
    TRAIN_ROUND_KINDS,
    TRAIN_PRESENT = TRAIN_ROUND_KINDS,
    TRAIN_JOINS,
    TRAIN_LOSSES,
    TRAIN_REFUSALS,
    TRAIN_COUNTS
} train_kind_of_round;

static const struct train_ledger_word {
    const char *key, *said; /* in JSON; on the screen */
} train_ledger_words[TRAIN_COUNTS] = {
    {"blamed", "blamed"},         {"suspected", "suspected"}, {"malformed", "malformed"}, {"gone", "gone"},
    {"slow", "no reply in time"}, {"late", "always late"},    {"present", "present"},     {"joins", "joins"},
    {"losses", "losses"},         {"refusals", "refusals"},
};

#define TRAIN_PATIENCE 20 /* rounds in a row that a worker is late before a line says so */
#define TRAIN_EVENTS 4    /* reasons that are kept of a worker, the last ones */
#define TRAIN_REASON 160
#define TRAIN_ADDRESS 64
#define TRAIN_RECENT 240  /* rounds of which it is kept what each worker did; fewer with many workers */
#define TRAIN_CELLS 98304 /* rounds times workers of these, at most */
#define TRAIN_BUCKETS 256 /* of seconds: from 10 microseconds on, eight to a doubling */

typedef struct train_event {
    uint64_t kind; /* TRAIN_JOINS, TRAIN_LOSSES or TRAIN_REFUSALS; TRAIN_COUNTS: none */
    double time;   /* seconds since 1970 */
    char text[TRAIN_REASON];
} train_event;

typedef struct train_ledger_row { /* of one worker */
    uint64_t count[TRAIN_COUNTS];
    uint64_t timed; /* replies whose seconds are in the next two */
    double seconds; /* their sum */
    uint32_t bucket[TRAIN_BUCKETS];
    double first, last;                 /* when it replied, seconds since 1970; 0: never */
    uint64_t first_blamed, last_blamed; /* steps, if it was blamed */
    char address[TRAIN_ADDRESS];
    train_event event[TRAIN_EVENTS]; /* the newest first */
    /* Of this process alone. */
    uint64_t since;      /* step of the first round of `running` */
    long running;        /* rounds in a row that it has been absent */
    unsigned char now;   /* 1 + kind in the last round, 0: none of them */
    unsigned char shown; /* what the last line said */
} train_ledger_row;

typedef struct train_ledger {
    int n;
    uint64_t rounds;
    train_ledger_row *row;
    int returned;          /* a worker that was away has replied; the owner sets it to 0 */
    double last, gap;      /* when the last line was printed; seconds until the next may be */
    pthread_mutex_t mutex; /* of what train_ledger_told writes */
    /* Optional: what the transport calls a worker, besides its number. */
    void (*name)(const void *ctx, int worker, char *text, size_t capacity);
    const void *name_ctx;
    uint8_t *packed; /* for the checkpoint */
    /* The last rounds of this process: number r of `noted` lies at r % keep: its step, and n kinds (TRAIN_COUNTS: it
       was not asked). */
    int keep;
    uint64_t noted, recent_step[TRAIN_RECENT];
    unsigned char *recent;
} train_ledger;

/* Bytes of a row in a checkpoint. */
#define TRAIN_LEDGER_ROW                                                                                     \
    (8 * (TRAIN_COUNTS + 6) + 4 * TRAIN_BUCKETS + TRAIN_ADDRESS + TRAIN_EVENTS * (16 + TRAIN_REASON))

static size_t train_ledger_bytes(const train_ledger *l) {
    return 8 + (size_t)l->n * TRAIN_LEDGER_ROW;
}

/* Returns 1 without memory. */
static int train_ledger_open(train_ledger *l, int n) {
    memset(l, 0, sizeof *l);
    l->n = n;
    pthread_mutex_init(&l->mutex, NULL);
    l->row = calloc((size_t)n, sizeof *l->row);
    l->packed = calloc(1, train_ledger_bytes(l));
    l->keep = n <= TRAIN_CELLS / TRAIN_RECENT ? TRAIN_RECENT : TRAIN_CELLS / n;
    l->recent = calloc((size_t)l->keep, (size_t)n);
    for (int i = 0; l->row && i < n; i++)
        for (int k = 0; k < TRAIN_EVENTS; k++) l->row[i].event[k].kind = TRAIN_COUNTS;
    return !l->row || !l->packed || !l->recent;
}

static void train_ledger_close(train_ledger *l) {
    free(l->row);
    free(l->packed);
    free(l->recent);
    l->row = NULL;
    l->packed = l->recent = NULL;
}

/* A copy that stays as it is, for another thread; `copy` was opened with as many workers. */
__attribute__((unused)) static void train_ledger_copy(train_ledger *copy, train_ledger *l) {
    pthread_mutex_lock(&l->mutex);
    copy->rounds = l->rounds;
    copy->noted = l->noted;
    copy->name = l->name;
    copy->name_ctx = l->name_ctx;
    memcpy(copy->row, l->row, (size_t)l->n * sizeof *l->row);
    memcpy(copy->recent_step, l->recent_step, sizeof l->recent_step);
    memcpy(copy->recent, l->recent, (size_t)l->keep * (size_t)l->n);
    pthread_mutex_unlock(&l->mutex);
}

static double train_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- What the transport tells ---- */

/* Words of the transports' lines about a worker. The first that a line has decides. */
static const struct {
    const char *words;
    train_kind_of_round kind;
} train_ledger_lines[] = {
    {"refused", TRAIN_REFUSALS},    {"joined from ", TRAIN_JOINS},    {"came late", TRAIN_JOINS},
    {"answers again", TRAIN_JOINS}, {"lost ", TRAIN_LOSSES},          {"cut ", TRAIN_LOSSES},
    {"is cut off", TRAIN_LOSSES},   {" is gone", TRAIN_LOSSES},       {" left", TRAIN_LOSSES},
    {"did not come", TRAIN_LOSSES}, {"not waited for", TRAIN_LOSSES},
};

/* The worker that a line is about: "worker 3 ...", "lost worker 3 ..." or "refused <address>: worker 3 ..."; -1: none.
   *rest: what follows. */
static int train_ledger_about(const train_ledger *l, const char *line, const char **rest) {
    const char *at = line + strcspn(line, " ");
    int worker = -1, used = 0;
    if (strncmp(line, "worker ", 7) == 0)
        at = line;
    else if (strncmp(at, " worker ", 8) == 0)
        at++;
    else if (strncmp(line, "refused ", 8) == 0 && (at = strstr(line, ": worker ")) != NULL)
        at += 2;
    else
        return -1;
    if (sscanf(at, "worker %d%n", &worker, &used) != 1 || worker < 0 || worker >= l->n) return -1;
    *rest = at + used + strspn(at + used, ": ");
    return worker;
}

static void train_ledger_told(void *ctx, const char *line) {
    train_ledger *l = ctx;
    const char *rest = "", *from;
    const int worker = train_ledger_about(l, line, &rest);
    train_ledger_row *row = worker >= 0 ? &l->row[worker] : NULL;
    for (size_t i = 0; row && i < sizeof train_ledger_lines / sizeof *train_ledger_lines; i++) {
        if (!strstr(line, train_ledger_lines[i].words)) continue;
        pthread_mutex_lock(&l->mutex);
        row->count[train_ledger_lines[i].kind]++;
        memmove(row->event + 1, row->event, (TRAIN_EVENTS - 1) * sizeof *row->event);
        row->event[0].kind = train_ledger_lines[i].kind;
        row->event[0].time = train_clock();
        snprintf(row->event[0].text, TRAIN_REASON, "%s", rest);
        from = strstr(rest, "joined from ");
        if (from) snprintf(row->address, TRAIN_ADDRESS, "%s", from + strlen("joined from "));
        pthread_mutex_unlock(&l->mutex);
        return;
    }
}

/* "rank 4", "worker-3", "worker-3, ipv4:10.0.0.4:4711" or nothing. */
static void train_ledger_name(train_ledger *l, int worker, char *text, size_t capacity) {
    size_t used;
    text[0] = 0;
    if (l->name) l->name(l->name_ctx, worker, text, capacity);
    used = strlen(text);
    pthread_mutex_lock(&l->mutex);
    if (l->row[worker].address[0])
        train_append(text, capacity, &used, "%s%s", used ? ", " : "", l->row[worker].address);
    pthread_mutex_unlock(&l->mutex);
}

/* ---- After a round ---- */

static int train_ledger_bucket(double seconds) {
    const double eighths = seconds > 1e-5 ? 8 * log2(seconds / 1e-5) : 0;
    return eighths < TRAIN_BUCKETS - 1 ? (int)eighths : TRAIN_BUCKETS - 1;
}

/* Seconds that this share of the replies did not exceed: the upper end of a bucket, 9 % too much at most; -1: none. */
static double train_ledger_quantile(const train_ledger_row *row, double share) {
    uint64_t all = 0, below = 0;
    for (int b = 0; b < TRAIN_BUCKETS; b++) all += row->bucket[b];
    if (all == 0) return -1;
    for (int b = 0; b < TRAIN_BUCKETS; b++) {
        below += row->bucket[b];
        if ((double)below >= share * (double)all) return 1e-5 * exp2((b + 1) / 8.0);
    }
    return -1;
}

/* What a verdict and a reply's end come to; TRAIN_PRESENT: nothing is wrong. */
static train_kind_of_round train_ledger_kind(draco_verdict verdict, unsigned how) {
    switch (verdict) {
    case DRACO_BLAMED:
        return TRAIN_BLAMES;
    case DRACO_SUSPECTED:
        return TRAIN_SUSPECTS;
    case DRACO_MALFORMED:
        return TRAIN_MALFORMS;
    case DRACO_ABSENT:
        return how == TRAIN_GONE ? TRAIN_GOES : how == TRAIN_LATE ? TRAIN_LATES : TRAIN_SLOWS;
    case DRACO_UNDECIDED: /* a challenge or a reactive code had enough without it, and asked it nothing more */
        return how == TRAIN_LATE ? TRAIN_LATES : TRAIN_PRESENT;
    default:
        return TRAIN_PRESENT;
    }
}

static void train_ledger_count(train_ledger *l, train_ledger_row *row, uint64_t step,
                               train_kind_of_round kind, double seconds) {
    const int absent = kind == TRAIN_GOES || kind == TRAIN_SLOWS || kind == TRAIN_LATES;
    row->count[kind]++;
    if (!absent && kind != TRAIN_PRESENT) row->count[TRAIN_PRESENT]++;
    if (absent && row->running++ == 0) row->since = step;
    if (!absent) {
        l->returned |= row->running > 0 && row->now > 0;
        row->running = 0;
        row->last = train_clock();
        if (row->first <= 0) row->first = row->last;
    }
    if (kind == TRAIN_BLAMES) {
        if (row->count[kind] == 1) row->first_blamed = step;
        row->last_blamed = step;
    }
    if (seconds >= 0) {
        row->timed++;
        row->seconds += seconds;
        row->bucket[train_ledger_bucket(seconds)]++;
    }
    row->now = (unsigned char)(kind == TRAIN_PRESENT || (kind == TRAIN_LATES && row->running < TRAIN_PATIENCE)
                                   ? 0
                                   : kind + 1);
}

/* out: workers that are asked no more, whose absence is not theirs; may be NULL. Returns 1 when other workers than before
   are blamed, suspected, malformed or absent. */
static int train_ledger_round(train_ledger *l, uint64_t step, const draco_verdict *verdicts,
                              train_arrivals *a, const unsigned char *out) {
    int changed = 0;
    unsigned char *note;
    pthread_mutex_lock(&l->mutex);
    l->rounds++;
    l->recent_step[l->noted % (uint64_t)l->keep] = step;
    note = l->recent + (size_t)(l->noted++ % (uint64_t)l->keep) * (size_t)l->n;
    for (int i = 0; i < l->n; i++) {
        const train_kind_of_round kind = train_ledger_kind(verdicts[i], a->how[i]);
        const int asked = (!out || !out[i] || verdicts[i] == DRACO_BLAMED) &&
                          (verdicts[i] != DRACO_UNDECIDED || a->how[i] != TRAIN_WAITED);
        note[i] = (unsigned char)(asked ? kind : TRAIN_COUNTS);
        if (asked)
            train_ledger_count(l, &l->row[i], step, kind, a->seconds[i]);
        else
            l->row[i].now = 0;
        changed |= l->row[i].now != l->row[i].shown;
    }
    pthread_mutex_unlock(&l->mutex);
    train_arrivals_reset(a);
    return changed;
}

/* Was anybody blamed, in this process or an earlier one of the run? */
static int train_ledger_blames(const train_ledger *l) {
    uint64_t blamed = 0;
    for (int i = 0; i < l->n; i++) blamed += l->row[i].count[TRAIN_BLAMES];
    return blamed > 0;
}

/* ---- In a checkpoint: little-endian numbers ---- */

typedef struct train_tape {
    uint8_t *at;
    int reading;
} train_tape;

static void train_tape_number(train_tape *t, uint64_t *value, int bytes) {
    if (t->reading) *value = 0;
    for (int i = 0; i < bytes; i++) {
        if (t->reading)
            *value |= (uint64_t)*t->at++ << 8 * i;
        else
            *t->at++ = (uint8_t)(*value >> 8 * i);
    }
}

static void train_tape_real(train_tape *t, double *value) {
    uint64_t bits;
    memcpy(&bits, value, sizeof bits);
    train_tape_number(t, &bits, 8);
    memcpy(value, &bits, sizeof bits);
    if (!isfinite(*value)) *value = 0;
}

/* What is read is text that may be printed. */
static void train_tape_text(train_tape *t, char *text, size_t bytes) {
    memcpy(t->reading ? (void *)text : (void *)t->at, t->reading ? (void *)t->at : (void *)text, bytes);
    t->at += bytes;
    text[bytes - 1] = 0;
    for (size_t i = 0; text[i]; i++)
        if (text[i] < ' ' || text[i] == 127) text[i] = ' ';
}

static void train_ledger_tape(train_ledger *l, int reading) {
    train_tape t = {l->packed, reading};
    pthread_mutex_lock(&l->mutex);
    train_tape_number(&t, &l->rounds, 8);
    for (int i = 0; i < l->n; i++) {
        train_ledger_row *row = &l->row[i];
        for (int k = 0; k < TRAIN_COUNTS; k++) train_tape_number(&t, &row->count[k], 8);
        train_tape_number(&t, &row->timed, 8);
        train_tape_real(&t, &row->seconds);
        train_tape_real(&t, &row->first);
        train_tape_real(&t, &row->last);
        train_tape_number(&t, &row->first_blamed, 8);
        train_tape_number(&t, &row->last_blamed, 8);
        for (int b = 0; b < TRAIN_BUCKETS; b++) {
            uint64_t many = row->bucket[b];
            train_tape_number(&t, &many, 4);
            row->bucket[b] = (uint32_t)many;
        }
        train_tape_text(&t, row->address, TRAIN_ADDRESS);
        for (int k = 0; k < TRAIN_EVENTS; k++) {
            train_tape_number(&t, &row->event[k].kind, 8);
            train_tape_real(&t, &row->event[k].time);
            train_tape_text(&t, row->event[k].text, TRAIN_REASON);
            if (row->event[k].kind < TRAIN_JOINS || row->event[k].kind > TRAIN_COUNTS)
                row->event[k].kind = TRAIN_COUNTS;
        }
    }
    pthread_mutex_unlock(&l->mutex);
}

#endif /* TRAIN_LEDGER_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
