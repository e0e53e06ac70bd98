"""E-mail by SMTP: one step per recipient, so that one bad address keeps nobody else from the message.

Before the final dot every failure is clean; after it a lost answer is unsure and nobody can be asked. The Message-ID
is made from the Delivery, so that a mail program shows a doubled message once.
"""

from __future__ import annotations

import hashlib
import re
import smtplib
import socket
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from typing import Any

import notifications.channels.base as base
from notifications.channels.base import DeliveryError, Network, Owed, Receipt, Step
from notifications.core.templates import Message

TYPE = "email"
# People read it: many messages of one kind may become one.
FOLDS = True
SECRETS = frozenset(["password"])
KNOWN = SECRETS | {"host", "port", "username", "from", "html", "insecure_skip_verify", "require_tls"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
_ADDRESS = re.compile(r"[^\s@<>\"(),;:\\]{1,64}@[^\s@<>\"(),;:\\]{1,253}")


def check(settings: Mapping[str, Any]) -> list[str]:
    return [f"{key} is missing" for key in ("host", "from") if not settings.get(key)]


def prepare(message: Message, recipient: str, settings: Mapping[str, Any], _owed: Owed) -> list[Step]:
    part = message.parts.get("email", {})
    html = bool(settings.get("html")) and (bool(part.get("body")) or message.markup == "html")
    body = str(part.get("body") or "")
    if not body:
        body = message.body if message.markup != "plain" or part else base.plain_text(message)
    subject = _CONTROL.sub(" ", str(part.get("subject") or message.title)).strip()
    addresses = [one for one in (each.strip() for each in recipient.split(",")) if one]
    thread = hashlib.sha256(message.thread.encode()).hexdigest()[:32] if message.thread else ""
    common = {
        "subject": subject[:500],
        "body": body,
        "html": html,
        "thread": thread,
        "alone": len(addresses) == 1,
    }
    return [Step(f"mail {number}", {"to": to, **common}, "blind") for number, to in enumerate(addresses, 1)]


def carry_out(step: Step, settings: Mapping[str, Any], network: Network, owed: Owed) -> Receipt:
    """Raises DeliveryError. A refused address among several is kept as a remark, the others get their mail."""
    to = str(step.request["to"])
    if not _ADDRESS.fullmatch(to):
        return _refused(step, DeliveryError("bad_address", f"{to[:100]} is no address", kind="message"))
    data = _mail(step, settings, owed, to)
    try:
        with _Session(settings, network) as session:
            session.deliver(str(settings["from"]), to, data)
    except DeliveryError as error:
        if error.code == "recipient_refused":
            return _refused(step, error)
        raise
    return Receipt({}, "accepted")


def _refused(step: Step, error: DeliveryError) -> Receipt:
    if step.request["alone"]:
        raise error
    return Receipt({f"refused {step.request['to']}"[:100]: error.code}, error.sentence)


def _mail(step: Step, settings: Mapping[str, Any], owed: Owed, to: str) -> bytes:
    sender = _CONTROL.sub(" ", str(settings["from"]))
    domain = sender.rpartition("@")[2].strip("> ") or "localhost"
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"], mail["To"], mail["Subject"] = sender, to, str(step.request["subject"])
    mail["Message-ID"] = f"<{owed.id}.{owed.token}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    if step.request["thread"]:
        mail["References"] = f"<{step.request['thread']}@{domain}>"
    mail.set_content(str(step.request["body"]) + "\n", subtype="html" if step.request["html"] else "plain")
    return mail.as_bytes()


class _Session:
    """One SMTP conversation over a checked address. Port 465 is TLS from the start, else STARTTLS."""

    def __init__(self, settings: Mapping[str, Any], network: Network) -> None:
        self.settings, self.network = settings, network
        self.host = str(settings.get("host") or "")
        self.port = int(settings.get("port") or 25)
        self.insecure = bool(settings.get("insecure_skip_verify"))
        self.smtp = smtplib.SMTP()

    def __enter__(self) -> _Session:
        seconds = self.network.left()
        address = base.dialled(self.host, self.port, self.network)
        sock: socket.socket = base.connected(address, seconds)
        self.guard = base.Guarded(sock, seconds)
        self.guard.__enter__()
        try:
            if self.port == 465:
                sock = base.secured(
                    sock, self.host, insecure=self.insecure, network=self.network, guard=self.guard
                )
            self._begin(sock)
        except BaseException:
            self.guard.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.guard.__exit__()
        self.smtp.close()

    def _begin(self, sock: socket.socket) -> None:
        # A conversation over a socket that is already connected: smtplib would resolve the name again.
        self.smtp.sock, self.smtp._host = sock, self.host  # type: ignore[attr-defined]
        self.smtp.file = None
        try:
            self._expect(*self.smtp.getreply())
            self.smtp.ehlo_or_helo_if_needed()
            if self.port != 465:
                self._starttls()
            if self.settings.get("username"):
                self.smtp.login(str(self.settings["username"]), str(self.settings.get("password") or ""))
        except smtplib.SMTPAuthenticationError as error:
            hint = "check username and password of the service"
            raise DeliveryError(
                "smtp_auth", f"the mail server refuses the login: {error.smtp_code}", hint, kind="service"
            ) from None
        except smtplib.SMTPResponseException as error:
            raise _judged(error.smtp_code, error.smtp_error, "greeting") from None
        except (smtplib.SMTPException, OSError) as error:
            raise DeliveryError(
                "smtp", f"no conversation with the mail server: {error}", kind="passing"
            ) from None

    def _starttls(self) -> None:
        needed = bool(self.settings.get("password")) or bool(self.settings.get("require_tls"))
        if not self.smtp.has_extn("starttls"):
            if needed:
                sentence = "the mail server offers no STARTTLS, and a password is not sent in the clear"
                raise DeliveryError(
                    "smtp_tls", sentence, "use port 465 or a server with STARTTLS", kind="service"
                )
            return
        context = ssl.create_default_context()
        if self.insecure and self.network.insecure_allowed:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self.smtp.starttls(context=context)
        self.guard.sock = self.smtp.sock or self.guard.sock
        self.smtp.ehlo_or_helo_if_needed()

    def deliver(self, sender: str, to: str, data: bytes) -> None:
        """The envelope, then the data; only what follows the final dot is unsure."""
        try:
            self._expect(*self.smtp.mail(sender), stage="sender")
            self._expect(*self.smtp.rcpt(to), stage="recipient")
            self._expect(*self.smtp.docmd("DATA"), stage="data", wanted=354)
        except (smtplib.SMTPException, OSError) as error:
            raise DeliveryError(
                "smtp", f"the mail server ended the conversation: {error}", kind="passing"
            ) from None
        quoted = re.sub(rb"(?m)^\.", b"..", re.sub(rb"\r?\n", b"\r\n", data))
        try:
            self.smtp.send(quoted + b".\r\n")
            code, answer = self.smtp.getreply()
        except (smtplib.SMTPException, OSError):
            sentence = "the mail server did not say whether it took the message"
            raise DeliveryError("no_answer", sentence, kind="unsure") from None
        self._expect(code, answer, stage="message")

    def _expect(self, code: int, answer: bytes, stage: str = "greeting", wanted: int = 0) -> None:
        if code == wanted or (not wanted and 200 <= code < 300):
            return
        raise _judged(code, answer, stage)


def _judged(code: int, answer: object, stage: str) -> DeliveryError:
    """4yz may pass; 5yz is about the recipient, the message, or how the service is set up."""
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
    sentence = f"the mail server answered {code} to the {stage}"
    if code < 500:
        return DeliveryError(f"smtp_{code}", sentence, kind="passing", answer=text)
    if stage == "recipient":
        return DeliveryError("recipient_refused", sentence, "check the address", kind="message", answer=text)
    if stage in ("data", "message"):
        return DeliveryError(f"smtp_{code}", sentence, kind="message", answer=text)
    return DeliveryError(
        f"smtp_{code}", sentence, "check the settings of the service", kind="service", answer=text
    )
