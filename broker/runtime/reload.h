/* SPDX-License-Identifier: Apache-2.0 */
/* reload.h — the configuration, read again while the broker runs: at SIGHUP, and when the operator
 * asks.
 *
 * Place:   made and run by broker/main.c; asked by protocols/operator/, with a letter to main.
 * Thread:  the reloader is main's alone. Others load broker->rules, broker->policy and
 *          broker->configured, which are immutable and live as long as the reloader.
 * Bounds:  RELOADS_MAX configurations that differed from the one before: a thread may look at any
 *          of them. One that brings nothing new costs nothing.
 *
 * Channel rules, `auth`, `tenants` and the log's level change at once. All other keys wait for the
 * next start: broker->config stays what the broker began with, broker->configured is what was read
 * last. One with faults changes nothing. Connections that another `auth` would not have let in as
 * they are end (sift.h); the policies of before stay, since any thread may look at one.
 */
#pragma once

#include "broker/config/config.h"
#include "broker/support/mailbox.h"

struct broker;
struct reloader;

#define RELOADS_MAX 1000

/* What is other than before, and in force now. */
struct reload_changes {
    bool has_new_rules;
    bool has_new_policy; /* `auth`, or a file that it names */
    bool has_new_tenants;
    bool has_new_log_level;
};

/* One question and its answer. `reply_to` and on_reloaded are the asker's; on_reloaded comes
 * exactly once, on its thread. */
struct reload {
    struct letter letter;
    struct mailbox *reply_to;
    void (*on_reloaded)(struct reload *reload);
    enum error_code result; /* ERR_CONFIG: see `faults`; ERR_FULL, ERR_MEMORY, ERR_DRAINING */
    struct reload_changes changes;
    struct config_faults faults; /* 50 KiB: on no stack */
};

/* Any thread. ERR_BUSY, ERR_DRAINING: on_reloaded will not be called. */
MUST_USE enum error_code reload_ask(struct broker *broker, struct reload *reload);

/* Takes `config` over and puts it, its rules and its policy into `broker`, whose `mailbox` main
 * delivers with the reloader as the consumer. ERR_CONFIG, ERR_MEMORY: `config` stays the
 * caller's. */
MUST_USE enum error_code reloader_create(struct broker *broker,
                                         const struct config_sources *sources,
                                         struct config *config, struct reloader **ret_reloader,
                                         struct error *why);

/* Called on main whenever a configuration without faults was read again, changed or not: for what
 * the files that it names hold. */
void reloader_on_adopted(struct reloader *reloader, void (*on_adopted)(void *context),
                         void *context);

/* Gives the first policy's identities their accounts, once broker->accounts is there and before
 * anybody is asked for credentials. ERR_FULL, ERR_MEMORY. */
MUST_USE enum error_code reloader_enroll(struct reloader *reloader, struct error *why);

/* Reads all sources now and logs what came of it. `faults` is filled where the result is
 * ERR_CONFIG. */
enum error_code reloader_run(struct reloader *reloader, struct reload_changes *ret_changes,
                             struct config_faults *faults);

/* Frees all configurations, when no other thread is left. Accepts NULL. */
void reloader_destroy(struct reloader *reloader);
