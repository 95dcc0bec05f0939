/* Seconds per round (a vector to n workers, a vector from each) over gRPC, plain and with mutual TLS, next to
   the same bytes over bare TCP on the loopback device, turn by turn in one run. Workers are processes that
   send a buffer back; nothing is computed. usage: bench_grpc [n [d in millions [rounds]]]; without arguments
   n = 8, d = 1 and 11.2. */
#define _GNU_SOURCE /* accept4 */
#define DRACO_IMPLEMENTATION
#define DRACO_GRPC_IMPLEMENTATION
#include "transports/draco_grpc.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n) {
    qsort(v, (size_t)n, sizeof *v, by_size);
    return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

/* Numbers, not zeros: pages that were never written are all the same one, and cost nothing to read. */
static void fill(float *v, size_t d) {
    for (size_t i = 0; i < d; i++) v[i] = (float)i;
}

/* ---- Bare TCP ---- */

static int transfer(int fd, char *buffer, size_t bytes, int out) {
    while (bytes) {
        const ssize_t n = out ? send(fd, buffer, bytes, MSG_NOSIGNAL) : recv(fd, buffer, bytes, 0);
        if (n <= 0) return 0;
        buffer += n;
        bytes -= (size_t)n;
    }
    return 1;
}

static int tcp_worker(int port, size_t bytes) {
    struct sockaddr_in a;
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_port = htons((uint16_t)port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    char *params = (char *)malloc(bytes), *reply = (char *)malloc(bytes);
    fill((float *)(void *)reply, bytes / sizeof(float));
    if (connect(fd, (struct sockaddr *)&a, sizeof a)) return 1;
    while (transfer(fd, params, bytes, 0) && transfer(fd, reply, bytes, 1)) {
    }
    free(params);
    free(reply);
    return 0;
}

/* Send to all and receive from all, as each socket allows. */
static void tcp_round(const int *fds, int n, const char *params, char **rows, size_t bytes) {
    size_t *out = (size_t *)calloc((size_t)n, sizeof *out), *in = (size_t *)calloc((size_t)n, sizeof *in);
    struct pollfd *p = (struct pollfd *)calloc((size_t)n, sizeof *p);
    for (int left = n; left > 0 && n < 1001;) {
        for (int i = 0; i < n; i++) {
            p[i].fd = in[i] < bytes ? fds[i] : -1;
            p[i].events = out[i] < bytes ? POLLOUT : POLLIN;
        }
        if (poll(p, (nfds_t)n, 10000) <= 0) exit(1);
        for (int i = 0; i < n; i++) {
            if (!p[i].revents) continue;
            const ssize_t k = p[i].revents & POLLOUT
                                  ? send(fds[i], params + out[i], bytes - out[i], MSG_NOSIGNAL)
                                  : recv(fds[i], rows[i] + in[i], bytes - in[i], 0);
            if (k <= 0) exit(1);
            if (p[i].revents & POLLOUT)
                out[i] += (size_t)k;
            else
                in[i] += (size_t)k;
            left -= in[i] == bytes;
        }
    }
    free(out);
    free(in);
    free(p);
}

/* ---- gRPC ---- */

static int grpc_worker(int port, int index, size_t bytes, const char *tls) {
    draco_transport t;
    char address[32], files[3][256];
    draco_grpc_worker_config config;
    memset(&config, 0, sizeof config);
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    config.address = address;
    config.index = index;
    if (tls) {
        snprintf(files[0], 256, "%s/ca.pem", tls);
        snprintf(files[1], 256, "%s/worker-%d.pem", tls, index);
        snprintf(files[2], 256, "%s/worker-%d.key", tls, index);
        config.tls = (draco_grpc_tls){files[0], files[1], files[2]};
    }
    if (draco_grpc_worker_open(&t, &config)) {
        fprintf(stderr, "%s\n", t.explain(t.ctx));
        return 1;
    }
    float *reply = (float *)malloc(bytes);
    fill(reply, bytes / sizeof(float));
    draco_request r;
    while (t.receive(t.ctx, &r) == DRACO_OK && r.kind != DRACO_REQUEST_STOP)
        t.submit(t.ctx, &r, reply, r.reply_bytes);
    t.close(t.ctx);
    free(reply);
    return 0;
}

static void *reserve(void *ctx, int worker) {
    return ((char **)ctx)[worker];
}

static void chunk(void *ctx, int worker, size_t offset, size_t n) {
    (void)ctx;
    (void)worker;
    (void)offset;
    (void)n;
}

static draco_status end(void *ctx, int worker, draco_arrival arrival) {
    (void)ctx;
    if (arrival != DRACO_ARRIVAL_WHOLE) {
        fprintf(stderr, "worker %d failed\n", worker);
        exit(1);
    }
    return DRACO_MORE;
}

static void grpc_round(const draco_transport *t, uint64_t round, const float *params, size_t d, char **rows) {
    const draco_inbox inbox = {sizeof inbox, rows, reserve, chunk, end};
    draco_request r;
    memset(&r, 0, sizeof r);
    r.kind = DRACO_REQUEST_MESSAGE;
    r.round = r.step = round;
    r.params = params;
    r.params_count = d;
    r.reply_bytes = d * sizeof(float);
    if (t->broadcast(t->ctx, &r) || t->collect(t->ctx, &r, 60, &inbox)) exit(1);
}

static void grpc_serve(draco_transport *t, int n, const char *tls) {
    char files[3][256];
    draco_grpc_server_config config;
    memset(&config, 0, sizeof config);
    config.address = "127.0.0.1:0";
    config.workers = n;
    if (tls) {
        snprintf(files[0], 256, "%s/ca.pem", tls);
        snprintf(files[1], 256, "%s/server-0.pem", tls);
        snprintf(files[2], 256, "%s/server-0.key", tls);
        config.tls = (draco_grpc_tls){files[0], files[1], files[2]};
    }
    if (draco_grpc_server_open(t, &config)) {
        fprintf(stderr, "%s\n", t->explain(t->ctx));
        exit(1);
    }
}

/* ---- The run: a server process for each kind, which take turns ---- */

static pid_t spawn(char *program, const char *role, const char *kind, int number, int index, size_t bytes,
                   const char *tls) {
    char a[32], b[32], c[32];
    snprintf(a, sizeof a, "%d", number);
    snprintf(b, sizeof b, "%d", index);
    snprintf(c, sizeof c, "%zu", bytes);
    char *words[] = {
        program, (char *)(uintptr_t)role, (char *)(uintptr_t)kind, a, b, c, (char *)(uintptr_t)tls, NULL};
    pid_t pid;
    if (posix_spawn(&pid, program, NULL, NULL, words, environ)) exit(1);
    return pid;
}

static double resident(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long size = 0, pages = 0;
    if (file && fscanf(file, "%lu %lu", &size, &pages) != 2) pages = 0;
    if (file) fclose(file);
    return 1e-6 * (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static int tcp_listen(int n, int *port) {
    struct sockaddr_in a;
    socklen_t length = sizeof a;
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&a, sizeof a) || listen(listener, n) ||
        getsockname(listener, (struct sockaddr *)&a, &length))
        exit(1);
    *port = ntohs(a.sin_port);
    return listener;
}

/* Runs a round for each byte on its standard input, and writes back how long it took. At the end: its memory. */
static int serve(char *program, const char *kind, int n, size_t bytes, const char *tls) {
    const size_t d = bytes / sizeof(float);
    const int bare = !strcmp(kind, "tcp");
    float *params = (float *)malloc(bytes);
    char **rows = (char **)calloc((size_t)n, sizeof *rows);
    int *fds = (int *)calloc((size_t)n, sizeof *fds), port, listener = -1;
    draco_transport t;
    fill(params, d);
    for (int i = 0; i < n; i++) memset(rows[i] = (char *)malloc(bytes), 1, bytes);
    if (bare)
        listener = tcp_listen(n, &port);
    else {
        grpc_serve(&t, n, tls);
        port = draco_grpc_port(&t);
    }
    for (int i = 0; i < n; i++) {
        spawn(program, "worker", kind, port, i, bytes, tls);
        if (bare) fds[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    }
    char go;
    for (uint64_t round = 1; read(STDIN_FILENO, &go, 1) == 1; round++) {
        const double start = now();
        if (bare)
            tcp_round(fds, n, (const char *)params, rows, bytes);
        else
            grpc_round(&t, round, params, d, rows);
        const double report[2] = {now() - start, resident()};
        if (write(STDOUT_FILENO, report, sizeof report) != sizeof report) return 1;
    }
    for (int i = 0; bare && i < n; i++) close(fds[i]);
    if (!bare) t.close(t.ctx);
    while (wait(NULL) > 0) {
    }
    for (int i = 0; i < n; i++) free(rows[i]);
    free(rows);
    free(fds);
    free(params);
    return 0;
}

/* A server of this kind on the other end of a socket. */
static int start(char *program, const char *kind, int n, size_t bytes, const char *tls) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) exit(1);
    const pid_t pid = fork();
    if (pid < 0) exit(1);
    if (pid == 0) {
        if (dup2(ends[1], STDIN_FILENO) < 0 || dup2(ends[1], STDOUT_FILENO) < 0) _exit(1);
        char count[32], size[32];
        snprintf(count, sizeof count, "%d", n);
        snprintf(size, sizeof size, "%zu", bytes);
        execl(program, program, "server", kind, count, "0", size, tls, (char *)NULL);
        _exit(1);
    }
    close(ends[1]);
    return ends[0];
}

