import assert from 'node:assert/strict';
import { test } from 'node:test';
import { delivery, encode, readyWorker, startWorker, within } from './support/worker.mjs';

const ECHO = 'exports.process = (message) => { if (message.fail) throw new Error(message.fail); };';

test('ready names the protocol and the runtime', async (t) => {
  assert.deepEqual(await startWorker(t, ECHO).next(), { type: 'ready', protocol: 1, runtime: `Node.js ${process.version}` });
});

test('frames that come byte by byte, in halves and all at once are the same frames', async (t) => {
  const worker = await readyWorker(t, 'exports.process = (message) => { throw message.text; };');
  const text = 'ü 𝄞 \u0000 \u2028 "';
  const bytes = Buffer.concat([1, 2, 3].map((id) => encode(JSON.stringify({ type: 'deliver', deliveries: [delivery(id, { text })] }))));
  for (const byte of bytes) {
    await new Promise((resolve) => {
      worker.socket.write(Buffer.from([byte]), resolve);
    });
  }
  const first = await worker.outcomes(3);
  for (let cut = 1; cut < bytes.length; cut += 1) {
    worker.sendBytes(bytes.subarray(0, cut));
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    worker.sendBytes(bytes.subarray(cut));
    assert.deepEqual(await worker.outcomes(3), first);
  }
  worker.sendBytes(bytes);
  assert.deepEqual(await worker.outcomes(3), first);
  assert.equal(first[2].error, `Thrown: ${"'ü 𝄞 \\x00 \u2028 \"'"}`);
});

test('a frame of 64 MiB is read, and a longer one ends the worker', async (t) => {
  const worker = await readyWorker(
    t,
    'exports.process = (message) => { if (message.length !== 67108700) throw new Error(String(message.length)); };',
  );
  const frame = JSON.stringify({ type: 'deliver', deliveries: [delivery(1, 'BODY')] });
  const body = 'x'.repeat(67108700);
  const filled = frame.replace('BODY', body);
  const padded = filled.slice(0, -1) + ' '.repeat((64 << 20) - filled.length) + '}';
  assert.equal(padded.length, 64 << 20);
  worker.sendBytes(encode(padded));
  assert.deepEqual(await worker.outcomes(1), { 1: 'done' });
  worker.sendBytes(Buffer.from([4, 0, 0, 1]));
  assert.equal((await worker.end()).code, 1);
  assert.match(worker.stderr, /a frame of 67108865 bytes; the most is 67108864/);
});

test('frames that mean nothing end the worker and say why', async (t) => {
  for (const [text, why] of [
    ['{"type":', /no JSON/],
    ['[]', /without a `type`/],
    ['null', /without a `type`/],
    ['{"type":"dance"}', /unknown type `dance`/],
    ['', /no JSON/],
  ]) {
    const worker = await readyWorker(t, ECHO);
    worker.sendBytes(encode(text));
    assert.equal((await worker.end()).code, 1);
    assert.match(worker.stderr, why);
  }
});

test('hundreds of deliveries are begun in their order, and outcomes come in any', async (t) => {
  const worker = await readyWorker(
    t,
    `const { setTimeout } = require('timers/promises'); let last = -1;
    exports.process = async (n) => { if (n !== last + 1) throw new Error('order'); last = n; if (n % 3 === 0) await setTimeout(n % 7); if (n % 10 === 0) throw new Error('no ' + n); };`,
  );
  worker.deliver(...Array.from({ length: 500 }, (_, n) => n));
  const outcomes = await worker.outcomes(500);
  for (let n = 0; n < 500; n += 1)
    assert.equal(n % 10 === 0 ? outcomes[n + 1].error.split('\n')[0] : outcomes[n + 1], n % 10 === 0 ? `Error: no ${n}` : 'done');
});

test('a body arrives as it is, with names like __proto__', async (t) => {
  const worker = await readyWorker(
    t,
    'exports.process = (message) => { throw { text: JSON.stringify(message), own: Object.hasOwn(message, "__proto__"), polluted: {}.polluted }; };',
  );
  worker.sendBytes(
    encode(
      `{"type":"deliver","deliveries":[${JSON.stringify(delivery(1, 'BODY')).replace('"BODY"', '{"__proto__":{"polluted":1},"constructor":2}')}]}`,
    ),
  );
  assert.equal(
    (await worker.outcomes(1))[1].error,
    `Thrown: { text: '{"__proto__":{"polluted":1},"constructor":2}', own: true, polluted: undefined }`,
  );
});

