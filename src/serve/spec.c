/* SPDX-License-Identifier: Apache-2.0 */
/* Specs: see spec.h. Words become members of the recipe's JSON; recipe_read then says what does not
 * fit together. */
#include "serve/spec.h"

#include "base/json.h"
#include "serve/recipe.h"

/* --- words --- */

struct words { /* "image:224x224,imagenet,short=256" */
    struct str rest;
    bool first;
};

/* The next piece between ',' (after the first also ':'); false at the end. */
static bool next_word(struct words *w, struct str *out) {
    size_t at = 0;
    if (w->rest.n == 0)
        return false;
    while (at < w->rest.n && w->rest.p[at] != ',' && !(w->first && w->rest.p[at] == ':'))
        at++;
    *out = str_sub(w->rest, 0, at);
    w->rest = str_sub(w->rest, at < w->rest.n ? at + 1 : at, w->rest.n);
    w->first = false;
    return true;
}

/* NAME= before the kind. */
static struct str take_name(struct str *text) {
    struct str name = {0};
    size_t equals;
    if (str_find(*text, '=', &equals)) {
        struct str head = str_sub(*text, 0, equals);
        size_t ignored;
        if (!str_find(head, ',', &ignored) && !str_find(head, ':', &ignored)) {
            name = head;
            *text = str_sub(*text, equals + 1, text->n);
        }
    }
    return name;
}

static bool member_word(struct str word, const char *const (*table)[3], size_t n,
                        struct json_out *w) {
    for (size_t i = 0; i < n; i++)
        if (str_is(word, table[i][0])) {
            json_put_member_text(w, table[i][1], table[i][2]);
            return true;
        }
    return false;
}

/* "short=256" as {"short_side": 256}: the value is a number and written as it stands. */
static bool member_number(struct str word, const char *const (*table)[2], size_t n,
                          struct json_out *w) {
    size_t equals;
    if (!str_find(word, '=', &equals) || equals + 1 == word.n)
        return false;
    struct str key = str_sub(word, 0, equals), value = str_sub(word, equals + 1, word.n);
    for (size_t i = 0; i < value.n; i++)
        if (!strchr("0123456789.", value.p[i]))
            return false;
    for (size_t i = 0; i < n; i++)
        if (str_is(key, table[i][0])) {
            json_put_key(w, table[i][1]);
            json_put_raw(w, value);
            return true;
        }
    return false;
}

/* --- input --- */

static bool take_size(struct str word, uint64_t *width, uint64_t *height) {
    size_t x;
    return str_find(word, 'x', &x) && str_to_u64(str_sub(word, 0, x), width) &&
           str_to_u64(str_sub(word, x + 1, word.n), height);
}

/* What the published models of a family were trained with. */
static bool preset(struct str word, uint64_t height, struct json_out *w) {
    if (str_is(word, "imagenet")) { /* torchvision's: Resize(256), CenterCrop(224), Normalize */
        json_put_member_text(w, "resize", "crop");
        json_put_member_text(w, "filter", "antialias");
        if (height)
            json_put_member_i64(w, "short_side", (int64_t)((height * 256 + 112) / 224));
        json_put_key(w, "mean");
        json_put_raw(w, LIT("[123.675,116.28,103.53]"));
        json_put_key(w, "scale");
        json_put_raw(w, LIT("[0.01712475383,0.0175070028,0.01742919389]"));
    } else if (str_is(word, "inception")) { /* -1 to 1 */
        json_put_member_f64(w, "mean", 127.5);
        json_put_member_f64(w, "scale", 1 / 127.5);
    } else if (str_is(word, "unit")) {
        json_put_member_f64(w, "mean", 0);
        json_put_member_f64(w, "scale", 1 / 255.0);
    } else if (str_is(word, "bytes")) {
        json_put_member_f64(w, "mean", 0);
        json_put_member_f64(w, "scale", 1);
    } else {
        return false;
    }
    return true;
}

/* text[:N] */
static enum code put_tokens(struct words *list, struct json_out *w, struct err *e) {
    struct str word;
    uint64_t most;
    json_put_key(w, "text");
    json_put_object(w);
    while (next_word(list, &word)) {
        if (!str_to_u64(word, &most) || most > INT32_MAX)
            return fail(e, USAGE, "--input text: '%.*s' is no number of tokens", STR(word));
        json_put_member_i64(w, "most", (int64_t)most);
    }
    json_put_object_end(w);
    return OK;
}

