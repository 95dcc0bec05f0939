/* The real data sets, where they are installed: what they hold, and that the models of this test learn them.
   $DRACO_DATA, ../shared/data and /usr/share/datasets are looked at; a set that is not there is skipped. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRACO_LINEAR_IMPLEMENTATION
#define DRACO_KMEANS_IMPLEMENTATION
#define DRACO_OPTIM_IMPLEMENTATION
#include "models/draco_linear.h"
#include "models/draco_kmeans.h"
#include "models/draco_optim.h"

static int number, failed;

static void say(int good, const char *what) {
    printf("%s %d - %s\n", good ? "ok" : "not ok", ++number, what);
    failed += !good;
}

/* 1: loaded; 0: not there, and said so. A set that is there must be read. */
static int load(const char *name, int raw, draco_dataset *train, draco_dataset *test) {
    static const char *const places[] = {NULL, "../shared/data"};
    draco_data_error error;
    for (int i = 0; i < 2; i++) {
        const draco_data_config config = {.name = name, .directory = places[i], .seed = 1, .raw = raw};
        const draco_status status = draco_data_load(&config, train, test, &error);
        if (status == DRACO_OK) return 1;
        if (status != DRACO_E_IO) {
            printf("# %s\n", error.text);
            say(0, name);
            return 0;
        }
    }
    printf("ok %d - %s # SKIP not installed: set DRACO_DATA to a folder that has it\n", ++number, name);
    return 0;
}

/* Mean and deviation of the pixels, all channels together. */
static void moments(const draco_dataset *d, double *mean, double *deviation) {
    double sum = 0, squares = 0;
    const double n = (double)(d->samples * d->features);
    for (size_t i = 0; i < d->samples * d->features; i++) {
        sum += d->pixels[i];
        squares += (double)d->pixels[i] * d->pixels[i];
    }
    *mean = sum / n / 255;
    *deviation = sqrt(squares / n / 255 / 255 - *mean * *mean);
}

static int balanced(const draco_dataset *d, size_t least, size_t most) {
    size_t count[10] = {0};
    for (size_t i = 0; i < d->samples; i++) count[d->labels[i]]++;
    for (int c = 0; c < d->classes; c++)
        if (count[c] < least || count[c] > most) return 0;
    return 1;
}

/* The test score after `steps` steps of 120 samples with a rate that falls as a cosine. */
static draco_score train(const draco_model *m, float rate, uint64_t steps) {
    const draco_optim_config config = {
        .kind = DRACO_OPTIM_SGD, .rate = rate, .schedule = DRACO_SCHEDULE_COSINE, .steps = steps};
    draco_optim memory;
    draco_optimizer o;
    void *workspace = NULL;
    draco_score score = {0, 0, 0};
    float *params = malloc(m->dim * sizeof *params), *grad = malloc(m->dim * sizeof *grad);
    if (params != NULL && grad != NULL && draco_optim_open(&o, &memory, &config) == DRACO_OK &&
        m->workspace_new(m->ctx, &workspace) == DRACO_OK && m->init(m->ctx, 1, params) == DRACO_OK) {
        for (uint64_t k = 0; k < steps; k++) {
            const draco_batch batch = {7, k, 0, 120, 120, 0, 0};
            const draco_step_info info = {k, 0.0};
            m->gradient(m->ctx, workspace, params, &batch, grad);
            for (size_t i = 0; i < m->parameters; i++) grad[i] /= 120.0f;
            o.step(o.ctx, &info, params, grad, NULL, m->parameters);
        }
        m->evaluate(m->ctx, workspace, params, &score);
    }
    m->workspace_free(m->ctx, workspace);
    free(params);
    free(grad);
    return score;
}

static void digits(const char *name, double mean, double deviation, size_t least, size_t most,
                   double accuracy) {
    draco_dataset train_set, test_set;
    char text[160];
    double m, d;
    if (!load(name, 1, &train_set, &test_set)) return;
    snprintf(text, sizeof text, "%s: 60,000 and 10,000 images of 28 x 28, classes as they should be", name);
    say(train_set.samples == 60000 && test_set.samples == 10000 && train_set.features == 784 &&
            train_set.width == 28 && balanced(&train_set, least, most),
        text);
    moments(&train_set, &m, &d);
    snprintf(text, sizeof text, "%s: mean %.4f and deviation %.4f of the pixels", name, m, d);
    say(fabs(m - mean) < 1e-4 && fabs(d - deviation) < 1e-4, text);

    draco_linear_config softmax = {&train_set, &test_set, DRACO_LINEAR_SOFTMAX, 0, 0.0f};
    draco_model model;
    if (draco_linear_open(&model, &softmax) != DRACO_OK) {
        say(0, name);
    } else {
        const draco_score score = train(&model, 0.5f, 1000);
        snprintf(text, sizeof text, "%s: softmax regression reaches %.4f", name, score.accuracy);
        say(score.accuracy >= accuracy, text);
        draco_linear_close(&model);
    }
    draco_kmeans_config kmeans = {&train_set, &test_set, 20};
    if (draco_kmeans_open(&model, &kmeans) != DRACO_OK) {
        say(0, name);
    } else {
        const draco_score score = train(&model, 8.0f, 300);
        snprintf(text, sizeof text, "%s: 20 centres, purity %.4f", name, score.accuracy);
        say(score.accuracy >= 0.55, text);
        draco_kmeans_close(&model);
    }
    draco_dataset_free(&train_set);
    draco_dataset_free(&test_set);
}

static void cifar10(void) {
    draco_dataset train_set, test_set;
    if (!load("cifar10", 1, &train_set, &test_set)) return;
    const size_t n = train_set.samples, share = n / 10;
    say(n >= 10000 && n % 10000 == 0 && train_set.features == 3072 && train_set.channels == 3 &&
            balanced(&train_set, share - share / 20, share + share / 20) && test_set.samples >= 2000,
        "cifar10: whole batches of 32 x 32 x 3, balanced classes");
    draco_dataset_free(&train_set);
    draco_dataset_free(&test_set);
}

static void mr(void) {
    draco_dataset train_set, test_set;
    if (!load("mr", 1, &train_set, &test_set)) return;
    size_t positive = 0;
    for (size_t i = 0; i < train_set.samples; i++) positive += train_set.labels[i] == 1;
    for (size_t i = 0; i < test_set.samples; i++) positive += test_set.labels[i] == 1;
    say(train_set.samples == 9596 && test_set.samples == 1066 && positive == 5331,
        "mr: 5,331 sentences of each class, a tenth held out");
    say(train_set.vocabulary.words > 15000 && train_set.vocabulary.words < 20000 && train_set.features < 70,
        "mr: a vocabulary of 18 thousand words, sentences of less than 70");
    draco_dataset_free(&train_set);
    draco_dataset_free(&test_set);
}

int main(void) {
    digits("fashion-mnist", 0.2860, 0.3530, 6000, 6000, 0.82);
    digits("mnist", 0.1307, 0.3081, 5421, 6742, 0.91);
    cifar10();
    mr();
    printf("1..%d\n", number);
    return failed != 0;
}
