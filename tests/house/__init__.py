"""Guards of the house: contracts, purity, budgets, migrations, settings, commands, documents."""
