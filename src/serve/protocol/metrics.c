/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus text on the two paths scrapers are configured with: everybody's and TensorFlow
 * Serving's. */
#include "serve/protocol/protocol.h"

#include "serve/answer.h"
#include "watch/expose.h"

static enum code page(struct request *r, struct err *e) {
    struct buf *b = answer_buf(r, 16 << 10, e);
    if (!b)
        return e->code;
    expose_family(b, "slipway_build_info", "Always 1; the version is the label.", "gauge");
    expose_sample(b, "slipway_build_info", &(struct expose_label){"version", LIT(SLIPWAY_VERSION)},
                  1, 1);
    expose_text(b);
    answer_type(r, 200, LIT(EXPOSE_TYPE));
    return answer_part(r, b, e);
}

static const struct route routes[] = {
    {ROUTE_GET, "/metrics", ROUTE_QUIET | ROUTE_INSIDE, page},
    {ROUTE_GET, "/monitoring/prometheus/metrics", ROUTE_QUIET | ROUTE_INSIDE, page},
};

const struct protocol protocol_metrics = {
    .name = "metrics",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
};
