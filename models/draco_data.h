/* draco_data.h - version 0.1.0 - data sets by name: found, read, checked, normalised, split

   #define DRACO_DATA_IMPLEMENTATION in one .c file before including it; DRACO_DATA_STATIC, defined as well,
   makes a private copy. The switches bring draco.h along. The implementation is C11 with GNU extensions and
   POSIX; link -lz -lm. The four data headers share the switches, and this one includes the others:

       draco_dataset.h   the set in memory: rows, words, the draw of a batch, normalisation, split
       draco_text.h      sentences, vocabulary, word2vec
       draco_generate.h  the built-in sets
       draco_data.h      IDX, CIFAR-10, the finder, loading by name

   Use:

       draco_data_config config = {0};
       draco_dataset train, test;
       draco_data_error error;
       config.name = "fashion-mnist";
       if (draco_data_load(&config, &train, &test, &error) < 0) {
           fprintf(stderr, "%s\n", error.text);
           return 2;
       }
       draco_dataset_row(&train, 0, values);    (train.features floats, normalised)
       draco_dataset_free(&train);

   Formats. Every file may be gzip; zlib tells by the first bytes.

   - mnist, fashion-mnist: IDX (yann.lecun.com/exdb/mnist), big-endian: magic 0x00000803, count, rows,
     columns, then the bytes of the images; magic 0x00000801, count, then the labels.
   - cifar10: the binary version (www.cs.toronto.edu/~kriz/cifar.html): records of 1 label byte, then
     1,024 red, 1,024 green, 1,024 blue bytes; data_batch_1.bin .. data_batch_5.bin, as many as there
     are, and test_batch.bin. Stored as height x width x 3.
   - mr: rt-polarity.pos, rt-polarity.neg (Pang and Lee, ACL 2005): one sentence per line, each file in UTF-8
     if all of it is, else in Windows-1252; a byte-order mark is skipped.
   - word2vec: a line 'WORDS DIMENSION', then for each word its bytes, a blank, and DIMENSION little-endian
     floats (binary) or decimal numbers and a line feed (text). A word may have blanks in it.

   Text. Letters are lower-cased (ASCII and Latin); a word is a run of letters, digits and apostrophes; 's,
   n't, 've, 're, 'd, 'll are words of their own; so are , ! ? ( ); everything else parts words, dashes and
   ellipses as well (after the tokenizer of Kim, EMNLP 2014). The vocabulary is in UTF-8. A line of signs
   alone is one word. The line feed after the last line may be missing. Words are numbered in the order in
   which they first appear; 0 stands for no word and 1 for a word that is not in the vocabulary. The
   vocabulary is built before the split: a word that only held-out sentences have has a number, but is never
   trained.

   Errors. DRACO_E_IO: a file that is missing, unreadable or no regular file. DRACO_E_MALFORMED: an empty or
   truncated file, a wrong magic number (images and labels swapped), sizes that are zero or over the limit,
   trailing bytes, counts that differ, a label out of range, a batch that is no whole number of records, an
   empty sentence, a control byte other than tab and carriage return (0x00-0x1F, 0x7F), a sentence of more
   than DRACO_DATA_MAX_SENTENCE words, a word vector that is not finite or has a number beyond 10000.
   DRACO_E_MEMORY and DRACO_E_ARGUMENT. The outputs are untouched on error, and error->text is one line that
   names the file, what is wrong, and the numbers. Memory grows with the bytes that are really there: a
   number in a header never sizes an allocation.

   Limits: DRACO_DATA_MAX_BYTES of decoded data per image set, DRACO_DATA_MAX_TEXT per text file; define
   them to change them. Threads: loading is for one thread at a time per data set; distinct sets may be
   loaded at once.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#include "draco_dataset.h"
#include "draco_text.h"
#include "draco_generate.h"

#ifndef DRACO_DATA_H
#define DRACO_DATA_H

#define DRACO_DATA_VERSION 0x000100 /* 0.1.0 */

#define DRACO_DATA_MAX_FILES 16 /* training files of one data set */
#define DRACO_DATA_MAX_PATH 1024

