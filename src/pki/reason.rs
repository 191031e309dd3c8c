//! Why a certificate is revoked (RFC 5280, section 5.3.1).

/// Why a certificate is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// 0: nobody says why. A CRL's entry leaves it out.
    Unspecified,
    /// 1: the key is known to others.
    KeyCompromise,
    /// 3: the subject is called otherwise now, or belongs elsewhere.
    AffiliationChanged,
    /// 4: another certificate has taken its place.
    Superseded,
    /// 5: the subject no longer does what it was certified for.
    CessationOfOperation,
    /// 6: suspended; the only one that can be taken back.
    CertificateHold,
    /// 9: a right that it vouched for was withdrawn.
    PrivilegeWithdrawn,
    /// 10: the key of an attribute authority is known to others.
    AaCompromise,
}

impl Reason {
    /// Every reason. `removeFromCRL` (8) is none: it says of a delta CRL's entry that there is no reason any more.
    pub const ALL: [Self; 8] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::CertificateHold,
        Self::PrivilegeWithdrawn,
        Self::AaCompromise,
    ];

    /// RFC 5280's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::CertificateHold => "certificateHold",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
            Self::AaCompromise => "aACompromise",
        }
    }

    /// RFC 5280's number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::CertificateHold => 6,
            Self::PrivilegeWithdrawn => 9,
            Self::AaCompromise => 10,
        }
    }

    /// From RFC 5280's number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// From RFC 5280's word, in any case and with or without hyphens.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let plain = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
        Self::ALL.into_iter().find(|reason| plain(reason.as_str()) == plain(word))
    }

    /// A revocation for this reason cannot be taken back.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::CertificateHold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_are_read_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
        assert_eq!(Reason::parse("certificate-hold"), Some(Reason::CertificateHold));
    }

    #[test]
    fn what_is_no_reason_is_not_taken_for_one() {
        // 2 is for CAs, 7 is unused, 8 is removeFromCRL.
        assert!([2, 7, 8, 11, 255].into_iter().all(|code| Reason::from_code(code).is_none()));
        assert_eq!(Reason::parse("removeFromCRL"), None);
        assert_eq!(Reason::parse("cACompromise"), None);
    }
}
