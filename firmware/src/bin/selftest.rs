//! Checks, on the chip, what the host's tests cannot: the clock, the UART's interrupts, the whole of core without an
//! operating system, and how much stack that takes. What it logs is in `selftest.log`.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod chip {
    use core::convert::Infallible;
    use core::future::pending;

    use cloverleaf_core::bus::{Assembler, Format, Protocol};
    use cloverleaf_core::driver::Clock;
    use cloverleaf_core::obd2::{self, Command, Value};
    use cloverleaf_core::time::Duration;
    use cloverleaf_firmware::{app, board, clock::SysTick, uart};
    use embedded_io_async::{BufRead, ErrorType, Read, Write};
    use heapless::Vec;

    /// The most stack that anything here may take.
    const STACK: usize = 8 * 1024;

    #[embassy_executor::main]
    async fn main(_spawner: embassy_executor::Spawner) {
        board::start();
        let mut clock = SysTick::start();

        let start = clock.now();
        clock.sleep_until(Some(start + Duration::from_millis(25))).await;
        let slept = (clock.now() - start).as_millis();
        check("the clock keeps its deadlines", (25..=30).contains(&slept));

        let mut port = uart::Uart::open(uart::Port::One, 115_200);
        let text = [b'U'; 3 * uart::TX];
        let sent = port.write_all(&text).await.is_ok() && port.flush().await.is_ok();
        check("the UART sends more than its ring holds", sent && port.dropped() == 0);

        let rpm = value("RPM", &[b"7E8 04 41 0C 1A F8"], |value| match value {
            Value::Quantity(quantity) => quantity.fraction() == (6904, 4),
            _ => false,
        });
        check("RPM is exact without floats", rpm);
        let lines: [&[u8]; 3] = [b"7E81014490201575030", b"7E8215A5A5A39395A54", b"7E82253333932313234"];
        let vin = value("VIN", &lines, |value| match value {
            Value::Text(text) => text.as_str() == Some("WP0ZZZ99ZTS392124"),
            _ => false,
        });
        check("a VIN of three frames is whole", vin);
        let refused = value("RPM", &[b"7E8 03 7F 01 12"], |_| true);
        check("a refusal is no value", !refused);

        let result = app::run(Rehearsed::new(), clock, app::Limits { rounds: Some(2), timeout: None }).await;
        check("the application connects, asks and polls", result.is_ok());

        check("the stack stays within 8 kB", board::stack_used() < STACK);
        board::exit(0)
    }

    fn check(name: &str, good: bool) {
        if good {
            defmt::info!("ok: {=str}", name);
        } else {
            defmt::error!("FAILED: {=str}", name);
            board::exit(1);
        }
    }

    /// Whether the lines make a message that decodes to what is wanted.
    fn value(name: &str, lines: &[&[u8]], wanted: impl Fn(Value<'_>) -> bool) -> bool {
        let mut reply = Assembler::<2, 64>::new(Format::new(Some(Protocol::Can11Fast)));
        for line in lines {
            if reply.push(line).is_err() {
                return false;
            }
        }
        let message = reply.messages().next();
        let decoded =
            Command::named(name).zip(message).map(|(command, message)| obd2::decode(command, message));
        matches!(decoded, Some(Ok(value)) if wanted(value))
    }

    /// An adapter that knows its part by heart.
    struct Rehearsed {
        heard: Vec<u8, 64>,
        says: &'static [u8],
        /// Whether an ECU has just said that its answer is pending.
        pending: bool,
    }

    impl Rehearsed {
        const fn new() -> Self {
            Self { heard: Vec::new(), says: b"", pending: false }
        }

        #[rustfmt::skip]
        fn answer(&self) -> &'static [u8] {
            match self.heard.as_slice() {
                b"ATZ"      => b"ATZ\r\r\rELM327 v1.5\r\r>",
                b"ATRV"     => b"12.6V\r\r>",
                b"ATDPN"    => b"A6\r\r>",
                b"STI"      => b"?\r\r>",
                b"0100"     => b"SEARCHING...\r7E8064100BE3FA813\r\r>",
                b"0902"     => b"7E81014490201575030\r7E8215A5A5A39395A54\r7E82253333932313234\r\r>",
                b"03"       => b"7E8044301013300\r\r>",
                [b'A', ..]  => b"OK\r\r>",
                [b'0', b'1', b'0', b'C', b'0', ..] | [b'0', b'1', b'0', b'D', b'0', ..] | [b'0', b'1', b'0', b'5', b'0', ..]
                            => b"008\r0:410C1AF80D3C\r1:057BAAAAAAAAAA\r\r>",
                [b'0', b'1', b'0', b'C', ..] => b"7E804410C1AF8\r\r>",
                [b'0', b'1', b'0', b'D', ..] => b"7E803410D3C\r\r>",
                [b'0', b'1', b'0', b'5', ..] => b"7E80341057B\r\r>",
                _           => b"NO DATA\r\r>",
            }
        }
    }

    impl ErrorType for Rehearsed {
        type Error = Infallible;
    }

    impl Write for Rehearsed {
        async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
            for byte in bytes {
                if *byte != b'\r' {
                    let _ = self.heard.push(*byte);
                    continue;
                }
                let (pending, says) = match self.heard.as_slice() {
                    [b'0', b'9', ..] if !self.pending => (true, &b"7E8037F0978\r\r>"[..]),
                    [b'0', b'1', b'0', b'5', ..] if !self.pending => (true, &b"7E8037F0178\r\r>"[..]),
                    [b'A', ..] => (self.pending, self.answer()),
                    _ => (false, self.answer()),
                };
                (self.pending, self.says) = (pending, says);
                self.heard.clear();
            }
            Ok(bytes.len())
        }

        async fn flush(&mut self) -> Result<(), Infallible> {
            Ok(())
        }
    }

    impl BufRead for Rehearsed {
        async fn fill_buf(&mut self) -> Result<&[u8], Infallible> {
            if self.says.is_empty() {
                pending::<()>().await;
            }
            Ok(self.says)
        }

        fn consume(&mut self, amount: usize) {
            self.says = self.says.get(amount..).unwrap_or_default();
        }
    }

    impl Read for Rehearsed {
        async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
            let bytes = self.fill_buf().await?;
            let count = bytes.len().min(buf.len());
            for (to, from) in buf.iter_mut().zip(bytes) {
                *to = *from;
            }
            self.consume(count);
            Ok(count)
        }
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this is firmware: run it with `.ci/firmware`");
    std::process::exit(2);
}
