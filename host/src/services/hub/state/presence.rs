//! Who is present in one topic, in Phoenix's shape: `{key: {"metas": [meta, …]}}`. Pure.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
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

/// Changes that have not been told. **Bound:** one for each key of each member; of more only what they come to is told.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<(u64, Arc<str>), Change>);

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, change: Change) {
        match self.0.entry((change.member, Arc::clone(&change.key))) {
            Entry::Vacant(place) => {
                place.insert(change);
            }
            Entry::Occupied(mut before) => {
                before.get_mut().join = change.join;
                if before.get().join.is_none() && before.get().leave.is_none() {
                    before.remove();
                }
            }
        }
    }

    /// Whose changes these are.
    pub(super) fn members(&self) -> BTreeSet<u64> {
        self.0.keys().map(|(member, _)| *member).collect()
    }
}

impl From<Waiting> for Vec<Change> {
    fn from(waiting: Waiting) -> Self {
        waiting.0.into_values().collect()
    }
}

/// Who is present in one topic, for people.
#[derive(Debug, Serialize)]
pub(super) struct Census<'a> {
    count: usize,
    /// The first of them.
    names: Vec<&'a str>,
}

impl Census<'_> {
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
    /// Carries out changes, and encodes them as the payload of one `presence_diff`; `None` if there are none.
    pub(in crate::services::hub) fn apply(&mut self, changes: &[Change]) -> Option<Vec<u8>> {
        self.encoded = None;
        let mut joins: Grouped<'_> = BTreeMap::new();
        let mut leaves: Grouped<'_> = BTreeMap::new();
        for change in changes {
            if let Some(meta) = &change.leave {
                self.remove(change);
                leaves.entry(&change.key).or_default().push(meta);
            }
            if let Some(meta) = &change.join {
                self.insert(change, meta);
                joins.entry(&change.key).or_default().push(meta);
            }
        }
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
    pub(super) fn census(&self) -> Census<'_> {
        let names = self.metas.keys().take(Census::NAMED).map(|key| &**key).collect();
        Census { count: self.metas.len(), names }
    }

    /// The members that are present.
    pub(super) fn members(&self) -> BTreeSet<u64> {
        self.metas.values().flatten().map(|(member, _)| *member).collect()
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
    fn of_what_waits_only_what_it_comes_to_is_told() {
        let (a, b, c) = (meta("a"), meta("b"), meta("c"));
        let key: Arc<str> = "robin".into();
        let join = |meta: &Meta| Change::join(Arc::clone(&key), 1, Arc::clone(meta));
        let update =
            |new: &Meta, old: &Meta| Change::update(Arc::clone(&key), 1, Arc::clone(new), Arc::clone(old));
        let leave = |meta: &Meta| Change::leave(Arc::clone(&key), 1, Arc::clone(meta));
        for (present, changes, joined, left) in [
            (None, vec![join(&a), update(&b, &a), leave(&b)], None, None),
            (None, vec![join(&a), update(&b, &a), update(&c, &b)], Some("c"), None),
            (Some(&a), vec![update(&b, &a), update(&c, &b)], Some("c"), Some("a")),
            (Some(&a), vec![update(&b, &a), leave(&b)], None, Some("a")),
        ] {
            let mut presence = Presence::default();
            if let Some(meta) = present {
                presence.apply(&[join(meta)]);
            }
            let mut waiting = Waiting::default();
            changes.into_iter().for_each(|change| waiting.add(change));
            let diff = presence.apply(&Vec::from(waiting));
            let of = |meta: Option<&str>| match meta {
                Some(meta) => format!(r#"{{"robin":{{"metas":[{{"phx_ref":"{meta}"}}]}}}}"#),
                None => "{}".to_owned(),
            };
            let told = format!(r#"{{"joins":{},"leaves":{}}}"#, of(joined), of(left));
            let nothing = joined.is_none() && left.is_none();
            assert_eq!(diff.as_deref().map(text), (!nothing).then_some(&*told));
            assert_eq!(text(&presence.state()), of(joined));
        }
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
