/* Any two files given as sentences: an error, or a set in which every word is in the vocabulary. */
#include "fuzz_data.h"

#define DRACO_DATA_MAX_TEXT ((size_t)1 << 20)
#define DRACO_DATA_IMPLEMENTATION
#include "models/draco_data.h"

/* Every number stands for a word, and the word is found under its number. */
static void check(const draco_dataset *set) {
    const draco_vocabulary *v = &set->vocabulary;
    for (size_t w = 0; w < v->words; w++) {
        const size_t length = v->starts[w + 1] - v->starts[w];
        if (length == 0) abort();
        if (draco_vocabulary_find(v, v->text + v->starts[w], length) != DRACO_DATA_FIRST + (int32_t)w)
            abort();
    }
    for (size_t i = 0; i < set->samples; i++) {
        size_t count;
        const int32_t *words = draco_dataset_words(set, i, &count);
        if (count < 1 || count > set->features || set->labels[i] < 0 || set->labels[i] > 1) abort();
        for (size_t k = 0; k < count; k++)
            if (words[k] < DRACO_DATA_FIRST || (size_t)words[k] >= v->size) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static fuzz_file positive, negative;
    const uint8_t *rest;
    size_t first, second;
    draco_dataset set, left, held;
    draco_data_error error;
    fuzz_split(data, size, &first, &rest, &second);
    const char *one = fuzz_file_write(&positive, data + (size < 2 ? 0 : 2), first);
    const char *two = fuzz_file_write(&negative, rest, second);
    error.text[0] = '\0';
    if (draco_data_text(one, two, &set, &error) != DRACO_OK) {
        if (error.text[0] == '\0' || strchr(error.text, '\n') != NULL) abort();
        return 0;
    }
    check(&set);
    if (draco_data_split(&set, 1, size, &left, &held, &error) != DRACO_OK) abort();
    check(&left);
    check(&held);
    draco_dataset_free(&left);
    draco_dataset_free(&held);
    draco_dataset_free(&set);
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
static size_t text_seed(uint64_t i, uint8_t *data, size_t room) {
    static const char *const positive[] = {"good film , it's fine\nvery good\n", "caf\xE9 'tis\nn't don't\n"};
    static const char *const negative[] = {"bad bad ( film ) !\n", "...\nugly"};
    const char *p = positive[i % 2], *n = negative[i / 2 % 2];
    (void)room;
    data[0] = 0;
    data[1] = (uint8_t)strlen(p);
    memcpy(data + 2, p, strlen(p));
    memcpy(data + 2 + strlen(p), n, strlen(n));
    return 2 + strlen(p) + strlen(n);
}
#define DRACO_FUZZ_SEED text_seed
#include "fuzz_main.h"
#endif
