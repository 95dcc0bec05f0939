/* Checkpoints: what is written is read, what is damaged or of another run is named, nothing is half done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#define DRACO_CHECKPOINT_IMPLEMENTATION
#include "models/draco_checkpoint.h"

enum { DIM = 40000, PARAMETERS = 36000, STATES = 2, HEADER = DR_CHECKPOINT_HEADER };
enum { SIZE = HEADER + 4 * (DIM + STATES * PARAMETERS) + 4 };

static char folder[64], path[128];
static draco_checkpoint_store store;
static float params[DIM], state[STATES * PARAMETERS], got_params[DIM], got_state[STATES * PARAMETERS];

static draco_checkpoint filled(void) {
    draco_checkpoint c;
    memset(&c, 0, sizeof c);
    c.step = 1234567890123u;
    c.updates = 1234567890000u;
    c.dim = DIM;
    c.parameters = PARAMETERS;
    c.state_per_parameter = STATES;
    snprintf(c.contract, sizeof c.contract, "model=mlp\nlr=0.1\nlr-decay=0.5\nseed=42\n");
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

/* Written as a program does it, by a store that keeps two. */
static void written(const draco_checkpoint *c) {
    char why[256] = "";
    assert_int_equal(draco_checkpoint_open(&store, path, 2, why, sizeof why), DRACO_OK);
    assert_int_equal(draco_checkpoint_write(&store, c, why, sizeof why), DRACO_OK);
    assert_int_equal(draco_checkpoint_commit(&store, why, sizeof why), DRACO_OK);
    draco_checkpoint_close(&store);
    assert_string_equal(why, "");
}

static int files(void) {
    int count = 0;
    DIR *all = opendir(folder);
    for (struct dirent *one; (one = readdir(all)) != NULL;) count += one->d_name[0] != '.';
    closedir(all);
    return count;
}

static void written_is_read(void **unused) {
    (void)unused;
    draco_checkpoint c = filled(), back = wanted();
    char why[256] = "";
    written(&c);
    assert_int_equal(draco_checkpoint_read(path, &back, why, sizeof why), DRACO_OK);
    assert_string_equal(why, "");
    assert_true(back.step == c.step && back.updates == c.updates);
    assert_memory_equal(params, got_params, sizeof params);
    assert_memory_equal(state, got_state, sizeof state);
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_size, SIZE);
    assert_int_equal(files(), 1);
}

/* The exponents of the prime field go along, for who expects as many. */
static void exponents_are_kept(void **unused) {
    (void)unused;
    uint8_t exponents[3] = {7, 255, 0}, got[3] = {1, 1, 1};
    draco_checkpoint c = filled(), back = wanted();
    c.exponents = exponents, c.exponent_bytes = 3;
    written(&c);
    for (uint32_t bytes = 2; bytes <= 3; bytes++) {
        back = wanted();
        back.exponent_bytes = bytes;
        assert_int_equal(draco_checkpoint_read(path, &back, NULL, 0), DRACO_E_ARGUMENT);
        back.exponents = got;
        assert_int_equal(draco_checkpoint_read(path, &back, NULL, 0), DRACO_OK);
        assert_memory_equal(got, bytes == 3 ? (const char *)exponents : "\1\1\1", 3);
        assert_memory_equal(got_state, state, sizeof state);
    }
}

/* So do the notes. */
static void notes_are_kept(void **unused) {
    (void)unused;
    static uint8_t notes[5000], got[5000];
    draco_checkpoint c = filled(), back = wanted();
    for (size_t i = 0; i < sizeof notes; i++) notes[i] = (uint8_t)(i * 7);
    c.notes = notes, c.note_bytes = sizeof notes;
    written(&c);
    assert_int_equal(draco_checkpoint_read(path, &back, NULL, 0), DRACO_OK);
    assert_int_equal(back.note_bytes, sizeof notes);
    back = wanted();
    back.notes = got, back.note_bytes = sizeof got - 1;
    assert_int_equal(draco_checkpoint_read(path, &back, NULL, 0), DRACO_OK);
    for (size_t i = 0; i < sizeof got; i++) assert_int_equal(got[i], 0);
    back = wanted();
    back.notes = got, back.note_bytes = sizeof got;
    assert_int_equal(draco_checkpoint_read(path, &back, NULL, 0), DRACO_OK);
    assert_memory_equal(got, notes, sizeof notes);
}

