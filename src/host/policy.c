/* SPDX-License-Identifier: Apache-2.0 */
/* Policies: see policy.h. */
#include "host/policy.h"

#include "base/json.h"
#include "host/host.h"

enum { PARSE_BYTES = 64 << 10 };

void policy_default(struct policy *p) {
    *p =
        (struct policy){.weight = 1, .wait = -1, .keep_bytes = (uint64_t)256 << 20, .keep_days = 7};
}

bool policy_is_default(const struct policy *p) {
    struct policy d;
    policy_default(&d);
    return !p->pin && p->priority == d.priority && p->weight == d.weight && !p->batch &&
           !p->queue && !p->instances && p->wait < 0 && p->capture == 0 && !p->precision &&
           !p->draft[0];
}

const char *priority_name(int priority) {
    return priority < PRIORITY_NORMAL ? "high" : priority > PRIORITY_NORMAL ? "low" : "normal";
}

enum code priority_parse(struct str text, int *out, struct err *e) {
    for (int p = PRIORITY_HIGH; p <= PRIORITY_LOW; p++)
        if (str_is(text, priority_name(p))) {
            *out = p;
            return OK;
        }
    return fail(e, INVALID, "priority '%.*s' is not one of high, normal, low",
                STR(str_sub(text, 0, 40)));
}

/* "auto" takes it away. Whether it is there and fits is looked at when a version is loaded. */
static enum code set_draft(struct policy *p, struct str name, struct err *e) {
    struct store_ref ref;
    if (str_is(name, "auto")) {
        p->draft[0] = '\0';
        return OK;
    }
    TRY(store_ref_parse(name, &ref, e));
    if (name.n >= sizeof p->draft)
        return fail(e, INVALID, "draft: the name has more than %d bytes", POLICY_DRAFT - 1);
    memcpy(p->draft, name.p, name.n);
    p->draft[name.n] = '\0';
    return OK;
}

static enum code set_number(const char *name, double v, double least, double most, double *out,
                            struct err *e) {
    if (!(v >= least && v <= most))
        return fail(e, INVALID, "%s: %g is not between %g and %g", name, v, least, most);
    *out = v;
    return OK;
}

static enum code set_count(const char *name, double v, double most, uint64_t *out, struct err *e) {
    double checked;
    TRY(set_number(name, v, 0, most, &checked, e));
    *out = (uint64_t)checked;
    return OK;
}

/* The numeric members by name; NOT_FOUND for another name. */
static enum code set_by_name(struct policy *p, struct str key, double v, struct err *e) {
    if (str_is(key, "weight"))
        return set_number("weight", v, 0.01, 100, &p->weight, e);
    if (str_is(key, "batch"))
        return set_count("batch", v, 1024, &p->batch, e);
    if (str_is(key, "queue"))
        return set_count("queue", v, 1 << 20, &p->queue, e);
    if (str_is(key, "instances"))
        return set_count("instances", v, 1024, &p->instances, e);
    if (str_is(key, "wait"))
        return set_number("wait", v, -1, 1e6, &p->wait, e);
    if (str_is(key, "capture") || str_is(key, "percent")) {
        TRY(set_number("capture", v, 0, 100, &p->capture, e));
        p->capture /= 100;
        return OK;
    }
    if (str_is(key, "keep-bytes") || str_is(key, "bytes"))
        return set_count("keep-bytes", v, 1e15, &p->keep_bytes, e);
    if (str_is(key, "keep-days") || str_is(key, "days"))
        return set_count("keep-days", v, 36500, &p->keep_days, e);
    return fail(e, NOT_FOUND, "no such member");
}

enum code policy_set(struct policy *p, struct str text, struct err *e) {
    size_t at;
    double v;
    if (!str_find(text, '=', &at))
        return fail(e, USAGE, "'%.*s': write NAME=VALUE", STR(text));
    struct str key = str_sub(text, 0, at), value = str_sub(text, at + 1, text.n);
    if (str_is(key, "pin")) {
        p->pin = str_is(value, "yes");
        return p->pin || str_is(value, "no") ? OK : fail(e, INVALID, "pin: yes or no");
    }
    if (str_is(key, "priority"))
        return priority_parse(value, &p->priority, e);
    if (str_is(key, "precision"))
        return precision_parse(value, &p->precision, e);
    if (str_is(key, "draft"))
        return set_draft(p, value, e);
    if (value.n && value.p[value.n - 1] == '%')
        value.n--;
    if (!str_to_f64(value, &v))
        return fail(e, INVALID, "%.*s: '%.*s' is not a number", STR(key), STR(value));
    enum code code = set_by_name(p, key, v, e);
    return code == ERR_NOT_FOUND
               ? fail(e, USAGE,
                      "no policy '%.*s': pin, priority, weight, batch, queue, instances, wait, "
                      "precision, draft, capture, keep-bytes, keep-days",
                      STR(key))
               : code;
}

