/* SPDX-License-Identifier: Apache-2.0 */
/* Importing under failing calls: each allocation, open, read and mmap in turn. The import either
 * succeeds or gives one clear error; nothing stays open, mapped or allocated. */
#include "../unit/format/make_onnx.h"
#include "fault_loop.h"

#include "format/format.h"

#include <stdlib.h>
#include <unistd.h>

static char folder[64], model[100], data[100];

/* Inline and external data, typed data, a subgraph, a function, attributes: most of the reader's
 * allocations. */
static void put_model(struct buf *b) {
    size_t g = make_model(b, 8, 17), n, a, t;
    make_value(b, G_IN, "x", 1, "n 3");
    make_value(b, G_IN, "c", 9, "");
    make_raw(b, G_INIT, "w", 1, "3", (float[]){1, 2, 3}, 12);
    t = make_tensor(b, G_INIT, "i", 7, "2");
    pb_put_i64(b, 7, 1);
    pb_put_i64(b, 7, 2);
    pb_put_end(b, t);
    t = make_tensor(b, G_INIT, "far", 1, "3");
    pb_put_i64(b, 14, 1);
    make_external(b, "location", "w.bin");
    pb_put_end(b, t);
    n = make_node(b, G_NODE, "If", "c", "y");
    for (int branch = 0; branch < 2; branch++) {
        a = make_attr(b, 5, branch ? "else_branch" : "then_branch", 5);
        size_t sub = pb_put_begin(b, 6);
        pb_put_end(b, make_node(b, G_NODE, "Add", "x w", "s"));
        make_value(b, G_OUT, "s", 1, NULL);
        pb_put_end(b, sub);
        pb_put_end(b, a);
    }
    pb_put_end(b, n);
    n = make_node(b, G_NODE, "Twice", "y", "z");
    make_text(b, 7, "f");
    pb_put_end(b, n);
    n = make_node(b, G_NODE, "Transpose", "z", "out");
    a = make_attr(b, 5, "perm", 7);
    pb_put_i64(b, 8, 0);
    pb_put_i64(b, 8, 1);
    pb_put_end(b, a);
    pb_put_end(b, n);
    make_value(b, G_OUT, "out", 1, NULL);
    make_value(b, G_OUT, "far", 1, NULL);
    pb_put_end(b, g);
    size_t f = pb_put_begin(b, M_FUNCTION);
    make_text(b, F_NAME, "Twice");
    make_text(b, F_DOMAIN, "f");
    make_text(b, F_IN, "v");
    make_text(b, F_OUT, "r");
    make_opset(b, F_OPSET, "", 17);
    pb_put_end(b, make_node(b, F_NODE, "Add", "v v", "r"));
    pb_put_end(b, f);
}

static void write_file(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static int setup(void **state) {
    (void)state;
    struct buf b;
    snprintf(folder, sizeof folder, "/tmp/slipway-fault-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(model, sizeof model, "%s/m.onnx", folder);
    snprintf(data, sizeof data, "%s/w.bin", folder);
    buf_init(&b, 1 << 16);
    put_model(&b);
    write_file(model, b.p, b.n);
    write_file(data, "123456789012", 12);
    buf_deinit(&b);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unlink(model);
    unlink(data);
    return rmdir(folder);
}

static void one_clear_error_or_a_model(bool in_process) {
    struct format_limits l = {.in_process = in_process};
    FAULT_LOOP(f) {
        struct err e = {0};
        struct import i;
        enum code code = ERR_INTERNAL;
        FAULT_BODY(f) { code = import_open(model, &l, &i, &e); }
        if (code == OK) {
            assert_int_equal(graph_total_nodes(i.model->main), 5);
            import_close(&i);
        } else {
            assert_int_equal(code, e.code);
            assert_true(code == ERR_NOMEM || code == ERR_IO || code == ERR_LIMIT ||
                        code == ERR_DENIED || code == ERR_TOO_LARGE);
            assert_true(strlen(e.text) > 10);
        }
    }
}

static void in_this_process(void **state) {
    (void)state;
    one_clear_error_or_a_model(true);
}

/* The child inherits the armed counter: its own calls fail, too. */
static void in_the_sandbox(void **state) {
    (void)state;
    one_clear_error_or_a_model(false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_this_process, setup, teardown),
        cmocka_unit_test_setup_teardown(in_the_sandbox, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
