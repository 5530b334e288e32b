/* SPDX-License-Identifier: Apache-2.0 */
/* JSON is put into the envelope as it came: jansson, which only judges it, would write numbers
 * anew. */
#include "clients/cli/paho_message.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/paho.h"

#define EVENT_PROPERTY "tidings-event"
#define KEY_PROPERTY "tidings-key"

char *paho_filter_of(const char *pattern) {
    char *filter = malloc(strlen(pattern) + 1);
    char *end = filter;
    for (const char *at = pattern; filter != NULL; at++) {
        size_t length = strcspn(at, "/");
        if (length == 1 && *at == '*') {
            *end++ = '+';
        } else if (length == 2 && strncmp(at, "**", 2) == 0) {
            *end++ = '#';
        } else {
            memcpy(end, at, length);
            end += length;
        }
        at += length;
        if (*at == '\0') {
            *end = '\0';
            break;
        }
        *end++ = '/';
    }
    return filter;
}

bool paho_is_filter(const char *filter) {
    for (const char *at = filter; *at != '\0';) {
        size_t length = strcspn(at, "/");
        size_t plain = strcspn(at, "/+#");
        if (plain < length && length != 1) {
            return false; /* a wildcard with something beside it */
        }
        if (*at == '#') {
            return at[1] == '\0';
        }
        at += length;
        at += *at == '/';
    }
    return *filter != '\0';
}

/* False: it is no UTF-8. */
static bool write_string(FILE *stream, const char *text, size_t length) {
    json_t *value = json_stringn(text, length);
    bool is_text = value != NULL && json_dumpf(value, stream, JSON_ENCODE_ANY) == 0;
    json_decref(value);
    return is_text;
}

static void write_member(FILE *stream, const char *name, const MQTTLenString *value) {
    if (value != NULL) {
        fprintf(stream, ",\"%s\":", name);
        write_string(stream, value->data, (size_t)value->len);
    }
}

static void write_base64(FILE *stream, const void *bytes, size_t length) {
    char *text = malloc(4 * (length / 3 + 1) + 1);
    if (text != NULL) {
        EVP_EncodeBlock((unsigned char *)text, bytes, (int)length);
        fprintf(stream, ",\"data_base64\":\"%s\"", text);
    }
    free(text);
}

static bool is_default_type(const MQTTLenString *type) {
    static const char json[] = "application/json";
    return type == NULL || ((size_t)type->len == sizeof(json) - 1 &&
                            memcmp(type->data, json, sizeof(json) - 1) == 0);
}

static bool is_json_type(const MQTTLenString *type) {
    return type == NULL || (type->len >= 4 && memcmp(type->data + type->len - 4, "json", 4) == 0);
}

static bool is_json(const char *bytes, size_t length) {
    json_t *value = json_loadb(bytes, length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    json_decref(value);
    return value != NULL;
}

static void write_data(FILE *stream, const MQTTClient_message *message, const MQTTLenString *type) {
    const char *bytes = message->payload;
    size_t length = (size_t)message->payloadlen;
    json_t *text = json_stringn(length == 0 ? "" : bytes, length);
    if (is_json_type(type) && is_json(bytes, length)) {
        fputs(",\"data\":", stream);
        fwrite(bytes, 1, length, stream);
        write_member(stream, "type", is_default_type(type) ? NULL : type);
    } else if (text != NULL) {
        fputs(",\"data\":", stream);
        json_dumpf(text, stream, JSON_ENCODE_ANY);
        static const MQTTLenString plain = {.len = 10, .data = (char *)(uintptr_t) "text/plain"};
        write_member(stream, "type", type == NULL ? &plain : type);
    } else {
        write_base64(stream, bytes, length);
        write_member(stream, "type", type);
    }
    json_decref(text);
}

static bool is_own(const MQTTLenString *name) {
    static const char *const own[] = {"offset", "id", EVENT_PROPERTY, KEY_PROPERTY};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if ((size_t)name->len == strlen(own[i]) &&
            memcmp(name->data, own[i], (size_t)name->len) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_same(const MQTTLenString *left, const MQTTLenString *right) {
    return left->len == right->len &&
           (left->len == 0 || memcmp(left->data, right->data, (size_t)left->len) == 0);
}

/* The index of the first header of that name from `start` on; the count: there is none. */
static int find_header(const MQTTProperties *properties, int start, const MQTTLenString *name) {
    int i = start;
    while (i < properties->count &&
           (properties->array[i].identifier != MQTTPROPERTY_CODE_USER_PROPERTY ||
            !is_same(&properties->array[i].value.data, name))) {
        i++;
    }
    return i;
}

/* Those of one name, joined as the broker joins them. */
static void write_values(FILE *stream, const MQTTProperties *properties, int first) {
    char *text = NULL;
    size_t length = 0;
    FILE *joined = open_memstream(&text, &length);
    if (joined == NULL) {
        return;
    }
    const MQTTLenString *name = &properties->array[first].value.data;
    for (int i = first; i < properties->count; i = find_header(properties, i + 1, name)) {
        const MQTTLenString *value = &properties->array[i].value.value;
        fputs(i == first ? "" : ", ", joined);
        fwrite(value->data, 1, (size_t)value->len, joined);
    }
    if (fclose(joined) == 0) {
        write_string(stream, text, length);
    }
    free(text);
}

static void write_headers(FILE *stream, const MQTTProperties *properties) {
    const char *before = ",\"headers\":{";
    for (int i = 0; i < properties->count; i++) {
        const MQTTProperty *property = &properties->array[i];
        const MQTTLenString *name = &property->value.data;
        if (property->identifier == MQTTPROPERTY_CODE_USER_PROPERTY && !is_own(name) &&
            find_header(properties, 0, name) == i) {
            fputs(before, stream);
            write_string(stream, name->data, (size_t)name->len);
            fputc(':', stream);
            write_values(stream, properties, i);
            before = ",";
        }
    }
    if (strcmp(before, ",") == 0) {
        fputc('}', stream);
    }
}

char *paho_envelope_of(const char *topic, size_t topic_length, const MQTTClient_message *message,
                       size_t *ret_length) {
    char *envelope = NULL;
    FILE *stream = open_memstream(&envelope, ret_length);
    if (stream == NULL) {
        return NULL;
    }
    MQTTProperties properties = message->properties;
    const MQTTProperty *type =
        MQTTProperties_getProperty(&properties, MQTTPROPERTY_CODE_CONTENT_TYPE);
    const MQTTLenString *offset = paho_find_property(&properties, "offset");
    fputs("{\"channel\":", stream);
    write_string(stream, topic, topic_length);
    if (offset != NULL) {
        fprintf(stream, ",\"offset\":%.*s", offset->len, offset->data);
    }
    write_member(stream, "id", paho_find_property(&properties, "id"));
    write_data(stream, message, type == NULL ? NULL : &type->value.data);
    write_member(stream, "event", paho_find_property(&properties, EVENT_PROPERTY));
    write_member(stream, "key", paho_find_property(&properties, KEY_PROPERTY));
    write_headers(stream, &properties);
    fputc('}', stream);
    if (fclose(stream) != 0) {
        free(envelope);
        return NULL;
    }
    return envelope;
}
