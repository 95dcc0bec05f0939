/* Seconds per round on MPI (broadcast, gather, decode) next to a bare MPI_Bcast and MPI_Gather of the same
   bytes, by turns in the same run.

       build/bench/bench_mpi                        n = 8, d = 1,000,000 and 11,200,000
       build/bench/bench_mpi N D [SERVERS] [challenge] another size

   It starts itself under mpirun. Workers answer with a message that is ready, so that no gradient is timed.
   The code is the repetition code with s = 1. BENCH_MPI_ARGS: more arguments for mpirun. */
#include "draco.h"
#include "transports/draco_mpi.h"

#define DRACO_IMPLEMENTATION
#include "draco.h"
#define DRACO_MPI_IMPLEMENTATION
#include "transports/draco_mpi.h"

enum { ROUNDS = 9 };

typedef struct setting {
    int n, servers, challenge;
    size_t d;
} setting;

static void fingerprint(const draco_request *q, const void *bytes, size_t n, uint8_t *value) {
    draco_seed seed;
    memcpy(&seed, q->extra, sizeof seed);
    draco_fingerprint_of(&seed, bytes, n, value);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *seconds, int count) {
    qsort(seconds, (size_t)count, sizeof *seconds, by_size);
    return seconds[count / 2];
}

/* params to everybody, one message of d floats from each worker back to rank 0. */
static double bare(float *params, float *message, float *all, size_t d, int rank) {
    double begin;
    MPI_Barrier(MPI_COMM_WORLD);
    begin = MPI_Wtime();
    MPI_Bcast(params, (int)d, MPI_FLOAT, 0, MPI_COMM_WORLD);
    MPI_Gather(rank ? message : MPI_IN_PLACE, (int)d, MPI_FLOAT, all, (int)d, MPI_FLOAT, 0, MPI_COMM_WORLD);
    return MPI_Wtime() - begin;
}

/* Answer the questions of one round, and say when the next one is not for this loop. */
static void answer(const draco_transport *t, const float *message, int questions) {
    for (int i = 0; i < questions; i++) {
        draco_request q;
        size_t first = 0, count = ((const draco_mpi *)t->ctx)->config.dim;
        uint8_t small[64] = {1};
        if (t->receive(t->ctx, &q) < 0 || q.kind == DRACO_REQUEST_STOP) return;
        if (q.server >= 0) draco_shard(count, t->servers, q.server, &first, &count);
        if (q.kind == DRACO_REQUEST_FINGERPRINT) fingerprint(&q, message + first, 4 * count, small);
        t->submit(t->ctx, &q, q.reply_bytes > sizeof small ? (const void *)(message + first) : small,
                  q.reply_bytes);
    }
}

static void run(const setting *s) {
    int rank;
    draco_code code = {.scheme = DRACO_REPETITION, .n = s->n, .s = 1};
    draco_server *server = NULL;
    draco_transport t;
    MPI_Comm comm;
    float *params, *message, *all = NULL, *sum = NULL;
    double bare_seconds[ROUNDS] = {0}, ours[ROUNDS] = {0}, decode[ROUNDS] = {0};
    draco_round round = {0};
    draco_mpi_counters before = {0}, after = {0};
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    draco_code_init(&code);
    draco_mpi_config config = {
        .comm = comm, .servers = s->servers, .dim = s->d, .code_id = draco_code_id(&code)};
    params = calloc(s->d, sizeof *params);
    message = calloc(s->d, sizeof *message);
    for (size_t i = 0; i < s->d; i++) message[i] = params[i] = (float)(i % 1000) * 0.001f;
    if (rank == 0) {
        all = calloc(s->d * ((size_t)s->n + (size_t)s->servers), sizeof *all);
        sum = calloc(s->d, sizeof *sum);
    }
    if (rank > 0 && rank < s->servers) sum = calloc(s->d, sizeof *sum);
    if (draco_mpi_open(&t, &config) < 0) {
        fprintf(stderr, "%s\n", t.explain(t.ctx));
        exit(1);
    }
    if (draco_mpi_worker(&t) < 0) {
        draco_server_config c = {
            .code = code, .transport = &t, .dim = s->d, .deadline = 60, .challenge = s->challenge};
        if (draco_server_open(&server, &c) < 0) exit(1);
    }
    for (int i = -1; i < ROUNDS; i++) { /* the first time is to touch the memory */
        double b = bare(params, message, all, s->d, rank);
        MPI_Barrier(MPI_COMM_WORLD);
        if (server) {
            draco_mpi_count(&t, &before);
            if (draco_server_round(server, (uint64_t)(i + 1), params, sum, &round) < 0)
                printf("%s\n", round.text);
            draco_mpi_count(&t, &after);
        } else {
            /* Challenge: READY, and then for every server the body or its fingerprint. */
            answer(&t, message, 1 + (s->challenge ? s->servers : 0));
        }
        if (i >= 0) {
            bare_seconds[i] = b;
            ours[i] = round.seconds;
            decode[i] = round.server_seconds;
        }
    }
    if (rank == 0) {
        double mine = median(ours, ROUNDS), theirs = median(bare_seconds, ROUNDS);
        printf("n=%2d d=%8zu servers=%d%s  bare %.4f s  round %.4f s  ratio %.2f  (server's own work %.4f s) "
               " in %.1f MB "
               "out %.1f MB\n",
               s->n, s->d, s->servers, s->challenge ? " challenge" : "", theirs, mine, mine / theirs,
               median(decode, ROUNDS), 1e-6 * (double)(after.bytes_in - before.bytes_in),
               1e-6 * (double)(after.bytes_out - before.bytes_out));
        fflush(stdout);
    }
    draco_server_close(server);
    if (draco_mpi_worker(&t) >= 0) answer(&t, message, 1); /* STOP */
    t.close(t.ctx);
    MPI_Comm_free(&comm);
    free(params);
    free(message);
    free(all);
    free(sum);
}

static int start(int argc, char **argv, int ranks) {
    char command[4096];
    int used;
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    used = snprintf(command, sizeof command, "mpirun --oversubscribe --bind-to none %s -n %d %s",
                    getenv("BENCH_MPI_ARGS") ? getenv("BENCH_MPI_ARGS") : "", ranks, argv[0]);
    for (int i = 1; i < argc && used > 0 && used < (int)sizeof command; i++)
        used += snprintf(command + used, sizeof command - (size_t)used, " %s", argv[i]);
    if (system("command -v mpirun >/dev/null") != 0) {
        printf("mpirun is not installed: skipped\n");
        return 0;
    }
    return system(command) == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    setting s = {.n = argc > 1 ? atoi(argv[1]) : 8,
                 .d = argc > 2 ? (size_t)atol(argv[2]) : 1000000,
                 .servers = argc > 3 && atoi(argv[3]) > 0 ? atoi(argv[3]) : 1,
                 .challenge = argc > 4};
    if (s.n < 3 || s.n > 64 || s.d < 1 || s.d > 500000000 || s.servers > 8) {
        fprintf(stderr, "usage: bench_mpi [N D [SERVERS] [challenge]]\n");
        return 2;
    }
    if (!getenv("OMPI_COMM_WORLD_SIZE")) return start(argc, argv, s.n + s.servers);
    setenv("OMP_NUM_THREADS", "1", 0);
    MPI_Init(&argc, &argv);
    run(&s);
    if (argc < 3) {
        s.d = 11200000;
        run(&s);
    }
    MPI_Finalize();
    return 0;
}
