'use strict';

const { PublishError } = require('./errors.js');
const { show } = require('./options.js');

/** A message as JSON text. What JSON leaves out inside of objects (`undefined`, functions) is left out here too. */
function encodeMessage(message) {
  let text;
  try {
    text = JSON.stringify(message);
  } catch (error) {
    throw refused(blame(message, '', []) ?? String(error?.message ?? error), error);
  }
  // A string is what fits; `undefined`, a function and a symbol give none.
  if (typeof text !== 'string') throw refused(`it is ${show(message)}`);
  return text;
}

function refused(what, cause) {
  return new PublishError(`the message can't be written as JSON: ${what}`, { type: 'urn:less:not-serializable', cause });
}

/** What in a value is to blame, with its place as a JSON pointer. */
function blame(value, pointer, above) {
  const at = pointer === '' ? 'it' : `\`${pointer}\``;
  if (typeof value === 'bigint') return `${at} is a BigInt; write it as a string or as a number`;
  if (typeof value !== 'object' || value === null) return undefined;
  if (above.includes(value)) return `${at} refers back to ${above[0] === value ? 'the whole message' : 'an object that holds it'}: a cycle`;
  if (above.length > 500) return 'it is nested too deeply';
  try {
    if (typeof value.toJSON === 'function') {
      const other = value.toJSON();
      return other === value ? undefined : blame(other, pointer, above);
    }
    for (const name of Object.keys(value)) {
      const found = blame(value[name], `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, [...above, value]);
      if (found) return found;
    }
  } catch (error) {
    return `${at} throws: ${error?.message ?? error}`;
  }
  return undefined;
}

module.exports = { encodeMessage };
