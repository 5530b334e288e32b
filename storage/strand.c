/* SPDX-License-Identifier: Apache-2.0 */
/* A strand goes forward most of the time: the next offset is the next entry of the run. */
#include "storage/strand.h"

#include "broker/support/invariant.h"
#include "storage/index.h"

void strand_init(struct strand *strand, struct view *view, struct span name) {
    *strand = (struct strand){.view = view, .name = name};
}

/* The entry of an offset that is in the index. */
static enum error_code find_folded(struct strand *strand, uint64_t offset, struct error *why) {
    struct run *run = &strand->run;
    bool is_in_run =
        run->count > 0 && offset >= run->offset_first && offset <= run_offset_last(run);
    if (is_in_run && strand->entry.offset == offset) {
        return OK;
    }
    if (!is_in_run) {
        return index_get_entry(strand->view->store, strand->view->txn, strand->view->channel_id,
                               offset, run, &strand->entry, why);
    }
    if (strand->entry.offset > offset) {
        run_rewind(run, &strand->entry);
    }
    do {
        if (!run_next(run, &strand->entry)) {
            return error_set(why, ERR_CORRUPT, "a run of the index is damaged");
        }
    } while (strand->entry.offset < offset);
    return OK;
}

enum error_code strand_get_item(struct strand *strand, uint64_t offset,
                                struct strand_item *ret_item, struct error *why) {
    const struct view *view = strand->view;
    INVARIANT(offset >= view->physical_first);
    INVARIANT(offset <= view->offset_last);
    if (offset >= view->batch_first) {
        uint64_t bytes = 0;
        uint64_t position = open_batch_get_item(&view->batch, offset, &bytes);
        *ret_item = (struct strand_item){offset, position, bytes};
        return OK;
    }
    enum error_code result = find_folded(strand, offset, why);
    if (result == OK) {
        *ret_item = (struct strand_item){offset, strand->entry.position, strand->entry.bytes};
    }
    return result;
}

enum error_code strand_find_deleted(struct strand *strand, uint64_t offset, uint64_t *ret_from,
                                    uint64_t *ret_to, struct error *why) {
    bool is_known = strand->deleted_at != 0 && offset >= strand->deleted_at &&
                    (strand->deleted_from == UINT64_MAX || offset <= strand->deleted_to);
    if (!is_known) {
        enum error_code result = view_find_deleted(strand->view, offset, &strand->deleted_from,
                                                   &strand->deleted_to, why);
        if (result != OK) {
            return result;
        }
        strand->deleted_at = offset;
    }
    *ret_from = strand->deleted_from;
    *ret_to = strand->deleted_to;
    return OK;
}

enum error_code strand_read(struct strand *strand, struct chunks_reader *reader,
                            const struct strand_item *item, struct strand_record *ret_record,
                            struct error *why) {
    const struct view *view = strand->view;
    ret_record->message = NULL;
    if (item->offset >= view->batch_first) {
        struct message *message = open_batch_take_message(&view->batch, item->offset);
        if (message == NULL) {
            return error_set(why, ERR_CORRUPT, "the open batch lacks offset %llu",
                             (unsigned long long)item->offset);
        }
        ret_record->message = message;
        ret_record->fields = &message->fields;
        ret_record->expiry_ms = message->expiry_ms;
        ret_record->is_deleted = false;
        return OK;
    }
    enum error_code result = find_folded(strand, item->offset, why);
    if (result == OK) {
        result = chunks_read(reader, strand->run.slot, view->channel_id, &strand->entry,
                             &ret_record->record, why);
    }
    if (result == OK) {
        ret_record->fields = &ret_record->record.fields;
        ret_record->expiry_ms = ret_record->record.expiry_ms;
        ret_record->is_deleted = ret_record->fields->kind == MESSAGE_DELETE;
    }
    return result;
}

struct message *strand_make(const struct strand *strand, struct strand_record *record) {
    return record->message != NULL
               ? record->message
               : record_create_message(&record->record, strand->view->meta.log_id, strand->name);
}

void strand_drop(struct strand_record *record) {
    message_unref(record->message);
    record->message = NULL;
}

enum error_code strand_judge(const struct strand *strand, const struct strand_record *record,
                             uint64_t offset, bool is_conflated, enum strand_fate *ret_fate,
                             struct error *why) {
    *ret_fate = STRAND_GIVEN;
    if (record->is_deleted) {
        *ret_fate = STRAND_DELETED;
        return OK;
    }
    if (record->expiry_ms != 0 && record->expiry_ms <= strand->view->time_ms) {
        *ret_fate = STRAND_EXPIRED;
        return OK;
    }
    if (!is_conflated) {
        return OK;
    }
    uint64_t newest = 0;
    enum error_code result = view_find_key(strand->view, record->fields->key, &newest, why);
    if (result != OK || newest <= offset) {
        return result;
    }
    uint64_t from = UINT64_MAX;
    uint64_t to = 0;
    if (newest <= strand->view->offset_last) {
        result = view_find_deleted(strand->view, newest, &from, &to, why);
    }
    if (result == OK && from > newest) {
        *ret_fate = STRAND_CONFLATED;
    }
    return result;
}
