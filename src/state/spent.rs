//! What was taken of each CA's limits, so that no limit is ever broken, not by a restart either.

use super::certificate::words;
use super::obstacle::{self, Obstacle, ObstacleKind};
use super::order::NewOrder;
use super::row::to_list;
use super::{Result, State, Write};
use crate::clock::Timestamp;
use crate::config::Limit;

words! {
    /// What a CA counts.
    SpentKind {
        /// New orders of an account.
        Order = "order",
        /// Certificates for new sets of names below a registered domain.
        Domain = "domain",
        /// Certificates for exactly the same names.
        Names = "names",
        /// Failed authorizations of a name.
        Failure = "failure",
        /// Renewals of one certificate because its CA suggested it: our own guard against a CA that never stops.
        Advice = "advice",
    }
}

/// What an order takes of a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Of which.
    pub kind: SpentKind,
    /// What it is counted for: the registered domain, the names, the name; empty: the account.
    pub subject: String,
    /// The limit; `None`: it is counted only.
    pub limit: Option<Limit>,
    /// Whatever else there is room for, it is held back no longer than until then; `None`: for as long as there is none.
    pub at_latest: Option<Timestamp>,
}

impl Claim {
    /// A claim that waits for as long as there is no room.
    #[must_use]
    pub const fn of(kind: SpentKind, subject: String, limit: Option<Limit>) -> Self {
        Self { kind, subject, limit, at_latest: None }
    }

    /// Whose limit it counts for. What is advised counts wherever it is followed: no other CA is asked for what has been
    /// followed often enough.
    fn issuer<'a>(&self, asker: &Asker<'a>) -> &'a str {
        if self.kind == SpentKind::Advice { "" } else { asker.issuer }
    }

    /// What other certificates may wait for, too, and come first; empty: nobody else waits for it.
    fn shared(&self) -> String {
        match self.kind {
            SpentKind::Order => self.kind.as_str().to_owned(),
            SpentKind::Domain => format!("{} {}", self.kind.as_str(), self.subject),
            SpentKind::Names | SpentKind::Failure | SpentKind::Advice => String::new(),
        }
    }
}

/// For whom something is taken, and of whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) certificate: &'a str,
    pub(super) issuer: &'a str,
}

impl<'a> From<&NewOrder<'a>> for Asker<'a> {
    fn from(new: &NewOrder<'a>) -> Self {
        Self { certificate: new.certificate, issuer: new.issuer }
    }
}

/// There is no room: the order is held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// When there may be room.
    pub until: Timestamp,
    /// The limit, in words.
    pub why: String,
}

impl State {
    /// How much was taken since `since`, by (issuer, kind) and the subject that took most.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn spent(&self, issuer: &str, kind: SpentKind, subject: &str, since: Timestamp) -> Result<u32> {
        let count: i64 = sqlx::query_scalar(COUNT)
            .bind(issuer)
            .bind(kind.as_str())
            .bind(subject)
            .bind(since.millis())
            .fetch_one(self.reader())
            .await?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }
}

/// The subject under which orders of an account are counted once more that are a certificate's first.
const FIRST: &str = "first";

const COUNT: &str = "SELECT COUNT(*) FROM spent WHERE issuer = $1 AND kind = $2 AND subject = $3 AND at > $4";

/// Takes what the order needs, or nothing at all and holds its certificate back.
pub(super) async fn claim(
    write: &mut Write,
    order_id: &str,
    asker: &Asker<'_>,
    claims: &[Claim],
    now: Timestamp,
) -> Result<Option<Held>> {
    for claim in claims {
        let Some(held) = no_room(write, asker, claim, now).await? else { continue };
        let obstacle = Obstacle {
            certificate: asker.certificate,
            issuer: asker.issuer,
            kind: ObstacleKind::Held,
            error: &held.why,
            wait: held.until.since(now),
            waits_for: &claim.shared(),
        };
        obstacle::meet(write, &obstacle, now).await?;
        return Ok(Some(held));
    }
    for claim in claims.iter().filter(|claim| claim.kind != SpentKind::Failure) {
        spend(write, claim.issuer(asker), claim.kind, &claim.subject, order_id, now).await?;
        if claim.kind == SpentKind::Order && urgency(write, asker.certificate).await? == 0 {
            spend(write, claim.issuer(asker), claim.kind, FIRST, order_id, now).await?;
        }
    }
    Ok(None)
}

