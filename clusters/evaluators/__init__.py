"""Other people's programs: Lua health scripts, jq paths and CEL health rules, each in a child that can be killed.

May live here: asking the child, remembering its answers. May not: evaluating anything in this process, and any
decision about health beyond what the program said (that is `clusters.core.health`).
"""

from clusters.evaluators.programs import CelHealth, CustomHealth, JqPaths, LuaHealth
from clusters.evaluators.sandbox import ExpressionFailed

__all__ = ["CelHealth", "CustomHealth", "ExpressionFailed", "JqPaths", "LuaHealth"]
