/* train_trail.h - an audit trail: what happened in every round as a line of JSON that holds the digest of the line
   before, so that no line can be changed, left out or put in without a trace.

       {"before":"<64 digits>","event":"start","format":1,"server":0,"servers":1,"step":0,"contract":"model=...\n"}
       {"before":"...","event":"resume", ... the same, when a run goes on
       {"before":"...","event":"round","step":0,"attempt":0,"status":0,"plan":"<16 digits>","present":15,
           "verdicts":"..B..","residual":0,"sum":"<64 digits>","parameters":"<64 digits>"}
       {"before":"...","event":"end","step":200,"status":0}

   verdicts: a letter for each worker: . agrees, B blamed, S suspected, M malformed, A absent, ? undecided. sum: of the
   decoded sum as the optimizer got it, parameters: after the step; both of the server's shard, little-endian floats,
   zeros when the round failed. Digests are BLAKE2b of 32 bytes. The reader takes lines in exactly this form. */
#ifndef TRAIN_TRAIL_H
#define TRAIN_TRAIL_H

#include "train_blake2b.h"

#include "draco.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRAIN_TRAIL_LINE 20000 /* the longest line with its newline */
#define TRAIN_TRAIL_CONTRACT 4096

typedef enum train_trail_event {
    TRAIN_TRAIL_START,
    TRAIN_TRAIL_RESUME,
    TRAIN_TRAIL_ROUND,
    TRAIN_TRAIL_END
} train_trail_event;

static const char *const train_trail_events[] = {"start", "resume", "round", "end"};

typedef struct train_trail_line {
    char before[TRAIN_DIGEST_HEX];
    train_trail_event event;
    uint64_t step, attempt, present, server, servers, plan;
    int64_t status;
    double residual;
    char verdicts[DRACO_MAX_WORKERS + 1];
    char sum[TRAIN_DIGEST_HEX], parameters[TRAIN_DIGEST_HEX];
    char contract[TRAIN_TRAIL_CONTRACT];
} train_trail_line;

/* ---- Writing ---- */

/* Returns its length without a newline. */
static size_t train_trail_write(const train_trail_line *l, char text[TRAIN_TRAIL_LINE]) {
    const size_t room = TRAIN_TRAIL_LINE;
    size_t used = (size_t)snprintf(text, room, "{\"before\":\"%s\",\"event\":\"%s\"", l->before,
                                   train_trail_events[l->event]);
    if (l->event == TRAIN_TRAIL_ROUND) {
        used += (size_t)snprintf(
            text + used, room - used,
            ",\"step\":%llu,\"attempt\":%llu,\"status\":%lld,\"plan\":\"%016llx\",\"present\":%llu,"
            "\"verdicts\":\"%s\",\"residual\":%.9g,\"sum\":\"%s\",\"parameters\":\"%s\"}",
            (unsigned long long)l->step, (unsigned long long)l->attempt, (long long)l->status,
            (unsigned long long)l->plan, (unsigned long long)l->present, l->verdicts, l->residual, l->sum,
            l->parameters);
    } else if (l->event == TRAIN_TRAIL_END) {
        used += (size_t)snprintf(text + used, room - used, ",\"step\":%llu,\"status\":%lld}",
                                 (unsigned long long)l->step, (long long)l->status);
    } else {
        used += (size_t)snprintf(
            text + used, room - used,
            ",\"format\":1,\"server\":%llu,\"servers\":%llu,\"step\":%llu,\"contract\":\"",
            (unsigned long long)l->server, (unsigned long long)l->servers, (unsigned long long)l->step);
        for (const char *c = l->contract; *c && used + 8 < room; c++) {
            if (*c == '"' || *c == '\\' || *c == '\n') text[used++] = '\\';
            text[used++] = *c == '\n' ? 'n' : *c;
        }
        memcpy(text + used, "\"}", 3);
        used += 2;
    }
    return used;
}

/* ---- Reading ---- */

typedef struct train_trail_cursor {
    const char *at;
    int bad;
} train_trail_cursor;

static void train_trail_expect(train_trail_cursor *c, const char *words) {
    const size_t length = strlen(words);
    if (!c->bad && strncmp(c->at, words, length) == 0)
        c->at += length;
    else
        c->bad = 1;
}

