/* SPDX-License-Identifier: Apache-2.0 */
/* sinks.h — /api/v1/sinks and /api/v1/sources: what pushes messages out and brings them in.
 *
 * Place:   resources of api.c; ask the thread of the sinks by a letter (protocols/sinks/sinks.h).
 * Thread:  the operator's.
 * Bounds:  SINKS_PAGE_ROWS_MAX sinks a page; SINKS_MAX and SOURCES_MAX of all.
 *
 * Each waits for its answer, or is refused at once: 404 where no sink has the name, 409 where the
 * configuration's file is the place to change it, 422 with every fault of a definition.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "protocols/sinks/declaration.h"

struct request;

#define SINKS_PAGE_ROWS_MAX 1000
#define SINKS_BODY_BYTES_MAX DECLARATION_BYTES_MAX
#define SINKS_REPLAY_BODY_BYTES_MAX 1024

/* GET: ?limit=, ?after= (a name). In order of name. */
MUST_USE enum error_code sinks_list(struct request *request, struct error *why);

/* GET /api/v1/sources */
MUST_USE enum error_code sinks_list_sources(struct request *request, struct error *why);

/* GET and DELETE /api/v1/sinks/{name}; POST of what stands behind it. */
MUST_USE enum error_code sinks_show(struct request *request, struct error *why);
MUST_USE enum error_code sinks_remove(struct request *request, struct error *why);
MUST_USE enum error_code sinks_pause(struct request *request, struct error *why);
MUST_USE enum error_code sinks_resume(struct request *request, struct error *why);

/* POST: a definition. 201, or 409 where the name is there. */
MUST_USE enum error_code sinks_declare(struct request *request, struct error *why);

/* PUT /api/v1/sinks/{name}. What the body leaves out has its default, but for secrets, which
 * stay. */
MUST_USE enum error_code sinks_redeclare(struct request *request, struct error *why);

/* POST: {"since":…} or {"dead_letters":true}. */
MUST_USE enum error_code sinks_replay(struct request *request, struct error *why);

/* POST: 200 whatever the endpoint said: the body tells it. */
MUST_USE enum error_code sinks_test(struct request *request, struct error *why);
