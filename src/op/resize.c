/* SPDX-License-Identifier: Apache-2.0 */
/* resize and upsample: pictures (or anything) to other sizes. This file turns scales, sizes, roi
 * and modes into tables of taps and weights per axis; resample.c applies them.
 *
 * 1. Upsample, and resize of opset 10, know nearest and linear, map output o to o / scale, and
 * round down when growing, up when shrinking. From opset 11 the attributes say.
 * 2. Sizes made from scales are floor(dim * scale) in f32, as exporters compute them.
 * 3. Tables are made by run, for roi may be known only then; prepare asks for room by the shapes
 * alone, which bound the number of taps.
 * 4. Linear and cubic compute in f32, for f64 and wide integers in f64; integers saturate and
 * are cut, as the standard's reference and ONNX Runtime do, or with antialias rounded to nearest
 * even, as ONNX Runtime does. */
#include "op/resample.h"

#include "op/operand.h"
#include "op/wide.h"
#include "tensor/cast.h"

#include <math.h>

enum mode { NEAREST = 1, LINEAR, CUBIC };
enum nearest { PREFER_FLOOR = 1, PREFER_CEIL, FLOOR, CEIL, SIMPLE };
enum transform {
    HALF_PIXEL = 1,
    HALF_PIXEL_SYMMETRIC,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    ASYMMETRIC,
    HALF_PIXEL_FOR_NN,
    CROP_AND_RESIZE,
};
enum policy { STRETCH = 1, NOT_LARGER, NOT_SMALLER };

struct request {
    enum mode mode;
    enum nearest nearest;
    enum transform transform;
    bool antialias, exclude_outside;
    double cubic_a;
    struct shape in, out;
    double scale[SHAPE_MAX], roi_start[SHAPE_MAX], roi_end[SHAPE_MAX];
    bool known; /* out and scale are: the inputs that tell were there */
};

/* --- attributes --- */

struct word {
    const char *name;
    int value;
};

static enum code word_of(const struct operand_at *at, const char *attr, const struct word *words,
                         int *out, struct err *e) {
    struct str given = attr_str(at->node, attr, words[0].name);
    for (const struct word *w = words; w->name; w++)
        if (str_is(given, w->name)) {
            *out = w->value;
            return OK;
        }
    return operand_fail(at, e, INVALID, "%s is '%.*s', which is unknown", attr, STR(given));
}

static enum code modes_of(const struct operand_at *at, bool old, struct request *r, struct err *e) {
    static const struct word modes[] = {{"nearest", NEAREST},
                                        {"linear", LINEAR},
                                        {"bilinear", LINEAR},
                                        {"cubic", CUBIC},
                                        {NULL, 0}};
    static const struct word nearest[] = {{"round_prefer_floor", PREFER_FLOOR},
                                          {"round_prefer_ceil", PREFER_CEIL},
                                          {"floor", FLOOR},
                                          {"ceil", CEIL},
                                          {NULL, 0}};
    static const struct word transforms[] = {{"half_pixel", HALF_PIXEL},
                                             {"half_pixel_symmetric", HALF_PIXEL_SYMMETRIC},
                                             {"pytorch_half_pixel", PYTORCH_HALF_PIXEL},
                                             {"align_corners", ALIGN_CORNERS},
                                             {"asymmetric", ASYMMETRIC},
                                             {"tf_half_pixel_for_nn", HALF_PIXEL_FOR_NN},
                                             {"tf_crop_and_resize", CROP_AND_RESIZE},
                                             {NULL, 0}};
    int mode, round = SIMPLE, transform = ASYMMETRIC;
    TRY(word_of(at, "mode", modes, &mode, e));
    if (!old) {
        TRY(word_of(at, "nearest_mode", nearest, &round, e));
        TRY(word_of(at, "coordinate_transformation_mode", transforms, &transform, e));
    }
    r->mode = (enum mode)mode;
    r->nearest = (enum nearest)round;
    r->transform = (enum transform)transform;
    r->antialias = !old && attr_int(at->node, "antialias", 0) && r->mode != NEAREST;
    r->exclude_outside = !old && attr_int(at->node, "exclude_outside", 0) != 0;
    r->cubic_a = (double)attr_float(at->node, "cubic_coeff_a", -0.75f);
    return OK;
}

