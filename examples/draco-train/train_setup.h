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

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
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

/* To compare models: the fingerprint under a key that everybody knows. It tells apart what differs by accident, not
   what somebody has made to collide. */
static const draco_seed train_known;

static void train_digest(const void *bytes, size_t n, uint8_t digest[DRACO_FINGERPRINT_BYTES]) {
    draco_fingerprint_of(&train_known, bytes, n, digest);
}

/* A model is one row: what it is trained on by default, what is generated when that is not installed, how it is
   opened; samples: most of one part. open returns DRACO_E_ARGUMENT for a data set that does not suit it. */
typedef struct train_model {
    const char *name, *real, *drawn;
    draco_status (*open)(const train_options *o, train_setup *s, size_t samples);
} train_model;

static draco_status train_open_fc(const train_options *o, train_setup *s, size_t samples) {
    draco_mlp_config config = {&s->train, &s->test, 2, {800, 500}};
    draco_status status = draco_mlp_open(&s->model, &config);
    (void)o;
    s->close_model = draco_mlp_close;
    if (status >= 0) s->memory = draco_mlp_memory(&s->model, samples);
    return status;
}

static draco_status train_open_lenet(const train_options *o, train_setup *s, size_t samples) {
    draco_lenet_config config = {&s->train, &s->test};
    draco_status status = draco_lenet_open(&s->model, &config);
    (void)o;
    s->close_model = draco_lenet_close;
    if (status >= 0) s->memory = draco_lenet_memory(&s->model, samples);
    return status;
}

static draco_status train_open_resnet(const train_options *o, train_setup *s, size_t samples) {
    draco_resnet_config config = {.train = &s->train, .test = &s->test};
    draco_status status = draco_resnet_open(&s->model, &config);
    (void)o;
    s->close_model = draco_resnet_close;
    if (status >= 0) s->memory = draco_resnet_memory(&s->model, samples);
    return status;
}

static draco_status train_open_textcnn(const train_options *o, train_setup *s, size_t samples) {
    draco_textcnn_config config = {.train = &s->train, .test = &s->test, .dimension = TRAIN_EMBEDDING};
    draco_status status = draco_textcnn_open(&s->model, &config);
    (void)o;
    s->close_model = draco_textcnn_close;
    if (status >= 0) s->memory = draco_textcnn_memory(&s->model, samples);
    return status;
}

static draco_status train_open_kmeans(const train_options *o, train_setup *s, size_t samples) {
    draco_kmeans_config config = {.train = &s->train, .test = &s->test, .centres = 10};
    (void)o, (void)samples;
    s->close_model = draco_kmeans_close;
    return draco_kmeans_open(&s->model, &config);
}

/* The linear models differ by their loss, which has the model's name. */
static draco_status train_open_linear(const train_options *o, train_setup *s, size_t samples) {
    draco_linear_config config = {.kind = DRACO_LINEAR_SOFTMAX,
                                  .train = &s->train,
                                  .test = &s->test,
                                  .l2 = (float)o->l2,
                                  .positive = 1};
    (void)samples;
    if (strcmp(o->model, "logistic") == 0) config.kind = DRACO_LINEAR_LOGISTIC;
    if (strcmp(o->model, "svm") == 0) config.kind = DRACO_LINEAR_SVM;
    if (strcmp(o->model, "linear") == 0) config.kind = DRACO_LINEAR_LEAST_SQUARES;
    s->close_model = draco_linear_close;
    return draco_linear_open(&s->model, &config);
}

static const train_model train_models[] = {
    {"fc", "fashion-mnist", "digits", train_open_fc},
    {"softmax", "fashion-mnist", "digits", train_open_linear},
    {"logistic", "fashion-mnist", "digits", train_open_linear},
    {"svm", "fashion-mnist", "digits", train_open_linear},
    {"linear", "fashion-mnist", "digits", train_open_linear},
    {"kmeans", "fashion-mnist", "digits", train_open_kmeans},
    {"lenet", "fashion-mnist", "digits", train_open_lenet},
    {"resnet18", "cifar10", "pictures", train_open_resnet},
    {"textcnn", "mr", "sentences", train_open_textcnn},
};

