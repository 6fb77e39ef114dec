/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/answer.c"

#include "stand.h"

static struct stand s;

static void refused(enum code code, int status, const char *header, const char *value) {
    stand_text(&s, "");
    struct err e = {.code = code, .text = "why \"so\""};
    answer_header(&s.r, "X-Left", LIT("over"));
    s.r.allow = "GET";
    answer_error(&s.r, &e);
    assert_int_equal(s.r.response.status, status);
    assert_string_equal(stand_answer(&s), "{\"error\":\"why \\\"so\\\"\"}");
    assert_string_equal(stand_answer_header(&s, "X-Left"), "");
    if (header)
        assert_string_equal(stand_answer_header(&s, header), value);
    else
        assert_int_equal(s.r.response.n_headers, 0);
}

static void test_errors(void **state) {
    (void)state;
    stand_open(&s, NULL, 0, NULL, 0);
    refused(ERR_INVALID, 400, NULL, NULL);
    refused(ERR_NOT_FOUND, 404, NULL, NULL);
    refused(ERR_METHOD, 405, "Allow", "GET");
    refused(ERR_UNAUTHENTICATED, 401, "WWW-Authenticate", "Bearer");
    refused(ERR_OVERLOAD, 429, "Retry-After", "1");
    refused(ERR_UNAVAILABLE, 503, "Retry-After", "1");
    refused(ERR_TIMEOUT, 504, NULL, NULL);
    stand_close(&s);
}

static void compressed(const char *accept, bool page, size_t bytes, const char *want) {
    static const struct route a_page = {.page = (enum code(*)(struct request *, struct err *))1},
                              a_run = {0};
    struct err e;
    stand_text(&s, "");
    stand_header(&s, "Accept-Encoding", accept);
    s.r.route = page ? &a_page : &a_run;
    struct buf *b = answer_buf(&s.r, bytes, &e);
    for (size_t i = 0; i < bytes; i++)
        buf_put_byte(b, 'a');
    assert_ok(answer_part(&s.r, b, &e));
    answer_compress(&s.r);
    assert_string_equal(stand_answer_header(&s, "Content-Encoding"), want);
    assert_true(want[0] ? answer_bytes(&s.r) < bytes : answer_bytes(&s.r) == bytes);
}

static void test_compression(void **state) {
    (void)state;
    stand_open(&s, NULL, 0, NULL, 0);
    compressed("gzip", false, 1000, "gzip");
    compressed("deflate", false, 1000, "deflate");
    compressed("gzip, deflate", false, 1000, "");
    compressed("gzip, deflate, br", true, 1000, "gzip");
    compressed("gzip", true, COMPRESS_MIN - 1, "");
    compressed("br", true, 1000, "");
    stand_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_compression),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
