/* draco_handshake.h - version 0.1.0 - compared configurations and explained failures, for all transports
 *
 * Included by the transports, inside their implementations. Private to each file that includes it: nothing
 * to define.
 *
 * A configuration is text of fields, mostly "key=value", separated by blanks, newlines, commas or semicolons.
 * draco_handshake_compare finds the first difference; a transport words it, since it knows who the two ends
 * are. draco_handshake_fail fills a transport that could not be opened: explain says why, close frees,
 * nothing else is there.
 *
 * SPDX-License-Identifier: MIT */
#ifndef DRACO_HANDSHAKE_H
#define DRACO_HANDSHAKE_H

#include "../draco.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct draco_handshake_field {
    const char *text; /* not terminated */
    int bytes;        /* at most 100 */
} draco_handshake_field;

/* The next field from *at on; its length is 0 at the end. */
__attribute__((unused)) static size_t drh_next(const char **at, const char *end, const char **field) {
    while (*at < end && (!**at || strchr(" \t\r\n,;", **at))) ++*at;
    *field = *at;
    while (*at < end && **at && !strchr(" \t\r\n,;", **at)) ++*at;
    return (size_t)(*at - *field);
}

__attribute__((unused)) static draco_handshake_field drh_field(const char *text, size_t bytes) {
    draco_handshake_field field = {text, bytes < 100 ? (int)bytes : 100};
    return field;
}

/* Do two configurations differ? With whole set they must have the same fields in the same order, otherwise
   only no key may have two values. Then mine and theirs are the first fields that differ (empty: one has
   ended). */
__attribute__((unused)) static int draco_handshake_compare(const char *ours, const char *text, size_t bytes,
                                                           int whole, draco_handshake_field *mine,
                                                           draco_handshake_field *theirs) {
    const char *scan = ours, *end = ours + strlen(ours), *at = text, *a, *b;
    size_t n, m;
    for (;;) {
        n = drh_next(&at, text + bytes, &b);
        if (n == 0 && !whole) return 0;
        if (!whole) {
            const char *equal = (const char *)memchr(b, '=', n);
            size_t key = equal ? (size_t)(equal - b) + 1 : n;
            scan = ours;
            do m = drh_next(&scan, end, &a);
            while (m > 0 && (m < key || memcmp(a, b, key) != 0));
            if (m == 0) continue; /* a key of theirs alone */
        } else {
            m = drh_next(&scan, end, &a);
            if (n == 0 && m == 0) return 0;
        }
        if (n == m && memcmp(a, b, n) == 0) continue;
        *mine = drh_field(a, m);
        *theirs = drh_field(b, n);
        return 1;
    }
}

__attribute__((unused)) static const char *drh_explain(void *ctx) {
    return ctx ? (const char *)ctx : "no memory";
}

__attribute__((unused)) static draco_status drh_close(void *ctx) {
    free(ctx);
    return DRACO_OK;
}

__attribute__((unused, format(printf, 3, 4))) static draco_status
draco_handshake_fail(draco_transport *transport, draco_status status, const char *format, ...) {
    char *why = (char *)malloc(512);
    if (why) {
        va_list list;
        va_start(list, format);
        vsnprintf(why, 512, format, list);
        va_end(list);
    }
    memset(transport, 0, sizeof *transport);
    transport->size = sizeof *transport;
    transport->ctx = why;
    transport->close = drh_close;
    transport->explain = drh_explain;
    return status;
}

#endif /* DRACO_HANDSHAKE_H */
