/* SPDX-License-Identifier: Apache-2.0 */
/* Triton's shared memory extensions: docs/protocols/oip.md. System shared memory can be registered
 * where clients may control the server (--allow-control), since a key names any object the server
 * may open; of CUDA there is none. Tensors in a region are oip.c's. */
#include "serve/protocol/protocol.h"

#include "base/pb.h"
#include "serve/answer.h"
#include "serve/in.h"

static enum code done(struct request *r) {
    answer_type(r, 200, ANSWER_JSON);
    return OK;
}

static enum code put_list(struct request *r, const struct region_info *list, size_t n,
                          struct err *e) {
    struct answer_json j;
    TRY(answer_json(r, &j, e));
    json_put_array(&j.w);
    for (size_t i = 0; i < n; i++) {
        json_put_object(&j.w);
        json_put_member_str(&j.w, "name", list[i].name);
        json_put_member_str(&j.w, "key", list[i].key);
        json_put_member_i64(&j.w, "offset", (int64_t)list[i].offset);
        json_put_member_i64(&j.w, "byte_size", (int64_t)list[i].bytes);
        json_put_object_end(&j.w);
    }
    json_put_array_end(&j.w);
    return answer_json_end(r, &j, e);
}

static enum code status(struct request *r, struct err *e) {
    struct region_info *list;
    size_t n;
    TRY(region_list(r->server->regions, r->label, r->arena, &list, &n, e));
    return put_list(r, list, n, e);
}

struct registration {
    struct str key;
    int64_t offset, bytes;
};

static enum code take_member(void *context, struct json *j, struct str key, struct err *e) {
    struct registration *g = context;
    if (str_is(key, "key"))
        return json_string(j, &g->key, e);
    if (str_is(key, "offset"))
        return json_i64(j, &g->offset, e);
    return str_is(key, "byte_size") ? json_i64(j, &g->bytes, e) : json_skip(j, NULL, e);
}

static enum code enlist(struct request *r, struct err *e) {
    struct registration g = {.bytes = -1};
    struct json j;
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    TRY(json_each_member(&j, take_member, &g, e));
    TRY(json_end(&j, e));
    if (g.key.n == 0 || g.bytes < 0 || g.offset < 0)
        return json_fail(&j, e, "\"key\" and \"byte_size\" must be given, and none negative");
    TRY(region_register(r->server->regions, r->label, g.key, (uint64_t)g.offset, (uint64_t)g.bytes,
                        e));
    return done(r);
}

static enum code delist(struct request *r, struct err *e) {
    (void)e;
    region_unregister(r->server->regions, r->label);
    return done(r);
}

static enum code no_cuda(struct request *r, struct err *e) {
    (void)r;
    return fail(e, UNSUPPORTED, "there is no CUDA here; system shared memory can be registered");
}

static enum code cuda_status(struct request *r, struct err *e) { return put_list(r, NULL, 0, e); }
static enum code cuda_delist(struct request *r, struct err *e) {
    (void)e;
    return done(r);
}

/* --- the same over gRPC --- */

struct message { /* of all six methods */
    struct str name, key;
    uint64_t offset, bytes;
};

static enum code take_message(struct request *r, struct message *m, struct err *e) {
    struct pb_field f;
    struct pb p;
    bool more;
    *m = (struct message){0};
    pb_init(&p, r->body);
    for (;;) {
        TRY(pb_next(&p, &f, &more, e));
        if (!more)
            return OK;
        if (f.number == 1)
            TRY(pb_str(&f, &m->name, e));
        else if (f.number == 2)
            TRY(pb_str(&f, &m->key, e));
        else if (f.number == 3)
            TRY(pb_u64(&f, &m->offset, e));
        else if (f.number == 4)
            TRY(pb_u64(&f, &m->bytes, e));
    }
}

/* map<string, RegionStatus> */
static void put_region(struct buf *b, const struct region_info *region) {
    size_t entry = pb_put_begin(b, 1);
    pb_put_str(b, 1, region->name);
    size_t value = pb_put_begin(b, 2);
    pb_put_str(b, 1, region->name);
    pb_put_str(b, 2, region->key);
    pb_put_u64(b, 3, region->offset);
    pb_put_u64(b, 4, region->bytes);
    pb_put_end(b, value);
    pb_put_end(b, entry);
}

static enum code status_grpc(struct request *r, struct err *e) {
    struct region_info *list;
    struct message m;
    size_t n;
    TRY(take_message(r, &m, e));
    TRY(region_list(r->server->regions, m.name, r->arena, &list, &n, e));
    struct buf *b = answer_buf(r, 64 * n, e);
    if (!b)
        return e->code;
    for (size_t i = 0; i < n; i++)
        put_region(b, &list[i]);
    return answer_part(r, b, e);
}

static enum code enlist_grpc(struct request *r, struct err *e) {
    struct message m;
    TRY(take_message(r, &m, e));
    return region_register(r->server->regions, m.name, m.key, m.offset, m.bytes, e);
}

static enum code delist_grpc(struct request *r, struct err *e) {
    struct message m;
    TRY(take_message(r, &m, e));
    region_unregister(r->server->regions, m.name);
    return OK;
}

static enum code nothing(struct request *r, struct err *e) {
    (void)r;
    (void)e;
    return OK;
}

#define METHOD(name, flags, page)                                                                  \
    { ROUTE_POST, "/inference.GRPCInferenceService/" name, ROUTE_GRPC | (flags), page }
#define SYSTEM "/v2/systemsharedmemory/"
#define CUDA "/v2/cudasharedmemory/"
static const struct route routes[] = {
    {ROUTE_GET, SYSTEM "status", 0, status},
    {ROUTE_GET, SYSTEM "region/{label}/status", 0, status},
    {ROUTE_POST, SYSTEM "region/{label}/register", ROUTE_CONTROL, enlist},
    {ROUTE_POST, SYSTEM "region/{label}/unregister", ROUTE_CONTROL, delist},
    {ROUTE_POST, SYSTEM "unregister", ROUTE_CONTROL, delist},
    {ROUTE_GET, CUDA "status", 0, cuda_status},
    {ROUTE_GET, CUDA "region/{label}/status", 0, cuda_status},
    {ROUTE_POST, CUDA "region/{label}/register", 0, no_cuda},
    {ROUTE_POST, CUDA "region/{label}/unregister", 0, cuda_delist},
    {ROUTE_POST, CUDA "unregister", 0, cuda_delist},
    METHOD("SystemSharedMemoryStatus", 0, status_grpc),
    METHOD("SystemSharedMemoryRegister", ROUTE_CONTROL, enlist_grpc),
    METHOD("SystemSharedMemoryUnregister", ROUTE_CONTROL, delist_grpc),
    METHOD("CudaSharedMemoryStatus", 0, nothing),
    METHOD("CudaSharedMemoryRegister", 0, no_cuda),
    METHOD("CudaSharedMemoryUnregister", 0, nothing),
};

const struct protocol protocol_memory = {
    .name = "oip",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
};
