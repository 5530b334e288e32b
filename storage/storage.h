/* SPDX-License-Identifier: Apache-2.0 */
/* storage.h — the log on disk: a journal for what is new, LMDB for what is folded, one read call.
 *
 * Place:   the only header of storage/ that others see; called by broker/runtime.
 * Thread:  each call names its thread below; reads may run on several threads at once.
 * Bounds:  the open batch (options.open_batch_bytes_max), the disk (options.bytes_max), one page
 *          (query.bytes_max). One read transaction a call, ended before the call returns.
 *
 * The life of a message here: storage_append() writes it to the journal; storage_sync() puts it on
 * the disk if it asks for that; storage_admit() makes it readable (the open batch); storage_fold()
 * moves it into LMDB. A read sees LMDB and the open batch as one log without a seam.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

struct storage;

#define STORAGE_CHANNEL_BYTES_MAX 510 /* a channel's name, in a key of LMDB with a byte before it */

/* How much of a channel is kept: whichever limit is reached first. */
#define RETENTION_UNLIMITED UINT64_MAX
struct retention {
    uint64_t messages_max;
    uint64_t age_ms_max;
    uint64_t bytes_max;
};

struct storage_options {
    const char *directory;       /* made (0700) if it is not there */
    uint64_t bytes_max;          /* above it the oldest segments go, and gaps are told */
    uint64_t journal_file_bytes; /* a journal file is rolled at this size */
    uint64_t open_batch_bytes_max;
    uint64_t fold_bytes;       /* this much in the open batch makes a fold due at once */
    uint64_t segment_messages; /* a segment is closed at this many records … */
    uint64_t segment_bytes;    /* … or this many bytes */
    /* The retention of a channel. Called from the store thread and the read threads; must answer
     * from what does not change, or from what is swapped whole. */
    void (*on_retention)(void *context, struct span channel, struct retention *ret_retention);
    /* Whether a checked pattern stands for a channel's name. Pure. */
    bool (*on_match)(struct span pattern, struct span name);
    /* Whether a channel retains its newest message, whatever that says. Called from the store
     * thread and the read threads. NULL: only messages with MESSAGE_RETAIN are retained. */
    bool (*on_retain_latest)(void *context, struct span channel);
    /* Whether it is told what a channel loses: see storage_each_swept(). Called from the store
     * thread, and always answered alike. NULL: of none. */
    bool (*on_counts)(void *context, struct span channel);
    void *context;
};

/* What the log thread goes on from. */
struct storage_state {
    uint64_t log_id;
    uint32_t generation;
    uint64_t position_next;
    uint64_t channel_id_next;
    uint64_t time_ms;        /* of the newest record */
    bool was_clean;          /* the last process closed it */
    uint64_t replayed_count; /* records that the journal brought back */
};

/* Opens or makes the data directory, replays the journal's rest, opens a new generation after an
 * unclean end. ERR_DATA_VERSION: made by another version; ERR_LOCKED: another process has it;
 * ERR_CORRUPT: damage that is not a torn tail; ERR_IO. The detail says what to do. */
MUST_USE enum error_code storage_open(const struct storage_options *options,
                                      struct storage **ret_storage, struct error *why);

/* Folds what is left, marks the end as clean, frees. No other call may be running. Accepts NULL. */
void storage_close(struct storage *storage);

void storage_get_state(const struct storage *storage, struct storage_state *ret_state);

/* What a message counts for where bytes are: its payload and what its publisher said of it. */
uint64_t storage_counted_bytes(const struct message_fields *fields);

/* Calls on_channel for each channel with its id, its last offset, and the counted bytes that it has
 * not been told to have lost (where options.on_counts names it; else of all messages ever). Before
 * the first append. */
typedef void storage_on_channel(void *context, struct span name, uint64_t channel_id,
                                uint64_t offset_last, uint64_t bytes);
MUST_USE enum error_code storage_each_channel(struct storage *storage,
                                              storage_on_channel *on_channel, void *context,
                                              struct error *why);

/* A publish that named an idempotency key, as far back as the log keeps them. */
struct storage_repeat {
    struct span hash; /* 64 bytes: SHA-256 of scope and key, of the body */
    uint64_t time_ms;
    uint32_t generation;
    uint64_t position_first; /* its messages have the positions from here on */
    size_t count;
    const struct storage_repeat_place {
        uint64_t channel_id;
        uint64_t offset;
    } * places; /* `count`, in order */
};

