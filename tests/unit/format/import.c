/* SPDX-License-Identifier: Apache-2.0 */
#include "format/import.c"

#include "make_onnx.h"

#include <ftw.h>

static struct err e;
static struct buf b;
static struct import i;
static char folder[64];

static int fresh(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/slipway-import-XXXXXX",
             tmp && strlen(tmp) < 32 ? tmp : "/tmp");
    buf_init(&b, 1 << 20);
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *walk) {
    (void)st, (void)flag, (void)walk;
    return remove(path);
}

static int drop(void **state) {
    (void)state;
    buf_deinit(&b);
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *path_of(const char *name) {
    static char paths[4][200];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, 200, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *bytes, size_t n) {
    FILE *f = fopen(path_of(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* b into a file; b is empty afterwards. */
static void write_model(const char *name) {
    struct span s = make_span(&b);
    write_file(name, s.p, s.n);
    buf_clear(&b);
}

static enum code open_it(const char *name, bool in_process) {
    struct format_limits l = {.in_process = in_process};
    return import_open(path_of(name), &l, &i, &e);
}

#define REFUSED(name, NAME, part)                                                                  \
    do {                                                                                           \
        assert_fails(open_it(name, true), NAME, part);                                             \
        assert_fails(open_it(name, false), NAME, part);                                            \
    } while (0)

static void a_model_is_ready_to_use(void **state) {
    (void)state;
    make_small_model(&b);
    write_model("m.onnx");
    for (int in_process = 0; in_process < 2; in_process++) {
        assert_ok(open_it("m.onnx", in_process));
        assert_string_equal(i.format->name, "onnx");
        assert_str(i.files[0].name, "m.onnx");
        assert_string_equal(i.files[0].path, path_of("m.onnx"));
        assert_ptr_equal(i.model->arena, &i.arena);
        assert_int_equal(i.model->files[0].size, i.files[0].bytes.n);
        const struct node *n = &i.model->main->nodes[0];
        assert_ptr_equal(n->op, op_find(LIT("add")));
        const struct value *w = &i.model->main->values[n->in[1]];
        assert_memory_equal(w->constant->data, ((float[]){1, 2, 3}), 12);
        assert_memory_equal(i.files[0].bytes.p + w->origin.offset, w->constant->data, 12);
        import_close(&i);
        import_close(&i); /* harmless */
    }
}

static void folders_hold_one_model(void **state) {
    (void)state;
    write_file("readme.txt", "no model", 8);
    REFUSED("", NOT_FOUND, "no file in");
    make_small_model(&b);
    write_model("m.bin"); /* by its bytes, not its name */
    assert_ok(open_it("", true));
    assert_str(i.files[0].name, "m.bin");
    import_close(&i);
    make_small_model(&b);
    write_model(".hidden.onnx");
    assert_ok(open_it("", false));
    import_close(&i);
    make_small_model(&b);
    write_model("m2.onnx");
    REFUSED("", INVALID, "has several model files");
}

static void what_is_no_model(void **state) {
    (void)state;
    REFUSED("absent.onnx", NOT_FOUND, "absent.onnx");
    write_file("empty.onnx", "", 0);
    REFUSED("empty.onnx", FORMAT, "empty.onnx' is empty");
    write_file("text.onnx", "hello world", 11);
    REFUSED("text.onnx", FORMAT, "is no model this build can read (gguf huggingface onnx)");
    assert_int_equal(mkfifo(path_of("fifo.onnx"), 0600), 0);
    REFUSED("fifo.onnx", INVALID, "regular file");
    char name[5000];
    memset(name, 'x', sizeof name);
    name[4999] = '\0';
    assert_fails(import_open(name, &(struct format_limits){0}, &i, &e), INVALID, "too long");
}

static void errors_name_the_file_and_are_one_line(void **state) {
    (void)state;
    size_t g = make_model(&b, 8, 17);
    make_plain_node(&b, "Abs", "no\nwhere\x1b[31m", "y");
    pb_put_end(&b, g);
    write_model("bad.onnx");
    REFUSED("bad.onnx", FORMAT,
            "'bad.onnx': the node of 'y' (Abs): input 'no?where?[31m' is made by nothing");
    make_small_model(&b);
    b.n -= 10;
    write_model("cut.onnx");
    REFUSED("cut.onnx", FORMAT, "'cut.onnx': protobuf: field of");
}

static void memory_of_the_import_is_limited(void **state) {
    (void)state;
    size_t g = make_model(&b, 8, 17);
    for (int k = 0; k < 2000; k++)
        make_plain_node(&b, "Constant", "", "");
    pb_put_end(&b, g);
    g = make_model(&b, 8, 17);
    make_value(&b, G_IN, "x", 1, "");
    for (int k = 0; k < 5000; k++)
        make_plain_node(&b, "Abs", "x", "-");
    pb_put_end(&b, g);
    write_model("many.onnx");
    struct format_limits l = {.memory_bytes = 1 << 20};
    assert_fails(import_open(path_of("many.onnx"), &l, &i, &e), LIMIT,
                 "'many.onnx': nodes of a graph");
    assert_fails(import_open(path_of("many.onnx"), &l, &i, &e), LIMIT, "limit of 1048576 bytes");
    assert_ok(open_it("many.onnx", false));
    import_close(&i);
}

/* --- external data --- */

static void put_external(const char *location, const char *offset) {
    size_t g = make_model(&b, 8, 17), t = make_tensor(&b, G_INIT, "w", 1, "3");
    pb_put_i64(&b, 14, 1);
    make_external(&b, "location", location);
    make_external(&b, "offset", offset);
    pb_put_end(&b, t);
    make_value(&b, G_OUT, "w", 1, "3");
    pb_put_end(&b, g);
    write_model("m.onnx");
}

static void external_data_is_mapped(void **state) {
    (void)state;
    uint8_t bytes[64];
    for (int k = 0; k < 64; k++)
        bytes[k] = (uint8_t)k;
    assert_int_equal(mkdir(path_of("sub"), 0700), 0);
    write_file("sub/w.bin", bytes, sizeof bytes);
    put_external("sub/w.bin", "16");
    assert_ok(open_it("m.onnx", false));
    assert_int_equal(i.n_files, 2);
    assert_str(i.files[1].name, "sub/w.bin");
    assert_string_equal(i.files[1].path, path_of("sub/w.bin"));
    const struct value *w = &i.model->main->values[i.model->main->outputs[0]];
    assert_ptr_equal(w->constant->data, i.files[1].bytes.p + 16);
    assert_int_equal(i.model->files[1].size, 64);
    import_close(&i);
    put_external("sub/w.bin", "52"); /* the last twelve */
    assert_ok(open_it("m.onnx", false));
    import_close(&i);
    put_external("sub/w.bin", "51"); /* not aligned: copied */
    assert_ok(open_it("m.onnx", false));
    w = &i.model->main->values[i.model->main->outputs[0]];
    assert_memory_equal(w->constant->data, bytes + 51, 12);
    import_close(&i);
    put_external("sub/w.bin", "53");
    REFUSED("m.onnx", FORMAT,
            "'sub/w.bin' is too short: a constant takes 12 bytes at 53, it has 64");
    put_external("sub/w.bin", "18446744073709551610");
    REFUSED("m.onnx", FORMAT, "is too short");
}

/* Larger than any protobuf file can be; a file of holes takes no room. */
static void external_data_may_be_huge(void **state) {
    (void)state;
    write_file("w.bin", "", 0);
    int fd = open(path_of("w.bin"), O_WRONLY);
    assert_int_equal(pwrite(fd, (float[]){1, 2, 3}, 12, (off_t)3 << 30), 12);
    close(fd);
    put_external("w.bin", "3221225472");
    assert_ok(open_it("m.onnx", false));
    const struct value *w = &i.model->main->values[i.model->main->outputs[0]];
    assert_true(tensor_f64(w->constant, 2) == 3);
    import_close(&i);
}

static void external_data_stays_in_the_folder(void **state) {
    (void)state;
    write_file("w.bin", "123456789012", 12);
    put_external("absent.bin", "0");
    REFUSED("m.onnx", NOT_FOUND, "external data 'absent.bin' beside the model");
    put_external("../w.bin", "0");
    REFUSED("m.onnx", FORMAT, "tensor 'w': external data in '../w.bin'");
    assert_int_equal(symlink("w.bin", path_of("inside")), 0);
    put_external("inside", "0");
    assert_ok(open_it("m.onnx", false));
    import_close(&i);
    assert_int_equal(symlink("/etc/passwd", path_of("absolute")), 0);
    put_external("absolute", "0");
    REFUSED("m.onnx", FORMAT, "external data 'absolute' lies outside the model's folder");
    assert_int_equal(symlink("../../etc/passwd", path_of("upward")), 0);
    put_external("upward", "0");
    REFUSED("m.onnx", FORMAT, "external data 'upward' lies outside the model's folder");
    assert_int_equal(symlink("/etc", path_of("etc")), 0);
    put_external("etc/passwd", "0");
    REFUSED("m.onnx", FORMAT, "external data 'etc/passwd' lies outside the model's folder");
    assert_int_equal(symlink("loop", path_of("loop")), 0);
    put_external("loop", "0");
    REFUSED("m.onnx", FORMAT, "external data 'loop' lies outside the model's folder");
    assert_int_equal(mkdir(path_of("dir"), 0700), 0);
    put_external("dir", "0");
    REFUSED("m.onnx", INVALID, "'dir' is not a regular file");
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    put_external("fifo", "0");
    REFUSED("m.onnx", INVALID, "'fifo' is not a regular file");
}

/* The way of kernels without openat2 is stricter, never laxer. */
static void by_parts_no_link_is_followed(void **state) {
    (void)state;
    assert_int_equal(mkdir(path_of("sub"), 0700), 0);
    write_file("sub/w.bin", "x", 1);
    assert_int_equal(symlink("sub", path_of("link")), 0);
    assert_int_equal(symlink("sub/w.bin", path_of("file")), 0);
    int dir = open(folder, O_PATH | O_DIRECTORY);
    int fd = open_by_parts(dir, "sub/w.bin");
    assert_true(fd >= 0);
    close(fd);
    const char *bad[] = {"link/w.bin", "file", "sub/../sub/w.bin", "/etc/passwd",
                         "..",         "",     "sub//w.bin",       "sub/"};
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++)
        assert_int_equal(open_by_parts(dir, bad[k]), -1);
    close(dir);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, fresh, drop)
    const struct CMUnitTest tests[] = {
        T(a_model_is_ready_to_use),
        T(folders_hold_one_model),
        T(what_is_no_model),
        T(errors_name_the_file_and_are_one_line),
        T(memory_of_the_import_is_limited),
        T(external_data_is_mapped),
        T(external_data_may_be_huge),
        T(external_data_stays_in_the_folder),
        T(by_parts_no_link_is_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
