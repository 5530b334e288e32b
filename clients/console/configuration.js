// SPDX-License-Identifier: Apache-2.0
// The configuration in force, as the broker tells it: lists of objects are tables, objects are
// terms, whatever their members are called.
import { readJson } from './broker.js';
import { field, make } from './dom.js';

export const title = 'Configuration';
export const pauseMs = 10000;
export const PATH = '/api/v1/configuration';
const ROWS_MAX = 1000;
const DEPTH_MAX = 6;

function isObject(value) {
    return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function draw(value, depth = 0) {
    if (depth < DEPTH_MAX && Array.isArray(value) && value.length > 0 && value.every(isObject)) {
        return drawTable(value, depth);
    }
    if (depth < DEPTH_MAX && isObject(value)) {
        return make('dl', {}, ...Object.entries(value).map(([name, member]) =>
            make('div', {}, make('dt', {}, name),
                make('dd', {}, draw(member, depth + 1)))));
    }
    const isNothing = value === null || (Array.isArray(value) && value.length === 0);
    return isNothing ? 'none' : typeof value === 'string' ? value : JSON.stringify(value);
}

function drawTable(rows, depth) {
    const names = [...new Set(rows.flatMap(Object.keys))];
    const head = make('tr', {}, ...names.map(name => make('th', { scope: 'col' }, name)));
    const body = rows.slice(0, ROWS_MAX).map(row => make('tr', {}, ...names.map(name =>
        make('td', {}, row[name] === undefined ? '' : draw(row[name], depth + 1)))));
    return make('div', { className: 'scroll' },
        make('table', {}, make('thead', {}, head), make('tbody', {}, ...body)));
}

export function show(view) {
    let drawn;
    return async signal => {
        const configuration = await readJson(PATH, { signal });
        const text = JSON.stringify(configuration);
        if (text !== drawn) {
            field(view, 'tree').replaceChildren(draw(configuration));
            drawn = text;
        }
    };
}
