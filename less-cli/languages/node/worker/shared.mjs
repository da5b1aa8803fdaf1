// Where bare imports lead that Node itself does not find: to this package, and to modules in `less/shared`.

import { realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The package's name. */
export const SELF = '@chuva.io/less';
const ENDINGS = ['', '.js', '.mjs', '.cjs', '.ts', '.json', '/index.js', '/index.mjs', '/index.cjs', '/index.ts'];

/** The file of a shared module, or undefined. */
export function sharedFile(root, specifier) {
  if (!isBare(specifier)) return undefined;
  const folder = path.join(root, 'less', 'shared');
  const base = path.join(folder, ...specifier.split('/'));
  if (!base.startsWith(folder + path.sep)) return undefined;
  const file = ENDINGS.map((ending) => base + ending).find((one) => statSync(one, { throwIfNoEntry: false })?.isFile());
  return file && realpathSync(file);
}

/** Whether an error says that there is no such module; one that is there and lacks another is something else. */
export function isMissing(error) {
  return error?.code === 'ERR_MODULE_NOT_FOUND' || error?.code === 'MODULE_NOT_FOUND';
}

/** The module that an import comes from: a compiled handler stands for its source. */
export function importer(parentURL) {
  if (!parentURL?.startsWith('file:')) return parentURL;
  const source = new URL(parentURL).searchParams.get('less-source');
  return source ? pathToFileURL(source).href : parentURL;
}

function isBare(specifier) {
  return !/^(\.{0,2}\/|\.{1,2}$|#|[a-z][a-z+.-]*:)/i.test(specifier) && specifier !== '';
}

/** Where this package is, if it is asked for: always the one that the worker runs from. */
export function selfUrl(specifier, conditions, folder) {
  if (specifier !== SELF) return undefined;
  return pathToFileURL(path.join(folder, conditions?.includes('require') ? 'index.js' : 'index.mjs')).href;
}

/** This package's real folder. */
export const PACKAGE = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
