import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { makeApp, write } from './support/app.mjs';
import { freePort, reply, startHttp } from './support/http.mjs';
import { PRELUDE, run } from './support/program.mjs';

const PUBLISH = `${PRELUDE} tell(topics.user_created.publish({ n: 1 }));`;
const ACCEPTED = { messageId: 'm1', duplicate: false };

function addressFile(url) {
  return JSON.stringify({ url, pid: process.pid });
}

test('the app is found by LESS_URL, LESS_DATA, a folder above, and beside this package', async (t) => {
  const app = await startHttp(t);
  const address = addressFile(app.url);
  const byUrl = makeApp(t);
  assert.deepEqual(await run(byUrl, PUBLISH, { env: { LESS_URL: app.url } }), [ACCEPTED]);
  const byData = makeApp(t, { 'elsewhere/address.json': address, '.less/data/address.json': addressFile('http://127.0.0.1:1') });
  assert.deepEqual(await run(byData, PUBLISH, { env: { LESS_DATA: `${byData}/elsewhere` } }), [ACCEPTED]);
  const above = makeApp(t, { '.less/data/address.json': address, 'web/server/x': '' });
  assert.deepEqual(await run(above, PUBLISH, { cwd: `${above}/web/server` }), [ACCEPTED]);
  const beside = makeApp(t, { '.less/data/address.json': address });
  assert.deepEqual(await run(beside, PUBLISH, { cwd: '/' }), [ACCEPTED]);
  const esm =
    "import { topics } from './.less/node_modules/@chuva.io/less/index.mjs'; console.log(JSON.stringify(await topics.user_created.publish({ n: 1 })));";
  assert.deepEqual(await run(beside, esm, { file: 'program.mjs', cwd: '/' }), [ACCEPTED]);
});

test('where no app runs, the error says how to start it', async (t) => {
  const port = await freePort();
  const ways = [
    [{}, {}, 'no running app was found'],
    [{ LESS_URL: `http://127.0.0.1:${port}` }, {}, `no running app answers at http://127.0.0.1:${port}: connection refused`],
    [
      {},
      { '.less/data/address.json': addressFile(`http://127.0.0.1:${port}`) },
      `no running app answers at http://127.0.0.1:${port}: connection refused`,
    ],
    [{ LESS_DATA: 'nowhere' }, { '.less/data/address.json': addressFile('http://127.0.0.1:1') }, 'no running app was found'],
  ];
  for (const [env, files, message] of ways) {
    const [error] = await run(makeApp(t, files), PUBLISH, { env });
    const hint = 'start it with `less dev`, or set LESS_URL to where it runs';
    assert.deepEqual(
      [error.name, error.type, error.hint, error.message],
      ['PublishError', 'urn:less:no-app', hint, `${message}\nhint: ${hint}`],
    );
  }
});

test('an address file of another app, of a process that has ended, or of another user is none', async (t) => {
  const app = await startHttp(t);
  const ended = spawn(process.execPath, ['-e', '']);
  await once(ended, 'exit');
  const namespace = existsSync('/proc/self/ns/pid') ? readlinkSync('/proc/self/ns/pid') : undefined;
  const file = (more) => JSON.stringify({ url: app.url, pid: process.pid, pid_namespace: namespace, app: 'shop', ...more });
  const publishAt = async (written, more = {}) => (await run(makeApp(t, { '.less/data/address.json': written, ...more }), PUBLISH))[0];

  assert.deepEqual(await publishAt(file()), ACCEPTED);
  assert.equal(app.requests.at(-1).headers['less-app'], 'shop');
  assert.match((await publishAt(file({ app: 'billing' }))).message, /^no running app was found\n/);
  const stale = await publishAt(file({ pid: ended.pid }));
  assert.match(stale.message, new RegExp(`^no running app answers at ${app.url}: process ${ended.pid}, which has written .*, has ended\n`));
  assert.equal(stale.type, 'urn:less:no-app');
  // A copy of the app's folder.
  assert.match((await publishAt(file({ folder: 1 }))).message, /^no running app was found\n/);
  // A container's numbers of processes are its own.
  assert.deepEqual(await publishAt(file({ pid: ended.pid, pid_namespace: 'pid:[1]' })), ACCEPTED);
  assert.equal(app.requests.length, 2);

  // The working folder is another app's: the package is asked for its own.
  const own = makeApp(t, { '.less/data/address.json': file() });
  const other = makeApp(t, { '.less/data/address.json': file({ app: 'billing', url: 'http://127.0.0.1:1' }) });
  assert.deepEqual(await run(own, PUBLISH, { cwd: other }), [ACCEPTED]);
});

