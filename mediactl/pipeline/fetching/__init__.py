"""Objects of buckets on their way to a file: jobs that fetch them, and the disk that they take."""
