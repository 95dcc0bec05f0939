/* draco_checkpoint.h - version 0.1.0 - the state of a training run in one file

   #define DRACO_CHECKPOINT_IMPLEMENTATION in one .c file before including it; DRACO_CHECKPOINT_STATIC,
   defined as well, makes a private copy. The switches bring draco.h along. The implementation is C11 with
   GNU extensions and POSIX; link -lz -lm.

       draco_checkpoint c = {0};
       draco_checkpoint_store store;
       char why[256];
       if (draco_checkpoint_open(&store, "run.ckpt", 2, why, sizeof why) < 0) fprintf(stderr, "%s\n", why);
       c.dim = model.dim; c.parameters = model.parameters;
       c.state_per_parameter = optimizer.state_per_parameter;
       c.params = params; c.state = state;
       snprintf(c.contract, sizeof c.contract, "model=%s\nseed=%d\n", model.name, seed);
       if (draco_checkpoint_read(store.path, &c, why, sizeof why) < 0) fprintf(stderr, "%s\n", why);
       ...
       c.step = step; c.updates = updates;
       if (draco_checkpoint_write(&store, &c, why, sizeof why) < 0 ||
           draco_checkpoint_commit(&store, why, sizeof why) < 0) fprintf(stderr, "%s\n", why);
       ...
       draco_checkpoint_close(&store);

   open follows symbolic links to the file and refuses whatever is no regular file. It tries that files can be
   made beside it, removes what a process that died left half written, and takes a lock, PATH.lock, which two
   processes cannot have; the system takes it back when a process dies. close gives it up.

   write puts the bytes into a new file of a random name in the same directory and flushes them to the disk;
   commit names it PATH, after the checkpoint that was there has become PATH.older-1, that one PATH.older-2, and
   so on: `keep` are kept in all. At any moment PATH is the old checkpoint or the new one, whole. The two steps
   let several servers commit only what all of them have written; draco_checkpoint_abandon drops it instead.

   contract is text of lines "key=value" that says what else decides a run: model, data, optimizer, seed ...
   Printable ASCII and newlines.

   read takes in c what the run expects: dim, parameters, state_per_parameter, server, servers, the contract,
   and the memory params[dim] and state[state_per_parameter x parameters]. A contract that is empty expects
   nothing and is filled in; keys in `overrides` ("lr,batch") may differ. `exponents` is what a
   server has learnt (draco_server_memory in draco.h), read when it is as long as exponent_bytes, and so are the
   notes, bytes of the caller's that decide nothing, when they are note_bytes. On success step and updates are filled
   in too, and a run that goes on from there has the same bits as one that was never stopped. Nothing is
   allocated, and the memory is written only after the whole file has been checked.

   Format, little-endian: 8 bytes "DRACOCKP"; u32 version 3; u32 exponent_bytes; u64 step, updates, dim, parameters,
   state_per_parameter, server, servers, note_bytes; the contract: 4096 bytes, zero-filled; dim floats;
   state_per_parameter x parameters floats; exponent_bytes bytes; note_bytes bytes; u32 CRC-32 of all bytes before it.

   Errors, each one line in `why`, naming the file. DRACO_E_IO: cannot open, lock, read, write or rename.
   DRACO_E_MALFORMED: not a checkpoint, another version, wrong size, wrong checksum, a number that is not
   finite; DRACO_E_RANGE: such a number was to be written. DRACO_E_CONFIG: a checkpoint of another run; every
   difference is named.

   Copyright (c) 2026 The Draco authors
   SPDX-License-Identifier: MIT */
#if defined(DRACO_CHECKPOINT_IMPLEMENTATION) && !defined(DRACO_IMPLEMENTATION)
#define DRACO_IMPLEMENTATION
#endif
#if defined(DRACO_CHECKPOINT_STATIC) && !defined(DRACO_STATIC)
#define DRACO_STATIC
#endif
#include "../draco.h"

#ifndef DRACO_CHECKPOINT_H
#define DRACO_CHECKPOINT_H

#define DRACO_CHECKPOINT_VERSION 0x000100 /* 0.1.0 */
#define DRACO_CHECKPOINT_CONTRACT 4096    /* bytes of a contract with its final zero */
#define DRACO_CHECKPOINT_PATH 4096
#define DRACO_CHECKPOINT_MOST 16 /* checkpoints that a store keeps */

