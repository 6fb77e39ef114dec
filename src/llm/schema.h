/* SPDX-License-Identifier: Apache-2.0 */
/* JSON schemas (2020-12, the part below) to grammars whose every text is a valid document.
 *
 * Known: type (one or several), properties, required, additionalProperties, items, prefixItems,
 * minItems, maxItems, minLength, maxLength, pattern (schema_text.h), format (date, time, date-time,
 * uuid; others say nothing), minimum, maximum, exclusiveMinimum, exclusiveMaximum (of integers),
 * enum, const, anyOf, oneOf (whose branches exclude each other), allOf, $ref (within the document),
 * nullable; annotations are passed over. Any other keyword is INVALID, by name.
 *
 * 1. Properties come in the schema's order; none are added unless additionalProperties says so.
 * 2. White space is a blank, or a line feed and up to 20 blanks: never without end.
 * 3. Numbers have 16 digits before and after the point at most. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

enum { SCHEMA_DEPTH = 64, SCHEMA_ENUM = 1 << 16, SCHEMA_PROPERTIES = 1024 };

/* GBNF with rule `root`. */
MUST_USE enum code schema_grammar(struct str json, struct buf *out, struct err *e);
MUST_USE enum code schema_any_object(struct buf *out, struct err *e);

/* Several schemas in one grammar, whose root the caller writes. */
struct schema; /* opaque; in the arena */
MUST_USE enum code schema_begin(struct buf *out, struct arena *a, struct schema **s, struct err *e);
/* *rule: the name of the rule that is this schema. */
MUST_USE enum code schema_add(struct schema *s, struct str json, struct str *rule, struct err *e);
MUST_USE enum code schema_add_object(struct schema *s, struct str *rule, struct err *e);
MUST_USE enum code schema_end(struct schema *s, struct err *e); /* the rules all others use */
