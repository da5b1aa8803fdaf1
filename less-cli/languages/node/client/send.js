'use strict';

const { PublishError } = require('./errors.js');
const { sendOverHttp } = require('./http.js');
const { fromProblem } = require('./problem.js');

/** Where a worker has put its way to the app. */
const CHANNEL = Symbol.for('@chuva.io/less:worker');
/** Most messages of one batch, and about the most bytes. */
const MAX_COUNT = 10_000;
const MAX_BYTES = 8 << 20;
/** No app takes a larger message: it must fit into a batch of 16 MiB. */
const MAX_ITEM = (16 << 20) - 1024;

/** Sends messages, already written as JSON, batch after batch. Gives a receipt or a PublishError for each, in their order. */
async function send(topic, items) {
  const results = new Array(items.length);
  let batch = [];
  let bytes = 0;
  let failure;
  const flush = async () => {
    const [indexes, count] = [batch, batch.length];
    [batch, bytes] = [[], 0];
    if (count === 0) return;
    // After a failed batch nothing more is sent: what comes later must not overtake it.
    const answers = failure
      ? []
      : await one(
          topic,
          indexes.map((index) => items[index]),
        ).catch((error) => {
          failure = error;
          return [];
        });
    for (const [n, index] of indexes.entries()) results[index] = answers[n] ?? copy(failure);
  };
  for (const [index, item] of items.entries()) {
    const size = Buffer.byteLength(item);
    if (size > MAX_ITEM) {
      results[index] = new PublishError(`the message has ${size} bytes, more than a batch can hold`, {
        type: 'urn:less:too-large',
        status: 413,
        limit: MAX_ITEM,
        hint: 'store what is large elsewhere, and publish where it is',
      });
      continue;
    }
    if (batch.length === MAX_COUNT || bytes + size > MAX_BYTES) await flush();
    batch.push(index);
    bytes += size + 1;
  }
  await flush();
  return results;
}

async function one(topic, items) {
  const channel = globalThis[CHANNEL];
  const answers = await (channel ? channel.publish(topic, items) : sendOverHttp(topic, items));
  if (!Array.isArray(answers) || answers.length !== items.length) {
    throw new PublishError('the app gave no result for each message; whether they were stored is unknown', {
      type: 'urn:less:unavailable',
      hint: 'run `less build`: the app and this package are of different versions',
    });
  }
  return answers.map((answer) => {
    if (typeof answer?.message_id === 'string') return { messageId: answer.message_id, duplicate: answer.duplicate === true };
    return fromProblem(answer?.error, topic);
  });
}

/** An error of its own for each message: a caller may throw or change one of them. */
function copy({ message, type, status, hint, cause, ...more }) {
  return new PublishError(hint ? message.slice(0, -`\nhint: ${hint}`.length) : message, { ...more, type, status, hint, cause });
}

module.exports = { send, CHANNEL };
