//! DNS hosts that tests need beside the product's own.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use providers::Error;
use providers::dns::{Capabilities, DnsProvider, Registration, TxtRecord};
use renewd::dns01::{Registrations, RegistrationsError};
use secrecy::{ExposeSecret, SecretString};

use crate::peers::bind::Bind;

/// A host that writes to BIND with `nsupdate`, knows some zones only, and can be told to be less able.
pub struct Host {
    pub bind: Arc<Bind>,
    pub zones: Vec<&'static str>,
    pub capabilities: Capabilities,
    pub registered: AtomicUsize,
    pub secrets: Mutex<Vec<String>>,
    writers: AtomicUsize,
    pub most_writers: AtomicUsize,
}

impl Host {
    pub fn new(bind: &Arc<Bind>, zones: &[&'static str], capabilities: Capabilities) -> Arc<Self> {
        Arc::new(Self {
            bind: Arc::clone(bind),
            zones: zones.to_vec(),
            capabilities,
            registered: AtomicUsize::new(0),
            secrets: Mutex::default(),
            writers: AtomicUsize::new(0),
            most_writers: AtomicUsize::new(0),
        })
    }

    async fn update(&self, record: &TxtRecord, script: String) -> Result<(), Error> {
        if !self.zones.contains(&record.zone.as_str()) {
            return Err(Error::ZoneNotFound { zone: record.zone.clone() });
        }
        let writers = self.writers.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_writers.fetch_max(writers, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let bind = Arc::clone(&self.bind);
        tokio::task::spawn_blocking(move || bind.nsupdate(&script)).await.expect("nsupdate succeeds");
        self.writers.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Host")
    }
}

#[async_trait]
impl DnsProvider for Host {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn append_txt(&self, record: &TxtRecord, registration: Option<&Registration>) -> Result<(), Error> {
        let secret = registration.map(|registration| registration.secret.expose_secret().to_owned());
        self.secrets.lock().unwrap().extend(secret);
        self.update(record, format!("update add {} {} TXT \"{}\"", record.name, record.ttl, record.value)).await
    }

    async fn delete_txt(&self, record: &TxtRecord, _: Option<&Registration>) -> Result<(), Error> {
        self.update(record, format!("update delete {} TXT \"{}\"", record.name, record.value)).await
    }

    async fn register(&self, name: &str) -> Result<Option<Registration>, Error> {
        let number = self.registered.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let target = format!("r{number}.{}", self.zones[0]);
        Ok(Some(Registration { target, secret: SecretString::from(format!("{name} {number}")) }))
    }
}

/// Registrations in memory.
#[derive(Default)]
pub struct Memory {
    pub kept: Mutex<HashMap<(String, String), Registration>>,
    pub broken: bool,
}

#[async_trait]
impl Registrations for Memory {
    async fn find(&self, instance: &str, name: &str) -> Result<Option<Registration>, RegistrationsError> {
        Ok(self.kept.lock().unwrap().get(&(instance.to_owned(), name.to_owned())).cloned())
    }

    async fn keep(&self, instance: &str, name: &str, registration: &Registration) -> Result<(), RegistrationsError> {
        if self.broken {
            return Err("the disk is full".into());
        }
        self.kept.lock().unwrap().insert((instance.to_owned(), name.to_owned()), registration.clone());
        Ok(())
    }
}
