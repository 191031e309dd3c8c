//! Named crash points: places where a test pulls the plug.
//!
//! With `RENEWD_CRASH_AT=name` the process kills itself with SIGKILL when it comes to the point of that name for the
//! first time: no destructor runs, no buffer is written. Without the variable a point costs one load.

use std::sync::OnceLock;

/// The environment variable that names the point.
pub const VARIABLE: &str = "RENEWD_CRASH_AT";

macro_rules! points {
    ($($(#[$list_doc:meta])* $list:ident { $($(#[$doc:meta])* $variant:ident => $name:literal,)* })*) => {
        /// A place between two steps of one certificate's life (the table in `docs/ARCHITECTURE.md`), its signature or revocation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Point { $($($(#[$doc])* $variant,)*)* }

        impl Point {
            $($(#[$list_doc])* pub const $list: &'static [Self] = &[$(Self::$variant,)*];)*

            /// The name that `RENEWD_CRASH_AT` takes.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$variant => $name,)*)* }
            }
        }
    };
}

points! {
    /// Every point of a first issuance, in the order in which it meets them.
    ALL {
        /// 1: an order was decided on, nothing is written.
        Decided => "decided",
        /// 2: the order row and its sealed key are written.
        OrderWritten => "order_written",
        /// 3: the CA has made the order, its URL is not written.
        OrderMade => "order_made",
        /// 3: the order's URL is written.
        OrderUrlWritten => "order_url_written",
        /// 4: the TXT rows are written, nothing is presented.
        TxtWritten => "txt_written",
        /// 4: the TXT values are presented.
        TxtPresented => "txt_presented",
        /// 5: every authoritative server answers, the CA was not told.
        Propagated => "propagated",
        /// 5: the CA was told that the challenges are ready.
        ChallengesReady => "challenges_ready",
        /// 6: finalize was sent.
        Finalized => "finalized",
        /// 7: the chain is downloaded and checked, not written.
        Downloaded => "downloaded",
        /// 7: the chain is in the order row.
        ChainWritten => "chain_written",
        /// 8: version, order and deliveries are written.
        VersionWritten => "version_written",
        /// 9: the store has made the new directory under a temporary name.
        DirectoryWritten => "directory_written",
        /// 9: the new version's directory has its name.
        DirectoryRenamed => "directory_renamed",
        /// 9: the link points at the new version.
        LinkRenamed => "link_renamed",
        /// 9: the store has it, the delivery row does not say so.
        BundlePut => "bundle_put",
        /// 9: the delivery row says stored.
        DeliveryWritten => "delivery_written",
        /// 10: the TXT values are withdrawn, their rows do not say so.
        TxtWithdrawn => "txt_withdrawn",
        /// 10: the deploy command ran, its row does not say so.
        Deployed => "deployed",
    }

    /// Every point of a leaf that a private CA signs, in the order in which it meets them.
    LEAF {
        /// What is to be signed is written, the signature is not made.
        LeafWritten => "leaf_written",
        /// The signature is made, and not written.
        LeafSigned => "leaf_signed",
    }

    /// Every point of a revocation by a private CA, in the order in which it meets them.
    REVOCATION {
        /// The log has it, synced; the database does not.
        RevocationLogged => "revocation_logged",
        /// The database has it; nobody was told.
        RevocationWritten => "revocation_written",
        /// The CRL's number is given out; there is no CRL with it.
        CrlNumberWritten => "crl_number_written",
        /// The CRL is written and synced under a temporary name.
        CrlWritten => "crl_written",
        /// The CRL is in its place; the database does not know.
        CrlRenamed => "crl_renamed",
    }
}

static CHOSEN: OnceLock<Option<String>> = OnceLock::new();

/// Dies here where the environment says so.
pub fn point(point: Point) {
    named(point.name());
}

/// Dies here where the environment names `name`: for points inside a store, which knows names only.
pub fn named(name: &str) {
    let chosen = CHOSEN.get_or_init(|| std::env::var(VARIABLE).ok());
    if chosen.as_deref() == Some(name) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
