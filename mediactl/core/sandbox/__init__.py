"""Processes that decode untrusted bytes: what they may reach, how they are started, and how they are asked."""
