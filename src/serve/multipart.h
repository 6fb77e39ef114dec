/* SPDX-License-Identifier: Apache-2.0 */
/* multipart/form-data (RFC 7578 on RFC 2046 §5.1): the parts of a body, in place. */
#pragma once

#include "base/err.h"
#include "base/str.h"

struct multipart {
    struct span rest;
    struct str boundary; /* of the Content-Type */
    bool begun;
};

struct multipart_part { /* borrowed from the body */
    struct str name, file_name, content_type;
    struct span body;
};

/* content_type: "multipart/form-data; boundary=..."; INVALID when the boundary is missing. */
MUST_USE enum code multipart_begin(struct multipart *m, struct str content_type, struct span body,
                                   struct err *e);
/* *more false: the closing delimiter was read. */
MUST_USE enum code multipart_next(struct multipart *m, struct multipart_part *out, bool *more,
                                  struct err *e);
