/* Data sets: what is read, what is refused and in which words, splits, normalisation, the built-in sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#define DRACO_DATA_IMPLEMENTATION
#include "models/draco_data.h"

static char folder[64];

/* folder/name; sixteen of them may be in use at once */
static const char *in_folder(const char *name) {
    static char paths[16][256];
    static int next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static const char *save(const char *name, const void *bytes, size_t n) {
    const char *path = in_folder(name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    return path;
}

static const char *save_gzip(const char *name, const void *bytes, size_t n) {
    const char *path = in_folder(name);
    gzFile f = gzopen(path, "wb9");
    assert_int_equal(gzwrite(f, bytes, (unsigned)n), n);
    gzclose(f);
    return path;
}

/* The call failed with this status and in these words, in one line, and left `data` alone. */
static void refused(draco_status got, draco_status status, const draco_data_error *error, const char *words,
                    const draco_dataset *data) {
    static draco_dataset untouched;
    memset(&untouched, 0x5a, sizeof untouched);
    if (got != status || strstr(error->text, words) == NULL)
        fail_msg("status %d, '%s': not %d, '%s'", (int)got, error->text, (int)status, words);
    assert_null(strchr(error->text, '\n'));
    assert_memory_equal(data, &untouched, sizeof untouched);
}

/* ---- IDX ---- */

enum { IMAGES = 3, ROWS = 2, COLUMNS = 4, PIXELS = IMAGES * ROWS * COLUMNS };

static void be32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static size_t idx_images(uint8_t *bytes) {
    be32(bytes, 0x803);
    be32(bytes + 4, IMAGES);
    be32(bytes + 8, ROWS);
    be32(bytes + 12, COLUMNS);
    for (int i = 0; i < PIXELS; i++) bytes[16 + i] = (uint8_t)(10 * i);
    return 16 + PIXELS;
}

static size_t idx_labels(uint8_t *bytes) {
    be32(bytes, 0x801);
    be32(bytes + 4, IMAGES);
    for (int i = 0; i < IMAGES; i++) bytes[8 + i] = (uint8_t)(9 - i);
    return 8 + IMAGES;
}

static void idx_is_read_plain_and_gzip(void **unused) {
    (void)unused;
    uint8_t images[64], labels[64];
    const size_t n = idx_images(images), m = idx_labels(labels);
    for (int zip = 0; zip < 4; zip++) {
        const char *i = zip & 1 ? save_gzip("images", images, n) : save("images", images, n);
        const char *l = zip & 2 ? save_gzip("labels", labels, m) : save("labels", labels, m);
        draco_dataset d;
        draco_data_error error = {""};
        float row[ROWS * COLUMNS];
        assert_int_equal(draco_data_idx(i, l, 10, &d, &error), DRACO_OK);
        assert_int_equal(d.samples, IMAGES);
        assert_int_equal(d.features, ROWS * COLUMNS);
        assert_int_equal(d.height, ROWS);
        assert_int_equal(d.width, COLUMNS);
        assert_int_equal(d.channels, 1);
        assert_int_equal(d.classes, 10);
        assert_memory_equal(d.pixels, images + 16, PIXELS);
        for (int s = 0; s < IMAGES; s++) assert_int_equal(d.labels[s], 9 - s);
        draco_dataset_row(&d, 2, row);
        assert_float_equal(row[1], 170.0f / 255.0f, 1e-6f);
        draco_dataset_free(&d);
    }
}

typedef struct idx_case {
    const char *what;
    size_t image_bytes, label_bytes; /* bytes that are kept; 0: all */
    int edit;                        /* byte of the images that is changed, or -1 */
    uint32_t value;                  /* four bytes, big-endian */
    const char *words;
} idx_case;

static void hostile_idx_is_named(void **unused) {
    (void)unused;
    uint8_t images[64], labels[64];
    const size_t n = idx_images(images), m = idx_labels(labels);
    const idx_case cases[] = {
        {"header cut", 9, 0, -1, 0, "truncated: 9 bytes of an IDX header of 16"},
        {"magic cut", 3, 0, -1, 0, "truncated: 3 bytes of an IDX header of 16"},
        {"body cut", n - 1, 0, -1, 0, "truncated: its header promises 24 bytes of data, it has 23"},
        {"no body", 16, 0, -1, 0, "promises 24 bytes of data, it has 0"},
        {"labels cut", 0, m - 1, -1, 0, "truncated: its header promises 3 bytes of data, it has 2"},
        {"label header cut", 0, 7, -1, 0, "truncated: 7 bytes of an IDX header of 8"},
        {"trailing", n + 1, 0, -1, 0, "trailing bytes after the 24 bytes"},
        {"trailing labels", 0, m + 1, -1, 0, "trailing bytes after the 3 bytes"},
        {"another magic", 0, 0, 0, 0x00000d03, "not an IDX file of bytes (magic 0x00000d03)"},
        {"no images", 0, 0, 4, 0, "no data: 0 images of 2 x 4"},
        {"no rows", 0, 0, 8, 0, "no data: 3 images of 0 x 4"},
        {"no columns", 0, 0, 12, 0, "no data: 3 images of 2 x 0"},
        {"count over the limit", 0, 0, 4, 0xffffffffu, "over the limit of"},
        {"rows over the limit", 0, 0, 8, 0xffffffffu, "over the limit of"},
        {"columns over the limit", 0, 0, 12, 0xffffffffu, "over the limit of"},
        {"count differs", 0, 0, 4, 2, "has 2 images, but"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const idx_case *c = &cases[i];
        uint8_t changed[64] = {0};
        memcpy(changed, images, n);
        if (c->edit >= 0) be32(changed + c->edit, c->value);
        draco_dataset d;
        draco_data_error error = {""};
        memset(&d, 0x5a, sizeof d);
        const char *one = save("images", changed, c->image_bytes ? c->image_bytes : n);
        const char *two = save("labels", labels, c->label_bytes ? c->label_bytes : m);
        refused(draco_data_idx(one, two, 10, &d, &error), DRACO_E_MALFORMED, &error, c->words, &d);
        one = save_gzip("images", changed, c->image_bytes ? c->image_bytes : n);
        refused(draco_data_idx(one, two, 10, &d, &error), DRACO_E_MALFORMED, &error, c->words, &d);
    }
}

/* All sizes at their greatest: the product does not wrap around. */
static void sizes_that_overflow_are_named(void **unused) {
    (void)unused;
    uint8_t images[64], labels[64];
    const size_t n = idx_images(images), m = idx_labels(labels);
    const uint32_t sizes[][3] = {{0xffffffffu, 0xffffffffu, 0xffffffffu},
                                 {0x80000000u, 0x80000000u, 4u},
                                 {1u, 0x10000u, 0x10000u},
                                 {0x40000000u, 2u, 2u}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        draco_dataset d;
        draco_data_error error;
        memset(&d, 0x5a, sizeof d);
        for (int k = 0; k < 3; k++) be32(images + 4 + 4 * k, sizes[i][k]);
        const char *one = save("images", images, n), *two = save("labels", labels, m);
        refused(draco_data_idx(one, two, 10, &d, &error), DRACO_E_MALFORMED, &error, "over the limit of", &d);
    }
}

static void swapped_and_labels_out_of_range(void **unused) {
    (void)unused;
    uint8_t images[64], labels[64];
    const size_t n = idx_images(images), m = idx_labels(labels);
    draco_dataset d;
    draco_data_error error;
    memset(&d, 0x5a, sizeof d);
    const char *i = save("images", images, n), *l = save("labels", labels, m);
    refused(draco_data_idx(l, i, 10, &d, &error), DRACO_E_MALFORMED, &error,
            "labels: an IDX file of labels (magic 0x00000801) where an IDX file of images", &d);
    refused(draco_data_idx(i, i, 10, &d, &error), DRACO_E_MALFORMED, &error,
            "images: an IDX file of images (magic 0x00000803) where an IDX file of labels", &d);
    refused(draco_data_idx(i, l, 9, &d, &error), DRACO_E_MALFORMED, &error,
            "labels: label 9 of sample 0 is out of range 0..8", &d);
    refused(draco_data_idx(i, l, 0, &d, &error), DRACO_E_ARGUMENT, &error, "classes", &d);
    assert_int_equal(draco_data_idx(i, l, 9, &d, NULL), DRACO_E_MALFORMED);
}

static void files_that_cannot_be_read(void **unused) {
    (void)unused;
    uint8_t images[64], labels[64];
    const size_t n = idx_images(images);
    draco_dataset d;
    draco_data_error error;
    memset(&d, 0x5a, sizeof d);
    const char *i = save("images", images, n), *l = save("labels", labels, idx_labels(labels));
    refused(draco_data_idx(in_folder("none"), l, 10, &d, &error), DRACO_E_IO, &error, "none: cannot open",
            &d);
    refused(draco_data_idx(i, folder, 10, &d, &error), DRACO_E_IO, &error, "not a regular file", &d);
    refused(draco_data_idx(NULL, l, 10, &d, &error), DRACO_E_ARGUMENT, &error, "no file name", &d);
    refused(draco_data_idx("/dev/zero", l, 10, &d, &error), DRACO_E_IO, &error, "not a regular file", &d);
    const char *pipe_name = in_folder("pipe");
    assert_int_equal(mkfifo(pipe_name, 0600), 0);
    refused(draco_data_idx(pipe_name, l, 10, &d, &error), DRACO_E_IO, &error, "not a regular file", &d);
    unlink(pipe_name);
    refused(draco_data_idx(save("images", "", 0), l, 10, &d, &error), DRACO_E_MALFORMED, &error,
            "images: the file is empty", &d);
}

static void damaged_gzip_is_named(void **unused) {
    (void)unused;
    enum { SIDE = 64, COUNT = 40 };
    static uint8_t images[16 + COUNT * SIDE * SIDE], packed[2 * sizeof images];
    uint8_t labels[8 + COUNT] = {0};
    draco_dataset d;
    draco_data_error error;
    memset(&d, 0x5a, sizeof d);
    be32(images, 0x803);
    be32(images + 4, COUNT);
    be32(images + 8, SIDE);
    be32(images + 12, SIDE);
    for (size_t i = 16; i < sizeof images; i++) images[i] = (uint8_t)(i * i >> 5);
    be32(labels, 0x801);
    be32(labels + 4, COUNT);
    const char *l = save("labels", labels, sizeof labels), *i = save_gzip("images", images, sizeof images);
    FILE *f = fopen(i, "rb");
    const size_t size = fread(packed, 1, sizeof packed, f);
    fclose(f);
    i = save("images", packed, size / 2);
    refused(draco_data_idx(i, l, 10, &d, &error), DRACO_E_MALFORMED, &error, "images: ", &d);
    i = save("images", packed, 5);
    refused(draco_data_idx(i, l, 10, &d, &error), DRACO_E_MALFORMED, &error, "images: ", &d);
    packed[size - 6] ^= 1; /* the checksum at the end */
    i = save("images", packed, size);
    refused(draco_data_idx(i, l, 10, &d, &error), DRACO_E_MALFORMED, &error, "cannot read past byte", &d);
    assert_null(strstr(error.text, "<fd:")); /* zlib's name for a file that it did not open */
    packed[size - 6] ^= 1;
    packed[size / 2] ^= 0x55;
    i = save("images", packed, size);
    refused(draco_data_idx(i, l, 10, &d, &error), DRACO_E_MALFORMED, &error, "images: ", &d);
}

/* A header that promises 2 GB in a file of 40 bytes, read with room for 64 MB more. */
static void a_header_sizes_no_memory(void **unused) {
    (void)unused;
    uint8_t images[64], labels[64];
    const size_t n = idx_images(images), m = idx_labels(labels);
    be32(images + 8, 20000);
    be32(images + 12, 30000);
    const char *i = save("images", images, n), *l = save("labels", labels, m);
    const pid_t child = fork();
    if (child == 0) {
        long pages = 0;
        FILE *f = fopen("/proc/self/statm", "r");
        if (f == NULL || fscanf(f, "%ld", &pages) != 1) _exit(3);
        fclose(f);
        struct rlimit room;
        room.rlim_cur = room.rlim_max = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (64 << 20);
        if (setrlimit(RLIMIT_AS, &room) != 0) _exit(3);
        draco_dataset d;
        draco_data_error error;
        _exit(draco_data_idx(i, l, 10, &d, &error) != DRACO_E_MALFORMED ||
              strstr(error.text, "promises 1800000000 bytes of data, it has 24") == NULL);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- CIFAR-10 ---- */

enum { RECORD = 3073 };

static void cifar_record(uint8_t *record, int seed) {
    record[0] = (uint8_t)(seed % 10);
    for (int i = 0; i < 3072; i++) record[1 + i] = (uint8_t)(i * 7 + seed);
}

static void cifar10_is_read_as_pixels_of_three(void **unused) {
    (void)unused;
    static uint8_t bytes[3 * RECORD];
    for (int i = 0; i < 3; i++) cifar_record(bytes + i * RECORD, i + 5);
    const char *files[] = {save_gzip("data_batch_1.bin.gz", bytes, 2 * RECORD),
                           save("data_batch_2.bin", bytes + 2 * RECORD, RECORD)};
    draco_dataset d;
    assert_int_equal(draco_data_cifar10(files, 2, &d, NULL), DRACO_OK);
    assert_int_equal(d.samples, 3);
    assert_int_equal(d.features, 3072);
    for (int s = 0; s < 3; s++) {
        assert_int_equal(d.labels[s], s + 5);
        for (int p = 0; p < 1024; p++)
            for (int c = 0; c < 3; c++)
                assert_int_equal(d.pixels[s * 3072 + p * 3 + c], bytes[s * RECORD + 1 + c * 1024 + p]);
    }
    draco_dataset_free(&d);
}

static void hostile_cifar10_is_named(void **unused) {
    (void)unused;
    static uint8_t bytes[2 * RECORD + 1];
    const size_t sizes[] = {1, RECORD - 1, RECORD + 1, 2 * RECORD + 1};
    draco_dataset d;
    draco_data_error error;
    const char *path;
    memset(&d, 0x5a, sizeof d);
    for (size_t i = 0; i < 4; i++) {
        path = save("batch", bytes, sizes[i]);
        refused(draco_data_cifar10(&path, 1, &d, &error), DRACO_E_MALFORMED, &error,
                "no whole number of CIFAR-10 records", &d);
    }
    bytes[RECORD] = 10;
    path = save_gzip("batch", bytes, 2 * RECORD);
    refused(draco_data_cifar10(&path, 1, &d, &error), DRACO_E_MALFORMED, &error,
            "batch: label 10 of sample 1 is out of range 0..9", &d);
    path = save_gzip("batch", bytes, 0);
    refused(draco_data_cifar10(&path, 1, &d, &error), DRACO_E_MALFORMED, &error, "0 bytes", &d);
    path = save("batch", bytes, 0);
    refused(draco_data_cifar10(&path, 1, &d, &error), DRACO_E_MALFORMED, &error, "empty", &d);
    refused(draco_data_cifar10(&path, 0, &d, &error), DRACO_E_ARGUMENT, &error, "no batch file", &d);
    bytes[RECORD] = 9;
    const char *files[] = {save("good", bytes, RECORD), in_folder("none")};
    refused(draco_data_cifar10(files, 2, &d, &error), DRACO_E_IO, &error, "none: cannot open", &d);
}

/* ---- Text ---- */

static draco_status read_text(const char *positive, size_t n, const char *negative, size_t m,
                              draco_dataset *d, draco_data_error *error) {
    const char *p = save("positive", positive, n), *q = save("negative", negative, m);
    return draco_data_text(p, q, d, error);
}

static void expect_sentence(const draco_dataset *d, size_t sample, const char *const *words) {
    size_t count, expected = 0;
    const int32_t *got = draco_dataset_words(d, sample, &count);
    while (words[expected] != NULL) expected++;
    assert_int_equal(count, expected);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(got[i], draco_vocabulary_find(&d->vocabulary, words[i], strlen(words[i])));
}

static void sentences_become_numbers(void **unused) {
    (void)unused;
    const char positive[] = "It's GOOD , don't \"worry\" .\ngood-good 'quoted' they'll\r\n...\n";
    const char negative[] = "caf\xC9 bad (really) bad!"; /* Windows-1252, no line feed at the end */
    draco_dataset d;
    assert_int_equal(read_text(positive, strlen(positive), negative, strlen(negative), &d, NULL), DRACO_OK);
    assert_int_equal(d.samples, 4);
    assert_int_equal(d.classes, 2);
    assert_int_equal(d.features, 7);
    const int labels[] = {1, 1, 1, 0};
    for (int i = 0; i < 4; i++) assert_int_equal(d.labels[i], labels[i]);
    const char *const s0[] = {"it", "'s", "good", ",", "do", "n't", "worry", NULL};
    const char *const s1[] = {"good", "good", "quoted", "they", "'ll", NULL};
    const char *const s2[] = {".", NULL};
    const char *const s3[] = {"caf\xC3\xA9", "bad", "(", "really", ")", "bad", "!", NULL};
    expect_sentence(&d, 0, s0);
    expect_sentence(&d, 1, s1);
    expect_sentence(&d, 2, s2);
    expect_sentence(&d, 3, s3);
    /* Numbers in the order of first appearance. */
    for (int i = 0; i < 7; i++) assert_int_equal(d.words[i], DRACO_DATA_FIRST + i);
    assert_int_equal(d.words[7], DRACO_DATA_FIRST + 2);
    assert_int_equal(d.vocabulary.words, 17);
    assert_int_equal(d.vocabulary.size, 19);
    assert_int_equal(draco_vocabulary_find(&d.vocabulary, "goo", 3), DRACO_DATA_UNKNOWN);
    assert_int_equal(draco_vocabulary_find(&d.vocabulary, "", 0), DRACO_DATA_UNKNOWN);
    draco_dataset_free(&d);
}

/* The same words in either encoding, with and without a byte-order mark. */
static void text_is_read_in_its_encoding(void **unused) {
    (void)unused;
    const char windows[] = "third\x85 emotionally\x97it\x92s a \x93"
                           "d\xC9j\xE0 vu\x94 \x96 \x8Cuvre\nthird\x85"
                           "emotionally\n";
    const char utf8[] = "third\xE2\x80\xA6 emotionally\xE2\x80\x94it\xE2\x80\x99s a \xE2\x80\x9C"
                        "d\xC3\x89j\xC3\xA0 vu"
                        "\xE2\x80\x9D \xE2\x80\x93 \xC5\x92uvre\nthird\xE2\x80\xA6"
                        "emotionally\n";
    const char *const first[] = {"third", "emotionally",  "it", "'s", "a", "d\xC3\xA9j\xC3\xA0",
                                 "vu",    "\xC5\x93uvre", NULL};
    const char *const second[] = {"third", "emotionally", NULL};
    char marked[sizeof utf8 + 3] = "\xEF\xBB\xBF";
    memcpy(marked + 3, utf8, sizeof utf8);
    const struct {
        const char *text;
        const char *encoding;
    } cases[] = {{windows, "UTF-8 and Windows-1252"}, {utf8, "UTF-8"}, {marked, "UTF-8"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        draco_dataset d, rest = {.samples = 0}, held = {.samples = 0};
        assert_int_equal(read_text(cases[i].text, strlen(cases[i].text), "bad\n", 4, &d, NULL), DRACO_OK);
        assert_string_equal(d.encoding, cases[i].encoding);
        expect_sentence(&d, 0, first);
        expect_sentence(&d, 1, second);
        assert_int_equal(d.vocabulary.words, 9);
        assert_int_equal(draco_data_split(&d, 1, 1, &rest, &held, NULL), DRACO_OK);
        assert_string_equal(held.encoding, cases[i].encoding);
        draco_dataset_free(&d);
        draco_dataset_free(&rest);
        draco_dataset_free(&held);
    }
    /* Not UTF-8: cut off, overlong, a surrogate, beyond Unicode. */
    const char *const others[] = {"a\xC3\n", "a\xC0\xAF\n", "a\xED\xA0\x80\n", "a\xF4\x90\x80\x80\n"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        draco_dataset d;
        assert_int_equal(read_text(others[i], strlen(others[i]), others[i], strlen(others[i]), &d, NULL),
                         DRACO_OK);
        assert_string_equal(d.encoding, "Windows-1252");
        draco_dataset_free(&d);
    }
}

static void hostile_text_is_named(void **unused) {
    (void)unused;
    const struct {
        const char *positive;
        size_t n;
        const char *words;
    } cases[] = {{"good\n\nfine\n", 11, "positive: line 2: the sentence is empty"},
                 {"good\n \t\r\n", 9, "positive: line 2: the sentence is empty"},
                 {"\n", 1, "positive: line 1: the sentence is empty"},
                 {"good\nfi\0ne\n", 11, "positive: line 2: byte 0x00 is not text"},
                 {"\x1b[31m\n", 6, "positive: line 1: byte 0x1b is not text"},
                 {"a\x7f\n", 3, "positive: line 1: byte 0x7f is not text"},
                 {"", 0, "positive: the file is empty"}};
    draco_dataset d;
    draco_data_error error;
    memset(&d, 0x5a, sizeof d);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refused(read_text(cases[i].positive, cases[i].n, "bad\n", 4, &d, &error), DRACO_E_MALFORMED, &error,
                cases[i].words, &d);
    refused(read_text("good\n", 5, "bad\nworse\x01\n", 11, &d, &error), DRACO_E_MALFORMED, &error,
            "negative: line 2: byte 0x01", &d);
    enum { LONG = DRACO_DATA_MAX_SENTENCE + 1 };
    static char words[2 * LONG];
    for (int i = 0; i < LONG; i++) memcpy(words + 2 * i, "a ", 2);
    refused(read_text(words, sizeof words, "bad\n", 4, &d, &error), DRACO_E_MALFORMED, &error,
            "positive: line 1: 4097 words, over the limit of 4096", &d);
    assert_int_equal(read_text(words, 2 * (LONG - 1), "bad\n", 4, &d, &error), DRACO_OK);
    assert_int_equal(d.features, DRACO_DATA_MAX_SENTENCE);
    draco_dataset_free(&d);
}

/* ---- word2vec ---- */

static size_t vector(char *at, const char *word, const float values[3], int line_feed) {
    const size_t n = strlen(word);
    memcpy(at, word, n);
    at[n] = ' ';
    memcpy(at + n + 1, values, 12);
    if (line_feed) at[n + 13] = '\n';
    return n + 13 + (line_feed != 0);
}

static void word_vectors_are_found(void **unused) {
    (void)unused;
    draco_dataset d;
    assert_int_equal(read_text("good film\n", 10, "bad film\n", 9, &d, NULL), DRACO_OK);
    const float good[3] = {1, 2, 3}, bad[3] = {-1, -2, -3}, other[3] = {9, 9, 9};
    for (int line_feed = 0; line_feed < 2; line_feed++) {
        char bytes[128] = "3 3\n";
        float rows[5 * 3] = {0};
        size_t n = 4, found = 99;
        n += vector(bytes + n, "bad", bad, line_feed);
        n += vector(bytes + n, "elsewhere", other, line_feed);
        n += vector(bytes + n, "good", good, line_feed);
        assert_int_equal(d.vocabulary.size, 5);
        assert_int_equal(draco_data_word2vec(save("vectors", bytes, n), &d.vocabulary, 3, rows, &found, NULL),
                         DRACO_OK);
        assert_int_equal(found, 2);
        const int32_t g = draco_vocabulary_find(&d.vocabulary, "good", 4);
        const int32_t b = draco_vocabulary_find(&d.vocabulary, "bad", 3);
        assert_memory_equal(rows + 3 * g, good, sizeof good);
        assert_memory_equal(rows + 3 * b, bad, sizeof bad);
        for (int i = 0; i < 6; i++) assert_true(rows[i] == 0.0f);
    }
    draco_dataset_free(&d);
}

/* A word with a blank in it moves nothing, in either format. */
static void words_with_blanks_move_nothing(void **unused) {
    (void)unused;
    const float a[3] = {1, 2, 3}, b[3] = {4, 5, 6}, c[3] = {7, 8, 9};
    const char text[] = "3 3\nnew good york 1 2 3\ngood 4 5e0 6 \r\nbad\t7.0 +8 9\n";
    draco_dataset d;
    assert_int_equal(read_text("good film\n", 10, "bad film\n", 9, &d, NULL), DRACO_OK);
    const int32_t good = draco_vocabulary_find(&d.vocabulary, "good", 4);
    const int32_t bad = draco_vocabulary_find(&d.vocabulary, "bad", 3);
    for (int form = 0; form < 3; form++) {
        char bytes[256] = "3 3\n";
        float rows[5 * 3] = {0};
        size_t found = 0, n = 4;
        n += vector(bytes + n, "new good york", a, form == 1);
        n += vector(bytes + n, "good", b, form == 1);
        n += vector(bytes + n, "bad", c, form == 1);
        if (form == 2) memcpy(bytes, text, n = strlen(text));
        assert_int_equal(draco_data_word2vec(save("vectors", bytes, n), &d.vocabulary, 3, rows, &found, NULL),
                         DRACO_OK);
        assert_int_equal(found, 2);
        assert_memory_equal(rows + 3 * good, b, sizeof b);
        assert_memory_equal(rows + 3 * bad, c, sizeof c);
        /* One more vector than the header promises, and one fewer. */
        draco_data_error error;
        bytes[0] = '2';
        assert_int_equal(
            draco_data_word2vec(save("vectors", bytes, n), &d.vocabulary, 3, rows, &found, &error),
            DRACO_E_MALFORMED);
        assert_non_null(strstr(error.text, "more follows after the 2 words that its header promises"));
        bytes[0] = '4';
        assert_int_equal(
            draco_data_word2vec(save("vectors", bytes, n), &d.vocabulary, 3, rows, &found, &error),
            DRACO_E_MALFORMED);
        assert_non_null(strstr(error.text, "promises 4 words, it has 3"));
    }
    draco_dataset_free(&d);
}

static void hostile_word_vectors_are_named(void **unused) {
    (void)unused;
    draco_dataset d;
    draco_data_error error;
    float rows[5 * 3];
    size_t found;
    const float nan3[3] = {1, NAN, 3}, good[3] = {1, 2, 3};
    char bytes[2048] = "2 3\n";
    assert_int_equal(read_text("good film\n", 10, "bad film\n", 9, &d, NULL), DRACO_OK);
    const struct {
        const char *text;
        size_t n;
        const char *words;
    } cases[] = {{"x", 1, "no word2vec file"},
                 {"3\n", 2, "no word2vec file"},
                 {"a 3\n", 4, "no word2vec file"},
                 {"3 -3\n", 5, "no word2vec file"},
                 {"0 3\n", 4, "no word2vec file"},
                 {"99999999999 3\n", 14, "no word2vec file"},
                 {"3 99999999999999999999999999999999999\n", 38, "no word2vec file"},
                 {"999999999 4\n", 12, "vectors of 4 numbers where 3 are needed"},
                 {"999999999 3\n", 12, "promises 999999999 words, it has 0"},
                 {"1 3\ngood 01234567890", 20, "promises 1 words, it has 0"},
                 {"1 3\ngood", 8, "promises 1 words, it has 0"},
                 {"1 3\ngood 1 2\n", 13, "word 1 is not followed by 3 numbers on its line"},
                 {"2 3\ngood 1 2 3\nbad 1 2 nan\n", 27, "word 2 is not followed by 3 numbers on its line"},
                 {"1 3\ngood 1 2 1e39\n", 18, "the vector of word 1 is not finite"},
                 {"1 3\ngood 1 -20000 3\n", 20, "the vector of word 1 has a number beyond 10000"},
                 {"1 3\ngood 1 2 3\nx\n", 17, "more follows after the 1 words"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = save("vectors", cases[i].text, cases[i].n);
        assert_int_equal(draco_data_word2vec(path, &d.vocabulary, 3, rows, &found, &error),
                         DRACO_E_MALFORMED);
        if (strstr(error.text, cases[i].words) == NULL)
            fail_msg("'%s' is not '%s'", error.text, cases[i].words);
    }
    const float absurd[3] = {1, 5e16f, 3};
    size_t n = 4 + vector(bytes + 4, "bad", good, 1);
    const size_t second = n;
    n += vector(bytes + n, "good", absurd, 1);
    assert_int_equal(draco_data_word2vec(save("vectors", bytes, n), &d.vocabulary, 3, rows, &found, &error),
                     DRACO_E_MALFORMED);
    assert_non_null(strstr(error.text, "the vector of word 2 has a number beyond 10000"));
    n = second;
    n += vector(bytes + n, "good", nan3, 1);
    assert_int_equal(draco_data_word2vec(save("vectors", bytes, n), &d.vocabulary, 3, rows, &found, &error),
                     DRACO_E_MALFORMED);
    assert_non_null(strstr(error.text, "the vector of word 2 is not finite"));
    memset(bytes + 4, 'w', sizeof bytes - 4);
    assert_int_equal(
        draco_data_word2vec(save("vectors", bytes, sizeof bytes), &d.vocabulary, 3, rows, &found, &error),
        DRACO_E_MALFORMED);
    assert_non_null(strstr(error.text, "word 1 is longer than 1024 bytes"));
    assert_int_equal(draco_data_word2vec(in_folder("none"), &d.vocabulary, 3, rows, &found, &error),
                     DRACO_E_IO);
    assert_int_equal(draco_data_word2vec(folder, &d.vocabulary, 0, rows, &found, &error), DRACO_E_ARGUMENT);
    draco_dataset_free(&d);
}

/* ---- Split, normalisation, draw ---- */

static void a_split_is_a_partition(void **unused) {
    (void)unused;
    enum { N = 100, HELD = 30 };
    uint8_t images[16 + 4 * N] = {0}, labels[8 + N] = {0};
    be32(images, 0x803);
    be32(images + 4, N);
    be32(images + 8, 2);
    be32(images + 12, 2);
    be32(labels, 0x801);
    be32(labels + 4, N);
    for (int i = 0; i < N; i++) {
        images[16 + 4 * i] = (uint8_t)i;
        labels[8 + i] = (uint8_t)(i % 10);
    }
    draco_dataset all, rest, held, again, other;
    const char *a = save("images", images, sizeof images), *b = save("labels", labels, sizeof labels);
    assert_int_equal(draco_data_idx(a, b, 10, &all, NULL), DRACO_OK);
    assert_int_equal(draco_data_split(&all, HELD, 7, &rest, &held, NULL), DRACO_OK);
    assert_int_equal(rest.samples, N - HELD);
    assert_int_equal(held.samples, HELD);
    int seen[N] = {0};
    for (size_t i = 0; i < N; i++) {
        const draco_dataset *d = i < HELD ? &held : &rest;
        const size_t at = i < HELD ? i : i - HELD;
        const int id = d->pixels[4 * at];
        assert_int_equal(d->labels[at], id % 10);
        seen[id]++;
    }
    for (int i = 0; i < N; i++) assert_int_equal(seen[i], 1);
    draco_dataset_free(&rest);
    assert_int_equal(draco_data_split(&all, HELD, 7, &rest, &again, NULL), DRACO_OK);
    assert_memory_equal(held.pixels, again.pixels, 4 * HELD);
    draco_dataset_free(&rest);
    assert_int_equal(draco_data_split(&all, HELD, 8, &rest, &other, NULL), DRACO_OK);
    assert_memory_not_equal(held.pixels, other.pixels, 4 * HELD);
    draco_data_error error;
    draco_dataset untouched;
    memset(&untouched, 0x5a, sizeof untouched);
    refused(draco_data_split(&all, N, 7, &untouched, &untouched, &error), DRACO_E_ARGUMENT, &error,
            "cannot hold out 100 of 100 samples", &untouched);
    refused(draco_data_split(&all, 0, 7, &untouched, &untouched, &error), DRACO_E_ARGUMENT, &error,
            "0 of 100", &untouched);
    draco_dataset_free(&all);
    draco_dataset_free(&rest);
    draco_dataset_free(&held);
    draco_dataset_free(&again);
    draco_dataset_free(&other);
}

static void normalised_sets_have_mean_0_and_deviation_1(void **unused) {
    (void)unused;
    draco_dataset train, test;
    const draco_data_config config = {.name = "pictures", .train = 200, .test = 50, .seed = 4};
    assert_int_equal(draco_data_load(&config, &train, &test, NULL), DRACO_OK);
    assert_int_equal(train.samples, 200);
    assert_int_equal(test.samples, 50);
    assert_memory_equal(train.scale, test.scale, sizeof train.scale);
    assert_memory_equal(train.shift, test.shift, sizeof train.shift);
    for (size_t c = 0; c < 3; c++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < train.samples; i++) {
            float row[3072];
            draco_dataset_row(&train, i, row);
            for (size_t p = c; p < 3072; p += 3) {
                sum += (double)row[p];
                squares += (double)row[p] * (double)row[p];
            }
        }
        const double n = 200.0 * 1024.0;
        assert_true(fabs(sum / n) < 1e-5);
        assert_true(fabs(squares / n - 1.0) < 1e-5);
    }
    draco_dataset_free(&train);
    draco_dataset_free(&test);
}

static void every_holder_of_a_part_draws_the_same(void **unused) {
    (void)unused;
    draco_dataset d;
    memset(&d, 0, sizeof d);
    d.samples = 1000;
    const draco_batch whole = {3, 8, 0, 60, 60, 0, 0};
    int differ = 0;
    for (size_t first = 0; first < 60; first += 20) {
        const draco_batch part = {3, 8, first, 20, 60, (int)first / 20, 0},
                          later = {3, 9, first, 20, 60, 0, 0};
        for (size_t k = 0; k < 20; k++) {
            const size_t s = draco_dataset_draw(&d, &part, k);
            assert_true(s < d.samples);
            assert_int_equal(s, draco_dataset_draw(&d, &whole, first + k));
            differ += s != draco_dataset_draw(&d, &later, k);
        }
    }
    assert_true(differ > 50);
}

/* ---- Built-in sets ---- */

static uint64_t hash(const void *bytes, size_t n, uint64_t h) {
    for (size_t i = 0; i < n; i++) h = (h ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u; /* FNV-1a */
    return h;
}

static uint64_t hash_of(const draco_dataset *d) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < d->samples; i++) {
        uint8_t label = (uint8_t)d->labels[i];
        h = hash(&label, 1, h);
    }
    if (d->pixels != NULL) return hash(d->pixels, d->samples * d->features, h);
    h = hash(d->vocabulary.text, d->vocabulary.starts[d->vocabulary.words], h);
    for (size_t i = 0; i < d->starts[d->samples]; i++) {
        const uint8_t word[2] = {(uint8_t)d->words[i], (uint8_t)(d->words[i] >> 8)};
        h = hash(word, 2, h);
    }
    return h;
}

static void the_generator_has_the_same_bits_everywhere(void **unused) {
    (void)unused;
    const uint64_t golden[] = {0xf178d95d8af505e9u, 0xefa55f1d9404178du, 0x62798baa8205c6d1u};
    for (int kind = 0; kind < 3; kind++) {
        draco_dataset d, part, other;
        assert_int_equal(draco_data_generate((draco_data_kind)kind, 1, 0, 50, &d, NULL), DRACO_OK);
        assert_true(hash_of(&d) == golden[kind]);
        if (d.pixels != NULL) {
            assert_int_equal(draco_data_generate((draco_data_kind)kind, 1, 20, 5, &part, NULL), DRACO_OK);
            assert_memory_equal(part.pixels, d.pixels + 20 * d.features, 5 * d.features);
            draco_dataset_free(&part);
        }
        assert_int_equal(draco_data_generate((draco_data_kind)kind, 2, 0, 50, &other, NULL), DRACO_OK);
        assert_true(hash_of(&other) != hash_of(&d));
        draco_dataset_free(&other);
        draco_dataset_free(&d);
    }
}

static void built_in_sets_have_all_classes(void **unused) {
    (void)unused;
    static const char *const names[] = {"digits", "pictures", "sentences"};
    for (int kind = 0; kind < 3; kind++) {
        draco_dataset train, test;
        const draco_data_config config = {.name = names[kind], .train = 900, .test = 100, .seed = 5};
        assert_int_equal(draco_data_load(&config, &train, &test, NULL), DRACO_OK);
        assert_string_equal(train.name, names[kind]);
        assert_int_equal(train.samples + test.samples, 1000);
        int count[10] = {0};
        for (size_t i = 0; i < train.samples; i++) count[train.labels[i]]++;
        for (int c = 0; c < train.classes; c++) assert_true(count[c] > 400 / train.classes);
        if (train.words != NULL) {
            assert_int_equal(train.vocabulary.size, test.vocabulary.size);
            for (size_t i = 0; i < train.starts[train.samples]; i++)
                assert_in_range(train.words[i], DRACO_DATA_FIRST, train.vocabulary.size - 1);
        }
        draco_dataset_free(&train);
        draco_dataset_free(&test);
    }
    draco_dataset d;
    draco_data_error error;
    memset(&d, 0x5a, sizeof d);
    refused(draco_data_generate(DRACO_DATA_DIGITS, 1, 0, 0, &d, &error), DRACO_E_ARGUMENT, &error,
            "0 samples", &d);
}

/* ---- Finder ---- */

static void touch(const char *name) {
    save(name, "x", 1);
}

static void the_finder_knows_the_usual_names(void **unused) {
    (void)unused;
    char sub[128];
    draco_data_paths paths;
    draco_data_error error;
    snprintf(sub, sizeof sub, "%s/mnist", folder);
    mkdir(sub, 0700);
    touch("mnist/train-images-idx3-ubyte.gz");
    touch("mnist/train-labels-idx1-ubyte");
    touch("mnist/t10k-images-idx3-ubyte");
    assert_int_equal(draco_data_find("mnist", folder, &paths, &error), DRACO_E_IO);
    assert_non_null(
        strstr(error.text, "mnist: no t10k-labels-idx1-ubyte or t10k-labels.idx1-ubyte (also .gz, .GZ) in"));
    touch("mnist/t10k-labels-idx1-ubyte.gz");
    assert_int_equal(draco_data_find("mnist", folder, &paths, &error), DRACO_OK);
    assert_int_equal(paths.train_files, 1);
    assert_non_null(strstr(paths.train[0], "mnist/train-images-idx3-ubyte.gz"));
    assert_non_null(strstr(paths.test_labels, "t10k-labels-idx1-ubyte.gz"));
    assert_int_equal(draco_data_find("mnist", sub, &paths, &error), DRACO_OK);
    assert_int_equal(draco_data_find("cifar10", folder, &paths, &error), DRACO_E_IO);
    touch("data_batch_1.bin");
    touch("data_batch_2.bin.gz");
    touch("data_batch_4.bin");
    touch("test_batch.bin");
    assert_int_equal(draco_data_find("cifar10", folder, &paths, &error), DRACO_OK);
    assert_int_equal(paths.train_files, 2);
    setenv("DRACO_DATA", folder, 1);
    assert_int_equal(draco_data_find("cifar10", NULL, &paths, &error), DRACO_OK);
    assert_int_equal(draco_data_find("mr", NULL, &paths, &error), DRACO_E_IO);
    unsetenv("DRACO_DATA");
    /* Names with a dot, torchvision's folders, endings in capitals. */
    const char *const made[] = {"FashionMNIST", "FashionMNIST/raw", "cifar-10-batches-bin"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(sub, sizeof sub, "%s/%s", folder, made[i]);
        mkdir(sub, 0700);
    }
    touch("FashionMNIST/raw/train-images.idx3-ubyte");
    touch("FashionMNIST/raw/train-labels.idx1-ubyte.gz");
    touch("FashionMNIST/raw/t10k-images-idx3-ubyte.GZ");
    touch("FashionMNIST/raw/t10k-labels.idx1-ubyte.GZ");
    assert_int_equal(draco_data_find("fashion-mnist", folder, &paths, &error), DRACO_OK);
    assert_non_null(strstr(paths.train[0], "FashionMNIST/raw/train-images.idx3-ubyte"));
    assert_non_null(strstr(paths.test_labels, "FashionMNIST/raw/t10k-labels.idx1-ubyte.GZ"));
    unlink(in_folder("test_batch.bin"));
    unlink(in_folder("test_batch.bin.gz"));
    touch("cifar-10-batches-bin/data_batch_1.bin");
    touch("cifar-10-batches-bin/test_batch.bin");
    assert_int_equal(draco_data_find("cifar10", folder, &paths, &error), DRACO_OK);
    assert_non_null(strstr(paths.train[0], "cifar-10-batches-bin/data_batch_1.bin"));
    assert_int_equal(draco_data_find("imagenet", folder, &paths, &error), DRACO_E_ARGUMENT);
    assert_non_null(strstr(error.text, "unknown data set 'imagenet'"));
    assert_int_equal(draco_data_find(NULL, folder, &paths, &error), DRACO_E_ARGUMENT);
}

static void loading_by_name_says_what_is_wrong(void **unused) {
    (void)unused;
    draco_dataset train, test;
    draco_data_error error;
    memset(&train, 0x5a, sizeof train);
    const struct {
        draco_data_config config;
        draco_status status;
        const char *words;
    } cases[] = {
        {{.name = NULL}, DRACO_E_ARGUMENT, "no data set named"},
        {{.name = "moons"}, DRACO_E_ARGUMENT, "unknown data set 'moons'"},
        {{.name = "mnist", .directory = "/none"}, DRACO_E_IO, "in /none, /none/mnist, /none/MNIST/raw"},
        {{.name = "digits", .held_out = 1.0}, DRACO_E_ARGUMENT, "held-out share 1"},
        {{.name = "digits", .held_out = NAN}, DRACO_E_ARGUMENT, "held-out share"},
        {{.name = "digits", .train = 100, .test = 10, .held_out = 1e-9}, DRACO_E_ARGUMENT, "hold out 0"},
        {{.name = "digits", .train = 1}, DRACO_E_ARGUMENT, "1 samples"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refused(draco_data_load(&cases[i].config, &train, &test, &error), cases[i].status, &error,
                cases[i].words, &train);
    const draco_data_config held = {.name = "digits", .train = 100, .test = 10, .held_out = 0.25};
    assert_int_equal(draco_data_load(&held, &train, &test, &error), DRACO_OK);
    assert_int_equal(train.samples, 75);
    assert_int_equal(test.samples, 25);
    draco_dataset_free(&train);
    draco_dataset_free(&test);
}

static int set_up(void **unused) {
    (void)unused;
    snprintf(folder, sizeof folder, "/tmp/draco-data-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **unused) {
    (void)unused;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(idx_is_read_plain_and_gzip),
                                       cmocka_unit_test(hostile_idx_is_named),
                                       cmocka_unit_test(sizes_that_overflow_are_named),
                                       cmocka_unit_test(swapped_and_labels_out_of_range),
                                       cmocka_unit_test(files_that_cannot_be_read),
                                       cmocka_unit_test(damaged_gzip_is_named),
                                       cmocka_unit_test(a_header_sizes_no_memory),
                                       cmocka_unit_test(cifar10_is_read_as_pixels_of_three),
                                       cmocka_unit_test(hostile_cifar10_is_named),
                                       cmocka_unit_test(sentences_become_numbers),
                                       cmocka_unit_test(text_is_read_in_its_encoding),
                                       cmocka_unit_test(hostile_text_is_named),
                                       cmocka_unit_test(word_vectors_are_found),
                                       cmocka_unit_test(words_with_blanks_move_nothing),
                                       cmocka_unit_test(hostile_word_vectors_are_named),
                                       cmocka_unit_test(a_split_is_a_partition),
                                       cmocka_unit_test(normalised_sets_have_mean_0_and_deviation_1),
                                       cmocka_unit_test(every_holder_of_a_part_draws_the_same),
                                       cmocka_unit_test(the_generator_has_the_same_bits_everywhere),
                                       cmocka_unit_test(built_in_sets_have_all_classes),
                                       cmocka_unit_test(the_finder_knows_the_usual_names),
                                       cmocka_unit_test(loading_by_name_says_what_is_wrong)};
    return cmocka_run_group_tests_name("data", tests, set_up, tear_down);
}
