// SPDX-License-Identifier: Apache-2.0
import { TidingsError, errorOf } from './error.js';
import type { Host, Link, Loss } from './link.js';
import { sseParser, type SseEvent } from './sse.js';
import type { Subscription } from './subscription.js';

async function within<T>(ms: number, coming: Promise<T>): Promise<T> {
    let late: ReturnType<typeof setTimeout>;
    const end = new Promise<never>((_, reject) => {
        late = setTimeout(() => reject(new Error('no answer')), ms);
    });
    return Promise.race([coming, end]).finally(() => clearTimeout(late));
}

/** An event stream a subscription, a few at once: the others take turns, and each resumes by its
 * id, so that turns lose nothing. The first stream that fails ends them all. */
export class SseLink implements Link {
    readonly transport = 'sse';
    #host: Host;
    /** In the order in which they began. */
    #streams = new Map<Subscription, AbortController>();
    #isOpen = false;
    #isOver = false;
    #turns?: ReturnType<typeof setInterval>;

    constructor(host: Host) {
        this.#host = host;
        this.#fill();
    }

    changed(subscription: Subscription): void {
        if (!this.#isWanted(subscription)) {
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

    #isWanted(subscription: Subscription): boolean {
        return this.#host.subscriptions.has(subscription) && !subscription.isPaused;
    }

    #stop(subscription: Subscription): void {
        this.#streams.get(subscription)?.abort();
        this.#streams.delete(subscription);
    }

    /** Who never read comes first, then who last read longest ago. */
    #fill(): void {
        const { settings, subscriptions } = this.#host;
        const waiting = [...subscriptions]
            .filter((other) => this.#isWanted(other) && !this.#streams.has(other))
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
            this.#turns ??= setInterval(() => {
                const [oldest] = this.#streams.keys();
                this.#stop(oldest);
                this.#fill();
            }, settings.turnMs);
        }
    }

    #start(subscription: Subscription): void {
        const stream = new AbortController();
        this.#streams.set(subscription, stream);
        this.#read(subscription, stream.signal)
            .then(() => this.#lose(stream, { reason: 'the event stream ended' }))
            .catch((error) => this.#failed(subscription, stream, error));
    }

    #failed(subscription: Subscription, stream: AbortController, error: any): void {
        const { status = 0, message: reason, retryAfterMs: afterMs } = error;
        if (stream.signal.aborted) {
            return;
        }
        if (status >= 400 && status < 500 && ![401, 408, 429].includes(status)) {
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

    #lose(stream: AbortController, loss: Loss): void {
        if (!this.#isOver && !stream.signal.aborted) {
            this.close();
            this.#host.lost(this, loss);
        }
    }

    async #read(subscription: Subscription, signal: AbortSignal): Promise<void> {
        const { settings } = this.#host;
        const { since, on_lag } = subscription.request();
        const query = new URLSearchParams({ channel: subscription.name, since });
        if (on_lag) {
            query.set('on_lag', on_lag);
        }
        const headers = { Accept: 'text/event-stream' };
        const path = `channels/?${query}`;
        const answer = await within(settings.answerMs, this.#host.call(path, { headers, signal }));
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
        const reader = answer.body!.getReader();
        const decoder = new TextDecoder();
        const parse = sseParser((event) => {
            if (!signal.aborted) {
                this.#take(subscription, event);
            }
        });
        for (;;) {
            const chunk = await within(settings.silenceMs, reader.read());
            if (chunk.done || signal.aborted) {
                return;
            }
            parse(decoder.decode(chunk.value, { stream: true }));
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
            subscription.end(new TidingsError(told.code, 'the broker ended the stream'));
            return;
        }
        this.#lose(this.#streams.get(subscription)!, {
            reason: told.code,
            isFast: true,
            isUnauthorized: told.code.startsWith('token'),
        });
    }
}
