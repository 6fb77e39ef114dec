/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes: see outcome.h. */
#include "serve/outcome.h"

#include <math.h>

enum { TOP = 5 };

static bool names_classes(const struct recipe *r) { return r->topped || r->softmax || r->n_labels; }

size_t outcome_names(const struct recipe *r, struct str names[OUTCOME_MAX]) {
    size_t n = 0;
    if (r->ctc) {
        names[n++] = LIT("text");
        names[n++] = LIT("confidence");
        return n;
    }
    if (r->boxed)
        names[n++] = LIT("boxes");
    if (r->boxed || names_classes(r)) {
        names[n++] = LIT("classes");
        names[n++] = LIT("scores");
    }
    return n;
}

bool outcome_io(const struct recipe *r, struct str name, struct live_io *out) {
    struct str names[OUTCOME_MAX];
    size_t n = outcome_names(r, names), at = 0;
    while (at < n && !str_eq(names[at], name))
        at++;
    if (at == n)
        return false;
    bool text = str_is(name, "text") || str_is(name, "classes");
    *out = (struct live_io){.name = names[at], .dtype = text ? DT_STRING : DT_F32};
    out->shape = (struct shape){r->ctc ? 1 : 2, {-1, -1}};
    if (str_is(name, "boxes"))
        out->shape = (struct shape){3, {-1, -1, 4}};
    return true;
}

/* Could output io be it? Boxes have three dims, text too, classes two ([N,K] or [N,K,1,1]). */
static bool suits(const struct recipe *r, const struct live_io *io) {
    if (!dtype_is_float(io->dtype))
        return false;
    if (r->boxed)
        return io->shape.rank == 3;
    if (r->ctc)
        return io->shape.rank == 2 || io->shape.rank == 3;
    return io->shape.rank >= 1 && io->shape.rank != 3;
}

enum code outcome_source(const struct recipe *r, const struct live *l, size_t *at, struct err *e) {
    const struct live_io *io;
    size_t n = live_outputs(l, &io);
    for (size_t i = 0; i < n; i++)
        if (r->output.n ? str_eq(io[i].name, r->output) : suits(r, &io[i])) {
            *at = i;
            return OK;
        }
    if (r->output.n)
        return fail(e, INVALID,
                    "the version's \"preprocess\" part reads output '%.*s', which the model lacks",
                    STR(r->output));
    return fail(e, INVALID,
                "no output of the model is what its \"postprocess\" reads: name it "
                "there with \"output\"");
}

/* --- classes --- */

size_t outcome_top(const struct recipe *r, size_t n) {
    size_t k = r->top ? (size_t)r->top : TOP;
    return k < n ? k : n;
}

void outcome_rank(const struct recipe *r, const struct tensor *t, size_t from, size_t n,
                  struct ranked *out, size_t k) {
    double sum = 0;
    rank_top(t, from, n, out, k);
    if (!r->softmax || k == 0)
        return;
    double most = out[0].score;
    for (size_t i = 0; i < n; i++)
        sum += exp(tensor_f64(t, from + i) - most);
    for (size_t i = 0; i < k; i++)
        out[i].score = exp(out[i].score - most) / sum;
}

enum code outcome_label(const struct recipe *r, size_t class, struct arena *a, struct str *out,
                        struct err *e) {
    if (class < r->n_labels && r->labels[class].n) {
        *out = r->labels[class];
        return OK;
    }
    char *digits = arena_printf(a, "%zu", class);
    if (!digits)
        return arena_fail(a, 24, "label", e);
    *out = str_of(digits);
    return OK;
}

/* "classes" and "scores" of shape [rows,k], empty. */
static enum code new_classes(size_t rows, size_t k, struct arena *a, struct ask_tensor *classes,
                             struct ask_tensor *scores, struct err *e) {
    struct shape shape = {2, {(int64_t)rows, (int64_t)k}};
    classes->name = LIT("classes");
    scores->name = LIT("scores");
    TRY(tensor_new(a, DT_STRING, &shape, &classes->tensor, e));
    return tensor_new(a, DT_F32, &shape, &scores->tensor, e);
}

