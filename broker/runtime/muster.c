/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions are kept in no order of their client ids, so a page is a walk through all of them that
 * keeps the first rows it has met, sorted. */
#include "broker/runtime/muster.h"

#include <stdlib.h>

#include "broker/runtime/log.h"
#include "broker/runtime/registry_private.h"
#include "broker/support/invariant.h"

struct muster {
    struct letter letter;
    struct mailbox *reply_to;
    muster_on_answered *on_answered;
    void *context;
    struct registry *registry;
    struct list in_musters;
    struct list *next; /* in the registry's order: looked at next */
    struct muster_answer answer;
    size_t limit; /* 0: a dismissal of `client_id` */
    uint16_t client_id_length;
    uint8_t client_id[SCOPED_CLIENT_ID_BYTES_MAX];
    struct muster_row **sorted; /* limit + 1 of `rows`; the first answer.row_count are in use */
    struct muster_row rows[];   /* likewise */
};

static struct span row_client_id(const struct muster_row *row) {
    return span_of(row->client_id, row->client_id_length);
}

static void fill(struct muster_row *row, const struct registry_entry *entry) {
    const struct absence *absence = entry->absence;
    *row = (struct muster_row){
        .client_id_length = entry->client_id_length,
        .is_connected = entry->holder != NULL,
        .connection_id = entry->holder == NULL ? 0 : entry->holder->connection_id,
    };
    if (absence != NULL) {
        row->away_since_ms = absence->released_ms;
        row->expires_ms = registry_expires_ms(absence);
        row->state_bytes = absence->state_length;
        row->has_will = absence->will != NULL;
    }
    memcpy(row->client_id, entry->client_id, entry->client_id_length);
}

/* How many rows stand before the client id. */
static size_t find_place(const struct muster *muster, struct span client_id) {
    size_t first = 0;
    size_t last = muster->answer.row_count;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (span_compare(row_client_id(muster->sorted[middle]), client_id) < 0) {
            first = middle + 1;
        } else {
            last = middle;
        }
    }
    return first;
}

static void look_at(struct muster *muster, const struct registry_entry *entry) {
    struct span client_id = registry_client_id(entry);
    if (span_compare(client_id, span_of(muster->client_id, muster->client_id_length)) <= 0) {
        return;
    }
    size_t place = find_place(muster, client_id);
    size_t count = muster->answer.row_count;
    if (place == muster->limit) {
        muster->answer.has_more = true;
        return;
    }
    struct muster_row *row = muster->sorted[count]; /* not in use */
    fill(row, entry);
    memmove(muster->sorted + place + 1, muster->sorted + place,
            (count - place) * sizeof(struct muster_row *));
    muster->sorted[place] = row;
    muster->answer.has_more |= count == muster->limit;
    muster->answer.row_count += count < muster->limit;
}

/* --- the log thread ------------------------------------------------------------------------- */

static void on_answer_delivered(struct letter *letter, void *consumer) {
    (void)consumer;
    struct muster *muster = CONTAINER_OF(letter, struct muster, letter);
    atomic_fetch_sub(&muster->registry->muster_count, 1);
    muster->on_answered(muster->context, muster);
}

static void answer(struct muster *muster, enum error_code result) {
    list_remove(&muster->in_musters);
    muster->answer.result = result;
    muster->letter.on_delivered = on_answer_delivered;
    mailbox_put_answer(muster->reply_to, &muster->letter);
}

static void walk(struct letter *letter, void *consumer) {
    (void)consumer;
    struct muster *muster = CONTAINER_OF(letter, struct muster, letter);
    struct registry *registry = muster->registry;
    if (atomic_load(&registry->is_stopping)) {
        answer(muster, ERR_DRAINING);
        return;
    }
    for (size_t i = 0; i < SESSIONS_A_TURN; i++) {
        if (muster->next == &registry->order) {
            answer(muster, OK);
            return;
        }
        look_at(muster, CONTAINER_OF(muster->next, struct registry_entry, in_order));
        muster->next = muster->next->next;
    }
    mailbox_put_answer(registry->options.mailbox, &muster->letter);
}

