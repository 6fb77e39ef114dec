/* SPDX-License-Identifier: Apache-2.0 */
/* Whether rows of a batch are independent, so that the host may join requests. */
#pragma once

#include "plan/session.h"

bool rows_independent(const struct model *m, const struct session_io *inputs,
                      const struct session_io *outputs);
