/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/invariant.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit.h"

struct owned {
    struct owner owner;
};

/* Runs `body` in a child that is as silent as it can be; returns the signal that ended it, or 0. */
static int signal_of(void (*body)(void)) {
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        sigaction(SIGABRT, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        body();
        _exit(0);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void keep_a_claim(void) {
    INVARIANT(1 + 1 == 2);
}

static void break_a_claim(void) {
    INVARIANT(getpid() == 0);
}

static void *check_owner(void *context) {
    struct owned *owned = context;
    OWNER_CHECK(owned);
    return NULL;
}

static void check_on_another_thread(void) {
    struct owned owned;
    pthread_t thread;
    owner_claim(&owned.owner);
    OWNER_CHECK(&owned);
    pthread_create(&thread, NULL, check_owner, &owned);
    pthread_join(thread, NULL);
}

TEST(a_claim_that_holds_costs_nothing) {
    EXPECT_EQ(signal_of(keep_a_claim), 0);
}

TEST(a_broken_claim_aborts) {
    EXPECT_EQ(signal_of(break_a_claim), SIGABRT);
}

TEST(another_thread_than_the_owner_aborts) {
    EXPECT_EQ(signal_of(check_on_another_thread), SIGABRT);
}

UNIT_TESTS(UNIT(a_claim_that_holds_costs_nothing), UNIT(a_broken_claim_aborts),
           UNIT(another_thread_than_the_owner_aborts))
