/* The instruction set is pinned before the first computation, and then is what computes. */
#define DRACO_MLP_IMPLEMENTATION
#include "models/draco_mlp.h"
#include "models/draco_layers.h"
#include "support/models_check.h"

static void pinned_before_the_first_product(void **state) {
    (void)state;
#if DRACO_ONEDNN
    char text[256] = "";
    const char *lower = __builtin_cpu_supports("avx2") ? "avx2" : "sse41";
    assert_int_equal(draco_isa_set("AVX2 ", text, sizeof text), DRACO_E_ARGUMENT);
    assert_non_null(strstr(text, draco_isa_list()));
    assert_int_equal(draco_isa_set(lower, text, sizeof text), DRACO_OK);
    draco_compute_describe(text, sizeof text);
    size_t length = strlen(text);
    assert_true(length > strlen(lower));
    assert_string_equal(text + length - strlen(lower), lower);

    draco_dataset data = check_values(50, 12, 4);
    const draco_mlp_config config = {&data, NULL, 2, {7, 5}};
    draco_model m;
    assert_int_equal(draco_mlp_open(&m, &config), DRACO_OK);
    check_golden(&m, "mlp.txt", 70, 1e-5);
    draco_mlp_close(&m);
    check_free(&data);
    assert_int_equal(draco_isa_set("all", text, sizeof text), DRACO_E_MODEL);
#else
    char text[256] = "";
    assert_int_equal(draco_isa_set("all", text, sizeof text), DRACO_OK);
    assert_int_equal(draco_isa_set("avx2", text, sizeof text), DRACO_E_ARGUMENT);
    assert_non_null(strstr(text, "OPENBLAS_CORETYPE"));
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pinned_before_the_first_product)};
    return cmocka_run_group_tests_name("isa", tests, NULL, NULL);
}
