"""Who may call what: one table, enforced before any handler runs, and a log of every change."""
