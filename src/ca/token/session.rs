//! Modules, loaded once, and sessions that are logged in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use secrecy::ExposeSecret as _;

use super::{TokenError, lock};
use crate::config::ca::Token;

/// A library is initialised once in a process, and stays.
static MODULES: LazyLock<Mutex<BTreeMap<PathBuf, Pkcs11>>> = LazyLock::new(Mutex::default);

/// The SHA-256 of a PIN, for each module and token label.
type Pins = BTreeMap<(PathBuf, String), Vec<u8>>;

/// SHA-256 of PINs that a token has refused: a few of them lock it.
static REFUSED: LazyLock<Mutex<Pins>> = LazyLock::new(Mutex::default);

/// A session with the token, logged in.
pub(super) fn open(token: &Token) -> Result<Session, TokenError> {
    let label = &token.label;
    let module = load(&token.module)?;
    let failed = |source| TokenError::Failed { label: label.clone(), source };
    let slot = slot(&module, label).map_err(failed)?.ok_or_else(|| TokenError::Missing { label: label.clone() })?;
    let session = module.open_rw_session(slot).map_err(failed)?;
    log_in(&session, token)?;
    Ok(session)
}

fn load(path: &Path) -> Result<Pkcs11, TokenError> {
    let mut modules = lock(&MODULES);
    if let Some(module) = modules.get(path) {
        return Ok(module.clone());
    }
    let failed = |source| TokenError::Module { module: path.to_owned(), source };
    let module = Pkcs11::new(path).map_err(failed)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(failed(error)),
    }
    modules.insert(path.to_owned(), module.clone());
    Ok(module)
}

fn slot(module: &Pkcs11, label: &str) -> Result<Option<Slot>, Pkcs11Error> {
    for slot in module.get_slots_with_token()? {
        if module.get_token_info(slot).is_ok_and(|token| token.label().trim_end() == label) {
            return Ok(Some(slot));
        }
    }
    Ok(None)
}

fn log_in(session: &Session, token: &Token) -> Result<(), TokenError> {
    let label = &token.label;
    let pin = token.pin.read().map_err(|source| TokenError::NoPin { label: label.clone(), source })?;
    let fingerprint = digest(&SHA256, pin.expose_secret().as_bytes()).as_ref().to_vec();
    let place = (token.module.clone(), label.clone());
    let mut refused = lock(&REFUSED);
    if refused.get(&place) == Some(&fingerprint) {
        return Err(TokenError::PinRefused { label: label.clone() });
    }
    match session.login(UserType::User, Some(&pin)) {
        Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(Pkcs11Error::Pkcs11(RvError::PinIncorrect | RvError::PinLenRange | RvError::PinInvalid, _)) => {
            refused.insert(place, fingerprint);
            Err(TokenError::PinRefused { label: label.clone() })
        }
        Err(source) => Err(TokenError::Failed { label: label.clone(), source }),
    }
}
