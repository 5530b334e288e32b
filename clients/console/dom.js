// SPDX-License-Identifier: Apache-2.0
// Making and changing elements. Whatever comes from the network ends in textContent, here.

const TYPING_PAUSE_MS = 300;

/** An element with properties and children; a child that is no node is text. */
export function make(name, properties = {}, ...children) {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
}

/** A fresh copy of <template id="…">'s only element. */
export function copyTemplate(id) {
    return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

/** The element with data-field="name" in `root`. */
export function field(root, name) {
    return root.querySelector(`[data-field="${name}"]`);
}

/** Changes text only where it differs: a selection and a screen reader are left in peace. */
export function setText(element, text) {
    const wanted = String(text);
    if (element.textContent !== wanted) {
        element.textContent = wanted;
    }
}

/** Several fields at once: {name: text}. */
export function setFields(root, texts) {
    for (const [name, text] of Object.entries(texts)) {
        setText(field(root, name), text);
    }
}

/** Makes the rows of a table body those of `items`. A row is kept by its key, and so are the focus
 *  and what is open in it; `makeRow(item)` builds a new one, `fillRow(row, item)` says what it
 *  shows. */
export function fillRows(body, items, keyOf, makeRow, fillRow) {
    const old = new Map([...body.children].map(row => [row.dataset.key, row]));
    const focused = document.activeElement;
    let place = body.firstElementChild;
    for (const item of items) {
        const key = String(keyOf(item));
        const row = old.get(key) ?? makeRow(item);
        old.delete(key);
        row.dataset.key = key;
        fillRow(row, item);
        if (row === place) {
            place = place.nextElementSibling;
        } else {
            body.insertBefore(row, place);
        }
    }
    old.forEach(row => row.remove());
    if (focused !== document.activeElement && body.contains(focused)) {
        focused.focus({ preventScroll: true }); // moving a row took it away
    }
}

function classOf({ isNumber, isWhole, isMinor, isLong }) {
    return [isNumber && 'number', isWhole && 'whole', isMinor && 'minor', isLong && 'long']
        .filter(Boolean).join(' ');
}

/** A row of cells, the first of which is its head; `isMinor` ones go first on a narrow screen.
 *  columns: [{name, text(item), href?(item), tone?(item), isNumber?, isWhole?, isMinor?,
 *  isLong?}], or with build(cell) and fill(cell, item) instead of text where a cell is more than
 *  text. */
export function makeCells(columns) {
    const row = make('tr');
    columns.forEach((column, index) => {
        const cell = make(index === 0 ? 'th' : 'td', { className: classOf(column) });
        if (index === 0) {
            cell.scope = 'row';
        }
        if (column.href !== undefined) {
            cell.append(make('a'));
        }
        column.build?.(cell);
        row.append(cell);
    });
    return row;
}

export function fillCells(row, columns, item) {
    columns.forEach((column, index) => {
        const cell = row.cells[index];
        if (column.fill !== undefined) {
            column.fill(cell, item);
            return;
        }
        if (column.href !== undefined) {
            cell.firstElementChild.href = column.href(item);
        }
        if (column.tone !== undefined) {
            cell.dataset.tone = column.tone(item);
        }
        setText(cell.firstElementChild ?? cell, column.text(item));
    });
}

/** A column of buttons: [{text(item), run(item), hidden?(item)}]. label(item, text) is what one is
 *  called for who hears it; attempt(run) is the page's way to do what may fail. */
export function buttonsColumn(name, buttons, label, attempt) {
    return {
        name,
        build(cell) {
            cell.classList.add('do');
            cell.classList.toggle('buttons-cell', buttons.length > 1);
            for (const { run } of buttons) {
                const button = make('button', { type: 'button' });
                button.addEventListener('click', () => attempt(() => run(cell.row)));
                cell.append(button, ' ');
            }
        },
        fill(cell, row) {
            cell.row = row;
            buttons.forEach(({ text, hidden }, index) => {
                const button = cell.children[index];
                setText(button, text(row));
                button.hidden = hidden?.(row) ?? false;
                button.setAttribute('aria-label', label(row, text(row)));
            });
        },
    };
}

/** Makes the rows of a whole table. */
export function fillTable(table, columns, items, keyOf) {
    if (table.tHead.rows.length === 0) {
        table.tHead.append(make('tr', {}, ...columns.map(column =>
            make('th', { scope: 'col', className: classOf(column) }, column.name))));
    }
    fillRows(table.tBodies[0], items, keyOf, () => makeCells(columns),
        (row, item) => fillCells(row, columns, item));
}

/** Terms and what they are now: [[term, text, tone?]]. */
export function fillTerms(list, terms) {
    fillRows(list, terms, ([term]) => term,
        ([term]) => make('div', {}, make('dt', {}, term), make('dd')),
        (row, [, text, tone]) => {
            setText(row.lastElementChild, text);
            row.lastElementChild.dataset.tone = tone ?? '';
        });
}

/** Calls `action` with what was typed, once the typing rests; a form's own sending is taken off. */
export function onTyped(input, action) {
    let timer;
    input.form.addEventListener('submit', event => event.preventDefault());
    input.addEventListener('input', () => {
        clearTimeout(timer);
        timer = setTimeout(() => action(input.value), TYPING_PAUSE_MS);
    });
}

/** Draws values from left to right, newest last; the scale begins at nought. */
export function drawSparkline(polyline, values, places) {
    const top = Math.max(...values, 0) || 1;
    const points = values.map((value, index) =>
        `${(index + places - values.length) / (places - 1) * 100},${19 - value / top * 18}`);
    polyline.setAttribute('points', points.length > 1 ? points.join(' ') : '');
}

/** Says something that a screen reader should hear too. */
export function announce(text) {
    setText(document.getElementById('announcement'), text);
}

let answer = () => {}; // the question that was asked last

/** Asks before something is done that cannot be taken back. Resolves with what was chosen. */
export function confirm(title, text, verb) {
    const dialog = document.getElementById('confirm');
    answer(false);
    setFields(dialog, { title, text, verb });
    dialog.returnValue = '';
    // The event comes late: the next question may be open by then, and is not closed by it.
    dialog.onclose = () => dialog.open || answer(dialog.returnValue === 'yes');
    dialog.showModal();
    return new Promise(resolve => { answer = resolve; });
}
