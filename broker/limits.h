/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h — every bound that is not a configuration row, with its unit and its reason.
 *
 * Place:   read by everyone above support.
 * Thread:  constants.
 * Bounds:  these.
 */
#pragma once

#include <assert.h>
#include <stdint.h>

/* --- names and messages --- */
#define CHANNEL_NAME_BYTES_MAX 480     /* fits LMDB's key of 511 bytes with a tenant before it */
#define TENANT_BYTES_MAX 28            /* the rest of that key: see broker/channels/scope.h */
#define PATTERN_SEGMENTS_MAX 128       /* a trie of patterns is this deep */
#define MESSAGE_BYTES_CEILING 16777216 /* payload; message_bytes_max cannot be set higher */
#define MESSAGE_BYTES_DEFAULT 1048576
#define EVENT_BYTES_MAX 255
#define KEY_BYTES_MAX 255
#define MESSAGE_HEADERS_BYTES_MAX 16384 /* all headers of one message, names and values */
#define MESSAGE_HEADERS_MAX 100         /* as many as an HTTP request has; each is compared */
#define IDEMPOTENCY_KEY_BYTES_MAX 255
#define IDEMPOTENCY_AGE_MS 600000       /* of log time: a repeat within it stores nothing */
#define IDEMPOTENCY_KEYS_MAX 1000000    /* above it the oldest are forgotten; 184 bytes each */
#define IDEMPOTENCY_BYTES_MAX 268435456 /* of keys in memory: batches to many channels take more */
#define PUBLISH_MESSAGES_MAX 10000      /* of one publish: all or none */
#define PUBLISH_BYTES_MAX 16777216      /* its body */
#define PUBLISH_MEMORY_BYTES_MAX 33554432 /* its messages with all their fields */
#define PUBLISH_QUESTIONS_MAX 256 /* that the application is asked for one; each reads it anew */
#define SELECTORS_MAX 1000        /* channels and patterns of one reader */
#define SUBSCRIPTIONS_MAX 1000    /* readers of one socket */
#define MEDIA_TYPE_BYTES_MAX 255
#define ID_TEXT_BYTES_MAX 80 /* an id as text */
#define SINCE_TEXT_BYTES_MAX 128

/* --- who may do what --- */
#define SUBJECT_BYTES_MAX 256      /* `sub`, a key's name, a certificate's subject */
#define TOKEN_ID_BYTES_MAX 128     /* `jti` */
#define TOKEN_BYTES_MAX 8192       /* a JWT or an API key, as it is sent */
#define GRANT_PATTERNS_MAX 256     /* of one right, of one identity or one configuration row */
#define TENANT_ROWS_MAX 1000       /* quotas in the configuration; looked up by name */
#define AUTH_ROWS_MAX 256          /* keys, issuers, certificates: of each list */
#define KEY_FILE_BYTES_MAX 262144  /* a PEM or JWK is 2 KB, a set of a hundred keys 80 KB */
#define TOKEN_LEEWAY_S 60          /* clocks that differ: `exp`, `nbf`, `iat` */
#define TOKEN_BELIEVED_MS 60000    /* then its signature is checked again: keys are withdrawn */
#define IDENTITIES_CACHED_MAX 8192 /* verified tokens that a worker remembers; about 1 KiB each */
#define ACCOUNTS_IDLE_MAX 65536    /* subjects whose buckets are remembered; 256 bytes each */
#define ADDRESSES_IDLE_MAX 65536   /* that are not connected, and are remembered; 112 bytes each */
#define CHANNEL_BUCKETS 65536      /* of channels[].publish_rate: 1 MiB, once all were used */
#define CHANNEL_BUCKET_WAYS 4      /* places of a name among them */
#define TENANTS_MAX 65536          /* whose accounts stay until the end; 256 bytes each */
#define REVOCATIONS_MAX 100000     /* of each thread's set; about 150 bytes each */
#define TICKETS_MAX 65536          /* issued and not redeemed; each holds its identity */
#define TICKETS_HELD_MAX 1024      /* of one identity: nobody takes the places of all others */
#define TICKET_AGE_MS 60000
#define TENURE_CHECK_MS 3600000 /* of an identity that expires: wall clocks are set */

