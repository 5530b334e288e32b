// SPDX-License-Identifier: Apache-2.0
import { TidingsError, errorOf } from './error.js';
import type { Host, Link, Loss } from './link.js';
import type { Subscription } from './subscription.js';
import type { WebSocketLike } from './types.js';

// Close codes (docs/api.md) after which the same again would only be refused again.
const FINAL = [1003, 1007, 1008, 1009, 4009];
const FAST = [1001, 4001, 4008];
const TOKEN_EXPIRED = 4001;
// A broker that is short of something for a moment refuses a subscription with these.
const PASSING = /^(busy|full|again|out-of-memory|draining|storage-full|internal|io)$/;
const ASK_AGAIN_MS = 1000;
// Statuses of a broker that gives no tickets.
const NO_TICKETS = [404, 405, 501];

/** Where one subscription stands on this socket; `number` is the broker's, once it is known. */
interface Seat {
    number?: number;
}

function refusal({ code, message, field }: any): TidingsError {
    return new TidingsError(code, message, undefined, field);
}

/** One WebSocket on /stream that carries all subscriptions. */
export class SocketLink implements Link {
    readonly transport = 'websocket';
    #host: Host;
    #socket?: WebSocketLike;
    #seats = new Map<Subscription, Seat>();
    #readers = new Map<number, Subscription>();
    #answers = new Map<number, (frame: any) => void>();
    #calls = new AbortController();
    #refs = 0;
    #isOpen = false;
    #isOver = false;
    #askedMs = 0;
    #heardMs = 0;
    #deadline?: ReturnType<typeof setTimeout>;
    #watch?: ReturnType<typeof setInterval>;

