//! JSON Schema, draft 2020-12, for editors: made from the table of keys.

use serde_json::{Map, Value, json};

use super::keys::{self, Key};
use super::tokens;
use super::values::kind::Kind;

/// The schema of the configuration file.
pub fn schema() -> Value {
    let mut root = object("Configuration of grafana-token-proxy. Every key is optional.");
    for key in keys::all() {
        let segments: Vec<&str> = key.path.split('.').collect();
        if let Some((name, groups)) = segments.split_last() {
            insert(&mut root, groups, name, property(key));
        }
    }
    insert(&mut root, &[], tokens::TOKENS, tokens::schema());
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!("grafana-token-proxy"));
    schema.extend(root);
    Value::Object(schema)
}

fn object(description: &str) -> Map<String, Value> {
    let mut map = Map::new();
    if !description.is_empty() {
        map.insert("description".to_owned(), json!(description));
    }
    // A group whose lines are all commented out is null.
    map.insert("type".to_owned(), json!(["object", "null"]));
    map.insert("additionalProperties".to_owned(), json!(false));
    map.insert("properties".to_owned(), json!({}));
    map
}

fn insert(object_schema: &mut Map<String, Value>, groups: &[&str], name: &str, property: Value) {
    let Some(Value::Object(properties)) = object_schema.get_mut("properties") else { return };
    match groups.split_first() {
        None => {
            properties.insert(name.to_owned(), property);
        }
        Some((group, rest)) => {
            let inner = properties.entry((*group).to_owned()).or_insert_with(|| Value::Object(object("")));
            if let Value::Object(inner) = inner {
                insert(inner, rest, name, property);
            }
        }
    }
}

fn property(key: &Key) -> Value {
    let mut property = Map::new();
    property.insert("description".to_owned(), json!(key.help));
    property.insert("default".to_owned(), default(key));
    let one = key.kind.schema();
    if key.kind.is_pair() {
        let pairs = json!({ "type": "object", "additionalProperties": { "type": "integer", "minimum": 1 } });
        property.insert("anyOf".to_owned(), json!([pairs, { "type": "array", "items": one }, one]));
    } else if key.is_list() {
        property.insert("anyOf".to_owned(), json!([{ "type": "array", "items": one }, one]));
    } else if let Some(word) = key.absent {
        let mut absent = vec![json!(word), Value::Null];
        absent.extend((word == "off").then(|| json!(false)));
        property.insert("anyOf".to_owned(), json!([{ "enum": absent }, one]));
    } else if let Value::Object(one) = one {
        property.extend(one);
    }
    Value::Object(property)
}

fn default(key: &Key) -> Value {
    if key.kind.is_pair() && key.default.is_empty() {
        return json!({});
    }
    if key.is_list() {
        return key.default.split(',').filter(|item| !item.is_empty()).collect();
    }
    match (key.default, key.kind) {
        ("null", _) => Value::Null,
        (text, Kind::Integer { .. }) => text.parse::<u64>().map_or_else(|_| json!(text), Value::from),
        (text, _) => json!(text),
    }
}
