'use strict';

/** Largest frame, in bytes. */
const MOST = 64 << 20;

/** A frame: its length, then its text. */
function encode(text) {
  const size = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(4 + size);
  frame.writeUInt32BE(size, 0);
  // Most frames are ASCII, which is written faster as what it is.
  if (size === text.length) frame.latin1Write(text, 4, size);
  else frame.utf8Write(text, 4, size);
  return frame;
}

/** Cuts chunks into frames. A frame that came in pieces is put together once, in a buffer of its size. */
class Decoder {
  #take;
  #head = Buffer.allocUnsafe(4);
  #headSize = 0;
  #body = undefined;
  #bodySize = 0;

  /** `take` is called with the object of each frame. */
  constructor(take) {
    this.#take = take;
  }

  /** Takes a chunk in; nothing of it is kept. Throws an Error that says what is wrong. */
  push(chunk, size = chunk.length) {
    let at = 0;
    while (at < size) {
      if (this.#body === undefined) {
        if (this.#headSize === 0 && size - at >= 4) {
          const end = at + 4 + checked(chunk.readUInt32BE(at));
          if (end <= size) {
            this.#take(parse(chunk, at + 4, end));
            at = end;
            continue;
          }
        }
        const part = Math.min(4 - this.#headSize, size - at);
        chunk.copy(this.#head, this.#headSize, at, at + part);
        this.#headSize += part;
        at += part;
        if (this.#headSize < 4) return;
        this.#body = Buffer.allocUnsafeSlow(checked(this.#head.readUInt32BE(0)));
        this.#bodySize = 0;
      }
      const part = Math.min(this.#body.length - this.#bodySize, size - at);
      chunk.copy(this.#body, this.#bodySize, at, at + part);
      this.#bodySize += part;
      at += part;
      if (this.#bodySize === this.#body.length) {
        const body = this.#body;
        this.#body = undefined;
        this.#headSize = 0;
        this.#take(parse(body, 0, body.length));
      }
    }
  }
}

function checked(length) {
  if (length > MOST) throw new Error(`a frame of ${length} bytes; the most is ${MOST}`);
  return length;
}

function parse(buffer, start, end) {
  let frame;
  try {
    frame = JSON.parse(buffer.utf8Slice(start, end));
  } catch (error) {
    throw new Error(`a frame that is no JSON: ${error.message}`);
  }
  if (typeof frame !== 'object' || frame === null || typeof frame.type !== 'string') throw new Error('a frame without a `type`');
  return frame;
}

module.exports = { Decoder, encode, MOST };
