/* SPDX-License-Identifier: Apache-2.0 */
/* Triton's model control, as its REST and gRPC protocols share it: a load that may bring a file and
 * a configuration, an unload, and what a state is called.
 *
 * 1. A file becomes the model's next version, and is what is loaded.
 * 2. Of a configuration name (must fit), max_batch_size, instance_group and dynamic_batching decide
 * here: they become the model's policy, and stay, as everything in the store does. Dims with a
 * reshape are how the version is shown: of the file that came, else of the newest version, which
 * becomes the next one, of the same bytes, unless it is shown so already. What would change answers
 * is refused; the rest the model's file says itself.
 * 3. A load that failed is answered with INVALID, as Triton does. */
#pragma once

#include "host/guise.h"
#include "host/policy.h"
#include "serve/arrival.h"
#include "serve/protocol/protocol.h"

struct arriving {
    struct str config; /* JSON text */
    struct arrival arrival;
    bool file;
    struct str model;            /* that is loaded */
    struct policy_advice advice; /* the config's */
    struct guise *guise;         /* the config's reshapes; NULL: none */
};

/* In r's arena, kept as r->notes; NULL: no memory. */
struct arriving *arriving_new(struct request *r, struct err *e);
/* path: "file:1/model.onnx"; bytes: borrowed until the answer. */
MUST_USE enum code arriving_file(struct request *r, struct arriving *in, struct str path,
                                 struct span bytes, struct err *e);
/* Both wait: they run elsewhere, and resume r. */
MUST_USE enum code arriving_load(struct request *r, struct arriving *in, struct err *e);
void arriving_unload(struct request *r);
/* max_batch_size of r->ask.live's configuration; above 0 its dims leave the batch out. */
size_t arriving_batch(const struct request *r);
const char *arriving_state(enum live_state s); /* "READY" */
