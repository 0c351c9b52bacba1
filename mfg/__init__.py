"""Manufacturing test and calibration station for energy meters."""
