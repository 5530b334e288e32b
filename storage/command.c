/* SPDX-License-Identifier: Apache-2.0 */
/* A record of the kind `command` (record.c) has no channel, and the offset 0. Its field publisher
 * is the name of an object, 1 to 506 bytes, and its payload:
 *
 *   0  u8   what it is about: 1 an object
 *   1  u8   kind: 1 session, 2 group, 3 revocation, 4 usage of a tenant
 *   2  u8   step: 1 put, 2 append, 3 delete
 *   3       bytes; none behind `delete`
 *
 * One that says anything else, in any of these, is of a later version and passed over. */
#include "storage/command.h"

#include <stdlib.h>
#include <string.h>

#define ABOUT_OBJECT 1
#define HEAD_BYTES 3

struct message *storage_object_message(enum storage_object_kind kind, enum storage_object_step step,
                                       struct span name, struct span bytes) {
    if (name.length == 0 || name.length > STORAGE_OBJECT_NAME_BYTES_MAX ||
        bytes.length > STORAGE_OBJECT_BYTES_MAX) {
        return NULL;
    }
    uint8_t *payload = malloc(HEAD_BYTES + bytes.length);
    if (payload == NULL) {
        return NULL;
    }
    payload[0] = ABOUT_OBJECT;
    payload[1] = (uint8_t)kind;
    payload[2] = (uint8_t)step;
    if (bytes.length > 0) {
        memcpy(payload + HEAD_BYTES, bytes.bytes, bytes.length);
    }
    struct message_fields fields = {.kind = MESSAGE_COMMAND,
                                    .payload_kind = PAYLOAD_BINARY,
                                    .publisher = name,
                                    .payload = span_of(payload, HEAD_BYTES + bytes.length)};
    struct message *message = message_create(&fields);
    free(payload);
    return message;
}

bool command_read(const struct message *message, struct command *ret_command) {
    struct span payload = message->fields.payload;
    struct span name = message->fields.publisher;
    if (payload.length < HEAD_BYTES || payload.bytes[0] != ABOUT_OBJECT ||
        payload.bytes[1] < STORAGE_OBJECT_SESSION || payload.bytes[1] > STORAGE_OBJECT_SOURCE ||
        payload.bytes[2] < STORAGE_OBJECT_PUT || payload.bytes[2] > STORAGE_OBJECT_DELETE ||
        payload.length - HEAD_BYTES > STORAGE_OBJECT_BYTES_MAX || name.length == 0 ||
        name.length > STORAGE_OBJECT_NAME_BYTES_MAX) {
        return false;
    }
    *ret_command = (struct command){
        .kind = (enum storage_object_kind)payload.bytes[1],
        .step = (enum storage_object_step)payload.bytes[2],
        .name = name,
        .bytes = span_of(payload.bytes + HEAD_BYTES, payload.length - HEAD_BYTES),
    };
    return true;
}
