"""The console: pages for people in the browser, rendered here, acting through the operations of the REST API."""