/// Counts one.
pub(super) async fn spend(
    write: &mut Write,
    issuer: &str,
    kind: SpentKind,
    subject: &str,
    order_id: &str,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO spent (issuer, kind, subject, order_id, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(issuer)
    .bind(kind.as_str())
    .bind(subject)
    .bind(order_id)
    .bind(now.millis())
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// What an order has taken counts from now on, since the CA counts it only now: an order may have waited for hours for a CA
/// that was out of reach.
pub(super) async fn counts_from(write: &mut Write, order_id: &str, kinds: &[SpentKind], now: Timestamp) -> Result<()> {
    for kind in kinds {
        sqlx::query("UPDATE spent SET at = $3 WHERE order_id = $1 AND kind = $2 AND at < $3")
            .bind(order_id)
            .bind(kind.as_str())
            .bind(now.millis())
            .execute(&mut **write)
            .await?;
    }
    Ok(())
}

/// An order that became nothing has taken no certificate, and followed no advice.
pub(super) async fn give_back(write: &mut Write, order_id: &str) -> Result<()> {
    sqlx::query("DELETE FROM spent WHERE order_id = $1 AND kind IN ('domain', 'names', 'advice')")
        .bind(order_id)
        .execute(&mut **write)
        .await?;
    Ok(())
}

/// The subject of `SpentKind::Names`: the same for the same names in any order.
#[must_use]
pub fn exact_set(names: &[String]) -> String {
    let mut names = names.to_vec();
    names.sort_unstable();
    to_list(&names)
}

async fn no_room(write: &mut Write, asker: &Asker<'_>, claim: &Claim, now: Timestamp) -> Result<Option<Held>> {
    let Some(limit) = claim.limit else { return Ok(None) };
    let since = now.minus(limit.within);
    let spent = count(write, asker, claim, &claim.subject, since).await?;
    let urgency = urgency(write, asker.certificate).await?;
    let most = i64::from(limit.most);
    let surplus = match claim.kind {
        SpentKind::Order if spent * 4 >= most * 3 => {
            let first = count(write, asker, claim, FIRST, since).await?;
            let kin = if urgency == 0 { first } else { spent - first };
            (spent - most).max(kin + reserved(write, asker.issuer, urgency, most).await? - most)
        }
        _ => spent - most,
    };
    if surplus < 0 {
        return Ok(None);
    }
    let place = surplus + before_me(write, asker, claim, urgency, now).await?;
    let until = leaves_at(write, claim.issuer(asker), claim, since, spent, place).await?.plus(limit.within);
    let rounds = u32::try_from(place / spent.max(1)).unwrap_or(u32::MAX);
    let until = until.plus(limit.within.saturating_mul(rounds)).min(claim.at_latest.unwrap_or(Timestamp::NEVER));
    let until = until.max(now.plus(std::time::Duration::from_secs(1)));
    Ok(Some(Held { until, why: format!("held back until {until}{}", in_words(claim, limit, asker.issuer)) }))
}

/// How much was taken of what the claim is for, for this subject.
async fn count(write: &mut Write, asker: &Asker<'_>, claim: &Claim, subject: &str, since: Timestamp) -> Result<i64> {
    let count = sqlx::query_scalar(COUNT)
        .bind(claim.issuer(asker))
        .bind(claim.kind.as_str())
        .bind(subject)
        .bind(since.millis())
        .fetch_one(&mut **write)
        .await?;
    Ok(count)
}

/// When the certificate expires; 0: there is none yet.
async fn urgency(write: &mut Write, certificate: &str) -> Result<i64> {
    let urgency: Option<i64> = sqlx::query_scalar("SELECT COALESCE(not_after, 0) FROM certificate WHERE name = $1")
        .bind(certificate)
        .fetch_optional(&mut **write)
        .await?;
    Ok(urgency.unwrap_or(0))
}

/// New certificates do not take all from renewals that wait, nor renewals all from new ones: a quarter is kept for
/// those of the other kind, as far as there are any that wait. The quarter counts against what a kind has taken itself,
/// so that the two take the whole together.
async fn reserved(write: &mut Write, issuer: &str, urgency: i64, most: i64) -> Result<i64> {
    let others = if urgency == 0 { "urgency > 0" } else { "urgency = 0" };
    let waiting: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "SELECT COUNT(*) FROM obstacle WHERE issuer = $1 AND kind = 'held' AND waits_for = $2 AND {others}"
    )))
    .bind(issuer)
    .bind(SpentKind::Order.as_str())
    .fetch_one(&mut **write)
    .await?;
    Ok(waiting.min(most / 4))
}

/// How many wait for the same limit that come first.
async fn before_me(write: &mut Write, asker: &Asker<'_>, claim: &Claim, urgency: i64, now: Timestamp) -> Result<i64> {
    let waits_for = claim.shared();
    if waits_for.is_empty() {
        return Ok(0);
    }
    let count = sqlx::query_scalar(
        "SELECT COUNT(*) FROM obstacle WHERE issuer = $1 AND kind = 'held' AND waits_for = $2 AND urgency <= $3 \
         AND retry_at > $4 AND certificate <> $5",
    )
    .bind(asker.issuer)
    .bind(waits_for)
    .bind(urgency)
    .bind(now.millis())
    .bind(asker.certificate)
    .fetch_one(&mut **write)
    .await?;
    Ok(count)
}

/// When the one that leaves as the `place`th was counted.
async fn leaves_at(
    write: &mut Write,
    issuer: &str,
    claim: &Claim,
    since: Timestamp,
    spent: i64,
    place: i64,
) -> Result<Timestamp> {
    let at: i64 = sqlx::query_scalar(
        "SELECT at FROM spent WHERE issuer = $1 AND kind = $2 AND subject = $3 AND at > $4 ORDER BY at LIMIT 1 OFFSET $5",
    )
    .bind(issuer)
    .bind(claim.kind.as_str())
    .bind(&claim.subject)
    .bind(since.millis())
    .bind(place % spent.max(1))
    .fetch_one(&mut **write)
    .await?;
    Ok(Timestamp::from_millis(at))
}

/// What a certificate is held back by, as it stands behind the time.
fn in_words(claim: &Claim, limit: Limit, issuer: &str) -> String {
    let what = match claim.kind {
        SpentKind::Order => "new orders of the account".to_owned(),
        SpentKind::Domain => format!("certificates below {}", claim.subject),
        SpentKind::Names => "certificates for exactly these names".to_owned(),
        SpentKind::Failure => format!("failed authorizations of {}", claim.subject),
        SpentKind::Advice => {
            return format!(": its CA suggests to renew what it has only just issued, and is followed {limit}");
        }
    };
    format!(", to keep the limit of `{issuer}`: {limit} {what}")
}
