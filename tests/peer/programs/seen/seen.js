// As seen.go, with node.
'use strict';
const http = require('http');
const table = new Int32Array(256).map((_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});
const crc32 = (data) => {
  let c = -1;
  for (const b of data) c = table[(c ^ b) & 255] ^ (c >>> 8);
  return (c ^ -1) >>> 0;
};
const server = http.createServer((request, response) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    const body = Buffer.concat(pieces);
    const hex = (text) => Buffer.from(text, 'latin1').toString('hex');
    const raw = request.rawHeaders;
    const at = raw.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'x-id');
    const id = hex(at < 0 ? '' : raw[at + 1]);
    const line = [request.socket.remotePort, request.method, hex(request.url), id, body.length, crc32(body)];
    process.stdout.write(line.join('\t') + '\n');
    response.setHeader('x-seen', id);
    response.end('seen');
  });
});
server.on('connect', (request, socket) => socket.destroy());
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
