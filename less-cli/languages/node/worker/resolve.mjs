// Makes bare imports of this package and of modules in `less/shared` work in every file, without any installation.

import module from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { PACKAGE, SELF, importer, isMissing, selfUrl, sharedFile } from './shared.mjs';

let hooked = false;

/** Puts the hooks in place for the app. */
export function hookInto(root) {
  // Tests load several handlers in one process.
  if (hooked) return;
  hooked = true;
  if (typeof module.registerHooks === 'function') {
    module.registerHooks({ resolve: (specifier, context, next) => resolve(root, specifier, context, next) });
    return;
  }
  module.register('./hooks.mjs', { parentURL: import.meta.url, data: { root } });
  hookIntoRequire(root);
}

function resolve(root, specifier, context, next) {
  const url = selfUrl(specifier, context.conditions, PACKAGE);
  if (url) return { url, shortCircuit: true };
  try {
    return next(specifier, { ...context, parentURL: importer(context.parentURL) });
  } catch (error) {
    const file = isMissing(error) && sharedFile(root, specifier);
    if (file) return { url: pathToFileURL(file).href, shortCircuit: true };
    throw error;
  }
}

/** `require` asks no hook before `registerHooks`, and NODE_PATH knows neither `.mjs` nor `.ts`. */
function hookIntoRequire(root) {
  const Module = module.Module;
  const original = Module._resolveFilename;
  Module._resolveFilename = function resolveFilename(request, parent, ...rest) {
    if (request === SELF) return path.join(PACKAGE, 'index.js');
    try {
      return original.call(this, request, parent, ...rest);
    } catch (error) {
      const file = isMissing(error) && sharedFile(root, request);
      if (file) return file;
      throw error;
    }
  };
}
