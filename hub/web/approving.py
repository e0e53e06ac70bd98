"""/approvals/<number>: the whole plan, the votes, what is missing, and the decisions of the signed-in person (8.5)."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

import hub.web.pages as pages
from hub.errors import HubError
from hub.models import ApprovalRequest, User
from hub.services import approvals, signing_in
from hub.services.approvals import Decided
from hub.tasks import nudges

PAGE = "web/approval.html"


@never_cache
def approval(request: HttpRequest, number: int) -> HttpResponse:
    """A decision names the digest of the plan that was on the page: people decide on what they saw."""
    user = request.user
    return _answer(request, user, number) if isinstance(user, User) else pages.sign_in(request)


@require_http_methods(["GET", "HEAD", "POST"])
def _answer(request: HttpRequest, user: User, number: int) -> HttpResponse:
    row = approvals.visible(user).filter(number=number).first()
    if row is None:
        return pages.page(request, "web/nothing.html", {}, 404)
    if request.method != "POST":
        return pages.page(request, PAGE, {"shown": approvals.shown(row)})
    try:
        done = _decided(request, user, row)
    except HubError as error:
        row.refresh_from_db()
        context = {"shown": approvals.shown(row), "error": error.message, "hint": error.hint}
        return pages.page(request, PAGE, context, error.status)
    if done.changed and done.request.application is not None:
        nudges.look([done.request.application.id])
        nudges.send("hub.dispatch_events", [])
    messages.success(request, done.text)
    return redirect(request.path)


def _decided(request: HttpRequest, user: User, row: ApprovalRequest) -> Decided:
    """Raises HubError: a refusal, or a form that lacks something."""
    given = {name: str(value).replace("\0", "") for name, value in request.POST.items()}
    who, number, reason = pages.actor(request, user), row.number, given.get("reason", "")
    digest, what = given.get("digest", ""), given.get("decision", "")
    if what == "withdraw":
        return approvals.withdraw(who, user, number)
    if what == "cancel":
        return approvals.cancel(who, user, number, reason=reason)
    if what == "review":
        return approvals.review(who, user, number, text=reason)
    if what == "break-glass":
        ticket, password = given.get("ticket", ""), given.get("password", "")
        proof = signing_in.prove(who, user, password) if password else user.last_login
        return approvals.break_glass(
            who, user, number, digest=digest, reason=reason, ticket=ticket, proof_at=proof
        )
    return approvals.decide(who, user, number, decision=what, digest=digest, reason=reason)
