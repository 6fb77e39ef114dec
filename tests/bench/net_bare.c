/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel takes: one thread that waits, receives and sends a constant answer, and looks at
 * nothing. No HTTP server on this machine can answer more requests a second on one core.
 *
 *     bench_net_bare PORT BODY        then: http_load PORT / FILE 0 5 16
 *
 * The body is that of the answer it stands for. A request has to come in one piece. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 64 << 10, ANSWER = 4096, EVENTS = 256 };

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int listen_on(int port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, SOMAXCONN) != 0)
        die("listen");
    return fd;
}

static void watch(int queue, int fd) {
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(queue, EPOLL_CTL_ADD, fd, &ev) != 0)
        die("epoll");
}

static void take_connection(int queue, int listener) {
    int fd = accept(listener, NULL, NULL), one = 1;
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    watch(queue, fd);
}

int main(int argc, char **argv) {
    static char request[READ_BYTES], answer[ANSWER];
    if (argc != 3) {
        fprintf(stderr, "usage: bench_net_bare PORT BODY\n");
        return 64;
    }
    int n = snprintf(answer, sizeof answer,
                     "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(argv[2]), argv[2]);
    if (n < 0 || n >= ANSWER)
        return 64;
    int listener = listen_on((int)strtol(argv[1], NULL, 10)), queue = epoll_create1(0);
    watch(queue, listener);
    for (;;) {
        struct epoll_event events[EVENTS];
        int k = epoll_wait(queue, events, EVENTS, -1);
        for (int i = 0; i < k; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                take_connection(queue, fd);
            else if (recv(fd, request, sizeof request, 0) <= 0 ||
                     send(fd, answer, (size_t)n, MSG_NOSIGNAL) < 0)
                close(fd);
        }
    }
}
