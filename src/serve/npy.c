/* SPDX-License-Identifier: Apache-2.0 */
/* .npy: see npy.h. Our own reader, because bytes come from the network: NumPy's header is a Python
 * literal, of which exactly this is accepted:
 *
 *   { 'descr' : STRING , 'fortran_order' : True|False , 'shape' : ( INT , ... ) [,] }   keys in any
 * order, each once
 *
 * 1. Nothing is read outside the span; the shape's product is checked before the data's length is
 * trusted.
 * 2. Bytes after the data are refused: they mean that the header lies. */
#include "serve/npy.h"

#include "base/utf8.h"

enum { MAGIC = 6, HEADER_MAX = 64 << 10, UNICODE_BYTES = 4 };

bool npy_is(struct span b) { return b.n >= MAGIC + 2 && memcmp(b.p, "\x93NUMPY", MAGIC) == 0; }

/* --- the header --- */

struct header {
    struct str descr;
    bool fortran, has_descr, has_order, has_shape;
    struct shape shape;
};

struct reader { /* over the literal */
    struct str text;
    size_t at;
};

static void skip_space(struct reader *r) {
    while (r->at < r->text.n &&
           (r->text.p[r->at] == ' ' || r->text.p[r->at] == '\n' || r->text.p[r->at] == '\t'))
        r->at++;
}

static bool take(struct reader *r, char c) {
    skip_space(r);
    if (r->at == r->text.n || r->text.p[r->at] != c)
        return false;
    r->at++;
    return true;
}

static enum code want(struct reader *r, char c, struct err *e) {
    return take(r, c) ? OK : fail(e, INVALID, ".npy header, byte %zu: expected '%c'", r->at, c);
}

static enum code take_text(struct reader *r, struct str *out, struct err *e) {
    skip_space(r);
    char quote = r->at < r->text.n ? r->text.p[r->at] : '\0';
    if (quote != '\'' && quote != '"')
        return quote == '['
                   ? fail(e, UNSUPPORTED, ".npy with fields (a structured type) is not supported")
                   : fail(e, INVALID, ".npy header, byte %zu: expected a string", r->at);
    size_t from = ++r->at;
    while (r->at < r->text.n && r->text.p[r->at] != quote)
        r->at++;
    if (r->at == r->text.n)
        return fail(e, INVALID, ".npy header: a string without end");
    *out = str_sub(r->text, from, r->at++);
    return OK;
}

static enum code take_truth(struct reader *r, bool *out, struct err *e) {
    skip_space(r);
    struct str rest = str_sub(r->text, r->at, r->text.n);
    *out = str_starts(rest, "True");
    if (!*out && !str_starts(rest, "False"))
        return fail(e, INVALID, ".npy header, byte %zu: expected True or False", r->at);
    r->at += *out ? 4 : 5;
    return OK;
}

static enum code take_dim(struct reader *r, int64_t *out, struct err *e) {
    skip_space(r);
    size_t from = r->at;
    while (r->at < r->text.n && r->text.p[r->at] >= '0' && r->text.p[r->at] <= '9')
        r->at++;
    if (!str_to_i64(str_sub(r->text, from, r->at), out))
        return fail(e, INVALID, ".npy header, byte %zu: expected a dimension", from);
    take(r, 'L'); /* Python 2 wrote 3L */
    return OK;
}

static enum code take_shape(struct reader *r, struct shape *out, struct err *e) {
    struct shape s = {0};
    TRY(want(r, '(', e));
    while (!take(r, ')')) {
        if (s.rank == SHAPE_MAX)
            return fail(e, INVALID, ".npy header: more than %d dimensions", SHAPE_MAX);
        TRY(take_dim(r, &s.dims[s.rank++], e));
        if (!take(r, ',')) {
            TRY(want(r, ')', e));
            break;
        }
    }
    *out = s;
    return OK;
}

static enum code take_member(struct reader *r, struct header *h, struct err *e) {
    struct str key;
    TRY(take_text(r, &key, e));
    TRY(want(r, ':', e));
    bool *seen = str_is(key, "descr")           ? &h->has_descr
                 : str_is(key, "fortran_order") ? &h->has_order
                                                : &h->has_shape;
    if (*seen || (seen == &h->has_shape && !str_is(key, "shape")))
        return fail(e, INVALID, ".npy header: unexpected '%.*s'", STR(key));
    *seen = true;
    if (seen == &h->has_descr)
        return take_text(r, &h->descr, e);
    return seen == &h->has_order ? take_truth(r, &h->fortran, e) : take_shape(r, &h->shape, e);
}

