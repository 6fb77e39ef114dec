/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/wire.c"

#include "make_graph.h"

static struct err e;

static uint8_t file[64] __attribute__((aligned(64)));

static enum code from_file(void *ctx, int number, uint64_t offset, uint64_t length,
                           struct span *out, struct err *err) {
    (void)ctx;
    if (number != 0 || offset > sizeof file || length > sizeof file - offset)
        return err_set(err, ERR_FORMAT, __FILE__, __LINE__, "beyond the end");
    *out = (struct span){file + offset, (size_t)length};
    return OK;
}

/* One of everything. */
static struct model *rich_model(struct arena *a) {
    static struct model_file files[] = {{.name = LIT("m.onnx"), .size = 64}};
    static struct model_meta meta[] = {{LIT("author"), LIT("nobody")}};
    static int64_t ints[] = {INT64_MIN, -1, 0, INT64_MAX};
    static struct str strs[] = {LIT("a"), {NULL, 0}, LIT("ccc")},
                      modes[] = {LIT("b"), LIT("bb"), LIT("bb"), LIT("")};
    static float floats[] = {0.1f, -1e30f};
    static int8_t tiny[] = {-8, 7, 1};
    struct model *m = make_model(a);
    struct graph *g = m->main;
    m->files = files;
    m->n_files = 1;
    m->meta = meta;
    m->n_meta = 1;
    m->producer = LIT("wire.c");
    m->ir_version = 8;
    struct value *x = &g->values[0];
    x->dtype = DT_F32;
    x->ranked = true;
    x->shape = (struct shape){.rank = 2, .dims = {-1, 3}};
    x->dim_names[0] = LIT("batch");
    struct tensor *t = ARENA_ARRAY(a, 2, struct tensor);
    t[0] = (struct tensor){.dtype = DT_STRING, .shape = {.rank = 1, .dims = {3}}, .data = strs};
    t[1] = (struct tensor){.dtype = DT_I64, .shape = {.rank = 2, .dims = {2, 2}}, .data = ints};
    struct graph **graphs = ARENA_ARRAY(a, 1, struct graph *);
    graphs[0] = graph_new(m, g);
    struct attr kinds[] = {
        {.name = LIT("i"), .kind = ATTR_INT, .i = INT64_MIN},
        {.name = LIT("f"), .kind = ATTR_FLOAT, .f = 0.1f},
        {.name = LIT("s"), .kind = ATTR_STR, .s = LIT("text")},
        {.name = LIT("is"), .kind = ATTR_INTS, .n = 4, .ints = ints},
        {.name = LIT("fs"), .kind = ATTR_FLOATS, .n = 2, .floats = floats},
        {.name = LIT("ss"), .kind = ATTR_STRS, .n = 3, .strs = strs},
        {.name = LIT("modes"), .kind = ATTR_STRS, .n = 4, .strs = modes},
        {.name = LIT("t"), .kind = ATTR_TENSOR, .tensor = &t[1]},
        {.name = LIT("ts"), .kind = ATTR_TENSORS, .n = 2, .tensors = t},
        {.name = LIT("gs"), .kind = ATTR_GRAPHS, .n = 1, .graphs = graphs},
        {.name = LIT("none"), .kind = ATTR_NONE},
    };
    enum { N = sizeof kinds / sizeof kinds[0] };
    struct node *n = &g->nodes[0];
    n->n_attrs = N;
    n->attrs = ARENA_ARRAY(a, N, struct attr);
    for (int i = 0; i < N; i++)
        kinds[i].origin.file = -1;
    memcpy(n->attrs, kinds, sizeof kinds);
    n->n_post = 1;
    n->post[0] = (struct post){.kind = POST_CLIP, .alpha = -1, .beta = 6, .input = -1};
    make_constant(g, "text", DT_STRING, 3, strs);
    make_constant(g, "tiny", DT_I4, 3, tiny);
    make_constant(g, "none", DT_F32, 0, NULL);
    g->values[make_constant(g, "mapped", DT_F32, 4, file)].origin = (struct origin){0, 16, 16};
    g->values[make_constant(g, "odd", DT_F32, 4, file)].origin = (struct origin){0, 33, 16};
    g->values[make_constant(g, "bits", DT_U4, 5, file)].origin = (struct origin){0, 8, 3};
    g->values[make_constant(g, "bools", DT_BOOL, 2, file)].origin = (struct origin){0, 62, 2};
    return m;
}

