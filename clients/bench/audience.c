/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/audience.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/bench/fail.h"

#define NUMBER_MARK "{n}"
#define NUMBER_DIGITS_MAX 20

/* Texts one behind the other, with a pointer to each. */
struct names {
    char *text;
    const char **all; /* twice as many, so that a row that wraps around is one array */
    uint32_t count;
};

/* The channels that one pattern matches. */
struct matches {
    uint32_t *channels;
    uint32_t count;
};

struct audience {
    struct names names;
    struct names patterns;
    struct matches *matches; /* of each pattern; NULL: there are no patterns */
    uint64_t *readers;       /* of each channel */
    uint32_t subscriptions;
};

/* --- names ---------------------------------------------------------------------------------- */

static void names_fill(struct names *names, const char *form, uint32_t count) {
    const char *mark = strstr(form, NUMBER_MARK);
    size_t form_length = strlen(form);
    size_t size = form_length + NUMBER_DIGITS_MAX + 1;
    size_t before = mark != NULL ? (size_t)(mark - form) : form_length;
    const char *behind = mark != NULL ? mark + sizeof(NUMBER_MARK) - 1 : "";
    names->count = count;
    names->text = bench_need(count, size);
    names->all = bench_need((size_t)count * 2, sizeof(names->all[0]));
    for (uint32_t index = 0; index < count; index++) {
        char *text = names->text + (size_t)index * size;
        if (mark == NULL) {
            memcpy(text, form, form_length + 1);
        } else {
            snprintf(text, size, "%.*s%" PRIu32 "%s", (int)before, form, index, behind);
        }
        names->all[index] = names->all[count + index] = text;
    }
}

static void names_finish(struct names *names) {
    free(names->text);
    free(names->all);
}

/* --- patterns ------------------------------------------------------------------------------- */

static bool is_separator(char byte) {
    return byte == '/' || byte == '.';
}

static size_t segment_length(const char *text) {
    size_t length = 0;
    while (text[length] != '\0' && !is_separator(text[length])) {
        length++;
    }
    return length;
}

static bool segment_is(const char *segment, size_t length, const char *either, const char *other) {
    return (length == strlen(either) && memcmp(segment, either, length) == 0) ||
           (length == strlen(other) && memcmp(segment, other, length) == 0);
}

bool audience_matches(const char *pattern, const char *name) {
    for (;;) {
        size_t wanted = segment_length(pattern);
        if (segment_is(pattern, wanted, "**", "#") || segment_is(pattern, wanted, ">", ">")) {
            return true;
        }
        size_t given = segment_length(name);
        bool is_any = segment_is(pattern, wanted, "*", "+");
        if (!is_any && (wanted != given || memcmp(pattern, name, given) != 0)) {
            return false;
        }
        pattern += wanted;
        name += given;
        if (*name == '\0') {
            /* What ends with two stars matches the name before them, too. */
            return *pattern == '\0' || strcmp(pattern, "/**") == 0 || strcmp(pattern, "/#") == 0;
        }
        if (*pattern != *name) {
            return false;
        }
        pattern++;
        name++;
    }
}

static void matches_fill(const struct audience *audience, const char *pattern,
                         struct matches *matches) {
    uint32_t room = 0;
    for (uint32_t channel = 0; channel < audience->names.count; channel++) {
        if (!audience_matches(pattern, audience->names.all[channel])) {
            continue;
        }
        if (matches->count == room) {
            room = room == 0 ? 4 : room * 2;
            matches->channels = realloc(matches->channels, room * sizeof(uint32_t));
            if (matches->channels == NULL) {
                bench_fail("out of memory");
            }
        }
        matches->channels[matches->count++] = channel;
    }
}

static uint32_t matches_slot(const struct matches *matches, uint32_t channel, uint32_t hint) {
    if (hint < matches->count && matches->channels[hint] == channel) {
        return hint;
    }
    uint32_t from = 0;
    uint32_t end = matches->count;
    while (from < end) {
        uint32_t middle = from + (end - from) / 2;
        if (matches->channels[middle] < channel) {
            from = middle + 1;
        } else {
            end = middle;
        }
    }
    return from < matches->count && matches->channels[from] == channel ? from : AUDIENCE_NONE;
}

/* Which of the patterns a reader has. */
static uint32_t pattern_of(const struct audience *audience, uint32_t reader) {
    return reader % audience->patterns.count;
}

