/* SPDX-License-Identifier: Apache-2.0 */
/* The one file that names everyone: the subcommands, and how the parts of a broker are put
 * together.
 *
 * They start from the log outwards, so that nothing is asked before it can answer, and end the
 * other way round: workers say goodbye, the operator's port closes, the log answers what it was
 * given, the store folds the rest. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "broker/admission/accounts.h"
#include "broker/admission/judge.h"
#include "broker/admission/policy.h"
#include "broker/admission/tickets.h"
#include "broker/channels/rules.h"
#include "broker/config/command.h"
#include "broker/config/config.h"
#include "broker/config/help.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/metrics/thread.h"
#include "broker/runtime/announcement.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/budget.h"
#include "broker/runtime/courier.h"
#include "broker/runtime/home.h"
#include "broker/runtime/jwks.h"
#include "broker/runtime/log.h"
#include "broker/runtime/opening.h"
#include "broker/runtime/privileges.h"
#include "broker/runtime/reads.h"
#include "broker/runtime/reload.h"
#include "broker/runtime/resources.h"
#include "broker/runtime/revoking.h"
#include "broker/runtime/sharing.h"
#include "broker/runtime/store.h"
#include "broker/runtime/tenants.h"
#include "broker/runtime/throttle.h"
#include "broker/runtime/tls.h"
#include "broker/runtime/worker.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "broker/support/notify.h"
#include "clients/bench/bench.h"
#include "clients/cli/client.h"
#include "clients/console/console.h"
#include "clients/demo/demo.h"
#include "protocols/http/server.h"
#include "protocols/mqtt/mqtt.h"
#include "protocols/operator/operator.h"
#include "protocols/rest/assets.h"
#include "protocols/sinks/declaration.h"
#include "protocols/sinks/sinks.h"
#include "storage/storage.h"

#define HTTP_ALPN "\x08http/1.1" /* RFC 7301; its length comes first */
#define MQTT_ALPN "\x04mqtt"
#define ASSETS_MAX 16

/* The files of a page as the routes see them. */
struct page {
    struct static_asset rows[ASSETS_MAX];
    struct static_assets assets;
};

/* Everything that one running broker is made of, in the order in which it is made. */
struct process {
    struct broker broker;
    struct config_sources sources;
    struct config *config;
    struct mailbox mailbox;
    struct reloader *reloader;
    struct config_faults faults; /* of the last reload: too large for the stack */
    struct store *store;
    struct log_listener **listeners;
    struct operator_server *operator_server;
    struct entrance entrances[PORT_COUNT];
    struct page demo;
    struct page console;
};

/* --- parts ---------------------------------------------------------------------------------- */

static const struct static_assets *adapt_page(struct page *page, const struct client_asset *files,
                                              size_t count, const char *policy) {
    INVARIANT(count <= ASSETS_MAX);
    for (size_t i = 0; i < count; i++) {
        page->rows[i] = (struct static_asset){.path = files[i].path,
                                              .media_type = files[i].type,
                                              .etag = files[i].etag,
                                              .content = span_of(files[i].bytes, files[i].length)};
    }
    page->assets = (struct static_assets){.rows = page->rows,
                                          .count = count,
                                          .content_security_policy = policy,
                                          .cache_control = CLIENT_ASSETS_CACHE_CONTROL};
    return &page->assets;
}

static void adapt_assets(struct process *process) {
    unsigned long count;
    const struct client_asset *files = demo_assets(&count);
    if (process->config->public_demo) {
        process->broker.public_assets =
            adapt_page(&process->demo, files, count, DEMO_CONTENT_SECURITY_POLICY);
    }
    files = console_assets(&count);
    process->broker.operator_assets =
        adapt_page(&process->console, files, count, CONSOLE_CONTENT_SECURITY_POLICY);
}

static enum error_code create_workers(struct process *process, struct error *why) {
    struct broker *broker = &process->broker;
    size_t count = (size_t)process->config->workers;
    bool is_secure = broker->tls != NULL;
    const struct span none = {0};
    broker->workers = calloc(count, sizeof(*broker->workers));
    process->listeners = calloc(count + 1, sizeof(struct log_listener *)); /* and the sinks */
    if (broker->workers == NULL || process->listeners == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for the workers");
    }
    process->entrances[PORT_PUBLIC] =
        (struct entrance){http_protocol(), http_on_accepted, is_secure ? none : http_refusal(),
                          broker->tls, HTTP_ALPN};
    process->entrances[PORT_MQTT] =
        (struct entrance){&mqtt_protocol, mqtt_on_accepted, none, NULL, MQTT_ALPN};
    process->entrances[PORT_MQTT_TLS] =
        (struct entrance){&mqtt_protocol, mqtt_on_accepted, none, broker->tls, MQTT_ALPN};
    for (size_t i = 0; i < count; i++) {
        enum error_code code =
            worker_create(broker, i, process->entrances, &broker->workers[i], why);
        if (code != OK) {
            return code;
        }
        broker->worker_count++;
        process->listeners[i] = worker_listener(broker->workers[i]);
    }
    return OK;
}

