"""`accel-cls profile`: where an update's time goes. `measure.py` runs in each training process."""
