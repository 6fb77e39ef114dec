/* SPDX-License-Identifier: Apache-2.0 */
/* The list of protocols, expanded. */
#include "serve/protocol/protocol.h"

#define PROTOCOL(name) extern const struct protocol protocol_##name;
#include "serve/protocol/list.h"
#undef PROTOCOL

const struct protocol *const *protocol_list(size_t *n) {
    static const struct protocol *const all[] = {
#define PROTOCOL(name) &protocol_##name,
#include "serve/protocol/list.h"
#undef PROTOCOL
    };
    *n = sizeof all / sizeof *all;
    return all;
}
