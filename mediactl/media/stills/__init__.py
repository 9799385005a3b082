"""Still images of videos: posters, storyboards, previews."""