static void a_contract_that_is_not_expected_is_filled_in(void **unused) {
    (void)unused;
    draco_checkpoint c = filled(), back = wanted();
    back.contract[0] = '\0';
    written(&c);
    assert_int_equal(draco_checkpoint_read(path, &back, NULL, 0), DRACO_OK);
    assert_string_equal(back.contract, c.contract);
    c.contract[3] = '\x7f';
    assert_int_equal(draco_checkpoint_open(&store, path, 1, NULL, 0), DRACO_OK);
    assert_int_equal(draco_checkpoint_write(&store, &c, NULL, 0), DRACO_E_ARGUMENT);
    memset(c.contract, 'x', sizeof c.contract);
    assert_int_equal(draco_checkpoint_write(&store, &c, NULL, 0), DRACO_E_ARGUMENT);
    draco_checkpoint_close(&store);
}

static void the_format_is_fixed(void **unused) {
    (void)unused;
    draco_checkpoint c = filled();
    uint8_t head[HEADER];
    written(&c);
    FILE *f = fopen(path, "rb");
    assert_int_equal(fread(head, 1, sizeof head, f), sizeof head);
    fclose(f);
    assert_memory_equal(head, "DRACOCKP\3\0\0\0\0\0\0\0\xcb\x04\xfb\x71\x1f\x01\0\0", 24);
    assert_memory_equal(head + 32, "\x40\x9c\0\0\0\0\0\0", 8);
    assert_memory_equal(head + 80, "model=mlp\nlr=0.1\n", 17);
    assert_int_equal(HEADER, 16 + 64 + 4096);
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
    written(&c);
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
    } edits[] = {{8, 1, 4, "version 1"},
                 {12, 1, 4, "promises"},
                 {32, UINT64_MAX, 8, "impossible"},
                 {32, DIM + 1, 8, "promises"},
                 {40, UINT64_MAX / 2, 8, "impossible"},
                 {48, UINT64_MAX, 8, "impossible"},
                 {48, 1, 8, "promises"},
                 {80, 0x07, 1, "not text"},
                 {80, 0xff, 1, "not text"}};
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        memcpy(bytes, good, SIZE);
        put(bytes + edits[i].at, edits[i].value, edits[i].count);
        sign(bytes);
        save(bytes, SIZE);
        refused(&w, DRACO_E_MALFORMED, edits[i].words);
    }
    memcpy(bytes, good, SIZE);
    memset(bytes + 80, 'x', 4096);
    sign(bytes);
    save(bytes, SIZE);
    refused(&w, DRACO_E_MALFORMED, "not text");
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
        bytes[at < HEADER ? 16 : at] ^= 1;
        save(bytes, SIZE);
        refused(&w, DRACO_E_MALFORMED, "checksum");
    }
    free(bytes);
    free(good);
}

static void another_run_is_named(void **unused) {
    (void)unused;
    draco_checkpoint c = filled(), w;
    written(&c);
    w = wanted();
    snprintf(w.contract, sizeof w.contract, "model=mlp\nlr=0.2\nlr-decay=0.5\nclip=1\n");
    refused(&w, DRACO_E_CONFIG,
            ": lr is '0.1', but '0.2' in this run; seed is '42', but '' in this run; clip is '', but '1' in "
            "this run");
    w.overrides = "lr,clip";
    refused(&w, DRACO_E_CONFIG, ": seed is '42', but '' in this run");
    w.overrides = "lr-decay,seed";
    refused(&w, DRACO_E_CONFIG, ": lr is '0.1', but '0.2' in this run; clip");
    w.overrides = "clip,lr,seed";
    assert_int_equal(draco_checkpoint_read(path, &w, NULL, 0), DRACO_OK);
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
    w.servers = 2;
    refused(&w, DRACO_E_CONFIG, "servers");
}

/* A store of this path cannot be opened, in these words. */
static void not_opened(const char *at, const char *words) {
    char why[5000] = "";
    assert_int_equal(draco_checkpoint_open(&store, at, 2, why, sizeof why), DRACO_E_IO);
    if (strstr(why, words) == NULL) fail_msg("'%s' does not say '%s'", why, words);
    assert_non_null(strstr(why, at));
    draco_checkpoint_close(&store);
}