static uint64_t train_trail_number(train_trail_cursor *c, const char *key) {
    uint64_t value = 0;
    int digits = 0;
    train_trail_expect(c, key);
    while (!c->bad && *c->at >= '0' && *c->at <= '9' && digits++ < 18)
        value = 10 * value + (uint64_t)(*c->at++ - '0');
    c->bad |= digits == 0 || digits > 18;
    return value;
}

static int64_t train_trail_signed(train_trail_cursor *c, const char *key) {
    train_trail_expect(c, key);
    const int negative = !c->bad && *c->at == '-';
    if (negative) c->at++;
    return (int64_t)train_trail_number(c, "") * (negative ? -1 : 1);
}

/* Lower-case hexadecimal digits between quotes. */
static void train_trail_hex(train_trail_cursor *c, const char *key, char *hex, size_t digits) {
    train_trail_expect(c, key);
    if (c->bad || strspn(c->at, "0123456789abcdef") != digits) {
        c->bad = 1;
        return;
    }
    memcpy(hex, c->at, digits);
    hex[digits] = 0;
    c->at += digits;
    train_trail_expect(c, "\"");
}

static void train_trail_contract(train_trail_cursor *c, char contract[TRAIN_TRAIL_CONTRACT]) {
    size_t used = 0;
    train_trail_expect(c, ",\"contract\":\"");
    while (!c->bad && *c->at && *c->at != '"') {
        char next = *c->at++;
        if (next == '\\') {
            next = *c->at == 'n' ? '\n' : *c->at;
            c->bad |= *c->at != 'n' && *c->at != '"' && *c->at != '\\';
            if (!c->bad) c->at++;
        } else if (next < ' ' || next == 127) {
            c->bad = 1;
        }
        if (used + 1 >= TRAIN_TRAIL_CONTRACT) c->bad = 1;
        if (!c->bad) contract[used++] = next;
    }
    contract[used] = 0;
    train_trail_expect(c, "\"");
}

static void train_trail_round(train_trail_cursor *c, train_trail_line *l) {
    char plan[17] = "";
    size_t letters;
    char *end = NULL;
    l->step = train_trail_number(c, ",\"step\":");
    l->attempt = train_trail_number(c, ",\"attempt\":");
    l->status = train_trail_signed(c, ",\"status\":");
    train_trail_hex(c, ",\"plan\":\"", plan, 16);
    l->plan = strtoull(plan, NULL, 16);
    l->present = train_trail_number(c, ",\"present\":");
    train_trail_expect(c, ",\"verdicts\":\"");
    letters = c->bad ? 0 : strspn(c->at, ".BSMA?");
    c->bad |= letters == 0 || letters > DRACO_MAX_WORKERS || l->present > letters;
    if (!c->bad) memcpy(l->verdicts, c->at, letters);
    l->verdicts[c->bad ? 0 : letters] = 0;
    c->at += c->bad ? 0 : letters;
    train_trail_expect(c, "\",\"residual\":");
    if (!c->bad && strncmp(c->at, "inf", 3) != 0 && strncmp(c->at, "nan", 3) != 0)
        l->residual = strtod(c->at, &end);
    c->bad |= !end || end == c->at;
    if (!c->bad) c->at = end;
    train_trail_hex(c, ",\"sum\":\"", l->sum, 2 * TRAIN_DIGEST);
    train_trail_hex(c, ",\"parameters\":\"", l->parameters, 2 * TRAIN_DIGEST);
}

/* A line without its newline, with a final zero. Returns 1 when it is in this form, else 0. */
static int train_trail_parse(const char *text, train_trail_line *l) {
    train_trail_cursor c = {text, 0};
    size_t event = 0;
    memset(l, 0, sizeof *l);
    train_trail_hex(&c, "{\"before\":\"", l->before, 2 * TRAIN_DIGEST);
    train_trail_expect(&c, ",\"event\":\"");
    if (c.bad) return 0;
    while (event < 4 && (strncmp(c.at, train_trail_events[event], strlen(train_trail_events[event])) != 0 ||
                         c.at[strlen(train_trail_events[event])] != '"'))
        event++;
    if (event == 4) return 0;
    l->event = (train_trail_event)event;
    c.at += strlen(train_trail_events[event]) + 1;
    if (l->event == TRAIN_TRAIL_ROUND) {
        train_trail_round(&c, l);
    } else if (l->event == TRAIN_TRAIL_END) {
        l->step = train_trail_number(&c, ",\"step\":");
        l->status = train_trail_signed(&c, ",\"status\":");
    } else {
        train_trail_expect(&c, ",\"format\":1");
        l->server = train_trail_number(&c, ",\"server\":");
        l->servers = train_trail_number(&c, ",\"servers\":");
        l->step = train_trail_number(&c, ",\"step\":");
        train_trail_contract(&c, l->contract);
        c.bad |= l->servers < 1 || l->servers > 64 || l->server >= l->servers;
    }
    train_trail_expect(&c, "}");
    return !c.bad && *c.at == 0;
}

