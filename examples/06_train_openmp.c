/* 06: your own model (own_model.h) trained with n workers in one process, one of which lies in every step.
 *     build/06_train_openmp */
#define DRACO_IMPLEMENTATION
#define DRACO_OPENMP_IMPLEMENTATION
#define DRACO_ATTACKS_IMPLEMENTATION
#include "own_model.h"

#include "baselines/draco_attacks.h"
#include "transports/draco_openmp.h"

int main(void) {
    draco_openmp_config config = {.worker = own_worker()};
    draco_attack_config lie = {.name = "reverse", .code = config.worker.code, .liars = 1};
    draco_transport workers, attacked;
    if (draco_openmp_open(&workers, &config) < 0) return 1;
    if (draco_attack_wrap(&attacked, &workers, &lie) < 0) return 1; /* to try it out; without: &workers */
    int failed = own_train(&attacked, 0);
    draco_attack_unwrap(&attacked);
    workers.close(workers.ctx);
    return failed;
}
