//! The HTTP surface, path by path, on a state of its own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "http/app.rs"]
mod app;

use http::{Method, StatusCode, header};
use renewd::clock::Timestamp;
use renewd::state::{JobKind, JobState};
use serde_json::{Value, json};

use app::{NAME, TestApp};

#[tokio::test]
async fn health_tells_numbers_and_no_name() {
    let app = TestApp::new().await;
    app.issue().await;
    let answer = app.get("/health").await;
    assert_eq!(answer.status, 200);
    let health = answer.json();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["checks"]["certificates"]["managed"], 2);
    assert!(!answer.text().contains("example.com"));
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
}

#[tokio::test]
async fn a_refused_config_degrades_and_its_errors_stay_inside() {
    let app = TestApp::new().await;
    app.app.status.config_refused(app::report("a secret place"), app.now());
    let answer = app.get("/health").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["status"], "degraded");
    assert_eq!(answer.json()["checks"]["config"]["errors"], 1);
    assert!(!answer.text().contains("a secret place"));
    assert!(app.local(Method::GET, "/status", Value::Null).await.text().contains("a secret place"));
    app.app.status.config_taken(app.now());
    assert_eq!(app.get("/health").await.json()["status"], "ok");
}

#[tokio::test]
async fn what_fails_is_503() {
    let app = TestApp::new().await;
    app.app.status.trust_clock(false);
    assert_eq!(app.get("/health").await.status, 503);
    app.app.status.trust_clock(true);
    app.app.status.beat(Timestamp::EPOCH);
    assert_eq!(app.get("/health").await.status, 503);
    assert_eq!(app.get("/health/live").await.status, 503);
    app.app.status.beat(app.now());
    assert_eq!(app.get("/health/live").await.status, 200);
    assert_eq!(app.get("/health/ready").await.status, 200);
    app.app.state.close().await;
    assert_eq!(app.get("/health").await.json()["checks"]["database"]["status"], "failing");
    assert_eq!(app.get("/health/ready").await.status, 503);
    assert_eq!(app.get(&format!("/{NAME}/tls")).await.status, 503);
}