/* No group waits for it any more. */
static void on_session_over(void *context, struct span client_id) {
    /* Without memory they wait as long as the session would have been kept. */
    IGNORE_RESULT(sharing_forget_everywhere(context, client_id));
}

static bool is_over_busy(void *context) {
    return sharing_is_forgetting(context);
}

/* Groups and revocations come back before the log can change what is stored of them. */
static enum error_code start_log(struct process *process, struct error *why) {
    struct broker *broker = &process->broker;
    struct log_options options = {.storage = broker->storage,
                                  .listeners = process->listeners,
                                  .listener_count = broker->worker_count + 1,
                                  .store_mailbox = store_mailbox(process->store),
                                  .metrics = broker->metrics,
                                  .channels_max = process->config->channels_max,
                                  .accounts = broker->accounts,
                                  .sessions_max = process->config->mqtt_sessions_max,
                                  .sessions_bytes_max = SESSIONS_BYTES_MAX,
                                  .on_session_over = on_session_over,
                                  .is_over_busy = is_over_busy,
                                  .context = broker};
    enum error_code code = home_restore(broker, why);
    if (code == OK) {
        code = revoking_create(broker, &broker->revoking, why);
    }
    if (code == OK) {
        code = tenants_create(broker, &broker->tenants, why);
    }
    if (code == OK) {
        code = sinks_create(broker, &broker->sinks, why);
    }
    if (code == OK) {
        process->listeners[broker->worker_count] = sinks_listener(broker->sinks);
        code = log_create(&options, &broker->log, why);
    }
    if (code == OK) {
        code = log_start(broker->log, why);
    }
    if (code == OK && store_start(process->store, broker->log, broker->tenants) != OK) {
        code = error_set(why, ERR_MEMORY, "the store thread does not start");
    }
    return code;
}

/* What may need more rights than the process goes on with: ports below 1024, and keys. */
static enum error_code take_ports(struct process *process, struct error *why) {
    struct broker *broker = &process->broker;
    const struct config *config = process->config;
    enum error_code code = OK;
    if (config->public_tls_certificate != NULL || config->operator_tls_certificate != NULL) {
        privileges_hide_memory();
    }
    if (config->public_tls_certificate != NULL) {
        code = tls_create(config, metrics_shard(broker->metrics, METRICS_MAIN), &broker->tls, why);
    }
    code = code == OK ? create_workers(process, why) : code;
    for (size_t i = 0; code == OK && i < broker->worker_count; i++) {
        code = worker_bind(broker->workers[i], why);
    }
    if (code == OK) {
        code = operator_create(broker, &process->operator_server, why);
    }
    return code == OK ? privileges_drop(config->user, config->data, why) : code;
}

static enum error_code start_ports(struct process *process, struct error *why) {
    struct broker *broker = &process->broker;
    enum error_code code = operator_start(process->operator_server, why);
    for (size_t i = 0; code == OK && i < broker->worker_count; i++) {
        code = worker_start(broker->workers[i], why);
    }
    return code;
}

/* Certificates are read again whether the configuration has changed or not. */
static void on_adopted(void *context) {
    struct process *process = context;
    struct error why = {0};
    if (process->broker.tls != NULL && tls_reload(process->broker.tls, &why) != OK) {
        log_event(TLS_NOT_RELOADED, .detail = why.detail);
    }
    if (operator_reload(process->operator_server, &why) != OK) {
        log_event(TLS_NOT_RELOADED, .detail = why.detail);
    }
    if (process->broker.sinks != NULL) {
        sinks_reload(process->broker.sinks);
    }
}

/* Who calls others, and what is fetched by it. */
static enum error_code create_courier(struct broker *broker, struct error *why) {
    struct metrics_shard *metrics = metrics_shard(broker->metrics, METRICS_COURIER);
    enum error_code code = courier_create(metrics, &broker->courier, why);
    if (code == OK && jwks_create(broker->courier, metrics, &broker->jwks) != OK) {
        code = error_set(why, ERR_MEMORY, "no memory for the keys of issuers");
    }
    return code;
}

