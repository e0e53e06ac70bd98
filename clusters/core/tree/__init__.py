"""The resource tree: what an Application's resources brought forth, how it fares, and what nobody owns.

May live here: edges between live objects and facts about one object, as pure functions of flat lists.
May not: requests, and any judgement of who may see what.
"""

from clusters.core.tree.edges import references_of
from clusters.core.tree.facts import Facts, facts_of, images_of
from clusters.core.tree.growth import Fold, Node, Tree, fold, orphans, resource_tree
from clusters.core.tree.kinds import kinds_below, ordinary_kinds

__all__ = [
    "Facts",
    "Fold",
    "Node",
    "Tree",
    "facts_of",
    "fold",
    "images_of",
    "kinds_below",
    "ordinary_kinds",
    "orphans",
    "references_of",
    "resource_tree",
]
