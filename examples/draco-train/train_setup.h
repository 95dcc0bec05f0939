/* train_setup.h - from options to the parts of a run: data, model, optimizer, code.

   Each function returns 0, or the exit code after one line on stderr. */
#ifndef TRAIN_SETUP_H
#define TRAIN_SETUP_H

#include "train_options.h"

#include "models/draco_data.h"
#include "models/draco_kmeans.h"
#include "models/draco_layers.h"
#include "models/draco_lenet.h"
#include "models/draco_linear.h"
#include "models/draco_mlp.h"
#include "models/draco_optim.h"
#include "models/draco_resnet.h"
#include "models/draco_textcnn.h"

#include <sodium.h>
#include <unistd.h>

#define TRAIN_EMBEDDING 300 /* floats of a word vector of the text CNN */

typedef struct train_setup {
    draco_dataset train, test;
    int has_data, has_model;
    draco_model model;
    draco_model_memory memory;
    void (*close_model)(draco_model *model);
    draco_optim optim;
    draco_optimizer optimizer;
    draco_code code;
    char data_name[64];
} train_setup;

static draco_status train_digest(void *ctx, const void *bytes, size_t n, uint8_t digest[DRACO_DIGEST_BYTES]) {
    (void)ctx;
    return crypto_generichash(digest, DRACO_DIGEST_BYTES, bytes, n, NULL, 0) == 0 ? DRACO_OK
                                                                                  : DRACO_E_ARGUMENT;
}

/* What a model learns from by default, and what is drawn when that is not installed. */
static void train_usual_data(const char *model, const char **real, const char **drawn) {
    *real = "fashion-mnist";
    *drawn = "digits";
    if (strcmp(model, "resnet18") == 0) {
        *real = "cifar10";
        *drawn = "pictures";
    }
    if (strcmp(model, "textcnn") == 0) {
        *real = "mr";
        *drawn = "sentences";
    }
}

static int train_load_data(const train_options *o, train_setup *s) {
    draco_data_config config = {.name = o->data,
                                .directory = o->data_dir,
                                .seed = (uint64_t)o->seed,
                                .held_out = o->held_out,
                                .train = (size_t)o->train_samples,
                                .test = (size_t)o->test_samples};
    draco_data_error error = {{0}};
    const char *real, *drawn;
    if (strcmp(o->data, "auto") == 0) {
        draco_data_paths *paths = malloc(sizeof *paths);
        int found;
        train_usual_data(o->model, &real, &drawn);
        found = paths && draco_data_find(real, o->data_dir, paths, &error) == DRACO_OK;
        free(paths);
        if (!found && o->data_dir) {
            fprintf(stderr, "draco-train: %s\n", error.text);
            return 2;
        }
        config.name = found ? real : drawn;
        if (!found && strcmp(o->progress, "none") != 0)
            printf("%s is not installed; training on generated data instead: %s\n", real, drawn);
    }
    snprintf(s->data_name, sizeof s->data_name, "%s", config.name);
    if (draco_data_load(&config, &s->train, &s->test, &error) != DRACO_OK) {
        fprintf(stderr, "draco-train: %s\n", error.text);
        return 2;
    }
    s->has_data = 1;
    if (s->train.encoding && strcmp(o->progress, "none") != 0)
        printf("%s: text read as %s\n", s->data_name, s->train.encoding);
    if (o->test_samples > 0 && s->test.samples > (size_t)o->test_samples)
        s->test.samples = (size_t)o->test_samples;
    return 0;
}

static int train_wrong_data(const train_options *o, const train_setup *s) {
    fprintf(stderr, "draco-train: --model=%s cannot be trained on the data set %s\n", o->model, s->data_name);
    return 2;
}

static draco_status train_open_linear(const train_options *o, train_setup *s, draco_linear_kind kind) {
    draco_linear_config config = {
        .kind = kind, .train = &s->train, .test = &s->test, .l2 = (float)o->l2, .positive = 1};
    s->close_model = draco_linear_close;
    return draco_linear_open(&s->model, &config);
}

static draco_status train_open_named(const train_options *o, train_setup *s) {
    draco_status status = DRACO_E_ARGUMENT;
    size_t samples = ((size_t)o->batch + (size_t)s->code.parts - 1) / (size_t)s->code.parts; /* of a part */
    if (strcmp(o->model, "fc") == 0) {
        draco_mlp_config config = {&s->train, &s->test, 2, {800, 500}};
        status = draco_mlp_open(&s->model, &config);
        s->close_model = draco_mlp_close;
        if (status >= 0) s->memory = draco_mlp_memory(&s->model, samples);
    } else if (strcmp(o->model, "lenet") == 0) {
        draco_lenet_config config = {&s->train, &s->test};
        status = draco_lenet_open(&s->model, &config);
        s->close_model = draco_lenet_close;
        if (status >= 0) s->memory = draco_lenet_memory(&s->model, samples);
    } else if (strcmp(o->model, "resnet18") == 0) {
        draco_resnet_config config = {.train = &s->train, .test = &s->test};
        status = draco_resnet_open(&s->model, &config);
        s->close_model = draco_resnet_close;
        if (status >= 0) s->memory = draco_resnet_memory(&s->model, samples);
    } else if (strcmp(o->model, "textcnn") == 0) {
        draco_textcnn_config config = {.train = &s->train, .test = &s->test, .dimension = TRAIN_EMBEDDING};
        status = draco_textcnn_open(&s->model, &config);
        s->close_model = draco_textcnn_close;
        if (status >= 0) s->memory = draco_textcnn_memory(&s->model, samples);
    } else if (strcmp(o->model, "kmeans") == 0) {
        draco_kmeans_config config = {.train = &s->train, .test = &s->test, .centres = 10};
        status = draco_kmeans_open(&s->model, &config);
        s->close_model = draco_kmeans_close;
    } else {
        draco_linear_kind kind = DRACO_LINEAR_SOFTMAX;
        if (strcmp(o->model, "logistic") == 0) kind = DRACO_LINEAR_LOGISTIC;
        if (strcmp(o->model, "svm") == 0) kind = DRACO_LINEAR_SVM;
        if (strcmp(o->model, "linear") == 0) kind = DRACO_LINEAR_LEAST_SQUARES;
        status = train_open_linear(o, s, kind);
    }
    return status;
}

