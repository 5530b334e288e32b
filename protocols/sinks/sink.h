/* SPDX-License-Identifier: Apache-2.0 */
/* sink.h — one sink: a cursor in the log that hands on what it passes.
 *
 * Place:   sinks.c has them; the log and the read threads answer to their loop's mailbox; a driver
 *          carries what they ship (driver.h).
 * Thread:  the sinks thread's.
 * Bounds:  SINK_WINDOW_MAX messages (SINK_PIPELINE_MAX of one that pipelines) and
 *          SINK_WINDOW_BYTES_MAX, and nothing of them while it does not run or its breaker is open:
 *          then about 3 KiB and what its ledger holds.
 *
 * A page of the log (reading.c), or a commit where the sink stands at the head, goes to the
 * backlog; shipping.c takes shipments from it as breaker and tempo allow; settling.c writes what
 * became of each into the ledger; storing.c puts the ledger into the log, with the dead letters
 * that it says are done (dead_letters.c). Whatever happens ends in sink_go_on(), once a turn of the
 * loop, which looks at all of this anew. So no order of events has to be thought of but the one
 * within that function.
 */
#pragma once

#include <stdbool.h>

#include "broker/config/config.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"
#include "protocols/sinks/driver.h"
#include "protocols/sinks/sinks.h"

struct sink;
struct sinks;

/* A message of the log that it gets; perhaps twice. */
void sink_on_message(struct sink *sink, struct message *message);

/* Something of its channels is deleted: what it holds may be. */
void sink_on_delete(struct sink *sink, struct message *message);

/* Commits were missed: there may be something of its own. */
void sink_on_missed(struct sink *sink);

/* `row` lives as long as the sink, whose it is if `owns_row`, also where this fails. `record`: its
 * ledger as it was stored; empty: it is new. It does nothing before sink_start(). ERR_MEMORY,
 * ERR_CORRUPT (of the ledger). */
MUST_USE enum error_code sink_create(struct sinks *sinks, const struct sink_row *row, bool owns_row,
                                     struct span record, struct sink **ret_sink, struct error *why);

/* A sink that was never started, or has ended. Accepts NULL. */
void sink_destroy(struct sink *sink);

void sink_start(struct sink *sink);

/* Destroys one whose loop never ran. Accepts NULL. */
void sink_abort(struct sink *sink);

/* It ends when what is under way has settled, or after SINK_REST_MS, and its dead letters and its
 * ledger are stored. The ledger is not waited for if it is not `wanted` or the log does not take
 * it, nor are the letters if the process ends. Then on_ended, once, from the loop. */
void sink_end(struct sink *sink, bool is_ledger_wanted, void (*on_ended)(struct sink *sink));

const struct sink_row *sink_row(const struct sink *sink);
struct span sink_name(const struct sink *sink);
struct sinks *sink_owner(const struct sink *sink);
bool sink_is_ending(const struct sink *sink);

/* Appends what it remembers: ledger_put(). */
MUST_USE enum error_code sink_put_ledger(const struct sink *sink, struct buffer *buffer);

/* SINKS_PAUSE, SINKS_RESUME, SINKS_REPLAY, SINKS_TEST: answered now or later. */
void sink_pause(struct sink *sink, struct sinks_question *question);
void sink_resume(struct sink *sink, struct sinks_question *question);
void sink_replay(struct sink *sink, struct sinks_question *question);
void sink_test(struct sink *sink, struct sinks_question *question);

void sink_get_figures(const struct sink *sink, struct sink_figures *ret_figures);

/* Looks how far it lags, on a read thread; in turns. */
void sink_measure(struct sink *sink);
