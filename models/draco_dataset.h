/* draco_dataset.h - version 0.1.0 - a data set in memory: pictures, numbers or sentences, with labels

   What is drawn from a set, its normalisation, its split. Switches and manual: draco_data.h. The
   implementation is C11 with GNU extensions and POSIX; link -lz -lm.

   A set is read only while models use it, so any number of threads may read it at once. Which sample stands
   at a place of a batch depends on (seed, step, place) alone, so every holder of a part draws the same
   samples.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#if defined(DRACO_DATA_IMPLEMENTATION) && !defined(DRACO_IMPLEMENTATION)
#define DRACO_IMPLEMENTATION
#endif
#if defined(DRACO_DATA_STATIC) && !defined(DRACO_STATIC)
#define DRACO_STATIC
#endif
#include "../draco.h"

#ifndef DRACO_DATASET_H
#define DRACO_DATASET_H

#if defined(__GNUC__)
#define DRACO_DATA_PRIVATE static __attribute__((unused))
#else
#define DRACO_DATA_PRIVATE static
#endif
#ifndef DRACO_DATA_API
#ifdef DRACO_DATA_STATIC
#define DRACO_DATA_API DRACO_DATA_PRIVATE
#else
#define DRACO_DATA_API extern
#endif
#endif

/* Limits; a file past one of them is refused with the numbers. */
#ifndef DRACO_DATA_MAX_BYTES
#define DRACO_DATA_MAX_BYTES ((size_t)1 << 31) /* decoded bytes of one file */
#endif
#ifndef DRACO_DATA_MAX_TEXT
#define DRACO_DATA_MAX_TEXT ((size_t)1 << 28) /* decoded bytes of one text file */
#endif
#define DRACO_DATA_MAX_SENTENCE 4096 /* words of a sentence */
#define DRACO_DATA_MAX_CHANNELS 4
#define DRACO_DATA_PADDING 0 /* word number that stands for no word */
#define DRACO_DATA_UNKNOWN 1 /* word number of a word outside the vocabulary */
#define DRACO_DATA_FIRST 2   /* number of the first word of the vocabulary */