test('an app that says it is another one is not asked again', async (t) => {
  const refuse = (request, items, response) =>
    reply(response, 421, { type: 'urn:less:wrong-app', status: 421, detail: 'this is the app `billing`, and the request is for `shop`: nothing was done' });
  const wrong = await startHttp(t, { answer: refuse });
  const [error] = await run(makeApp(t), PUBLISH, { env: { LESS_URL: wrong.url } });
  assert.match(error.message, /^this is the app `billing`.*\nhint: set LESS_URL to where the app that is meant runs$/);
  assert.equal(wrong.requests.length, 1);
});

test('a LESS_URL that is none is told as that, and one without a scheme what is missing', async (t) => {
  const missing = (text) => [text, `LESS_URL holds \`${text}\`, where \`http://\` or \`https://\` is missing`, `http://${text}`];
  for (const [url, message, hint] of [
    missing('localhost'),
    missing('localhost:21000'),
    missing('127.0.0.1:4100'),
    ['http://', 'LESS_URL holds `http://`, which is no URL', 'such as http://127.0.0.1:4100'],
    ['ftp://localhost', 'LESS_URL holds `ftp://localhost`, which does not begin with http:// or https://', 'such as http://127.0.0.1:4100'],
  ]) {
    const [error] = await run(makeApp(t), PUBLISH, { env: { LESS_URL: url } });
    assert.deepEqual([error.type, error.message], ['urn:less:bad-url', `${message}\nhint: ${hint}`]);
  }
});

test('the API key is sent, and an app that refuses it is told as that', async (t) => {
  for (const [status, type] of [
    [401, 'urn:less:no-api-key'],
    [403, 'urn:less:wrong-api-key'],
    [403, undefined],
  ]) {
    const app = await startHttp(t, {
      answer: (request, _, response) =>
        request.headers.authorization === 'Bearer secret'
          ? undefined
          : reply(response, status, type ? { type, status, detail: 'no key' } : 'no', 'application/problem+json'),
    });
    assert.deepEqual(await run(makeApp(t), PUBLISH, { env: { LESS_URL: app.url, LESS_API_KEY: 'secret' } }), [ACCEPTED]);
    const [error] = await run(makeApp(t), PUBLISH, { env: { LESS_URL: app.url } });
    assert.deepEqual(
      [error.name, error.status, error.hint],
      ['PublishError', status, 'set LESS_API_KEY to the key that the app was started with'],
    );
  }
});

test('a problem of a message becomes an error with its facts and a next step', async (t) => {
  const problems = [
    [
      {
        type: 'urn:less:does-not-fit',
        status: 422,
        detail: 'the message does not fit `UserCreated` at `/n`: wrong',
        pointer: '/n',
        message_type: 'UserCreated',
      },
      'compare `/n` with `UserCreated` of `less/topics/user_created`',
    ],
    [
      { type: 'urn:less:unknown-topic', status: 404, detail: 'there is no topic `user_created`', nearest: 'users_created' },
      'publish to `users_created`, or run `less build`',
    ],
    [
      { type: 'urn:less:too-large', status: 413, detail: 'large', limit: 7 },
      'store what is large elsewhere, and publish where it is',
    ],
    [
      { type: 'urn:less:too-large', status: 413, detail: 'large', limit: 7, setting: 'max_message' },
      'store what is large elsewhere, and publish where it is; or raise `max_message` in less/topics/user_created/topic.toml, up to "1MiB"',
    ],
    [
      { type: 'urn:less:too-large', status: 413, detail: 'large', limit: 7, setting: 'max_body' },
      'store what is large elsewhere, and publish where it is; or raise `max_body` in `[http]` of less.toml',
    ],
    [{ type: 'urn:less:full', status: 507, detail: 'full' }, 'nothing was stored: try again later'],
    [{ type: 'urn:less:odd', status: 400, detail: 'odd', message: 'x', stack: 'y', name: 'z' }, undefined],
  ];
  for (const whole of [false, true]) {
    for (const [problem, hint] of problems) {
      const app = await startHttp(t, {
        answer: (_, items, response) =>
          whole ? reply(response, problem.status, problem) : reply(response, 200, { results: items.map(() => ({ error: problem })) }),
      });
      const [error] = await run(makeApp(t), PUBLISH, { env: { LESS_URL: app.url } });
      assert.deepEqual(
        [error.name, error.type, error.status, error.hint, error.message, error.pointer, error.nearest, error.limit],
        [
          'PublishError',
          problem.type,
          problem.status,
          hint,
          hint ? `${problem.detail}\nhint: ${hint}` : problem.detail,
          problem.pointer,
          problem.nearest,
          problem.limit,
        ],
      );
    }
  }
});

