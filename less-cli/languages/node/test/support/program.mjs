// Runs a user's program, which is no worker.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { environment, write } from './app.mjs';
import { within } from './worker.mjs';

/** Runs the source as a file of the app to its end; gives what it printed as JSON, line by line. */
export async function run(root, source, { file = 'program.cjs', env = {}, cwd = root, node = process.execPath, args = [] } = {}) {
  write(root, { [file]: source });
  const child = spawn(node, [...args, path.join(root, file)], { cwd, env: environment(root, env), stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  try {
    const [code, signal] = await within(once(child, 'close'), () => `the program did not end: ${stdout}${stderr}`, 60_000);
    if (code !== 0) throw new Error(`the program ended with ${code ?? signal}: ${stdout}${stderr}`);
  } finally {
    child.kill('SIGKILL');
  }
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** What programs of tests begin with: `say` prints a value, `tell` prints what a promise gives or what it was rejected with. */
export const PRELUDE = `const less = require('@chuva.io/less'); const { topics, PublishError, PublishManyError } = less;
const say = (value) => console.log(JSON.stringify(value));
const facts = (e) => ({ kind: e.constructor.name, name: e.name, ...e, message: e.message, cause: undefined, results: e.results?.map((one) => one instanceof Error ? facts(one) : one) });
const tell = (promise) => Promise.resolve(promise).then(say, (e) => say(facts(e)));
`;
