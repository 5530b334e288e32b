/* SPDX-License-Identifier: Apache-2.0 */
/* Paho's asynchronous client would wake us at an acknowledgement, but keeps the acknowledgement's
 * properties to itself; the synchronous one tells them, while somebody receives. So a publish is
 * followed by short waits for messages, which do not come. */
#include "clients/cli/paho.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/http.h"

#define CONNECT_TIMEOUT_S 10
#define KEEP_ALIVE_S 30
#define ANSWER_TIMEOUT_MS 60000 /* a publish that is not answered for so long is given up */
#define ANSWER_WAIT_MS_MAX 64UL /* Paho sleeps longer than asked from 100 on */
#define GOODBYE_TIMEOUT_MS 1000

struct paho {
    MQTTClient client;
    uint32_t packet_bytes_max; /* that the broker takes; 0: it named none */
    struct paho_answer answer; /* to what was published */
    bool is_answered;
};

static bool is_secure_url(const char *url) {
    return strncmp(url, "mqtts://", 8) == 0;
}

bool paho_is_url(const char *url) {
    return strncmp(url, "mqtt://", 7) == 0 || is_secure_url(url);
}

/* What is wrong with it, in words that give no password away; or NULL. */
static const char *fault_of(const char *url) {
    const char *host = strstr(url, "://") + 3;
    const char *path = host + strcspn(host, "/?#");
    if (memchr(host, '@', (size_t)(path - host)) != NULL) {
        return "user and password in a URL are seen by others: TIDINGS_TOKEN, or --token";
    }
    if (path[strspn(path, "/")] != '\0') {
        return "a URL of MQTT has no path: mqtt://HOST, or mqtt://HOST:PORT";
    }
    return path == host ? "a URL of MQTT names a host: mqtt://HOST, or mqtt://HOST:PORT" : NULL;
}

/* What names no scheme is HTTP's. */
static bool is_foreign(const char *url) {
    return strstr(url, "://") != NULL && strncasecmp(url, "http://", 7) != 0 &&
           strncasecmp(url, "https://", 8) != 0;
}

bool paho_takes_url(const char *url) {
    const char *fault = paho_is_url(url) ? fault_of(url)
                        : is_foreign(url)
                            ? "--url begins with http://, https://, mqtt:// or mqtts://"
                            : NULL;
    if (fault != NULL) {
        fprintf(stderr, "tidings: %s\n", fault);
    }
    return fault == NULL;
}

/* --- answers -------------------------------------------------------------------------------- */

static void copy_text(char *to, size_t size, const MQTTLenString *from) {
    if (from != NULL) {
        snprintf(to, size, "%.*s", from->len, from->data);
    }
}

static const MQTTLenString *reason_string(MQTTProperties *properties) {
    const MQTTProperty *property =
        properties == NULL
            ? NULL
            : MQTTProperties_getProperty(properties, MQTTPROPERTY_CODE_REASON_STRING);
    return property == NULL ? NULL : &property->value.data;
}

/* Nothing was heard from the broker. */
static void fail(struct paho_answer *answer, const char *text) {
    *answer = (struct paho_answer){.reason = MQTTREASONCODE_UNSPECIFIED_ERROR};
    snprintf(answer->text, sizeof(answer->text), "%s", text == NULL ? "it failed" : text);
}

static void refuse(struct paho_answer *answer, enum MQTTReasonCodes reason,
                   const MQTTLenString *text) {
    const char *name = MQTTReasonCode_toString(reason);
    *answer = (struct paho_answer){.reason = reason};
    snprintf(answer->text, sizeof(answer->text), "the broker refused with 0x%02X (%s)%s%.*s",
             (unsigned)reason, name == NULL ? "unknown" : name, text == NULL ? "" : ": ",
             text == NULL ? 0 : text->len, text == NULL ? "" : text->data);
}

/* Takes the response; of several filters the worst reason counts. */
static bool settle(MQTTResponse response, struct paho_answer *ret_answer) {
    int code = (int)response.reasonCode;
    *ret_answer = (struct paho_answer){.is_done = true};
    for (int i = 0; response.reasonCodes != NULL && i < response.reasonCodeCount; i++) {
        code = (int)response.reasonCodes[i] > code ? (int)response.reasonCodes[i] : code;
    }
    if (code < 0) {
        fail(ret_answer,
             code == MQTTCLIENT_FAILURE ? "the connection was lost" : MQTTClient_strerror(code));
        ret_answer->is_cut = code == MQTTCLIENT_FAILURE;
    } else if (code >= MQTTREASONCODE_UNSPECIFIED_ERROR) {
        refuse(ret_answer, (enum MQTTReasonCodes)code, reason_string(response.properties));
    }
    MQTTResponse_free(response);
    return ret_answer->is_done;
}

