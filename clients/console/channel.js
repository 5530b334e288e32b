// SPDX-License-Identifier: Apache-2.0
// One channel: what it keeps, its messages page by page or as they come, and a message to try it.
import { call, pathOf, readJson } from './broker.js';
import { field, fillTable, fillTerms, make, setFields, setText } from './dom.js';
import { ago, bytes, count, rate } from './format.js';

export const title = 'Channel';
const PAGE_MESSAGES = 50;
const FOLLOWED_MESSAGES_MAX = 200;
const WAIT_S = 20;
const DATA_CHARACTERS_MAX = 2000; // of one message in the table; its offset leads to all of it

function dataOf(message) {
    const text = message.data_base64 !== undefined ? `base64: ${message.data_base64}`
        : message.type !== undefined && typeof message.data === 'string' ? message.data
            : JSON.stringify(message.data);
    return text.length <= DATA_CHARACTERS_MAX ? text
        : `${text.slice(0, DATA_CHARACTERS_MAX)}… (${count(text.length)} characters)`;
}

function headersOf(message) {
    return Object.entries(message.headers ?? {}).map(([name, value]) => `${name}: ${value}`)
        .join('\n');
}

function pagePath(channel, parameters) {
    return pathOf('/channels/', { channel, ...parameters });
}

function columnsOf(name) {
    return [
        { name: 'Offset', isNumber: true, text: message => message.offset,
            href: message => pagePath(name, { since: message.offset - 1, limit: 1 }) },
        { name: 'Time', text: message => message.time.replace('T', ' ') },
        { name: 'Data', build: cell => cell.append(make('code')),
            fill: (cell, message) => setText(cell.firstElementChild, dataOf(message)) },
        { name: 'Event', isMinor: true, text: message => message.event ?? '' },
        { name: 'Key', isMinor: true, text: message => message.key ?? '' },
        { name: 'Type', isMinor: true, text: message => message.type ?? 'application/json' },
        { name: 'Headers', isMinor: true, text: headersOf },
    ];
}

function describeGap(gap) {
    const what = gap.from === undefined ? 'Messages' : gap.from === gap.to
        ? `Offset ${gap.from}` : `Offsets ${gap.from} to ${gap.to}`;
    return `${what}: not to be had, ${gap.reason}.`;
}

async function publish(name, form) {
    // This type means: JSON if it parses, else text. fetch() would say text/plain of itself.
    const headers = { 'Content-Type': 'application/octet-stream' };
    for (const [header, value] of [['Tidings-Event', form.event.value],
        ['Tidings-Key', form.key.value]]) {
        if (value !== '') {
            headers[header] = value;
        }
    }
    const { text } = await call('POST', pagePath(name, {}), { headers, body: form.data.value });
    return `Stored at offset ${JSON.parse(text).offset}.`;
}

/** The messages that are shown, the oldest first, and where to go on from. */
class Messages {
    constructor(name, place) {
        this.name = name;
        this.place = place; // {before} or {since}; neither: the newest
        this.shown = [];
        this.note = '';
    }

    get isAtNewest() {
        return !this.place.before && !this.place.since;
    }

    async read(signal) {
        this.page = await readJson(
            pagePath(this.name, { ...this.place, limit: PAGE_MESSAGES }), { signal });
        this.shown = this.page.messages;
        this.note = (this.page.gaps ?? [this.page.gap]).filter(Boolean).map(describeGap).join(' ');
    }

    /** Waits for what comes next and puts it to the others. */
    async follow(signal) {
        const page = await readJson(pagePath(this.name,
            { since: this.page.next, wait: `${WAIT_S}s`, limit: FOLLOWED_MESSAGES_MAX }),
        { signal, timeoutMs: (WAIT_S + 10) * 1000 });
        if (!page.at_head) {
            await this.read(signal);
            this.note = 'Messages come faster than a page can show: these are the newest.';
            return;
        }
        this.page = { ...page, prev: this.page.prev };
        this.shown = [...this.shown, ...page.messages].slice(-FOLLOWED_MESSAGES_MAX);
        if (page.gap !== undefined) {
            this.note = (page.gaps ?? [page.gap]).map(describeGap).join(' ');
        }
    }
}

export function show(view, parameters, { keep, attempt, refresh, repeat }) {
    const { name = '' } = parameters;
    const form = field(view, 'publish');
    const follow = field(view, 'follow');
    const columns = columnsOf(name);
    let messages = new Messages(name, parameters);
    let isRead = false;

    function fill() {
        const { page, shown, note, isAtNewest } = messages;
        setText(field(view, 'gap'), note);
        field(view, 'none').hidden = shown.length > 0;
        field(view, 'older').disabled = shown.length === 0 || shown[0].offset === page.first;
        field(view, 'newer').disabled = isAtNewest || page.at_head;
        field(view, 'newest').disabled = isAtNewest;
        follow.disabled = !isAtNewest;
        fillTable(view.querySelector('table'), columns, shown.toReversed(), ({ id }) => id);
    }

    function turnTo(place) {
        messages = new Messages(name, place);
        isRead = false;
        keep({ name, ...place }, true);
        tail.restart();
    }

    /* Reads the page once, then waits for more, as long as that is wanted. */
    const tail = repeat(async signal => {
        if (!isRead) {
            await messages.read(signal);
            isRead = true;
        } else if (follow.checked && messages.isAtNewest) {
            await messages.follow(signal);
        } else {
            return;
        }
        fill();
    }, 500);

    setFields(view, { name });
    field(view, 'readers').href = pathOf('#/connections', { channel: name });
    field(view, 'newest').addEventListener('click', () => turnTo({}));
    field(view, 'older').addEventListener('click', () => turnTo({ before: messages.page.prev }));
    field(view, 'newer').addEventListener('click', () => turnTo({ since: messages.page.next }));
    follow.checked = messages.isAtNewest;
    follow.addEventListener('change', () => tail.restart());
    form.addEventListener('submit', event => {
        event.preventDefault();
        attempt(async () => {
            setText(field(view, 'published'), await publish(name, form));
            refresh();
        });
    });

    return async signal => {
        const { channels: [row] } = await readJson(
            pathOf('/api/v1/channels', { match: name, limit: 1 }), { signal });
        fillTerms(field(view, 'facts'), row === undefined ? [['Messages', 'none yet']] : [
            ['Messages', count(row.messages)],
            ['Offsets', row.messages === 0 ? 'none kept' : `${row.first} to ${row.last}`],
            ['A second', rate(row.rate)],
            ['Readers', count(row.readers)],
            ['Size', bytes(row.bytes)],
            ['Newest', ago(row.time_last)],
        ]);
    };
}
