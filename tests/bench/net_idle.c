/* SPDX-License-Identifier: Apache-2.0 */
/* What idle keep-alive connections cost: N clients ask once each and then hold their connection
 * open.
 *
 *     bench_net_idle [N [h2]]   default 10,000; needs as many file descriptors in each of two
 * processes; h2: over HTTP/2, whose connections nap after a second
 *
 * The server is a child process, so that its resident memory holds nothing of the clients. Prints
 * that memory before and with the connections, and per connection; then checks that every hundredth
 * connection still answers. */
#include "net/http.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static enum code on_head(void *ctx, struct http_exchange *x, size_t *body_limit, struct err *e) {
    (void)ctx, (void)x, (void)body_limit, (void)e;
    return OK;
}

static void on_request(void *ctx, struct http_exchange *x) {
    (void)ctx;
    struct http_response r = {.status = 200, .parts = {{(const uint8_t *)"ok", 2}}, .n_parts = 1};
    http_respond(x, &r);
}

static int serve(int report) {
    struct err e;
    struct loop *loop;
    struct http_listener *listener;
    struct http_limits limits;
    char address[64];
    const struct http_handler handler = {.on_head = on_head, .on_request = on_request};
    http_limits_default(&limits);
    if (loop_open(&loop, &e) != OK ||
        http_listen(loop, "127.0.0.1:0", false, &handler, &limits, &listener, &e) != OK) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    http_listener_address(listener, address);
    uint64_t port = 0;
    str_to_u64(str_of(strrchr(address, ':') + 1), &port);
    if (write(report, &port, sizeof port) != sizeof port)
        return 1;
    loop_run(loop); /* until it is killed */
    return 0;
}

static long resident_kb(pid_t pid) {
    char path[64];
    long pages = 0, skipped = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "r");
    if (f) {
        if (fscanf(f, "%ld %ld", &skipped, &pages) != 2)
            pages = 0;
        fclose(f);
    }
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static bool ask2(int fd, bool first) {
    static const char opening[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    static const char request[] = "\0\0\6\1\5\0\0\0\1\x82\x86\x84\1\1h";
    char next[sizeof request];
    memcpy(next, request, sizeof next);
    next[8] = first ? 1 : 3; /* the stream */
    if (first && send(fd, opening, sizeof opening - 1, MSG_NOSIGNAL) != sizeof opening - 1)
        return false;
    if (send(fd, next, sizeof next - 1, MSG_NOSIGNAL) != sizeof next - 1)
        return false;
    for (uint8_t h[9], rest[256]; recv(fd, h, 9, MSG_WAITALL) == 9;) {
        size_t n = (size_t)h[1] << 8 | h[2];
        if (n > sizeof rest || (n && recv(fd, rest, n, MSG_WAITALL) != (ssize_t)n))
            return false;
        if (h[3] == 0) /* DATA */
            return n == 2 && memcmp(rest, "ok", 2) == 0;
    }
    return false;
}

static bool ask1(int fd) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    char answer[512];
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1)
        return false;
    ssize_t n = recv(fd, answer, sizeof answer, 0); /* so short an answer comes in one piece */
    return n > 12 && memcmp(answer, "HTTP/1.1 200", 12) == 0;
}

static int dial(uint64_t port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    perror("connect");
    return -1;
}

static bool ask(int fd, bool h2, bool first) { return h2 ? ask2(fd, first) : ask1(fd); }

static int measure(pid_t server, uint64_t port, int n, bool h2) {
    static int fds[100000];
    if (!ask(dial(port), h2,
             true)) /* warm: pools and buffers of the first connection are not the second's */
        return 1;
    long before = resident_kb(server);
    for (int i = 0; i < n; i++) {
        fds[i] = dial(port);
        if (fds[i] < 0 || !ask(fds[i], h2, true)) {
            fprintf(stderr, "connection %d of %d failed\n", i, n);
            return 1;
        }
    }
    sleep(h2 ? 3 : 0);
    long with = resident_kb(server);
    int alive = 0, asked = 0;
    for (int i = 0; i < n; i += 100, asked++)
        alive += ask(fds[i], h2, false);
    printf("%d idle connections: resident %.1f MB (%.1f MB before), %.2f KB each; %d of %d still "
           "answer\n",
           n, (double)with / 1024, (double)before / 1024, (double)(with - before) / n, alive,
           asked);
    return alive == asked ? 0 : 1;
}

int main(int argc, char **argv) {
    struct rlimit files;
    uint64_t n = 10000, port = 0;
    int report[2];
    if (argc > 1 && (!str_to_u64(str_of(argv[1]), &n) || n == 0 || n > 100000)) {
        fprintf(stderr, "usage: bench_net_idle [N <= 100000 [h2]]\n");
        return 64;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (pipe(report) < 0)
        return 1;
    pid_t server = fork();
    if (server == 0)
        return serve(report[1]);
    int rc = 1;
    if (server > 0 && read(report[0], &port, sizeof port) == sizeof port)
        rc = measure(server, port, (int)n, argc > 2 && strcmp(argv[2], "h2") == 0);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    return rc;
}
