// SPDX-License-Identifier: Apache-2.0
// A reader of one channel in a browser: a WebSocket or an EventSource that resumes where it stood
// and proves it. The broker counts a channel's messages 1, 2, 3 … without a hole, so a reader that
// looks at the offsets knows by itself whether it missed one or was given one twice.

const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 30_000;
const STEADY_MS = 5_000; // a connection that held this long starts the retries over

// Close codes after which another try would only be refused again.
const FINAL_CODES = new Set([1002, 1003, 1007, 1008, 4001, 4009]);

function percentEncode(text) {
    return encodeURIComponent(text)
        .replace(/[!'()*]/g, (mark) => '%' + mark.charCodeAt(0).toString(16).toUpperCase());
}

// The channel's one URL, on the page's own origin.
export function channelUrl(channel, query = {}) {
    const path = channel.split('/').map(percentEncode).join('/');
    const url = new URL(`/channels/${path}`, location.origin);
    for (const [name, value] of Object.entries(query)) {
        url.searchParams.set(name, value);
    }
    return url;
}

// Each way of reading: `open` starts one and answers with a function that ends it without a word.
const TRANSPORTS = {
    websocket: {
        name: 'WebSocket',
        url(channel, since) {
            const url = channelUrl(channel, { since });
            url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
            return url.href;
        },
        open(url, on) {
            const socket = new WebSocket(url);
            socket.onopen = () => on.open();
            socket.onmessage = (event) => on.frame(event.data, event.data);
            socket.onclose = (event) => {
                on.end(`closed with ${event.code}${event.reason ? ', ' + event.reason : ''}`,
                    !FINAL_CODES.has(event.code));
            };
            return () => {
                socket.onopen = socket.onmessage = socket.onclose = null;
                socket.close(1000);
            };
        },
    },
    eventsource: {
        name: 'EventSource',
        url: (channel, since) => channelUrl(channel, { since }).href,
        open(url, on) {
            const source = new EventSource(url);
            const show = (event) => (event.type === 'message' ? '' : `event: ${event.type}\n`) +
                (event.lastEventId ? `id: ${event.lastEventId}\n` : '') + `data: ${event.data}`;
            source.onopen = () => on.open();
            source.onmessage = (event) => on.frame(show(event), event.data);
            source.addEventListener('gap', (event) => on.frame(show(event), event.data, 'gap'));
            source.addEventListener('close', (event) => {
                source.close();
                on.frame(show(event), '{}');
                const told = parse(event.data);
                on.end(`closed with ${told.code}`, told.reconnect !== false);
            });
            // While it is CONNECTING the browser itself tries again, with Last-Event-ID.
            source.onerror = () => (source.readyState === EventSource.CLOSED
                ? on.end('refused', true) : on.interrupted());
            return () => source.close();
        },
    },
};

function parse(text) {
    try {
        return JSON.parse(text) ?? {};
    } catch {
        return {};
    }
}

// What a page asks before it opens a stream: where the channel ends now. Null where nobody answers.
async function readHead(channel) {
    try {
        const answer = await fetch(channelUrl(channel, { limit: 1 }),
            { cache: 'no-store', signal: AbortSignal.timeout(5_000) });
        const page = await answer.json();
        return answer.ok ? page.messages.at(-1)?.offset ?? 0 : null;
    } catch {
        return null;
    }
}

export class Reader {
    // `on` has change(reader), message(reader, envelope), raw(reader, text), and restart(reader)
    // for a channel whose count began again.
    constructor(transport, channel, on) {
        this.transport = transport;
        this.name = TRANSPORTS[transport].name;
        this.channel = channel;
        this.on = on;
        this.storageKey = `tidings.demo/${transport}/${channel}`;
        this.state = 'offline';
        this.detail = '';
        this.url = '';
        this.attempt = 0;
        this.reset();
        this.recall();
    }

    reset() {
        this.id = null; // of the newest message seen: what the next connection resumes from
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
        const turn = this.turn = {};
        this.become('connecting');
        const head = await readHead(this.channel);
        if (turn !== this.turn) {
            return;
        }
        this.settle(head);
        this.gap = null;
        if (this.id !== null) {
            this.caughtUp = 0;
        }
        // Offset 0 stands before the first message of a channel that has none yet.
        const since = this.id ?? (head === 0 ? '0' : '-1');
        this.url = TRANSPORTS[this.transport].url(this.channel, since);
        this.end = TRANSPORTS[this.transport].open(this.url, {
            open: () => this.opened(turn),
            frame: (raw, data, kind) => this.frame(raw, data, kind),
            interrupted: () => this.interrupted(),
            end: (why, again) => this.ended(why, again),
        });
        this.on.change(this);
    }

    stop() {
        this.turn = null;
        clearTimeout(this.timer);
        clearTimeout(this.steadyTimer);
        this.end?.();
        this.end = null;
        this.become('offline');
    }

    become(state, detail = '') {
        this.state = state;
        this.detail = detail;
        this.on.change(this);
    }

    async opened(turn) {
        this.steadyTimer = setTimeout(() => { this.attempt = 0; }, STEADY_MS);
        this.become(this.isBehind() ? 'catching up' : 'live');
        if (this.head === undefined) {
            const head = await readHead(this.channel);
            if (turn === this.turn) {
                this.settle(head);
                this.become(this.isBehind() ? 'catching up' : 'live');
            }
        }
    }

    interrupted() {
        this.head = undefined; // asked again when the browser has reconnected
        this.gap = null;
        this.caughtUp = this.id === null ? null : 0;
        this.become('reconnecting', 'the browser tries again with Last-Event-ID');
    }

    // Full jitter: a random part of a bound that doubles, so that a thousand pages which lost the
    // broker in one moment do not come back in one moment.
    ended(why, again) {
        clearTimeout(this.steadyTimer);
        this.end?.();
        this.end = null;
        if (!again) {
            this.become('stopped', why);
            return;
        }
        const bound = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** this.attempt);
        const delay = Math.random() * bound;
        this.attempt += 1;
        this.become('reconnecting',
            `${why}; try ${this.attempt} in ${(delay / 1000).toFixed(1)} s`);
        this.timer = setTimeout(() => this.start(), delay);
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

    frame(raw, text, kind) {
        const told = parse(text);
        this.on.raw(this, raw);
        if (kind === 'gap' || told.gap) {
            this.takeGap(told.gap ?? told);
        } else if (typeof told.at === 'string') {
            this.id = told.at;
        } else if (Number.isInteger(told.offset)) {
            this.takeMessage(told);
        }
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
    }
}
