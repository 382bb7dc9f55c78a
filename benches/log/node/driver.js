// Drives the npm package emmett-postgresql: driver.js URL CASE WRITERS SECONDS EVENTS, one JSON line out.
//
// CASE is `append`, `append10` (ten events an append), `feed` or `stream`; a suffix `:processes=N` spreads the
// writers over N processes.

import { fork } from 'node:child_process';
import { getPostgreSQLEventStore, readMessagesBatch } from '@event-driven-io/emmett-postgresql';
import { dumbo } from '@event-driven-io/dumbo';
import pg from 'pg';

const STREAMS = 10_000;
const WARM_UP_SECONDS = 0.5;
const STREAM_EVENTS = 100;
const FEED_PAGE = 1_000;
// More connections than this only fight for the two cores.
const CONNECTIONS_MAX = 64;

const payload = (stream) => {
  const data = {
    accountId: `account-${String(stream).padStart(5, '0')}`,
    amountCents: 4200 + stream,
    currency: 'EUR',
    reason: 'invoice',
    bookedAt: '2026-11-20T12:00:00Z',
    reference: `INV-2026-${String(stream).padStart(6, '0')}`,
  };
  return { ...data, note: 'n'.repeat(300 - JSON.stringify(data).length - 10) };
};

const eventsOf = (stream, count) =>
  Array.from({ length: count }, () => ({ type: 'MoneyBooked', data: payload(stream) }));

const nameOf = (stream) => `account-${String(stream).padStart(5, '0')}`;

const open = (url, connections) =>
  getPostgreSQLEventStore(url, {
    schema: { autoMigration: 'None' },
    connectionOptions: { pool: new pg.Pool({ connectionString: url, max: connections, min: connections }) },
  });

// Same small generator as the other drivers: every writer has its own share of the streams.
const dice = (seed) => {
  let state = BigInt(seed) * 2654435761n + 88172645463325252n;
  return (below) => {
    state ^= (state << 13n) & 0xffffffffffffffffn;
    state ^= state >> 7n;
    state ^= (state << 17n) & 0xffffffffffffffffn;
    return Number(state % BigInt(below));
  };
};

const write = async (store, writer, writers, batch, countedFrom, until, taken) => {
  const share = Math.floor((STREAMS - writer - 1) / writers) + 1;
  const versions = new Map();
  const next = dice(writer + 1);
  for (;;) {
    const stream = writer + writers * next(share);
    const events = eventsOf(stream, batch);
    const expectedStreamVersion = versions.get(stream) ?? 'STREAM_DOES_NOT_EXIST';
    const begun = performance.now();
    if (begun >= until) return;
    const appended = await store.appendToStream(nameOf(stream), events, { expectedStreamVersion });
    const ended = performance.now();
    versions.set(stream, appended.nextExpectedStreamVersion);
    if (ended >= countedFrom && ended <= until) taken.push(ended - begun);
  }
};

// Writers `process`, `process + processes`, … of all; resolves with their latencies in milliseconds.
const writeShare = async ({ url, process, processes, writers, batch, seconds }, start) => {
  const mine = [];
  for (let writer = process; writer < writers; writer += processes) mine.push(writer);
  const store = open(url, Math.min(mine.length, Math.ceil(CONNECTIONS_MAX / processes)));
  await start();
  const countedFrom = performance.now() + WARM_UP_SECONDS * 1000;
  const until = countedFrom + seconds * 1000;
  const taken = [];
  await Promise.all(mine.map((writer) => write(store, writer, writers, batch, countedFrom, until, taken)));
  return taken;
};

const latencies = (taken) => {
  taken.sort((a, b) => a - b);
  const at = (share) => Math.round(taken[Math.min(taken.length - 1, Math.floor(taken.length * share))] * 1000);
  return { p50_us: at(0.5), p99_us: at(0.99) };
};

const append = async (job, processes) => {
  const store = open(job.url, 1);
  await store.schema.migrate();
  let shares;
  if (processes === 1) {
    shares = [await writeShare({ ...job, process: 0, processes }, async () => {})];
  } else {
    const children = Array.from({ length: processes }, (_, n) => {
      const child = fork(import.meta.filename, ['child', JSON.stringify({ ...job, process: n, processes })]);
      const ready = new Promise((done) => child.once('message', done));
      return { child, ready };
    });
    await Promise.all(children.map(({ ready }) => ready));
    shares = await Promise.all(
      children.map(({ child }) => {
        const answer = new Promise((done) => child.once('message', done));
        child.send('go');
        return answer;
      }),
    );
  }
  const taken = shares.flat();
  return { events: taken.length * job.batch, seconds: job.seconds, ...latencies(taken) };
};

const child = async (job) => {
  const start = async () => {
    const go = new Promise((done) => process.once('message', done));
    process.send('ready');
    await go;
  };
  const taken = await writeShare(job, start);
  process.send(taken, () => process.exit(0));
};

const fill = async (url, events) => {
  const store = open(url, 1);
  await store.schema.migrate();
  for (let stream = 0; stream < events / STREAM_EVENTS; stream++) {
    await store.appendToStream(nameOf(stream), eventsOf(stream, STREAM_EVENTS));
  }
  return store;
};

const feed = async (url, seconds, events) => {
  await fill(url, events);
  const { execute } = dumbo({ connectionString: url });
  const begun = performance.now();
  let read = 0;
  while (performance.now() < begun + seconds * 1000) {
    for (let after = 0n; ; ) {
      const page = await readMessagesBatch(execute, { after, batchSize: FEED_PAGE });
      read += page.messages.length;
      if (page.messages.length === 0) break;
      after = page.currentGlobalPosition;
    }
  }
  return { events: read, seconds: (performance.now() - begun) / 1000 };
};

const stream = async (url, seconds, events) => {
  const store = await fill(url, events);
  const next = dice(1);
  const taken = [];
  const begun = performance.now();
  for (let before = begun; before < begun + seconds * 1000; before = performance.now()) {
    const read = await store.readStream(nameOf(next(events / STREAM_EVENTS)));
    if (read.events.length !== STREAM_EVENTS) throw new Error(`${read.events.length} events in a stream`);
    taken.push(performance.now() - before);
  }
  return { events: taken.length, seconds: (performance.now() - begun) / 1000, ...latencies(taken) };
};

const main = async () => {
  if (process.argv[2] === 'child') return child(JSON.parse(process.argv[3]));
  const [url, name, writers, seconds, events] = process.argv.slice(2);
  const [kind, ...options] = name.split(':');
  const processes = Number(options.find((o) => o.startsWith('processes='))?.split('=')[1] ?? 1);
  const batch = kind === 'append10' ? 10 : 1;
  const job = { url, writers: Number(writers), batch, seconds: Number(seconds) };
  const answer = await {
    append: () => append(job, Math.min(processes, job.writers)),
    append10: () => append(job, Math.min(processes, job.writers)),
    feed: () => feed(url, job.seconds, Number(events)),
    stream: () => stream(url, job.seconds, Number(events)),
  }[kind]();
  // Everything is measured; the pools go with the process.
  process.stdout.write(`${JSON.stringify(answer)}\n`, () => process.exit(0));
};

await main();