#ifdef __cplusplus
extern "C" {
#endif

/* Files -> data set. On error *out is untouched. */
DRACO_DATA_API draco_status draco_data_idx(const char *images, const char *labels, int classes,
                                           draco_dataset *out, draco_data_error *error);
/* CIFAR-10 binary batches, plain or gzip: records of 1 label and 3 x 32 x 32 pixels, planes R, G, B. */
DRACO_DATA_API draco_status draco_data_cifar10(const char *const *files, size_t count, draco_dataset *out,
                                               draco_data_error *error);

/* The usual files of a data set. */
typedef struct draco_data_paths {
    char train[DRACO_DATA_MAX_FILES][DRACO_DATA_MAX_PATH]; /* images, batches, or the positive sentences */
    size_t train_files;
    char train_labels[DRACO_DATA_MAX_PATH]; /* labels, or the negative sentences */
    char test[DRACO_DATA_MAX_PATH], test_labels[DRACO_DATA_MAX_PATH];
} draco_data_paths;
/* name: mnist, fashion-mnist, cifar10, mr. directory NULL: $DRACO_DATA, then /usr/share/datasets. The files
   stand there, in a folder with the set's name, or in that of torchvision or of the archive (MNIST/raw,
   FashionMNIST/raw, cifar-10-batches-bin, rt-polaritydata). */
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

#ifdef __cplusplus
}
#endif
#endif /* DRACO_DATA_H */

#if defined(DRACO_DATA_IMPLEMENTATION) && !defined(DRACO_DATA_IMPLEMENTED)
#define DRACO_DATA_IMPLEMENTED

/* ---- IDX ---- */

DRACO_DATA_PRIVATE uint32_t dr_data_be32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | (uint32_t)bytes[3];
}

#define DR_DATA_IDX_LABELS 0x00000801u /* unsigned bytes, 1 dimension */
#define DR_DATA_IDX_IMAGES 0x00000803u /* unsigned bytes, 3 dimensions */

DRACO_DATA_PRIVATE const char *dr_data_idx_kind(uint32_t magic) {
    if (magic == DR_DATA_IDX_LABELS) return "an IDX file of labels";
    if (magic == DR_DATA_IDX_IMAGES) return "an IDX file of images";
    return "not an IDX file of bytes";
}

/* sizes[dimensions] of a header with this magic number. */
DRACO_DATA_PRIVATE draco_status dr_data_idx_header(dr_data_file *file, uint32_t magic, size_t dimensions,
                                                   size_t *sizes) {
    uint8_t header[16];
    size_t got;
    const size_t bytes = 4 + 4 * dimensions;
    draco_status status = dr_data_read(file, header, bytes, &got);
    if (status != DRACO_OK) return status;
    if (got >= 4 && dr_data_be32(header) != magic)
        return dr_data_fail(file->error, DRACO_E_MALFORMED,
                            "%s: %s (magic 0x%08x) where %s (magic 0x%08x) is expected", file->path,
                            dr_data_idx_kind(dr_data_be32(header)), (unsigned)dr_data_be32(header),
                            dr_data_idx_kind(magic), (unsigned)magic);
    if (got < bytes)
        return dr_data_fail(file->error, DRACO_E_MALFORMED,
                            "%s: truncated: %zu bytes of an IDX header of %zu", file->path, got, bytes);
    for (size_t i = 0; i < dimensions; i++) sizes[i] = dr_data_be32(header + 4 + 4 * i);
    return DRACO_OK;
}

DRACO_DATA_PRIVATE draco_status dr_data_check_labels(const char *path, const uint8_t *bytes, size_t stride,
                                                     size_t count, int classes, draco_data_error *error) {
    for (size_t i = 0; i < count; i++)
        if ((int)bytes[i * stride] >= classes)
            return dr_data_fail(error, DRACO_E_MALFORMED, "%s: label %u of sample %zu is out of range 0..%d",
                                path, (unsigned)bytes[i * stride], i, classes - 1);
    return DRACO_OK;
}

