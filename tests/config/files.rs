//! Several files, paths and links.

use std::path::Path;

use renewd::config::load;

use super::{BASE, errors, load_files, write};

#[test]
fn included_files_define_names_and_nothing_else() {
    let main = format!("include = [\"conf.d/*.toml\"]\n{BASE}[certificate.\"a.example\"]\n");
    let found = errors(&[
        ("c.toml", &main),
        ("conf.d/1.toml", "[certificate.\"a.example\"]\n[dns.main.exec]\ncommand = [\"x\"]\n[state]\nnode = \"x\"\n"),
        ("conf.d/2.toml", "[ca.le]\nsubject = { common_name = \"x\" }\n[certifcate.x]"),
        ("conf.d/3.text", "not read"),
    ]);
    assert_eq!(
        found,
        [
            "conf.d/1.toml:1:14: certificate.\"a.example\": `a.example` is defined twice: first at c.toml:12; leave one of them out",
            "conf.d/1.toml:2:6: dns.main: `main` is defined twice: first at c.toml:7; leave one of them out",
            "conf.d/1.toml:4:2: state: may stand in the main file only; an included file may hold `account`, `ca`, `dns`, `store`, `notify` and `certificate`",
            "conf.d/2.toml:1:5: ca.le: `le` is the name of an account already: c.toml:2; accounts and CAs are both issuers: give them different names",
            "conf.d/2.toml:3:2: certifcate: unknown section; did you mean `certificate`?",
        ]
    );
}

#[test]
fn files_that_cannot_be_read_are_errors() {
    assert_eq!(
        errors(&[("c.toml", "include = \"none.toml\"")]),
        ["none.toml: there is no such file; `include` names it"]
    );
    assert_eq!(
        errors(&[("c.toml", "include = [\"*/x.toml\"]")]),
        [
            "c.toml:1:12: include: `*` and `?` may stand in the last part of a path only; write for instance \"conf.d/*.toml\""
        ]
    );
    let report = load(Path::new("/nowhere/c.toml")).unwrap_err();
    assert_eq!(report.to_string(), "/nowhere/c.toml: there is no such file");
    assert_eq!(report.files, [Path::new("/nowhere/c.toml")]);
}

#[test]
fn paths_are_relative_to_the_file_that_names_them() {
    let (directory, result) = load_files(&[
        (
            "c.toml",
            "include = [\"sub/*.toml\"]\n[certificate.\"a.example\"]\ndeploy = [{ command = [\"./x\", \"./y\"] }, { command = [\"x\"] }]\n",
        ),
        (
            "sub/a.toml",
            "[ca.a]\nsubject = { common_name = \"a\" }\n[store.a]\npfx = { password = { file = \"p\" } }\ndirectory = { path = \"d\" }",
        ),
    ]);
    let loaded = result.unwrap();
    let at = |path: &str| directory.path().join(path);
    let store = &loaded.config.stores["a"];
    assert_eq!(store.pfx_password, Some(renewd::secret::SecretRef::File(at("sub/p"))));
    let renewd::config::StoreKind::Directory(kind) = &store.kind;
    assert_eq!((kind.path.clone(), kind.mode), (at("sub/d"), 0o600));
    assert_eq!(loaded.config.state.directory, at("renewd-state"));
    assert_eq!(loaded.config.state.socket, at("renewd-state/renewd.sock"));
    let deploy = &loaded.config.certificates["a.example"].deploy;
    assert_eq!(deploy[0].command, [at("./x").to_str().unwrap(), "./y"]);
    assert_eq!(deploy[1].command, ["x"]);
    assert!(
        [at("c.toml"), at("sub/a.toml"), at("sub")].iter().all(|path| loaded.files.contains(path)),
        "{:?}",
        loaded.files
    );
}

#[test]
fn links_are_watched_where_they_lead() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "real/c.toml", "");
    let link = directory.path().join("c.toml");
    std::os::unix::fs::symlink("real/c.toml", &link).unwrap();
    let loaded = load(&link).unwrap();
    assert_eq!(loaded.files, [link, directory.path().canonicalize().unwrap().join("real/c.toml")]);
}

#[test]
fn what_is_no_text_is_placed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c.toml");
    std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), b"[http]\nlisten = \"\xff\"").unwrap();
    let report = load(&path).unwrap_err();
    assert_eq!(report.errors.len(), 1);
    assert!(report.to_string().ends_with("c.toml:2:11: is not UTF-8 text"), "{report}");
}

#[test]
fn other_editors_files_are_read() {
    let found = errors(&[("c.toml", "\u{feff}[http]\r\nlisten = 1\r\n")]);
    assert_eq!(found, ["c.toml:2:10: http.listen: expected a list in brackets, found a number"]);
}

#[test]
fn a_socket_has_a_short_path() {
    let found = errors(&[("c.toml", &format!("[state]\ndirectory = \"/{}\"", "x".repeat(100)))]);
    assert!(found[0].starts_with("c.toml:1:2: state.socket: the socket's path is longer than 107 octets"), "{found:?}");
}
