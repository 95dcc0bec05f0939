/* A server that traps floating-point exceptions survives whatever bits a message has: Inf, NaN (quiet and
 * signalling) and the largest numbers, in every code and in the tolerant vote. */
#define _GNU_SOURCE
#include "support/codes_helpers.h"

#include <fenv.h>

/* Inf, quiet and signalling NaN of both signs, the largest and the least float. */
static const uint32_t hostile[] = {0x7f800000u, 0xff800000u, 0x7fc00000u, 0xffc00000u, 0x7f800001u,
                                   0xffbfffffu, 0x7f7fffffu, 0xff7fffffu, 0x00000001u, 0xffffffffu};
enum { HOSTILE = sizeof hostile / sizeof *hostile };

static void trap(int on) {
#ifdef __GLIBC__
    const int exceptions = FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW;
    feclearexcept(FE_ALL_EXCEPT);
    (void)(on ? feenableexcept(exceptions) : fedisableexcept(exceptions));
#else
    (void)on;
#endif
}

static void codes_survive(void **state) {
    (void)state;
    uint64_t rng = 1;
    enum { N = 7, D = 2 * 4096 + 33 };
    for (int kind = 0; kind < 3; kind++) {
        draco_code code =
            code_of(kind ? DRACO_CYCLIC : DRACO_REPETITION,
                    kind == 2 ? DRACO_FIELD_PRIME : DRACO_FIELD_COMPLEX, DRACO_SUPPORT_SPREAD, N, 2, 0);
        step now = step_new(code, D, &rng);
        void *work = malloc(draco_decode_work_bytes(&code));
        float *sum = malloc(D * sizeof *sum);
        for (int k = 0; k < HOSTILE; k++) {
            size_t places[] = {0, 4096 + 5, D - 1}; /* in two whole blocks and in the piece at the end */
            for (size_t p = 0; p < 3; p++) {
                int liar = rng_below(&rng, N), changed;
                unsigned char *at = step_message(&now, liar) + 4 * places[p], kept[4];
                const void *rows[N];
                draco_verdict verdicts[N];
                draco_report report;
                draco_seed seed = rng_seed(&rng);
                for (int i = 0; i < N; i++) rows[i] = step_message(&now, i);
                memcpy(kept, at, 4);
                memcpy(at, &hostile[k], 4);
                changed = memcmp(kept, at, 4) != 0;
                trap(1);
                draco_status status =
                    draco_decode(&code, &seed, rows, D, now.exponents, work, sum, verdicts, &report);
                trap(0);
                assert_int_equal(status, DRACO_OK);
                for (int i = 0; i < N; i++)
                    if (i != liar) assert_int_equal(verdicts[i], DRACO_AGREES);
                int inf = (hostile[k] & 0x7f800000u) == 0x7f800000u, outside = hostile[k] >= 0x7fffffffu;
                assert_int_equal(verdicts[liar], !changed ? DRACO_AGREES
                                                 : (kind == 1 && inf) || (kind == 2 && outside)
                                                     ? DRACO_MALFORMED
                                                     : DRACO_BLAMED);
                assert_true(relative_error(sum, now.sum, D) < 1e-5);
                memcpy(at, kept, 4);
            }
        }
        free(work);
        free(sum);
        step_free(&now);
    }
}

static void tolerant_vote_survives(void **state) {
    (void)state;
    enum { N = 5, D = 4099 };
    static float rows[N][D];
    const float *messages[N];
    for (size_t i = 0; i < N; i++) {
        messages[i] = rows[i];
        for (size_t c = 0; c < D; c++) rows[i][c] = (float)c;
    }
    for (int k = 0; k < HOSTILE; k++) {
        size_t liar = (size_t)k % N, place = k % 2 ? D - 1 : 2, winner;
        float kept = rows[liar][place];
        draco_verdict verdicts[N];
        memcpy(&rows[liar][place], &hostile[k], 4);
        trap(1);
        draco_status status = draco_vote_tolerant(messages, N, D, 1e-3f, 1e-3f, 3, &winner, verdicts);
        trap(0);
        assert_int_equal(status, DRACO_OK);
        for (size_t i = 0; i < N; i++) assert_int_equal(verdicts[i], i == liar ? DRACO_BLAMED : DRACO_AGREES);
        rows[liar][place] = kept;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_survive),
        cmocka_unit_test(tolerant_vote_survives),
    };
    return cmocka_run_group_tests_name("traps", tests, NULL, NULL);
}
