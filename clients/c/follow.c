/* SPDX-License-Identifier: Apache-2.0 */
/* follow — an example of a device: it publishes what it has to say, then follows a channel, and
 * misses nothing however often it is stopped and started.
 *
 *     follow mqtt://localhost:1883 tennis/court-1 state.txt '{"score":"40-15"}'
 *
 * What makes it resume is two user properties, and nothing is stored at the broker for it:
 *
 *     on SUBSCRIBE   offset=true   each message says which one it is: `offset` and `id`
 *                    since=<id>    begin behind that message
 *
 * The id of the last message that was handled is in the state file. It is written behind the
 * handling: after a crash in between the message comes once more, and none is left out.
 *
 * Built like any program with Paho's C client:  cc follow.c -o follow -lpaho-mqtt3c
 */
#include <MQTTClient.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ID_BYTES 128
#define WAIT_MS 500L     /* how long a signal may wait */
#define ANSWER_MS 10000L /* how long the broker may take to acknowledge */
#define KEEP_ALIVE_S 30
#define RECONNECT_WAIT_S 1

/* SIGINT and SIGTERM wait until they are asked for here, so that nothing is cut off half done. */
static void hold_signals(sigset_t *signals) {
    sigemptyset(signals);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGTERM);
    sigprocmask(SIG_BLOCK, signals, NULL);
}

/* One came within the time. */
static bool is_told_to_stop(const sigset_t *signals, time_t wait_s) {
    struct timespec wait = {.tv_sec = wait_s};
    return sigtimedwait(signals, NULL, &wait) > 0;
}

/* --- the state file ------------------------------------------------------------------------- */

/* An id, or nothing where there is no file yet. */
static void read_id(const char *path, char id[ID_BYTES]) {
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(id, ID_BYTES, file) == NULL) {
        id[0] = '\0';
    }
    id[strcspn(id, "\n")] = '\0';
    if (file != NULL) {
        fclose(file);
    }
}

/* A file beside it takes its place: one that is cut off by a crash would be no id. */
static bool write_id(const char *path, const char *id) {
    char beside[4096];
    snprintf(beside, sizeof(beside), "%s.new", path);
    FILE *file = fopen(beside, "we");
    if (file == NULL) {
        return false;
    }
    bool is_written = fprintf(file, "%s\n", id) > 0;
    is_written &= fclose(file) == 0;
    return is_written && rename(beside, path) == 0;
}

/* --- user properties ------------------------------------------------------------------------ */

static void add_property(MQTTProperties *properties, const char *name, const char *value) {
    MQTTProperty property = {.identifier = MQTTPROPERTY_CODE_USER_PROPERTY};
    property.value.data.data = (char *)(uintptr_t)name; /* Paho copies it */
    property.value.data.len = (int)strlen(name);
    property.value.value.data = (char *)(uintptr_t)value;
    property.value.value.len = (int)strlen(value);
    MQTTProperties_add(properties, &property);
}

static void find_property(const MQTTProperties *properties, const char *name,
                          char value[ID_BYTES]) {
    value[0] = '\0';
    for (int i = 0; i < properties->count; i++) {
        const MQTTProperty *property = &properties->array[i];
        if (property->identifier == MQTTPROPERTY_CODE_USER_PROPERTY &&
            (size_t)property->value.data.len == strlen(name) &&
            memcmp(property->value.data.data, name, strlen(name)) == 0) {
            snprintf(value, ID_BYTES, "%.*s", property->value.value.len,
                     property->value.value.data);
        }
    }
}

/* --- the connection ------------------------------------------------------------------------- */

enum outcome {
    DONE,
    LOST,    /* there is no connection, or no more: try again */
    REFUSED, /* and would be again */
};

static const char *text_of(int code) {
    const char *text = code == MQTTCLIENT_FAILURE ? "the broker cannot be reached"
                       : code < 0                 ? MQTTClient_strerror(code)
                                                  : MQTTReasonCode_toString(code);
    return text == NULL ? "failed" : text;
}

/* Writes why it was not done. The broker's own words are in the reason string. */
static enum outcome judge(const char *what, int code, MQTTProperties *properties) {
    if (code >= MQTTREASONCODE_SUCCESS && code < MQTTREASONCODE_UNSPECIFIED_ERROR) {
        return DONE;
    }
    const MQTTProperty *why =
        properties == NULL
            ? NULL
            : MQTTProperties_getProperty(properties, MQTTPROPERTY_CODE_REASON_STRING);
    fprintf(stderr, "%s: %s%s%.*s\n", what, text_of(code), why == NULL ? "" : ": ",
            why == NULL ? 0 : why->value.data.len, why == NULL ? "" : why->value.data.data);
    return code < 0 ? LOST : REFUSED;
}

static enum outcome judge_response(const char *what, MQTTResponse response) {
    enum outcome outcome = judge(what, response.reasonCode, response.properties);
    MQTTResponse_free(response);
    return outcome;
}

/* A broker that is busy or going down refuses too, so that is no reason to give up. */
static enum outcome connect_to(MQTTClient client) {
    MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer5;
    options.cleanstart = 1;
    options.keepAliveInterval = KEEP_ALIVE_S;
    MQTTResponse response = MQTTClient_connect5(client, &options, NULL, NULL);
    return judge_response("connect", response) == DONE ? DONE : LOST;
}

