//! What the screen shows, and what keys do to it. No terminal in here.

use std::collections::{BTreeMap, VecDeque};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::super::printable;
use crate::services::hub::client::ChatEvent;

/// How many entries are kept; the oldest goes.
const KEPT: usize = 10_000;

/// How many of our own lines can be called back.
const RECALLED: usize = 100;

/// How many characters a line may have that something is pasted into; the rest of that is left out.
const LINE: usize = 4096;

/// What a key asks for beyond the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    None,
    /// The line is being written.
    Type,
    Say(String),
    Leave,
}

/// Whether we are in the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Connecting,
    Online,
    Offline(String),
}

/// One thing that happened, made of printable text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The time of day it came, empty for what was said before we were there.
    pub(super) at: String,
    /// Who said it; nobody when it is a notice.
    pub(super) name: Option<String>,
    pub(super) text: String,
}

/// Everything that is shown.
pub(super) struct State {
    pub(super) room: String,
    pub(super) name: String,
    pub(super) link: Link,
    pub(super) log: VecDeque<Entry>,
    /// Who is there, and whether they are typing.
    pub(super) people: BTreeMap<String, bool>,
    /// Why `people` may lack somebody.
    pub(super) members_incomplete: Option<String>,
    pub(super) input: Input,
    /// How many rows of the log are below what is shown.
    pub(super) scroll: usize,
    /// How many entries came while scrolled up.
    pub(super) unseen: usize,
    /// Width and height of the log when it was drawn last.
    pub(super) size: (usize, usize),
    sent: VecDeque<String>,
    /// Which of `sent` is being looked at, counted from the newest; `draft` is what was being written before.
    recall: usize,
    draft: String,
}

impl State {
    pub(super) fn new(room: &str, name: &str) -> Self {
        Self {
            room: printable(room),
            name: printable(name),
            link: Link::Connecting,
            log: VecDeque::new(),
            people: BTreeMap::new(),
            members_incomplete: None,
            input: Input::default(),
            scroll: 0,
            unseen: 0,
            size: (80, 24),
            sent: VecDeque::new(),
            recall: 0,
            draft: String::new(),
        }
    }

    pub(super) fn is_online(&self) -> bool {
        self.link == Link::Online
    }

    /// Who is typing, ourselves left out.
    pub(super) fn typing(&self) -> impl Iterator<Item = &str> {
        self.people
            .iter()
            .filter(|(name, typing)| **typing && **name != self.name)
            .map(|(name, _)| name.as_str())
    }

    /// Takes what the room tells, at this time of day.
    pub(super) fn hear(&mut self, told: &ChatEvent, at: &str) {
        match told {
            ChatEvent::Joined => {
                self.link = Link::Online;
                self.members_incomplete = None;
                self.note(at, &format!("you are in {}", self.room));
            }
            ChatEvent::Shout { name, body, kept } => {
                let at = if *kept { "" } else { at };
                self.add(at, Some(name), body);
            }
            ChatEvent::MemberJoined { name } => {
                // Whoever is there when we come is listed, not announced.
                let announced = self.people.contains_key(&self.name);
                self.people.insert(printable(name), false);
                if announced && printable(name) != self.name {
                    self.note(at, &format!("{name} is here"));
                }
            }
            ChatEvent::MemberLeft { name } => {
                self.people.remove(&printable(name));
                // Of ourselves that is the connection before this one.
                if printable(name) != self.name {
                    self.note(at, &format!("{name} has left"));
                }
            }
            ChatEvent::Typing { name, typing } => {
                self.people.insert(printable(name), *typing);
            }
            ChatEvent::MembersIncomplete { reason } => self.members_incomplete = Some(printable(reason)),
            ChatEvent::Unsent { body } => self.note(at, &format!("not sent: {body}")),
            // Every attempt fails the same way; it is told once.
            ChatEvent::Offline { reason } if self.link == Link::Offline(printable(reason)) => {}
            ChatEvent::Offline { reason } => {
                self.link = Link::Offline(printable(reason));
                self.note(at, &format!("offline: {reason}"));
            }
            ChatEvent::Refused { .. } => {}
        }
    }

    /// Takes a key.
    pub(super) fn press(&mut self, key: KeyEvent) -> Action {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'q') if control => return Action::Leave,
            KeyCode::Char('d') if control && self.input.value().is_empty() => return Action::Leave,
            KeyCode::Enter => return self.say(),
            KeyCode::PageUp => self.scroll_by(self.size.1.saturating_sub(1).max(1), true),
            KeyCode::PageDown => self.scroll_by(self.size.1.saturating_sub(1).max(1), false),
            KeyCode::Up if control => self.scroll_by(1, true),
            KeyCode::Down if control => self.scroll_by(1, false),
            KeyCode::Home if control => self.scroll_by(usize::MAX / 2, true),
            KeyCode::End if control => self.scroll_by(usize::MAX, false),
            KeyCode::Up => self.call_back(self.recall + 1),
            KeyCode::Down => self.call_back(self.recall.saturating_sub(1)),
            KeyCode::Esc => self.input.reset(),
            _ => {
                let changed = self.input.handle_event(&Event::Key(key));
                if changed.is_some_and(|changed| changed.value) && self.is_online() {
                    return Action::Type;
                }
            }
        }
        Action::None
    }

    /// Takes pasted text into the line, as far as there is room; line breaks become blanks.
    pub(super) fn paste(&mut self, text: &str) -> Action {
        let room = LINE.saturating_sub(self.input.value().chars().count());
        for character in printable(text).chars().take(room) {
            let character = if character == '\n' { ' ' } else { character };
            self.input.handle(tui_input::InputRequest::InsertChar(character));
        }
        if self.is_online() { Action::Type } else { Action::None }
    }

    /// Says the line. Offline it is kept in the line.
    fn say(&mut self) -> Action {
        if !self.is_online() || self.input.value().trim().is_empty() {
            return Action::None;
        }
        let body = self.input.value_and_reset();
        if self.sent.back() != Some(&body) {
            self.sent.push_back(body.clone());
        }
        if self.sent.len() > RECALLED {
            self.sent.pop_front();
        }
        self.recall = 0;
        self.scroll = 0;
        self.unseen = 0;
        Action::Say(body)
    }

    /// Puts one of our own earlier lines into the input, or what was being written before.
    fn call_back(&mut self, recall: usize) {
        if recall > self.sent.len() || recall == self.recall {
            return;
        }
        if self.recall == 0 {
            self.draft = self.input.value().to_owned();
        }
        self.recall = recall;
        let line = match recall {
            0 => Some(&self.draft),
            back => self.sent.get(self.sent.len() - back),
        };
        self.input = Input::new(line.cloned().unwrap_or_default());
    }

    fn scroll_by(&mut self, rows: usize, up: bool) {
        // Too far up is seen, and corrected, when drawing.
        self.scroll = if up { self.scroll.saturating_add(rows) } else { self.scroll.saturating_sub(rows) };
        if self.scroll == 0 {
            self.unseen = 0;
        }
    }

    fn note(&mut self, at: &str, text: &str) {
        self.add(at, None, text);
    }

    fn add(&mut self, at: &str, name: Option<&str>, text: &str) {
        let entry = Entry { at: at.to_owned(), name: name.map(printable), text: printable(text) };
        if self.scroll > 0 {
            // What is being read stays where it is.
            self.scroll += super::view::rows(&entry, self.size.0).len();
            self.unseen += 1;
        }
        self.log.push_back(entry);
        if self.log.len() > KEPT {
            self.log.pop_front();
        }
    }
}
