/* The promise itself: the model is the same bytes with liars as without, every liar is named, nobody else is,
   and a round that cannot be decoded changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DRACO_IMPLEMENTATION
#define DRACO_DATA_IMPLEMENTATION
#define DRACO_MLP_IMPLEMENTATION
#define DRACO_OPTIM_IMPLEMENTATION
#define DRACO_OPENMP_IMPLEMENTATION
#define DRACO_RULES_IMPLEMENTATION
#define DRACO_ATTACKS_IMPLEMENTATION
#include "support/training.h"

#include <signal.h>
#include <sys/time.h>

static training fc(void) {
    training t = {
        .code = {.n = 15, .s = 2}, .liars = 2, .hidden = 2, .widths = {800, 500}, .steps = 100, .batch = 45};
    return t;
}

static training small(void) {
    training t = {
        .code = {.n = 15, .s = 2}, .liars = 2, .hidden = 1, .widths = {32}, .steps = 20, .batch = 60};
    return t;
}

static void assert_same_model(training *a, training *b) {
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->dim, b->dim);
    assert_memory_equal(a->params, b->params, a->dim * sizeof(float));
    free(b->params);
}

static void fc_under_attack_is_the_same_bytes(void **state) {
    static const char *const attacks[] = {"reverse", "constant"};
    training honest = fc();
    (void)state;
    honest.share_parts = 1;
    training_run(&honest);
    assert_int_equal(honest.status, DRACO_OK);
    assert_true(honest.accuracy > 0.85);
    for (size_t i = 0; i < 2; i++) {
        training t = fc();
        t.attack = attacks[i];
        training_run(&t);
        assert_int_equal(t.lies, 200);
        assert_int_equal(t.caught, 200);
        assert_int_equal(t.wrongly, 0);
        assert_same_model(&honest, &t);
    }
    free(honest.params);
}

static void the_mean_is_ruined(void **state) {
    static const char *const attacks[] = {"reverse", "constant"};
    training honest = fc();
    (void)state;
    honest.code.s = 0;
    honest.rule = "mean";
    training_run(&honest);
    assert_true(honest.accuracy > 0.85);
    for (size_t i = 0; i < 2; i++) {
        training t = fc();
        t.code.s = 0;
        t.rule = "mean";
        t.attack = attacks[i];
        training_run(&t);
        assert_memory_not_equal(honest.params, t.params, honest.dim * sizeof(float));
        assert_true(t.accuracy < 0.2);
        assert_int_equal(t.caught, 0);
        free(t.params);
    }
    free(honest.params);
}

/* One network, every way the bits could come to differ. */
static void same_bytes_whatever_the_way(void **state) {
    training base = small();
    (void)state;
    base.threads = 1;
    training_run(&base);
    assert_int_equal(base.status, DRACO_OK);
    for (int variant = 0; variant < 8; variant++) {
        training t = small();
        t.threads = 1 + variant % 2;
        t.challenge = variant == 2 || variant == 3;
        t.share_parts = variant == 4;
        t.wait = variant == 5 || variant == 3 ? DRACO_WAIT_ENOUGH : DRACO_WAIT_ALL;
        t.abs_tol = variant == 6 ? 1e-6f : 0;
        t.attack = variant == 0 || variant == 6 ? NULL : "constant";
        training_run(&t);
        assert_same_model(&base, &t);
    }
    free(base.params);
}

static volatile int alarms;

static void on_alarm(int number) {
    (void)number;
    alarms++;
}

/* A program's timers, profilers and Ctrl-C must not reach into the arithmetic. */
static void signals_do_not_disturb_the_arithmetic(void **state) {
    training base = small(), t = small();
    struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
    (void)state;
    base.steps = t.steps = 100;
    training_run(&base);
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &often, NULL);
    training_run(&t);
    setitimer(ITIMER_REAL, &never, NULL);
    assert_true(alarms > 10);
    assert_same_model(&base, &t);
    free(base.params);
}

