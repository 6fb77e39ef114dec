/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.c"

#include "check.h"

#include <errno.h>

#undef fail
#define fail(e, NAME, ...) err_set((e), ERR_##NAME, __FILE__, __LINE__, __VA_ARGS__)

static void a_failure_is_written_once(void **state) {
    (void)state;
    struct err e;
    assert_int_equal(fail(&e, FORMAT, "tensor '%s': %d dims", "w", 99), ERR_FORMAT);
    assert_int_equal(e.code, ERR_FORMAT);
    assert_string_equal(e.text, "tensor 'w': 99 dims");
    assert_int_equal(err_prefix(&e, "file '%s'", "m.onnx"), ERR_FORMAT);
    assert_string_equal(e.text, "file 'm.onnx': tensor 'w': 99 dims");
    assert_non_null(strstr(e.file, "err.c"));
}

static void long_texts_are_cut_not_overrun(void **state) {
    (void)state;
    struct err e;
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    fail(&e, INVALID, "%s", text);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    err_prefix(&e, "%s", text);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    fail_errno(&e, EIO, "%s", text);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
}

static void errno_has_its_codes(void **state) {
    (void)state;
    static const struct {
        int number;
        enum code code;
    } cases[] = {{ENOENT, ERR_NOT_FOUND}, {ENOMEM, ERR_NOMEM}, {EACCES, ERR_DENIED},
                 {EROFS, ERR_DENIED},     {ENOSPC, ERR_IO},    {EIO, ERR_IO}};
    struct err e;
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        assert_int_equal(fail_errno(&e, cases[at].number, "cannot open '%s'", "f"), cases[at].code);
        assert_int_equal(strncmp(e.text, "cannot open 'f': ", 17), 0);
        assert_true(strlen(e.text) > 17);
    }
}

/* What a file put into a name does not move a terminal's cursor, nor break who reads UTF-8. */
static void texts_are_printable(void **state) {
    (void)state;
    struct err e;
    (void)!fail(&e, FORMAT, "tensor <%s>", "a\n\x1b[31m\x7f\xff\xc3\xa9\xc2\x9b\xe2\x82");
    assert_string_equal(e.text, "tensor <a??[31m??\xc3\xa9???"
                                "?>");
    (void)!err_prefix(&e, "file <%s>", "\r\xed\xa0\x80");
    assert_string_equal(e.text, "file <???"
                                "?>: tensor <a??[31m??\xc3\xa9???"
                                "?>");
    char long_name[600];
    memset(long_name, 'x', sizeof long_name);
    memcpy(long_name + 478, "\xc3\xa9", 3);
    (void)!fail(&e, FORMAT, "%s", long_name); /* cut within a character */
    assert_int_equal(e.text[478], '?');
}

/* Every row is usable at the rims: RFC 9110 status classes, gRPC codes 1-16, exit statuses of
 * sysexits or a signal's. */
static void every_code_has_its_statuses(void **state) {
    (void)state;
    assert_int_equal(err_http(OK), 200);
    assert_int_equal(err_exit(OK), 0);
    for (int code = OK + 1; code < ERR_N; code++) {
        assert_in_range(err_http((enum code)code), 400, 599);
        assert_in_range(err_grpc((enum code)code), 1, 16);
        assert_in_range(err_exit((enum code)code), 64, 130);
        assert_true(strlen(err_name((enum code)code)) > 0 && strlen(err_text((enum code)code)) > 0);
        for (int other = OK; other < code; other++)
            assert_string_not_equal(err_name((enum code)code), err_name((enum code)other));
    }
    assert_string_equal(err_name((enum code)9999), "INTERNAL");
    assert_int_equal(err_http((enum code) - 1), 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_written_once),
        cmocka_unit_test(long_texts_are_cut_not_overrun),
        cmocka_unit_test(errno_has_its_codes),
        cmocka_unit_test(texts_are_printable),
        cmocka_unit_test(every_code_has_its_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
