import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { test } from 'node:test';
import { makeApp } from './support/app.mjs';
import { accept } from './support/http.mjs';
import { PRELUDE, run } from './support/program.mjs';

test('an app behind a proxy with TLS is reached below its path, over connections that are used again', async (t) => {
  const root = makeApp(t);
  // Needs the program `openssl`; fails without it.
  const request = [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '1',
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=DNS:localhost',
  ];
  execFileSync('openssl', [...request, '-keyout', `${root}/key.pem`, '-out', `${root}/cert.pem`], { stdio: 'ignore' });
  const urls = [];
  let connections = 0;
  const server = https.createServer(
    { key: readFileSync(`${root}/key.pem`), cert: readFileSync(`${root}/cert.pem`) },
    async (request, response) => {
      const parts = [];
      for await (const part of request) parts.push(part);
      urls.push(request.url);
      accept(response, JSON.parse(Buffer.concat(parts)));
    },
  );
  server.on('secureConnection', () => {
    connections += 1;
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  t.after(() => server.closeAllConnections() ?? server.close());
  const url = `https://localhost:${server.address().port}/less/`;
  const publish = `${PRELUDE} (async () => { await tell(topics.user_created.publish({ n: 1 })); await tell(topics.user_created.publish({ n: 2 })); })();`;
  const said = await run(root, publish, { env: { LESS_URL: url, NODE_EXTRA_CA_CERTS: `${root}/cert.pem` } });
  assert.deepEqual(
    said.map(({ messageId }) => messageId),
    ['m1', 'm2'],
  );
  assert.deepEqual([urls, connections], [Array(2).fill('/less/_less/topics/user_created/batch'), 1]);
  const [error] = await run(root, publish, { env: { LESS_URL: url } });
  assert.match(error.message, /^the app at https:\/\/localhost:\d+\/less is not trusted: self-signed certificate\nhint: .*NODE_EXTRA_CA_CERTS/);
  assert.equal(error.type, 'urn:less:untrusted');
  // By another name than that in the certificate.
  const elsewhere = { LESS_URL: url.replace('localhost', '127.0.0.1'), NODE_EXTRA_CA_CERTS: `${root}/cert.pem` };
  const [misnamed] = await run(root, publish, { env: elsewhere });
  assert.deepEqual([misnamed.type, misnamed.hint], ['urn:less:untrusted', 'set LESS_URL to a name that is in its certificate']);
});
