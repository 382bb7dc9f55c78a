# A mail server that keeps what it is given, a JSON file a mail: see smtp.rs.
import asyncio
import itertools
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

given = json.loads(sys.argv[1])
numbers = itertools.count()


class Keep:
    async def handle_RCPT(self, server, session, envelope, address, options):
        # By the beginning of the address a test chooses what becomes of its mail.
        if address.startswith("nobody@"):
            return f"550 5.1.1 <{address}> is nobody here"
        if address.startswith("later@"):
            return f"451 4.3.0 <{address}> try again"
        if address.startswith("slow@"):
            await asyncio.sleep(600)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None or given["mode"] == "tls",
            "user": session.auth_data,
            "content": envelope.content.decode("utf-8"),
        }
        path = os.path.join(given["folder"], f"{next(numbers):06}.json")
        with open(path + ".new", "w") as file:
            json.dump(mail, file)
        os.rename(path + ".new", path)
        return "250 OK"


def known(server, session, envelope, mechanism, data):
    user, password = data.login.decode(), data.password.decode()
    if (user, password) == (given["user"], given["password"]):
        return AuthResult(success=True, auth_data=user)
    return AuthResult(success=False, handled=False)


def serve():
    wants_user = given["user"] is not None
    return SMTP(
        Keep(),
        hostname="localhost",
        enable_SMTPUTF8=True,
        tls_context=context if given["mode"] == "starttls" else None,
        require_starttls=given["mode"] == "starttls",
        authenticator=known if wants_user else None,
        auth_required=wants_user,
        auth_require_tls=given["mode"] == "starttls",
    )


context = None
if given["mode"] != "plain":
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(given["certificate"], given["key"])

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
first = context if given["mode"] == "tls" else None
loop.run_until_complete(loop.create_server(serve, "127.0.0.1", given["port"], ssl=first))
loop.run_forever()
