/* The same fingerprints and comparisons on a machine with neither 128-bit integers nor the wide kernels. */
#undef __SIZEOF_INT128__
#define DRACO_VOTE_NO_SIMD
#include "test_vote_fingerprint.c"
