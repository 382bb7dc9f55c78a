// pg-transactional-outbox, outbox and inbox, as its guide has them: `driver.js URL through WRITERS SECONDS EVENTS`, BROKER in
// the environment.
//
// Three processes: who writes (this one), the relay, the consumer. A row of the writer's own and the outbox row commit
// together; the outbox listener publishes with confirmation; the consumer stores into its inbox and acknowledges, and the
// inbox listener commits the effect. Without a broker (BROKER=memory) the outbox listener stores into the inbox itself.
// Listeners follow the logical replication, which its guide has first; polling locks rows that are being handled. First as
// much as goes, then half of that.

import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import amqp from 'amqplib';
import { connect as connectNats, AckPolicy, nanos } from 'nats';
import pg from 'pg';
import {
  DatabaseSetup,
  IsolationLevel,
  createReplicationFullConcurrencyController,
  executeTransaction,
  getDisabledLogger,
  initializeMessageStorage,
  initializeReplicationMessageListener,
} from 'pg-transactional-outbox';

// As ours: not counted, underway at most, accounts.
const [WARM_UP, UNDERWAY_MAX, STREAMS] = [500, 2048, 10_000];
const REST_MAX = 5_000;
// What was best for it here.
const [CONNECTIONS, WINDOW] = [32, 256];

const [url, , writers, seconds] = process.argv.slice(2);
const [WRITERS, MILLIS] = [Number(writers), Number(seconds) * 1000];
const ROLE = process.env.ROLE ?? 'writer';
const BROKER = process.env.BROKER;
const parsed = new URL(url.replace('postgresql:///', 'postgresql://socket/'));
const database = {
  host: parsed.searchParams.get('host'),
  port: Number(parsed.searchParams.get('port')),
  user: parsed.searchParams.get('user'),
  database: parsed.pathname.slice(1),
  max: CONNECTIONS,
};
const logger = getDisabledLogger();
const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis));
// The same clock in all processes.
const micros = () => Number(process.hrtime.bigint() / 1000n);

const publication = (which) => `${which}_publication`;
// Slots are the server's, not the database's.
const slot = (which) => `${database.database}_${which}`;

function listener(which) {
  return {
    outboxOrInbox: which,
    dbHandlerConfig: database,
    dbListenerConfig: database,
    settings: {
      dbSchema: 'public',
      dbTable: which,
      enableMaxAttemptsProtection: false,
      enablePoisonousMessageProtection: false,
      dbPublication: publication(which),
      dbReplicationSlot: slot(which),
    },
  };
}

const strategies = () => ({
  concurrencyStrategy: createReplicationFullConcurrencyController(),
  messageProcessingTransactionLevelStrategy: () => IsolationLevel.ReadCommitted,
});

function booked(number) {
  const stream = (number * 7919) % STREAMS;
  const account = String(stream).padStart(5, '0');
  return {
    number,
    accountId: `account-${account}`,
    amountCents: 4200 + stream,
    currency: 'EUR',
    reason: 'invoice',
    bookedAt: '2026-11-20T12:00:00Z',
    reference: `INV-2026-0${account}`,
    note: 'n'.repeat(128),
  };
}

// --- the broker ---

async function nats() {
  const connection = await connectNats({ servers: BROKER });
  const manager = await connection.jetstreamManager();
  await manager.streams.add({ name: 'bench', subjects: ['bench.>'] });
  return { context: connection.jetstream(), manager };
}

