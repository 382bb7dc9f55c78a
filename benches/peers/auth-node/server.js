// Tokens issued, checked and rotated, on Fastify: server.js ADDRESS; log lines go to standard error.
//
// One process a processor, as Node's own cluster module makes them; jose for tokens, pg and ioredis for the stores.

import cluster from 'node:cluster';
import { createHash, createPrivateKey, createPublicKey, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { availableParallelism } from 'node:os';
import formbody from '@fastify/formbody';
import Fastify, { LogController } from 'fastify';
import Redis from 'ioredis';
import { SignJWT, jwtVerify } from 'jose';
import pg from 'pg';
import { destination } from 'pino';

const ACCESS_SECONDS = 900;
const DAY_MS = 86_400_000;
const AUDIENCE = 'api';
const KEY_ID = 'key-1';
// What another process revokes is refused here after this.
const NEAR_MS = 1_000;
const NEAR_MAX = 10_000;
const FAR_SECONDS = 60;

async function serve() {
  const [host, port] = process.argv[2].split(':');
  const issuer = `http://${process.argv[2]}`;
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
  const redis = new Redis(process.env.REDIS_URL, { enableAutoPipelining: true });
  const pkcs8 = Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from(process.env.AUTH_KEY_SEED, 'hex'),
  ]);
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(privateKey);

  const clients = new Cache(redis, 'client:');
  const sessions = new Cache(redis, 'session:');
  const client = (id) => clients.get(id, async () => {
    const { rows } = await pool.query({
      name: 'client', text: 'select secret_hash from clients where id = $1', values: [id],
    });
    return rows[0]?.secret_hash.toString('hex') ?? null;
  });
  const session = (id) => sessions.get(id, async () => {
    const { rows } = await pool.query({
      name: 'session', values: [id],
      text: 'select user_id from sessions where id = $1 and ended_at is null and expires_at > now()',
    });
    return rows[0]?.user_id ?? null;
  });

  const sign = (subject, clientId, sid) => new SignJWT({ client_id: clientId, scope: 'order:read', ...(sid && { sid }) })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid: KEY_ID })
    .setIssuer(issuer).setAudience(AUDIENCE).setSubject(subject).setJti(randomUUID())
    .setIssuedAt().setExpirationTime(`${ACCESS_SECONDS}s`)
    .sign(privateKey);

  // The row decides, in one transaction.
  const rotate = async (clientId, presented) => {
    const hash = sha256(presented);
    const connection = await pool.connect();
    try {
      await connection.query('begin');
      const { rows: [row] } = await connection.query({
        name: 'token', values: [hash],
        text: `select t.session_id, t.generation, t.state, t.expires_at, s.user_id, s.client_id, s.expires_at as ends_at,
                      s.ended_at
               from refresh_tokens t join sessions s on s.id = t.session_id where t.hash = $1 for update`,
      });
      const now = new Date();
      if (!row || row.client_id !== clientId || row.ended_at || now > row.ends_at || now > row.expires_at) {
        await connection.query('rollback');
        return null;
      }
      if (row.state === 'used') {
        await connection.query('update sessions set ended_at = $2 where id = $1', [row.session_id, now]);
        await connection.query('commit');
        await sessions.forget(row.session_id);
        return null;
      }
      const refresh = random();
      await connection.query({
        name: 'use', values: [hash, now],
        text: `update refresh_tokens set state = 'used', used_at = $2 where hash = $1`,
      });
      await connection.query({
        name: 'touch', values: [row.session_id, now], text: 'update sessions set last_used_at = $2 where id = $1',
      });
      await insertToken(connection, sha256(refresh), row.session_id, Number(row.generation) + 1, hash);
      const access = await sign(row.user_id, clientId, row.session_id);
      await connection.query('commit');
      return tokens(access, refresh);
    } catch (error) {
      await connection.query('rollback').catch(() => {});
      throw error;
    } finally {
      connection.release();
    }
  };

  const app = Fastify({
    logger: { stream: destination({ fd: 2, sync: false, minLength: 4096 }) },
    logController: new LogController({ disableRequestLogging: true }),
    requestTimeout: 30_000,
    bodyLimit: 65_536,
  });
  await app.register(formbody);
  app.addHook('onResponse', (request, reply, done) => {
    const line = { method: request.method, path: request.url, status: reply.statusCode, duration_ms: reply.elapsedTime };
    request.log.info(line, 'request completed');
    done();
  });

  const authenticated = async (request, reply) => {
    const header = request.headers.authorization ?? '';
    const text = Buffer.from(header.startsWith('Basic ') ? header.slice(6) : '', 'base64').toString();
    const colon = text.indexOf(':');
    const [id, secret] = [text.slice(0, Math.max(colon, 0)), text.slice(colon + 1)];
    const stored = await client(id);
    if (!stored || !timingSafeEqual(Buffer.from(stored, 'hex'), sha256(secret))) {
      reply.code(401).header('www-authenticate', 'Basic realm="oauth2"').send({ error: 'invalid_client' });
      return;
    }
    request.client = id;
  };
  app.decorateRequest('client', null);

  const noStore = (reply) => reply.header('cache-control', 'no-store');
  const tokenSchema = {
    response: {
      200: {
        type: 'object',
        properties: {
          access_token: { type: 'string' }, refresh_token: { type: 'string' },
          token_type: { type: 'string' }, expires_in: { type: 'integer' },
        },
      },
    },
  };
  app.post('/oauth2/token', { preHandler: authenticated, schema: tokenSchema }, async (request, reply) => {
    noStore(reply);
    switch (request.body?.grant_type) {
      case 'client_credentials':
        return tokens(await sign(request.client, request.client));
      case 'refresh_token': {
        const rotated = await rotate(request.client, request.body.refresh_token ?? '');
        if (rotated) return rotated;
        return reply.code(400).send({ error: 'invalid_grant' });
      }
      default:
        return reply.code(400).send({ error: 'unsupported_grant_type' });
    }
  });

  const introspectionSchema = {
    response: {
      200: {
        type: 'object',
        properties: {
          active: { type: 'boolean' }, token_type: { type: 'string' }, iss: { type: 'string' }, aud: { type: 'string' },
          sub: { type: 'string' }, client_id: { type: 'string' }, scope: { type: 'string' }, jti: { type: 'string' },
          sid: { type: 'string' }, iat: { type: 'integer' }, exp: { type: 'integer' },
        },
      },
    },
  };
  const options = { algorithms: ['EdDSA'], typ: 'at+jwt', issuer, audience: AUDIENCE, requiredClaims: ['exp', 'iat', 'sub'] };
  const verify = async (token) => {
    try {
      const { payload, protectedHeader } = await jwtVerify(token, publicKey, options);
      return protectedHeader.kid === KEY_ID ? payload : null;
    } catch {
      return null;
    }
  };
  app.post('/oauth2/introspect', { preHandler: authenticated, schema: introspectionSchema }, async (request, reply) => {
    noStore(reply);
    const claims = await verify(request.body?.token ?? '');
    if (!claims || (claims.sid && await session(claims.sid) !== claims.sub)) return { active: false };
    return { active: true, token_type: 'Bearer', ...claims };
  });

  app.post('/admin/clients', async (request, reply) => {
    const [id, secret] = [randomUUID(), random()];
    await pool.query('insert into clients (id, secret_hash) values ($1, $2)', [id, sha256(secret)]);
    return reply.code(201).send({ client_id: id, client_secret: secret });
  });
  app.post('/admin/sessions', { preHandler: authenticated }, async (request) => {
    const [id, user, refresh] = [randomUUID(), randomUUID(), random()];
    await pool.query(
      'insert into sessions (id, client_id, user_id, expires_at) values ($1, $2, $3, $4)',
      [id, request.client, user, new Date(Date.now() + 30 * DAY_MS)],
    );
    await insertToken(pool, sha256(refresh), id, 0, null);
    return tokens(await sign(user, request.client, id), refresh);
  });

  await app.listen({ host, port: Number(port) });
}

