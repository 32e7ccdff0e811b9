//! The messages that are kept: valid shouts, one hour, in SQLite or PostgreSQL through one library.
//!
//! One task owns the database; what it is asked is done in order. **Bounds:** `WAITING` requests may wait: a
//! message beyond that is not kept (and counted in the log), a reader waits. At most [`KEPT`] messages of at most
//! [`Shout::LONGEST`] bytes are kept, and those of the last [`TRIMMED_EVERY`].

use std::time::Duration;

use cloverleaf_core::phoenix::wire::Body;
use jiff::Timestamp;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, Row};
use tokio::sync::{mpsc, oneshot};

use super::channel::{Payload, Pusher};
use super::events::Shout;
use crate::ws::Flush;

/// How long a message is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(60 * 60);

/// How often older messages are deleted.
pub const SWEPT_EVERY: Duration = Duration::from_secs(5 * 60);

/// The most messages that are kept, whatever their age.
pub const KEPT: i64 = 10_000;

/// After how many messages the oldest beyond [`KEPT`] are deleted.
pub const TRIMMED_EVERY: usize = 500;

/// The most messages of one channel that a reader gets: the newest.
pub const SHOWN: i64 = 1_000;

/// How many requests may wait for the database.
const WAITING: usize = 4096;

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the hub's database {url}")]
pub struct OpenError {
    url: String,
    source: sqlx::Error,
}

/// A handle on the kept messages; clones share it.
#[derive(Clone, Debug)]
pub struct History {
    requests: mpsc::Sender<Request>,
}

#[derive(Debug)]
enum Request {
    Keep(Timestamp, Shout),
    Recent(String, oneshot::Sender<Vec<Shout>>),
    Sweep(Timestamp, oneshot::Sender<()>),
}

impl History {
    /// Opens a database (`sqlite::memory:`, `sqlite://path`, `postgres://…`), makes its table if there is none, and
    /// begins to sweep it.
    ///
    /// # Errors
    /// When the database cannot be reached or is not ours to write.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let error = |source| OpenError { url: without_password(url), source };
        sqlx::any::install_default_drivers();
        // A SQLite file is made if there is none. One connection: a second one to `:memory:` is another database.
        let options = if url.starts_with("sqlite:") && !url.contains('?') && !url.contains(":memory:") {
            format!("{url}?mode=rwc")
        } else {
            url.to_owned()
        };
        let pool = AnyPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(Duration::from_secs(10))
            .connect(&options)
            .await
            .map_err(error)?;
        sqlx::query(
            "CREATE TABLE IF NOT EXISTS hub_messages (sent_at BIGINT NOT NULL, channel TEXT NOT NULL, \
             name TEXT NOT NULL, body TEXT NOT NULL)",
        )
        .execute(&pool)
        .await
        .map_err(error)?;
        sqlx::query("CREATE INDEX IF NOT EXISTS hub_messages_by_channel ON hub_messages (channel, sent_at)")
            .execute(&pool)
            .await
            .map_err(error)?;
        let (requests, inbox) = mpsc::channel(WAITING);
        tokio::spawn(run(pool, inbox));
        Ok(Self { requests })
    }

    /// Keeps a message that was sent now. Never waits.
    pub fn keep(&self, shout: Shout) {
        self.keep_at(Timestamp::now(), shout);
    }

    /// Keeps a message that was sent then.
    pub fn keep_at(&self, time: Timestamp, shout: Shout) {
        if self.requests.try_send(Request::Keep(time, shout)).is_err() {
            tracing::warn!("a chat message was not kept: the database is too slow or gone");
        }
    }

    /// The kept messages of a channel, oldest first; none when the database fails.
    pub async fn recent(&self, channel: &str) -> Vec<Shout> {
        let (answer, answered) = oneshot::channel();
        let _ = self.requests.send(Request::Recent(channel.to_owned(), answer)).await;
        answered.await.unwrap_or_default()
    }

    /// Deletes what is older than [`KEPT_FOR`] at this time; this also happens by itself.
    pub async fn sweep(&self, now: Timestamp) {
        let (answer, answered) = oneshot::channel();
        let _ = self.requests.send(Request::Sweep(now, answer)).await;
        let _ = answered.await;
    }

    /// Sends the messages of a channel that are kept by now to one client as `shout`s: the newest, as many as take half
    /// of the client's queue. What is said from now on the client hears itself, so the question takes its place in the
    /// queue before this returns; none is sent when the queue is full.
    pub(super) fn replay(&self, channel: String, pusher: Pusher) {
        let (answer, answered) = oneshot::channel();
        if self.requests.try_send(Request::Recent(channel, answer)).is_err() {
            tracing::warn!("kept chat messages were not replayed: the database is too slow or gone");
            return;
        }
        tokio::spawn(async move {
            let shouts = answered.await.unwrap_or_default();
            let payloads: Vec<_> = shouts.iter().map(Payload::of).collect();
            let mut left = pusher.limit() / 2;
            let fits = |payload: &&Payload<'_>| {
                let (Body::Json(bytes) | Body::Binary(bytes)) = payload.body();
                // With what is around it.
                let rest = left.checked_sub(bytes.len() + 512);
                left = rest.unwrap_or_default();
                rest.is_some()
            };
            let newest = payloads.iter().rev().take_while(fits).count();
            let mut flush = Flush::new();
            for payload in payloads.iter().skip(payloads.len() - newest) {
                // Objects can always be written.
                let _ = pusher.push_into("shout", payload, &mut flush);
            }
        });
    }
}

