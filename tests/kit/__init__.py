"""What the demo, the flow tests and the browser tests share. It knows StreamGate only from outside: through its edge."""