#ifdef __cplusplus
extern "C" {
#endif

/* One clear line: the file, what is wrong, expected and found numbers. Every function takes NULL for it. */
typedef struct draco_data_error {
    char text[512];
} draco_data_error;

/* Words numbered DRACO_DATA_FIRST.. in the order in which they first appear. */
typedef struct draco_vocabulary {
    size_t size;      /* word numbers: DRACO_DATA_FIRST + words */
    size_t words;     /* distinct words */
    char *text;       /* the words, one after the other, no separator */
    size_t *starts;   /* words + 1: word w is text[starts[w - FIRST] .. starts[w - FIRST + 1]) */
    uint32_t *sorted; /* words: 0-based words in the order of their bytes */
} draco_vocabulary;

/* Samples in memory. Pictures: pixels; numbers: values; text: words. Freed by draco_dataset_free. */
typedef struct draco_dataset {
    char name[32];
    size_t samples;
    size_t features;             /* values of a sample; text: words of the longest sentence */
    int height, width, channels; /* pictures: features = height x width x channels; else 0 */
    int classes;
    int32_t *labels; /* samples; 0..classes-1 */
    float *targets;  /* samples, or NULL: regression takes the label as a number */
    uint8_t *pixels; /* samples x height x width x channels (NHWC), or NULL */
    float *values;   /* samples x features, or NULL */
    int32_t *words;  /* the sentences one after the other, or NULL */
    size_t *starts;  /* samples + 1: sentence i is words[starts[i] .. starts[i + 1]) */
    draco_vocabulary vocabulary;
    const char *encoding; /* text files: how they were read, UTF-8 or Windows-1252; else NULL */
    /* A pixel p of channel c is given to a model as p x scale[c] + shift[c]. */
    float scale[DRACO_DATA_MAX_CHANNELS], shift[DRACO_DATA_MAX_CHANNELS];
} draco_dataset;

DRACO_DATA_API void draco_dataset_free(draco_dataset *data);
/* values[features] of a sample, normalised (pictures and numbers). */
DRACO_DATA_API void draco_dataset_row(const draco_dataset *data, size_t sample, float *values);
/* Are there labels, all of them within 0..classes-1? */
DRACO_DATA_API int draco_dataset_labelled(const draco_dataset *data);
/* The words of a sentence and their count, at least 1. */
DRACO_DATA_API const int32_t *draco_dataset_words(const draco_dataset *data, size_t sample, size_t *count);
/* The sample that stands at place `place` (0..batch->count-1) of a part. */
DRACO_DATA_API size_t draco_dataset_draw(const draco_dataset *data, const draco_batch *batch, size_t place);
/* Give both sets mean 0 and deviation 1 per channel, measured on `train`; `test` may be NULL. Pictures. */
DRACO_DATA_API draco_status draco_data_normalise(draco_dataset *train, draco_dataset *test);
/* Shuffle by seed and part: held[held_out] and rest[samples - held_out], copies. */
DRACO_DATA_API draco_status draco_data_split(const draco_dataset *all, size_t held_out, uint64_t seed,
                                             draco_dataset *rest, draco_dataset *held,
                                             draco_data_error *error);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_DATASET_H */

#if defined(DRACO_DATA_IMPLEMENTATION) && !defined(DRACO_DATASET_IMPLEMENTED)
#define DRACO_DATASET_IMPLEMENTED

#include <fcntl.h>
#if defined(__cplusplus) || !defined(__GNUC__) || !defined(O_CLOEXEC)
#error "draco_dataset.h: the implementation needs POSIX and C with GNU extensions: a .c file, -std=gnu11"
#endif

#include "draco_math.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define DR_DATA_CHUNK ((size_t)1 << 16)

__attribute__((format(printf, 3, 4))) DRACO_DATA_PRIVATE draco_status dr_data_fail(draco_data_error *error,
                                                                                   draco_status status,
                                                                                   const char *format, ...) {
    va_list arguments;
    if (error == NULL) return status;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return status;
}

/* ---- Files: plain or gzip, only as much memory as there are bytes ---- */

typedef struct dr_data_file {
    gzFile gz;
    const char *path;
    draco_data_error *error;
} dr_data_file;

/* Regular files only: a pipe or a device could make the reader wait for ever. */
DRACO_DATA_PRIVATE draco_status dr_data_open(dr_data_file *file, const char *path, draco_data_error *error) {
    struct stat about;
    int descriptor;
    file->gz = NULL;
    file->path = path;
    file->error = error;
    if (path == NULL) return dr_data_fail(error, DRACO_E_ARGUMENT, "no file name given");
    descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0) return dr_data_fail(error, DRACO_E_IO, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(descriptor, &about) != 0 || !S_ISREG(about.st_mode)) {
        close(descriptor);
        return dr_data_fail(error, DRACO_E_IO, "%s: not a regular file", path);
    }
    if (about.st_size == 0) {
        close(descriptor);
        return dr_data_fail(error, DRACO_E_MALFORMED, "%s: the file is empty", path);
    }
    file->gz = gzdopen(descriptor, "rb");
    if (file->gz == NULL) {
        close(descriptor);
        return dr_data_fail(error, DRACO_E_MEMORY, "%s: out of memory", path);
    }
    gzbuffer(file->gz, 1u << 16);
    return DRACO_OK;
}

DRACO_DATA_PRIVATE void dr_data_close(dr_data_file *file) {
    if (file->gz != NULL) gzclose(file->gz);
    file->gz = NULL;
}

/* Up to n bytes, fewer only at the end of the file. */
DRACO_DATA_PRIVATE draco_status dr_data_read(dr_data_file *file, void *bytes, size_t n, size_t *got) {
    *got = 0;
    while (*got < n) {
        size_t left = n - *got;
        int count =
            gzread(file->gz, (char *)bytes + *got, (unsigned)(left < DR_DATA_CHUNK ? left : DR_DATA_CHUNK));
        int code = Z_OK;
        const char *why = gzerror(file->gz, &code), *colon = strstr(why, ">: ");
        if (strncmp(why, "<fd:", 4) == 0 && colon != NULL) why = colon + 3; /* zlib's name of the file */
        if (count < 0 || (count == 0 && code != Z_OK && code != Z_STREAM_END))
            return dr_data_fail(file->error, code == Z_ERRNO ? DRACO_E_IO : DRACO_E_MALFORMED,
                                "%s: cannot read past byte %zu of its contents: %s", file->path,
                                (size_t)gztell(file->gz), code == Z_ERRNO ? strerror(errno) : why);
        if (count == 0) break;
        *got += (size_t)count;
    }
    return DRACO_OK;
}

