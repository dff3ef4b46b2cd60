"""Every ranking model beside its published values."""
