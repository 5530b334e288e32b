/* SPDX-License-Identifier: Apache-2.0 */
/* audience.h — the channels of a load, and which reader reads which of them.
 *
 * Place:   made by load.c; receipt.c asks for each message, crew.c and publishers.c for what
 *          to subscribe to, and composer.c for the channels' names.
 * Thread:  made by main, constant afterwards.
 * Bounds:  AUDIENCE_MATCHES_MAX comparisons of a pattern with a channel, when there is a pattern.
 *
 * Without a pattern a reader's channels follow each other, and wrap around behind the last. With
 * one they are those that match, in order of their numbers. A slot is a channel's place among
 * those of a reader.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/bench/settings.h"

#define AUDIENCE_MATCHES_MAX (200u << 20)
#define AUDIENCE_NONE UINT32_MAX

struct audience;

/* Does a pattern match a name? `*` is one segment, `**` at the end the rest and what is before it.
 * In the way of MQTT and of NATS: `+` and `#`, `*` and `>` between dots. */
bool audience_matches(const char *pattern, const char *name);

/* Ends the program when there is no memory; NULL: a word was printed. */
struct audience *audience_create(const struct settings *settings);
void audience_destroy(struct audience *audience);

/* The name of channel `channel`. */
const char *audience_name(const struct audience *audience, uint32_t channel);

/* What a reader subscribes to: texts that live as long as the audience. */
const char *const *audience_selectors(const struct audience *audience, uint32_t reader,
                                      size_t *ret_count);

/* How many channels a reader reads; which stands in a slot; which slot a channel has, where `hint`
 * is a guess. AUDIENCE_NONE: the reader does not read it. */
uint32_t audience_count(const struct audience *audience, uint32_t reader);
uint32_t audience_channel(const struct audience *audience, uint32_t reader, uint32_t slot);
uint32_t audience_slot(const struct audience *audience, uint32_t reader, uint32_t channel,
                       uint32_t hint);

/* How many readers a channel has. */
uint64_t audience_readers(const struct audience *audience, uint32_t channel);
