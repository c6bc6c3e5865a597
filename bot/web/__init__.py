"""The webhook ingress, the API and the live page: keeps deliveries, shows the board, decides nothing."""
