"""faststream-outbox, as its tutorial has it: `driver.py URL through WRITERS SECONDS EVENTS`, BROKER in the environment.

Three processes: who writes (this one), the relay, the consumer. A row of the writer's own and the outbox row commit
together; the relay publishes with confirmation; the consumer commits its effect with an inbox row and then acknowledges.
Without a broker (BROKER=memory) the outbox's own subscriber is the consumer. First as much as goes, then half of that.
"""

import asyncio
import json
import os
import subprocess
import sys
import time

import asyncpg
import uvloop
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitQueue
from faststream_outbox import OutboxBroker, make_outbox_table
from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine

# As ours: not counted, underway at most, accounts.
WARM_UP, UNDERWAY_MAX, STREAMS = 0.5, 2048, 10_000
REST_MAX = 30
ROLE, BROKER = os.environ.get("ROLE", "writer"), os.environ["BROKER"]
QUEUE, SUBJECT = "outbox", "bench.money"
# What was best for it here; each worker keeps a connection.
WORKERS = 64
FETCH = dict(
    fetch_batch_size=500,
    min_fetch_interval=0.001,
    max_fetch_interval=0.05,
    max_workers=WORKERS,
    terminal_flush_batch_size=100,
)
CONNECTIONS = 32

URL, _, WRITERS, SECONDS, _ = sys.argv[1:6]
WRITERS, SECONDS = int(WRITERS), float(SECONDS)
metadata = MetaData()
table = make_outbox_table(metadata, table_name="outbox")
engine = create_async_engine(
    URL.replace("postgresql://", "postgresql+asyncpg://"), pool_size=WORKERS + 8, max_overflow=0
)
outbox = OutboxBroker(engine, outbox_table=table, logger=None)


def micros():
    """The same clock in all processes."""
    return time.monotonic_ns() // 1000


def booked(number):
    stream = number * 7919 % STREAMS
    return {
        "number": number,
        "accountId": f"account-{stream:05}",
        "amountCents": 4200 + stream,
        "currency": "EUR",
        "reason": "invoice",
        "bookedAt": "2026-11-20T12:00:00Z",
        "reference": f"INV-2026-{stream:06}",
        "note": "n" * 128,
    }


# --- the consumer -------------------------------------------------------------------------------------------------

EFFECT = """
with first as (insert into inbox (id) values ($1) on conflict do nothing returning id)
insert into effect (account, cents) select $2, $3 from first"""


async def consumer_pool():
    return await asyncpg.create_pool(URL, min_size=CONNECTIONS, max_size=CONNECTIONS)


async def handle(pool, body):
    # One statement is one transaction.
    await pool.execute(EFFECT, body["number"], body["accountId"], body["amountCents"])
    sys.stdout.write(f"{body['number']} {micros()}\n")


async def flush():
    while True:
        sys.stdout.flush()
        await asyncio.sleep(0.002)


def nats_subscriber(broker):
    return broker.subscriber(
        SUBJECT,
        stream=JStream("bench", subjects=["bench.>"], declare=True),
        durable="sink",
        pull_sub=PullSub(batch_size=256, timeout=1.0),
        max_workers=CONNECTIONS,
        ack_policy=AckPolicy.NACK_ON_ERROR,
    )


def rabbit_queue():
    return RabbitQueue("bench", durable=True, queue_type=QueueType.QUORUM)


def connect():
    if BROKER.startswith("nats:"):
        return NatsBroker(BROKER, logger=None)
    return RabbitBroker(BROKER, logger=None, default_channel=Channel(prefetch_count=256))


async def consume():
    pool = await consumer_pool()
    background = asyncio.create_task(flush())
    if BROKER == "memory":

        @outbox.subscriber(QUEUE, **FETCH)
        async def effect(body: dict) -> None:
            await handle(pool, body)

        await outbox.start()
    else:
        broker = connect()
        subscribe = nats_subscriber(broker) if BROKER.startswith("nats:") else broker.subscriber(rabbit_queue())

        @subscribe
        async def effect(body: dict) -> None:
            await handle(pool, body)

        await broker.start()
    print("ready", flush=True)
    await background


# --- the relay ----------------------------------------------------------------------------------------------------


