//! The dashboard in a real browser.

use cloverleaf::app::App;
use cloverleaf::config::Options;
use cloverleaf::services::hub::client::{Chat, ChatEvent};
use cloverleaf::services::relay::client::{Membership, User, run_monitor};
use cloverleaf::services::relay::events::MonitorId;
use cloverleaf::socketio_client;
use cloverleaf::timeline::{Source, Value};
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{Peer, node, script};

/// Markup that would run if anything made it part of the page.
const HOSTILE: &str = r#"<img src=x onerror="window.ran=1"><script>window.ran=1</script>"#;

/// A server until it is told to stop, and what it publishes.
async fn serve(address: &str) -> (String, cloverleaf::timeline::Bus, oneshot::Sender<()>, JoinHandle<()>) {
    let listener = TcpListener::bind(address).await.expect("a free port");
    let address = listener.local_addr().expect("a bound address").to_string();
    let app = App::new(&Options::default()).await.expect("the options are good");
    let timeline = app.timeline().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let stopped = async {
            // The end of the test is an end, too.
            let _ = stopped.await;
        };
        app.serve(listener, stopped).await.expect("a good listener");
    });
    (address, timeline, stop, server)
}

/// What the page gives for an expression as soon as that is something true.
async fn shown(page: &mut Peer, expression: &str) -> Json {
    page.tell(expression).await;
    let told: Json = serde_json::from_str(&page.line().await).expect("JSON");
    assert_eq!(told["errors"], json!([]), "{expression}");
    told["value"].clone()
}

fn open(address: &str) -> Peer {
    let mut command = node(&script("dashboard/page.mjs"));
    command.arg(format!("http://{address}/"));
    Peer::start_listening(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_what_all_five_conversations_say() {
    let (address, timeline, _stop, _server) = serve("127.0.0.1:0").await;
    timeline.publish(Source::Driver, "heart_rate", Value::Quantity { value: 61.6, unit: "bpm" });
    let mut page = open(&address);
    let meter =
        |label: &str| format!("document.querySelector('[role=meter][aria-label=\"{label}\"]').ariaValueText");
    shown(&mut page, &format!("/^[\\d.]+ rpm$/.test({})", meter("Engine speed"))).await;
    shown(&mut page, &format!("/^[\\d.]+ km.h$/.test({})", meter("Speed"))).await;
    shown(&mut page, "document.getElementById('car-link').textContent === 'Car Connected'").await;
    shown(&mut page, "document.getElementById('car-adapter').textContent.includes('ISO 15765-4')").await;
    // Stored codes, or that there are none: both are an answer of the car.
    shown(&mut page, "!document.getElementById('car-codes').textContent.includes('not read yet')").await;
    shown(&mut page, "document.querySelectorAll('#road-intersections tr').length === 11").await;
    shown(&mut page, "document.querySelectorAll('#road-plan .lamp.green').length > 0").await;
    shown(&mut page, "document.getElementById('road-others').textContent.includes('Main gate closed')").await;
    shown(&mut page, "document.querySelector('.figure').textContent === '62'").await;
    let entries = "[...document.querySelectorAll('#timeline b')].map((source) => source.textContent)";
    shown(&mut page, &format!("['car', 'road'].every((source) => {entries}.includes(source))")).await;
    page.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_anybody_sends_becomes_part_of_the_page() {
    let (address, timeline, _stop, _server) = serve("127.0.0.1:0").await;
    let mut page = open(&address);
    shown(&mut page, "document.getElementById('link').className === 'live'").await;
    let mut chat = Chat::connect(&format!("ws://{address}"), HOSTILE, HOSTILE, None).await.expect("a hub");
    while chat.next().await.expect("a room") != ChatEvent::Joined {}
    chat.say(HOSTILE).await;
    let id: String = format!("{HOSTILE:<32}").chars().take(32).collect();
    let connection = socketio_client::Options::new(&format!("http://{address}/relay")).expect("a URL");
    let membership = Membership { connection, monitor_id: MonitorId::new(&id).expect("an id"), token: None };
    let monitor = membership.clone();
    tokio::spawn(async move { run_monitor(&monitor, async |_: &str| Err(HOSTILE.to_owned()), |_| ()).await });
    let mut user = User::connect(membership).await.expect("a relay");
    while user.command(HOSTILE, crate::support::PATIENCE).await.expect("an end").failed.as_deref()
        != Some(HOSTILE)
    {}
    for source in [Source::Car, Source::Road, Source::Device, Source::Crew, Source::Driver] {
        timeline.publish(source, HOSTILE, Value::Text(HOSTILE.into()));
        for topic in ["members", "shout", "adapter", "link", "monitor/x", "command/x", "intersection/1"] {
            timeline.publish(source, format!("other/{topic}"), Value::Json(json!({HOSTILE: HOSTILE})));
            timeline.publish(source, topic, Value::Json(Json::Null));
        }
    }
    for panel in
        ["#crew-rooms", "#crew-shouts", "#device-commands", "#car-values", "#driver-values", "#timeline"]
    {
        shown(&mut page, &format!("document.querySelector('{panel}').textContent.includes('onerror=')"))
            .await;
    }
    let markup = "document.querySelectorAll('main img, main script').length";
    assert_eq!(shown(&mut page, &format!("[typeof window.ran, {markup}]")).await, json!(["undefined", 0]));
    page.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_that_its_server_is_gone_and_finds_it_again() {
    let (address, _timeline, stop, server) = serve("127.0.0.1:0").await;
    let mut page = open(&address);
    shown(&mut page, "document.getElementById('link').textContent === 'live'").await;
    stop.send(()).expect("a server");
    // An open page does not hold up the end of the server.
    server.await.expect("an end");
    shown(&mut page, "document.getElementById('link').textContent.startsWith('lost the server')").await;
    shown(&mut page, "document.getElementById('panels').classList.contains('old')").await;
    let (_address, _timeline, _stop, _server) = serve(&address).await;
    shown(&mut page, "document.getElementById('link').textContent === 'live'").await;
    shown(&mut page, "document.querySelectorAll('#road-intersections tr').length === 11").await;
    page.finish().await;
}
