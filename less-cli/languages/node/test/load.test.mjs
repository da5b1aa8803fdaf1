import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { makeApp, write } from './support/app.mjs';
import { readyWorker, startWorker } from './support/worker.mjs';

/** Why a handler can't be loaded. */
async function failure(t, source, options) {
  const worker = startWorker(t, source, options);
  const frame = await worker.next();
  assert.equal(frame.type, 'failed', JSON.stringify(frame));
  assert.deepEqual(await worker.end(), { code: 1, signal: null });
  assert.ok(!frame.error.includes(worker.root), frame.error);
  assert.doesNotMatch(frame.error, /worker\.mjs|node:internal|@chuva/, frame.error);
  return frame.error;
}

async function handles(t, source, options) {
  const worker = await readyWorker(t, source, options);
  worker.deliver({ n: 1 });
  assert.deepEqual(await worker.outcomes(1), { 1: 'done' });
  return worker;
}

const PLACE = 'less/topics/user_created/send_email/index';

test('a handler is found however it is exported', async (t) => {
  const ways = [
    ['index.js', 'exports.process = async (message) => { console.log("got", message.n, process.version); };'],
    ['index.js', 'module.exports = { process(message) { console.log("got", message.n, this.more); }, more: "v" };'],
    ['index.js', 'module.exports.process = function process(message) { console.log("got", message.n, "v"); };'],
    [
      'index.js',
      'Object.defineProperty(exports, "__esModule", { value: true }); exports.default = { process: (message) => console.log("got", message.n, "v") };',
    ],
    ['index.js', 'export async function process(message) { console.log("got", message.n, "v"); }', { 'package.json': '{"type":"module"}' }],
    ['index.mjs', 'export async function process(message) { console.log("got", message.n, "v"); }'],
    ['index.mjs', 'export const process = (message) => console.log("got", message.n, "v");'],
    ['index.mjs', 'export default { process: (message) => console.log("got", message.n, "v") };'],
    ['index.mjs', 'export default function process(message) { console.log("got", message.n, "v"); }'],
    ['index.mjs', 'export default async (message) => { console.log("got", message.n, "v"); };'],
    [
      'index.mjs',
      'await null; class Handler { more = "v"; process(message) { console.log("got", message.n, this.more); } } export default new Handler();',
    ],
  ];
  for (const [file, source, files] of ways) await (await handles(t, source, { file, files })).says('got 1 v');
});

test('a handler that is missing is told with its likely name', async (t) => {
  const none = 'add `exports.process = async (message, context) => {}`, or `export async function process(message, context) {}`';
  const ways = [
    ['index.js', 'exports.proces = () => {};', 'rename `proces` to `process`'],
    ['index.js', 'exports.Process = () => {}; exports.other = () => {};', 'rename `Process` to `process`'],
    ['index.js', 'exports.handler = () => {}; exports.other = () => {};', 'rename `handler` to `process`'],
    ['index.js', 'exports.process = "text";', 'its `process` is of type string; make it a function of the message'],
    ['index.js', 'module.exports = null;', none],
    ['index.js', '', none],
    ['index.mjs', 'export function handle() {} export const x = 1;', 'rename `handle` to `process`'],
    ['index.mjs', 'export default function consume() {}', 'rename `consume` to `process`'],
  ];
  for (const [file, source, hint] of ways) {
    assert.equal(
      await failure(t, source, { file }),
      `${file} exports no function \`process\`\n  --> ${path.dirname(PLACE)}/${file}\nhint: ${hint}`,
    );
  }
});

test('a generator would never run', async (t) => {
  const ways = [
    ['index.js', 'exports.process = async function* (message) {};'],
    ['index.js', 'module.exports = { *process(message) {} };'],
    ['index.mjs', 'export async function* process(message) {}'],
    ['index.mjs', 'export default function* process(message) {}'],
  ];
  for (const [file, source] of ways) {
    assert.equal(
      await failure(t, source, { file }),
      `\`process\` is a generator function (\`function*\`): calling it would run none of it\n  --> ${path.dirname(PLACE)}/${file}\nhint: do the work without \`yield\`, in an \`async function\``,
    );
  }
});

test('a syntax error is told with its place, in CommonJS, in ES modules and in what they import', async (t) => {
  const broken = 'const fine = 1;\nconst = 2;\n';
  for (const file of ['index.js', 'index.mjs']) {
    const error = await failure(t, broken, { file });
    assert.match(error, /^SyntaxError: Unexpected token '='/);
    assert.ok(error.includes(`${path.dirname(PLACE)}/${file}:2\n`), error);
    assert.ok(error.includes('const = 2;'), error);
  }
  const error = await failure(t, "import './part.mjs'; export const process = () => {};", {
    file: 'index.mjs',
    files: { [`${path.dirname(PLACE)}/part.mjs`]: broken },
  });
  assert.ok(error.includes(`${path.dirname(PLACE)}/part.mjs:2\n`), error);
});

