//! Jobs: what somebody asked for.

use futures_util::FutureExt as _;
use renewd::state::certificate::Standing;
use renewd::state::{CertificateState, JobKind, JobState, State};
use serde_json::json;

use super::place::{MINUTE, NOW, enlist};

pub(super) async fn jobs_are_kept_and_wake(state: &State) {
    enlist(state, &["a"]).await;
    let far = Standing {
        state: CertificateState::Stored,
        problem: None,
        look_again_at: NOW.plus(MINUTE * 99),
        attempts_left: None,
        too_few: false,
    };
    state.put_down("a", NOW, &far).await.unwrap();
    let woken = state.woken();
    tokio::pin!(woken);
    woken.as_mut().enable();
    let later = NOW.plus(MINUTE);
    let renew = state.add_job(JobKind::Renew, "a", &json!({"force": true}), "root", later).await.unwrap();
    assert!(woken.now_or_never().is_some(), "the loop is woken");
    assert_eq!(state.due(later, 9).await.unwrap(), ["a"], "its certificate is due");
    let rotate = state.add_job(JobKind::RotateKey, "a", &json!({}), "root", later).await.unwrap();
    let revoke = state.add_job(JobKind::Revoke, "a", &json!({}), "root", later).await.unwrap();

    let job = state.job(&renew).await.unwrap().unwrap();
    assert_eq!((job.kind, job.subject.as_str(), job.requested_by.as_str()), (JobKind::Renew, "a", "root"));
    assert_eq!((job.arguments.as_str(), job.state), (r#"{"force":true}"#, JobState::Queued));
    assert_eq!((job.submitted_at, job.started_at, job.finished_at), (later, None, None));
    let ids = |jobs: Vec<renewd::state::JobRow>| jobs.into_iter().map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(ids(state.open_jobs("a").await.unwrap()), [renew.clone(), revoke.clone()], "oldest first");
    assert_eq!(ids(state.open_account_jobs().await.unwrap()), std::slice::from_ref(&rotate));

    state.job_started(&renew, NOW.plus(MINUTE * 2)).await.unwrap();
    state.job_started(&renew, NOW.plus(MINUTE * 3)).await.unwrap();
    let job = state.job(&renew).await.unwrap().unwrap();
    assert_eq!((job.state, job.started_at), (JobState::Running, Some(NOW.plus(MINUTE * 2))));
    state.job_finished(&renew, Ok("version 2"), NOW.plus(MINUTE * 4)).await.unwrap();
    state.job_finished(&revoke, Err("there is no such serial"), NOW.plus(MINUTE * 4)).await.unwrap();
    let (done, failed) = (state.job(&renew).await.unwrap().unwrap(), state.job(&revoke).await.unwrap().unwrap());
    assert_eq!((done.state, done.result.as_deref(), done.error), (JobState::Succeeded, Some("version 2"), None));
    assert_eq!((failed.state, failed.result), (JobState::Failed, None));
    assert_eq!(failed.error.as_deref(), Some("there is no such serial"));
    assert_eq!(failed.finished_at, Some(NOW.plus(MINUTE * 4)));
    assert!(state.open_jobs("a").await.unwrap().is_empty());
    assert!(state.job("no").await.unwrap().is_none());
}
