import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeApp } from './support/app.mjs';
import { startHttp } from './support/http.mjs';
import { PRELUDE, run } from './support/program.mjs';

test('a misspelt topic is an error that names the nearest', async (t) => {
  const root = makeApp(t);
  const said = await run(
    root,
    `${PRELUDE}
    for (const name of ['user_craeted', 'order', 'nothing_like_it', 'hasOwnProperty', '__proto__']) try { topics[name]; say('found ' + name); } catch (e) { say(e.message); }`,
  );
  assert.deepEqual(said, [
    'there is no topic `user_craeted` in `shop`, did you mean `user_created`?\nhint: write `topics.user_created`, or make it with `less add topic user_craeted`',
    ...['order', 'nothing_like_it', 'hasOwnProperty', '__proto__'].map(
      (name) => `there is no topic \`${name}\` in \`shop\`\nhint: make it with \`less add topic ${name}\``,
    ),
  ]);
});

test('topics behave as an object everywhere else', async (t) => {
  const root = makeApp(t, {}, { app: 'shop', topics: { user_created: null, then: null, constructor: null }, types: [] });
  const said = await run(
    root,
    `${PRELUDE}
    const { inspect, types } = require('util');
    (async () => {
      say(Object.keys(topics)); say('user_created' in topics); say('typo' in topics); say('toString' in topics); say(JSON.stringify(topics));
      say(inspect(topics).includes('user_created')); say((await topics) === topics); say(String(topics)); say(Symbol.iterator in topics);
      say({ ...topics }.user_created === topics.user_created); say(topics.then.id); say(topics.constructor.id);
      try { 'use strict'; topics.user_created = 1; } catch (e) { say(e.name); }
      say(typeof topics.user_created.publish); require('assert').notDeepStrictEqual(topics, {}); say(topics.toJSON === undefined);
    })();`,
  );
  assert.deepEqual(said, [
    ['user_created', 'then', 'constructor'],
    true,
    false,
    false,
    '{"user_created":{"id":"user_created"},"then":{"id":"then"},"constructor":{"id":"constructor"}}',
    true,
    true,
    '[object Topics]',
    false,
    true,
    'then',
    'constructor',
    'function',
    true,
  ]);
});

test('options out of their range are a TypeError that names option and range, and nothing is sent', async (t) => {
  const app = await startHttp(t);
  const wrong = {
    '{ key: "" }': '`key` has 0 bytes; 1 to 128 are allowed',
    '{ key: "ü".repeat(65) }': '`key` has 130 bytes; 1 to 128 are allowed',
    '{ key: 7 }': '`key` is 7; it must be a string of 1 to 128 bytes',
    '{ key: "\\ud800" }': "`key` holds half a surrogate pair, which UTF-8 can't express",
    '{ idempotencyKey: "x".repeat(129) }': '`idempotencyKey` has 129 bytes; 1 to 128 are allowed',
    '{ traceparent: "x".repeat(257) }': '`traceparent` has 257 bytes; 0 to 256 are allowed',
    '{ delay: "soon" }': '`delay` is "soon"; it must be "500ms", "30s", "5m", "2h", "7d" or a number of milliseconds, at most 365 days',
    '{ delay: "366d" }': '`delay` is "366d"; it must be "500ms", "30s", "5m", "2h", "7d" or a number of milliseconds, at most 365 days',
    '{ delay: -1 }': '`delay` is -1; it must be "500ms", "30s", "5m", "2h", "7d" or a number of milliseconds, at most 365 days',
    '{ attributes: [] }': '`attributes` is an array; it must be an object of strings',
    '{ attributes: { a: 1 } }': '`attributes.a` is 1; it must be a string of 0 to Infinity bytes',
    '{ attributes: Object.fromEntries(Array.from({ length: 11 }, (_, n) => ["a" + n, ""])) }':
      '`attributes` has 11 entries; at most 10 are allowed',
    '{ attributes: { "": "x" } }': '`attributes (a name)` has 0 bytes; 1 to 256 are allowed',
    '{ idempotencykey: "x" }': 'there is no option `idempotencykey`, did you mean `idempotencyKey`?',
    '{ zzz: "x" }': 'there is no option `zzz`; there are `key`, `idempotencyKey`, `traceparent`, `delay`, `attributes`',
    '"key"': 'the options are "key"; they must be an object',
  };
  const said = await run(
    makeApp(t),
    `${PRELUDE}
    (async () => { for (const options of [${Object.keys(wrong).join(', ')}]) { await tell(topics.user_created.publish({}, options)); await tell(topics.user_created.publishMany([{}], options)); } })();`,
    { env: { LESS_URL: app.url } },
  );
  const texts = Object.values(wrong).map((text) => text.replace('of 0 to Infinity bytes', 'of any length'));
  assert.deepEqual(
    said.map(({ name, message }) => [name, message]),
    texts.flatMap((message) => [
      ['TypeError', message],
      ['TypeError', message],
    ]),
  );
  assert.equal(app.requests.length, 0);
});

