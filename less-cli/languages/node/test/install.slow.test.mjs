import assert from 'node:assert/strict';
import { lstatSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { makeApp } from './support/app.mjs';
import { startHttp } from './support/http.mjs';
import { npm } from './support/npm.mjs';
import { run } from './support/program.mjs';
import { readyWorker } from './support/worker.mjs';

const ONE =
  "const less = require('@chuva.io/less'); import('@chuva.io/less').then(async (m) => { console.log(JSON.stringify([m.default === less, m.topics === less.topics, await less.topics.user_created.publish({ n: 1 })])); });";
const ESM =
  "import less, { topics, Reject, RetryAfter, PublishError, PublishManyError } from '@chuva.io/less'; import { createRequire } from 'node:module'; console.log(JSON.stringify([less === createRequire(import.meta.url)('@chuva.io/less'), [Reject, RetryAfter, PublishError, PublishManyError].every((one) => typeof one === 'function'), await topics.user_created.publish({ n: 1 })]));";

test('npm install and npm ci keep the package as a file: dependency, with one instance, in programs and in handlers', async (t) => {
  const app = await startHttp(t);
  const root = makeApp(t, {
    'package.json': JSON.stringify({ name: 'shop', private: true }),
    '.less/data/address.json': JSON.stringify({ url: app.url, pid: process.pid }),
    'less/topics/user_created/send_email/index.js':
      "const less = require('@chuva.io/less'); exports.process = async () => { console.log('one', (await import('./part.mjs')).default === less); };",
    'less/topics/user_created/send_email/part.mjs': "export { default } from '@chuva.io/less';",
  });
  const check = async () => {
    const installed = path.join(root, 'node_modules/@chuva.io/less');
    assert.ok(lstatSync(installed).isSymbolicLink());
    const expected = [[true, true, { messageId: 'm1', duplicate: false }]];
    assert.deepEqual(await run(root, ONE, { env: { NODE_PATH: '' } }), expected);
    assert.deepEqual(await run(root, ESM, { file: 'web/program.mjs', env: { NODE_PATH: '' } }), expected);
    // From elsewhere the address file beside the package is found through the link.
    assert.deepEqual(await run(root, ONE, { env: { NODE_PATH: '' }, cwd: '/' }), expected);
    const worker = await readyWorker(t, undefined, { root });
    worker.deliver({});
    await worker.says('one true\n');
  };
  npm(root, 'install', './.less/node_modules/@chuva.io/less');
  await check();
  rmSync(path.join(root, 'node_modules'), { recursive: true });
  npm(root, 'ci');
  await check();
  npm(root, 'install');
  await check();
});
