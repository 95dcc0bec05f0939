/* draco-train: train a model with n workers of which some lie.

   It composes the library's parts: a model, a code or an aggregation rule, a transport, an optimizer, and, to
   try things out, an attack that stands between the transport and the server. See --help.

     train_options.h    the command line: a table of options
     train_numbers.h    does this machine compute as all others do?
     train_log.h        lines on stderr and in the file of --log
     train_exit.h       how a run ends: a table of exit statuses
     train_setup.h      data, model, optimizer and code from the options
     train_transport.h  the transports: a table, and what this process is in each
     train_flip.h       the liars of --attack=label-flip
     train_contract.h   what makes two runs the same run
     train_run.h        the state of a run, and its checkpoints
     train_arrivals.h   when and how each worker's replies end
     train_deadline.h   a deadline from the arrival times of recent rounds
     train_ledger.h     what each worker did over the whole run; train_ledger_show.h a line, a table, JSON
     train_audit.h      an audit trail, also draco_audit.c; train_trail.h its lines
     train_finite.h     has the model diverged?
     train_evict.h      proved liars that are left out, and new plans
     train_report.h     what a run prints; train_screen.h the screen, train_metrics.h the file of metrics
     train_live.h       a run over HTTP, train_live.html the page; train_live_now.h what is told, train_live_text.h
                        as text
     train_plot.h       a plot of files of metrics, train_grid.h of verdicts, also draco_plot.c */
#include "train_options.h"

#define DRACO_IMPLEMENTATION
#define DRACO_DATA_IMPLEMENTATION
#define DRACO_OPTIM_IMPLEMENTATION
#define DRACO_LINEAR_IMPLEMENTATION
#define DRACO_KMEANS_IMPLEMENTATION
#define DRACO_MLP_IMPLEMENTATION
#define DRACO_LENET_IMPLEMENTATION
#define DRACO_RESNET_IMPLEMENTATION
#define DRACO_TEXTCNN_IMPLEMENTATION
#define DRACO_CHECKPOINT_IMPLEMENTATION
#define DRACO_OPENMP_IMPLEMENTATION
#define DRACO_MPI_IMPLEMENTATION
#define DRACO_GRPC_IMPLEMENTATION
#define DRACO_RULES_IMPLEMENTATION
#define DRACO_ATTACKS_IMPLEMENTATION
#include "train_setup.h"

#include "train_evict.h"
#include "train_plot.h"
#include "train_report.h"
#include "train_finite.h"
#include "train_audit.h"
#include "train_numbers.h"

#include <omp.h>
#include <pthread.h>
#include <signal.h>

static volatile int train_stop, train_asked;

/* A thread of its own waits for signals, so that no handler interrupts a computation. A second Ctrl-C ends the
   program at once; SIGTERM may be repeated by whoever stops the job, while the checkpoint is written. */
static void *train_wait_for_signals(void *set) {
    int number;
    while (sigwait(set, &number) == 0) {
        if (train_stop && number == SIGINT) _exit(TRAIN_STOPPED);
        *(number == SIGUSR1 ? &train_asked : &train_stop) = 1;
    }
    return NULL;
}

static int train_catch_signals(void) {
    static sigset_t set;
    struct sigaction hangup;
    pthread_t thread;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    /* Under nohup it stays ignored. */
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN) sigaddset(&set, SIGHUP);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like a full disk */
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0 ||
        pthread_create(&thread, NULL, train_wait_for_signals, &set) != 0)
        return 1;
    pthread_detach(thread);
    return 0;
}

/* ---- During the run ---- */

/* A library may have changed how this thread computes since the last call. */
static void train_keep_numbers(const train_run *run) {
    const char *was = train_numbers_set();
    if (was && run->transport.server < 0)
        train_log(TRAIN_WARNING, "worker %d: %s", run->transport.worker, was);
    else if (was)
        train_log(TRAIN_WARNING, "%s", was);
}

static int train_check_numbers(const train_run *run) {
    char wrong[160];
    train_keep_numbers(run);
    train_numbers_check(wrong, sizeof wrong);
    if (!wrong[0]) return 0;
    train_log(TRAIN_ERROR, "this machine computes other bits than all others: %s", wrong);
    return TRAIN_FAILED;
}

