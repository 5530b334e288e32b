// SPDX-License-Identifier: Apache-2.0
// A subscription that keeps what it was told, and ways to wait for it; runs in browsers, too.

const PATIENCE_MS = 60_000;

/** Asks until `claim()` is true, and gives what it gave. */
export async function until(claim, what, patienceMs = PATIENCE_MS) {
    const end = Date.now() + patienceMs;
    for (;;) {
        const found = await claim();
        if (found) {
            return found;
        }
        if (Date.now() > end) {
            throw new Error(`${what?.() ?? claim} did not come within ${patienceMs} ms`);
        }
        await new Promise((done) => setTimeout(done, 5));
    }
}

export class Reader {
    messages = [];
    gaps = [];
    errors = [];
    states = [];

    constructor(client, name, options = {}) {
        const keep = (message) => this.messages.push(message);
        this.subscription = client.channel(name).subscribe(keep, {
            ...options,
            onGap: (gap) => this.gaps.push(gap),
            onError: (error) => this.errors.push(error),
            onState: (state) => this.states.push(state),
        });
    }

    get data() {
        return this.messages.map((message) => message.data);
    }

    has(count) {
        return until(() => this.messages.length >= count,
            () => `${count} messages (${this.messages.length} are here)`);
    }

    /** The numbers 1 … count are what came: each once and in order, and nothing else. */
    hasCounted(count) {
        const wrong = this.data.findIndex((value, index) => value !== index + 1);
        if (wrong >= 0 || this.messages.length !== count || this.gaps.length > 0) {
            const near = this.data.slice(Math.max(0, wrong - 2), wrong + 3);
            throw new Error(`${this.messages.length} of ${count}; near ${wrong}: ${near}; gaps ` +
                JSON.stringify(this.gaps));
        }
    }
}
