/* What the fuzz targets of the readers share: bytes that become a file without a name. */
#ifndef FUZZ_DATA_H
#define FUZZ_DATA_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

typedef struct fuzz_file {
    int descriptor;
    char path[32];
} fuzz_file;

/* Refills one file of the process; the same `slot` may be written again and again. */
static const char *fuzz_file_write(fuzz_file *file, const uint8_t *data, size_t size) {
    if (file->descriptor == 0) {
        file->descriptor = memfd_create("fuzz", 0);
        if (file->descriptor < 0) abort();
        snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->descriptor);
    }
    if (ftruncate(file->descriptor, 0) != 0) abort();
    if (size > 0 && pwrite(file->descriptor, data, size, 0) != (ssize_t)size) abort();
    return file->path;
}

/* Two bytes of length part an input into two files. */
static inline void fuzz_split(const uint8_t *data, size_t size, size_t *first, const uint8_t **rest,
                              size_t *second) {
    *first = 0;
    *second = 0;
    *rest = data;
    if (size < 2) return;
    const size_t length = (size_t)data[0] << 8 | data[1];
    *first = length < size - 2 ? length : size - 2;
    *rest = data + 2 + *first;
    *second = size - 2 - *first;
}

/* As gzip, when there is room: otherwise the bytes as they are. */
static inline size_t fuzz_gzip(uint8_t *data, size_t size, size_t room) {
    uint8_t packed[8192];
    z_stream z;
    memset(&z, 0, sizeof z);
    if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return size;
    z.next_in = data;
    z.avail_in = (unsigned)size;
    z.next_out = packed;
    z.avail_out = sizeof packed;
    const int done = deflate(&z, Z_FINISH);
    const size_t length = (size_t)z.total_out;
    deflateEnd(&z);
    if (done != Z_STREAM_END || length > room) return size;
    memcpy(data, packed, length);
    return length;
}

#endif