test('what answers and is no app is told as that', async (t) => {
  for (const [status, text] of [
    [200, '<html>'],
    [404, 'not here'],
    [502, '{"a":1}'],
    [200, '{"results":7}'],
  ]) {
    const app = await startHttp(t, { answer: (_, __, response) => reply(response, status, text, 'text/html') });
    const [error] = await run(makeApp(t), PUBLISH, { env: { LESS_URL: app.url } });
    assert.equal(
      error.message,
      `${app.url} answered ${status}, and not as an app of Less does\nhint: see that LESS_URL names the app, and nothing else`,
    );
  }
  const few = await startHttp(t, { answer: (_, __, response) => reply(response, 200, { results: [] }) });
  assert.match(
    (await run(makeApp(t), PUBLISH, { env: { LESS_URL: few.url } }))[0].message,
    /^the app gave no result for each message; whether they were stored is unknown/,
  );
});

test('connections are used again, and a program with nothing to do ends', async (t) => {
  const app = await startHttp(t);
  app.server.keepAliveTimeout = 0;
  await run(
    makeApp(t),
    `${PRELUDE} (async () => { for (let n = 0; n < 50; n += 1) await topics.user_created.publish({ n }); await Promise.all(Array.from({ length: 200 }, (_, n) => topics.user_created.publish({ n }))); })();`,
    { env: { LESS_URL: app.url } },
  );
  // A connection is kept for five seconds: by then, it would have ended all the same.
  assert.ok(performance.now() - app.lastRequest < 4_500, 'it was held by an idle connection');
  assert.equal(app.requests.length, 250);
  assert.ok(app.connections <= 64, `${app.connections} connections`);
});

test('a connection that was idle for more than 5 s is not used again', async (t) => {
  const app = await startHttp(t);
  const said = await run(
    makeApp(t),
    `${PRELUDE} (async () => {
    await tell(topics.user_created.publish({ n: 1 })); await tell(topics.user_created.publish({ n: 2 }));
    const now = performance.now.bind(performance); performance.now = () => now() + 5_500;
    await tell(topics.user_created.publish({ n: 3 }));
  })();`,
    { env: { LESS_URL: app.url } },
  );
  assert.deepEqual(
    said.map(({ messageId }) => messageId),
    ['m1', 'm2', 'm3'],
  );
  assert.equal(app.connections, 2);
});

test('an app that was started anew elsewhere is found', async (t) => {
  const second = await startHttp(t);
  let root;
  const first = await startHttp(t, {
    answer: (_, __, response) => {
      response.on('finish', async () => {
        await first.close();
        write(root, { '.less/data/address.json': addressFile(second.url), moved: '' });
      });
      return undefined;
    },
  });
  root = makeApp(t, { '.less/data/address.json': addressFile(first.url) });
  const said = await run(
    root,
    `${PRELUDE} const { existsSync } = require('fs'); const { setTimeout } = require('timers/promises'); (async () => {
    await tell(topics.user_created.publish({ n: 1 }));
    while (!existsSync('moved')) await setTimeout(5);
    await tell(topics.user_created.publish({ n: 2 })); await tell(topics.user_created.publish({ n: 3 }));
  })();`,
  );
  assert.deepEqual(
    said.map(({ messageId }) => messageId),
    ['m1', 'm2', 'm3'],
  );
  assert.deepEqual([first.requests.length, second.requests.length], [1, 2]);
});

test('whether a message was stored is unknown when the connection breaks behind the request', async (t) => {
  let broken = 0;
  const app = await startHttp(t, {
    answer: (_, items, response) => {
      if (items[0].body.n !== 7) return undefined;
      broken += 1;
      response.socket.destroy();
      return true;
    },
  });
  const [error, next] = await run(
    makeApp(t),
    `${PRELUDE} (async () => { await tell(topics.user_created.publish({ n: 7 })); await tell(topics.user_created.publish({ n: 1 })); })();`,
    { env: { LESS_URL: app.url } },
  );
  assert.deepEqual([error.type, error.status, error.hint], ['urn:less:unavailable', 503, 'publish it again; with the same `idempotencyKey` both times it is stored once']);
  assert.match(
    error.message,
    /^the connection to http:\/\/127\.0\.0\.1:\d+ failed after the request was sent \(.+\); whether the message was stored is unknown\n/,
  );
  assert.deepEqual(next, ACCEPTED);
  assert.equal(broken, 1);
});

