//! The page of a room at `/c/ROOM`: the kept messages, and a small chat client.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use crate::services::hub::Hub;

/// The room that `/c` shows.
const LOBBY: &str = "lobby";

#[derive(serde::Deserialize)]
pub(in crate::services::hub) struct Presented {
    token: Option<String>,
}

pub(in crate::services::hub) async fn lobby(hub: State<Hub>, presented: Query<Presented>) -> Response {
    room(hub, Path(LOBBY.to_owned()), presented).await
}

pub(in crate::services::hub) async fn room(
    State(hub): State<Hub>,
    Path(room): Path<String>,
    Query(presented): Query<Presented>,
) -> Response {
    if hub.inner.guard.admits(presented.token.as_deref()) {
        page(&hub, &room).await.into_response()
    } else {
        (StatusCode::FORBIDDEN, "the room needs the key of the hub: open it with ?token=KEY\n")
            .into_response()
    }
}

async fn page(hub: &Hub, room: &str) -> Html<String> {
    let messages = match hub.history() {
        Some(history) => history.recent(room).await,
        None => Vec::new(),
    };
    let messages: String = messages
        .iter()
        .map(|shout| format!("<li><b>{}</b> {}</li>\n", escape(&shout.name), escape(&shout.body)))
        .collect();
    // The room goes in last: its name, unlike the messages, could be a placeholder.
    let page = include_str!("page.html");
    let (before, after) = page.split_once("{messages}").unwrap_or((page, ""));
    let name = escape(room);
    Html(format!("{}{messages}{}", before.replace("{room}", &name), after.replace("{room}", &name)))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