static void train_tell_test(train_run *run, uint64_t step) {
    train_numbers_now *now = run->test.samples ? train_live_begin(&run->live) : NULL;
    if (!now) return;
    now->test_loss = run->test.loss;
    now->test_accuracy = run->test.accuracy;
    train_curve_add(&now->tests, step, run->test.loss, run->test.accuracy);
    train_live_end(&run->live);
}

static draco_status train_score(train_run *run, uint64_t step) {
    const draco_model *m = &run->setup.model;
    double begin = train_now();
    draco_status status = DRACO_OK;
    if (m->evaluate && train_speaks(run)) {
        status = m->evaluate(m->ctx, run->workspace, run->params, &run->test);
        run->glance.test = run->test.accuracy;
    }
    run->paused += train_now() - begin;
    run->tested_step = step;
    if (status < 0) return status;
    train_metrics_test(&run->metrics, step, train_seconds(run), &run->test);
    train_metrics_ledger(&run->metrics, step, &run->ledger);
    train_tell_test(run, step);
    return status;
}

/* All servers call it together: each holds its shard of the parameters. */
static draco_status train_evaluate(train_run *run, uint64_t step) {
    double begin = train_now();
    draco_status status = draco_server_gather(run->server, run->params);
    run->paused += train_now() - begin;
    return status < 0 ? status : train_score(run, step);
}

/* What --metrics-port serves of a round: its seconds, and those since the last one that were of no round. */
static void train_tell_round(train_run *run, uint64_t step, const draco_round *round,
                             const draco_score *score) {
    train_numbers_now *now = train_live_begin(&run->live);
    const double passed = train_now() - run->noted - round->seconds;
    if (!now) return;
    run->noted = train_now();
    now->step = run->next_step;
    now->rounds++;
    now->failed += round->status < 0;
    now->received += round->bytes_in;
    now->gradients += (uint64_t)(round->gradients > 0 ? round->gradients : 0);
    now->saved = (uint64_t)run->saved;
    now->unsaved = (uint64_t)run->unsaved;
    snprintf(now->reason, sizeof now->reason, "%s", run->reason);
    train_interval_add(now, step, round->bytes_in, round->seconds - round->server_seconds,
                       round->server_seconds, passed > 0 ? passed : 0);
    if (score) {
        now->loss = score->loss;
        now->accuracy = score->accuracy;
        train_curve_add(&now->training, step + 1, score->loss, score->accuracy);
    }
    train_live_end(&run->live);
}

/* Compare the verdicts with the truth, which only a simulated attack knows. A lie is one worker's false message
   in one round; it is caught when the worker is blamed or its message is malformed. The attack counts each repetition of a
   step, those that wait for workers, too. */
static void train_count(train_run *run, uint64_t step, const draco_round *round) {
    train_glance *g = &run->glance;
    if (!train_simulates_lies(run)) return;
    run->repeated = run->rounds > 0 && step == run->counted ? run->repeated + 1 : 0;
    run->counted = step;
    draco_attack_liars(&run->attack, step, run->repeated, run->liars);
    for (int i = 0; i < run->setup.code.n; i++) {
        int blamed = round->verdicts[i] == DRACO_BLAMED;
        if (run->out[i]) continue; /* it has nobody to lie to */
        g->lies += run->liars[i];
        g->caught += run->liars[i] && (blamed || round->verdicts[i] == DRACO_MALFORMED);
        g->blamed_wrongly += !run->liars[i] && blamed;
    }
}

static int train_test_due(const train_run *run) {
    const long every = run->o->eval_every, done = (long)run->next_step;
    return every > 0 && done > 0 && (done % every == 0 || done == run->o->steps);
}

