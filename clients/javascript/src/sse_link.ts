// SPDX-License-Identifier: Apache-2.0
import { TidingsError, errorOf, isPassing } from './error.js';
import type { Host, Link, Loss } from './link.js';
import { sseParser, type SseEvent } from './sse.js';
import { pathOf, type Subscription } from './subscription.js';
import { partsOf, within } from './within.js';

interface Stream extends AbortController {
    /** Where its subscription stood when it began. */
    from?: string;
    /** Something of it is on the way: the answer, or the rest of a line. */
    isMidway: boolean;
}

/** An event stream a subscription, a few at once: the others take turns, and each resumes by its
 * id, so that turns lose nothing. The first stream that fails ends them all. */
export class SseLink implements Link {
    readonly transport = 'sse';
    #host: Host;
    /** In the order in which they began. */
    #streams = new Map<Subscription, Stream>();
    #isOpen = false;
    #isOver = false;
    #turns?: ReturnType<typeof setInterval>;

    constructor(host: Host) {
        this.#host = host;
        this.#fill();
    }

    changed(subscription: Subscription): void {
        if (!subscription.isWanted) {
            this.#stop(subscription);
        }
        this.#fill();
    }

    /** Nothing can be asked on an event stream, and a new one resumes. */
    check(): void {
        [...this.#streams.keys()].forEach((subscription) => this.#stop(subscription));
        this.#fill();
    }

    /** A stream begins with a token and ends with it: the next one has the fresh one. */
    authorize(): void {}

    close(): void {
        this.#isOver = true;
        clearInterval(this.#turns);
        this.#streams.forEach((stream) => stream.abort());
    }

    #stop(subscription: Subscription): void {
        this.#streams.get(subscription)?.abort();
        this.#streams.delete(subscription);
    }

    /** Who never read comes first, then who last read longest ago. */
    #fill(): void {
        const { settings, subscriptions } = this.#host;
        const waiting = [...subscriptions]
            .filter((other) => other.isWanted && !this.#streams.has(other))
            .sort((one, other) => Number(!!one.id) - Number(!!other.id));
        while (!this.#isOver && waiting.length && this.#streams.size < settings.streamsMax) {
            const next = waiting.shift()!;
            subscriptions.delete(next);
            subscriptions.add(next);
            this.#start(next);
        }
        if (!waiting.length) {
            clearInterval(this.#turns);
            this.#turns = undefined;
        } else if (!this.#isOver) {
            this.#turns ??= setInterval(() => this.#turn(), settings.turnMs);
        }
    }

    /** Ends the oldest, but none whose first message takes longer than a turn: it would be the same
     * again the next time. */
    #turn(): void {
        for (const [subscription, { from, isMidway }] of this.#streams) {
            if (!isMidway || subscription.id !== from) {
                this.#stop(subscription);
                this.#fill();
                return;
            }
        }
    }

    #start(subscription: Subscription): void {
        const state = { from: subscription.id, isMidway: true };
        const stream = Object.assign(new AbortController(), state);
        this.#streams.set(subscription, stream);
        this.#read(subscription, stream)
            .then(() => this.#lose(stream, { reason: 'closed' }))
            .catch((error) => this.#failed(subscription, stream, error));
    }

    #failed(subscription: Subscription, stream: Stream, error: any): void {
        const { status, message: reason, retryAfterMs: afterMs } = error;
        if (stream.signal.aborted) {
            return;
        }
        if (!isPassing(status) && status !== 401) {
            subscription.end(error);
            return;
        }
        this.#lose(stream, {
            reason,
            afterMs,
            isUnauthorized: status === 401,
            isUnreachable: !this.#isOpen && status !== 401,
        });
    }

    #lose(stream: Stream, loss: Loss): void {
        if (!this.#isOver && !stream.signal.aborted) {
            this.close();
            this.#host.lost(loss);
        }
    }

    async #read(subscription: Subscription, stream: Stream): Promise<void> {
        const { settings } = this.#host;
        const { signal } = stream;
        const { since, on_lag } = subscription.request();
        const headers = { Accept: 'text/event-stream' };
        const path = pathOf({ channel: subscription.name, since, on_lag });
        const answer = await within(settings.answerMs, this.#host.call(path, { headers, signal }));
        if (signal.aborted) {
            return;
        }
        if (answer.status === 204) {
            subscription.end();
            return;
        }
        if (!answer.ok) {
            throw await errorOf(answer);
        }
        if (!this.#isOpen) {
            this.#isOpen = true;
            this.#host.opened(this);
        }
        const parse = sseParser((event) => {
            if (!signal.aborted) {
                this.#take(subscription, event);
            }
        });
        for await (const text of partsOf(answer, settings.silenceMs)) {
            parse(text);
            stream.isMidway = !text.endsWith('\n');
        }
    }

    #take(subscription: Subscription, { type, data, id }: SseEvent): void {
        this.#host.frame(`${type && `event: ${type}\n`}${id ? `id: ${id}\n` : ''}data: ${data}`);
        const told = data ? JSON.parse(data) : undefined;
        if (type === 'close') {
            this.#closed(subscription, told);
            return;
        }
        subscription.live(id);
        if (type === 'gap') {
            subscription.gap(told);
        } else if (told) {
            subscription.message(told);
        }
    }

    #closed(subscription: Subscription, told: { code: string; reconnect: boolean }): void {
        if (!told.reconnect) {
            subscription.end(new TidingsError(told.code, 'closed'));
            return;
        }
        this.#lose(this.#streams.get(subscription)!, {
            reason: told.code,
            isFast: true,
            isUnauthorized: told.code.startsWith('token'),
        });
    }
}
