/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/manual.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "clients/bench/protocol.h"
#include "clients/bench/settings.h"
#include "clients/bench/verdict.h"

#define FLAG_BYTES 80

/* `--payload-bytes N`. */
static void write_flag(const struct settings_row *row, char *text, size_t size) {
    int length = snprintf(text, size, "--%s", row->name);
    for (int i = 2; i < length && (size_t)i < size; i++) {
        text[i] = text[i] == '_' ? '-' : text[i];
    }
    if (row->argument != NULL && (size_t)length < size) {
        bool is_choice = row->kind == SETTINGS_KIND_choice;
        snprintf(text + length, size - (size_t)length, " %s", is_choice ? "WORD" : row->argument);
    }
}

static bool has_fallback(const struct settings_row *row) {
    return row->kind != SETTINGS_KIND_toggle && row->fallback[0] != '\0';
}

static void write_row(const struct settings_row *row, FILE *stream) {
    char left[FLAG_BYTES];
    write_flag(row, left, sizeof(left));
    fprintf(stream, "  %-24s %s", left, row->summary);
    if (row->kind == SETTINGS_KIND_choice) {
        fputs(":", stream);
        for (const char *letter = row->argument; *letter != '\0'; letter++) {
            fprintf(stream,
                    letter == row->argument ? " %c"
                    : *letter == '|'        ? ", "
                                            : "%c",
                    *letter);
        }
    }
    fprintf(stream, has_fallback(row) ? " [%s]\n" : "\n", row->fallback);
}

/* All rows, and before each group its name, between `before` and `behind`. */
static void write_groups(FILE *stream, const char *before, const char *behind,
                         void (*write)(const struct settings_row *row, FILE *stream)) {
    const char *group = "";
    const struct settings_row *row;
    for (size_t i = 0; (row = settings_row_at(i)) != NULL; i++) {
        if (strcmp(row->group, group) != 0) {
            group = row->group;
            fprintf(stream, "%s%s%s", before, group, behind);
        }
        write(row, stream);
    }
}

static void write_protocols(FILE *stream) {
    const struct protocol *protocol;
    for (size_t i = 0; (protocol = protocol_at(i)) != NULL; i++) {
        const char *does = !protocol->can_read             ? "publish"
                           : protocol->put_publish == NULL ? "read"
                                                           : "publish, read";
        fprintf(stream, "  %-21s %-14s %s\n", protocol->name, does, protocol->summary);
    }
}

void manual_write_help(FILE *stream) {
    fputs("Usage: tidings bench [SCENARIO.yaml] [flags]\n\n"
          "Puts a load on a server, measures what arrives, and judges it. A scenario is a YAML\n"
          "file with the flags' names as keys (payload_bytes: 64), and a list `assert:`. Flags\n"
          "win over the scenario. What holds unless told stands in brackets.\n",
          stream);
    write_groups(stream, "\n", "\n", write_row);
    fputs("\nJudging\n"
          "  --assert TEXT            MEASURE OP VALUE, several times: 'p99 < 30ms', 'lost == 0'\n"
          "  --check                  Says whether scenario and flags are right; runs nothing\n"
          "  --help                   This text\n"
          "\nProtocols\n",
          stream);
    write_protocols(stream);
    fputs("\nMeasures\n", stream);
    verdict_write_help(stream);
    fputs(
        "\nTIDINGS_BENCH_TOKEN is the bearer's token, API key or password that connections show.\n"
        "\nExit: 0 all assertions hold, 1 one does not or the server closed every reader, 2 the\n"
        "command line or the scenario is wrong, 3 the load could not run or a report could not be\n"
        "written, 130 SIGINT ended it, 143 SIGTERM (the report is written)\n",
        stream);
}

static void write_reference_row(const struct settings_row *row, FILE *stream) {
    char flag[FLAG_BYTES];
    write_flag(row, flag, sizeof(flag));
    fprintf(stream, "| `%s` | `%s` | ", row->name, flag);
    for (const char *letter = row->summary; *letter != '\0'; letter++) {
        fprintf(stream, *letter == '|' ? "\\|" : "%c", *letter);
    }
    if (row->kind == SETTINGS_KIND_choice) {
        fputs(": `", stream);
        for (const char *letter = row->argument; *letter != '\0'; letter++) {
            fprintf(stream, *letter == '|' ? "`, `" : "%c", *letter);
        }
        fputc('`', stream);
    }
    fprintf(stream, has_fallback(row) ? " | `%s` |\n" : " | |\n", row->fallback);
}

void manual_write_reference(FILE *stream) {
    fputs("<!-- Written by `tidings bench --reference`; change clients/bench/settings.h instead. "
          "-->\n"
          "# `tidings bench`: every setting\n\n"
          "Each is a flag, and a key of a scenario file; flags win. What it all means, with "
          "examples:\n[Measuring](../bench.md).\n\n"
          "Counts may be written `100k` or `1M`, times `250ms`, `10s` or `5m`, rates `1000/s`, "
          "shares\n`0.1` or `10%`.\n",
          stream);
    write_groups(stream, "\n## ", "\n\n| key | flag | | unless told |\n| --- | --- | --- | --- |\n",
                 write_reference_row);
    fputs("\n## Assertions\n\n"
          "`--assert 'p99 < 30ms'`, or a list `assert:` in the scenario.\n\n"
          "| exit | |\n| --- | --- |\n"
          "| 0 | all hold |\n"
          "| 1 | one does not, or the server closed every reader |\n"
          "| 2 | the command line or the scenario is wrong |\n"
          "| 3 | the load could not run, or a report could not be written |\n"
          "| 130, 143 | SIGINT or SIGTERM ended it; the report is written |\n\n"
          "```text\n",
          stream);
    verdict_write_help(stream);
    fputs("```\n\n## Protocols\n\n```text\n", stream);
    write_protocols(stream);
    fputs("```\n\nThe environment variable `TIDINGS_BENCH_TOKEN` is the bearer's token, API key or "
          "password that\nconnections show.\n",
          stream);
}
