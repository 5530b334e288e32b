// SPDX-License-Identifier: Apache-2.0
// A WebSocket client (RFC 6455) on Node's own http: Node 20 has none. Text only, no extensions; it
// can send headers, which the WebSocket of browsers (and of later Nodes) cannot.
import { createHash, randomBytes } from 'node:crypto';
import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Duplex } from 'node:stream';
import type { WebSocketLike } from './types.js';

const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const MAGIC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const MESSAGE_BYTES_MAX = 2 ** 27; // 16 MiB of text may be six times as long in JSON
const CONTROL_BYTES_MAX = 125;
const CLOSE_MS = 2000; // how long the other side may take to answer a close

interface CloseEvent {
    code: number;
    reason: string;
    /** Of an upgrade that was refused. */
    status?: number;
}

/** A client's frame: masked, as it must be. */
function frameOf(opcode: number, payload: Buffer): Buffer {
    const { length } = payload;
    const size = length < 126 ? 0 : length < 65536 ? 2 : 8;
    const frame = Buffer.alloc(2 + size + 4 + length);
    frame[0] = 0x80 | opcode;
    frame[1] = 0x80 | (size === 0 ? length : size === 2 ? 126 : 127);
    if (size === 2) {
        frame.writeUInt16BE(length, 2);
    } else if (size === 8) {
        frame.writeBigUInt64BE(BigInt(length), 2);
    }
    const mask = randomBytes(4);
    mask.copy(frame, 2 + size);
    for (let at = 0; at < length; at++) {
        frame[6 + size + at] = payload[at] ^ mask[at & 3];
    }
    return frame;
}

class Violation extends Error {
    constructor(
        readonly code: number,
        text: string,
    ) {
        super(text);
    }
}

export class NodeWebSocket implements WebSocketLike {
    static readonly sendsHeaders = true;
    onopen: ((event: object) => void) | null = null;
    onmessage: ((event: { data: string }) => void) | null = null;
    onclose: ((event: CloseEvent) => void) | null = null;
    onerror: ((event: Error) => void) | null = null;
    #request;
    #socket?: Duplex;
    #chunks: Buffer[] = []; // what came and is no whole frame yet
    #bytes = 0; // in #chunks
    #needed = 2; // bytes before looking again makes sense
    #parts: Buffer[] = []; // of a fragmented message
    #partBytes = 0;
    #isOver = false;