/* Exactly n bytes, in memory that grows only as bytes arrive: n comes from a header. */
DRACO_DATA_PRIVATE draco_status dr_data_read_grown(dr_data_file *file, size_t n, uint8_t **bytes) {
    size_t have = 0, capacity = 0;
    uint8_t *memory = NULL;
    while (have < n) {
        size_t got, want = have < DR_DATA_CHUNK ? DR_DATA_CHUNK : have;
        draco_status status;
        uint8_t *grown;
        if (want > n - have) want = n - have;
        capacity = have + want;
        grown = (uint8_t *)realloc(memory, capacity);
        if (grown == NULL) {
            free(memory);
            return dr_data_fail(file->error, DRACO_E_MEMORY, "%s: out of memory for %zu bytes", file->path,
                                capacity);
        }
        memory = grown;
        status = dr_data_read(file, memory + have, want, &got);
        have += got;
        if (status == DRACO_OK && got < want)
            status = dr_data_fail(file->error, DRACO_E_MALFORMED,
                                  "%s: truncated: its header promises %zu bytes of data, it has %zu",
                                  file->path, n, have);
        if (status != DRACO_OK) {
            free(memory);
            return status;
        }
    }
    *bytes = memory;
    return DRACO_OK;
}

/* Everything up to the end of the file, at most `limit` bytes. */
DRACO_DATA_PRIVATE draco_status dr_data_read_all(dr_data_file *file, size_t limit, uint8_t **bytes,
                                                 size_t *size) {
    size_t have = 0;
    uint8_t *memory = NULL;
    for (;;) {
        size_t got, want = have < DR_DATA_CHUNK ? DR_DATA_CHUNK : have;
        draco_status status;
        uint8_t *grown = (uint8_t *)realloc(memory, have + want);
        if (grown == NULL) {
            free(memory);
            return dr_data_fail(file->error, DRACO_E_MEMORY, "%s: out of memory for %zu bytes", file->path,
                                have + want);
        }
        memory = grown;
        status = dr_data_read(file, memory + have, want, &got);
        have += got;
        if (status == DRACO_OK && have > limit)
            status =
                dr_data_fail(file->error, DRACO_E_MALFORMED,
                             "%s: more than %zu bytes, the limit for a file of this kind", file->path, limit);
        if (status != DRACO_OK) {
            free(memory);
            return status;
        }
        if (got < want) break;
    }
    *bytes = memory;
    *size = have;
    return DRACO_OK;
}

DRACO_DATA_PRIVATE draco_status dr_data_expect_end(dr_data_file *file, size_t n) {
    uint8_t extra;
    size_t got;
    draco_status status = dr_data_read(file, &extra, 1, &got);
    if (status == DRACO_OK && got != 0)
        status =
            dr_data_fail(file->error, DRACO_E_MALFORMED,
                         "%s: trailing bytes after the %zu bytes that its header promises", file->path, n);
    return status;
}

/* ---- A data set in memory ---- */

DRACO_DATA_API void draco_dataset_free(draco_dataset *data) {
    if (data == NULL) return;
    free(data->labels);
    free(data->targets);
    free(data->pixels);
    free(data->values);
    free(data->words);
    free(data->starts);
    free(data->vocabulary.text);
    free(data->vocabulary.starts);
    free(data->vocabulary.sorted);
    memset(data, 0, sizeof *data);
}

DRACO_DATA_PRIVATE void dr_data_name(draco_dataset *data, const char *name) {
    snprintf(data->name, sizeof data->name, "%s", name);
}

/* A set of pictures without its pixels. */
DRACO_DATA_PRIVATE void dr_data_shape(draco_dataset *data, size_t samples, int height, int width,
                                      int channels, int classes) {
    memset(data, 0, sizeof *data);
    data->samples = samples;
    data->height = height;
    data->width = width;
    data->channels = channels;
    data->classes = classes;
    data->features = (size_t)height * (size_t)width * (size_t)channels;
    for (int c = 0; c < DRACO_DATA_MAX_CHANNELS; c++) {
        data->scale[c] = 1.0f / 255.0f;
        data->shift[c] = 0.0f;
    }
}

