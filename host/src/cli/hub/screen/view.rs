//! How the screen looks.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};
use textwrap::core::display_width;

use super::state::{Entry, Link, State};

/// Below this width there is no list of people.
const WIDE: u16 = 60;

/// The width of the list of people.
const PEOPLE: u16 = 22;

/// How far the second row of an entry is indented.
const INDENT: &str = "      ";

/// The colours of names; none is that of notices, and all can be read on black and on white.
const COLOURS: [Color; 6] =
    [Color::Green, Color::Yellow, Color::Blue, Color::Magenta, Color::Cyan, Color::Red];

/// Draws everything, and tells the state how large the log is.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State) {
    let [upper, lower] = Layout::vertical([Constraint::Min(3), Constraint::Length(3)]).areas(frame.area());
    let people = if frame.area().width >= WIDE { PEOPLE } else { 0 };
    let [log, list] = Layout::horizontal([Constraint::Min(0), Constraint::Length(people)]).areas(upper);
    draw_log(frame, log, state);
    if people > 0 {
        draw_people(frame, list, state);
    }
    draw_input(frame, lower, state);
}

fn draw_log(frame: &mut Frame<'_>, area: Rect, state: &mut State) {
    let mut block = Block::bordered().title(format!(" {} ", state.room).bold());
    block = match &state.link {
        Link::Connecting => block.title(" connecting… ".yellow()),
        Link::Online => block,
        Link::Offline(_) => block.title(" offline, trying again… ".red()),
    };
    if state.unseen > 0 {
        block = block.title_bottom(format!(" {} new below, PgDn ", state.unseen).yellow());
    }
    let inside = block.inner(area);
    let (width, height) = (usize::from(inside.width), usize::from(inside.height));
    state.size = (width, height);
    // From the newest upwards, as many as are needed.
    let mut rows = Vec::new();
    for entry in state.log.iter().rev() {
        if rows.len() >= state.scroll.saturating_add(height) {
            break;
        }
        rows.extend(self::rows(entry, width).into_iter().rev());
    }
    state.scroll = state.scroll.min(rows.len().saturating_sub(height));
    if state.scroll == 0 {
        state.unseen = 0;
    }
    let shown: Vec<Line<'_>> = rows.into_iter().skip(state.scroll).take(height).rev().collect();
    let above = u16::try_from(height - shown.len()).unwrap_or_default();
    frame.render_widget(block, area);
    let area = Rect { y: inside.y + above, height: inside.height - above, ..inside };
    frame.render_widget(Paragraph::new(shown), area);
}

/// An entry as rows of this width.
pub(super) fn rows(entry: &Entry, width: usize) -> Vec<Line<'static>> {
    // Whatever the width, a wide character must fit.
    let width = width.max(INDENT.len() + 2);
    let head = match &entry.name {
        Some(name) => format!("{name}: "),
        None => "* ".to_owned(),
    };
    let at = format!("{:5} ", entry.at);
    let options = textwrap::Options::new(width)
        .initial_indent(INDENT)
        .subsequent_indent(INDENT)
        .word_separator(textwrap::WordSeparator::AsciiSpace);
    let text = format!("{head}{}", entry.text);
    let mut rows = Vec::new();
    let mut unnamed = head.as_str();
    for (index, row) in textwrap::wrap(&text, options).into_iter().enumerate() {
        let row = row.strip_prefix(INDENT).unwrap_or(&row).to_owned();
        let mut spans = vec![Span::from(if index == 0 { at.clone() } else { INDENT.to_owned() }).dim()];
        let style = entry.name.as_deref().map_or(Style::new().dim(), colour);
        // A name that is wrapped itself is coloured on all its rows.
        let named = common(&row, unnamed);
        unnamed = unnamed.get(named..).unwrap_or_default().trim_start();
        let (name, rest) = row.split_at(named);
        spans.push(Span::styled(name.to_owned(), style));
        spans.push(if entry.name.is_some() { Span::from(rest.to_owned()) } else { rest.to_owned().dim() });
        rows.push(Line::from(spans));
    }
    rows
}

/// How many bytes both texts begin with alike.
fn common(one: &str, other: &str) -> usize {
    one.char_indices()
        .zip(other.chars())
        .take_while(|((_, one), other)| one == other)
        .last()
        .map_or(0, |((at, character), _)| at + character.len_utf8())
}

fn colour(name: &str) -> Style {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
    let index = usize::try_from(hash % COLOURS.len() as u64).unwrap_or_default();
    Style::new().fg(COLOURS.get(index).copied().unwrap_or(Color::Reset)).bold()
}

fn draw_people(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let mut block = Block::bordered().title(format!(" {} here ", state.people.len()));
    if state.members_incomplete.is_some() {
        block = block.title_bottom(" and more ".yellow());
    }
    let inside = block.inner(area);
    let height = usize::from(inside.height);
    let more = state.people.len().saturating_sub(height);
    let shown = if more > 0 { height.saturating_sub(1) } else { height };
    let width = usize::from(inside.width);
    let mut lines: Vec<Line<'_>> = state
        .people
        .iter()
        .take(shown)
        .map(|(name, typing)| {
            let mark = if *typing { " …" } else { "" };
            let name = Span::styled(cut(name, width.saturating_sub(display_width(mark))), colour(name));
            Line::from(vec![name, Span::from(mark)])
        })
        .collect();
    if more > 0 {
        lines.push(Line::from(format!("and {} more", state.people.len() - shown).dim()));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// As much of a text as fits into so many columns, with `…` where it was cut.
fn cut(text: &str, width: usize) -> String {
    let text = text.replace('\n', " ");
    if display_width(&text) <= width {
        return text;
    }
    let mut cut = String::new();
    for character in text.chars() {
        let mut longer = cut.clone();
        longer.push(character);
        if display_width(&longer) + 1 > width {
            break;
        }
        cut = longer;
    }
    cut.push('…');
    cut
}

fn draw_input(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let typing: Vec<&str> = state.typing().collect();
    let (title, style) = match (&state.link, &*typing) {
        (Link::Offline(reason), _) => (reason.clone(), Style::new().red()),
        (_, []) => (state.name.clone(), Style::new().bold()),
        (_, [one]) => (format!("{one} is typing…"), Style::new().italic()),
        (_, [one, other]) => (format!("{one} and {other} are typing…"), Style::new().italic()),
        (_, many) => (format!("{} are typing…", many.len()), Style::new().italic()),
    };
    let title = cut(&title, usize::from(area.width).saturating_sub(4));
    let block = Block::bordered()
        .title(Span::styled(format!(" {title} "), style))
        .title_bottom(" Enter says · PgUp PgDn scroll · ↑ ↓ own lines · Ctrl-C leaves ".dim());
    let inside = block.inner(area);
    let width = usize::from(inside.width).saturating_sub(1).max(1);
    let scroll = state.input.visual_scroll(width);
    let line = Paragraph::new(state.input.value())
        .scroll((0, u16::try_from(scroll).unwrap_or(u16::MAX)))
        .block(block);
    frame.render_widget(line, area);
    if inside.width > 0 && inside.height > 0 {
        let column = state.input.visual_cursor().saturating_sub(scroll);
        let column = u16::try_from(column).unwrap_or(u16::MAX).min(inside.width - 1);
        frame.set_cursor_position((inside.x + column, inside.y));
    }
}
