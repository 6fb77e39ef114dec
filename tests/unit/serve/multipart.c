/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/multipart.c"

#include "../base/check.h"

#define TYPE LIT("multipart/form-data; boundary=AaB03x")

static struct span bytes(const char *text) {
    return (struct span){(const uint8_t *)text, strlen(text)};
}

static void test_parts(void **state) {
    (void)state;
    struct err e;
    struct multipart m;
    struct multipart_part p;
    bool more;
    struct span body =
        bytes("preamble\r\n--AaB03x\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n[1, 2]\r\n"
              "--AaB03x\r\ncontent-disposition: form-data; filename=\"a b.png\"; name=picture\r\n"
              "Content-Type: image/png\r\n\r\n--AaB03\r\n-\r\n\r\n--AaB03x \r\n"
              "Content-Disposition: form-data; name=\"\"\r\n\r\n\r\n--AaB03x--\r\nepilogue");
    assert_ok(multipart_begin(&m, TYPE, body, &e));
    assert_ok(multipart_next(&m, &p, &more, &e));
    assert_true(more && str_is(p.name, "x") && p.file_name.n == 0);
    assert_true(p.body.n == 6 && memcmp(p.body.p, "[1, 2]", 6) == 0);
    assert_ok(multipart_next(&m, &p, &more, &e));
    assert_true(more && str_is(p.name, "picture") && str_is(p.file_name, "a b.png") &&
                str_is(p.content_type, "image/png"));
    assert_true(p.body.n == 12 && memcmp(p.body.p, "--AaB03\r\n-\r\n", 12) == 0);
    assert_ok(multipart_next(&m, &p, &more, &e));
    assert_true(more && p.name.n == 0 && p.body.n == 0);
    assert_ok(multipart_next(&m, &p, &more, &e));
    assert_false(more);
}

static void refuses(const char *type, const char *body, const char *why) {
    struct err e;
    struct multipart m;
    struct multipart_part p;
    bool more = true;
    enum code code = multipart_begin(&m, str_of(type), bytes(body), &e);
    while (code == OK && more)
        code = multipart_next(&m, &p, &more, &e);
    assert_int_equal(code, ERR_INVALID);
    if (!strstr(e.text, why))
        stop("says \"%s\", expected \"%s\"", e.text, why);
}

static void test_refused(void **state) {
    (void)state;
    refuses("multipart/form-data", "", "needs a boundary");
    refuses("multipart/form-data; boundary=", "", "needs a boundary");
    refuses("multipart/form-data; boundary=b", "", "no delimiter '--b' found");
    refuses("multipart/form-data; boundary=b", "--b\r\n", "no end");
    refuses("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: x\r\n\r\nabc",
            "has no end");
    refuses("multipart/form-data; boundary=b", "--b\r\nno colon\r\n\r\nabc\r\n--b--",
            "without ':'");
    refuses("multipart/form-data; boundary=b", "--bc\r\n\r\nabc\r\n--b--", "on its line");
    refuses("multipart/form-data; boundary=\"b", "--b\r\n\r\n--b--", "has no end");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
