import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeApp } from './support/app.mjs';
import { startHttp } from './support/http.mjs';
import { PRELUDE, run } from './support/program.mjs';
import { startWorker, within } from './support/worker.mjs';

test('an await at the top level that never ends is told after 30 s', { timeout: 60_000 }, async (t) => {
  const worker = startWorker(t, 'await new Promise(() => {}); export const process = () => {};', { file: 'index.mjs' });
  const frame = await within(
    (async () => {
      for (;;) {
        try {
          return await worker.next();
        } catch (error) {
          if (!/no frame came/.test(error.message)) throw error;
        }
      }
    })(),
    () => 'nothing was told',
    45_000,
  );
  assert.equal(frame.type, 'failed');
  assert.match(
    frame.error,
    /^index\.mjs was not loaded within 30 s: an `await` at its top level does not end\n  --> less\/topics\/user_created\/send_email\/index\.mjs\nhint: /,
  );
  assert.deepEqual(await worker.end(), { code: 1, signal: null });
});

test('an app that does not answer is given up after 30 s', { timeout: 60_000 }, async (t) => {
  const app = await startHttp(t, { answer: () => true });
  const [error] = await run(makeApp(t), `${PRELUDE} tell(topics.user_created.publish({}));`, { env: { LESS_URL: app.url } });
  assert.match(error.message, /failed after the request was sent \(no answer within 30 s\); whether the message was stored is unknown/);
});

test('publishes that wait for a connection are sent once, however long answers take', { timeout: 60_000 }, async (t) => {
  const app = await startHttp(t, {
    answer: () =>
      new Promise((resolve) => {
        setTimeout(resolve, 2_500);
      }),
  });
  const said = await run(
    makeApp(t),
    `${PRELUDE} Promise.all(Array.from({ length: 150 }, (_, n) => tell(topics.user_created.publish({ n }))));`,
    { env: { LESS_URL: app.url } },
  );
  assert.deepEqual(said.map(({ messageId }) => messageId).sort(), Array.from({ length: 150 }, (_, n) => `m${n}`).sort());
  assert.equal(app.requests.length, 150);
});
