/* SPDX-License-Identifier: Apache-2.0 */
/* The table `objects`:
 *
 *   key    0  u8   kind: enum storage_object_kind
 *          1  u16  length of the name, big-endian
 *          3       the name
 *             u16  number of the part, big-endian
 *   value          a part of the state: VALUE_BYTES of it, the last part 0 to VALUE_BYTES
 *
 * The state is all parts from number 0 on, end to end; an object whose state is empty has one part
 * of no bytes. A part with the number 0xffff is none: it says that an append found no room.
 *
 * The length in front of the name keeps the parts of an object together, whatever bytes names have.
 * An append reads and writes the last part alone, so that a large state costs no more than a small
 * one. Parts are smaller than those of records because keys are longer: LMDB wants two rows in each
 * page, and what does not fit goes to overflow pages (see chunks.c). */
#include "storage/objects.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/support/buffer.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "broker/support/map.h"
#include "storage/bytes.h"
#include "storage/command.h"

#define VALUE_BYTES 1500
#define NAME_AT 3
#define KEY_BYTES_MAX (NAME_AT + STORAGE_OBJECT_NAME_BYTES_MAX + 2)
#define PART_FULL UINT16_MAX
#define ROW_ON_PAGE_BYTES_MAX 2038 /* a page of 4 KiB less its head, halved, less a pointer … */
#define ROW_HEAD_BYTES 8           /* … and what LMDB puts before a row */

static_assert(ROW_HEAD_BYTES + KEY_BYTES_MAX + VALUE_BYTES <= ROW_ON_PAGE_BYTES_MAX,
              "no row needs an overflow page");
static_assert(STORAGE_OBJECT_BYTES_MAX / VALUE_BYTES + 1 < PART_FULL, "parts have numbers");

/* What is in the table, below `bytes`. */
enum base {
    BASE_KEPT,     /* parts before `part`, unchanged */
    BASE_REPLACED, /* nothing that counts: all parts are written anew */
    BASE_GONE,     /* likewise, and the object is not there */
};

/* An object that a command of this fold names. */
struct object {
    struct map_node in_map; /* by its key without a part */
    enum base base;
    bool is_full;  /* an append found no room … */
    bool was_full; /* … as the table says already, of BASE_KEPT */
    bool is_changed;
    uint16_t part;       /* which `bytes` begins with */
    struct buffer bytes; /* the state from there on */
    size_t prefix_length;
    uint8_t key[KEY_BYTES_MAX];
};

struct objects {
    const struct store *store;
    MDB_txn *txn;
    struct map gathered;
};

/* --- life --- */

enum error_code objects_create(const struct store *store, MDB_txn *txn,
                               struct objects **ret_objects, struct error *why) {
    struct objects *objects = calloc(1, sizeof(*objects));
    if (objects == NULL || map_init(&objects->gathered) != OK) {
        free(objects);
        return error_set(why, ERR_MEMORY, "no memory for objects");
    }
    objects->store = store;
    objects->txn = txn;
    *ret_objects = objects;
    return OK;
}

/* --- keys --- */

static size_t write_prefix(enum storage_object_kind kind, struct span name, uint8_t *to) {
    to[0] = (uint8_t)kind;
    memcpy(bytes_put_big(to + 1, name.length, 2), name.bytes, name.length);
    return NAME_AT + name.length;
}

static MDB_val key_of(struct object *object, uint16_t part) {
    bytes_put_big(object->key + object->prefix_length, part, 2);
    return (MDB_val){.mv_size = object->prefix_length + 2, .mv_data = object->key};
}

static struct span name_of(const struct object *object) {
    return span_of(object->key + NAME_AT, object->prefix_length - NAME_AT);
}

static bool is_part_of(const struct object *object, MDB_val key) {
    return key.mv_size == object->prefix_length + 2 &&
           memcmp(key.mv_data, object->key, object->prefix_length) == 0;
}

static uint16_t part_of(MDB_val key) {
    return (uint16_t)bytes_get_big((const uint8_t *)key.mv_data + key.mv_size - 2, 2);
}

/* --- the first look at an object --- */

/* Moves from where an object's last part would stand at most to where it does. MDB_NOTFOUND: there
 * is none. */
static int seek_last(MDB_cursor *cursor, struct object *object, MDB_val *ret_key,
                     MDB_val *ret_value) {
    *ret_key = key_of(object, PART_FULL);
    int code = mdb_cursor_get(cursor, ret_key, ret_value, MDB_SET_RANGE);
    object->was_full = code == 0 && is_part_of(object, *ret_key);
    if (code == 0 || code == MDB_NOTFOUND) {
        code = mdb_cursor_get(cursor, ret_key, ret_value, code == 0 ? MDB_PREV : MDB_LAST);
    }
    return code == 0 && !is_part_of(object, *ret_key) ? MDB_NOTFOUND : code;
}

