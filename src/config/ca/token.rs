//! `pkcs11`: the token in which a CA's keys are made and stay.

use std::path::PathBuf;

use crate::config::read::Section;
use crate::secret::SecretRef;

/// A PKCS#11 token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The library that speaks to it.
    pub module: PathBuf,
    /// By which it is found.
    pub label: String,
    /// The user's PIN.
    pub pin: SecretRef,
}

/// The longest label (PKCS#11, CK_TOKEN_INFO), in octets.
const LONGEST_LABEL: usize = 32;

impl Token {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let module = section.required("module", "write the path of the token's library");
        let module = module.and_then(|value| value.readable_path());
        let label = section.required("token", "write the token's label");
        let label = label.and_then(|value| {
            let text = value.text()?;
            if text.len() > LONGEST_LABEL {
                value.refuse("is longer than a token's label can be: 32 octets", "");
            }
            Some(text.to_owned())
        });
        let pin = section.required("pin", "write where the PIN is: `pin = { credential = \"token-pin\" }`");
        let pin = pin.and_then(|value| value.secret());
        section.finish();
        Some(Self { module: module?, label: label?, pin: pin? })
    }
}
