/* What models/draco_dataset.h and draco_checkpoint.h use of zlib.h, for compilers of machines that have no zlib here: plain files. */
#ifndef PLAIN_ZLIB_H
#define PLAIN_ZLIB_H

#include <stdio.h>

enum { Z_OK = 0, Z_STREAM_END = 1, Z_ERRNO = -1 };
typedef FILE *gzFile;

static inline gzFile gzdopen(int descriptor, const char *mode) {
    return fdopen(descriptor, mode);
}
static inline int gzbuffer(gzFile file, unsigned bytes) {
    (void)file, (void)bytes;
    return 0;
}
static inline int gzread(gzFile file, void *bytes, unsigned count) {
    return (int)fread(bytes, 1, count, file);
}
static inline const char *gzerror(gzFile file, int *code) {
    *code = ferror(file) ? Z_ERRNO : Z_OK;
    return "";
}
static inline long gztell(gzFile file) {
    return ftell(file);
}
static inline int gzclose(gzFile file) {
    return fclose(file);
}

#endif