static enum error_code load_last(const struct objects *objects, struct object *object,
                                 struct error *why) {
    MDB_cursor *cursor = NULL;
    MDB_val key = {0};
    MDB_val value = {0};
    enum error_code result = OK;
    int code = mdb_cursor_open(objects->txn, objects->store->objects, &cursor);
    if (code == 0) {
        code = seek_last(cursor, object, &key, &value);
    }
    if (code == 0) {
        object->base = BASE_KEPT;
        object->part = part_of(key);
        object->is_full = object->was_full;
        result = buffer_put(&object->bytes, store_span(value));
    } else if (code == MDB_NOTFOUND) {
        object->base = BASE_GONE;
    } else {
        result = store_error(why, code, "read an object");
    }
    mdb_cursor_close(cursor);
    return result == ERR_MEMORY ? error_set(why, result, "no memory for an object") : result;
}

/* --- steps --- */

static void destroy(struct object *object) {
    buffer_finish(&object->bytes);
    free(object);
}

/* An append needs to know what it is behind; the other steps do not. */
static enum error_code make(struct objects *objects, const struct command *command,
                            struct object **ret_object, struct error *why) {
    struct object *object = calloc(1, sizeof(*object));
    if (object == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for an object");
    }
    buffer_init(&object->bytes, STORAGE_OBJECT_BYTES_MAX);
    object->prefix_length = write_prefix(command->kind, command->name, object->key);
    enum error_code result =
        command->step == STORAGE_OBJECT_APPEND ? load_last(objects, object, why) : OK;
    if (result != OK) {
        destroy(object);
        return result;
    }
    map_put(&objects->gathered, &object->in_map, span_of(object->key, object->prefix_length));
    *ret_object = object;
    return OK;
}

static enum error_code find(struct objects *objects, const struct command *command,
                            struct object **ret_object, struct error *why) {
    uint8_t key[KEY_BYTES_MAX];
    struct span prefix = span_of(key, write_prefix(command->kind, command->name, key));
    const struct map_node *node = map_find(&objects->gathered, prefix);
    if (node != NULL) {
        *ret_object = CONTAINER_OF(node, struct object, in_map);
        return OK;
    }
    enum error_code result =
        map_count(&objects->gathered) < OBJECTS_GATHERED_MAX ? OK : objects_flush(objects, why);
    return result == OK ? make(objects, command, ret_object, why) : result;
}

static void empty(struct object *object, enum base base) {
    object->base = base;
    object->part = 0;
    object->is_full = false;
    object->is_changed = true;
    buffer_clear(&object->bytes);
}

static enum error_code append(struct object *object, struct span bytes, struct error *why) {
    size_t length = (size_t)object->part * VALUE_BYTES + object->bytes.length;
    if (object->base == BASE_GONE || object->is_full || bytes.length == 0) {
        return OK;
    }
    object->is_changed = true;
    if (length > STORAGE_OBJECT_BYTES_MAX || bytes.length > STORAGE_OBJECT_BYTES_MAX - length) {
        object->is_full = true;
        log_event(OBJECT_FULL, .kind = object->key[0], .name = name_of(object),
                  .bytes_max = STORAGE_OBJECT_BYTES_MAX);
        return OK;
    }
    enum error_code result = buffer_put(&object->bytes, bytes);
    return result == OK ? OK : error_set(why, result, "no memory for an object");
}

enum error_code objects_apply(struct objects *objects, const struct message *message,
                              struct error *why) {
    struct command command;
    struct object *object = NULL;
    if (!command_read(message, &command)) {
        return OK;
    }
    enum error_code result = find(objects, &command, &object, why);
    if (result != OK) {
        return result;
    }
    switch (command.step) {
    case STORAGE_OBJECT_PUT:
        empty(object, BASE_REPLACED);
        return append(object, command.bytes, why);
    case STORAGE_OBJECT_APPEND:
        return append(object, command.bytes, why);
    case STORAGE_OBJECT_DELETE:
        empty(object, BASE_GONE);
        return OK;
    }
    return OK;
}

/* --- writing --- */

static int put_part(const struct objects *objects, struct object *object, uint16_t part,
                    struct span bytes) {
    MDB_val key = key_of(object, part);
    MDB_val value = store_val(bytes);
    return mdb_put(objects->txn, objects->store->objects, &key, &value, 0);
}

static int remove_part(const struct objects *objects, struct object *object, uint16_t part) {
    MDB_val key = key_of(object, part);
    return mdb_del(objects->txn, objects->store->objects, &key, NULL);
}

/* The parts from `object->part` on; *ret_part is the number behind the last. */
static int put_parts(const struct objects *objects, struct object *object, uint16_t *ret_part) {
    struct span rest = buffer_borrow(&object->bytes);
    uint16_t part = object->part;
    int code = 0;
    do {
        size_t length = rest.length < VALUE_BYTES ? rest.length : VALUE_BYTES;
        code = put_part(objects, object, part++, span_of(rest.bytes, length));
        rest = span_of(rest.bytes + length, rest.length - length);
    } while (code == 0 && rest.length > 0);
    *ret_part = part;
    return code;
}

