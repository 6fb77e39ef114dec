/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX bytes for tests, written field by field: what a test says is what the file holds, mistakes
 * included. */
#pragma once

#include "base/pb.h"
#include "format/format.h"
#include "graph/model.h"

#include "../base/check.h"

/* Field numbers of GraphProto, ModelProto and FunctionProto. */
enum { G_NODE = 1, G_NAME = 2, G_INIT = 5, G_IN = 11, G_OUT = 12, G_INFO = 13, G_SPARSE = 15 };
enum { M_IR = 1, M_GRAPH = 7, M_OPSET = 8, M_META = 14, M_FUNCTION = 25 };
enum { F_NAME = 1, F_IN = 4, F_OUT = 5, F_NODE = 7, F_OPSET = 9, F_DOMAIN = 10, F_ATTR = 11 };

static inline void make_text(struct buf *b, uint32_t field, const char *text) {
    pb_put_str(b, field, str_of(text));
}

static inline void make_opset(struct buf *b, uint32_t field, const char *domain, int64_t version) {
    size_t m = pb_put_begin(b, field);
    make_text(b, 1, domain);
    pb_put_i64(b, 2, version);
    pb_put_end(b, m);
}

/* ir_version, opset_import; the graph follows between begin and end. */
static inline size_t make_model(struct buf *b, int64_t ir, int64_t opset) {
    pb_put_i64(b, M_IR, ir);
    make_opset(b, M_OPSET, "", opset);
    return pb_put_begin(b, M_GRAPH);
}

/* ValueInfoProto of a tensor; dims: "2 n 3", "" for a scalar, NULL for no shape; elem 0: no type.
 */
static inline void make_value(struct buf *b, uint32_t field, const char *name, int64_t elem,
                              const char *dims) {
    size_t value = pb_put_begin(b, field);
    make_text(b, 1, name);
    size_t type = pb_put_begin(b, 2), tensor = pb_put_begin(b, 1);
    if (elem)
        pb_put_i64(b, 1, elem);
    size_t shape = dims ? pb_put_begin(b, 2) : 0;
    for (const char *p = dims; p && *p;) {
        size_t n = strcspn(p, " "), dim = pb_put_begin(b, 1);
        struct str word = {p, n};
        int64_t v;
        if (str_to_i64(word, &v))
            pb_put_i64(b, 1, v);
        else
            pb_put_str(b, 2, word);
        pb_put_end(b, dim);
        p += n + (p[n] == ' ');
    }
    if (dims)
        pb_put_end(b, shape);
    pb_put_end(b, tensor);
    pb_put_end(b, type);
    pb_put_end(b, value);
}

/* Begins a node: inputs and outputs separated by spaces, "-" for an absent one. */
static inline void make_names(struct buf *b, uint32_t field, const char *names) {
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, " ");
        struct str word = {p, n};
        pb_put_str(b, field, str_is(word, "-") ? (struct str){0} : word);
        p += n + (p[n] == ' ');
    }
}

static inline size_t make_node(struct buf *b, uint32_t field, const char *op, const char *in,
                               const char *out) {
    size_t m = pb_put_begin(b, field);
    make_names(b, 1, in);
    make_names(b, 2, out);
    make_text(b, 4, op);
    return m;
}

static inline void make_plain_node(struct buf *b, const char *op, const char *in, const char *out) {
    pb_put_end(b, make_node(b, G_NODE, op, in, out));
}

/* AttributeProto begun: its value and pb_put_end follow. type as in AttributeType. */
static inline size_t make_attr(struct buf *b, uint32_t field, const char *name, int64_t type) {
    size_t m = pb_put_begin(b, field);
    make_text(b, 1, name);
    if (type)
        pb_put_i64(b, 20, type);
    return m;
}

static inline void make_int_attr(struct buf *b, uint32_t field, const char *name, int64_t v) {
    size_t m = make_attr(b, field, name, 2);
    pb_put_i64(b, 3, v);
    pb_put_end(b, m);
}

static inline void make_ref_attr(struct buf *b, const char *name, const char *ref, int64_t type) {
    size_t m = make_attr(b, 5, name, type);
    make_text(b, 21, ref);
    pb_put_end(b, m);
}

/* TensorProto begun: dims "2 3", data follows. */
static inline size_t make_tensor(struct buf *b, uint32_t field, const char *name, int64_t elem,
                                 const char *dims) {
    size_t m = pb_put_begin(b, field);
    for (const char *p = dims; *p;) {
        size_t n = strcspn(p, " ");
        int64_t v = 0;
        assert_true(str_to_i64((struct str){p, n}, &v));
        pb_put_i64(b, 1, v);
        p += n + (p[n] == ' ');
    }
    pb_put_i64(b, 2, elem);
    make_text(b, 8, name);
    return m;
}

static inline void make_raw(struct buf *b, uint32_t field, const char *name, int64_t elem,
                            const char *dims, const void *data, size_t n) {
    size_t m = make_tensor(b, field, name, elem, dims);
    pb_put_bytes(b, 9, data, n);
    pb_put_end(b, m);
}

static inline void make_external(struct buf *b, const char *key, const char *value) {
    size_t m = pb_put_begin(b, 13);
    make_text(b, 1, key);
    make_text(b, 2, value);
    pb_put_end(b, m);
}

/* x (f32 n) + w (f32 3) -> y; the smallest complete model. */
static inline void make_small_model(struct buf *b) {
    static const float w[3] = {1, 2, 3};
    size_t g = make_model(b, 8, 17);
    make_value(b, G_IN, "x", 1, "n 3");
    make_raw(b, G_INIT, "w", 1, "3", w, sizeof w);
    make_plain_node(b, "Add", "x w", "y");
    make_value(b, G_OUT, "y", 1, "n 3");
    pb_put_end(b, g);
}

static inline struct span make_span(const struct buf *b) {
    assert_int_equal(b->code, OK);
    return (struct span){(const uint8_t *)b->p, b->n};
}

/* b, read as the only file of a model. */
static inline enum code make_read(const struct format *format, const struct buf *b,
                                  struct arena *arena, struct model **m, struct err *e) {
    struct import_file file = {.name = LIT("test.onnx"), .bytes = make_span(b)};
    struct format_input in = {
        .name = file.name, .bytes = file.bytes, .files = &file, .n_files = 1, .arena = arena};
    return format->read(&in, m, e);
}
