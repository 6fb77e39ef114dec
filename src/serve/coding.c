/* SPDX-License-Identifier: Apache-2.0 */
/* Content codings on zlib and libzstd: see coding.h. Output grows in steps, so a small body that
 * inflates without end is stopped at the cap and never holds more. */
#include "serve/coding.h"

#include "base/late.h"
#include "base/mem.h"

#define ZSTD_STATIC_LINKING_ONLY /* its memory by ours */
#include <zlib.h>
#include <zstd.h>

/* clang-format off */
#define FUNCTIONS(X) \
    X(ZSTD_createDStream_advanced) X(ZSTD_isError) X(ZSTD_DCtx_setParameter) \
    X(ZSTD_freeDStream) X(ZSTD_decompressStream) X(ZSTD_getErrorName)
/* clang-format on */
static struct { FUNCTIONS(LATE_FIELD) } lib;
static struct late zstd = LATE("libzstd.so.1", FUNCTIONS);

enum {
    STEP_BYTES = 64 << 10,
    GZIP_WINDOW = 15 + 16,
    ZLIB_WINDOW = 15,
    RAW_WINDOW = -15,
    ZSTD_WINDOW_LOG = 23
};

static struct str trim(struct str s) {
    while (s.n && (*s.p == ' ' || *s.p == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

static enum coding one(struct str name) {
    name = trim(name);
    if (name.n == 0 || str_eq_nocase(name, LIT("identity")))
        return CODING_NONE;
    if (str_eq_nocase(name, LIT("gzip")) || str_eq_nocase(name, LIT("x-gzip")))
        return CODING_GZIP;
    if (str_eq_nocase(name, LIT("zstd")))
        return CODING_ZSTD;
    return str_eq_nocase(name, LIT("deflate")) ? CODING_DEFLATE : CODING_UNKNOWN;
}

enum coding coding_of(struct str header) { return one(header); }

static bool refused(struct str parameters) { /* ";q=0", ";q=0.0" */
    size_t at;
    if (!str_find(parameters, '=', &at))
        return false;
    double q = 1;
    return str_to_f64(trim(str_sub(parameters, at + 1, parameters.n)), &q) && q <= 0;
}

enum coding coding_accepted(struct str header, bool *only) {
    enum coding best = CODING_NONE;
    int named = 0;
    while (header.n) {
        size_t end = header.n, split;
        str_find(header, ',', &end);
        struct str item = str_sub(header, 0, end);
        header = str_sub(header, end + 1, header.n);
        struct str name = item, parameters = {0};
        if (str_find(item, ';', &split)) {
            name = str_sub(item, 0, split);
            parameters = str_sub(item, split, item.n);
        }
        if (refused(parameters) || trim(name).n == 0)
            continue;
        named++;
        enum coding c = one(name);
        if (c == CODING_GZIP || (c == CODING_DEFLATE && best != CODING_GZIP))
            best = c;
    }
    *only = named == 1 && best != CODING_NONE;
    return best;
}

const char *coding_name(enum coding c) {
    switch (c) {
    case CODING_GZIP: return "gzip";
    case CODING_DEFLATE: return "deflate";
    case CODING_ZSTD: return "zstd";
    case CODING_NONE:
    case CODING_UNKNOWN: break;
    }
    return "identity";
}

static void *zlib_alloc(void *opaque, unsigned count, unsigned size) {
    (void)opaque;
    return mem_zalloc(count, size);
}

static void zlib_free(void *opaque, void *p) {
    (void)opaque;
    mem_free(p);
}

static int window_of(enum coding c, struct span in) {
    if (c == CODING_GZIP)
        return GZIP_WINDOW;
    bool zlib = in.n >= 2 && (in.p[0] & 0x0f) == Z_DEFLATED &&
                (in.p[0] << 8 | in.p[1]) % 31 == 0; /* RFC 1950 §2.2 */
    return zlib ? ZLIB_WINDOW : RAW_WINDOW;
}

/* zlib counts in 32 bits: long input goes in by pieces. */
static void feed(z_stream *z, struct span *in) {
    if (z->avail_in || !in->n)
        return;
    size_t n = in->n < (size_t)1 << 30 ? in->n : (size_t)1 << 30;
    z->next_in = (Bytef *)(uintptr_t)in->p;
    z->avail_in = (uInt)n;
    in->p += n;
    in->n -= n;
}

static enum code inflate_all(z_stream *z, struct span in, struct buf *out, struct err *e) {
    for (int code = Z_OK; code != Z_STREAM_END;) {
        feed(z, &in);
        if (out->n == out->cap_bytes)
            return fail(e, TOO_LARGE,
                        "the body inflates beyond the limit of %zu bytes (--max-body)",
                        out->cap_bytes);
        size_t step = out->cap_bytes - out->n < STEP_BYTES ? out->cap_bytes - out->n : STEP_BYTES;
        if (!buf_reserve(out, step))
            return buf_check(out, "inflated body", e);
        z->next_out = (Bytef *)out->p + out->n;
        z->avail_out = (uInt)step;
        code = inflate(z, Z_NO_FLUSH);
        out->n += step - z->avail_out;
        if (code == Z_BUF_ERROR || (code == Z_OK && z->avail_out && !in.n && !z->avail_in))
            return fail(e, INVALID, "the compressed body ends too early");
        if (code != Z_OK && code != Z_STREAM_END)
            return fail(e, INVALID, "the compressed body is damaged: %s",
                        z->msg ? z->msg : "not a deflate stream");
    }
    if (in.n || z->avail_in)
        return fail(e, INVALID, "%zu bytes follow the compressed body", in.n + z->avail_in);
    return OK;
}

/* Frames one after the other are one body (RFC 8878 §3). The window a frame asks for is bounded: it
 * is memory beside the output. */
static enum code unzstd_all(ZSTD_DStream *z, struct span in, struct buf *out, struct err *e) {
    ZSTD_inBuffer from = {in.p, in.n, 0};
    for (size_t left = 1; left || from.pos < from.size;) {
        if (out->n == out->cap_bytes && left)
            return fail(e, TOO_LARGE,
                        "the body inflates beyond the limit of %zu bytes (--max-body)",
                        out->cap_bytes);
        size_t room = out->cap_bytes - out->n < STEP_BYTES ? out->cap_bytes - out->n : STEP_BYTES;
        if (!buf_reserve(out, room))
            return buf_check(out, "inflated body", e);
        ZSTD_outBuffer to = {out->p + out->n, room, 0};
        size_t taken = from.pos;
        left = lib.ZSTD_decompressStream(z, &to, &from);
        if (lib.ZSTD_isError(left))
            return fail(e, INVALID, "the compressed body is damaged: %s",
                        lib.ZSTD_getErrorName(left));
        out->n += to.pos;
        if (left && from.pos == from.size && to.pos < room && taken == from.pos)
            return fail(e, INVALID, "the compressed body ends too early");
    }
    return OK;
}

static void *zstd_alloc(void *opaque, size_t bytes) {
    (void)opaque;
    return mem_alloc(bytes);
}

static enum code undo_zstd(struct span in, struct buf *out, struct err *e) {
    TRY(late_want(&zstd, "a body compressed by zstd", e));
    ZSTD_DStream *z =
        lib.ZSTD_createDStream_advanced((ZSTD_customMem){zstd_alloc, zlib_free, NULL});
    if (!z ||
        lib.ZSTD_isError(lib.ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG))) {
        lib.ZSTD_freeDStream(z);
        return fail(e, NOMEM, "compressed body: out of memory");
    }
    enum code code = unzstd_all(z, in, out, e);
    lib.ZSTD_freeDStream(z);
    return code;
}

enum code coding_undo(enum coding c, struct span in, struct buf *out, struct err *e) {
    if (c == CODING_ZSTD)
        return undo_zstd(in, out, e);
    z_stream z = {.zalloc = zlib_alloc, .zfree = zlib_free};
    if (inflateInit2(&z, window_of(c, in)) != Z_OK)
        return fail(e, NOMEM, "compressed body: out of memory");
    enum code code = inflate_all(&z, in, out, e);
    inflateEnd(&z);
    return code;
}

static enum code deflate_part(z_stream *z, struct span in, int flush, struct buf *out,
                              struct err *e) {
    do {
        feed(z, &in);
        if (!buf_reserve(out, STEP_BYTES))
            return buf_check(out, "compressed answer", e);
        z->next_out = (Bytef *)out->p + out->n;
        z->avail_out = STEP_BYTES;
        if (deflate(z, in.n ? Z_NO_FLUSH : flush) == Z_STREAM_ERROR)
            return fail(e, INTERNAL, "deflate: stream error");
        out->n += STEP_BYTES - z->avail_out;
    } while (in.n || z->avail_in || z->avail_out == 0);
    return OK;
}

enum code coding_apply(enum coding c, const struct span *parts, int n_parts, struct buf *out,
                       struct err *e) {
    z_stream z = {.zalloc = zlib_alloc, .zfree = zlib_free};
    int window = c == CODING_GZIP ? GZIP_WINDOW : ZLIB_WINDOW;
    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return fail(e, NOMEM, "compressed answer: out of memory");
    enum code code = OK;
    for (int i = 0; i < n_parts && code == OK; i++)
        code = deflate_part(&z, parts[i], Z_NO_FLUSH, out, e);
    if (code == OK)
        code = deflate_part(&z, (struct span){0}, Z_FINISH, out, e);
    deflateEnd(&z);
    return code;
}
