// SPDX-License-Identifier: Apache-2.0
// MQTT sessions: who has one, what is kept for whom and how long, and the end of one.
import { call } from './broker.js';
import { announce, buttonsColumn, confirm, fillTable } from './dom.js';
import { NOTHING, ago, bytes, duration, owned } from './format.js';
import { Listing } from './listing.js';

export const title = 'Sessions';
export const PATH = '/api/v1/sessions';

/** When a session ends that nobody comes back for: "in 3 d 4 h", "never". */
export function ending(row, nowMs = Date.now()) {
    if (row.connected) {
        return NOTHING;
    }
    return row.expires === null ? 'never'
        : `in ${duration((Date.parse(row.expires) - nowMs) / 1000)}`;
}

async function end(row, refresh) {
    const isMeant = await confirm(`End the session of ${owned(row, row.client_id)}?`,
        'What is kept for it goes, and a will that waits is published. A client that is ' +
        'connected is told to go; it may come back, with a new session.',
        'End it');
    if (isMeant) {
        const whose = row.tenant === undefined ? '' : `?tenant=${encodeURIComponent(row.tenant)}`;
        await call('DELETE', `${PATH}/${encodeURIComponent(row.client_id)}${whose}`);
        announce(`The session of ${owned(row, row.client_id)} was ended.`);
        refresh();
    }
}

function columnsOf(attempt, refresh) {
    return [
        { name: 'Client', isWhole: true, text: row => owned(row, row.client_id) },
        { name: 'State', text: row => (row.connected ? 'connected' : 'away'),
            tone: row => (row.connected ? 'good' : '') },
        { name: 'Away since', isWhole: true, text: row => ago(row.away_since) },
        { name: 'Ends', isWhole: true, text: row => ending(row) },
        { name: 'Kept', isNumber: true, text: row => bytes(row.state_bytes) },
        { name: 'Will', isMinor: true, text: row => (row.will ? 'waits' : NOTHING) },
        buttonsColumn('End', [{ text: () => 'End…', run: row => end(row, refresh) }],
            row => `End the session of ${owned(row, row.client_id)}`, attempt),
    ];
}

export function show(view, parameters, context) {
    const listing = new Listing(view, 'sessions', { ...parameters }, context);
    const columns = columnsOf(context.attempt, context.refresh);
    return async signal => fillTable(view.querySelector('table'), columns,
        await listing.read(signal), row => owned(row, row.client_id));
}
