// SPDX-License-Identifier: Apache-2.0
// Which channels there are: how deep, how busy, who reads them.
import { pathOf } from './broker.js';
import { fillTable, onTyped } from './dom.js';
import { ago, bytes, count, owned, rate } from './format.js';
import { Listing } from './listing.js';

export const title = 'Channels';

/** One of a tenant has no view here: its row leads to what the administration says of it. */
function pageOf({ channel, tenant }) {
    return tenant === undefined ? pathOf('#/channel', { name: channel })
        : pathOf(`/api/v1/channels/${encodeURIComponent(channel)}`, { tenant });
}

const columns = [
    { name: 'Channel', text: row => owned(row, row.channel), href: pageOf },
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
        await listing.read(signal), row => owned(row, row.channel));
}
