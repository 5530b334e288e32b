// SPDX-License-Identifier: Apache-2.0
import { iterate } from './iterate.js';
import { Subscription, messageOf, pathOf } from './subscription.js';
import type { Tidings } from './tidings.js';
import type {
    HistoryOptions,
    Message,
    MessagesOptions,
    Page,
    Published,
    PublishOptions,
    SubscribeOptions,
} from './types.js';

/** A channel, or a pattern to read many (`tennis/*`, `tennis/**`). Costs nothing until used. */
export class Channel<T = any> {
    /** @internal */
    constructor(
        readonly client: Tidings,
        readonly name: string,
    ) {}

    /** Calls back for each message, once and in order, until unsubscribe(). */
    subscribe(
        onMessage: (message: Message<T>) => void,
        options?: SubscribeOptions,
    ): Subscription<T> {
        return this.client.add(new Subscription<T>(this.client, this.name, onMessage, options));
    }

    /** `for await (const message of channel.messages({ since: 'earliest' }))`: each message, for
     * ever unless there is a limit. A loop that is slow leaves the rest in the broker's log. */
    messages(options: MessagesOptions = {}): AsyncIterableIterator<Message<T>> {
        return iterate((onMessage, own) => this.subscribe(onMessage, own), options);
    }

    /** Stores one message. A try that was not answered is made again with the same idempotency
     * key, so that the message is stored once. */
    async publish(data: unknown, options: PublishOptions = {}): Promise<Published> {
        const { idempotencyKey, signal, ...fields } = options;
        const messages = [{ channel: this.name, data, ...fields }];
        return (await this.client.publish(messages, { idempotencyKey, signal }))[0];
    }

    /** One page; the newest messages unless `since` or `before` is given. */
    async history({ signal, ...options }: HistoryOptions = {}): Promise<Page<T>> {
        const path = pathOf({ channel: this.name, ...options });
        const page = await this.client.json(path, { signal });
        return { ...page, messages: page.messages.map(messageOf) };
    }

    /** Page after page, up to the head. Gaps are in the pages. */
    async *pages(options: HistoryOptions = {}): AsyncIterableIterator<Page<T>> {
        let since = options.since ?? 'earliest';
        for (;;) {
            const page = await this.history({ ...options, since });
            yield page;
            if (page.at_head) {
                return;
            }
            since = page.next!;
        }
    }
}