/* --model is one of the names: the table of options has checked it. */
static const train_model *train_model_of(const train_options *o) {
    for (size_t i = 0; i < sizeof train_models / sizeof *train_models; i++)
        if (strcmp(train_models[i].name, o->model) == 0) return &train_models[i];
    abort();
}

static int train_load_data(const train_options *o, train_setup *s) {
    draco_data_config config = {.name = o->data,
                                .directory = o->data_dir,
                                .seed = (uint64_t)o->seed,
                                .held_out = o->held_out,
                                .train = (size_t)o->train_samples,
                                .test = (size_t)o->test_samples};
    draco_data_error error = {{0}};
    if (strcmp(o->data, "auto") == 0) {
        const train_model *model = train_model_of(o);
        draco_data_paths *paths = malloc(sizeof *paths);
        int found;
        found = paths && draco_data_find(model->real, o->data_dir, paths, &error) == DRACO_OK;
        free(paths);
        if (!found && o->data_dir) {
            train_log(TRAIN_ERROR, "%s", error.text);
            return 2;
        }
        config.name = found ? model->real : model->drawn;
        if (!found && strcmp(o->progress, "none") != 0)
            printf("%s is not installed; training on generated data instead: %s\n", model->real,
                   model->drawn);
    }
    snprintf(s->data_name, sizeof s->data_name, "%s", config.name);
    if (draco_data_load(&config, &s->train, &s->test, &error) != DRACO_OK) {
        train_log(TRAIN_ERROR, "%s", error.text);
        return 2;
    }
    s->has_data = 1;
    if (s->train.encoding && strcmp(o->progress, "none") != 0)
        printf("%s: text read as %s\n", s->data_name, s->train.encoding);
    if (o->test_samples > 0 && s->test.samples > (size_t)o->test_samples)
        s->test.samples = (size_t)o->test_samples;
    return 0;
}

static int train_open_model(const train_options *o, train_setup *s) {
    size_t samples = ((size_t)o->batch + (size_t)s->code.parts - 1) / (size_t)s->code.parts; /* of a part */
    size_t first, count;
    draco_status status = train_model_of(o)->open(o, s, samples);
    if (status == DRACO_E_ARGUMENT) {
        train_log(TRAIN_ERROR, "--model=%s cannot be trained on the data set %s", o->model, s->data_name);
        return 2;
    }
    if (status < 0) {
        train_log(TRAIN_ERROR, "model %s: %s", o->model, draco_status_text(status));
        return 1;
    }
    s->has_model = 1;
    draco_shard(s->model.dim, (int)o->servers, (int)o->servers - 1, &first, &count);
    if (count > 0) return 0;
    train_log(TRAIN_ERROR, "%zu parameters are too few for %ld servers, which take blocks of %d",
              s->model.dim, o->servers, DRACO_BLOCK);
    return 2;
}

static int train_open_optimizer(const train_options *o, train_setup *s) {
    draco_optim_config config = {.rate = (float)o->lr,
                                 .momentum = (float)o->momentum,
                                 .weight_decay = (float)o->weight_decay,
                                 .clip = (float)o->clip,
                                 .warmup = (uint64_t)o->warmup,
                                 .factor = (float)o->decay,
                                 .steps = (uint64_t)o->steps,
                                 .period = (uint64_t)o->decay_every};
    if (!draco_optim_kind_of(o->optimizer, &config.kind) ||
        !draco_schedule_of(o->schedule, &config.schedule) ||
        draco_optim_open(&s->optimizer, &s->optim, &config) < 0) {
        train_log(TRAIN_ERROR, "the options of the optimizer contradict each other");
        return 2;
    }
    return 0;
}

