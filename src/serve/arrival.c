/* SPDX-License-Identifier: Apache-2.0 */
/* Arrivals: see arrival.h. */
#include "serve/arrival.h"

#include "base/file.h"
#include "base/json.h"
#include "base/zip.h"
#include "job/import.h"
#include "job/lodging.h"
#include "net/client.h"
#include "serve/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
    MANIFEST_BYTES = 1 << 20,
    LABEL_BYTES = 4 << 20,
    MODEL_BYTES = 2000 << 20, /* of one model inside an archive, inflated */
};

struct archive {
    struct zip zip;
    struct str name, version, file, handler; /* of the manifest */
    struct span labels;                      /* index_to_name.json */
};

/* --- manifest --- */

static enum code find_entry(const struct archive *a, struct str name, struct zip_entry *out,
                            bool *found, struct err *e) {
    struct zip z = a->zip;
    bool more;
    *found = false;
    for (;;) {
        TRY(zip_next(&z, out, &more, e));
        if (!more || str_eq(out->name, name)) {
            *found = more;
            return OK;
        }
    }
}

static enum code read_entry(const struct archive *a, struct str name, size_t cap_bytes,
                            struct arena *arena, struct span *out, struct err *e) {
    struct zip_entry entry;
    bool found;
    TRY(find_entry(a, name, &entry, &found, e));
    if (!found)
        return fail(e, FORMAT, "the archive has no '%.*s'", STR(str_sub(name, 0, 100)));
    return zip_read(&a->zip, &entry, cap_bytes, arena, out, e);
}

