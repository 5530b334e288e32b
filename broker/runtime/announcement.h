/* SPDX-License-Identifier: Apache-2.0 */
/* announcement.h — what a broker says when it takes traffic: its addresses, and a line to try.
 *
 * Place:   called by main when the ports are open.
 * Thread:  main.
 * Bounds:  none of its own.
 *
 * A line an address, for people and for scripts: `public   https://127.0.0.1:8443`.
 */
#pragma once

struct broker;

/* On standard output, and STARTED in the log. */
void announcement_make(const struct broker *broker);
