/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors by file and by symbol, with what they import; the list; what is not there. */
#include "serve/protocol/grpc_reflection.c"

#include "../stand.h"

static struct stand s;
static struct err e;

static int begin(void **state) {
    (void)state;
    stand_open(&s, NULL, 0, NULL, 0);
    return 0;
}

static int end(void **state) {
    (void)state;
    stand_close(&s);
    return 0;
}

/* The field `number` of the answer; .p NULL: it has none. */
static struct span ask(uint32_t field, const char *text, uint32_t number) {
    struct span found = {0};
    struct pb_field f;
    struct pb p;
    struct buf b;
    bool more;
    buf_init(&b, 1 << 12);
    pb_put_str(&b, 1, LIT("host"));
    pb_put_str(&b, field, str_of(text));
    struct request *r = stand_ask(&s, b.p, b.n);
    assert_ok(info(r, &e));
    pb_init(&p, r->response.parts[0]);
    for (;;) {
        assert_ok(pb_next(&p, &f, &more, &e));
        if (!more)
            break;
        if (f.number == number)
            assert_ok(pb_bytes(&f, &found, &e));
    }
    buf_deinit(&b);
    return found;
}

static size_t files_in(struct span answer) {
    struct pb_field f;
    struct pb p;
    bool more;
    size_t n = 0;
    pb_init(&p, answer);
    for (;; n++) {
        assert_ok(pb_next(&p, &f, &more, &e));
        if (!more)
            return n;
    }
}

static void every_service_has_its_file(void **state) {
    (void)state;
    for (int i = 0; i < FILES; i++) {
        size_t imports = 0;
        while (schema_files[i].imports[imports])
            imports++;
        assert_int_equal(files_in(ask(BY_NAME, schema_files[i].name, AS_FILE)), 1 + imports);
        for (const char *const *name = schema_files[i].services; *name; name++)
            assert_int_equal(files_in(ask(BY_SYMBOL, *name, AS_FILE)), 1 + imports);
    }
    assert_true(files_in(ask(LIST, "", AS_LIST)) >= 7);
}

static void what_is_not_there(void **state) {
    (void)state;
    assert_null(ask(BY_NAME, "nowhere.proto", AS_FILE).p);
    assert_non_null(ask(BY_NAME, "nowhere.proto", AS_ERROR).p);
    assert_non_null(ask(BY_SYMBOL, "no.Such", AS_ERROR).p);
    assert_non_null(ask(EXTENSIONS, "inference.ModelInferRequest", AS_ERROR).p);
    stand_ask(&s, "\x1a\x05x", 3); /* cut */
    assert_true(info(&s.r, &e) != OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_service_has_its_file, begin, end),
        cmocka_unit_test_setup_teardown(what_is_not_there, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
