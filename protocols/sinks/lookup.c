/* SPDX-License-Identifier: Apache-2.0 */
/* Threads come home to a pier: a stack of what they have brought, with an eventfd. It outlives the
 * lookup while some are still out, and whoever leaves it last frees it with all that lies there. No
 * letters, for those of a thread that comes too late would lie in a mailbox for ever. */
#include "protocols/sinks/lookup.h"

#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "broker/support/invariant.h"
#include "broker/support/map.h"

/* A name while somebody waits for it or it is looked up; behind that, if it was found. */
struct lookup_name {
    struct map_node node;
    struct list in_lookup; /* one of the queues, or `found` */
    struct list waits;
    bool is_running;
    bool is_queued;
    bool is_found; /* the last time */
    char host[LOOKUP_HOST_BYTES];
};

struct pier {
    atomic_uint user_count;        /* the lookup, and threads that are out */
    _Atomic(struct task *) landed; /* the last first */
    int event_fd;
};

/* One call, which outlives whoever asked if need be. */
struct task {
    struct task *next; /* of those that have landed */
    struct pier *pier;
    struct lookup_name *name; /* the lookup's */
    char host[LOOKUP_HOST_BYTES];
    char addresses[LOOKUP_ADDRESSES_BYTES]; /* empty: none */
};

struct lookup {
    struct loop *loop;
    size_t borrow_count;
    struct map names;
    struct list known;   /* that are to be looked up, and were found before … */
    struct list unknown; /* … and were not */
    struct list found;   /* that nobody waits for, the longest so first */
    size_t found_count;
    size_t task_count;
    struct heap waits;       /* of all names, by when their time is over … */
    struct loop_timer alarm; /* … for the first of them */
    struct pier *pier;
    struct loop_watch watch;
};

/* --- the pier -------------------------------------------------------------------------------- */

static struct pier *create_pier(void) {
    struct pier *pier = calloc(1, sizeof(*pier));
    if (pier != NULL) {
        atomic_init(&pier->user_count, 1);
        pier->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (pier->event_fd < 0) {
            free(pier);
            return NULL;
        }
    }
    return pier;
}

static struct task *take_landed(struct pier *pier) {
    return atomic_exchange(&pier->landed, NULL);
}

static void leave_pier(struct pier *pier) {
    if (atomic_fetch_sub(&pier->user_count, 1) > 1) {
        return;
    }
    for (struct task *task = take_landed(pier), *next; task != NULL; task = next) {
        next = task->next;
        free(task);
    }
    close(pier->event_fd);
    free(pier);
}

static void land(struct task *task) {
    const uint64_t one = 1;
    struct pier *pier = task->pier;
    task->next = atomic_load(&pier->landed);
    while (!atomic_compare_exchange_weak(&pier->landed, &task->next, task)) {
    }
    IGNORE_RESULT(write(pier->event_fd, &one, sizeof(one)) < 0); /* full: it is readable already */
    leave_pier(pier);
}

/* --- the call -------------------------------------------------------------------------------- */

/* Where it is not of one of the two families, or has a zone, it is left out. */
static void put_address(char *text, const struct addrinfo *address) {
    char digits[NI_MAXHOST];
    size_t length = strlen(text);
    bool is_v6 = address->ai_family == AF_INET6;
    if ((!is_v6 && address->ai_family != AF_INET) ||
        getnameinfo(address->ai_addr, address->ai_addrlen, digits, sizeof(digits), NULL, 0,
                    NI_NUMERICHOST) != 0 ||
        strchr(digits, '%') != NULL) {
        return;
    }
    int written = snprintf(text + length, LOOKUP_ADDRESSES_BYTES - length, "%s%s%s%s",
                           length == 0 ? "" : ",", is_v6 ? "[" : "", digits, is_v6 ? "]" : "");
    if (written < 0 || (size_t)written >= LOOKUP_ADDRESSES_BYTES - length) {
        text[length] = '\0';
    }
}

static void *run(void *context) {
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct task *task = context;
    struct addrinfo *list = NULL;
    if (getaddrinfo(task->host, NULL, &hints, &list) == 0) {
        for (const struct addrinfo *one = list; one != NULL; one = one->ai_next) {
            put_address(task->addresses, one);
        }
        freeaddrinfo(list);
    }
    land(task);
    return NULL;
}

/* --- names ----------------------------------------------------------------------------------- */

static void forget(struct lookup *lookup, struct lookup_name *name) {
    list_remove(&name->in_lookup);
    map_remove(&lookup->names, &name->node);
    free(name);
}