/* What a broker is told in vain: it would end the connection, and Paho would not say why. */
static void refuse_size(struct paho_answer *answer, uint64_t packet_bytes,
                        uint32_t packet_bytes_max) {
    *answer = (struct paho_answer){.reason = MQTTREASONCODE_PACKET_TOO_LARGE};
    snprintf(answer->text, sizeof(answer->text),
             "a packet of %" PRIu64 " bytes is too large: the broker takes %" PRIu32, packet_bytes,
             packet_bytes_max);
}

/* While somebody receives. */
static void on_published(void *context, int token, int packet_type, MQTTProperties *properties,
                         enum MQTTReasonCodes reason) {
    (void)token; /* there is one at a time */
    (void)packet_type;
    struct paho *paho = context;
    struct paho_answer *answer = &paho->answer;
    paho->is_answered = true;
    if (reason >= MQTTREASONCODE_UNSPECIFIED_ERROR) {
        refuse(answer, reason, reason_string(properties));
        return;
    }
    *answer = (struct paho_answer){.is_done = true};
    copy_text(answer->offset, sizeof(answer->offset), paho_find_property(properties, "offset"));
    copy_text(answer->id, sizeof(answer->id), paho_find_property(properties, "id"));
}

/* --- the calls ------------------------------------------------------------------------------ */

static struct paho *allocate(const char *url) {
    MQTTClient_createOptions options = MQTTClient_createOptions_initializer;
    struct paho *paho = calloc(1, sizeof(*paho));
    char *address = strdup(url);
    if (paho == NULL || address == NULL) {
        free(paho);
        free(address);
        return NULL;
    }
    for (size_t length = strlen(address); length > 0 && address[length - 1] == '/'; length--) {
        address[length - 1] = '\0';
    }
    options.MQTTVersion = MQTTVERSION_5;
    int code = MQTTClient_createWithOptions(&paho->client, address, "", MQTTCLIENT_PERSISTENCE_NONE,
                                            NULL, &options);
    free(address);
    if (code == MQTTCLIENT_SUCCESS) {
        code = MQTTClient_setPublished(paho->client, paho, on_published);
    }
    if (code != MQTTCLIENT_SUCCESS) {
        paho_destroy(paho);
        return NULL;
    }
    return paho;
}

static uint32_t read_packet_bytes_max(MQTTProperties *properties) {
    const MQTTProperty *property =
        properties == NULL
            ? NULL
            : MQTTProperties_getProperty(properties, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE);
    return property == NULL ? 0 : property->value.integer4;
}

struct paho *paho_create(const char *url, const struct trust *trust,
                         struct paho_answer *ret_answer) {
    *ret_answer = (struct paho_answer){.reason = MQTTREASONCODE_NOT_AUTHORIZED};
    struct paho *paho = allocate(url);
    if (paho == NULL) {
        snprintf(ret_answer->text, sizeof(ret_answer->text), "no address, or out of memory");
        return NULL;
    }
    MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer5;
    options.keepAliveInterval = KEEP_ALIVE_S;
    options.cleanstart = 1;
    options.connectTimeout = CONNECT_TIMEOUT_S;
    MQTTClient_SSLOptions secure;
    trust_apply_to_mqtt(trust, is_secure_url(url), &secure, &options);
    MQTTResponse response = MQTTClient_connect5(paho->client, &options, NULL, NULL);
    bool is_silent = (int)response.reasonCode == MQTTCLIENT_FAILURE;
    paho->packet_bytes_max = read_packet_bytes_max(response.properties);
    if (!settle(response, ret_answer)) {
        if (is_silent) {
            snprintf(ret_answer->text, sizeof(ret_answer->text),
                     is_secure_url(url)
                         ? "%s cannot be reached, or its certificate is not trusted (--ca)"
                         : "%s cannot be reached: is MQTT listening there?",
                     url);
        }
        paho_destroy(paho);
        return NULL;
    }
    return paho;
}

void paho_destroy(struct paho *paho) {
    if (paho == NULL) {
        return;
    }
    if (paho_is_open(paho)) {
        MQTTClient_disconnect5(paho->client, GOODBYE_TIMEOUT_MS, MQTTREASONCODE_SUCCESS, NULL);
    }
    MQTTClient_destroy(&paho->client);
    free(paho);
}

bool paho_is_open(struct paho *paho) {
    return paho->client != NULL && MQTTClient_isConnected(paho->client);
}

/* Of a number as a variable byte integer. */
static unsigned size_of(uint64_t number) {
    return number < 128 ? 1 : number < 16384 ? 2 : number < 2097152 ? 3 : 4;
}

/* Of a PUBLISH with a packet identifier. */
static uint64_t packet_bytes_of(const char *topic, const MQTTClient_message *message) {
    uint64_t properties = (uint64_t)message->properties.length;
    uint64_t rest =
        2 + strlen(topic) + 2 + size_of(properties) + properties + (uint64_t)message->payloadlen;
    return 1 + size_of(rest) + rest;
}

