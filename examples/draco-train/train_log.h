/* train_log.h - lines about a run: on stderr for who watches it, in a file for who did not.

   On stderr a line is "draco-train: TEXT". In the file of --log each has the time, a level, who says it and the step
   that it is at, as text or as JSON. --log=- puts these lines on stderr instead. A line is written whole, by one call;
   any thread may call. */
#ifndef TRAIN_LOG_H
#define TRAIN_LOG_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef enum train_level { TRAIN_INFO, TRAIN_WARNING, TRAIN_ERROR } train_level;

#define TRAIN_LOG_TEXT 4096 /* bytes of a text; what is longer is cut */

static struct train_log_state {
    int file; /* 0: none */
    int json;
    char who[32];           /* "server 0", "worker 3" */
    volatile uint64_t step; /* 0: before the first */
} train_log_state;

static const char *const train_levels[] = {"info", "warning", "error"};

/* "2026-11-26T18:03:38.123Z" */
static void train_log_time(char text[40]) {
    struct timespec t;
    struct tm utc;
    size_t used;
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &utc);
    used = strftime(text, 40, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + used, 40 - used, ".%03dZ", (int)(t.tv_nsec / 1000000));
}

/* A JSON string without its quotes; what is not ASCII becomes a question mark. */
static void train_log_escape(const char *text, char *out, size_t capacity) {
    size_t used = 0;
    for (; *text && used + 8 < capacity; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') out[used++] = '\\';
        if (c < 32)
            used += (size_t)snprintf(out + used, capacity - used, "\\u%04x", c);
        else
            out[used++] = c < 127 ? (char)c : '?';
    }
    out[used] = 0;
}

/* A line in the file alone; text may end in a newline. */
static void train_log_write(train_level level, const char *text) {
    char line[2 * TRAIN_LOG_TEXT + 256], escaped[2 * TRAIN_LOG_TEXT], time[40];
    const int length = (int)strcspn(text, "\n");
    int used;
    if (!train_log_state.file) return;
    train_log_time(time);
    if (train_log_state.json) {
        char plain[TRAIN_LOG_TEXT];
        snprintf(plain, sizeof plain, "%.*s", length, text);
        train_log_escape(plain, escaped, sizeof escaped);
        used = snprintf(line, sizeof line,
                        "{\"time\":\"%s\",\"level\":\"%s\",\"who\":\"%s\",\"step\":%llu,\"text\":\"%s\"}\n",
                        time, train_levels[level], train_log_state.who,
                        (unsigned long long)train_log_state.step, escaped);
    } else {
        used = snprintf(line, sizeof line, "%s %s %s step %llu: %.*s\n", time, train_levels[level],
                        train_log_state.who, (unsigned long long)train_log_state.step, length, text);
    }
    if (used > 0) (void)!write(train_log_state.file, line, (size_t)used);
}

/* A line on stderr and in the file. */
__attribute__((format(printf, 2, 3))) static void train_log(train_level level, const char *format, ...) {
    char text[TRAIN_LOG_TEXT];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (train_log_state.file != STDERR_FILENO) fprintf(stderr, "draco-train: %s\n", text);
    train_log_write(level, text);
}

/* 0, or 2 after a line on stderr. */
static int train_log_open(const char *path, int json, const char *who) {
    int file = STDERR_FILENO;
    if (!path) return 0;
    if (strcmp(path, "-") != 0) file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0) {
        train_log(TRAIN_ERROR, "%s: %s", path, strerror(errno));
        return 2;
    }
    train_log_state.json = json;
    snprintf(train_log_state.who, sizeof train_log_state.who, "%s", who);
    train_log_state.file = file;
    return 0;
}

#endif /* TRAIN_LOG_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
