import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { makeApp } from './support/app.mjs';
import { installNode, npm } from './support/npm.mjs';
import { readyWorker, startWorker } from './support/worker.mjs';

const ESBUILD = '0.25.12';
const STRIPPING = { 22: '22.18.0', 24: '24.11.1' };
const FOLDER = 'less/topics/user_created/send_email';
const FILES = {
  'less/shared/format.ts': 'export const format = (text: string): string => `<${text}>`;',
  'less/shared/plain.js': 'exports.name = "plain";',
  [`${FOLDER}/part.ts`]:
    'export type Part = { n: number };\nexport const part: string = "part";\nexport function fail(part: Part): never {\n  throw new RangeError(`no ${part.n}`);\n}\n',
};
const HANDLER = `import { topics } from '@chuva.io/less';
import type { Part } from './part.ts';
import { part, fail } from './part.ts';
import { format } from 'format';
import { name } from 'plain';
import dependency from 'dependency';

export async function process(message: Part, context: { attempt: number }): Promise<void> {
  if (message.n === 2) fail(message);
  console.log('got', message.n, context.attempt, part, format('x'), name, dependency, topics.order_paid.id);
}
`;
const DEPENDENCY = {
  'node_modules/dependency/package.json': '{"name":"dependency","main":"main.js"}',
  'node_modules/dependency/main.js': 'module.exports = "installed";',
};

async function check(t, options) {
  const worker = await readyWorker(t, undefined, { file: 'index.ts', ...options });
  worker.deliver({ n: 1 }, { n: 2 });
  const outcomes = await worker.outcomes(2);
  assert.equal(outcomes[1], 'done', outcomes[1].error);
  await worker.says('got 1 1 part <x> plain installed order_paid\n');
  assert.match(
    outcomes[2].error,
    /^RangeError: no 2\n    at fail \(less\/topics\/user_created\/send_email\/part\.ts:4:\d+\)\n    at .*less\/topics\/user_created\/send_email\/index\.ts:9:\d+\)/,
  );
  assert.doesNotMatch(outcomes[2].error, /\.less\/cache/);
}

test(
  "TypeScript is compiled by the project's esbuild, where Node.js can't strip types or meets more than types",
  { timeout: 300_000 },
  async (t) => {
    const root = makeApp(t, { 'package.json': '{"name":"shop","private":true}' });
    npm(root, 'install', '--save-dev', '--save-exact', `esbuild@${ESBUILD}`);
    const { write } = await import('./support/app.mjs');
    write(root, { ...FILES, ...DEPENDENCY, [`${FOLDER}/index.ts`]: HANDLER });
    const node = installNode(makeApp(t), '20.19.5');
    await check(t, { root, node });
    assert.ok(existsSync(`${root}/.less/cache/node`));

    write(root, { [`${FOLDER}/index.ts`]: "enum Kind { A = 'a' }\nexport const process = (): void => { console.log('enum', Kind.A); };" });
    const worker = await readyWorker(t, undefined, { file: 'index.ts', root });
    worker.deliver({});
    await worker.says('enum a\n');

    write(root, {
      [`${FOLDER}/index.ts`]:
        "import type { X } from './x';\nconst { name } = require('plain');\nexports.process = (message: X): void => { console.log('cjs', name, typeof module); };",
    });
    const cjs = await readyWorker(t, undefined, { file: 'index.ts', root, node });
    cjs.deliver({});
    await cjs.says('cjs plain object\n');

    write(root, { [`${FOLDER}/index.ts`]: 'export const process = (: void => {};' });
    const broken = await startWorker(t, undefined, { file: 'index.ts', root, node }).next();
    assert.match(broken.error, /^SyntaxError: .*\n    less\/topics\/user_created\/send_email\/index\.ts:1\n    export const process/);
  },
);

for (const [major, version] of Object.entries(STRIPPING)) {
  test(`TypeScript runs on Node.js ${major} without anything installed`, { timeout: 300_000 }, async (t) => {
    const node = installNode(makeApp(t), version);
    const root = makeApp(t, { ...FILES, ...DEPENDENCY, [`${FOLDER}/index.ts`]: HANDLER });
    await check(t, { root, node });
    assert.ok(!existsSync(`${root}/.less/cache`));
  });
}
