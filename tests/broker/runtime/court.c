/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/broker/runtime/court.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/limits.h"
#include "broker/runtime/access.h"
#include "broker/runtime/log.h"
#include "broker/runtime/worker.h"
#include "storage/storage.h"

#define HEAD_BYTES 3 /* of a command's payload: see storage/command.c */

struct sift {
    struct sift_options options;
};

struct court court;

/* --- in front of broker/runtime and storage --------------------------------------------------- */

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
uint64_t __wrap_clock_wall_ms(void);

void *__wrap_calloc(size_t count, size_t size) {
    court.allocation_count++;
    return court.is_memory_short || court.allocation_count == court.allocation_failing
               ? NULL
               : __real_calloc(count, size);
}

uint64_t __wrap_clock_wall_ms(void) {
    return (NOW_S + court.later_s) * 1000;
}

struct access *worker_access(const struct worker *worker) {
    return &((struct worker *)worker)->access;
}

void access_put_revocation(struct access *access, struct revocation_entry *entry) {
    revocations_put_entry(access->set, entry);
}

void access_lift_revocation(struct access *access, const struct revocation *revocation) {
    revocations_lift(access->set, revocation); /* what ended before a start was told to none */
}

enum error_code log_submit(struct log *log, struct publish *publish) {
    (void)log;
    if (court.refusal == OK) {
        EXPECT_TRUE(court.asked_count < ASKED_MAX);
        court.asked[court.asked_count++] = publish;
    }
    return court.refusal;
}

struct sift *sift_create(struct broker *broker, const struct sift_options *options) {
    EXPECT_TRUE(broker == &court.broker);
    struct sift *sift = calloc(1, sizeof(*sift));
    if (sift != NULL) {
        sift->options = *options;
    }
    return sift;
}

void sift_destroy(struct sift *sift) {
    free(sift);
}

enum error_code sift_begin(struct sift *sift) {
    if (court.sift_refusal == OK) {
        court.sift = sift->options;
        court.sift_count++;
    }
    sift_destroy(sift);
    return court.sift_refusal;
}

struct revocation court_crowd_member(size_t index, char text[TEXT_BYTES]) {
    snprintf(text, TEXT_BYTES, "crowd %zu", index);
    return (struct revocation){.kind = REVOCATION_TOKEN,
                               .value = span_of_string(text),
                               .revoked_s = 1,
                               .until_s = court.crowd_until_s};
}

/* Two moments in little-endian. */
void court_fill_object(struct object *object, const struct revocation *revocation) {
    object->name_length = revocation_put_key(revocation, object->name);
    object->state_length = REVOCATION_RECORD_BYTES;
    for (size_t i = 0; i < 8; i++) {
        object->state[i] = (uint8_t)(revocation->revoked_s >> (8 * i));
        object->state[8 + i] = (uint8_t)(revocation->until_s >> (8 * i));
    }
}

enum error_code storage_each_object(struct storage *storage, enum storage_object_kind kind,
                                    storage_on_object *on_object, void *context,
                                    struct error *why) {
    (void)storage;
    EXPECT_EQ(kind, STORAGE_OBJECT_REVOCATION);
    for (size_t i = 0; i < court.crowd_count; i++) {
        char text[TEXT_BYTES];
        struct object object;
        struct revocation it = court_crowd_member(i, text);
        court_fill_object(&object, &it);
        on_object(context, span_of(object.name, object.name_length),
                  span_of(object.state, object.state_length));
    }
    for (size_t i = 0; i < court.object_count; i++) {
        const struct object *object = &court.objects[i];
        on_object(context, span_of(object->name, object->name_length),
                  span_of(object->state, object->state_length));
    }
    return court.reading == OK ? OK : error_set(why, court.reading, "the disk");
}

/* --- what a test does ------------------------------------------------------------------------- */

static struct object *find_object(struct span name) {
    struct object *object = court.objects;
    struct object *end_of_all = object + court.object_count;
    while (object < end_of_all &&
           !span_is_equal(span_of(object->name, object->name_length), name)) {
        object++;
    }
    return object;
}