    constructor(
        url: string,
        protocols: string[] = [],
        { headers = {} }: { headers?: Record<string, string> } = {},
    ) {
        const key = randomBytes(16).toString('base64');
        const target = new URL(url.replace(/^ws/, 'http'));
        const request = target.protocol === 'https:' ? requestHttps : requestHttp;
        this.#request = request(target, {
            agent: false,
            headers: {
                ...headers,
                Connection: 'Upgrade',
                Upgrade: 'websocket',
                'Sec-WebSocket-Key': key,
                'Sec-WebSocket-Version': '13',
                ...(protocols.length && { 'Sec-WebSocket-Protocol': protocols.join(', ') }),
            },
        });
        this.#request.on('upgrade', (answer, socket, head) =>
            this.#upgraded(key, answer, socket, head));
        this.#request.on('response', (answer) => {
            answer.destroy();
            const { statusCode: status } = answer;
            this.#end(1006, `the upgrade was answered with ${status}`, status);
        });
        this.#request.on('error', (error) => this.#end(1006, error.message));
        this.#request.end();
    }

    send(text: string): void {
        this.#socket?.write(frameOf(TEXT, Buffer.from(text)));
    }

    close(code = 1000): void {
        if (this.#isOver) {
            return;
        }
        if (!this.#socket) {
            this.#end(1006, 'closed before it opened');
            return;
        }
        this.#say(code);
        this.#isOver = true;
        // Unreferenced: a process that has nothing else to do need not wait for the answer.
        setTimeout(() => this.#socket!.destroy(), CLOSE_MS).unref();
    }

    #say(code: number): void {
        const payload = Buffer.alloc(2);
        payload.writeUInt16BE(code);
        this.#socket!.end(frameOf(CLOSE, payload));
    }

    #upgraded(key: string, answer: IncomingMessage, socket: Duplex, head: Buffer): void {
        const proof = createHash('sha1').update(key + MAGIC).digest('base64');
        if (this.#isOver || answer.headers['sec-websocket-accept'] !== proof) {
            socket.destroy();
            this.#end(1006, 'the upgrade was answered wrongly');
            return;
        }
        this.#socket = socket;
        socket.on('data', (chunk) => this.#take(chunk));
        socket.on('error', (error) => this.#end(1006, error.message));
        socket.on('close', () => this.#end(1006, 'the connection was lost'));
        this.onopen?.({});
        this.#take(head);
    }

    #end(code: number, reason: string, status?: number): void {
        if (this.#isOver) {
            return;
        }
        this.#isOver = true;
        this.#request.destroy();
        this.#socket?.destroy();
        this.onclose?.({ code, reason, status });
    }

    #take(chunk: Buffer): void {
        if (this.#isOver) {
            return;
        }
        this.#chunks.push(chunk);
        this.#bytes += chunk.length;
        try {
            while (!this.#isOver && this.#bytes >= this.#needed && this.#takeFrame());
        } catch (error) {
            if (!(error instanceof Violation)) {
                throw error;
            }
            this.#say(error.code);
            this.#end(error.code, error.message);
        }
    }

    /** One frame off the front; false where it is not all there yet. */
    #takeFrame(): boolean {
        const bytes = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
        this.#chunks = [bytes];
        const short = bytes[1] & 0x7f;
        if (bytes[0] & 0x70 || bytes[1] & 0x80) {
            throw new Violation(1002, 'a frame that no server may send');
        }
        const size = short < 126 ? 0 : short === 126 ? 2 : 8;
        if (bytes.length < 2 + size) {
            this.#needed = 2 + size;
            return false;
        }
        const length =
            size === 0 ? short
            : size === 2 ? bytes.readUInt16BE(2)
            : Number(bytes.readBigUInt64BE(2));
        if (length + this.#partBytes > MESSAGE_BYTES_MAX) {
            throw new Violation(1009, 'the message is too large');
        }
        const end = 2 + size + length;
        this.#needed = end;
        if (bytes.length < end) {
            return false;
        }
        const rest = bytes.subarray(end);
        this.#chunks = rest.length ? [rest] : [];
        this.#bytes = rest.length;
        this.#needed = 2;
        this.#onFrame(bytes[0] & 0x0f, (bytes[0] & 0x80) !== 0, bytes.subarray(2 + size, end));
        return true;
    }

    #onFrame(opcode: number, isLast: boolean, payload: Buffer): void {
        if (opcode >= CLOSE) {
            if (!isLast || payload.length > CONTROL_BYTES_MAX) {
                throw new Violation(1002, 'a control frame that is too long');
            }
            this.#onControl(opcode, payload);
            return;
        }
        const isFirst = this.#parts.length === 0;
        if (opcode > TEXT || isFirst !== (opcode === TEXT)) {
            throw new Violation(opcode === 2 ? 1003 : 1002, 'a frame that does not belong here');
        }
        this.#parts.push(payload);
        this.#partBytes += payload.length;
        if (isLast) {
            const whole = isFirst ? payload : Buffer.concat(this.#parts);
            this.#parts = [];
            this.#partBytes = 0;
            this.onmessage?.({ data: textOf(whole) });
        }
    }

    #onControl(opcode: number, payload: Buffer): void {
        if (opcode === PING) {
            this.#socket!.write(frameOf(PONG, payload));
        } else if (opcode === CLOSE) {
            const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
            this.#say(code === 1005 ? 1000 : code);
            this.#end(code, payload.subarray(2).toString());
        } else if (opcode !== PONG) {
            throw new Violation(1002, 'an opcode that does not exist');
        }
    }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: Buffer): string {
    try {
        return decoder.decode(bytes);
    } catch {
        throw new Violation(1007, 'text that is not UTF-8');
    }
}