bool paho_publish(struct paho *paho, const char *topic, MQTTClient_message *message,
                  struct paho_answer *ret_answer) {
    uint64_t until_ms = http_now_ms() + ANSWER_TIMEOUT_MS;
    unsigned long wait_ms = 1;
    MQTTClient_deliveryToken token = 0;
    uint64_t packet_bytes = packet_bytes_of(topic, message);
    paho->is_answered = false;
    if (paho->packet_bytes_max > 0 && packet_bytes > paho->packet_bytes_max) {
        refuse_size(ret_answer, packet_bytes, paho->packet_bytes_max);
        return false;
    }
    if (!settle(MQTTClient_publishMessage5(paho->client, topic, message, &token), ret_answer)) {
        return false;
    }
    while (!paho->is_answered && http_now_ms() < until_ms) {
        struct paho_delivery none;
        bool is_open = paho_receive(paho, wait_ms, &none);
        paho_free(&none);
        if (!is_open && !paho->is_answered) {
            fail(ret_answer, "the connection was lost");
            return false;
        }
        wait_ms = wait_ms < ANSWER_WAIT_MS_MAX ? wait_ms * 2 : wait_ms;
    }
    if (!paho->is_answered) {
        fail(ret_answer, "no answer came");
        return false;
    }
    *ret_answer = paho->answer;
    return ret_answer->is_done;
}

bool paho_subscribe(struct paho *paho, char *const *filters, int count, MQTTProperties *properties,
                    struct paho_answer *ret_answer) {
    MQTTSubscribe_options each[PAHO_FILTERS_MAX];
    int qos[PAHO_FILTERS_MAX] = {0};
    for (int i = 0; i < count; i++) {
        each[i] = (MQTTSubscribe_options)MQTTSubscribe_options_initializer;
        each[i].retainHandling = 2; /* messages alone; what is retained is in the history */
    }
    return settle(MQTTClient_subscribeMany5(paho->client, count, filters, qos, each, properties),
                  ret_answer);
}

bool paho_receive(struct paho *paho, unsigned long timeout_ms, struct paho_delivery *ret_delivery) {
    int length = 0;
    *ret_delivery = (struct paho_delivery){0};
    int code = MQTTClient_receive(paho->client, &ret_delivery->topic, &length,
                                  &ret_delivery->message, timeout_ms);
    if (ret_delivery->message == NULL) {
        return code == MQTTCLIENT_SUCCESS && paho_is_open(paho);
    }
    ret_delivery->topic_length = length > 0 ? (size_t)length : strlen(ret_delivery->topic);
    return true;
}

void paho_free(struct paho_delivery *delivery) {
    if (delivery->message != NULL) {
        MQTTClient_freeMessage(&delivery->message);
        MQTTClient_free(delivery->topic);
    }
}

bool paho_is_passing(const struct paho_answer *answer) {
    static const enum MQTTReasonCodes passing[] = {
        MQTTREASONCODE_UNSPECIFIED_ERROR,     MQTTREASONCODE_SERVER_UNAVAILABLE,
        MQTTREASONCODE_SERVER_BUSY,           MQTTREASONCODE_SERVER_SHUTTING_DOWN,
        MQTTREASONCODE_QUOTA_EXCEEDED,        MQTTREASONCODE_MESSAGE_RATE_TOO_HIGH,
        MQTTREASONCODE_ADMINISTRATIVE_ACTION, MQTTREASONCODE_CONNECTION_RATE_EXCEEDED,
    };
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
        if (passing[i] == answer->reason) {
            return true;
        }
    }
    return false;
}

/* --- properties ----------------------------------------------------------------------------- */

bool paho_add_property(MQTTProperties *properties, const char *name, const char *value) {
    MQTTProperty property = {.identifier = MQTTPROPERTY_CODE_USER_PROPERTY};
    property.value.data.data = (char *)(uintptr_t)name;
    property.value.data.len = (int)strlen(name);
    property.value.value.data = (char *)(uintptr_t)value;
    property.value.value.len = (int)strlen(value);
    return MQTTProperties_add(properties, &property) == 0;
}

const MQTTLenString *paho_find_property(const MQTTProperties *properties, const char *name) {
    size_t length = strlen(name);
    const MQTTLenString *found = NULL;
    for (int i = 0; properties != NULL && i < properties->count; i++) {
        const MQTTProperty *property = &properties->array[i];
        if (property->identifier == MQTTPROPERTY_CODE_USER_PROPERTY &&
            (size_t)property->value.data.len == length &&
            memcmp(property->value.data.data, name, length) == 0) {
            found = &property->value.value;
        }
    }
    return found;
}
