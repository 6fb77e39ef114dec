/* SPDX-License-Identifier: Apache-2.0 */
/* Texts for a graph whose inputs are token ids, by the tokenizer that was imported with it.
 *
 * 1. Strings sent for the ids, one a row, become a tensor [rows, longest]: beginning and end as the
 * model wants them, cut after the declared number of tokens (its end stays), shorter rows filled
 * with the padding token. A signature that fixes the length is filled, or cut, to it.
 * 2. attention_mask and token_type_ids are made when they are not given: 1 on every token, 0 on
 * padding; 0 everywhere. With ids sent as numbers every one counts as a token. */
#pragma once

#include "serve/request.h"

MUST_USE enum code tokenize_inputs(struct request *r, struct err *e);