static void groups_that_r_does_not_divide(void **state) {
    (void)state;
    for (int n = 5; n <= 11; n++) {
        training honest = small(), t = small();
        honest.code.n = t.code.n = n;
        honest.steps = t.steps = 5;
        honest.batch = t.batch = 61;
        t.attack = "reverse";
        training_run(&honest);
        training_run(&t);
        assert_int_equal(t.caught, 2 * 5);
        assert_int_equal(t.wrongly, 0);
        assert_same_model(&honest, &t);
        free(honest.params);
    }
}

static void missing_workers_are_carried(void **state) {
    training honest = small(), t = small();
    (void)state;
    honest.code.t = t.code.t = 2;
    honest.code.n = t.code.n = 14;
    t.attack = "reverse";
    t.missing = 2;
    training_run(&honest);
    training_run(&t);
    assert_int_equal(t.caught, t.lies);
    assert_int_equal(t.wrongly, 0);
    assert_same_model(&honest, &t);
    free(honest.params);
}

static void the_prime_field_is_the_same_bytes(void **state) {
    training honest = small(), t = small(), rest = small();
    (void)state;
    honest.code.scheme = t.code.scheme = rest.code.scheme = DRACO_CYCLIC;
    honest.code.field = t.code.field = rest.code.field = DRACO_FIELD_PRIME;
    honest.code.t = t.code.t = rest.code.t = 1;
    honest.steps = t.steps = rest.steps = 100;
    honest.share_parts = t.share_parts = 1;
    t.attack = rest.attack = "reverse";
    t.missing = rest.missing = 1;
    rest.steps = 3;
    training_run(&honest);
    training_run(&t);
    assert_int_equal(honest.status, DRACO_OK);
    assert_true(honest.accuracy > 0.8);
    assert_int_equal(t.caught, 200);
    assert_int_equal(t.wrongly, 0);
    assert_same_model(&honest, &t);
    /* without sharing, each worker computes its parts itself, twice */
    honest.steps = 3;
    free(honest.params);
    honest.params = NULL;
    training_run(&honest);
    training_run(&rest);
    assert_same_model(&honest, &rest);
    free(honest.params);
}

static void the_complex_field_has_the_same_losses(void **state) {
    training honest = small(), t = small();
    (void)state;
    honest.code.scheme = t.code.scheme = DRACO_CYCLIC;
    honest.code.field = t.code.field = DRACO_FIELD_COMPLEX;
    honest.code.t = t.code.t = 1;
    honest.steps = t.steps = 100;
    honest.share_parts = t.share_parts = 1;
    t.attack = "constant";
    t.missing = 1;
    training_run(&honest);
    training_run(&t);
    assert_int_equal(t.status, DRACO_OK);
    assert_int_equal(t.caught, 200);
    assert_int_equal(t.wrongly, 0);
    assert_true(fabs(t.loss_sum - honest.loss_sum) <= 1e-5 * honest.loss_sum);
    free(honest.params);
    free(t.params);
}

static void assert_stopped_untouched(training *t, const training *start, draco_status status, long rounds) {
    assert_int_equal(t->status, status);
    assert_int_equal(t->rounds, rounds);
    assert_int_equal(t->failed, rounds);
    assert_true(t->failed_group >= 0 && t->failed_group < t->code.groups);
    assert_non_null(strstr(t->why, "group"));
    assert_memory_equal(start->params, t->params, t->dim * sizeof(float));
    free(t->params);
}

/* s + 1 liars in one group of 2s + 2, all with the same lie: two values are backed by s + 1 workers each. And
   s + 1 of 2s + 1 who lie each in their own way: no value is. Either way nothing changes, and the policy says
   what comes next. */
