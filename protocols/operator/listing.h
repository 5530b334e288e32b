/* SPDX-License-Identifier: Apache-2.0 */
/* listing.h — rows of the administration's lists as JSON, and what their queries ask.
 *
 * Place:   channels.c and connections.c write with it; docs/openapi.yaml has the contract.
 * Thread:  pure.
 * Bounds:  the buffer's ceiling.
 *
 *     {"channels":[ROW,…],"next":"name"}      {"connections":[ROW,…],"next":"key.id"}
 *
 * Names of tenants are shown as their clients see them, with the tenant beside.
 *
 * Each put adds all or an unusable part: ERR_TOO_LARGE and ERR_MEMORY end the reply.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/runtime/survey.h"
#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"
#include "storage/storage.h"

#define LISTING_ROWS_DEFAULT 100
#define LISTING_ROWS_MAX SURVEY_ROWS_MAX

/* What a reader lacks; of a live one as its worker said, else as the storage measured it. */
struct listing_lag {
    bool is_known; /* else both are written as null */
    bool is_exact;
    uint64_t messages;
    uint64_t bytes;
};

/* A number from 1 to LISTING_ROWS_MAX; empty: LISTING_ROWS_DEFAULT. ERR_BAD_REQUEST. */
MUST_USE enum error_code listing_parse_limit(struct span text, size_t *ret_limit,
                                             struct error *why);

/* "lag", "age", "bytes"; empty: lag. ERR_BAD_REQUEST. */
MUST_USE enum error_code listing_parse_order(struct span text, enum survey_order *ret_order,
                                             struct error *why);

/* "1234.7", as listing_put_end() wrote it. ERR_BAD_REQUEST. */
MUST_USE enum error_code listing_parse_rank(struct span text, struct survey_rank *ret_rank,
                                            struct error *why);

/* The parameter of that name: a tenant, or empty for none. ERR_BAD_REQUEST: no tenant is called so.
 * `tenant` has room for HTTP_TARGET_BYTES_MAX. */
MUST_USE enum error_code listing_find_tenant(struct span query, const char *name,
                                             struct buffer *tenant, bool *ret_is_given,
                                             struct error *why);

/* The parameter of that name, put into the scope of `tenant`, in `scoped`, which is empty where it
 * was not given. ERR_BAD_REQUEST: it is too long. */
MUST_USE enum error_code listing_find_scoped(struct span query, const char *name,
                                             struct span tenant, struct buffer *scoped,
                                             struct error *why);

/* `,"tenant":"acme"`, or nothing where the name has no scope. */
MUST_USE enum error_code listing_put_tenant(struct buffer *buffer, struct span scoped);

/* {"channel","tenant","first","last","messages","bytes","rate","readers","time_last"} */
MUST_USE enum error_code listing_put_channel(struct buffer *buffer,
                                             const struct storage_channel *channel,
                                             uint64_t reader_count);

/* {"id","peer","protocol","identity","tenant","client_id","opened","bytes_sent",
 * "bytes_unsent","budget","blocked","unacknowledged","unacknowledged_ms","window_full",
 * "readers":[…]}; `lags` are those of the row's readers. */
MUST_USE enum error_code listing_put_connection(struct buffer *buffer, const struct survey_row *row,
                                                const struct listing_lag *lags,
                                                uint64_t budget_bytes);

/* `],"next":…}`: behind the last channel or client id (with `"next_tenant":…` where it has a
 * scope), or behind the last connection; NULL: there is no more. */
MUST_USE enum error_code listing_put_end_names(struct buffer *buffer, const struct span *next);
MUST_USE enum error_code listing_put_end_connections(struct buffer *buffer,
                                                     const struct survey_rank *next);
