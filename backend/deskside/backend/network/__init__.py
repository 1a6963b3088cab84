"""What leaves this machine: one gate, the ledger of what passed it, and the switch that closes it."""
