/* Gradients of every model, for machines to be compared by tests/test_reproducible.sh and test_mixed.sh.

       models STEPS THREADS KERNELS [MODEL...]
   prints the digests of the initial parameters, of the first gradient and of the model after STEPS steps: the same from
   every processor, byte order, compiler, optimisation, number of threads and kernels of draco_isa_set.

       models serve SEED
   computes gradients of LeNet on the digits of draco-train for who writes to its standard input, little-endian: seed,
   step, first and count of the part as 8 bytes each, and the parameters; the answer is the gradient. */
#define DRACO_LINEAR_IMPLEMENTATION
#define DRACO_KMEANS_IMPLEMENTATION
#define DRACO_MLP_IMPLEMENTATION
#define DRACO_LENET_IMPLEMENTATION
#define DRACO_TEXTCNN_IMPLEMENTATION
#define DRACO_RESNET_IMPLEMENTATION
#define DRACO_OPTIM_IMPLEMENTATION
#include "models/draco_kmeans.h"
#include "models/draco_lenet.h"
#include "models/draco_linear.h"
#include "models/draco_mlp.h"
#include "models/draco_optim.h"
#include "models/draco_resnet.h"
#include "models/draco_textcnn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 3, BATCH = 12 };

static draco_dataset train[3], test[3]; /* digits, pictures, sentences */
static int steps = 2, threads = 1;

static void stop(const char *what) {
    fprintf(stderr, "models: %s\n", what);
    exit(1);
}

/* FNV-1a over the bits of numbers, not over their bytes in memory. */
static void print_digest(const char *model, const char *what, const float *values, size_t count) {
    uint64_t digest = 0xcbf29ce484222325u;
    uint32_t bits;
    for (size_t i = 0; i < count; i++) {
        memcpy(&bits, values + i, sizeof bits);
        for (int k = 0; k < 4; k++) digest = (digest ^ (bits >> 8 * k & 0xff)) * 0x100000001b3u;
    }
    printf("%s %s %08lx%08lx\n", model, what, (unsigned long)(digest >> 32),
           (unsigned long)(digest & 0xffffffffu));
}

/* sum[dim] = the gradients of the parts, computed by several threads and added in order. */
static void gradient(const draco_model *m, void **workspaces, uint64_t step, size_t batch,
                     const float *params, float *parts, float *sum) {
    const int pieces = batch < PARTS ? 1 : PARTS;
    int failed = 0;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int k = 0; k < pieces; k++) {
        const size_t share = batch / (size_t)pieces;
        const draco_batch b = {
            .seed = 7, .step = step, .first = (size_t)k * share, .count = share, .part = k};
        if (m->gradient(m->ctx, workspaces[k], params, &b, parts + (size_t)k * m->dim) != DRACO_OK)
            failed = 1;
    }
    if (failed) stop("a gradient failed");
    memcpy(sum, parts, m->dim * sizeof *sum);
    for (int k = 1; k < pieces; k++)
        for (size_t i = 0; i < m->dim; i++) sum[i] += parts[(size_t)k * m->dim + i];
}

static void run(const char *name, draco_status opened, draco_model *m, int count, size_t batch) {
    draco_optim memory;
    draco_optimizer optimizer;
    const draco_optim_config config = {.kind = DRACO_OPTIM_ADAM,
                                       .weight_decay = 0.01f,
                                       .schedule = DRACO_SCHEDULE_COSINE,
                                       .steps = 100,
                                       .floor = 0.1f};
    void *workspaces[PARTS];
    char after[24];
    if (opened != DRACO_OK || draco_optim_open(&optimizer, &memory, &config) != DRACO_OK) stop(name);
    float *params = draco_model_alloc(m->dim, sizeof *params), *sum = draco_model_alloc(m->dim, sizeof *sum);
    float *parts = draco_model_alloc(PARTS * m->dim, sizeof *parts),
          *state = draco_model_alloc(2 * m->dim, sizeof *state);
    if (!params || !sum || !parts || !state || m->init(m->ctx, 3, params) != DRACO_OK) stop("no memory");
    for (int k = 0; k < PARTS; k++)
        if (m->workspace_new(m->ctx, &workspaces[k]) != DRACO_OK) stop("no workspace");
    print_digest(name, "start", params, m->parameters);
    for (int step = 0; step < count; step++) {
        const draco_step_info info = {.step = (uint64_t)step};
        gradient(m, workspaces, (uint64_t)step, batch, params, parts, sum);
        if (step == 0) print_digest(name, "gradient", sum, m->dim);
        if (count > 1) optimizer.step(optimizer.ctx, &info, params, sum, state, m->parameters);
    }
    snprintf(after, sizeof after, "model-%d", count);
    if (count > 1) print_digest(name, after, params, m->parameters);
    for (int k = 0; k < PARTS; k++) m->workspace_free(m->ctx, workspaces[k]);
    free(params), free(sum), free(parts), free(state);
    fflush(stdout);
}

static draco_status linear(draco_model *m, draco_linear_kind kind) {
    const draco_linear_config c = {&train[0], NULL, kind, 3, 0.001f};
    return draco_linear_open(m, &c);
}

