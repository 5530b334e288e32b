// SPDX-License-Identifier: Apache-2.0
// Who is connected, who is behind and why, and the end of one.
import { call } from './broker.js';
import { announce, buttonsColumn, confirm, fillRows, fillTable, make, onTyped,
    setText } from './dom.js';
import { ago, bytes, count, owned, plural } from './format.js';
import { Listing } from './listing.js';

export const title = 'Connections';
const READERS_SHOWN_MAX = 100;
const STILL_MS = 30000; // a slow peer makes room in lumps: less says nothing

/** The sum over the readers of one figure; undefined where one of them is not known yet. */
function sumOf(row, name) {
    const isKnown = row.readers.length > 0 && row.readers.every(reader => reader[name] !== null);
    return !isKnown ? undefined
        : row.readers.reduce((sum, reader) => sum + reader[name], 0);
}

function distinct(row, valuesOf) {
    return [...new Set(row.readers.flatMap(valuesOf))];
}

/** What the peer took: what was sent, less what still waits in the socket. */
const takenOf = row => row.bytes_sent - row.bytes_unsent;

/** Why a connection is where it is: {word, tone}. Of a full socket the sight of it tells whether
 *  the peer takes nothing, or only too little. */
function diagnose(row, sight, nowMs) {
    if (row.blocked && row.readers.length > 0) {
        return sight.hasMoved ? { word: 'too slow', tone: 'wait' }
            : nowMs - sight.movedMs >= STILL_MS ? { word: 'takes nothing', tone: 'bad' }
                : { word: 'socket full', tone: 'wait' };
    }
    if (row.unacknowledged_ms >= STILL_MS) { // of a member of shared subscriptions too
        return { word: 'not acknowledged', tone: 'bad' };
    }
    if (row.window_full) {
        return { word: 'window full', tone: 'wait' };
    }
    if (row.readers.length === 0) {
        return { word: 'no reader', tone: '' };
    }
    return row.readers.every(reader => reader.live)
        ? { word: 'keeps up', tone: 'good' } : { word: 'reads history', tone: 'wait' };
}

/** What was seen of connections at the refreshes before: what each took, when that last moved, and
 *  whether it did within STILL_MS. */
export class Sightings {
    sights = new Map();

    /** Adds `why` to each row. */
    judge(rows, nowMs = performance.now()) {
        const sights = new Map();
        for (const row of rows) {
            const before = this.sights.get(row.id);
            const taken = takenOf(row);
            const isMoving = before !== undefined && taken > before.taken;
            const movedMs = before === undefined || isMoving ? nowMs : before.movedMs;
            const hasMoved = isMoving ||
                (before?.hasMoved === true && nowMs - movedMs < STILL_MS);
            sights.set(row.id, { taken, movedMs, hasMoved });
            row.why = diagnose(row, sights.get(row.id), nowMs);
        }
        this.sights = sights;
        return rows;
    }
}

export const lagColumns = [
    { name: 'Peer', isWhole: true, text: row => row.peer },
    { name: 'State', text: row => row.why.word, tone: row => row.why.tone },
    { name: 'Behind', isNumber: true, text: row => count(sumOf(row, 'lag_messages')) },
    { name: 'Bytes behind', isNumber: true, text: row => bytes(sumOf(row, 'lag_bytes')) },
];

function selectorsOf(row) {
    const all = distinct(row, reader => reader.channels);
    return all.length < 3 ? all.join(', ') : `${all[0]} and ${count(all.length - 1)} more`;
}

function describeReader(reader) {
    const lag = reader.lag_messages === null ? 'start looked up'
        : `${plural(reader.lag_messages, 'message')} behind`;
    return [`${reader.channels.join(', ')}: ${lag}`, reader.on_lag,
        reader.live ? 'live' : 'reads the log', `stands at ${reader.id ?? '?'}`,
        `skipped ${count(reader.skipped)}`].join(' · ');
}

function buildReads(cell) {
    const details = make('details', {}, make('summary'), make('ul'));
    details.addEventListener('toggle', () => fillReads(cell, cell.row));
    cell.append(details);
}

/** What a connection reads: its selectors, and one line a reader when it is opened. */
function fillReads(cell, row) {
    const details = cell.firstElementChild;
    const [summary, list] = details.children;
    cell.row = row;
    details.hidden = row.readers.length === 0;
    const readers = row.readers.length + (row.readers_left_out ?? 0);
    setText(summary, readers < 2 ? selectorsOf(row)
        : `${selectorsOf(row)} (${plural(readers, 'reader')})`);
    if (details.open) {
        fillRows(list, row.readers.slice(0, READERS_SHOWN_MAX), reader => reader.sub ?? '',
            () => make('li'), (item, reader) => setText(item, describeReader(reader)));
    }
}

async function end(row, refresh) {
    const isMeant = await confirm(`End the connection of ${row.peer}?`,
        'A WebSocket is closed with 1001, an event stream gets a close event. Its program may ' +
        'come back and resume where it stood; what is no longer kept by then is told as a gap.',
        'End it');
    if (isMeant) {
        await call('DELETE', `/api/v1/connections/${row.id}`);
        announce(`The connection of ${row.peer} was ended.`);
        refresh();
    }
}

export const clientColumn = {
    name: 'Client', text: row => owned(row, row.client_id ?? row.identity ?? '–'),
};
export const readsColumn = { name: 'Reads', build: buildReads, fill: fillReads };

function columnsOf(attempt, refresh) {
    return [
        ...lagColumns,
        readsColumn,
        { name: 'Protocol', text: row => row.protocol },
        { name: 'Unsent', isNumber: true, text: row => bytes(row.bytes_unsent) },
        { name: 'On lag',
            text: row => distinct(row, reader => [reader.on_lag]).join(', ') },
        clientColumn,
        { name: 'Unacknowledged', isNumber: true, isMinor: true,
            text: row => count(row.unacknowledged) },
        { name: 'Skipped', isNumber: true, isMinor: true,
            text: row => count(sumOf(row, 'skipped')) },
        { name: 'Sent', isNumber: true, isMinor: true, text: row => bytes(row.bytes_sent) },
        { name: 'Opened', isWhole: true, isMinor: true, text: row => ago(row.opened) },
        buttonsColumn('End', [{ text: () => 'End…', run: row => end(row, refresh) }],
            row => `End the connection of ${row.peer}`, attempt),
    ];
}

export function show(view, parameters, context) {
    const { sort, channel } = view.querySelector('form');
    const listing = new Listing(view, 'connections', { sort: 'lag', channel: '', ...parameters },
        context);
    const columns = columnsOf(context.attempt, context.refresh);
    const sightings = new Sightings();
    sort.value = listing.query.sort;
    sort.addEventListener('change', () => listing.ask({ sort: sort.value }));
    channel.value = listing.query.channel;
    onTyped(channel, value => listing.ask({ channel: value }));
    return async signal => fillTable(view.querySelector('table'), columns,
        sightings.judge(await listing.read(signal)), row => row.id);
}
