// SPDX-License-Identifier: Apache-2.0
// Reads a channel and publishes to it:
//
//     npm run build && node examples/node.mjs http://localhost:8080 chat/lobby "Hello"
import { Tidings } from '@tidings/client';

const [url = 'http://localhost:8080', name = 'chat/lobby', text = 'Hello'] = process.argv.slice(2);
const client = new Tidings(url);
const channel = client.channel(name);

const loop = channel.messages({
    since: '-5', // the last five, then what comes
    onGap: (gap) => console.log(`(${gap.reason}: something is missing here)`),
});
const { offset } = await channel.publish({ text });
for await (const message of loop) {
    console.log(`${message.time}  #${message.offset}  ${message.data.text}`);
    if (message.offset === offset) {
        break; // a program that stays would go on
    }
}
client.close();
