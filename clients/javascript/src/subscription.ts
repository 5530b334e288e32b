// SPDX-License-Identifier: Apache-2.0
import { TidingsError } from './error.js';
import type { Gap, Message, Since, SubscribeOptions, SubscriptionState } from './types.js';

/** What a subscription needs of the client that holds it. */
export interface Keeper {
    /** Says that what is to be read has changed. */
    changed(subscription: Subscription): void;
    report(event: 'gap' | 'error', told: Gap | TidingsError, subscription: Subscription): void;
}

/** An error of the caller's own code is uncaught as the caller's, and stops nothing of ours. */
export function guarded<A>(call: ((told: A) => void) | undefined, told: A): void {
    try {
        call?.(told);
    } catch (error) {
        setTimeout(() => {
            throw error;
        });
    }
}

function bytesOf(base64: string): Uint8Array {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** As the broker is told where to begin. */
function textOf(since: Since): string {
    return since instanceof Date ? since.toISOString() : String(since);
}

/** Where a channel is asked for, with what is given. */
export function pathOf(options: { [name: string]: Since | undefined }): string {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(options)) {
        if (value !== undefined) {
            query.set(name, textOf(value));
        }
    }
    return `channels/?${query}`;
}

/** The envelope as it came, with the bytes of a binary payload as `data`. */
export function messageOf(envelope: any): Message {
    if (envelope.data_base64 !== undefined) {
        const { data_base64, ...rest } = envelope;
        return { ...rest, data: bytesOf(data_base64) };
    }
    return envelope;
}

/** One reader of a channel or pattern: each message once, in order, over any reconnects. */
export class Subscription<T = any> {
    /** Resumes behind the last message (or gap, or progress) that was told. */
    id?: string;
    state: SubscriptionState = 'waiting';
    /** Settled once the broker said where this reader stands; rejected where it never will. */
    readonly ready: Promise<void>;
    /** @internal Kept, but not read: its consumer is slow. */
    isPaused = false;
    #left: number;
    #settle!: (error?: TidingsError) => void;

    /** @internal */
    constructor(
        /** @internal */ readonly keeper: Keeper,
        readonly name: string,
        readonly onMessage: (message: Message<T>) => void,
        readonly options: SubscribeOptions = {},
    ) {
        this.#left = options.limit ?? Infinity;
        this.ready = new Promise((resolve, reject) => {
            this.#settle = (error) => (error ? reject(error) : resolve());
        });
        this.ready.catch(() => {});
    }

    /** @internal It is to be read. */
    get isWanted(): boolean {
        return this.state !== 'ended' && !this.isPaused;
    }

    unsubscribe(): void {
        this.end();
    }

    /** @internal What to ask the broker for. */
    request(): { since: string; on_lag?: string; limit?: number } {
        return {
            since: textOf(this.id ?? this.options.since ?? 'now'),
            on_lag: this.options.onLag,
            limit: this.#left < Infinity ? this.#left : undefined,
        };
    }

    /** @internal */
    become(state: SubscriptionState): void {
        if (this.state !== state && this.state !== 'ended') {
            this.state = state;
            guarded(this.options.onState, state);
        }
    }

    /** @internal Stands at this place, which may not be known yet. */
    live(at?: string): void {
        this.id = at ?? this.id;
        this.#settle();
        this.become('live');
    }

    /** @internal */
    message(envelope: any): void {
        this.id = envelope.id;
        this.#left -= 1;
        guarded(this.onMessage, messageOf(envelope));
        if (this.#left <= 0) {
            this.end();
        }
    }

    /** @internal */
    gap(gap: Gap): void {
        this.id = gap.id ?? this.id;
        this.#tell('gap', this.options.onGap, gap);
    }

    /** @internal */
    end(error?: TidingsError): void {
        if (this.state === 'ended') {
            return;
        }
        this.become('ended');
        this.keeper.changed(this);
        this.#settle(error ?? new TidingsError('closed', 'unsubscribed'));
        if (error) {
            this.#tell('error', this.options.onError, error);
        }
    }

    #tell<A>(name: 'gap' | 'error', listener: ((told: A) => void) | undefined, told: A): void {
        guarded(listener ?? ((it: any) => this.keeper.report(name, it, this)), told);
    }

    /** @internal */
    pause(isPaused: boolean): void {
        this.isPaused = isPaused;
        this.keeper.changed(this);
    }
}
