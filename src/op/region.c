/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes and regions of pictures: non_max_suppression, roi_align, max_roi_pool.
 *
 * Opsets: roi_align has half-pixel coordinates by default since 16, none before. Box numbers and
 * batch indexes come from data: indexes are checked, boxes may be anything. */
#include "op/operand.h"

#include <math.h>

/* --- non_max_suppression: boxes (B, N, 4), scores (B, C, N) -> picks (K, 3) --- */

struct nms {
    const struct op_call *c;
    size_t batches, classes, boxes;
    double iou, score;
    bool has_score, centers;
    size_t per_class;       /* picks at most */
    int64_t *order, *spare; /* (N) */
    int64_t *picks;         /* (n, 3), growing */
    size_t n, room;
};

static enum code infer_nms(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 2, e));
    operand_out_later(c, 0, DT_I64);
    if (c->in[0].dtype != DT_F32 || c->in[1].dtype != DT_F32)
        return operand_fail(c, e, INVALID, "boxes and scores must be f32");
    if (!operand_known(c))
        return OK;
    const struct shape *b = &c->in[0].shape, *s = &c->in[1].shape;
    if (b->rank != 3 || b->dims[2] != 4 || s->rank != 3 || s->dims[0] != b->dims[0] ||
        s->dims[2] != b->dims[1])
        return operand_fail(c, e, INVALID, "boxes must be (batch, n, 4), scores (batch, class, n)");
    return OK;
}

static enum code nms_terms(struct nms *s, struct err *e) {
    const struct op_call *c = s->c;
    int64_t most = 0;
    const struct tensor *t[3] = {operand_in(c, 2), operand_in(c, 3), operand_in(c, 4)};
    if (t[0])
        TRY(operand_int(OPERAND_AT(c), t[0], "max_output_boxes_per_class", &most, e));
    if (t[1])
        TRY(operand_number(OPERAND_AT(c), t[1], "iou_threshold", &s->iou, e));
    if (t[2])
        TRY(operand_number(OPERAND_AT(c), t[2], "score_threshold", &s->score, e));
    s->has_score = t[2] != NULL;
    s->per_class = most < 0 ? 0 : (size_t)most < s->boxes ? (size_t)most : s->boxes;
    s->centers = attr_int(c->node, "center_point_box", 0) != 0;
    if (!(s->iou >= 0 && s->iou <= 1))
        return operand_fail(c, e, INVALID, "iou_threshold is %g", s->iou);
    return OK;
}

struct box {
    double y1, x1, y2, x2, area;
};

static struct box box_at(const struct nms *s, size_t batch, int64_t k) {
    const float *v = (const float *)s->c->in[0]->data + (batch * s->boxes + (size_t)k) * 4;
    struct box b;
    if (s->centers) { /* x, y, width, height */
        b.x1 = (double)v[0] - (double)v[2] / 2;
        b.x2 = (double)v[0] + (double)v[2] / 2;
        b.y1 = (double)v[1] - (double)v[3] / 2;
        b.y2 = (double)v[1] + (double)v[3] / 2;
    } else { /* two corners, either diagonal */
        b.y1 = fmin((double)v[0], (double)v[2]);
        b.y2 = fmax((double)v[0], (double)v[2]);
        b.x1 = fmin((double)v[1], (double)v[3]);
        b.x2 = fmax((double)v[1], (double)v[3]);
    }
    b.area = (b.y2 - b.y1) * (b.x2 - b.x1);
    return b;
}

static bool overlap(const struct nms *s, const struct box *a, const struct box *b) {
    double height = fmin(a->y2, b->y2) - fmax(a->y1, b->y1);
    double width = fmin(a->x2, b->x2) - fmax(a->x1, b->x1);
    if (!(height > 0) || !(width > 0) || !(a->area > 0) || !(b->area > 0))
        return false;
    double common = height * width;
    return common / (a->area + b->area - common) > s->iou;
}

/* Boxes of one class that score enough, best first; equal scores keep their order. */
static size_t nms_candidates(const struct nms *s, const float *scores) {
    size_t n = 0;
    for (size_t k = 0; k < s->boxes; k++)
        if (s->has_score ? (double)scores[k] > s->score : !isnan(scores[k]))
            s->order[n++] = (int64_t)k;
    for (size_t width = 1; width < n; width *= 2) { /* merge sort */
        for (size_t from = 0; from < n; from += 2 * width) {
            size_t mid = from + width < n ? from + width : n,
                   end = mid + width < n ? mid + width : n;
            size_t a = from, b = mid;
            for (size_t k = from; k < end; k++) {
                bool left = a < mid && (b >= end || scores[s->order[a]] >= scores[s->order[b]]);
                s->spare[k] = s->order[left ? a++ : b++];
            }
        }
        memcpy(s->order, s->spare, n * sizeof *s->order);
    }
    return n;
}