static enum code make_classes(const struct recipe *r, const struct tensor *t, struct arena *a,
                              struct ask_tensor *out, struct err *e) {
    size_t count = tensor_count(t);
    size_t rows = t->shape.rank > 1 ? (size_t)t->shape.dims[0] : 1, n = rows ? count / rows : 0;
    size_t k = outcome_top(r, n);
    struct ranked *best = ARENA_ARRAY(a, k + 1, struct ranked);
    if (!best)
        return arena_fail(a, k * sizeof *best, "classes", e);
    TRY(new_classes(rows, k, a, &out[0], &out[1], e));
    struct str *label = out[0].tensor.data;
    float *score = out[1].tensor.data;
    for (size_t row = 0; row < rows; row++) {
        outcome_rank(r, t, row * n, n, best, k);
        for (size_t i = 0; i < k; i++) {
            TRY(outcome_label(r, best[i].index, a, label++, e));
            *score++ = (float)best[i].score;
        }
    }
    return OK;
}

/* --- text --- */

static enum code make_text(const struct recipe *r, const struct tensor *t, struct arena *a,
                           struct ask_tensor *out, struct err *e) {
    struct tensor one = *t;
    size_t rows = 1;
    if (t->shape.rank == 3) {
        rows = (size_t)t->shape.dims[0];
        one.shape = (struct shape){2, {t->shape.dims[1], t->shape.dims[2]}};
    }
    struct shape shape = {1, {(int64_t)rows}};
    out[0].name = LIT("text");
    out[1].name = LIT("confidence");
    TRY(tensor_new(a, DT_STRING, &shape, &out[0].tensor, e));
    TRY(tensor_new(a, DT_F32, &shape, &out[1].tensor, e));
    for (size_t row = 0; row < rows; row++) {
        double confidence;
        one.data = (char *)t->data + row * tensor_bytes(&one);
        TRY(recipe_text(r, &one, a, (struct str *)out[0].tensor.data + row, &confidence, e));
        ((float *)out[1].tensor.data)[row] = (float)confidence;
    }
    return OK;
}

/* --- boxes --- */

static float within(float v, float most) { return v < 0 ? 0 : v > most ? most : v; }

enum code outcome_boxes(const struct recipe *r, const struct tensor *t, size_t row,
                        const struct recipe_view *view, struct arena *a, struct box **out,
                        size_t *n, struct err *e) {
    TRY(boxes_find(&r->boxes, t, row, a, out, n, e));
    for (size_t i = 0; view && view->width && i < *n; i++) {
        struct box *b = &(*out)[i];
        b->x0 = within((b->x0 - view->left) / view->scale_x, (float)view->width);
        b->x1 = within((b->x1 - view->left) / view->scale_x, (float)view->width);
        b->y0 = within((b->y0 - view->top) / view->scale_y, (float)view->height);
        b->y1 = within((b->y1 - view->top) / view->scale_y, (float)view->height);
    }
    return OK;
}

struct found {
    struct box *boxes;
    size_t n;
};

static enum code make_boxes(const struct recipe *r, const struct tensor *t,
                            const struct recipe_view *views, size_t n_views, struct arena *a,
                            struct ask_tensor *out, struct err *e) {
    size_t rows = t->shape.rank == 3 ? (size_t)t->shape.dims[0] : 1, k = 0;
    struct found *found = ARENA_ARRAY(a, rows + 1, struct found);
    if (!found)
        return arena_fail(a, rows * sizeof *found, "boxes", e);
    for (size_t row = 0; row < rows; row++) {
        const struct recipe_view *view = row < n_views ? &views[row] : NULL;
        TRY(outcome_boxes(r, t, row, view, a, &found[row].boxes, &found[row].n, e));
        k = found[row].n > k ? found[row].n : k;
    }
    struct shape shape = {3, {(int64_t)rows, (int64_t)k, 4}};
    out[0].name = LIT("boxes");
    TRY(tensor_new(a, DT_F32, &shape, &out[0].tensor, e));
    TRY(new_classes(rows, k, a, &out[1], &out[2], e));
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < found[row].n; i++) {
            const struct box *b = &found[row].boxes[i];
            const float corners[4] = {b->x0, b->y0, b->x1, b->y1};
            size_t at = row * k + i;
            memcpy((float *)out[0].tensor.data + 4 * at, corners, sizeof corners);
            TRY(outcome_label(r, b->class, a, (struct str *)out[1].tensor.data + at, e));
            ((float *)out[2].tensor.data)[at] = b->score;
        }
    return OK;
}

enum code outcome_make(const struct recipe *r, const struct tensor *t,
                       const struct recipe_view *views, size_t n_views, struct arena *a,
                       struct ask_tensor out[OUTCOME_MAX], struct err *e) {
    if (r->ctc)
        return make_text(r, t, a, out, e);
    if (r->boxed)
        return make_boxes(r, t, views, n_views, a, out, e);
    return make_classes(r, t, a, out, e);
}