DRACO_DATA_PRIVATE draco_status dr_data_idx_open(dr_data_file *images, dr_data_file *labels,
                                                 size_t sizes[3]) {
    size_t count = 0;
    draco_status status = dr_data_idx_header(images, DR_DATA_IDX_IMAGES, 3, sizes);
    if (status == DRACO_OK) status = dr_data_idx_header(labels, DR_DATA_IDX_LABELS, 1, &count);
    if (status != DRACO_OK) return status;
    if (sizes[0] == 0 || sizes[1] == 0 || sizes[2] == 0)
        return dr_data_fail(images->error, DRACO_E_MALFORMED, "%s: no data: %zu images of %zu x %zu",
                            images->path, sizes[0], sizes[1], sizes[2]);
    /* Each factor is below 2^32, so the divisions cannot be fooled by an overflow. */
    if (sizes[1] > DRACO_DATA_MAX_BYTES / sizes[2] || sizes[0] > DRACO_DATA_MAX_BYTES / (sizes[1] * sizes[2]))
        return dr_data_fail(images->error, DRACO_E_MALFORMED,
                            "%s: its header asks for %zu images of %zu x %zu, over the limit of %zu "
                            "bytes",
                            images->path, sizes[0], sizes[1], sizes[2], DRACO_DATA_MAX_BYTES);
    if (count != sizes[0])
        return dr_data_fail(images->error, DRACO_E_MALFORMED, "%s has %zu images, but %s has %zu labels",
                            images->path, sizes[0], labels->path, count);
    return DRACO_OK;
}

DRACO_DATA_PRIVATE draco_status dr_data_widen(const uint8_t *bytes, size_t stride, size_t count,
                                              int32_t **labels, draco_data_error *error) {
    int32_t *wide = (int32_t *)malloc(count * sizeof *wide);
    if (wide == NULL) return dr_data_fail(error, DRACO_E_MEMORY, "out of memory for labels");
    for (size_t i = 0; i < count; i++) wide[i] = (int32_t)bytes[i * stride];
    *labels = wide;
    return DRACO_OK;
}

DRACO_DATA_PRIVATE draco_status dr_data_idx_body(dr_data_file *images, dr_data_file *labels, int classes,
                                                 draco_dataset *data) {
    size_t sizes[3];
    uint8_t *narrow = NULL;
    draco_status status = dr_data_idx_open(images, labels, sizes);
    if (status != DRACO_OK) return status;
    dr_data_shape(data, sizes[0], (int)sizes[1], (int)sizes[2], 1, classes);
    dr_data_name(data, "idx");
    status = dr_data_read_grown(labels, sizes[0], &narrow);
    if (status == DRACO_OK) status = dr_data_expect_end(labels, sizes[0]);
    if (status == DRACO_OK)
        status = dr_data_check_labels(labels->path, narrow, 1, sizes[0], classes, labels->error);
    if (status == DRACO_OK) status = dr_data_read_grown(images, sizes[0] * data->features, &data->pixels);
    if (status == DRACO_OK) status = dr_data_expect_end(images, sizes[0] * data->features);
    if (status == DRACO_OK) status = dr_data_widen(narrow, 1, sizes[0], &data->labels, images->error);
    free(narrow);
    if (status != DRACO_OK) draco_dataset_free(data);
    return status;
}

DRACO_DATA_API draco_status draco_data_idx(const char *images, const char *labels, int classes,
                                           draco_dataset *out, draco_data_error *error) {
    dr_data_file image_file, label_file = {NULL, NULL, NULL};
    draco_dataset data;
    if (out == NULL || classes < 1 || classes > 256)
        return dr_data_fail(error, DRACO_E_ARGUMENT, "IDX: %d classes, not in 1..256", classes);
    draco_status status = dr_data_open(&image_file, images, error);
    if (status == DRACO_OK) status = dr_data_open(&label_file, labels, error);
    if (status == DRACO_OK) status = dr_data_idx_body(&image_file, &label_file, classes, &data);
    dr_data_close(&image_file);
    dr_data_close(&label_file);
    if (status == DRACO_OK) *out = data;
    return status;
}

/* ---- CIFAR-10 ---- */

#define DR_DATA_CIFAR_PLANE 1024u
#define DR_DATA_CIFAR_RECORD (1u + 3u * DR_DATA_CIFAR_PLANE)