static enum code take_model_member(void *context, struct json *j, struct str key, struct err *e) {
    struct archive *a = context;
    const struct {
        const char *name;
        struct str *text;
    } members[] = {{"modelName", &a->name},
                   {"modelVersion", &a->version},
                   {"serializedFile", &a->file},
                   {"handler", &a->handler}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (str_is(key, members[i].name) && json_peek(j) == JSON_STRING)
            return json_string(j, members[i].text, e);
    return json_skip(j, NULL, e);
}

static enum code take_member(void *context, struct json *j, struct str key, struct err *e) {
    return str_is(key, "model") ? json_each_member(j, take_model_member, context, e)
                                : json_skip(j, NULL, e);
}

static enum code read_manifest(struct archive *a, struct arena *arena, struct err *e) {
    struct span text;
    struct json j;
    TRY(read_entry(a, LIT("MAR-INF/MANIFEST.json"), MANIFEST_BYTES, arena, &text, e));
    json_init(&j, (struct str){(const char *)text.p, text.n}, arena);
    TRY(json_each_member(&j, take_member, a, e));
    return a->file.n ? OK
                     : fail(e, UNSUPPORTED,
                            "the archive has no \"serializedFile\": a model that "
                            "is Python code cannot be run");
}

/* --- what the handler did --- */

/* TorchServe's own handlers, as recipes. image_classifier: Resize(256), CenterCrop(224), ImageNet's
 * mean and deviation, softmax, top 5. */
static enum code handler_spec(const struct archive *a, struct spec *out, struct err *e) {
    struct str handler = a->handler;
    if (str_ends(handler, ".py"))
        return fail(e, UNSUPPORTED,
                    "handler '%.*s' is Python and cannot be run; archive the model with "
                    "image_classifier, object_detector or base_handler, or add it with `slipway "
                    "add`",
                    STR(str_sub(handler, 0, 100)));
    *out = (struct spec){.labels = a->labels};
    if (str_is(handler, "image_classifier")) {
        out->input = LIT("image:224x224,imagenet");
        out->output = LIT("classes:5,softmax");
    } else if (str_is(handler, "object_detector")) {
        out->input = LIT("image,unit");
        out->output = LIT("boxes:yolov8,score=0.5");
    } else if (handler.n && !str_is(handler, "base_handler")) {
        return fail(e, UNSUPPORTED,
                    "handler '%.*s' is not supported; image_classifier, object_detector and "
                    "base_handler are",
                    STR(str_sub(handler, 0, 100)));
    }
    return OK;
}

static enum code handler_recipe(struct archive *a, struct arrival *in, struct arena *arena,
                                struct err *e) {
    struct zip_entry entry;
    struct spec spec;
    bool found;
    if (in->preprocess.n)
        return OK;
    TRY(find_entry(a, LIT("index_to_name.json"), &entry, &found, e));
    if (found)
        TRY(zip_read(&a->zip, &entry, LABEL_BYTES, arena, &a->labels, e));
    TRY(handler_spec(a, &spec, e));
    return spec.input.n || spec.labels.n ? spec_write(&spec, arena, &in->preprocess, e) : OK;
}

/* --- adding --- */

/* Import reads files: bytes get one of the sender's name, which belongs to the version's identity.
 */
static enum code import_bytes(struct store *s, struct str name, struct job_import *j,
                              struct span bytes, struct job_imported *out, struct err *e) {
    struct lodging l;
    TRY(lodging_open(s, &l, e));
    lodging_place(&l, name);
    enum code code = file_publish(l.path, bytes, 0600, e);
    if (code == OK) {
        j->path = l.path;
        code = job_import(s, j, out, e);
    }
    lodging_close(&l, code, e);
    return code;
}

/* What came with it. */
static struct job_import said(const struct arrival *a) {
    return (struct job_import){
        .model = a->model, .origin = a->origin, .preprocess = a->preprocess, .guise = a->guise};
}

static enum code add_archive(struct store *s, struct arrival *a, struct span bytes,
                             struct arena *arena, struct job_imported *out, struct err *e) {
    struct archive archive = {0};
    struct span model;
    TRY(zip_open(bytes, &archive.zip, e));
    TRY(read_manifest(&archive, arena, e));
    TRY(handler_recipe(&archive, a, arena, e));
    if (a->model.n == 0)
        a->model = archive.name;
    struct job_import j = said(a);
    struct arena room; /* larger than a request's */
    arena_init(&room, MODEL_BYTES + 64);
    enum code code = read_entry(&archive, archive.file, MODEL_BYTES, &room, &model, e);
    if (code == OK)
        code = import_bytes(s, archive.file, &j, model, out, e);
    arena_deinit(&room);
    return code;
}

static enum code add_bytes(struct store *s, struct arrival *a, struct span bytes,
                           struct arena *arena, struct job_imported *out, struct err *e) {
    if (zip_is(bytes))
        return add_archive(s, a, bytes, arena, out, e);
    struct job_import j = said(a);
    return import_bytes(s, a->origin, &j, bytes, out, e);
}

static enum code add_path(struct store *s, struct arrival *a, struct arena *arena,
                          struct job_imported *out, struct err *e) {
    char name[STORE_NAME_MAX + 1];
    struct map_file map = {0};
    bool archive = false;
    TRY(map_file_open(&map, a->path, e));
    enum code code = OK;
    if (zip_is(map.bytes)) {
        archive = true;
        code = add_archive(s, a, map.bytes, arena, out, e);
    }
    map_file_close(&map);
    if (archive)
        return code;
    if (a->model.n == 0 && job_import_name(a->path, name))
        a->model = arena_str(arena, str_of(name));
    struct job_import j = said(a);
    j.path = a->path;
    return job_import(s, &j, out, e);
}

/* The address without its query, which may be somebody's secret. */
static struct str without_query(struct str url) {
    size_t end = 0;
    while (end < url.n && url.p[end] != '?' && url.p[end] != '#')
        end++;
    return str_sub(url, 0, end);
}

static enum code fetch(const struct arrival *a, const char *path, struct err *e) {
    const struct client_get get = {
        .url = a->url, .hosts = a->hosts, .most = a->most_bytes, .cancel = a->cancel};
    uint64_t bytes;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(e, errno, "%s", path);
    enum code code = client_get(&get, fd, &bytes, e);
    (void)close(fd);
    return code;
}

static enum code add_url(struct store *s, struct arrival *a, struct arena *arena,
                         struct job_imported *out, struct err *e) {
    struct lodging l;
    a->origin = without_query(a->url);
    TRY(lodging_open(s, &l, e));
    lodging_place(&l, a->origin);
    enum code code = fetch(a, l.path, e);
    if (code == OK) {
        a->path = l.path;
        code = add_path(s, a, arena, out, e);
        a->path = NULL;
    }
    lodging_close(&l, code, e);
    return code;
}

enum code arrival_add(struct store *s, struct arrival *a, struct arena *arena, struct err *e) {
    struct job_imported done;
    TRY(a->url.n  ? add_url(s, a, arena, &done, e)
        : a->path ? add_path(s, a, arena, &done, e)
                  : add_bytes(s, a, a->bytes, arena, &done, e));
    a->version = done.added.version;
    memcpy(a->digest, done.added.digest, sizeof a->digest);
    return OK;
}