async def relay():
    broker = connect()
    if BROKER.startswith("nats:"):
        publish = broker.publisher(SUBJECT, stream=JStream("bench", subjects=["bench.>"], declare=True))
    else:
        publish = broker.publisher(rabbit_queue(), persist=True)

    @publish
    @outbox.subscriber(QUEUE, **FETCH)
    async def forward(body: dict) -> dict:
        return body

    await broker.start()
    await outbox.start()
    print("ready", flush=True)
    await asyncio.Event().wait()


# --- the writer ---------------------------------------------------------------------------------------------------


class Run:
    def __init__(self):
        self.next, self.handled = 0, 0
        self.committed, self.taken = {}, None
        self.room = asyncio.Semaphore(UNDERWAY_MAX)

    async def append(self):
        number, self.next = self.next, self.next + 1
        body = booked(number)
        async with engine.begin() as connection:
            insert = text("insert into booking (account, cents) values (:account, :cents)")
            await connection.execute(insert, {"account": body["accountId"], "cents": body["amountCents"]})
            await outbox.publish(body, queue=QUEUE, session=connection)
        self.committed[number] = micros()

    async def listen(self, out):
        while line := await out.readline():
            number, at = line.split()
            self.handled += 1
            self.room.release()
            if self.taken is not None:
                self.taken.append((int(number), int(at)))

    async def count(self):
        await asyncio.sleep(WARM_UP)
        self.taken = []
        await asyncio.sleep(SECONDS)
        taken, self.taken = self.taken, None
        return taken

    async def rest(self):
        end = time.monotonic() + REST_MAX
        while self.handled < self.next:
            if time.monotonic() > end:
                sys.exit(f"{self.handled} of {self.next} are handled")
            await asyncio.sleep(0.005)

    async def writer(self, over):
        while not over.is_set():
            await self.room.acquire()
            await self.append()

    async def as_much_as_goes(self):
        over = asyncio.Event()
        writers = [asyncio.create_task(self.writer(over)) for _ in range(WRITERS)]
        taken = await self.count()
        over.set()
        for _ in writers:
            self.room.release()
        await asyncio.gather(*writers)
        return len(taken)

    async def evenly(self, rate):
        over, appends = asyncio.Event(), set()

        async def send():
            begun, sent = time.monotonic(), 0
            while not over.is_set():
                due = int((time.monotonic() - begun) * rate)
                for _ in range(sent, due):
                    task = asyncio.create_task(self.append())
                    appends.add(task)
                    task.add_done_callback(appends.discard)
                sent = max(sent, due)
                await asyncio.sleep(0.002)

        sending = asyncio.create_task(send())
        taken = await self.count()
        over.set()
        await sending
        await asyncio.gather(*appends)
        return taken


async def start(role):
    process = await asyncio.create_subprocess_exec(
        sys.executable, *sys.argv, env={**os.environ, "ROLE": role}, stdout=subprocess.PIPE
    )
    while (line := await process.stdout.readline()) != b"ready\n":
        if not line:
            sys.exit(f"the {role} did not start")
    return process


async def write():
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        for sql in [
            "create table booking (id bigserial primary key, account text not null, cents bigint not null)",
            "create table inbox (id bigint primary key, at timestamptz not null default now())",
            "create table effect (id bigserial primary key, account text not null, cents bigint not null)",
        ]:
            await connection.execute(text(sql))
    await outbox.connect()
    consumer = await start("consumer")
    others = [consumer] if BROKER == "memory" else [consumer, await start("relay")]
    try:
        run = Run()
        listening = asyncio.create_task(run.listen(consumer.stdout))
        await run.append()
        await run.rest()
        most = await run.as_much_as_goes()
        await run.rest()
        taken = await run.evenly(most / SECONDS / 2)
        await run.rest()
        listening.cancel()
        report(run, most, taken)
    finally:
        for process in others:
            process.kill()


def report(run, most, taken):
    took = sorted(max(at - run.committed.get(number, at), 0) for number, at in taken)
    at = lambda percent: took[min(len(took) - 1, len(took) * percent // 100)]
    print(json.dumps({"events": most, "seconds": SECONDS, "p50_us": at(50), "p99_us": at(99), "again": 0}))


uvloop.run({"writer": write, "relay": relay, "consumer": consume}[ROLE]())
