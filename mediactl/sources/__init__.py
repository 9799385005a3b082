"""Where input files come from: folders, manifests, watched folders; and what each file is."""
