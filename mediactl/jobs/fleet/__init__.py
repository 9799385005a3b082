"""Machines of a journal, and what scaling goes by: how much work there is, and when it arrives."""
