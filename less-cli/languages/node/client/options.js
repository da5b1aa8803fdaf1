'use strict';

const { nearest } = require('./nearest.js');

const DAY = 86_400_000;
const LONGEST = 365 * DAY;
const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: DAY };
/** Most attributes of a message; SQS takes no more. */
const MAX_ATTRIBUTES = 10;

/** A duration as whole milliseconds: "500ms", "30s", "5m", "2h", "7d" or a number of milliseconds; at most 365 days. */
function milliseconds(value, option) {
  let ms = NaN;
  if (typeof value === 'number') ms = Math.ceil(value);
  if (typeof value === 'string') {
    const match = /^(\d{1,15}) ?(ms|s|m|h|d)$/.exec(value);
    if (match) ms = Number(match[1]) * UNITS[match[2]];
  }
  if (!(ms >= 0 && ms <= LONGEST)) {
    throw new TypeError(
      `\`${option}\` is ${show(value)}; it must be "500ms", "30s", "5m", "2h", "7d" or a number of milliseconds, at most 365 days`,
    );
  }
  return ms;
}

const CHECKS = {
  key: (value) => text(value, 'key', 1, 128),
  idempotencyKey: (value) => text(value, 'idempotencyKey', 1, 128),
  traceparent: (value) => text(value, 'traceparent', 0, 256),
  delay: (value) => milliseconds(value, 'delay'),
  attributes,
};
const FIELDS = { key: 'key', idempotencyKey: 'idempotency_key', traceparent: 'traceparent', delay: 'delay_ms', attributes: 'attributes' };

/** The options as they are sent: `,"key":"…"` and so on, to be put behind a message's body. */
function encodeOptions(options) {
  let out = '';
  for (const [name, value] of given(options)) out += `,"${FIELDS[name]}":${JSON.stringify(CHECKS[name](value))}`;
  return out;
}

/** As `encodeOptions`, for many messages: `key` and `idempotencyKey` may be functions of the message. */
function encodeOptionsOfMany(options, messages) {
  const own = [];
  let common = '';
  for (const [name, value] of given(options)) {
    if (typeof value === 'function' && (name === 'key' || name === 'idempotencyKey')) own.push([name, value]);
    else if (name === 'idempotencyKey' && messages.length > 1) {
      throw new TypeError(
        '`idempotencyKey` is the same for all messages: only the first would be stored; it must be a function (message, index) => key',
      );
    } else common += `,"${FIELDS[name]}":${JSON.stringify(CHECKS[name](value))}`;
  }
  if (own.length === 0) return messages.map(() => common);
  return messages.map((message, index) => {
    let out = common;
    for (const [name, choose] of own) {
      const value = choose(message, index);
      if (value !== undefined && value !== null) out += `,"${FIELDS[name]}":${JSON.stringify(CHECKS[name](value))}`;
    }
    return out;
  });
}

function given(options) {
  if (options === undefined || options === null) return [];
  if (typeof options !== 'object' || Array.isArray(options))
    throw new TypeError(`the options are ${show(options)}; they must be an object`);
  return Object.entries(options).filter(([name, value]) => {
    if (!Object.hasOwn(CHECKS, name)) {
      const meant = nearest(name, Object.keys(CHECKS));
      const known = Object.keys(CHECKS)
        .map((one) => `\`${one}\``)
        .join(', ');
      throw new TypeError(`there is no option \`${name}\`${meant ? `, did you mean \`${meant}\`?` : `; there are ${known}`}`);
    }
    return value !== undefined && value !== null;
  });
}

function text(value, option, least, most) {
  if (typeof value !== 'string')
    throw new TypeError(
      `\`${option}\` is ${show(value)}; it must be a string of ${most === Infinity ? 'any length' : `${least} to ${most} bytes`}`,
    );
  if (!value.isWellFormed()) throw new TypeError(`\`${option}\` holds half a surrogate pair, which UTF-8 can't express`);
  const size = Buffer.byteLength(value);
  if (size < least || size > most) throw new TypeError(`\`${option}\` has ${size} bytes; ${least} to ${most} are allowed`);
  return value;
}

function attributes(value) {
  if (typeof value !== 'object' || Array.isArray(value))
    throw new TypeError(`\`attributes\` is ${show(value)}; it must be an object of strings`);
  const all = Object.entries(value);
  if (all.length > MAX_ATTRIBUTES) throw new TypeError(`\`attributes\` has ${all.length} entries; at most ${MAX_ATTRIBUTES} are allowed`);
  // Without a prototype, so that `__proto__` is a name like any other.
  const out = Object.create(null);
  for (const [name, one] of all) {
    text(name, 'attributes (a name)', 1, 256);
    out[name] = text(one, `attributes.${name}`, 0, Infinity);
  }
  return out;
}

function show(value) {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.slice(0, 60));
    case 'number':
    case 'boolean':
    case 'undefined':
      return String(value);
    case 'bigint':
      return 'a BigInt';
    case 'object':
      return 'an object';
    default:
      return `a ${typeof value}`;
  }
}

module.exports = { milliseconds, encodeOptions, encodeOptionsOfMany, show };
