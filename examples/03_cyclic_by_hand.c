/* The cyclic code with n = 5 workers of which s = 1 lies, by hand and then by the library. Worker i stands at the
 * point x = i + 1; each of the five parts has a gradient of one number. docs/codes.md explains every line. */
#define DRACO_CODES_IMPLEMENTATION
#include "draco_codes.h"

#include <stdlib.h>

enum { N = 5, LIAR = 3 };

/* f_k(x) = prod (1 - x / x_m) over the workers m that do not hold part k: 1 at x = 0, 0 at those workers. */
static double f(const draco_code *code, int part, double x) {
    double product = 1;
    for (int m = 0; m < N; m++)
        if (!draco_code_holds(code, m, part)) product *= 1 - x / (m + 1);
    return product;
}

/* 1 / prod (x_i - x_m): with these weights, polynomials of degree up to 3 add up to zero over the five points. */
static double dual(int i) {
    double product = 1;
    for (int m = 0; m < N; m++)
        if (m != i) product *= i - m;
    return 1 / product;
}

/* Interpolation at 0 from some of the points: prod x_m / (x_m - x_i). */
static double weight(int i, const int *chosen, int count) {
    double product = 1;
    for (int k = 0; k < count; k++)
        if (chosen[k] != i) product *= (chosen[k] + 1.0) / (chosen[k] - i);
    return product;
}

/* Returns the sum that hand work finds in the messages, and whom it blames. */
static double by_hand(const double *messages, int *blamed) {
    double s0 = 0, s1 = 0, sum = 0;
    int chosen[3], count = 0;
    for (int i = 0; i < N; i++) {
        s0 += dual(i) * messages[i];
        s1 += dual(i) * (i + 1) * messages[i];
    }
    *blamed = s0 == 0 && s1 == 0 ? -1 : (int)(s1 / s0 + 0.5) - 1;
    printf("\nTwo syndromes, 0 for honest messages: S0 = %g, S1 = %g.\n", s0, s1);
    printf("One lie at the point x makes S1 = x S0, and S1 / S0 = %g: worker %d lied.\n", s1 / s0, *blamed);
    for (int i = 0; i < N && count < 3; i++)
        if (i != *blamed) chosen[count++] = i;
    printf("F has degree 2, so three honest messages give F(0) =");
    for (int k = 0; k < count; k++) {
        printf(" %+g * %g", weight(chosen[k], chosen, count), messages[chosen[k]]);
        sum += weight(chosen[k], chosen, count) * messages[chosen[k]];
    }
    printf(" = %g.\n", sum);
    return sum;
}

/* The same through draco_codes.h, in the prime field. */
static int by_library(const draco_code *code, const double *gradients, double truth) {
    uint32_t messages[N];
    const void *rows[N];
    uint8_t exponents[1] = {0}, own = 0;
    draco_verdict verdicts[N];
    draco_report report;
    draco_seed seed;
    float g, sum;
    draco_encoding *encoding = malloc(draco_encoding_bytes(code, 1));
    if (!encoding || draco_encode_init(code, 1, encoding) != DRACO_OK) return 1;
    for (int k = 0; k < N; k++) {
        g = (float)gradients[k];
        draco_exponents_of(code, &g, 1, &own);
        if (own > exponents[0]) exponents[0] = own;
    }
    for (int i = 0; i < N; i++) {
        draco_encode_begin(code, 1, encoding);
        for (int l = 0; l < draco_code_load(code, i); l++) {
            g = (float)gradients[draco_code_part(code, i, l)];
            draco_encode_add(code, i, draco_code_part(code, i, l), &g, 1, exponents, encoding);
        }
        draco_encode_end(code, 1, encoding, &messages[i]);
        rows[i] = &messages[i];
    }
    free(encoding);
    messages[LIAR] ^= 1;
    void *work = malloc(draco_decode_work_bytes(code));
    if (!work || draco_seed_random(&seed) != DRACO_OK) return 1;
    draco_status status = draco_decode(code, &seed, rows, 1, exponents, work, &sum, verdicts, &report);
    free(work);
    if (status < 0) return 1;
    printf("\nThe library, modulo 2^31 - 1 and with one bit of worker %d's message changed: sum %g, worker "
           "%d %s.\n",
           LIAR, (double)sum, LIAR, draco_verdict_text(verdicts[LIAR]));
    return verdicts[LIAR] != DRACO_BLAMED || (double)sum != truth;
}

int main(void) {
    draco_code code = {.scheme = DRACO_CYCLIC,
                       .field = DRACO_FIELD_PRIME,
                       .support = DRACO_SUPPORT_CONTIGUOUS,
                       .n = N,
                       .s = 1};
    const double gradients[N] = {60, 120, -60, 180, 0};
    double messages[N] = {0}, truth = 0;
    int blamed;
    if (draco_code_init(&code) != DRACO_OK) return 1;
    printf("Five workers, one may lie: every part is held by r = 2s + 1 = %d workers.\n\n", code.r);
    printf("part  gradient   f_k(x) at worker 0 (x=1), 1 (x=2), ...  4 (x=5)\n");
    for (int k = 0; k < N; k++) {
        printf("%4d  %8g  ", k, gradients[k]);
        for (int i = 0; i < N; i++) printf("%9.4g", f(&code, k, i + 1) + 0.0);
        printf("\n");
        truth += gradients[k];
    }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) messages[i] += gradients[k] * f(&code, k, i + 1);
    printf("\nWorker i sends F(x_i) = sum of gradient * f_k(x_i):");
    for (int i = 0; i < N; i++) printf(" %g", messages[i]);
    printf("\nAll f_k(0) = 1, so F(0) is the sum of the gradients: %g.\n", truth);
    messages[LIAR] += 24;
    printf("\nWorker %d lies: it sends %g instead of %g.\n", LIAR, messages[LIAR], messages[LIAR] - 24);
    double sum = by_hand(messages, &blamed);
    return by_library(&code, gradients, truth) || blamed != LIAR || fabs(sum - truth) > 1e-9;
}
