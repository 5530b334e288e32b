/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/tickets.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "broker/limits.h"
#include "broker/support/base64.h"
#include "broker/support/invariant.h"
#include "broker/support/list.h"
#include "broker/support/map.h"

static_assert(TICKET_TEXT_BYTES == BASE64_URL_TEXT_BYTES(TICKET_BYTES) + 1, "and a NUL");

/* Who has tickets: all identities of one hash, as of one subject with several tokens. */
struct holder {
    struct map_node node;
    size_t ticket_count; /* at least one */
    uint8_t hash[IDENTITY_HASH_BYTES];
};

struct ticket {
    struct map_node node;
    struct list in_order; /* of issue, and so of their ends */
    struct identity *identity;
    struct holder *holder; /* NULL: everyone, who is no one in particular */
    uint64_t until_ms;
    uint8_t bytes[TICKET_BYTES];
};

struct tickets {
    pthread_mutex_t lock;
    struct map by_bytes;
    struct map holders;
    struct list order;
};

struct tickets *tickets_create(void) {
    struct tickets *tickets = calloc(1, sizeof(*tickets));
    if (tickets == NULL || map_init(&tickets->by_bytes) != OK) {
        free(tickets);
        return NULL;
    }
    if (map_init(&tickets->holders) != OK) {
        map_finish(&tickets->by_bytes);
        free(tickets);
        return NULL;
    }
    pthread_mutex_init(&tickets->lock, NULL);
    list_init(&tickets->order);
    return tickets;
}

static void let_go(struct tickets *tickets, struct holder *holder) {
    if (holder != NULL && --holder->ticket_count == 0) {
        map_remove(&tickets->holders, &holder->node);
        free(holder);
    }
}

/* Takes it out; its identity is the caller's. */
static struct identity *take(struct tickets *tickets, struct ticket *ticket) {
    struct identity *identity = ticket->identity;
    map_remove(&tickets->by_bytes, &ticket->node);
    list_remove(&ticket->in_order);
    let_go(tickets, ticket->holder);
    free(ticket);
    return identity;
}

static struct ticket *oldest(struct tickets *tickets) {
    return list_is_empty(&tickets->order)
               ? NULL
               : CONTAINER_OF(tickets->order.next, struct ticket, in_order);
}

void tickets_destroy(struct tickets *tickets) {
    if (tickets != NULL) {
        for (struct ticket *ticket = oldest(tickets); ticket != NULL; ticket = oldest(tickets)) {
            identity_unref(take(tickets, ticket));
        }
        map_finish(&tickets->by_bytes);
        map_finish(&tickets->holders);
        pthread_mutex_destroy(&tickets->lock);
        free(tickets);
    }
}

static void expire(struct tickets *tickets, uint64_t now_ms) {
    for (struct ticket *ticket = oldest(tickets); ticket != NULL && now_ms >= ticket->until_ms;
         ticket = oldest(tickets)) {
        identity_unref(take(tickets, ticket));
    }
}

/* One more ticket of whoever has that hash. */
static enum error_code hold(struct tickets *tickets, const struct identity *identity,
                            struct holder **ret_holder) {
    uint8_t hash[IDENTITY_HASH_BYTES];
    if (identity->facts.kind == IDENTITY_EVERYONE) {
        return OK;
    }
    identity_hash(identity, hash);
    struct map_node *node = map_find(&tickets->holders, span_of(hash, sizeof(hash)));
    struct holder *holder = node == NULL ? NULL : CONTAINER_OF(node, struct holder, node);
    if (holder != NULL && holder->ticket_count >= TICKETS_HELD_MAX) {
        return ERR_RATE;
    }
    if (holder == NULL) {
        holder = calloc(1, sizeof(*holder));
        if (holder == NULL) {
            return ERR_MEMORY;
        }
        memcpy(holder->hash, hash, sizeof(hash));
        map_put(&tickets->holders, &holder->node, span_of(holder->hash, sizeof(hash)));
    }
    holder->ticket_count++;
    *ret_holder = holder;
    return OK;
}

static enum error_code put(struct tickets *tickets, struct ticket *ticket, uint64_t now_ms) {
    pthread_mutex_lock(&tickets->lock);
    expire(tickets, now_ms);
    bool has_room = map_count(&tickets->by_bytes) < TICKETS_MAX;
    enum error_code code = has_room ? hold(tickets, ticket->identity, &ticket->holder) : ERR_FULL;
    if (code == OK) {
        map_put(&tickets->by_bytes, &ticket->node, span_of(ticket->bytes, TICKET_BYTES));
        list_put_tail(&tickets->order, &ticket->in_order);
    }
    pthread_mutex_unlock(&tickets->lock);
    return code;
}

enum error_code tickets_issue(struct tickets *tickets, struct identity *identity, uint64_t now_ms,
                              char ret_text[TICKET_TEXT_BYTES]) {
    struct ticket *ticket = calloc(1, sizeof(*ticket));
    if (ticket == NULL) {
        return ERR_MEMORY;
    }
    if (getrandom(ticket->bytes, TICKET_BYTES, 0) != TICKET_BYTES) {
        free(ticket);
        return ERR_INTERNAL;
    }
    ticket->identity = identity_ref(identity);
    ticket->until_ms = now_ms + TICKET_AGE_MS;
    size_t length = base64_url_encode(span_of(ticket->bytes, TICKET_BYTES), ret_text);
    INVARIANT(length + 1 == TICKET_TEXT_BYTES);
    ret_text[length] = '\0';
    enum error_code code = put(tickets, ticket, now_ms);
    if (code != OK) {
        identity_unref(ticket->identity);
        free(ticket);
    }
    return code;
}

struct identity *tickets_redeem(struct tickets *tickets, struct span text, uint64_t now_ms) {
    uint8_t bytes[TICKET_BYTES];
    size_t length = 0;
    if (text.length + 1 != TICKET_TEXT_BYTES || base64_url_decode(text, bytes, &length) != OK) {
        return NULL;
    }
    pthread_mutex_lock(&tickets->lock);
    expire(tickets, now_ms);
    struct map_node *node = map_find(&tickets->by_bytes, span_of(bytes, length));
    struct identity *identity =
        node == NULL ? NULL : take(tickets, CONTAINER_OF(node, struct ticket, node));
    pthread_mutex_unlock(&tickets->lock);
    return identity;
}

size_t tickets_count(struct tickets *tickets) {
    pthread_mutex_lock(&tickets->lock);
    size_t count = map_count(&tickets->by_bytes);
    pthread_mutex_unlock(&tickets->lock);
    return count;
}