test("a message that JSON can't express is an error that says which part", async (t) => {
  const wrong = {
    '10n': 'it is a BigInt; write it as a string or as a number',
    '{ user: { ids: [1, 2n] } }': '`/user/ids/1` is a BigInt; write it as a string or as a number',
    '{ "a/b~": 1n }': '`/a~1b~0` is a BigInt; write it as a string or as a number',
    '(() => { const a = { list: [] }; a.list.push(a); return a; })()': '`/list/0` refers back to the whole message: a cycle',
    undefined: 'it is undefined',
    '() => {}': 'it is a function',
    'Symbol("s")': 'it is a symbol',
    '{ get broken() { throw new Error("getter"); } }': 'it throws: getter',
    '{ toJSON() { throw new Error("toJSON"); } }': 'it throws: toJSON',
  };
  const app = await startHttp(t);
  const said = await run(
    makeApp(t),
    `${PRELUDE}
    (async () => { for (const message of [${Object.keys(wrong).join(', ')}]) await tell(topics.user_created.publish(message));
      let deep = []; for (let i = 0; i < 1e5; i += 1) deep = [deep]; await tell(topics.user_created.publish(deep)); })();`,
    { env: { LESS_URL: app.url } },
  );
  assert.deepEqual(
    said.map(({ name, type, message }) => [name, type, message]),
    [...Object.values(wrong), 'it is nested too deeply'].map((text) => [
      'PublishError',
      'urn:less:not-serializable',
      `the message can't be written as JSON: ${text}`,
    ]),
  );
  assert.equal(app.requests.length, 0);
});

test('options arrive as the app reads them', async (t) => {
  const app = await startHttp(t);
  const said = await run(
    makeApp(t),
    `${PRELUDE}
    (async () => {
      await tell(topics.user_created.publish({ n: 1, text: 'ü\\u2028' }, { key: 'k', delay: '5m', attributes: JSON.parse('{"a":"1","__proto__":"2"}'), idempotencyKey: 'seen', traceparent: '00-x' }));
      for (const delay of ['500ms', '30s', '2h', '7d', '365d', 0, 1.2]) await topics.user_created.publish(null, { delay, key: undefined });
      await tell(topics.user_created.publish(null, null));
      await tell(topics.user_created.publishMany([{ n: 1 }, { n: 2 }], { key: (message) => 'k' + message.n, idempotencyKey: (message, index) => 'i' + index }));
      await tell(topics.user_created.publishMany([{ n: 1 }, { n: 2 }], { idempotencyKey: 'same' }));
      await tell(topics.user_created.publishMany(new Set([{ n: 1 }]), { key: () => undefined }));
      await tell(topics.user_created.publishMany([]));
      await tell(topics.user_created.publishMany('text'));
    })();`,
    { env: { LESS_URL: `${app.url}/` } },
  );
  assert.deepEqual(
    said.map((one) => one.message ?? one),
    [
      { messageId: 'm1', duplicate: true },
      { messageId: 'm0', duplicate: false },
      [
        { messageId: 'm1', duplicate: false },
        { messageId: 'm2', duplicate: false },
      ],
      '`idempotencyKey` is the same for all messages: only the first would be stored; it must be a function (message, index) => key',
      [{ messageId: 'm1', duplicate: false }],
      [],
      'the messages are "text"; they must be an array',
    ],
  );
  assert.equal(
    JSON.stringify(app.requests[0].items),
    '[{"body":{"n":1,"text":"ü\u2028"},"key":"k","delay_ms":300000,"attributes":{"a":"1","__proto__":"2"},"idempotency_key":"seen","traceparent":"00-x"}]',
  );
  assert.deepEqual(
    app.requests.slice(1, 8).map(({ items }) => items[0].delay_ms),
    [500, 30_000, 7_200_000, 604_800_000, 31_536_000_000, 0, 2],
  );
  assert.deepEqual(app.requests[8].items, [{ body: null }]);
  assert.deepEqual(app.requests[9].items, [
    { body: { n: 1 }, key: 'k1', idempotency_key: 'i0' },
    { body: { n: 2 }, key: 'k2', idempotency_key: 'i1' },
  ]);
  assert.deepEqual(
    [app.requests[0].method, app.requests[0].url, app.requests[0].headers['content-type']],
    ['POST', '/_less/topics/user_created/batch', 'application/json'],
  );
});
