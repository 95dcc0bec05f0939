/* Hostile ballots, casts and spoilt ballots: the exact vote and the box must agree with each other. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DRACO_VOTE_IMPLEMENTATION
#include "draco_vote.h"

#define MOST 16

/* Bytes of the input: n, quorum, size of a ballot, then one byte per voter (absent or where its ballot begins
 * in what follows), then the ballots' bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const void *ballots[MOST] = {NULL};
    draco_verdict memory[MOST * 5], exact_verdicts[MOST], box_verdicts[MOST];
    size_t n, quorum, bytes, exact_winner = 99, box_winner = 99;
    draco_status exact_status, box_status;
    draco_tally box;
    if (size < 3) return 0;
    n = data[0] % (MOST + 1);
    quorum = data[1] % (MOST + 2);
    bytes = data[2] % 16;
    data += 3;
    size -= 3;
    if (size < n + bytes) return 0;
    for (size_t i = 0; i < n; i++) {
        size_t span = size - n - bytes + 1;
        ballots[i] = data[i] % 5 == 0 ? NULL : data + n + data[i] / 5 % span;
        exact_verdicts[i] = box_verdicts[i] = DRACO_MALFORMED;
    }
    exact_status = draco_vote_exact(ballots, n, bytes, quorum, &exact_winner, exact_verdicts);
    if (draco_tally_open(&box, n, bytes, quorum, memory) != DRACO_OK) return 0;
    for (size_t i = 0; i < n; i++) {
        size_t voter = (i * 7 + data[0]) % MOST; /* out of order; some are no voters at all */
        if (voter < n && ballots[voter]) draco_tally_cast(&box, voter, ballots[voter]);
        if (voter >= n && draco_tally_cast(&box, voter, data) != DRACO_E_INDEX) abort();
    }
    for (size_t i = 0; i < n; i++) {
        draco_status again = ballots[i] ? draco_tally_cast(&box, i, ballots[i]) : DRACO_E_ARGUMENT;
        if (!ballots[i] && data[i] % 2) draco_tally_spoil(&box, i, DRACO_ABSENT);
        if (again == DRACO_E_ARGUMENT && ballots[i] && box.state[i] != DRACO_AGREES) abort();
    }
    box_status = draco_tally_close(&box, &box_winner, box_verdicts);
    if (box_status != exact_status || box_winner != exact_winner) abort();
    if (memcmp(box_verdicts, exact_verdicts, n * sizeof *box_verdicts) != 0) abort();
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
#include "fuzz_main.h"
#endif
