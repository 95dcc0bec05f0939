/* Seven workers, one liar, one straggler, no transport: encode with draco_codes.h, decode, print who lied. */
#define DRACO_CODES_IMPLEMENTATION
#include "draco_codes.h"

#include <stdlib.h>

enum { WORKERS = 7, D = 6 };

/* The gradient of part k of the batch; in real use a model computes it. Equal workers give equal bits. */
static void gradient_of(int part, float *gradient) {
    for (int c = 0; c < D; c++) gradient[c] = (float)(part + 1) * 0.25f + (float)c;
}

int main(void) {
    draco_code code = {.scheme = DRACO_CYCLIC, .field = DRACO_FIELD_COMPLEX, .n = WORKERS, .s = 1, .t = 1};
    float messages[WORKERS][D], gradient[D], sum[D], truth[D] = {0};
    const void *rows[WORKERS];
    draco_verdict verdicts[WORKERS];
    draco_report report;
    draco_seed seed;
    char text[200];
    if (draco_code_init(&code) != DRACO_OK) return 1;
    draco_code_describe(&code, text, sizeof text);
    printf("%s\n", text);

    /* Worker: adds the coded gradient of each of its parts to one message. */
    for (int i = 0; i < WORKERS; i++) {
        draco_encode_begin(&code, D, messages[i]);
        for (int l = 0; l < draco_code_load(&code, i); l++) {
            int part = draco_code_part(&code, i, l);
            gradient_of(part, gradient);
            draco_encode_add(&code, i, part, gradient, D, NULL, messages[i]);
        }
        rows[i] = messages[i];
    }
    for (int c = 0; c < D; c++) messages[4][c] *= -100; /* a liar */
    rows[2] = NULL;                                     /* a straggler */

    /* Server: a fresh secret, then sketch, locate and combine in one call. */
    void *work = malloc(draco_decode_work_bytes(&code));
    if (!work || draco_seed_random(&seed) != DRACO_OK) return 1;
    draco_status status = draco_decode(&code, &seed, rows, D, NULL, work, sum, verdicts, &report);
    free(work);
    if (status < 0) {
        fprintf(stderr, "02_encode_decode: %s\n", draco_status_text(status));
        return 1;
    }
    draco_report_describe(&code, status, verdicts, &report, text, sizeof text);
    printf("%s\n", text);
    for (int part = 0; part < code.parts; part++) {
        gradient_of(part, gradient);
        for (int c = 0; c < D; c++) truth[c] += gradient[c];
    }
    for (int c = 0; c < D; c++)
        printf("coordinate %d: decoded %9.5f, sum of all parts %9.5f\n", c, (double)sum[c], (double)truth[c]);
    return verdicts[4] == DRACO_BLAMED && verdicts[2] == DRACO_ABSENT ? 0 : 1;
}
