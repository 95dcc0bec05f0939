/* The same cases with parameters that the workers relay. */
#define DRACO_RELAY_LEAST 1024
#define CONFORMANCE_RELAY 1
#include "test_grpc_conformance.c"
