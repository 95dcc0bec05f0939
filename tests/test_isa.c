/* Every kernel is chosen by its name, computes the gradient of the golden file, and the same bits. */
#define DRACO_MLP_IMPLEMENTATION
#include "models/draco_mlp.h"
#include "models/draco_layers.h"
#include "support/models_check.h"

static void kernels_have_names(void **state) {
    (void)state;
    char text[256] = "";
    assert_int_equal(draco_isa_set("AVX2 ", text, sizeof text), DRACO_E_ARGUMENT);
    assert_non_null(strstr(text, "AVX2 "));
    assert_non_null(strstr(text, draco_isa_list()));
    draco_dataset data = check_values(50, 12, 4);
    const draco_mlp_config config = {&data, NULL, 2, {7, 5}};
    draco_model m;
    assert_int_equal(draco_mlp_open(&m, &config), DRACO_OK);
    for (size_t i = 0; i < DRACO_KERNELS; i++) {
        const char *name = draco_kernels[i].name;
        assert_non_null(strstr(draco_isa_list(), name));
        if (!draco_kernel_runs(&draco_kernels[i])) {
            assert_int_equal(draco_isa_set(name, text, sizeof text), DRACO_E_ARGUMENT);
            assert_non_null(strstr(text, "no "));
            continue;
        }
        assert_int_equal(draco_isa_set(name, text, sizeof text), DRACO_OK);
        assert_true(draco_compute_describe(text, sizeof text) > 0);
        assert_string_equal(text + strlen(text) - strlen(name), name);
        check_golden(&m, "mlp.txt", 70, 1e-5);
    }
    draco_mlp_close(&m);
    check_free(&data);
    assert_int_equal(draco_isa_set("all", text, sizeof text), DRACO_OK);
    draco_compute_describe(text, sizeof text);
    assert_true(strcmp(text + strlen(text) - 5, "plain") != 0 || DRACO_KERNELS == 1 ||
                !draco_kernel_runs(&draco_kernels[0]));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(kernels_have_names)};
    return cmocka_run_group_tests_name("isa", tests, NULL, NULL);
}