#if defined(__GNUC__)
#define DRACO_CHECKPOINT_PRIVATE static __attribute__((unused))
#else
#define DRACO_CHECKPOINT_PRIVATE static
#endif
#ifndef DRACO_CHECKPOINT_API
#ifdef DRACO_CHECKPOINT_STATIC
#define DRACO_CHECKPOINT_API DRACO_CHECKPOINT_PRIVATE
#else
#define DRACO_CHECKPOINT_API extern
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct draco_checkpoint {
    uint64_t step;    /* the next step: names its samples */
    uint64_t updates; /* steps that moved the model: the optimizer's count */
    uint64_t dim, parameters, state_per_parameter;
    uint64_t server, servers; /* of several servers, each keeps its shard in a file of its own */
    float *params;            /* dim */
    float *state;             /* state_per_parameter x parameters; NULL when that is 0 */
    uint8_t *exponents;       /* of the prime field, or what else a server has learnt; NULL: nothing */
    uint32_t exponent_bytes;
    uint8_t *notes; /* note_bytes; NULL when that is 0 */
    uint64_t note_bytes;
    char contract[DRACO_CHECKPOINT_CONTRACT];
    const char *overrides; /* read: keys of the contract that may differ, with commas; may be NULL */
} draco_checkpoint;

typedef struct draco_checkpoint_store {
    char path[DRACO_CHECKPOINT_PATH]; /* of the newest checkpoint, without symbolic links */
    char part[DRACO_CHECKPOINT_PATH]; /* written but not committed; empty: none */
    int keep, lock;
    unsigned mode; /* permissions of new files */
} draco_checkpoint_store;

/* keep: 1 to DRACO_CHECKPOINT_MOST. why: one line on error, of at most `capacity` bytes; NULL and 0 when it is
   not wanted. */
DRACO_CHECKPOINT_API draco_status draco_checkpoint_open(draco_checkpoint_store *store, const char *path,
                                                        int keep, char *why, size_t capacity);
DRACO_CHECKPOINT_API draco_status draco_checkpoint_write(draco_checkpoint_store *store,
                                                         const draco_checkpoint *checkpoint, char *why,
                                                         size_t capacity);
DRACO_CHECKPOINT_API draco_status draco_checkpoint_commit(draco_checkpoint_store *store, char *why,
                                                          size_t capacity);
DRACO_CHECKPOINT_API void draco_checkpoint_abandon(draco_checkpoint_store *store);
DRACO_CHECKPOINT_API void draco_checkpoint_close(draco_checkpoint_store *store);
/* The name of the checkpoint that is `age` older than the newest. */
DRACO_CHECKPOINT_API void draco_checkpoint_name(const draco_checkpoint_store *store, int age,
                                                char name[DRACO_CHECKPOINT_PATH]);
DRACO_CHECKPOINT_API draco_status draco_checkpoint_read(const char *path, draco_checkpoint *checkpoint,
                                                        char *why, size_t capacity);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_CHECKPOINT_H */

#if defined(DRACO_CHECKPOINT_IMPLEMENTATION) && !defined(DRACO_CHECKPOINT_IMPLEMENTED)
#define DRACO_CHECKPOINT_IMPLEMENTED

#include <fcntl.h>
#if defined(__cplusplus) || !defined(__GNUC__) || !defined(O_CLOEXEC)
#error "draco_checkpoint.h: the implementation needs POSIX and C with GNU extensions: a .c file, -std=gnu11"
#endif

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define DR_CHECKPOINT_WORDS 8 /* numbers of 64 bits in the header */
#define DR_CHECKPOINT_HEADER (16 + 8 * DR_CHECKPOINT_WORDS + DRACO_CHECKPOINT_CONTRACT)
#define DR_CHECKPOINT_PIECE 16384 /* floats that are turned into bytes at a time */
#define DR_CHECKPOINT_FLOATS ((uint64_t)1 << 40)
#define DR_CHECKPOINT_NOTES ((uint64_t)1 << 30)

#define DR_CHECKPOINT_PART ".part-"

static const char dr_checkpoint_magic[9] = "DRACOCKP";

typedef struct dr_checkpoint_file {
    FILE *stream;
    const char *path;
    char *why;
    size_t capacity;
    uLong sum;
} dr_checkpoint_file;

__attribute__((format(printf, 3, 4))) DRACO_CHECKPOINT_PRIVATE draco_status
dr_checkpoint_fail(const dr_checkpoint_file *file, draco_status status, const char *format, ...) {
    va_list arguments;
    if (file->why == NULL || file->capacity == 0) return status;
    const int length = snprintf(file->why, file->capacity, "%s: ", file->path);
    if (length < 0 || (size_t)length >= file->capacity) return status;
    va_start(arguments, format);
    vsnprintf(file->why + length, file->capacity - (size_t)length, format, arguments);
    va_end(arguments);
    return status;
}

