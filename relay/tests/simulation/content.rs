//! Mail data as the simulation makes and reads it, byte by byte and without our encoder.

use super::seed::Seed;

/// What a client means by these bytes; nothing when no server should take them.
pub fn meant(wire: &[u8], mends: bool) -> Option<Vec<u8>> {
    let whole = [b"\r\n", wire].concat();
    let end = whole.windows(5).position(|w| w == b"\r\n.\r\n")?;
    if end + 5 != whole.len() {
        return None;
    }
    let mut content = Vec::with_capacity(wire.len());
    let mut rest = &wire[..wire.len() - 3];
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let line = &rest[..at];
        for octet in line.strip_prefix(b".").unwrap_or(line) {
            match octet {
                b'\r' | b'\n' | 0 if !mends => return None,
                b'\n' => content.extend_from_slice(b"\r\n"),
                b'\r' | 0 => content.push(b' '),
                octet => content.push(*octet),
            }
        }
        content.extend_from_slice(b"\r\n");
        rest = &rest[at + 2..];
    }
    Some(content)
}

/// A message with what encoders stumble over: dots, long and empty lines, octets above 127.
pub fn compose(token: usize, eight_bit: bool, seed: &mut Seed) -> Vec<u8> {
    let mut content = format!("Subject: simulated\r\nX-Sim: {token}\r\n\r\n").into_bytes();
    for _ in 0..seed.between(0, 12) {
        let line: Vec<u8> = match seed.below(9) {
            0 => b"..".to_vec(),
            1 => b"....three more".to_vec(),
            2 => Vec::new(),
            3 => vec![b'x'; seed.between(900, 1_100) as usize],
            4 => b". MAIL FROM:<a@b>".to_vec(),
            5 if eight_bit => "gr\u{fc}\u{df}e".as_bytes().to_vec(),
            6 if seed.percent(20) => vec![b'y'; 6_000],
            _ => format!("line {}", seed.next()).into_bytes(),
        };
        content.extend_from_slice(&line);
        content.extend_from_slice(b"\r\n");
    }
    content.extend_from_slice(b".\r\n");
    content
}