static bool fill_patterns(struct audience *audience, const struct settings *settings) {
    bool is_one = strstr(settings->pattern, NUMBER_MARK) == NULL;
    uint32_t count = is_one ? 1 : audience->names.count;
    if (!is_one && settings->readers < count) {
        count = settings->readers > 0 ? (uint32_t)settings->readers : 1;
    }
    if ((uint64_t)count * audience->names.count > AUDIENCE_MATCHES_MAX) {
        fprintf(stderr,
                "tidings: bench: %" PRIu32 " patterns times %" PRIu32
                " channels are too many to know what each reader must get\n",
                count, audience->names.count);
        return false;
    }
    names_fill(&audience->patterns, settings->pattern, count);
    audience->matches = bench_need(count, sizeof(audience->matches[0]));
    for (uint32_t index = 0; index < count; index++) {
        matches_fill(audience, audience->patterns.all[index], &audience->matches[index]);
    }
    return true;
}

/* --- readers -------------------------------------------------------------------------------- */

static void count_readers(struct audience *audience, uint64_t readers) {
    uint32_t channels = audience->names.count;
    audience->readers = bench_need(channels, sizeof(audience->readers[0]));
    if (audience->matches == NULL) {
        /* Each takes the next ones: whole rounds, and a rest. */
        uint64_t all = readers * audience->subscriptions;
        for (uint32_t channel = 0; channel < channels; channel++) {
            audience->readers[channel] = all / channels + (channel < all % channels ? 1 : 0);
        }
        return;
    }
    for (uint32_t pattern = 0; pattern < audience->patterns.count; pattern++) {
        uint64_t each = readers / audience->patterns.count +
                        (pattern < readers % audience->patterns.count ? 1 : 0);
        const struct matches *matches = &audience->matches[pattern];
        for (uint32_t index = 0; index < matches->count; index++) {
            audience->readers[matches->channels[index]] += each;
        }
    }
}

struct audience *audience_create(const struct settings *settings) {
    struct audience *audience = bench_need(1, sizeof(*audience));
    uint32_t channels = settings->channels > 0 ? (uint32_t)settings->channels : 1;
    bool is_numbered = strstr(settings->channel, NUMBER_MARK) != NULL;
    if (!is_numbered && channels > 1) {
        fprintf(stderr, "tidings: bench: %" PRIu32 " channels need {n} in \"%s\"\n", channels,
                settings->channel);
        free(audience);
        return NULL;
    }
    audience->subscriptions =
        settings->subscriptions < channels ? (uint32_t)settings->subscriptions : channels;
    if (audience->subscriptions == 0) {
        audience->subscriptions = 1;
    }
    names_fill(&audience->names, settings->channel, channels);
    if (settings->pattern != NULL && !fill_patterns(audience, settings)) {
        audience_destroy(audience);
        return NULL;
    }
    count_readers(audience, settings->readers);
    return audience;
}

void audience_destroy(struct audience *audience) {
    if (audience == NULL) {
        return;
    }
    for (uint32_t index = 0; audience->matches != NULL && index < audience->patterns.count;
         index++) {
        free(audience->matches[index].channels);
    }
    free(audience->matches);
    free(audience->readers);
    names_finish(&audience->names);
    names_finish(&audience->patterns);
    free(audience);
}

const char *audience_name(const struct audience *audience, uint32_t channel) {
    return audience->names.all[channel];
}

/* The first of a reader's channels. */
static uint32_t first_channel(const struct audience *audience, uint32_t reader) {
    return (uint32_t)((uint64_t)reader * audience->subscriptions % audience->names.count);
}

const char *const *audience_selectors(const struct audience *audience, uint32_t reader,
                                      size_t *ret_count) {
    if (audience->matches != NULL) {
        *ret_count = 1;
        return &audience->patterns.all[pattern_of(audience, reader)];
    }
    *ret_count = audience->subscriptions;
    return &audience->names.all[first_channel(audience, reader)];
}

uint32_t audience_count(const struct audience *audience, uint32_t reader) {
    return audience->matches == NULL ? audience->subscriptions
                                     : audience->matches[pattern_of(audience, reader)].count;
}

uint32_t audience_channel(const struct audience *audience, uint32_t reader, uint32_t slot) {
    if (audience->matches != NULL) {
        return audience->matches[pattern_of(audience, reader)].channels[slot];
    }
    return (uint32_t)(((uint64_t)first_channel(audience, reader) + slot) % audience->names.count);
}

uint32_t audience_slot(const struct audience *audience, uint32_t reader, uint32_t channel,
                       uint32_t hint) {
    if (audience->matches != NULL) {
        return matches_slot(&audience->matches[pattern_of(audience, reader)], channel, hint);
    }
    if (channel >= audience->names.count) {
        return AUDIENCE_NONE;
    }
    uint32_t first = first_channel(audience, reader);
    uint32_t slot = channel >= first ? channel - first : channel + (audience->names.count - first);
    return slot < audience->subscriptions ? slot : AUDIENCE_NONE;
}

uint64_t audience_readers(const struct audience *audience, uint32_t channel) {
    return audience->readers[channel];
}
