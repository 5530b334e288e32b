/* SPDX-License-Identifier: Apache-2.0 */
/* deletion.h — DELETE of a channel's messages: all that are there, those before a point, or one.
 *
 * Place:   called by protocols/rest/channel.c; submits a record (MESSAGE_DELETE) to the log, after
 *          a read where the point is an id.
 * Thread:  the request's; log and reads answer through the request's mailbox.
 * Bounds:  none of its own.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct request;

/* Reads the query of a request for a channel that was checked: nothing (all), `before=` (an offset
 * or an id, exclusive) or `offset=`. What else stands there is refused, because a misspelt `before`
 * would delete all. ERR_BAD_REQUEST, ERR_BAD_SINCE with the field; ERR_MEMORY. */
MUST_USE enum error_code deletion_admit(struct request *request, struct error *why);

/* Answers {"channel","from","to","id"}: the offsets that are gone, and where the record of it
 * stands. 404: there is no such message and never was. */
void deletion_handle(struct request *request);
