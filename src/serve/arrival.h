/* SPDX-License-Identifier: Apache-2.0 */
/* A model that arrives over HTTP instead of by `slipway add`: a file on this machine, its bytes in
 * a request, or TorchServe's archive of one. Blocks for as long as an import takes: side threads
 * only.
 *
 * Of an archive (.mar: a ZIP with MAR-INF/MANIFEST.json) the "serializedFile" is imported, with the
 * recipe of its handler when that is one of TorchServe's own (image_classifier, object_detector)
 * and the labels of its index_to_name.json. Its Python is never run: a handler of its own is
 * refused. */
#pragma once

#include "base/arena.h"
#include "store/store.h"

struct arrival {
    struct str model;            /* name to add to; .n == 0: the archive's or the file's own */
    const char *path;            /* NULL: bytes, or an address */
    struct str url;              /* http or https; .n == 0: none */
    const char *hosts;           /* that may be asked: net/client.h */
    uint64_t most_bytes;         /* of what is fetched */
    const volatile bool *cancel; /* of the fetch; may be NULL */
    struct span bytes;           /* borrowed */
    struct span preprocess;      /* of an archive: by its handler when .n == 0 */
    struct str guise;            /* host/guise.h; .n == 0: as it is */
    struct str origin;
    uint64_t version;            /* filled: what it became */
    char digest[SHA256_HEX + 1]; /* filled: of that version */
};

MUST_USE enum code arrival_add(struct store *s, struct arrival *a, struct arena *arena,
                               struct err *e);
