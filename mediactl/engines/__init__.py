"""Jobs on other machines: a run publishes them to a broker, and workers there take them (docs/celery.md)."""
