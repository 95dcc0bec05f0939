/* Any two files given as IDX images and labels: an error, or a set whose every value is within its limits. */
#include "fuzz_data.h"

#define DRACO_DATA_MAX_BYTES ((size_t)1 << 20)
#define DRACO_DATA_IMPLEMENTATION
#include "models/draco_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static fuzz_file images, labels;
    const uint8_t *rest;
    size_t first, second;
    draco_dataset set;
    draco_data_error error;
    fuzz_split(data, size, &first, &rest, &second);
    const char *one = fuzz_file_write(&images, data + (size < 2 ? 0 : 2), first);
    const char *two = fuzz_file_write(&labels, rest, second);
    error.text[0] = '\0';
    if (draco_data_idx(one, two, 10, &set, &error) != DRACO_OK) {
        if (error.text[0] == '\0' || strchr(error.text, '\n') != NULL) abort();
        return 0;
    }
    float *row = malloc(set.features * sizeof *row);
    for (size_t i = 0; i < set.samples; i++) {
        if (set.labels[i] < 0 || set.labels[i] > 9) abort();
        draco_dataset_row(&set, i, row);
        for (size_t k = 0; k < set.features; k++)
            if (!(row[k] >= 0.0f && row[k] <= 1.0f)) abort();
    }
    free(row);
    draco_dataset_free(&set);
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
/* Well-formed: a few small images, plain or gzip. */
static size_t idx_seed(uint64_t i, uint8_t *data, size_t room) {
    uint8_t images[16 + 4 * 6 * 3] = {0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 6, 0, 0, 0, 3};
    uint8_t labels[12] = {0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 9, 0};
    uint8_t packed[1024];
    size_t n = sizeof images;
    (void)room;
    for (size_t k = 16; k < sizeof images; k++) images[k] = (uint8_t)(k * i);
    memcpy(packed, images, n);
    if (i % 2) n = fuzz_gzip(packed, n, sizeof packed);
    data[0] = (uint8_t)(n >> 8);
    data[1] = (uint8_t)n;
    memcpy(data + 2, packed, n);
    memcpy(data + 2 + n, labels, sizeof labels);
    return 2 + n + sizeof labels;
}
#define DRACO_FUZZ_SEED idx_seed
#include "fuzz_main.h"
#endif
