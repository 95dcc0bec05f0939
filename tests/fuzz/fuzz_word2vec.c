/* Any file given as word2vec: an error, or rows that are finite. */
#include "fuzz_data.h"

#include <math.h>

#define DRACO_DATA_IMPLEMENTATION
#include "models/draco_data.h"

enum { DIMENSION = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static fuzz_file vectors;
    static draco_dataset set;
    draco_data_error error;
    float rows[8 * DIMENSION] = {0};
    size_t found;
    if (set.samples == 0) {
        static fuzz_file positive, negative;
        const char *one = fuzz_file_write(&positive, (const uint8_t *)"good a b\n", 9);
        const char *two = fuzz_file_write(&negative, (const uint8_t *)"bad film\n", 9);
        if (draco_data_text(one, two, &set, NULL) != DRACO_OK || set.vocabulary.size != 7) abort();
    }
    const char *path = fuzz_file_write(&vectors, data, size);
    error.text[0] = '\0';
    if (draco_data_word2vec(path, &set.vocabulary, DIMENSION, rows, &found, &error) != DRACO_OK) {
        if (error.text[0] == '\0' || strchr(error.text, '\n') != NULL) abort();
        return 0;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!isfinite(rows[i])) abort();
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
static size_t word2vec_seed(uint64_t i, uint8_t *data, size_t room) {
    static const char *const words[] = {"good", "bad", "elsewhere"};
    size_t n = 4;
    (void)room;
    memcpy(data, "3 4\n", 4);
    for (size_t w = 0; w < 3; w++) {
        const size_t length = strlen(words[w]);
        const float values[DIMENSION] = {(float)i, -1.5f, 0.25f, (float)w};
        memcpy(data + n, words[w], length);
        data[n + length] = ' ';
        memcpy(data + n + length + 1, values, sizeof values);
        n += length + 1 + sizeof values;
        if (i % 2) data[n++] = '\n';
    }
    return n;
}
#define DRACO_FUZZ_SEED word2vec_seed
#include "fuzz_main.h"
#endif