/* --- sinks and sources --- */
#define SINKS_MAX 4096  /* declared in the configuration and at the operator's port */
#define SOURCES_MAX 256 /* each Kafka source has a few threads of librdkafka's */
#define SINK_NAME_BYTES_MAX 64
#define SINK_WINDOW_MAX 1000    /* messages of one sink in memory; of one that pipelines … */
#define SINK_WINDOW_UNPROVEN 32 /* … of one whose endpoint took nothing yet … */
#define SINK_PIPELINE_MAX 20000 /* … those that it has handed over and that are not taken yet */
#define SINK_WINDOW_BYTES_MAX 4194304 /* of them; one larger message passes alone */
#define SINK_PAGE_BYTES_MAX 262144    /* of the log, read at a time */
#define SINK_STORE_INTERVAL_MS 50     /* between two writes of one sink's place */
#define SINK_DETAIL_BYTES 200         /* of what came back, kept of the last failure */
#define SINKS_BYTES_MAX                                                                            \
    268435456              /* of messages in all sinks; above it who has some reads no more */
#define SINKS_PAGES_MAX 32 /* read for all sinks at once: both read threads are busy with fewer */
#define SINK_SHIPMENTS_A_TURN 1024     /* then the other sinks have their turn */
#define SINK_LETTERS_MAX 1000          /* dead letters in one publish with the sink's place … */
#define SINK_LETTERS_BYTES_MAX 8388608 /* … and their bytes; one larger shipment passes alone */
#define SINK_EVENTS_MAX 16         /* of one sink on their way to the log; others are left out */
#define SINK_AGAIN_MS 1000         /* until what the log did not take or give is asked anew */
#define SINK_REST_MS 2000          /* what is under way at a stop may take; then it is given up */
#define SINK_DOWN_MS 1000          /* until a driver that went down is started again … */
#define SINK_DOWN_MS_MAX 60000     /* … after many times in a row */
#define SINK_MEASURE_MS 5000       /* between two looks at how far one sink lags */
#define SINK_IDLE_POSITIONS 100000 /* of others' messages; then an idle sink's place is stored */
#define WEBHOOK_BODY_BYTES_MAX 134217728 /* a list of 16 MiB, six bytes a byte, and more */
#define WEBHOOK_BODY_KEPT_BYTES 65536    /* a buffer that grew beyond it is not kept */
#define WEBHOOK_READ_BYTES 2048          /* of an answer at a time: most are shorter */
#define WEBHOOK_SPARE_MS 10000           /* unused handles of a sink; a few KiB each */
#define POST_CONNECTIONS_KEPT_MAX 4096   /* of webhooks; as many sinks as there may be keep one */
#define POST_DESCRIPTORS_PERCENT 75      /* of the process; above it no webhook opens one more */
#define LOOKUP_THREADS_MAX 64     /* names of hosts that are looked up at once, a thread each … */
#define LOOKUP_THREADS_KNOWN 16   /* … of them for names that were found the last time */
#define LOOKUP_NAMES_MAX 4096     /* remembered as found: as many as there may be sinks */
#define LOOKUP_STACK_BYTES 524288 /* of such a thread: modules of the C library run on it */
#define MQTT_LINK_PACKET_BYTES_MAX 33554432 /* that comes: above what any message here may have */
#define MQTT_LINK_QUEUE_BYTES_MAX 1048576 /* put and not yet given to the system; one more passes */
#define MQTT_LINK_READS_A_TURN 8          /* of 64 KiB; then the other sinks have their turn */
#define MQTT_LINK_CONNECT_MS 10000        /* name, TCP and TLS; then as long for the CONNACK */
#define MQTT_LINK_KEEP_ALIVE_S 30         /* a broker that is silent for twice as long is gone */
#define MQTT_SINK_PIPELINE_MAX 1000       /* handed over; fewer where the other takes fewer */
#define MQTT_SINK_SILENCE_MS 30000        /* without a PUBACK, while some are awaited */
#define MQTT_SOURCE_SILENCE_MS 30000      /* from SUBSCRIBE to SUBACK; then it is tried anew */
#define MQTT_SOURCE_RECEIVE_MAX 450   /* publishes that wait for the log, in MQTT 5; see seen.h */
#define MQTT_SOURCE_SESSION_S 2592000 /* 30 days: so long the other broker keeps for us */
#define LOOP_TIMERS_MAX 65536         /* armed at once: 15 a sink or source, 8 bytes each */

/* --- TLS --- */
#define RESUMPTION_KEY_AGE_MS 28800000 /* tickets of up to 8 h, some of up to 16 h, can be opened */
#define TLS_CHAIN_DEPTH_MAX 5          /* certificates between a client's and its authority's */
#define HANDSHAKES_SLICE_US 250        /* of a turn: about one; then all others get theirs */

