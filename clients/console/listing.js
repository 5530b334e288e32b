// SPDX-License-Identifier: Apache-2.0
// A list of the administration, page by page. What is asked stands in the address.
import { pathOf, readJson } from './broker.js';
import { field } from './dom.js';

const ROWS = 100;

export class Listing {
    /** `name` is the resource's and its list's; `query` what is asked at first. */
    constructor(view, name, query, { keep, refresh }) {
        Object.assign(this, { view, name, query, keep, refresh });
        field(view, 'first').addEventListener('click', () => this.ask({}, true));
        field(view, 'next').addEventListener('click', () => this.ask(
            { after: this.next, after_tenant: this.nextTenant }, true));
    }

    /** Changes what is asked; without `after` it begins at the first page again. */
    ask(changes, isPage = false) {
        Object.assign(this.query, { after: '', after_tenant: '' }, changes);
        this.keep(this.query, isPage);
        this.refresh();
    }

    /** The rows of the page. */
    async read(signal) {
        const page = await readJson(
            pathOf(`/api/v1/${this.name}`, { ...this.query, limit: ROWS }), { signal });
        const rows = page[this.name];
        this.next = page.next;
        this.nextTenant = page.next_tenant ?? '';
        field(this.view, 'none').hidden = rows.length > 0;
        field(this.view, 'first').disabled = !this.query.after;
        field(this.view, 'next').disabled = page.next === null;
        return rows;
    }
}
