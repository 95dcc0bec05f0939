/* A worker of a reactive code and requests of any kind, extra and plan: a reply or an error, and a part that there is. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DRACO_IMPLEMENTATION
#include "draco.h"

enum { N = 15, D = 8 };

static draco_status gradient(void *ctx, void *workspace, const float *params, const draco_batch *batch,
                             float *grad) {
    (void)ctx, (void)workspace;
    if (batch->part >= N || batch->first + batch->count > batch->total) abort();
    for (int j = 0; j < D; j++) grad[j] = params[j] + (float)batch->first;
    return DRACO_OK;
}

/* data: kind, worker, step, whether the request has parameters; the rest is its extra. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const float params[D] = {1, 2, 3};
    static draco_worker *workers[2]; /* that keep their messages, and that do not */
    draco_model model = {
        .size = sizeof model, .dim = D, .parameters = D, .gradient = gradient, .name = "fuzz"};
    static draco_model kept;
    uint8_t reply[256], *extra;
    if (size < 4) return 0;
    kept = model;
    for (int k = 0; k < 2 && !workers[k]; k++) {
        draco_worker_config config = {
            .code = {.n = N, .s = 2, .reactive = 1}, .model = &kept, .batch = 45, .keep = !k};
        if (draco_worker_open(&workers[k], &config) < 0) abort();
    }
    extra = malloc(size - 4 + 1); /* its own block, so that a read past it is seen */
    memcpy(extra, data + 4, size - 4);
    for (int k = 0; k < 2; k++) {
        draco_code code = {.n = N, .s = 2, .reactive = 1}, now;
        draco_request request = {.kind = (draco_request_kind)(data[0] % 12),
                                 .step = data[2],
                                 .extra = size > 4 ? extra : NULL,
                                 .extra_bytes = size - 4,
                                 .server = -1};
        const int worker = data[1] % (N + 1);
        int part;
        if (draco_code_init(&code) < 0) abort();
        if (data[3] & 1) request.params = params, request.params_count = D;
        request.reply_bytes = draco_worker_reply_bytes(workers[k], worker, &request);
        if (request.reply_bytes > sizeof reply) abort();
        part = draco_request_part(&code, &request, worker, &now);
        if (part < -2 || part >= now.parts || now.parts < 1 || now.parts > N) abort();
        (void)draco_worker_reply(workers[k], worker, &request, reply);
    }
    free(extra);
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
/* The requests of a round, with plans in which now and then a part is one that there is not. */
static size_t seed(uint64_t i, uint8_t *data, size_t room) {
    static const uint8_t kinds[] = {4, 5, 8, 1, 6};
    size_t at = 4;
    (void)room;
    data[0] = kinds[i % 5];
    data[1] = (uint8_t)(i % N);
    data[2] = (uint8_t)(i / 5);
    data[3] = data[0] == 4;
    if (data[0] == 8 || data[0] == 6)
        for (; at < 36; at++) data[at] = (uint8_t)(i * at);
    for (int k = -1; k < N; k++) {
        const int number = k < 0 ? 5 + (int)(i % 9) : (k + (int)i) % 7 == 0 ? 0xffff : (k + (int)i) % 6;
        data[at++] = (uint8_t)number;
        data[at++] = (uint8_t)(number >> 8);
    }
    return at;
}
#define DRACO_FUZZ_SEED seed
#include "fuzz_main.h"
#endif