static void unreadable_files_are_named(void **unused) {
    (void)unused;
    draco_checkpoint w = wanted();
    char keep[128];
    memcpy(keep, path, sizeof keep);
    snprintf(path, sizeof path, "%s/none", folder);
    refused(&w, DRACO_E_IO, "cannot open");
    snprintf(path, sizeof path, "%s", folder);
    refused(&w, DRACO_E_IO, "not a regular file");
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(&w, DRACO_E_IO, "not a regular file");
    unlink(path);
    memcpy(path, keep, sizeof keep);
}

static void only_regular_files_are_replaced(void **unused) {
    (void)unused;
    char at[160], target[160], none[160];
    draco_checkpoint c = filled();
    struct stat about;
    snprintf(at, sizeof at, "%s/none/run", folder);
    not_opened(at, "No such file");
    not_opened("/dev/null", "not a regular file");
    not_opened(folder, "not a regular file");
    snprintf(at, sizeof at, "%s/", folder);
    not_opened(at, "not a regular file");
    assert_int_equal(draco_checkpoint_open(&store, path, 0, NULL, 0), DRACO_E_ARGUMENT);
    assert_int_equal(draco_checkpoint_open(&store, path, DRACO_CHECKPOINT_MOST + 1, NULL, 0),
                     DRACO_E_ARGUMENT);
    snprintf(at, sizeof at, "%s/link", folder);
    snprintf(none, sizeof none, "%s/none", folder);
    assert_int_equal(symlink(none, at), 0);
    not_opened(at, "a symbolic link to a file that is not there");
    unlink(at);
    assert_int_equal(symlink("/dev/null", at), 0);
    not_opened(at, "not a regular file");
    unlink(at);
    assert_int_equal(stat("/dev/null", &about), 0);
    assert_true(S_ISCHR(about.st_mode));

    /* A link stays a link, and its file is the checkpoint, with the permissions that it had. */
    written(&c);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(symlink(path, at), 0);
    assert_int_equal(draco_checkpoint_open(&store, at, 1, NULL, 0), DRACO_OK);
    c.step = 77;
    assert_int_equal(draco_checkpoint_write(&store, &c, NULL, 0), DRACO_OK);
    assert_int_equal(draco_checkpoint_commit(&store, NULL, 0), DRACO_OK);
    draco_checkpoint_close(&store);
    assert_true(readlink(at, target, sizeof target) > 0);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0640);
    draco_checkpoint back = wanted();
    assert_int_equal(draco_checkpoint_read(path, &back, NULL, 0), DRACO_OK);
    assert_true(back.step == 77);
    unlink(at);
}

/* Names that somebody could guess and plant are neither followed nor overwritten. */
static void planted_links_lead_nowhere(void **unused) {
    (void)unused;
    char victim[160], at[160], why[512] = "";
    draco_checkpoint c = filled();
    struct stat about;
    snprintf(victim, sizeof victim, "%s/victim", folder);
    FILE *f = fopen(victim, "wb");
    assert_int_equal(fwrite("precious", 1, 8, f), 8);
    fclose(f);
    snprintf(at, sizeof at, "%s.part", path);
    assert_int_equal(symlink(victim, at), 0);
    written(&c);
    unlink(at);
    snprintf(at, sizeof at, "%s.older-1", path);
    unlink(at);
    assert_int_equal(symlink(victim, at), 0);
    written(&c);
    unlink(at);
    snprintf(at, sizeof at, "%s.lock", path);
    assert_int_equal(symlink(victim, at), 0);
    assert_int_equal(draco_checkpoint_open(&store, path, 2, why, sizeof why), DRACO_E_IO);
    assert_non_null(strstr(why, ".lock"));
    unlink(at);
    assert_int_equal(stat(victim, &about), 0);
    assert_int_equal(about.st_size, 8);
    unlink(victim);
}