/* ---- Bytes ---- */

DRACO_CHECKPOINT_PRIVATE void dr_checkpoint_put(uint8_t *bytes, uint64_t value, int count) {
    for (int i = 0; i < count; i++) bytes[i] = (uint8_t)(value >> (8 * i));
}

DRACO_CHECKPOINT_PRIVATE uint64_t dr_checkpoint_get(const uint8_t *bytes, int count) {
    uint64_t value = 0;
    for (int i = 0; i < count; i++) value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

/* The numbers of the header, in their order in the file. */
DRACO_CHECKPOINT_PRIVATE void dr_checkpoint_fields(draco_checkpoint *c,
                                                   uint64_t *fields[DR_CHECKPOINT_WORDS]) {
    uint64_t *all[DR_CHECKPOINT_WORDS] = {
        &c->step,   &c->updates, &c->dim,       &c->parameters, &c->state_per_parameter,
        &c->server, &c->servers, &c->note_bytes};
    memcpy(fields, all, sizeof all);
}

DRACO_CHECKPOINT_PRIVATE void dr_checkpoint_pack(const draco_checkpoint *c,
                                                 uint8_t header[DR_CHECKPOINT_HEADER]) {
    draco_checkpoint copy = *c;
    uint64_t *fields[DR_CHECKPOINT_WORDS];
    uint8_t *at = header + 16;
    memset(header, 0, DR_CHECKPOINT_HEADER);
    memcpy(header, dr_checkpoint_magic, 8);
    dr_checkpoint_put(header + 8, 3, 4);
    dr_checkpoint_put(header + 12, c->exponent_bytes, 4);
    dr_checkpoint_fields(&copy, fields);
    for (int i = 0; i < DR_CHECKPOINT_WORDS; i++, at += 8) dr_checkpoint_put(at, *fields[i], 8);
    memcpy(at, c->contract, strlen(c->contract));
}

/* ---- Writing ---- */

DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_put_bytes(dr_checkpoint_file *file, const uint8_t *bytes,
                                                              size_t n) {
    file->sum = crc32(file->sum, bytes, (uInt)n);
    if (fwrite(bytes, 1, n, file->stream) == n) return DRACO_OK;
    return dr_checkpoint_fail(file, DRACO_E_IO, "cannot write: %s", strerror(errno));
}

DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_put_floats(dr_checkpoint_file *file, const float *values,
                                                               size_t count, const char *what) {
    uint8_t bytes[4 * DR_CHECKPOINT_PIECE];
    for (size_t first = 0; first < count; first += DR_CHECKPOINT_PIECE) {
        const size_t left = count - first;
        const size_t n = left < DR_CHECKPOINT_PIECE ? left : DR_CHECKPOINT_PIECE;
        for (size_t i = 0; i < n; i++) {
            uint32_t bits;
            memcpy(&bits, &values[first + i], sizeof bits);
            if ((bits & 0x7F800000u) == 0x7F800000u)
                return dr_checkpoint_fail(file, DRACO_E_RANGE, "not written: %s %llu is not finite", what,
                                          (unsigned long long)(first + i));
            dr_checkpoint_put(bytes + 4 * i, bits, 4);
        }
        draco_status status = dr_checkpoint_put_bytes(file, bytes, 4 * n);
        if (status != DRACO_OK) return status;
    }
    return DRACO_OK;
}

DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_put_all(dr_checkpoint_file *file,
                                                            const draco_checkpoint *c) {
    uint8_t header[DR_CHECKPOINT_HEADER], sum[4];
    dr_checkpoint_pack(c, header);
    draco_status status = dr_checkpoint_put_bytes(file, header, sizeof header);
    if (status == DRACO_OK) status = dr_checkpoint_put_floats(file, c->params, (size_t)c->dim, "parameter");
    if (status == DRACO_OK)
        status = dr_checkpoint_put_floats(file, c->state, (size_t)(c->state_per_parameter * c->parameters),
                                          "optimizer state");
    if (status == DRACO_OK && c->exponent_bytes > 0)
        status = dr_checkpoint_put_bytes(file, c->exponents, c->exponent_bytes);
    if (status == DRACO_OK && c->note_bytes > 0)
        status = dr_checkpoint_put_bytes(file, c->notes, (size_t)c->note_bytes);
    dr_checkpoint_put(sum, file->sum, 4);
    if (status == DRACO_OK) status = dr_checkpoint_put_bytes(file, sum, sizeof sum);
    if (status == DRACO_OK && (fflush(file->stream) != 0 || fsync(fileno(file->stream)) != 0))
        status = dr_checkpoint_fail(file, DRACO_E_IO, "cannot write: %s", strerror(errno));
    return status;
}

/* The new name lasts through a power cut once the directory is on the disk; a file system that cannot say so
   is not an error. */
DRACO_CHECKPOINT_PRIVATE void dr_checkpoint_sync_directory(const char *path) {
    const char *slash = strrchr(path, '/');
    const size_t length = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    char directory[4096] = ".";
    if (length >= sizeof directory) return;
    if (length > 0) {
        memcpy(directory, path, length);
        directory[length] = '\0';
    }
    const int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    (void)!fsync(descriptor);
    close(descriptor);
}

/* Is it text that may be printed, with a final zero? */
DRACO_CHECKPOINT_PRIVATE int dr_checkpoint_text(const char text[DRACO_CHECKPOINT_CONTRACT]) {
    size_t length = 0;
    while (length < DRACO_CHECKPOINT_CONTRACT &&
           (text[length] == '\n' || (text[length] >= 0x20 && text[length] < 0x7F)))
        length++;
    return length < DRACO_CHECKPOINT_CONTRACT && text[length] == '\0';
}

DRACO_CHECKPOINT_API draco_status draco_checkpoint_write(draco_checkpoint_store *store,
                                                         const draco_checkpoint *checkpoint, char *why,
                                                         size_t capacity) {
    if (store == NULL || checkpoint == NULL || checkpoint->params == NULL ||
        (checkpoint->state == NULL && checkpoint->state_per_parameter > 0) ||
        (checkpoint->exponents == NULL && checkpoint->exponent_bytes > 0) ||
        (checkpoint->notes == NULL && checkpoint->note_bytes > 0) ||
        checkpoint->note_bytes > DR_CHECKPOINT_NOTES || !dr_checkpoint_text(checkpoint->contract))
        return DRACO_E_ARGUMENT;
    dr_checkpoint_file file = {NULL, store->path, why, capacity, 0};
    draco_checkpoint_abandon(store);
    snprintf(store->part, sizeof store->part, "%.4000s" DR_CHECKPOINT_PART "XXXXXX", store->path);
    const int descriptor = mkstemp(store->part);
    if (descriptor < 0) {
        store->part[0] = '\0';
        return dr_checkpoint_fail(&file, DRACO_E_IO, "cannot create a file beside it: %s", strerror(errno));
    }
    (void)!fchmod(descriptor, store->mode);
    file.stream = fdopen(descriptor, "wb");
    draco_status status = file.stream != NULL ? dr_checkpoint_put_all(&file, checkpoint)
                                              : dr_checkpoint_fail(&file, DRACO_E_MEMORY, "out of memory");
    if ((file.stream != NULL ? fclose(file.stream) : close(descriptor)) != 0 && status == DRACO_OK)
        status = dr_checkpoint_fail(&file, DRACO_E_IO, "cannot write: %s", strerror(errno));
    if (status != DRACO_OK) draco_checkpoint_abandon(store);
    return status;
}

DRACO_CHECKPOINT_API void draco_checkpoint_name(const draco_checkpoint_store *store, int age,
                                                char name[DRACO_CHECKPOINT_PATH]) {
    snprintf(name, DRACO_CHECKPOINT_PATH, age > 0 ? "%.4000s.older-%d" : "%.4000s", store->path, age);
}

DRACO_CHECKPOINT_API draco_status draco_checkpoint_commit(draco_checkpoint_store *store, char *why,
                                                          size_t capacity) {
    char from[DRACO_CHECKPOINT_PATH], to[DRACO_CHECKPOINT_PATH];
    if (store == NULL || store->part[0] == '\0') return DRACO_E_ARGUMENT;
    const dr_checkpoint_file file = {NULL, store->path, why, capacity, 0};
    for (int age = store->keep - 1; age > 0; age--) {
        draco_checkpoint_name(store, age - 1, from);
        draco_checkpoint_name(store, age, to);
        /* The newest keeps its name until the new one takes it, where the file system has links. */
        const int linked = age == 1 && (unlink(to) == 0 || errno == ENOENT) && link(from, to) == 0;
        if (!linked && rename(from, to) != 0 && errno != ENOENT)
            return dr_checkpoint_fail(&file, DRACO_E_IO, "cannot rename it to %s: %s", to, strerror(errno));
    }
    if (rename(store->part, store->path) != 0)
        return dr_checkpoint_fail(&file, DRACO_E_IO, "cannot rename %s: %s", store->part, strerror(errno));
    store->part[0] = '\0';
    dr_checkpoint_sync_directory(store->path);
    return DRACO_OK;
}

DRACO_CHECKPOINT_API void draco_checkpoint_abandon(draco_checkpoint_store *store) {
    if (store->part[0] != '\0') unlink(store->part);
    store->part[0] = '\0';
}

/* ---- The store ---- */

/* store->path: where the file is, or will be, without symbolic links. */
DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_resolve(draco_checkpoint_store *store, const char *path,
                                                            const dr_checkpoint_file *file) {
    const char *slash = strrchr(path, '/');
    const char *base = slash == NULL ? path : slash + 1;
    struct stat about;
    if (realpath(path, store->path) != NULL) {
        if (stat(store->path, &about) != 0 || !S_ISREG(about.st_mode))
            return dr_checkpoint_fail(file, DRACO_E_IO, "not a regular file");
        store->mode = about.st_mode & 0777;
        return DRACO_OK;
    }
    if (errno == ENOENT && lstat(path, &about) == 0)
        return dr_checkpoint_fail(file, DRACO_E_IO, "a symbolic link to a file that is not there");
    if (errno == ENOENT && *base != '\0') {
        char directory[DRACO_CHECKPOINT_PATH] = ".";
        if (slash != NULL) snprintf(directory, sizeof directory, "%.*s", (int)(slash - path) + 1, path);
        if (realpath(directory, store->path) != NULL) {
            const size_t length = strlen(store->path);
            snprintf(store->path + length, sizeof store->path - length, "/%s", base);
            return DRACO_OK;
        }
    }
    return dr_checkpoint_fail(file, DRACO_E_IO, "%s", strerror(errno));
}

/* Of several processes that open the lock one gets it. Whoever gave it up has unlinked the file, so the lock
   counts only while the name leads to it. */
DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_lock(draco_checkpoint_store *store,
                                                         const dr_checkpoint_file *file) {
    char name[DRACO_CHECKPOINT_PATH];
    struct stat mine, named;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    snprintf(name, sizeof name, "%.4000s.lock", store->path);
    for (int tries = 0; tries < 100; tries++) {
        store->lock = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
        if (store->lock < 0)
            return dr_checkpoint_fail(file, DRACO_E_IO, "cannot create %s: %s", name, strerror(errno));
        if (fcntl(store->lock, F_SETLK, &whole) == 0 && fstat(store->lock, &mine) == 0 &&
            S_ISREG(mine.st_mode) && lstat(name, &named) == 0 && mine.st_ino == named.st_ino &&
            mine.st_dev == named.st_dev) {
            if (store->mode == 0) store->mode = mine.st_mode & 0777;
            return DRACO_OK;
        }
        const int held = (errno == EACCES || errno == EAGAIN) && fcntl(store->lock, F_GETLK, &whole) == 0 &&
                         whole.l_type != F_UNLCK;
        close(store->lock);
        store->lock = -1;
        if (held)
            return dr_checkpoint_fail(file, DRACO_E_IO, "another run, process %ld, is using it",
                                      (long)whole.l_pid);
        whole.l_type = F_WRLCK;
    }
    return dr_checkpoint_fail(file, DRACO_E_IO, "cannot lock %s", name);
}

/* Under the lock nobody writes these files any more. */
DRACO_CHECKPOINT_PRIVATE void dr_checkpoint_tidy(const draco_checkpoint_store *store) {
    const char *base = strrchr(store->path, '/') + 1;
    const size_t length = strlen(base), mark = strlen(DR_CHECKPOINT_PART);
    char directory[DRACO_CHECKPOINT_PATH];
    snprintf(directory, sizeof directory, "%.*s", (int)(base - store->path), store->path);
    DIR *all = opendir(directory);
    for (struct dirent *one; all != NULL && (one = readdir(all)) != NULL;)
        if (strncmp(one->d_name, base, length) == 0 &&
            strncmp(one->d_name + length, DR_CHECKPOINT_PART, mark) == 0 &&
            strlen(one->d_name) == length + mark + 6)
            unlinkat(dirfd(all), one->d_name, 0);
    if (all != NULL) closedir(all);
}

DRACO_CHECKPOINT_API draco_status draco_checkpoint_open(draco_checkpoint_store *store, const char *path,
                                                        int keep, char *why, size_t capacity) {
    const dr_checkpoint_file file = {NULL, path, why, capacity, 0};
    if (store == NULL || path == NULL || keep < 1 || keep > DRACO_CHECKPOINT_MOST) return DRACO_E_ARGUMENT;
    memset(store, 0, sizeof *store);
    store->keep = keep;
    store->lock = -1;
    if (strlen(path) > 4000) return dr_checkpoint_fail(&file, DRACO_E_IO, "the name is too long");
    draco_status status = dr_checkpoint_resolve(store, path, &file);
    if (status == DRACO_OK && strlen(store->path) > 4000)
        status = dr_checkpoint_fail(&file, DRACO_E_IO, "the name is too long");
    if (status == DRACO_OK) status = dr_checkpoint_lock(store, &file);
    if (status == DRACO_OK) dr_checkpoint_tidy(store);
    return status;
}

DRACO_CHECKPOINT_API void draco_checkpoint_close(draco_checkpoint_store *store) {
    char name[DRACO_CHECKPOINT_PATH];
    if (store->lock < 0) return;
    draco_checkpoint_abandon(store);
    snprintf(name, sizeof name, "%.4000s.lock", store->path);
    unlink(name);
    close(store->lock);
    store->lock = -1;
}

/* ---- Reading ---- */

/* Regular files only: a pipe or a device could make the reader wait for ever. */
DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_open(dr_checkpoint_file *file, uint64_t *size) {
    struct stat about;
    const int descriptor = open(file->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0) return dr_checkpoint_fail(file, DRACO_E_IO, "cannot open: %s", strerror(errno));
    if (fstat(descriptor, &about) != 0 || !S_ISREG(about.st_mode)) {
        close(descriptor);
        return dr_checkpoint_fail(file, DRACO_E_IO, "not a regular file");
    }
    *size = (uint64_t)about.st_size;
    file->stream = fdopen(descriptor, "rb");
    if (file->stream != NULL) return DRACO_OK;
    close(descriptor);
    return dr_checkpoint_fail(file, DRACO_E_MEMORY, "out of memory");
}

DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_get_bytes(dr_checkpoint_file *file, uint8_t *bytes,
                                                              size_t n) {
    if (fread(bytes, 1, n, file->stream) == n) {
        file->sum = crc32(file->sum, bytes, (uInt)n);
        return DRACO_OK;
    }
    if (ferror(file->stream)) return dr_checkpoint_fail(file, DRACO_E_IO, "cannot read: %s", strerror(errno));
    return dr_checkpoint_fail(file, DRACO_E_MALFORMED, "truncated");
}

/* values NULL: check only. */
DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_get_floats(dr_checkpoint_file *file, uint64_t count,
                                                               const char *what, float *values) {
    uint8_t bytes[4 * DR_CHECKPOINT_PIECE];
    for (uint64_t first = 0; first < count; first += DR_CHECKPOINT_PIECE) {
        const uint64_t left = count - first;
        const size_t n = left < DR_CHECKPOINT_PIECE ? (size_t)left : DR_CHECKPOINT_PIECE;
        draco_status status = dr_checkpoint_get_bytes(file, bytes, 4 * n);
        if (status != DRACO_OK) return status;
        for (size_t i = 0; i < n; i++) {
            const uint32_t bits = (uint32_t)dr_checkpoint_get(bytes + 4 * i, 4);
            if ((bits & 0x7F800000u) == 0x7F800000u)
                return dr_checkpoint_fail(file, DRACO_E_MALFORMED, "%s %llu is not finite", what,
                                          (unsigned long long)(first + i));
            if (values != NULL) memcpy(&values[first + i], &bits, sizeof bits);
        }
    }
    return DRACO_OK;
}

/* Everything before the numbers; size: bytes of the whole file. */
DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_header(dr_checkpoint_file *file, uint64_t size,
                                                           draco_checkpoint *c) {
    uint8_t header[DR_CHECKPOINT_HEADER];
    uint64_t *fields[DR_CHECKPOINT_WORDS];
    const uint8_t *at = header + 16;
    if (size < sizeof header + 4)
        return dr_checkpoint_fail(file, DRACO_E_MALFORMED, "%llu bytes are too few for a checkpoint",
                                  (unsigned long long)size);
    draco_status status = dr_checkpoint_get_bytes(file, header, sizeof header);
    if (status != DRACO_OK) return status;
    if (memcmp(header, dr_checkpoint_magic, 8) != 0)
        return dr_checkpoint_fail(file, DRACO_E_MALFORMED, "not a checkpoint of this program");
    if (dr_checkpoint_get(header + 8, 4) != 3)
        return dr_checkpoint_fail(file, DRACO_E_MALFORMED, "version %llu of the format, only 3 is known",
                                  (unsigned long long)dr_checkpoint_get(header + 8, 4));
    c->exponent_bytes = (uint32_t)dr_checkpoint_get(header + 12, 4);
    dr_checkpoint_fields(c, fields);
    for (int i = 0; i < DR_CHECKPOINT_WORDS; i++, at += 8) *fields[i] = dr_checkpoint_get(at, 8);
    memcpy(c->contract, at, sizeof c->contract);
    if (!dr_checkpoint_text(c->contract))
        return dr_checkpoint_fail(file, DRACO_E_MALFORMED, "its contract is not text");
    if (c->dim > DR_CHECKPOINT_FLOATS || c->parameters > c->dim || c->state_per_parameter > 16 ||
        c->note_bytes > DR_CHECKPOINT_NOTES)
        return dr_checkpoint_fail(file, DRACO_E_MALFORMED, "impossible sizes in the header");
    const uint64_t expected = sizeof header + 4 + 4 * (c->dim + c->state_per_parameter * c->parameters) +
                              c->exponent_bytes + c->note_bytes;
    if (size != expected)
        return dr_checkpoint_fail(file, DRACO_E_MALFORMED, "%llu bytes, but its header promises %llu",
                                  (unsigned long long)size, (unsigned long long)expected);
    return DRACO_OK;
}

DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_same_number(const dr_checkpoint_file *file,
                                                                const char *what, uint64_t found,
                                                                uint64_t wanted) {
    if (found == wanted) return DRACO_OK;
    return dr_checkpoint_fail(file, DRACO_E_CONFIG, "%s %llu, but this run has %llu", what,
                              (unsigned long long)found, (unsigned long long)wanted);
}

/* The value of a key, and its length; NULL: there is none. */
DRACO_CHECKPOINT_PRIVATE const char *dr_checkpoint_value(const char *contract, const char *key, size_t length,
                                                         int *bytes) {
    for (const char *line = contract; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strncmp(line, key, length) != 0 || line[length] != '=') continue;
        *bytes = (int)strcspn(line + length + 1, "\n");
        return line + length + 1;
    }
    *bytes = 0;
    return NULL;
}

