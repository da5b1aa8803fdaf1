// A fake app's HTTP endpoint.

import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';

/** Answers batches as an app does, unless `answer(request, body, response)` does it. `requests` holds what came. */
export async function startHttp(test, { answer, port = 0 } = {}) {
  const app = { requests: [], connections: 0 };
  app.server = http.createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts).toString();
    app.lastRequest = performance.now();
    app.requests.push({
      method: request.method,
      url: request.url,
      headers: request.headers,
      items: body.startsWith('[') ? JSON.parse(body) : body,
    });
    if (answer && (await answer(request, JSON.parse(body), response)) !== undefined) return;
    if (!response.writableEnded && !response.destroyed) accept(response, JSON.parse(body));
  });
  app.server.on('connection', () => {
    app.connections += 1;
  });
  app.server.listen(port, '127.0.0.1');
  await once(app.server, 'listening');
  app.url = `http://127.0.0.1:${app.server.address().port}`;
  app.close = () =>
    new Promise((resolve) => {
      app.server.close(resolve);
      app.server.closeAllConnections();
    });
  test.after(() => app.close());
  return app;
}

/** Answers that every message was stored. */
export function accept(response, items) {
  reply(response, 200, {
    results: items.map((item, index) => ({ message_id: `m${item.body?.n ?? index}`, duplicate: item.idempotency_key === 'seen' })),
  });
}

export function reply(response, status, value, type = 'application/json') {
  response.writeHead(status, { 'content-type': type });
  response.end(typeof value === 'string' ? value : JSON.stringify(value));
  return true;
}

/** A port where nothing listens. */
export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
