"""Recipes: TOML in, validated frozen values out."""