/* --- limits of the configuration --- */
#define PUBLISH_BURST_MS 1000 /* so much of its rate a publisher may have saved up */
#define LOGIN_BURST_MS 10000  /* likewise of bad credentials: a person mistypes in rows */
#define HANDSHAKE_BURST_MS 1000
#define RATE_TOLD_MAX 10000    /* nobody counts up to more, and each answer is some 5 % dearer */
#define RETRY_CONNECT_MS 10000 /* connections end one by one */
#define RETRY_MEMORY_MS 1000
#define THROTTLE_WAIT_MS_MAX 1000 /* then a publisher that waits is looked at again */
#define MQTT_OVER_RATE_MAX 1000   /* refused publishes beyond those that passed: 0x96 */
#define OPENING_SHARE 2           /* of limits.connections: half-open ones have half at most */
#define OPENING_MIN 16            /* … but a worker has so many */
#define BUDGET_INTERVAL_MS 100    /* a core brings some 100 MiB in it at most */
#define BUDGET_PATIENCE_MS 5000   /* then readers are closed before the last level, too */
#define BUDGET_TRIM_MS 1000       /* walking the free memory of a heap of 10 GiB takes 0.1 s */
#define SHED_MIN 8                /* readers a worker closes after a look … */
#define SHED_SHARE 32             /* … or a 32nd of its connections */
#define SHED_MAX 1024
#define SHED_STALL_MS 500 /* who took nothing for so long goes first */

/* --- calls of others --- */
#define CALLS_MAX 1024 /* HTTP calls of the broker under way; further askers are told so */
#define CALL_CONNECTIONS_MAX                                                                       \
    64                         /* that these take; the others wait for one, within their timeouts */
#define JWKS_TIMEOUT_MS 5000   /* of a fetch; those who wait for it are told at its end */
#define JWKS_REFRESH_MS 600000 /* where the answer does not say how long it is good … */
#define JWKS_REFRESH_MS_MAX 86400000 /* … and at most, whatever it says */
#define JWKS_INTERVAL_MS 60000       /* between two fetches because a key is missing */
#define JWKS_RETRY_MS 10000          /* the same while no keys are known at all */
#define JWKS_WAITING_MAX 4096        /* questions that wait for fetches: ERR_BUSY above */
#define CONSENTS_CACHED_MAX 16384    /* answers of the application, of a thread; 160 bytes each */
#define CONSENTS_WAITING_MAX 4096    /* questions of a thread that wait for it */
#define CONSENT_BYTES_MAX 65536      /* an answer of it */

/* --- HTTP --- */
#define HTTP_HEAD_BYTES_MAX 16384       /* request line and headers: 431 above */
#define HTTP_TARGET_BYTES_MAX 8192      /* 414 above */
#define HTTP_HEADERS_MAX 100            /* fields of one request: 431 above */
#define HTTP_CHUNK_LINE_BYTES_MAX 256   /* a chunk's size with its extensions */
#define HTTP_REQUESTS_MAX 256           /* of one connection, under way or not answered yet … */
#define HTTP_REQUESTS_BYTES_MAX 1048576 /* … and what they keep; one larger passes alone */
#define PIPELINES_BYTES_MAX 16777216    /* of those, of a worker: above it none gets longer */
#define PAGE_MESSAGES_MAX 1000          /* `limit` at most */
#define PAGE_MESSAGES_DEFAULT 50
#define PAGE_BYTES_MAX 4194304 /* payloads of a page; one larger message passes alone */
#define TTL_S_MAX 3153600000   /* 100 years: the sum with any time fits 64 bits */
#define WAIT_MS_MAX 60000      /* long poll */

/* --- WebSocket --- */
#define WEBSOCKET_CONTROL_BYTES_MAX 125     /* RFC 6455, section 5.5 */
#define WEBSOCKET_COMMAND_GROWTH 2          /* a payload as base64, or with some escapes */
#define WEBSOCKET_COMMAND_BYTES_EXTRA 65536 /* what a command may add to the payload it carries */