test('a message with an idempotency key is sent once more when the connection breaks', async (t) => {
  let broken = 0;
  const app = await startHttp(t, {
    answer: (_, __, response) => {
      broken += 1;
      if (broken > 1) return undefined;
      response.socket.destroy();
      return true;
    },
  });
  assert.deepEqual(
    await run(makeApp(t), `${PRELUDE} tell(topics.user_created.publish({ n: 1 }, { idempotencyKey: 'a' }));`, {
      env: { LESS_URL: app.url },
    }),
    [ACCEPTED],
  );
  assert.equal(broken, 2);
});

test('an answer that breaks off is unknown too', async (t) => {
  const app = await startHttp(t, {
    answer: (_, __, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('{"results":', () => response.socket.destroy());
      return true;
    },
  });
  assert.equal((await run(makeApp(t), PUBLISH, { env: { LESS_URL: app.url } }))[0].type, 'urn:less:unavailable');
});

test('a connection that is not taken within 2 s is given up', async (t) => {
  // Listens and never accepts: its queue is full after a few connections.
  const busy = spawn(
    process.execPath,
    [
      '-e',
      "const s = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => { process.stdout.write(String(s.address().port), () => { for (;;); }); });",
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  t.after(() => busy.kill('SIGKILL'));
  const [port] = await once(busy.stdout, 'data');
  const [error] = await run(
    makeApp(t),
    `${PRELUDE} const net = require('net'); const all = Array.from({ length: 8 }, () => net.connect(${port}, '127.0.0.1').on('error', () => {}));
    setTimeout(() => tell(topics.user_created.publish({})).then(() => process.exit()), 300);`,
    { env: { LESS_URL: `http://127.0.0.1:${port}` } },
  );
  assert.match(error.message, /^no running app answers at http:\/\/127\.0\.0\.1:\d+: no connection within 2 s\n/);
});

test('many messages are sent in batches of 10,000 and about 8 MiB, in their order', async (t) => {
  const app = await startHttp(t);
  const said = await run(
    makeApp(t),
    `${PRELUDE} (async () => {
    const ids = (all) => all.map(({ messageId }) => messageId).join() === Array.from({ length: all.length }, (_, n) => 'm' + n).join();
    say(ids(await topics.user_created.publishMany(Array.from({ length: 25_000 }, (_, n) => ({ n })))));
    say(ids(await topics.user_created.publishMany(Array.from({ length: 30 }, (_, n) => ({ n, text: 'ü'.repeat(500_000) })))));
  })();`,
    { env: { LESS_URL: app.url } },
  );
  assert.deepEqual(said, [true, true]);
  assert.deepEqual(
    app.requests.map(({ items }) => items.length),
    [10_000, 10_000, 5_000, 8, 8, 8, 6],
  );
});

test('where not all were accepted, the error has a result for each', async (t) => {
  const app = await startHttp(t, {
    answer: (_, items, response) =>
      reply(response, 200, {
        results: items.map(({ body }) =>
          body.n === 2 ? { error: { type: 'urn:less:full', status: 507, detail: 'full' } } : { message_id: `m${body.n}`, duplicate: false },
        ),
      }),
  });
  const [error] = await run(
    makeApp(t),
    `${PRELUDE} tell(topics.user_created.publishMany([{ n: 1 }, { n: 2 }, { n: 3n }, { n: 4, text: 'x'.repeat(16 << 20) }, { n: 5 }]));`,
    { env: { LESS_URL: app.url } },
  );
  assert.equal(error.name, 'PublishManyError');
  assert.match(error.message, /^3 of 5 messages were not accepted; the first error: full\n/);
  assert.deepEqual(
    error.results.map((one) => one.messageId ?? one.type),
    ['m1', 'urn:less:full', 'urn:less:not-serializable', 'urn:less:too-large', 'm5'],
  );
});

test('behind a batch that failed nothing more is sent', async (t) => {
  let batches = 0;
  const app = await startHttp(t, {
    answer: (_, __, response) => {
      batches += 1;
      return batches === 2 ? reply(response, 503, { type: 'urn:less:unavailable', status: 503, detail: 'gone' }) : undefined;
    },
  });
  const [error] = await run(
    makeApp(t),
    `${PRELUDE} tell(topics.user_created.publishMany(Array.from({ length: 40_000 }, (_, n) => ({ n }))));`,
    { env: { LESS_URL: app.url } },
  );
  assert.deepEqual(
    error.results.map((one) => (one.messageId ? 1 : 0)).reduce((sum, one) => sum + one),
    10_000,
  );
  assert.ok(error.results.slice(10_000).every((one) => one.type === 'urn:less:unavailable'));
  assert.equal(batches, 2);
});