/* Do all workers compute the same bits? Those that do not are listed before an exact vote blames them. */
static int train_probe(train_run *run) {
    int n = run->setup.code.n, count = 0, most = 0, best = 0, i, j, exact;
    int *classes;
    run->probed_at = train_now();
    run->ledger.returned = 0;
    if (run->o->no_probe || run->transport.row->local) return 0;
    classes = calloc((size_t)n, sizeof *classes);
    if (!classes) return TRAIN_FAILED;
    if (draco_server_probe(run->server, 0, run->params, classes, &count) < 0) count = 0;
    for (i = 0; i < n; i++) {
        int same = 0;
        for (j = 0; j < n; j++) same += classes[i] >= 0 && classes[j] == classes[i];
        if (same > most) most = same, best = classes[i];
    }
    exact = !run->has_rule && train_is_exact(run->o);
    if (count > 1 && train_speaks(run)) {
        char others[TRAIN_LINE_CAPACITY] = "", unsteady[TRAIN_LINE_CAPACITY] = "";
        size_t used = 0, length = 0;
        for (i = 0; i < n; i++) {
            if (classes[i] >= 0 && classes[i] != best) train_append(others, sizeof others, &used, " %d", i);
            if (classes[i] == -2) train_append(unsteady, sizeof unsteady, &length, " %d", i);
        }
        if (used > 0)
            train_log(TRAIN_WARNING,
                      "workers compute different bits from the same batch:%s differ from the other %d: "
                      "another release, "
                      "model or data; install the same everywhere%s",
                      others, most,
                      run->setup.code.scheme == DRACO_REPETITION ? ", or vote with --tolerance" : "");
        if (length > 0)
            train_log(TRAIN_WARNING,
                      "workers compute other bits each time from the same batch:%s: they lie, or their model "
                      "depends on "
                      "more than parameters and batch, or memory or processor are broken; take them out",
                      unsteady);
    }
    free(classes);
    /* The code tolerates s + t workers that differ; with more of them no round could be decoded. */
    return exact && count > 1 && n - most > run->setup.code.s + run->setup.code.t ? TRAIN_USAGE : 0;
}

#define TRAIN_PROBE_SECONDS 10.0 /* between two probes: workers may come and go all the time */

/* Whoever was away may be another build, or have other data, since it came back. */
static int train_probe_due(const train_run *run) {
    return run->ledger.returned && train_now() - run->probed_at >= TRAIN_PROBE_SECONDS && !run->o->no_probe &&
           !run->transport.row->local;
}

static draco_status train_on_round(void *ctx, uint64_t step, int attempt, const draco_round *round,
                                   const draco_score *score) {
    train_run *run = ctx;
    draco_status status;
    unsigned wanted = 0; /* 1: a test, 2: a checkpoint, 4: a probe, 8: to end, the model has
                            diverged, 16: to end, the audit trail cannot be written */
    train_log_state.step = step + 1;
    train_keep_numbers(run);
    train_count(run, step, round);
    run->server_seconds += round->server_seconds;
    run->bytes_in += round->bytes_in;
    run->rounds++;
    if (train_speaks(run))
        train_metrics_step(&run->metrics, step, attempt, train_seconds(run), round, score, run->setup.code.n,
                           train_simulates_lies(run) ? run->liars : NULL);
    train_report_evictions(run, step);
    train_note_reason(run, round);
    wanted = train_has_diverged(run, step, round) ? 8u : 0u;
    if (run->o->deadline_factor > 0)
        draco_server_deadline(run->server, train_deadline_next(&run->deadline, &run->arrivals));
    if (!wanted) train_report_change(run, step, round); /* else no worker is the reason */
    if (!wanted) train_report_quorum(run, step, round);
    if (!wanted && !score && run->trainer.waited < 0) train_report_failure(run, step, attempt, round);
    if (score || (run->trainer.policy == DRACO_POLICY_SKIP && run->trainer.waited < 0))
        run->next_step = step + 1;
    run->glance.done = (long)run->next_step;
    train_tell_round(run, step, round, score);
    if (score) {
        run->glance.loss = score->loss;
        run->glance.accuracy = score->accuracy;
        wanted |= (train_test_due(run) ? 1u : 0u) | (train_save_due(run) ? 2u : 0u);
    }
    wanted |= train_probe_due(run) ? 4u : 0u;
    wanted |= train_audit_round(run, step, attempt, round) < 0 ? 16u : 0u;
    status = run->next_step == step + 1 ? train_make_plan(run, step) : DRACO_OK;
    if (status >= 0) status = train_any(run, &wanted);
    if (status >= 0 && wanted & 16) status = DRACO_E_IO;
    if (status >= 0 && wanted & 8) status = train_diverged(run, step);
    if (status >= 0 && wanted & 4 && train_probe(run) != 0) status = DRACO_E_CONFIG;
    if (status >= 0 && wanted & 1) status = train_evaluate(run, run->next_step);
    if (status >= 0 && wanted & 2) status = train_save(run, &train_asked);
    if (train_speaks(run)) train_screen_show(&run->screen, &run->glance, wanted & 1);
    return status;
}

/* Between two tries of a step that waits for workers; a signal ends it. */
static void train_pause(void *ctx, double seconds) {
    const double until = train_now() + seconds;
    (void)ctx;
    while (!train_stop && train_now() < until) usleep(20000);
}

