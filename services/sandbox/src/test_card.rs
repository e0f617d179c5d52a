//! What a payment method's token makes the provider do: Stripe's published test tokens, and three of our own for faults.

/// What becomes of an authorization with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Approve,
    /// The buyer must pass a challenge first.
    Challenge,
    Decline {
        code: &'static str,
        decline_code: Option<&'static str>,
    },
}

/// How the answer to the first sending is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LostAnswer {
    /// The connection is cut with nothing done.
    BeforeEffect,
    /// It takes effect, and then the connection is cut.
    AfterEffect,
}

/// A token without its prefix. Stripe spells some with the brand and some without; both are taken.
fn name(token: &str) -> Option<&str> {
    let name = token.strip_prefix("pm_card_")?;
    Some(name.strip_prefix("visa_").unwrap_or(name))
}

/// What a token does. One that is not published is no payment method.
pub(crate) fn behaviour(token: &str) -> Behaviour {
    let declined = |decline_code| Behaviour::Decline { code: "card_declined", decline_code: Some(decline_code) };
    let own = |code| Behaviour::Decline { code, decline_code: None };
    match name(token) {
        Some(
            "visa"
            | "debit"
            | "mastercard"
            | "mastercard_debit"
            | "mastercard_prepaid"
            | "amex"
            | "discover"
            | "diners"
            | "jcb"
            | "unionpay"
            | "sandbox_timeoutBeforeEffect"
            | "sandbox_timeoutAfterEffect"
            | "sandbox_captureDeclined",
        ) => Behaviour::Approve,
        Some(
            "authenticationRequired"
            | "authenticationRequiredOnSetup"
            | "authenticationRequiredSetupForOffSession"
            | "threeDSecure2Required"
            | "threeDSecureRequired",
        ) => Behaviour::Challenge,
        Some("chargeDeclined" | "chargeCustomerFail") => declined("generic_decline"),
        Some("chargeDeclinedInsufficientFunds") => declined("insufficient_funds"),
        Some("chargeDeclinedLostCard") => declined("lost_card"),
        Some("chargeDeclinedStolenCard") => declined("stolen_card"),
        Some("chargeDeclinedVelocityLimitExceeded") => declined("card_velocity_exceeded"),
        Some("chargeDeclinedFraudulent" | "radarBlock") => declined("fraudulent"),
        Some("chargeDeclinedExpiredCard") => own("expired_card"),
        Some("chargeDeclinedIncorrectCvc") => own("incorrect_cvc"),
        Some("chargeDeclinedProcessingError") => own("processing_error"),
        _ => own("invalid_payment_method"),
    }
}

/// Whether money that was authorized with a token cannot be captured, as when an authorization has expired.
pub(crate) fn declines_capture(token: &str) -> bool {
    name(token) == Some("sandbox_captureDeclined")
}

/// Whether the answer to a token's first sending is lost.
pub(crate) fn lost_answer(token: &str) -> Option<LostAnswer> {
    match name(token) {
        Some("sandbox_timeoutBeforeEffect") => Some(LostAnswer::BeforeEffect),
        Some("sandbox_timeoutAfterEffect") => Some(LostAnswer::AfterEffect),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_do_what_stripe_publishes_in_either_spelling() {
        let declined = |decline_code| Behaviour::Decline { code: "card_declined", decline_code: Some(decline_code) };
        let own = |code| Behaviour::Decline { code, decline_code: None };
        for (token, expected) in [
            ("pm_card_visa", Behaviour::Approve),
            ("pm_card_mastercard", Behaviour::Approve),
            ("pm_card_amex", Behaviour::Approve),
            ("pm_card_visa_debit", Behaviour::Approve),
            ("pm_card_visa_chargeDeclined", declined("generic_decline")),
            ("pm_card_chargeDeclined", declined("generic_decline")),
            ("pm_card_visa_chargeDeclinedInsufficientFunds", declined("insufficient_funds")),
            ("pm_card_chargeDeclinedInsufficientFunds", declined("insufficient_funds")),
            ("pm_card_visa_chargeDeclinedLostCard", declined("lost_card")),
            ("pm_card_visa_chargeDeclinedStolenCard", declined("stolen_card")),
            ("pm_card_visa_chargeDeclinedVelocityLimitExceeded", declined("card_velocity_exceeded")),
            ("pm_card_chargeDeclinedExpiredCard", own("expired_card")),
            ("pm_card_chargeDeclinedIncorrectCvc", own("incorrect_cvc")),
            ("pm_card_chargeDeclinedProcessingError", own("processing_error")),
            ("pm_card_authenticationRequired", Behaviour::Challenge),
            ("pm_card_threeDSecure2Required", Behaviour::Challenge),
            ("pm_card_visa_", own("invalid_payment_method")),
            ("4242424242424242", own("invalid_payment_method")),
        ] {
            assert_eq!(behaviour(token), expected, "{token}");
        }
        assert_eq!(lost_answer("pm_card_sandbox_timeoutAfterEffect"), Some(LostAnswer::AfterEffect));
        assert_eq!(lost_answer("pm_card_visa"), None);
        assert!(declines_capture("pm_card_sandbox_captureDeclined") && !declines_capture("pm_card_visa"));
    }
}
