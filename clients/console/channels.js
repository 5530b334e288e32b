// SPDX-License-Identifier: Apache-2.0
// Which channels there are: how deep, how busy, who reads them.
import { pathOf } from './broker.js';
import { fillTable, onTyped } from './dom.js';
import { ago, bytes, count, rate } from './format.js';
import { Listing } from './listing.js';

export const title = 'Channels';

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

export function show(view, parameters, context) {
    const { match } = view.querySelector('form');
    const listing = new Listing(view, 'channels', { match: '', ...parameters }, context);
    match.value = listing.query.match;
    onTyped(match, value => listing.ask({ match: value }));
    return async signal => fillTable(view.querySelector('table'), columns,
        await listing.read(signal), row => row.channel);
}
