//! Where things travel: the streams and subjects of JetStream, in one place.

/// Commands, all participants: `cmd.<service>.<verb_noun>.v1`.
pub const COMMAND_STREAM: &str = "MAKEGOOD_COMMAND";
pub const COMMAND_SUBJECTS: &str = "cmd.>";
/// Replies to the orchestrator: `reply.<partition>`.
pub const REPLY_STREAM: &str = "MAKEGOOD_REPLY";
pub const REPLY_SUBJECTS: &str = "reply.>";
/// Events to whom it may concern: `evt.<noun>.<past_participle>.v1`.
pub const EVENT_STREAM: &str = "MAKEGOOD_EVENT";
pub const EVENT_SUBJECTS: &str = "evt.>";

/// The stream that a subject lies in.
pub fn stream_of(subject: &str) -> &'static str {
    match subject.split('.').next() {
        Some("cmd") => COMMAND_STREAM,
        Some("reply") => REPLY_STREAM,
        _ => EVENT_STREAM,
    }
}

/// The subject of a command written `service.verb_noun` in a definition.
pub fn command(service_and_verb: &str) -> String {
    format!("cmd.{service_and_verb}.v1")
}

/// All commands of one participant: the filter of its consumer.
pub fn commands_of(service: &str) -> String {
    format!("cmd.{service}.>")
}

/// `hold_stock` of `cmd.inventory.hold_stock.v1`; none where the subject has another shape or version.
pub fn verb_of(subject: &str) -> Option<&str> {
    let mut parts = subject.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("cmd"), Some(_), Some(verb), Some("v1"), None) => Some(verb),
        _ => None,
    }
}

/// Replies of one partition of sagas.
pub fn reply(partition: u32) -> String {
    format!("reply.{partition}")
}

/// The subject of an event named `noun.past_participle`.
pub fn event(name: &str) -> String {
    format!("evt.{name}.v1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_lies_in_the_stream_that_keeps_its_kind() {
        assert_eq!(stream_of(&command("inventory.hold_stock")), COMMAND_STREAM);
        assert_eq!(stream_of(&reply(0)), REPLY_STREAM);
        assert_eq!(stream_of(&event("order.completed")), EVENT_STREAM);
    }

    #[test]
    fn a_commands_verb_is_found_in_its_subject_only() {
        assert_eq!(verb_of(&command("inventory.hold_stock")), Some("hold_stock"));
        assert_eq!(verb_of("cmd.inventory.hold_stock.v2"), None);
        assert_eq!(verb_of("evt.product.priced.v1"), None);
    }
}