static enum code nms_pick(struct nms *s, size_t batch, size_t class, int64_t box, struct err *e) {
    if (s->n == s->room) {
        size_t room = s->room ? 2 * s->room : 64;
        void *more;
        TRY(operand_alloc(s->c, room, 3 * sizeof(int64_t), &more, e));
        if (s->n)
            memcpy(more, s->picks, s->n * 3 * sizeof(int64_t));
        s->picks = more;
        s->room = room;
    }
    int64_t *to = s->picks + 3 * s->n++;
    to[0] = (int64_t)batch;
    to[1] = (int64_t) class;
    to[2] = box;
    return OK;
}

static enum code nms_class(struct nms *s, size_t batch, size_t class, struct err *e) {
    const float *scores =
        (const float *)s->c->in[1]->data + (batch * s->classes + class) * s->boxes;
    size_t n = nms_candidates(s, scores), first = s->n;
    for (size_t k = 0; k < n && s->n - first < s->per_class; k++) {
        struct box box = box_at(s, batch, s->order[k]);
        bool free = true;
        for (size_t p = first; free && p < s->n; p++) {
            struct box other = box_at(s, batch, s->picks[3 * p + 2]);
            free = !overlap(s, &box, &other);
        }
        if (free)
            TRY(nms_pick(s, batch, class, s->order[k], e));
    }
    return OK;
}

static enum code run_nms(const struct op_call *c, struct err *e) {
    struct nms s = {.c = c,
                    .batches = (size_t)c->in[0]->shape.dims[0],
                    .classes = (size_t)c->in[1]->shape.dims[1],
                    .boxes = (size_t)c->in[0]->shape.dims[1]};
    void *memory;
    TRY(nms_terms(&s, e));
    TRY(operand_alloc(c, s.boxes, 2 * sizeof(int64_t), &memory, e));
    s.order = memory;
    s.spare = s.order + s.boxes;
    for (size_t batch = 0; batch < s.batches; batch++)
        for (size_t class = 0; class < s.classes && s.per_class; class ++) {
            TRY(c->host->check(c->host, e));
            TRY(nms_class(&s, batch, class, e));
        }
    TRY(op_output(c, 0, DT_I64, &(struct shape){.rank = 2, .dims = {(int64_t)s.n, 3}}, e));
    if (s.n && c->out[0])
        memcpy(c->out[0]->data, s.picks, s.n * 3 * sizeof(int64_t));
    return OK;
}

/* --- regions: what roi_align and max_roi_pool share --- */

/* x (N, C, H, W), rois (R, columns) -> (R, C, height, width) */
static enum code infer_regions(struct op_infer *c, int64_t columns, int64_t height, int64_t width,
                               struct err *e) {
    operand_out_later(c, 0, c->in[0].dtype);
    if (!dtype_is_float(c->in[0].dtype) || c->in[1].dtype != c->in[0].dtype)
        return operand_fail(c, e, INVALID, "a picture of %s with regions of %s",
                            dtype_name(c->in[0].dtype), dtype_name(c->in[1].dtype));
    if (!operand_known(c))
        return OK;
    const struct shape *x = &c->in[0].shape, *rois = &c->in[1].shape;
    if (x->rank != 4 || rois->rank != 2 || rois->dims[1] != columns || height < 1 || width < 1 ||
        x->dims[2] < 1 || x->dims[3] < 1)
        return operand_fail(c, e, INVALID, "regions must be (n, %lld) of a picture (N, C, H, W)",
                            (long long)columns);
    struct shape out = {.rank = 4, .dims = {rois->dims[0], x->dims[1], height, width}};
    return operand_out(c, 0, c->in[0].dtype, &out, e);
}

static enum code region_image(const struct op_call *c, double index, size_t region, size_t *out,
                              struct err *e) {
    if (!(index >= 0 && index < (double)c->in[0]->shape.dims[0]))
        return operand_fail(c, e, INVALID, "region %zu is of picture %g of %lld", region, index,
                            (long long)c->in[0]->shape.dims[0]);
    *out = (size_t)index;
    return OK;
}

