//! What comes from strangers, mutated: a corpus is replayed, and then changed at random for a while.
//!
//! Runs on a stable compiler, with the bodies that the cargo-fuzz targets in `fuzz/` have, too. Each test prints its seed
//! (give it again as `RENEWD_FUZZ_SEED`) and lasts half a minute, or as many seconds as `RENEWD_FUZZ_SECONDS` says.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

#[path = "fuzz/answers.rs"]
mod answers;
#[path = "fuzz/mutation.rs"]
mod mutation;
#[path = "daemon/ocsp/query.rs"]
mod query;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use mutation::Mutator;
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};

use answers::OwnCa;

/// Inputs are not made longer than this.
const LONGEST: usize = 4_096;

#[test]
fn ocsp_requests_are_read_or_refused() {
    let corpus = corpus("ocsp");
    run(&corpus, &|octets| renewd::ca::ocsp::fuzzing::ocsp_request(octets));
}

#[test]
fn ocsp_requests_get_well_formed_answers() {
    let ca = OwnCa::new();
    let seeds = [corpus("ocsp"), ca.requests()].concat();
    run(&seeds, &|octets| ca.ask(octets));
}

#[test]
fn signing_requests_are_read_or_refused() {
    run(&corpus("csr"), &|octets| renewd::ca::csr::fuzzing::signing_request(octets));
}

/// Replays the seeds as they are, and mutates them until the time is over. An input that makes the body panic is shown.
fn run(seeds: &[Vec<u8>], body: &dyn Fn(&[u8])) {
    let seed = number("RENEWD_FUZZ_SEED").unwrap_or_else(|| rand::rng().random());
    let lasts = Duration::from_secs(number("RENEWD_FUZZ_SECONDS").unwrap_or(30));
    println!("seed {seed}");
    let mut mutator = Mutator::new(SmallRng::seed_from_u64(seed), LONGEST);
    let (since, mut count) = (Instant::now(), 0_u64);
    seeds.iter().for_each(|input| attempt(input, body));
    while since.elapsed() < lasts {
        for _ in 0..64 {
            attempt(&mutator.mutate(seeds), body);
            count += 1;
        }
    }
    println!("{count} inputs");
    assert!(count > 0);
}

fn attempt(input: &[u8], body: &dyn Fn(&[u8])) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(input))) {
        eprintln!("the input: {}", hex::encode(input));
        std::panic::resume_unwind(panic);
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("`{variable}` is no number")))
}

/// The files of a folder below `tests/corpus`.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name);
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 5, "{folder:?} holds {}", paths.len());
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}
