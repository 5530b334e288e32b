/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/tenants.h"

#include <stdlib.h>
#include <string.h>

#include "broker/admission/accounts.h"
#include "broker/config/config.h"
#include "broker/runtime/broker.h"
#include "broker/support/clock.h"
#include "broker/support/json.h"
#include "protocols/http/query.h"
#include "protocols/operator/answer.h"
#include "protocols/operator/listing.h"
#include "protocols/rest/request.h"

/* The first tenants behind `after`, in order of name. Their accounts are there until the end. */
struct page {
    struct span after;
    size_t limit;
    size_t count;
    bool has_more;
    const struct account **sorted; /* `limit` */
};

static struct span name_of(const struct account *account) {
    return span_of(account->name, account->name_length);
}

/* How many of the page stand before the name. */
static size_t find_place(const struct page *page, struct span name) {
    size_t first = 0;
    size_t last = page->count;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (span_compare(name_of(page->sorted[middle]), name) < 0) {
            first = middle + 1;
        } else {
            last = middle;
        }
    }
    return first;
}

static void look_at(void *context, struct account *account) {
    struct page *page = context;
    if (span_compare(name_of(account), page->after) <= 0) {
        return;
    }
    size_t place = find_place(page, name_of(account));
    page->has_more |= page->count == page->limit;
    if (place == page->limit) {
        return;
    }
    size_t kept = page->count < page->limit ? page->count : page->limit - 1;
    memmove(page->sorted + place + 1, page->sorted + place,
            (kept - place) * sizeof(const struct account *));
    page->sorted[place] = account;
    page->count = kept + 1;
}

/* --- rows ------------------------------------------------------------------------------------ */

static enum error_code put_limit(struct buffer *body, const char *separator, const char *name,
                                 uint64_t number) {
    return number == CONFIG_UNLIMITED
               ? buffer_printf(body, "%s\"%s\":null", separator, name)
               : buffer_printf(body, "%s\"%s\":%llu", separator, name, (unsigned long long)number);
}

static enum error_code put_usage(struct buffer *body, const struct usage *usage) {
    char since[CLOCK_RFC3339_BYTES];
    uint64_t since_ms = atomic_load(&usage->since_ms);
    TRY(answer_put_number(body, "published_messages", atomic_load(&usage->published_messages)));
    TRY(answer_put_number(body, "published_bytes", atomic_load(&usage->published_bytes)));
    TRY(answer_put_number(body, "delivered_messages", atomic_load(&usage->delivered_messages)));
    TRY(answer_put_number(body, "delivered_bytes", atomic_load(&usage->delivered_bytes)));
    TRY(answer_put_number(body, "refused", atomic_load(&usage->refused)));
    clock_format_rfc3339(since_ms == 0 ? clock_wall_ms() : since_ms, since);
    return buffer_printf(body, ",\"since\":\"%s\"", since);
}

static enum error_code put_quota(struct buffer *body, const struct quota *quota) {
    TRY(put_limit(body, ",\"quota\":{", "connections", atomic_load(&quota->connections)));
    TRY(put_limit(body, ",", "publish_rate", atomic_load(&quota->publish_rate)));
    TRY(put_limit(body, ",", "publish_bytes", atomic_load(&quota->publish_bytes)));
    TRY(put_limit(body, ",", "channels", atomic_load(&quota->channels)));
    TRY(put_limit(body, ",", "stored_bytes", atomic_load(&quota->stored_bytes)));
    return buffer_put_byte(body, '}');
}

static enum error_code put_row(struct buffer *body, const struct account *account) {
    TRY(buffer_put(body, SPAN("{\"tenant\":")));
    TRY(json_escape_put(body, name_of(account)));
    TRY(answer_put_number(body, "connections", atomic_load(&account->connections)));
    TRY(answer_put_number(body, "connections_peak", atomic_load(&account->usage.connections_peak)));
    TRY(answer_put_number(body, "channels", atomic_load(&account->channels)));
    TRY(answer_put_number(body, "stored_bytes", atomic_load(&account->stored_bytes)));
    TRY(put_usage(body, &account->usage));
    TRY(put_quota(body, &account->quota));
    return buffer_put_byte(body, '}');
}

static enum error_code put_page(struct buffer *body, const struct page *page) {
    TRY(buffer_put(body, SPAN("{\"tenants\":[")));
    for (size_t i = 0; i < page->count; i++) {
        TRY(i == 0 ? OK : buffer_put_byte(body, ','));
        TRY(put_row(body, page->sorted[i]));
    }
    TRY(buffer_put(body, SPAN("],\"next\":")));
    TRY(page->has_more ? json_escape_put(body, name_of(page->sorted[page->count - 1]))
                       : buffer_put(body, SPAN("null")));
    return buffer_put_byte(body, '}');
}

/* --- the request ----------------------------------------------------------------------------- */

enum error_code tenants_list(struct request *request, struct error *why) {
    struct page page = {0};
    struct buffer text;
    bool is_found = false;
    buffer_init(&text, HTTP_TARGET_BYTES_MAX);
    enum error_code code = query_find(request->query, "limit", &text, &is_found, why);
    code = code == OK ? listing_parse_limit(buffer_borrow(&text), &page.limit, why) : code;
    buffer_clear(&text);
    code = code == OK ? query_find(request->query, "after", &text, &is_found, why) : code;
    page.after = buffer_borrow(&text);
    page.sorted = code == OK ? calloc(page.limit, sizeof(const struct account *)) : NULL;
    if (code == OK && page.sorted == NULL) {
        code = ERR_MEMORY;
    }
    if (code == OK) {
        accounts_each_tenant(request->broker->accounts, look_at, &page);
        code = answer_as_json(request, 200, put_page(&request->reply.body, &page), why);
    }
    free(page.sorted);
    buffer_finish(&text);
    return code;
}

struct search {
    struct span name;
    const struct account *found;
};

static void compare_name(void *context, struct account *account) {
    struct search *search = context;
    if (span_is_equal(name_of(account), search->name)) {
        search->found = account;
    }
}

/* A tenant's name needs no escapes in a path. */
enum error_code tenants_show(struct request *request, struct error *why) {
    struct span prefix = SPAN("/api/v1/tenants/");
    struct search search = {
        .name = span_of(request->path.bytes + prefix.length, request->path.length - prefix.length)};
    accounts_each_tenant(request->broker->accounts, compare_name, &search);
    if (search.found == NULL) {
        return error_set(why, ERR_NOT_FOUND, "nobody has come by the name of this tenant");
    }
    return answer_as_json(request, 200, put_row(&request->reply.body, search.found), why);
}
