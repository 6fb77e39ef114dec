/* SPDX-License-Identifier: Apache-2.0 */
/* Pixels into the input's tensor by a recipe: see recipe.h. Resize (on bytes, as Pillow and OpenCV
 * do), place, normalise. */
#include "serve/recipe.h"

#include "base/mem.h"

#include <math.h>

enum { CHANNELS = 3, SIDE_MAX = 8192 };

struct plan {                          /* what to do with one image */
    int resized_width, resized_height; /* of the whole image */
    int width, height;                 /* of the tensor */
    int left, top; /* of the resized image in the tensor; negative: cropped away */
    bool zero_pad; /* padding is 0 after normalisation, else `fill` before it */
};

/* --- what the signature says --- */

struct target {
    int width, height, channels; /* 0: free */
    bool nhwc;
};

static int fixed(int64_t dim) { return dim > 0 && dim <= SIDE_MAX ? (int)dim : 0; }

static enum code read_shape(const struct recipe *r, const struct live_io *io, struct target *out,
                            struct err *e) {
    char text[SHAPE_TEXT];
    const int64_t *d = io->shape.dims;
    if (io->shape.rank != 4)
        return fail(e, INVALID,
                    "input '%.*s' is %s %s, no image fits: an image needs [N,C,H,W] or [N,H,W,C]",
                    STR(io->name), dtype_name(io->dtype), shape_print(&io->shape, text));
    out->nhwc = r->nhwc || ((d[3] == 3 || d[3] == 1) && d[1] != 3 && d[1] != 1);
    out->channels = r->channels ? r->channels : out->nhwc ? fixed(d[3]) : fixed(d[1]);
    out->height = r->height ? r->height : out->nhwc ? fixed(d[1]) : fixed(d[2]);
    out->width = r->width ? r->width : out->nhwc ? fixed(d[2]) : fixed(d[3]);
    if (out->channels == 0)
        out->channels = CHANNELS;
    if (out->channels != 1 && out->channels != CHANNELS)
        return fail(e, INVALID, "input '%.*s' %s has %d channels, an image 1 or 3", STR(io->name),
                    shape_print(&io->shape, text), out->channels);
    return OK;
}

/* --- the sizes --- */

static int clamp(double v, int low, int high) { return v < low ? low : v > high ? high : (int)v; }

static int to_multiple(double v, int multiple) {
    int n = (int)lround(v / multiple) * multiple;
    return n < multiple ? multiple : n;
}

static void plan_sides(const struct recipe *r, const struct image *i, struct plan *p) {
    double low = i->width < i->height ? i->width : i->height,
           high = i->width > i->height ? i->width : i->height, ratio = 1;
    if (r->min_side && low < r->min_side)
        ratio = r->min_side / low;
    int most = r->max_side ? r->max_side : SIDE_MAX / 2;
    if (high * ratio > most)
        ratio = most / high;
    p->width = p->resized_width = to_multiple(i->width * ratio, r->multiple);
    p->height = p->resized_height = to_multiple(i->height * ratio, r->multiple);
}

static void plan_height(const struct recipe *r, const struct image *i, struct plan *p) {
    int most = r->max_width ? r->max_width : SIDE_MAX / 2;
    p->resized_height = p->height;
    p->resized_width = clamp(ceil((double)p->height * i->width / i->height), 1, most);
    p->width = p->resized_width < r->min_width ? r->min_width : p->resized_width;
    p->width = (p->width + r->multiple - 1) / r->multiple * r->multiple;
    p->zero_pad = true;
}

static void plan_crop(const struct recipe *r, const struct image *i, struct plan *p) {
    int shorter = i->width < i->height ? i->width : i->height;
    double ratio = r->short_side ? (double)r->short_side / shorter
                                 : fmax((double)p->width / i->width, (double)p->height / i->height);
    p->resized_width = clamp(round(i->width * ratio), p->width, SIDE_MAX);
    p->resized_height = clamp(round(i->height * ratio), p->height, SIDE_MAX);
    p->left = -((p->resized_width - p->width) / 2);
    p->top = -((p->resized_height - p->height) / 2);
}

static void plan_pad(const struct recipe *r, const struct image *i, struct plan *p) {
    double ratio = fmin((double)p->width / i->width, (double)p->height / i->height);
    p->resized_width = clamp(round(i->width * ratio), 1, p->width);
    p->resized_height = clamp(round(i->height * ratio), 1, p->height);
    p->left = r->centre ? (p->width - p->resized_width) / 2 : 0;
    p->top = r->centre ? (p->height - p->resized_height) / 2 : 0;
}

static enum code make_plan(const struct recipe *r, const struct live_io *io, const struct target *t,
                           const struct image *i, struct plan *p, struct err *e) {
    *p = (struct plan){.width = t->width, .height = t->height};
    if (r->fit == FIT_HEIGHT && t->height) {
        plan_height(r, i, p);
    } else if (r->fit == FIT_SIDES || !t->width || !t->height) {
        if (r->fit != FIT_SIDES && (r->fit != FIT_STRETCH || t->width || t->height))
            return fail(
                e, INVALID,
                "input '%.*s' has a free size: its \"preprocess\" part must give width and height",
                STR(io->name));
        plan_sides(r, i, p);
    } else if (r->fit == FIT_CROP) {
        plan_crop(r, i, p);
    } else if (r->fit == FIT_PAD) {
        plan_pad(r, i, p);
    } else {
        p->resized_width = p->width;
        p->resized_height = p->height;
    }
    return OK;
}

