"""What a run says: expectations as marked tests, their evidence and outcome, and the reports made of them."""