/* Calls on_repeat for each that is not older than IDEMPOTENCY_AGE_MS of log time, oldest first,
 * folded or not. Spans and places live during the call. Before the first append. */
typedef void storage_on_repeat(void *context, const struct storage_repeat *repeat);
MUST_USE enum error_code storage_each_repeat(struct storage *storage, storage_on_repeat *on_repeat,
                                             void *context, struct error *why);

/* --- objects: small states with a name, which commands of the log change ---------------------- */

enum storage_object_kind {
    STORAGE_OBJECT_SESSION = 1, /* of MQTT, by client id */
    STORAGE_OBJECT_GROUP = 2,   /* of shared subscriptions */
    STORAGE_OBJECT_REVOCATION = 3,
    STORAGE_OBJECT_USAGE = 4,  /* of a tenant, by its name */
    STORAGE_OBJECT_SINK = 5,   /* that was declared at the operator's port: its row */
    STORAGE_OBJECT_LEDGER = 6, /* of a sink: its place, and what is done beyond it */
    STORAGE_OBJECT_SOURCE = 7, /* of a source: how far it is read */
};

enum storage_object_step {
    STORAGE_OBJECT_PUT = 1,    /* the bytes are the state from now on */
    STORAGE_OBJECT_APPEND = 2, /* they are put behind it; of no object: nothing happens */
    STORAGE_OBJECT_DELETE = 3,
};

#define STORAGE_OBJECT_NAME_BYTES_MAX 506 /* as much as a key of LMDB has room for */
#define STORAGE_OBJECT_BYTES_MAX 1048576  /* of a state: a thousand filters and all packet ids */

/* A MESSAGE_COMMAND that does so once it is ordered; it may be one of the messages of a publish.
 * Bytes mean nothing to the storage. An append for which the state has no room is passed over, as
 * are those behind it until the next put. NULL: out of memory, or one of the limits is passed. */
MUST_USE struct message *storage_object_message(enum storage_object_kind kind,
                                                enum storage_object_step step, struct span name,
                                                struct span bytes);

/* Calls on_object for each object of the kind. Spans live during the call. Before the first append:
 * storage_open() has folded all that was replayed. */
typedef void storage_on_object(void *context, struct span name, struct span state);
MUST_USE enum error_code storage_each_object(struct storage *storage, enum storage_object_kind kind,
                                             storage_on_object *on_object, void *context,
                                             struct error *why);

/* --- the log thread ------------------------------------------------------------------------- */

/* Writes ordered messages to the journal with one system call; a killed process loses none of them
 * once this returned. All or none: after an error nothing of them is in the journal.
 * ERR_STORAGE_FULL (also while folds use the reserve of a full disk), ERR_IO. Positions continue
 * where the last append ended, without a hole. */
MUST_USE enum error_code storage_append(struct storage *storage, struct message *const *messages,
                                        size_t count, struct error *why);

/* Makes appended messages readable, in order; takes a reference of each. */
void storage_admit(struct storage *storage, struct message *const *messages, size_t count);

/* Time goes on for all readers without a record; what is appended next must not be older. */
void storage_raise_time(struct storage *storage, uint64_t time_ms);

/* False: the open batch is full; publishers wait until a fold made room. Any thread. */
bool storage_has_room(const struct storage *storage);

/* Enough waits in the open batch that it should be folded now rather than at the next beat. */
bool storage_is_fold_due(const struct storage *storage);

/* The disk failed in a way that only a new process gets over: at a sync of the journal, or at the
 * page that says where the store's newest state is. Appends and syncs are ERR_IO from then on; all
 * that was answered as durable is on the disk. Logged once. The process should end. Any thread. */
bool storage_has_failed(const struct storage *storage);

/* --- one thread at a time: sync's, or the log's where nothing is to be appended meanwhile ----- */

/* All that was appended before this call is on the disk when it returns OK. Runs beside appends. */
MUST_USE enum error_code storage_sync(struct storage *storage, struct error *why);

/* --- the store thread ----------------------------------------------------------------------- */

/* Moves the open batch into LMDB in one synced transaction and removes journal files that are
 * folded whole; then takes a first step of erasing what was deleted. Nothing to do is OK.
 * ERR_STORAGE_FULL and ERR_IO leave all as it was: the open batch stays readable, and the call may
 * be tried again. */
MUST_USE enum error_code storage_fold(struct storage *storage, struct error *why);

/* What a folded delete took away is still in the journal, because of records that came while it was
 * folded. They may be nothing but time, which asks for no fold: so fold again, at the next beat. */
