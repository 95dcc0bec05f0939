/* Hostile bytes as a list of refused certificates: a name is found where a line begins with it and a blank or the end
   follows, and nowhere else. The name asked for is the input's first line. */
#define DRACO_IMPLEMENTATION
#define DRACO_GRPC_IMPLEMENTATION
#define DRACO_GRPC_STATIC
#include "transports/draco_grpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char name[68] = "", *text = (char *)malloc(size + 1);
    size_t n = 0;
    int expected = 0;
    if (size) memcpy(text, data, size);
    drg_refused_tidy(text, size);
    if (strlen(text) > size || strchr(text, '\r')) abort();
    while (n + 1 < sizeof name && text[n] && !strchr(" \t\n", text[n])) n++;
    memcpy(name, text, n);
    for (const char *at = text; n && at; at = strchr(at, '\n')) {
        at += *at == '\n';
        expected |= !strncmp(at, name, n) && (!at[n] || strchr(" \t\n", at[n]));
        if (!*at) break;
    }
    if (drg_is_listed(text, name, NULL) != expected) abort();
    if (!drg_is_listed(text, "", text) != !*text) abort();
    free(text);
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
static size_t refused_seed(uint64_t i, uint8_t *data, size_t room) {
    const int n = snprintf((char *)data, room,
                           "worker-%d%s-----BEGIN CERTIFICATE-----\nMIIB%d\n-----END CERTIFICATE-----\n"
                           "worker-%d lost in May\nworker-%d",
                           (int)(i % 50), i % 2 ? "\r\n" : "\n", (int)i, (int)(i % 7), (int)(i % 50));
    return n > 0 && (size_t)n < room ? (size_t)n : 0;
}
#define DRACO_FUZZ_SEED refused_seed
#include "fuzz_main.h"
#endif
