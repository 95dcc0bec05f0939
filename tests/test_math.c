/* Arithmetic of fixed shape: errors in units of the last place, the shapes written out, the thread's mode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "models/draco_math.h"

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Of a float, against long double: 0 where both are infinite, 0 or NaN alike. */
static double ulps(float got, long double want) {
    const float nearest = (float)want;
    int exponent;
    if (memcmp(&got, &nearest, sizeof got) == 0 || (isnan(got) && isnan(nearest))) {
        if (!isfinite(nearest)) return 0;
    } else if (!isfinite(got) || !isfinite(nearest)) {
        return HUGE_VAL;
    }
    frexpf(nearest, &exponent);
    if (exponent < -125 || !(fabsf(nearest) > 0))
        exponent = -125; /* subnormal numbers and 0 have one spacing */
    return (double)(fabsl((long double)got - want) / ldexpl(1, exponent - 24));
}

/* All floats in `make check-all`, every 5,003rd else: all exponents either way. */
static void errors_of_exp_and_log(void **unused) {
    const char *stress = getenv("DRACO_STRESS");
    const uint64_t step = stress && strcmp(stress, "full") == 0 ? 1 : 5003;
    double worst_exp = 0, worst_log = 0;
    (void)unused;
    for (uint64_t i = 0; i < (uint64_t)1 << 32; i += step) {
        const float x = float_of((uint32_t)i);
        const double of_exp = ulps((float)draco_exp((double)x), expl((long double)x));
        const double of_log = ulps((float)draco_log((double)x), logl((long double)x));
        if (!(of_exp <= worst_exp)) worst_exp = of_exp;
        if (!(of_log <= worst_log)) worst_log = of_log;
    }
    printf("# ulp of float, every %d. float: exp %.6f, log %.6f\n", (int)step, worst_exp, worst_log);
    assert_true(worst_exp <= 0.5001);
    assert_true(worst_log <= 0.5001);
}

static void errors_in_double(void **unused) {
    double worst_exp = 0, worst_log = 0, worst_log1p = 0, worst_cos = 0;
    (void)unused;
    for (int i = -200000; i <= 200000; i++) {
        const double x = i * 0.0035, e = draco_exp(x), y = 1 + i * 2.4e-6, turn = fabs(i / 2e5);
        const long double want = expl((long double)x), log_want = logl((long double)y);
        const double cos_error = fabs(draco_cos_pi(turn) - cos(3.14159265358979323846 * turn));
        const double e_error = (double)(fabsl((long double)e - want) / want);
        const double log_error = (double)(fabsl((long double)draco_log(y) - log_want) / fabsl(log_want));
        const double log1p_error = fabs(draco_log1p(e) / log1p(e) - 1);
        if (e_error > worst_exp) worst_exp = e_error;
        if (i != 0 && log_error > worst_log) worst_log = log_error;
        if (x < 700 && log1p_error > worst_log1p) worst_log1p = log1p_error;
        if (cos_error > worst_cos) worst_cos = cos_error;
    }
    printf("# relative: exp %.2g, log %.2g, log1p %.2g; absolute: cos %.2g\n", worst_exp, worst_log,
           worst_log1p, worst_cos);
    assert_true(worst_exp < 2.3e-16 && worst_log < 2.3e-16 && worst_log1p < 1e-15 && worst_cos < 7e-16);
}

/* Bits that differ between mathematical libraries, as golden numbers; and what stands at the ends of the range. */
static void values_that_are_known(void **unused) {
    (void)unused;
    assert_true(draco_exp(0) == 1 && draco_exp(-HUGE_VAL) == 0 && draco_exp(-746) == 0);
    assert_true(draco_exp(HUGE_VAL) == HUGE_VAL && draco_exp(709.79) == HUGE_VAL &&
                draco_exp(709.78) < HUGE_VAL);
    assert_true(draco_exp(-745.1) == 0x1p-1074 && isnan(draco_exp((double)NAN)));
    assert_true(draco_log(1) == 0 && draco_log(0) == -HUGE_VAL && draco_log(HUGE_VAL) == HUGE_VAL);
    assert_true(isnan(draco_log(-1)) && isnan(draco_log((double)NAN)) && draco_log(0x1p-1074) < -744.4);
    assert_true(draco_log1p(1e-20) == 1e-20 && draco_log1p(0) == 0 && draco_log1p(HUGE_VAL) == HUGE_VAL);
    assert_true(draco_cos_pi(0) == 1 && draco_cos_pi(1) == -1);
}

