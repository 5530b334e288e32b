/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/outlet.h"

#include <stdio.h>
#include <sys/epoll.h>

#include "clients/bench/moment.h"

/* --- its connection -------------------------------------------------------------------------- */

static void lose(struct outlet *outlet, const char *why) {
    troubles_note(&outlet->common->troubles, why, 1);
    bool was_open = outlet->link.state == LINK_OPEN;
    link_close(&outlet->link);
    for (size_t index = 0; index < outlet->flight.count; index++) {
        outlet->common->under_way -= ring_at(&outlet->flight, index)->count;
    }
    ring_drop(&outlet->flight, outlet->flight.count);
    bool is_at_once = was_open && outlet->is_proven;
    outlet->is_settled = true;
    outlet->is_proven = false;
    outlet->retry_ns = moment_now_ns() + (was_open ? 0 : OUTLET_RETRY_NS);
    /* Some servers end a connection after so many requests. Where one ends it before the first, the
     * next would be in vain, too, and waits for its turn. */
    if (is_at_once) {
        outlet_connect(outlet, moment_now_ns());
    }
}

void outlet_connect(struct outlet *outlet, uint64_t now_ns) {
    const char *why = link_connect(&outlet->link, outlet->common->target, outlet->index, 0, now_ns);
    if (why != NULL) {
        lose(outlet, why);
    }
}

/* --- out ------------------------------------------------------------------------------------- */

bool outlet_has_room(const struct outlet *outlet) {
    return outlet->link.state == LINK_OPEN && !outlet->link.talk.is_ending &&
           outlet->link.output.length < OUTLET_OUTPUT_BYTES_MAX &&
           outlet->flight.count < OUTLET_FLIGHT_MAX;
}

void outlet_put_due(struct outlet *outlet, struct ring_entry entry) {
    ring_put(&outlet->due, entry);
    outlet->common->waiting++;
}

/* How many entries the next publish takes; 0: there are not enough yet. */
static size_t entries_of_next(const struct outlet *outlet) {
    const struct outlet_common *common = outlet->common;
    size_t wanted = common->is_mixed ? common->composer.batch : 1;
    if (outlet->due.count >= wanted) {
        return wanted;
    }
    return common->is_sending_rest ? outlet->due.count : 0;
}

/* All messages of a publish are due when its last one is. */
static void put_next(struct outlet *outlet, size_t entries) {
    struct outlet_common *common = outlet->common;
    struct composer *composer = &common->composer;
    uint64_t due_ns = ring_at(&outlet->due, entries - 1)->due_ns;
    uint32_t count = 0;
    for (size_t index = 0; index < entries; index++) {
        const struct ring_entry *entry = ring_at(&outlet->due, index);
        for (uint32_t message = 0; message < entry->count; message++) {
            composer_make(composer, count++, entry->channel, outlet->lane, due_ns);
        }
    }
    ring_drop(&outlet->due, entries);
    common->waiting -= entries;
    struct link *link = &outlet->link;
    link->protocol->put_publish(&link->talk, composer->messages, count, &link->output);
    if (link->protocol->is_answered) {
        ring_put(&outlet->flight, (struct ring_entry){.due_ns = due_ns, .count = count});
        common->under_way += count;
    }
}

bool outlet_is_ready(const struct outlet *outlet) {
    return outlet_has_room(outlet) && entries_of_next(outlet) > 0;
}

void outlet_pump(struct outlet *outlet) {
    size_t entries;
    bool is_put = false;
    while (outlet_has_room(outlet) && (entries = entries_of_next(outlet)) > 0) {
        put_next(outlet, entries);
        is_put = true;
    }
    if (is_put) {
        outlet->common->last_ns = moment_now_ns();
    }
    /* A greeting of several steps, too, and what is said in return to a ping. */
    bool is_connected = outlet->link.state == LINK_GREETING || outlet->link.state == LINK_OPEN;
    bool is_left = is_connected && outlet->link.output.length > 0;
    const char *why = is_left ? link_flush(&outlet->link) : NULL;
    if (why != NULL) {
        lose(outlet, why);
    }
}

