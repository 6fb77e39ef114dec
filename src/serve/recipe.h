/* SPDX-License-Identifier: Apache-2.0 */
/* What a version's "preprocess" part says: how an image becomes the input, what the outputs mean.
 * JSON, written by people (docs/protocols/predict.md has every member):
 *
 *   {"input": "x",
 *    "image": {"width": 224, "height": 224, "resize": "crop", "filter": "antialias", "short_side":
 * 256, "mean": [123.675, 116.28, 103.53], "scale": [0.0171, 0.0175, 0.0174], "order": "RGB",
 * "layout": "NCHW"}, "labels": ["cat", "dog"], "postprocess": {"output": "y", "softmax": true,
 * "top": 5}}
 *
 * {"text": {"most": 256}} in the place of "image" for models with a tokenizer;
 * or, of "postprocess": {"ctc": {"charset": "a\nb\nc", "blank": 0, "space": true}}, {"boxes":
 * {"form": "yolov8", "score": 0.25, "iou": 0.45, "agnostic": false, "most": 300}}.
 *
 * value = (pixel - mean) * scale, pixel 0..255, per channel in the order of `order`. */
#pragma once

#include "host/host.h"
#include "serve/boxes.h"
#include "serve/resample.h"

enum recipe_fit {
    FIT_STRETCH, /* to width x height, whatever the shape was */
    FIT_CROP,    /* shorter side to short_side, then the middle width x height */
    FIT_PAD,     /* as large as fits, the rest filled with `fill` */
    FIT_HEIGHT, /* to height, width in proportion, clamped to [min_width, max_width]; zeros after it
                   up to min_width */
    FIT_SIDES,  /* in proportion, shorter side at least min_side, longer at most max_side, both
                   multiples of `multiple` */
};

struct recipe {
    struct str input; /* .n == 0: the only one that takes an image */
    int width, height, short_side, min_width, max_width, min_side, max_side, multiple;
    enum recipe_fit fit;
    enum resample_filter filter;
    bool centre; /* FIT_PAD: padding on both sides, else right and below */
    bool bgr, nhwc;
    int channels; /* 1 or 3; 0: as the input's shape says */
    uint8_t fill;
    float mean[3], scale[3];
    bool text;          /* "text" is given: the input is token ids, strings are sent for them */
    int most;           /* tokens of one text, the rest is cut off; 0: 512 */
    struct str *labels; /* (n_labels); borrowed from the arena or the part */
    size_t n_labels;
    struct str output; /* what the postprocessing reads; .n == 0: the first that fits */
    int top;           /* classes to name; 0: 5 */
    bool topped;       /* "top" is given */
    bool softmax;      /* scores are logits */
    bool boxed;        /* "boxes" is given */
    struct boxes_rule boxes;
    bool ctc, ctc_space;
    int ctc_blank;
    struct str *charset; /* (n_charset) in the order of the classes, blank left out */
    size_t n_charset;
};

/* part.n == 0: only what the signature says. INVALID with line and column for a member that is not
 * understood. */
MUST_USE enum code recipe_read(struct span part, struct arena *a, struct recipe *out,
                               struct err *e);

/* How an image lies in its tensor: pixel x of the image is column x * scale_x + left. */
struct recipe_view {
    float scale_x, scale_y, left, top;
    int width, height; /* of the image; 0: the tensor was sent as it is */
};

/* The image as the tensor of input io: resized, normalised, in the arena. */
MUST_USE enum code recipe_image(const struct recipe *r, const struct live_io *io,
                                const struct image *image, struct arena *a, struct tensor *out,
                                struct recipe_view *view, struct err *e);

/* Greedy CTC (Graves 2006): the best class of each step, repeats joined, blanks dropped. t: f32 [T,
 * C] or [1, T, C]. *confidence: mean score of the characters kept; *text in the arena. */
MUST_USE enum code recipe_text(const struct recipe *r, const struct tensor *t, struct arena *a,
                               struct str *text, double *confidence, struct err *e);
