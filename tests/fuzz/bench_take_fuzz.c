/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/protocol.h"

#include "tests/fuzz/fuzz.h"

#define INPUT_BYTES_MAX 4000 /* below what the protocols allow a line */

/* What was told, and what was said in return. */
struct seen {
    struct bytes told;
    struct bytes output;
};

static void note(struct seen *seen, enum protocol_told told, const struct protocol_unit *unit) {
    uint8_t kind = (uint8_t)told;
    if (told == PROTOCOL_MORE || told == PROTOCOL_NOTHING) {
        return;
    }
    bytes_put(&seen->told, &kind, 1);
    if (told == PROTOCOL_MESSAGE) {
        bytes_put(&seen->told, &unit->payload_length, sizeof(unit->payload_length));
        bytes_put(&seen->told, unit->payload, unit->payload_length);
    } else if (told == PROTOCOL_ANSWER) {
        CLAIM(unit->count == 1);
        bytes_put(&seen->told, &unit->is_refused, 1);
    } else if (told == PROTOCOL_REFUSED) {
        bytes_put(&seen->told, unit->why, strlen(unit->why));
    }
}

/* Takes what there is; false: the link is refused. What is looked at has no room behind it. */
static bool take(const struct protocol *protocol, struct protocol_link *link, struct bytes *input,
                 struct seen *seen) {
    enum protocol_told told = PROTOCOL_NOTHING;
    while (input->length > 0 && told != PROTOCOL_MORE && told != PROTOCOL_REFUSED) {
        struct protocol_unit unit = {0};
        uint8_t *copy = malloc(input->length);
        CLAIM(copy != NULL);
        memcpy(copy, input->data, input->length);
        told = protocol->take(link, copy, input->length, &seen->output, &unit);
        CLAIM(told != PROTOCOL_REFUSED || unit.why != NULL);
        note(seen, told, &unit);
        free(copy);
        if (told != PROTOCOL_MORE && told != PROTOCOL_REFUSED) {
            CLAIM(unit.length > 0);
            CLAIM(unit.length <= input->length);
            bytes_drop(input, unit.length);
        }
    }
    return told != PROTOCOL_REFUSED;
}

static struct seen replay(const struct protocol *protocol, uint8_t flags, struct span bytes,
                          size_t step) {
    static const char *const selectors[] = {"a/0", "b/*"};
    struct protocol_link link = {.host = "localhost",
                                 .path = "",
                                 .selectors = selectors,
                                 .selector_count = flags & 1 ? 2 : 1,
                                 .is_publisher = (flags & 2) != 0};
    struct bytes input = {0};
    struct seen seen = {0};
    bool is_good = true;
    if (protocol->put_hello != NULL) {
        protocol->put_hello(&link, &seen.output);
    }
    for (size_t from = 0; from < bytes.length && is_good; from += step) {
        size_t rest = bytes.length - from;
        bytes_put(&input, bytes.bytes + from, rest < step ? rest : step);
        is_good = take(protocol, &link, &input, &seen);
    }
    protocol_reset(&link);
    bytes_finish(&input);
    return seen;
}

static void claim_same(const struct bytes *one, const struct bytes *other) {
    CLAIM(one->length == other->length);
    CLAIM(one->length == 0 || memcmp(one->data, other->data, one->length) == 0);
}

/* The first byte is the protocol, the second what the link is, the third how much comes at a time:
 * a connection tells and says the same however its bytes come. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    const struct protocol *protocol = length > 3 ? protocol_at(bytes[0] & 31) : NULL;
    if (protocol == NULL || length > INPUT_BYTES_MAX) {
        return 0;
    }
    struct span input = span_of(bytes + 2, length - 2);
    size_t step = fuzz_take_step(&input);
    struct seen whole = replay(protocol, bytes[1], input, input.length);
    struct seen pieces = replay(protocol, bytes[1], input, step);
    claim_same(&whole.told, &pieces.told);
    claim_same(&whole.output, &pieces.output);
    bytes_finish(&whole.told);
    bytes_finish(&whole.output);
    bytes_finish(&pieces.told);
    bytes_finish(&pieces.output);
    return 0;
}