static int train_open_model(const train_options *o, train_setup *s) {
    draco_status status = train_open_named(o, s);
    if (status == DRACO_E_ARGUMENT) return train_wrong_data(o, s);
    if (status < 0) {
        fprintf(stderr, "draco-train: model %s: %s\n", o->model, draco_status_text(status));
        return 1;
    }
    s->has_model = 1;
    return 0;
}

static int train_open_optimizer(const train_options *o, train_setup *s) {
    draco_optim_config config = {.rate = (float)o->lr,
                                 .momentum = (float)o->momentum,
                                 .weight_decay = (float)o->weight_decay,
                                 .clip = (float)o->clip,
                                 .warmup = (uint64_t)o->warmup,
                                 .factor = (float)o->decay,
                                 .steps = (uint64_t)o->steps,
                                 .period = (uint64_t)(o->decay_every ? o->decay_every : (o->steps + 2) / 3)};
    if (!draco_optim_kind_of(o->optimizer, &config.kind) ||
        !draco_schedule_of(o->schedule, &config.schedule) ||
        draco_optim_open(&s->optimizer, &s->optim, &config) < 0) {
        fprintf(stderr, "draco-train: the options of the optimizer contradict each other\n");
        return 2;
    }
    return 0;
}

static int train_make_code(const train_options *o, train_setup *s) {
    draco_code *c = &s->code;
    draco_status status;
    memset(c, 0, sizeof *c);
    c->n = (int)o->workers;
    if (!o->rule) {
        c->s = (int)o->adversaries;
        c->t = (int)o->stragglers;
        c->scheme = strcmp(o->code, "cyclic") == 0 ? DRACO_CYCLIC : DRACO_REPETITION;
        c->field = strcmp(o->field, "prime") == 0 ? DRACO_FIELD_PRIME : DRACO_FIELD_COMPLEX;
        c->support = strcmp(o->support, "contiguous") == 0 ? DRACO_SUPPORT_CONTIGUOUS : DRACO_SUPPORT_SPREAD;
    } else if (strncmp(o->rule, "detox", 5) == 0) { /* the groups of a repetition code vote first */
        c->s = (int)o->adversaries;
    }
    status = draco_code_init(c);
    if (status != DRACO_OK) {
        fprintf(stderr, "draco-train: n = %d, s = %d, t = %d: %s\n", c->n, c->s, c->t,
                draco_status_text(status));
        return 2;
    }
    if ((long)c->parts > o->batch) {
        fprintf(stderr, "draco-train: --batch=%ld is smaller than the %d parts of the code\n", o->batch,
                c->parts);
        return 2;
    }
    return 0;
}

static double train_gib(double bytes) {
    return bytes / (1024.0 * 1024.0 * 1024.0);
}

/* Bytes that can be had without swapping. */
static double train_free_memory(void) {
    double have = (double)sysconf(_SC_AVPHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    FILE *info = fopen("/proc/meminfo", "r");
    char line[128];
    long long kib;
    while (info && fgets(line, sizeof line, info))
        if (sscanf(line, "MemAvailable: %lld kB", &kib) == 1) have = 1024.0 * (double)kib;
    if (info) fclose(info);
    return have;
}

/* Refuse a run that the machine's memory cannot hold, with the numbers. */
static int train_check_memory(const train_options *o, const train_setup *s, int threads, int is_server,
                              int all_here) {
    double vector = 4.0 * (double)s->model.dim, n = (double)s->code.n, have = train_free_memory();
    double held =
        o->rule || o->tolerance > 0 || s->code.scheme == DRACO_CYCLIC ? n : 2.0 * s->code.groups + threads;
    double server = is_server ? vector * (3 + (double)s->optimizer.state_per_parameter + held) : 0;
    double workers = is_server && !all_here ? 0
                                            : (double)threads * (2 * vector + (double)s->memory.workspace) +
                                                  (double)s->memory.shared;
    double shared = o->share_parts && all_here ? vector * s->code.parts : 0;
    double needed = server + workers + shared;
    if (needed <= have) return 0;
    fprintf(stderr,
            "draco-train: this run needs %.1f GiB and %.1f GiB are free: %.1f at the server (%.0f messages "
            "of %.3f), "
            "%.1f for %d computing threads, %.1f for shared parts\n",
            train_gib(needed), train_gib(have), train_gib(server), held, train_gib(vector),
            train_gib(workers), threads, train_gib(shared));
    return 2;
}

static void train_close_setup(train_setup *s) {
    if (s->has_model) s->close_model(&s->model);
    if (s->has_data) {
        draco_dataset_free(&s->train);
        draco_dataset_free(&s->test);
    }
}

#endif /* TRAIN_SETUP_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
