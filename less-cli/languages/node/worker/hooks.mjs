// Resolve hooks for Node.js without `module.registerHooks`: they run in a thread of their own, and serve `import` only.

import { pathToFileURL } from 'node:url';
import { PACKAGE, importer, isMissing, selfUrl, sharedFile } from './shared.mjs';

let root;

export function initialize(data) {
  root = data.root;
}

export async function resolve(specifier, context, next) {
  const url = selfUrl(specifier, context.conditions, PACKAGE);
  if (url) return { url, shortCircuit: true };
  try {
    return await next(specifier, { ...context, parentURL: importer(context.parentURL) });
  } catch (error) {
    const file = isMissing(error) && sharedFile(root, specifier);
    if (file) return { url: pathToFileURL(file).href, shortCircuit: true };
    throw error;
  }
}
