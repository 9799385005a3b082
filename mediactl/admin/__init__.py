"""What commands do that inspect a journal, edit it, or check a machine."""
