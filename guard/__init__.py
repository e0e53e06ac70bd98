"""The thin wall under all rooms: what keeps danger out, in four modules and no more.

fields (secrets at rest), addresses (who may be dialled), child (the only starter of processes), redact (takes
secrets out of texts). It imports nothing of ours and knows no word of the domain. A fifth module needs a decision.
"""
