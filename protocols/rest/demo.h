/* SPDX-License-Identifier: Apache-2.0 */
/* demo.h — the pages that come with the broker: /demo and the way there from /.
 *
 * Place:   rows of routes.c; the files are handed in by the adapter (assets.h).
 * Thread:  the request's.
 * Bounds:  none: files are sent from where they are built in.
 */
#pragma once

struct request;

/* `/` and `/demo/` lead to /demo; without assets they are 404. */
void demo_handle_root(struct request *request);

/* A file: /demo itself, or below it. */
void demo_handle(struct request *request);
