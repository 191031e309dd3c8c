//! The directory store on a real disk.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use providers::Error;
use providers::stores::directory::{Directory, DirectorySettings};
use providers::stores::{BundleFile, BundleName, CertificateStore};
use zeroize::Zeroizing;

#[path = "directory/bundles.rs"]
mod bundles;
use bundles::{assert_clean, bundle, contents, current, expected, mode, name, names, set_mode, store, versions};

#[tokio::test]
async fn a_bundle_comes_back_as_it_was_put() {
    let disk = tempfile::tempdir().expect("a directory");
    let path = disk.path().join("made/on/the/way");
    let store = store(&path);
    assert_eq!(store.get(&name()).await, Ok(None));
    assert_eq!(store.list().await, Ok(vec![]));
    store.put(&name(), &bundle(1, 10)).await.expect("stored");
    assert_eq!(store.get(&name()).await, Ok(Some(bundle(1, 10))));
    assert_eq!(store.list().await, Ok(vec![name()]));
    assert_eq!(fs::read_link(path.join("example.com")).expect("a link"), Path::new(".versions/example.com/000001"));
}

#[tokio::test]
async fn a_shorter_file_replaces_a_longer_one_byte_for_byte() {
    let disk = tempfile::tempdir().expect("a directory");
    let store = store(disk.path());
    store.put(&name(), &bundle(1, 4000)).await.expect("stored");
    store.put(&name(), &bundle(2, 7)).await.expect("stored");
    assert_clean(disk.path(), &bundle(2, 7));
}

#[tokio::test]
async fn files_beyond_the_known_ones_come_back_after_them() {
    let disk = tempfile::tempdir().expect("a directory");
    let store = store(disk.path());
    let mut bundle = bundle(1, 10);
    let file = |name: &str, private| BundleFile { name: name.into(), contents: Zeroizing::new(vec![0xff; 9]), private };
    bundle.files.extend([file("combined.pem", true), file("cert.pfx", true), file("extra.der", false)]);
    store.put(&name(), &bundle).await.expect("stored");
    assert_eq!(store.get(&name()).await, Ok(Some(bundle)));
}

#[tokio::test]
async fn modes_do_not_depend_on_the_umask() {
    for (umask, settings) in [(0o000, (0o755, 0o644, 0o600)), (0o077, (0o751, 0o664, 0o640))] {
        let disk = tempfile::tempdir().expect("a directory");
        let path = disk.path().join("store");
        let (directory_mode, certificate_mode, key_mode) = settings;
        let settings = DirectorySettings { directory_mode, certificate_mode, key_mode, ..DirectorySettings::at(&path) };
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
        let result = Directory::new(settings).put(&name(), &bundle(1, 10)).await;
        rustix::process::umask(before);
        result.expect("stored");
        for directory in [path.clone(), path.join(".versions"), path.join(".versions/example.com"), current(&path)] {
            assert_eq!(mode(&directory), directory_mode, "{}", directory.display());
        }
        assert_eq!(mode(&current(&path).join("fullchain.pem")), certificate_mode);
        assert_eq!(mode(&current(&path).join("privkey.pem")), key_mode);
    }
}

#[tokio::test]
async fn three_old_versions_stay() {
    let disk = tempfile::tempdir().expect("a directory");
    let store = store(disk.path());
    for version in 1..=6 {
        store.put(&name(), &bundle(version, 10)).await.expect("stored");
    }
    assert_eq!(versions(disk.path()), ["000003", "000004", "000005", "000006"]);
    for version in 3..=6 {
        let kept = disk.path().join(format!(".versions/example.com/{version:06}"));
        assert_eq!(contents(&kept), expected(&bundle(version, 10)));
    }
}

#[tokio::test]
async fn going_back_to_an_old_version_keeps_the_one_in_use() {
    let disk = tempfile::tempdir().expect("a directory");
    let store = store(disk.path());
    for version in [999_998, 999_999, 1_000_000, 1_000_001, 999_998] {
        store.put(&name(), &bundle(version, 10)).await.expect("stored");
    }
    assert_eq!(store.get(&name()).await, Ok(Some(bundle(999_998, 10))));
    assert_eq!(versions(disk.path()), ["1000000", "1000001", "999998", "999999"]);
    store.put(&name(), &bundle(1_000_002, 10)).await.expect("stored");
    assert_eq!(versions(disk.path()), ["1000000", "1000001", "1000002", "999999"]);
}

