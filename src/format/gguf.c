/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF v2 and v3 (the format of ggml's ecosystem): metadata, a table of tensors, their bytes.
 *
 *   "GGUF" u32 version, u64 tensors, u64 pairs
 *   pairs:   text key, u32 type, value
 *   tensors: text name, u32 dims, u64 dims[] (the fastest first), u32 type, u64 offset
 *   padding to general.alignment, then the data that offsets count from
 *
 * All numbers are little-endian; text is a u64 length and bytes. docs/formats/gguf.md lists what is
 * translated (gguf_facts.c) and what is refused.
 *
 * 1. Nothing is believed: every length is compared with the bytes left before it is used, products
 *    are checked, so the memory asked for is at most a small multiple of the file.
 * 2. Data is not touched: constants are ranges of the file.
 * 3. A key or a tensor that comes twice is an error: readers would disagree about which one counts.
 */
#include "base/map.h"
#include "base/mem.h"
#include "format/gguf.h"

enum {
    ALIGNMENT = 32,
    ALIGNMENT_MAX = 1 << 20,
    TEXT_MAX = 64 << 20,
    ARRAY_MAX = 16 << 20,
    PAIRS_MAX = 1 << 16,
    TENSORS_MAX = 1 << 18,
    PAIR_MIN = 8 + 4 + 1,       /* bytes a pair takes at least */
    TENSOR_MIN = 8 + 4 + 4 + 8, /* and a row of the table */
    DIMS_MAX = 4
};

struct reader {
    const uint8_t *begin, *p, *end;
    struct arena *a;
    struct str subject; /* the key or tensor being read, for messages */
    int file;           /* its index in the model's files */
    struct map *names;  /* of the tensors so far, in all files */
};

/* --- numbers and text --- */

static size_t at(const struct reader *r) { return (size_t)(r->p - r->begin); }

static size_t left(const struct reader *r) { return (size_t)(r->end - r->p); }

static enum code ends(const struct reader *r, struct err *e) {
    if (r->subject.n)
        return fail(e, FORMAT, "the file ends at byte %zu, inside '%.*s'",
                    (size_t)(r->end - r->begin), STR(str_sub(r->subject, 0, 64)));
    return fail(e, FORMAT, "the file ends at byte %zu, inside its header",
                (size_t)(r->end - r->begin));
}

static enum code take(struct reader *r, size_t n, const uint8_t **out, struct err *e) {
    if (left(r) < n)
        return ends(r, e);
    *out = r->p;
    r->p += n;
    return OK;
}

static uint64_t little(const uint8_t *p, size_t n) {
    uint64_t v = 0;
    for (size_t i = n; i > 0; i--)
        v = v << 8 | p[i - 1];
    return v;
}

static enum code take_u32(struct reader *r, uint32_t *out, struct err *e) {
    const uint8_t *p = NULL;
    TRY(take(r, 4, &p, e));
    *out = (uint32_t)little(p, 4);
    return OK;
}

static enum code take_u64(struct reader *r, uint64_t *out, struct err *e) {
    const uint8_t *p = NULL;
    TRY(take(r, 8, &p, e));
    *out = little(p, 8);
    return OK;
}

/* Borrowed from the file. */
static enum code take_text(struct reader *r, struct str *out, struct err *e) {
    uint64_t n = 0;
    const uint8_t *p = NULL;
    TRY(take_u64(r, &n, e));
    if (n > TEXT_MAX && n <= left(r))
        return fail(e, LIMIT, "text of %llu bytes at byte %zu, limit %d", (unsigned long long)n,
                    at(r), TEXT_MAX);
    if (n > left(r))
        return ends(r, e);
    TRY(take(r, (size_t)n, &p, e));
    *out = (struct str){(const char *)p, (size_t)n};
    return OK;
}

/* --- values --- */

enum type { U8, I8, U16, I16, U32, I32, F32, BOOLEAN, TEXT, ARRAY, U64, I64, F64, TYPES };

static const uint8_t sizes[TYPES] = {
    [U8] = 1,  [I8] = 1,      [U16] = 2, [I16] = 2, [U32] = 4, [I32] = 4,
    [F32] = 4, [BOOLEAN] = 1, [U64] = 8, [I64] = 8, [F64] = 8};

static bool is_float(uint32_t type) { return type == F32 || type == F64; }

static int64_t as_int(uint32_t type, const uint8_t *p) {
    uint64_t v = little(p, sizes[type]);
    switch (type) {
    case I8: return (int8_t)v;
    case I16: return (int16_t)v;
    case I32: return (int32_t)v;
    case BOOLEAN: return v != 0;
    case U64: return v > INT64_MAX ? INT64_MAX : (int64_t)v;
    default: return (int64_t)v;
    }
}

static float as_float(uint32_t type, const uint8_t *p) {
    if (type == F32) {
        float f;
        memcpy(&f, p, sizeof f);
        return f;
    }
    double d;
    memcpy(&d, p, sizeof d);
    return (float)d;
}

static enum code bad_type(const struct reader *r, uint32_t type, struct err *e) {
    return fail(e, FORMAT, "'%.*s' has the unknown type %u, before byte %zu",
                STR(str_sub(r->subject, 0, 64)), type, at(r));
}

static enum code no_room(const struct reader *r, size_t bytes, struct err *e) {
    return arena_fail(r->a, bytes, "metadata", e);
}

static enum code read_texts(struct reader *r, struct attr *out, size_t n, struct err *e) {
    struct str *list = ARENA_ARRAY(r->a, n, struct str);
    if (!list)
        return no_room(r, n * sizeof *list, e);
    for (size_t i = 0; i < n; i++)
        TRY(take_text(r, &list[i], e));
    out->kind = ATTR_STRS;
    out->strs = list;
    return OK;
}

static enum code read_numbers(struct reader *r, uint32_t type, struct attr *out, size_t n,
                              struct err *e) {
    const uint8_t *p = NULL;
    void *list = arena_push_array(r->a, n, is_float(type) ? sizeof(float) : sizeof(int64_t));
    if (!list)
        return no_room(r, n * sizeof(int64_t), e);
    TRY(take(r, n * sizes[type], &p, e));
    for (size_t i = 0; i < n; i++, p += sizes[type]) {
        if (is_float(type))
            ((float *)list)[i] = as_float(type, p);
        else
            ((int64_t *)list)[i] = as_int(type, p);
    }
    out->kind = is_float(type) ? ATTR_FLOATS : ATTR_INTS;
    out->ints = list;
    return OK;
}

/* Arrays of arrays exist on paper only. */
static enum code read_array(struct reader *r, struct attr *out, struct err *e) {
    uint32_t type = 0;
    uint64_t n = 0;
    TRY(take_u32(r, &type, e));
    TRY(take_u64(r, &n, e));
    if (type >= TYPES || type == ARRAY)
        return bad_type(r, type, e);
    if (n > ARRAY_MAX || n > left(r) / (type == TEXT ? 8 : sizes[type]))
        return n > ARRAY_MAX
                   ? fail(e, LIMIT, "'%.*s' has %llu elements, limit %d",
                          STR(str_sub(r->subject, 0, 64)), (unsigned long long)n, ARRAY_MAX)
                   : ends(r, e);
    out->n = (size_t)n;
    return type == TEXT ? read_texts(r, out, out->n, e) : read_numbers(r, type, out, out->n, e);
}

static enum code read_value(struct reader *r, struct attr *out, struct err *e) {
    uint32_t type = 0;
    const uint8_t *p = NULL;
    TRY(take_u32(r, &type, e));
    if (type >= TYPES)
        return bad_type(r, type, e);
    if (type == ARRAY)
        return read_array(r, out, e);
    if (type == TEXT) {
        out->kind = ATTR_STR;
        return take_text(r, &out->s, e);
    }
    TRY(take(r, sizes[type], &p, e));
    out->kind = is_float(type) ? ATTR_FLOAT : ATTR_INT;
    if (is_float(type))
        out->f = as_float(type, p);
    else
        out->i = as_int(type, p);
    return OK;
}

static enum code read_pairs(struct reader *r, uint64_t n, struct gguf_pairs *out, struct err *e) {
    struct map seen;
    if (n > PAIRS_MAX || n > left(r) / PAIR_MIN)
        return fail(e, FORMAT, "the header speaks of %llu metadata pairs, the file has %zu bytes",
                    (unsigned long long)n, left(r));
    out->pairs = ARENA_ARRAY(r->a, (size_t)n, struct attr);
    if (!out->pairs)
        return no_room(r, (size_t)n * sizeof *out->pairs, e);
    map_init(&seen, r->a);
    for (; out->n < n; out->n++) {
        struct attr *pair = &out->pairs[out->n];
        r->subject = (struct str){0};
        TRY(take_text(r, &pair->name, e));
        r->subject = pair->name;
        pair->origin.file = -1;
        TRY(read_value(r, pair, e));
        if (map_has(&seen, pair->name))
            return fail(e, FORMAT, "metadata '%.*s' comes twice", STR(str_sub(pair->name, 0, 64)));
        TRY(map_put(&seen, pair->name, pair, e));
    }
    r->subject = (struct str){0};
    return OK;
}

/* --- tensors --- */

static const struct kind {
    const char *name; /* for those that are refused */
    enum dtype dtype;
} kinds[] = {
    [0] = {"F32", DT_F32},        [1] = {"F16", DT_F16},       [2] = {"Q4_0", DT_Q4_0},
    [3] = {"Q4_1", DT_Q4_1},      [6] = {"Q5_0", DT_Q5_0},     [7] = {"Q5_1", DT_Q5_1},
    [8] = {"Q8_0", DT_Q8_0},      [9] = {"Q8_1", DT_NONE},     [10] = {"Q2_K", DT_Q2_K},
    [11] = {"Q3_K", DT_Q3_K},     [12] = {"Q4_K", DT_Q4_K},    [13] = {"Q5_K", DT_Q5_K},
    [14] = {"Q6_K", DT_Q6_K},     [15] = {"Q8_K", DT_NONE},    [16] = {"IQ2_XXS", DT_NONE},
    [17] = {"IQ2_XS", DT_NONE},   [18] = {"IQ3_XXS", DT_NONE}, [19] = {"IQ1_S", DT_NONE},
    [20] = {"IQ4_NL", DT_IQ4_NL}, [21] = {"IQ3_S", DT_NONE},   [22] = {"IQ2_S", DT_NONE},
    [23] = {"IQ4_XS", DT_IQ4_XS}, [24] = {"I8", DT_I8},        [25] = {"I16", DT_I16},
    [26] = {"I32", DT_I32},       [27] = {"I64", DT_I64},      [28] = {"F64", DT_F64},
    [29] = {"IQ1_M", DT_NONE},    [30] = {"BF16", DT_BF16},    [34] = {"TQ1_0", DT_NONE},
    [35] = {"TQ2_0", DT_NONE},    [39] = {"MXFP4", DT_MXFP4},  [40] = {"NVFP4", DT_NONE},
};

static enum code find_kind(struct str tensor, uint32_t type, enum dtype *out, struct err *e) {
    const struct kind *k = type < sizeof kinds / sizeof kinds[0] ? &kinds[type] : NULL;
    if (!k || !k->name)
        return fail(e, FORMAT, "tensor '%.*s' has the unknown type %u", STR(str_sub(tensor, 0, 64)),
                    type);
    if (k->dtype == DT_NONE)
        return fail(e, UNSUPPORTED, "tensor '%.*s' is %s, which this build does not read",
                    STR(str_sub(tensor, 0, 64)), k->name);
    *out = k->dtype;
    return OK;
}

/* Ours lists the slowest dim first. */
static enum code read_shape(struct reader *r, struct shape *out, struct err *e) {
    uint32_t n = 0;
    uint64_t dims[DIMS_MAX] = {0};
    TRY(take_u32(r, &n, e));
    if (n > DIMS_MAX)
        return fail(e, FORMAT, "tensor '%.*s' has %u dims, limit %d",
                    STR(str_sub(r->subject, 0, 64)), n, DIMS_MAX);
    for (uint32_t d = 0; d < n; d++)
        TRY(take_u64(r, &dims[d], e));
    out->rank = (int)n;
    for (uint32_t d = 0; d < n; d++)
        out->dims[n - 1 - d] = dims[d] > INT64_MAX ? -1 : (int64_t)dims[d];
    return OK;
}

/* Fills v; its offset still counts from the data. */
static enum code read_tensor(struct reader *r, struct value *v, struct err *e) {
    uint32_t type = 0;
    size_t bytes = 0;
    struct tensor *t = ARENA_NEW(r->a, struct tensor);
    if (!t)
        return no_room(r, sizeof *t, e);
    TRY(take_text(r, &v->name, e));
    r->subject = v->name;
    TRY(read_shape(r, &t->shape, e));
    TRY(take_u32(r, &type, e));
    TRY(find_kind(v->name, type, &t->dtype, e));
    TRY(take_u64(r, &v->origin.offset, e));
    if (!tensor_size(t->dtype, &t->shape, &bytes)) {
        char text[SHAPE_TEXT];
        return fail(e, FORMAT, "tensor '%.*s' of %s cannot have the shape %s",
                    STR(str_sub(v->name, 0, 64)), dtype_name(t->dtype),
                    shape_print(&t->shape, text));
    }
    v->origin.file = r->file;
    v->origin.length = bytes;
    v->dtype = t->dtype;
    v->ranked = true;
    v->shape = t->shape;
    v->constant = t;
    return OK;
}

static enum code read_table(struct reader *r, uint64_t n, struct graph *g, struct err *e) {
    if (n > TENSORS_MAX || n > left(r) / TENSOR_MIN)
        return fail(e, FORMAT, "the header speaks of %llu tensors, the file has %zu bytes",
                    (unsigned long long)n, left(r));
    for (uint64_t i = 0; i < n; i++) {
        struct value v = {.origin = {.file = -1}, .capture = VALUE_NONE, .producer = NODE_NONE};
        r->subject = (struct str){0};
        TRY(read_tensor(r, &v, e));
        if (map_has(r->names, v.name))
            return fail(e, FORMAT, "tensor '%.*s' comes twice", STR(str_sub(v.name, 0, 64)));
        TRY(map_put(r->names, v.name, v.constant, e));
        value_id id = graph_add_value(g, v.name);
        if (id == VALUE_NONE)
            return no_room(r, sizeof v, e);
        g->values[id] = v;
    }
    r->subject = (struct str){0};
    return OK;
}

/* Offsets from the data to offsets from the file, for the values from `first` on. */
static enum code place_tensors(const struct reader *r, uint64_t alignment, struct graph *g,
                               int first, struct err *e) {
    const uint64_t size = (uint64_t)(r->end - r->begin);
    const uint64_t data = (at(r) + alignment - 1) / alignment * alignment;
    for (int i = first; i < g->n_values; i++) {
        struct value *v = &g->values[i];
        if (v->origin.offset % alignment)
            return fail(e, FORMAT, "tensor '%.*s' begins at %llu, not a multiple of %llu",
                        STR(str_sub(v->name, 0, 64)), (unsigned long long)v->origin.offset,
                        (unsigned long long)alignment);
        if (data > size || v->origin.offset > size - data ||
            v->origin.length > size - data - v->origin.offset)
            return fail(e, FORMAT, "tensor '%.*s' ends beyond the file (%llu bytes)",
                        STR(str_sub(v->name, 0, 64)), (unsigned long long)size);
        v->origin.offset += data;
        v->constant->data = (void *)(uintptr_t)(r->begin + v->origin.offset);
    }
    return OK;
}

/* --- the file --- */

static enum code find_alignment(const struct gguf_pairs *pairs, uint64_t *out, struct err *e) {
    const struct attr *a = gguf_pair(pairs, "general.alignment");
    int64_t n = a && a->kind == ATTR_INT ? a->i : ALIGNMENT;
    if (n < 1 || n > ALIGNMENT_MAX || (n & (n - 1)) != 0)
        return fail(e, FORMAT, "general.alignment is %lld, not a power of two up to %d",
                    (long long)n, ALIGNMENT_MAX);
    *out = (uint64_t)n;
    return OK;
}

static enum code check_version(uint32_t version, struct err *e) {
    if (version == 2 || version == 3)
        return OK;
    if (version != 0 && (version & 0xffff) == 0)
        return fail(e, UNSUPPORTED, "a big-endian GGUF file: convert it to little-endian");
    return fail(e, UNSUPPORTED, "GGUF version %u; this build reads 2 and 3", version);
}

static enum code start(const struct format_input *in, struct model **out, struct err *e) {
    struct model *m = model_new(in->arena);
    struct model_file *files = ARENA_ARRAY(in->arena, (size_t)in->n_files, struct model_file);
    if (!m || !files)
        return arena_fail(in->arena, sizeof *m, "the model", e);
    for (int f = 0; f < in->n_files; f++)
        files[f] = (struct model_file){in->files[f].name, in->files[f].bytes.n};
    m->format = LIT("gguf");
    m->files = files;
    m->n_files = in->n_files;
    *out = m;
    return OK;
}

/* One file: its metadata into *pairs, its tensors into g. */
static enum code read_file(struct reader *r, struct graph *g, struct gguf_pairs *pairs,
                           struct err *e) {
    const uint8_t *magic = NULL;
    uint32_t version = 0;
    uint64_t n_tensors = 0, n_pairs = 0, alignment = 0;
    int first = g->n_values;
    TRY(take(r, 4, &magic, e));
    if (memcmp(magic, "GGUF", 4) != 0)
        return fail(e, FORMAT, "this is no GGUF file");
    TRY(take_u32(r, &version, e));
    TRY(check_version(version, e));
    TRY(take_u64(r, &n_tensors, e));
    TRY(take_u64(r, &n_pairs, e));
    TRY(read_pairs(r, n_pairs, pairs, e));
    TRY(find_alignment(pairs, &alignment, e));
    TRY(read_table(r, n_tensors, g, e));
    return place_tensors(r, alignment, g, first, e);
}

/* A split model: the first part has the metadata, all have tensors. */
static enum code check_split(const struct gguf_pairs *pairs, const struct format_input *in,
                             struct err *e) {
    const struct attr *count = gguf_pair(pairs, "split.count"), *no = gguf_pair(pairs, "split.no");
    if (no && no->kind == ATTR_INT && no->i != 0)
        return fail(e, INVALID, "this is not the first part of a split model: name that one");
    if (count && count->kind == ATTR_INT && count->i > 1 && count->i != in->n_files)
        return fail(e, NOT_FOUND, "the model has %lld parts, %d are in the folder",
                    (long long)count->i, in->n_files);
    return OK;
}

static enum code read_gguf(const struct format_input *in, struct model **out, struct err *e) {
    struct model *m = NULL;
    struct gguf_pairs pairs = {0};
    struct map names;
    TRY(start(in, &m, e));
    map_init(&names, in->arena);
    for (int f = 0; f < in->n_files; f++) {
        const struct span bytes = in->files[f].bytes;
        struct gguf_pairs own = {0};
        struct reader r = {.begin = bytes.p,
                           .p = bytes.p,
                           .end = bytes.p + bytes.n,
                           .a = in->arena,
                           .file = f,
                           .names = &names};
        enum code code = read_file(&r, m->main, &own, e);
        if (code == OK && f == 0)
            code = check_split(&own, in, e);
        if (code != OK)
            return f == 0 ? code : err_prefix(e, "'%.*s'", STR(in->files[f].name));
        if (f == 0)
            pairs = own;
    }
    TRY(gguf_facts(&pairs, m, e));
    *out = m;
    return OK;
}

static bool sniff_gguf(struct span head, uint64_t size) {
    return size >= 24 && head.n >= 24 && memcmp(head.p, "GGUF", 4) == 0;
}

/* "model-00001-of-00003.gguf": the stem, which and how many. */
static bool split_name(struct str name, struct str *stem, int64_t *which, int64_t *count) {
    enum { TAIL = sizeof "-00001-of-00003.gguf" - 1 };
    if (name.n <= TAIL || !str_ends(name, ".gguf"))
        return false;
    struct str tail = str_sub(name, name.n - TAIL, name.n);
    *stem = str_sub(name, 0, name.n - TAIL);
    return tail.p[0] == '-' && memcmp(tail.p + 6, "-of-", 4) == 0 &&
           str_to_i64(str_sub(tail, 1, 6), which) && str_to_i64(str_sub(tail, 10, 15), count);
}

static bool wants_gguf(struct str main, struct str name) {
    struct str stem, other;
    int64_t which, count, which_other, count_other;
    if (!split_name(name, &other, &which_other, &count_other) || which_other < 2 ||
        which_other > count_other)
        return false;
    return main.n == 0 || (split_name(main, &stem, &which, &count) && which == 1 &&
                           count == count_other && str_eq(stem, other));
}

const struct format format_gguf = {
    .name = "gguf",
    .about = "GGUF, versions 2 and 3: language models",
    .sniff = sniff_gguf,
    .wants = wants_gguf,
    .read = read_gguf,
};
