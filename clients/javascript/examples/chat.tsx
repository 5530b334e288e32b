// SPDX-License-Identifier: Apache-2.0
// A chat room in React. Bundle it with what your project has; of esbuild:
//
//     npx esbuild examples/chat.tsx --bundle --format=esm --jsx=automatic --outfile=chat.js
import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Tidings } from '@tidings/client';
import { TidingsProvider, useChannel, useTidings } from '@tidings/client/react';

const query = new URLSearchParams(location.search);
const client = new Tidings(query.get('broker') ?? 'http://localhost:8080');

function Room({ name }: { name: string }) {
    const { messages, state, gap, error } = useChannel<{ text: string }>(name, { since: '-20' });
    const channel = useTidings().channel(name);
    const [text, setText] = useState('');
    const send = async (event: React.FormEvent) => {
        event.preventDefault();
        await channel.publish({ text });
        setText('');
    };
    return (
        <main>
            <h1>{name}</h1>
            <p role="status">{error ? error.detail : state}</p>
            {gap && <p>Older messages are no longer kept.</p>}
            <ol>
                {messages.map((message) => (
                    <li key={message.id}>{message.data.text}</li>
                ))}
            </ol>
            <form onSubmit={send}>
                <input value={text} onChange={(event) => setText(event.target.value)} required />
                <button>Send</button>
            </form>
        </main>
    );
}

createRoot(document.getElementById('root')!).render(
    <StrictMode>
        <TidingsProvider client={client}>
            <Room name={query.get('channel') ?? 'chat/lobby'} />
        </TidingsProvider>
    </StrictMode>,
);