DRACO_DATA_API void draco_dataset_row(const draco_dataset *data, size_t sample, float *values) {
    const size_t features = data->features;
    if (data->pixels == NULL) {
        memcpy(values, data->values + sample * features, features * sizeof *values);
        return;
    }
    const uint8_t *pixel = data->pixels + sample * features;
    const size_t channels = (size_t)data->channels;
    if (channels == 1) {
        const float scale = data->scale[0], shift = data->shift[0];
        for (size_t i = 0; i < features; i++) values[i] = (float)pixel[i] * scale + shift;
        return;
    }
    for (size_t i = 0; i < features; i += channels)
        for (size_t c = 0; c < channels; c++)
            values[i + c] = (float)pixel[i + c] * data->scale[c] + data->shift[c];
}

DRACO_DATA_API int draco_dataset_labelled(const draco_dataset *data) {
    if (data->labels == NULL || data->classes < 1) return 0;
    for (size_t i = 0; i < data->samples; i++)
        if (data->labels[i] < 0 || data->labels[i] >= data->classes) return 0;
    return 1;
}

DRACO_DATA_API const int32_t *draco_dataset_words(const draco_dataset *data, size_t sample, size_t *count) {
    *count = data->starts[sample + 1] - data->starts[sample];
    return data->words + data->starts[sample];
}

DRACO_DATA_API size_t draco_dataset_draw(const draco_dataset *data, const draco_batch *batch, size_t place) {
    return draco_sample(batch->seed, batch->step, batch->first + place, data->samples);
}

/* Integer sums, so that the result does not depend on the order. */
DRACO_DATA_API draco_status draco_data_normalise(draco_dataset *train, draco_dataset *test) {
    if (train == NULL || train->pixels == NULL) return DRACO_E_ARGUMENT;
    if (test != NULL && (test->pixels == NULL || test->channels != train->channels)) return DRACO_E_ARGUMENT;
    const size_t channels = (size_t)train->channels, total = train->samples * train->features;
    for (size_t c = 0; c < channels; c++) {
        uint64_t sum = 0, squares = 0;
        for (size_t i = c; i < total; i += channels) {
            const uint64_t p = train->pixels[i];
            sum += p;
            squares += p * p;
        }
        const double count = (double)(total / channels);
        const double mean = (double)sum / count;
        const double variance = (double)squares / count - mean * mean;
        const double scale = variance > 0.0 ? 1.0 / sqrt(variance) : 1.0 / 255.0;
        train->scale[c] = (float)scale;
        train->shift[c] = (float)(-mean * scale);
        if (test != NULL) {
            test->scale[c] = train->scale[c];
            test->shift[c] = train->shift[c];
        }
    }
    return DRACO_OK;
}

/* ---- Split ---- */

/* rows which[0..count) of `from`, each of `bytes` bytes; NULL stays NULL. 0: out of memory. */
DRACO_DATA_PRIVATE int dr_data_pick(const void *from, size_t bytes, const size_t *which, size_t count,
                                    void **to) {
    *to = NULL;
    if (from == NULL) return 1;
    *to = malloc(count * bytes);
    if (*to == NULL) return 0;
    for (size_t i = 0; i < count; i++)
        memcpy((char *)*to + i * bytes, (const char *)from + which[i] * bytes, bytes);
    return 1;
}

DRACO_DATA_PRIVATE int dr_data_pick_words(const draco_dataset *all, const size_t *which, size_t count,
                                          draco_dataset *out) {
    size_t words = 0;
    if (all->words == NULL) return 1;
    for (size_t i = 0; i < count; i++) words += all->starts[which[i] + 1] - all->starts[which[i]];
    out->words = (int32_t *)malloc(words * sizeof *out->words);
    out->starts = (size_t *)malloc((count + 1) * sizeof *out->starts);
    if (out->words == NULL || out->starts == NULL) return 0;
    out->starts[0] = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t start = all->starts[which[i]], length = all->starts[which[i] + 1] - start;
        memcpy(out->words + out->starts[i], all->words + start, length * sizeof *out->words);
        out->starts[i + 1] = out->starts[i] + length;
    }
    return 1;
}

