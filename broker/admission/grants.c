/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/grants.h"

#include <stdlib.h>

#include "broker/channels/pattern.h"
#include "broker/limits.h"
#include "broker/support/invariant.h"

static const struct span ALL = {(const uint8_t *)"**", 2};
static const struct span SUBJECT_MARK = {(const uint8_t *)"{sub}", 5};
static const struct span TENANT_MARK = {(const uint8_t *)"{tenant}", 8};

/* One allocation: the struct, the text as it was written, the text that is matched. */
struct grant {
    uint16_t written_length;
    uint16_t matched_length; /* 0: matches nothing */
    uint8_t bytes[];
};

struct right {
    struct grant **grants;
    size_t count;
    bool is_all;
};

struct grants {
    struct right rights[ACTION_COUNT];
};

static const char *const action_names[] = {
#define ACTION(action, name, allows) [action] = name,
    ACTION_TABLE(ACTION)
#undef ACTION
};

const char *action_name(enum action action) {
    INVARIANT(action < ACTION_COUNT);
    return action_names[action];
}

bool action_parse(struct span name, enum action *ret_action) {
    for (size_t i = 0; i < ACTION_COUNT; i++) {
        if (span_is_equal(name, span_of_string(action_names[i]))) {
            *ret_action = (enum action)i;
            return true;
        }
    }
    return false;
}

struct grants *grants_create(void) {
    return calloc(1, sizeof(struct grants));
}

void grants_destroy(struct grants *grants) {
    for (size_t action = 0; grants != NULL && action < ACTION_COUNT; action++) {
        for (size_t i = 0; i < grants->rights[action].count; i++) {
            free(grants->rights[action].grants[i]);
        }
        free(grants->rights[action].grants);
    }
    free(grants);
}

void grants_set_all(struct grants *grants, enum action action) {
    INVARIANT(action < ACTION_COUNT);
    grants->rights[action].is_all = true;
}

static bool is_mark_at(struct span text, size_t at, struct span mark) {
    return span_has_prefix(span_of(text.bytes + at, text.length - at), mark);
}

static bool has_placeholder(struct span text) {
    for (size_t i = 0; i < text.length; i++) {
        if (is_mark_at(text, i, SUBJECT_MARK) || is_mark_at(text, i, TENANT_MARK)) {
            return true;
        }
    }
    return false;
}

static struct span written_of(const struct grant *grant) {
    return span_of(grant->bytes, grant->written_length);
}

static struct span matched_of(const struct grant *grant) {
    return span_of(grant->bytes + grant->written_length, grant->matched_length);
}

static enum error_code append(struct right *right, struct span written, struct span matched) {
    struct grant **grants = realloc(right->grants, (right->count + 1) * sizeof(struct grant *));
    if (grants == NULL) {
        return ERR_MEMORY;
    }
    right->grants = grants;
    struct grant *grant = malloc(sizeof(*grant) + written.length + matched.length);
    if (grant == NULL) {
        return ERR_MEMORY;
    }
    grant->written_length = (uint16_t)written.length;
    grant->matched_length = (uint16_t)matched.length;
    memcpy(grant->bytes, written.bytes, written.length);
    if (matched.length > 0) {
        memcpy(grant->bytes + written.length, matched.bytes, matched.length);
    }
    grants[right->count++] = grant;
    return OK;
}

enum error_code grants_add(struct grants *grants, enum action action, struct span pattern,
                           struct error *why) {
    INVARIANT(action < ACTION_COUNT);
    struct right *right = &grants->rights[action];
    if (right->count >= GRANT_PATTERNS_MAX) {
        return error_set(why, ERR_FULL, "A right has at most %d patterns", GRANT_PATTERNS_MAX);
    }
    enum error_code code = pattern_check(pattern, true, why);
    if (code != OK) {
        return code;
    }
    struct span matched = has_placeholder(pattern) ? (struct span){0} : pattern;
    code = append(right, pattern, matched);
    return code == OK ? OK : error_set(why, code, "no memory for a pattern");
}

