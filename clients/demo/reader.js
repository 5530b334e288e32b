// SPDX-License-Identifier: Apache-2.0
// A reader of one channel, by the JavaScript client, that proves what the client promises. The
// broker counts a channel's messages 1, 2, 3 … without a hole, so a reader that looks at the
// offsets knows by itself whether it missed one or was given one twice.

import { Tidings } from './tidings.js';

const NAMES = { websocket: 'WebSocket', sse: 'Server-Sent Events' };

export class Reader {
    // `on` has change(reader), message(reader, envelope), raw(reader, text), and restart(reader)
    // for a channel whose count began again.
    constructor(transport, channel, on) {
        this.transport = transport;
        this.name = NAMES[transport];
        this.channel = channel;
        this.on = on;
        this.storageKey = `tidings.demo/${transport}/${channel}`;
        this.state = 'offline';
        this.detail = '';
        this.call = `new Tidings("${location.origin}", { transport: "${transport}" })`;
        this.reset();
        this.recall();
        addEventListener('pagehide', () => this.remember());
    }

    reset() {
        this.id = null; // of the newest message seen: what a page opened later resumes from
        this.offset = null;
        this.score = null; // the page's: what to show before the first message comes
        this.head = null; // where the channel ended when this connection was made
        this.received = 0;
        this.missed = 0;
        this.duplicates = 0;
        this.caughtUp = null; // messages published while this reader was away
        this.latencyMs = null;
        this.gap = null;
        this.unsettled = []; // offsets that came before the head was known
    }

    recall() {
        try {
            Object.assign(this, JSON.parse(localStorage.getItem(this.storageKey)) ?? {});
        } catch {
            // Storage may be switched off, or hold anything: then it begins at the newest message.
        }
    }

    remember() {
        try {
            this.id = this.subscription?.id ?? this.id;
            const { id, offset, score } = this;
            localStorage.setItem(this.storageKey, JSON.stringify({ id, offset, score }));
        } catch {
            // Without storage the page works, and only its reopening starts anew.
        }
    }

    forget() {
        this.stop();
        this.reset();
        try {
            localStorage.removeItem(this.storageKey);
        } catch {
            // Nothing was kept, so nothing is left to forget.
        }
        this.on.change(this);
    }

    async start() {
        this.stop();
        const client = this.client = new Tidings(location.origin, { transport: this.transport });
        this.become('connecting');
        this.lose();
        const head = await this.readHead();
        if (client !== this.client) {
            return;
        }
        client.on('state', (state, detail) => this.moved(state, detail));
        client.on('frame', (text) => this.on.raw(this, text));
        // Offset 0 stands before the first message of a channel that has none yet.
        const since = this.id ?? (head === 0 ? '0' : '-1');
        this.subscription = client.channel(this.channel).subscribe(
            (message) => this.takeMessage(message), {
                since,
                onGap: (gap) => this.takeGap(gap),
                onError: (error) => this.become('stopped', error.detail),
            });
    }

    stop() {
        const client = this.client;
        this.remember();
        this.client = this.subscription = null;
        client?.close();
        this.become('offline');
    }

    become(state, detail = '') {
        this.state = state;
        this.detail = detail;
        this.on.change(this);
    }

    // What the client says of its connection.
    moved(state, { reason, attempt, delayMs }) {
        if (state === 'open') {
            this.become(this.isBehind() ? 'catching up' : 'live');
            this.readHead();
        } else if (state === 'waiting' || state === 'offline') {
            const seconds = (delayMs / 1000).toFixed(1);
            this.become('reconnecting', `${reason}; try ${attempt} in ${seconds} s`);
            this.lose();
        }
    }

    // What is known of a connection goes with it.
    lose() {
        this.head = undefined;
        this.gap = null;
        this.caughtUp = this.id === null ? null : 0;
    }

    // Where the channel ends when a connection is made. Null where nobody answers.
    async readHead() {
        const client = this.client;
        const told = client.channel(this.channel).history({ limit: 1 });
        const head = await told.then((page) => page.messages.at(-1)?.offset ?? 0, () => null);
        if (client === this.client && this.head === undefined) {
            this.settle(head);
            if (this.state === 'catching up' || this.state === 'live') {
                this.become(this.isBehind() ? 'catching up' : 'live');
            }
        }
        return head;
    }

    isBehind() {
        return Number.isInteger(this.head) && this.offset !== null && this.offset < this.head;
    }

    settle(head) {
        this.head = head;
        if (head !== null && this.caughtUp !== null) {
            this.caughtUp += this.unsettled.filter((offset) => offset <= head).length;
        }
        this.unsettled = [];
    }

    // After each message and gap, once what it changed is in place.
    told() {
        this.remember();
        if (this.state === 'catching up' && !this.isBehind()) {
            this.state = 'live';
        }
        this.on.change(this);
    }

    takeMessage(message) {
        const skipped = message.skipped ?? 0; // what conflation left out is told, not missed
        this.received += 1;
        if (this.offset !== null && message.offset <= this.offset) {
            this.duplicates += 1;
            this.told();
            return;
        }
        if (this.offset !== null) {
            this.missed += Math.max(0, message.offset - this.offset - 1 - skipped);
        }
        this.offset = message.offset;
        this.id = message.id;
        if (this.head === undefined) {
            this.unsettled.push(message.offset);
        } else if (this.head !== null && message.offset <= this.head) {
            this.caughtUp = this.caughtUp === null ? null : this.caughtUp + 1;
        } else {
            this.latencyMs = Date.now() - Date.parse(message.time);
        }
        this.on.message(this, message);
        this.told();
    }

    // A gap is the broker saying what it no longer keeps: counted and shown, but not as missed.
    takeGap(gap) {
        const restarted = gap.reason === 'ahead' || gap.reason === 'epoch';
        if (!restarted && this.offset !== null && Number.isInteger(gap.from)) {
            this.missed += Math.max(0, gap.from - this.offset - 1);
        }
        this.gap = gap;
        this.offset = restarted || !Number.isInteger(gap.to) ? null : gap.to;
        this.id = gap.id ?? this.id;
        if (restarted) {
            this.on.restart(this);
        }
        this.told();
    }
}
