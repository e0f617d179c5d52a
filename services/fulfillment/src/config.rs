//! Settings of fulfillment.

/// Flags and variables of fulfillment.
#[derive(Debug, Clone, clap::Args)]
pub struct Config {
    /// Address of the carrier, without a path, such as http://127.0.0.1:8090. Without it, released shipments wait.
    #[arg(long, env = "MAKEGOOD_CARRIER_URL", requires = "carrier_callback_url")]
    pub carrier_url: Option<String>,
    /// Where the carrier reaches this deployment's `/v1/carrier/callbacks`, as a whole address.
    #[arg(long, env = "MAKEGOOD_CARRIER_CALLBACK_URL")]
    pub carrier_callback_url: Option<String>,
    /// Seconds that a released shipment lies in the warehouse before the carrier is told of it. Only so long can its order be
    /// cancelled.
    #[arg(long, env = "MAKEGOOD_HANDOVER_DELAY", default_value_t = 0)]
    pub handover_delay_seconds: u32,
}
