//! The screen without a terminal: what is told and pressed, and what is seen then.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::state::{Action, State};
use super::view;
use crate::services::hub::client::ChatEvent;

fn came(name: &str) -> ChatEvent {
    ChatEvent::MemberJoined { name: name.into() }
}

fn said(name: &str, body: &str) -> ChatEvent {
    ChatEvent::Shout { name: name.into(), body: body.into(), kept: false }
}

/// Robin is in the lobby with Ann.
fn joined() -> State {
    let mut state = State::new("lobby", "robin");
    hear(&mut state, [ChatEvent::Joined, came("ann"), came("robin")]);
    state
}

fn hear(state: &mut State, told: impl IntoIterator<Item = ChatEvent>) {
    for told in told {
        state.hear(&told, "12:34");
    }
}

fn press(state: &mut State, keys: &str) -> Action {
    let mut action = Action::None;
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '↑' => KeyCode::Up,
            '↓' => KeyCode::Down,
            '←' => KeyCode::Left,
            '⌫' => KeyCode::Backspace,
            '⇞' => KeyCode::PageUp,
            '⇟' => KeyCode::PageDown,
            other => KeyCode::Char(other),
        };
        action = state.press(KeyEvent::new(code, KeyModifiers::NONE));
    }
    action
}

fn control(state: &mut State, key: char) -> Action {
    state.press(KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL))
}

/// The rows of the screen, without blanks at their ends, and where the cursor is.
fn seen(state: &mut State, width: u16, height: u16) -> (Vec<String>, (u16, u16)) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(frame, state)).unwrap();
    let cursor = terminal.get_cursor_position().unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y| {
        let mut row = String::new();
        let mut x = 0;
        while let Some(cell) = buffer.cell((x, y)) {
            row += cell.symbol();
            // A wide character hides the cell behind it.
            x += u16::try_from(textwrap::core::display_width(cell.symbol())).unwrap().max(1);
        }
        row.trim_end().to_owned()
    };
    ((0..height).map(row).collect(), (cursor.x, cursor.y))
}

#[test]
fn a_room_shows_who_is_there_and_what_was_said() {
    let mut state = State::new("lobby", "robin");
    hear(&mut state, [ChatEvent::Joined]);
    state.hear(&ChatEvent::Shout { name: "ann".into(), body: "earlier".into(), kept: true }, "12:34");
    hear(&mut state, [came("ann"), came("robin"), said("ann", "hello 🍀 robin"), came("ben")]);
    hear(&mut state, [ChatEvent::Typing { name: "ann".into(), typing: true }]);
    press(&mut state, "hi");
    let (rows, cursor) = seen(&mut state, 64, 12);
    assert_eq!(
        rows,
        [
            "┌ lobby ─────────────────────────────────┐┌ 3 here ────────────┐",
            "│                                        ││ann …               │",
            "│                                        ││ben                 │",
            "│                                        ││robin               │",
            "│12:34 * you are in lobby                ││                    │",
            "│      ann: earlier                      ││                    │",
            "│12:34 ann: hello 🍀 robin               ││                    │",
            "│12:34 * ben is here                     ││                    │",
            "└────────────────────────────────────────┘└────────────────────┘",
            "┌ ann is typing… ──────────────────────────────────────────────┐",
            "│hi                                                            │",
            "└ Enter says · PgUp PgDn scroll · ↑ ↓ own lines · Ctrl-C leaves┘",
        ]
    );
    assert_eq!(cursor, (3, 10));
}

#[test]
fn any_size_is_survived() {
    let mut state = joined();
    hear(&mut state, [said("a name that is long", &"長い文 and words ".repeat(20)), said("ann", "")]);
    press(&mut state, "a line that is much longer than the screen is wide 長い文");
    for width in 0..70 {
        for height in 0..14 {
            seen(&mut state, width, height);
        }
    }
}

#[test]
fn long_words_and_wide_characters_are_wrapped_to_the_width() {
    let mut state = joined();
    hear(&mut state, [said("ann", "長い文長い文長い文"), said("ann", "abcdefghijklmnopqrstuvwxyz\nnext")]);
    let (rows, _) = seen(&mut state, 24, 14);
    assert_eq!(
        rows[..10],
        [
            "┌ lobby ───────────────┐",
            "│12:34 * you are in    │",
            "│      lobby           │",
            "│12:34 ann:            │",
            "│      長い文長い文長い│",
            "│      文              │",
            "│12:34 ann:            │",
            "│      abcdefghijklmnop│",
            "│      qrstuvwxyz      │",
            "│      next            │",
        ]
    );
}

