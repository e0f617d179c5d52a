//! The steps of a return's saga, as tests play them: each is sent twice in one batch, as duplicates come.

use makegood_contracts::{
    orchestrator::{Ending, Reason},
    order_return::{AcceptReturn, BeginReturn, EndReturn, EndedReturn},
    reply::Outcome,
};
use makegood_testing::job;
use sqlx::PgPool;
use uuid::Uuid;

use super::super::{accept_return, begin_return, end_return};

/// The one outcome of a command that came twice.
fn same(outcomes: Vec<Outcome>) -> Outcome {
    let [first, second] = outcomes.try_into().expect("two outcomes");
    assert_eq!(first, second);
    first
}

pub(crate) async fn begin_return(db: &PgPool, id: Uuid) -> Outcome {
    let job = || job(id, "begin_return", BeginReturn { return_id: id });
    let mut tx = db.begin().await.expect("begins");
    let outcomes = begin_return::handle(&mut tx, &[job(), job()]).await.expect("begins");
    tx.commit().await.expect("commits");
    same(outcomes)
}

pub(crate) async fn accept_return(db: &PgPool, id: Uuid) -> Outcome {
    let job = || job(id, "accept_return", AcceptReturn { return_id: id });
    let mut tx = db.begin().await.expect("begins");
    let outcomes = accept_return::handle(&mut tx, &[job(), job()]).await;
    tx.commit().await.expect("commits");
    // An open return is decided by the first of them: both were answered from what it was.
    same(outcomes.expect("accepts"))
}

/// The saga's end: completed, or undone for a code.
pub(crate) async fn end_return(db: &PgPool, id: Uuid, undone_for: Option<&str>) -> Outcome {
    let end = || EndReturn {
        ended: if undone_for.is_some() { Ending::Compensated } else { Ending::Completed },
        reason: undone_for.map(|code| Reason {
            step: "accept_return".to_owned(),
            code: code.to_owned(),
            detail: "No.".to_owned(),
        }),
        input: EndedReturn { return_id: id, refund_id: undone_for.is_none().then_some(id), restocked_units: None },
    };
    let mut tx = db.begin().await.expect("begins");
    let outcomes = end_return::handle(&mut tx, &[job(id, "finally", end()), job(id, "finally", end())]).await;
    tx.commit().await.expect("commits");
    same(outcomes.expect("ends"))
}
