'use strict';

// For tests of handlers: no app has to run.

const { AsyncLocalStorage } = require('node:async_hooks');
const fs = require('node:fs');
const path = require('node:path');
const { nearest } = require('./client/nearest.js');
const { encodeOptions } = require('./client/options.js');
const { CHANNEL } = require('./client/send.js');
const { Context } = require('./worker/context.js');

/** This package is `.less/node_modules/@chuva.io/less` of its app. */
const ROOT = path.resolve(__dirname, '..', '..', '..', '..');
const FILES = ['index.js', 'index.mjs', 'index.ts'];

const recorders = new AsyncLocalStorage();
let made = 0;

/** The function `process` of `'topic/subscriber'`, or `'app:topic/subscriber'` for another app's topic, loaded as a worker loads it. */
async function load(subscriber) {
  const [, app, topic, name] = /^(?:([^:/]+):)?([^:/]+)\/([^:/]+)$/.exec(subscriber) ?? [];
  const above = app ? `less/external_topics/${app}` : 'less/topics';
  const file = FILES.map((one) => `${above}/${topic}/${name}/${one}`).find((one) => name && fs.existsSync(path.join(ROOT, one)));
  if (!file) {
    const meant = nearest(String(subscriber), subscribers(above, app ? `${app}:` : ''));
    throw new TypeError(
      `there is no subscriber \`${subscriber}\` in Node.js${meant ? `, did you mean \`${meant}\`?` : ''}\nhint: write it as 'topic/subscriber', as \`less list\` shows them`,
    );
  }
  const worker = await import('./worker/load.mjs');
  return worker.load(ROOT, file);
}

function subscribers(above, prefix) {
  const folders = (folder) => (fs.existsSync(folder) ? fs.readdirSync(folder) : []);
  return folders(path.join(ROOT, above)).flatMap((topic) =>
    folders(path.join(ROOT, above, topic))
      .filter((name) => FILES.some((one) => fs.existsSync(path.join(ROOT, above, topic, name, one))))
      .map((name) => `${prefix}${topic}/${name}`),
  );
}

/** A Context for a handler. A message id of its own, the first attempt, published now, unless it is said otherwise. */
function context(fields = {}) {
  made += 1;
  const {
    messageId = `test-${made}`,
    topic = 'topic',
    subscriber = 'subscriber',
    attempt = 1,
    publishedAt = new Date(),
    ...options
  } = fields;
  const { key, attributes, traceparent, ...unknown } = options;
  const [wrong] = Object.keys(unknown);
  if (wrong) throw new TypeError(`a context has no \`${wrong}\``);
  // What no message can have is refused here as where it is published.
  encodeOptions(options);
  const delivery = { message_id: messageId, attempt, published_at: publishedAt.getTime(), key, attributes, traceparent };
  return new Context(delivery, { topic, subscriber });
}

/**
 * Calls `work`, and waits for it. What it publishes meanwhile goes to no app, but to the array that it gets and that this resolves to, in order.
 * Messages and options are checked as always, except for the message type, which the app checks.
 */
async function recorded(work) {
  // A test that runs beside has an array of its own.
  Object.defineProperty(globalThis, CHANNEL, { configurable: true, get: () => recorders.getStore() });
  const recorder = new Recorder();
  await recorders.run(recorder, () => work(recorder.published));
  return recorder.published;
}

/** A way to the app that keeps what it is given. */
class Recorder {
  published = [];
  #ids = new Map();

  publish(topic, items) {
    return items.map((item) => this.#one(topic, JSON.parse(item)));
  }

  #one(topic, { body: message, delay_ms: delay, idempotency_key: idempotencyKey, ...more }) {
    const options = { ...more, ...(delay === undefined ? {} : { delay }), ...(idempotencyKey === undefined ? {} : { idempotencyKey }) };
    this.published.push({ topic, message, ...options });
    const fresh = `published-${this.published.length}`;
    if (idempotencyKey === undefined) return { message_id: fresh, duplicate: false };
    const name = `${topic}/${idempotencyKey}`;
    if (!this.#ids.has(name)) this.#ids.set(name, fresh);
    return { message_id: this.#ids.get(name), duplicate: this.#ids.get(name) !== fresh };
  }
}

module.exports = { load, context, recorded };