/* --- MQTT --- */
#define CLIENT_ID_BYTES_MAX 256        /* 0x85 above; the specification asks for 23 */
#define SYS_INTERVAL_MS 10000          /* between two tellings of $SYS, as other brokers do it */
#define MQTT_USER_PROPERTIES_MAX 100   /* of one packet: as many as a message has headers */
#define MQTT_CONNECT_BYTES_MAX 196608  /* a will and a password of 64 KiB, and some properties */
#define SESSION_STEPS_BYTES_MAX 65536  /* then a snapshot is due: before an id can come round */
#define SESSION_SNAPSHOT_MS 1000       /* acknowledgements that a killed broker may ask for again */
#define SESSION_RETRY_MS 64            /* where the log was busy */
#define MQTT_PACKET_BYTES_EXTRA 262144 /* topic and properties beside the largest payload */
#define MQTT_PUBLICATIONS_MAX 256      /* of one client, under way to the log or the disk */
#define MQTT_PUBLICATIONS_BYTES_MAX 1048576 /* of these; one larger passes alone */
#define MQTT_PUBLICATIONS_LAST_MAX 16384 /* when it is gone: of one read, nearly all it can hold */
#define MQTT_PROGRESS_BYTES 4096         /* of a packet, in BODY_TIMEOUT_MS */
#define SESSION_STATE_BYTES_MAX 917504   /* with a will it fits an object of 1 MiB */
#define SESSIONS_BYTES_MAX                                                                         \
    1073741824                     /* of states and wills that are away: no new session above it */
#define SESSION_BYTES_ALWAYS 1024  /* a state no larger is kept however many there are */
#define SESSIONS_A_TURN 1024       /* ended in one turn of the log thread: about a millisecond */
#define SESSIONS_BEAT_MS 64        /* what is due is at most so late */
#define ERRANDS_BYTES_MAX 67108864 /* of what could not be stored and is tried again */

/* --- groups --- */
#define GROUPS_MAX 65536        /* of a worker: about 2 KiB each while somebody is there */
#define GROUP_MEMBERS_MAX 10000 /* at a time: each is a connection */
#define GROUP_KEPT_MAX 2000     /* names that may come back: with a group's leases one object */
#define GROUP_LEASES_MAX 16384  /* a hundred members with over a hundred each; 2 MiB a group */
#define GROUP_KEY_BYTES_MAX 506 /* its name and its filter in its scope: names a stored object */
#define FORGETTINGS_MAX 16384   /* letters of ends of sessions on their way; 300 bytes each */
#define GROUP_STORE_INTERVAL_MS 1000 /* what was done with since may come again after a kill */

/* --- delivery --- */
#define TAIL_BYTES_MAX 1048576        /* newest messages of one feed, on one worker */
#define TAILS_BYTES_MAX 67108864      /* of all feeds of a worker */
#define FRAMES_BYTES_MAX 1048576      /* encoded frames that the readers of a feed share */
#define FRAMES_ALL_BYTES_MAX 67108864 /* of all feeds of a worker; above it each reader's own */
#define FRAMES_BYTES_KEPT 1024        /* of a feed without anything to send */
#define FRAME_BYTES_MAX 104857600     /* one frame: text of control characters grows sixfold */
#define CATCH_UP_PAGE_BYTES_MAX 65536 /* one read for a reader that is behind */
#define CATCH_UP_PAGE_MESSAGES_MAX 1024
#define WRITE_BYTES_MAX 65536      /* frames gathered for one write: a TLS flush, one copy */
#define BUNDLE_STREAMS_MAX 64      /* of one socket in one write: more have long paid for it */
#define FLUSH_INTERVAL_MS_MAX 1000 /* flush_interval cannot be set higher: one slot a millisecond */
#define FLUSH_HELD_BYTES_MAX 262144 /* … nor does more wait: what a socket takes, so none lags */
#define FAN_OUT_SLICE_US 2000       /* after this a worker looks at its sockets again */
#define SOCKETS_SLICE_US 2000       /* … and after this at what they brought */
#define WINDOW_FRAMES_MAX 512 /* prepared at once for a peer that acknowledges: one write of them */
#define WINDOW_LAG_BYTES                                                                           \
    262144                    /* wait for a window that is shut before its reader lags: as much
                                 * as a socket takes unsent by default */
#define WINDOW_SHARES_ROOM 64 /* a window with less room asks for pages that just fill it */

