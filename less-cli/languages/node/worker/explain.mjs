// Says why a module could not be loaded.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import text from './text.js';

const LIMIT = 8_000;
/** Most files that are looked at for a syntax error without a place. */
const MOST_FILES = 50;

/** The text of an error at load, with the next step where there is one. */
export function explain(error, root, file) {
  let out = text.errorText(error, root, LIMIT);
  if (error instanceof SyntaxError && !/:\d+\n/.test(out)) out += placeOf(error, root, file);
  const step = hint(error, root);
  return step ? `${out}\nhint: ${step}` : out;
}

function hint(error, root) {
  const code = text.safely(() => error.code);
  const message = text.safely(() => String(error.message)) ?? '';
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
    return `this file is an ES module${existsSync(path.join(root, 'package.json')) ? ' by its name, its syntax or package.json' : ''}: use \`import\` and \`export\``;
  }
  return undefined;
}

/** Node keeps an ES module's place of a syntax error to itself: `node --check` tells it. */
function placeOf(error, root, file) {
  for (const one of candidates(root, file)) {
    const { status, stderr } = spawnSync(process.execPath, ['--check', one], { encoding: 'utf8', timeout: 5_000, env: {} });
    if (status !== 0 && stderr?.includes(String(error.message))) {
      const place = stderr
        .split('\n')
        .slice(0, 3)
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
