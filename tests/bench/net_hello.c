/* SPDX-License-Identifier: Apache-2.0 */
/* The floor alone: one loop that answers every request with a constant body.
 *
 *     bench_net_hello [ADDRESS:PORT]        then: wrk -t1 -c16 -d5s http://127.0.0.1:8123/
 *
 * On SIGTERM or Ctrl-C it drains and prints what it did, heap allocations per request included. */
#include "base/mem.h"
#include "net/http.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

struct hello {
    struct loop *loop;
    struct http_listener *listener;
};

static enum code on_head(void *ctx, struct http_exchange *x, size_t *body_limit, struct err *e) {
    (void)ctx, (void)x, (void)body_limit, (void)e;
    return OK;
}

static void on_request(void *ctx, struct http_exchange *x) {
    (void)ctx;
    static const char body[] = "{\"outputs\":[0.25,0.5,0.125,0.125]}";
    struct http_response r = {.status = 200,
                              .content_type = LIT("application/json"),
                              .parts = {{(const uint8_t *)body, sizeof body - 1}},
                              .n_parts = 1};
    http_respond(x, &r);
}

static void drained(void *ctx) {
    struct hello *h = ctx;
    loop_stop(h->loop);
}

static void on_signal(void *ctx, int number) {
    (void)number;
    struct hello *h = ctx;
    http_drain(h->listener, 1000, drained, h);
}

int main(int argc, char **argv) {
    struct err e;
    struct hello h;
    struct http_limits limits;
    http_limits_default(&limits);
    const struct http_handler handler = {.ctx = &h, .on_head = on_head, .on_request = on_request};
    if (loop_open(&h.loop, &e) != OK ||
        http_listen(h.loop, argc > 1 ? argv[1] : "127.0.0.1:8123", false, &handler, &limits,
                    &h.listener, &e) != OK ||
        loop_on_signal(h.loop, SIGTERM, on_signal, &h, &e) != OK ||
        loop_on_signal(h.loop, SIGINT, on_signal, &h, &e) != OK) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    char address[64];
    http_listener_address(h.listener, address);
    printf("listening on http://%s\n", address);
    fflush(stdout);
    uint64_t before = mem_count();
    loop_run(h.loop);
    struct http_stats s;
    http_listener_stats(h.listener, &s);
    uint64_t allocations = mem_count() - before;
    printf("%" PRIu64 " requests on %" PRIu64 " connections, %" PRIu64
           " allocations (%.4f per request)\n",
           s.requests, s.accepted, allocations,
           (double)allocations / (double)(s.requests ? s.requests : 1));
    http_listener_close(h.listener);
    loop_close(h.loop);
    return 0;
}
