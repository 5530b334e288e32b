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
        onState: wakeUp,
    });
    const stop = (): void => {
        waiting.length = 0;
        signal?.removeEventListener('abort', stop);
        subscription.unsubscribe();
    };
    signal?.addEventListener('abort', stop);
    if (signal?.aborted) {
        stop();
    }

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
        }
    }
    const messages = loop();
    const finish = messages.return.bind(messages);
    // A generator that was never asked would not come to its `finally`.
    messages.return = () => (stop(), finish());
    return messages;
}