static enum code put_input(struct str spec, struct json_out *w, struct err *e) {
    static const char *const words[][3] = {
        {"crop", "resize", "crop"},       {"pad", "resize", "pad"},
        {"stretch", "resize", "stretch"}, {"height", "resize", "height"},
        {"sides", "resize", "sides"},     {"centre", "place", "centre"},
        {"rgb", "order", "RGB"},          {"bgr", "order", "BGR"},
        {"nchw", "layout", "NCHW"},       {"nhwc", "layout", "NHWC"},
        {"linear", "filter", "linear"},   {"antialias", "filter", "antialias"}};
    static const char *const numbers[][2] = {{"short", "short_side"}, {"multiple", "multiple"},
                                             {"min", "min_side"},     {"max", "max_side"},
                                             {"fill", "fill"},        {"channels", "channels"}};
    uint64_t width, height = 0;
    struct str name = take_name(&spec), word = {0};
    struct words list = {spec, true};
    (void)next_word(&list, &word);
    if (str_is(word, "text") && !name.n) /* which input that is, the model's names say */
        return put_tokens(&list, w, e);
    if (name.n)
        json_put_member_str(w, "input", name);
    if (!str_is(word, "image"))
        return fail(e, USAGE, "--input '%.*s': expected image[:WxH][,word]... or text[:N]",
                    STR(spec));
    json_put_key(w, "image");
    json_put_object(w);
    while (next_word(&list, &word)) {
        if (take_size(word, &width, &height)) {
            json_put_member_i64(w, "width", (int64_t)width);
            json_put_member_i64(w, "height", (int64_t)height);
        } else if (!preset(word, height, w) &&
                   !member_word(word, words, sizeof words / sizeof *words, w) &&
                   !member_number(word, numbers, sizeof numbers / sizeof *numbers, w)) {
            return fail(e, USAGE, "--input: no word '%.*s'; `slipway help add` lists them",
                        STR(word));
        }
    }
    json_put_object_end(w);
    return OK;
}

/* --- output --- */

static enum code bad_word(struct str word, struct err *e) {
    return fail(e, USAGE, "--output: no word '%.*s' here; `slipway help add` lists them",
                STR(word));
}

static enum code put_classes(struct words *list, struct str word, struct json_out *w,
                             struct err *e) {
    uint64_t top;
    do {
        if (str_is(word, "softmax"))
            json_put_member_bool(w, "softmax", true);
        else if (str_to_u64(word, &top))
            json_put_member_i64(w, "top", (int64_t)top);
        else if (!str_is(word, "classes"))
            return bad_word(word, e);
    } while (next_word(list, &word));
    return OK;
}

static enum code put_boxes(struct words *list, struct json_out *w, struct err *e) {
    static const char *const forms[][3] = {{"yolov8", "form", "yolov8"},
                                           {"yolov5", "form", "yolov5"}};
    static const char *const numbers[][2] = {{"score", "score"}, {"iou", "iou"}, {"most", "most"}};
    struct str word;
    json_put_key(w, "boxes");
    json_put_object(w);
    while (next_word(list, &word))
        if (str_is(word, "agnostic"))
            json_put_member_bool(w, "agnostic", true);
        else if (!member_word(word, forms, 2, w) && !member_number(word, numbers, 3, w))
            return bad_word(word, e);
    json_put_object_end(w);
    return OK;
}

static void put_label_file(struct json_out *w, const char *key, struct span file) {
    struct str text = {(const char *)file.p, file.n};
    json_put_key(w, key);
    if (file.n && (file.p[0] == '[' || file.p[0] == '{'))
        json_put_raw(w, text);
    else
        json_put_str(w, text);
}

static enum code put_text(struct words *list, struct span labels, struct json_out *w,
                          struct err *e) {
    static const char *const numbers[][2] = {{"blank", "blank"}};
    struct str word;
    json_put_key(w, "ctc");
    json_put_object(w);
    put_label_file(w, "charset", labels);
    while (next_word(list, &word))
        if (str_is(word, "space"))
            json_put_member_bool(w, "space", true);
        else if (!member_number(word, numbers, 1, w))
            return bad_word(word, e);
    json_put_object_end(w);
    return OK;
}

static enum code put_output(const struct spec *s, struct json_out *w, struct err *e) {
    struct str spec = s->output, name = take_name(&spec), word = {0};
    struct words list = {spec, true};
    json_put_key(w, "postprocess");
    json_put_object(w);
    if (name.n)
        json_put_member_str(w, "output", name);
    (void)next_word(&list, &word);
    if (str_is(word, "text"))
        TRY(put_text(&list, s->labels, w, e));
    else if (str_is(word, "boxes"))
        TRY(put_boxes(&list, w, e));
    else
        TRY(put_classes(&list, word, w, e));
    json_put_object_end(w);
    return OK;
}

static enum code put_all(const struct spec *s, struct json_out *w, struct err *e) {
    struct str ignored = s->output;
    (void)take_name(&ignored);
    json_put_object(w);
    if (s->input.n)
        TRY(put_input(s->input, w, e));
    if (s->labels.n && !str_starts(ignored, "text"))
        put_label_file(w, "labels", s->labels);
    if (s->output.n)
        TRY(put_output(s, w, e));
    json_put_object_end(w);
    return OK;
}

enum code spec_write(const struct spec *s, struct arena *a, struct span *out, struct err *e) {
    struct recipe checked;
    struct json_out w;
    struct buf b;
    struct str text;
    buf_init(&b, (size_t)16 << 20);
    json_out_init(&w, &b, 0);
    enum code code = put_all(s, &w, e);
    if (code == OK)
        code = buf_check(&b, "recipe", e);
    if (code == OK) {
        text = arena_str(a, buf_str(&b));
        *out = (struct span){(const uint8_t *)text.p, text.n};
        code = text.p ? recipe_read(*out, a, &checked, e) : arena_fail(a, b.n, "recipe", e);
    }
    buf_deinit(&b);
    return code;
}