static enum code read_header(struct str text, struct header *h, struct err *e) {
    struct reader r = {text, 0};
    *h = (struct header){0};
    TRY(want(&r, '{', e));
    while (!take(&r, '}')) {
        TRY(take_member(&r, h, e));
        if (!take(&r, ',')) {
            TRY(want(&r, '}', e));
            break;
        }
    }
    skip_space(&r);
    if (r.at != text.n)
        return fail(e, INVALID, ".npy header, byte %zu: something follows the closing brace", r.at);
    if (!h->has_descr || !h->has_order || !h->has_shape)
        return fail(e, INVALID, ".npy header: 'descr', 'fortran_order' and 'shape' must be there");
    return OK;
}

/* --- the type --- */

static const struct {
    char kind;
    size_t bytes;
    enum dtype dtype;
} types[] = {{'f', 2, DT_F16}, {'f', 4, DT_F32},  {'f', 8, DT_F64}, {'i', 1, DT_I8},
             {'i', 2, DT_I16}, {'i', 4, DT_I32},  {'i', 8, DT_I64}, {'u', 1, DT_U8},
             {'u', 2, DT_U16}, {'u', 4, DT_U32},  {'u', 8, DT_U64}, {'b', 1, DT_BOOL},
             {'c', 8, DT_C64}, {'c', 16, DT_C128}};

struct element {
    enum dtype dtype; /* of the tensor */
    size_t bytes;     /* in the file */
    bool swap;        /* big-endian */
    bool wide_text;   /* 'U': UCS-4 */
};

static enum code read_descr(struct str d, struct element *out, struct err *e) {
    uint64_t n;
    if (d.n >= 2 && (d.p[0] == 'O' || d.p[1] == 'O'))
        return fail(e, UNSUPPORTED,
                    ".npy of Python objects is not supported: it would have to be unpickled");
    if (d.n < 3 || !strchr("<>|=", d.p[0]) || !str_to_u64(str_sub(d, 2, d.n), &n) || n > 1 << 20)
        return fail(e, INVALID, ".npy header: unknown type '%.*s'", STR(d));
    *out = (struct element){.bytes = (size_t)n, .swap = d.p[0] == '>'};
    if (d.p[1] == 'S' || d.p[1] == 'U') {
        out->dtype = DT_STRING;
        out->wide_text = d.p[1] == 'U';
        out->bytes *= out->wide_text ? UNICODE_BYTES : 1;
        return OK;
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].kind == d.p[1] && types[i].bytes == n) {
            out->dtype = types[i].dtype;
            return OK;
        }
    return fail(e, UNSUPPORTED, ".npy type '%.*s' is not supported", STR(d));
}

/* --- the data --- */

static void swap_elements(uint8_t *p, size_t count, size_t bytes) {
    for (size_t i = 0; i < count; i++, p += bytes)
        for (size_t k = 0; k < bytes / 2; k++) {
            uint8_t one = p[k];
            p[k] = p[bytes - 1 - k];
            p[bytes - 1 - k] = one;
        }
}

/* Fortran order to C order: walks the C order, counting up the index. */
static void reorder(const struct shape *s, const uint8_t *from, uint8_t *to, size_t count,
                    size_t bytes) {
    size_t index[SHAPE_MAX] = {0}, stride[SHAPE_MAX], step = bytes;
    for (int d = 0; d < s->rank; d++) {
        stride[d] = step;
        step *= (size_t)s->dims[d];
    }
    for (size_t i = 0, at = 0; i < count; i++, to += bytes) {
        memcpy(to, from + at, bytes);
        for (int d = s->rank - 1; d >= 0; d--) {
            at += stride[d];
            if (++index[d] < (size_t)s->dims[d])
                break;
            at -= stride[d] * (size_t)s->dims[d];
            index[d] = 0;
        }
    }
}

static enum code read_strings(const uint8_t *p, const struct element *el, size_t count,
                              struct arena *a, struct tensor *out, struct err *e) {
    struct str *text = ARENA_ARRAY(a, count + 1, struct str);
    if (!text)
        return arena_fail(a, count * sizeof *text, ".npy", e);
    for (size_t i = 0; i < count; i++, p += el->bytes) {
        size_t n = 0;
        char *to = arena_push(a, el->bytes + 1);
        if (!to)
            return arena_fail(a, el->bytes, ".npy text", e);
        for (size_t k = 0; k < el->bytes; k += el->wide_text ? UNICODE_BYTES : 1) {
            uint32_t c = p[k];
            if (el->wide_text)
                c = el->swap ? (uint32_t)p[k] << 24 | (uint32_t)p[k + 1] << 16 |
                                   (uint32_t)p[k + 2] << 8 | p[k + 3]
                             : (uint32_t)p[k + 3] << 24 | (uint32_t)p[k + 2] << 16 |
                                   (uint32_t)p[k + 1] << 8 | p[k];
            if (el->wide_text && c)
                n += utf8_put(c, to + n);
            else if (c)
                to[n++] = (char)c;
        }
        text[i] = (struct str){to, n};
    }
    out->data = text;
    return OK;
}

