/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/mailbox.h"

#include <pthread.h>
#include <unistd.h>

#include "tests/unit.h"

enum { PRODUCERS = 4, LETTERS = 5000 };

struct numbered {
    struct letter letter;
    unsigned producer;
    unsigned number;
};

struct seen {
    unsigned next[PRODUCERS];
    unsigned count;
    bool is_in_order;
};

struct producer {
    struct mailbox *mailbox;
    struct numbered letters[LETTERS];
    unsigned index;
};

static void note(struct letter *letter, void *consumer) {
    struct numbered *numbered = CONTAINER_OF(letter, struct numbered, letter);
    struct seen *seen = consumer;
    seen->is_in_order &= seen->next[numbered->producer] == numbered->number;
    seen->next[numbered->producer] = numbered->number + 1;
    seen->count++;
}

TEST(letters_arrive_in_the_order_they_were_put) {
    struct mailbox mailbox;
    struct numbered letters[3];
    struct seen seen = {.is_in_order = true};
    EXPECT_EQ(mailbox_init(&mailbox, 10), OK);
    for (unsigned i = 0; i < 3; i++) {
        letters[i] = (struct numbered){.letter.on_delivered = note, .number = i};
        EXPECT_EQ(mailbox_put(&mailbox, &letters[i].letter), OK);
    }
    EXPECT_EQ(mailbox_deliver_all(&mailbox, &seen), 3);
    EXPECT_TRUE(seen.is_in_order);
    EXPECT_EQ(mailbox_deliver_all(&mailbox, &seen), 0);
    mailbox_finish(&mailbox);
}

TEST(a_full_mailbox_refuses_but_takes_answers) {
    struct mailbox mailbox;
    struct numbered letters[4] = {0};
    struct seen seen = {0};
    EXPECT_EQ(mailbox_init(&mailbox, 2), OK);
    for (unsigned i = 0; i < 4; i++) {
        letters[i].letter.on_delivered = note;
    }
    EXPECT_EQ(mailbox_put(&mailbox, &letters[0].letter), OK);
    EXPECT_EQ(mailbox_put(&mailbox, &letters[1].letter), OK);
    EXPECT_EQ(mailbox_put(&mailbox, &letters[2].letter), ERR_BUSY);
    mailbox_put_answer(&mailbox, &letters[3].letter);
    EXPECT_EQ(mailbox_deliver_all(&mailbox, &seen), 3);
    EXPECT_EQ(mailbox_put(&mailbox, &letters[2].letter), OK);
    EXPECT_EQ(mailbox_deliver_all(&mailbox, &seen), 1);
    mailbox_finish(&mailbox);
}

TEST(nobody_goes_to_sleep_on_a_letter) {
    struct mailbox mailbox;
    struct numbered letter = {.letter.on_delivered = note};
    struct seen seen = {0};
    EXPECT_EQ(mailbox_init(&mailbox, 10), OK);
    EXPECT_EQ(mailbox_put(&mailbox, &letter.letter), OK);
    EXPECT_FALSE(mailbox_is_empty(&mailbox));
    EXPECT_FALSE(mailbox_sleep(&mailbox));
    EXPECT_EQ(mailbox_deliver_all(&mailbox, &seen), 1);
    EXPECT_TRUE(mailbox_is_empty(&mailbox));
    EXPECT_TRUE(mailbox_sleep(&mailbox));
    mailbox_wake(&mailbox);
    mailbox_finish(&mailbox);
}

TEST(letters_that_are_put_quietly_wake_with_one_nudge) {
    struct mailbox mailbox;
    struct numbered letters[2] = {{.letter.on_delivered = note}, {.letter.on_delivered = note}};
    struct seen seen = {0};
    uint64_t woken = 0;
    EXPECT_EQ(mailbox_init(&mailbox, 1), OK);
    EXPECT_TRUE(mailbox_sleep(&mailbox));
    mailbox_nudge(&mailbox); /* nothing is there to wake for */
    EXPECT_EQ(mailbox_put_quietly(&mailbox, &letters[0].letter), OK);
    EXPECT_EQ(mailbox_put_quietly(&mailbox, &letters[1].letter), ERR_BUSY);
    mailbox_put_answer_quietly(&mailbox, &letters[1].letter);
    EXPECT_EQ(read(mailbox.event_fd, &woken, sizeof(woken)), -1);
    mailbox_nudge(&mailbox);
    mailbox_nudge(&mailbox);
    EXPECT_EQ(read(mailbox.event_fd, &woken, sizeof(woken)), sizeof(woken));
    EXPECT_EQ(woken, 1);
    EXPECT_EQ(mailbox_deliver_all(&mailbox, &seen), 2);
    mailbox_finish(&mailbox);
}

static void *produce(void *context) {
    struct producer *producer = context;
    for (unsigned i = 0; i < LETTERS; i++) {
        struct numbered *numbered = &producer->letters[i];
        *numbered = (struct numbered){
            .letter.on_delivered = note, .producer = producer->index, .number = i};
        while (mailbox_put(producer->mailbox, &numbered->letter) != OK) {
            usleep(100);
        }
    }
    return NULL;
}

TEST(each_producer_keeps_its_order_and_no_letter_is_lost) {
    static struct producer producers[PRODUCERS];
    pthread_t threads[PRODUCERS];
    struct mailbox mailbox;
    struct seen seen = {.is_in_order = true};
    EXPECT_EQ(mailbox_init(&mailbox, 1000), OK);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        producers[i].mailbox = &mailbox;
        producers[i].index = i;
        EXPECT_EQ(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    unsigned empty_rounds = 0;
    while (seen.count < PRODUCERS * LETTERS && empty_rounds < 1000) {
        mailbox_wait(&mailbox, 1000);
        empty_rounds += mailbox_deliver_all(&mailbox, &seen) == 0;
    }
    for (unsigned i = 0; i < PRODUCERS; i++) {
        pthread_join(threads[i], NULL);
    }
    EXPECT_EQ(seen.count, PRODUCERS * LETTERS);
    EXPECT_TRUE(seen.is_in_order);
    mailbox_finish(&mailbox);
}

UNIT_TESTS(UNIT(letters_arrive_in_the_order_they_were_put),
           UNIT(a_full_mailbox_refuses_but_takes_answers), UNIT(nobody_goes_to_sleep_on_a_letter),
           UNIT(letters_that_are_put_quietly_wake_with_one_nudge),
           UNIT(each_producer_keeps_its_order_and_no_letter_is_lost))
