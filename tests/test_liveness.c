/* The port that tells who is alive, in a flood of connections that say nothing: a peer with its secret is in at once, one
   that is shut before its secret came calls again, there is a ceiling, and strangers are shut and counted after two
   seconds. */
#define DRACO_VOTE_IMPLEMENTATION
#define DRACO_LIVENESS_IMPLEMENTATION
#include "transports/draco_liveness.h"

#include <stdio.h>

enum { PEERS = 3, FLOOD = 300 };

static int number;

static void result(int good, const char *text) {
    printf("%s %d - %s\n", good ? "ok" : "not ok", ++number, text);
}

static void nap(double seconds) {
    struct timespec t = {(time_t)seconds, (long)(1e9 * (seconds - (double)(time_t)seconds))};
    nanosleep(&t, NULL);
}

static int look(draco_liveness_links *l) {
    int lost[PEERS];
    nap(0.006);
    return draco_liveness_links_look(l, lost);
}

static int stranger(const draco_liveness_links *l) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = l->port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    (void)!connect(fd, (struct sockaddr *)&to, sizeof to);
    return fd;
}

/* Both ends look until the peer is tied at both, or for a second. */
static int tied(draco_liveness_links *server, draco_liveness_links *worker, int peer) {
    for (int i = 0; i < 80 && !(draco_liveness_tied(server, peer) && draco_liveness_tied(worker, peer));
         i++) {
        if (look(server) + look(worker) > 0) return 0;
    }
    return draco_liveness_tied(server, peer) && draco_liveness_tied(worker, peer);
}

int main(void) {
    static draco_liveness_links server, worker;
    draco_liveness_card card[PEERS];
    int fds[FLOOD], lost = 0, shut = 0;
    char text[48], byte;
    if (draco_liveness_links_open(&server, PEERS, 1) || draco_liveness_links_open(&worker, PEERS, 0))
        return 1;
    for (int i = 0; i < PEERS; i++) draco_liveness_invite(&server, i, &card[i]);
    result(card[0].port != 0, "it listens");
    draco_liveness_call(&worker, 0, &card[0]);
    result(!draco_liveness_tied(&worker, 0), "who calls is not tied before the other end has said so");
    result(tied(&server, &worker, 0), "a peer is tied");
    for (int i = 0; i < FLOOD; i++) {
        fds[i] = stranger(&server);
        if (i % 50 == 0) lost += look(&server);
    }
    draco_liveness_call(&worker, 1, &card[1]);
    for (int i = 0; i < 8; i++) lost += look(&server);
    result(draco_liveness_tied(&server, 1) && tied(&server, &worker, 1), "so is another one among strangers");
    result(server.guests == DRACO_LIVENESS_GUESTS / 2, "of one address half of the places is taken");
    result(draco_liveness_refused(&server, text) == FLOOD - DRACO_LIVENESS_GUESTS / 2 &&
               !strcmp(text, "127.0.0.1"),
           "the others are refused, and counted");
    card[2].secret[0] ^= 1;
    draco_liveness_call(&worker, 2, &card[2]);
    for (int i = 0; i < 3; i++) lost += look(&server);
    result(!draco_liveness_tied(&server, 2) && draco_liveness_refused(&server, text) == 1,
           "a wrong secret is a stranger's");
    result(look(&worker) == 0 && !draco_liveness_tied(&worker, 2), "who is not tied");
    draco_liveness_cut(&worker, 2);
    nap(2.1);
    lost += look(&server);
    result(server.guests == 0, "nobody stays for longer than two seconds without a word");
    for (int i = 0; i < FLOOD; i++) {
        const ssize_t n = recv(fds[i], &byte, 1, 0);
        shut += n == 0 || (n < 0 && errno != EAGAIN);
        close(fds[i]);
    }
    result(shut == FLOOD, "and all are shut");
    result(lost == 0 && draco_liveness_tied(&server, 0) && draco_liveness_tied(&server, 1),
           "no peer is lost");
    /* Strangers take the place of a peer that is connected and has said nothing yet. */
    card[2].secret[0] ^= 1;
    draco_liveness_call(&worker, 2, &card[2]);
    close(worker.link[2].fd);
    worker.link[2].fd = stranger(&server);
    worker.link[2].said = 1;
    look(&server);
    for (int i = 0; i < FLOOD; i++) fds[i] = stranger(&server);
    look(&server);
    result(!draco_liveness_tied(&server, 2) && tied(&server, &worker, 2),
           "a peer that was shut without an answer calls again");
    for (int i = 0; i < FLOOD; i++) close(fds[i]);
    draco_liveness_cut(&worker, 1);
    result(look(&server) == 1 && !draco_liveness_tied(&server, 1), "until it is gone");
    draco_liveness_call(&worker, 1, &card[1]);
    draco_liveness_links_close(&server);
    for (int i = 0; i < 200 && worker.link[1].calling; i++) lost += look(&worker);
    result(lost == 3 && !worker.link[1].calling, "who calls for one that has ended learns it, too");
    draco_liveness_links_close(&worker);
    printf("1..%d\n", number);
    return 0;
}