/* ---- Before the run ---- */

static int train_open_attack(train_run *run) {
    const train_options *o = run->o;
    draco_attack_config *a = &run->attack;
    char why[256];
    if (o->liars + o->missing == 0) return 0;
    memset(a, 0, sizeof *a);
    a->name = o->attack;
    a->code = run->setup.code;
    a->seed = (uint64_t)o->seed;
    a->liars = (int)o->liars;
    a->missing = (int)o->missing;
    a->factor = o->attack_scale;
    a->abs_tol = (float)o->tolerance;
    a->rel_tol = (float)o->relative_tolerance;
    a->who = strcmp(o->who, "fixed") == 0   ? DRACO_ATTACK_FIXED
             : strcmp(o->who, "worst") == 0 ? DRACO_ATTACK_WORST
                                            : DRACO_ATTACK_RANDOM;
    if (o->attack && strcmp(o->attack, "label-flip") == 0) {
        int code = train_flip_open(&run->flip, o, &run->setup);
        if (code != 0) return code;
        a->flipped = run->flip.worker;
    }
    if (draco_attack_check(a, why, sizeof why) < 0) {
        train_log(TRAIN_ERROR, "--attack: %s (--attack=list prints all attacks)", why);
        return 2;
    }
    if (draco_attack_wrap(&run->attacked, &run->transport.transport, a) < 0) {
        train_log(TRAIN_ERROR, "the attack: %s", draco_status_text(DRACO_E_MEMORY));
        return 1;
    }
    run->has_attack = 1;
    return 0;
}

static int train_open_rule(train_run *run) {
    const train_options *o = run->o;
    draco_rule_options options = {0};
    char why[256] = "";
    if (!o->rule) return 0;
    options.measured = run->setup.model.parameters;
    options.seed = (uint64_t)o->seed;
    options.model = &run->setup.model;
    options.samples = ((size_t)o->batch + (size_t)run->setup.code.parts - 1) / (size_t)run->setup.code.parts;
    options.gamma = o->lr;
    options.rho = o->zeno_rho;
    options.batch = (size_t)o->zeno_batch;
    options.tolerance = o->rule_tolerance;
    options.streaming = o->rule_streaming;
    if (draco_rule_make(&run->rule, o->rule, &options) < 0) {
        train_log(TRAIN_ERROR, "unknown rule '%s' (--rule=list prints all rules)", o->rule);
        return 2;
    }
    run->has_rule = 1;
    if (draco_rule_check(&run->rule, run->setup.code.n, (int)o->rule_f, &run->setup.code, why, sizeof why) <
        0) {
        train_log(TRAIN_ERROR, "%s", why);
        return 2;
    }
    return 0;
}

/* Rounds end as soon as they can be decoded; else when every worker has replied or is gone. By itself only where
   the sum has the same bits whoever replied: not in the complex field, nor with a tolerance. */
static int train_waits_for_enough(const train_run *run) {
    const train_options *o = run->o;
    const draco_code *code = &run->setup.code;
    int exact = (code->scheme == DRACO_REPETITION || code->field == DRACO_FIELD_PRIME) && train_is_exact(o);
    return strcmp(o->wait, "enough") == 0 ||
           (strcmp(o->wait, "auto") == 0 && !run->transport.row->local && exact && !o->all_present);
}

static int train_open_server(train_run *run) {
    const train_options *o = run->o;
    draco_server_config c;
    draco_status status;
    memset(&c, 0, sizeof c);
    c.code = run->setup.code;
    c.rule = run->has_rule ? &run->rule : NULL;
    c.rule_f = (int)o->rule_f;
    if (train_arrivals_open(&run->arrivals, &run->observed,
                            run->has_attack ? &run->attacked : &run->transport.transport) != 0) {
        train_log(TRAIN_ERROR, "%s", draco_status_text(DRACO_E_MEMORY));
        return 1;
    }
    c.transport = &run->observed;
    c.dim = run->setup.model.dim;
    c.parameters = run->setup.model.parameters;
    c.layers = run->setup.model.layers;
    c.layer_count = run->setup.model.layer_count;
    c.deadline = o->deadline > 0 ? o->deadline : run->transport.row->local ? 0 : 60;
    c.wait = train_waits_for_enough(run) ? DRACO_WAIT_ENOUGH : DRACO_WAIT_ALL;
    c.challenge = o->challenge;
    c.evict_after = (int)o->evict_after;
    c.shrink = o->shrink;
    c.check_every = (int)o->check_every;
    c.check_probability = o->check_probability;
    c.check_seed = (uint64_t)o->check_seed;
    c.abs_tol = (float)o->tolerance;
    c.rel_tol = (float)o->relative_tolerance;
    if (o->deadline_factor > 0 && train_deadline_open(&run->deadline, c.code.n, o->deadline_factor,
                                                      o->deadline_percent, c.deadline) != 0) {
        train_log(TRAIN_ERROR, "%s", draco_status_text(DRACO_E_MEMORY));
        return 1;
    }
    status = draco_server_open(&run->server, &c);
    if (status >= 0 && train_spot_checks(o)) { /* every worker computes another part */
        const int parts = draco_server_replan(run->server, c.code.n < o->batch ? c.code.n : (int)o->batch);
        if (parts < 0) status = (draco_status)parts;
    }
    if (status >= 0) return 0;
    train_log(TRAIN_ERROR, "server: %s", draco_status_text(status));
    return status == DRACO_E_MEMORY ? 1 : 2;
}

