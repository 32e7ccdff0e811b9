//! The topics that the hub itself offers, each an example of what a [`Topic`](super::channel::Topic) can do.

pub(super) mod fixture;
pub(super) mod room;
