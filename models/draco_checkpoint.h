/* draco_checkpoint.h - version 0.1.0 - the state of a training run in one file

   #define DRACO_CHECKPOINT_IMPLEMENTATION in one .c file before including it; DRACO_CHECKPOINT_STATIC,
   defined as well, makes a private copy. The switches bring draco.h along. The implementation is C11 with
   GNU extensions and POSIX; link -lz -lm.

       draco_checkpoint c = {0};
       char why[256];
       c.step = step; c.updates = updates; c.seed = seed; c.code_id = draco_code_id(&code);
       c.dim = model.dim; c.parameters = model.parameters;
       c.state_per_parameter = optimizer.state_per_parameter;
       c.params = params; c.state = state;
       snprintf(c.model, sizeof c.model, "%s", model.name);
       if (draco_checkpoint_write("run.ckpt", &c, why, sizeof why) < 0) fprintf(stderr, "%s\n", why);
       ...
       if (draco_checkpoint_read("run.ckpt", &c, why, sizeof why) < 0) fprintf(stderr, "%s\n", why);

   write puts the bytes into PATH.part, flushes them to the disk and renames the file over PATH: at any
   moment PATH is the old checkpoint or the new one, whole.

   read takes in c what the run expects: dim, parameters, state_per_parameter, server, servers, the
   names, code_id and seed, and the memory params[dim] and state[state_per_parameter x parameters]. A name
   that is empty and a code_id or seed that is 0 expects nothing and is filled in. On success step and updates
   are filled in too, and a run that goes on from there has the same bits as one that was never stopped.
   Nothing is allocated, and the memory is written only after the whole file has been checked.

   Format, little-endian: 8 bytes "DRACOCKP"; u32 version 1; u32 0; u64 step, updates, seed, code_id, dim,
   parameters, state_per_parameter, server, servers; model, optimizer, data: 32 bytes each, zero-filled; dim
   floats; state_per_parameter x parameters floats; u32 CRC-32 of all bytes before it.

   Errors, each one line in `why`, naming the file. DRACO_E_IO: cannot open, read, write or rename.
   DRACO_E_MALFORMED: not a checkpoint, another version, wrong size, wrong checksum, a number that is not
   finite. DRACO_E_CONFIG: a checkpoint of another model, optimizer, data set, code, seed or size.

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
#define DRACO_CHECKPOINT_NAME 32          /* bytes of a name with its final zero */

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
    uint64_t seed;    /* of the samples */
    uint64_t code_id; /* draco_code_id */
    uint64_t dim, parameters, state_per_parameter;
    uint64_t server, servers; /* of several servers, each keeps its shard in a file of its own */
    char model[DRACO_CHECKPOINT_NAME], optimizer[DRACO_CHECKPOINT_NAME], data[DRACO_CHECKPOINT_NAME];
    float *params; /* dim */
    float *state;  /* state_per_parameter x parameters; NULL when that is 0 */
} draco_checkpoint;

/* why: one line on error, of at most `capacity` bytes; NULL and 0 when it is not wanted. */
DRACO_CHECKPOINT_API draco_status draco_checkpoint_write(const char *path, const draco_checkpoint *checkpoint,
                                                         char *why, size_t capacity);
DRACO_CHECKPOINT_API draco_status draco_checkpoint_read(const char *path, draco_checkpoint *checkpoint,
                                                        char *why, size_t capacity);
/* What the file says of itself, without its numbers; params and state stay as they are. */
DRACO_CHECKPOINT_API draco_status draco_checkpoint_peek(const char *path, draco_checkpoint *checkpoint,
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

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define DR_CHECKPOINT_WORDS 9 /* numbers of 64 bits in the header */
#define DR_CHECKPOINT_HEADER (16 + 8 * DR_CHECKPOINT_WORDS + 3 * DRACO_CHECKPOINT_NAME)
#define DR_CHECKPOINT_PIECE 16384 /* floats that are turned into bytes at a time */
#define DR_CHECKPOINT_MOST ((uint64_t)1 << 40)

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
        &c->step,   &c->updates, &c->seed, &c->code_id, &c->dim, &c->parameters, &c->state_per_parameter,
        &c->server, &c->servers};
    memcpy(fields, all, sizeof all);
}

DRACO_CHECKPOINT_PRIVATE void dr_checkpoint_pack(const draco_checkpoint *c,
                                                 uint8_t header[DR_CHECKPOINT_HEADER]) {
    draco_checkpoint copy = *c;
    uint64_t *fields[DR_CHECKPOINT_WORDS];
    const char *names[3] = {copy.model, copy.optimizer, copy.data};
    uint8_t *at = header + 16;
    memset(header, 0, DR_CHECKPOINT_HEADER);
    memcpy(header, dr_checkpoint_magic, 8);
    dr_checkpoint_put(header + 8, 1, 4);
    dr_checkpoint_fields(&copy, fields);
    for (int i = 0; i < DR_CHECKPOINT_WORDS; i++, at += 8) dr_checkpoint_put(at, *fields[i], 8);
    for (int i = 0; i < 3; i++, at += DRACO_CHECKPOINT_NAME)
        memcpy(at, names[i], strnlen(names[i], DRACO_CHECKPOINT_NAME - 1));
}