/* Nobody waits for it: it is remembered if it was found, else forgotten. */
static void retire(struct lookup *lookup, struct lookup_name *name) {
    if (!list_is_empty(&name->waits) || name->is_running || name->is_queued) {
        return;
    }
    if (!name->is_found) {
        forget(lookup, name);
        return;
    }
    list_put_tail(&lookup->found, &name->in_lookup);
    if (++lookup->found_count > LOOKUP_NAMES_MAX) {
        lookup->found_count--;
        forget(lookup, CONTAINER_OF(lookup->found.next, struct lookup_name, in_lookup));
    }
}

static struct lookup_name *find_name(struct lookup *lookup, const char *host) {
    struct map_node *node = map_find(&lookup->names, span_of_string(host));
    if (node != NULL) {
        return CONTAINER_OF(node, struct lookup_name, node);
    }
    struct lookup_name *name = calloc(1, sizeof(*name));
    if (name != NULL) {
        list_init(&name->in_lookup);
        list_init(&name->waits);
        snprintf(name->host, sizeof(name->host), "%s", host);
        map_put(&lookup->names, &name->node, span_of_string(name->host));
    }
    return name;
}

static void enqueue(struct lookup *lookup, struct lookup_name *name) {
    if (name->is_running || name->is_queued) {
        return;
    }
    lookup->found_count -= !list_is_empty(&name->in_lookup);
    list_remove(&name->in_lookup);
    name->is_queued = true;
    list_put_tail(name->is_found ? &lookup->known : &lookup->unknown, &name->in_lookup);
}

/* --- threads --------------------------------------------------------------------------------- */

static bool begin_thread(struct task *task) {
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    bool is_begun = pthread_attr_setstacksize(&attributes, LOOKUP_STACK_BYTES) == 0 &&
                    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0 &&
                    pthread_create(&thread, &attributes, run, task) == 0;
    pthread_attr_destroy(&attributes);
    return is_begun;
}

/* False: no memory, or no thread: who waits is told when its time is over. */
static bool begin(struct lookup *lookup, struct lookup_name *name) {
    struct task *task = calloc(1, sizeof(*task));
    if (task == NULL) {
        return false;
    }
    task->pier = lookup->pier;
    task->name = name;
    snprintf(task->host, sizeof(task->host), "%s", name->host);
    atomic_fetch_add(&lookup->pier->user_count, 1);
    if (!begin_thread(task)) {
        atomic_fetch_sub(&lookup->pier->user_count, 1);
        free(task);
        return false;
    }
    lookup->task_count++;
    list_remove(&name->in_lookup);
    name->is_queued = false;
    name->is_running = true;
    return true;
}

static void begin_all(struct lookup *lookup, struct list *queue, size_t threads_max) {
    while (!list_is_empty(queue) && lookup->task_count < threads_max &&
           begin(lookup, CONTAINER_OF(queue->next, struct lookup_name, in_lookup))) {
    }
}

static void go_on(struct lookup *lookup) {
    begin_all(lookup, &lookup->known, LOOKUP_THREADS_MAX);
    begin_all(lookup, &lookup->unknown, LOOKUP_THREADS_MAX - LOOKUP_THREADS_KNOWN);
}

/* --- who waits ------------------------------------------------------------------------------- */

static void set_alarm(struct lookup *lookup) {
    const struct heap_node *first = heap_first(&lookup->waits);
    if (first == NULL) {
        loop_disarm(lookup->loop, &lookup->alarm);
    } else {
        loop_arm(lookup->loop, &lookup->alarm, first->due);
    }
}

static void leave(struct lookup_wait *wait) {
    list_remove(&wait->in_name);
    heap_remove(&wait->lookup->waits, &wait->in_lookup);
    set_alarm(wait->lookup);
    wait->name = NULL;
}

/* Any of them may ask again, or be the last that gives the lookup back. */
static void tell(struct lookup_name *name, const char *addresses) {
    struct list waits;
    list_init(&waits);
    list_put_all(&waits, &name->waits);
    while (!list_is_empty(&waits)) {
        struct lookup_wait *wait = CONTAINER_OF(waits.next, struct lookup_wait, in_name);
        leave(wait);
        wait->on_found(wait, addresses);
    }
}

static void on_landed(struct lookup *lookup, const struct task *task) {
    struct lookup_name *name = task->name;
    lookup->task_count--;
    name->is_found = task->addresses[0] != '\0';
    tell(name, name->is_found ? task->addresses : NULL);
    name->is_running = false; /* not before: so nothing forgets it meanwhile */
    if (list_is_empty(&name->waits)) {
        retire(lookup, name);
    } else {
        enqueue(lookup, name);
    }
}

