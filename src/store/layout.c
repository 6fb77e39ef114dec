/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting files into blobs: see layout.h.
 *
 * One walk over the files with a pen that is always at the end of the packed blob. Room for the
 * worst case is taken first, so the walk itself cannot fail for memory: a file with p pieces has at
 * most 2p + 1 segments. */
#include "store/layout.h"

struct pen {
    const struct store_new *n;
    struct layout *l;
    struct layout_extent *packed, *single; /* extents of blob 0; one for each other blob */
    size_t n_packed, n_single;
    uint64_t packed_size;
    bool begins; /* the next packed bytes start a file or a piece: align them */
};

static enum code check_counts(const struct store_new *n, size_t *n_pieces, struct err *e) {
    size_t pieces = 0;
    if (n->n_sources > LAYOUT_SOURCES)
        return fail(e, LIMIT, "%zu files in one version, limit %d", n->n_sources, LAYOUT_SOURCES);
    if (n->n_parts > LAYOUT_PARTS)
        return fail(e, LIMIT, "%zu parts in one version, limit %d", n->n_parts, LAYOUT_PARTS);
    for (size_t file = 0; file < n->n_sources; file++) {
        if (n->sources[file].n_pieces > LAYOUT_PIECES - pieces)
            return fail(e, LIMIT, "more than %d pieces in one version", LAYOUT_PIECES);
        pieces += n->sources[file].n_pieces;
    }
    *n_pieces = pieces;
    return OK;
}

static enum code take_room(struct pen *pen, size_t n_pieces, struct arena *a, struct err *e) {
    struct layout *l = pen->l;
    size_t n_segments = 2 * n_pieces + pen->n->n_sources, n_single = n_pieces + pen->n->n_parts;
    l->segments = ARENA_ARRAY(a, n_segments, struct layout_segment);
    pen->packed = ARENA_ARRAY(a, 2 * n_segments, struct layout_extent);
    pen->single = ARENA_ARRAY(a, n_single, struct layout_extent);
    l->blobs = ARENA_ARRAY(a, n_single + 1, struct layout_blob);
    l->part_blobs = ARENA_ARRAY(a, pen->n->n_parts, uint32_t);
    if (!l->segments || !pen->packed || !pen->single || !l->blobs || !l->part_blobs)
        return arena_fail(a, n_segments * sizeof *l->segments, "the layout of a version", e);
    return OK;
}

static void put_packed(struct pen *pen, uint32_t file, uint64_t offset, uint64_t length) {
    if (length == 0)
        return;
    struct layout *l = pen->l;
    const uint8_t *bytes = pen->n->sources[file].bytes.p + offset;
    size_t pad = pen->begins ? (size_t)(-pen->packed_size & (LAYOUT_ALIGN - 1)) : 0;
    struct layout_segment *last = l->n_segments ? &l->segments[l->n_segments - 1] : NULL;
    if (pad == 0 && last && last->file == file && last->blob == 0 &&
        last->offset + last->length == offset) {
        last->length += length; /* goes on where the last one ended, in the file and in the blob */
        pen->packed[pen->n_packed - 1].n += (size_t)length;
    } else {
        if (pad)
            pen->packed[pen->n_packed++] = (struct layout_extent){NULL, pad};
        pen->packed_size += pad;
        pen->packed[pen->n_packed++] = (struct layout_extent){bytes, (size_t)length};
        l->segments[l->n_segments++] = (struct layout_segment){
            .file = file, .blob = 0, .offset = offset, .length = length, .at = pen->packed_size};
    }
    pen->packed_size += length;
    pen->begins = false;
}

static uint32_t put_blob(struct pen *pen, struct span bytes) {
    struct layout_extent *one = &pen->single[pen->n_single++];
    *one = (struct layout_extent){bytes.p, bytes.n};
    struct layout *l = pen->l;
    l->blobs[l->n_blobs] = (struct layout_blob){.extents = one, .n_extents = 1, .size = bytes.n};
    return (uint32_t)l->n_blobs++;
}

static enum code put_source(struct pen *pen, uint32_t file, struct err *e) {
    const struct store_source *s = &pen->n->sources[file];
    uint64_t at = 0;
    pen->begins = true;
    for (size_t i = 0; i < s->n_pieces; i++) {
        struct store_piece p = s->pieces[i];
        if (p.offset > s->bytes.n || p.length > s->bytes.n - p.offset)
            return fail(
                e, INVALID,
                "'%.*s': piece %zu (offset %llu, %llu bytes) reaches past the file's %zu bytes",
                STR(s->name), i, (unsigned long long)p.offset, (unsigned long long)p.length,
                s->bytes.n);
        if (p.offset < at)
            return fail(
                e, INVALID,
                "'%.*s': piece %zu (offset %llu) overlaps the one before, which ends at %llu",
                STR(s->name), i, (unsigned long long)p.offset, (unsigned long long)at);
        if (p.length == 0)
            continue;
        put_packed(pen, file, at, p.offset - at);
        if (p.length < STORE_PIECE_MIN) {
            pen->begins = true;
            put_packed(pen, file, p.offset, p.length);
        } else {
            uint32_t blob = put_blob(pen, (struct span){s->bytes.p + p.offset, (size_t)p.length});
            pen->l->segments[pen->l->n_segments++] = (struct layout_segment){
                .file = file, .blob = blob, .offset = p.offset, .length = p.length};
        }
        at = p.offset + p.length;
    }
    put_packed(pen, file, at, s->bytes.n - at);
    pen->l->size_bytes += s->bytes.n;
    return OK;
}

/* Without packed bytes there is no blob 0: the others move down by one. */
static void drop_packed(struct layout *l) {
    l->blobs++;
    l->n_blobs--;
    for (size_t i = 0; i < l->n_segments; i++)
        l->segments[i].blob--;
}

enum code layout_build(const struct store_new *n, struct arena *a, struct layout *out,
                       struct err *e) {
    struct layout l = {0};
    struct pen pen = {.n = n, .l = &l};
    size_t n_pieces = 0;
    TRY(check_counts(n, &n_pieces, e));
    TRY(take_room(&pen, n_pieces, a, e));
    l.n_blobs = 1;
    for (uint32_t file = 0; file < n->n_sources; file++)
        TRY(put_source(&pen, file, e));
    l.blobs[0] = (struct layout_blob){
        .extents = pen.packed, .n_extents = pen.n_packed, .size = pen.packed_size};
    if (pen.packed_size == 0)
        drop_packed(&l);
    for (size_t part = 0; part < n->n_parts; part++)
        l.part_blobs[part] =
            n->parts[part].bytes.n ? put_blob(&pen, n->parts[part].bytes) : LAYOUT_EMPTY;
    *out = l;
    return OK;
}
