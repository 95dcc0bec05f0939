/* train_live.h - a run as it is now, over HTTP: --metrics-port.

   /metrics is for Prometheus, /healthz and /readyz for what starts and stops processes, / a page for people that
   asks for /state.json again and again. One thread of its own serves all; the thread that trains only holds a lock
   while some kilobytes are copied, and never waits for a client.

   Clients are hostile: connections are counted, in all and for each address, each answers one request and is cut
   after some seconds however busy it is, heads have a limit, only GET and HEAD are known, and texts are made anew at
   most every TRAIN_LIVE_FRESH seconds whoever asks. There is neither encryption nor identity: loopback by default. */
#ifndef TRAIN_LIVE_H
#define TRAIN_LIVE_H

#include "train_live_now.h"
#include "train_options.h"

typedef struct train_live {
    train_about about;
    train_numbers_now now;
    pthread_mutex_t mutex; /* of now */
    train_ledger *ledger;  /* the server's; NULL on a worker */
    struct train_live_server *server;
} train_live;

#ifdef DRACO_WITH_MICROHTTPD

#include <microhttpd.h>

#include "train_live_page.h"
#include "train_live_text.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define TRAIN_LIVE_CONNECTIONS 128
#define TRAIN_LIVE_EACH 32    /* connections of one address */
#define TRAIN_LIVE_SECONDS 10 /* that a connection lasts */
#define TRAIN_LIVE_HEAD 8192  /* bytes of memory for one connection's head */
#define TRAIN_LIVE_FRESH 0.2

typedef struct train_live_peer {
    int fd; /* 0: free */
    double since;
} train_live_peer;

typedef struct train_live_server {
    train_live *live;
    struct MHD_Daemon *daemon;
    pthread_t thread;
    int stop, loopback;
    train_live_peer peer[TRAIN_LIVE_CONNECTIONS];
    train_numbers_now now; /* the snapshot */
    train_ledger ledger;
    struct {
        struct MHD_Response *response;
        double made;
    } text[2]; /* /metrics, /state.json */
} train_live_server;

static struct MHD_Response *train_live_text(const char *text) {
    return MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
}

static void train_live_snapshot(train_live_server *s) {
    pthread_mutex_lock(&s->live->mutex);
    s->now = s->live->now;
    pthread_mutex_unlock(&s->live->mutex);
    if (s->live->ledger) train_ledger_copy(&s->ledger, s->live->ledger);
}

/* A response is kept by the library while it is sent, also when a newer one has taken its place here. */
static struct MHD_Response *train_live_made(train_live_server *s, int which) {
    train_ledger *l = s->live->ledger ? &s->ledger : NULL;
    char *text = NULL;
    size_t bytes = 0;
    FILE *to;
    if (s->text[which].response && train_now() - s->text[which].made < TRAIN_LIVE_FRESH)
        return s->text[which].response;
    to = open_memstream(&text, &bytes);
    if (!to) return NULL;
    train_live_snapshot(s);
    if (which == 0)
        train_prom(to, &s->live->about, &s->now, l);
    else
        train_state(to, &s->live->about, &s->now, l);
    if (fclose(to) != 0) {
        free(text);
        return NULL;
    }
    if (s->text[which].response) MHD_destroy_response(s->text[which].response);
    s->text[which].response = MHD_create_response_from_buffer(bytes, text, MHD_RESPMEM_MUST_FREE);
    s->text[which].made = train_now();
    return s->text[which].response;
}

/* Takes the response, unless it is kept. */
static enum MHD_Result train_live_send(struct MHD_Connection *c, unsigned code, const char *type,
                                       struct MHD_Response *response, int kept) {
    static const char *const heads[][2] = {
        {MHD_HTTP_HEADER_CONNECTION, "close"},
        {MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
         "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}};
    enum MHD_Result sent;
    if (!response) return MHD_NO;
    if (!MHD_get_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE)) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
        if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
            MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
        for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
            MHD_add_response_header(response, heads[i][0], heads[i][1]);
    }
    sent = MHD_queue_response(c, code, response);
    if (!kept) MHD_destroy_response(response);
    return sent;
}

static enum MHD_Result train_live_answer(void *ctx, struct MHD_Connection *c, const char *path,
                                         const char *method, const char *version, const char *body,
                                         size_t *bytes, void **request) {
    static const char plain[] = "text/plain; charset=utf-8";
    train_live_server *s = ctx;
    const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    char why[512];
    (void)version, (void)body, (void)bytes, (void)request;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return train_live_send(c, MHD_HTTP_METHOD_NOT_ALLOWED, plain, train_live_text("GET or HEAD\n"), 0);
    if (s->loopback && host && !train_host_is_here(host))
        return train_live_send(c, MHD_HTTP_FORBIDDEN, plain,
                               train_live_text("this server is called by its address or localhost\n"), 0);
    if (strcmp(path, "/") == 0)
        return train_live_send(c, MHD_HTTP_OK, "text/html; charset=utf-8",
                               MHD_create_response_from_buffer(sizeof train_live_page - 1,
                                                               (void *)(uintptr_t)train_live_page,
                                                               MHD_RESPMEM_PERSISTENT),
                               0);
    if (strcmp(path, "/metrics") == 0)
        return train_live_send(c, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
                               train_live_made(s, 0), 1);
    if (strcmp(path, "/state.json") == 0)
        return train_live_send(c, MHD_HTTP_OK, "application/json", train_live_made(s, 1), 1);
    if (strcmp(path, "/healthz") == 0)
        return train_live_send(c, MHD_HTTP_OK, plain, train_live_text("ok\n"), 0);
    if (strcmp(path, "/readyz") == 0) {
        char line[600];
        pthread_mutex_lock(&s->live->mutex);
        train_ready(&s->live->now, why, sizeof why);
        pthread_mutex_unlock(&s->live->mutex);
        snprintf(line, sizeof line, "%s\n", why[0] ? why : "ready");
        return train_live_send(c, why[0] ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, plain,
                               train_live_text(line), 0);
    }
    return train_live_send(c, MHD_HTTP_NOT_FOUND, plain,
                           train_live_text("/, /metrics, /state.json, /healthz or /readyz\n"), 0);
}

