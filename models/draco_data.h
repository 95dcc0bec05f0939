#ifndef DRACO_DATA_H
#define DRACO_DATA_H

#include "draco.h"

#define DRACO_DATA_VERSION 0x000100 /* 0.1.0 */

#if defined(__GNUC__)
#define DRACO_DATA_PRIVATE static __attribute__((unused))
#else
#define DRACO_DATA_PRIVATE static
#endif
#ifdef DRACO_DATA_STATIC
#define DRACO_DATA_API DRACO_DATA_PRIVATE
#else
#define DRACO_DATA_API extern
#endif

/* Limits; a file past one of them is refused with the numbers. */
#ifndef DRACO_DATA_MAX_BYTES
#define DRACO_DATA_MAX_BYTES ((size_t)1 << 31) /* decoded bytes of one file */
#endif
#ifndef DRACO_DATA_MAX_TEXT
#define DRACO_DATA_MAX_TEXT ((size_t)1 << 28) /* decoded bytes of one text file */
#endif
#define DRACO_DATA_MAX_SENTENCE 4096 /* words of a sentence */
#define DRACO_DATA_MAX_FILES 16      /* training files of one data set */
#define DRACO_DATA_MAX_PATH 1024
#define DRACO_DATA_MAX_CHANNELS 4
#define DRACO_DATA_PADDING 0 /* word number that stands for no word */
#define DRACO_DATA_UNKNOWN 1 /* word number of a word outside the vocabulary */
#define DRACO_DATA_FIRST 2   /* number of the first word of the vocabulary */

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
    /* A pixel p of channel c is given to a model as p x scale[c] + shift[c]. */
    float scale[DRACO_DATA_MAX_CHANNELS], shift[DRACO_DATA_MAX_CHANNELS];
} draco_dataset;

DRACO_DATA_API void draco_dataset_free(draco_dataset *data);
/* values[features] of a sample, normalised (pictures and numbers). */
DRACO_DATA_API void draco_dataset_row(const draco_dataset *data, size_t sample, float *values);
/* The words of a sentence and their count, at least 1. */
DRACO_DATA_API const int32_t *draco_dataset_words(const draco_dataset *data, size_t sample, size_t *count);
/* The sample that stands at place `place` (0..batch->count-1) of a part. */
DRACO_DATA_API size_t draco_dataset_draw(const draco_dataset *data, const draco_batch *batch, size_t place);
/* Number of a word, or DRACO_DATA_UNKNOWN. */
DRACO_DATA_API int32_t draco_vocabulary_find(const draco_vocabulary *vocabulary, const char *word,
                                             size_t length);

/* Files -> data set. On error *out is untouched. */
DRACO_DATA_API draco_status draco_data_idx(const char *images, const char *labels, int classes,
                                           draco_dataset *out, draco_data_error *error);
/* CIFAR-10 binary batches, plain or gzip: records of 1 label and 3 x 32 x 32 pixels, planes R, G, B. */
DRACO_DATA_API draco_status draco_data_cifar10(const char *const *files, size_t count, draco_dataset *out,
                                               draco_data_error *error);
/* Latin-1 text, one sentence a line: class 1 and class 0. The vocabulary is built from both files. */
DRACO_DATA_API draco_status draco_data_text(const char *positive, const char *negative, draco_dataset *out,
                                            draco_data_error *error);
/* word2vec binary file: rows[vocabulary->size x dimension], row w set for each word w that the file has;
   others untouched; *found: how many were set. On error rows may be partly set. */
DRACO_DATA_API draco_status draco_data_word2vec(const char *path, const draco_vocabulary *vocabulary,
                                                size_t dimension, float *rows, size_t *found,
                                                draco_data_error *error);

/* Shuffle by seed and part: held[held_out] and rest[samples - held_out], copies. */
DRACO_DATA_API draco_status draco_data_split(const draco_dataset *all, size_t held_out, uint64_t seed,
                                             draco_dataset *rest, draco_dataset *held,
                                             draco_data_error *error);

typedef enum draco_data_kind {
    DRACO_DATA_DIGITS = 0,   /* 28 x 28 x 1, 10 classes */
    DRACO_DATA_PICTURES = 1, /* 32 x 32 x 3, 10 classes */
    DRACO_DATA_SENTENCES = 2 /* 2 classes */
} draco_data_kind;
/* Samples first..first+samples-1 of the endless set that a seed stands for: equal bits on every machine. */
DRACO_DATA_API draco_status draco_data_generate(draco_data_kind kind, uint64_t seed, size_t first,
                                                size_t samples, draco_dataset *out, draco_data_error *error);
/* Give both sets mean 0 and deviation 1 per channel, measured on `train`; `test` may be NULL. Pictures. */
DRACO_DATA_API draco_status draco_data_normalise(draco_dataset *train, draco_dataset *test);

/* The usual files of a data set. */
typedef struct draco_data_paths {
    char train[DRACO_DATA_MAX_FILES][DRACO_DATA_MAX_PATH]; /* images, batches, or the positive sentences */
    size_t train_files;
    char train_labels[DRACO_DATA_MAX_PATH]; /* labels, or the negative sentences */
    char test[DRACO_DATA_MAX_PATH], test_labels[DRACO_DATA_MAX_PATH];
} draco_data_paths;
/* name: mnist, fashion-mnist, cifar10, mr. directory NULL: $DRACO_DATA, then /usr/share/datasets. */
DRACO_DATA_API draco_status draco_data_find(const char *name, const char *directory, draco_data_paths *paths,
                                            draco_data_error *error);

typedef struct draco_data_config {
    const char *name;      /* as draco_data_find, or digits, pictures, sentences: the built-in generator */
    const char *directory; /* NULL: the default places */
    uint64_t seed;         /* of the split and of the generator */
    double held_out;       /* share of the training samples kept for the test; 0: the file's own test set,
                              and 0.1 where there is none */
    size_t train, test;    /* built-in generator: samples; 0: 10,000 and 2,000 */
    int raw;               /* leave pixels p / 255 instead of mean 0 and deviation 1 */
} draco_data_config;
DRACO_DATA_API draco_status draco_data_load(const draco_data_config *config, draco_dataset *train,
                                            draco_dataset *test, draco_data_error *error);

#endif /* DRACO_DATA_H */

/* ------------------------------------------------------------------------------------------------------ */
#if (defined(DRACO_DATA_IMPLEMENTATION) || defined(DRACO_DATA_STATIC)) && !defined(DRACO_DATA_PRIV_DONE)
#define DRACO_DATA_PRIV_DONE

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define DRACO_DATA_PRIV_CHUNK ((size_t)1 << 20)

__attribute__((format(printf, 3, 4))) DRACO_DATA_PRIVATE draco_status
draco_data_priv_fail(draco_data_error *error, draco_status status, const char *format, ...) {
    va_list arguments;
    if (error == NULL) return status;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return status;
}

/* ---- Files: plain or gzip, only as much memory as there are bytes ---- */

typedef struct draco_data_priv_file {
    gzFile gz;
    const char *path;
    draco_data_error *error;
} draco_data_priv_file;

/* Regular files only: a pipe or a device could make the reader wait for ever. */
DRACO_DATA_PRIVATE draco_status draco_data_priv_open(draco_data_priv_file *file, const char *path,
                                                     draco_data_error *error) {
    struct stat about;
    int descriptor;
    file->gz = NULL;
    file->path = path;
    file->error = error;
    if (path == NULL) return draco_data_priv_fail(error, DRACO_E_ARGUMENT, "no file name given");
    descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0)
        return draco_data_priv_fail(error, DRACO_E_IO, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(descriptor, &about) != 0 || !S_ISREG(about.st_mode)) {
        close(descriptor);
        return draco_data_priv_fail(error, DRACO_E_IO, "%s: not a regular file", path);
    }
    if (about.st_size == 0) {
        close(descriptor);
        return draco_data_priv_fail(error, DRACO_E_MALFORMED, "%s: the file is empty", path);
    }
    file->gz = gzdopen(descriptor, "rb");
    if (file->gz == NULL) {
        close(descriptor);
        return draco_data_priv_fail(error, DRACO_E_MEMORY, "%s: out of memory", path);
    }
    gzbuffer(file->gz, 1u << 17);
    return DRACO_OK;
}

DRACO_DATA_PRIVATE void draco_data_priv_close(draco_data_priv_file *file) {
    if (file->gz != NULL) gzclose(file->gz);
    file->gz = NULL;
}

/* Up to n bytes, fewer only at the end of the file. */
DRACO_DATA_PRIVATE draco_status draco_data_priv_read(draco_data_priv_file *file, void *bytes, size_t n,
                                                     size_t *got) {
    *got = 0;
    while (*got < n) {
        size_t left = n - *got;
        int count = gzread(file->gz, (char *)bytes + *got,
                           (unsigned)(left < DRACO_DATA_PRIV_CHUNK ? left : DRACO_DATA_PRIV_CHUNK));
        int code = Z_OK;
        const char *why = gzerror(file->gz, &code);
        if (count < 0 || (count == 0 && code != Z_OK && code != Z_STREAM_END))
            return draco_data_priv_fail(file->error, code == Z_ERRNO ? DRACO_E_IO : DRACO_E_MALFORMED,
                                        "%s: cannot read past byte %zu of its contents: %s", file->path,
                                        (size_t)gztell(file->gz), code == Z_ERRNO ? strerror(errno) : why);
        if (count == 0) break;
        *got += (size_t)count;
    }
    return DRACO_OK;
}

