/* SPDX-License-Identifier: Apache-2.0 */
/* Why no wake-up is lost: the consumer sets is_sleeping and then looks at the stack; a producer
 * pushes and then looks at is_sleeping. Both are sequentially consistent, so at least one of the
 * two sees the other. A producer that clears is_sleeping owns the write to the eventfd: one write a
 * sleep, however many letters come. The look may come later than the push: until then the letter
 * lies, and the consumer may find it or not. */
#include "broker/support/mailbox.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "broker/support/invariant.h"

enum error_code mailbox_init(struct mailbox *mailbox, uint32_t letters_max) {
    int event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (event_fd < 0) {
        return ERR_IO;
    }
    *mailbox = (struct mailbox){.letters_max = letters_max, .event_fd = event_fd};
    return OK;
}

void mailbox_finish(struct mailbox *mailbox) {
    close(mailbox->event_fd);
    mailbox->event_fd = -1;
}

static bool is_full(const struct mailbox *mailbox) {
    /* The count may be passed by as many letters as there are producers: a bound, not a law. */
    return atomic_load_explicit(&mailbox->letter_count, memory_order_relaxed) >=
           mailbox->letters_max;
}

static void push(struct mailbox *mailbox, struct letter *letter) {
    INVARIANT(letter->on_delivered != NULL);
    atomic_fetch_add_explicit(&mailbox->letter_count, 1, memory_order_relaxed);
    struct letter *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
    do {
        letter->next = newest;
    } while (!atomic_compare_exchange_weak(&mailbox->newest, &newest, letter));
}

static void wake_sleeping(struct mailbox *mailbox) {
    bool was_sleeping = true;
    if (atomic_load(&mailbox->is_sleeping) &&
        atomic_compare_exchange_strong(&mailbox->is_sleeping, &was_sleeping, false)) {
        uint64_t one = 1;
        IGNORE_RESULT(write(mailbox->event_fd, &one, sizeof(one)) < 0); /* full means: awake */
    }
}

void mailbox_put_answer(struct mailbox *mailbox, struct letter *letter) {
    push(mailbox, letter);
    wake_sleeping(mailbox);
}

enum error_code mailbox_put(struct mailbox *mailbox, struct letter *letter) {
    if (is_full(mailbox)) {
        return ERR_BUSY;
    }
    mailbox_put_answer(mailbox, letter);
    return OK;
}

void mailbox_put_answer_quietly(struct mailbox *mailbox, struct letter *letter) {
    push(mailbox, letter);
}

enum error_code mailbox_put_quietly(struct mailbox *mailbox, struct letter *letter) {
    if (is_full(mailbox)) {
        return ERR_BUSY;
    }
    push(mailbox, letter);
    return OK;
}

void mailbox_nudge(struct mailbox *mailbox) {
    if (atomic_load(&mailbox->newest) != NULL) {
        wake_sleeping(mailbox);
    }
}

bool mailbox_is_empty(const struct mailbox *mailbox) {
    return atomic_load(&mailbox->newest) == NULL;
}

static struct letter *take_all(struct mailbox *mailbox) {
    struct letter *newest = atomic_exchange(&mailbox->newest, NULL);
    struct letter *oldest = NULL;
    while (newest != NULL) {
        struct letter *older = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = older;
    }
    return oldest;
}

uint32_t mailbox_deliver_all(struct mailbox *mailbox, void *consumer) {
    uint32_t count = 0;
    struct letter *letter = take_all(mailbox);
    while (letter != NULL) {
        struct letter *next = letter->next; /* the letter may be freed by its delivery */
        letter->on_delivered(letter, consumer);
        letter = next;
        count++;
    }
    atomic_fetch_sub_explicit(&mailbox->letter_count, count, memory_order_relaxed);
    return count;
}

bool mailbox_sleep(struct mailbox *mailbox) {
    atomic_store(&mailbox->is_sleeping, true);
    if (atomic_load(&mailbox->newest) == NULL) {
        return true;
    }
    atomic_store(&mailbox->is_sleeping, false);
    return false;
}

void mailbox_wake(struct mailbox *mailbox) {
    uint64_t count;
    atomic_store(&mailbox->is_sleeping, false);
    IGNORE_RESULT(read(mailbox->event_fd, &count, sizeof(count)) < 0); /* empty is as good */
}

void mailbox_wait(struct mailbox *mailbox, int timeout_ms) {
    if (!mailbox_sleep(mailbox)) {
        return;
    }
    struct pollfd wanted = {.fd = mailbox->event_fd, .events = POLLIN};
    IGNORE_RESULT(poll(&wanted, 1, timeout_ms) < 0); /* a signal only ends the wait early */
    mailbox_wake(mailbox);
}