/* Word vectors from a file take the place of random ones: they are the first coordinates of the text CNN. */
static int train_word_vectors(train_run *run) {
    const train_options *o = run->o;
    draco_data_error error = {{0}};
    size_t found = 0;
    if (!o->word2vec) return 0;
    if (draco_data_word2vec(o->word2vec, &run->setup.train.vocabulary, TRAIN_EMBEDDING, run->params, &found,
                            &error) < 0) {
        train_log(TRAIN_ERROR, "%s", error.text);
        return 2;
    }
    if (train_speaks(run) && strcmp(o->progress, "none") != 0)
        printf("%zu of %zu words have vectors in %s\n", found, run->setup.train.vocabulary.words,
               o->word2vec);
    return 0;
}

static int train_open_vectors(train_run *run) {
    const draco_model *m = &run->setup.model;
    size_t spp = run->setup.optimizer.state_per_parameter;
    run->params = calloc(m->dim, sizeof(float));
    run->sum = calloc(m->dim, sizeof(float));
    run->state = calloc(spp * m->dim + 1, sizeof(float));
    run->liars = calloc((size_t)run->setup.code.n, 1);
    run->out = calloc((size_t)run->setup.code.n, 1);
    if (!run->params || !run->sum || !run->state || !run->liars || !run->out ||
        (m->workspace_new && m->workspace_new(m->ctx, &run->workspace) < 0)) {
        train_log(TRAIN_ERROR, "%s", draco_status_text(DRACO_E_MEMORY));
        return 1;
    }
    if (m->init(m->ctx, (uint64_t)run->o->seed, run->params) < 0) {
        train_log(TRAIN_ERROR, "the model could not be initialised");
        return 1;
    }
    if (train_word_vectors(run) != 0) return 2;
    train_contract(run->o, &run->setup, run->params, run->contract, sizeof run->contract);
    return train_check_overrides(run->o->overrides, run->contract);
}

/* ---- After the run ---- */

static int train_write_params(const train_run *run) {
    FILE *file = fopen(run->o->params, "wb");
    size_t n = run->setup.model.dim;
    int ok = file && fwrite(run->params, sizeof(float), n, file) == n;
    if (file && fclose(file) != 0) ok = 0;
    if (!ok) train_log(TRAIN_ERROR, "%s: %s", run->o->params, strerror(errno));
    return ok ? 0 : 1;
}

/* What only the first server does: the last accuracy, the summary, the files. */
static int train_conclude(train_run *run, draco_status status, int code) {
    char model[33] = "";
    if (run->tested_step != run->next_step) (void)train_score(run, run->next_step);
    train_hex(run, model);
    train_summary(run, status, code == TRAIN_DONE, model);
    if (run->o->params && train_write_params(run) != 0 && code == TRAIN_DONE) code = TRAIN_FAILED;
    if (run->o->ledger && train_ledger_write(run->o->ledger, &run->ledger) != 0 && code == TRAIN_DONE)
        code = TRAIN_FAILED;
    if (train_metrics_close(&run->metrics) != 0 && code == TRAIN_DONE) code = TRAIN_FAILED;
    if (run->o->plot) {
        const char *path = run->metrics.path;
        if (train_plot("draco-train", run->o->plot, "draco-train", &path, 1) != 0 && code == TRAIN_DONE)
            code = TRAIN_FAILED;
    }
    return code;
}