#[test]
fn what_is_read_stays_while_others_talk() {
    let mut state = joined();
    hear(&mut state, (0..30).map(|number| said("ann", &format!("number {number}"))));
    let top = |state: &mut State| seen(state, 64, 10).0[1].clone();
    seen(&mut state, 64, 10);
    press(&mut state, "⇞");
    assert!(top(&mut state).contains("number 21"), "{}", top(&mut state));
    hear(&mut state, [said("ann", "more")]);
    assert!(top(&mut state).contains("number 21"));
    let (rows, _) = seen(&mut state, 64, 10);
    assert!(rows[6].contains(" 1 new below, PgDn "), "{rows:?}");
    press(&mut state, "⇞⇞⇞⇞⇞⇞⇞⇞⇞⇞⇞⇞⇞");
    assert!(top(&mut state).contains("you are in lobby"), "there is nothing above the first");
    press(&mut state, "⇟⇟⇟⇟⇟⇟⇟⇟⇟⇟⇟⇟⇟");
    assert!(seen(&mut state, 64, 10).0[5].contains("more"));
}

#[test]
fn lines_are_edited_said_and_called_back() {
    let mut state = joined();
    assert_eq!(press(&mut state, "\n"), Action::None, "nothing is not said");
    assert_eq!(press(&mut state, "helo←l"), Action::Type);
    assert_eq!(press(&mut state, "\n"), Action::Say("hello".into()));
    // A family of several code points is one character.
    state.paste("👨\u{200d}👩\u{200d}👧!\nnext");
    for _ in 0..6 {
        press(&mut state, "⌫");
    }
    assert_eq!(press(&mut state, "x⌫"), Action::Type);
    assert_eq!(state.input.value(), "👨\u{200d}👩\u{200d}👧");
    press(&mut state, "⌫draft↑");
    assert_eq!(state.input.value(), "hello");
    press(&mut state, "↑↓");
    assert_eq!(state.input.value(), "draft");
    control(&mut state, 'w');
    assert_eq!(state.input.value(), "");
    for key in ['c', 'd', 'q'] {
        assert_eq!(control(&mut state, key), Action::Leave);
    }
    press(&mut state, "x");
    assert_eq!(control(&mut state, 'd'), Action::None, "not while something is written");
}

#[test]
fn what_is_pasted_goes_where_the_cursor_is_and_fills_the_line_at_most() {
    let mut state = joined();
    press(&mut state, "ad←");
    state.paste("b\nc");
    assert_eq!(press(&mut state, "!"), Action::Type);
    assert_eq!(state.input.value(), "ab c!d");
    state.paste(&"x".repeat(1 << 20));
    assert_eq!(state.input.value().len(), 4096);
    assert!(state.input.value().ends_with("xxd"));
}

#[test]
fn offline_nothing_is_said_and_the_line_is_kept() {
    let mut state = joined();
    let offline = || ChatEvent::Offline { reason: "refused".into() };
    hear(&mut state, [offline(), offline()]);
    assert_eq!(press(&mut state, "hello\n"), Action::None);
    let (rows, _) = seen(&mut state, 64, 10);
    assert!(rows[0].contains("offline, trying again…"), "{rows:?}");
    assert_eq!(rows.iter().filter(|row| row.contains("12:34 * offline: refused")).count(), 1, "told once");
    assert!(rows[7].contains(" refused ") && rows[8].contains("hello"), "{rows:?}");
    hear(&mut state, [ChatEvent::Joined]);
    assert_eq!(press(&mut state, "\n"), Action::Say("hello".into()));
}

#[test]
fn many_people_are_counted_and_missing_ones_admitted() {
    let mut state = joined();
    hear(&mut state, (0..20).map(|number| came(&format!("somebody with a long name {number}"))));
    hear(&mut state, [ChatEvent::MembersIncomplete { reason: "too many".into() }]);
    let (rows, _) = seen(&mut state, 64, 10);
    assert!(rows[0].ends_with("┌ 22 here ───────────┐"), "{rows:?}");
    assert!(rows[3].ends_with("│somebody with a lon…│"), "{rows:?}");
    assert!(rows[5].ends_with("│and 18 more         │"), "{rows:?}");
    assert!(rows[6].contains(" and more "), "{rows:?}");
}

#[test]
fn text_of_others_does_not_steer_the_terminal() {
    let mut state = joined();
    hear(&mut state, [said("\u{1b}[31mann", "\u{1b}]0;title\u{7}")]);
    let (rows, _) = seen(&mut state, 64, 10);
    assert!(rows[5].contains("�[31mann: �]0;title�"), "{rows:?}");
}
