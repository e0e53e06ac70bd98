"""The pure core of *notifications*: an event mapping in; decisions, texts and payloads out.

May live here: the expression language, Go templates, documents, triggers, templates, routing, schedule, imports,
the default catalogue. May not: Django, a clock (`now` is an argument), the network, files, randomness, or a word
of GitOps beyond the shapes that an event mapping carries.

The shapes that all modules share: an *event* and everything inside it are plain JSON values; times and durations
are `gotimes.Time` and `gotimes.Duration`; values are printed and judged as Go does it by `govalues`.
"""
