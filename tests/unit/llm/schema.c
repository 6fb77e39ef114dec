/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas: which documents their grammars hold, and which schemas are refused by name. */
#include "llm/schema.c"

#include "llm/grammar.h"

#include "../base/check.h"
#include "fake.h"

static struct grammar *compiled(const char *schema) {
    struct grammar *g;
    struct err e;
    struct buf text;
    buf_init(&text, GRAMMAR_BYTES);
    if (schema_grammar(str_of(schema), &text, &e) != OK)
        stop("%s: %s", schema, e.text);
    if (grammar_parse(buf_str(&text), &g, &e) != OK)
        stop("%s: %s\n%.*s", schema, e.text, STR(buf_str(&text)));
    buf_deinit(&text);
    return g;
}

/* good, bad: documents, each list ended by NULL */
static void holds(const char *schema, const char *const *good, const char *const *bad) {
    struct grammar *g = compiled(schema);
    for (; *good; good++)
        if (!grammar_matches(g, str_of(*good)))
            stop("%s refuses %s", schema, *good);
    for (; *bad; bad++)
        if (grammar_matches(g, str_of(*bad)))
            stop("%s accepts %s", schema, *bad);
    grammar_close(g);
}
#define HOLDS(schema, good, bad)                                                                   \
    holds(schema, (const char *const[]){good, NULL}, (const char *const[]){bad, NULL})
#define L(...) __VA_ARGS__

static void invalid(const char *schema, const char *part) {
    struct err e;
    struct buf text;
    buf_init(&text, GRAMMAR_BYTES);
    assert_fails(schema_grammar(str_of(schema), &text, &e), INVALID, part);
    buf_deinit(&text);
}

static void test_types(void **state) {
    (void)state;
    HOLDS("{\"type\": \"string\"}", L("\"\"", "\"a\\n\\u00e9\xc3\xa9\""),
          L("\"a\nb\"", "a", "\"\\ud800\"", "1", "\"\\q\""));
    HOLDS("{\"type\": \"integer\"}", L("0", "-12", "9999999999999999"),
          L("01", "1.0", "1e3", "--1", "99999999999999999"));
    HOLDS("{\"type\": \"number\"}", L("0.5", "-1e-3", "12"), L(".5", "1.", "NaN"));
    HOLDS("{\"type\": [\"boolean\", \"null\"]}", L("true", "false", "null"), L("0", "\"true\""));
    HOLDS("{}", L("[1, {\"a\": null}]", "\"x\""), L("[1,]", "{a: 1}"));
    HOLDS("{\"type\": \"object\"}", L("{}", "{\"a\": {\"b\": [1, 2]}}"), L("[]", "{\"a\"}"));
    HOLDS("{\"enum\": [\"a\", \"ab\", 3, null, \"\\u00e9\"]}",
          L("\"a\"", "\"ab\"", "3", "null", "\"\xc3\xa9\""), L("\"abc\"", "4", "\"\""));
    HOLDS("{\"const\": {\"k\": [1]}}", L("{\"k\": [1]}"), L("{\"k\": [2]}"));
}

static void test_strings(void **state) {
    (void)state;
    HOLDS("{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 3}",
          L("\"ab\"", "\"\xe2\x82\xac\xc3\xa9\\n\""), L("\"a\"", "\"abcd\""));
    HOLDS("{\"type\": \"string\", \"pattern\": \"^(\\\\d{3}-)?[a-z_]+(x|y)?$\"}",
          L("\"123-ab\"", "\"q_x\""), L("\"12-ab\"", "\"\"", "\"AB\""));
    HOLDS("{\"type\": \"string\", \"format\": \"date-time\"}", L("\"2024-02-28T23:59:59.123Z\""),
          L("\"2024-13-01T00:00:00Z\"", "\"2024-01-01\""));
    HOLDS("{\"type\": \"string\", \"format\": \"uuid\"}",
          L("\"123e4567-e89b-12d3-a456-426614174000\""), L("\"123\""));
    HOLDS("{\"type\": \"string\", \"format\": \"email\"}", L("\"a@b\""), L("1"));
}

static void test_integers(void **state) {
    struct grammar *g;
    static const struct {
        int low, high;
    } ranges[] = {{0, 0}, {1, 9}, {0, 255}, {7, 1234}, {-5, 5}, {-1234, -7}, {99, 101}, {-10, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"type\": \"integer\", \"minimum\": %d, \"maximum\": %d}",
                 ranges[i].low, ranges[i].high);
        g = compiled(text);
        for (int v = -1500; v <= 1500; v++) {
            snprintf(text, sizeof text, "%d", v);
            if (grammar_matches(g, str_of(text)) != (v >= ranges[i].low && v <= ranges[i].high))
                stop("%d against %d to %d", v, ranges[i].low, ranges[i].high);
        }
        grammar_close(g);
    }
    HOLDS("{\"type\": \"integer\", \"exclusiveMinimum\": 2, \"exclusiveMaximum\": 4.5}",
          L("3", "4"), L("2", "5", "03"));
}

