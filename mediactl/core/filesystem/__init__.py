"""What the kernel says of files: which file systems are mounted, who may write, what lies beneath a directory."""
