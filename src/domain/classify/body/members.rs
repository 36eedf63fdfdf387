//! The members of a JSON object that the rules ask for; the rest is passed over without being kept.

use std::fmt::{self, Formatter};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// How many members there are.
    pub count: usize,
    pub message: Option<String>,
    pub message_id: Option<String>,
    /// Empty where it is no text.
    pub access_error: Option<String>,
    pub kind: Option<String>,
    pub status: Option<String>,
    pub has_code: bool,
    pub has_trace: bool,
    pub error: Option<Value>,
    pub results: Option<Value>,
}

/// A document: an object, or something else.
#[derive(Debug)]
pub(super) enum First {
    Object(Box<Members>),
    Other,
}

/// The name of a member.
#[derive(Clone, Copy, Deserialize)]
#[serde(field_identifier)]
enum Name {
    #[serde(rename = "message")]
    Message,
    #[serde(rename = "messageId")]
    MessageId,
    #[serde(rename = "accessErrorId")]
    AccessErrorId,
    #[serde(rename = "kind")]
    Kind,
    #[serde(rename = "status")]
    Status,
    #[serde(rename = "error")]
    Error,
    #[serde(rename = "results")]
    Results,
    #[serde(rename = "code")]
    Code,
    #[serde(rename = "traceID")]
    TraceId,
    #[serde(other)]
    Other,
}

/// A text; any other value is passed over.
struct Text(Option<String>);

struct TextVisitor;
struct FirstVisitor;

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

/// Numbers and the like say nothing here.
macro_rules! passed_over {
    ($value:expr; $($visit:ident $kind:ty)*) => {
        $(fn $visit<E>(self, _: $kind) -> Result<Self::Value, E> {
            Ok($value)
        })*

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok($value)
        }
    };
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(Some(text.to_owned())))
    }

    passed_over! { Text(None); visit_bool bool visit_i64 i64 visit_u64 u64 visit_f64 f64 }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Text, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }
}

impl<'de> Deserialize<'de> for First {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FirstVisitor)
    }
}

impl<'de> Visitor<'de> for FirstVisitor {
    type Value = First;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, _: &str) -> Result<First, E> {
        Ok(First::Other)
    }

    passed_over! { First::Other; visit_bool bool visit_i64 i64 visit_u64 u64 visit_f64 f64 }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<First, A::Error> {
        let mut found = Members::default();
        while let Some(name) = members.next_key::<Name>()? {
            found.count += 1;
            // Of two members of one name the last counts, as for most readers of JSON.
            match name {
                Name::Message => found.message = members.next_value::<Text>()?.0,
                Name::MessageId => found.message_id = members.next_value::<Text>()?.0,
                Name::AccessErrorId => found.access_error = Some(members.next_value::<Text>()?.0.unwrap_or_default()),
                Name::Kind => found.kind = members.next_value::<Text>()?.0,
                Name::Status => found.status = members.next_value::<Text>()?.0,
                Name::Error => found.error = Some(members.next_value()?),
                Name::Results => found.results = Some(members.next_value()?),
                Name::Code | Name::TraceId | Name::Other => {
                    found.has_code |= matches!(name, Name::Code);
                    found.has_trace |= matches!(name, Name::TraceId);
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(First::Object(Box::new(found)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;

    fn read(text: &str) -> Option<First> {
        serde_json::Deserializer::from_str(text).into_iter::<First>().next()?.ok()
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((name(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            prop::sample::select(vec![
                "message",
                "messageId",
                "accessErrorId",
                "kind",
                "status",
                "code",
                "traceID",
                "error",
                "results"
            ])
            .prop_map(str::to_owned),
            ".{0,6}",
        ]
    }

    proptest! {
        /// The members are those of the whole document.
        #[test]
        fn it_reads_what_a_whole_reading_would(value in value()) {
            let text = value.to_string();
            match (read(&text), &value) {
                (Some(First::Object(found)), Value::Object(members)) => {
                    let text = |name: &str| members.get(name).and_then(Value::as_str);
                    prop_assert_eq!(found.count, members.len());
                    prop_assert_eq!(found.message.as_deref(), text("message"));
                    prop_assert_eq!(found.message_id.as_deref(), text("messageId"));
                    let access = members.get("accessErrorId").map(|id| id.as_str().unwrap_or_default());
                    prop_assert_eq!(found.access_error.as_deref(), access);
                    prop_assert_eq!(found.kind.as_deref(), text("kind"));
                    prop_assert_eq!(found.status.as_deref(), text("status"));
                    prop_assert_eq!(found.has_code, members.contains_key("code"));
                    prop_assert_eq!(found.has_trace, members.contains_key("traceID"));
                    prop_assert_eq!(found.error.is_some(), members.contains_key("error"));
                    prop_assert_eq!(found.results.is_some(), members.contains_key("results"));
                }
                (Some(First::Other), other) => prop_assert!(!other.is_object()),
                (found, value) => prop_assert!(false, "{:?} {:?}", found, value),
            }
        }

        #[test]
        fn what_is_no_json_is_nothing_for_both(text in ".{0,40}") {
            let whole = serde_json::Deserializer::from_str(&text).into_iter::<Value>().next().and_then(Result::ok);
            prop_assert_eq!(read(&text).is_some(), whole.is_some());
        }
    }

    #[test]
    fn the_last_of_two_members_counts() {
        let Some(First::Object(found)) = read(r#"{"message":"one","message":"two"}"#) else { panic!() };
        let whole: Map<String, Value> = serde_json::from_str(r#"{"message":"one","message":"two"}"#).unwrap();
        assert_eq!(found.message.as_deref(), whole["message"].as_str());
    }
}