static void test_objects(void **state) {
    static const char person[] =
        "{\"type\": \"object\", \"properties\": {\"name\": {\"type\": \"string\"}, \"age\": "
        "{\"type\": \"integer\"}, \"tags\": {\"type\": \"array\", \"items\": {\"type\": "
        "\"string\"}, \"minItems\": 1, \"maxItems\": 2}}, \"required\": [\"name\", \"tags\"]}";
    (void)state;
    HOLDS(person,
          L("{\"name\": \"x\", \"age\": 3, \"tags\": [\"a\"]}",
            "{\"name\":\"x\",\"tags\":[\"a\", \"b\"]}",
            "{\n  \"name\": \"x\",\n  \"tags\": [\"a\"]\n}"),
          L("{\"name\": \"x\"}", "{\"name\": \"x\", \"tags\": []}", "{}",
            "{\"name\": \"x\", \"tags\": [\"a\", \"b\", \"c\"]}",
            "{\"name\": \"x\", \"tags\": [\"a\"], \"more\": 1}",
            "{\"tags\": [\"a\"], \"name\": \"x\"}"));
    HOLDS(
        "{\"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {\"type\": \"integer\"}, \"c\": "
        "{\"type\": \"integer\"}}}",
        L("{}", "{\"a\": 1}", "{\"b\": 1, \"c\": 2}", "{\"a\": 1, \"c\": 2}"),
        L("{\"c\": 1, \"a\": 2}", "{, \"a\": 1}", "{\"a\": 1, }"));
    HOLDS("{\"type\": \"object\", \"properties\": {\"ab\": {\"type\": \"integer\"}}, "
          "\"additionalProperties\": {\"type\": \"boolean\"}}",
          L("{\"ab\": 1, \"a\": true, \"abc\": false}", "{\"x\": true}", "{}", "{\"\": true}"),
          L("{\"ab\": true}", "{\"x\": 1}", "{\"ab\": 1, \"ab\": true}"));
    HOLDS("{\"type\": \"object\", \"additionalProperties\": {\"type\": \"integer\"}}",
          L("{}", "{\"x\": 1, \"y\": 2}"), L("{\"x\": \"1\"}"));
    HOLDS("{\"type\": \"object\", \"properties\": {}, \"additionalProperties\": false}", L("{}"),
          L("{\"a\": 1}"));
}

static void test_arrays(void **state) {
    (void)state;
    HOLDS("{\"type\": \"array\", \"prefixItems\": [{\"type\": \"string\"}, {\"type\": "
          "\"integer\"}], \"items\": false}",
          L("[\"a\", 1]"), L("[\"a\"]", "[\"a\", 1, 2]"));
    HOLDS("{\"type\": \"array\", \"items\": {\"type\": \"integer\"}, \"minItems\": 2}",
          L("[1,2]", "[1, 2, 3, 4]"), L("[1]", "[]", "[1,2,\"x\"]"));
    HOLDS("{\"type\": \"array\", \"maxItems\": 0}", L("[]"), L("[1]"));
    HOLDS("{\"type\": \"array\", \"items\": {\"type\": \"integer\"}, \"maxItems\": 100000}",
          L("[]", "[1,2,3]"), L("[,]"));
}

static void test_composition(void **state) {
    static const char tree[] =
        "{\"$defs\": {\"node\": {\"type\": \"object\", \"properties\": {\"value\": {\"type\": "
        "\"integer\"}, \"next\": {\"anyOf\": [{\"$ref\": \"#/$defs/node\"}, {\"type\": "
        "\"null\"}]}}, "
        "\"required\": [\"value\", \"next\"]}}, \"$ref\": \"#/$defs/node\"}";
    (void)state;
    HOLDS(tree, L("{\"value\": 1, \"next\": {\"value\": 2, \"next\": null}}"),
          L("{\"value\": 1, \"next\": 3}", "{\"value\": 1}"));
    HOLDS("{\"allOf\": [{\"properties\": {\"a\": {\"type\": \"integer\"}}, \"required\": [\"a\"]}, "
          "{\"properties\": {\"b\": {\"type\": \"integer\"}}, \"required\": [\"b\"]}]}",
          L("{\"a\": 1, \"b\": 2}"), L("{\"a\": 1}"));
    HOLDS("{\"oneOf\": [{\"type\": \"string\"}, {\"type\": \"integer\"}]}", L("\"a\"", "1"),
          L("null"));
    HOLDS("{\"oneOf\": [{\"type\": \"object\", \"properties\": {\"k\": {\"const\": \"a\"}}, "
          "\"required\": [\"k\"]}, {\"type\": \"object\", \"properties\": {\"k\": {\"const\": "
          "\"b\"}}, \"required\": [\"k\"]}]}",
          L("{\"k\": \"a\"}", "{\"k\": \"b\"}"), L("{\"k\": \"c\"}"));
    HOLDS("{\"type\": \"string\", \"nullable\": true}", L("null", "\"\""), L("1"));
}

