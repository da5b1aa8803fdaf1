import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startHttp } from './support/http.mjs';
import { PRELUDE } from './support/program.mjs';
import { readyWorker, startWorker } from './support/worker.mjs';

test("a handler publishes over the worker's socket, from CommonJS and from ES modules, and never over HTTP", async (t) => {
  const app = await startHttp(t);
  const worker = await readyWorker(
    t,
    `${PRELUDE}
    exports.process = async (message, context) => {
      say(await topics.order_paid.publish({ n: 1 }, { key: 'k', delay: '1s' }));
      const { topics: same, both } = await import('./part.mjs');
      if (same !== topics) throw new Error('two instances');
      say(await both());
    };`,
    {
      env: { LESS_URL: app.url },
      files: {
        'less/topics/user_created/send_email/part.mjs':
          "import { topics } from '@chuva.io/less'; export { topics }; export const both = () => topics.user_created.publishMany([{ n: 2 }, { n: 3 }]);",
      },
    },
  );
  worker.deliver({});
  const first = await worker.next();
  assert.deepEqual(first, { type: 'publish', request: 1, topic: 'order_paid', messages: [{ body: { n: 1 }, key: 'k', delay_ms: 1000 }] });
  worker.send({ type: 'published', request: 1, results: [{ message_id: 'a', duplicate: true }] });
  const second = await worker.next();
  assert.deepEqual(second, { type: 'publish', request: 2, topic: 'user_created', messages: [{ body: { n: 2 } }, { body: { n: 3 } }] });
  worker.send({
    type: 'published',
    request: 2,
    results: [
      { message_id: 'b', duplicate: false },
      { message_id: 'c', duplicate: false },
    ],
  });
  assert.deepEqual(await worker.outcomes(1), { 1: 'done' });
  await worker.says('{"messageId":"a","duplicate":true}\n[{"messageId":"b","duplicate":false},{"messageId":"c","duplicate":false}]\n');
  assert.equal(app.requests.length, 0);
});

test('answers may come in any order', async (t) => {
  const worker = await readyWorker(
    t,
    `${PRELUDE} exports.process = async (n) => { const { messageId } = await topics.order_paid.publish({ n }); if (messageId !== 'm' + n) throw new Error(messageId); };`,
  );
  worker.deliver(...Array.from({ length: 20 }, (_, n) => n));
  const frames = [];
  for (let n = 0; n < 20; n += 1) frames.push(await worker.next());
  for (const { request, messages } of frames.reverse())
    worker.send({ type: 'published', request, results: [{ message_id: `m${messages[0].body.n}`, duplicate: false }] });
  assert.ok(Object.values(await worker.outcomes(20)).every((one) => one === 'done'));
});

test("a message that the app refuses fails the handler, with the caller's place", async (t) => {
  const worker = await readyWorker(t, `${PRELUDE} exports.process = async () => {\n await topics.order_paid.publish({ n: 'x' }); };`);
  worker.deliver({});
  const { request } = await worker.next();
  worker.send({
    type: 'published',
    request,
    results: [
      { error: { type: 'urn:less:does-not-fit', status: 422, detail: 'it does not fit', pointer: '/n', message_type: 'OrderPaid' } },
    ],
  });
  assert.match(
    (await worker.outcomes(1))[1].error,
    /^PublishError: it does not fit\nhint: compare `\/n` with `OrderPaid` of `less\/topics\/order_paid`\n    at (async )?exports\.process \(less\/topics\/user_created\/send_email\/index\.js:6:\d+\)$/,
  );
});

test('a handler publishes while it is loaded', async (t) => {
  const worker = startWorker(
    t,
    "import { topics } from '@chuva.io/less'; const { messageId } = await topics.order_paid.publish({}); export const process = () => { throw messageId; };",
    { file: 'index.mjs' },
  );
  const { request } = await worker.next();
  worker.send({ type: 'published', request, results: [{ message_id: 'early', duplicate: false }] });
  assert.equal((await worker.next()).type, 'ready');
  worker.deliver({});
  assert.deepEqual(await worker.outcomes(1), { 1: { error: "Thrown: 'early'" } });
});

test('no message makes a frame that the app does not take', async (t) => {
  const worker = await readyWorker(
    t,
    `${PRELUDE} exports.process = async () => { try { await topics.order_paid.publishMany(Array(20).fill('x'.repeat(5 << 20)).concat('y'.repeat(70 << 20))); } catch (e) { say(e.results.map((one) => one.messageId ?? one.type)); } };`,
  );
  worker.deliver({});
  let count = 0;
  while (count < 20) {
    const { request, messages } = await worker.next();
    assert.ok(JSON.stringify(messages).length < 9 << 20);
    count += messages.length;
    worker.send({ type: 'published', request, results: messages.map(() => ({ message_id: 'm', duplicate: false })) });
  }
  assert.deepEqual(await worker.outcomes(1), { 1: 'done' });
  await worker.says(JSON.stringify([...Array(20).fill('m'), 'urn:less:too-large']));
});

test('a program that a handler starts finds the package, and publishes over HTTP', async (t) => {
  const app = await startHttp(t);
  const worker = await readyWorker(
    t,
    `const { promisify } = require('node:util'); const run = promisify(require('node:child_process').execFile);
    exports.process = () => run(process.execPath, ['-e', "require('@chuva.io/less').topics.order_paid.publish({ n: 7 })"]);`,
    { env: { LESS_URL: app.url } },
  );
  worker.deliver({});
  assert.deepEqual(await worker.outcomes(1), { 1: 'done' });
  assert.deepEqual(
    app.requests.map((request) => request.items),
    [[{ body: { n: 7 } }]],
  );
});
