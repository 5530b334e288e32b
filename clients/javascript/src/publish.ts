// SPDX-License-Identifier: Apache-2.0
import type { TidingsError } from './error.js';
import type { Published, PublishOptions } from './types.js';

export interface Outgoing extends Omit<PublishOptions, 'idempotencyKey' | 'signal'> {
    channel: string;
    data: unknown;
}

// Statuses after which the same request may be answered otherwise in a moment.
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504, 507]);
const BYTES_A_CALL = 0x8000; // as many arguments as every engine takes

function base64Of(bytes: Uint8Array): string {
    let text = '';
    for (let at = 0; at < bytes.length; at += BYTES_A_CALL) {
        text += String.fromCharCode(...bytes.subarray(at, at + BYTES_A_CALL));
    }
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
    if (data === undefined) {
        throw new TypeError('a message needs data; null is one');
    }
    return { ...rest, data };
}

/** randomUUID() is only there on secure origins. */
function newKey(): string {
    const numbers = crypto.getRandomValues(new Uint32Array(4));
    return [...numbers].map((number) => number.toString(36)).join('-');
}

/** What publishing needs of the client. */
interface Courier {
    settings: { publishMs: number };
    json(path: string, init: RequestInit): Promise<any>;
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
        headers: { 'Content-Type': 'application/json', 'Idempotency-Key': `"${idempotencyKey}"` },
        body: JSON.stringify(messages.map(wireOf)),
        signal,
    };
    for (let tries = 0; ; tries++) {
        try {
            return (await courier.json('publish', init)).results;
        } catch (error: any) {
            const { status, retryAfterMs } = error as TidingsError;
            const isPassing = !status || PASSING.has(status);
            if (signal?.aborted || !isPassing || Date.now() + retryAfterMs > untilMs) {
                throw error;
            }
            await new Promise<void>((resolve) => {
                setTimeout(resolve, retryAfterMs + courier.jitter(tries));
                signal?.addEventListener('abort', () => resolve(), { once: true });
            });
        }
    }
}
