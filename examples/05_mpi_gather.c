/* 05: an MPI program you know - every rank computes a gradient, rank 0 gathers, adds up, steps, broadcasts -
 * that stays right while rank 1 lies. Lines marked + came with Draco, lines marked - are what they replace.
 *     mpirun -n 7 build/05_mpi_gather */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#define DRACO_CODES_IMPLEMENTATION /* + */
#include "draco_codes.h"           /* + */

enum { D = 1000, BATCH = 210, STEPS = 50, RANKS = 64, SERVER = 0, LIAR = 1 };

/* Sum over samples first..first+count-1 of the gradient of |w - x|^2 / 2; the best w is the mean of all x. */
static void gradient(const float *w, int step, size_t first, size_t count, float *g) {
    for (size_t j = 0; j < D; j++) {
        g[j] = 0;
        for (size_t i = first; i < first + count; i++)
            g[j] += w[j] - (float)((j * 31 + i * 17 + (size_t)step * 7) % 101) / 100.0f;
    }
}

int main(int argc, char **argv) {
    static float w[D], g[D], sum[D], all[RANKS * D];
    const void *rows[RANKS];       /* + */
    draco_verdict verdicts[RANKS]; /* + */
    int rank, n, caught = 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n);
    draco_code code = {.scheme = DRACO_REPETITION, .n = n, .s = 1};   /* + */
    if (n > RANKS || draco_code_init(&code) != DRACO_OK) {            /* + */
        fprintf(stderr, "use mpirun -n with 3 to %d ranks\n", RANKS); /* + */
        MPI_Abort(MPI_COMM_WORLD, 2);                                 /* + */
    }
    void *work = malloc(draco_decode_work_bytes(&code)); /* + */
    for (int step = 0; step < STEPS; step++) {
        size_t first, count; /* - first = rank * BATCH / n, count = BATCH / n */
        draco_code_samples(&code, BATCH, draco_code_part(&code, rank, 0), &first, &count); /* + */
        gradient(w, step, first, count, g);
        for (int j = 0; j < D && rank == LIAR; j++) g[j] *= -100.0f;
        MPI_Gather(g, D, MPI_FLOAT, all, D, MPI_FLOAT, SERVER, MPI_COMM_WORLD);
        if (rank == SERVER) {    /* - for every i, j: sum[j] += all[i * D + j] */
            draco_seed seed;     /* + */
            draco_report report; /* + */
            for (int i = 0; i < n; i++) rows[i] = all + (size_t)i * D;                       /* + */
            if (draco_seed_random(&seed) != DRACO_OK ||                                      /* + */
                draco_decode(&code, &seed, rows, D, NULL, work, sum, verdicts, &report) < 0) /* + */
                MPI_Abort(MPI_COMM_WORLD, 1);                                                /* + */
            caught += verdicts[LIAR] == DRACO_BLAMED && report.blamed == 1;                  /* + */
            for (int j = 0; j < D; j++) w[j] -= 0.2f * sum[j] / BATCH;
        }
        MPI_Bcast(w, D, MPI_FLOAT, SERVER, MPI_COMM_WORLD);
    }
    if (rank == SERVER)
        printf("w[0] = %.3f (it should be about 0.5); rank %d was caught lying in %d of %d steps\n",
               (double)w[0], LIAR, caught, STEPS);
    free(work);
    MPI_Finalize();
    return 0;
}
