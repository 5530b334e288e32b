// SPDX-License-Identifier: Apache-2.0
// Processes that end with the test that started them, also where its time is over and it is ended.
import { spawn } from 'node:child_process';

const children = new Set();
process.once('SIGTERM', () => process.exit(143));
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));

export function spawnChild(program, words, stdio) {
    const child = spawn(program, words, { stdio });
    children.add(child);
    child.on('exit', () => children.delete(child));
    return child;
}
