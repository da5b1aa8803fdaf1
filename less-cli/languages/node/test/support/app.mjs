// A fake app: a folder in a temporary place with this package in it as `less build` puts it there.

import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const APP = { app: 'shop', topics: { user_created: 'UserCreated', order_paid: null }, types: ['UserCreated'] };

/** Makes an app with these files; `test` removes it when it ends. */
export function makeApp(test, files = {}, app = APP) {
  const root = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'less-node-')));
  test.after(() => rmSync(root, { recursive: true, force: true }));
  const folder = path.join(root, '.less', 'node_modules', '@chuva.io', 'less');
  for (const name of ['package.json', 'index.js', 'index.mjs', 'testing.js', 'testing.mjs', 'worker.mjs', 'client', 'worker']) {
    cpSync(path.join(SOURCE, name), path.join(folder, name), { recursive: true });
  }
  write(folder, { 'app.json': JSON.stringify(app), 'index.d.ts': '' });
  write(root, files);
  return root;
}

/** Writes files into a folder. */
export function write(folder, files) {
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
}

/** The environment of a worker or a program of the app's folder, without settings of whoever runs the tests. */
export function environment(root, more = {}) {
  const env = { ...process.env, NODE_PATH: `${root}/.less/node_modules:${root}/less/shared`, ...more };
  for (const name of ['LESS_URL', 'LESS_API_KEY', 'LESS_DATA', 'NODE_OPTIONS', 'NODE_TEST_CONTEXT'])
    if (!Object.hasOwn(more, name)) delete env[name];
  return env;
}
