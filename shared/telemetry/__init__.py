"""What a process tells about itself: metrics, traces and the ids in its logs. Nothing here is global."""
