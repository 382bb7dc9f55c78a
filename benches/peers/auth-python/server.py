"""Tokens issued, checked and rotated, on FastAPI: uvicorn server:app; log lines go to standard error.

PyJWT for tokens, asyncpg and redis (with hiredis) for the stores.
"""

import json
import os
import secrets
import time
import uuid
from base64 import b64decode
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from hmac import compare_digest
from typing import Annotated

import asyncpg
import jwt
import redis.asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Depends, FastAPI, Form, Request
from fastapi.responses import JSONResponse

ACCESS_SECONDS = 900
REFRESH = timedelta(days=7)
SESSION = timedelta(days=30)
AUDIENCE = "api"
KEY_ID = "key-1"
# What another process revokes is refused here after this.
NEAR_SECONDS = 1.0
NEAR_MAX = 10_000
FAR_SECONDS = 60
NO_STORE = {"cache-control": "no-store"}

ISSUER = f"http://{os.environ['AUTH_ADDRESS']}"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(os.environ["AUTH_KEY_SEED"]))
PUBLIC = PRIVATE.public_key()


class Refused(Exception):
    def __init__(self, status, code):
        self.status, self.code = status, code


class Cache:
    """Two levels: this process for a second, Redis for a minute; then the store."""

    def __init__(self, far, prefix):
        self.far, self.prefix, self.near = far, prefix, {}

    async def get(self, key, load):
        now = time.monotonic()
        known = self.near.get(key)
        if known is not None and now < known[1]:
            return known[0]
        text = await self.far.get(self.prefix + key)
        if text is not None:
            value = json.loads(text)
        else:
            value = await load()
            await self.far.set(self.prefix + key, json.dumps(value), ex=FAR_SECONDS)
        if len(self.near) >= NEAR_MAX:
            self.near.clear()
        self.near[key] = (value, now + NEAR_SECONDS)
        return value

    async def forget(self, key):
        await self.far.delete(self.prefix + key)
        self.near.pop(key, None)


@asynccontextmanager
async def lifespan(app):
    app.state.pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=10, max_size=10)
    far = redis.asyncio.from_url(os.environ["REDIS_URL"])
    app.state.clients, app.state.sessions = Cache(far, "client:"), Cache(far, "session:")
    yield
    await app.state.pool.close()
    await far.aclose()


app = FastAPI(lifespan=lifespan, docs_url=None, openapi_url=None)


@app.exception_handler(Refused)
async def refused(_, error):
    headers = NO_STORE | ({"www-authenticate": 'Basic realm="oauth2"'} if error.status == 401 else {})
    return JSONResponse({"error": error.code}, error.status, headers)


async def authenticated(request: Request):
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    try:
        client, _, secret = b64decode(text if scheme == "Basic" else "").decode().partition(":")
    except ValueError:
        raise Refused(401, "invalid_client") from None

    async def load():
        stored = await app.state.pool.fetchval("select secret_hash from clients where id = $1", client)
        return stored.hex() if stored else None

    stored = await app.state.clients.get(client, load)
    if not stored or not compare_digest(bytes.fromhex(stored), sha256(secret.encode()).digest()):
        raise Refused(401, "invalid_client")
    return client


Client = Annotated[str, Depends(authenticated)]


@app.post("/oauth2/token")
async def token(client: Client, grant_type: Annotated[str, Form()], refresh_token: Annotated[str, Form()] = ""):
    if grant_type == "client_credentials":
        return JSONResponse(tokens(sign(client, client)), headers=NO_STORE)
    if grant_type == "refresh_token":
        rotated = await rotate(client, refresh_token)
        if rotated is None:
            raise Refused(400, "invalid_grant")
        return JSONResponse(rotated, headers=NO_STORE)
    raise Refused(400, "unsupported_grant_type")


@app.post("/oauth2/introspect")
async def introspect(client: Client, token: Annotated[str, Form()]):
    claims = verify(token)
    if claims is None or ("sid" in claims and await session(claims["sid"]) != claims["sub"]):
        return JSONResponse({"active": False}, headers=NO_STORE)
    return JSONResponse({"active": True, "token_type": "Bearer", **claims}, headers=NO_STORE)