/* The records of one batch file. */
DRACO_DATA_PRIVATE draco_status dr_data_cifar_records(const char *path, size_t limit, uint8_t **bytes,
                                                      size_t *records, draco_data_error *error) {
    dr_data_file file;
    uint8_t *memory = NULL;
    size_t size = 0;
    draco_status status = dr_data_open(&file, path, error);
    if (status == DRACO_OK) status = dr_data_read_all(&file, limit, &memory, &size);
    dr_data_close(&file);
    if (status == DRACO_OK && (size == 0 || size % DR_DATA_CIFAR_RECORD != 0))
        status = dr_data_fail(error, DRACO_E_MALFORMED,
                              "%s: %zu bytes are no whole number of CIFAR-10 records of %u bytes "
                              "(truncated, or another format)",
                              path, size, DR_DATA_CIFAR_RECORD);
    if (status == DRACO_OK)
        status =
            dr_data_check_labels(path, memory, DR_DATA_CIFAR_RECORD, size / DR_DATA_CIFAR_RECORD, 10, error);
    if (status != DRACO_OK) {
        free(memory);
        return status;
    }
    *bytes = memory;
    *records = size / DR_DATA_CIFAR_RECORD;
    return DRACO_OK;
}

/* Planes R, G, B -> pixels of three bytes. */
DRACO_DATA_PRIVATE draco_status dr_data_cifar_append(draco_dataset *data, const uint8_t *bytes,
                                                     size_t records, draco_data_error *error) {
    const size_t samples = data->samples + records, features = data->features;
    uint8_t *pixels = (uint8_t *)realloc(data->pixels, samples * features);
    if (pixels != NULL) data->pixels = pixels;
    int32_t *labels = (int32_t *)realloc(data->labels, samples * sizeof *labels);
    if (labels != NULL) data->labels = labels;
    if (pixels == NULL || labels == NULL)
        return dr_data_fail(error, DRACO_E_MEMORY, "CIFAR-10: out of memory for %zu samples", samples);
    for (size_t i = 0; i < records; i++) {
        const uint8_t *record = bytes + i * DR_DATA_CIFAR_RECORD;
        uint8_t *pixel = pixels + (data->samples + i) * features;
        labels[data->samples + i] = record[0];
        for (size_t p = 0; p < DR_DATA_CIFAR_PLANE; p++)
            for (size_t c = 0; c < 3; c++) pixel[3 * p + c] = record[1 + c * DR_DATA_CIFAR_PLANE + p];
    }
    data->samples = samples;
    return DRACO_OK;
}

DRACO_DATA_API draco_status draco_data_cifar10(const char *const *files, size_t count, draco_dataset *out,
                                               draco_data_error *error) {
    draco_dataset data;
    draco_status status = DRACO_OK;
    if (files == NULL || out == NULL || count == 0)
        return dr_data_fail(error, DRACO_E_ARGUMENT, "CIFAR-10: no batch file given");
    dr_data_shape(&data, 0, 32, 32, 3, 10);
    dr_data_name(&data, "cifar10");
    for (size_t i = 0; i < count && status == DRACO_OK; i++) {
        uint8_t *bytes = NULL;
        size_t records = 0, used = data.samples * DR_DATA_CIFAR_RECORD;
        status = dr_data_cifar_records(files[i], DRACO_DATA_MAX_BYTES - used, &bytes, &records, error);
        if (status == DRACO_OK) status = dr_data_cifar_append(&data, bytes, records, error);
        free(bytes);
    }
    if (status != DRACO_OK) {
        draco_dataset_free(&data);
        return status;
    }
    *out = data;
    return DRACO_OK;
}

/* ---- Finding and loading by name ---- */

/* path = directory/folder/file, if it is there under one of the names in use: compressed, and the IDX files
   with a dot as well (train-images.idx3-ubyte). */
