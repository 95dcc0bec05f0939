/* draco_liveness.h - version 0.1.0 - liveness of peers by idle TCP connections
 *
 * Do this in one .c file:
 *     #define DRACO_LIVENESS_IMPLEMENTATION
 *     #include "transports/draco_liveness.h"
 * DRACO_LIVENESS_STATIC, defined as well, makes a private copy. The declarations are C11 and C++17; the
 * implementation is C11 on POSIX sockets, with -std=gnu11 or _GNU_SOURCE.
 *
 * For transports whose own connections do not tell that the other end is gone (MPI). Two processes hold one
 * TCP connection on which nothing is sent after 20 bytes one way and one byte back; the kernel closes it when
 * either process ends, for whatever reason, and keep-alive finds a host without power after about 11 seconds.
 *
 * Use. One side invites, the other calls:
 *     draco_liveness_links links;
 *     draco_liveness_links_open(&links, peers, 1);   peers: how many others there are; 1: accept connections
 *     draco_liveness_card card;
 *     draco_liveness_invite(&links, peer, &card);
 *     ... the card goes to that peer by other means, which establish who it is ...
 *     draco_liveness_call(&links, peer, &card);        on the other side
 *     n = draco_liveness_links_look(&links, lost);     from time to time: peers whose connection broke since
 *     draco_liveness_links_close(&links);
 *
 * The card carries a random secret that whoever connects sends first: a stranger who finds the port is not
 * taken for a peer, nor one peer for another. A connection whose secret is there has its place at once, however many
 * strangers there are; who sends none within two seconds is disconnected and counted. The byte back says that the
 * secret was right: a peer that is disconnected without it, in a flood of strangers say, calls again.
 *
 * Threads: one. No call waits except draco_liveness_call, up to two seconds per address. Where no connection
 * can be made draco_liveness_tied stays 0, and the transport has to do without; on the side that called it is 0 until the
 * byte back was seen by draco_liveness_links_look.
 *
 * Limits: 64 connections at a time that have not sent their secret yet, 32 of one address: one more takes the place of
 * the oldest. 8 addresses per host.
 *
 * Copyright (c) 2026 The Draco authors
 * SPDX-License-Identifier: MIT */
#ifndef DRACO_LIVENESS_H
#define DRACO_LIVENESS_H

#include "../draco_vote.h"

#ifndef DRACO_LIVENESS_API
#ifdef DRACO_LIVENESS_STATIC
#define DRACO_LIVENESS_API __attribute__((unused)) static
#else
#define DRACO_LIVENESS_API extern
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define DRACO_LIVENESS_ADDRESSES 8
#define DRACO_LIVENESS_GUESTS 64

typedef struct draco_liveness_card {
    uint8_t secret[16];
    uint8_t address[DRACO_LIVENESS_ADDRESSES][16]; /* IPv6, or IPv4 written as IPv6 */
    char host[64];
    uint32_t number;
    uint16_t port, addresses; /* port 0: do not call */
} draco_liveness_card;

typedef struct draco_liveness_link { /* private: the connection to a peer */
    int fd, invited;
    int calling, said; /* the byte back is not here yet; the 20 bytes are sent */
    double again;      /* when to call again, where fd is -1 */
    uint8_t secret[16], address[16];
    uint32_t number;
    uint16_t port;
} draco_liveness_link;

typedef struct draco_liveness_guest { /* private: it has not sent all of its number and secret yet */
    int fd, bytes;
    double since;
    uint8_t said[20], address[16];
} draco_liveness_guest;

typedef struct draco_liveness_links { /* private */
    int peers, listener, guests;
    uint16_t port;
    double looked;
    long refused;                /* strangers since they were last asked for */
    uint8_t refused_address[16]; /* of the last of them */
    draco_liveness_link *link;
    draco_liveness_guest guest[DRACO_LIVENESS_GUESTS]; /* the oldest first */
} draco_liveness_links;

DRACO_LIVENESS_API draco_status draco_liveness_links_open(draco_liveness_links *l, int peers, int be_called);
DRACO_LIVENESS_API void draco_liveness_invite(draco_liveness_links *l, int peer, draco_liveness_card *card);
DRACO_LIVENESS_API void draco_liveness_call(draco_liveness_links *l, int peer,
                                            const draco_liveness_card *card);
DRACO_LIVENESS_API int draco_liveness_tied(const draco_liveness_links *l, int peer);
DRACO_LIVENESS_API void draco_liveness_cut(draco_liveness_links *l, int peer);
/* Every few milliseconds at most: how many connections broke, their peers in lost[0..peers). */
DRACO_LIVENESS_API int draco_liveness_links_look(draco_liveness_links *l, int *lost);
/* How many strangers were disconnected since the last call, and in text the address of the last of them. */
DRACO_LIVENESS_API long draco_liveness_refused(draco_liveness_links *l, char text[48]);
DRACO_LIVENESS_API void draco_liveness_links_close(draco_liveness_links *l);

