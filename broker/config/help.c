/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/help.h"

#include "broker/config/config.h"
#include "broker/support/macros.h"

static const char *argument_of(const struct config_row *row) {
    static const char *const arguments[CONFIG_TYPE_COUNT] = {
        [CONFIG_TEXT] = " DIR",
        [CONFIG_ADDRESS] = " ADDR:PORT",
        [CONFIG_LISTENER] = " ADDR:PORT",
        [CONFIG_CORES] = " N",
    };
    return arguments[row->type] == NULL ? "" : arguments[row->type];
}

void help_write_serve(FILE *stream) {
    fputs("Usage: tidings serve [flags]\n\n"
          "Runs the broker until SIGTERM or SIGINT. Flags win over the environment, and that over\n"
          "the file.\n\n"
          "  --config FILE          The configuration file (TIDINGS_CONFIG)\n",
          stream);
    for (size_t i = 0; i < config_scope_file.row_count; i++) {
        const struct config_row *row = &config_scope_file.rows[i];
        if (row->flag == NULL) {
            continue;
        }
        char left[48];
        char variable[CONFIG_VARIABLE_BYTES];
        config_variable_name(row->path, variable);
        snprintf(left, sizeof(left), "%s%s", row->flag, argument_of(row));
        fprintf(stream, "  %-22s %s\n  %-22s (%s; unless told: %s)\n", left, row->summary, "",
                variable, row->default_text);
    }
    fputs("  --help                 This text\n\n"
          "All keys of the file: tidings help configuration\n"
          "Exit: 0 stopped as told, 1 it could not run, 2 the command line is wrong\n",
          stream);
}

void help_write_check(FILE *stream) {
    fputs("Usage: tidings check FILE\n\n"
          "Reads a configuration file and tells every fault at once, with line and reason.\n"
          "Nothing is started, and environment and flags of `serve` are not looked at.\n\n"
          "Exit: 0 the file is good, 1 it is not, 2 the command line is wrong\n",
          stream);
}

static void write_row(FILE *stream, const char *prefix, const struct config_row *row) {
    fprintf(stream, "### `%s%s`\n\n%s.\n\n", prefix, row->path, row->summary);
    fprintf(stream, "- Value: %s%s%s\n", config_type_looks(row->type),
            row->unit[0] == '\0' ? "" : "; ", row->unit);
    if (config_row_must_be_given(row)) {
        fputs("- Unless told: must be given\n", stream);
    } else if (row->default_text != NULL) {
        fprintf(stream, "- Unless told: `%s`\n", row->default_text);
    } else {
        fputs("- Unless told: none\n", stream);
    }
    if (row->minimum != NULL) {
        fprintf(stream, "- From `%s` to `%s`\n", row->minimum, row->maximum);
    }
    if (prefix[0] == '\0') {
        char variable[CONFIG_VARIABLE_BYTES];
        config_variable_name(row->path, variable);
        fprintf(stream, "- Variable: `%s`\n", variable);
    }
    if (row->flag != NULL) {
        fprintf(stream, "- Flag: `%s%s`\n", row->flag, argument_of(row));
    }
    fprintf(stream, "- Read: %s\n\n", row->is_reloadable ? "at start and at a reload" : "at start");
}

static void write_rows(FILE *stream, const char *prefix, const struct config_scope *scope) {
    for (size_t i = 0; i < scope->row_count; i++) {
        write_row(stream, prefix, &scope->rows[i]);
    }
}

/* What the rows of a list are, in the order of CONFIG_LISTS_TABLE. */
static const char *const list_titles[] = {
    "Rules", "Keys", "Issuers of tokens", "Certificates", "Tenants", "Sinks", "Sources"};

/* What a list is for, in the order of CONFIG_LISTS_TABLE. */
static const char *const list_texts[] = {
    "A list. The first rule whose `match` fits a channel decides for it; a channel that\n"
    "none fits gets the values that stand below. Rules are taken from the file alone.\n\n",
    "A list of API keys, for programs. `tidings key` makes one and prints its row. A right that\n"
    "a row does not name is not given. No pattern that begins with a wildcard allows a channel\n"
    "whose name begins with `$`.\n\n",
    "A list of who may issue tokens (RFC 7519). A token's claim `tidings`, as\n"
    "`{\"publish\":[\"chat/**\"]}`, says what it allows, and the lists of the row are the most\n"
    "that any of the issuer's tokens can allow; of a right that the row does not name that is\n"
    "everything. A token without the claim has the rights of the row, and no others. One of\n"
    "`jwks` and `key` must be given.\n\n",
    "A list of client certificates (mutual TLS). A right that a row does not name is not\n"
    "given.\n\n",
    "A list of quotas. `*` is each tenant that no other row names.\n\n",
    "A list of where messages are pushed to, from the file alone; further sinks are declared at\n"
    "the operator's port, with the same keys. Exactly one of `webhook.url`, `kafka.brokers` and\n"
    "`mqtt.url` says what kind a sink is, and a key that is not for its kind is a fault. A row\n"
    "that is taken out of the file keeps its place in the log, and goes on from there when it\n"
    "comes back.\n\n",
    "A list of where messages come from, from the file alone. Exactly one of `kafka.brokers` and\n"
    "`mqtt.url` must be given.\n\n",
};

