"""The crontab door: four calls of an older service, batches in and one result per item out."""
