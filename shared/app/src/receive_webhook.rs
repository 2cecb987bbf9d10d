//! A chain watcher's delivery.
