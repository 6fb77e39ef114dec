/* SPDX-License-Identifier: Apache-2.0 */
/* Triton's shared memory pages, over HTTP and gRPC: what is listed, what a registration must say,
 * what there is none of. Regions themselves: ../region.c. */
#include "serve/protocol/memory.c"

#include "../stand.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define OBJECT "/slipway-unit-memory"

static struct stand s;
static struct err e;

static int begin(void **state) {
    (void)state;
    int fd = shm_open(OBJECT, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, 4096) != 0)
        return 1;
    close(fd);
    stand_open(&s, NULL, 0, NULL, 0);
    return 0;
}

static int end(void **state) {
    (void)state;
    stand_close(&s);
    return shm_unlink(OBJECT);
}

static enum code add(const char *name, const char *body) {
    struct request *r = stand_text(&s, body);
    r->label = str_of(name);
    return enlist(r, &e);
}

static const char *listed(const char *name) {
    struct request *r = stand_text(&s, "");
    r->label = str_of(name);
    assert_ok(status(r, &e));
    return stand_answer(&s);
}

static void over_http(void **state) {
    (void)state;
    assert_string_equal(listed(""), "[]");
    assert_ok(
        add("in", "{\"key\": \"" OBJECT "\", \"offset\": 64, \"byte_size\": 128, \"x\": {}}"));
    assert_string_equal(listed("in"), "[{\"name\":\"in\",\"key\":\"" OBJECT
                                      "\",\"offset\":64,\"byte_size\":128}]");
    assert_fails(add("in", "{\"key\": \"" OBJECT "\", \"byte_size\": 1}"), EXISTS, "in");
    struct request *r = stand_text(&s, "");
    r->label = LIT("out");
    assert_fails(status(r, &e), NOT_FOUND, "out");
    assert_ok(delist(r, &e)); /* an unknown one is no error */
    r->label = (struct str){0};
    assert_ok(delist(r, &e)); /* all of them */
    assert_string_equal(listed(""), "[]");
}

static void what_is_wrong(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "",
        "[]",
        "{}",
        "{\"key\": \"" OBJECT "\"}",
        "{\"byte_size\": 1}",
        "{\"key\": \"\", \"byte_size\": 1}",
        "{\"key\": \"" OBJECT "\", \"byte_size\": -1}",
        "{\"key\": \"" OBJECT "\", \"byte_size\": 1, \"offset\": -1}",
        "{\"key\": 7, \"byte_size\": 1}",
        "{\"key\": \"" OBJECT "\", \"byte_size\": 4097}",
        "{\"key\": \"" OBJECT "\", \"byte_size\": 1, \"offset\": 4096}",
        "{\"key\": \"" OBJECT "\", \"byte_size\": 1} x",
        "{\"key\": \"/slipway-there-is-none\", \"byte_size\": 1}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        if (add("bad", bodies[i]) == OK)
            stop("%s: taken", bodies[i]);
    assert_string_equal(listed(""), "[]");
}

static struct request *message(const char *name, const char *key, uint64_t offset, uint64_t bytes) {
    struct buf b;
    buf_init(&b, 1 << 12);
    pb_put_str(&b, 1, str_of(name));
    pb_put_str(&b, 2, str_of(key));
    pb_put_u64(&b, 3, offset);
    pb_put_u64(&b, 4, bytes);
    struct request *r = stand_text(&s, "");
    struct str kept = arena_str(r->arena, buf_str(&b));
    r->body = (struct span){(const uint8_t *)kept.p, kept.n};
    buf_deinit(&b);
    return r;
}

static void over_grpc(void **state) {
    (void)state;
    assert_ok(enlist_grpc(message("a", OBJECT, 8, 16), &e));
    assert_fails(enlist_grpc(message("b", OBJECT, 8, 8192), &e), INVALID, "");
    struct request *r = message("a", "", 0, 0);
    assert_ok(status_grpc(r, &e));
    struct pb_field f;
    struct pb p;
    bool more;
    pb_init(&p, r->response.parts[0]);
    assert_ok(pb_next(&p, &f, &more, &e));
    assert_true(more && f.number == 1);
    assert_non_null(memmem(f.bytes.p, f.bytes.n, OBJECT, strlen(OBJECT)));
    assert_fails(status_grpc(message("z", "", 0, 0), &e), NOT_FOUND, "z");
    r = message("a", OBJECT, 8, 16);
    r->body.n -= 1; /* ends inside a field */
    assert_true(enlist_grpc(r, &e) != OK);
    assert_ok(delist_grpc(message("a", "", 0, 0), &e));
    assert_string_equal(listed(""), "[]");
    assert_fails(no_cuda(message("a", OBJECT, 0, 1), &e), UNSUPPORTED, "no CUDA here");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_http),
        cmocka_unit_test(what_is_wrong),
        cmocka_unit_test(over_grpc),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
