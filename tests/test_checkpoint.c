/* Checkpoints: what is written is read, what is damaged or of another run is named, nothing is half done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define DRACO_CHECKPOINT_IMPLEMENTATION
#include "models/draco_checkpoint.h"

enum { DIM = 40000, PARAMETERS = 36000, STATES = 2, HEADER = DR_CHECKPOINT_HEADER };
enum { SIZE = HEADER + 4 * (DIM + STATES * PARAMETERS) + 4 };

static char folder[64], path[128];
static float params[DIM], state[STATES * PARAMETERS], got_params[DIM], got_state[STATES * PARAMETERS];

static draco_checkpoint filled(void) {
    draco_checkpoint c;
    memset(&c, 0, sizeof c);
    c.step = 1234567890123u;
    c.updates = 1234567890000u;
    c.seed = 42;
    c.code_id = 0xfedcba9876543210u;
    c.dim = DIM;
    c.parameters = PARAMETERS;
    c.state_per_parameter = STATES;
    snprintf(c.model, sizeof c.model, "mlp");
    snprintf(c.optimizer, sizeof c.optimizer, "adam");
    snprintf(c.data, sizeof c.data, "fashion-mnist");
    for (int i = 0; i < DIM; i++) params[i] = (float)(i - 20000) / 7.0f;
    for (int i = 0; i < STATES * PARAMETERS; i++) state[i] = (float)i * 1e-3f;
    params[1] = -0.0f;
    params[2] = 1e-42f;
    c.params = params;
    c.state = state;
    return c;
}

/* What a run expects, with memory of its own. */
static draco_checkpoint wanted(void) {
    draco_checkpoint c = filled();
    c.step = c.updates = 0;
    memset(got_params, 0x5a, sizeof got_params);
    memset(got_state, 0x5a, sizeof got_state);
    c.params = got_params;
    c.state = got_state;
    return c;
}

static void written_is_read(void **unused) {
    (void)unused;
    draco_checkpoint c = filled(), back = wanted();
    char why[256] = "";
    assert_int_equal(draco_checkpoint_write(path, &c, why, sizeof why), DRACO_OK);
    assert_int_equal(draco_checkpoint_read(path, &back, why, sizeof why), DRACO_OK);
    assert_string_equal(why, "");
    assert_true(back.step == c.step && back.updates == c.updates);
    assert_memory_equal(params, got_params, sizeof params);
    assert_memory_equal(state, got_state, sizeof state);
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_size, SIZE);
    char part[160];
    snprintf(part, sizeof part, "%s.part", path);
    assert_int_not_equal(access(part, F_OK), 0);
}

static void what_is_not_expected_is_filled_in(void **unused) {
    (void)unused;
    draco_checkpoint c = filled(), back = wanted(), seen;
    memset(&seen, 0, sizeof seen);
    back.seed = back.code_id = 0;
    back.model[0] = back.optimizer[0] = back.data[0] = '\0';
    assert_int_equal(draco_checkpoint_write(path, &c, NULL, 0), DRACO_OK);
    assert_int_equal(draco_checkpoint_peek(path, &seen, NULL, 0), DRACO_OK);
    assert_true(seen.dim == DIM && seen.parameters == PARAMETERS && seen.seed == 42);
    assert_string_equal(seen.optimizer, "adam");
    assert_int_equal(draco_checkpoint_read(path, &back, NULL, 0), DRACO_OK);
    assert_true(back.seed == 42 && back.code_id == c.code_id);
    assert_string_equal(back.data, "fashion-mnist");
}

static void the_format_is_fixed(void **unused) {
    (void)unused;
    draco_checkpoint c = filled();
    uint8_t head[HEADER];
    assert_int_equal(draco_checkpoint_write(path, &c, NULL, 0), DRACO_OK);
    FILE *f = fopen(path, "rb");
    assert_int_equal(fread(head, 1, sizeof head, f), sizeof head);
    fclose(f);
    assert_memory_equal(head, "DRACOCKP\1\0\0\0\0\0\0\0\xcb\x04\xfb\x71\x1f\x01\0\0", 24);
    assert_memory_equal(head + 40, "\x10\x32\x54\x76\x98\xba\xdc\xfe", 8);
    assert_memory_equal(head + 88, "mlp\0\0\0\0", 8);
    assert_int_equal(HEADER, 184);
}

