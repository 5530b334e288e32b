// SPDX-License-Identifier: Apache-2.0
// The configuration in force, as the broker tells it: objects are terms, and lists of objects are
// tables, or terms below a heading where a table has no room for so many members; whatever their
// members are called.
import { readJson } from './broker.js';
import { field, make } from './dom.js';

export const title = 'Configuration';
export const pauseMs = 10000;
export const PATH = '/api/v1/configuration';
const ROWS_MAX = 1000;
const DEPTH_MAX = 6;
const COLUMNS_MAX = 8;

function isObject(value) {
    return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNothing(value) {
    return value === null || (Array.isArray(value) && value.length === 0);
}

function draw(value, depth = 0, name = title) {
    if (depth < DEPTH_MAX && Array.isArray(value) && value.length > 0 && value.every(isObject)) {
        return drawRows(value.slice(0, ROWS_MAX), depth, name);
    }
    if (depth < DEPTH_MAX && isObject(value)) {
        return drawTerms(Object.entries(value), depth);
    }
    return isNothing(value) ? 'none' : typeof value === 'string' ? value : JSON.stringify(value);
}

function drawTerms(entries, depth) {
    return make('dl', {}, ...entries.map(([name, member]) =>
        make('div', {}, make('dt', {}, name), make('dd', {}, draw(member, depth + 1, name)))));
}

function drawRows(rows, depth, name) {
    const names = [...new Set(rows.flatMap(Object.keys))];
    return names.length > COLUMNS_MAX
        ? make('div', {}, ...rows.map(row => drawRow(row, depth)))
        : drawTable(name, names, rows, depth);
}

/* Its first member is what it is called; of the others, those that say something. */
function drawRow(row, depth) {
    const [[, called], ...others] = Object.entries(row);
    return make('div', { className: 'row' }, make('h3', {}, draw(called, depth + 1)),
        drawTerms(others.filter(([, member]) => !isNothing(member)), depth));
}

function drawTable(called, names, rows, depth) {
    const head = make('tr', {}, ...names.map(name => make('th', { scope: 'col' }, name)));
    const body = rows.map(row => make('tr', {}, ...names.map(name =>
        make('td', {}, row[name] === undefined ? '' : draw(row[name], depth + 1)))));
    const region = make('div', { className: 'scroll', tabIndex: 0, role: 'region' },
        make('table', {}, make('caption', { className: 'unseen' }, called),
            make('thead', {}, head), make('tbody', {}, ...body)));
    region.setAttribute('aria-labelledby', 'configuration-title');
    return region;
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
