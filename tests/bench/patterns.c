/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker pays to find out who reads a message, without the reading: a line of JSON for each
 * set of patterns. The sets are chosen so that each cost of the trie dominates once: many that do
 * not match, one that does, a handful, thousands, and a name that walks into thousands of nodes for
 * nothing. Names are taken in a random order from 100,000, so that the tables are not in a cache
 * that a real worker would not have. Time is the thread's own, not the clock's.
 *
 *     patterns [CHANNELS [PATTERNS [ROUNDS]]]
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/channels/feed.h"

#define TEXT_BYTES_MAX 64
#define DENSE_SEGMENTS 13 /* 2^13 patterns, each segment the literal or `*` */
#define OWN_ROOMS 2500    /* those that patterns name */
#define GROUPS 100        /* channels are group/<0 to 99>/room/<number> */

struct set {
    const char *name;
    /* The pattern of a number; `count` numbers there are. */
    void (*put_pattern)(char *text, size_t number);
    void (*put_channel)(char *text, size_t number);
    size_t pattern_count_max;
};

static void put_room(char *text, size_t number) {
    snprintf(text, TEXT_BYTES_MAX, "group/%zu/room/%zu", number % GROUPS, number);
}

static void put_other(char *text, size_t number) {
    snprintf(text, TEXT_BYTES_MAX, "elsewhere/%zu/**", number);
}

static void put_own(char *text, size_t number) {
    snprintf(text, TEXT_BYTES_MAX, number % 2 == 0 ? "group/%zu/room/%zu/**" : "group/%zu/*/%zu",
             number % GROUPS, number);
}

/* A room that has a pattern of its own. */
static void put_own_channel(char *text, size_t number) {
    put_room(text, number % OWN_ROOMS);
}

/* Of ten thousand a few stand for each room: by group, by number, by both. */
static void put_mixed(char *text, size_t number) {
    switch (number % 4) {
    case 0:
        snprintf(text, TEXT_BYTES_MAX, "group/%zu/**", number / 4);
        break;
    case 1:
        snprintf(text, TEXT_BYTES_MAX, "*/%zu/room/*", number / 4);
        break;
    case 2:
        snprintf(text, TEXT_BYTES_MAX, "group/*/*/%zu", number / 4);
        break;
    default:
        snprintf(text, TEXT_BYTES_MAX, "*/*/room/%zu/**", number / 4);
        break;
    }
}

/* "a/a/…", where bit n of the number makes segment n a `*`. */
static void put_dense(char *text, size_t number) {
    for (size_t index = 0; index < DENSE_SEGMENTS; index++) {
        *text++ = (number >> index & 1) != 0 ? '*' : 'a';
        *text++ = index + 1 < DENSE_SEGMENTS ? '/' : '\0';
    }
}

static void put_dense_channel(char *text, size_t number) {
    (void)number;
    put_dense(text, 0);
}

/* The same, and the last segment is another one. */
static void put_in_vain(char *text, size_t number) {
    put_dense(text, number);
    text[2 * DENSE_SEGMENTS - 2] = 'b';
}

static const struct set sets[] = {
    {"none", put_other, put_room, SIZE_MAX},
    {"one", put_own, put_own_channel, SIZE_MAX},
    {"several", put_mixed, put_own_channel, SIZE_MAX},
    {"thousands", put_dense, put_dense_channel, 1 << DENSE_SEGMENTS},
    {"in_vain", put_in_vain, put_dense_channel, 1 << (DENSE_SEGMENTS - 1)},
};

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void *need(void *memory) {
    if (memory == NULL) {
        fprintf(stderr, "patterns: no memory\n");
        exit(1);
    }
    return memory;
}

static struct feed *add_feed(struct feeds *feeds, const char *text, bool is_pattern) {
    struct storage_selector selector = {.text = span_of_string(text), .is_pattern = is_pattern};
    return need(feeds_get(feeds, &selector));
}

static void count_match(void *context, struct trie_leaf *leaf) {
    (void)leaf;
    (*(uint64_t *)context)++;
}

/* Fisher and Yates, with a generator whose numbers are the same each time. */
static void shuffle(uint32_t *order, size_t count) {
    uint64_t state = 20120129;
    for (size_t index = 0; index < count; index++) {
        order[index] = (uint32_t)index;
    }
    for (size_t index = count - 1; index > 0; index--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        size_t other = (size_t)(state >> 33) % (index + 1);
        uint32_t kept = order[index];
        order[index] = order[other];
        order[other] = kept;
    }
}

