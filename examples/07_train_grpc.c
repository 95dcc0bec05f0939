/* 07: the model of 06 with the workers in processes of their own, here or anywhere; worker 4 lies in every step.
 *     build/07_train_grpc server 127.0.0.1:7400 &
 *     for i in 0 1 2 3 4 5 6 7 8; do build/07_train_grpc worker 127.0.0.1:7400 $i & done
 * Between machines both ends show certificates: set .tls in both configurations, see docs/grpc.md. */
#define DRACO_IMPLEMENTATION
#define DRACO_GRPC_IMPLEMENTATION
#define DRACO_ATTACKS_IMPLEMENTATION
#include "own_model.h"

#include "baselines/draco_attacks.h"
#include "transports/draco_grpc.h"

#include <stdlib.h>
#include <string.h>

enum { LIAR = 4 };

static int serve(const char *address) {
    draco_worker_config c = own_worker();
    draco_grpc_server_config config = {.address = address,
                                       .workers = WORKERS,
                                       .code_id = draco_code_id(&c.code),
                                       .configuration = "model=own"};
    draco_transport transport;
    int failed;
    if (draco_grpc_server_open(&transport, &config) < 0) {
        fprintf(stderr, "%s\n", transport.explain(transport.ctx));
        transport.close(transport.ctx);
        return 1;
    }
    failed = own_train(&transport, 30); /* a round takes 30 seconds at most */
    transport.close(transport.ctx);     /* tells the workers to stop */
    return failed;
}

static int work(const char *address, int index) {
    static const int liar = LIAR;
    draco_worker_config c = own_worker();
    draco_grpc_worker_config config = {
        .address = address, .index = index, .code_id = draco_code_id(&c.code), .configuration = "model=own"};
    draco_attack_config lie = {
        .name = "reverse", .code = c.code, .liars = 1, .who = DRACO_ATTACK_FIXED, .ids = &liar};
    draco_transport transport, attacked;
    draco_worker *worker;
    draco_status status;
    if (draco_worker_open(&worker, &c) < 0) return 1;
    if (draco_grpc_worker_open(&transport, &config) < 0) {
        fprintf(stderr, "%s\n", transport.explain(transport.ctx));
        transport.close(transport.ctx);
        return 1;
    }
    if (draco_attack_wrap_worker(&attacked, &transport, &lie, index) < 0) return 1; /* to try it out */
    status = draco_worker_run(worker, index, &attacked);
    draco_attack_unwrap(&attacked);
    transport.close(transport.ctx);
    draco_worker_close(worker);
    return status < 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "server") == 0) return serve(argv[2]);
    if (argc == 4 && strcmp(argv[1], "worker") == 0) return work(argv[2], atoi(argv[3]));
    fprintf(stderr, "usage: 07_train_grpc server ADDRESS | worker ADDRESS NUMBER\n");
    return 2;
}
