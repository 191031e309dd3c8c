//! Bundles as directories on disk.