static int train_finish(train_run *run, draco_status status) {
    int code = train_exit_of(status);
    /* Numbers that are not finite are no checkpoint. */
    unsigned unsaved = run->has_store && run->saved_step != run->next_step && code != TRAIN_DIVERGED;
    train_screen_clear(&run->screen);
    if (code == TRAIN_STOPPED && train_speaks(run))
        train_log(TRAIN_INFO, "interrupted; stopped after the round");
    else if (code == TRAIN_DIVERGED && train_speaks(run))
        train_log(TRAIN_ERROR, "training failed: %s", run->reason);
    else if (code != TRAIN_DONE && train_speaks(run))
        train_log(TRAIN_ERROR, "training failed: %s%s%s", draco_status_text(status),
                  run->reason[0] ? ": " : "", run->reason);
    if (draco_server_gather(run->server, run->params) < 0 && code == TRAIN_DONE) code = TRAIN_LOST;
    if (train_any(run, &unsaved) >= 0 && unsaved) (void)train_save(run, &train_asked);
    train_audit_close(run, status);
    if (train_speaks(run)) code = train_conclude(run, status, code);
    if (code == TRAIN_DONE && run->has_store && run->saved_step != run->next_step) return TRAIN_FAILED;
    return code == TRAIN_DONE && run->o->fail_on_blame && train_ledger_blames(&run->ledger) ? TRAIN_BLAMED
                                                                                            : code;
}

/* What a run and its replay have in common. */
static void train_open_trainer(train_run *run) {
    draco_trainer *t = &run->trainer;
    t->server = run->server;
    t->model = &run->setup.model;
    t->optimizer = &run->setup.optimizer;
    t->params = run->params;
    t->state = run->state;
    t->sum = run->sum;
    t->batch = (size_t)run->o->batch;
    t->stop = &train_stop;
}

static int train_serve(train_run *run) {
    draco_trainer *t = &run->trainer;
    draco_status status;
    int code = train_open_attack(run);
    if (code == 0) code = train_open_rule(run);
    if (code == 0) code = train_open_vectors(run);
    if (code == 0) code = train_open_server(run);
    if (code == 0) code = train_check_outputs(run);
    code = train_transport_agree(&run->transport, code);
    if (code == 0) code = train_transport_agree(&run->transport, train_resume(run));
    if (code == 0) code = train_transport_agree(&run->transport, train_readmit(run));
    if (code == 0) code = train_transport_agree(&run->transport, train_audit_open(run));
    if (code == 0) code = train_transport_agree(&run->transport, train_open_metrics(run));
    if (code == 0) code = train_transport_agree(&run->transport, train_probe(run));
    if (code != 0) return code;
    train_announce(run);
    train_open_trainer(run);
    t->first_step = run->first_step;
    t->steps = (uint64_t)run->o->steps - run->first_step;
    t->policy = strcmp(run->o->policy, "skip") == 0   ? DRACO_POLICY_SKIP
                : strcmp(run->o->policy, "stop") == 0 ? DRACO_POLICY_STOP
                                                      : DRACO_POLICY_RETRY;
    t->retries = (int)run->o->retries;
    t->min_workers = (int)run->o->min_workers;
    t->all_present = run->o->all_present;
    t->quorum_seconds = run->transport.row->local ? 0 : run->o->quorum_timeout;
    t->pause = train_pause;
    t->on_round = train_on_round;
    t->on_round_ctx = run;
    run->glance = (train_glance){.first = (long)run->first_step,
                                 .done = (long)run->first_step,
                                 .steps = run->o->steps,
                                 .loss = -1,
                                 .accuracy = -1,
                                 .test = -1};
    train_screen_open(&run->screen, run->o->progress);
    run->begin = run->saved_at = run->noted = train_now();
    /* The metrics of an earlier process were cut off before this test. */
    status = train_test_due(run) ? train_score(run, run->next_step) : DRACO_OK;
    if (status >= 0) status = draco_train(t);
    return train_transport_agree(&run->transport, train_finish(run, status));
}

/* The lines of a worker have the step that it is at, its numbers are looked after at every request, and
   --metrics-port serves when it waits, computes and sends. */
