/* SPDX-License-Identifier: Apache-2.0 */
/* Packs: packs/ab/cdef....LAYOUT.REVISION.PACKING, the form of piece abcdef... that some kernel
 * reads. The packed bytes, then a trailer of 64:
 *
 *    0  "SLIPPACK"          8  u32 1          12  u32 CRC-32C of the bytes
 *   16  u64 their number   24  SHA-256 of the path after "packs/"       56  zeros
 *
 * (numbers little-endian).
 *
 * 1. A pack is a cache: it can be made again from its piece, so nothing depends on its being there,
 *    and losing one to a power cut or a gc is no damage. No table names it.
 * 2. It is seen whole or not at all: written as a draft, fsync'd, renamed. Opening it looks at its
 *    size and its trailer; `verify` at every byte.
 * 3. A piece has one revision of a layout: putting a new one takes the old ones away. A revision
 *    says how the bytes are laid out, and for which CPUs where that makes a difference.
 * 4. It goes when no version names its piece (gc). One that is mapped stays readable. */
#include "store/packfile.h"

#include "base/file.h"
#include "store/in.h"
#include "store/object.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char magic[8] = "SLIPPACK";
static const char folder[] = "../packs/"; /* from objects/ */

/* --- names and trailers --- */

static bool is_word(struct str s, const char *more) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !strchr(more, c))
            return false;
    }
    return s.n > 0 && s.n <= 40;
}

static enum code path_of(const struct store_pack *p, char path[PACKFILE_NAME], struct err *e) {
    char hex[SHA256_HEX + 1];
    if (!is_word(p->layout, "-") || !is_word(p->revision, "-_"))
        return fail(e, INVALID, "a pack of layout '%.*s', revision '%.*s': not names",
                    STR(p->layout), STR(p->revision));
    hex_put(p->piece, SHA256_BYTES, hex);
    snprintf(path, PACKFILE_NAME, "%s%.2s/%s.%.*s.%.*s.%016llx", folder, hex, hex + 2,
             STR(p->layout), STR(p->revision), (unsigned long long)p->packing);
    return OK;
}

static void key_of(const char *path, uint8_t key[SHA256_BYTES]) {
    const char *name = path + sizeof folder - 1;
    sha256_of((struct span){(const uint8_t *)name, strlen(name)}, key);
}

