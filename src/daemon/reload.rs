//! Reloading: a good file is applied at once, a bad one refused whole.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::{error, info, warn};

use super::files::Files;
use super::parts::Cas;
use super::{lookout, parts};
use crate::config::{self, Config, ConfigError, Loaded, Report};
use crate::http::status::ConfigStatus;
use crate::http::{App, ReloadAnswer, Reloaded};
use crate::notify::{self, Sinks};
use crate::state::StateError;
use crate::worker::Parts;
use crate::worker::reconcile::reconcile;

/// Applies the edited config.
pub(super) struct Reloader {
    pub(super) path: PathBuf,
    pub(super) parts: Arc<ArcSwap<Parts>>,
    pub(super) app: App,
}

impl Reloader {
    /// Reads the file and, where it is good, puts it in force. Work in progress goes on with the config it began with.
    pub(super) async fn reload(&self, files: &mut Files, why: &str) -> ReloadAnswer {
        files.look();
        let outcome = match config::load(&self.path) {
            Ok(loaded) => {
                files.watch(&loaded.files);
                self.apply(loaded, why).await
            }
            Err(report) => {
                if !report.files.is_empty() {
                    files.watch(&report.files);
                }
                Err(report)
            }
        };
        self.tell(outcome.as_ref().err()).await;
        match &outcome {
            Ok(reloaded) => self.taken(reloaded.changed),
            Err(report) => {
                error!(reason = why, "the edited config is refused, the one before stays in force:\n{report}");
                self.app.status.config_refused(report.clone(), self.app.clock.now());
            }
        }
        outcome
    }

    fn cas(&self) -> Cas {
        Cas { registry: self.app.registry.clone(), revocations: Some(self.app.revocations.clone()) }
    }

    /// A refusal is told, and so is its end.
    async fn tell(&self, refused: Option<&Report>) {
        let (state, now) = (&self.app.state, self.app.clock.now());
        let told = match refused {
            Some(_) => state.alert(&lookout::config(refused), now).await,
            None => state.recovered(&lookout::config(None), now).await,
        };
        if let Err(failure) = told {
            warn!("nobody can be told of the config: {}", providers::error::chain(&failure));
        }
    }

    /// A file that says the same as the one in force mends a refusal, and is no news otherwise.
    fn taken(&self, changed: bool) {
        let refused = matches!(*self.app.status.config(), ConfigStatus::Refused { .. });
        if refused && !changed {
            info!("the config file is good again, and says what is in force");
        }
        if changed || refused {
            self.app.status.config_taken(self.app.clock.now());
        }
    }

    async fn apply(&self, loaded: Loaded, why: &str) -> ReloadAnswer {
        let before = self.parts.load_full();
        let config = Arc::new(loaded.config);
        let reloaded = Reloaded { certificates: config.certificates.len(), changed: false, notes: loaded.notes };
        let now = self.app.clock.now();
        let built = parts::build(&config, &self.cas(), &self.app.clock, Some(&before));
        if config == before.config && built.secrets == before.secrets {
            return Ok(reloaded);
        }
        if config.state != before.config.state {
            warn!("a changed [state] takes effect when renewd is started again");
        }
        self.app.registry.reload(&config);
        built.prepare().await;
        let mended = may_mend(&before, &built);
        self.parts.store(built);
        if let Err(failure) = reconcile(&config, &self.app.state, now).await {
            self.app.registry.reload(&before.config);
            self.parts.store(before);
            return Err(self.not_applied(&failure));
        }
        let new_secrets = self.parts.load().secrets != before.secrets;
        if (config.notify != before.config.notify || new_secrets)
            && let Err(failure) = self.swap_sinks(&config).await
        {
            warn!("the edited [notify] is not in force: {}", providers::error::chain(&failure));
        }
        self.app.config.store(Arc::clone(&config));
        self.app.crls.look();
        if let Err(failure) = self.app.clients.let_orphans_rest().await {
            warn!("clients of CAs that are gone are still renewed: {}", providers::error::chain(&failure));
        }
        if mended && let Err(failure) = self.app.state.retry_troubled(now).await {
            warn!("what has a problem is not tried at once: {}", providers::error::chain(&failure));
        }
        self.count_attempts_anew(&before.config, &config).await;
        info!(reason = why, certificates = config.certificates.len(), "the edited config is in force");
        Ok(Reloaded { changed: true, ..reloaded })
    }

    /// Another `attempts_left` orders nothing: the certificates are only looked at.
    async fn count_attempts_anew(&self, before: &Config, after: &Config) {
        for (name, wanted) in &after.certificates {
            let changed = before.certificates.get(name).is_some_and(|old| old.attempts_left != wanted.attempts_left);
            if changed && let Err(failure) = self.app.state.look_now(name.as_str(), self.app.clock.now()).await {
                warn!(certificate = %name, "not looked at: {}", providers::error::chain(&failure));
            }
        }
    }

    async fn swap_sinks(&self, config: &Config) -> Result<(), StateError> {
        self.app.sinks.store(Arc::new(Sinks::of(&config.notify)));
        self.app.state.reconcile_sinks(&notify::settings(&config.notify), true).await
    }

    fn not_applied(&self, failure: &dyn std::error::Error) -> Report {
        let error = ConfigError {
            file: self.path.clone(),
            line: 0,
            column: 0,
            key: String::new(),
            message: format!("it could not be applied: {failure}"),
            help: Some("reload again when the database works".to_owned()),
        };
        Report { errors: vec![error], ..Report::default() }
    }
}

/// Something changed that certificates with a problem may have waited for.
fn may_mend(before: &Parts, after: &Parts) -> bool {
    let new_secrets = before.secrets != after.secrets;
    let (before, after): (&Config, &Config) = (&before.config, &after.config);
    new_secrets
        || before.accounts != after.accounts
        || before.cas != after.cas
        || before.dns != after.dns
        || before.stores != after.stores
        || before.resolver != after.resolver
}