/* --- scales and sizes --- */

/* The inputs that matter, by role, whatever the opset. NULL: absent, or (infer) not known yet. */
struct inputs {
    const struct tensor *roi, *scales, *sizes;
    bool waiting; /* scales or sizes are given, but not known yet */
};

static bool is_upsample(const struct node *n) { return str_is(n->op_name, "upsample"); }
static bool is_old(const struct node *n) { return is_upsample(n) || n->opset < 11; }

/* Which axes the numbers are for; all when the attribute is absent. */
static enum code axes_of(const struct operand_at *at, int rank, struct operand_ints *axes,
                         struct err *e) {
    bool present;
    TRY(operand_attr_ints(at, "axes", axes, &present, e));
    for (int k = 0; k < rank && !present; k++)
        axes->v[axes->n++] = k;
    return operand_axes(at, axes, rank, e);
}

static enum code set_scale(const struct operand_at *at, struct request *r, int axis, double scale,
                           struct err *e) {
    float size = (float)r->in.dims[axis] * (float)scale;
    if (!(scale > 0) || !(size < 0x1p40f))
        return operand_fail(at, e, INVALID, "axis %d would be scaled by %g", axis, scale);
    r->scale[axis] = scale;
    r->out.dims[axis] = (int64_t)size;
    return OK;
}

static enum code use_scales(const struct operand_at *at, const struct tensor *t,
                            const struct operand_ints *axes, struct request *r, struct err *e) {
    if (!dtype_is_float(t->dtype) || tensor_count(t) != (size_t)axes->n)
        return operand_fail(at, e, INVALID, "scales are %zu of type %s, %d floats were expected",
                            tensor_count(t), dtype_name(t->dtype), axes->n);
    for (int k = 0; k < axes->n; k++)
        TRY(set_scale(at, r, (int)axes->v[k], tensor_f64(t, (size_t)k), e));
    return OK;
}

static enum code use_sizes(const struct operand_at *at, const struct tensor *t,
                           const struct operand_ints *axes, struct request *r, struct err *e) {
    static const struct word policies[] = {
        {"stretch", STRETCH}, {"not_larger", NOT_LARGER}, {"not_smaller", NOT_SMALLER}, {NULL, 0}};
    struct operand_ints sizes;
    int policy;
    double common = 0;
    TRY(word_of(at, "keep_aspect_ratio_policy", policies, &policy, e));
    TRY(operand_ints(at, t, "sizes", &sizes, e));
    if (sizes.n != axes->n)
        return operand_fail(at, e, INVALID, "%d sizes for %d axes", sizes.n, axes->n);
    for (int k = 0; k < axes->n; k++) {
        const int axis = (int)axes->v[k];
        const int64_t size = sizes.v[k];
        if (size < 0 || size >= (int64_t)1 << 40 || (r->in.dims[axis] == 0 && size > 0))
            return operand_fail(at, e, INVALID, "axis %d cannot go from %lld elements to %lld",
                                axis, (long long)r->in.dims[axis], (long long)size);
        r->out.dims[axis] = size;
        r->scale[axis] = r->in.dims[axis] ? (double)size / (double)r->in.dims[axis] : 1;
        bool wins = policy == NOT_LARGER ? r->scale[axis] < common : r->scale[axis] > common;
        common = k == 0 || wins ? r->scale[axis] : common;
    }
    for (int k = 0; k < axes->n && policy != STRETCH; k++) {
        const int axis = (int)axes->v[k];
        r->scale[axis] = common;
        r->out.dims[axis] = (int64_t)(common * (double)r->in.dims[axis] + 0.5);
    }
    return OK;
}

static enum code use_roi(const struct operand_at *at, const struct tensor *t,
                         const struct operand_ints *axes, struct request *r, struct err *e) {
    if (!dtype_is_float(t->dtype) || tensor_count(t) != 2 * (size_t)axes->n)
        return operand_fail(at, e, INVALID, "roi holds %zu numbers for %d axes", tensor_count(t),
                            axes->n);
    for (int k = 0; k < axes->n; k++) {
        r->roi_start[axes->v[k]] = tensor_f64(t, (size_t)k);
        r->roi_end[axes->v[k]] = tensor_f64(t, (size_t)(axes->n + k));
    }
    return OK;
}

