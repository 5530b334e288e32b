/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/bench/amount.h"
#include "clients/bench/draft.h"
#include "clients/bench/manual.h"
#include "clients/bench/relations.h"
#include "clients/bench/scenario.h"

#define EXIT_GOOD 0
#define EXIT_USAGE 2

#define URL_VARIABLE "TIDINGS_URL" /* as for the other subcommands */
#define CA_VARIABLE "TIDINGS_CA"

#define ROW(row_name, row_kind, text, least, most, takes, says)                                    \
    {.group = GROUP_TITLE,                                                                         \
     .name = #row_name,                                                                            \
     .kind = SETTINGS_KIND_##row_kind,                                                             \
     .fallback = text,                                                                             \
     .lowest = least,                                                                              \
     .highest = most,                                                                              \
     .argument = takes,                                                                            \
     .summary = says,                                                                              \
     .at = offsetof(struct settings, row_name)},

static const struct settings_row rows[] = {
#define GROUP_TITLE "Server"
    SETTINGS_SERVER(ROW)
#undef GROUP_TITLE
#define GROUP_TITLE "Channels"
        SETTINGS_CHANNELS(ROW)
#undef GROUP_TITLE
#define GROUP_TITLE "Publishing"
            SETTINGS_PUBLISHING(ROW)
#undef GROUP_TITLE
#define GROUP_TITLE "Reading"
                SETTINGS_READING(ROW)
#undef GROUP_TITLE
#define GROUP_TITLE "Time"
                    SETTINGS_TIME(ROW)
#undef GROUP_TITLE
#define GROUP_TITLE "Reports"
                        SETTINGS_REPORTS(ROW)
#undef GROUP_TITLE
};

/* What was given beside the rows. */
struct extras {
    const char *scenario;
    bool is_check;
};

/* --- words ---------------------------------------------------------------------------------- */

static const struct draft_place on_the_line = {.is_told = true};

static bool has_word(int count, char *const *words, const char *wanted) {
    for (int i = 0; i < count; i++) {
        if (strcmp(words[i], wanted) == 0) {
            return true;
        }
    }
    return false;
}

/* The value of the flag at `index`, which moves on behind it; NULL: it has none, and that was
 * told. */
static const char *take_value(struct draft *draft, int count, char *const *words, int *index,
                              const char *name) {
    const char *equals = strchr(words[*index], '=');
    if (equals != NULL) {
        return equals + 1;
    }
    if (*index + 1 < count) {
        return words[++*index];
    }
    draft_complain(draft, on_the_line, name, "has no value");
    return NULL;
}

static void take_flag(struct draft *draft, struct extras *extras, int count, char *const *words,
                      int *index) {
    const char *name = words[*index] + 2;
    size_t length = strcspn(name, "=");
    const struct settings_row *nearest;
    const struct settings_row *row = draft_find_row(name, length, &nearest);
    if (strcmp(name, "check") == 0) {
        extras->is_check = true;
    } else if (length == strlen("assert") && strncmp(name, "assert", length) == 0) {
        const char *value = take_value(draft, count, words, index, "assert");
        if (value != NULL) {
            draft_add_assertion(draft, on_the_line, value);
        }
    } else if (row == NULL || memchr(name, '_', length) != NULL) {
        char shown[40];
        snprintf(shown, sizeof(shown), "%.*s", (int)length, name);
        char meant[40];
        snprintf(meant, sizeof(meant), "%s", nearest->name);
        for (char *letter = meant; *letter != '\0'; letter++) {
            *letter = *letter == '_' ? '-' : *letter;
        }
        draft_complain(draft, on_the_line, shown, "is no flag; the nearest is --%s", meant);
    } else if (row->kind == SETTINGS_KIND_toggle && name[length] == '\0') {
        draft_set(draft, row, on_the_line, "true");
    } else {
        const char *value = take_value(draft, count, words, index, row->name);
        if (value != NULL) {
            draft_set(draft, row, on_the_line, value);
        }
    }
}

