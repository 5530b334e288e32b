/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/help.h"

#include "broker/config/config.h"

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
    if (row->default_text != NULL) {
        fprintf(stream, "- Unless told: `%s`\n", row->default_text);
    } else {
        fprintf(stream, "- Unless told: %s\n",
                row->type == CONFIG_PATTERN ? "must be given" : "none");
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

static void write_refused(FILE *stream, const char *prefix, const struct config_scope *scope) {
    for (size_t i = 0; i < scope->refused_count; i++) {
        fprintf(stream, "- `%s%s`: %s\n", prefix, scope->refused[i].path, scope->refused[i].reason);
    }
}

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
        "never as 0.\n\n"
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
        "limits: { connections: 100000, send_budget: 256KiB, stall_timeout: 5m }\n"
        "log: { level: info, format: logfmt }\n"
        "```\n\n"
        "SIGHUP reads everything again: what is marked \"at a reload\" below changes at once, the\n"
        "rest at the next start. A configuration with faults changes nothing.\n\n"
        "## Keys\n\n",
        stream);
    write_rows(stream, "", &config_scope_file);
    fputs("## Rules: `channels`\n\n"
          "A list. The first rule whose `match` fits a channel decides for it; a channel that\n"
          "none fits gets the values that stand below. Rules are taken from the file alone.\n\n",
          stream);
    write_rows(stream, "channels[].", &config_scope_rule);
    fputs("## Refused in this version\n\n"
          "These keys are planned. They are faults rather than ignored, because a rule that is\n"
          "read and does nothing deceives.\n\n",
          stream);
    write_refused(stream, "", &config_scope_file);
    write_refused(stream, "channels[].", &config_scope_rule);
}