/* Upsample before opset 9 has its scales as attributes: a list, or in opset 1 one per side. */
static enum code use_attributes(const struct operand_at *at, struct request *r, struct err *e) {
    const struct attr *list = attr_find(at->node, "scales");
    if (list && list->kind == ATTR_FLOATS && list->n == (size_t)r->in.rank) {
        for (int axis = 0; axis < r->in.rank; axis++)
            TRY(set_scale(at, r, axis, (double)list->floats[axis], e));
        return OK;
    }
    if (list || r->in.rank != 4)
        return operand_fail(at, e, INVALID, "scales do not fit an input of rank %d", r->in.rank);
    TRY(set_scale(at, r, 2, (double)attr_float(at->node, "height_scale", 1), e));
    return set_scale(at, r, 3, (double)attr_float(at->node, "width_scale", 1), e);
}

static enum code request_of(const struct operand_at *at, const struct shape *in,
                            const struct inputs *given, struct request *r, struct err *e) {
    const bool old = is_old(at->node);
    struct operand_ints axes = {0};
    *r = (struct request){.in = *in, .out = *in, .known = !given->waiting};
    for (int axis = 0; axis < in->rank; axis++)
        r->scale[axis] = r->roi_end[axis] = 1;
    TRY(modes_of(at, old, r, e));
    TRY(axes_of(at, in->rank, &axes, e));
    if (given->roi && r->transform == CROP_AND_RESIZE)
        TRY(use_roi(at, given->roi, &axes, r, e));
    if (given->waiting)
        return OK;
    if (is_upsample(at->node) && at->node->opset < 9)
        return use_attributes(at, r, e);
    if (given->sizes)
        return use_sizes(at, given->sizes, &axes, r, e);
    if (!given->scales)
        return operand_fail(at, e, INVALID, "neither scales nor sizes are given");
    TRY(use_scales(at, given->scales, &axes, r, e));
    for (int axis = 0; axis < in->rank; axis++)
        if (in->dims[axis] == 0 && r->out.dims[axis] > 0)
            return operand_fail(at, e, INVALID, "axis %d has no elements to resize", axis);
    return OK;
}

/* An input that is absent, or there but empty, is no input. */
static bool holds(const struct op_infer *c, int i) {
    size_t n;
    return operand_given(c, i) && (!c->in[i].known || (shape_count(&c->in[i].shape, &n) && n > 0));
}

static void find_inputs(const struct op_infer *c, struct inputs *g) {
    const bool old = is_old(c->node);
    const int scales = old ? 1 : 2, sizes = 3;
    *g = (struct inputs){0};
    if (is_upsample(c->node) && c->node->opset < 9)
        return;
    if (!old && holds(c, 1))
        g->roi = operand_data(c, 1);
    if (!old && holds(c, sizes))
        g->sizes = operand_data(c, sizes);
    else if (holds(c, scales))
        g->scales = operand_data(c, scales);
    g->waiting = !g->sizes && !g->scales && (holds(c, scales) || (!old && holds(c, sizes)));
}

static enum code infer(struct op_infer *c, struct err *e) {
    struct request r;
    struct inputs given;
    TRY(operand_need(c, 1, e));
    const enum dtype t = c->in[0].dtype;
    operand_out_later(c, 0, t);
    if (!c->in[0].known)
        return OK;
    find_inputs(c, &given);
    TRY(request_of(OPERAND_AT(c), &c->in[0].shape, &given, &r, e));
    if (r.mode != NEAREST && !dtype_is_float(t) && !dtype_is_integer(t))
        return operand_fail(c, e, INVALID, "elements of type %s", dtype_name(t));
    return r.known ? operand_out(c, 0, t, &r.out, e) : OK;
}

/* --- tables --- */