async fn run(pool: AnyPool, mut inbox: mpsc::Receiver<Request>) {
    let mut sweep = tokio::time::interval(SWEPT_EVERY);
    let mut untrimmed = 0;
    loop {
        let result = tokio::select! {
            request = inbox.recv() => match request {
                Some(Request::Keep(time, shout)) => {
                    untrimmed += 1;
                    let kept = keep(&pool, time, shout, &mut inbox, &mut untrimmed).await;
                    if untrimmed >= TRIMMED_EVERY {
                        untrimmed = 0;
                        kept.and(delete_old(&pool, Timestamp::now()).await)
                    } else {
                        kept
                    }
                }
                Some(Request::Recent(channel, answer)) => recent(&pool, &channel).await.map(|shouts| {
                    // Whoever asked may have gone.
                    let _ = answer.send(shouts);
                }),
                Some(Request::Sweep(now, answer)) => delete_old(&pool, now).await.map(|()| {
                    let _ = answer.send(());
                }),
                None => return pool.close().await,
            },
            _ = sweep.tick() => delete_old(&pool, Timestamp::now()).await,
        };
        if let Err(error) = result {
            tracing::warn!(%error, "the hub's database");
        }
    }
}

/// Writes one message, and those right behind it, in one transaction.
async fn keep(
    pool: &AnyPool,
    time: Timestamp,
    shout: Shout,
    inbox: &mut mpsc::Receiver<Request>,
    untrimmed: &mut usize,
) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let mut next = Some((time, shout));
    let mut other = None;
    while let Some((time, shout)) = next.take() {
        sqlx::query("INSERT INTO hub_messages (sent_at, channel, name, body) VALUES ($1, $2, $3, $4)")
            .bind(time.as_millisecond())
            .bind(storable(shout.channel))
            .bind(storable(shout.name))
            .bind(storable(shout.body))
            .execute(&mut *transaction)
            .await?;
        if *untrimmed >= TRIMMED_EVERY {
            break;
        }
        match inbox.try_recv() {
            Ok(Request::Keep(time, shout)) => {
                *untrimmed += 1;
                next = Some((time, shout));
            }
            Ok(request) => other = Some(request),
            Err(_) => {}
        }
    }
    transaction.commit().await?;
    match other {
        Some(Request::Recent(channel, answer)) => {
            let _ = answer.send(recent(pool, &channel).await?);
        }
        Some(Request::Sweep(now, answer)) => {
            delete_old(pool, now).await?;
            let _ = answer.send(());
        }
        _ => {}
    }
    Ok(())
}

async fn recent(pool: &AnyPool, channel: &str) -> Result<Vec<Shout>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT name, body FROM hub_messages WHERE channel = $1 AND sent_at > $2 ORDER BY sent_at DESC LIMIT $3",
    )
    .bind(channel)
    .bind(oldest(Timestamp::now()))
    .bind(SHOWN)
    .fetch_all(pool)
    .await?;
    let mut shouts = rows
        .iter()
        .map(|row| Ok(Shout { name: row.try_get(0)?, body: row.try_get(1)?, channel: channel.to_owned() }))
        .collect::<Result<Vec<_>, sqlx::Error>>()?;
    shouts.reverse();
    Ok(shouts)
}

async fn delete_old(pool: &AnyPool, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM hub_messages WHERE sent_at <= $1").bind(oldest(now)).execute(pool).await?;
    sqlx::query(
        "DELETE FROM hub_messages WHERE sent_at <= \
         (SELECT sent_at FROM hub_messages ORDER BY sent_at DESC LIMIT 1 OFFSET $1)",
    )
    .bind(KEPT)
    .execute(pool)
    .await?;
    Ok(())
}

/// The time, in milliseconds since 1970, up to which messages are too old.
fn oldest(now: Timestamp) -> i64 {
    now.as_millisecond().saturating_sub(KEPT_FOR.as_millis() as i64)
}

/// PostgreSQL has no NUL in text: it becomes U+FFFD, in SQLite too.
fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text }
}

/// For error messages.
fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}://…{}", &url[..scheme], &url[at..]),
        _ => url.to_owned(),
    }
}
