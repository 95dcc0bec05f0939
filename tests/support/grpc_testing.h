/* What the tests of the gRPC transport share: a toy computation whose answers are known, a server's inbox
   that checks what the contract promises, and worker processes. */
#ifndef GRPC_TESTING_H
#define GRPC_TESTING_H

#include "transports/draco_grpc.h"
#include "explained.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* What worker `index` answers: floats made of the parameters, or of the extra bytes when there are none. */
static inline void toy_answer(int index, const draco_request *r, const float *params, void *reply) {
    unsigned char *out = (unsigned char *)reply;
    for (size_t i = 0; i < r->reply_bytes; i += sizeof(float)) {
        const size_t k = i / sizeof(float);
        const float extra = r->extra_bytes ? (float)((const unsigned char *)r->extra)[k % r->extra_bytes] : 0;
        const float value = (r->params_count ? params[k % r->params_count] * (float)(index + 1) : 0) + extra +
                            (float)(r->step % 1000) + (float)index;
        memcpy(out + i, &value, r->reply_bytes - i < sizeof value ? r->reply_bytes - i : sizeof value);
    }
}

/* The inbox: one row for each worker, guarded by the rules of the contract. */
typedef struct toy_inbox {
    int workers, enough; /* rounds end after `enough` whole rows; 0: all */
    size_t bytes;
    unsigned char **rows;
    size_t *filled;
    draco_arrival *arrivals;
    int whole, broken, ended;
    draco_inbox inbox;
} toy_inbox;

static inline void *toy_reserve(void *ctx, int worker) {
    toy_inbox *t = (toy_inbox *)ctx;
    t->broken += t->arrivals[worker] != DRACO_ARRIVAL_WAITING;
    return t->rows[worker];
}

static inline void toy_chunk(void *ctx, int worker, size_t offset, size_t n) {
    toy_inbox *t = (toy_inbox *)ctx;
    t->broken +=
        offset != t->filled[worker] || n > t->bytes - offset || t->arrivals[worker] != DRACO_ARRIVAL_WAITING;
    t->filled[worker] += n;
}

static inline draco_status toy_end(void *ctx, int worker, draco_arrival arrival) {
    toy_inbox *t = (toy_inbox *)ctx;
    t->broken += t->arrivals[worker] != DRACO_ARRIVAL_WAITING;
    t->broken += arrival == DRACO_ARRIVAL_WHOLE && t->filled[worker] != t->bytes;
    t->arrivals[worker] = arrival;
    t->ended++;
    t->whole += arrival == DRACO_ARRIVAL_WHOLE;
    return t->enough && t->whole >= t->enough ? DRACO_OK : DRACO_MORE;
}

static inline void toy_inbox_reset(toy_inbox *t) {
    t->whole = t->ended = 0;
    for (int i = 0; i < t->workers; i++) {
        t->arrivals[i] = DRACO_ARRIVAL_WAITING;
        t->filled[i] = 0;
        memset(t->rows[i], 0xA5, t->bytes);
    }
}

static inline void toy_inbox_open(toy_inbox *t, int workers, size_t bytes) {
    memset(t, 0, sizeof *t);
    t->workers = workers;
    t->bytes = bytes;
    t->rows = (unsigned char **)calloc((size_t)(unsigned)workers, sizeof *t->rows);
    t->filled = (size_t *)calloc((size_t)(unsigned)workers, sizeof *t->filled);
    t->arrivals = (draco_arrival *)calloc((size_t)(unsigned)workers, sizeof *t->arrivals);
    for (int i = 0; i < workers; i++) t->rows[i] = (unsigned char *)malloc(bytes + 1);
    t->inbox.size = sizeof t->inbox;
    t->inbox.ctx = t;
    t->inbox.reserve = toy_reserve;
    t->inbox.chunk = toy_chunk;
    t->inbox.end = toy_end;
    toy_inbox_reset(t);
}

static inline void toy_inbox_close(toy_inbox *t) {
    for (int i = 0; i < t->workers; i++) free(t->rows[i]);
    free(t->rows);
    free(t->filled);
    free(t->arrivals);
}

