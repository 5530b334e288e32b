/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/opening.h"

#include "broker/channels/pattern.h"
#include "broker/channels/rules.h"
#include "broker/channels/scope.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/support/clock.h"
#include "broker/support/logger.h"
#include "storage/storage.h"

#define SEGMENTS_MIN 16 /* a full disk is at least so many segments */

static void on_retention(void *context, struct span channel, struct retention *ret_retention) {
    const struct broker *broker = context;
    const struct channel_rule *rule = rules_find(atomic_load(&broker->rules), channel);
    *ret_retention = (struct retention){.messages_max = rule->history_messages_max,
                                        .age_ms_max = rule->history_age_ms_max,
                                        .bytes_max = rule->history_bytes_max};
}

static bool on_retain_latest(void *context, struct span channel) {
    const struct broker *broker = context;
    return rules_find(atomic_load(&broker->rules), channel)->retain == RETAIN_LATEST;
}

static bool on_counts(void *context, struct span channel) {
    (void)context;
    return scope_length(channel) > 0; /* a tenant's */
}

/* A small disk has small segments: space comes back by whole segments. */
static uint64_t segment_bytes(const struct config *config) {
    uint64_t share = config->storage_bytes_max / SEGMENTS_MIN;
    return share < SEGMENT_BYTES ? share : SEGMENT_BYTES;
}

enum error_code opening_storage(struct broker *broker, struct error *why) {
    struct storage_options options = {.directory = broker->config->data,
                                      .bytes_max = broker->config->storage_bytes_max,
                                      .journal_file_bytes = JOURNAL_FILE_BYTES,
                                      .open_batch_bytes_max = OPEN_BATCH_BYTES_MAX,
                                      .fold_bytes = FOLD_BYTES,
                                      .segment_messages = SEGMENT_MESSAGES,
                                      .segment_bytes = segment_bytes(broker->config),
                                      .on_retention = on_retention,
                                      .on_match = pattern_matches,
                                      .on_retain_latest = on_retain_latest,
                                      .on_counts = on_counts,
                                      .context = broker};
    uint64_t begin_ms = clock_monotonic_ms();
    enum error_code code = storage_open(&options, &broker->storage, why);
    if (code != OK) {
        return code;
    }
    struct storage_state state;
    struct storage_figures figures;
    storage_get_state(broker->storage, &state);
    storage_get_figures(broker->storage, &figures);
    log_event(STORAGE_OPENED, .data = broker->config->data, .clean = state.was_clean,
              .generation = state.generation, .position = state.position_next - 1,
              .replayed = state.replayed_count, .channels = figures.channel_count,
              .took_ms = clock_monotonic_ms() - begin_ms);
    return OK;
}