static void the_last_ones_are_kept(void **unused) {
    (void)unused;
    char name[DRACO_CHECKPOINT_PATH];
    draco_checkpoint c = filled();
    assert_int_equal(draco_checkpoint_open(&store, path, 3, NULL, 0), DRACO_OK);
    for (c.step = 1; c.step <= 5; c.step++) {
        assert_int_equal(draco_checkpoint_write(&store, &c, NULL, 0), DRACO_OK);
        assert_int_equal(draco_checkpoint_commit(&store, NULL, 0), DRACO_OK);
    }
    assert_int_equal(draco_checkpoint_commit(&store, NULL, 0), DRACO_E_ARGUMENT); /* nothing was written */
    assert_int_equal(draco_checkpoint_write(&store, &c, NULL, 0), DRACO_OK);
    draco_checkpoint_abandon(&store);
    assert_int_equal(files(), 4); /* with the lock */
    for (int age = 0; age < 3; age++) {
        draco_checkpoint back = wanted();
        draco_checkpoint_name(&store, age, name);
        assert_int_equal(draco_checkpoint_read(name, &back, NULL, 0), DRACO_OK);
        assert_int_equal(back.step, 5 - age);
        if (age > 0) unlink(name);
    }
    draco_checkpoint_close(&store);
}

/* A process that holds the lock keeps others out, and its death lets them in; what it was writing is removed. */
static void two_runs_have_one_lock(void **unused) {
    (void)unused;
    draco_checkpoint c = filled();
    int ready[2];
    char byte, why[256] = "";
    unlink(path);
    assert_int_equal(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        if (draco_checkpoint_open(&store, path, 2, NULL, 0) < 0 ||
            draco_checkpoint_write(&store, &c, NULL, 0) < 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;) pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(draco_checkpoint_open(&store, path, 2, why, sizeof why), DRACO_E_IO);
    snprintf(why + 200, 50, "another run, process %ld, is using it", (long)child);
    assert_non_null(strstr(why, why + 200));
    assert_int_equal(files(), 2); /* the lock, and half a checkpoint */
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(draco_checkpoint_open(&store, path, 2, why, sizeof why), DRACO_OK);
    assert_int_equal(files(), 1);
    draco_checkpoint_close(&store);
    assert_int_equal(files(), 0);
    close(ready[0]);
    close(ready[1]);
}

/* A write that fails leaves the checkpoint that was there, and nothing beside it. */
static void the_old_checkpoint_survives(void **unused) {
    (void)unused;
    draco_checkpoint c = filled(), back = wanted();
    char why[512];
    struct rlimit limit, small;
    written(&c);
    assert_int_equal(draco_checkpoint_open(&store, path, 2, why, sizeof why), DRACO_OK);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = SIZE / 2;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    c.step = 99;
    const draco_status status = draco_checkpoint_write(&store, &c, why, sizeof why);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(status, DRACO_E_IO);
    assert_non_null(strstr(why, "cannot write: File too large"));
    assert_int_equal(draco_checkpoint_commit(&store, why, sizeof why), DRACO_E_ARGUMENT);
    draco_checkpoint_close(&store);
    assert_int_equal(draco_checkpoint_open(&store, path, 2, why, sizeof why), DRACO_OK);
    params[17] = INFINITY;
    assert_int_equal(draco_checkpoint_write(&store, &c, why, sizeof why), DRACO_E_RANGE);
    assert_non_null(strstr(why, "not written: parameter 17 is not finite"));
    draco_checkpoint_close(&store);
    assert_int_equal(files(), 1);
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
    strcat(path, ".older-1");
    unlink(path);
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(written_is_read),
                                       cmocka_unit_test(exponents_are_kept),
                                       cmocka_unit_test(notes_are_kept),
                                       cmocka_unit_test(a_contract_that_is_not_expected_is_filled_in),
                                       cmocka_unit_test(the_format_is_fixed),
                                       cmocka_unit_test(damaged_files_are_named),
                                       cmocka_unit_test(another_run_is_named),
                                       cmocka_unit_test(unreadable_files_are_named),
                                       cmocka_unit_test(only_regular_files_are_replaced),
                                       cmocka_unit_test(planted_links_lead_nowhere),
                                       cmocka_unit_test(the_last_ones_are_kept),
                                       cmocka_unit_test(two_runs_have_one_lock),
                                       cmocka_unit_test(the_old_checkpoint_survives)};
    return cmocka_run_group_tests_name("checkpoint", tests, set_up, tear_down);
}