static void compare(char *program, int n, size_t d, int rounds, const char *tls) {
    static const char *const names[3] = {"bare TCP", "gRPC", "gRPC + mTLS"};
    const size_t bytes = d * sizeof(float);
    const int server[3] = {start(program, "tcp", n, bytes, NULL), start(program, "grpc", n, bytes, NULL),
                           start(program, "grpc", n, bytes, tls)};
    double *seconds[3], report[2], memory[3] = {0, 0, 0};
    for (int k = 0; k < 3; k++) seconds[k] = (double *)calloc((size_t)rounds, sizeof **seconds);
    for (int round = -2; round < rounds; round++) /* the first two warm up */
        for (int k = 0; k < 3; k++) {
            if (write(server[k], "", 1) != 1 ||
                recv(server[k], report, sizeof report, MSG_WAITALL) != sizeof report) {
                fprintf(stderr, "%s: the server is gone\n", names[k]);
                exit(1);
            }
            if (round >= 0) seconds[k][round] = report[0];
            memory[k] = report[1];
        }
    printf("n = %d, d = %.1f M, %d rounds: rows %.0f MB\n", n, 1e-6 * (double)d, rounds,
           1e-6 * (double)n * (double)bytes);
    for (int k = 0; k < 3; k++) {
        const double middle = median(seconds[k], rounds); /* sorts: the fastest stands first */
        printf("  %-12s median %7.1f ms (%.2f x TCP)   fastest %7.1f ms (%.2f x)   server %4.0f MB\n",
               names[k], 1e3 * middle, middle / median(seconds[0], rounds), 1e3 * seconds[k][0],
               seconds[k][0] / seconds[0][0], memory[k]);
    }
    fflush(stdout);
    for (int k = 0; k < 3; k++) close(server[k]);
    while (wait(NULL) > 0) {
    }
    for (int k = 0; k < 3; k++) free(seconds[k]);
}

