import assert from 'node:assert/strict';
import { test } from 'node:test';
import { delivery, readyWorker } from './support/worker.mjs';

/** What becomes of a message whose handler is this function. */
async function outcomeOf(t, source) {
  const worker = await readyWorker(t, `const { Reject, RetryAfter } = require('@chuva.io/less');\nexports.process = ${source};`);
  worker.deliver({});
  return (await worker.outcomes(1))[1];
}

test('whatever a handler returns is done', async (t) => {
  const worker = await readyWorker(
    t,
    `
    const cycle = {}; cycle.self = cycle;
    const values = { none: undefined, null: null, big: 10n, cycle, symbol: Symbol('s'), function() {}, resolved: Promise.resolve(1n), thenable: { then(resolve) { resolve(cycle); } } };
    exports.process = (name) => values[name];`,
  );
  const names = ['none', 'null', 'big', 'cycle', 'symbol', 'function', 'resolved', 'thenable'];
  worker.deliver(...names);
  assert.deepEqual(await worker.outcomes(names.length), Object.fromEntries(names.map((_, index) => [index + 1, 'done'])));
});

test('a generator that a handler gives was never run, and is not done', async (t) => {
  const ways = [
    '() => (function* () {})()',
    'async () => (async function* () {})()',
    '(m) => Promise.resolve((function* () {})())',
    '() => ({ then(resolve) { resolve((async function* () {})()); } })',
  ];
  for (const way of ways) {
    assert.deepEqual(
      await outcomeOf(t, way),
      {
        error:
          'the handler gave a generator, of which nothing was run\nhint: do the work without `yield`, or run it to its end: `for await (const part of …) {}`',
      },
      way,
    );
  }
});

test("an error is told with its name, its message and the place in the user's file, relative to the app", async (t) => {
  for (const source of ['() => { throw new TypeError("no such user"); }', 'async () => { throw new TypeError("no such user"); }']) {
    const { error } = await outcomeOf(t, source);
    const [first, second, ...rest] = error.split('\n');
    assert.equal(first, 'TypeError: no such user');
    assert.match(second, /^    at .*less\/topics\/user_created\/send_email\/index\.js:2:\d+\)?$/);
    assert.doesNotMatch(second, /\/tmp|file:/);
    assert.deepEqual(rest, []);
  }
});

test('the causes of an error are told, and a circle of them ends', async (t) => {
  const { error } = await outcomeOf(
    t,
    `() => {
    const inner = new RangeError('too far'); const outer = new Error('could not go', { cause: inner }); inner.cause = outer; throw outer; }`,
  );
  assert.match(error, /^Error: could not go\n    at [^\n]+\ncaused by: RangeError: too far\n    at [^\n]+$/);
});

test('what was thrown and is no error is shown', async (t) => {
  const thrown = {
    '"boom"': "Thrown: 'boom'",
    undefined: 'Thrown: undefined',
    null: 'Thrown: null',
    '42n': 'Thrown: 42n',
    '{ code: 7 }': 'Thrown: { code: 7 }',
    'Symbol("s")': 'Thrown: Symbol(s)',
    'new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 2; }, has() { throw 3; } })': 'Thrown: {}',
    '{ get [Symbol.toStringTag]() { throw 1; } }': undefined,
  };
  for (const [source, text] of Object.entries(thrown)) {
    for (const handler of [`() => { throw (${source}); }`, `async () => { throw (${source}); }`]) {
      const { error } = await outcomeOf(t, handler);
      if (text) assert.equal(error, text);
      assert.match(error, /^Thrown: /);
    }
  }
});

test('an error whose parts throw or lie is told as far as it goes', async (t) => {
  assert.match(
    (
      await outcomeOf(
        t,
        `() => { const error = new Error('hidden');
    for (const name of ['stack', 'name', 'message', 'cause', 'errors', 'constructor']) Object.defineProperty(error, name, { get() { throw new Error(name); } });
    throw error; }`,
      )
    ).error,
    /^Error$/,
  );
  assert.match(
    (await outcomeOf(t, `() => { const error = new Error('numbers'); error.name = 7; error.stack = 8; throw error; }`)).error,
    /^Error: numbers$/,
  );
});

