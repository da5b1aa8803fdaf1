// How many trivial messages a worker handles per second, with a fake app that does nothing but send and count.
// Run: node less-cli/languages/node/test/bench/bench.mjs [messages]

import { delivery, encode, readyWorker } from '../support/worker.mjs';

const TOTAL = Number(process.argv[2] ?? 1_000_000);
const IN_FLIGHT = 4_000;
const BATCH = 200;
const HANDLERS = {
  function: 'exports.process = (message) => {};',
  'async function': 'exports.process = async (message, context) => {};',
  'publishes one': "const { topics } = require('@chuva.io/less'); exports.process = (message) => topics.order_paid.publish(message);",
};

const cleanUp = [];
for (const [name, source] of Object.entries(HANDLERS)) {
  const worker = await readyWorker({ after: (task) => cleanUp.push(task) }, source);
  const body = { user_id: 1, email: 'ada@example.com' };
  // As many frames as are in flight, so that no two deliveries there have one id.
  const frames = Array.from({ length: IN_FLIGHT / BATCH }, (_, n) => {
    const deliveries = Array.from({ length: BATCH }, (__, id) => delivery(n * BATCH + id, body));
    return encode(JSON.stringify({ type: 'deliver', deliveries }));
  });
  let sent = 0;
  let done = 0;
  const began = performance.now();
  await new Promise((resolve) => {
    const more = () => {
      while (sent < TOTAL && sent - done <= IN_FLIGHT - BATCH) {
        worker.sendBytes(frames[(sent / BATCH) % frames.length]);
        sent += BATCH;
      }
    };
    // Takes frames off as they come, so that nothing piles up here.
    worker.onFrame = (one) => {
      if (one.type === 'publish') {
        worker.send({ type: 'published', request: one.request, results: one.messages.map(() => ({ message_id: 'm', duplicate: false })) });
        return;
      }
      done += one.done.length;
      if (done >= TOTAL) resolve();
      else more();
    };
    more();
  });
  const seconds = (performance.now() - began) / 1000;
  console.log(`${process.version}, ${name}: ${Math.round(done / seconds).toLocaleString('en')} messages/s`);
  for (const task of cleanUp.splice(0)) await task();
}
