//! The daemon: everything that is ours.
