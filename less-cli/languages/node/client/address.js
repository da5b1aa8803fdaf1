'use strict';

const fs = require('node:fs');
const path = require('node:path');
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
  for (const folder of folders()) {
    const file = path.join(folder, 'address.json');
    let content;
    try {
      content = fs.readFileSync(file, 'utf8');
    } catch {
      continue;
    }
    try {
      return parse(JSON.parse(content).url, file);
    } catch (error) {
      if (error instanceof PublishError) throw error;
      throw noApp(`\`${file}\` is no address file: ${error.message}`);
    }
  }
  throw noApp('no running app was found');
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

/** What answers shows a certificate that is not trusted: starting the app would not help. */
function untrusted(message, cause) {
  const hint =
    cause.code === 'ERR_TLS_CERT_ALTNAME_INVALID'
      ? 'set LESS_URL to a name that is in its certificate'
      : 'start this program with NODE_EXTRA_CA_CERTS set to a file with whom to trust, PEM';
  return new PublishError(message, { type: 'urn:less:untrusted', hint, cause });
}

module.exports = { address, forget, noApp, untrusted };
