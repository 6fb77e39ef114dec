/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors (github.com/huggingface/safetensors): weights by name.
 *
 *   u64 n, little-endian
 *   n bytes of JSON: {"name": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [begin, end]},
 * ...,
 *                     "__metadata__": {text: text}}
 *   data, from whose start the offsets count
 *
 * 1. Sizes follow from dtype and shape; a range that is not exactly that long, or not in the file,
 *    is an error that names the tensor.
 * 2. Data is not touched: constants are ranges of the file. */
#include "format/safetensors.h"

#include "base/json.h"
#include "tensor/nibble.h"

enum { HEADER_MAX = 100 << 20, TENSORS_MAX = 1 << 18, NAME_MAX_BYTES = 512 };

static const struct {
    const char *name;
    enum dtype dtype;
} dtypes[] = {
    {"F64", DT_F64},          {"F32", DT_F32},        {"F16", DT_F16},   {"BF16", DT_BF16},
    {"I64", DT_I64},          {"I32", DT_I32},        {"I16", DT_I16},   {"I8", DT_I8},
    {"U64", DT_U64},          {"U32", DT_U32},        {"U16", DT_U16},   {"U8", DT_U8},
    {"F8_E4M3", DT_F8E4M3FN}, {"F8_E5M2", DT_F8E5M2}, {"BOOL", DT_BOOL},
};

struct entry {
    enum dtype dtype;
    struct shape shape;
    uint64_t begin, end;
    bool ranged;
};

static enum code take_dtype(struct json *j, struct str tensor, enum dtype *out, struct err *e) {
    struct str name = {0};
    TRY(json_string(j, &name, e));
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (str_is(name, dtypes[i].name)) {
            *out = dtypes[i].dtype;
            return OK;
        }
    return fail(e, UNSUPPORTED, "tensor '%.*s' is of type '%.*s', which this build does not read",
                STR(str_sub(tensor, 0, 96)), STR(str_sub(name, 0, 32)));
}

static enum code take_shape(struct json *j, struct str tensor, struct shape *out, struct err *e) {
    bool more;
    TRY(json_enter_array(j, e));
    for (out->rank = 0;; out->rank++) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            return OK;
        if (out->rank == SHAPE_MAX)
            return fail(e, LIMIT, "tensor '%.*s' has more than %d dims",
                        STR(str_sub(tensor, 0, 96)), SHAPE_MAX);
        TRY(json_i64(j, &out->dims[out->rank], e));
    }
}

static enum code take_range(struct json *j, struct str tensor, struct entry *t, struct err *e) {
    int64_t ends[2] = {0};
    bool more;
    TRY(json_enter_array(j, e));
    for (int i = 0;; i++) {
        TRY(json_next_item(j, &more, e));
        if (!more && i == 2)
            break;
        if (!more || i == 2)
            return fail(e, FORMAT, "tensor '%.*s': data_offsets are not two numbers",
                        STR(str_sub(tensor, 0, 96)));
        TRY(json_i64(j, &ends[i], e));
    }
    if (ends[0] < 0 || ends[1] < ends[0])
        return fail(e, FORMAT, "tensor '%.*s' lies at %lld to %lld", STR(str_sub(tensor, 0, 96)),
                    (long long)ends[0], (long long)ends[1]);
    t->begin = (uint64_t)ends[0];
    t->end = (uint64_t)ends[1];
    t->ranged = true;
    return OK;
}

static enum code take_entry(struct json *j, struct str tensor, struct entry *out, struct err *e) {
    bool more;
    struct str key = {0};
    *out = (struct entry){.shape = {.rank = -1}};
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            break;
        if (str_is(key, "dtype"))
            TRY(take_dtype(j, tensor, &out->dtype, e));
        else if (str_is(key, "shape"))
            TRY(take_shape(j, tensor, &out->shape, e));
        else if (str_is(key, "data_offsets"))
            TRY(take_range(j, tensor, out, e));
        else
            TRY(json_skip(j, NULL, e));
    }
    if (out->dtype == DT_NONE || out->shape.rank < 0 || !out->ranged)
        return fail(e, FORMAT, "tensor '%.*s' lacks its dtype, shape or data_offsets",
                    STR(str_sub(tensor, 0, 96)));
    return OK;
}

