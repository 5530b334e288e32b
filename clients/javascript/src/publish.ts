// SPDX-License-Identifier: Apache-2.0
import { isPassing, type TidingsError } from './error.js';
import type { Published, PublishOptions } from './types.js';
import { within } from './within.js';

export interface Outgoing extends Omit<PublishOptions, 'idempotencyKey' | 'signal'> {
    channel: string;
    data: unknown;
}

function base64Of(bytes: Uint8Array): string {
    let text = '';
    bytes.forEach((byte) => (text += String.fromCharCode(byte)));
    return btoa(text);
}

function wireOf({ data, ...rest }: Outgoing): object {
    if (data instanceof ArrayBuffer) {
        data = new Uint8Array(data);
    }
    if (ArrayBuffer.isView(data)) {
        const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
        const type = rest.type ?? 'application/octet-stream';
        return { ...rest, type, data_base64: base64Of(bytes) };
    }
    if (data === undefined || data instanceof Blob) {
        throw new TypeError('data must be JSON or bytes');
    }
    return { ...rest, data };
}

/** randomUUID() is only there on secure origins. */
function newKey(): string {
    return crypto.getRandomValues(new Uint32Array(4)).join('-');
}

/** A request whose body can be measured. */
export interface Question extends RequestInit {
    body?: string;
}

/** What publishing needs of the client. */
interface Courier {
    settings: { publishMs: number };
    json(path: string, init: Question): Promise<any>;
    jitter(tries: number): number;
}

/** All of them are stored, or none, and once however often it had to be tried. */
export async function publish(
    courier: Courier,
    messages: Outgoing[],
    { idempotencyKey = newKey(), signal }: Pick<PublishOptions, 'idempotencyKey' | 'signal'>,
): Promise<Published[]> {
    const untilMs = Date.now() + courier.settings.publishMs;
    const init = {
        method: 'POST',
        // Here, so that a key which no header can hold is the caller's error.
        headers: new Headers({
            'Content-Type': 'application/json',
            'Idempotency-Key': `"${idempotencyKey}"`,
        }),
        body: JSON.stringify(messages.map(wireOf)),
        signal,
    };
    for (let tries = 0; ; tries++) {
        try {
            return (await courier.json('publish', init)).results;
        } catch (error: any) {
            const { status, retryAfterMs } = error as TidingsError;
            if (signal?.aborted || !isPassing(status) || Date.now() + retryAfterMs > untilMs) {
                throw error;
            }
            const never = new Promise(() => {});
            await within(retryAfterMs + courier.jitter(tries), never, signal).catch(() => {});
        }
    }
}