/* Where output o of an axis lies in the coordinates of the input. */
static double coordinate(const struct request *r, int axis, double o) {
    const double in = (double)r->in.dims[axis], scale = r->scale[axis], wide = scale * in,
                 out = (double)r->out.dims[axis], span = r->roi_end[axis] - r->roi_start[axis];
    switch (r->transform) {
    case ALIGN_CORNERS: return wide == 1 ? 0 : o * (in - 1) / (wide - 1);
    case ASYMMETRIC: return o / scale;
    case HALF_PIXEL_FOR_NN: return (o + 0.5) / scale;
    case PYTORCH_HALF_PIXEL: return wide <= 1 ? 0 : (o + 0.5) / scale - 0.5;
    case HALF_PIXEL_SYMMETRIC: return in / 2 * (1 - out / wide) + (o + 0.5) / scale - 0.5;
    case CROP_AND_RESIZE:
        return r->roi_start[axis] * (in - 1) +
               (wide == 1 ? span * (in - 1) / 2 : o * span * (in - 1) / (wide - 1));
    case HALF_PIXEL: break;
    }
    return (o + 0.5) / scale - 0.5;
}

static double nearest_of(const struct request *r, double x, double scale) {
    switch (r->nearest) {
    case PREFER_FLOOR: return ceil(x - 0.5);
    case PREFER_CEIL: return floor(x + 0.5);
    case FLOOR: return floor(x);
    case CEIL: return ceil(x);
    case SIMPLE: break;
    }
    return scale < 1 ? ceil(x) : floor(x);
}

