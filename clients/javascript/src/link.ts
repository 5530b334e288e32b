// SPDX-License-Identifier: Apache-2.0
import type { TidingsError } from './error.js';
import type { Subscription } from './subscription.js';
import type { Options, TransportName } from './types.js';

/** Why a link ended, and so what comes next. */
export interface Loss {
    reason: string;
    /** There is no use in another try: this ends the subscriptions. */
    error?: TidingsError;
    /** The token was refused or has expired. */
    isUnauthorized?: boolean;
    /** Nothing is wrong: the broker goes down, or wants this reader to resume. */
    isFast?: boolean;
    /** HTTP was answered, and the WebSocket was refused: something on the way does not let it. */
    isBlocked?: boolean;
    /** Nothing was heard from the other side. */
    isUnreachable?: boolean;
    afterMs?: number;
}

/** The options with what holds unless told; what stays undefined has none. */
export type Settings = Required<Omit<Options, 'token' | 'pauseHiddenMs' | 'WebSocket'>> &
    Pick<Options, 'WebSocket'>;

/** What a link needs of the client. */
export interface Host {
    readonly base: URL;
    readonly settings: Settings;
    /** Those that have not ended; where they take turns, in the order of their last one. */
    readonly subscriptions: Set<Subscription>;
    token(): Promise<string | undefined>;
    /** fetch() with the token, below the base. */
    call(path: string, init?: RequestInit): Promise<Response>;
    opened(link: Link): void;
    lost(loss: Loss): void;
    frame(text: string): void;
}

/** A connection to the broker, or several that stand and fall together. It says nothing any more
 * once it is closed or lost, so that frames of an old connection never mix with a new one's. */
export interface Link {
    readonly transport: TransportName;
    /** The subscription came, went, was paused or goes on. */
    changed(subscription: Subscription): void;
    /** Finds out whether the other side is still there. */
    check(): void;
    /** A fresh token for what is open. */
    authorize(token: string): void;
    close(): void;
}