test('a syntax error at the end of a file is told with its place, once', async (t) => {
  for (const file of ['index.js', 'index.mjs']) {
    const error = await failure(t, 'const process = () => {\n', { file });
    assert.equal(error, `SyntaxError: Unexpected end of input\n    ${path.dirname(PLACE)}/${file}:2`);
  }
});

test('CommonJS in an ES module is told with what to write, and never with a name that no handler has', async (t) => {
  const files = { 'package.json': '{"type":"module"}' };
  const write = 'hint: write `export async function process(message, context) {}`, or';
  const ways = [
    ['index.js', 'exports.process = () => {};', `${write} put a package.json with \`{ "type": "commonjs" }\` beside it`, files],
    ['index.js', 'module.exports = {};', `${write} put a package.json with \`{ "type": "commonjs" }\` beside it`, files],
    ['index.mjs', 'exports.process = () => {};', `${write} name the file \`index.js\``],
    [
      'index.js',
      'require("fs");',
      'hint: this file is an ES module by its name, its syntax or package.json: use `import` and `export`',
      files,
    ],
  ];
  for (const [file, source, hint, more] of ways) {
    const error = await failure(t, source, { file, files: more });
    assert.ok(error.endsWith(`\n${hint}`), error);
    assert.doesNotMatch(error, /cjs/);
  }
});

test('a path alias of tsconfig.json is told from a package', async (t) => {
  const files = {
    'tsconfig.json':
      '{ "compilerOptions": { /* ours */ "paths": { "*": ["./less/shared/*"], "@src/*": ["./src/*"], "lib/*": ["./lib/*"], "exact": [] } } }',
  };
  const loads = (name) => failure(t, `import '${name}'; export const process = () => {};`, { file: 'index.mjs', files });
  for (const name of ['@src/util', '@src/deep/util', 'lib/util', 'exact', '@/util', '~/util']) {
    assert.match(
      await loads(name),
      /\nhint: path aliases of tsconfig\.json are not supported: import it by a relative path, or put it into `less\/shared` [^\n]*$/,
    );
  }
  assert.match(await loads('@srcs/util'), /\nhint: install it with `npm install @srcs\/util`/);
});

test('a missing dependency is told with how to install it', async (t) => {
  assert.match(
    await failure(t, "require('@some/where/deep'); exports.process = () => {};"),
    /^Error: Cannot find module '@some\/where\/deep'[^]*index\.js:1:1[^]*hint: install it with `npm install @some\/where`/,
  );
  assert.match(
    await failure(t, "import x from 'nowhere'; export const process = () => {};", { file: 'index.mjs' }),
    /^Error: Cannot find package 'nowhere' imported from less\/topics[^]*hint: install it with `npm install nowhere`, or write `less\/shared\/nowhere.js`$/,
  );
  assert.match(await failure(t, "require('./part'); exports.process = () => {};"), /^Error: Cannot find module '\.\/part'/);
});

test('what is thrown or rejected while loading is told with its place', async (t) => {
  assert.match(
    await failure(t, 'throw new RangeError("at load");'),
    new RegExp(`^RangeError: at load\n    at [^\n]*${PLACE}\\.js:1:7\\)?$`),
  );
  assert.match(
    await failure(t, 'await Promise.reject(new RangeError("at load"));', { file: 'index.mjs' }),
    new RegExp(`^RangeError: at load\n    at [^\n]*${PLACE}\\.mjs:1:22\\)?`),
  );
  assert.equal(await failure(t, 'throw undefined;'), 'Thrown: undefined');
  assert.match(
    await failure(t, 'require("./part.js");', { files: { [`${path.dirname(PLACE)}/part.js`]: '\nnull.x;' } }),
    /^TypeError: Cannot read[^]*part\.js:2:6/,
  );
  assert.equal(await failure(t, undefined), `there is no \`${PLACE}.js\`\nhint: run \`less build\``);
});

test('what a module leaves behind and fails while it is loaded fails the loading', async (t) => {
  assert.match(
    await failure(t, 'setImmediate(() => { throw new RangeError("behind"); }); await new Promise(() => {});', { file: 'index.mjs' }),
    /^RangeError: behind\n    at .*index\.mjs:1:28\)/,
  );
  assert.match(
    await failure(t, 'Promise.reject(new RangeError("behind")); await new Promise(() => {});', { file: 'index.mjs' }),
    /^a promise was rejected and nobody handled it: RangeError: behind\n/,
  );
});

