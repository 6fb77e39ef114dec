/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.c"

#include "base/json.h"

#include "check.h"

#include <sys/socket.h>

static int ends[2]; /* what is logged to [1] is read from [0], one line a packet */

static int setup(void **state) {
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends);
}

static const char *last_line(void) {
    static char text[2 * LINE_BYTES];
    ssize_t n = recv(ends[0], text, sizeof text - 1, MSG_DONTWAIT);
    text[n < 0 ? 0 : n] = '\0';
    return text;
}

/* The line is one JSON object; its members by name. */
static void check_json(const char *line) {
    struct arena a;
    struct json r;
    struct err e;
    arena_init(&a, 1 << 16);
    size_t n = strlen(line);
    assert_true(n && line[n - 1] == '\n' && !memchr(line, '\n', n - 1));
    json_init(&r, (struct str){line, n}, &a);
    assert_ok(json_skip(&r, NULL, &e));
    assert_ok(json_end(&r, &e));
    arena_deinit(&a);
}

static void levels_below_are_silent(void **state) {
    (void)state;
    log_setup(LOG_WARN, LOG_HUMAN, ends[1]);
    assert_true(log_on(LOG_ERROR) && log_on(LOG_WARN) && !log_on(LOG_INFO));
    log_text(LOG_INFO, "quiet %d", 1);
    log_event(LOG_DEBUG, "quiet", 0, NULL);
    assert_string_equal(last_line(), "");
    log_text(LOG_WARN, "loud %d", 2);
    const char *line = last_line();
    assert_string_equal(line + 12, " warn loud 2\n");
    assert_true(line[2] == ':' && line[5] == ':' && line[8] == '.');
}

static void fields_for_people(void **state) {
    (void)state;
    log_setup(LOG_INFO, LOG_HUMAN, ends[1]);
    log_event(LOG_INFO, "loaded", 3,
              (struct log_field[]){LOG_S("model", LIT("a \"b\"\n")), LOG_I("version", -3),
                                   LOG_F("seconds", 0.25)});
    assert_string_equal(last_line() + 12,
                        " info loaded model=\"a \\\"b\\\"\\u000a\" version=-3 seconds=0.25\n");
}

static void fields_for_machines(void **state) {
    (void)state;
    log_setup(LOG_INFO, LOG_JSON, ends[1]);
    log_event(LOG_ERROR, "lo\"ad", 4,
              (struct log_field[]){LOG_S("model", LIT("\xff\x01ocr\xc3\xa9")),
                                   LOG_I("n", INT64_MIN), LOG_F("x", 1.5),
                                   LOG_F("bad", (double)NAN)});
    const char *line = last_line();
    check_json(line);
    assert_int_equal(strncmp(line, "{\"time\":\"20", 11), 0);
    assert_non_null(strstr(
        line,
        "Z\",\"level\":\"error\",\"message\":\"lo\\\"ad\",\"model\":\"\\u00ff\\u0001ocr\xc3\xa9\","
        "\"n\":-9223372036854775808,\"x\":1.5,\"bad\":null}\n"));
}

static void long_lines_stay_whole(void **state) {
    (void)state;
    static char big[3 * LINE_BYTES];
    memset(big, 'x', sizeof big - 1);
    memcpy(big + 500, "\n\n\n", 3);
    log_setup(LOG_INFO, LOG_JSON, ends[1]);
    struct log_field fields[] = {LOG_S("small", LIT("1")), LOG_S("big", str_of(big)),
                                 LOG_S("after", LIT("2"))};
    log_event(LOG_INFO, "m", 3, fields);
    const char *line = last_line();
    check_json(line);
    assert_non_null(strstr(line, "\"small\":\"1\",\"cut\":true}\n"));
    for (size_t n = LINE_BYTES - 200; n < LINE_BYTES + 50;
         n++) { /* every way to be almost too long */
        fields[1].text = (struct str){big, n};
        log_event(LOG_INFO, "m", 3, fields);
        check_json(last_line());
    }
    log_text(LOG_INFO, "%s", big);
    check_json(last_line());
    memset(big, 1, sizeof big - 1); /* each byte takes six */
    log_event(LOG_INFO, big, 1, fields);
    check_json(last_line());
    log_setup(LOG_INFO, LOG_HUMAN, ends[1]);
    log_event(LOG_INFO, big, 3, fields);
    line = last_line();
    assert_int_equal(line[strlen(line) - 1], '\n');
    assert_non_null(strstr(line, " (cut)\n"));
}

static void a_closed_log_is_no_error(void **state) {
    (void)state;
    log_setup(LOG_INFO, LOG_HUMAN, -1);
    log_text(LOG_INFO, "nobody hears");
    log_setup(LOG_INFO, LOG_HUMAN, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_below_are_silent),  cmocka_unit_test(fields_for_people),
        cmocka_unit_test(fields_for_machines),      cmocka_unit_test(long_lines_stay_whole),
        cmocka_unit_test(a_closed_log_is_no_error),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
