// SPDX-License-Identifier: Apache-2.0
import type { Options } from './types.js';
import { within } from './within.js';

const MARGIN_MS = 30_000; // before it expires, or a tenth of its life where that is shorter

/** When a JWT expires, in ms since 1970; never, as far as can be seen, for anything else. */
function expiryOf(token: string): number {
    try {
        const claims = token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/');
        // Its text may be garbled, as it is not decoded from UTF-8; its numbers are ASCII.
        return 1000 * JSON.parse(atob(claims)).exp || Infinity;
    } catch {
        return Infinity;
    }
}

/** The token and where it comes from; asked for once at a time, and again before it expires. */
export class Tokens {
    #source: Options['token'];
    #answerMs: number;
    #pending?: Promise<string | undefined>;
    /** When the token should be replaced. */
    dueMs = Infinity;

    constructor(source: Options['token'], answerMs: number) {
        this.#source = source;
        this.#answerMs = answerMs;
    }

    get(): Promise<string | undefined> {
        if (!this.#pending || Date.now() >= this.dueMs) {
            const pending = this.#fetch();
            this.#pending = pending;
            pending.catch(() => this.#pending === pending && this.drop());
        }
        return this.#pending!;
    }

    /** The token is no good: the next get() asks for another, unless somebody who was refused with
     * the same one has asked already. False where there is no other. */
    drop(used = this.#pending): boolean {
        if (used === this.#pending) {
            this.#pending = undefined;
            this.dueMs = Infinity;
        }
        return typeof this.#source === 'function';
    }

    async #fetch(): Promise<string | undefined> {
        if (typeof this.#source !== 'function') {
            return this.#source;
        }
        this.dueMs = Infinity;
        const token = await within(this.#answerMs, this.#source());
        const nowMs = Date.now();
        const lifeMs = token ? expiryOf(token) - nowMs : Infinity;
        // A fresh token that is old already: this clock is ahead.
        const goodMs = lifeMs > 0 ? Math.max(lifeMs - MARGIN_MS, lifeMs * 0.9) : MARGIN_MS;
        this.dueMs = nowMs + goodMs;
        return token;
    }
}