test('an app behind a link is the app', async (t) => {
  const real = makeApp(t, {
    ...SHARED,
    [`${PLACE}.mjs`]:
      "import * as plain from 'plain'; import { createRequire } from 'node:module'; export const process = () => { throw new Error(String(plain.default === createRequire(import.meta.url)('plain'))); };",
  });
  const root = `${real}/link`;
  symlinkSync(real, root);
  const worker = await readyWorker(t, undefined, { root, file: 'index.mjs' });
  worker.deliver({});
  assert.match((await worker.outcomes(1))[1].error, /^Error: true\n    at process \(less\/topics\//);
});

test('another version of the protocol is refused', async (t) => {
  assert.match(
    await failure(t, 'exports.process = () => {};', { hello: { protocol: 2 } }),
    /^this worker speaks protocol 1, the app asks for 2\nhint: run `less build`$/,
  );
});

const SHARED = {
  'less/shared/plain.js': 'exports.name = "plain";',
  'less/shared/folder/index.js': 'exports.name = "folder";',
  'less/shared/folder/deep.js': 'exports.name = "deep";',
  'less/shared/modern.mjs': 'export const name = "modern";',
  'less/shared/user/index.mjs':
    "import { topics } from '@chuva.io/less'; import { name as plain } from 'plain'; export const name = `user of ${plain} ${topics.order_paid.id}`;",
  'less/shared/lodash.js': 'exports.name = "shared lodash";',
  'node_modules/lodash/index.js': 'exports.name = "installed lodash";',
  'node_modules/lodash/package.json': '{"name":"lodash"}',
  [`${path.dirname(PLACE)}/nested/far/part.mjs`]:
    "import { name } from 'plain'; import { topics } from '@chuva.io/less'; export default `${name} from afar ${topics.user_created.id}`;",
};

test('modules in less/shared and this package are imported from every file, and what is installed goes first', async (t) => {
  const worker = await handles(
    t,
    `
    import { name as plain } from 'plain'; import { name as folder } from 'folder'; import { name as deep } from 'folder/deep'; import { name as modern } from 'modern';
    import { name as user } from 'user'; import lodash from 'lodash'; import part from './nested/far/part.mjs';
    const lazy = await import('plain');
    export const process = () => console.log([plain, folder, deep, modern, user, lodash.name, part, lazy.name].join(','));`,
    { file: 'index.mjs', files: SHARED },
  );
  await worker.says('plain,folder,deep,modern,user of plain order_paid,installed lodash,plain from afar user_created,plain\n');
});

test('modules in less/shared are required from every file, and what is installed goes first', async (t) => {
  const worker = await handles(
    t,
    `
    const all = [require('plain'), require('folder'), require('folder/deep'), require('lodash')];
    exports.process = async () => { all.push(await import('modern'), await import('plain')); console.log(all.map((one) => one.name).join(',')); };`,
    { files: SHARED },
  );
  await worker.says('plain,folder,deep,installed lodash,modern,plain\n');
});

test('a shared module that lacks something names what it lacks', async (t) => {
  assert.match(
    await failure(t, "import 'halved'; export const process = () => {};", {
      file: 'index.mjs',
      files: { 'less/shared/halved.js': "require('absent');" },
    }),
    /^Error: Cannot find module 'absent'/,
  );
});

test('a shared module outside of less/shared is not found', async (t) => {
  for (const name of ['..', '../secret', 'x/../../secret', 'x/../../../secret.js']) {
    assert.match(
      await failure(t, `await import(${JSON.stringify(name)}); export const process = () => {};`, {
        file: 'index.mjs',
        files: { 'less/secret.js': '', 'secret.js': '' },
      }),
      /Error/,
    );
  }
});

test('CommonJS and ES modules share one instance, also beside an installed copy', async (t) => {
  const root = makeApp(t, {
    [`${PLACE}.js`]:
      "const less = require('@chuva.io/less'); exports.process = async () => { const m = await import('./part.mjs'); console.log('same', m.default === less, m.less.topics === less.topics, m.topics === less.topics, m.Reject === less.Reject); };",
    [`${path.dirname(PLACE)}/part.mjs`]:
      "import less, { topics, Reject } from '@chuva.io/less'; import * as all from '@chuva.io/less'; export { topics, Reject, all as less }; export default less;",
  });
  write(root, {
    'node_modules/@chuva.io/less/index.js': 'throw new Error("the copy was loaded");',
    'node_modules/@chuva.io/less/package.json': '{"name":"@chuva.io/less"}',
  });
  await (await handles(t, undefined, { root })).says('same true true true true\n');
});

test('TypeScript runs, or says what it needs', async (t) => {
  const source = 'export const process = (message: unknown): void => {};';
  if (process.features.typescript) {
    await handles(t, source, { file: 'index.ts' });
    return;
  }
  assert.equal(
    await failure(t, source, { file: 'index.ts' }),
    `index.ts is TypeScript, which Node.js ${process.version} can't run by itself\n  --> ${PLACE}.ts\nhint: use Node.js 22.18 or later, or run \`npm install --save-dev esbuild\``,
  );
});
