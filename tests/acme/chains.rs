//! The preferred one of several chains.

use renewd::pki::chain::Chain;

use crate::acme_ca::{Endpoint, Script};
use crate::lab::Lab;
use crate::peers::openssl;
use crate::peers::pebble::PebbleOptions;
use crate::world::{World, certificate, finish, order, order_replacing, row};

#[tokio::test]
async fn pebble_s_other_chain_is_taken_where_it_is_preferred() {
    let world = World::start(PebbleOptions { alternate_roots: 2, chain_length: 2, ..crate::quick() });
    let state = world.state().await;
    let acme = world.acme(&state);
    for root in [0, 2] {
        let root_pem = world.pebble.alternate_root_pem(root);
        let name = Chain::from_pem(&root_pem).unwrap().end();
        let mut wanted = certificate(&[&format!("r{root}.example.com")], None);
        wanted.chain = Some(name.clone());
        let id = order(&state, &wanted).await;
        finish(&acme, &state, &wanted).await.unwrap();
        let chain = Chain::from_pem(&row(&state, &wanted, &id).await.chain.unwrap()).unwrap();
        assert_eq!(chain.end(), name);
        openssl::verify(&root_pem, &chain.chain_pem(), &chain.certificate_pem()).unwrap();
        world.withdraw(&state, &wanted).await;
    }
}

#[tokio::test]
async fn a_chain_is_chosen_by_its_end_then_by_what_it_leads_through_else_the_first() {
    let lab = Lab::new(Script::default()).await;
    let acme = lab.acme();
    for (name, end, downloads) in [
        (None, "Fake Root X1", 1),
        (Some("Fake Root X1"), "Fake Root X1", 1),
        (Some("Fake Root X2"), "Fake Root X2", 2),
        (Some("Fake Issuing"), "Fake Root X1", 2),
        (Some("No Such Root"), "Fake Root X1", 2),
    ] {
        let before = lab.count(Endpoint::Certificate);
        let mut wanted = certificate(&["example.com"], None);
        wanted.chain = name.map(str::to_owned);
        let id = order_replacing(&lab.state, &wanted, None).await;
        finish(&acme, &lab.state, &wanted).await.unwrap();
        let chain = Chain::from_pem(&row(&lab.state, &wanted, &id).await.chain.unwrap()).unwrap();
        assert_eq!((chain.end().as_str(), lab.count(Endpoint::Certificate) - before), (end, downloads), "{name:?}");
    }
}

#[tokio::test]
async fn another_chain_that_is_of_no_use_leaves_the_first() {
    let lab = Lab::new(Script::default()).await;
    let acme = lab.acme();
    let mut wanted = certificate(&["example.com"], None);
    wanted.chain = Some("Fake Root X2".to_owned());
    let mut downloads = 0;
    lab.ca.edit_chain(move |chain| {
        downloads += 1;
        if downloads == 2 {
            chain.truncate(1);
        }
    });
    lab.ca.header(Endpoint::Certificate, "link", "<http://169.254.169.254/>;rel=\"alternate\", <://>;rel=alternate");
    let id = order(&lab.state, &wanted).await;
    finish(&acme, &lab.state, &wanted).await.unwrap();
    let chain = Chain::from_pem(&row(&lab.state, &wanted, &id).await.chain.unwrap()).unwrap();
    assert_eq!(chain.end(), "Fake Root X1");
    // A CA whose other chain cannot be had.
    lab.ca.behave();
    let first = lab.count(Endpoint::Certificate);
    lab.ca.header(Endpoint::Certificate, "link", "</nowhere>;rel=\"alternate\"");
    order(&lab.state, &wanted).await;
    finish(&acme, &lab.state, &wanted).await.unwrap();
    assert_eq!(lab.count(Endpoint::Certificate), first + 2);
}
