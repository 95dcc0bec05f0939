/* The reason of an opening that failed, for tests of the transports. */
#ifndef EXPLAINED_H
#define EXPLAINED_H

#include "draco.h"
#include <stdio.h>

/* Opening has failed: what it says of it goes to why. */
static inline draco_status explained(draco_transport *t, draco_status status, char *why, size_t capacity) {
    if (status >= 0) return status;
    snprintf(why, capacity, "%s", t->explain(t->ctx));
    t->close(t->ctx);
    return status;
}

#endif
