/* SPDX-License-Identifier: Apache-2.0 */
/* Journal bytes as a crash or a bad disk leaves them: frames are read until they end, and what was
 * read is written again and must read the same. */
#include <stdint.h>
#include <stdlib.h>

#include "broker/support/invariant.h"
#include "storage/command.h"
#include "storage/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* A step says the same when it is made again. */
static void check_command(const struct message *message) {
    struct command command;
    struct command again;
    if (message->fields.kind != MESSAGE_COMMAND || !command_read(message, &command)) {
        return;
    }
    struct message *made =
        storage_object_message(command.kind, command.step, command.name, command.bytes);
    INVARIANT(made != NULL);
    INVARIANT(command_read(made, &again));
    INVARIANT(again.kind == command.kind);
    INVARIANT(again.step == command.step);
    INVARIANT(span_is_equal(again.name, command.name));
    INVARIANT(span_is_equal(again.bytes, command.bytes));
    message_unref(made);
}

static void check_again(const struct record *record) {
    struct message *message = record_create_message(record, 1, (struct span){0});
    INVARIANT(message != NULL);
    size_t size = record_frame_size(message);
    uint8_t *frame = malloc(size);
    INVARIANT(frame != NULL);
    INVARIANT(record_write_frame(message, frame) == frame + size);
    struct span rest = span_of(frame, size);
    struct record again;
    INVARIANT(record_next_frame(&rest, &again) == RECORD_FOUND);
    INVARIANT(rest.length == 0);
    INVARIANT(again.place.position == record->place.position);
    INVARIANT(again.time_ms == record->time_ms);
    INVARIANT(again.expiry_ms == record->expiry_ms);
    INVARIANT(span_is_equal(again.fields.channel, record->fields.channel));
    INVARIANT(span_is_equal(again.fields.payload, record->fields.payload));
    check_command(message);
    free(frame);
    message_unref(message);
}

/* A body alone, so that the fuzzer gets past the checksum. */
static void read_body(struct span body) {
    struct record record;
    if (record_read_body(body, &record)) {
        check_again(&record);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span rest = span_of(bytes, length);
    struct record record;
    while (record_next_frame(&rest, &record) == RECORD_FOUND) {
        check_again(&record);
    }
    read_body(span_of(bytes, length));
    return 0;
}
