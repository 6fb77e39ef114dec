/* SPDX-License-Identifier: Apache-2.0 */
/* What the endpoints of Ollama's API share. */
#pragma once

#include "serve/talk.h"

/* "name:tag": :latest is nothing, another tag an alias. */
MUST_USE enum code ollama_route(struct request *r, struct str name, struct err *e);
