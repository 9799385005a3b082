"""The work itself: probing, images, video, audio. Runs in worker processes; never sees the journal."""
