//! Logging in to the large clouds: once for each, whatever is used there.

pub(crate) mod aws;