#[tokio::test]
async fn putting_what_is_there_changes_nothing() {
    let disk = tempfile::tempdir().expect("a directory");
    let store = store(disk.path());
    store.put(&name(), &bundle(5, 10)).await.expect("stored");
    let stamp = store.stamp(&name()).await.expect("a stamp");
    assert!(stamp.is_some());
    store.put(&name(), &bundle(5, 10)).await.expect("stored");
    assert_eq!(store.stamp(&name()).await, Ok(stamp));
    assert_eq!(versions(disk.path()), ["000005"]);
}

/// Does something to the current directory that nobody but renewd should.
type Damage = fn(&Path);

const DAMAGES: [(&str, Damage); 7] = [
    ("a changed byte", |at| {
        let mut file = fs::OpenOptions::new().write(true).open(at.join("privkey.pem")).expect("a file");
        file.write_all(b"X").expect("written");
    }),
    ("a missing file", |at| fs::remove_file(at.join("chain.pem")).expect("removed")),
    ("an additional file", |at| drop(fs::File::create(at.join("note.txt")).expect("made"))),
    ("a mode", |at| set_mode(&at.join("privkey.pem"), 0o644)),
    ("the directory's mode", |at| set_mode(at, 0o700)),
    ("a directory in place of a file", |at| {
        fs::remove_file(at.join("cert.pem")).expect("removed");
        fs::create_dir_all(at.join("cert.pem/inner")).expect("made");
    }),
    ("the whole directory gone", |at| fs::remove_dir_all(at).expect("removed")),
];

#[tokio::test]
async fn what_is_damaged_by_hand_is_seen_and_repaired_by_the_same_version() {
    for (what, damage) in DAMAGES {
        let disk = tempfile::tempdir().expect("a directory");
        let store = store(disk.path());
        store.put(&name(), &bundle(4, 10)).await.expect("stored");
        store.put(&name(), &bundle(5, 10)).await.expect("stored");
        let stamp = store.stamp(&name()).await.expect("a stamp");
        damage(&current(disk.path()));
        assert_ne!(store.stamp(&name()).await, Ok(stamp), "{what} is seen");
        assert!(store.get(&name()).await.expect("readable").is_some_and(|left| left.version == 5), "{what}");
        store.put(&name(), &bundle(5, 10)).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_clean(disk.path(), &bundle(5, 10));
        assert_eq!(mode(&current(disk.path()).join("privkey.pem")), 0o600, "{what}");
        assert_eq!(mode(&current(disk.path())), 0o755, "{what}");
        assert_eq!(store.get(&name()).await, Ok(Some(bundle(5, 10))), "{what}");
        assert_eq!(versions(disk.path()).len(), 2, "{what}: {:?}", versions(disk.path()));
    }
}

#[tokio::test]
async fn a_repair_that_is_damaged_is_repaired_again() {
    let disk = tempfile::tempdir().expect("a directory");
    let store = store(disk.path());
    for _ in 0..3 {
        store.put(&name(), &bundle(5, 10)).await.expect("stored");
        fs::remove_file(current(disk.path()).join("cert.pem")).expect("removed");
    }
    assert_eq!(versions(disk.path()), ["000005.2"]);
    store.put(&name(), &bundle(6, 10)).await.expect("stored");
    assert_eq!(versions(disk.path()), ["000005.2", "000006"]);
}

#[tokio::test]
async fn a_damaged_bundle_gives_what_is_left() {
    let disk = tempfile::tempdir().expect("a directory");
    let store = store(disk.path());
    store.put(&name(), &bundle(5, 10)).await.expect("stored");
    fs::remove_file(current(disk.path()).join("chain.pem")).expect("removed");
    symlink("/etc/passwd", current(disk.path()).join("chain.pem")).expect("a link");
    let left = store.get(&name()).await.expect("readable").expect("there");
    assert_eq!((left.version, left.files.len(), left.file("chain.pem")), (5, 4, None));
}

