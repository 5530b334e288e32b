/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/frames.h"

#include <stdlib.h>

#include "broker/support/invariant.h"

#define ENDS_FIRST 16

void frames_init(struct frames *frames, size_t bytes_max, size_t bytes_kept) {
    *frames = (struct frames){.bytes_kept = bytes_kept};
    INVARIANT(bytes_max <= UINT32_MAX);
    buffer_init(&frames->buffer, bytes_max);
}

void frames_finish(struct frames *frames) {
    buffer_finish(&frames->buffer);
    free(frames->ends);
    frames->ends = NULL;
    frames->ends_capacity = 0;
    frames->count = 0;
}

void frames_clear(struct frames *frames, uint64_t sequence, uint64_t subscription) {
    frames->subscription = subscription;
    frames->sequence_first = sequence;
    frames->count = 0;
    frames->has_empty = false;
    buffer_clear(&frames->buffer);
    if (frames->buffer.capacity > frames->bytes_kept) {
        frames_finish(frames);
    }
}

static enum error_code reserve_end(struct frames *frames) {
    if (frames->count < frames->ends_capacity) {
        return OK;
    }
    size_t capacity = frames->ends_capacity == 0 ? ENDS_FIRST : frames->ends_capacity * 2;
    uint32_t *ends = realloc(frames->ends, capacity * sizeof(*ends));
    if (ends == NULL) {
        return ERR_MEMORY;
    }
    frames->ends = ends;
    frames->ends_capacity = capacity;
    return OK;
}

/* Readers of a channel are told that messages of it were deleted. */
static enum error_code put_deleted(struct buffer *buffer, const struct framing *framing,
                                   const struct message *message,
                                   const struct frame_options *options) {
    struct storage_gap gap = {
        .gap.reason = GAP_DELETED, .selector = message->fields.channel, .resumed = message->place};
    gap.first = 1; /* without a last: the delete itself does not know what else is kept */
    if (!message_get_deleted(message, &gap.gap.from, &gap.gap.to) || gap.gap.from > gap.gap.to) {
        return OK; /* it took nothing away: a frame of no bytes */
    }
    return framing->put_gap(buffer, &gap, options);
}

enum error_code frames_put(struct frames *frames, const struct framing *framing,
                           const struct message *message, uint64_t skipped) {
    struct frame_options options = {
        .subscription = frames->subscription, .skipped = skipped, .context = framing->context};
    enum error_code code = reserve_end(frames);
    size_t length_before = frames->buffer.length;
    if (code == OK) {
        code = message->fields.kind == MESSAGE_DELETE
                   ? put_deleted(&frames->buffer, framing, message, &options)
                   : framing->put_message(&frames->buffer, message, &options);
    }
    if (code != OK) {
        frames->buffer.length = length_before;
        return code;
    }
    frames->has_empty |= frames->buffer.length == length_before;
    frames->ends[frames->count++] = (uint32_t)frames->buffer.length;
    return OK;
}

static enum error_code put_one_renumbered(struct frames *frames, const struct framing *framing,
                                          struct span frame) {
    enum error_code code = reserve_end(frames);
    size_t length_before = frames->buffer.length;
    if (code == OK && frame.length > 0) {
        code = framing->put_renumbered(&frames->buffer, frame, frames->subscription);
    }
    if (code != OK) {
        frames->buffer.length = length_before;
        return code;
    }
    frames->has_empty |= frame.length == 0;
    frames->ends[frames->count++] = (uint32_t)frames->buffer.length;
    return OK;
}

enum error_code frames_put_renumbered(struct frames *frames, const struct framing *framing,
                                      const struct run *run) {
    enum error_code code = OK;
    uint32_t begin = 0;
    size_t count = 0;
    while (code == OK && count < run->count) {
        uint32_t end = run->ends[count] - run->ends_base;
        code = put_one_renumbered(frames, framing, span_of(run->bytes.bytes + begin, end - begin));
        begin = end;
        count += code == OK;
    }
    return count > 0 ? OK : code;
}

enum error_code frames_put_run(struct frames *frames, const struct run *run) {
    size_t begin = frames->buffer.length;
    size_t count_before = frames->count;
    enum error_code code = buffer_put(&frames->buffer, run->bytes);
    for (size_t i = 0; code == OK && i < run->count; i++) {
        code = reserve_end(frames);
        if (code == OK) {
            frames->ends[frames->count++] = (uint32_t)(begin + run->ends[i] - run->ends_base);
        }
    }
    if (code != OK) {
        frames->buffer.length = begin;
        frames->count = count_before;
        return code;
    }
    frames->has_empty |= run->has_empty;
    return OK;
}

struct run frames_borrow_run(const struct frames *frames, uint64_t sequence, size_t bytes_max) {
    INVARIANT(sequence >= frames->sequence_first);
    size_t index = (size_t)(sequence - frames->sequence_first);
    INVARIANT(index < frames->count);
    uint32_t begin = index == 0 ? 0 : frames->ends[index - 1];
    size_t last = frames->count - 1;
    if (frames->ends[last] - begin > bytes_max) { /* the last frame that still fits, by halves */
        size_t low = index;
        while (low < last) {
            size_t middle = low + (last - low + 1) / 2;
            if (frames->ends[middle] - begin <= bytes_max) {
                low = middle;
            } else {
                last = middle - 1;
            }
        }
    }
    return (struct run){.bytes = span_of(frames->buffer.bytes + begin, frames->ends[last] - begin),
                        .sequence_first = sequence,
                        .count = last - index + 1,
                        .ends = frames->ends + index,
                        .ends_base = begin,
                        .has_empty = frames->has_empty};
}

size_t run_count_sent(const struct run *run, size_t sent, struct span *ret_rest_of_cut) {
    INVARIANT(sent <= run->bytes.length);
    size_t low = 0; /* the first frame whose end lies behind `sent`, by halves */
    size_t high = run->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (run->ends[middle] - run->ends_base > sent) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *ret_rest_of_cut = (struct span){0};
    size_t begin = low == 0 ? 0 : run->ends[low - 1] - run->ends_base;
    if (low < run->count && sent > begin) {
        size_t end = run->ends[low] - run->ends_base;
        *ret_rest_of_cut = span_of(run->bytes.bytes + sent, end - sent);
    }
    return low;
}

size_t run_count_filled(const struct run *run, size_t count) {
    INVARIANT(count <= run->count);
    size_t filled = run->has_empty ? 0 : count;
    uint32_t begin = run->ends_base;
    for (size_t i = 0; run->has_empty && i < count; i++) {
        filled += run->ends[i] > begin;
        begin = run->ends[i];
    }
    return filled;
}
