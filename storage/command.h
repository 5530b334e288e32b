/* SPDX-License-Identifier: Apache-2.0 */
/* command.h — what a command of the log does: a step of an object, as a message and back.
 *
 * Place:   storage_object_message() makes one; read by objects when it is applied.
 * Thread:  pure; spans point into the message.
 * Bounds:  STORAGE_OBJECT_NAME_BYTES_MAX, STORAGE_OBJECT_BYTES_MAX.
 *
 * The byte layout stands at the top of command.c.
 */
#pragma once

#include "storage/storage.h"

struct command {
    enum storage_object_kind kind;
    enum storage_object_step step;
    struct span name;
    struct span bytes;
};

/* False: it is a command of a later version, and does nothing here. */
MUST_USE bool command_read(const struct message *message, struct command *ret_command);
