/* SPDX-License-Identifier: Apache-2.0 */
/* Entries have a slot each; a token is the slot's index with a count in front that never repeats,
 * so a token is found without a search, and an old one is known by the count. Those that wait are
 * in a heap by position as well.
 *
 * Stored (varints): log id, generation, position, channel id and offset of the place; the count
 * of tokens; how many entries there are; of each, in order, how far it stands behind the one
 * before. */
#include "broker/delivery/group.h"

#include <stdlib.h>

#include "broker/support/heap.h"
#include "broker/support/invariant.h"
#include "broker/support/varint.h"

#define SLOT_BITS 14
#define SLOTS_AT_FIRST 16
#define SLOTS_KEPT 64 /* of a group in which nothing is out */

/* More tokens than are given between two times that a group is stored: after a kill they go on
 * above those that were given and not noted. */
#define TOKENS_SKIPPED (UINT64_C(1) << 24)

static_assert(GROUP_LEASES_MAX == 1 << SLOT_BITS, "a token has room for each slot");

struct entry {
    struct heap_node in_waiting; /* by its position */
    struct list in_leases;       /* of its member */
    struct group_member *member; /* NULL: it waits */
    uint64_t token;              /* of the last lease; its slot at the least */
    uint64_t position;
    uint64_t offset; /* 0: not known */
    uint64_t until_ms;
    size_t bytes;
    uint32_t count;
};

struct group {
    struct place place;
    uint64_t token_count;
    struct list ready;
    size_t member_count;
    size_t timed_count;   /* entries whose lease has an end */
    struct heap waiting;  /* has room for slot_count */
    struct entry **slots; /* slot_count of them; NULL: free */
    uint32_t *free_slots; /* a stack of free_count, with room for slot_count */
    size_t slot_count;
    size_t free_count;
};

/* --- slots ---------------------------------------------------------------------------------- */

static size_t slot_of(const struct entry *entry) {
    return (size_t)(entry->token & (GROUP_LEASES_MAX - 1));
}

static size_t entry_count(const struct group *group) {
    return group->slot_count - group->free_count;
}

static void put_waiting(struct group *group, struct entry *entry) {
    heap_put(&group->waiting, &entry->in_waiting, entry->position);
}

/* NULL: none waits. */
static struct entry *first_waiting(const struct group *group) {
    struct heap_node *first = heap_first(&group->waiting);
    return first == NULL ? NULL : CONTAINER_OF(first, struct entry, in_waiting);
}

/* Each array alone may have grown when memory ends: that does no harm. */
static enum error_code grow(struct group *group) {
    size_t count = group->slot_count == 0 ? SLOTS_AT_FIRST : group->slot_count * 2;
    INVARIANT(count <= GROUP_LEASES_MAX);
    struct entry **slots = realloc(group->slots, count * sizeof(struct entry *));
    group->slots = slots == NULL ? group->slots : slots;
    uint32_t *free_slots = realloc(group->free_slots, count * sizeof(uint32_t));
    group->free_slots = free_slots == NULL ? group->free_slots : free_slots;
    if (slots == NULL || free_slots == NULL || heap_reserve(&group->waiting, count) != OK) {
        return ERR_MEMORY;
    }
    for (size_t i = count; i > group->slot_count; i--) {
        group->slots[i - 1] = NULL;
        group->free_slots[group->free_count++] = (uint32_t)(i - 1);
    }
    group->slot_count = count;
    return OK;
}

static void release_slots(struct group *group) {
    free(group->slots);
    free(group->free_slots);
    heap_finish(&group->waiting);
    group->slots = NULL;
    group->free_slots = NULL;
    group->slot_count = group->free_count = 0;
}

/* NULL: without memory, or GROUP_LEASES_MAX are there. */
static struct entry *add_entry(struct group *group, uint64_t position, uint64_t offset) {
    bool has_slot =
        group->free_count > 0 || (group->slot_count < GROUP_LEASES_MAX && grow(group) == OK);
    struct entry *entry = has_slot ? malloc(sizeof(*entry)) : NULL;
    if (entry == NULL) {
        return NULL;
    }
    size_t slot = group->free_slots[--group->free_count];
    *entry = (struct entry){.token = slot, .position = position, .offset = offset};
    list_init(&entry->in_leases);
    INVARIANT(group->slots[slot] == NULL);
    group->slots[slot] = entry;
    return entry;
}