bool storage_holds_deleted(const struct storage *storage);

/* What the last storage_fold() moved into LMDB. */
struct storage_folded {
    uint64_t messages;
    uint64_t bytes; /* of memory */
};
void storage_get_folded(const struct storage *storage, struct storage_folded *ret_folded);

/* One bounded step of retention: erases what was deleted, moves survivors of the oldest segments to
 * the cold table, drops segments, forgets channels. `ret_more` says that another step is due. */
MUST_USE enum error_code storage_retain(struct storage *storage, bool *ret_more, struct error *why);

/* What a step of retention took away from a channel. */
struct storage_swept {
    struct span name;
    uint64_t channel_id;
    uint64_t offset_last;
    uint64_t bytes;    /* counted, which retention lets go of since it was told last: of the
                        * channels that options.on_counts names. What was deleted from the middle
                        * counts until retention comes by it */
    bool is_forgotten; /* the next message of such a name may make a new channel, with a new id */
};

/* Calls on_swept for what the last storage_retain() did. */
typedef void storage_on_swept(void *context, const struct storage_swept *swept);
void storage_each_swept(struct storage *storage, storage_on_swept *on_swept, void *context);

/* --- reading, any thread -------------------------------------------------------------------- */

enum storage_start {
    STORAGE_EARLIEST,     /* the oldest kept; no gap is told */
    STORAGE_NEWEST,       /* so that the page ends at the end and holds `limit` messages */
    STORAGE_AFTER_OFFSET, /* exclusive; start.offset */
    STORAGE_AFTER_PLACE,  /* exclusive; an id, or a reader's own cursor */
    STORAGE_AFTER_TIME,   /* messages whose time is at or after time_ms */
    STORAGE_NOW,          /* nothing that is readable now */
    STORAGE_DROP,         /* likewise, and what stands behind `place` is told as GAP_DROPPED */
};

/* One part of what is read: a channel, or a checked pattern. */
struct storage_selector {
    struct span text;
    bool is_pattern;
};

/* The memory of a copy: the selectors, and their texts behind them. */
size_t storage_selectors_size(const struct storage_selector *selectors, size_t count);

/* Copies them, and their texts, to memory of that size. */
void storage_selectors_copy(struct storage_selector *ret_copy,
                            const struct storage_selector *selectors, size_t count);

/* What is read is one channel, or what any of the selectors names: in order of position, each
 * message once. With selectors AFTER_OFFSET has no meaning (ERR_BAD_SINCE), nor has `before` by
 * offset. */
struct storage_query {
    struct span channel; /* where there are no selectors */
    const struct storage_selector *selectors;
    size_t selector_count; /* 0: the one channel */
    bool is_retained;      /* the retained messages alone, in order of channel id; `start` and all
                            * below but the limits have no meaning … */
    uint64_t after_channel_id; /* … those of channels behind this one; page.channel_id goes on, and
                                * page.at_head says that there are no more: a page may be empty
                                * without. page.end is where the log stood */
    bool is_conflated;         /* leave out what is no longer the newest of its key */
    enum storage_start start;
    struct place place;  /* for AFTER_PLACE; `offset` alone for AFTER_OFFSET */
    uint64_t time_ms;    /* for AFTER_TIME */
    uint64_t newest;     /* for NEWEST: 0 means `limit` (`since=-N` begins N before the end) */
    bool has_before;     /* only what stands before `before` */
    struct place before; /* exclusive end; position 0: its offset alone counts */
    uint32_t limit;      /* messages a page at most */
    uint32_t bytes_max;  /* payload bytes a page at most; one larger message passes alone */
};

/* GAP_DROPPED belongs to readers whose policy is to drop what lags; a page of the log never has it:
 * what went for bytes_max has expired like what its channel's retention took. */
enum gap_reason { GAP_EXPIRED, GAP_DROPPED, GAP_DELETED, GAP_AHEAD, GAP_EPOCH };

/* What a reader asked for and cannot have. */
struct gap {
    enum gap_reason reason;
    uint64_t from; /* first offset that is missing; 0 where it cannot be known */
    uint64_t to;   /* last offset that is missing; 0 likewise */
};

/* A gap as a reader is told it. */
struct storage_gap {
    struct gap gap;
    struct span selector; /* the channel, or the pattern … */
    bool is_pattern;
    struct place after;   /* … of a pattern: where the reader stood */
    struct place resumed; /* where it goes on */
    /* The last position at which something of a pattern is known to be lost; 0: unknown. A reader
     * that goes on before it is told the same loss again, and knows it by this; a channel's by
     * gap.to. */
    uint64_t lost_position;
    uint64_t first; /* of a channel: the offsets kept now; both 0 when none is kept */
    uint64_t last;
    bool is_outlived; /* nothing is missing but messages whose own time was over */
};

