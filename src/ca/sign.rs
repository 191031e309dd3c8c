//! Signing somebody's own request, for a leaf that is no identity of ours: `renewd ca sign`.
//!
//! A request that comes again soon, from somebody who has not heard the answer, is answered with the same certificate;
//! later it is one for the next certificate of the same key.

use std::time::Duration;

use aws_lc_rs::digest;

use super::csr::Request;
use super::{Authority, CaError, LeafRequest};
use crate::clock::Timestamp;
use crate::pki::chain::Chain;

/// The same request leads to the same certificate for this long, and no longer than for half of its life.
pub const REPEATED_WITHIN: Duration = Duration::from_secs(3_600);

/// What came of a request.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The leaf and its issuer.
    pub chain: Chain,
    /// It was asked for before, and nothing was issued.
    pub repeated: bool,
}

impl Authority {
    /// Issues a leaf for a request. Names, purposes, key usage and other extensions that the profile has no room for are
    /// refused; of the subject a leaf has what its profile lets whoever asks say. The same request with the same profile
    /// and lifetime, soon again, is answered with the same chain, unless its leaf was revoked.
    ///
    /// # Errors
    /// As `issue`, and `CaError::Profile` where the request asks for what the profile has no room for.
    pub async fn sign(
        &self,
        request: &Request,
        profile: &str,
        lifetime: Option<Duration>,
        now: Timestamp,
    ) -> Result<Signed, CaError> {
        let terms = self.terms.load_full();
        let config = terms.config.as_ref().ok_or(CaError::Retired)?;
        let found = config.profiles.get(profile);
        let found = found.ok_or_else(|| CaError::NoProfile { profile: profile.to_owned() })?;
        let names = request.certified(profile, found)?;
        request.check(profile, found, &names)?;
        let (order, repeated) = self.order_of(request, profile, lifetime, now).await?;
        let leaf = LeafRequest {
            order,
            profile: profile.to_owned(),
            subject: request.subject.clone(),
            names,
            spki_der: request.spki_der.clone(),
            lifetime,
        };
        Ok(Signed { chain: self.issue(&leaf, now).await?, repeated })
    }

    /// The order of this request, and whether there is one already.
    async fn order_of(
        &self,
        request: &Request,
        profile: &str,
        lifetime: Option<Duration>,
        now: Timestamp,
    ) -> Result<(String, bool), CaError> {
        let lifetime = lifetime.map_or(0, |lifetime| lifetime.as_secs());
        let asked = format!("{} {profile} {lifetime}", request.fingerprint);
        let prefix = format!("csr:{}:", hex::encode(digest::digest(&digest::SHA256, asked.as_bytes())));
        let Some(last) = self.state.last_ca_order(&self.name, &prefix).await? else {
            return Ok((format!("{prefix}{:08}", 1), false));
        };
        let half = last.not_after.since(last.created_at) / 2;
        if !last.revoked && now < last.created_at.plus(half.min(REPEATED_WITHIN)) {
            return Ok((last.order_id, true));
        }
        let number = last.order_id.strip_prefix(&prefix).and_then(|number| number.parse::<u32>().ok());
        let number = number.ok_or_else(|| self.damaged("the order of a request has no number"))?;
        Ok((format!("{prefix}{:08}", number + 1), false))
    }
}
