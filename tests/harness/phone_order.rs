//! `phone-order`: a definition of a shop's own that waits for one signal, for tests of how sagas start and go.

use std::fs;

use makegood_contracts::{
    orchestrator::{START_SAGA, StartSaga},
    subject,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::System;

const DEFINITION: &str = "\
saga: phone-order
version: 1
steps:
  - step: approval
    await: approval
    deadline: 1h
    on_deadline: compensate
";

impl System {
    /// A folder with the definition, for `MAKEGOOD_DEFINITIONS`.
    pub fn phone_order_definitions(&self) -> String {
        let folder = self.folder("definitions");
        fs::write(folder.join("phone-order.v1.yaml"), DEFINITION).expect("the definition can be written");
        folder.display().to_string()
    }

    /// Sends the start of one, with the signals that it brings along; with `approval` it ends as it starts.
    pub async fn start_phone_order(&self, saga_id: Uuid, signals: &[&str]) {
        let start = StartSaga {
            saga_id,
            definition: "phone-order".to_owned(),
            reference: saga_id.to_string(),
            customer: None,
            input: json!({"room": 12}),
            signals: signals.iter().map(|signal| ((*signal).to_owned(), json!({}))).collect::<Map<String, Value>>(),
            traceparent: None,
        };
        let message = serde_json::to_vec(&[start]).expect("encodes");
        self.jetstream().await.publish(&subject::command(START_SAGA), message).await;
    }
}
