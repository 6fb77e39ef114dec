/* SPDX-License-Identifier: Apache-2.0 */
/* The page for scrapers: everybody's series, and `?name[]=`. */
#include "serve/protocol/metrics.c"

#include "../stand.h"

static struct stand s;
static struct err e;

static const char *ask(const char *query) {
    struct request *r = stand_text(&s, "");
    s.x.request.query = str_of(query);
    assert_ok(page(r, &e));
    size_t n = answer_bytes(r);
    char *text = arena_push(r->arena, n + 1);
    if (n)
        memcpy(text, r->response.parts[0].p, n);
    return text;
}

static int families(const char *text) {
    int n = 0;
    for (; (text = strstr(text, "# HELP ")); text++)
        n++;
    return n;
}

static void what_is_shown(void **state) {
    (void)state;
    stand_open(&s, NULL, 0, NULL, 0);
    atomic_store(&s.live.success, 7);
    atomic_store(&s.live.failed, 2);
    const char *text = ask("");
    assert_non_null(strstr(text, "slipway_build_info{version=\"" SLIPWAY_VERSION "\"} 1\n"));
    assert_non_null(
        strstr(text, "ts_inference_requests_total{model_name=\"m\",model_version=\"3\"} 9\n"));
    assert_non_null(strstr(text, "nv_inference_request_success{model=\"m\",version=\"3\"} 7\n"));
    assert_true(families(text) > 12);
    stand_close(&s);
}

static void families_by_name(void **state) {
    (void)state;
    stand_open(&s, NULL, 0, NULL, 0);
    const char *text = ask("name[]=nv_inference_count&x=1&name%5B%5d=slipway_build_info");
    assert_int_equal(families(text), 2);
    assert_true(strstr(text, "\nnv_inference_count{") && strstr(text, "\nslipway_build_info{"));
    assert_memory_equal(text, "# HELP slipway_build_info", 25); /* in the order of the page */
    assert_string_equal(ask("name[]=nobody"), "");
    assert_string_equal(ask("name[]="), "");
    assert_int_equal(families(ask("name[]=nv_inference_coun")), 0);    /* the whole name */
    assert_true(families(ask("name=nv_inference_count&name[]")) > 12); /* neither names one */
    stand_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_shown),
        cmocka_unit_test(families_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