static void on_ready(struct loop_watch *watch, uint32_t events) {
    struct lookup *lookup = CONTAINER_OF(watch, struct lookup, watch);
    uint64_t count;
    (void)events;
    IGNORE_RESULT(read(watch->fd, &count, sizeof(count)) < 0); /* nothing there: no harm */
    lookup->borrow_count++;
    for (struct task *task = take_landed(lookup->pier), *next; task != NULL; task = next) {
        next = task->next;
        on_landed(lookup, task);
        free(task);
    }
    go_on(lookup);
    lookup_give_back(lookup);
}

/* As on_ready(): the last of them may give the lookup back. */
static void on_late(struct loop_timer *timer) {
    struct lookup *lookup = CONTAINER_OF(timer, struct lookup, alarm);
    uint64_t now_ms = loop_now_ms(lookup->loop);
    struct heap_node *first;
    lookup->borrow_count++;
    for (size_t left = lookup->waits.count; left > 0; left--) {
        first = heap_first(&lookup->waits);
        if (first == NULL || first->due > now_ms) {
            break;
        }
        struct lookup_wait *wait = CONTAINER_OF(first, struct lookup_wait, in_lookup);
        lookup_take_back(wait);
        wait->on_found(wait, NULL);
    }
    set_alarm(lookup);
    lookup_give_back(lookup);
}

/* --- the whole ------------------------------------------------------------------------------- */

static struct lookup *create(struct loop *loop) {
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    if (lookup == NULL) {
        return NULL;
    }
    lookup->loop = loop;
    lookup->watch.on_ready = on_ready;
    lookup->alarm.on_due = on_late;
    list_init(&lookup->known);
    list_init(&lookup->unknown);
    list_init(&lookup->found);
    lookup->pier = map_init(&lookup->names) == OK ? create_pier() : NULL;
    if (lookup->pier == NULL ||
        loop_watch(loop, &lookup->watch, lookup->pier->event_fd, EPOLLIN) != OK) {
        if (lookup->pier != NULL) {
            leave_pier(lookup->pier);
        }
        map_finish(&lookup->names);
        free(lookup);
        return NULL;
    }
    return lookup;
}

struct lookup *lookup_borrow(struct loop *loop) {
    void **slot = loop_shared(loop, LOOP_SHARED_LOOKUP);
    struct lookup *lookup = *slot == NULL ? create(loop) : *slot;
    if (lookup != NULL) {
        lookup->borrow_count++;
        *slot = lookup;
    }
    return lookup;
}

void lookup_give_back(struct lookup *lookup) {
    INVARIANT(lookup->borrow_count > 0);
    if (--lookup->borrow_count > 0) {
        return;
    }
    *loop_shared(lookup->loop, LOOP_SHARED_LOOKUP) = NULL;
    INVARIANT(lookup->waits.count == 0);
    loop_unwatch(lookup->loop, &lookup->watch);
    loop_disarm(lookup->loop, &lookup->alarm);
    heap_finish(&lookup->waits);
    leave_pier(lookup->pier);
    for (struct map_node *node; (node = map_first(&lookup->names)) != NULL;) {
        struct lookup_name *name = CONTAINER_OF(node, struct lookup_name, node);
        INVARIANT(list_is_empty(&name->waits));
        forget(lookup, name);
    }
    map_finish(&lookup->names);
    free(lookup);
}

/* --- questions ------------------------------------------------------------------------------- */

enum error_code lookup_ask(struct lookup *lookup, struct lookup_wait *wait, const char *host,
                           uint64_t timeout_ms) {
    INVARIANT(wait->name == NULL);
    if (strlen(host) >= LOOKUP_HOST_BYTES) {
        return ERR_TOO_LARGE;
    }
    struct lookup_name *name = heap_reserve(&lookup->waits, lookup->waits.count + 1) == OK
                                   ? find_name(lookup, host)
                                   : NULL;
    if (name == NULL) {
        return ERR_MEMORY;
    }
    wait->lookup = lookup;
    wait->name = name;
    list_init(&wait->in_name);
    list_put_tail(&name->waits, &wait->in_name);
    heap_put(&lookup->waits, &wait->in_lookup, loop_now_ms(lookup->loop) + timeout_ms);
    set_alarm(lookup);
    enqueue(lookup, name);
    go_on(lookup);
    return OK;
}

void lookup_take_back(struct lookup_wait *wait) {
    struct lookup_name *name = wait->name;
    if (name == NULL) {
        return;
    }
    leave(wait);
    if (list_is_empty(&name->waits) && name->is_queued) {
        list_remove(&name->in_lookup);
        name->is_queued = false;
        retire(wait->lookup, name);
    }
}
