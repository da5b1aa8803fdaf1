// The worker of docs/worker-protocol.md: reads deliveries from a socket, calls the handler, writes outcomes.

import { realpathSync } from 'node:fs';
import { Connection } from './worker/connection.js';
import { Deliveries } from './worker/deliveries.js';
import { LoadError, load } from './worker/load.mjs';
import { Publisher } from './worker/publisher.js';
import text from './worker/text.js';

const LOAD_LIMIT = 8_000;

const fd = Number(process.env.LESS_WORKER_FD);
delete process.env.LESS_WORKER_FD;
if (!Number.isInteger(fd) || fd < 3) {
  process.stderr.write('error: LESS_WORKER_FD names no descriptor\nhint: the app starts workers; run it with `less dev`\n');
  process.exit(2);
}

const connection = new Connection(fd);
const publisher = new Publisher(connection);
let root = process.cwd();
let deliveries;
let stopping = false;

// Before any code of the user: what has ended is told, however the process goes.
process.on('exit', () => connection.flushNow());
process.on('uncaughtException', (error) => crash(error, ''));
process.on('unhandledRejection', (error) => crash(error, 'a promise was rejected and nobody handled it: '));

connection.start(
  (frame) => {
    switch (frame.type) {
      case 'deliver':
        deliveries.begin(frame.deliveries);
        break;
      case 'cancel':
        connection.send({ type: 'cancelled', id: frame.id, state: deliveries?.cancel(frame.id) ?? 'unknown' });
        break;
      case 'published':
        publisher.answered(frame.request, frame.results);
        break;
      case 'stop':
        stop();
        break;
      case 'hello':
        hello(frame);
        break;
      default:
        broken(`a frame of the unknown type \`${frame.type}\``);
    }
  },
  (problem) => (problem ? broken(problem) : process.exit(0)),
);

async function hello(frame) {
  if (frame.protocol !== 1) return fail(`this worker speaks protocol 1, the app asks for ${frame.protocol}\nhint: run \`less build\``);
  // Node knows modules by their real paths: through a link to the app's folder there would be two of one.
  root = realpathSync(frame.root);
  process.title = `less ${frame.topic}/${frame.subscriber}`;
  try {
    const handler = await load(root, frame.file);
    deliveries = new Deliveries(handler, { ...frame, root }, connection, idle);
  } catch (error) {
    return fail(error instanceof LoadError ? error.message : text.errorText(error, root, LOAD_LIMIT));
  }
  connection.send({ type: 'ready', protocol: 1, runtime: `Node.js ${process.version}` });
  if (stopping) idle();
  return undefined;
}

function fail(error) {
  connection.send({ type: 'failed', error: text.clip(error, LOAD_LIMIT) });
  process.exit(1);
}

function crash(error, what) {
  // Code that a module leaves behind while it is loaded belongs to its loading.
  if (!deliveries) fail(what + text.errorText(error, root, LOAD_LIMIT));
  connection.send({ type: 'crash', error: what + text.errorText(error, root) });
  process.exit(1);
}

function broken(problem) {
  process.stderr.write(`error: the app sent ${problem}\n`);
  process.exit(1);
}

function stop() {
  stopping = true;
  // A handler that is still being loaded has nothing to finish.
  if (deliveries) idle();
  else process.exit(0);
}

/** Called when nothing is being handled. */
function idle() {
  if (stopping && deliveries.idle) publisher.whenIdle(() => deliveries.idle && connection.drained(() => process.exit(0)));
}

// Where `topics` looks for its way to the app.
Object.defineProperty(globalThis, Symbol.for('@chuva.io/less:worker'), {
  value: Object.freeze({ publish: (topic, items) => publisher.publish(topic, items) }),
});
