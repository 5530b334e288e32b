/* SPDX-License-Identifier: Apache-2.0 */
/* Counting must cost less than serving. So frames are skipped by their lengths, not parsed; a frame
 * that is cut by the end of a read is skipped on in the next one. Only the time in a payload that
 * lies whole in one read is taken: a sample, of nearly all. */
#include "tests/bench/readers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/mqtt.h"

#define READ_BYTES 262144
#define HEAD_BYTES_MAX 256
#define EVENTS_MAX 512
#define ACKNOWLEDGED_BYTES_MAX 65536
#define TIME_DIGITS 16

struct reader {
    int file;
    uint64_t skip;        /* bytes of the current message that are still to come */
    uint32_t head_length; /* bytes of a head that was cut */
    uint8_t head[HEAD_BYTES_MAX];
};

struct readers {
    const struct load_options *options;
    int epoll;
    struct reader *all;
    uint8_t *bytes;
    uint64_t delivered;
    uint64_t closed;
    uint64_t now_us; /* of the current read */
    struct histogram latencies;
    size_t acknowledged_bytes; /* acknowledgements of the current read, sent together */
    uint8_t acknowledged[ACKNOWLEDGED_BYTES_MAX];
};

/* Takes the time out of a payload that lies whole in memory. */
static void note_time(struct readers *readers, const uint8_t *bytes, size_t length) {
    const uint8_t *mark = memmem(bytes, length, "\"t\":", 4);
    if (mark == NULL || (size_t)(bytes + length - mark) < 4 + TIME_DIGITS) {
        return;
    }
    uint64_t sent = 0;
    for (int index = 0; index < TIME_DIGITS; index++) {
        sent = sent * 10 + (uint64_t)(mark[4 + index] - '0');
    }
    sent -= LOAD_TIME_BASE_US;
    histogram_add(&readers->latencies, readers->now_us > sent ? readers->now_us - sent : 0);
}

/* A frame's header (RFC 6455, 5.2) of a server: 2, 4 or 10 bytes. 0: not whole yet. */
static size_t websocket_head(const uint8_t *bytes, size_t length, uint64_t *ret_payload) {
    if (length < 2) {
        return 0;
    }
    uint64_t payload = bytes[1] & 0x7f;
    size_t head = payload == 127 ? 10 : payload == 126 ? 4 : 2;
    if (length < head) {
        return 0;
    }
    if (head > 2) {
        payload = 0;
        for (size_t index = 2; index < head; index++) {
            payload = payload << 8 | bytes[index];
        }
    }
    *ret_payload = payload;
    return head;
}

/* A frame that is no message: a ping is answered, with an empty mask. */
static void websocket_control(struct reader *reader, const uint8_t *head, const uint8_t *payload,
                              size_t length) {
    if ((head[0] & 0x0f) != 9 || length > 125) {
        return;
    }
    uint8_t pong[6 + 125] = {0x8a, (uint8_t)(0x80 | length)};
    memcpy(pong + 6, payload, length);
    load_write(reader->file, pong, 6 + length);
}

static size_t take_websocket(struct readers *readers, struct reader *reader, const uint8_t *bytes,
                             size_t length) {
    uint64_t payload;
    size_t head = websocket_head(bytes, length, &payload);
    if (head == 0) {
        return 0;
    }
    bool is_message = (bytes[0] & 0x0f) == 1;
    bool is_whole = length - head >= payload;
    if (is_message) {
        readers->delivered++;
        if (is_whole) {
            note_time(readers, bytes + head, payload);
        }
    } else if (!is_whole) {
        return 0;
    } else {
        websocket_control(reader, bytes, bytes + head, payload);
    }
    reader->skip = head + payload;
    return 1;
}

/* Lines up to an empty one; an event that carries a time is a message. */
static size_t take_events(struct readers *readers, struct reader *reader, const uint8_t *bytes,
                          size_t length) {
    const uint8_t *end = memmem(bytes, length, "\n", 1);
    if (end == NULL) {
        return length < HEAD_BYTES_MAX ? 0 : (reader->skip = length, 1);
    }
    size_t line = (size_t)(end - bytes) + 1;
    if (line > 5 && memcmp(bytes, "data:", 5) == 0) {
        readers->delivered++;
        note_time(readers, bytes, line);
    }
    reader->skip = line;
    return 1;
}

