"""Every address below /api/v1. Flat routes: names are keys, filters are parameters (AP1)."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path, re_path

from hub.api import (
    about,
    accounts,
    applications,
    approvals,
    clusters,
    errors,
    insides,
    live,
    logs,
    operations,
    plans,
    projects,
    records,
    repositories,
    session,
    stream,
)


def nowhere(request: HttpRequest) -> JsonResponse:
    return errors.answer(request, 404)


ONE = "applications/<str:name>"
urlpatterns = [
    path("session", session.Session.as_view()),
    path("me", session.Me.as_view()),
    path("me/password", session.Password.as_view()),
    path("me/tokens", session.Tokens.as_view()),
    path("me/tokens/<uuid:key>", session.OneToken.as_view()),
    path("me/identities", session.Identities.as_view()),
    path("me/identities/<int:key>", session.OneIdentity.as_view()),
    path("accounts", accounts.Accounts.as_view()),
    path("accounts/<str:username>", accounts.OneAccount.as_view()),
    path("projects", projects.Projects.as_view()),
    path("projects/<str:name>", projects.OneProject.as_view()),
    path("repositories", repositories.Repositories.as_view()),
    path("repositories/<uuid:key>", repositories.OneRepository.as_view()),
    path("repositories/<uuid:key>/probe", repositories.RepositoryProbe.as_view()),
    path("clusters", clusters.Clusters.as_view()),
    path("clusters/preview", clusters.ClusterPreview.as_view()),
    path("clusters/<str:name>", clusters.OneCluster.as_view()),
    path("clusters/<str:name>/probe", clusters.ClusterProbe.as_view()),
    path("clusters/<str:name>/pause", clusters.ClusterPause.as_view()),
    path("applications", applications.Applications.as_view()),
    path(ONE, applications.OneApplication.as_view()),
    path(f"{ONE}/sync", operations.Sync.as_view()),
    path(f"{ONE}/plan", plans.Plan.as_view()),
    path(f"{ONE}/takeover", operations.Takeover.as_view()),
    path(f"{ONE}/rollback", plans.Rollback.as_view()),
    path(f"{ONE}/pin", plans.Pin.as_view()),
    path(f"{ONE}/refresh", applications.Refresh.as_view()),
    path(f"{ONE}/operation", operations.Running.as_view()),
    path(f"{ONE}/confirm", operations.Confirm.as_view()),
    path(f"{ONE}/resources", insides.Resources.as_view()),
    path(f"{ONE}/diff", insides.Diff.as_view()),
    path(f"{ONE}/manifests", insides.Manifests.as_view()),
    path(f"{ONE}/events", records.ApplicationEvents.as_view()),
    path(f"{ONE}/history", operations.History.as_view()),
    path(f"{ONE}/stream", stream.stream),
    path(f"{ONE}/tree", live.Tree.as_view()),
    path(f"{ONE}/resource", live.Resource.as_view()),
    path(f"{ONE}/resource/actions", live.Actions.as_view()),
    path(f"{ONE}/resource/events", live.KubernetesEvents.as_view()),
    path(f"{ONE}/logs", logs.logs),
    path("operations", operations.Operations.as_view()),
    path("operations/<uuid:key>", operations.OneOperation.as_view()),
    path("approvals", approvals.Approvals.as_view()),
    path("approvals/<int:number>", approvals.OneApproval.as_view()),
    path("approvals/<int:number>/votes", approvals.Votes.as_view()),
    path("approvals/<int:number>/votes/mine", approvals.MyVote.as_view()),
    path("approvals/<int:number>/cancel", approvals.Cancel.as_view()),
    path("approvals/<int:number>/break-glass", approvals.BreakGlass.as_view()),
    path("approvals/<int:number>/review", approvals.Review.as_view()),
    path("approval-policies", approvals.Policies.as_view()),
    path("approval-policies/<str:name>", approvals.OnePolicy.as_view()),
    path("events", records.Events.as_view()),
    path("audit", records.Audit.as_view()),
    path("stream", stream.stream),
    path("version", about.Version.as_view()),
    path("settings", about.Settings.as_view()),
    path("schema", about.Schema.as_view(), name="schema"),
    path("docs", about.Docs.as_view(url_name="schema")),
    re_path(r"", nowhere),
]
