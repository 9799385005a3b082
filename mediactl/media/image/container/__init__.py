"""What image files say beside their pixels: structure, pixel density, parts that are left out."""
