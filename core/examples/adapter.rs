//! The engine speed of a car, over an adapter on the network (`cloverleaf simulator`, a Wi-Fi ELM327): the core with a
//! stream and a clock, which is what a board's UART and timer are to it.
//!
//!     cargo run -p cloverleaf-core --example adapter -- 127.0.0.1:35000

use std::{error::Error, ops::ControlFlow};

use cloverleaf_core::driver::{Clock, Driver};
use cloverleaf_core::elm327::session::{Event, Link, Request, Session, Settings};
use cloverleaf_core::obd2::{self, Command, Value};
use cloverleaf_core::time::Instant;
use embedded_io_adapters::tokio_1::FromTokio;
use tokio::{io::BufStream, net::TcpStream, time};

struct Timer(time::Instant);

impl Clock for Timer {
    fn now(&self) -> Instant {
        Instant::from_millis(self.0.elapsed().as_millis() as u64)
    }

    async fn sleep_until(&mut self, deadline: Option<Instant>) {
        match deadline {
            Some(at) => time::sleep_until(self.0 + time::Duration::from_millis(at.as_millis())).await,
            None => std::future::pending().await,
        }
    }
}

/// Connects to the car behind the adapter at `address` and asks for its engine speed.
pub(crate) async fn engine_speed(address: &str) -> Result<f64, Box<dyn Error>> {
    let link = FromTokio::new(BufStream::new(TcpStream::connect(address).await?));
    let session: Session = Session::new(Settings::default());
    let mut driver = Driver::new(session, link, Timer(time::Instant::now()));
    driver.machine.connect(driver.now());
    let found = driver.run(|event| match event {
        Event::Link(Link::CarConnected) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.await?;
    let rpm = Command::named("RPM").ok_or("the standard has it")?;
    let request = rpm.request();
    let reply = driver.ask(
        Request::new(&request),
        |_| {},
        |_, reply| match reply.ok()?.messages().next().map(|message| obd2::decode(rpm, message)) {
            Some(Ok(Value::Quantity(quantity))) => Some(quantity.to_f64()),
            _ => None,
        },
    );
    reply.await??.ok_or_else(|| "the car has no engine speed".into())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: adapter HOST:PORT")?;
    println!("{} rpm", engine_speed(&address).await?);
    Ok(())
}