static void begin(struct letter *letter, void *consumer) {
    struct muster *muster = CONTAINER_OF(letter, struct muster, letter);
    struct registry *registry = muster->registry;
    list_put_tail(&registry->musters, &muster->in_musters);
    if (muster->limit == 0) {
        muster->answer.was_found =
            registry_dismiss(registry, span_of(muster->client_id, muster->client_id_length));
        answer(muster, OK);
        return;
    }
    muster->next = registry->order.next;
    muster->letter.on_delivered = walk;
    walk(letter, consumer);
}

void musters_on_gone(struct registry *registry, const struct registry_entry *entry) {
    LIST_EACH(&registry->musters, node) {
        struct muster *muster = CONTAINER_OF(node, struct muster, in_musters);
        if (muster->next == &entry->in_order) {
            muster->next = muster->next->next;
        }
    }
}

/* --- the asker's thread --------------------------------------------------------------------- */

/* NULL: out of memory. */
static struct muster *create(struct span client_id, size_t limit) {
    size_t count = limit == 0 ? 0 : limit + 1; /* one is filled before the last one falls out */
    struct muster *muster = calloc(1, sizeof(*muster) + count * sizeof(struct muster_row));
    struct muster_row **sorted = calloc(count + 1, sizeof(struct muster_row *));
    if (muster == NULL || sorted == NULL) {
        free(muster);
        free(sorted);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = &muster->rows[i];
    }
    muster->sorted = sorted;
    muster->answer.rows = (const struct muster_row **)sorted;
    muster->limit = limit;
    muster->client_id_length = (uint16_t)client_id.length;
    if (client_id.length > 0) {
        memcpy(muster->client_id, client_id.bytes, client_id.length);
    }
    return muster;
}

static enum error_code ask(struct log *log, struct muster *muster, struct mailbox *reply_to,
                           muster_on_answered *on_answered, void *context) {
    struct registry *registry = log_borrow_registry(log);
    if (muster == NULL) {
        return ERR_MEMORY;
    }
    muster->registry = registry;
    muster->reply_to = reply_to;
    muster->on_answered = on_answered;
    muster->context = context;
    muster->letter.on_delivered = begin;
    list_init(&muster->in_musters);
    enum error_code code = atomic_load(&registry->is_stopping) ? ERR_DRAINING : OK;
    if (code == OK && atomic_fetch_add(&registry->muster_count, 1) >= MUSTERS_MAX) {
        code = ERR_BUSY;
        atomic_fetch_sub(&registry->muster_count, 1);
    }
    if (code == OK) {
        code = mailbox_put(registry->options.mailbox, &muster->letter);
        atomic_fetch_sub(&registry->muster_count, code != OK);
    }
    if (code != OK) {
        muster_destroy(muster);
    }
    return code;
}

enum error_code muster_ask(struct log *log, struct span after, size_t limit,
                           struct mailbox *reply_to, muster_on_answered *on_answered,
                           void *context) {
    INVARIANT(limit > 0);
    INVARIANT(limit <= MUSTER_ROWS_MAX);
    INVARIANT(after.length <= SCOPED_CLIENT_ID_BYTES_MAX);
    return ask(log, create(after, limit), reply_to, on_answered, context);
}

enum error_code muster_dismiss(struct log *log, struct span client_id, struct mailbox *reply_to,
                               muster_on_answered *on_answered, void *context) {
    INVARIANT(client_id.length <= SCOPED_CLIENT_ID_BYTES_MAX);
    return ask(log, create(client_id, 0), reply_to, on_answered, context);
}

const struct muster_answer *muster_answer(const struct muster *muster) {
    return &muster->answer;
}

void muster_destroy(struct muster *muster) {
    if (muster != NULL) {
        free(muster->sorted);
        free(muster);
    }
}