/* --- roi_align --- */

static enum code infer_roi_align(struct op_infer *c, struct err *e) {
    TRY(operand_need(c, 3, e));
    struct str mode = attr_str(c->node, "mode", "avg");
    if (!str_is(mode, "avg") && !str_is(mode, "max"))
        return operand_fail(c, e, FORMAT, "mode '%.*s'", STR(mode));
    if (c->in[2].dtype != DT_I64 ||
        (operand_known(c) && (c->in[2].shape.rank != 1 || c->in[1].shape.rank < 1 ||
                              c->in[2].shape.dims[0] != c->in[1].shape.dims[0])))
        return operand_fail(c, e, INVALID, "batch_indices must be a list of i64, one per region");
    return infer_regions(c, 4, attr_int(c->node, "output_height", 1),
                         attr_int(c->node, "output_width", 1), e);
}

struct align {         /* one region along one dim */
    double start, bin; /* pixels */
    int64_t samples;   /* per bin */
};

static enum code align_dim(const struct op_call *c, double from, double to, bool half, int64_t bins,
                           struct align *out, struct err *e) {
    double scale = (double)attr_float(c->node, "spatial_scale", 1), offset = half ? 0.5 : 0;
    int64_t ratio = attr_int(c->node, "sampling_ratio", 0);
    out->start = from * scale - offset;
    double length = to * scale - offset - out->start;
    if (!half)
        length = fmax(length, 1);
    out->bin = length / (double)bins;
    double samples = ratio > 0 ? (double)ratio : ceil(out->bin);
    if (!(fabs(out->start) < 1e9) || !(samples <= 1 << 12))
        return operand_fail(c, e, INVALID, "a region from %g to %g", from, to);
    out->samples = samples > 0 ? (int64_t)samples : 0;
    return OK;
}

/* The two pixels around a position and how near they are; false: outside. */
static bool align_taps(double x, int64_t dim, int64_t at[2], double weight[2]) {
    if (x < -1 || x > (double)dim)
        return false;
    x = fmax(x, 0);
    at[0] = (int64_t)x;
    if (at[0] >= dim - 1) {
        at[0] = at[1] = dim - 1;
        x = (double)at[0];
    } else {
        at[1] = at[0] + 1;
    }
    weight[1] = x - (double)at[0];
    weight[0] = 1 - weight[1];
    return true;
}

/* One output: the average of its samples, or the largest of their four weighted pixels. */
static double align_bin(const struct op_call *c, size_t plane, const struct align a[2],
                        const int64_t bin[2], bool max) {
    const int64_t *dims = c->in[0]->shape.dims + 2;
    double sum = 0, top = 0;
    bool any = false;
    for (int64_t i = 0; i < a[0].samples; i++)
        for (int64_t j = 0; j < a[1].samples; j++) {
            int64_t y[2] = {0}, x[2] = {0};
            double wy[2] = {0}, wx[2] = {0};
            double py =
                a[0].start + a[0].bin * ((double)bin[0] + ((double)i + 0.5) / (double)a[0].samples);
            double px =
                a[1].start + a[1].bin * ((double)bin[1] + ((double)j + 0.5) / (double)a[1].samples);
            if (!align_taps(py, dims[0], y, wy) || !align_taps(px, dims[1], x, wx))
                wy[0] = wy[1] = 0;
            for (int k = 0; k < 4; k++) {
                size_t at =
                    plane * (size_t)(dims[0] * dims[1]) + (size_t)(y[k / 2] * dims[1] + x[k % 2]);
                double v = wy[k / 2] * wx[k % 2] * tensor_f64(c->in[0], at);
                sum += v;
                top = any ? fmax(top, v) : v;
                any = true;
            }
        }
    double count = (double)(a[0].samples * a[1].samples);
    return max ? top : sum / fmax(count, 1);
}

