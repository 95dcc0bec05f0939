/* draco_share.h - version 0.1.0 - what transports share between several servers and one worker
 *
 * Included by the transports, inside their implementations. Private to each file that includes it: nothing
 * to define.
 *
 * With K servers the vector is cut by draco_shard. draco_share_join makes one request of the K that came, and
 * draco_share_cut says how much of the reply is a server's. `asker` is the server whose request the worker
 * has in hand, or -1 when it is that of all.
 *
 * SPDX-License-Identifier: MIT */
#ifndef DRACO_SHARE_H
#define DRACO_SHARE_H

#include "../draco.h"

#include <stdlib.h>
#include <string.h>

/* Memory that grows as needed; freed by its owner. */
typedef struct draco_share_memory {
    void *bytes;
    size_t capacity;
} draco_share_memory;

__attribute__((unused)) static int draco_share_asked(int asker, int server) {
    return asker == -1 || asker == server;
}

/* Bytes of the reply that the next server gets, at most `wanted`; *at, 0 before the first, moves on. When a
   reply is too short the last servers get less. */
__attribute__((unused)) static size_t draco_share_cut(size_t *at, size_t bytes, size_t wanted) {
    size_t share = wanted < bytes - *at ? wanted : bytes - *at;
    *at += share;
    return share;
}

/* Server k's request: `stride` bytes lie between one and the next. */
static const draco_request *dri_part(const draco_request *first, size_t stride, int k) {
    return (const draco_request *)(const void *)((const unsigned char *)first + (size_t)k * stride);
}

static const void *dri_bytes(const draco_request *r, int extra, size_t *bytes) {
    *bytes = extra ? r->extra_bytes : r->params_count * sizeof(float);
    return extra ? r->extra : (const void *)r->params;
}

/* The parts' parameters or extras one after the other; where they stand so already, nothing is copied. */
static const void *dri_gather(const draco_request *first, size_t stride, int servers, int extra, size_t total,
                              draco_share_memory *memory) {
    const unsigned char *start = NULL, *end = NULL;
    size_t bytes, at = 0;
    int adjacent = 1;
    for (int k = 0; k < servers; k++) {
        const unsigned char *part =
            (const unsigned char *)dri_bytes(dri_part(first, stride, k), extra, &bytes);
        if (bytes == 0) continue;
        adjacent &= !end || part == end;
        if (!start) start = part;
        end = part + bytes;
    }
    if (adjacent) return start;
    if (memory->capacity < total) {
        free(memory->bytes);
        memory->bytes = aligned_alloc(64, (total + 63) / 64 * 64);
        memory->capacity = memory->bytes ? total : 0;
        if (!memory->bytes) return NULL;
    }
    for (int k = 0; k < servers; k++) {
        const void *part = dri_bytes(dri_part(first, stride, k), extra, &bytes);
        if (bytes) memcpy((unsigned char *)memory->bytes + at, part, bytes);
        at += bytes;
    }
    return memory->bytes;
}

/* One request out of those of all servers. It borrows their memory, or the two that are handed in.
   DRACO_E_CONFIG: they ask for different things, so they are not of one run. */
__attribute__((unused)) static draco_status draco_share_join(const draco_request *first, size_t stride,
                                                             int servers, draco_share_memory *params,
                                                             draco_share_memory *extras,
                                                             draco_request *request) {
    *request = *first;
    request->server = -1;
    for (int k = 1; k < servers; k++) {
        const draco_request *r = dri_part(first, stride, k);
        if (r->kind != first->kind || r->step != first->step || !r->params != !first->params)
            return DRACO_E_CONFIG;
        request->params_count += r->params_count;
        request->extra_bytes += r->extra_bytes;
        request->reply_bytes += r->reply_bytes;
    }
    if (request->params)
        request->params = (const float *)dri_gather(first, stride, servers, 0,
                                                    request->params_count * sizeof(float), params);
    request->extra =
        request->extra_bytes ? dri_gather(first, stride, servers, 1, request->extra_bytes, extras) : NULL;
    if ((request->params_count && !request->params) || (request->extra_bytes && !request->extra))
        return DRACO_E_MEMORY;
    return DRACO_OK;
}

#endif /* DRACO_SHARE_H */
