/* SPDX-License-Identifier: Apache-2.0 */
/* sink_table.h — the keys of one sink, and of one source.
 *
 * Place:   part of table.h, which says what the columns are; the operator's API reads and shows the
 *          same rows, so a sink has one schema wherever it is declared.
 * Thread:  constants.
 * Bounds:  SINKS_MAX and SOURCES_MAX rows.
 *
 * Exactly one of webhook.url, kafka.brokers and mqtt.url says what kind it is.
 */
#pragma once

/* What a sink and a source of Kafka have in common: the way there. */
#define CONFIG_KAFKA_TABLE(X)                                                                      \
    X(kafka_brokers, "kafka.brokers", TEXT, "", NULL, NULL, NULL, RELOADABLE, NULL,                \
      "Kafka's first brokers, as `HOST:PORT,HOST:PORT`")                                           \
    X(kafka_username, "kafka.username", TEXT, "", NULL, NULL, NULL, RELOADABLE, NULL,              \
      "The user of SASL")                                                                          \
    X(kafka_password, "kafka.password", SECRET, "", NULL, NULL, NULL, RELOADABLE, NULL,            \
      "Its password")                                                                              \
    X(kafka_options, "kafka.options", OPTIONS, "", NULL, NULL, NULL, RELOADABLE, NULL,             \
      "Properties of librdkafka, as `security.protocol=sasl_ssl`")

/* The same of another MQTT broker. */
#define CONFIG_MQTT_TABLE(X)                                                                       \
    X(mqtt_url, "mqtt.url", MQTT_URL, "", NULL, NULL, NULL, RELOADABLE, NULL,                      \
      "Another MQTT broker, as `mqtt://host:1883` or `mqtts://host:8883`")                         \
    X(mqtt_client_id, "mqtt.client_id", TEXT, "", NULL, NULL, NULL, RELOADABLE, NULL,              \
      "The client id there; unless told, `tidings-`, eight digits of the log's id, the name, and " \
      "behind that of a source `-source`")                                                         \
    X(mqtt_username, "mqtt.username", TEXT, "", NULL, NULL, NULL, RELOADABLE, NULL,                \
      "The user that it connects as")                                                              \
    X(mqtt_password, "mqtt.password", SECRET, "", NULL, NULL, NULL, RELOADABLE, NULL,              \
      "The user's password")                                                                       \
    X(mqtt_ca, "mqtt.ca", TEXT, "", NULL, NULL, NULL, RELOADABLE, NULL,                            \
      "Whose certificates are believed there, as a file of PEM")

