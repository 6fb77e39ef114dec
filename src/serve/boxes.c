/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes: see boxes.h. */
#include "serve/boxes.h"

#include <stdlib.h>

enum { CANDIDATES = 4096 }; /* suppression compares pairs: a flood of boxes is cut to its best */

struct field { /* value(anchor, k) = p[anchor * step + k * stride] */
    const float *p;
    size_t anchors, step, stride, scores, classes; /* scores: the first one's k */
    bool objectness;
};

static enum code read_field(const struct boxes_rule *r, const struct tensor *t, size_t row,
                            struct field *f, struct err *e) {
    char text[SHAPE_TEXT];
    const int64_t *d = t->shape.dims;
    bool v8 = r->form == BOXES_YOLOV8;
    size_t least = v8 ? 5 : 6;
    if (t->dtype != DT_F32 || t->shape.rank != 3 || (size_t)d[v8 ? 1 : 2] < least)
        return fail(e, INVALID, "boxes need an output f32 %s, this one is %s %s",
                    v8 ? "[N,4+classes,anchors]" : "[N,anchors,5+classes]", dtype_name(t->dtype),
                    shape_print(&t->shape, text));
    size_t values = (size_t)d[v8 ? 1 : 2];
    *f = (struct field){.anchors = (size_t)d[v8 ? 2 : 1], .objectness = !v8};
    f->step = v8 ? 1 : values;
    f->stride = v8 ? f->anchors : 1;
    f->scores = least - 1;
    f->classes = values - f->scores;
    f->p = (const float *)t->data + row * values * f->anchors;
    return OK;
}

static bool candidate(const struct field *f, size_t anchor, float least, struct box *out) {
    const float *p = f->p + anchor * f->step;
    float best = -1, whole = f->objectness ? p[4 * f->stride] : 1;
    size_t class = 0;
    for (size_t c = 0; c < f->classes; c++) {
        float v = p[(f->scores + c) * f->stride];
        if (v > best) {
            best = v;
            class = c;
        }
    }
    if (!(best * whole > least)) /* NaN is no candidate */
        return false;
    float x = p[0], y = p[f->stride], w = p[2 * f->stride] / 2, h = p[3 * f->stride] / 2;
    *out = (struct box){x - w, y - h, x + w, y + h, best * whole, class};
    return true;
}

static int by_score(const void *a, const void *b) {
    const struct box *x = a, *y = b;
    return x->score < y->score ? 1 : x->score > y->score ? -1 : 0;
}

static float overlap(const struct box *a, const struct box *b) {
    float x0 = a->x0 > b->x0 ? a->x0 : b->x0, y0 = a->y0 > b->y0 ? a->y0 : b->y0;
    float x1 = a->x1 < b->x1 ? a->x1 : b->x1, y1 = a->y1 < b->y1 ? a->y1 : b->y1;
    if (x1 <= x0 || y1 <= y0)
        return 0;
    float both = (x1 - x0) * (y1 - y0);
    float areas = (a->x1 - a->x0) * (a->y1 - a->y0) + (b->x1 - b->x0) * (b->y1 - b->y0);
    return both / (areas - both);
}

static bool suppressed(const struct boxes_rule *r, const struct box *kept, size_t n,
                       const struct box *b) {
    for (size_t i = 0; i < n; i++)
        if ((r->agnostic || kept[i].class == b->class) && overlap(&kept[i], b) > r->iou)
            return true;
    return false;
}

enum code boxes_find(const struct boxes_rule *r, const struct tensor *t, size_t row,
                     struct arena *a, struct box **out, size_t *n, struct err *e) {
    struct field f;
    size_t found = 0, kept = 0;
    TRY(read_field(r, t, row, &f, e));
    struct box *all = ARENA_ARRAY(a, f.anchors + 1, struct box);
    if (!all)
        return arena_fail(a, f.anchors * sizeof *all, "boxes", e);
    for (size_t i = 0; i < f.anchors; i++)
        found += candidate(&f, i, r->score, &all[found]);
    qsort(all, found, sizeof *all, by_score);
    if (found > CANDIDATES)
        found = CANDIDATES;
    for (size_t i = 0; i < found && kept < (size_t)r->most; i++)
        if (!suppressed(r, all, kept, &all[i]))
            all[kept++] = all[i];
    *out = all;
    *n = kept;
    return OK;
}
