//! Decodes one reply many times, and says how long one took: `replies NAME TEXT COUNT`.
//!
//! `TEXT` is what the adapter sent, with `/` for each carriage return. It is what
//! `core/benches/against_python_obd.py` runs beside python-OBD, and what counts instructions under callgrind:
//!
//! ```text
//! cargo run --release -p cloverleaf-core --example replies -- RPM '7E8 04 41 0C 17 70 //>' 1000000
//! ```

use std::{env, error::Error, hint::black_box, time::Instant};

use cloverleaf_core::{
    bus::{Assembler, Format, Protocol},
    elm327::wire::{self, Line},
    obd2::{self, Command, Value},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(name), Some(text), Some(count)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: replies NAME TEXT COUNT".into());
    };
    let command = Command::named(&name).ok_or("no such command")?;
    let text = text.replace('/', "\r");
    let count: u32 = count.parse()?;
    let mut assembler = Assembler::<8, 512>::new(Format::new(None));
    let mut sum = 0.0;
    let start = Instant::now();
    for _ in 0..count {
        sum += match value(black_box(text.as_bytes()), command, &mut assembler) {
            Some(Value::Quantity(quantity)) => quantity.to_f64(),
            Some(Value::Text(text)) => text.as_bytes().len() as f64,
            Some(Value::Codes(codes)) => codes.iter().count() as f64,
            _ => return Err("no value".into()),
        };
    }
    let each = start.elapsed().as_nanos() as f64 / f64::from(count);
    println!("{{\"name\":\"{name}\",\"value\":{},\"ns\":{each:.1}}}", sum / f64::from(count));
    Ok(())
}

/// Lines, frames, message, value.
fn value<'a>(text: &[u8], command: &Command, assembler: &'a mut Assembler<8, 512>) -> Option<Value<'a>> {
    assembler.restart(Format::new(Some(Protocol::Can11Fast)));
    for line in wire::lines(text) {
        if let Line::Data { hex, fault: None } = line {
            assembler.push(hex).ok()?;
        }
    }
    obd2::answer(command, assembler.messages())?.value.ok()
}
