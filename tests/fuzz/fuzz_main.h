/* A main() for a fuzz target: seeded pseudo-random inputs and mutations of them, for a bounded time, then one
 * TAP line. A crash, a sanitizer's report or a hang is the failure.
 *
 *     int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
 *     #ifdef DRACO_FUZZ_MAIN
 *     #define DRACO_FUZZ_SEED my_seed        optional: size_t my_seed(uint64_t i, uint8_t *data, size_t room)
 *     #define DRACO_FUZZ_ROOM 4096           optional: the largest input
 *     #include "fuzz_main.h"
 *     #endif
 *
 * my_seed writes the i-th well-formed input and returns its size; half of the inputs are then mutations of
 * such. DRACO_FUZZ_SECONDS (default 2) and DRACO_FUZZ_INPUTS (default 200000) end the run, whichever comes
 * first. The files of tests/fuzz/corpus/NAME, seen from the folder that the program is run in, are replayed
 * before. With file names as arguments those are replayed instead, as libFuzzer does. DRACO_FUZZ_WRITE=FOLDER
 * writes the first well-formed inputs as files there: seeds for a corpus. */
#ifndef DRACO_FUZZ_MAIN_H
#define DRACO_FUZZ_MAIN_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef DRACO_FUZZ_ROOM
#define DRACO_FUZZ_ROOM 4096
#endif

static uint64_t fuzz_state = 0x9e3779b97f4a7c15u;

/* splitmix64 */
static uint64_t fuzz_random(void) {
    uint64_t z = fuzz_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Small sizes are the most telling: half of all are under 64 bytes. */
static size_t fuzz_size(void) {
    size_t limit = fuzz_random() % 2 ? 64 : DRACO_FUZZ_ROOM;
    return (size_t)(fuzz_random() % (limit < DRACO_FUZZ_ROOM ? limit + 1 : DRACO_FUZZ_ROOM + 1));
}

static void fuzz_fill(uint8_t *data, size_t size) {
    static const uint8_t telling[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    size_t i;
    for (i = 0; i < size; i++) {
        uint64_t r = fuzz_random();
        data[i] = r % 4 ? (uint8_t)(r >> 8) : telling[(r >> 8) % sizeof telling];
    }
}

static size_t fuzz_mutate(uint8_t *data, size_t size) {
    int edits = 1 + (int)(fuzz_random() % 8);
    while (edits-- > 0 && size > 0) {
        size_t at = (size_t)(fuzz_random() % size), span = (size_t)(fuzz_random() % (size - at)) + 1;
        switch (fuzz_random() % 5) {
        case 0:
            data[at] ^= (uint8_t)(1u << fuzz_random() % 8);
            break;
        case 1:
            data[at] = (uint8_t)fuzz_random();
            break;
        case 2:
            fuzz_fill(data + at, span < 8 ? span : 8);
            break;
        case 3:
            size = at;
            break;
        default:
            memmove(data + (size_t)(fuzz_random() % (size - span + 1)), data + at, span);
            break;
        }
    }
    return size;
}

static size_t fuzz_make(uint64_t i, uint8_t *data) {
    size_t size;
#ifdef DRACO_FUZZ_SEED
    if (i % 2) {
        size = DRACO_FUZZ_SEED(i / 2, data, DRACO_FUZZ_ROOM);
        return i % 8 == 1 ? size : fuzz_mutate(data, size);
    }
#else
    (void)fuzz_mutate;
    (void)i;
#endif
    size = fuzz_size();
    fuzz_fill(data, size);
    return size;
}

/* The input stands in a block of exactly its size, so that the address sanitizer sees every overrun. */
static void fuzz_one(const uint8_t *data, size_t size) {
    uint8_t *copy = (uint8_t *)malloc(size ? size : 1);
    if (!copy) exit(1);
    if (size) memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static int fuzz_replay(const char *path) {
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "rb");
    size_t size;
    if (!file) {
        fprintf(stderr, "cannot read %s\n", path);
        return 1;
    }
    size = fread(data, 1, sizeof data, file);
    fclose(file);
    fuzz_one(data, size);
    return 0;
}

/* Replays the files of a folder; how many there were, 0 when there is no such folder. */
static int fuzz_corpus(const char *folder) {
    char path[1024];
    const struct dirent *entry;
    int count = 0;
    DIR *files = opendir(folder);
    while (files && (entry = readdir(files)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path) exit(1);
        if (fuzz_replay(path)) exit(1);
        count++;
    }
    if (files) closedir(files);
    return count;
}

static double fuzz_option(const char *name, double otherwise) {
    const char *text = getenv(name);
    return text ? atof(text) : otherwise;
}

/* The first six inputs that are well-formed, or random where the target has no seeds. */
static int fuzz_write(const char *folder, uint8_t *data) {
    uint64_t i;
    for (i = 0; i < 6; i++) {
        char path[1024];
        FILE *file;
        size_t size = fuzz_make(8 * i + 1, data);
        if (snprintf(path, sizeof path, "%s/seed-%d", folder, (int)i) >= (int)sizeof path) return 1;
        file = fopen(path, "wb");
        if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    static uint8_t data[DRACO_FUZZ_ROOM + 1];
    double seconds = fuzz_option("DRACO_FUZZ_SECONDS", 2), inputs = fuzz_option("DRACO_FUZZ_INPUTS", 200000);
    time_t end = time(NULL) + (time_t)seconds;
    const char *name = strrchr(argv[0], '/');
    char folder[512];
    uint64_t i = 0;
    int bad = 0, files;
    if (getenv("DRACO_FUZZ_WRITE")) return fuzz_write(getenv("DRACO_FUZZ_WRITE"), data);
    if (argc > 1) {
        int a;
        for (a = 1; a < argc; a++) bad |= fuzz_replay(argv[a]);
        return bad;
    }
    name = name ? name + 1 : argv[0];
    snprintf(folder, sizeof folder, "tests/fuzz/corpus/%s", name);
    files = fuzz_corpus(folder);
    for (; (double)i < inputs && (i % 16 || time(NULL) < end); i++) {
        size_t size = fuzz_make(i, data);
        fuzz_one(data, size);
    }
    printf("1..1\nok 1 - %s: %llu inputs and %d files of tests/fuzz/corpus\n", name, (unsigned long long)i,
           files);
    return 0;
}

#endif /* DRACO_FUZZ_MAIN_H */
