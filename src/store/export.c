/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a version's original files back: each is hashed on its way out and appears only if it is,
 * to the bit, the file that was added. */
#include "store/name.h"
#include "store/version.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

enum { PATH_BYTES = 4096, CHUNK = 1 << 20, FILE_MODE = 0644 };

static enum code write_segment(struct file_draft *d, struct sha256 *h, struct span bytes,
                               struct err *e) {
    for (size_t at = 0; at < bytes.n; at += CHUNK) {
        size_t n = bytes.n - at < CHUNK ? bytes.n - at : CHUNK;
        sha256_add(h, bytes.p + at, n);
        TRY(file_draft_write(d, bytes.p + at, n, e));
    }
    return OK;
}

static enum code write_segments(const struct store_version *v, const struct version_file *f,
                                struct file_draft *d, uint8_t hash[SHA256_BYTES], struct err *e) {
    struct sha256 h;
    enum code code = OK;
    sha256_begin(&h);
    for (size_t i = 0; i < f->n_segments && code == OK; i++)
        code = write_segment(d, &h, version_segment_bytes(v, f->first_segment + i), e);
    sha256_end(&h, hash);
    return code;
}

static enum code write_file(const struct store_version *v, const struct version_file *f,
                            const char *path, struct err *e) {
    struct file_draft d;
    uint8_t hash[SHA256_BYTES];
    TRY(file_draft_open(&d, path, FILE_MODE, e));
    enum code code = write_segments(v, f, &d, hash, e);
    if (code == OK && memcmp(hash, f->hash, SHA256_BYTES) != 0)
        code = fail(e, CORRUPT,
                    "'%.*s' is damaged in the store: its bytes are not those that were added; "
                    "see 'slipway verify'",
                    STR(f->name));
    if (code == OK)
        code = file_draft_publish(&d, e);
    file_draft_drop(&d);
    return code;
}

static enum code make_folder_of(const char *path, struct err *e) {
    const char *slash = strrchr(path, '/');
    char folder[PATH_BYTES];
    if (!slash || slash == path)
        return OK;
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    return file_mkdirs(folder, e);
}

static enum code export_file(const struct store_version *v, const struct version_file *f,
                             const char *folder, struct err *e) {
    char path[PATH_BYTES];
    enum code code =
        name_file(f->name, e); /* store.db is not to be trusted with "../../etc/passwd" */
    if (code != OK)
        return err_prefix(e, "damaged store");
    int n = snprintf(path, sizeof path, "%s/%.*s", folder, (int)f->name.n, f->name.p);
    if (n < 0 || n >= PATH_BYTES)
        return fail(e, INVALID, "export to '%.200s...': the path is too long", folder);
    TRY(make_folder_of(path, e));
    return write_file(v, f, path, e);
}

static enum code export(const struct store_version *v, const char *path, struct err *e) {
    const struct version_tables *t = version_tables(v); struct stat st;
    bool is_folder = (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) || str_ends(str_of(path), "/");
    if (t->n_files == 1 && !is_folder) return write_file(v, &t->files[0], path, e);
    TRY(file_mkdirs(path, e));
    for (size_t file = 0; file < t->n_files; file++) TRY(export_file(v, &t->files[file], path, e));
    return OK;
}

enum code store_export(struct store *s, struct str model, uint64_t version, const char *path,
                       struct err *e) {
    struct store_version *v = NULL;
    TRY(store_version_open(s, model, version, &v, e));
    enum code code = export(v, path, e);
    store_version_unref(v);
    return code;
}
