/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/window.h"

#include "broker/support/invariant.h"

void hand_init(struct hand *hand) {
    buffer_init(&hand->bytes, FRAME_BYTES_MAX);
}

void hand_finish(struct hand *hand) {
    buffer_finish(&hand->bytes);
}

void window_init(struct window *window, const struct stream_window *calls, void *context) {
    *window = (struct window){.calls = calls, .context = context};
}

uint64_t window_get_room(const struct window *window) {
    if (window->calls == NULL) {
        return UINT64_MAX;
    }
    return window->is_held ? 0 : window->calls->get_room(window->context);
}

static enum error_code copy_run(struct hand *hand, const struct run *run) {
    if (hand->bytes.capacity > WRITE_BYTES_MAX * 2) {
        buffer_finish(&hand->bytes); /* one large message does not stay for ever */
    }
    buffer_clear(&hand->bytes);
    if (buffer_put(&hand->bytes, run->bytes) != OK) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < run->count; i++) {
        hand->ends[i] = run->ends[i] - run->ends_base;
    }
    return OK;
}

enum error_code window_prepare(struct window *window, struct hand *hand, struct run *run) {
    if (window->calls == NULL) {
        return OK;
    }
    INVARIANT(run->count <= WINDOW_FRAMES_MAX);
    if (copy_run(hand, run) != OK) {
        return ERR_MEMORY;
    }
    size_t count = window->calls->prepare(window->context, hand->bytes.bytes, hand->ends,
                                          hand->items, run->count);
    INVARIANT(count <= run->count);
    window->is_held = count < run->count;
    *run = (struct run){.bytes = span_of(hand->bytes.bytes, count == 0 ? 0 : hand->ends[count - 1]),
                        .count = count,
                        .ends = hand->ends,
                        .has_empty = run->has_empty};
    return OK;
}

void window_on_left(const struct window *window, const struct hand *hand, size_t count) {
    if (window->calls != NULL && count > 0) {
        window->calls->on_left(window->context, hand->items, count);
    }
}

void window_release(struct window *window) {
    window->is_held = false;
}
