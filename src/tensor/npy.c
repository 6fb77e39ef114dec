/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's .npy: see npy.h.
 *
 *   "\x93NUMPY" major minor header_length(u16 | u32, little-endian) header data
 *   header: a Python dict literal {'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }
 * padded with spaces */
#include "tensor/npy.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

enum { HEADER_MAX = 1 << 16 };

struct header {
    struct str descr, fortran, shape;
};

static const struct {
    const char *code; /* without the byte order */
    enum dtype dtype;
} types[] = {
    {"f4", DT_F32}, {"f8", DT_F64},  {"f2", DT_F16}, {"i1", DT_I8},    {"i2", DT_I16},
    {"i4", DT_I32}, {"i8", DT_I64},  {"u1", DT_U8},  {"u2", DT_U16},   {"u4", DT_U32},
    {"u8", DT_U64}, {"b1", DT_BOOL}, {"c8", DT_C64}, {"c16", DT_C128},
};

bool npy_is(struct span bytes) { return bytes.n >= 10 && memcmp(bytes.p, "\x93NUMPY", 6) == 0; }

/* The text after 'key': up to the matching ',' at depth 0. */
static bool dict_get(struct str dict, const char *key, struct str *out) {
    char quoted[24];
    int length = snprintf(quoted, sizeof quoted, "'%s':", key);
    const char *at = memmem(dict.p, dict.n, quoted, (size_t)length);
    if (!at)
        return false;
    const char *end = dict.p + dict.n, *p = at + length;
    while (p < end && *p == ' ')
        p++;
    const char *begin = p;
    for (int depth = 0; p < end && !(depth == 0 && (*p == ',' || *p == '}')); p++)
        depth += *p == '(' || *p == '[' ? 1 : *p == ')' || *p == ']' ? -1 : 0;
    while (p > begin && p[-1] == ' ')
        p--;
    *out = (struct str){begin, (size_t)(p - begin)};
    return out->n > 0;
}

static enum code read_header(struct span bytes, struct header *h, struct span *data,
                             struct err *e) {
    if (!npy_is(bytes))
        return fail(e, INVALID, "not a .npy file: the first bytes are not \\x93NUMPY");
    unsigned major = bytes.p[6];
    size_t prefix = major == 1 ? 10 : 12, n = (size_t)bytes.p[8] | (size_t)bytes.p[9] << 8;
    if (major < 1 || major > 3 || bytes.n < prefix)
        return fail(e, INVALID, ".npy version %u is not 1, 2 or 3", major);
    if (major > 1)
        n |= (size_t)bytes.p[10] << 16 | (size_t)bytes.p[11] << 24;
    if (n > HEADER_MAX || n > bytes.n - prefix)
        return fail(e, INVALID, ".npy header of %zu bytes, the file has %zu", n, bytes.n);
    struct str dict = {(const char *)bytes.p + prefix, n};
    if (!dict_get(dict, "descr", &h->descr) || !dict_get(dict, "fortran_order", &h->fortran) ||
        !dict_get(dict, "shape", &h->shape))
        return fail(e, INVALID, ".npy header lacks descr, fortran_order or shape");
    *data = (struct span){bytes.p + prefix + n, bytes.n - prefix - n};
    return OK;
}

static enum code read_shape(struct str text, struct shape *out, struct err *e) {
    *out = (struct shape){0};
    if (text.n < 2 || text.p[0] != '(' || text.p[text.n - 1] != ')')
        return fail(e, INVALID, ".npy shape '%.*s' is not a tuple", STR(text));
    struct str rest = str_sub(text, 1, text.n - 1);
    while (rest.n) {
        size_t comma;
        if (!str_find(rest, ',', &comma))
            comma = rest.n;
        struct str item = str_sub(rest, 0, comma);
        while (item.n && item.p[0] == ' ')
            item = str_sub(item, 1, item.n);
        while (item.n && (item.p[item.n - 1] == ' ' || item.p[item.n - 1] == 'L'))
            item.n--;
        if (item.n) {
            if (out->rank == SHAPE_MAX)
                return fail(e, INVALID, ".npy array has more than %d dims", SHAPE_MAX);
            if (!str_to_i64(item, &out->dims[out->rank]) || out->dims[out->rank] < 0)
                return fail(e, INVALID, ".npy shape '%.*s': '%.*s' is not a dim", STR(text),
                            STR(item));
            out->rank++;
        }
        rest = str_sub(rest, comma + 1, rest.n);
    }
    return OK;
}

/* Element `index` of the C-order result, counted in the Fortran-order data. */
static size_t fortran_index(const struct shape *s, size_t index) {
    size_t at[SHAPE_MAX] = {0}, out = 0, step = 1;
    for (int d = s->rank - 1; d >= 0; d--) {
        at[d] = index % (size_t)s->dims[d];
        index /= (size_t)s->dims[d];
    }
    for (int d = 0; d < s->rank; d++) {
        out += at[d] * step;
        step *= (size_t)s->dims[d];
    }
    return out;
}

static void copy_element(uint8_t *to, const uint8_t *from, size_t part, size_t parts, bool swap) {
    for (size_t k = 0; k < parts; k++)
        for (size_t i = 0; i < part; i++)
            to[k * part + i] = from[k * part + (swap ? part - 1 - i : i)];
}

struct source {
    struct span data;
    bool fortran, swap;
};

static enum code read_numbers(const struct source *s, enum dtype dtype, const struct shape *shape,
                              struct arena *a, struct tensor *out, struct err *e) {
    size_t size = dtype_size(dtype), count, bytes;
    if (!shape_count(shape, &count) || !mul_size(count, size, &bytes))
        return fail(e, INVALID, ".npy array is too large");
    if (bytes > s->data.n)
        return fail(e, INVALID, ".npy array needs %zu bytes of data, the file has %zu", bytes,
                    s->data.n);
    bool complex = dtype == DT_C64 || dtype == DT_C128;
    if (!s->swap && (!s->fortran || shape->rank < 2) && (uintptr_t)s->data.p % size == 0 &&
        dtype != DT_BOOL) {
        *out = (struct tensor){dtype, LAYOUT_PLAIN, *shape, (void *)(uintptr_t)s->data.p};
        return OK;
    }
    struct tensor t;
    TRY(tensor_new(a, dtype, shape, &t, e));
    uint8_t *to = t.data;
    for (size_t i = 0; i < count; i++) {
        size_t from = s->fortran ? fortran_index(shape, i) : i;
        copy_element(to + i * size, s->data.p + from * size, complex ? size / 2 : size,
                     complex ? 2 : 1, s->swap);
        if (dtype == DT_BOOL)
            to[i] = to[i] != 0;
    }
    *out = t;
    return OK;
}

static struct str text_of(struct arena *a, const uint8_t *p, size_t width, bool wide, bool swap) {
    if (!wide) {
        size_t n = width;
        while (n && p[n - 1] == 0)
            n--;
        return arena_str(a, (struct str){(const char *)p, n});
    }
    char *to = arena_push_aligned(a, width * 4 + 1, 1);
    size_t n = 0;
    for (size_t i = 0; to && i < width; i++) {
        uint32_t c = 0;
        for (size_t k = 0; k < 4; k++)
            c |= (uint32_t)p[i * 4 + (swap ? 3 - k : k)] << (8 * k);
        if (c)
            n += utf8_put(c, to + n);
    }
    return (struct str){to, n};
}

static enum code read_texts(const struct source *s, size_t width, bool wide,
                            const struct shape *shape, struct arena *a, struct tensor *out,
                            struct err *e) {
    size_t count, size = wide ? width * 4 : width, bytes;
    if (!shape_count(shape, &count) || width > HEADER_MAX || !mul_size(count, size, &bytes) ||
        bytes > s->data.n)
        return fail(e, INVALID, ".npy text array is larger than its file");
    struct tensor t;
    TRY(tensor_new(a, DT_STRING, shape, &t, e));
    struct str *to = t.data;
    for (size_t i = 0; i < count; i++) {
        size_t from = s->fortran ? fortran_index(shape, i) : i;
        to[i] = text_of(a, s->data.p + from * size, width, wide, s->swap);
        if (!to[i].p)
            return arena_fail(a, size, ".npy text", e);
    }
    *out = t;
    return OK;
}

enum code npy_read(struct span bytes, struct arena *a, struct tensor *out, struct err *e) {
    struct header h;
    struct shape shape;
    struct source s = {0};
    TRY(read_header(bytes, &h, &s.data, e));
    TRY(read_shape(h.shape, &shape, e));
    s.fortran = str_is(h.fortran, "True");
    if (!s.fortran && !str_is(h.fortran, "False"))
        return fail(e, INVALID, ".npy fortran_order is '%.*s'", STR(h.fortran));
    if (h.descr.n < 4 || h.descr.p[0] != '\'' || h.descr.p[h.descr.n - 1] != '\'')
        return fail(e, UNSUPPORTED, ".npy type %.*s: structured arrays are not supported",
                    STR(h.descr));
    struct str code = str_sub(h.descr, 1, h.descr.n - 1);
    s.swap = code.p[0] == '>';
    if (strchr("<>|=", code.p[0]))
        code = str_sub(code, 1, code.n);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_is(code, types[i].code))
            return read_numbers(&s, types[i].dtype, &shape, a, out, e);
    uint64_t width;
    if (code.n > 1 && (code.p[0] == 'S' || code.p[0] == 'U') &&
        str_to_u64(str_sub(code, 1, code.n), &width) && width)
        return read_texts(&s, (size_t)width, code.p[0] == 'U', &shape, a, out, e);
    return fail(e, UNSUPPORTED, ".npy type %.*s is not supported (numbers, bool, S and U are)",
                STR(h.descr));
}

