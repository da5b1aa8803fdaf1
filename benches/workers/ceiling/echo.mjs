// The least that a worker in Node.js can be: it parses each frame and answers what it holds at once. docs/worker-protocol.md has the frames.
import { Socket } from 'node:net';

const app = new Socket({ fd: Number(process.env.LESS_WORKER_FD), readable: true, writable: true });
let rest = Buffer.alloc(0);
let handled = 0;

app.on('data', (chunk) => {
  rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
  let at = 0;
  while (rest.length - at >= 4) {
    const end = at + 4 + rest.readUInt32BE(at);
    if (rest.length < end) break;
    answer(JSON.parse(rest.toString('utf8', at + 4, end)));
    at = end;
  }
  rest = rest.subarray(at);
});

function answer(frame) {
  if (frame.type === 'deliver') {
    const done = [];
    for (const delivery of frame.deliveries) {
      handled += 1;
      done.push(delivery.id);
    }
    send({ type: 'results', done });
  } else if (frame.type === 'hello') {
    send({ type: 'ready', protocol: 1, runtime: `Node.js ${process.version}` });
  } else if (frame.type === 'stop') {
    app.end(() => process.exit(0));
  }
}

function send(frame) {
  const text = JSON.stringify(frame);
  const bytes = Buffer.allocUnsafe(4 + Buffer.byteLength(text));
  bytes.writeUInt32BE(bytes.length - 4, 0);
  bytes.write(text, 4);
  app.write(bytes);
}
