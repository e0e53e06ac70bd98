"""People in a chat: their clicks become decisions, their accounts are linked to users (notifications.md 8.5).

    receive(headers, body) -> Answer        a signed request of Slack        handle(interaction, once) -> Answer
    offer(issuer, sub) -> address           asked(code) -> LinkCode          confirm(actor, user, code)
    unlink(actor, identity)                 identities(user)
    with_commands(mapping)                  retry, roll back and silence, on messages of failure

May live here: who clicked, which token, the answer for that person. May not: the decision itself
(hub.services.approvals), words to Slack's API (notifications.services).
"""

from hub.services.chat.clicks import handle, receive
from hub.services.chat.commands import with_commands
from hub.services.chat.linking import asked, confirm, identities, offer, unlink
from hub.services.chat.people import shown
from hub.services.chat.turn import Answer

__all__ = [
    "Answer",
    "asked",
    "confirm",
    "handle",
    "identities",
    "offer",
    "receive",
    "shown",
    "unlink",
    "with_commands",
]
