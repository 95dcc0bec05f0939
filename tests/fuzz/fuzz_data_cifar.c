/* Any file given as a CIFAR-10 batch: an error, or a set whose labels are within their limits. */
#include "fuzz_data.h"

#define DRACO_DATA_MAX_BYTES ((size_t)1 << 20)
#define DRACO_DATA_IMPLEMENTATION
#include "models/draco_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static fuzz_file batch;
    draco_dataset set;
    draco_data_error error;
    const char *path = fuzz_file_write(&batch, data, size);
    error.text[0] = '\0';
    if (draco_data_cifar10(&path, 1, &set, &error) != DRACO_OK) {
        if (error.text[0] == '\0' || strchr(error.text, '\n') != NULL) abort();
        return 0;
    }
    float row[3072];
    for (size_t i = 0; i < set.samples; i++) {
        if (set.labels[i] < 0 || set.labels[i] > 9) abort();
        draco_dataset_row(&set, i, row);
    }
    draco_dataset_free(&set);
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
/* Two records, plain or gzip. */
static size_t cifar_seed(uint64_t i, uint8_t *data, size_t room) {
    const size_t n = 2 * 3073;
    for (size_t k = 0; k < n; k++) data[k] = (uint8_t)(k / 64);
    data[0] = (uint8_t)(i % 10);
    data[3073] = (uint8_t)(i % 11);
    return i % 2 ? fuzz_gzip(data, n, room) : n;
}
#define DRACO_FUZZ_ROOM 8192
#define DRACO_FUZZ_SEED cifar_seed
#include "fuzz_main.h"
#endif
