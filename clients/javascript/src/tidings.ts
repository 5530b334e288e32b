// SPDX-License-Identifier: Apache-2.0
import { Channel } from './channel.js';
import { TidingsError, errorOf } from './error.js';
import type { Link, Loss, Settings } from './link.js';
import { publish, type Outgoing, type Question } from './publish.js';
import { SocketLink } from './socket_link.js';
import { SseLink } from './sse_link.js';
import { guarded, type Subscription } from './subscription.js';
import { Tokens } from './token.js';
import type {
    Events,
    Gap,
    Options,
    Published,
    PublishOptions,
    State,
    StateDetail,
    TransportName,
} from './types.js';
import { partsOf, within } from './within.js';

const FAST_MS = 200; // the bound of the first wait where nothing is wrong
const REFRESH_MS_MIN = 1000; // however short a token lives
const TIMER_MS_MAX = 2 ** 31 - 1;
const UPLOAD_BYTES_A_MS = 8; // the slowest network that is waited for

const browser = globalThis as any;

/** What is undefined is not told. */
function settled(options: Options): Settings {
    const settings: any = { ...options };
    const defaults = {
        transport: 'auto',
        fetch: browser.fetch,
        WebSocket: browser.WebSocket,
        retryBaseMs: 500,
        retryCapMs: 30_000,
        steadyMs: 5_000,
        silenceMs: 30_000,
        answerMs: 10_000,
        publishMs: 60_000,
        streamsMax: browser.addEventListener ? 4 : Infinity,
        turnMs: 1000,
        webSocketAgainMs: 300_000,
    };
    for (const [name, value] of Object.entries(defaults)) {
        settings[name] ??= value;
    }
    return settings;
}

/** A client of one broker. It connects when there is something to read, and stays connected. */
export class Tidings {
    /** @internal */
    readonly base: URL;
    /** @internal */
    readonly settings: Settings;
    /** @internal */
    readonly subscriptions = new Set<Subscription>();
    #state: State = 'idle';
    #tokens: Tokens;
    #listeners: { [name: string]: Set<(...told: any[]) => void> } = {};
    #link?: Link;
    #isClosed = false;
    #isHidden = false;
    #isSettling = false;
    #wasRefused = false; // the token, since a connection last opened
    #tries = 0;
    #openedMs = Infinity;
    #unopened = 0; // connections that did not open, since one did
    #sseUntilMs = 0;
    #retry?: ReturnType<typeof setTimeout>;
    #refresh?: ReturnType<typeof setTimeout>;
    #hiding?: ReturnType<typeof setTimeout>;
    #closing = new AbortController();

