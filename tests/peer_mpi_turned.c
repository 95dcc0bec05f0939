/* The same cases with the numbers of all heads turned at both ends, as between machines of another byte order:
   one that is turned at one end alone stops the run. */
#define DRM_TURNS 1
#include "peer_mpi_conformance.c"