/* "MSG subject sid length\r\n", the payload, "\r\n". */
static size_t take_nats(struct readers *readers, struct reader *reader, const uint8_t *bytes,
                        size_t length) {
    const uint8_t *end = memchr(bytes, '\n', length);
    if (end == NULL) {
        return length < HEAD_BYTES_MAX ? 0 : (reader->skip = length, 1);
    }
    size_t line = (size_t)(end - bytes) + 1;
    reader->skip = line;
    if (line > 4 && memcmp(bytes, "MSG ", 4) == 0) {
        const uint8_t *number = memrchr(bytes, ' ', line);
        uint64_t payload = strtoull((const char *)number, NULL, 10);
        readers->delivered++;
        if (length - line >= payload) {
            note_time(readers, bytes + line, payload);
        }
        reader->skip = line + payload + 2;
    } else if (line > 4 && memcmp(bytes, "PING", 4) == 0) {
        load_write(reader->file, "PONG\r\n", 6);
    }
    return 1;
}

static void acknowledge(struct readers *readers, struct reader *reader) {
    load_write(reader->file, readers->acknowledged, readers->acknowledged_bytes);
    readers->acknowledged_bytes = 0;
}

static size_t take_mqtt(struct readers *readers, struct reader *reader, const uint8_t *bytes,
                        size_t length) {
    struct mqtt_packet packet;
    if (!mqtt_read(bytes, length, &packet)) {
        return 0;
    }
    reader->skip = packet.length;
    if (packet.type != MQTT_PUBLISH) {
        return 1;
    }
    readers->delivered++;
    if (length >= packet.length) {
        note_time(readers, bytes + packet.payload_from, packet.length - packet.payload_from);
    }
    if (packet.qos > 0) {
        readers->acknowledged_bytes +=
            mqtt_put_puback(readers->acknowledged + readers->acknowledged_bytes, packet.id);
        if (readers->acknowledged_bytes + MQTT_HEAD_BYTES_MAX > ACKNOWLEDGED_BYTES_MAX) {
            acknowledge(readers, reader);
        }
    }
    return 1;
}

/* Looks at the head of the message at `bytes` and sets `skip` to its length. 0: the head is cut. */
typedef size_t take_function(struct readers *readers, struct reader *reader, const uint8_t *bytes,
                             size_t length);
static take_function *const takers[] = {
    [LOAD_WEBSOCKET] = take_websocket, [LOAD_EVENTS] = take_events,  [LOAD_NATS] = take_nats,
    [LOAD_MQTT_QOS0] = take_mqtt,      [LOAD_MQTT_QOS1] = take_mqtt,
};

/* Reads once behind what was kept of a cut head, and goes from message to message. */
static void read_some(struct readers *readers, struct reader *reader) {
    memcpy(readers->bytes, reader->head, reader->head_length);
    ssize_t count = recv(reader->file, readers->bytes + reader->head_length, READ_BYTES, 0);
    if (count <= 0) {
        if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
            readers->closed++;
            close(reader->file);
            reader->file = -1;
        }
        return;
    }
    size_t length = reader->head_length + (size_t)count;
    const uint8_t *bytes = readers->bytes;
    reader->head_length = 0;
    readers->now_us = load_now_us();
    while (length > 0) {
        size_t step = reader->skip < length ? (size_t)reader->skip : length;
        reader->skip -= step;
        bytes += step;
        length -= step;
        if (length == 0 || reader->skip > 0) {
            break;
        }
        if (takers[readers->options->kind](readers, reader, bytes, length) == 0) {
            size_t kept = length < HEAD_BYTES_MAX ? length : HEAD_BYTES_MAX;
            memcpy(reader->head, bytes, kept);
            reader->head_length = (uint32_t)kept;
            break;
        }
    }
    if (readers->acknowledged_bytes > 0) {
        acknowledge(readers, reader);
    }
}

/* Reads up to and with `mark`, byte by byte: what follows belongs to the loop. */
static void read_until(const struct reader *reader, const char *mark, char *text, size_t room) {
    size_t used = 0;
    while (memmem(text, used, mark, strlen(mark)) == NULL) {
        if (used == room || recv(reader->file, text + used, 1, 0) <= 0) {
            load_fail("a handshake");
        }
        used++;
    }
}

