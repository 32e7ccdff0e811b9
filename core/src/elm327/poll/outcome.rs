//! What came of a question: for each of its items, and for what is asked next.

use super::group::Blame;
use super::*;

impl<const N: usize> Poller<N> {
    /// Takes what the car answered to the last question, and tells what it means for each item.
    pub fn handle_answer<'a>(
        &mut self,
        now: Instant,
        messages: impl Iterator<Item = Message<'a>> + Clone,
        lines: u8,
        fault: Option<Failure>,
        on_outcome: impl FnMut(Key, Outcome<'_>),
    ) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        self.measure(now - asked.at);
        match asked.keys[..] {
            [key] => self.handle_single(now, key, &asked, Answered { messages, lines, fault }, on_outcome),
            _ => self.handle_group(now, &asked, messages, on_outcome),
        }
    }

    /// Takes that the last question failed, and tells which items are concerned.
    pub fn handle_failure(
        &mut self,
        now: Instant,
        failure: Failure,
        mut on_outcome: impl FnMut(Key, Outcome<'_>),
    ) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        match failure {
            // The link's trouble, not the items': ask again.
            Failure::Restarted | Failure::Adapter(Status::Stopped) => return self.make_due(now, &asked.keys),
            _ => {}
        }
        let [key] = asked.keys[..] else {
            return self.fail_group(now, &asked, &[]);
        };
        let is_refusal = matches!(failure, Failure::Adapter(Status::WrongHexCount | Status::NotUnderstood));
        if asked.counted && is_refusal && self.counts.fail() == Blame::Count {
            // Perhaps a clone that does not know the response count.
            return self.make_due(now, &asked.keys);
        }
        if let Some(slot) = self.slot_mut(key) {
            slot.forget();
            match failure {
                Failure::Adapter(Status::NoData) => slot.rest(now),
                // Of the link, which may be well again at any moment.
                _ => slot.pause(now),
            }
        }
        on_outcome(key, Outcome::Failed(failure));
    }

    /// Takes the answer to one item.
    fn handle_single<'a>(
        &mut self,
        now: Instant,
        key: Key,
        asked: &Asked,
        answered: Answered<impl Iterator<Item = Message<'a>>>,
        mut on_outcome: impl FnMut(Key, Outcome<'_>),
    ) {
        let Answered { messages, lines, fault } = answered;
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.key == key) else {
            return;
        };
        let mut source = None;
        let mut length = None;
        let (mut any, mut negative) = (false, false);
        for message in messages {
            if let Some(data) = answer_data(message.data, &slot.item) {
                any = true;
                // Of several ECUs the one with the lowest address: on CAN the engine's.
                if source.is_none_or(|source| message.source < source) {
                    source = Some(message.source);
                    length = u8::try_from(data.len()).ok();
                }
            } else if matches!(message.data, [0x7F, service, ..] if *service == asked.service) {
                negative = true;
            } else {
                continue;
            }
            on_outcome(key, Outcome::Answer(message));
        }
        if !any {
            slot.forget();
            if negative {
                return slot.rest(now);
            }
            slot.pause(now);
            on_outcome(key, Outcome::Failed(fault.unwrap_or(Failure::Incomplete)));
            return;
        }
        slot.failures = 0;
        slot.alone = false;
        slot.redeem();
        // What was damaged beside it was perhaps the answer of the one to ask.
        if slot.source != source && fault.is_none() {
            slot.source = source;
            slot.lines = None;
        }
        // What the car says counts more than what tables say.
        slot.length = length.or(slot.item.length);
        slot.lines = match slot.lines {
            _ if fault.is_some() => None,
            Some((lines, left)) if asked.counted => left.checked_sub(1).map(|left| (lines, left)),
            _ if slot.item.length.is_some() || slot.item.group => Some((lines, RELEARN)),
            // An answer of any length has any number of lines.
            _ => None,
        };
        if fault.is_some() {
            return;
        }
        if slot.may_join() {
            self.grow();
        }
        self.counts.succeed(asked.counted);
    }
}

/// What the car answered.
struct Answered<I> {
    messages: I,
    lines: u8,
    fault: Option<Failure>,
}

/// The data of an answer to an item, after what it repeats.
fn answer_data<'a>(answer: &'a [u8], item: &Item) -> Option<&'a [u8]> {
    let (&service, rest) = answer.split_first()?;
    if service != item.service() | 0x40 {
        return None;
    }
    rest.strip_prefix(item.repeated())
}
