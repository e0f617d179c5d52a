//! Settings of the order service.

/// Flags and variables of the order role.
#[derive(clap::Args, Debug, Clone)]
pub struct Config {
    /// Requests of one process that may wait for their checkout to open, and checkouts in all that may wait for their sagas to hear of them. More are
    /// answered 429 before anything is done.
    #[arg(
        long,
        env = "MAKEGOOD_MAX_OPEN_CHECKOUTS_IN_FLIGHT",
        default_value_t = 5_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub max_open_checkouts_in_flight: u32,
    /// Streams of order events (SSE) that one process serves at once. More are answered 429.
    #[arg(
        long,
        env = "MAKEGOOD_MAX_ORDER_EVENT_STREAMS",
        default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    pub max_order_event_streams: u32,
    /// How long after the last shipment of an order left its goods can be returned, in seconds. Default: 30 days.
    #[arg(long = "return-window", env = "MAKEGOOD_RETURN_WINDOW", default_value_t = 30 * 24 * 60 * 60)]
    pub return_window_seconds: u32,
    /// How long the goods of a return are waited for, in seconds. Default: 30 days.
    #[arg(long = "return-receipt-within", env = "MAKEGOOD_RETURN_RECEIPT_WITHIN", default_value_t = 30 * 24 * 60 * 60)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub return_receipt_within_seconds: u32,
}
