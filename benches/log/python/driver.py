"""Drives the Python package `eventsourcing`: driver.py URL CASE WRITERS SECONDS EVENTS, one JSON line out.

CASE is `append`, `append10` (ten events an append), `feed` or `stream`; a suffix `:functions` switches the package's
database functions on, `:processes=N` spreads the writers over N processes. Connection parameters come from libpq's
variables (PGHOST and so on), which the bench sets beside URL.
"""

import json
import multiprocessing
import os
import random
import sys
import threading
import time
import uuid

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

STREAMS = 10_000
WARM_UP_SECONDS = 0.5
STREAM_EVENTS = 100
# More connections than this only fight for the cores.
CONNECTIONS_MAX = 64
# The package's default of 10 makes its feed six times slower.
FEED_PAGE = 2_000


def payload(stream):
    data = {
        "accountId": f"account-{stream:05}",
        "amountCents": 4200 + stream,
        "currency": "EUR",
        "reason": "invoice",
        "bookedAt": "2026-11-20T12:00:00Z",
        "reference": f"INV-2026-{stream:06}",
    }
    data["note"] = "n" * (300 - len(json.dumps(data)) - 12)
    return json.dumps(data).encode()


def recorder(threads, functions, create=False):
    datastore = PostgresDatastore(
        os.environ["PGDATABASE"],
        os.environ["PGHOST"],
        os.environ["PGPORT"],
        os.environ["PGUSER"],
        "",
        pool_size=threads,
        pool_open_timeout=30,
        enable_db_functions=functions,
        connect_timeout=60,
    )
    made = PostgresApplicationRecorder(datastore)
    if create:
        made.create_table()
    datastore.register_type_adapters()
    # All connections are open by now; the package would wait for that again at every call, one thread at a time.
    datastore.pool_open_timeout = None
    return made


def stream_id(number):
    return uuid.uuid5(uuid.NAMESPACE_OID, f"account-{number}")


def events_of(stream, version, count):
    return [
        StoredEvent(stream_id(stream), version + n, "bank:MoneyBooked", payload(stream))
        for n in range(count)
    ]


def write(store, writer, writers, batch, gate, seconds, out):
    """One writer: its own share of the streams, one append after the other."""
    own = list(range(writer, STREAMS, writers))
    versions = dict.fromkeys(own, 0)
    dice = random.Random(writer)
    gate.wait()
    counted_from = time.monotonic() + WARM_UP_SECONDS
    until = counted_from + seconds
    taken = []
    while True:
        stream = dice.choice(own)
        events = events_of(stream, versions[stream], batch)
        begun = time.monotonic()
        if begun >= until:
            break
        store.insert_events(events)
        ended = time.monotonic()
        versions[stream] += batch
        if counted_from <= ended <= until:
            taken.append(ended - begun)
    out.extend(taken)


def write_in_process(process, processes, writers, batch, functions, seconds, ready, answers):
    mine = range(process, writers, processes)
    store = recorder(min(len(mine), CONNECTIONS_MAX // processes), functions)
    out = []
    gate = threading.Barrier(len(mine) + 1)
    threads = [
        threading.Thread(target=write, args=(store, w, writers, batch, gate, seconds, out))
        for w in mine
    ]
    for thread in threads:
        thread.start()
    ready.wait()
    gate.wait()
    for thread in threads:
        thread.join()
    answers.put(out)
    store.datastore.close()


def append(writers, batch, functions, processes, seconds):
    recorder(1, functions, create=True).datastore.close()
    processes = min(processes, writers)
    context = multiprocessing.get_context("fork")
    ready, answers = context.Barrier(processes), context.Queue()
    children = [
        context.Process(
            target=write_in_process,
            args=(n, processes, writers, batch, functions, seconds, ready, answers),
        )
        for n in range(processes)
    ]
    for child in children:
        child.start()
    taken = sorted(second for _ in children for second in answers.get())
    for child in children:
        child.join()
    return {
        "events": len(taken) * batch,
        "seconds": seconds,
        "p50_us": round(taken[len(taken) // 2] * 1e6),
        "p99_us": round(taken[min(len(taken) - 1, len(taken) * 99 // 100)] * 1e6),
    }


def fill(store, events, per_stream):
    for stream in range(events // per_stream):
        store.insert_events(events_of(stream, 0, per_stream))


def feed(seconds, events, functions):
    store = recorder(1, functions, create=True)
    fill(store, events, STREAM_EVENTS)
    begun, read = time.monotonic(), 0
    while time.monotonic() < begun + seconds:
        start = None
        while page := store.select_notifications(start, FEED_PAGE, inclusive_of_start=False):
            start, read = page[-1].id, read + len(page)
    return {"events": read, "seconds": time.monotonic() - begun}


def stream(seconds, events, functions):
    store = recorder(1, functions, create=True)
    fill(store, events, STREAM_EVENTS)
    dice, taken = random.Random(1), []
    begun = time.monotonic()
    while (before := time.monotonic()) < begun + seconds:
        assert len(store.select_events(stream_id(dice.randrange(events // STREAM_EVENTS)))) == STREAM_EVENTS
        taken.append(time.monotonic() - before)
    taken.sort()
    return {
        "events": len(taken),
        "seconds": time.monotonic() - begun,
        "p50_us": round(taken[len(taken) // 2] * 1e6),
        "p99_us": round(taken[len(taken) * 99 // 100] * 1e6),
    }


def main():
    _url, case, writers, seconds, events = sys.argv[1:]
    case, *options = case.split(":")
    functions = "functions" in options
    processes = next((int(o.split("=")[1]) for o in options if o.startswith("processes=")), 1)
    seconds = float(seconds)
    if case in ("append", "append10"):
        answer = append(int(writers), 10 if case == "append10" else 1, functions, processes, seconds)
    else:
        answer = {"feed": feed, "stream": stream}[case](seconds, int(events), functions)
    print(json.dumps(answer), flush=True)
    # Pools close themselves slowly; everything is measured and the database goes with the run.
    os._exit(0)


main()