// Two levels: this process for a second, Redis for a minute; then the store.
class Cache {
  constructor(redis, prefix) {
    this.redis = redis;
    this.prefix = prefix;
    this.near = new Map();
  }

  async get(key, load) {
    const now = Date.now();
    const known = this.near.get(key);
    if (known && now < known.until) return known.value;
    const value = await this.far(key, load);
    if (this.near.size >= NEAR_MAX) this.near.clear();
    this.near.set(key, { value, until: now + NEAR_MS });
    return value;
  }

  async far(key, load) {
    const text = await this.redis.get(this.prefix + key);
    if (text !== null) return JSON.parse(text);
    const value = await load();
    await this.redis.set(this.prefix + key, JSON.stringify(value), 'EX', FAR_SECONDS);
    return value;
  }

  async forget(key) {
    await this.redis.del(this.prefix + key);
    this.near.delete(key);
  }
}

function insertToken(on, hash, session, generation, parent) {
  return on.query({
    name: 'insert-token',
    text: `insert into refresh_tokens (hash, session_id, generation, parent, state, expires_at)
           values ($1, $2, $3, $4, 'live', $5)`,
    values: [hash, session, generation, parent, new Date(Date.now() + 7 * DAY_MS)],
  });
}

function tokens(access, refresh) {
  return {
    access_token: access, token_type: 'Bearer', expires_in: ACCESS_SECONDS, ...(refresh && { refresh_token: refresh }),
  };
}

function random() {
  return randomBytes(32).toString('base64url');
}

function sha256(text) {
  return createHash('sha256').update(text).digest();
}

if (cluster.isPrimary) {
  for (let worker = 0; worker < availableParallelism(); worker += 1) cluster.fork();
  cluster.on('exit', () => process.exit(1));
} else {
  await serve();
}
