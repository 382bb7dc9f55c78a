// Fastify with the usual plugins: server.js ADDRESS; log lines go to standard error.
//
// Its own request id, log (one line a request instead of its usual two), error handling, serialiser and timeouts;
// Prometheus metrics by prom-client. One process: it is given one processor.

import { randomUUID } from 'node:crypto';
import { destination } from 'pino';
import Fastify from 'fastify';
import client from 'prom-client';

const [host, port] = process.argv[2].split(':');

const requests = new client.Counter({
  name: 'http_requests_total', help: 'Requests answered.', labelNames: ['method', 'endpoint', 'status'],
});
const durations = new client.Histogram({
  name: 'http_request_duration_seconds', help: 'Time.', labelNames: ['method', 'endpoint'],
});

const app = Fastify({
  logger: { stream: destination({ fd: 2, sync: true }) },
  disableRequestLogging: true,
  requestIdHeader: 'x-request-id',
  genReqId: () => randomUUID(),
  requestTimeout: 30_000,
});

app.addHook('onSend', async (request, reply) => {
  reply.header('x-request-id', request.id);
});
app.addHook('onResponse', (request, reply, done) => {
  const endpoint = request.routeOptions.url;
  const { method } = request;
  durations.observe({ method, endpoint }, reply.elapsedTime / 1_000);
  requests.inc({ method, endpoint, status: reply.statusCode });
  const line = { method, path: request.url, endpoint, status: reply.statusCode, duration_ms: reply.elapsedTime, remote_addr: request.ip };
  request.log.info(line, 'request completed');
  done();
});

const schema = {
  response: {
    200: {
      type: 'object',
      properties: { id: { type: 'string' }, message: { type: 'string' }, number: { type: 'integer' } },
    },
  },
};
app.get('/hello/:id', { schema }, (request, reply) => {
  const { id } = request.params;
  reply.send({ id, message: `Hello, ${id}!`, number: 42 });
});

await app.listen({ host, port: Number(port) });
