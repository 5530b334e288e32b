/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/sse.h"

#include "tests/fuzz/fuzz.h"

#define BYTES_MAX 4096

/* What came out: a sum over all events that differs when any byte or border differs. */
struct seen {
    uint64_t hash;
    uint64_t count;
};

static void add(struct seen *seen, const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        seen->hash = (seen->hash ^ (uint8_t)bytes[i]) * 1099511628211U; /* FNV-1a */
    }
    seen->hash = (seen->hash ^ length) * 1099511628211U;
}

static bool note_event(void *context, const struct sse_event *event) {
    struct seen *seen = context;
    CLAIM(event->length <= BYTES_MAX);
    CLAIM(event->data[event->length] == '\0');
    CLAIM(strpbrk(event->last_event_id, "\r\n") == NULL);
    add(seen, event->type, strlen(event->type));
    add(seen, event->data, event->length);
    add(seen, event->last_event_id, strlen(event->last_event_id));
    seen->count++;
    return true;
}

static bool feed(const char *bytes, size_t length, size_t step, struct seen *ret_seen) {
    struct sse_parser parser;
    bool is_good = true;
    sse_init(&parser, BYTES_MAX, note_event, ret_seen);
    for (size_t i = 0; i < length && is_good; i += step) {
        is_good = sse_feed(&parser, bytes + i, i + step < length ? step : length - i);
    }
    add(ret_seen, sse_last_event_id(&parser), strlen(sse_last_event_id(&parser)));
    sse_finish(&parser);
    return is_good;
}

/* A stream gives the same events however it is cut. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct seen whole = {0}, pieces = {0};
    bool is_good = feed((const char *)bytes, length, length == 0 ? 1 : length, &whole);
    CLAIM(feed((const char *)bytes, length, 3, &pieces) == is_good);
    CLAIM(whole.count == pieces.count);
    CLAIM(whole.hash == pieces.hash);
    return 0;
}
