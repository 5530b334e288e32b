// SPDX-License-Identifier: Apache-2.0
// Which channels there are: how deep, how busy, who reads them.
import { pathOf, readJson } from './broker.js';
import { field, fillTable, onTyped } from './dom.js';
import { ago, bytes, count, rate } from './format.js';

export const title = 'Channels';
const ROWS = 100;

const columns = [
    { name: 'Channel', text: row => row.channel,
        href: row => pathOf('#/channel', { name: row.channel }) },
    { name: 'Messages', isNumber: true, text: row => count(row.messages) },
    { name: 'A second', isNumber: true, text: row => rate(row.rate) },
    { name: 'Readers', isNumber: true, text: row => count(row.readers) },
    { name: 'Size', isNumber: true, text: row => bytes(row.bytes) },
    { name: 'Offsets', isNumber: true, isMinor: true,
        text: row => (row.messages === 0 ? 'none kept' : `${row.first} to ${row.last}`) },
    { name: 'Newest', isWhole: true, isMinor: true, text: row => ago(row.time_last) },
];

export function show(view, parameters, { keep, refresh }) {
    const filter = view.querySelector('form');
    const table = view.querySelector('table');
    const state = { match: '', ...parameters };
    let next = null;

    function change(changes, isPage) {
        Object.assign(state, { after: '' }, changes);
        keep(state, isPage);
        refresh();
    }

    filter.match.value = state.match;
    onTyped(filter.match, match => change({ match }));
    field(view, 'first').addEventListener('click', () => change({}, true));
    field(view, 'next').addEventListener('click', () => change({ after: next }, true));

    return async signal => {
        const page = await readJson(pathOf('/api/v1/channels', { ...state, limit: ROWS }),
            { signal });
        next = page.next;
        field(view, 'none').hidden = page.channels.length > 0;
        field(view, 'first').disabled = !state.after;
        field(view, 'next').disabled = next === null;
        fillTable(table, columns, page.channels, row => row.channel);
    };
}
