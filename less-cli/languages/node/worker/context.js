'use strict';

const util = require('node:util');
const { Reject, RetryAfter } = require('../client/errors.js');

const cancel = Symbol('cancel');
const NO_ATTRIBUTES = Object.freeze({});

/** What a handler can know of the delivery it handles; its second argument. Made for every message, so what costs is made when asked for. */
class Context {
  /** The name of the method that tells a handler that its time is over: no text, so that no handler calls it. */
  static cancel = cancel;

  #delivery;
  #hello;
  #attributes = undefined;
  #controller = undefined;
  #cancelled = false;

  constructor(delivery, hello) {
    this.#delivery = delivery;
    this.#hello = hello;
  }

  get messageId() {
    return this.#delivery.message_id;
  }

  get topic() {
    return this.#hello.topic;
  }

  get subscriber() {
    return this.#hello.subscriber;
  }

  get attempt() {
    return this.#delivery.attempt;
  }

  get publishedAt() {
    return new Date(this.#delivery.published_at);
  }

  get key() {
    return this.#delivery.key ?? undefined;
  }

  get attributes() {
    this.#attributes ??= this.#delivery.attributes ? Object.freeze({ ...this.#delivery.attributes }) : NO_ATTRIBUTES;
    return this.#attributes;
  }

  get traceparent() {
    return this.#delivery.traceparent ?? undefined;
  }

  get signal() {
    this.#controller ??= new AbortController();
    if (this.#cancelled) this.#abort();
    return this.#controller.signal;
  }

  /** Throws: the message becomes a dead letter at once. */
  reject(reason, options) {
    throw new Reject(reason, options);
  }

  /** Throws: the next attempt comes after this long. */
  retryAfter(delay, options) {
    throw new RetryAfter(delay, options);
  }

  [cancel]() {
    this.#cancelled = true;
    if (this.#controller) this.#abort();
  }

  #abort() {
    if (this.#controller.signal.aborted) return;
    this.#controller.abort(new DOMException(`the timeout of \`${this.subscriber}\` is over`, 'TimeoutError'));
  }

  /** What it says: for JSON and logs, which see no getters. */
  toJSON() {
    const { messageId, topic, subscriber, attempt, publishedAt, key, attributes, traceparent } = this;
    return { messageId, topic, subscriber, attempt, publishedAt, key, attributes, traceparent };
  }

  [util.inspect.custom](depth, options) {
    return `Context ${util.inspect(this.toJSON(), options)}`;
  }
}

module.exports = { Context };
