"""Pure: recipe x source -> artefact keys, jobs and their expected cost."""
