/* SPDX-License-Identifier: Apache-2.0 */
/* Recipes: see recipe.h. Reading here; the pixels in prepare.c.
 *
 * Unknown members are refused: a misspelt "mean" would give wrong answers without a word. */
#include "serve/recipe.h"

#include "base/json.h"
#include "base/utf8.h"

enum { TOKENS_MAX = 1 << 17, SIDE_MAX = 8192, LABELS_MAX = 1 << 20 };

/* --- members --- */

static enum code take_side(struct json *j, int *out, struct err *e) {
    int64_t v;
    TRY(json_i64(j, &v, e));
    if (v < 1 || v > SIDE_MAX)
        return json_fail(j, e, "expected 1 to %d pixels, got %lld", SIDE_MAX, (long long)v);
    *out = (int)v;
    return OK;
}

/* One of the words; its place in the list. */
static enum code take_word(struct json *j, const char *const *words, int n, int *out,
                           struct err *e) {
    struct str text;
    char list[120];
    size_t used = 0;
    TRY(json_string(j, &text, e));
    for (int i = 0; i < n; i++)
        if (str_is(text, words[i])) {
            *out = i;
            return OK;
        }
    for (int i = 0; i < n && used < sizeof list; i++)
        used +=
            (size_t)snprintf(list + used, sizeof list - used, "%s\"%s\"", i ? ", " : "", words[i]);
    return json_fail(j, e, "\"%.*s\" is none of %s", STR(text), list);
}

/* A number for all channels, or one for each. */
static enum code take_channels(struct json *j, float out[3], struct err *e) {
    double v;
    bool more;
    int n = 0;
    if (json_peek(j) == JSON_NUMBER) {
        TRY(json_f64(j, &v, e));
        out[0] = out[1] = out[2] = (float)v;
        return OK;
    }
    TRY(json_enter_array(j, e));
    for (;; n++) {
        TRY(json_next_item(j, &more, e));
        if (!more)
            break;
        if (n == 3)
            return json_fail(j, e, "expected 1 or 3 numbers");
        TRY(json_f64(j, &v, e));
        out[n] = (float)v;
    }
    if (n == 1)
        out[1] = out[2] = out[0];
    return n == 1 || n == 3 ? OK : json_fail(j, e, "expected 1 or 3 numbers, got %d", n);
}

static size_t count_lines(struct str text) {
    size_t n = text.n > 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    if (text.n && text.p[text.n - 1] == '\n')
        n--;
    return n;
}

static enum code split_lines(struct str text, struct arena *a, struct str **out, size_t *n,
                             struct err *e) {
    size_t lines = count_lines(text), at = 0;
    struct str *list = ARENA_ARRAY(a, lines + 1, struct str);
    if (!list)
        return arena_fail(a, lines * sizeof *list, "labels", e);
    for (size_t i = 0; i < lines; i++) {
        size_t end = at;
        while (end < text.n && text.p[end] != '\n')
            end++;
        list[i] = str_sub(text, at, end);
        if (list[i].n && list[i].p[list[i].n - 1] == '\r')
            list[i].n--;
        at = end + 1;
    }
    *out = list;
    *n = lines;
    return OK;
}

/* {"0": "cat", "1": ["n02084071", "dog"]}, TorchServe's index_to_name.json: the last text names the
 * class. */
static enum code take_label_map(struct json *j, struct arena *a, struct str **out, size_t *n,
                                struct err *e) {
    struct str key, label = {0};
    uint64_t at;
    bool more, inner;
    struct json ahead = *j;
    size_t classes = 0;
    TRY(json_enter_object(&ahead, e));
    for (;; classes++) {
        TRY(json_next_key(&ahead, &key, &more, e));
        if (!more)
            break;
        TRY(json_skip(&ahead, NULL, e));
    }
    struct str *list = ARENA_ARRAY(a, classes + 1, struct str);
    if (!list)
        return arena_fail(a, classes * sizeof *list, "labels", e);
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            break;
        if (!str_to_u64(key, &at) || at >= classes)
            return json_fail(j, e, "\"%.*s\" is no class of 0 to %zu", STR(key), classes - 1);
        if (json_peek(j) == JSON_ARRAY) {
            TRY(json_enter_array(j, e));
            for (;;) {
                TRY(json_next_item(j, &inner, e));
                if (!inner)
                    break;
                TRY(json_string(j, &label, e));
            }
        } else {
            TRY(json_string(j, &label, e));
        }
        list[at] = label;
    }
    *out = list;
    *n = classes;
    return OK;
}

/* ["a", "b"], "a\nb", or an object of them */
static enum code take_lines(struct json *j, struct arena *a, struct str **out, size_t *n,
                            struct err *e) {
    struct json_tensor shape;
    struct str text;
    struct buf b;
    if (json_peek(j) == JSON_STRING) {
        TRY(json_string(j, &text, e));
        return split_lines(text, a, out, n, e);
    }
    if (json_peek(j) == JSON_OBJECT)
        return take_label_map(j, a, out, n, e);
    buf_init(&b, LABELS_MAX * sizeof(struct str));
    enum code code = json_strings(j, &b, &shape, e);
    if (code == OK && shape.rank != 1)
        code = json_fail(j, e, "expected an array of strings");
    if (code == OK)
        code = buf_check(&b, "labels", e);
    struct str *list = code == OK ? arena_push(a, b.n + 1) : NULL;
    if (code == OK && !list)
        code = arena_fail(a, b.n, "labels", e);
    if (code == OK) {
        if (b.n)
            memcpy(list, b.p, b.n);
        *out = list;
        *n = shape.count;
    }
    buf_deinit(&b);
    return code;
}

