/* SPDX-License-Identifier: Apache-2.0 */
/* The page is report.html with the other files, and the document, in the places that name them:
 * {{report.css}}, {{document}}, … What is put in is not looked through again. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clients/bench/bench.h"
#include "clients/bench/bytes.h"
#include "clients/bench/document.h"
#include "clients/bench/fail.h"
#include "clients/bench/report.h"

#define FOLDER "/bench/"
#define PAGE "report.html"
#define DOCUMENT "document"
#define DIGITS 10 /* of a number, as in report_json.c */

struct page {
    const struct client_asset *assets;
    unsigned long count;
    const char *document;
    struct bytes out;
};

static const struct client_asset *find_asset(const struct page *page, const char *name,
                                             size_t length) {
    for (unsigned long i = 0; i < page->count; i++) {
        const char *own = page->assets[i].path + strlen(FOLDER);
        if (strlen(own) == length && memcmp(own, name, length) == 0) {
            return &page->assets[i];
        }
    }
    bench_fail("the page has no %.*s", (int)length, name);
}

/* In a script element, `</script>` and `<!--` would end or change it: no `<` is left, and those
 * that JSON has stand in strings, where an escape means the same. */
static void put_document(struct page *page) {
    for (const char *at = page->document; *at != '\0';) {
        size_t length = strcspn(at, "<");
        bytes_put(&page->out, at, length);
        at += length;
        if (*at == '<') {
            bytes_put(&page->out, "\\u003c", 6);
            at++;
        }
    }
}

static void put_part(struct page *page, const char *name, size_t length) {
    if (length == strlen(DOCUMENT) && memcmp(name, DOCUMENT, length) == 0) {
        put_document(page);
    } else {
        const struct client_asset *asset = find_asset(page, name, length);
        bytes_put(&page->out, asset->bytes, asset->length);
    }
}

static void put_page(struct page *page) {
    const struct client_asset *skeleton = find_asset(page, PAGE, strlen(PAGE));
    const char *at = (const char *)skeleton->bytes;
    const char *end = at + skeleton->length;
    for (;;) {
        const char *open = memmem(at, (size_t)(end - at), "{{", 2);
        const char *close = open == NULL ? NULL : memmem(open, (size_t)(end - open), "}}", 2);
        if (close == NULL) {
            bytes_put(&page->out, at, (size_t)(end - at));
            return;
        }
        bytes_put(&page->out, at, (size_t)(open - at));
        put_part(page, open + 2, (size_t)(close - open - 2));
        at = close + 2;
    }
}

int report_write_html(const struct result *result, FILE *stream) {
    json_t *document = document_create(result);
    char *text =
        json_dumps(document, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(DIGITS));
    json_decref(document);
    if (text == NULL) {
        bench_fail("out of memory for the report");
    }
    struct page page = {.document = text};
    page.assets = bench_assets(&page.count);
    put_page(&page);
    bool is_written = fwrite(page.out.data, 1, page.out.length, stream) == page.out.length;
    bytes_finish(&page.out);
    free(text);
    return is_written && fflush(stream) == 0 ? 0 : -1;
}