/* --- in -------------------------------------------------------------------------------------- */

/* What the server says of the first refusal, in a line. */
static void note_refusal(struct outlet_common *common, const struct protocol_unit *unit) {
    if (common->refusal[0] != '\0') {
        return;
    }
    bool is_told = unit->payload_length > 0;
    snprintf(common->refusal, sizeof(common->refusal), "%s%s%.*s",
             unit->why == NULL ? "it was not told why" : unit->why, is_told ? ": " : "",
             is_told ? (int)unit->payload_length : 0, is_told ? (const char *)unit->payload : "");
    for (char *letter = common->refusal; *letter != '\0'; letter++) {
        bool is_control = (unsigned char)*letter < ' ' || *letter == 0x7f;
        *letter = is_control ? ' ' : *letter;
    }
}

static void take_answers(struct outlet *outlet, const struct protocol_unit *unit, uint64_t now_ns) {
    struct outlet_common *common = outlet->common;
    outlet->is_proven = true;
    for (uint32_t index = 0; index < unit->count && outlet->flight.count > 0; index++) {
        struct ring_entry entry = *ring_at(&outlet->flight, 0);
        ring_drop(&outlet->flight, 1);
        common->under_way -= entry.count;
        if (entry.due_ns < common->from_ns) {
            continue; /* of a stage that is over, where it counts as unanswered */
        }
        if (unit->is_refused) {
            common->refused += entry.count;
            note_refusal(common, unit);
            continue;
        }
        common->answered += entry.count;
        histogram_add(common->answer, now_ns > entry.due_ns ? now_ns - entry.due_ns : 0);
    }
}

static void open_up(struct outlet *outlet) {
    outlet->link.talk.is_open = true;
    outlet->link.state = LINK_OPEN;
    outlet->is_settled = true;
}

static void take_all(struct outlet *outlet, struct link_input input) {
    struct link *link = &outlet->link;
    uint64_t now_ns = moment_now_ns();
    size_t used = 0;
    struct protocol_unit unit;
    enum protocol_told told;
    while ((told = link_take(link, input, &used, &unit)) != PROTOCOL_MORE) {
        if (told == PROTOCOL_REFUSED) {
            (void)link_flush(link);      /* what a close is answered with; it ends either way */
            link->state = LINK_GREETING; /* not to be tried again at once */
            lose(outlet, unit.why);
            return;
        }
        if (told == PROTOCOL_ANSWER) {
            take_answers(outlet, &unit, now_ns);
        } else if (told == PROTOCOL_READY) {
            open_up(outlet);
        }
    }
    link_keep(link, input, used);
}

void outlet_on_event(struct outlet *outlet, uint32_t events, uint8_t *buffer) {
    struct link *link = &outlet->link;
    if (link->state == LINK_CLOSED) {
        return;
    }
    if ((events & EPOLLOUT) != 0 || link->state == LINK_CONNECTING) {
        const char *why = link_continue(link);
        if (why != NULL) {
            lose(outlet, why);
            return;
        }
        if (link->talk.is_open && link->state == LINK_GREETING) {
            open_up(outlet); /* a protocol without a hello */
        }
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) {
        return;
    }
    do {
        struct link_input input;
        enum link_result result = link_read(link, buffer, LINK_READ_BYTES, &input);
        if (result == LINK_ENDED) {
            lose(outlet, "the server closed the connection");
        } else if (result == LINK_GOT) {
            take_all(outlet, input);
        }
    } while (link_has_more(link));
}

/* --- its end --------------------------------------------------------------------------------- */

void outlet_give_up(struct outlet *outlet) {
    outlet->common->waiting -= outlet->due.count;
    ring_drop(&outlet->due, outlet->due.count);
}

void outlet_finish(struct outlet *outlet) {
    link_finish(&outlet->link);
    ring_finish(&outlet->due);
    ring_finish(&outlet->flight);
}
