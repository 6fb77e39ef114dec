/* SPDX-License-Identifier: Apache-2.0 */
/* JSON writer: see json.h. What goes wrong (no memory, over the cap, nested deeper than JSON_DEPTH)
 * sticks in the buf.
 *
 * Tensors are written a chunk at a time with room for the longest numbers made first, so that the
 * loop over elements has no check but its own. */
#include "base/json.h"

#include "base/shortest.h"
#include "base/utf8.h"

void json_out_init(struct json_out *w, struct buf *b, unsigned indent) {
    *w = (struct json_out){.b = b, .indent = indent};
}

/* --- layout --- */

static void new_line(struct json_out *w) {
    if (!w->indent)
        return;
    size_t n = (size_t)w->indent * w->depth;
    char *to = buf_extend(w->b, n + 1);
    if (to) {
        to[0] = '\n';
        memset(to + 1, ' ', n);
    }
}

/* What stands before a value or a key: nothing after a key, else a comma and a line where due. */
static void before(struct json_out *w) {
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->comma[w->depth])
        buf_put_byte(w->b, ',');
    w->comma[w->depth] = true;
    if (w->depth)
        new_line(w);
}

static void open_with(struct json_out *w, char bracket) {
    before(w);
    buf_put_byte(w->b, bracket);
    if (w->depth < JSON_DEPTH)
        w->comma[++w->depth] = false;
    else if (w->b->code == OK)
        w->b->code = ERR_LIMIT;
}

static void close_with(struct json_out *w, char bracket) {
    if (w->depth == 0)
        return;
    bool empty = !w->comma[w->depth];
    w->depth--;
    if (!empty)
        new_line(w);
    buf_put_byte(w->b, bracket);
}

void json_put_object(struct json_out *w) { open_with(w, '{'); }
void json_put_object_end(struct json_out *w) { close_with(w, '}'); }
void json_put_array(struct json_out *w) { open_with(w, '['); }
void json_put_array_end(struct json_out *w) { close_with(w, ']'); }

/* --- strings --- */

/* Bytes that may stand as they are: valid UTF-8 without controls, quotes, backslashes. */
static size_t clean_run(const char *p, size_t n) {
    size_t at = 0;
    while (at < n) {
        unsigned char c = (unsigned char)p[at];
        if (c < 0x20 || c == '"' || c == '\\')
            break;
        size_t step = c < 0x80 ? 1 : utf8_length(p + at, n - at);
        if (step == 0)
            break;
        at += step;
    }
    return at;
}

static void put_escape(struct buf *b, unsigned char c) {
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *hit = c ? strchr(from, c) : NULL;
    if (hit)
        buf_put(b, (char[]){'\\', to[hit - from]}, 2);
    else if (c < 0x20)
        buf_printf(b, "\\u%04x", c);
    else
        buf_put_text(b, "\xef\xbf\xbd"); /* U+FFFD for a byte that is no UTF-8 */
}

static void put_quoted(struct buf *b, struct str text) {
    buf_put_byte(b, '"');
    for (size_t at = 0; at < text.n; at++) {
        size_t n = clean_run(text.p + at, text.n - at);
        buf_put(b, text.p + at, n);
        at += n;
        if (at < text.n)
            put_escape(b, (unsigned char)text.p[at]);
    }
    buf_put_byte(b, '"');
}

void json_put_key_str(struct json_out *w, struct str key) {
    before(w);
    put_quoted(w->b, key);
    buf_put_text(w->b, w->indent ? ": " : ":");
    w->after_key = true;
}

void json_put_key(struct json_out *w, const char *key) { json_put_key_str(w, str_of(key)); }

void json_put_str(struct json_out *w, struct str text) {
    before(w);
    put_quoted(w->b, text);
}

void json_put_text(struct json_out *w, const char *text) { json_put_str(w, str_of(text)); }

/* --- scalars --- */

void json_put_raw(struct json_out *w, struct str json) {
    before(w);
    buf_put_str(w->b, json);
}

static void put_span(struct json_out *w, const char *from, const char *to) {
    json_put_raw(w, (struct str){from, (size_t)(to - from)});
}

void json_put_i64(struct json_out *w, int64_t v) {
    char text[SHORTEST_ROOM];
    put_span(w, text, shortest_i64(v, text));
}

void json_put_u64(struct json_out *w, uint64_t v) {
    char text[SHORTEST_ROOM];
    put_span(w, text, shortest_u64(v, text));
}

void json_put_f32(struct json_out *w, float v) {
    char text[SHORTEST_ROOM];
    put_span(w, text, shortest_f32(v, text));
}

void json_put_f64(struct json_out *w, double v) {
    char text[SHORTEST_ROOM];
    put_span(w, text, shortest_f64(v, text));
}

