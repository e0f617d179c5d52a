//! `end_return`: the return's saga has ended. The money is back, or the return came to nothing and the reason is told; either way
//! the order says so.

use std::collections::{HashMap, HashSet};

use anyhow::Context as _;
use makegood_contracts::{orchestrator::Ending, order_return::EndReturn, reply::Outcome};
use makegood_messaging::{
    event_log::{self, NewEvent},
    participant::Job,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    order_return::{Status, return_status},
    order_state::{OrderState, order_state_columns},
    return_row::{self, ReturnRow},
};

/// What becomes of a return at the end of its saga.
struct End<'a> {
    row: &'a ReturnRow,
    job: &'a Job<EndReturn>,
    status: Status,
    failure_code: Option<String>,
    failure_detail: Option<&'a str>,
}

/// Ends what has not ended. Orders are locked before their returns, as those who announce a return do.
pub(super) async fn handle(tx: &mut PgConnection, jobs: &[Job<EndReturn>]) -> anyhow::Result<Vec<Outcome>> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.input.input.return_id).collect();
    let mut orders = lock_orders(tx, &ids).await.context("locking orders whose return ended")?;
    let found = return_row::lock_all(tx, &ids).await?;

    let mut ending: HashSet<Uuid> = HashSet::new();
    let mut ends = Vec::new();
    let mut outcomes = Vec::with_capacity(jobs.len());
    for job in jobs {
        let (outcome, end) = judge(job, found.get(&job.input.input.return_id));
        ends.extend(end.filter(|end| ending.insert(end.row.id)));
        outcomes.push(outcome);
    }
    write_ends(tx, &ends).await.context("ending returns")?;
    count_returned(tx, &mut orders).await.context("counting what came back")?;
    let events = events(&mut orders, &ends)?;
    write_orders(tx, &orders).await.context("writing orders whose return ended")?;
    event_log::record(tx, &events).await.context("recording orders whose return ended")?;
    Ok(outcomes)
}

/// A saga that says another thing than the row needs a person: only an operator's hand can have brought that about.
fn judge<'a>(job: &'a Job<EndReturn>, row: Option<&'a ReturnRow>) -> (Outcome, Option<End<'a>>) {
    let Some(row) = row else {
        return (Outcome::defect(format!("There is no return {}.", job.input.input.return_id)), None);
    };
    let reason = job.input.reason.as_ref();
    let failure_detail = reason.map(|reason| reason.detail.as_str());
    let end = |status, failure_code| End { row, job, status, failure_code, failure_detail };
    match (job.input.ended, row.status) {
        _ if row.ended_at.is_some() => (Outcome::done(), None),
        (Ending::Completed, Status::Received) => (Outcome::done(), Some(end(Status::Completed, None))),
        (Ending::Completed, status) => {
            let detail = format!("The saga completed while its return {} is {}.", row.id, status.as_str());
            (Outcome::defect(detail), None)
        }
        (Ending::Compensated, Status::Open | Status::Received) => {
            let code = reason.map_or("return_refused", |reason| reason.code.as_str());
            (Outcome::done(), Some(end(Status::Refused, Some(code.to_owned()))))
        }
        (Ending::Compensated, status) => (Outcome::done(), Some(end(status, row.failure_code.clone()))),
    }
}

async fn lock_orders(tx: &mut PgConnection, returns: &[Uuid]) -> Result<Vec<OrderState>, sqlx::Error> {
    sqlx::query_as(concat!(
        "select ",
        order_state_columns!(),
        " from orders where id in (select order_id from order_return where id = any($1)) order by id for update"
    ))
    .bind(returns)
    .fetch_all(tx)
    .await
}

async fn write_ends(tx: &mut PgConnection, ends: &[End<'_>]) -> Result<(), sqlx::Error> {
    if ends.is_empty() {
        return Ok(());
    }
    sqlx::query(
        r#"
        update order_return r
        set status = ending.status, failure_code = ending.failure_code, failure_detail = ending.failure_detail,
            refund_id = ending.refund_id, restocked_units = ending.restocked_units,
            decided_at = coalesce(r.decided_at, now()), ended_at = now(), begun = true, resend_at = null
        from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::bigint[])
             as ending (id, status, failure_code, failure_detail, refund_id, restocked_units)
        where r.id = ending.id
        "#,
    )
    .bind(ends.iter().map(|end| end.row.id).collect::<Vec<_>>())
    .bind(ends.iter().map(|end| end.status.as_str()).collect::<Vec<_>>())
    .bind(ends.iter().map(|end| end.failure_code.as_deref()).collect::<Vec<_>>())
    .bind(ends.iter().map(|end| end.failure_detail).collect::<Vec<_>>())
    .bind(ends.iter().map(|end| end.job.input.input.refund_id).collect::<Vec<_>>())
    .bind(ends.iter().map(|end| end.job.input.input.restocked_units).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// How much of each order has come back, over all its completed returns.
async fn count_returned(tx: &mut PgConnection, orders: &mut [OrderState]) -> Result<(), sqlx::Error> {
    let counted: Vec<(Uuid, i64, i64)> = sqlx::query_as(
        r#"
        select orders.id,
               (select coalesce(sum((line ->> 'received')::bigint), 0)::bigint
                from order_return r cross join lateral jsonb_array_elements(r.lines) as line
                where r.order_id = orders.id and r.status = 'completed'),
               (select coalesce(sum((line ->> 'quantity')::bigint), 0)::bigint from jsonb_array_elements(orders.lines) as line)
        from orders where id = any($1)
        "#,
    )
    .bind(orders.iter().map(|order| order.id).collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    let counted: HashMap<Uuid, (i64, i64)> = counted.into_iter().map(|(id, back, sold)| (id, (back, sold))).collect();
    for order in orders {
        if let Some((back, sold)) = counted.get(&order.id) {
            order.return_status = return_status(*back, *sold).to_owned();
        }
    }
    Ok(())
}

/// One event and one version of its order for each return that ended.
fn events(orders: &mut [OrderState], ends: &[End<'_>]) -> anyhow::Result<Vec<NewEvent>> {
    let event = |end: &End<'_>| {
        let order = orders.iter_mut().find(|order| order.id == end.row.order_id);
        let order = order.with_context(|| format!("return {} has no order", end.row.id))?;
        order.version += 1;
        order.return_changed(end.status.ending_event(), end.row.id, end.failure_code.as_deref())
    };
    ends.iter().map(event).collect()
}

async fn write_orders(tx: &mut PgConnection, orders: &[OrderState]) -> Result<(), sqlx::Error> {
    sqlx::query(
        r#"
        update orders set return_status = changed.return_status, version = changed.version
        from unnest($1::uuid[], $2::text[], $3::bigint[]) as changed (id, return_status, version)
        where orders.id = changed.id and orders.version <> changed.version
        "#,
    )
    .bind(orders.iter().map(|order| order.id).collect::<Vec<_>>())
    .bind(orders.iter().map(|order| order.return_status.as_str()).collect::<Vec<_>>())
    .bind(orders.iter().map(|order| order.version).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
