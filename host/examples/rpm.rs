//! The engine speed of a car, once a second.
//!
//! ```sh
//! cargo run --example rpm                         # a simulated car
//! cargo run --example rpm -- /dev/ttyUSB0         # or tcp://192.168.0.10:35000, or auto
//! ```

use std::time::Duration;

use anyhow::Context;
use cloverleaf::car::{Car, Options};
use cloverleaf::timeline::{Bus, Value};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let adapter = std::env::args().nth(1).unwrap_or_else(|| "sim".into()).parse()?;
    let car = Car::connect(Options { adapter, ..Options::default() }, Bus::new());
    car.wait_connected(Duration::from_secs(30)).await?;
    let rpm = car.find("RPM").context("the standard has it")?;
    loop {
        match car.query(&rpm).await?.to_timeline()? {
            Value::Quantity { value, unit } => println!("{value} {unit}"),
            other => println!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
