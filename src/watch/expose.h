/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus text exposition 0.0.4: every family of base/counter, then the process series. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#define EXPOSE_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends all of it; a failure sticks in out. */
void expose_text(struct buf *out);

/* For figures that are read and not counted: one HELP and TYPE, then samples. kind: "gauge",
 * "counter". */
void expose_family(struct buf *out, const char *name, const char *help, const char *kind);
struct expose_label {
    const char *name;
    struct str value;
};
void expose_sample(struct buf *out, const char *name, const struct expose_label *labels,
                   int n_labels, double value);
