/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes out of a detector's raw output: candidates over a score, then greedy non-maximum
 * suppression. */
#pragma once

#include "tensor/tensor.h"

enum boxes_form {
    BOXES_YOLOV8, /* [N, 4 + classes, anchors]: centre x, centre y, width, height, scores */
    BOXES_YOLOV5, /* [N, anchors, 5 + classes]: the same with an objectness before the scores */
};

struct boxes_rule {
    enum boxes_form form;
    float score, iou;
    bool agnostic; /* a box suppresses those of other classes too */
    int most;      /* boxes of one image */
};

struct box {
    float x0, y0, x1, y1; /* in pixels of the input */
    float score;
    size_t class;
};

/* Boxes of row `row` of t (f32), best first, in the arena. INVALID for a shape of another form. */
MUST_USE enum code boxes_find(const struct boxes_rule *r, const struct tensor *t, size_t row,
                              struct arena *a, struct box **out, size_t *n, struct err *e);
