//! Deliveries of chain watchers.