test('a cancelled handler is told, and its result comes all the same', async (t) => {
  const worker = await readyWorker(
    t,
    `exports.process = (message, context) => new Promise((resolve, reject) => {
    context.signal.addEventListener('abort', () => reject(context.signal.reason)); });`,
  );
  worker.deliver({});
  worker.send({ type: 'cancel', id: 1 });
  assert.deepEqual(await worker.next(), { type: 'cancelled', id: 1, state: 'running' });
  assert.match((await worker.outcomes(1))[1].error, /^TimeoutError: the timeout of `send_email` is over/);
  worker.send({ type: 'cancel', id: 1 });
  assert.deepEqual(await worker.next(), { type: 'cancelled', id: 1, state: 'unknown' });
});

test('a signal that is asked for after the timeout is aborted', async (t) => {
  const worker = await readyWorker(
    t,
    `let go; globalThis.wait = new Promise((resolve) => { go = resolve; });
    exports.process = async (message, context) => { if (message.go) return go(); await wait; throw context.signal.aborted; };`,
  );
  worker.deliver({});
  worker.send({ type: 'cancel', id: 1 });
  assert.equal((await worker.next()).state, 'running');
  worker.send({ type: 'deliver', deliveries: [delivery(2, { go: true })] });
  assert.deepEqual(await worker.outcomes(2), { 1: { error: 'Thrown: true' }, 2: 'done' });
});

test('handlers that take their time one after the other let the socket be read, and what has not begun is waiting', async (t) => {
  const worker = await readyWorker(t, 'exports.process = () => { const until = Date.now() + 15; while (Date.now() < until); };');
  worker.deliver(...Array(100).fill({}));
  worker.send({ type: 'cancel', id: 100 });
  const ended = new Set();
  let frame;
  for (frame = await worker.next(); frame.type === 'results'; frame = await worker.next()) for (const id of frame.done) ended.add(id);
  assert.deepEqual(frame, { type: 'cancelled', id: 100, state: 'waiting' });
  assert.ok(ended.size < 50, `${ended.size} had ended before the answer`);
  while (ended.size < 99) for (const id of (await worker.next()).done) ended.add(id);
  assert.ok(!ended.has(100));
});

test('a handler that never returns answers nothing', async (t) => {
  const worker = await readyWorker(t, 'exports.process = (m) => { if (m.spin) { console.log("spins"); for (;;); } };');
  worker.deliver({ spin: true });
  await worker.says('spins');
  worker.send({ type: 'cancel', id: 1 });
  await assert.rejects(
    within(worker.next(), () => 'silence', 1_000),
    /silence/,
  );
});

test('stop finishes what is there, sends its results and exits with 0', async (t) => {
  const worker = await readyWorker(
    t,
    "const { topics } = require('@chuva.io/less'); const { setTimeout } = require('timers/promises'); exports.process = async () => { await setTimeout(50); topics.order_paid.publish({}); }; setInterval(() => {}, 1000);",
  );
  worker.deliver({}, {});
  worker.send({ type: 'stop' });
  let done = 0;
  const requests = [];
  while (done < 2 || requests.length < 2) {
    const frame = await worker.next();
    if (frame.type === 'publish') requests.push(frame.request);
    else done += frame.done.length;
  }
  for (const request of requests) worker.send({ type: 'published', request, results: [{ message_id: 'm', duplicate: false }] });
  assert.deepEqual(await worker.end(), { code: 0, signal: null });
});

test('stop ends an idle worker, and one that is loading', async (t) => {
  const idle = await readyWorker(t, ECHO);
  idle.send({ type: 'stop' });
  assert.deepEqual(await idle.end(), { code: 0, signal: null });
  const loading = startWorker(t, 'console.log("loads"); await new Promise(() => {});', { file: 'index.mjs' });
  await loading.says('loads');
  loading.send({ type: 'stop' });
  assert.deepEqual(await loading.end(), { code: 0, signal: null });
});

