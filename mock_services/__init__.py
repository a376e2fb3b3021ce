"""mock_services."""
