/* SPDX-License-Identifier: Apache-2.0 */
/* The double array is darts-clone's: a unit holds, from below, its label (8 bits, and the sign
 * bit), "a key ends here" (bit 8), and the offset to its children (22 bits, shifted by 8 where bit
 * 9 is set). A child is at (unit's place ^ offset ^ byte) and bears that byte as its label; the
 * child of byte 0 holds the value. */
#include "llm/charsmap.h"

enum { HEAD = 4, UNIT = 4 };

static uint32_t unit_at(const struct charsmap *m, uint32_t i) {
    const uint8_t *p = (const uint8_t *)m->units.p + (size_t)i * UNIT;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t offset_of(uint32_t unit) { return unit >> 10 << ((unit & 1u << 9) >> 6); }

static bool ends_here(uint32_t unit) { return unit >> 8 & 1; }

enum code charsmap_open(struct str bytes, struct charsmap *out, struct err *e) {
    struct charsmap m = {.units = {bytes.p, HEAD}};
    uint32_t n = bytes.n < HEAD ? 0 : unit_at(&m, 0);
    if (n < UNIT || n % UNIT || n > bytes.n - HEAD)
        return fail(e, FORMAT, "precompiled_charsmap: %zu bytes are no table of character mappings",
                    bytes.n);
    out->units = str_sub(bytes, HEAD, HEAD + n);
    out->texts = str_sub(bytes, HEAD + n, bytes.n);
    return OK;
}

/* The text at an offset, up to its NUL or the end; false: beyond the end. */
static bool text_at(const struct charsmap *m, uint32_t at, struct str *out) {
    if (at >= m->texts.n)
        return false;
    const char *p = m->texts.p + at, *end = memchr(p, 0, m->texts.n - at);
    *out = (struct str){p, end ? (size_t)(end - p) : m->texts.n - at};
    return true;
}

size_t charsmap_find(const struct charsmap *m, struct str text, bool longest, struct str *out) {
    const size_t n_units = m->units.n / UNIT;
    size_t found = 0;
    uint32_t at = n_units ? offset_of(unit_at(m, 0)) : 0;
    for (size_t i = 0; i < text.n && text.p[i]; i++) {
        uint8_t byte = (uint8_t)text.p[i];
        at ^= byte;
        if (at >= n_units)
            break;
        uint32_t unit = unit_at(m, at);
        if ((unit & (1u << 31 | 0xff)) != byte)
            break;
        at ^= offset_of(unit);
        if (ends_here(unit) && at < n_units && text_at(m, unit_at(m, at) & INT32_MAX, out)) {
            found = i + 1;
            if (!longest)
                break;
        }
    }
    return found;
}
