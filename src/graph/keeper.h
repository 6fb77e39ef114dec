/* SPDX-License-Identifier: Apache-2.0 */
/* Packed forms of constants that outlive a session. Who packs weights for its kernels asks here
 * first and, where there is nothing, packs for itself; what was missing can be kept for the next
 * start. A form is named by the constant's bytes and by how they are laid out:
 *
 *   layout     a word of its own per packer: "strips"
 *   revision   of the layout, raised when its bytes change; with the CPU's name in it where they
 *              depend on the CPU
 *   packing    whatever else tells two packed forms of one constant apart
 *
 * host implements it over the store (host/keep.c). */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

struct keeper_pack {
    const void *constant; /* as the model has it */
    size_t constant_bytes;
    const char *layout, *revision;
    uint64_t packing;
    size_t bytes; /* of the packed form */
};

struct keeper {
    /* Read-only, 64-byte aligned, there until the keeper ends. NULL: there is none. Any thread. */
    const void *(*find)(struct keeper *k, const struct keeper_pack *p);
    /* Keeps a copy; takes as long as a disk does. A constant that the keeper does not know, or a
     * store that may not be written, is no failure. Any thread. */
    enum code (*keep)(struct keeper *k, const struct keeper_pack *p, const void *packed,
                      struct err *e);
    /* The one form that is of the version as a whole (plan/crate.h), under these words; MAY be
     * NULL, both. */
    struct span (*find_whole)(struct keeper *k, const char *layout, const char *revision);
    enum code (*keep_whole)(struct keeper *k, const char *layout, const char *revision,
                            struct span bytes, struct err *e);
};