static enum code run_roi_align(const struct op_call *c, struct err *e) {
    const struct tensor *rois = c->in[1];
    const int64_t *o = c->out[0]->shape.dims;
    bool half = c->node->opset >= 16 &&
                !str_is(attr_str(c->node, "coordinate_transformation_mode", "half_pixel"),
                        "output_half_pixel");
    bool max = str_is(attr_str(c->node, "mode", "avg"), "max");
    size_t channels = (size_t)o[1], image, at = 0;
    for (size_t r = 0; r < (size_t)o[0]; r++) {
        struct align a[2];
        TRY(region_image(c, tensor_f64(c->in[2], r), r, &image, e));
        TRY(align_dim(c, tensor_f64(rois, 4 * r + 1), tensor_f64(rois, 4 * r + 3), half, o[2],
                      &a[0], e));
        TRY(align_dim(c, tensor_f64(rois, 4 * r), tensor_f64(rois, 4 * r + 2), half, o[3], &a[1],
                      e));
        for (size_t row = 0; row < channels * (size_t)o[2]; row++) {
            int64_t y = (int64_t)(row % (size_t)o[2]);
            for (int64_t x = 0; x < o[3]; x++) {
                TRY(c->host->check(c->host, e)); /* a bin may have many samples */
                operand_put(
                    c->out[0], at++,
                    align_bin(c, image * channels + row / (size_t)o[2], a, (int64_t[]){y, x}, max));
            }
        }
    }
    return OK;
}

/* --- max_roi_pool --- */

static enum code infer_max_roi_pool(struct op_infer *c, struct err *e) {
    struct operand_ints size;
    bool present;
    TRY(operand_need(c, 2, e));
    TRY(operand_attr_ints(OPERAND_AT(c), "pooled_shape", &size, &present, e));
    if (size.n != 2)
        return operand_fail(c, e, FORMAT, "attribute 'pooled_shape' must have 2 entries");
    return infer_regions(c, 5, size.v[0], size.v[1], e);
}

/* Pixels [first, last) of bin k. */
static void pool_span(double from, double to, int64_t k, int64_t bins, int64_t dim,
                      int64_t span[2]) {
    double length = fmax(to - from + 1, 1), edge[2];
    edge[0] = floor((double)k * length / (double)bins) + from;
    edge[1] = ceil((double)(k + 1) * length / (double)bins) + from;
    for (int i = 0; i < 2; i++)
        span[i] = edge[i] > 0 ? edge[i] < (double)dim ? (int64_t)edge[i] : dim : 0;
}

static double pool_bin(const struct tensor *x, size_t plane, const int64_t y[2],
                       const int64_t z[2]) {
    int64_t height = x->shape.dims[2], width = x->shape.dims[3];
    double top = y[0] < y[1] && z[0] < z[1] ? -INFINITY : 0;
    for (int64_t i = y[0]; i < y[1]; i++)
        for (int64_t j = z[0]; j < z[1]; j++)
            top = fmax(top,
                       tensor_f64(x, plane * (size_t)(height * width) + (size_t)(i * width + j)));
    return top;
}

static enum code run_max_roi_pool(const struct op_call *c, struct err *e) {
    const struct tensor *x = c->in[0], *rois = c->in[1];
    const int64_t *o = c->out[0]->shape.dims;
    double scale = (double)attr_float(c->node, "spatial_scale", 1);
    size_t channels = (size_t)o[1], image, at = 0;
    for (size_t r = 0; r < (size_t)o[0]; r++) {
        double edge[4];
        TRY(c->host->check(c->host, e));
        TRY(region_image(c, tensor_f64(rois, 5 * r), r, &image, e));
        for (size_t k = 0; k < 4; k++) {
            edge[k] = round(tensor_f64(rois, 5 * r + 1 + k) * scale);
            if (!(fabs(edge[k]) < 1e9))
                return operand_fail(c, e, INVALID, "region %zu has the edge %g", r, edge[k]);
        }
        for (size_t ch = 0; ch < channels; ch++)
            for (int64_t i = 0; i < o[2]; i++)
                for (int64_t j = 0; j < o[3]; j++) {
                    int64_t rows[2], columns[2];
                    pool_span(edge[1], edge[3], i, o[2], x->shape.dims[2], rows);
                    pool_span(edge[0], edge[2], j, o[3], x->shape.dims[3], columns);
                    operand_put(c->out[0], at++, pool_bin(x, image * channels + ch, rows, columns));
                }
    }
    return OK;
}

const struct op op_non_max_suppression = {
    .name = "non_max_suppression", .flags = OP_DYNAMIC, .infer = infer_nms, .run = run_nms};
const struct op op_roi_align = {
    .name = "roi_align", .flags = OP_PURE, .infer = infer_roi_align, .run = run_roi_align};
const struct op op_max_roi_pool = {
    .name = "max_roi_pool", .flags = OP_PURE, .infer = infer_max_roi_pool, .run = run_max_roi_pool};