static uint8_t *load(void) {
    uint8_t *bytes = malloc(SIZE + 16);
    FILE *f = fopen(path, "rb");
    assert_int_equal(fread(bytes, 1, SIZE + 16, f), SIZE);
    fclose(f);
    return bytes;
}

static void save(const uint8_t *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void put(uint8_t *at, uint64_t value, int count) {
    for (int i = 0; i < count; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static void sign(uint8_t *bytes) {
    put(bytes + SIZE - 4, crc32(0, bytes, SIZE - 4), 4);
}

/* Reading fails in this way, with these words, and touches nothing. */
static void refused(draco_checkpoint *c, draco_status status, const char *words) {
    char why[256] = "";
    draco_checkpoint before = *c;
    assert_int_equal(draco_checkpoint_read(path, c, why, sizeof why), status);
    if (strstr(why, words) == NULL) fail_msg("'%s' does not say '%s'", why, words);
    assert_non_null(strstr(why, path));
    assert_null(strchr(why, '\n'));
    assert_memory_equal(c, &before, sizeof before);
    for (int i = 0; i < DIM; i++) assert_memory_equal(&got_params[i], "\x5a\x5a\x5a\x5a", 4);
    for (int i = 0; i < STATES * PARAMETERS; i++) assert_memory_equal(&got_state[i], "\x5a\x5a\x5a\x5a", 4);
}

static void damaged_files_are_named(void **unused) {
    (void)unused;
    draco_checkpoint c = filled(), w = wanted();
    assert_int_equal(draco_checkpoint_write(path, &c, NULL, 0), DRACO_OK);
    uint8_t *good = load(), *bytes = malloc(SIZE + 16);
    const size_t sizes[] = {0, 1, HEADER - 1, HEADER, HEADER + 3};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        save(good, sizes[i]);
        refused(&w, DRACO_E_MALFORMED, "too few");
    }
    save(good, SIZE - 1);
    refused(&w, DRACO_E_MALFORMED, "promises");
    memcpy(bytes, good, SIZE);
    bytes[SIZE] = 0;
    save(bytes, SIZE + 1);
    refused(&w, DRACO_E_MALFORMED, "promises");

    bytes[0] = 'd';
    save(bytes, SIZE);
    refused(&w, DRACO_E_MALFORMED, "not a checkpoint");

    const struct {
        size_t at;
        uint64_t value;
        int count;
        const char *words;
    } edits[] = {{8, 2, 4, "version 2"},
                 {12, 1, 4, "version"},
                 {48, UINT64_MAX, 8, "impossible"},
                 {48, DIM + 1, 8, "promises"},
                 {56, UINT64_MAX / 2, 8, "impossible"},
                 {64, UINT64_MAX, 8, "impossible"},
                 {64, 1, 8, "promises"},
                 {88, 0x0a, 1, "not text"},
                 {88, 0xff, 1, "not text"},
                 {119, 'x', 1, "not text"}};
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        memcpy(bytes, good, SIZE);
        put(bytes + edits[i].at, edits[i].value, edits[i].count);
        sign(bytes);
        save(bytes, SIZE);
        refused(&w, DRACO_E_MALFORMED, edits[i].words);
    }
    memcpy(bytes, good, SIZE);
    put(bytes + HEADER + 4 * 17, 0x7fc00000u, 4);
    sign(bytes);
    save(bytes, SIZE);
    refused(&w, DRACO_E_MALFORMED, "parameter 17 is not finite");
    memcpy(bytes, good, SIZE);
    put(bytes + HEADER + 4 * (DIM + 5), 0xff800000u, 4);
    sign(bytes);
    save(bytes, SIZE);
    refused(&w, DRACO_E_MALFORMED, "optimizer state 5 is not finite");
    for (size_t at = 16; at < SIZE; at += 30011) {
        memcpy(bytes, good, SIZE);
        bytes[at < 88 ? 16 : at] ^= 1;
        save(bytes, SIZE);
        refused(&w, DRACO_E_MALFORMED, "checksum");
    }
    free(bytes);
    free(good);
}

static void another_run_is_named(void **unused) {
    (void)unused;
    draco_checkpoint c = filled(), w;
    assert_int_equal(draco_checkpoint_write(path, &c, NULL, 0), DRACO_OK);
    w = wanted();
    snprintf(w.model, sizeof w.model, "lenet");
    refused(&w, DRACO_E_CONFIG, "model 'mlp', but this run has 'lenet'");
    w = wanted();
    snprintf(w.optimizer, sizeof w.optimizer, "sgd");
    refused(&w, DRACO_E_CONFIG, "optimizer 'adam'");
    w = wanted();
    snprintf(w.data, sizeof w.data, "mnist");
    refused(&w, DRACO_E_CONFIG, "data set");
    w = wanted();
    w.dim--;
    refused(&w, DRACO_E_CONFIG, "vector of 40000, but this run has 39999");
    w = wanted();
    w.parameters--;
    refused(&w, DRACO_E_CONFIG, "parameters");
    w = wanted();
    w.state_per_parameter = 1;
    refused(&w, DRACO_E_CONFIG, "state per parameter");
    w = wanted();
    w.seed = 43;
    refused(&w, DRACO_E_CONFIG, "seed 42");
    w = wanted();
    w.code_id = 1;
    refused(&w, DRACO_E_CONFIG, "code");
    w = wanted();
    w.servers = 2;
    refused(&w, DRACO_E_CONFIG, "servers");
}

static void unreadable_and_unwritable(void **unused) {
    (void)unused;
    draco_checkpoint c = filled(), w = wanted();
    char why[256], keep[128];
    memcpy(keep, path, sizeof keep);
    snprintf(path, sizeof path, "%s/none", folder);
    refused(&w, DRACO_E_IO, "cannot open");
    snprintf(path, sizeof path, "%s", folder);
    refused(&w, DRACO_E_IO, "not a regular file");
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(&w, DRACO_E_IO, "not a regular file");
    unlink(path);
    snprintf(path, sizeof path, "%s/none/run", folder);
    assert_int_equal(draco_checkpoint_write(path, &c, why, sizeof why), DRACO_E_IO);
    assert_non_null(strstr(why, "cannot create"));
    assert_int_equal(draco_checkpoint_write("/dev/full/x", &c, why, sizeof why), DRACO_E_IO);
    assert_int_equal(draco_checkpoint_write(NULL, &c, why, sizeof why), DRACO_E_ARGUMENT);
    memcpy(path, keep, sizeof keep);
}

/* A write that fails leaves the checkpoint that was there. */
static void the_old_checkpoint_survives(void **unused) {
    (void)unused;
    draco_checkpoint c = filled(), back = wanted();
    char why[256], part[160];
    assert_int_equal(draco_checkpoint_write(path, &c, why, sizeof why), DRACO_OK);
    snprintf(part, sizeof part, "%s.part", path);
    assert_int_equal(symlink("/dev/full", part), 0);
    c.step = 99;
    assert_int_equal(draco_checkpoint_write(path, &c, why, sizeof why), DRACO_E_IO);
    assert_non_null(strstr(why, "cannot write"));
    assert_int_equal(draco_checkpoint_read(path, &back, why, sizeof why), DRACO_OK);
    assert_true(back.step == 1234567890123u);
}

static int set_up(void **unused) {
    (void)unused;
    snprintf(folder, sizeof folder, "/tmp/draco-checkpoint-XXXXXX");
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(path, sizeof path, "%s/run", folder);
    return 0;
}

static int tear_down(void **unused) {
    (void)unused;
    unlink(path);
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(written_is_read),
                                       cmocka_unit_test(what_is_not_expected_is_filled_in),
                                       cmocka_unit_test(the_format_is_fixed),
                                       cmocka_unit_test(damaged_files_are_named),
                                       cmocka_unit_test(another_run_is_named),
                                       cmocka_unit_test(unreadable_and_unwritable),
                                       cmocka_unit_test(the_old_checkpoint_survives)};
    return cmocka_run_group_tests_name("checkpoint", tests, set_up, tear_down);
}