DRACO_DATA_PRIVATE int dr_data_copy_vocabulary(const draco_vocabulary *from, draco_vocabulary *to) {
    memset(to, 0, sizeof *to);
    if (from->words == 0) return 1;
    const size_t bytes = from->starts[from->words];
    to->size = from->size;
    to->words = from->words;
    to->text = (char *)malloc(bytes);
    to->starts = (size_t *)malloc((from->words + 1) * sizeof *to->starts);
    to->sorted = (uint32_t *)malloc(from->words * sizeof *to->sorted);
    if (to->text == NULL || to->starts == NULL || to->sorted == NULL) return 0;
    memcpy(to->text, from->text, bytes);
    memcpy(to->starts, from->starts, (from->words + 1) * sizeof *to->starts);
    memcpy(to->sorted, from->sorted, from->words * sizeof *to->sorted);
    return 1;
}

/* Copy of the samples which[0..count). On error `out` is empty. */
DRACO_DATA_PRIVATE draco_status dr_data_subset(const draco_dataset *all, const size_t *which, size_t count,
                                               draco_dataset *out) {
    void *labels = NULL, *targets = NULL, *pixels = NULL, *values = NULL;
    *out = *all;
    out->samples = count;
    out->words = NULL;
    out->starts = NULL;
    int good = dr_data_copy_vocabulary(&all->vocabulary, &out->vocabulary);
    good &= dr_data_pick(all->labels, sizeof *all->labels, which, count, &labels);
    good &= dr_data_pick(all->targets, sizeof *all->targets, which, count, &targets);
    good &= dr_data_pick(all->pixels, all->features, which, count, &pixels);
    good &= dr_data_pick(all->values, all->features * sizeof *all->values, which, count, &values);
    good &= dr_data_pick_words(all, which, count, out);
    out->labels = (int32_t *)labels;
    out->targets = (float *)targets;
    out->pixels = (uint8_t *)pixels;
    out->values = (float *)values;
    if (good) return DRACO_OK;
    draco_dataset_free(out);
    return DRACO_E_MEMORY;
}

/* Unbiased: a draw below the largest multiple of `bound`. */
DRACO_DATA_PRIVATE size_t dr_data_below(uint64_t key, uint64_t stream, uint64_t *counter, size_t bound) {
    const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    for (;;) {
        uint32_t word[4];
        draco_random(key, stream, (*counter)++, word);
        const uint64_t draw = (uint64_t)word[0] << 32 | word[1];
        if (draw < limit) return (size_t)(draw % bound);
    }
}

#define DR_DATA_SPLIT_STREAM 0x73706c6974ull /* "split" */

DRACO_DATA_API draco_status draco_data_split(const draco_dataset *all, size_t held_out, uint64_t seed,
                                             draco_dataset *rest, draco_dataset *held,
                                             draco_data_error *error) {
    draco_dataset first, second;
    uint64_t counter = 0;
    if (all == NULL || rest == NULL || held == NULL || held_out < 1 || held_out >= all->samples)
        return dr_data_fail(error, DRACO_E_ARGUMENT, "split: cannot hold out %zu of %zu samples", held_out,
                            all != NULL ? all->samples : 0);
    size_t *order = (size_t *)malloc(all->samples * sizeof *order);
    if (order == NULL) return dr_data_fail(error, DRACO_E_MEMORY, "split: out of memory");
    for (size_t i = 0; i < all->samples; i++) order[i] = i;
    for (size_t i = all->samples - 1; i > 0; i--) { /* Fisher and Yates */
        const size_t j = dr_data_below(seed, DR_DATA_SPLIT_STREAM, &counter, i + 1);
        const size_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    draco_status status = dr_data_subset(all, order, held_out, &second);
    if (status == DRACO_OK) {
        status = dr_data_subset(all, order + held_out, all->samples - held_out, &first);
        if (status != DRACO_OK) draco_dataset_free(&second);
    }
    free(order);
    if (status != DRACO_OK) return dr_data_fail(error, status, "split: out of memory");
    *rest = first;
    *held = second;
    return DRACO_OK;
}

#endif /* DRACO_DATA_IMPLEMENTATION */
