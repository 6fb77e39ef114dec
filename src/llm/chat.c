/* SPDX-License-Identifier: Apache-2.0 */
/* Chat templates: see chat.h. So far those of the ChatML family (<|im_start|>ROLE\nTEXT<|im_end|>),
 * known by what the template writes, with the system message it adds when there is none. */
#include "llm/chat.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"

enum { RENDERED = 64 << 20 };

struct chat_template {
    const struct tokenizer *t;
    struct str system; /* added when the first message is no system message; .n == 0: none */
};

static struct str find_text(struct str in, const char *what) { /* what follows `what` */
    const char *p = in.n ? memmem(in.p, in.n, what, strlen(what)) : NULL;
    return p ? str_sub(in, (size_t)(p - in.p) + strlen(what), in.n) : (struct str){0};
}

/* '<|im_start|>system\nTEXT<|im_end|>' written as one literal. */
static struct str default_system(struct str source) {
    struct str rest = find_text(source, "<|im_start|>system\\n"), end;
    if (rest.n == 0)
        rest = find_text(source, "<|im_start|>system\n");
    end = find_text(rest, "<|im_end|>");
    struct str text = str_sub(rest, 0, rest.n - end.n);
    if (end.n == 0 || text.n < 10)
        return (struct str){0};
    text.n -= 10;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '\'' || text.p[i] == '{' || text.p[i] == '"')
            return (struct str){0};
    return text;
}

enum code chat_open(struct str source, const struct tokenizer *t, struct chat_template **out,
                    struct err *e) {
    if (find_text(source, "<|im_start|>").n == 0)
        return fail(e, UNSUPPORTED, "this chat template is not of the ChatML family");
    struct chat_template *c = mem_zalloc(1, sizeof *c);
    if (!c)
        return fail(e, NOMEM, "no memory for a chat template");
    c->t = t;
    c->system = default_system(source);
    *out = c;
    return OK;
}

void chat_close(struct chat_template *c) { mem_free(c); }

struct prompt { /* under construction */
    const struct chat_template *c;
    struct arena *arena;
    struct buf text, ids;
};

static enum code put(struct prompt *p, struct str text, unsigned flags, struct err *e) {
    int32_t *ids;
    size_t n;
    buf_put_str(&p->text, text);
    TRY(tokenizer_encode(p->c->t, text, flags, p->arena, &ids, &n, e));
    buf_put(&p->ids, ids, n * sizeof *ids);
    return buf_check(&p->ids, "prompt", e);
}

static enum code put_turn(struct prompt *p, struct str role, struct str text, struct err *e) {
    char head[128];
    int n = snprintf(head, sizeof head, "<|im_start|>%.*s\n", STR(str_sub(role, 0, 64)));
    TRY(put(p, (struct str){head, (size_t)n}, TOKENIZE_SPECIAL_PARSE, e));
    TRY(put(p, text, 0, e));
    return put(p, LIT("<|im_end|>\n"), TOKENIZE_SPECIAL_PARSE, e);
}

static enum code read_message(struct json *j, struct str *role, struct str *content,
                              struct err *e) {
    struct str key;
    bool more;
    *role = *content = (struct str){0};
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return OK;
        if (str_is(key, "role") && json_peek(j) == JSON_STRING)
            TRY(json_string(j, role, e));
        else if (str_is(key, "content") && json_peek(j) == JSON_STRING)
            TRY(json_string(j, content, e));
        else
            TRY(json_skip(j, NULL, e));
    }
}

static enum code render(struct prompt *p, const struct chat_ask *ask, struct err *e) {
    struct str role, content;
    struct json j;
    bool more;
    json_init(&j, ask->messages_json, p->arena);
    TRY(json_enter_array(&j, e));
    for (bool first = true;; first = false) {
        TRY(json_next_item(&j, &more, e));
        if (!more)
            break;
        TRY(read_message(&j, &role, &content, e));
        if (first && p->c->system.n && !str_is(role, "system"))
            TRY(put_turn(p, LIT("system"), p->c->system, e));
        TRY(put_turn(p, role, content, e));
    }
    if (!ask->generation_prompt)
        return OK;
    return put(p, LIT("<|im_start|>assistant\n"), TOKENIZE_SPECIAL_PARSE, e);
}

enum code chat_tokens(const struct chat_template *c, const struct chat_ask *ask, struct arena *a,
                      int32_t **ids, size_t *n, struct str *rendered, struct err *e) {
    struct prompt p = {.c = c, .arena = a};
    buf_init(&p.text, RENDERED);
    buf_init(&p.ids, RENDERED);
    enum code code = render(&p, ask, e);
    if (code == OK) {
        int32_t *out = arena_push(a, p.ids.n + 1);
        *rendered = arena_str(a, buf_str(&p.text));
        if (!out || !rendered->p)
            code = arena_fail(a, p.ids.n, "prompt", e);
        else
            memcpy(out, p.ids.p, p.ids.n);
        *ids = out;
        *n = p.ids.n / sizeof *out;
    }
    buf_deinit(&p.text);
    buf_deinit(&p.ids);
    return code;
}