/* --- objects --- */

static enum code take_image_word(struct json *j, struct str key, struct recipe *r, struct err *e) {
    static const char *const fits[] = {"stretch", "crop", "pad", "height", "sides"},
                             *const filters[] = {"linear", "antialias"},
                             *const orders[] = {"RGB", "BGR"}, *const layouts[] = {"NCHW", "NHWC"},
                             *const places[] = {"corner", "centre"};
    int word = 0;
    if (str_is(key, "resize")) {
        TRY(take_word(j, fits, 5, &word, e));
        r->fit = (enum recipe_fit)word;
    } else if (str_is(key, "filter")) {
        TRY(take_word(j, filters, 2, &word, e));
        r->filter = (enum resample_filter)word;
    } else if (str_is(key, "order")) {
        TRY(take_word(j, orders, 2, &word, e));
        r->bgr = word == 1;
    } else if (str_is(key, "layout")) {
        TRY(take_word(j, layouts, 2, &word, e));
        r->nhwc = word == 1;
    } else if (str_is(key, "place")) {
        TRY(take_word(j, places, 2, &word, e));
        r->centre = word == 1;
    } else {
        return json_fail(j, e, "\"image\" has no member \"%.*s\"", STR(key));
    }
    return OK;
}

static enum code take_image_member(struct json *j, struct str key, struct recipe *r,
                                   struct err *e) {
    const struct {
        const char *name;
        int *side;
    } sides[] = {{"width", &r->width},           {"height", &r->height},
                 {"short_side", &r->short_side}, {"min_width", &r->min_width},
                 {"max_width", &r->max_width},   {"min_side", &r->min_side},
                 {"max_side", &r->max_side},     {"multiple", &r->multiple}};
    int64_t v;
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        if (str_is(key, sides[i].name))
            return take_side(j, sides[i].side, e);
    if (str_is(key, "mean"))
        return take_channels(j, r->mean, e);
    if (str_is(key, "scale"))
        return take_channels(j, r->scale, e);
    if (!str_is(key, "fill") && !str_is(key, "channels"))
        return take_image_word(j, key, r, e);
    TRY(json_i64(j, &v, e));
    bool fill = str_is(key, "fill");
    if (fill ? v < 0 || v > 255 : v != 1 && v != 3)
        return json_fail(j, e, fill ? "\"fill\" is 0 to 255" : "\"channels\" is 1 or 3");
    if (fill)
        r->fill = (uint8_t)v;
    else
        r->channels = (int)v;
    return OK;
}

static enum code take_image(struct json *j, struct recipe *r, struct err *e) {
    struct str key;
    bool more;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return OK;
        TRY(take_image_member(j, key, r, e));
    }
}

static enum code take_text(struct json *j, struct recipe *r, struct err *e) {
    struct str key;
    bool more;
    int64_t v;
    r->text = true;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return OK;
        if (!str_is(key, "most"))
            return json_fail(j, e, "\"text\" has no member \"%.*s\"", STR(key));
        TRY(json_i64(j, &v, e));
        if (v < 2 || v > TOKENS_MAX)
            return json_fail(j, e, "\"most\" is 2 to %d tokens", TOKENS_MAX);
        r->most = (int)v;
    }
}

static enum code take_ctc(struct json *j, struct arena *a, struct recipe *r, struct err *e) {
    struct str key;
    bool more;
    int64_t v;
    r->ctc = true;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return r->n_charset ? OK : json_fail(j, e, "\"ctc\" needs a \"charset\"");
        if (str_is(key, "charset")) {
            TRY(take_lines(j, a, &r->charset, &r->n_charset, e));
        } else if (str_is(key, "space")) {
            TRY(json_bool(j, &r->ctc_space, e));
        } else if (str_is(key, "blank")) {
            TRY(json_i64(j, &v, e));
            if (v < 0 || v > LABELS_MAX)
                return json_fail(j, e, "\"blank\" is the number of a class");
            r->ctc_blank = (int)v;
        } else {
            return json_fail(j, e, "\"ctc\" has no member \"%.*s\"", STR(key));
        }
    }
}

static enum code take_share(struct json *j, float *out, struct err *e) {
    double v;
    TRY(json_f64(j, &v, e));
    if (!(v >= 0 && v <= 1))
        return json_fail(j, e, "expected 0 to 1, got %g", v);
    *out = (float)v;
    return OK;
}

