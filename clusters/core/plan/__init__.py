"""From drift, hooks and options to an immutable SyncPlan; then one Step at a time.

May live here: building plans and the pure `next_step`. May not: any request (see `clusters.services.carry_out`).
"""