DRACO_DATA_PRIVATE int dr_data_probe(const char *directory, const char *folder, const char *file,
                                     char path[DRACO_DATA_MAX_PATH]) {
    static const char *const endings[] = {"", ".gz", ".GZ"};
    for (int e = 0; e < 6; e++) {
        const int length = snprintf(path, DRACO_DATA_MAX_PATH, "%s%s%s/%s%s", directory, *folder ? "/" : "",
                                    folder, file, endings[e % 3]);
        char *dash = length > 0 && length < DRACO_DATA_MAX_PATH && e >= 3 ? strstr(path, "-idx") : NULL;
        if (dash != NULL) *dash = '.';
        if (length > 0 && length < DRACO_DATA_MAX_PATH && access(path, F_OK) == 0) return 1;
    }
    path[0] = '\0';
    return 0;
}

#define DR_DATA_FOLDERS 3

/* The files of one known data set, and the folders they stand in: the place itself, the set's own, and that
   of torchvision or of the set's archive. There are no test files where test == NULL. */
typedef struct dr_data_known {
    const char *name, *folders[DR_DATA_FOLDERS];
    const char *train, *train_labels, *test, *test_labels;
} dr_data_known;

#define DR_DATA_IDX_FILES                                                                                    \
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"

static const dr_data_known dr_data_sets[] = {
    {"mnist", {"", "mnist", "MNIST/raw"}, DR_DATA_IDX_FILES},
    {"fashion-mnist", {"", "fashion-mnist", "FashionMNIST/raw"}, DR_DATA_IDX_FILES},
    {"cifar10", {"", "cifar10", "cifar-10-batches-bin"}, "data_batch_1.bin", NULL, "test_batch.bin", NULL},
    {"mr", {"", "mr", "rt-polaritydata"}, "rt-polarity.pos", "rt-polarity.neg", NULL, NULL}};

DRACO_DATA_PRIVATE const dr_data_known *dr_data_known_of(const char *name) {
    const size_t count = sizeof dr_data_sets / sizeof dr_data_sets[0];
    for (size_t i = 0; i < count; i++)
        if (strcmp(dr_data_sets[i].name, name) == 0) return &dr_data_sets[i];
    return NULL;
}

/* NULL when every file is there, else the name of the first that is not. */
DRACO_DATA_PRIVATE const char *dr_data_fill(const dr_data_known *known, const char *directory,
                                            const char *folder, draco_data_paths *paths) {
    memset(paths, 0, sizeof *paths);
    const char *const names[4] = {known->train, known->train_labels, known->test, known->test_labels};
    char *const into[4] = {paths->train[0], paths->train_labels, paths->test, paths->test_labels};
    for (int i = 0; i < 4; i++)
        if (names[i] != NULL && !dr_data_probe(directory, folder, names[i], into[i])) return names[i];
    paths->train_files = 1;
    if (strcmp(known->name, "cifar10") == 0)
        for (int batch = 2; batch <= 5; batch++) {
            char file[32];
            snprintf(file, sizeof file, "data_batch_%d.bin", batch);
            if (!dr_data_probe(directory, folder, file, paths->train[paths->train_files])) break;
            paths->train_files++;
        }
    return NULL;
}

/* What is not there, under which names it would be taken, and where it was looked for. */
DRACO_DATA_PRIVATE draco_status dr_data_not_found(const dr_data_known *known, const char *missing,
                                                  const char *const places[2], draco_data_error *error) {
    char text[sizeof error->text], dotted[64];
    const char *dash = strstr(missing, "-idx");
    size_t used = 0;
    snprintf(dotted, sizeof dotted, " or %s", missing);
    if (dash != NULL) dotted[4 + (dash - missing)] = '.';
    text[0] = '\0';
    for (int i = 0; i < 2 * DR_DATA_FOLDERS && used < sizeof text; i++) {
        const char *place = places[i / DR_DATA_FOLDERS], *folder = known->folders[i % DR_DATA_FOLDERS];
        if (place == NULL || *place == '\0') continue;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s%s%s", used > 0 ? ", " : "", place,
                                 *folder ? "/" : "", folder);
    }
    return dr_data_fail(error, DRACO_E_IO, "data set %s: no %s%s (also .gz, .GZ) in %s", known->name, missing,
                        dash != NULL ? dotted : "", text);
}

