// Says why a module could not be loaded.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import text from './text.js';

const LIMIT = 8_000;
/** Most files that are looked at for a syntax error without a place. */
const MOST_FILES = 50;
/** What Node advises: a name that no handler has. */
const RENAME = / To treat it as a CommonJS script, rename it to use the '\.cjs' file extension\./;

/** The text of an error at load, with the next step where there is one. */
export function explain(error, root, file) {
  let out = text.errorText(error, root, LIMIT);
  if (error instanceof SyntaxError && !/^ {4}.*:\d+$/m.test(out)) out += placeOf(error, root, file);
  const inHandler = /^ {4}at (.*)$/m.exec(out)?.[1].includes(`${path.relative(root, file)}:`) ?? false;
  if (inHandler) out = out.replace(RENAME, '');
  const step = hint(error, root, inHandler && file);
  return step ? `${out}\nhint: ${step}` : out;
}

function hint(error, root, handler) {
  const code = text.safely(() => error.code);
  const message = text.safely(() => String(error.message)) ?? '';
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND' || code === 'ERR_PACKAGE_IMPORT_NOT_DEFINED') {
    const name = /Cannot find (?:package|module) '([^']+)'|specifier "([^"]+)"/.exec(message)?.slice(1).find(Boolean);
    if (name && isAlias(name, root)) {
      return 'path aliases of tsconfig.json are not supported: import it by a relative path, or put it into `less/shared` and import it by its name there';
    }
  }
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') {
    const name = /Cannot find (?:package|module) '([^']+)'/.exec(message)?.[1];
    if (name && /^(@[\w.-]+\/)?[a-z0-9][\w.-]*(\/|$)/i.test(name)) {
      const pack = name
        .split('/')
        .slice(0, name.startsWith('@') ? 2 : 1)
        .join('/');
      return `install it with \`npm install ${pack}\`, or write \`less/shared/${name}.js\``;
    }
  }
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION' && message.includes('.ts')) {
    return 'TypeScript in `less/shared` that JavaScript imports needs Node.js 22.18 or later';
  }
  if (code === 'ERR_REQUIRE_ESM' || code === 'ERR_REQUIRE_ASYNC_MODULE') return 'use `await import(…)` instead of `require(…)` for it';
  if (error instanceof ReferenceError && /(require|module|exports) is not defined/.test(message)) {
    if (handler && !message.startsWith('require'))
      return `write \`export async function process(message, context) {}\`, ${staying(handler, message)}`;
    return `this file is an ES module${existsSync(path.join(root, 'package.json')) ? ' by its name, its syntax or package.json' : ''}: use \`import\` and \`export\``;
  }
  return undefined;
}

/** How a handler stays CommonJS. */
function staying(handler, message) {
  if (handler.endsWith('.mjs')) return 'or name the file `index.js`';
  if (message.includes('"type": "module"')) return 'or put a package.json with `{ "type": "commonjs" }` beside it';
  return 'or use `require` in place of `import`';
}

/** Whether only a compiler could know it: by how it is written, or by what the app's tsconfig.json says. */
function isAlias(name, root) {
  if (/^(@\/|~)/.test(name)) return true;
  return ['tsconfig.json', 'jsconfig.json'].some((file) => {
    const config = text.safely(() => readFileSync(path.join(root, file), 'utf8')) ?? '';
    const paths = /"paths"\s*:\s*\{([^}]*)\}/.exec(config)?.[1] ?? '';
    return [...paths.matchAll(/"([^"]+)"\s*:/g)].some(([, alias]) => {
      const [before, after] = alias.split('*');
      if (after === undefined) return name === alias;
      // Of a package's module Node names the package alone.
      return before !== '' && (name.startsWith(before) || `${name}/` === before);
    });
  });
}

/** Node keeps an ES module's place of a syntax error to itself: `node --check` tells it. */
function placeOf(error, root, file) {
  for (const one of candidates(root, file)) {
    const { status, stderr } = spawnSync(process.execPath, ['--check', one], { encoding: 'utf8', timeout: 5_000, env: {} });
    if (status !== 0 && stderr?.includes(String(error.message))) {
      const place = stderr
        .split('\n')
        .slice(0, 3)
        .filter((line) => line.trim())
        .map((line) => `    ${line}`)
        .join('\n');
      return `\n${place.replaceAll(`file://${root}/`, '').replaceAll(`${root}/`, '')}`;
    }
  }
  return '';
}

function candidates(root, file) {
  const all = [file];
  for (const folder of [path.dirname(file), path.join(root, 'less', 'shared')]) {
    if (!existsSync(folder)) continue;
    for (const entry of readdirSync(folder, { recursive: true })) {
      const one = path.join(folder, String(entry));
      if (/\.m?js$/.test(one) && !one.includes('node_modules') && !all.includes(one)) all.push(one);
      if (all.length >= MOST_FILES) return all;
    }
  }
  return all;
}
