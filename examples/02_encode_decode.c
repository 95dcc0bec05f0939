/* Seven workers, one liar, one missing, no transport: an encoder for each worker and one decoder. The calls are the
 * same for all three codes; 03_cyclic_by_hand shows the functions of draco_codes.h below them. */
#define DRACO_IMPLEMENTATION
#include "draco.h"

enum { WORKERS = 7, D = 7, LIAR = 4, MISSING = 2 };

/* The gradient of part k of the batch; in real use a model computes it. Equal workers give equal bits. */
static draco_status gradient_of(void *ctx, int part, size_t first, size_t count, float *gradient) {
    (void)ctx, (void)first, (void)count;
    for (int c = 0; c < D; c++) gradient[c] = (float)(part + 1) * 0.25f + (float)c;
    return DRACO_OK;
}

static int run(draco_scheme scheme, draco_field field) {
    draco_coding coding = {.d = D, .gradient = gradient_of};
    draco_encoder *worker[WORKERS] = {NULL};
    draco_decoder *server;
    draco_round round;
    void *messages[WORKERS];
    draco_status status;
    float sum[D], gradient[D], truth[D] = {0};
    char text[200];
    coding.code = (draco_code){.n = WORKERS, .s = 1, .t = 1, .scheme = scheme, .field = field};
    if (draco_coding_init(&coding) != DRACO_OK || draco_decoder_open(&server, &coding) != DRACO_OK) return 1;
    draco_code_describe(&coding.code, text, sizeof text);
    printf("%s\n", text);
    for (int i = 0; i < WORKERS; i++)
        if (draco_encoder_open(&worker[i], &coding, i) != DRACO_OK) return 1;

    /* Prime field: the server says what to round to, and asks again when the gradients have outgrown it, as in the
     * first round. The other codes have nothing to agree on: no bytes. */
    do {
        const void *agreed = draco_decoder_agreed(server);
        for (int i = 0; i < WORKERS; i++) draco_encoder_message(worker[i], agreed, &messages[i]);
        memset(messages[LIAR], 1, coding.message_bytes);
        messages[MISSING] = NULL;
        status = draco_decoder_decode(server, messages, sum, &round);
    } while (status == DRACO_E_AGAIN);

    int failed = status < 0;
    draco_report_describe(&coding.code, round.status, round.verdicts, &round.report, text, sizeof text);
    printf("%s\n", text);
    for (int part = 0; part < coding.code.parts; part++) {
        gradient_of(NULL, part, 0, 0, gradient);
        for (int c = 0; c < D; c++) truth[c] += gradient[c];
    }
    for (int c = 0; c < D && !failed; c++)
        printf("coordinate %d: decoded %9.5f, sum of all parts %9.5f\n", c, (double)sum[c], (double)truth[c]);
    failed |= round.verdicts[LIAR] != DRACO_BLAMED || round.verdicts[MISSING] != DRACO_ABSENT;
    for (int i = 0; i < WORKERS; i++) draco_encoder_close(worker[i]);
    draco_decoder_close(server);
    return failed;
}

int main(void) {
    return run(DRACO_REPETITION, DRACO_FIELD_COMPLEX) || run(DRACO_CYCLIC, DRACO_FIELD_COMPLEX) ||
           run(DRACO_CYCLIC, DRACO_FIELD_PRIME);
}