static draco_status train_noting_receive(void *ctx, draco_request *request) {
    train_run *run = ctx;
    const draco_transport *inner = &run->transport.transport;
    const draco_status status = inner->receive(inner->ctx, request);
    train_numbers_now *now = status >= 0 ? train_live_begin(&run->live) : NULL;
    if (status >= 0 && request->kind != DRACO_REQUEST_STOP && request->kind != DRACO_REQUEST_PROBE)
        train_log_state.step = request->step + 1;
    if (now) {
        if (request->kind < TRAIN_REQUESTS) now->requests[request->kind]++;
        now->step = train_log_state.step;
        now->received += request->params_count * sizeof(float) + request->extra_bytes;
        now->reason[0] = 0;
        train_live_end(&run->live);
    }
    run->asked_at = train_now();
    train_keep_numbers(run);
    return status;
}

static draco_status train_noting_submit(void *ctx, const draco_request *request, const void *reply,
                                        size_t bytes) {
    train_run *run = ctx;
    const draco_transport *inner = &run->transport.transport;
    const double begin = train_now();
    const draco_status status = inner->submit(inner->ctx, request, reply, bytes);
    train_numbers_now *now = train_live_begin(&run->live);
    if (!now) return status;
    now->rounds += reply != NULL;
    now->failed += reply == NULL;
    now->sent += reply ? bytes : 0;
    train_interval_add(now, request->step, reply ? bytes : 0, run->asked_at - run->noted,
                       begin - run->asked_at, train_now() - begin);
    train_live_end(&run->live);
    run->noted = train_now();
    return status;
}

/* The servers learn only that this worker has no reply. */
static void train_say_why_not(void *ctx, uint64_t step, draco_status why) {
    const train_run *run = ctx;
    train_log(TRAIN_ERROR, "worker %d: no reply in step %llu: %s", run->transport.worker,
              (unsigned long long)step + 1,
              why == DRACO_E_RANGE ? "its gradient is not finite" : draco_status_text(why));
}

static int train_work(train_run *run) {
    draco_worker_config config = train_worker_config(run->o, &run->setup);
    draco_transport noting = run->transport.transport;
    draco_worker *worker;
    draco_status status;
    int code;
    noting.ctx = run;
    noting.receive = train_noting_receive;
    noting.submit = train_noting_submit;
    run->noted = train_now();
    config.failed = train_say_why_not;
    config.failed_ctx = run;
    status = draco_worker_open(&worker, &config);
    if (status >= 0) {
        status = draco_worker_run(worker, run->transport.worker, &noting);
        draco_worker_close(worker);
    }
    code = train_exit_of(status);
    if (code != TRAIN_DONE) {
        int here = code == TRAIN_LOST || code == TRAIN_USAGE; /* else the servers have said it */
        const char *why = here ? run->transport.transport.explain(run->transport.transport.ctx) : "";
        train_log(TRAIN_ERROR, "worker %d: %s%s%s", run->transport.worker,
                  why[0] && code == TRAIN_USAGE ? ""
                  : code == TRAIN_FAILED        ? draco_status_text(status)
                                                : train_exit_row_of(code)->text,
                  why[0] && code != TRAIN_USAGE ? ": " : "", why);
    }
    return code;
}

static void train_close(train_run *run, int code) {
    const draco_model *m = &run->setup.model;
    if (run->server) draco_server_close(run->server);
    if (run->has_attack) draco_attack_unwrap(&run->attacked);
    (void)train_metrics_close(&run->metrics);
    if (run->metrics.temporary[0]) remove(run->metrics.temporary);
    if (run->has_store) draco_checkpoint_close(&run->store);
    train_transport_end(&run->transport, code);
    train_flip_close(&run->flip);
    if (run->has_rule) draco_rule_free(&run->rule);
    if (run->workspace && m->workspace_free) m->workspace_free(m->ctx, run->workspace);
    free(run->params);
    free(run->state);
    free(run->sum);
    free(run->gradient);
    free(run->liars);
    free(run->out);
    train_arrivals_close(&run->arrivals);
    train_live_close(&run->live);
    train_deadline_close(&run->deadline);
    train_ledger_close(&run->ledger);
    train_close_setup(&run->setup);
}

