"""The webhook ingress, the API and the live page. It stores deliveries and shows the board; it decides nothing."""
