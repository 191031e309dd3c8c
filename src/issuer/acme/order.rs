//! An order from newOrder to its chain (RFC 8555, section 7.4): asks where it stands, and goes on from there.

use std::time::Duration;

use instant_acme::OrderStatus;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Acme;
use super::account::Session;
use super::authorization;
use super::client::last_retry_after;
use super::obstacle::{Obstacle, patiently};
use super::problem::{Problem, clean};
use super::waits::{Stage, pause};
use crate::clock::Timestamp;
use crate::config::{Certificate, Profile};
use crate::identifier::Identifier;
use crate::issuer::{IssuerError, Progress};
use crate::state::{OrderRow, StateError};

/// The shortest time between two looks at an order.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// No CA keeps an order waiting for longer than this without being asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// How long one `advance` waits in all before it puts the order down.
const MOMENT: Duration = Duration::from_secs(1);

/// After this long at one stage another CA may be asked, and this one is looked at as seldom as one that fails.
const ENOUGH: Duration = Duration::from_secs(15 * 60);

/// An order that is younger has not expired: CAs give hours.
const YOUNG: Duration = Duration::from_secs(60 * 60);

/// What a step came to.
#[derive(Debug)]
pub(super) enum Step {
    /// The order's status may have changed.
    Again,
    /// Nothing to do for so long.
    Pause(Duration, String),
    /// The chain is in the order row.
    Issued,
}

/// One order on its way.
pub(super) struct Course<'a> {
    pub(super) acme: &'a Acme,
    pub(super) session: &'a Session,
    pub(super) order: &'a OrderRow,
    pub(super) wanted: &'a Certificate,
    pub(super) names: Vec<Identifier>,
    pub(super) live: instant_acme::Order,
}

impl Acme {
    /// Takes the order as far as it goes within a moment.
    pub(super) async fn walk(&self, order: &OrderRow, wanted: &Certificate) -> Result<Progress, IssuerError> {
        let elsewhere = order.url.is_some() && order.directory_url.as_deref() != Some(self.directory_url());
        if elsewhere {
            let detail = format!("it was made at another directory than `{}`", self.directory_url());
            return Err(IssuerError::OrderGone { detail });
        }
        let names = names(order)?;
        let session = self.session().await?;
        let live = match &order.url {
            Some(url) => self.find(&session, url).await?,
            None => self.make(&session, order, &names, wanted).await?,
        };
        Course { acme: self, session: &session, order, wanted, names, live }.run().await
    }

    pub(super) async fn find(&self, session: &Session, url: &str) -> Result<instant_acme::Order, IssuerError> {
        match patiently!(session.account.order(url.to_owned())) {
            Ok(live) => Ok(live),
            Err(obstacle) => Err(self.lost(session, obstacle).await),
        }
    }

    /// What it means that an order, or a part of it, cannot be had.
    pub(super) async fn lost(&self, session: &Session, obstacle: Obstacle) -> IssuerError {
        if let Some(gone) = self.account_error(session, &obstacle).await {
            return gone;
        }
        if obstacle.is_not_found() || obstacle.is_about_access() {
            return IssuerError::OrderGone { detail: obstacle.to_string() };
        }
        obstacle.into_error(self.name())
    }
}