/* As the storage applies a command. */
static void apply(const struct message *message) {
    struct span payload = message->fields.payload;
    EXPECT_EQ(message->fields.kind, MESSAGE_COMMAND);
    EXPECT_TRUE(message->fields.flags & MESSAGE_FSYNC);
    EXPECT_EQ(payload.bytes[1], STORAGE_OBJECT_REVOCATION);
    struct span name = message->fields.publisher;
    struct object *object = find_object(name);
    if (payload.bytes[2] == STORAGE_OBJECT_PUT) {
        court.object_count += object == &court.objects[court.object_count];
        object->name_length = name.length;
        object->state_length = payload.length - HEAD_BYTES;
        memcpy(object->name, name.bytes, name.length);
        memcpy(object->state, payload.bytes + HEAD_BYTES, object->state_length);
        return;
    }
    EXPECT_EQ(payload.bytes[2], STORAGE_OBJECT_DELETE);
    if (object != &court.objects[court.object_count]) {
        *object = court.objects[--court.object_count];
    }
}

void court_answer(enum error_code result) {
    struct publish *publish = court.asked[court.asked_first++];
    publish->result = result;
    if (result == OK) {
        for (size_t i = 0; i < publish->count; i++) {
            apply(publish->messages[i]);
        }
    } else {
        IGNORE_RESULT(error_set(&publish->why, result, "the disk"));
    }
    publish->on_answered(publish);
}

void court_tell(void) {
    for (size_t i = 0; i < WORKERS; i++) {
        court.sift.on_worker(court.sift.context, &court.workers[i]);
    }
    court.sift.on_told(court.sift.context);
}

static void on_answered(void *context, enum error_code result, const struct error *why) {
    EXPECT_TRUE(context == &court);
    court.answered_count++;
    court.answered = result;
    court.why = why == NULL ? (struct error){0} : *why;
}

enum error_code court_ask(const struct revocation *revocation, bool is_lifted) {
    return revoking_ask(court.revoking, revocation, is_lifted, &court.mailbox, on_answered, &court,
                        NULL);
}

void court_settle(size_t count) {
    for (size_t i = 0; i < count; i++) {
        court_answer(OK);
        court_tell();
        court.sift.on_over(court.sift.context, 0);
    }
}

void court_change(const struct revocation *revocation, bool is_lifted) {
    EXPECT_EQ(court_ask(revocation, is_lifted), OK);
    court_settle(1);
}

struct revocation court_make(enum revocation_kind kind, const char *value, const char *tenant,
                             uint64_t until_s) {
    return (struct revocation){.kind = kind,
                               .value = span_of_string(value),
                               .tenant = span_of_string(tenant),
                               .revoked_s = NOW_S,
                               .until_s = until_s};
}

struct revocation court_make_token(const char *value) {
    return court_make(REVOCATION_TOKEN, value, NULL, LATER_S);
}

void court_store_ended(size_t count) {
    for (size_t i = 0; i < count; i++) {
        char text[TEXT_BYTES];
        snprintf(text, sizeof(text), "ended %zu", i);
        struct revocation it = court_make(REVOCATION_TOKEN, text, NULL, NOW_S - 1000 + i);
        court_fill_object(&court.objects[court.object_count++], &it);
    }
}

void court_start(void) {
    struct error why;
    EXPECT_EQ(revoking_create(&court.broker, &court.revoking, &why), OK);
}

bool court_has(const struct revocations *set, const struct revocation *revocation) {
    struct revocation known;
    return revocations_find(set, revocation, &known);
}

static void forget_accesses(void) {
    for (size_t i = 0; i < WORKERS; i++) {
        revocations_destroy(court.workers[i].access.set);
        court.workers[i].access.set = revocations_create();
    }
}

int court_begin(void **state) {
    (void)state;
    memset(&court, 0, sizeof(court));
    court.broker.workers = court.pointers;
    court.broker.worker_count = WORKERS;
    for (size_t i = 0; i < WORKERS; i++) {
        court.pointers[i] = &court.workers[i];
    }
    forget_accesses();
    return 0;
}

int court_begin_empty(void **state) {
    court_begin(state);
    court_start();
    return 0;
}

void court_restart(void) {
    revoking_destroy(court.revoking);
    forget_accesses();
    court_start();
}

int court_end(void **state) {
    (void)state;
    revoking_destroy(court.revoking);
    for (size_t i = 0; i < WORKERS; i++) {
        revocations_destroy(court.workers[i].access.set);
    }
    return 0;
}
