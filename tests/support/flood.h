/* Strangers who open connections to a port, and what that costs. */
#ifndef DRACO_FLOOD_H
#define DRACO_FLOOD_H

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* A process that opens connections as fast as it can, and then opens all of them again, until it is killed. */
static inline pid_t flood(int port, int count) {
    const pid_t child = fork();
    if (child < 0) abort(); /* to kill() it would mean all processes */
    if (child) return child;
    struct rlimit room;
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static const char garbage[] = "GET / HTTP/1.1\r\n\r\n\xff\x00\x80 that is no protocol";
    int *fds = (int *)calloc((size_t)count, sizeof *fds);
    getrlimit(RLIMIT_NOFILE, &room);
    room.rlim_cur = room.rlim_max;
    setrlimit(RLIMIT_NOFILE, &room);
    for (int i = 0;; i = (i + 1) % count) {
        if (fds[i]) close(fds[i]);
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (fds[i] < 0) fds[i] = 0;
        (void)!connect(fds[i], (struct sockaddr *)&to, sizeof to);
        if (i % 3 == 1) (void)!send(fds[i], garbage, sizeof garbage, MSG_NOSIGNAL);
        if (i % 3 == 0)
            (void)!send(fds[i], "\x16\x03\x01\x02\x00\x01", 6, MSG_NOSIGNAL); /* of a ClientHello */
        if (i == count - 1) usleep(1000000);
    }
}

/* Open descriptors of a process. */
static inline int descriptors(pid_t pid) {
    char path[40];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *d = opendir(path);
    while (d && readdir(d)) count++;
    if (d) closedir(d);
    return count;
}

#endif /* DRACO_FLOOD_H */