/* One part after the other; stop_broker() ends as many as there are. */
static enum error_code start_broker(struct process *process, struct error *why) {
    struct broker *broker = &process->broker;
    broker->mailbox = &process->mailbox;
    broker->started_ms = clock_wall_ms();
    broker->started_monotonic_ms = clock_monotonic_ms();
    atomic_init(&broker->connection_id_next, 1);
    adapt_assets(process);
    if (mailbox_init(&process->mailbox, MAILBOX_NODES_MAX) != OK ||
        metrics_create((size_t)process->config->workers, &broker->metrics) != OK ||
        (broker->tickets = tickets_create()) == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for the first tables");
    }
    thread_begin(metrics_shard(broker->metrics, METRICS_MAIN));
    enum error_code code = create_courier(broker, why);
    if (code == OK) {
        code = reloader_create(broker, &process->sources, process->config, &process->reloader, why);
    }
    if (code == OK) {
        code = courier_start(broker->courier, why);
    }
    if (code != OK) {
        return code;
    }
    reloader_on_adopted(process->reloader, on_adopted, process);
    if (throttle_open(broker) != OK) {
        return error_set(why, ERR_MEMORY, "no memory for the tables of limits");
    }
    code = reloader_enroll(process->reloader, why);
    if (code != OK) {
        return code;
    }
    code = take_ports(process, why);
    if (code == OK) {
        code = opening_storage(broker, why);
    }
    if (code == OK) {
        code = store_create(broker->storage, metrics_shard(broker->metrics, METRICS_STORE),
                            &process->store);
    }
    if (code == OK) {
        code = start_log(process, why);
    }
    if (code == OK) {
        code = reads_create(broker->storage, broker->metrics, &broker->reads, why);
    }
    if (code == OK) {
        code = sinks_start(broker->sinks, why);
    }
    return code != OK ? code : start_ports(process, why);
}

static void settle_workers(struct broker *broker) {
    for (size_t i = 0; i < broker->worker_count; i++) {
        worker_settle(broker->workers[i]);
    }
}

static void stop_broker(struct process *process) {
    struct broker *broker = &process->broker;
    atomic_store(&broker->is_ready, false);
    atomic_store(&broker->is_draining, true);
    atomic_store(&broker->is_stopping, true);
    mailbox_deliver_all(&process->mailbox, process->reloader);
    for (size_t i = 0; i < broker->worker_count; i++) {
        worker_drain(broker->workers[i]);
    }
    for (size_t i = 0; i < broker->worker_count; i++) {
        worker_join(broker->workers[i]);
    }
    operator_stop(process->operator_server);
    mailbox_deliver_all(&process->mailbox, process->reloader); /* asked since: told that it ends */
    courier_stop(broker->courier);
    settle_workers(broker);
    sinks_stop(broker->sinks);
    if (broker->log != NULL) {
        tenants_store(broker->tenants, true);
        log_stop(broker->log);
        mailbox_deliver_all(&process->mailbox, process->reloader); /* what the tenants stored */
    }
    reads_stop(broker->reads);
    settle_workers(broker); /* a watch of the operator's that was reading the log ends with this */
    operator_destroy(process->operator_server);
    revoking_destroy(broker->revoking);
    for (size_t i = 0; i < broker->worker_count; i++) {
        worker_destroy(broker->workers[i]);
    }
    reads_destroy(broker->reads); /* workers release the last pages when they go */
    store_destroy(process->store);
    sinks_destroy(broker->sinks); /* no commit comes any more */
    log_destroy(broker->log);
    tenants_destroy(broker->tenants);
    storage_close(broker->storage);
    jwks_destroy(broker->jwks);
    courier_destroy(broker->courier);
    tls_destroy(broker->tls);
    tickets_destroy(broker->tickets);
    metrics_destroy(broker->metrics);
    free(broker->workers);
    free(process->listeners);
    if (process->reloader != NULL) {
        reloader_destroy(process->reloader);
    } else {
        config_destroy(process->config);
    }
    throttle_close(broker);
    mailbox_finish(&process->mailbox);
}

/* --- signals -------------------------------------------------------------------------------- */

static void block_signals(sigset_t *ret_signals) {
    sigemptyset(ret_signals);
    sigaddset(ret_signals, SIGTERM);
    sigaddset(ret_signals, SIGINT);
    sigaddset(ret_signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, ret_signals, NULL); /* threads that start later inherit this */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL); /* a limit for files is met as a full disk is */
}

static void on_second_signal(int number) {
    (void)number;
    _exit(COMMAND_FAILED);
}

