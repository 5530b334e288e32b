/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/receipt.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SOURCE_PREFIX "/channels/" /* of a CloudEvent's `source` */
#define RUNS_SHOWN 3               /* channels that are named on a line to read */
#define TIME_BYTES 32

/* Messages that follow one another in one channel. */
struct run {
    const char *channel;
    json_int_t first;
    json_int_t last;
};

static void format_time(int64_t time_ms, char ret_text[TIME_BYTES]) {
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(ret_text, TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        snprintf(ret_text, TIME_BYTES, "-");
    }
}

/* --- what is in the body --------------------------------------------------------------------- */

/* Adds {"channel","offset"} of an envelope or a CloudEvent. False: it is neither. */
static bool add_place(json_t *places, const json_t *message) {
    const char *channel = json_string_value(json_object_get(message, "channel"));
    const json_t *offset = json_object_get(message, "offset");
    if (channel == NULL) {
        const char *source = json_string_value(json_object_get(message, "source"));
        size_t prefix = strlen(SOURCE_PREFIX);
        offset = json_object_get(message, "tidingsoffset");
        channel =
            source != NULL && strncmp(source, SOURCE_PREFIX, prefix) == 0 ? source + prefix : NULL;
    }
    /* CloudEvents have integers of 32 bits, so a sender may have written a string. */
    const char *digits = json_string_value(offset);
    json_int_t number = digits == NULL ? json_integer_value(offset) : strtoll(digits, NULL, 10);
    return channel != NULL &&
           json_array_append_new(
               places, json_pack("{s:s, s:I}", "channel", channel, "offset", number)) == 0;
}

/* An array, or a line each. */
static void add_places(json_t *places, const char *body, size_t length) {
    json_t *whole = json_loadb(body, length, 0, NULL);
    for (size_t i = 0; i < json_array_size(whole); i++) {
        add_place(places, json_array_get(whole, i));
    }
    if (json_is_object(whole)) {
        add_place(places, whole);
    }
    const char *end = body + length;
    for (const char *line = body; whole == NULL && line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop == NULL ? end : stop;
        json_t *message = json_loadb(line, (size_t)(stop - line), 0, NULL);
        add_place(places, message);
        json_decref(message);
        line = stop + 1;
    }
    json_decref(whole);
}

/* [{"channel","offset"}…], to be let go of. NULL: out of memory. */
static json_t *list_places(const struct receipt *receipt) {
    json_t *places = json_array();
    if (places == NULL) {
        return NULL;
    }
    if (receipt->channel != NULL) {
        json_int_t offset = receipt->offset == NULL ? 0 : strtoll(receipt->offset, NULL, 10);
        json_array_append_new(
            places, json_pack("{s:s, s:I}", "channel", receipt->channel, "offset", offset));
    } else {
        add_places(places, receipt->claim.body, receipt->claim.body_length);
    }
    return places;
}

/* --- a line to read -------------------------------------------------------------------------- */

static void write_safely(FILE *stream, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        fputc(byte == '\n' || byte == '\t' ? ' ' : byte < ' ' || byte == 0x7f ? '?' : byte, stream);
    }
}

static void write_word(FILE *stream, const char *text) {
    fputc(' ', stream);
    write_safely(stream, text == NULL ? "-" : text, text == NULL ? 1 : strlen(text));
}

static void write_run(FILE *stream, const struct run *run) {
    write_word(stream, run->channel);
    fprintf(stream, "#%lld", (long long)run->first);
    if (run->last != run->first) {
        fprintf(stream, "-%lld", (long long)run->last);
    }
}

/* " tennis/court-1#1-99 tennis/court-2#7 … (100 messages)". */
static void write_places(FILE *stream, const json_t *places) {
    struct run run = {0};
    size_t run_count = 0;
    for (size_t i = 0; i < json_array_size(places); i++) {
        const json_t *place = json_array_get(places, i);
        const char *channel = json_string_value(json_object_get(place, "channel"));
        json_int_t offset = json_integer_value(json_object_get(place, "offset"));
        if (run_count > 0 && strcmp(run.channel, channel) == 0 && offset == run.last + 1) {
            run.last = offset;
            continue;
        }
        if (run_count > 0 && run_count <= RUNS_SHOWN) {
            write_run(stream, &run);
        }
        run = (struct run){channel, offset, offset};
        run_count++;
    }
    if (run_count > 0 && run_count <= RUNS_SHOWN) {
        write_run(stream, &run);
    } else if (run_count > RUNS_SHOWN) {
        fputs(" …", stream);
    }
    if (json_array_size(places) > 1) {
        fprintf(stream, " (%zu messages)", json_array_size(places));
    }
}

/* The beginning, not cut inside a character of UTF-8. */
static void write_body(FILE *stream, const char *body, size_t length) {
    size_t shown = length < RECEIPT_BODY_SHOWN ? length : RECEIPT_BODY_SHOWN;
    while (shown < length && shown > 0 && ((unsigned char)body[shown] & 0xc0) == 0x80) {
        shown--;
    }
    fputc(' ', stream);
    write_safely(stream, body, shown);
    if (shown < length) {
        fprintf(stream, "… (%zu bytes)", length);
    }
}

bool receipt_write_line(FILE *stream, const struct receipt *receipt) {
    char time[TIME_BYTES];
    json_t *places = list_places(receipt);
    format_time(receipt->received_ms, time);
    fprintf(stream, "%s %u %s", time, receipt->status, verify_word(receipt->verdict));
    fputs(receipt->is_repeat ? " again" : "", stream);
    write_word(stream, receipt->claim.id);
    write_places(stream, places);
    write_body(stream, receipt->claim.body, receipt->claim.body_length);
    fputc('\n', stream);
    json_decref(places);
    return fflush(stream) == 0;
}

/* --- a line of JSON -------------------------------------------------------------------------- */

/* As text where it is UTF-8, which jansson judges. */
static bool put_body(json_t *object, const char *body, size_t length) {
    json_t *text = json_stringn(body, length);
    if (text != NULL) {
        return json_object_set_new(object, "body", text) == 0;
    }
    char *encoded = malloc((length + 2) / 3 * 4 + 1);
    bool is_good = encoded != NULL;
    if (is_good) {
        EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)body, (int)length);
        is_good = json_object_set_new(object, "body_base64", json_string(encoded)) == 0;
    }
    free(encoded);
    return is_good;
}

static void put_text(json_t *object, const char *name, const char *text) {
    /* What is no UTF-8 is no header that a sender of ours sends: left out. */
    if (text != NULL) {
        json_object_set_new(object, name, json_string(text));
    }
}

bool receipt_write_json(FILE *stream, const struct receipt *receipt) {
    char time[TIME_BYTES];
    json_t *object = json_object();
    format_time(receipt->received_ms, time);
    put_text(object, "time", time);
    json_object_set_new(object, "status", json_integer(receipt->status));
    put_text(object, "signature", verify_word(receipt->verdict));
    put_text(object, "webhook_id", receipt->claim.id);
    put_text(object, "webhook_timestamp", receipt->claim.timestamp);
    json_object_set_new(object, "repeat", json_boolean(receipt->is_repeat));
    json_object_set_new(object, "messages", list_places(receipt));
    put_text(object, "content_type", receipt->media_type);
    bool is_good = object != NULL &&
                   put_body(object, receipt->claim.body, receipt->claim.body_length) &&
                   json_dumpf(object, stream, JSON_COMPACT) == 0;
    json_decref(object);
    if (!is_good) {
        errno = ENOMEM;
        return false;
    }
    fputc('\n', stream);
    return fflush(stream) == 0;
}
