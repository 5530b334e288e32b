/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sources/seen.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "broker/admission/idempotency.h"
#include "broker/limits.h"
#include "broker/support/base64.h"
#include "broker/support/invariant.h"

#define HASH_BYTES 6

static_assert(BASE64_URL_TEXT_BYTES(HASH_BYTES) == SEEN_KEY_BYTES, "a key is a hash as text");
static_assert(SEEN_IDS >= MQTT_SOURCE_RECEIVE_MAX, "all that may come again is known");

enum error_code seen_hash(struct span topic, struct span id, char ret_key[SEEN_KEY_BYTES]) {
    uint8_t hash[IDEMPOTENCY_HASH_BYTES];
    enum error_code code = idempotency_hash(topic, id, NULL, 0, hash);
    if (code == OK) {
        base64_url_encode(span_of(hash, HASH_BYTES), ret_key);
    }
    return code;
}

static bool page_has(const struct seen_page *page, const char key[SEEN_KEY_BYTES]) {
    for (size_t at = SEEN_KEY_BYTES; at < page->length; at += SEEN_KEY_BYTES) {
        if (memcmp(page->text + at, key, SEEN_KEY_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

bool seen_has(const struct seen *seen, const char key[SEEN_KEY_BYTES]) {
    for (size_t i = 0; i < SEEN_PAGES; i++) {
        if (page_has(&seen->pages[i], key)) {
            return true;
        }
    }
    return false;
}

static void begin_page(struct seen_page *page, uint32_t number) {
    char digits[SEEN_KEY_BYTES + 1];
    snprintf(digits, sizeof(digits), "%08lx", (unsigned long)number);
    memcpy(page->text, digits, SEEN_KEY_BYTES);
    page->length = SEEN_KEY_BYTES;
}

size_t seen_plan(const struct seen *seen, const char key[SEEN_KEY_BYTES],
                 struct seen_page *ret_page) {
    size_t index = seen->newest;
    *ret_page = seen->pages[index];
    if (ret_page->length == 0) {
        begin_page(ret_page, seen->number);
    } else if (ret_page->length == SEEN_PAGE_BYTES) {
        index = (index + 1) % SEEN_PAGES;
        begin_page(ret_page, seen->number + 1);
    }
    memcpy(ret_page->text + ret_page->length, key, SEEN_KEY_BYTES);
    ret_page->length += SEEN_KEY_BYTES;
    return index;
}

void seen_put(struct seen *seen, size_t index, const struct seen_page *page) {
    INVARIANT(index < SEEN_PAGES);
    seen->number += index != seen->newest;
    seen->newest = index;
    seen->pages[index] = *page;
}

static bool parse_number(struct span digits, uint32_t *ret_number) {
    uint32_t number = 0;
    for (size_t i = 0; i < SEEN_KEY_BYTES; i++) {
        static const char hexadecimal[] = "0123456789abcdef";
        const char *digit = memchr(hexadecimal, digits.bytes[i], sizeof(hexadecimal) - 1);
        if (digit == NULL) {
            return false;
        }
        number = number << 4 | (uint32_t)(digit - hexadecimal);
    }
    *ret_number = number;
    return true;
}

void seen_learn(struct seen *seen, size_t index, struct span text) {
    uint32_t number;
    INVARIANT(index < SEEN_PAGES);
    bool is_page = text.length > SEEN_KEY_BYTES && text.length <= SEEN_PAGE_BYTES &&
                   text.length % SEEN_KEY_BYTES == 0 && parse_number(text, &number);
    if (!is_page) {
        return;
    }
    memcpy(seen->pages[index].text, text.bytes, text.length);
    seen->pages[index].length = text.length;
    if (number >= seen->number) {
        seen->number = number;
        seen->newest = index;
    }
}
