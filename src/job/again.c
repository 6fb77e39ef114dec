/* SPDX-License-Identifier: Apache-2.0 */
/* Versions once more: see again.h. The files are written out beside the store's blobs, imported as
 * they were the first time, and removed; the store shares every blob, so that what stays is a few
 * rows. */
#include "job/again.h"

#include "host/guise.h"
#include "host/loaded.h"
#include "host/pad.h"
#include "host/tape.h"
#include "job/import.h"
#include "job/lodging.h"

static struct span part_of(const struct store_version *v, const char *name) {
    struct span part = {0};
    (void)store_version_find_part(v, str_of(name), &part);
    return part;
}

static struct str text_of(struct span bytes) {
    return (struct str){(const char *)bytes.p, bytes.n};
}

/* One file by its name, which belongs to the version's identity; several by their folder. */
static enum code import_from(struct store *s, const char *path, const struct store_version *v,
                             const struct store_info *is, struct str guise, uint64_t *out,
                             struct err *e) {
    struct job_imported done;
    struct job_import j = {.path = path,
                           .model = is->model,
                           .origin = is->origin,
                           .parent = is->version,
                           .preprocess = part_of(v, "preprocess"),
                           .tapes = part_of(v, TAPE_WARMUP),
                           .guise = guise,
                           .pad = text_of(part_of(v, PAD_PART)),
                           .draft = text_of(part_of(v, DRAFT_PART))};
    TRY(job_import(s, &j, &done, e));
    *out = done.added.version;
    return OK;
}

static enum code export_and_import(struct store *s, const struct store_version *v,
                                   const struct store_info *is, struct str guise, uint64_t *out,
                                   struct err *e) {
    struct lodging l;
    TRY(lodging_open(s, &l, e));
    enum code code = store_export(s, is->model, is->version, l.folder, e);
    bool one = store_version_files(v) == 1;
    if (one)
        lodging_place(&l, store_version_file_name(v, 0));
    if (code == OK)
        code = import_from(s, one ? l.path : l.folder, v, is, guise, out, e);
    lodging_close(&l, code, e);
    return code;
}

enum code again_add(struct store *s, struct str model, uint64_t version, struct str guise,
                    uint64_t *out, struct err *e) {
    const struct store_ref ref = {.model = model, .version = version};
    struct store_version *v;
    struct store_info is;
    struct arena a;
    arena_init(&a, 1 << 20);
    enum code code = store_resolve(s, &ref, &a, &is, e);
    if (code == OK)
        code = store_version_open(s, model, is.version, &v, e);
    if (code == OK) {
        *out = is.version;
        if (!str_eq(text_of(part_of(v, GUISE_PART)), guise))
            code = export_and_import(s, v, &is, guise, out, e);
        store_version_unref(v);
    }
    arena_deinit(&a);
    return code;
}
