//! An order from newOrder to its chain (RFC 8555, section 7.4): asks where it stands, and goes on from there.

use std::time::Duration;

use instant_acme::{NewOrder, OrderStatus};

use super::Acme;
use super::account::Session;
use super::authorization;
use super::client::{last_retry_after, operator};
use super::obstacle::{Obstacle, patiently};
use super::problem::{Problem, clean};
use super::waits::{Stage, pause};
use crate::config::Certificate;
use crate::config::certificate::Profile;
use crate::crash::{self, Point};
use crate::identifier::Identifier;
use crate::issuer::{IssuerError, Progress};
use crate::state::{OrderRow, StateError};

/// The shortest time between two looks at an order.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// No CA keeps an order waiting for longer than this without being asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// How long one `advance` waits in all before it puts the order down.
const MOMENT: Duration = Duration::from_secs(1);

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

    async fn make(
        &self,
        session: &Session,
        order: &OrderRow,
        names: &[Identifier],
        wanted: &Certificate,
    ) -> Result<instant_acme::Order, IssuerError> {
        let identifiers: Vec<_> = names.iter().map(acme_identifier).collect();
        let profile = self.profile(session, wanted)?;
        let mut request = NewOrder::new(&identifiers);
        if let Some(profile) = profile {
            request = request.profile(profile);
        }
        let live = match patiently!(session.account.new_order(&request)) {
            Ok(live) => live,
            Err(obstacle) => {
                let gone = self.account_error(session, &obstacle).await;
                return Err(gone.unwrap_or_else(|| obstacle.into_error(self.name())));
            }
        };
        session.client.permitted(live.url()).map_err(|obstacle| obstacle.into_error(self.name()))?;
        crash::point(Point::OrderMade);
        self.state.order_made(&order.id, self.directory_url(), live.url(), profile).await?;
        crash::point(Point::OrderUrlWritten);
        Ok(live)
    }

    /// The profile to ask for: one that is only preferred is left out where the CA does not offer it.
    pub(super) fn profile<'w>(
        &self,
        session: &Session,
        wanted: &'w Certificate,
    ) -> Result<Option<&'w str>, IssuerError> {
        let offered = |wanted: &str| session.account.profiles().any(|profile| profile.name == wanted);
        match &wanted.profile {
            None => Ok(None),
            Some(Profile::Preferred(name) | Profile::Required(name)) if offered(name) => Ok(Some(name)),
            Some(Profile::Preferred(name)) => {
                tracing::warn!(issuer = self.name(), profile = %name, "the CA does not offer the profile: ordered without");
                Ok(None)
            }
            Some(Profile::Required(name)) => {
                let mut offers: Vec<_> = session.account.profiles().map(|profile| clean(profile.name)).collect();
                offers.sort();
                Err(operator(format!(
                    "the CA of account `{}` does not offer the profile `{name}` that is required: it offers [{}]",
                    self.name(),
                    offers.join(", ")
                )))
            }
        }
    }

    async fn find(&self, session: &Session, url: &str) -> Result<instant_acme::Order, IssuerError> {
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
        match self.status() {
            OrderStatus::Pending => self.authorize().await,
            OrderStatus::Ready => self.finalize().await,
            OrderStatus::Processing => Ok(self.await_issuance()),
            OrderStatus::Valid => self.download().await,
            OrderStatus::Invalid => Err(self.refusal().await),
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
        let unexplained = || "the order became invalid, and the CA does not say why".to_owned();
        IssuerError::Refused { detail: own.unwrap_or_else(unexplained) }
    }

    /// A pause at this stage: as long as the CA asks for, else growing.
    pub(super) fn pause_at(&self, stage: Stage, what: &str) -> Step {
        let now = self.acme.clock.now();
        let waited = self.acme.waits.waited(&self.order.id, stage, now);
        if waited.is_none() {
            self.acme.waits.begin(&self.order.id, stage, now);
        }
        let growing = pause(waited.unwrap_or_default(), FIRST_PAUSE);
        let asked = last_retry_after().unwrap_or_default().min(LONGEST_PAUSE);
        Step::Pause(growing.max(asked), what.to_owned())
    }
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

fn acme_identifier(name: &Identifier) -> instant_acme::Identifier {
    match name {
        Identifier::Dns(name) => instant_acme::Identifier::Dns(name.as_str().to_owned()),
        Identifier::Ip(address) => instant_acme::Identifier::Ip(*address),
    }
}
