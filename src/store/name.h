/* SPDX-License-Identifier: Apache-2.0 */
/* What names may look like: models, aliases, files of a version, and free text. All failures are
 * INVALID and say why. */
#pragma once

#include "store/store.h"

MUST_USE enum code name_model(struct str model, struct err *e);
MUST_USE enum code name_alias(
    struct str alias, struct err *e); /* like a model, but not only digits: M@3 is a version */
MUST_USE enum code name_file(struct str name,
                             struct err *e); /* relative, no "..", safe to create under a folder */
MUST_USE enum code name_text(const char *what, struct str text, size_t max_bytes,
                             struct err *e); /* no control bytes */