DRACO_DATA_API draco_status draco_data_find(const char *name, const char *directory, draco_data_paths *paths,
                                            draco_data_error *error) {
    const char *places[2] = {directory, NULL}, *missing = NULL;
    draco_data_paths found;
    const dr_data_known *known = name != NULL ? dr_data_known_of(name) : NULL;
    if (known == NULL || paths == NULL)
        return dr_data_fail(error, DRACO_E_ARGUMENT,
                            "unknown data set '%s': mnist, fashion-mnist, cifar10, mr (files), digits, "
                            "pictures, sentences (built in)",
                            name != NULL ? name : "");
    if (directory == NULL) {
        places[0] = getenv("DRACO_DATA");
        places[1] = "/usr/share/datasets";
    }
    for (int i = 0; i < 2 * DR_DATA_FOLDERS; i++) {
        const char *place = places[i / DR_DATA_FOLDERS];
        if (place == NULL || *place == '\0') continue;
        const char *lacks = dr_data_fill(known, place, known->folders[i % DR_DATA_FOLDERS], &found);
        if (lacks == NULL) {
            *paths = found;
            return DRACO_OK;
        }
        /* Of the folder that has the most of them. */
        if (missing == NULL || lacks != known->train) missing = lacks;
    }
    return dr_data_not_found(known, missing != NULL ? missing : known->train, places, error);
}

DRACO_DATA_PRIVATE draco_status dr_data_load_pictures(const dr_data_known *known,
                                                      const draco_data_paths *paths, draco_dataset *train,
                                                      draco_dataset *test, draco_data_error *error) {
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
            status = dr_data_fail(error, DRACO_E_MALFORMED,
                                  "%s: images of %d x %d, but the training set has %d x %d", paths->test,
                                  test->height, test->width, train->height, train->width);
    }
    return status;
}

/* train and test of a set of files, each empty or full. */
DRACO_DATA_PRIVATE draco_status dr_data_load_files(const draco_data_config *config, draco_dataset *train,
                                                   draco_dataset *test, draco_data_error *error) {
    draco_data_paths paths;
    draco_status status = draco_data_find(config->name, config->directory, &paths, error);
    if (status != DRACO_OK) return status;
    const dr_data_known *known = dr_data_known_of(config->name);
    status = known->test == NULL ? draco_data_text(paths.train[0], paths.train_labels, train, error)
                                 : dr_data_load_pictures(known, &paths, train, test, error);
    dr_data_name(train, config->name);
    dr_data_name(test, config->name);
    return status;
}

DRACO_DATA_PRIVATE draco_status dr_data_load_built_in(const draco_data_config *config, draco_data_kind kind,
                                                      draco_dataset *train, draco_dataset *test,
                                                      draco_data_error *error) {
    const size_t samples = config->train > 0 ? config->train : 10000;
    const size_t tests = config->test > 0 ? config->test : 2000;
    if (kind == DRACO_DATA_SENTENCES) /* one vocabulary: the split comes after */
        return draco_data_generate(kind, config->seed, 0, samples + tests, train, error);
    draco_status status = draco_data_generate(kind, config->seed, 0, samples, train, error);
    if (status == DRACO_OK) status = draco_data_generate(kind, config->seed, samples, tests, test, error);
    return status;
}

/* Hold out a share of train when asked to, or when there is no test set. */
DRACO_DATA_PRIVATE draco_status dr_data_hold_out(const draco_data_config *config, draco_dataset *train,
                                                 draco_dataset *test, draco_data_error *error) {
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
        return dr_data_fail(error, DRACO_E_ARGUMENT, "no data set named");
    if (!(config->held_out >= 0.0 && config->held_out < 1.0))
        return dr_data_fail(error, DRACO_E_ARGUMENT, "held-out share %g is not in [0, 1)", config->held_out);
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    for (int kind = 0; kind < 3; kind++)
        if (strcmp(config->name, built_in[kind]) == 0)
            status = dr_data_load_built_in(config, (draco_data_kind)kind, &first, &second, error);
    if (status == DRACO_MORE) status = dr_data_load_files(config, &first, &second, error);
    if (status == DRACO_OK) status = dr_data_hold_out(config, &first, &second, error);
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
