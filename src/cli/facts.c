/* SPDX-License-Identifier: Apache-2.0 */
/* Facts as JSON: see facts.h. */
#include "cli/facts.h"

#include "base/clock.h"

void facts_put_version(struct json_out *w, const struct store_info *i) {
    char when[CLOCK_TEXT];
    size_t n = clock_print(i->created_us, when);
    json_put_member_str(w, "model", i->model);
    json_put_member_i64(w, "version", (int64_t)i->version);
    json_put_member_str(w, "digest", i->digest);
    json_put_member_str(w, "format", i->format);
    json_put_member_str(w, "origin", i->origin);
    if (i->parent)
        json_put_member_i64(w, "parent", (int64_t)i->parent);
    json_put_member_str(w, "created", (struct str){when, n});
    json_put_member_i64(w, "size_bytes", (int64_t)i->size_bytes);
    json_put_member_i64(w, "own_bytes", (int64_t)i->own_bytes);
    json_put_key(w, "aliases");
    json_put_array(w);
    for (size_t k = 0; k < i->n_aliases; k++)
        json_put_str(w, i->aliases[k]);
    json_put_array_end(w);
}

static void put_dim_names(struct json_out *w, const struct session_io *io) {
    bool any = false;
    for (int d = 0; d < io->shape.rank; d++)
        any = any || io->dim_names[d].n;
    if (!any)
        return;
    json_put_key(w, "dims");
    json_put_array(w);
    for (int d = 0; d < io->shape.rank; d++)
        if (io->dim_names[d].n)
            json_put_str(w, io->dim_names[d]);
        else
            json_put_null(w);
    json_put_array_end(w);
}

void facts_put_io(struct json_out *w, const struct session_io *io, size_t n) {
    json_put_array(w);
    for (size_t i = 0; i < n; i++) {
        json_put_object(w);
        json_put_member_str(w, "name", io[i].name);
        json_put_member_text(w, "dtype", dtype_name(io[i].dtype));
        json_put_key(w, "shape");
        json_put_array(w);
        for (int d = 0; d < io[i].shape.rank; d++)
            json_put_i64(w, io[i].shape.dims[d]);
        json_put_array_end(w);
        put_dim_names(w, &io[i]);
        if (io[i].optional)
            json_put_member_bool(w, "optional", true);
        json_put_object_end(w);
    }
    json_put_array_end(w);
}

enum code facts_resolve(struct store *s, const char *text, struct arena *a, struct store_info *out,
                        struct err *e) {
    struct store_ref r;
    TRY(store_ref_parse(str_of(text), &r, e));
    if (r.version == 0 && r.alias.n == 0) {
        struct store_ref prod = r;
        struct err ignored;
        prod.alias = LIT("prod");
        if (store_resolve(s, &prod, a, out, &ignored) == OK)
            return OK;
    }
    return store_resolve(s, &r, a, out, e);
}
