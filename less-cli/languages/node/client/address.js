'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { app: APP } = require('../app.json');
const { PublishError } = require('./errors.js');

/** Beside this package's own real folder: `.less/node_modules/@chuva.io/less` and `.less/data`. */
const OWN = path.resolve(__dirname, '..', '..', '..', '..', 'data');

let known;

/** Where the app runs: LESS_URL, else the address file that it keeps. */
function address() {
  const url = process.env.LESS_URL;
  if (url) return parse(url, 'LESS_URL');
  const where = `${process.env.LESS_DATA ?? ''}\0${process.cwd()}`;
  if (known?.where !== where) known = { where, url: read() };
  return known.url;
}

/** Forgets what the address file said: nobody answers there. */
function forget() {
  known = undefined;
}

function read() {
  let problem;
  for (const folder of folders()) {
    const file = path.join(folder, 'address.json');
    let written;
    try {
      written = JSON.parse(fs.readFileSync(file, 'utf8'));
    } catch (error) {
      if (error.code === 'EACCES') problem ??= unreadable(file, error);
      if (error.code) continue;
      throw noApp(`\`${file}\` is no address file: ${error.message}`);
    }
    // Another app's: the working folder is one of its. Or a copy: the app that has written it runs elsewhere.
    if (written.app !== undefined && written.app !== APP) continue;
    if (written.folder !== undefined && written.folder !== fs.statSync(folder).ino) continue;
    if (hasEnded(written)) {
      problem ??= noApp(`no running app answers at ${written.url}: process ${written.pid}, which has written \`${file}\`, has ended`);
      continue;
    }
    return parse(String(written.url), file);
  }
  throw problem ?? noApp('no running app was found');
}

/** Whether the process that wrote it can be seen to have ended: it was killed, and another program may listen there by now. */
function hasEnded({ pid, pid_namespace: namespace }) {
  if (!Number.isSafeInteger(pid) || pid <= 0 || namespace !== ownNamespace()) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

/** In which namespace the numbers of processes are ours: a container's are its own. */
function ownNamespace() {
  try {
    return fs.readlinkSync('/proc/self/ns/pid');
  } catch {
    return undefined;
  }
}

function* folders() {
  if (process.env.LESS_DATA) {
    yield process.env.LESS_DATA;
    return;
  }
  let folder = process.cwd();
  for (;;) {
    yield path.join(folder, '.less', 'data');
    const above = path.dirname(folder);
    if (above === folder) break;
    folder = above;
  }
  yield OWN;
}

function parse(text, from) {
  let url;
  try {
    url = new URL(text);
  } catch {
    if (!text.includes('://')) throw schemeless(text, from);
    throw badUrl(`${from} holds \`${text}\`, which is no URL`);
  }
  if (url.protocol === 'http:' || url.protocol === 'https:') return url;
  // `localhost:4100` is a URL of the scheme `localhost`.
  if (!text.includes('://')) throw schemeless(text, from);
  throw badUrl(`${from} holds \`${text}\`, which does not begin with http:// or https://`);
}

function schemeless(text, from) {
  return badUrl(`${from} holds \`${text}\`, where \`http://\` or \`https://\` is missing`, `http://${text}`);
}

function badUrl(message, hint = 'such as http://127.0.0.1:4100') {
  return new PublishError(message, { type: 'urn:less:bad-url', hint });
}

function noApp(message, cause) {
  return new PublishError(message, { type: 'urn:less:no-app', hint: 'start it with `less dev`, or set LESS_URL to where it runs', cause });
}

function unreadable(file, cause) {
  return new PublishError(`can't read \`${file}\`, where the running app's address is: permission denied`, {
    type: 'urn:less:no-app',
    hint: "an app's data folder is its user's alone: set LESS_URL to where it runs",
    cause,
  });
}

/** What answers shows a certificate that is not trusted: starting the app would not help. */
function untrusted(message, cause) {
  const hint =
    cause.code === 'ERR_TLS_CERT_ALTNAME_INVALID'
      ? 'set LESS_URL to a name that is in its certificate'
      : 'start this program with NODE_EXTRA_CA_CERTS set to a file with whom to trust, PEM';
  return new PublishError(message, { type: 'urn:less:untrusted', hint, cause });
}

module.exports = { address, forget, noApp, untrusted };
