"""Every request the service sends: which addresses may be dialled, and one request, one outcome."""
