/* Tolerant votes over any bits read as floats and any tolerance: the winner must be what the rule says. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DRACO_VOTE_IMPLEMENTATION
#include "draco_vote.h"

#define MOST 8

typedef struct poll {
    const float *ballots[MOST];
    size_t n, d, quorum;
    float abs_tol, rel_tol;
} poll;

static int agrees(const poll *p, size_t candidate, size_t ballot) {
    for (size_t k = 0; k < p->d; k++) {
        double a = (double)p->ballots[candidate][k], b = (double)p->ballots[ballot][k];
        if (!isfinite(a) || !isfinite(b)) return 0;
        if (!(fabs(a - b) <= (double)p->abs_tol + (double)p->rel_tol * fabs(a))) return 0;
    }
    return 1;
}

static size_t camp(const poll *p, size_t candidate) {
    size_t size = 0;
    if (!p->ballots[candidate] || !agrees(p, candidate, candidate)) return 0;
    for (size_t j = 0; j < p->n; j++) size += p->ballots[j] && agrees(p, candidate, j);
    return size;
}

static void check(const poll *p, draco_status status, size_t winner, const draco_verdict *verdicts) {
    size_t first = 0;
    while (first < p->n && camp(p, first) < p->quorum) first++;
    if ((status == DRACO_E_NO_MAJORITY) != (first == p->n)) abort();
    if (status != DRACO_OK) {
        if (winner != 99) abort();
        return;
    }
    if (winner != first) abort();
    for (size_t i = 0; i < p->n; i++) {
        draco_verdict want = DRACO_ABSENT;
        if (p->ballots[i] && agrees(p, winner, i))
            want = DRACO_AGREES;
        else if (p->ballots[i])
            want = camp(p, i) >= p->quorum ? DRACO_UNDECIDED : DRACO_BLAMED;
        if (verdicts[i] != want) abort();
    }
}

/* Bytes of the input: n, quorum, d, who is absent, the two tolerances, then the floats. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    float values[MOST * 8];
    draco_verdict verdicts[MOST];
    size_t winner = 99;
    poll p = {{NULL}, 0, 0, 0, 0, 0};
    if (size < 12) return 0;
    p.n = 1 + data[0] % MOST;
    p.quorum = data[1] % (MOST + 2);
    p.d = data[2] % 9;
    memcpy(&p.abs_tol, data + 4, 4);
    memcpy(&p.rel_tol, data + 8, 4);
    if (size - 12 < p.n * p.d * 4) return 0;
    memcpy(values, data + 12, p.n * p.d * 4);
    for (size_t i = 0; i < p.n; i++) p.ballots[i] = data[3] >> i & 1 ? NULL : values + i * p.d;
    draco_status status =
        draco_vote_tolerant(p.ballots, p.n, p.d, p.abs_tol, p.rel_tol, p.quorum, &winner, verdicts);
    if (draco_status_is_misuse(status)) return 0;
    check(&p, status, winner, verdicts);
    return 0;
}

#ifdef DRACO_FUZZ_MAIN
/* Ballots of a few values next to each other, with tolerances that they fall within or just beside. */
static size_t polls(uint64_t i, uint8_t *data, size_t room) {
    const float tolerance[] = {0, 0.25f, 0.5f, 1e-3f}, start[] = {0, 1, -2, 1e30f, 1e-40f};
    size_t n = 1 + i % MOST, d = i / 3 % 9;
    uint64_t r = (i + 1) * 0x9e3779b97f4a7c15u;
    (void)room;
    data[0] = (uint8_t)(n - 1);
    data[1] = (uint8_t)(1 + r % n);
    data[2] = (uint8_t)d;
    data[3] = r >> 8 & 1 ? 0 : (uint8_t)(r >> 16 & r >> 24);
    memcpy(data + 4, &tolerance[r >> 32 & 3], 4);
    memcpy(data + 8, &tolerance[r >> 34 & 3], 4);
    for (size_t j = 0; j < n * d; j++) {
        r = r * 6364136223846793005u + 1442695040888963407u;
        float value = start[i % 5] + (float)(r >> 61) * 0.125f;
        memcpy(data + 12 + 4 * j, &value, 4);
    }
    return 12 + 4 * n * d;
}
#define DRACO_FUZZ_SEED polls
#include "fuzz_main.h"
#endif