#[tokio::test]
async fn what_stands_at_the_name_and_is_not_ours_is_left_alone() {
    let make: [(&str, Damage); 3] = [
        ("a directory", |at| fs::create_dir(at).expect("made")),
        ("a file", |at| drop(fs::File::create(at).expect("made"))),
        ("a symbolic link to `/etc`", |at| symlink("/etc", at).expect("made")),
    ];
    for (what, make) in make {
        let disk = tempfile::tempdir().expect("a directory");
        let at = disk.path().join("example.com");
        make(&at);
        let before = fs::symlink_metadata(&at).expect("there").ino();
        let store = store(disk.path());
        for result in [store.put(&name(), &bundle(1, 10)).await, store.delete(&name()).await] {
            let error = result.expect_err(what);
            assert!(matches!(error, Error::Rejected { .. }), "{error}");
            for part in [what, "move it away", at.to_str().expect("UTF-8")] {
                assert!(error.to_string().contains(part), "`{part}` in: {error}");
            }
        }
        assert!(store.get(&name()).await.is_err());
        assert_eq!((store.stamp(&name()).await, store.list().await), (Ok(None), Ok(vec![])));
        assert_eq!(fs::symlink_metadata(&at).expect("still there").ino(), before);
        assert_eq!(names(disk.path()), ["example.com"], "nothing else was made");
    }
}

#[tokio::test]
async fn the_store_may_be_reached_through_a_link() {
    let disk = tempfile::tempdir().expect("a directory");
    fs::create_dir(disk.path().join("real")).expect("made");
    symlink("real", disk.path().join("link")).expect("made");
    let store = store(&disk.path().join("link"));
    store.put(&name(), &bundle(1, 10)).await.expect("stored");
    assert_clean(&disk.path().join("real"), &bundle(1, 10));
}

#[tokio::test]
async fn deleting_takes_the_link_and_all_versions() {
    let disk = tempfile::tempdir().expect("a directory");
    let store = store(disk.path());
    let other = BundleName::parse("*.example.com").expect("a good name");
    store.delete(&name()).await.expect("nothing to do");
    for version in 1..=3 {
        store.put(&name(), &bundle(version, 10)).await.expect("stored");
    }
    store.put(&other, &bundle(1, 10)).await.expect("stored");
    assert_eq!(store.list().await, Ok(vec![other.clone(), name()]));
    store.delete(&name()).await.expect("deleted");
    store.delete(&name()).await.expect("nothing to do");
    assert_eq!(names(disk.path()), ["*.example.com", ".versions"]);
    assert_eq!(names(&disk.path().join(".versions")), ["*.example.com"]);
    assert_eq!(store.get(&other).await, Ok(Some(bundle(1, 10))));
}

#[tokio::test]
async fn a_file_in_the_way_of_the_store_is_rejected() {
    let disk = tempfile::NamedTempFile::new().expect("a file");
    let error = store(disk.path()).put(&name(), &bundle(1, 10)).await.expect_err("a file is no directory");
    assert!(matches!(&error, Error::Rejected { detail } if detail.contains("a directory is wanted")), "{error}");
}

#[tokio::test]
async fn unknown_owners_and_groups_are_rejected_before_anything_is_made() {
    let disk = tempfile::tempdir().expect("a directory");
    let path = disk.path().join("store");
    let settings = DirectorySettings { group: Some("no-such-group".into()), ..DirectorySettings::at(&path) };
    let error = Directory::new(settings).put(&name(), &bundle(1, 10)).await.expect_err("nobody has this group");
    assert!(error.to_string().contains("no group `no-such-group` on this machine"), "{error}");
    assert!(!path.exists());
}