static void softmax(void) {
    draco_model m;
    run("softmax", linear(&m, DRACO_LINEAR_SOFTMAX), &m, steps, BATCH);
    draco_linear_close(&m);
}
static void logistic(void) {
    draco_model m;
    run("logistic", linear(&m, DRACO_LINEAR_LOGISTIC), &m, steps, BATCH);
    draco_linear_close(&m);
}
static void svm(void) {
    draco_model m;
    run("svm", linear(&m, DRACO_LINEAR_SVM), &m, steps, BATCH);
    draco_linear_close(&m);
}
static void kmeans(void) {
    const draco_kmeans_config c = {&train[0], NULL, 10};
    draco_model m;
    run("kmeans", draco_kmeans_open(&m, &c), &m, steps, BATCH);
    draco_kmeans_close(&m);
}
static void fc(void) {
    const draco_mlp_config c = {&train[0], NULL, 2, {100, 50}};
    draco_model m;
    run("fc", draco_mlp_open(&m, &c), &m, steps, BATCH);
    draco_mlp_close(&m);
}
static void lenet(void) {
    const draco_lenet_config c = {&train[0], NULL};
    draco_model m;
    run("lenet", draco_lenet_open(&m, &c), &m, steps, BATCH);
    draco_lenet_close(&m);
}
static void textcnn(void) {
    const draco_textcnn_config c = {.train = &train[2], .dimension = 50, .filters = 20};
    draco_model m;
    run("textcnn", draco_textcnn_open(&m, &c), &m, steps, BATCH);
    draco_textcnn_close(&m);
}
/* A smaller network of the same kind, all steps; and one gradient of ResNet-18 itself. */
static void resnet(void) {
    const draco_resnet_config c = {.train = &train[1], .width = 16, .stages = 2, .blocks = 1};
    draco_model m;
    run("resnet", draco_resnet_open(&m, &c), &m, steps, BATCH);
    draco_resnet_close(&m);
}
static void resnet18(void) {
    const draco_resnet_config c = {.train = &train[1]};
    draco_model m;
    run("resnet18", draco_resnet_open(&m, &c), &m, 1, 2);
    draco_resnet_close(&m);
}

static const struct {
    const char *name;
    void (*run)(void);
} models[] = {
    {"softmax", softmax}, {"logistic", logistic}, {"svm", svm},       {"kmeans", kmeans},    {"fc", fc},
    {"lenet", lenet},     {"textcnn", textcnn},   {"resnet", resnet}, {"resnet18", resnet18}};

static void load(draco_data_kind kind, uint64_t seed, size_t samples) {
    static const char *const names[] = {"digits", "pictures", "sentences"};
    const draco_data_config c = {.name = names[kind], .seed = seed, .train = samples, .test = 10};
    draco_data_error error;
    if (draco_data_load(&c, &train[kind], &test[kind], &error) != DRACO_OK) stop(error.text);
}

/* Until the end of the input. */
static int serve(uint64_t seed) {
    draco_model m;
    uint64_t head[4];
    void *workspace;
    load(DRACO_DATA_DIGITS, seed, 500);
    const draco_lenet_config c = {&train[0], NULL};
    if (draco_lenet_open(&m, &c) != DRACO_OK || m.workspace_new(m.ctx, &workspace) != DRACO_OK)
        stop("no memory");
    float *params = draco_model_alloc(m.dim, sizeof *params), *grad = draco_model_alloc(m.dim, sizeof *grad);
    if (!params || !grad) stop("no memory");
    while (fread(head, 8, 4, stdin) == 4 && fread(params, sizeof *params, m.dim, stdin) == m.dim) {
        uint64_t number[4] = {0};
        for (int i = 0; i < 32; i++) number[i / 8] |= (uint64_t)((unsigned char *)head)[i] << 8 * (i % 8);
        draco_little_endian(params, m.dim);
        const draco_batch b = {.seed = number[0], .step = number[1], .first = number[2], .count = number[3]};
        if (m.gradient(m.ctx, workspace, params, &b, grad) != DRACO_OK) stop("a gradient failed");
        draco_little_endian(grad, m.dim);
        if (fwrite(grad, sizeof *grad, m.dim, stdout) != m.dim || fflush(stdout) != 0) stop("nobody reads");
    }
    m.workspace_free(m.ctx, workspace);
    draco_lenet_close(&m);
    free(params), free(grad);
    draco_dataset_free(&train[0]), draco_dataset_free(&test[0]);
    return 0;
}

int main(int argc, char **argv) {
    char why[256];
    if (argc == 3 && strcmp(argv[1], "serve") == 0) return serve((uint64_t)atoi(argv[2]));
    if (argc < 4 || (steps = atoi(argv[1])) < 1 || (threads = atoi(argv[2])) < 1)
        stop("usage: models STEPS THREADS KERNELS [MODEL...]");
    if (draco_isa_set(argv[3], why, sizeof why) != DRACO_OK) {
        printf("no kernels\n");
        return 77;
    }
    for (int kind = 0; kind < 3; kind++) load((draco_data_kind)kind, 5, 100);
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        for (int k = 4; k < argc || k == 4; k++)
            if (k == argc || strcmp(argv[k], models[i].name) == 0) models[i].run();
    for (int kind = 0; kind < 3; kind++) draco_dataset_free(&train[kind]), draco_dataset_free(&test[kind]);
    return 0;
}
