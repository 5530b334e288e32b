/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h — telling the service manager how far the process is: sd_notify(3)'s protocol.
 *
 * Place:   called by main.
 * Thread:  main.
 * Bounds:  one datagram a call, which never waits.
 *
 * One datagram to the socket that NOTIFY_SOCKET names is all there is to it, so that libsystemd is
 * not needed. Where nobody asked, nothing happens.
 */
#pragma once

/* "READY=1", "STOPPING=1": an assignment a line. */
void notify_manager(const char *state);