/* Messages in order. If something is missing it is missing before the first. */
struct storage_page {
    struct message **messages; /* each a reference of the page's */
    size_t count;
    uint32_t *skipped;        /* of a conflated page: how many were left out before each message */
    uint32_t skipped_behind;  /* … and behind the last */
    struct storage_gap *gaps; /* of a query with selectors; their spans are the query's */
    size_t gap_count;
    size_t bytes;       /* sum of message_size() */
    struct place start; /* where the page begins (exclusive), after any gap: "resumed" */
    struct place end;   /* the cursor to go on from; at the head, the place of the head */
    bool at_head;       /* nothing more was readable after `end` */
    bool has_gap;
    struct gap gap;
    uint64_t channel_id; /* 0: the channel has no message */
    uint64_t first;      /* offsets kept now; both 0 when none is kept */
    uint64_t last;
    uint64_t offset_last; /* the last offset ever given, kept or not */
};

/* Reads one page. An unknown channel gives an empty page. ERR_IO, ERR_CORRUPT, ERR_MEMORY. */
MUST_USE enum error_code storage_read(struct storage *storage, const struct storage_query *query,
                                      struct storage_page *ret_page, struct error *why);

/* Unrefs the messages and empties the page. */
void storage_page_finish(struct storage_page *page);

/* The index of the first message of a page of the log that stands behind `position`; its count:
 * none does. */
size_t storage_page_find_after(const struct storage_page *page, uint64_t position);

/* Walks the gaps of a page, whatever its query was: start with *index at 0. False: no more. */
MUST_USE bool storage_page_next_gap(const struct storage_page *page,
                                    const struct storage_query *query, size_t *index,
                                    struct storage_gap *ret_gap);

/* How far `place` lies behind the head of the channel or the selectors of `query` (its other
 * members are ignored): messages that are kept and counted bytes. Exact for up to
 * STORAGE_MEASURE_CHANNELS_MAX matching channels; beyond them `ret_is_exact` is false and the
 * figures are those of the channels looked at. ERR_IO, ERR_CORRUPT, ERR_MEMORY. */
#define STORAGE_MEASURE_CHANNELS_MAX 256
MUST_USE enum error_code storage_measure(struct storage *storage, const struct storage_query *query,
                                         const struct place *place, uint64_t *ret_messages,
                                         uint64_t *ret_bytes, bool *ret_is_exact,
                                         struct error *why);

/* One channel for the operator. */
struct storage_channel {
    struct span name; /* lives until the next call of on_row */
    uint64_t channel_id;
    uint64_t first; /* offsets kept; both 0: none */
    uint64_t last;
    uint64_t offset_last; /* ever given */
    uint64_t bytes;       /* counted bytes kept */
    uint64_t time_last_ms;
    uint64_t messages_last_minute; /* of log time; no more than are kept */
};

/* Calls on_row for at most `limit` channels in order of name behind `after` (empty: from the
 * start) that `pattern` names (empty: all), folded or not. False from on_row ends it. */
typedef bool storage_on_row(void *context, const struct storage_channel *row);
MUST_USE enum error_code storage_list_channels(struct storage *storage, struct span pattern,
                                               struct span after, size_t limit,
                                               storage_on_row *on_row, void *context,
                                               struct error *why);

/* --- figures, any thread -------------------------------------------------------------------- */

struct storage_figures {
    uint64_t journal_bytes;
    uint64_t journal_file_count;
    uint64_t lmdb_bytes_used;
    uint64_t lmdb_bytes_file;
    uint64_t open_batch_bytes;
    uint64_t open_batch_messages;
    uint64_t segment_count;
    uint64_t channel_count;
    uint64_t position_folded;
    uint64_t position_readable;
    uint64_t fold_count;
    uint64_t bytes_max;            /* options.bytes_max … */
    uint64_t open_batch_bytes_max; /* … and the other */
    uint64_t disk_bytes_free; /* of the file system of the directory; 0 where it is not known */
    uint64_t disk_bytes;
    uint64_t snapshot_count;     /* read transactions that are open … */
    uint64_t snapshot_us_oldest; /* … and the age of the oldest; 0: none */
};

void storage_get_figures(struct storage *storage, struct storage_figures *ret_figures);
