//! `exec` against a script that drives BIND through `nsupdate`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use providers::dns::exec::{Exec, ExecSettings};

use super::dns::{Host, Values, holds};
use crate::peers::bind::Bind;
use crate::peers::programs;

#[tokio::test]
async fn the_contract_holds() {
    let bind = Bind::start(&["zone.test"]);
    let provider = provider(&bind, bind.tsig_secret());
    let stranger = self::provider(&bind, bind.tsig_sha512_secret());
    let host = Host {
        provider: &provider,
        stranger: Some(&stranger),
        zone: &bind,
        origin: "zone.test",
        values: Values::Text,
        // An exit code has no room for it.
        knows_its_zones: false,
    };
    holds(&host).await;
}

fn provider(bind: &Bind, secret: &str) -> Exec {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/exec.py");
    let command = [programs::find("python3"), script].map(|path| path.to_string_lossy().into_owned()).to_vec();
    let variables = [
        ("NSUPDATE", programs::find("nsupdate").to_string_lossy().into_owned()),
        ("SERVER", bind.address().ip().to_string()),
        ("PORT", bind.address().port().to_string()),
        ("KEY", format!("hmac-sha256:{} {secret}", bind.tsig_key())),
    ];
    let environment: BTreeMap<String, String> = variables.map(|(name, value)| (name.to_owned(), value)).into();
    Exec::new(ExecSettings { command, timeout: Duration::from_secs(30), environment }).expect("the settings are good")
}
