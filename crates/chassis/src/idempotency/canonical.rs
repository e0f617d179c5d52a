//! The canonical form of a JSON body: two texts of the same document have the same fingerprint.
//!
//! After RFC 8785: members sorted by name, no white space. Numbers stay as they were read (`1` and `1.0` differ):
//! to take two equal requests for different is safe, to take two different ones for equal is not.

use serde_json::Value;

/// The canonical bytes of a document. An empty body is the empty object, as it is when it is parsed.
pub(super) fn canonical(body: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::with_capacity(body.len());
    match body.is_empty() {
        true => bytes.extend_from_slice(b"{}"),
        false => write(&serde_json::from_slice(body)?, &mut bytes)?,
    }
    Ok(bytes)
}

/// Recursion ends at the parser's own limit of 128 levels.
fn write(value: &Value, bytes: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => serde_json::to_writer(bytes, value)?,
        Value::Array(items) => {
            bytes.push(b'[');
            for item in items {
                write(item, bytes)?;
                bytes.push(b',');
            }
            bytes.push(b']');
        }
        Value::Object(members) => {
            // Sorted here, because a feature of serde_json that any crate may turn on keeps the order of the text.
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| name.as_str());
            bytes.push(b'{');
            for (name, member) in sorted {
                serde_json::to_writer(&mut *bytes, name)?;
                bytes.push(b':');
                write(member, bytes)?;
                bytes.push(b',');
            }
            bytes.push(b'}');
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<u8> {
        canonical(text.as_bytes()).expect(text)
    }

    #[test]
    fn order_white_space_and_escapes_make_no_difference() {
        assert_eq!(
            of(r#"{"a":1,"b":{"d":[1,2],"c":"é"}}"#),
            of("{ \"b\": {\"c\":\"\\u00e9\",\n\"d\":[1, 2]}, \"a\": 1}")
        );
        assert_eq!(of(""), of("{ }"));
    }

    #[test]
    fn values_names_and_nesting_make_a_difference() {
        let texts = [
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"{"b":1}"#,
            r#"[["a"],1]"#,
            r#"["a",1]"#,
            r#"["a",[1]]"#,
            r#"{"a":null}"#,
            "{}",
            "[]",
        ];
        for (i, one) in texts.iter().enumerate() {
            assert!(texts[i + 1..].iter().all(|other| of(other) != of(one)), "{one}");
        }
    }
}
