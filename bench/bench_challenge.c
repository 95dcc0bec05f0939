/* The server's own work in a round of the repetition code, by how its votes travel: all messages, a challenge, a challenge of a
   reactive code; all of it, and what is left after the last message; beside a plain read of the messages that came. Workers reply
   from memory, nobody lies.

       build/bench/bench_challenge [N D] */
#define DRACO_IMPLEMENTATION
#include "draco.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct replies {
    draco_worker *worker;
    draco_request asked;
    const float *params;
    void *message; /* the same for all: what is in it does not matter */
    size_t dim;
    int n;
    double last; /* when the last message was whole */
} replies;

static draco_status gradient(void *ctx, void *workspace, const float *params, const draco_batch *batch,
                             float *grad) {
    const replies *r = ctx;
    (void)workspace, (void)params, (void)batch;
    memcpy(grad, r->message, r->dim * sizeof *grad);
    return DRACO_OK;
}

static draco_status broadcast(void *ctx, const draco_request *request) {
    replies *r = ctx;
    r->asked = *request;
    if (request->params) r->params = request->params;
    r->asked.params = r->params;
    r->asked.params_count = r->dim;
    return DRACO_OK;
}

static draco_status answer(replies *r, const unsigned char *whom, const draco_inbox *in) {
    for (int i = 0; i < r->n; i++) {
        void *row = !whom || whom[i] ? in->reserve(in->ctx, i) : NULL;
        if (!row) continue;
        if (r->asked.reply_bytes == 4 * r->dim)
            memcpy(row, r->message, r->asked.reply_bytes);
        else
            (void)draco_worker_reply(r->worker, i, &r->asked, row);
        for (size_t at = 0, step = 1 << 18; at < r->asked.reply_bytes; at += step)
            in->chunk(in->ctx, i, at, at + step < r->asked.reply_bytes ? step : r->asked.reply_bytes - at);
        r->last = omp_get_wtime();
        if (in->end(in->ctx, i, DRACO_ARRIVAL_WHOLE) == DRACO_OK) break;
    }
    return DRACO_OK;
}

static draco_status collect(void *ctx, const draco_request *request, double seconds, const draco_inbox *in) {
    (void)request, (void)seconds;
    return answer(ctx, NULL, in);
}

static draco_status fetch(void *ctx, const draco_request *request, const unsigned char *whom, double seconds,
                          const draco_inbox *in) {
    (void)seconds;
    broadcast(ctx, request);
    return answer(ctx, whom, in);
}

static int by_size(const void *a, const void *b) {
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

/* Least seconds of 9 to read so many messages, on one core, as a vote does that folds them as they come. */
static double plain_read(size_t dim, int messages) {
    const size_t words = dim * (size_t)messages / 2;
    uint64_t *rows = malloc(words * sizeof *rows), total = 0;
    double took[9];
    memset(rows, 1, words * sizeof *rows);
    for (int k = 0; k < 9; k++) {
        const double begin = omp_get_wtime();
        uint64_t sum[8] = {0};
        for (size_t i = 0; i + 8 <= words; i += 8)
            for (size_t l = 0; l < 8; l++) sum[l] += rows[i + l];
        for (int l = 0; l < 8; l++) total += sum[l];
        took[k] = omp_get_wtime() - begin;
    }
    if (total == 1) puts("");
    free(rows);
    qsort(took, 9, sizeof *took, by_size);
    return took[0];
}

static void measure(int n, size_t dim, int s, int challenge, int reactive) {
    replies r = {.n = n, .dim = dim, .message = calloc(dim, sizeof(float))};
    draco_model model = {
        .size = sizeof model, .ctx = &r, .dim = dim, .parameters = dim, .gradient = gradient};
    draco_transport t = {.size = sizeof t,
                         .ctx = &r,
                         .workers = n,
                         .broadcast = broadcast,
                         .collect = collect,
                         .fetch = fetch};
    draco_code code = {.n = n, .s = s, .reactive = reactive};
    draco_server_config config = {.code = code, .transport = &t, .dim = dim, .challenge = challenge};
    draco_worker_config worker = {.code = code, .model = &model, .batch = (size_t)n};
    float *params = calloc(dim, sizeof *params), *sum = calloc(dim, sizeof *sum);
    draco_server *server = NULL;
    draco_round round;
    double own[9], after[9];
    if (!r.message || !params || !sum || draco_worker_open(&r.worker, &worker) < 0 ||
        draco_server_open(&server, &config) < 0)
        exit(1);
    for (size_t i = 0; i < dim; i++) ((float *)r.message)[i] = (float)(i % 1000);
    for (int k = 0; k < 9; k++) {
        if (draco_server_round(server, (uint64_t)k, params, sum, &round) < 0) exit(1);
        own[k] = round.server_seconds;
        after[k] = omp_get_wtime() - r.last;
    }
    qsort(own, 9, sizeof *own, by_size);
    qsort(after, 9, sizeof *after, by_size);
    draco_code_init(&code);
    const int came = challenge ? code.parts : n;
    const double read = plain_read(dim, came);
    printf("  s = %d, %-9s  %2d messages  server's own %6.2f ms, after the last %6.2f ms  a plain read %6.2f "
           "ms  %.2f x, %.2f x\n",
           s,
           reactive    ? "reactive"
           : challenge ? "challenge"
                       : "messages",
           came, 1e3 * own[0], 1e3 * after[0], 1e3 * read, own[0] / read, after[0] / read);
    draco_server_close(server);
    draco_worker_close(r.worker);
    free(r.message);
    free(params);
    free(sum);
}

int main(int argc, char **argv) {
    const int n = argc > 2 ? atoi(argv[1]) : 45;
    const size_t dim = argc > 2 ? (size_t)atol(argv[2]) : 1033510;
    if (n < 11 || dim < 1) {
        fprintf(stderr, "usage: bench_challenge [N D], N at least 11\n");
        return 2;
    }
    printf("n = %d, d = %zu, the least of 9 rounds: fingerprints or votes, verdicts and the sum\n", n, dim);
    for (int s = 1; s <= 5; s += 4) {
        measure(n, dim, s, 0, 0);
        measure(n, dim, s, 1, 0);
        measure(n, dim, s, 1, 1);
    }
    return 0;
}