static void read_exactly(const struct reader *reader, uint8_t *bytes, size_t length) {
    if (recv(reader->file, bytes, length, MSG_WAITALL) != (ssize_t)length) {
        load_fail("a handshake");
    }
}

static void subscribe_mqtt(const struct load_options *options, const struct reader *reader) {
    uint8_t bytes[2 * MQTT_HEAD_BYTES_MAX];
    uint8_t qos = options->kind == LOAD_MQTT_QOS1;
    size_t length = mqtt_put_connect(bytes);
    length += mqtt_put_subscribe(bytes + length, options->channel, qos);
    load_write(reader->file, bytes, length);
    read_exactly(reader, bytes, 4); /* CONNACK */
    read_exactly(reader, bytes + 4, 5);
    if (bytes[0] >> 4 != MQTT_CONNACK || bytes[3] != 0 || bytes[4] >> 4 != MQTT_SUBACK ||
        bytes[8] != qos) {
        load_fail("a handshake was refused");
    }
}

static void shake_hands(const struct load_options *options, struct reader *reader) {
    char text[2048];
    if (load_is_mqtt(options->kind)) {
        subscribe_mqtt(options, reader);
        return;
    }
    if (options->kind == LOAD_NATS) {
        int length =
            snprintf(text, sizeof(text), "CONNECT {\"verbose\":false}\r\nSUB %s 1\r\nPING\r\n",
                     options->channel);
        load_write(reader->file, text, (size_t)length);
        read_until(reader, "PONG\r\n", text, sizeof(text));
        return;
    }
    bool is_websocket = options->kind == LOAD_WEBSOCKET;
    const char *fields = is_websocket ? "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                        "Sec-WebSocket-Version: 13\r\n"
                                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                      : "Accept: text/event-stream\r\n";
    int length = snprintf(text, sizeof(text), "GET /channels/%s HTTP/1.1\r\nHost: %s\r\n%s\r\n",
                          options->channel, options->host, fields);
    load_write(reader->file, text, (size_t)length);
    read_until(reader, "\r\n\r\n", text, sizeof(text));
    const char *wanted = is_websocket ? "HTTP/1.1 101" : "HTTP/1.1 200";
    if (memcmp(text, wanted, strlen(wanted)) != 0) {
        load_fail("a handshake was refused");
    }
}

struct readers *readers_create(const struct load_options *options) {
    struct readers *readers = calloc(1, sizeof(*readers));
    struct reader *all = calloc(options->readers + 1, sizeof(*all));
    uint8_t *bytes = malloc(READ_BYTES + HEAD_BYTES_MAX);
    int epoll = epoll_create1(0);
    if (readers == NULL || all == NULL || bytes == NULL || epoll < 0) {
        load_fail("memory");
    }
    readers->options = options;
    readers->all = all;
    readers->bytes = bytes;
    readers->epoll = epoll;
    for (uint32_t index = 0; index < options->readers; index++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
        all[index].file = load_connect(options, index);
        shake_hands(options, &all[index]);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, all[index].file, &event) != 0) {
            load_fail("epoll_ctl");
        }
    }
    return readers;
}

void readers_destroy(struct readers *readers) {
    if (readers == NULL) {
        return;
    }
    for (uint32_t index = 0; index < readers->options->readers; index++) {
        if (readers->all[index].file >= 0) {
            close(readers->all[index].file);
        }
    }
    close(readers->epoll);
    free(readers->bytes);
    free(readers->all);
    free(readers);
}

void readers_turn(struct readers *readers, int wait_ms) {
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(readers->epoll, events, EVENTS_MAX, wait_ms);
    for (int index = 0; index < count; index++) {
        struct reader *reader = &readers->all[events[index].data.u32];
        if (reader->file >= 0) {
            read_some(readers, reader);
        }
    }
}

uint64_t readers_get_delivered(const struct readers *readers) {
    return readers->delivered;
}

uint64_t readers_get_closed(const struct readers *readers) {
    return readers->closed;
}

const struct histogram *readers_borrow_latencies(const struct readers *readers) {
    return &readers->latencies;
}
