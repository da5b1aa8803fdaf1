'use strict';

const fs = require('node:fs');
const net = require('node:net');
// Kept, so that a handler's fake timers are its own affair.
const { setImmediate } = require('node:timers');
const { Decoder, encode } = require('./frames.js');

const CHUNK = 256 << 10;
/** How long the app may take to read what is told while the process ends, in milliseconds. */
const PATIENCE = 1_000;

/** The socket to the app. What is sent within a turn of the event loop is written at once, when it ends. */
class Connection {
  #fd;
  #socket;
  #waiting = [];
  /** What the socket was given last; it may have written a part of it. */
  #written;
  #scheduled = false;
  #drained;
  #sources = [];

  constructor(fd) {
    this.#fd = fd;
  }

  /** Reads until the end: `take` gets each frame, `ended` a text that says what was wrong with one, or nothing. */
  start(take, ended) {
    const decoder = new Decoder(take);
    const buffer = Buffer.allocUnsafeSlow(CHUNK);
    const callback = (size) => {
      try {
        decoder.push(buffer, size);
      } catch (error) {
        ended(error.message);
      }
      return true;
    };
    this.#socket = new net.Socket({ fd: this.#fd, readable: true, writable: true, allowHalfOpen: true, onread: { buffer, callback } });
    this.#socket.on('end', () => ended());
    this.#socket.on('error', () => ended());
    this.#socket.on('close', () => ended());
    this.#socket.resume();
  }

  /** Asked for frames whenever something is written. */
  addSource(source) {
    this.#sources.push(source);
  }

  /** Sends an object, behind what was sent before. */
  send(frame) {
    // What has ended was earlier; a `crash` has to be last.
    this.#collect();
    this.sendText(JSON.stringify(frame));
  }

  /** Sends an object that is already written as JSON. */
  sendText(text) {
    this.#waiting.push(encode(text));
    this.schedule();
  }

  /** Writes when this turn of the event loop ends. */
  schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** Writes what there is, unless the socket is still busy with what it got before. */
  flush() {
    if (this.#written && this.#socket._handle?.writeQueueSize !== 0) return;
    this.#collect();
    if (this.#waiting.length === 0) {
      if (!this.#written) this.#drained?.();
      return;
    }
    const written = this.#waiting.length === 1 ? this.#waiting[0] : Buffer.concat(this.#waiting);
    this.#written = written;
    this.#waiting = [];
    this.#socket.write(written, () => {
      // Not, where it went at once and another one followed.
      if (this.#written !== written) return;
      this.#written = undefined;
      this.flush();
    });
  }

  /** Calls back once everything was written. */
  drained(then) {
    this.#drained = then;
    this.flush();
  }

  /** Writes everything before it returns; for a process that ends. */
  flushNow() {
    this.#collect();
    const rest = this.#waiting;
    this.#waiting = [];
    const busy = this.#written;
    this.#written = undefined;
    // What the socket holds back may be the second half of a frame.
    const left = this.#socket?._handle?.writeQueueSize ?? 0;
    if (busy && left > 0) rest.unshift(busy.subarray(Math.max(0, busy.length - left)));
    if (rest.length > 0) writeAll(this.#fd, Buffer.concat(rest));
  }

  #collect() {
    for (const source of this.#sources) source(this.#waiting);
  }
}

function writeAll(fd, bytes) {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const until = performance.now() + PATIENCE;
  for (let at = 0; at < bytes.length;) {
    try {
      at += fs.writeSync(fd, bytes, at);
    } catch (error) {
      if (error.code !== 'EAGAIN' || performance.now() > until) return;
      Atomics.wait(cell, 0, 0, 1);
    }
  }
}

module.exports = { Connection };
