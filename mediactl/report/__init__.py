"""Reports of runs (numbers, rejections, images before and after, in one HTML file) and profiles of jobs."""