/* --rule=list and the like: prints the lists that the options ask for; 0: none. */
static int train_lists(const train_options *o) {
    int printed = 0, i;
    if (o->rule && strcmp(o->rule, "list") == 0) {
        for (i = 0; draco_rule_list(i); i++)
            printf("%-20s %-24s %s\n", draco_rule_list(i)->name, draco_rule_list(i)->limit,
                   draco_rule_list(i)->help);
        for (i = 0; draco_pre_list(i); i++)
            printf("%-20s %-24s %s\n", draco_pre_list(i)->name, draco_pre_list(i)->limit,
                   draco_pre_list(i)->help);
        printed = 1;
    }
    if (o->attack && strcmp(o->attack, "list") == 0) {
        for (i = 0; draco_attack_list(i); i++)
            printf("%-20s %s\n", draco_attack_list(i)->name, draco_attack_list(i)->help);
        printed = 1;
    }
    if (strcmp(o->isa, "list") == 0) {
        printf("%s\n", draco_isa_list());
        printed = 1;
    }
    return printed;
}

static int train_open_log(const train_run *run) {
    const train_transport *t = &run->transport;
    char who[32] = "server";
    if (t->server < 0)
        snprintf(who, sizeof who, "worker %d", t->worker);
    else if (t->servers > 1)
        snprintf(who, sizeof who, "server %d", t->server);
    return train_log_open(run->o->log, strcmp(run->o->log_format, "json") == 0, who);
}

/* Before the transport, whose first lines it is told. */
static int train_open_ledger(train_run *run) {
    if (run->transport.server < 0) return 0;
    if (train_ledger_open(&run->ledger, run->setup.code.n) != 0) {
        train_log(TRAIN_ERROR, "%s", draco_status_text(DRACO_E_MEMORY));
        return 1;
    }
    run->ledger.name = train_transport_worker_name;
    run->ledger.name_ctx = &run->transport;
    run->transport.told = train_ledger_told;
    run->transport.told_ctx = &run->ledger;
    return 0;
}

/* Every rank of MPI has the same command line, hence ports of their own. */
static int train_open_live(train_run *run) {
    const train_options *o = run->o;
    const train_transport *t = &run->transport;
    const int rank = t->server >= 0 ? t->server : t->servers + t->worker;
    const train_about about = {.label = run->label,
                               .model = o->model,
                               .data = run->setup.data_name,
                               .transport = o->transport,
                               .worker = t->worker,
                               .server = t->server,
                               .steps = o->steps,
                               .workers = o->workers,
                               .s = run->setup.code.s,
                               .t = run->setup.code.t};
    train_label(o, run->label, sizeof run->label);
    return train_live_open(&run->live, o, &about, t->server >= 0 ? &run->ledger : NULL,
                           (int)o->metrics_port + (strcmp(o->transport, "mpi") == 0 ? rank : 0));
}

/* All that servers and workers have in common. */
static int train_prepare(train_run *run) {
    const train_options *o = run->o;
    char why[256] = "";
    int threads = o->threads > 0 ? (int)o->threads : omp_get_max_threads(), code;
    train_context context = {o, &run->setup, threads, &train_stop};
    if (strcmp(o->isa, "all") != 0 && draco_isa_set(o->isa, why, sizeof why) < 0) {
        train_log(TRAIN_ERROR, "--isa: %s", why);
        return 2;
    }
    omp_set_num_threads(threads);
    code = train_make_code(o, &run->setup);
    if (code == 0) code = train_transport_begin(o, threads, &run->transport);
    if (code == 0) code = train_open_log(run);
    if (code == 0) code = train_check_numbers(run);
    if (code == 0) train_announce_simulation(run);
    if (code == 0) code = train_load_data(o, &run->setup);
    if (code == 0) code = train_open_model(o, &run->setup);
    if (code == 0) code = train_open_optimizer(o, &run->setup);
    if (code == 0) {
        int local = run->transport.row->local;
        code = train_check_memory(o, &run->setup, local ? threads : 1, run->transport.server >= 0, local,
                                  run->transport.threads);
    }
    if (code == 0) code = train_open_ledger(run);
    if (code == 0) code = train_open_live(run);
    return code == 0 ? train_transport_open(&context, &run->transport) : code;
}

int main(int argc, char **argv) {
    static train_options options;
    static train_run run;
    int code = train_parse(argc, argv, &options);
    if (code >= 0) return code;
    if (train_lists(&options)) return 0;
    if (train_catch_signals() != 0) {
        train_log(TRAIN_ERROR, "out of memory: the signal thread could not be started");
        return 1;
    }
    run.o = &options;
    run.asked = &train_asked;
    run.saved_step = run.tested_step = run.checked_step = TRAIN_NEVER;
    code = train_prepare(&run);
    if (code == 0) code = run.transport.server >= 0 ? train_serve(&run) : train_work(&run);
    train_close(&run, code);
    return code;
}
