/* SPDX-License-Identifier: Apache-2.0 */
/* Load over HTTP/1.1, made with as little of the processor as it takes: one thread, one read and
 * one write per request.
 *
 *   RATE > 0   open loop: requests leave at random moments (exponential gaps) at that rate, whether
 *              or not earlier ones were answered, each on a free one of many connections. Latency
 *              counts from the moment a request was due (no coordinated omission).
 *   RATE = 0   closed loop: each connection asks again as soon as it is answered.
 *
 * An answer is whole when the body that Content-Length names is there; of a long one what is beyond
 * the first few thousand bytes is only counted. One that looks like the last short one (same
 * length, same first line, same last byte) is not read again in detail. An answer without a
 * Content-Length ends its connection and counts as none.
 *
 * usage: http_load PORT PATH BODY-FILE RATE SECONDS CONNECTIONS  -> one JSON object, by status */
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

enum {
    CONNECTIONS = 4096,
    REPLY = 4096,     /* heads and short bodies */
    SINK = 256 << 10, /* a read of a long body */
    STATUSES = 600,
    LINE = 12,  /* "HTTP/1.1 200" */
    FINE = 128, /* steps per doubling of a time: a percentile is right to 0.8 % */
    BUCKETS = 40 * FINE,
    WARM_NS = 300000000,
    SOON_NS = 20000
};

static struct connection {
    int fd;
    uint64_t due_ns; /* of the request under way; 0: free */
    size_t sent, got;
    size_t left; /* of a long body, beyond what `reply` holds */
    int status;  /* of that answer */
    bool waits;  /* for room to send the rest */
    char reply[REPLY];
} all[CONNECTIONS];

static struct { /* the last short answer that was read in detail */
    size_t bytes;
    int status;
    char line[LINE], last;
} known;

static char *request;
static size_t request_bytes;
static struct tally {
    uint64_t count, max_ns;
    uint32_t times[BUCKETS];
} * tallies[STATUSES], /* per status; 0: no answer */
    lateness;          /* of requests that left, after they were due: the generator's own part */
static int free_ones[CONNECTIONS], n_free, n_open, epoll_fd;
static bool closed_loop;
static uint64_t count_ns, end_ns; /* requests due between these count; later nothing is asked */

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* --- times --- */

/* Below FINE ns one step each, then FINE steps per doubling. */
static size_t bucket_of(uint64_t ns) {
    int shift = 0;
    for (; ns >= 2 * FINE; ns >>= 1)
        shift++;
    size_t at = (size_t)shift * FINE + (size_t)ns;
    return at < BUCKETS ? at : BUCKETS - 1;
}

static double bucket_ms(size_t at) {
    size_t shift = at < 2 * FINE ? 0 : at / FINE - 1;
    return ldexp((double)(at - shift * FINE) + 0.5, (int)shift) * 1e-6;
}

static void note(struct tally *t, uint64_t due, uint64_t ns) {
    if (due < count_ns)
        return;
    t->count++;
    t->times[bucket_of(ns)]++;
    if (ns > t->max_ns)
        t->max_ns = ns;
}

static void note_answer(int status, uint64_t due, uint64_t ns) {
    struct tally **t = &tallies[status > 0 && status < STATUSES ? status : 0];
    if (!*t && !(*t = calloc(1, sizeof **t)))
        die("memory");
    note(*t, due, ns);
}

static double percentile_ms(const struct tally *t, double part) {
    uint64_t rank = (uint64_t)((double)t->count * part), seen = 0;
    for (size_t i = 0; i < BUCKETS; i++)
        if ((seen += t->times[i]) > rank)
            return bucket_ms(i);
    return (double)t->max_ns * 1e-6;
}

static void report_one(const char *name, const struct tally *t, double seconds) {
    printf("\"%s\": {\"count\": %llu, \"per_s\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
           "\"p999_ms\": %.3f, \"max_ms\": %.3f}",
           name, (unsigned long long)t->count, (double)t->count / seconds, percentile_ms(t, 0.5),
           percentile_ms(t, 0.99), percentile_ms(t, 0.999), (double)t->max_ns * 1e-6);
}

static void report(double seconds) {
    printf("{");
    for (int s = 0; s < STATUSES; s++) {
        char name[16];
        snprintf(name, sizeof name, "%d", s);
        if (!tallies[s])
            continue;
        report_one(name, tallies[s], seconds);
        printf(", ");
    }
    report_one("left_late", &lateness, seconds);
    printf("}\n");
}

/* --- connections --- */

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
    n_open++;
}

static void push(struct connection *c) {
    while (c->sent < request_bytes) {
        ssize_t n = send(c->fd, request + c->sent, request_bytes - c->sent, MSG_NOSIGNAL);
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
        note_answer(0, due, 0); /* no connection left: counted as lost */
        return;
    }
    struct connection *c = &all[free_ones[--n_free]];
    c->due_ns = due;
    c->sent = c->got = c->left = 0;
    push(c);
    note(&lateness, due, now_ns() - due);
}