static int train_make_code(const train_options *o, train_setup *s) {
    draco_code *c = &s->code;
    draco_status status;
    long step, parts;
    memset(c, 0, sizeof *c);
    c->n = (int)o->workers;
    c->seed = (uint64_t)o->seed;
    if (!o->rule) {
        c->s = (int)o->adversaries;
        c->t = (int)o->stragglers;
        c->reactive = strcmp(o->redundancy, "reactive") == 0;
        c->scheme = strcmp(o->code, "cyclic") == 0 ? DRACO_CYCLIC : DRACO_REPETITION;
        c->field = strcmp(o->field, "complex") == 0 ? DRACO_FIELD_COMPLEX : DRACO_FIELD_PRIME;
        c->support = strcmp(o->support, "contiguous") == 0 ? DRACO_SUPPORT_CONTIGUOUS : DRACO_SUPPORT_SPREAD;
    } else if (strncmp(o->rule, "detox", 5) == 0) { /* the groups of a repetition code vote first */
        c->s = (int)o->adversaries;
    }
    status = draco_code_init(c);
    if (status != DRACO_OK) {
        train_log(TRAIN_ERROR, "n = %d, s = %d, t = %d: %s", c->n, c->s, c->t, draco_status_text(status));
        return 2;
    }
    if (o->replan && train_replan_of(o, &step, &parts) && parts > 0 &&
        (parts < c->parts || parts > c->n || parts > o->batch)) {
        train_log(TRAIN_ERROR,
                  "--replan: %ld parts are not between the %d of the code and %d workers or "
                  "%ld samples",
                  parts, c->parts, c->n, o->batch);
        return 2;
    }
    if ((long)c->parts > o->batch) {
        train_log(TRAIN_ERROR, "--batch=%ld is smaller than the %d parts of the code", o->batch, c->parts);
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

/* May this process (ulimit -v, -d) have so much more address space? */
static int train_has_room(double bytes) {
    void *room =
        mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return room != MAP_FAILED && munmap(room, (size_t)bytes) == 0;
}

#define TRAIN_ROOM_MARGIN (32.0 * 1024 * 1024) /* what libraries take besides stacks */
#define TRAIN_ROOM_ARENA (128.0 * 1024 * 1024) /* glibc reserves so much for a thread that allocates */

/* gRPC, MPI and OpenMP abort, wait for ever, or do not say why, when there is no memory for a thread of theirs: so ask
   for all of it before. more: bytes besides the threads' stacks. */
static int train_check_room(int threads, double more) {
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    pthread_attr_t attributes;
    size_t stack = 0;
    char text[64] = "no limit by ulimit -v";
    pthread_attr_init(&attributes);
    pthread_attr_getstacksize(&attributes, &stack);
    pthread_attr_destroy(&attributes);
    more += (double)threads * (double)stack + TRAIN_ROOM_MARGIN;
    if (train_has_room(more)) {
#ifdef M_ARENA_MAX
        if (!train_has_room(more + threads * TRAIN_ROOM_ARENA)) mallopt(M_ARENA_MAX, 1);
#endif
        return 0;
    }
    getrlimit(RLIMIT_AS, &limit);
    if (limit.rlim_cur != RLIM_INFINITY)
        snprintf(text, sizeof text, "ulimit -v %llu", (unsigned long long)limit.rlim_cur / 1024);
    train_log(TRAIN_ERROR,
              "out of memory: %.0f MiB more of address space are needed, with %d threads of %.0f MiB, "
              "and are not to be had (%s)",
              more / 1048576, threads, (double)stack / 1048576, text);
    return 1;
}

/* Refuse a run that the machine's memory cannot hold, with the numbers. to_come: threads that are to be started. */
static int train_check_memory(const train_options *o, const train_setup *s, int threads, int is_server,
                              int all_here, int to_come) {
    double vector = 4.0 * (double)s->model.dim, n = (double)s->code.n, have = train_free_memory();
    double held = o->rule || o->tolerance > 0 || s->code.scheme == DRACO_CYCLIC
                      ? n
                      : 2.0 * (train_spot_checks(o) ? n : s->code.groups) + threads;
    double server = is_server ? vector * (3 + (double)s->optimizer.state_per_parameter + held) : 0;
    double workers = is_server && !all_here ? 0
                                            : (double)threads * (2 * vector + (double)s->memory.workspace) +
                                                  (double)s->memory.shared;
    double shared = o->share_parts && all_here ? vector * s->code.parts : 0;
    double needed = server + workers + shared;
    if (needed <= have) /* a message that comes or goes is there twice */
        return train_check_room(to_come, needed + (all_here ? 0 : 4 * vector));
    train_log(TRAIN_ERROR,
              "this run needs %.1f GiB and %.1f GiB are free: %.1f at the server (%.0f messages "
              "of %.3f), "
              "%.1f for %d computing threads, %.1f for shared parts",
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
