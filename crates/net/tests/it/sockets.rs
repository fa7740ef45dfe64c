//! Whole loops over loopback sockets.
