/* SPDX-License-Identifier: Apache-2.0 */
/* page.h — a page of history as JSON: of a channel, a pattern or several; now, or when something
 * came.
 *
 * Place:   called by protocols/rest/get.c; asks the read threads, and a worker to watch (wait=).
 * Thread:  the request's; reading, encoding and compressing are a read thread's.
 * Bounds:  PAGE_MESSAGES_MAX messages, PAGE_BYTES_MAX of payload or one larger message;
 *          WAIT_MS_MAX.
 */
#pragma once

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"
#include "protocols/http/encoding.h"
#include "storage/storage.h"

struct request;

/* The entity tag of the page in that coding, with its quotes and a NUL: whatever the page shows is
 * in it, because a message never changes. */
#define PAGE_TAG_BYTES 256
void page_format_tag(const struct storage_page *page, enum encoding encoding,
                     char ret_tag[PAGE_TAG_BYTES]);

/* Is the tag one of an If-None-Match (RFC 9110, section 13.1.2; weak comparison)? */
bool page_tag_is_in(struct span if_none_match, struct span tag);

/* The JSON of the page that answered `query`. ERR_TOO_LARGE, ERR_MEMORY: what was added is of no
 * use. */
MUST_USE enum error_code page_put(struct buffer *buffer, const struct storage_query *query,
                                  const struct storage_page *page);

/* Answers the request's reading. */
void page_handle(struct request *request);