/* Exactly n bytes, in memory that grows only as bytes arrive: n comes from a header. */
DRACO_DATA_PRIVATE draco_status draco_data_priv_read_grown(draco_data_priv_file *file, size_t n,
                                                           uint8_t **bytes) {
    size_t have = 0, capacity = 0;
    uint8_t *memory = NULL;
    while (have < n) {
        size_t got, want = have < DRACO_DATA_PRIV_CHUNK ? DRACO_DATA_PRIV_CHUNK : have;
        draco_status status;
        uint8_t *grown;
        if (want > n - have) want = n - have;
        capacity = have + want;
        grown = (uint8_t *)realloc(memory, capacity);
        if (grown == NULL) {
            free(memory);
            return draco_data_priv_fail(file->error, DRACO_E_MEMORY, "%s: out of memory for %zu bytes",
                                        file->path, capacity);
        }
        memory = grown;
        status = draco_data_priv_read(file, memory + have, want, &got);
        have += got;
        if (status == DRACO_OK && got < want)
            status = draco_data_priv_fail(file->error, DRACO_E_MALFORMED,
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
DRACO_DATA_PRIVATE draco_status draco_data_priv_read_all(draco_data_priv_file *file, size_t limit,
                                                         uint8_t **bytes, size_t *size) {
    size_t have = 0;
    uint8_t *memory = NULL;
    for (;;) {
        size_t got, want = have < DRACO_DATA_PRIV_CHUNK ? DRACO_DATA_PRIV_CHUNK : have;
        draco_status status;
        uint8_t *grown = (uint8_t *)realloc(memory, have + want);
        if (grown == NULL) {
            free(memory);
            return draco_data_priv_fail(file->error, DRACO_E_MEMORY, "%s: out of memory for %zu bytes",
                                        file->path, have + want);
        }
        memory = grown;
        status = draco_data_priv_read(file, memory + have, want, &got);
        have += got;
        if (status == DRACO_OK && have > limit)
            status = draco_data_priv_fail(file->error, DRACO_E_MALFORMED,
                                          "%s: more than %zu bytes, the limit for a file of this kind",
                                          file->path, limit);
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

DRACO_DATA_PRIVATE draco_status draco_data_priv_expect_end(draco_data_priv_file *file, size_t n) {
    uint8_t extra;
    size_t got;
    draco_status status = draco_data_priv_read(file, &extra, 1, &got);
    if (status == DRACO_OK && got != 0)
        status = draco_data_priv_fail(file->error, DRACO_E_MALFORMED,
                                      "%s: trailing bytes after the %zu bytes that its header promises",
                                      file->path, n);
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

DRACO_DATA_PRIVATE void draco_data_priv_name(draco_dataset *data, const char *name) {
    snprintf(data->name, sizeof data->name, "%s", name);
}

/* A set of pictures without its pixels. */
DRACO_DATA_PRIVATE void draco_data_priv_shape(draco_dataset *data, size_t samples, int height, int width,
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

/* ---- IDX ---- */

DRACO_DATA_PRIVATE uint32_t draco_data_priv_be32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | (uint32_t)bytes[3];
}

#define DRACO_DATA_PRIV_IDX_LABELS 0x00000801u /* unsigned bytes, 1 dimension */
#define DRACO_DATA_PRIV_IDX_IMAGES 0x00000803u /* unsigned bytes, 3 dimensions */

DRACO_DATA_PRIVATE const char *draco_data_priv_idx_kind(uint32_t magic) {
    if (magic == DRACO_DATA_PRIV_IDX_LABELS) return "an IDX file of labels";
    if (magic == DRACO_DATA_PRIV_IDX_IMAGES) return "an IDX file of images";
    return "not an IDX file of bytes";
}

/* sizes[dimensions] of a header with this magic number. */
DRACO_DATA_PRIVATE draco_status draco_data_priv_idx_header(draco_data_priv_file *file, uint32_t magic,
                                                           size_t dimensions, size_t *sizes) {
    uint8_t header[16];
    size_t got;
    const size_t bytes = 4 + 4 * dimensions;
    draco_status status = draco_data_priv_read(file, header, bytes, &got);
    if (status != DRACO_OK) return status;
    if (got >= 4 && draco_data_priv_be32(header) != magic)
        return draco_data_priv_fail(
            file->error, DRACO_E_MALFORMED, "%s: %s (magic 0x%08x) where %s (magic 0x%08x) is expected",
            file->path, draco_data_priv_idx_kind(draco_data_priv_be32(header)),
            (unsigned)draco_data_priv_be32(header), draco_data_priv_idx_kind(magic), (unsigned)magic);
    if (got < bytes)
        return draco_data_priv_fail(file->error, DRACO_E_MALFORMED,
                                    "%s: truncated: %zu bytes of an IDX header of %zu", file->path, got,
                                    bytes);
    for (size_t i = 0; i < dimensions; i++) sizes[i] = draco_data_priv_be32(header + 4 + 4 * i);
    return DRACO_OK;
}

DRACO_DATA_PRIVATE draco_status draco_data_priv_check_labels(const char *path, const uint8_t *bytes,
                                                             size_t stride, size_t count, int classes,
                                                             draco_data_error *error) {
    for (size_t i = 0; i < count; i++)
        if ((int)bytes[i * stride] >= classes)
            return draco_data_priv_fail(error, DRACO_E_MALFORMED,
                                        "%s: label %u of sample %zu is out of range 0..%d", path,
                                        (unsigned)bytes[i * stride], i, classes - 1);
    return DRACO_OK;
}

DRACO_DATA_PRIVATE draco_status draco_data_priv_idx_open(draco_data_priv_file *images,
                                                         draco_data_priv_file *labels, size_t sizes[3]) {
    size_t count = 0;
    draco_status status = draco_data_priv_idx_header(images, DRACO_DATA_PRIV_IDX_IMAGES, 3, sizes);
    if (status == DRACO_OK)
        status = draco_data_priv_idx_header(labels, DRACO_DATA_PRIV_IDX_LABELS, 1, &count);
    if (status != DRACO_OK) return status;
    if (sizes[0] == 0 || sizes[1] == 0 || sizes[2] == 0)
        return draco_data_priv_fail(images->error, DRACO_E_MALFORMED, "%s: no data: %zu images of %zu x %zu",
                                    images->path, sizes[0], sizes[1], sizes[2]);
    /* Each factor is below 2^32, so the divisions cannot be fooled by an overflow. */
    if (sizes[1] > DRACO_DATA_MAX_BYTES / sizes[2] || sizes[0] > DRACO_DATA_MAX_BYTES / (sizes[1] * sizes[2]))
        return draco_data_priv_fail(images->error, DRACO_E_MALFORMED,
                                    "%s: its header asks for %zu images of %zu x %zu, over the limit of %zu "
                                    "bytes",
                                    images->path, sizes[0], sizes[1], sizes[2], DRACO_DATA_MAX_BYTES);
    if (count != sizes[0])
        return draco_data_priv_fail(images->error, DRACO_E_MALFORMED,
                                    "%s has %zu images, but %s has %zu labels", images->path, sizes[0],
                                    labels->path, count);
    return DRACO_OK;
}

DRACO_DATA_PRIVATE draco_status draco_data_priv_widen(const uint8_t *bytes, size_t stride, size_t count,
                                                      int32_t **labels, draco_data_error *error) {
    int32_t *wide = (int32_t *)malloc(count * sizeof *wide);
    if (wide == NULL) return draco_data_priv_fail(error, DRACO_E_MEMORY, "out of memory for labels");
    for (size_t i = 0; i < count; i++) wide[i] = (int32_t)bytes[i * stride];
    *labels = wide;
    return DRACO_OK;
}

DRACO_DATA_PRIVATE draco_status draco_data_priv_idx_body(draco_data_priv_file *images,
                                                         draco_data_priv_file *labels, int classes,
                                                         draco_dataset *data) {
    size_t sizes[3];
    uint8_t *narrow = NULL;
    draco_status status = draco_data_priv_idx_open(images, labels, sizes);
    if (status != DRACO_OK) return status;
    draco_data_priv_shape(data, sizes[0], (int)sizes[1], (int)sizes[2], 1, classes);
    draco_data_priv_name(data, "idx");
    status = draco_data_priv_read_grown(labels, sizes[0], &narrow);
    if (status == DRACO_OK) status = draco_data_priv_expect_end(labels, sizes[0]);
    if (status == DRACO_OK)
        status = draco_data_priv_check_labels(labels->path, narrow, 1, sizes[0], classes, labels->error);
    if (status == DRACO_OK)
        status = draco_data_priv_read_grown(images, sizes[0] * data->features, &data->pixels);
    if (status == DRACO_OK) status = draco_data_priv_expect_end(images, sizes[0] * data->features);
    if (status == DRACO_OK) status = draco_data_priv_widen(narrow, 1, sizes[0], &data->labels, images->error);
    free(narrow);
    if (status != DRACO_OK) draco_dataset_free(data);
    return status;
}

DRACO_DATA_API draco_status draco_data_idx(const char *images, const char *labels, int classes,
                                           draco_dataset *out, draco_data_error *error) {
    draco_data_priv_file image_file, label_file = {NULL, NULL, NULL};
    draco_dataset data;
    if (out == NULL || classes < 1 || classes > 256)
        return draco_data_priv_fail(error, DRACO_E_ARGUMENT, "IDX: %d classes, not in 1..256", classes);
    draco_status status = draco_data_priv_open(&image_file, images, error);
    if (status == DRACO_OK) status = draco_data_priv_open(&label_file, labels, error);
    if (status == DRACO_OK) status = draco_data_priv_idx_body(&image_file, &label_file, classes, &data);
    draco_data_priv_close(&image_file);
    draco_data_priv_close(&label_file);
    if (status == DRACO_OK) *out = data;
    return status;
}

/* ---- CIFAR-10 ---- */

#define DRACO_DATA_PRIV_CIFAR_PLANE 1024u
#define DRACO_DATA_PRIV_CIFAR_RECORD (1u + 3u * DRACO_DATA_PRIV_CIFAR_PLANE)

/* The records of one batch file. */
DRACO_DATA_PRIVATE draco_status draco_data_priv_cifar_records(const char *path, size_t limit, uint8_t **bytes,
                                                              size_t *records, draco_data_error *error) {
    draco_data_priv_file file;
    uint8_t *memory = NULL;
    size_t size = 0;
    draco_status status = draco_data_priv_open(&file, path, error);
    if (status == DRACO_OK) status = draco_data_priv_read_all(&file, limit, &memory, &size);
    draco_data_priv_close(&file);
    if (status == DRACO_OK && (size == 0 || size % DRACO_DATA_PRIV_CIFAR_RECORD != 0))
        status = draco_data_priv_fail(error, DRACO_E_MALFORMED,
                                      "%s: %zu bytes are no whole number of CIFAR-10 records of %u bytes "
                                      "(truncated, or another format)",
                                      path, size, DRACO_DATA_PRIV_CIFAR_RECORD);
    if (status == DRACO_OK)
        status = draco_data_priv_check_labels(path, memory, DRACO_DATA_PRIV_CIFAR_RECORD,
                                              size / DRACO_DATA_PRIV_CIFAR_RECORD, 10, error);
    if (status != DRACO_OK) {
        free(memory);
        return status;
    }
    *bytes = memory;
    *records = size / DRACO_DATA_PRIV_CIFAR_RECORD;
    return DRACO_OK;
}

/* Planes R, G, B -> pixels of three bytes. */
DRACO_DATA_PRIVATE draco_status draco_data_priv_cifar_append(draco_dataset *data, const uint8_t *bytes,
                                                             size_t records, draco_data_error *error) {
    const size_t samples = data->samples + records, features = data->features;
    uint8_t *pixels = (uint8_t *)realloc(data->pixels, samples * features);
    if (pixels != NULL) data->pixels = pixels;
    int32_t *labels = (int32_t *)realloc(data->labels, samples * sizeof *labels);
    if (labels != NULL) data->labels = labels;
    if (pixels == NULL || labels == NULL)
        return draco_data_priv_fail(error, DRACO_E_MEMORY, "CIFAR-10: out of memory for %zu samples",
                                    samples);
    for (size_t i = 0; i < records; i++) {
        const uint8_t *record = bytes + i * DRACO_DATA_PRIV_CIFAR_RECORD;
        uint8_t *pixel = pixels + (data->samples + i) * features;
        labels[data->samples + i] = record[0];
        for (size_t p = 0; p < DRACO_DATA_PRIV_CIFAR_PLANE; p++)
            for (size_t c = 0; c < 3; c++) pixel[3 * p + c] = record[1 + c * DRACO_DATA_PRIV_CIFAR_PLANE + p];
    }
    data->samples = samples;
    return DRACO_OK;
}

DRACO_DATA_API draco_status draco_data_cifar10(const char *const *files, size_t count, draco_dataset *out,
                                               draco_data_error *error) {
    draco_dataset data;
    draco_status status = DRACO_OK;
    if (files == NULL || out == NULL || count == 0)
        return draco_data_priv_fail(error, DRACO_E_ARGUMENT, "CIFAR-10: no batch file given");
    draco_data_priv_shape(&data, 0, 32, 32, 3, 10);
    draco_data_priv_name(&data, "cifar10");
    for (size_t i = 0; i < count && status == DRACO_OK; i++) {
        uint8_t *bytes = NULL;
        size_t records = 0, used = data.samples * DRACO_DATA_PRIV_CIFAR_RECORD;
        status =
            draco_data_priv_cifar_records(files[i], DRACO_DATA_MAX_BYTES - used, &bytes, &records, error);
        if (status == DRACO_OK) status = draco_data_priv_cifar_append(&data, bytes, records, error);
        free(bytes);
    }
    if (status != DRACO_OK) {
        draco_dataset_free(&data);
        return status;
    }
    *out = data;
    return DRACO_OK;
}

/* ---- Text ---- */

/* A word at bytes [start, start + length) of the text, the `place`-th word read. */
typedef struct draco_data_priv_token {
    uint32_t start, length, place;
} draco_data_priv_token;

typedef struct draco_data_priv_text {
    uint8_t *bytes; /* both files, one after the other */
    size_t size;
    draco_data_priv_token *tokens;
    size_t count, capacity;
    size_t *starts; /* sentences + 1 */
    size_t sentences, sentence_capacity;
    draco_data_error *error;
} draco_data_priv_text;

DRACO_DATA_PRIVATE void draco_data_priv_text_free(draco_data_priv_text *text) {
    free(text->bytes);
    free(text->tokens);
    free(text->starts);
}

DRACO_DATA_PRIVATE uint8_t draco_data_priv_lower(uint8_t c) {
    if ((c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7)) return (uint8_t)(c + 0x20);
    return c;
}

DRACO_DATA_PRIVATE int draco_data_priv_is_letter(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80;
}

/* Room for one more of something that doubles. */
DRACO_DATA_PRIVATE int draco_data_priv_room(void **memory, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) return 1;
    const size_t wanted = *capacity == 0 ? 1024 : 2 * *capacity;
    void *grown = realloc(*memory, wanted * size);
    if (grown == NULL) return 0;
    *memory = grown;
    *capacity = wanted;
    return 1;
}

DRACO_DATA_PRIVATE draco_status draco_data_priv_token_add(draco_data_priv_text *text, size_t start,
                                                          size_t length) {
    void *memory = text->tokens;
    if (length == 0) return DRACO_OK;
    if (!draco_data_priv_room(&memory, text->count, &text->capacity, sizeof *text->tokens))
        return draco_data_priv_fail(text->error, DRACO_E_MEMORY, "text: out of memory for words");
    text->tokens = (draco_data_priv_token *)memory;
    draco_data_priv_token *token = &text->tokens[text->count];
    token->start = (uint32_t)start;
    token->length = (uint32_t)length;
    token->place = (uint32_t)text->count++;
    return DRACO_OK;
}

/* Where the ending of an English contraction begins in a word: it's -> it 's, don't -> do n't. */
DRACO_DATA_PRIVATE size_t draco_data_priv_stem(const uint8_t *word, size_t length) {
    static const char *const endings[] = {"'s", "n't", "'ve", "'re", "'d", "'ll"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const size_t n = strlen(endings[i]);
        if (length > n && memcmp(word + length - n, endings[i], n) == 0) return length - n;
    }
    return length;
}

/* A run of letters, digits and apostrophes, quotes around it dropped, a contraction cut in two. */
DRACO_DATA_PRIVATE draco_status draco_data_priv_run_add(draco_data_priv_text *text, size_t start,
                                                        size_t end) {
    while (start < end && text->bytes[start] == '\'') start++;
    while (start < end && text->bytes[end - 1] == '\'') end--;
    const size_t stem = draco_data_priv_stem(text->bytes + start, end - start);
    draco_status status = draco_data_priv_token_add(text, start, stem);
    if (status == DRACO_OK) status = draco_data_priv_token_add(text, start + stem, end - start - stem);
    return status;
}

/* Bytes [start, end) are one line; its words are added. */
DRACO_DATA_PRIVATE draco_status draco_data_priv_line_words(draco_data_priv_text *text, size_t start,
                                                           size_t end) {
    draco_status status = DRACO_OK;
    for (size_t i = start; i < end && status == DRACO_OK; i++) {
        const uint8_t c = text->bytes[i];
        const size_t begin = i;
        if (draco_data_priv_is_letter(c) || c == '\'') {
            while (i + 1 < end &&
                   (draco_data_priv_is_letter(text->bytes[i + 1]) || text->bytes[i + 1] == '\''))
                i++;
            status = draco_data_priv_run_add(text, begin, i + 1);
        } else if (c == ',' || c == '!' || c == '?' || c == '(' || c == ')') {
            status = draco_data_priv_token_add(text, begin, 1);
        }
    }
    return status;
}

/* Lower case in place; a control byte is an error. *blank: nothing but spaces. */
DRACO_DATA_PRIVATE draco_status draco_data_priv_line_check(draco_data_priv_text *text, const char *path,
                                                           size_t line, size_t start, size_t end,
                                                           int *blank) {
    *blank = 1;
    for (size_t i = start; i < end; i++) {
        const uint8_t c = text->bytes[i];
        if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7F)
            return draco_data_priv_fail(text->error, DRACO_E_MALFORMED,
                                        "%s: line %zu: byte 0x%02x is not text", path, line, (unsigned)c);
        if (c != ' ' && c != '\t' && c != '\r') *blank = 0;
        text->bytes[i] = draco_data_priv_lower(c);
    }
    return DRACO_OK;
}

DRACO_DATA_PRIVATE draco_status draco_data_priv_sentence_add(draco_data_priv_text *text) {
    void *memory = text->starts;
    /* One place more than sentences: the end of the last. */
    if (!draco_data_priv_room(&memory, text->sentences + 1, &text->sentence_capacity, sizeof *text->starts))
        return draco_data_priv_fail(text->error, DRACO_E_MEMORY, "text: out of memory for sentences");
    text->starts = (size_t *)memory;
    text->starts[text->sentences++] = text->count;
    return DRACO_OK;
}

DRACO_DATA_PRIVATE draco_status draco_data_priv_line(draco_data_priv_text *text, const char *path,
                                                     size_t line, size_t start, size_t end) {
    int blank;
    const size_t before = text->count;
    draco_status status = draco_data_priv_line_check(text, path, line, start, end, &blank);
    if (status != DRACO_OK) return status;
    if (blank)
        return draco_data_priv_fail(text->error, DRACO_E_MALFORMED, "%s: line %zu: the sentence is empty",
                                    path, line);
    status = draco_data_priv_sentence_add(text);
    if (status == DRACO_OK) status = draco_data_priv_line_words(text, start, end);
    if (status != DRACO_OK) return status;
    if (text->count == before) /* signs only: one word that no vocabulary has */
        status = draco_data_priv_token_add(text, start, 1);
    if (status == DRACO_OK && text->count - before > DRACO_DATA_MAX_SENTENCE)
        status = draco_data_priv_fail(text->error, DRACO_E_MALFORMED,
                                      "%s: line %zu: %zu words, over the limit of %d", path, line,
                                      text->count - before, DRACO_DATA_MAX_SENTENCE);
    return status;
}

/* The lines of bytes [start, size); the line feed after the last line may be missing. */
DRACO_DATA_PRIVATE draco_status draco_data_priv_lines(draco_data_priv_text *text, const char *path,
                                                      size_t start) {
    size_t line = 0;
    while (start < text->size) {
        const uint8_t *feed = (const uint8_t *)memchr(text->bytes + start, '\n', text->size - start);
        const size_t end = feed != NULL ? (size_t)(feed - text->bytes) : text->size;
        draco_status status = draco_data_priv_line(text, path, ++line, start, end);
        if (status != DRACO_OK) return status;
        start = end + 1;
    }
    return DRACO_OK;
}

typedef struct draco_data_priv_order {
    const uint8_t *bytes;
    draco_data_priv_token token;
} draco_data_priv_order;

DRACO_DATA_PRIVATE int draco_data_priv_compare(const uint8_t *a, size_t m, const uint8_t *b, size_t n) {
    const int order = memcmp(a, b, m < n ? m : n);
    return order != 0 ? order : (m > n) - (m < n);
}

/* Equal words stand together, the first read first. */
DRACO_DATA_PRIVATE int draco_data_priv_by_word(const void *left, const void *right) {
    const draco_data_priv_order *a = (const draco_data_priv_order *)left;
    const draco_data_priv_order *b = (const draco_data_priv_order *)right;
    const int order = draco_data_priv_compare(a->bytes + a->token.start, a->token.length,
                                              b->bytes + b->token.start, b->token.length);
    return order != 0 ? order : (a->token.place > b->token.place) - (a->token.place < b->token.place);
}

DRACO_DATA_PRIVATE int draco_data_priv_same(const draco_data_priv_order *a, const draco_data_priv_order *b) {
    return draco_data_priv_compare(a->bytes + a->token.start, a->token.length, b->bytes + b->token.start,
                                   b->token.length) == 0;
}

/* Number the words in the order of their first place: sorting, so that no choice of words makes it slow.
   words[count] out; vocabulary out. first: scratch[count], 1 + the sorted word that first stands there. */
DRACO_DATA_PRIVATE void draco_data_priv_number(const draco_data_priv_order *order, size_t count,
                                               uint32_t *first, int32_t *words,
                                               draco_vocabulary *vocabulary) {
    size_t distinct = 0, bytes = 0, number = 0;
    memset(first, 0, count * sizeof *first);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !draco_data_priv_same(&order[i - 1], &order[i]))
            first[order[i].token.place] = (uint32_t)++distinct;
    }
    /* sorted[k] for a while: the number of the k-th word in sorted order. */
    for (size_t place = 0; place < count; place++)
        if (first[place] != 0) vocabulary->sorted[first[place] - 1] = (uint32_t)number++;
    for (size_t i = 0, k = 0; i < count; i++) {
        const draco_data_priv_token *token = &order[i].token;
        k += first[token->place] != 0;
        words[token->place] = DRACO_DATA_FIRST + (int32_t)vocabulary->sorted[k - 1];
        if (first[token->place] != 0) vocabulary->starts[vocabulary->sorted[k - 1] + 1] = token->length;
    }
    vocabulary->starts[0] = 0;
    for (size_t w = 0; w < distinct; w++) bytes = vocabulary->starts[w + 1] += bytes;
    for (size_t i = 0, k = 0; i < count; i++) {
        const draco_data_priv_token *token = &order[i].token;
        if (first[token->place] == 0) continue;
        memcpy(vocabulary->text + vocabulary->starts[vocabulary->sorted[k++]], order[i].bytes + token->start,
               token->length);
    }
    vocabulary->words = distinct;
    vocabulary->size = DRACO_DATA_FIRST + distinct;
}

DRACO_DATA_PRIVATE draco_status draco_data_priv_text_finish(draco_data_priv_text *text, size_t positive,
                                                            draco_dataset *data) {
    const size_t count = text->count;
    draco_data_priv_order *order = (draco_data_priv_order *)malloc(count * sizeof *order);
    uint32_t *first = (uint32_t *)malloc(count * sizeof *first);
    memset(data, 0, sizeof *data);
    data->words = (int32_t *)malloc(count * sizeof *data->words);
    data->labels = (int32_t *)malloc(text->sentences * sizeof *data->labels);
    data->vocabulary.text = (char *)malloc(text->size);
    data->vocabulary.starts = (size_t *)malloc((count + 1) * sizeof *data->vocabulary.starts);
    data->vocabulary.sorted = (uint32_t *)malloc(count * sizeof *data->vocabulary.sorted);
    if (order == NULL || first == NULL || data->words == NULL || data->labels == NULL ||
        data->vocabulary.text == NULL || data->vocabulary.starts == NULL || data->vocabulary.sorted == NULL) {
        free(order);
        free(first);
        draco_dataset_free(data);
        return draco_data_priv_fail(text->error, DRACO_E_MEMORY, "text: out of memory for %zu words", count);
    }
    for (size_t i = 0; i < count; i++) {
        order[i].bytes = text->bytes;
        order[i].token = text->tokens[i];
    }
    qsort(order, count, sizeof *order, draco_data_priv_by_word);
    draco_data_priv_number(order, count, first, data->words, &data->vocabulary);
    free(order);
    free(first);
    data->samples = text->sentences;
    data->classes = 2;
    text->starts[text->sentences] = count;
    data->starts = text->starts;
    text->starts = NULL;
    for (size_t i = 0; i < data->samples; i++) {
        const size_t length = data->starts[i + 1] - data->starts[i];
        data->labels[i] = i < positive;
        if (length > data->features) data->features = length;
    }
    draco_data_priv_name(data, "text");
    return DRACO_OK;
}

DRACO_DATA_API int32_t draco_vocabulary_find(const draco_vocabulary *vocabulary, const char *word,
                                             size_t length) {
    size_t low = 0, high = vocabulary->words;
    while (low < high) {
        const size_t middle = low + (high - low) / 2, w = vocabulary->sorted[middle];
        const size_t start = vocabulary->starts[w];
        const int order =
            draco_data_priv_compare((const uint8_t *)word, length, (const uint8_t *)vocabulary->text + start,
                                    vocabulary->starts[w + 1] - start);
        if (order == 0) return DRACO_DATA_FIRST + (int32_t)w;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return DRACO_DATA_UNKNOWN;
}

/* text->bytes = first, then second; takes both over. */
DRACO_DATA_PRIVATE draco_status draco_data_priv_text_both(draco_data_priv_text *text, uint8_t *first,
                                                          size_t first_size, uint8_t *second,
                                                          size_t second_size, const char *positive,
                                                          const char *negative, draco_dataset *data) {
    draco_status status = DRACO_OK;
    size_t count = 0;
    uint8_t *bytes = (uint8_t *)realloc(first, first_size + second_size + 1);
    text->bytes = bytes != NULL ? bytes : first;
    if (bytes == NULL) status = draco_data_priv_fail(text->error, DRACO_E_MEMORY, "text: out of memory");
    if (status == DRACO_OK) {
        memcpy(bytes + first_size, second, second_size);
        text->size = first_size;
        status = draco_data_priv_lines(text, positive, 0);
        count = text->sentences;
    }
    if (status == DRACO_OK) {
        text->size = first_size + second_size;
        status = draco_data_priv_lines(text, negative, first_size);
    }
    free(second);
    if (status == DRACO_OK && (count == 0 || count == text->sentences))
        status = draco_data_priv_fail(text->error, DRACO_E_MALFORMED, "%s: no sentences",
                                      count == 0 ? positive : negative);
    if (status == DRACO_OK) status = draco_data_priv_text_finish(text, count, data);
    return status;
}

DRACO_DATA_PRIVATE draco_status draco_data_priv_text_file(const char *path, uint8_t **bytes, size_t *size,
                                                          draco_data_error *error) {
    draco_data_priv_file file;
    draco_status status = draco_data_priv_open(&file, path, error);
    if (status == DRACO_OK) status = draco_data_priv_read_all(&file, DRACO_DATA_MAX_TEXT, bytes, size);
    draco_data_priv_close(&file);
    return status;
}

DRACO_DATA_API draco_status draco_data_text(const char *positive, const char *negative, draco_dataset *out,
                                            draco_data_error *error) {
    draco_data_priv_text text;
    draco_dataset data;
    uint8_t *first = NULL, *second = NULL;
    size_t first_size = 0, second_size = 0;
    if (out == NULL) return DRACO_E_ARGUMENT;
    memset(&text, 0, sizeof text);
    text.error = error;
    draco_status status = draco_data_priv_text_file(positive, &first, &first_size, error);
    if (status == DRACO_OK) status = draco_data_priv_text_file(negative, &second, &second_size, error);
    if (status != DRACO_OK) {
        free(first);
        return status;
    }
    status =
        draco_data_priv_text_both(&text, first, first_size, second, second_size, positive, negative, &data);
    draco_data_priv_text_free(&text);
    if (status == DRACO_OK) *out = data;
    return status;
}

/* ---- word2vec ---- */

#define DRACO_DATA_PRIV_WORD 1024 /* longest word of a word2vec file */

/* Read up to the separator, which is dropped; -1: end of file, -2: longer than capacity. */
DRACO_DATA_PRIVATE int draco_data_priv_until(gzFile gz, char separator, char *word, int capacity) {
    int length = 0;
    for (;;) {
        const int c = gzgetc(gz);
        if (c < 0) return -1;
        if (c == separator) return length;
        if (c == '\n' && length == 0 && separator != '\n') continue; /* the line end after a vector */
        if (length == capacity) return -2;
        word[length++] = (char)c;
    }
}

/* A decimal number of at most nine digits that fills the text, or -1. */
DRACO_DATA_PRIVATE long draco_data_priv_decimal(const char *text, int length) {
    long value = 0;
    if (length < 1 || length > 9) return -1;
    for (int i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return -1;
        value = 10 * value + (text[i] - '0');
    }
    return value;
}

DRACO_DATA_PRIVATE draco_status draco_data_priv_word2vec_header(draco_data_priv_file *file, size_t dimension,
                                                                long *count) {
    char line[32];
    const int length = draco_data_priv_until(file->gz, '\n', line, (int)sizeof line);
    const char *space = length > 0 ? (const char *)memchr(line, ' ', (size_t)length) : NULL;
    const int first = space != NULL ? (int)(space - line) : 0;
    *count = space != NULL ? draco_data_priv_decimal(line, first) : -1;
    const long width = space != NULL ? draco_data_priv_decimal(space + 1, length - first - 1) : -1;
    if (*count < 1 || width < 1)
        return draco_data_priv_fail(file->error, DRACO_E_MALFORMED,
                                    "%s: no word2vec binary file: its first line is not 'WORDS DIMENSION'",
                                    file->path);
    if ((size_t)width != dimension)
        return draco_data_priv_fail(file->error, DRACO_E_MALFORMED,
                                    "%s: vectors of %ld numbers where %zu are needed", file->path, width,
                                    dimension);
    return DRACO_OK;
}

/* Little-endian floats; NaN and infinity are refused. */
DRACO_DATA_PRIVATE int draco_data_priv_floats(const uint8_t *bytes, size_t count, float *values) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t *b = bytes + 4 * i;
        const uint32_t bits =
            (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        if ((bits & 0x7F800000u) == 0x7F800000u) return 0;
        memcpy(&values[i], &bits, sizeof bits);
    }
    return 1;
}

DRACO_DATA_PRIVATE draco_status draco_data_priv_word2vec_rows(draco_data_priv_file *file,
                                                              const draco_vocabulary *vocabulary,
                                                              size_t dimension, uint8_t *vector, float *rows,
                                                              size_t *found) {
    char word[DRACO_DATA_PRIV_WORD];
    long count = 0;
    draco_status status = draco_data_priv_word2vec_header(file, dimension, &count);
    for (long i = 0; i < count && status == DRACO_OK; i++) {
        size_t got = 0;
        const int length = draco_data_priv_until(file->gz, ' ', word, (int)sizeof word);
        if (length == -2)
            return draco_data_priv_fail(file->error, DRACO_E_MALFORMED,
                                        "%s: word %ld is longer than %d bytes", file->path, i + 1,
                                        DRACO_DATA_PRIV_WORD);
        if (length >= 0) status = draco_data_priv_read(file, vector, 4 * dimension, &got);
        if (status != DRACO_OK) return status;
        if (got < 4 * dimension)
            return draco_data_priv_fail(file->error, DRACO_E_MALFORMED,
                                        "%s: truncated: its header promises %ld words, it has %ld",
                                        file->path, count, i);
        const int32_t w = draco_vocabulary_find(vocabulary, word, (size_t)length);
        if (w == DRACO_DATA_UNKNOWN) continue;
        if (!draco_data_priv_floats(vector, dimension, rows + (size_t)w * dimension))
            return draco_data_priv_fail(file->error, DRACO_E_MALFORMED,
                                        "%s: the vector of word %ld is not finite", file->path, i + 1);
        ++*found;
    }
    return status;
}

DRACO_DATA_API draco_status draco_data_word2vec(const char *path, const draco_vocabulary *vocabulary,
                                                size_t dimension, float *rows, size_t *found,
                                                draco_data_error *error) {
    draco_data_priv_file file;
    if (vocabulary == NULL || rows == NULL || found == NULL || dimension < 1 || dimension > 65536)
        return draco_data_priv_fail(error, DRACO_E_ARGUMENT, "word2vec: dimension %zu is not in 1..65536",
                                    dimension);
    *found = 0;
    uint8_t *vector = (uint8_t *)malloc(4 * dimension);
    if (vector == NULL) return draco_data_priv_fail(error, DRACO_E_MEMORY, "word2vec: out of memory");
    draco_status status = draco_data_priv_open(&file, path, error);
    if (status == DRACO_OK)
        status = draco_data_priv_word2vec_rows(&file, vocabulary, dimension, vector, rows, found);
    draco_data_priv_close(&file);
    free(vector);
    return status;
}

/* ---- Split ---- */

/* Copy of the samples which[0..count). On error `out` is empty. */
DRACO_DATA_PRIVATE draco_status draco_data_priv_subset(const draco_dataset *all, const size_t *which,
                                                       size_t count, draco_dataset *out) {
    const size_t features = all->features;
    size_t words = 0, at = 0;
    *out = *all;
    out->samples = count;
    out->labels = (int32_t *)malloc(count * sizeof *out->labels);
    out->targets = all->targets ? (float *)malloc(count * sizeof *out->targets) : NULL;
    out->pixels = all->pixels ? (uint8_t *)malloc(count * features) : NULL;
    out->values = all->values ? (float *)malloc(count * features * sizeof *out->values) : NULL;
    out->words = NULL;
    out->starts = NULL;
    memset(&out->vocabulary, 0, sizeof out->vocabulary);
    if (all->words != NULL) {
        const draco_vocabulary *from = &all->vocabulary;
        draco_vocabulary *to = &out->vocabulary;
        const size_t bytes = from->starts[from->words];
        for (size_t i = 0; i < count; i++) words += all->starts[which[i] + 1] - all->starts[which[i]];
        out->words = (int32_t *)malloc(words * sizeof *out->words);
        out->starts = (size_t *)malloc((count + 1) * sizeof *out->starts);
        to->size = from->size;
        to->words = from->words;
        to->text = (char *)malloc(bytes + 1);
        to->starts = (size_t *)malloc((from->words + 1) * sizeof *to->starts);
        to->sorted = (uint32_t *)malloc(from->words * sizeof *to->sorted);
        if (to->text != NULL) memcpy(to->text, from->text, bytes);
        if (to->starts != NULL) memcpy(to->starts, from->starts, (from->words + 1) * sizeof *to->starts);
        if (to->sorted != NULL) memcpy(to->sorted, from->sorted, from->words * sizeof *to->sorted);
    }
    if (out->labels == NULL || (all->targets && !out->targets) || (all->pixels && !out->pixels) ||
        (all->values && !out->values) ||
        (all->words && (!out->words || !out->starts || !out->vocabulary.text || !out->vocabulary.starts ||
                        !out->vocabulary.sorted))) {
        draco_dataset_free(out);
        return DRACO_E_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        const size_t s = which[i];
        out->labels[i] = all->labels[s];
        if (all->targets) out->targets[i] = all->targets[s];
        if (all->pixels) memcpy(out->pixels + i * features, all->pixels + s * features, features);
        if (all->values)
            memcpy(out->values + i * features, all->values + s * features, features * sizeof *out->values);
        if (all->words) {
            const size_t length = all->starts[s + 1] - all->starts[s];
            out->starts[i] = at;
            memcpy(out->words + at, all->words + all->starts[s], length * sizeof *out->words);
            at += length;
        }
    }
    if (all->words) out->starts[count] = at;
    return DRACO_OK;
}

/* Unbiased: a draw below the largest multiple of `bound`. */
DRACO_DATA_PRIVATE size_t draco_data_priv_below(uint64_t key, uint64_t stream, uint64_t *counter,
                                                size_t bound) {
    const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    for (;;) {
        uint32_t word[4];
        draco_random(key, stream, (*counter)++, word);
        const uint64_t draw = (uint64_t)word[0] << 32 | word[1];
        if (draw < limit) return (size_t)(draw % bound);
    }
}

#define DRACO_DATA_PRIV_SPLIT_STREAM 0x73706c6974ull /* "split" */

DRACO_DATA_API draco_status draco_data_split(const draco_dataset *all, size_t held_out, uint64_t seed,
                                             draco_dataset *rest, draco_dataset *held,
                                             draco_data_error *error) {
    draco_dataset first, second;
    uint64_t counter = 0;
    if (all == NULL || rest == NULL || held == NULL || held_out < 1 || held_out >= all->samples)
        return draco_data_priv_fail(error, DRACO_E_ARGUMENT, "split: cannot hold out %zu of %zu samples",
                                    held_out, all != NULL ? all->samples : 0);
    size_t *order = (size_t *)malloc(all->samples * sizeof *order);
    if (order == NULL) return draco_data_priv_fail(error, DRACO_E_MEMORY, "split: out of memory");
    for (size_t i = 0; i < all->samples; i++) order[i] = i;
    for (size_t i = all->samples - 1; i > 0; i--) { /* Fisher and Yates */
        const size_t j = draco_data_priv_below(seed, DRACO_DATA_PRIV_SPLIT_STREAM, &counter, i + 1);
        const size_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    draco_status status = draco_data_priv_subset(all, order, held_out, &second);
    if (status == DRACO_OK) {
        status = draco_data_priv_subset(all, order + held_out, all->samples - held_out, &first);
        if (status != DRACO_OK) draco_dataset_free(&second);
    }
    free(order);
    if (status != DRACO_OK) return draco_data_priv_fail(error, status, "split: out of memory");
    *rest = first;
    *held = second;
    return DRACO_OK;
}

/* ---- Built-in generator: integers only, so that every machine draws the same bits ---- */

typedef struct draco_data_priv_dice {
    uint64_t key, stream, counter;
    uint32_t word[4];
    int left;
} draco_data_priv_dice;

DRACO_DATA_PRIVATE draco_data_priv_dice draco_data_priv_dice_of(uint64_t seed, int kind, size_t sample) {
    draco_data_priv_dice dice;
    memset(&dice, 0, sizeof dice);
    dice.key = seed;
    dice.stream = (uint64_t)(0x647261u + (unsigned)kind) << 40 ^ (uint64_t)sample;
    return dice;
}

/* Uniform in [low, high]; the bias of a 32-bit product is below 1e-6 for the small ranges used here. */
DRACO_DATA_PRIVATE int draco_data_priv_roll(draco_data_priv_dice *dice, int low, int high) {
    if (dice->left == 0) {
        draco_random(dice->key, dice->stream, dice->counter++, dice->word);
        dice->left = 4;
    }
    const uint64_t span = (uint64_t)(high - low) + 1;
    return low + (int)((uint64_t)dice->word[--dice->left] * span >> 32);
}

/* Squared distance of (x, y) to the segment from a to b; all in 1/16 pixel. */
DRACO_DATA_PRIVATE int64_t draco_data_priv_distance(int64_t x, int64_t y, const int a[2], const int b[2]) {
    const int64_t dx = b[0] - a[0], dy = b[1] - a[1], px = x - a[0], py = y - a[1];
    const int64_t length = dx * dx + dy * dy, along = px * dx + py * dy;
    if (along <= 0 || length == 0) return px * px + py * py;
    if (along >= length) return (x - b[0]) * (x - b[0]) + (y - b[1]) * (y - b[1]);
    const int64_t cross = px * dy - py * dx;
    return cross * cross / length;
}

DRACO_DATA_PRIVATE int draco_data_priv_clamp(int value, int low, int high) {
    return value < low ? low : value > high ? high : value;
}

/* A stroke of the given radius (1/16 pixel) on 28 x 28 pixels, fading over its outer half. */
DRACO_DATA_PRIVATE void draco_data_priv_stroke(uint8_t *pixels, const int a[2], const int b[2], int radius,
                                               int ink) {
    const int edge = 16 * 28 - 1;
    const int left = draco_data_priv_clamp((a[0] < b[0] ? a[0] : b[0]) - radius, 0, edge) / 16;
    const int right = draco_data_priv_clamp((a[0] > b[0] ? a[0] : b[0]) + radius, 0, edge) / 16;
    const int top = draco_data_priv_clamp((a[1] < b[1] ? a[1] : b[1]) - radius, 0, edge) / 16;
    const int bottom = draco_data_priv_clamp((a[1] > b[1] ? a[1] : b[1]) + radius, 0, edge) / 16;
    const int64_t outer = (int64_t)radius * radius, inner = outer / 4;
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            const int64_t distance = draco_data_priv_distance(16 * x + 8, 16 * y + 8, a, b);
            if (distance >= outer) continue;
            const int value =
                distance <= inner ? ink : (int)((int64_t)ink * (outer - distance) / (outer - inner));
            if (value > pixels[28 * y + x]) pixels[28 * y + x] = (uint8_t)value;
        }
}

/* The ten digits as one line each through points (x, y) of a 28 x 28 box, ended by -1. */
static const signed char draco_data_priv_digit[10][24] = {
    {10, 5, 18, 5, 20, 14, 18, 23, 10, 23, 8, 14, 10, 5, -1},
    {11, 8, 15, 5, 15, 23, -1},
    {9, 8, 13, 5, 18, 7, 18, 11, 9, 23, 19, 23, -1},
    {9, 5, 18, 5, 13, 13, 19, 18, 15, 23, 9, 22, -1},
    {17, 23, 17, 5, 8, 17, 20, 17, -1},
    {19, 5, 10, 5, 9, 13, 16, 12, 19, 17, 16, 23, 9, 22, -1},
    {17, 5, 10, 12, 9, 19, 13, 23, 18, 19, 16, 14, 10, 16, -1},
    {8, 5, 19, 5, 12, 23, -1},
    {14, 13, 9, 9, 13, 5, 18, 8, 14, 13, 9, 19, 14, 23, 19, 18, 14, 13, -1},
    {18, 11, 12, 13, 9, 8, 13, 5, 18, 7, 18, 14, 14, 23, -1}};

/* A digit, slanted, scaled, moved, every corner shaken, one stray stroke, noise on every pixel. */
DRACO_DATA_PRIVATE int draco_data_priv_digit_draw(draco_data_priv_dice *dice, uint8_t *pixels) {
    const int label = draco_data_priv_roll(dice, 0, 9);
    const int wide = draco_data_priv_roll(dice, 180, 290), high = draco_data_priv_roll(dice, 190, 290);
    const int slant = draco_data_priv_roll(dice, -90, 90), turn = draco_data_priv_roll(dice, -50, 50);
    const int move_x = draco_data_priv_roll(dice, -48, 48), move_y = draco_data_priv_roll(dice, -40, 40);
    const int radius = draco_data_priv_roll(dice, 18, 36), ink = draco_data_priv_roll(dice, 140, 255);
    const signed char *point = draco_data_priv_digit[label];
    int last[2] = {0, 0}, next[2];
    memset(pixels, 0, 28 * 28);
    for (int i = 0; point[i] >= 0; i += 2) {
        const int x = point[i] - 14, y = point[i + 1] - 14;
        next[0] = 224 + (wide * x + slant * y) / 16 + move_x + draco_data_priv_roll(dice, -18, 18);
        next[1] = 224 + (turn * x + high * y) / 16 + move_y + draco_data_priv_roll(dice, -18, 18);
        if (i > 0) draco_data_priv_stroke(pixels, last, next, radius, ink);
        last[0] = next[0];
        last[1] = next[1];
    }
    for (int i = 0; i < 2; i++) {
        last[i] = draco_data_priv_roll(dice, 32, 416);
        next[i] = last[i] + draco_data_priv_roll(dice, -80, 80);
    }
    draco_data_priv_stroke(pixels, last, next, 20, draco_data_priv_roll(dice, 60, 200));
    for (int i = 0; i < 28 * 28; i++) {
        const int noise = draco_data_priv_roll(dice, -40, 40);
        pixels[i] = (uint8_t)draco_data_priv_clamp(pixels[i] + noise, 0, 255);
    }
    return label;
}

/* Does class `shape` cover the place (x, y), in pixels from its centre, for a figure of this size? */
DRACO_DATA_PRIVATE int draco_data_priv_covers(int shape, int x, int y, int size) {
    const int ax = x < 0 ? -x : x, ay = y < 0 ? -y : y, square = x * x + y * y;
    switch (shape) {
    case 0:
        return square <= size * size; /* disk */
    case 1:
        return square <= size * size && 9 * square >= 4 * size * size; /* ring */
    case 2:
        return ax <= size && ay <= size; /* square */
    case 3:
        return ax + ay <= size; /* diamond */
    case 4:
        return y <= size && 2 * ax <= y + size; /* triangle */
    case 5:
        return (3 * ax <= size && ay <= size) || (3 * ay <= size && ax <= size); /* cross */
    case 6:
        return ax <= size && ay <= size && ((x + 64) & 4); /* upright stripes */
    case 7:
        return ax <= size && ay <= size && ((y + 64) & 4); /* level stripes */
    case 8:
        return ax <= size && ay <= size && ((((x + 64) ^ (y + 64)) & 4)); /* chessboard */
    default:
        return ax <= size && ay <= size && (ax - ay) * (ax - ay) <= size; /* two diagonals */
    }
}

/* A figure in one colour on a ground of another that fades, noise on every byte. */
DRACO_DATA_PRIVATE int draco_data_priv_picture_draw(draco_data_priv_dice *dice, uint8_t *pixels) {
    const int label = draco_data_priv_roll(dice, 0, 9), size = draco_data_priv_roll(dice, 6, 12);
    const int centre_x = draco_data_priv_roll(dice, 12, 20), centre_y = draco_data_priv_roll(dice, 12, 20);
    int ground[3], figure[3], fade_x[3], fade_y[3];
    for (int c = 0; c < 3; c++) {
        ground[c] = draco_data_priv_roll(dice, 30, 225);
        figure[c] = draco_data_priv_roll(dice, 30, 225);
        fade_x[c] = draco_data_priv_roll(dice, -2, 2);
        fade_y[c] = draco_data_priv_roll(dice, -2, 2);
    }
    for (int y = 0; y < 32; y++)
        for (int x = 0; x < 32; x++) {
            const int inside = draco_data_priv_covers(label, x - centre_x, y - centre_y, size);
            for (int c = 0; c < 3; c++) {
                const int colour =
                    inside ? figure[c] : ground[c] + fade_x[c] * (x - 16) + fade_y[c] * (y - 16);
                const int value = colour + draco_data_priv_roll(dice, -25, 25);
                pixels[(32 * y + x) * 3 + c] = (uint8_t)draco_data_priv_clamp(value, 0, 255);
            }
        }
    return label;
}

DRACO_DATA_PRIVATE draco_status draco_data_priv_draw_all(draco_data_kind kind, uint64_t seed, size_t first,
                                                         draco_dataset *data) {
    data->pixels = (uint8_t *)malloc(data->samples * data->features);
    data->labels = (int32_t *)malloc(data->samples * sizeof *data->labels);
    if (data->pixels == NULL || data->labels == NULL) {
        draco_dataset_free(data);
        return DRACO_E_MEMORY;
    }
    for (size_t i = 0; i < data->samples; i++) {
        draco_data_priv_dice dice = draco_data_priv_dice_of(seed, (int)kind, first + i);
        uint8_t *pixels = data->pixels + i * data->features;
        data->labels[i] = kind == DRACO_DATA_DIGITS ? draco_data_priv_digit_draw(&dice, pixels)
                                                    : draco_data_priv_picture_draw(&dice, pixels);
    }
    return DRACO_OK;
}

#define DRACO_DATA_PRIV_NEUTRAL 1200 /* words that say nothing */
#define DRACO_DATA_PRIV_CUES 80      /* words of praise, and as many of blame */

/* Word `number` of a made-up language, two to three syllables, never "not". */
DRACO_DATA_PRIVATE size_t draco_data_priv_syllables(int number, char *out) {
    static const char consonants[] = "bdfgklmnprstvz", vowels[] = "aeiou";
    size_t length = 0;
    for (int rest = number, k = 0; k < 2 || rest > 0; k++) {
        out[length++] = consonants[rest % 14];
        out[length++] = vowels[rest / 14 % 5];
        rest /= 70;
    }
    out[length++] = ' ';
    return length;
}

/* One sentence with its line feed; longest 2 + 40 words. Cues are praise or blame, "not" turns one around,
   one sentence in twenty is on the wrong side. */
DRACO_DATA_PRIVATE size_t draco_data_priv_sentence_draw(draco_data_priv_dice *dice, int positive, char *out) {
    const int words = draco_data_priv_roll(dice, 5, 28), cues = draco_data_priv_roll(dice, 1, 3);
    const int lean = draco_data_priv_roll(dice, 0, 19) == 0 ? !positive : positive;
    size_t length = 0;
    for (int i = 0, told = 0; i < words || told < cues; i++) {
        if (draco_data_priv_roll(dice, 0, words) < cues + 1 && told < cues) {
            const int turned = draco_data_priv_roll(dice, 0, 9) < 3;
            const int cue = draco_data_priv_roll(dice, 0, DRACO_DATA_PRIV_CUES - 1);
            if (turned) {
                memcpy(out + length, "not ", 4);
                length += 4;
            }
            const int praise = lean != turned;
            length += draco_data_priv_syllables(
                DRACO_DATA_PRIV_NEUTRAL + cue + (praise ? 0 : DRACO_DATA_PRIV_CUES), out + length);
            told++;
        } else if (i < words) {
            /* The least of two draws: a few words are common, most are rare. */
            const int a = draco_data_priv_roll(dice, 0, DRACO_DATA_PRIV_NEUTRAL - 1);
            const int b = draco_data_priv_roll(dice, 0, DRACO_DATA_PRIV_NEUTRAL - 1);
            length += draco_data_priv_syllables(a < b ? a : b, out + length);
        }
    }
    out[length - 1] = '\n';
    return length;
}

DRACO_DATA_PRIVATE uint8_t *draco_data_priv_sentences(uint64_t seed, size_t first, size_t samples,
                                                      int positive, size_t *size) {
    const size_t longest = 512;
    char *bytes = (char *)malloc(samples * longest);
    *size = 0;
    for (size_t i = 0; i < samples && bytes != NULL; i++) {
        draco_data_priv_dice dice =
            draco_data_priv_dice_of(seed, (int)DRACO_DATA_SENTENCES + positive, first + i);
        *size += draco_data_priv_sentence_draw(&dice, positive, bytes + *size);
    }
    return (uint8_t *)bytes;
}

DRACO_DATA_PRIVATE draco_status draco_data_priv_sentences_all(uint64_t seed, size_t first, size_t samples,
                                                              draco_dataset *data, draco_data_error *error) {
    draco_data_priv_text text;
    size_t positive_size = 0, negative_size = 0;
    const size_t half = samples / 2;
    uint8_t *positive = draco_data_priv_sentences(seed, first, samples - half, 1, &positive_size);
    uint8_t *negative = draco_data_priv_sentences(seed, first, half, 0, &negative_size);
    memset(&text, 0, sizeof text);
    text.error = error;
    if (positive == NULL || negative == NULL) {
        free(positive);
        free(negative);
        return draco_data_priv_fail(error, DRACO_E_MEMORY, "sentences: out of memory");
    }
    draco_status status = draco_data_priv_text_both(&text, positive, positive_size, negative, negative_size,
                                                    "praise", "blame", data);
    draco_data_priv_text_free(&text);
    return status;
}

DRACO_DATA_API draco_status draco_data_generate(draco_data_kind kind, uint64_t seed, size_t first,
                                                size_t samples, draco_dataset *out, draco_data_error *error) {
    draco_dataset data;
    draco_status status;
    if (out == NULL || samples < 2 || samples > 1000000)
        return draco_data_priv_fail(error, DRACO_E_ARGUMENT, "generator: %zu samples, not in 2..1000000",
                                    samples);
    if (kind == DRACO_DATA_SENTENCES) {
        status = draco_data_priv_sentences_all(seed, first, samples, &data, error);
        if (status == DRACO_OK) draco_data_priv_name(&data, "sentences");
    } else {
        const int side = kind == DRACO_DATA_DIGITS ? 28 : 32;
        draco_data_priv_shape(&data, samples, side, side, kind == DRACO_DATA_DIGITS ? 1 : 3, 10);
        draco_data_priv_name(&data, kind == DRACO_DATA_DIGITS ? "digits" : "pictures");
        status = draco_data_priv_draw_all(kind, seed, first, &data);
        if (status != DRACO_OK) draco_data_priv_fail(error, status, "generator: out of memory");
    }
    if (status == DRACO_OK) *out = data;
    return status;
}

/* ---- Finding and loading by name ---- */

/* path = directory/folder/file or the same with .gz, if it is there. */
DRACO_DATA_PRIVATE int draco_data_priv_probe(const char *directory, const char *folder, const char *file,
                                             char path[DRACO_DATA_MAX_PATH]) {
    static const char *const endings[] = {"", ".gz"};
    for (int e = 0; e < 2; e++) {
        const int length = snprintf(path, DRACO_DATA_MAX_PATH, "%s%s%s/%s%s", directory, *folder ? "/" : "",
                                    folder, file, endings[e]);
        if (length > 0 && length < DRACO_DATA_MAX_PATH && access(path, F_OK) == 0) return 1;
    }
    path[0] = '\0';
    return 0;
}

/* The files of one known data set; test files are optional where test == NULL. */
typedef struct draco_data_priv_known {
    const char *name, *folders[3];
    const char *train, *train_labels, *test, *test_labels;
} draco_data_priv_known;

static const draco_data_priv_known draco_data_priv_sets[] = {
    {"mnist",
     {"", "mnist", NULL},
     "train-images-idx3-ubyte",
     "train-labels-idx1-ubyte",
     "t10k-images-idx3-ubyte",
     "t10k-labels-idx1-ubyte"},
    {"fashion-mnist",
     {"", "fashion-mnist", NULL},
     "train-images-idx3-ubyte",
     "train-labels-idx1-ubyte",
     "t10k-images-idx3-ubyte",
     "t10k-labels-idx1-ubyte"},
    {"cifar10", {"", "cifar10", "cifar-10-batches-bin"}, "data_batch_1.bin", NULL, "test_batch.bin", NULL},
    {"mr", {"", "mr", "rt-polaritydata"}, "rt-polarity.pos", "rt-polarity.neg", NULL, NULL}};

DRACO_DATA_PRIVATE const draco_data_priv_known *draco_data_priv_known_of(const char *name) {
    const size_t count = sizeof draco_data_priv_sets / sizeof draco_data_priv_sets[0];
    for (size_t i = 0; i < count; i++)
        if (strcmp(draco_data_priv_sets[i].name, name) == 0) return &draco_data_priv_sets[i];
    return NULL;
}

/* NULL when every file is there, else the name of the first that is not. */
DRACO_DATA_PRIVATE const char *draco_data_priv_fill(const draco_data_priv_known *known, const char *directory,
                                                    const char *folder, draco_data_paths *paths) {
    memset(paths, 0, sizeof *paths);
    if (!draco_data_priv_probe(directory, folder, known->train, paths->train[0])) return known->train;
    paths->train_files = 1;
    if (known->train_labels != NULL &&
        !draco_data_priv_probe(directory, folder, known->train_labels, paths->train_labels))
        return known->train_labels;
    if (known->test != NULL && !draco_data_priv_probe(directory, folder, known->test, paths->test))
        return known->test;
    if (known->test_labels != NULL &&
        !draco_data_priv_probe(directory, folder, known->test_labels, paths->test_labels))
        return known->test_labels;
    if (strcmp(known->name, "cifar10") == 0)
        for (int batch = 2; batch <= 5; batch++) {
            char file[32];
            snprintf(file, sizeof file, "data_batch_%d.bin", batch);
            if (!draco_data_priv_probe(directory, folder, file, paths->train[paths->train_files])) break;
            paths->train_files++;
        }
    return NULL;
}

/* Tries directory/folder for each folder of the set. *missing: the first file that is not there, of the
   folder that has the most of them. */
DRACO_DATA_PRIVATE int draco_data_priv_find_in(const draco_data_priv_known *known, const char *directory,
                                               draco_data_paths *paths, const char **missing) {
    for (int i = 0; i < 3 && known->folders[i] != NULL; i++) {
        const char *lacks = draco_data_priv_fill(known, directory, known->folders[i], paths);
        if (lacks == NULL) return 1;
        if (*missing == NULL || lacks != known->train) *missing = lacks;
    }
    return 0;
}

DRACO_DATA_API draco_status draco_data_find(const char *name, const char *directory, draco_data_paths *paths,
                                            draco_data_error *error) {
    const char *places[2] = {directory, NULL};
    const char *missing = NULL;
    draco_data_paths found;
    const draco_data_priv_known *known = name != NULL ? draco_data_priv_known_of(name) : NULL;
    if (known == NULL || paths == NULL)
        return draco_data_priv_fail(
            error, DRACO_E_ARGUMENT,
            "unknown data set '%s': mnist, fashion-mnist, cifar10, mr (files), digits, "
            "pictures, sentences (built in)",
            name != NULL ? name : "");
    if (directory == NULL) {
        places[0] = getenv("DRACO_DATA");
        places[1] = "/usr/share/datasets";
    }
    for (int i = 0; i < 2; i++)
        if (places[i] != NULL && *places[i] && draco_data_priv_find_in(known, places[i], &found, &missing)) {
            *paths = found;
            return DRACO_OK;
        }
    return draco_data_priv_fail(error, DRACO_E_IO, "data set %s: no %s (or .gz) in %s%s%s or its folder %s",
                                name, missing != NULL ? missing : known->train, places[0] ? places[0] : "",
                                places[0] && places[1] ? ", " : "", places[1] ? places[1] : "",
                                known->folders[1]);
}

DRACO_DATA_PRIVATE draco_status draco_data_priv_load_pictures(const draco_data_priv_known *known,
                                                              const draco_data_paths *paths,
                                                              draco_dataset *train, draco_dataset *test,
                                                              draco_data_error *error) {
    draco_status status;
    if (strcmp(known->name, "cifar10") == 0) {
        const char *files[DRACO_DATA_MAX_FILES], *test_file = paths->test;
        for (size_t i = 0; i < paths->train_files; i++) files[i] = paths->train[i];
        status = draco_data_cifar10(files, paths->train_files, train, error);
        if (status == DRACO_OK) status = draco_data_cifar10(&test_file, 1, test, error);
    } else {
        status = draco_data_idx(paths->train[0], paths->train_labels, 10, train, error);
        if (status == DRACO_OK) status = draco_data_idx(paths->test, paths->test_labels, 10, test, error);
        if (status == DRACO_OK && (train->height != test->height || train->width != test->width))
            status = draco_data_priv_fail(
                error, DRACO_E_MALFORMED, "%s: images of %d x %d, but the training set has %d x %d",
                paths->test, test->height, test->width, train->height, train->width);
    }
    return status;
}

/* train and test of a set of files, each empty or full. */
DRACO_DATA_PRIVATE draco_status draco_data_priv_load_files(const draco_data_config *config,
                                                           draco_dataset *train, draco_dataset *test,
                                                           draco_data_error *error) {
    draco_data_paths paths;
    draco_status status = draco_data_find(config->name, config->directory, &paths, error);
    if (status != DRACO_OK) return status;
    const draco_data_priv_known *known = draco_data_priv_known_of(config->name);
    status = known->test == NULL ? draco_data_text(paths.train[0], paths.train_labels, train, error)
                                 : draco_data_priv_load_pictures(known, &paths, train, test, error);
    draco_data_priv_name(train, config->name);
    draco_data_priv_name(test, config->name);
    return status;
}

DRACO_DATA_PRIVATE draco_status draco_data_priv_load_built_in(const draco_data_config *config,
                                                              draco_data_kind kind, draco_dataset *train,
                                                              draco_dataset *test, draco_data_error *error) {
    const size_t samples = config->train > 0 ? config->train : 10000;
    const size_t tests = config->test > 0 ? config->test : 2000;
    if (kind == DRACO_DATA_SENTENCES) /* one vocabulary: the split comes after */
        return draco_data_generate(kind, config->seed, 0, samples + tests, train, error);
    draco_status status = draco_data_generate(kind, config->seed, 0, samples, train, error);
    if (status == DRACO_OK) status = draco_data_generate(kind, config->seed, samples, tests, test, error);
    return status;
}

/* Hold out a share of train when asked to, or when there is no test set. */
DRACO_DATA_PRIVATE draco_status draco_data_priv_hold_out(const draco_data_config *config,
                                                         draco_dataset *train, draco_dataset *test,
                                                         draco_data_error *error) {
    if (test->samples > 0 && config->held_out <= 0.0) return DRACO_OK;
    const double share = config->held_out > 0.0 ? config->held_out : 0.1;
    draco_dataset rest, held;
    draco_status status = draco_data_split(train, (size_t)((double)train->samples * share + 0.5),
                                           config->seed, &rest, &held, error);
    if (status != DRACO_OK) return status;
    draco_dataset_free(train);
    draco_dataset_free(test);
    *train = rest;
    *test = held;
    return DRACO_OK;
}

DRACO_DATA_API draco_status draco_data_load(const draco_data_config *config, draco_dataset *train,
                                            draco_dataset *test, draco_data_error *error) {
    static const char *const built_in[] = {"digits", "pictures", "sentences"};
    draco_dataset first, second;
    draco_status status = DRACO_MORE;
    if (config == NULL || config->name == NULL || train == NULL || test == NULL)
        return draco_data_priv_fail(error, DRACO_E_ARGUMENT, "no data set named");
    if (!(config->held_out >= 0.0 && config->held_out < 1.0))
        return draco_data_priv_fail(error, DRACO_E_ARGUMENT, "held-out share %g is not in [0, 1)",
                                    config->held_out);
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    for (int kind = 0; kind < 3; kind++)
        if (strcmp(config->name, built_in[kind]) == 0)
            status = draco_data_priv_load_built_in(config, (draco_data_kind)kind, &first, &second, error);
    if (status == DRACO_MORE) status = draco_data_priv_load_files(config, &first, &second, error);
    if (status == DRACO_OK) status = draco_data_priv_hold_out(config, &first, &second, error);
    if (status == DRACO_OK && first.pixels != NULL && !config->raw)
        status = draco_data_normalise(&first, &second);
    if (status != DRACO_OK) {
        draco_dataset_free(&first);
        draco_dataset_free(&second);
        return status;
    }
    *train = first;
    *test = second;
    return DRACO_OK;
}

#endif /* DRACO_DATA_IMPLEMENTATION */