static int take_signal(int signals_fd) {
    struct signalfd_siginfo taken;
    bool is_there = read(signals_fd, &taken, sizeof(taken)) == (ssize_t)sizeof(taken);
    return is_there ? (int)taken.ssi_signo : 0;
}

/* Main sleeps until a signal or a letter comes, looks at the memory, and says now and then what the
 * log held back; returns the signal that ends the process. */
static int wait_for_signal(struct process *process, int signals_fd) {
    struct metrics_shard *metrics = metrics_shard(process->broker.metrics, METRICS_MAIN);
    struct mailbox *mailbox = &process->mailbox;
    uint64_t told_ms = clock_monotonic_ms();
    for (;;) {
        struct pollfd wanted[] = {{.fd = signals_fd, .events = POLLIN},
                                  {.fd = mailbox->event_fd, .events = POLLIN}};
        thread_sleep(metrics);
        if (mailbox_sleep(mailbox)) {
            /* A signal, or nothing for long: look again. */
            IGNORE_RESULT(poll(wanted, ARRAY_COUNT(wanted), BUDGET_INTERVAL_MS) < 0);
            mailbox_wake(mailbox);
        }
        thread_wake(metrics);
        if (clock_monotonic_ms() - told_ms >= LOG_TELL_INTERVAL_MS) {
            told_ms = clock_monotonic_ms();
            logger_tell_suppressed();
        }
        tenants_store(process->broker.tenants, false);
        budget_look(process->broker.budget, metrics, clock_monotonic_ms());
        metrics_add(metrics, METRIC_LETTERS, mailbox_deliver_all(mailbox, process->reloader));
        int number = take_signal(signals_fd);
        if (number == SIGHUP) {
            struct reload_changes changes; /* are logged, and so is what fails */
            IGNORE_RESULT(reloader_run(process->reloader, &changes, &process->faults) != OK);
        } else if (number != 0) {
            return number;
        }
    }
}

static void wait_for_end(struct process *process, const sigset_t *signals, int signals_fd) {
    int number = wait_for_signal(process, signals_fd);
    close(signals_fd);
    notify_manager("STOPPING=1");
    log_event(STOPPING, .signal = (uint64_t)number,
              .connections = atomic_load(&process->broker.connection_count));
    struct sigaction at_once = {.sa_handler = on_second_signal};
    sigaction(SIGTERM, &at_once, NULL);
    sigaction(SIGINT, &at_once, NULL);
    pthread_sigmask(SIG_UNBLOCK, signals, NULL);
}

/* --- subcommands ---------------------------------------------------------------------------- */

static void check_files(const struct config *config, struct config_faults *faults) {
    policy_check(config, faults);
    tls_check(config, faults);
}

/* A parent may have closed the standard streams (`tidings serve <&- 2>&-`). What is opened next
 * would take their numbers, and the log's words would go into the database. What is in their place
 * fails as a closed one does: it is open for the other direction. */
static bool hold_standard_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        int flags = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags) != fd) {
            perror("tidings: /dev/null"); /* where standard error is open */
            return false;
        }
    }
    return true;
}

static int run_serve(int count, char *const *words) {
    static struct process process; /* zeroed, and too large for the stack; main's alone */
    process.mailbox.event_fd = -1;
    extern char **environ;
    process.sources = (struct config_sources){.environment = environ,
                                              .flag_count = count,
                                              .flags = words,
                                              .check_pattern = rules_check_pattern,
                                              .check_rows = declaration_check_rows,
                                              .check_files = check_files};
    privileges_give_up_new();
    int exit_code = COMMAND_FAILED;
    if (!hold_standard_streams() ||
        !command_prepare_serve(&process.sources, &process.config, &exit_code)) {
        return exit_code;
    }
    sigset_t signals;
    block_signals(&signals);
    resources_prepare();
    struct error why = {0};
    int signals_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    enum error_code code = signals_fd < 0
                               ? error_set(&why, ERR_IO, "no signalfd: %s", strerrordesc_np(errno))
                               : start_broker(&process, &why);
    if (code == OK) {
        atomic_store(&process.broker.is_ready, true);
        announcement_make(&process.broker);
        notify_manager("READY=1");
        wait_for_end(&process, &signals, signals_fd);
        exit_code = COMMAND_OK;
    } else {
        log_event(START_FAILED, .detail = why.detail);
        exit_code = COMMAND_FAILED;
    }
    uint64_t begin_ms = clock_monotonic_ms();
    stop_broker(&process);
    logger_tell_suppressed();
    log_event(STOPPED, .exit_code = (uint64_t)exit_code,
              .took_ms = clock_monotonic_ms() - begin_ms);
    return exit_code;
}

