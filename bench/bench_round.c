/* Seconds of a round with the prime field next to one with the repetition code, n = 15, s = 2, when both compute the same
 * gradients: 5 of a fifteenth of the batch for each worker, which the repetition code's worker only has to add. Workers
 * compute one after the other on one thread, in CPU time; so does the server. BENCH_REPEAT pairs of rounds, taken in
 * turn; ratios are the medians of the pairs'. The prime field's workers keep their gradients: fifteen workers' in one
 * process leave the cache, which one worker's on a machine of its own need not. `with gradients equal` counts the
 * seconds that the models compute as the repetition code's in both rounds.
 *
 *     build/bench/bench_round [SAMPLES OF A PART...] */
#define DRACO_IMPLEMENTATION
#define DRACO_DATA_IMPLEMENTATION
#define DRACO_MLP_IMPLEMENTATION
#define DRACO_LENET_IMPLEMENTATION
#include "models/draco_data.h"
#include "models/draco_lenet.h"
#include "models/draco_mlp.h"

#include <time.h>

enum { N = 15, S = 2, R = 2 * S + 1, MOST = 99 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int failed(const char *what) {
    fprintf(stderr, "bench_round: %s\n", what);
    exit(1);
}

typedef struct job {
    const draco_model *model;
    void *workspace;
    float *params, *more;
    uint64_t step;
    size_t samples; /* of a fifteenth */
    double gradients;
} job;

/* The sum over `count` samples, a fifteenth of the batch at a time. */
static draco_status gradient(void *ctx, int part, size_t first, size_t count, float *g) {
    job *j = ctx;
    (void)part;
    for (size_t at = 0; at < count; at += j->samples) {
        const draco_batch batch = {
            .seed = 1, .step = j->step, .first = first + at, .count = j->samples, .total = N * j->samples};
        double begin = now();
        draco_status status =
            j->model->gradient(j->model->ctx, j->workspace, j->params, &batch, at ? j->more : g);
        j->gradients += now() - begin;
        if (status < 0) return status;
        for (size_t c = 0; c < j->model->dim && at; c++) g[c] += j->more[c];
    }
    return DRACO_OK;
}

typedef struct cluster {
    draco_encoder *worker[N];
    draco_decoder *server;
    float *sum;
    int asked;
} cluster;

static void cluster_open(cluster *c, draco_code code, job *j) {
    draco_coding coding = {
        .d = j->model->dim, .code = code, .batch = N * j->samples, .gradient = gradient, .ctx = j};
    c->sum = draco_model_alloc(j->model->dim, sizeof *c->sum);
    if (!c->sum || draco_decoder_open(&c->server, &coding) < 0) failed("no decoder");
    for (int i = 0; i < N; i++)
        if (draco_encoder_open(&c->worker[i], &coding, i) < 0) failed("no encoder");
}

static void cluster_close(cluster *c) {
    for (int i = 0; i < N; i++) draco_encoder_close(c->worker[i]);
    draco_decoder_close(c->server);
    free(c->sum);
}

static double seconds_of_round(cluster *c) {
    void *rows[N];
    draco_status status;
    double begin = now();
    do {
        const void *agreed = draco_decoder_agreed(c->server);
        for (int i = 0; i < N; i++)
            if (draco_encoder_message(c->worker[i], agreed, &rows[i]) < 0) failed("no message");
        status = draco_decoder_decode(c->server, rows, c->sum, NULL);
        c->asked++;
    } while (status == DRACO_E_AGAIN);
    if (status < 0) failed("no sum");
    return now() - begin;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int count) {
    qsort(x, (size_t)count, sizeof *x, ascending);
    return x[count / 2];
}

static void measure(const draco_model *model, const char *name, size_t samples, int pairs) {
    job j = {.model = model, .samples = samples};
    cluster prime, repetition;
    double ratio[MOST], equal[MOST], first[MOST], second[MOST], share[MOST];
    j.params = draco_model_alloc(model->dim, sizeof *j.params);
    j.more = draco_model_alloc(model->dim, sizeof *j.more);
    if (!j.params || !j.more) failed("out of memory");
    if (model->workspace_new(model->ctx, &j.workspace) < 0 || model->init(model->ctx, 1, j.params) < 0)
        failed(name);
    cluster_open(&prime, (draco_code){.n = N, .s = S, .scheme = DRACO_CYCLIC}, &j);
    cluster_open(&repetition, (draco_code){.n = N, .s = S}, &j);
    for (int k = -1; k < pairs; k++) {
        double a, b;
        j.step++;
        j.gradients = 0;
        a = seconds_of_round(&repetition);
        double computed = j.gradients;
        b = seconds_of_round(&prime);
        double more = j.gradients - 2 * computed;
        if (k < 0) {
            prime.asked = 0;
            continue;
        }
        first[k] = a;
        second[k] = b;
        share[k] = computed / a;
        ratio[k] = b / a;
        equal[k] = (b - more) / a;
        for (size_t c = 0; c < model->parameters; c++) j.params[c] -= 1e-6f * prime.sum[c];
    }
    printf("%-6s %8zu floats, %3zu samples a part: repetition %6.3f s (%2.0f%% gradients), prime %6.3f s, "
           "ratio %.2f, with gradients equal %.2f; asked %.2f times\n",
           name, model->dim, samples, median(first, pairs), 100 * median(share, pairs), median(second, pairs),
           median(ratio, pairs), median(equal, pairs), (double)prime.asked / pairs);
    fflush(stdout);
    cluster_close(&prime);
    cluster_close(&repetition);
    model->workspace_free(model->ctx, j.workspace);
    free(j.params);
    free(j.more);
}

/* Pictures of 28 x 28 that show nothing. */
int main(int argc, char **argv) {
    const char *repeat = getenv("BENCH_REPEAT");
    int pairs = repeat ? atoi(repeat) : 7;
    draco_dataset digits = {
        .samples = 960, .height = 28, .width = 28, .channels = 1, .classes = 10, .features = 784};
    draco_model m;
    char text[256];
    if (pairs < 1 || pairs > MOST) failed("BENCH_REPEAT is 1 to 99");
    digits.pixels = draco_model_alloc(digits.samples, digits.features);
    digits.labels = draco_model_alloc(digits.samples, sizeof *digits.labels);
    if (!digits.pixels || !digits.labels) failed("out of memory");
    for (size_t i = 0; i < digits.samples * digits.features; i++)
        digits.pixels[i] = (uint8_t)(i * 2654435761u >> 24);
    for (size_t i = 0; i < digits.samples; i++) digits.labels[i] = (int32_t)(i % 10);
    digits.scale[0] = 0.0136f;
    digits.shift[0] = -1.73f;
    draco_compute_describe(text, sizeof text);
    printf("%s, one thread\n", text);
    const draco_mlp_config mlp = {&digits, NULL, 2, {800, 500}};
    const draco_lenet_config lenet = {&digits, NULL};
    for (int i = argc > 1 ? 1 : 0; i < (argc > 1 ? argc : 3); i++) {
        size_t samples = argc > 1 ? strtoul(argv[i], NULL, 10) : (size_t)10 << 2 * i;
        if (samples == 0) failed("a part has samples");
        if (draco_mlp_open(&m, &mlp) < 0) failed("no network");
        measure(&m, "FC", samples, pairs);
        draco_mlp_close(&m);
        if (draco_lenet_open(&m, &lenet) < 0) failed("no network");
        measure(&m, "LeNet", samples, pairs);
        draco_lenet_close(&m);
    }
    free(digits.pixels);
    free(digits.labels);
    return 0;
}