async function rabbit() {
  const connection = await amqp.connect(BROKER);
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue('bench', { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  return channel;
}

async function publisher() {
  if (BROKER.startsWith('nats:')) {
    const { context } = await nats();
    return (message) => context.publish('bench.money', JSON.stringify(message), { msgID: message.id });
  }
  const channel = await rabbit();
  return (message) =>
    new Promise((resolve, reject) => {
      const body = Buffer.from(JSON.stringify(message));
      channel.sendToQueue('bench', body, { persistent: true }, (error) => (error ? reject(error) : resolve()));
    });
}

async function receive(store) {
  if (BROKER.startsWith('nats:')) {
    const { context, manager } = await nats();
    await manager.consumers.add('bench', {
      durable_name: 'sink',
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(30_000),
      max_ack_pending: WINDOW,
    });
    const consumer = await context.consumers.get('bench', 'sink');
    const messages = await consumer.consume({ max_messages: WINDOW });
    for await (const message of messages) {
      store(message.json()).then(() => message.ack());
    }
  } else {
    const channel = await rabbit();
    await channel.prefetch(WINDOW);
    await channel.consume('bench', (message) => {
      store(JSON.parse(message.content.toString())).then(() => channel.ack(message));
    });
  }
}

// --- the consumer ---

function storage(which) {
  const pool = new pg.Pool(database);
  const insert = initializeMessageStorage(listener(which), logger);
  return async (message) =>
    executeTransaction(
      await pool.connect(),
      async (client) => insert(message, client),
      IsolationLevel.ReadCommitted,
    );
}

async function consume() {
  const handler = {
    handle: async (message, client) => {
      const { accountId, amountCents } = message.payload;
      await client.query('insert into effect (account, cents) values ($1, $2)', [accountId, amountCents]);
    },
  };
  // The effect's transaction ends after the handler: the row that says "processed" is its commit.
  const handled = [];
  const timed = {
    handle: async (message, client) => {
      await handler.handle(message, client);
      const release = client.release.bind(client);
      client.release = (...rest) => {
        client.release = release;
        handled.push([message.payload.number, micros()]);
        return release(...rest);
      };
    },
  };
  initializeReplicationMessageListener(listener('inbox'), timed, logger, strategies());
  setInterval(() => handled.length > 0 && process.send(handled.splice(0)), 2);
  if (BROKER !== 'memory') {
    void receive(storage('inbox'));
  }
}

// --- the relay ---

async function relay() {
  const publish = BROKER === 'memory' ? storage('inbox') : await publisher();
  // Without what the outbox's row says of its own handling: the inbox would take it for its row's.
  const fresh = ({ id, aggregateType, aggregateId, messageType, concurrency, payload, createdAt }) => ({
    id,
    aggregateType,
    aggregateId,
    messageType,
    concurrency,
    payload,
    createdAt,
  });
  const handler = { handle: async (message) => void (await publish(fresh(message))) };
  initializeReplicationMessageListener(listener('outbox'), handler, logger, strategies());
}

// --- the writer ---

class Run {
  next = 0;
  handled = 0;
  committed = [];
  taken = null;
  pool = new pg.Pool({ ...database, max: 64 });
  store = initializeMessageStorage(listener('outbox'), logger);

  async append() {
    const number = this.next++;
    const payload = booked(number);
    const message = {
      id: randomUUID(),
      aggregateType: 'account',
      aggregateId: payload.accountId,
      messageType: 'money_booked',
      concurrency: 'parallel',
      payload,
      createdAt: new Date().toISOString(),
    };
    await executeTransaction(
      await this.pool.connect(),
      async (client) => {
        const values = [payload.accountId, payload.amountCents];
        await client.query('insert into booking (account, cents) values ($1, $2)', values);
        await this.store(message, client);
      },
      IsolationLevel.ReadCommitted,
    );
    this.committed[number] = micros();
  }

  hear(handled) {
    this.handled += handled.length;
    this.taken?.push(...handled);
  }

  async count() {
    await sleep(WARM_UP);
    this.taken = [];
    await sleep(MILLIS);
    const taken = this.taken;
    this.taken = null;
    return taken;
  }

  // With full concurrency its inbox leaves a few of a thousand for ever: what is counted is what was handled.
  async rest() {
    const end = Date.now() + REST_MAX;
    while (this.handled < this.next && Date.now() < end) {
      await sleep(5);
    }
    if (this.handled === 0) {
      throw new Error('nothing is handled');
    }
    if (this.handled < this.next) {
      console.error(`${this.next - this.handled} of ${this.next} are not handled`);
    }
  }

  async asMuchAsGoes() {
    let over = false;
    const write = async () => {
      while (!over) {
        if (this.next - this.handled < UNDERWAY_MAX) {
          await this.append();
        } else {
          await sleep(2);
        }
      }
    };
    const all = Array.from({ length: WRITERS }, write);
    const taken = await this.count();
    over = true;
    await Promise.all(all);
    return taken.length;
  }

  async evenly(perSecond) {
    const [begun, appends] = [Date.now(), []];
    let sent = 0;
    const ticks = setInterval(() => {
      const due = Math.floor(((Date.now() - begun) / 1000) * perSecond);
      for (; sent < due; sent++) {
        appends.push(this.append());
      }
    }, 2);
    const taken = await this.count();
    clearInterval(ticks);
    await Promise.all(appends);
    return taken;
  }
}

async function prepare(pool) {
  for (const outboxOrInbox of ['outbox', 'inbox']) {
    const config = {
      outboxOrInbox,
      database: database.database,
      schema: 'public',
      table: outboxOrInbox,
      listenerRole: database.user,
      publication: publication(outboxOrInbox),
      replicationSlot: slot(outboxOrInbox),
    };
    await pool.query(DatabaseSetup.dropAndCreateTable(config));
    await pool.query(DatabaseSetup.setupReplicationCore(config));
    await pool.query("select pg_create_logical_replication_slot($1, 'pgoutput')", [config.replicationSlot]);
  }
  for (const table of ['booking', 'effect']) {
    await pool.query(`create table ${table} (id bigserial primary key, account text not null, cents bigint not null)`);
  }
}

async function start(role, hear) {
  const child = fork(process.argv[1], process.argv.slice(2), { env: { ...process.env, ROLE: role } });
  child.on('message', (message) => (message === 'ready' ? child.emit('ready') : hear(message)));
  await new Promise((resolve, reject) => child.once('ready', resolve).once('exit', reject));
  return child;
}

async function write() {
  const run = new Run();
  await prepare(run.pool);
  const hear = (handled) => run.hear(handled);
  const children = [await start('consumer', hear), await start('relay', hear)];
  try {
    await measure(run);
  } finally {
    children.forEach((child) => child.kill('SIGKILL'));
    await dropSlots(run.pool);
  }
  process.exit(0);
}

/** Slots would keep the database from being dropped. */
async function dropSlots(pool) {
  const ends = 'select pg_terminate_backend(active_pid) from pg_replication_slots where active';
  const drops = 'select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active';
  for (let tries = 0; tries < 50; tries++) {
    await pool.query(ends);
    const { rowCount } = await pool.query(`${drops} and database = current_database()`);
    const left = await pool.query('select 1 from pg_replication_slots where database = current_database()');
    if (left.rowCount === 0) {
      return;
    }
    await sleep(rowCount === 0 ? 100 : 0);
  }
}

async function measure(run) {
  await run.append();
  await run.rest();
  const most = await run.asMuchAsGoes();
  await run.rest();
  const taken = await run.evenly((most / MILLIS) * 500);
  await run.rest();
  const took = taken.map(([number, at]) => Math.max(0, at - (run.committed[number] ?? at))).sort((a, b) => a - b);
  const at = (percent) => took[Math.min(took.length - 1, Math.floor((took.length * percent) / 100))];
  const report = { events: most, seconds: MILLIS / 1000, p50_us: at(50), p99_us: at(99), again: 0 };
  console.log(JSON.stringify(report));
}

if (ROLE === 'writer') {
  await write();
} else {
  await { consumer: consume, relay }[ROLE]();
  process.send('ready');
  // Whoever began this is gone.
  process.on('disconnect', () => process.exit(1));
}
