/* SPDX-License-Identifier: Apache-2.0 */
/* Health under the names probes look for: /livez and /healthz say that the process answers, /readyz
 * and /ping whether it should get traffic (503 while loading and from the first sign of shutdown).
 * /ping's body is TorchServe's. */
#include "serve/protocol/protocol.h"

#include "serve/answer.h"

static enum code say(struct request *r, bool good, const char *key, const char *yes, const char *no,
                     struct err *e) {
    struct answer_json j;
    TRY(answer_json(r, &j, e));
    json_put_object(&j.w);
    json_put_member_text(&j.w, key, good ? yes : no);
    json_put_object_end(&j.w);
    TRY(answer_json_end(r, &j, e));
    r->response.status = good ? 200 : 503;
    return OK;
}

static enum code live(struct request *r, struct err *e) {
    return say(r, true, "status", "ok", "", e);
}
static enum code ready(struct request *r, struct err *e) {
    return say(r, request_ready(r), "status", "ready", "not ready", e);
}
static enum code ping(struct request *r, struct err *e) {
    return say(r, request_ready(r), "status", "Healthy", "Unhealthy", e);
}

static const struct route routes[] = {
    {ROUTE_GET, "/healthz", ROUTE_OPEN | ROUTE_QUIET, live},
    {ROUTE_GET, "/livez", ROUTE_OPEN | ROUTE_QUIET, live},
    {ROUTE_GET, "/readyz", ROUTE_OPEN | ROUTE_QUIET, ready},
    {ROUTE_GET, "/ping", ROUTE_OPEN | ROUTE_QUIET, ping},
};

const struct protocol protocol_health = {
    .name = "health",
    .routes = routes,
    .n_routes = sizeof routes / sizeof *routes,
};
