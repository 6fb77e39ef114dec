/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/router.c"

#include "../base/check.h"

static const struct router *table(void) {
    static struct router t;
    struct err e;
    size_t n;
    if (!t.n) {
        const struct protocol *const *all = protocol_list(&n);
        assert_ok(router_init(&t, all, n, &e));
    }
    return &t;
}

static struct router_match find(const char *method, const char *path) {
    struct router_match m;
    router_find(table(), str_of(method), str_of(path), &m);
    return m;
}

/* want: "protocol route model version label", '-' for none */
static void leads(const char *method, const char *path, const char *want) {
    struct router_match m = find(method, path);
    char text[256];
    if (!m.route || !m.method_ok)
        stop("%s %s leads nowhere", method, path);
    snprintf(text, sizeof text, "%s %s %.*s %.*s %.*s", m.protocol->name, m.route->path,
             STR(m.model.n ? m.model : LIT("-")), STR(m.version.n ? m.version : LIT("-")),
             STR(m.label.n ? m.label : LIT("-")));
    assert_string_equal(text, want);
}

static void test_paths(void **state) {
    (void)state;
    leads("POST", "/v1/models/m:predict", "tfserving /v1/models/{model}:predict m - -");
    leads("POST", "/v1/models/m/versions/7:predict",
          "tfserving /v1/models/{model}/versions/{version}:predict m 7 -");
    leads("POST", "/v1/models/m/labels/stable:predict",
          "tfserving /v1/models/{model}/labels/{label}:predict m - stable");
    leads("GET", "/v1/models/m", "tfserving /v1/models/{model} m - -");
    leads("GET", "/v1/models/m/", "tfserving /v1/models/{model} m - -");
    leads("HEAD", "/v1/models/m/metadata", "tfserving /v1/models/{model}/metadata m - -");
    leads("GET", "/v2/models/stats", "repository /v2/models/stats - - -");
    leads("GET", "/v2/models/stat", "oip /v2/models/{model} stat - -");
    leads("GET", "/v2/models/m/stats", "repository /v2/models/{model}/stats m - -");
    leads("POST", "/v2/models/m/infer", "oip /v2/models/{model}/infer m - -");
    leads("POST", "/v2/repository/models/m/load",
          "repository /v2/repository/models/{model}/load m - -");
    leads("POST", "/v2/repository/other/models/m/load",
          "repository /v2/repository/{label}/models/{model}/load m - other");
    leads("POST", "/predict", "predict /predict - - -");
    leads("GET", "/predict/m@3", "predict /predict/{model} m@3 - -");
    leads("GET", "/", "docs / - - -");
    leads("GET", "/metrics", "metrics /metrics - - -");
}

static void test_nowhere(void **state) {
    (void)state;
    assert_null(find("GET", "/nothing").route);
    assert_null(find("GET", "").route);
    assert_null(find("GET", "/v1/models/m/x").route);
    assert_null(find("POST", "/v1/models/:predict").route);
    assert_null(find("POST", "/v1/models/m:predict:predict").route);
    assert_null(find("POST", "/v1/models//versions/3:predict").route);
    assert_null(find("POST", "/predict/a/b").route);
    assert_null(find("GET", "/v1/models/m:predictx").route);
}

static void test_methods(void **state) {
    (void)state;
    char text[ROUTER_ALLOW];
    struct router_match m = find("GET", "/v1/models/m:predict");
    assert_non_null(m.route);
    assert_false(m.method_ok);
    assert_string_equal(router_allow(m.methods, text), "POST, OPTIONS");
    m = find("PUT", "/predict/m"); /* two rows answer this path */
    assert_false(m.method_ok);
    assert_string_equal(router_allow(m.methods, text), "GET, HEAD, POST, OPTIONS");
    assert_false(find("BREW", "/metrics").method_ok);
    assert_false(find("OPTIONS", "/metrics").method_ok);
    assert_true(find("OPTIONS", "/predictions/m").method_ok); /* TorchServe's description */
    m = find("OPTIONS", "/");
    assert_true(m.method_ok);
    assert_string_equal(router_allow(m.methods, text), "GET, HEAD, OPTIONS");
}

static void test_bad_tables(void **state) {
    (void)state;
    struct err e;
    static struct router t;
    const struct route bad[] = {{ROUTE_GET, "/a/{colour}", 0, NULL}};
    const struct protocol one = {.name = "one", .routes = bad, .n_routes = 1}, *list[] = {&one};
    assert_fails(router_init(&t, list, 1, &e), INTERNAL, "{model}, {version} or {label}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_nowhere),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_bad_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
