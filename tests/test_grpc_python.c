/* A worker in Python that was written from draco.proto alone: its vote agrees within the tolerance in every
   round, and as a liar it is caught in every round. Two workers in C sit in the same group. */
#include "support/conformance.h"

#define DRACO_IMPLEMENTATION
#include "draco.h"
#define DRACO_OPENMP_IMPLEMENTATION
#include "transports/draco_openmp.h"
#define DRACO_GRPC_IMPLEMENTATION
#include "support/grpc_testing.h"
#include <netinet/in.h>
#include <sys/socket.h>
#define DRACO_OPTIM_IMPLEMENTATION
#include "models/draco_optim.h"
#define DRACO_RULES_IMPLEMENTATION
#include "baselines/draco_rules.h"
#define DRACO_LINEAR_IMPLEMENTATION
#include "models/draco_linear.h"

#define STEPS 15
#define BATCH 60
#define SEED 11

static const char *configuration = "code=repetition n=3 s=1 t=0 batch=60 seed=11 model=softmax";
static char directory[] = "/tmp/draco-grpc-XXXXXX";
static draco_model model;
static draco_code code = {.scheme = DRACO_REPETITION, .n = 3, .s = 1};

static void put_be32(FILE *file, size_t v) {
    for (int shift = 24; shift >= 0; shift -= 8) fputc((int)(v >> shift & 255), file);
}

/* The data set as IDX files, as the Python worker reads them. */
static int write_idx(const draco_dataset *data) {
    char name[128];
    snprintf(name, sizeof name, "%s/images", directory);
    FILE *images = fopen(name, "wb");
    snprintf(name, sizeof name, "%s/labels", directory);
    FILE *labels = fopen(name, "wb");
    if (!images || !labels) return 0;
    put_be32(images, 0x803);
    put_be32(images, data->samples);
    put_be32(images, 28);
    put_be32(images, 28);
    fwrite(data->pixels, 1, data->samples * data->features, images);
    put_be32(labels, 0x801);
    put_be32(labels, data->samples);
    for (size_t i = 0; i < data->samples; i++) fputc(data->labels[i], labels);
    return !(fclose(images) | fclose(labels));
}

static draco_worker_config worker_config(void) {
    draco_worker_config config = {.code = code, .model = &model, .batch = BATCH, .seed = SEED};
    return config;
}

typedef struct native {
    int index;
    char address[64];
    draco_grpc_tls tls;
    draco_status status;
} native;

static void *native_main(void *arg) {
    native *m = arg;
    const draco_worker_config config = worker_config();
    const draco_grpc_worker_config link = {.address = m->address,
                                           .index = m->index,
                                           .code_id = draco_code_id(&code),
                                           .configuration = configuration,
                                           .tls = m->tls};
    draco_worker *worker;
    draco_transport t;
    m->status = draco_worker_open(&worker, &config);
    if (!m->status) m->status = draco_grpc_worker_open(&t, &link);
    if (m->status) return NULL;
    m->status = draco_worker_run(worker, m->index, &t);
    t.close(t.ctx);
    draco_worker_close(worker);
    return NULL;
}

typedef struct count {
    int rounds, agreed, blamed, others;
} count;

static draco_status watch(void *ctx, uint64_t step, int attempt, const draco_round *round,
                          const draco_score *score) {
    count *c = ctx;
    (void)attempt;
    (void)score;
    c->rounds++;
    c->agreed += round->verdicts[2] == DRACO_AGREES;
    c->blamed += round->verdicts[2] == DRACO_BLAMED;
    for (int i = 0; i < 2; i++) /* a reactive code asks two of the three, unless they differ */
        c->others +=
            round->verdicts[i] != DRACO_AGREES && !(code.reactive && round->verdicts[i] == DRACO_UNDECIDED);
    if (round->verdicts[2] != DRACO_AGREES && c->blamed < 2)
        printf("# step %d: python is %s\n", (int)step, draco_verdict_text(round->verdicts[2]));
    return DRACO_OK;
}

