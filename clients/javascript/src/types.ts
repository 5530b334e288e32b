// SPDX-License-Identifier: Apache-2.0
import type { TidingsError } from './error.js';

/** A message as the broker tells it. */
export interface Message<T = any> {
    channel: string;
    /** The channel's own count: 1, 2, 3 … without a hole. */
    offset: number;
    /** Where the message stands in the whole log: resumes any subscription. */
    id: string;
    /** When the broker accepted it: RFC 3339, UTC. */
    time: string;
    /** JSON, or text; a Uint8Array where the payload is binary. */
    data: T;
    /** The media type, where it is not `application/json`. */
    type?: string;
    event?: string;
    key?: string;
    headers?: Record<string, string>;
    /** How many older messages `onLag: 'conflate'` left out before this one. */
    skipped?: number;
}

/** What was asked for and cannot be had. Reading goes on behind it. */
export interface Gap {
    reason: 'expired' | 'dropped' | 'deleted' | 'ahead' | 'epoch';
    /** Where reading goes on. */
    id: string;
    /** Of one channel: the offsets that are missing, and those that are kept. */
    channel?: string;
    from?: number;
    to?: number;
    first?: number | null;
    last?: number | null;
    /** Of a pattern: something is missing between these two ids. */
    pattern?: string;
    after?: string;
    resumed?: string;
}

/**
 * Where to begin, exclusive: `earliest`, `now`, an offset of one channel, an id, `-20` (the last
 * 20), a time, or `-30s`, `-5m`, `-2h` ago.
 */
export type Since = string | number | Date;

export type OnLag = 'catch_up' | 'conflate' | 'drop' | 'disconnect';

/** `waiting` for a connection, `live` on one, or `ended` for good. */
export type SubscriptionState = 'waiting' | 'live' | 'ended';

export interface SubscribeOptions {
    /** `now` unless told. Each reconnect resumes from the last message instead. */
    since?: Since;
    /** What the broker does when this reader falls behind; the channel's rule unless told. */
    onLag?: OnLag;
    /** Ends after so many messages. */
    limit?: number;
    /** Messages are missing. Without it the client's `gap` event tells, or else the console. */
    onGap?: (gap: Gap) => void;
    /** It ended, and this is why. Without it the client's `error` event tells, or the console. */
    onError?: (error: TidingsError) => void;
    onState?: (state: SubscriptionState) => void;
}

export interface MessagesOptions extends Omit<SubscribeOptions, 'onState' | 'onError'> {
    /** Messages held for a slow loop (256). Beyond them they wait in the broker's log. */
    buffer?: number;
    /** Ends the loop. */
    signal?: AbortSignal;
}

export interface PublishOptions {
    event?: string;
    key?: string;
    headers?: Record<string, string>;
    /** Seconds that the message may be delivered. */
    ttl?: number;
    /** The channel's retained message from now on. */
    retain?: boolean;
    /** The media type; without one it is JSON, or bytes. */
    type?: string;
    /** Made up unless given. Give your own where the same publish may be made by two processes. */
    idempotencyKey?: string;
    signal?: AbortSignal;
}

export interface Published {
    channel: string;
    offset: number;
    id: string;
}

export interface HistoryOptions {
    since?: Since;
    /** An id, or an offset of one channel: what stands before it. */
    before?: string | number;
    /** Messages a page: 50 unless told, 1,000 at most. */
    limit?: number;
    signal?: AbortSignal;
}

/** A page of history, in ascending order, with the broker's own names. */
export interface Page<T = any> {
    messages: Message<T>[];
    /** The offsets kept, of one channel. */
    first: number | null;
    last: number | null;
    /** Give it as `before` for the page before, `next` as `since` for the page behind. */
    prev: string | null;
    next: string | null;
    at_head: boolean;
    gap?: Gap;
    gaps?: Gap[];
}

/** `idle`: nothing to read. `waiting`: until the next try. `closed`: by close(). */
export type State = 'idle' | 'connecting' | 'open' | 'waiting' | 'offline' | 'closed';

/** Why the state changed, where there is more to say. */
export interface StateDetail {
    reason?: string;
    /** The try that comes next, and in how long. */
    attempt?: number;
    delayMs?: number;
}

export type TransportName = 'websocket' | 'sse';

export interface Events {
    state: (state: State, detail: StateDetail) => void;
    gap: (gap: Gap, subscription: unknown) => void;
    error: (error: TidingsError, subscription?: unknown) => void;
    /** Each frame or event as it came, for those who want to look. */
    frame: (text: string) => void;
}

/** The part of a browser's WebSocket that is used. */
export interface WebSocketLike {
    onopen: ((event: any) => void) | null;
    onmessage: ((event: any) => void) | null;
    onclose: ((event: any) => void) | null;
    onerror: ((event: any) => void) | null;
    send(text: string): void;
    close(code?: number): void;
}

export interface WebSocketClass {
    new (
        url: string,
        protocols: string[],
        options?: { headers: Record<string, string> },
    ): WebSocketLike;
    /** Browsers cannot set headers on a WebSocket; those that can say so. */
    sendsHeaders?: boolean;
}

export interface Options {
    /** A JWT or API key, or what fetches a fresh one: asked again before a JWT expires. */
    token?: string | (() => string | undefined | Promise<string | undefined>);
    /** `auto`: one WebSocket, or event streams where WebSockets do not get through. */
    transport?: 'auto' | TransportName;
    fetch?: typeof fetch;
    WebSocket?: WebSocketClass;
    /** Reconnecting waits a random part of min(cap, base · 2^tries): 500 ms and 30 s. */
    retryBaseMs?: number;
    retryCapMs?: number;
    /** A connection that lived so long starts the tries over (5 s). */
    steadyMs?: number;
    /** After so long without a word the connection is doubted (30 s). */
    silenceMs?: number;
    /** How long an answer may not come, or not go on, before the connection counts as dead (10 s);
     * what is published has as long again as it takes at 8 KB/s. */
    answerMs?: number;
    /** How long publish() goes on trying (60 s). */
    publishMs?: number;
    /** Event streams open at once: 4 in a browser, which has six connections a host. */
    streamsMax?: number;
    /** How long a turn is, where more want to read than may at once (1 s). */
    turnMs?: number;
    /** How long on event streams before a WebSocket is tried again at a reconnect (5 min). */
    webSocketAgainMs?: number;
    /** A page hidden for so long lets its connection go, and resumes when it is looked at. */
    pauseHiddenMs?: number;
}
