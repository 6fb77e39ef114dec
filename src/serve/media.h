/* SPDX-License-Identifier: Apache-2.0 */
/* Declared pre- and postprocessing, once for all protocols: phase.c calls media_inputs between
 * DECODE and RUN, media_outputs before ENCODE.
 *
 * 1. An input that takes numbers may be sent as strings: each is a JPEG or PNG image (its bytes, or
 * their base64), and becomes one row by the version's recipe.
 * An input of token ids may be sent as strings, too: they become tokens (tokenize.h).
 * 2. A version whose recipe says what its outputs mean answers that (outcome.h) instead of its
 * tensors, unless the client asks for outputs by name: then it gets those, of both kinds.
 * 3. A protocol with `raw` set reads the recipe itself. */
#pragma once

#include "serve/outcome.h"
#include "serve/request.h"

struct media { /* of one request; in its arena */
    struct recipe recipe;
    struct recipe_view *views; /* (n_views) of the images that were sent */
    size_t n_views;
    bool named;              /* outputs become outcomes */
    const struct str *asked; /* output names as the client gave them */
    size_t n_asked;
};

/* r->media, read on first use; after request_route. */
MUST_USE enum code media_read(struct request *r, struct err *e);
/* An image, or a text, may be sent for this input. */
bool media_takes(const struct live_io *io);
/* The input an image is for when none is named: the recipe's, the only one, or the only one that
 * takes one. NULL: there are several. */
const struct live_io *media_input(const struct request *r);
/* One image sent as raw bytes: an input of one string, which media_inputs turns into pixels. */
MUST_USE enum code media_take(struct request *r, const struct live_io *io, struct span bytes,
                              struct err *e);

/* The outputs a client may ask for by name: the model's, then what the version declares. In the
 * arena. */
MUST_USE enum code media_outputs_io(struct request *r, struct live_io **out, size_t *n,
                                    struct err *e);
/* How many output names a request may give: the model's, and what the version declares. */
size_t media_names(const struct request *r);
bool media_images(const struct request *r); /* media_inputs will decode some */
/* Failing, they leave the reason in *e. */
enum code media_inputs(struct request *r, struct err *e);
enum code media_outputs(struct request *r, struct err *e);
