/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/reload.h"

#include "broker/admission/policy.h"
#include "broker/channels/rules.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/sift.h"
#include "tests/unit.h"

static struct config_faults faults; /* 50 KiB: on no stack */

struct bench {
    struct broker broker;
    struct config_sources sources;
    struct reloader *reloader;
};

static void init(struct bench *bench, const char *text) {
    struct config *config = NULL;
    *bench = (struct bench){
        .sources = {.text = span_of_string(text), .check_pattern = rules_check_pattern}};
    EXPECT_EQ(config_load(&bench->sources, &config, &faults), OK);
    EXPECT_EQ(metrics_create(1, &bench->broker.metrics), OK);
    EXPECT_EQ(reloader_create(&bench->broker, &bench->sources, config, &bench->reloader, NULL), OK);
}

static void finish(struct bench *bench) {
    reloader_destroy(bench->reloader);
    metrics_destroy(bench->broker.metrics);
}

static enum error_code reload(struct bench *bench, const char *text,
                              struct reload_changes *ret_changes) {
    bench->sources.text = span_of_string(text);
    return reloader_run(bench->reloader, ret_changes, &faults);
}

static uint64_t messages_max(const struct bench *bench) {
    return rules_find(atomic_load(&bench->broker.rules), SPAN("a"))->history_messages_max;
}

TEST(rules_change_at_once_and_keys_wait) {
    struct bench bench;
    struct reload_changes changes = {.has_new_rules = false};
    init(&bench, "channels: [{match: a, history: {messages: 5}}]");
    EXPECT_EQ(messages_max(&bench), 5);
    EXPECT_EQ(reload(&bench, "channels: [{match: a, history: {messages: 6}}]", &changes), OK);
    EXPECT_TRUE(changes.has_new_rules);
    EXPECT_EQ(messages_max(&bench), 6);
    EXPECT_EQ(
        reload(&bench, "workers: 3\nchannels: [{match: a, history: {messages: 6}}]", &changes), OK);
    EXPECT_FALSE(changes.has_new_rules);
    EXPECT_EQ(messages_max(&bench), 6);
    EXPECT_EQ(bench.broker.config->source_of[CONFIG_KEY_workers], CONFIG_DEFAULT);
    EXPECT_EQ(atomic_load(&bench.broker.configured)->workers, 3);
    EXPECT_EQ(reload(&bench, "log: {level: error}\nchannels: [{match: a, history: {messages: 6}}]",
                     &changes),
              OK);
    EXPECT_FALSE(changes.has_new_rules);
    EXPECT_TRUE(changes.has_new_log_level);
    finish(&bench);
}

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

TEST(who_may_do_what_changes_at_once_and_only_with_auth) {
    struct bench bench;
    struct reload_changes changes = {.has_new_policy = true};
    init(&bench, "workers: 1");
    const struct policy *open = atomic_load(&bench.broker.policy);
    EXPECT_TRUE(policy_is_open(open));
    EXPECT_EQ(reload(&bench, "workers: 2", &changes), OK);
    EXPECT_FALSE(changes.has_new_policy);
    EXPECT_TRUE(atomic_load(&bench.broker.policy) == open);
    EXPECT_EQ(reload(&bench, "auth: {keys: [{name: a, hash: \"sha256:" HASH "\"}]}", &changes), OK);
    EXPECT_TRUE(changes.has_new_policy);
    EXPECT_FALSE(changes.has_new_rules);
    EXPECT_FALSE(policy_is_open(atomic_load(&bench.broker.policy)));
    EXPECT_EQ(reload(&bench, "tenants: [{name: a}]", &changes), OK);
    EXPECT_TRUE(changes.has_new_policy);
    EXPECT_TRUE(changes.has_new_tenants);
    finish(&bench);
}

/* There is no memory for one. */
struct sift *__wrap_sift_create(struct broker *broker, const struct sift_options *options);

struct sift *__wrap_sift_create(struct broker *broker, const struct sift_options *options) {
    (void)broker;
    (void)options;
    return NULL;
}

TEST(whose_connections_cannot_be_looked_at_keep_the_policy_that_let_them_in) {
    struct bench bench;
    struct reload_changes changes;
    init(&bench, "workers: 1");
    const struct policy *open = atomic_load(&bench.broker.policy);
    bench.broker.worker_count = 1;
    EXPECT_EQ(reload(&bench, "auth: {keys: [{name: a, hash: \"sha256:" HASH "\"}]}", &changes),
              ERR_MEMORY);
    EXPECT_TRUE(atomic_load(&bench.broker.policy) == open);
    EXPECT_EQ(reload(&bench, "channels: [{match: a, history: {messages: 6}}]", &changes), OK);
    EXPECT_TRUE(atomic_load(&bench.broker.policy) == open);
    finish(&bench);
}

TEST(what_is_listened_on_is_not_opened_by_taking_auth_away) {
    static const char closed[] = "public: {listen: \":8080\"}\n"
                                 "auth: {keys: [{name: a, hash: \"sha256:" HASH "\"}]}";
    struct bench bench;
    struct reload_changes changes;
    init(&bench, closed);
    const struct policy *before = atomic_load(&bench.broker.policy);
    EXPECT_EQ(reload(&bench, "public: {listen: \"127.0.0.1:8080\"}", &changes), ERR_CONFIG);
    EXPECT_TRUE(atomic_load(&bench.broker.policy) == before);
    EXPECT_EQ(faults.count, 1);
    EXPECT_STRING(faults.rows[0].key, "public.listen");
    EXPECT_FALSE(changes.has_new_policy);
    finish(&bench);
}