/* One rounding: libm's fmaf, which glibc tests to be exact, on numbers of all sizes and on those that nearly cancel. */
static void fused_is_exact(void **unused) {
    uint64_t state = 1;
    (void)unused;
    for (int i = 0; i < 3000000; i++) {
        float x[3];
        for (int k = 0; k < 3; k++) {
            uint32_t bits;
            state = state * 6364136223846793005u + 1442695040888963407u;
            bits = (uint32_t)(state >> 32);
            if (i % 3 == 1) bits = (bits & 0x80ffffffu) | 0x3f000000u;                 /* of one size */
            if (i % 3 == 2) bits = (bits & 0x80ffffffu) | (k == 2 ? 0u : 0x20000000u); /* subnormal */
            x[k] = float_of(bits);
        }
        if (i % 2) x[2] = float_of((uint32_t)(state >> 40)) - x[0] * x[1];
        const float mine = draco_fma_plain(x[0], x[1], x[2]), by_name = draco_fma(x[0], x[1], x[2]);
        const float want = fmaf(x[0], x[1], x[2]);
        if (isnan(want) ? !isnan(mine) || !isnan(by_name)
                        : memcmp(&mine, &want, sizeof want) != 0 || memcmp(&by_name, &want, sizeof want) != 0)
            fail_msg("fma(%a, %a, %a) = %a, not %a", (double)x[0], (double)x[1], (double)x[2], (double)mine,
                     (double)want);
    }
}

/* The shapes, as docs/reproducible.md states them. */
static void shapes_of_sums(void **unused) {
    static float a[1000], b[1000], c[12];
    (void)unused;
    for (int i = 0; i < 1000; i++) {
        a[i] = (float)((i * 7919) % 1009 - 500) / 3.0f;
        b[i] = (float)((i * 104729) % 997 - 498) / 7.0f;
    }
    for (size_t n = 0; n <= 1000; n = n < 40 ? n + 1 : n + 191) {
        double sum[16] = {0}, dot[16] = {0};
        for (size_t i = 0; i < n; i++) {
            sum[i % 16] += (double)a[i];
            dot[i % 16] += (double)a[i] * (double)b[i];
        }
        for (int half = 8; half > 0; half /= 2)
            for (int k = 0; k < half; k++) {
                sum[k] += sum[k + half];
                dot[k] += dot[k + half];
            }
        assert_true(draco_sum(a, n) == sum[0]);
        assert_true(draco_dot(a, b, n) == dot[0]);
    }
    draco_product(3, 4, 100, a, b, c);
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 4; j++) {
            float chain = 0;
            for (size_t k = 0; k < 100; k++) chain = fmaf(a[i * 100 + k], b[k * 4 + j], chain);
            assert_true(c[i * 4 + j] == chain);
        }
}

/* A product and a sum are two operations: fused, the rest of a square would not be 0. */
static void nothing_is_fused(void **unused) {
    volatile float x = 1.0f + 0x1p-12f, minus = -(x * x);
    volatile double y = 1.0 + 0x1p-30, minus_y = -(y * y);
    const float a = x, b = minus;
    const double c = y, d = minus_y;
    (void)unused;
    assert_true(a * a + b == 0);
    assert_true(c * c + d == 0);
    assert_true(draco_fma(a, a, b) == 0x1p-24f);
}

/* Calls, so that nothing is computed before or after its mode. */
static __attribute__((noinline)) float small_product(void) {
    volatile float x = 0x1p-126f, half = 0.5f;
    return x * half;
}
static __attribute__((noinline)) float third(void) {
    volatile float one = 1, three = 3;
    return one / three;
}

/* A thread that flushes subnormal numbers or rounds downwards computes as others do, and gets its mode back. */
static void mode_of_the_thread(void **unused) {
    (void)unused;
    const float nearest = third();
    fesetround(FE_DOWNWARD);
    const float down = third();
    draco_math_mode mode = draco_math_begin();
    const float inside = third();
    draco_math_end(mode);
    const int round = fegetround();
    fesetround(FE_TONEAREST);
    assert_true(inside == nearest && down < nearest);
    assert_int_equal(round, FE_DOWNWARD);
#if defined(__SSE__) || defined(__aarch64__)
#if defined(__SSE__)
    const unsigned plain = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(plain | 0x8040); /* flush results and operands */
#else
    uint64_t plain;
    __asm__ volatile("mrs %0, fpcr" : "=r"(plain));
    __asm__ volatile("msr fpcr, %0" : : "r"(plain | (uint64_t)1 << 24));
#endif
    const float flushed = small_product();
    mode = draco_math_begin();
    const float kept = small_product();
    draco_math_end(mode);
    const float again = small_product();
#if defined(__SSE__)
    __builtin_ia32_ldmxcsr(plain);
#else
    __asm__ volatile("msr fpcr, %0" : : "r"(plain));
#endif
    assert_true(memcmp(&flushed, &again, sizeof flushed) == 0 && float_of(0x00400000) == kept);
    assert_true(memcmp(&flushed, &(float){0}, sizeof flushed) == 0);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_of_exp_and_log), cmocka_unit_test(errors_in_double),
        cmocka_unit_test(values_that_are_known), cmocka_unit_test(fused_is_exact),
        cmocka_unit_test(shapes_of_sums),        cmocka_unit_test(nothing_is_fused),
        cmocka_unit_test(mode_of_the_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
