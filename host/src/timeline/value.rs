//! What is published: a value, or JSON that is written when somebody reads it.

use std::sync::{Arc, OnceLock};

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A typed value with its unit in the usual symbols (`rpm`, `km/h`, `°C`, `kPa`, `%`, `V`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Something that is or is not.
    Bool(bool),
    /// A measured quantity.
    Quantity {
        /// The magnitude in `unit`.
        value: f64,
        /// The unit's symbol; empty for a plain number.
        unit: &'static str,
    },
    /// A name, a code, a sentence.
    Text(String),
    /// Anything with more structure.
    Json(serde_json::Value),
    /// The same, as JSON that is written once.
    Written(Written),
}

impl Value {
    /// Something with a structure of its own.
    pub fn written(value: &impl Serialize) -> Self {
        value.write().into()
    }

    /// Something with a structure of its own that is written when somebody first reads it, which may be never: whoever
    /// publishes is not held up.
    pub fn later(value: impl Serialize + Send + Sync + 'static) -> Self {
        Self::Written(Written::later(value))
    }
}

impl From<Box<RawValue>> for Value {
    fn from(json: Box<RawValue>) -> Self {
        Arc::<RawValue>::from(json).into()
    }
}

impl From<Arc<RawValue>> for Value {
    fn from(json: Arc<RawValue>) -> Self {
        Self::Written(json.into())
    }
}

/// JSON that is written once, by whichever of its clones is read first, and passed on as it is.
#[derive(Clone)]
pub struct Written(Arc<Writing>);

struct Writing {
    json: OnceLock<Arc<RawValue>>,
    /// What it is made of, if it is not written from the beginning.
    value: Option<Box<dyn Write + Send + Sync>>,
}

impl From<Box<RawValue>> for Written {
    fn from(json: Box<RawValue>) -> Self {
        Arc::<RawValue>::from(json).into()
    }
}

impl From<Arc<RawValue>> for Written {
    fn from(json: Arc<RawValue>) -> Self {
        Self(Arc::new(Writing { json: json.into(), value: None }))
    }
}

/// What can be written as JSON.
trait Write {
    fn write(&self) -> Box<RawValue>;
}

impl<T: Serialize> Write for T {
    fn write(&self) -> Box<RawValue> {
        // What cannot be written has keys that are no text, which nothing that is published has.
        serde_json::value::to_raw_value(self).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }
}

impl Written {
    /// JSON that is written when somebody first reads it.
    pub fn later(value: impl Serialize + Send + Sync + 'static) -> Self {
        Self(Arc::new(Writing { json: OnceLock::new(), value: Some(Box::new(value)) }))
    }

    /// The JSON.
    pub fn json(&self) -> &Arc<RawValue> {
        let Writing { json, value } = &*self.0;
        let write = || value.as_ref().map_or_else(|| RawValue::NULL.to_owned(), |value| value.write());
        json.get_or_init(|| write().into())
    }
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Written").field(&self.json().get()).finish()
    }
}

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json().serialize(serializer)
    }
}

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        self.json().get() == other.json().get()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn values_are_clean_json() {
        let json = |value| serde_json::to_string(&value).unwrap();
        assert_eq!(json(Value::Quantity { value: 1500.0, unit: "rpm" }), r#"{"value":1500.0,"unit":"rpm"}"#);
        assert_eq!(json(Value::Text("P0133".into())), r#""P0133""#);
        assert_eq!(json(Value::written(&["P0133"])), r#"["P0133"]"#);
        assert_eq!(json(Value::later(["P0133"])), r#"["P0133"]"#);
    }

    #[test]
    fn what_nobody_reads_is_not_written_and_what_many_read_is_written_once() {
        struct Counted(Arc<AtomicUsize>);
        impl Serialize for Counted {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u64(self.0.fetch_add(1, Ordering::Relaxed) as u64)
            }
        }
        let count = Arc::new(AtomicUsize::new(0));
        let written = Written::later(Counted(Arc::clone(&count)));
        let value = Value::Written(written.clone());
        assert_eq!(count.load(Ordering::Relaxed), 0);
        assert_eq!((serde_json::to_string(&value).unwrap().as_str(), written.json().get()), ("0", "0"));
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}