/* No path that is served has anything to decode, and a decoded NUL would end it early. */
static size_t train_live_verbatim(void *ctx, struct MHD_Connection *c, char *text) {
    (void)ctx, (void)c;
    return strlen(text);
}

/* The library's own time-out begins anew with each byte. */
static void train_live_connection(void *ctx, struct MHD_Connection *c, void **peer,
                                  enum MHD_ConnectionNotificationCode what) {
    train_live_server *s = ctx;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*peer) ((train_live_peer *)*peer)->fd = 0;
        return;
    }
    for (int i = 0; i < TRAIN_LIVE_CONNECTIONS; i++) {
        if (s->peer[i].fd > 0) continue;
        s->peer[i].fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        s->peer[i].since = train_now();
        *peer = &s->peer[i];
        return;
    }
}

static void *train_live_run(void *ctx) {
    train_live_server *s = ctx;
    while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
        const double now = train_now();
        (void)MHD_run_wait(s->daemon, 100);
        for (int i = 0; i < TRAIN_LIVE_CONNECTIONS; i++)
            if (s->peer[i].fd > 0 && now - s->peer[i].since > TRAIN_LIVE_SECONDS)
                (void)shutdown(s->peer[i].fd, SHUT_RDWR);
    }
    return NULL;
}

/* Text of an address, IPv4 or IPv6, and a port. 0: it is none. */
static socklen_t train_live_address(const char *text, int port, struct sockaddr_storage *address,
                                    int *loopback) {
    struct sockaddr_in *four = (struct sockaddr_in *)address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
        *loopback = ntohl(four->sin_addr.s_addr) >> 24 == 127;
        return sizeof *four;
    }
    if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1) return 0;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons((uint16_t)port);
    *loopback = IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
    return sizeof *six;
}

static void train_live_close(train_live *live) {
    train_live_server *s = live->server;
    if (!s) return;
    if (s->daemon) {
        __atomic_store_n(&s->stop, 1, __ATOMIC_RELAXED);
        pthread_join(s->thread, NULL);
        MHD_stop_daemon(s->daemon);
    }
    for (int i = 0; i < 2; i++)
        if (s->text[i].response) MHD_destroy_response(s->text[i].response);
    train_ledger_close(&s->ledger);
    free(s);
    live->server = NULL;
}

/* Returns 0, or the exit code after a line on stderr. */
static int train_live_listen(train_live *live, const char *address, int port) {
    train_live_server *s = live->server = calloc(1, sizeof *s);
    struct sockaddr_storage where;
    socklen_t length;
    if (!s || (live->ledger && train_ledger_open(&s->ledger, live->ledger->n) != 0)) {
        train_log(TRAIN_ERROR, "%s", draco_status_text(DRACO_E_MEMORY));
        return TRAIN_FAILED;
    }
    s->live = live;
    length = train_live_address(address, port, &where, &s->loopback);
    if (!length) {
        train_log(TRAIN_ERROR, "--metrics-address=%s: not an address of IPv4 or IPv6", address);
        return TRAIN_USAGE;
    }
    errno = 0;
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | (where.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0), (uint16_t)port, NULL, NULL,
        train_live_answer, s, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&where, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)TRAIN_LIVE_CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)TRAIN_LIVE_EACH,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TRAIN_LIVE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)TRAIN_LIVE_HEAD, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK,
        train_live_verbatim, NULL, MHD_OPTION_NOTIFY_CONNECTION, train_live_connection, s, MHD_OPTION_END);
    if (s->daemon && pthread_create(&s->thread, NULL, train_live_run, s) == 0) return 0;
    train_log(TRAIN_ERROR, "--metrics-port: %s, port %d: %s", address, port,
              errno ? strerror(errno) : "it cannot be served");
    if (s->daemon) MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
    return TRAIN_USAGE;
}

#else

static void train_live_close(train_live *live) {
    (void)live;
}

static int train_live_listen(train_live *live, const char *address, int port) {
    (void)live, (void)address, (void)port;
    train_log(TRAIN_ERROR, "--metrics-port: this program was built without libmicrohttpd");
    return TRAIN_USAGE;
}

#endif

/* ledger: NULL on a worker. Without --metrics-port nothing is done, here and below. */
static int train_live_open(train_live *live, const train_options *o, const train_about *about,
                           train_ledger *ledger, int port) {
    if (o->metrics_port == 0) return 0;
    if (port > 65535) {
        train_log(TRAIN_ERROR, "--metrics-port: port %d is none", port);
        return TRAIN_USAGE;
    }
    live->about = *about;
    live->ledger = ledger;
    live->now.begin = train_clock();
    live->now.last = train_now();
    snprintf(live->now.reason, sizeof live->now.reason, "no round yet");
    pthread_mutex_init(&live->mutex, NULL);
    return train_live_listen(live, o->metrics_address, port);
}

/* NULL: nobody is told. Otherwise what may be written until it is given back. */
static train_numbers_now *train_live_begin(train_live *live) {
    if (!live->server) return NULL;
    pthread_mutex_lock(&live->mutex);
    return &live->now;
}

static void train_live_end(train_live *live) {
    pthread_mutex_unlock(&live->mutex);
}

#endif /* TRAIN_LIVE_H */

/* MIT License. Copyright (c) 2026 The Draco authors. See LICENSE. */
