//! One request to the provider, pure: what it is known by, what the provider may say about it, and what that means
//! to the step that asked.

use makegood_contracts::{
    command::StepKey,
    payment::{AuthorizedPayment, CapturedPayment, NextAction, RefundedPayment},
    reply::Outcome,
};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::store::Intent;

/// Operations' ids are UUIDv5 in this namespace.
const NAMESPACE: Uuid = Uuid::from_u128(0x0c1d_7e53_4b86_4f0a_b3a9_52d8_e6f4_1a70);

/// The operation of a step: however often the step is sent, it is this one, also to the provider.
pub fn id_of_step(key: &StepKey) -> Uuid {
    Uuid::new_v5(&NAMESPACE, key.to_string().as_bytes())
}

/// The operation of a refund that an operator asked for.
pub fn id_of_refund(refund_id: Uuid) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("refund:{}", refund_id.simple()).as_bytes())
}

/// The operation of a void that an operator asked for.
pub fn id_of_void(void_id: Uuid) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("void:{}", void_id.simple()).as_bytes())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Authorize,
    Capture,
    Void,
    Refund,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Refund => "refund",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Authorize, Self::Capture, Self::Void, Self::Refund].into_iter().find(|kind| kind.as_str() == text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Committed before the request left; nothing is known yet.
    Started,
    /// The request left and its answer was lost: the provider is asked, never presumed upon.
    Unknown,
    /// The provider waits for the buyer.
    ActionRequired,
    Succeeded,
    Declined,
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Unknown => "unknown",
            Self::ActionRequired => "action_required",
            Self::Succeeded => "succeeded",
            Self::Declined => "declined",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Started, Self::Unknown, Self::ActionRequired, Self::Succeeded, Self::Declined]
            .into_iter()
            .find(|state| state.as_str() == text)
    }

    pub const fn is_decided(self) -> bool {
        matches!(self, Self::Succeeded | Self::Declined)
    }
}

/// What came of a request to the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Succeeded {
        provider_reference: String,
        /// Of a void: how much it let go. Nothing, where there was no authorization (yet).
        released_minor: i64,
    },
    Declined {
        provider_reference: Option<String>,
        refusal: Refusal,
    },
    ActionRequired {
        redirect_url: String,
    },
    /// No answer, or none that can be understood. It may have taken effect.
    Unknown {
        why: String,
    },
}

/// Why a provider said no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    pub code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decline_code: Option<String>,
}

impl Refusal {
    fn detail(&self) -> String {
        match &self.decline_code {
            Some(decline_code) => format!("the provider declined: {} ({decline_code})", self.code),
            None => format!("the provider declined: {}", self.code),
        }
    }
}

/// The step that asked for an operation, and where a decision that comes late is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    pub key: StepKey,
    pub reply_to: String,
    pub attempt: u32,
}

/// An operation as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub id: Uuid,
    pub intent_id: Uuid,
    pub kind: Kind,
    pub amount_minor: i64,
    pub state: State,
    pub provider_reference: Option<String>,
    pub refusal: Option<Refusal>,
    pub redirect_url: Option<String>,
    pub refund_id: Option<Uuid>,
    pub reason: Option<String>,
    /// None where an operator asked.
    pub asker: Option<Asker>,
}

impl Operation {
    /// What the step that asked is answered.
    pub fn outcome(&self, intent: &Intent) -> anyhow::Result<Outcome> {
        match self.state {
            State::Started | State::Unknown => Ok(Outcome::retry(format!(
                "the outcome of {} {} is unknown; the provider is asked before anything is tried again",
                self.kind.as_str(),
                self.id
            ))),
            State::ActionRequired => {
                let redirect_url = self.redirect_url.clone().unwrap_or_default();
                let detail = serde_json::to_value(NextAction { redirect_url })?;
                Ok(Outcome::Pending { reason: "requires_action".to_owned(), detail })
            }
            State::Succeeded => Ok(Outcome::Done { output: self.output(intent)? }),
            State::Declined => Ok(self.declined()),
        }
    }

    fn output(&self, intent: &Intent) -> anyhow::Result<Value> {
        let output = match self.kind {
            Kind::Authorize => serde_json::to_value(AuthorizedPayment { payment_intent_id: intent.id })?,
            Kind::Capture => serde_json::to_value(CapturedPayment { captured: intent.money(self.amount_minor)? })?,
            Kind::Void => Value::Null,
            Kind::Refund => serde_json::to_value(RefundedPayment {
                refund_id: self.refund_id.unwrap_or(self.id),
                refunded: intent.money(self.amount_minor)?,
            })?,
        };
        Ok(output)
    }

    /// What is refused is business: of a capture it means that no money came, so its order is undone. Nothing can go on where
    /// money that is held cannot be let go: that is for people.
    fn declined(&self) -> Outcome {
        let unnamed = Refusal { code: "declined".to_owned(), decline_code: None };
        let refusal = self.refusal.as_ref().unwrap_or(&unnamed);
        match self.kind {
            Kind::Authorize | Kind::Capture | Kind::Refund => Outcome::refused(&refusal.code, refusal.detail()),
            Kind::Void => Outcome::defect(format!("void {}: {}", self.id, refusal.detail())),
        }
    }
}