/* What a longer state before had. */
static int remove_parts(const struct objects *objects, struct object *object, uint16_t part) {
    int code = 0;
    while (code == 0) {
        code = remove_part(objects, object, part++);
    }
    return code == MDB_NOTFOUND ? 0 : code;
}

static int mark_full(const struct objects *objects, struct object *object) {
    if (object->base == BASE_KEPT && object->is_full == object->was_full) {
        return 0;
    }
    int code = object->is_full ? put_part(objects, object, PART_FULL, (struct span){0})
                               : remove_part(objects, object, PART_FULL);
    return code == MDB_NOTFOUND ? 0 : code;
}

static int write_object(const struct objects *objects, struct object *object) {
    uint16_t part = 0;
    int code = object->base == BASE_GONE ? 0 : put_parts(objects, object, &part);
    if (code == 0 && object->base != BASE_KEPT) {
        code = remove_parts(objects, object, part);
    }
    return code == 0 ? mark_full(objects, object) : code;
}

enum error_code objects_flush(struct objects *objects, struct error *why) {
    struct map_node *node = map_first(&objects->gathered);
    int code = 0;
    while (code == 0 && node != NULL) {
        struct map_node *next = map_next(&objects->gathered, node);
        struct object *object = CONTAINER_OF(node, struct object, in_map);
        code = object->is_changed ? write_object(objects, object) : 0;
        map_remove(&objects->gathered, node);
        destroy(object);
        node = next;
    }
    return code == 0 ? OK : store_error(why, code, "write an object");
}

void objects_destroy(struct objects *objects) {
    if (objects == NULL) {
        return;
    }
    for (struct map_node *node = map_first(&objects->gathered); node != NULL;) {
        struct map_node *next = map_next(&objects->gathered, node);
        destroy(CONTAINER_OF(node, struct object, in_map));
        node = next;
    }
    map_finish(&objects->gathered);
    free(objects);
}

/* --- reading --- */

/* What a walk has of the object that it is in. */
struct telling {
    struct span name; /* of no bytes: none yet */
    uint16_t part;    /* the next one */
    struct buffer state;
    storage_on_object *on_object;
    void *context;
};

static void tell(struct telling *telling) {
    if (telling->name.length > 0) {
        telling->on_object(telling->context, telling->name, buffer_borrow(&telling->state));
    }
}

/* One row of the kind. */
static enum error_code take_row(struct telling *telling, MDB_val key, MDB_val value,
                                struct error *why) {
    const uint8_t *bytes = key.mv_data;
    bool is_whole = key.mv_size > NAME_AT + 2 &&
                    key.mv_size == NAME_AT + 2 + (size_t)bytes_get_big(bytes + 1, 2);
    struct span name = is_whole ? span_of(bytes + NAME_AT, key.mv_size - NAME_AT - 2) : SPAN("");
    if (is_whole && !span_is_equal(name, telling->name)) {
        tell(telling);
        telling->name = name;
        telling->part = 0;
        buffer_clear(&telling->state);
    }
    if (is_whole && part_of(key) == PART_FULL && telling->part > 0) {
        return OK;
    }
    if (!is_whole || part_of(key) != telling->part || value.mv_size > VALUE_BYTES) {
        return error_set(why, ERR_CORRUPT, "a row of the table of objects is damaged");
    }
    telling->part++;
    enum error_code result = buffer_put(&telling->state, store_span(value));
    return result == OK ? OK : error_set(why, result, "no memory for an object");
}

static enum error_code walk(struct telling *telling, MDB_cursor *cursor, uint8_t kind,
                            struct error *why) {
    MDB_val key = {.mv_size = 1, .mv_data = &kind};
    MDB_val value = {0};
    enum error_code result = OK;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (code == 0 && result == OK && *(const uint8_t *)key.mv_data == kind) {
        result = take_row(telling, key, value, why);
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    if (code != 0 && code != MDB_NOTFOUND) {
        return store_error(why, code, "walk its objects");
    }
    if (result == OK) {
        tell(telling);
    }
    return result;
}

enum error_code objects_each(const struct store *store, MDB_txn *txn, enum storage_object_kind kind,
                             storage_on_object *on_object, void *context, struct error *why) {
    MDB_cursor *cursor = NULL;
    struct telling telling = {.on_object = on_object, .context = context};
    int code = mdb_cursor_open(txn, store->objects, &cursor);
    if (code != 0) {
        return store_error(why, code, "walk its objects");
    }
    buffer_init(&telling.state, STORAGE_OBJECT_BYTES_MAX);
    enum error_code result = walk(&telling, cursor, (uint8_t)kind, why);
    buffer_finish(&telling.state);
    mdb_cursor_close(cursor);
    return result;
}