static void remove_entry(struct group *group, struct entry *entry) {
    INVARIANT(entry->member == NULL);
    heap_remove(&group->waiting, &entry->in_waiting);
    group->slots[slot_of(entry)] = NULL;
    group->free_slots[group->free_count++] = (uint32_t)slot_of(entry);
    free(entry);
    if (entry_count(group) == 0 && group->slot_count > SLOTS_KEPT) {
        release_slots(group);
    }
}

/* --- beginning and end ---------------------------------------------------------------------- */

enum error_code group_create(struct group **ret_group) {
    struct group *group = calloc(1, sizeof(*group));
    if (group == NULL) {
        return ERR_MEMORY;
    }
    list_init(&group->ready);
    *ret_group = group;
    return OK;
}

static void forget_waiting(struct group *group) {
    struct entry *first;
    while ((first = first_waiting(group)) != NULL) {
        remove_entry(group, first);
    }
}

void group_destroy(struct group *group) {
    if (group == NULL) {
        return;
    }
    INVARIANT(group->member_count == 0);
    forget_waiting(group);
    release_slots(group);
    free(group);
}

void group_get_place(const struct group *group, struct place *ret_place) {
    *ret_place = group->place;
}

void group_set_place(struct group *group, const struct place *place) {
    for (size_t i = 0; i < group->slot_count; i++) {
        struct entry *entry = group->slots[i];
        if (entry != NULL && entry->member == NULL && entry->position > place->position) {
            remove_entry(group, entry);
        }
    }
    group->place = *place;
}

/* --- members -------------------------------------------------------------------------------- */

/* In its turn among those that can take one more, or not among them. */
static void mind_ready(struct group *group, struct group_member *member) {
    bool is_ready = member->lease_count < member->credit && member->bytes < member->bytes_max;
    if (!is_ready) {
        list_remove(&member->in_ready);
    } else if (list_is_empty(&member->in_ready)) {
        list_put_tail(&group->ready, &member->in_ready);
    }
}

static void give(struct group *group, struct entry *entry, size_t bytes, uint64_t now_ms) {
    struct group_member *member = group_next(group);
    uint64_t count = ++group->token_count;
    INVARIANT(member != NULL);
    INVARIANT(entry->member == NULL);
    entry->token = count << SLOT_BITS | slot_of(entry);
    entry->member = member;
    entry->bytes = bytes;
    entry->until_ms = member->lease_ms == 0 ? UINT64_MAX : now_ms + member->lease_ms;
    entry->count++;
    group->timed_count += entry->until_ms != UINT64_MAX;
    member->lease_count++;
    member->bytes += bytes;
    list_put_tail(&member->leases, &entry->in_leases);
    list_remove(&member->in_ready); /* the next turn is another's */
    mind_ready(group, member);
}

static void take_back(struct group *group, struct entry *entry) {
    struct group_member *member = entry->member;
    INVARIANT(member != NULL);
    INVARIANT(member->lease_count > 0);
    group->timed_count -= entry->until_ms != UINT64_MAX;
    member->lease_count--;
    member->bytes -= entry->bytes;
    entry->member = NULL;
    list_remove(&entry->in_leases);
    mind_ready(group, member);
}

static struct entry *find(const struct group *group, const struct group_member *member,
                          uint64_t token) {
    size_t slot = (size_t)(token & (GROUP_LEASES_MAX - 1));
    struct entry *entry = slot < group->slot_count ? group->slots[slot] : NULL;
    bool is_it = entry != NULL && entry->token == token && entry->member == member;
    return is_it ? entry : NULL;
}

enum error_code group_join(struct group *group, struct group_member *member, uint32_t credit,
                           size_t bytes_max, uint64_t lease_ms) {
    INVARIANT(bytes_max > 0);
    if (group->member_count >= GROUP_MEMBERS_MAX) {
        return ERR_FULL;
    }
    *member = (struct group_member){.credit = credit, .bytes_max = bytes_max, .lease_ms = lease_ms};
    list_init(&member->in_ready);
    list_init(&member->leases);
    group->member_count++;
    mind_ready(group, member);
    return OK;
}