DRACO_CHECKPOINT_PRIVATE int dr_checkpoint_listed(const char *list, const char *key, size_t length) {
    while (list != NULL && *list != '\0') {
        const size_t word = strcspn(list, ",");
        if (word == length && memcmp(list, key, length) == 0) return 1;
        list += word + (list[word] == ',');
    }
    return 0;
}

/* Is this file's run the one that goes on? Names every key that has another value here, or none. */
DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_same_contract(const dr_checkpoint_file *file,
                                                                  const char *found,
                                                                  const draco_checkpoint *wanted) {
    char text[1024] = "";
    if (wanted->contract[0] == '\0') return DRACO_OK;
    for (int ours = 0; ours < 2; ours++) {
        for (const char *line = ours ? wanted->contract : found; *line != '\0';
             line += strcspn(line, "\n"), line += *line == '\n') {
            const size_t key = strcspn(line, "=\n"), used = strlen(text);
            int old_bytes, new_bytes;
            const char *old = dr_checkpoint_value(found, line, key, &old_bytes);
            const char *now = dr_checkpoint_value(wanted->contract, line, key, &new_bytes);
            if ((ours && old != NULL) || dr_checkpoint_listed(wanted->overrides, line, key) ||
                (old != NULL && now != NULL && old_bytes == new_bytes &&
                 memcmp(old, now, (size_t)old_bytes) == 0))
                continue;
            snprintf(text + used, sizeof text - used, "%s%.*s is '%.*s', but '%.*s' in this run",
                     used > 0 ? "; " : "", (int)key, line, old_bytes, old, new_bytes, now);
        }
    }
    return text[0] == '\0' ? DRACO_OK : dr_checkpoint_fail(file, DRACO_E_CONFIG, "%s", text);
}

