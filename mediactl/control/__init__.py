"""The event socket of a run: whoever may use its journal follows its events and asks it to pause, resume or bump."""