/* Python and C round otherwise, so that they vote with a tolerance; three of Python vote exactly, by challenge. */
static draco_status train(const draco_transport *t, int challenge, float *params, count *c) {
    draco_server_config config = {
        .code = code, .transport = t, .dim = model.dim, .deadline = 60, .challenge = challenge};
    if (!challenge) config.abs_tol = config.rel_tol = 1e-3f;
    draco_optim_config optim = {.kind = DRACO_OPTIM_SGD, .rate = 0.1f};
    draco_optim memory;
    draco_optimizer optimizer;
    draco_server *server;
    float *sum = calloc(model.dim, sizeof *sum), *state = calloc(model.dim, sizeof *state);
    draco_status status = draco_optim_open(&optimizer, &memory, &optim);
    if (status >= 0) status = draco_server_open(&server, &config);
    if (status >= 0) {
        draco_trainer trainer = {.server = server,
                                 .model = &model,
                                 .optimizer = &optimizer,
                                 .params = params,
                                 .state = state,
                                 .sum = sum,
                                 .batch = BATCH,
                                 .steps = STEPS,
                                 .policy = DRACO_POLICY_STOP,
                                 .on_round = watch,
                                 .on_round_ctx = c};
        model.init(model.ctx, SEED, params);
        status = draco_train(&trainer);
        draco_server_close(server);
    }
    free(sum);
    free(state);
    return status;
}

static draco_grpc_tls tls_of(const char *name, char store[3][128]) {
    snprintf(store[0], 128, "%s/ca.pem", directory);
    snprintf(store[1], 128, "%s/%s.pem", directory, name);
    snprintf(store[2], 128, "%s/%s.key", directory, name);
    const draco_grpc_tls tls = {store[0], store[1], store[2]};
    return tls;
}

/* A whole run; python's exit code in *left. */
static draco_status run(int tls, int pythons, const char *lie, float *params, count *c, int *left) {
    static char store[3][3][128];
    char why[256] = "", python_tls[512] = "";
    draco_transport t;
    native natives[2];
    pthread_t threads[2];
    draco_grpc_server_config config = {.address = "127.0.0.1:0",
                                       .workers = 3,
                                       .code_id = draco_code_id(&code),
                                       .configuration = configuration,
                                       .limits = {.start_seconds = 60}};
    if (tls) config.tls = tls_of("server-0", store[2]);
    draco_status status = explained(&t, draco_grpc_server_open(&t, &config), why, sizeof why);
    if (status) {
        printf("# %s\n", why);
        return status;
    }
    memset(c, 0, sizeof *c);
    memset(natives, 0, sizeof natives);
    pid_t python[3];
    for (int i = 0; i < 3 - pythons; i++) {
        char name[16];
        snprintf(name, sizeof name, "worker-%d", i);
        natives[i].index = i;
        if (tls) natives[i].tls = tls_of(name, store[i]);
        snprintf(natives[i].address, sizeof natives[i].address, "127.0.0.1:%d", draco_grpc_port(&t));
        pthread_create(&threads[i], NULL, native_main, &natives[i]);
    }
    if (tls)
        snprintf(python_tls, sizeof python_tls, "--ca %s/ca.pem --cert %s/worker-2.pem --key %s/worker-2.key",
                 directory, directory, directory);
    for (int i = 3 - pythons; i < 3; i++)
        python[i] =
            toy_spawn("/usr/bin/python3 examples/grpc_worker.py --address 127.0.0.1:%d --index %d --images "
                      "%s/images --labels %s/labels %s %s",
                      draco_grpc_port(&t), i, directory, directory, python_tls, i == 2 ? lie : "");
    status = train(&t, pythons == 3, params, c);
    t.close(t.ctx);
    *left = 0;
    for (int i = 3 - pythons; i < 3; i++) *left |= toy_wait(python[i], 10);
    for (int i = 0; i < 3 - pythons; i++) {
        pthread_join(threads[i], NULL);
        if (natives[i].status < 0) status = natives[i].status;
    }
    return status;
}