/* Does the memory that waits for it have its size? */
DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_match(const dr_checkpoint_file *file,
                                                          const draco_checkpoint *found,
                                                          const draco_checkpoint *wanted) {
    draco_status status = dr_checkpoint_same_contract(file, found->contract, wanted);
    if (status == DRACO_OK) status = dr_checkpoint_same_number(file, "vector of", found->dim, wanted->dim);
    if (status == DRACO_OK)
        status = dr_checkpoint_same_number(file, "parameters:", found->parameters, wanted->parameters);
    if (status == DRACO_OK)
        status = dr_checkpoint_same_number(file, "optimizer state per parameter:", found->state_per_parameter,
                                           wanted->state_per_parameter);
    if (status == DRACO_OK) status = dr_checkpoint_same_number(file, "server", found->server, wanted->server);
    if (status == DRACO_OK)
        status = dr_checkpoint_same_number(file, "servers:", found->servers, wanted->servers);
    return status;
}

/* Bytes into memory of `have` bytes, if that is as many; else they are only checked. */
DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_get_extra(dr_checkpoint_file *file, uint64_t count,
                                                              uint8_t *memory, uint64_t have) {
    uint8_t bytes[4096];
    draco_status status = DRACO_OK;
    for (uint64_t done = 0; done < count && status == DRACO_OK; done += sizeof bytes) {
        const size_t n = count - done < sizeof bytes ? (size_t)(count - done) : sizeof bytes;
        status = dr_checkpoint_get_bytes(file, bytes, n);
        if (status == DRACO_OK && have == count) memcpy(memory + done, bytes, n);
    }
    return status;
}

