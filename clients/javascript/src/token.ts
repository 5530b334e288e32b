// SPDX-License-Identifier: Apache-2.0
import type { Options } from './types.js';

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
    #pending?: Promise<string | undefined>;
    /** When the token should be replaced. */
    dueMs = Infinity;

    constructor(source: Options['token']) {
        this.#source = source;
    }

    get(): Promise<string | undefined> {
        if (!this.#pending || Date.now() >= this.dueMs) {
            const pending = this.#fetch();
            this.#pending = pending;
            pending.catch(() => this.#pending === pending && this.drop());
        }
        return this.#pending!;
    }

    /** The token is no good: the next get() asks for another. False where there is no other. */
    drop(): boolean {
        this.#pending = undefined;
        this.dueMs = Infinity;
        return typeof this.#source === 'function';
    }

    async #fetch(): Promise<string | undefined> {
        if (typeof this.#source !== 'function') {
            return this.#source;
        }
        this.dueMs = Infinity;
        const token = await this.#source();
        const expiryMs = token ? expiryOf(token) : Infinity;
        this.dueMs = expiryMs - Math.min(MARGIN_MS, Math.max(0, (expiryMs - Date.now()) / 10));
        return token;
    }
}
