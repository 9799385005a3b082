"""Figures for monitoring: totals that runs add to, and the state of the journal as metrics report it."""
