/* SPDX-License-Identifier: Apache-2.0 */
/* What a language model is, told to people and as JSON: show's other half. */
#pragma once

#include "cli/command.h"
#include "host/loaded.h"

MUST_USE enum code show_language(struct cli *c, const struct store_info *i, const struct loaded *l,
                                 struct err *e);