/* The keys of one row in the list `sinks`. */
#define SINK_TABLE(X)                                                                              \
    X(name, "name", SINK_NAME, "", MUST_BE_GIVEN, NULL, NULL, RELOADABLE, NULL,                    \
      "What the sink is called: its place in the log belongs to the name")                         \
    X(tenant, "tenant", TENANT, "", NULL, NULL, NULL, RELOADABLE, NULL,                            \
      "The tenant whose channels it reads")                                                        \
    X(channels, "channels", CHANNELS, "", MUST_BE_GIVEN, NULL, NULL, RELOADABLE, NULL,             \
      "The channels that it gets, by name or pattern")                                             \
    X(start, "start", START, "", "now", NULL, NULL, RELOADABLE, NULL,                              \
      "Where it begins when it is new: what comes from then on, all that is kept, behind an id, "  \
      "or at a time")                                                                              \
    X(is_paused, "paused", SWITCH, "", "false", NULL, NULL, RELOADABLE, NULL,                      \
      "Whether it waits, and keeps its place")                                                     \
    X(format, "format", SINK_FORMAT, "", "envelope", NULL, NULL, RELOADABLE, NULL,                 \
      "What is sent: the message as every reader gets it (`envelope`), the payload alone "         \
      "(`data`), or CloudEvents 1.0")                                                              \
    X(mode, "mode", SINK_MODE, "", "ordered", NULL, NULL, RELOADABLE, NULL,                        \
      "Whether one that is not taken holds back those behind it of the same `order`")              \
    X(order, "order", SINK_ORDER, "", "channel", NULL, NULL, RELOADABLE, NULL,                     \
      "What is kept in order: each channel, each key of a channel, or all that the sink gets")     \
    X(concurrency, "concurrency", COUNT, "requests", "8", "1", "256", RELOADABLE, NULL,            \
      "Requests of a webhook under way at once, at most: how many a slow back end can take is "    \
      "found out")                                                                                 \
    X(rate, "rate", RATE, "requests a second", "unlimited", "1/s", "unlimited", RELOADABLE, NULL,  \
      "Requests that it is sent, at most")                                                         \
    X(batch_count, "batch.count", COUNT, "messages", "1", "1", "1000", RELOADABLE, NULL,           \
      "Messages in one request of a webhook, at most; from 2 on a request holds a list")           \
    X(batch_bytes, "batch.bytes", BYTES, "bytes", "256KiB", "1KiB", "16MiB", RELOADABLE, NULL,     \
      "Payload bytes in one request, at most; one larger message goes alone")                      \
    X(batch_age_ms, "batch.age", DURATION, "milliseconds", "0s", "0s", "1m", RELOADABLE, NULL,     \
      "How long a request may wait for more messages; 0s never waits")                             \
    X(batch_form, "batch.form", SINK_BATCH, "", "array", NULL, NULL, RELOADABLE, NULL,             \
      "How a list is written: one JSON array, or a line of JSON each (`ndjson`)")                  \
    X(retries, "retry.schedule", DURATIONS, "", NULL, NULL, NULL, RELOADABLE, NULL,                \
      "The waits between attempts, after which a message is a dead letter; unless told, those of " \
      "Standard Webhooks: 5s, 5m, 30m, 2h, 5h, 10h, 14h, 20h, 24h")                                \
    X(retry_after_max_ms, "retry.after_max", DURATION, "milliseconds", "24h", "1s", "7d",          \
      RELOADABLE, NULL, "The longest `Retry-After` that is heeded")                                \
    X(disable_after_ms, "disable_after", DURATION, "milliseconds", "5d", "1s", "unlimited",        \
      RELOADABLE, NULL, "A sink that fails and takes nothing for so long is disabled")             \
    X(webhook_url, "webhook.url", URL, "", NULL, NULL, NULL, RELOADABLE, NULL,                     \
      "Where messages are sent by POST")                                                           \
    X(webhook_secret, "webhook.secret", SIGNING_SECRET, "", NULL, NULL, NULL, RELOADABLE, NULL,    \
      "What requests are signed with, as `whsec_` and base64 (Standard Webhooks)")                 \
    X(webhook_secret_previous, "webhook.secret_previous", SIGNING_SECRET, "", NULL, NULL, NULL,    \
      RELOADABLE, NULL, "A second secret, while the receiver changes from one to the other")       \
    X(webhook_headers, "webhook.headers", HEADERS, "", NULL, NULL, NULL, RELOADABLE, NULL,         \
      "More headers, as `Name: value`; they are shown to nobody")                                  \
    X(webhook_ca, "webhook.ca", TEXT, "", NULL, NULL, NULL, RELOADABLE, NULL,                      \
      "Whose certificates are believed there, as a file of PEM; unless told, those that the "      \
      "system believes")                                                                           \
    X(webhook_connect_timeout_ms, "webhook.connect_timeout", DURATION, "milliseconds", "5s",       \
      "10ms", "1m", RELOADABLE, NULL, "How long connecting may take, TLS included")                \
    X(webhook_timeout_ms, "webhook.timeout", DURATION, "milliseconds", "15s", "10ms", "5m",        \
      RELOADABLE, NULL, "How long a request may take in all")                                      \
    CONFIG_KAFKA_TABLE(X)                                                                          \
    X(kafka_topic, "kafka.topic", TEXT, "", "{channel}", NULL, NULL, RELOADABLE, NULL,             \
      "The topic; `{channel}` in it is the channel with `.` for `/`")                              \
    X(kafka_key, "kafka.key", TEXT, "", "{key}", NULL, NULL, RELOADABLE, NULL,                     \
      "The record's key; `{key}` is the message's, or its channel where it has none, `{channel}` " \
      "the channel")                                                                               \
    X(kafka_delivery, "kafka.delivery", SINK_DELIVERY, "", "at_least_once", NULL, NULL,            \
      RELOADABLE, NULL,                                                                            \
      "Whether a crash may repeat records; `exactly_once` writes transactions, for readers of "    \
      "`read_committed`")                                                                          \
    X(kafka_checkpoints, "kafka.checkpoints", TEXT, "", "tidings.checkpoints", NULL, NULL,         \
      RELOADABLE, NULL, "The compacted topic that holds the place of a sink of `exactly_once`")    \
    CONFIG_MQTT_TABLE(X)                                                                           \
    X(mqtt_topic, "mqtt.topic", TEXT, "", "{channel}", NULL, NULL, RELOADABLE, NULL,               \
      "The topic there; `{channel}` in it is the channel, as in `site-a/{channel}`")               \
    X(mqtt_qos, "mqtt.qos", COUNT, "", "1", "0", "1", RELOADABLE, NULL, "The QoS of publishes")

/* The keys of one row in the list `sources`. */
#define SOURCE_TABLE(X)                                                                            \
    X(name, "name", SINK_NAME, "", MUST_BE_GIVEN, NULL, NULL, RELOADABLE, NULL,                    \
      "What the source is called: its position belongs to the name")                               \
    X(tenant, "tenant", TENANT, "", NULL, NULL, NULL, RELOADABLE, NULL,                            \
      "The tenant whose channels it publishes to")                                                 \
    X(is_paused, "paused", SWITCH, "", "false", NULL, NULL, RELOADABLE, NULL, "Whether it waits")  \
    X(start, "start", SOURCE_START, "", "now", NULL, NULL, RELOADABLE, NULL,                       \
      "Where a Kafka partition begins that has no position yet: `earliest` or `now`")              \
    X(channel, "channel", TEXT, "", "{topic}", NULL, NULL, RELOADABLE, NULL,                       \
      "The channel; `{topic}` in it is the topic (of Kafka with `/` for `.`), `{rest}` what the "  \
      "wildcard of an MQTT filter stands for, `{key}` the record's key")                           \
    CONFIG_KAFKA_TABLE(X)                                                                          \
    X(kafka_topics, "kafka.topics", TOPICS, "", NULL, NULL, NULL, RELOADABLE, NULL,                \
      "The topics that are read, all partitions of each")                                          \
    CONFIG_MQTT_TABLE(X)                                                                           \
    X(mqtt_topics, "mqtt.topics", TOPICS, "", NULL, NULL, NULL, RELOADABLE, NULL,                  \
      "The topic filters that are subscribed to")                                                  \
    X(mqtt_qos, "mqtt.qos", COUNT, "", "1", "0", "1", RELOADABLE, NULL,                            \
      "The QoS of the subscriptions")
