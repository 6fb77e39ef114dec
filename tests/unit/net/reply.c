/* SPDX-License-Identifier: Apache-2.0 */
#include "net/reply.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct reply_date date = {.text = "Date: D\r\n", .n = 9};

static void head_is(const struct http_response *r, enum reply_connection how, const char *want) {
    char got[512];
    size_t n = reply_head(got, sizeof got, r, how, REPLY_SIZED, &date);
    assert_int_equal(n, strlen(want));
    assert_memory_equal(got, want, n);
    char small[16]; /* too small a buffer: same length, nothing beyond is written */
    assert_int_equal(reply_head(small, sizeof small, r, how, REPLY_SIZED, &date), n);
}

static void test_heads(void **state) {
    (void)state;
    struct http_response r = {.status = 200, .content_type = LIT("a/b"), .n_parts = 2};
    r.parts[0] = (struct span){(const uint8_t *)"xyz", 3};
    r.parts[1] = (struct span){(const uint8_t *)"0123456789", 10};
    head_is(&r, REPLY_KEEP,
            "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Type: a/b\r\nContent-Length: 13\r\n\r\n");
    const struct http_header extra[] = {{LIT("X"), LIT("1")}, {LIT("Y"), LIT("")}};
    r = (struct http_response){.status = 299, .headers = extra, .n_headers = 2};
    head_is(&r, REPLY_CLOSE,
            "HTTP/1.1 299 \r\nDate: D\r\nContent-Length: 0\r\nConnection: close\r\nX: 1\r\nY: "
            "\r\n\r\n");
    r = (struct http_response){.status = 204};
    head_is(&r, REPLY_KEEP_1_0,
            "HTTP/1.1 204 No Content\r\nDate: D\r\nConnection: keep-alive\r\n\r\n");
}

static void test_date(void **state) {
    (void)state;
    struct reply_date d = {0};
    reply_date_update(&d,
                      UINT64_C(784111777) * 1000000 + 999999); /* the example of RFC 9110 §5.6.7 */
    assert_string_equal(d.text, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
    assert_int_equal(d.n, strlen(d.text));
    reply_date_update(&d, UINT64_C(784111778) * 1000000);
    assert_string_equal(d.text, "Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n");
}

static bool clean_header(struct str name, struct str value) {
    const struct http_header h = {name, value};
    const struct http_response r = {.status = 200, .headers = &h, .n_headers = 1};
    return reply_is_clean(&r);
}

static void test_clean(void **state) {
    (void)state;
    assert_true(clean_header(LIT("X-A"), LIT("a\tb \xc3\xa9")));
    const struct str bad_values[] = {LIT("a\r\nb"), LIT("a\nb"), LIT("a\rb"),
                                     LIT("a\0b"),   LIT("\x7f"), LIT("\x1b[0m")};
    for (size_t i = 0; i < sizeof bad_values / sizeof *bad_values; i++)
        assert_false(clean_header(LIT("X"), bad_values[i]));
    const struct str bad_names[] = {LIT(""),
                                    LIT("a b"),
                                    LIT("a:"),
                                    LIT("a\r\nb"),
                                    LIT("a\0"),
                                    LIT("\xc3\xa9"),
                                    LIT("Content-length"),
                                    LIT("transfer-encoding"),
                                    LIT("CONNECTION"),
                                    LIT("date")};
    for (size_t i = 0; i < sizeof bad_names / sizeof *bad_names; i++)
        assert_false(clean_header(bad_names[i], LIT("1")));
    const int bad_status[] = {0, 100, 199, 600, -1};
    for (size_t i = 0; i < sizeof bad_status / sizeof *bad_status; i++)
        assert_false(reply_is_clean(&(struct http_response){.status = bad_status[i]}));
    assert_false(
        reply_is_clean(&(struct http_response){.status = 200, .content_type = LIT("a\r\nb: c")}));
    assert_false(reply_is_clean(&(struct http_response){.status = 200, .n_parts = HTTP_PARTS + 1}));
}

static void test_error_json(void **state) {
    (void)state;
    char got[REPLY_ERROR_BYTES], longest[4096];
    size_t n = reply_error_json("a \"b\" \\ \n \xc3\xa9", got);
    const char want[] = "{\"error\":\"a \\\"b\\\" \\\\ ? ??\"}";
    assert_int_equal(n, sizeof want - 1);
    assert_memory_equal(got, want, n);
    memset(longest, '"', sizeof longest);
    longest[sizeof longest - 1] = 0;
    n = reply_error_json(longest, got);
    assert_true(n <= sizeof got);
    assert_memory_equal(got + n - 4, "\\\"\"}", 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_heads), cmocka_unit_test(test_date),
                                       cmocka_unit_test(test_clean),
                                       cmocka_unit_test(test_error_json)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
