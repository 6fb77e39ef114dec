/* SPDX-License-Identifier: Apache-2.0 */
/* ZIP: see zip.h. Section numbers are APPNOTE's. */
#include "base/zip.h"

#include <string.h>
#include <zlib.h>

enum { END_BYTES = 22, ENTRY_BYTES = 46, LOCAL_BYTES = 30, COMMENT_MAX = 65535 };

static unsigned u16(const uint8_t *p) { return (unsigned)p[0] | (unsigned)p[1] << 8; }
static uint32_t u32(const uint8_t *p) { return (uint32_t)u16(p) | (uint32_t)u16(p + 2) << 16; }

bool zip_is(struct span b) { return b.n >= 4 && memcmp(b.p, "PK\3\4", 4) == 0; }

/* The end record (§4.3.16) lies behind everything but its own comment. */
static const uint8_t *find_end(struct span b) {
    if (b.n < END_BYTES)
        return NULL;
    size_t last = b.n - END_BYTES, first = last > COMMENT_MAX ? last - COMMENT_MAX : 0;
    for (size_t at = last + 1; at-- > first;)
        if (memcmp(b.p + at, "PK\5\6", 4) == 0 && u16(b.p + at + 20) == b.n - at - END_BYTES)
            return b.p + at;
    return NULL;
}

enum code zip_open(struct span bytes, struct zip *out, struct err *e) {
    const uint8_t *end = find_end(bytes);
    if (!end)
        return fail(e, FORMAT, "ZIP: no end of directory: it is cut off, or no archive");
    if (u16(end + 4) || u16(end + 6) || u16(end + 8) != u16(end + 10))
        return fail(e, UNSUPPORTED, "ZIP: an archive of several files");
    if (u16(end + 10) == 0xffff || u32(end + 16) == 0xffffffff)
        return fail(e, UNSUPPORTED, "ZIP: ZIP64 archives are not read");
    size_t at = u32(end + 16), size = u32(end + 12);
    if (at > bytes.n || size > bytes.n - at)
        return fail(e, FORMAT, "ZIP: the directory lies beyond the end");
    *out = (struct zip){.bytes = bytes, .at = at, .entries = u16(end + 10)};
    return OK;
}

static bool leaves_folder(struct str name) {
    for (size_t at = 0; at < name.n;) {
        size_t end = at;
        while (end < name.n && name.p[end] != '/')
            end++;
        if (end - at == 2 && name.p[at] == '.' && name.p[at + 1] == '.')
            return true;
        at = end + 1;
    }
    return name.n == 0 || name.p[0] == '/' || memchr(name.p, '\\', name.n) ||
           memchr(name.p, 0, name.n);
}

enum code zip_next(struct zip *z, struct zip_entry *out, bool *more, struct err *e) {
    *more = z->entries > 0;
    if (!*more)
        return OK;
    if (z->bytes.n - z->at < ENTRY_BYTES || memcmp(z->bytes.p + z->at, "PK\1\2", 4) != 0)
        return fail(e, FORMAT, "ZIP: the directory is damaged at byte %zu", z->at);
    const uint8_t *p = z->bytes.p + z->at; /* §4.3.12 */
    size_t name = u16(p + 28), tail = name + u16(p + 30) + u16(p + 32);
    if (tail > z->bytes.n - z->at - ENTRY_BYTES)
        return fail(e, FORMAT, "ZIP: an entry of the directory goes beyond the end");
    struct zip_entry entry = {.name = {(const char *)p + ENTRY_BYTES, name},
                              .packed = u32(p + 20),
                              .size = u32(p + 24),
                              .method = u16(p + 10),
                              .crc = u32(p + 16),
                              .local = u32(p + 42)};
    if (leaves_folder(entry.name))
        return fail(e, DENIED, "ZIP: entry '%.*s' would leave its folder",
                    STR(str_sub(entry.name, 0, 100)));
    if (u16(p + 8) & 1)
        return fail(e, UNSUPPORTED, "ZIP: entry '%.*s' is encrypted",
                    STR(str_sub(entry.name, 0, 100)));
    *out = entry;
    z->at += ENTRY_BYTES + tail;
    z->entries--;
    return OK;
}

/* The packed bytes, behind the local header (§4.3.7). */
static enum code find_data(const struct zip *z, const struct zip_entry *entry, struct span *out,
                           struct err *e) {
    if (entry->local > z->bytes.n || z->bytes.n - entry->local < LOCAL_BYTES ||
        memcmp(z->bytes.p + entry->local, "PK\3\4", 4) != 0)
        return fail(e, FORMAT, "ZIP: entry '%.*s' is not where the directory says",
                    STR(str_sub(entry->name, 0, 100)));
    const uint8_t *p = z->bytes.p + entry->local;
    size_t at = entry->local + LOCAL_BYTES + (size_t)u16(p + 26) + (size_t)u16(p + 28);
    if (at > z->bytes.n || entry->packed > z->bytes.n - at)
        return fail(e, FORMAT, "ZIP: entry '%.*s' goes beyond the end",
                    STR(str_sub(entry->name, 0, 100)));
    *out = (struct span){z->bytes.p + at, entry->packed};
    return OK;
}

static bool inflate_all(struct span from, uint8_t *to, size_t n) {
    z_stream s = {.next_in = (Bytef *)(uintptr_t)from.p,
                  .avail_in = (uInt)from.n,
                  .next_out = to,
                  .avail_out = (uInt)n};
    if (inflateInit2(&s, -MAX_WBITS) != Z_OK)
        return false;
    int code = inflate(&s, Z_FINISH);
    inflateEnd(&s);
    return code == Z_STREAM_END && s.avail_out == 0;
}

enum code zip_read(const struct zip *z, const struct zip_entry *entry, size_t cap_bytes,
                   struct arena *a, struct span *out, struct err *e) {
    struct str name = str_sub(entry->name, 0, 100);
    struct span packed;
    TRY(find_data(z, entry, &packed, e));
    if (entry->size > cap_bytes)
        return fail(e, LIMIT, "ZIP: entry '%.*s' has %zu bytes, the limit is %zu", STR(name),
                    entry->size, cap_bytes);
    if (entry->method == 0 && entry->size == entry->packed) {
        *out = packed;
    } else if (entry->method == 8) {
        uint8_t *p = arena_push(a, entry->size + 1);
        if (!p)
            return arena_fail(a, entry->size, "ZIP entry", e);
        if (!inflate_all(packed, p, entry->size))
            return fail(e, FORMAT, "ZIP: the deflated bytes of entry '%.*s' are damaged",
                        STR(name));
        *out = (struct span){p, entry->size};
    } else {
        return fail(e, UNSUPPORTED,
                    "ZIP: entry '%.*s' is packed by method %u; stored and deflated "
                    "ones are read",
                    STR(name), entry->method);
    }
    if (crc32(crc32(0, NULL, 0), out->p, (uInt)out->n) != entry->crc)
        return fail(e, FORMAT, "ZIP: the checksum of entry '%.*s' is wrong", STR(name));
    return OK;
}
