'use strict';

const { encodeMessage } = require('./encode.js');
const { PublishError, PublishManyError } = require('./errors.js');
const { nearest } = require('./nearest.js');
const { encodeOptions, encodeOptionsOfMany, show } = require('./options.js');
const { send } = require('./send.js');

/** A topic of this app. */
class Topic {
  constructor(id) {
    Object.defineProperty(this, 'id', { value: id, enumerable: true });
  }

  /** Publishes a message: resolves once it is on stable storage. */
  async publish(message, options = undefined) {
    const item = `{"body":${encodeMessage(message)}${encodeOptions(options)}}`;
    const [result] = await send(this.id, [item]);
    if (result instanceof PublishError) {
      // Made where the answer was read: the caller's place says more.
      Error.captureStackTrace?.(result, Topic.prototype.publish);
      throw result;
    }
    return result;
  }

  /** Publishes many messages, in their order. Not atomic: what was not accepted is in the PublishManyError. */
  async publishMany(messages, options = undefined) {
    if (typeof messages === 'string' || typeof messages?.[Symbol.iterator] !== 'function') {
      throw new TypeError(`the messages are ${show(messages)}; they must be an array`);
    }
    const all = Array.from(messages);
    const more = encodeOptionsOfMany(options, all);
    const results = all.map((message, index) => {
      try {
        return `{"body":${encodeMessage(message)}${more[index]}}`;
      } catch (error) {
        if (error instanceof PublishError) return error;
        throw error;
      }
    });
    const sent = results.flatMap((item, index) => (typeof item === 'string' ? [index] : []));
    const answers = await send(
      this.id,
      sent.map((index) => results[index]),
    );
    for (const [n, index] of sent.entries()) results[index] = answers[n];
    if (results.some((result) => result instanceof PublishError)) throw new PublishManyError(results);
    return results;
  }
}

/** Asked for by `await`, JSON, consoles and test tools of every object; no topic is meant. */
const QUIET = new Set([
  'then',
  'toJSON',
  'inspect',
  'constructor',
  'valueOf',
  'prototype',
  'nodeType',
  'tagName',
  'asymmetricMatch',
  '__esModule',
  'default',
  'length',
  'hasAttribute',
  'toStringTag',
  'module.exports',
]);

/** The app's topics by their ids; a name that is no topic throws. */
function topicsOf(app) {
  const all = Object.create(null);
  for (const id of Object.keys(app.topics)) all[id] = new Topic(id);
  return new Proxy(Object.freeze(all), {
    get(target, name) {
      if (typeof name === 'symbol' || Object.hasOwn(target, name)) return target[name];
      if (name === 'toString') return () => '[object Topics]';
      if (QUIET.has(name) || name.startsWith('@@') || name.startsWith('$$')) return undefined;
      throw unknown(name, Object.keys(target), app.app);
    },
  });
}

function unknown(name, names, app) {
  const meant = nearest(name, names);
  const error = new TypeError(
    `there is no topic \`${name}\` in \`${app}\`${meant ? `, did you mean \`${meant}\`?` : ''}\nhint: ${
      meant ? `write \`topics.${meant}\`, or ` : ''
    }make it with \`less add topic ${name}\``,
  );
  Error.captureStackTrace?.(error, unknown);
  return error;
}

module.exports = { topicsOf, Topic };
