"""What people say: expectations by their slugs, attestations, waivers, and the command that writes them."""
