/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/support/invariant.h"
#include "broker/support/logger.h"

void privileges_give_up_new(void) {
    /* Only kernels before 3.5 refuse, and there is nothing to do about it. */
    IGNORE_RESULT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0);
}

void privileges_hide_memory(void) {
    IGNORE_RESULT(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0); /* the kernel knows both values */
}

/* One that is there belongs to whom it belongs. */
static enum error_code make_directory(const char *directory, const struct passwd *account,
                                      struct error *why) {
    if (mkdir(directory, 0750) != 0) {
        return errno == EEXIST
                   ? OK
                   : error_set(why, ERR_IO, "%s: %s", directory, strerrordesc_np(errno));
    }
    return chown(directory, account->pw_uid, account->pw_gid) == 0
               ? OK
               : error_set(why, ERR_IO, "%s cannot be given to %s: %s", directory, account->pw_name,
                           strerrordesc_np(errno));
}

/* Groups first: without root they cannot be left any more. */
static bool become(const struct passwd *account) {
    return initgroups(account->pw_name, account->pw_gid) == 0 &&
           setresgid(account->pw_gid, account->pw_gid, account->pw_gid) == 0 &&
           setresuid(account->pw_uid, account->pw_uid, account->pw_uid) == 0;
}

enum error_code privileges_drop(const char *user, const char *directory, struct error *why) {
    bool is_root = geteuid() == 0;
    if (user == NULL || user[0] == '\0') {
        if (is_root) {
            log_event(RUNS_AS_ROOT, .user = "root");
        }
        return OK;
    }
    errno = 0;
    const struct passwd *account = getpwnam(user);
    if (account == NULL || account->pw_uid == 0) {
        return error_set_field(why, ERR_CONFIG, "user", "user is %s, which is %s", user,
                               account != NULL ? "root" : "no account of this system");
    }
    if (!is_root) {
        return account->pw_uid == geteuid()
                   ? OK
                   : error_set_field(why, ERR_CONFIG, "user",
                                     "user is %s, but the process was started as neither that nor "
                                     "root",
                                     user);
    }
    enum error_code code = make_directory(directory, account, why);
    if (code != OK) {
        return code;
    }
    if (!become(account)) {
        return error_set(why, ERR_IO, "the process cannot go on as %s: %s", user,
                         strerrordesc_np(errno));
    }
    INVARIANT(setuid(0) != 0); /* there is no way back */
    INVARIANT(geteuid() == account->pw_uid);
    return OK;
}