/* --- writing --- */

static size_t widest(const struct tensor *t) {
    const struct str *s = t->data;
    size_t width = 1;
    for (size_t i = 0; i < tensor_count(t); i++)
        width = s[i].n > width ? s[i].n : width;
    return width;
}

static void put_texts(const struct tensor *t, size_t width, struct buf *out) {
    const struct str *s = t->data;
    for (size_t i = 0; i < tensor_count(t); i++) {
        char *p = buf_extend(out, width);
        if (!p)
            return;
        memset(p, 0, width);
        if (s[i].n)
            memcpy(p, s[i].p, s[i].n);
    }
}

static void fill_head(const struct tensor *t, const char *descr, struct npy_head *out) {
    char *text = out->bytes + 10;
    size_t room = sizeof out->bytes - 10 - MEM_LINE;
    int n = snprintf(text, room, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int d = 0; d < t->shape.rank; d++)
        n += snprintf(text + n, room - (size_t)n, "%lld,%s", (long long)t->shape.dims[d],
                      d + 1 < t->shape.rank ? " " : "");
    n += snprintf(text + n, room - (size_t)n, "), }");
    out->n = mem_round_up(10 + (size_t)n + 1, MEM_LINE);
    size_t header = out->n - 10;
    memset(text + n, ' ', header - (size_t)n);
    text[header - 1] = '\n';
    const unsigned char prefix[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)header, (unsigned char)(header >> 8)};
    memcpy(out->bytes, prefix, sizeof prefix);
}

enum code npy_head(const struct tensor *t, struct npy_head *out, struct err *e) {
    char descr[24];
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].dtype == t->dtype) {
            snprintf(descr, sizeof descr, "%c%s", dtype_size(t->dtype) == 1 ? '|' : '<',
                     types[i].code);
            fill_head(t, descr, out);
            return OK;
        }
    return fail(e, UNSUPPORTED, "numpy has no type for %s", dtype_name(t->dtype));
}

enum code npy_put(const struct tensor *t, struct buf *out, struct err *e) {
    struct npy_head head;
    if (t->dtype == DT_STRING) {
        char descr[24];
        size_t width = widest(t);
        snprintf(descr, sizeof descr, "|S%zu", width);
        fill_head(t, descr, &head);
        buf_put(out, head.bytes, head.n);
        put_texts(t, width, out);
    } else {
        TRY(npy_head(t, &head, e));
        buf_put(out, head.bytes, head.n);
        buf_put(out, t->data, tensor_bytes(t));
    }
    return buf_check(out, ".npy", e);
}
