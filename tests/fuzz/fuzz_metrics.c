/* Any file given as the metrics of an earlier process: an error that leaves it as it is, or a beginning of it in whole
   lines, none of a step that will be written again. */
#pragma GCC diagnostic ignored "-Wunused-function" /* of the trainer, only the repair is used */
#include "fuzz_data.h"

#include "examples/draco-train/train_metrics.h"

enum { STEP = 3 };

static int opened(const char *path, double *seconds) {
    train_metrics metrics = {0};
    const int code = train_metrics_open(&metrics, path, 1, STEP);
    *seconds = metrics.seconds;
    close(metrics.file);
    fclose(metrics.line);
    free(metrics.text);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static fuzz_file file;
    static uint8_t kept[1 << 16];
    double seconds, again;
    const char *path = fuzz_file_write(&file, data, size);
    static FILE *nowhere; /* for what the repair says; sanitizers write to the descriptor */
    if (!nowhere) nowhere = stderr = fopen("/dev/null", "w");
    if (size > sizeof kept) return 0;
    const int code = opened(path, &seconds);
    const ssize_t left = pread(file.descriptor, kept, sizeof kept, 0);
    if (left < 0 || (size_t)left > size || memcmp(kept, data, (size_t)left) != 0) abort();
    if (code != 0) return (size_t)left == size ? 0 : (abort(), 0);
    if (left > 0 && kept[left - 1] != '\n') abort();
    if (opened(path, &again) != 0 || lseek(file.descriptor, 0, SEEK_END) != left) abort();
    if (memcmp(&seconds, &again, sizeof seconds) != 0) abort();
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
static size_t metrics_seed(uint64_t i, uint8_t *data, size_t room) {
    size_t n = (size_t)snprintf((char *)data, room, "{\"event\":\"start\",\"dim\":%d}\n", (int)i);
    for (uint64_t step = i % 3; step < 5; step++)
        n += (size_t)snprintf((char *)data + n, room - n,
                              "{\"event\":\"step\",\"step\":%d,\"train_seconds\":%d.5,\"blamed\":[%d]}\n"
                              "{\"event\":\"test\",\"step\":%d,\"accuracy\":null}\n",
                              (int)step, (int)(step * i), (int)i, (int)step + 1);
    n += (size_t)snprintf((char *)data + n, room - n, i % 2 ? "{\"event\":\"end\"}\n" : "{\"event\":\"st");
    return n;
}
#define DRACO_FUZZ_SEED metrics_seed
#include "fuzz_main.h"
#endif
