/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/consistency.h"

#include <stdlib.h>

#include "broker/config/credential.h"
#include "broker/config/exposure.h"
#include "broker/config/sink_rules.h"

struct port {
    const char *key;
    const struct config_address *address;
};

/* Two keys may name one address only where each takes a free port there. */
static void check_ports(const struct config *config, const struct port *first,
                        const struct port *second, struct config_faults *faults) {
    char first_text[EXPOSURE_ADDRESS_BYTES];
    char text[EXPOSURE_ADDRESS_BYTES];
    exposure_format_address(first->address, first_text);
    exposure_format_address(second->address, text);
    const char *port = strrchr(text, ':');
    if (strcmp(first_text, text) == 0 && port != NULL && strcmp(port, ":0") != 0) {
        config_faults_add_key(faults, config, second->key, first->key,
                              "is %s, as %s is: they need two ports", text, first->key);
    }
}

static void check_listeners(const struct config *config, struct config_faults *faults) {
    const struct port ports[] = {{"public.listen", &config->public_listen},
                                 {"operator.listen", &config->operator_listen},
                                 {"mqtt.listen", &config->mqtt_listen},
                                 {"mqtt.tls_listen", &config->mqtt_tls_listen}};
    for (size_t i = 0; i < ARRAY_COUNT(ports); i++) {
        for (size_t earlier = 0; earlier < i; earlier++) {
            check_ports(config, &ports[earlier], &ports[i], faults);
        }
    }
}

/* --- rows of auth ---------------------------------------------------------------------------- */

/* A fault of one row: "auth.jwt[1]". */
#define ROW_FAULT(config, faults, path, index, row, ...)                                           \
    do {                                                                                           \
        char row_key[64];                                                                          \
        snprintf(row_key, sizeof(row_key), "%s[%zu]", path, index);                                \
        config_faults_add(faults, (config)->file == NULL ? "text" : (config)->file,                \
                          (row)->place.line, (row)->place.column, row_key, __VA_ARGS__);           \
    } while (0)

static bool is_same(const char *left, const char *right) {
    return left != NULL && right != NULL && strcasecmp(left, right) == 0;
}

static void check_keys(const struct config *config, struct config_faults *faults) {
    for (size_t i = 0; i < config->auth_key_count; i++) {
        const struct auth_key *key = &config->auth_keys[i];
        for (size_t earlier = 0; earlier < i; earlier++) {
            const struct auth_key *other = &config->auth_keys[earlier];
            if (key->name != NULL && other->name != NULL && strcmp(key->name, other->name) == 0) {
                ROW_FAULT(config, faults, "auth.keys", i, key, "has the `name` of auth.keys[%zu]",
                          earlier);
            }
            if (is_same(key->hash, other->hash)) {
                ROW_FAULT(config, faults, "auth.keys", i, key,
                          "has the `hash` of auth.keys[%zu]: one key is one row", earlier);
            }
        }
    }
}