/* The kernel of the mode at distance x >= 0. */
static double weight_at(const struct request *r, double x) {
    const double a = r->cubic_a;
    if (r->mode == LINEAR)
        return x < 1 ? 1 - x : 0;
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Taps on either side of a coordinate, for a scale: wider when antialiasing a shrinking axis. */
static double reach(const struct request *r, double scale) {
    const double radius = r->mode == CUBIC ? 2 : r->mode == LINEAR ? 1 : 0.5;
    return r->antialias && scale < 1 ? radius / scale : radius;
}

static bool stays(const struct request *r, int axis) {
    return r->in.dims[axis] == r->out.dims[axis] && r->scale[axis] == 1 &&
           (r->transform != CROP_AND_RESIZE ||
            (r->roi_start[axis] == 0 && r->roi_end[axis] == 1)) &&
           r->transform != HALF_PIXEL_FOR_NN;
}

/* The most taps an axis may have, by its sizes: the scale is at least (out - 1/2) / in. */
static size_t most_taps(const struct request *r, int axis) {
    const double in = (double)r->in.dims[axis], out = (double)r->out.dims[axis];
    if (r->mode == NEAREST || out < 1)
        return 1;
    double taps = 2 * ceil(reach(r, (out - 0.5) / in)) + 2;
    return taps < in ? (size_t)taps : (size_t)in;
}

static void put_weight(bool wide, void *table, size_t at, double w) {
    if (wide)
        ((double *)table)[at] += w;
    else
        ((float *)table)[at] += (float)w;
}

/* Taps base + first .. base + last of coordinate x, folded at the edges into a->taps of them. */
static void fill_taps(const struct request *r, struct resample_axis *a, size_t o, double x,
                      double scale, bool wide) {
    const double reached = reach(r, scale), narrow = r->antialias && scale < 1 ? scale : 1;
    const double base = ceil(x) - 1, ratio = x - base; /* in (0, 1] */
    const int64_t first = (int64_t)floor(-reached) + 1, last = 1 - first;
    const int64_t end = (int64_t)a->in;
    double sum = 0;
    for (int64_t k = first; k <= last; k++) {
        const double at = base + (double)k;
        bool counts = !r->exclude_outside || (at >= 0 && at < (double)end);
        sum += counts ? weight_at(r, fabs((double)k - ratio) * narrow) : 0;
    }
    double low = base + (double)first, most = (double)(a->in - a->taps);
    a->start[o] = (ptrdiff_t)(low < 0 ? 0 : low > most ? most : low);
    for (int64_t k = first; k <= last; k++) {
        const double at = base + (double)k, top = (double)(end - 1);
        if (r->exclude_outside && (at < 0 || at > top))
            continue;
        double inside = at < 0 ? 0 : at > top ? top : at;
        double w = weight_at(r, fabs((double)k - ratio) * narrow);
        bool whole = (r->antialias || r->exclude_outside) && sum != 0;
        put_weight(wide, a->weight, o * a->taps + (size_t)((ptrdiff_t)inside - a->start[o]),
                   whole ? w / sum : w);
    }
}

/* Fills the tables of one axis; room for most_taps() was asked for. */
static void fill_axis(const struct request *r, int axis, struct resample_axis *a, bool wide) {
    const double scale = r->scale[axis], top = (double)a->in - 1;
    const int64_t first = (int64_t)floor(-reach(r, scale)) + 1;
    const size_t taps = r->mode == NEAREST ? 1 : (size_t)(2 - 2 * first), most = most_taps(r, axis);
    a->taps = taps < a->in ? taps : a->in;
    a->taps = a->taps < most ? a->taps : most;
    if (r->mode != NEAREST)
        memset(a->weight, 0, a->out * a->taps * (wide ? sizeof(double) : sizeof(float)));
    for (size_t o = 0; o < a->out; o++) {
        double x = coordinate(r, axis, (double)o);
        if (r->transform == CROP_AND_RESIZE && !(x >= 0 && x <= top)) {
            a->start[o] = -1;
            continue;
        }
        x = x >= -1e9 && x <= 1e15 ? x : 0; /* a hostile roi or scale */
        if (r->mode == NEAREST) {
            double at = nearest_of(r, x, scale);
            a->start[o] = (ptrdiff_t)(at < 0 ? 0 : at > top ? top : at);
        } else {
            fill_taps(r, a, o, x, scale, wide);
        }
    }
}

/* --- run --- */

/* Where things lie in the scratch memory: bytes. */
struct plan {
    size_t start[SHAPE_MAX], weight[SHAPE_MAX]; /* by logical axis */
    size_t x, y;                                /* as f32 or f64, when they are not */
    size_t between[2], rows;
};

static bool is_wide(enum dtype t) {
    return t == DT_F64 || dtype_size(t) >= 8 || t == DT_I32 || t == DT_U32;
}

/* Takes count * bytes, 64-byte aligned, from *at on. */
static bool take(size_t *at, size_t count, size_t bytes, size_t *where) {
    size_t total;
    *where = *at;
    if (!mul_size(count, bytes, &total) || !add_size(total, 63, &total))
        return false;
    return add_size(*at, total / 64 * 64, at);
}

static bool plan_room(const struct request *r, enum dtype t, int threads, struct plan *p,
                      size_t *bytes) {
    const bool own = t != DT_F32 && t != DT_F64;
    const size_t each = is_wide(t) ? sizeof(double) : sizeof(float);
    size_t n_in, n_out, table, taps = 1, at = 0;
    if (!shape_count(&r->in, &n_in) || !shape_count(&r->out, &n_out))
        return false;
    for (int axis = 0; axis < r->in.rank; axis++) {
        size_t out = (size_t)r->out.dims[axis], most = most_taps(r, axis);
        taps = most > taps ? most : taps;
        if (!take(&at, out, sizeof(ptrdiff_t), &p->start[axis]) || !mul_size(out, most, &table) ||
            !take(&at, r->mode == NEAREST ? 0 : table, each, &p->weight[axis]))
            return false;
    }
    const size_t most = n_in > n_out ? n_in : n_out;
    bool ok = take(&at, taps * (size_t)threads, sizeof(float *), &p->rows);
    for (int k = 0; k < 2 && ok && r->mode != NEAREST; k++)
        ok = take(&at, most, each, &p->between[k]);
    if (ok && own && r->mode != NEAREST)
        ok = take(&at, n_in, each, &p->x) && take(&at, n_out, each, &p->y);
    *bytes = at;
    return ok;
}

static enum code prepare(struct op_prepare *c, struct err *e) {
    struct request r = {.in = c->in[0].shape, .out = c->out[0].shape};
    struct plan *p = arena_push(c->arena, sizeof *p);
    if (!p)
        return operand_fail(c, e, NOMEM, "no memory for the plan of a node");
    *p = (struct plan){0};
    TRY(modes_of(OPERAND_AT(c), is_old(c->node), &r, e));
    if (!plan_room(&r, c->in[0].dtype, c->threads, p, &c->scratch_bytes))
        return operand_fail(c, e, LIMIT, "the sizes are too large");
    c->state = p;
    return OK;
}

static enum code request_at_run(const struct op_call *c, struct request *r, struct err *e) {
    struct op_value in[4] = {0};
    struct inputs given;
    for (int i = 1; i < 4; i++)
        if (operand_in(c, i))
            in[i] = (struct op_value){.dtype = c->in[i]->dtype,
                                      .known = true,
                                      .shape = c->in[i]->shape,
                                      .data = c->in[i]};
    struct node view = *c->node;
    view.n_in = view.n_in < 4 ? view.n_in : 4;
    struct op_infer again = {.graph = c->graph, .node = &view, .in = in};
    find_inputs(&again, &given);
    return request_of(OPERAND_AT(c), &c->in[0]->shape, &given, r, e);
}

static enum code weighted(const struct op_call *c, const struct resample *r,
                          const struct resample_room *room, double fill, struct err *e) {
    const struct plan *p = c->state;
    const struct tensor *x = c->in[0], *y = c->out[0];
    const size_t n_in = tensor_count(x), n_out = tensor_count(y);
    char *scratch = c->scratch;
    const bool own = x->dtype != DT_F32 && x->dtype != DT_F64, wide = is_wide(x->dtype);
    void *from = own ? scratch + p->x : x->data, *to = own ? scratch + p->y : y->data;
    if (wide_half(x->dtype))
        wide_load_all(x->dtype, x->data, n_in, from, c->threads);
    else if (own)
        TRY(cast_elements(wide ? DT_F64 : DT_F32, from, x->dtype, x->data, n_in, true, NULL, e));
    if (wide)
        resample_f64(r, room, from, fill, to);
    else
        resample_f32(r, room, from, (float)fill, to);
    if (wide_half(x->dtype))
        wide_store_all(x->dtype, y->data, n_out, to, c->threads);
    if (!own || wide_half(x->dtype))
        return OK;
    const bool rounds = attr_int(c->node, "antialias", 0) != 0;
    for (size_t k = 0; k < n_out && rounds; k++)
        if (wide)
            ((double *)to)[k] = rint(((double *)to)[k]);
        else
            ((float *)to)[k] = rintf(((float *)to)[k]);
    return cast_elements(x->dtype, y->data, wide ? DT_F64 : DT_F32, to, n_out, true, NULL, e);
}

static enum code run(const struct op_call *c, struct err *e) {
    const struct plan *p = c->state;
    const struct tensor *x = c->in[0], *y = c->out[0];
    struct request r;
    struct resample s = {.rank = x->shape.rank, .threads = c->threads};
    char *scratch = c->scratch;
    TRY(request_at_run(c, &r, e));
    if (tensor_count(y) == 0)
        return OK;
    for (int axis = 0; axis < s.rank; axis++) {
        struct resample_axis *a = &s.axis[tensor_physical_axis(x, axis)];
        *a = (struct resample_axis){.in = (size_t)r.in.dims[axis],
                                    .out = (size_t)r.out.dims[axis],
                                    .start = (ptrdiff_t *)(void *)(scratch + p->start[axis]),
                                    .weight = scratch + p->weight[axis]};
        if (!stays(&r, axis))
            fill_axis(&r, axis, a, is_wide(x->dtype));
    }
    const double fill = (double)attr_float(c->node, "extrapolation_value", 0);
    if (r.mode == NEAREST) {
        uint64_t cell[2] = {0}; /* an element; strings are never outside: a crop is of numbers */
        struct tensor one = {.dtype = x->dtype, .data = cell};
        if (dtype_is_float(x->dtype) || dtype_is_integer(x->dtype))
            operand_put(&one, 0, fill);
        resample_nearest(&s, dtype_size(x->dtype), x->data, cell, y->data);
        return OK;
    }
    struct resample_room room = {{scratch + p->between[0], scratch + p->between[1]},
                                 (const float **)(void *)(scratch + p->rows)};
    return weighted(c, &s, &room, fill, e);
}

const struct op op_resize = {"resize", OP_PURE | OP_NHWC, infer, prepare, run, NULL};
const struct op op_upsample = {"upsample", OP_PURE | OP_NHWC, infer, prepare, run, NULL};
