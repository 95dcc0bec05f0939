/* Any bytes as a Host header, as the name of a worker, and as a file of metrics whose verdicts are drawn: names that are
   no address are not here, labels and JSON are one line of valid UTF-8 with each quote escaped, and a picture is
   drawn or not. */
#pragma GCC diagnostic ignored "-Wunused-function" /* of the trainer, only these texts are used */
#include "fuzz_data.h"

#include "examples/draco-train/train_grid.h"
#include "examples/draco-train/train_live_text.h"

/* What lies between the quotes of `text`, from its first character on: every quote in it is escaped. */
static void check(const char *text, const char *before, const char *after) {
    const char *at = text + strlen(before), *end = text + strlen(text) - strlen(after);
    if (strncmp(text, before, strlen(before)) != 0 || strcmp(end, after) != 0) abort();
    while (at < end) {
        const size_t bytes = *at == '\\' ? 2 : train_utf8(at);
        if (bytes == 0 || *at == '"' || (unsigned char)*at < 32 || at + bytes > end) abort();
        at += bytes;
    }
    if (at != end) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char *written;
    static size_t bytes;
    static FILE *to, *nowhere;
    char *text = (char *)malloc(size + 1);
    train_grid grid;
    FILE *file;
    if (!to) to = open_memstream(&written, &bytes);
    if (!nowhere) nowhere = fopen("/dev/null", "w");
    if (!text || !to || !nowhere) abort();
    if (size) memcpy(text, data, size);
    text[size] = 0;
    if (train_host_is_here(text) &&
        strspn(text, "0123456789abcdefABCDEF.:[]localhostLOCALHOST") != strlen(text))
        abort();
    rewind(to);
    train_prom_label(to, "{", "name", text);
    fputc(0, to);
    fflush(to);
    check(written, "{name=\"", "\"");
    rewind(to);
    train_json_text(to, "name", text);
    fputc(0, to);
    fflush(to);
    check(written, ",\"name\":\"", "\"");
    free(text);
    file = size ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;
    if (!file) return 0;
    if (train_grid_read(file, &grid) == 0) train_grid_write(nowhere, "fuzz", &grid);
    train_grid_free(&grid);
    fclose(file);
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
static size_t live_seed(uint64_t i, uint8_t *data, size_t room) {
    static const char *const hosts[] = {"localhost:80", "[::1]:9400", "127.0.0.1", "evil.example",
                                        "w\"\\\n\xc3\xa4"};
    size_t n;
    if (i % 2) return (size_t)snprintf((char *)data, room, "%s", hosts[i / 2 % 5]);
    n = (size_t)snprintf((char *)data, room, "{\"event\":\"start\",\"workers\":%d}\n", (int)(i % 20));
    for (int step = 0; step < 40; step++)
        n += (size_t)snprintf((char *)data + n, room - n,
                              "{\"event\":\"step\",\"step\":%d,\"blamed\":[%d,%d],\"absent\":[3]}\n", step,
                              (int)i % 7, step % 9);
    return n;
}
#define DRACO_FUZZ_SEED live_seed
#include "fuzz_main.h"
#endif
