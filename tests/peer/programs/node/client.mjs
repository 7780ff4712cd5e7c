// undici: node's own fetch, and the package for HTTP/2. argv[2]: JSON list of cells; prints a JSON line for each.
import crypto from 'node:crypto';
import { Agent, fetch as packageFetch } from 'undici';

const MANY = 30;
const BIG = 1 << 20;
const body = crypto.randomBytes(BIG);

function must(good, what) {
    if (!good) {
        throw new Error(what);
    }
}

function* pieces() {
    for (let at = 0; at < BIG; at += 10000) {
        yield body.subarray(at, Math.min(at + 10000, BIG));
    }
}

async function upload(fetch, cell, options, sent) {
    let answer = await fetch(cell.url + cell.path, { ...options, method: cell.store ? 'PUT' : 'POST', body: sent, duplex: 'half' });
    must(answer.ok, `status ${answer.status}`);
    if (cell.store) {
        await answer.arrayBuffer();
        answer = await fetch(cell.url + cell.path, options);
    }
    must(body.equals(Buffer.from(await answer.arrayBuffer())), 'another body came back');
}

async function hello(fetch, cell, options) {
    const answer = await fetch(cell.url + '/hello', options);
    must(await answer.text() === 'hello', `status ${answer.status}`);
}

async function run(cell) {
    // TLS and HTTP/2 need an Agent; the rest is the fetch that node has.
    const special = cell.version === 2 || cell.url.startsWith('https');
    const dispatcher = special ? new Agent({ allowH2: cell.version === 2, useH2c: cell.version === 2, connect: { rejectUnauthorized: false }, connections: 1 }) : undefined;
    const options = dispatcher ? { dispatcher } : {};
    const fetch = dispatcher ? packageFetch : globalThis.fetch;
    const steps = {
        get: () => hello(fetch, cell, options),
        big: () => upload(fetch, cell, options, body),
        stream: () => upload(fetch, cell, options, ReadableStream.from(pieces())),
        many: async () => {
            for (let i = 0; i < MANY; i++) {
                await hello(fetch, cell, options);
            }
        },
    };
    const told = { name: cell.name };
    for (const [name, step] of Object.entries(steps)) {
        try {
            await step();
            told[name] = 'ok';
        } catch (error) {
            told[name] = `${error} ${error.cause ?? ''}`;
        }
    }
    await dispatcher?.close();
    console.log(JSON.stringify(told));
}

for (const cell of JSON.parse(process.argv[2])) {
    await run(cell);
}
