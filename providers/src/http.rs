//! One HTTP client for every provider that speaks JSON over HTTP: timeouts, Retry-After, status → error.
