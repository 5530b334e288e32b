/* SPDX-License-Identifier: Apache-2.0 */
/* many.h — one page of many channels: names and patterns mixed, in order of position.
 *
 * Place:   called by storage_read() where a query has selectors; chooses between merge and walk.
 * Thread:  any; the moment's maker.
 * Bounds:  those of struct many_limits, and of a page.
 */
#pragma once

#include "storage/builder.h"
#include "storage/chunks.h"
#include "storage/gaps.h"

/* What a page may cost. */
struct many_limits {
    uint64_t near_records;  /* so near the head the log is walked, whatever is asked */
    size_t channels_merged; /* with more of them the log is walked … */
    size_t names_looked;    /* … and with more names to look at than these */
    uint64_t walk_records;  /* of a page */
    uint64_t walk_bytes;
};

extern const struct many_limits MANY_LIMITS;

/* A page of many channels in the making. */
struct many {
    const struct moment *moment;
    const struct storage_options *options;
    const struct many_limits *limits;
    struct storage_query query; /* its places checked: of this log, no further than the head */
    struct matching matching;
    struct gaps gaps;
    struct builder builder;
    struct chunks_reader reader;
    struct place end;         /* the last message that was looked at; position 0: none was */
    uint64_t position_walked; /* all up to here was looked at; 0: as far as `end` */
    bool is_cut;              /* there may be more behind it */
};

struct strand;
struct resolved;

/* A view of one channel. Sets *ret_is_beside where it has nothing behind the query's start. */
MUST_USE enum error_code many_view(struct many *many, struct span name, uint64_t folded_id,
                                   struct view *ret_view, bool *ret_is_beside, struct error *why);

/* Sets what the view's channel keeps. */
MUST_USE enum error_code many_keep(struct many *many, struct span name, struct view *view,
                                   struct error *why);

/* Sets what the view's channel keeps, and resolves the query in it; what is lost is told. */
MUST_USE enum error_code many_resolve(struct many *many, struct span name, struct view *view,
                                      struct resolved *ret_resolved, struct error *why);

/* Tells what the channels that are named, not matched, have lost: what a walk cannot see. */
MUST_USE enum error_code many_tell_named(struct many *many, struct error *why);

/* A hole from `from` through `to`, which stands at `position`. */
MUST_USE enum error_code many_pass(struct many *many, const struct strand *strand, uint64_t from,
                                   uint64_t to, uint64_t position, enum gap_reason reason,
                                   struct error *why);

/* Gives out the message of an item, or leaves it out, or passes over a hole, or ends the page: then
 * builder.is_full is set, and the item was not used. */
MUST_USE enum error_code many_take(struct many *many, struct strand *strand, uint64_t offset,
                                   uint64_t position, uint64_t bytes, struct error *why);

/* Resolves where a query begins, without a page; ended by many_finish(). ERR_BAD_SINCE too. */
MUST_USE enum error_code many_init(struct many *many, const struct moment *moment,
                                   const struct storage_options *options,
                                   const struct many_limits *limits,
                                   const struct storage_query *query, struct error *why);
void many_finish(struct many *many);

/* Fills a page that is empty. ERR_BAD_SINCE, ERR_IO, ERR_CORRUPT, ERR_MEMORY: the page holds
 * nothing. */
MUST_USE enum error_code many_read(const struct moment *moment,
                                   const struct storage_options *options,
                                   const struct many_limits *limits,
                                   const struct storage_query *query, struct storage_page *ret_page,
                                   struct error *why);