#define ONE(...) +1
_Static_assert(ARRAY_COUNT(list_titles) == 0 CONFIG_LISTS_TABLE(ONE), "a title each");
_Static_assert(ARRAY_COUNT(list_texts) == 0 CONFIG_LISTS_TABLE(ONE), "a text each");
#undef ONE

static void write_lists(FILE *stream) {
    for (size_t i = 0; i < config_scope_file.list_count; i++) {
        const struct config_rows *list = &config_scope_file.lists[i];
        char prefix[CONFIG_PATH_BYTES];
        snprintf(prefix, sizeof(prefix), "%s[].", list->path);
        fprintf(stream, "## %s: `%s`\n\n", list_titles[i], list->path);
        fputs(list_texts[i], stream);
        write_rows(stream, prefix, list->scope);
    }
}

static const char example[] =
    "```yaml\n"
    "data: ./tidings-data\n"
    "public: { listen: \"127.0.0.1:8080\", origins: [\"https://example.org\"] }\n"
    "operator: { listen: \"127.0.0.1:8081\" }\n"
    "mqtt: { listen: \"127.0.0.1:1883\" }\n"
    "storage: { bytes_max: 10GiB }\n"
    "channels:\n"
    "  - match: \"tennis/**\"\n"
    "    history: { messages: 10000, age: 24h, bytes: 64MiB }\n"
    "    durability: fsync\n"
    "    on_lag: conflate\n"
    "    retain: latest\n"
    "    message_bytes_max: 64KiB\n"
    "auth:\n"
    "  keys:\n"
    "    - name: backend\n"
    "      hash: \"sha256:0f3a…\"\n"
    "      publish: [\"**\"]\n"
    "      history: [\"**\"]\n"
    "  jwt:\n"
    "    - issuer: https://id.example.org\n"
    "      audience: tidings\n"
    "      algorithms: [ES256]\n"
    "      jwks: https://id.example.org/keys\n"
    "  anonymous: { subscribe: [\"tennis/**\"] }\n"
    "tenants:\n"
    "  - { name: acme, connections: 1000, publish_rate: 500/s }\n"
    "sinks:\n"
    "  - name: orders\n"
    "    channels: [\"orders/**\"]\n"
    "    webhook: { url: \"https://example.org/hook\", secret: \"whsec_MfKQ…\" }\n"
    "    batch: { count: 100, age: 500ms }\n"
    "sources:\n"
    "  - name: lake\n"
    "    kafka: { brokers: \"kafka:9092\", topics: [scores] }\n"
    "limits: { connections: 100000, send_budget: 256KiB, stall_timeout: 5m }\n"
    "log: { level: info, format: logfmt }\n";

void help_write_reference(FILE *stream) {
    fputs(
        "<!-- Written by `tidings help configuration`; change broker/config/table.h instead. "
        "-->\n"
        "# Configuration\n\n"
        "One YAML file, named by `--config` or `TIDINGS_CONFIG`. Each key is also a variable of\n"
        "the environment, and some are flags. Flags win over the environment, the environment\n"
        "over the file. Lists in variables are parted by commas; an empty variable counts as not\n"
        "set.\n\n"
        "`tidings check FILE` tells every fault at once, with line and column. Unknown keys,\n"
        "keys given twice, aliases and tags are faults. `unlimited` is written as that word,\n"
        "never as 0.\n\n",
        stream);
    fputs(example, stream);
    fputs(
        "```\n\n"
        "SIGHUP reads everything again: what is marked \"at a reload\" below changes at once, the\n"
        "rest at the next start. A configuration with faults changes nothing. Files are looked\n"
        "for in the directory in which the broker was started, unless their path begins with `/`.\n"
        "\n"
        "## Keys\n\n",
        stream);
    write_rows(stream, "", &config_scope_file);
    write_lists(stream);
    fputs("Keys of lists, as `channels[]`, are taken from the file alone: they have no variable.\n",
          stream);
}
