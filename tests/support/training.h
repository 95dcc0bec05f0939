/* training.h - a small run of the whole chain, for tests: data, model, code or rule, transport, attack,
 * optimizer. */
#ifndef TRAINING_H
#define TRAINING_H

#include "baselines/draco_attacks.h"
#include "baselines/draco_rules.h"
#include "models/draco_data.h"
#include "models/draco_mlp.h"
#include "models/draco_optim.h"
#include "transports/draco_openmp.h"

typedef struct training {
    /* Chosen by the test. */
    draco_code code;
    const char *rule, *attack; /* NULL: none */
    draco_attack_who who;
    int liars, missing;
    int challenge, share_parts, threads;
    draco_wait wait;
    float abs_tol;
    int hidden; /* layers of the network */
    size_t widths[2];
    uint64_t steps;
    size_t batch;
    draco_policy policy;
    int retries;
    /* What came out. */
    draco_status status;
    float *params;
    size_t dim, parameters;
    double accuracy;
    long rounds, lies, caught, wrongly, missed, unnamed_missing;
    long failed;
    int failed_group;
    char why[256];
    double loss_sum; /* of the batches */
    size_t rows_peak;
    uint64_t bytes_in;
} training;

static draco_dataset training_train, training_test;

static int training_setup(void **state) {
    draco_data_config config = {.name = "digits", .seed = 7, .train = 4000, .test = 1000};
    draco_data_error error;
    (void)state;
    return draco_data_load(&config, &training_train, &training_test, &error) == DRACO_OK ? 0 : -1;
}

static int training_teardown(void **state) {
    (void)state;
    draco_dataset_free(&training_train);
    draco_dataset_free(&training_test);
    return 0;
}

typedef struct training_watch {
    training *t;
    const draco_attack_config *attack;
} training_watch;

static draco_status training_on_round(void *ctx, uint64_t step, int attempt, const draco_round *round,
                                      const draco_score *score) {
    training_watch *watch = ctx;
    training *t = watch->t;
    unsigned char liars[256] = {0};
    if (watch->attack) draco_attack_liars(watch->attack, step, attempt, liars);
    t->rounds++;
    t->bytes_in += round->bytes_in;
    if (round->rows_peak > t->rows_peak) t->rows_peak = round->rows_peak;
    if (score) t->loss_sum += score->loss;
    if (!score) {
        t->failed++;
        t->failed_group = round->report.group;
        memcpy(t->why, round->text, sizeof t->why);
        return DRACO_OK;
    }
    for (int i = 0; i < t->code.n; i++) {
        int named = round->verdicts[i] == DRACO_BLAMED || round->verdicts[i] == DRACO_MALFORMED;
        t->lies += liars[i];
        t->caught += liars[i] && named;
        t->missed += liars[i] && !named;
        t->wrongly += !liars[i] && named;
    }
    return DRACO_OK;
}

static draco_status training_run_server(training *t, draco_model *model, draco_transport *transport,
                                        const draco_attack_config *attack) {
    draco_server_config c = {.code = t->code,
                             .transport = transport,
                             .dim = model->dim,
                             .wait = t->wait,
                             .challenge = t->challenge,
                             .abs_tol = t->abs_tol,
                             .rule_f = t->liars};
    draco_optim_config optim = {.kind = DRACO_OPTIM_MOMENTUM, .rate = 0.05f};
    draco_optim memory;
    draco_optimizer optimizer;
    draco_rule rule;
    draco_rule_options options = {.measured = model->parameters};
    draco_server *server;
    training_watch watch = {t, attack};
    draco_status status = DRACO_OK;
    if (t->rule) status = draco_rule_make(&rule, t->rule, &options);
    if (status >= 0 && t->rule) c.rule = &rule;
    if (status >= 0) status = draco_optim_open(&optimizer, &memory, &optim);
    if (status >= 0) status = draco_server_open(&server, &c);
    if (status < 0) return status;
    float *state = calloc(model->dim, sizeof *state), *sum = calloc(model->dim, sizeof *sum);
    draco_trainer trainer = {.server = server,
                             .model = model,
                             .optimizer = &optimizer,
                             .params = t->params,
                             .state = state,
                             .sum = sum,
                             .batch = t->batch,
                             .steps = t->steps,
                             .policy = t->policy,
                             .retries = t->retries,
                             .on_round = training_on_round,
                             .on_round_ctx = &watch};
    status = draco_train(&trainer);
    draco_server_close(server);
    if (t->rule) draco_rule_free(&rule);
    free(state);
    free(sum);
    return status;
}

/* Train, and fill in what came out; params is the caller's to free. */
static void training_run(training *t) {
    draco_model model;
    draco_mlp_config mlp = {.train = &training_train, .test = &training_test, .hidden = t->hidden};
    draco_transport transport, attacked;
    draco_score score = {0};
    void *workspace = NULL;
    memcpy(mlp.widths, t->widths, sizeof t->widths);
    if (!t->batch) t->batch = 60;
    t->status = draco_code_init(&t->code);
    if (t->status >= 0) t->status = draco_mlp_open(&model, &mlp);
    if (t->status < 0) return;
    draco_openmp_config config = {.worker = {.code = t->code, .model = &model, .batch = t->batch, .seed = 3},
                                  .threads = t->threads,
                                  .share_parts = t->share_parts};
    draco_attack_config attack = {.name = t->attack,
                                  .code = t->code,
                                  .seed = 11,
                                  .liars = t->attack ? t->liars : 0,
                                  .missing = t->missing,
                                  .who = t->who};
    t->dim = model.dim;
    t->parameters = model.parameters;
    t->params = calloc(model.dim, sizeof *t->params);
    model.init(model.ctx, 5, t->params);
    t->status = draco_openmp_open(&transport, &config);
    if (t->status >= 0) {
        int wrapped = (t->attack || t->missing) && draco_attack_wrap(&attacked, &transport, &attack) >= 0;
        if ((t->attack || t->missing) && !wrapped)
            t->status = DRACO_E_ARGUMENT;
        else
            t->status =
                training_run_server(t, &model, wrapped ? &attacked : &transport, wrapped ? &attack : NULL);
        if (wrapped) draco_attack_unwrap(&attacked);
        transport.close(transport.ctx);
    }
    if (model.workspace_new(model.ctx, &workspace) >= 0) {
        model.evaluate(model.ctx, workspace, t->params, &score);
        model.workspace_free(model.ctx, workspace);
    }
    t->accuracy = score.accuracy;
    draco_mlp_close(&model);
}

#endif /* TRAINING_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