/* The scenario is the one word that is neither a flag nor the value of one. */
static void find_scenario(struct draft *draft, struct extras *extras, int count,
                          char *const *words) {
    for (int i = 0; i < count; i++) {
        const struct settings_row *nearest;
        const char *name = words[i] + 2;
        if (strncmp(words[i], "--", 2) != 0) {
            if (extras->scenario != NULL) {
                draft->fault_count++;
                fprintf(stderr, "tidings bench: %s is one word too many\n", words[i]);
            }
            extras->scenario = words[i];
        } else if (strchr(name, '=') == NULL && strcmp(name, "check") != 0) {
            const struct settings_row *row = draft_find_row(name, strlen(name), &nearest);
            bool is_assertion = strcmp(name, "assert") == 0;
            /* What is behind a flag that is misspelt is the value of the one that was meant. */
            bool has_value = is_assertion || nearest->kind != SETTINGS_KIND_toggle;
            bool is_flag_next = i + 1 < count && strncmp(words[i + 1], "--", 2) == 0;
            i += has_value && (row != NULL || is_assertion || !is_flag_next);
        }
    }
}

/* What the environment says comes before the file. */
static void take_environment(struct draft *draft) {
    const char *url = getenv(URL_VARIABLE);
    const char *authorities = getenv(CA_VARIABLE);
    if (url != NULL && url[0] != '\0') {
        draft->settings.url = url;
    }
    if (authorities != NULL && authorities[0] != '\0') {
        draft->settings.ca = authorities;
    }
}

static void read_words(struct draft *draft, struct extras *extras, int count, char *const *words) {
    draft_init(draft);
    take_environment(draft);
    find_scenario(draft, extras, count, words);
    if (extras->scenario != NULL) {
        scenario_read(extras->scenario, draft);
    }
    for (int i = 0; i < count; i++) {
        if (strncmp(words[i], "--", 2) == 0) {
            take_flag(draft, extras, count, words, &i);
        }
    }
    if (draft->fault_count == 0) {
        relations_resolve(draft);
    }
    relations_check(draft);
}

/* True: that was all that was wanted. */
static bool is_about_itself(int count, char *const *words) {
    if (has_word(count, words, "--help") || has_word(count, words, "-h")) {
        manual_write_help(stdout);
        return true;
    }
    if (has_word(count, words, "--reference")) {
        manual_write_reference(stdout);
        return true;
    }
    return false;
}

/* --- what the header says ------------------------------------------------------------------- */

bool settings_parse(int count, char *const *words, struct settings *ret_settings, int *ret_exit) {
    *ret_exit = EXIT_GOOD;
    if (is_about_itself(count, words)) {
        return false;
    }
    struct draft draft;
    struct extras extras = {0};
    read_words(&draft, &extras, count, words);
    if (draft.fault_count > 0) {
        fprintf(stderr, "tidings bench: %zu fault%s; see tidings bench --help\n", draft.fault_count,
                draft.fault_count == 1 ? "" : "s");
        *ret_exit = EXIT_USAGE;
    } else if (extras.is_check) {
        printf("%s: good\n", extras.scenario == NULL ? "the command line" : extras.scenario);
    } else {
        *ret_settings = draft.settings;
        return true;
    }
    settings_finish(&draft.settings);
    return false;
}

void settings_finish(struct settings *settings) {
    while (settings->texts != NULL) {
        struct settings_text *text = settings->texts;
        settings->texts = text->next;
        free(text);
    }
    *settings = (struct settings){0};
}

const struct settings_row *settings_row_at(size_t index) {
    return index < sizeof(rows) / sizeof(rows[0]) ? &rows[index] : NULL;
}

void settings_format(const struct settings *settings, const struct settings_row *row, char *text,
                     size_t size) {
    const char *at = (const char *)settings + row->at;
    union {
        const char *text;
        uint64_t count;
        double number;
        bool toggle;
    } value;
    switch (row->kind) {
    case SETTINGS_KIND_text:
    case SETTINGS_KIND_choice:
        memcpy(&value.text, at, sizeof(value.text));
        snprintf(text, size, "%s", value.text == NULL ? "" : value.text);
        break;
    case SETTINGS_KIND_count:
        memcpy(&value.count, at, sizeof(value.count));
        snprintf(text, size, "%" PRIu64, value.count);
        break;
    case SETTINGS_KIND_duration:
        memcpy(&value.count, at, sizeof(value.count));
        amount_write_duration(value.count, text, size);
        break;
    case SETTINGS_KIND_rate:
    case SETTINGS_KIND_share:
        memcpy(&value.number, at, sizeof(value.number));
        snprintf(text, size, "%.15g", value.number);
        break;
    case SETTINGS_KIND_toggle:
        memcpy(&value.toggle, at, sizeof(value.toggle));
        snprintf(text, size, "%s", value.toggle ? "true" : "false");
        break;
    }
}