test('the text of an error has at most 2,000 bytes and whole characters', async (t) => {
  for (const letter of ['x', 'ü', '𝄞', '\\ud800']) {
    const { error } = await outcomeOf(t, `() => { throw new Error('a' + '${letter}'.repeat(5000)); }`);
    assert.ok(Buffer.byteLength(error) <= 2000 && Buffer.byteLength(error) > 1980, `${Buffer.byteLength(error)}`);
    assert.ok(error.endsWith('…'));
  }
});

test('a rejection is a rejection however it is said', async (t) => {
  const ways = [
    '(m, c) => c.reject("why")',
    '(m, c) => { c.reject("why"); }',
    'async (m, c) => c.reject("why")',
    'async (m, { reject }) => { await null; reject("why"); }',
    '() => { throw new Reject("why"); }',
    '() => Promise.reject(new Reject("why"))',
    'async () => { throw new (class Own extends Reject {})("why"); }',
  ];
  for (const way of ways) assert.deepEqual(await outcomeOf(t, way), { reject: 'why' }, way);
  assert.deepEqual(await outcomeOf(t, '(m, c) => c.reject()'), { reject: 'rejected' });
  assert.deepEqual(await outcomeOf(t, '(m, c) => c.reject(new RangeError("far"))'), { reject: 'RangeError: far' });
  assert.deepEqual(await outcomeOf(t, '(m, c) => c.reject({ toString() { throw 1; } })').then((one) => Object.keys(one)), ['error']);
});

test('a delay is a delay however it is said', async (t) => {
  const ways = {
    '(m, c) => c.retryAfter("5m")': 300_000,
    'async (m, c) => c.retryAfter("500ms")': 500,
    '() => { throw new RetryAfter("2h"); }': 7_200_000,
    'async (m, { retryAfter }) => retryAfter(0)': 0,
    '(m, c) => c.retryAfter(1.5)': 2,
    '() => Promise.reject(new RetryAfter("7d"))': 604_800_000,
  };
  for (const [way, ms] of Object.entries(ways)) assert.deepEqual(await outcomeOf(t, way), { retry_after_ms: ms }, way);
  for (const wrong of ['"5 minutes"', '-1', 'NaN', '"366d"', 'undefined', '"1e3s"', '10n']) {
    assert.match(
      (await outcomeOf(t, `(m, c) => c.retryAfter(${wrong})`)).error,
      /^TypeError: `retryAfter` is .*; it must be "500ms"/,
      wrong,
    );
  }
});

test('the context says what the delivery says', async (t) => {
  const worker = await readyWorker(
    t,
    `exports.process = (message, c) => {
    console.log(JSON.stringify([c.messageId, c.topic, c.subscriber, c.attempt, c.publishedAt instanceof Date, c.publishedAt, c.key, c.attributes, Object.isFrozen(c.attributes), c.traceparent, c.signal.aborted]));
    console.log(JSON.stringify({ c }));
    console.log(c);
  };`,
  );
  const more = { attempt: 3, key: 'k', attributes: JSON.parse('{"a":"1","__proto__":"2"}'), traceparent: '00-ab' };
  worker.send({ type: 'deliver', deliveries: [delivery(1, {}, more), delivery(2, {})] });
  await worker.outcomes(2);
  await worker.says('m2');
  const at = '2023-11-14T22:13:20.000Z';
  assert.deepEqual(
    worker.stdout
      .split('\n')
      .filter((line) => line.startsWith('['))
      .map((line) => JSON.stringify(JSON.parse(line))),
    [
      `["m1","user_created","send_email",3,true,"${at}","k",{"a":"1","__proto__":"2"},true,"00-ab",false]`,
      `["m2","user_created","send_email",1,true,"${at}",null,{},true,null,false]`,
    ],
  );
  assert.ok(
    worker.stdout.includes(
      `{"c":{"messageId":"m1","topic":"user_created","subscriber":"send_email","attempt":3,"publishedAt":"${at}","key":"k","attributes":{"a":"1","__proto__":"2"},"traceparent":"00-ab"}}`,
    ),
    worker.stdout,
  );
  assert.match(worker.stdout, /Context \{\s*messageId: 'm1'/);
});
