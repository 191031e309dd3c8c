//! What fails, or panics, for one certificate stops no other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use providers::dns::Registration;
use renewd::clock::{Clock, Timestamp};
use renewd::config::{Certificate, Config, Resolver};
use renewd::dns01::{Dns01, Registrations, RegistrationsError};
use renewd::issuer::{Issuer, IssuerError, Progress, RevocationReason};
use renewd::scheduler::Scheduler;
use renewd::state::{OrderRow, State, VersionRow};
use renewd::worker::reconcile::reconcile;
use renewd::worker::{Parts, Seats, Worker};
use tokio::sync::watch;

use crate::parts::peace;

#[tokio::test]
async fn the_panic_of_one_and_the_refusal_of_another_stop_nobody_else() {
    let config = peace(12, 1).config;
    let all: Vec<String> = config.certificates.keys().map(ToString::to_string).collect();
    let state = State::simulated().await.unwrap();
    let clock = Clock::system();
    reconcile(&config, &state, clock.now()).await.unwrap();
    let ca = Arc::new(Ca { panics: all[0].clone(), refuses: all[1].clone(), asked: Mutex::default() });
    let parts = Arc::new(ArcSwap::from_pointee(parts(config, &ca)));
    let worker = Worker::new(state.clone(), clock.clone(), parts, Arc::new(AtomicBool::new(true)));
    let (stop, stopped) = watch::channel(false);
    let loops = Scheduler::new(state.clone(), clock, worker, |_| {}).run(stopped);
    let watches = async {
        let began = tokio::time::Instant::now();
        while !settled(&state, &ca, &all).await {
            assert!(began.elapsed() < Duration::from_secs(30), "asked for {:?} only", ca.asked.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.send(true).unwrap();
    };
    tokio::join!(loops, watches);
    for (name, expected) in all.iter().zip(["renewd failed inside", "CAA forbids it"]) {
        let problem = state.certificate(name).await.unwrap().unwrap().problem;
        assert!(problem.as_ref().is_some_and(|words| words.contains(expected)), "{name}: {problem:?}");
    }
}

/// Everybody was asked for, and the two that fail were put down with their problem.
async fn settled(state: &State, ca: &Ca, all: &[String]) -> bool {
    let mut told = true;
    for name in &all[..2] {
        told &= state.certificate(name).await.unwrap().unwrap().problem.is_some();
    }
    told && ca.asked.lock().unwrap().len() == all.len()
}

fn parts(config: Arc<Config>, ca: &Arc<Ca>) -> Parts {
    let seats = |name: &String| (name.clone(), Seats::of(Arc::clone(ca) as Arc<dyn Issuer>));
    let issuers: BTreeMap<_, _> = config.accounts.keys().map(seats).collect();
    let dns01 = Dns01::new(Vec::new(), &Resolver::default(), Arc::new(NoRegistrations)).unwrap();
    Parts { config, issuers, stores: BTreeMap::new(), dns01: Arc::new(dns01), secrets: [0; 32] }
}

/// Keeps every order waiting but two.
struct Ca {
    panics: String,
    refuses: String,
    asked: Mutex<BTreeSet<String>>,
}

#[async_trait]
impl Issuer for Ca {
    fn id(&self) -> &str {
        "first"
    }

    fn directory_url(&self) -> Option<&str> {
        None
    }

    fn parallel_orders(&self) -> usize {
        2
    }

    async fn advance(&self, order: &OrderRow, _: &Certificate) -> Result<Progress, IssuerError> {
        self.asked.lock().unwrap().insert(order.certificate.clone());
        assert!(order.certificate != self.panics, "this is how a fault of ours looks");
        if order.certificate == self.refuses {
            return Err(IssuerError::Refused { detail: "CAA forbids it".to_owned() });
        }
        Ok(Progress::Wait { until: Timestamp::NEVER, what: "nothing".to_owned() })
    }

    async fn revoke(&self, _: &VersionRow, _: RevocationReason) -> Result<(), IssuerError> {
        Ok(())
    }

    async fn rotate_key(&self) -> Result<(), IssuerError> {
        Ok(())
    }
}

struct NoRegistrations;

#[async_trait]
impl Registrations for NoRegistrations {
    async fn find(&self, _: &str, _: &str) -> Result<Option<Registration>, RegistrationsError> {
        Ok(None)
    }

    async fn keep(&self, _: &str, _: &str, _: &Registration) -> Result<(), RegistrationsError> {
        Ok(())
    }
}
