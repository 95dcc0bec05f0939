/* Hostile ballots, casts and spoilt ballots: the exact vote and the tally must agree with each other. */
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
    draco_verdict memory[MOST * 5], exact_verdicts[MOST], tally_verdicts[MOST];
    size_t n, quorum, bytes, exact_winner = 99, tally_winner = 99;
    draco_status exact_status, tally_status;
    draco_tally tally;
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
        exact_verdicts[i] = tally_verdicts[i] = DRACO_MALFORMED;
    }
    exact_status = draco_vote_exact(ballots, n, bytes, quorum, &exact_winner, exact_verdicts);
    if (draco_tally_open(&tally, n, bytes, quorum, memory) != DRACO_OK) return 0;
    for (size_t i = 0; i < n; i++) {
        size_t voter = (i * 7 + data[0]) % MOST; /* out of order; some are no voters at all */
        if (voter < n && ballots[voter]) draco_tally_cast(&tally, voter, ballots[voter]);
        if (voter >= n && draco_tally_cast(&tally, voter, data) != DRACO_E_INDEX) abort();
    }
    for (size_t i = 0; i < n; i++) {
        draco_status again = ballots[i] ? draco_tally_cast(&tally, i, ballots[i]) : DRACO_E_ARGUMENT;
        if (!ballots[i] && data[i] % 2) draco_tally_spoil(&tally, i, DRACO_ABSENT);
        if (again == DRACO_E_ARGUMENT && ballots[i] && tally.state[i] != DRACO_AGREES) abort();
    }
    tally_status = draco_tally_close(&tally, &tally_winner, tally_verdicts);
    if (tally_status != exact_status || tally_winner != exact_winner) abort();
    if (memcmp(tally_verdicts, exact_verdicts, n * sizeof *tally_verdicts) != 0) abort();
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
#include "fuzz_main.h"
#endif
