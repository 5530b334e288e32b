/* SPDX-License-Identifier: Apache-2.0 */
/* home.h — whether an address leads back to this broker: a webhook to a port of its own would
 * publish what is sent again, without end.
 *
 * Place:   post.h asks for each connection, beside guard.h.
 * Thread:  any.
 * Bounds:  none of its own; the interfaces of the machine are read where the port is the same and
 *          that port is listened on at all of them.
 *
 * WEAKNESS: an address that is translated on the way (a public one that a cloud maps to a private
 * one of the machine) is on no interface and not known; cure: name it as `public.listen`.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

struct broker;

bool home_has(const struct broker *broker, const struct sockaddr_storage *address);