    /** @param url the broker; in a browser, where the page came from unless told */
    constructor(url: string | URL = browser.location?.origin, options: Options = {}) {
        this.base = new URL(url);
        this.base.pathname = this.base.pathname.replace(/\/*$/, '/');
        this.settings = settled(options);
        this.#tokens = new Tokens(options.token, this.settings.answerMs);
        this.#listen(browser, 'online', () => this.#wake());
        this.#listen(browser, 'offline', () => this.#link?.check());
        const look = (): void => {
            clearTimeout(this.#hiding);
            if (!browser.document?.hidden) {
                this.#isHidden = false;
                this.#wake();
            } else if (options.pauseHiddenMs !== undefined) {
                this.#hiding = setTimeout(() => {
                    this.#isHidden = true;
                    this.#settle();
                }, options.pauseHiddenMs);
            }
        };
        this.#listen(browser.document, 'visibilitychange', look);
        look();
    }

    get state(): State {
        return this.#state;
    }

    /** How the broker is reached now. */
    get transport(): TransportName | undefined {
        return this.#link?.transport;
    }

    channel<T = any>(name: string): Channel<T> {
        return new Channel<T>(this, name);
    }

    /** Hears of an event; what comes back stops it. */
    on<Name extends keyof Events>(name: Name, listener: Events[Name]): () => void {
        const listeners = (this.#listeners[name] ??= new Set());
        listeners.add(listener);
        return () => void listeners.delete(listener);
    }

    /** Stores messages of any channels: all, or none. */
    publish(
        messages: Outgoing[],
        options: Pick<PublishOptions, 'idempotencyKey' | 'signal'> = {},
    ): Promise<Published[]> {
        return publish(this, messages, options);
    }

    /** Ends all subscriptions and lets the connection go, for good. */
    close(): void {
        this.#isClosed = true;
        this.subscriptions.forEach((subscription) => subscription.end());
        this.#closing.abort();
        clearTimeout(this.#hiding);
        this.#drop();
        this.#become('closed');
    }

    // --- what the client's own parts call: Host of the links, Keeper of the subscriptions -------

    /** @internal */
    add<T>(subscription: Subscription<T>): Subscription<T> {
        if (this.#isClosed) {
            throw new TidingsError('closed', 'by close()');
        }
        this.subscriptions.add(subscription);
        this.changed(subscription);
        return subscription;
    }

    /** @internal */
    changed(subscription: Subscription): void {
        if (subscription.state === 'ended') {
            this.subscriptions.delete(subscription);
        }
        this.#link?.changed(subscription);
        this.#settle();
    }

    /** @internal Never swallowed: where nobody listens it goes to the console. */
    report(name: 'gap' | 'error', told: Gap | TidingsError, subscription?: Subscription): void {
        if (!this.#emit(name, told, subscription)) {
            console.warn('tidings', name, subscription?.name, told);
        }
    }

    /** @internal */
    frame(text: string): void {
        this.#emit('frame', text);
    }

    /** @internal */
    token(): Promise<string | undefined> {
        return this.#tokens.get();
    }

    /** @internal Full jitter: a random part of a bound that doubles, so that a thousand clients
     * which lost the broker in one moment do not come back in one moment. */
    jitter(tries: number): number {
        const { retryBaseMs, retryCapMs } = this.settings;
        return Math.random() * Math.min(retryCapMs, retryBaseMs * 2 ** tries);
    }

    /** @internal */
    async call(path: string, init: RequestInit = {}): Promise<Response> {
        const headers = new Headers(init.headers);
        const token = await this.#tokens.get();
        if (token) {
            headers.set('Authorization', `Bearer ${token}`);
        }
        const url = new URL(path, this.base);
        const { fetch } = this.settings; // a browser's is no method
        return fetch(url, { ...init, headers, cache: 'no-store' });
    }

    /** @internal No silence of answerMs, and another token where this one is refused. */
    async json(path: string, init: Question): Promise<any> {
        const { signal: caller, body = '' } = init;
        const { answerMs } = this.settings;
        const abort = new AbortController();
        const ask = (): Promise<Response> =>
            within(
                answerMs + body.length / UPLOAD_BYTES_A_MS,
                this.call(path, { ...init, signal: abort.signal }),
                caller,
            );
        try {
            caller?.throwIfAborted();
            const used = this.#tokens.get();
            let answer = await ask();
            if (answer.status === 401 && this.#tokens.drop(used)) {
                answer = await ask();
            }
            if (!answer.ok) {
                throw await within(answerMs, errorOf(answer), caller);
            }
            let text = '';
            for await (const part of partsOf(answer, answerMs, caller)) {
                text += part;
            }
            return JSON.parse(text);
        } catch (error: any) {
            if (error instanceof TidingsError || caller?.aborted) {
                throw error;
            }
            throw new TidingsError('unreachable', error.message);
        } finally {
            abort.abort();
        }
    }

    /** @internal */
    opened(link: Link): void {
        this.#openedMs = Date.now();
        this.#wasRefused = false;
        this.#unopened = 0;
        this.#become('open', { reason: link.transport });
        this.#scheduleRefresh();
    }

    /** @internal */
    lost(loss: Loss): void {
        const { steadyMs, transport, webSocketAgainMs } = this.settings;
        const wasSteady = Date.now() - this.#openedMs >= steadyMs;
        if (this.#openedMs === Infinity) {
            this.#unopened += 1;
        }
        let { error } = loss;
        this.#drop();
        if (loss.isUnauthorized) {
            if (!this.#tokens.drop() || this.#wasRefused) {
                error ??= new TidingsError('unauthorized', loss.reason, 401);
            }
            this.#wasRefused = true;
        }
        if (error) {
            [...this.subscriptions].forEach((subscription) => subscription.end(error));
            return;
        }
        if (wasSteady) {
            this.#tries = 0;
        }
        // A WebSocket that fails right after HTTP was answered is blocked; event streams that
        // nobody answers are no better than it.
        const isBlocked = loss.isBlocked && transport === 'auto';
        if (isBlocked) {
            this.#sseUntilMs = Date.now() + webSocketAgainMs;
        } else if (loss.isUnreachable) {
            this.#sseUntilMs = 0;
        }
        const isFast = isBlocked || (loss.isFast && this.#tries === 0);
        const jitterMs = isFast ? Math.random() * FAST_MS : this.jitter(this.#tries);
        const delayMs = jitterMs + (loss.afterMs ?? 0);
        this.#tries += 1;
        this.#retry = setTimeout(() => this.#connect(), delayMs);
        this.#become(browser.navigator?.onLine === false ? 'offline' : 'waiting', {
            reason: loss.reason,
            attempt: this.#tries,
            delayMs,
        });
    }

    // --- connecting ----------------------------------------------------------------------------

    #connect(): void {
        const { transport, WebSocket } = this.settings;
        this.#retry = undefined;
        this.#become('connecting');
        const isSse =
            transport === 'sse' ||
            (transport === 'auto' && (!WebSocket || Date.now() < this.#sseUntilMs));
        this.#link = isSse ? new SseLink(this) : new SocketLink(this, this.#unopened > 0);
    }

    /** Connects where there is something to read, and lets go where there is not. Put off, so that
     * one who leaves and comes back at once (as React does) keeps the connection. */
    #settle(): void {
        if (this.#isSettling) {
            return;
        }
        this.#isSettling = true;
        setTimeout(() => {
            this.#isSettling = false;
            const isWanted = !this.#isClosed && !this.#isHidden && this.subscriptions.size > 0;
            if (isWanted && !this.#link && !this.#retry) {
                this.#connect();
            } else if (!isWanted) {
                this.#drop();
                this.#become(this.#isClosed ? 'closed' : 'idle');
            }
        });
    }

    #drop(): void {
        clearTimeout(this.#retry);
        clearTimeout(this.#refresh);
        this.#retry = undefined;
        this.#link?.close();
        this.#link = undefined;
        this.#openedMs = Infinity;
        this.subscriptions.forEach((subscription) => subscription.become('waiting'));
    }

    /** Somebody looks, or the network is back: no more waiting, and no trust in what was open. */
    #wake(): void {
        this.#tries = 0;
        if (this.#retry) {
            clearTimeout(this.#retry);
            this.#connect();
        } else {
            this.#link?.check();
            this.#settle();
        }
    }

    /** Sends what is open a fresh token before the old one ends. */
    #scheduleRefresh(): void {
        const { dueMs } = this.#tokens;
        if (dueMs === Infinity) {
            return;
        }
        const waitMs = Math.min(TIMER_MS_MAX, Math.max(REFRESH_MS_MIN, dueMs - Date.now()));
        const link = this.#link;
        this.#refresh = setTimeout(async () => {
            this.#tokens.drop(); // it is due, also where the timer was a moment early
            try {
                const token = await this.#tokens.get();
                if (token && link === this.#link) {
                    link?.authorize(token);
                    this.#scheduleRefresh();
                }
            } catch (error: any) {
                this.report('error', new TidingsError('no-token', error.message));
            }
        }, waitMs);
    }

    #become(state: State, detail: StateDetail = {}): void {
        if (state !== this.#state) {
            this.#state = state;
            this.#emit('state', state, detail);
        }
    }

    #emit(name: keyof Events, ...told: any[]): boolean {
        const listeners = this.#listeners[name];
        listeners?.forEach((listener) => guarded(() => listener(...told), undefined));
        return !!listeners?.size;
    }

    /** Where there is such a thing: Node has no document, and no events of its own. */
    #listen(target: EventTarget | undefined, name: string, listener: () => void): void {
        target?.addEventListener?.(name, listener, { signal: this.#closing.signal });
    }
}
