"""When streams begin and end, by their samples and time stamps."""
