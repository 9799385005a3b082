"""S3 and what speaks its protocol, over HTTP."""