void group_leave(struct group *group, struct group_member *member) {
    INVARIANT(group->member_count > 0);
    LIST_EACH(&member->leases, node) {
        struct entry *entry = CONTAINER_OF(node, struct entry, in_leases);
        take_back(group, entry);
        put_waiting(group, entry);
    }
    list_remove(&member->in_ready);
    group->member_count--;
}

void group_set_credit(struct group *group, struct group_member *member, uint32_t credit) {
    member->credit = credit;
    mind_ready(group, member);
}

bool group_acknowledge(struct group *group, struct group_member *member, uint64_t token) {
    struct entry *entry = find(group, member, token);
    if (entry == NULL) {
        return false;
    }
    take_back(group, entry);
    remove_entry(group, entry);
    return true;
}

bool group_reject(struct group *group, struct group_member *member, uint64_t token, bool was_seen) {
    struct entry *entry = find(group, member, token);
    if (entry == NULL) {
        return false;
    }
    take_back(group, entry);
    entry->count -= was_seen ? 0 : 1;
    put_waiting(group, entry);
    return true;
}

size_t group_expire(struct group *group, uint64_t now_ms, uint64_t *ret_next_ms) {
    size_t expired = 0;
    *ret_next_ms = UINT64_MAX;
    for (size_t i = 0; group->timed_count > 0 && i < group->slot_count; i++) {
        struct entry *entry = group->slots[i];
        if (entry == NULL || entry->member == NULL) {
            continue;
        }
        if (entry->until_ms <= now_ms) {
            take_back(group, entry);
            put_waiting(group, entry);
            expired++;
        } else if (entry->until_ms < *ret_next_ms) {
            *ret_next_ms = entry->until_ms;
        }
    }
    return expired;
}

/* --- giving --------------------------------------------------------------------------------- */

static size_t new_room(const struct group *group) {
    return GROUP_LEASES_MAX - entry_count(group);
}

bool group_can_lease(const struct group *group) {
    return !list_is_empty(&group->ready) && (group->waiting.count > 0 || new_room(group) > 0);
}

size_t group_room(const struct group *group, size_t count_max) {
    size_t room = 0;
    size_t most = group->waiting.count + new_room(group);
    most = most < count_max ? most : count_max;
    for (const struct list *node = group->ready.next; node != &group->ready && room < most;
         node = node->next) {
        const struct group_member *member = CONTAINER_OF(node, struct group_member, in_ready);
        room += member->credit - member->lease_count;
    }
    return room < most ? room : most;
}

struct group_member *group_next(const struct group *group) {
    return list_is_empty(&group->ready)
               ? NULL
               : CONTAINER_OF(group->ready.next, struct group_member, in_ready);
}

void group_get_start(const struct group *group, struct place *ret_start) {
    const struct entry *first = first_waiting(group);
    *ret_start = group->place;
    if (first != NULL) {
        ret_start->position = first->position - 1;
        ret_start->channel_id = 0;
        ret_start->offset = 0;
    }
}

enum group_answer group_offer(struct group *group, const struct place *place, size_t bytes,
                              uint64_t now_ms, struct group_lease *ret_lease) {
    struct entry *first = first_waiting(group);
    bool is_new = place->position > group->place.position;
    bool waits = first != NULL && first->position == place->position;
    INVARIANT(first == NULL || first->position >= place->position);
    INVARIANT(!is_new || !waits); /* what waits was read */
    if (!is_new && !waits) {
        return GROUP_KNOWN;
    }
    if (list_is_empty(&group->ready)) {
        return GROUP_NOBODY;
    }
    struct entry *entry = waits ? first : add_entry(group, place->position, place->offset);
    if (entry == NULL) {
        return GROUP_NOBODY;
    }
    heap_remove(&group->waiting, &entry->in_waiting);
    if (is_new) {
        group->place = *place;
    }
    give(group, entry, bytes, now_ms);
    *ret_lease =
        (struct group_lease){.member = entry->member, .token = entry->token, .count = entry->count};
    return GROUP_LEASED;
}

