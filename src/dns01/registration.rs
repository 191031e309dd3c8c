//! Credentials that a host hands out a name (acme-dns): made once, kept before use.

use std::error::Error;

use async_trait::async_trait;
use providers::dns::Registration;

use super::{Dns01, Dns01Error, Instance};

/// Why a registration could not be read or kept.
pub type RegistrationsError = Box<dyn Error + Send + Sync>;

/// Where registrations are kept, sealed.
#[async_trait]
pub trait Registrations: Send + Sync {
    /// The registration of the challenge name `name` at the instance, if there is one.
    async fn find(&self, instance: &str, name: &str) -> Result<Option<Registration>, RegistrationsError>;

    /// Keeps a registration for good.
    async fn keep(&self, instance: &str, name: &str, registration: &Registration) -> Result<(), RegistrationsError>;
}

impl Dns01 {
    /// The registration of the challenge name, made and kept where there is none; one caller at a time.
    pub(super) async fn registration(&self, instance: &Instance, name: &str) -> Result<Registration, Dns01Error> {
        let _alone = self.locks.lock(&[&instance.name, "registration", name]).await;
        if let Some(found) = self.registration_on_record(instance, name).await? {
            return Ok(found);
        }
        let made = instance.provider.register(name).await.map_err(|source| instance.error(source))?;
        let none = || instance.error(providers::Error::rejected("it hands out no registration"));
        let made = made.ok_or_else(none)?;
        let kept = self.registrations.keep(&instance.name, name, &made).await;
        kept.map_err(|source| failed(instance, name, source))?;
        Ok(made)
    }

    /// The registration of the challenge name, where there is one.
    pub(super) async fn registration_on_record(
        &self,
        instance: &Instance,
        name: &str,
    ) -> Result<Option<Registration>, Dns01Error> {
        if !instance.provider.capabilities().registers {
            return Ok(None);
        }
        let found = self.registrations.find(&instance.name, name).await;
        found.map_err(|source| failed(instance, name, source))
    }
}

/// The CNAMEs from `start` must have led to the registration's target, not to `name`, if that is another.
pub(super) fn check_target(registration: &Registration, start: &str, name: &str) -> Result<(), Dns01Error> {
    if registration.target == name {
        return Ok(());
    }
    Err(Dns01Error::CnameMissing { name: start.to_owned(), target: registration.target.clone() })
}

fn failed(instance: &Instance, name: &str, source: RegistrationsError) -> Dns01Error {
    Dns01Error::Registrations { instance: instance.name.clone(), name: name.to_owned(), source }
}