@app.post("/admin/clients")
async def add_client():
    client, secret = str(uuid.uuid4()), secrets.token_urlsafe(32)
    hashed = sha256(secret.encode()).digest()
    await app.state.pool.execute("insert into clients (id, secret_hash) values ($1, $2)", client, hashed)
    return JSONResponse({"client_id": client, "client_secret": secret}, 201)


@app.post("/admin/sessions")
async def add_session(client: Client):
    sid, user, refresh, now = str(uuid.uuid4()), str(uuid.uuid4()), secrets.token_urlsafe(32), datetime.now(timezone.utc)
    async with app.state.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "insert into sessions (id, client_id, user_id, expires_at) values ($1, $2, $3, $4)",
            sid, client, user, now + SESSION,
        )
        await insert_token(connection, digest(refresh), sid, 0, None, now)
    return JSONResponse(tokens(sign(user, client, sid), refresh), headers=NO_STORE)


async def rotate(client, presented):
    """The row decides, in one transaction."""
    hashed, now = digest(presented), datetime.now(timezone.utc)
    async with app.state.pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            "select t.session_id, t.generation, t.state, t.expires_at, s.user_id, s.client_id,"
            " s.expires_at as ends_at, s.ended_at"
            " from refresh_tokens t join sessions s on s.id = t.session_id where t.hash = $1 for update",
            hashed,
        )
        if row is None or row["client_id"] != client or row["ended_at"] or now > row["ends_at"] or now > row["expires_at"]:
            return None
        sid, reused = str(row["session_id"]), row["state"] == "used"
        if reused:
            await connection.execute("update sessions set ended_at = $2 where id = $1", row["session_id"], now)
        else:
            refresh = secrets.token_urlsafe(32)
            await connection.execute(
                "update refresh_tokens set state = 'used', used_at = $2 where hash = $1", hashed, now)
            await connection.execute("update sessions set last_used_at = $2 where id = $1", row["session_id"], now)
            await insert_token(connection, digest(refresh), row["session_id"], row["generation"] + 1, hashed, now)
            rotated = tokens(sign(str(row["user_id"]), client, sid), refresh)
    if reused:
        await app.state.sessions.forget(sid)
        return None
    return rotated


async def insert_token(connection, hashed, sid, generation, parent, now):
    await connection.execute(
        "insert into refresh_tokens (hash, session_id, generation, parent, state, expires_at)"
        " values ($1, $2, $3, $4, 'live', $5)",
        hashed, sid, generation, parent, now + REFRESH,
    )


async def session(sid):
    async def load():
        user = await app.state.pool.fetchval(
            "select user_id from sessions where id = $1 and ended_at is null and expires_at > now()", sid)
        return str(user) if user else None

    return await app.state.sessions.get(sid, load)


def sign(subject, client, sid=None):
    now = int(time.time())
    claims = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "client_id": client, "scope": "order:read",
        "jti": str(uuid.uuid4()), "iat": now, "exp": now + ACCESS_SECONDS,
    }
    if sid:
        claims["sid"] = sid
    return jwt.encode(claims, PRIVATE, algorithm="EdDSA", headers={"typ": "at+jwt", "kid": KEY_ID})


def verify(text):
    try:
        decoded = jwt.decode_complete(
            text, PUBLIC, algorithms=["EdDSA"], audience=AUDIENCE, issuer=ISSUER,
            options={"require": ["exp", "iat", "sub"]},
        )
    except jwt.InvalidTokenError:
        return None
    header = decoded["header"]
    good = header.get("typ") == "at+jwt" and header.get("kid") == KEY_ID
    return decoded["payload"] if good else None


def tokens(access, refresh=None):
    body = {"access_token": access, "token_type": "Bearer", "expires_in": ACCESS_SECONDS}
    return body | ({"refresh_token": refresh} if refresh else {})


def digest(text):
    return sha256(text.encode()).digest()