/* Reads a trail line by line and checks that each follows from the one before. */
typedef struct train_trail {
    FILE *file;
    uint64_t lines;              /* read so far */
    char head[TRAIN_DIGEST_HEX]; /* digest of the last of them; zeros before the first */
    uint64_t step;               /* the next that a round may be of */
    int begun, ended;
    long whole;    /* bytes of the lines so far */
    char why[200]; /* what is wrong with the line after the last */
} train_trail;

static void train_trail_begin(train_trail *t, FILE *file) {
    memset(t, 0, sizeof *t);
    t->file = file;
    memset(t->head, '0', 2 * TRAIN_DIGEST);
}

__attribute__((format(printf, 2, 3))) static int train_trail_wrong(train_trail *t, const char *format, ...) {
    va_list values;
    int used = snprintf(t->why, sizeof t->why, "line %llu: ", (unsigned long long)t->lines + 1);
    va_start(values, format);
    vsnprintf(t->why + used, sizeof t->why - (size_t)used, format, values);
    va_end(values);
    return -1;
}

/* Is this line, which is whole, the one that may come now? */
static int train_trail_follows(train_trail *t, const train_trail_line *l) {
    if (strcmp(l->before, t->head) != 0)
        return train_trail_wrong(
            t, "it does not follow from the line before: one of the two was changed, or lines are "
               "missing between them");
    if (t->ended && l->event != TRAIN_TRAIL_RESUME) return train_trail_wrong(t, "the run had ended");
    if (!t->begun && l->event != TRAIN_TRAIL_START)
        return train_trail_wrong(t, "a trail begins with its start");
    if (l->event == TRAIN_TRAIL_START && l->step != 0)
        return train_trail_wrong(t, "a start at another step than the first");
    if (t->begun && l->event == TRAIN_TRAIL_START) return train_trail_wrong(t, "a second start");
    if (l->event == TRAIN_TRAIL_RESUME && l->step > t->step)
        return train_trail_wrong(t, "it goes on from step %llu, and step %llu is missing",
                                 (unsigned long long)l->step + 1, (unsigned long long)t->step + 1);
    if (l->event == TRAIN_TRAIL_ROUND && (l->step > t->step || l->step + 1 < t->step))
        return train_trail_wrong(t, "a round of step %llu, where step %llu was due",
                                 (unsigned long long)l->step + 1, (unsigned long long)t->step + 1);
    return 0;
}

/* 1: a line was read; 0: the trail is over; -1: something is wrong, and t->why says what and in which line. */
static int train_trail_next(train_trail *t, train_trail_line *l) {
    static char text[TRAIN_TRAIL_LINE + 1];
    size_t length;
    if (!fgets(text, sizeof text, t->file))
        return ferror(t->file) ? train_trail_wrong(t, "cannot be read") : 0;
    length = strlen(text);
    if (length == 0 || text[length - 1] != '\n')
        return train_trail_wrong(t, feof(t->file)
                                        ? "it is not whole: the program died, or the end was cut off"
                                        : "it is longer than a line of a trail");
    text[--length] = 0;
    if (!train_trail_parse(text, l)) return train_trail_wrong(t, "it is not in the form of a trail");
    if (train_trail_follows(t, l) != 0) return -1;
    train_blake2b_hex(text, length, t->head);
    t->begun = 1;
    t->ended = l->event == TRAIN_TRAIL_END;
    if (l->event == TRAIN_TRAIL_ROUND)
        t->step = l->step + 1;
    else if (l->event != TRAIN_TRAIL_END)
        t->step = l->step;
    t->lines++;
    t->whole = ftell(t->file);
    return 1;
}

#endif /* TRAIN_TRAIL_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
