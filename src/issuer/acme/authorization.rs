//! Authorizations and their DNS-01 challenges (RFC 8555, sections 7.5 and 8.4).

use std::collections::HashSet;
use std::time::Duration;

use instant_acme::{AuthorizationHandle, AuthorizationStatus, ChallengeStatus, ChallengeType};

use super::obstacle::{Obstacle, is_bad_nonce, patiently};
use super::order::{Course, Step};
use super::problem::{Problem, clean};
use super::waits::Stage;
use crate::crash::{self, Point};
use crate::dns01;
use crate::identifier::Identifier;
use crate::issuer::IssuerError;

/// After this long a CA that shows no progress is told once more that the challenges are ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is waited for.
const VALIDATION: &str = "the CA is validating";

/// An authorization as the CA shows it.
#[derive(Debug)]
pub(super) struct Seen {
    /// The identifier, with its `*.` where it has one.
    name: String,
    /// The identifier without it.
    pub(super) base: String,
    status: AuthorizationStatus,
    /// What went wrong with a challenge of it.
    problem: Option<String>,
    /// The types of its challenges.
    offered: Vec<String>,
    /// The TXT value that proves control.
    pub(super) value: Option<String>,
    /// The CA was told that its challenge is ready.
    told: bool,
}

impl Seen {
    fn read<'h>(handle: &'h mut AuthorizationHandle<'h>) -> Self {
        let identifier = handle.identifier().to_string();
        let problem = handle.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        let mut seen = Self {
            base: dns01::normal(&clean(identifier.strip_prefix("*.").unwrap_or(&identifier))),
            name: clean(&identifier),
            status: handle.status,
            problem: problem.map(|problem| Problem::from(problem).to_string()),
            offered: handle.challenges.iter().map(|challenge| type_name(&challenge.r#type)).collect(),
            value: None,
            told: false,
        };
        if let Some(challenge) = handle.challenge(ChallengeType::Dns01) {
            seen.told = challenge.status != ChallengeStatus::Pending;
            seen.value = Some(challenge.key_authorization().dns_value());
        }
        seen
    }

    fn is_pending(&self) -> bool {
        self.status == AuthorizationStatus::Pending
    }
}

fn type_name(kind: &ChallengeType) -> String {
    match kind {
        ChallengeType::Http01 => "http-01".to_owned(),
        ChallengeType::Dns01 => "dns-01".to_owned(),
        ChallengeType::TlsAlpn01 => "tls-alpn-01".to_owned(),
        ChallengeType::Unknown(name) => clean(name),
        other => clean(&format!("{other:?}")),
    }
}

/// Why these authorizations lead nowhere, in the CA's own words; `None`: they may lead on.
pub(super) fn verdict(seen: &[Seen]) -> Option<IssuerError> {
    let failed = seen.iter().filter(|authorization| authorization.status == AuthorizationStatus::Invalid);
    let words: Vec<_> = failed
        .map(|authorization| {
            let problem = authorization.problem.as_deref().unwrap_or("the CA does not say why");
            format!("`{}`: {problem}", authorization.name)
        })
        .collect();
    if !words.is_empty() {
        return Some(IssuerError::Refused { detail: clean(&words.join("; ")) });
    }
    let over = |status: AuthorizationStatus| {
        use AuthorizationStatus::{Deactivated, Expired, Revoked};
        matches!(status, Deactivated | Expired | Revoked)
    };
    let ended = seen.iter().find(|authorization| over(authorization.status))?;
    let detail = format!("the authorization of `{}` is {}", ended.name, format!("{:?}", ended.status).to_lowercase());
    Some(IssuerError::OrderGone { detail })
}

impl Course<'_> {
    /// Gets the order authorized: presents what proves control, waits until everybody sees it, tells the CA.
    pub(super) async fn authorize(&mut self) -> Result<Step, IssuerError> {
        let now = self.acme.clock.now();
        let told = self.acme.waits.waited(&self.order.id, Stage::Validating, now);
        if told.is_some_and(|waited| waited < PATIENCE) {
            return self.pause_at(Stage::Validating, VALIDATION).await;
        }
        let seen = match self.authorizations().await {
            Ok(seen) => seen,
            Err(obstacle) => return Err(self.lost(obstacle).await),
        };
        if let Some(error) = verdict(&seen) {
            return Err(error);
        }
        let pending: Vec<&Seen> = seen.iter().filter(|authorization| authorization.is_pending()).collect();
        if pending.iter().all(|authorization| authorization.told) {
            return self.pause_at(Stage::Validating, VALIDATION).await;
        }
        self.refuse_other_challenges(&pending)?;
        if let Some(pause) = self.present(&pending).await? {
            return Ok(pause);
        }
        self.tell().await?;
        crash::point(Point::ChallengesReady);
        self.acme.waits.begin(&self.order.id, Stage::Validating, self.acme.clock.now());
        self.pause_at(Stage::Validating, VALIDATION).await
    }