enum { UNFINISHED = -1, SENSELESS = -2 };

/* The status of an answer that is whole with what `reply` holds; UNFINISHED: more is to come. */
static int whole(struct connection *c) {
    if (c->got == known.bytes && memcmp(c->reply, known.line, LINE) == 0 &&
        c->reply[c->got - 1] == known.last)
        return known.status;
    c->reply[c->got] = '\0';
    const char *end = strstr(c->reply, "\r\n\r\n"),
               *length = strcasestr(c->reply, "content-length:");
    if (!end)
        return c->got < REPLY - 1 ? UNFINISHED : SENSELESS;
    if (!length || length > end)
        return SENSELESS;
    size_t all_bytes = (size_t)(end + 4 - c->reply) + strtoul(length + 15, NULL, 10);
    c->status = (int)strtol(c->reply + 9, NULL, 10);
    if (c->got < all_bytes) {
        c->left = all_bytes >= REPLY ? all_bytes - c->got : 0;
        return UNFINISHED;
    }
    known.bytes = c->got;
    known.status = c->status;
    known.last = c->reply[c->got - 1];
    memcpy(known.line, c->reply, LINE);
    return known.status;
}

/* What came of a long body is dropped. */
static int drop(struct connection *c, size_t n) {
    c->left -= n;
    return c->left ? UNFINISHED : c->status;
}

static void pull(struct connection *c) {
    static char sink[SINK];
    bool drops = c->left > 0;
    size_t room = drops ? (c->left < SINK ? c->left : SINK) : REPLY - 1 - c->got;
    ssize_t n = recv(c->fd, drops ? sink : c->reply + c->got, room, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    c->got += n > 0 && !drops ? (size_t)n : 0;
    int status = n <= 0 ? SENSELESS : drops ? drop(c, (size_t)n) : whole(c);
    if (status == UNFINISHED)
        return;
    if (status == SENSELESS) {
        note_answer(0, c->due_ns, 0);
        close(c->fd);
        n_open--;
        return;
    }
    uint64_t now = now_ns();
    note_answer(status, c->due_ns, now - c->due_ns);
    c->due_ns = 0;
    free_ones[n_free++] = (int)(c - all);
    if (closed_loop && now < end_ns)
        start(now);
}

static double gap_ns(double rate) { return -log(1 - drand48()) / rate * 1e9; }

/* What happens before the next is due, or in the next while. Falling asleep and being woken takes
 * both sides some microseconds: short waits are not slept, and none while answers keep coming. */
static void serve_for(double left_ns) {
    static uint64_t busy_ns; /* when something came last */
    struct epoll_event events[256];
    bool soon = left_ns < SOON_NS || now_ns() - busy_ns < SOON_NS;
    struct timespec t = {.tv_nsec = soon ? 0 : left_ns > 1e8 ? 100000000 : (long)left_ns};
    int k = epoll_pwait2(epoll_fd, events, 256, &t, NULL);
    if (k > 0)
        busy_ns = now_ns();
    for (int i = 0; i < k; i++) {
        struct connection *c = &all[events[i].data.u32];
        if (events[i].events & EPOLLOUT)
            push(c);
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            pull(c);
    }
}

static void open_load(double rate) {
    for (double due = (double)now_ns() + gap_ns(rate); due < (double)end_ns;) {
        double now = (double)now_ns();
        for (; due <= now && due < (double)end_ns; due += gap_ns(rate))
            start((uint64_t)due);
        serve_for(due - now);
    }
}

int main(int argc, char **argv) {
    if (argc != 7) {
        fprintf(stderr, "usage: http_load PORT PATH BODY-FILE RATE SECONDS CONNECTIONS\n");
        return 64;
    }
    double rate = strtod(argv[4], NULL), seconds = strtod(argv[5], NULL);
    int n = (int)strtol(argv[6], NULL, 10);
    n = n < CONNECTIONS ? n : CONNECTIONS;
    epoll_fd = epoll_create1(0);
    prctl(PR_SET_TIMERSLACK, 1000UL);
    make_request(argv[2], argv[3]);
    for (int i = 0; i < n; i++)
        open_one(i, (int)strtol(argv[1], NULL, 10));
    srand48(1);
    closed_loop = rate <= 0;
    count_ns = now_ns() + WARM_NS;
    end_ns = count_ns + (uint64_t)(seconds * 1e9);
    if (closed_loop)
        for (int i = 0; i < n; i++)
            start(now_ns());
    else
        open_load(rate);
    while (now_ns() < end_ns || (n_free < n_open && now_ns() < end_ns + 10000000000u))
        serve_for(1e8);
    report(seconds);
    return 0;
}
