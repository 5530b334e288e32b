/* SPDX-License-Identifier: Apache-2.0 */
/* report_sample KIND FORMAT: writes a report of made-up results to standard output. */
#include <stdio.h>
#include <string.h>

#include "clients/bench/report.h"
#include "tests/clients/bench/sample.h"

static int write_text(const struct result *result, FILE *stream) {
    report_write_text(result, stream);
    return 0;
}

static const struct {
    const char *name;
    enum sample kind;
} samples[] = {{"good", SAMPLE_GOOD},
               {"bad", SAMPLE_BAD},
               {"steps", SAMPLE_STEPS},
               {"empty", SAMPLE_EMPTY},
               {"hostile", SAMPLE_HOSTILE}};

static const struct {
    const char *name;
    int (*write)(const struct result *result, FILE *stream);
} formats[] = {{"html", report_write_html}, {"json", report_write_json}, {"text", write_text}};

int main(int count, char **words) {
    for (size_t i = 0; count == 3 && i < sizeof(samples) / sizeof(samples[0]); i++) {
        for (size_t j = 0; j < sizeof(formats) / sizeof(formats[0]); j++) {
            if (strcmp(words[1], samples[i].name) == 0 && strcmp(words[2], formats[j].name) == 0) {
                struct result *result = sample_create(samples[i].kind);
                int fault = formats[j].write(result, stdout);
                sample_destroy(result);
                return fault == 0 ? 0 : 1;
            }
        }
    }
    fputs("usage: report_sample good|bad|steps|empty|hostile html|json|text\n", stderr);
    return 2;
}