test('the end of the socket ends the worker at once', async (t) => {
  const worker = await readyWorker(t, 'exports.process = () => new Promise(() => {}); setInterval(() => {}, 1000);');
  worker.deliver({});
  worker.socket.end();
  await worker.end();
});

test('an uncaught exception and an unhandled rejection are told last, behind what had ended', async (t) => {
  for (const [source, text] of [
    ['setImmediate(() => { throw new TypeError("later"); })', /^TypeError: later\n    at [^\n]*index\.js/],
    [
      'Promise.reject(new TypeError("nobody cares"))',
      /^a promise was rejected and nobody handled it: TypeError: nobody cares\n    at [^\n]*index\.js/,
    ],
    ['setImmediate(() => { throw null; })', /^Thrown: null$/],
  ]) {
    const worker = await readyWorker(
      t,
      `exports.process = (message) => { if (message.crash) { ${source}; return new Promise(() => {}); } };`,
    );
    worker.deliver({}, { crash: true });
    const frames = [await worker.next(), await worker.next()];
    assert.deepEqual(frames[0], { type: 'results', done: [1] });
    assert.equal(frames[1].type, 'crash');
    assert.match(frames[1].error, text);
    assert.deepEqual(await worker.end(), { code: 1, signal: null });
    assert.equal(worker.frames.at(-1), frames[1]);
  }
});

test('what had ended is told before a handler ends the process', async (t) => {
  const worker = await readyWorker(t, 'exports.process = (n) => { if (n === 300) process.exit(7); };');
  worker.deliver(...Array.from({ length: 500 }, (_, n) => n));
  const outcomes = await worker.outcomes(300);
  assert.equal(Object.values(outcomes).filter((one) => one === 'done').length, 300);
  assert.deepEqual(await worker.end(), { code: 7, signal: null });
});

test('an app that reads slowly gets every frame whole when the process ends', async (t) => {
  const worker = await readyWorker(
    t,
    `let n = 0; exports.process = () => { n += 1; if (n === 2000) setTimeout(() => process.exit(3), 20); if (n > 1) throw new Error('x'.repeat(1900)); };`,
  );
  worker.socket.pause();
  worker.deliver(...Array(2000).fill({}));
  // The socket holds a few hundred KiB of the 4 MB: the rest is written while the process ends.
  await new Promise((resolve) => {
    setTimeout(resolve, 400);
  });
  worker.socket.resume();
  assert.equal(Object.keys(await worker.outcomes(2000)).length, 2000);
  assert.equal((await worker.end()).code, 3);
});

test('nothing that a handler prints or closes reaches the protocol', async (t) => {
  const worker = await readyWorker(
    t,
    `const net = require('net');
    exports.process = (n) => {
      for (let i = 0; i < 200; i += 1) console.log('x'.repeat(5000));
      process.stdout.write('\\0\\0\\0\\2{}'); process.stderr.write('\\0\\0\\0\\2{}');
      process.stdin.destroy();
      if (process.env.LESS_WORKER_FD !== undefined) throw new Error('the descriptor is named');
    };`,
  );
  worker.deliver(1, 2, 3);
  assert.deepEqual(await worker.outcomes(3), { 1: 'done', 2: 'done', 3: 'done' });
  await worker.says('\0\0\0\x02{}');
});

test('processes that a handler starts do not keep the socket', async (t) => {
  const worker = await readyWorker(
    t,
    `exports.process = () => {
    const links = require('child_process').execFileSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' });
    if (/ 3 -> socket/.test(links)) throw new Error(links); };`,
  );
  worker.deliver({});
  assert.deepEqual(await worker.outcomes(1), { 1: 'done' });
});

test('the process is named for its subscriber', async (t) => {
  const worker = await readyWorker(t, 'exports.process = () => { console.log("title", process.title); };');
  worker.deliver({});
  await worker.says('title less user_created/send_email\n');
});

test('fake timers of a handler do not stop its results', async (t) => {
  const worker = await readyWorker(
    t,
    "globalThis.setImmediate = globalThis.setTimeout = () => {}; require('timers').setImmediate = () => {}; exports.process = async () => {};",
  );
  worker.deliver({}, {});
  assert.deepEqual(await worker.outcomes(2), { 1: 'done', 2: 'done' });
});