static int run_check(int count, char *const *words) {
    static const struct config_sources hooks = {.check_pattern = rules_check_pattern,
                                                .check_rows = declaration_check_rows,
                                                .check_files = check_files};
    return command_check(count, words, &hooks);
}

static const struct client_judges judges = {.pattern = judge_pattern, .tenant = judge_tenant};

static int run_key(int count, char *const *words) {
    return client_key(count, words, &judges);
}

static int run_token(int count, char *const *words) {
    return client_token(count, words, &judges);
}

static int run_version(int count, char *const *words) {
    if (count > 0 && strcmp(words[0], "--help") != 0) {
        fprintf(stderr, "tidings: version takes no words, and was given \"%s\"\n", words[0]);
        return COMMAND_USAGE;
    }
    puts("tidings " TIDINGS_VERSION);
    return COMMAND_OK;
}

static int run_help(int count, char *const *words);

struct subcommand {
    const char *name;
    const char *summary;
    int (*run)(int count, char *const *words); /* the words behind the subcommand */
};

static const struct subcommand subcommands[] = {
    {"serve", "run the broker", run_serve},
    {"pub", "publish a message", client_pub},
    {"sub", "follow channels", client_sub},
    {"health", "ask whether the broker takes traffic", client_health},
    {"drain", "take a broker out of service", client_drain},
    {"bench", "put a load on a server and judge it", bench_run},
    {"key", "make an API key", run_key},
    {"token", "sign a token for trying things out", run_token},
    {"sink", "list, test and direct what pushes to other systems", client_sink},
    {"listen", "receive webhooks, verify and print them", client_listen},
    {"explain", "say which rule allows or refuses something", client_explain},
    {"check", "check a configuration file", run_check},
    {"version", "print the version", run_version},
    {"help", "print this", run_help},
};

static const struct subcommand *find_subcommand(const char *name) {
    for (size_t i = 0; i < ARRAY_COUNT(subcommands); i++) {
        if (strcmp(name, subcommands[i].name) == 0) {
            return &subcommands[i];
        }
    }
    return NULL;
}

/* `help configuration` is the reference page, `help pub` what `pub --help` says. */
static int run_help(int count, char *const *words) {
    if (count == 1 && strcmp(words[0], "configuration") == 0) {
        help_write_reference(stdout);
        return COMMAND_OK;
    }
    const struct subcommand *about = count == 1 ? find_subcommand(words[0]) : NULL;
    if (about != NULL && about->run != run_help && about->run != run_version) {
        char help[] = "--help";
        char *const help_words[] = {help, NULL};
        return about->run(1, help_words);
    }
    if (count > 1) {
        fprintf(stderr, "tidings: help is about one command: tidings help %s\n", words[0]);
        return COMMAND_USAGE;
    }
    if (count > 0 && about == NULL && strcmp(words[0], "--help") != 0) {
        fprintf(stderr, "tidings: there is no help about \"%s\"\n", words[0]);
        return COMMAND_USAGE;
    }
    puts("usage: tidings COMMAND [--help]\n");
    for (size_t i = 0; i < ARRAY_COUNT(subcommands); i++) {
        printf("  %-8s %s\n", subcommands[i].name, subcommands[i].summary);
    }
    return COMMAND_OK;
}

int main(int argc, char **argv) {
    const char *wanted = argc < 2 ? "help" : argv[1];
    bool is_flag = wanted[0] == '-';
    wanted = is_flag && (strcmp(wanted, "--help") == 0 || strcmp(wanted, "-h") == 0) ? "help"
             : is_flag && strcmp(wanted, "--version") == 0                           ? "version"
                                                                                     : wanted;
    const struct subcommand *subcommand = find_subcommand(wanted);
    if (subcommand == NULL) {
        fprintf(stderr, "tidings: there is no command \"%s\"; see tidings help\n", wanted);
        return COMMAND_USAGE;
    }
    int code = subcommand->run(argc - 2 > 0 ? argc - 2 : 0, argv + (argc < 2 ? 1 : 2));
    int fault = fflush(stdout) == 0 ? 0 : errno;
    if (code == COMMAND_OK && (fault != 0 || ferror(stdout) != 0)) {
        fprintf(stderr, "tidings: standard output cannot be written: %s\n",
                fault == 0 ? "an earlier write failed" : strerrordesc_np(fault));
        code = COMMAND_FAILED;
    }
    return code;
}
