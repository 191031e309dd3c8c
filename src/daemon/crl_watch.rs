//! Fetches our own CRLs from where leaves say that they are, as verifiers do, and holds them against what was published:
//! a name that leads elsewhere, a proxy that forgot, a cache that keeps for too long are found before verifiers find them.
//! People are told of it, and of lists that are late.

mod news;

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::redirect::Policy;
use tracing::{debug, error, info};

use crate::ca::crl::{Amiss, CrlError, Kind, ListSigner, Lists, inspect};
use crate::http::App;
use crate::state::crl::CrlName;

/// Looked at this often.
const STRIDE: Duration = Duration::from_secs(300);

/// With a clock that a test moves, as often as this.
const TEST_STRIDE: Duration = Duration::from_secs(1);

/// Lists that are fetched in one look; the next look goes on behind them.
const MOST: usize = 25;

/// Nobody waits longer for a list.
const PATIENCE: Duration = Duration::from_secs(20);

/// As much is read beyond the length of what was published: a list may have grown meanwhile.
const GROWTH: u64 = 1 << 20;

/// Looks again and again.
pub(super) async fn run(app: &App) {
    let moved = std::env::var_os(crate::clock::TEST_CLOCK).is_some();
    let mut after = None;
    loop {
        tokio::time::sleep(if moved { TEST_STRIDE } else { STRIDE }).await;
        match look(app, after.take()).await {
            Ok(last) => {
                debug!("published CRLs were looked at");
                after = last;
            }
            Err(failure) => error!("published CRLs were not looked at: {}", providers::error::chain(&failure)),
        }
        // Only whoever has seen all of them can say that all is well.
        if let Err(failure) = news::tell(app, after.is_none()).await {
            error!("what is amiss with CRLs was not told: {}", providers::error::chain(&failure));
        }
    }
}

/// Looks at the lists behind this one: the last one of those, or `None` at the end.
async fn look(app: &App, after: Option<CrlName>) -> Result<Option<CrlName>, CrlError> {
    let signers = app.crls.signers(app.clock.now()).await?;
    let (names, last) = some_behind(&app.crls.lists(), after.as_ref());
    for name in names {
        let signs = |signer: &&ListSigner| signer.ca == name.ca && signer.generation == name.generation;
        let (Some(url), Some(signer)) = (app.crls.url(&name), signers.iter().find(signs)) else { continue };
        let amiss = check(app, &name, &url, signer).await.err();
        tell(app, &name, &url, amiss.as_ref());
    }
    Ok(last)
}

/// The next lists that leaves name, and where to go on.
fn some_behind(lists: &Lists, after: Option<&CrlName>) -> (Vec<CrlName>, Option<CrlName>) {
    let named = lists.all().map(|list| &list.name).filter(|name| name.shard.is_some());
    let names: Vec<CrlName> = named.filter(|name| Some(*name) > after).take(MOST).cloned().collect();
    let last = names.last().filter(|_| names.len() == MOST).cloned();
    (names, last)
}

async fn check(app: &App, name: &CrlName, url: &str, signer: &ListSigner) -> Result<(), Amiss> {
    let length = |head: Option<crate::ca::crl::Head>| head.map_or(0, |head| head.length);
    let most = length(app.crls.folder().head(name, Kind::Full)) + GROWTH;
    let fetched = fetch(url, most).await.map_err(|why| Amiss::Unreachable { why })?;
    // What is in its place after the fetching: never older than what was fetched.
    let Some(published) = app.crls.folder().head(name, Kind::Full) else { return Ok(()) };
    inspect(&fetched, &published, signer, app.clock.now())
}

/// What is there; or why nothing is, in words. Verifiers need not follow redirects, so neither does this.
async fn fetch(url: &str, most: u64) -> Result<Vec<u8>, String> {
    let words = |error: reqwest::Error| providers::error::chain(&error.without_url());
    let client = reqwest::Client::builder().redirect(Policy::none()).timeout(PATIENCE).build().map_err(words)?;
    let answer = client.get(url).header(http::header::CACHE_CONTROL, "no-cache").send().await.map_err(words)?;
    if answer.status() != http::StatusCode::OK {
        return Err(format!("the answer is {}", answer.status()));
    }
    let (mut fetched, mut pieces) = (Vec::new(), answer.bytes_stream());
    while let Some(piece) = pieces.next().await {
        fetched.extend_from_slice(&piece.map_err(words)?);
        if fetched.len() as u64 > most {
            return Err("what is there is far longer than the CRL".to_owned());
        }
    }
    Ok(fetched)
}

/// Once when it begins, and once when it ends.
fn tell(app: &App, name: &CrlName, url: &str, amiss: Option<&Amiss>) {
    if !app.crls.seen(name, amiss) {
        return;
    }
    match amiss.map(Amiss::why) {
        Some(why) => error!(ca = name.ca, url, "the CRL is not what is found at its published URL: {why}"),
        None => info!(ca = name.ca, url, "the CRL is found at its published URL again"),
    }
}
