"""Write-once blobs behind a small protocol."""