    /** `isDoubted`: the last WebSocket did not open, so HTTP is tried before this one. */
    constructor(host: Host, isDoubted: boolean) {
        this.#host = host;
        this.#open(isDoubted).catch((error) => {
            this.#lose({
                reason: error.message,
                isUnauthorized: error.status === 401,
                afterMs: error.retryAfterMs,
            });
        });
    }

    async #open(isDoubted: boolean): Promise<void> {
        const host = this.#host;
        const Socket = host.settings.WebSocket!;
        const url = new URL('stream', host.base);
        url.protocol = url.protocol.replace('http', 'ws');
        this.#expect(false);
        const token = await host.token();
        if (isDoubted) {
            const answer = await this.#call('stream', 'OPTIONS');
            if (answer.status >= 500) {
                throw await errorOf(answer);
            }
        }
        if (token && !Socket.sendsHeaders) {
            url.searchParams.set(...(await this.#admission(token)));
        }
        if (this.#isOver) {
            return;
        }
        const headers: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {};
        const socket = new Socket(url.href, ['tidings.v1'], { headers });
        this.#socket = socket;
        this.#expect(isDoubted);
        socket.onerror = () => {}; // `close` follows; that of `ws` is thrown where nobody listens
        socket.onopen = () => this.#opened();
        socket.onmessage = (event) => this.#received(event.data);
        socket.onclose = (event) => this.#ended(event, isDoubted);
    }

    #call(path: string, method: string): Promise<Response> {
        return this.#host.call(path, { method, signal: this.#calls.signal });
    }

    /** A one-use ticket for the URL, or the token itself where the broker has no tickets. */
    async #admission(token: string): Promise<[string, string]> {
        const answer = await this.#call('token', 'POST');
        if (answer.ok) {
            return ['ticket', (await answer.json()).ticket];
        }
        if (NO_TICKETS.includes(answer.status)) {
            return ['access_token', token];
        }
        throw await errorOf(answer);
    }

    #opened(): void {
        clearTimeout(this.#deadline);
        this.#isOpen = true;
        this.#heardMs = performance.now();
        const { silenceMs } = this.#host.settings;
        this.#watch = setInterval(() => {
            if (performance.now() - this.#heardMs >= silenceMs) {
                this.check();
            }
        }, silenceMs);
        this.#host.opened(this);
        this.#host.subscriptions.forEach((subscription) => this.changed(subscription));
    }

    #ended(event: { code: number; reason?: string; status?: number }, isDoubted: boolean): void {
        const { code } = event;
        const reason = event.reason || `closed with ${code}`;
        this.#lose({
            reason,
            error: FINAL.includes(code) ? new TidingsError('closed', reason, code) : undefined,
            isUnauthorized: code === TOKEN_EXPIRED || event.status === 401,
            isFast: FAST.includes(code),
            isBlocked: isDoubted && !this.#isOpen,
        });
    }

    #lose(loss: Loss): void {
        if (!this.#isOver) {
            this.close();
            this.#host.lost(loss);
        }
    }

    close(): void {
        this.#isOver = true;
        this.#calls.abort();
        clearTimeout(this.#deadline);
        clearInterval(this.#watch);
        const socket = this.#socket;
        if (socket) {
            socket.onopen = socket.onmessage = socket.onclose = null;
            socket.close(1000);
        }
    }

    /** An answer, in time; `isBlocked` says what it means where there is none. */
    #expect(isBlocked: boolean): void {
        clearTimeout(this.#deadline);
        this.#deadline = setTimeout(
            () => this.#lose({ reason: 'no answer', isBlocked }),
            this.#host.settings.answerMs,
        );
    }

    /** Asks for something that is answered whatever it is; anything that comes shows life. */
    check(): void {
        if (this.#isOpen && this.#askedMs <= this.#heardMs) {
            this.#askedMs = performance.now();
            this.#command({ unsubscribe: 0 });
            this.#expect(false);
        }
    }

    /** A broker that knows no tokens refuses this, which is harmless; one that does, and does not
     * take this one, closes the socket. */
    authorize(token: string): void {
        if (this.#isOpen) {
            this.#command({ auth: token });
        }
    }

    #command(command: object, onAnswer?: (frame: any) => void): void {
        const ref = ++this.#refs;
        if (onAnswer) {
            this.#answers.set(ref, onAnswer);
        }
        this.#socket!.send(JSON.stringify({ ...command, ref }));
    }

    changed(subscription: Subscription): void {
        const { isWanted } = subscription;
        const seat = this.#seats.get(subscription);
        if (!this.#isOpen || isWanted === !!seat) {
            return;
        }
        if (isWanted) {
            this.#subscribe(subscription);
        } else {
            this.#seats.delete(subscription);
            if (seat!.number) {
                this.#leave(seat!.number);
            }
        }
    }

    #leave(number: number): void {
        this.#readers.delete(number);
        this.#command({ unsubscribe: number });
    }

    #subscribe(subscription: Subscription): void {
        const seat: Seat = {};
        this.#seats.set(subscription, seat);
        this.#command({ subscribe: subscription.name, ...subscription.request() }, (answer) => {
            const { ok, error } = answer;
            if (this.#seats.get(subscription) !== seat) {
                if (ok) {
                    this.#leave(ok.sub);
                }
            } else if (ok) {
                seat.number = ok.sub;
                this.#readers.set(ok.sub, subscription);
                subscription.live(ok.at);
            } else if (PASSING.test(error.code)) {
                this.#seats.delete(subscription);
                setTimeout(() => this.#isOver || this.changed(subscription), ASK_AGAIN_MS);
            } else {
                subscription.end(refusal(error));
            }
        });
    }

    #received(text: string): void {
        this.#heardMs = performance.now();
        clearTimeout(this.#deadline);
        this.#host.frame(text);
        try {
            this.#take(JSON.parse(text));
        } catch (error: any) {
            this.#lose({ reason: error.message });
        }
    }

    #take({ sub, ref, ...frame }: any): void {
        if (ref) {
            this.#answers.get(ref)?.(frame);
            this.#answers.delete(ref);
            return;
        }
        const subscription = this.#readers.get(sub);
        if (!subscription) {
            return; // the rest of one that was left, or has had its limit
        }
        if (frame.closed) {
            subscription.end(refusal(frame.closed)); // a new token does not allow it
        } else if (frame.gap) {
            subscription.gap(frame.gap);
        } else if (frame.at) {
            subscription.live(frame.at);
        } else {
            subscription.message(frame);
        }
    }
}
