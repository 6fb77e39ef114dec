/* SPDX-License-Identifier: Apache-2.0 */
/* Padding: requests of different lengths join one run where a version is declared to take it, and
 * where a try at its loading shows that the answers stay what they are (pad.c).
 *
 * A padded input has one free dim beside the batch, its length, which is the same in all padded
 * inputs of one request. What is filled behind it means nothing to the model, as an attention mask
 * of zeros makes sure. Declared are: inputs and their filling, by whoever added the version (its
 * part PAD_PART, "input_ids=0,attention_mask"); a text encoder's by its tokenizer; all inputs by
 * zeros, by TensorFlow Serving's pad_variable_length_inputs. */
#pragma once

#include "host/host.h"

#define PAD_PART "pad" /* of a version: the text below */

enum { PAD_INPUTS = 64 };

struct pad_input {
    int dim; /* that is padded; 0: none */
    double value;
};

/* "NAME=VALUE,NAME": of the (n) inputs, in their order; VALUE is 0 where none is given. INVALID
 * names an input that is not there, or that cannot be padded. */
MUST_USE enum code pad_parse(struct str text, const struct live_io *io, size_t n,
                             struct pad_input *out, struct err *e);
