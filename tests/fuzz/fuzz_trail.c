/* Any file given as an audit trail: it is refused with a reason, or its lines are written back as they were. */
#include "fuzz_data.h"

#define DRACO_IMPLEMENTATION
#define DRACO_STATIC
#include "examples/draco-train/train_trail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static train_trail_line line;
    static char text[TRAIN_TRAIL_LINE + 8], back[TRAIN_TRAIL_LINE + 8];
    static fuzz_file file;
    train_trail trail;
    FILE *stream;
    int found;
    if (size < TRAIN_TRAIL_LINE - 64) {
        memcpy(text, data, size);
        text[size] = 0;
        if (train_trail_parse(text, &line)) {
            static train_trail_line again;
            train_trail_write(&line, back);
            if (!train_trail_parse(back, &again)) abort();
            if (strcmp(again.contract, line.contract) != 0 || again.step != line.step ||
                again.status != line.status || strcmp(again.verdicts, line.verdicts) != 0 ||
                strcmp(again.sum, line.sum) != 0)
                abort();
        }
    }
    stream = fopen(fuzz_file_write(&file, data, size), "r");
    if (!stream) return 0;
    train_trail_begin(&trail, stream);
    while ((found = train_trail_next(&trail, &line)) > 0) continue;
    if (found < 0 && trail.why[0] == 0) abort();
    fclose(stream);
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
/* A start, some rounds, an end; one in two with a line that does not follow. */
static size_t trail_seed(uint64_t i, uint8_t *data, size_t room) {
    static train_trail_line line;
    static char text[TRAIN_TRAIL_LINE];
    char head[TRAIN_DIGEST_HEX] = "";
    size_t used = 0;
    memset(head, '0', TRAIN_DIGEST_HEX - 1);
    for (uint64_t k = 0; k < 2 + i % 4; k++) {
        size_t length;
        memset(&line, 0, sizeof line);
        line.event = k == 0 ? TRAIN_TRAIL_START : k == 1 + i % 4 ? TRAIN_TRAIL_END : TRAIN_TRAIL_ROUND;
        line.servers = 1;
        line.step = k > 0 ? k - 1 : 0;
        line.status = i % 3 ? 0 : -3;
        snprintf(line.contract, sizeof line.contract, "model=mlp\nname=a\"b\\c\n");
        snprintf(line.verdicts, sizeof line.verdicts, "..B.A");
        line.present = 4;
        memcpy(line.before, head, sizeof head);
        memcpy(line.sum, head, sizeof head);
        memcpy(line.parameters, head, sizeof head);
        length = train_trail_write(&line, text);
        if (i % 2 == 0 || k == 0) train_blake2b_hex(text, length, head);
        text[length++] = '\n';
        if (used + length > room) break;
        memcpy(data + used, text, length);
        used += length;
    }
    return used;
}
#define DRACO_FUZZ_SEED trail_seed
#define DRACO_FUZZ_ROOM 8192
#include "fuzz_main.h"
#endif
