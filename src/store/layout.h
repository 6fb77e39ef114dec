/* SPDX-License-Identifier: Apache-2.0 */
/* How a new version is cut into blobs: pure arithmetic on the caller's files and pieces, no I/O.
 *
 * 1. Each file's segments cover it exactly, in order.
 * 2. Pieces of STORE_PIECE_MIN bytes and more are blobs of their own; all else goes, in order, into
 *    one "packed" blob, the first, which is left out when it would be empty.
 * 3. Within the packed blob each file and each small piece starts at a multiple of LAYOUT_ALIGN;
 *    the gaps are zeros.
 * 4. Parts are blobs of their own, after all others; an empty part has none. */
#pragma once

#include "store/store.h"

enum {
    LAYOUT_ALIGN = 64,
    LAYOUT_SOURCES = 1 << 16, /* limits of one version */
    LAYOUT_PIECES = 1 << 20,
    LAYOUT_PARTS = 256,
};

struct layout_extent {
    const uint8_t *p; /* borrowed from the source; NULL: n zeros, n < LAYOUT_ALIGN */
    size_t n;
};

struct layout_blob {
    const struct layout_extent *extents; /* joined they are the blob */
    size_t n_extents;
    uint64_t size;
    uint8_t hash[SHA256_BYTES]; /* set by add.c */
    uint32_t slot;              /* set by add.c: blobs of equal bytes share one */
};

struct layout_segment {
    uint32_t file, blob;
    uint64_t offset, length; /* in the file */
    uint64_t at;             /* in the blob */
};

struct layout {
    struct layout_blob *blobs;
    size_t n_blobs;
    struct layout_segment *segments; /* by file, then offset */
    size_t n_segments;
    uint32_t *part_blobs; /* (n_parts) index into blobs, LAYOUT_EMPTY for an empty part */
    uint64_t size_bytes;  /* of all files */
};
#define LAYOUT_EMPTY UINT32_MAX

/* INVALID names the source whose pieces are unsorted, overlap or reach past its end. */
MUST_USE enum code layout_build(const struct store_new *n, struct arena *a, struct layout *out,
                                struct err *e);