#ifdef __cplusplus
}
#endif
#endif /* DRACO_LIVENESS_H */

#ifdef DRACO_LIVENESS_IMPLEMENTATION
#ifndef DRACO_LIVENESS_IMPLEMENTED
#define DRACO_LIVENESS_IMPLEMENTED

#if defined(__cplusplus)
#error "draco_liveness.h: the implementation is C11: compile it in a .c file"
#elif !defined(__unix__) && !defined(__APPLE__)
#error "draco_liveness.h: the implementation needs POSIX sockets"
#elif defined(__STRICT_ANSI__) && !defined(_GNU_SOURCE)
#error                                                                                                       \
    "draco_liveness.h: the implementation needs POSIX: compile with -std=gnu11, or define _GNU_SOURCE first"
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DRL_EVERY 0.005  /* seconds */
#define DRL_PATIENCE 2.0 /* seconds for a number and a secret */
#define DRL_PAUSE 0.1    /* seconds before calling again */
#define DRL_AT_ONCE 256  /* connections that are accepted in one look */

static void drl_set(int fd) {
    int on = 1, idle = 5, between = 2, times = 3;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &between, sizeof between);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof times);
}

/* IPv6 that takes IPv4 in as well, or IPv4 where there is no IPv6. */
static void drl_listen(draco_liveness_links *l) {
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_storage mine;
    socklen_t size = sizeof mine;
    int off = 0, bound, fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd >= 0) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        bound = bind(fd, (struct sockaddr *)&six, sizeof six) == 0;
    } else {
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0) return;
        bound = bind(fd, (struct sockaddr *)&four, sizeof four) == 0;
    }
    if (!bound || listen(fd, 1024) != 0 || getsockname(fd, (struct sockaddr *)&mine, &size) != 0) {
        close(fd);
        return;
    }
    drl_set(fd);
    l->listener = fd;
    l->port = mine.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&mine)->sin6_port
                                         : ((struct sockaddr_in *)&mine)->sin_port;
}

DRACO_LIVENESS_API draco_status draco_liveness_links_open(draco_liveness_links *l, int peers, int be_called) {
    memset(l, 0, sizeof *l);
    l->listener = -1;
    l->link = calloc((size_t)peers, sizeof *l->link);
    if (!l->link) return DRACO_E_MEMORY;
    l->peers = peers;
    for (int i = 0; i < peers; i++) l->link[i].fd = -1;
    if (be_called) drl_listen(l);
    return DRACO_OK;
}

