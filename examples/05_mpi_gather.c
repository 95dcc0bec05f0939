/* 05: an MPI program you know - every rank computes a gradient, rank 0 gathers, adds up, steps, broadcasts -
 * that stays right while rank 1 lies. Lines marked + came with Draco, lines marked - are what they replace.
 *     mpirun -n 7 build/05_mpi_gather */
#include <mpi.h>
#include <stdio.h>
#define DRACO_IMPLEMENTATION /* + */
#include "draco.h"           /* + */

enum { D = 1001, BATCH = 210, STEPS = 50, RANKS = 64, SERVER = 0, LIAR = 1 };
static float w[D], mean[D], all[RANKS][D];
static int step;

/* Sum over samples first..first+count-1 of the gradient of |w - x|^2 / 2; the best w is the mean of all x. */
static draco_status gradient(void *ctx, int part, size_t first, size_t count, float *g) {
    (void)ctx, (void)part;
    for (size_t j = 0; j < D; j++) {
        g[j] = 0;
        for (size_t i = first; i < first + count; i++)
            g[j] += w[j] - (float)((j * 31 + i * 17 + (size_t)step * 7) % 101) / 100.0f;
    }
    return DRACO_OK;
}

int main(int argc, char **argv) {
    int rank, n, caught = 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n);
    draco_coding coding = {.d = D, .code = {.n = n, .s = 1}, .batch = BATCH, .scale = 1.0 / BATCH}; /* + */
    coding.gradient = gradient;                                                                     /* + */
    draco_encoder *worker;                                                                          /* + */
    draco_decoder *server = NULL;                                                                   /* + */
    float *rows[RANKS];                                                                             /* + */
    for (int i = 0; i < RANKS; i++) rows[i] = all[i];                                               /* + */
    if (n > RANKS || draco_encoder_open(&worker, &coding, rank) < 0 ||                              /* + */
        (rank == SERVER && draco_decoder_open(&server, &coding) < 0)) {                             /* + */
        fprintf(stderr, "use mpirun -n with 3 to %d ranks\n", RANKS);                               /* + */
        MPI_Abort(MPI_COMM_WORLD, 2);                                                               /* + */
    }
    for (step = 0; step < STEPS; step++) {
        void *g; /* - gradient(NULL, rank, rank * BATCH / n, BATCH / n, g) */
        if (draco_encoder_message(worker, NULL, &g) < 0) MPI_Abort(MPI_COMM_WORLD, 1); /* + */
        for (int j = 0; j < D && rank == LIAR; j++) ((float *)g)[j] *= -100.0f;
        MPI_Gather(g, D, MPI_FLOAT, all, D, MPI_FLOAT, SERVER, MPI_COMM_WORLD);
        if (rank == SERVER) {  /* - for every i, j: mean[j] += all[i][j] / BATCH */
            draco_round round; /* + */
            if (draco_decoder_decode(server, rows, mean, &round) < 0) MPI_Abort(MPI_COMM_WORLD, 1); /* + */
            caught += round.verdicts[LIAR] == DRACO_BLAMED && round.report.blamed == 1;             /* + */
            for (int j = 0; j < D; j++) w[j] -= 0.2f * mean[j];
        }
        MPI_Bcast(w, D, MPI_FLOAT, SERVER, MPI_COMM_WORLD);
    }
    if (rank == SERVER)
        printf("w[0] = %.3f (it should be about 0.5); rank %d was caught lying in %d of %d steps\n",
               (double)w[0], LIAR, caught, STEPS);
    draco_encoder_close(worker);
    draco_decoder_close(server);
    return MPI_Finalize() != MPI_SUCCESS;
}