/* n: bytes of the header, its length included. */
static enum code check_entry(const struct safetensors_input *in, struct str tensor, size_t n,
                             const struct entry *t, struct err *e) {
    size_t count, bytes;
    char text[SHAPE_TEXT];
    if (!shape_count(&t->shape, &count) || !nibble_bytes(t->dtype, count, &bytes) ||
        bytes != t->end - t->begin)
        return fail(e, FORMAT, "tensor '%.*s' of %s %s cannot take %llu bytes",
                    STR(str_sub(tensor, 0, 96)), dtype_name(t->dtype), shape_print(&t->shape, text),
                    (unsigned long long)(t->end - t->begin));
    if (t->end > in->bytes.n - n)
        return fail(e, FORMAT,
                    "tensor '%.*s' ends at byte %llu of the data, there are %zu: the file was cut, "
                    "or is a pointer of Git LFS",
                    STR(str_sub(tensor, 0, 96)), (unsigned long long)t->end, in->bytes.n - n);
    return OK;
}

static enum code add_entry(const struct safetensors_input *in, struct graph *g, struct str name,
                           size_t n, const struct entry *t, struct err *e) {
    struct arena *a = g->model->arena;
    struct tensor *constant = ARENA_NEW(a, struct tensor);
    value_id v = graph_add_value(g, name);
    if (!constant || v == VALUE_NONE)
        return arena_fail(a, sizeof *constant, "tensors of the model", e);
    uint64_t at = n + t->begin;
    *constant = (struct tensor){.dtype = t->dtype, .shape = t->shape};
    constant->data = (void *)(uintptr_t)(in->bytes.p + at); /* never written through */
    struct value *value = &g->values[v];
    value->dtype = t->dtype;
    value->ranked = true;
    value->shape = t->shape;
    value->constant = constant;
    value->origin = (struct origin){in->file, at, t->end - t->begin};
    return OK;
}

static enum code read_entry(const struct safetensors_input *in, struct json *j, struct str tensor,
                            size_t n, struct graph *g, struct map *names, struct err *e) {
    struct entry t;
    char text[160];
    struct arena *a = g->model->arena;
    if (tensor.n > NAME_MAX_BYTES)
        return fail(e, LIMIT, "a tensor's name of %zu bytes, limit %d", tensor.n, NAME_MAX_BYTES);
    TRY(take_entry(j, tensor, &t, e));
    TRY(check_entry(in, tensor, n, &t, e));
    struct str ours = in->rename(in->ctx, tensor, text);
    if (ours.n == 0)
        return OK;
    ours = arena_str(a, ours);
    if (!ours.p)
        return arena_fail(a, tensor.n, "a tensor's name", e);
    if (map_has(names, ours))
        return fail(e, FORMAT, "tensor '%.*s' comes twice (as '%.*s')", STR(str_sub(tensor, 0, 96)),
                    STR(ours));
    TRY(map_put(names, ours, g, e));
    return add_entry(in, g, ours, n, &t, e);
}

bool safetensors_sniff(struct span head, uint64_t size) {
    uint64_t n = 0;
    if (head.n < 10)
        return false;
    memcpy(&n, head.p, sizeof n);
    return n >= 2 && n <= HEADER_MAX && n <= size - 8 && head.p[8] == '{';
}

enum code safetensors_read(const struct safetensors_input *in, struct graph *g, struct map *names,
                           struct err *e) {
    struct json j;
    uint64_t n = 0;
    bool more;
    struct str key = {0};
    if (!safetensors_sniff(in->bytes, in->bytes.n))
        return fail(e, FORMAT, "this is no safetensors file: its header is not inside it");
    memcpy(&n, in->bytes.p, sizeof n);
    json_init(&j, (struct str){(const char *)in->bytes.p + 8, (size_t)n}, g->model->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            break;
        if (g->n_values >= TENSORS_MAX)
            return fail(e, LIMIT, "more than %d tensors", TENSORS_MAX);
        if (str_is(key, "__metadata__"))
            TRY(json_skip(&j, NULL, e));
        else
            TRY(read_entry(in, &j, key, (size_t)n + 8, g, names, e));
    }
    return json_end(&j, e);
}
