//! The process's metrics: registered where they are counted, read by the operations port.

use std::sync::{LazyLock, Mutex, PoisonError};

use prometheus_client::{
    encoding::text,
    registry::{Metric, Registry},
};

/// The registry of the process. Register each metric once, with its unit last in its name.
#[derive(Debug, Default)]
pub struct Metrics {
    registry: Mutex<Registry>,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::default);

pub fn metrics() -> &'static Metrics {
    &METRICS
}

impl Metrics {
    /// Metrics are handles: register a clone, count with the other.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner).register(name, help, metric);
    }

    /// All metrics in the OpenMetrics text format.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut encoded = String::new();
        text::encode(&mut encoded, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(encoded)
    }
}