static void what_is_put_is_taken(void **state) {
    (void)state;
    struct arena a, b;
    struct buf first, second;
    struct model *back;
    arena_init(&a, 1 << 20);
    arena_init(&b, 1 << 20);
    buf_init(&first, 1 << 20);
    buf_init(&second, 1 << 20);
    for (size_t i = 0; i < sizeof file; i++)
        file[i] = (uint8_t)(i * 37);
    file[62] = 2;
    file[63] = 0;
    struct model *m = rich_model(&a);
    assert_ok(graph_verify(m, &e));
    assert_ok(wire_put(m, &first, &e));
    struct span bytes = {(const uint8_t *)first.p, first.n};
    assert_ok(wire_take(bytes, &b, from_file, NULL, &back, &e));
    assert_ok(graph_verify(back, &e));
    assert_ok(wire_put(back, &second, &e));
    assert_int_equal(first.n, second.n);
    assert_memory_equal(first.p, second.p, first.n);

    const struct graph *g = back->main;
    assert_str(back->producer, "wire.c");
    assert_str(g->values[0].dim_names[0], "batch");
    assert_int_equal(g->nodes[0].attrs[3].ints[0], INT64_MIN);
    assert_str(g->nodes[0].attrs[5].strs[2], "ccc");
    const struct str *modes = g->nodes[0].attrs[6].strs;
    assert_str(modes[0], "b");
    assert_str(modes[1], "bb");
    assert_ptr_equal(modes[1].p, modes[2].p);
    assert_int_equal(modes[3].n, 0);
    assert_true(g->nodes[0].post[0].beta == 6);
    const struct tensor *mapped = g->values[graph_find(g, LIT("mapped"))].constant;
    assert_ptr_equal(mapped->data, file + 16); /* in place */
    const struct tensor *odd = g->values[graph_find(g, LIT("odd"))].constant;
    assert_int_equal((uintptr_t)odd->data % 64, 0); /* copied: it could not be read where it was */
    assert_memory_equal(odd->data, file + 33, 16);
    const struct tensor *tiny = g->values[graph_find(g, LIT("tiny"))].constant;
    assert_memory_equal(tiny->data, ((int8_t[]){-8, 7, 1}), 3);
    const struct tensor *bits = g->values[graph_find(g, LIT("bits"))].constant;
    assert_int_equal(((uint8_t *)bits->data)[0], file[8] & 15);
    assert_int_equal(((uint8_t *)bits->data)[4], file[10] & 15);
    const struct tensor *bools = g->values[graph_find(g, LIT("bools"))].constant;
    assert_memory_equal(bools->data, "\1\0", 2);
    struct model_file *files = NULL;
    int n;
    assert_ok(wire_take_files(bytes, &b, &files, &n, &e));
    assert_int_equal(n, 1);
    assert_str(files[0].name, "m.onnx");
    buf_deinit(&first);
    buf_deinit(&second);
    arena_deinit(&a);
    arena_deinit(&b);
}

/* Cut anywhere, or with any one byte changed: an error, or a model that verifies or is refused;
 * never a crash. */
static void broken_bytes_are_refused(void **state) {
    (void)state;
    struct arena a, b;
    struct buf wire;
    struct model *back;
    arena_init(&a, 1 << 20);
    buf_init(&wire, 1 << 20);
    assert_ok(wire_put(rich_model(&a), &wire, &e));
    for (size_t n = 0; n < wire.n; n++) {
        arena_init(&b, 1 << 20);
        uint8_t *copy = mem_alloc(n); /* exact, so that a read behind it is seen */
        memcpy(copy, wire.p, n);
        assert_int_not_equal(wire_take((struct span){copy, n}, &b, from_file, NULL, &back, &e), OK);
        mem_free(copy);
        arena_deinit(&b);
    }
    int taken = 0;
    for (size_t at = 0; at < wire.n * 8; at++) {
        arena_init(&b, 1 << 20);
        wire.p[at / 8] ^= (char)(1 << at % 8);
        struct span bytes = {(const uint8_t *)wire.p, wire.n};
        if (wire_take(bytes, &b, from_file, NULL, &back, &e) == OK)
            taken += graph_verify(back, &e) == OK;
        wire.p[at / 8] ^= (char)(1 << at % 8);
        arena_deinit(&b);
    }
    assert_true(taken > 0 && (size_t)taken < wire.n * 8); /* names and data may change */
    buf_deinit(&wire);
    arena_deinit(&a);
}

static void versions_and_limits(void **state) {
    (void)state;
    struct arena a, b;
    struct buf wire;
    struct model *back;
    arena_init(&a, 1 << 20);
    buf_init(&wire, 1 << 20);
    assert_ok(wire_put(rich_model(&a), &wire, &e));
    struct span bytes = {(const uint8_t *)wire.p, wire.n};
    wire.p[4]++;
    arena_init(&b, 1 << 20);
    assert_fails(wire_take(bytes, &b, from_file, NULL, &back, &e), UNSUPPORTED, "version 2");
    wire.p[4]--;
    wire.p[0]++;
    assert_fails(wire_take(bytes, &b, from_file, NULL, &back, &e), FORMAT, "not a model");
    wire.p[0]--;
    arena_deinit(&b);
    size_t smallest = 0;
    for (size_t cap = 0; !smallest && cap < 1 << 20; cap += 128) {
        arena_init(&b, cap);
        enum code code = wire_take(bytes, &b, from_file, NULL, &back, &e);
        assert_true(code == OK || code == ERR_LIMIT);
        smallest = code == OK ? cap : 0;
        arena_deinit(&b);
    }
    assert_true(smallest > 0);
    struct buf tight;
    buf_init(&tight, wire.n - 1);
    assert_fails(wire_put(rich_model(&a), &tight, &e), TOO_LARGE, "wire");
    buf_deinit(&tight);
    buf_deinit(&wire);
    arena_deinit(&a);
}

static void depth_is_capped(void **state) {
    (void)state;
    struct arena a, b;
    struct buf wire;
    struct model *back;
    arena_init(&a, 1 << 20);
    arena_init(&b, 1 << 20);
    buf_init(&wire, 1 << 20);
    struct model *m = make_model(&a);
    struct graph *g = m->main;
    for (int depth = 0; depth <= DEPTH_MAX; depth++)
        g = make_subgraph(g, "if", "nested");
    assert_ok(wire_put(m, &wire, &e));
    struct span bytes = {(const uint8_t *)wire.p, wire.n};
    assert_fails(wire_take(bytes, &b, from_file, NULL, &back, &e), FORMAT, "broken at byte");
    buf_deinit(&wire);
    arena_deinit(&a);
    arena_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_taken),
        cmocka_unit_test(broken_bytes_are_refused),
        cmocka_unit_test(versions_and_limits),
        cmocka_unit_test(depth_is_capped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
