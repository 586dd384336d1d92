"""What a guest test is made of: packages, kernel, root image, guest, target, capture. One noun a file."""
