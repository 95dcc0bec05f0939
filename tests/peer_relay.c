/* A gRPC worker of draco-train's LeNet whose gradients are computed by another program, behind a pipe: by one for
   another processor, run by an emulator. tests/test_mixed.sh starts it.

       peer_relay ADDRESS INDEX WORKERS LIARS BATCH SEED COMMAND...        COMMAND: models serve SEED */
#define DRACO_IMPLEMENTATION
#define DRACO_GRPC_IMPLEMENTATION
#define DRACO_LENET_IMPLEMENTATION
#include "models/draco_lenet.h"
#include "transports/draco_grpc.h"

#include <unistd.h>

static FILE *to, *from; /* of the program that computes */
static size_t dim;

static draco_status relay(void *ctx, void *workspace, const float *params, const draco_batch *batch,
                          float *grad) {
    const uint64_t number[4] = {batch->seed, batch->step, batch->first, batch->count};
    unsigned char head[32];
    (void)ctx, (void)workspace;
    for (int i = 0; i < 32; i++) head[i] = (unsigned char)(number[i / 8] >> 8 * (i % 8) & 0xff);
    memcpy(grad, params, dim * sizeof *grad);
    draco_little_endian(grad, dim);
    if (fwrite(head, 1, 32, to) != 32 || fwrite(grad, sizeof *grad, dim, to) != dim || fflush(to) != 0)
        return DRACO_E_MODEL;
    if (fread(grad, sizeof *grad, dim, from) != dim) return DRACO_E_MODEL;
    draco_little_endian(grad, dim);
    return DRACO_OK;
}

static int start(char **command) {
    int down[2], up[2];
    if (pipe(down) != 0 || pipe(up) != 0) return 0;
    switch (fork()) {
    case -1:
        return 0;
    case 0:
        dup2(down[0], 0), dup2(up[1], 1);
        close(down[0]), close(down[1]), close(up[0]), close(up[1]);
        execvp(command[0], command);
        _exit(127);
    default:
        close(down[0]), close(up[1]);
        to = fdopen(down[1], "wb"), from = fdopen(up[0], "rb");
        return to && from;
    }
}

/* Only the shape of the network is taken from it here. */
static size_t size_of_lenet(uint64_t seed) {
    const draco_data_config data = {.name = "digits", .seed = seed, .train = 2, .test = 2};
    draco_dataset train, test;
    draco_model m;
    size_t size = 0;
    if (draco_data_load(&data, &train, &test, NULL) != DRACO_OK) return 0;
    const draco_lenet_config c = {&train, NULL};
    if (draco_lenet_open(&m, &c) == DRACO_OK) {
        size = m.dim;
        draco_lenet_close(&m);
    }
    draco_dataset_free(&train), draco_dataset_free(&test);
    return size;
}

int main(int argc, char **argv) {
    draco_transport t;
    draco_worker *worker;
    draco_status status;
    if (argc < 8 || !start(argv + 7)) return 2;
    dim = size_of_lenet(1);
    const draco_model model = {
        .size = sizeof model, .name = "relay", .dim = dim, .parameters = dim, .gradient = relay};
    draco_worker_config config = {.code = {.n = atoi(argv[3]), .s = atoi(argv[4])},
                                  .model = &model,
                                  .batch = (size_t)atoi(argv[5]),
                                  .seed = (uint64_t)atoi(argv[6]),
                                  .keep = 1};
    if (draco_code_init(&config.code) < 0 || draco_worker_open(&worker, &config) < 0) return 2;
    const draco_grpc_worker_config link = {.address = argv[1],
                                           .index = atoi(argv[2]),
                                           .code_id = draco_code_id(&config.code),
                                           .configuration = ""};
    status = draco_grpc_worker_open(&t, &link);
    if (status < 0) fprintf(stderr, "%s\n", t.explain(t.ctx));
    if (status >= 0) status = draco_worker_run(worker, link.index, &t);
    t.close(t.ctx);
    draco_worker_close(worker);
    fclose(to), fclose(from);
    return status < 0;
}
