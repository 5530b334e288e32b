// SPDX-License-Identifier: Apache-2.0
// What npm would publish: how large it is, what it contains, and that its examples run.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { Broker } from './harness/broker.mjs';
import { Browser } from './harness/browser.mjs';
import { freshChannel } from './harness/client.mjs';
import { Proxy } from './harness/proxy.mjs';
import { until } from './harness/reader.mjs';

const BYTES_MAX = 6000; // gzipped, all that a page loads
const home = new URL('../../../clients/javascript/', import.meta.url);
const pathOf = (name) => fileURLToPath(new URL(name, home));
const run = promisify(execFile);

let browser;
let broker;
before(async (t) => {
    browser = await Browser.start(t);
    broker = await Broker.start(t, { config: `public: { origins: ["${browser.origin}"] }\n` });
});

test('a page loads less than 6 KB', async () => {
    const bundle = await readFile(pathOf('dist/bundle/tidings.js'));
    const size = gzipSync(bundle, { level: 9 }).length;
    assert.ok(size < BYTES_MAX, `${size} bytes`);
    assert.ok(!bundle.includes('node:'), 'what is for Node is not in it');
});

test('the broker serves the same client, built without npm', async () => {
    const served = await (await fetch(`${broker.url}/demo/tidings.js`)).text();
    const module = await import(`data:text/javascript,${encodeURIComponent(served)}`);
    const client = new module.Tidings(broker.url);
    const { offset } = await client.channel(freshChannel()).publish('by what it serves');
    assert.equal(offset, 1);
    const own = await import(new URL('dist/bundle/tidings.js', home));
    assert.deepEqual(Object.keys(module), Object.keys(own));
    assert.ok(gzipSync(served, { level: 9 }).length < BYTES_MAX);
});

test('the package has its modules and types, and depends on nothing', async () => {
    const own = JSON.parse(await readFile(pathOf('package.json')));
    assert.equal(own.dependencies, undefined);
    const words = ['pack', '--dry-run', '--json', '--ignore-scripts'];
    const { stdout } = await run('npm', words, { cwd: pathOf('.') });
    const names = JSON.parse(stdout)[0].files.map((file) => file.path);
    const entries = Object.values(own.exports).flatMap((entry) =>
        typeof entry === 'string' ? [entry] : Object.values(entry.node ?? entry).concat(
            typeof entry.default === 'string' ? entry.default : Object.values(entry.default)));
    for (const entry of entries) {
        assert.ok(names.includes(entry.replace('./', '')), entry);
    }
    assert.ok(names.every((name) => /^(dist\/|README\.md|LICENSE|package\.json)/.test(name)));
});

test('the example for Node publishes and reads', async () => {
    const name = freshChannel();
    const words = [pathOf('examples/node.mjs'), broker.url, name, 'Good evening'];
    const { stdout } = await run(process.execPath, words, { timeout: 120_000 });
    assert.match(stdout, /#1 {2}Good evening\n$/);
});

test('the example of a page shows a score as it comes', async () => {
    const name = freshChannel();
    const page = await readFile(pathOf('examples/score.html'), 'utf8');
    browser.files.set('/score.html', page);
    await browser.open(`/score.html?broker=${broker.url}&channel=${name}`);
    const score = {
        players: ['N. Djokovic', 'R. Nadal'], sets: [[5, 7]], games: [1, 0], points: ['40', '15'],
    };
    await broker.publish(name, score);
    const shown = () => browser.run(() => document.querySelector('#score').textContent);
    await until(async () => (await shown()).includes('5–7  1–0  40:15'));
});

/** What is in React, as a script of the browser's pages. */
async function serveBundle(path, entry) {
    const { build } = await import(new URL('node_modules/esbuild/lib/main.js', home));
    const { outputFiles } = await build({
        ...entry, bundle: true, format: 'esm', write: false, jsx: 'automatic',
        define: { 'process.env.NODE_ENV': '"development"' },
    });
    browser.files.set(path, outputFiles[0].text);
}

test('the example in React shows each message once, also in strict mode', async (t) => {
    await serveBundle('/chat.js', { entryPoints: [pathOf('examples/chat.tsx')] });
    const proxy = await Proxy.start(t, broker);
    const name = freshChannel();
    const path = `?broker=${proxy.url}&channel=${name}`;
    browser.files.set('/chat.html',
        '<!DOCTYPE html><div id="root"></div><script type="module" src="/chat.js"></script>');
    await browser.open(`/chat.html${path}`);
    const lines = () => browser.run(() =>
        [...document.querySelectorAll('li')].map((line) => line.textContent));
    const say = (text) => broker.publish(name, { text });
    await until(() => browser.run(() => document.querySelector('[role]')?.textContent === 'live'));
    await say('one');
    await until(async () => (await lines()).length > 0);
    assert.equal(proxy.counts.upgrades, 1); // strict mode mounts twice, and that is one connection
    proxy.cut();
    await say('two');
    await browser.run(async () => {
        const input = document.querySelector('input');
        const value = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value');
        value.set.call(input, 'three'); // past React's own setter, as a keyboard does
        input.dispatchEvent(new Event('input', { bubbles: true }));
        await new Promise((done) => setTimeout(done));
        document.querySelector('button').click();
    });
    await until(async () => (await lines()).length >= 3);
    assert.deepEqual(await lines(), ['one', 'two', 'three']);
});

const PAGE_OF_TWO = `
    import { createRoot } from 'react-dom/client';
    import { Tidings } from '@tidings/client';
    import { TidingsProvider, useChannel } from '@tidings/client/react';
    const query = new URLSearchParams(location.search);
    const client = new Tidings(query.get('broker'));
    const root = createRoot(document.getElementById('root'));
    window.drawn = [];
    window.told = 0;
    addEventListener('error', (event) => event.preventDefault());
    function Room({ name, keep }) {
        const { messages, last } = useChannel(name, { since: 'earliest', keep, onMessage() {
            window.told += 1;
            throw new Error('mine');
        } });
        window.drawn.push([name, last?.channel, messages.length]);
    }
    window.show = (name, keep) => root.render(
        <TidingsProvider client={client}><Room name={name} keep={keep} /></TidingsProvider>);
    window.show(query.get('channel'));
`;

test('React draws no message of the channel before, and each whatever onMessage does', async () => {
    const contents = PAGE_OF_TWO;
    await serveBundle('/two.js', {
        stdin: { contents, resolveDir: pathOf('examples'), loader: 'jsx' },
    });
    browser.files.set('/two.html',
        '<!DOCTYPE html><div id="root"></div><script type="module" src="/two.js"></script>');
    const [first, second] = [freshChannel(), freshChannel()];
    await broker.publish(first, 1, 2, 3);
    await broker.publish(second, 4);
    await browser.open(`/two.html?broker=${broker.url}&channel=${first}`);
    const drawn = () => browser.run(() => window.drawn ?? []);
    await until(async () => (await drawn()).at(-1)?.[2] === 3);
    await browser.run((name) => window.show(name, 0), second);
    await until(async () => (await drawn()).at(-1)[1] === second);
    assert.equal(await browser.run(() => window.told), 4);
    for (const [name, channel, count] of await drawn()) {
        assert.equal(channel ?? name, name);
        assert.ok(name === first || count === 0, `${count} of ${name}`);
    }
});
