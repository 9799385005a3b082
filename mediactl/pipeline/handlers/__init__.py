"""One handler per kind of job: what it requires to run, and what follows each way that an attempt can end."""
