"""Who calls: the shop's admin, and a guest for what ends sessions."""

import base64
import itertools
import json
import os
import uuid

import requests

SECONDS_MAX = 30
API = os.environ["SHOP_URL"] + "/api/v1"
# What these end is the caller's session or password.
GUESTS = ("/auth/logout", "/auth/password", "/auth/sessions/{id}")

turns = itertools.count()


def post(path, body, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.post(API + path, json=body, headers=headers, timeout=SECONDS_MAX)


def log_in(login, password):
    """The tokens, or none if it is not let in."""
    answer = post("/auth/login", {"login": login, "password": password})
    return answer.json()["data"] if answer.ok else {}


def claim(token, name):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))[name]


class Admin:
    """Signs almost everything, with one token until that ends."""

    token = None
    id = None

    @classmethod
    def current(cls):
        if cls.token is None:
            cls.token = log_in("admin", os.environ["SHOP_ADMIN_PASSWORD"]).get("access_token")
            assert cls.token, "the admin cannot log in any more"
            cls.id = claim(cls.token, "sub")
        return cls.token


class Guest:
    """Somebody whose session, password and account may go; the next one comes when they did."""

    token = None
    refresh_token = ""
    id = None
    name = None
    password = None

    @classmethod
    def current(cls):
        if cls.token is None and cls.name is not None:
            cls.log_in()
        if cls.token is None:
            cls.register()
        return cls.token

    @classmethod
    def log_in(cls):
        tokens = log_in(cls.name, cls.password)
        cls.token, cls.refresh_token = tokens.get("access_token"), tokens.get("refresh_token", "")

    @classmethod
    def register(cls):
        cls.name = "guest" + uuid.uuid4().hex[:20]
        cls.password = "a guest's password"
        user = {"email": cls.name + "@example.com", "username": cls.name, "password": cls.password}
        post("/users", user).raise_for_status()
        cls.log_in()
        cls.id = claim(cls.token, "sub")


class Callers:
    """How schemathesis signs a request."""

    def get(self, case, context):
        return Guest.current() if is_guests(case) else Admin.current()

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


def is_guests(case):
    return case.operation.path.endswith(GUESTS)


def spare_the_admin(case):
    """The admin's roles, status and account stay: what would change them changes the guest."""
    path = case.path_parameters or {}
    if case.method in ("PUT", "PATCH", "DELETE") and Admin.id and path.get("id") == Admin.id:
        Guest.current()
        path["id"] = Guest.id


def know_the_password(case):
    """The password and session of a good request are those of the guest."""
    path = case.operation.path
    if path.endswith("/auth/login") and isinstance(case.body, dict) and next(turns) % 2:
        Guest.current()
        case.body.update(login=Guest.name, password=Guest.password)
    if path.endswith("/auth/refresh") and isinstance(case.body, dict) and next(turns) % 2:
        Guest.current()
        case.body["refresh_token"] = Guest.refresh_token
    if path.endswith("/auth/password") and isinstance(case.body, dict):
        Guest.current()
        case.body["current_password"] = Guest.password
    if path.endswith("/auth/sessions/{id}") and case.meta.phase.name.value != "stateful":
        case.path_parameters["id"] = claim(Guest.current(), "sid")


def notice(case, response):
    """What the request ended: the next one is signed anew."""
    sent = response.request.headers.get("Authorization")
    path = case.operation.path
    if path.endswith("/auth/refresh") and response.status_code == 200:
        Guest.refresh_token = response.json()["data"]["refresh_token"]
    elif path.endswith("/auth/refresh") and Guest.refresh_token and Guest.refresh_token in str(response.request.body):
        Guest.token = None
    if Guest.token and sent == f"Bearer {Guest.token}":
        if response.status_code == 204 and path.endswith("/auth/password"):
            Guest.password = case.body["new_password"]
        ended = response.status_code == 204 and not path.endswith("/auth/password")
        if ended or response.status_code == 401:
            Guest.token = None
    elif response.status_code == 401 and sent == f"Bearer {Admin.token}":
        Admin.token = None