static enum code take_number(void *context, struct json *j, struct str key, struct err *e) {
    struct policy *p = context;
    double v;
    TRY(json_f64(j, &v, e));
    enum code code = set_by_name(p, key, v, e);
    return code == ERR_NOT_FOUND
               ? json_fail(j, e, "unexpected member \"%.*s\"", STR(str_sub(key, 0, 80)))
               : code;
}

static enum code take_member(void *context, struct json *j, struct str key, struct err *e) {
    struct policy *p = context;
    struct str text;
    if (str_is(key, "pin"))
        return json_bool(j, &p->pin, e);
    if (str_is(key, "capture"))
        return json_each_member(j, take_number, p, e);
    if (!str_is(key, "priority") && !str_is(key, "precision") && !str_is(key, "draft"))
        return take_number(p, j, key, e);
    TRY(json_string(j, &text, e));
    if (str_is(key, "draft"))
        return set_draft(p, text, e);
    return str_is(key, "priority") ? priority_parse(text, &p->priority, e)
                                   : precision_parse(text, &p->precision, e);
}

static enum code parse(struct json *j, struct policy *p, struct err *e) {
    TRY(json_each_member(j, take_member, p, e));
    return json_end(j, e);
}

enum code policy_parse(struct str text, struct policy *out, struct err *e) {
    struct policy p;
    struct json j;
    struct arena a;
    policy_default(&p);
    arena_init(&a, PARSE_BYTES);
    json_init(&j, text, &a);
    enum code code = parse(&j, &p, e);
    arena_deinit(&a);
    if (code != OK)
        return err_prefix(e, "policy");
    *out = p;
    return OK;
}

void policy_write(const struct policy *p, struct buf *b) {
    struct json_out w;
    json_out_init(&w, b, 0);
    json_put_object(&w);
    if (p->pin)
        json_put_member_bool(&w, "pin", true);
    if (p->priority != PRIORITY_NORMAL)
        json_put_member_text(&w, "priority", priority_name(p->priority));
    if (p->weight != 1)
        json_put_member_f64(&w, "weight", p->weight);
    if (p->batch)
        json_put_member_i64(&w, "batch", (int64_t)p->batch);
    if (p->queue)
        json_put_member_i64(&w, "queue", (int64_t)p->queue);
    if (p->instances)
        json_put_member_i64(&w, "instances", (int64_t)p->instances);
    if (p->wait >= 0)
        json_put_member_f64(&w, "wait", p->wait);
    if (p->precision)
        json_put_member_text(&w, "precision", precision_name(p->precision));
    if (p->draft[0])
        json_put_member_text(&w, "draft", p->draft);
    if (p->capture > 0) {
        json_put_key(&w, "capture");
        json_put_object(&w);
        json_put_member_f64(&w, "percent", p->capture * 100);
        json_put_member_i64(&w, "bytes", (int64_t)p->keep_bytes);
        json_put_member_i64(&w, "days", (int64_t)p->keep_days);
        json_put_object_end(&w);
    }
    json_put_object_end(&w);
}

bool policy_advises(const struct policy_advice *a) {
    return a->batch >= 0 || a->instances >= 0 || a->wait_us >= 0 || a->queue >= 0 || a->prioritized;
}

static void follow(struct policy *p, const struct policy_advice *a) {
    if (a->batch >= 0)
        p->batch = a->batch ? (uint64_t)a->batch : 1;
    if (a->instances >= 0)
        p->instances = (uint64_t)a->instances;
    if (a->wait_us >= 0)
        p->wait = (double)a->wait_us;
    if (a->queue >= 0)
        p->queue = (uint64_t)a->queue;
    if (a->prioritized)
        p->priority = a->priority;
}

enum code policy_keep(struct store *s, struct str model, const struct policy_advice *advice,
                      struct arena *a, struct err *e) {
    struct store_setting *all;
    struct policy p;
    struct buf text;
    size_t n;
    policy_default(&p);
    TRY(store_settings(s, model, a, &all, &n, e));
    for (size_t i = 0; i < n; i++)
        if (str_eq(all[i].name, POLICY_SETTING))
            TRY(policy_parse(all[i].value, &p, e));
    follow(&p, advice);
    buf_init(&text, 4096);
    policy_write(&p, &text);
    enum code code = buf_check(&text, "policy", e);
    if (code == OK)
        code = store_setting_put(s, model, POLICY_SETTING, buf_str(&text), e);
    buf_deinit(&text);
    return code;
}
