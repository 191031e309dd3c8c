//! What an authority says about itself.

use std::collections::BTreeMap;

use crate::clock::Timestamp;

/// What a CA's directory offers (RFC 8555, section 7.1.1, and what came after it). Texts are cleaned of what could harm a
/// terminal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offers {
    /// Profiles, each with the CA's description.
    pub profiles: BTreeMap<String, String>,
    /// The terms of service.
    pub terms_of_service: Option<String>,
    /// A page about the CA.
    pub website: Option<String>,
    /// The names under which the CA looks for itself in CAA records.
    pub caa_identities: Vec<String>,
    /// Accounts are opened for customers only (RFC 8555, section 7.3.4).
    pub external_account_required: bool,
    /// It tells when to renew (RFC 9773).
    pub renewal_info: bool,
    /// What its clock said when it answered.
    pub date: Option<Timestamp>,
}