/* ---- Writing ---- */

DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_put_bytes(dr_checkpoint_file *file, const uint8_t *bytes,
                                                              size_t n) {
    file->sum = crc32(file->sum, bytes, (uInt)n);
    if (fwrite(bytes, 1, n, file->stream) == n) return DRACO_OK;
    return dr_checkpoint_fail(file, DRACO_E_IO, "cannot write: %s", strerror(errno));
}

DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_put_floats(dr_checkpoint_file *file, const float *values,
                                                               size_t count) {
    uint8_t bytes[4 * DR_CHECKPOINT_PIECE];
    for (size_t first = 0; first < count; first += DR_CHECKPOINT_PIECE) {
        const size_t left = count - first;
        const size_t n = left < DR_CHECKPOINT_PIECE ? left : DR_CHECKPOINT_PIECE;
        for (size_t i = 0; i < n; i++) {
            uint32_t bits;
            memcpy(&bits, &values[first + i], sizeof bits);
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
    if (status == DRACO_OK) status = dr_checkpoint_put_floats(file, c->params, (size_t)c->dim);
    if (status == DRACO_OK)
        status = dr_checkpoint_put_floats(file, c->state, (size_t)(c->state_per_parameter * c->parameters));
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

DRACO_CHECKPOINT_API draco_status draco_checkpoint_write(const char *path, const draco_checkpoint *checkpoint,
                                                         char *why, size_t capacity) {
    dr_checkpoint_file file = {NULL, path, why, capacity, 0};
    char part[4096];
    if (path == NULL || checkpoint == NULL || checkpoint->params == NULL ||
        (checkpoint->state == NULL && checkpoint->state_per_parameter > 0))
        return DRACO_E_ARGUMENT;
    if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part)
        return dr_checkpoint_fail(&file, DRACO_E_IO, "the name is too long");
    file.stream = fopen(part, "wb");
    if (file.stream == NULL)
        return dr_checkpoint_fail(&file, DRACO_E_IO, "cannot create %s: %s", part, strerror(errno));
    draco_status status = dr_checkpoint_put_all(&file, checkpoint);
    if (fclose(file.stream) != 0 && status == DRACO_OK)
        status = dr_checkpoint_fail(&file, DRACO_E_IO, "cannot write: %s", strerror(errno));
    if (status == DRACO_OK && rename(part, path) != 0)
        status = dr_checkpoint_fail(&file, DRACO_E_IO, "cannot rename %s: %s", part, strerror(errno));
    if (status != DRACO_OK)
        unlink(part);
    else
        dr_checkpoint_sync_directory(path);
    return status;
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

/* Names are text with a final zero, so that they may be printed. */
DRACO_CHECKPOINT_PRIVATE int dr_checkpoint_name(const uint8_t *bytes, char name[DRACO_CHECKPOINT_NAME]) {
    size_t length = 0;
    if (bytes[DRACO_CHECKPOINT_NAME - 1] != 0) return 0;
    while (bytes[length] >= 0x20 && bytes[length] < 0x7F) length++;
    if (bytes[length] != 0) return 0;
    memcpy(name, bytes, length + 1);
    return 1;
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
    if (dr_checkpoint_get(header + 8, 8) != 1)
        return dr_checkpoint_fail(file, DRACO_E_MALFORMED, "version %llu of the format, only 1 is known",
                                  (unsigned long long)dr_checkpoint_get(header + 8, 4));
    dr_checkpoint_fields(c, fields);
    for (int i = 0; i < DR_CHECKPOINT_WORDS; i++, at += 8) *fields[i] = dr_checkpoint_get(at, 8);
    if (!dr_checkpoint_name(at, c->model) || !dr_checkpoint_name(at + DRACO_CHECKPOINT_NAME, c->optimizer) ||
        !dr_checkpoint_name(at + 2 * DRACO_CHECKPOINT_NAME, c->data))
        return dr_checkpoint_fail(file, DRACO_E_MALFORMED, "a name is not text");
    if (c->dim > DR_CHECKPOINT_MOST || c->parameters > c->dim || c->state_per_parameter > 16)
        return dr_checkpoint_fail(file, DRACO_E_MALFORMED, "impossible sizes in the header");
    const uint64_t expected = sizeof header + 4 + 4 * (c->dim + c->state_per_parameter * c->parameters);
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

DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_same_name(const dr_checkpoint_file *file,
                                                              const char *what, const char *found,
                                                              const char *wanted) {
    if (*wanted == '\0' || strcmp(found, wanted) == 0) return DRACO_OK;
    return dr_checkpoint_fail(file, DRACO_E_CONFIG, "%s '%s', but this run has '%s'", what, found, wanted);
}

/* Is this file's run the one that goes on? */
DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_match(const dr_checkpoint_file *file,
                                                          const draco_checkpoint *found,
                                                          const draco_checkpoint *wanted) {
    draco_status status = dr_checkpoint_same_name(file, "model", found->model, wanted->model);
    if (status == DRACO_OK)
        status = dr_checkpoint_same_name(file, "optimizer", found->optimizer, wanted->optimizer);
    if (status == DRACO_OK) status = dr_checkpoint_same_name(file, "data set", found->data, wanted->data);
    if (status == DRACO_OK) status = dr_checkpoint_same_number(file, "vector of", found->dim, wanted->dim);
    if (status == DRACO_OK)
        status = dr_checkpoint_same_number(file, "parameters:", found->parameters, wanted->parameters);
    if (status == DRACO_OK)
        status = dr_checkpoint_same_number(file, "optimizer state per parameter:", found->state_per_parameter,
                                           wanted->state_per_parameter);
    if (status == DRACO_OK) status = dr_checkpoint_same_number(file, "server", found->server, wanted->server);
    if (status == DRACO_OK)
        status = dr_checkpoint_same_number(file, "servers:", found->servers, wanted->servers);
    if (status == DRACO_OK && wanted->code_id != 0)
        status = dr_checkpoint_same_number(file, "code", found->code_id, wanted->code_id);
    if (status == DRACO_OK && wanted->seed != 0)
        status = dr_checkpoint_same_number(file, "seed", found->seed, wanted->seed);
    return status;
}

/* The floats and the checksum; params and state NULL: check only. */
DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_body(dr_checkpoint_file *file, const draco_checkpoint *c,
                                                         float *params, float *state) {
    uint8_t bytes[4];
    draco_status status = dr_checkpoint_get_floats(file, c->dim, "parameter", params);
    if (status == DRACO_OK)
        status =
            dr_checkpoint_get_floats(file, c->state_per_parameter * c->parameters, "optimizer state", state);
    if (status != DRACO_OK) return status;
    const uint32_t sum = (uint32_t)file->sum;
    status = dr_checkpoint_get_bytes(file, bytes, sizeof bytes);
    if (status == DRACO_OK && dr_checkpoint_get(bytes, 4) != sum)
        status = dr_checkpoint_fail(file, DRACO_E_MALFORMED, "wrong checksum: the file is damaged");
    return status;
}

DRACO_CHECKPOINT_API draco_status draco_checkpoint_peek(const char *path, draco_checkpoint *checkpoint,
                                                        char *why, size_t capacity) {
    dr_checkpoint_file file = {NULL, path, why, capacity, 0};
    draco_checkpoint found;
    uint64_t size;
    if (path == NULL || checkpoint == NULL) return DRACO_E_ARGUMENT;
    draco_status status = dr_checkpoint_open(&file, &size);
    if (status != DRACO_OK) return status;
    memset(&found, 0, sizeof found);
    status = dr_checkpoint_header(&file, size, &found);
    fclose(file.stream);
    if (status != DRACO_OK) return status;
    found.params = checkpoint->params;
    found.state = checkpoint->state;
    *checkpoint = found;
    return DRACO_OK;
}

/* Once to check, once to fill the caller's memory. */
DRACO_CHECKPOINT_PRIVATE draco_status dr_checkpoint_passes(dr_checkpoint_file *file, uint64_t size,
                                                           const draco_checkpoint *wanted,
                                                           draco_checkpoint *found) {
    draco_status status = dr_checkpoint_header(file, size, found);
    const uLong sum = file->sum;
    if (status == DRACO_OK) status = dr_checkpoint_match(file, found, wanted);
    if (status == DRACO_OK) status = dr_checkpoint_body(file, found, NULL, NULL);
    if (status != DRACO_OK) return status;
    if (fseek(file->stream, DR_CHECKPOINT_HEADER, SEEK_SET) != 0)
        return dr_checkpoint_fail(file, DRACO_E_IO, "cannot read: %s", strerror(errno));
    file->sum = sum;
    return dr_checkpoint_body(file, found, wanted->params, wanted->state);
}

DRACO_CHECKPOINT_API draco_status draco_checkpoint_read(const char *path, draco_checkpoint *checkpoint,
                                                        char *why, size_t capacity) {
    dr_checkpoint_file file = {NULL, path, why, capacity, 0};
    draco_checkpoint found;
    uint64_t size;
    if (path == NULL || checkpoint == NULL || checkpoint->params == NULL ||
        (checkpoint->state == NULL && checkpoint->state_per_parameter > 0))
        return DRACO_E_ARGUMENT;
    draco_status status = dr_checkpoint_open(&file, &size);
    if (status != DRACO_OK) return status;
    memset(&found, 0, sizeof found);
    status = dr_checkpoint_passes(&file, size, checkpoint, &found);
    fclose(file.stream);
    if (status != DRACO_OK) return status;
    found.params = checkpoint->params;
    found.state = checkpoint->state;
    *checkpoint = found;
    return DRACO_OK;
}

#endif /* DRACO_CHECKPOINT_IMPLEMENTATION */
