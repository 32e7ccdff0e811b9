// A DFX server on ws, which takes permessage-deflate: answers each request with its own body. Prints its URL, then a JSON
// object for each connection: the extensions agreed on, and how many requests it answered.

import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: { threshold: 0 } });
server.on('listening', () => console.log(`ws://127.0.0.1:${server.address().port}`));
server.on('connection', (socket) => {
    let requests = 0;
    socket.on('message', (request) => {
        requests += 1;
        socket.send(Buffer.concat([request.subarray(4, 14), Buffer.from('200'), request.subarray(14)]));
    });
    socket.on('close', () => console.log(JSON.stringify({ extensions: socket.extensions.split(';', 1), requests })));
});
