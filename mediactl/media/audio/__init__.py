"""Audio: streams mixed down, loudness, covers, waveforms."""