#[tokio::test]
async fn an_expired_certificate_fails_health() {
    let app = TestApp::new().await;
    app.issue_until(app.now().minus(std::time::Duration::from_secs(1))).await;
    let answer = app.get("/health").await;
    assert_eq!(
        (answer.status, &answer.json()["checks"]["certificates"]["expired"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!(1))
    );
}

#[tokio::test]
async fn a_certificate_downloads_in_three_forms() {
    let app = TestApp::new().await;
    assert_eq!(app.get(&format!("/{NAME}/tls")).await.status, 404);
    let chain = app.issue().await;
    for (query, content_type, suffix) in [
        ("", "application/pem-certificate-chain", "pem"),
        ("?format=pem", "application/pem-certificate-chain", "pem"),
        ("?format=der", "application/pkix-cert", "der"),
        ("?format=p7b", "application/x-pkcs7-certificates", "p7b"),
    ] {
        let answer = app.get(&format!("/{NAME}/tls{query}")).await;
        assert_eq!(answer.status, 200, "{query}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], content_type);
        let disposition = format!("attachment; filename=\"{NAME}.{suffix}\"");
        assert_eq!(answer.headers[header::CONTENT_DISPOSITION], disposition.as_str());
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-cache");
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
    assert_eq!(app.get(&format!("/{NAME}/tls")).await.text(), chain);
    assert_eq!(app.get(&format!("/{NAME}/tls?format=zip")).await.status, 400);
}

#[tokio::test]
async fn names_are_normalised_and_decoded() {
    let app = TestApp::new().await;
    app.issue().await;
    app.issue_named("*.example.com").await;
    for path in ["/EXAMPLE.com/tls", "/example%2Ecom/tls", "/%2A.example.com/tls", "/*.example.com/tls"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    for path in ["/..%2fexample.com/tls", "/health/tls", "/api/tls", "/nowhere.example/tls", "/example.com/tls/"] {
        let answer = app.get(path).await;
        assert!(answer.status == 404 || answer.status == 401, "{path}: {}", answer.status);
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json", "{path}");
    }
}

#[tokio::test]
async fn a_known_etag_is_not_sent_again() {
    let app = TestApp::new().await;
    app.issue().await;
    let path = format!("/{NAME}/tls");
    let first = app.get(&path).await;
    let (tag, modified) = (first.header(header::ETAG), first.header(header::LAST_MODIFIED));
    let again = app.get_with(&path, &[(header::IF_NONE_MATCH, &tag)]).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(again.header(header::ETAG), tag);
    assert_eq!(app.get_with(&path, &[(header::IF_MODIFIED_SINCE, &modified)]).await.status, 304);
    let der = app.get(&format!("{path}?format=der")).await;
    assert_ne!(der.header(header::ETAG), tag);
    app.issue().await;
    assert_eq!(app.get_with(&path, &[(header::IF_NONE_MATCH, &tag)]).await.status, 200);
}

#[tokio::test]
async fn retired_and_protected_certificates_are_not_given() {
    let app = TestApp::new().await;
    app.issue().await;
    let path = format!("/{NAME}/tls");
    app.configure(|config| config.http.protect_downloads = true);
    let refused = app.get(&path).await;
    assert_eq!((refused.status, refused.header(header::WWW_AUTHENTICATE)), (StatusCode::UNAUTHORIZED, "Bearer".into()));
    app.configure(|config| config.http.protect_downloads = false);
    assert_eq!(app.get(&path).await.status, 200);
    app.retire(NAME).await;
    assert_eq!(app.get(&path).await.status, 404);
}

#[tokio::test]
async fn a_ca_gives_its_chain_and_its_generations() {
    let app = TestApp::new().await;
    let authority = app.authority().await;
    assert_eq!(app.get("/ca/internal.pem").await.text(), authority.chain_pem().unwrap());
    assert_eq!(app.get("/ca/internal.crt").await.body, authority.newest().unwrap().certificate);
    assert_eq!(app.get("/ca/internal/1.crt").await.body, authority.newest().unwrap().certificate);
    for path in ["/ca/internal/0.crt", "/ca/internal/2.crt", "/ca/internal/1.pem", "/ca/internal", "/ca/other.pem"] {
        assert_eq!(app.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn metrics_are_for_this_machine() {
    let app = TestApp::new().await;
    app.issue().await;
    let answer = app.get_from("127.0.0.1:9", "/metrics", &[]).await;
    assert_eq!(answer.status, 200);
    let text = answer.text();
    assert!(text.contains("renewd_certificate_not_after_seconds{certificate=\"example.com\"} "), "{text}");
    assert!(text.contains("renewd_orders_total{issuer=\"internal\",result=\"done\"} 1"), "{text}");
    assert!(text.contains("renewd_config_last_reload_success 1"), "{text}");
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(app.get_from("192.0.2.1:9", "/metrics", &[]).await.status, 401);
    let forwarded = (http::HeaderName::from_static("x-forwarded-for"), "192.0.2.1");
    assert_eq!(app.get_from("127.0.0.1:9", "/metrics", &[forwarded]).await.status, 401);
}

#[tokio::test]
async fn every_error_is_a_problem_document() {
    let app = TestApp::new().await;
    let long = format!("/{}", "a".repeat(9000));
    for (method, path, status) in [
        (Method::GET, "/", 404),
        (Method::GET, "/%ff/tls", 400),
        (Method::GET, "/api", 401),
        (Method::POST, "/api/certificates", 401),
        (Method::POST, "/health", 405),
        (Method::DELETE, "/example.com/tls", 405),
        (Method::GET, long.as_str(), 414),
    ] {
        let answer = app.ask(method.clone(), path).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header(header::CONTENT_TYPE), "application/problem+json", "{method} {path}");
        assert_eq!(answer.json()["status"], status, "{method} {path}");
    }
    assert_eq!(app.ask(Method::POST, "/health").await.header(header::ALLOW), "GET,HEAD");
    let head = app.ask(Method::HEAD, "/health").await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
}

#[tokio::test]
async fn no_public_answer_holds_a_private_key() {
    let app = TestApp::new().await;
    app.issue().await;
    app.authority().await;
    let canaries = app.key_canaries().await;
    for path in [
        "/health",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/example.com/tls",
        "/example.com/tls?format=der",
        "/example.com/tls?format=p7b",
        "/example.com/tls?part=privkey",
        "/example.com/tls?part=combined",
        "/ca/internal.pem",
        "/ca/internal.crt",
        "/ca/internal/1.crt",
    ] {
        let answer = app.get_from("127.0.0.1:9", path, &[]).await;
        for canary in &canaries {
            let found = answer.body.windows(canary.len()).any(|window| window == canary.as_slice());
            assert!(!found, "{path} holds a private key");
        }
        assert!(!answer.text().contains("PRIVATE KEY"), "{path}");
    }
}

#[tokio::test]
async fn jobs_are_written_down_on_the_local_socket() {
    let app = TestApp::new().await;
    app.issue().await;
    let submit = async |path: &str, body: Value| {
        let answer = app.local(Method::POST, path, body).await;
        assert_eq!(answer.status, 202, "{path}: {}", answer.text());
        app.app.state.job(answer.json()["job"].as_str().unwrap()).await.unwrap().unwrap()
    };
    let job = submit("/certificates/Example.com/renew", json!({ "force": true })).await;
    assert_eq!((job.kind, job.subject.as_str(), job.state), (JobKind::Renew, NAME, JobState::Queued));
    assert_eq!(serde_json::from_str::<Value>(&job.arguments).unwrap(), json!({ "force": true }));
    let job = submit("/certificates/example.com/revoke", json!({ "reason": "key-compromise" })).await;
    let arguments: Value = serde_json::from_str(&job.arguments).unwrap();
    assert_eq!(arguments, json!({ "reason": "keyCompromise", "serial": null, "replace": true }));
    assert_eq!(submit("/certificates/example.com/deploy", Value::Null).await.kind, JobKind::Deploy);
    assert_eq!(submit("/accounts/acme/rotate-key", Value::Null).await.kind, JobKind::RotateKey);
    let view = app.local(Method::GET, &format!("/jobs/{}", job.id), Value::Null).await.json();
    assert_eq!((&view["state"], &view["certificate_state"]), (&json!("queued"), &json!("ordering")));
}

#[tokio::test]
async fn what_cannot_be_done_is_not_written_down() {
    let app = TestApp::new().await;
    for (path, body, status) in [
        ("/certificates/nowhere.example/renew", json!({}), 404),
        ("/certificates/example.com/renew", json!({ "forse": true }), 400),
        ("/certificates/example.com/revoke", json!({ "reason": "because" }), 422),
        ("/certificates/example.com/revoke", json!({ "reason": "superseded" }), 422),
        ("/certificates/example.com/revoke", json!({ "reason": "superseded", "serial": "0x" }), 422),
        ("/certificates/example.com/revoke", json!({ "reason": "superseded", "serial": "77" }), 422),
        ("/accounts/other/rotate-key", json!({}), 404),
    ] {
        let answer = app.local(Method::POST, path, body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.header(header::CONTENT_TYPE), "application/problem+json");
    }
    assert!(app.app.state.open_jobs(NAME).await.unwrap().is_empty());
    app.retire(NAME).await;
    assert_eq!(app.local(Method::POST, "/certificates/example.com/renew", json!({})).await.status, 422);
}

#[tokio::test]
async fn a_reload_answers_with_what_the_daemon_says() {
    let mut app = TestApp::new().await;
    let mut requests = app.requests.take().unwrap();
    let daemon = async {
        let refused: renewd::http::ReloadRequest = requests.recv().await.unwrap();
        refused.answer.send(Err(app::report("line seven"))).unwrap();
        let taken = requests.recv().await.unwrap();
        taken.answer.send(Ok(renewd::http::Reloaded { certificates: 3, changed: true, notes: Vec::new() })).unwrap();
    };
    let asked = async {
        let refused = app.local(Method::POST, "/reload", Value::Null).await;
        (refused, app.local(Method::POST, "/reload", Value::Null).await)
    };
    let ((), (refused, taken)) = tokio::join!(daemon, asked);
    assert_eq!(refused.status, 422);
    assert_eq!(refused.json()["errors"][0]["message"], "line seven");
    assert_eq!(taken.json(), json!({ "schema": 1, "certificates": 3, "notes": [] }));
}

#[tokio::test]
async fn certificates_are_told_in_pages_with_their_reasons() {
    let app = TestApp::new().await;
    app.issue().await;
    let get = async |path: &str| app.local(Method::GET, path, Value::Null).await.json();
    let page = get("/certificates?limit=1").await;
    assert_eq!((&page["schema"], &page["next"]), (&json!(1), &json!("*.example.com")));
    let page = get("/certificates?limit=1&after=*.example.com").await;
    assert_eq!(page["certificates"][0]["name"], NAME);
    let view = get("/certificates/example.com").await;
    assert_eq!((&view["schema"], &view["version"], &view["days_left"]), (&json!(1), &json!(1), &json!(89)));
    assert_eq!(view["versions"][0]["current"], true);
    assert_eq!(
        view["stores"][0],
        json!({ "store": "disk", "state": "due", "stored_at": null, "error": null, "retry_at": null })
    );
    let why = get("/certificates/example.com/why").await;
    assert_eq!((&why["next"], &why["last_orders"][0]["state"]), (&json!("put into store `disk`"), &json!("done")));
    let plan = get("/plan?days=90").await;
    let due: Vec<&str> = plan["due"].as_array().unwrap().iter().filter_map(|due| due["action"].as_str()).collect();
    assert_eq!(due, ["inspect", "deliver"]);
    assert_eq!(get("/accounts/acme").await["state"], "unregistered");
}

#[tokio::test]
async fn a_plan_tells_what_a_config_would_change() {
    let app = TestApp::new().await;
    app.issue().await;
    app.deliver().await;
    let (config, now) = (app.app.config.load_full(), app.now());
    let changes = renewd::report::changes(&app.app.state, &config, now).await.unwrap();
    assert!(changes.is_empty(), "{changes:?}");
    app.configure(|config| {
        let mut wanted = config.certificates.remove(NAME).unwrap();
        config.certificates.retain(|_, _| false);
        config.certificates.insert(app::name("new.example"), wanted.clone());
        wanted.names.push(app::identifier("www.example.com"));
        config.certificates.insert(app::name(NAME), wanted);
    });
    let changes = renewd::report::changes(&app.app.state, &app.app.config.load_full(), now).await.unwrap();
    let told: Vec<_> = changes.iter().map(|change| (change.certificate.as_str(), change.change.as_str())).collect();
    assert_eq!(told, [("*.example.com", "retired"), (NAME, "changed"), ("new.example", "added")]);
    assert!(changes[1].consequence.contains("+www.example.com"), "{}", changes[1].consequence);
}

#[tokio::test]
async fn a_renewal_stands_in_the_plan_when_it_comes() {
    let app = TestApp::new().await;
    app.issue().await;
    app.deliver().await;
    let plan = app.local(Method::GET, "/plan?days=90", Value::Null).await.json();
    let coming = plan["coming"].as_array().unwrap();
    assert_eq!((&coming[0]["certificate"], &coming[0]["reason_kind"]), (&json!(NAME), &json!("expiring")));
    let soon = app.local(Method::GET, "/plan?days=7", Value::Null).await.json();
    assert!(soon["coming"].as_array().unwrap().is_empty(), "{soon}");
}
