/* SPDX-License-Identifier: Apache-2.0 */
/* json.h — is it JSON, and where are its parts? Bytes pass through untouched: nothing is built.
 *
 * Place:   payloads and WebSocket commands (protocols/); jansson serves configuration only.
 * Thread:  pure, no allocation, no recursion.
 * Bounds:  JSON_DEPTH_MAX containers inside each other.
 *
 * RFC 8259, strict: UTF-8 (shortest forms, no byte order mark), no comments, no trailing commas.
 * json_parse() checks once; the walks and questions below take what it accepted.
 *
 *     struct json_walk walk = json_walk_of(object);
 *     struct json_member member;
 *     while (json_object_next(&walk, &member)) { … }
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

#define JSON_DEPTH_MAX 64

/* Not JSON_NULL and so on, which are the names of jansson. */
enum json_kind {
    JSON_KIND_NULL,
    JSON_KIND_FALSE,
    JSON_KIND_TRUE,
    JSON_KIND_NUMBER,
    JSON_KIND_STRING,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT,
};

/* A value where it stands: its first to its last byte, a string with its quotes. */
struct json_value {
    enum json_kind kind;
    struct span text;
};

struct json_member {
    struct span name; /* a string literal with its quotes */
    struct json_value value;
};

/* OK: `text` is one JSON value, blanks around it allowed. ERR_BAD_JSON: the byte at
 * `ret_fault_position` (text.length: it ends too early) cannot stand there, and `ret_fault` says
 * why in a few constant words. Both may be NULL. */
MUST_USE enum error_code json_check(struct span text, size_t *ret_fault_position,
                                    const char **ret_fault);

/* json_check(), and the value without the blanks around it. */
MUST_USE enum error_code json_parse(struct span text, struct json_value *ret_value,
                                    size_t *ret_fault_position, const char **ret_fault);

/* Where a walk through an array or object has come to. */
struct json_walk {
    struct span rest;
};

/* Whether the fault is JSON_DEPTH_MAX: what was looked at may well be JSON. */
bool json_is_too_deep(const char *fault);

/* Refuses `what` for the fault that was found: "The body is no JSON at byte 7: …", "The body is
 * nested too deep at byte 64: …". ERR_BAD_JSON. */
enum error_code json_refuse(struct error *why, const char *what, size_t position,
                            const char *fault);

/* Of anything but an array or object: a walk that is at its end. */
struct json_walk json_walk_of(struct json_value container);

/* The next element or member. False at the end. */
bool json_array_next(struct json_walk *walk, struct json_value *ret_value);
bool json_object_next(struct json_walk *walk, struct json_member *ret_member);

/* A number that is written as digits alone and fits. */
bool json_number_u64(struct json_value value, uint64_t *ret_number);

/* Is this string literal that ASCII word? Escapes are understood. */
bool json_string_is(struct span literal, const char *word);

/* Appends what a string literal means, as UTF-8. ERR_BAD_JSON: a surrogate without its other half;
 * nothing was added. ERR_TOO_LARGE, ERR_MEMORY. */
MUST_USE enum error_code json_string_put(struct buffer *buffer, struct span literal);

/* Appends UTF-8 text as a string literal: quotes and control characters escaped, the rest as it is.
 * ERR_TOO_LARGE, ERR_MEMORY: nothing was added. */
MUST_USE enum error_code json_escape_put(struct buffer *buffer, struct span text);
