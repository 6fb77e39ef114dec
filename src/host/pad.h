/* SPDX-License-Identifier: Apache-2.0 */
/* Padding: requests of different lengths join one run where a version is declared to take it, and
 * where a try at its loading shows that the answers stay what they are (pad.c).
 *
 * A padded input has free dims beside the batch, its lengths. Dims of one name are one axis: of one
 * length in all padded inputs of a request; so are the first dims without a name, the second ones,
 * and so on. What is filled behind means nothing to the model, as an attention mask of zeros makes
 * sure. Declared are: inputs and their filling, by whoever added the version (its
 * part PAD_PART, "input_ids=0,attention_mask"); a text encoder's by its tokenizer; all inputs by
 * zeros, by TensorFlow Serving's pad_variable_length_inputs. */
#pragma once

#include "host/host.h"

#define PAD_PART "pad" /* of a version: the text below */

enum { PAD_INPUTS = 64, PAD_AXES = 4 };

struct pad_lengths { /* of a request, or of a run; by axis */
    int64_t n[PAD_AXES];
};

struct pad_input {
    bool on;                 /* it is padded */
    uint8_t axes[SHAPE_MAX]; /* by dim: 1 and the axis whose length it has; 0: it stays as it is */
    double value;
};

/* "NAME=VALUE,NAME": of the (n) inputs, in their order; VALUE is 0 where none is given. INVALID
 * names an input that is not there, or that cannot be padded; or there are more axes than
 * PAD_AXES. */
MUST_USE enum code pad_parse(struct str text, const struct live_io *io, size_t n,
                             struct pad_input *out, struct err *e);
