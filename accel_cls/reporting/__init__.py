"""What a finished run says of itself: scores, verdict, report; of its run folder alone."""