/* Does the row hold what worker i computes? */
static inline int toy_right(const toy_inbox *t, int i, const draco_request *r) {
    unsigned char *expected = (unsigned char *)malloc(t->bytes + 1);
    toy_answer(i, r, r->params, expected);
    const int right = t->arrivals[i] == DRACO_ARRIVAL_WHOLE && !memcmp(expected, t->rows[i], t->bytes);
    free(expected);
    return right;
}

/* A worker's life: answer until the server stops. Returns what ended it. */
static inline draco_status toy_work(const draco_transport *t, int index) {
    float *params = NULL;
    void *reply = NULL;
    draco_status status;
    for (;;) {
        draco_request r;
        memset(&r, 0, sizeof r);
        status = t->receive(t->ctx, &r);
        if (status != DRACO_OK || r.kind == DRACO_REQUEST_STOP) break;
        if (r.params_count) params = (float *)(uintptr_t)r.params;
        reply = realloc(reply, r.reply_bytes + 1);
        toy_answer(index, &r, params, reply);
        status = t->submit(t->ctx, &r, reply, r.reply_bytes);
        if (status != DRACO_OK) break;
    }
    free(reply);
    return status;
}

static inline double toy_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline void toy_sleep(double seconds) {
    struct timespec t = {(time_t)seconds, (long)(1e9 * (seconds - (double)(time_t)seconds))};
    while (nanosleep(&t, &t) && errno == EINTR) {
    }
}

/* The lines that a transport told. */
typedef struct toy_log {
    pthread_mutex_t mutex;
    char text[65536];
    size_t n;
} toy_log;

static inline void toy_note(void *ctx, const char *line) {
    toy_log *log = (toy_log *)ctx;
    pthread_mutex_lock(&log->mutex);
    const size_t n = strlen(line);
    if (log->n + n + 2 < sizeof log->text) {
        memcpy(log->text + log->n, line, n);
        log->n += n;
        log->text[log->n++] = '\n';
        log->text[log->n] = 0;
    }
    pthread_mutex_unlock(&log->mutex);
    if (getenv("GRPC_TESTING_VERBOSE")) fprintf(stderr, "# %s\n", line);
}

static inline int toy_told(toy_log *log, const char *words) {
    pthread_mutex_lock(&log->mutex);
    const int told = strstr(log->text, words) != NULL;
    pthread_mutex_unlock(&log->mutex);
    return told;
}

static inline int toy_told_soon(toy_log *log, const char *words, double seconds) {
    for (const double until = toy_now() + seconds; toy_now() < until; toy_sleep(0.01))
        if (toy_told(log, words)) return 1;
    fprintf(stderr, "# nobody said \"%s\":\n%s", words, log->text);
    return 0;
}

/* Resident memory of this process, in bytes. */
static inline size_t toy_resident(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long size = 0, resident = 0;
    if (file) {
        if (fscanf(file, "%lu %lu", &size, &resident) != 2) resident = 0;
        fclose(file);
    }
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* Start a program of the build: words by spaces. */
static inline pid_t toy_spawn(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline pid_t toy_spawn(const char *format, ...) {
    char line[1024], *words[32];
    int n = 0;
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *w = strtok(line, " "); w && n < 31; w = strtok(NULL, " ")) words[n++] = w;
    words[n] = NULL;
    pid_t pid;
    if (posix_spawnp(&pid, words[0], NULL, NULL, words, environ) == 0) return pid;
    printf("Bail out! %s cannot be started\n", words[0]);
    exit(1); /* -1 in place of a process means all of them to kill() */
}

/* How it ended: its exit code, 1000 + the signal, or -1 when it still ran after `seconds` and was killed. */
static inline int toy_wait(pid_t pid, double seconds) {
    int status = 0;
    for (const double until = toy_now() + seconds; toy_now() < until; toy_sleep(0.01))
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -1;
}

#endif /* GRPC_TESTING_H */
