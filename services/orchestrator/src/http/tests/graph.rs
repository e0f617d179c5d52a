//! A saga's graph: how it stands, in both forms, for its own shop only.

use axum::http::{Method, StatusCode};
use makegood_testing::SHOP;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Shop, path};

#[tokio::test]
async fn a_graph_shows_how_each_step_stands() {
    let mut shop = Shop::open().await;
    let id = shop.waiting().await;
    let graph = format!("{}/graph", path(id));
    let read = async |accept: &str| {
        let route = (Method::GET, graph.as_str());
        shop.api.send_for_text(&shop.api.admin, route, &[("accept", accept)], Value::Null).await
    };
    let (status, headers, svg) = read("*/*").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["content-type"], "image/svg+xml");
    assert!(svg.starts_with("<svg") && svg.contains("[done]") && svg.contains("[waiting]"), "{svg}");
    let (_, headers, mermaid) = read("text/plain").await;
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    assert!(mermaid.starts_with("flowchart TD") && mermaid.contains("trains.hold_seat<br/>done"), "{mermaid}");

    let other = shop.trip_of(json!({"account_id": Uuid::now_v7(), "livemode": SHOP.livemode})).await;
    assert_eq!(shop.get(&format!("{}/graph", path(other))).await.0, StatusCode::NOT_FOUND);
    shop.close().await;
}
