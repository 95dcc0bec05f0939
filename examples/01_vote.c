/* 01: a vote over plain buffers, with no workers and no network.
 *
 * Seven workers should send the same gradient. Five do, so that their bytes are equal; two lie, and the server
 * does not know which. The vote finds a value that more workers sent than can lie, and blames the others. */
#include <stdio.h>
#include <string.h>

#define DRACO_VOTE_IMPLEMENTATION
#include "draco_vote.h"

enum { WORKERS = 7, LIARS = 2, FLOATS = 4, QUORUM = LIARS + 1 };

static void print_gradient(size_t worker, const float *gradient) {
    printf("  worker %zu sent", worker);
    for (int j = 0; j < FLOATS; j++) printf(" %8.3f", (double)gradient[j]);
    printf("\n");
}

static void print_result(draco_status status, size_t winner, const draco_verdict *verdicts) {
    if (status != DRACO_OK) {
        printf("  no result: %s\n\n", draco_status_text(status));
        return;
    }
    printf("  take worker %zu's:", winner);
    for (size_t i = 0; i < WORKERS; i++)
        printf(" %zu %s%s", i, draco_verdict_text(verdicts[i]), i + 1 < WORKERS ? "," : "\n\n");
}

/* All messages are in memory: compare their bytes. present: one digit per worker, 1: it replied. */
static draco_status vote_on_buffers(const float gradients[][FLOATS], const char *present) {
    const void *messages[WORKERS];
    draco_verdict verdicts[WORKERS];
    size_t winner = 0;
    for (size_t i = 0; i < WORKERS; i++) messages[i] = present[i] == '1' ? gradients[i] : NULL;
    draco_status status = draco_vote_exact(messages, WORKERS, sizeof gradients[0], QUORUM, &winner, verdicts);
    print_result(status, winner, verdicts);
    return status;
}

/* Messages arrive piece by piece: fingerprint the pieces, and vote on 16 bytes per worker. */
static draco_status vote_on_arrival(const float gradients[][FLOATS]) {
    draco_seed seed;
    draco_fingerprint_key key;
    draco_tally tally;
    draco_verdict verdicts[WORKERS], memory[WORKERS * (1 + DRACO_FINGERPRINT_BYTES / sizeof(draco_verdict))];
    size_t winner = 0;
    int told = 0;
    if (draco_seed_random(&seed) != DRACO_OK) return DRACO_E_RANDOM;
    draco_fingerprint_key_init(&key, &seed); /* secret: a liar must not know it */
    draco_tally_open(&tally, WORKERS, DRACO_FINGERPRINT_BYTES, QUORUM, memory);
    for (size_t i = 0; i < WORKERS; i++) {
        size_t worker = (i * 3 + 1) % WORKERS; /* they come in any order */
        const char *bytes = (const char *)gradients[worker];
        draco_fingerprint f;
        uint8_t fingerprint[DRACO_FINGERPRINT_BYTES];
        draco_fingerprint_begin(&f, 0);
        draco_fingerprint_add(&f, &key, bytes, 5); /* in any pieces */
        draco_fingerprint_add(&f, &key, bytes + 5, sizeof gradients[0] - 5);
        draco_fingerprint_finish(&f, &key, fingerprint);
        draco_status status = draco_tally_cast(&tally, worker, fingerprint);
        printf("  worker %zu is in: %s\n", worker,
               status == DRACO_MORE ? "not decided yet"
               : told++             ? "judged, too"
                                    : "DECIDED");
    }
    draco_status status = draco_tally_close(&tally, &winner, verdicts);
    print_result(status, winner, verdicts);
    return status;
}

/* Workers on different processors differ in the last bits: allow for rounding, and for nothing more. */
static draco_status vote_with_tolerance(float gradients[][FLOATS]) {
    const float *messages[WORKERS];
    draco_verdict verdicts[WORKERS];
    size_t winner = 0;
    for (size_t i = 0; i < WORKERS; i++) {
        messages[i] = gradients[i];
        for (int j = 0; j < FLOATS; j++) gradients[i][j] *= 1 + 1e-7f * (float)i;
    }
    printf("  compared as bytes:\n");
    vote_on_buffers((const float(*)[FLOATS])gradients, "1111111");
    printf("  compared with a relative tolerance of 1e-5:\n");
    draco_status status = draco_vote_tolerant(messages, WORKERS, FLOATS, 0, 1e-5f, QUORUM, &winner, verdicts);
    print_result(status, winner, verdicts);
    return status;
}

int main(void) {
    const float truth[FLOATS] = {0.25f, -1.5f, 3.0f, 0.125f};
    float gradients[WORKERS][FLOATS];
    const float(*sent)[FLOATS] = (const float(*)[FLOATS])gradients;
    for (size_t i = 0; i < WORKERS; i++) memcpy(gradients[i], truth, sizeof truth);
    for (int j = 0; j < FLOATS; j++) gradients[2][j] = -100 * truth[j]; /* lies boldly */
    gradients[5][3] += 0.001f;                                          /* lies a little */

    printf("Seven workers, of which at most two lie. A value that three sent has an honest sender.\n\n");
    for (size_t i = 0; i < WORKERS; i++) print_gradient(i, gradients[i]);
    printf("\n1. Vote over the buffers\n");
    int bad = vote_on_buffers(sent, "1111111") != DRACO_OK;
    printf("2. Vote as the messages arrive\n");
    bad |= vote_on_arrival(sent) != DRACO_OK;
    printf("3. Only workers 1, 2, 3 and 5 reply: an error, never a guess\n");
    bad |= vote_on_buffers(sent, "0111010") != DRACO_E_NO_MAJORITY;
    printf("4. Workers whose processors round differently\n");
    bad |= vote_with_tolerance(gradients) != DRACO_OK;
    return bad;
}
