import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeApp } from './support/app.mjs';
import { PRELUDE, run } from './support/program.mjs';

const HANDLER = 'less/topics/user_created/send_email/index.js';
const TOOLS = `${PRELUDE} const { load, context, recorded } = require('@chuva.io/less/testing');\n`;

test('a handler is loaded as a worker loads it, from CommonJS and from ES modules', async (t) => {
  const root = makeApp(t, {
    'less/topics/user_created/audit/index.mjs':
      "import { plain } from 'plain'; import { topics } from '@chuva.io/less'; export const process = (message) => [plain, topics.order_paid.id, message];",
    'less/external_topics/friends/posted/count/index.js': "const { plain } = require('plain'); exports.process = () => plain;",
    [HANDLER]: "const { plain } = require('plain'); exports.process = (message) => [plain, message];",
    'less/shared/plain.mjs': "export const plain = 'shared';",
    'less/shared/plain.js': "exports.plain = 'shared';",
  });
  const calls = `(async () => {
    for (const one of ['user_created/send_email', 'user_created/audit', 'friends:posted/count']) say((await load(one))(7));
    say((await load('user_created/audit')) === (await load('user_created/audit')));
  })();`;
  const expected = [['shared', 7], ['shared', 'order_paid', 7], 'shared', true];
  assert.deepEqual(await run(root, TOOLS + calls, { cwd: '/' }), expected);
  const modules = `import { load } from './.less/node_modules/@chuva.io/less/testing.mjs'; const say = (value) => console.log(JSON.stringify(value));\n`;
  assert.deepEqual(await run(root, modules + calls, { file: 'program.mjs' }), expected);
});

test('a handler that is not there, or that no worker could load, is told', async (t) => {
  const root = makeApp(t, { [HANDLER]: 'exports.proces = () => {};' });
  const [missing, broken] = await run(
    root,
    `${TOOLS} (async () => { await tell(load('user_created/send_emial')); await tell(load('user_created/send_email')); })();`,
  );
  assert.equal(
    missing.message,
    "there is no subscriber `user_created/send_emial` in Node.js, did you mean `user_created/send_email`?\nhint: write it as 'topic/subscriber', as `less list` shows them",
  );
  assert.match(broken.message, /^index\.js exports no function `process`\n/);
});

test('a context has what a test gives it, and defaults', async (t) => {
  const root = makeApp(t);
  const said = await run(
    root,
    `${TOOLS}
    const parts = (c) => [c.messageId, c.topic, c.subscriber, c.attempt, c.publishedAt, c.key, c.attributes, c.traceparent, c.signal.aborted];
    say(parts(context()).map((one, index) => index === 4 ? Date.now() - one < 60000 : one));
    say(parts(context({ messageId: 'm', topic: 't', subscriber: 's', attempt: 3, publishedAt: new Date(0), key: 'k', attributes: { a: 'b' }, traceparent: '00' })));
    (async () => {
      await tell((async () => context().reject('why'))());
      await tell((async () => context().retryAfter('5m'))());
      await tell((async () => context({ atempt: 2 }))());
      await tell((async () => context({ attributes: { a: 1 } }))());
    })();`,
  );
  assert.deepEqual(said.slice(0, 2), [
    ['test-1', 'topic', 'subscriber', 1, true, null, {}, null, false],
    ['m', 't', 's', 3, '1970-01-01T00:00:00.000Z', 'k', { a: 'b' }, '00', false],
  ]);
  assert.deepEqual(
    said.slice(2).map((one) => [one.name, one.message, one.milliseconds]),
    [
      ['Reject', 'why', undefined],
      ['RetryAfter', 'retry after 300000 ms', 300_000],
      ['TypeError', 'a context has no `atempt`', undefined],
      ['TypeError', '`attributes.a` is 1; it must be a string of any length', undefined],
    ],
  );
});

test('what is published while it is recorded goes to no app, and is kept in order with its options', async (t) => {
  const root = makeApp(t);
  const said = await run(
    root,
    `${TOOLS}
    (async () => {
      say(await recorded(async (published) => {
        say(await topics.user_created.publish({ at: new Date(0), left: undefined }, { key: 'k', delay: '5m', attributes: { a: 'b' }, traceparent: '00' }));
        say(await topics.order_paid.publishMany([1, 2, 1], { idempotencyKey: (message) => 'id' + message }));
        say(published.length);
        await tell(topics.order_paid.publish(1n));
        await tell(topics.order_paid.publish(1, { keys: 1 }));
      }));
      const beside = [1, 2].map((n) => recorded(() => new Promise((resolve) => setTimeout(resolve, 5)).then(() => topics.order_paid.publish(n))));
      say(await Promise.all(beside));
      await tell(recorded(() => Promise.reject(new Error('why'))));
      await tell(topics.order_paid.publish(1));
    })();`,
  );
  assert.deepEqual(said.slice(0, 3), [
    { messageId: 'published-1', duplicate: false },
    [
      { messageId: 'published-2', duplicate: false },
      { messageId: 'published-3', duplicate: false },
      { messageId: 'published-2', duplicate: true },
    ],
    4,
  ]);
  assert.deepEqual([said[3].type, said[4].message.slice(0, 39)], ['urn:less:not-serializable', 'there is no option `keys`, did you mean']);
  const sent = { at: '1970-01-01T00:00:00.000Z' };
  assert.deepEqual(said[5], [
    { topic: 'user_created', message: sent, key: 'k', attributes: { a: 'b' }, traceparent: '00', delay: 300_000 },
    { topic: 'order_paid', message: 1, idempotencyKey: 'id1' },
    { topic: 'order_paid', message: 2, idempotencyKey: 'id2' },
    { topic: 'order_paid', message: 1, idempotencyKey: 'id1' },
  ]);
  assert.deepEqual(said[6], [[{ topic: 'order_paid', message: 1 }], [{ topic: 'order_paid', message: 2 }]]);
  assert.deepEqual([said[7].message, said[8].type], ['why', 'urn:less:no-app']);
});