static bool has_algorithm(const struct auth_issuer *issuer, const char *name) {
    for (size_t i = 0; i < issuer->algorithms.count; i++) {
        if (strcmp(issuer->algorithms.items[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* A secret signs HS256 and nothing else, and what verifies others is public: HS256 with that would
 * let everybody sign. */
static void check_algorithms(const struct config *config, size_t index,
                             struct config_faults *faults) {
    const struct auth_issuer *issuer = &config->auth_issuers[index];
    bool is_secret = issuer->key != NULL && strncmp(issuer->key, CREDENTIAL_BASE64_PREFIX,
                                                    strlen(CREDENTIAL_BASE64_PREFIX)) == 0;
    bool has_secret_algorithm = has_algorithm(issuer, "HS256");
    if (is_secret && issuer->algorithms.count > has_secret_algorithm) {
        ROW_FAULT(config, faults, "auth.jwt", index, issuer,
                  "a key of `base64:` is for HS256: `algorithms` names others");
    } else if (!is_secret && issuer->algorithms.count == 0) {
        ROW_FAULT(config, faults, "auth.jwt", index, issuer,
                  "has no `algorithms`: a token must not choose how it is checked");
    } else if (has_secret_algorithm && issuer->algorithms.count > 1) {
        ROW_FAULT(
            config, faults, "auth.jwt", index, issuer,
            "mixes HS256, whose key is secret, with algorithms of public keys: make two rows");
    } else if (has_secret_algorithm && issuer->jwks != NULL &&
               credential_is_url(span_of_string(issuer->jwks))) {
        ROW_FAULT(config, faults, "auth.jwt", index, issuer,
                  "HS256 with a `jwks` of the web: its keys would be secrets that are published");
    }
}

static void check_issuers(const struct config *config, struct config_faults *faults) {
    for (size_t i = 0; i < config->auth_issuer_count; i++) {
        const struct auth_issuer *issuer = &config->auth_issuers[i];
        if (issuer->place.has_fault) {
            continue;
        }
        if ((issuer->jwks == NULL) == (issuer->key == NULL)) {
            ROW_FAULT(config, faults, "auth.jwt", i, issuer, "needs %s `jwks` or `key`",
                      issuer->jwks == NULL ? "one of" : "only one of");
            continue;
        }
        check_algorithms(config, i, faults);
        for (size_t earlier = 0; earlier < i; earlier++) {
            const struct auth_issuer *other = &config->auth_issuers[earlier];
            if (issuer->issuer == NULL && other->issuer == NULL) {
                ROW_FAULT(config, faults, "auth.jwt", i, issuer,
                          "has no `issuer`, as auth.jwt[%zu]: which row is a token of?", earlier);
            }
        }
    }
}

static void check_certificates(const struct config *config, struct config_faults *faults) {
    for (size_t i = 0; i < config->auth_certificate_count; i++) {
        const struct auth_certificate *row = &config->auth_certificates[i];
        for (size_t earlier = 0; earlier < i; earlier++) {
            if (is_same(row->subject, config->auth_certificates[earlier].subject)) {
                ROW_FAULT(config, faults, "auth.certificates", i, row,
                          "has the `subject` of auth.certificates[%zu], which decides", earlier);
            }
        }
    }
}

static void check_tenants(const struct config *config, struct config_faults *faults) {
    for (size_t i = 0; i < config->tenant_count; i++) {
        const struct tenant_quota *row = &config->tenants[i];
        for (size_t earlier = 0; earlier < i; earlier++) {
            const char *other = config->tenants[earlier].name;
            if (row->name != NULL && other != NULL && strcmp(row->name, other) == 0) {
                ROW_FAULT(config, faults, "tenants", i, row, "has the `name` of tenants[%zu]",
                          earlier);
            }
        }
    }
}

#define ROW_KEY_BYTES 32
#define ROW_SOURCE(config) ((config)->file == NULL ? "text" : (config)->file)

static void check_sinks(const struct config *config, struct config_faults *faults) {
    for (size_t i = 0; i < config->sink_count; i++) {
        const struct sink_row *row = &config->sinks[i];
        char key[ROW_KEY_BYTES];
        snprintf(key, sizeof(key), "sinks[%zu]", i);
        sink_rules_check(row, ROW_SOURCE(config), key, faults);
    }
}

static void check_sources(const struct config *config, struct config_faults *faults) {
    for (size_t i = 0; i < config->source_count; i++) {
        const struct source_row *row = &config->sources[i];
        char key[ROW_KEY_BYTES];
        snprintf(key, sizeof(key), "sources[%zu]", i);
        sink_rules_check_source(row, ROW_SOURCE(config), key, faults);
    }
}

/* Of thousands of rows each pair cannot be looked at: equal names stand together when sorted. */
struct named_row {
    const char *name;
    size_t index;
    const struct config_place *place;
};

static int compare_names(const void *left, const void *right) {
    const struct named_row *one = left;
    const struct named_row *other = right;
    int order = strcmp(one->name, other->name);
    return order != 0 ? order : (one->index > other->index) - (one->index < other->index);
}

/* The rows of a list whose first key is `name`. */
static void check_names(const struct config *config, struct span path,
                        struct config_faults *faults) {
    const struct config_rows *list = config_scope_find_list(&config_scope_file, path);
    const struct config_row *name = config_scope_find(list->scope, SPAN("name"));
    size_t count = 0;
    struct named_row *rows = calloc(config_row_count(config, list) + 1, sizeof(*rows));
    if (rows == NULL) {
        config_faults_add(faults, "configuration", 0, 0, list->path, "out of memory");
        return;
    }
    for (size_t i = 0; i < config_row_count(config, list); i++) {
        char *row = config_row_at(config, list, i);
        char *const *text = (void *)(row + name->offset);
        if (*text != NULL) {
            rows[count++] = (struct named_row){*text, i, config_row_place(row)};
        }
    }
    qsort(rows, count, sizeof(*rows), compare_names);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(rows[i].name, rows[i - 1].name) == 0) {
            char key[ROW_KEY_BYTES];
            snprintf(key, sizeof(key), "%s[%zu]", list->path, rows[i].index);
            config_faults_add(faults, ROW_SOURCE(config), rows[i].place->line,
                              rows[i].place->column, key, "has the `name` of %s[%zu]", list->path,
                              rows[i - 1].index);
        }
    }
    free(rows);
}

/* Settings of a webhook that is not there are a URL that was mistyped or forgotten. */
static void check_webhook(const struct config *config, struct config_faults *faults) {
    bool has_settings = config->webhook_secret != NULL || config->webhook_events.is_given;
    if (config->webhook_url == NULL && has_settings) {
        config_faults_add_key(faults, config, "auth.webhook",
                              config->webhook_secret != NULL ? "auth.webhook.secret"
                                                             : "auth.webhook.on",
                              "has no `url`: who is to be asked?");
    }
}

void consistency_check(const struct config *config, struct config_faults *faults) {
    check_listeners(config, faults);
    check_keys(config, faults);
    check_issuers(config, faults);
    check_certificates(config, faults);
    check_tenants(config, faults);
    check_sinks(config, faults);
    check_names(config, SPAN("sinks"), faults);
    check_sources(config, faults);
    check_names(config, SPAN("sources"), faults);
    check_webhook(config, faults);
}
