/* SPDX-License-Identifier: Apache-2.0 */
/* Facts as JSON: see facts.h. */
#include "cli/facts.h"

#include "base/clock.h"
#include "cli/command.h"

#include <stdio.h>

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

void facts_put_meta(struct json_out *w, const struct model *m) {
    json_put_key(w, "metadata");
    json_put_object(w);
    for (int i = 0; i < m->n_meta; i++) {
        json_put_key_str(w, m->meta[i].key);
        json_put_str(w, m->meta[i].value);
    }
    json_put_object_end(w);
}

void facts_print_name(const struct store_info *i) {
    printf("%.*s@%llu", STR(i->model), (unsigned long long)i->version);
    for (size_t k = 0; k < i->n_aliases; k++)
        printf("%s%.*s", k ? ", " : "  (", STR(i->aliases[k]));
    puts(i->n_aliases ? ")" : "");
}

void facts_print_version(struct arena *a, const struct store_info *i) {
    printf("%-12s%s, %s of its own\n", "size", print_size(a, i->size_bytes),
           print_size(a, i->own_bytes));
    printf("%-12s%.*s\n%-12s%s\n%-12s%.*s\n", "digest", STR(i->digest), "created",
           print_when(a, i->created_us), "origin", STR(i->origin));
    if (i->parent)
        printf("%-12s@%llu\n", "parent", (unsigned long long)i->parent);
}

void facts_print_meta(const struct model *m) {
    for (int i = 0; i < m->n_meta; i++)
        printf("%-12s%.*s = %.*s%s\n", i ? "" : "metadata", STR(m->meta[i].key),
               STR(str_sub(m->meta[i].value, 0, 60)), m->meta[i].value.n > 60 ? "..." : "");
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
