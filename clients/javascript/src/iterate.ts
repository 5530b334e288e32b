// SPDX-License-Identifier: Apache-2.0
import type { Subscription } from './subscription.js';
import type { Gap, Message, MessagesOptions, SubscribeOptions } from './types.js';

const BUFFER = 256;

type Subscribe<T> = (
    onMessage: (message: Message<T>) => void,
    options: SubscribeOptions,
) => Subscription<T>;

/** A subscription as an async iterator. What its loop has not taken waits in a bounded buffer; when
 * that is full the subscription pauses, and goes on behind its last message once half is taken. */
export function iterate<T>(
    subscribe: Subscribe<T>,
    { buffer = BUFFER, signal, ...options }: MessagesOptions,
): AsyncIterableIterator<Message<T>> {
    const waiting: ({ message: Message<T> } | { gap: Gap })[] = [];
    let failure: unknown;
    let wake: (() => void) | undefined;
    const wakeUp = (): void => wake?.();
    const put = (item: (typeof waiting)[number]): void => {
        waiting.push(item);
        if (waiting.length >= buffer) {
            subscription.pause(true);
        }
        wakeUp();
    };
    const subscription = subscribe((message) => put({ message }), {
        ...options,
        // Told where it stands between the messages, not when it came.
        onGap: options.onGap && ((gap) => put({ gap })),
        onError: (error) => (failure = error),
        onState: (state) => state === 'ended' && queueMicrotask(wakeUp),
    });
    const stop = (): void => subscription.unsubscribe();
    if (signal?.aborted) {
        stop();
    }
    signal?.addEventListener('abort', stop);

    async function* loop(): AsyncGenerator<Message<T>, void> {
        try {
            for (;;) {
                const item = waiting.shift();
                if (!item) {
                    if (subscription.state === 'ended') {
                        break;
                    }
                    await new Promise<void>((resolve) => (wake = resolve));
                    continue;
                }
                if (subscription.isPaused && waiting.length <= buffer / 2) {
                    subscription.pause(false);
                }
                if ('gap' in item) {
                    options.onGap!(item.gap);
                } else {
                    yield item.message;
                }
            }
            if (failure) {
                throw failure;
            }
        } finally {
            stop();
            signal?.removeEventListener('abort', stop);
        }
    }
    const messages = loop();
    return {
        next: () => messages.next(),
        // A generator that was never asked would not come to its `finally`.
        return: () => (stop(), messages.return()),
        [Symbol.asyncIterator]() {
            return this;
        },
    };
}
