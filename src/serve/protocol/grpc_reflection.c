/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.reflection.v1 and v1alpha: what grpcurl and its like ask before they call. The descriptors
 * are made at build time from share/proto by tools/schema.py. */
#include "serve/protocol/protocol.h"

#include "base/pb.h"
#include "serve/answer.h"

struct schema_file {
    const char *name;
    const unsigned char *bytes; /* FileDescriptorProto */
    size_t n;
    const char *const *symbols, *const *services, *const *imports; /* each ends with NULL */
};

#include "schema.inc"

enum { FILES = sizeof schema_files / sizeof *schema_files, GRPC_NOT_FOUND = 5 };
enum { /* fields of ServerReflectionRequest; of the response */
       BY_NAME = 3,
       BY_SYMBOL = 4,
       BY_EXTENSION = 5,
       EXTENSIONS = 6,
       LIST = 7,
       AS_FILE = 4,
       AS_LIST = 6,
       AS_ERROR = 7
};

static bool has(const char *const *names, struct str name) {
    for (; *names; names++)
        if (str_is(name, *names))
            return true;
    return false;
}

static int file_named(struct str name) {
    for (int i = 0; i < FILES; i++)
        if (str_is(name, schema_files[i].name))
            return i;
    return -1;
}

static int file_with(struct str symbol) {
    for (int i = 0; i < FILES; i++)
        if (has(schema_files[i].symbols, symbol))
            return i;
    return -1;
}

/* The file and what it imports; one level, no file's imports import. */
static void put_file(struct buf *b, int index) {
    size_t at = pb_put_begin(b, AS_FILE);
    pb_put_bytes(b, 1, schema_files[index].bytes, schema_files[index].n);
    for (const char *const *name = schema_files[index].imports; *name; name++) {
        const struct schema_file *f = &schema_files[file_named(str_of(*name))];
        pb_put_bytes(b, 1, f->bytes, f->n);
    }
    pb_put_end(b, at);
}

static void put_list(struct buf *b) {
    size_t at = pb_put_begin(b, AS_LIST);
    for (int i = 0; i < FILES; i++)
        for (const char *const *name = schema_files[i].services; *name; name++) {
            size_t service = pb_put_begin(b, 1);
            pb_put_str(b, 1, str_of(*name));
            pb_put_end(b, service);
        }
    pb_put_end(b, at);
}

static void put_error(struct buf *b, struct str what) {
    char text[240];
    snprintf(text, sizeof text, "not found: %.*s", STR(str_sub(what, 0, 200)));
    size_t at = pb_put_begin(b, AS_ERROR);
    pb_put_i64(b, 1, GRPC_NOT_FOUND);
    pb_put_str(b, 2, str_of(text));
    pb_put_end(b, at);
}

static enum code info(struct request *r, struct err *e) {
    struct pb_field f;
    struct pb p;
    struct str host = {0}, text = {0};
    uint32_t asked = 0;
    bool more;
    pb_init(&p, r->body);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            break;
        if (f.number == 1)
            TRY(pb_str(&f, &host, e));
        if (f.number < BY_NAME || f.number > LIST)
            continue;
        asked = f.number;
        TRY(pb_str(&f, &text, e));
    }
    struct buf *b = answer_buf(r, 4096, e);
    if (!b)
        return e->code;
    int file = asked == BY_NAME ? file_named(text) : asked == BY_SYMBOL ? file_with(text) : -1;
    pb_put_str(b, 1, host);
    pb_put_bytes(b, 2, r->body.p, r->body.n);
    if (asked == LIST)
        put_list(b);
    else if (file >= 0)
        put_file(b, file);
    else
        put_error(b, asked == BY_EXTENSION || asked == EXTENSIONS ? LIT("no extensions") : text);
    return answer_part(r, b, e);
}

static const struct route routes[] = {
    {ROUTE_POST, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
     ROUTE_GRPC | ROUTE_BIDI | ROUTE_QUIET, info},
    {ROUTE_POST, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
     ROUTE_GRPC | ROUTE_BIDI | ROUTE_QUIET, info},
};

const struct protocol protocol_grpc_reflection = {
    .name = "reflection",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
};