/* Where this host can be reached. */
static void drl_addresses(draco_liveness_card *card) {
    struct ifaddrs *all, *a;
    if (getifaddrs(&all) != 0) return;
    for (a = all; a && card->addresses < DRACO_LIVENESS_ADDRESSES; a = a->ifa_next) {
        uint8_t *to = card->address[card->addresses];
        if (!a->ifa_addr || !(a->ifa_flags & IFF_UP) || (a->ifa_flags & IFF_LOOPBACK)) continue;
        if (a->ifa_addr->sa_family == AF_INET) {
            memset(to, 0, 10);
            memset(to + 10, 0xff, 2);
            memcpy(to + 12, &((struct sockaddr_in *)a->ifa_addr)->sin_addr, 4);
        } else if (a->ifa_addr->sa_family == AF_INET6 &&
                   !IN6_IS_ADDR_LINKLOCAL(&((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr)) {
            memcpy(to, &((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr, 16);
        } else {
            continue;
        }
        card->addresses++;
    }
    freeifaddrs(all);
}

DRACO_LIVENESS_API void draco_liveness_invite(draco_liveness_links *l, int peer, draco_liveness_card *card) {
    draco_seed seed;
    memset(card, 0, sizeof *card);
    if (l->listener < 0 || peer < 0 || peer >= l->peers || draco_seed_random(&seed) < 0) return;
    memcpy(card->secret, seed.bytes, sizeof card->secret);
    memcpy(l->link[peer].secret, card->secret, sizeof card->secret);
    l->link[peer].invited = 1;
    card->number = (uint32_t)peer;
    card->port = l->port;
    gethostname(card->host, sizeof card->host - 1);
    drl_addresses(card);
}

/* A socket that is connecting, or -1. */
static int drl_ring(const uint8_t address[16], uint16_t port) {
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = port};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = port};
    int v4 = memcmp(address, mapped, sizeof mapped) == 0;
    struct sockaddr *to = v4 ? (struct sockaddr *)&four : (struct sockaddr *)&six;
    int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
    if (fd < 0) return -1;
    memcpy(&four.sin_addr, address + 12, 4);
    memcpy(&six.sin6_addr, address, 16);
    drl_set(fd);
    if (connect(fd, to, v4 ? sizeof four : sizeof six) == 0 || errno == EINPROGRESS) return fd;
    close(fd);
    return -1;
}

/* A connected socket, or -1 after two seconds. */
static int drl_dial(const uint8_t address[16], uint16_t port) {
    struct pollfd p = {.fd = drl_ring(address, port), .events = POLLOUT};
    socklen_t size = sizeof(int);
    int error;
    if (p.fd < 0) return -1;
    if (poll(&p, 1, 2000) == 1 && getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
        return p.fd;
    close(p.fd);
    return -1;
}

/* Say number and secret when the connection is there. -1: it cannot be made. */
static int drl_say(draco_liveness_link *k) {
    uint8_t say[20];
    ssize_t n;
    if (k->said) return 0;
    for (int i = 0; i < 4; i++) say[i] = (uint8_t)(k->number >> 8 * i);
    memcpy(say + 4, k->secret, 16);
    n = send(k->fd, say, sizeof say, MSG_NOSIGNAL);
    k->said = n == (ssize_t)sizeof say;
    return k->said || (n < 0 && (errno == EAGAIN || errno == ENOTCONN || errno == EINTR)) ? 0 : -1;
}

DRACO_LIVENESS_API void draco_liveness_call(draco_liveness_links *l, int peer,
                                            const draco_liveness_card *card) {
    static const uint8_t loopback[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
    const uint8_t *address = loopback;
    draco_liveness_link *k;
    char host[sizeof card->host] = "";
    int i, fd = -1;
    if (card->port == 0 || peer < 0 || peer >= l->peers || l->link[peer].fd >= 0) return;
    gethostname(host, sizeof host - 1);
    if (strncmp(host, card->host, sizeof host) == 0) fd = drl_dial(loopback, card->port);
    for (i = 0; i < card->addresses && i < DRACO_LIVENESS_ADDRESSES && fd < 0; i++)
        fd = drl_dial(address = card->address[i], card->port);
    if (fd < 0) return;
    k = &l->link[peer];
    *k = (draco_liveness_link){.fd = fd, .calling = 1, .number = card->number, .port = card->port};
    memcpy(k->secret, card->secret, sizeof k->secret);
    memcpy(k->address, address, sizeof k->address);
    drl_say(k); /* where that fails the next look calls again */
}

DRACO_LIVENESS_API int draco_liveness_tied(const draco_liveness_links *l, int peer) {
    return l->link[peer].fd >= 0 && !l->link[peer].calling;
}

DRACO_LIVENESS_API void draco_liveness_cut(draco_liveness_links *l, int peer) {
    if (l->link[peer].fd >= 0) close(l->link[peer].fd);
    l->link[peer].fd = -1;
    l->link[peer].calling = 0;
}

static void drl_turn_away(draco_liveness_links *l, const draco_liveness_guest *g) {
    close(g->fd);
    l->refused++;
    memcpy(l->refused_address, g->address, sizeof l->refused_address);
}

/* All 20 bytes are there: it is that peer's connection when the secret is right, instead of an earlier one, which broke
   before the peer saw the byte back. */
static void drl_seat(draco_liveness_links *l, const draco_liveness_guest *g) {
    const uint8_t *said = g->said;
    uint32_t number = said[0] | (uint32_t)said[1] << 8 | (uint32_t)said[2] << 16 | (uint32_t)said[3] << 24;
    if (number >= (uint32_t)l->peers || !l->link[number].invited ||
        memcmp(l->link[number].secret, said + 4, 16) != 0) {
        drl_turn_away(l, g);
        return;
    }
    draco_liveness_cut(l, (int)number);
    l->link[number].fd = g->fd;
    (void)!send(g->fd, "", 1, MSG_NOSIGNAL); /* a connection that is broken is found when it is looked at */
}

/* Take in what it says. 0: that is not all yet, and it has time. */
static int drl_hear(draco_liveness_links *l, draco_liveness_guest *g, double now) {
    ssize_t n = recv(g->fd, g->said + g->bytes, sizeof g->said - (size_t)g->bytes, 0);
    if (n > 0) g->bytes += (int)n;
    if (g->bytes == (int)sizeof g->said) {
        drl_seat(l, g);
        return 1;
    }
    if (n != 0 && (n > 0 || errno == EAGAIN || errno == EINTR) && now - g->since < DRL_PATIENCE) return 0;
    drl_turn_away(l, g);
    return 1;
}

/* A place for one more of this address: that of its oldest where it has half of all, else of the oldest of all. */
static draco_liveness_guest *drl_place(draco_liveness_links *l, const uint8_t address[16]) {
    int of_address = 0, first = -1, victim;
    for (int i = 0; i < l->guests; i++) {
        if (memcmp(l->guest[i].address, address, 16) != 0) continue;
        if (first < 0) first = i;
        of_address++;
    }
    if (of_address >= DRACO_LIVENESS_GUESTS / 2 || l->guests == DRACO_LIVENESS_GUESTS) {
        victim = of_address >= DRACO_LIVENESS_GUESTS / 2 ? first : 0;
        drl_turn_away(l, &l->guest[victim]);
        l->guests--;
        memmove(&l->guest[victim], &l->guest[victim + 1], (size_t)(l->guests - victim) * sizeof l->guest[0]);
    }
    return &l->guest[l->guests++];
}

static void drl_guests(draco_liveness_links *l, double now) {
    int kept = 0;
    for (int i = 0; i < l->guests; i++)
        if (!drl_hear(l, &l->guest[i], now)) l->guest[kept++] = l->guest[i];
    l->guests = kept;
    for (int i = 0; i < DRL_AT_ONCE && l->listener >= 0; i++) {
        draco_liveness_guest g = {.since = now};
        struct sockaddr_storage from = {0};
        socklen_t size = sizeof from;
        g.fd = accept(l->listener, (struct sockaddr *)&from, &size);
        if (g.fd < 0) return;
        drl_set(g.fd);
        if (from.ss_family == AF_INET6) {
            memcpy(g.address, &((struct sockaddr_in6 *)&from)->sin6_addr, 16);
        } else {
            memset(g.address + 10, 0xff, 2);
            memcpy(g.address + 12, &((struct sockaddr_in *)&from)->sin_addr, 4);
        }
        if (!drl_hear(l, &g, now)) *drl_place(l, g.address) = g;
    }
}

DRACO_LIVENESS_API long draco_liveness_refused(draco_liveness_links *l, char text[48]) {
    const int v4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)l->refused_address);
    const long refused = l->refused;
    inet_ntop(v4 ? AF_INET : AF_INET6, l->refused_address + (v4 ? 12 : 0), text, 48);
    l->refused = 0;
    return refused;
}

/* On with a call that was not answered yet. 1: nobody listens there any more. */
static int drl_call_on(draco_liveness_link *k, double now) {
    int error = 0;
    socklen_t size = sizeof error;
    uint8_t back;
    ssize_t n;
    if (k->fd < 0) {
        if (now < k->again) return 0;
        k->fd = drl_ring(k->address, k->port);
        k->said = 0;
    }
    if (k->fd >= 0) {
        if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == ECONNREFUSED) return 1;
        n = error || drl_say(k) < 0 ? 0 : recv(k->fd, &back, 1, 0);
        if (n > 0) k->calling = 0;
        if (n > 0 || (n < 0 && (errno == EAGAIN || errno == ENOTCONN || errno == EINTR))) return 0;
        close(k->fd);
        k->fd = -1;
    }
    k->again = now + DRL_PAUSE;
    return 0;
}

DRACO_LIVENESS_API int draco_liveness_links_look(draco_liveness_links *l, int *lost) {
    struct timespec t;
    double now;
    int count = 0;
    clock_gettime(CLOCK_MONOTONIC, &t);
    now = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    if (now - l->looked < DRL_EVERY) return 0;
    l->looked = now;
    drl_guests(l, now);
    for (int i = 0; i < l->peers; i++) {
        char scrap[64];
        ssize_t n;
        if (l->link[i].calling) {
            if (!drl_call_on(&l->link[i], now)) continue;
        } else {
            if (l->link[i].fd < 0) continue;
            n = recv(l->link[i].fd, scrap, sizeof scrap, 0);
            if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) continue;
        }
        draco_liveness_cut(l, i);
        lost[count++] = i;
    }
    return count;
}

DRACO_LIVENESS_API void draco_liveness_links_close(draco_liveness_links *l) {
    if (!l->link) return; /* never opened */
    for (int i = 0; i < l->peers; i++) draco_liveness_cut(l, i);
    for (int i = 0; i < l->guests; i++) close(l->guest[i].fd);
    if (l->listener >= 0) close(l->listener);
    free(l->link);
    l->link = NULL;
    l->peers = l->guests = 0;
    l->listener = -1;
}

#endif /* DRACO_LIVENESS_IMPLEMENTED */
#endif /* DRACO_LIVENESS_IMPLEMENTATION */
