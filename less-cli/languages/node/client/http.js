'use strict';

const http = require('node:http');
const https = require('node:https');
const { app: APP } = require('../app.json');
const { address, forget, noApp, untrusted } = require('./address.js');
const { PublishError } = require('./errors.js');
const { fromProblem } = require('./problem.js');

const CONNECT_TIMEOUT = 2_000;
const ANSWER_TIMEOUT = 30_000;
/** The app closes connections that are idle for 10 s: none that comes near is used again. */
const IDLE = 5_000;

const agents = new Map();
const idleSince = new WeakMap();

/** Publishes a batch to the running app. Gives the answer's results. */
async function sendOverHttp(topic, items) {
  const body = Buffer.from(`[${items.join(',')}]`);
  // A message that is published again under its idempotency key is not stored again.
  const repeatable = items.every((item) => item.includes('"idempotency_key":"'));
  const first = address();
  await settle();
  const outcome = await attempt(first, topic, body);
  if (outcome.results) return outcome.results;
  const elsewhere = outcome.error.type === 'urn:less:wrong-app';
  if (outcome.disconnected || elsewhere) forget();
  let where = first;
  if ((elsewhere || outcome.unsent) && !outcome.stale) {
    // The app may have been started anew elsewhere.
    try {
      where = address();
    } catch {
      throw outcome.error;
    }
    if (where.href === first.href) throw outcome.error;
  } else if (!outcome.stale && !(repeatable && outcome.disconnected && !outcome.unsent)) throw outcome.error;
  const again = await attempt(where, topic, body, true);
  if (again.results) return again.results;
  if (again.disconnected) forget();
  throw again.error;
}

/** Lets the event loop see which idle connections were closed meanwhile: after two turns it has looked at them at least once. */
async function settle() {
  for (const agent of agents.values()) {
    if (Object.keys(agent.freeSockets).length === 0) continue;
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    return;
  }
}

/** One request: `results`, or an `error`, whether the connection failed, and whether surely nothing was sent. */
function attempt(base, topic, body, fresh = false) {
  return new Promise((resolve) => {
    const secure = base.protocol === 'https:';
    const headers = { 'content-type': 'application/json', 'content-length': body.length, accept: 'application/json', 'less-app': APP };
    if (process.env.LESS_API_KEY) headers.authorization = `Bearer ${process.env.LESS_API_KEY}`;
    const place = `${base.origin}${base.pathname.replace(/\/+$/, '')}`;
    let request;
    try {
      request = (secure ? https : http).request(`${place}/_less/topics/${encodeURIComponent(topic)}/batch`, {
        method: 'POST',
        headers,
        agent: agentFor(secure, fresh),
      });
    } catch (error) {
      resolve({ error: noApp(`can't ask the app at ${place}: ${error.message}`, error) });
      return;
    }
    let timer;
    let connected = false;
    let before = 0;
    let socket;
    const finish = (outcome) => {
      clearTimeout(timer);
      resolve(outcome);
    };
    const fail = (cause, late) => {
      request.destroy();
      if (!connected) finish({ disconnected: true, unsent: true, error: unreached(place, cause, late) });
      else if (idleSince.has(socket) && !(socket.bytesWritten > before)) finish({ disconnected: true, stale: true });
      else finish({ disconnected: true, error: unknownFate(place, cause, late) });
    };
    const begun = () => {
      connected = true;
      before = socket.bytesWritten;
      clearTimeout(timer);
      timer = setTimeout(() => fail(`no answer within ${ANSWER_TIMEOUT / 1000} s`), ANSWER_TIMEOUT);
    };
    request.on('socket', (given) => {
      socket = given;
      // Also one that another request has just left: `reusedSocket` does not tell of those.
      if (!socket.connecting && !socket.secureConnecting) return begun();
      timer = setTimeout(() => fail(`no connection within ${CONNECT_TIMEOUT / 1000} s`), CONNECT_TIMEOUT);
      socket.once(secure ? 'secureConnect' : 'connect', begun);
      return undefined;
    });
    request.on('error', (error) => fail(reason(error), error));
    request.on('response', (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('error', (error) => fail(reason(error), error));
      response.on('aborted', () => fail('the connection was closed in the middle of its answer'));
      response.on('end', () => finish(judge(place, topic, response, Buffer.concat(parts))));
    });
    request.end(body);
  });
}

/** What an answer means. */
function judge(place, topic, response, body) {
  const status = response.statusCode;
  let value;
  try {
    value = JSON.parse(body);
  } catch {
    value = undefined;
  }
  if (status === 200 && Array.isArray(value?.results)) return { results: value.results };
  if (typeof value?.type === 'string' && value.type.startsWith('urn:less:')) return { error: fromProblem({ ...value, status }, topic) };
  if (status === 401 || status === 403) {
    return { error: fromProblem({ type: 'urn:less:wrong-api-key', status, detail: `the app at ${place} refused the API key` }, topic) };
  }
  return {
    error: new PublishError(`${place} answered ${status}, and not as an app of Less does`, {
      type: 'urn:less:unexpected-answer',
      status,
      hint: 'see that LESS_URL names the app, and nothing else',
    }),
  };
}

/** What OpenSSL and Node.js call a certificate that they refuse. */
const REFUSED = /^(CERT_|ERR_TLS_CERT_|UNABLE_TO_(GET_ISSUER|VERIFY)|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED_CERT|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH)/;

function unreached(place, cause, error) {
  if (REFUSED.test(error?.code)) return untrusted(`the app at ${place} is not trusted: ${cause}`, error);
  return noApp(`no running app answers at ${place}: ${cause}`, error);
}

function unknownFate(place, cause, error) {
  return new PublishError(
    `the connection to ${place} failed after the request was sent (${cause}); whether the message was stored is unknown`,
    {
      type: 'urn:less:unavailable',
      status: 503,
      cause: error,
      hint: 'publish it again; with the same `idempotencyKey` both times it is stored once',
    },
  );
}

function reason(error) {
  // Both addresses of `localhost` were tried: the last one says it.
  const last = error.errors?.at?.(-1) ?? error;
  return last.code === 'ECONNREFUSED' ? 'connection refused' : last.message || last.code || String(last);
}

/** The agent that keeps connections. A fresh one is for what must not meet a stale connection again. */
function agentFor(secure, fresh) {
  const kind = secure ? https : http;
  if (fresh) return new kind.Agent({ keepAlive: false });
  let agent = agents.get(kind);
  if (!agent) {
    // `timeout` closes connections that are idle; a program that was busy for longer finds them here all the same, below.
    agent = new kind.Agent({ keepAlive: true, maxSockets: 64, maxFreeSockets: 16, timeout: IDLE });
    agent.on('free', (socket) => idleSince.set(socket, performance.now()));
    agents.set(kind, agent);
  }
  const now = performance.now();
  for (const sockets of Object.values(agent.freeSockets)) {
    for (const socket of [...sockets]) if (now - (idleSince.get(socket) ?? now) > IDLE) socket.destroy();
  }
  return agent;
}

module.exports = { sendOverHttp };