    /// Every authorization of the order; one that was fetched since the last refresh is not fetched again.
    pub(super) async fn authorizations(&mut self) -> Result<Vec<Seen>, Obstacle> {
        let names = self.names.len();
        let seen = patiently!(look(&mut self.live), names)?;
        self.refuse_strangers(&seen)?;
        Ok(seen)
    }

    /// Nothing is proved but what was ordered, and what that lies below.
    fn refuse_strangers(&self, seen: &[Seen]) -> Result<(), Obstacle> {
        let ordered = |base: &str| self.names.iter().any(|name| covers(base, name));
        match seen.iter().find(|authorization| !ordered(&authorization.base)) {
            None => Ok(()),
            Some(stranger) => {
                let words = format!("the CA wants proof of `{}`, which was not ordered", stranger.name);
                Err(Obstacle::Unfit(words))
            }
        }
    }

    fn refuse_other_challenges(&self, pending: &[&Seen]) -> Result<(), IssuerError> {
        let Some(other) = pending.iter().find(|authorization| authorization.value.is_none()) else { return Ok(()) };
        let what = format!(
            "the CA of account `{}` offers no dns-01 challenge for `{}`, only [{}]: leave that name out, or order it elsewhere",
            self.acme.settings.name,
            other.name,
            other.offered.join(", ")
        );
        Err(IssuerError::Account { what })
    }

    /// Tells the CA that every pending challenge is ready.
    async fn tell(&mut self) -> Result<(), IssuerError> {
        let (names, mut told) = (self.names.len(), HashSet::new());
        match patiently!(tell_all(&mut self.live, &mut told), names) {
            // The authorization has moved on meanwhile: the order's status will say where to.
            Err(obstacle) if obstacle.is("malformed") => Ok(()),
            Err(obstacle) => Err(self.lost(obstacle).await),
            Ok(()) => Ok(()),
        }
    }
}

/// The identifier of an authorization is the name itself, or a domain that it lies below (RFC 9444).
fn covers(base: &str, name: &Identifier) -> bool {
    match name {
        Identifier::Dns(name) => dns01::is_within(name.base(), base),
        Identifier::Ip(address) => address.to_string() == base,
    }
}

async fn look(live: &mut instant_acme::Order) -> Result<Vec<Seen>, instant_acme::Error> {
    let mut seen = Vec::new();
    let mut authorizations = live.authorizations();
    while let Some(handle) = authorizations.next().await {
        seen.push(Seen::read(&mut handle?));
    }
    Ok(seen)
}

async fn tell_all(live: &mut instant_acme::Order, told: &mut HashSet<String>) -> Result<(), instant_acme::Error> {
    let mut authorizations = live.authorizations();
    while let Some(handle) = authorizations.next().await {
        let mut handle = handle?;
        let url = handle.url().to_owned();
        if handle.status != AuthorizationStatus::Pending || told.contains(&url) {
            continue;
        }
        let Some(mut challenge) = handle.challenge(ChallengeType::Dns01) else { continue };
        if challenge.status == ChallengeStatus::Pending {
            match challenge.set_ready().await {
                // The challenge failed at once; the authorization tells it better.
                Err(instant_acme::Error::Api(problem)) if !is_bad_nonce(&problem.clone().into()) => {}
                done => done?,
            }
        }
        told.insert(url);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(status: AuthorizationStatus, problem: Option<&str>) -> Seen {
        Seen {
            name: "*.a.example".to_owned(),
            base: "a.example".to_owned(),
            status,
            problem: problem.map(str::to_owned),
            offered: Vec::new(),
            value: None,
            told: false,
        }
    }

    #[test]
    fn a_failed_authorization_speaks_before_one_that_has_ended() {
        use AuthorizationStatus as Status;
        assert!(verdict(&[seen(Status::Pending, None), seen(Status::Valid, None)]).is_none());
        let ended = verdict(&[seen(Status::Expired, None), seen(Status::Valid, None)]).unwrap();
        assert_eq!(ended.to_string(), "the order is gone: the authorization of `*.a.example` is expired");
        let failed = verdict(&[seen(Status::Expired, None), seen(Status::Invalid, Some("caa: forbids"))]).unwrap();
        assert_eq!(failed.to_string(), "the CA refused: `*.a.example`: caa: forbids");
    }
}
