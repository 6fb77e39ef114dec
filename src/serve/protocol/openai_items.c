/* SPDX-License-Identifier: Apache-2.0 */
/* The input of /v1/responses as the messages of a chat: "instructions" are the system's turn, a
 * text is the user's, a list's items are turns, calls of functions and their outputs. Calls that
 * follow each other are one turn of the assistant. Reasoning items are passed over: templates leave
 * old thoughts out. */
#include "serve/protocol/openai.h"

struct item { /* of the list; JSON texts but for type and role */
    struct str type, role, content, call_id, name, arguments, output;
};

struct turns { /* under construction */
    struct talk *t;
    struct json_out w;
    bool calling; /* inside the calls of an assistant's turn */
};

static void put_turn(struct turns *u, struct str role) {
    json_put_object(&u->w);
    json_put_member_str(&u->w, "role", role);
}

static void end_calls(struct turns *u) {
    if (!u->calling)
        return;
    json_put_array_end(&u->w);
    json_put_object_end(&u->w);
    u->calling = false;
}

static enum code put_content(struct turns *u, struct str json, struct err *e) {
    struct json j;
    json_init(&j, json.n ? json : LIT("null"), u->t->r->arena);
    json_put_key(&u->w, "content");
    return openai_content(u->t, &j, &u->w, e);
}

static enum code put_message(struct turns *u, const struct item *i, struct err *e) {
    if (i->role.n == 0)
        return fail(e, INVALID, "a message has no \"role\"");
    end_calls(u);
    put_turn(u, i->role);
    TRY(put_content(u, i->content, e));
    json_put_object_end(&u->w);
    return OK;
}

static enum code put_call(struct turns *u, const struct item *i, struct err *e) {
    if (i->name.n == 0 || i->arguments.n == 0)
        return fail(e, INVALID, "a function_call needs \"name\" and \"arguments\"");
    if (!u->calling) {
        put_turn(u, LIT("assistant"));
        json_put_member_text(&u->w, "content", "");
        json_put_key(&u->w, "tool_calls");
        json_put_array(&u->w);
        u->calling = true;
    }
    json_put_object(&u->w);
    json_put_key(&u->w, "id");
    json_put_raw(&u->w, i->call_id.n ? i->call_id : LIT("\"\""));
    json_put_member_text(&u->w, "type", "function");
    json_put_key(&u->w, "function");
    json_put_object(&u->w);
    json_put_key(&u->w, "name");
    json_put_raw(&u->w, i->name);
    json_put_key(&u->w, "arguments");
    json_put_raw(&u->w, i->arguments);
    json_put_object_end(&u->w);
    json_put_object_end(&u->w);
    return OK;
}

static enum code put_output(struct turns *u, const struct item *i, struct err *e) {
    end_calls(u);
    put_turn(u, LIT("tool"));
    json_put_key(&u->w, "tool_call_id");
    json_put_raw(&u->w, i->call_id.n ? i->call_id : LIT("\"\""));
    TRY(put_content(u, i->output, e));
    json_put_object_end(&u->w);
    return OK;
}

static enum code put_item(struct turns *u, const struct item *i, struct err *e) {
    if (i->type.n == 0 || str_is(i->type, "message"))
        return put_message(u, i, e);
    if (str_is(i->type, "function_call"))
        return put_call(u, i, e);
    if (str_is(i->type, "function_call_output"))
        return put_output(u, i, e);
    return str_is(i->type, "reasoning") ? OK
                                        : fail(e, INVALID, "items of type '%.*s' are not supported",
                                               STR(str_sub(i->type, 0, 60)));
}

static enum code read_item(struct json *j, struct item *i, struct err *e) {
    struct str key;
    bool more;
    TRY(json_enter_object(j, e));
    for (;;) {
        struct str *raw = NULL;
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return OK;
        if (str_is(key, "type") && json_peek(j) == JSON_STRING) {
            TRY(json_string(j, &i->type, e));
            continue;
        }
        if (str_is(key, "role") && json_peek(j) == JSON_STRING) {
            TRY(json_string(j, &i->role, e));
            continue;
        }
        if (str_is(key, "content"))
            raw = &i->content;
        else if (str_is(key, "output"))
            raw = &i->output;
        else if (json_peek(j) == JSON_STRING)
            raw = str_is(key, "call_id")     ? &i->call_id
                  : str_is(key, "name")      ? &i->name
                  : str_is(key, "arguments") ? &i->arguments
                                             : NULL;
        TRY(json_skip(j, raw, e));
    }
}

static enum code put_list(struct turns *u, struct json *j, struct err *e) {
    bool more;
    TRY(json_enter_array(j, e));
    for (size_t n = 0;; n++) {
        struct item i = {0};
        TRY(json_next_item(j, &more, e));
        if (!more)
            break;
        if (json_peek(j) != JSON_OBJECT)
            return json_fail(j, e, "input[%zu] must be an object", n);
        TRY(read_item(j, &i, e));
        if (put_item(u, &i, e) != OK)
            return err_prefix(e, "input[%zu]", n);
    }
    end_calls(u);
    return OK;
}

static enum code put_input(struct turns *u, struct str input, struct err *e) {
    struct json j;
    json_init(&j, input, u->t->r->arena);
    if (input.n && json_peek(&j) == JSON_ARRAY)
        return put_list(u, &j, e);
    if (input.n == 0 || json_peek(&j) != JSON_STRING)
        return fail(e, INVALID, "\"input\": a text or a list of items is expected");
    put_turn(u, LIT("user"));
    json_put_key(&u->w, "content");
    json_put_raw(&u->w, input);
    json_put_object_end(&u->w);
    return OK;
}

enum code openai_items(struct talk *t, struct str instructions, struct str input, struct str *out,
                       struct err *e) {
    struct turns u = {.t = t};
    struct buf *b = answer_buf(t->r, input.n + 256, e);
    if (!b)
        return e->code;
    json_out_init(&u.w, b, 0);
    json_put_array(&u.w);
    if (instructions.n) {
        put_turn(&u, LIT("system"));
        TRY(put_content(&u, instructions, e));
        json_put_object_end(&u.w);
    }
    TRY(put_input(&u, input, e));
    json_put_array_end(&u.w);
    TRY(buf_check(b, "input", e));
    return openai_messages(t, buf_str(b), out, e);
}
