"""What commands report of the machines that work for a journal."""
