/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenAI API's messages in the shape that chat templates expect: see openai_messages in
 * openai.h. */
#include "serve/protocol/openai.h"

/* [{"type": "text", "text": "..."}] */
static enum code join_parts(struct json *j, struct buf *text, struct err *e) {
    struct str key, type, piece;
    bool more;
    TRY(json_enter_array(j, e));
    for (;;) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            return buf_check(text, "message", e);
        type = piece = (struct str){0};
        TRY(json_enter_object(j, e));
        for (;;) {
            TRY(json_next_key(j, &key, &more, e));
            if (!more)
                break;
            if (str_is(key, "type") && json_peek(j) == JSON_STRING)
                TRY(json_string(j, &type, e));
            else if (str_is(key, "text") && json_peek(j) == JSON_STRING)
                TRY(json_string(j, &piece, e));
            else
                TRY(json_skip(j, NULL, e));
        }
        if (type.n && !str_is(type, "text") && !str_is(type, "input_text") &&
            !str_is(type, "output_text") && !str_is(type, "refusal"))
            return json_fail(j, e, "content of type '%.*s' is not supported: text only",
                             STR(str_sub(type, 0, 60)));
        buf_put_str(text, piece);
    }
}

enum code openai_content(struct talk *t, struct json *j, struct json_out *w, struct err *e) {
    struct str raw;
    if (json_peek(j) == JSON_NULL) { /* beside tool calls; templates join it to text */
        json_put_text(w, "");
        return json_null(j, e);
    }
    if (json_peek(j) != JSON_ARRAY) {
        TRY(json_skip(j, &raw, e));
        json_put_raw(w, raw);
        return OK;
    }
    struct buf *text = answer_buf(t->r, 256, e);
    if (!text)
        return e->code;
    TRY(join_parts(j, text, e));
    json_put_str(w, buf_str(text));
    return OK;
}

/* A string that holds an object is written as that object. */
static enum code put_arguments(struct talk *t, struct json *j, struct json_out *w, struct err *e) {
    struct json inner;
    struct str text, raw;
    struct err ignored;
    if (json_peek(j) != JSON_STRING) {
        TRY(json_skip(j, &raw, e));
        json_put_raw(w, raw);
        return OK;
    }
    TRY(json_string(j, &text, e));
    json_init(&inner, text, t->r->arena);
    if (json_peek(&inner) == JSON_OBJECT && json_skip(&inner, &raw, &ignored) == OK &&
        json_end(&inner, &ignored) == OK)
        json_put_raw(w, raw);
    else
        json_put_str(w, text);
    return OK;
}

/* Copies an object; members named "arguments" as put_arguments says, "function" likewise. */
static enum code put_call(struct talk *t, struct json *j, struct json_out *w, struct err *e) {
    struct str key, raw;
    bool more;
    TRY(json_enter_object(j, e));
    json_put_object(w);
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            break;
        json_put_key_str(w, key);
        if (str_is(key, "arguments")) {
            TRY(put_arguments(t, j, w, e));
        } else if (str_is(key, "function") && json_peek(j) == JSON_OBJECT) {
            TRY(put_call(t, j, w, e));
        } else {
            TRY(json_skip(j, &raw, e));
            json_put_raw(w, raw);
        }
    }
    json_put_object_end(w);
    return OK;
}

static enum code put_calls(struct talk *t, struct json *j, struct json_out *w, struct err *e) {
    bool more;
    TRY(json_enter_array(j, e));
    json_put_array(w);
    for (;;) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            break;
        TRY(put_call(t, j, w, e));
    }
    json_put_array_end(w);
    return OK;
}

static enum code put_role(struct json *j, struct json_out *w, bool *has_role, struct err *e) {
    struct str role;
    TRY(json_string(j, &role, e));
    *has_role = true;
    json_put_str(w, str_is(role, "developer") ? LIT("system") : role);
    return OK;
}

static enum code put_message(struct talk *t, struct json *j, struct json_out *w, struct err *e) {
    struct str key, raw;
    bool more, has_role = false;
    if (json_peek(j) != JSON_OBJECT)
        return json_fail(j, e, "a message must be an object");
    TRY(json_enter_object(j, e));
    json_put_object(w);
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            break;
        if (str_is(key, "tool_calls") && json_peek(j) != JSON_ARRAY) {
            TRY(json_skip(j, NULL, e));
            continue;
        }
        json_put_key_str(w, key);
        if (str_is(key, "content")) {
            TRY(openai_content(t, j, w, e));
        } else if (str_is(key, "role")) {
            TRY(put_role(j, w, &has_role, e));
        } else if (str_is(key, "tool_calls")) {
            TRY(put_calls(t, j, w, e));
        } else {
            TRY(json_skip(j, &raw, e));
            json_put_raw(w, raw);
        }
    }
    json_put_object_end(w);
    return has_role ? OK : json_fail(j, e, "a message has no \"role\"");
}

enum code openai_messages(struct talk *t, struct str messages, struct str *out, struct err *e) {
    struct json j;
    struct json_out w;
    size_t n = 0;
    bool more;
    if (messages.n == 0)
        return fail(e, INVALID, "\"messages\" is missing");
    struct buf *b = answer_buf(t->r, messages.n + 64, e);
    if (!b)
        return e->code;
    json_init(&j, messages, t->r->arena);
    json_out_init(&w, b, 0);
    if (json_peek(&j) != JSON_ARRAY)
        return fail(e, INVALID, "\"messages\" must be an array");
    TRY(json_enter_array(&j, e));
    json_put_array(&w);
    for (;; n++) {
        TRY(json_next_item(&j, &more, e));
        if (!more)
            break;
        if (put_message(t, &j, &w, e) != OK)
            return err_prefix(e, "messages[%zu]", n);
    }
    json_put_array_end(&w);
    TRY(buf_check(b, "messages", e));
    *out = buf_str(b);
    return n ? OK : fail(e, INVALID, "\"messages\" is empty");
}
