"""What tests share: servers, media made for them, jobs that misbehave."""
