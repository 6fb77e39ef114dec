/* SPDX-License-Identifier: Apache-2.0 */
/* A version once more: the same files, the same parts, another guise; nothing of one that does not
 * fit. Files that live as long as a call. */
#include "job/again.c"

#include "../format/make_onnx.h"
#include "../host/shelf.h"
#include "base/file.h"

#include <sys/stat.h>

static char sources[64];
static struct arena arena;

static const char GUISE[] =
    "{\"tensors\":[{\"name\":\"x\",\"wire\":[-1,3,1],\"model\":[-1,3]}],\"batch\":4}";

static int set_up(void **state) {
    snprintf(sources, sizeof sources, "%s/slipway-again-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    arena_init(&arena, 64 << 20);
    return shelf_open(state) || !mkdtemp(sources);
}

static int tear_down(void **state) {
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", sources);
    arena_deinit(&arena);
    return shelf_close(state) || system(command);
}

/* y = x + w; `outside`: w lies in data/w.bin beside the model. */
static void write_model(const char *path, bool outside) {
    struct buf b;
    buf_init(&b, 1 << 16);
    size_t g = make_model(&b, 8, 17);
    make_value(&b, G_IN, "x", 1, "n 3");
    if (outside) {
        size_t w = make_tensor(&b, G_INIT, "w", 1, "3");
        make_external(&b, "location", "data/w.bin");
        make_external(&b, "offset", "0");
        make_external(&b, "length", "12");
        pb_put_i64(&b, 14, 1); /* data_location: EXTERNAL */
        pb_put_end(&b, w);
    } else
        make_raw(&b, G_INIT, "w", 1, "3", (float[]){1, 2, 3}, 12);
    make_plain_node(&b, "Add", "x w", "y");
    make_value(&b, G_OUT, "y", 1, "n 3");
    pb_put_end(&b, g);
    assert_ok(file_publish(path, make_span(&b), 0600, &e));
    buf_deinit(&b);
}

static void add(const char *model, const char *path) {
    struct job_imported done;
    struct job_import j = {.path = path,
                           .model = str_of(model),
                           .origin = LIT("somewhere"),
                           .preprocess = {(const uint8_t *)"{}", 2},
                           .pad = LIT("")};
    assert_ok(job_import(store, &j, &done, &e));
}

static int left_over(void) { return shelf_holds(".arrival-"); }

static struct store_info look(const char *model, uint64_t version) {
    struct store_info is;
    const struct store_ref ref = {.model = str_of(model), .version = version};
    assert_ok(store_resolve(store, &ref, &arena, &is, &e));
    return is;
}

static void one_file(void **state) {
    (void)state;
    char path[128];
    uint64_t version;
    snprintf(path, sizeof path, "%s/net.onnx", sources);
    write_model(path, false);
    add("one", path);
    assert_ok(again_add(store, LIT("one"), 0, str_of(GUISE), &version, &e));
    assert_int_equal(version, 2);
    struct store_info first = look("one", 1), second = look("one", 2);
    assert_true(str_eq(first.digest, second.digest) && str_is(second.origin, "somewhere"));
    assert_int_equal(second.parent, 1);
    struct store_version *v;
    assert_ok(store_version_open(store, LIT("one"), 2, &v, &e));
    assert_true(str_is(store_version_file_name(v, 0), "net.onnx"));
    assert_true(str_is(text_of(part_of(v, GUISE_PART)), GUISE));
    assert_true(str_is(text_of(part_of(v, "preprocess")), "{}"));
    store_version_unref(v);
    /* said again, of the newest or by number: that version */
    assert_ok(again_add(store, LIT("one"), 0, str_of(GUISE), &version, &e));
    assert_int_equal(version, 2);
    assert_ok(again_add(store, LIT("one"), 1, (struct str){0}, &version, &e));
    assert_int_equal(version, 1);
    assert_int_equal(left_over(), 0);
}

static void several_files(void **state) {
    (void)state;
    char path[128];
    uint64_t version;
    snprintf(path, sizeof path, "%s/wide", sources);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/wide/data", sources);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/wide/data/w.bin", sources);
    assert_ok(file_publish(path, (struct span){(const uint8_t *)(float[]){1, 2, 3}, 12}, 0600, &e));
    snprintf(path, sizeof path, "%s/wide/net.onnx", sources);
    write_model(path, true);
    add("wide", path);
    assert_ok(again_add(store, LIT("wide"), 1, str_of(GUISE), &version, &e));
    assert_int_equal(version, 2);
    assert_true(str_eq(look("wide", 1).digest, look("wide", 2).digest));
    assert_int_equal(left_over(), 0);
}

static void what_does_not_fit(void **state) {
    (void)state;
    static const struct {
        const char *guise, *why;
    } cases[] = {
        {"{\"tensors\":[{\"name\":\"z\",\"wire\":[3],\"model\":[3]}]}", "no input 'z'"},
        {"{\"tensors\":[{\"name\":\"x\",\"wire\":[4],\"model\":[4]}]}", "the model has [-1,3]"},
        {"{\"tensors\":[{\"name\":\"y\",\"output\":true,\"wire\":[4],\"model\":[4]}]}",
         "the model has [-1,3]"},
        {"{\"x\":1}", "unexpected member"},
    };
    uint64_t version = 77;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_fails(again_add(store, LIT("one"), 0, str_of(cases[i].guise), &version, &e), INVALID,
                     cases[i].why);
        assert_null(strstr(e.text, ".arrival-"));
        assert_int_equal(look("one", 0).version, 2);
        assert_int_equal(left_over(), 0);
    }
    assert_fails(again_add(store, LIT("none"), 0, str_of(GUISE), &version, &e), NOT_FOUND, "none");
    assert_fails(again_add(store, LIT("one"), 9, str_of(GUISE), &version, &e), NOT_FOUND, "9");
}

/* A lodging goes with all that is in it, and with its name. */
static void lodgings(void **state) {
    (void)state;
    struct lodging l;
    static const struct {
        const char *name, *last;
    } names[] = {
        {"a/b/net.onnx", "net.onnx"}, {"net.onnx", "net.onnx"}, {"", "model"}, {"a/", "model"}};
    assert_ok(lodging_open(store, &l, &e));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        lodging_place(&l, str_of(names[i].name));
        assert_string_equal(l.path + strlen(l.folder) + 1, names[i].last);
    }
    char wide[400], path[LODGING_BYTES + 300];
    memset(wide, 'n', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    lodging_place(&l, str_of(wide));
    assert_true(strlen(l.path) < strlen(l.folder) + 200); /* a file may be called so */
    assert_ok(file_publish(l.path, (struct span){(const uint8_t *)"x", 1}, 0600, &e));
    snprintf(path, sizeof path, "%s/deep", l.folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(left_over(), 1);
    (void)err_set(&e, ERR_FORMAT, __FILE__, __LINE__, "%s: not a model", l.path);
    lodging_close(&l, ERR_FORMAT, &e);
    assert_int_equal(strncmp(e.text, "nnn", 3), 0);
    assert_int_equal(left_over(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_file),
        cmocka_unit_test(several_files),
        cmocka_unit_test(what_does_not_fit),
        cmocka_unit_test(lodgings),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
