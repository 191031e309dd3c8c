//! What people are told of our own CRLs: one alert a CA, however many of its lists it concerns.

use std::collections::BTreeMap;

use providers::sinks::EventKind;

use crate::ca::crl::{Amiss, Freshness, Listed};
use crate::clock::Timestamp;
use crate::http::App;
use crate::state::crl::CrlName;
use crate::state::{Alert, NewEvent, Result};

/// Lists of one CA that are not as they should be.
struct Trouble<'a> {
    ca: &'a str,
    lists: usize,
    /// The worst of them, and the first of those.
    worst: (Freshness, &'a CrlName),
    /// What is the matter with it.
    what: String,
}

/// Tells of what is amiss now; that it is well again only where `all_seen`: since the start every list was looked at.
pub(super) async fn tell(app: &App, all_seen: bool) -> Result<()> {
    let now = app.clock.now();
    let (lists, amiss) = (app.crls.lists(), app.crls.amiss());
    let troubles = troubles(lists.all(), &amiss, now);
    for trouble in troubles.values() {
        let url = app.crls.url(trouble.worst.1);
        app.state.alert_stands(&failing(trouble, url.as_deref()), now).await?;
    }
    if !all_seen {
        return Ok(());
    }
    for ca in app.state.alerts_standing(EventKind::CrlTrouble, "").await? {
        if !troubles.contains_key(ca.as_str()) {
            app.state.recovered(&well(&ca), now).await?;
        }
    }
    Ok(())
}

/// What is the matter, by CA.
fn troubles<'a>(
    lists: impl Iterator<Item = &'a Listed>,
    amiss: &BTreeMap<CrlName, Amiss>,
    now: Timestamp,
) -> BTreeMap<&'a str, Trouble<'a>> {
    let mut troubles = BTreeMap::<&str, Trouble<'_>>::new();
    for list in lists {
        let freshness = list.freshness(now);
        let Some(what) = what(list, freshness, amiss.get(&list.name)) else { continue };
        let one = Trouble { ca: &list.name.ca, lists: 1, worst: (freshness, &list.name), what };
        let others = troubles.remove(one.ca);
        let lists = others.as_ref().map_or(1, |others| others.lists + 1);
        let worst = match others {
            Some(others) if others.worst.0 >= freshness => others,
            _ => one,
        };
        troubles.insert(worst.ca, Trouble { lists, ..worst });
    }
    troubles
}

/// What is the matter with a list, if anything is.
fn what(list: &Listed, freshness: Freshness, amiss: Option<&Amiss>) -> Option<String> {
    let until = list.head.as_ref().map(|head| head.next_update);
    match (freshness, until, amiss) {
        (Freshness::Lapsed, Some(until), _) => {
            Some(format!("it lapsed at {until}: verifiers that insist on a CRL turn everybody away"))
        }
        (Freshness::Late, Some(until), _) => Some(format!("it was to be made anew long ago, and lapses at {until}")),
        (Freshness::Late | Freshness::Lapsed, None, _) => Some("it was never made".to_owned()),
        (Freshness::Fresh, _, amiss) => amiss.map(|amiss| amiss.why().to_owned()),
    }
}

fn failing(trouble: &Trouble<'_>, url: Option<&str>) -> Alert {
    let Trouble { ca, lists, worst: (_, name), what } = trouble;
    let title = match lists {
        1 => format!("A CRL of `{ca}` is not as it should be"),
        _ => format!("{lists} CRLs of `{ca}` are not as they should be"),
    };
    let list = match (url, name.shard) {
        (Some(url), _) => format!("`{url}`"),
        (None, Some(shard)) => format!("shard {shard} of generation {}", name.generation),
        (None, None) => format!("that of the whole generation {}", name.generation),
    };
    let text = format!("The CRL {list}: {what}. `renewd ca show {ca}` tells of all.");
    Alert::new(*ca, NewEvent::new(EventKind::CrlTrouble, title, text).by(ca).saying(what))
}

fn well(ca: &str) -> Alert {
    let text = format!("The CRLs of `{ca}` are made in time, and are found where leaves say that they are.");
    let event = NewEvent::new(EventKind::CrlTrouble, format!("The CRLs of `{ca}` are well again"), text);
    Alert::new(ca, event.by(ca))
}
