/* Started under mpirun by test_mpi_conformance.sh: every case of conformance.h on MPI and on OpenMP, with one
   server and with three, which are the first ranks or the last ones. Rank 0 of the world prints the TAP. */
#ifndef CONFORMANCE_RELAY
#define CONFORMANCE_RELAY 0
#endif
#include "support/conformance.h"
#include "transports/draco_mpi.h"

#define DRACO_IMPLEMENTATION
#include "draco.h"
#define DRACO_OPENMP_IMPLEMENTATION
#include "transports/draco_openmp.h"
#define DRACO_MPI_IMPLEMENTATION
#include "transports/draco_mpi.h"
#define DRACO_OPTIM_IMPLEMENTATION
#include "models/draco_optim.h"
#define DRACO_RULES_IMPLEMENTATION
#include "baselines/draco_rules.h"

typedef struct outcome {
    int status, wrong, wrong_there;
    uint64_t hash;
} outcome;

static uint64_t hash_of(const float *params) {
    static const draco_seed known;
    uint64_t value[2];
    draco_fingerprint_of(&known, params, CONFORMANCE_DIM * sizeof *params, (uint8_t *)value);
    return value[0];
}

/* One run on a communicator of servers + n ranks. */
static outcome run(const conformance_case *c, int mode, int servers, int last, MPI_Comm comm) {
    static float params[CONFORMANCE_DIM];
    int ranks[3], size;
    char text[200];
    draco_code code = c->code;
    draco_transport t;
    outcome out = {0};
    MPI_Comm_size(comm, &size);
    for (int k = 0; k < servers; k++) ranks[k] = last ? size - 1 - k : k;
    draco_code_init(&code);
    snprintf(text, sizeof text, "case=%s\nmode=%d\n", c->name, mode);
    draco_mpi_config config = {.comm = comm,
                               .servers = servers,
                               .server_ranks = ranks,
                               .workers = c->code.n,
                               .dim = CONFORMANCE_DIM,
                               .code_id = draco_code_id(&code),
                               .relay = CONFORMANCE_RELAY,
                               .liars = c->code.s,
                               .text = text};
    draco_status status = draco_mpi_open(&t, &config);
    if (status < 0) {
        fprintf(stderr, "# open: %s: %s\n", draco_status_text(status), t.explain(t.ctx));
    } else if (draco_mpi_worker(&t) >= 0) {
        status = conformance_work(c, mode, draco_mpi_worker(&t), servers, &t);
    } else {
        status = conformance_serve(c, mode, &t, params, &out.wrong);
        out.hash = hash_of(params);
    }
    if (status < 0 && t.explain(t.ctx)[0]) fprintf(stderr, "# %s\n", t.explain(t.ctx));
    t.close(t.ctx);
    out.status = status;
    return out;
}

/* Everybody's outcome at rank 0, for the verdict. */
static int agree(const outcome *mine, int server, uint64_t hash, MPI_Comm comm) {
    int bad = mine->status < 0 || mine->wrong > 0 || (server && mine->hash != hash), any;
    if (bad)
        printf("# status %s, %d wrong verdicts, %s\n", draco_status_text((draco_status)mine->status),
               mine->wrong, server && mine->hash != hash ? "other bits" : "");
    MPI_Allreduce(&bad, &any, 1, MPI_INT, MPI_SUM, comm);
    return any == 0;
}

int main(int argc, char **argv) {
    int rank, size, test = 0, failed = 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (size_t i = 0; i < CONFORMANCE_CASES; i++) {
        const conformance_case *c = &conformance_cases[i];
        for (int mode = 0; mode < CONFORMANCE_MODES; mode++) {
            static float params[CONFORMANCE_DIM];
            int wrong = 0, reference = 0;
            uint64_t hash = 0;
            if (mode == CONFORMANCE_LIARS_AND_SILENT && c->code.t == 0) continue;
            if (rank == 0) {
                reference = conformance_reference(c, mode, params, &wrong);
                hash = hash_of(params);
            }
            MPI_Bcast(&hash, 8, MPI_BYTE, 0, MPI_COMM_WORLD);
            MPI_Bcast(&reference, 1, MPI_INT, 0, MPI_COMM_WORLD);
            for (int servers = 1; servers <= c->servers; servers += 2) {
                int members = c->code.n + servers, last = (int)(i + (size_t)mode) % 2, ok = 1;
                MPI_Comm comm;
                MPI_Comm_split(MPI_COMM_WORLD, rank < members ? 0 : MPI_UNDEFINED, rank, &comm);
                if (reference >= 0 && comm != MPI_COMM_NULL) {
                    outcome out = run(c, mode, servers, last, comm);
                    int server = last ? rank >= members - servers : rank < servers;
                    ok = agree(&out, server, hash, comm);
                }
                if (comm != MPI_COMM_NULL) MPI_Comm_free(&comm);
                ok = ok && reference >= 0 && wrong == 0;
                if (rank == 0 && reference < 0)
                    printf("# reference: %s\n", draco_status_text((draco_status)reference));
                if (rank == 0)
                    printf("%s %d - %s, %s, %d server%s: the bits of OpenMP\n", ok ? "ok" : "not ok", ++test,
                           c->name, conformance_mode_name(mode), servers, servers > 1 ? "s" : "");
                fflush(stdout);
                failed |= !ok;
            }
        }
    }
    if (rank == 0) printf("1..%d\n", test);
    MPI_Finalize();
    return rank == 0 && failed;
}
