/* SPDX-License-Identifier: Apache-2.0 */
/* call.h — one request at the operator's port: from libmicrohttpd to the routes and back.
 *
 * Place:   the callbacks that operator.c gives to libmicrohttpd; calls pages.h, api.h and the
 *          routes.
 * Thread:  the operator's.
 * Bounds:  OPERATOR_CONNECTIONS_MAX calls; heads as on the public port; BODIES_BYTES_MAX of bodies.
 *          A refused body is read and thrown away, up to CALL_DISCARD_BYTES_MAX.
 *
 * libmicrohttpd calls on_access several times a request: with the head, with each piece of body,
 * and when all of it is there. A call whose answer comes later from the log or a read thread is
 * suspended; the letter that brings the answer resumes it.
 */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/support/list.h"
#include "broker/support/mailbox.h"
#include "broker/support/wheel.h"

struct broker;
struct certificate;

#define CALL_DISCARD_BYTES_MAX MESSAGE_BYTES_CEILING

/* What the calls of one port share. */
struct switchboard {
    struct broker *broker;
    struct metrics_shard *shard;
    struct mailbox mailbox; /* answers come here */
    struct wheel wheel;     /* deadlines of the connections */
    struct list calls;      /* all that are between their head and the end of their reply */
    size_t bodies_bytes;
    bool is_stopping;                /* connections are not kept any more */
    struct certificate *certificate; /* NULL: TLS is not spoken */
};

/* MHD_OPTION_NOTIFY_CONNECTION: keeps the connection's address and its deadline. */
void call_on_connection(void *switchboard, struct MHD_Connection *connection,
                        void **connection_context, enum MHD_ConnectionNotificationCode code);

/* MHD_OPTION_URI_LOG_CALLBACK: the first to see a request, and the only one to see its target as it
 * was written. Returns a new call, or NULL without memory. */
void *call_on_target(void *switchboard, const char *target, struct MHD_Connection *connection);

/* The access handler. */
enum MHD_Result call_on_access(void *switchboard, struct MHD_Connection *connection,
                               const char *url, const char *method, const char *version,
                               const char *upload_data, size_t *upload_data_size, void **call);

/* MHD_OPTION_NOTIFY_COMPLETED: the call ends, answered or not. */
void call_on_completed(void *switchboard, struct MHD_Connection *connection, void **call,
                       enum MHD_RequestTerminationCode code);

/* Lets go of what the routes still work on, so that libmicrohttpd can be stopped. Their letters
 * come back to the mailbox later, and each frees its request then. */
void call_abandon_all(struct switchboard *switchboard);