static enum code read_data(struct span data, const struct header *h, const struct element *el,
                           struct arena *a, struct tensor *out, struct err *e) {
    size_t count, bytes,
        align = el->dtype == DT_STRING
                    ? 1
                    : el->bytes / (el->dtype == DT_C64 || el->dtype == DT_C128 ? 2 : 1);
    char text[SHAPE_TEXT];
    if (!shape_count(&h->shape, &count) || !mul_size(count, el->bytes, &bytes) || bytes != data.n)
        return fail(e, INVALID, ".npy of shape %s and type '%.*s': %zu bytes of data do not fit",
                    shape_print(&h->shape, text), STR(h->descr), data.n);
    *out = (struct tensor){.dtype = el->dtype, .shape = h->shape};
    const uint8_t *from = data.p;
    bool ordered = !h->fortran || h->shape.rank < 2;
    bool swap = el->swap && align > 1;
    if (!ordered || swap || (align > 1 && (uintptr_t)from % align)) {
        uint8_t *copy = arena_push_aligned(a, bytes + 1, MEM_LINE);
        if (!copy)
            return arena_fail(a, bytes, ".npy", e);
        if (ordered)
            memcpy(copy, from, bytes);
        else
            reorder(&h->shape, from, copy, count, el->bytes);
        if (swap)
            swap_elements(copy, bytes / align, align);
        from = copy;
    }
    if (el->dtype == DT_STRING)
        return read_strings(from, el, count, a, out, e);
    out->data = (void *)(uintptr_t)from;
    return OK;
}

enum code npy_read(struct span b, struct arena *a, struct tensor *out, struct err *e) {
    struct header h;
    struct element el;
    if (!npy_is(b))
        return fail(e, INVALID, "not a .npy file");
    int major = b.p[MAGIC];
    size_t width = major == 1 ? 2 : 4, start = MAGIC + 2 + width;
    if (major < 1 || major > 3)
        return fail(e, UNSUPPORTED, ".npy version %d.%d is not known", major, b.p[MAGIC + 1]);
    if (b.n < start)
        return fail(e, INVALID, ".npy ends inside its header");
    size_t n = b.p[8] | (size_t)b.p[9] << 8;
    if (width == 4)
        n |= (size_t)b.p[10] << 16 | (size_t)b.p[11] << 24;
    if (n > HEADER_MAX || n > b.n - start)
        return fail(e, INVALID, ".npy header of %zu bytes: the file has %zu, the limit is %d", n,
                    b.n - start, HEADER_MAX);
    TRY(read_header((struct str){(const char *)b.p + start, n}, &h, e));
    TRY(read_descr(h.descr, &el, e));
    start += n;
    struct tensor t = {0};
    TRY(read_data((struct span){b.p + start, b.n - start}, &h, &el, a, &t, e));
    if (t.dtype == DT_BOOL) {
        const uint8_t *p = t.data;
        for (size_t i = 0; i < tensor_count(&t); i++)
            if (p[i] > 1)
                return fail(e, INVALID, ".npy of bool: byte %zu is %d", i, p[i]);
    }
    *out = t;
    return OK;
}

/* --- writing --- */

static const char *descr_of(enum dtype t, char text[8]) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].dtype == t) {
            snprintf(text, 8, "%c%c%zu", types[i].bytes == 1 ? '|' : '<', types[i].kind,
                     types[i].bytes);
            return text;
        }
    return NULL;
}

enum code npy_head(const struct tensor *t, struct npy_head *out, struct err *e) {
    char descr[8], dims[192] = "";
    size_t used = 0, start = MAGIC + 2 + 2;
    if (!descr_of(t->dtype, descr))
        return fail(e, UNSUPPORTED, ".npy has no type for %s", dtype_name(t->dtype));
    for (int d = 0; d < t->shape.rank; d++)
        used += (size_t)snprintf(dims + used, sizeof dims - used, "%lld,%s",
                                 (long long)t->shape.dims[d], d + 1 < t->shape.rank ? " " : "");
    memset(out->bytes, ' ', sizeof out->bytes);
    size_t n =
        (size_t)snprintf(out->bytes + start, sizeof out->bytes - start,
                         "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, dims);
    out->bytes[start + n] = ' ';
    out->n = mem_round_up(start + n + 1, 64);
    out->bytes[out->n - 1] = '\n';
    memcpy(out->bytes, "\x93NUMPY\x01\x00", MAGIC + 2);
    out->bytes[8] = (char)((out->n - start) & 0xff);
    out->bytes[9] = (char)((out->n - start) >> 8);
    return OK;
}
