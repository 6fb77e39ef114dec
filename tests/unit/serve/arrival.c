/* SPDX-License-Identifier: Apache-2.0 */
/* Models that arrive as bytes: plain files, TorchServe's archives, and archives that lie. Fetching:
 * tests/clients/test_torchserve.py. */
#include "serve/arrival.c"

#include "../format/make_onnx.h"
#include "../host/shelf.h"

#include <zlib.h>

enum { MOST_FILES = 4 };

static struct arena arena;

static void drop_buf(void *b) { buf_deinit(b); }

static int open_store(void **state) {
    arena_init(&arena, 64 << 20);
    return shelf_open(state);
}

static int close_store(void **state) {
    arena_deinit(&arena);
    return shelf_close(state);
}

/* Nothing that arrived is left lying about. */
static int left_over(void) { return shelf_holds(".arrival-"); }

/* --- archives, as zip -0 writes them --- */

struct file {
    const char *name;
    struct span bytes;
};

static void put16(struct buf *b, unsigned v) {
    const uint8_t bytes[] = {(uint8_t)v, (uint8_t)(v >> 8)};
    buf_put(b, bytes, sizeof bytes);
}

static void put32(struct buf *b, uint32_t v) {
    put16(b, v & 0xffff);
    put16(b, v >> 16);
}

/* What the local header and the directory have in common. */
static void put_facts(struct buf *b, const struct file *f) {
    put16(b, 20); /* version needed */
    put16(b, 0);  /* flags */
    put16(b, 0);  /* stored */
    put32(b, 0);  /* time and date */
    put32(b, (uint32_t)crc32(0, f->bytes.p, (uInt)f->bytes.n));
    put32(b, (uint32_t)f->bytes.n);
    put32(b, (uint32_t)f->bytes.n);
    put16(b, (unsigned)strlen(f->name));
    put16(b, 0); /* extra */
}

static struct span zip(const struct file *files, int n) {
    struct buf *b = ARENA_NEW(&arena, struct buf);
    uint32_t at[MOST_FILES];
    buf_init(b, 1 << 20);
    arena_defer(&arena, drop_buf, b);
    for (int i = 0; i < n; i++) {
        at[i] = (uint32_t)b->n;
        put32(b, 0x04034b50);
        put_facts(b, &files[i]);
        buf_put(b, files[i].name, strlen(files[i].name));
        buf_put(b, files[i].bytes.p, files[i].bytes.n);
    }
    uint32_t directory = (uint32_t)b->n;
    for (int i = 0; i < n; i++) {
        put32(b, 0x02014b50);
        put16(b, 20);
        put_facts(b, &files[i]);
        for (int k = 0; k < 3; k++)
            put16(b, 0); /* comment, disk, inner attributes */
        put32(b, 0);
        put32(b, at[i]);
        buf_put(b, files[i].name, strlen(files[i].name));
    }
    uint32_t bytes = (uint32_t)b->n - directory;
    put32(b, 0x06054b50);
    put32(b, 0);
    put16(b, (unsigned)n);
    put16(b, (unsigned)n);
    put32(b, bytes);
    put32(b, directory);
    put16(b, 0);
    return (struct span){(const uint8_t *)b->p, b->n};
}

/* y = x + w, x f32 [n, 3] */
static struct span onnx(void) {
    struct buf *b = ARENA_NEW(&arena, struct buf);
    buf_init(b, 1 << 16);
    arena_defer(&arena, drop_buf, b);
    size_t g = make_model(b, 8, 17);
    make_value(b, G_IN, "x", 1, "n 3");
    make_raw(b, G_INIT, "w", 1, "3", (float[]){1, 2, 3}, 12);
    make_plain_node(b, "Add", "x w", "y");
    make_value(b, G_OUT, "y", 1, "n 3");
    pb_put_end(b, g);
    return make_span(b);
}

static struct span text(const char *t) { return (struct span){(const uint8_t *)t, strlen(t)}; }

static struct span archive(const char *manifest, const char *labels) {
    const struct file files[] = {{"MAR-INF/MANIFEST.json", text(manifest)},
                                 {"net.onnx", onnx()},
                                 {"index_to_name.json", text(labels ? labels : "")}};
    return zip(files, labels ? 3 : 2);
}

static enum code arrive(struct arrival *a, const char *model, struct span bytes) {
    *a = (struct arrival){.model = str_of(model), .bytes = bytes, .origin = LIT("net.onnx")};
    enum code code = arrival_add(store, a, &arena, &e);
    assert_int_equal(left_over(), 0);
    return code;
}

#define MANIFEST(members) "{\"runtime\": \"python\", \"model\": {" members "}, \"x\": [1]}"