/// Root may give files away; others only to a group that they are in, so that they use their own here.
#[tokio::test]
async fn keys_are_given_to_the_group_and_certificates_are_not() {
    let disk = tempfile::tempdir().expect("a directory");
    let own = fs::metadata(disk.path()).expect("there");
    let (owner, group) = if own.uid() == 0 { (4710, 4711) } else { (own.uid(), own.gid()) };
    let settings = DirectorySettings {
        owner: Some(owner.to_string()),
        group: Some(group.to_string()),
        key_mode: 0o640,
        ..DirectorySettings::at(disk.path())
    };
    Directory::new(settings).put(&name(), &bundle(1, 10)).await.expect("stored");
    let about = |file: &str| fs::metadata(current(disk.path()).join(file)).expect("there");
    assert_eq!((about("privkey.pem").uid(), about("privkey.pem").gid()), (owner, group));
    assert_eq!((about("cert.pem").uid(), about("cert.pem").gid()), (own.uid(), own.gid()));
    assert_eq!(mode(&current(disk.path()).join("privkey.pem")), 0o640);
    let back = store(disk.path());
    back.put(&name(), &bundle(1, 10)).await.expect("stored under other settings");
    assert_eq!(mode(&current(disk.path()).join("privkey.pem")), 0o600, "new settings reach what is stored");
}

#[tokio::test]
async fn a_reader_that_resolves_the_link_once_sees_one_version() {
    let disk = tempfile::tempdir().expect("a directory");
    let store = store(disk.path());
    store.put(&name(), &bundle(1, 10)).await.expect("stored");
    let done = AtomicBool::new(false);
    let reads = std::thread::scope(|scope| {
        let readers = [(); 2].map(|()| scope.spawn(|| read_until(&done, disk.path())));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let puts = std::thread::spawn(move || {
            for version in 2..=200 {
                runtime.block_on(store.put(&name(), &bundle(version, 10))).expect("stored");
                let own = runtime.block_on(store.get(&name())).expect("readable");
                assert_eq!(own, Some(bundle(version, 10)));
            }
        });
        let result = puts.join();
        done.store(true, Ordering::Relaxed);
        result.expect("all puts succeed");
        readers.map(|reader| reader.join().expect("no mixed pair")).iter().sum::<u64>()
    });
    assert!(reads > 200, "{reads} reads");
}

/// Reads pairs until `done`; counts those that were whole. A reader so slow that its version was removed tries again.
fn read_until(done: &AtomicBool, path: &Path) -> u64 {
    let mut whole = 0;
    while !done.load(Ordering::Relaxed) {
        let at = current(path);
        match (fs::read(at.join("privkey.pem")), fs::read(at.join("cert.pem"))) {
            (Ok(key), Ok(certificate)) => {
                assert_eq!((key.len(), certificate.len()), (40, 10));
                assert_eq!(key[..10], certificate[..], "key and certificate belong together");
                whole += 1;
            }
            (key, certificate) => {
                for error in [key.err(), certificate.err()].into_iter().flatten() {
                    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
                }
            }
        }
    }
    whole
}

/// No old version stays here: what `get` reads is removed under its hands, and it must notice.
#[tokio::test]
async fn get_never_takes_a_removed_version_for_a_damaged_one() {
    let disk = tempfile::tempdir().expect("a directory");
    let store = Directory::new(DirectorySettings { keep: 0, ..DirectorySettings::at(disk.path()) });
    store.put(&name(), &bundle(1, 10)).await.expect("stored");
    tokio::join!(
        async {
            for version in 2..=200 {
                store.put(&name(), &bundle(version, 10)).await.expect("stored");
            }
        },
        async {
            let mut seen = 1;
            while seen < 200 {
                let found = store.get(&name()).await.expect("readable").expect("there");
                assert_eq!(found, bundle(found.version, 10), "whole");
                assert!(found.version >= seen, "never back from {seen} to {}", found.version);
                seen = found.version;
            }
        }
    );
}

#[tokio::test]
async fn two_writers_of_one_name_do_not_meet() {
    let disk = tempfile::tempdir().expect("a directory");
    let writer = |first: u64| {
        let store = store(disk.path());
        async move {
            for version in (first..40).step_by(2) {
                store.put(&name(), &bundle(version, 10)).await.expect("stored");
                if version % 10 == 1 {
                    store.delete(&name()).await.expect("deleted");
                }
            }
        }
    };
    tokio::join!(writer(1), writer(2));
    store(disk.path()).put(&name(), &bundle(50, 10)).await.expect("stored");
    assert_clean(disk.path(), &bundle(50, 10));
}
