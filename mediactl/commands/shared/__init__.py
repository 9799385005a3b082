"""What commands share: options, and the layout of their help."""