/* --- time --- */
#define HANDSHAKE_TIMEOUT_MS 10000  /* from accept to a whole request head */
#define BODY_TIMEOUT_MS 30000       /* a body that stops moving */
#define KEEP_ALIVE_TIMEOUT_MS 75000 /* between two requests of one connection */
#define HEARTBEAT_MS 15000          /* SSE: under the 30 s or 60 s of common proxies */
#define PING_INTERVAL_MS 25000      /* WebSocket */
#define PONG_TIMEOUT_MS 10000       /* counted from when the ping left */
#define CLOSE_TIMEOUT_MS 2000       /* a peer that was told to go */
#define DRAIN_TIMEOUT_MS 1500       /* SIGTERM to the end: under 2 s */
#define TICK_INTERVAL_MS 1000       /* of a silent log that still has something to expire */
#define FOLD_INTERVAL_MS 1000       /* a fold writes the pages of each channel it touches */

/* --- threads --- */
#define MAILBOX_NODES_MAX 65536              /* waiting for one thread */
#define PUBLISHES_WAITING_BYTES_MAX 67108864 /* for the log thread; above it publishers are told */
#define PUBLISHES_RELAXED_SHARE 4            /* of that, and of the nodes, may be of pipelines */
#define COMMIT_MESSAGES_MAX 4096             /* ordered and written at once */
#define COMMIT_BYTES_MAX 8388608
#define COMMITS_WAITING_BYTES_MAX 16777216  /* for one worker; above it its readers read the log */
#define COMMITS_AWAITING_BYTES_MAX 33554432 /* for the disk; above it publishes wait */
#define PAGES_BYTES_MAX 134217728           /* read and not yet let go, of all workers together */
#define READ_THREADS 2                      /* a disk read never stops a worker */
#define BODIES_BYTES_MAX 67108864           /* request bodies in memory, a worker */

/* --- metrics --- */
#define METRICS_MATCHES_MAX 64  /* patterns of rules that ask for series of their own */
#define CENSUS_INTERVAL_MS 5000 /* each reader's lag is looked at so often: a usual scrape */
#define CENSUS_STEPS_MAX 256    /* readers (or 8 selectors of one) looked at in a tick: 25 us */

/* --- disk --- */
#define EXIT_DISK_FAILED 3    /* status of a process that only a new one can take over from */
#define DISK_SLOW_US 1000000  /* a step above it is logged: 200 times what a synced commit takes */
#define SYNC_HERE_US_MAX 1000 /* a disk this quick has the log thread wait for a lone publish */
#define JOURNAL_FILE_BYTES 67108864
#define OPEN_BATCH_BYTES_MAX 67108864
#define FOLD_BYTES 16777216     /* twice as much a fold is a quarter less work a message */
#define SEGMENT_MESSAGES 500000 /* dropping one was measured at 1.4 to 8.6 ms */
#define SEGMENT_BYTES 268435456

static_assert(HANDSHAKES_SLICE_US < SOCKETS_SLICE_US, "handshakes leave time for the others");
static_assert(WRITE_BYTES_MAX >= CATCH_UP_PAGE_BYTES_MAX, "a page of small messages is one write");
static_assert(TAIL_BYTES_MAX <= TAILS_BYTES_MAX, "a feed is a part of its worker");
static_assert(WINDOW_LAG_BYTES < TAIL_BYTES_MAX, "a tail shows that a reader lags");
static_assert(FLUSH_HELD_BYTES_MAX <= WINDOW_LAG_BYTES, "what was held back is no lag");
static_assert(FLUSH_HELD_BYTES_MAX <= TAIL_BYTES_MAX / 2, "what is held back stays in its tail");
static_assert(MESSAGE_BYTES_DEFAULT <= MESSAGE_BYTES_CEILING, "the default is a legal setting");
static_assert(FRAME_BYTES_MAX > (MESSAGE_BYTES_CEILING + MESSAGE_HEADERS_BYTES_MAX) * 6,
              "each message can be framed");
static_assert(MQTT_USER_PROPERTIES_MAX >= MESSAGE_HEADERS_MAX, "each header can be sent");
static_assert(PUBLISH_MEMORY_BYTES_MAX < PUBLISHES_WAITING_BYTES_MAX, "a publish can be taken");
static_assert(METRICS_MATCHES_MAX < UINT8_MAX, "a message carries its series in a byte");
static_assert(FOLD_BYTES < OPEN_BATCH_BYTES_MAX, "a fold is due before publishers wait");
static_assert(COMMIT_BYTES_MAX + PUBLISH_MEMORY_BYTES_MAX <= OPEN_BATCH_BYTES_MAX,
              "the open batch has room for a commit");
