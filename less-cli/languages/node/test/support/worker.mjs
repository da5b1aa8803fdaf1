// Drives a real worker as an app does.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { environment, makeApp } from './app.mjs';

/** Longest wait for anything, in milliseconds: a test that waits longer has failed. */
const PATIENCE = 20_000;

/** Makes an app with one handler, starts its worker and says hello. */
export function startWorker(test, handler, { files = {}, file = 'index.js', node = process.execPath, env = {}, hello = {}, root } = {}) {
  const place = `less/topics/user_created/send_email/${file}`;
  const folder = root ?? makeApp(test, { ...(handler === undefined ? {} : { [place]: handler }), ...files });
  const worker = new Worker(test, folder, node, env);
  worker.send({
    type: 'hello',
    protocol: 1,
    app: 'shop',
    topic: 'user_created',
    subscriber: 'send_email',
    root: folder,
    file: place,
    concurrency: 1000,
    ...hello,
  });
  return worker;
}

/** As `startWorker`, once it is ready. */
export async function readyWorker(test, handler, options) {
  const worker = startWorker(test, handler, options);
  const frame = await worker.next();
  if (frame.type !== 'ready') throw new Error(`the worker is not ready: ${JSON.stringify(frame)}\n${worker.stderr}`);
  return worker;
}

export class Worker {
  stdout = '';
  stderr = '';
  /** Takes frames instead of `next`. */
  onFrame = undefined;
  /** Every frame that came. */
  frames = [];
  #taken = 0;
  #wake = () => {};
  #bytes = Buffer.alloc(0);

  constructor(test, root, node, env) {
    this.root = root;
    const script = path.join(root, '.less/node_modules/@chuva.io/less/worker.mjs');
    this.child = spawn(node, ['--enable-source-maps', path.relative(root, script)], {
      cwd: root,
      env: environment(root, { LESS_WORKER_FD: '3', ...env }),
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    this.socket = this.child.stdio[3];
    this.socket.on('error', () => {});
    this.socket.on('data', (chunk) => this.#take(chunk));
    this.child.stdout.on('data', (text) => {
      this.stdout += text;
    });
    this.child.stderr.on('data', (text) => {
      this.stderr += text;
    });
    // After the socket's end too: what was sent last is there then.
    this.ended = once(this.child, 'close').then(([code, signal]) => {
      this.isEnded = true;
      this.#wake();
      return { code, signal };
    });
    test.after(async () => {
      this.child.kill('SIGKILL');
      await this.ended;
    });
  }

  send(frame) {
    this.sendBytes(encode(JSON.stringify(frame)));
  }

  sendBytes(bytes) {
    this.socket.write(bytes);
  }

  deliver(...bodies) {
    this.send({ type: 'deliver', deliveries: bodies.map((body, index) => delivery(index + 1, body)) });
  }

  /** The next frame. */
  async next() {
    return within(this.#nextFrame(), () => `no frame came\n${this.stderr}`);
  }

  /** The next `count` outcomes, by their ids: `'done'` or the entry of `failed`. */
  async outcomes(count) {
    const all = {};
    while (Object.keys(all).length < count) {
      const frame = await this.next();
      if (frame.type !== 'results') throw new Error(`no results: ${JSON.stringify(frame)}`);
      for (const id of frame.done ?? []) all[id] = 'done';
      for (const { id, ...outcome } of frame.failed ?? []) all[id] = outcome;
    }
    return all;
  }

  /** How it ended. */
  async end() {
    return within(this.ended, () => `the worker did not end\n${this.stderr}`);
  }

  /** Waits until its standard output holds this text. */
  async says(text) {
    const told = new Promise((resolve) => {
      const look = () => this.stdout.includes(text) && resolve();
      this.child.stdout.on('data', look);
      look();
    });
    await within(told, () => `\`${text}\` was not printed, but: ${this.stdout}${this.stderr}`);
  }

  async #nextFrame() {
    while (this.#taken === this.frames.length) {
      if (this.isEnded) throw new Error(`the worker has ended\n${this.stderr}`);
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#taken += 1;
    return this.frames[this.#taken - 1];
  }

  #take(chunk) {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= 4 && this.#bytes.length >= 4 + this.#bytes.readUInt32BE(0)) {
      const end = 4 + this.#bytes.readUInt32BE(0);
      const frame = JSON.parse(this.#bytes.toString('utf8', 4, end));
      if (this.onFrame) this.onFrame(frame);
      else this.frames.push(frame);
      this.#bytes = this.#bytes.subarray(end);
    }
    this.#wake();
  }
}

/** A frame's bytes. */
export function encode(text) {
  const body = Buffer.from(text);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}

export function delivery(id, body, more = {}) {
  return { id, message_id: `m${id}`, attempt: 1, published_at: 1_700_000_000_000, body, ...more };
}

/** A promise that gives up. */
export async function within(promise, what, patience = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`after ${patience / 1000} s: ${what()}`)), patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