/* Asks for the channel of each name; gives how many were found. */
static uint64_t ask_channels(const struct feeds *feeds, char (*names)[TEXT_BYTES_MAX],
                             const uint32_t *order, size_t count) {
    uint64_t found = 0;
    for (size_t index = 0; index < count; index++) {
        struct storage_selector selector = {.text = span_of_string(names[order[index]])};
        found += feeds_find(feeds, &selector) != NULL;
    }
    return found;
}

/* Asks for the patterns of each name; gives how many stand for it. */
static uint64_t ask_patterns(const struct feeds *feeds, char (*names)[TEXT_BYTES_MAX],
                             const uint32_t *order, size_t count) {
    uint64_t matches = 0;
    for (size_t index = 0; index < count; index++) {
        trie_match(&feeds->patterns, span_of_string(names[order[index]]), count_match, &matches);
    }
    return matches;
}

typedef uint64_t ask_function(const struct feeds *feeds, char (*names)[TEXT_BYTES_MAX],
                              const uint32_t *order, size_t count);

/* Nanoseconds a name, the best of the rounds: what disturbs the machine disturbs the others. */
static double measure(ask_function *ask, const struct feeds *feeds, char (*names)[TEXT_BYTES_MAX],
                      const uint32_t *order, size_t count, size_t rounds, double *ret_answers) {
    double best = 1e18;
    for (size_t round = 0; round < rounds; round++) {
        uint64_t begin = now_ns();
        *ret_answers = (double)ask(feeds, names, order, count) / (double)count;
        double spent = (double)(now_ns() - begin) / (double)count;
        best = spent < best ? spent : best;
    }
    return best;
}

static void run(const struct set *set, size_t channel_count, size_t pattern_count, size_t rounds) {
    struct feeds feeds;
    char text[TEXT_BYTES_MAX];
    if (pattern_count > set->pattern_count_max) {
        pattern_count = set->pattern_count_max;
    }
    struct feed **all = need(calloc(channel_count + pattern_count, sizeof(struct feed *)));
    char(*names)[TEXT_BYTES_MAX] = need(calloc(channel_count, sizeof(*names)));
    uint32_t *order = need(calloc(channel_count, sizeof(*order)));
    need(feeds_init(&feeds, 0) == OK ? &feeds : NULL);
    size_t before = mallinfo2().uordblks;
    for (size_t index = 0; index < channel_count; index++) {
        put_room(text, index);
        all[index] = add_feed(&feeds, text, false);
        set->put_channel(names[index], index);
    }
    size_t channels_bytes = mallinfo2().uordblks - before;
    for (size_t index = 0; index < pattern_count; index++) {
        set->put_pattern(text, index);
        all[channel_count + index] = add_feed(&feeds, text, true);
    }
    size_t patterns_bytes = mallinfo2().uordblks - before - channels_bytes;
    shuffle(order, channel_count);
    size_t asked = set->pattern_count_max == SIZE_MAX ? channel_count : channel_count / 100;
    double found = 0;
    double matches = 0;
    double channel_ns = measure(ask_channels, &feeds, names, order, asked, rounds, &found);
    double patterns_ns = measure(ask_patterns, &feeds, names, order, asked, rounds, &matches);
    printf("{\"set\":\"%s\",\"channels\":%zu,\"patterns\":%zu,\"channel_ns\":%.0f,"
           "\"patterns_ns\":%.0f,\"matches\":%.2f,\"ns_per_match\":%.0f,"
           "\"bytes_per_channel\":%.0f,\"bytes_per_pattern\":%.0f}\n",
           set->name, channel_count, pattern_count, channel_ns, patterns_ns, matches,
           patterns_ns / (matches < 1 ? 1 : matches),
           (double)channels_bytes / (double)channel_count,
           (double)patterns_bytes / (double)pattern_count);
    fflush(stdout);
    for (size_t index = 0; index < channel_count + pattern_count; index++) {
        feed_release(all[index]);
    }
    feeds_finish(&feeds);
    free(order);
    free(names);
    free(all);
}

int main(int argument_count, char **arguments) {
    size_t channels = argument_count > 1 ? strtoul(arguments[1], NULL, 10) : 100000;
    size_t patterns = argument_count > 2 ? strtoul(arguments[2], NULL, 10) : 10000;
    size_t rounds = argument_count > 3 ? strtoul(arguments[3], NULL, 10) : 20;
    if (channels < 100 || patterns < 1 || rounds < 1) {
        fprintf(stderr, "usage: patterns [CHANNELS, 100 at least [PATTERNS [ROUNDS]]]\n");
        return 2;
    }
    for (size_t index = 0; index < sizeof(sets) / sizeof(sets[0]); index++) {
        run(&sets[index], channels, patterns, rounds);
    }
    return 0;
}