static void too_many_liars_in_one_group_stop_the_run(void **state) {
    (void)state;
    for (int colluding = 0; colluding < 2; colluding++) {
        draco_status expected = colluding ? DRACO_E_AMBIGUOUS : DRACO_E_NO_MAJORITY;
        training start = small(), t;
        start.steps = 0;
        start.code.n = colluding ? 18 : 15;
        training_run(&start);
        t = start;
        t.steps = 20;
        t.attack = colluding ? "constant" : "gaussian";
        t.who = DRACO_ATTACK_WORST; /* all in one group */
        t.liars = 3;

        t.policy = DRACO_POLICY_STOP;
        training_run(&t);
        assert_stopped_untouched(&t, &start, expected, 1);

        t.policy = DRACO_POLICY_RETRY;
        t.retries = 2;
        t.rounds = t.failed = 0;
        training_run(&t);
        assert_stopped_untouched(&t, &start, expected, 3);

        t.policy = DRACO_POLICY_SKIP;
        t.rounds = t.failed = 0;
        training_run(&t);
        assert_stopped_untouched(&t, &start, DRACO_OK, 20);
        free(start.params);
    }
}

/* Challenge: (n / r) bodies, and a byte and a fingerprint of each worker are all that comes in, within 1%. */
static void a_challenge_pays_for_one_copy(void **state) {
    training t = small();
    double expected;
    (void)state;
    t.challenge = 1;
    t.attack = NULL;
    training_run(&t);
    expected = (double)t.steps * (3.0 * 4.0 * (double)t.dim + 16.0 * 15);
    assert_true(fabs((double)t.bytes_in - expected) <= 0.01 * expected);
    free(t.params);
}

/* The server keeps one body for each distinct value of a group, beside the ones just being written. */
static void the_server_holds_one_body_a_value(void **state) {
    training t = small();
    (void)state;
    t.code.n = 45;
    t.code.s = 5;
    t.liars = 0;
    t.threads = 1;
    t.steps = 3;
    training_run(&t);
    assert_int_equal(t.code.groups, 4);
    assert_int_equal(t.rows_peak, 4 + 1);
    free(t.params);
}

/* A lie told by the model of one worker, called over OpenMP with nothing wrapped. */
static draco_status told_by_three(void *ctx, void *workspace, const float *params, const draco_batch *batch,
                                  float *grad) {
    (void)ctx, (void)workspace;
    for (int j = 0; j < 9; j++) grad[j] = params[j] * (float)batch->count + (float)batch->first;
    if (batch->worker == 3) grad[5] = -100;
    return DRACO_OK;
}

static void a_model_over_openmp_knows_its_worker(void **state) {
    static const float params[9] = {1, 2, 3};
    draco_model model = {.size = sizeof model, .dim = 9, .parameters = 9, .gradient = told_by_three};
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        draco_openmp_config config = {.worker = {.code = {.n = 6, .s = 1}, .model = &model, .batch = 12},
                                      .share_parts = shared};
        draco_transport transport;
        draco_server *server = NULL;
        draco_round round;
        float sum[9];
        assert_int_equal(draco_openmp_open(&transport, &config), DRACO_OK);
        draco_server_config c = {.code = config.worker.code, .transport = &transport, .dim = 9};
        assert_int_equal(draco_server_open(&server, &c), DRACO_OK);
        assert_int_equal(draco_server_round(server, 0, params, sum, &round), DRACO_OK);
        /* Parts that are computed once for all are nobody's. */
        for (int i = 0; i < 6; i++)
            assert_int_equal(round.verdicts[i], i == 3 && !shared ? DRACO_BLAMED : DRACO_AGREES);
        assert_true(sum[0] == 12 * 1 + 0 + 6);
        assert_true(sum[5] == 0 + 6);
        draco_server_close(server);
        transport.close(transport.ctx);
    }
}

/* ---- Layers ---- */

/* A network whose second layer, which begins in the middle of a block, has gradients 1e-8 times its own; worker 3's are those
   turned round, when it lies. */
static draco_model shrunk;
static int three_lies;

static draco_status shrunk_gradient(void *ctx, void *workspace, const float *params, const draco_batch *batch,
                                    float *grad) {
    const float scale = three_lies && batch->worker == 3 ? -1e-6f : 1e-8f;
    draco_status status = shrunk.gradient(ctx, workspace, params, batch, grad);
    for (size_t i = shrunk.layers[1]; i < shrunk.parameters; i++) grad[i] *= scale;
    return status;
}

