'use strict';

const { milliseconds } = require('./options.js');

// Brands, and not classes, decide what an error is: a project may hold a second copy of this package.
const REJECT = Symbol.for('@chuva.io/less:reject');
const RETRY_AFTER = Symbol.for('@chuva.io/less:retry-after');

/** Thrown by a handler: the message becomes a dead letter at once. */
class Reject extends Error {
  constructor(reason = 'rejected', options = undefined) {
    super(text(reason), options);
    this[REJECT] = true;
  }
}

/** Thrown by a handler: the next attempt comes after this long. */
class RetryAfter extends Error {
  constructor(delay, options = undefined) {
    const ms = milliseconds(delay, 'retryAfter');
    super(`retry after ${ms} ms`, options);
    this.milliseconds = ms;
    this[RETRY_AFTER] = ms;
  }
}

/** A message was not accepted. */
class PublishError extends Error {
  constructor(message, { type, status, hint, cause, ...more } = {}) {
    super(hint ? `${message}\nhint: ${hint}` : message, cause === undefined ? undefined : { cause });
    this.type = type ?? 'about:blank';
    if (status) this.status = status;
    if (hint) this.hint = hint;
    for (const [name, value] of Object.entries(more)) if (value !== undefined) this[name] = value;
  }
}

/** Not every message of a `publishMany` was accepted; `results` has a receipt or a PublishError for each, in their order. */
class PublishManyError extends Error {
  constructor(results) {
    const failed = results.filter((result) => result instanceof PublishError);
    super(`${failed.length} of ${results.length} messages were not accepted; the first error: ${failed[0]?.message ?? ''}`);
    this.results = results;
  }
}

for (const kind of [Reject, RetryAfter, PublishError, PublishManyError]) {
  Object.defineProperty(kind.prototype, 'name', { value: kind.name, writable: true, configurable: true });
}
for (const [kind, brand] of [
  [Reject, REJECT],
  [RetryAfter, RETRY_AFTER],
]) {
  Object.defineProperty(kind, Symbol.hasInstance, {
    value: function hasInstance(value) {
      // Classes that extend these ask as usual.
      if (this !== kind) return Function.prototype[Symbol.hasInstance].call(this, value);
      return typeof value === 'object' && value !== null && brand in value;
    },
  });
}

function text(reason) {
  if (typeof reason === 'string') return reason;
  if (reason instanceof Error) return `${reason.name}: ${reason.message}`;
  return String(reason);
}

module.exports = { Reject, RetryAfter, PublishError, PublishManyError, REJECT, RETRY_AFTER };