static void put_le(uint8_t *p, uint64_t v, size_t n) {
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static void trailer_of(const char *path, uint64_t bytes, uint32_t crc,
                       uint8_t out[PACKFILE_TRAILER]) {
    memset(out, 0, PACKFILE_TRAILER);
    memcpy(out, magic, sizeof magic);
    put_le(out + 8, 1, 4);
    put_le(out + 12, crc, 4);
    put_le(out + 16, bytes, 8);
    key_of(path, out + 24);
}

bool packfile_trailer_is(const uint8_t trailer[PACKFILE_TRAILER], const char *path, uint64_t bytes,
                         const uint32_t *crc) {
    uint8_t want[PACKFILE_TRAILER];
    trailer_of(path, bytes, crc ? *crc : 0, want);
    if (!crc)
        memcpy(want + 12, trailer + 12, 4);
    return memcmp(trailer, want, PACKFILE_TRAILER) == 0;
}

/* --- every pack --- */

static bool is_pack(const char *first, const char *name, uint8_t piece[SHA256_BYTES]) {
    char hex[SHA256_HEX + 1];
    if (strlen(name) < SHA256_HEX || name[SHA256_HEX - 2] != '.')
        return false;
    snprintf(hex, sizeof hex, "%s%.62s", first, name);
    return hex_take((struct str){hex, SHA256_HEX}, piece, SHA256_BYTES);
}

static enum code each_in(struct store *s, const char *first,
                         enum code (*visit)(void *, const struct packfile *, struct err *),
                         void *ctx, struct err *e) {
    char at[sizeof folder + 8], path[PACKFILE_NAME + 256];
    snprintf(at, sizeof at, "%s%s", folder, first);
    int fd = openat(s->objects_fd, at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT
                   ? OK
                   : fail_errno(e, errno, "store '%s': cannot list the folder '%s'", s->folder, at);
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int number = errno;
        close(fd);
        return fail_errno(e, number, "store '%s': cannot list the folder '%s'", s->folder, at);
    }
    enum code code = OK;
    for (struct dirent *entry; code == OK && (entry = readdir(dir));) {
        struct packfile f = {.folder_fd = fd, .name = entry->d_name, .path = path};
        snprintf(path, sizeof path, "%s/%s", at, entry->d_name);
        if (is_pack(first, entry->d_name, f.piece) &&
            fstatat(fd, entry->d_name, &f.st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(f.st.st_mode))
            code = visit(ctx, &f, e);
    }
    closedir(dir);
    return code;
}

enum code packfile_each(struct store *s,
                        enum code (*visit)(void *, const struct packfile *, struct err *),
                        void *ctx, struct err *e) {
    for (unsigned first = 0; first < 256; first++) {
        char name[3];
        snprintf(name, sizeof name, "%02x", first);
        TRY(each_in(s, name, visit, ctx, e));
    }
    return OK;
}

/* --- one --- */

enum code store_pack_ref(struct store *s, const struct store_pack *p, size_t bytes,
                         struct blob **out, struct span *packed, struct err *e) {
    char path[PACKFILE_NAME];
    uint8_t key[SHA256_BYTES];
    struct blob *b;
    TRY(path_of(p, path, e));
    key_of(path, key);
    const uint64_t size = bytes == STORE_PACK_ANY ? BLOB_ANY_SIZE : bytes + PACKFILE_TRAILER;
    TRY(blob_ref_file(s, key, path, size, &b, e));
    const size_t n = b->bytes.n < PACKFILE_TRAILER ? 0 : b->bytes.n - PACKFILE_TRAILER;
    if (!n || !packfile_trailer_is(b->bytes.p + n, path, n, NULL)) {
        blob_unref(s, b);
        return fail(e, CORRUPT, "store '%s': %s is not what its name says", s->folder, path);
    }
    *out = b;
    *packed = (struct span){b->bytes.p, n};
    return OK;
}

void store_pack_unref(struct store *s, struct blob *b) { blob_unref(s, b); }

struct others { /* older revisions of what was just put */
    const char *name;
    size_t same; /* characters up to the layout's end */
    const struct store_pack *pack;
};

static enum code drop_other(void *ctx, const struct packfile *f, struct err *e) {
    (void)e;
    const struct others *o = ctx;
    struct str revision = o->pack->revision;
    const char *rest = f->name + o->same;
    bool same = strncmp(f->name, o->name, o->same) == 0;
    if (same && (strncmp(rest, revision.p, revision.n) != 0 || rest[revision.n] != '.'))
        (void)unlinkat(f->folder_fd, f->name, 0);
    return OK;
}

static enum code make_folders(struct store *s, const char *path, struct err *e) {
    char at[sizeof folder + 8];
    for (size_t n = sizeof folder - 2; n <= sizeof folder + 1; n += 3) { /* packs, packs/ab */
        snprintf(at, sizeof at, "%.*s", (int)n, path);
        if (mkdirat(s->objects_fd, at, 0755) != 0 && errno != EEXIST)
            return fail_errno(e, errno, "store '%s': cannot make the folder %s", s->folder, at);
    }
    return OK;
}

enum code store_pack_put(struct store *s, const struct store_pack *p, struct span bytes,
                         struct err *e) {
    char path[PACKFILE_NAME];
    uint8_t trailer[PACKFILE_TRAILER];
    TRY(path_of(p, path, e));
    trailer_of(path, bytes.n, crc32c(0, bytes.p, bytes.n), trailer);
    TRY(store_writable(s, e));
    TRY(make_folders(s, path, e));
    struct layout_extent extents[] = {{bytes.p, bytes.n}, {trailer, sizeof trailer}};
    struct layout_blob blob = {
        .extents = extents, .n_extents = 2, .size = bytes.n + sizeof trailer};
    TRY(object_publish(s, "pack", &blob, path, e));
    const char *name = path + sizeof folder - 1 + 3;
    struct others others = {name, SHA256_HEX - 2 + 1 + p->layout.n + 1, p};
    char first[3] = {path[sizeof folder - 1], path[sizeof folder], '\0'};
    return each_in(s, first, drop_other, &others, e);
}

/* --- all of them away --- */

struct dropping {
    bool dry;
    struct store *store;
    struct store_swept swept;
};

static enum code drop_one(void *ctx, const struct packfile *f, struct err *e) {
    struct dropping *d = ctx;
    if (!d->dry && unlinkat(f->folder_fd, f->name, 0) != 0 && errno != ENOENT)
        return fail_errno(e, errno, "store '%s': cannot remove %s", d->store->folder, f->path);
    d->swept.packs++;
    d->swept.bytes += (uint64_t)f->st.st_size;
    d->swept.pack_bytes += (uint64_t)f->st.st_size;
    return OK;
}

enum code store_pack_drop_all(struct store *s, bool dry, struct store_swept *out, struct err *e) {
    struct dropping d = {.dry = dry, .store = s};
    if (!dry)
        TRY(store_writable(s, e));
    TRY(packfile_each(s, drop_one, &d, e));
    *out = d.swept;
    return OK;
}