/* What follows the header, into the memory of `to`; NULL: check only. */
DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_body(dr_checkpoint_file *file, const draco_checkpoint *c,
                                                         const draco_checkpoint *to) {
    uint8_t bytes[4];
    draco_status status = dr_checkpoint_get_floats(file, c->dim, "parameter", to ? to->params : NULL);
    if (status == DRACO_OK)
        status = dr_checkpoint_get_floats(file, c->state_per_parameter * c->parameters, "optimizer state",
                                          to ? to->state : NULL);
    if (status == DRACO_OK)
        status = dr_checkpoint_get_extra(file, c->exponent_bytes, to ? to->exponents : NULL,
                                         to ? to->exponent_bytes : 0);
    if (status == DRACO_OK)
        status = dr_checkpoint_get_extra(file, c->note_bytes, to ? to->notes : NULL, to ? to->note_bytes : 0);
    if (status != DRACO_OK) return status;
    const uint32_t sum = (uint32_t)file->sum;
    status = dr_checkpoint_get_bytes(file, bytes, sizeof bytes);
    if (status == DRACO_OK && dr_checkpoint_get(bytes, 4) != sum)
        status = dr_checkpoint_fail(file, DRACO_E_MALFORMED, "wrong checksum: the file is damaged");
    return status;
}

