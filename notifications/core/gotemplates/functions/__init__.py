"""The functions of Go templates: Go's own and those in the Sprig manner, one module per kind (notifications.md 4.2).

May live here: pure functions on values. May not: anything that reads the environment, the network, files, a clock or
a source of chance; keys and passwords. `and`, `or` and `call` are part of the language and live in `run`.
"""

from notifications.core.gotemplates.functions import codecs, collections, dates, numbers, printing, texts
from notifications.core.gotemplates.functions.registry import Row

FUNCTIONS: dict[str, Row] = {
    row.name: row for module in (printing, texts, collections, numbers, dates, codecs) for row in module.TABLE
}
