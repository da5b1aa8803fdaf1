// Finds the function `process` in what a module exports.

import path from 'node:path';
import { types } from 'node:util';
import nearestModule from '../client/nearest.js';
import { LoadError } from './load_error.mjs';

/** Names that people give to a handler, far from `process` as they are. */
const USUAL = ['handler', 'handle', 'run', 'main', 'consume', 'execute', 'on_message', 'onMessage'];

/** The handler among a module's exports, called as a method of what holds it. */
export function findProcess(namespace, file) {
  const holders = [namespace, namespace.default];
  // What a compiler made of `export default` in CommonJS.
  if (namespace.default?.__esModule) holders.push(namespace.default.default);
  for (const holder of holders) {
    const found = member(holder);
    if (typeof found !== 'function') continue;
    refuseGenerator(found, file);
    // The exports of CommonJS are the default of what is imported: its `this` is theirs.
    const self = member(namespace.default) === found ? namespace.default : holder;
    return self === namespace ? found : (message, context) => found.call(self, message, context);
  }
  for (const holder of holders.slice(1)) {
    if (typeof holder !== 'function' || !['process', 'default', ''].includes(holder.name)) continue;
    refuseGenerator(holder, file);
    return holder;
  }
  throw new LoadError(`${path.basename(file)} exports no function \`process\`\n  --> ${file}\nhint: ${hint(holders)}`);
}

/** Its messages would count as done, and nothing would have happened. */
function refuseGenerator(found, file) {
  if (!types.isGeneratorFunction(found)) return;
  throw new LoadError(
    `\`process\` is a generator function (\`function*\`): calling it would run none of it\n  --> ${file}\nhint: do the work without \`yield\`, in an \`async function\``,
  );
}

function member(holder) {
  // A function's own `process` is not meant by `export default function`.
  return typeof holder === 'object' && holder !== null ? holder.process : undefined;
}

function hint(holders) {
  const wrong = holders.map(member).find((found) => found !== undefined);
  if (wrong !== undefined)
    return `its \`process\` is ${wrong === null ? 'null' : `of type ${typeof wrong}`}; make it a function of the message`;
  const names = [
    ...new Set(
      holders.flatMap((holder) =>
        typeof holder === 'object' && holder !== null ? Object.keys(holder).filter((name) => typeof holder[name] === 'function') : [],
      ),
    ),
  ].filter((name) => name !== 'module.exports' && name !== 'default');
  for (const holder of holders.slice(1)) if (typeof holder === 'function' && holder.name) names.push(holder.name);
  const meant =
    nearestModule.nearest('process', names) ?? names.find((name) => USUAL.includes(name)) ?? (names.length === 1 ? names[0] : undefined);
  if (meant) return `rename \`${meant}\` to \`process\``;
  return 'add `exports.process = async (message, context) => {}`, or `export async function process(message, context) {}`';
}