static enum code take_boxes(struct json *j, struct recipe *r, struct err *e) {
    static const char *const forms[] = {"yolov8", "yolov5"};
    struct str key;
    bool more;
    int word = 0;
    r->boxed = true;
    r->boxes = (struct boxes_rule){.score = 0.25f, .iou = 0.45f, .most = 300};
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return OK;
        if (str_is(key, "form")) {
            TRY(take_word(j, forms, 2, &word, e));
            r->boxes.form = (enum boxes_form)word;
        } else if (str_is(key, "score")) {
            TRY(take_share(j, &r->boxes.score, e));
        } else if (str_is(key, "iou")) {
            TRY(take_share(j, &r->boxes.iou, e));
        } else if (str_is(key, "agnostic")) {
            TRY(json_bool(j, &r->boxes.agnostic, e));
        } else if (str_is(key, "most")) {
            TRY(take_side(j, &r->boxes.most, e));
        } else {
            return json_fail(j, e, "\"boxes\" has no member \"%.*s\"", STR(key));
        }
    }
}

static enum code take_postprocess(struct json *j, struct arena *a, struct recipe *r,
                                  struct err *e) {
    struct str key;
    bool more;
    int64_t v;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return OK;
        if (str_is(key, "ctc")) {
            TRY(take_ctc(j, a, r, e));
        } else if (str_is(key, "boxes")) {
            TRY(take_boxes(j, r, e));
        } else if (str_is(key, "output")) {
            TRY(json_string(j, &r->output, e));
        } else if (str_is(key, "softmax")) {
            TRY(json_bool(j, &r->softmax, e));
        } else if (str_is(key, "top")) {
            TRY(json_i64(j, &v, e));
            if (v < 1 || v > 1000)
                return json_fail(j, e, "\"top\" is 1 to 1000");
            r->top = (int)v;
            r->topped = true;
        } else {
            return json_fail(j, e, "\"postprocess\" has no member \"%.*s\"", STR(key));
        }
    }
}

static enum code take_part(struct json *j, struct arena *a, struct recipe *r, struct err *e) {
    struct str key;
    bool more;
    TRY(json_enter_object(j, e));
    for (;;) {
        TRY(json_next_key(j, &key, &more, e));
        if (!more)
            return json_end(j, e);
        if (str_is(key, "input"))
            TRY(json_string(j, &r->input, e));
        else if (str_is(key, "image"))
            TRY(take_image(j, r, e));
        else if (str_is(key, "text"))
            TRY(take_text(j, r, e));
        else if (str_is(key, "labels"))
            TRY(take_lines(j, a, &r->labels, &r->n_labels, e));
        else if (str_is(key, "postprocess"))
            TRY(take_postprocess(j, a, r, e));
        else
            return json_fail(j, e,
                             "no member \"%.*s\" here; there are input, image, text, labels, "
                             "postprocess",
                             STR(key));
    }
}

enum code recipe_read(struct span part, struct arena *a, struct recipe *out, struct err *e) {
    const float byte = 1.0f / 255.0f;
    struct recipe r = {.scale = {byte, byte, byte}, .multiple = 1};
    struct json j;
    if (part.n) {
        json_init(&j, (struct str){(const char *)part.p, part.n}, a);
        enum code code = take_part(&j, a, &r, e);
        if (code != OK)
            return err_prefix(e, "the version's \"preprocess\" part");
    }
    *out = r;
    return OK;
}

/* --- text --- */

static struct str character(const struct recipe *r, int64_t class) {
    size_t at = (size_t)(class > r->ctc_blank ? class - 1 : class);
    if (at < r->n_charset)
        return r->charset[at];
    return at == r->n_charset && r->ctc_space ? LIT(" ") : (struct str){NULL, 0};
}

static int64_t best_of(const float *p, int64_t n) {
    int64_t best = 0;
    for (int64_t c = 1; c < n; c++)
        if (p[c] > p[best])
            best = c;
    return best;
}

enum code recipe_text(const struct recipe *r, const struct tensor *t, struct arena *a,
                      struct str *text, double *confidence, struct err *e) {
    char shape[SHAPE_TEXT];
    int rank = t->shape.rank;
    if (t->dtype != DT_F32 || rank < 2 || rank > 3 || (rank == 3 && t->shape.dims[0] != 1))
        return fail(e, INVALID, "text needs an output f32 [1,T,C] or [T,C], this one is %s %s",
                    dtype_name(t->dtype), shape_print(&t->shape, shape));
    int64_t steps = t->shape.dims[rank - 2], classes = t->shape.dims[rank - 1], last = -1;
    const float *p = t->data; /* (steps, classes) */
    size_t kept = 0;
    double sum = 0;
    struct buf b;
    buf_init(&b, (size_t)1 << 20);
    for (int64_t s = 0; s < steps && classes; s++, p += classes) {
        int64_t best = best_of(p, classes);
        if (best != last && best != r->ctc_blank) {
            buf_put_str(&b, character(r, best));
            sum += (double)p[best];
            kept++;
        }
        last = best;
    }
    enum code code = buf_check(&b, "text", e);
    if (code == OK) {
        *text = arena_str(a, buf_str(&b));
        *confidence = kept ? sum / (double)kept : 0;
    }
    buf_deinit(&b);
    return code;
}
