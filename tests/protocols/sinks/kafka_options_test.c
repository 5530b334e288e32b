/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/kafka_options.h"

#include "tests/unit.h"

static struct config_faults faults;

/* The access of a row with one option, or none. */
static struct kafka_access access_with(struct config_list *list, const char **options) {
    list->items = (char **)options;
    list->count = options[0] == NULL ? 0 : 1;
    return (struct kafka_access){.brokers = "127.0.0.1:9092", .options = list};
}

/* The fault of one option; NULL: it is taken. */
static const char *fault_of(const char *option) {
    struct config_list list;
    struct kafka_access access = access_with(&list, &option);
    faults = (struct config_faults){0};
    kafka_options_check(&access, "tidings.yaml", "sinks[0]", &faults);
    assert_true(faults.count < 2);
    return faults.count == 0 ? NULL : faults.rows[0].reason;
}

static void expect_fault(const char *option, const char *part) {
    const char *reason = fault_of(option);
    assert_non_null(reason);
    if (strstr(reason, part) == NULL) {
        assert_string_equal(reason, part);
    }
    EXPECT_STRING(faults.rows[0].key, "sinks[0].kafka.options");
}

TEST(properties_of_the_library_are_taken_as_they_are) {
    EXPECT_NULL(fault_of("compression.type=zstd"));
    EXPECT_NULL(fault_of(" linger.ms = 20"));
    EXPECT_NULL(fault_of("message.max.bytes=2000000"));
    EXPECT_NULL(fault_of("security.protocol=sasl_ssl"));
}

TEST(an_unknown_property_is_named) {
    expect_fault("compresion.type=zstd", "`compresion.type`");
    expect_fault("linger.ms=soon", "linger.ms");
    expect_fault("=1", "is not `name=value`");
}

TEST(what_would_break_a_promise_is_refused) {
    expect_fault("enable.idempotence=false", "no repeats");
    expect_fault("acks=1", "all replicas");
    expect_fault("partitioner=random", "Java client");
    expect_fault("message.timeout.ms=1000", "leave a hole");
    expect_fault("transactional.id=mine", "kafka.delivery says it");
    expect_fault("queuing.strategy=lifo", "order");
    expect_fault("log.queue=true", "not printed");
}

TEST(secrets_are_not_taken_where_they_would_be_shown) {
    expect_fault("sasl.password=hush", "kafka.password says it");
    expect_fault("ssl.key.password=hush", "a secret");
}

TEST(nothing_is_run_that_a_row_names) {
    expect_fault("sasl.kerberos.kinit.cmd=/bin/true", "runs a program");
    expect_fault("plugin.library.paths=here", "code of others");
}

TEST(a_user_is_never_sent_into_the_open_unasked) {
    const char *none[] = {NULL};
    struct config_list list;
    struct kafka_access access = access_with(&list, none);
    access.username = "tidings";
    faults = (struct config_faults){0};
    kafka_options_check(&access, "tidings.yaml", "", &faults);
    EXPECT_EQ(faults.count, 1);
    assert_non_null(strstr(faults.rows[0].reason, "security.protocol=sasl_ssl"));
    EXPECT_STRING(faults.rows[0].key, "kafka.options");
}

static void expect_property(rd_kafka_conf_t *conf, const char *name, const char *expected) {
    char value[256];
    size_t size = sizeof(value);
    EXPECT_EQ(rd_kafka_conf_get(conf, name, value, &size), RD_KAFKA_CONF_OK);
    EXPECT_STRING(value, expected);
}

TEST(a_user_gets_the_plain_mechanism_unless_told) {
    const char *options[] = {"security.protocol=sasl_ssl"};
    struct config_list list;
    rd_kafka_conf_t *conf;
    struct kafka_access access = access_with(&list, options);
    access.username = "tidings";
    access.password = "hush";
    EXPECT_EQ(kafka_options_create(&access, &conf, NULL), OK);
    expect_property(conf, "sasl.mechanisms", "PLAIN");
    expect_property(conf, "sasl.password", "hush");
    rd_kafka_conf_destroy(conf);
}

TEST(a_producer_keeps_order_and_places_keys_as_java_does) {
    const char *options[] = {"linger.ms=20"};
    struct config_list list;
    rd_kafka_conf_t *conf;
    struct kafka_access access = access_with(&list, options);
    EXPECT_EQ(kafka_options_create(&access, &conf, NULL), OK);
    EXPECT_EQ(kafka_options_promise(conf, NULL), OK);
    expect_property(conf, "enable.idempotence", "true");
    expect_property(conf, "partitioner", "murmur2_random");
    expect_property(conf, "linger.ms", "20");
    expect_property(conf, "bootstrap.servers", "127.0.0.1:9092");
    rd_kafka_conf_destroy(conf);
}

TEST(a_bad_option_makes_no_configuration) {
    const char *options[] = {"acks=0"};
    struct config_list list;
    rd_kafka_conf_t *conf;
    struct error why = {0};
    struct kafka_access access = access_with(&list, options);
    EXPECT_EQ(kafka_options_create(&access, &conf, &why), ERR_CONFIG);
    assert_non_null(strstr(why.detail, "acks"));
}

UNIT_TESTS(UNIT(properties_of_the_library_are_taken_as_they_are),
           UNIT(an_unknown_property_is_named), UNIT(what_would_break_a_promise_is_refused),
           UNIT(secrets_are_not_taken_where_they_would_be_shown),
           UNIT(nothing_is_run_that_a_row_names), UNIT(a_user_is_never_sent_into_the_open_unasked),
           UNIT(a_user_gets_the_plain_mechanism_unless_told),
           UNIT(a_producer_keeps_order_and_places_keys_as_java_does),
           UNIT(a_bad_option_makes_no_configuration))