/* What would change the meaning of a pattern is not put into one: a wildcard of either notation,
 * a border between segments, and (in front) the mark of the broker's own channels. */
static bool is_literal(struct span value, bool is_first) {
    for (size_t i = 0; i < value.length; i++) {
        uint8_t byte = value.bytes[i];
        if (byte == '/' || byte == '*' || byte == '+' || byte == '#' || byte < 0x20) {
            return false;
        }
    }
    return value.length > 0 && !(is_first && value.bytes[0] == '$');
}

/* The pattern with its placeholders put in, in one pass, so that a subject `{tenant}` stays that;
 * empty: it matches nothing. `room` has CHANNEL_NAME_BYTES_MAX bytes. */
static struct span bind_pattern(struct span written, struct span subject, struct span tenant,
                                uint8_t *room) {
    size_t length = 0;
    for (size_t at = 0; at < written.length;) {
        struct span piece = span_of(written.bytes + at, 1);
        bool is_subject = is_mark_at(written, at, SUBJECT_MARK);
        bool is_tenant = is_mark_at(written, at, TENANT_MARK);
        if (is_subject || is_tenant) {
            piece = is_subject ? subject : tenant;
            at += is_subject ? SUBJECT_MARK.length : TENANT_MARK.length;
            if (!is_literal(piece, length == 0)) {
                return (struct span){0};
            }
        } else {
            at++;
        }
        if (length + piece.length > CHANNEL_NAME_BYTES_MAX) {
            return (struct span){0};
        }
        memcpy(room + length, piece.bytes, piece.length);
        length += piece.length;
    }
    struct span bound = span_of(room, length);
    return pattern_check(bound, true, NULL) == OK ? bound : (struct span){0};
}

static enum error_code bind_right(const struct right *right, struct span subject,
                                  struct span tenant, struct right *ret_right) {
    uint8_t room[CHANNEL_NAME_BYTES_MAX];
    ret_right->is_all = right->is_all;
    for (size_t i = 0; i < right->count; i++) {
        struct span written = written_of(right->grants[i]);
        struct span matched =
            has_placeholder(written) ? bind_pattern(written, subject, tenant, room) : written;
        enum error_code code = append(ret_right, written, matched);
        if (code != OK) {
            return code;
        }
    }
    return OK;
}

struct grants *grants_bind(const struct grants *grants, struct span subject, struct span tenant) {
    struct grants *bound = grants_create();
    for (size_t action = 0; bound != NULL && action < ACTION_COUNT; action++) {
        if (bind_right(&grants->rights[action], subject, tenant, &bound->rights[action]) != OK) {
            grants_destroy(bound);
            return NULL;
        }
    }
    return bound;
}

bool grants_allow(const struct grants *grants, enum action action, struct span text,
                  struct span *ret_pattern) {
    INVARIANT(action < ACTION_COUNT);
    const struct right *right = &grants->rights[action];
    if (right->is_all && pattern_covers(ALL, text)) {
        *ret_pattern = ALL;
        return true;
    }
    for (size_t i = 0; i < right->count; i++) {
        struct span matched = matched_of(right->grants[i]);
        if (matched.length > 0 && pattern_covers(matched, text)) {
            *ret_pattern = written_of(right->grants[i]);
            return true;
        }
    }
    *ret_pattern = (struct span){0};
    return false;
}

bool grants_next(const struct grants *grants, enum action action, size_t *cursor,
                 struct span *ret_pattern) {
    INVARIANT(action < ACTION_COUNT);
    const struct right *right = &grants->rights[action];
    size_t index = *cursor - (*cursor > 0 && right->is_all);
    if (right->is_all && *cursor == 0) {
        *ret_pattern = ALL;
    } else if (index < right->count) {
        *ret_pattern = written_of(right->grants[index]);
    } else {
        return false;
    }
    (*cursor)++;
    return true;
}
