//! A TXT value that comes and goes at the place of a challenge: what shows that credentials, zone and servers are right.
//!
//! The value is on record before it is published. Should the process end in between, whoever runs next withdraws it.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::Doctor;
use crate::dns01::{Challenge, Dns01Error, Location, Seen};
use crate::planner::backoff::after_step;
use crate::report::Finding;
use crate::state::txt::NewTxt;
use crate::state::{StateError, TxtRow, new_id};
use crate::worker::{WorkError, Worker};

/// Whose rows they are: no certificate can have this name.
const OWNER: &str = ".doctor";

/// A value older than this was left behind.
const HELD: Duration = Duration::from_secs(180);

/// Publishing, or withdrawing, may take this long.
const CALL: Duration = Duration::from_secs(10);

/// How long the servers may take to show the value …
const SHOWN: Duration = Duration::from_secs(12);

/// … and to show it no more.
const GONE: Duration = Duration::from_secs(6);

/// Between two looks at the servers.
const PAUSE: Duration = Duration::from_millis(300);

impl Doctor<'_> {
    /// Publishes a value at the place of a challenge, waits until every server shows it, and takes it away again.
    pub(super) async fn probe(&self, location: &Location, challenge_name: &str) -> Vec<Finding> {
        let value = format!("renewd-doctor-{}", new_id());
        let challenge = Challenge { location: location.clone(), value, challenge_name: challenge_name.to_owned() };
        let row = match self.write_down(&challenge).await {
            Ok(row) => row,
            Err(error) => return vec![Finding::error("write", providers::error::chain(&error), "")],
        };
        let published = call(self.parts.dns01.present(&challenge)).await;
        let shown = match &published {
            Ok(()) => self.wait_until_shown(&challenge).await,
            Err(fault) => {
                Finding::error("write", format!("a TXT value at `{}`: {}", location.name, fault.words), ADVICE)
            }
        };
        if published.as_ref().is_err_and(|fault| fault.nothing_done) {
            self.remember(&row, &Ok(())).await;
            return vec![shown];
        }
        let withdrawn = call(self.parts.dns01.withdraw(&challenge)).await;
        self.remember(&row, &withdrawn).await;
        let gone = match withdrawn {
            Ok(()) => self.look_whether_gone(&challenge).await,
            Err(fault) => {
                let found = format!("{}: it is tried again until it succeeds", fault.words);
                Finding::error("withdraw", found, ADVICE)
            }
        };
        vec![shown, gone]
    }

    async fn write_down(&self, challenge: &Challenge) -> Result<String, StateError> {
        let (now, location) = (self.worker.clock.now(), &challenge.location);
        let txt = NewTxt {
            order_id: &challenge.value,
            certificate: OWNER,
            instance: &location.instance,
            zone: &location.zone,
            name: &location.name,
            value: &challenge.value,
            challenge_name: &challenge.challenge_name,
        };
        self.worker.state.add_held_txt(&txt, now, now.plus(HELD)).await
    }

    async fn remember(&self, row: &str, withdrawn: &Result<(), Fault>) {
        let outcome = match withdrawn {
            Ok(()) => self.worker.state.txts_withdrawn(&[row.to_owned()], self.worker.clock.now()).await,
            Err(fault) => {
                let now = self.worker.clock.now();
                self.worker.state.txt_withdrawal_failed(row, &fault.words, now, Duration::ZERO).await
            }
        };
        if let Err(error) = outcome {
            warn!("what became of a TXT value was not written down: {}", providers::error::chain(&error));
        }
    }

    async fn wait_until_shown(&self, challenge: &Challenge) -> Finding {
        let deadline = Instant::now() + SHOWN;
        loop {
            let seen = self.parts.dns01.propagated(std::slice::from_ref(challenge)).await;
            let missing = match seen {
                Ok(Seen::Everywhere) => return Finding::ok("write", shown_at(&challenge.location)),
                Ok(Seen::Missing { servers }) => servers.join("; "),
                Err(error) => providers::error::chain(&error),
            };
            if Instant::now() > deadline {
                let found = format!("written, but not shown after {} s: {missing}", SHOWN.as_secs());
                let advice = "mend the server that lacks it; where servers are slow by nature, orders wait for `propagation.timeout`";
                return Finding::warning("write", found, advice);
            }
            sleep(PAUSE).await;
        }
    }

    async fn look_whether_gone(&self, challenge: &Challenge) -> Finding {
        let can_delete = self.parts.dns01.capabilities(&challenge.location.instance).is_some_and(|it| it.delete);
        if !can_delete {
            return Finding::ok("withdraw", "this host overwrites old values by itself");
        }
        let deadline = Instant::now() + GONE;
        loop {
            match self.parts.dns01.still_shown(challenge).await {
                Ok(servers) if servers.is_empty() => return Finding::ok("withdraw", "the value is gone again"),
                Ok(servers) if Instant::now() > deadline => {
                    let found =
                        format!("withdrawn, and still shown after {} s: {}", GONE.as_secs(), servers.join("; "));
                    return Finding::warning("withdraw", found, "look at it once more in a while");
                }
                Err(error) if Instant::now() > deadline => {
                    return Finding::warning("withdraw", providers::error::chain(&error), "");
                }
                _ => sleep(PAUSE).await,
            }
        }
    }
}

const ADVICE: &str = "look at the instance's credentials, what they may change, and its server";

fn shown_at(location: &Location) -> String {
    format!("a TXT value at `{}` is shown by every server", location.name)
}

/// Why a host did not do what it was asked for.
struct Fault {
    words: String,
    /// It said no before it did anything.
    nothing_done: bool,
}

async fn call(work: impl Future<Output = Result<(), Dns01Error>>) -> Result<(), Fault> {
    match timeout(CALL, work).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Fault { words: providers::error::chain(&error), nothing_done: is_refusal(&error) }),
        Err(_) => Err(Fault { words: format!("no answer within {} s", CALL.as_secs()), nothing_done: false }),
    }
}

fn is_refusal(error: &Dns01Error) -> bool {
    match error {
        Dns01Error::Provider { source, .. } => {
            matches!(source, providers::Error::Unauthorized { .. } | providers::Error::ZoneNotFound { .. })
        }
        // Whatever else goes wrong does so before the host is asked.
        _ => true,
    }
}

impl Worker {
    /// Withdraws what an examination has left behind: one that was broken off, or whose own withdrawal failed.
    ///
    /// # Errors
    /// Where the state fails.
    pub async fn withdraw_probes(&self) -> Result<(), WorkError> {
        let parts = self.parts.load_full();
        let now = self.clock.now();
        for row in self.state.owed_txts(OWNER).await?.iter().filter(|row| row.retry_at <= now) {
            match call(parts.dns01.withdraw(&challenge_of(row))).await {
                Ok(()) => {
                    self.state.txts_withdrawn(std::slice::from_ref(&row.id), self.clock.now()).await?;
                    info!(zone = %row.zone, name = %row.name, "a TXT value that an examination left behind is withdrawn");
                }
                Err(Fault { words, .. }) => {
                    let wait = after_step(row.failures + 1, None, self.dice.throw());
                    warn!(zone = %row.zone, name = %row.name, retry_at = %now.plus(wait), "TXT value not withdrawn: {words}");
                    self.state.txt_withdrawal_failed(&row.id, &words, now, wait).await?;
                }
            }
        }
        Ok(())
    }
}

fn challenge_of(row: &TxtRow) -> Challenge {
    let location = Location { instance: row.instance.clone(), zone: row.zone.clone(), name: row.name.clone() };
    Challenge { location, value: row.value.clone(), challenge_name: row.challenge_name.clone() }
}