/* --- the values --- */

struct out { /* where values go: at(c, y, x) = c*plane + y*row + x*pixel */
    const struct recipe *r;
    int channels;
    size_t plane, row, pixel;
    float *values;
};

static void put_pixel(const struct out *o, const uint8_t rgb[3], size_t at) {
    const float *mean = o->r->mean, *scale = o->r->scale;
    if (o->channels == 1) { /* ITU-R BT.601, as OpenCV and Pillow make grey */
        float grey = floorf(0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2] + 0.5f);
        o->values[at] = (grey - mean[0]) * scale[0];
        return;
    }
    for (int c = 0; c < CHANNELS; c++)
        o->values[at + (size_t)c * o->plane] =
            ((float)rgb[o->r->bgr ? 2 - c : c] - mean[c]) * scale[c];
}

static void put_pixels(const struct out *o, const struct plan *p, const struct image *i) {
    const uint8_t fill[3] = {o->r->fill, o->r->fill, o->r->fill};
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            int from_x = x - p->left, from_y = y - p->top;
            bool inside = from_x >= 0 && from_x < i->width && from_y >= 0 && from_y < i->height;
            size_t at = (size_t)y * o->row + (size_t)x * o->pixel;
            if (inside)
                put_pixel(
                    o, i->pixels + ((size_t)from_y * (size_t)i->width + (size_t)from_x) * CHANNELS,
                    at);
            else if (!p->zero_pad)
                put_pixel(o, fill, at);
        }
}

/* f32 to what the input takes. */
static enum code convert(struct tensor *t, enum dtype to, struct arena *a, struct err *e) {
    struct tensor out;
    if (to == DT_F32)
        return OK;
    TRY(tensor_new(a, to, &t->shape, &out, e));
    const float *from = t->data;
    size_t n = tensor_count(t);
    for (size_t i = 0; i < n; i++) {
        float v = from[i];
        if (to == DT_U8)
            ((uint8_t *)out.data)[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : lrintf(v));
        else if (to == DT_F16)
            ((uint16_t *)out.data)[i] = dtype_f32_to_f16(v);
        else if (to == DT_BF16)
            ((uint16_t *)out.data)[i] = dtype_f32_to_bf16(v);
        else if (to == DT_F64)
            ((double *)out.data)[i] = (double)v;
        else if (to == DT_I32)
            ((int32_t *)out.data)[i] = (int32_t)lrintf(v);
    }
    *t = out;
    return OK;
}

static enum code fill_tensor(const struct recipe *r, const struct live_io *io,
                             const struct target *t, const struct plan *p,
                             const struct image *resized, struct arena *a, struct tensor *out,
                             struct err *e) {
    int64_t c = t->channels, h = p->height, w = p->width;
    struct shape shape =
        t->nhwc ? (struct shape){4, {1, h, w, c}} : (struct shape){4, {1, c, h, w}};
    TRY(tensor_new(a, DT_F32, &shape, out, e));
    struct out o = {.r = r, .channels = t->channels, .values = out->data};
    o.plane = t->nhwc ? 1 : (size_t)h * (size_t)w;
    o.pixel = t->nhwc ? (size_t)c : 1;
    o.row = (size_t)w * o.pixel;
    put_pixels(&o, p, resized);
    return convert(out, io->dtype, a, e);
}

enum code recipe_image(const struct recipe *declared, const struct live_io *io,
                       const struct image *image, struct arena *a, struct tensor *out,
                       struct recipe_view *view, struct err *e) {
    struct recipe r = *declared;
    struct target t;
    struct plan p;
    struct image resized;
    if (io->dtype != DT_F32 && io->dtype != DT_F64 && io->dtype != DT_F16 && io->dtype != DT_BF16 &&
        io->dtype != DT_U8 && io->dtype != DT_I32)
        return fail(e, INVALID, "input '%.*s' is %s: no image becomes that", STR(io->name),
                    dtype_name(io->dtype));
    TRY(read_shape(&r, io, &t, e));
    TRY(make_plan(&r, io, &t, image, &p, e));
    if (io->dtype == DT_U8 ||
        io->dtype == DT_I32) /* pixels as they are, unless the recipe says otherwise */
        for (int c = 0; c < CHANNELS; c++)
            r.scale[c] = r.scale[c] == 1.0f / 255.0f ? 1 : r.scale[c];
    *view = (struct recipe_view){.scale_x = (float)p.resized_width / (float)image->width,
                                 .scale_y = (float)p.resized_height / (float)image->height,
                                 .left = (float)p.left,
                                 .top = (float)p.top,
                                 .width = image->width,
                                 .height = image->height};
    TRY(resample(image, p.resized_width, p.resized_height, r.filter, &resized, e));
    enum code code = fill_tensor(&r, io, &t, &p, &resized, a, out, e);
    image_free(&resized);
    return code;
}
