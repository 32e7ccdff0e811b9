//! Who is present in one topic, in Phoenix's shape: `{key: {"metas": [meta, …]}}`. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use cloverleaf_core::json;
use serde::Serialize;

/// A meta with its refs, encoded once.
type Meta = Arc<[u8]>;

/// One member's meta that came, went, or was replaced.
#[derive(Clone, Debug)]
pub(in crate::services::hub) struct Change {
    key: Arc<str>,
    member: u64,
    join: Option<Meta>,
    leave: Option<Meta>,
}

impl Change {
    pub(in crate::services::hub) fn join(key: Arc<str>, member: u64, meta: Meta) -> Self {
        Self { key, member, join: Some(meta), leave: None }
    }

    pub(in crate::services::hub) fn update(key: Arc<str>, member: u64, meta: Meta, old: Meta) -> Self {
        Self { key, member, join: Some(meta), leave: Some(old) }
    }

    pub(in crate::services::hub) fn leave(key: Arc<str>, member: u64, meta: Meta) -> Self {
        Self { key, member, join: None, leave: Some(meta) }
    }

    pub(in crate::services::hub) fn key(&self) -> &str {
        &self.key
    }

    /// What this is to people: somebody came (`true`), somebody went (`false`), or neither.
    pub(in crate::services::hub) fn came(&self) -> Option<bool> {
        match (&self.join, &self.leave) {
            (Some(_), None) => Some(true),
            (None, Some(_)) => Some(false),
            _ => None,
        }
    }
}

/// Who is present in one topic, for people.
#[derive(Debug, Serialize)]
pub(super) struct Members<'a> {
    count: usize,
    /// The first of them.
    names: Vec<&'a str>,
}

impl Members<'_> {
    /// How many are named.
    const NAMED: usize = 50;
}

/// The presence of one topic.
#[derive(Debug, Default)]
pub(in crate::services::hub) struct Presence {
    /// The metas of a key, oldest channel first.
    metas: BTreeMap<Arc<str>, Vec<(u64, Meta)>>,
    /// The state as it was last asked for, until it changes.
    encoded: Option<Bytes>,
}

impl Presence {
    /// Carries out changes, and encodes them as the payload of one `presence_diff`. Metas that come and go within
    /// the batch are left out; `None` if nothing is left.
    pub(in crate::services::hub) fn apply(&mut self, changes: &[Change]) -> Option<Vec<u8>> {
        self.encoded = None;
        let mut joins: Grouped<'_> = BTreeMap::new();
        let mut leaves: Grouped<'_> = BTreeMap::new();
        for change in changes {
            if let Some(meta) = &change.leave {
                self.remove(change);
                let came = joins.get_mut(&*change.key).map(|metas| {
                    let before = metas.len();
                    metas.retain(|joined| !Arc::ptr_eq(joined, meta));
                    metas.len() < before
                });
                if came != Some(true) {
                    leaves.entry(&change.key).or_default().push(meta);
                }
            }
            if let Some(meta) = &change.join {
                self.insert(change, meta);
                joins.entry(&change.key).or_default().push(meta);
            }
        }
        joins.retain(|_, metas| !metas.is_empty());
        if joins.is_empty() && leaves.is_empty() {
            return None;
        }
        let mut diff = b"{\"joins\":".to_vec();
        encode(joins.iter().map(|(key, metas)| (*key, metas.iter().copied())), &mut diff);
        diff.extend_from_slice(b",\"leaves\":");
        encode(leaves.iter().map(|(key, metas)| (*key, metas.iter().copied())), &mut diff);
        diff.push(b'}');
        Some(diff)
    }

    /// The payload of `presence_state`, encoded once until the next change.
    pub(in crate::services::hub) fn state(&mut self) -> Bytes {
        let metas = &self.metas;
        self.encoded
            .get_or_insert_with(|| {
                let mut state = Vec::new();
                let keys = metas.iter().map(|(key, metas)| (&**key, metas.iter().map(|(_, meta)| meta)));
                encode(keys, &mut state);
                state.into()
            })
            .clone()
    }

    /// Who is present, for people.
    pub(super) fn members(&self) -> Members<'_> {
        let names = self.metas.keys().take(Members::NAMED).map(|key| &**key).collect();
        Members { count: self.metas.len(), names }
    }

    /// The keys that are present, in order.
    pub(in crate::services::hub) fn keys(&self) -> Vec<String> {
        self.metas.keys().map(|key| key.to_string()).collect()
    }

    fn insert(&mut self, change: &Change, meta: &Meta) {
        let metas = self.metas.entry(Arc::clone(&change.key)).or_default();
        let at = metas.partition_point(|(member, _)| *member < change.member);
        metas.insert(at, (change.member, Arc::clone(meta)));
    }

    fn remove(&mut self, change: &Change) {
        if let Some(metas) = self.metas.get_mut(&change.key) {
            metas.retain(|(member, _)| *member != change.member);
            if metas.is_empty() {
                self.metas.remove(&change.key);
            }
        }
    }
}

type Grouped<'a> = BTreeMap<&'a str, Vec<&'a Meta>>;

/// `{"key":{"metas":[…]},…}`
fn encode<'a, M: Iterator<Item = &'a Meta>>(keys: impl Iterator<Item = (&'a str, M)>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (key, metas)) in keys.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::emit_string(key, &mut |bytes| out.extend_from_slice(bytes));
        out.extend_from_slice(b":{\"metas\":[");
        for (index, meta) in metas.enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(meta);
        }
        out.extend_from_slice(b"]}");
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(text: &str) -> Meta {
        format!("{{\"phx_ref\":\"{text}\"}}").into_bytes().into()
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn sessions_of_one_user_are_listed_by_age_and_an_update_keeps_its_place() {
        let mut presence = Presence::default();
        let (a, b, c) = (meta("a"), meta("b"), meta("c"));
        presence.apply(&[Change::join("robin".into(), 7, Arc::clone(&b))]);
        presence.apply(&[Change::join("robin".into(), 3, Arc::clone(&a))]);
        let diff = presence.apply(&[Change::update("robin".into(), 3, c, a)]).unwrap();
        assert_eq!(
            text(&diff),
            r#"{"joins":{"robin":{"metas":[{"phx_ref":"c"}]}},"leaves":{"robin":{"metas":[{"phx_ref":"a"}]}}}"#
        );
        assert_eq!(text(&presence.state()), r#"{"robin":{"metas":[{"phx_ref":"c"},{"phx_ref":"b"}]}}"#);
        presence.apply(&[Change::leave("robin".into(), 7, b)]);
        assert_eq!(text(&presence.state()), r#"{"robin":{"metas":[{"phx_ref":"c"}]}}"#);
    }

    #[test]
    fn what_comes_and_goes_within_a_batch_is_not_told() {
        let mut presence = Presence::default();
        let (a, b) = (meta("a"), meta("b"));
        let key: Arc<str> = "robin".into();
        assert_eq!(
            presence.apply(&[
                Change::join(Arc::clone(&key), 1, Arc::clone(&a)),
                Change::update(Arc::clone(&key), 1, Arc::clone(&b), a),
                Change::leave(Arc::clone(&key), 1, b),
            ]),
            None
        );
        assert_eq!(text(&presence.state()), "{}");
    }

    #[test]
    fn any_key_is_a_key() {
        let mut presence = Presence::default();
        for key in ["", "__proto__", "\"", "grün"] {
            presence.apply(&[Change::join(key.into(), 1, meta("x"))]);
        }
        let state: serde_json::Value = serde_json::from_slice(&presence.state()).unwrap();
        assert_eq!(state.as_object().unwrap().len(), 4);
    }
}
