/* Preloaded into the ranks of a run by network.py --relays: in every relayed broadcast other BAD_S of BAD_N workers change a bit of what
   they relay (BAD_RELAY=lie), send none of it (BAD_RELAY=stall), or no more than its first frame (BAD_RELAY=stop). */
#include <mpi.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_RELAY_TAG = 64, HEAD = 24 };

static int is_bad(uint64_t serial) {
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return ((uint64_t)rank - 1 + 7 * serial) % (uint64_t)atoi(getenv("BAD_N")) <
           (uint64_t)atoi(getenv("BAD_S"));
}

int MPI_Isend(const void *bytes, int n, MPI_Datatype type, int rank, int tag, MPI_Comm comm,
              MPI_Request *request) {
    static uint64_t last, first; /* the last broadcast, and where this worker's piece of it begins */
    uint64_t serial = 0, at = 0;
    char *changed;
    if (tag < FIRST_RELAY_TAG || n <= HEAD) return PMPI_Isend(bytes, n, type, rank, tag, comm, request);
    memcpy(&serial, bytes, sizeof serial);
    memcpy(&at, (const char *)bytes + 8, sizeof at);
    if (serial != last) first = at;
    last = serial;
    if (!is_bad(serial)) return PMPI_Isend(bytes, n, type, rank, tag, comm, request);
    if (strcmp(getenv("BAD_RELAY"), "stop") == 0 && at == first)
        return PMPI_Isend(bytes, n, type, rank, tag, comm, request);
    if (strcmp(getenv("BAD_RELAY"), "lie") != 0)
        return PMPI_Isend(bytes, n, type, MPI_PROC_NULL, tag, comm, request);
    changed = malloc((size_t)n); /* MPI reads it later */
    if (!changed) abort();
    memcpy(changed, bytes, (size_t)n);
    changed[n - 1] ^= 1;
    return PMPI_Isend(changed, n, type, rank, tag, comm, request);
}