static void test_refused(void **state) {
    (void)state;
    invalid("{\"not\": {}}", "keyword 'not'");
    invalid("{\"type\": \"array\", \"uniqueItems\": true}", "keyword 'uniqueItems'");
    invalid("{\"type\": \"object\", \"patternProperties\": {}}", "keyword 'patternProperties'");
    invalid("{\"properties\": {\"a\": {\"multipleOf\": 2}}}", "keyword 'multipleOf'");
    invalid("{\"if\": {}}", "keyword 'if'");
    invalid("{\"type\": \"number\", \"minimum\": 0}", "'minimum'");
    invalid("{\"type\": \"strong\"}", "type 'strong'");
    invalid("{\"type\": \"string\", \"pattern\": \"abc\"}", "anchored");
    invalid("{\"type\": \"string\", \"pattern\": \"^(?=a)b$\"}", "look-around");
    invalid("{\"type\": \"string\", \"pattern\": \"^a\\\\1$\"}", "an escape");
    invalid("{\"$ref\": \"http://example.com/x\"}", "only references within");
    invalid("{\"$ref\": \"#/$defs/gone\"}", "leads nowhere");
    invalid("{\"oneOf\": [{\"type\": \"integer\"}, {\"type\": \"number\"}]}", "may both hold");
    invalid("{\"required\": [\"a\"]}", "not among the properties");
    invalid("{\"enum\": []}", "empty");
    invalid("[]", "must be an object");
    invalid("{\"minItems\": -1}", "negative");
    struct buf deep;
    buf_init(&deep, 1 << 16);
    for (int i = 0; i < SCHEMA_DEPTH + 1; i++)
        buf_put_text(&deep, "{\"items\":");
    buf_put_text(&deep, "{}");
    for (int i = 0; i < SCHEMA_DEPTH + 1; i++)
        buf_put_byte(&deep, '}');
    buf_put_byte(&deep, '\0');
    struct err e;
    struct buf text;
    buf_init(&text, GRAMMAR_BYTES);
    assert_int_not_equal(schema_grammar(str_of(deep.p), &text, &e), OK);
    buf_deinit(&text);
    buf_deinit(&deep);
}

/* Enumerations of thousands of values cost what their tree of beginnings costs. */
static void test_huge_enum(void **state) {
    struct buf schema;
    (void)state;
    buf_init(&schema, 1 << 20);
    buf_put_text(&schema, "{\"enum\": [");
    for (int i = 0; i < 20000; i++)
        buf_printf(&schema, "%s\"value-%d\"", i ? "," : "", i * 7);
    buf_put_text(&schema, "]}");
    buf_put_byte(&schema, '\0');
    struct grammar *g = compiled(schema.p);
    assert_true(grammar_matches(g, LIT("\"value-139993\"")));
    assert_true(grammar_matches(g, LIT("\"value-0\"")));
    assert_false(grammar_matches(g, LIT("\"value-139994\"")));
    grammar_close(g);
    buf_deinit(&schema);
}

static void test_any_object(void **state) {
    struct grammar *g;
    struct buf text;
    struct err e;
    (void)state;
    buf_init(&text, GRAMMAR_BYTES);
    assert_ok(schema_any_object(&text, &e));
    assert_ok(grammar_parse(buf_str(&text), &g, &e));
    buf_deinit(&text);
    assert_true(grammar_matches(g, LIT("{\"a\": [1.5e3, {}, \"x\", null]}")));
    assert_false(grammar_matches(g, LIT("[]")));
    grammar_close(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),      cmocka_unit_test(test_strings),
        cmocka_unit_test(test_integers),   cmocka_unit_test(test_objects),
        cmocka_unit_test(test_arrays),     cmocka_unit_test(test_composition),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_huge_enum),
        cmocka_unit_test(test_any_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
