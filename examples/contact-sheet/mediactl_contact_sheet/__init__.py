"""Contact sheets for mediactl: key frames of a video in a grid."""
