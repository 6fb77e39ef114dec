/* SPDX-License-Identifier: Apache-2.0 */
/* CloudEvents: see event.h. Specifications: CloudEvents 1.0.2, its JSON event format (§3) and its
 * HTTP protocol binding (§3). Types and sources of answers are KServe's. */
#include "serve/event.h"

#include "base/base64.h"
#include "base/clock.h"
#include "serve/answer.h"

#include <strings.h>

#define TYPE "io.kserve.inference.response"
#define STRUCTURED "application/cloudevents+json"

struct event {
    struct str id;
};

enum attribute { ID, SOURCE, TYPE_OF, SPECVERSION, CONTENT_TYPE, REQUIRED = CONTENT_TYPE, KNOWN };

struct parts {
    struct str attributes[KNOWN]; /* .p NULL: not there */
    struct str data, base64;
};

/* --- requests --- */

/* Without parameters (";charset=utf-8"), which are JSON's. */
static bool is_type(struct str header, const char *type) {
    size_t n = strlen(type);
    return header.n >= n && strncasecmp(header.p, type, n) == 0 &&
           (header.n == n || header.p[n] == ';' || header.p[n] == ' ');
}

static enum code take_member(void *context, struct json *j, struct str key, struct err *e) {
    struct parts *p = context;
    static const char *const names[] = {[ID] = "id",
                                        [SOURCE] = "source",
                                        [TYPE_OF] = "type",
                                        [SPECVERSION] = "specversion",
                                        [CONTENT_TYPE] = "datacontenttype"};
    if (str_is(key, "data"))
        return json_skip(j, &p->data, e);
    if (str_is(key, "data_base64"))
        return json_string(j, &p->base64, e);
    for (int i = 0; i < KNOWN; i++)
        if (str_is(key, names[i]))
            return json_string(j, &p->attributes[i], e);
    return json_skip(j, NULL, e); /* extensions */
}

static enum code take_members(struct json *j, struct parts *p, struct err *e) {
    TRY(json_each_member(j, take_member, p, e));
    return json_end(j, e);
}

static enum code check(const struct parts *p, struct err *e) {
    struct str version = p->attributes[SPECVERSION], type = p->attributes[CONTENT_TYPE];
    for (int i = 0; i < REQUIRED; i++)
        if (!p->attributes[i].n)
            return fail(e, INVALID, "a CloudEvent needs id, source, type and specversion");
    if (!str_is(version, "1.0") && !str_is(version, "0.3"))
        return fail(e, UNSUPPORTED, "a CloudEvent of specversion '%.*s': 1.0 is known",
                    STR(str_sub(version, 0, 40)));
    if (!p->data.p == !p->base64.p)
        return fail(e, INVALID, "a CloudEvent needs its data in one of 'data' and 'data_base64'");
    if (p->data.p && type.n && !is_type(type, "application/json") && !str_ends(type, "+json"))
        return fail(e, UNSUPPORTED,
                    "a CloudEvent with data of type '%.*s': JSON is read, and bytes in "
                    "'data_base64'",
                    STR(str_sub(type, 0, 80)));
    return OK;
}

static enum code take_data(struct request *r, const struct parts *p, struct err *e) {
    if (p->data.p) {
        r->body = (struct span){(const uint8_t *)p->data.p, p->data.n};
        return OK;
    }
    struct buf *b = answer_buf(r, p->base64.n / 4 * 3 + 3, e);
    if (!b)
        return e->code;
    if (base64_take(p->base64, b, e) != OK)
        return err_prefix(e, "data_base64");
    r->body = (struct span){(const uint8_t *)b->p, b->n};
    return OK;
}

static enum code take_structured(struct request *r, struct err *e) {
    struct parts p = {.data = {0}};
    struct json j;
    json_init(&j, (struct str){(const char *)r->body.p, r->body.n}, r->arena);
    j.allow_nan = true;
    TRY(take_members(&j, &p, e));
    TRY(check(&p, e));
    struct event *event = ARENA_NEW(r->arena, struct event);
    if (!event)
        return arena_fail(r->arena, sizeof *event, "event", e);
    event->id = p.attributes[ID];
    TRY(take_data(r, &p, e));
    r->event = event;
    return OK;
}

enum code event_take(struct request *r, struct err *e) {
    struct str type = http_header_get(&r->x->request, "content-type");
    if (is_type(type, "application/cloudevents-batch+json"))
        return fail(e, UNSUPPORTED, "batches of CloudEvents are not supported: send one a request");
    /* one that was taken already waited for its model */
    return r->event || !is_type(type, STRUCTURED) ? OK : take_structured(r, e);
}

/* --- answers --- */

static enum code source(const struct request *r, char **out, struct err *e) {
    *out = arena_printf(r->arena, "io.kserve.inference.%.*s", STR(live_model(r->ask.live)));
    return *out ? OK : arena_fail(r->arena, 64, "event", e);
}

static enum code put_headers(struct request *r, struct str id, struct err *e) {
    char *from;
    TRY(source(r, &from, e));
    answer_header(r, "ce-id", id);
    answer_header(r, "ce-specversion", LIT("1.0"));
    answer_header(r, "ce-type", LIT(TYPE));
    answer_header(r, "ce-source", str_of(from));
    return OK;
}

/* The attributes before the body that is there already, and the end behind it. */
static enum code put_around(struct request *r, struct err *e) {
    char time[CLOCK_TEXT], *from;
    struct json_out w;
    struct buf *b = answer_buf(r, 512, e);
    if (!b)
        return e->code;
    TRY(source(r, &from, e));
    clock_print(clock_wall_us(), time);
    json_out_init(&w, b, 0);
    json_put_object(&w);
    json_put_member_text(&w, "specversion", "1.0");
    json_put_member_str(&w, "id", r->event->id);
    json_put_member_text(&w, "source", from);
    json_put_member_text(&w, "type", TYPE);
    json_put_member_text(&w, "time", time);
    json_put_member_text(&w, "datacontenttype", "application/json");
    json_put_key(&w, "data");
    TRY(buf_check(b, "event", e));
    answer_front(r, (struct span){(const uint8_t *)b->p, b->n});
    answer_span(r, (struct span){(const uint8_t *)"}", 1});
    answer_type(r, r->response.status, LIT(STRUCTURED));
    return OK;
}

enum code event_put(struct request *r, struct err *e) {
    struct str id = http_header_get(&r->x->request, "ce-id");
    if (!r->event)
        return id.n ? put_headers(r, id, e) : OK;
    if (!str_is(r->response.content_type, "application/json"))
        return fail(e, INVALID, "binary tensors do not fit into a structured CloudEvent");
    return put_around(r, e);
}
