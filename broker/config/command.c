/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/command.h"

#include <stdlib.h>

#include "broker/config/exposure.h"
#include "broker/config/help.h"
#include "broker/config/sources.h"
#include "broker/support/macros.h"

static bool has_usage_fault(const struct config_faults *faults) {
    for (size_t i = 0; i < faults->count; i++) {
        if (strcmp(faults->rows[i].source, SOURCE_FLAGS) == 0) {
            return true;
        }
    }
    return false;
}

/* The faults are 50 KB: on the heap, not on a stack of unknown size. */
static int load(const struct config_sources *sources, struct config **ret_config) {
    struct config_faults *faults = malloc(sizeof(*faults));
    if (faults == NULL) {
        fputs("tidings: out of memory\n", stderr);
        return COMMAND_FAILED;
    }
    int result = COMMAND_OK;
    if (config_load(sources, ret_config, faults) != OK) {
        config_faults_print(faults, stderr);
        result = has_usage_fault(faults) ? COMMAND_USAGE : COMMAND_FAILED;
    }
    free(faults);
    return result;
}

bool command_prepare_serve(const struct config_sources *sources, struct config **ret_config,
                           int *ret_exit) {
    if (sources_wants_help(sources->flag_count, sources->flags)) {
        help_write_serve(stdout);
        *ret_exit = COMMAND_OK;
        return false;
    }
    struct config *config = NULL;
    *ret_exit = load(sources, &config);
    if (*ret_exit != COMMAND_OK) {
        return false;
    }
    struct error why = {0};
    if (exposure_check(config, &why) != OK) {
        fprintf(stderr, "tidings: refused: %s\n", why.detail);
        config_destroy(config);
        *ret_exit = COMMAND_FAILED;
        return false;
    }
    logger_set_level(config->log_level);
    logger_set_format(config->log_format);
    *ret_config = config;
    return true;
}

/* What the file has, so that who forgot to save it sees it. */
static void print_good(const char *name, const struct config *config) {
    const struct {
        size_t count;
        const char *one, *many;
    } lists[] = {
        {config->auth_key_count, "key", "keys"},
        {config->auth_issuer_count, "issuer of tokens", "issuers of tokens"},
        {config->auth_certificate_count, "row of certificates", "rows of certificates"},
        {config->tenant_count, "row of tenants", "rows of tenants"},
        {config->sink_count, "sink", "sinks"},
        {config->source_count, "source", "sources"},
    };
    printf("%s: good, %zu rule%s for channels", name, config->rule_count,
           config->rule_count == 1 ? "" : "s");
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        if (lists[i].count > 0) {
            printf(", %zu %s", lists[i].count, lists[i].count == 1 ? lists[i].one : lists[i].many);
        }
    }
    putchar('\n');
}

int command_check(int count, char *const *words, const struct config_sources *hooks) {
    if (sources_wants_help(count, words)) {
        help_write_check(stdout);
        return COMMAND_OK;
    }
    if (count != 1 || words[0][0] == '-') {
        help_write_check(stderr);
        return COMMAND_USAGE;
    }
    struct config_sources sources = {.file = words[0],
                                     .check_pattern = hooks->check_pattern,
                                     .check_rows = hooks->check_rows,
                                     .check_files = hooks->check_files};
    struct config *config = NULL;
    int result = load(&sources, &config);
    if (result != COMMAND_OK) {
        return result;
    }
    struct error why = {0};
    print_good(words[0], config);
    if (exposure_check(config, &why) != OK) {
        printf("%s: note: `serve` will refuse this without --open: %s\n", words[0], why.detail);
    }
    config_destroy(config);
    return COMMAND_OK;
}
