'use strict';

// Kept, so that a handler's fake timers are its own affair.
const { setImmediate } = require('node:timers');
const { types } = require('node:util');
const { REJECT, RETRY_AFTER } = require('../client/errors.js');
const { Context } = require('./context.js');
const { encode } = require('./frames.js');
const { clip, errorText, safely } = require('./text.js');

/** How long handlers are begun one after the other before the socket is looked at again, in milliseconds. */
const SLICE = 10;
/** After so many handlers what has ended is told, so that the app finds new deliveries while the others are being handled. */
const TELL_AFTER = 64;
/** Most failures in one frame. */
const MOST_FAILED = 1_000;
const NEVER_RUN =
  'the handler gave a generator, of which nothing was run\nhint: do the work without `yield`, or run it to its end: `for await (const part of …) {}`';

/** Begins deliveries in their order, and collects their outcomes. */
class Deliveries {
  #handler;
  #hello;
  #connection;
  #onIdle;
  /** Those that are not begun yet, from `#next` on. */
  #queue = [];
  #next = 0;
  #working = false;
  /** Those whose handler gave a promise, by their ids. */
  #running = new Map();
  #done = [];
  #failed = [];

  constructor(handler, hello, connection, onIdle) {
    this.#handler = handler;
    this.#hello = { topic: hello.topic, subscriber: hello.subscriber, root: hello.root };
    this.#connection = connection;
    this.#onIdle = onIdle;
    connection.addSource((frames) => this.#results(frames));
  }

  /** Whether nothing waits and nothing runs. */
  get idle() {
    return this.#next === this.#queue.length && this.#running.size === 0;
  }

  /** Takes deliveries in. */
  begin(deliveries) {
    if (this.#next === this.#queue.length) {
      this.#queue = deliveries;
      this.#next = 0;
    } else {
      this.#queue = this.#queue.slice(this.#next).concat(deliveries);
      this.#next = 0;
    }
    if (!this.#working) this.#work();
  }

  /** The state of a delivery whose time is over. */
  cancel(id) {
    const context = this.#running.get(id);
    if (context) {
      context[Context.cancel](this.#hello);
      return 'running';
    }
    for (let at = this.#next; at < this.#queue.length; at += 1) {
      if (this.#queue[at].id === id) {
        this.#queue.splice(at, 1);
        return 'waiting';
      }
    }
    return 'unknown';
  }

  /** Begins what waits; handlers that take their time let the socket be read in between. */
  #work() {
    this.#working = true;
    const until = performance.now() + SLICE;
    while (this.#next < this.#queue.length) {
      const delivery = this.#queue[this.#next];
      this.#queue[this.#next] = undefined;
      this.#next += 1;
      this.#handle(delivery);
      if (this.#next % TELL_AFTER === 0) this.#connection.flush();
      if (performance.now() > until && this.#next < this.#queue.length) {
        this.#connection.flush();
        setImmediate(() => this.#work());
        return;
      }
    }
    this.#working = false;
    this.#connection.schedule();
    if (this.#running.size === 0) this.#onIdle();
  }

  #handle(delivery) {
    const { id } = delivery;
    // Not called as our own method: `this` is none of the handler's business.
    const handler = this.#handler;
    const context = new Context(delivery, this.#hello);
    let result;
    try {
      result = handler(delivery.body, context);
      // Anything with a `then` is waited for, as `await` does.
      if (result === null || (typeof result !== 'object' && typeof result !== 'function') || typeof result.then !== 'function') {
        this.#returned(id, result);
        return;
      }
    } catch (error) {
      this.#fail(id, error);
      return;
    }
    this.#running.set(id, context);
    const resolved = (value) => this.#ended(id, () => this.#returned(id, value));
    const rejected = (error) => this.#ended(id, () => this.#fail(id, error));
    if (result instanceof Promise) Promise.prototype.then.call(result, resolved, rejected);
    else new Promise((resolve) => resolve(result)).then(resolved, rejected);
  }

  #ended(id, tell) {
    this.#running.delete(id);
    tell();
    this.#connection.schedule();
    if (this.#running.size === 0 && this.idle) this.#onIdle();
  }

  /** It is done, whatever it gave, except for work that was only described. */
  #returned(id, value) {
    if (typeof value === 'object' && types.isGeneratorObject(value)) this.#failed.push({ id, error: NEVER_RUN });
    else this.#done.push(id);
  }

  #fail(id, error) {
    this.#failed.push({ id, ...outcome(error, this.#hello.root) });
  }

  /** The frames that tell what has ended since the last time. */
  #results(frames) {
    if (this.#failed.length === 0) {
      if (this.#done.length === 0) return;
      frames.push(encode(`{"type":"results","done":[${this.#done.join(',')}]}`));
    } else {
      for (let at = 0; at < this.#failed.length; at += MOST_FAILED) {
        const done = at === 0 ? this.#done : [];
        frames.push(encode(JSON.stringify({ type: 'results', done, failed: this.#failed.slice(at, at + MOST_FAILED) })));
      }
      this.#failed = [];
    }
    this.#done = [];
  }
}

/** What a thrown value means. */
function outcome(error, root) {
  if (typeof error === 'object' && error !== null) {
    if (safely(() => error[REJECT]) === true) return { reject: clip(safely(() => String(error.message)) ?? 'rejected') };
    const after = safely(() => error[RETRY_AFTER]);
    if (Number.isSafeInteger(after) && after >= 0) return { retry_after_ms: after };
  }
  return { error: errorText(error, root) };
}

module.exports = { Deliveries };