TEST(a_configuration_with_faults_changes_nothing) {
    struct bench bench;
    struct reload_changes changes = {.has_new_rules = true};
    init(&bench, "channels: [{match: a, history: {messages: 5}}]");
    const struct rules *rules = atomic_load(&bench.broker.rules);
    EXPECT_EQ(reload(&bench, "channels: [{match: a}]\nnonsense: 1\nworkers: none", &changes),
              ERR_CONFIG);
    EXPECT_FALSE(changes.has_new_rules);
    EXPECT_EQ(faults.count, 2);
    EXPECT_TRUE(atomic_load(&bench.broker.rules) == rules);
    EXPECT_TRUE(atomic_load(&bench.broker.configured) == bench.broker.config);
    finish(&bench);
}

TEST(what_brings_nothing_new_takes_no_room) {
    static const char same[] = "channels: [{match: a, history: {messages: 5}}]";
    struct bench bench;
    struct reload_changes changes = {.has_new_rules = true};
    init(&bench, same);
    const struct rules *rules = atomic_load(&bench.broker.rules);
    for (int i = 0; i < RELOADS_MAX + 10; i++) {
        EXPECT_EQ(reload(&bench, same, &changes), OK);
        EXPECT_FALSE(changes.has_new_rules);
    }
    EXPECT_TRUE(atomic_load(&bench.broker.rules) == rules);
    finish(&bench);
}

TEST(more_than_are_kept_are_refused) {
    struct bench bench;
    struct reload_changes changes = {.has_new_rules = false};
    char text[64];
    init(&bench, "");
    for (int i = 0; i < RELOADS_MAX; i++) {
        snprintf(text, sizeof(text), "channels: [{match: a, history: {messages: %d}}]", i);
        EXPECT_EQ(reload(&bench, text, &changes), OK);
    }
    EXPECT_EQ(reload(&bench, "channels: []", &changes), ERR_FULL);
    EXPECT_EQ(messages_max(&bench), RELOADS_MAX - 1);
    finish(&bench);
}

/* --- letters --------------------------------------------------------------------------------- */

static int answered;

static void on_reloaded(struct reload *reload) {
    (void)reload;
    answered++;
}

static void ask(struct bench *bench, struct reload *reload, struct mailbox *mine,
                struct mailbox *of_main) {
    bench->broker.mailbox = of_main;
    *reload = (struct reload){.reply_to = mine, .on_reloaded = on_reloaded};
    EXPECT_EQ(reload_ask(&bench->broker, reload), OK);
    EXPECT_EQ(mailbox_deliver_all(of_main, bench->reloader), 1);
    EXPECT_EQ(mailbox_deliver_all(mine, NULL), 1);
}

TEST(main_answers_who_asks) {
    static struct reload reload_letter;
    struct bench bench;
    struct mailbox mine;
    struct mailbox of_main;
    EXPECT_EQ(mailbox_init(&mine, 4), OK);
    EXPECT_EQ(mailbox_init(&of_main, 4), OK);
    init(&bench, "");
    answered = 0;
    bench.sources.text = SPAN("channels: [{match: a}]");
    ask(&bench, &reload_letter, &mine, &of_main);
    EXPECT_EQ(reload_letter.result, OK);
    EXPECT_TRUE(reload_letter.changes.has_new_rules);
    bench.sources.text = SPAN("nonsense: 1");
    ask(&bench, &reload_letter, &mine, &of_main);
    EXPECT_EQ(reload_letter.result, ERR_CONFIG);
    EXPECT_EQ(reload_letter.faults.count, 1);
    EXPECT_EQ(answered, 2);
    finish(&bench);
    mailbox_finish(&mine);
    mailbox_finish(&of_main);
}

TEST(a_process_that_ends_reads_nothing) {
    static struct reload early;
    static struct reload late;
    struct bench bench;
    struct mailbox mine;
    struct mailbox of_main;
    EXPECT_EQ(mailbox_init(&mine, 4), OK);
    EXPECT_EQ(mailbox_init(&of_main, 4), OK);
    init(&bench, "");
    bench.broker.mailbox = &of_main;
    early = (struct reload){.reply_to = &mine, .on_reloaded = on_reloaded};
    EXPECT_EQ(reload_ask(&bench.broker, &early), OK);
    atomic_store(&bench.broker.is_stopping, true);
    EXPECT_EQ(reload_ask(&bench.broker, &late), ERR_DRAINING);
    EXPECT_EQ(mailbox_deliver_all(&of_main, bench.reloader), 1);
    EXPECT_EQ(mailbox_deliver_all(&mine, NULL), 1);
    EXPECT_EQ(early.result, ERR_DRAINING);
    finish(&bench);
    mailbox_finish(&mine);
    mailbox_finish(&of_main);
}

UNIT_TESTS(UNIT(who_may_do_what_changes_at_once_and_only_with_auth),
           UNIT(whose_connections_cannot_be_looked_at_keep_the_policy_that_let_them_in),
           UNIT(what_is_listened_on_is_not_opened_by_taking_auth_away),
           UNIT(rules_change_at_once_and_keys_wait),
           UNIT(a_configuration_with_faults_changes_nothing),
           UNIT(what_brings_nothing_new_takes_no_room), UNIT(more_than_are_kept_are_refused),
           UNIT(main_answers_who_asks), UNIT(a_process_that_ends_reads_nothing))
