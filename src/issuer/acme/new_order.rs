//! newOrder (RFC 8555, section 7.4), with a profile and with what the order replaces (RFC 9773, section 5).

use std::borrow::Cow;

use instant_acme::{CertificateIdentifier, NewOrder};

use super::Acme;
use super::account::Session;
use super::client::{account_trouble, last_location};
use super::obstacle::{Obstacle, patiently};
use super::problem::clean;
use crate::config::Certificate;
use crate::config::certificate::Profile;
use crate::crash::{self, Point};
use crate::identifier::Identifier;
use crate::issuer::IssuerError;
use crate::state::OrderRow;

/// As many names every profile holds (Let's Encrypt: 25 in place of 100).
const FEW_NAMES: usize = 25;

/// What an order is asked for beside its names: what the CA does not like of it is left out, once.
struct Wish<'a> {
    profile: Option<&'a str>,
    replaces: Option<&'a str>,
}

/// An order that the CA has made.
struct Made {
    url: String,
    /// `None`: the CA's answer could not be taken as it was; the order is there all the same.
    live: Option<instant_acme::Order>,
}

impl Acme {
    /// Has the CA make the order, and keeps its URL.
    pub(super) async fn make(
        &self,
        session: &Session,
        order: &OrderRow,
        names: &[Identifier],
        wanted: &Certificate,
    ) -> Result<instant_acme::Order, IssuerError> {
        let identifiers: Vec<_> = names.iter().map(acme_identifier).collect();
        let mut wish = Wish { profile: self.profile(session, wanted)?, replaces: order.replaces.as_deref() };
        let made = loop {
            match ask(session, &identifiers, &wish).await {
                Ok(made) => break made,
                Err(obstacle) => self.wish_for_less(session, order, wanted, &mut wish, obstacle).await?,
            }
        };
        session.client.permitted(&made.url).map_err(|obstacle| obstacle.into_error(self.name()))?;
        crash::point(Point::OrderMade);
        self.state.order_made(&order.id, self.directory_url(), &made.url, wish.profile, self.clock.now()).await?;
        crash::point(Point::OrderUrlWritten);
        match made.live {
            Some(live) => Ok(live),
            None => self.find(session, &made.url).await,
        }
    }

    /// Leaves out of the wish what the CA may have refused it for: each thing once, so that this comes to an end.
    ///
    /// # Errors
    /// What the refusal means, where it is about something else.
    async fn wish_for_less(
        &self,
        session: &Session,
        order: &OrderRow,
        wanted: &Certificate,
        wish: &mut Wish<'_>,
        obstacle: Obstacle,
    ) -> Result<(), IssuerError> {
        if let Some(gone) = self.account_error(session, &obstacle).await {
            return Err(gone);
        }
        let (certificate, issuer) = (order.certificate.as_str(), self.name());
        let preferred = matches!(wanted.profile, Some(Profile::Preferred(_)));
        if preferred && wish.profile.is_some() && may_be_about_profile(&obstacle, order.names.len()) {
            tracing::warn!(certificate, issuer, profile = wish.profile, "ordered without its profile: {obstacle}");
            wish.profile = None;
            return Ok(());
        }
        if wish.replaces.is_some() && may_be_about_replaces(&obstacle) {
            tracing::warn!(certificate, issuer, "ordered without saying what it replaces: {obstacle}");
            self.state.order_replaces_nothing(order, self.clock.now()).await?;
            wish.replaces = None;
            return Ok(());
        }
        Err(obstacle.into_error(issuer))
    }

    /// The profile to ask for: one that is only preferred is left out where the CA does not offer it.
    pub(super) fn profile<'w>(
        &self,
        session: &Session,
        wanted: &'w Certificate,
    ) -> Result<Option<&'w str>, IssuerError> {
        let offers = &session.directory.meta.profiles;
        match &wanted.profile {
            None => Ok(None),
            Some(Profile::Preferred(name) | Profile::Required(name)) if offers.contains_key(name) => Ok(Some(name)),
            Some(Profile::Preferred(name)) => {
                let (certificate, issuer) = (wanted.names.first().map(ToString::to_string), self.name());
                tracing::warn!(certificate, issuer, profile = %name, "the CA does not offer the profile: ordered without");
                Ok(None)
            }
            Some(Profile::Required(name)) => {
                let offers: Vec<_> = offers.keys().map(|profile| clean(profile)).collect();
                Err(account_trouble(format!(
                    "the CA of account `{}` does not offer the profile `{name}` that is required: it offers [{}]",
                    self.name(),
                    offers.join(", ")
                )))
            }
        }
    }
}

async fn ask(session: &Session, identifiers: &[instant_acme::Identifier], wish: &Wish<'_>) -> Result<Made, Obstacle> {
    let mut request = NewOrder::new(identifiers);
    if let Some(profile) = wish.profile {
        request = request.profile(profile);
    }
    // A CA that gives no renewal information knows nothing of it.
    let replaces = wish.replaces.filter(|_| session.directory.renewal_info.is_some());
    if let Some((authority, serial)) = replaces.and_then(|id| id.split_once('.')) {
        request = request.replaces(CertificateIdentifier {
            authority_key_identifier: Cow::Borrowed(authority),
            serial: Cow::Borrowed(serial),
        });
    }
    match patiently!(session.account.new_order(&request)) {
        Ok(live) => Ok(Made { url: live.url().to_owned(), live: Some(live) }),
        // instant-acme finds fault with the answer, say because `replaces` is not repeated in it, but the order is made.
        Err(Obstacle::Unfit(words)) => match last_location() {
            Some(url) => {
                tracing::debug!(order = %clean(&url), "the CA's answer to newOrder: {words}");
                Ok(Made { url, live: None })
            }
            None => Err(Obstacle::Unfit(words)),
        },
        Err(obstacle) => Err(obstacle),
    }
}

/// A refusal that may be for the profile: some profiles hold fewer names than the CA's usual one.
fn may_be_about_profile(obstacle: &Obstacle, names: usize) -> bool {
    let too_many = || names > FEW_NAMES && (obstacle.is("malformed") || obstacle.is("rejectedIdentifier"));
    obstacle.is("invalidProfile") || too_many()
}

/// A refusal of an order that may be for what it replaces: not one that is plainly about something else. A CA whose
/// own records of what it issued fail it (Pebble, where the serial begins with zeros) says that it is its own fault.
fn may_be_about_replaces(obstacle: &Obstacle) -> bool {
    const OTHERWISE: [&str; 15] = [
        "accountDoesNotExist",
        "badCSR",
        "badPublicKey",
        "badSignatureAlgorithm",
        "caa",
        "connection",
        "dns",
        "externalAccountRequired",
        "incorrectResponse",
        "invalidContact",
        "invalidProfile",
        "rejectedIdentifier",
        "unsupportedContact",
        "unsupportedIdentifier",
        "userActionRequired",
    ];
    let refused = obstacle.is_final() && !obstacle.is_pause() && !OTHERWISE.into_iter().any(|kind| obstacle.is(kind));
    refused || obstacle.is_own_fault()
}

fn acme_identifier(name: &Identifier) -> instant_acme::Identifier {
    match name {
        Identifier::Dns(name) => instant_acme::Identifier::Dns(name.as_str().to_owned()),
        Identifier::Ip(address) => instant_acme::Identifier::Ip(*address),
    }
}