/* A server that takes connections and never answers: the worker ends with a message when its time is over. */
static int silent_server(void) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    char command[512];
    if (fd < 0 || bind(fd, (struct sockaddr *)&name, size) || listen(fd, 8) ||
        getsockname(fd, (struct sockaddr *)&name, &size))
        return 0;
    snprintf(
        command, sizeof command,
        "timeout 60 /usr/bin/python3 examples/grpc_worker.py --address 127.0.0.1:%d --index 2 --give-up 2 "
        "--images %s/images --labels %s/labels 2>%s/told; test $? = 1 && grep -q 'gave up: no answer' "
        "%s/told",
        ntohs(name.sin_port), directory, directory, directory, directory);
    const int good = system(command) == 0;
    close(fd);
    return good;
}

int main(void) {
    static const char *const lies[5] = {"", "--lie=-100", "", "--lie=-100", "--lie=-100"};
    static const char *const names[5] = {"a Python worker agrees within the tolerance",
                                         "as a liar it is caught", "it agrees over mutual TLS",
                                         "three of them hold a challenge, and the one that lies is caught",
                                         "they compute what a reactive plan tells them to"};
    draco_data_config data = {.name = "digits", .train = 2000, .test = 10, .seed = 3};
    draco_dataset train_set, test_set;
    draco_data_error error;
    char command[256];
    if (system("/usr/bin/python3 -c 'import grpc, grpc_tools, numpy' 2>/dev/null")) {
        printf("ok 1 - a Python worker # SKIP python3-grpcio, python3-grpc-tools or python3-numpy is not "
               "installed\n1..1\n");
        return 0;
    }
    if (!mkdtemp(directory)) return 1;
    setenv("http_proxy", "http://192.0.2.1:9", 1); /* not for the server: all runs go past it */
    snprintf(command, sizeof command, "sh scripts/make_test_ca.sh %s 3 1", directory);
    if (system(command) || draco_code_init(&code) ||
        draco_data_load(&data, &train_set, &test_set, &error) < 0 || !write_idx(&train_set))
        return 1;
    const draco_linear_config linear = {&train_set, NULL, DRACO_LINEAR_SOFTMAX, 0, 0.0f};
    if (draco_linear_open(&model, &linear)) return 1;
    float *params = calloc(model.dim, sizeof *params), *honest = calloc(model.dim, sizeof *honest);
    int failed = 0;
    for (int k = 0; k < 5; k++) {
        count c;
        int left = -1;
        if (k == 4) {
            code.reactive = 1;
            configuration = "code=repetition n=3 s=1 t=0 batch=60 seed=11 model=softmax redundancy=reactive";
            if (draco_code_init(&code)) return 1;
        }
        const draco_status status = run(k == 2, k >= 3 ? 3 : 1, lies[k], params, &c, &left);
        if (k == 0 || k == 3) memcpy(honest, params, model.dim * sizeof *params);
        const int bits = !memcmp(honest, params, model.dim * sizeof *params);
        const int good = status >= 0 && left == 0 && bits && c.rounds == STEPS && !c.others &&
                         (k == 4 ? c.blamed > 0 && !c.agreed : (k % 2 ? c.blamed : c.agreed) == STEPS);
        if (!good)
            printf("# %s; %d rounds, agreed in %d, blamed in %d, others wrong in %d; python ended with %d; "
                   "%s bits\n",
                   draco_status_text(status), c.rounds, c.agreed, c.blamed, c.others, left,
                   bits ? "same" : "other");
        printf("%s %d - %s\n", good ? "ok" : "not ok", k + 1, names[k]);
        failed |= !good;
    }
    const int ended = silent_server();
    printf("%s 6 - a server that never answers: it ends with a message\n1..6\n", ended ? "ok" : "not ok");
    failed |= !ended;
    free(params);
    free(honest);
    draco_linear_close(&model);
    draco_dataset_free(&train_set);
    draco_dataset_free(&test_set);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command) || failed;
}
