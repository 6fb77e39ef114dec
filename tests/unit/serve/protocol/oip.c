/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/protocol/oip.c"

#include "../stand.h"

static struct stand s;
static struct live_io inputs[2], outputs[5];

static void open_one(enum dtype dtype) {
    inputs[0] = stand_io("x", dtype, STAND_DIMS(-1, 2));
    outputs[0] = stand_io("y", dtype, STAND_DIMS(-1, 2));
    stand_open(&s, inputs, 1, outputs, 1);
}

/* JSON, then raw bytes. */
static enum code take(const char *head, const void *raw, size_t n) {
    static _Alignas(64) char body[4096];
    static char length[24];
    size_t json = strlen(head);
    memcpy(body, head, json);
    if (n)
        memcpy(body + json, raw, n);
    stand_ask(&s, body, json + n);
    snprintf(length, sizeof length, "%zu", json);
    if (raw)
        stand_header(&s, "Inference-Header-Content-Length", length);
    return decode(&s.r, &s.e);
}

static void done(void) {
    ask_end(&s.r.ask);
    stand_close(&s);
}

static void test_in_place(void **state) {
    (void)state;
    struct err e = {0};
    const float v[] = {1, 2};
    open_one(DT_F32);
    char head[200];
    const char *json = "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP32\","
                       "\"parameters\":{\"binary_data_size\":8}}]}";
    for (size_t pad = 0; pad < 8;
         pad++) { /* where the address suits the type, the tensor is used where it lies */
        size_t n = (size_t)snprintf(head, sizeof head, "%s%.*s", json, (int)pad, "        ");
        assert_ok(take(head, v, 8));
        const void *data = s.r.ask.inputs[0].tensor.data;
        assert_int_equal((uintptr_t)data % sizeof(float), 0);
        if (n % sizeof(float) == 0)
            assert_ptr_equal(data, s.r.body.p + n);
        assert_memory_equal(data, v, 8);
        ask_end(&s.r.ask);
    }
    done();
}

static void test_truths_are_made(void **state) {
    (void)state;
    struct err e = {0};
    open_one(DT_BOOL);
    assert_ok(take("{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"BOOL\","
                   "\"parameters\":{\"binary_data_size\":2}}]}",
                   "\xff\x00", 2));
    assert_memory_equal(s.r.ask.inputs[0].tensor.data, "\1\0", 2);
    done();
}

static void test_wants(void **state) {
    (void)state;
    struct err e = {0};
    open_one(DT_F32);
    assert_ok(take("{\"outputs\":[{\"name\":\"y\",\"parameters\":{\"binary_data\":false,"
                   "\"classification\":3}}],\"parameters\":{\"binary_data_output\":true,"
                   "\"timeout\":1000000,\"priority\":1},\"id\":\"i\",\"inputs\":[{\"data\":[1,2],"
                   "\"shape\":[1,2],"
                   "\"name\":\"x\",\"datatype\":\"FP32\"}]}",
                   NULL, 0));
    const struct notes *n = s.r.notes;
    assert_true(n->binary && n->n_wanted == 1 && n->wanted[0].how == AS_JSON &&
                n->wanted[0].classes == 3 && str_is(n->id, "i"));
    assert_true(s.r.ask.deadline_ns > 0 && s.r.ask.n_want == 1);
    assert_int_equal(s.r.ask.priority, PRIORITY_HIGH);
    done();
}

static void test_many_binary_outputs(void **state) {
    (void)state;
    struct err e = {0};
    open_one(DT_F32);
    const char *names[] = {"y", "b", "c", "d", "e"};
    const int64_t dims[] = {1, 1};
    float v[5] = {1, 2, 3, 4, 5};
    assert_ok(take("{\"parameters\":{\"binary_data_output\":true},\"inputs\":[{\"name\":\"x\","
                   "\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[1,2]}]}",
                   NULL, 0));
    for (int i = 0; i < 5; i++)
        stand_output(&s, names[i], DT_F32, 2, dims, &v[i]);
    assert_ok(encode(&s.r, &s.e));
    const char *text = stand_answer(&s);
    size_t head = strtoul(stand_answer_header(&s, "Inference-Header-Content-Length"), NULL, 10);
    assert_int_equal(text[head - 1], '}');
    assert_memory_equal(text + head, v, sizeof v);
    assert_true(str_is(s.r.response.content_type, "application/octet-stream"));
    done();
}

static void test_bytes_out(void **state) {
    (void)state;
    struct err e = {0};
    open_one(DT_STRING);
    const struct str v[] = {LIT("ab"), LIT("")};
    assert_ok(take("{\"parameters\":{\"binary_data_output\":true},\"inputs\":[{\"name\":\"x\","
                   "\"shape\":[1,2],\"datatype\":\"BYTES\",\"data\":[\"a\",\"b\"]}]}",
                   NULL, 0));
    stand_output(&s, "y", DT_STRING, 2, (const int64_t[]){1, 2}, v);
    assert_ok(encode(&s.r, &s.e));
    const char *text = stand_answer(&s);
    size_t head = strtoul(stand_answer_header(&s, "Inference-Header-Content-Length"), NULL, 10);
    assert_memory_equal(text + head, "\2\0\0\0ab\0\0\0\0", 10);
    assert_non_null(strstr(text, "\"binary_data_size\":10"));
    done();
}

static void test_raw(void **state) {
    (void)state;
    struct err e = {0};
    const float v[] = {1, 2};
    inputs[0] = stand_io("x", DT_F32, STAND_DIMS(-1, -1));
    stand_open(&s, inputs, 1, outputs, 1);
    stand_ask(&s, v, sizeof v);
    stand_header(&s, "inference-header-content-length", "0");
    assert_ok(decode(&s.r, &s.e));
    assert_shape(s.r.ask.inputs[0].tensor, 1, 2);
    ask_end(&s.r.ask);
    inputs[0] = stand_io("x", DT_F32, STAND_DIMS(-1, -1, -1));
    stand_ask(&s, v, sizeof v);
    stand_header(&s, "inference-header-content-length", "0");
    assert_fails((e.code = ERR_INVALID, decode(&s.r, &e)), INVALID, "at most one free dim");
    done();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_place),  cmocka_unit_test(test_truths_are_made),
        cmocka_unit_test(test_wants),     cmocka_unit_test(test_many_binary_outputs),
        cmocka_unit_test(test_bytes_out), cmocka_unit_test(test_raw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
