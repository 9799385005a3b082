"""Large objects: sent in parts that resume."""
