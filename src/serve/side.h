/* SPDX-License-Identifier: Apache-2.0 */
/* Side threads: work on one request that would hold up a loop (decoding a long body or an image,
 * writing a long answer). The queue is bounded by the requests in flight: each has one job at most.
 */
#pragma once

#include "serve/request.h"

struct side; /* opaque */

MUST_USE enum code side_open(int threads, struct side **out, struct err *e);
void side_post(struct side *s,
               struct side_job *job); /* any thread; job->fn(job) runs on a side thread */
void side_stop(
    struct side *s); /* runs what is queued, joins; later jobs run on their poster's thread */
void side_close(struct side *s); /* stops and frees; NULL allowed */
