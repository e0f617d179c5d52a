//! Settings of the cart service.

use std::time::Duration;

/// Flags and variables of the cart role.
#[derive(clap::Args, Debug, Clone)]
pub struct Config {
    /// How long an open cart is kept after its last edit, in seconds. Default: 30 days.
    #[arg(long = "cart-ttl", env = "MAKEGOOD_CART_TTL", default_value_t = 30 * 24 * 60 * 60)]
    #[arg(value_parser = clap::value_parser!(u32).range(60..))]
    pub cart_ttl_seconds: u32,
}

impl Config {
    pub(crate) fn cart_ttl(&self) -> Duration {
        Duration::from_secs(self.cart_ttl_seconds.into())
    }
}
