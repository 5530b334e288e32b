/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/composer.h"

#include <stdio.h>
#include <stdlib.h>

#include "clients/bench/fail.h"
#include "clients/bench/stamp.h"

bool composer_init(struct composer *composer, const struct settings *settings,
                   const struct audience *audience, struct sendings *sendings, uint32_t run) {
    *composer = (struct composer){.audience = audience,
                                  .run = run,
                                  .sendings = sendings,
                                  .channels = (uint32_t)settings->channels,
                                  .payload_bytes = settings->payload_bytes,
                                  .batch = settings->batch};
    if (composer->payload_bytes > COMPOSER_BYTES_MAX / composer->batch) {
        fprintf(stderr, "tidings: bench: a publish of %zu messages of %zu bytes is too large\n",
                composer->batch, composer->payload_bytes);
        return false;
    }
    composer->payloads = malloc(composer->payload_bytes * composer->batch);
    composer->messages = calloc(composer->batch, sizeof(composer->messages[0]));
    if (composer->payloads == NULL || composer->messages == NULL) {
        bench_fail("out of memory for a publish of %zu messages", composer->batch);
    }
    return true;
}

void composer_finish(struct composer *composer) {
    free(composer->payloads);
    free(composer->messages);
    *composer = (struct composer){0};
}

void composer_make(struct composer *composer, size_t index, uint32_t channel, uint32_t lane,
                   uint64_t due_ns) {
    struct stamp stamp = {.run = composer->run,
                          .channel = channel,
                          .lane = lane,
                          .sequence = sendings_number(composer->sendings, channel, lane),
                          .due_ns = due_ns};
    uint8_t *payload = composer->payloads + index * composer->payload_bytes;
    stamp_put_payload(&stamp, payload, composer->payload_bytes);
    composer->messages[index] =
        (struct protocol_message){.channel = audience_name(composer->audience, channel),
                                  .payload = payload,
                                  .length = composer->payload_bytes};
    composer->count++;
    composer->expected += audience_readers(composer->audience, channel);
}
