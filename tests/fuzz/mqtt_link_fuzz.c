/* SPDX-License-Identifier: Apache-2.0 */
/* The input is what another broker sends: a byte of step, a byte that says what the owner of the
 * link does, and the rest is the stream. Connection and time stand here. */
#include "protocols/sinks/mqtt_link.h"

#include "protocols/mqtt/wire.h"
#include "protocols/sinks/dial.h"
#include "protocols/sinks/loop.h"
#include "tests/fuzz/fuzz.h"

#define DOES_HOLD 1    /* takes each third publish only when it comes again */
#define DOES_DESTROY 2 /* … the link at the fourth event */
#define DOES_STOP 4    /* likewise */
#define DOES_PUBLISH 8 /* at each event that leaves it up */

struct dial {
    struct dial_options options;
};

struct scene {
    struct mqtt_link *link;
    struct dial dial;
    struct loop_chore *chore;
    struct span stream;
    size_t step;
    uint8_t acts;
    size_t events, publishes, downs, ups;
    bool is_ended; /* by its owner: nothing is told any more */
};

static struct scene scene;

/* --- connection and time --------------------------------------------------------------------- */

enum error_code dial_create(struct loop *loop, const struct dial_options *options,
                            struct dial **ret_dial) {
    (void)loop;
    scene.dial.options = *options;
    *ret_dial = &scene.dial;
    return OK;
}

void dial_destroy(struct dial *dial) {
    (void)dial;
}

void dial_want(struct dial *dial, bool has_want_read, bool has_want_write) {
    (void)dial;
    (void)has_want_read;
    (void)has_want_write;
}

enum error_code dial_send(struct dial *dial, struct span bytes, size_t *ret_sent) {
    (void)dial;
    *ret_sent = bytes.length;
    return OK;
}

enum error_code dial_receive(struct dial *dial, uint8_t *bytes, size_t size, size_t *ret_received) {
    size_t length = scene.stream.length < scene.step ? scene.stream.length : scene.step;
    (void)dial;
    CLAIM(size >= length);
    if (length == 0) {
        return ERR_IO;
    }
    memcpy(bytes, scene.stream.bytes, length);
    scene.stream = span_of(scene.stream.bytes + length, scene.stream.length - length);
    *ret_received = length;
    return OK;
}

uint64_t loop_now_ms(const struct loop *loop) {
    (void)loop;
    return 1;
}

void loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t due_ms) {
    (void)loop;
    (void)timer;
    CLAIM(due_ms > 1);
}

void loop_disarm(struct loop *loop, struct loop_timer *timer) {
    (void)loop;
    (void)timer;
}

void loop_chore_init(struct loop_chore *chore, void (*on_turn)(struct loop_chore *chore)) {
    chore->on_turn = on_turn;
}

void loop_put_chore(struct loop *loop, struct loop_chore *chore) {
    (void)loop;
    scene.chore = chore;
}

void loop_take_chore_back(struct loop_chore *chore) {
    scene.chore = scene.chore == chore ? NULL : scene.chore;
}

/* --- the owner ------------------------------------------------------------------------------- */

static void act(void) {
    const struct mqtt_publish publish = {.topic = SPAN("t"), .qos = 1, .packet_id = 1};
    CLAIM(!scene.is_ended);
    scene.events++;
    if (scene.events == 4 && (scene.acts & DOES_DESTROY) != 0) {
        mqtt_link_destroy(scene.link);
        scene.link = NULL;
        scene.is_ended = true;
    } else if (scene.events == 4 && (scene.acts & DOES_STOP) != 0) {
        mqtt_link_stop(scene.link);
        scene.is_ended = true;
    } else if (mqtt_link_is_up(scene.link) && (scene.acts & DOES_PUBLISH) != 0) {
        enum error_code code = mqtt_link_publish(scene.link, &publish);
        CLAIM(code == OK || code == ERR_TOO_LARGE);
    }
}

static void on_up(void *context, bool is_session_present) {
    (void)context;
    (void)is_session_present;
    CLAIM(scene.ups++ == 0);
    CLAIM(mqtt_link_receive_maximum(scene.link) > 0);
    act();
}

static bool on_publish(void *context, const struct mqtt_publish *publish) {
    (void)context;
    CLAIM(publish->qos < 2);
    CLAIM((publish->qos > 0) == (publish->packet_id != 0));
    CLAIM(mqtt_string_check(publish->topic) == MQTT_FAULT_NONE);
    if (scene.publishes++ % 3 == 2 && (scene.acts & DOES_HOLD) != 0) {
        return false;
    }
    if (publish->qos > 0) {
        CLAIM(mqtt_link_acknowledge(scene.link, publish->packet_id) == OK);
    }
    act();
    return true;
}

static void on_acknowledged(void *context, uint16_t packet_id, uint8_t reason, struct span text) {
    (void)context;
    (void)packet_id;
    (void)reason;
    CLAIM(text.length == 0 || mqtt_string_check(text) == MQTT_FAULT_NONE);
    act();
}

static void on_granted(void *context, struct span reasons) {
    (void)context;
    (void)reasons;
    act();
}

static void on_down(void *context, const struct verdict *verdict) {
    (void)context;
    CLAIM(!scene.is_ended);
    CLAIM(scene.downs++ == 0);
    CLAIM(memchr(verdict->detail, '\0', sizeof(verdict->detail)) != NULL);
}

static const struct mqtt_link_events events = {.on_up = on_up,
                                               .on_publish = on_publish,
                                               .on_acknowledged = on_acknowledged,
                                               .on_granted = on_granted,
                                               .on_down = on_down};

/* Each turn takes something, or the end of it: there are no more turns than bytes. */
static void run(void) {
    for (size_t left = 2 * scene.stream.length + 16;
         left > 0 && scene.downs == 0 && !scene.is_ended; left--) {
        struct loop_chore *chore = scene.chore;
        scene.chore = NULL;
        if (chore != NULL) {
            chore->on_turn(chore);
        }
        if (scene.downs == 0 && !scene.is_ended) {
            mqtt_link_resume(scene.link);
        }
        if (scene.downs == 0 && !scene.is_ended) {
            scene.dial.options.on_ready(scene.dial.options.context);
        }
    }
    CLAIM(scene.downs == 1 || scene.is_ended);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    const struct mqtt_link_options options = {
        .client_id = "me", .session_expiry_s = 1, .receive_maximum = 9, .events = &events};
    memset(&scene, 0, sizeof(scene));
    scene.stream = span_of(bytes, length);
    scene.step = fuzz_take_step(&scene.stream);
    if (scene.stream.length == 0) {
        return 0;
    }
    scene.acts = scene.stream.bytes[0];
    scene.stream = span_of(scene.stream.bytes + 1, scene.stream.length - 1);
    CLAIM(mqtt_link_create(NULL, &options, &scene.link) == OK);
    mqtt_link_start(scene.link);
    scene.dial.options.on_connected(scene.dial.options.context);
    if (scene.downs == 0 && !scene.is_ended) {
        run();
    }
    mqtt_link_destroy(scene.link);
    return 0;
}