/* Once to check, once to fill the caller's memory. */
DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_passes(dr_checkpoint_file *file, uint64_t size,
                                                           const draco_checkpoint *wanted,
                                                           draco_checkpoint *found) {
    draco_status status = dr_checkpoint_header(file, size, found);
    const uLong sum = file->sum;
    if (status == DRACO_OK) status = dr_checkpoint_match(file, found, wanted);
    if (status == DRACO_OK) status = dr_checkpoint_body(file, found, NULL);
    if (status != DRACO_OK) return status;
    if (fseek(file->stream, DR_CHECKPOINT_HEADER, SEEK_SET) != 0)
        return dr_checkpoint_fail(file, DRACO_E_IO, "cannot read: %s", strerror(errno));
    file->sum = sum;
    return dr_checkpoint_body(file, found, wanted);
}

DRACO_CHECKPOINT_API draco_status draco_checkpoint_read(const char *path, draco_checkpoint *checkpoint,
                                                        char *why, size_t capacity) {
    dr_checkpoint_file file = {NULL, path, why, capacity, 0};
    draco_checkpoint found;
    uint64_t size = 0;
    if (path == NULL || checkpoint == NULL || checkpoint->params == NULL ||
        (checkpoint->state == NULL && checkpoint->state_per_parameter > 0) ||
        (checkpoint->exponents == NULL && checkpoint->exponent_bytes > 0) ||
        (checkpoint->notes == NULL && checkpoint->note_bytes > 0))
        return DRACO_E_ARGUMENT;
    draco_status status = dr_checkpoint_open(&file, &size);
    if (status != DRACO_OK) return status;
    memset(&found, 0, sizeof found);
    status = dr_checkpoint_passes(&file, size, checkpoint, &found);
    fclose(file.stream);
    if (status != DRACO_OK) return status;
    found.params = checkpoint->params;
    found.state = checkpoint->state;
    found.exponents = checkpoint->exponents;
    found.notes = checkpoint->notes;
    found.overrides = checkpoint->overrides;
    *checkpoint = found;
    return DRACO_OK;
}

#endif /* DRACO_CHECKPOINT_IMPLEMENTATION */
