//! All of Cloverleaf within a program of one's own, which follows the timeline.
//!
//! ```sh
//! cargo run --example embed
//! ```

use cloverleaf::app::App;
use cloverleaf::config::Options;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let app = App::new(&Options::default()).await?;
    let mut happening = app.timeline().subscribe();
    tokio::spawn(async move {
        while let Some(next) = happening.next().await {
            match next {
                Ok(entry) => println!("{:?} {} {:?}", entry.source, entry.topic, entry.value),
                Err(missed) => eprintln!("{missed}"),
            }
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    app.serve(listener, async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(())
}