/* A round, and what it makes of that layer. */
static draco_verdict round_of_layers(int said, int lies, float *sum) {
    const draco_seed secret = {{9}};
    draco_mlp_config net = {.train = &training_train, .hidden = 1, .widths = {20}};
    draco_openmp_config config = {
        .worker = {.code = {.scheme = DRACO_CYCLIC, .field = DRACO_FIELD_COMPLEX, .n = 15, .s = 3},
                   .batch = 60,
                   .seed = 3}};
    draco_transport transport;
    draco_round round;
    draco_server *server;
    draco_verdict verdict;
    assert_int_equal(draco_mlp_open(&shrunk, &net), DRACO_OK);
    draco_model model = shrunk;
    model.gradient = shrunk_gradient;
    config.worker.model = &model;
    three_lies = lies;
    assert_int_equal(draco_openmp_open(&transport, &config), DRACO_OK);
    draco_server_config c = {.code = config.worker.code,
                             .transport = &transport,
                             .dim = model.dim,
                             .parameters = model.parameters,
                             .layers = said ? model.layers : NULL,
                             .layer_count = said ? model.layer_count : 0,
                             .secret = &secret};
    assert_int_equal(draco_server_open(&server, &c), DRACO_OK);
    float *params = calloc(model.dim, sizeof *params);
    model.init(model.ctx, 5, params);
    assert_int_equal(draco_server_round(server, 0, params, sum, &round), DRACO_OK);
    verdict = round.verdicts[3];
    assert_int_equal(round.report.agreed, 15 - (verdict != DRACO_AGREES));
    free(params);
    draco_server_close(server);
    transport.close(transport.ctx);
    return verdict;
}

/* Norm of the difference in the second layer over that of what is right. */
static double off(const float *sum, const float *right) {
    double difference = 0, norm = 0;
    for (size_t i = shrunk.layers[1]; i < shrunk.parameters; i++) {
        difference += pow((double)sum[i] - (double)right[i], 2);
        norm += pow((double)right[i], 2);
    }
    return sqrt(difference / norm);
}

static void a_lie_in_a_small_layer_is_seen_when_layers_are_said(void **state) {
    enum { ROOM = 32768 };
    float *right = calloc(ROOM, sizeof *right), *said = calloc(ROOM, sizeof *said),
          *sum = calloc(ROOM, sizeof *sum);
    (void)state;
    assert_int_equal(round_of_layers(0, 0, right), DRACO_AGREES);
    draco_mlp_close(&shrunk);
    assert_int_equal(round_of_layers(1, 0, said), DRACO_AGREES);
    assert_memory_equal(said, right,
                        shrunk.dim * sizeof *right); /* the ranges change nothing of an honest sum */
    draco_mlp_close(&shrunk);
    assert_int_equal(round_of_layers(1, 1, sum), DRACO_BLAMED);
    assert_true(off(sum, right) < 1e-5);
    draco_mlp_close(&shrunk);
    assert_int_equal(round_of_layers(0, 1, sum), DRACO_AGREES);
    assert_true(off(sum, right) > 0.1);
    draco_mlp_close(&shrunk);
    free(right);
    free(said);
    free(sum);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fc_under_attack_is_the_same_bytes),
        cmocka_unit_test(the_mean_is_ruined),
        cmocka_unit_test(same_bytes_whatever_the_way),
        cmocka_unit_test(signals_do_not_disturb_the_arithmetic),
        cmocka_unit_test(groups_that_r_does_not_divide),
        cmocka_unit_test(missing_workers_are_carried),
        cmocka_unit_test(the_prime_field_is_the_same_bytes),
        cmocka_unit_test(the_complex_field_has_the_same_losses),
        cmocka_unit_test(too_many_liars_in_one_group_stop_the_run),
        cmocka_unit_test(a_challenge_pays_for_one_copy),
        cmocka_unit_test(the_server_holds_one_body_a_value),
        cmocka_unit_test(a_model_over_openmp_knows_its_worker),
        cmocka_unit_test(a_lie_in_a_small_layer_is_seen_when_layers_are_said),
    };
    return cmocka_run_group_tests_name("training", tests, training_setup, training_teardown);
}
