// SPDX-License-Identifier: Apache-2.0
// Debian's Chromium, driven through chromedriver's own HTTP (W3C WebDriver), and a page of another
// origin than the broker's that has the client.
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { spawnChild } from './child.mjs';
import { until } from './reader.mjs';

const FLAGS = [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--disable-dev-shm-usage',
];
const SCRIPT_MS = 60_000;
const here = pathToFileURL(`${import.meta.dirname}/`);
const built = new URL('../../../../clients/javascript/dist/', here);
const FILES = {
    '/tidings.js': new URL('bundle/tidings.js', built),
    '/reader.mjs': new URL('reader.mjs', here),
};
const PAGE = `<!DOCTYPE html><meta charset="utf-8"><title>The client</title><div id="root"></div>
<script type="module">
import * as tidings from '/tidings.js';
import * as reading from '/reader.mjs';
globalThis.test = { ...tidings, ...reading };
</script>`;

export class Browser {
    #driver;
    #session;
    #server;
    #folder;
    /** Files that a test adds: path -> text. */
    files = new Map();

    static async start(t) {
        const browser = new Browser();
        browser.#folder = await mkdtemp(join(tmpdir(), 'tidings-chromium-'));
        await browser.#serve();
        const stdio = ['ignore', 'pipe', 'ignore'];
        browser.#driver = spawnChild('/usr/bin/chromedriver', ['--port=0'], stdio);
        t.after(() => browser.#end());
        const lines = createInterface(browser.#driver.stdout);
        for await (const line of lines) {
            const found = /started successfully on port (\d+)/.exec(line);
            if (found) {
                browser.#session = `http://127.0.0.1:${found[1]}/session`;
                break;
            }
        }
        browser.#driver.stdout.resume();
        const args = [...FLAGS, `--user-data-dir=${browser.#folder}`];
        const { sessionId } = await browser.#ask('', {
            capabilities: { alwaysMatch: {
                'goog:chromeOptions': { binary: '/usr/bin/chromium', args },
                timeouts: { script: SCRIPT_MS },
            } },
        });
        browser.#session += `/${sessionId}`;
        return browser;
    }

    get origin() {
        return `http://127.0.0.1:${this.#server.address().port}`;
    }

    async #serve() {
        this.#server = createServer(async (request, answer) => {
            const { pathname } = new URL(request.url, 'http://page');
            const file = FILES[pathname];
            const text = file ? await readFile(file) : this.files.get(pathname) ?? PAGE;
            const isScript = /\.m?js$/.test(pathname);
            answer.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html');
            answer.end(text);
        });
        this.#server.listen(0, '127.0.0.1');
        await once(this.#server, 'listening');
    }

    async #end() {
        if (this.#session) {
            await fetch(this.#session, { method: 'DELETE' });
        }
        this.#driver.kill();
        await once(this.#driver, 'exit');
        this.#server.close();
        this.#server.closeAllConnections();
        await rm(this.#folder, { recursive: true, force: true, maxRetries: 20 });
    }

    async #ask(path, body) {
        const init = { method: 'POST', body: JSON.stringify(body) };
        const { value } = await (await fetch(this.#session + path, init)).json();
        if (value?.error) {
            throw new Error(`${value.error}: ${value.message}`);
        }
        return value;
    }

    async open(path) {
        await this.#ask('/url', { url: this.origin + path });
    }

    /** The page that has the client and its readers in `test`. */
    async openClient() {
        await this.open('/');
        await until(() => this.run(() => globalThis.test !== undefined));
    }

    /** Runs a function in the page, which knows nothing of what is around it here. */
    async run(work, ...given) {
        const script = `const done = arguments[arguments.length - 1];
            const told = (error) => done({ error: String(error?.stack ?? error) });
            (async () => (${work})(...arguments[0]))().then((value) => done({ value }), told);`;
        const { error, value } = await this.#ask('/execute/async', { script, args: [given] });
        if (error) {
            throw new Error(error);
        }
        return value;
    }

    cdp(cmd, params = {}) {
        return this.#ask('/goog/cdp/execute', { cmd, params });
    }
}