void json_put_bool(struct json_out *w, bool v) { json_put_raw(w, v ? LIT("true") : LIT("false")); }
void json_put_null(struct json_out *w) { json_put_raw(w, LIT("null")); }

void json_put_member_text(struct json_out *w, const char *key, const char *text) {
    json_put_key(w, key);
    json_put_text(w, text);
}

void json_put_member_str(struct json_out *w, const char *key, struct str text) {
    json_put_key(w, key);
    json_put_str(w, text);
}

void json_put_member_i64(struct json_out *w, const char *key, int64_t v) {
    json_put_key(w, key);
    json_put_i64(w, v);
}

void json_put_member_f64(struct json_out *w, const char *key, double v) {
    json_put_key(w, key);
    json_put_f64(w, v);
}

void json_put_member_bool(struct json_out *w, const char *key, bool v) {
    json_put_key(w, key);
    json_put_bool(w, v);
}

/* --- tensors --- */

/* Prints n elements with a comma before each, into room for n * (SHORTEST_ROOM + 1) bytes. */
typedef char *row_fn(const void *data, size_t n, char *out);

static inline char *print_bool(uint8_t v, char *out) {
    memcpy(out, v ? "true" : "false", 5);
    return out + (v ? 4 : 5);
}

#define ROW(noun, type, print)                                                                     \
    static char *row_##noun(const void *data, size_t n, char *out) {                               \
        const unsigned char *from = data;                                                          \
        for (size_t at = 0; at < n; at++) {                                                        \
            type v;                                                                                \
            memcpy(&v, from + at * sizeof v, sizeof v);                                            \
            *out++ = ',';                                                                          \
            out = print(v, out);                                                                   \
        }                                                                                          \
        return out;                                                                                \
    }

ROW(f32, float, shortest_f32)
ROW(f64, double, shortest_f64)
ROW(i8, int8_t, shortest_i64)
ROW(i16, int16_t, shortest_i64)
ROW(i32, int32_t, shortest_i64)
ROW(i64, int64_t, shortest_i64)
ROW(u8, uint8_t, shortest_u64)
ROW(u16, uint16_t, shortest_u64)
ROW(u32, uint32_t, shortest_u64)
ROW(u64, uint64_t, shortest_u64)
ROW(bool, uint8_t, print_bool)

static row_fn *const rows[] = {
    [JN_F32] = row_f32, [JN_F64] = row_f64, [JN_I8] = row_i8,     [JN_I16] = row_i16,
    [JN_I32] = row_i32, [JN_I64] = row_i64, [JN_U8] = row_u8,     [JN_U16] = row_u16,
    [JN_U32] = row_u32, [JN_U64] = row_u64, [JN_BOOL] = row_bool,
};

enum { CHUNK = 512, ELEMENT_ROOM = SHORTEST_ROOM + 1 };

struct walk { /* over a tensor's dims */
    struct buf *b;
    row_fn *row;
    size_t size;               /* bytes of an element */
    const unsigned char *next; /* borrowed */
    const int64_t *dims;
    int rank;
};

/* n numbers with commas between. Near the cap the room is made on the stack, number by number. */
static void put_row(struct walk *t, size_t n) {
    size_t first = t->b->n;
    while (n && t->b->code == OK) {
        size_t part = n < CHUNK ? n : CHUNK;
        char small[ELEMENT_ROOM];
        if (t->b->cap_bytes - t->b->n < part * ELEMENT_ROOM) {
            part = 1;
            buf_put(t->b, small, (size_t)(t->row(t->next, part, small) - small));
        } else if (buf_reserve(t->b, part * ELEMENT_ROOM)) {
            char *end = t->b->p + t->b->n;
            t->b->n += (size_t)(t->row(t->next, part, end) - end);
        }
        t->next += part * t->size;
        n -= part;
    }
    if (t->b->n > first) /* the comma before the first number becomes the bracket */
        t->b->p[first] = '[';
}

static void put_level(struct walk *t, int level) {
    int64_t n = t->dims[level];
    if (level == t->rank - 1 && n > 0)
        put_row(t, (size_t)n);
    else
        buf_put_byte(t->b, '[');
    if (level < t->rank - 1)
        for (int64_t item = 0; item < n && t->b->code == OK; item++) {
            if (item)
                buf_put_byte(t->b, ',');
            put_level(t, level + 1);
        }
    buf_put_byte(t->b, ']');
}

void json_put_tensor(struct json_out *w, enum json_number type, const void *data, int rank,
                     const int64_t *dims) {
    before(w);
    if (rank > 0) {
        struct walk t = {w->b, rows[type], json_number_size(type), data, dims, rank};
        put_level(&t, 0);
        return;
    }
    char small[ELEMENT_ROOM], *end = rows[type](data, 1, small);
    buf_put(w->b, small + 1, (size_t)(end - small) - 1);
}
