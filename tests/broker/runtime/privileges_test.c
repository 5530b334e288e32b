/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit.h"

#define ACCOUNT 990 /* tidings' */
#define GROUP 991

/* The system as privileges see it. */
static struct {
    uid_t effective;
    bool is_directory_there;
    bool has_way_back;   /* it can be root again */
    const char *failing; /* the step that fails with EACCES; NULL: none */
    char steps[128];     /* those that were done, in order */
} world;

/* --- in front of the system ------------------------------------------------------------------- */

uid_t __wrap_geteuid(void);
struct passwd *__wrap_getpwnam(const char *name);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_chown(const char *path, uid_t user, gid_t group);
int __wrap_initgroups(const char *name, gid_t group);
int __wrap_setresgid(gid_t real, gid_t effective, gid_t saved);
int __wrap_setresuid(uid_t real, uid_t effective, uid_t saved);
int __wrap_setuid(uid_t user);

static int step(const char *name) {
    size_t length = strlen(world.steps);
    if (world.failing != NULL && strcmp(world.failing, name) == 0) {
        errno = EACCES;
        return -1;
    }
    snprintf(world.steps + length, sizeof(world.steps) - length, "%s ", name);
    return 0;
}

uid_t __wrap_geteuid(void) {
    return world.effective;
}

struct passwd *__wrap_getpwnam(const char *name) {
    static struct passwd rows[] = {
        {.pw_name = (char *)"root"},
        {.pw_name = (char *)"tidings", .pw_uid = ACCOUNT, .pw_gid = GROUP}};
    return strcmp(name, "root") == 0 ? &rows[0] : strcmp(name, "tidings") == 0 ? &rows[1] : NULL;
}

int __wrap_mkdir(const char *path, mode_t mode) {
    EXPECT_STRING(path, "/data");
    EXPECT_EQ(mode & 07, 0); /* it is nobody else's */
    if (world.is_directory_there) {
        errno = EEXIST;
        return -1;
    }
    return step("mkdir");
}

int __wrap_chown(const char *path, uid_t user, gid_t group) {
    EXPECT_STRING(path, "/data");
    EXPECT_EQ(user, ACCOUNT);
    EXPECT_EQ(group, GROUP);
    return step("chown");
}

int __wrap_initgroups(const char *name, gid_t group) {
    EXPECT_STRING(name, "tidings");
    EXPECT_EQ(group, GROUP);
    return step("groups");
}

int __wrap_setresgid(gid_t real, gid_t effective, gid_t saved) {
    EXPECT_TRUE(real == GROUP && effective == GROUP && saved == GROUP);
    return step("group");
}

int __wrap_setresuid(uid_t real, uid_t effective, uid_t saved) {
    EXPECT_TRUE(real == ACCOUNT && effective == ACCOUNT && saved == ACCOUNT);
    int result = step("user");
    world.effective = result == 0 ? ACCOUNT : world.effective;
    return result;
}

int __wrap_setuid(uid_t user) {
    EXPECT_EQ(user, 0);
    EXPECT_EQ(world.effective, ACCOUNT);
    step("back");
    errno = EPERM;
    return world.has_way_back ? 0 : -1;
}

/* --- what a test does ------------------------------------------------------------------------- */

static int begin(void **state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    return 0;
}

static enum error_code drop(const char *user) {
    struct error why = {0};
    enum error_code code = privileges_drop(user, "/data", &why);
    EXPECT_EQ(why.detail[0] != '\0', code != OK);
    return code;
}

/* --- claims ----------------------------------------------------------------------------------- */

TEST(root_goes_on_as_the_account_for_good_groups_first) {
    EXPECT_EQ(drop("tidings"), OK);
    EXPECT_STRING(world.steps, "mkdir chown groups group user back ");
}

TEST(a_directory_that_is_there_stays_whose_it_is) {
    world.is_directory_there = true;
    EXPECT_EQ(drop("tidings"), OK);
    EXPECT_STRING(world.steps, "groups group user back ");
}

TEST(nothing_is_dropped_where_no_account_was_named) {
    EXPECT_EQ(drop(NULL), OK);
    EXPECT_EQ(drop(""), OK);
    world.effective = 1000;
    EXPECT_EQ(drop(NULL), OK);
    EXPECT_STRING(world.steps, "");
}

TEST(an_account_that_is_root_or_is_not_there_is_refused) {
    EXPECT_EQ(drop("root"), ERR_CONFIG);
    EXPECT_EQ(drop("stranger"), ERR_CONFIG);
    world.effective = 1000;
    EXPECT_EQ(drop("stranger"), ERR_CONFIG);
    EXPECT_STRING(world.steps, "");
}

TEST(who_is_not_root_is_that_account_already_or_is_refused) {
    world.effective = ACCOUNT;
    EXPECT_EQ(drop("tidings"), OK);
    world.effective = 1000;
    EXPECT_EQ(drop("tidings"), ERR_CONFIG);
    EXPECT_STRING(world.steps, "");
}

TEST(what_stands_in_the_way_is_an_error_and_nothing_behind_it_is_tried) {
    static const struct {
        const char *failing;
        const char *steps;
    } rows[] = {{"mkdir", ""},
                {"chown", "mkdir "},
                {"groups", "mkdir chown "},
                {"group", "mkdir chown groups "},
                {"user", "mkdir chown groups group "}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memset(&world, 0, sizeof(world));
        world.failing = rows[i].failing;
        EXPECT_EQ(drop("tidings"), ERR_IO);
        EXPECT_STRING(world.steps, rows[i].steps);
    }
}

TEST(a_process_that_could_be_root_again_does_not_go_on) {
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        sigaction(SIGABRT, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        world.has_way_back = true;
        IGNORE_RESULT(privileges_drop("tidings", "/data", NULL));
        _exit(0);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

TEST(no_program_gets_more_rights_and_nobody_looks_into_the_memory) {
    privileges_give_up_new();
    EXPECT_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    privileges_hide_memory();
    EXPECT_EQ(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
    EXPECT_EQ(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0); /* who looks for leaks does look */
}

#define CLAIM(name) cmocka_unit_test_setup(name, begin)

UNIT_TESTS(CLAIM(root_goes_on_as_the_account_for_good_groups_first),
           CLAIM(a_directory_that_is_there_stays_whose_it_is),
           CLAIM(nothing_is_dropped_where_no_account_was_named),
           CLAIM(an_account_that_is_root_or_is_not_there_is_refused),
           CLAIM(who_is_not_root_is_that_account_already_or_is_refused),
           CLAIM(what_stands_in_the_way_is_an_error_and_nothing_behind_it_is_tried),
           CLAIM(a_process_that_could_be_root_again_does_not_go_on),
           CLAIM(no_program_gets_more_rights_and_nobody_looks_into_the_memory))
