'use strict';

/** Publishes through the app's socket. */
class Publisher {
  #connection;
  #last = 0;
  #waiting = new Map();
  #idle = undefined;

  constructor(connection) {
    this.#connection = connection;
  }

  /** Sends messages that are already written as JSON; gives the answer's results. */
  publish(topic, items) {
    return new Promise((resolve) => {
      this.#last += 1;
      this.#waiting.set(this.#last, resolve);
      this.#connection.sendText(
        `{"type":"publish","request":${this.#last},"topic":${JSON.stringify(topic)},"messages":[${items.join(',')}]}`,
      );
    });
  }

  /** The app has answered. */
  answered(request, results) {
    const resolve = this.#waiting.get(request);
    this.#waiting.delete(request);
    resolve?.(results);
    if (this.#waiting.size === 0 && this.#idle) setImmediate(() => this.whenIdle(this.#idle));
  }

  /** Calls back once no answer is missing. */
  whenIdle(then) {
    if (this.#waiting.size > 0) this.#idle = then;
    else then();
  }
}

module.exports = { Publisher };
