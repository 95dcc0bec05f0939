/* Any file given as a checkpoint: an error that leaves the memory alone, or numbers that are finite. */
#include "fuzz_data.h"

#include <math.h>

#define DRACO_CHECKPOINT_IMPLEMENTATION
#include "models/draco_checkpoint.h"

enum { DIM = 6, PARAMETERS = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static fuzz_file file;
    float params[DIM], state[2 * PARAMETERS];
    char why[128] = "";
    static draco_checkpoint c;
    memset(&c, 0, sizeof c);
    if (size % 2) snprintf(c.contract, sizeof c.contract, "model=mlp\nlr=0.1\n");
    memset(params, 0x5a, sizeof params);
    memset(state, 0x5a, sizeof state);
    c.dim = DIM;
    c.parameters = PARAMETERS;
    c.state_per_parameter = 2;
    c.params = params;
    c.state = state;
    const char *path = fuzz_file_write(&file, data, size);
    const draco_status status = draco_checkpoint_read(path, &c, why, sizeof why);
    if (status != DRACO_OK) {
        if (why[0] == '\0' || strchr(why, '\n') != NULL || c.step != 0) abort();
        for (int i = 0; i < DIM; i++)
            if (memcmp(&params[i], "\x5a\x5a\x5a\x5a", 4) != 0) abort();
        return 0;
    }
    for (int i = 0; i < DIM; i++)
        if (!isfinite(params[i])) abort();
    if (memchr(c.contract, 0, sizeof c.contract) == NULL) abort();
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
/* Well-formed, with a checksum that a mutation rarely keeps: half of the seeds are signed after an edit. */
static size_t checkpoint_seed(uint64_t i, uint8_t *data, size_t room) {
    const size_t n = DR_CHECKPOINT_HEADER + 4 * (DIM + 2 * PARAMETERS) + 4;
    draco_checkpoint c;
    if (n > room) return 0;
    memset(&c, 0, sizeof c);
    c.step = i;
    c.dim = DIM;
    c.parameters = PARAMETERS;
    c.state_per_parameter = 2;
    snprintf(c.contract, sizeof c.contract, "model=mlp\nlr=0.%d\n", (int)(i % 5));
    memset(data, 0, n);
    dr_checkpoint_pack(&c, data);
    if (i % 2) data[i * 2654435761u % (n - 4)] ^= (uint8_t)(1u << i % 7);
    dr_checkpoint_put(data + n - 4, crc32(0, data, (unsigned)n - 4), 4);
    return n;
}
#define DRACO_FUZZ_SEED checkpoint_seed
#define DRACO_FUZZ_ROOM 8192
#include "fuzz_main.h"
#endif