static void test_bytes(void **state) {
    (void)state;
    struct arrival a;
    assert_ok(arrive(&a, "plain", onnx()));
    assert_int_equal(a.version, 1);
    assert_int_equal(strlen(a.digest), SHA256_HEX);
    assert_fails(arrive(&a, "plain", text("not a model")), FORMAT, "");
    assert_null(strstr(e.text, ".arrival-")); /* a folder of ours says nothing to the sender */
    assert_fails(arrive(&a, "plain", (struct span){0}), FORMAT, "");
    assert_fails(arrive(&a, "../x", onnx()), INVALID, "");
}

static void test_archives(void **state) {
    (void)state;
    struct arrival a;
    assert_ok(arrive(&a, "",
                     archive(MANIFEST("\"modelName\": \"net\", \"handler\": "
                                      "\"base_handler\", \"serializedFile\": \"net.onnx\""),
                             NULL)));
    assert_str(a.model, "net"); /* the manifest's name */
    assert_true(a.version == 1 && a.preprocess.n == 0);
    assert_ok(arrive(&a, "other",
                     archive(MANIFEST("\"modelName\": \"net\", \"serializedFile\": \"net.onnx\""),
                             "{\"0\": \"cat\", \"1\": [\"n01\", \"dog\"], \"2\": \"eel\"}")));
    assert_str(a.model, "other");
    const struct str recipe = {(const char *)a.preprocess.p, a.preprocess.n};
    size_t at;
    assert_true(str_find(recipe, 'e', &at)); /* labels became part of it */
    assert_non_null(memmem(recipe.p, recipe.n, "\"eel\"", 5));
}

/* The handler's recipe goes with the model; the model here takes no image, so it is not added. */
static void test_handlers(void **state) {
    (void)state;
    struct archive a = {.handler = LIT("image_classifier")};
    struct spec spec;
    assert_ok(handler_spec(&a, &spec, &e));
    assert_str(spec.input, "image:224x224,imagenet");
    a.handler = LIT("object_detector");
    assert_ok(handler_spec(&a, &spec, &e));
    assert_str(spec.output, "boxes:yolov8,score=0.5");
    a.handler = LIT("my_handler.py");
    assert_fails(handler_spec(&a, &spec, &e), UNSUPPORTED, "is Python and cannot be run");
    a.handler = LIT("text_classifier");
    assert_fails(handler_spec(&a, &spec, &e), UNSUPPORTED, "'text_classifier' is not supported");
}

static void test_archives_that_lie(void **state) {
    (void)state;
    struct arrival a;
    const struct file bare = {"net.onnx", onnx()};
    assert_fails(arrive(&a, "z", zip(&bare, 1)), FORMAT, "no 'MAR-INF/MANIFEST.json'");
    assert_fails(arrive(&a, "z", archive(MANIFEST("\"modelName\": \"z\""), NULL)), UNSUPPORTED,
                 "no \"serializedFile\"");
    assert_fails(arrive(&a, "z", archive(MANIFEST("\"serializedFile\": \"gone.onnx\""), NULL)),
                 FORMAT, "no 'gone.onnx'");
    assert_fails(arrive(&a, "z", archive(MANIFEST("\"serializedFile\": 7"), NULL)), UNSUPPORTED,
                 "no \"serializedFile\"");
    assert_fails(arrive(&a, "z", archive("{\"model\": {", NULL)), INVALID, "");
    assert_fails(arrive(&a, "z", archive("[]", NULL)), INVALID, "");
    const struct file up[] = {
        {"MAR-INF/MANIFEST.json", text(MANIFEST("\"serializedFile\": \"../../net.onnx\""))},
        {"../../net.onnx", onnx()}};
    assert_fails(arrive(&a, "z", zip(up, 2)), DENIED, "would leave its folder");
    struct span whole = archive(MANIFEST("\"serializedFile\": \"net.onnx\""), NULL);
    for (size_t n = 4; n < whole.n; n += 97) /* cut anywhere */
        assert_true(arrive(&a, "z", (struct span){whole.p, n}) != OK);
}

static void test_addresses(void **state) {
    (void)state;
    assert_str(without_query(LIT("https://h/m.onnx?token=1#x")), "https://h/m.onnx");
    assert_str(without_query(LIT("https://h/m.onnx#x?y")), "https://h/m.onnx");
    assert_str(without_query(LIT("https://h/m.onnx")), "https://h/m.onnx");
    struct arrival a = {
        .model = LIT("u"), .url = LIT("http://127.0.0.1:1/m.onnx"), .most_bytes = 1};
    assert_fails(arrival_add(store, &a, &arena, &e), DENIED, ""); /* no host is on the list */
    assert_int_equal(left_over(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),     cmocka_unit_test(test_archives),
        cmocka_unit_test(test_handlers),  cmocka_unit_test(test_archives_that_lie),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, open_store, close_store);
}
