"""Real values in place of made-up ones: a good request has the ids, tokens and signatures that the shop gave out.

Made-up ones are refused before the rules are reached. What is meant to be bad stays as it is.
"""

import hashlib
import hmac
import itertools
import json
import os
import re
import sqlite3
import time
import uuid

import requests

import callers

# Who gives a request a millisecond gets 504, and that is right: it says nothing of the shop.
TIMEOUT_MS_MIN = 10_000
TIMEOUT = re.compile(r"([1-9][0-9]{0,7})(ms|s)")
KEY = re.compile(r"[!-~]{1,200}")
# Orders that can be paid need products that stay and do not run out.
SHELF = 8
SHELF_STOCK = 1_000_000_000
# Where an id of a kind is taken from: the field, by the collection.
IDS = {"orders": "id", "payments": "id"}

turns = itertools.count()


class Seen:
    """The last of each kind that the shop gave out."""

    ids = {}
    cursors = {}
    consistency_token = None
    shelf = []


def time_to_answer(case):
    headers = case.headers or {}
    value = headers.get("X-Request-Timeout")
    match = TIMEOUT.fullmatch(value) if isinstance(value, str) else None
    if match and int(match[1]) * (1 if match[2] == "ms" else 1000) < TIMEOUT_MS_MIN:
        headers["X-Request-Timeout"] = f"{TIMEOUT_MS_MIN}ms"


def own_key(case):
    """Schemathesis repeats examples; a repeated key gets the stored answer, and the request is not looked at."""
    headers = case.headers or {}
    key = headers.get("Idempotency-Key")
    if isinstance(key, str) and KEY.fullmatch(key):
        headers["Idempotency-Key"] = f"{key}-{uuid.uuid4()}"


def put_in(case):
    collection = case.operation.path.removeprefix("/api/v1/").split("/")[0]
    if case.meta.phase.name.value != "stateful":
        put_in_id(case, collection)
    put_in_tokens(case)
    if case.method == "POST" and case.operation.path.endswith("/orders"):
        put_in_products(case)
    if case.operation.path.endswith("/payments/webhook"):
        sign(case)


def put_in_id(case, collection):
    """Every other time, so that unknown ids are asked for as well."""
    path = case.path_parameters or {}
    if "id" in path and collection in Seen.ids and next(turns) % 2:
        path["id"] = Seen.ids[collection]


def put_in_tokens(case):
    headers, query = case.headers or {}, case.query or {}
    if "Consistency-Token" in headers:
        if Seen.consistency_token:
            headers["Consistency-Token"] = Seen.consistency_token
        else:
            del headers["Consistency-Token"]
    if "cursor" in query:
        cursor = Seen.cursors.get(case.operation.path)
        # A cursor carries filters and sort, and stands in the place of a page.
        if cursor:
            query.clear()
            query["cursor"] = cursor
        else:
            del query["cursor"]


def put_in_products(case):
    items = case.body.get("items") if isinstance(case.body, dict) else None
    for item, sku in zip(items or (), itertools.cycle(shelf())):
        item["sku"] = sku
    if items and next(turns) % 2:
        case.body["payment_method"] = "pm_card_visa"


def shelf():
    if not Seen.shelf:
        Seen.shelf = [f"SHELF-{uuid.uuid4().hex[:8]}" for _ in range(SHELF)]
        for sku in Seen.shelf:
            price = {"amount": 100, "currency": "EUR"}
            product = {"sku": sku, "name": sku, "price": price, "available": SHELF_STOCK}
            callers.post("/products", product, callers.Admin.current()).raise_for_status()
    return Seen.shelf


def sign(case):
    """As the gateway signs: over the bytes that are sent."""
    body = case.as_transport_kwargs().get("json", case.body)
    if not isinstance(body, dict):
        return
    bytes_sent = requests.Request("POST", "http://shop", json=body).prepare().body
    seconds = int(time.time())
    tag = hmac.new(webhook_secret(), f"{seconds}.".encode() + bytes_sent, hashlib.sha256)
    case.headers["Stripe-Signature"] = f"t={seconds},v1={tag.hexdigest()}"


def webhook_secret():
    """The built-in gateway keeps it in its store."""
    path = os.path.join(os.environ["SHOP_DATA"], "sandbox.db")
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as store:
        return store.execute("select value from secrets where name = 'webhook'").fetchone()[0].encode()


def notice(case, response):
    try:
        answer = response.json()
        data, meta = answer["data"], answer["meta"]
    except (ValueError, KeyError, TypeError):
        if refused_products(response):
            Seen.shelf = []
        return
    Seen.consistency_token = meta.get("consistency_token", Seen.consistency_token)
    if meta.get("next_cursor"):
        Seen.cursors[case.operation.path] = meta["next_cursor"]
    collection = case.operation.path.rsplit("/", 1)[-1]
    if collection == "orders" and isinstance(data, dict):
        Seen.ids["orders"] = data["id"]
        if data.get("payment_id"):
            Seen.ids["payments"] = data["payment_id"]


def refused_products(response):
    return response.status_code == 422 and "is not a product on offer" in response.text
