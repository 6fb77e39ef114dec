/* SPDX-License-Identifier: Apache-2.0 */
/* Triton's shared memory extensions: docs/protocols/oip.md. System shared memory can be registered
 * where clients may control the server (--allow-control), since a key names any object the server
 * may open; of CUDA there is none. Tensors in a region are oip.c's. */
#include "serve/protocol/protocol.h"

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

static enum code enlist(struct request *r, struct err *e) {
    struct json j;
    struct str key, object = {0};
    int64_t offset = 0, bytes = -1;
    bool more;
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    TRY(json_enter_object(&j, e));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, e));
        if (!more)
            break;
        if (str_is(key, "key"))
            TRY(json_string(&j, &object, e));
        else if (str_is(key, "offset"))
            TRY(json_i64(&j, &offset, e));
        else if (str_is(key, "byte_size"))
            TRY(json_i64(&j, &bytes, e));
        else
            TRY(json_skip(&j, NULL, e));
    }
    TRY(json_end(&j, e));
    if (object.n == 0 || bytes < 0 || offset < 0)
        return json_fail(&j, e, "\"key\" and \"byte_size\" must be given, and none negative");
    TRY(region_register(r->server->regions, r->label, object, (uint64_t)offset, (uint64_t)bytes,
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
};

const struct protocol protocol_memory = {
    .name = "oip",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
};
