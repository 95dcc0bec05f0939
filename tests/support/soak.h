/* soak.h - the faults of a worker in a long run: drawn from a seed, and each written into the worker's own record.

   In a step up to two workers lie, or say that they cannot reply. Besides, a worker is now and then late, away for longer,
   or killed: one at a time of each, since it takes a token first, which is a file. Who started the workers lays a token
   back when the killed one is there again.

   $SOAK_DIR: the tokens `late` and `dead`, the records worker-N, a line "STEP WHAT" for each request. $SOAK_SEED.
   $SOAK_DEADLINE: seconds after which the server does not wait. $SOAK_LATE, $SOAK_AWAY, $SOAK_DEAD: in one of so many
   steps; 0: never. */
#ifndef SOAK_H
#define SOAK_H

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t soak_number(const char *name) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : 0;
}

/* splitmix64 */
static uint64_t soak_draw(uint64_t step, uint64_t what) {
    uint64_t x = soak_number("SOAK_SEED") * 0x9e3779b97f4a7c15u + step * 0xd1342543de82ef95u + what;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* What is written is there even if the process is killed in the next moment. */
static void soak_record(int worker, uint64_t step, const char *what) {
    static int file = -1;
    char path[512], line[64];
    int length;
    if (file < 0) {
        snprintf(path, sizeof path, "%s/worker-%d", getenv("SOAK_DIR"), worker);
        file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    }
    length = snprintf(line, sizeof line, "%llu %s\n", (unsigned long long)step, what);
    if (write(file, line, (size_t)length) != length) _exit(3);
}

static int soak_takes(const char *token) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", getenv("SOAK_DIR"), token);
    return unlink(path) == 0;
}

static void soak_lays(const char *token) {
    char path[512];
    int file;
    snprintf(path, sizeof path, "%s/%s", getenv("SOAK_DIR"), token);
    file = open(path, O_WRONLY | O_CREAT, 0666);
    if (file >= 0) close(file);
}

/* Is it this worker's turn to have a fault of which there is one in so many steps? */
static int soak_turn(int worker, int n, uint64_t step, const char *period, uint64_t what) {
    const uint64_t every = soak_number(period), draw = soak_draw(step, what);
    return every > 0 && draw % every == 0 && (int)((draw >> 40) % (uint64_t)n) == worker;
}

/* Two liars of a step have the same fault. */
static int soak_lies(int worker, int n, uint64_t step) {
    const uint64_t draw = soak_draw(step, 0), many = (uint64_t)n;
    const int first = (int)((draw >> 8) % many), second = (first + 1 + (int)((draw >> 24) % (many - 1))) % n;
    return (draw & 3) >= 2 && (worker == first || ((draw & 3) == 3 && worker == second));
}

/* Before the gradient: may end the process, or take its time. Returns 1 when it was away. */
static int soak_before(int worker, int n, uint64_t step, int first) {
    const double deadline = (double)soak_number("SOAK_DEADLINE");
    const int away = !first && soak_turn(worker, n, step, "SOAK_AWAY", 3);
    if (!first && soak_turn(worker, n, step, "SOAK_DEAD", 1) && soak_takes("dead")) {
        soak_record(worker, step, "dead");
        raise(SIGKILL);
    }
    if ((away || (!first && soak_turn(worker, n, step, "SOAK_LATE", 2))) && soak_takes("late")) {
        soak_record(worker, step, away ? "away" : "late");
        usleep((useconds_t)((away ? 5 : 1.5) * 1e6 * deadline));
        soak_lays("late");
        return away;
    }
    return 0;
}

/* The gradient as this worker sends it; 0: it says that it cannot reply. */
static int soak_after(int worker, int n, uint64_t step, int first, float *grad, size_t parameters) {
    const uint64_t draw = soak_draw(step, 4);
    const int lies = !first && soak_lies(worker, n, step), kind = (int)(draw & 3);
    const float factor = kind == 1 ? -1.0f : 100.0f;
    soak_record(worker, step, !lies ? "reply" : kind == 3 ? "none" : "lie");
    if (!lies) return 1;
    if (kind == 0)
        ((unsigned char *)grad)[4 * ((draw >> 8) % parameters)] ^= 1;
    else
        for (size_t i = 0; i < parameters; i++) grad[i] *= factor;
    return kind != 3;
}

#endif /* SOAK_H */
