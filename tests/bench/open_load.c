/* SPDX-License-Identifier: Apache-2.0 */
/* Open-loop load over HTTP/1.1: requests leave at random moments (exponential gaps) at a given
 * rate, whether or not earlier ones were answered, each on a free one of many connections. Latency
 * counts from the moment a request was due (no coordinated omission).
 *
 * usage: open_load PORT PATH BODY-FILE RATE SECONDS CONNECTIONS  -> one JSON object */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 4096, REPLY = 4096, STATUSES = 600 };

static struct connection {
    int fd;
    uint64_t due_ns; /* of the request under way; 0: free */
    size_t sent, got;
    bool waits; /* for room to send the rest */
    char reply[REPLY];
} all[CONNECTIONS];

static char *request;
static size_t request_bytes;
static double *times[STATUSES]; /* milliseconds, per status */
static size_t counts[STATUSES], rooms[STATUSES];
static int free_ones[CONNECTIONS], n_free, epoll_fd;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void note(int status, double ms) {
    if (status < 0 || status >= STATUSES)
        status = 0;
    if (counts[status] == rooms[status]) {
        rooms[status] = rooms[status] ? 2 * rooms[status] : 1024;
        times[status] = realloc(times[status], rooms[status] * sizeof(double));
    }
    times[status][counts[status]++] = ms;
}

static void make_request(const char *path, const char *file) {
    FILE *f = fopen(file, "rb");
    if (!f)
        die(file);
    char *body = malloc(64 << 20);
    size_t n = fread(body, 1, 64 << 20, f);
    fclose(f);
    request = malloc(n + 1024);
    int head = snprintf(request, 1024,
                        "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        path, n);
    memcpy(request + head, body, n);
    request_bytes = (size_t)head + n;
    free(body);
}

static void open_one(int i, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    all[i].fd = socket(AF_INET, SOCK_STREAM, 0);
    if (all[i].fd < 0 || connect(all[i].fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    setsockopt(all[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(all[i].fd, F_SETFL, O_NONBLOCK);
    struct epoll_event ev = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, all[i].fd, &ev);
    free_ones[n_free++] = i;
}

static void push(struct connection *c) {
    while (c->sent < request_bytes) {
        ssize_t n = write(c->fd, request + c->sent, request_bytes - c->sent);
        if (n <= 0)
            break;
        c->sent += (size_t)n;
    }
    bool rest = c->sent < request_bytes;
    if (rest == c->waits)
        return;
    c->waits = rest;
    struct epoll_event ev = {.events = EPOLLIN | (rest ? EPOLLOUT : 0u),
                             .data.u32 = (uint32_t)(c - all)};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

static void start(uint64_t due) {
    if (n_free == 0) {
        note(0, 0); /* no connection left: counted as lost */
        return;
    }
    struct connection *c = &all[free_ones[--n_free]];
    c->due_ns = due;
    c->sent = c->got = 0;
    push(c);
}

/* Whole when the body that Content-Length names is there; only heads and short bodies are kept. */
static void pull(struct connection *c) {
    for (;;) {
        ssize_t n = read(c->fd, c->reply + c->got, REPLY - 1 - c->got);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            note(0, 0);
            epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
            return;
        }
        c->got += (size_t)n;
        c->reply[c->got] = '\0';
        if (c->got == REPLY - 1)
            break;
    }
    char *end = strstr(c->reply, "\r\n\r\n"), *length = strcasestr(c->reply, "content-length:");
    if (!end || !length || c->got < (size_t)(end + 4 - c->reply) + strtoul(length + 15, NULL, 10))
        return;
    note((int)strtol(c->reply + 9, NULL, 10), (double)(now_ns() - c->due_ns) * 1e-6);
    c->due_ns = 0;
    free_ones[n_free++] = (int)(c - all);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(double seconds) {
    const char *comma = "";
    printf("{");
    for (int s = 0; s < STATUSES; s++) {
        if (!counts[s])
            continue;
        qsort(times[s], counts[s], sizeof(double), by_value);
        size_t n = counts[s];
        printf("%s\"%d\": {\"count\": %zu, \"per_s\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
               "\"p999_ms\": %.3f, \"max_ms\": %.3f}",
               comma, s, n, (double)n / seconds, times[s][n / 2], times[s][n * 99 / 100],
               times[s][n * 999 / 1000], times[s][n - 1]);
        comma = ", ";
    }
    printf("}\n");
}

static double gap_ns(double rate) { return -log(1 - drand48()) / rate * 1e9; }

/* What happens before the next is due, or in the next while. Sleeping takes the kernel some
 * microseconds: shorter waits are not slept. */
static int wait_until(bool more, double left_ns, struct epoll_event *events, int room) {
    long ns = !more ? 100000000 : left_ns < 20000 ? 0 : (long)left_ns;
    struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    return epoll_pwait2(epoll_fd, events, room, &t, NULL);
}

int main(int argc, char **argv) {
    if (argc != 7) {
        fprintf(stderr, "usage: open_load PORT PATH BODY-FILE RATE SECONDS CONNECTIONS\n");
        return 64;
    }
    double rate = strtod(argv[4], NULL), seconds = strtod(argv[5], NULL);
    int n = (int)strtol(argv[6], NULL, 10);
    epoll_fd = epoll_create1(0);
    prctl(PR_SET_TIMERSLACK, 1000UL);
    make_request(argv[2], argv[3]);
    for (int i = 0; i < n && i < CONNECTIONS; i++)
        open_one(i, (int)strtol(argv[1], NULL, 10));
    srand48(1);
    uint64_t began = now_ns(), end = began + (uint64_t)(seconds * 1e9);
    double due = (double)began + gap_ns(rate);
    while (due < (double)end || (n_free < n && now_ns() < end + 10000000000u)) {
        struct epoll_event events[256];
        uint64_t now = now_ns();
        for (; due <= (double)now && due < (double)end; due += gap_ns(rate))
            start((uint64_t)due);
        int k = wait_until(due < (double)end, due - (double)now, events, 256);
        for (int i = 0; i < k; i++) {
            struct connection *c = &all[events[i].data.u32];
            if (events[i].events & EPOLLOUT)
                push(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                pull(c);
        }
    }
    report(seconds);
    return 0;
}
