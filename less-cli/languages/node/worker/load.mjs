// Loads a handler's file, and finds its `process`.

import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { findProcess } from './exports.mjs';
import { explain } from './explain.mjs';
import { hookInto } from './resolve.mjs';
import { LoadError } from './load_error.mjs';
import { importTypeScript } from './typescript.mjs';

export { LoadError };

/** How long a module may take until its top level is through, in milliseconds. */
const PATIENCE = 30_000;
/** Frames of a stack while a module is loaded. */
const DEEP = 50;

/** The handler: a function of a message and a context. Throws a LoadError, whose text is for the user. */
export async function load(root, file) {
  hookInto(root);
  const whole = path.join(root, file);
  if (!existsSync(whole)) throw new LoadError(`there is no \`${file}\`\nhint: run \`less build\``);
  let namespace;
  // Node's own frames come first in errors of loading: ten lines would not reach the user's.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = DEEP;
  try {
    const loading = file.endsWith('.ts') ? importTypeScript(root, whole) : import(pathToFileURL(whole).href);
    namespace = await inTime(loading, file);
  } catch (error) {
    if (error instanceof LoadError) throw error;
    throw new LoadError(explain(error, root, whole));
  } finally {
    if (Error.stackTraceLimit === DEEP) Error.stackTraceLimit = stackTraceLimit;
  }
  return findProcess(namespace, file);
}

async function inTime(loading, file) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new LoadError(
          `${path.basename(file)} was not loaded within ${PATIENCE / 1000} s: an \`await\` at its top level does not end\n  --> ${file}\nhint: await inside of \`process\`, or give what is awaited a timeout`,
        ),
      );
    }, PATIENCE);
  });
  try {
    return await Promise.race([loading, late]);
  } finally {
    clearTimeout(timer);
  }
}