static enum outcome subscribe_to(MQTTClient client, const char *channel, const char *id) {
    MQTTProperties properties = MQTTProperties_initializer;
    add_property(&properties, "offset", "true");
    if (id[0] != '\0') {
        add_property(&properties, "since", id);
    }
    MQTTResponse response = MQTTClient_subscribe5(client, channel, 1, NULL, &properties);
    MQTTProperties_free(&properties);
    return judge_response("subscribe", response);
}

/* The acknowledgement of what was published last. */
static void on_published(void *context, int token, int packet_type, MQTTProperties *properties,
                         enum MQTTReasonCodes reason) {
    (void)token;
    (void)packet_type;
    enum outcome *outcome = context;
    *outcome = judge("publish", reason, properties);
}

/* QoS 1: when this returns DONE the message is in the broker's log. */
static enum outcome publish_to(MQTTClient client, const char *channel, const char *text,
                               enum outcome *acknowledged) {
    MQTTClient_deliveryToken token = 0;
    *acknowledged = DONE;
    MQTTResponse response =
        MQTTClient_publish5(client, channel, (int)strlen(text), text, 1, 0, NULL, &token);
    enum outcome outcome = judge_response("publish", response);
    if (outcome == DONE &&
        MQTTClient_waitForCompletion(client, token, ANSWER_MS) != MQTTCLIENT_SUCCESS) {
        fprintf(stderr, "publish: no answer came\n");
        return LOST;
    }
    return outcome == DONE ? *acknowledged : outcome;
}

/* A message on $gap/… says that some are no longer kept: nothing is left out in silence. */
static void handle(const char *topic, const MQTTClient_message *message, char id[ID_BYTES]) {
    char offset[ID_BYTES];
    find_property(&message->properties, "offset", offset);
    find_property(&message->properties, "id", id);
    printf("%s %s %.*s\n", topic, offset[0] == '\0' ? "-" : offset, message->payloadlen,
           (const char *)message->payload);
    fflush(stdout);
}

/* Until the connection is lost (false), or it is told to stop (true). */
static bool follow(MQTTClient client, const char *path, char id[ID_BYTES],
                   const sigset_t *signals) {
    while (!is_told_to_stop(signals, 0)) {
        char *topic = NULL;
        int topic_length = 0;
        char last[ID_BYTES];
        MQTTClient_message *message = NULL;
        int code = MQTTClient_receive(client, &topic, &topic_length, &message, WAIT_MS);
        if (message == NULL && code != MQTTCLIENT_SUCCESS) {
            return false;
        }
        if (message == NULL) {
            continue;
        }
        handle(topic, message, last);
        MQTTClient_freeMessage(&message);
        MQTTClient_free(topic);
        if (last[0] != '\0') {
            memcpy(id, last, ID_BYTES);
            if (!write_id(path, id)) {
                perror(path);
            }
        }
    }
    return true;
}

/* One connection, from its beginning to its end. DONE: it is told to stop. */
static enum outcome run(MQTTClient client, int count, char **words, int *said, char id[ID_BYTES],
                        const sigset_t *signals, enum outcome *acknowledged) {
    enum outcome outcome = connect_to(client);
    if (outcome == DONE) {
        outcome = subscribe_to(client, words[2], id);
    }
    while (outcome == DONE && *said < count) {
        outcome = publish_to(client, words[2], words[*said], acknowledged);
        *said += outcome == DONE;
    }
    if (outcome == DONE && !follow(client, words[3], id, signals)) {
        outcome = LOST;
    }
    MQTTClient_disconnect5(client, 1000, MQTTREASONCODE_SUCCESS, NULL);
    return outcome;
}

int main(int count, char **words) {
    if (count < 4) {
        fprintf(stderr, "Usage: %s URL CHANNEL STATE-FILE [MESSAGE…]\n", words[0]);
        return 2;
    }
    char id[ID_BYTES];
    sigset_t signals;
    enum outcome acknowledged = DONE;
    MQTTClient client = NULL;
    MQTTClient_createOptions options = MQTTClient_createOptions_initializer;
    int said = 4; /* the messages before this word are published */
    options.MQTTVersion = MQTTVERSION_5;
    hold_signals(&signals);
    read_id(words[3], id);
    if (MQTTClient_createWithOptions(&client, words[1], "", MQTTCLIENT_PERSISTENCE_NONE, NULL,
                                     &options) != MQTTCLIENT_SUCCESS) {
        fprintf(stderr, "%s is not an address\n", words[1]);
        return 1;
    }
    MQTTClient_setPublished(client, &acknowledged, on_published);
    enum outcome outcome = LOST;
    for (bool is_over = false; outcome == LOST && !is_over;) {
        outcome = run(client, count, words, &said, id, &signals, &acknowledged);
        is_over = outcome == LOST && is_told_to_stop(&signals, RECONNECT_WAIT_S);
    }
    MQTTClient_destroy(&client);
    return outcome == REFUSED;
}
