//! Settings of the inventory.

/// Flags and variables of the inventory.
#[derive(Debug, Clone, clap::Args)]
pub struct Config {
    /// How long stock is held for a cart whose buyer has not confirmed yet, in seconds. Fifteen minutes by default:
    /// long enough to find a card, short enough that an abandoned cart does not spoil a sale.
    #[arg(long, env = "MAKEGOOD_HOLD_TTL", default_value_t = 900)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub hold_ttl_seconds: u32,
}