bool group_take_loss(struct group *group, uint64_t position, struct group_loss *ret_loss) {
    struct entry *first = first_waiting(group);
    if (first == NULL || first->position >= position) {
        return false;
    }
    *ret_loss = (struct group_loss){.position = first->position, .offset = first->offset};
    remove_entry(group, first);
    return true;
}

void group_pass(struct group *group, const struct place *place) {
    const struct entry *first = first_waiting(group);
    INVARIANT(first == NULL || first->position > place->position);
    if (place->position >= group->place.position) {
        group->place = *place;
    }
}

/* --- figures and what is stored ------------------------------------------------------------- */

void group_get_figures(const struct group *group, struct group_figures *ret_figures) {
    *ret_figures = (struct group_figures){.members = group->member_count,
                                          .leased = entry_count(group) - group->waiting.count,
                                          .waiting = group->waiting.count};
}

uint64_t group_position_done(const struct group *group) {
    uint64_t done = group->place.position;
    for (size_t i = 0; i < group->slot_count; i++) {
        const struct entry *entry = group->slots[i];
        if (entry != NULL && entry->position <= done) {
            done = entry->position - 1;
        }
    }
    return done;
}

static int compare(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static enum error_code put_entries(const struct group *group, struct buffer *buffer) {
    uint64_t positions[GROUP_LEASES_MAX]; /* 128 KiB, on a worker's stack of 8 MiB */
    size_t count = 0;
    for (size_t i = 0; i < group->slot_count; i++) {
        if (group->slots[i] != NULL) {
            positions[count++] = group->slots[i]->position;
        }
    }
    qsort(positions, count, sizeof(*positions), compare);
    enum error_code code = varint_put(buffer, count);
    uint64_t before = 0;
    for (size_t i = 0; code == OK && i < count; i++) {
        code = varint_put(buffer, positions[i] - before);
        before = positions[i];
    }
    return code;
}

enum error_code group_encode(const struct group *group, struct buffer *buffer) {
    const struct place *place = &group->place;
    const uint64_t numbers[] = {place->log_id,     place->generation, place->position,
                                place->channel_id, place->offset,     group->token_count};
    enum error_code code = OK;
    for (size_t i = 0; code == OK && i < ARRAY_COUNT(numbers); i++) {
        code = varint_put(buffer, numbers[i]);
    }
    return code == OK ? put_entries(group, buffer) : code;
}

static enum error_code take_entries(struct group *group, struct span *rest, uint64_t position_max) {
    uint64_t count = 0;
    uint64_t position = 0;
    if (!varint_take(rest, &count) || count > GROUP_LEASES_MAX) {
        return ERR_CORRUPT;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t step = 0;
        if (!varint_take(rest, &step) || step == 0 || step > position_max - position) {
            return ERR_CORRUPT;
        }
        position += step;
        struct entry *entry = add_entry(group, position, 0);
        if (entry == NULL) {
            return ERR_MEMORY;
        }
        entry->count = 1;
        put_waiting(group, entry);
    }
    return OK;
}

enum error_code group_decode(struct group *group, struct span *rest) {
    uint64_t numbers[6];
    INVARIANT(group->member_count == 0);
    INVARIANT(entry_count(group) == 0);
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        if (!varint_take(rest, &numbers[i])) {
            return ERR_CORRUPT;
        }
    }
    if (numbers[1] > UINT32_MAX || numbers[5] > UINT64_MAX >> (SLOT_BITS + 1)) {
        return ERR_CORRUPT;
    }
    enum error_code code = take_entries(group, rest, numbers[2]);
    if (code != OK) {
        forget_waiting(group);
        return code;
    }
    group->place = (struct place){.log_id = numbers[0],
                                  .generation = (uint32_t)numbers[1],
                                  .position = numbers[2],
                                  .channel_id = numbers[3],
                                  .offset = numbers[4]};
    group->token_count = numbers[5] + TOKENS_SKIPPED;
    return OK;
}