impl Course<'_> {
    async fn run(mut self) -> Result<Progress, IssuerError> {
        self.expect_in_time().await?;
        let mut rested = Duration::ZERO;
        loop {
            match self.step().await? {
                Step::Issued => return Ok(Progress::Issued),
                Step::Again => {}
                Step::Pause(pause, what) => {
                    rested += pause;
                    let until = self.acme.clock.now().plus(pause);
                    if rested > MOMENT {
                        return Ok(Progress::Wait { until, what });
                    }
                    self.acme.clock.sleep_until(until).await;
                    self.refresh().await?;
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Step, IssuerError> {
        if self.status() == OrderStatus::Invalid {
            return Err(self.refusal().await);
        }
        self.expect_profile()?;
        match self.status() {
            OrderStatus::Pending => self.authorize().await,
            OrderStatus::Ready => self.finalize().await,
            OrderStatus::Valid => self.download().await,
            OrderStatus::Processing | OrderStatus::Invalid => self.await_issuance().await,
        }
    }

    /// An order that outlived its time is given up, even where the CA does not say that it is over.
    async fn expect_in_time(&mut self) -> Result<(), IssuerError> {
        let age = self.acme.clock.now().since(self.order.created_at);
        if age < YOUNG || matches!(self.status(), OrderStatus::Valid | OrderStatus::Invalid) {
            return Ok(());
        }
        self.expired_at().await.map_or(Ok(()), |expired_at| Err(expired(expired_at)))
    }

    /// A profile that is required is the order's. A CA that says nothing of it is believed.
    fn expect_profile(&mut self) -> Result<(), IssuerError> {
        let Some(Profile::Required(wanted)) = &self.wanted.profile else { return Ok(()) };
        match &self.live.state().profile {
            Some(found) if found != wanted => {
                let detail = format!("the order has the profile `{}`, and `{wanted}` is required", clean(found));
                Err(IssuerError::BadChain { detail })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn status(&mut self) -> OrderStatus {
        self.live.state().status
    }

    async fn refresh(&mut self) -> Result<(), IssuerError> {
        match patiently!(refreshed(&mut self.live)) {
            Ok(()) => Ok(()),
            Err(obstacle) => Err(self.lost(obstacle).await),
        }
    }

    pub(super) async fn lost(&self, obstacle: Obstacle) -> IssuerError {
        self.acme.lost(self.session, obstacle).await
    }

    /// Why the order became invalid: its authorizations know best.
    async fn refusal(&mut self) -> IssuerError {
        let own = self.live.state().error.as_ref().map(|problem| Problem::from(problem).to_string());
        let seen = self.authorizations().await.unwrap_or_default();
        if let Some(error) = authorization::verdict(&seen) {
            return error;
        }
        if let Some(expired_at) = self.expired_at().await {
            return expired(expired_at);
        }
        let unexplained = || "the order became invalid, and the CA does not say why".to_owned();
        IssuerError::Refused { detail: own.unwrap_or_else(unexplained) }
    }

    /// When the order expired (RFC 8555, section 7.1.3), where it has by the CA's own clock: instant-acme does not tell.
    async fn expired_at(&self) -> Option<Timestamp> {
        let answer = self.session.post(self.live.url(), "").await.ok()?;
        let theirs = providers::http::date(&answer.headers).map(Timestamp::from_datetime);
        let document: Value = answer.json().ok()?;
        let expires = OffsetDateTime::parse(document.get("expires")?.as_str()?, &Rfc3339).ok()?;
        let now = theirs.unwrap_or_else(|| self.acme.clock.now());
        Some(Timestamp::from_datetime(expires)).filter(|expires| *expires <= now)
    }

    /// A pause at this stage: as long as the CA asks for, else growing.
    ///
    /// # Errors
    /// Where the order has been there for long.
    pub(super) async fn pause_at(&self, stage: Stage, what: &str) -> Result<Step, IssuerError> {
        let asked = last_retry_after().unwrap_or_default().min(LONGEST_PAUSE);
        let now = self.acme.clock.now();
        let waited = self.acme.waits.waited(&self.order.id, stage, now);
        if waited.is_none() {
            self.acme.waits.begin(&self.order.id, stage, now);
        }
        let waited = waited.unwrap_or_default();
        if waited >= ENOUGH {
            return Err(self.too_slow(waited, what).await);
        }
        Ok(Step::Pause(pause(waited, FIRST_PAUSE).max(asked), what.to_owned()))
    }

    async fn too_slow(&self, waited: Duration, what: &str) -> IssuerError {
        match self.expired_at().await {
            Some(expired_at) => expired(expired_at),
            None => IssuerError::Slow { detail: format!("{what}, for {} minutes already", waited.as_secs() / 60) },
        }
    }
}

fn expired(expired_at: Timestamp) -> IssuerError {
    IssuerError::OrderGone { detail: format!("it expired at {expired_at}") }
}

async fn refreshed(live: &mut instant_acme::Order) -> Result<(), instant_acme::Error> {
    live.refresh().await.map(|_| ())
}

fn names(order: &OrderRow) -> Result<Vec<Identifier>, IssuerError> {
    let parsed: Result<Vec<_>, _> = order.names.iter().map(|name| Identifier::parse(name)).collect();
    let damaged = |error: crate::identifier::NameError| StateError::Damaged {
        table: "acme_order",
        row: order.id.clone(),
        what: error.to_string(),
    };
    Ok(parsed.map_err(damaged)?)
}