int main(int argc, char **argv) {
    const char *role = argc > 5 ? argv[1] : "", *tls = argc > 6 ? argv[6] : NULL;
    const size_t bytes = argc > 5 ? (size_t)atoll(argv[5]) : 0;
    if (!strcmp(role, "server")) return serve(argv[0], argv[2], atoi(argv[3]), bytes, tls);
    if (!strcmp(role, "worker"))
        return strcmp(argv[2], "tcp") ? grpc_worker(atoi(argv[3]), atoi(argv[4]), bytes, tls)
                                      : tcp_worker(atoi(argv[3]), bytes);
    const int n = argc > 1 ? atoi(argv[1]) : 8;
    const double millions = argc > 2 ? atof(argv[2]) : 0;
    const int rounds = argc > 3 ? atoi(argv[3]) : 0;
    char directory[] = "/tmp/draco-bench-XXXXXX", command[256];
    if (n < 1 || n > 1000 || millions < 0 || !mkdtemp(directory)) return 2;
    snprintf(command, sizeof command, "sh scripts/make_test_ca.sh %s %d 1", directory, n);
    if (system(command)) return 1;
    if (millions > 0)
        compare(argv[0], n, (size_t)(1e6 * millions), rounds ? rounds : 5, directory);
    else {
        compare(argv[0], n, 1000000, 30, directory);
        compare(argv[0], n, 11200000, 7, directory);
    }
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}
