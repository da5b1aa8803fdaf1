'use strict';

const path = require('node:path');
const { pathToFileURL } = require('node:url');
const util = require('node:util');

/** Longest text of an error, in bytes. */
const LIMIT = 2_000;
const DEEPEST = 8;
const PACKAGE = path.dirname(__dirname);

/** An error as text: what was thrown, where, and what caused it. Never throws, whatever was. */
function errorText(error, root, limit = LIMIT) {
  const parts = [];
  const seen = new Set();
  for (let depth = 0; depth < DEEPEST; depth += 1) {
    parts.push((depth === 0 ? '' : 'caused by: ') + one(error, root));
    seen.add(error);
    const inner = isError(error) ? safely(() => ('cause' in error ? [error.cause] : error.errors)) : undefined;
    if (!Array.isArray(inner) || inner.length === 0 || seen.has(inner[0])) break;
    [error] = inner;
  }
  return clip(parts.join('\n'), limit);
}

function one(error, root) {
  if (!isError(error))
    return `Thrown: ${safely(() => util.inspect(error, { depth: 2, breakLength: Infinity })) ?? "a value that can't be shown"}`;
  const name = string(() => error.name) || string(() => error.constructor.name) || 'Error';
  const message = string(() => error.message);
  const stack = string(() => error.stack);
  const head = relative(message ? `${name}: ${message}` : name, root);
  const lines = stack.split('\n');
  const frames = lines.filter((line) => /^\s+at /.test(line)).filter(isTheirs);
  // A syntax error begins with its place: `file:line`, the line, a marker.
  const place = /^(?:file:\/\/)?\/.*:\d+$/.test(lines[0])
    ? lines.slice(0, Math.min(4, lines.findIndex((line) => line === '') + 1 || 4))
    : [];
  return [head, ...place.filter((line) => line.trim()).map((line) => `    ${line}`), ...frames]
    .map((line) => relative(line, root))
    .join('\n');
}

/** Whether a line of a stack is about the user's code: neither ours nor Node's. */
function isTheirs(line) {
  return (
    !/\(node:|at node:|at async node:|<anonymous>\)?$/.test(line) &&
    !line.includes(PACKAGE + path.sep) &&
    !line.includes(pathToFileURL(PACKAGE).href)
  );
}

function relative(line, root) {
  if (!root) return line;
  return line.replaceAll(`${pathToFileURL(root).href}/`, '').replaceAll(root + path.sep, '');
}

function isError(value) {
  if (typeof value !== 'object' || value === null) return false;
  return (
    safely(() => value instanceof Error || util.types.isNativeError(value)) === true ||
    (safely(() => typeof value.name === 'string' && typeof value.message === 'string') ?? false)
  );
}

function string(read) {
  const value = safely(read);
  return typeof value === 'string' ? value : '';
}

/** What it gives, or undefined where it throws. */
function safely(read) {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** At most so many bytes, cut between characters. */
function clip(text, limit = LIMIT) {
  const whole = text.toWellFormed();
  if (Buffer.byteLength(whole) <= limit) return whole;
  const bytes = Buffer.from(whole.slice(0, limit));
  let end = limit - 3;
  while ((bytes[end] & 0xc0) === 0x80) end -= 1;
  return `${bytes.utf8Slice(0, end)}…`;
}

module.exports = { errorText, clip, safely };
