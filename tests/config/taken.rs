//! What a good config comes to.

use super::{BASE, errors, taken};

#[test]
fn zones_choose_among_unnamed_instances() {
    let instances = "[dns.one]\nzones = [\"example.com\"]\nexec = { command = [\"a\"] }\n[dns.two]\nzones = [\"sub.example.com\"]\nexec = { command = [\"a\"] }\n";
    let base = BASE.replace("[dns.main.cloudflare]\napi_token = { file = \"t\" }\n", instances);
    let config = taken(&format!("{base}[certificate.a]\nnames = [\"*.x.sub.example.com\", \"example.com\"]")).config;
    assert_eq!(config.certificates["a"].dns, ["two", "one"]);
    let errors = errors(&[("c.toml", &format!("{base}[certificate.a]\nnames = [\"notexample.com\"]"))]);
    assert!(errors[0].contains("certificate.a.dns: there are several dns instances, and none is named"), "{errors:?}");
}

#[test]
fn what_is_normalised_is_said() {
    let loaded = taken(&format!(
        "{BASE}[certificate.\"Bücher.Example\"]\nnames = [\"A.example.\", \"a.example\"]\ndns = [\"main\", \"main\"]"
    ));
    let notes: Vec<String> =
        loaded.notes.iter().map(|note| format!("{}: {}: {}", note.line, note.key, note.message)).collect();
    assert_eq!(
        notes,
        [
            "11: certificate.\"Bücher.Example\": is read as `xn--bcher-kva.example`",
            "12: certificate.\"Bücher.Example\".names: is read as `a.example`",
            "12: certificate.\"Bücher.Example\".names: `a.example` stands here twice",
            "13: certificate.\"Bücher.Example\".dns: `main` stands here twice",
        ]
    );
}

#[test]
fn an_account_that_must_be_bound_is_noted() {
    let loaded = taken("[account.z]\ndirectory = \"zerossl\"\nagree_to_terms = true");
    assert!(loaded.notes[0].message.contains("`zerossl` opens accounts for its customers only"), "{:?}", loaded.notes);
    assert_eq!(loaded.config.accounts["z"].directory_url, "https://acme.zerossl.com/v2/DV90");
}

#[test]
fn server_names_are_derived() {
    let text = format!(
        "{BASE}[certificate.a]\nnames = [\"*.a.example\", \"b.example\"]\nverify = [{{ address = \"x.a.example:1\" }}, {{ address = \"[::1]:1\" }}]\n[certificate.b]\nnames = [\"10.0.0.1\"]\nissuers = \"internal\"\nverify = [{{ address = \"10.0.0.1:1\" }}]"
    );
    let config = taken(&text).config;
    let names = |name: &str| {
        config.certificates[name].verify.iter().map(|verify| verify.server_name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names("a"), [Some("x.a.example".into()), Some("b.example".into())]);
    assert_eq!(names("b"), [None]);
    assert!(config.certificates["b"].dns.is_empty());
}

#[test]
fn defaults_are_merged_key_by_key() {
    let text = format!(
        "{BASE}renew = {{ window = \"daily 01:00-02:00\" }}\nprofile = \"p\"\n[certificate.a]\nrenew = {{ before = \"2d\" }}"
    );
    let certificate = &taken(&text).config.certificates["a"];
    assert_eq!(certificate.renew.before, Some(std::time::Duration::from_secs(172_800)));
    assert_eq!(certificate.renew.windows.len(), 1);
    assert_eq!(certificate.profile, Some(renewd::config::Profile::Preferred("p".into())));
    assert_eq!(certificate.attempts_left, 5);
}
